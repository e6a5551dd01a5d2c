//! A line as JSON, read by simd-json in one pass.
//!
//! The library checks all of a line and leaves what it found as a flat list, its tape: names and values in the order of the line, texts
//! without their escapes, and of each list or object how many places it takes, so that what nobody reads is stepped over and what
//! somebody maps is found without reading the line again. This module decides what a line may be to be read at all, owns
//! the memory for it, and shows the tape as values.
//!
//! Of names that an object has twice each is there; which one counts is the reader's business.

use std::fmt;

use simd_json::{Buffers, ErrorType, INPUT_PADDING, Node, StaticNode, Tape};

use crate::{Rejection, lossless};

/// Deepest nesting read. Kong's own lines nest 5 deep.
pub(crate) const DEPTH_MAX: usize = 64;

/// What was needed for a longer line is given back before the next one. One of this length needs 4 MB at most.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The memory that lines are read in, one after the other.
pub(crate) struct JsonRoom {
    /// The line, and behind it what the library may read beyond its end.
    text: Vec<u8>,
    buffers: Buffers,
    /// Empty between lines.
    tape: Tape<'static>,
}

impl Default for JsonRoom {
    fn default() -> Self {
        JsonRoom { text: Vec::new(), buffers: Buffers::with_max_depth(0, DEPTH_MAX), tape: Tape(Vec::new()) }
    }
}

impl fmt::Debug for JsonRoom {
    /// Nothing of the line that is still in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRoom").field("bytes", &self.text.capacity()).finish_non_exhaustive()
    }
}

impl JsonRoom {
    /// Gives back what a long line needed. The next line does, too; who may wait long for that one asks before.
    pub(crate) fn give_back(&mut self) {
        if self.text.capacity() > KEPT_BYTES_MAX {
            *self = JsonRoom::default();
        }
    }

    /// Reads a line and hands its value to `take`. Texts live as long as the room is borrowed, the value itself is gone afterwards.
    pub(crate) fn read<'a, T>(
        &'a mut self,
        line: &[u8],
        take: impl FnOnce(Value<'_, 'a>) -> Result<T, Rejection>,
    ) -> Result<T, Rejection> {
        self.give_back();
        let JsonRoom { text, buffers, tape: kept } = self;
        text.clear();
        text.reserve(line.len() + INPUT_PADDING);
        lossless::write_text(line, text);
        let length = text.len();
        text.extend_from_slice(&[b' '; INPUT_PADDING]);
        let mut tape = std::mem::replace(kept, Tape(Vec::new())).reset();
        let taken = match simd_json::fill_tape_padded(text, length, buffers, &mut tape) {
            Ok(()) => take(Value(&tape.0)),
            Err(error) => Err(match error.error() {
                ErrorType::DepthLimitExceeded => Rejection::TooDeep,
                _ => Rejection::NotJson,
            }),
        };
        *kept = tape.reset();
        taken
    }
}

/// A value of a line. It begins with its own node, and behind that are those of what it holds.
#[derive(Clone, Copy)]
pub(crate) struct Value<'t, 'a>(&'t [Node<'a>]);

/// What a value is.
pub(crate) enum Json<'t, 'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// One that is too large for the other.
    UInt(u64),
    Float(f64),
    Text(&'a str),
    List(Elements<'t, 'a>),
    Object(Members<'t, 'a>),
}

impl<'t, 'a> Value<'t, 'a> {
    pub(crate) fn json(self) -> Json<'t, 'a> {
        let Some((node, inside)) = self.0.split_first() else { return Json::Null };
        match *node {
            Node::String(text) => Json::Text(text),
            Node::Object { .. } => Json::Object(Members(inside)),
            Node::Array { .. } => Json::List(Elements(inside)),
            Node::Static(StaticNode::Null) => Json::Null,
            Node::Static(StaticNode::Bool(truth)) => Json::Bool(truth),
            Node::Static(StaticNode::I64(number)) => Json::Int(number),
            Node::Static(StaticNode::U64(number)) => i64::try_from(number).map_or(Json::UInt(number), Json::Int),
            Node::Static(StaticNode::F64(number)) => Json::Float(number),
        }
    }

    /// The names and values of an object; of anything else none.
    pub(crate) fn members(self) -> Members<'t, 'a> {
        match self.json() {
            Json::Object(members) => members,
            _ => Members(&[]),
        }
    }

    /// The value that the nodes begin with, and those behind it.
    fn split(nodes: &'t [Node<'a>]) -> Option<(Value<'t, 'a>, &'t [Node<'a>])> {
        let inside = match nodes.first()? {
            Node::Object { count, .. } | Node::Array { count, .. } => *count,
            Node::String(_) | Node::Static(_) => 0,
        };
        let (value, rest) = nodes.split_at_checked(inside + 1)?;
        Some((Value(value), rest))
    }
}

/// The elements of a list.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'t, 'a>(&'t [Node<'a>]);

impl<'t, 'a> Iterator for Elements<'t, 'a> {
    type Item = Value<'t, 'a>;

    fn next(&mut self) -> Option<Value<'t, 'a>> {
        let (value, rest) = Value::split(self.0)?;
        self.0 = rest;
        Some(value)
    }
}

/// The names and values of an object.
#[derive(Clone, Copy)]
pub(crate) struct Members<'t, 'a>(&'t [Node<'a>]);

impl<'t, 'a> Iterator for Members<'t, 'a> {
    type Item = (&'a str, Value<'t, 'a>);

    fn next(&mut self) -> Option<(&'a str, Value<'t, 'a>)> {
        let (Node::String(name), rest) = self.0.split_first()? else { return None };
        let (value, rest) = Value::split(rest)?;
        self.0 = rest;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Oracle;

    use super::*;

    /// What a value is to another library. Of names that are there twice the last one counts.
    fn shown(value: Value<'_, '_>) -> Oracle {
        match value.json() {
            Json::Null => Oracle::Null,
            Json::Bool(truth) => truth.into(),
            Json::Int(number) => number.into(),
            Json::UInt(number) => number.into(),
            Json::Float(number) => number.into(),
            Json::Text(text) => text.into(),
            Json::List(elements) => elements.map(shown).collect(),
            Json::Object(members) => {
                Oracle::Object(members.map(|(name, value)| (name.to_owned(), shown(value))).collect())
            }
        }
    }

    fn read(room: &mut JsonRoom, line: &str) -> Result<Oracle, Rejection> {
        room.read(line.as_bytes(), |value| Ok(shown(value)))
    }

    fn any_json() -> impl Strategy<Value = Oracle> {
        let leaf = prop_oneof![
            Just(Oracle::Null),
            any::<bool>().prop_map(Oracle::from),
            any::<i64>().prop_map(Oracle::from),
            any::<u64>().prop_map(Oracle::from),
            // Within what either library reads to the last bit.
            any::<i32>().prop_map(|number| Oracle::from(f64::from(number) / 64.0)),
            any::<String>().prop_map(|text| Oracle::from(text.replace(|c| ('\u{f000}'..'\u{f900}').contains(&c), "x"))),
            "[ -~\\n\\\\\"]{0,100}".prop_map(Oracle::from),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Oracle::from),
                prop::collection::vec(("[a-z\\\\\"\u{e9}]{0,12}", inner), 0..8)
                    .prop_map(|members| Oracle::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// One room for lines of all lengths, between lines that are none: what was there before changes nothing.
        #[test]
        fn what_stands_in_a_line_is_what_serde_json_finds(
            lines in prop::collection::vec((any_json(), any::<bool>(), prop::option::of("[\\[{\":,a-z]{0,200}")), 1..6),
        ) {
            let mut room = JsonRoom::default();
            for (json, pretty, noise) in lines {
                if let Some(noise) = noise {
                    let _ = read(&mut room, &noise);
                }
                let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
                prop_assert_eq!(read(&mut room, &text), Ok(json), "{}", text);
            }
        }
    }

    #[test]
    fn names_that_are_there_twice_are_both_there() {
        let names = |value: Value<'_, '_>| Ok(value.members().map(|(name, _)| name.to_owned()).collect::<Vec<_>>());
        let read = JsonRoom::default().read(br#"{"a":{"x":[1,{}]},"b\n":2,"a":3}"#, names);
        assert_eq!(read, Ok(vec!["a".to_owned(), "b\n".to_owned(), "a".to_owned()]));
    }

    #[test]
    fn a_number_that_no_integer_holds_is_a_float() {
        for (text, number) in [
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("-9223372036854775809", -9_223_372_036_854_775_808.0),
        ] {
            assert_eq!(read(&mut JsonRoom::default(), text), Ok(Oracle::from(number)));
        }
    }

    #[test]
    fn memory_for_a_long_line_is_given_back() {
        let mut room = JsonRoom::default();
        let held = |room: &JsonRoom| room.text.capacity();
        let long = format!("[{}0]", "0,".repeat(10 * KEPT_BYTES_MAX));
        assert_eq!(read(&mut room, &long).map(|list| list.as_array().unwrap().len()), Ok(10 * KEPT_BYTES_MAX + 1));
        assert!(held(&room) > long.len() && room.tape.0.capacity() > 10 * KEPT_BYTES_MAX);
        assert_eq!(read(&mut room, "[0]"), Ok(Oracle::from(vec![0])));
        assert!(held(&room) < 1024 && room.tape.0.capacity() < 1024, "{room:?}");
        read(&mut room, &long).unwrap();
        room.give_back();
        assert_eq!((held(&room), room.tape.0.capacity()), (0, 0));
        // What fills it to the brim stays, as the next line may be as long.
        let text = format!("\"{}\"", "x".repeat(KEPT_BYTES_MAX / 2));
        for _ in 0..2 {
            read(&mut room, &text).unwrap();
            assert!((KEPT_BYTES_MAX / 2..=KEPT_BYTES_MAX).contains(&held(&room)));
        }
    }

    #[test]
    fn nothing_of_a_line_is_shown() {
        let mut room = JsonRoom::default();
        read(&mut room, r#"{"apikey":"secret"}"#).unwrap();
        assert!(!format!("{room:?}").contains("secret"));
    }
}
