//! The provider over HTTP: its discovery document, its keys, and a code in exchange for tokens.
//!
//! It decides how long what the provider published is good for, when it is asked again, and how much of it is read. A
//! provider that is away costs each sign-in one call and is asked again a few seconds later; nothing else waits for it.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::OidcError;
use super::begun::Begun;
use super::settings::{OidcSettings, safe_url};
use super::token::{Key, SignedToken, find_key, usable_keys};

const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// No answer of a provider comes near this; what is longer is not read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const SECRET_BYTES_MAX: u64 = 4096;
/// How long the discovery document is good for.
const METADATA_AGE_MS_MAX: i64 = 3_600_000;
/// How long keys are good for: one that was withdrawn is not accepted for longer.
const KEYS_AGE_MS_MAX: i64 = 3_600_000;
/// How old keys have to be to be asked for again because one is missing.
const KEYS_AGE_MS_MIN: i64 = 30_000;
/// How long nobody tries again after a failure.
const FAILURE_AGE_MS_MAX: i64 = 3_000;

/// The provider as it is reached.
#[derive(Debug)]
pub(super) struct Provider {
    http: reqwest::Client,
    metadata: Kept<Metadata>,
    keys: Kept<Vec<Key>>,
}

/// What of the discovery document is used.
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The discovery document, looked through.
#[derive(Debug)]
pub(super) struct Metadata {
    pub authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    /// Whether the secret goes into the body, because the provider does not take it in a header.
    is_secret_in_body: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// What a code is exchanged for.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub id_token: Option<String>,
    pub access_token: Option<String>,
}

#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
}

impl Provider {
    pub(super) fn new(settings: &OidcSettings, call_time: Duration) -> Result<Provider, OidcError> {
        // No redirects: secrets go to the addresses that the provider published.
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME_MAX.min(call_time))
            .timeout(call_time)
            .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca_file {
            let wrong = |why: String| OidcError::File { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| wrong(format!("holds no PEM certificates: {error}")))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let failed = |error| OidcError::Provider { doing: "prepare calls to it", why: words(error) };
        Ok(Provider { http: builder.build().map_err(failed)?, metadata: Kept::default(), keys: Kept::default() })
    }

    /// The discovery document of an issuer (OpenID Connect Discovery, 4).
    pub(super) async fn metadata(&self, issuer: &str, now_ms: i64) -> Result<Arc<Metadata>, OidcError> {
        let ask = async {
            let doing = "read its discovery document";
            let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
            let document: Document = self.document(&url, doing).await?;
            metadata_of(document, issuer).map_err(|why| OidcError::Provider { doing, why })
        };
        self.metadata.get(METADATA_AGE_MS_MAX, now_ms, ask).await
    }

    /// The key that a token says it is signed with. For one that is not known the keys are asked for again, if they are
    /// not new.
    pub(super) async fn key(
        &self,
        metadata: &Metadata,
        token: &SignedToken<'_>,
        now_ms: i64,
    ) -> Result<Key, OidcError> {
        for age_ms_max in [KEYS_AGE_MS_MAX, KEYS_AGE_MS_MIN] {
            let ask = async {
                let set: KeySet = self.document(metadata.jwks_uri.as_str(), "read its keys").await?;
                Ok(usable_keys(set.keys))
            };
            let keys = self.keys.get(age_ms_max, now_ms, ask).await?;
            if let Some(key) = find_key(&keys, token) {
                return Ok(key.clone());
            }
        }
        Err(OidcError::Token("it is signed with a key that the provider does not publish".to_owned()))
    }

    /// Exchanges the code of a callback for tokens (OpenID Connect Core, 3.1.3).
    pub(super) async fn exchange(
        &self,
        settings: &OidcSettings,
        metadata: &Metadata,
        code: &str,
        begun: &Begun,
    ) -> Result<Tokens, OidcError> {
        let doing = "exchange a code for tokens";
        let failed = |why: String| OidcError::Provider { doing, why };
        let secret = settings.client_secret_file.as_deref().map(read_secret).transpose()?;
        let (in_header, in_body) = if metadata.is_secret_in_body { (None, secret) } else { (secret, None) };
        let mut request = self.http.post(metadata.token_endpoint.clone());
        if let Some(secret) = &in_header {
            request = request.header(AUTHORIZATION, basic(&settings.client_id, secret));
        }
        let redirect = settings.callback_url();
        let verifier = begun.verifier();
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect),
            ("code_verifier", &verifier),
        ];
        if in_header.is_none() {
            pairs.push(("client_id", &settings.client_id));
        }
        pairs.extend(in_body.as_deref().map(|secret| ("client_secret", secret)));
        let body = Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let (status, body) = answer(request, doing).await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| failed(not_json(&error)));
        }
        match serde_json::from_slice::<TokenRefusal>(&body) {
            Ok(refusal) if refusal.error == "invalid_grant" => Err(OidcError::Code),
            Ok(refusal) => Err(failed(format!("it answered {status}: {}", plain(&refusal.error)))),
            Err(_) => Err(failed(format!("it answered {status}"))),
        }
    }

    async fn document<T: DeserializeOwned>(&self, url: &str, doing: &'static str) -> Result<T, OidcError> {
        let failed = |why: String| OidcError::Provider { doing, why };
        match answer(self.http.get(url), doing).await? {
            (StatusCode::OK, body) => serde_json::from_slice(&body).map_err(|error| failed(not_json(&error))),
            (status, _) => Err(failed(format!("{url} answered {status}"))),
        }
    }
}

fn metadata_of(document: Document, issuer: &str) -> Result<Metadata, String> {
    if document.issuer != issuer {
        let theirs = plain(&document.issuer);
        return Err(format!(
            "it names itself `{theirs}`, and access.oidc.issuer is `{issuer}`; they have to be the same"
        ));
    }
    let address = |what: &str, text: &str| safe_url(text).map_err(|why| format!("its {what} `{}`: {why}", plain(text)));
    let is_secret_in_body = match document.token_endpoint_auth_methods_supported {
        // OpenID Connect Discovery, 3: then it is the header.
        None => false,
        Some(methods) => !methods.iter().any(|method| method == "client_secret_basic"),
    };
    Ok(Metadata {
        authorization_endpoint: address("authorization_endpoint", &document.authorization_endpoint)?,
        token_endpoint: address("token_endpoint", &document.token_endpoint)?,
        jwks_uri: address("jwks_uri", &document.jwks_uri)?,
        is_secret_in_body,
    })
}

/// One answer, limited in size. Its time is limited by the client.
async fn answer(request: RequestBuilder, doing: &'static str) -> Result<(StatusCode, Vec<u8>), OidcError> {
    let failed = |why: String| OidcError::Provider { doing, why };
    let unreachable = |error| failed(words(error));
    let mut response = request.header(ACCEPT, "application/json").send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(failed(format!("its answer has more than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status(), body))
}

/// Something the provider published. Whoever needs it anew asks, and the others wait for that.
#[derive(Debug)]
struct Kept<T>(Mutex<Slot<T>>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<(i64, Arc<T>)>,
    failure: Option<(i64, OidcError)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Mutex::new(Slot { value: None, failure: None }))
    }
}

impl<T> Kept<T> {
    /// The value, if it is young enough, or what `ask` says, which is done only then. A failure is everybody's for a moment, so that those who
    /// waited do not wait again, each in turn.
    async fn get(
        &self,
        age_ms_max: i64,
        now_ms: i64,
        ask: impl Future<Output = Result<T, OidcError>>,
    ) -> Result<Arc<T>, OidcError> {
        // A clock that was set back makes things old.
        let is_young = |since_ms: i64, max: i64| (0..max).contains(&(now_ms - since_ms));
        let mut slot = self.0.lock().await;
        if let Some((since_ms, value)) = &slot.value
            && is_young(*since_ms, age_ms_max)
        {
            return Ok(Arc::clone(value));
        }
        if let Some((since_ms, failure)) = &slot.failure
            && is_young(*since_ms, FAILURE_AGE_MS_MAX)
        {
            return Err(failure.clone());
        }
        match ask.await {
            Ok(value) => {
                let value = Arc::new(value);
                *slot = Slot { value: Some((now_ms, Arc::clone(&value))), failure: None };
                Ok(value)
            }
            Err(failure) => {
                tell(&failure);
                slot.failure = Some((now_ms, failure.clone()));
                Err(failure)
            }
        }
    }
}

/// Says what is wrong with the provider, once for each time that it was asked, however many people wait for it.
pub(super) fn tell(failure: &OidcError) {
    if let OidcError::Provider { .. } = failure {
        tracing::warn!(error = %failure, "nobody can sign in with the identity provider");
    }
}

/// The header of a client with a secret. Both parts are encoded first (RFC 6749, 2.3.1).
fn basic(client_id: &str, secret: &str) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret))))
}

/// The file is read each time, so that a secret is changed without a restart.
pub(super) fn read_secret(path: &Path) -> Result<String, OidcError> {
    let wrong = |why: String| OidcError::File { path: path.to_owned(), why };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let secret = text.trim();
    if secret.is_empty() { Err(wrong("holds no secret".to_owned())) } else { Ok(secret.to_owned()) }
}

fn not_json(error: &serde_json::Error) -> String {
    format!("its answer is not the JSON that belongs there: {error}")
}

/// The beginning of a provider's word, fit for one line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The transport's words with their causes.
fn words(error: reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
