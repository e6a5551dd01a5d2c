use outrider_model::{ACCOUNT_FIELD, Pseudonym};

use super::*;
use crate::normalise::{NormaliserSettings, Scratch};
use crate::{Domain, Normaliser, PseudonymKey, SessionCarrier};

fn key() -> PseudonymKey {
    PseudonymKey::from_bytes(&[7; 32])
}

fn field(name: &str, value: &str) -> FieldSettings {
    FieldSettings { name: name.to_owned(), value: value.to_owned() }
}

fn settings(fields: &[FieldSettings]) -> NormaliserSettings {
    NormaliserSettings { fields: fields.to_vec(), ..NormaliserSettings::new("kong") }
}

fn shown(field: &Field<'_>) -> String {
    match &field.value {
        FieldValue::Clear(value) => format!("{}={value}", field.name),
        FieldValue::Pseudonym(pseudonym, length) => format!("{}={pseudonym}/{length}", field.name),
        FieldValue::Flag => field.name.to_string(),
        FieldValue::Redacted => format!("{}=REDACTED!", field.name),
    }
}

/// The fields of a line by settings, and how often one failed for which reason.
fn mapped(settings: NormaliserSettings, line: &str) -> (Vec<String>, Vec<(FieldFailure, u64)>) {
    let normaliser = Normaliser::new(settings, key()).unwrap();
    let mut scratch = Scratch::default();
    let call = normaliser.normalise(line.as_bytes(), Some(1), &mut scratch).unwrap();
    let fields = call.fields.iter().map(shown).collect();
    let tallies = scratch.take_fields();
    let failed = FieldFailure::ALL
        .into_iter()
        .map(|failure| (failure, tallies.iter().map(|t| t.failed[failure as usize]).sum()));
    (fields, failed.filter(|(_, count)| *count > 0).collect())
}

/// The value of one field, its values with commas between them.
fn value_of(expression: &str, line: &str) -> Result<String, FieldFailure> {
    let (fields, failed) = mapped(settings(&[field("f", expression)]), line);
    match failed.first() {
        Some((failure, _)) => Err(*failure),
        None => Ok(fields.iter().map(|shown| shown.strip_prefix("f=").unwrap()).collect::<Vec<_>>().join(",")),
    }
}

const LINE: &str = r#"{
    "request": {"uri": "/login", "method": "POST", "headers": {"x-Tenant": "Acme", "via": ["a", "b"], "x-n": 5}},
    "response": {"status": 401, "headers": {"content-type": "application/json"}},
    "login": {"account": "Alice@corp", "tries": 3, "ok": false, "none": null, "roles": ["admin", "dev"], "deep": [["x"]]},
    "jwt.claims": {"sub": "u-1", "aud": ["shop", "pay"], "empty": {}, "list": []},
    "escaped": "a\"b\/c\u00e9",
    "big": 18446744073709551615,
    "half": 1.5,
    "items": [{"sku": "s-1", "n": 1}, {"sku": "s-2", "n": 2}]
}"#;

#[test]
fn a_place_in_the_line_is_read_as_it_is_and_an_expression_is_evaluated() {
    let cases = [
        ("line.login.account", "Alice@corp"),
        (r#"line["login"]["account"]"#, "Alice@corp"),
        (r#"line.login["account"]"#, "Alice@corp"),
        (r#"line["jwt.claims"].sub"#, "u-1"),
        (r#"line["jwt.claims"].aud"#, "shop,pay"),
        (r#"line["jwt.claims"].empty"#, ""),
        (r#"line["jwt.claims"].list"#, ""),
        (r#"line.request.headers["x-Tenant"]"#, "Acme"),
        ("line.request.headers.via", "a,b"),
        (r#"line.request.headers["x-n"]"#, "5"),
        ("line.response.status", "401"),
        ("line.login.tries", "3"),
        ("line.login.ok", "false"),
        ("line.login.none", ""),
        ("line.login.absent", ""),
        ("line.absent.account", ""),
        ("line.escaped.account", ""),
        ("line.items.sku", ""),
        ("line.escaped", "a\"b/c\u{e9}"),
        ("line.big", "18446744073709551615"),
        ("line.half", "1.5"),
        ("line.login.account.lowerAscii()", "alice@corp"),
        ("line.escaped.size()", "6"),
        ("line.login.account.split('@')[1]", "corp"),
        ("line.login.account.substring(0, 5)", "Alice"),
        ("line.login.roles[1]", "dev"),
        ("line.login.roles.exists(role, role == 'admin')", "true"),
        ("line.login.roles.filter(role, role.startsWith('d'))", "dev"),
        ("line.items.map(item, item.sku)", "s-1,s-2"),
        ("line.items.map(item, item.n > 1, item.sku)", "s-2"),
        ("line.items.all(item, item.n > 0) ? 'good' : 'odd'", "good"),
        ("'admin' in line.login.roles", "true"),
        ("line.login.tries + 1", "4"),
        ("line.half * 2.0", "3"),
        ("line.big > 5u", "true"),
        ("line.request.method + ' ' + line.request.uri", "POST /login"),
        (r#"{"Acme": "a", "Initech": "i"}[line.request.headers["x-Tenant"]]"#, "a"),
        ("has(line.login.account) ? line.login.account : 'nobody'", "Alice@corp"),
        ("has(line.login.absent) ? line.login.absent : 'nobody'", "nobody"),
        ("has(line.absent.account) ? line.absent.account : 'nobody'", "nobody"),
        ("has(line.absent) ? 'there' : 'not there'", "not there"),
        ("has(line.login) && has(line.login.account) ? 'both' : 'not'", "both"),
        ("line.login.absent.lowerAscii()", ""),
        ("line.absent.absent + 'x'", ""),
        ("line.login.none == null ? 'null' : 'value'", "null"),
        ("[line.login.account, line.login.tries, null]", "Alice@corp,3"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value_of(expression, LINE).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_has_no_value_where_it_should_is_counted_and_leaves_the_call() {
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    let numbers = (0..=FIELD_VALUES_MAX).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let many = format!("[{}]", "1,".repeat(256) + "1");
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let line = format!(
        r#"{{"request":{{"uri":"/"}},"o":{{"a":1}},"long":"{long}","numbers":[{numbers}],"many":{many},"deep":{deep},
            "huge":"{}","mixed":["a",{{"b":1}},"c"],"none":null}}"#,
        "y".repeat(5000)
    );
    let cases = [
        ("line.o", FieldFailure::NotAValue),
        ("[line.o]", FieldFailure::NotAValue),
        ("line.deep", FieldFailure::NotAValue),
        ("line.mixed", FieldFailure::NotAValue),
        ("line.long", FieldFailure::TooLong),
        ("line.long.trim()", FieldFailure::TooLong),
        ("line.numbers", FieldFailure::TooMany),
        ("line.numbers.map(n, n)", FieldFailure::TooMany),
        ("line.many.size()", FieldFailure::TooLarge),
        ("line.deep.size()", FieldFailure::TooLarge),
        ("line.huge.size()", FieldFailure::TooLarge),
        ("line.o.lowerAscii()", FieldFailure::Expression),
        ("line.none.lowerAscii()", FieldFailure::Expression),
        ("line.o.a.split('@')", FieldFailure::Expression),
        ("line.numbers[99]", FieldFailure::Expression),
        ("1 / (line.o.a - 1)", FieldFailure::Expression),
        ("int(line.long)", FieldFailure::Expression),
    ];
    for (expression, expected) in cases {
        assert_eq!(value_of(expression, &line), Err(expected), "{expression}");
    }
    // What is good of a list stays, and so do the other fields.
    let both =
        settings(&[field("mixed", "line.mixed"), field("bad", "line.o.lowerAscii()"), field("good", "line.o.a")]);
    let (fields, failed) = mapped(both, &line);
    assert_eq!(fields, ["mixed=a", "mixed=c", "good=1"]);
    assert_eq!(failed, [(FieldFailure::Expression, 1), (FieldFailure::NotAValue, 1)]);
}

#[test]
fn of_a_name_that_is_there_twice_the_last_one_counts_with_all_that_is_in_it() {
    for (login, account, tries) in [
        (r#"{"account":"a","tries":1},"login":{"account":"b"}"#, "b", ""),
        (r#"{"account":"a"},"login":{}"#, "", ""),
        (r#"{"account":"a"},"login":null"#, "", ""),
        (r#"{"account":"a","account":"b"}"#, "b", ""),
        (r#"7,"login":{"account":"a","tries":2}"#, "a", "2"),
    ] {
        let line = format!(r#"{{"request":{{"uri":"/"}},"login":{login}}}"#);
        let value = |expression| value_of(expression, &line).unwrap();
        assert_eq!(
            (value("line.login.account"), value("line.login.tries")),
            (account.to_owned(), tries.to_owned()),
            "{line}"
        );
        let either = value("has(line.login.account) ? line.login.account : ''");
        assert_eq!(either, account, "{line}");
    }
}

#[test]
fn all_fields_together_have_a_limit() {
    let fields: Vec<_> = (0..MAPPED_FIELDS_MAX).map(|number| field(&format!("f{number}"), "line.list")).collect();
    let line = format!(r#"{{"request":{{}},"list":[{}]}}"#, vec!["1"; FIELD_VALUES_MAX].join(","));
    let (fields, failed) = mapped(settings(&fields), &line);
    assert_eq!(fields.len(), MAPPED_VALUES_MAX);
    assert_eq!(failed, [(FieldFailure::TooMany, (MAPPED_FIELDS_MAX - MAPPED_VALUES_MAX / FIELD_VALUES_MAX) as u64)]);
}

#[test]
fn values_are_sanitised_as_query_fields_are() {
    let pseudonym = |domain, value: &str| key().pseudonym(domain, value.as_bytes()).to_string();
    let credential = |value: &str| pseudonym(Domain::Credential, value);
    let account = |value: &str| format!("account={}/{}", key().personal(ACCOUNT_FIELD, value), value.len());
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let line = format!(
        r#"{{"request":{{"uri":"/"}},"plain":"acme","secret":"hunter2","token":"{token}","sid":"s-1","r":"REDACTED",
            "url":"https://x.example/?token=abc","who":["alice","bob"],"empty":"",
            "mail":"alice@corp.example"}}"#
    );
    let cases = [
        ("tenant", "line.plain", "tenant=acme".to_owned()),
        ("password", "line.secret", format!("password={}/7", credential("hunter2"))),
        ("anything", "line.token", format!("anything={}/{}", credential(token), token.len())),
        ("anything", "line.token + ''", format!("anything={}/{}", credential(token), token.len())),
        ("target", "line.url", format!("target=https://x.example/?token={}", credential("abc"))),
        ("token", "line.r", "token=REDACTED!".to_owned()),
        ("visit", "line.sid", format!("visit={}/3", pseudonym(Domain::Session, "s-1"))),
        (ACCOUNT_FIELD, "line.plain", account("acme")),
        (ACCOUNT_FIELD, "line.who[0]", account("alice")),
        ("owner", "line.mail", format!("owner={}/18", key().personal("", "alice@corp.example"))),
        ("owner", "line.plain + ': ' + line.mail", format!("owner=acme: {}", key().personal("", "alice@corp.example"))),
        (ACCOUNT_FIELD, "line.empty", String::new()),
        // That Kong hid who it is does not make all of them one.
        (ACCOUNT_FIELD, "line.r", "account=REDACTED!".to_owned()),
    ];
    for (name, expression, expected) in cases {
        let session = Some(SessionCarrier::Field(name.to_owned())).filter(|_| name == "visit");
        let settings = NormaliserSettings { session, ..settings(&[field(name, expression)]) };
        let (fields, failed) = mapped(settings, &line);
        assert_eq!((fields.join(" "), failed), (expected, vec![]), "{name} {expression}");
    }
}

#[test]
fn the_account_and_the_session_are_of_the_call() {
    let fields = [field("account", "line.who"), field("visit", "line.sid")];
    let settings = NormaliserSettings { session: Some(SessionCarrier::Field("visit".to_owned())), ..settings(&fields) };
    let normaliser = Normaliser::new(settings, key()).unwrap();
    let mut scratch = Scratch::default();
    let line = br#"{"request":{"uri":"/?apikey=k"},"who":"alice","sid":"s-1"}"#;
    let call = normaliser.normalise(line, Some(1), &mut scratch).unwrap();
    let pseudonym = |domain, value: &[u8]| -> Option<Pseudonym> { Some(key().pseudonym(domain, value)) };
    assert_eq!(call.account(), Some(key().personal(ACCOUNT_FIELD, "alice")));
    assert_eq!(call.session, pseudonym(Domain::Session, b"s-1"));
    assert_eq!(call.presented_credential, pseudonym(Domain::Credential, b"k"));
    assert!(call.fields.iter().all(|field| field.name.borrowed().is_some()));
}

#[test]
fn a_policy_says_what_leaves_of_a_mapped_field() {
    let line = r#"{"request": {"uri": "/"}, "response": {"status": 200}, "who": "eva@corp.example", "note": "tall",
        "login": "ann", "key": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"}"#;
    let fields = [("kept", "line.who"), ("hidden", "line.note"), ("masked", "line.note"), ("account", "line.login")]
        .into_iter()
        .chain([("key", "line.key"), ("plain", "line.note"), ("mail", "line.who")]);
    let fields: Vec<_> = fields.map(|(name, value)| field(name, value)).collect();
    let policy = |policies: &str| {
        let field_policies = toml::from_str(policies).unwrap();
        let (fields, failed) = mapped(NormaliserSettings { field_policies, ..settings(&fields) }, line);
        assert!(failed.is_empty(), "{failed:?}");
        fields
    };
    let all =
        "field = { kept = \"keep\", hidden = \"pseudonymise\", masked = \"mask\", account = \"mask\", key = \"keep\" }";
    let fields = policy(all);
    assert_eq!((fields[0].as_str(), fields[2].as_str()), ("kept=eva@corp.example", "masked=REDACTED!"));
    assert_eq!(fields[3], "account=REDACTED!");
    assert!(fields[1].starts_with("hidden=") && fields[1].ends_with("/4") && !fields[1].contains("tall"), "{fields:?}");
    // What looks like a credential is kept by nobody.
    assert!(!fields[4].contains("eyJ"), "{fields:?}");
    assert_eq!(fields[5], "plain=tall");
    assert!(!fields[6].contains("eva@"), "{fields:?}");
    // Without a policy nothing of it is so.
    let fields = policy("");
    assert!(!fields[0].contains("eva@") && fields[1] == "hidden=tall" && fields[2] == "masked=tall", "{fields:?}");
    assert!(fields[3].starts_with("account=") && !fields[3].contains("REDACTED"), "{fields:?}");
}

#[test]
fn what_is_dropped_leaves_the_call_and_can_be_mapped_before() {
    let line = br#"{"request":{"uri":"/?a=1&b=2&a=3","headers":{"X-Debug":"d","accept":"*/*","host":"h.example"}},
        "response":{"headers":{"content-type":"text/html"}},
        "consumer":{"id":"c","username":"alice","custom_id":"x","tags":["t"]},"authenticated_entity":{"id":"k"}}"#;
    let settings = NormaliserSettings {
        drop: [
            r#"line.request.headers["x-debug"]"#,
            "line.request.headers.host",
            "line.request.querystring.a",
            "line.consumer.username",
            "line.consumer.custom_id",
            "line.consumer.tags",
            r#"line.response.headers["content-type"]"#,
        ]
        .map(str::to_owned)
        .to_vec(),
        ..settings(&[field("debug", r#"line.request.headers["X-Debug"]"#)])
    };
    let normaliser = Normaliser::new(settings, key()).unwrap();
    let mut scratch = Scratch::default();
    let call = normaliser.normalise(line, Some(1), &mut scratch).unwrap();
    let names = |fields: &[Field<'_>]| fields.iter().map(shown).collect::<Vec<_>>();
    assert_eq!(names(&call.headers), ["accept=*/*"]);
    assert_eq!(names(&call.query), ["b=2"]);
    assert_eq!(names(&call.fields), ["debug=d"]);
    assert_eq!((&*call.host, &*call.response_type), ("h.example", ""));
    let consumer = call.consumer.unwrap();
    assert_eq!((&*consumer.id, &*consumer.username, &*consumer.custom_id, consumer.tags.len()), ("c", "", "", 0));
}

#[test]
fn what_cannot_be_meant_is_refused_with_where_and_what_to_do() {
    let long = format!("line.a == '{}'", "x".repeat(1024));
    let cases = [
        ("line.login.", "`line.login.` at character 12: this is no CEL: no viable alternative"),
        ("line.a +", "at character 9: this is no CEL: mismatched input the end"),
        ("line.a\n== line..b", "at line 2, character 9: this is no CEL"),
        ("line.?a", "this is no CEL: unsupported syntax '.?'"),
        ("line.`a-b`", "this is no CEL: unsupported syntax"),
        ("login.account", "at character 1: there is no variable `login`; everything is in `line`: write `line.login`"),
        ("line.a == admin", "there is no variable `admin`"),
        ("line", "name a field of the line, such as `line.login.account`"),
        ("size(line)", "name a field of the line"),
        ("line[line.a]", "name a field of the line"),
        ("'constant'", "names no field of the line"),
        ("line.outrider_key", "the source's secret"),
        (r#"line["outrider_key"].size()"#, "the source's secret"),
        ("has(line.outrider_key)", "the source's secret"),
        ("jwt(line.a)", "there is no function `jwt` here; there are size, startsWith"),
        ("line.a.matches('x')", "there is no function `matches`"),
        ("line.a.replace('', line.b)", "there is no function `replace`"),
        ("line.a.join(',')", "there is no function `join`"),
        ("line.a.map(x, line.b.map(y, y))", "cannot be used inside of each other"),
        ("[line.a].map(x, [x, x]).map(x, [x, x])", "cannot be used on the result of each other"),
        ("line.a.filter(x, x > 1)[0].exists(x, x == 2)", "cannot be used on the result of each other"),
        ("line.a.map(x, x + x)", "`+` cannot be used for each element of a list"),
        ("line.a.exists(x, x.split('')[0] == 'a')", "`split` cannot be used for each element of a list"),
        ("line.a.map(line, 1)", "call the element something else"),
        ("line.a.exists(x, true) && x", "there is no variable `x`"),
        ("type(line.a) == string", "there is no function `type`"),
        ("Message{a: line.a}", "messages cannot be made here"),
        (&long, "at most 1024"),
        ("", "this is no CEL"),
    ];
    for (expression, expected) in cases {
        let error = settings(&[field("account", expression)]).validate().unwrap_err();
        assert!(error.to_string().starts_with("the field `account`: "), "{error}");
        assert!(error.to_string().contains(expected), "{expression}\ngave: {error}");
    }
    let name = |name: &str| field(name, "line.a");
    let many: Vec<_> = (0..=MAPPED_FIELDS_MAX).map(|number| name(&format!("f{number}"))).collect();
    for (fields, expected) in [
        (vec![name("")], "1 to 64 lower-case letters"),
        (vec![name("Account")], "1 to 64 lower-case letters"),
        (vec![name("a"), name("a")], "`a` is there twice"),
        (many, "33 of them; at most 32"),
    ] {
        let error = settings(&fields).validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (place, expected) in [
        ("line.client_ip", "cannot be dropped; what can be is"),
        ("line.request.headers", "cannot be dropped"),
        ("line.a + 'x'", "no place in the line"),
        ("line.a.", "drop: `line.a.` at character"),
    ] {
        let settings = NormaliserSettings { drop: vec![place.to_owned()], ..NormaliserSettings::new("kong") };
        let error = settings.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{place}: {error}");
    }
    let session = Some(SessionCarrier::Field("visit".to_owned()));
    let error = NormaliserSettings { session, ..settings(&[name("a")]) }.validate().unwrap_err().to_string();
    assert!(error.contains("no field of this name is mapped"), "{error}");
}

#[test]
fn a_line_that_is_not_utf8_or_repeats_a_name_is_mapped_all_the_same() {
    let normaliser = Normaliser::new(settings(&[field("f", "line.who")]), key()).unwrap();
    for (line, expected) in [
        (&b"{\"request\":{},\"who\":\"k\xe9y\"}"[..], "f=k\u{f7e9}y"),
        (br#"{"who":"first","request":{},"who":"last"}"#, "f=last"),
        (br#"{"request":{},"wh\u006f":"escaped"}"#, "f=escaped"),
    ] {
        let mut scratch = Scratch::default();
        let call = normaliser.normalise(line, Some(1), &mut scratch).unwrap();
        assert_eq!(call.fields.iter().map(shown).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn no_expression_can_take_long() {
    let text = "a".repeat(2000);
    let line = format!(r#"{{"request":{{}},"text":"{text}","needle":"{}b"}}"#, "a".repeat(1900));
    let began = std::time::Instant::now();
    for expression in [
        "line.text.indexOf(line.needle)",
        "line.text.split('').exists(x, line.needle.lowerAscii().contains(line.text))",
        "line.text.split('').map(x, line.text).size()",
    ] {
        assert!(value_of(expression, &line).is_ok(), "{expression}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}
