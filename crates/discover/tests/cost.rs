//! What a call costs once its endpoint is known.
//!
//! `cargo test --release -p outrider-discover --test cost -- --ignored --nocapture` prints calls by second of processor time.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

mod support;

use outrider_discover::inventory::{self, Inventory};
use outrider_discover::{Catalogue, Settings};
use support::{json_lines, kong_line, shared};

/// How many times each is measured, in turn.
const ROUNDS: usize = 7;

/// Processor time of this thread so far, in nanoseconds.
fn cpu_ns() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "it prints times"]
fn of_a_known_endpoint() {
    let Some(path) = shared("data/discovery/events.jsonl.gz") else { return };
    let lines: Vec<_> = json_lines(&path).map(|line| kong_line(&line)).collect();
    let calls: Vec<_> = lines.iter().map(|line| line.call()).collect();
    let mut catalogue = Catalogue::new(Settings::default());
    let mut inventory = Inventory::new(inventory::Settings::default());
    for call in calls.iter().chain(&calls) {
        catalogue.advance(call.event_ms);
        catalogue.assign(call);
    }
    let per_call = |from_ns: u64, to_ns: u64| (to_ns - from_ns) as f64 / calls.len() as f64;
    for round in 0..ROUNDS {
        let began_ns = cpu_ns();
        let assignments: Vec<_> = calls.iter().map(|call| catalogue.assign(call)).collect();
        let assigned_ns = cpu_ns();
        for (call, assignment) in calls.iter().zip(&assignments) {
            if let Some(endpoint) = catalogue.assigned(assignment) {
                inventory.observe(call, endpoint.id, &endpoint.key.template, None);
            }
        }
        let (assign, observe) = (per_call(began_ns, assigned_ns), per_call(assigned_ns, cpu_ns()));
        println!("round {round}: assign {assign:.0} ns, observe {observe:.0} ns a call");
    }
}
