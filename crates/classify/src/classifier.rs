//! Which classes of data a parameter's value is of, and how sure that is.
//!
//! Each family is asked for what it finds; what is found is weighed as module `evidence` says; of values that overlap the
//! likelier stays, then the longer. A URL is told beside what stands in it, since the address in a link is somebody's all the same.
//!
//! Nothing is kept from one value to the next: what many values of a field say together is decided elsewhere.

use crate::candidates::{Candidate, Candidates};
use crate::classes::{DataClass, Family};
use crate::custom::CustomClasses;
use crate::evidence::Because;
use crate::parameter::Parameter;

/// Of a longer value only the first bytes are read.
pub const CLASSIFIED_BYTES_MAX: usize = 64 * 1024;

/// A class, ours or one of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class<'c> {
    /// One that outrider knows.
    Known(DataClass),
    /// One of the settings, by its name.
    Custom(&'c str),
}

impl<'c> Class<'c> {
    /// Its name in outputs.
    pub fn as_str(self) -> &'c str {
        match self {
            Class::Known(class) => class.as_str(),
            Class::Custom(name) => name,
        }
    }

    /// The family of one that outrider knows.
    pub fn family(self) -> Option<Family> {
        match self {
            Class::Known(class) => Some(class.family()),
            Class::Custom(_) => None,
        }
    }
}

/// A value of a class in the value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classified<'c> {
    /// What it is.
    pub class: Class<'c>,
    /// How sure that is: of a hundred fields with the same evidence, the hundredth part of those that we expect to hold the class.
    /// At least 0.3, at most 0.99.
    pub confidence: f32,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
    /// What spoke for it.
    pub because: Because,
}

impl Classified<'_> {
    /// Whether it counts as one of the class, and is not only likely to be.
    pub fn is_decided(&self) -> bool {
        self.confidence >= crate::CONFIDENCE_DECIDED
    }
}

/// What the value of a parameter is, in order and without overlap but for what stands in a URL. `context` has words of the path, or
/// is empty; so is the name of what has none.
pub fn classify(name: &str, value: &str, context: &[&str]) -> Vec<Classified<'static>> {
    static NONE: CustomClasses = CustomClasses::none();
    NONE.classify(name, value, context)
}

impl CustomClasses {
    /// As [`classify`](fn@crate::classify), with these classes besides.
    pub fn classify(&self, name: &str, value: &str, context: &[&str]) -> Vec<Classified<'_>> {
        let value = cut(value);
        let mut found = Vec::new();
        self.find(name, value, context, |candidate| found.push(candidate));
        let parameter = Parameter::new(name, value, context);
        for family in Family::ALL {
            let mut candidates = Candidates::default();
            (family.member().find)(&parameter, &mut candidates);
            found.extend(candidates.take().into_iter().map(known));
        }
        resolved(found)
    }
}

fn known<'c>(candidate: Candidate<DataClass>) -> Classified<'c> {
    let Candidate { class, confidence, start, end, because } = candidate;
    Classified { class: Class::Known(class), confidence, start, end, because }
}

/// As much of a value as is read.
fn cut(value: &str) -> &str {
    let mut end = value.len().min(CLASSIFIED_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// Of values that overlap the likeliest; a URL and what stands in it are apart.
fn resolved(mut found: Vec<Classified<'_>>) -> Vec<Classified<'_>> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by(|one, other| {
        let by_length = |found: &Classified<'_>| std::cmp::Reverse(found.end - found.start);
        other
            .confidence
            .total_cmp(&one.confidence)
            .then(by_length(one).cmp(&by_length(other)))
            .then(one.start.cmp(&other.start))
            .then(one.class.cmp(&other.class))
    });
    let mut kept: Vec<Classified<'_>> = Vec::with_capacity(found.len());
    for candidate in found {
        let is_url = |found: &Classified<'_>| found.class == Class::Known(DataClass::Url);
        let is_taken = kept.iter().any(|other| {
            let overlaps = candidate.start < other.end && other.start < candidate.end;
            overlaps && is_url(&candidate) == is_url(other)
        });
        if !is_taken {
            kept.push(candidate);
        }
    }
    kept.sort_by(|one, other| {
        one.start.cmp(&other.start).then(other.end.cmp(&one.end)).then(one.class.cmp(&other.class))
    });
    kept
}
