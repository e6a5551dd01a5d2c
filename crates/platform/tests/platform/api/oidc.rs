//! Signing in with an identity provider over a socket: redirects, cookies, what becomes of people, who is refused.

use outrider_platform::oidc::{CALL_TIME_MAX, Oidc};
use outrider_platform::passwords::{Password, Passwords};
use outrider_platform::store::{NewPerson, Role};
use serde_json::{Value, json};

use super::harness::Api;
use crate::identity_provider::{Browser, CLIENT_ID, Fault, IdentityProvider, Shown};

struct Site {
    provider: IdentityProvider,
    api: Api,
}

impl Site {
    async fn start() -> Site {
        Site::start_with(None).await
    }

    async fn start_with(proxy: Option<&str>) -> Site {
        let provider = IdentityProvider::start().await;
        provider.make_public();
        let settings = json!({
            "issuer": provider.issuer,
            "client_id": CLIENT_ID,
            "public_url": "http://127.0.0.1:9580",
            "roles": [
                {"claim": "groups", "value": "sec-oncall", "role": "analyst"},
                {"claim": "groups", "value": "sec-lead", "role": "admin"},
            ],
        });
        let oidc = Oidc::new(serde_json::from_value(settings).unwrap(), CALL_TIME_MAX).unwrap();
        Site { api: Api::with_provider(oidc, proxy).await, provider }
    }

    async fn sign_in(&self, browser: &mut Browser) -> Shown {
        browser.sign_in(&self.api.url(), &self.provider).await
    }

    /// Who the browser's cookie says somebody is: a status and a role.
    async fn me(&self, browser: &mut Browser) -> (u16, Value) {
        let shown = browser.get(&format!("{}/api/v1/session", self.api.url())).await;
        (shown.status, shown.body["role"].clone())
    }

    async fn audit(&self, log: &str) -> Vec<String> {
        let lines = self.api.get(&format!("/api/v1/audit?log={log}")).await;
        let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
        let fields = ["by", "what", "subject", "detail"];
        let line = |line: &Value| fields.map(|field| text(line, field)).join("|").trim_end_matches('|').to_owned();
        lines.items().iter().rev().map(line).collect()
    }

    async fn change(&self, method: &str, path: &str, body: Value) -> u16 {
        self.api.send(Role::Admin, method, path, Some(&body.to_string())).await.status
    }
}

/// That a browser is sent to the sign-in page, with this word for the reason and nothing else.
fn assert_refused(shown: &Shown, reason: &str) {
    assert_eq!(
        (shown.status, shown.location.as_str()),
        (303, format!("/?refused={reason}").as_str()),
        "{}",
        shown.body
    );
    assert!(shown.set_cookies.is_empty(), "{:?}", shown.set_cookies);
}

#[tokio::test]
async fn a_browser_goes_to_the_provider_and_comes_back_signed_in() {
    let site = Site::start().await;
    let mut browser = Browser::default();
    let away = browser.get(&format!("{}/api/v1/session/oidc", site.api.url())).await;
    assert_eq!(away.status, 303);
    assert!(away.location.starts_with(&format!("{}/authorize?response_type=code&", site.provider.issuer)));
    let kept = &away.set_cookies[0];
    assert!(
        kept.starts_with("outrider_oidc=") && kept.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"),
        "{kept}"
    );
    assert_eq!(site.me(&mut browser).await.0, 401, "that alone signs nobody in");

    let home = site.sign_in(&mut browser).await;
    assert_eq!((home.status, home.location.as_str()), (303, "/"));
    assert!(home.set_cookies[0].contains("; HttpOnly; SameSite=Strict"), "{:?}", home.set_cookies);
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["outrider_session"]);
    assert_eq!(site.me(&mut browser).await, (200, json!("analyst")));
    let people = site.api.send(Role::Admin, "GET", "/api/v1/people", None).await;
    let anna = &people.items()[0];
    assert_eq!([&anna["name"], &anna["display_name"], &anna["issuer"]], ["anna", "Anna", &site.provider.issuer]);
    let audit = site.audit("access").await;
    let expected =
        ["identity provider|added as analyst|person:anna", "person:anna|signed in with the identity provider"];
    assert!(audit.ends_with(&expected.map(str::to_owned)), "{audit:?}");

    let again = site.sign_in(&mut browser).await;
    assert_eq!((again.status, site.api.store.people().await.unwrap().len()), (303, 1), "and is known the next time");
}

#[tokio::test]
async fn behind_a_proxy_that_speaks_tls_cookies_are_for_tls() {
    let site = Site::start_with(Some("127.0.0.1")).await;
    let mut browser = Browser::default();
    let home = site.sign_in(&mut browser).await;
    assert_eq!(home.status, 303, "{}", home.body);
    let [session, done] = home.set_cookies.as_slice() else { panic!("{:?}", home.set_cookies) };
    assert!(session.starts_with("__Host-outrider=outrider_session_") && session.contains("; Secure"), "{session}");
    assert!(done.starts_with("__Host-outrider_oidc=;") && done.contains("; Secure; Max-Age=0"), "{done}");
}

#[tokio::test]
async fn a_role_is_what_the_provider_says_at_each_sign_in() {
    let site = Site::start().await;
    let (mut earlier, mut later) = (Browser::default(), Browser::default());
    site.sign_in(&mut earlier).await;
    // A new name there is no new name here: the audit log goes by it.
    site.provider.person(json!({"sub": "0001", "preferred_username": "anna.married", "groups": ["sec-lead"]}));
    site.sign_in(&mut later).await;
    assert_eq!(site.me(&mut later).await, (200, json!("admin")));
    assert_eq!(site.me(&mut earlier).await.0, 401, "the session with the role before has ended");
    assert!(site.audit("access").await.contains(&"identity provider|changed the role to admin|person:anna".to_owned()));
    for (method, path, body) in [
        ("PATCH", "/api/v1/people/anna", json!({"role": "viewer"})),
        ("PUT", "/api/v1/people/anna/password", json!({"password": "correct horse battery"})),
    ] {
        assert_eq!(site.change(method, path, body).await, 409, "{path}");
    }
    assert_eq!(site.change("PATCH", "/api/v1/people/anna", json!({"display_name": "Anna M."})).await, 200);
    assert_eq!(site.me(&mut later).await.0, 200);
    for password in ["", "correct horse battery"] {
        let body = json!({"name": "anna", "password": password}).to_string();
        let head =
            "POST /api/v1/session HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
        let reply = site.api.raw(&format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
        assert_eq!(reply.status, 401, "`{password}`: {}", reply.body);
    }
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_comes_in_no_more() {
    let site = Site::start().await;
    let mut browser = Browser::default();
    site.sign_in(&mut browser).await;
    assert_eq!(site.change("PATCH", "/api/v1/people/anna", json!({"disabled": true})).await, 200);
    assert_eq!(site.me(&mut browser).await.0, 401);
    assert_refused(&site.sign_in(&mut browser).await, "disabled");
    assert_eq!(site.change("PATCH", "/api/v1/people/anna", json!({"disabled": false})).await, 200);
    assert_eq!(site.sign_in(&mut browser).await.status, 303);
}

#[tokio::test]
async fn an_admin_of_the_provider_is_not_the_one_that_has_to_stay() {
    let site = Site::start().await;
    site.provider.person(json!({"sub": "1", "preferred_username": "lead", "groups": ["sec-lead"]}));
    site.sign_in(&mut Browser::default()).await;
    let reply = site.api.send(Role::Admin, "DELETE", "/api/v1/tokens/the-admin", None).await;
    assert_eq!(reply.status, 409, "while the provider is away nobody could let anybody in: {}", reply.body);
}

#[tokio::test]
async fn who_is_refused_is_told_why_and_noted() {
    let site = Site::start().await;
    let hash = Passwords::default().hash(Password::from("correct horse battery".to_owned())).await.unwrap();
    let person = NewPerson { name: "anna".to_owned(), display_name: String::new(), role: Role::Viewer };
    site.api.store.create_person(&person, &hash, "test", 1).await.unwrap();
    let mut browser = Browser::default();
    assert_refused(&site.sign_in(&mut browser).await, "name_taken");

    site.provider.person(json!({"sub": "2", "preferred_username": "bob", "groups": []}));
    assert_refused(&site.sign_in(&mut browser).await, "no_role");
    let back = browser.begin(&site.api.url(), &site.provider).await;
    assert_refused(&Browser::default().get(&back).await, "not_begun");
    site.provider.refuse(Some("access_denied"));
    assert_refused(&site.sign_in(&mut browser).await, "denied");

    let audit = site.audit("access").await;
    let noted = "nobody|failed to sign in|person:anna|1 times, from 127.0.0.1: there is somebody named `anna` already";
    assert!(audit.last().unwrap().starts_with(noted), "{audit:?}");
    assert!(site.api.store.people().await.unwrap().len() == 1);
    // The rest follows within a minute as one entry. Each try counts, and after some of them they have to wait.
    let mut tries = 3;
    let shown = loop {
        let shown = site.sign_in(&mut browser).await;
        if shown.location.ends_with("too_many") {
            break shown;
        }
        assert_refused(&shown, "denied");
        tries += 1;
    };
    assert!(tries >= 20, "{tries}");
    assert_refused(&shown, "too_many");
}

#[tokio::test]
async fn a_program_that_is_refused_is_told_in_words() {
    let site = Site::start().await;
    let mut program = Browser { is_program: true, ..Browser::default() };
    site.provider.person(json!({"sub": "2", "preferred_username": "bob", "groups": []}));
    let shown = site.sign_in(&mut program).await;
    assert_eq!((shown.status, &shown.body["type"]), (403, &json!("urn:outrider:problem:sign-in-refused")));
    assert!(shown.body["detail"].as_str().unwrap().contains("`bob` has no role in outrider"), "{}", shown.body);
    assert!(shown.set_cookies.is_empty(), "{:?}", shown.set_cookies);
}

#[tokio::test]
async fn nothing_that_the_provider_says_is_in_the_address() {
    let site = Site::start().await;
    for error in ["no_role", "x&refused=disabled", "https://evil.example/", "<b>no</b>"] {
        site.provider.refuse(Some(error));
        assert_refused(&site.sign_in(&mut Browser::default()).await, "denied");
    }
}

#[tokio::test]
async fn what_did_not_begin_here_uses_up_nobodys_tries() {
    let site = Site::start().await;
    // What any page can make a browser ask for.
    for _ in 0..30 {
        let back = format!("{}/api/v1/session/oidc/callback?code=a&state=b", site.api.url());
        assert_refused(&Browser::default().get(&back).await, "not_begun");
    }
    assert_eq!(site.sign_in(&mut Browser::default()).await.status, 303);
}

#[tokio::test]
async fn while_the_provider_is_away_it_is_said_in_plain_words() {
    let site = Site::start().await;
    let mut browser = Browser::default();
    let back = browser.begin(&site.api.url(), &site.provider).await;
    site.provider.fail("token", Some(Fault::Html));
    assert_refused(&browser.get(&back).await, "provider_away");
    browser.is_program = true;
    let shown = browser.get(&back).await;
    assert_eq!(shown.status, 503, "{}", shown.body);
    assert_eq!(shown.body["detail"], "the identity provider cannot be used at this moment");
    site.provider.fail("token", None);
    assert_eq!(browser.get(&back).await.status, 303, "the same page once more, which the browser still may");

    let without = Api::start().await;
    for path in ["/api/v1/session/oidc", "/api/v1/session/oidc/callback?code=a&state=b"] {
        let shown = browser.get(&format!("{}{path}", without.url())).await;
        assert_eq!(shown.status, 404, "{}", shown.body);
    }
}
