//! The trie of path segments: one per gateway, workspace and service, all in one slab of nodes.
//!
//! A node has named children and at most one parameter. A leaf says with which endpoint a method ends here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::path::segment_key;
use crate::shape::{STYLES, Shape, style};
use crate::watch::Watched;

/// Index of a node in the slab.
pub(crate) type NodeId = u32;

/// No node.
pub(crate) const NONE: NodeId = NodeId::MAX;

/// Where calls are learned apart from each other: a gateway's workspace's service, or host without a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub gateway: String,
    pub workspace: String,
    pub service: String,
    pub service_name: String,
    pub root: NodeId,
    /// Calls that taught something about this place.
    pub calls: u64,
    /// Bitmap of its actors, by the low six bits of their keys.
    pub actors: u64,
    /// How many confirmed names are written in each style.
    pub styles: [u32; STYLES],
    /// In how many positions each of those names stands, by key.
    pub vocabulary: BTreeMap<u64, u32>,
}

impl Place {
    /// Counts a confirmed name.
    pub fn know(&mut self, name: &str) {
        self.styles[style(name) as usize] += 1;
        *self.vocabulary.entry(segment_key(name)).or_default() += 1;
    }

    /// Takes a confirmed name out of the counts again.
    pub fn unlearn(&mut self, name: &str) {
        let styles = &mut self.styles[style(name) as usize];
        *styles = styles.saturating_sub(1);
        if let Entry::Occupied(mut entry) = self.vocabulary.entry(segment_key(name)) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// A name's text. Most fit into the node, so that comparing one costs no way to the heap.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) struct Name(SmallVec<[u8; 24]>);

impl Name {
    fn matches(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text.as_bytes())
    }

    /// Bytes that it holds outside its node.
    fn heap_bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() } else { 0 }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name(SmallVec::from_slice(text.as_bytes()))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Name::from(text.as_str())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        (*name).to_owned()
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        // It was made from a text, so it always is one.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What a node stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Kind {
    Root,
    Name(Name),
    Parameter(Box<Parameter>),
}

/// What is known of a parameter's values.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Parameter {
    /// Masks of the shapes of its values, by [`Shape::bit`].
    pub shapes: u16,
    /// Texts without a telling shape that were taken for values.
    pub texts: u32,
    /// How many of those texts had been seen once when they were taken.
    pub texts_once: u32,
    /// What the calls of those texts counted for when they were taken.
    pub texts_calls: u32,
    /// How many of those texts are written in each style.
    pub styles: [u32; STYLES],
    /// Bitmap of values, by the high six bits of their keys: at least as many different ones were seen.
    pub values: u64,
    /// The only value seen so far, where it is a small number: it may be a version or another constant.
    pub only: Option<Box<str>>,
    /// The only value was seen so often that the template shows it.
    pub is_constant: bool,
    /// Texts that come often here and might be names.
    pub watch: Vec<Watched>,
}

impl Parameter {
    /// Whether a text without a telling shape is taken for a value.
    pub fn is_open(&self) -> bool {
        self.texts > 0
    }

    /// Different values seen, at least; it hardly counts further than a dozen, texts aside.
    pub fn values_at_least(&self) -> u32 {
        self.values.count_ones().max(self.texts)
    }

    /// The value to show in a template instead of the parameter.
    pub fn constant(&self) -> Option<&str> {
        self.only.as_deref().filter(|_| self.is_constant)
    }

    /// The shapes of its values.
    pub fn shapes(&self) -> impl Iterator<Item = Shape> + '_ {
        Shape::ALL.into_iter().filter(|shape| self.shapes & shape.bit() != 0)
    }
}

/// A method that ends at a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Leaf {
    pub method: u8,
    /// Index of the endpoint's record.
    pub record: u32,
    /// Calls with and without a trailing slash.
    pub slashed: u32,
    pub plain: u32,
}

/// A node of a trie.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    pub kind: Kind,
    pub parent: NodeId,
    pub place: u32,
    pub depth: u8,
    /// It is in the list of nodes to weigh at the end of the epoch.
    pub dirty: bool,
    /// Confirmed: its template will hardly change.
    pub confident: bool,
    /// It was counted in its place's styles.
    pub styled: bool,
    /// Named children made since the node was last weighed.
    pub fresh: u16,
    /// Named children, ordered by key.
    pub names: Vec<(u64, NodeId)>,
    pub parameter: NodeId,
    pub leaves: SmallVec<[Leaf; 1]>,
    /// Calls that taught and went through it.
    pub calls: u32,
    /// Bitmap of actors, by the low six bits of their keys.
    pub actors: u64,
    /// The first actor's key, shortened.
    pub first_actor: u32,
    /// The place's calls when the node was made.
    pub born_calls: u64,
    /// The epoch it was last used in, from the first one of the catalogue on.
    pub last_epoch: u32,
}

impl Node {
    pub fn new(kind: Kind, parent: NodeId, place: u32, depth: u8) -> Self {
        Node {
            kind,
            parent,
            place,
            depth,
            dirty: false,
            confident: false,
            styled: false,
            fresh: 0,
            names: Vec::new(),
            parameter: NONE,
            leaves: SmallVec::new(),
            calls: 0,
            actors: 0,
            first_actor: 0,
            born_calls: 0,
            last_epoch: 0,
        }
    }

    /// The name, if it stands for one.
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Name(name) => Some(name),
            _ => None,
        }
    }

    /// What is known of its values, if it is a parameter.
    pub fn as_parameter(&self) -> Option<&Parameter> {
        match &self.kind {
            Kind::Parameter(parameter) => Some(parameter),
            _ => None,
        }
    }

    pub fn as_parameter_mut(&mut self) -> Option<&mut Parameter> {
        match &mut self.kind {
            Kind::Parameter(parameter) => Some(parameter),
            _ => None,
        }
    }

    pub fn is_end(&self) -> bool {
        self.names.is_empty() && self.parameter == NONE
    }

    pub fn leaf(&self, method: u8) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.method == method)
    }

    fn child(&self, key: u64) -> Option<NodeId> {
        if self.names.len() <= 8 {
            return self.names.iter().find(|entry| entry.0 == key).map(|entry| entry.1);
        }
        self.names.binary_search_by_key(&key, |entry| entry.0).ok().map(|at| self.names[at].1)
    }
}

/// The slab of nodes. Freed places are used again in the order they were freed, last first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
}

impl std::ops::Index<NodeId> for Trie {
    type Output = Node;

    fn index(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }
}

impl std::ops::IndexMut<NodeId> for Trie {
    fn index_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }
}

impl Trie {
    /// Nodes in use.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// Roughly the memory that it holds, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let below = |node: &Node| {
            let kind = match &node.kind {
                Kind::Root => 0,
                Kind::Name(name) => name.heap_bytes(),
                Kind::Parameter(parameter) => {
                    size_of::<Parameter>() + parameter.watch.capacity() * size_of::<Watched>()
                }
            };
            kind + node.names.capacity() * size_of::<(u64, NodeId)>()
        };
        self.nodes.capacity() * size_of::<Node>() + self.nodes.iter().map(below).sum::<usize>()
    }

    /// All ids that were ever used; freed ones are roots without a place.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        0..self.nodes.len() as NodeId
    }

    /// Whether a node is in use.
    pub fn is_live(&self, id: NodeId) -> bool {
        self[id].place != u32::MAX
    }

    pub fn add(&mut self, node: Node) -> NodeId {
        match self.free.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as NodeId
            }
        }
    }

    /// Frees a node; its children must have been taken away.
    pub fn release(&mut self, id: NodeId) {
        self.nodes[id as usize] = Node::new(Kind::Root, NONE, u32::MAX, 0);
        self.free.push(id);
    }

    /// The child of that name, whatever the case. Texts are compared too, so that nobody can craft a key.
    pub fn named(&self, node: NodeId, key: u64, text: &str) -> Option<NodeId> {
        let child = self[node].child(key)?;
        matches!(&self[child].kind, Kind::Name(name) if name.matches(text)).then_some(child)
    }

    /// Adds a named child; `None` when the key is taken by another text, which then stays unknown.
    pub fn attach(&mut self, parent: NodeId, child: NodeId, key: u64) -> bool {
        let names = &mut self[parent].names;
        match names.binary_search_by_key(&key, |entry| entry.0) {
            Ok(_) => false,
            Err(at) => {
                names.insert(at, (key, child));
                true
            }
        }
    }

    /// Takes a named child out of its parent's list.
    pub fn detach(&mut self, child: NodeId) {
        let parent = self[child].parent;
        self[parent].names.retain(|entry| entry.1 != child);
    }

    /// The key a named child has in its parent's list.
    pub fn key(&self, child: NodeId) -> u64 {
        self[child].name().map_or(0, segment_key)
    }

    /// The node and everything below it, parents first, in the order of keys.
    pub fn subtree(&self, top: NodeId) -> Vec<NodeId> {
        let mut found = vec![top];
        let mut at = 0;
        while at < found.len() {
            let node = &self[found[at]];
            found.extend(node.names.iter().map(|entry| entry.1));
            if node.parameter != NONE {
                found.push(node.parameter);
            }
            at += 1;
        }
        found
    }
}
