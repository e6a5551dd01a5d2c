use super::*;

fn sanitiser(session: Option<SessionCarrier>) -> Sanitiser {
    let settings = NormaliserSettings { session, ..NormaliserSettings::new("kong") };
    Sanitiser::new(&settings, PseudonymKey::from_bytes(&[7; 32]))
}

fn pseudonym(value: &str) -> String {
    PseudonymKey::from_bytes(&[7; 32]).pseudonym(Domain::Credential, value.as_bytes()).to_string()
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
        ("https://bob:hunter22@x.example/a", format!("https://bob:{}@x.example/a", p("hunter22"))),
        ("https://bob:p@ss:w@x.example/a", format!("https://bob:{}@x.example/a", p("p@ss:w"))),
        ("see ftp://bob:hunter22@x.example", format!("see ftp://bob:{}@x.example", p("hunter22"))),
        ("token=ps_live_0123", format!("token={}", p("ps_live_0123"))),
        ("/login?next=/a?api_key=abc&x=1", format!("/login?next=/a?api_key={}&x=1", p("abc"))),
        ("https://x/?password=a/b?c,d;e&x=1", format!("https://x/?password={}&x=1", p("a/b?c,d;e"))),
        ("a=1; password=b; c=2", format!("a=1; password={}; c=2", p("b"))),
        ("Digest username=\"a\", password=\"x, y\"", format!("Digest username=\"a\", password=\"{}\"", p("x, y"))),
        ("see Bearer abcdef now", format!("see Bearer {} now", p("abcdef"))),
    ];
    for (text, expected) in cases {
        assert_eq!(sanitiser(None).redacted(text).as_deref(), Some(&*expected), "{text}");
    }
    let token_in_text = format!("access_token, {TOKEN}");
    assert_eq!(sanitiser(None).redacted(&token_in_text), Some(format!("access_token, {}", p(TOKEN))));
    for plain in [
        "",
        "=",
        "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        "https://x.example/a?page=2&sort_key=b",
        "for=192.0.2.1;proto=https;host=x.example",
        "token=",
        "https://x.example:8080/a@b",
        "https://bob@x.example:8080/a",
        "a:b@c.example and some more text",
        "\u{e9}\u{e9}\u{e9}=\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    ] {
        assert_eq!(sanitiser(None).redacted(plain), None, "{plain}");
    }
}

#[test]
fn long_texts_take_time_in_proportion() {
    // Were any of it quadratic, this test would not end.
    for piece in
        ["@", "a@", "://", "://a:", "://a:b@", "=", "a=", "token=", "token=\"", "bearer ", "%", "eyJ", "/", ";", "\""]
    {
        let text = piece.repeat((1 << 20) / piece.len());
        let sanitiser = sanitiser(None);
        let _ = sanitiser.redacted(&text);
        let _ = sanitiser.redacted(&format!("/{text}"));
        let _ = sanitiser.path(&text);
        let mut field = Field { name: Text::from("cookie"), value: FieldValue::Clear(Text::from(text)) };
        sanitiser.header(&mut field, &mut Presented::default());
    }
}

#[test]
fn paths() {
    let p = pseudonym;
    let path = |path: &'static str| sanitiser(None).path(path).into_string();
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
        shown(&field)
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
    assert_eq!(presented.credential().unwrap().to_string(), pseudonym("query"));
    sanitiser.header(&mut headers[0], &mut presented);
    assert_eq!(presented.credential().unwrap().to_string(), pseudonym("query"));
    for field in &mut headers[1..] {
        sanitiser.header(field, &mut presented);
    }
    assert_eq!(presented.credential().unwrap().to_string(), pseudonym("first"));
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
