//! Social Security number, and ITIN, which is written the same: three, two and four digits. There is no check digit, but areas, groups
//! and serials that are never issued (SSA, RM 10201; IRS, Publication 1915), and numbers that advertisements made known.

use super::super::number::{Number, is_uniform};

pub(super) fn at(number: &Number<'_>, is_named: bool) -> Option<usize> {
    if !is_named {
        let (digits, end) = number.written(&[3, 2, 4], b'-').or_else(|| number.written(&[3, 2, 4], b' '))?;
        return is_issued(digits).then_some(end);
    }
    let printed = [b'-', b' ', b'.'].into_iter().find_map(|separator| number.grouped(&[3, 2, 4], separator));
    let oddly = || number.grouped(&[3, 6], b'-').or_else(|| number.grouped(&[5, 4], b'-'));
    let (digits, end) = printed.or_else(|| number.bare(9)).or_else(oddly)?;
    is_issued(digits).then_some(end)
}

fn is_issued(digits: &[u8]) -> bool {
    let value =
        |range: std::ops::Range<usize>| digits[range].iter().fold(0u32, |sum, &digit| sum * 10 + u32::from(digit));
    let (area, group, serial) = (value(0..3), value(3..5), value(5..9));
    let is_ssn = !matches!(area, 0 | 666 | 900..) && group != 0;
    let is_itin = area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    let is_known = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999) | (123, 45, 6789));
    (is_ssn || is_itin) && serial != 0 && !is_known && !is_uniform(digits)
}
