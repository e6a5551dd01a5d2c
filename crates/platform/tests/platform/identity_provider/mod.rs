//! An identity provider on loopback: signs with keys of its own, lets whoever is set in, and can be told to be wrong.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaPublicKeyComponents,
};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

pub const CLIENT_ID: &str = "outrider";
/// With characters that have to be encoded in a header.
pub const SECRET: &str = "hush: 100% ü";

/// What a path answers instead of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Failing,
    Html,
    /// Never.
    Slow,
    Huge,
    Elsewhere,
}

/// How ID tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// With the newest key.
    Right,
    /// With a key that is not published.
    Forged,
    /// Not at all: `alg` is `none`.
    None,
    /// With what everybody knows, as if it were a secret: `alg` is `HS256`.
    Keyed,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

struct Keyed {
    id: String,
    pair: Pair,
}

/// What a code was given for.
struct Grant {
    challenge: String,
    nonce: String,
    redirect: String,
}

struct Inner {
    keys: Vec<Keyed>,
    codes: HashMap<String, Grant>,
    codes_given: u32,
    person: Value,
    changes: Value,
    discovery: Value,
    signing: Signing,
    faults: HashMap<&'static str, Fault>,
    calls: HashMap<String, u32>,
    is_public: bool,
    refuses: Option<&'static str>,
}

#[derive(Clone)]
pub struct IdentityProvider {
    pub issuer: String,
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

impl IdentityProvider {
    pub async fn start() -> IdentityProvider {
        IdentityProvider::start_as(None).await
    }

    /// One that names itself with this scheme and host, because something stands in front of it.
    pub async fn start_as(origin: Option<String>) -> IdentityProvider {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // With a path, as many providers have it.
        let issuer = format!("{}/realms/main", origin.unwrap_or_else(|| format!("http://{address}")));
        let pair = Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        let inner = Inner {
            keys: vec![Keyed { id: "first".to_owned(), pair }],
            codes: HashMap::new(),
            codes_given: 0,
            person: json!({"sub": "0001", "preferred_username": "anna", "name": "Anna", "groups": ["sec-oncall"]}),
            changes: json!({}),
            discovery: json!({}),
            signing: Signing::Right,
            faults: HashMap::new(),
            calls: HashMap::new(),
            is_public: false,
            refuses: None,
        };
        let provider = IdentityProvider { issuer, address, inner: Arc::new(Mutex::new(inner)) };
        let router = Router::new()
            .route("/realms/main/.well-known/openid-configuration", get(discovery))
            .route("/realms/main/keys", get(keys))
            .route("/realms/main/authorize", get(authorize))
            .route("/realms/main/token", post(token))
            .layer(from_fn_with_state(provider.clone(), be_wrong))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    /// Where it is itself, with nothing in front.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Who signs in.
    pub fn person(&self, claims: Value) {
        self.lock().person = claims;
    }

    /// Claims of the ID token that are other than they should be; null takes one away.
    pub fn change_claims(&self, changes: Value) {
        self.lock().changes = changes;
    }

    /// The same for the discovery document.
    pub fn change_discovery(&self, changes: Value) {
        self.lock().discovery = changes;
    }

    pub fn sign(&self, signing: Signing) {
        self.lock().signing = signing;
    }

    /// Signs with another key from now on, an elliptic one. The earlier ones are not published any more.
    pub fn rotate(&self) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        self.lock().keys = vec![Keyed { id: "second".to_owned(), pair: Pair::P256(pair) }];
    }

    /// What the end of a path answers.
    pub fn fail(&self, path: &'static str, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.lock().faults.insert(path, fault),
            None => self.lock().faults.remove(path),
        };
    }

    /// Asks for no secret.
    pub fn make_public(&self) {
        self.lock().is_public = true;
    }

    /// Lets nobody in, with this error.
    pub fn refuse(&self, error: Option<&'static str>) {
        self.lock().refuses = error;
    }

    /// How often the end of a path was asked for.
    pub fn calls(&self, path: &str) -> u32 {
        self.lock().calls.get(path).copied().unwrap_or(0)
    }

    /// What a browser does that is sent there: where it is sent back to.
    pub async fn visit(&self, url: &str) -> String {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        // Past what may stand in front.
        let (_, path) = url.split_once("/realms/").unwrap();
        let response = http.get(format!("http://{}/realms/{path}", self.address)).send().await.unwrap();
        assert_eq!(response.status(), 302, "{url}");
        response.headers()["location"].to_str().unwrap().to_owned()
    }
}

/// A browser: keeps cookies, and goes on only when it is told to.
#[derive(Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
    /// It is a program that shows no pages.
    pub is_program: bool,
}

/// What a browser is shown.
pub struct Shown {
    pub status: u16,
    pub location: String,
    pub set_cookies: Vec<String>,
    pub body: Value,
}

impl Browser {
    pub async fn get(&mut self, url: &str) -> Shown {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let accept = if self.is_program { "*/*" } else { "text/html,*/*;q=0.8" };
        let request = http.get(url).header("accept", accept).header("cookie", cookies.join("; "));
        let response = request.send().await.unwrap();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
        let set_cookies: Vec<_> = response.headers().get_all("set-cookie").iter().map(text).collect();
        for cookie in &set_cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            }
        }
        let location = response.headers().get("location").map(text).unwrap_or_default();
        let status = response.status().as_u16();
        let body = response.text().await.unwrap();
        Shown { status, location, set_cookies, body: serde_json::from_str(&body).unwrap_or(Value::Null) }
    }

    /// Goes to the provider and comes back: where to, at this outrider, whatever its public address is.
    pub async fn begin(&mut self, outrider: &str, provider: &IdentityProvider) -> String {
        let away = self.get(&format!("{outrider}/api/v1/session/oidc")).await;
        assert_eq!(away.status, 303, "{}", away.body);
        let back = provider.visit(&away.location).await;
        format!("{outrider}/api/v1/session/oidc/callback?{}", back.split_once('?').unwrap().1)
    }

    /// A whole sign-in.
    pub async fn sign_in(&mut self, outrider: &str, provider: &IdentityProvider) -> Shown {
        let back = self.begin(outrider, provider).await;
        self.get(&back).await
    }
}

async fn be_wrong(State(provider): State<IdentityProvider>, request: Request, next: Next) -> Response {
    let path = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let fault = {
        let mut inner = provider.lock();
        *inner.calls.entry(path.clone()).or_default() += 1;
        inner.faults.get(path.as_str()).copied()
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::Failing) => StatusCode::BAD_GATEWAY.into_response(),
        Some(Fault::Html) => axum::response::Html("<html>Sign in to the hotel's network</html>").into_response(),
        Some(Fault::Slow) => std::future::pending().await,
        Some(Fault::Huge) => Body::from(vec![b' '; 1 << 20]).into_response(),
        Some(Fault::Elsewhere) => (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response(),
    }
}

async fn discovery(State(provider): State<IdentityProvider>) -> Response {
    let at = |path: &str| format!("{}/{path}", provider.issuer);
    let document = json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "jwks_uri": at("keys"),
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    axum::Json(changed(document, &provider.lock().discovery)).into_response()
}

async fn keys(State(provider): State<IdentityProvider>) -> Response {
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    // What outrider does not use is published as well.
    let mut keys = vec![json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "other"}), json!("no key")];
    for Keyed { id, pair } in &provider.lock().keys {
        keys.push(match pair {
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": encoded(&public.n), "e": encoded(&public.e)})
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": encoded(&point[1..33]), "y": encoded(&point[33..])})
            }
        });
    }
    axum::Json(json!({"keys": keys})).into_response()
}

async fn authorize(State(provider): State<IdentityProvider>, uri: Uri) -> Response {
    let asked: HashMap<String, String> = pairs(uri.query().unwrap_or_default());
    assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", CLIENT_ID));
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
    assert_eq!(asked["code_challenge_method"], "S256");
    let mut inner = provider.lock();
    let redirect = asked["redirect_uri"].clone();
    let mut back = form_urlencoded::Serializer::new(format!("{redirect}?"));
    back.append_pair("state", &asked["state"]).append_pair("session_state", "unknown to outrider");
    match inner.refuses {
        Some(error) => back.append_pair("error", error),
        None => {
            inner.codes_given += 1;
            let code = format!("code-{}", inner.codes_given);
            let (challenge, nonce) = (asked["code_challenge"].clone(), asked["nonce"].clone());
            inner.codes.insert(code.clone(), Grant { challenge, nonce, redirect });
            back.append_pair("code", &code).append_pair("iss", &provider.issuer)
        }
    };
    (StatusCode::FOUND, [(header::LOCATION, back.finish())]).into_response()
}

async fn token(State(provider): State<IdentityProvider>, request: Request) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
    let form = pairs(std::str::from_utf8(&body).unwrap());
    let refused = |error: &str| (StatusCode::BAD_REQUEST, axum::Json(json!({"error": error}))).into_response();
    let mut inner = provider.lock();
    if !inner.is_public && !has_secret(authorization.as_deref(), &form) {
        return refused("invalid_client");
    }
    let Some(Grant { challenge, nonce, redirect }) = inner.codes.remove(&form["code"]) else {
        return refused("invalid_grant");
    };
    let is_whose = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"])) == challenge;
    if !is_whose || form["redirect_uri"] != redirect || form["grant_type"] != "authorization_code" {
        return refused("invalid_grant");
    }
    let now_s = now_ms() / 1000;
    let mut claims = json!({
        "iss": provider.issuer,
        "aud": CLIENT_ID,
        "exp": now_s + 300,
        "iat": now_s,
        "nonce": nonce,
        "at_hash": URL_SAFE_NO_PAD.encode(&Sha256::digest("access")[..16]),
    });
    claims.as_object_mut().unwrap().extend(inner.person.as_object().unwrap().clone());
    let claims = changed(claims, &inner.changes);
    let id_token = signed(&inner, &claims);
    axum::Json(json!({"access_token": "access", "token_type": "Bearer", "id_token": id_token})).into_response()
}

fn has_secret(authorization: Option<&str>, form: &HashMap<String, String>) -> bool {
    let in_header = authorization.and_then(|value| value.strip_prefix("Basic ")).is_some_and(|value| {
        let text = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
        let (id, secret) = text.split_once(':').unwrap();
        let plain = |text: &str| pairs(&format!("x={text}"))["x"].clone();
        (plain(id).as_str(), plain(secret).as_str()) == (CLIENT_ID, SECRET)
    });
    let in_body = form.get("client_id").map(String::as_str) == Some(CLIENT_ID)
        && form.get("client_secret").map(String::as_str) == Some(SECRET);
    in_header != in_body
}

fn signed(inner: &Inner, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let Keyed { id, pair } = inner.keys.last().unwrap();
    let algorithm = match (inner.signing, pair) {
        (Signing::None, _) => "none",
        (Signing::Keyed, _) => "HS256",
        (_, Pair::Rsa(_)) => "RS256",
        (_, Pair::P256(_)) => "ES256",
    };
    let message = format!("{}.{}", encoded(&json!({"alg": algorithm, "kid": id})), encoded(claims));
    let forger;
    let pair = if inner.signing == Signing::Forged {
        forger = Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        &forger
    } else {
        pair
    };
    let signature = match (inner.signing, pair) {
        (Signing::None, _) => Vec::new(),
        (Signing::Keyed, _) => Sha256::digest(&message).to_vec(),
        (_, Pair::Rsa(pair)) => {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
            signature
        }
        (_, Pair::P256(pair)) => pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
    };
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn pairs(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn changed(document: Value, changes: &Value) -> Value {
    let mut document: Map<String, Value> = document.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        document.insert(name.clone(), value.clone());
    }
    document.retain(|_, value| !value.is_null());
    Value::Object(document)
}
