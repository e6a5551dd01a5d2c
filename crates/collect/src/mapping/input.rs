//! What the interpreter sees of a line: the places that its expression names, as CEL values, and no more of them than it can
//! take its time over. The library counts no steps, so what an expression costs is bounded by what it is given.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;

use super::FieldFailure;
use super::wanted::{Found, Path, Slot, Wanted};
use crate::json::{Json, Value};

/// Most values that an expression is given of a line, those inside of others counted.
const INPUT_VALUES_MAX: usize = 256;
/// Most bytes of text that it is given, names and values together.
const INPUT_BYTES_MAX: usize = 4096;
/// Deepest nesting that it is given.
const INPUT_DEPTH_MAX: usize = 32;

type Boxed<'a> = Box<dyn Val + 'a>;

/// The places that an expression names, as a tree.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Set where the place itself is named, and not only what is below it.
    slot: Option<Slot>,
    children: Vec<(String, Input)>,
}

impl Input {
    pub(super) fn new(paths: &[Path], wanted: &mut Wanted) -> Input {
        let mut root = Input::default();
        for path in paths {
            let mut node = &mut root;
            for name in path {
                let at = node.children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                    node.children.push((name.clone(), Input::default()));
                    node.children.len() - 1
                });
                node = &mut node.children[at].1;
            }
            node.slot = Some(wanted.slot(path));
        }
        root
    }

    /// The value of the variable `line`.
    pub(super) fn of<'a>(&self, found: &Found<'_, 'a>) -> Result<Boxed<'a>, FieldFailure> {
        let mut budget = Budget { values: INPUT_VALUES_MAX, bytes: INPUT_BYTES_MAX };
        self.map(found, &mut budget)
    }

    /// A place that an expression only goes through is there even where the line has nothing of it, so that
    /// `has(line.login.account)` is false and no error there.
    fn map<'a>(&self, found: &Found<'_, 'a>, budget: &mut Budget) -> Result<Boxed<'a>, FieldFailure> {
        let mut map: HashMap<CelMapKey<'a>, Boxed<'a>> = HashMap::with_capacity(self.children.len());
        for (name, child) in &self.children {
            let value = match child.slot {
                None => Some(child.map(found, budget)?),
                Some(slot) => match found.get(slot) {
                    None => None,
                    Some(json) => Some(budget.value_of(json, 0)?),
                },
            };
            if let Some(value) = value {
                map.insert(CelMapKey::from(name.clone()), value);
            }
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

/// What may still be given.
struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    /// Takes a value of so many bytes.
    fn value(&mut self, bytes: usize) -> Result<(), FieldFailure> {
        self.values = self.values.checked_sub(1).ok_or(FieldFailure::TooLarge)?;
        self.text(bytes)
    }

    fn text(&mut self, bytes: usize) -> Result<(), FieldFailure> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(FieldFailure::TooLarge)?;
        Ok(())
    }

    /// A value that stands in the line.
    fn value_of<'a>(&mut self, value: Value<'_, 'a>, depth: usize) -> Result<Boxed<'a>, FieldFailure> {
        let json = value.json();
        self.value(if let Json::Text(text) = json { text.len() } else { 0 })?;
        Ok(match json {
            Json::Null => Box::new(CelNull),
            Json::Bool(truth) => Box::new(CelBool::from(truth)),
            // CEL reads `5` as an `int`, and an `int` is what most numbers are compared with.
            Json::Int(number) => Box::new(CelInt::from(number)),
            Json::UInt(number) => Box::new(CelUInt::from(number)),
            Json::Float(number) => Box::new(CelDouble::from(number)),
            Json::Text(text) => Box::new(CelString::from(text)),
            Json::List(elements) => {
                let list: Result<Vec<Boxed<'a>>, _> =
                    elements.map(|element| self.value_below(element, depth)).collect();
                Box::new(CelList::from(list?))
            }
            Json::Object(members) => {
                let mut map: HashMap<CelMapKey<'a>, Boxed<'a>> = HashMap::new();
                for (name, value) in members {
                    self.text(name.len())?;
                    map.insert(CelMapKey::from(name.to_owned()), self.value_below(value, depth)?);
                }
                Box::new(CelMap::from(map))
            }
        })
    }

    fn value_below<'a>(&mut self, value: Value<'_, 'a>, depth: usize) -> Result<Boxed<'a>, FieldFailure> {
        match depth {
            INPUT_DEPTH_MAX => Err(FieldFailure::TooLarge),
            depth => self.value_of(value, depth + 1),
        }
    }
}
