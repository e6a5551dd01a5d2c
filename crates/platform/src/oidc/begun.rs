//! A sign-in that is under way: what the browser keeps while somebody is at the provider.
//!
//! The browser keeps one random secret in a cookie. What has to be known again when it comes back is derived from that:
//! the state that the callback carries, the nonce in the ID token, the verifier of PKCE (RFC 7636). Nobody can make one
//! of them from the others or from the secret of another browser, and outrider keeps nothing meanwhile that somebody
//! could fill.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::OidcError;

const SECRET_BYTES: usize = 32;
/// The same in base64url.
const SECRET_CHARS: usize = 43;

/// What the browser keeps. `Debug` shows nothing of it.
pub struct Begun(String);

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Begun(..)")
    }
}

impl Begun {
    /// A sign-in that begins now.
    pub(super) fn new() -> Result<Begun, OidcError> {
        let mut secret = [0u8; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|error| OidcError::Random(error.to_string()))?;
        Ok(Begun(URL_SAFE_NO_PAD.encode(secret)))
    }

    /// The sign-in that a cookie is of, if it can be of one.
    pub fn of_cookie(value: &str) -> Option<Begun> {
        let is_secret =
            value.len() == SECRET_CHARS && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        is_secret.then(|| Begun(value.to_owned()))
    }

    /// The value of the cookie.
    pub fn cookie(&self) -> &str {
        &self.0
    }

    pub(super) fn state(&self) -> String {
        self.derive("state")
    }

    pub(super) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    pub(super) fn verifier(&self) -> String {
        self.derive("verifier")
    }

    /// What of the verifier the provider sees at first.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    pub(super) fn has_state(&self, presented: &str) -> bool {
        self.state().as_bytes().ct_eq(presented.as_bytes()).into()
    }

    fn derive(&self, what: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("outrider oidc {what} {}", self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_gives_back_the_same_and_no_other_does() {
        let begun = Begun::new().unwrap();
        let again = Begun::of_cookie(begun.cookie()).unwrap();
        assert!(again.has_state(&begun.state()));
        assert_eq!((again.nonce(), again.verifier()), (begun.nonce(), begun.verifier()));
        let other = Begun::new().unwrap();
        assert!(!other.has_state(&begun.state()) && !begun.has_state(""));
        let mut derived = vec![begun.0.clone(), begun.state(), begun.nonce(), begun.verifier(), begun.challenge()];
        assert!(derived.iter().all(|value| value.len() == 43), "{derived:?}");
        derived.sort();
        derived.dedup();
        assert_eq!(derived.len(), 5);
        for value in ["", "short", &"x".repeat(44), &"=".repeat(43), &format!("{};", "x".repeat(42))] {
            assert!(Begun::of_cookie(value).is_none(), "{value}");
        }
    }
}
