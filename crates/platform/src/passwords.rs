//! Passwords: what one must look like, and hashing it where it holds nobody up.
//!
//! argon2id with the parameters that OWASP names first in its Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
//! Hashing runs on threads for blocking work, a few at a time, so that signing in never takes the machine's memory or
//! the API's threads.

use std::fmt;
use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;

/// The least number of characters. Length is what counts; no kinds of characters are asked for (NIST SP 800-63B).
pub const PASSWORD_CHARS_MIN: usize = 12;
/// The most bytes: room for any phrase, and a limit to what is hashed.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// How many are hashed at once, each in 19 MiB.
const HASHING_MAX: usize = 2;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// A password as somebody typed it. `Debug` shows nothing of it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "password", "writeOnly" = true))]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Password(text)
    }
}

impl Password {
    /// Whether it may be somebody's password.
    pub fn check(&self) -> Result<(), PasswordError> {
        if self.0.chars().count() < PASSWORD_CHARS_MIN || self.0.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::Length);
        }
        Ok(())
    }
}

/// A password as it is stored: a PHC string with salt and parameters. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedPassword(String);

impl fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedPassword(..)")
    }
}

impl HashedPassword {
    pub(crate) fn stored(text: String) -> Self {
        HashedPassword(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a password cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes")]
    Length,
    /// It cannot be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hashing(String),
}

/// Hashes passwords, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    room: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Passwords { room: Arc::new(Semaphore::new(HASHING_MAX)) }
    }
}

impl Passwords {
    /// Hashes a password that may be somebody's.
    pub async fn hash(&self, password: Password) -> Result<HashedPassword, PasswordError> {
        password.check()?;
        self.run(move || hash(&password)).await?
    }

    /// Whether a password is the one that was hashed. Without a hash the answer is no, and takes as long.
    pub async fn verify(&self, password: Password, stored: Option<HashedPassword>) -> Result<bool, PasswordError> {
        if password.0.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        self.run(move || match stored {
            Some(stored) => verify(&password, stored.as_str()),
            None => verify(&password, nobodys()?).map(|_| false),
        })
        .await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(hashing)?;
        // The permit goes along: who gives up waiting does not make room for a further one.
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(hashing)
    }
}

fn hash(password: &Password) -> Result<HashedPassword, PasswordError> {
    let mut salt = [0u8; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(hashing)?;
    let hash: PasswordHash = argon2()?.hash_password_with_salt(password.0.as_bytes(), &salt).map_err(hashing)?;
    Ok(HashedPassword(hash.to_string()))
}

fn verify(password: &Password, stored: &str) -> Result<bool, PasswordError> {
    let hash = PasswordHash::new(stored).map_err(hashing)?;
    Ok(argon2()?.verify_password(password.0.as_bytes(), &hash).is_ok())
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(hashing)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash that the passwords of unknown names are held against, made at the first of them.
fn nobodys() -> Result<&'static str, PasswordError> {
    static NOBODYS: OnceLock<HashedPassword> = OnceLock::new();
    if NOBODYS.get().is_none() {
        drop(NOBODYS.set(hash(&Password(String::new()))?));
    }
    NOBODYS.get().map(HashedPassword::as_str).ok_or_else(|| hashing("there is no hash"))
}

fn hashing(error: impl fmt::Display) -> PasswordError {
    PasswordError::Hashing(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_is_of_one_password_and_tells_nothing_of_it() {
        let passwords = Passwords::default();
        let hashed = passwords.hash(password("correct horse battery")).await.unwrap();
        assert!(hashed.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashed.as_str());
        assert!(!format!("{hashed:?} {:?}", password("horse")).contains("horse"));
        let again = passwords.hash(password("correct horse battery")).await.unwrap();
        assert_ne!(hashed, again, "each has a salt of its own");
        for (text, is_right) in [
            ("correct horse battery", true),
            ("correct horse battery ", false),
            ("Correct horse battery", false),
            ("", false),
            (&"x".repeat(PASSWORD_BYTES_MAX + 1), false),
        ] {
            assert_eq!(passwords.verify(password(text), Some(hashed.clone())).await.unwrap(), is_right, "{text}");
            assert!(!passwords.verify(password(text), None).await.unwrap(), "{text}");
        }
        let damaged = HashedPassword::stored("$argon2id$".to_owned());
        assert!(passwords.verify(password("correct horse battery"), Some(damaged)).await.is_err());
    }

    #[test]
    fn the_length_alone_is_asked_for() {
        for (text, is_good) in [
            ("elevenchars", false),
            ("twelve chars", true),
            ("zwölf Zeiche", true),
            (&"x".repeat(PASSWORD_BYTES_MAX), true),
            (&"x".repeat(PASSWORD_BYTES_MAX + 1), false),
        ] {
            assert_eq!(password(text).check().is_ok(), is_good, "{text}");
        }
    }
}
