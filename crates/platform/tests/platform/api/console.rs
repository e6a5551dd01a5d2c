//! The web console's files: who gets a page, who gets a refusal, and what a page may do.

use outrider_platform::api::ConsoleFile;
use outrider_platform::store::Role;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::harness::{Api, Reply, read_reply};

/// A console of two files; their compressed form is a text that the test can tell from the other.
pub const CONSOLE: &[ConsoleFile] = &[
    ConsoleFile { path: "/assets/index-1a2b.js", bytes: b"plain script", gzip: Some(b"small script") },
    ConsoleFile { path: "/index.html", bytes: b"the page", gzip: None },
];

async fn ask(api: &Api, method: &str, path: &str, headers: &str) -> Reply {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_reply(&mut stream).await
}

#[tokio::test]
async fn browsers_get_pages_and_programs_get_answers() {
    const BROWSER: &str = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\naccept-encoding: gzip, br\r\n";
    let api = Api::start().await;
    // Method, path, headers, status, what the answer holds.
    let cases = [
        ("GET", "/", BROWSER, 200, "the page"),
        ("GET", "/alerts/al_1?tab=calls", BROWSER, 200, "the page"),
        ("HEAD", "/alerts", BROWSER, 200, ""),
        ("GET", "/index.html", "", 200, "the page"),
        ("GET", "/assets/index-1a2b.js", "", 200, "plain script"),
        ("GET", "/assets/index-1a2b.js", BROWSER, 200, "small script"),
        ("GET", "/assets/index-1a2b.js", "accept-encoding: gzip;q=0\r\n", 200, "plain script"),
        ("GET", "/assets/index-0000.js", BROWSER, 404, "not-found"),
        ("GET", "/assets/../../etc/passwd", BROWSER, 404, "not-found"),
        ("GET", "/", "accept: application/json\r\n", 404, "not-found"),
        ("GET", "/nothing", "", 404, "not-found"),
        ("POST", "/", BROWSER, 404, "not-found"),
        ("GET", "/api", BROWSER, 404, "not-found"),
        ("GET", "/api/v1/nothing", BROWSER, 404, "not-found"),
        ("GET", "/api/v2/alerts", BROWSER, 404, "not-found"),
    ];
    for (method, path, headers, status, holds) in cases {
        let reply = ask(&api, method, path, headers).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.head);
        assert!(reply.body.to_string().contains(holds), "{method} {path}: {}", reply.body);
        assert_eq!(reply.header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        if status == 200 {
            let policy = reply.header("content-security-policy").unwrap();
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
            let kept = reply.header("cache-control").unwrap();
            assert_eq!(kept.contains("immutable"), path.starts_with("/assets/"), "{path}: {kept}");
        } else {
            assert_eq!(reply.header("cache-control").as_deref(), Some("no-store"), "{path}");
        }
    }
}

#[tokio::test]
async fn the_sign_in_page_can_ask_for_the_ways_in() {
    let api = Api::without_tokens().await;
    let open = ask(&api, "GET", "/api/v1/session/ways", "").await;
    assert_eq!(open.body, serde_json::json!({"is_setup_open": true, "has_identity_provider": false}));
    api.store.create_token("admin", Role::Admin, "test", 1).await.unwrap();
    let closed = ask(&api, "GET", "/api/v1/session/ways", "").await;
    assert_eq!(closed.body["is_setup_open"], false);
}
