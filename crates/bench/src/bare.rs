//! **Bare**: the least that reading Kong's log lines can cost, against which everything is measured (decision 25).
//!
//! memchr framing and sonic-rs into a borrowed struct with the fields that an analysis needs. Frozen: neither this code
//! nor the corpus may change, or ratios of different commits could no longer be compared.

use std::borrow::Cow;

use serde::Deserialize;

/// What bare reads of a line.
#[derive(Debug, Deserialize)]
pub struct BareCall<'a> {
    #[serde(borrow)]
    request: BareRequest<'a>,
    response: BareResponse<'a>,
    latencies: BareLatencies,
    #[serde(borrow)]
    client_ip: Option<Wrapped<'a>>,
    started_at: i64,
    #[serde(borrow)]
    source: Option<Wrapped<'a>>,
    #[serde(borrow)]
    service: Option<BareNamed<'a>>,
    #[serde(borrow)]
    route: Option<BareNamed<'a>>,
    #[serde(borrow)]
    consumer: Option<BareConsumer<'a>>,
    #[serde(borrow)]
    authenticated_entity: Option<BareEntity<'a>>,
}

/// A text that borrows also inside an `Option`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Wrapped<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
struct BareRequest<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    uri: Cow<'a, str>,
    size: u64,
    #[serde(borrow)]
    headers: BareRequestHeaders<'a>,
}

#[derive(Debug, Deserialize)]
struct BareRequestHeaders<'a> {
    #[serde(borrow)]
    host: Option<Wrapped<'a>>,
    #[serde(borrow, rename = "user-agent")]
    user_agent: Option<Wrapped<'a>>,
    #[serde(borrow)]
    apikey: Option<Wrapped<'a>>,
}

#[derive(Debug, Deserialize)]
struct BareResponse<'a> {
    status: u16,
    size: u64,
    #[serde(borrow)]
    headers: BareResponseHeaders<'a>,
}

#[derive(Debug, Deserialize)]
struct BareResponseHeaders<'a> {
    #[serde(borrow, rename = "content-type")]
    content_type: Option<Wrapped<'a>>,
}

#[derive(Debug, Deserialize)]
struct BareLatencies {
    request: i64,
    kong: i64,
    proxy: i64,
}

#[derive(Debug, Deserialize)]
struct BareNamed<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<Wrapped<'a>>,
}

#[derive(Debug, Deserialize)]
struct BareConsumer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    username: Option<Wrapped<'a>>,
}

#[derive(Debug, Deserialize)]
struct BareEntity<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// Reads every line of `bytes` and adds up a little of each, so that no read can be left out.
///
/// Returns how many lines there were and the sum.
pub fn read_all(bytes: &[u8]) -> anyhow::Result<(u64, u64)> {
    let (mut lines, mut sum, mut start) = (0u64, 0u64, 0);
    for end in memchr::memchr_iter(b'\n', bytes) {
        let call: BareCall<'_> = sonic_rs::from_slice(&bytes[start..end])?;
        start = end + 1;
        lines += 1;
        sum = sum.wrapping_add(call.weight());
    }
    Ok((lines, sum))
}

impl BareCall<'_> {
    fn weight(&self) -> u64 {
        let text = |wrapped: &Option<Wrapped<'_>>| wrapped.as_ref().map_or(0, |w| w.0.len());
        let named = |named: &Option<BareNamed<'_>>| named.as_ref().map_or(0, |n| n.id.len() + text(&n.name));
        let texts = self.request.id.len()
            + self.request.method.len()
            + self.request.uri.len()
            + text(&self.request.headers.host)
            + text(&self.request.headers.user_agent)
            + text(&self.request.headers.apikey)
            + text(&self.response.headers.content_type)
            + text(&self.client_ip)
            + text(&self.source)
            + named(&self.service)
            + named(&self.route)
            + self.consumer.as_ref().map_or(0, |c| c.id.len() + text(&c.username))
            + self.authenticated_entity.as_ref().map_or(0, |e| e.id.len());
        let numbers = self.latencies.request + self.latencies.kong + self.latencies.proxy + self.started_at;
        (texts as u64)
            .wrapping_add(numbers.cast_unsigned())
            .wrapping_add(self.request.size + self.response.size + u64::from(self.response.status))
    }
}
