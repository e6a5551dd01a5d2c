//! How the client came to the gateway.

use outrider_model::{Sign, Signs};

use crate::kong::Tls;

/// Words in the names of ciphers that are broken, as OpenSSL and IANA write them: `RC4-MD5`, `DES-CBC3-SHA`, `TLS_RSA_WITH_NULL_SHA`,
/// `EXP-RC2-CBC-MD5`, `ADH-AES128-SHA`.
const WEAK_WORDS: [&str; 11] = ["RC4", "RC2", "DES", "DES40", "3DES", "NULL", "EXP", "EXPORT", "ADH", "AECDH", "MD5"];
/// Versions before TLS 1.2, as OpenSSL calls them.
const OLD_VERSIONS: [&str; 4] = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"];

/// What is known of the way from the client to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// Nothing stands between them, as far as the source is told.
    Straight,
    /// By a proxy of ours, which says whether it was asked by HTTPS.
    ByProxy { https: bool },
    /// By a proxy of ours that does not say, or by one that may not be believed. The gateway knows its own end alone.
    Unknown,
}

/// The signs of a connection: the URL as the gateway logs it, and its TLS.
pub(crate) fn transport(url: &str, tls: &Tls<'_>, came: Came) -> Signs {
    let mut signs = Signs::default();
    let is_https = match came {
        Came::Straight => is_https(url).or((!tls.version.is_empty()).then_some(true)),
        Came::ByProxy { https } => Some(https),
        Came::Unknown => None,
    };
    match is_https {
        Some(true) => signs.insert(Sign::Https),
        Some(false) => signs.insert(Sign::PlainHttp),
        None => {}
    }
    // What a proxy speaks with the gateway is not what the client speaks with the proxy.
    if came == Came::Straight {
        if OLD_VERSIONS.iter().any(|old| old.eq_ignore_ascii_case(&tls.version)) {
            signs.insert(Sign::OldTls);
        }
        if is_weak(&tls.cipher) {
            signs.insert(Sign::WeakCipher);
        }
    }
    signs
}

/// By the URL's scheme (RFC 3986, section 3.1).
pub(super) fn is_https(url: &str) -> Option<bool> {
    let begins = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if begins("https://") {
        return Some(true);
    }
    begins("http://").then_some(false)
}

fn is_weak(cipher: &str) -> bool {
    let is_anonymous = |word: &str| word.eq_ignore_ascii_case("anon");
    cipher
        .split(['-', '_'])
        .any(|word| is_anonymous(word) || WEAK_WORDS.iter().any(|weak| weak.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use outrider_model::Text;

    use super::*;

    #[track_caller]
    fn check(url: &str, version: &str, cipher: &str, came: Came, expected: &[Sign]) {
        let tls = Tls { version: Text::from(version), cipher: Text::from(cipher) };
        assert_eq!(transport(url, &tls, came).iter().collect::<Vec<_>>(), expected, "{url} {version} {cipher}");
    }

    #[test]
    fn a_connection_shows_how_the_client_came() {
        use Came::{ByProxy, Straight, Unknown};
        check("http://api.example:8000/a", "", "", Straight, &[Sign::PlainHttp]);
        check("HTTPS://api.example/a", "TLSv1.3", "TLS_AES_256_GCM_SHA384", Straight, &[Sign::Https]);
        check("https://api.example/a", "", "", Straight, &[Sign::Https]);
        check("", "TLSv1.2", "ECDHE-RSA-AES128-SHA256", Straight, &[Sign::Https]);
        check("", "", "", Straight, &[]);
        check("httpsx", "", "", Straight, &[]);
        check("https:/\u{e9}", "", "", Straight, &[]);
        check("http://a", "", "", ByProxy { https: true }, &[Sign::Https]);
        check("https://a", "TLSv1", "RC4-MD5", ByProxy { https: false }, &[Sign::PlainHttp]);
        check("http://a", "", "", Unknown, &[]);
    }

    #[test]
    fn old_versions_and_broken_ciphers_are_told() {
        for (version, is_old) in [
            ("SSLv3", true),
            ("TLSv1", true),
            ("TLSv1.1", true),
            ("TLSv1.2", false),
            ("TLSv1.3", false),
            ("TLSv1.10", false),
        ] {
            let expected: &[Sign] = if is_old { &[Sign::Https, Sign::OldTls] } else { &[Sign::Https] };
            check("https://a", version, "AES256-SHA", Came::Straight, expected);
        }
        for cipher in [
            "RC4-SHA",
            "DES-CBC3-SHA",
            "EDH-RSA-DES-CBC3-SHA",
            "NULL-SHA256",
            "EXP-DES-CBC-SHA",
            "ADH-AES256-GCM-SHA384",
            "AECDH-AES128-SHA",
            "TLS_DH_anon_WITH_AES_128_CBC_SHA",
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            "RC4-MD5",
        ] {
            check("https://a", "TLSv1.2", cipher, Came::Straight, &[Sign::Https, Sign::WeakCipher]);
        }
        for cipher in [
            "ECDHE-RSA-AES256-GCM-SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "DHE-RSA-CAMELLIA256-SHA",
            "TLS_AES_128_CCM_8_SHA256",
            "ECDHE-ECDSA-AES128-SHA",
        ] {
            check("https://a", "TLSv1.2", cipher, Came::Straight, &[Sign::Https]);
        }
    }
}
