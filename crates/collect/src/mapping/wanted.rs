//! Reads the places of a line that fields are mapped from, in one pass over the line.

use std::borrow::Cow;

use outrider_model::Text;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;
use sonic_rs::LazyValue;

use crate::kong::{drain_seq, scalars_give};

/// Where a value of [`Wanted`] is among what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(usize);

/// A place in a line: the names on the way to it.
pub(super) type Path = Vec<String>;

/// The places, each once.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    root: Node,
    slots: usize,
}

#[derive(Debug, Default)]
struct Node {
    slot: Option<Slot>,
    /// Few, so they are looked through.
    children: Vec<(String, Node)>,
}

/// What stands at the places of one line, as it is written there.
pub(super) struct Found<'a>(SmallVec<[Option<LazyValue<'a>>; 8]>);

impl<'a> Found<'a> {
    /// `None` where the line has nothing there.
    pub(super) fn get(&self, slot: Slot) -> Option<&LazyValue<'a>> {
        self.0.get(slot.0)?.as_ref()
    }
}

impl Wanted {
    /// The slot of a place, which is wanted from now on.
    pub(super) fn slot(&mut self, path: &[String]) -> Slot {
        let mut node = &mut self.root;
        for name in path {
            let at = node.children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                node.children.push((name.clone(), Node::default()));
                node.children.len() - 1
            });
            node = &mut node.children[at].1;
        }
        let next = Slot(self.slots);
        let slot = *node.slot.get_or_insert(next);
        self.slots += usize::from(slot == next);
        slot
    }

    /// The slot of a place, if it is wanted.
    pub(super) fn find(&self, path: &[String]) -> Option<Slot> {
        let below = |node: &'_ Node, name: &String| node.children.iter().position(|(known, _)| known == name);
        let mut node = &self.root;
        for name in path {
            node = &node.children[below(node, name)?].1;
        }
        node.slot
    }

    /// Reads a line that is known to be JSON.
    pub(super) fn read<'a>(&self, line: &'a str) -> Found<'a> {
        let mut found = Found(SmallVec::new());
        found.0.resize_with(self.slots, || None);
        // The line was read without an error before, so none is to be expected; what was found up to one counts.
        let _ = At { node: &self.root, found: &mut found }.deserialize(&mut sonic_rs::Deserializer::from_str(line));
        found
    }
}

/// Reads below one node.
struct At<'n, 'f, 'de> {
    node: &'n Node,
    found: &'f mut Found<'de>,
}

impl<'de> At<'_, '_, 'de> {
    /// Below a value that is wanted as a whole, too.
    fn look_into(self, value: &LazyValue<'de>) {
        if let Cow::Borrowed(raw) = value.as_raw_cow() {
            let _ = self.deserialize(&mut sonic_rs::Deserializer::from_str(raw));
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_, '_, 'de> {
    type Value = ();

    scalars_give!(());

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let child = self.node.children.iter().find(|(known, _)| *known == *name);
            let Some((_, node)) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let Some(slot) = node.slot else {
                map.next_value_seed(At { node, found: self.found })?;
                continue;
            };
            let value: LazyValue<'de> = map.next_value()?;
            if !node.children.is_empty() {
                At { node, found: self.found }.look_into(&value);
            }
            self.found.0[slot.0] = Some(value);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        drain_seq(seq)
    }
}
