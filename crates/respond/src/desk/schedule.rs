//! When something happens by itself: one time per item, in one order that does not depend on how often time is told.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{ActionId, AlertId};

use super::silences::SilenceKey;

/// What something happens to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Alert(AlertId),
    Action(ActionId),
    Silence(SilenceKey),
}

/// The next time of each item. Derived from the items, so it is not part of a snapshot. Its size is that of what it
/// schedules.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Schedule {
    by_time: BTreeSet<(i64, Item)>,
    by_item: BTreeMap<Item, i64>,
}

impl Schedule {
    /// Sets or clears the next time of an item.
    pub(super) fn set(&mut self, item: Item, due_ms: Option<i64>) {
        let before = match due_ms {
            Some(due_ms) => self.by_item.insert(item.clone(), due_ms),
            None => self.by_item.remove(&item),
        };
        if before == due_ms {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, item.clone()));
        }
        if let Some(due_ms) = due_ms {
            self.by_time.insert((due_ms, item));
        }
    }

    /// Takes out the first item that is due at `now_ms`.
    pub(super) fn pop(&mut self, now_ms: i64) -> Option<(i64, Item)> {
        match self.by_time.first() {
            Some((due_ms, _)) if *due_ms <= now_ms => {}
            _ => return None,
        }
        let (due_ms, item) = self.by_time.pop_first()?;
        self.by_item.remove(&item);
        Some((due_ms, item))
    }
}
