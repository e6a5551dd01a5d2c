//! Documents in, differences, documents out.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::collections::BTreeSet;

use outrider_discover::inventory::{
    AuthCount, AuthKind, Carrier, EndpointInventory, Format, KindCount, Location, MediaTypeCount, NamedCount,
    ParameterInventory, StatusCount, ValueKind, ValueRange, ValueType,
};
use outrider_discover::openapi::{
    Document, DocumentError, Drift, DriftKind, ExportInfo, Limits, ParameterShape, Place, Route, RoutesRead, Security,
    drift, export,
};
use outrider_model::{Endpoint, EndpointId, EndpointKey, Severity};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::shared;

type Seen = (Endpoint, EndpointInventory);

fn read(document: &Value) -> Document {
    Document::read(document.to_string().as_bytes(), &Limits::default()).unwrap()
}

/// An endpoint with 100 calls of authenticated consumers.
fn seen(id: u64, method: &str, template: &str) -> Seen {
    let endpoint = Endpoint {
        id: EndpointId(id),
        key: EndpointKey {
            gateway: "kong".to_owned(),
            workspace: String::new(),
            service: "svc".to_owned(),
            method: method.to_owned(),
            template: template.to_owned(),
        },
        service_name: "service".to_owned(),
        provisional: false,
        merged_into: None,
        explanation: String::new(),
        calls: 100,
        first_seen_ms: 1000,
        last_seen_ms: 2000,
        confidence: 0.9,
        observations: 20,
        ignored: false,
    };
    let inventory = EndpointInventory {
        endpoint: EndpointId(id),
        calls: 100,
        known: 100,
        read: 100,
        read_ok: 100,
        first_seen_ms: Some(1000),
        last_seen_ms: Some(2000),
        statuses: vec![StatusCount { status: 200, calls: 100 }],
        auth: vec![AuthCount { kind: AuthKind::Consumer, calls: 100, calls_ok: 100 }],
        key_carrier: None,
        consumers: 7,
        request_bytes: None,
        response_bytes: None,
        latency_ms: None,
        media_types: vec![MediaTypeCount { name: "application/json".to_owned(), measured: 100 }],
        routes: vec![NamedCount { name: "r1".to_owned(), calls: 100 }],
        parameters: vec![],
        versions: vec![],
        signs: vec![],
        jwt_lifetime_s: None,
        data_classes: vec![],
        class_senders: vec![],
    };
    (endpoint, inventory)
}

fn parameter(location: Location, name: &str, kind: ValueKind, calls: u64) -> ParameterInventory {
    ParameterInventory {
        location,
        name: name.to_owned(),
        calls,
        calls_ok: calls,
        repeated: 0,
        value_type: match kind {
            ValueKind::Integer => ValueType::Integer,
            ValueKind::Number => ValueType::Number,
            ValueKind::Boolean => ValueType::Boolean,
            _ => ValueType::String,
        },
        format: (kind == ValueKind::Uuid).then_some(Format::Uuid),
        kinds: vec![KindCount { kind, values: calls }],
        range: None,
        values: vec![],
        values_are_all: false,
        first_seen_ms: 1000,
        last_seen_ms: 2000,
    }
}

fn with(mut seen: Seen, parameters: Vec<ParameterInventory>) -> Seen {
    seen.1.parameters = parameters;
    seen
}

fn kinds(drifts: &[Drift]) -> Vec<(DriftKind, Severity)> {
    drifts.iter().map(|drift| (drift.kind, drift.severity)).collect()
}

fn document(paths: Value) -> Document {
    read(&json!({ "openapi": "3.1.0", "info": { "title": "T", "version": "1" }, "paths": paths }))
}

#[test]
fn documents_of_real_apis_are_read_whole() {
    let Some(folder) = shared("data/discovery/openapi") else { return };
    let mut documents = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let started = std::time::Instant::now();
        let document = Document::read(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let elapsed = started.elapsed();
        // Counted by hand, so that nothing is lost.
        let raw: Value = serde_json::from_slice(&bytes).unwrap();
        let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        let items = raw["paths"].as_object().unwrap();
        let expected: usize =
            items.values().map(|item| methods.iter().filter(|m| item.get(**m).is_some()).count()).sum();
        let title = raw["info"]["title"].as_str().unwrap();
        assert_eq!((document.operations.len(), document.title.as_str()), (expected, title), "{path:?}");
        let parameters: usize = document.operations.iter().map(|operation| operation.parameters.len()).sum();
        println!(
            "{:<32} {expected:>5} operations {parameters:>6} parameters {:>3} warnings {elapsed:?}",
            path.file_name().unwrap().to_string_lossy(),
            document.warnings.len()
        );
        for warning in document.warnings.iter().take(3) {
            println!("    {}: {}", warning.pointer, warning.what);
        }
        assert!(document.warnings.len() < 20, "{path:?}: {:#?}", document.warnings);
        // Nothing of a document differs from itself.
        let called: Vec<Seen> = document
            .operations
            .iter()
            .enumerate()
            .map(|(at, operation)| {
                let base = operation.base_paths.as_ref().unwrap_or(&document.base_paths)[0].clone();
                let mut seen = seen(at as u64, &operation.method, &format!("{base}{}", operation.template));
                seen.1.read_ok = 0;
                seen
            })
            .collect();
        let found = drift(Some(&document), None, &called);
        let wrong: Vec<&Drift> =
            found.iter().filter(|drift| drift.kind != DriftKind::Zombie && drift.kind != DriftKind::Orphan).collect();
        assert!(wrong.is_empty(), "{path:?}: {wrong:#?}");
        documents += 1;
    }
    assert_eq!(documents, 27);
}

#[test]
fn a_document_is_read_in_json_and_in_yaml_alike() {
    let yaml = "
openapi: 3.0.3
info: { title: Orders, version: 1.2 }
servers:
  - url: https://{region}.example.org/{base}/
    variables: { region: { default: eu }, base: { default: v1 } }
security: [ { key: [] } ]
components:
  securitySchemes: { key: { type: apiKey, in: header, name: x-key } }
  parameters:
    Page: &page { name: page, in: query, schema: { $ref: '#/components/schemas/Size' } }
  schemas:
    Size: { type: integer, minimum: 1 }
paths:
  /orders/{id}:
    parameters:
      - { name: id, in: path, required: true, schema: { type: string, format: uuid } }
      - { name: X-Trace, in: header, schema: { type: string } }
    get:
      operationId: getOrder
      deprecated: true
      parameters:
        - $ref: '#/components/parameters/Page'
        - { name: sort, in: query, required: true, schema: { type: string, enum: [asc, desc] } }
        - { name: tag, in: query, schema: { type: array, items: { type: string } } }
        - { name: ids, in: query, explode: false, schema: { type: array, items: { type: integer } } }
        - { name: filter, in: query, style: deepObject, schema: { type: object } }
        - { name: Authorization, in: header, schema: { type: string } }
        - { name: x-trace, in: header, required: true, schema: { type: integer } }
      responses: { 200: { description: ok } }
    post:
      security: []
      responses: { 200: { description: ok } }
    put:
      security: [ {}, { key: [] } ]
      servers: [ { url: /other } ]
      responses: { 200: { description: ok } }
  x-internal: 1
";
    let document = Document::read(yaml.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(document.warnings, []);
    assert_eq!((document.title.as_str(), document.base_paths.as_slice()), ("Orders", ["/v1".to_owned()].as_slice()));
    let [get, put, post] = document.operations.as_slice() else { panic!("{:#?}", document.operations) };
    assert_eq!(
        (get.operation_id.as_str(), get.deprecated, get.pointer.as_str()),
        ("getOrder", true, "/paths/~1orders~1{id}/get")
    );
    assert_eq!(get.security, Security::Required(vec!["key".to_owned()]));
    assert_eq!((&post.security, &put.security), (&Security::None, &Security::Optional(vec!["key".to_owned()])));
    assert_eq!(put.base_paths, Some(vec!["/other".to_owned()]));
    let told: Vec<_> =
        get.parameters.iter().map(|known| (known.place, known.name.as_str(), known.required, known.shape)).collect();
    use ParameterShape::{Deep, Joined, One, Repeated};
    let expected = [
        (Place::Query, "page", false, One),
        (Place::Query, "sort", true, One),
        (Place::Query, "tag", false, Repeated),
        (Place::Query, "ids", false, Joined),
        (Place::Query, "filter", false, Deep),
        (Place::Header, "x-trace", true, One),
        (Place::Path, "id", true, One),
    ];
    assert_eq!(told, expected);
    assert_eq!(get.parameters[0].types, [ValueType::Integer]);
    assert_eq!(get.parameters[0].pointer, "/components/parameters/Page");
    assert_eq!(get.parameters[1].allowed, Some(vec!["asc".to_owned(), "desc".to_owned()]));
    assert!(get.parameters[3].types.is_empty());
    assert_eq!(get.parameters[6].format, "uuid");
    // The same in JSON.
    let json = serde_json::to_vec(&json!({
        "openapi": "3.0.3",
        "paths": { "/orders/{id}": { "get": { "parameters": [
            { "name": "size", "in": "query", "schema": { "type": ["integer", "null"] } },
            { "name": "kind", "in": "query", "schema": { "anyOf": [{ "type": "boolean" }, { "const": "all", "type": "string" }] } },
            { "name": "any", "in": "query" },
        ] } } },
    }));
    let document = Document::read(&json.unwrap(), &Limits::default()).unwrap();
    let types: Vec<_> = document.operations[0].parameters.iter().map(|known| known.types.clone()).collect();
    assert_eq!(types, [vec![ValueType::Integer], vec![ValueType::Boolean, ValueType::String], vec![]]);
}

#[test]
fn an_error_says_what_where_and_what_to_do() {
    let limits = Limits { bytes_max: 5000, depth_max: 20, ..Limits::default() };
    let deep_json = format!("{{\"a\": {}1{}}}", "[".repeat(50), "]".repeat(50));
    let deeper_json = format!("{{\"a\": {}", "[".repeat(2000));
    let deep_yaml = format!("openapi: {}1{}", "[".repeat(50), "]".repeat(50));
    let long = "x".repeat(5001);
    for (text, expected) in [
        (long.as_str(), "has 5001 bytes, and 5000 are read at most"),
        ("{\n\"openapi\": ,\n}", "is no JSON: expected value at line 2 column 12"),
        ("openapi: 3.0.0\npaths: [\n", "is no YAML: "),
        (&deep_json, "nested more than 20 deep"),
        (&deeper_json, "is no JSON: recursion limit exceeded"),
        (&deep_yaml, "is no YAML: "),
        ("{\"info\": {}}", "has no `openapi` at its top"),
        ("just a text", "has no `openapi` at its top"),
        ("", "has no `openapi` at its top"),
        ("{\"swagger\": \"2.0\"}", "is of version `2.0`, and 3.0 and 3.1 are read"),
        ("openapi: 3.2\npaths: {}", "is of version `3.2`"),
        ("openapi: 3.10.0\npaths: {}", "is of version `3.10.0`"),
        ("openapi: 3.1.0", "has no object `paths` at `/paths`"),
    ] {
        let error = Document::read(text.as_bytes(), &limits).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert_eq!(Document::read(b"{\xff", &limits), Err(DocumentError::NotText { at: 1 }));
}

#[test]
fn a_broken_part_costs_nothing_beside_it() {
    let circle = json!({ "$ref": "#/components/parameters/A" });
    let document = read(&json!({
        "openapi": "3.1.0",
        "components": { "parameters": { "A": circle } },
        "paths": {
            "orders": { "get": {} },
            "/list": [],
            "/text": { "get": "oops" },
            "/far": { "$ref": "other.yaml#/x" },
            "/nowhere": { "get": { "parameters": [{ "$ref": "#/components/parameters/B" }] } },
            "/circle": { "get": { "parameters": [{ "$ref": "#/components/parameters/A" }] } },
            "/odd": { "get": { "parameters": [{ "name": "a", "in": "body" }, { "in": "query" }, 7, { "name": "b", "in": "query" }],
                "security": [{ "none": [] }, 3] } },
            "/good": { "get": { "operationId": "good" } },
        },
    }));
    let read: Vec<_> =
        document.operations.iter().map(|known| (known.template.as_str(), known.parameters.len())).collect();
    assert_eq!(read, [("/circle", 0), ("/good", 0), ("/nowhere", 0), ("/odd", 1)]);
    let warned: BTreeSet<&str> = document.warnings.iter().map(|warning| warning.pointer.as_str()).collect();
    let expected = [
        "/paths/orders",
        "/paths/~1circle/get/parameters/0",
        "/paths/~1far",
        "/paths/~1list",
        "/paths/~1nowhere/get/parameters/0",
        "/paths/~1odd/get/parameters/0",
        "/paths/~1odd/get/parameters/1",
        "/paths/~1odd/get/parameters/2",
        "/paths/~1odd/get/security/0",
        "/paths/~1odd/get/security/1",
        "/paths/~1text/get",
    ];
    assert_eq!(warned.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn limits_are_kept_and_said() {
    let limits = Limits { operations_max: 2, parts_max: 3, warnings_max: 1, ..Limits::default() };
    let parameters: Vec<Value> = (0..9).map(|at| json!({ "name": format!("p{at}"), "in": "query" })).collect();
    let text = json!({ "openapi": "3.1.0", "paths": {
        "/a": { "get": { "parameters": parameters } }, "/b": { "get": {} }, "/c": { "get": {} },
    } });
    let document = Document::read(text.to_string().as_bytes(), &limits).unwrap();
    assert_eq!((document.operations.len(), document.operations[0].parameters.len()), (2, 3));
    assert_eq!((document.warnings.len(), document.warnings_left_out), (1, 1));
    // Nine aliases of nine aliases of nine, and so on: a thousand million values.
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for at in 1..10 {
        let again = vec![format!("*a{}", at - 1); 9].join(",");
        bomb.push_str(&format!("a{at}: &a{at} [{again}]\n"));
    }
    let error = Document::read(bomb.as_bytes(), &Limits::default()).unwrap_err();
    assert!(matches!(error, DocumentError::Syntax { .. }), "{error}");
}

#[test]
fn references_do_not_multiply_what_a_document_costs() {
    // A schema that is 256 times itself, and lists each value twice.
    let itself = vec![json!({ "$ref": "#/components/schemas/S" }); 256];
    let circle = json!({ "anyOf": itself, "type": "string", "enum": ["a", "b", "a"] });
    let one = json!({ "allOf": [{ "enum": ["a", "b"] }, { "enum": ["b", "c", "a"] }], "type": "string" });
    let document = read(&json!({
        "openapi": "3.1.0",
        "components": { "schemas": { "S": circle, "T": one } },
        "paths": { "/a": { "get": { "parameters": [
            { "name": "twice", "in": "query", "schema": { "$ref": "#/components/schemas/T" } },
            { "name": "circle", "in": "query", "schema": { "$ref": "#/components/schemas/S" } },
            { "name": "after", "in": "query", "schema": { "type": "integer" } },
        ] } } },
    }));
    let [twice, circle] = document.operations[0].parameters.as_slice() else { panic!("{document:#?}") };
    assert_eq!(twice.allowed, Some(["a", "b", "c"].map(str::to_owned).to_vec()));
    assert_eq!((&circle.allowed, circle.types.as_slice()), (&None, [].as_slice()));
    let [warning] = document.warnings.as_slice() else { panic!("{:#?}", document.warnings) };
    assert!(warning.what.starts_with("1000000 values are read at most"), "{}", warning.what);
}

#[test]
fn what_is_kept_of_a_document_is_limited() {
    let limits = Limits { kept_bytes_max: 40_000, bases_max: 2, ..Limits::default() };
    let values: Vec<String> = (0..100).map(|at| format!("value {at}")).collect();
    let servers: Vec<Value> = (0..5).map(|at| json!({ "url": format!("/{}{at}", "b".repeat(500)) })).collect();
    let item = json!({
        "servers": servers,
        "parameters": [{ "name": "a", "in": "query", "schema": { "enum": values } }],
        "get": {}, "put": {}, "post": {},
    });
    let mut paths: serde_json::Map<String, Value> =
        (0..100).map(|at| (format!("/{at}"), json!({ "$ref": "#/components/pathItems/P" }))).collect();
    paths.insert(format!("/{}", "l".repeat(3000)), json!({ "get": {} }));
    let far = format!("#/components/{}", "l".repeat(3000));
    paths.insert("/far".to_owned(), json!({ "$ref": far }));
    let text = json!({ "openapi": "3.1.0", "components": { "pathItems": { "P": item } }, "paths": paths });
    let document = Document::read(text.to_string().as_bytes(), &limits).unwrap();
    let lengths = |texts: Option<&Vec<String>>| texts.into_iter().flatten().map(String::len).sum::<usize>();
    let kept = |operation: &outrider_discover::openapi::DocumentedOperation| {
        let listed: usize = operation.parameters.iter().map(|known| lengths(known.allowed.as_ref())).sum();
        lengths(operation.base_paths.as_ref()) + listed
    };
    let kept: usize = document.operations.iter().map(kept).sum();
    assert!(document.operations.len() > 5 && kept < 40_000, "{kept} bytes of {}", document.operations.len());
    assert!(document.operations.iter().all(|operation| operation.base_paths.as_ref().unwrap().len() == 2));
    let warned = |what: &str| document.warnings.iter().filter(|warning| warning.what.contains(what)).count();
    assert_eq!((warned("40000 bytes are kept"), warned("a path has at most"), warned("`$ref` has more")), (1, 1, 1));
    assert!(warned("2 paths of servers are compared") > 0);
}

#[test]
fn differences_are_found_and_weighed() {
    let document = read(&json!({
        "openapi": "3.1.0",
        "security": [{ "key": [] }],
        "components": { "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "x-key" } } },
        "paths": {
            "/orders": {
                "get": { "parameters": [
                    { "name": "limit", "in": "query", "schema": { "type": "integer" } },
                    { "name": "tenant", "in": "query", "required": true, "schema": { "type": "string" } },
                    { "name": "x-key", "in": "header", "required": true, "schema": { "type": "string" } },
                    { "name": "sort", "in": "query", "schema": { "enum": ["asc", "desc"], "type": "string" } },
                ] },
                "post": {},
            },
            "/orders/{id}": { "get": { "parameters": [{ "name": "id", "in": "path", "schema": { "type": "string", "format": "uuid" } }] } },
            "/old": { "get": { "deprecated": true } },
            "/never": { "get": {} },
        },
    }));
    let mut sort = parameter(Location::Query, "sort", ValueKind::Text, 50);
    sort.values = vec!["asc".to_owned(), "random".to_owned()];
    let list = with(
        seen(1, "GET", "/orders"),
        vec![
            parameter(Location::Query, "limit", ValueKind::Text, 40),
            parameter(Location::Query, "tenant", ValueKind::Text, 90),
            parameter(Location::Query, "debug", ValueKind::Flag, 4),
            sort,
        ],
    );
    let mut one = with(
        seen(2, "GET", "/orders/{order_id}"),
        vec![parameter(Location::Path, "order_id", ValueKind::Integer, 100)],
    );
    one.1.auth = vec![
        AuthCount { kind: AuthKind::None, calls: 30, calls_ok: 20 },
        AuthCount { kind: AuthKind::Key, calls: 70, calls_ok: 60 },
    ];
    let mut rare = seen(6, "GET", "/rare");
    rare.1.known = 2;
    let mut never_answered = seen(7, "GET", "/wp-admin");
    never_answered.1.known = 0;
    let service = [
        list,
        one,
        seen(3, "DELETE", "/orders"),
        seen(4, "GET", "/old"),
        seen(5, "POST", "/internal/reset"),
        rare,
        never_answered,
        seen(8, "OPTIONS", "/orders"),
        seen(9, "HEAD", "/orders"),
    ];
    let found = drift(Some(&document), None, &service);
    let told: Vec<_> = found
        .iter()
        .map(|drift| (drift.kind, drift.severity, drift.method.as_str(), drift.template.as_str()))
        .collect();
    use DriftKind::*;
    use Severity::{High, Info, Low, Medium};
    let expected = [
        (UndocumentedMethod, High, "DELETE", "/orders"),
        (Unauthenticated, High, "GET", "/orders/{order_id}"),
        (Shadow, High, "POST", "/internal/reset"),
        (Zombie, Medium, "GET", "/old"),
        (MissingRequired, Medium, "GET", "/orders"),
        (TypeMismatch, Low, "GET", "/orders"),
        (TypeMismatch, Low, "GET", "/orders"),
        (UndocumentedParameter, Low, "GET", "/orders"),
        (TypeMismatch, Low, "GET", "/orders/{order_id}"),
        (Orphan, Info, "GET", "/never"),
        (Shadow, Info, "GET", "/rare"),
        (Orphan, Info, "POST", "/orders"),
    ];
    assert_eq!(told, expected);
    let sentences: Vec<&str> = found.iter().map(|drift| drift.sentence.as_str()).collect();
    let expected = [
        "DELETE /orders answered 100 calls by about 7 consumers; its path is documented, and DELETE is not.",
        "GET /orders/{order_id} asks for key, and 20 of 80 calls that were answered 2xx had nothing that could prove who calls.",
        "POST /internal/reset is not documented, and answered 100 calls by about 7 consumers.",
        "GET /old is deprecated, and was called 100 times by about 7 consumers.",
        "`tenant` is required in the query of GET /orders, and missing in 10 % of 100 calls that were answered 2xx.",
        "`limit` of GET /orders is documented as integer; 40 of 40 values are not, most of them text.",
        "`sort` of GET /orders is documented as one of 2 values; `random` was sent, which is not listed.",
        "The query parameter `debug` of GET /orders is not documented, and 4 % of 100 calls had it.",
        "`id` of GET /orders/{order_id} is documented as string (uuid); 100 of 100 values are not, most of them integer.",
        "GET /never is documented, and was never called.",
        "GET /rare is not documented, and answered 2 calls by about 7 consumers.",
        "POST /orders is documented, and was never called.",
    ];
    assert_eq!(sentences, expected);
    assert_eq!((found[1].calls, found[1].of, found[1].pointer.as_deref()), (20, 80, Some("/paths/~1orders~1{id}/get")));
    assert_eq!((found[0].endpoint, found[0].pointer.as_deref()), (Some(EndpointId(3)), Some("/paths/~1orders")));
    assert_eq!(((found[5].calls, found[5].of), (found[6].calls, found[6].of)), ((40, 40), (1, 2)));
    assert_eq!(found[7].parameter, Some(Carrier { location: Location::Query, name: "debug".to_owned() }));
}

#[test]
fn names_of_lists_and_objects_are_the_documented_ones() {
    let document = document(json!({ "/a": { "get": { "parameters": [
        { "name": "tag", "in": "query", "schema": { "type": "array", "items": { "type": "integer" } } },
        { "name": "filter", "in": "query", "style": "deepObject", "schema": { "type": "object" } },
        { "name": "X-Tenant", "in": "header", "schema": { "type": "string" } },
        { "name": "id", "in": "query", "schema": { "type": "string", "format": "date" } },
        { "name": "id[]", "in": "query", "schema": { "type": "integer" } },
    ] } }, "/open": { "get": { "parameters": [{ "name": "any", "in": "query", "schema": { "type": "object" } }] } } }));
    let seen_names = vec![
        parameter(Location::Query, "tag[]", ValueKind::Integer, 9),
        parameter(Location::Query, "filter[status]", ValueKind::Text, 9),
        parameter(Location::Query, "id[]", ValueKind::Integer, 9),
        parameter(Location::Header, "x-tenant", ValueKind::Text, 9),
        parameter(Location::Field, "amount", ValueKind::Integer, 9),
    ];
    let open = vec![parameter(Location::Query, "whatever", ValueKind::Text, 9)];
    let service = [with(seen(1, "GET", "/a"), seen_names), with(seen(2, "GET", "/open"), open)];
    assert_eq!(kinds(&drift(Some(&document), None, &service)), []);
    let other = [with(seen(1, "GET", "/a"), vec![parameter(Location::Query, "filters[status]", ValueKind::Text, 9)])];
    assert!(kinds(&drift(Some(&document), None, &other)).contains(&(DriftKind::UndocumentedParameter, Severity::Low)));
}

#[test]
fn paths_are_found_under_bases_and_routes() {
    let paths = json!({ "/users": { "get": {} }, "/users/{id}": { "get": {} } });
    let document =
        |server: &str| read(&json!({ "openapi": "3.1.0", "servers": [{ "url": server }], "paths": paths.clone() }));
    let route = |path: &str| Route {
        id: "r1".to_owned(),
        name: "r1".to_owned(),
        paths: vec![path.to_owned()],
        ..Route::default()
    };
    let differ = |server: &str, routes: &[Route], seen_paths: [&str; 2]| {
        let service = [seen(1, "GET", seen_paths[0]), seen(2, "GET", seen_paths[1])];
        let routes = RoutesRead { routes: routes.to_vec(), ..RoutesRead::default() };
        let found = drift(Some(&document(server)), Some(&routes), &service);
        kinds(&found).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    // As documented.
    assert_eq!(differ("https://x.org/v2", &[], ["/v2/users", "/v2/users/{user_id}"]), []);
    // The gateway takes the route's path away.
    assert_eq!(differ("https://x.org/v2", &[route("/shop")], ["/shop/v2/users", "/shop/v2/users/{user_id}"]), []);
    assert_eq!(differ("https://x.org", &[route("/shop/")], ["/shop/users", "/shop/users/{user_id}"]), []);
    // It also adds the server's.
    assert_eq!(differ("https://x.org/v2", &[route("/shop")], ["/shop/users", "/shop/users/{user_id}"]), []);
    assert_eq!(differ("https://x.org/v2", &[], ["/users", "/users/{user_id}"]), []);
    // Where the base path is in use, a path without it is another one.
    let service = [seen(1, "GET", "/v2/users"), seen(2, "GET", "/users/{user_id}")];
    let found = drift(Some(&document("https://x.org/v2")), None, &service);
    let told: Vec<_> = found.iter().map(|drift| (drift.kind, drift.template.as_str())).collect();
    use DriftKind::{Orphan, Shadow};
    assert_eq!(told, [(Shadow, "/users/{user_id}"), (Orphan, "/users/{id}")]);
    assert_eq!(differ("https://x.org", &[route("~/shop/(?<a>x)")], ["/shop/users", "/users/{id}"]), [Shadow, Orphan]);
}

#[test]
fn what_cannot_be_told_apart_is_no_difference() {
    let document = document(json!({
        "/jobs/search": { "get": {} },
        "/jobs/export": { "get": {} },
        "/files/report-{day}.csv": { "get": {} },
        "/users/{id}": { "get": {}, "delete": {} },
        "/users/me": { "get": {} },
    }));
    let found = |method: &str, template: &str| {
        let found = drift(Some(&document), None, &[seen(1, method, template)]);
        found.iter().filter(|drift| drift.kind != DriftKind::Orphan).map(|drift| drift.kind).collect::<Vec<_>>()
    };
    assert_eq!(found("GET", "/jobs/{job_id}"), []);
    assert_eq!(found("GET", "/files/{file_id}"), []);
    assert_eq!(found("GET", "/files/report-{id}.csv"), []);
    assert_eq!(found("GET", "/files/report-{id}.json"), [DriftKind::Shadow]);
    assert_eq!(found("GET", "/users/ann"), []);
    assert_eq!(found("DELETE", "/users/me"), []);
    assert_eq!(found("PUT", "/users/me"), [DriftKind::UndocumentedMethod]);
    let orphans = |template: &str| {
        let found = drift(Some(&document), None, &[seen(1, "GET", template)]);
        found.iter().filter(|drift| drift.kind == DriftKind::Orphan).count()
    };
    // Calls of both may be in it, so neither is said to be never called.
    assert_eq!(orphans("/jobs/{job_id}"), 4);
    assert_eq!(orphans("/users/me"), 5);
    assert_eq!(orphans("/users/{id}"), 4);
}

#[test]
fn whole_numbers_are_booleans_up_to_one() {
    let document = document(json!({ "/orders": { "get": { "parameters": [
        { "name": "page", "in": "query", "schema": { "type": "boolean" } },
    ] } } }));
    let found = |least: i64, most: i64| {
        let mut page = parameter(Location::Query, "page", ValueKind::Integer, 100);
        page.range = Some(ValueRange { least, most });
        kinds(&drift(Some(&document), None, &[with(seen(1, "GET", "/orders"), vec![page])]))
    };
    for (least, most) in [(0, 1), (0, 0), (1, 1)] {
        assert_eq!(found(least, most), [], "{least} to {most}");
    }
    for (least, most) in [(1, 39), (-1, 1), (2, 2)] {
        assert_eq!(found(least, most), [(DriftKind::TypeMismatch, Severity::Low)], "{least} to {most}");
    }
}

#[test]
fn routes_are_compared() {
    let route = |id: &str, paths: &[&str], methods: &[&str]| Route {
        id: id.to_owned(),
        name: format!("route {id}"),
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        hosts: vec![],
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
    };
    let routes = [route("r1", &["/orders"], &["GET"]), route("r2", &["~/files/\\d+$"], &[]), route("r3", &["/x"], &[])];
    let service = [
        seen(1, "GET", "/orders/{order_id}"),
        seen(2, "POST", "/orders"),
        seen(3, "GET", "/files/{file_id}"),
        seen(4, "GET", "/{id}"),
        seen(5, "GET", "/gone"),
    ];
    let read = |since_ms| RoutesRead { routes: routes.to_vec(), since_ms, are_all: true };
    let found = drift(None, Some(&read(1500)), &service);
    let told: Vec<_> = found.iter().map(|drift| (drift.kind, drift.severity, drift.template.as_str())).collect();
    let expected = [
        (DriftKind::UncoveredByRoutes, Severity::Low, "/gone"),
        (DriftKind::UncoveredByRoutes, Severity::Low, "/orders"),
        (DriftKind::UnusedRoute, Severity::Info, "/x"),
        (DriftKind::UnusedRoute, Severity::Info, "~/files/\\d+$"),
    ];
    assert_eq!(told, expected);
    assert_eq!(found[3].sentence, "No call came by the route `route r2`.");
    assert_eq!(found[0].sentence, "No path of a route takes GET /gone, and 100 calls were answered.");
    let found = drift(None, Some(&read(2000)), &service);
    let gone = found.iter().find(|drift| drift.template == "/gone").unwrap();
    assert_eq!(gone.severity, Severity::Info);
    assert!(gone.sentence.ends_with("answered, none of them since the routes are as they are."), "{}", gone.sentence);
    // What is not read may be taken by what was not read.
    let found = drift(None, Some(&RoutesRead { are_all: false, ..read(1500) }), &service);
    assert!(found.iter().all(|drift| drift.kind == DriftKind::UnusedRoute), "{found:?}");
}

#[test]
fn what_no_route_takes_any_more_and_nobody_calls_is_no_shadow() {
    let document = read(&json!({
        "openapi": "3.1.0",
        "paths": { "/orders": { "get": { "deprecated": true } } },
    }));
    let service =
        [seen(1, "GET", "/orders"), seen(2, "POST", "/orders"), seen(3, "GET", "/old"), seen(4, "GET", "/new/{id}")];
    let told = |paths: &[&str], since_ms: i64, are_all: bool| {
        let route = |path: &&str| Route { id: "r1".to_owned(), paths: vec![(*path).to_owned()], ..Route::default() };
        let routes = RoutesRead { routes: paths.iter().map(route).collect(), since_ms, are_all };
        let found = drift(Some(&document), Some(&routes), &service);
        found.into_iter().map(|drift| (drift.kind, drift.endpoint.unwrap().0)).collect::<BTreeSet<_>>()
    };
    use DriftKind::{Shadow, UncoveredByRoutes, UndocumentedMethod, Zombie};
    let documented = [(Zombie, 1), (UndocumentedMethod, 2)];
    let all: BTreeSet<_> = documented.into_iter().chain([(Shadow, 3), (Shadow, 4)]).collect();
    // All were called until 2000.
    assert_eq!(told(&["/"], 3000, true), all);
    let uncovered = |ids: &[u64]| ids.iter().map(|&id| (UncoveredByRoutes, id)).collect::<BTreeSet<_>>();
    let without_old = documented.into_iter().chain([(Shadow, 4)]).chain(uncovered(&[3])).collect();
    assert_eq!(told(&["/orders", "~/new/\\d+$"], 2000, true), without_old);
    // Something else lets calls in.
    assert_eq!(told(&["/orders", "~/new/\\d+$"], 1999, true), all.iter().copied().chain(uncovered(&[3])).collect());
    assert_eq!(told(&[], 2000, true), uncovered(&[1, 2, 3, 4]));
    // Whether there is another route is not known.
    assert_eq!(told(&["/orders"], 2000, false), all);
}

fn info() -> ExportInfo {
    ExportInfo {
        title: "Orders".to_owned(),
        version: "2026-11-30".to_owned(),
        servers: vec!["https://api.example.org".to_owned()],
    }
}

/// A service with what is hard to write: names that differ, slashes, suffixes, odd letters, several ways in.
fn odd_service() -> Vec<Seen> {
    let mut mixed = with(
        seen(1, "GET", "/orders/{order_id}"),
        vec![
            parameter(Location::Path, "order_id", ValueKind::Integer, 100),
            parameter(Location::Query, "limit", ValueKind::Integer, 34),
            parameter(Location::Query, "tenant", ValueKind::Uuid, 100),
            parameter(Location::Field, "amount", ValueKind::Number, 10),
        ],
    );
    mixed.1.auth =
        [AuthKind::None, AuthKind::Key, AuthKind::Jwt].map(|kind| AuthCount { kind, calls: 33, calls_ok: 30 }).to_vec();
    mixed.1.key_carrier = Some(Carrier { location: Location::Query, name: "api key".to_owned() });
    mixed.1.parameters[1].repeated = 2;
    let mut sort = parameter(Location::Query, "sort", ValueKind::Text, 40);
    (sort.values, sort.values_are_all) = (vec!["asc".to_owned(), "desc".to_owned()], true);
    let mut open = with(seen(6, "POST", "/a b/ü%?#{id}"), vec![sort]);
    open.1.auth = vec![AuthCount { kind: AuthKind::None, calls: 100, calls_ok: 100 }];
    open.1.statuses = vec![StatusCount { status: 0, calls: 3 }];
    vec![
        mixed,
        with(seen(2, "GET", "/Orders/{id}/"), vec![parameter(Location::Path, "id", ValueKind::Uuid, 9)]),
        with(seen(3, "DELETE", "/orders/{id}"), vec![parameter(Location::Path, "id", ValueKind::Integer, 9)]),
        seen(4, "GET", "/report-{id}.csv"),
        seen(5, "GET", "/geo/{lat},{lon}"),
        open,
        seen(7, "GET", "/"),
        seen(8, "PROPFIND", "/dav"),
        seen(9, "GET", "/orders-{id}"),
        seen(10, "GET", "/orders/{id}/{id}"),
    ]
}

#[test]
fn a_document_is_written_of_what_was_seen() {
    let written: Value = serde_json::from_str(&export(&info(), &odd_service())).unwrap();
    let paths: Vec<&str> = written["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "/",
        "/a%20b/%C3%BC%25%3F%23{id}",
        "/geo/{lat},{lon}",
        "/orders-{id}",
        "/orders/{id}/{id_2}",
        "/orders/{order_id}",
        "/report-{id}.csv",
    ];
    assert_eq!(paths, expected);
    let get = &written["paths"]["/orders/{order_id}"]["get"];
    assert_eq!(get["x-outrider-endpoints"], json!(["ep_0000000000000001", "ep_0000000000000002"]));
    assert_eq!(get["description"], "Seen in 200 calls.");
    let ways = json!([{}, { "consumer": [] }, { "jwt": [] }, { "key_query_api_key": [] }]);
    assert_eq!(get["security"], ways);
    let names: Vec<_> = get["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|known| (known["in"].clone(), known["name"].clone()))
        .collect();
    assert_eq!(
        names,
        [("path", "order_id"), ("query", "limit"), ("query", "tenant")].map(|(a, b)| (json!(a), json!(b)))
    );
    // An integer here and a UUID there.
    assert_eq!(get["parameters"][0]["schema"], json!({}));
    assert_eq!(get["parameters"][0]["description"], "Seen in 109 calls under this path.");
    assert_eq!(get["parameters"][1]["schema"], json!({ "type": "array", "items": { "type": "integer" } }));
    assert_eq!(get["parameters"][1]["description"], "Seen in 17 % of 200 calls.");
    assert_eq!(get["x-outrider-fields"][0]["name"], "amount");
    let delete = &written["paths"]["/orders/{order_id}"]["delete"];
    assert_eq!(delete["parameters"][0]["name"], "order_id");
    assert_eq!(delete["responses"]["200"]["description"], "Seen in 100 % of 100 calls.");
    assert_eq!(delete["operationId"], "delete_orders_order_id");
    let open = &written["paths"]["/a%20b/%C3%BC%25%3F%23{id}"]["post"];
    assert_eq!(
        (&open["security"], &open["responses"]["default"]["description"]),
        (&json!([]), &json!("No status is known."))
    );
    assert_eq!(open["parameters"][1]["schema"]["enum"], json!(["asc", "desc"]));
    assert_eq!(written["x-outrider-left-out"], json!(["PROPFIND /dav"]));
    // In any order it is the same.
    let mut other = odd_service();
    other.reverse();
    assert_eq!(export(&info(), &other), export(&info(), &odd_service()));
    if let Ok(folder) = std::env::var("OUTRIDER_EXPORTED") {
        std::fs::write(format!("{folder}/odd.json"), export(&info(), &odd_service())).unwrap();
    }
}

#[test]
fn a_way_of_no_known_kind_that_hardly_any_call_had_is_not_written() {
    use AuthKind::{Authorization, Basic, Consumer, Key, None, Unknown};
    type Case = (&'static [(AuthKind, u64, u64)], &'static [&'static str]);
    let cases: [Case; 9] = [
        (&[(Basic, 9901, 9901), (Authorization, 99, 99)], &["basic"]),
        (&[(Basic, 9901, 9901), (Unknown, 99, 99)], &["basic"]),
        (&[(Basic, 9901, 9901), (Consumer, 99, 99)], &["basic"]),
        (&[(Basic, 9900, 9900), (Unknown, 100, 100)], &["basic", "unknown"]),
        // Of a known kind each is one.
        (&[(Basic, 9999, 9999), (Key, 1, 1)], &["basic", "key"]),
        // Of what was answered 2xx, where something was.
        (&[(Basic, 0, 0), (Unknown, 99, 99)], &["unknown"]),
        (&[(Basic, 9000, 0), (Unknown, 99, 10)], &["unknown"]),
        (&[(Basic, 9901, 0), (Unknown, 99, 0)], &["basic"]),
        (&[(None, 9901, 9901), (Unknown, 99, 99)], &[]),
    ];
    for (auth, expected) in cases {
        let mut one = seen(1, "GET", "/a");
        let count = |&(kind, calls, calls_ok): &(AuthKind, u64, u64)| AuthCount { kind, calls, calls_ok };
        one.1.auth = auth.iter().map(count).collect();
        let written: Value = serde_json::from_str(&export(&info(), &[one])).unwrap();
        let ways: Vec<&str> = written["paths"]["/a"]["get"]["security"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|way| way.as_object().unwrap().keys().map(String::as_str))
            .collect();
        assert_eq!(ways, expected, "{auth:?}");
        let schemes = written["components"]["securitySchemes"].as_object();
        assert_eq!(schemes.map_or(0, serde_json::Map::len), expected.len(), "{auth:?}");
    }
}

fn any_parameter() -> impl Strategy<Value = ParameterInventory> {
    let location = prop::sample::select(vec![Location::Query, Location::Header, Location::Field]);
    let kind = prop::sample::select(ValueKind::ALL.to_vec());
    (location, "[a-z]{1,3}(\\[\\])?", kind, 1u64..100, any::<bool>(), any::<bool>()).prop_map(
        |(location, name, kind, calls, repeats, lists)| {
            let mut parameter = parameter(location, &name, kind, calls);
            parameter.repeated = u64::from(repeats);
            if kind == ValueKind::Text && lists {
                (parameter.values, parameter.values_are_all) = (vec!["asc".to_owned()], true);
            }
            if kind == ValueKind::Flag {
                parameter.value_type = ValueType::Boolean;
            }
            parameter
        },
    )
}

fn any_service() -> impl Strategy<Value = Vec<Seen>> {
    let segment = prop_oneof![
        "[a-zA-Z]{1,3}",
        "\\{[a-c]\\}",
        "[a-c]{1}-\\{[a-c]\\}\\.csv",
        "[ -~&&[^{}/;]]{1,4}",
        Just("é".to_owned())
    ];
    let template = prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")));
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]);
    let auth = prop::sample::subsequence(
        vec![AuthKind::None, AuthKind::Key, AuthKind::Basic, AuthKind::OAuth2, AuthKind::Session, AuthKind::MutualTls],
        0..4,
    );
    let one = (method, template, auth, prop::collection::vec(any_parameter(), 0..5), 0u64..300);
    prop::collection::vec(one, 0..8).prop_map(|endpoints| {
        endpoints
            .into_iter()
            .enumerate()
            .map(|(at, (method, template, auth, mut parameters, ok))| {
                parameters.sort_by(|one, other| (one.location, &one.name).cmp(&(other.location, &other.name)));
                parameters.dedup_by(|one, other| (one.location, &one.name) == (other.location, &other.name));
                let mut seen = with(seen(at as u64, method, &template), parameters);
                seen.1.auth = auth.into_iter().map(|kind| AuthCount { kind, calls: 100, calls_ok: ok }).collect();
                seen.1.read_ok = 99;
                seen
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_differs_in_nothing_from_what_was_seen(service in any_service()) {
        let written = export(&info(), &service);
        let document = Document::read(written.as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(&document.warnings, &vec![]);
        let found = drift(Some(&document), None, &service);
        prop_assert!(found.is_empty(), "{found:#?} in {written}");
    }

    #[test]
    fn no_document_is_fatal(text in ".{0,300}") {
        let _ = Document::read(text.as_bytes(), &Limits::default());
    }

    #[test]
    fn no_damage_of_a_document_is_fatal(service in any_service(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut written = export(&info(), &service).into_bytes();
        let at = at.index(written.len());
        written[at] = byte;
        if let Ok(document) = Document::read(&written, &Limits::default()) {
            let _ = drift(Some(&document), None, &service);
        }
    }

    #[test]
    fn no_value_in_a_place_of_another_is_fatal(values in any_value()) {
        let document = json!({ "openapi": "3.1.0", "info": values[0], "servers": values[1], "security": values[2], "components": values[3],
            "paths": { "/a/{b}": { "get": { "parameters": [values[4], { "name": "x", "in": "query", "schema": values[5] }], "security": values[6] },
            "parameters": values[7] }, "/b": values[8] } });
        let document = Document::read(document.to_string().as_bytes(), &Limits::default()).unwrap();
        drift(Some(&document), None, &[seen(1, "GET", "/a/{b}")]);
    }
}

fn any_value() -> impl Strategy<Value = Vec<Value>> {
    let keys = [
        "type",
        "enum",
        "items",
        "allOf",
        "$ref",
        "name",
        "in",
        "url",
        "variables",
        "get",
        "key",
        "schema",
        "securitySchemes",
    ];
    let texts = ["string", "array", "object", "query", "#/components", "#/paths/~1b", "#/paths/~1a~1{b}/get", "", "#"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys.to_vec()), inner), 0..5).prop_map(
                |entries| Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            ),
        ]
    });
    prop::collection::vec(value, 9)
}
