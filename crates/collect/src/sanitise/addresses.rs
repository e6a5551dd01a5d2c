//! Addresses of clients inside longer texts, where a setting makes the client's address a pseudonym.
//!
//! Decides where in a text an address stands. In a field whose name speaks of addresses each is one of somebody on the way
//! from the client, and every one is replaced; elsewhere `120.0.0.0` is as likely the version of a program, and only the
//! address of the call's own client is. Both are found behind percent escapes and those of JSON. Left out: addresses in
//! base64, or written as one number.

use std::net::{IpAddr, Ipv4Addr};

use super::views::View;
use crate::pseudonyms::PseudonymKey;

/// Layers of escapes that are taken off.
const LAYERS_MAX: usize = 3;

/// Which addresses are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Every,
    /// The one of the call's client.
    Own(IpAddr),
}

/// The text with pseudonyms in place of addresses; `None` if it has none.
pub(super) fn replaced(text: &str, which: Which, key: &PseudonymKey) -> Option<String> {
    let mut spans = Vec::new();
    look(text, which, LAYERS_MAX, &mut spans);
    if spans.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 40 * spans.len());
    let mut copied = 0;
    for Span { start, end, address } in spans {
        let pseudonym = key.address(address);
        out.push_str(&text[copied..start]);
        // A port behind it would read as its last part.
        let has_port = text[end..].starts_with(':') && !text[..start].ends_with('[');
        match has_port {
            true => out.push_str(&format!("[{pseudonym}]")),
            false => out.push_str(&pseudonym.to_string()),
        }
        copied = end;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Whether a field of this name says where a client is: `x-forwarded-for`, `true-client-ip`, `clientIp`, `remote_addr`. A word that
/// only ends as these do costs nothing, because what is in the field still has to be an address. So does the header that trusted proxies
/// are known to say it in.
pub(super) fn is_told_by(name: &str, address_header: Option<&str>) -> bool {
    const ENDS: [&str; 6] = ["ip", "ips", "ipv4", "ipv6", "addr", "address"];
    if address_header.is_some_and(|header| header.eq_ignore_ascii_case(name)) {
        return true;
    }
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|character: char| !character.is_ascii_alphanumeric());
    name.contains("forward")
        || words.any(|word| matches!(word, "via" | "xff") || ENDS.iter().any(|end| word.ends_with(end)))
}

#[derive(Debug)]
struct Span {
    start: usize,
    end: usize,
    address: IpAddr,
}

fn look(text: &str, which: Which, layers: usize, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|&&byte| is_of_address(byte)).count();
        if length > 1 {
            look_at_word(text, start, start + length, which, spans);
        }
        start += length + 1;
    }
    if layers > 0
        && let Some(view) = View::decoded(text)
    {
        let mut inner = Vec::new();
        look(&view.text, which, layers - 1, &mut inner);
        for mut span in inner {
            (span.start, span.end) = view.origin(span.start, span.end);
            let at = spans.partition_point(|other| other.end <= span.start);
            if spans.get(at).is_none_or(|behind| span.end <= behind.start) {
                spans.insert(at, span);
            }
        }
    }
}

/// Looks at a run of signs that addresses have.
fn look_at_word(text: &str, start: usize, end: usize, which: Which, spans: &mut Vec<Span>) {
    let is_wanted = |address: IpAddr| match which {
        Which::Every => true,
        Which::Own(own) => address == own,
    };
    let word = text[start..end].trim_end_matches(['.', ':']);
    if let Ok(address) = word.parse::<IpAddr>()
        && is_wanted(address.to_canonical())
    {
        spans.push(Span { start, end: start + word.len(), address: address.to_canonical() });
        return;
    }
    // With a port, or something else behind it.
    if let Which::Own(own @ IpAddr::V6(_)) = which {
        let shown = own.to_string();
        let lower = word.to_ascii_lowercase();
        let is_apart = |at: &usize| {
            let before = lower[..*at].bytes().next_back();
            let behind = lower.as_bytes().get(at + shown.len());
            !before.is_some_and(|byte| byte.is_ascii_hexdigit()) && !behind.is_some_and(u8::is_ascii_hexdigit)
        };
        let found = lower.match_indices(&shown).map(|(at, _)| at).find(is_apart);
        spans.extend(found.map(|at| Span { start: start + at, end: start + at + shown.len(), address: own }));
        return;
    }
    let mut at = start;
    while at < end {
        match quad_at(&text.as_bytes()[..end], at) {
            Some((address, length)) if is_wanted(address.into()) => {
                spans.push(Span { start: at, end: at + length, address: address.into() });
                at += length;
            }
            _ => at += 1,
        }
    }
}

/// The IPv4 address that begins here, and its length. Zeros may lead its parts.
fn quad_at(bytes: &[u8], start: usize) -> Option<(Ipv4Addr, usize)> {
    if start > 0 && bytes[start - 1].is_ascii_digit() {
        return None;
    }
    let mut octets = [0; 4];
    let mut at = start;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            at += usize::from(*bytes.get(at)? == b'.');
        }
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=3).contains(&digits) || (index > 0 && bytes[at - 1] != b'.') {
            return None;
        }
        let value = bytes[at..at + digits].iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        *octet = u8::try_from(value).ok()?;
        at += digits;
    }
    Some((octets.into(), at - start))
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_however_they_are_written_and_versions_are_none() {
        let key = PseudonymKey::from_bytes(&[7; 32]);
        let own: IpAddr = "192.0.2.7".parse().unwrap();
        let own_v6: IpAddr = "2001:db8::7".parse().unwrap();
        let (every, by_own, by_v6) = (Which::Every, Which::Own(own), Which::Own(own_v6));
        // `A` stands for the pseudonym of the one, `B` for that of the other; `None` where nothing is found.
        let cases = [
            ("192.0.2.7", every, Some("A")),
            ("203.0.113.5, 192.0.2.7, unknown", by_own, Some("203.0.113.5, A, unknown")),
            ("192.0.2.7:4711", every, Some("[A]:4711")),
            ("for=192.0.2.7;proto=https", every, Some("for=A;proto=https")),
            ("for=\"[2001:DB8:0::7]:4711\"", every, Some("for=\"[B]:4711\"")),
            ("::ffff:192.0.2.7", every, Some("A")),
            ("::ffff:c000:207", by_own, Some("A")),
            ("2001:db8::7%eth0", by_v6, Some("B%eth0")),
            ("2001:db8::7:80", by_v6, Some("[B]:80")),
            ("from 192.0.2.7.", by_own, Some("from A.")),
            ("1.192.0.2.7", by_own, Some("1.A")),
            ("abc192.000.002.007x", every, Some("abcAx")),
            ("Chrome/120.0.0.0 (192.0.2.7)", by_own, Some("Chrome/120.0.0.0 (A)")),
            ("https://x.example/?ip=192%2E0%2e2%2E7", by_own, Some("https://x.example/?ip=A")),
            ("2001%3Adb8%3A%3A7", by_v6, Some("B")),
            (r#"{"ip":"2001\u003adb8\u003a\u003a7"}"#, by_v6, Some(r#"{"ip":"B"}"#)),
            ("192.0.2.70", by_own, None),
            ("1192.0.2.7", by_own, None),
            ("2001:db8::8", by_v6, None),
            ("2001:db8::70", by_v6, None),
            ("a2001:db8::7", by_v6, None),
            ("src:2001:db8::70,2001:db8::7", by_v6, Some("src:2001:db8::70,B")),
            ("peer:2001:db8::7", by_v6, Some("peer:B")),
            ("192.0.2", every, None),
            ("300.0.2.7", every, None),
            ("12:30:45.123", every, None),
            ("a.b:c", every, None),
            ("", every, None),
        ];
        for (text, which, expected) in cases {
            let expected = expected.map(|expected| {
                let expected = expected.replace('A', &key.address(own).to_string());
                expected.replace('B', &key.address(own_v6).to_string())
            });
            assert_eq!(replaced(text, which, &key), expected, "{text}");
        }
    }

    #[test]
    fn fields_with_addresses_are_told_by_their_names() {
        for name in [
            "x-forwarded-for",
            "Forwarded",
            "x-real-ip",
            "True-Client-IP",
            "cf-connecting-ipv6",
            "clientIp",
            "remote_addr",
            "x-azure-socketip",
            "via",
        ] {
            assert!(is_told_by(name, None), "{name}");
        }
        assert!(is_told_by("X-Chain", Some("x-chain")) && !is_told_by("x-chain", Some("x-other")));
        for name in ["user-agent", "x-request-id", "q", "", "count", "x-app-version"] {
            assert!(!is_told_by(name, None), "{name}");
        }
    }
}
