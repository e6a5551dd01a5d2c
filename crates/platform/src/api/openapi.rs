//! The OpenAPI 3.1 document, made of the routes and of the types in their handlers' signatures.
//!
//! Answers are described as they are written, bodies as they are read: of the same type the one may always hold a field
//! that the other may leave out. So answers share the schemas below `components`, and bodies stand where they are used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::accept::JSON;
use super::problem::{self, Kind, PROBLEM_JSON, Problem};
use super::query::Parameter;
use super::routes::{Answer, Operation, Read};
use super::scope::Reach;

/// How callers show who they are. Each name stands for itself: one of them suffices.
fn security_schemes() -> Value {
    json!({
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token that an admin made with `outrider token create` or `POST /api/v1/tokens`.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-outrider",
            "description": "The cookie that `POST /api/v1/session` sets; without TLS, on loopback, it is named \
                `outrider_session`. What changes something must come from outrider's own pages: a browser says so in \
                `Sec-Fetch-Site` or `Origin`.",
        },
    })
}

const ABOUT: &str = "outrider finds abuse of APIs in a gateway's access log, and answers it.\n\n\
    Names that end in `_ms` are milliseconds: a point in time since 1970-01-01T00:00:00Z, in `window_ms` a length. Names \
    that end in `_bytes` are bytes. Shares, confidences and probabilities go from 0 to 1.\n\n\
    Lists come in pages: `limit` says how many rows, and `next` of one page is the `cursor` of the following one. A \
    refusal is a problem (RFC 9457). Within `/api/v1` answers may get new fields, lists new values of a word, and the \
    event stream new events; what is there stays.";

/// The document as JSON.
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let operations: Vec<_> = super::routes().into_iter().flat_map(|routes| routes.operations).collect();
        format!("{:#}", document(&operations))
    });
    &TEXT
}

/// `GET /api/v1/openapi.json`
pub(super) async fn serve() -> Result<Document, Problem> {
    Ok(Document)
}

pub(super) struct Document;

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, JSON)], openapi()).into_response()
    }
}

impl Answer for Document {
    fn describe(description: &mut Description<'_>) {
        description.answer::<Map<String, Value>>(StatusCode::OK, JSON, "This document.");
    }
}

/// What one operation says, while its handler's signature is gone through.
pub(super) struct Description<'a> {
    answers: &'a mut SchemaGenerator,
    bodies: &'a mut SchemaGenerator,
    path: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: BTreeMap<u16, Value>,
    problems: BTreeMap<u16, Vec<&'static Kind>>,
    extensions: Map<String, Value>,
}

impl Description<'_> {
    /// The schema of something that outrider writes.
    pub(super) fn answer_schema<T: JsonSchema>(&mut self) -> Schema {
        self.answers.subschema_for::<T>()
    }

    /// The one parameter of the path.
    pub(super) fn path_parameter(&mut self, schema: &Schema) {
        let name = self.path.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(name, _)| name);
        self.parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }

    pub(super) fn query_parameter(&mut self, parameter: &Parameter) {
        let one = (parameter.schema)(self.answers);
        let mut value = json!({"name": parameter.name, "in": "query", "description": parameter.what, "schema": one});
        if parameter.is_list {
            value["schema"] = json!({"type": "array", "items": one});
            value["explode"] = json!(false);
        }
        self.parameters.push(value);
    }

    pub(super) fn header_parameter(&mut self, name: &str, what: &str, length_max: usize) {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": length_max});
        self.parameters.push(json!({"name": name, "in": "header", "description": what, "schema": schema}));
    }

    /// The body; it may be left out where no field is required.
    pub(super) fn body<T: JsonSchema>(&mut self) {
        let schema = self.bodies.subschema_for::<T>();
        let is_required = schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
        self.body = Some(json!({"required": is_required, "content": {JSON: {"schema": schema}}}));
    }

    pub(super) fn answer<T: JsonSchema>(&mut self, status: StatusCode, media: &str, what: &str) {
        let schema = self.answer_schema::<T>();
        let response = json!({"description": what, "content": {media: {"schema": schema}}});
        self.responses.insert(status.as_u16(), response);
    }

    pub(super) fn empty_answer(&mut self, status: StatusCode, what: &str) {
        self.responses.insert(status.as_u16(), json!({"description": what}));
    }

    pub(super) fn answer_header(&mut self, status: StatusCode, name: &str, what: &str) {
        if let Some(response) = self.responses.get_mut(&status.as_u16()) {
            response["headers"][name] = json!({"description": what, "schema": {"type": "string"}});
        }
    }

    /// Something that OpenAPI has no word for.
    pub(super) fn extension(&mut self, name: &str, value: Value) {
        self.extensions.insert(name.to_owned(), value);
    }

    /// A refusal that the caller has to reckon with.
    pub(super) fn problem(&mut self, kind: &'static Kind) {
        let kinds = self.problems.entry(kind.status.as_u16()).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
}

fn document(operations: &[Operation]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    // What is written has all its fields, so what would stand for one says nothing.
    let no_default = RecursiveTransform(|schema: &mut Schema| drop(schema.remove("default")));
    let mut answers = settings.clone().with_transform(no_default).for_serialize().into_generator();
    settings.inline_subschemas = true;
    let mut bodies = settings.for_deserialize().into_generator();
    let problem = answers.subschema_for::<Problem>();
    let tags: BTreeSet<_> = operations.iter().map(|operation| tag(operation.path)).collect();
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation, &mut answers, &mut bodies, &problem);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "outrider",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags.iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {"schemas": answers.take_definitions(true), "securitySchemes": security_schemes()},
    });
    speak_outward(&mut document);
    document
}

/// Takes out what only means something to who reads the code: formats of unsigned numbers, which OpenAPI has none of
/// (`minimum` and `maximum` say the same), the numbers of decisions, and the brackets of links.
fn speak_outward(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                fields.remove("format");
            }
            if let Some(Value::String(words)) = fields.get_mut("description") {
                *words = without_references(words);
            }
            fields.values_mut().for_each(speak_outward);
        }
        Value::Array(items) => items.iter_mut().for_each(speak_outward),
        _ => {}
    }
}

fn without_references(words: &str) -> String {
    let mut words = words.replace("[`", "`").replace("`]", "`");
    for reference in [" (decision ", " (invariant "] {
        while let Some((before, rest)) = words.split_once(reference) {
            let after = rest.split_once(')').map_or("", |(_, after)| after);
            words = format!("{before}{after}");
        }
    }
    words
}

fn describe(
    operation: &Operation,
    answers: &mut SchemaGenerator,
    bodies: &mut SchemaGenerator,
    problem: &Schema,
) -> Value {
    let mut description = Description {
        answers,
        bodies,
        path: operation.path,
        parameters: Vec::new(),
        body: None,
        responses: BTreeMap::new(),
        problems: BTreeMap::new(),
        extensions: Map::new(),
    };
    (operation.describe)(&mut description);
    for kind in [&problem::FORBIDDEN, &problem::NOT_ACCEPTABLE, &problem::INTERNAL, &problem::UNAVAILABLE] {
        description.problem(kind);
    }
    let (summary, more) = operation.words.split_once('\n').unwrap_or((operation.words, ""));
    let mut words = more.trim().to_owned();
    let mut security = json!([]);
    if let Some(role) = operation.role {
        description.problem(&problem::UNAUTHORIZED);
        let break_after = if words.is_empty() { "" } else { "\n\n" };
        words = format!("{words}{break_after}Needs the role `{role}`.");
        let schemes = security_schemes();
        security = schemes.as_object().into_iter().flat_map(Map::keys).map(|scheme| json!({scheme: []})).collect();
        description.extension("x-role", json!(role));
        let is_for_some = operation.reach != Reach::Everything;
        if !is_for_some {
            words.push_str(" Not for a token that is for some gateways only.");
        }
        description.extension("x-for-some-gateways", json!(is_for_some));
    }
    if let Read::Sensitive(what) = operation.read {
        words.push_str(" Who asks is in the audit log.");
        description.extension("x-audit", json!(what));
    }
    let mut value = json!({
        "operationId": operation.id,
        "summary": summary,
        "description": words,
        "tags": [tag(operation.path)],
        "security": security,
        "responses": responses(&description, problem),
    });
    if !description.parameters.is_empty() {
        value["parameters"] = json!(description.parameters);
    }
    if let Some(body) = description.body {
        value["requestBody"] = body;
    }
    for (name, extension) in description.extensions {
        value[name] = extension;
    }
    value
}

/// What a path is about: `alerts` of `/api/v1/alerts/{id}`.
fn tag(path: &str) -> &str {
    path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next()).unwrap_or("process")
}

fn responses(description: &Description<'_>, problem: &Schema) -> Value {
    let mut responses = Map::new();
    for (status, response) in &description.responses {
        responses.insert(status.to_string(), response.clone());
    }
    for (status, kinds) in &description.problems {
        let uris = json!({"properties": {"type": {"enum": kinds.iter().map(|kind| kind.uri).collect::<Vec<_>>()}}});
        let words: Vec<_> = kinds.iter().map(|kind| kind.what).collect();
        let schema = json!({"allOf": [problem, uris]});
        let response = json!({"description": words.join(" Or: "), "content": {PROBLEM_JSON: {"schema": schema}}});
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

#[cfg(test)]
mod tests {
    use crate::api::problem::KINDS;

    /// `UPDATE_DOCS=1` writes the table anew.
    #[test]
    fn the_page_lists_every_problem() {
        let mut table = String::from("| status | type | what |\n| --- | --- | --- |\n");
        for kind in KINDS {
            table.push_str(&format!("| {} | `{}` | {} |\n", kind.status.as_u16(), kind.uri, kind.what));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once("| status | type | what |\n").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let made = format!("{before}{table}\n{after}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), made, "run with UPDATE_DOCS=1 and look at the difference");
    }

    #[test]
    fn names_of_operations_are_used_once() {
        let routes = super::super::routes();
        let ids: Vec<_> = routes.iter().flat_map(|routes| &routes.operations).map(|operation| operation.id).collect();
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
    }
}
