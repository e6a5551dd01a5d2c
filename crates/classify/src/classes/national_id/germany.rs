//! Tax id: ten digits, of which one occurs twice or thrice, and a check digit after ISO/IEC 7064, MOD 11,10 (BZSt).

use super::super::number::Number;

pub(super) fn at(number: &Number<'_>, is_named: bool) -> Option<usize> {
    let printed = number.written(&[2, 3, 3, 3], b' ');
    let (digits, end) = printed.or_else(|| number.bare(11).filter(|_| is_named))?;
    is_tax_id(digits).then_some(end)
}

fn is_tax_id(digits: &[u8]) -> bool {
    let mut seen = [0u8; 10];
    for &digit in &digits[..10] {
        seen[usize::from(digit)] += 1;
    }
    let repeated = seen.iter().filter(|&&times| times > 1).count();
    let product = digits[..10].iter().fold(10u32, |product, &digit| {
        let sum = (u32::from(digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    let check = (11 - product) % 10;
    digits[0] != 0 && repeated == 1 && seen.iter().all(|&times| times <= 3) && check == u32::from(digits[10])
}
