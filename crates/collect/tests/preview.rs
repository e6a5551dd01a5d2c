//! What is shown of a line before and after agrees with the call, and shows every value of the line.
#![allow(clippy::unwrap_used)]

use outrider_collect::{
    Domain, Fate, FieldPolicies, FieldPolicy, FieldSettings, Normaliser, NormaliserSettings, PreviewRow, PseudonymKey,
    Rejection, SessionCarrier,
};
use outrider_model::BusinessEntity;

fn key() -> PseudonymKey {
    PseudonymKey::from_bytes(&[7; 32])
}

fn normaliser() -> Normaliser {
    let field = |name: &str, value: &str| FieldSettings { name: name.to_owned(), value: value.to_owned() };
    let settings = NormaliserSettings {
        session: Some(SessionCarrier::Cookie("sid".to_owned())),
        fields: vec![
            field("account", "line.login.account.lowerAscii()"),
            field("role", "line.roles"),
            field("agent", r#"line.request.headers["user-agent"]"#),
            field("broken", "line.login.tries.lowerAscii()"),
        ],
        drop: vec![r#"line.request.headers["x-debug"]"#.to_owned(), "line.request.querystring.b".to_owned()],
        ..NormaliserSettings::new("kong")
    };
    Normaliser::new(settings, key()).unwrap()
}

const LINE: &str = r#"{
    "request": {"id": "r-1", "method": "get", "uri": "/a/b?a=1&b=2&token=t0ken&flag#x", "size": 10, "querystring": {"a": "1"},
        "headers": {"apikey": "k", "X-Debug": "on", "cookie": "sid=s-1", "user-agent": "curl/8", "x-consumer-id": "c",
            "authorization": "REDACTED", "accept": ["text/html", "*/*"]}},
    "response": {"status": 200, "size": 20, "headers": {"content-type": "text/html", "server": "x"}},
    "client_ip": "::ffff:192.0.2.7", "started_at": 1767571200000, "latencies": {"request": 5, "kong": 1, "proxy": 4},
    "service": {"id": "s", "name": "shop", "port": 80}, "route": {"id": "r"}, "tries": [{"ip": "10.0.0.1"}],
    "consumer": {"id": "c", "username": "alice", "tags": ["gold", "eu"]}, "authenticated_entity": {"id": "e"},
    "login": {"account": "Alice", "tries": 3}, "roles": ["admin", null, "dev"], "nothing": null, "we ird": {"": true}
}"#;

fn rows() -> Vec<PreviewRow> {
    let entity = BusinessEntity { name: "merchant_id".into(), value: "42".into() };
    normaliser().preview(LINE.as_bytes(), |call, _| call.enrichment.entities.push(entity)).unwrap()
}

fn shown(row: &PreviewRow) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!("{} | {} | {} | {} | {}", row.place, text(&row.before), row.fate.as_str(), row.column, text(&row.after))
}

#[test]
fn every_value_has_its_fate() {
    let pseudonym = |domain, value: &str| key().pseudonym(domain, value.as_bytes()).to_string();
    let credential = |value: &str| pseudonym(Domain::Credential, value);
    let all: Vec<String> = rows().iter().map(shown).collect();
    let expected = [
        "request.method | get | changed | method | GET".to_owned(),
        "request.id | r-1 | kept | request_id | r-1".to_owned(),
        "request.uri | /a/b | kept | path | /a/b".to_owned(),
        "request.querystring.a | 1 | kept | query.a | 1".to_owned(),
        "request.querystring.a | 1 | not_sent |  | ".to_owned(),
        "request.querystring.b | 2 | dropped |  | ".to_owned(),
        format!("request.querystring.token | t0ken | pseudonym | query.token | {}", credential("t0ken")),
        "request.querystring.flag |  | kept | query.flag | ".to_owned(),
        format!("request.headers.apikey | k | pseudonym | headers.apikey | {}", credential("k")),
        "request.headers[\"X-Debug\"] | on | dropped |  | ".to_owned(),
        "request.headers.authorization | REDACTED | redacted | headers.authorization | ".to_owned(),
        "request.headers.accept | text/html | kept | headers.accept | text/html".to_owned(),
        "request.headers.accept | */* | kept | headers.accept | */*".to_owned(),
        "request.headers[\"x-consumer-id\"] | c | not_sent |  | ".to_owned(),
        "request.headers[\"user-agent\"] | curl/8 | kept | headers.user-agent | curl/8".to_owned(),
        "request.headers[\"user-agent\"] | curl/8 | mapped | fields.agent | curl/8".to_owned(),
        "response.headers[\"content-type\"] | text/html | kept | response_type | text/html".to_owned(),
        "response.headers.server | x | not_sent |  | ".to_owned(),
        "client_ip | ::ffff:192.0.2.7 | changed | client_ip | 192.0.2.7".to_owned(),
        "service.port | 80 | not_sent |  | ".to_owned(),
        "tries.ip | 10.0.0.1 | not_sent |  | ".to_owned(),
        "consumer.tags | gold | kept | consumer_tags | gold".to_owned(),
        "login.account | Alice | mapped |  | ".to_owned(),
        "roles | admin | mapped | fields.role | admin".to_owned(),
        "roles | dev | mapped | fields.role | dev".to_owned(),
        "nothing | null | not_sent |  | ".to_owned(),
        "[\"we ird\"][\"\"] | true | not_sent |  | ".to_owned(),
        " |  | derived | gateway | kong".to_owned(),
        " |  | derived | trusted | true".to_owned(),
        format!(" |  | derived | presented_credential | {}", credential("k")),
        format!(" |  | derived | session | {}", pseudonym(Domain::Session, "s-1")),
        format!(" |  | mapped | fields.account | {}", key().personal("account", "alice")),
        " |  | derived | signs | caching_unstated".to_owned(),
        " |  | derived | data_classes | access_token in query.token".to_owned(),
        " |  | derived | data_classes | api_key in headers.apikey".to_owned(),
        " |  | derived | data_classes | session_id in headers.cookie".to_owned(),
        " |  | entity | entities.merchant_id | 42".to_owned(),
        " |  | failed | fields.broken | expression".to_owned(),
    ];
    for row in &expected {
        assert!(all.contains(row), "`{row}` is not in\n{}", all.join("\n"));
    }
}

#[test]
fn a_policy_is_a_fate() {
    let policies = FieldPolicies {
        query: [("a".to_owned(), FieldPolicy::Drop), ("flag".to_owned(), FieldPolicy::Mask)].into(),
        ..FieldPolicies::default()
    };
    let settings = NormaliserSettings { field_policies: policies, ..NormaliserSettings::new("kong") };
    let line = r#"{"request": {"uri": "/?a=1&b=2&a=3&flag=x&c=4"}, "response": {"status": 200}}"#;
    let rows = Normaliser::new(settings, key()).unwrap().preview(line.as_bytes(), |_, _| ()).unwrap();
    let all: Vec<String> = rows.iter().map(shown).filter(|row| row.starts_with("request.querystring")).collect();
    let expected = [
        "request.querystring.a | 1 | dropped |  | ",
        "request.querystring.b | 2 | kept | query.b | 2",
        "request.querystring.a | 3 | dropped |  | ",
        "request.querystring.flag | x | redacted | query.flag | ",
        "request.querystring.c | 4 | kept | query.c | 4",
    ];
    assert_eq!(all, expected);
}

#[test]
fn what_a_call_shows_of_its_exposure_is_shown() {
    // `{"alg":"none"}` and `{"iat":0,"exp":60}`.
    let token = "eyJhbGciOiJub25lIn0.eyJpYXQiOjAsImV4cCI6NjB9.";
    let line = format!(
        r#"{{"request": {{"uri": "/users/alice@corp.example?t={token}", "url": "http://api.example/", "headers": {{"a": "1"}}}},
            "response": {{"status": 200}}}}"#
    );
    let rows = normaliser().preview(line.as_bytes(), |_, _| ()).unwrap();
    let all: Vec<String> = rows.iter().filter(|row| row.fate == Fate::Derived).map(shown).collect();
    let expected = [
        " |  | derived | signs | plain_http jwt jwt_unsigned",
        " |  | derived | jwt_lifetime_s | 60",
        " |  | derived | data_classes | json_web_token in query.t",
        " |  | derived | data_classes | email in segment 1 of path",
    ];
    let after = all.iter().position(|row| row == expected[0]).unwrap();
    assert_eq!(all[after..], expected);
}

#[test]
fn all_that_leaves_is_shown() {
    let normaliser = normaliser();
    let mut scratch = outrider_collect::Scratch::default();
    let call = normaliser.normalise(LINE.as_bytes(), None, &mut scratch).unwrap();
    let all = rows();
    let count = |prefix: &str| all.iter().filter(|row| row.column.starts_with(prefix)).count();
    assert_eq!(count("headers."), call.headers.len());
    assert_eq!(count("query."), call.query.len());
    let failed = all.iter().filter(|row| row.fate == Fate::Failed).count();
    assert_eq!(count("fields.") - failed, call.fields.len());
}

#[test]
fn what_is_no_call_says_why() {
    for (line, expected) in [("{", Rejection::NotJson), ("[]", Rejection::NotAnObject), ("{}", Rejection::NoRequest)] {
        assert_eq!(normaliser().preview(line.as_bytes(), |_, _| ()).unwrap_err(), expected, "{line}");
    }
}
