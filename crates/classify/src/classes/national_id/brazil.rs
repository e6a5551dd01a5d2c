//! CPF: nine digits and two check digits, each modulo 11 over those before (Receita Federal).

use super::super::number::{Number, is_uniform, weighted};

pub(super) fn at(number: &Number<'_>, is_named: bool) -> Option<usize> {
    let written = number.groups() == [3, 3, 3, 2] && number.separators() == b"..-";
    if written && number.is_whole() && is_cpf(number.digits()) {
        return Some(number.end());
    }
    let (digits, end) = number.bare(11).filter(|_| is_named)?;
    is_cpf(digits).then_some(end)
}

fn is_cpf(digits: &[u8]) -> bool {
    let check = |length: usize| {
        let weights: Vec<u32> = (2..=length as u32 + 1).rev().collect();
        let rest = weighted(&digits[..length], &weights) * 10 % 11 % 10;
        rest == u32::from(digits[length])
    };
    !is_uniform(digits) && check(9) && check(10)
}
