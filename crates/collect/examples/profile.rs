//! Where the time of a line goes, stage by stage, against the bare reader: memchr framing and sonic-rs into a small borrowed
//! struct. Reads the file given, as often as it takes for a second per stage.
//!
//! ```sh
//! cargo run --release -p outrider-collect --example profile -- FILE.ndjson
//! ```
#![allow(clippy::print_stdout, missing_docs)]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use outrider_collect::{
    Content, LINE_BYTES_MAX_DEFAULT, LineFramer, Normaliser, NormaliserSettings, PseudonymKey, Scratch, lossless,
};
use outrider_model::batch::BatchWriter;
use serde::Deserialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What bare reads of a line.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Bare<'a> {
    #[serde(borrow)]
    request: BareRequest<'a>,
    response: BareResponse<'a>,
    latencies: BareLatencies,
    #[serde(borrow)]
    client_ip: Option<Wrapped<'a>>,
    started_at: i64,
    #[serde(borrow)]
    source: Option<Wrapped<'a>>,
    #[serde(borrow)]
    service: Option<BareNamed<'a>>,
    #[serde(borrow)]
    route: Option<BareNamed<'a>>,
    #[serde(borrow)]
    consumer: Option<BareConsumer<'a>>,
    #[serde(borrow)]
    authenticated_entity: Option<BareEntity<'a>>,
}

/// A text that borrows also inside an `Option`.
#[derive(Deserialize)]
#[allow(dead_code)]
#[serde(transparent)]
struct Wrapped<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareRequest<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    uri: Cow<'a, str>,
    size: u64,
    #[serde(borrow)]
    headers: BareRequestHeaders<'a>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareRequestHeaders<'a> {
    #[serde(borrow)]
    host: Option<Wrapped<'a>>,
    #[serde(borrow, rename = "user-agent")]
    user_agent: Option<Wrapped<'a>>,
    #[serde(borrow)]
    apikey: Option<Wrapped<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareResponse<'a> {
    status: u16,
    size: u64,
    #[serde(borrow)]
    headers: BareResponseHeaders<'a>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareResponseHeaders<'a> {
    #[serde(borrow, rename = "content-type")]
    content_type: Option<Wrapped<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareLatencies {
    request: i64,
    kong: i64,
    proxy: i64,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareNamed<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<Wrapped<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareConsumer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    username: Option<Wrapped<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct BareEntity<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

fn main() {
    let path = std::env::args().nth(1).expect("a file of log lines");
    let bytes = std::fs::read(path).expect("readable");
    // Bare knows no bytes that are not UTF-8, so it gets the lines it can read.
    let mut lines: Vec<u8> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if sonic_rs::from_slice::<Bare<'_>>(line).is_ok() {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
    }
    let normaliser =
        Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).expect("valid");
    let mut scratch = Scratch::default();
    let mut writer = BatchWriter::default();
    let count = lines.iter().filter(|byte| **byte == b'\n').count();
    println!("{count} lines, {:.0} bytes in the mean", lines.len() as f64 / count as f64);
    if std::env::var_os("ONLY_CALLS").is_some() {
        let calls = time(count, || {
            each(&lines, |line| {
                black_box(normaliser.normalise(line, Some(1_795_450_000_000), &mut scratch).is_ok());
            });
        });
        return println!("{calls:.2} µs");
    }
    for round in 0..3 {
        let bare = time(count, || {
            for end in memchr::memchr_iter(b'\n', &lines).scan(0, |start, end| {
                let line = &lines[*start..end];
                *start = end + 1;
                Some(line)
            }) {
                let _ = black_box(sonic_rs::from_slice::<Bare<'_>>(end));
            }
        });
        let framed = time(count, || {
            each(&lines, |line| {
                black_box(line);
            })
        });
        let text = time(count, || {
            each(&lines, |line| {
                black_box(lossless::to_text(line));
            })
        });
        let calls = time(count, || {
            each(&lines, |line| {
                black_box(normaliser.normalise(line, Some(1_795_450_000_000), &mut scratch).is_ok());
            })
        });
        let encoded = time(count, || {
            each(&lines, |line| {
                if let Ok(call) = normaliser.normalise(line, Some(1_795_450_000_000), &mut scratch) {
                    let _ = writer.push(&call);
                }
            });
            black_box(writer.take());
        });
        println!(
            "round {round}: bare {bare:.2} µs; frame {framed:.2}, +text {text:.2}, +decode, normalise, sanitise {calls:.2} \
             ({:.2}x bare), +encode {encoded:.2} ({:.2}x)",
            calls / bare,
            encoded / bare
        );
    }
}

fn each(lines: &[u8], mut take: impl FnMut(&[u8])) {
    let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
    for chunk in lines.chunks(64 * 1024) {
        framer.feed(chunk, |frame| {
            if let Content::Record(line) = frame.content {
                take(line);
            }
        });
    }
}

/// Microseconds a line, the best of several runs.
fn time(lines: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    let began = Instant::now();
    while began.elapsed().as_millis() < 1500 {
        let one = Instant::now();
        run();
        best = best.min(one.elapsed().as_secs_f64());
    }
    best * 1e6 / lines as f64
}
