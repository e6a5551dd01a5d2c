//! The reader against sonic-rs, which it stands in for, and serde_json.

use std::fmt;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::*;

/// All that a text says, and whether strings are the text's own.
#[derive(Debug, Clone, PartialEq)]
enum Told<'a> {
    Unit,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    /// As bits, so that 0 and -0 differ.
    Float(u64),
    Borrowed(&'a str),
    Copied(String),
    List(Vec<Told<'a>>),
    Map(Vec<(Told<'a>, Told<'a>)>),
}

impl<'de> Deserialize<'de> for Told<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Told<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> std::result::Result<Told<'de>, E> {
                Ok(Told::Unit)
            }

            fn visit_bool<E>(self, value: bool) -> std::result::Result<Told<'de>, E> {
                Ok(Told::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> std::result::Result<Told<'de>, E> {
                Ok(Told::Unsigned(value))
            }

            fn visit_i64<E>(self, value: i64) -> std::result::Result<Told<'de>, E> {
                Ok(Told::Signed(value))
            }

            fn visit_f64<E>(self, value: f64) -> std::result::Result<Told<'de>, E> {
                Ok(Told::Float(value.to_bits()))
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> std::result::Result<Told<'de>, E> {
                Ok(Told::Borrowed(value))
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Told<'de>, E> {
                Ok(Told::Copied(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Told<'de>, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element()? {
                    list.push(value);
                }
                Ok(Told::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Told<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Told::Map(members))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl<'de> Told<'de> {
    fn text(text: Text<'de>) -> Told<'de> {
        match text.borrowed() {
            Some(borrowed) => Told::Borrowed(borrowed),
            None => Told::Copied(text.into_string()),
        }
    }

    fn read(reader: &mut Reader<'de, '_>) -> super::Result<Told<'de>> {
        Ok(match reader.value()? {
            Begun::Null => Told::Unit,
            Begun::Bool(truth) => Told::Bool(truth),
            Begun::Number(Number::Unsigned(number)) => Told::Unsigned(number),
            Begun::Number(Number::Signed(number)) => Told::Signed(number),
            Begun::Number(Number::Float(number)) => Told::Float(number.to_bits()),
            Begun::Text(text) => Told::text(text),
            Begun::List => {
                let mut list = Vec::new();
                reader.elements(|reader| Told::read(reader).map(|value| list.push(value)))?;
                Told::List(list)
            }
            Begun::Object => {
                let mut members = Vec::new();
                reader
                    .members(|reader, name| Told::read(reader).map(|value| members.push((Told::text(name), value))))?;
                Told::Map(members)
            }
        })
    }
}

fn reading<'de, T>(
    text: &'de str,
    wanted: &Wanted,
    read: impl FnOnce(&mut Reader<'de, '_>) -> super::Result<T>,
) -> Option<(T, Found<'de>)> {
    let mut reader = Reader::new(text, wanted);
    let value = read(&mut reader).ok()?;
    Some((value, reader.end().ok()?))
}

fn told(text: &str) -> Option<Told<'_>> {
    reading(text, &Wanted::default(), Told::read).map(|(told, _)| told)
}

fn told_by_sonic(text: &str) -> Option<Told<'_>> {
    sonic_rs::from_str(text).ok()
}

fn is_passed(text: &str) -> bool {
    reading(text, &Wanted::default(), |reader| reader.pass()).is_some()
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[test]
fn what_is_told_is_what_sonic_tells_and_what_is_passed_is_json() {
    let scalars = r#"null true false 0 -0 7 -7 123456789012345678 1234567890123456789 18446744073709551615
        18446744073709551616 -9223372036854775808 -9223372036854775809 1.5 -1.5 0.1e-7 1E+2 1e400 1.7954483917204e+18
        "" "x" "\/a\"b\\\b\f\n\r\t" "\u00e9\ud83d\ude00" "é😀" "fifteen_letters" "sixteen__letters" "seventeen_letters"
        "fifteen_letters\n" "sixteen__letters\\" "\u0041fter_seventeen_letters_and_more""#;
    let broken = r#"nul tru fals 01 -01 1. .5 1e 1e+ - +1 0x1 1.e5 -a " "x "\" "\x" "\u" "\u12" "\u12g4" "\ud83d" "\ude00x" ' x"#;
    let wrapped = |text: &str| {
        [format!(" {text}\t"), format!("[{text}]"), format!("[1,\n{text} , 2]"), format!(r#"{{"a" :{text}}}"#)]
    };
    for text in scalars.split_ascii_whitespace().chain(broken.split_ascii_whitespace()) {
        for text in std::iter::once(text.to_owned()).chain(wrapped(text)) {
            assert_eq!(told(&text), told_by_sonic(&text), "{text}");
            assert_eq!(is_passed(&text), is_json(&text), "{text}");
        }
    }
    let containers = r#"[] {} [[]] [{}] {"a":{}} {"a":[]} {"a":1,"a":2} {"\n":1} {"\u0061":1} [ {[ ] } , [, [,] [1,] [1 [1} {,} {"a"} {"a":}
        {"a":1,} {"a":1 {"a":1] {"a",1} {a:1} {1:1} {"a":1,,"b":2} {"a"::1} [1]] {}} [1,,2] "a":1 "a""b" 1,2 {"a":1}{"a":1}"#;
    for text in containers.split_ascii_whitespace() {
        assert_eq!(told(text), told_by_sonic(text), "{text}");
        assert_eq!(is_passed(text), is_json(text), "{text}");
    }
    for text in [
        "",
        " ",
        "\"\u{1f}\"",
        "\"\n\"",
        "\"\u{7f}\"",
        "\u{a0}1",
        "\u{feff}1",
        "{\"\t\":1}",
        "\"long_before_it_ends_\u{0}\"",
    ] {
        assert_eq!(told(text), told_by_sonic(text), "{text:?}");
        assert_eq!(is_passed(text), is_json(text), "{text:?}");
    }
}

#[test]
fn depth_has_the_limit_that_it_had() {
    for depth in [1, 200, 253, 254, 255, 300] {
        let list = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let map = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for text in [list, map] {
            assert_eq!(told(&text).is_some(), told_by_sonic(&text).is_some(), "{depth}");
            assert!(is_passed(&text), "{depth}");
        }
    }
}

/// JSON with spaces and escapes in it.
fn any_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\/\n\u{e9}]{0,40}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-c]|[a-z\"\n]{0,40}", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    (value, any::<bool>()).prop_map(|(value, is_pretty)| {
        let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        text.unwrap()
    })
}

/// The same with bytes of it damaged now and then.
fn any_damaged_text() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(b"{}[]\",:\\u0123456789 -+.eatrn\n\x01/".to_vec());
    let damages = prop::collection::vec((any::<prop::sample::Index>(), telling), 0..3);
    (any_text(), damages).prop_map(|(text, damages)| {
        let mut bytes = text.into_bytes();
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wanted(paths: &[&[&str]]) -> (Wanted, Vec<Slot>) {
    let mut wanted = Wanted::default();
    let slots = paths.iter().map(|path| wanted.slot(&path.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()));
    let slots = slots.collect();
    (wanted, slots)
}

/// What `serde_json` finds at a place.
fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.as_object()?.get(*name))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_as_sonic_reads_it(text in any_damaged_text()) {
        // It takes a broken escape of four digits for some character or other; nobody else does.
        let expected = told_by_sonic(&text).filter(|_| is_json(&text));
        prop_assert_eq!(told(&text), expected);
        prop_assert_eq!(is_passed(&text), is_json(&text));
    }

    #[test]
    fn places_are_found_whether_they_are_read_or_passed(value in any_text(), other in any_text()) {
        let text = format!(r#"{{"a":{value}, "b" : {other} ,"c":{{"a":{value},"b":[{{"a":1}}]}}}}"#);
        let paths: [&[&str]; 7] = [&["a"], &["a", "a"], &["b", "c"], &["c", "a", "b"], &["c", "b", "a"], &["c", "a"], &["d"]];
        let (wanted, slots) = wanted(&paths);
        let Ok(line) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
        let by = |found: Option<Found<'_>>| -> Option<Vec<Option<Value>>> {
            let found = found?;
            Some(slots.iter().map(|slot| found.get(*slot).map(|raw| serde_json::from_str(raw).unwrap())).collect())
        };
        let expected: Vec<Option<Value>> = paths.iter().map(|path| at(&line, path).cloned()).collect();
        let passed = reading(&text, &wanted, |reader| reader.pass()).map(|(_, found)| found);
        prop_assert_eq!(by(passed), Some(expected.clone()));
        if told_by_sonic(&text).is_some() {
            let read = reading(&text, &wanted, Told::read).map(|(_, found)| found);
            prop_assert_eq!(by(read), Some(expected));
        }
    }
}

#[test]
fn a_place_is_what_stands_there_without_spaces_and_the_last_counts() {
    let (wanted, slots) = wanted(&[&["a"], &["a", "b"], &["c"]]);
    let text = r#" { "a" : { "b" : 1 } , "\u0061" : {"b":[2 , {"b":3}]} , "c" : "x\"y" , "a" : 4.50 } "#;
    for found in [
        reading(text, &wanted, |reader| reader.pass()).map(|(_, found)| found),
        reading(text, &wanted, Told::read).map(|(_, found)| found),
        reading(text, &wanted, |reader| reader.raw()).map(|(_, found)| found),
    ] {
        let found = found.unwrap();
        let seen: Vec<_> = slots.iter().map(|slot| found.get(*slot)).collect();
        assert_eq!(seen, [Some("4.50"), Some(r#"[2 , {"b":3}]"#), Some(r#""x\"y""#)]);
    }
    assert_eq!(reading(text, &Wanted::default(), |reader| reader.raw()).unwrap().0, text.trim());
}
