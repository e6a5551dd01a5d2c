//! An OpenAPI 3.1 document of what was seen.
//!
//! It says what was seen and not what must be: a description gives the share of calls, ranges and figures are extensions
//! that begin with `x-outrider-`, and the shapes of bodies, which the gateway does not log, are missing. A parameter is
//! required where every one of enough calls had it; an enumeration is written where all values are known.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{Endpoint, EndpointId};
use serde_json::{Value, json};

use super::encode::{Components, Info, Operation, Parameter, Response, Schema, Server, Written};
use super::import::METHODS;
use super::sentence::{by_consumers, calls, share};
use crate::inventory::{AuthCount, AuthKind, EndpointInventory, Format, Location, ParameterInventory, ValueType};
use crate::operations::operation_of;
use crate::template::{Segment, normalised, segments};

/// Calls answered 2xx of which all must have had a parameter before it is called required.
const REQUIRED_CALLS_MIN: u64 = 20;

/// Of a hundred calls so many must have authenticated in a way before it is written, where of which kind it is is not known.
const VAGUE_PERCENT_MIN: u64 = 1;

/// What a document says of the API itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportInfo {
    /// The API's title, such as the service's name.
    pub title: String,
    /// The document's version, such as the day as of which it was written.
    pub version: String,
    /// URLs of its servers, where they are known.
    pub servers: Vec<String>,
}

/// Endpoints that are one operation: their templates mean the same paths.
struct Group<'a> {
    members: Vec<&'a (Endpoint, EndpointInventory)>,
    names: Vec<String>,
}

/// A path with its operations by method.
struct Path<'a> {
    written: String,
    names: Vec<String>,
    methods: BTreeMap<&'static str, Group<'a>>,
}

/// Writes the document of a service as JSON. The same endpoints in any order give the same bytes.
///
/// Endpoints that were never answered by the API are left out. Methods that OpenAPI does not have are listed under
/// `x-outrider-left-out`.
pub fn export(info: &ExportInfo, service: &[(Endpoint, EndpointInventory)]) -> String {
    let mut known: Vec<&(Endpoint, EndpointInventory)> = service.iter().filter(|(_, seen)| seen.known > 0).collect();
    known.sort_unstable_by_key(|(endpoint, seen)| (seen.first_seen_ms, endpoint.id));
    let mut left_out = Vec::new();
    // Of templates that differ in names, case or a slash at the end alone, the oldest is written.
    let mut groups: BTreeMap<String, Path<'_>> = BTreeMap::new();
    for member in known {
        let (endpoint, _) = member;
        let Some(method) = METHODS.into_iter().find(|method| method.eq_ignore_ascii_case(&endpoint.key.method)) else {
            left_out.push(format!("{} {}", endpoint.key.method, endpoint.key.template));
            continue;
        };
        let segments = segments(&endpoint.key.template);
        let path = groups.entry(normalised(&segments)).or_insert_with(|| {
            let (written, names) = path(&segments, endpoint.key.template.ends_with('/'));
            Path { written, names, methods: BTreeMap::new() }
        });
        let new = || Group { members: Vec::new(), names: path.names.clone() };
        let group = path.methods.entry(method).or_insert_with(new);
        group.members.push(member);
    }
    let mut schemes = BTreeMap::new();
    let mut ids = BTreeMap::new();
    let mut paths: BTreeMap<String, BTreeMap<&'static str, Operation>> = BTreeMap::new();
    for path in groups.into_values() {
        let item = paths.entry(path.written.clone()).or_default();
        for (method, group) in path.methods {
            let id = unique(operation_id(method, &path.written), &mut ids);
            item.insert(method, operation(id, &group, &mut schemes));
        }
    }
    left_out.sort_unstable();
    let written = Written {
        openapi: "3.1.0",
        info: Info {
            title: info.title.clone(),
            description:
                "Written by outrider from the calls that were seen. It says what was called and answered, not what \
                          is promised; bodies are not known."
                    .to_owned(),
            version: info.version.clone(),
        },
        servers: info.servers.iter().map(|url| Server { url: url.clone() }).collect(),
        paths,
        components: Components { security_schemes: schemes },
        left_out,
    };
    // Serialising into memory cannot fail: every key is a text.
    serde_json::to_string_pretty(&written).unwrap_or_default()
}

/// The path as it is written, with its parameters' names, which are unique in it.
fn path(segments: &[Segment], trailing_slash: bool) -> (String, Vec<String>) {
    let mut written = String::new();
    let mut names: Vec<String> = Vec::new();
    for segment in segments {
        written.push('/');
        for (at, text) in segment.texts().iter().enumerate() {
            if at > 0 {
                let mut name = segment.names()[at - 1].clone();
                while name.is_empty() || names.contains(&name) {
                    name.push_str("_2");
                }
                written.push('{');
                written.push_str(&name);
                written.push('}');
                names.push(name);
            }
            percent_encode(text, &mut written);
        }
    }
    if written.is_empty() || trailing_slash {
        written.push('/');
    }
    (written, names)
}

/// Escapes what may not stand in a path (RFC 3986, `pchar`).
fn percent_encode(text: &str, written: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            written.push(byte as char);
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// `get_orders_order_id`.
fn operation_id(method: &str, path: &str) -> String {
    let mut id = method.to_owned();
    for word in path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn unique(id: String, used: &mut BTreeMap<String, u32>) -> String {
    let mut candidate = id.clone();
    while used.contains_key(&candidate) {
        let number = used.entry(id.clone()).or_insert(1);
        *number += 1;
        candidate = format!("{id}_{number}");
    }
    used.insert(candidate.clone(), 1);
    candidate
}

fn operation(operation_id: String, group: &Group<'_>, schemes: &mut BTreeMap<String, Value>) -> Operation {
    let known: u64 = group.members.iter().map(|(_, seen)| seen.known).sum();
    let (mut parameters, mut fields) = (path_parameters(group), Vec::new());
    for ((location, _), seen) in by_name(group) {
        let parameter = parameter(&seen, group);
        if location == Location::Field { fields.push(parameter) } else { parameters.push(parameter) }
    }
    let by = match group.members.as_slice() {
        [(_, seen)] => format!(" {}", by_consumers(seen)),
        _ => String::new(),
    };
    let mut endpoints: Vec<EndpointId> = group.members.iter().map(|(endpoint, _)| endpoint.id).collect();
    endpoints.sort_unstable();
    Operation {
        operation_id,
        description: format!("Seen in {}{by}.", calls(known)),
        parameters,
        responses: responses(group),
        security: security(group, schemes),
        endpoints: endpoints.iter().map(EndpointId::to_string).collect(),
        figures: group.members.iter().map(|(_, seen)| figures(seen)).collect(),
        fields,
        operations: operations(group),
    }
}

/// The operations that have endpoints of their own, once each.
fn operations(group: &Group<'_>) -> Vec<String> {
    let found = group.members.iter().filter_map(|(endpoint, _)| operation_of(&endpoint.key.template));
    found.map(str::to_owned).collect::<BTreeSet<String>>().into_iter().collect()
}

fn figures(seen: &EndpointInventory) -> Value {
    json!({
        "endpoint": seen.endpoint,
        "calls": seen.calls,
        "known": seen.known,
        "consumers": seen.consumers,
        "first_seen_ms": seen.first_seen_ms,
        "last_seen_ms": seen.last_seen_ms,
        "latency_ms": seen.latency_ms,
        "request_bytes": seen.request_bytes,
        "response_bytes": seen.response_bytes,
        "auth": seen.auth,
    })
}

/// What was seen under a name, by location and name, of all endpoints of a group; those of the path aside.
fn by_name<'a>(group: &Group<'a>) -> BTreeMap<(Location, &'a str), Vec<&'a ParameterInventory>> {
    let mut found: BTreeMap<(Location, &str), Vec<&ParameterInventory>> = BTreeMap::new();
    for seen in group.members.iter().flat_map(|(_, seen)| &seen.parameters) {
        if seen.location != Location::Path {
            found.entry((seen.location, &seen.name)).or_default().push(seen);
        }
    }
    found
}

fn path_parameters(group: &Group<'_>) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for (at, name) in group.names.iter().enumerate() {
        // Each endpoint has its own name for the parameter at a position.
        let seen: Vec<&ParameterInventory> = group
            .members
            .iter()
            .filter_map(|(endpoint, seen)| {
                let own = segments(&endpoint.key.template).into_iter().flat_map(Segment::into_names).nth(at)?;
                seen.parameters.iter().find(|known| known.location == Location::Path && known.name == own)
            })
            .collect();
        let had: u64 = seen.iter().map(|seen| seen.calls).sum();
        let mut parameter = parameter(&seen, group);
        parameter.name.clone_from(name);
        // Each call has it, and those from before the template was as it is are not counted.
        parameter.description = format!("Seen in {} under this path.", calls(had));
        parameter.place = Location::Path.as_str();
        parameter.required = true;
        parameters.push(parameter);
    }
    parameters
}

/// A parameter as its sightings have it in common.
fn parameter(seen: &[&ParameterInventory], group: &Group<'_>) -> Parameter {
    let first = seen.first();
    let read: u64 = group.members.iter().map(|(_, seen)| seen.read).sum();
    let had: u64 = seen.iter().map(|seen| seen.calls).sum();
    let is_required = group.members.iter().all(|(_, of)| {
        of.read_ok >= REQUIRED_CALLS_MIN
            && of
                .parameters
                .iter()
                .any(|known| seen.iter().any(|seen| std::ptr::eq(*seen, known)) && known.calls_ok == of.read_ok)
    });
    let same_type =
        first.map(|first| first.value_type).filter(|known| seen.iter().all(|seen| seen.value_type == *known));
    let format =
        first.and_then(|first| first.format).filter(|known| seen.iter().all(|seen| seen.format == Some(*known)));
    let all_listed = seen.iter().all(|seen| seen.values_are_all) && same_type == Some(ValueType::String);
    let mut allowed: Vec<String> =
        if all_listed { seen.iter().flat_map(|seen| seen.values.clone()).collect() } else { Vec::new() };
    allowed.sort_unstable();
    allowed.dedup();
    let schema = Schema {
        value_type: same_type.map(ValueType::as_str),
        format: format.filter(|_| same_type == Some(ValueType::String)).and_then(standard_format),
        allowed,
        items: None,
    };
    let is_list =
        seen.iter().any(|seen| seen.repeated > 0) && first.is_some_and(|seen| seen.location == Location::Query);
    let schema = if is_list {
        Schema { value_type: Some("array"), items: Some(Box::new(schema)), ..Schema::default() }
    } else {
        schema
    };
    let ranges = || seen.iter().filter_map(|seen| seen.range);
    let range = ranges().map(|range| range.least).min().zip(ranges().map(|range| range.most).max());
    Parameter {
        name: first.map(|seen| seen.name.clone()).unwrap_or_default(),
        place: first.map_or("query", |seen| seen.location.as_str()),
        description: format!("Seen in {}.", share(had, read)),
        required: is_required,
        schema,
        range: range.map(|(least, most)| [least, most]),
        format: format.filter(|format| standard_format(*format).is_none()).map(Format::as_str),
    }
}

/// The format's name in JSON Schema and OpenAPI; `None` where they have none.
fn standard_format(format: Format) -> Option<&'static str> {
    match format {
        Format::Uuid | Format::Date | Format::DateTime | Format::Email | Format::Uri => Some(format.as_str()),
        Format::Ip | Format::Hash | Format::Token | Format::Pseudonym => None,
    }
}

fn responses(group: &Group<'_>) -> BTreeMap<String, Response> {
    let all: u64 = group.members.iter().map(|(_, seen)| seen.calls).sum();
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    for status in group.members.iter().flat_map(|(_, seen)| &seen.statuses) {
        if (100..600).contains(&status.status) {
            *counts.entry(status.status).or_default() += status.calls;
        }
    }
    let content = || {
        let types = group.members.iter().flat_map(|(_, seen)| &seen.media_types);
        types.map(|seen| (seen.name.clone(), BTreeMap::from([("schema", Schema::default())]))).collect()
    };
    let mut responses: BTreeMap<String, Response> = counts
        .into_iter()
        .map(|(status, calls)| {
            // Media types are not told apart by status; what has no body has none.
            let has_body = (200..300).contains(&status) && !matches!(status, 204 | 205);
            let content = if has_body { content() } else { BTreeMap::new() };
            (status.to_string(), Response { description: format!("Seen in {}.", share(calls, all)), content })
        })
        .collect();
    if responses.is_empty() {
        let description = "No status is known.".to_owned();
        responses.insert("default".to_owned(), Response { description, content: BTreeMap::new() });
    }
    responses
}

/// Ways of authentication that were answered 2xx, or any where none was; an empty one for calls without. One of no known kind
/// that hardly any call had, such as of a credential that the gateway's configuration did not have yet, is left out.
fn security(group: &Group<'_>, schemes: &mut BTreeMap<String, Value>) -> Vec<BTreeMap<String, [String; 0]>> {
    let all = || group.members.iter().flat_map(|(_, seen)| seen.auth.iter().map(move |auth| (seen, auth)));
    let any_ok = all().any(|(_, auth)| auth.calls_ok > 0);
    let counted = |auth: &AuthCount| if any_ok { auth.calls_ok } else { auth.calls };
    let calls: u64 = all().map(|(_, auth)| counted(auth)).sum();
    let of_kind =
        |kind: AuthKind| all().filter(|(_, auth)| auth.kind == kind).map(|(_, auth)| counted(auth)).sum::<u64>();
    let is_written = |kind: AuthKind| !kind.is_vague() || of_kind(kind) * 100 >= calls * VAGUE_PERCENT_MIN;
    let mut ways: BTreeMap<String, [String; 0]> = BTreeMap::new();
    let mut is_open = false;
    for (seen, auth) in all().filter(|(_, auth)| (auth.calls_ok > 0 || !any_ok) && is_written(auth.kind)) {
        match scheme(auth.kind, seen) {
            None => is_open = true,
            Some((name, scheme)) => {
                schemes.insert(name.clone(), scheme);
                ways.insert(name, []);
            }
        }
    }
    let open = (is_open && !ways.is_empty()).then(BTreeMap::new);
    open.into_iter().chain(ways.into_iter().map(|way| BTreeMap::from([way]))).collect()
}

/// The scheme of a way of authentication; `None` for none.
fn scheme(kind: AuthKind, seen: &EndpointInventory) -> Option<(String, Value)> {
    let header = |name: &str, description: &str| json!({ "type": "apiKey", "in": "header", "name": name, "description": description });
    let scheme = match kind {
        AuthKind::None => return None,
        AuthKind::Key => {
            let Some(carrier) = seen.key_carrier.as_ref().filter(|carrier| carrier.location != Location::Field) else {
                return Some(("key".to_owned(), header("apikey", "A key; which field carries it was not seen.")));
            };
            let place = carrier.location.as_str();
            let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
            let name: String = format!("key_{place}_{}", carrier.name).chars().map(plain).collect();
            return Some((name, json!({ "type": "apiKey", "in": place, "name": carrier.name })));
        }
        AuthKind::Basic => json!({ "type": "http", "scheme": "basic" }),
        AuthKind::Jwt => json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }),
        AuthKind::OAuth2 => {
            json!({ "type": "http", "scheme": "bearer", "description": "A token of OAuth 2; its flows are not known." })
        }
        AuthKind::Hmac => header("Authorization", "A signature of the request."),
        AuthKind::MutualTls => json!({ "type": "mutualTLS" }),
        AuthKind::Authorization => header("Authorization", "Its scheme is not known."),
        AuthKind::Session => {
            json!({ "type": "apiKey", "in": "cookie", "name": "session", "description": "A session; its name is not known." })
        }
        AuthKind::Consumer => header("apikey", "The gateway knew the consumer; how it authenticated was not seen."),
        AuthKind::Unknown => {
            header("Authorization", "The gateway checked a credential; of which kind it was is not known.")
        }
    };
    Some((kind.as_str().to_owned(), scheme))
}
