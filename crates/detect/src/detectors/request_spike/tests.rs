//! What the cases do not reach: marks of people, long spikes, limits, and what is kept of whom.

use outrider_model::{ApiCall, EndpointId, Text, Trust};

use super::testing::call;
use super::*;
use crate::detector::{Evidence, FalsePositive};

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_700_000_040_000;
const ORDERS: EndpointId = EndpointId(7);

/// A detector with a clock.
struct Stage {
    detector: RequestSpike,
    now_ms: i64,
    number: u64,
    findings: Vec<Finding>,
}

impl Stage {
    fn new(settings: Settings) -> Self {
        Stage { detector: RequestSpike::new(settings).unwrap(), now_ms: START_MS, number: 0, findings: Vec::new() }
    }

    /// Thirteen peers at four calls a minute for so many minutes, alice among them.
    fn warm(settings: Settings, minutes: i64) -> Self {
        let mut stage = Stage::new(settings);
        stage.peaceful(minutes);
        assert!(stage.findings.is_empty());
        stage
    }

    fn peaceful(&mut self, minutes: i64) {
        for _ in 0..minutes {
            self.minute(|_| {});
        }
    }

    /// A minute of the peers' usual calls, with something else at its beginning.
    fn minute(&mut self, also: impl FnOnce(&mut Self)) {
        let start_ms = self.now_ms;
        also(self);
        for second in (0..60).step_by(15) {
            for peer in ["alice", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"] {
                self.call_at(&call(peer, 0), (start_ms + second * 1000).max(self.now_ms), ORDERS, true);
            }
        }
        self.advance(start_ms + MINUTE_MS);
    }

    fn advance(&mut self, now_ms: i64) {
        for number in self.now_ms.div_euclid(MINUTE_MS)..now_ms.div_euclid(MINUTE_MS) {
            self.detector.close_epoch(Epoch { number }, &mut self.findings);
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    fn call_at(&mut self, call: &ApiCall<'_>, at_ms: i64, endpoint: EndpointId, settled: bool) {
        self.advance(at_ms);
        self.number += 1;
        let call = ApiCall { event_ms: at_ms, received_ms: at_ms, ..call.clone() };
        let entity = call.actor().map(|actor| actor.entity(&call));
        let intake = Intake {
            now_ms: self.now_ms,
            actor: entity.map(|entity| (entity, entity.key())),
            evidence: if call.trust == Trust::Trusted { Evidence::Trusted } else { Evidence::Untrusted },
            gateway_refusal: false,
        };
        let observed = Observed {
            call: &call,
            number: self.number,
            endpoint: Some(endpoint),
            endpoint_settled: settled,
            endpoint_name: "GET /orders",
        };
        self.detector.observe(&observed, &intake, &mut self.findings);
    }

    /// So many calls of an actor, 20 ms apart.
    fn burst(&mut self, consumer: &str, calls: u32) {
        let call = call(consumer, 0);
        for _ in 0..calls {
            self.call_at(&call, self.now_ms + 20, ORDERS, true);
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.detector.counters().iter().find(|counter| counter.name == name).unwrap().value
    }

    fn entity(&self, consumer: &str) -> outrider_model::EntityKey {
        let call = call(consumer, 0);
        call.actor().unwrap().entity(&call).to_key()
    }
}

#[test]
fn a_spike_does_not_teach_the_profile() {
    let mut stage = Stage::warm(Settings::default(), 20);
    for _ in 0..30 {
        stage.minute(|stage| stage.burst("alice", 500));
    }
    assert_eq!(stage.findings.len(), 30, "one a minute");
    assert_eq!(stage.count("minutes_excluded"), 2 * 30, "alice at the endpoint and in total, and the minute before");
    let key = stage.entity("alice").key();
    let profile = stage.detector.keys.at(stage.detector.keys.find(key).unwrap());
    assert_eq!(profile.max, 4.0);
    stage.peaceful(20);
    stage.findings.clear();
    stage.minute(|stage| stage.burst("alice", 500));
    assert_eq!(stage.findings.len(), 1, "it is found again");
}

#[test]
fn a_level_that_lasts_is_learned_in_the_end() {
    let settings = Settings { learn_after_minutes: 25, ..Settings::default() };
    let mut stage = Stage::warm(settings, 20);
    for _ in 0..60 {
        stage.minute(|stage| stage.burst("alice", 500));
    }
    assert_eq!(stage.findings.len(), 25);
    stage.findings.clear();
    stage.peaceful(10);
    stage.minute(|stage| stage.burst("alice", 500));
    assert!(stage.findings.is_empty());
}

#[test]
fn a_false_positive_makes_the_level_normal_from_then_on() {
    let mut stage = Stage::warm(Settings::default(), 20);
    stage.minute(|stage| stage.burst("alice", 500));
    assert_eq!(stage.findings.len(), 1);
    let entity = stage.entity("alice");
    let mark = FalsePositive { detector: "request_spike", entity: &entity, endpoints: &[ORDERS], observed: 504.0 };
    stage.detector.false_positive(&mark);
    stage.findings.clear();
    for _ in 0..20 {
        stage.minute(|stage| stage.burst("alice", 700));
    }
    assert!(stage.findings.is_empty(), "{}", stage.findings[0].sentence);
    assert!(stage.count("minutes_trained") > 0 && stage.count("marks_without_profile") == 0);
    stage.minute(|stage| stage.burst("b", 700));
    assert_eq!(stage.findings.len(), 1, "the mark is about alice alone");
    let nobody = stage.entity("nobody");
    let mark = FalsePositive { detector: "request_spike", entity: &nobody, endpoints: &[ORDERS], observed: 9.0 };
    stage.detector.false_positive(&mark);
    assert_eq!(stage.count("marks_without_profile"), 2);
}

#[test]
fn what_a_spike_grew_to_after_it_was_found_is_normal_too() {
    let mut stage = Stage::warm(Settings::default(), 20);
    stage.minute(|stage| stage.burst("alice", 500));
    stage.peaceful(5);
    stage.findings.clear();
    let entity = stage.entity("alice");
    let mark = FalsePositive { detector: "request_spike", entity: &entity, endpoints: &[ORDERS], observed: 60.0 };
    stage.detector.false_positive(&mark);
    stage.minute(|stage| stage.burst("alice", 500));
    assert!(stage.findings.is_empty(), "{}", stage.findings[0].sentence);
    stage.peaceful(5);
    stage.minute(|stage| stage.burst("alice", 5000));
    assert_eq!(stage.findings.len(), 1, "ten times as much is found");
}

#[test]
fn untrusted_lines_are_judged_and_teach_nothing() {
    let mut stage = Stage::warm(Settings::default(), 20);
    let trained = stage.count("minutes_trained");
    let untrusted = ApiCall { trust: Trust::Untrusted, ..call("alice", 0) };
    stage.minute(|stage| {
        for _ in 0..300 {
            stage.call_at(&untrusted, stage.now_ms + 20, ORDERS, true);
        }
    });
    stage.peaceful(2);
    assert_eq!(stage.findings.len(), 1);
    assert!(stage.findings[0].target.untrusted && stage.findings[0].query.contains("NOT trusted"));
    assert_eq!(
        stage.findings[0].basis,
        "19 active minutes of its own, 13 actors in its population with 247 active minutes"
    );
    assert_eq!(stage.count("minutes_trained"), trained + 3 * 26, "the peers' minutes and no other");
    let trusted = stage.detector.keys.at(stage.detector.keys.find(stage.entity("alice").key()).unwrap());
    assert!(!trusted.is(Flag::Alerted) && trusted.max == 4.0);
}

#[test]
fn nothing_fires_on_an_endpoint_that_is_being_re_templated_but_the_total_does() {
    let mut stage = Stage::warm(Settings::default(), 20);
    stage.minute(|stage| {
        let call = call("alice", 0);
        for _ in 0..300 {
            stage.call_at(&call, stage.now_ms + 20, ORDERS, false);
        }
    });
    assert_eq!(stage.findings.len(), 1);
    assert_eq!(stage.findings[0].endpoint, None);
}

#[test]
fn a_finding_says_where_all_of_it_happened_and_nothing_where_it_happened_at_several() {
    let named = |id: &'static str| Some(outrider_model::Named { id: Text::from(id), name: Text::from("Orders") });
    for (other, wanted) in [("s1", "s1"), ("s2", "")] {
        let mut stage = Stage::warm(Settings::default(), 20);
        stage.minute(|stage| {
            for number in 0..200 {
                let service = named(if number % 2 == 0 { "s1" } else { other });
                let call = ApiCall { service, route: named("r1"), ..call("alice", 0) };
                stage.call_at(&call, stage.now_ms + 20, ORDERS, true);
            }
        });
        let finding = &stage.findings[0];
        assert_eq!((finding.service_id.as_str(), finding.route_id.as_str()), (wanted, "r1"));
        assert_eq!(finding.service_name.is_empty(), wanted.is_empty());
    }
}

#[test]
fn the_watch_list_is_bounded_and_says_when_it_is_full() {
    let settings = Settings { watched_max: 3, ..Settings::default() };
    let mut stage = Stage::warm(settings, 20);
    stage.minute(|stage| {
        for peer in ["alice", "b", "c", "d", "e"] {
            stage.burst(peer, 200);
        }
    });
    assert!(stage.detector.watched.len() <= 3);
    assert!(stage.count("watch_refused") > 0);
    stage.peaceful(3);
    assert_eq!(stage.detector.watched.len(), 0, "the calm are let go");
}

#[test]
fn forged_lines_cannot_fill_the_watch_list() {
    let settings = Settings { watched_max: 8, ..Settings::default() };
    let mut stage = Stage::warm(settings, 20);
    stage.minute(|stage| {
        for number in 0..10 {
            let name = format!("forged-{number}");
            let forged = ApiCall { trust: Trust::Untrusted, ..call(&name, 0) };
            for _ in 0..100 {
                stage.call_at(&forged, stage.now_ms + 20, ORDERS, true);
            }
        }
        stage.burst("alice", 200);
    });
    let untrusted = stage.findings.iter().filter(|finding| finding.target.untrusted).count();
    assert_eq!((untrusted, stage.findings.len()), (1, 2), "one actor's endpoint and total, and alice");
    stage.peaceful(3);
    assert_eq!((stage.detector.watched.len(), stage.detector.watched_untrusted), (0, 0));
}

#[test]
fn profiles_are_bounded_and_the_list_of_open_minutes_with_them() {
    let settings = Settings { keys_max: 1000, watched_max: 10, ..Settings::default() };
    let mut stage = Stage::new(settings);
    for number in 0..20_000 {
        let name = format!("consumer-{number}");
        stage.call_at(&call(&name, 0), START_MS + 1, ORDERS, true);
    }
    assert_eq!(stage.count("profiles"), 1000);
    assert!(stage.detector.open.values().all(|slots| slots.len() <= 2001));
    assert!(stage.detector.memory_bytes() < 500_000, "{}", stage.detector.memory_bytes());
    stage.advance(START_MS + 10 * MINUTE_MS);
    assert!(stage.detector.open.is_empty());
}

#[test]
fn a_smaller_limit_holds_after_a_restart() {
    let mut stage = Stage::new(Settings { keys_max: 4000, watched_max: 10, ..Settings::default() });
    for number in 0..1500 {
        let name = format!("consumer-{number}");
        stage.call_at(&call(&name, 0), START_MS + 1, ORDERS, true);
    }
    let bytes = stage.detector.snapshot().unwrap();
    let settings = Settings { keys_max: 1000, watched_max: 10, ..Settings::default() };
    let mut smaller = RequestSpike::new(settings).unwrap();
    smaller.restore(&bytes).unwrap();
    assert_eq!(smaller.keys.len(), 1000);
}

#[test]
fn calls_that_name_nobody_are_counted_and_left_out() {
    let mut stage = Stage::new(Settings::default());
    let nobody = ApiCall { consumer: None, credential_id: None, ..call("alice", 0) };
    stage.call_at(&nobody, START_MS + 1, ORDERS, true);
    assert_eq!((stage.count("calls_without_actor"), stage.count("profiles")), (1, 0));
}

#[test]
fn the_anonymous_consumer_is_no_actor_but_the_finding_says_that_it_was_there() {
    let mut stage = Stage::warm(Settings::default(), 20);
    let anonymous = ApiCall {
        anonymous_consumer: true,
        client_ip: Some([192, 0, 2, 7].into()),
        credential_id: None,
        ..call("anonymous", 0)
    };
    stage.minute(|stage| {
        for _ in 0..300 {
            stage.call_at(&anonymous, stage.now_ms + 20, ORDERS, true);
        }
    });
    let finding = &stage.findings[0];
    assert_eq!((finding.entity.kind, finding.entity.value.as_str()), (EntityKind::Ip, "192.0.2.7"));
    assert!(finding.target.anonymous_consumer && finding.consumer_tags.is_empty());
}

#[test]
fn somebody_is_forgotten_with_every_profile_in_the_midst_of_a_spike() {
    let mut stage = Stage::warm(Settings::default(), 60);
    stage.burst("alice", 400);
    let names = |stage: &Stage| {
        let bytes = stage.detector.snapshot().unwrap();
        bytes.windows(5).any(|window| window == b"alice")
    };
    let profiles = stage.detector.keys.len();
    assert!(names(&stage) && !stage.detector.watched.is_empty());
    stage.detector.forget(&Subject::new(EntityKind::Consumer, "alice").unwrap());
    assert!(!names(&stage) && stage.detector.watched.is_empty());
    assert_eq!(stage.detector.keys.len(), profiles - 2, "at everything, and at the endpoint");
    stage.detector.check_consistent().unwrap();
    // Her minutes that were open close without her, and she is judged by her peers from now on.
    stage.peaceful(3);
    let before = stage.findings.len();
    stage.minute(|stage| stage.burst("alice", 400));
    assert!(stage.findings.len() > before, "what she does later is news");
}
