//! Why the store does not do something, in the words and codes of Kong 3.9.

use serde_json::{Value, json};

use crate::schema::{Object, Table};

/// One refused operation, ready to be shown by the Admin API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// Kong's error code.
    pub(crate) code: u8,
    /// Kong's name of the code.
    pub(crate) name: &'static str,
    /// For a person.
    pub(crate) message: String,
    /// What is wrong where; null where Kong sends none.
    pub(crate) fields: Value,
}

impl Refusal {
    /// The document breaks its schema.
    pub(crate) fn schema(problems: Object) -> Refusal {
        let lines = lines(&problems);
        let message = match lines.as_slice() {
            [line] => format!("schema violation ({line})"),
            lines => format!("{} schema violations ({})", lines.len(), lines.join("; ")),
        };
        Refusal { status: 400, code: 2, name: "schema violation", message, fields: Value::Object(problems) }
    }

    /// The id is taken.
    pub(crate) fn taken_id(id: &str) -> Refusal {
        let message = format!("primary key violation on key '{{id=\"{id}\"}}'");
        Refusal { status: 400, code: 3, name: "primary key violation", message, fields: json!({ "id": id }) }
    }

    /// A unique value, or a combination that has to be unique, is taken.
    pub(crate) fn taken(fields: Object) -> Refusal {
        let message = format!("UNIQUE violation detected on '{}'", lua(&Value::Object(fields.clone())));
        Refusal { status: 409, code: 5, name: "unique constraint violation", message, fields: Value::Object(fields) }
    }

    /// A reference points at nothing.
    pub(crate) fn dangling(field: &str, table: Table, id: &str) -> Refusal {
        let message =
            format!("the foreign key '{{id=\"{id}\"}}' does not reference an existing '{}' entity.", table.name());
        let fields = json!({ field: { "id": id } });
        Refusal { status: 400, code: 4, name: "foreign key violation", message, fields }
    }

    /// A reference by name points at nothing.
    pub(crate) fn unresolved(field: &str, table: Table, by: &str, value: &str) -> Refusal {
        let problem = format!(
            "the foreign key cannot be resolved with '{{{by}=\"{value}\"}}' for an existing '{}' entity",
            table.name()
        );
        let message = format!("foreign key unresolved ({field}.{by}: {problem})");
        let fields = json!({ field: { by: problem } });
        Refusal { status: 400, code: 13, name: "foreign keys unresolved", message, fields }
    }

    /// The row is needed by another one.
    pub(crate) fn referenced(by: Table, table: Table) -> Refusal {
        let message = format!("an existing '{}' entity references this '{}' entity", by.name(), table.name());
        let fields = json!({ "@referenced_by": by.name() });
        Refusal { status: 400, code: 4, name: "foreign key violation", message, fields }
    }

    /// A page position that no list gave out.
    pub(crate) fn offset(offset: &str, why: &str) -> Refusal {
        let message = format!("'{offset}' is not a valid offset: {why}");
        Refusal { status: 400, code: 7, name: "invalid offset", message, fields: Value::Null }
    }

    /// A page size out of range.
    pub(crate) fn size(why: &str) -> Refusal {
        Refusal { status: 400, code: 9, name: "invalid size", message: why.to_owned(), fields: Value::Null }
    }

    /// A query option that makes no sense.
    pub(crate) fn option(name: &str, why: &str) -> Refusal {
        let message = format!("invalid option ({name}: {why})");
        Refusal { status: 400, code: 11, name: "invalid options", message, fields: json!({ name: why }) }
    }

    /// The practice gateway is full: Kong has no such limit.
    pub(crate) fn full(table: Table, limit: usize) -> Refusal {
        let message = format!("the practice gateway keeps at most {limit} {}", table.name());
        Refusal { status: 500, code: 8, name: "database error", message, fields: Value::Null }
    }

    /// As the Admin API sends it.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({ "message": self.message, "name": self.name, "code": self.code });
        if !self.fields.is_null() {
            body["fields"] = self.fields.clone();
        }
        body
    }
}

/// One line per problem: those of the whole entity first, then by field.
fn lines(problems: &Object) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if let Some(Value::Array(entity)) = problems.get("@entity") {
        lines.extend(entity.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    let mut names: Vec<&String> = problems.keys().filter(|name| *name != "@entity").collect();
    names.sort();
    for name in names {
        match &problems[name] {
            Value::Object(inner) => {
                let mut fields: Vec<&String> = inner.keys().collect();
                fields.sort();
                lines.extend(fields.iter().map(|field| format!("{name}.{field}: {}", text(&inner[*field]))));
            }
            Value::Array(elements) => {
                let bad = elements.iter().enumerate().filter(|(_, element)| !element.is_null());
                lines.extend(bad.map(|(at, element)| format!("{name}.{}: {}", at + 1, text(element))));
            }
            problem => lines.push(format!("{name}: {}", text(problem))),
        }
    }
    lines
}

/// A problem as it stands in a line; nested ones as Lua tables over several lines.
fn text(problem: &Value) -> String {
    match problem {
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let whole = elements.iter().take_while(|element| !element.is_null()).count();
            let entries: Vec<String> = elements
                .iter()
                .enumerate()
                .filter(|(_, element)| !element.is_null())
                .map(
                    |(at, element)| {
                        if at < whole { format!("  {element}") } else { format!("  [{}] = {element}", at + 1) }
                    },
                )
                .collect();
            format!("{{\n{}\n}}", entries.join(",\n"))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(name, entry)| format!("  {name} = {entry}")).collect();
            format!("{{\n{}\n}}", entries.join(",\n"))
        }
        other => other.to_string(),
    }
}

/// A value as Kong prints keys: names sorted, no quotes around them.
fn lua(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let mut names: Vec<&String> = entries.keys().collect();
            names.sort();
            let parts: Vec<String> = names.iter().map(|name| format!("{name}={}", lua(&entries[*name]))).collect();
            format!("{{{}}}", parts.join(","))
        }
        other => other.to_string(),
    }
}
