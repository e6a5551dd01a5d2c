//! What is forgotten when there is no more room.
//!
//! Room is made at the limits of nodes and endpoints, so that whoever fills the catalogue with ever new paths keeps nobody
//! else out for long. What goes first is worth least: an end that is not confirmed and was not used for long, then one
//! that is not confirmed, then one that is and was not used for long, at last one that few actors use; of each kind those
//! of the fewest actors and calls first. What is confirmed, in use and used by many stays.

use crate::catalogue::Catalogue;
use crate::crowd::{is_popular, weight};
use crate::trie::{NONE, NodeId};

/// Of the nodes or endpoints at a limit, one in this many goes, so that there is room for a while.
const ROOM_SHARE: usize = 8;

/// What an end is worth: the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    is_confirmed: bool,
    is_fresh: bool,
    weight: u32,
    last_epoch: u32,
}

impl Catalogue {
    /// Makes room for a path of so many segments where there may be too little.
    pub(crate) fn make_room_for(&mut self, segments: usize) {
        let is_narrow = self.state.trie.len() + segments > self.settings.nodes_max
            || self.state.table.live() >= self.settings.endpoints_max;
        if is_narrow {
            self.make_room();
        }
    }

    /// How many nodes or endpoints there are too many for there to be some room.
    fn excess(&self) -> usize {
        let too_many = |found: usize, limit: usize| found.saturating_sub(limit - limit.div_ceil(ROOM_SHARE));
        too_many(self.state.trie.len(), self.settings.nodes_max)
            .max(too_many(self.state.table.live(), self.settings.endpoints_max))
    }

    /// Makes room where there is little left. That takes a look at all nodes, so it is not tried again in an epoch in which
    /// too many of them stay.
    pub(crate) fn make_room(&mut self) {
        if self.excess() == 0 || self.state.full_epoch == Some(self.state.epoch) {
            return;
        }
        let mut ends: Vec<(Worth, NodeId)> =
            self.state.trie.ids().filter_map(|id| Some((self.worth(id)?, id))).collect();
        ends.sort_unstable();
        for (_, id) in ends {
            if self.excess() == 0 {
                break;
            }
            self.forget_end(id);
        }
        if self.excess() > 0 {
            self.state.full_epoch = Some(self.state.epoch);
        }
    }

    /// What an end is worth; `None` for what is no end, or stays.
    fn worth(&self, id: NodeId) -> Option<Worth> {
        if !self.state.trie.is_live(id) {
            return None;
        }
        let node = &self.state.trie[id];
        let oldest = self.state.epoch.saturating_sub(self.settings.forget_after_epochs);
        let is_fresh = node.last_epoch >= oldest;
        if node.parent == NONE || !node.is_end() {
            return None;
        }
        let place = &self.state.places[node.place as usize];
        // Where nothing ends any more, nothing is lost.
        let is_confirmed = node.confident && !node.leaves.is_empty();
        if is_confirmed && is_fresh && is_popular(node.actors, place) {
            return None;
        }
        let weight = weight(node.calls, node.actors, place);
        Some(Worth { is_confirmed, is_fresh, weight, last_epoch: node.last_epoch })
    }

    /// Forgets an end, and what is above it as far as nothing else needs it.
    pub(crate) fn forget_end(&mut self, end: NodeId) {
        let mut at = end;
        loop {
            let parent = self.state.trie[at].parent;
            self.unlink(at);
            self.drop_subtree(at);
            self.state.counters.nodes_forgotten += 1;
            let node = &self.state.trie[parent];
            if node.parent == NONE || !node.is_end() || !node.leaves.is_empty() {
                return;
            }
            at = parent;
        }
    }

    fn unlink(&mut self, id: NodeId) {
        let parent = self.state.trie[id].parent;
        if self.state.trie[parent].parameter == id {
            self.state.trie[parent].parameter = NONE;
        } else {
            self.state.trie.detach(id);
        }
    }

    /// Forgets a subtree that hangs nowhere any more, with its endpoints.
    pub(crate) fn drop_subtree(&mut self, top: NodeId) {
        for id in self.state.trie.subtree(top) {
            self.unlearn(id);
            for leaf in std::mem::take(&mut self.state.trie[id].leaves) {
                self.keep(leaf.record);
                self.leave(leaf.record);
                self.state.table.forget(leaf.record);
            }
            self.state.trie.release(id);
        }
    }
}
