//! From a tree of values to a [`Document`]: one operation after the other, each broken part a warning.

use serde_json::{Map, Value};

use super::document::{Document, DocumentedOperation, Scheme, Security, Warning};
use super::parameters::parameters;
use super::reader::{At, DocumentError, Limits, TEXT_BYTES_MAX, cut, resolved, values};

/// Bytes that cost one read, beside the one that everything costs.
const BYTES_PER_READ: usize = 256;

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
        let mut reader = Import {
            root: &root,
            limits,
            reads_left: Some(limits.reads_max),
            bytes_left: Some(limits.kept_bytes_max),
            document: Document { openapi: version, ..Document::default() },
        };
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
    /// Of [`Limits::reads_max`]; none once there were too many.
    reads_left: Option<usize>,
    /// Of [`Limits::kept_bytes_max`]; none once there were too many.
    bytes_left: Option<usize>,
}

impl<'d> Import<'d> {
    /// Notes what is wrong at a place.
    pub fn warn(&mut self, pointer: &str, what: impl Into<String>) {
        if self.document.warnings.len() >= self.limits.warnings_max {
            self.document.warnings_left_out += 1;
            return;
        }
        let pointer = pointer.chars().take(TEXT_BYTES_MAX).collect();
        self.document.warnings.push(Warning { pointer, what: what.into() });
    }

    /// Whether a value may be read, and as many bytes of text. References make one value be read many times.
    pub fn may_read(&mut self, at: &At<'d>, bytes: usize) -> bool {
        let cost = 1 + (at.pointer.len() + bytes) / BYTES_PER_READ;
        let Some(left) = self.reads_left else { return false };
        self.reads_left = left.checked_sub(cost);
        if self.reads_left.is_none() {
            let most = self.limits.reads_max;
            let what = format!("{most} values are read at most; what follows was left out, or may have any value");
            self.warn(&at.pointer, what);
        }
        self.reads_left.is_some()
    }

    /// Whether as many bytes may be kept.
    pub fn may_keep(&mut self, pointer: &str, bytes: usize) -> bool {
        let Some(left) = self.bytes_left else { return false };
        self.bytes_left = left.checked_sub(bytes);
        if self.bytes_left.is_none() {
            let most = self.limits.kept_bytes_max;
            self.warn(pointer, format!("{most} bytes are kept at most; this and what follows was left out"));
        }
        self.bytes_left.is_some()
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
        if template.len() > TEXT_BYTES_MAX {
            self.warn(&item.pointer, format!("a path has at most {TEXT_BYTES_MAX} bytes; it was left out"));
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
            let operation_id = operation.text("operationId");
            let names = security.names().iter().chain(base_paths.iter().flatten());
            let texts = path.len() + operation_id.len() + operation.pointer.len();
            let bytes = names.map(|name| size_of::<String>() + name.len()).sum::<usize>();
            if !self.may_keep(&operation.pointer, size_of::<DocumentedOperation>() + texts + bytes) {
                continue;
            }
            let parameters = parameters(self, &item, &operation);
            self.document.operations.push(DocumentedOperation {
                method: method.to_ascii_uppercase(),
                template: path.to_owned(),
                operation_id: operation_id.to_owned(),
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
            let url = server.text("url");
            if !self.may_read(&server, url.len()) {
                break;
            }
            let variables = server.value.get("variables").and_then(Value::as_object);
            let Some(path) = base_path(url, variables) else {
                let what = format!("a server's URL has at most {TEXT_BYTES_MAX} bytes; it was left out");
                self.warn(&server.pointer, what);
                continue;
            };
            if paths.contains(&path) {
                continue;
            }
            if paths.len() >= self.limits.bases_max {
                let most = self.limits.bases_max;
                let what = format!("{most} paths of servers are compared at most; the rest was left out");
                self.warn(&server.pointer, what);
                break;
            }
            paths.push(path);
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
                if names.len() >= self.limits.parts_max || !self.may_read(&way, name.len()) {
                    break;
                }
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
            if !self.may_keep(&scheme.pointer, name.len() + kind.len() + detail.len()) {
                break;
            }
            self.document.schemes.insert(name.to_owned(), Scheme { kind: kind.to_owned(), detail });
        }
    }
}

/// The path of a server's URL, without a slash at the end; `None` for one that is too long.
fn base_path(url: &str, variables: Option<&Map<String, Value>>) -> Option<String> {
    let url = expanded(url, variables)?;
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        // `//host/path` has no scheme, `/path` no host, and `path` is relative to where the document is.
        None => match url.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
            None => &url,
        },
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    Some(if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// A URL with the defaults of its variables; `None` for one that is too long. Variables in defaults are texts.
fn expanded(url: &str, variables: Option<&Map<String, Value>>) -> Option<String> {
    let mut written = String::new();
    let mut rest = url;
    while let Some((before, (name, behind))) =
        rest.split_once('{').and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
    {
        written.push_str(before);
        match variables.and_then(|variables| variables.get(name)) {
            Some(variable) => written.push_str(variable.get("default").and_then(Value::as_str).unwrap_or_default()),
            None => written.extend(["{", name, "}"]),
        }
        if written.len() > TEXT_BYTES_MAX {
            return None;
        }
        rest = behind;
    }
    written.push_str(rest);
    (written.len() <= TEXT_BYTES_MAX).then_some(written)
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
            assert_eq!(base_path(url, variables.as_object()).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn defaults_of_variables_are_expanded_once() {
        // Each default names the next variable many times over.
        let twice = |name: &str| serde_json::json!({ "default": format!("{{{name}}}").repeat(64) });
        let variables = serde_json::json!({ "a": twice("b"), "b": twice("c"), "c": twice("d") });
        let expected = format!("/{}", "{b}".repeat(64));
        assert_eq!(base_path("/{a}", variables.as_object()), Some(expected));
        let long = "{a}".repeat(20);
        assert_eq!(base_path(&long, variables.as_object()), None);
        assert_eq!(base_path(&"x".repeat(TEXT_BYTES_MAX + 1), None), None);
    }
}
