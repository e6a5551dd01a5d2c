//! The grammar of templates, and templates as patterns: what a segment's text says for its parameters, and which templates
//! mean the same paths.
//!
//! A segment may have several parameters and text around them: `report-{id}.csv`, `{latitude},{longitude}`. Literal text is
//! compared without regard to ASCII case and percent-encoding, as the catalogue does; names of parameters do not matter.

use smallvec::SmallVec;

use crate::operations::path_of;
use crate::path::Path;

/// Segments of a template that are read; what is longer matches nothing.
const DEPTH_MAX: usize = 64;

/// A segment of a template: text and parameters in turn, beginning and ending with text, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    texts: Vec<String>,
    names: Vec<String>,
}

/// How two segments, the documented and the seen, relate. The lesser is the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Match {
    /// They mean the same texts.
    Same,
    /// The documented parameter covers the seen text.
    Covered,
    /// The seen parameter covers the documented text: calls of more than one documented operation may be in it.
    Blurred,
}

/// The segments of a template, without its operation; none where it has too many.
pub(crate) fn segments(template: &str) -> Vec<Segment> {
    segments_within(template, DEPTH_MAX).unwrap_or_default()
}

/// The segments of a template, without its operation; `None` where it has more than so many.
pub(crate) fn segments_within(template: &str, depth_max: usize) -> Option<Vec<Segment>> {
    let path = Path::parse(path_of(template), depth_max)?;
    Some(path.segments.iter().map(|segment| Segment::read(&segment.text)).collect())
}

impl Segment {
    /// Reads a segment, percent-decoded.
    pub fn read(text: &str) -> Segment {
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else { break };
            texts.push(before.to_owned());
            names.push(name.to_owned());
            rest = behind;
        }
        texts.push(rest.to_owned());
        Segment { texts, names }
    }

    /// The texts around its parameters, one more than there are of them.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The names of its parameters.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// As [`Segment::names`], where the rest is not needed.
    pub fn into_names(self) -> Vec<String> {
        self.names
    }

    /// As a template has it.
    pub fn written(&self) -> String {
        let mut written = self.texts[0].clone();
        for (name, text) in self.names.iter().zip(&self.texts[1..]) {
            written.push_str(&format!("{{{name}}}{text}"));
        }
        written
    }

    /// Its text where it has no parameter.
    pub fn literal(&self) -> Option<&str> {
        self.names.is_empty().then(|| self.texts[0].as_str())
    }

    /// Its parameters with their values in a segment of a path; none where the texts around them do not fit.
    pub fn values<'a>(&'a self, text: &'a str) -> SmallVec<[(&'a str, &'a str); 2]> {
        let Some(mut rest) = strip_start(text, &self.texts[0]) else { return SmallVec::new() };
        let mut values = SmallVec::new();
        for (at, name) in self.names.iter().enumerate() {
            let between = self.texts[at + 1].as_str();
            let is_last = at + 1 == self.names.len();
            let end = match (is_last, between) {
                (true, between) => strip_end(rest, between).map(str::len),
                (false, "") => rest.char_indices().nth(1).map(|(end, _)| end),
                (false, between) => rest.find(between),
            };
            let Some(end) = end else { return SmallVec::new() };
            values.push((name.as_str(), &rest[..end]));
            rest = &rest[end + between.len()..];
        }
        values
    }

    /// How this documented segment relates to a seen one.
    fn relates_to(&self, seen: &Segment) -> Option<Match> {
        match (self.literal(), seen.literal()) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other).then_some(Match::Same),
            (None, Some(text)) => self.covers(text).then_some(Match::Covered),
            (Some(text), None) => seen.covers(text).then_some(Match::Blurred),
            (None, None) if self.is_pattern_of(seen) => Some(Match::Same),
            // `{id}` seen where `report-{id}.csv` is documented, or the other way round.
            (None, None) if seen.is_whole() => Some(Match::Blurred),
            (None, None) if self.is_whole() => Some(Match::Covered),
            (None, None) => None,
        }
    }

    fn covers(&self, text: &str) -> bool {
        self.is_whole() || !self.values(text).is_empty()
    }

    /// The name of its parameter where that is one and nothing is around it.
    pub fn whole(&self) -> Option<&str> {
        match self.names.as_slice() {
            [name] if self.texts.iter().all(String::is_empty) => Some(name),
            _ => None,
        }
    }

    fn is_whole(&self) -> bool {
        self.whole().is_some()
    }

    fn is_pattern_of(&self, other: &Segment) -> bool {
        self.texts.len() == other.texts.len()
            && self.texts.iter().zip(&other.texts).all(|(one, other)| one.eq_ignore_ascii_case(other))
    }
}

/// How a documented template relates to a seen one, the worst of its segments deciding; `None` where they share no path.
pub(crate) fn relation(documented: &[Segment], seen: &[Segment]) -> Option<Match> {
    if documented.len() != seen.len() {
        return None;
    }
    let mut worst = Match::Same;
    for (documented, seen) in documented.iter().zip(seen) {
        worst = worst.max(documented.relates_to(seen)?);
    }
    Some(worst)
}

/// A template as it is compared: without names, case and a trailing slash.
pub(crate) fn normalised(segments: &[Segment]) -> String {
    let mut written = String::new();
    for segment in segments {
        written.push('/');
        written.push_str(&segment.texts.join("{}").to_ascii_lowercase());
    }
    written
}

fn strip_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let head = text.get(..start.len())?;
    head.eq_ignore_ascii_case(start).then(|| &text[start.len()..])
}

fn strip_end<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(end.len())?;
    let tail = text.get(at..)?;
    tail.eq_ignore_ascii_case(end).then(|| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_segments() {
        for (template, text, expected) in [
            ("{id}", "7", vec![("id", "7")]),
            ("report-{id}.csv", "Report-7.CSV", vec![("id", "7")]),
            ("{lat},{lon}", "1.5,2.5", vec![("lat", "1.5"), ("lon", "2.5")]),
            ("report-{id}.csv", "report-7.json", vec![]),
            ("{a}{b}", "xyz", vec![("a", "x"), ("b", "yz")]),
            ("users", "users", vec![]),
            ("{id}.json", "é", vec![]),
        ] {
            assert_eq!(segments(template)[0].values(text).to_vec(), expected, "{template} {text}");
        }
    }

    #[test]
    fn templates_relate() {
        use Match::{Blurred, Covered, Same};
        for (documented, seen, expected) in [
            ("/users/{id}", "/users/{user_id}", Some(Same)),
            ("/users/{id}/", "/Users/{user_id}", Some(Same)),
            ("/a%20b", "/a b", Some(Same)),
            ("/users/{id}", "/users/me", Some(Covered)),
            ("/users/me", "/users/{user_id}", Some(Blurred)),
            ("/report-{id}.csv", "/report-{x}.csv", Some(Same)),
            ("/report-{id}.csv", "/{id}", Some(Blurred)),
            ("/{id}", "/report-{id}.csv", Some(Covered)),
            ("/report-{id}.csv", "/{x}.json", None),
            ("/report-{id}.csv", "/report-7.json", None),
            ("/users", "/users/{id}", None),
            ("/", "", Some(Same)),
        ] {
            assert_eq!(relation(&segments(documented), &segments(seen)), expected, "{documented} {seen}");
        }
        assert_eq!(normalised(&segments("/Users/{id}/x-{a}.{b}")), "/users/{}/x-{}.{}");
    }
}
