#![doc = include_str!("doc.md")]

use std::net::{Ipv4Addr, Ipv6Addr};

use super::DataClass;
use crate::candidates::Candidates;
use crate::evidence::Form;
use crate::parameter::Parameter;
use crate::words::{Says, Words};

pub(crate) const WORDS: &Words = &[
    (
        Says::Names(DataClass::IpAddress),
        "ip ipaddress ipaddr ipadresse adresseip direccionip enderecoip indirizzoip clientip remoteip remoteaddr \
         remoteaddress sourceip hostip ipv4 ipv6 xforwardedfor xrealip floatingip publicip privateip reservedip",
    ),
    (
        Says::Names(DataClass::Url),
        "url uri href link website webpage homepage webhook callback callbackurl redirecturi redirecturl returnurl \
         imageurl avatarurl referer referrer domain hostname",
    ),
    (Says::Names(DataClass::Uuid), "uuid guid"),
    (
        Says::Names(DataClass::Hash),
        "hash md5 sha sha1 sha256 sha384 sha512 checksum digest etag commit commitsha filehash fingerprint",
    ),
    (Says::Names(DataClass::MacAddress), "mac macaddress macaddr hwaddr hardwareaddress ethernetaddress bssid"),
];

/// Lengths of hashes in hexadecimal digits: MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
const HASH_DIGITS: &[usize] = &[32, 40, 56, 64, 96, 128];
/// Longest of what is looked for, a URL aside.
const WORD_BYTES_MAX: usize = 128;
/// Longest scheme of a URL.
const SCHEME_BYTES_MAX: usize = 16;
/// Domains for everybody of RFC 1591 and its successors. Those of countries are endings of files as well: `README.md`, `main.rs`.
const TOP_DOMAINS: &[&str] = &["com", "org", "net", "edu", "gov", "mil", "info", "biz"];

pub(crate) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let text = parameter.value;
    urls(parameter, candidates);
    let mut at = 0;
    while let Some((start, end)) = next_word(text.as_bytes(), at) {
        if candidates.is_full() {
            return;
        }
        at = end;
        if end - start <= WORD_BYTES_MAX {
            word(parameter, start, end, candidates);
        }
    }
}

/// What is written with a scheme (RFC 3986), up to what cannot be in a URL.
fn urls(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let text = parameter.value.as_bytes();
    let mut floor = 0;
    for at in memchr::memmem::find_iter(text, b"://") {
        if candidates.is_full() {
            return;
        }
        if at < floor {
            continue;
        }
        let near = &text[at.saturating_sub(SCHEME_BYTES_MAX).max(floor)..at];
        let length = near.iter().rev().take_while(|&&byte| is_of_scheme(byte)).count();
        let first = near[near.len() - length..].iter().position(u8::is_ascii_alphabetic);
        let Some(first) = first else { continue };
        let start = at - length + first;
        let end = url_end(text, at + "://".len());
        // A scheme and nothing is no URL.
        if text[at + "://".len()..end].first().is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'[') {
            candidates.add(parameter, DataClass::Url, Form::Proof, (start, end));
        }
        floor = end;
    }
}

fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn url_end(text: &[u8], from: usize) -> usize {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`');
    let end = text[from..].iter().position(ends).map_or(text.len(), |length| from + length);
    // Punctuation behind it is the sentence's.
    let kept = text[from..end].iter().rposition(|byte| !matches!(byte, b'.' | b',' | b';' | b':' | b'!' | b')' | b']'));
    kept.map_or(from, |last| {
        let closes = text.get(from + last + 1) == Some(&b']') && text[from] == b'[';
        from + last + 1 + usize::from(closes)
    })
}

/// The next run of the signs that addresses, hashes and host names have.
fn next_word(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-') || *byte >= 0x80;
    let start = from + text[from..].iter().position(is_of_word)?;
    let end = text[start..].iter().position(|byte| !is_of_word(byte)).map_or(text.len(), |length| start + length);
    Some((start, end))
}

fn word(parameter: &Parameter<'_>, start: usize, end: usize, candidates: &mut Candidates) {
    let text = parameter.value;
    // A full stop, colon or hyphen at an end is the sentence's; two colons are an address'.
    let start = start + text[start..end].bytes().take_while(|byte| matches!(byte, b'.' | b'-')).count();
    let whole = text[start..end].trim_end_matches(['.', '-']);
    if let Some((class, form, length)) = address(whole) {
        candidates.add(parameter, class, form, (start, start + length));
        return;
    }
    let before = start.checked_sub(1).map(|before| text.as_bytes()[before]);
    let after = text.as_bytes().get(start + whole.len()).copied();
    if is_host(whole) && !matches!(before, Some(b'@' | b'/' | b'_')) && !matches!(after, Some(b'@' | b'_' | b'(')) {
        let end = match after {
            Some(b'/') => url_end(text.as_bytes(), start),
            _ => start + whole.len(),
        };
        candidates.add(parameter, DataClass::Url, Form::Fair, (start, end));
        return;
    }
    let mut from = start;
    for part in whole.split(':') {
        if let Some((class, form)) = id(part) {
            candidates.add(parameter, class, form, (from, from + part.len()));
        }
        from += part.len() + 1;
    }
}

/// An address of a host or of a device, and how much of the word it is.
fn address(word: &str) -> Option<(DataClass, Form, usize)> {
    if let Some(form) = mac_form(word) {
        return Some((DataClass::MacAddress, form, word.len()));
    }
    let without_colon = word.trim_end_matches(':');
    let host = without_colon.split_once(':').map_or(without_colon, |(host, _)| host);
    if host.parse::<Ipv4Addr>().is_ok() {
        return Some((DataClass::IpAddress, Form::Strong, host.len()));
    }
    if word.contains(':') && word.parse::<Ipv6Addr>().is_ok() {
        let groups = word.split(':').filter(|group| !group.is_empty()).count();
        let form = match groups {
            // `a::b` is a path of names, and `::` is punctuation.
            _ if !word.bytes().any(|byte| byte.is_ascii_digit()) => Form::Weak,
            ..=2 => Form::Fair,
            _ => Form::Strong,
        };
        return Some((DataClass::IpAddress, form, word.len()));
    }
    None
}

/// Six pairs with colons or hyphens (IEEE 802), or three fours with points.
fn mac_form(word: &str) -> Option<Form> {
    let is_written = |separator: char, groups: usize, length: usize| {
        word.len() == groups * (length + 1) - 1
            && word.split(separator).count() == groups
            && word.split(separator).all(|group| group.len() == length && is_hexadecimal(group))
    };
    if is_written(':', 6, 2) {
        Some(Form::Strong)
    } else if is_written('-', 6, 2) || is_written('.', 3, 4) {
        let has_letter = word.bytes().any(|byte| byte.is_ascii_alphabetic());
        Some(if has_letter { Form::Strong } else { Form::Weak })
    } else {
        None
    }
}

fn id(word: &str) -> Option<(DataClass, Form)> {
    if is_uuid(word) {
        return Some((DataClass::Uuid, Form::Proof));
    }
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    let is_hash = HASH_DIGITS.contains(&word.len())
        && is_hexadecimal(word)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic);
    is_hash.then_some((DataClass::Hash, Form::Fair))
}

/// Whether a text is a UUID (RFC 9562, section 4), whatever its version.
pub fn is_uuid(word: &str) -> bool {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    word.len() == 36 && word.split('-').map(str::len).eq(LENGTHS) && word.split('-').all(is_hexadecimal)
}

fn is_hexadecimal(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A host by its name: labels of RFC 1123, the first of them `www` or the last a domain for everybody.
fn is_host(word: &str) -> bool {
    let (name, port) = word.split_once(':').unwrap_or((word, ""));
    let is_label = |label: &str| {
        let ends = [label.as_bytes().first(), label.as_bytes().last()];
        label.len() <= 63 && !ends.contains(&None) && !ends.contains(&Some(&b'-'))
    };
    let Some((labels, top)) = name.rsplit_once('.') else {
        return false;
    };
    let is_known = TOP_DOMAINS.iter().any(|known| top.eq_ignore_ascii_case(known));
    let is_web = labels.get(..4).is_some_and(|first| first.eq_ignore_ascii_case("www.")) && top.len() >= 2;
    (is_known || is_web)
        && labels.split('.').all(is_label)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && port.bytes().all(|byte| byte.is_ascii_digit())
}
