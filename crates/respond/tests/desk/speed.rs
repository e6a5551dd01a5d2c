//! What a call costs. The figures are printed (`--no-capture`); the bounds only catch a change of kind.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;

use outrider_model::{ActionReport, ActionScope, Command, Duration, ReportedState, Response};
use outrider_respond::desk::{Desk, GuardRails, Settings};

use crate::world::{INSTALLATION, START_MS, call, command, consumer, finding, refused};

fn desk() -> Desk {
    let rails = GuardRails { never_block: vec!["vip".to_owned(), "tag:gold".to_owned()], ..GuardRails::default() };
    let mut desk = Desk::new(INSTALLATION, Settings { guard_rails: rails, ..Settings::default() }).unwrap();
    desk.advance(START_MS);
    for name in ["alice", "carol"] {
        let act = Command::Act {
            alert: None,
            target: consumer(name),
            scope: ActionScope::Consumer,
            response: Response::default(),
            duration: Duration::Permanent,
            reason: "because".to_owned(),
        };
        desk.on_command(&command(name.len(), name, START_MS, act)).unwrap();
    }
    let ids: Vec<_> = desk.actions().map(|action| action.id).collect();
    for action in ids {
        let state = ReportedState::Stored { plugin_id: "p".to_owned(), not_covered: Vec::new() };
        desk.on_report(&ActionReport { action, at_ms: START_MS, state });
    }
    desk
}

#[test]
fn a_call_costs_little() {
    let names: Vec<String> = (0..100_000).map(|number| format!("consumer-{number:032}")).collect();
    // Eight consumers make nine of ten calls; the others pass by, each from an address of its own.
    let skewed: Vec<_> = (0..100_000usize)
        .map(|number| {
            let name = &names[if number % 10 == 0 { number } else { number % 8 }];
            let mut call = call(name, name, START_MS);
            call.client_ip = Some(Ipv4Addr::from((number as u32 % 50_000).wrapping_mul(2_654_435_761)).into());
            call
        })
        .collect();
    let passing: Vec<_> = names.iter().map(|name| call(name, name, START_MS)).collect();
    let blocked: Vec<_> =
        (0..100_000).map(|_| refused(call("alice", "id-alice", START_MS), Some(INSTALLATION))).collect();
    for (name, calls, most_ns) in
        [("skewed", &skewed, 1000), ("passing by", &passing, 2000), ("blocked", &blocked, 1000)]
    {
        let mut desk = desk();
        let mut best_ns = u128::MAX;
        for round in 0..5 {
            desk.advance(START_MS + round * 60_000);
            let start = Instant::now();
            for call in calls {
                desk.on_call(black_box(call));
            }
            best_ns = best_ns.min(start.elapsed().as_nanos() / calls.len() as u128);
        }
        println!("on_call, {name}: {best_ns} ns");
        assert!(best_ns < most_ns, "on_call, {name}: {best_ns} ns");
    }
}

#[test]
fn the_rest_costs_little() {
    let mut desk = desk();
    let start = Instant::now();
    for number in 0..10_000i64 {
        desk.on_finding(finding(&format!("consumer-{}", number % 4000), "spike", START_MS + number, number));
        black_box(desk.drain_effects());
    }
    println!("on_finding and drain_effects: {} ns", start.elapsed().as_nanos() / 10_000);
    let start = Instant::now();
    for number in 0..1_000_000i64 {
        desk.advance(START_MS + 10_000 + number / 100);
    }
    println!("advance: {} ns", start.elapsed().as_nanos() / 1_000_000);
    let start = Instant::now();
    let bytes = desk.snapshot().unwrap();
    println!("snapshot of 4000 alerts: {} KB in {} ms", bytes.len() / 1024, start.elapsed().as_millis());
    let start = Instant::now();
    black_box(Desk::restore(&bytes).unwrap());
    println!("restore: {} ms", start.elapsed().as_millis());
}
