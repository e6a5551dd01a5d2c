//! What an ID token says: whether it is for this sign-in (OpenID Connect Core, 3.1.3.7), and who somebody is here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::settings::{OidcSettings, RoleRule};
use super::{Identity, OidcError};
use crate::store::Role;

/// How far the clocks of provider and platform may be apart.
const LEEWAY_S: f64 = 60.0;
/// OpenID Connect Core, 2: a subject has at most so many characters.
const SUBJECT_BYTES_MAX: usize = 255;
/// What names and display names are cut to; the store takes no longer ones.
const NAME_CHARS_MAX: usize = 64;
const DISPLAY_CHARS_MAX: usize = 100;

/// What a token has to say to be for this sign-in.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub access_token: Option<&'a str>,
    pub now_ms: i64,
}

/// What a token says whose signature was right.
pub(super) struct Claims(pub Map<String, Value>);

impl Claims {
    pub(super) fn check(&self, expected: &Expected<'_>) -> Result<(), OidcError> {
        match self.objection(expected) {
            None => Ok(()),
            Some(why) => Err(OidcError::Token(why.to_owned())),
        }
    }

    fn objection(&self, expected: &Expected<'_>) -> Option<&'static str> {
        // The clock is far from where a double has no milliseconds any more.
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
        let now_s = expected.now_ms as f64 / 1000.0;
        let time = |name: &str| self.0.get(name).map(|value| value.as_f64().unwrap_or(f64::NAN));
        if self.text("iss") != Some(expected.issuer) {
            return Some("another issuer made it");
        }
        if !self.has("aud", expected.client_id) {
            return Some("it is for another client");
        }
        let is_for_several = self.0.get("aud").and_then(Value::as_array).is_some_and(|list| list.len() > 1);
        if (is_for_several || self.0.contains_key("azp")) && self.text("azp") != Some(expected.client_id) {
            return Some("it was given to another client");
        }
        // Written so that what is no number fails.
        if !time("exp").is_some_and(|at| now_s < at + LEEWAY_S) {
            return Some("it has expired; are the clocks of provider and platform right?");
        }
        if !time("iat").is_some_and(|at| at <= now_s + LEEWAY_S) || !time("nbf").is_none_or(|at| at <= now_s + LEEWAY_S)
        {
            return Some("it is of the future; are the clocks of provider and platform right?");
        }
        if self.text("nonce") != Some(expected.nonce) {
            return Some("it is for another sign-in");
        }
        if let Some(hash) = self.0.get("at_hash")
            && hash.as_str() != expected.access_token.map(half_hash).as_deref()
        {
            return Some("it does not belong to the access token that came with it");
        }
        None
    }

    /// Who somebody is here, and with which role.
    pub(super) fn identity(&self, settings: &OidcSettings) -> Result<Identity, OidcError> {
        let is_subject = |text: &&str| (1..=SUBJECT_BYTES_MAX).contains(&text.len());
        let subject = self.text("sub").filter(is_subject);
        let subject = subject.ok_or_else(|| OidcError::Token("it names nobody (`sub`)".to_owned()))?;
        let name = self.text(&settings.name_claim).map(name_of).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| OidcError::NoName { claim: settings.name_claim.clone() })?;
        let Some(role) = self.role(&settings.roles) else {
            return Err(OidcError::NoRole { name, why: self.why_no_role(&settings.roles) });
        };
        let display_name = self.text("name").map_or_else(|| name.clone(), display_name_of);
        Ok(Identity { issuer: settings.issuer.clone(), subject: subject.to_owned(), name, display_name, role })
    }

    fn role(&self, rules: &[RoleRule]) -> Option<Role> {
        rules.iter().filter(|rule| self.has(&rule.claim, &rule.value)).map(|rule| rule.role).max()
    }

    fn why_no_role(&self, rules: &[RoleRule]) -> String {
        let mut missing: Vec<_> =
            rules.iter().map(|rule| rule.claim.as_str()).filter(|claim| self.value(claim).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return "no rule of access.oidc.roles fits".to_owned();
        }
        format!("no rule of access.oidc.roles fits, and the ID token does not have the claim {}", missing.join(", "))
    }

    /// Whether a claim is a text, or a list with it.
    fn has(&self, claim: &str, text: &str) -> bool {
        match self.value(claim) {
            Some(Value::String(value)) => value == text,
            Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(text)),
            _ => false,
        }
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.value(claim).and_then(Value::as_str)
    }

    /// A claim, by its name or by its way through others. An address that the provider has not verified is none: at many
    /// providers people write there what they like.
    fn value(&self, claim: &str) -> Option<&Value> {
        if claim == "email" && !matches!(self.0.get("email_verified"), Some(Value::Bool(true))) {
            return None;
        }
        self.0.get(claim).or_else(|| {
            let mut steps = claim.split('.');
            let first = self.0.get(steps.next()?)?;
            steps.try_fold(first, |value, step| value.get(step))
        })
    }
}

/// The left half of a SHA-256, as `at_hash` is made for the algorithms that are accepted.
fn half_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(token)[..16])
}

/// A name as people have it here: small letters, and `_` for what a name must not have.
fn name_of(text: &str) -> String {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | '@');
    text.to_lowercase().chars().map(|c| if good(c) { c } else { '_' }).take(NAME_CHARS_MAX).collect()
}

fn display_name_of(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(DISPLAY_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULES: [(&str, &str, Role); 5] = [
        ("groups", "sec-oncall", Role::Analyst),
        ("groups", "sec-lead", Role::Admin),
        ("realm_access.roles", "responder", Role::Responder),
        ("https://example.com/roles", "viewer", Role::Viewer),
        ("email", "anna@example.com", Role::Viewer),
    ];

    fn settings() -> OidcSettings {
        let rule = |(claim, value, role): (&str, &str, Role)| json!({"claim": claim, "value": value, "role": role});
        let text = json!({
            "issuer": "https://sso.example",
            "client_id": "outrider",
            "public_url": "https://outrider.example",
            "roles": RULES.map(rule),
        });
        serde_json::from_value(text).unwrap()
    }

    fn identity(claims: &Value) -> Result<Identity, OidcError> {
        let mut all = json!({"sub": "7", "preferred_username": "anna"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        Claims(all.as_object().unwrap().clone()).identity(&settings())
    }

    #[test]
    fn roles_come_from_claims_by_rules() {
        let cases = [
            (json!({"groups": ["everybody", "sec-oncall"]}), Ok(Role::Analyst)),
            (json!({"groups": "sec-oncall"}), Ok(Role::Analyst)),
            (json!({"groups": ["sec-oncall", "sec-lead"]}), Ok(Role::Admin)),
            (json!({"realm_access": {"roles": ["responder"]}}), Ok(Role::Responder)),
            (json!({"realm_access.roles": ["responder"]}), Ok(Role::Responder)),
            (json!({"https://example.com/roles": ["viewer"]}), Ok(Role::Viewer)),
            (json!({"email": "anna@example.com", "email_verified": true}), Ok(Role::Viewer)),
            (json!({"email": "anna@example.com", "email_verified": false}), Err("the claim email")),
            (json!({"email": "anna@example.com"}), Err("the claim email")),
            (json!({"groups": ["Sec-oncall", 7, null]}), Err("`anna` has no role in outrider")),
            (json!({"groups": {"sec-oncall": true}}), Err("has no role")),
            (json!({"realm_access": "responder"}), Err("the claim email, groups, https://example.com/roles, realm_")),
        ];
        for (claims, expected) in cases {
            match (identity(&claims), expected) {
                (Ok(identity), Ok(role)) => assert_eq!(identity.role, role, "{claims}"),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{claims}: {error}"),
                (found, _) => panic!("{claims}: {found:?}"),
            }
        }
    }

    #[test]
    fn names_are_made_fit_for_a_name() {
        for (username, shown, expected) in [
            ("anna", json!("Anna Ägäis"), ("anna", "Anna Ägäis")),
            ("Anna.Smith@Example.com", json!(7), ("anna.smith@example.com", "anna.smith@example.com")),
            ("anna#EXT#+1", json!("a\u{7}b"), ("anna_ext__1", "ab")),
            ("jürgen", json!("x".repeat(200)), ("j_rgen", &"x".repeat(100))),
            (&"x".repeat(200), json!("x"), (&"x".repeat(64), "x")),
        ] {
            let claims = json!({"preferred_username": username, "name": shown, "groups": "sec-oncall"});
            let identity = identity(&claims).unwrap();
            assert_eq!((identity.name.as_str(), identity.display_name.as_str()), expected, "{claims}");
        }
        for nameless in [json!({"preferred_username": ""}), json!({"preferred_username": null})] {
            assert!(matches!(identity(&nameless), Err(OidcError::NoName { .. })), "{nameless}");
        }
        for nobody in [json!({"sub": ""}), json!({"sub": 7}), json!({"sub": "x".repeat(256)})] {
            assert!(identity(&nobody).unwrap_err().to_string().contains("names nobody"), "{nobody}");
        }
    }
}
