//! Numbers as people read them.

use crate::inventory::EndpointInventory;

/// `1,204`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut written = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

/// `1 call`, `1,204 calls`.
pub(super) fn calls(number: u64) -> String {
    counted(number, "call")
}

/// `1 consumer`, `7 consumers`.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Below so many calls they are counted, because a percentage would sound like more.
const PERCENT_CALLS_MIN: u64 = 100;

/// `34 % of 1,204 calls`, `3 of 7 calls`.
pub(super) fn share(part: u64, all: u64) -> String {
    if all < PERCENT_CALLS_MIN {
        return format!("{part} of {}", calls(all));
    }
    format!("{} % of {}", crate::inventory::percent(part, all), calls(all))
}

/// By whom an endpoint was called.
pub(super) fn by_consumers(seen: &EndpointInventory) -> String {
    match seen.consumers {
        0 => "by nobody that the gateway knows as a consumer".to_owned(),
        some => format!("by about {}", counted(some, "consumer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!((grouped(0), grouped(999), grouped(1204)), ("0".to_owned(), "999".to_owned(), "1,204".to_owned()));
        assert_eq!((share(3, 7), share(1, 1)), ("3 of 7 calls".to_owned(), "1 of 1 call".to_owned()));
        assert_eq!((calls(1), share(409, 1204)), ("1 call".to_owned(), "34 % of 1,204 calls".to_owned()));
        assert_eq!(
            (share(1, 1000), share(999, 1000)),
            ("1 % of 1,000 calls".to_owned(), "99 % of 1,000 calls".to_owned())
        );
    }
}
