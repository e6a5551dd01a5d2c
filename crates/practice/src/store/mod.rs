//! The rows behind the Admin API: the stand-in for Kong's database.
//!
//! This decides what may be stored beside what is there already (ids, unique values, references) and what goes with a
//! deleted row. It holds everything in memory; [`Store::snapshot`] is how a test restarts a gateway.

pub(crate) mod page;
mod refusal;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

pub(crate) use refusal::Refusal;

use crate::schema::entities::Writing;
use crate::schema::{self, Field, Kind, Object, Table, plugins, text};

/// Rows that one table holds at most; more are refused.
pub(crate) const ROWS_MAX: usize = 200_000;

const TABLES: [Table; 6] =
    [Table::Services, Table::Routes, Table::Consumers, Table::Plugins, Table::Keys, Table::Groups];

/// The id and the time a written row gets.
pub(crate) struct Stamp {
    /// For a row that brings no id of its own.
    pub(crate) id: String,
    /// Seconds since the epoch.
    pub(crate) now_s: i64,
}

#[derive(Default)]
struct Rows {
    by_id: BTreeMap<String, Arc<Object>>,
    unique: BTreeMap<(&'static str, String), String>,
    together: BTreeMap<String, String>,
}

/// All rows of one gateway.
pub(crate) struct Store {
    tables: BTreeMap<Table, Rows>,
    version: u64,
}

impl Default for Store {
    fn default() -> Store {
        Store { tables: TABLES.into_iter().map(|table| (table, Rows::default())).collect(), version: 0 }
    }
}

impl Store {
    /// Grows with every change of services, routes and plugins, the parts that workers take over only now and then.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// One row by id.
    pub(crate) fn get(&self, table: Table, id: &str) -> Option<&Arc<Object>> {
        self.tables.get(&table)?.by_id.get(id)
    }

    /// One row by id or by the field that stands for it in paths.
    pub(crate) fn find(&self, table: Table, key: &str) -> Option<&Arc<Object>> {
        if text::is_uuid(key) {
            return self.get(table, key);
        }
        self.find_by(table, table.endpoint_field()?, key)
    }

    /// One row by the value of a unique field.
    pub(crate) fn find_by(&self, table: Table, field: &'static str, value: &str) -> Option<&Arc<Object>> {
        let rows = self.tables.get(&table)?;
        rows.by_id.get(rows.unique.get(&(field, value.to_owned()))?)
    }

    /// All rows in the order of their ids.
    pub(crate) fn rows(&self, table: Table) -> impl Iterator<Item = (&String, &Arc<Object>)> {
        self.tables.get(&table).into_iter().flat_map(|rows| &rows.by_id)
    }

    /// Stores a new row.
    pub(crate) fn insert(&mut self, table: Table, document: Object, stamp: Stamp) -> Result<Arc<Object>, Refusal> {
        let mut document = self.prepare(table, document)?;
        if document.get("id").is_none_or(Value::is_null) {
            document.insert("id".to_owned(), stamp.id.clone().into());
        }
        set_times(table, &mut document, stamp.now_s, None);
        if table == Table::Keys && document.get("key").is_none_or(Value::is_null) {
            document.insert("key".to_owned(), stamp.id.replace('-', "").into());
        }
        let document = validated(table, document, Writing::Whole)?;
        let id = id_of(&document);
        if self.get(table, &id).is_some() {
            return Err(Refusal::taken_id(&id));
        }
        self.put(table, id, document)
    }

    /// Whether a document fulfils its schema, whatever is stored.
    pub(crate) fn accepts(table: Table, mut document: Object) -> Result<(), Refusal> {
        table.expand(&mut document);
        validated(table, document, Writing::Whole).map(|_| ())
    }

    /// Stores a row under a key, new or in place of the whole old one.
    pub(crate) fn upsert(
        &mut self,
        table: Table,
        key: &str,
        document: Object,
        stamp: Stamp,
    ) -> Result<Arc<Object>, Refusal> {
        let old = self.find(table, key).cloned();
        let mut document = document;
        if !text::is_uuid(key)
            && let Some(field) = table.endpoint_field()
        {
            document.insert(field.to_owned(), key.into());
        }
        let mut document = self.prepare(table, document)?;
        let id = match &old {
            Some(old) => id_of(old),
            None if text::is_uuid(key) => key.to_owned(),
            None => stamp.id,
        };
        document.insert("id".to_owned(), id.clone().into());
        set_times(table, &mut document, stamp.now_s, old.as_deref());
        if table == Table::Keys && document.get("key").is_none_or(Value::is_null) {
            document.insert("key".to_owned(), id.replace('-', "").into());
        }
        let document = validated(table, document, Writing::Whole)?;
        self.put(table, id, document)
    }

    /// Lays a document over an existing row; `None` when there is none.
    pub(crate) fn update(
        &mut self,
        table: Table,
        key: &str,
        document: Object,
        now_s: i64,
    ) -> Result<Option<Arc<Object>>, Refusal> {
        let Some(old) = self.find(table, key).cloned() else {
            return Ok(None);
        };
        let mut document = document;
        if table == Table::Plugins && document.get("name").is_none_or(Value::is_null) {
            document.insert("name".to_owned(), old.get("name").cloned().unwrap_or_default());
        }
        let document = self.prepare(table, document)?;
        let fields = table.fields(&document).or_else(|_| table.fields(&old)).map_err(Refusal::schema)?;
        let mut merged = Object::clone(&old);
        schema::merge(fields, &mut merged, document);
        let id = id_of(&old);
        merged.insert("id".to_owned(), id.clone().into());
        set_times(table, &mut merged, now_s, Some(&old));
        let merged = validated(table, merged, Writing::Update)?;
        self.put(table, id, merged).map(Some)
    }

    /// Removes a row and what hangs on it. Removing what is not there is fine.
    pub(crate) fn delete(&mut self, table: Table, key: &str) -> Result<(), Refusal> {
        let Some(row) = self.find(table, key).cloned() else {
            return Ok(());
        };
        let id = id_of(&row);
        let mut cascade = Vec::new();
        for other in TABLES {
            for (field, referenced, goes_too) in other.references() {
                if *referenced != table {
                    continue;
                }
                let children = self.rows(other).filter(|(_, row)| reference(row, field) == Some(id.as_str()));
                let children: Vec<String> = children.map(|(id, _)| id.clone()).collect();
                if !goes_too && !children.is_empty() {
                    return Err(Refusal::referenced(other, table));
                }
                cascade.extend(children.into_iter().map(|id| (other, id)));
            }
        }
        for (other, id) in cascade {
            self.remove(other, &id);
        }
        self.remove(table, &id);
        Ok(())
    }

    /// Every row, to start another gateway from.
    pub(crate) fn snapshot(&self) -> Value {
        let tables: Object = TABLES
            .into_iter()
            .map(|table| {
                let rows: Vec<Value> = self.rows(table).map(|(_, row)| Value::Object(Object::clone(row))).collect();
                (table.name().to_owned(), Value::Array(rows))
            })
            .collect();
        json!({ "version": 1, "tables": tables })
    }

    /// The rows of a snapshot; `None` when it is not one of ours.
    pub(crate) fn restore(snapshot: &Value) -> Option<Store> {
        if snapshot.get("version")? != 1 {
            return None;
        }
        let mut store = Store::default();
        for table in TABLES {
            for row in snapshot.get("tables")?.get(table.name())?.as_array()? {
                let row = row.as_object()?.clone();
                store.put(table, id_of(&row), row).ok()?;
            }
        }
        Some(store)
    }

    /// Abbreviations and references by name become what they stand for.
    fn prepare(&self, table: Table, mut document: Object) -> Result<Object, Refusal> {
        table.expand(&mut document);
        for (field, referenced, _) in table.references() {
            let Some(Value::Object(key)) = document.get(*field) else {
                continue;
            };
            if key.contains_key("id") {
                continue;
            }
            let by = referenced.unique_fields().iter().find_map(|by| Some((*by, key.get(*by)?.as_str()?.to_owned())));
            if let Some((by, value)) = by {
                let row = self.find_by(*referenced, by, &value);
                let row = row.ok_or_else(|| Refusal::unresolved(field, *referenced, by, &value))?;
                let id = id_of(row);
                document.insert((*field).to_owned(), json!({ "id": id }));
            }
        }
        Ok(document)
    }

    /// The checks that need the other rows, then the write itself.
    fn put(&mut self, table: Table, id: String, document: Object) -> Result<Arc<Object>, Refusal> {
        self.check_unique(table, &id, &document)?;
        for (field, referenced, _) in table.references() {
            if let Some(target) = reference(&document, field)
                && self.get(*referenced, target).is_none()
            {
                return Err(Refusal::dangling(field, *referenced, target));
            }
        }
        if self.get(table, &id).is_none() && self.tables.get(&table).is_some_and(|rows| rows.by_id.len() >= ROWS_MAX) {
            return Err(Refusal::full(table, ROWS_MAX));
        }
        self.remove(table, &id);
        let row = Arc::new(document);
        let rows = self.tables.entry(table).or_default();
        for (field, value) in unique_values(table, &row) {
            rows.unique.insert((field, value), id.clone());
        }
        if let Some(key) = together_key(table, &row) {
            rows.together.insert(key, id.clone());
        }
        rows.by_id.insert(id, Arc::clone(&row));
        self.changed(table);
        Ok(row)
    }

    fn check_unique(&self, table: Table, id: &str, document: &Object) -> Result<(), Refusal> {
        let Some(rows) = self.tables.get(&table) else {
            return Ok(());
        };
        let taken = |other: Option<&String>| other.is_some_and(|other| other != id);
        if let Some(key) = together_key(table, document)
            && taken(rows.together.get(&key))
        {
            return Err(Refusal::taken(together(table, document)));
        }
        for (field, value) in unique_values(table, document) {
            if taken(rows.unique.get(&(field, value.clone()))) {
                return Err(Refusal::taken(Object::from_iter([(field.to_owned(), value.into())])));
            }
        }
        Ok(())
    }

    fn remove(&mut self, table: Table, id: &str) {
        let Some(rows) = self.tables.get_mut(&table) else {
            return;
        };
        let Some(row) = rows.by_id.remove(id) else {
            return;
        };
        for (field, value) in unique_values(table, &row) {
            rows.unique.remove(&(field, value));
        }
        if let Some(key) = together_key(table, &row) {
            rows.together.remove(&key);
        }
        self.changed(table);
    }

    fn changed(&mut self, table: Table) {
        if matches!(table, Table::Services | Table::Routes | Table::Plugins) {
            self.version += 1;
        }
    }
}

/// The id of a stored row.
pub(crate) fn id_of(row: &Object) -> String {
    row.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The id that a reference holds.
pub(crate) fn reference<'a>(row: &'a Object, field: &str) -> Option<&'a str> {
    row.get(field)?.get("id")?.as_str()
}

fn unique_values(table: Table, row: &Object) -> Vec<(&'static str, String)> {
    let values = table.unique_fields().iter();
    values.filter_map(|field| Some((*field, row.get(*field)?.as_str()?.to_owned()))).collect()
}

fn together(table: Table, row: &Object) -> Object {
    table
        .unique_together()
        .iter()
        .map(|field| ((*field).to_owned(), row.get(*field).cloned().unwrap_or(Value::Null)))
        .collect()
}

fn together_key(table: Table, row: &Object) -> Option<String> {
    (!table.unique_together().is_empty()).then(|| Value::Object(together(table, row)).to_string())
}

fn set_times(table: Table, document: &mut Object, now_s: i64, old: Option<&Object>) {
    let created_at = old.and_then(|old| old.get("created_at").cloned()).unwrap_or_else(|| now_s.into());
    document.insert("created_at".to_owned(), created_at);
    if table.has_updated_at() {
        document.insert("updated_at".to_owned(), now_s.into());
    }
}

/// Defaults filled in and every rule of the schema held.
fn validated(table: Table, mut document: Object, writing: Writing) -> Result<Object, Refusal> {
    let fields: &[Field] = table.fields(&document).map_err(Refusal::schema)?;
    schema::fill(fields, &mut document);
    let mut problems = schema::problems(fields, &document);
    if table == Table::Plugins && !problems.contains_key("config") {
        let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(config) = document.get("config").and_then(Value::as_object)
            && let Some(problem) = plugins::config_problem(name, config)
        {
            problems.insert("config".to_owned(), problem.into());
        }
    }
    let whole = table.whole(&document, writing);
    if !whole.is_empty() {
        problems.insert("@entity".to_owned(), whole.into());
    }
    if !problems.is_empty() {
        return Err(Refusal::schema(problems));
    }
    integers(fields, &mut document);
    Ok(document)
}

/// Kong's numbers have one type: `3.0` is shown as `3`.
fn integers(fields: &[Field], document: &mut Object) {
    for field in fields {
        match (&field.kind, document.get_mut(field.name)) {
            (Kind::Number { .. }, Some(value)) => {
                if let Some(number) = value.as_f64()
                    && number.fract() == 0.0
                    && number.abs() < 1e15
                {
                    *value = (number as i64).into();
                }
            }
            (Kind::Record { fields }, Some(Value::Object(inner))) => integers(fields, inner),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_bounded() {
        let mut store = Store::default();
        let mut add = |number: usize| {
            let document = json!({ "username": format!("c{number}") }).as_object().cloned().unwrap();
            let id = uuid::Uuid::from_u128(number as u128).to_string();
            store.insert(Table::Consumers, document, Stamp { id, now_s: 1 })
        };
        for number in 0..ROWS_MAX {
            add(number).unwrap();
        }
        let refusal = add(ROWS_MAX).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (500, 8));
    }
}
