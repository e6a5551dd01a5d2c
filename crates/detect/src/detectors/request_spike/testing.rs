//! Values for the unit tests of this folder.

use outrider_model::{AnsweredBy, ApiCall, ClockCheck, Consumer, Enrichment, Exposure, Latency, Text, Trust};

/// A call of an authenticated consumer at a time.
pub(super) fn call(consumer: &str, event_ms: i64) -> ApiCall<'_> {
    ApiCall {
        gateway: Text::from("kong"),
        workspace: Text::EMPTY,
        trust: Trust::Trusted,
        request_id: Text::EMPTY,
        received_ms: event_ms,
        started_ms: event_ms,
        event_ms,
        clock: ClockCheck::AsReported,
        consumer: Some(Consumer {
            id: Text::from(consumer),
            username: Text::from(consumer),
            custom_id: Text::EMPTY,
            tags: Vec::new(),
        }),
        anonymous_consumer: false,
        credential_id: Some(Text::from(consumer)),
        presented_credential: None,
        session: None,
        client_ip: None,
        service: None,
        route: None,
        host: Text::EMPTY,
        method: Text::from("GET"),
        path: Text::from("/orders/1"),
        query: Vec::new(),
        headers: Vec::new(),
        status: 200,
        answered_by: AnsweredBy::Upstream,
        own_refusal: None,
        request_bytes: 0,
        response_bytes: 0,
        latency: Latency { total_ms: 1, gateway_ms: 0, upstream_ms: 1 },
        response_type: Text::EMPTY,
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    }
}
