//! Which documented operation an endpoint is.
//!
//! A document's paths begin below its servers' base paths; what the gateway sees may have the path of a route in front, or
//! lack the base path because the gateway adds it. A [`Mount`] is one such way to write a documented path as it is seen.
//!
//! Documents are somebody else's, and so are the paths that are called: what is written and compared is limited. Beyond a
//! limit what is not found is taken for what cannot be told apart, and not for a difference.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::Endpoint;

use super::document::{Document, DocumentedOperation};
use super::routes::Route;
use crate::template::{Match, Segment, normalised, relation, segments};

/// Paths of routes that may stand in front of documented ones; the first in order are tried.
const PREFIXES_MAX: usize = 64;

/// Bytes of documented paths as they may be seen.
const CANDIDATE_BYTES_MAX: usize = 32 << 20;

/// What a candidate takes beside the bytes of its path.
const CANDIDATE_BYTES: usize = 64;

/// Comparisons of a documented path with a seen one, over all endpoints.
const COMPARISONS_MAX: usize = 20_000_000;

/// How documented paths are written as they are seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mount {
    /// The path of a route that the gateway takes away; empty for none.
    prefix: String,
    /// Whether the path of the server stands in front.
    with_base: bool,
}

/// How the documented paths of a service may be written.
struct Mounts {
    mounts: Vec<Mount>,
    /// A documented path was seen as one of these writes it.
    are_found: bool,
    /// There are further ones.
    is_cut: bool,
}

/// A documented operation as it may be seen.
struct Candidate {
    operation: usize,
    segments: Vec<Segment>,
}

/// What an endpoint is in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
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
pub(crate) struct Operations<'d> {
    document: &'d Document,
    /// By how many segments their paths have.
    by_length: BTreeMap<usize, Vec<Candidate>>,
    comparisons_left: usize,
    /// A limit was in the way, so that what is not found may be documented.
    pub is_cut: bool,
}

impl<'d> Operations<'d> {
    /// The operations as the endpoints say that they are seen: under the base paths of the document's servers, with or
    /// without the path of a route in front. Only if more endpoints are found without the base paths, those are left out.
    pub fn new(document: &'d Document, routes: &[Route], endpoints: &[&Endpoint]) -> Self {
        let Mounts { mounts, is_cut, .. } = Mounts::of(document, routes, endpoints);
        let mut operations =
            Operations { document, by_length: BTreeMap::new(), comparisons_left: COMPARISONS_MAX, is_cut };
        let mut bytes_left = CANDIDATE_BYTES_MAX;
        operations.write(&mounts, &mut bytes_left);
        operations
    }

    /// Whether an endpoint is the operation of its candidate, or something that this covers.
    fn has(&mut self, endpoint: &Endpoint) -> bool {
        matches!(self.find(endpoint).0, Found::Operation(_))
    }

    /// Writes the paths of the operations as they may be seen, the first base of each before any second.
    fn write(&mut self, mounts: &[Mount], bytes_left: &mut usize) {
        let mut written: BTreeSet<(usize, String)> = BTreeSet::new();
        let bases_max = bases_max(self.document);
        for (mount, nth) in mounts.iter().flat_map(|mount| (0..bases_max).map(move |nth| (mount, nth))) {
            for (operation, documented) in self.document.operations.iter().enumerate() {
                let Some(base) = bases(self.document, documented, mount.with_base).nth(nth) else { continue };
                let path = format!("{}{base}{}", mount.prefix, documented.template);
                let Some(left) = bytes_left.checked_sub(CANDIDATE_BYTES + path.len()) else {
                    self.is_cut = true;
                    return;
                };
                *bytes_left = left;
                let segments = segments(&path);
                if written.insert((operation, path)) {
                    self.by_length.entry(segments.len()).or_default().push(Candidate { operation, segments });
                }
            }
        }
    }

    /// What relates to a seen template, and how; `None` where that would take too long.
    fn related(&mut self, seen: &[Segment]) -> Option<Vec<(Match, usize)>> {
        let Some(candidates) = self.by_length.get(&seen.len()) else { return Some(Vec::new()) };
        let Some(left) = self.comparisons_left.checked_sub(candidates.len()) else {
            self.is_cut = true;
            return None;
        };
        self.comparisons_left = left;
        let related = |candidate: &Candidate| Some((relation(&candidate.segments, seen)?, candidate.operation));
        Some(candidates.iter().filter_map(related).collect())
    }

    /// What an endpoint is, and the operations that may have been called with it.
    pub fn find(&mut self, endpoint: &Endpoint) -> (Found, BTreeSet<usize>) {
        let seen = segments(&endpoint.key.template);
        let Some(related) = self.related(&seen) else { return (Found::Blurred, BTreeSet::new()) };
        let has_method = |&&(_, at): &&(Match, usize)| self.operation(at).method == endpoint.key.method;
        let called = related.iter().filter(has_method).map(|&(_, at)| at);
        // The best relation, and of equal ones what is documented first.
        let best = related.iter().filter(has_method).min();
        let found = match best {
            Some((Match::Same | Match::Covered, at)) => Found::Operation(*at),
            Some(_) => Found::Blurred,
            None => match related.iter().min() {
                _ if self.is_cut => Found::Blurred,
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

impl Mounts {
    /// Those that the endpoints say; each that may be where none of them is seen.
    fn of(document: &Document, routes: &[Route], endpoints: &[&Endpoint]) -> Mounts {
        let mut prefixes = BTreeSet::from([String::new()]);
        prefixes.extend(routes.iter().flat_map(Route::prefixes));
        let is_cut = prefixes.len() > PREFIXES_MAX;
        let prefixes: Vec<String> = prefixes.into_iter().take(PREFIXES_MAX).collect();
        let seen: Vec<String> =
            endpoints.iter().map(|endpoint| normalised(&segments(&endpoint.key.template))).collect();
        let scored = |with_base: bool| {
            let documented = documented(document, with_base);
            let mounts = prefixes.iter().map(|prefix| Mount { prefix: prefix.clone(), with_base });
            mounts.map(|mount| (mount.score(&documented, &seen), mount)).collect::<Vec<(usize, Mount)>>()
        };
        let best = |scored: &[(usize, Mount)]| scored.iter().map(|(score, _)| *score).max().unwrap_or(0);
        let (with_base, without) = (scored(true), scored(false));
        let are_found = best(&with_base).max(best(&without)) > 0;
        let scored = match best(&without) > best(&with_base) {
            true => without,
            false if are_found => with_base,
            // No path is seen as it is written. Each way to write it may be the one.
            false => with_base.into_iter().chain(without).collect(),
        };
        let mounts: Vec<Mount> =
            scored.into_iter().filter(|(score, _)| *score > 0 || !are_found).map(|(_, mount)| mount).collect();
        Mounts { mounts, are_found, is_cut }
    }
}

/// The operations with their paths as they may be called: each behind every prefix behind which one of them was seen. Where
/// none was, it is the way that fits most endpoints, and of equal ones the one that is the closest to how they are written.
pub(super) fn as_called(document: &Document, routes: &[Route], endpoints: &[&Endpoint]) -> Vec<(usize, String)> {
    let Mounts { mut mounts, are_found, .. } = Mounts::of(document, routes, endpoints);
    if !are_found {
        let (mut comparisons_left, mut bytes_left) = (COMPARISONS_MAX, CANDIDATE_BYTES_MAX);
        let mut fits = |mount: &Mount| {
            let mut operations = Operations { document, by_length: BTreeMap::new(), comparisons_left, is_cut: false };
            operations.write(std::slice::from_ref(mount), &mut bytes_left);
            let count = endpoints.iter().filter(|endpoint| operations.has(endpoint)).count();
            comparisons_left = operations.comparisons_left;
            count
        };
        let counted: Vec<usize> = mounts.iter().map(&mut fits).collect();
        let best = counted.iter().max().and_then(|most| counted.iter().position(|count| count == most));
        mounts = best.map(|at| mounts.swap_remove(at)).into_iter().collect();
    }
    let mut called: BTreeSet<(usize, String)> = BTreeSet::new();
    let mut bytes_left = CANDIDATE_BYTES_MAX;
    for (at, operation) in document.operations.iter().enumerate() {
        for mount in &mounts {
            for base in bases(document, operation, mount.with_base) {
                let path = format!("{}{base}{}", mount.prefix, operation.template);
                let Some(left) = bytes_left.checked_sub(CANDIDATE_BYTES + path.len()) else {
                    return called.into_iter().collect();
                };
                bytes_left = left;
                called.insert((at, path));
            }
        }
    }
    called.into_iter().collect()
}

impl Mount {
    /// How many of the seen templates are documented ones behind its prefix. All are normalised.
    fn score(&self, documented: &BTreeSet<String>, seen: &[String]) -> usize {
        let prefix = normalised(&segments(&self.prefix));
        let is_documented =
            |seen: &&String| seen.strip_prefix(&prefix).is_some_and(|behind| documented.contains(behind));
        seen.iter().filter(is_documented).count()
    }
}

/// The paths of a document, normalised; beyond the limit the rest is left out.
fn documented(document: &Document, with_base: bool) -> BTreeSet<String> {
    let mut bytes = 0;
    let paths = document.operations.iter().flat_map(|operation| {
        bases(document, operation, with_base).map(|base| format!("{base}{}", operation.template))
    });
    let paths = paths.take_while(|path| {
        bytes += CANDIDATE_BYTES + path.len();
        bytes <= CANDIDATE_BYTES_MAX
    });
    paths.map(|path| normalised(&segments(&path))).collect()
}

/// The base paths that an operation may be seen under.
fn bases<'d>(
    document: &'d Document,
    operation: &'d DocumentedOperation,
    with_base: bool,
) -> impl Iterator<Item = &'d str> {
    let bases = operation.base_paths.as_ref().unwrap_or(&document.base_paths);
    let (bases, none) = if with_base { (bases.as_slice(), None) } else { (&[][..], Some("")) };
    bases.iter().map(String::as_str).chain(none)
}

/// The most base paths that an operation has, one at least.
fn bases_max(document: &Document) -> usize {
    let own = document.operations.iter().filter_map(|operation| operation.base_paths.as_ref()).map(Vec::len);
    own.max().unwrap_or(0).max(document.base_paths.len()).max(1)
}

#[cfg(test)]
mod tests {
    use outrider_model::{EndpointId, EndpointKey};

    use super::*;

    fn endpoint(at: usize, template: &str) -> Endpoint {
        let key = EndpointKey {
            gateway: String::new(),
            workspace: String::new(),
            service: String::new(),
            method: "GET".to_owned(),
            template: template.to_owned(),
        };
        Endpoint {
            id: EndpointId(at as u64),
            key,
            service_name: String::new(),
            provisional: false,
            merged_into: None,
            explanation: String::new(),
            calls: 1,
            first_seen_ms: 0,
            last_seen_ms: 0,
            confidence: 1.0,
            observations: 1,
            ignored: false,
        }
    }

    /// A document as one is kept that has as much of everything as it may.
    fn hostile() -> Document {
        let operation = |at: usize| DocumentedOperation {
            method: "GET".to_owned(),
            template: format!("/{{a}}/{{b}}/{}{at}", "x".repeat(400)),
            pointer: String::new(),
            operation_id: String::new(),
            deprecated: false,
            base_paths: None,
            parameters: Vec::new(),
            security: super::super::document::Security::None,
        };
        let base_paths = (0..16).map(|at| format!("/v{at}")).collect();
        Document { base_paths, operations: (0..10_000).map(operation).collect(), ..Document::default() }
    }

    #[test]
    fn a_hostile_document_costs_no_more_than_it_may() {
        let document = hostile();
        let routes: Vec<Route> =
            (0..200).map(|at| Route { paths: vec![format!("/r{at}")], ..Route::default() }).collect();
        let endpoints: Vec<Endpoint> = (0..400).map(|at| endpoint(at, &format!("/v3/a/{at}/c{at}"))).collect();
        let seen: Vec<&Endpoint> = endpoints.iter().collect();
        let mut operations = Operations::new(&document, &routes, &seen);
        assert!(operations.is_cut, "200 routes are more than are tried");
        let candidates = || operations.by_length.values().flatten();
        let count = candidates().count();
        assert!(count * (CANDIDATE_BYTES + 400) <= CANDIDATE_BYTES_MAX, "{count} candidates");
        // Each operation is there once before one is there twice.
        let first: BTreeSet<usize> = candidates().map(|candidate| candidate.operation).collect();
        assert_eq!(first.len(), document.operations.len());
        let found: BTreeSet<String> =
            endpoints.iter().map(|endpoint| format!("{:?}", operations.find(endpoint).0)).collect();
        // What is not looked for is no difference.
        assert_eq!(found, BTreeSet::from(["Blurred".to_owned()]));
        assert!(operations.comparisons_left < count, "the limit on comparisons was reached");
        let called: usize =
            as_called(&document, &routes, &seen).iter().map(|(_, path)| CANDIDATE_BYTES + path.len()).sum();
        assert!(called <= CANDIDATE_BYTES_MAX, "{called} bytes");
    }
}
