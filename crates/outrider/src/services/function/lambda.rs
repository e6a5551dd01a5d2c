//! AWS Lambda, by the official crate for its runtime API.
//!
//! An event is an HTTP request of a function URL, an API Gateway (payload formats 1.0 and 2.0) or an Application Load Balancer.
//! It goes to the source's own port on loopback, so what holds for requests holds for events.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use reqwest::{Client, Method, header};
use serde::{Deserialize, Serialize};

/// The headers of a request that a source reads.
const PASSED: [header::HeaderName; 3] = [header::AUTHORIZATION, header::CONTENT_ENCODING, header::CONTENT_TYPE];

/// An event that is an HTTP request. What else is in it is left alone.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    /// In format 1.0, and of a load balancer.
    http_method: Option<String>,
    /// In format 2.0, and of a function URL.
    request_context: RequestContext,
    headers: Option<BTreeMap<String, String>>,
    /// In the place of `headers`, where a load balancer is set so.
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestContext {
    http: Option<Http>,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
}

/// The answer, as all of them take it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    headers: BTreeMap<&'static str, &'static str>,
    body: String,
    is_base64_encoded: bool,
}

/// Why an event has no answer.
#[derive(Debug)]
struct Unanswered(anyhow::Error);

impl From<Unanswered> for Diagnostic {
    fn from(Unanswered(error): Unanswered) -> Diagnostic {
        Diagnostic { error_type: "outrider".to_owned(), error_message: format!("{error:#}") }
    }
}

/// Asks for events and answers them until that cannot be done any more.
pub(super) async fn serve(source: SocketAddr) -> anyhow::Result<()> {
    // None is kept open: the process sleeps between events, and does not see the other end go.
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
    let handler = service_fn(move |event: LambdaEvent<Event>| {
        let client = client.clone();
        async move { answer(&client, source, event.payload).await.map_err(Unanswered) }
    });
    lambda_runtime::run(handler).await.map_err(anyhow::Error::from_boxed)
}

async fn answer(client: &Client, source: SocketAddr, event: Event) -> anyhow::Result<Answer> {
    let method = event.method().context(
        "the event is no HTTP request; send those of a function URL, an API Gateway or a load balancer to this function",
    )?;
    let mut request = client.request(Method::from_bytes(method.as_bytes())?, format!("http://{source}/"));
    for name in PASSED {
        if let Some(value) = event.header(name.as_str()) {
            request = request.header(name, value);
        }
    }
    let response = request.body(event.into_body()?).send().await.context("the source does not answer")?;
    let status_code = response.status().as_u16();
    let body = response.text().await.context("the source's answer ended early")?;
    let headers = BTreeMap::from([("content-type", "application/json")]);
    Ok(Answer { status_code, headers, body, is_base64_encoded: false })
}

impl Event {
    fn method(&self) -> Option<&str> {
        self.request_context.http.as_ref().map(|http| &*http.method).or(self.http_method.as_deref())
    }

    /// The value of a header, whose name an event may spell as its sender did.
    fn header(&self, name: &str) -> Option<&str> {
        let single = self.headers.iter().flatten().map(|(known, value)| (known, Some(value)));
        let several = self.multi_value_headers.iter().flatten().map(|(known, values)| (known, values.last()));
        let found = single.chain(several).find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.map(String::as_str))
    }

    fn into_body(self) -> anyhow::Result<Vec<u8>> {
        let body = self.body.unwrap_or_default();
        if self.is_base64_encoded {
            return BASE64_STANDARD.decode(body).context("the event's body is not base64, as it says");
        }
        Ok(body.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Event {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn events_of_every_sender_are_read() {
        let of_url = event(
            r#"{"version": "2.0", "rawPath": "/", "headers": {"authorization": "Bearer s", "content-encoding": "gzip"},
                "requestContext": {"http": {"method": "POST", "path": "/"}, "stage": "$default"},
                "body": "e30=", "isBase64Encoded": true}"#,
        );
        assert_eq!((of_url.method(), of_url.header("authorization")), (Some("POST"), Some("Bearer s")));
        assert_eq!(of_url.into_body().unwrap(), b"{}");
        let of_gateway = event(
            r#"{"httpMethod": "POST", "headers": null, "multiValueHeaders": {"Authorization": ["a", "Bearer s"]},
                "requestContext": {"accountId": "1"}, "body": "[]", "isBase64Encoded": false}"#,
        );
        assert_eq!((of_gateway.method(), of_gateway.header("authorization")), (Some("POST"), Some("Bearer s")));
        assert_eq!(of_gateway.into_body().unwrap(), b"[]");
        let of_balancer = event(r#"{"httpMethod": "GET", "headers": {"Content-Type": "text/plain"}, "body": null}"#);
        assert_eq!(of_balancer.header("content-type"), Some("text/plain"));
        assert_eq!(of_balancer.header("authorization"), None);
        assert!(of_balancer.into_body().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_no_request_says_what_it_should_be() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let refused = |event| async move { answer(&Client::new(), nowhere, event).await.unwrap_err().to_string() };
        assert!(refused(event(r#"{"source": "aws.events"}"#)).await.contains("function URL"));
        let broken = event(r#"{"httpMethod": "POST", "body": "%", "isBase64Encoded": true}"#);
        assert!(refused(broken).await.contains("base64"));
    }
}
