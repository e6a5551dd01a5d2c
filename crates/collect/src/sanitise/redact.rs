//! What must not leave in clear of a text: credentials and personal values become pseudonyms, the rest stays.
//!
//! Decides in which order a text is looked at. Credentials first, as their ends are those of the text as it stands; then the
//! same text without one layer of escapes, because `%20alice@corp.example` has an address that begins behind the escape; then
//! the personal values of the text as it stands, and what is in base64. A span that overlaps an earlier one is left out. What
//! that leaves is found in another round over the result, so that in the end nothing more is found.
//!
//! The work is bounded: each look is linear, layers and rounds are counted. A text with deeper nesting than that keeps what
//! is in its core.

use outrider_classify::{DataClass, Found, find_personal, is_credential_name};
use outrider_model::Pseudonym;
use smallvec::{SmallVec, smallvec};

use super::finds::{Find, Finds};
use super::spans::{self, Held, Place};
use super::views::{View, for_each_base64};
use crate::lossless;
use crate::normalise::percent_decoded;
use crate::pseudonyms::{Domain, PseudonymKey};

/// Layers of encoding that are taken off.
const LAYERS_MAX: usize = 4;

/// Looks at a text of which something was replaced, until there is nothing more.
const ROUNDS_MAX: usize = 4;

/// A shorter text is no address and has no credential: `a@b.co`, `pw=x`.
const TEXT_BYTES_MIN: usize = 4;

/// Length of a pseudonym's text.
const PSEUDONYM_BYTES: usize = 40;

/// With what values are replaced, and which names carry credentials besides those that all know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'k> {
    pub(super) key: &'k PseudonymKey,
    pub(super) key_names: &'k [String],
}

impl Rules<'_> {
    pub(super) fn is_credential_name(self, name: &str) -> bool {
        is_credential_name(name) || self.key_names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// What is left of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redacted {
    /// All of it was one value.
    Whole(Pseudonym),
    /// A part of it was.
    Text(String),
}

impl Redacted {
    pub(super) fn into_text(self) -> String {
        match self {
            Redacted::Whole(pseudonym) => pseudonym.to_string(),
            Redacted::Text(text) => text,
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Credentials and personal values.
    Everything,
    /// Credentials alone, for a field that an operator keeps.
    Credentials,
}

/// The text of a field of this name with its spans replaced; `None` if it has none. What was found in it waits in `finds`.
pub(super) fn redact(
    rules: Rules<'_>,
    name: &str,
    text: &str,
    place: Place,
    scope: Scope,
    finds: &mut Finds,
) -> Option<Redacted> {
    if text.len() < TEXT_BYTES_MIN {
        return None;
    }
    let search = Search { rules, name, scope };
    let mut spans = Vec::new();
    search.look(text, place, LAYERS_MAX, &mut spans);
    if let [Span { start: 0, end, by: By::Pseudonym(pseudonym), .. }] = spans[..]
        && end == text.len()
    {
        spans[0].found.iter().for_each(|find| finds.add(*find));
        return Some(Redacted::Whole(pseudonym));
    }
    if spans.is_empty() {
        return None;
    }
    let mut text = replaced(text, spans, |find| finds.add(find));
    for _ in 1..ROUNDS_MAX {
        let mut more = Vec::new();
        search.look(&text, place, LAYERS_MAX, &mut more);
        if more.is_empty() {
            break;
        }
        text = replaced(&text, more, |find| finds.add(find));
    }
    Some(Redacted::Text(text))
}

/// The pseudonym of a personal value of a known class.
pub(super) fn personal(key: &PseudonymKey, class: DataClass, value: &str) -> Pseudonym {
    key.pseudonym(Domain::Personal, &lossless::to_bytes(&class.canonical(value)))
}

/// A part of a text and what comes in its place.
#[derive(Debug)]
struct Span {
    start: usize,
    end: usize,
    by: By,
    /// What stood there; in base64 it may be several values.
    found: SmallVec<[Find; 1]>,
}

#[derive(Debug)]
enum By {
    Pseudonym(Pseudonym),
    Text(String),
}

struct Search<'k> {
    rules: Rules<'k>,
    name: &'k str,
    scope: Scope,
}

impl Search<'_> {
    fn look(&self, text: &str, place: Place, layers: usize, spans: &mut Vec<Span>) {
        spans::find(
            text,
            place,
            |name| self.rules.is_credential_name(name),
            |start, end, held| {
                let value = percent_decoded(&text[start..end]);
                let is_wanted = held != Held::User || self.scope == Scope::Everything;
                if is_wanted && !self.holds_pseudonym(&value) {
                    let pseudonym = match held {
                        Held::User => self.rules.key.personal("", &value),
                        _ => self.rules.key.pseudonym(Domain::Credential, &lossless::to_bytes(&value)),
                    };
                    let found = found_in(held, &value);
                    spans.push(Span { start, end, by: By::Pseudonym(pseudonym), found });
                }
            },
        );
        if layers > 0
            && let Some(view) = View::decoded(text)
        {
            add(spans, self.in_view(&view, place, layers - 1));
        }
        if self.scope == Scope::Everything {
            add(spans, self.personal_values(text));
        }
        if layers > 0 {
            add(spans, self.in_base64(text, layers - 1));
        }
    }

    fn personal_values(&self, text: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        for Found { class, start, end } in find_personal(self.name, text) {
            let value = &text[start..end];
            if !self.holds_pseudonym(value) {
                let by = By::Pseudonym(personal(self.rules.key, class, value));
                spans.push(Span { start, end, by, found: smallvec![Find::of(class)] });
            }
        }
        spans
    }

    /// The spans of a text without one layer of escapes, where they stand with it.
    fn in_view(&self, view: &View, place: Place, layers: usize) -> Vec<Span> {
        // A path stays one; any other text may turn out to be a URL.
        let place = if place == Place::Path { place } else { Place::of(&view.text) };
        let mut spans = Vec::new();
        self.look(&view.text, place, layers, &mut spans);
        for span in &mut spans {
            (span.start, span.end) = view.origin(span.start, span.end);
        }
        spans
    }

    fn in_base64(&self, text: &str, layers: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        for_each_base64(text, |found| {
            let mut inner = Vec::new();
            self.look(&found.text, Place::of(&found.text), layers, &mut inner);
            let finds = inner.iter().flat_map(|span| span.found.iter().copied()).collect();
            let by = match inner[..] {
                [] => return,
                [Span { start: 0, end, by: By::Pseudonym(pseudonym), .. }] if end == found.text.len() => {
                    By::Pseudonym(pseudonym)
                }
                _ => By::Text(found.encode(&replaced(&found.text, inner, |_| ()))),
            };
            spans.push(Span { start: found.start, end: found.end, by, found: finds });
        });
        spans
    }

    /// What is a pseudonym of this key already stays one.
    fn holds_pseudonym(&self, value: &str) -> bool {
        memchr::memmem::find_iter(value.as_bytes(), b"ps_").any(|at| {
            let pseudonym = value.get(at..at + PSEUDONYM_BYTES).and_then(|text| text.parse::<Pseudonym>().ok());
            pseudonym.is_some_and(|pseudonym| pseudonym.key == self.rules.key.id())
        })
    }
}

/// Adds those of the spans that overlap none that is there. All stay in order.
fn add(spans: &mut Vec<Span>, mut more: Vec<Span>) {
    if more.is_empty() {
        return;
    }
    more.sort_by_key(|span| span.start);
    more.dedup_by(|later, earlier| later.start < earlier.end);
    more.retain(|span| {
        let at = spans.partition_point(|other| other.end <= span.start);
        span.start < span.end && spans.get(at).is_none_or(|behind| span.end <= behind.start)
    });
    spans.append(&mut more);
    spans.sort_by_key(|span| span.start);
}

/// What is credential by its look or by the name before it. A name beside a host is somebody's, and may be a mail address.
pub(super) fn found_in(held: Held<'_>, value: &str) -> SmallVec<[Find; 1]> {
    match held {
        Held::Named(name) => smallvec![Find::named_credential(&percent_decoded(name), value)],
        Held::Password => smallvec![Find::credential(value, || DataClass::Password)],
        Held::Token => smallvec![Find::credential(value, || DataClass::AccessToken)],
        Held::User => find_personal("", value).into_iter().map(|found| Find::of(found.class)).collect(),
    }
}

/// The text with something else in place of its spans. What was found in them goes to `take`, with the segment of the path
/// in which it stands, should it be one.
fn replaced(text: &str, spans: Vec<Span>, mut take: impl FnMut(Find)) -> String {
    let mut out = String::with_capacity(text.len() + PSEUDONYM_BYTES * spans.len());
    let mut copied = 0;
    let (mut counted, mut slashes) = (0, 0);
    for Span { start, end, by, found } in spans {
        out.push_str(&text[copied..start]);
        slashes += memchr::memchr_iter(b'/', &out.as_bytes()[counted..]).count();
        counted = out.len();
        // The first segment is that behind the first slash.
        let segment = slashes.saturating_sub(usize::from(out.starts_with('/')));
        found.into_iter().for_each(|find| take(find.in_segment(segment)));
        match by {
            By::Pseudonym(pseudonym) => out.push_str(&pseudonym.to_string()),
            By::Text(text) => out.push_str(&text),
        }
        copied = end;
    }
    out.push_str(&text[copied..]);
    out
}
