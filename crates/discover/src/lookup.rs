//! Which endpoint a path belongs to, without learning from it.

use smallvec::SmallVec;

use crate::catalogue::Catalogue;
use crate::path::{Path, segment_key};
use crate::shape::value_shape;
use crate::trie::{NONE, NodeId, Parameter};

/// Nodes that one look-up may visit: a name and a parameter may both fit, at every level.
const VISITS_MAX: usize = 256;

impl Catalogue {
    /// The record of the endpoint of a path. Names go before parameters; where a name leads nowhere the parameter
    /// beside it is tried.
    pub(crate) fn find(&self, place: u32, method: u8, path: &Path<'_>) -> Option<u32> {
        let trie = &self.state.trie;
        let mut open: SmallVec<[(NodeId, usize); 16]> = SmallVec::new();
        open.push((self.state.places[place as usize].root, 0));
        for _ in 0..VISITS_MAX {
            let (id, at) = open.pop()?;
            let Some(segment) = path.segments.get(at) else {
                match trie[id].leaf(method) {
                    Some(leaf) => return Some(leaf.record),
                    None => continue,
                }
            };
            let parameter = trie[id].parameter;
            if parameter != NONE && trie[parameter].as_parameter().is_some_and(|known| self.fits(known, &segment.text))
            {
                open.push((parameter, at + 1));
            }
            if !trie[id].names.is_empty()
                && let Some(child) = trie.named(id, segment_key(&segment.text), &segment.text)
            {
                open.push((child, at + 1));
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
