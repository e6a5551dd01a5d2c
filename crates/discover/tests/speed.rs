//! How long a call takes on learned paths. A figure to read, with a ceiling that only a blunder would cross.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use std::time::{Duration, Instant};

use outrider_discover::{Catalogue, Settings};
use outrider_model::ApiCall;
use support::{Line, json_lines, kong_line, shared};

const ROUNDS: usize = 20;

/// The fastest of some rounds over calls that were learned before, per call.
fn per_call(catalogue: &mut Catalogue, calls: &[ApiCall<'_>]) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for call in calls {
            std::hint::black_box(catalogue.assign(call));
        }
        best = best.min(started.elapsed());
    }
    best / calls.len() as u32
}

#[test]
fn a_call_on_a_learned_path_is_quick() {
    let lines: Vec<Line> = (0..10_000u64)
        .map(|at| Line::get(&format!("/api/v1/customers/{}/orders/{}/items", at % 997, at % 4999), at % 50, 1))
        .collect();
    let calls: Vec<ApiCall<'_>> = lines.iter().map(Line::call).collect();
    let mut catalogue = Catalogue::new(Settings::default());
    let took = per_call(&mut catalogue, &calls);
    println!("one endpoint of 7 segments: {took:?} a call");
    assert!(took < Duration::from_micros(5), "{took:?}");

    let Some(events) = shared("data/discovery/events.jsonl.gz") else { return };
    let lines: Vec<Line> = json_lines(&events).map(|line| kong_line(&line)).collect();
    let mut catalogue = Catalogue::new(Settings::default());
    let mut now_ms = i64::MIN;
    for line in &lines {
        now_ms = now_ms.max(line.at_ms);
        catalogue.advance(now_ms);
        catalogue.assign(&line.call());
    }
    catalogue.advance(now_ms + 60_000);
    // Few enough calls to stay in the cache, as a call that was just decoded does.
    let calls: Vec<ApiCall<'_>> = lines.iter().step_by(37).map(Line::call).collect();
    let took = per_call(&mut catalogue, &calls);
    let bytes = catalogue.snapshot().len();
    println!(
        "{} endpoints of 27 APIs: {took:?} a call; {} KiB in memory, {} KiB as snapshot",
        catalogue.endpoints().count(),
        catalogue.memory_bytes() / 1024,
        bytes / 1024
    );
    assert!(took < Duration::from_micros(5), "{took:?}");
}
