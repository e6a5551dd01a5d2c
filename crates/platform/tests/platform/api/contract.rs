//! The OpenAPI document: valid, complete, and true of every answer that the tests of this folder get.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use boon::{Compiler, Schemas};
use outrider_platform::store::Role;
use roas::v3_1::spec::Spec;
use roas::validation::{Options, Validate as _};
use serde_json::{Map, Value};

use super::harness::{Api, Reply};

pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(outrider_platform::api::openapi()).unwrap());

thread_local! {
    static SCHEMAS: RefCell<(Compiler, Schemas)> = {
        let mut compiler = Compiler::new();
        compiler.add_resource("https://outrider.test/openapi.json", DOCUMENT.clone()).unwrap();
        RefCell::new((compiler, Schemas::new()))
    };
}

/// Reads the schema at a place in the document, which checks it against the meta-schema of JSON Schema 2020-12, and
/// checks a value against it.
pub fn check_schema(place: &str, value: Option<&Value>) {
    SCHEMAS.with_borrow_mut(|(compiler, schemas)| {
        let schema = compiler.compile(&format!("https://outrider.test/openapi.json#{place}"), schemas);
        let schema = schema.unwrap_or_else(|error| panic!("{place}: {error:#}"));
        let Some(value) = value else { return };
        if let Err(error) = schemas.validate(value, schema) {
            panic!("{place}: {error:#}\n{value:#}");
        }
    });
}

/// Checks an answer against what the document says of its operation, status and media type.
pub fn check(method: &str, target: &str, reply: &Reply) {
    let path = target.split('?').next().unwrap();
    if reply.status >= 400 {
        assert_eq!(reply.header("content-type").as_deref(), Some("application/problem+json"), "{method} {target}");
        let kind = reply.body["type"].as_str().unwrap_or_default();
        assert!(kind.starts_with("urn:outrider:problem:"), "{method} {target}: {}", reply.body);
    }
    let Some(template) = template_of(method, path) else {
        assert!([404, 405].contains(&reply.status), "{method} {path} is not in the document and has {}", reply.status);
        return check_schema("/components/schemas/Problem", Some(&reply.body));
    };
    let method = method.to_ascii_lowercase();
    let response = &DOCUMENT["paths"][&template][&method]["responses"][reply.status.to_string()];
    assert!(response.is_object(), "{method} {template} answers {}, which the document does not know", reply.status);
    let media = reply.header("content-type");
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        assert_eq!((media, &reply.body), (None, &Value::Null), "{method} {template} {}", reply.status);
        return;
    };
    let (known, _) = content.iter().next().unwrap();
    assert_eq!(media.as_deref(), Some(known.as_str()), "{method} {template} {}", reply.status);
    let escape = |text: &str| text.replace('~', "~0").replace('/', "~1").replace('{', "%7B").replace('}', "%7D");
    let (template, known) = (escape(&template), escape(known));
    let place = format!("/paths/{template}/{method}/responses/{}/content/{known}/schema", reply.status);
    check_schema(&place, Some(&reply.body));
}

/// The path of the document that a request's path is one of.
pub fn template_of(method: &str, path: &str) -> Option<String> {
    let fits = |template: &str| {
        let (mut one, mut other) = (template.split('/'), path.split('/'));
        one.by_ref().zip(other.by_ref()).all(|(part, text)| part.starts_with('{') || part == text)
            && template.split('/').count() == path.split('/').count()
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let method = method.to_ascii_lowercase();
    paths.iter().find(|(template, item)| fits(template) && item.get(&method).is_some()).map(|(path, _)| path.clone())
}

fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Map<String, Value>)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap();
        methods.iter().map(|(method, operation)| (path.as_str(), method.as_str(), operation.as_object().unwrap()))
    })
}

#[test]
fn the_document_is_valid() {
    let spec: Spec = serde_json::from_value(DOCUMENT.clone()).unwrap();
    // Some schemas are named by `x-events` alone, which no validator knows.
    if let Err(error) = spec.validate(Options::IgnoreUnusedSchemas.into(), None) {
        panic!("{:#?}", error.errors);
    }
    for name in DOCUMENT["components"]["schemas"].as_object().unwrap().keys() {
        check_schema(&format!("/components/schemas/{name}"), None);
    }
}

#[test]
fn everything_is_described() {
    let mut bare = Vec::new();
    for (path, method, operation) in operations() {
        for name in ["operationId", "summary", "responses", "security", "tags"] {
            assert!(operation.contains_key(name), "{method} {path} has no {name}");
        }
        for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            if parameter["in"] != "path" && parameter["description"].as_str().unwrap_or_default().is_empty() {
                bare.push(format!("{method} {path}: {}", parameter["name"]));
            }
        }
        if let Some(body) = operation.get("requestBody") {
            collect_bare(&format!("{method} {path}"), &body["content"]["application/json"]["schema"], &mut bare);
        }
    }
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        collect_bare(name, schema, &mut bare);
    }
    assert!(bare.is_empty(), "without a description: {bare:#?}");
    // Words that only mean something to who reads the code.
    let text = DOCUMENT.to_string();
    for inward in ["(decision ", "(invariant ", "[`", "`None`", "`Some", "\"uint"] {
        assert!(!text.contains(inward), "the document says `{inward}`");
    }
}

/// Names properties that say nothing of themselves.
fn collect_bare(place: &str, schema: &Value, bare: &mut Vec<String>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let is_tag = property.get("const").is_some();
        if !is_tag && property.get("description").is_none() {
            bare.push(format!("{place}.{name}"));
        }
        collect_bare(&format!("{place}.{name}"), property, bare);
    }
    for list in ["oneOf", "anyOf", "allOf"] {
        for one in schema.get(list).and_then(Value::as_array).into_iter().flatten() {
            // An alternative that is one property says with its own words what that is.
            let properties =
                one.get("properties").and_then(Value::as_object).filter(|properties| properties.len() == 1);
            match properties.filter(|_| list == "oneOf" && one.get("description").is_some()) {
                Some(properties) => properties.values().for_each(|property| collect_bare(place, property, bare)),
                None => collect_bare(place, one, bare),
            }
        }
    }
}

/// The router has what the document has: each operation is answered, and every other method of the path is refused with
/// an `Allow` that names just those of the document.
#[tokio::test]
async fn router_and_document_are_one() {
    let api = Api::start().await;
    let paths: BTreeSet<_> = operations().map(|(path, _, _)| path).collect();
    for path in paths {
        let target = path.replace("{id}", "none").replace("{name}", "none").replace("{number}", "none");
        let reply = api.send(Role::Admin, "TRACE", &target, None).await;
        assert_eq!(reply.status, 405, "{path}");
        let allow = reply.header("allow").unwrap();
        let allowed: BTreeSet<_> =
            allow.split(',').map(str::trim).filter(|name| *name != "head").map(str::to_owned).collect();
        let known: BTreeSet<_> =
            operations().filter(|(other, _, _)| *other == path).map(|(_, method, _)| method.to_owned()).collect();
        assert_eq!(allowed, known, "{path}");
    }
}

/// The role that the document names is the one that the router asks for.
#[tokio::test]
async fn roles_are_as_the_document_says() {
    let api = Api::start().await;
    let roles = [Role::Viewer, Role::Analyst, Role::Responder, Role::Admin];
    for (path, method, operation) in operations() {
        let target = path.replace("{id}", "none").replace("{name}", "none").replace("{number}", "none");
        let method = method.to_ascii_uppercase();
        let Some(needed) = operation.get("x-role") else {
            assert_eq!(operation["security"], serde_json::json!([]), "{path}");
            continue;
        };
        assert!(!operation["security"].as_array().unwrap().is_empty(), "{path}");
        let needed = roles.iter().find(|role| role.as_str() == needed).unwrap();
        for role in roles.iter().filter(|role| *role < needed) {
            let reply = api.send(*role, &method, &target, Some("{}")).await;
            assert_eq!(reply.status, 403, "{method} {path} as {role}");
        }
        // An `Accept` that nothing satisfies is refused after the role was checked, and before anything is done.
        let reply = api.send_with(*needed, &method, &target, None, "accept: image/png\r\n").await;
        // What these answer with is not known before it is done.
        let takes_any = matches!(path, "/metrics" | "/api/v1/query/export");
        assert_eq!(reply.status != 406, takes_any, "{method} {path} as {needed}");
    }
    assert!(api.bus.records.lock().unwrap().is_empty(), "nothing was decided");
}
