//! What the Admin API tells besides entities: the node, its state, tags, and whether a document would be accepted.

use serde_json::{Value, json};

use super::{Asked, Reply};
use crate::core::Core;
use crate::schema::Table;
use crate::schema::plugins::AVAILABLE;
use crate::store::{Store, page};

/// Answers what is not an entity; `None` for everything else.
pub(super) fn answer(core: &Core, asked: &Asked, segments: &[&str]) -> Option<Reply> {
    let reads = matches!(asked.method.as_str(), "GET" | "HEAD");
    let read = |body: Value| Some(if reads { Reply::Json(200, body) } else { Reply::not_allowed() });
    match segments {
        [] => read(root(core)),
        ["status"] => read(status(core)),
        ["plugins", "enabled"] => {
            read(json!({ "enabled_plugins": AVAILABLE.iter().map(|(name, _)| *name).collect::<Vec<_>>() }))
        }
        ["tags"] => Some(tags(core, asked, None)),
        ["tags", tag] => Some(tags(core, asked, Some(tag))),
        ["schemas", path, "validate"] => Some(validate(asked, path)),
        ["config"] => {
            Some(Reply::message(400, "this endpoint is only available when Kong is configured to not use a database"))
        }
        _ => None,
    }
}

fn root(core: &Core) -> Value {
    let available: serde_json::Map<String, Value> = AVAILABLE
        .iter()
        .map(|(name, priority)| ((*name).to_owned(), json!({ "priority": priority, "version": "3.9.1" })))
        .collect();
    let enabled: Vec<&str> = AVAILABLE.iter().map(|(name, _)| *name).collect();
    let workers: Vec<usize> = (1..=core.settings.workers).collect();
    json!({
        "tagline": "Welcome to kong",
        "version": "3.9.1",
        "edition": "community",
        "hostname": "practice",
        "node_id": core.node_id,
        "lua_version": "none: this is the practice gateway",
        "pids": { "master": 0, "workers": workers },
        "timers": { "running": 0, "pending": 0 },
        "configuration": {
            "database": "postgres",
            "role": "traditional",
            "worker_consistency": "eventual",
            "worker_state_update_frequency": core.settings.state_update_frequency.as_secs_f64(),
            "db_update_frequency": 5,
        },
        "plugins": { "available_on_server": available, "enabled_in_cluster": enabled },
    })
}

fn status(core: &Core) -> Value {
    let requests = core.tallies.requests.load(std::sync::atomic::Ordering::Relaxed);
    json!({
        "database": { "reachable": true },
        "memory": { "lua_shared_dicts": {}, "workers_lua_vms": [] },
        "server": {
            "connections_accepted": requests,
            "connections_active": 1,
            "connections_handled": requests,
            "connections_reading": 0,
            "connections_waiting": 0,
            "connections_writing": 1,
            "total_requests": requests,
        },
    })
}

/// Tags with what carries them, by entity; on one page.
fn tags(core: &Core, asked: &Asked, only: Option<&str>) -> Reply {
    if !matches!(asked.method.as_str(), "GET" | "HEAD") {
        return Reply::not_allowed();
    }
    let size = match page::size(asked.argument("size")) {
        Ok(size) => size,
        Err(refusal) => return refusal.into(),
    };
    let mut found = core.read(|store| carriers(store, only));
    found.sort_by(|left, right| left.1.cmp(&right.1));
    found.truncate(size);
    let shown =
        |(table, id, tag): (Table, String, String)| json!({ "tag": tag, "entity_name": table.name(), "entity_id": id });
    let data: Vec<Value> = found.into_iter().map(shown).collect();
    Reply::Json(200, json!({ "data": data, "next": null }))
}

fn carriers(store: &Store, only: Option<&str>) -> Vec<(Table, String, String)> {
    let mut found = Vec::new();
    for table in [Table::Services, Table::Routes, Table::Consumers, Table::Plugins, Table::Keys, Table::Groups] {
        for (id, row) in store.rows(table) {
            let tags = row.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let wanted = tags.filter(|tag| only.is_none_or(|only| only == *tag));
            found.extend(wanted.map(|tag| (table, id.clone(), tag.to_owned())));
        }
    }
    found
}

/// Whether a document would be accepted, without storing it.
fn validate(asked: &Asked, path: &str) -> Reply {
    if asked.method != "POST" {
        return Reply::not_allowed();
    }
    let tables = [Table::Services, Table::Routes, Table::Consumers, Table::Plugins];
    let Some(table) = tables.into_iter().find(|table| table.path() == path) else {
        return Reply::message(404, &format!("No entity named '{path}'"));
    };
    match asked.document(table) {
        Err(reply) => reply,
        Ok(document) => match Store::accepts(table, document) {
            Ok(()) => Reply::message(200, "schema validation successful"),
            Err(refusal) => refusal.into(),
        },
    }
}
