//! Personal values and secrets in lines, good ones and bad, and in what is refused: none is in any file that a process writes,
//! in what it logs at its most talkative, in its metrics, or in an answer.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Outrider, free_port, now_ms, wait_for};
use crate::services::Site;
use values::{Kind, Planted, Random, planted};

#[path = "../../../collect/tests/planted/values.rs"]
#[expect(dead_code, reason = "what only looks like such a value is of another test")]
mod values;

/// So many values of each kind.
const ROUNDS: usize = 10;
/// A shorter value may stand by chance in times and ids.
const TELLING_BYTES: usize = 10;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What a test looks through, with the name of the place.
pub type Places = Vec<(String, Vec<u8>)>;

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn all_values() -> Vec<(Kind, Planted)> {
    let mut random = Random::new(0x6f75_7472_6964_6572);
    let kinds = (0..ROUNDS).flat_map(|_| Kind::ALL);
    kinds.map(|kind| (kind, planted(kind, &mut random))).collect()
}

/// A line that has the value wherever a client can put it.
fn line(number: usize, kind: Kind, value: &Planted) -> String {
    let (name, text, escaped) = (kind.name(), &value.text, percent(&value.text));
    // In a path no name stands right before a password.
    let segment = if kind == Kind::Password { "me" } else { &escaped };
    json!({
        "request": {
            "id": format!("r{number}"), "method": "GET", "uri": format!("/{name}/{segment}?{name}={escaped}"),
            "headers": {
                "host": "api.example", "x-note": format!("{name}: {text}"), "authorization": format!("Bearer {text}"),
                "cookie": format!("sid={escaped}; theme=dark"), "referer": format!("https://x.example/?{name}={escaped}"),
            },
        },
        "response": {"status": 200, "headers": {"location": format!("/a?{name}={escaped}")}},
        "latencies": {"request": 3, "kong": 1, "proxy": 2},
        "client_ip": "198.51.100.7", "started_at": now_ms(), "service": {"id": "s", "name": "users"},
    })
    .to_string()
}

/// Good lines, and the same without their ends.
fn lines(values: &[(Kind, Planted)]) -> Vec<String> {
    let good: Vec<_> = values.iter().enumerate().map(|(at, (kind, value))| line(at, *kind, value)).collect();
    let torn = good.iter().map(|line| line[..line.len() - 3].to_owned());
    good.iter().cloned().chain(torn).collect()
}

fn assert_nowhere(values: &[(Kind, Planted)], places: &Places) {
    let forms = values.iter().flat_map(|(_, value)| [value.text.clone(), value.core.clone(), percent(&value.text)]);
    let needles: Vec<_> = forms.filter(|text| text.len() >= TELLING_BYTES).map(|text| text.to_lowercase()).collect();
    assert!(needles.len() > 2 * values.len());
    for (place, bytes) in places {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for needle in &needles {
            assert!(!text.contains(needle), "`{needle}` is in {place}");
        }
    }
}

pub fn files_below(directory: &Path, places: &mut Places) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, places);
        } else if path.is_file() {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

fn fetch(request: reqwest::RequestBuilder) -> (u16, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    })
}

#[test]
fn nothing_planted_is_in_what_an_installation_keeps_and_says() {
    let directory = tempfile::tempdir().unwrap();
    let (metrics, data) = (free_port(), directory.path().join("data"));
    let toml = format!(
        "data_dir = '{}'\n[api]\nlisten = '127.0.0.1:0'\n[lake]\ncommit_interval_ms = 300\n[metrics]\nlisten = '127.0.0.1:{metrics}'\n\
         [[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'kong'\nlisten = '127.0.0.1:0'\nsession = {{ cookie = 'sid' }}\n\
         [[collector.sources]]\nkind = 'kong_http_log'\ngateway = 'kong'\nlisten = '127.0.0.1:0'\nsecret_file = 'secret'\n",
        data.display()
    );
    write_secret(&directory.path().join("secret"));
    let talkative = [("OUTRIDER_LOG", "debug,outrider=trace,hyper=trace,reqwest=trace")];
    let outrider = Outrider::start_with("run", directory.path(), &toml, &talkative);
    let values = all_values();
    let lines = lines(&values);
    outrider.send(&lines);
    outrider.await_calls(values.len() as u64);
    let (http, client) = (format!("http://{}/", outrider.sources[1]), reqwest::Client::new());
    let mut places = Places::new();
    for (at, (_, value)) in values.iter().enumerate().take(Kind::ALL.len()) {
        let text = value.text.replace('\n', " ");
        for (what, expected, request) in [
            ("a wrong secret", 401, client.post(&http).bearer_auth(&text).body(lines[at].clone())),
            (
                "no gzip",
                400,
                client.post(&http).bearer_auth(SECRET).header("content-encoding", "gzip").body(text.clone()),
            ),
            ("a page", 405, client.get(format!("{http}?q={}", percent(&text)))),
            ("no line", 200, client.post(&http).bearer_auth(SECRET).body(lines[values.len() + at].clone())),
            ("a wrong token", 401, client.get(format!("{}/api/v1/status", outrider.api)).bearer_auth(&text)),
        ] {
            let (status, answer) = fetch(request);
            assert_eq!(status, expected, "{what}: {}", String::from_utf8_lossy(&answer));
            places.push((format!("the answer to {what}"), answer));
        }
    }
    places.push(("metrics".to_owned(), fetch(client.get(format!("http://127.0.0.1:{metrics}/metrics"))).1));
    for path in ["status", "endpoints", "alerts", "notices", "audit"] {
        places.push((path.to_owned(), outrider.get(&format!("/api/v1/{path}")).to_string().into_bytes()));
    }
    let asked = |statement: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        let output =
            command.args(["query", "--format", "json", "--data-dir"]).arg(&data).arg(statement).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    // What a data file has is packed, so its rows are read.
    let rows = wait_for("all calls in the lake", || {
        let rows = asked("SELECT * FROM events");
        (lines_in(&rows) >= values.len()).then_some(rows)
    });
    places.push(("events".to_owned(), rows));
    places.push(("timeline".to_owned(), asked("SELECT * FROM timeline")));
    let said = outrider.stop().join("\n");
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "the log is not talkative: {said}");
    places.push(("its log".to_owned(), said.into_bytes()));
    files_below(directory.path(), &mut places);
    assert!(places.iter().any(|(place, _)| place.contains("/log/")));
    assert_nowhere(&values, &places);
}

#[test]
fn nothing_planted_is_in_a_spool() {
    let site = Site::new();
    site.trust("ca");
    std::fs::write(site.path("collector.token"), "a token of nobody").unwrap();
    let collector = site.collector();
    let values = all_values();
    collector.send(&lines(&values));
    let spool = collector.data_dir.join("spool");
    let last = format!("r{}", values.len() - 1);
    wait_for("the last call in the spool", || {
        let mut places = Places::new();
        files_below(&spool, &mut places);
        let is_there = places.iter().any(|(_, bytes)| bytes.windows(last.len()).any(|part| part == last.as_bytes()));
        is_there.then_some(())
    });
    let data_dir = collector.data_dir.clone();
    let mut places = vec![("its log".to_owned(), collector.stop().join("\n").into_bytes())];
    files_below(&data_dir, &mut places);
    assert_nowhere(&values, &places);
}

fn write_secret(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, SECRET).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}
