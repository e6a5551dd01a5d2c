//! How often it is right, in numbers: traffic that others recorded, and seeded crowds of very different actors with
//! sessions, days and bursts. What is printed belongs into a report; what is asserted must not get worse.

// A test may panic, its helpers too.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use outrider_detect::{Engine, Settings};
use outrider_model::Finding;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use support::{Happening, START_MS, feed, finish, parse, run, shown};

/// The call of an actor to an endpoint; times are filled in later.
fn template(actor: &str, template: &str) -> Happening {
    let head = r#"{"why":"","from":""}"#;
    let line = format!(r#"{{{actor},"GET":"{template}","every_ms":1,"times":1}}"#);
    parse("template", &format!("{head}\n{line}")).1.remove(0)
}

fn at(template: &Happening, event_ms: i64) -> Happening {
    let mut happening = template.clone();
    happening.call.event_ms = event_ms;
    happening.call.received_ms = event_ms;
    happening
}

/// Four days of a real web site's access log without any known attack: crawlers, page loads with dozens of images.
#[test]
fn a_recorded_web_site_is_silent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/behaviour/elastic_apache_logs");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: shared/data/behaviour/elastic_apache_logs is missing");
        return;
    };
    let mut calls: Vec<Happening> = text.lines().filter_map(apache_line).collect();
    assert!(calls.len() > 9_000, "{} lines were read", calls.len());
    calls.sort_by_key(|happening| happening.call.received_ms);
    let findings = run(&Settings::default(), &calls);
    println!("{} calls, {} findings\n{}", calls.len(), findings.len(), shown(&findings));
    assert!(findings.is_empty());
}

/// `ADDRESS - - [17/May/2015:10:05:03 +0000] "GET /path HTTP/1.1" 200 …`, with the path's first segment as endpoint.
fn apache_line(line: &str) -> Option<Happening> {
    let address = line.split(' ').next()?;
    address.parse::<std::net::IpAddr>().ok()?;
    let time = line.split_once('[')?.1;
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (day, hour, minute, second) = (number(0..2)?, number(12..14)?, number(15..17)?, number(18..20)?);
    let request = line.split('"').nth(1)?;
    let path = request.split(' ').nth(1)?;
    let segment: String = path
        .trim_start_matches('/')
        .chars()
        .take_while(|c| *c != '/' && *c != '?')
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let happening = template(&format!(r#""address":"{address}""#), &format!("/{segment}/{{rest}}"));
    Some(at(&happening, START_MS + (((day * 24 + hour) * 60 + minute) * 60 + second) * 1000))
}

/// A consumer of the crowd.
struct Member {
    /// Calls a minute in a session.
    rate: f64,
    /// Share of the minutes in sessions, and their mean length in minutes.
    activity: f64,
    session_minutes: f64,
    /// Calls come in bursts of this mean size.
    burst: f64,
    /// How much it follows the day: 0 for a machine.
    day: f64,
    endpoints: Vec<usize>,
}

impl Member {
    fn draw(random: &mut Pcg64, endpoints: usize) -> Self {
        let normal = |random: &mut Pcg64| (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let machine = random.random_bool(0.3);
        Member {
            rate: (1.0 + 1.3 * normal(random)).exp().clamp(0.2, 600.0),
            activity: if machine { 1.0 } else { random.random_range(0.02..0.4) },
            session_minutes: random.random_range(5.0..60.0),
            burst: if random.random_bool(0.3) { random.random_range(2.0..25.0) } else { 1.0 },
            day: if machine { 0.0 } else { random.random_range(0.3..0.95) },
            endpoints: (0..random.random_range(1..6))
                .map(|_| (random.random::<f64>().powi(2) * endpoints as f64) as usize)
                .collect(),
        }
    }

    /// Its calls in one minute, as offsets in milliseconds.
    fn minute(&self, random: &mut Pcg64, level: f64) -> Vec<i64> {
        let bursts_mean = self.rate * level / self.burst;
        let mut offsets = Vec::new();
        let mut at = -(1.0 - random.random::<f64>()).ln() / bursts_mean;
        while at < 1.0 {
            let size = 1 + (-(1.0 - random.random::<f64>()).ln() * (self.burst - 1.0)) as i64;
            offsets.extend((0..size).map(|call| (at * 60_000.0) as i64 + call * 30));
            at += -(1.0 - random.random::<f64>()).ln() / bursts_mean;
        }
        offsets
    }
}

const ENDPOINTS: usize = 15;
const MEMBERS: usize = 150;

/// A crowd's calls over so many hours.
fn crowd(seed: u64, hours: i64) -> Vec<Happening> {
    let mut random = Pcg64::seed_from_u64(seed);
    let members: Vec<Member> = (0..MEMBERS).map(|_| Member::draw(&mut random, ENDPOINTS)).collect();
    let templates: Vec<Vec<Happening>> = (0..MEMBERS)
        .map(|member| {
            let actor = format!(r#""consumer":"m{member}""#);
            (0..ENDPOINTS).map(|endpoint| template(&actor, &format!("/e{endpoint}/{{id}}"))).collect()
        })
        .collect();
    let mut in_session: Vec<bool> = members.iter().map(|member| random.random_bool(member.activity)).collect();
    let mut calls = Vec::new();
    for minute in 0..hours * 60 {
        let hour = minute as f64 / 60.0;
        let sun = (1.0 - (hour * std::f64::consts::PI / 12.0).cos()) / 2.0;
        for (number, member) in members.iter().enumerate() {
            let level = 1.0 - member.day + member.day * sun;
            let end = 1.0 / member.session_minutes;
            let begin = (end * member.activity * level / (1.001 - member.activity).max(0.001)).min(1.0);
            in_session[number] = if in_session[number] {
                member.activity >= 1.0 || !random.random_bool(end)
            } else {
                random.random_bool(begin)
            };
            if !in_session[number] {
                continue;
            }
            for offset in member.minute(&mut random, level.max(0.05)) {
                let endpoint = member.endpoints[random.random_range(0..member.endpoints.len())];
                calls.push(at(&templates[number][endpoint], START_MS + minute * 60_000 + offset));
            }
        }
    }
    calls.sort_by_key(|happening| happening.call.received_ms);
    calls
}

#[test]
fn crowds_of_very_different_actors_are_almost_silent() {
    let (mut calls, mut alarms) = (0, Vec::new());
    for seed in 1..=4 {
        let crowd = crowd(seed, 30);
        calls += crowd.len();
        let findings = run(&Settings::default(), &crowd);
        let mut named: Vec<(String, String)> =
            findings.iter().map(|f| (f.entity.value.clone(), f.endpoint_name.clone())).collect();
        named.dedup();
        println!("seed {seed}: {} calls, {} findings\n{}", crowd.len(), findings.len(), shown(&findings));
        alarms.extend(named);
    }
    let days = 4.0 * MEMBERS as f64 * 30.0 / 24.0;
    println!("{calls} calls of {days} actor-days, {} false alarms: {alarms:?}", alarms.len());
    // At most one false alarm in 250 actor-days.
    assert!(alarms.len() as f64 <= days / 250.0, "{} false alarms in {days} actor-days", alarms.len());
}

/// For each member of a crowd in turn, a loop of so many calls a second for five minutes on an endpoint that it uses.
#[test]
fn loops_of_members_of_a_crowd_are_found() {
    let crowd = crowd(1, 8);
    let (before, rest) = crowd.split_at(crowd.len() - crowd.len() / 16);
    let mut engine = Engine::new(Settings::default()).unwrap();
    feed(&mut engine, before, 1, &mut Vec::new());
    let warm = engine.snapshot();
    let begins_ms = rest[0].call.received_ms + 7_000;
    println!("calls/s  found  at once  median delay s");
    for (calls_per_second, found_min) in [(2, 0.75), (10, 0.85), (50, 0.95), (200, 0.95)] {
        let mut delays = Vec::new();
        for victim in (0..MEMBERS).step_by(3) {
            let Some(used) =
                before.iter().rev().find(|h| h.call.consumer.as_ref().unwrap().id == format!("m{victim}").as_str())
            else {
                continue;
            };
            delays.push(delay_of_loop(&warm, rest, used, begins_ms, calls_per_second, before.len()));
        }
        let mut found: Vec<f64> = delays.iter().flatten().copied().collect();
        found.sort_by(f64::total_cmp);
        let share = found.len() as f64 / delays.len() as f64;
        let at_once = found.iter().filter(|delay| **delay <= 20.0).count();
        println!(
            "{calls_per_second:>7}  {share:.2}   {:.2}     {:.1}",
            at_once as f64 / delays.len() as f64,
            found[found.len() / 2]
        );
        assert!(share >= found_min, "{calls_per_second} calls/s: {share}");
    }
}

/// Seconds of log time from the loop's beginning to its finding.
fn delay_of_loop(
    warm: &[u8],
    rest: &[Happening],
    used: &Happening,
    begins_ms: i64,
    calls_per_second: i64,
    number: usize,
) -> Option<f64> {
    let attack = (0..300 * calls_per_second).map(|n| at(used, begins_ms + n * 1000 / calls_per_second));
    let ends_ms = begins_ms + 300_000;
    let mut calls: Vec<Happening> =
        rest.iter().take_while(|h| h.call.received_ms < ends_ms).cloned().chain(attack).collect();
    calls.sort_by_key(|happening| happening.call.received_ms);
    let mut engine = Engine::restore(Settings::default(), warm).unwrap();
    let mut findings: Vec<Finding> = Vec::new();
    feed(&mut engine, &calls, number as u64 + 1, &mut findings);
    finish(&mut engine, &calls, &mut findings);
    let own = |finding: &&Finding| finding.entity.value == *used.call.consumer.as_ref().unwrap().id.as_str();
    findings.iter().find(own).map(|finding| (finding.raised_ms - begins_ms) as f64 / 1000.0)
}
