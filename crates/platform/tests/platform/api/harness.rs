//! An API on a socket with a store of small things behind it and a bus that answers as it is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrider_discover::{Catalogue, Settings};
use outrider_model::{
    ActionId, ActionState, AlertId, AlertState, CommandRecord, GatewayConfiguration, GatewaySnapshot,
};
use outrider_platform::api::{AccessSettings, ApiState, CommandBus, CommandError, CopyAnswer, StatusSource, serve};
use outrider_platform::log::Position;
use outrider_platform::oidc::Oidc;
use outrider_platform::queries::Queries;
use outrider_platform::store::{EffectBatch, Role, Store};
use outrider_respond::desk::CommandDone;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::contract;
use crate::fixtures::{action, alert, audit, endpoint, finding, policy};

pub const ROLES: [Role; 4] = [Role::Viewer, Role::Analyst, Role::Responder, Role::Admin];

/// Notes decisions and answers as it was told.
pub struct FakeBus {
    pub records: Mutex<Vec<CommandRecord>>,
    pub answer: Mutex<Result<CommandDone, CommandError>>,
    /// What decisions are tried on.
    pub catalogue: Mutex<Catalogue>,
}

type Answer<'a> = std::pin::Pin<Box<dyn Future<Output = Result<CommandDone, CommandError>> + Send + 'a>>;

impl CommandBus for FakeBus {
    fn submit(&self, record: CommandRecord) -> Answer<'_> {
        self.records.lock().unwrap().push(record);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move { answer })
    }

    fn catalogue(&self) -> CopyAnswer<'_> {
        let catalogue = self.catalogue.lock().unwrap().clone();
        Box::pin(async move { Ok(catalogue.into()) })
    }
}

struct FakeStatus;

impl StatusSource for FakeStatus {
    fn status(&self) -> Value {
        json!({"caught_up": true})
    }
}

pub struct Api {
    pub address: SocketAddr,
    pub store: Store,
    pub bus: Arc<FakeBus>,
    /// By role, viewer first.
    tokens: [String; 4],
    pub cancel: CancellationToken,
    pub task: tokio::task::JoinHandle<std::io::Result<()>>,
    pub dir: tempfile::TempDir,
}

pub struct Reply {
    pub status: u16,
    /// In lower case.
    pub head: String,
    /// What is to be kept.
    pub cookies: Vec<String>,
    pub body: Value,
}

impl Reply {
    pub fn detail(&self) -> String {
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        assert_eq!(self.body["status"], self.status);
        assert!(!self.body["title"].as_str().unwrap().is_empty());
        self.body.to_string()
    }

    /// A header's value in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    }

    /// The cookie of this name as a browser sends it back; its value keeps its case.
    pub fn cookie(&self, name: &str) -> String {
        let pairs = self.cookies.iter().map(|cookie| cookie.split(';').next().unwrap());
        pairs.into_iter().find(|pair| pair.starts_with(&format!("{name}="))).expect("a cookie").to_owned()
    }

    pub fn items(&self) -> &Vec<Value> {
        self.body["items"].as_array().unwrap()
    }
}

impl Api {
    pub async fn start() -> Api {
        Api::start_with(None, true, None, None).await
    }

    /// Behind a proxy that connects from this address; the tests connect from 127.0.0.1.
    pub async fn behind_proxy(address: &str) -> Api {
        Api::start_with(Some(address), true, None, None).await
    }

    pub async fn without_tokens() -> Api {
        Api::start_with(None, false, None, None).await
    }

    pub async fn with_provider(oidc: Oidc, proxy: Option<&str>) -> Api {
        Api::start_with(proxy, true, Some(Arc::new(oidc)), None).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn setup_file(&self) -> PathBuf {
        self.dir.path().join("setup-token")
    }

    /// With a lake to be asked.
    pub async fn with_lake(queries: Option<Queries>) -> Api {
        Api::start_with(None, true, None, queries).await
    }

    async fn start_with(
        proxy: Option<&str>,
        has_tokens: bool,
        oidc: Option<Arc<Oidc>>,
        queries: Option<Queries>,
    ) -> Api {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("control.sqlite")).await.unwrap();
        let mut tokens = [const { String::new() }; 4];
        for (token, role) in tokens.iter_mut().zip(ROLES).filter(|_| has_tokens) {
            let made = store.create_token(&format!("the-{role}"), role, "test", 1).await.unwrap();
            *token = made.reveal().to_owned();
        }
        let setup_file = dir.path().join("setup-token");
        assert_eq!(store.prepare_setup(&setup_file).await.unwrap(), !has_tokens);
        let effects = EffectBatch {
            endpoints: vec![endpoint("/orders/{order_id}", 7)],
            findings: vec![(finding(1, "alice"), Some(AlertId(1)))],
            alerts: (1..=12).map(|number| alert(number, "alice", AlertState::Open)).collect(),
            actions: vec![action(9, "alice", ActionState::Pending)],
            policies: vec![policy("spikes")],
            audit: vec![audit(1)],
            configurations: vec![GatewaySnapshot {
                gateway: "edge one".to_owned(),
                taken_ms: 1,
                configuration: GatewayConfiguration::default(),
            }],
            ..EffectBatch::default()
        };
        store.apply(Position(1), &effects).await.unwrap();
        let done = CommandDone::Action { action: ActionId(9), state: ActionState::Pending };
        let catalogue = Mutex::new(Catalogue::new(Settings::default()));
        let bus = Arc::new(FakeBus { records: Mutex::default(), answer: Mutex::new(Ok(done)), catalogue });
        let proxies = proxy.map(|address| address.parse().unwrap()).into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let state = ApiState::new(store.clone(), Arc::clone(&bus) as Arc<dyn CommandBus>, Arc::new(FakeStatus))
            .with_access(AccessSettings { proxies, is_tls: false, setup_file, oidc })
            .with_queries(queries)
            .with_console(super::console::CONSOLE)
            .with_beat(Duration::from_millis(50));
        let task = tokio::spawn(serve(listener, None, state, cancel.clone()));
        Api { address, store, bus, tokens, cancel, task, dir }
    }

    pub fn token(&self, role: Role) -> &str {
        &self.tokens[role as usize]
    }

    /// One request as bytes, one answer, on a connection of its own.
    pub async fn raw(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let reply = read_reply(&mut stream).await;
        let mut words = request.split(' ');
        contract::check(words.next().unwrap(), words.next().unwrap(), &reply);
        reply
    }

    pub async fn send(&self, role: Role, method: &str, path: &str, body: Option<&str>) -> Reply {
        self.send_with(role, method, path, body, "content-type: application/json\r\n").await
    }

    pub async fn send_with(&self, role: Role, method: &str, path: &str, body: Option<&str>, headers: &str) -> Reply {
        self.send_as(self.token(role), method, path, body, headers).await
    }

    pub async fn send_as(&self, token: &str, method: &str, path: &str, body: Option<&str>, headers: &str) -> Reply {
        let body = body.unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{headers}"
        );
        self.raw(&format!("{head}content-length: {length}\r\n\r\n{body}")).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Role::Viewer, "GET", path, None).await
    }

    pub fn answer(&self, answer: Result<CommandDone, CommandError>) {
        *self.bus.answer.lock().unwrap() = answer;
    }

    pub fn last_record(&self) -> CommandRecord {
        self.bus.records.lock().unwrap().last().unwrap().clone()
    }
}

pub async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: `{text}`"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    // Metrics are no JSON.
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap_or(Value::from(body)) };
    let is_cookie = |line: &&str| line.to_ascii_lowercase().starts_with("set-cookie: ");
    let cookies = head.lines().filter(is_cookie).map(|line| line["set-cookie: ".len()..].to_owned()).collect();
    Reply { status, head: head.to_ascii_lowercase(), cookies, body }
}
