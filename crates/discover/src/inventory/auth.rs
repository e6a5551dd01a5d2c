//! How a caller authenticated, as far as a call shows it.
//!
//! A call names who was authenticated, and which field held the credential; of an `authorization` header the scheme is gone
//! with its value. What the gateway checks it with, its configuration knows: the plugin, where the caller of
//! [`Inventory::observe`](super::Inventory::observe) gives it, says more than the call. Where the configuration was read and does
//! not tell, the kind is unknown: a header that all kinds may stand in is then no way of its own.

use outrider_model::{ApiCall, FieldValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the gateway's configuration says of how a call's credential was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedBy<'a> {
    /// It was not read.
    NotRead,
    /// It does not tell: the credential is not in it, and not one plugin alone can have checked it.
    Untold,
    /// The plugin, such as `key-auth`.
    Plugin(&'a str),
}

/// How a caller authenticated. Their order is the snapshot's format: a new one goes to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    /// Nothing that could prove who calls.
    None,
    /// A key in a field of its own.
    Key,
    /// User name and password.
    Basic,
    /// A JSON Web Token.
    Jwt,
    /// A token of OAuth 2.
    #[serde(rename = "oauth2")]
    OAuth2,
    /// A signature of the request.
    Hmac,
    /// A client certificate.
    MutualTls,
    /// An `authorization` header whose scheme is not known.
    Authorization,
    /// A session alone.
    Session,
    /// The gateway knew the consumer; how is not shown.
    Consumer,
    /// The gateway checked a credential, and its configuration does not tell which kind of one.
    Unknown,
}

impl AuthKind {
    /// How a call authenticated.
    pub(crate) fn of(call: &ApiCall<'_>, checked_by: CheckedBy<'_>) -> AuthKind {
        let shown = AuthKind::shown(call);
        match checked_by {
            CheckedBy::Plugin(plugin) if call.credential_id.is_some() => AuthKind::of_plugin(plugin).unwrap_or(shown),
            CheckedBy::Untold if call.credential_id.is_some() && shown.is_vague() => AuthKind::Unknown,
            _ => shown,
        }
    }

    /// How a call authenticated, as far as it shows by itself.
    fn shown(call: &ApiCall<'_>) -> AuthKind {
        // Whoever came in as the gateway's anonymous consumer presented nothing, or nothing that it took.
        let is_taken = !call.anonymous_consumer || call.credential_id.is_some();
        let authorization = call.headers.iter().find(|field| is_taken && field.name == "authorization");
        if let Some(presented) = call.presented_credential.filter(|_| is_taken) {
            let in_header = authorization
                .is_some_and(|field| matches!(field.value, FieldValue::Pseudonym(found, _) if found == presented));
            return if in_header { AuthKind::Authorization } else { AuthKind::Key };
        }
        if authorization.is_some() {
            return AuthKind::Authorization;
        }
        if call.credential_id.is_some() || call.authenticated_consumer().is_some() {
            return AuthKind::Consumer;
        }
        if call.session.is_some() { AuthKind::Session } else { AuthKind::None }
    }

    /// Whether it says that callers authenticate, and not how.
    pub(crate) fn is_vague(self) -> bool {
        matches!(self, AuthKind::Authorization | AuthKind::Consumer | AuthKind::Unknown)
    }

    /// What one of Kong's plugins checks.
    fn of_plugin(plugin: &str) -> Option<AuthKind> {
        Some(match plugin {
            "key-auth" | "key-auth-enc" => AuthKind::Key,
            "basic-auth" | "ldap-auth" | "ldap-auth-advanced" => AuthKind::Basic,
            "jwt" | "jwt-signer" => AuthKind::Jwt,
            "oauth2" | "oauth2-introspection" | "openid-connect" => AuthKind::OAuth2,
            "hmac-auth" => AuthKind::Hmac,
            "mtls-auth" | "header-cert-auth" => AuthKind::MutualTls,
            "session" => AuthKind::Session,
            _ => return None,
        })
    }

    /// The name in files and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthKind::None => "none",
            AuthKind::Key => "key",
            AuthKind::Basic => "basic",
            AuthKind::Jwt => "jwt",
            AuthKind::OAuth2 => "oauth2",
            AuthKind::Hmac => "hmac",
            AuthKind::MutualTls => "mutual_tls",
            AuthKind::Authorization => "authorization",
            AuthKind::Session => "session",
            AuthKind::Consumer => "consumer",
            AuthKind::Unknown => "unknown",
        }
    }
}

/// Whether one of Kong's plugins says who calls. Those of a kind that has no name here are among them.
pub fn is_authentication(plugin: &str) -> bool {
    AuthKind::of_plugin(plugin).is_some() || matches!(plugin, "saml" | "vault-auth")
}
