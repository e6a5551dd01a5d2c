//! From a tree of values to a [`Document`]: one operation after the other, each broken part a warning.

use serde_json::{Map, Value};

use super::document::{Document, DocumentedOperation, Scheme, Security, Warning};
use super::parameters::parameters;
use super::reader::{At, DocumentError, Limits, cut, resolved, values};

/// Methods that a path has in OpenAPI 3.
pub(super) const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

impl Document {
    /// Reads a document of OpenAPI 3.0 or 3.1 in JSON or YAML.
    ///
    /// What is broken in it, such as one operation, is left out and stands in [`Document::warnings`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Document, DocumentError> {
        let root = Value::Object(values(bytes, limits)?);
        let top = At { value: &root, pointer: String::new() };
        let version = version_of(&root)?;
        let Some(paths) = top.key("paths").filter(|paths| paths.value.is_object()) else {
            return Err(DocumentError::NoPaths);
        };
        let mut reader = Import { root: &root, limits, document: Document { openapi: version, ..Document::default() } };
        if let Some(info) = top.key("info") {
            reader.document.title = info.text("title").to_owned();
            reader.document.version = info.text("version").to_owned();
        }
        reader.document.base_paths = reader.base_paths(&top).unwrap_or_else(|| vec![String::new()]);
        if let Some(schemes) = top.key("components").and_then(|components| components.key("securitySchemes")) {
            reader.read_schemes(&schemes);
        }
        let security = top.key("security");
        for (template, item) in paths.entries().filter(|(template, _)| !template.starts_with("x-")) {
            reader.read_path(template, item, security.as_ref());
        }
        Ok(reader.document)
    }
}

fn version_of(root: &Value) -> Result<String, DocumentError> {
    // An unquoted `3.1` is a number in YAML.
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some(found) = root.get("swagger") {
        return Err(DocumentError::Version { found: cut(&text(found)) });
    }
    let version = text(root.get("openapi").ok_or(DocumentError::NotOpenApi)?);
    let is_read = ["3.0", "3.1"]
        .iter()
        .any(|known| version.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
    if is_read { Ok(version) } else { Err(DocumentError::Version { found: cut(&version) }) }
}

/// A document while it is read.
pub(super) struct Import<'d> {
    pub root: &'d Value,
    pub limits: &'d Limits,
    pub document: Document,
}

impl<'d> Import<'d> {
    /// Notes what is wrong at a place.
    pub fn warn(&mut self, pointer: &str, what: impl Into<String>) {
        if self.document.warnings.len() >= self.limits.warnings_max {
            self.document.warnings_left_out += 1;
            return;
        }
        self.document.warnings.push(Warning { pointer: pointer.to_owned(), what: what.into() });
    }

    /// What a value's `$ref` leads to, or the value; with a warning `None`.
    pub fn resolve(&mut self, at: At<'d>) -> Option<At<'d>> {
        let pointer = at.pointer.clone();
        match resolved(self.root, at, self.limits.references_max) {
            Ok(found) => Some(found),
            Err(what) => {
                self.warn(&pointer, what);
                None
            }
        }
    }

    fn read_path(&mut self, template: &str, item: At<'d>, security: Option<&At<'d>>) {
        if !template.starts_with('/') {
            self.warn(&item.pointer, "a path must begin with `/`; it was left out");
            return;
        }
        let Some(item) = self.resolve(item) else { return };
        if !item.value.is_object() {
            self.warn(&item.pointer, "a path must be an object of methods; it was left out");
            return;
        }
        let bases = self.base_paths(&item);
        // Some documents tell operations of one path apart by a query or fragment that is no part of a path.
        let path = template.split(['?', '#']).next().unwrap_or_default();
        for method in METHODS {
            let Some(operation) = item.key(method) else { continue };
            if self.document.operations.len() >= self.limits.operations_max {
                let most = self.limits.operations_max;
                self.warn(&operation.pointer, format!("{most} operations are read at most; this was left out"));
                continue;
            }
            if !operation.value.is_object() {
                self.warn(&operation.pointer, "an operation must be an object; it was left out");
                continue;
            }
            let base_paths = self.base_paths(&operation).or_else(|| bases.clone());
            let security = operation.key("security").or_else(|| security.cloned());
            let security = security.map_or(Security::None, |security| self.security(&security));
            let parameters = parameters(self, &item, &operation);
            self.document.operations.push(DocumentedOperation {
                method: method.to_ascii_uppercase(),
                template: path.to_owned(),
                operation_id: operation.text("operationId").to_owned(),
                deprecated: operation.is_true("deprecated"),
                pointer: operation.pointer,
                base_paths,
                parameters,
                security,
            });
        }
    }

    /// The paths of the servers under a value; `None` where it lists none.
    fn base_paths(&mut self, at: &At<'d>) -> Option<Vec<String>> {
        let servers = at.key("servers")?;
        let mut paths = Vec::new();
        for server in servers.items().take(self.limits.parts_max) {
            let path = base_path(server.text("url"), server.value.get("variables").and_then(Value::as_object));
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        (!paths.is_empty()).then_some(paths)
    }

    fn security(&mut self, at: &At<'d>) -> Security {
        if !at.value.is_array() {
            self.warn(&at.pointer, "`security` must be a list; none was taken for declared");
            return Security::None;
        }
        let mut names = Vec::new();
        let mut is_optional = false;
        for way in at.items().take(self.limits.parts_max) {
            let Some(schemes) = way.value.as_object() else {
                self.warn(&way.pointer, "a way of `security` must be an object of schemes; it was left out");
                continue;
            };
            is_optional |= schemes.is_empty();
            for name in schemes.keys() {
                if !self.document.schemes.contains_key(name) {
                    let what = format!("no scheme `{}` is under /components/securitySchemes; add it", cut(name));
                    self.warn(&way.pointer, what);
                }
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        match (names.is_empty(), is_optional) {
            (true, _) => Security::None,
            (false, true) => Security::Optional(names),
            (false, false) => Security::Required(names),
        }
    }

    fn read_schemes(&mut self, schemes: &At<'d>) {
        for (name, scheme) in schemes.entries().take(self.limits.parts_max) {
            let Some(scheme) = self.resolve(scheme) else { continue };
            let kind = scheme.text("type");
            if kind.is_empty() {
                self.warn(&scheme.pointer, "a security scheme must have a `type`; it was left out");
                continue;
            }
            let detail = match kind {
                "apiKey" => format!("{} {}", scheme.text("in"), scheme.text("name")),
                "http" => scheme.text("scheme").to_owned(),
                _ => String::new(),
            };
            self.document.schemes.insert(name.to_owned(), Scheme { kind: kind.to_owned(), detail });
        }
    }
}

/// The path of a server's URL, without a slash at the end.
fn base_path(url: &str, variables: Option<&Map<String, Value>>) -> String {
    let mut url = url.to_owned();
    for (name, variable) in variables.into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        // `//host/path` has no scheme, `/path` no host, and `path` is relative to where the document is.
        None => match url.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
            None => &url,
        },
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_paths_are_those_of_urls() {
        let variables = serde_json::json!({ "version": { "default": "v2" } });
        for (url, expected) in [
            ("https://api.example.org", ""),
            ("https://api.example.org/", ""),
            ("https://api.example.org/api/v1/", "/api/v1"),
            ("//api.example.org/api", "/api"),
            ("/api", "/api"),
            ("api", "/api"),
            ("https://{host}/{version}", "/v2"),
            ("", ""),
        ] {
            assert_eq!(base_path(url, variables.as_object()), expected, "{url}");
        }
    }
}
