//! How a caller authenticated, as far as a call shows it.
//!
//! A call names who was authenticated, and which field held the credential; of an `authorization` header the scheme is gone
//! with its value. What the gateway checks it with, its configuration knows: the plugin, where the caller of
//! [`Inventory::observe`](super::Inventory::observe) gives it, says more than the call.

use outrider_model::{ApiCall, FieldValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

impl AuthKind {
    /// How a call authenticated. `plugin` is the gateway's plugin that checks its credential, where that is known.
    pub(crate) fn of(call: &ApiCall<'_>, plugin: Option<&str>) -> AuthKind {
        if call.credential_id.is_some()
            && let Some(kind) = plugin.and_then(AuthKind::of_plugin)
        {
            return kind;
        }
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

    /// What one of Kong's plugins checks.
    fn of_plugin(plugin: &str) -> Option<AuthKind> {
        Some(match plugin {
            "key-auth" | "key-auth-enc" => AuthKind::Key,
            "basic-auth" | "ldap-auth" | "ldap-auth-advanced" => AuthKind::Basic,
            "jwt" | "jwt-signer" => AuthKind::Jwt,
            "oauth2" | "oauth2-introspection" | "openid-connect" => AuthKind::OAuth2,
            "hmac-auth" => AuthKind::Hmac,
            "mtls-auth" => AuthKind::MutualTls,
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
        }
    }
}
