//! Calls for tests.

use outrider_model::{AnsweredBy, ApiCall, ClockCheck, Consumer, Enrichment, Exposure, Latency, Named, Text, Trust};

/// What differs from call to call.
pub struct Call {
    pub at_ms: i64,
    pub consumer: String,
    pub path: String,
    pub status: u16,
}

pub fn api_call(call: &Call) -> ApiCall<'_> {
    let id = Text::from(call.consumer.as_str());
    ApiCall {
        gateway: "kong".into(),
        workspace: "w".into(),
        trust: Trust::Trusted,
        request_id: Text::EMPTY,
        received_ms: call.at_ms,
        started_ms: call.at_ms,
        event_ms: call.at_ms,
        clock: ClockCheck::AsReported,
        consumer: Some(Consumer { id: id.clone(), username: id.clone(), custom_id: Text::EMPTY, tags: vec![] }),
        anonymous_consumer: false,
        credential_id: Some(id),
        presented_credential: None,
        session: None,
        client_ip: Some([198, 51, 100, 7].into()),
        service: Some(Named { id: "s".into(), name: "shop".into() }),
        route: Some(Named { id: "r".into(), name: "shop-route".into() }),
        host: "shop.example".into(),
        method: "GET".into(),
        path: call.path.as_str().into(),
        query: vec![],
        headers: vec![],
        status: call.status,
        answered_by: AnsweredBy::Upstream,
        own_refusal: None,
        request_bytes: 100,
        response_bytes: 1000,
        latency: Latency { total_ms: 0, gateway_ms: 0, upstream_ms: 0 },
        response_type: "application/json".into(),
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    }
}
