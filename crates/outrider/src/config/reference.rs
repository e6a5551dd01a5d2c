//! All settings, as the types that read them say: a page for people, a JSON Schema for editors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Config;

/// The JSON Schema (2020-12) of `outrider.toml`.
pub fn schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>().to_value()
}

/// The page `docs/settings.md`.
pub fn page() -> String {
    let root = schema();
    let none = Map::new();
    let types = root["$defs"].as_object().unwrap_or(&none);
    let mut page = Page { types, text: HEAD.to_owned(), shown: BTreeMap::new(), written: BTreeSet::new() };
    page.table("", &root);
    page.text
}

const HEAD: &str = "# Settings

Every key that `outrider.toml` may have, its default, and what it means. This page is made of the types that read the file: \
`outrider settings` prints it for the version at hand, and `outrider settings --json-schema` the JSON Schema with which \
an editor completes and checks the file. `outrider check-config` says what is wrong with one, and where. Unknown keys are \
refused; relative paths are meant from where the file is.

Which sections a service reads is told in [Three services](services.md). What changes with `SIGHUP` and what needs a start is \
told in [Operating](operating.md).
";

/// The page as it is written.
struct Page<'s> {
    types: &'s Map<String, Value>,
    text: String,
    /// Types that have a section, with its heading.
    shown: BTreeMap<String, String>,
    /// The sections that are written.
    written: BTreeSet<String>,
}

/// What a setting may be, in words, and the table that it leads to.
struct Kind<'s> {
    words: String,
    table: Option<Table<'s>>,
}

/// A table of further settings.
struct Table<'s> {
    schema: &'s Value,
    /// The name of its type.
    of: Option<&'s str>,
    is_list: bool,
}

impl<'s> Page<'s> {
    /// The section of a table, and after it those of the tables in it.
    fn table(&mut self, path: &str, schema: &'s Value) {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut tables = Vec::new();
        let mut rows = String::new();
        // Another feature of the JSON library would keep them in the order of the type.
        for (name, property) in properties.collect::<BTreeMap<_, _>>() {
            // What tells a variant from the others is in its heading.
            if property.get("const").is_some() {
                continue;
            }
            let kind = self.kind(property);
            let mut meaning = plain(property["description"].as_str().unwrap_or_default());
            meaning += &plain(&self.words_of_values(property));
            if let Some(table) = kind.table {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                meaning = format!("{meaning} See {}.", self.heading_link(&below, &table));
                tables.push((below, table));
            }
            let default = match property.get("default") {
                _ if required.contains(&name.as_str()) => "required".to_owned(),
                Some(Value::Object(_)) | None => String::new(),
                Some(value) => written(value),
            };
            let (words, meaning) = (cell(&kind.words), cell(&meaning));
            writeln!(rows, "| `{name}` | {words} | {default} | {meaning} |").expect("a text takes text");
        }
        if !rows.is_empty() {
            self.text += "\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n";
            self.text += &rows;
        }
        for (path, table) in tables {
            self.section(&path, &table);
        }
    }

    /// A section with its heading, where its type has none yet.
    fn section(&mut self, path: &str, table: &Table<'s>) {
        let heading = heading(path, table.is_list);
        let is_elsewhere = table.of.and_then(|of| self.shown.get(of)).is_some_and(|shown| *shown != heading);
        if is_elsewhere || !self.written.insert(heading.clone()) {
            return;
        }
        let words = plain(table.schema["description"].as_str().unwrap_or_default());
        write!(self.text, "\n## {heading}\n\n{words}\n").expect("a text takes text");
        let Some(variants) = table.schema["oneOf"].as_array() else { return self.table(path, table.schema) };
        if variants.iter().all(|variant| variant["properties"]["kind"].is_null()) {
            // Each is one key, of which one alone is said.
            self.text += "\nOne of these:\n\n| key | value | meaning |\n| --- | --- | --- |\n";
            for (name, property, variant) in variants.iter().flat_map(|variant| {
                let properties = variant["properties"].as_object().into_iter().flatten();
                properties.map(move |(name, property)| (name, property, variant))
            }) {
                let words = cell(&plain(variant["description"].as_str().unwrap_or_default()));
                let kind = cell(&self.kind(property).words);
                writeln!(self.text, "| `{name}` | {kind} | {words} |").expect("a text takes text");
            }
            return;
        }
        for variant in variants {
            let kind = variant["properties"]["kind"]["const"].as_str().unwrap_or_default();
            let inner = self.resolved(variant).0;
            let words = [variant, inner].map(|schema| schema["description"].as_str().unwrap_or_default());
            let words = if words[0] == words[1] { words[0].to_owned() } else { words.join("\n\n") };
            write!(self.text, "\n### {heading} with `kind = \"{kind}\"`\n\n{}\n", plain(&words))
                .expect("a text takes text");
            self.table(path, inner);
        }
    }

    /// Names the section of a table, and keeps that its type has one.
    fn heading_link(&mut self, path: &str, table: &Table<'s>) -> String {
        let mut heading = heading(path, table.is_list);
        if let Some(of) = table.of {
            heading = self.shown.entry(of.to_owned()).or_insert(heading).clone();
        }
        // As GitHub makes anchors of headings: letters, digits, `_` and `-` stay.
        let anchor: String = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).collect();
        format!("[{heading}](#{anchor})")
    }

    /// Follows a reference, and takes away that there may be no value.
    fn resolved(&self, schema: &'s Value) -> (&'s Value, Option<&'s str>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next())
            && let Some((name, found)) = self.types.get_key_value(name)
        {
            return (found, Some(name));
        }
        let of_several = schema["anyOf"].as_array().into_iter().flatten();
        let mut values = of_several.filter(|one| one["type"] != "null");
        match (values.next(), values.next()) {
            (Some(only), None) => self.resolved(only),
            _ => (schema, None),
        }
    }

    fn kind(&self, schema: &'s Value) -> Kind<'s> {
        let (schema, of) = self.resolved(schema);
        let scalar = |words: &str| Kind { words: words.to_owned(), table: None };
        let types: Vec<&str> = match &schema["type"] {
            Value::String(only) => vec![only],
            several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        let types: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
        let values = self.values(schema);
        if !values.is_empty() {
            let words: Vec<_> = values.iter().map(|(value, _)| written(value)).collect();
            return scalar(&words.join(", "));
        }
        let is_tagged = schema["oneOf"].is_array();
        match types.as_slice() {
            _ if is_tagged || schema["properties"].is_object() => {
                Kind { words: "table".to_owned(), table: Some(Table { schema, of, is_list: false }) }
            }
            ["object"] => Kind {
                words: format!("table of names, each with {}", self.kind(&schema["additionalProperties"]).words),
                table: None,
            },
            ["array"] => {
                let items = self.kind(&schema["items"]);
                Kind {
                    words: format!("list of {}", if items.words == "table" { "tables" } else { &items.words }),
                    table: items.table.map(|table| Table { is_list: true, ..table }),
                }
            }
            ["string"] => scalar("text"),
            ["boolean"] => scalar("true or false"),
            several => scalar(&several.join(" or ").replace("string", "text").replace("array", "list of text")),
        }
    }

    /// The values of an enumeration, each with what it means.
    fn values(&self, schema: &'s Value) -> Vec<(&'s Value, &'s str)> {
        let plain = schema["enum"].as_array().into_iter().flatten().filter(|value| !value.is_null());
        let mut values: Vec<_> = plain.map(|value| (value, "")).collect();
        for one in schema["oneOf"].as_array().into_iter().flatten() {
            match one.get("const") {
                Some(value) => values.push((value, one["description"].as_str().unwrap_or_default())),
                None => values.extend(self.values(one)),
            }
        }
        values
    }

    /// What the values of an enumeration, or a text of a form, mean.
    fn words_of_values(&self, property: &'s Value) -> String {
        let (schema, of) = self.resolved(property);
        let (schema, of) = if schema["type"] == "array" { self.resolved(&schema["items"]) } else { (schema, of) };
        let values = self.values(schema);
        let told = values.iter().filter(|(_, words)| !words.is_empty());
        let told: String = told.map(|(value, words)| format!(" {}: {words}", written(value))).collect();
        match schema["description"].as_str() {
            Some(form) if of.is_some() && values.is_empty() && schema["type"] == "string" => format!(" {form}"),
            _ => told,
        }
    }
}

fn heading(path: &str, is_list: bool) -> String {
    if is_list { format!("`[[{path}]]`") } else { format!("`[{path}]`") }
}

/// A value as it is written in the file.
fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(none) if none.is_empty() => String::new(),
        value => format!("`{value}`"),
    }
}

/// Words of a type without what only its documentation can follow.
fn plain(words: &str) -> String {
    words.replace("[`", "`").replace("`]", "`")
}

fn cell(words: &str) -> String {
    words.trim().replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1` writes it anew.
    #[test]
    fn the_page_is_made_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let page = page();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page, "run with UPDATE_DOCS=1 and look at the difference");
    }

    #[test]
    fn every_key_has_words_and_a_section_that_is_there() {
        let page = page();
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        assert!(rows.len() > 150, "{}", rows.len());
        for row in &rows {
            let cells: Vec<_> = row.split(" | ").collect();
            assert!(cells.len() >= 3 && cells.last().unwrap().len() > 8, "no words: {row}");
            assert!(!cells[1].is_empty(), "no kind of value: {row}");
        }
        for link in page.split("](#").skip(1) {
            let anchor = link.split(')').next().unwrap();
            let is_heading = |line: &&str| {
                let anchor_of = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-');
                line.starts_with("## ") && line[3..].chars().filter(anchor_of).eq(anchor.chars())
            };
            assert_eq!(page.lines().filter(is_heading).count(), 1, "{anchor}");
        }
    }

    #[test]
    fn defaults_are_those_of_a_file_that_says_nothing() {
        let page = page();
        let config = Config::default();
        let has = |row: String| assert!(page.contains(&row), "{row}");
        has(format!("| `retention_days` | integer | `{}` |", config.lake.retention_days));
        has(format!("| `listen` | text | `\"{}\"` |", config.api.listen));
        has(format!("| `spool_age_max` | text | `\"{}\"` |", config.collector.spool_age_max));
        has(format!("| `growth_quantile` | number | `{}` |", config.detect.request_spike.growth_quantile));
    }
}
