use super::*;
use crate::Rejection;
use crate::json::{DEPTH_MAX, JsonRoom};
use crate::normalise::SECRET_FIELD_DEFAULT;

/// What a line says. The room is a test's, and stays.
fn read(line: &str) -> Result<KongLine<'static>, Rejection> {
    let room: &'static mut JsonRoom = Box::leak(Box::default());
    room.read(line.as_bytes(), |value| KongLine::of(value, SECRET_FIELD_DEFAULT))
}

#[test]
fn what_is_no_line_is_rejected_by_reason() {
    let deep = format!("{}{}{}", r#"{"x":"#, "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        ("", Rejection::NotJson),
        ("garbage", Rejection::NotJson),
        ("{", Rejection::NotJson),
        (r#"{"request":{}"#, Rejection::NotJson),
        (r#"{"request":{}} x"#, Rejection::NotJson),
        (r#"{"request":{}}{}"#, Rejection::NotJson),
        ("{\"request\":\"\0\"}", Rejection::NotJson),
        (r#"{"request":"\ud800"}"#, Rejection::NotJson),
        ("\0", Rejection::NotJson),
        ("[]", Rejection::NotAnObject),
        ("[{\"request\":{}}]", Rejection::NotAnObject),
        ("null", Rejection::NotAnObject),
        ("1", Rejection::NotAnObject),
        ("\"x\"", Rejection::NotAnObject),
        ("true", Rejection::NotAnObject),
        (&deep, Rejection::TooDeep),
    ];
    for (line, expected) in cases {
        assert_eq!(read(line).err(), Some(expected), "{}", &line[..line.len().min(80)]);
    }
}

#[test]
fn nesting_ends_at_its_limit_however_long_the_line_is() {
    for padding in [0, 100_000] {
        let check = |times: usize, opener: &str, closer: &str| {
            let nested = format!("{}1{}", opener.repeat(times), closer.repeat(times));
            read(&format!(r#"{{"x":"{}","y":{nested}}}"#, "[".repeat(padding))).err()
        };
        for (opener, closer) in [("[", "]"), ("[{\"a\":", "}]")] {
            let each = opener.matches(['[', '{']).count();
            let least = (DEPTH_MAX - 1) / each;
            assert_eq!(check(least, opener, closer), None, "{opener}");
            assert_eq!(check(least + 1, opener, closer), Some(Rejection::TooDeep), "{opener}");
        }
    }
}

#[test]
fn wrong_types_count_as_absent_and_spoil_nothing_else() {
    let values =
        ["null", "true", "-7", "1.5", "1e300", "\"text\"", "[]", "[1,{\"a\":[]}]", "{}", "{\"id\":[],\"name\":{}}"];
    let fields = [
        "response",
        "latencies",
        "started_at",
        "client_ip",
        "source",
        "workspace",
        "route",
        "service",
        "consumer",
        "authenticated_entity",
        "tries",
        "outrider_key",
        "anything",
    ];
    for field in fields {
        for value in values {
            for line in [
                format!(r#"{{"{field}":{value},"request":{{"uri":"/a"}}}}"#),
                format!(r#"{{"request":{{"uri":"/a"}},"{field}":{value}}}"#),
            ] {
                let read = read(&line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
                assert_eq!(read.request.uri, "/a", "{line}");
            }
        }
    }
    for field in ["id", "method", "url", "size", "headers", "querystring"] {
        for value in values {
            let line = format!(r#"{{"request":{{"{field}":{value},"uri":"/a"}},"response":{{"status":"201"}}}}"#);
            let read = read(&line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
            assert_eq!(read.response.status.value(), Some(201), "{line}");
            assert!(read.request.is_object && read.request.uri == "/a", "{line}");
        }
    }
    for value in ["null", "true", "-7", "1.5", "\"text\"", "[{}]"] {
        let line = format!(r#"{{"request":{value},"response":{{"status":201}}}}"#);
        let read = read(&line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
        assert!(!read.request.is_object, "{line}");
    }
}

#[test]
fn numbers_are_read_as_numbers_or_texts() {
    for (value, expected) in [
        ("7", Some(7)),
        ("-1", Some(-1)),
        ("\"7\"", Some(7)),
        ("\" 7 \"", Some(7)),
        ("7.9", Some(7)),
        ("1.7954483917204e+12", Some(1_795_448_391_720)),
        ("18446744073709551615", None),
        ("1e300", None),
        ("\"seven\"", None),
        ("null", None),
        ("[7]", None),
    ] {
        let line = format!(r#"{{"started_at":{value}}}"#);
        assert_eq!(read(&line).ok().unwrap().started_at.value(), expected, "{value}");
    }
}

#[test]
fn strings_borrow_with_escapes_and_without() {
    let line = r#"{"client_ip":"::1","consumer":{"id":"a","tags":["x","y\/z"]},"service":{"id":"s\u0041"}}"#;
    let read = read(line).ok().unwrap();
    assert!(read.client_ip.borrowed().is_some());
    let tags = read.consumer.tags;
    assert!([&tags[0], &tags[1], &read.service.id].iter().all(|text| text.borrowed().is_some()));
    assert_eq!((&*tags[1], &*read.service.id), ("y/z", "sA"));
}

#[test]
fn headers_have_one_entry_per_value() {
    let line =
        r#"{"request":{"headers":{"a":"1","b":["2","3",4,null],"c":5,"d":null,"e":{"f":"g"},"h":true,"i":1.5}}}"#;
    let request = read(line).ok().unwrap().request;
    let shown: Vec<String> = request
        .headers
        .fields
        .iter()
        .map(|field| match &field.value {
            outrider_model::FieldValue::Clear(value) => format!("{}={value}", &*field.name),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shown, ["a=1", "b=2", "b=3", "b=4", "b=", "c=5", "h=true", "i=1.5"]);

    let many: String = (0..=HEADERS_MAX).map(|index| format!(r#""h{index}":"v","#)).collect();
    let line = format!(r#"{{"request":{{"headers":{{{}"z":"v"}}}}}}"#, many);
    let request = read(&line).ok().unwrap().request;
    assert_eq!((request.headers.fields.len(), request.headers.truncated), (HEADERS_MAX, true));
}

#[test]
fn who_made_the_answer() {
    use AnsweredBy::{Gateway, Upstream};
    let good = r#"[{"ip":"10.0.0.1","port":80}]"#;
    let failed = r#"[{"state":"failed","code":502},{"state":"failed","code":502}]"#;
    let second = r#"[{"state":"failed","code":502},{"ip":"10.0.0.2"}]"#;
    let line = |source: &str, tries: &str, proxy: &str| {
        let field = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!(r#""{name}":{value},"#),
        };
        let latencies = if proxy.is_empty() { String::new() } else { format!(r#"{{"proxy":{proxy}}}"#) };
        format!("{{{}{}{}\"x\":1}}", field("source", source), field("tries", tries), field("latencies", &latencies))
    };
    for (source, tries, proxy, expected) in [
        ("\"upstream\"", "[]", "-1", Upstream),
        ("\"kong\"", good, "5", Gateway),
        ("", good, "5", Upstream),
        ("", good, "0", Upstream),
        ("", good, "", Upstream),
        ("", second, "5", Upstream),
        ("", good, "-1", Gateway),
        ("", "[]", "-1", Gateway),
        ("", "{}", "-1", Gateway),
        ("", "{}", "5", Gateway),
        ("", failed, "5", Gateway),
        ("", "", "5", Upstream),
        ("", "", "-1", Gateway),
        ("", "", "", Gateway),
        ("", "5", "5", Gateway),
        ("\"forged\"", good, "5", Upstream),
        ("\"forged\"", "[]", "-1", Gateway),
    ] {
        let line = line(source, tries, proxy);
        assert_eq!(read(&line).ok().unwrap().answered_by(), expected, "{line}");
    }
}
