#![doc = include_str!("README.md")]

use super::number::{Number, is_uniform, passes_luhn};
use crate::topics::Topics;

/// How issuers print the number.
const GROUPINGS: &[&[u8]] = &[&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3]];

/// Where the card's number ends, if one begins here.
pub(super) fn at(number: &Number<'_>, topics: Topics) -> Option<usize> {
    for grouping in GROUPINGS {
        for separator in [b' ', b'-', b'.'] {
            if let Some((digits, end)) = number.grouped(grouping, separator)
                && is_card(digits, topics)
            {
                return Some(end);
            }
        }
    }
    let length = usize::from(*number.groups().first()?);
    let (digits, end) = number.bare(length)?;
    is_card(digits, topics).then_some(end)
}

fn is_card(digits: &[u8], topics: Topics) -> bool {
    let is_issued = match is_issued(digits) {
        Issued::Yes => true,
        Issued::ByName => topics.has_card(),
        Issued::No => false,
    };
    is_issued && passes_luhn(digits) && !is_uniform(digits)
}

enum Issued {
    Yes,
    /// Ids have the same length so often that the name has to say card.
    ByName,
    No,
}

/// Ranges and lengths of issuers (ISO/IEC 7812-1; the networks' own tables).
fn is_issued(digits: &[u8]) -> Issued {
    if !(12..=19).contains(&digits.len()) {
        return Issued::No;
    }
    let first_four = digits[..4].iter().fold(0u32, |sum, &digit| sum * 10 + u32::from(digit));
    match (digits.len(), first_four) {
        // Visa
        (16, 4000..=4999) => Issued::Yes,
        (13 | 19, 4000..=4999) => Issued::ByName,
        // Mastercard
        (16, 5100..=5599 | 2221..=2720) => Issued::Yes,
        // American Express
        (15, 3400..=3499 | 3700..=3799) => Issued::Yes,
        // Discover
        (16, 6011 | 6440..=6599) => Issued::Yes,
        // Diners Club
        (14, 3000..=3059 | 3095 | 3600..=3699 | 3800..=3999) => Issued::Yes,
        // JCB, UnionPay, Dankort
        (16, 3528..=3589 | 6200..=6299 | 5019) => Issued::Yes,
        (17..=19, 6200..=6299) => Issued::ByName,
        // Air travel
        (15, 1000..=1999) => Issued::ByName,
        // Maestro
        (16, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) => Issued::Yes,
        (12..=19, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) => Issued::ByName,
        _ => Issued::No,
    }
}
