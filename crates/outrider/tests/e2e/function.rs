//! Kong's HTTP Log as a function: over HTTP, and as AWS Lambda asks by its runtime API. It keeps nothing, so whatever becomes
//! of it, a call is with its sender or at the platform, and counts once.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::harness::{Process, free_port, line, now_ms};
use crate::services::{Site, assert_calls};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A process of the function with its secrets in the environment, and what else is given.
fn function(site: &Site, gateway: &str, environment: &[(&str, &str)]) -> Process {
    let directory = site.path("function");
    std::fs::create_dir_all(&directory).unwrap();
    // The token is in the environment, and the source's secret, too.
    let uplink = site.uplink("function");
    let uplink: Vec<_> = uplink.lines().filter(|line| !line.starts_with("token_file")).collect();
    let source = format!("[[collector.sources]]\nkind = 'kong_http_log'\ngateway = '{gateway}'\n");
    let config = directory.join("outrider.toml");
    std::fs::write(&config, format!("{source}{}\n", uplink.join("\n"))).unwrap();
    let token = std::fs::read_to_string(site.path("function.token")).unwrap();
    let secrets = [("OUTRIDER_TOKEN", &*token), ("OUTRIDER_PSEUDONYM_KEY", KEY), ("OUTRIDER_SOURCE_SECRET", SECRET)];
    Process::spawn("function", &config, &[&secrets, environment].concat())
}

/// One that listens on a port, and its address.
fn listening(site: &Site) -> (Process, String) {
    listening_for(site, "kong")
}

/// The same of another gateway.
fn listening_for(site: &Site, gateway: &str) -> (Process, String) {
    let port = free_port();
    let function = function(site, gateway, &[("PORT", &port.to_string())]);
    function.await_words("kong_http_log listens");
    (function, format!("http://127.0.0.1:{port}/"))
}

/// A body of so many calls that no other has, as Kong packs them with `content_encoding`.
fn body(calls: usize) -> Vec<u8> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let first = MADE.fetch_add(calls, Ordering::Relaxed);
    let lines: Vec<String> =
        (first..first + calls).map(|at| line("alice", "GET", &format!("/items/{at}"), 200, now_ms())).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(format!("[{}]", lines.join(",")).as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn files_below(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

#[test]
fn what_a_function_answered_is_at_the_platform_once_and_the_rest_is_with_its_sender() {
    let (site, runtime) = (Site::new(), runtime());
    site.trust("ca");
    let platform = site.platform();
    site.identity("function");
    let post = |url: &str, secret: &str, body: &[u8]| -> (u16, Value) {
        let request = reqwest::Client::new().post(url).bearer_auth(secret).header("content-encoding", "gzip");
        runtime.block_on(async {
            let response = request.body(body.to_vec()).send().await.unwrap();
            (response.status().as_u16(), response.json().await.unwrap())
        })
    };
    let (function, url) = listening(&site);
    let first = body(3);
    assert_eq!(post(&url, "somebody else's secret", &first).0, 401);
    let taken = (200, json!({"stored": 3, "duplicates": 0, "rejected": 0}));
    assert_eq!(post(&url, SECRET, &first), taken);
    assert_calls(&platform, 3);
    let service = platform.get("/api/v1/status")["services"][0].clone();
    assert_eq!((&service["kind"], &service["is_connected"]), (&json!("function"), &Value::Null), "{service}");
    assert!(service["silent_seconds"].is_u64(), "{service}");
    // The answer was lost, and the gateway sends the same to another instance.
    let (other, other_url) = listening(&site);
    drop(function);
    assert_eq!(post(&other_url, SECRET, &first), taken);
    assert_eq!(platform.get("/api/v1/status")["platform"]["log"]["duplicate_batches"], 1);

    // The same to two at once, and more than one batch has room for.
    let (third, third_url) = listening(&site);
    let large = body(2_500);
    std::thread::scope(|scope| {
        let posted = [&other_url, &third_url].map(|url| scope.spawn(|| post(url, SECRET, &large).0));
        assert_eq!(posted.map(|posted| posted.join().unwrap()), [200, 200]);
    });
    assert_calls(&platform, 2_503);
    drop(third);

    // Calls of a gateway that the identity is not for are refused, and stay with their sender.
    let (foreign, foreign_url) = listening_for(&site, "foreign");
    assert_eq!(post(&foreign_url, SECRET, &body(1)).0, 503);
    foreign.await_words("speaks for `kong` and not for `foreign`");
    drop(foreign);

    // The platform is away: nothing is taken, and what comes again is.
    platform.kill();
    let second = body(4);
    let (status, problem) = post(&other_url, SECRET, &second);
    assert_eq!((status, &problem["reason"]), (503, &json!("not_stored")));
    other.await_words("calls are not taken; their sender keeps them");
    let platform = site.platform();
    assert_eq!(post(&other_url, SECRET, &second).0, 200);
    assert_calls(&platform, 2_507);
    other.await_words("the platform takes calls again");
    assert_eq!(files_below(&site.path("function")), 1, "only its configuration");
    other.stop();
    platform.stop();
}

/// What the runtime API of AWS Lambda hands out and is told, as its documentation says: version 2018-06-01.
struct Lambda {
    address: SocketAddr,
    events: mpsc::UnboundedSender<Value>,
    told: mpsc::UnboundedReceiver<(&'static str, Value)>,
}

type Events = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Value>>>;

impl Lambda {
    fn start(runtime: &Runtime) -> Lambda {
        let (events, waiting) = mpsc::unbounded_channel::<Value>();
        let (tell, told) = mpsc::unbounded_channel();
        let waiting: Events = Arc::new(tokio::sync::Mutex::new(waiting));
        let (answered, failed) = (tell.clone(), tell);
        let takes = |what: &'static str, tell: mpsc::UnboundedSender<(&'static str, Value)>| {
            post(move |UrlPath(id): UrlPath<String>, body: String| async move {
                assert_eq!(id, "7");
                tell.send((what, serde_json::from_str(&body).unwrap())).unwrap();
                StatusCode::ACCEPTED
            })
        };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", takes("response", answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", takes("error", failed))
            .with_state(waiting);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Lambda { address, events, told }
    }

    /// Invokes the function, and says what came of it.
    fn invoke(&mut self, runtime: &Runtime, event: &Value) -> (&'static str, Value) {
        self.events.send(event.clone()).unwrap();
        let told = async { tokio::time::timeout(crate::harness::PATIENCE, self.told.recv()).await };
        runtime.block_on(told).unwrap().unwrap()
    }
}

/// The next event. The function waits here for as long as it takes.
async fn next(State(events): State<Events>) -> (HeaderMap, String) {
    let event = events.lock().await.recv().await.unwrap();
    let deadline = (now_ms() + 30_000).to_string();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", "7"),
        ("lambda-runtime-deadline-ms", deadline.as_str()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:1:function:outrider"),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    (headers, event.to_string())
}

#[test]
fn aws_lambda_is_answered_when_the_platform_has_the_calls() {
    let (site, runtime) = (Site::new(), runtime());
    site.trust("ca");
    let platform = site.platform();
    site.identity("function");
    let mut lambda = Lambda::start(&runtime);
    let address = lambda.address.to_string();
    let function = function(
        &site,
        "kong",
        &[
            // At its most talkative, a library would write whole events.
            ("OUTRIDER_LOG", "trace,lambda_runtime::layers=trace"),
            ("AWS_LAMBDA_RUNTIME_API", &address),
            ("AWS_LAMBDA_FUNCTION_NAME", "outrider"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ],
    );
    let mut invoke = |event: &Value| lambda.invoke(&runtime, event);
    // As a function URL sends a request whose body is no text.
    let of_url = |secret: &str, body: &[u8]| {
        json!({
            "version": "2.0",
            "rawPath": "/",
            "headers": {"authorization": format!("Bearer {secret}"), "content-encoding": "gzip", "x-forwarded-for": "192.0.2.1"},
            "requestContext": {"http": {"method": "POST", "path": "/", "sourceIp": "192.0.2.1"}, "requestId": "r"},
            "body": BASE64_STANDARD.encode(body),
            "isBase64Encoded": true,
        })
    };
    let (first, second) = (body(3), body(2));
    let (told, answer) = invoke(&of_url(SECRET, &first));
    assert_eq!((told, &answer["statusCode"], &answer["isBase64Encoded"]), ("response", &json!(200), &json!(false)));
    let said: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!({"stored": 3, "duplicates": 0, "rejected": 0}));
    assert_calls(&platform, 3);
    assert_eq!(invoke(&of_url("somebody else's secret", &second)).1["statusCode"], 401);

    // As a load balancer sends one that asks for a page.
    let (told, answer) =
        invoke(&json!({"httpMethod": "GET", "path": "/", "headers": {}, "body": "", "isBase64Encoded": false}));
    assert_eq!((told, &answer["statusCode"]), ("response", &json!(405)));
    let (told, error) = invoke(&json!({"source": "aws.events"}));
    assert_eq!(told, "error");
    assert!(error["errorMessage"].as_str().unwrap().contains("no HTTP request"), "{error}");

    platform.kill();
    assert_eq!(invoke(&of_url(SECRET, &second)).1["statusCode"], 503);
    let platform = site.platform();
    assert_eq!(invoke(&of_url(SECRET, &second)).1["statusCode"], 200);
    assert_calls(&platform, 5);
    let said = function.log().join("\n");
    assert!(said.contains("TRACE") && !said.contains(SECRET) && !said.contains("key-alice"), "{said}");
    drop(function);
    platform.stop();
}

#[test]
fn a_function_that_everybody_could_write_to_does_not_start() {
    let site = Site::new();
    let directory = site.path("function");
    std::fs::create_dir_all(&directory).unwrap();
    let config = directory.join("outrider.toml");
    let source = "[[collector.sources]]\nkind = 'kong_http_log'\n";
    std::fs::write(&config, format!("{source}[platform]\nurl = 'https://127.0.0.1:1'\n")).unwrap();
    let said = |environment: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        let output =
            command.args(["function", "--config"]).arg(&config).envs(environment.iter().copied()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let (token, key) = (("OUTRIDER_TOKEN", "t"), ("OUTRIDER_PSEUDONYM_KEY", KEY));
    assert!(said(&[]).contains("set OUTRIDER_TOKEN, or platform.token_file"));
    assert!(said(&[token]).contains("OUTRIDER_PSEUDONYM_KEY is not set"));
    assert!(said(&[token, key, ("PORT", "0")]).contains("set OUTRIDER_SOURCE_SECRET"));
    assert!(said(&[token, key, ("PORT", "x")]).contains("PORT is `x`"));
}
