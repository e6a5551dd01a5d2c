use outrider_model::{Actor, ClockCheck, SKEW_PAST_MS_MAX};

use super::*;

const NOW_MS: i64 = 1_795_448_391_727;

fn normaliser(settings: NormaliserSettings) -> Normaliser {
    Normaliser::new(settings, PseudonymKey::from_bytes(&[7; 32])).unwrap()
}

fn check(line: &str, inspect: impl FnOnce(&ApiCall<'_>)) {
    let normaliser = normaliser(NormaliserSettings::new("kong"));
    let mut scratch = Scratch::default();
    let call = normaliser.normalise(line.as_bytes(), Some(NOW_MS), &mut scratch);
    inspect(&call.unwrap_or_else(|reason| panic!("{line}: {reason}")));
}

#[test]
fn a_line_that_says_nearly_nothing_is_still_a_call() {
    check(r#"{"request":{}}"#, |call| {
        assert_eq!((call.received_ms, call.event_ms, call.started_ms), (NOW_MS, NOW_MS, NOW_MS));
        assert_eq!((call.clock, call.status, call.actor()), (ClockCheck::Missing, 0, None));
        assert_eq!((&*call.method, &*call.path, &*call.host), ("", "", ""));
        assert_eq!(call.latency, Latency { total_ms: -1, gateway_ms: -1, upstream_ms: -1 });
        assert_eq!((call.trust, &*call.gateway), (Trust::Trusted, "kong"));
    });
    check(r#"{"request":"gone","response":{"status":401},"client_ip":"192.0.2.1"}"#, |call| {
        assert_eq!(call.status, 401);
        assert_eq!(call.actor(), Some(Actor::Address([192, 0, 2, 1].into())));
    });
    let normaliser = normaliser(NormaliserSettings::new("kong"));
    for line in ["{}", r#"{"a":1}"#, r#"{"request":"gone"}"#, r#"{"request":null,"response":{"status":[]}}"#] {
        let seen = normaliser.normalise(line.as_bytes(), Some(NOW_MS), &mut Scratch::default()).err();
        assert_eq!(seen, Some(Rejection::NoRequest), "{line}");
    }
}

#[test]
fn a_stream_is_no_call_and_no_garbage() {
    // As Kong's `kong.log.serialize` builds it where the subsystem is `stream`.
    let stream = r#"{"session":{"tls":{"version":"TLSv1.3"},"received":78,"sent":120,"status":200,"server_port":9000},
        "upstream":{"received":120,"sent":78},"latencies":{"kong":3,"session":41},"client_ip":"192.0.2.1",
        "started_at":1795448391714,"tries":[{"ip":"10.0.0.1","port":80}],"route":{"id":"r-1"},"service":{"id":"s-1"}}"#
        .replace('\n', "");
    let normaliser = normaliser(NormaliserSettings::new("kong"));
    for (line, expected) in [
        (&*stream, Rejection::Stream),
        (r#"{"session":{}}"#, Rejection::Stream),
        (r#"{"session":{"status":200},"request":"gone"}"#, Rejection::Stream),
        (r#"{"session":"s-1"}"#, Rejection::NoRequest),
        (r#"{"session":["s-1"]}"#, Rejection::NoRequest),
        (r#"{"session":null}"#, Rejection::NoRequest),
    ] {
        let seen = normaliser.normalise(line.as_bytes(), Some(NOW_MS), &mut Scratch::default()).err();
        assert_eq!(seen, Some(expected), "{line}");
        assert_eq!(expected.is_trouble(), expected != Rejection::Stream);
    }
    // A field of this name in the line of a call is somebody's own.
    check(r#"{"request":{"uri":"/a"},"session":{"id":"s-1"}}"#, |call| assert_eq!(&*call.path, "/a"));
}

#[test]
fn who_asked_by_a_trusted_proxy_is_the_client() {
    let trusted =
        |header: &str| TrustedProxies { networks: vec!["10.0.0.0/8".parse().unwrap()], header: header.to_owned() };
    let by_proxy =
        r#""client_ip":"10.0.0.1","request":{"headers":{"X-Forwarded-For":["203.0.113.66","198.51.100.1:80"],
        "forwarded":"for=198.51.100.2"}}"#
            .replace('\n', "");
    let directly = by_proxy.replace("10.0.0.1", "::ffff:203.0.113.5");
    for (trusted_proxies, line, expected) in [
        (None, &by_proxy, Some("10.0.0.1")),
        (Some(trusted("x-forwarded-for")), &by_proxy, Some("198.51.100.1")),
        (Some(trusted("forwarded")), &by_proxy, Some("198.51.100.2")),
        (Some(trusted("true-client-ip")), &by_proxy, Some("10.0.0.1")),
        (Some(trusted("x-forwarded-for")), &directly, Some("203.0.113.5")),
        (Some(trusted("forwarded")), &by_proxy.replace("10.0.0.1", "unix:"), None),
    ] {
        let normaliser = normaliser(NormaliserSettings { trusted_proxies, ..NormaliserSettings::new("kong") });
        let (line, mut scratch) = (format!("{{{line}}}"), Scratch::default());
        let call = normaliser.normalise(line.as_bytes(), Some(NOW_MS), &mut scratch).unwrap();
        assert_eq!(call.client_ip, expected.map(|address| address.parse().unwrap()), "{line}");
    }
}

#[test]
fn who_acted() {
    let consumer = r#""consumer":{"id":"c-1","username":"alice"}"#;
    let entity = r#""authenticated_entity":{"id":"k-1"}"#;
    let key = PseudonymKey::from_bytes(&[7; 32]).pseudonym(crate::Domain::Credential, b"presented");
    let apikey = r#""request":{"headers":{"apikey":"presented"}}"#;
    let anonymous = r#""request":{"headers":{"x-anonymous-consumer":"true","x-consumer-id":"c-1"}}"#;
    let plain = r#""request":{"headers":{"x-anonymous-consumer":"no"}}"#;
    let address = r#""client_ip":"::ffff:192.0.2.1""#;
    let ip = Actor::Address([192, 0, 2, 1].into());
    let cases = [
        (vec![consumer, entity, apikey, address], Actor::Consumer("c-1"), false),
        (vec![consumer, entity, plain, address], Actor::Consumer("c-1"), false),
        (vec![consumer, entity, anonymous, address], Actor::Credential("k-1"), true),
        (vec![consumer, apikey, address], Actor::PresentedCredential(key), true),
        (vec![consumer, anonymous, address], ip, true),
        (vec![anonymous, address], ip, true),
        (vec![entity, apikey], Actor::Credential("k-1"), false),
        (vec![apikey, address], Actor::PresentedCredential(key), false),
        (vec![plain, address], ip, false),
        (vec![r#""consumer":{"username":"forged"}"#, entity, plain], Actor::Credential("k-1"), false),
    ];
    for (parts, actor, anonymous) in cases {
        check(&format!("{{{}}}", parts.join(",")), |call| {
            assert_eq!((call.actor(), call.anonymous_consumer), (Some(actor), anonymous), "{parts:?}");
            assert!(call.headers.iter().all(|field| !field.name.starts_with("x-consumer-")), "{parts:?}");
        });
    }
}

#[test]
fn where_and_what() {
    let line = r#"{"workspace":"w-1","route":{"id":"r-1"},"service":{"id":"s-1","name":"shop","tags":["a"]},
        "request":{"id":"q-1","method":"get","uri":"/a%2Fb?x=1&flag#f","url":"http://other/","size":"12",
        "headers":{"Host":"API.Example.:8000","Accept":["a/b","c/d"]}},
        "response":{"status":"201","size":34,"headers":{"content-type":"text/html"}},
        "latencies":{"request":13,"kong":6,"proxy":7},"started_at":1795448391714,"source":"upstream"}"#
        .replace('\n', "");
    check(&line, |call| {
        assert_eq!((&*call.workspace, &*call.request_id, &*call.method), ("w-1", "q-1", "GET"));
        assert_eq!((&*call.host, &*call.path, call.status), ("api.example", "/a%2Fb", 201));
        assert_eq!(call.service, Some(Named { id: Text::from("s-1"), name: Text::from("shop") }));
        assert_eq!(call.route.as_ref().unwrap().label(), "r-1");
        assert_eq!((call.request_bytes, call.response_bytes), (12, 34));
        assert_eq!(call.latency, Latency { total_ms: 13, gateway_ms: 6, upstream_ms: 7 });
        assert_eq!((call.started_ms, call.event_ms, call.clock), (NOW_MS - 13, NOW_MS, ClockCheck::AsReported));
        assert_eq!(call.query[0], Field { name: "x".into(), value: FieldValue::Clear("1".into()) });
        assert_eq!(call.query[1], Field { name: "flag".into(), value: FieldValue::Flag });
        let headers: Vec<&str> = call.headers.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(headers, ["host", "accept", "accept"]);
        assert_eq!((call.answered_by, &*call.response_type), (AnsweredBy::Upstream, "text/html"));
    });
    let escaped = r#"{"request":{"uri":"\/a\/b?q=%41\"&token=x\/y"},"response":{"status":1e9,"size":-5}}"#;
    check(escaped, |call| {
        assert_eq!((&*call.path, call.status, call.response_bytes), ("/a/b", 0, 0));
        assert_eq!(call.query[0].value, FieldValue::Clear("A\"".into()));
        assert!(matches!(call.query[1].value, FieldValue::Pseudonym(_, 3)));
    });
}

#[test]
fn only_lines_with_the_secret_are_trusted() {
    let secret = "an-agreed-secret-of-some-length";
    let settings = |secret: Option<&str>, field: &str| NormaliserSettings {
        secret: secret.map(|secret| SourceSecret::new(secret).unwrap()),
        secret_field: field.to_owned(),
        ..NormaliserSettings::new("kong")
    };
    let right = format!(r#"{{"request":{{}},"outrider_key":"{secret}"}}"#);
    let elsewhere = format!(r#"{{"request":{{}},"proof":"{secret}"}}"#);
    use Trust::{Trusted, Untrusted};
    for (settings, line, expected) in [
        (settings(Some(secret), "outrider_key"), &*right, Trusted),
        (settings(Some(secret), "outrider_key"), &*elsewhere, Untrusted),
        (settings(Some(secret), "proof"), &*elsewhere, Trusted),
        (settings(Some(secret), "outrider_key"), r#"{"request":{}}"#, Untrusted),
        (settings(Some(secret), "outrider_key"), r#"{"request":{},"outrider_key":""}"#, Untrusted),
        (settings(Some(secret), "outrider_key"), r#"{"request":{},"outrider_key":["x"]}"#, Untrusted),
        (settings(None, "outrider_key"), &*right, Trusted),
        (settings(None, "outrider_key"), r#"{"request":{}}"#, Trusted),
    ] {
        let normaliser = normaliser(settings);
        let mut scratch = Scratch::default();
        let call = normaliser.normalise(line.as_bytes(), Some(NOW_MS), &mut scratch).unwrap();
        assert_eq!(call.trust, expected, "{line}");
        let shown = format!("{call:?}{normaliser:?}");
        assert!(!shown.contains(secret), "{shown}");
    }
    for wrong in ["", "short", "has a space in it, so no", &"x".repeat(513)] {
        assert!(SourceSecret::new(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn a_secret_file_of_others_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kong.secret");
    std::fs::write(&path, "an-agreed-secret-of-some-length\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(SourceSecret::load(&path), Err(CollectError::FileOpenToOthers { mode: 0o640, .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(SourceSecret::load(&path).unwrap().is("an-agreed-secret-of-some-length"));
    std::fs::write(&path, "short").unwrap();
    assert!(matches!(SourceSecret::load(&path), Err(CollectError::SecretInvalid { .. })));
    assert!(matches!(SourceSecret::load(&path.join("none")), Err(CollectError::SecretFile { .. })));
}

#[test]
fn our_own_refusals_are_known_by_the_content_type() {
    for (content_type, expected) in [
        ("application/json; charset=utf-8; outrider=\\\"a1b2\\\"", Some("a1b2")),
        ("application/json; outrider=1", Some("1")),
        ("application/json;OUTRIDER=x;charset=utf-8", Some("x")),
        ("a/b; x=\\\"; outrider=no\\\"; outrider=yes", Some("yes")),
        ("a/b; flag; outrider=yes", Some("yes")),
        ("a/b; x=\\\"; outrider=no\\\"", None),
        ("application/vnd.outrider.block+json", None),
        ("application/json; not-outrider=1", None),
        ("application/json; outrider=", None),
        ("application/json; outrider=\\\"open", None),
        ("outrider=1", None),
        ("text/html", None),
        ("", None),
    ] {
        for (source, expected) in [("kong", expected), ("upstream", None)] {
            let line = format!(
                r#"{{"request":{{}},"source":"{source}","response":{{"status":403,"headers":{{"content-type":"{content_type}"}}}}}}"#
            );
            check(&line, |call| {
                assert_eq!(call.own_refusal.as_ref().map(Text::as_str), expected, "{line}");
                assert_eq!(call.is_evidence(), expected.is_none());
            });
        }
    }
}

#[test]
fn limits_are_counted() {
    let normaliser = normaliser(NormaliserSettings::new("kong"));
    let mut scratch = Scratch::default();
    let many = format!(r#"{{"request":{{"uri":"/?{}"}}}}"#, "a=1&".repeat(1000));
    assert_eq!(normaliser.normalise(many.as_bytes(), None, &mut scratch).unwrap().query.len(), QUERY_FIELDS_MAX);
    let few = br#"{"request":{"uri":"/?a=1"}}"#;
    normaliser.normalise(few, None, &mut scratch).unwrap();
    assert_eq!((scratch.take_truncated(), scratch.take_truncated()), (1, 0));
}

#[test]
fn raw_files_run_on_their_own_time() {
    let normaliser = normaliser(NormaliserSettings::new("kong"));
    let mut running = RunningMaximum::default();
    let mut scratch = Scratch::default();
    let mut seen = Vec::new();
    for started in ["1795448391000", "1795448390000", "null", "1795447000000", "1795448392000"] {
        let line = format!(r#"{{"request":{{}},"started_at":{started},"latencies":{{"request":7}}}}"#);
        let mut call = normaliser.normalise(line.as_bytes(), None, &mut scratch).unwrap();
        running.stamp(&mut call);
        seen.push((call.received_ms - 1_795_448_000_000, call.event_ms - 1_795_448_000_000, call.clock));
    }
    use ClockCheck::{AsReported, ClampedPast, Missing};
    assert_eq!(
        seen,
        [
            (391_007, 391_007, AsReported),
            (391_007, 390_007, AsReported),
            (391_007, 391_007, Missing),
            (391_007, 391_007 - SKEW_PAST_MS_MAX, ClampedPast),
            (392_007, 392_007, AsReported),
        ]
    );
}
