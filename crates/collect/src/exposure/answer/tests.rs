use outrider_model::Text;

use super::*;
use crate::json::JsonRoom;

/// 2026-11-23 22:39:51 UTC.
const AT_MS: i64 = 1_795_473_591_000;

/// What is made of the headers of a line, which last as long as what they were read in.
fn read<T>(json: &str, take: impl FnOnce(&ResponseHeaders<'_>) -> T) -> T {
    JsonRoom::default().read(json.as_bytes(), |headers| Ok(take(&ResponseHeaders::of(headers)))).unwrap()
}

fn signs(json: &str, answered_by: AnsweredBy) -> Signs {
    read(json, |headers| answer(headers, answered_by, AT_MS))
}

#[track_caller]
fn check(json: &str, expected: &[Sign]) {
    let signs = signs(json, AnsweredBy::Upstream);
    let told: Vec<Sign> = signs.iter().filter(|sign| *sign != Sign::CachingUnstated).collect();
    assert_eq!(told, expected, "{json}");
}

#[test]
fn programs_that_tell_their_version_are_told() {
    use Sign::{GatewayVersion, UpstreamVersion};
    check(r#"{"server":"BaseHTTP/0.6 Python/3.11.7","via":"1.1 kong/3.9.1"}"#, &[UpstreamVersion, GatewayVersion]);
    check(r#"{"server":"nginx","via":"1.1 kong"}"#, &[]);
    check(r#"{"server":"Kong/3.4.0.0-enterprise-edition"}"#, &[GatewayVersion]);
    check(r#"{"via":["1.1 varnish","1.1 google, kong/2.8"]}"#, &[GatewayVersion]);
    check(r#"{"via":"1.1 varnish"}"#, &[]);
    for software in ["PHP/7.4.3", "ASP.NET 4.0", "Express v4", "4.0.30319", "Servlet(3.1)", "5"] {
        check(&format!(r#"{{"x-powered-by":"{software}"}}"#), &[UpstreamVersion]);
        check(&format!(r#"{{"server":"{software}"}}"#), &[UpstreamVersion]);
    }
    for software in ["Express", "h2o", "AmazonS3", "gws", "cloudflare", "", "v", "\u{e9}"] {
        check(&format!(r#"{{"x-powered-by":"{software}","server":"{software}"}}"#), &[]);
    }
    check(r#"{"x-aspnet-version":"4.0.30319"}"#, &[UpstreamVersion]);
    check(r#"{"x-request-id":"4.0.30319","x-runtime":"0.12"}"#, &[]);
}

#[test]
fn origins_and_strict_transport_are_told() {
    check(r#"{"access-control-allow-origin":"*"}"#, &[Sign::CorsAnyOrigin]);
    check(r#"{"access-control-allow-origin":"https://a.example"}"#, &[]);
    check(
        r#"{"access-control-allow-origin":" * ","access-control-allow-credentials":"true"}"#,
        &[Sign::CorsAnyOrigin, Sign::CorsCredentials],
    );
    check(r#"{"access-control-allow-credentials":true}"#, &[Sign::CorsCredentials]);
    check(r#"{"access-control-allow-credentials":"false"}"#, &[]);
    for strict in ["max-age=31536000", "includeSubDomains; Max-Age=\\\"99999999999999999999\\\"; preload"] {
        check(&format!(r#"{{"strict-transport-security":"{strict}"}}"#), &[Sign::StrictTransport]);
    }
    for lax in ["max-age=0", "includeSubDomains", "", "max-age=-1", "max-age"] {
        check(&format!(r#"{{"strict-transport-security":"{lax}"}}"#), &[]);
    }
}

#[test]
fn cookies_without_a_flag_are_told() {
    use Sign::{CookieSet, CookieWithoutHttpOnly, CookieWithoutSameSite, CookieWithoutSecure};
    check(r#"{"set-cookie":"sid=1; Path=/; Secure; HttpOnly; SameSite=Lax"}"#, &[CookieSet]);
    check(r#"{"set-cookie":"sid=1;secure;HTTPONLY;samesite = Strict "}"#, &[CookieSet]);
    check(
        r#"{"set-cookie":"secure=httponly"}"#,
        &[CookieSet, CookieWithoutSecure, CookieWithoutHttpOnly, CookieWithoutSameSite],
    );
    check(r#"{"set-cookie":"sid=1; Secure; HttpOnly; SameSite=None"}"#, &[CookieSet, CookieWithoutSameSite]);
    check(
        r#"{"set-cookie":["a=1; Secure; HttpOnly; SameSite=Lax","b=1; Secure; SameSite=Lax"]}"#,
        &[CookieSet, CookieWithoutHttpOnly],
    );
    check(r#"{"set-cookie":""}"#, &[]);
    check(r#"{"set-cookie":{"a":1}}"#, &[]);
    check(r#"{"set-cookie":null}"#, &[]);
}

#[track_caller]
fn check_caching(json: &str, expected: Option<Sign>) {
    let signs = signs(json, AnsweredBy::Upstream);
    assert_eq!(signs.iter().next(), expected, "{json}");
}

#[test]
fn who_may_keep_an_answer_is_told() {
    for control in
        ["public", "max-age=60", "no-cache, S-MaxAge=1", "must-revalidate,max-age=\\\"5\\\"", "max-age=0, public"]
    {
        check_caching(&format!(r#"{{"cache-control":"{control}"}}"#), Some(Sign::Cacheable));
        check_caching(&format!(r#"{{"cache-control":["{control}","private"]}}"#), None);
        check_caching(&format!(r#"{{"cache-control":"{control}, No-Store"}}"#), None);
    }
    for control in ["no-cache", "max-age=0", "s-maxage=x", "private", "no-store", "max-age"] {
        check_caching(&format!(r#"{{"cache-control":"{control}"}}"#), None);
        // What `cache-control` says goes before it.
        let both = format!(r#"{{"cache-control":"{control}","expires":"Tue, 24 Nov 2026 00:00:00 GMT"}}"#);
        check_caching(&both, None);
    }
    check_caching(r#"{"expires":"Tue, 24 Nov 2026 00:00:00 GMT"}"#, Some(Sign::Cacheable));
    for past in ["0", "-1", "Thu, 19 Nov 1981 08:52:00 GMT", "Mon, 23 Nov 2026 22:00:00 GMT", "", "soon"] {
        check_caching(&format!(r#"{{"expires":"{past}"}}"#), None);
    }
    check_caching("{}", Some(Sign::CachingUnstated));
    check_caching(r#"{"cache-control":"","pragma":"no-cache"}"#, Some(Sign::CachingUnstated));
    for unknown in ["[]", "null", "\"none\"", "7"] {
        check_caching(unknown, None);
    }
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!(r#""x-{at}":"1""#)).collect();
        format!("{{{}}}", names.join(","))
    };
    check_caching(&many(HEADERS_LOGGED_MAX - 1), Some(Sign::CachingUnstated));
    check_caching(&many(HEADERS_LOGGED_MAX), None);
    let repeated = |count: usize| format!(r#"{{"x-a":[{}],"x-b":"1"}}"#, vec!["\"1\""; count].join(","));
    check_caching(&repeated(HEADERS_LOGGED_MAX - 2), Some(Sign::CachingUnstated));
    check_caching(&repeated(HEADERS_LOGGED_MAX - 1), None);
}

#[test]
fn what_the_gateway_answers_says_nothing_of_the_api() {
    let json = r#"{"server":"kong/3.9.1","x-powered-by":"PHP/7.4","access-control-allow-origin":"*",
        "access-control-allow-credentials":"true","set-cookie":"a=1","cache-control":"public","expires":"0",
        "strict-transport-security":"max-age=9"}"#;
    let signs = signs(json, AnsweredBy::Gateway);
    assert_eq!(signs.iter().collect::<Vec<_>>(), [Sign::GatewayVersion]);
    let nothing = answer(&ResponseHeaders::default(), AnsweredBy::Gateway, AT_MS);
    assert!(nothing.is_empty());
}

#[test]
fn values_are_bounded_and_borrow_from_the_line() {
    let many = vec!["\"a=1\""; 300].join(",");
    let json = format!(r#"{{"set-cookie":[{many}],"content-type":["text/html","x"],"server":7}}"#);
    read(&json, |headers| {
        assert_eq!(headers.values.len(), crate::kong::HEADERS_MAX);
        let texts = headers.values.iter().filter(|(name, _)| *name == ResponseHeader::SetCookie);
        assert!(texts.into_iter().all(|(_, value)| value.borrowed().is_some()));
        assert_eq!((headers.count, &headers.content_type), (Some(303), &Text::from("text/html")));
    });
}
