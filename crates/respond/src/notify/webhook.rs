//! Signed webhooks, after the Standard Webhooks specification (standardwebhooks.com): one POST a message, with
//! `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`.
//!
//! It decides what a call looks like and what an answer means. It never tries again: when, is for who keeps the message.

use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use sha2::Sha256;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a call may take in all.
const CALL_TIME_MAX: Duration = Duration::from_secs(15);
/// What is read of a refusal, for the person who has to understand it.
const REFUSAL_BYTES_MAX: usize = 300;
/// The specification's bounds for a key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Secrets that a file may hold: the one in use, and others while receivers change over.
const SECRETS_MAX: usize = 4;
const SECRET_FILE_BYTES_MAX: u64 = 4096;
/// What a secret begins with, so that people and secret scanners know it.
const SECRET_PREFIX: &str = "whsec_";

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The address. Off loopback it must be `https`, unless `allow_plain_http` is set.
    pub url: String,
    /// The file with the secret, `whsec_` and base64; several lines sign with each of them.
    pub secret_file: PathBuf,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Send in clear although the address is not loopback.
    pub allow_plain_http: bool,
}

/// Why a webhook cannot be set up, or signed for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The address cannot be meant.
    #[error("the url is not usable: {0}")]
    Url(String),
    /// A file cannot be read or does not hold what it should.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is expected.
        why: String,
    },
    /// The client cannot be made.
    #[error("no connections can be made: {0}")]
    Client(String),
}

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DeliveryError {
    /// For operators. Neither the address nor the secret is in it.
    pub detail: String,
    /// What it means for the message.
    pub failure: Failure,
    /// How long the destination asks to wait.
    pub retry_after: Option<Duration>,
}

/// What a failure means for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The destination is away or has too much to do; nothing is known about the message.
    Unavailable,
    /// The destination does not want this message as it is.
    Refused,
    /// The destination is gone for good: 410.
    Gone,
}

/// One destination.
pub struct Webhook {
    http: reqwest::Client,
    url: Url,
    secret_file: PathBuf,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path of an address often is a secret.
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl WebhookSettings {
    /// Refuses what cannot be meant, without reading a file or connecting.
    pub fn validate(&self) -> Result<(), WebhookError> {
        self.parsed_url().map(drop)
    }

    fn parsed_url(&self) -> Result<Url, WebhookError> {
        let wrong = |why: &str| WebhookError::Url(why.to_owned());
        let url = Url::parse(&self.url).map_err(|error| WebhookError::Url(error.to_string()))?;
        let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
        let is_loopback = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback || self.allow_plain_http => Ok(url),
            "http" => Err(wrong(
                "`http` off loopback shows alerts to everybody on the way; use `https`, or set allow_plain_http = true",
            )),
            _ => Err(wrong("use `https`")),
        }
    }
}

impl Webhook {
    /// Sets a destination up: reads its files, connects to nothing yet.
    pub fn new(settings: &WebhookSettings) -> Result<Webhook, WebhookError> {
        let url = settings.parsed_url()?;
        read_keys(&settings.secret_file)?;
        // No redirects: a signed message goes to the address that was configured. A proxy of the environment is used: from
        // many premises nothing else leads out.
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(CALL_TIME_MAX)
            .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca_file {
            let wrong = |why: String| WebhookError::File { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| wrong(format!("holds no PEM certificates: {error}")))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| WebhookError::Client(words(error)))?;
        Ok(Webhook { http, url, secret_file: settings.secret_file.clone() })
    }

    /// Brings one message. `now_s` is the time that the signature carries.
    pub async fn deliver(&self, id: &str, now_s: i64, body: &str) -> Result<(), DeliveryError> {
        // The file is read each time, so that a secret is changed without a restart.
        let keys = read_keys(&self.secret_file).map_err(|error| unavailable(error.to_string()))?;
        let signatures: Vec<_> = keys.iter().map(|key| sign(key, id, now_s, body)).collect();
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now_s.to_string())
            .header("webhook-signature", signatures.join(" "))
            .body(body.to_owned());
        let response = request.send().await.map_err(|error| unavailable(words(error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = retry_after(response.headers(), now_s);
        let beginning = beginning_of(response).await;
        let detail = if beginning.is_empty() {
            format!("it answered {status}")
        } else {
            format!("it answered {status}: {beginning}")
        };
        Err(DeliveryError { detail, failure: failure_of(status), retry_after })
    }
}

/// The signature of a message by one key.
pub fn sign(key: &[u8], id: &str, timestamp_s: i64, body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{timestamp_s}.").as_bytes());
    mac.update(body.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The text of a secret made of random bytes.
pub fn new_secret(random: [u8; 32]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(random))
}

fn failure_of(status: StatusCode) -> Failure {
    match status.as_u16() {
        410 => Failure::Gone,
        // Too early, too slow, too many: about the moment and not about the message. So are 401, 403 and 404, which come of
        // a wrong address or secret: the operator mends those, and no message should be given up meanwhile.
        401 | 403 | 404 | 408 | 425 | 429 => Failure::Unavailable,
        400..=499 => Failure::Refused,
        _ => Failure::Unavailable,
    }
}

fn unavailable(detail: String) -> DeliveryError {
    DeliveryError { detail, failure: Failure::Unavailable, retry_after: None }
}

/// A number of seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now_s: i64) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second();
    Some(Duration::from_secs(u64::try_from(at - now_s).unwrap_or(0)))
}

/// The beginning of a refusal on one line.
async fn beginning_of(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < REFUSAL_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(REFUSAL_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    text.split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The transport's words with their causes, without the address.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn read_keys(path: &Path) -> Result<Vec<Vec<u8>>, WebhookError> {
    let wrong = |why: String| WebhookError::File { path: path.to_owned(), why };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| wrong(format!("the secret cannot be read: {error}")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Option<Vec<_>> = lines.map(key_of).collect();
    let keys = keys.filter(|keys| (1..=SECRETS_MAX).contains(&keys.len()));
    keys.ok_or_else(|| {
        wrong(format!("a line is no secret; each of 1 to {SECRETS_MAX} lines is `whsec_` and base64 of 24 to 64 bytes"))
    })
}

fn key_of(line: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(line.strip_prefix(SECRET_PREFIX)?).ok()?;
    KEY_BYTES.contains(&key.len()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        // The pair that the specification's own libraries are tested with.
        let key = key_of("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let signature = sign(&key, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn secrets_are_read_by_line_and_others_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let good = new_secret([7; 32]);
        let cases = [
            (good.clone(), Some(1)),
            (format!("\n{good}\n\n  {good}  \n"), Some(2)),
            (String::new(), None),
            ("whsec_".to_owned(), None),
            ("whsec_c2hvcnQ=".to_owned(), None),
            (good.replace("whsec_", ""), None),
            (format!("{good}\nrubbish"), None),
            (format!("{good}\n").repeat(5), None),
        ];
        for (text, keys) in cases {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(read_keys(&path).ok().map(|keys| keys.len()), keys, "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read_keys(&path).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn addresses_are_https_or_stay_on_the_machine() {
        let settings = |url: &str, allow_plain_http| WebhookSettings {
            url: url.to_owned(),
            secret_file: PathBuf::new(),
            ca_file: None,
            allow_plain_http,
        };
        let cases = [
            ("https://hooks.example/x", false, true),
            ("http://127.0.0.1:80/x", false, true),
            ("http://localhost/x", false, true),
            ("http://[::1]:8080/", false, true),
            ("http://hooks.example/x", false, false),
            ("http://hooks.example/x", true, true),
            ("http://10.0.0.1/x", false, false),
            ("ftp://hooks.example/x", true, false),
            ("hooks.example", false, false),
        ];
        for (url, allowed, good) in cases {
            assert_eq!(settings(url, allowed).validate().is_ok(), good, "{url} {allowed}");
        }
    }

    #[test]
    fn answers_mean_try_again_or_give_up() {
        let cases = [
            (400, Failure::Refused),
            (401, Failure::Unavailable),
            (404, Failure::Unavailable),
            (410, Failure::Gone),
            (413, Failure::Refused),
            (422, Failure::Refused),
            (429, Failure::Unavailable),
            (301, Failure::Unavailable),
            (500, Failure::Unavailable),
            (503, Failure::Unavailable),
        ];
        for (status, failure) in cases {
            assert_eq!(failure_of(StatusCode::from_u16(status).unwrap()), failure, "{status}");
        }
    }

    #[test]
    fn how_long_to_wait_is_said_in_seconds_or_as_a_date() {
        let asked = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, 784_111_777).map(|wait| wait.as_secs())
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(asked("Sun, 06 Nov 1994 08:48:47 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), 0), None);
    }
}
