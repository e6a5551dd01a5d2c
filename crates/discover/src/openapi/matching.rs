//! Which documented operation an endpoint is.
//!
//! A document's paths begin below its servers' base paths; what the gateway sees may have the path of a route in front, or
//! lack the base path because the gateway adds it. A [`Mount`] is one such way to write a documented path as it is seen.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::Endpoint;

use super::document::{Document, DocumentedOperation};
use super::routes::Route;
use crate::template::{Match, Segment, relation, segments};

/// How documented paths are written as they are seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    /// The path of a route that the gateway takes away; empty for none.
    prefix: String,
    /// Whether the path of the server stands in front.
    with_base: bool,
}

/// A documented operation as it may be seen.
struct Candidate {
    operation: usize,
    segments: Vec<Segment>,
}

/// What an endpoint is in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A documented operation, by its number.
    Operation(usize),
    /// A documented path, by the number of one of its operations, with a method that is not documented.
    OtherMethod(usize),
    /// Calls of several documented operations may be in it.
    Blurred,
    /// Nothing that is documented.
    Nothing,
}

/// A document's operations, ready to be found.
pub(super) struct Operations<'d> {
    document: &'d Document,
    /// By how many segments their paths have.
    by_length: BTreeMap<usize, Vec<Candidate>>,
}

impl<'d> Operations<'d> {
    /// The operations as the endpoints say that they are seen: under the base paths of the document's servers, with or
    /// without the path of a route in front. Only if more endpoints are found without the base paths, those are left out.
    pub fn new(document: &'d Document, routes: &[Route], endpoints: &[&Endpoint]) -> Self {
        let mut prefixes = BTreeSet::from([String::new()]);
        prefixes.extend(routes.iter().flat_map(Route::prefixes));
        let seen: Vec<Vec<Segment>> = endpoints.iter().map(|endpoint| segments(&endpoint.key.template)).collect();
        let scored = |with_base: bool| {
            let mounts = prefixes.iter().map(|prefix| Mount { prefix: prefix.clone(), with_base });
            let scored = mounts.map(|mount| {
                let operations = Operations::under(document, std::slice::from_ref(&mount));
                let score = seen.iter().filter(|seen| operations.is_documented(seen)).count();
                (score, mount)
            });
            scored.collect::<Vec<(usize, Mount)>>()
        };
        let best = |scored: &[(usize, Mount)]| scored.iter().map(|(score, _)| *score).max().unwrap_or(0);
        let (with_base, without) = (scored(true), scored(false));
        let scored = if best(&without) > best(&with_base) { without } else { with_base };
        let are_found = best(&scored) > 0;
        let mounts: Vec<Mount> =
            scored.into_iter().filter(|(score, _)| *score > 0 || !are_found).map(|(_, mount)| mount).collect();
        Operations::under(document, &mounts)
    }

    fn under(document: &'d Document, mounts: &[Mount]) -> Self {
        let mut by_length: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
        for (operation, documented) in document.operations.iter().enumerate() {
            let bases = documented.base_paths.as_ref().unwrap_or(&document.base_paths);
            let paths: BTreeSet<String> = mounts
                .iter()
                .flat_map(|mount| {
                    let bases = if mount.with_base { bases.as_slice() } else { &[] };
                    let none = (!mount.with_base).then_some("");
                    bases
                        .iter()
                        .map(String::as_str)
                        .chain(none)
                        .map(|base| format!("{}{base}{}", mount.prefix, documented.template))
                })
                .collect();
            for path in paths {
                let segments = segments(&path);
                by_length.entry(segments.len()).or_default().push(Candidate { operation, segments });
            }
        }
        Operations { document, by_length }
    }

    /// What relates to a seen template, and how.
    fn related<'s>(&'s self, seen: &'s [Segment]) -> impl Iterator<Item = (Match, usize)> + 's {
        let candidates = self.by_length.get(&seen.len()).into_iter().flatten();
        candidates.filter_map(|candidate| Some((relation(&candidate.segments, seen)?, candidate.operation)))
    }

    fn is_documented(&self, seen: &[Segment]) -> bool {
        self.related(seen).any(|(related, _)| related != Match::Blurred)
    }

    /// What an endpoint is, and the operations that may have been called with it.
    pub fn find(&self, endpoint: &Endpoint) -> (Found, BTreeSet<usize>) {
        let seen = segments(&endpoint.key.template);
        let related: Vec<(Match, usize)> = self.related(&seen).collect();
        let has_method = |&&(_, at): &&(Match, usize)| self.operation(at).method == endpoint.key.method;
        let called = related.iter().filter(has_method).map(|&(_, at)| at);
        // The best relation, and of equal ones what is documented first.
        let best = related.iter().filter(has_method).min();
        let found = match best {
            Some((Match::Same | Match::Covered, at)) => Found::Operation(*at),
            Some(_) => Found::Blurred,
            None => match related.iter().min() {
                Some((Match::Same | Match::Covered, at)) => Found::OtherMethod(*at),
                Some(_) => Found::Blurred,
                None => Found::Nothing,
            },
        };
        let called = match found {
            // A path that is told exactly says nothing of others.
            Found::Operation(at) if best.is_some_and(|(related, _)| *related == Match::Same) => related
                .iter()
                .filter(has_method)
                .filter(|(related, _)| *related != Match::Covered)
                .map(|&(_, at)| at)
                .chain([at])
                .collect(),
            Found::Operation(at) => BTreeSet::from([at]),
            _ => called.collect(),
        };
        (found, called)
    }

    /// An operation by its number.
    pub fn operation(&self, at: usize) -> &'d DocumentedOperation {
        &self.document.operations[at]
    }
}
