//! What bodies of HTTP Log are cut into, against serde_json.
#![allow(clippy::unwrap_used)]

use outrider_collect::{Content, body_records};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Longer than any body here.
const NO_LIMIT: usize = 1_000_000;

/// What was found, as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Record(Vec<u8>),
    TooLong,
    Torn(Vec<u8>),
}

fn seen(body: &[u8], line_bytes_max: usize) -> Vec<Seen> {
    let note = |content| match content {
        Content::Record(record) => Seen::Record(record.to_vec()),
        Content::TooLong => Seen::TooLong,
        Content::NoRoom => panic!("a body has no room to share"),
        Content::Torn { begun } => Seen::Torn(begun.to_vec()),
    };
    body_records(body, line_bytes_max).map(note).collect()
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[{}\\[\\]\",:\\\\ a]{0,8}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// An object as somebody may write it.
fn any_object() -> impl Strategy<Value = String> {
    let fields = prop::collection::vec((any::<String>(), any_value()), 0..4);
    (fields, any::<bool>()).prop_map(|(fields, is_pretty)| {
        let object = fields.into_iter().collect::<Map<_, _>>();
        if is_pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap()
    })
}

/// The objects with this between them.
fn any_body() -> impl Strategy<Value = (Vec<String>, String)> {
    let between = prop::sample::select(vec!["", "\n", "\r\n", ",", ", ", "\n\n", "]["]);
    let around = prop::sample::select(vec![("", ""), ("[", "]"), (" [\n", "\n]\n"), ("\n", "\n")]);
    (prop::collection::vec(any_object(), 0..6), between, around).prop_map(|(objects, between, (before, after))| {
        let body = format!("{before}{}{after}", objects.join(between));
        (objects, body)
    })
}

/// Bytes that often are nearly a body.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "\\",
        ":",
        " ",
        "\n",
        "{}",
        "{\"a\":1}",
        "{\"b\":\"}{\"}",
        "1",
        "null",
        "\"x\"",
    ];
    let token = prop::sample::select(tokens.map(|token| token.as_bytes().to_vec()).to_vec());
    let piece = prop_oneof![9 => token, 1 => prop::collection::vec(any::<u8>(), 0..4)];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// The objects of a body, where serde_json finds nothing else in it: an array of them, or one after the other.
fn objects_of(body: &[u8]) -> Option<Vec<Value>> {
    let values: Vec<Value> = serde_json::Deserializer::from_slice(body).into_iter().collect::<Result<_, _>>().ok()?;
    let elements = values.into_iter().flat_map(|value| match value {
        Value::Array(elements) => elements,
        other => vec![other],
    });
    elements.map(|element| element.is_object().then_some(element)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn each_object_is_found_as_it_was_written((objects, body) in any_body(), line_bytes_max in 2usize..120) {
        let whole = |object: &String| Seen::Record(object.clone().into_bytes());
        prop_assert_eq!(seen(body.as_bytes(), NO_LIMIT), objects.iter().map(whole).collect::<Vec<_>>());
        let limited = |object: &String| if object.len() > line_bytes_max { Seen::TooLong } else { whole(object) };
        prop_assert_eq!(seen(body.as_bytes(), line_bytes_max), objects.iter().map(limited).collect::<Vec<_>>());
    }

    #[test]
    fn of_a_body_that_ends_early_the_whole_objects_are_found((objects, body) in any_body(), cut in any::<prop::sample::Index>()) {
        let body = &body.as_bytes()[..cut.index(body.len() + 1)];
        let mut found = seen(body, NO_LIMIT);
        let torn = found.pop_if(|last| matches!(last, Seen::Torn(_)));
        let is_next = |(seen, object): (&Seen, &String)| *seen == Seen::Record(object.clone().into_bytes());
        prop_assert!(found.len() <= objects.len() && found.iter().zip(&objects).all(is_next), "{:?}", found);
        if let Some(Seen::Torn(begun)) = torn {
            prop_assert!(objects[found.len()].as_bytes().starts_with(&begun));
            prop_assert!(body.ends_with(&begun), "nothing comes behind it");
        } else {
            // Nothing but what stands between objects is left.
            let written: usize = objects[..found.len()].iter().map(String::len).sum();
            let between = body.iter().filter(|byte| b" \r\n[],".contains(byte)).count();
            prop_assert!(body.len() <= written + between);
        }
    }

    #[test]
    fn whatever_comes_serde_json_finds_no_other_objects(body in any_bytes()) {
        let found = seen(&body, NO_LIMIT);
        if let Some(objects) = objects_of(&body) {
            let read = |seen: &Seen| match seen {
                Seen::Record(record) => serde_json::from_slice(record).unwrap(),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(found.iter().map(read).collect::<Vec<Value>>(), objects);
        }
    }

    /// Each byte is in one record, or is what stands between two.
    #[test]
    fn nothing_is_lost_or_read_twice(body in any_bytes()) {
        let mut end = 0;
        let is_between = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_whitespace() || b"[],".contains(byte));
        for content in body_records(&body, NO_LIMIT) {
            let (Content::Record(record) | Content::Torn { begun: record }) = content else { panic!("{content:?}") };
            let start = record.as_ptr() as usize - body.as_ptr() as usize;
            prop_assert!(!record.is_empty() && start >= end && is_between(&body[end..start]), "{:?}", content);
            end = start + record.len();
        }
        prop_assert!(is_between(&body[end..]));
    }
}
