//! What a document says and what was seen, side by side.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use outrider_classify::is_credential_name;
use outrider_model::{Endpoint, EndpointId, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Document, DocumentedOperation, DocumentedParameter, ParameterShape, Place, Security};
use super::matching::{Found, Operations};
use super::routes::{Route, RoutesRead, route_drift};
use super::sentence::{by_consumers, calls, grouped, share};
use crate::inventory::{
    Carrier, EndpointInventory, Location, ParameterInventory, ValueKind, ValueType, is_ignored_header, is_stray,
};

/// Known calls below which a difference may be an accident: it is [`Severity::Info`], but for an open door.
const FEW_CALLS: u64 = 5;

/// What differs. Each says which severity it has; with fewer than five calls it is info.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// Security is declared, and calls without anything that could prove who calls were answered 2xx. High; medium with
    /// fewer than five.
    Unauthenticated,
    /// Called, and not documented, unless it is not there any more. High where it changes something (no GET, HEAD or OPTIONS) or was answered 2xx without
    /// authentication, else medium.
    Shadow,
    /// A path that is documented, called with a method that is not. High where the method changes something, else medium.
    UndocumentedMethod,
    /// Deprecated, and still called. Medium.
    Zombie,
    /// A required parameter is missing in calls that were answered 2xx. Medium.
    MissingRequired,
    /// More than one value in a hundred is none of the documented type or format, or a text that several callers sent is not
    /// one of the listed ones, however often. Low.
    TypeMismatch,
    /// A parameter that is not documented. Low.
    UndocumentedParameter,
    /// Documented, and never called. Info.
    Orphan,
    /// A route that no call came by. Info.
    UnusedRoute,
    /// An endpoint that no path of a route takes. Low where it was called since the routes are as they are, else info, and then
    /// it is not there any more.
    UncoveredByRoutes,
}

/// A difference, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// What differs.
    pub kind: DriftKind,
    /// How bad it is; see [`DriftKind`].
    pub severity: Severity,
    /// The endpoint; none for what was not called.
    pub endpoint: Option<EndpointId>,
    /// Its method, or that of the operation.
    pub method: String,
    /// Its template, or that of the operation.
    pub template: String,
    /// Where the document speaks of it, as a JSON pointer.
    pub pointer: Option<String>,
    /// The parameter that it is about.
    pub parameter: Option<Carrier>,
    /// The route that it is about, or that most of the calls came by.
    pub route: Option<String>,
    /// All of it in a sentence.
    pub sentence: String,
    /// Calls that show it; for [`DriftKind::TypeMismatch`] values, and where a text is not listed different texts.
    pub calls: u64,
    /// Of so many.
    pub of: u64,
    /// Event time of the first known call of the endpoint.
    pub first_seen_ms: Option<i64>,
    /// Event time of the latest.
    pub last_seen_ms: Option<i64>,
}

impl Drift {
    /// A difference of an endpoint, to be filled in.
    pub(super) fn of(endpoint: &Endpoint, seen: &EndpointInventory) -> Drift {
        Drift {
            kind: DriftKind::Shadow,
            severity: Severity::Info,
            endpoint: Some(endpoint.id),
            method: endpoint.key.method.clone(),
            template: endpoint.key.template.clone(),
            pointer: None,
            parameter: None,
            route: None,
            sentence: String::new(),
            calls: seen.known,
            of: seen.known,
            first_seen_ms: seen.first_seen_ms,
            last_seen_ms: seen.last_seen_ms,
        }
    }
}

/// Compares what was seen of a service with its document and with the gateway's routes to it, as far as there are such.
///
/// The worst comes first; of one severity they are in the order of methods, templates, kinds, parameters, and places in the document,
/// so that the same service gives the same list.
///
/// An endpoint that no route takes, and that was not called since the routes are as they are, is not there any more. It is no shadow, no
/// undocumented method and no zombie: only that no route takes it is told of it.
/// Body fields and cookies are not compared, because calls do not show them as a document has them; no more are preflight
/// requests, and HEAD where GET is documented. Of a service and a document so large that comparing them would take too long,
/// only what was found is told, and not what is missing on either side.
pub fn drift(
    document: Option<&Document>,
    routes: Option<&RoutesRead>,
    service: &[(Endpoint, EndpointInventory)],
) -> Vec<Drift> {
    let seen = || service.iter().map(|(endpoint, seen)| (endpoint, seen));
    let uncovered = routes.map(|read| read.uncovered(seen())).unwrap_or_default();
    let mut drifts = Vec::new();
    if let Some(document) = document {
        let is_gone = |endpoint: &Endpoint, seen: &EndpointInventory| {
            uncovered.contains(&endpoint.id) && routes.is_some_and(|read| !read.is_called_since(seen))
        };
        let routes = routes.map_or(&[][..], |read| &read.routes);
        drifts.extend(document_drift(document, routes, service, is_gone));
    }
    drifts.extend(routes.into_iter().flat_map(|read| route_drift(read, &uncovered, service)));
    drifts.sort_by(|one, other| order(one).cmp(&order(other)));
    drifts
}

/// In which order differences are told.
fn order(drift: &Drift) -> impl Ord {
    let parameter = drift.parameter.as_ref().map(|carrier| (carrier.location, carrier.name.as_str()));
    let about = (drift.method.as_str(), drift.template.as_str(), drift.kind, parameter);
    (Reverse(drift.severity), about, drift.pointer.as_deref(), drift.route.as_deref(), drift.endpoint)
}

/// What a document and a service do not have in common. The paths of routes may stand in front of documented ones; `is_gone` says of
/// which endpoints there are no calls any more.
fn document_drift(
    document: &Document,
    routes: &[Route],
    service: &[(Endpoint, EndpointInventory)],
    is_gone: impl Fn(&Endpoint, &EndpointInventory) -> bool,
) -> Vec<Drift> {
    let called: Vec<&(Endpoint, EndpointInventory)> = service.iter().filter(|(_, seen)| seen.known > 0).collect();
    let endpoints: Vec<&Endpoint> = called.iter().map(|(endpoint, _)| endpoint).collect();
    let mut operations = Operations::new(document, routes, &endpoints);
    let names: BTreeMap<&str, &str> = routes.iter().map(|route| (route.id.as_str(), route.name.as_str())).collect();
    let mut drifts = Vec::new();
    let mut used = BTreeSet::new();
    for (endpoint, seen) in called {
        let (found, may_be) = operations.find(endpoint);
        used.extend(may_be);
        let mut compared = Compared { endpoint, seen, is_gone: is_gone(endpoint, seen), drifts: Vec::new() };
        match found {
            Found::Operation(at) => compared.operation(operations.operation(at)),
            Found::OtherMethod(at) => compared.other_method(operations.operation(at)),
            Found::Nothing => compared.shadow(),
            Found::Blurred => {}
        }
        let by = seen.routes.first().map(|route| route.name.as_str());
        let route = by.map(|id| names.get(id).copied().unwrap_or(id).to_owned());
        drifts.extend(compared.drifts.into_iter().map(|drift| Drift { route: route.clone(), ..drift }));
    }
    let never = document.operations.iter().enumerate().filter(|(at, _)| !operations.is_cut && !used.contains(at));
    drifts.extend(never.map(|(_, operation)| orphan(operation)));
    drifts
}

fn orphan(operation: &DocumentedOperation) -> Drift {
    let (method, template) = (operation.method.clone(), operation.template.clone());
    Drift {
        kind: DriftKind::Orphan,
        severity: Severity::Info,
        endpoint: None,
        sentence: format!("{method} {template} is documented, and was never called."),
        method,
        template,
        pointer: Some(operation.pointer.clone()),
        parameter: None,
        route: None,
        calls: 0,
        of: 0,
        first_seen_ms: None,
        last_seen_ms: None,
    }
}

/// An endpoint while it is compared.
struct Compared<'a> {
    endpoint: &'a Endpoint,
    seen: &'a EndpointInventory,
    /// It is not called any more, because no route takes its calls.
    is_gone: bool,
    drifts: Vec<Drift>,
}

impl Compared<'_> {
    fn add(&mut self, drift: Drift) {
        if self.is_gone && matches!(drift.kind, DriftKind::Shadow | DriftKind::UndocumentedMethod | DriftKind::Zombie) {
            return;
        }
        let is_few = self.seen.known < FEW_CALLS && drift.kind != DriftKind::Unauthenticated;
        let severity = if is_few { Severity::Info } else { drift.severity };
        self.drifts.push(Drift { severity, ..drift });
    }

    /// `GET /orders/{order_id}`.
    fn name(&self) -> String {
        format!("{} {}", self.endpoint.key.method, self.endpoint.key.template)
    }

    fn changes_something(&self) -> bool {
        !matches!(self.endpoint.key.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn shadow(&mut self) {
        if self.endpoint.key.method == "OPTIONS" {
            return;
        }
        let (_, open) = self.seen.unauthenticated();
        let is_bad = self.changes_something() || open > 0;
        let known = if open > 0 { format!(", {} without authentication", grouped(open)) } else { String::new() };
        let sentence = format!(
            "{} is not documented, and answered {} {}{known}.",
            self.name(),
            calls(self.seen.known),
            by_consumers(self.seen)
        );
        let severity = if is_bad { Severity::High } else { Severity::Medium };
        self.add(Drift { kind: DriftKind::Shadow, severity, sentence, ..Drift::of(self.endpoint, self.seen) });
    }

    fn other_method(&mut self, documented: &DocumentedOperation) {
        if matches!(self.endpoint.key.method.as_str(), "OPTIONS" | "HEAD") {
            return;
        }
        let sentence = format!(
            "{} answered {} {}; its path is documented, and {} is not.",
            self.name(),
            calls(self.seen.known),
            by_consumers(self.seen),
            self.endpoint.key.method
        );
        let pointer = documented.pointer.rsplit_once('/').map(|(path, _)| path.to_owned());
        let severity = if self.changes_something() { Severity::High } else { Severity::Medium };
        let drift = Drift::of(self.endpoint, self.seen);
        self.add(Drift { kind: DriftKind::UndocumentedMethod, severity, sentence, pointer, ..drift });
    }

    fn operation(&mut self, documented: &DocumentedOperation) {
        let (_, open) = self.seen.unauthenticated();
        if let Security::Required(schemes) = &documented.security
            && open > 0
        {
            let ok: u64 = self.seen.auth.iter().map(|auth| auth.calls_ok).sum();
            let sentence = format!(
                "{} asks for {}, and {} that were answered 2xx had nothing that could prove who calls.",
                self.name(),
                schemes.join(" or "),
                share(open, ok)
            );
            self.add(Drift {
                kind: DriftKind::Unauthenticated,
                severity: if open < FEW_CALLS { Severity::Medium } else { Severity::High },
                pointer: Some(documented.pointer.clone()),
                sentence,
                calls: open,
                of: ok,
                ..Drift::of(self.endpoint, self.seen)
            });
        }
        if documented.deprecated {
            let sentence = format!(
                "{} is deprecated, and was called {} times {}.",
                self.name(),
                grouped(self.seen.known),
                by_consumers(self.seen)
            );
            let pointer = Some(documented.pointer.clone());
            let drift = Drift::of(self.endpoint, self.seen);
            self.add(Drift { kind: DriftKind::Zombie, severity: Severity::Medium, sentence, pointer, ..drift });
        }
        for parameter in &documented.parameters {
            self.required(parameter);
        }
        for parameter in &self.seen.parameters {
            self.parameter(documented, parameter);
        }
    }

    fn required(&mut self, documented: &DocumentedParameter) {
        let location = match documented.place {
            Place::Query => Location::Query,
            Place::Header if !is_ignored_header(&documented.name) => Location::Header,
            _ => return,
        };
        // A credential is part of the authentication and no parameter.
        if !documented.required || documented.shape == ParameterShape::Open || self.carries_key(&documented.name) {
            return;
        }
        let with =
            self.seen.parameters.iter().filter(|seen| seen.location == location && is_named(documented, &seen.name));
        let calls_ok = with.map(|seen| seen.calls_ok).max().unwrap_or(0);
        let missing = self.seen.read_ok.saturating_sub(calls_ok);
        if missing == 0 {
            return;
        }
        let sentence = format!(
            "`{}` is required in the {} of {}, and missing in {} that were answered 2xx.",
            documented.name,
            location.as_str(),
            self.name(),
            share(missing, self.seen.read_ok)
        );
        self.add(Drift {
            kind: DriftKind::MissingRequired,
            severity: Severity::Medium,
            pointer: Some(documented.pointer.clone()),
            parameter: Some(Carrier { location, name: documented.name.clone() }),
            sentence,
            calls: missing,
            of: self.seen.read_ok,
            ..Drift::of(self.endpoint, self.seen)
        });
    }

    fn carries_key(&self, name: &str) -> bool {
        is_credential_name(name) || self.seen.key_carrier.as_ref().is_some_and(|carrier| carrier.name == name)
    }

    fn parameter(&mut self, documented: &DocumentedOperation, seen: &ParameterInventory) {
        let place = match seen.location {
            // The names of parameters in a path do not matter.
            Location::Path => return self.path_parameter(documented, seen),
            Location::Query => Place::Query,
            Location::Header => Place::Header,
            Location::Field => return,
        };
        let mut of_place = documented.parameters.iter().filter(|documented| documented.place == place);
        // Both `tag` and `tag[]` may be documented.
        let exactly = of_place.clone().find(|documented| documented.name == seen.name);
        if let Some(parameter) =
            exactly.or_else(|| of_place.clone().find(|documented| is_named(documented, &seen.name)))
        {
            return self.types(parameter, seen);
        }
        if of_place.any(|documented| documented.shape == ParameterShape::Open) || self.carries_key(&seen.name) {
            return;
        }
        let sentence = format!(
            "The {} parameter `{}` of {} is not documented, and {} had it.",
            seen.location.as_str(),
            seen.name,
            self.name(),
            share(seen.calls, self.seen.read)
        );
        self.add(Drift {
            kind: DriftKind::UndocumentedParameter,
            severity: Severity::Low,
            pointer: Some(documented.pointer.clone()),
            parameter: Some(Carrier { location: seen.location, name: seen.name.clone() }),
            sentence,
            calls: seen.calls,
            of: self.seen.read,
            ..Drift::of(self.endpoint, self.seen)
        });
    }

    fn path_parameter(&mut self, documented: &DocumentedOperation, seen: &ParameterInventory) {
        let names = |template: &str| -> Vec<String> {
            crate::template::segments(template).into_iter().flat_map(crate::template::Segment::into_names).collect()
        };
        let (ours, theirs) = (names(&self.endpoint.key.template), names(&documented.template));
        // Counted from the end, because a route's path in front may have parameters of its own.
        let from_end = ours.iter().rev().position(|name| *name == seen.name);
        let name = from_end.filter(|_| ours.len() >= theirs.len()).and_then(|at| theirs.iter().rev().nth(at));
        let parameter = name.and_then(|name| {
            documented.parameters.iter().find(|known| known.place == Place::Path && known.name == *name)
        });
        if let Some(parameter) = parameter.filter(|_| ours.len() == theirs.len()) {
            self.types(parameter, seen);
        }
    }

    fn types(&mut self, documented: &DocumentedParameter, seen: &ParameterInventory) {
        let misfits: Vec<(ValueKind, u64)> = seen
            .kinds
            .iter()
            .filter(|count| !fits(documented, count.kind) || is_no_boolean(documented, seen, count.kind))
            .map(|count| (count.kind, count.values))
            .collect();
        let others: u64 = misfits.iter().map(|(_, values)| values).sum();
        let nothing_said = seen.values_of(ValueKind::Flag) + seen.values_of(ValueKind::Empty);
        let all: u64 = seen.kinds.iter().map(|count| count.values).sum::<u64>() - nothing_said;
        let unlisted = documented.allowed.as_ref().map_or(Vec::new(), |allowed| {
            seen.values.iter().filter(|value| !allowed.contains(value)).map(String::as_str).collect()
        });
        let mut shown_by = (others, all);
        let what = match misfits.iter().max_by_key(|(_, values)| *values) {
            Some((kind, _)) if !is_stray(others, all) => {
                let kind = serde_json::to_value(kind).ok().and_then(|kind| Some(kind.as_str()?.replace('_', " ")));
                format!(
                    "{} of {} values are not, most of them {}",
                    grouped(others),
                    grouped(all),
                    kind.unwrap_or_default()
                )
            }
            _ if !unlisted.is_empty() => {
                shown_by = (unlisted.len() as u64, seen.values.len() as u64);
                format!("`{}` was sent, which is not listed", unlisted.join("`, `"))
            }
            _ => return,
        };
        let sentence = format!(
            "`{}` of {} is documented as {}; {what}.",
            documented.name,
            self.name(),
            documented_type(documented)
        );
        self.add(Drift {
            kind: DriftKind::TypeMismatch,
            severity: Severity::Low,
            pointer: Some(documented.pointer.clone()),
            parameter: Some(Carrier { location: seen.location, name: seen.name.clone() }),
            sentence,
            calls: shown_by.0,
            of: shown_by.1,
            ..Drift::of(self.endpoint, self.seen)
        });
    }
}

/// Whether a seen name is that of a documented parameter: `tag[]` of `tag`, `filter[status]` of an object `filter`.
fn is_named(documented: &DocumentedParameter, seen: &str) -> bool {
    // Both are in lower case where they are headers.
    let same = |one: &str| one == documented.name;
    let inside = seen.strip_prefix(documented.name.as_str()).is_some_and(|rest| rest.starts_with('['));
    same(seen) || seen.strip_suffix("[]").is_some_and(same) || (documented.shape == ParameterShape::Deep && inside)
}

fn documented_type(documented: &DocumentedParameter) -> String {
    if let Some(allowed) = &documented.allowed {
        return format!("one of {} values", allowed.len());
    }
    let types = documented.types.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(" or ");
    if documented.format.is_empty() { types } else { format!("{types} ({})", documented.format) }
}

/// Whether whole numbers are more than the 0 and 1 that many write for `false` and `true`.
fn is_no_boolean(documented: &DocumentedParameter, seen: &ParameterInventory, kind: ValueKind) -> bool {
    kind == ValueKind::Integer
        && documented.types == [ValueType::Boolean]
        && seen.range.is_some_and(|range| range.least < 0 || range.most > 1)
}

/// Whether a value of a kind may be one of a documented type. What is hidden may be anything.
fn fits(documented: &DocumentedParameter, kind: ValueKind) -> bool {
    use ValueKind::{Boolean, Date, DateTime, Empty, Flag, Hash, Hidden, Integer, Number, Uuid};
    if documented.types.is_empty() || matches!(kind, Flag | Empty | Hidden) {
        return true;
    }
    documented.types.iter().any(|documented_type| match documented_type {
        ValueType::Integer => kind == Integer,
        ValueType::Number => matches!(kind, Integer | Number),
        // Many write 0 and 1.
        ValueType::Boolean => matches!(kind, Boolean | Integer),
        ValueType::String => match documented.format.as_str() {
            "uuid" => matches!(kind, Uuid | Hash),
            "date" => kind == Date,
            "date-time" => matches!(kind, DateTime | Date),
            _ => true,
        },
    })
}
