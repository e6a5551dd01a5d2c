//! Which calls teach the catalogue that a path exists.

use outrider_model::ApiCall;

/// Whether an answer shows that the API knows the path.
///
/// Only answers of the API itself count. 2xx and 3xx show it; so do 409, 412 and 422, which only a handler that
/// understood the request gives. Everything else (401, 403, 429 and 5xx are often given before routing, 400, 404, 405 and
/// 410 deny the path) matches what is known and never adds to it, so that a sweep of guesses leaves no trace.
pub(crate) fn teaches(call: &ApiCall<'_>) -> bool {
    call.is_evidence() && call.was_proxied() && matches!(call.status, 200..=399 | 409 | 412 | 422)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_model::{AnsweredBy, ClockCheck, Enrichment, Exposure, Latency, Text, Trust};

    fn call(status: u16) -> ApiCall<'static> {
        ApiCall {
            gateway: Text::from("kong"),
            workspace: Text::EMPTY,
            trust: Trust::Trusted,
            request_id: Text::EMPTY,
            received_ms: 0,
            started_ms: 0,
            event_ms: 0,
            clock: ClockCheck::AsReported,
            consumer: None,
            anonymous_consumer: false,
            credential_id: None,
            presented_credential: None,
            session: None,
            client_ip: None,
            service: None,
            route: None,
            host: Text::EMPTY,
            method: Text::from("GET"),
            path: Text::from("/"),
            query: vec![],
            headers: vec![],
            status,
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

    #[test]
    fn only_answers_that_know_the_path_teach() {
        for status in [200, 201, 204, 301, 304, 409, 412, 422] {
            assert!(teaches(&call(status)), "{status}");
        }
        for status in [0, 101, 400, 401, 403, 404, 405, 410, 429, 499, 500, 502, 503] {
            assert!(!teaches(&call(status)), "{status}");
        }
    }

    #[test]
    fn the_gateways_own_answers_untrusted_lines_and_own_refusals_teach_nothing() {
        let good = call(200);
        let others = [
            ApiCall { answered_by: AnsweredBy::Gateway, ..good.clone() },
            ApiCall { trust: Trust::Untrusted, ..good.clone() },
            ApiCall { own_refusal: Some(Text::from("i")), ..good },
        ];
        for call in others {
            assert!(!teaches(&call));
        }
    }
}
