//! ID tokens as bytes: their parts, the provider's keys, and whether one signed the other (RFC 7515, RFC 7517, RFC 7518).
//!
//! It decides whether a signature is right and says nothing of what was signed. The signatures are checked by aws-lc, which
//! TLS is made of here as well; libraries for tokens would bring a second one along. RS256, which every provider has to
//! offer, and ES256 are known; everything else is refused by name, `none` and keyed hashes among them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::OidcError;

/// A signature algorithm that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

/// A token that is taken apart and not checked yet.
#[derive(Debug)]
pub(super) struct SignedToken<'a> {
    pub algorithm: Algorithm,
    /// Which of the provider's keys it says it is signed with.
    pub key_id: Option<String>,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood; none is.
    crit: Option<Value>,
}

/// One of the provider's public keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point that is not compressed.
    P256(Vec<u8>),
}

/// A key as a provider publishes it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl<'a> SignedToken<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, OidcError> {
        let refused = |why: &str| OidcError::Token(why.to_owned());
        let parts: Vec<&str> = text.splitn(6, '.').collect();
        let &[header, payload, signature] = parts.as_slice() else {
            return Err(refused(match parts.len() {
                5 => "it is encrypted, which outrider does not take; let the provider only sign it",
                _ => "it does not have three parts",
            }));
        };
        let header: Header = part(header).ok_or_else(|| refused("its header is not readable"))?;
        if header.crit.is_some() {
            return Err(refused("its header asks for extensions"));
        }
        let algorithm = match header.alg.as_str() {
            "RS256" => Algorithm::Rs256,
            "ES256" => Algorithm::Es256,
            other => {
                let other: String = other.chars().filter(|c| !c.is_control()).take(20).collect();
                return Err(refused(&format!("it is signed with `{other}`; set the client to RS256 or ES256")));
            }
        };
        let signed = &text[..text.len() - signature.len() - 1];
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refused("its signature is not readable"))?;
        Ok(SignedToken { algorithm, key_id: header.kid, signed, payload, signature })
    }

    /// What the token says, if this key signed it.
    pub(super) fn verify(&self, key: &Key) -> Result<Map<String, Value>, OidcError> {
        let is_right = match (&key.material, self.algorithm) {
            (Material::Rsa { modulus, exponent }, Algorithm::Rs256) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, self.signed.as_bytes(), &self.signature)
                    .is_ok()
            }
            (Material::P256(point), Algorithm::Es256) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(self.signed.as_bytes(), &self.signature)
                .is_ok(),
            _ => false,
        };
        if !is_right {
            return Err(OidcError::Token("its signature is not the provider's".to_owned()));
        }
        part(self.payload).ok_or_else(|| OidcError::Token("what it says is not readable".to_owned()))
    }
}

/// The keys of a document that can be used; those for other purposes are passed over.
pub(super) fn usable_keys(published: Vec<Value>) -> Vec<Key> {
    published.into_iter().filter_map(|key| serde_json::from_value(key).ok()).filter_map(usable_key).collect()
}

fn usable_key(Jwk { kty, kid, purpose, alg, n, e, crv, x, y }: Jwk) -> Option<Key> {
    let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let (algorithm, material) = match (kty.as_str(), crv.as_deref()) {
        ("RSA", _) => ("RS256", Material::Rsa { modulus: bytes(n)?, exponent: bytes(e)? }),
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(x)?, bytes(y)?);
            // RFC 7518, 6.2.1.2: each has its full length.
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            ("ES256", Material::P256([vec![4], x, y].concat()))
        }
        _ => return None,
    };
    let is_meant = purpose.is_none_or(|purpose| purpose == "sig") && alg.is_none_or(|alg| alg == algorithm);
    is_meant.then_some(Key { id: kid, material })
}

/// The key that a token is signed with. One that does not name its key has to leave no choice.
pub(super) fn find_key<'a>(keys: &'a [Key], token: &SignedToken<'_>) -> Option<&'a Key> {
    let mut fitting = keys.iter().filter(|key| {
        let is_kind = matches!(
            (&key.material, token.algorithm),
            (Material::Rsa { .. }, Algorithm::Rs256) | (Material::P256(_), Algorithm::Es256)
        );
        is_kind && token.key_id.as_ref().is_none_or(|id| key.id.as_ref() == Some(id))
    });
    let found = fitting.next()?;
    fitting.next().is_none().then_some(found)
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
