//! Finds the places of a line that fields are mapped from.

use smallvec::SmallVec;

use crate::json::Value;

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

/// What stands at the places of one line.
pub(super) struct Found<'t, 'a>(SmallVec<[Option<Value<'t, 'a>>; 8]>);

impl<'t, 'a> Found<'t, 'a> {
    /// `None` where the line has nothing there.
    pub(super) fn get(&self, slot: Slot) -> Option<Value<'t, 'a>> {
        *self.0.get(slot.0)?
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

    /// What stands at the places in a line.
    pub(super) fn read<'t, 'a>(&self, line: Value<'t, 'a>) -> Found<'t, 'a> {
        let mut found = Found(SmallVec::new());
        found.0.resize_with(self.slots, || None);
        self.root.read(line, &mut found);
        found
    }
}

impl Node {
    /// Goes as deep as places are named. Of a name that is there twice the last one counts, with all that is in it.
    fn read<'t, 'a>(&self, value: Value<'t, 'a>, found: &mut Found<'t, 'a>) {
        for (name, value) in value.members() {
            let Some((_, node)) = self.children.iter().find(|(known, _)| known == name) else { continue };
            if let Some(slot) = node.slot {
                found.0[slot.0] = Some(value);
            }
            if !node.children.is_empty() {
                node.forget_below(found);
                node.read(value, found);
            }
        }
    }

    fn forget_below(&self, found: &mut Found<'_, '_>) {
        for (_, node) in &self.children {
            if let Some(slot) = node.slot {
                found.0[slot.0] = None;
            }
            node.forget_below(found);
        }
    }
}
