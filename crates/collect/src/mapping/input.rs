//! What the interpreter sees of a line: the places that its expression names, as CEL values, and no more of them than it can
//! take its time over. The library counts no steps, so what an expression costs is bounded by what it is given.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use outrider_model::Text;
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::FieldFailure;
use super::wanted::{Found, Path, Slot, Wanted};

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
    pub(super) fn of<'a>(&self, found: &Found<'a>) -> Result<Boxed<'a>, FieldFailure> {
        let mut budget = Budget { values: INPUT_VALUES_MAX, bytes: INPUT_BYTES_MAX };
        self.map(found, &mut budget)
    }

    /// A place that an expression only goes through is there even where the line has nothing of it, so that
    /// `has(line.login.account)` is false and no error there.
    fn map<'a>(&self, found: &Found<'a>, budget: &mut Budget) -> Result<Boxed<'a>, FieldFailure> {
        let mut map: HashMap<CelMapKey<'a>, Boxed<'a>> = HashMap::with_capacity(self.children.len());
        for (name, child) in &self.children {
            let value = match child.slot {
                None => Some(child.map(found, budget)?),
                Some(slot) => match found.get(slot) {
                    None => None,
                    Some(json) => Some(value_of(&json.as_raw_cow(), budget)?),
                },
            };
            if let Some(value) = value {
                map.insert(CelMapKey::from(name.clone()), value);
            }
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

fn value_of<'a>(raw: &Cow<'a, str>, budget: &mut Budget) -> Result<Boxed<'a>, FieldFailure> {
    // The line was read before, so all that can be wrong with a part of it is its size.
    let too_large = |_| FieldFailure::TooLarge;
    match raw {
        Cow::Borrowed(raw) => {
            let reader = Reader { budget, depth: 0 };
            reader.deserialize(&mut sonic_rs::Deserializer::from_str(raw)).map_err(too_large)
        }
        // So the library hands on a text with an escape, and nothing else.
        Cow::Owned(raw) => {
            let text: String = sonic_rs::from_str(raw).map_err(too_large)?;
            budget.value(text.len()).map_err(|_| FieldFailure::TooLarge)?;
            Ok(Box::new(CelString::from(text)))
        }
    }
}

const TOO_LARGE: &str = "more than the interpreter is given";

/// What may still be given.
struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    /// Takes a value of so many bytes.
    fn value(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.values = self.values.checked_sub(1).ok_or(TOO_LARGE)?;
        self.text(bytes)
    }

    fn text(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(TOO_LARGE)?;
        Ok(())
    }
}

struct Reader<'b> {
    budget: &'b mut Budget,
    depth: usize,
}

impl Reader<'_> {
    fn below(&mut self) -> Result<Reader<'_>, &'static str> {
        if self.depth == INPUT_DEPTH_MAX {
            return Err(TOO_LARGE);
        }
        Ok(Reader { budget: &mut *self.budget, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Boxed<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Boxed<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Boxed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Boxed<'de>, E> {
        self.budget.value(value.len()).map_err(E::custom)?;
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Boxed<'de>, E> {
        self.budget.value(value.len()).map_err(E::custom)?;
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Boxed<'de>, E> {
        self.budget.value(0).map_err(E::custom)?;
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Boxed<'de>, E> {
        self.budget.value(0).map_err(E::custom)?;
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Boxed<'de>, E> {
        self.budget.value(0).map_err(E::custom)?;
        // CEL reads `5` as an `int`, and an `int` is what most numbers are compared with.
        let value: Boxed<'de> = match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        };
        Ok(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Boxed<'de>, E> {
        self.budget.value(0).map_err(E::custom)?;
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Boxed<'de>, E> {
        self.budget.value(0).map_err(E::custom)?;
        Ok(Box::new(CelNull))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Boxed<'de>, A::Error> {
        self.budget.value(0).map_err(A::Error::custom)?;
        let mut list: Vec<Boxed<'de>> = Vec::new();
        while let Some(value) = seq.next_element_seed(self.below().map_err(A::Error::custom)?)? {
            list.push(value);
        }
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Boxed<'de>, A::Error> {
        self.budget.value(0).map_err(A::Error::custom)?;
        let mut read: HashMap<CelMapKey<'de>, Boxed<'de>> = HashMap::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            self.budget.text(name.len()).map_err(A::Error::custom)?;
            let value = map.next_value_seed(self.below().map_err(A::Error::custom)?)?;
            read.insert(CelMapKey::from(name.into_string()), value);
        }
        Ok(Box::new(CelMap::from(read)))
    }
}
