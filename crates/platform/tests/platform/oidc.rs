//! Signing in with an identity provider on loopback: who comes in, and everything that must not let anybody in.

use std::path::Path;
use std::time::Duration;

use crate::identity_provider::{CLIENT_ID, Fault, IdentityProvider, SECRET, Signing, now_ms};
use outrider_platform::oidc::{Begun, Callback, Identity, Oidc, OidcError, OidcSettings};
use outrider_platform::store::Role;
use outrider_platform::tls::{TlsServer, TlsSettings};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for loopback on a busy machine, and short enough to wait for once.
const CALL_TIME: Duration = Duration::from_secs(2);

struct Site {
    provider: IdentityProvider,
    oidc: Oidc,
    _directory: tempfile::TempDir,
}

fn settings(issuer: &str, directory: &Path) -> OidcSettings {
    let secret_file = directory.join("secret");
    std::fs::write(&secret_file, format!("{SECRET}\n")).unwrap();
    serde_json::from_value(json!({
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret_file": secret_file,
        "public_url": "https://outrider.example",
        "roles": [
            {"claim": "groups", "value": "sec-oncall", "role": "analyst"},
            {"claim": "groups", "value": "sec-lead", "role": "admin"},
        ],
    }))
    .unwrap()
}

impl Site {
    async fn start() -> Site {
        Site::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut OidcSettings)) -> Site {
        let provider = IdentityProvider::start().await;
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&provider.issuer, directory.path());
        change(&mut settings);
        let oidc = Oidc::new(settings, CALL_TIME).unwrap();
        Site { provider, oidc, _directory: directory }
    }

    /// A sign-in from its begin to where the browser comes back.
    async fn visit(&self, now_ms: i64) -> Result<(Begun, String), OidcError> {
        let (begun, url) = self.oidc.begin(now_ms).await?;
        Ok((begun, self.provider.visit(&url).await))
    }

    async fn sign_in_at(&self, now_ms: i64) -> Result<Identity, OidcError> {
        let (begun, back) = self.visit(now_ms).await?;
        self.oidc.complete(Some(begun), &callback(&back), now_ms).await
    }

    async fn sign_in(&self) -> Result<Identity, OidcError> {
        self.sign_in_at(now_ms()).await
    }
}

fn callback(back: &str) -> Callback {
    Callback::parse(back.split_once('?').unwrap().1)
}

/// That a sign-in is refused, with these words.
fn assert_refused(found: Result<Identity, OidcError>, words: &str, case: &str) {
    let error = found.expect_err(case).to_string();
    assert!(error.contains(words), "{case}: {error}");
}

#[tokio::test]
async fn whom_the_provider_vouches_for_comes_in_with_the_role_of_their_groups() {
    let site = Site::start().await;
    let identity = site.sign_in().await.unwrap();
    assert_eq!((identity.name.as_str(), identity.display_name.as_str()), ("anna", "Anna"));
    assert_eq!((identity.subject.as_str(), identity.role), ("0001", Role::Analyst));
    assert_eq!(identity.issuer, site.provider.issuer);
    let person = json!({"sub": "0001", "preferred_username": "Anna2", "groups": ["sec-oncall", "sec-lead"]});
    site.provider.person(person);
    let later = site.sign_in().await.unwrap();
    assert_eq!((later.subject.as_str(), later.name.as_str(), later.role), ("0001", "anna2", Role::Admin));
    let asked = ["openid-configuration", "keys", "token"].map(|path| site.provider.calls(path));
    assert_eq!(asked, [1, 1, 2], "what the provider publishes is kept for a while");
}

#[tokio::test]
async fn the_ways_of_clients_to_say_who_they_are() {
    let in_body = Site::start().await;
    in_body.provider.change_discovery(json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]}));
    in_body.sign_in().await.unwrap();
    let public = Site::with(|settings| settings.client_secret_file = None).await;
    assert_refused(public.sign_in().await, "invalid_client", "no secret");
    public.provider.make_public();
    public.sign_in().await.unwrap();
}

#[tokio::test]
async fn tokens_that_are_not_for_this_sign_in_are_refused() {
    let site = Site::start().await;
    let now_s = now_ms() / 1000;
    let cases = [
        (json!({}), ""),
        (json!({"nonce": "another"}), "for another sign-in"),
        (json!({"nonce": null}), "for another sign-in"),
        (json!({"iss": "https://sso.example"}), "another issuer"),
        (json!({"iss": [site.provider.issuer]}), "another issuer"),
        (json!({"aud": "another"}), "for another client"),
        (json!({"aud": null}), "for another client"),
        (json!({"aud": [CLIENT_ID]}), ""),
        (json!({"aud": [CLIENT_ID, "another"]}), "given to another client"),
        (json!({"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID}), ""),
        (json!({"azp": "another"}), "given to another client"),
        (json!({"exp": now_s - 90}), "has expired"),
        (json!({"exp": now_s - 30}), ""),
        (json!({"exp": null}), "has expired"),
        (json!({"exp": "9999999999"}), "has expired"),
        (json!({"iat": now_s + 300}), "of the future"),
        (json!({"iat": null}), "of the future"),
        (json!({"nbf": now_s + 300}), "of the future"),
        (json!({"nbf": now_s as f64 + 0.5}), ""),
        (json!({"at_hash": "AAAA"}), "does not belong to the access token"),
        (json!({"at_hash": null}), ""),
        (json!({"sub": null}), "names nobody"),
        (json!({"preferred_username": null}), "no usable claim `preferred_username`"),
        (json!({"groups": ["everybody"]}), "`anna` has no role in outrider"),
        (json!({"groups": null}), "does not have the claim groups"),
    ];
    for (changes, words) in cases {
        site.provider.change_claims(changes.clone());
        let found = site.sign_in().await;
        match words {
            "" => assert!(found.is_ok(), "{changes}: {found:?}"),
            words => assert_refused(found, words, &changes.to_string()),
        }
    }
}

#[tokio::test]
async fn only_signatures_of_the_provider_count() {
    let site = Site::start().await;
    for (signing, words) in [
        (Signing::None, "signed with `none`"),
        (Signing::Keyed, "signed with `HS256`"),
        (Signing::Forged, "not the provider's"),
    ] {
        site.provider.sign(signing);
        assert_refused(site.sign_in().await, words, words);
    }
    site.provider.sign(Signing::Right);
    site.sign_in().await.unwrap();
}

#[tokio::test]
async fn new_keys_are_fetched_when_one_is_missing_but_not_all_the_time() {
    let site = Site::start().await;
    let start = now_ms();
    site.sign_in_at(start).await.unwrap();
    site.provider.rotate();
    for _ in 0..3 {
        assert_refused(site.sign_in_at(start + 29_000).await, "does not publish", "the keys are new");
    }
    assert_eq!(site.provider.calls("keys"), 1);
    site.sign_in_at(start + 31_000).await.unwrap();
    site.sign_in_at(start + 32_000).await.unwrap();
    assert_eq!(site.provider.calls("keys"), 2);
    // A key that was withdrawn is forgotten, although tokens with it could still be looked at.
    site.provider.change_claims(json!({"exp": start / 1000 + 7200}));
    site.sign_in_at(start + 3_700_000).await.unwrap();
    assert_eq!(site.provider.calls("keys"), 3);
}

#[tokio::test]
async fn a_callback_counts_once_and_in_the_browser_where_it_began() {
    let site = Site::start().await;
    let now = now_ms();
    let (begun, back) = site.visit(now).await.unwrap();
    let (other, other_back) = site.visit(now).await.unwrap();
    let again = || Begun::of_cookie(begun.cookie());
    let complete = async |begun: Option<Begun>, back: &str| site.oidc.complete(begun, &callback(back), now).await;

    assert_refused(complete(None, &back).await, "did not begin in this browser", "no cookie");
    assert_refused(complete(Some(other), &back).await, "did not begin in this browser", "another state");
    let twice = format!("{back}&state=x");
    assert_refused(complete(again(), &twice).await, "did not begin in this browser", "two states");
    let elsewhere = back.replace("realms%2Fmain", "realms%2Fother");
    assert_refused(complete(again(), &elsewhere).await, "another provider", "another issuer in the callback");
    // Another browser's code: its verifier is not ours.
    let code = |back: &str| back.split('&').find(|pair| pair.starts_with("code=")).unwrap().to_owned();
    let injected = back.replace(&code(&back), &code(&other_back));
    assert_refused(complete(again(), &injected).await, "does not take its code", "an injected code");
    assert_eq!(site.provider.calls("token"), 1, "the others did not get as far");

    complete(again(), &back).await.unwrap();
    assert_refused(complete(again(), &back).await, "does not take its code", "the same once more");
    site.provider.refuse(Some("access_denied"));
    assert_refused(site.sign_in().await, "answered `access_denied`", "the provider refuses");
}

#[tokio::test]
async fn a_provider_that_is_away_or_talks_nonsense_lets_nobody_in_and_is_asked_again() {
    let site = Site::start().await;
    let mut now = now_ms();
    for path in ["openid-configuration", "keys", "token"] {
        for (fault, words) in [
            (Fault::Failing, "502"),
            (Fault::Html, "not the JSON that belongs there"),
            (Fault::Huge, "more than 262144 bytes"),
            (Fault::Elsewhere, "302"),
        ] {
            site.provider.fail(path, Some(fault));
            now += 4_000_000;
            site.provider.change_claims(json!({"exp": now / 1000 + 300}));
            assert_refused(site.sign_in_at(now).await, words, &format!("{path}: {fault:?}"));
        }
        site.provider.fail(path, None);
        now += 4_000_000;
        site.provider.change_claims(json!({"exp": now / 1000 + 300}));
        site.sign_in_at(now).await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_provider_holds_nobody_up_for_long_and_everybody_together() {
    let site = Site::start().await;
    site.provider.fail("openid-configuration", Some(Fault::Slow));
    let now = now_ms();
    let begun = tokio::time::Instant::now();
    let (first, second, third) = tokio::join!(site.oidc.begin(now), site.oidc.begin(now), site.oidc.begin(now));
    for found in [first, second, third] {
        let error = found.unwrap_err().to_string();
        assert!(error.contains("cannot read its discovery document at the identity provider"), "{error}");
    }
    assert!(begun.elapsed() < 2 * CALL_TIME, "they waited one after the other");
    assert_eq!(site.provider.calls("openid-configuration"), 1);
    site.provider.fail("openid-configuration", None);
    assert!(site.oidc.begin(now + 2_000).await.is_err(), "nobody asks again at once");
    site.oidc.begin(now + 4_000).await.unwrap();
}

#[tokio::test]
async fn a_discovery_document_of_somebody_else_is_refused() {
    let changes: [(Value, &str); 4] = [
        (json!({"issuer": "https://sso.example"}), "it names itself `https://sso.example`"),
        (json!({"token_endpoint": "http://far.example/token"}), "its token_endpoint `http://far.example/token`: use"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "its authorization_endpoint"),
        (json!({"jwks_uri": null}), "missing field `jwks_uri`"),
    ];
    for (change, words) in changes {
        let site = Site::start().await;
        site.provider.change_discovery(change);
        let error = site.oidc.begin(now_ms()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// A provider of the company's own, whose certificate no system trusts.
#[tokio::test]
async fn the_authority_of_a_private_provider_is_named_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("certificate"), made.cert.pem()).unwrap();
    std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    let tls = TlsSettings { certificate_file: path("certificate"), key_file: path("key"), client_ca_file: None };
    let tls = TlsServer::load(tls).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let provider = IdentityProvider::start_as(Some(origin)).await;
    let behind = provider.address();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust the certificate goes away again.
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut there = TcpStream::connect(behind).await.unwrap();
            tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut stream, &mut there).await) });
        }
    });
    let settings = settings(&provider.issuer, directory.path());
    let stranger = Oidc::new(settings.clone(), CALL_TIME).unwrap();
    let error = stranger.begin(now_ms()).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    let oidc = Oidc::new(OidcSettings { ca_file: Some(path("certificate")), ..settings }, CALL_TIME).unwrap();
    let site = Site { provider, oidc, _directory: directory };
    assert_eq!(site.sign_in().await.unwrap().name, "anna");
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let good = settings("https://sso.example", directory.path());
    Oidc::new(good.clone(), CALL_TIME).unwrap();
    for (settings, words) in [
        (OidcSettings { client_secret_file: Some(directory.path().join("none")), ..good.clone() }, "cannot be read"),
        (OidcSettings { client_secret_file: Some(empty.clone()), ..good.clone() }, "holds no secret"),
        (OidcSettings { ca_file: Some(directory.path().join("none")), ..good.clone() }, "cannot be read"),
        (OidcSettings { issuer: "http://sso.example".to_owned(), ..good }, "access.oidc.issuer"),
    ] {
        let error = Oidc::new(settings, CALL_TIME).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
