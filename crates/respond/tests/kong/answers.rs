//! What the client makes of answers that are not as they should be.

use std::io::Write as _;
use std::time::{Duration, Instant};

use outrider_model::FailureReason;
use outrider_respond::gateways::GatewayError;
use outrider_respond::gateways::kong::{AdminApi as _, AdminClient, AdminHeader, AdminSettings};
use serde_json::json;

use crate::server::{Reply, Server, json as kong, response};

const ID: &str = "5c82fd15-0f32-53ae-92eb-6510069e7632";

fn plugin() -> serde_json::Value {
    json!({"id": ID, "name": "request-termination", "config": {}, "tags": null, "consumer": null})
}

fn client(url: &str) -> AdminClient {
    let settings = AdminSettings {
        connect_timeout: Duration::from_millis(300),
        call_timeout: Duration::from_millis(300),
        answer_bytes_max: 10_000,
        ..AdminSettings::new(url)
    };
    AdminClient::new(&settings).unwrap()
}

fn show(error: &GatewayError) -> String {
    match error {
        GatewayError::Unreachable { .. } => "unreachable".to_owned(),
        GatewayError::UnexpectedAnswer { status, .. } => format!("unexpected {status}"),
        GatewayError::Kong { status, code, .. } => format!("kong {status} {}", code.unwrap_or(0)),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_bad_answer_is_told_apart() {
    let good = plugin().to_string();
    let json_type = "application/json; charset=utf-8";
    let cut = |text: String, left: usize| text.into_bytes()[..left].to_vec();
    let whole = String::from_utf8(kong("200 OK", &plugin())).unwrap();
    let chunked =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {json_type}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{\"id\"\r\n");
    let large = "x".repeat(20_000);
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/plugins\r\nContent-Length: 0\r\n\r\n";
    let cases: Vec<(&str, Reply, &str)> = vec![
        ("half a body", Reply::Bytes(cut(whole.clone(), whole.len() - 20)), "unexpected 200"),
        ("half a chunked body", Reply::Bytes(chunked.into_bytes()), "unexpected 200"),
        ("a body that stalls", Reply::Stall(cut(whole.clone(), whole.len() - 20)), "unexpected 200"),
        ("half a head", Reply::Bytes(cut(whole.clone(), 20)), "unreachable"),
        ("nothing", Reply::Bytes(vec![]), "unreachable"),
        ("silence", Reply::Stall(vec![]), "unreachable"),
        ("another protocol", Reply::Bytes(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), "unexpected 0"),
        ("HTML", Reply::Bytes(response("200 OK", "text/html", "<html>Sign in</html>")), "unexpected 200"),
        ("JSON called HTML", Reply::Bytes(response("200 OK", "text/html", &good)), "unexpected 200"),
        ("another shape", Reply::Bytes(kong("200 OK", &json!({"data": []}))), "unexpected 200"),
        ("an array", Reply::Bytes(kong("200 OK", &json!([1, 2]))), "unexpected 200"),
        ("no JSON", Reply::Bytes(response("200 OK", json_type, "{")), "unexpected 200"),
        ("too large", Reply::Bytes(response("200 OK", json_type, &large)), "unexpected 200"),
        ("a redirect", Reply::Bytes(redirect.as_bytes().to_vec()), "unexpected 302"),
        ("a proxy's 502", Reply::Bytes(response("502 Bad Gateway", "text/html", "<h1>Bad")), "unexpected 502"),
        ("a proxy's 404", Reply::Bytes(response("404 Not Found", "text/html", "<h1>No")), "unexpected 404"),
        ("a proxy's JSON 404", Reply::Bytes(kong("404 Not Found", &json!({"message": "no such host"}))), "kong 404 0"),
        ("500", Reply::Bytes(kong("500 Error", &json!({"message": "An unexpected error occurred"}))), "kong 500 0"),
        ("401", Reply::Bytes(kong("401 No", &json!({"message": "Invalid RBAC credentials"}))), "kong 401 0"),
        ("429", Reply::Bytes(kong("429 Slow", &json!({"message": "API rate limit exceeded"}))), "kong 429 0"),
    ];
    for (name, reply, expected) in cases {
        let server = Server::start(vec![reply]).await;
        let started = Instant::now();
        let error = client(&server.url).plugin(ID).await.expect_err(name);
        assert_eq!(show(&error), expected, "{name}: {error}");
        assert!(started.elapsed() < Duration::from_secs(2), "{name}");
        let text = error.to_string();
        assert!(text.len() < 1000 && !text.contains('\n'), "{name}: {text}");
        assert_eq!(server.asked().len(), 1, "{name}: nothing is followed or tried again");
    }
}

#[tokio::test]
async fn who_is_not_there_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).node().await.unwrap_err();
    assert!(matches!(error.reason(), FailureReason::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    // An https client at a plain port.
    let server = Server::start(vec![Reply::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())]).await;
    let error = client(&server.url.replace("http:", "https:")).node().await.unwrap_err();
    assert_eq!(show(&error), "unreachable", "{error}");
}

#[tokio::test]
async fn what_the_gateway_asks_to_wait_is_passed_on() {
    let busy = "HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(vec![Reply::Bytes(busy.as_bytes().to_vec())]).await;
    assert_eq!(client(&server.url).node().await.unwrap_err().retry_after_s(), Some(7));
}

#[tokio::test]
async fn lists_are_read_to_their_end_or_not_at_all() {
    let page = |ids: &[&str], next: Option<&str>| {
        let data: Vec<_> = ids.iter().map(|id| json!({"id": id, "name": "request-termination"})).collect();
        let mut page = json!({"data": data, "next": null});
        if let Some(next) = next {
            // The path names another host's page; only the offset is used, with our own address.
            page["next"] = json!(format!("http://127.0.0.1:1/plugins?offset={next}"));
            page["offset"] = json!(next);
        }
        Reply::Bytes(kong("200 OK", &page))
    };
    let server = Server::start(vec![page(&["a", "b"], Some("X+/=")), page(&[], Some("Y")), page(&["c"], None)]).await;
    let plugins = client(&server.url).plugins_tagged(&["outrider", "outrider:home"]).await.unwrap();
    assert_eq!(plugins.iter().map(|plugin| plugin.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let paths: Vec<String> = server.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(
        paths,
        [
            "/plugins?tags=outrider%2Coutrider%3Ahome&size=1000",
            "/plugins?tags=outrider%2Coutrider%3Ahome&size=1000&offset=X%2B%2F%3D",
            "/plugins?tags=outrider%2Coutrider%3Ahome&size=1000&offset=Y",
        ]
    );
    let no_offset = Reply::Bytes(kong("200 OK", &json!({"data": [], "next": "/plugins?offset=x"})));
    let broken = [
        ("a page that comes again", vec![page(&["a"], Some("X"))]),
        ("a next page that cannot be asked for", vec![no_offset]),
        ("a second page that fails", vec![page(&["a"], Some("X")), Reply::Bytes(vec![])]),
        (
            "a second page that is HTML",
            vec![page(&["a"], Some("X")), Reply::Bytes(response("200 OK", "text/html", ""))],
        ),
    ];
    for (name, script) in broken {
        let server = Server::start(script).await;
        assert!(client(&server.url).plugins_tagged(&["outrider"]).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn the_token_is_sent_and_goes_nowhere_else() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "  s3cret-one  ").unwrap();
    let echo =
        |token: &str| Reply::Bytes(response("401 No", "text/html", &format!("<pre>Kong-Admin-Token: {token}</pre>")));
    let server =
        Server::start(vec![echo("s3cret-one"), echo("s3cret-one"), Reply::Bytes(kong("200 OK", &plugin()))]).await;
    let settings = AdminSettings {
        header: Some(AdminHeader { name: "Kong-Admin-Token".to_owned(), value_file: file.path().to_owned() }),
        ..AdminSettings::new(&server.url)
    };
    let client = AdminClient::new(&settings).unwrap();
    let error = client.plugin(ID).await.unwrap_err();
    assert!(error.to_string().contains("[struck out]"), "{error}");
    assert!(!format!("{error:?} {error} {:?} {client:?} {settings:?}", error.reason()).contains("s3cret"));
    let sent =
        |n: usize| server.asked()[n].headers.iter().filter(|line| line.contains("s3cret")).cloned().collect::<Vec<_>>();
    assert_eq!(sent(0), ["kong-admin-token: s3cret-one"]);
    assert_eq!(server.asked().len(), 1, "an unchanged token is not tried again");

    // Rotated: the first refusal makes it look, and one more try suffices.
    std::fs::write(file.path(), "s3cret-two").unwrap();
    assert!(client.plugin(ID).await.unwrap().is_some());
    assert_eq!(sent(2), ["kong-admin-token: s3cret-two"]);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let url = |url: &str| AdminSettings::new(url);
    let header = |name: &str, file: &str| AdminSettings {
        header: Some(AdminHeader { name: name.to_owned(), value_file: file.into() }),
        ..url("http://kong:8001")
    };
    let cases = [
        (url("kong:8001"), "admin.url"),
        (url("ftp://kong"), "http://"),
        (url("http://kong:8001/?x=1"), "query"),
        (url("http://admin:hunter2@kong:8001"), "admin.header"),
        (url(""), "admin.url"),
        (AdminSettings { page_size: 0, ..url("http://kong") }, "page_size"),
        (AdminSettings { page_size: 1001, ..url("http://kong") }, "page_size"),
        (AdminSettings { ca_file: Some("/nowhere".into()), ..url("https://kong") }, "/nowhere"),
        (header("Kong Admin", "/dev/null"), "header.name"),
        (header("Kong-Admin-Token", "/nowhere"), "/nowhere"),
        (header("Kong-Admin-Token", "/dev/null"), "empty"),
    ];
    for (settings, expected) in cases {
        let error = AdminClient::new(&settings).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
    for good in ["http://kong:8001", "http://kong:8001/", "https://[::1]:8444/team-a", "http://kong/a/b/"] {
        assert!(AdminClient::new(&url(good)).is_ok(), "{good}");
    }
}

#[tokio::test]
async fn a_path_before_the_entities_is_kept() {
    for base in ["/team-a", "/team-a/"] {
        let server = Server::start(vec![Reply::Bytes(kong("200 OK", &plugin()))]).await;
        let client = client(&format!("{}{base}", server.url));
        client.plugin(ID).await.unwrap();
        assert_eq!(server.asked()[0].path, format!("/team-a/plugins/{ID}"));
    }
}
