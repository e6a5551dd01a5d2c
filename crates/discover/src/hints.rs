//! What the routes of a gateway say of the segments of paths: which texts are names, and which are values.
//!
//! Who may write routes knows the API, and no caller can, so what a route says outweighs what was seen. It holds for the
//! segments that the route covers and says nothing of those below; what somebody decides about a template outweighs it. The
//! routes that were read last count: when one is gone, what was learned by it stays, and is weighed by what is seen from
//! then on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use outrider_model::{GatewayRoute, GatewaySnapshot};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::catalogue::Catalogue;
use crate::decide::style_index;
use crate::operations::{MARK, is_mark};
use crate::rules::{Learned, Step, lower};
use crate::trie::{Kind, NONE, NodeId, Parameter, Place};
use pattern::segments;
pub(crate) use pattern::{Class, PATH_BYTES_MAX};

mod pattern;

/// Bytes of a route's name that are shown.
const ROUTE_BYTES_MAX: usize = 128;

/// Nodes in the tree of one service's routes. What would make more is not told.
const NODES_MAX: usize = 1 << 16;

/// Places in the tree of one service's routes that a path may be at: more than one route may take it.
const PLACES_MAX: usize = 16;

/// One path of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoutePath {
    gateway: String,
    service: String,
    id: String,
    /// What people call the route.
    route: String,
    path: String,
}

/// What a route says of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said<'h> {
    Name { route: &'h str },
    Value { name: Option<&'h str>, class: &'h Class, route: &'h str },
}

/// Where a path has come to in the tree of routes; nowhere where no route covers it.
pub(crate) type At = SmallVec<[u32; 4]>;

/// What the routes of one service say.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The first is the root.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    names: BTreeMap<Box<str>, (u32, Arc<str>)>,
    values: Vec<ToldValues>,
    /// Below a segment that nothing is said of.
    unsaid: Option<u32>,
}

#[derive(Debug)]
struct ToldValues {
    name: Option<Box<str>>,
    class: Class,
    route: Arc<str>,
    below: u32,
}

/// The trees of all services that routes lead to. All of it follows from the routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hints {
    by_service: BTreeMap<(String, String), Arc<Tree>>,
    /// Of those places that have one.
    by_place: BTreeMap<u32, Arc<Tree>>,
    bytes: usize,
}

// --- What a path is told

impl Tree {
    fn of<'r>(routes: impl Iterator<Item = &'r RoutePath>, depth_max: usize) -> Self {
        let mut tree = Tree { nodes: vec![Node::default()] };
        for route in routes {
            tree.add(route, depth_max);
        }
        tree
    }

    fn add(&mut self, path: &RoutePath, depth_max: usize) {
        let route: Arc<str> = path.route.as_str().into();
        let mut ends: Vec<u32> = vec![0];
        for told in segments(&path.path, depth_max) {
            // Alternatives after alternatives: what is below so many is not told.
            let places = ends.len() * (told.names.len() + usize::from(told.values.is_some())).max(1);
            if places > PLACES_MAX || self.nodes.len() + places > NODES_MAX {
                return;
            }
            let mut next = Vec::new();
            for end in ends {
                for name in &told.names {
                    next.push(self.name(end, name, &route));
                }
                if let Some(values) = &told.values {
                    next.push(self.values(end, values, &route));
                }
                if told.names.is_empty() && told.values.is_none() {
                    next.push(self.unsaid(end));
                }
            }
            ends = next;
        }
    }

    fn made(&mut self) -> u32 {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as u32
    }

    fn name(&mut self, at: u32, name: &str, route: &Arc<str>) -> u32 {
        let key = lower(name);
        if let Some((below, _)) = self.nodes[at as usize].names.get(&*key) {
            return *below;
        }
        let below = self.made();
        self.nodes[at as usize].names.insert(key.as_ref().into(), (below, route.clone()));
        below
    }

    fn values(&mut self, at: u32, values: &pattern::Values, route: &Arc<str>) -> u32 {
        let known = &self.nodes[at as usize].values;
        if let Some(same) = known.iter().find(|known| known.class == values.class && known.name == values.name) {
            return same.below;
        }
        let below = self.made();
        let told = ToldValues { name: values.name.clone(), class: values.class.clone(), route: route.clone(), below };
        self.nodes[at as usize].values.push(told);
        below
    }

    fn unsaid(&mut self, at: u32) -> u32 {
        if let Some(below) = self.nodes[at as usize].unsaid {
            return below;
        }
        let below = self.made();
        self.nodes[at as usize].unsaid = Some(below);
        below
    }

    /// What is said of a segment, and where its path is then. `None` for a text means any value of a parameter.
    pub fn step(&self, at: &At, text: Option<&str>) -> (Option<Said<'_>>, At) {
        let key = text.map(lower);
        let (mut name, mut value, mut next) = (None, None, At::new());
        for node in at.iter().map(|&at| &self.nodes[at as usize]) {
            if let Some((below, route)) = key.as_deref().and_then(|key| node.names.get(key)) {
                name = name.or(Some(Said::Name { route }));
                next.push(*below);
            }
            for values in node.values.iter().filter(|values| text.is_none_or(|text| values.class.takes(text))) {
                value = value.or(Some(Said::Value {
                    name: values.name.as_deref(),
                    class: &values.class,
                    route: &values.route,
                }));
                next.push(values.below);
            }
            next.extend(node.unsaid);
        }
        next.truncate(PLACES_MAX);
        (name.or(value), next)
    }

    /// What is said of a text that stands behind a path.
    pub fn said(&self, at: &At, text: &str) -> Option<Said<'_>> {
        if at.is_empty() { None } else { self.step(at, Some(text)).0 }
    }

    /// Roughly the memory that it holds, in bytes.
    fn memory_bytes(&self) -> usize {
        let of = |node: &Node| {
            let names = node.names.keys().map(|name| name.len() + 64).sum::<usize>();
            let values = node.values.iter().map(|values| size_of::<ToldValues>() + values.class.memory_bytes());
            size_of::<Node>() + names + values.sum::<usize>()
        };
        self.nodes.iter().map(of).sum()
    }

    /// The begin of all paths.
    pub fn root() -> At {
        SmallVec::from_slice(&[0])
    }
}

impl Hints {
    pub fn tree(&self, place: u32) -> Option<Arc<Tree>> {
        self.by_place.get(&place).cloned()
    }

    /// The same, where it is not held for longer.
    pub fn tree_of(&self, place: u32) -> Option<&Tree> {
        self.by_place.get(&place).map(|tree| &**tree)
    }

    /// Roughly the memory that it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    fn attach(&mut self, index: u32, place: &Place) {
        let found = self.by_service.get(&(place.gateway.clone(), place.service.clone()));
        if let Some(tree) = found {
            self.by_place.insert(index, tree.clone());
        }
    }
}

// --- Routes in

fn of_route<'r>(gateway: &'r str, route: &'r GatewayRoute) -> impl Iterator<Item = RoutePath> + 'r {
    // What has no service is told apart by its host, and no route says which hosts those are.
    let service = route.service_id.as_deref().filter(|id| !id.is_empty() && !id.starts_with("host:"));
    let label = route.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&route.id);
    let label = &label[..label.floor_char_boundary(ROUTE_BYTES_MAX)];
    service.into_iter().flat_map(move |service| {
        route.paths.iter().map(move |path| RoutePath {
            gateway: gateway.to_owned(),
            service: service.to_owned(),
            id: route.id.clone(),
            route: label.to_owned(),
            path: path.clone(),
        })
    })
}

/// Whether the values of a parameter, as far as they are known, may be of these characters.
fn has_values_of(parameter: &Parameter, class: &Class) -> bool {
    let has = |letters: std::ops::RangeInclusive<char>| letters.into_iter().any(|letter| class.has(letter));
    let is_shaped = parameter.shapes().next().is_some();
    (parameter.texts == 0 || has('a'..='z') || has('A'..='Z')) && (!is_shaped || has('0'..='9'))
}

impl Catalogue {
    /// Takes in the routes of a gateway, in the place of those that were known of it.
    ///
    /// Of a list that is [not whole](outrider_model::GatewayConfiguration::left_out) what is there is taken in, and other routes
    /// that were known stay. Endpoints that learning has made otherwise follow when the minute is over: texts that a route takes
    /// for values merge, and the oldest id lives on; of a text that is a name now and was a value, the calls so far stay
    /// with the parameter, and the name begins with its next call that teaches.
    pub fn take_in_routes(&mut self, snapshot: &GatewaySnapshot) {
        let gateway = snapshot.gateway.as_str();
        let configuration = &snapshot.configuration;
        let mut next: Vec<RoutePath> = configuration.routes.iter().flat_map(|route| of_route(gateway, route)).collect();
        let (known, others): (Vec<&RoutePath>, Vec<&RoutePath>) =
            self.state.routes.iter().partition(|route| route.gateway == gateway);
        if configuration.left_out.iter().any(|list| list.list == "routes") {
            let listed: BTreeSet<&str> = configuration.routes.iter().map(|route| route.id.as_str()).collect();
            next.extend(known.iter().filter(|route| !listed.contains(&*route.id)).map(|&route| route.clone()));
        }
        let before = next.len();
        next.retain(|route| route.path.len() <= PATH_BYTES_MAX);
        next.truncate(self.settings.routes_max);
        if known.len() == next.len() && known.iter().zip(&next).all(|(known, next)| *known == next) {
            return;
        }
        self.state.counters.routes_max += (before - next.len()) as u64;
        let others: Vec<RoutePath> = others.into_iter().cloned().collect();
        let mut covered = self.covered(gateway);
        self.state.routes = others.into_iter().chain(next).collect();
        self.attach_hints_of(Some(gateway));
        covered.extend(self.covered(gateway));
        covered.sort_unstable();
        covered.dedup();
        for node in covered {
            self.name_constant(node);
            self.mark_dirty(node);
        }
        let of_gateway = self.state.places.iter().filter(|place| place.gateway == gateway);
        for root in of_gateway.map(|place| place.root).collect::<Vec<NodeId>>() {
            self.refresh(root);
        }
    }

    /// Makes everything that follows from all routes, and changes no endpoint.
    pub(crate) fn attach_hints(&mut self) {
        self.attach_hints_of(None);
    }

    /// The same for the routes of one gateway, or of all.
    fn attach_hints_of(&mut self, gateway: Option<&str>) {
        let is_it = |of: &str| gateway.is_none_or(|gateway| gateway == of);
        let mut routes: BTreeMap<(String, String), Vec<&RoutePath>> = BTreeMap::new();
        for route in self.state.routes.iter().filter(|route| is_it(&route.gateway)) {
            routes.entry((route.gateway.clone(), route.service.clone())).or_default().push(route);
        }
        let hints = &mut self.hints;
        hints.by_service.retain(|(of, _), _| !is_it(of));
        hints.by_place.clear();
        for (key, routes) in routes {
            hints.by_service.insert(key, Arc::new(Tree::of(routes.into_iter(), self.settings.depth_max)));
        }
        let texts = |route: &RoutePath| {
            let RoutePath { gateway, service, id, route, path } = route;
            size_of::<RoutePath>() + gateway.len() + service.len() + id.len() + route.len() + path.len()
        };
        let trees = hints.by_service.values().map(|tree| tree.memory_bytes()).sum::<usize>();
        hints.bytes = trees + self.state.routes.iter().map(texts).sum::<usize>();
        for place in 0..self.state.places.len() as u32 {
            self.attach_hints_to(place);
        }
    }

    /// Puts what routes say of a new place in force.
    pub(crate) fn attach_hints_to(&mut self, place: u32) {
        self.hints.attach(place, &self.state.places[place as usize]);
    }

    /// The nodes of a gateway's places that routes cover, or end at.
    fn covered(&self, gateway: &str) -> Vec<NodeId> {
        let mut found = Vec::new();
        for (index, place) in self.state.places.iter().enumerate().filter(|(_, place)| place.gateway == gateway) {
            let Some(tree) = self.hints.tree_of(index as u32) else { continue };
            let mut open = vec![(place.root, Tree::root())];
            while let Some((id, at)) = open.pop() {
                found.push(id);
                let node = &self.state.trie[id];
                for &(_, child) in node.names.iter().filter(|entry| !is_mark(&self.state.trie[entry.1])) {
                    let (_, next) = tree.step(&at, self.state.trie[child].name());
                    open.extend((!next.is_empty()).then_some((child, next)));
                }
                if node.parameter != NONE {
                    let (_, next) = tree.step(&at, self.text_of(node.parameter));
                    open.extend((!next.is_empty()).then_some((node.parameter, next)));
                }
            }
        }
        found
    }

    /// The text that a node stands for.
    fn text_of(&self, node: NodeId) -> Option<&str> {
        let node = &self.state.trie[node];
        node.name().or_else(|| node.as_parameter().and_then(|parameter| parameter.constant()))
    }

    /// Where a node is in the tree of the routes of its place.
    pub(crate) fn hinted_at(&self, node: NodeId) -> At {
        let Some(tree) = self.hints.tree_of(self.state.trie[node].place) else { return At::new() };
        let mut above: SmallVec<[NodeId; 16]> = SmallVec::new();
        let mut id = node;
        while self.state.trie[id].parent != NONE {
            above.push(id);
            id = self.state.trie[id].parent;
        }
        above.iter().rev().fold(Tree::root(), |at, &id| tree.step(&at, self.text_of(id)).1)
    }

    /// Says of the steps above a node what routes say of them.
    pub(crate) fn tell<'a>(&'a self, node: NodeId, steps: &mut [Step<'a>]) {
        if node == NONE {
            return;
        }
        let Some(tree) = self.hints.tree_of(self.state.trie[node].place) else { return };
        let mut at = Tree::root();
        for step in steps {
            let text = match step.learned {
                // Routes know no operations.
                Learned::Name(MARK) => return,
                Learned::Name(name) => Some(name),
                Learned::Parameter(parameter) => parameter.constant(),
            };
            (step.said, at) = tree.step(&at, text);
            // Of a parameter that has other values than those of the route, the route says nothing.
            if let (Learned::Parameter(parameter), Some(Said::Value { class, .. })) = (step.learned, step.said)
                && text.is_none()
                && !has_values_of(parameter, class)
            {
                step.said = None;
            }
            if at.is_empty() {
                return;
            }
        }
    }

    /// Makes a parameter that has had one value a name, where a route says that its value is one.
    fn name_constant(&mut self, node: NodeId) {
        let id = self.state.trie[node].parameter;
        let Some(tree) = self.hints.tree(self.state.trie[node].place) else { return };
        let Some(only) = (id != NONE).then(|| self.state.trie[id].as_parameter()?.only.clone()).flatten() else {
            return;
        };
        let at = self.hinted_at(node);
        let key = crate::path::segment_key(&only);
        match tree.said(&at, &only) {
            Some(Said::Name { .. }) if self.state.trie.attach(node, id, key) => {
                self.state.trie[node].parameter = NONE;
                self.state.trie[id].kind = Kind::Name((&*only).into());
                self.state.trie[id].confident = true;
            }
            Some(Said::Value { .. }) => {
                if let Some(parameter) = self.state.trie[id].as_parameter_mut() {
                    (parameter.only, parameter.is_constant) = (None, false);
                }
            }
            _ => {}
        }
    }

    /// The names below a node that a route takes for values.
    pub(crate) fn told_values(&self, node: NodeId, at: &At) -> Vec<NodeId> {
        let Some(tree) = self.hints.tree_of(self.state.trie[node].place) else { return Vec::new() };
        let children = self.state.trie[node].names.iter().map(|entry| entry.1);
        let is_value = |child: &NodeId| {
            let name = self.state.trie[*child].name().filter(|name| *name != MARK);
            let said = name.and_then(|name| tree.said(at, name));
            matches!(said, Some(Said::Value { .. }))
        };
        children.filter(is_value).collect()
    }

    /// Notes a text at a parameter that a route takes it for a value of, where its shape does not say so.
    pub(crate) fn note_told_text(&mut self, id: NodeId, text: &str) {
        let Some(parameter) = self.state.trie[id].as_parameter_mut() else { return };
        (parameter.only, parameter.is_constant) = (None, false);
        // Texts that meet in the bitmap are one: there is no telling without keeping them.
        let bit = 1 << (crate::path::segment_key(text) >> 58);
        if parameter.texts > 0 && parameter.values & bit != 0 {
            return;
        }
        let is_first = parameter.texts == 0;
        parameter.values |= bit;
        parameter.texts += 1;
        parameter.texts_once += 1;
        parameter.texts_calls += 1;
        parameter.styles[style_index(text)] += 1;
        if is_first {
            self.refresh(id);
        }
    }
}
