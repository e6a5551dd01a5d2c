//! `[access.oidc]`: which provider, as which client, and who gets which role.

use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::OidcError;
use crate::store::Role;

/// Where the provider sends browsers back to, below the public address.
pub const CALLBACK_PATH: &str = "/api/v1/session/oidc/callback";

/// Rules that there may be.
const ROLES_MAX: usize = 200;
/// Scopes that there may be.
const SCOPES_MAX: usize = 20;
/// Bytes of what is told to the provider, or compared with its words.
const TEXT_BYTES_MAX: usize = 500;

/// How people sign in with an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// The provider's issuer, letter for letter as its discovery document names it; `https`, or on this machine.
    pub issuer: String,
    /// The id that outrider has at the provider.
    pub client_id: String,
    /// The file with the client's secret; without one outrider is a public client.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Where people reach outrider: scheme, host and port. The provider has to know it with
    /// `/api/v1/session/oidc/callback` behind it.
    pub public_url: String,
    /// What is asked for besides `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// The claim that gives somebody their name here at their first sign-in.
    #[serde(default = "usual_name")]
    pub name_claim: String,
    /// A PEM file with certificate authorities to trust besides the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Who gets which role. Of several that fit, the one that may do the most counts; who has none is refused.
    pub roles: Vec<RoleRule>,
}

/// Who gets a role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// The claim of the ID token, such as `groups`; one inside of others is written as `realm_access.roles`.
    pub claim: String,
    /// What it has to be, or, where it is a list, to contain.
    pub value: String,
    /// The role.
    pub role: Role,
}

fn usual_scopes() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}

fn usual_name() -> String {
    "preferred_username".to_owned()
}

impl OidcSettings {
    /// Refuses what cannot be meant, without reading a file or connecting.
    pub fn validate(&self) -> Result<(), OidcError> {
        let wrong = |field, value: &str, why: String| OidcError::Settings { field, value: value.to_owned(), why };
        let check = |field, value: &str, is_good: bool, why: &str| {
            if is_good { Ok(()) } else { Err(wrong(field, value, why.to_owned())) }
        };
        for (field, text) in [("issuer", &self.issuer), ("public_url", &self.public_url)] {
            let url = safe_url(text).map_err(|why| wrong(field, text, why))?;
            let is_bare = url.username().is_empty() && url.password().is_none();
            let is_bare = is_bare && url.query().is_none() && url.fragment().is_none();
            check(field, text, is_bare, "it has to be without user, query and fragment")?;
            let why = "it is the scheme, host and port that people reach outrider at, without a path";
            check(field, text, field == "issuer" || url.path() == "/", why)?;
        }
        let why = "it is the id that the provider gave to outrider";
        check("client_id", &self.client_id, is_text(&self.client_id), why)?;
        check("name_claim", &self.name_claim, is_text(&self.name_claim), "it is the name of a claim")?;
        for scope in &self.scopes {
            check("scopes", scope, is_scope(scope), "a scope is one word")?;
        }
        let scopes = self.scopes.len();
        check("scopes", &scopes.to_string(), scopes <= SCOPES_MAX, &format!("there may be {SCOPES_MAX}"))?;
        let roles = self.roles.len();
        let why = format!("without [[access.oidc.roles]] nobody could sign in; there may be {ROLES_MAX}");
        check("roles", &roles.to_string(), (1..=ROLES_MAX).contains(&roles), &why)?;
        for RoleRule { claim, value, .. } in &self.roles {
            let why = "a rule has the name of a `claim` and the `value` that it has to have";
            check("roles", claim, is_text(claim) && is_text(value), why)?;
        }
        Ok(())
    }

    /// The address that the provider sends browsers back to, as it has to be known there.
    pub(super) fn callback_url(&self) -> String {
        format!("{}{CALLBACK_PATH}", self.public_url.trim_end_matches('/'))
    }

    /// All scopes, as a request names them.
    pub(super) fn scope(&self) -> String {
        let others = self.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
        std::iter::once("openid").chain(others).collect::<Vec<_>>().join(" ")
    }
}

fn is_text(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// RFC 6749, 3.3.
fn is_scope(text: &str) -> bool {
    is_text(text) && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// An address that codes, secrets and tokens may go to: `https`, or a process on this machine.
pub(super) fn safe_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("it names no host")?;
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err("use `https`; only on this machine may it be `http`".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_name() {
        let cases = [
            (r#"{}"#, ""),
            (r#"{"issuer": "http://127.0.0.1:8080/realms/main", "public_url": "http://localhost:9580/"}"#, ""),
            (r#"{"issuer": "sso.example"}"#, "access.oidc.issuer `sso.example`: "),
            (r#"{"issuer": "http://sso.example"}"#, "use `https`"),
            (r#"{"issuer": "https://a:b@sso.example"}"#, "without user"),
            (r#"{"issuer": "https://sso.example?realm=main"}"#, "without user, query"),
            (r#"{"public_url": "https://outrider.example/console"}"#, "access.oidc.public_url"),
            (r#"{"public_url": "http://outrider.example"}"#, "use `https`"),
            (r#"{"client_id": ""}"#, "access.oidc.client_id"),
            (r#"{"name_claim": ""}"#, "access.oidc.name_claim"),
            (r#"{"scopes": ["profile email"]}"#, "one word"),
            (r#"{"roles": []}"#, "nobody could sign in"),
            (r#"{"roles": [{"claim": "groups", "value": "", "role": "viewer"}]}"#, "access.oidc.roles `groups`"),
        ];
        for (changes, expected) in cases {
            let mut settings = serde_json::json!({
                "issuer": "https://sso.example/realms/main",
                "client_id": "outrider",
                "public_url": "https://outrider.example",
                "roles": [{"claim": "groups", "value": "sec-oncall", "role": "analyst"}],
            });
            let changes: serde_json::Map<_, _> = serde_json::from_str(changes).unwrap();
            settings.as_object_mut().unwrap().extend(changes);
            let settings: OidcSettings = serde_json::from_value(settings).unwrap();
            match settings.validate() {
                Ok(()) => assert_eq!(expected, "", "{settings:?}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!expected.is_empty() && error.contains(expected), "{settings:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn openid_is_asked_for_once_and_the_way_back_has_one_slash() {
        let text =
            r#"{"issuer": "https://sso.example", "client_id": "o", "public_url": "https://o.example/", "roles": []}"#;
        let mut settings: OidcSettings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.scope(), "openid profile email");
        settings.scopes = vec!["groups".to_owned(), "openid".to_owned()];
        assert_eq!(settings.scope(), "openid groups");
        assert_eq!(settings.callback_url(), "https://o.example/api/v1/session/oidc/callback");
    }
}
