//! Codice fiscale: sixteen characters of surname, name, birth and place, and a check letter (decree of 23 December 1976). Where
//! two people would have the same, digits are written as letters ("omocodia").

/// Letters that stand for the digits 0 to 9.
const DIGIT_LETTERS: &[u8; 10] = b"LMNPQRSTUV";

/// What a character counts in an odd place, as a digit or as a letter of the same order.
const ODD: [u32; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/// The word has sixteen bytes.
pub(super) fn is_codice_fiscale(word: &[u8]) -> bool {
    const PLACES_OF_DIGITS: [usize; 7] = [6, 7, 9, 10, 12, 13, 14];
    let is_of_shape = word.iter().enumerate().all(|(place, byte)| match PLACES_OF_DIGITS.contains(&place) {
        true => byte.is_ascii_digit() || DIGIT_LETTERS.contains(&byte.to_ascii_uppercase()),
        false => byte.is_ascii_alphabetic(),
    });
    let is_month = word.get(8).is_some_and(|month| b"ABCDEHLMPRST".contains(&month.to_ascii_uppercase()));
    is_of_shape && is_month && word.last().map(u8::to_ascii_uppercase) == Some(check_letter(&word[..15]))
}

fn check_letter(characters: &[u8]) -> u8 {
    let sum: u32 = characters
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            let order = match byte.to_ascii_uppercase() {
                digit @ b'0'..=b'9' => digit - b'0',
                letter => letter.wrapping_sub(b'A') % 26,
            };
            // Places are counted from one.
            if index % 2 == 0 { ODD[usize::from(order)] } else { u32::from(order) }
        })
        .sum();
    b'A' + (sum % 26) as u8
}
