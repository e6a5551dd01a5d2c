//! What a call costs the engine, and what a crowd costs in memory: `cargo bench -p outrider-detect`.
//!
//! A plain program that prints one line a measurement. Times are CPU time of the one thread, so that a busy machine
//! disturbs them little; making the calls is measured alone and taken off.

// A bench prints, and may panic.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Duration;

use outrider_detect::{Engine, Observed, Settings};
use outrider_model::{
    AnsweredBy, ApiCall, ClockCheck, Consumer, EndpointId, Enrichment, Exposure, Latency, Text, Trust,
};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

const START_MS: i64 = 1_772_409_600_000;
const ENDPOINTS: u64 = 200;

fn main() {
    for (name, consumers, calls_per_second) in [
        ("1,000 consumers", 1_000, 2_000),
        ("20,000 consumers", 20_000, 20_000),
        ("100,000 consumers", 100_000, 20_000),
    ] {
        per_call(name, consumers, calls_per_second, false);
    }
    per_call("100,000 addresses", 100_000, 20_000, true);
    everybody_unusual();
    crowd();
    epoch();
}

fn call<'a>(consumer: Option<&'a str>, address: u32) -> ApiCall<'a> {
    ApiCall {
        gateway: Text::from("kong"),
        workspace: Text::from("0dfbcbd1-1a2b-4c3d-8e9f-001122334455"),
        trust: Trust::Trusted,
        request_id: Text::EMPTY,
        received_ms: START_MS,
        started_ms: START_MS,
        event_ms: START_MS,
        clock: ClockCheck::AsReported,
        consumer: consumer.map(|id| Consumer {
            id: Text::from(id),
            username: Text::from(id),
            custom_id: Text::EMPTY,
            tags: Vec::new(),
        }),
        anonymous_consumer: false,
        credential_id: consumer.map(Text::from),
        presented_credential: None,
        session: None,
        client_ip: Some(address.to_be_bytes().into()),
        service: None,
        route: None,
        host: Text::from("api.example"),
        method: Text::from("GET"),
        path: Text::from("/orders/1"),
        query: Vec::new(),
        headers: Vec::new(),
        status: 200,
        answered_by: AnsweredBy::Upstream,
        own_refusal: None,
        request_bytes: 500,
        response_bytes: 1500,
        latency: Latency { total_ms: 20, gateway_ms: 1, upstream_ms: 19 },
        response_type: Text::EMPTY,
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    }
}

fn observe(
    engine: &mut Engine,
    call: &ApiCall<'_>,
    number: u64,
    endpoint: u64,
    findings: &mut Vec<outrider_model::Finding>,
) {
    engine.advance(call.received_ms, findings);
    let observed = Observed {
        call,
        number,
        endpoint: Some(EndpointId(endpoint.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)),
        endpoint_settled: true,
        endpoint_name: "GET /orders/{order_id}",
    };
    engine.observe(&observed, findings);
}

/// CPU time of this thread so far. Linux only, like the product; the kernel updates it at least every few milliseconds.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// Random actors, a few endpoints each; the profiles are warm.
fn per_call(name: &str, actors: usize, calls_per_second: i64, addresses: bool) {
    const CALLS: usize = 1_000_000;
    let ids: Vec<String> = (0..actors).map(|n| format!("9c2ff9cb-62a0-47e9-bf4a-{n:012x}")).collect();
    let mut random = Pcg64::seed_from_u64(1);
    let order: Vec<(usize, u64)> = (0..CALLS)
        .map(|_| {
            let actor = random.random_range(0..actors);
            (actor, (actor as u64 * 7 + random.random_range(0..5)) % ENDPOINTS)
        })
        .collect();
    let mut engine = Engine::new(Settings::default()).unwrap();
    let mut findings = Vec::new();
    let mut now_ms = START_MS;
    let mut round = |engine: Option<&mut Engine>| {
        let begun = cpu_time();
        let mut engine = engine;
        for (number, &(actor, endpoint)) in order.iter().enumerate() {
            let id = if addresses { None } else { Some(ids[actor].as_str()) };
            let mut call = call(id, 0x0a00_0000 + actor as u32);
            now_ms +=
                i64::from((number as i64 * 1000 / calls_per_second) != (number as i64 - 1) * 1000 / calls_per_second);
            call.received_ms = now_ms;
            call.event_ms = now_ms;
            match engine.as_deref_mut() {
                Some(engine) => observe(engine, &call, number as u64, endpoint, &mut findings),
                None => drop(std::hint::black_box(&call)),
            }
        }
        (cpu_time() - begun).as_nanos() as f64 / CALLS as f64
    };
    let mut best = f64::MAX;
    for _ in 0..6 {
        best = best.min(round(Some(&mut engine)));
    }
    let making = (0..3).map(|_| round(None)).fold(f64::MAX, f64::min);
    let status = engine.status().remove(0);
    let profiles = status.counters.iter().find(|counter| counter.name == "profiles").unwrap().value;
    println!(
        "{name:>20}: {:6.1} ns a call with the closing of minutes, {profiles} profiles, {:.1} bytes a profile, {} findings",
        best - making,
        status.memory_bytes as f64 / profiles as f64,
        findings.len()
    );
}

/// The worst case: everybody is far above everything that was ever seen, so everybody is watched.
fn everybody_unusual() {
    let ids: Vec<String> = (0..2000).map(|n| format!("consumer-{n}")).collect();
    let mut engine = Engine::new(Settings::default()).unwrap();
    let mut findings = Vec::new();
    let mut number = 0;
    let mut one = |engine: &mut Engine, id: &str, at_ms: i64, findings: &mut Vec<_>| {
        let mut call = call(Some(id), 0);
        call.received_ms = at_ms;
        call.event_ms = at_ms;
        number += 1;
        observe(engine, &call, number, 1, findings);
    };
    for minute in 0..30 {
        for id in &ids {
            one(&mut engine, id, START_MS + minute * 60_000, &mut findings);
        }
    }
    let begun = cpu_time();
    const ROUNDS: i64 = 500;
    for round in 0..ROUNDS {
        for id in &ids {
            one(&mut engine, id, START_MS + 30 * 60_000 + round * 100, &mut findings);
        }
    }
    let each = (cpu_time() - begun).as_nanos() as f64 / (ROUNDS as f64 * ids.len() as f64);
    println!(
        "{:>20}: {each:6.1} ns a call while all 2,000 of 2,000 are watched, {} findings",
        "mass growth",
        findings.len()
    );
}

/// 1 million consumers and 5 million addresses pass by, each with a call; memory must stay where its limit is.
fn crowd() {
    let mut engine = Engine::new(Settings::default()).unwrap();
    let mut findings = Vec::new();
    let (mut largest, mut now_ms) = (0, START_MS);
    let begun = cpu_time();
    for number in 0..6_000_000u32 {
        now_ms += i64::from(number % 10 == 0);
        let id = format!("consumer-{number}");
        let mut call = call((number % 6 == 0).then_some(id.as_str()), 0x0a00_0000 + number);
        call.received_ms = now_ms;
        call.event_ms = now_ms;
        observe(&mut engine, &call, u64::from(number), u64::from(number % 500), &mut findings);
        if number % 1000 == 0 {
            largest = largest.max(engine.memory_bytes());
        }
    }
    let each = (cpu_time() - begun).as_nanos() as f64 / 6_000_000.0;
    println!(
        "{:>20}: {each:6.1} ns a call, making it included; at most {:.1} MB of state, {} findings",
        "6 million strangers",
        largest as f64 / 1e6,
        findings.len()
    );
}

/// How long the end of a minute takes with 200,000 profiles that were active in it, and what a snapshot takes.
fn epoch() {
    let mut engine = Engine::new(Settings::default()).unwrap();
    let mut findings = Vec::new();
    let mut slowest = Duration::ZERO;
    for minute in 0..5 {
        for actor in 0..100_000u32 {
            let mut call = call(None, 0x0a00_0000 + actor);
            call.received_ms = START_MS + minute * 60_000 + 30_000;
            call.event_ms = call.received_ms;
            observe(&mut engine, &call, 1, u64::from(actor % 500), &mut findings);
        }
        let begun = cpu_time();
        engine.advance(START_MS + (minute + 1) * 60_000, &mut findings);
        slowest = slowest.max(cpu_time() - begun);
    }
    println!("{:>20}: {:6.1} ms with 200,000 active profiles", "end of a minute", slowest.as_secs_f64() * 1e3);
    let begun = cpu_time();
    let bytes = engine.snapshot();
    let written = cpu_time() - begun;
    let begun = cpu_time();
    Engine::restore(Settings::default(), &bytes).unwrap();
    println!(
        "{:>20}: {:6.1} MB of 200,000 profiles, written in {:.0} ms, restored in {:.0} ms",
        "snapshot",
        bytes.len() as f64 / 1e6,
        written.as_secs_f64() * 1e3,
        (cpu_time() - begun).as_secs_f64() * 1e3
    );
}
