//! A real `outrider run` process, a real gateway in front of it, and eyes on both.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use outrider_platform::log::{Gap, LogReader, OnDamage, Position, RecordKind};
use serde_json::Value;

/// How long anything that must happen may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A notice about the machine that the test runs on, which is no matter of a test.
pub const MACHINE_NOTICE: &str = "disk_nearly_full";

/// A process of outrider, and what its own log says. It ends with the test.
pub struct Process {
    child: Child,
    stderr: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub fn spawn(service: &str, config: &Path, environment: &[(&str, &str)]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrider"))
            .args([service, "--config"])
            .arg(config)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (reader, sink) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&stderr));
        std::thread::spawn(move || {
            reader.lines().map_while(Result::ok).for_each(|line| sink.lock().unwrap().push(line));
        });
        Process { child, stderr }
    }

    /// What it has said so far.
    pub fn log(&self) -> Vec<String> {
        self.stderr.lock().unwrap().clone()
    }

    /// How many lines with these words that has.
    pub fn said(&self, words: &str) -> usize {
        self.stderr.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until its log says this.
    pub fn await_words(&self, words: &str) {
        wait_for(&format!("the words `{words}`"), || (self.said(words) > 0).then_some(()));
    }

    /// Sends it a signal, such as `-HUP`.
    pub fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop as a service manager does; it must end well.
    pub fn stop(mut self) -> Vec<String> {
        self.signal("-TERM");
        let status = wait_for("the end of outrider", || self.child.try_wait().unwrap());
        let lines = self.log();
        assert!(status.success(), "outrider ended with {status}: {lines:#?}");
        lines
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("outrider said: {:#?}", self.log());
        }
    }
}

/// A running service with its data directory.
pub struct Outrider {
    process: Process,
    pub data_dir: PathBuf,
    config_path: PathBuf,
    pub api: String,
    pub sources: Vec<SocketAddr>,
    token: String,
}

/// What a test sets in the configuration besides the ports.
#[derive(Clone, Default)]
pub struct Setup {
    pub admin_url: Option<String>,
    /// The gateway's name where it is not `kong`.
    pub gateway: Option<&'static str>,
    pub more: String,
    /// A port of its own for the source, for a gateway that has to know it before outrider runs.
    pub source_port: u16,
    /// Tables that follow all others.
    pub more_at_end: String,
    /// Further keys of the source.
    pub source_more: String,
}

impl Setup {
    pub fn toml(&self, data_dir: &Path) -> String {
        let mut text = format!("data_dir = '{}'\n{}\n", data_dir.display(), self.more);
        let gateway = self.gateway.unwrap_or("kong");
        let _ = writeln!(text, "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = '{gateway}'");
        let _ = writeln!(text, "listen = '127.0.0.1:{}'\n{}", self.source_port, self.source_more);
        text.push_str("[api]\nlisten = '127.0.0.1:0'\n");
        if let Some(url) = &self.admin_url {
            let _ = write!(text, "[[gateways]]\nname = '{gateway}'\nadmin_url = '{url}'\nresync_seconds = 1\n");
        }
        text.push_str(&self.more_at_end);
        text
    }
}

impl Outrider {
    pub fn start(directory: &Path, setup: &Setup) -> Outrider {
        Outrider::start_as("run", directory, &setup.toml(&directory.join("data")))
    }

    /// Any of the services, with a configuration whose `data_dir` is `data` in the directory. Returns when it is ready.
    pub fn start_as(service: &str, directory: &Path, toml: &str) -> Outrider {
        Outrider::start_with(service, directory, toml, &[])
    }

    /// The same with something in the environment.
    pub fn start_with(service: &str, directory: &Path, toml: &str, environment: &[(&str, &str)]) -> Outrider {
        let data_dir = directory.join("data");
        let config_path = directory.join("outrider.toml");
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(&config_path, toml).unwrap();
        drop(std::fs::remove_file(data_dir.join("run.json")));
        let mut process = Process::spawn(service, &config_path, environment);
        let run = wait_for("run.json of the new process", || {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("outrider ended with {status}");
            }
            let text = std::fs::read(data_dir.join("run.json")).ok()?;
            let run: Value = serde_json::from_slice(&text).ok()?;
            (run["pid"] == process.child.id()).then_some(run)
        });
        let token = token(directory, &data_dir, &config_path);
        Outrider {
            process,
            data_dir,
            config_path,
            api: format!("http://{}", run["api"].as_str().unwrap_or_default()),
            sources: run["sources"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().parse().unwrap()).collect(),
            token,
        }
    }

    /// An admin's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A connection as Kong opens it.
    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(self.sources[0]).unwrap()
    }

    pub fn send(&self, lines: &[String]) {
        let mut stream = self.connect();
        for line in lines {
            stream.write_all(line.as_bytes()).unwrap();
            stream.write_all(b"\n").unwrap();
        }
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, None);
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// The items of a list.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path);
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("GET {path} is no list"));
        items.iter().filter(|item| item["kind"] != MACHINE_NOTICE).cloned().collect()
    }

    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.request_with(method, path, body, &[])
    }

    /// The same with further headers.
    pub fn request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let (status, bytes) = self.request_bytes(method, path, body, headers);
        let text = String::from_utf8(bytes).unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A request whose answer may be anything.
    pub fn request_bytes(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> (u16, Vec<u8>) {
        let url = format!("{}{path}", self.api);
        let method = method.parse().unwrap();
        let client = reqwest::Client::new();
        let mut request = client.request(method, url).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
        })
    }

    /// The beginning of an answer up to these words; then nobody listens any more.
    pub fn request_until(&self, path: &str, body: &Value, words: &str) -> String {
        let request = reqwest::Client::new().post(format!("{}{path}", self.api)).bearer_auth(&self.token).json(body);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut response = request.send().await.unwrap();
            let mut text = String::new();
            while !text.contains(words) {
                let chunk = response.chunk().await.unwrap().unwrap_or_else(|| panic!("no `{words}` in `{text}`"));
                text += std::str::from_utf8(&chunk).unwrap();
            }
            text
        })
    }

    /// Waits until the analysis has taken in at least so many calls.
    pub fn await_calls(&self, calls: u64) {
        wait_for(&format!("{calls} calls analysed"), || {
            let status = self.get("/api/v1/status");
            (status["platform"]["progress"]["calls"].as_u64()? >= calls).then_some(())
        });
    }

    pub fn kill(mut self) -> PathBuf {
        self.process.kill();
        self.data_dir
    }

    /// Sends it a signal, such as `-HUP`.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// How many lines with these words its own log has so far.
    pub fn said(&self, words: &str) -> usize {
        self.process.said(words)
    }

    /// Asks it to stop as a service manager does; it must end well.
    pub fn stop(self) -> Vec<String> {
        self.process.stop()
    }

    /// Waits until its log says this.
    pub fn await_words(&self, words: &str) {
        self.process.await_words(words);
    }

    pub fn config_path(&self) -> &Path {
        &self.config_path
    }
}

/// An admin's token: the one that an earlier start made, or the file of an installation from before people, or a new one.
/// A service that knows no people has none.
fn token(directory: &Path, data_dir: &Path, config: &Path) -> String {
    let path = directory.join("token");
    for known in [&path, &data_dir.join("admin-token")] {
        if let Ok(token) = std::fs::read_to_string(known) {
            return token.trim().to_owned();
        }
    }
    if !data_dir.join("control.sqlite").exists() {
        return String::new();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let made = command.args(["token", "create", "e2e", "--role", "admin", "--config"]).arg(config).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(&path, &made.stdout).unwrap();
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// What the log of a stopped process says is missing.
pub fn gaps(log: &Path) -> Vec<Gap> {
    let mut reader = LogReader::open(log, Position::ZERO, OnDamage::Refuse).unwrap();
    let mut gaps = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        if record.kind == RecordKind::Gap {
            gaps.push(record.json().unwrap());
        }
    }
    gaps
}

/// An unexpected warning in the program's log fails the test.
pub fn assert_quiet(lines: &[String], allowed: &[&str]) {
    let loud: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .filter(|line| !line.contains(MACHINE_NOTICE))
        .filter(|line| !allowed.iter().any(|words| line.contains(words)))
        .collect();
    assert!(loud.is_empty(), "unexpected warnings: {loud:#?}");
}

/// Looks again until there is something, or patience ends.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A Kong log line: an authenticated consumer calls an endpoint of the shop.
pub fn line(consumer: &str, method: &str, path: &str, status: u16, at_ms: i64) -> String {
    let request_id = format!("{consumer}-{at_ms}-{path}");
    serde_json::json!({
        "request": {
            "id": request_id, "method": method, "uri": path, "url": format!("https://shop.example{path}"), "size": 120,
            "querystring": {}, "headers": {"host": "shop.example", "user-agent": "e2e", "apikey": format!("key-{consumer}")}
        },
        "response": {"status": status, "size": 300, "headers": {"content-type": "application/json"}},
        "latencies": {"request": 3, "kong": 1, "proxy": 2, "receive": 0},
        "client_ip": "198.51.100.7", "started_at": at_ms, "upstream_status": status.to_string(), "source": "upstream",
        "workspace": "w", "workspace_name": "default", "tries": [{"ip": "10.0.0.1", "port": 80}],
        "route": {"id": "r-shop", "name": "shop-route"}, "service": {"id": "s-shop", "name": "shop"},
        "consumer": {"id": format!("id-{consumer}"), "username": consumer},
        "authenticated_entity": {"id": format!("cred-{consumer}")}
    })
    .to_string()
}
