//! From bytes to a tree of values, and around in it: JSON or YAML, local references, within limits.

use serde_json::{Map, Value};

/// Bytes of a path, of a server's URL and of a reference; longer ones are warnings.
pub(super) const TEXT_BYTES_MAX: usize = 2048;

/// What a document may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a document. A larger one is refused.
    pub bytes_max: usize,
    /// How deep its values are nested. A deeper one is refused.
    pub depth_max: usize,
    /// Values of a document in YAML, those that aliases repeat included. One with more is refused.
    pub values_max: usize,
    /// Operations. Further ones are left out, with a warning.
    pub operations_max: usize,
    /// Parameters of an operation, and values of an enumeration. Further ones are left out, with a warning.
    pub parts_max: usize,
    /// Paths of servers of the document, and of an operation. Further ones are left out, with a warning.
    pub bases_max: usize,
    /// Parameters, schemas, listed values, servers and names of schemes that are read over the whole document, those that
    /// references repeat included; long ones count more than once. Beyond it parameters and servers are left
    /// out and any value is taken for allowed, with a warning.
    pub reads_max: usize,
    /// Bytes that are kept of the whole document, those that references repeat included. Operations and parameters
    /// beyond it are left out, with a warning.
    pub kept_bytes_max: usize,
    /// References from one to the next. A longer chain, such as a circle, is a warning.
    pub references_max: usize,
    /// Warnings that are listed. Further ones are only counted.
    pub warnings_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes_max: 16 << 20,
            depth_max: 100,
            values_max: 2_000_000,
            operations_max: 10_000,
            parts_max: 256,
            bases_max: 16,
            reads_max: 1_000_000,
            kept_bytes_max: 64 << 20,
            references_max: 16,
            warnings_max: 200,
        }
    }
}

/// Why there is no document. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// More bytes than are read.
    #[error("the document has {found} bytes, and {most} are read at most; leave out examples and descriptions")]
    TooLarge {
        /// Its bytes.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// Not UTF-8.
    #[error("byte {at} of the document is no UTF-8; save it as UTF-8")]
    NotText {
        /// The offset of the first such byte.
        at: usize,
    },
    /// Neither JSON nor YAML.
    #[error("the document is no {format}: {reason}; mend it there")]
    Syntax {
        /// `JSON` or `YAML`.
        format: &'static str,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// Nested too deep.
    #[error("the document is nested more than {most} deep; no OpenAPI document is")]
    TooDeep {
        /// The limit.
        most: usize,
    },
    /// No OpenAPI.
    #[error("the document has no `openapi` at its top, so it is no OpenAPI document; is it the right file?")]
    NotOpenApi,
    /// Another version.
    #[error("the document is of version `{found}`, and 3.0 and 3.1 are read; convert it, as with swagger2openapi")]
    Version {
        /// What it says.
        found: String,
    },
    /// No paths.
    #[error(
        "the document has no object `paths` at `/paths`, so there is nothing to compare; write its operations there"
    )]
    NoPaths,
}

/// The values of a document.
pub(super) fn values(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, DocumentError> {
    if bytes.len() > limits.bytes_max {
        return Err(DocumentError::TooLarge { found: bytes.len(), most: limits.bytes_max });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| DocumentError::NotText { at: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = if text.trim_start().starts_with('{') { json(text)? } else { yaml(text, limits)? };
    if depth(&value, limits.depth_max) > limits.depth_max {
        return Err(DocumentError::TooDeep { most: limits.depth_max });
    }
    match value {
        Value::Object(root) => Ok(root),
        _ => Err(DocumentError::NotOpenApi),
    }
}

fn json(text: &str) -> Result<Value, DocumentError> {
    // The parser itself goes 128 values deep.
    serde_json::from_str(text).map_err(|error| DocumentError::Syntax { format: "JSON", reason: error.to_string() })
}

fn yaml(text: &str, limits: &Limits) -> Result<Value, DocumentError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits.depth_max,
            max_nodes: limits.values_max,
            max_events: limits.values_max.saturating_mul(2),
            max_total_scalar_bytes: limits.bytes_max,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| DocumentError::Syntax { format: "YAML", reason: first_line(&error.to_string()) })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

/// How deep a value is nested, as far as the limit.
fn depth(value: &Value, left: usize) -> usize {
    if left == 0 {
        return 1;
    }
    let inside = match value {
        Value::Array(list) => list.iter().map(|value| depth(value, left - 1)).max(),
        Value::Object(map) => map.values().map(|value| depth(value, left - 1)).max(),
        _ => None,
    };
    1 + inside.unwrap_or(0)
}

/// A place in a document: the value and its pointer.
#[derive(Debug, Clone)]
pub(super) struct At<'d> {
    pub value: &'d Value,
    pub pointer: String,
}

impl<'d> At<'d> {
    /// The value under a key.
    pub fn key(&self, key: &str) -> Option<At<'d>> {
        let value = self.value.as_object()?.get(key)?;
        Some(At { value, pointer: format!("{}/{}", self.pointer, escaped(key)) })
    }

    /// The values of a list; none where it is no list.
    pub fn items(&self) -> impl Iterator<Item = At<'d>> {
        let pointer = self.pointer.clone();
        let list = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().enumerate().map(move |(at, value)| At { value, pointer: format!("{pointer}/{at}") })
    }

    /// The values of an object with their keys; none where it is none.
    pub fn entries(&self) -> impl Iterator<Item = (&'d str, At<'d>)> {
        let pointer = self.pointer.clone();
        self.value
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(key, value)| (key.as_str(), At { value, pointer: format!("{pointer}/{}", escaped(key)) }))
    }

    /// The text under a key; empty where there is none.
    pub fn text(&self, key: &str) -> &'d str {
        self.value.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether `true` stands under a key.
    pub fn is_true(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool) == Some(true)
    }
}

/// Follows a value's `$ref`, and that of what it leads to. An error says what is wrong with the first.
pub(super) fn resolved<'d>(root: &'d Value, at: At<'d>, references_max: usize) -> Result<At<'d>, String> {
    let mut found = at;
    for _ in 0..=references_max {
        let Some(reference) = found.value.get("$ref").and_then(Value::as_str) else { return Ok(found) };
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(format!("`$ref` leads to `{}`, out of the document; bundle it into one file", cut(reference)));
        };
        if pointer.len() > TEXT_BYTES_MAX {
            return Err(format!("`$ref` has more than {TEXT_BYTES_MAX} bytes; give what it leads to a shorter name"));
        }
        let pointer = percent_decoded(pointer);
        let Some(value) = root.pointer(&pointer) else {
            return Err(format!("`$ref` leads to `{}`, where nothing is; mend it", cut(reference)));
        };
        found = At { value, pointer };
    }
    Err(format!("`$ref` leads in a circle, or over more than {references_max} others; break it"))
}

/// A text of the document as it may be shown.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn percent_decoded(text: &str) -> String {
    crate::path::decode(text).into_owned()
}
