//! Where the time of a line goes, stage by stage, against the bare reader: memchr framing and sonic-rs into a small borrowed
//! struct. Reads the file given, as often as it takes for a second per stage. With the name of a stage it goes through the file that
//! stage's way once and prints nothing, for what counts instructions:
//!
//! ```sh
//! cargo run --release -p outrider-collect --example profile -- FILE.ndjson
//! valgrind --tool=callgrind target/release/examples/profile FILE.ndjson all
//! ```
#![allow(clippy::print_stdout, missing_docs)]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use outrider_collect::{
    Content, FieldSettings, LINE_BYTES_MAX_DEFAULT, LineFramer, Normaliser, NormaliserSettings, PseudonymKey, Scratch,
    SessionCarrier, TrustedProxies,
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

/// When lines are said to be received.
const NOW_MS: i64 = 1_795_450_000_000;

/// What is done with each line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Bare alone.
    Bare,
    /// Its beginning and end found, as all that follow do.
    Frame,
    /// Decoded, normalised and sanitised.
    Call,
    /// With a session, proxies and a mapped field besides, as `outrider-bench collector` has them.
    Mapped,
    /// The same, and written to a batch.
    All,
}

impl Stage {
    const ALL: [(&'static str, Stage); 5] = [
        ("bare", Stage::Bare),
        ("frame", Stage::Frame),
        ("call", Stage::Call),
        ("mapped", Stage::Mapped),
        ("all", Stage::All),
    ];
}

fn main() {
    let path = std::env::args().nth(1).expect("a file of log lines");
    let only = std::env::args().nth(2);
    let lines = std::fs::read(path).expect("readable");
    if let Some(only) = only {
        let (_, stage) = Stage::ALL.into_iter().find(|(name, _)| *name == only).expect("a stage");
        return run(stage, &lines);
    }
    let count = lines.iter().filter(|byte| **byte == b'\n').count();
    println!(
        "{count} lines, {:.0} bytes in the mean; µs a line, and how many times bare",
        lines.len() as f64 / count as f64
    );
    for _ in 0..3 {
        let mut bare = 0.0;
        for (name, stage) in Stage::ALL {
            let took = time(count, || run(stage, &lines));
            bare = if stage == Stage::Bare { took } else { bare };
            print!("{name} {took:.2} {:.2}  ", took / bare);
        }
        println!();
    }
}

fn run(stage: Stage, lines: &[u8]) {
    let mut settings = NormaliserSettings::new("kong");
    if matches!(stage, Stage::Mapped | Stage::All) {
        settings.session = Some(SessionCarrier::Cookie("sid".to_owned()));
        let networks = vec!["10.0.0.0/8".parse().expect("a network")];
        settings.trusted_proxies = Some(TrustedProxies { networks, header: "x-forwarded-for".to_owned() });
        settings.fields =
            vec![FieldSettings { name: "host".to_owned(), value: "line.request.headers.host".to_owned() }];
    }
    let normaliser = Normaliser::new(settings, PseudonymKey::from_bytes(&[7; 32])).expect("valid");
    let mut scratch = Scratch::default();
    let mut writer = BatchWriter::default();
    if stage == Stage::Bare {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            let call: Bare<'_> = sonic_rs::from_slice(&lines[start..end]).expect("a line that bare can read");
            black_box(call);
            start = end + 1;
        }
        return;
    }
    each(lines, |line| {
        if stage == Stage::Frame {
            black_box(line);
            return;
        }
        let call = normaliser.normalise(line, Some(NOW_MS), &mut scratch);
        if stage == Stage::All {
            writer.push(&call.expect("a call")).expect("a call that can be written");
            if writer.calls() == CALLS_PER_BATCH {
                black_box(writer.take());
            }
        } else {
            black_box(call.is_ok());
        }
    });
}

/// As many as go together by default.
const CALLS_PER_BATCH: u32 = 1024;

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
