//! Whatever bytes come, there is a call or a reason, and serde_json agrees on what a line says.
#![allow(clippy::unwrap_used)]

use outrider_collect::{
    Content, LineFramer, Normaliser, NormaliserSettings, PseudonymKey, Rejection, Scratch, lossless,
};
use outrider_model::ApiCall;
use outrider_model::batch::{BatchReader, BatchWriter};
use proptest::prelude::*;
use serde_json::Value;

const NOW_MS: i64 = 1_795_448_391_727;

fn normaliser() -> Normaliser {
    Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).unwrap()
}

/// Reads a line, checks what must hold for any, and says what came of it.
fn read(normaliser: &Normaliser, line: &[u8]) -> Result<(), Rejection> {
    let mut scratch = Scratch::default();
    let call = normaliser.normalise(line, Some(NOW_MS), &mut scratch)?;
    assert!((NOW_MS - 900_000..=NOW_MS + 5000).contains(&call.event_ms));
    let mut writer = BatchWriter::default();
    writer.push(&call).unwrap();
    let bytes = writer.take();
    let back: Vec<ApiCall<'_>> = BatchReader::new(&bytes).unwrap().map(Result::unwrap).collect();
    assert_eq!(back, [call]);
    Ok(())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9]{1,4}".prop_map(Value::from),
        "/[a-z%/?&=+#;.]{0,30}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("id".to_owned()),
        Just("name".to_owned()),
        Just("status".to_owned()),
        Just("size".to_owned()),
        Just("headers".to_owned()),
        Just("uri".to_owned()),
        Just("method".to_owned()),
        Just("proxy".to_owned()),
        Just("tags".to_owned()),
        Just("host".to_owned()),
        any::<String>(),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_line() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "request",
        "response",
        "latencies",
        "started_at",
        "client_ip",
        "source",
        "workspace",
        "route",
        "service",
        "consumer",
        "authenticated_entity",
        "tries",
        "outrider_key",
        "upstream_status",
    ]);
    prop::collection::vec((name, any_json()), 0..10)
        .prop_map(|fields| Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn text_of(value: &Value) -> Option<&str> {
    value.as_str()
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&normaliser(), &bytes);
    }

    #[test]
    fn any_object_is_read_as_serde_json_reads_it(line in any_line()) {
        let text = line.to_string();
        let normaliser = normaliser();
        let mut scratch = Scratch::default();
        let seen = normaliser.normalise(text.as_bytes(), Some(NOW_MS), &mut scratch);
        let status = &line["response"]["status"];
        let has_status = status.as_i64().is_some() || status.as_f64().is_some_and(|status| status.abs() < 9e15)
            || status.as_str().is_some_and(|status| status.trim().parse::<i64>().is_ok());
        match seen {
            Ok(call) => {
                prop_assert!(line["request"].is_object() || has_status, "{}", text);
                // serde_json's text of the private range is ambiguous with raw bytes, so compare after the mapping.
                let same = |mine: &str, theirs: &Value| match text_of(theirs) {
                    Some(theirs) => *lossless::to_text(theirs.as_bytes()) == *mine,
                    None => true,
                };
                prop_assert!(same(&call.workspace, &line["workspace"]), "{}", text);
                prop_assert!(same(&call.request_id, &line["request"]["id"]), "{}", text);
                if let (Some(consumer), Some(id)) = (&call.consumer, text_of(&line["consumer"]["id"])) {
                    prop_assert!(same(&consumer.id, &Value::from(id)), "{}", text);
                }
                if let Some(code) = status.as_u64() {
                    prop_assert_eq!(u64::from(call.status), if code > 65_535 { 0 } else { code }, "{}", text);
                }
            }
            Err(reason) => {
                prop_assert_eq!(reason, Rejection::NoRequest, "{}", text);
                prop_assert!(!line["request"].is_object() && !has_status, "{}", text);
            }
        }
        prop_assert_eq!(read(&normaliser, text.as_bytes()).is_ok(), line["request"].is_object() || has_status);
    }

    #[test]
    fn any_stream(pieces in prop::collection::vec(
        prop_oneof![
            any_line().prop_map(|line| line.to_string().into_bytes()),
            Just(b"\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..30),
        ],
        0..8,
    )) {
        let normaliser = normaliser();
        let stream = pieces.concat();
        let mut framer = LineFramer::new(1024);
        let one = |content: Content<'_>| {
            if let Content::Record(record) = content {
                let _ = read(&normaliser, record);
            }
        };
        framer.feed(&stream, |frame| one(frame.content));
        framer.finish(|frame| one(frame.content));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_damaged_line_is_refused_where_serde_json_refuses_it(
        line in any_line(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = line.to_string().into_bytes();
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1).max(bytes.len() / 2));
        }
        let text = lossless::to_text(&bytes).into_owned();
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        match read(&normaliser(), &bytes) {
            Err(Rejection::NotJson) => {
                prop_assert!(!valid || has_huge_number(&text) || has_lone_surrogate(&text), "{}", text);
            }
            _ => prop_assert!(valid, "{}", text),
        }
    }
}

/// Any byte, and more often one that means something in JSON, so that many a damaged line is JSON still.
fn damage() -> impl Strategy<Value = u8> {
    let telling = b"{}[]\",:\\ue0123456789 -+.atrn".to_vec();
    prop_oneof![any::<u8>(), prop::sample::select(telling)]
}

/// The strings of a JSON text without their quotes, and what stands around them.
fn parts(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut strings, mut others, mut rest) = (Vec::new(), Vec::new(), text);
    while let Some(start) = rest.find('"') {
        others.push(&rest[..start]);
        let string = &rest[start + 1..];
        let mut is_escaped = false;
        let end = string.find(|character| {
            let is_end = character == '"' && !is_escaped;
            is_escaped = character == '\\' && !is_escaped;
            is_end
        });
        let end = end.unwrap_or(string.len());
        strings.push(&string[..end]);
        rest = string.get(end + 1..).unwrap_or("");
    }
    others.push(rest);
    (strings, others)
}

/// serde_json skips numbers that no float can hold; we read all.
fn has_huge_number(text: &str) -> bool {
    let (_, others) = parts(text);
    let is_part = |character: char| character.is_ascii_digit() || "+-.eE".contains(character);
    let mut numbers = others.iter().flat_map(|other| other.split(|character| !is_part(character)));
    numbers.any(|number| number.parse().is_ok_and(f64::is_infinite))
}

/// serde_json skips halves of characters that stand alone; we read all texts.
fn has_lone_surrogate(text: &str) -> bool {
    let (strings, _) = parts(text);
    strings.iter().any(|string| {
        let units = string.replace("\\\\", "  ").split("\\u").skip(1).map(unit_of).collect::<Vec<_>>();
        // A pair is `\ud83d\ude00`, with nothing in between.
        let mut at = 0;
        while let Some((unit, ends)) = units.get(at) {
            let is_pair = (0xd800..0xdc00).contains(unit)
                && *ends
                && units.get(at + 1).is_some_and(|(low, _)| (0xdc00..0xe000).contains(low));
            if (0xd800..0xe000).contains(unit) && !is_pair {
                return true;
            }
            at += if is_pair { 2 } else { 1 };
        }
        false
    })
}

/// What the four digits after `\u` stand for, and whether nothing follows them.
fn unit_of(escape: &str) -> (u32, bool) {
    (escape.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0), escape.len() == 4)
}

#[test]
fn what_is_excused_is_no_more_than_that() {
    for (text, huge, lone) in [
        (r#"{"request":{"size":1e5},"latencies":{"e":"E"}}"#, false, false),
        (r#"{"a":1e400,"b":"2e2"}"#, true, false),
        (r#"[-1e+999]"#, true, false),
        (r#"{"a":"1e400","\"b1e400":true}"#, false, false),
        (r#"{"a":"\u0041\ud83d\ude00 \\ud83d"}"#, false, false),
        (r#"{"a":"\ud83d"}"#, false, true),
        (r#"{"a":"\ud83d \ude00"}"#, false, true),
        (r#"{"\ude00":1}"#, false, true),
        (r#"{"a":"\ud83d\ud83d\ude00"}"#, false, true),
    ] {
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "{text}");
        assert_eq!((has_huge_number(text), has_lone_surrogate(text)), (huge, lone), "{text}");
    }
}

#[test]
fn known_oddities() {
    let normaliser = normaliser();
    let cases: [(&[u8], Result<(), Rejection>); 8] = [
        (b"\0\0\0", Err(Rejection::NotJson)),
        (b"{\"request\":{\"uri\":\"/\0\"}}", Err(Rejection::NotJson)),
        (b"{\"request\":{\"uri\":\"/\\u0000\"}}", Ok(())),
        (b"{\"request\":{\"uri\":\"/\xff\xfe?q=\xe9\",\"headers\":{\"\xff\":\"\xff\"}}}", Ok(())),
        (b"{\"request\":{\"uri\":\"/\\ud83d\\ude00\"}}", Ok(())),
        (b"\xef\xbb\xbf{\"request\":{}}", Err(Rejection::NotJson)),
        (b"{'request':{}}", Err(Rejection::NotJson)),
        (b"GET / HTTP/1.1", Err(Rejection::NotJson)),
    ];
    for (line, expected) in cases {
        assert_eq!(read(&normaliser, line), expected, "{:?}", String::from_utf8_lossy(line));
    }
}
