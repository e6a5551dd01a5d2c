//! Signing in with OpenID Connect: the authorization code flow with PKCE, against one provider.
//!
//! It decides whether somebody whom a provider vouches for may come in, under which name and with which role. A sign-in
//! is begun with [`Oidc::begin`], which says where to send the browser and what it has to keep, and ended with
//! [`Oidc::complete`], which turns what the browser brings back into an [`Identity`]. It leaves out cookies, people
//! and sessions, which are the API's and the store's. Nothing of the provider is kept but what it publishes: tokens are
//! looked at and dropped. Roles come from the ID token alone; the provider's userinfo is not asked.

mod begun;
mod claims;
mod provider;
mod settings;
mod token;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Semaphore;
use url::form_urlencoded;

pub use begun::Begun;
pub use settings::{CALLBACK_PATH, OidcSettings, RoleRule};

use crate::store::Role;
use claims::{Claims, Expected};
use provider::{Provider, tell};
use token::SignedToken;

/// How long one call to the provider may take. A sign-in needs four at most, which is less than a request may take.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(5);
/// How long somebody may be at the provider.
pub const SIGN_IN_TIME_MAX: Duration = Duration::from_secs(600);
/// Codes that are exchanged at once.
const EXCHANGES_MAX: usize = 8;
/// Bytes of a code; what is longer is not passed on.
const CODE_BYTES_MAX: usize = 4096;

/// Sign-in with one provider.
#[derive(Debug)]
pub struct Oidc {
    settings: OidcSettings,
    provider: Provider,
    room: Semaphore,
}

/// What the provider sends a browser back with. Parameters that nobody knows are passed over, as RFC 6749 asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callback {
    code: Option<String>,
    state: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
}

/// Somebody whom the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// Who it is there, for ever.
    pub subject: String,
    /// The name for somebody who is new here.
    pub name: String,
    /// How they are shown.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
}

/// Why somebody cannot sign in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OidcError {
    /// The configuration cannot be meant.
    #[error("access.oidc.{field} `{value}`: {why}")]
    Settings {
        /// The key.
        field: &'static str,
        /// What it is.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be used.
    #[error("{} {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The machine gives no random numbers.
    #[error("there are no random numbers: {0}")]
    Random(String),
    /// The provider is away, or does not answer as one.
    #[error("cannot {doing} at the identity provider: {why}")]
    Provider {
        /// What was to be done.
        doing: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Too many people sign in at this moment.
    #[error("too many people sign in at this moment; try again")]
    Busy,
    /// The browser does not come back from where outrider sent it.
    #[error("this sign-in did not begin in this browser, or too long ago; begin again")]
    NotBegun,
    /// The provider let nobody in.
    #[error("the identity provider answered `{0}`")]
    Denied(String),
    /// The code is good for nothing.
    #[error("the identity provider does not take its code any more: it was used, or is too old; begin again")]
    Code,
    /// The ID token is not accepted.
    #[error("the ID token is not accepted: {0}")]
    Token(String),
    /// Nothing in the token can be a name.
    #[error("the ID token has no usable claim `{claim}` to take a name from; see access.oidc.name_claim and scopes")]
    NoName {
        /// The claim.
        claim: String,
    },
    /// No rule gives a role.
    #[error("`{name}` has no role in outrider: {why}")]
    NoRole {
        /// Who.
        name: String,
        /// Why not.
        why: String,
    },
}

impl Oidc {
    /// Reads the files that the settings name; connects to nothing yet.
    pub fn new(settings: OidcSettings, call_time: Duration) -> Result<Oidc, OidcError> {
        settings.validate()?;
        if let Some(path) = &settings.client_secret_file {
            provider::read_secret(path)?;
        }
        let provider = Provider::new(&settings, call_time)?;
        Ok(Oidc { settings, provider, room: Semaphore::new(EXCHANGES_MAX) })
    }

    /// Begins a sign-in: what the browser has to keep, and where it has to go.
    pub async fn begin(&self, now_ms: i64) -> Result<(Begun, String), OidcError> {
        let metadata = self.provider.metadata(&self.settings.issuer, now_ms).await?;
        let begun = Begun::new()?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.callback_url())
            .append_pair("scope", &self.settings.scope())
            .append_pair("state", &begun.state())
            .append_pair("nonce", &begun.nonce())
            .append_pair("code_challenge", &begun.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok((begun, url.into()))
    }

    /// Ends a sign-in with what the browser kept and what it brings back.
    pub async fn complete(
        &self,
        begun: Option<Begun>,
        callback: &Callback,
        now_ms: i64,
    ) -> Result<Identity, OidcError> {
        let OidcSettings { issuer, client_id, .. } = &self.settings;
        let begun = begun.filter(|begun| callback.is_of(Some(begun))).ok_or(OidcError::NotBegun)?;
        // RFC 9207, for providers that say it.
        if callback.issuer.as_ref().is_some_and(|theirs| theirs != issuer) {
            return Err(OidcError::Token("another provider sent the browser back".to_owned()));
        }
        if let Some(error) = &callback.error {
            // Anybody can write it into the address, and it is shown and kept.
            let code = error.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(60);
            return Err(OidcError::Denied(code.collect()));
        }
        let code = callback.code.as_deref().filter(|code| code.len() <= CODE_BYTES_MAX).ok_or(OidcError::NotBegun)?;
        let _room = self.room.try_acquire().map_err(|_| OidcError::Busy)?;
        let metadata = self.provider.metadata(issuer, now_ms).await?;
        let tokens = self.provider.exchange(&self.settings, &metadata, code, &begun).await.inspect_err(tell)?;
        let text = tokens.id_token.ok_or_else(|| OidcError::Token("there is none".to_owned()))?;
        let token = SignedToken::parse(&text)?;
        let key = self.provider.key(&metadata, &token, now_ms).await?;
        let claims = Claims(token.verify(&key)?);
        let nonce = begun.nonce();
        claims.check(&Expected {
            issuer,
            client_id,
            nonce: &nonce,
            access_token: tokens.access_token.as_deref(),
            now_ms,
        })?;
        claims.identity(&self.settings)
    }
}

impl Callback {
    /// Whether it ends what began in this browser, by what that kept.
    pub fn is_of(&self, begun: Option<&Begun>) -> bool {
        begun.zip(self.state.as_deref()).is_some_and(|(begun, state)| begun.has_state(state))
    }

    /// Reads the query of a callback. A parameter that comes twice counts as none.
    pub fn parse(query: &str) -> Callback {
        let only = |wanted: &str| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
            let first = values.next().map(|(_, value)| value.into_owned());
            if values.next().is_some() { None } else { first }
        };
        Callback { code: only("code"), state: only("state"), issuer: only("iss"), error: only("error") }
    }
}
