//! Whether an answer is a refusal of our own, by the mark in its content type.

use outrider_model::{OWN_REFUSAL_PARAMETER, Text};

/// The installation that a response's content type names as the maker of the refusal (decision 20).
pub(super) fn own_refusal<'a>(content_type: &Text<'a>) -> Option<Text<'a>> {
    let installation = parameter(content_type, OWN_REFUSAL_PARAMETER)?;
    Some(match content_type.borrowed() {
        Some(borrowed) => Text::from(parameter(borrowed, OWN_REFUSAL_PARAMETER)?),
        None => Text::from(installation.to_owned()),
    })
}

/// The value of a media type's parameter (RFC 9110, section 5.6.6), without its quotes.
fn parameter<'t>(media_type: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = media_type.split_once(';')?.1;
    loop {
        let (found, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.split_once(';').map(|(_, next)| next))
            }
            None => match after.split_once(';') {
                Some((value, next)) => (value.trim(), Some(next)),
                None => (after.trim(), None),
            },
        };
        // A parameter without `=` may stand before the name.
        let found = found.rsplit(';').next().unwrap_or(found).trim();
        if found.eq_ignore_ascii_case(name) && !value.is_empty() {
            return Some(value);
        }
        rest = next?;
    }
}
