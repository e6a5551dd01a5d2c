//! Browsers that somebody has signed in with before, known by a cookie that says so (OWASP, Slow Down Online Guessing Attacks
//! with Device Cookies).
//!
//! It decides which browser is known to a name, so that others who try that name cannot keep its owner out. It signs nobody
//! in. The cookie holds a random number and outrider's authentication of that number for that name; nothing is stored but
//! the key, which the control store has.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Problem;

/// How long a browser keeps it.
pub(super) const KEPT: Duration = Duration::from_secs(180 * 86_400);

const NONCE_BYTES: usize = 16;

/// A browser that is known to somebody, by its random number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Device(String);

impl Device {
    /// A browser that becomes known.
    pub(super) fn new() -> Result<Device, Problem> {
        let mut nonce = [0u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| {
            tracing::error!(%error, "the system gives no random numbers");
            Problem::internal()
        })?;
        Ok(Device(URL_SAFE_NO_PAD.encode(nonce)))
    }

    /// What it keeps for a name.
    pub(super) fn cookie(&self, key: &str, name: &str) -> String {
        let proof = hmac::sign(&hmac_key(key), self.message(name).as_bytes());
        format!("{}.{}", self.0, URL_SAFE_NO_PAD.encode(proof))
    }

    /// The browser that a cookie is of, if that is known to the name.
    pub(super) fn of_cookie(key: &str, name: &str, cookie: &str) -> Option<Device> {
        let (nonce, proof) = cookie.split_once('.')?;
        let device = Device(nonce.to_owned());
        let proof = URL_SAFE_NO_PAD.decode(proof).ok()?;
        let is_right = hmac::verify(&hmac_key(key), device.message(name).as_bytes(), &proof).is_ok();
        is_right.then_some(device)
    }

    #[cfg(test)]
    pub(super) fn of_nonce(nonce: &str) -> Device {
        Device(nonce.to_owned())
    }

    fn message(&self, name: &str) -> String {
        format!("outrider device {} {name}", self.0)
    }
}

fn hmac_key(key: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_to_one_name_under_one_key() {
        let device = Device::new().unwrap();
        assert_ne!(device, Device::new().unwrap());
        let cookie = device.cookie("key", "anna");
        assert_eq!(Device::of_cookie("key", "anna", &cookie), Some(device));
        for (key, name, cookie) in [
            ("key", "bob", cookie.as_str()),
            ("other", "anna", &cookie),
            ("key", "anna", &format!("x{cookie}")),
            ("key", "anna", &cookie[..cookie.len() - 1]),
            ("key", "anna", ""),
            ("key", "anna", "."),
        ] {
            assert_eq!(Device::of_cookie(key, name, cookie), None, "{key} {name} {cookie}");
        }
    }
}
