//! Aadhaar: eleven digits, the first of them 2 or more, and a check digit after Verhoeff (UIDAI).

use super::super::number::{Number, is_uniform};

/// The multiplication of the dihedral group of order ten.
const PRODUCT: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];

/// What becomes of a digit by its place, which repeats every eight.
const PERMUTATION: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

pub(super) fn at(number: &Number<'_>, is_named: bool) -> Option<usize> {
    // With hyphens it is the form of many an order number.
    let printed = number.written(&[4, 4, 4], b' ');
    let hyphenated = || number.grouped(&[4, 4, 4], b'-');
    let (digits, end) = match is_named {
        true => printed.or_else(hyphenated).or_else(|| number.bare(12))?,
        false => printed?,
    };
    (digits[0] >= 2 && !is_uniform(digits) && passes_verhoeff(digits)).then_some(end)
}

fn passes_verhoeff(digits: &[u8]) -> bool {
    let check = digits.iter().rev().enumerate().fold(0u8, |check, (place, &digit)| {
        let permuted = PERMUTATION[place % 8][usize::from(digit)];
        PRODUCT[usize::from(check)][usize::from(permuted)]
    });
    check == 0
}
