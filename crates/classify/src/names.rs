//! Names of headers and query fields that carry credentials.
//!
//! A name is read as words, so that `apiKey`, `api_key`, `X-API-Key` and `user[api-key]` are one. It is a credential's when
//!
//! - it is, as a whole, one of the well-known ones: `key`, `code`, `sig`, `auth`, `sid`, `cookie`, `pin`, `otp`, ...
//! - a word of it is, or ends in, a strong word: `token`, `secret`, `password`, `passwd`, `passphrase`, `apikey`,
//!   `signature`, `credential`, `jwt`, `session`, `sessid`, `authorization`, ...
//! - its last word is `key` or `code` and the word before says what for: `api_key`, `access-key`, `auth_code`, ...
//!
//! Names that only sound like it are named one by one in [`HARMLESS`]: a page token or a sort key is no credential, and
//! detectors need to see it. In doubt a name counts: a pseudonym in place of a harmless value still pivots and joins,
//! a credential in clear cannot be called back.

/// Names that have a strong word and carry no credential. Compared without case and separators.
const HARMLESS: &[&str] = &[
    "continuationtoken",
    "maxtokens",
    "nextpagetoken",
    "nexttoken",
    "pagetoken",
    "prevpagetoken",
    "previouspagetoken",
    "secfetchtoken",
    "secwebsocketkey",
    "sessionduration",
    "sessionlength",
    "startingtoken",
    "synctoken",
    "tokencount",
    "tokenlimit",
    "tokentype",
    "tokentypehint",
];

/// Longest name in bytes that is read; the rest of a longer one is not looked at.
const NAME_BYTES_MAX: usize = 256;

/// Longest word in bytes that is read as one; the rest of a longer one is only looked at for its ending.
const WORD_BYTES_MAX: usize = 24;

/// Whether a header or query field of this name carries a credential. Case and separators do not matter.
pub fn is_credential_name(name: &str) -> bool {
    if is_common_header(name) {
        return false;
    }
    let name = &name.as_bytes()[..name.len().min(NAME_BYTES_MAX)];
    let mut verdict = false;
    let mut words = 0usize;
    let mut only = Word::default();
    let mut before_last = Word::default();
    let mut last = Word::default();
    for_each_word(name, |word| {
        words += 1;
        verdict |= is_strong(word.as_bytes());
        before_last = last;
        last = word;
        only = word;
    });
    let verdict = verdict
        || (words == 1 && is_credential_alone(only.as_bytes()))
        || (words > 1 && is_credential_pair(before_last.as_bytes(), last.as_bytes()));
    verdict && !is_harmless(name)
}

/// The headers that nearly every request has, so that the hot path pays next to nothing for them.
fn is_common_header(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "accept"
            | "accept-encoding"
            | "accept-language"
            | "cache-control"
            | "connection"
            | "content-length"
            | "content-type"
            | "if-modified-since"
            | "if-none-match"
            | "origin"
            | "pragma"
            | "referer"
            | "te"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "via"
            | "x-consumer-custom-id"
            | "x-consumer-id"
            | "x-consumer-username"
            | "x-correlation-id"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-proto"
            | "x-kong-request-id"
            | "x-real-ip"
            | "x-request-id"
    )
}

/// One lower-cased word of a name, cut at [`WORD_BYTES_MAX`] from its end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Word {
    bytes: [u8; WORD_BYTES_MAX],
    length: usize,
}

impl Word {
    fn of(bytes: &[u8]) -> Self {
        let tail = &bytes[bytes.len().saturating_sub(WORD_BYTES_MAX)..];
        let mut word = Word { bytes: [0; WORD_BYTES_MAX], length: tail.len() };
        for (to, from) in word.bytes.iter_mut().zip(tail) {
            *to = from.to_ascii_lowercase();
        }
        word
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Splits at everything that is neither letter nor digit, and where a capital follows a small letter.
pub(crate) fn for_each_word(name: &[u8], mut take: impl FnMut(Word)) {
    let mut start = 0;
    for at in 0..=name.len() {
        let ends_here = match name.get(at) {
            None => true,
            Some(byte) if !byte.is_ascii_alphanumeric() => true,
            Some(byte) => at > start && byte.is_ascii_uppercase() && name[at - 1].is_ascii_lowercase(),
        };
        if !ends_here {
            continue;
        }
        if at > start {
            take(Word::of(&name[start..at]));
        }
        start = match name.get(at) {
            Some(byte) if byte.is_ascii_alphanumeric() => at,
            _ => at + 1,
        };
    }
}

/// A word that makes any name a credential's.
fn is_strong(word: &[u8]) -> bool {
    let ends_in = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending.as_bytes()));
    match word.last() {
        Some(b'n') => ends_in(&["token", "authorization", "authentication", "assertion"]) || word == b"session",
        Some(b's') => ends_in(&["tokens", "credentials", "passwords", "secrets"]),
        Some(b't') => ends_in(&["secret", "jwt"]),
        Some(b'd') => ends_in(&["password", "passwd", "pwd", "sessionid", "sessid"]),
        Some(b'e') => ends_in(&["passphrase", "passcode", "signature", "samlresponse", "cookie"]) || word == b"otpcode",
        Some(b'l') => ends_in(&["credential"]),
        Some(b'y') => ends_in(&["apikey", "accesskey", "secretkey", "privatekey", "authkey", "subscriptionkey"]),
        Some(b'r') => word == b"bearer",
        Some(b'h') => word == b"oauth",
        _ => false,
    }
}

/// A whole name of one word.
fn is_credential_alone(word: &[u8]) -> bool {
    matches!(
        word,
        b"key"
            | b"code"
            | b"sig"
            | b"sign"
            | b"hmac"
            | b"auth"
            | b"sid"
            | b"pass"
            | b"pin"
            | b"otp"
            | b"totp"
            | b"mfa"
            | b"appkey"
            | b"authcode"
            | b"sas"
    )
}

/// The last two words of a name.
fn is_credential_pair(before: &[u8], last: &[u8]) -> bool {
    match last {
        b"key" => matches!(
            before,
            b"api"
                | b"app"
                | b"access"
                | b"admin"
                | b"account"
                | b"auth"
                | b"client"
                | b"consumer"
                | b"developer"
                | b"encryption"
                | b"functions"
                | b"license"
                | b"master"
                | b"private"
                | b"secret"
                | b"security"
                | b"service"
                | b"shared"
                | b"signing"
                | b"subscription"
                | b"user"
                | b"outrider"
                | b"x"
        ),
        b"code" => matches!(before, b"auth" | b"access" | b"oauth" | b"otp" | b"mfa" | b"pin" | b"verification"),
        b"id" => matches!(before, b"session" | b"sess" | b"token"),
        b"sid" => matches!(before, b"connect" | b"php"),
        b"auth" => matches!(before, b"x" | b"basic" | b"proxy" | b"http"),
        b"sig" => true,
        b"response" => before == b"saml",
        b"pass" => matches!(before, b"user" | b"db" | b"basic"),
        b"pin" | b"otp" => matches!(before, b"user" | b"card" | b"sms" | b"email" | b"x"),
        _ => false,
    }
}

/// Looked at last, for the few names that sounded like a credential's.
fn is_harmless(name: &[u8]) -> bool {
    let mut squashed = Vec::with_capacity(name.len());
    squashed.extend(name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase));
    HARMLESS.iter().any(|harmless| harmless.as_bytes() == squashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_carry_credentials() {
        let names = "authorization proxy-authorization cookie set-cookie Authorization apikey api-key api_key apiKey \
            X-API-Key x-api-key key token access_token accessToken id_token refresh_token x-auth-token auth_token \
            x-amz-security-token X-Amz-Signature x-csrf-token ocp-apim-subscription-key x-functions-key sig signature \
            code auth_code jwt cf-access-jwt-assertion password passwd pwd pass user[password] new_password secret \
            client_secret clientSecret clientsecret accesstoken session session_id sessionid JSESSIONID PHPSESSID \
            connect.sid sid otp pin passcode private_key x-secret SAMLResponse saml_response client_assertion \
            credentials x-goog-iap-jwt-assertion bearer oauth_token oauth_verifier_token auth x-auth sas user_key";
        for name in names.split_whitespace() {
            assert!(is_credential_name(name), "{name}");
        }
    }

    #[test]
    fn names_that_only_sound_like_it() {
        let names = "host accept accept-encoding user-agent referer content-type q page id sort sort_key sortKey \
            primary_key cache-key partition_key idempotency-key x-idempotency-key page_token pageToken nextPageToken \
            continuation_token token_type country_code countryCode zip_code status_code currency_code promo_code \
            author authority keyboard monkey turkey keyword design assign signal sigma session_duration max_tokens \
            passenger passage compass secretary x-request-id x-forwarded-for traceparent etag if-none-match \
            sec-websocket-key x-kong-request-id x-case q[] _ - tokenizer";
        for name in names.split_whitespace() {
            assert!(!is_credential_name(name), "{name}");
        }
        assert!(!is_credential_name(""));
    }

    #[test]
    fn any_name_is_read_without_panic() {
        for name in ["\u{e9}token\u{e9}", "\u{f7e9}", "[[[]]]", "a\0token", &"x".repeat(100_000), "Ä_key"] {
            let _ = is_credential_name(name);
        }
        assert!(is_credential_name(&format!("{}token", "x".repeat(200))));
    }
}
