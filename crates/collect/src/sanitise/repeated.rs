//! A value that is split over the values of a repeated header, which whoever answers puts together again.

use outrider_classify::{DataClass, Found, find_personal, is_named_after};
use outrider_model::{Field, FieldValue, Pseudonym, Text};

use super::finds::Find;
use super::redact::{Rules, found_in, personal};
use super::spans::{self, Held, Place};
use crate::lossless;
use crate::normalise::percent_decoded;
use crate::pseudonyms::Domain;

/// Values of one header that are looked at together, and their bytes.
const VALUES_MAX: usize = 16;
const BYTES_MAX: usize = 16 * 1024;

/// Replaces what begins in one value of a header and ends in a later one: a pseudonym at its beginning, nothing of it behind.
/// The values of a repeated header follow each other. Those of a name that carries credentials are left, as each is replaced as a whole.
/// Gives what was found, with the place of the value that it begins in.
pub(super) fn redact(rules: Rules<'_>, fields: &mut [Field<'_>]) -> Vec<(usize, Find)> {
    let mut finds = Vec::new();
    let mut at = 0;
    while at + 1 < fields.len() {
        let same = fields[at..].iter().take(VALUES_MAX).take_while(|field| field.name == fields[at].name).count();
        if same > 1 && !rules.is_credential_name(&fields[at].name) {
            redact_values(rules, &mut fields[at..at + same], |field, find| finds.push((at + field, find)));
        }
        at += same;
    }
    finds
}

fn redact_values(rules: Rules<'_>, fields: &mut [Field<'_>], mut take: impl FnMut(usize, Find)) {
    let mut joined = String::new();
    let mut ends = Vec::with_capacity(fields.len());
    for field in &*fields {
        let FieldValue::Clear(value) = &field.value else { return };
        joined.push_str(value);
        ends.push(joined.len());
    }
    if joined.len() > BYTES_MAX {
        return;
    }
    let crosses = |start: usize, end: usize| ends.iter().any(|&border| start < border && border < end);
    let own = own_credentials(rules, &joined, &ends);
    // A value with the first half of a key looks like a shorter key; two that look so are two keys.
    let is_of_two = |start: usize, end: usize| own.iter().filter(|&&(from, to)| from < end && start < to).count() > 1;
    let mut spans = Vec::new();
    let field_at = |start: usize| ends.partition_point(|&end| end <= start);
    for (start, end, held) in credentials(rules, &joined) {
        if crosses(start, end) && !is_of_two(start, end) {
            let value = lossless::to_bytes(&joined[start..end]);
            spans.push((start, end, rules.key.pseudonym(Domain::Credential, &value)));
            let said = percent_decoded(&joined[start..end]);
            found_in(held, &said).into_iter().for_each(|find| take(field_at(start), find));
        }
    }
    let name = &*fields[0].name;
    let own = own_values(name, &joined, &ends);
    for Found { class, start, end } in find_personal(name, &joined) {
        // Ids behind each other pass many a checksum, and two addresses are one that is nobody's.
        let is_proved = matches!(class, DataClass::Email | DataClass::Iban) || is_named_after(name, class);
        let is_free = |&(from, to): &(usize, usize)| end <= from || to <= start;
        let is_new = own.iter().all(is_free) && spans.iter().all(|&(from, to, _)| is_free(&(from, to)));
        if is_proved && is_new && crosses(start, end) {
            spans.push((start, end, personal(rules.key, class, &joined[start..end])));
            take(field_at(start), Find::of(class));
        }
    }
    if spans.is_empty() {
        return;
    }
    spans.sort_unstable_by_key(|&(start, ..)| start);
    replace(fields, &joined, &ends, &spans);
}

/// Where the text holds credentials.
fn credentials<'t>(rules: Rules<'_>, text: &'t str) -> Vec<(usize, usize, Held<'t>)> {
    let mut found = Vec::new();
    let is_name = |name: &str| rules.is_credential_name(name);
    spans::find(text, Place::of(text), is_name, |start, end, held| {
        if held != Held::User {
            found.push((start, end, held));
        }
    });
    found
}

/// Where a value alone holds one.
fn own_credentials(rules: Rules<'_>, joined: &str, ends: &[usize]) -> Vec<(usize, usize)> {
    let mut own = Vec::new();
    let mut begin = 0;
    for &end in ends {
        let found = credentials(rules, &joined[begin..end]);
        own.extend(found.into_iter().map(|(from, to, _)| (begin + from, begin + to)));
        begin = end;
    }
    own
}

/// Where a value alone holds a personal value.
fn own_values(name: &str, joined: &str, ends: &[usize]) -> Vec<(usize, usize)> {
    let mut own = Vec::new();
    let mut begin = 0;
    for &end in ends {
        let found = find_personal(name, &joined[begin..end]);
        own.extend(found.into_iter().map(|found| (begin + found.start, begin + found.end)));
        begin = end;
    }
    own
}

/// Gives each field what is left of its part of the text.
fn replace(fields: &mut [Field<'_>], joined: &str, ends: &[usize], spans: &[(usize, usize, Pseudonym)]) {
    let mut begin = 0;
    for (field, &end) in fields.iter_mut().zip(ends) {
        let mut left = String::new();
        let mut copied = begin;
        for &(from, to, pseudonym) in spans.iter().filter(|&&(from, to, _)| from < end && begin < to) {
            if from >= begin {
                left.push_str(&joined[copied..from]);
                left.push_str(&pseudonym.to_string());
            }
            copied = to.min(end);
        }
        left.push_str(&joined[copied..end]);
        field.value = FieldValue::Clear(Text::from(left));
        begin = end;
    }
}
