//! Which trace a span belongs to, and what it is called there.
//!
//! An action's ids are made of what it is. So collector, platform and responder, each on a machine of its own, put their
//! spans into one trace, and nothing about traces has to go over the wire or into a record. Other ids are random, or come
//! from the client in a `traceparent` header (W3C Trace Context).

use outrider_model::{ActionId, Fingerprint};

use crate::installation;

/// Where a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub trace: [u8; 16],
    /// All zero for what is above the root of a trace.
    pub span: [u8; 8],
    /// Whether it is handed over at all; the caller of a request may say that it is not.
    pub is_sampled: bool,
}

impl Place {
    /// Above the root of a new trace, or `None` where the system gives no random numbers.
    pub fn new() -> Option<Place> {
        Some(Place { trace: installation::random().ok()?, span: [0; 8], is_sampled: true })
    }

    /// The root of an action's trace.
    pub fn of_action(installation: &str, action: ActionId) -> Place {
        let of_installation = Fingerprint::of("trace").text(installation).finish();
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&of_installation.to_be_bytes());
        // The last half is the action's id as people see it, so that one leads to the other.
        trace[8..].copy_from_slice(&action.0.to_be_bytes());
        Place { trace, span: step_of_action(installation, action, "action", 0), is_sampled: true }
    }

    /// What the header says, if it says it well.
    pub fn of_traceparent(header: &str) -> Option<Place> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_known = version == "00";
        let version: [u8; 1] = hexadecimal(version)?;
        let (trace, span, [flags]) = (hexadecimal(trace)?, hexadecimal(span)?, hexadecimal(flags)?);
        // A later version may say more behind this; `ff` will never be one.
        let is_good = version != [0xff] && (!is_known || parts.next().is_none());
        let place = Place { trace, span, is_sampled: flags & 1 == 1 };
        (is_good && place.trace != [0; 16] && place.span != [0; 8]).then_some(place)
    }

    /// A random place below this one.
    pub fn child(self) -> Option<Place> {
        Some(Place { span: installation::random().ok()?, ..self })
    }
}

/// The id of a step in an action's trace.
pub fn step_of_action(installation: &str, action: ActionId, step: &str, index: usize) -> [u8; 8] {
    let id = Fingerprint::of("span").text(installation).number(action.0.cast_signed()).text(step).number(index as i64);
    id.finish().to_be_bytes()
}

/// Exactly so many bytes as lower-case digits, which is how the header writes them.
fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let good = |is_sampled| {
            let trace = [10, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c];
            Some(Place { trace, span: [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31], is_sampled })
        };
        let cases = [
            (format!("00-{trace}-{span}-01"), good(true)),
            (format!("00-{trace}-{span}-00"), good(false)),
            (format!("00-{trace}-{span}-03"), good(true)),
            (format!("cc-{trace}-{span}-01-what-will-be"), good(true)),
            (format!("00-{trace}-{span}-01-what-will-be"), None),
            (format!("ff-{trace}-{span}-01"), None),
            (format!("00-{}-{span}-01", trace.to_uppercase()), None),
            (format!("00-{}-{span}-01", "0".repeat(32)), None),
            (format!("00-{trace}-{}-01", "0".repeat(16)), None),
            (format!("00-{trace}-{span}"), None),
            (format!("00-{trace}-{span}-1"), None),
            (format!("00-{trace}-é{}-01", "0".repeat(14)), None),
            (String::new(), None),
        ];
        for (header, expected) in cases {
            assert_eq!(Place::of_traceparent(&header), expected, "{header}");
        }
    }

    #[test]
    fn an_actions_trace_is_the_same_everywhere_and_no_other_installations() {
        let id = ActionId(0x0123_4567_89ab_cdef);
        let place = Place::of_action("one-installation", id);
        assert_eq!(place, Place::of_action("one-installation", id));
        assert_eq!(place.trace[8..], id.0.to_be_bytes());
        assert_ne!(place.trace, Place::of_action("another-one", id).trace);
        assert_ne!(step_of_action("i", id, "pending", 0), step_of_action("i", id, "pending", 2));
    }
}
