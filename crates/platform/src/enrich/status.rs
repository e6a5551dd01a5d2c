//! How enrichment is, for the status page and the metrics.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{Enricher, Loader, NetworkClass};

impl Enricher {
    /// Which files are in force, what is wrong with those that are not, and what was done since the start.
    pub fn to_json(&self) -> Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let mut status = json!({
            "calls": read(&counters.calls),
            "located_calls": read(&counters.located_calls),
            "lookup_failures": read(&counters.lookup_failures),
            "entities_found": read(&counters.entities),
            "entities_left_out": read(&counters.entities_left_out),
            "batches_not_enriched": read(&counters.batches_not_enriched),
        });
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in files.as_object().into_iter().flatten() {
            status[key] = value.clone();
        }
        status
    }
}

impl Loader {
    /// The files, as of the last look.
    pub(super) fn to_json(&self) -> Value {
        let databases = self.databases.iter().map(|database| {
            let facts = database.current().map(|current| current.facts());
            json!({
                "file": database.path(),
                "type": facts.as_ref().map(|facts| &facts.kind),
                "built_ms": facts.as_ref().map(|facts| facts.built_ms),
                "ip_version": facts.as_ref().map(|facts| facts.ip_version),
                "nodes": facts.as_ref().map(|facts| facts.nodes),
                "bytes": database.bytes(),
                "loaded_ms": database.loaded_ms(),
                "problem": database.problem(),
            })
        });
        let lists = self.settings.lists.iter().zip(&self.lists).map(|(settings, list)| {
            let current = list.current();
            json!({
                "file": list.path(),
                "class": NetworkClass::from(settings.class).as_str(),
                "entries": current.as_ref().map(|current| current.entries()),
                "bad_lines": current.as_ref().map(|current| current.bad_lines()),
                "loaded_ms": list.loaded_ms(),
                "problem": list.problem(),
            })
        });
        json!({
            "databases": databases.collect::<Vec<_>>(),
            "lists": lists.collect::<Vec<_>>(),
            "entities": self.settings.entities.iter().map(|entity| &entity.name).collect::<Vec<_>>(),
        })
    }
}
