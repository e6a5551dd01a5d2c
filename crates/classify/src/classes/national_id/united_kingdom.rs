//! National Insurance number: two letters, six digits and a letter A to D (HMRC, NIM39110). There is no check digit, so capitals, or
//! a name, have to speak for it.

pub(super) fn at(text: &[u8], start: usize, word_end: usize, is_named: impl Fn() -> bool) -> Option<usize> {
    let (number, end) = match word_end - start {
        9 => (<[u8; 9]>::try_from(&text[start..word_end]).ok()?, word_end),
        2 => printed_at(text, start)?,
        _ => return None,
    };
    if !is_of_shape(&number.map(|byte| byte.to_ascii_uppercase())) {
        return None;
    }
    let is_in_capitals = number.iter().all(|byte| !byte.is_ascii_lowercase());
    (is_in_capitals || is_named()).then_some(end)
}

/// `AB 12 34 56 C`, `AB 123456 C`, and the same with hyphens.
fn printed_at(text: &[u8], start: usize) -> Option<([u8; 9], usize)> {
    const WRITTEN_BYTES_MAX: usize = 13;
    let mut number = [0; 9];
    let mut length = 0;
    let mut end = start;
    while length < number.len() {
        let byte = *text.get(end).filter(|_| end - start < WRITTEN_BYTES_MAX)?;
        if byte.is_ascii_alphanumeric() {
            number[length] = byte;
            length += 1;
        } else if !matches!(byte, b' ' | b'-') || !matches!(length, 2 | 4 | 6 | 8) {
            return None;
        }
        end += 1;
    }
    let is_word = !text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    is_word.then_some((number, end))
}

fn is_of_shape(number: &[u8; 9]) -> bool {
    let [first, second, digits @ .., suffix] = number;
    let is_letter = |letter: &u8| letter.is_ascii_uppercase() && !b"DFIQUV".contains(letter);
    let is_prefix = is_letter(first) && is_letter(second) && *second != b'O';
    let is_unused = matches!(&[*first, *second], b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ");
    is_prefix && !is_unused && digits.iter().all(u8::is_ascii_digit) && matches!(suffix, b'A'..=b'D')
}
