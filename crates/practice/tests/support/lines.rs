//! The recorded calls and log lines.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// The recorded client exchanges whose case passes a filter.
pub fn recorded_calls(recordings: &Path, wanted: impl Fn(&str) -> bool) -> Vec<(String, String, String)> {
    let file = std::fs::read_to_string(recordings.join("lines/client_view.jsonl")).expect("client views");
    let calls = file.lines().map(|line| {
        let call: Value = serde_json::from_str(line).expect("a call");
        let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
        (text("case"), text("req"), text("resp"))
    });
    calls.filter(|(case, ..)| wanted(case)).collect()
}

/// The recorded lines of a file by case; the cases of one file are sent once each.
pub fn recorded_lines(recordings: &Path, file: &str) -> BTreeMap<String, Value> {
    let file = std::fs::read(recordings.join(file)).expect("lines");
    let lines = file.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let lines = lines.filter_map(|line| {
        let case = line.pointer("/request/headers/x-case")?.as_str()?.to_owned();
        Some((case, line))
    });
    lines.collect()
}

/// The request behind a log line. Headers that Kong added are left out; a hidden credential becomes some other one.
pub fn request_of(line: &Value) -> String {
    let request = &line["request"];
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let mut written = format!("{} {} HTTP/1.1\r\n", text("method"), text("uri"));
    let own = ["x-consumer-id", "x-consumer-username", "x-consumer-custom-id", "x-credential-identifier"];
    for (name, value) in request["headers"].as_object().expect("headers") {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values.iter().filter(|_| !own.contains(&name.as_str())) {
            let value = value.as_str().expect("a header").replace("REDACTED", "Basic eDp5");
            written.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let length = request["headers"]["content-length"].as_str().and_then(|length| length.parse().ok()).unwrap_or(0);
    written + "\r\n" + &"x".repeat(length)
}

/// All recorded lines of a case, in their order.
pub fn lines_of(recordings: &Path, case: &str) -> Vec<Value> {
    let file = std::fs::read(recordings.join("messages.ndjson")).expect("lines");
    let lines = file.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    lines.filter(|line| line.pointer("/request/headers/x-case").and_then(Value::as_str) == Some(case)).collect()
}
