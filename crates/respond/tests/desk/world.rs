//! Short ways to make what goes into a desk.

use std::net::{IpAddr, Ipv4Addr};

use outrider_model::{
    AnsweredBy, ApiCall, ClockCheck, Command, CommandRecord, Confidence, Consumer, EndpointId, Enrichment, EntityKey,
    EntityKind, Exposure, Finding, FindingId, Fingerprint, Latency, Named, Observation, Outcome, Severity, TargetFacts,
    Text, Trust,
};

/// The installation that the desks of these tests belong to.
pub const INSTALLATION: &str = "here";
/// Log time at which histories begin.
pub const START_MS: i64 = 1_800_000_000_000;

pub fn consumer(name: &str) -> EntityKey {
    EntityKey {
        kind: EntityKind::Consumer,
        gateway: "kong".to_owned(),
        workspace: "default".to_owned(),
        value: format!("id-{name}"),
        label: name.to_owned(),
    }
}

/// A finding about a consumer, complete at `now_ms`, over the minute before.
pub fn finding(name: &str, detector: &str, now_ms: i64, number: i64) -> Finding {
    Finding {
        id: FindingId(Fingerprint::of("test").text(name).text(detector).number(number).finish()),
        detector: detector.to_owned(),
        entity: consumer(name),
        target: TargetFacts::default(),
        endpoint: Some(EndpointId(7)),
        endpoint_name: "GET /orders/{id}".to_owned(),
        service_id: "s-orders".to_owned(),
        service_name: "orders".to_owned(),
        route_id: "r-orders".to_owned(),
        route_name: "orders-v1".to_owned(),
        consumer_tags: Vec::new(),
        consumer_custom_id: String::new(),
        window_start_ms: now_ms - 60_000,
        window_ms: 60_000,
        event_ms: now_ms,
        raised_ms: now_ms,
        call_number: number.unsigned_abs(),
        observation: Observation {
            measure: "calls".to_owned(),
            unit: "calls per minute".to_owned(),
            observed: 600.1,
            expected: 3.3,
            threshold: 41.7,
        },
        surprise: Some(12.3),
        basis: "38 active minutes of its own".to_owned(),
        outcome: Outcome { succeeded: 600, failed: 1 },
        severity: Severity::High,
        confidence: Confidence::new(0.9),
        sentence: format!("{name} made 600 calls in a minute, 3 were expected"),
        samples: Vec::new(),
        query: "select 1".to_owned(),
    }
}

/// An allowed call of a consumer at the orders service.
pub fn call<'a>(name: &'a str, id: &'a str, now_ms: i64) -> ApiCall<'a> {
    ApiCall {
        gateway: Text::from("kong"),
        workspace: Text::from("default"),
        trust: Trust::Trusted,
        request_id: Text::EMPTY,
        received_ms: now_ms,
        started_ms: now_ms,
        event_ms: now_ms,
        clock: ClockCheck::AsReported,
        consumer: Some(Consumer {
            id: Text::from(id),
            username: Text::from(name),
            custom_id: Text::EMPTY,
            tags: Vec::new(),
        }),
        anonymous_consumer: false,
        credential_id: Some(Text::from("credential")),
        presented_credential: None,
        session: None,
        client_ip: Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))),
        service: Some(Named { id: Text::from("s-orders"), name: Text::from("orders") }),
        route: Some(Named { id: Text::from("r-orders"), name: Text::from("orders-v1") }),
        host: Text::from("api.example.com"),
        method: Text::from("GET"),
        path: Text::from("/orders/1"),
        query: Vec::new(),
        headers: Vec::new(),
        status: 200,
        answered_by: AnsweredBy::Upstream,
        own_refusal: None,
        request_bytes: 300,
        response_bytes: 900,
        latency: Latency { total_ms: 5, gateway_ms: 1, upstream_ms: 4 },
        response_type: Text::from("application/json"),
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    }
}

/// Turns a call into one that the gateway refused, by the plugin of an installation or of somebody else.
pub fn refused<'a>(mut call: ApiCall<'a>, by_installation: Option<&'a str>) -> ApiCall<'a> {
    call.status = 403;
    call.answered_by = AnsweredBy::Gateway;
    call.own_refusal = by_installation.map(Text::from);
    call.latency.upstream_ms = -1;
    call
}

pub fn command(number: usize, by: &str, now_ms: i64, command: Command) -> CommandRecord {
    CommandRecord { id: format!("command-{number}"), by: by.to_owned(), at_ms: now_ms, command }
}
