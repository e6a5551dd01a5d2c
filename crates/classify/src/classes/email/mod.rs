#![doc = include_str!("README.md")]

use super::{DataClass, Found};

/// Endings of pictures for dense screens, `logo@2x.png`, which are written like an address.
const PICTURES: &[&[u8]] = &[b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"avif"];

pub(super) fn find(text: &[u8], found: &mut Vec<Found>) {
    let mut floor = 0;
    for at in memchr::memchr_iter(b'@', text) {
        let Some((start, end)) = address_around(text, floor, at) else {
            continue;
        };
        found.push(Found { class: DataClass::Email, start, end });
        floor = end;
    }
}

/// No `@` is part of what is looked at on either side, so that all of them together look at each byte twice.
fn address_around(text: &[u8], floor: usize, at: usize) -> Option<(usize, usize)> {
    let local = text[floor.min(at)..at].iter().rev().take_while(|&&byte| is_of_local_part(byte)).count();
    // Neither end of a sentence nor `..`: what a dot or a sign begins is no part of it.
    let trimmed = text[at - local..at].iter().take_while(|&&byte| matches!(byte, b'.' | b'-' | b'+')).count();
    let start = at - local + trimmed;
    if start == at {
        return None;
    }
    let domain = &text[at + 1..];
    let length = domain.iter().take_while(|&&byte| is_of_domain(byte)).count();
    // A full stop or hyphen behind the domain is the sentence's.
    let kept = domain[..length].iter().rposition(|&byte| !matches!(byte, b'.' | b'-'))? + 1;
    let domain = &domain[..kept];
    is_domain(domain).then_some((start, at + 1 + kept))
}

fn is_of_local_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-') || byte >= 0x80
}

fn is_of_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80
}

fn is_domain(domain: &[u8]) -> bool {
    let Some(dot) = memchr::memrchr(b'.', domain) else {
        return false;
    };
    let (labels, top) = (&domain[..dot], &domain[dot + 1..]);
    let is_top = top.len() >= 2
        && (top.starts_with(b"xn--") || top.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80));
    let are_labels = labels.split(|&byte| byte == b'.').all(|label| !label.is_empty() && label[0] != b'-');
    is_top && are_labels && !is_picture(labels, top)
}

fn is_picture(labels: &[u8], top: &[u8]) -> bool {
    let is_scale = labels.split_last().is_some_and(|(&last, rest)| {
        matches!(last, b'x' | b'X')
            && !rest.is_empty()
            && rest.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.')
    });
    is_scale && PICTURES.iter().any(|picture| top.eq_ignore_ascii_case(picture))
}
