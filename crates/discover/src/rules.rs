//! What decisions about the templates of one service make of a path, whatever was learned.
//!
//! Decisions hang in a tree of their own, by the template that they shape. A walk along a path's segments, each with what
//! learning takes it for, gives the template that is shown: an ignored prefix ends it, a pinned template that fits wholly
//! stands, else splits, merges and renames change single segments.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{DecisionOrigin, TemplateChange, TemplateDecision, TemplateDecisionId};
use smallvec::SmallVec;

use crate::hints::Said;
use crate::name::Part;
use crate::operations::MARK;
use crate::pieces::{Piece, pieces, shape_of_pieces};
use crate::refusal::DecisionRefused;
use crate::trie::Parameter;

/// Nodes that the search for a pinned template may visit: a name and a parameter may both fit, at every level.
const VISITS_MAX: usize = 256;

/// A segment of a path on its way through the rules.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    /// The text; `None` where any value of a parameter is meant.
    pub text: Option<&'a str>,
    pub learned: Learned<'a>,
    /// What a route of the gateway says of it.
    pub said: Option<Said<'a>>,
}

/// What learning takes a segment for.
#[derive(Clone, Copy)]
pub(crate) enum Learned<'a> {
    Name(&'a str),
    Parameter(&'a Parameter),
}

/// What is shown instead of what was learned.
#[allow(clippy::large_enum_variant, reason = "it lives for one call, and most are the large one")]
pub(crate) enum Shown<'a> {
    Ignored(&'a By),
    Pinned(&'a Pin),
    Parts {
        parts: SmallVec<[Part<'a>; 12]>,
        /// A segment's text decided, so that another value of the same parameter may be shown otherwise.
        by_text: bool,
        /// A segment is a name or a parameter because somebody said so.
        is_decided: bool,
    },
}

/// Who decided something.
#[derive(Debug, Clone)]
pub(crate) struct By {
    pub id: TemplateDecisionId,
    is_document: bool,
    /// `an operator`, or which document.
    pub words: Box<str>,
}

/// A template that stands.
#[derive(Debug, Clone)]
pub(crate) struct Pin {
    method: Option<Box<str>>,
    pub template: Box<str>,
    pub shape: Box<str>,
    pub by: By,
}

/// Texts that are values, and what their parameter is called.
#[derive(Debug, Clone)]
struct Merge {
    /// None of them means all texts.
    values: BTreeSet<Box<str>>,
    name: Box<str>,
    by: By,
}

#[derive(Debug, Clone, Default)]
struct Node {
    names: BTreeMap<Box<str>, usize>,
    parameter: Option<usize>,
    /// Texts below that are names, with how they are written.
    splits: BTreeMap<Box<str>, (Box<str>, By)>,
    merge: Option<Merge>,
    rename: Option<(Box<str>, By)>,
    pins: Vec<Pin>,
    ignores: Vec<(Option<Box<str>>, By)>,
}

/// The decisions about one service.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The first is the root.
    nodes: Vec<Node>,
    has_pins: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { nodes: vec![Node::default()], has_pins: false }
    }
}

impl<'a> Step<'a> {
    /// How it is shown where nothing is decided about it.
    pub fn part(&self) -> Part<'a> {
        match (self.learned, self.said) {
            (Learned::Name(name), Some(Said::Name { route })) => Part::Told { name, route },
            (Learned::Name(name), _) => Part::Name(name),
            (Learned::Parameter(parameter), Some(Said::Value { name, route, .. })) => {
                Part::Captured { name, parameter, route }
            }
            (Learned::Parameter(parameter), _) => Part::Parameter(parameter),
        }
    }

    /// Whether it is as a route says.
    pub fn is_as_said(&self) -> bool {
        matches!(self.part(), Part::Told { .. } | Part::Captured { .. })
    }
}

impl By {
    fn of(decision: &TemplateDecision) -> Self {
        let words = match &decision.origin {
            DecisionOrigin::Operator => "an operator".into(),
            DecisionOrigin::Document { name } => format!("the document `{name}`").into(),
        };
        let is_document = matches!(decision.origin, DecisionOrigin::Document { .. });
        By { id: decision.id(), is_document, words }
    }
}

impl Merge {
    fn takes(&self, text: &str) -> bool {
        self.values.is_empty() || self.values.contains(&*lower(text))
    }
}

/// A text as names are compared: without regard to ASCII case.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn overlap(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

// --- What is decided

impl Rules {
    /// Adds a decision, unless it contradicts another one. It was [checked](crate::pieces::check) when it was taken.
    pub fn add(&mut self, decision: &TemplateDecision) -> Result<(), DecisionRefused> {
        let pieces = pieces(&decision.template, usize::MAX).map_err(|problem| DecisionRefused::Template {
            service: decision.service.clone(),
            template: decision.template.clone(),
            problem: problem.to_owned(),
        })?;
        let by = By::of(decision);
        match &decision.change {
            TemplateChange::Pin { method } => self.pin_at(&pieces, method.as_deref(), decision, by),
            TemplateChange::Ignore { method } => self.ignore_at(&pieces, method.as_deref(), decision, by),
            TemplateChange::Split { value } => {
                let (node, _) = self.before_parameter(&pieces, decision)?;
                let key = lower(value);
                let known = &mut self.nodes[node];
                if let Some((_, other)) = known.splits.get(&*key) {
                    return Err(DecisionRefused::conflict(decision, other.id, "splits the same text off"));
                }
                if let Some(merge) = &known.merge
                    && merge.values.contains(&*key)
                {
                    return Err(DecisionRefused::conflict(decision, merge.by.id, "merges the same text"));
                }
                known.splits.insert(key.as_ref().into(), (value.as_str().into(), by));
                self.child(node, &Piece::Name(value.as_str().into()));
                Ok(())
            }
            TemplateChange::Merge { values } => {
                let (node, name) = self.before_parameter(&pieces, decision)?;
                let values: BTreeSet<Box<str>> = values.iter().map(|value| lower(value).as_ref().into()).collect();
                let known = &mut self.nodes[node];
                if let Some(merge) = &known.merge {
                    return Err(DecisionRefused::conflict(decision, merge.by.id, "merges texts of the same place"));
                }
                if let Some((_, other)) = &known.rename {
                    return Err(DecisionRefused::conflict(decision, other.id, "names the same parameter"));
                }
                if let Some((_, (_, other))) = known.splits.iter().find(|(text, _)| values.contains(*text)) {
                    return Err(DecisionRefused::conflict(decision, other.id, "splits one of the texts off"));
                }
                known.merge = Some(Merge { values, name, by });
                Ok(())
            }
            TemplateChange::Rename { parameter } => {
                let (node, _) = self.before_parameter(&pieces, decision)?;
                let known = &mut self.nodes[node];
                let other = known.rename.as_ref().map(|(_, by)| by).or(known.merge.as_ref().map(|merge| &merge.by));
                if let Some(other) = other {
                    return Err(DecisionRefused::conflict(decision, other.id, "names the same parameter"));
                }
                known.rename = Some((parameter.as_str().into(), by));
                Ok(())
            }
        }
    }

    /// The node of a template, where nothing on the way to it is ignored; `does` says of what is that it is.
    fn watched(
        &mut self,
        pieces: &[Piece],
        method: Option<&str>,
        decision: &TemplateDecision,
        does: &'static str,
    ) -> Result<usize, DecisionRefused> {
        let mut node = 0;
        for at in 0..=pieces.len() {
            let ignores = &self.nodes[node].ignores;
            if let Some((_, other)) = ignores.iter().find(|(ignored, _)| overlap(method, ignored.as_deref())) {
                return Err(DecisionRefused::conflict(decision, other.id, does));
            }
            if let Some(piece) = pieces.get(at) {
                node = self.child(node, piece);
            }
        }
        Ok(node)
    }

    fn pin_at(
        &mut self,
        pieces: &[Piece],
        method: Option<&str>,
        decision: &TemplateDecision,
        by: By,
    ) -> Result<(), DecisionRefused> {
        let node = self.watched(pieces, method, decision, "ignores it")?;
        let pins = &mut self.nodes[node].pins;
        if let Some(other) = pins.iter().find(|other| overlap(method, other.method.as_deref())) {
            return Err(DecisionRefused::conflict(decision, other.by.id, "pins the same template"));
        }
        let shape = shape_of_pieces(pieces);
        let template = decision.template.as_str().into();
        pins.push(Pin { method: method.map(Into::into), template, shape, by });
        self.has_pins = true;
        Ok(())
    }

    fn ignore_at(
        &mut self,
        pieces: &[Piece],
        method: Option<&str>,
        decision: &TemplateDecision,
        by: By,
    ) -> Result<(), DecisionRefused> {
        let node = self.watched(pieces, method, decision, "ignores it already")?;
        let mut open = vec![node];
        while let Some(below) = open.pop() {
            let below = &self.nodes[below];
            let ignored = below.ignores.iter().find(|(other, _)| overlap(method, other.as_deref()));
            if let Some((_, other)) = ignored {
                return Err(DecisionRefused::conflict(decision, other.id, "ignores a part of it already"));
            }
            if let Some(pin) = below.pins.iter().find(|pin| overlap(method, pin.method.as_deref())) {
                return Err(DecisionRefused::conflict(decision, pin.by.id, "pins a template under it"));
            }
            open.extend(below.names.values().chain(&below.parameter));
        }
        self.nodes[node].ignores.push((method.map(Into::into), by));
        Ok(())
    }

    /// The node above the parameter that a template ends in, and what the template calls it.
    fn before_parameter(
        &mut self,
        pieces: &[Piece],
        decision: &TemplateDecision,
    ) -> Result<(usize, Box<str>), DecisionRefused> {
        let Some((Piece::Parameter(name), before)) = pieces.split_last() else {
            return Err(DecisionRefused::NoParameter {
                service: decision.service.clone(),
                template: decision.template.clone(),
            });
        };
        let node = before.iter().fold(0, |node, piece| self.child(node, piece));
        Ok((node, name.clone()))
    }

    /// The child that a piece leads to, made if need be.
    fn child(&mut self, node: usize, piece: &Piece) -> usize {
        let known = match piece {
            Piece::Name(name) => self.nodes[node].names.get(&*lower(name)).copied(),
            Piece::Parameter(_) => self.nodes[node].parameter,
        };
        known.unwrap_or_else(|| {
            let made = self.nodes.len();
            self.nodes.push(Node::default());
            match piece {
                Piece::Name(name) => drop(self.nodes[node].names.insert(lower(name).as_ref().into(), made)),
                Piece::Parameter(_) => self.nodes[node].parameter = Some(made),
            }
            made
        })
    }
}

// --- What it makes of a path

impl Rules {
    /// What is shown for a path, or for a node of the trie.
    pub fn shown<'a>(&'a self, steps: &[Step<'a>], method: &str) -> Shown<'a> {
        if let Some(pin) = self.pin(steps.iter().map(|step| step.text), method) {
            return Shown::Pinned(pin);
        }
        let mut parts = SmallVec::new();
        let (mut by_text, mut is_decided) = (false, false);
        let mut at = Some(0);
        for step in steps {
            if let Some(by) = self.ignoring(at, method) {
                return Shown::Ignored(by);
            }
            let node = at.map(|at| &self.nodes[at]);
            let split = node.and_then(|node| node.splits.get(&*lower(step.text?)));
            if let Some((name, by)) = split {
                by_text |= matches!(step.learned, Learned::Parameter(_));
                is_decided = true;
                parts.push(Part::Split { name, by: &by.words });
                at = self.named(at, name);
                continue;
            }
            let merge = node.and_then(|node| node.merge.as_ref()).filter(|merge| match step.learned {
                Learned::Name(name) => merge.takes(name),
                Learned::Parameter(_) => true,
            });
            if let Some(merge) = merge {
                is_decided = true;
                parts.push(Part::Merged { name: &merge.name, values: merge.values.len(), by: &merge.by.words });
                at = self.parameter(at);
                continue;
            }
            match step.learned {
                Learned::Name(name) => {
                    parts.push(step.part());
                    at = self.named(at, name);
                }
                Learned::Parameter(parameter) => {
                    parts.push(match node.and_then(|node| node.rename.as_ref()) {
                        Some((name, by)) => Part::Renamed { name, parameter, by: &by.words },
                        None => step.part(),
                    });
                    at = match parameter.constant() {
                        Some(only) => self.named(at, only),
                        None => self.parameter(at),
                    };
                }
            }
        }
        match self.ignoring(at, method) {
            Some(by) => Shown::Ignored(by),
            None => Shown::Parts { parts, by_text, is_decided },
        }
    }

    /// The pinned template that fits a path wholly: the one with a name where another has a parameter, from the left. One
    /// without an operation fits all of them, unless it is of a document.
    pub fn pin<'t>(&self, texts: impl Iterator<Item = Option<&'t str>>, method: &str) -> Option<&Pin> {
        if !self.has_pins {
            return None;
        }
        let texts: SmallVec<[Option<Cow<'t, str>>; 12]> = texts.map(|text| text.map(lower)).collect();
        let pin = self.pin_of(&texts, method);
        match &texts[..] {
            [path @ .., Some(mark), _] if *mark == MARK => {
                // A document writes the path once, whatever is asked of it.
                pin.or_else(|| self.pin_of(path, method).filter(|pin| !pin.by.is_document))
            }
            _ => pin,
        }
    }

    fn pin_of(&self, texts: &[Option<Cow<'_, str>>], method: &str) -> Option<&Pin> {
        let mut open: SmallVec<[(usize, usize); 16]> = SmallVec::new();
        open.push((0, 0));
        for _ in 0..VISITS_MAX {
            let (id, at) = open.pop()?;
            let node = &self.nodes[id];
            if at == texts.len() {
                match node.pins.iter().find(|pin| pin.method.as_deref().is_none_or(|known| known == method)) {
                    Some(pin) => return Some(pin),
                    None => continue,
                }
            }
            if let Some(parameter) = node.parameter {
                open.push((parameter, at + 1));
            }
            if let Some(&child) = texts[at].as_deref().and_then(|text| node.names.get(text)) {
                open.push((child, at + 1));
            }
        }
        None
    }

    fn ignoring(&self, at: Option<usize>, method: &str) -> Option<&By> {
        let ignores = &self.nodes[at?].ignores;
        ignores.iter().find(|(ignored, _)| ignored.as_deref().is_none_or(|known| known == method)).map(|(_, by)| by)
    }

    fn named(&self, at: Option<usize>, name: &str) -> Option<usize> {
        self.nodes[at?].names.get(&*lower(name)).copied()
    }

    fn parameter(&self, at: Option<usize>) -> Option<usize> {
        self.nodes[at?].parameter
    }
}
