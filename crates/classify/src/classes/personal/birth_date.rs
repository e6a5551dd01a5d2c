//! Dates of birth: a date in a field that says so. No date says so by itself.

use crate::candidates::Candidates;
use crate::classes::DataClass;
use crate::evidence::Form;
use crate::parameter::Parameter;

pub(super) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let (value, start) = parameter.trimmed();
    if !parameter.said.speaks_of(DataClass::BirthDate) {
        return;
    }
    let form = match () {
        () if is_date(value) => Form::Weak,
        () if is_year(value) => Form::Possible,
        () => return,
    };
    candidates.add(parameter, DataClass::BirthDate, form, (start, start + value.len()));
}

/// Year, month and day in one of the usual orders, perhaps with a time behind (ISO 8601), or as eight digits.
fn is_date(value: &str) -> bool {
    let date = value.split(['T', ' ']).next().unwrap_or(value);
    if !date.is_ascii() {
        return false;
    }
    if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) {
        return is_day(&date[..4], &date[4..6], &date[6..]) || is_day(&date[4..], &date[2..4], &date[..2]);
    }
    let mut parts = date.split(['-', '/', '.']);
    let (Some(first), Some(second), Some(third), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    is_day(first, second, third) || is_day(third, second, first) || is_day(third, first, second)
}

fn is_day(year: &str, month: &str, day: &str) -> bool {
    is_year(year) && is_between(month, 1, 12) && is_between(day, 1, 31)
}

/// A year in which somebody who lives may have been born, for a while to come.
fn is_year(year: &str) -> bool {
    year.len() == 4 && is_between(year, 1900, 2099)
}

fn is_between(text: &str, min: u32, max: u32) -> bool {
    let is_number = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text.parse::<u32>().is_ok_and(|number| (min..=max).contains(&number))
}
