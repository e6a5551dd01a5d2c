//! What a call shows of how safely its API is offered, and what kinds of data it carried.
//!
//! The collector reads it from the line before anything is taken out of it, because what tells it does not leave the
//! premises: the answer's headers, the token, the personal values themselves (decision 6). Nothing here names a value.

use serde::{Deserialize, Serialize};

use crate::Text;

/// A call tells of no more classes of data than this.
pub const CLASSES_SEEN_MAX: usize = 32;

/// What a call shows of how safely its API is offered. The default is that it shows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure<'a> {
    /// Single facts.
    pub signs: Signs,
    /// Seconds from the issue to the expiry of the JSON Web Token that was presented (`iat` and `exp`, RFC 7519); `None` without
    /// a token that tells both.
    pub jwt_lifetime_s: Option<u32>,
    /// What was found and replaced in the call, by place; at most [`CLASSES_SEEN_MAX`].
    #[serde(borrow)]
    pub classes: Vec<ClassSeen<'a>>,
}

/// A value of a class of data that stood in a call and was replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassSeen<'a> {
    /// In which part of the call.
    pub location: ClassLocation,
    /// Which one there: the segment of the path between slashes, the first being 0; else the place in the call's list of query fields,
    /// headers or mapped fields.
    pub at: u16,
    /// The class by its name in `classify`, such as `email`.
    #[serde(borrow)]
    pub class: Text<'a>,
}

/// The parts of a call that carry values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassLocation {
    /// The path.
    Path,
    /// The query.
    Query,
    /// The request's headers.
    Header,
    /// What the source's field mapping took from elsewhere, such as a body.
    Field,
}

/// A single fact. Their order is the encoding's: a new one goes to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Sign {
    /// The client spoke to the gateway, or to the proxy before it, over plain HTTP. Neither this nor [`Sign::Https`] is there where
    /// a proxy stands before the gateway and does not say.
    PlainHttp,
    /// The client spoke to the gateway over HTTPS.
    Https,
    /// With a version of TLS before 1.2 (deprecated by RFC 8996).
    OldTls,
    /// With a cipher that is broken: RC4, DES or 3DES, NULL, EXPORT, anonymous, MD5.
    WeakCipher,
    /// The answer lets pages of any origin read it: `access-control-allow-origin: *`.
    CorsAnyOrigin,
    /// The answer lets pages of the named origin send cookies: `access-control-allow-credentials: true`.
    CorsCredentials,
    /// The API says which program and version it runs on: a number in `server`, `x-powered-by`, `x-aspnet-version` and such.
    UpstreamVersion,
    /// The gateway says which version it is, in `server` or `via`.
    GatewayVersion,
    /// The answer sets a cookie.
    CookieSet,
    /// It sets one without `Secure` (RFC 6265).
    CookieWithoutSecure,
    /// It sets one without `HttpOnly`.
    CookieWithoutHttpOnly,
    /// It sets one without `SameSite`, or with `None`.
    CookieWithoutSameSite,
    /// Caches that serve many may keep the answer: `cache-control` with `public`, `s-maxage` or `max-age` above 0, or alone an `expires`
    /// that is after the call, and neither `private` nor `no-store` (RFC 9111, section 3).
    Cacheable,
    /// The answer says nothing of caching, so that caches decide by themselves (RFC 9111, section 4.2.2).
    CachingUnstated,
    /// The answer asks browsers to come by HTTPS alone: `strict-transport-security` (RFC 6797).
    StrictTransport,
    /// A JSON Web Token was presented.
    Jwt,
    /// One that nobody signed: `alg` is `none` in any case of letters.
    JwtUnsigned,
    /// One without `exp`.
    JwtWithoutExpiry,
}

impl Sign {
    /// All of them, in the encoding's order.
    pub const ALL: [Sign; 18] = [
        Sign::PlainHttp,
        Sign::Https,
        Sign::OldTls,
        Sign::WeakCipher,
        Sign::CorsAnyOrigin,
        Sign::CorsCredentials,
        Sign::UpstreamVersion,
        Sign::GatewayVersion,
        Sign::CookieSet,
        Sign::CookieWithoutSecure,
        Sign::CookieWithoutHttpOnly,
        Sign::CookieWithoutSameSite,
        Sign::Cacheable,
        Sign::CachingUnstated,
        Sign::StrictTransport,
        Sign::Jwt,
        Sign::JwtUnsigned,
        Sign::JwtWithoutExpiry,
    ];

    /// Its name in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Sign::PlainHttp => "plain_http",
            Sign::Https => "https",
            Sign::OldTls => "old_tls",
            Sign::WeakCipher => "weak_cipher",
            Sign::CorsAnyOrigin => "cors_any_origin",
            Sign::CorsCredentials => "cors_credentials",
            Sign::UpstreamVersion => "upstream_version",
            Sign::GatewayVersion => "gateway_version",
            Sign::CookieSet => "cookie_set",
            Sign::CookieWithoutSecure => "cookie_without_secure",
            Sign::CookieWithoutHttpOnly => "cookie_without_http_only",
            Sign::CookieWithoutSameSite => "cookie_without_same_site",
            Sign::Cacheable => "cacheable",
            Sign::CachingUnstated => "caching_unstated",
            Sign::StrictTransport => "strict_transport",
            Sign::Jwt => "jwt",
            Sign::JwtUnsigned => "jwt_unsigned",
            Sign::JwtWithoutExpiry => "jwt_without_expiry",
        }
    }

    /// The sign of that name.
    pub fn named(name: &str) -> Option<Sign> {
        Sign::ALL.into_iter().find(|sign| sign.as_str() == name)
    }
}

/// A set of signs. A sign that a later build knows stays in it and is not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signs(u32);

impl Signs {
    /// Adds one.
    pub fn insert(&mut self, sign: Sign) {
        self.0 |= 1 << sign as u8;
    }

    /// Whether it is there.
    pub fn has(self, sign: Sign) -> bool {
        self.0 & 1 << sign as u8 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are there, in the encoding's order.
    pub fn iter(self) -> impl Iterator<Item = Sign> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let sign = Sign::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*sign)
        })
    }
}

impl Extend<Sign> for Signs {
    fn extend<I: IntoIterator<Item = Sign>>(&mut self, signs: I) {
        signs.into_iter().for_each(|sign| self.insert(sign));
    }
}

impl FromIterator<Sign> for Signs {
    fn from_iter<I: IntoIterator<Item = Sign>>(signs: I) -> Self {
        let mut set = Signs::default();
        set.extend(signs);
        set
    }
}

impl ClassLocation {
    /// All of them.
    pub const ALL: [ClassLocation; 4] =
        [ClassLocation::Path, ClassLocation::Query, ClassLocation::Header, ClassLocation::Field];

    /// The location of that name.
    pub fn named(name: &str) -> Option<ClassLocation> {
        ClassLocation::ALL.into_iter().find(|location| location.as_str() == name)
    }

    /// The name in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ClassLocation::Path => "path",
            ClassLocation::Query => "query",
            ClassLocation::Header => "header",
            ClassLocation::Field => "field",
        }
    }
}

impl Exposure<'_> {
    /// Whether the call shows nothing of the kind.
    pub fn is_empty(&self) -> bool {
        self.signs.is_empty() && self.jwt_lifetime_s.is_none() && self.classes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_has_its_own_bit_and_its_own_name() {
        for (at, sign) in Sign::ALL.into_iter().enumerate() {
            assert_eq!(sign as usize, at, "{sign:?}");
            assert_eq!(Sign::named(sign.as_str()), Some(sign));
            let signs: Signs = [sign].into_iter().collect();
            assert_eq!(signs.iter().collect::<Vec<_>>(), [sign]);
        }
        assert_eq!(Sign::named("none"), None);
    }
}
