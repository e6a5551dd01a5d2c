//! PESEL: date of birth with the century in the month, order, sex and a check digit modulo 10 (Act on population registration). An
//! id of eleven digits may look the same, so the name has to say what it is.

use super::super::number::{Number, weighted};

pub(super) fn at(number: &Number<'_>, is_named: bool) -> Option<usize> {
    let (digits, end) = number.bare(11).filter(|_| is_named)?;
    let month = (digits[2] * 10 + digits[3]) % 20;
    let day = digits[4] * 10 + digits[5];
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    ((1..=12).contains(&month) && (1..=31).contains(&day) && sum.is_multiple_of(10)).then_some(end)
}
