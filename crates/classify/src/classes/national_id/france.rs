//! NIR: sex, year, month, department, commune, order and a key of two digits, 97 − (number modulo 97) (INSEE). In Corsica the
//! department is 2A or 2B, which count as 19 and 18. With that much structure it needs no name.

use super::super::number::Number;

pub(super) fn at(number: &Number<'_>, _is_named: bool) -> Option<usize> {
    let printed = number.grouped(&[1, 2, 2, 2, 3, 3, 2], b' ').or_else(|| number.grouped(&[13, 2], b' '));
    let (digits, end) = printed.or_else(|| number.bare(15))?;
    is_nir(digits).then_some(end)
}

/// The same with a department of Corsica, in one word.
pub(super) fn is_corsican(word: &[u8]) -> bool {
    let department: &[u8; 2] = match word.get(5..7) {
        Some([b'2', b'A' | b'a']) => b"19",
        Some([b'2', b'B' | b'b']) => b"18",
        _ => return false,
    };
    let mut digits = [0; 15];
    for (index, digit) in digits.iter_mut().enumerate() {
        let byte = if (5..7).contains(&index) { department[index - 5] } else { word[index] };
        if !byte.is_ascii_digit() {
            return false;
        }
        *digit = byte - b'0';
    }
    is_nir(&digits)
}

fn is_nir(digits: &[u8]) -> bool {
    let month = digits[3] * 10 + digits[4];
    // Unknown months are written as 20 to 42 and 50 to 99.
    let is_month = matches!(month, 1..=12 | 20..=42 | 50..=99);
    let number = digits[..13].iter().fold(0u64, |sum, &digit| sum * 10 + u64::from(digit));
    let key = u64::from(digits[13] * 10 + digits[14]);
    matches!(digits[0], 1 | 2) && is_month && key == 97 - number % 97
}
