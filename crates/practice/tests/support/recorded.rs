//! The recorded Admin API exchanges, ready to be sent again.

use std::path::Path;

use serde_json::Value;

/// One recorded exchange.
pub struct Recorded {
    pub number: u64,
    pub name: String,
    pub method: String,
    pub path: String,
    pub content_type: Option<String>,
    pub status: u16,
    pub answer: Value,
    pub answer_type: Option<String>,
    body: Value,
}

impl Recorded {
    /// What is sent. A new entity gets the id it had when it was recorded, so that order and references come out alike.
    pub fn body(&self) -> String {
        let id = self.answer.get("id").filter(|_| self.method == "POST" && self.status == 201);
        match (&self.body, id) {
            (Value::Null, _) => String::new(),
            (Value::String(form), Some(id)) => format!("{form}&id={}", id.as_str().expect("an id")),
            (Value::String(raw), None) => raw.clone(),
            (document, Some(id)) => {
                let mut document = document.clone();
                document["id"] = id.clone();
                document.to_string()
            }
            (document, None) => document.to_string(),
        }
    }
}

/// All exchanges of a directory, in their order.
pub fn read(directory: &Path) -> Vec<Recorded> {
    let index = std::fs::read_to_string(directory.join("index.jsonl")).expect("an index");
    index.lines().map(|line| read_one(directory, line)).collect()
}

fn read_one(directory: &Path, line: &str) -> Recorded {
    let entry: Value = serde_json::from_str(line).expect("an entry");
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let number = entry["n"].as_u64().expect("a number");
    let file = directory.join(format!("{number:03}-{}.http", text("name")));
    let file = String::from_utf8_lossy(&std::fs::read(file).expect("an exchange")).into_owned();
    let (request, response) = file.split_once("<<< RESPONSE").expect("both halves");
    let content_type = |half: &str| {
        let head = half.trim_start().split("\r\n\r\n").next().unwrap_or_default();
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-type:"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    Recorded {
        number,
        name: text("name"),
        method: text("method"),
        path: text("path"),
        content_type: content_type(request),
        body: entry["req_body"].clone(),
        status: u16::try_from(entry["status"].as_u64().expect("a status")).expect("a status"),
        answer: entry["body"].clone(),
        answer_type: content_type(response),
    }
}
