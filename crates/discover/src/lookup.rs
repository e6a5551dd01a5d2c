//! Which endpoint a path belongs to, without learning from it.

use smallvec::SmallVec;

use crate::catalogue::Catalogue;
use crate::hints::{At, Said, Tree};
use crate::path::{Path, segment_key};
use crate::shape::value_shape;
use crate::trie::{NONE, NodeId, Parameter};

/// Nodes that one look-up may visit: a name and a parameter may both fit, at every level.
const VISITS_MAX: usize = 256;

impl Catalogue {
    /// The record of the endpoint of a path. Names go before parameters; where a name leads nowhere the parameter
    /// beside it is tried. An operation that is not known belongs to the endpoint without it.
    pub(crate) fn find(&self, place: u32, method: u8, path: &Path<'_>) -> Option<u32> {
        let trie = &self.state.trie;
        let tree = self.hints.tree_of(place);
        let mut open: SmallVec<[(NodeId, usize, At); 8]> = SmallVec::new();
        open.push((self.state.places[place as usize].root, 0, Tree::root()));
        for _ in 0..VISITS_MAX {
            let (id, at, told_at) = open.pop()?;
            let Some(segment) = path.segments.get(at) else {
                let operation = path.operation.as_deref().and_then(|name| self.operation_at(id, name));
                let leaf = operation.and_then(|id| trie[id].leaf(method));
                match leaf.or_else(|| trie[id].leaf(method)) {
                    Some(leaf) => return Some(leaf.record),
                    None => continue,
                }
            };
            let (said, told_at) = tree.map_or_else(Default::default, |tree| tree.step(&told_at, Some(&segment.text)));
            let parameter = trie[id].parameter;
            // Most nodes have no names, and a key takes time.
            let has_names = !trie[id].names.is_empty();
            let named = has_names.then(|| trie.named(id, segment_key(segment.name()), segment.name())).flatten();
            let fits = |known: &Parameter| match said {
                // One that no call was seen of belongs where it did.
                Some(Said::Name { .. }) if named.is_some() => false,
                Some(Said::Value { .. }) => true,
                _ => self.fits(known, &segment.text),
            };
            if parameter != NONE && trie[parameter].as_parameter().is_some_and(fits) {
                open.push((parameter, at + 1, told_at.clone()));
            }
            if let Some(child) = named {
                open.push((child, at + 1, told_at));
            }
        }
        None
    }

    /// Whether a text may be a value of a parameter.
    fn fits(&self, parameter: &Parameter, text: &str) -> bool {
        if parameter.constant().is_some_and(|only| only != text) {
            return false;
        }
        parameter.is_open() || value_shape(text, self.settings.segment_bytes_max).is_some()
    }
}
