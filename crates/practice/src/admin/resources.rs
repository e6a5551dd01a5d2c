//! Entities by path: `/consumers`, `/consumers/{key}`, `/consumers/{key}/plugins`, `/consumers/{key}/plugins/{key}`,
//! and `/plugins/{key}/consumer`, as Kong generates its endpoints from its schemas.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Asked, Reply};
use crate::core::Core;
use crate::percent;
use crate::schema::{Object, Table, plugins, text};
use crate::store::page::{self, Query};
use crate::store::{Store, id_of, reference};

const COLLECTIONS: [Table; 6] =
    [Table::Services, Table::Routes, Table::Consumers, Table::Plugins, Table::Keys, Table::Groups];

/// What lies below what, and by which field.
const NESTED: [(Table, Table, &str); 6] = [
    (Table::Services, Table::Routes, "service"),
    (Table::Services, Table::Plugins, "service"),
    (Table::Routes, Table::Plugins, "route"),
    (Table::Consumers, Table::Plugins, "consumer"),
    (Table::Consumers, Table::Keys, "consumer"),
    (Table::Consumers, Table::Groups, "consumer"),
];

/// One endpoint.
pub(super) enum Resource<'a> {
    Collection(Table),
    Entity(Table, &'a str),
    NestedCollection { parent: Table, parent_key: &'a str, table: Table, field: &'static str },
    NestedEntity { parent: Table, parent_key: &'a str, table: Table, field: &'static str, key: &'a str },
    Referenced { table: Table, key: &'a str, field: &'static str, referenced: Table },
}

/// The endpoint at a path.
pub(super) fn find<'a>(segments: &[&'a str]) -> Option<Resource<'a>> {
    let top = |path: &str| COLLECTIONS.into_iter().find(|table| table.path() == path);
    let nested = |parent: Table, path: &str| {
        NESTED.into_iter().find(|(above, below, _)| *above == parent && below.nested_path() == path)
    };
    match *segments {
        [path] => top(path).map(Resource::Collection),
        [path, key] => top(path).map(|table| Resource::Entity(table, key)),
        [path, key, below] => {
            let table = top(path)?;
            if let Some((parent, table, field)) = nested(table, below) {
                return Some(Resource::NestedCollection { parent, parent_key: key, table, field });
            }
            let (field, referenced, _) = table.references().iter().find(|(field, ..)| *field == below)?;
            Some(Resource::Referenced { table, key, field, referenced: *referenced })
        }
        [path, parent_key, below, key] => {
            let (parent, table, field) = nested(top(path)?, below)?;
            Some(Resource::NestedEntity { parent, parent_key, table, field, key })
        }
        _ => None,
    }
}

impl Resource<'_> {
    pub(super) fn answer(&self, core: &Core, asked: &Asked) -> Reply {
        let done = match self {
            Resource::Collection(table) => collection(core, asked, *table),
            Resource::Entity(table, key) => entity(core, asked, *table, key),
            Resource::NestedCollection { parent, parent_key, table, field } => {
                nested_collection(core, asked, (*parent, parent_key), *table, field)
            }
            Resource::NestedEntity { parent, parent_key, table, field, key } => {
                nested_entity(core, asked, (*parent, parent_key), (*table, key), field)
            }
            Resource::Referenced { table, key, field, referenced } => {
                referred(core, asked, (*table, key), field, *referenced)
            }
        };
        done.unwrap_or_else(|refused| refused)
    }
}

fn collection(core: &Core, asked: &Asked, table: Table) -> Result<Reply, Reply> {
    match asked.method.as_str() {
        "GET" | "HEAD" => list(core, asked, table),
        "POST" => {
            let document = asked.document(table)?;
            let row = core.write(|store, stamp| store.insert(table, document, stamp))?;
            Ok(Reply::Json(201, shown(table, &row)))
        }
        "OPTIONS" => Ok(Reply::Allow("GET, HEAD, OPTIONS, POST")),
        _ => Err(Reply::not_allowed()),
    }
}

fn list(core: &Core, asked: &Asked, table: Table) -> Result<Reply, Reply> {
    if table == Table::Consumers
        && let Some(custom_id) = asked.argument("custom_id")
    {
        if custom_id.is_empty() {
            return Err(Reply::message(400, "custom_id must be an unempty string"));
        }
        let found = core.read(|store| store.find_by(table, "custom_id", custom_id).cloned());
        let data: Vec<Value> = found.iter().map(|row| shown(table, row)).collect();
        return Ok(Reply::Json(200, json!({ "data": data, "next": null })));
    }
    let (tags, size, offset) = (asked.argument("tags"), asked.argument("size"), asked.argument("offset"));
    let page = core.read(|store| store.page(table, &Query { parent: None, tags, size, offset }))?;
    let next = page.offset.as_ref().map(|offset| {
        let tags = tags.map(|tags| format!("&tags={}", percent::encode(tags))).unwrap_or_default();
        let size = size.map(|size| format!("&size={size}")).unwrap_or_default();
        format!("/{}?offset={}{tags}{size}", table.path(), percent::encode(offset))
    });
    Ok(Reply::Json(200, shown_page(table, page, next)))
}

fn entity(core: &Core, asked: &Asked, table: Table, key: &str) -> Result<Reply, Reply> {
    match asked.method.as_str() {
        "GET" | "HEAD" => {
            let row = core.read(|store| store.find(table, key).cloned()).ok_or_else(Reply::not_found)?;
            Ok(Reply::Json(200, shown(table, &row)))
        }
        "PUT" => {
            let document = asked.document(table)?;
            let row = core.write(|store, stamp| store.upsert(table, key, document, stamp))?;
            Ok(Reply::Json(200, shown(table, &row)))
        }
        "PATCH" => {
            let document = asked.document(table)?;
            let row = core.write(|store, stamp| store.update(table, key, document, stamp.now_s))?;
            row.map(|row| Reply::Json(200, shown(table, &row))).ok_or_else(Reply::not_found)
        }
        "DELETE" => {
            core.write(|store, _| store.delete(table, key))?;
            Ok(Reply::NoContent)
        }
        "OPTIONS" => Ok(Reply::Allow("DELETE, GET, HEAD, OPTIONS, PATCH, PUT")),
        _ => Err(Reply::not_allowed()),
    }
}

fn nested_collection(
    core: &Core,
    asked: &Asked,
    (parent, parent_key): (Table, &str),
    table: Table,
    field: &'static str,
) -> Result<Reply, Reply> {
    match asked.method.as_str() {
        "GET" | "HEAD" => {
            let (tags, size, offset) = (asked.argument("tags"), asked.argument("size"), asked.argument("offset"));
            let page = core.read(|store| {
                let above = store.find(parent, parent_key).map(|row| id_of(row)).ok_or_else(Reply::not_found)?;
                let query = Query { parent: Some((field, &above)), tags, size, offset };
                store.page(table, &query).map_err(Reply::from)
            })?;
            let next = page.offset.as_ref().map(|offset| {
                let (parent_key, offset) = (percent::encode(parent_key), percent::encode(offset));
                format!("/{}/{parent_key}/{}?offset={offset}", parent.path(), table.nested_path())
            });
            Ok(Reply::Json(200, shown_page(table, page, next)))
        }
        "POST" => {
            let mut document = asked.document(table)?;
            let row = core.write(|store, stamp| {
                let above = store.find(parent, parent_key).map(|row| id_of(row)).ok_or_else(Reply::not_found)?;
                document.insert(field.to_owned(), json!({ "id": above }));
                store.insert(table, document, stamp).map_err(Reply::from)
            })?;
            Ok(Reply::Json(201, shown(table, &row)))
        }
        "OPTIONS" => Ok(Reply::Allow("GET, HEAD, OPTIONS, POST")),
        _ => Err(Reply::not_allowed()),
    }
}

fn nested_entity(
    core: &Core,
    asked: &Asked,
    (parent, parent_key): (Table, &str),
    (table, key): (Table, &str),
    field: &'static str,
) -> Result<Reply, Reply> {
    let place = Place { parent, parent_key, table, key, field };
    match asked.method.as_str() {
        "GET" | "HEAD" => {
            let row = core.read(|store| place.row(store))?;
            Ok(Reply::Json(200, shown(table, &row)))
        }
        "PUT" => {
            let mut document = asked.document(table)?;
            let row = core.write(|store, stamp| {
                let above = place.above(store)?;
                document.insert(field.to_owned(), json!({ "id": above }));
                // A membership is found by its group, and a new one is stored under an id of its own.
                let mut key = key.to_owned();
                if table == Table::Groups && !text::is_uuid(&key) {
                    document.entry("group").or_insert_with(|| key.clone().into());
                    key = group(store, &above, &key).map_or(stamp.id.clone(), |row| id_of(&row));
                }
                store.upsert(table, &key, document, stamp).map_err(Reply::from)
            })?;
            Ok(Reply::Json(200, shown(table, &row)))
        }
        "PATCH" => {
            let document = asked.document(table)?;
            let row = core.write(|store, stamp| {
                let id = id_of(&*place.row(store)?);
                store.update(table, &id, document, stamp.now_s).map_err(Reply::from)
            })?;
            row.map(|row| Reply::Json(200, shown(table, &row))).ok_or_else(Reply::not_found)
        }
        "DELETE" => core.write(|store, _| {
            let id = id_of(&*place.row(store)?);
            store.delete(table, &id)?;
            Ok(Reply::NoContent)
        }),
        "OPTIONS" => Ok(Reply::Allow("DELETE, GET, HEAD, OPTIONS, PATCH, PUT")),
        _ => Err(Reply::not_allowed()),
    }
}

/// An entity below another one.
struct Place<'a> {
    parent: Table,
    parent_key: &'a str,
    table: Table,
    key: &'a str,
    field: &'static str,
}

impl Place<'_> {
    fn above(&self, store: &Store) -> Result<String, Reply> {
        store.find(self.parent, self.parent_key).map(|row| id_of(row)).ok_or_else(Reply::not_found)
    }

    /// The entity, when it is there and hangs on that parent.
    fn row(&self, store: &Store) -> Result<Arc<Object>, Reply> {
        let above = self.above(store)?;
        if self.table == Table::Groups && !text::is_uuid(self.key) {
            return group(store, &above, self.key).ok_or(Reply::Error(404, "Not found"));
        }
        let row = store.find(self.table, self.key).cloned().ok_or_else(Reply::not_found)?;
        if reference(&row, self.field) == Some(&above) { Ok(row) } else { Err(Reply::not_found()) }
    }
}

fn group(store: &Store, consumer: &str, group: &str) -> Option<Arc<Object>> {
    let mut rows = store.rows(Table::Groups).map(|(_, row)| row);
    rows.find(|row| {
        reference(row, "consumer") == Some(consumer) && row.get("group").and_then(Value::as_str) == Some(group)
    })
    .cloned()
}

/// What an entity points at; only to look at.
fn referred(
    core: &Core,
    asked: &Asked,
    (table, key): (Table, &str),
    field: &'static str,
    referenced: Table,
) -> Result<Reply, Reply> {
    match asked.method.as_str() {
        "GET" | "HEAD" => {
            let row = core.read(|store| {
                let row = store.find(table, key)?;
                store.get(referenced, reference(row, field)?).cloned()
            });
            let row = row.ok_or_else(Reply::not_found)?;
            Ok(Reply::Json(200, shown(referenced, &row)))
        }
        "OPTIONS" => Ok(Reply::Allow("GET, HEAD, OPTIONS")),
        _ => Err(Reply::not_allowed()),
    }
}

fn shown(table: Table, row: &Object) -> Value {
    if table == Table::Plugins { Value::Object(plugins::shown(row)) } else { Value::Object(row.clone()) }
}

fn shown_page(table: Table, page: page::Page, next: Option<String>) -> Value {
    let data: Vec<Value> = page.rows.iter().map(|row| shown(table, row)).collect();
    let mut body = json!({ "data": data, "next": next });
    if let Some(offset) = page.offset {
        body["offset"] = offset.into();
    }
    body
}
