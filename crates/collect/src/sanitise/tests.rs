use outrider_classify::DataClass;
use proptest::prelude::*;

use super::*;

fn sanitiser(session: Option<SessionCarrier>) -> Sanitiser {
    let settings = NormaliserSettings { session, ..NormaliserSettings::new("kong") };
    Sanitiser::new(&settings, PseudonymKey::from_bytes(&[7; 32]))
}

fn pseudonym(value: &str) -> String {
    PseudonymKey::from_bytes(&[7; 32]).pseudonym(Domain::Credential, value.as_bytes()).to_string()
}

fn person(class: DataClass, value: &str) -> String {
    redact::personal(&PseudonymKey::from_bytes(&[7; 32]), class, value).to_string()
}

fn user(value: &str) -> String {
    PseudonymKey::from_bytes(&[7; 32]).pseudonym(Domain::Personal, value.as_bytes()).to_string()
}

fn redacted(text: &str) -> Option<String> {
    let key = PseudonymKey::from_bytes(&[7; 32]);
    let rules = Rules { key: &key, key_names: &[] };
    redact(rules, "", text, Place::of(text), Scope::Everything, &mut Finds::default()).map(Redacted::into_text)
}

/// In base64 with its padding, as the texts of these tests have it.
fn base64(text: &str) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
}

fn shown(field: &Field<'_>) -> String {
    match &field.value {
        FieldValue::Flag => field.name.to_string(),
        FieldValue::Clear(value) => format!("{}={value}", &*field.name),
        FieldValue::Pseudonym(pseudonym, length) => format!("{}={pseudonym}/{length}", &*field.name),
        FieldValue::Redacted => format!("{}=REDACTED!", &*field.name),
    }
}

fn header(name: &'static str, value: &'static str) -> String {
    let mut field = Field { name: Text::from(name), value: FieldValue::Clear(Text::from(value)) };
    sanitiser(None).header(&mut field, &mut Presented::default());
    shown(&field)
}

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
const STRIPE: &str = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";

#[test]
fn headers() {
    let key = |name: &str, value: &str| format!("{name}={}/{}", pseudonym(value), value.len());
    assert_eq!(header("apikey", "key-alice"), key("apikey", "key-alice"));
    assert_eq!(header("authorization", "Bearer abc"), key("authorization", "abc"));
    assert_eq!(header("authorization", "REDACTED"), "authorization=REDACTED!");
    assert_eq!(header("proxy-authorization", "Basic YTpi"), key("proxy-authorization", "YTpi"));
    assert_eq!(header("cookie", "a=1; b=2"), key("cookie", "a=1; b=2"));
    assert_eq!(header("x-anything", TOKEN), key("x-anything", TOKEN));
    assert_eq!(header("x-anything", STRIPE), key("x-anything", STRIPE));
    assert_eq!(header("apikey", ""), "apikey=");
    assert_eq!(header("user-agent", "curl/7.88.1"), "user-agent=curl/7.88.1");
    assert_eq!(header("x-case", "REDACTED"), "x-case=REDACTED");
    // The original bytes are what is hashed, not the text that stands for them.
    let raw = PseudonymKey::from_bytes(&[7; 32]).pseudonym(Domain::Credential, b"k\xe9y");
    assert_eq!(header("apikey", "k\u{f7e9}y"), format!("apikey={raw}/5"));
}

#[test]
fn credentials_inside_longer_texts() {
    let p = pseudonym;
    let cases = [
        ("https://x.example/a?q=1&token=abc#f", format!("https://x.example/a?q=1&token={}#f", p("abc"))),
        ("https://x.example/a?%74oken=a%62c", format!("https://x.example/a?%74oken={}", p("abc"))),
        ("https://bob:hunter22@x.example/a", format!("https://{}:{}@x.example/a", user("bob"), p("hunter22"))),
        ("https://bob:p@ss:w@x.example/a", format!("https://{}:{}@x.example/a", user("bob"), p("p@ss:w"))),
        ("see ftp://bob:hunter22@x.example", format!("see ftp://{}:{}@x.example", user("bob"), p("hunter22"))),
        ("token=ps_live_0123", format!("token={}", p("ps_live_0123"))),
        ("/login?next=/a?api_key=abc&x=1", format!("/login?next=/a?api_key={}&x=1", p("abc"))),
        ("https://x/?password=a/b?c,d;e&x=1", format!("https://x/?password={}&x=1", p("a/b?c,d;e"))),
        ("a=1; password=b; c=2", format!("a=1; password={}; c=2", p("b"))),
        ("Digest username=\"a\", password=\"x, y\"", format!("Digest username=\"a\", password=\"{}\"", p("x, y"))),
        ("see Bearer abcdef now", format!("see Bearer {} now", p("abcdef"))),
        ("see Bearer  abcdef now", format!("see Bearer  {} now", p("abcdef"))),
        ("password:   hunter2, then", format!("password:   {}, then", p("hunter2"))),
        ("a=1&password='hunter2'&b=2", format!("a=1&password='{}'&b=2", p("hunter2"))),
        ("password='two words'; b", format!("password='{}'; b", p("two words"))),
        ("password='hunter2", format!("password='{}", p("hunter2"))),
        ("token=\"hunter2", format!("token=\"{}", p("hunter2"))),
        ("password='hunter2' OR '1'='1", format!("password='{}' OR '1'='1", p("hunter2"))),
        ("token=abc\nnext=1", format!("token={}\nnext=1", p("abc"))),
        ("key=-----BEGIN PRIVATE KEY-----\nMIIC", format!("key={}", p("-----BEGIN PRIVATE KEY-----\nMIIC"))),
        ("{\"tokens\":[\"abc\", \"def\",12],\"a\":\"b\"}", {
            format!("{{\"tokens\":[\"{}\", \"{}\",{}],\"a\":\"b\"}}", p("abc"), p("def"), p("12"))
        }),
        ("{\"token\":[\"abc", format!("{{\"token\":[\"{}", p("abc"))),
    ];
    for (text, expected) in cases {
        assert_eq!(redacted(text).as_deref(), Some(&*expected), "{text}");
    }
    let token_in_text = format!("access_token, {TOKEN}");
    assert_eq!(redacted(&token_in_text), Some(format!("access_token, {}", p(TOKEN))));
    for (before, after) in
        [("[", "]"), ("line\n", "\r\nline"), ("`", "`"), ("**", "**!"), ("_", "_"), ("\u{201c}", "\u{201d}")]
    {
        for token in [TOKEN, STRIPE] {
            // What a key ends with can also be of its alphabet.
            let after = if before == "_" && token == TOKEN { "!" } else { after };
            let text = format!("{before}{token}{after}");
            assert_eq!(redacted(&text), Some(format!("{before}{}{after}", p(token))), "{text}");
        }
    }
    for plain in [
        "",
        "=",
        "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        "https://x.example/a?page=2&sort_key=b",
        "for=192.0.2.1;proto=https;host=x.example",
        "token=",
        "password=' OR '1'='1",
        "password=' or 1=1--",
        "password='||'1'='1",
        "password='OR'1'='1",
        "password=''",
        "{\"tokens\":[[\"a\"],1]}",
        "{\"tokens\" : []}",
        "[----------------------]",
        "https://x.example:8080/a@b",
        "\u{e9}\u{e9}\u{e9}=\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    ] {
        assert_eq!(redacted(plain), None, "{plain}");
    }
}

#[test]
fn long_texts_take_time_in_proportion() {
    // Were any of it quadratic, this test would not end.
    for piece in [
        "@",
        "a@",
        "://",
        "://a:",
        "://a:b@",
        "=",
        "a=",
        "token=",
        "token=\"",
        "bearer ",
        "%",
        "eyJ",
        "/",
        ";",
        "\"",
        "a@b.co token=x ",
        "%40",
        "%2525",
        "\\",
        "\\u0040",
        "\"token\":\"",
        "\"token\":[\"a\",",
        "token='",
        "token='a ",
        "\"token\" ",
        "password:  ",
        "[[",
        "YWFh",
        "YWxpY2VAYi5jbw/",
        "-----BEGIN ",
        "1-",
        "4111111111111111 ",
        "ps_",
    ] {
        let text = piece.repeat((1 << 18) / piece.len());
        let sanitiser = sanitiser(None);
        let _ = redacted(&text);
        let _ = redacted(&format!("/{text}"));
        let _ = sanitiser.path(&text, &mut Finds::default());
        let mut field = Field { name: Text::from("cookie"), value: FieldValue::Clear(Text::from(text)) };
        sanitiser.header(&mut field, &mut Presented::default());
    }
}

#[test]
fn paths() {
    let p = pseudonym;
    let path = |path: &'static str| sanitiser(None).path(path, &mut Finds::default()).into_string();
    assert_eq!(path("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln/done"), {
        format!("/reset/{}/done", p("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"))
    });
    assert_eq!(path("/a/sk_live_4eC39HqLyjWDarjtT1zdp7dc"), format!("/a/{}", p(STRIPE)));
    assert_eq!(path("/a/sk%5Flive_4eC39HqLyjWDarjtT1zdp7dc"), format!("/a/{}", p(STRIPE)));
    assert_eq!(path("/a;jsessionid=ABC/b;v=2"), format!("/a;jsessionid={}/b;v=2", p("ABC")));
    for plain in ["", "/", "/a/b/3fa85f64-5717-4562-b3fc-2c963f66afa6", "/tokens/1", "/a%2Fb/../c", "/x=y/z"] {
        assert_eq!(path(plain), plain);
    }
}

#[test]
fn query_fields() {
    let field = |name: &'static str, value: Option<&'static str>| {
        let field = sanitiser(None).query_field(Text::from(name), value.map(Text::from), &mut Presented::default());
        shown(&field.unwrap())
    };
    assert_eq!(field("q", Some("shoes")), "q=shoes");
    assert_eq!(field("flag", None), "flag");
    assert_eq!(field("apikey", Some("k")), format!("apikey={}/1", pseudonym("k")));
    assert_eq!(field("accessToken", Some("k")), format!("accessToken={}/1", pseudonym("k")));
    assert_eq!(field("q", Some(TOKEN)), format!("q={}/{}", pseudonym(TOKEN), TOKEN.len()));
    assert_eq!(field(TOKEN, None), pseudonym(TOKEN));
    assert_eq!(field(TOKEN, Some("")), format!("{}=", pseudonym(TOKEN)));
    assert_eq!(field("next", Some("/a?token=abc")), format!("next=/a?token={}", pseudonym("abc")));
    assert_eq!(field("password", Some("")), "password=");
}

#[test]
fn the_most_telling_name_wins_whatever_the_order() {
    let value = |text: &'static str| FieldValue::Clear(Text::from(text));
    let mut headers = [
        Field { name: Text::from("authorization"), value: value("Bearer t") },
        Field { name: Text::from("x-api-key"), value: value("second") },
        Field { name: Text::from("apikey"), value: value("first") },
        Field { name: Text::from("apikey"), value: value("repeated") },
    ];
    let sanitiser = sanitiser(None);
    let mut presented = Presented::default();
    sanitiser.query_field(Text::from("apikey"), Some(Text::from("query")), &mut presented);
    assert_eq!(presented.credential.unwrap().1.to_string(), pseudonym("query"));
    sanitiser.header(&mut headers[0], &mut presented);
    assert_eq!(presented.credential.unwrap().1.to_string(), pseudonym("query"));
    for field in &mut headers[1..] {
        sanitiser.header(field, &mut presented);
    }
    assert_eq!(presented.credential.unwrap().1.to_string(), pseudonym("first"));
}

#[test]
fn a_session_has_its_own_pseudonym() {
    let session = |value: &[u8]| PseudonymKey::from_bytes(&[7; 32]).pseudonym(Domain::Session, value);
    for (carrier, name, value) in [
        (SessionCarrier::Cookie("sid".to_owned()), "cookie", "a=1; sid=\"s-1\"; sid2=x"),
        (SessionCarrier::Header("X-Visit".to_owned()), "x-visit", "s-1"),
    ] {
        let mut field = Field { name: Text::from(name), value: FieldValue::Clear(Text::from(value)) };
        let mut presented = Presented::default();
        sanitiser(Some(carrier)).header(&mut field, &mut presented);
        assert_eq!(presented.session, Some(session(b"s-1")), "{name}");
        assert!(matches!(field.value, FieldValue::Pseudonym(..)), "{name}");
    }
    let mut presented = Presented::default();
    let carrier = SessionCarrier::Query("visit".to_owned());
    sanitiser(Some(carrier)).query_field(Text::from("visit"), Some(Text::from("s-1")), &mut presented);
    assert_eq!(presented.session, Some(session(b"s-1")));
}

#[test]
fn personal_values_lose_themselves_and_nothing_else() {
    let alice = person(DataClass::Email, "alice@corp.example");
    let card = person(DataClass::PaymentCard, "4111111111111111");
    for (text, expected) in [
        ("alice@corp.example' OR 1=1--", format!("{alice}' OR 1=1--")),
        ("Alice@CORP.example", alice.clone()),
        ("<a href=mailto:alice@corp.example>", format!("<a href=mailto:{alice}>")),
        ("%20alice%40corp.example%27", format!("%20{alice}%27")),
        ("a=%2561lice%2540corp.example;b", format!("a={alice};b")),
        ("{\"to\":\"alice\\u0040corp.example\"}", format!("{{\"to\":\"{alice}\"}}")),
        ("YWxpY2VAY29ycC5leGFtcGxl", alice.clone()),
        ("x:YWxpY2VAY29ycC5leGFtcGxl==/y", format!("x:{alice}/y")),
        // A letter of two bytes among the first, and one that begins with the last of them.
        ("Sm9zw6kgPGFsaWNlQGNvcnAuZXhhbXBsZT4=", base64(&format!("Jos\u{e9} <{alice}>"))),
        ("YWJjZGXDqSA8YWxpY2VAY29ycC5leGFtcGxlPg==", base64(&format!("abcde\u{e9} <{alice}>"))),
        ("4111 1111 1111 1111 and alice@corp.example", format!("{card} and {alice}")),
        ("https://alice@corp.example/x", format!("https://{}@corp.example/x", user("alice"))),
        (
            "{\"password\": \"hunter22\", \"a\": 1}",
            format!("{{\"password\": \"{}\", \"a\": 1}}", pseudonym("hunter22")),
        ),
        ("{\"pin\":1234}", format!("{{\"pin\":{}}}", pseudonym("1234"))),
    ] {
        assert_eq!(redacted(text).as_deref(), Some(&*expected), "{text}");
    }
    // What is not the whole of the text in base64 is written anew, so that whoever decodes it sees what was around.
    let inside = redacted("eyJtYWlsIjoiYWxpY2VAY29ycC5leGFtcGxlIiwicSI6IicgT1IgMT0xIn0=").unwrap();
    let inside = String::from_utf8(base64::Engine::decode(&base64::engine::general_purpose::STANDARD, inside).unwrap());
    assert_eq!(inside.unwrap(), format!("{{\"mail\":\"{alice}\",\"q\":\"' OR 1=1\"}}"));
}

#[test]
fn a_whole_value_is_a_pseudonym_with_its_length() {
    let field = |name: &'static str, value: &'static str| {
        shown(&sanitiser(None).query_field(name.into(), Some(value.into()), &mut Presented::default()).unwrap())
    };
    let alice = person(DataClass::Email, "alice@corp.example");
    assert_eq!(field("q", "alice@corp.example"), format!("q={alice}/18"));
    assert_eq!(field("phone", "5550123"), format!("phone={}/7", person(DataClass::Phone, "5550123")));
    assert_eq!(field("id", "5550123"), "id=5550123");
    assert_eq!(field("alice@corp.example", "1"), format!("{alice}=1"));
    assert_eq!(header("x-note", "for alice@corp.example"), format!("x-note=for {alice}"));
    assert_eq!(header("x-request-id", "alice@corp.example"), format!("x-request-id={alice}/18"));
    assert_eq!(header("4111-1111-1111-1111", "x"), format!("{}=x", person(DataClass::PaymentCard, "4111111111111111")));
}

#[test]
fn a_value_that_is_split_over_a_repeated_header_is_one() {
    let values = |name: &'static str, values: &[&'static str]| -> Vec<String> {
        let field = |value: &&'static str| Field { name: name.into(), value: FieldValue::Clear(Text::from(*value)) };
        let mut fields: Vec<_> = values.iter().map(field).collect();
        sanitiser(None).repeated_headers(&mut fields);
        for field in &mut fields {
            assert!(sanitiser(None).header(field, &mut Presented::default()));
        }
        fields.iter().map(shown).collect()
    };
    let alice = person(DataClass::Email, "alice@corp.example");
    assert_eq!(values("x-a", &["to alice@co", "rp.example now"]), [format!("x-a=to {alice}"), "x-a= now".to_owned()]);
    assert_eq!(values("x-a", &["alice", "@corp", ".example"]), [format!("x-a={alice}"), "x-a=".into(), "x-a=".into()]);
    let (head, tail) = TOKEN.split_at(24);
    assert_eq!(values("x-a", &[head, tail]), [format!("x-a={}", pseudonym(TOKEN)), "x-a=".to_owned()]);
    let bob = person(DataClass::Email, "bob@corp.example");
    let both = [format!("x-a={alice}/18"), format!("x-a={bob}/16")];
    assert_eq!(values("x-a", &["alice@corp.example", "bob@corp.example"]), both);
    // Two keys are not one of which nobody has ever heard.
    let keys =
        [format!("x-a={}/{}", pseudonym(STRIPE), STRIPE.len()), format!("x-a={}/{}", pseudonym(TOKEN), TOKEN.len())];
    assert_eq!(values("x-a", &[STRIPE, TOKEN]), keys);
    let two = [format!("x-a=token={}", pseudonym("abc")), format!("x-a=token={}", pseudonym("def"))];
    assert_eq!(values("x-a", &["token=abc", "token=def"]), two);
    assert_eq!(values("x-id", &["41111111", "11111111"]), ["x-id=41111111", "x-id=11111111"]);
    let card = person(DataClass::PaymentCard, "4111111111111111");
    assert_eq!(values("x-card", &["41111111", "11111111"]), [format!("x-card={card}"), "x-card=".to_owned()]);
}

#[test]
fn a_setting_says_otherwise_for_single_fields() {
    let policies = r#"
        header = { X-Mail = "keep", x-employee = "mask", x-gone = "drop", x-name = "pseudonymise" }
        query = { mail = "keep", code = "keep", gone = "drop", name = "pseudonymise", secret = "mask", apikey = "drop" }
        cookie = { theme = "keep", gone = "drop", hidden = "mask", token = "keep" }
    "#;
    let settings =
        NormaliserSettings { field_policies: toml::from_str(policies).unwrap(), ..NormaliserSettings::new("kong") };
    let sanitiser = Sanitiser::new(&settings, PseudonymKey::from_bytes(&[7; 32]));
    let header = |name: &'static str, value: &str| {
        let mut field = Field { name: name.into(), value: FieldValue::Clear(Text::from(value.to_owned())) };
        sanitiser.header(&mut field, &mut Presented::default()).then(|| shown(&field))
    };
    assert_eq!(header("x-mail", "alice@corp.example").unwrap(), "x-mail=alice@corp.example");
    assert_eq!(header("x-mail", TOKEN).unwrap(), format!("x-mail={}/{}", pseudonym(TOKEN), TOKEN.len()));
    assert_eq!(header("x-mail", "a@b.co; token=abc").unwrap(), format!("x-mail=a@b.co; token={}", pseudonym("abc")));
    assert_eq!(header("x-employee", "4711").unwrap(), "x-employee=REDACTED!");
    assert_eq!(header("x-gone", "4711"), None);
    assert_eq!(header("x-name", "Alice").unwrap(), format!("x-name={}/5", user("Alice")));
    let in_theme = format!("theme={{\"token\":\"{}\"}}", pseudonym("abc"));
    assert_eq!(header("cookie", "theme={\"token\":\"abc\"}").unwrap(), format!("cookie={in_theme}"));
    let cookies = format!("theme=dark; gone=1; hidden=2; sid=abc; token={TOKEN}");
    let (abc, token) = (pseudonym("abc"), pseudonym(TOKEN));
    assert_eq!(
        header("cookie", &cookies).unwrap(),
        format!("cookie=theme=dark; hidden=REDACTED; sid={abc}; token={token}")
    );
    let mut presented = Presented::default();
    let mut query = |name: &'static str, value: &'static str| {
        sanitiser.query_field(name.into(), Some(value.into()), &mut presented).map(|field| shown(&field))
    };
    assert_eq!(query("mail", "alice@corp.example").unwrap(), "mail=alice@corp.example");
    assert_eq!(query("code", "EUR").unwrap(), "code=EUR");
    assert_eq!(query("name", "Alice").unwrap(), format!("name={}/5", user("Alice")));
    assert_eq!(query("name", "alice@corp.example").unwrap(), {
        format!("name={}/18", person(DataClass::Email, "alice@corp.example"))
    });
    assert_eq!(query("secret", "x").unwrap(), "secret=REDACTED!");
    assert_eq!(query("gone", "x"), None);
    // Who presented a key is known all the same.
    assert_eq!(query("apikey", "k"), None);
    assert_eq!(presented.credential.unwrap().1.to_string(), pseudonym("k"));
}

#[test]
fn a_configured_name_is_known_wherever_it_stands() {
    let settings = NormaliserSettings { key_names: vec!["X-Acme".to_owned()], ..NormaliserSettings::new("kong") };
    let sanitiser = Sanitiser::new(&settings, PseudonymKey::from_bytes(&[7; 32]));
    let k = pseudonym("k-1");
    for (name, value, expected) in [
        ("referer", "https://x.example/?a=1&x-acme=k-1", format!("referer=https://x.example/?a=1&x-acme={k}")),
        ("x-note", "{\"x-acme\":\"k-1\"}", format!("x-note={{\"x-acme\":\"{k}\"}}")),
        ("x-note", "X-ACME: k-1", format!("x-note=X-ACME: {k}")),
    ] {
        let mut field = Field { name: name.into(), value: FieldValue::Clear(Text::from(value)) };
        sanitiser.header(&mut field, &mut Presented::default());
        assert_eq!(shown(&field), expected);
    }
    assert_eq!(&*sanitiser.path("/a;x-acme=k-1/b", &mut Finds::default()), format!("/a;x-acme={k}/b"));
    let next = sanitiser.query_field("next".into(), Some("/b?x-acme=k-1".into()), &mut Presented::default());
    assert_eq!(shown(&next.unwrap()), format!("next=/b?x-acme={k}"));
}

#[test]
fn hosts() {
    let host = |host: &'static str| sanitiser(None).host(Text::from(host)).into_string();
    let alice = person(DataClass::Email, "alice@corp.example");
    assert_eq!(host("alice%40corp.example"), alice);
    assert_eq!(host("4111111111111111"), person(DataClass::PaymentCard, "4111111111111111"));
    assert_eq!(host("token=abc"), format!("token={}", pseudonym("abc")));
    assert_eq!(header("host", "alice%40corp.example"), format!("host={alice}/20"));
    for plain in ["", "api.example", "192.168.100.200", "[2001:db8:85a3::8a2e:370:7334]", "pod-5d8f7c9b64.svc", "a_b"] {
        assert_eq!(host(plain), plain);
    }
}

/// Texts of pieces that mean something to some part of this module.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "alice@corp.example",
            "4111111111111111",
            "4111 1111 1111 1111",
            "+49 151 12345678",
            "(415) 555-2671",
            TOKEN,
            STRIPE,
            "DE89370400440532013000",
            "512-34-5678",
            "YWxpY2VAY29ycC5leGFtcGxl",
            "-----BEGIN PRIVATE KEY-----",
            "://",
            "@",
            ":",
            "=",
            "token=",
            "\"token\":\"",
            "\"tokens\":[\"",
            "token='",
            "password: ",
            "\n",
            "[",
            "Bearer ",
            "password=",
            "%40",
            "%2540",
            "%",
            "\\u0040",
            "\\",
            "\"",
            "'",
            "/",
            ";",
            "&",
            "?",
            " ",
            "-",
            ".",
            "+",
            "_",
            "ps_",
            "a@",
            "\u{f7e9}",
            "\u{e9}",
            "1",
            "12",
            "x",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9]{1,6}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_sanitised_stays_as_it_is(text in any_text(), name in "(q|phone|token)?") {
        let key = PseudonymKey::from_bytes(&[7; 32]);
        let rules = Rules { key: &key, key_names: &[] };
        for place in [Place::Path, Place::Url, Place::List] {
            let once = redact(rules, &name, &text, place, Scope::Everything, &mut Finds::default());
            if let Some(once) = once.map(Redacted::into_text) {
                let twice = redact(rules, &name, &once, place, Scope::Everything, &mut Finds::default());
                prop_assert_eq!(twice, None, "{:?} in {:?} gives {:?}", text, place, once);
            }
        }
    }

    /// One sanitiser for all of them, in turn and each twice, against a new one for each. They are few names and values, so that the
    /// same value comes under several of them.
    #[test]
    fn what_was_seen_before_changes_nothing(
        seen in prop::collection::vec((any::<bool>(), 0..NAMES.len(), any_text()), 1..12),
        order in prop::collection::vec((any::<bool>(), 0..NAMES.len(), any::<prop::sample::Index>()), 1..40),
    ) {
        let one = sanitiser(None);
        let again = order.into_iter().map(|(is_field, name, at)| (is_field, name, at.get(&seen).2.clone()));
        for (is_field, name, text) in seen.iter().cloned().chain(again) {
            let of = |sanitiser: &Sanitiser| {
                let mut presented = Presented::default();
                let value = Text::from(text.as_str());
                let mut field = Field { name: Text::from(NAMES[name]), value: FieldValue::Clear(value.clone()) };
                if is_field {
                    field.value = sanitiser.mapped_value(Hides::Nothing, NAMES[name], value, &mut presented);
                } else {
                    sanitiser.header(&mut field, &mut presented);
                }
                (shown(&field), presented.credential.map(|(_, pseudonym)| pseudonym), presented.session)
            };
            let expected = of(&sanitiser(None));
            for _ in 0..2 {
                prop_assert_eq!(&of(&one), &expected, "{} {:?}", NAMES[name], text);
            }
        }
    }
}

/// Names of headers and fields of which one carries keys, others have no room for any, and some have to be read.
const NAMES: [&str; 8] = ["apikey", "accept", "content-type", "x-request-id", "host", "user-agent", "phone", "account"];
