//! The contract of every detector: attacks are found, what looks alike is not, and nothing but the calls decides.

// A test may panic, its helpers too.
#![allow(clippy::unwrap_used)]

mod support;

use outrider_detect::{Descriptor, Engine, Settings};
use outrider_model::Finding;
use support::{Case, Happening, START_MS, cases_of, duration_ms, feed, finish, lines, run, shown};

fn descriptors() -> Vec<&'static Descriptor> {
    Engine::new(Settings::default()).unwrap().descriptors()
}

/// Runs a check over every case of every detector; a failure names the case.
fn every_case(check: impl Fn(&Case, &[Finding])) {
    for descriptor in descriptors() {
        for case in cases_of(descriptor.name) {
            let mut findings = run(&Settings::default(), &case.calls);
            findings.retain(|finding| finding.detector == descriptor.name);
            check(&case, &findings);
        }
    }
}

#[test]
fn attacks_are_found_as_expected_and_nothing_else_is() {
    let mut failures = String::new();
    for descriptor in descriptors() {
        for case in cases_of(descriptor.name) {
            let findings = run(&Settings::default(), &case.calls);
            let wrong = if case.is_attack { mismatches(&case, &findings) } else { alarms(&findings) };
            if !wrong.is_empty() {
                failures += &format!("{}: {wrong}\n{}", case.name, shown(&findings[..findings.len().min(12)]));
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

fn alarms(findings: &[Finding]) -> String {
    if findings.is_empty() { String::new() } else { format!("{} findings in a benign case", findings.len()) }
}

fn mismatches(case: &Case, findings: &[Finding]) -> String {
    let mut wrong = String::new();
    let mut explained = 0;
    for expected in &case.expected {
        let endpoint = expected.endpoint.clone().unwrap_or_default();
        let same = |finding: &&Finding| {
            finding.entity.display_name() == expected.entity
                && finding.endpoint_name == endpoint
                && finding.target.untrusted == expected.untrusted
        };
        let found: Vec<&Finding> = findings.iter().filter(same).collect();
        explained += found.len();
        let [least, most] = expected.findings;
        if found.len() < least || found.len() > most {
            wrong += &format!("{} findings of {} {endpoint}; ", found.len(), expected.entity);
        }
        let Some(first) = found.first() else { continue };
        let delay_s = (first.event_ms - START_MS - duration_ms(&expected.at)) as f64 / 1000.0;
        if !(0.0..=expected.within_s).contains(&delay_s) {
            wrong += &format!("{} found after {delay_s} s; ", expected.entity);
        }
        if first.severity != expected.severity {
            wrong += &format!("{} has severity {:?}; ", expected.entity, first.severity);
        }
        if first.sentence != expected.sentence {
            wrong += &format!("{} is explained by: {}; ", expected.entity, first.sentence);
        }
    }
    if explained != findings.len() {
        wrong += &format!("{} findings are not expected; ", findings.len() - explained);
    }
    if case.expected.is_empty() { "an attack without expectations".to_owned() } else { wrong }
}

#[test]
fn every_detector_has_enough_cases_and_they_say_why_they_exist() {
    for descriptor in descriptors() {
        let cases = cases_of(descriptor.name);
        let attacks = cases.iter().filter(|case| case.is_attack).count();
        assert!(attacks >= 2 && cases.len() - attacks >= 2, "{} has too few cases", descriptor.name);
        for case in cases {
            assert!(case.head.why.len() > 30 && case.head.from.len() > 5, "{} must say why it exists", case.name);
        }
    }
}

#[test]
fn every_finding_can_be_checked() {
    every_case(|case, findings| {
        let mut ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), findings.len(), "{}: ids are not unique", case.name);
        for finding in findings {
            let observation = &finding.observation;
            assert!(observation.observed >= observation.threshold, "{}: {finding:?}", case.name);
            assert!(observation.threshold > observation.expected, "{}: {finding:?}", case.name);
            assert!((1..=10).contains(&finding.samples.len()), "{}: {finding:?}", case.name);
            assert!(finding.samples.is_sorted_by_key(|sample| sample.event_ms), "{}: {finding:?}", case.name);
            assert_eq!(
                (finding.outcome.succeeded + finding.outcome.failed) as f64,
                observation.observed,
                "{}: {finding:?}",
                case.name
            );
            assert!(finding.sentence.contains(finding.entity.display_name()), "{}", case.name);
            assert!(!finding.basis.is_empty() && finding.query.starts_with("SELECT "), "{}: {finding:?}", case.name);
            let completing = &case.calls[finding.call_number as usize - 1].call;
            assert_eq!(completing.event_ms, finding.event_ms, "{}: {finding:?}", case.name);
        }
    });
}

/// The query's meaning, done by hand over the case's calls.
#[test]
fn the_observed_number_is_that_of_the_query() {
    every_case(|case, findings| {
        for finding in findings {
            let end_ms = finding.window_start_ms + finding.window_ms;
            let counts = |happening: &&Happening| {
                let call = &happening.call;
                let actor = call.actor().map(|actor| actor.entity(call).to_key());
                actor.as_ref().map(|key| &key.value) == Some(&finding.entity.value)
                    && finding.endpoint.is_none_or(|endpoint| endpoint == happening.endpoint)
                    && (finding.window_start_ms..end_ms).contains(&call.event_ms)
                    && (call.trust == outrider_model::Trust::Untrusted) == finding.target.untrusted
                    && call.own_refusal.is_none()
                    && !(call.answered_by == outrider_model::AnsweredBy::Gateway && call.status >= 400)
            };
            let counted = case.calls.iter().filter(counts).count() as f64;
            // Calls of the completing call's own millisecond that came after it are in the query's answer, too.
            assert!(
                counted >= finding.observation.observed && counted <= finding.observation.observed + 5.0,
                "{}: the query counts {counted}: {finding:?}",
                case.name
            );
        }
    });
}

#[test]
fn a_replay_is_identical_and_neither_ticks_nor_batches_matter() {
    for descriptor in descriptors() {
        for case in cases_of(descriptor.name) {
            let wanted = lines(&run(&Settings::default(), &case.calls));
            assert_eq!(lines(&run(&Settings::default(), &case.calls)), wanted, "{}: replayed", case.name);

            let mut engine = Engine::new(Settings::default()).unwrap();
            let (mut findings, mut batch, mut ticked_ms) = (Vec::new(), Vec::new(), i64::MAX);
            for (index, happening) in case.calls.iter().enumerate() {
                let now_ms = happening.call.received_ms;
                while ticked_ms < now_ms {
                    engine.advance(ticked_ms, &mut batch);
                    ticked_ms += 1000;
                }
                ticked_ms = ticked_ms.min(now_ms + 1000);
                engine.advance(now_ms, &mut batch);
                engine.advance(now_ms - 5000, &mut batch);
                engine.observe(&happening.observed(index as u64 + 1), &mut batch);
                if index % 97 == 0 {
                    findings.append(&mut batch);
                }
            }
            findings.append(&mut batch);
            finish(&mut engine, &case.calls, &mut findings);
            assert_eq!(lines(&findings), wanted, "{}: with ticks and in batches", case.name);
        }
    }
}

#[test]
fn a_restart_at_any_point_changes_nothing() {
    for descriptor in descriptors() {
        for case in cases_of(descriptor.name) {
            let wanted = lines(&run(&Settings::default(), &case.calls));
            let mut engine = Engine::new(Settings::default()).unwrap();
            let mut findings = Vec::new();
            // Thirty parts of unequal length, so that the cuts are within minutes and within spikes.
            let part = case.calls.len() / 30 + 1;
            for (index, calls) in case.calls.chunks(part).enumerate() {
                let bytes = engine.snapshot();
                let restored = Engine::restore(Settings::default(), &bytes).unwrap();
                assert!(restored.snapshot() == bytes, "{}: a snapshot restored is not the same", case.name);
                engine = restored;
                feed(&mut engine, calls, (index * part) as u64 + 1, &mut findings);
            }
            finish(&mut engine, &case.calls, &mut findings);
            assert_eq!(lines(&findings), wanted, "{}", case.name);
        }
    }
}

#[test]
fn a_damaged_snapshot_is_refused_and_never_a_panic() {
    for descriptor in descriptors() {
        let case = cases_of(descriptor.name).into_iter().find(|case| case.is_attack).unwrap();
        let mut engine = Engine::new(Settings::default()).unwrap();
        feed(&mut engine, &case.calls[..case.calls.len().min(20_000)], 1, &mut Vec::new());
        let bytes = engine.snapshot();
        assert!(Engine::restore(Settings::default(), &[]).is_err());
        for cut in (0..bytes.len()).step_by(bytes.len() / 200 + 1) {
            assert!(Engine::restore(Settings::default(), &bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in (0..bytes.len()).step_by(bytes.len() / 500 + 1) {
            let mut other = bytes.clone();
            other[at] ^= 0x55;
            // It may still be readable, then it must be usable.
            if let Ok(mut engine) = Engine::restore(Settings::default(), &other) {
                feed(&mut engine, &case.calls[..100], 1, &mut Vec::new());
            }
        }
    }
}

#[test]
fn memory_stays_within_its_budget_while_crowds_pass_by_and_old_keys_are_forgotten() {
    const PROFILES: u32 = 20_000;
    let mut settings = Settings::default();
    settings.request_spike.keys_max = PROFILES;
    let mut engine = Engine::new(settings).unwrap();
    let mut findings = Vec::new();
    let template = support::parse(
        "crowd",
        "{\"why\":\"\",\"from\":\"\"}\n{\"address\":\"10.0.0.1\",\"GET\":\"/shop\",\"every_ms\":1,\"times\":1}",
    )
    .1
    .remove(0);
    let mut largest = 0;
    let mut now_ms = START_MS;
    // 600,000 addresses and 200,000 consumers come by, five at a time, over some hours.
    for number in 0..800_000u32 {
        let mut happening = template.clone();
        now_ms += i64::from(number % 5 == 0) * 100;
        happening.call.received_ms = now_ms;
        happening.call.event_ms = now_ms;
        happening.call.client_ip = Some(std::net::IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
        let id = format!("consumer-{number}");
        if number % 4 == 0 {
            happening.call.credential_id = Some(id.clone().into());
            happening.call.consumer = Some(outrider_model::Consumer {
                id: id.clone().into(),
                username: id.into(),
                custom_id: "".into(),
                tags: Vec::new(),
            });
        }
        engine.advance(now_ms, &mut findings);
        engine.observe(&happening.observed(u64::from(number)), &mut findings);
        largest = largest.max(engine.memory_bytes());
    }
    assert!(findings.is_empty());
    // 64 bytes of state, 11 of index at the least favourable size, and the lists of two open minutes.
    let budget = PROFILES as usize * 110 + 200_000;
    assert!(largest <= budget, "{largest} bytes against {budget}");
    let counter = |engine: &Engine, name: &str| {
        engine.status()[0].counters.iter().find(|counter| counter.name == name).unwrap().value
    };
    assert_eq!(counter(&engine, "profiles"), u64::from(PROFILES));
    assert!(counter(&engine, "profiles_evicted") > 1_500_000);
    // A month and a day later nobody has come back.
    engine.advance(now_ms + 32 * 86_400_000, &mut findings);
    assert_eq!(counter(&engine, "profiles"), 0);
    assert_eq!(counter(&engine, "profiles_forgotten"), u64::from(PROFILES));
}

#[test]
fn every_page_is_complete() {
    const HEADINGS: [&str; 7] = [
        "## What it detects",
        "## Why it matters",
        "## Signals",
        "## Settings",
        "## False positives",
        "## Response",
        "## References",
    ];
    let settings = serde_json::to_value(Settings::default()).unwrap();
    for descriptor in descriptors() {
        let page = descriptor.page;
        let mut at = 0;
        for heading in HEADINGS {
            let found = page[at..].find(heading);
            at += found.unwrap_or_else(|| panic!("{}: `{heading}` is missing or out of order", descriptor.name));
        }
        let section = &page[page.find("## Settings").unwrap()..page.find("## False positives").unwrap()];
        for (setting, value) in settings[descriptor.name].as_object().unwrap() {
            let row = section.lines().find(|line| line.starts_with(&format!("| `{setting}` |")));
            let row = row.unwrap_or_else(|| panic!("{}: setting `{setting}` has no row", descriptor.name));
            let number = value.to_string();
            let default = number.trim_end_matches(".0");
            assert!(row.contains(&format!("| {default} |")), "{}: default of `{setting}`: {row}", descriptor.name);
        }
    }
}
