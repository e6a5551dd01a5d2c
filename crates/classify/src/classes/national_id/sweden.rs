//! Personnummer and samordningsnummer: date of birth, the day of the latter with 60 added, order and a check digit after Luhn over
//! ten digits (Skatteverket). Where only the form speaks for it, `240115-1030` is a time and not a person.

use super::super::number::{Number, passes_luhn};

pub(super) fn at(number: &Number<'_>, is_named: bool) -> Option<usize> {
    if !is_named {
        let (digits, end) = number.written(&[6, 4], b'-')?;
        return (is_personnummer(digits) && !ends_in_time(digits)).then_some(end);
    }
    let bare = || number.bare(10).or_else(|| number.bare(12));
    let printed = number.grouped(&[6, 4], b'-').or_else(|| number.grouped(&[8, 4], b'-'));
    let (digits, end) = printed.or_else(bare)?;
    is_personnummer(&digits[digits.len() - 10..]).then_some(end)
}

fn is_personnummer(digits: &[u8]) -> bool {
    let month = digits[2] * 10 + digits[3];
    let day = digits[4] * 10 + digits[5];
    (1..=12).contains(&month) && matches!(day, 1..=31 | 61..=91) && passes_luhn(digits)
}

fn ends_in_time(digits: &[u8]) -> bool {
    digits[6] * 10 + digits[7] < 24 && digits[8] < 6
}
