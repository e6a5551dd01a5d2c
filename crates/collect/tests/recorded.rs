//! Every line that a running Kong 3.9.1 sent gives the facts that were noted when it was recorded.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;

use outrider_collect::{
    Content, Domain, LINE_BYTES_MAX_DEFAULT, LineFramer, Normaliser, NormaliserSettings, PseudonymKey, Scratch,
    lossless,
};
use outrider_model::{AnsweredBy, ApiCall, ClockCheck, FieldValue, Text};
use serde_json::Value;

const NOW_MS: i64 = 1_795_450_000_000;

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kong")).join(path);
    if !path.exists() {
        println!("skipped: shared/kong/{} is missing", path.file_name().unwrap().display());
        return None;
    }
    Some(path)
}

fn normaliser() -> Normaliser {
    Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).unwrap()
}

fn records<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
    let mut records = Vec::new();
    let mut take = |content: Content<'_>| match content {
        Content::Record(record) => records.push(record.to_vec()),
        other => panic!("{other:?}"),
    };
    for chunk in chunks {
        framer.feed(chunk, |frame| take(frame.content));
    }
    framer.finish(|frame| take(frame.content));
    records
}

fn each_call(bytes: &[u8], mut inspect: impl FnMut(usize, &ApiCall<'_>, &Value)) -> usize {
    let normaliser = normaliser();
    let mut scratch = Scratch::default();
    let records = records([bytes]);
    for (index, record) in records.iter().enumerate() {
        let call = normaliser
            .normalise(record, Some(NOW_MS), &mut scratch)
            .unwrap_or_else(|reason| panic!("line {}: {reason}", index + 1));
        // serde_json reads the same line on its own.
        let oracle: Value = serde_json::from_str(&lossless::to_text(record)).unwrap();
        agrees(index + 1, &call, &oracle);
        inspect(index, &call, &oracle);
    }
    records.len()
}

/// What the call says is what the line says.
fn agrees(line: usize, call: &ApiCall<'_>, oracle: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let request = &oracle["request"];
    assert_eq!(*call.workspace, text(&oracle["workspace"]), "line {line}");
    assert_eq!(*call.request_id, text(&request["id"]), "line {line}");
    assert_eq!(*call.method, text(&request["method"]).to_uppercase(), "line {line}");
    assert_eq!(u64::from(call.status), oracle["response"]["status"].as_u64().unwrap(), "line {line}");
    assert_eq!(Some(call.request_bytes), request["size"].as_u64().or(Some(0)), "line {line}");
    assert_eq!(call.response_bytes, oracle["response"]["size"].as_u64().unwrap(), "line {line}");
    assert_eq!(i64::from(call.latency.upstream_ms), oracle["latencies"]["proxy"].as_i64().unwrap(), "line {line}");
    assert_eq!(call.client_ip.unwrap().to_string(), text(&oracle["client_ip"]), "line {line}");
    let named = |named: &Option<outrider_model::Named<'_>>| named.as_ref().map(|named| named.id.to_string());
    assert_eq!(named(&call.route).unwrap_or_default(), text(&oracle["route"]["id"]), "line {line}");
    assert_eq!(named(&call.service).unwrap_or_default(), text(&oracle["service"]["id"]), "line {line}");
    let consumer = call.consumer.as_ref();
    assert_eq!(consumer.map_or("", |consumer| &consumer.id), text(&oracle["consumer"]["id"]), "line {line}");
    let credential = call.credential_id.as_ref().map_or("", Text::as_str);
    assert_eq!(credential, text(&oracle["authenticated_entity"]["id"]), "line {line}");
    let uri = text(&request["uri"]);
    assert_eq!(*call.path, *uri.split(['?', '#']).next().unwrap(), "line {line}");
    let values = |headers: &Value| -> usize {
        let ours = |name: &str| {
            name.starts_with("x-consumer-") || name == "x-credential-identifier" || name == "x-anonymous-consumer"
        };
        headers.as_object().map_or(0, |headers| {
            headers.iter().filter(|(name, _)| !ours(name)).map(|(_, value)| value.as_array().map_or(1, Vec::len)).sum()
        })
    };
    assert_eq!(call.headers.len(), values(&request["headers"]), "line {line}");
    // Kong drops empty names, folds repetitions and stops at 100 fields; everything else is as Kong read it. Of a request
    // that nginx refused there may be a query string without any target.
    if uri.is_empty() {
        return;
    }
    for (name, value) in request["querystring"].as_object().into_iter().flatten() {
        let mine: Vec<_> = call.query.iter().filter(|field| *field.name == *name).map(|field| &field.value).collect();
        let theirs = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for (mine, theirs) in mine.iter().zip(&theirs) {
            match (mine, theirs) {
                (FieldValue::Flag, Value::Bool(true)) | (FieldValue::Pseudonym(..), Value::String(_)) => {}
                (FieldValue::Clear(mine), Value::String(theirs)) => assert_eq!(**mine, **theirs, "line {line} {name}"),
                other => panic!("line {line} {name}: {other:?}"),
            }
        }
        assert_eq!(mine.len(), theirs.len(), "line {line} {name}");
    }
}

#[test]
fn all_messages_give_what_the_index_says() {
    let (Some(messages), Some(index)) = (shared("messages.ndjson"), shared("messages.index.jsonl")) else {
        return;
    };
    let index: Vec<Value> =
        std::fs::read_to_string(index).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen = each_call(&std::fs::read(messages).unwrap(), |at, call, oracle| {
        let expected = &index[at];
        assert_eq!(expected["line"], at + 1);
        assert_eq!(expected["status"], call.status, "{expected}");
        let source = if call.answered_by == AnsweredBy::Upstream { "upstream" } else { "kong" };
        assert_eq!(expected["source"], source, "{expected}");
        let consumer = call.consumer.as_ref().map(|consumer| consumer.username.as_str());
        assert_eq!(expected["consumer"].as_str(), consumer, "{expected}");
        assert_eq!(expected["route"].as_str(), call.route.as_ref().map(|route| route.name.as_str()), "{expected}");
        let case = expected["case"].as_str().unwrap();
        assert_eq!(call.anonymous_consumer, case.starts_with("anon-"), "{expected}");
        assert_eq!(call.clock == ClockCheck::ClampedPast, call.event_ms == NOW_MS - 900_000, "{expected}");
        assert_eq!(oracle["started_at"], call.started_ms);
        cases(case, call);
    });
    assert_eq!((seen, index.len()), (356, 356));
}

/// What single cases were recorded for.
fn cases(case: &str, call: &ApiCall<'_>) {
    let key = PseudonymKey::from_bytes(&[7; 32]);
    let presented = |value: &str| Some(key.pseudonym(Domain::Credential, value.as_bytes()));
    let header = |name: &str| -> Vec<&FieldValue<'_>> {
        call.headers.iter().filter(|field| *field.name == *name).map(|field| &field.value).collect()
    };
    match case {
        "ok-alice" | "key-query" => assert_eq!(call.presented_credential, presented("key-alice")),
        "nokey" | "anon-nokey" => assert_eq!(call.presented_credential, None),
        "key-twice" => {
            assert_eq!(call.presented_credential, presented("key-alice"));
            assert_eq!(header("apikey").len(), 2);
        }
        "auth-basic" | "basic-ok" | "basic-bad" => assert_eq!(header("authorization"), [&FieldValue::Redacted]),
        "hdr-dup" => assert_eq!(header("x-dup").len(), 2),
        "xff-trusted-v6" => assert!(call.client_ip.unwrap().is_ipv6()),
        "fragment" => assert_eq!(call.path, "/shop/x"),
        "flagparam" => assert!(call.query.iter().any(|field| field.value == FieldValue::Flag)),
        "query150" => assert_eq!(call.query.len(), 150),
        "rawlatin1" => assert!(call.path.contains('\u{f7e9}'), "{}", &*call.path),
        "host-ipv6" => assert_eq!(call.host, "[::1]"),
        "noroute" => assert!(call.route.is_none() && call.service.is_none()),
        "noservice" => assert!(call.route.is_some() && call.service.is_none()),
        _ => {}
    }
}

#[test]
fn streams_of_single_connections_are_cut_at_their_line_feeds() {
    for (stream, lines) in [
        ("raw/conn-00001.bin", 1),
        ("raw/conn-00002.bin", 0),
        ("raw/conn-00003.bin", 0),
        ("raw_tls/all.ndjson", 0),
        ("raw_tls/conn-00001.bin", 0),
        ("raw_tls/conn-00002.bin", 0),
    ] {
        let Some(path) = shared(stream) else {
            return;
        };
        let bytes = std::fs::read(path).unwrap();
        let seen = each_call(&bytes, |_, _, _| {});
        assert_eq!(seen, bytes.iter().filter(|byte| **byte == b'\n').count(), "{stream}");
        assert!(seen >= lines.max(1), "{stream}");
    }
}

#[test]
fn where_the_stream_is_cut_changes_nothing() {
    let Some(path) = shared("messages.ndjson") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let whole = records([&bytes[..]]);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for largest in [7, 1000, 5000, 70_000] {
        let mut chunks = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let length = 1 + (state >> 33) as usize % largest;
            let (chunk, after) = rest.split_at(length.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        assert!(records(chunks) == whole, "chunks of at most {largest}");
    }
}

#[test]
fn other_lines_are_read_as_well() {
    let files = [
        "acl-refusals",
        "custom-fields-plugin-id",
        "ip-restriction",
        "rate-limit",
        "rt-distinguish",
        "tcplog-global-side",
        "tcplog-service-disabled",
        "tcplog-service-side",
    ];
    let mut own = Vec::new();
    for file in files {
        let Some(path) = shared(&format!("lines/{file}.ndjson")) else {
            return;
        };
        let seen = each_call(&std::fs::read(path).unwrap(), |_, call, _| {
            own.extend(call.own_refusal.as_ref().map(|installation| installation.to_string()));
        });
        assert!(seen > 0, "{file}");
    }
    own.sort();
    assert_eq!(own, ["1", "1", "1", "a1b2c3d4e5", "a1b2c3d4e5", "a1b2c3d4e5"]);
}

#[test]
fn lines_that_custom_fields_have_changed_are_read_as_far_as_they_go() {
    let Some(path) = shared("lines/custom-fields.ndjson") else {
        return;
    };
    let normaliser = normaliser();
    let mut scratch = Scratch::default();
    let (mut without_request, mut forged) = (0, 0);
    for record in records([&std::fs::read(path).unwrap()[..]]) {
        let oracle: Value = serde_json::from_slice(&record).unwrap();
        let call = normaliser.normalise(&record, Some(NOW_MS), &mut scratch).unwrap();
        assert_eq!(u64::from(call.status), oracle["response"]["status"].as_u64().unwrap());
        let proxied = oracle["latencies"]["proxy"].as_i64() >= Some(0);
        assert_eq!(call.was_proxied(), proxied, "{oracle}");
        without_request += usize::from(!oracle["request"].is_object() && call.path.is_empty());
        forged += usize::from(call.clock == ClockCheck::Missing);
    }
    assert_eq!((without_request, forged), (2, 2));
}

#[test]
fn http_log_bodies_are_the_same_lines() {
    let Some(path) = shared("lines/httplog-requests.jsonl") else {
        return;
    };
    let normaliser = normaliser();
    let mut scratch = Scratch::default();
    let mut read = 0;
    for post in std::fs::read_to_string(path).unwrap().lines() {
        let post: Value = serde_json::from_str(post).unwrap();
        let Some(body) = post["body"].as_str() else {
            continue;
        };
        let oracle: Value = serde_json::from_str(body).unwrap();
        let lines: Vec<_> = outrider_collect::body_records(body.as_bytes(), 256 * 1024).collect();
        assert_eq!(lines.len(), oracle.as_array().map_or(1, Vec::len));
        for line in lines {
            let Content::Record(line) = line else { panic!("{line:?}") };
            normaliser.normalise(line, Some(NOW_MS), &mut scratch).unwrap();
            read += 1;
        }
    }
    assert!(read > 300, "{read}");
}
