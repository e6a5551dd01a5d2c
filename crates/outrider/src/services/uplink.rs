//! The way from the premises to the platform: one address, one token, and what each answer means.
//!
//! The files of token and certificates are read again when they change, so that they can be replaced while it runs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use outrider_model::{ActionReport, DesiredState, GatewaySnapshot};
use outrider_platform::premises::wire::{
    Heartbeat, HeartbeatAnswer, INSTANCE_HEADER, PROTOCOL, PROTOCOL_HEADER, Reports, Shipped, ShippedBatch,
    encode_shipment,
};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::link::{Failure, Link};
use crate::config::UplinkConfig;
use crate::edges::now_ms;
use crate::installation;

/// How long a connection may take to come about.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a request may take in all; one for news is held open for 20 s by the platform.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// The same where the gateway waits meanwhile, which it does for 10 s: it should hear why before it gives up.
const WAITED_FOR_TIME_MAX: Duration = Duration::from_secs(8);
/// How long a connection is kept that is not used. An instance that keeps nothing may sleep, and not see its other end go.
const IDLE_MAX: Duration = Duration::from_secs(90);
const IDLE_ASLEEP_MAX: Duration = Duration::from_secs(5);
/// No answer is larger; a desired state with the most actions has a few megabytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of a refusal is quoted.
const REFUSAL_CHARACTERS_MAX: usize = 500;
/// The wait after a first failure, and the longest.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Why something was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// Not now: the platform is away, or does not let us in. It may be taken later.
    Now(String),
    /// A batch is from later than the platform's clock says; others may be taken.
    Early(String),
    /// Never, as it is.
    Ever(String),
}

impl NotTaken {
    /// What the platform says, or what keeps it from that.
    pub fn why(&self) -> &str {
        match self {
            NotTaken::Now(why) | NotTaken::Early(why) | NotTaken::Ever(why) => why,
        }
    }
}

/// What the platform knows a service by.
pub enum Token {
    /// In a file, which is read again each time: it can be replaced.
    File(PathBuf),
    /// In hand.
    Given(String),
}

/// Speaks to the platform.
pub struct Uplink {
    config: UplinkConfig,
    token: Token,
    instance: String,
    /// How long a request may take, and how long a connection is kept that is not used.
    times: [Duration; 2],
    client: Mutex<(Files, Client)>,
    link: Link,
}

/// What the client was made of.
#[derive(Default, PartialEq, Eq)]
struct Files {
    ca: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
}

impl Uplink {
    /// Reads the files, and connects to nothing yet.
    pub fn new(config: &UplinkConfig, data_dir: &Path) -> anyhow::Result<Uplink> {
        let token = config.token_file.clone().context("platform.token_file is not set")?;
        Uplink::with(config, Token::File(token), installation::instance(data_dir)?, [REQUEST_TIME_MAX, IDLE_MAX])
    }

    /// The same for who keeps nothing, and has senders who wait: an instance of its own each time.
    pub fn stateless(config: &UplinkConfig, token: Token) -> anyhow::Result<Uplink> {
        let instance = u64::from_be_bytes(installation::random()?);
        Uplink::with(config, token, format!("{instance:016x}"), [WAITED_FOR_TIME_MAX, IDLE_ASLEEP_MAX])
    }

    fn with(config: &UplinkConfig, token: Token, instance: String, times: [Duration; 2]) -> anyhow::Result<Uplink> {
        token.read()?;
        let files = read_files(config)?;
        let client = client(&files, times)?;
        let link = Link::new(&config.url);
        Ok(Uplink { config: config.clone(), token, instance, times, client: Mutex::new((files, client)), link })
    }

    /// How the way to the platform is.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Hands calls over. What the platform has already changes nothing.
    pub async fn ship(&self, batches: &[ShippedBatch]) -> Result<Shipped, NotTaken> {
        let shipment = encode_shipment(batches).map_err(|error| NotTaken::Ever(error.to_string()))?;
        self.ask(|client| client.post(self.url("calls")).body(shipment)).await
    }

    /// What a gateway has to hold, if that is not the version in hand. Waits for news for a while.
    pub async fn desired(&self, gateway: &str, after: Option<u64>) -> Result<Option<DesiredState>, NotTaken> {
        let mut query = vec![("gateway", gateway.to_owned())];
        query.extend(after.map(|version| ("after", version.to_string())));
        let mut url = reqwest::Url::parse(&self.url("desired")).map_err(|error| NotTaken::Now(error.to_string()))?;
        url.query_pairs_mut().extend_pairs(query);
        match self.send(|client| client.get(url)).await? {
            (StatusCode::NO_CONTENT, _) => Ok(None),
            (_, body) => parse(&body).map(Some),
        }
    }

    /// Tells what became of actions.
    pub async fn reports(&self, reports: &[ActionReport]) -> Result<(), NotTaken> {
        let reports = Reports { reports: reports.to_vec() };
        self.send(|client| client.post(self.url("reports")).json(&reports)).await.map(drop)
    }

    /// Tells what a gateway is configured to do.
    pub async fn configuration(&self, snapshot: &GatewaySnapshot) -> Result<(), NotTaken> {
        self.send(|client| client.post(self.url("configuration")).json(snapshot)).await.map(drop)
    }

    /// Tells how this service is.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatAnswer, NotTaken> {
        self.ask(|client| client.post(self.url("heartbeat")).json(heartbeat)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/premises/v1/{path}", self.config.url.trim_end_matches('/'))
    }

    async fn ask<T: DeserializeOwned>(&self, request: impl FnOnce(&Client) -> RequestBuilder) -> Result<T, NotTaken> {
        parse(&self.send(request).await?.1)
    }

    async fn send(&self, request: impl FnOnce(&Client) -> RequestBuilder) -> Result<(StatusCode, Vec<u8>), NotTaken> {
        let (status, body) = self.exchange(request).await.map_err(|failure| {
            let why = failure.seen.clone();
            self.link.failed(failure, now_ms());
            NotTaken::Now(why)
        })?;
        if status.is_success() {
            self.link.answered(now_ms());
            return Ok((status, body));
        }
        let why = refusal(status, &body);
        if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY) {
            // The way is good; what was sent is not.
            self.link.answered(now_ms());
            return Err(NotTaken::Ever(why));
        }
        self.link.failed(Failure::of_refusal(status.as_u16(), why.clone()), now_ms());
        Err(if is_early(status, &body) { NotTaken::Early(why) } else { NotTaken::Now(why) })
    }

    async fn exchange(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), Failure> {
        let files = |error: anyhow::Error| Failure::of_files(&error);
        let token = self.token.read().map_err(files)?;
        let request = request(&self.client().map_err(files)?)
            .bearer_auth(token)
            .header(PROTOCOL_HEADER, PROTOCOL)
            .header(INSTANCE_HEADER, &self.instance);
        let failed = |error: reqwest::Error| Failure::of_connection(&self.config.url, &error.without_url().into());
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                let seen = format!("the platform's answer is larger than {ANSWER_BYTES_MAX} bytes");
                return Err(Failure::of_refusal(status.as_u16(), seen));
            }
        }
        Ok((status, body))
    }

    /// A client with the certificates that are in the files now.
    fn client(&self) -> anyhow::Result<Client> {
        let files = read_files(&self.config)?;
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != files {
            let client = client(&files, self.times)?;
            *current = (files, client);
        }
        Ok(current.1.clone())
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, NotTaken> {
    serde_json::from_slice(body)
        .map_err(|error| NotTaken::Now(format!("the platform's answer is not as agreed: {error}")))
}

/// A conflict that names a batch is about its time; any other one is about all that is sent.
fn is_early(status: StatusCode, body: &[u8]) -> bool {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    status == StatusCode::CONFLICT && problem["where"].as_str().is_some_and(|place| place.starts_with("batch "))
}

/// What the platform says, or whoever answers in its place.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| problem[field].as_str();
    let words = match (text("detail"), text("hint")) {
        (Some(detail), Some(hint)) => format!("{detail}; {hint}"),
        (Some(detail), None) => detail.to_owned(),
        (None, _) => "the answer is not outrider's; is platform.url right?".to_owned(),
    };
    let words: String = words.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARACTERS_MAX).collect();
    format!("the platform refuses with {}: {words}", status.as_u16())
}

fn client(files: &Files, [request_max, idle_max]: [Duration; 2]) -> anyhow::Result<Client> {
    // No redirects: the token goes to the address that was configured.
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIME_MAX)
        .timeout(request_max)
        .pool_idle_timeout(idle_max)
        .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")));
    if let Some(ca) = &files.ca {
        let authorities = reqwest::Certificate::from_pem_bundle(ca).context("platform.ca_file holds no certificate")?;
        builder = builder.tls_certs_only(authorities);
    }
    if let Some(identity) = &files.identity {
        let identity = reqwest::Identity::from_pem(identity)
            .context("platform.certificate_file and platform.key_file hold no certificate with its key")?;
        builder = builder.identity(identity);
    }
    builder.build().context("no connections can be made")
}

fn read_files(config: &UplinkConfig) -> anyhow::Result<Files> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let identity = match (&config.certificate_file, &config.key_file) {
        (Some(certificate), Some(key)) => Some([read(key)?, b"\n".to_vec(), read(certificate)?].concat()),
        _ => None,
    };
    Ok(Files { ca: config.ca_file.as_deref().map(read).transpose()?, identity })
}

impl Token {
    fn read(&self) -> anyhow::Result<String> {
        let (text, place) = match self {
            Token::Given(text) => (text.clone(), "the environment".to_owned()),
            Token::File(path) => {
                let text = std::fs::read_to_string(path).with_context(|| {
                    format!(
                        "cannot read the token in {}; make one at the platform with `outrider service create` and put it \
                         there",
                        path.display()
                    )
                })?;
                (text, path.display().to_string())
            }
        };
        let token = text.trim();
        anyhow::ensure!(!token.is_empty() && token.is_ascii(), "{place} holds no token");
        Ok(token.to_owned())
    }
}

/// Waits between tries, longer each time, and says when trouble begins and when it is over.
pub struct Patience {
    what: &'static str,
    failures: u32,
}

impl Patience {
    /// `what` is what has to wait meanwhile.
    pub fn new(what: &'static str) -> Patience {
        Patience { what, failures: 0 }
    }

    /// It was taken.
    pub fn succeeded(&mut self) {
        if self.failures > 0 {
            tracing::info!(tries = self.failures, "{}: taken again", self.what);
        }
        self.failures = 0;
    }

    /// It was not; waits before the next try. Says `false` where it is to stop instead.
    pub async fn failed(&mut self, why: &str, stop: &CancellationToken) -> bool {
        if self.failures == 0 {
            tracing::warn!(why, "{}: not taken; it waits and is tried again", self.what);
        }
        let wait = wait_after(self.failures, chance());
        self.failures = self.failures.saturating_add(1);
        stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }
}

/// The wait after so many failures before this one. `chance`, from 0 to 1, keeps those apart that failed together.
fn wait_after(failures: u32, chance: f64) -> Duration {
    let wait = WAIT_FIRST.saturating_mul(1 << failures.min(16)).min(WAIT_MAX);
    wait.mul_f64(0.75 + chance / 2.0)
}

/// From 0 to 1. Without random numbers everybody waits equally long, which is no harm.
fn chance() -> f64 {
    installation::random::<4>().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_differ() {
        let cases =
            [(0, 0.5, 500), (1, 0.5, 1000), (4, 0.5, 8000), (5, 0.5, 15_000), (u32::MAX, 1.0, 18_750), (0, 0.0, 375)];
        for (failures, chance, milliseconds) in cases {
            assert_eq!(wait_after(failures, chance), Duration::from_millis(milliseconds), "{failures} {chance}");
        }
    }

    #[test]
    fn refusals_are_quoted_and_strangers_are_named() {
        let problem = br#"{"detail": "this token was revoked", "hint": "make another"}"#;
        assert_eq!(
            refusal(StatusCode::UNAUTHORIZED, problem),
            "the platform refuses with 401: this token was revoked; make another"
        );
        assert!(refusal(StatusCode::NOT_FOUND, b"<html>").contains("is platform.url right?"));
    }
}
