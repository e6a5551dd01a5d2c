//! The places of a line that fields are mapped from, and what stands there.

use smallvec::SmallVec;

/// Where a value of [`Wanted`] is among what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(usize);

/// A place in a line: the names on the way to it.
pub(crate) type Path = Vec<String>;

/// The places, each once.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    root: Node,
    slots: usize,
}

/// What is wanted of a value and below it.
#[derive(Debug, Default)]
pub(super) struct Node {
    slot: Option<Slot>,
    /// Few, so they are looked through.
    children: Vec<(String, Node)>,
}

impl Node {
    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }
}

/// What stands at the places of one line, as it is written there.
pub(crate) struct Found<'a>(SmallVec<[Option<&'a str>; 8]>);

impl<'a> Found<'a> {
    /// `None` where the line has nothing there.
    pub(crate) fn get(&self, slot: Slot) -> Option<&'a str> {
        *self.0.get(slot.0)?
    }

    /// Of several values at one place the last counts.
    pub(super) fn note(&mut self, node: &Node, raw: &'a str) {
        if let Some(slot) = node.slot {
            self.0[slot.0] = Some(raw);
        }
    }
}

impl Wanted {
    /// The slot of a place, which is wanted from now on.
    pub(crate) fn slot(&mut self, path: &[String]) -> Slot {
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
    pub(crate) fn find(&self, path: &[String]) -> Option<Slot> {
        path.iter().try_fold(&self.root, |node, name| node.child(name))?.slot
    }

    /// What is wanted of the line itself, where anything is, and room for what is found.
    pub(super) fn begin<'a>(&self) -> (Option<&Node>, Found<'a>) {
        let node = (self.slots > 0).then_some(&self.root);
        (node, Found(SmallVec::from_elem(None, self.slots)))
    }
}
