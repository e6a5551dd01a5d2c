//! BSN: nine digits that pass the eleven test, with the last counted negative (Rijksdienst voor Identiteitsgegevens). One number in
//! eleven passes, so the name has to say what it is.

use super::super::number::{Number, is_uniform, weighted};

pub(super) fn at(number: &Number<'_>, is_named: bool) -> Option<usize> {
    if !is_named {
        return None;
    }
    let grouped = || number.grouped(&[4, 2, 3], b'.').or_else(|| number.grouped(&[3, 3, 3], b' '));
    let (digits, end) = number.bare(9).or_else(grouped)?;
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) + 11 - u32::from(digits[8]);
    (sum.is_multiple_of(11) && !is_uniform(digits)).then_some(end)
}
