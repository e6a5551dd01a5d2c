#![doc = include_str!("doc.md")]

use super::DataClass;
use crate::candidates::Candidates;
use crate::evidence::Form;
use crate::parameter::Parameter;
use crate::values::{CredentialShape, VALUE_BYTES_MIN, credential_shape, private_key_at, without_scheme};
use crate::words::{Says, Words};

pub(crate) const WORDS: &Words = &[
    (
        Says::Names(DataClass::Password),
        "password passwd pwd passphrase passcode newpassword oldpassword currentpassword confirmpassword userpass \
         kennwort passwort motdepasse contrasena senha parolachiave wachtwoord haslo losenord passord adgangskode pincode \
         userpin cardpin",
    ),
    (
        Says::Names(DataClass::ApiKey),
        "apikey xapikey apitoken accesskey accesskeyid secretkey secretaccesskey subscriptionkey functionskey clientkey appkey \
         servicekey licensekey masterkey authkey signingkey sharedkey accountkey apisecret",
    ),
    (Says::Names(DataClass::JsonWebToken), "jwt jsonwebtoken jwttoken"),
    (Says::Names(DataClass::PrivateKey), "privatekey rsakey pemkey sshkey"),
    (
        Says::Names(DataClass::SessionId),
        "session sessionid sessid sessiontoken sessionkey sessioncookie phpsessid jsessionid connectsid aspsessionid",
    ),
    (
        Says::Names(DataClass::AccessToken),
        "accesstoken refreshtoken idtoken authtoken bearertoken csrftoken xsrftoken securitytoken oauthtoken token tokens \
         secret clientsecret authorization proxyauthorization credential bearer cookie otp totp onetimepassword otpcode \
         mfacode authcode verificationcode jeton",
    ),
];

/// Values that stand for one, or for none.
const NO_VALUES: &[&str] = &[
    "true",
    "false",
    "null",
    "none",
    "nil",
    "undefined",
    "redacted",
    "[redacted]",
    "masked",
    "hidden",
    "basic",
    "bearer",
];

/// Shorter ones are flags, and codes of countries and states.
const SECRET_BYTES_MIN: usize = 4;
/// From here on a word of letters and digits without spaces is hardly a word.
const RANDOM_BYTES_MIN: usize = 8;

/// How a password is kept: the first signs of the crypt(3) formats, of Argon2 (RFC 9106) and of scrypt (RFC 7914).
const KEPT_PASSWORDS: &[&str] = &["$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$", "$y$", "$argon2", "$scrypt$"];

pub(crate) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    by_shape(parameter, candidates);
    by_name(parameter, candidates);
}

/// Whatever the field is called.
fn by_shape(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let text = parameter.value;
    if text.len() < VALUE_BYTES_MIN {
        return;
    }
    let (value, start) = parameter.trimmed();
    if credential_shape(value) == Some(CredentialShape::Authorization) {
        let credential = without_scheme(value);
        let from = start + value.len() - credential.len();
        // The token itself may have a shape of its own, which is found below.
        candidates.add(parameter, DataClass::AccessToken, Form::Strong, (from, start + value.len()));
    }
    private_keys(parameter, candidates);
    if KEPT_PASSWORDS.iter().any(|prefix| value.starts_with(prefix)) && value.matches('$').count() >= 3 {
        candidates.add(parameter, DataClass::Password, Form::Strong, (start, start + value.len()));
    }
    for (from, to) in tokens(text) {
        if candidates.is_full() {
            return;
        }
        match credential_shape(&text[from..to]) {
            Some(CredentialShape::JsonWebToken) => {
                candidates.add(parameter, DataClass::JsonWebToken, Form::Proof, (from, to));
            }
            Some(CredentialShape::ProviderKey) => {
                candidates.add(parameter, DataClass::ApiKey, Form::Proof, (from, to));
            }
            _ => {}
        }
    }
    passwords_of_urls(parameter, candidates);
}

fn private_keys(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let text = parameter.value;
    let mut floor = 0;
    for start in memchr::memmem::find_iter(text.as_bytes(), b"-----BEGIN ") {
        if candidates.is_full() {
            return;
        }
        if start < floor {
            continue;
        }
        if let Some(end) = private_key_at(text, start) {
            candidates.add(parameter, DataClass::PrivateKey, Form::Proof, (start, end));
            floor = end;
        }
    }
}

/// `https://user:password@host` (RFC 3986, section 3.2.1).
fn passwords_of_urls(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let text = parameter.value;
    for at in memchr::memmem::find_iter(text.as_bytes(), b"://") {
        let start = at + "://".len();
        let rest = &text.as_bytes()[start..];
        let length = rest.iter().position(|&byte| ends_authority(byte)).unwrap_or(rest.len());
        let authority = &rest[..length];
        let Some(user_end) = memchr::memrchr(b'@', authority) else { continue };
        let Some(colon) = memchr::memchr(b':', &authority[..user_end]) else { continue };
        candidates.add(parameter, DataClass::Password, Form::Strong, (start + colon + 1, start + user_end));
    }
}

fn ends_authority(byte: u8) -> bool {
    matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>') || byte.is_ascii_whitespace()
}

/// Because of what the field is called.
fn by_name(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let (value, start) = parameter.trimmed();
    let classes = [
        DataClass::Password,
        DataClass::ApiKey,
        DataClass::SessionId,
        DataClass::AccessToken,
        DataClass::PrivateKey,
        DataClass::JsonWebToken,
    ];
    let is_none = NO_VALUES.iter().any(|none| value.eq_ignore_ascii_case(none));
    let is_masked = value.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.'));
    let is_placeholder = value.starts_with(['{', '<', '$']) && value.ends_with(['}', '>']);
    if value.len() < SECRET_BYTES_MIN || is_none || is_masked || is_placeholder {
        return;
    }
    for class in classes {
        if !parameter.said.speaks_of(class) {
            continue;
        }
        let form = match class {
            // Anything is a password.
            DataClass::Password => Form::Possible,
            // Their shape is known, and this was not of it.
            DataClass::PrivateKey | DataClass::JsonWebToken if credential_shape(value).is_none() => continue,
            _ => randomness(value),
        };
        candidates.add(parameter, class, form, (start, start + value.len()));
    }
}

/// How little a value looks like something that a person wrote.
fn randomness(value: &str) -> Form {
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    let is_token = value.bytes().all(|byte| byte.is_ascii_graphic());
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    match value.len() {
        VALUE_BYTES_MIN.. if is_token && is_mixed => Form::Fair,
        RANDOM_BYTES_MIN.. if is_token && is_mixed => Form::Weak,
        _ => Form::Possible,
    }
}

/// Words of the signs that a token may have.
fn tokens(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + bytes[at..].iter().position(|&byte| is_of_token(byte))?;
            let end = bytes[start..].iter().position(|&byte| !is_of_token(byte)).map_or(bytes.len(), |len| start + len);
            at = end;
            // A full stop behind it is the sentence's.
            let end = start + bytes[start..end].iter().rposition(|&byte| byte != b'.').map_or(0, |last| last + 1);
            if end - start >= VALUE_BYTES_MIN {
                return Some((start, end));
            }
        }
    })
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
