use outrider_model::{
    ApiCall, ClockCheck, Confidence, Enrichment, EntityKey, EntityKind, Exposure, Latency, Observation, Outcome,
};
use outrider_model::{FindingId, Severity, TargetFacts, Text};

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

/// Writes down what it is told, and panics when it is told to.
#[derive(Default)]
struct Recorder {
    name: &'static str,
    panics_at: Option<u64>,
    version: u8,
    calls: Vec<(u64, Evidence, bool)>,
    epochs: Vec<i64>,
    marks: u32,
}

static RECORDER: Descriptor =
    Descriptor { name: "recorder", title: "Recorder", summary: "For tests.", entities: &[], page: "" };
static FAILING: Descriptor =
    Descriptor { name: "failing", title: "Failing", summary: "For tests.", entities: &[], page: "" };

impl Detector for Recorder {
    fn descriptor(&self) -> &'static Descriptor {
        if self.name == "failing" { &FAILING } else { &RECORDER }
    }

    fn observe(&mut self, observed: &Observed<'_, '_>, intake: &Intake<'_>, findings: &mut Vec<Finding>) {
        findings.push(finding(self.name, observed.number));
        assert!(self.panics_at != Some(observed.number), "call {} is too much", observed.number);
        self.calls.push((observed.number, intake.evidence, intake.gateway_refusal));
    }

    fn close_epoch(&mut self, epoch: Epoch, _: &mut Vec<Finding>) {
        self.epochs.push(epoch.number);
    }

    fn false_positive(&mut self, _: &FalsePositive<'_>) {
        self.marks += 1;
    }

    fn forget(&mut self, _: &Subject) {
        self.calls.clear();
    }

    fn snapshot(&self) -> Result<Vec<u8>, DetectError> {
        Ok(postcard::to_stdvec(&(self.version, self.calls.len() as u64, &self.epochs, self.marks)).unwrap())
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), DetectError> {
        if bytes[0] != self.version {
            return Err(DetectError::Version { part: "failing", found: bytes[0], expected: self.version });
        }
        let (_, calls, epochs, marks): (u8, u64, Vec<i64>, u32) = postcard::from_bytes(bytes).unwrap();
        self.calls = vec![(0, Evidence::Trusted, false); calls as usize];
        self.epochs = epochs;
        self.marks = marks;
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        1000
    }

    fn counters(&self) -> Vec<Counter> {
        let counter = |name, value| Counter { name, help: "", value };
        let trusted = self.calls.iter().filter(|call| call.1 == Evidence::Trusted).count() as u64;
        let refused = self.calls.iter().filter(|call| call.2).count() as u64;
        vec![
            counter("calls", self.calls.len() as u64),
            counter("trusted", trusted),
            counter("refused", refused),
            counter("epochs", self.epochs.len() as u64),
            counter("consecutive", u64::from(self.epochs.windows(2).all(|pair| pair[1] == pair[0] + 1))),
            counter("marks", u64::from(self.marks)),
        ]
    }
}

fn recorder(name: &'static str, panics_at: Option<u64>) -> Box<dyn Detector> {
    Box::new(Recorder { name, panics_at, ..Recorder::default() })
}

fn entity() -> EntityKey {
    EntityKey {
        kind: EntityKind::Consumer,
        gateway: String::new(),
        workspace: String::new(),
        value: "alice".to_owned(),
        label: String::new(),
    }
}

fn finding(detector: &str, number: u64) -> Finding {
    Finding {
        id: FindingId(number),
        detector: detector.to_owned(),
        entity: entity(),
        target: TargetFacts::default(),
        endpoint: None,
        endpoint_name: String::new(),
        service_id: String::new(),
        service_name: String::new(),
        route_id: String::new(),
        route_name: String::new(),
        consumer_tags: Vec::new(),
        consumer_custom_id: String::new(),
        window_start_ms: 0,
        window_ms: 0,
        event_ms: 0,
        raised_ms: 0,
        call_number: number,
        observation: Observation {
            measure: String::new(),
            unit: String::new(),
            observed: 0.0,
            expected: 0.0,
            threshold: 0.0,
        },
        surprise: None,
        basis: String::new(),
        outcome: Outcome::default(),
        severity: Severity::Info,
        confidence: Confidence::new(0.5),
        sentence: String::new(),
        samples: Vec::new(),
        query: String::new(),
    }
}

fn call() -> ApiCall<'static> {
    ApiCall {
        gateway: Text::from("kong"),
        workspace: Text::EMPTY,
        trust: Trust::Trusted,
        request_id: Text::EMPTY,
        received_ms: NOW_MS,
        started_ms: NOW_MS,
        event_ms: NOW_MS,
        clock: ClockCheck::AsReported,
        consumer: None,
        anonymous_consumer: false,
        credential_id: None,
        presented_credential: None,
        session: None,
        client_ip: Some([192, 0, 2, 1].into()),
        service: None,
        route: None,
        host: Text::EMPTY,
        method: Text::from("GET"),
        path: Text::from("/"),
        query: Vec::new(),
        headers: Vec::new(),
        status: 200,
        answered_by: AnsweredBy::Upstream,
        own_refusal: None,
        request_bytes: 0,
        response_bytes: 0,
        latency: Latency { total_ms: 0, gateway_ms: 0, upstream_ms: 0 },
        response_type: Text::EMPTY,
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    }
}

fn observed<'a>(call: &'a ApiCall<'static>, number: u64) -> Observed<'a, 'static> {
    Observed { call, number, endpoint: None, endpoint_settled: true, endpoint_name: "" }
}

fn count(engine: &Engine, detector: usize, name: &str) -> u64 {
    engine.status()[detector].counters.iter().find(|counter| counter.name == name).unwrap().value
}

#[test]
fn what_must_not_be_used_never_reaches_a_detector() {
    type Change = fn(&mut ApiCall<'static>);
    let cases: [(&str, Change, [u64; 3]); 11] = [
        // What came through: calls, trusted ones, refusals of the gateway.
        ("a plain call", |_| {}, [1, 1, 0]),
        ("our own refusal", |call| call.own_refusal = Some(Text::from("us")), [0, 0, 0]),
        ("an untrusted line", |call| call.trust = Trust::Untrusted, [1, 0, 0]),
        ("a minute late", |call| call.event_ms = NOW_MS - 60_000, [1, 1, 0]),
        ("later than a minute", |call| call.event_ms = NOW_MS - 60_001, [0, 0, 0]),
        ("a minute ahead", |call| call.event_ms = NOW_MS + 60_000, [1, 1, 0]),
        ("further ahead", |call| call.event_ms = NOW_MS + 60_001, [0, 0, 0]),
        ("before 1970", |call| call.event_ms = -1, [0, 0, 0]),
        (
            "refused by the gateway",
            |call| {
                call.answered_by = AnsweredBy::Gateway;
                call.status = 429;
            },
            [1, 1, 1],
        ),
        ("answered from the gateway's cache", |call| call.answered_by = AnsweredBy::Gateway, [1, 1, 0]),
        ("refused by the API", |call| call.status = 403, [1, 1, 0]),
    ];
    for (name, change, wanted) in cases {
        let mut engine = Engine::of(vec![recorder("recorder", None)]);
        engine.advance(NOW_MS, &mut Vec::new());
        let mut call = call();
        change(&mut call);
        engine.observe(&observed(&call, 1), &mut Vec::new());
        let got = ["calls", "trusted", "refused"].map(|counter| count(&engine, 0, counter));
        assert_eq!(got, wanted, "{name}");
        let counters = engine.counters();
        assert_eq!(counters.calls + counters.own_refusals + counters.late + counters.time_out_of_range, 1, "{name}");
    }
}

#[test]
fn a_failing_detector_stops_nobody_else_and_says_why() {
    let mut engine =
        Engine::of(vec![recorder("recorder", None), recorder("failing", Some(3)), recorder("recorder", None)]);
    let (call, mut findings) = (call(), Vec::new());
    engine.advance(NOW_MS, &mut findings);
    for number in 1..=5 {
        engine.observe(&observed(&call, number), &mut findings);
    }
    let of = |name: &str| findings.iter().filter(|finding| finding.detector == name).count();
    // What it pushed before it failed at the third call is dropped.
    assert_eq!((of("recorder"), of("failing")), (10, 2));
    assert_eq!(engine.counters().detectors_failed, 1);
    assert_eq!(engine.counters().findings, 12);
    let status = engine.status();
    assert_eq!(status[0].failure, None);
    assert_eq!(status[1].failure.as_deref(), Some("it panicked: call 3 is too much"));

    // Restored, it begins with nothing and the others go on where they were.
    let bytes = engine.snapshot();
    let mut engine = Engine::of(vec![recorder("recorder", None), recorder("failing", None)]);
    engine.restore_state(&bytes).unwrap();
    engine.observe(&observed(&call, 6), &mut findings);
    assert_eq!(engine.status()[1].failure, None);
    assert_eq!((count(&engine, 0, "calls"), count(&engine, 1, "calls")), (6, 1));
}

#[test]
fn every_minute_is_closed_once_and_in_order() {
    let advances: &[(&[i64], u64)] = &[
        (&[0], 0),
        (&[0, 59_999], 0),
        (&[0, 60_000], 1),
        (&[0, 60_000, 60_000, 59_000, 0], 1),
        (&[0, 30_000, 90_000, 180_000], 3),
        (&[0, 3 * 86_400_000], 3 * 1440),
        (&[0, 1000 * 86_400_000], 600_000),
        (&[0, 1000 * 86_400_000, 1000 * 86_400_000 + 60_000], 600_001),
    ];
    for (times, wanted) in advances {
        let mut engine = Engine::of(vec![recorder("recorder", None)]);
        for time in *times {
            engine.advance(NOW_MS - NOW_MS % 60_000 + time, &mut Vec::new());
        }
        assert_eq!(count(&engine, 0, "epochs"), *wanted, "{times:?}");
        assert!(count(&engine, 0, "consecutive") == 1 || times.len() == 3, "{times:?}");
    }
}

#[test]
fn a_mark_reaches_the_detector_that_it_names() {
    let mut engine = Engine::of(vec![recorder("recorder", None), recorder("failing", None)]);
    let entity = entity();
    engine.feedback(&FalsePositive { detector: "failing", entity: &entity, endpoints: &[], observed: 1.0 });
    engine.feedback(&FalsePositive { detector: "nobody", entity: &entity, endpoints: &[], observed: 1.0 });
    assert_eq!((count(&engine, 0, "marks"), count(&engine, 1, "marks")), (0, 1));
}

#[test]
fn a_snapshot_of_a_newer_version_is_refused_by_name() {
    let error = Engine::restore(Settings::default(), &[9, 0]).err().unwrap();
    assert_eq!(error, DetectError::Version { part: "detection", found: 9, expected: 1 });
}

#[test]
fn what_an_older_version_has_learnt_is_learnt_again() {
    let with = |version: u8| {
        let failing = Recorder { name: "failing", version, ..Recorder::default() };
        Engine::of(vec![recorder("recorder", None), Box::new(failing)])
    };
    let mut engine = with(4);
    let (call, mut findings) = (call(), Vec::new());
    for number in 1..=3 {
        engine.observe(&observed(&call, number), &mut findings);
    }
    let version = |found, expected| DetectError::Version { part: "failing", found, expected };
    let bytes = engine.snapshot();
    for (now, wanted) in [(4, Ok((vec![], 3))), (5, Ok((vec![version(4, 5)], 0))), (3, Err(version(4, 3)))] {
        let mut engine = with(now);
        let restored = engine.restore_state(&bytes);
        let restored = restored.map(|()| (engine.begun_anew().to_vec(), count(&engine, 1, "calls")));
        assert_eq!(restored, wanted, "version {now}");
        if wanted.is_ok() {
            assert_eq!((count(&engine, 0, "calls"), engine.counters().calls), (3, 3), "the others go on");
        }
    }

    // Where the engine's own part is older, all of them begin.
    let mut engine = with(4);
    engine.restore_state(&[0, 1, 2]).unwrap();
    assert_eq!(engine.begun_anew(), [DetectError::Version { part: "detection", found: 0, expected: 1 }]);
    assert_eq!(count(&engine, 0, "calls"), 0);
}

#[test]
fn a_detector_that_is_switched_off_is_not_there() {
    let mut settings = Settings::default();
    assert_eq!(Engine::new(settings.clone()).unwrap().descriptors()[0].name, "request_spike");
    let on = Engine::new(settings.clone()).unwrap().snapshot();
    settings.request_spike.enabled = false;
    assert!(Engine::restore(settings.clone(), &on).unwrap().descriptors().is_empty());
    settings.request_spike.calls_min = 0;
    assert!(Engine::new(settings).is_err(), "what makes no sense is refused even when it is switched off");
}
