//! Three services: each away and back, tokens revoked, certificates swapped, disks lost. Nothing is lost, nothing counts
//! twice, and what is over ends.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use outrider_practice::{Practice, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, gaps, line, now_ms, wait_for};

/// Directories, certificates and configurations of three services.
pub struct Site {
    directory: tempfile::TempDir,
    pub port: u16,
    /// Further tables of all three.
    pub more: String,
}

pub fn outrider(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Site {
    pub fn new() -> Site {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let site = Site { directory, port, more: String::new() };
        site.authority("ca");
        outrider(&["ca", "issue", "--dir", &site.text("ca"), "--out", &site.text("ca"), "--client", "edge"]);
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A new authority, with a certificate for the platform.
    pub fn authority(&self, name: &str) {
        outrider(&["ca", "init", "--dir", &self.text(name)]);
        outrider(&["ca", "issue", "--dir", &self.text(name), "--out", &self.text(name), "127.0.0.1", "localhost"]);
    }

    pub fn platform(&self) -> Outrider {
        let (ca, data) = (self.text("ca"), self.text("platform/data"));
        let toml = format!(
            "data_dir = '{data}'\n[api]\nlisten = '127.0.0.1:0'\n[premises]\nlisten = '127.0.0.1:{}'\ngateways = ['kong']\n\
             certificate_file = '{ca}/127.0.0.1.pem'\nkey_file = '{ca}/127.0.0.1.key'\nclient_ca_file = '{ca}/ca.pem'\n{}",
            self.port, self.more
        );
        Outrider::start_as("platform", &self.path("platform"), &toml)
    }

    /// Makes an identity and puts its token where the service looks for it.
    pub fn identity(&self, kind: &str) {
        let config = self.text("platform/outrider.toml");
        let arguments = ["service", "create", kind, "--kind", kind, "--gateway", "kong", "--config", &config];
        std::fs::write(self.path(&format!("{kind}.token")), outrider(&arguments)).unwrap();
    }

    pub fn revoke(&self, name: &str) {
        outrider(&["service", "revoke", name, "--config", &self.text("platform/outrider.toml")]);
    }

    pub fn uplink(&self, kind: &str) -> String {
        let (ca, token) = (self.text("ca"), self.text(&format!("{kind}.token")));
        format!(
            "[platform]\nurl = 'https://127.0.0.1:{}'\ntoken_file = '{token}'\nca_file = '{}'\n\
             certificate_file = '{ca}/edge.pem'\nkey_file = '{ca}/edge.key'\n{}",
            self.port,
            self.text("trusted.pem"),
            self.more
        )
    }

    pub fn trust(&self, authority: &str) {
        std::fs::copy(self.path(authority).join("ca.pem"), self.path("trusted.pem")).unwrap();
    }

    pub fn collector(&self) -> Outrider {
        let toml = format!(
            "data_dir = '{}'\n[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'kong'\nlisten = '127.0.0.1:0'\n{}",
            self.text("collector/data"),
            self.uplink("collector")
        );
        Outrider::start_as("collector", &self.path("collector"), &toml)
    }

    pub fn responder(&self, directory: &str, admin_url: &str) -> Outrider {
        let toml = format!(
            "data_dir = '{}'\n[[gateways]]\nname = 'kong'\nadmin_url = '{admin_url}'\nresync_seconds = 1\n{}",
            self.text(&format!("{directory}/data")),
            self.uplink("responder")
        );
        Outrider::start_as("responder", &self.path(directory), &toml)
    }
}

pub fn lines(count: usize) -> Vec<String> {
    (0..count).map(|at| line("alice", "GET", &format!("/shop/items/{at}"), 200, now_ms())).collect()
}

/// Exactly so many calls come to be there, and no more.
pub fn assert_calls(platform: &Outrider, calls: u64) {
    platform.await_calls(calls);
    assert_eq!(platform.get("/api/v1/status")["platform"]["progress"]["calls"], calls);
}

/// Waits until the collector has all of these on its disk or beyond.
pub fn await_accepted(collector: &Outrider, calls: u64) {
    // A spool has no API; the records of a torn write would be cut off, so its size says enough.
    let spool = collector.data_dir.join("spool");
    wait_for(&format!("{calls} calls in the spool"), || {
        let files = std::fs::read_dir(&spool).ok()?;
        let bytes: Vec<u8> = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap_or_default()).collect();
        let found = bytes.windows(11).filter(|window| window == b"/shop/items").count() as u64;
        (found >= calls).then_some(())
    });
}

/// A stop of the collector under load, with the platform away.
#[test]
fn what_was_sent_before_a_collector_stops_is_shipped_after_the_start() {
    const LINES: usize = 2_000;
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    site.identity("collector");
    platform.stop();
    let collector = site.collector();
    collector.send(&lines(LINES));
    collector.stop();
    let collector = site.collector();
    let platform = site.platform();
    assert_calls(&platform, LINES as u64);
    let log = platform.data_dir.join("log");
    collector.stop();
    platform.stop();
    assert_eq!(gaps(&log), []);
}

#[test]
fn calls_survive_kills_of_collector_and_platform_and_count_once() {
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    site.identity("collector");
    let collector = site.collector();
    collector.send(&lines(5));
    assert_calls(&platform, 5);

    // The platform is away: calls wait in the spool, across a kill of the collector.
    platform.kill();
    collector.send(&lines(7));
    await_accepted(&collector, 12);
    collector.kill();
    let collector = site.collector();
    collector.await_words("not taken; it waits");
    collector.send(&lines(3));
    let platform = site.platform();
    assert_calls(&platform, 15);
    wait_for("the gap that the kill left", || {
        let notices = platform.list("/api/v1/notices?state=open");
        notices.iter().any(|notice| notice["kind"] == "calls_lost").then_some(())
    });

    // All of it once more: the platform knows it.
    collector.stop();
    std::fs::remove_file(site.path("collector/data/shipped")).unwrap();
    let collector = site.collector();
    wait_for("duplicates", || {
        let log = platform.get("/api/v1/status")["platform"]["log"].clone();
        (log["duplicate_batches"].as_u64()? > 0).then_some(())
    });
    collector.send(&lines(1));
    assert_calls(&platform, 16);

    let services = platform.get("/api/v1/status")["services"].clone();
    assert_eq!(
        (&services[0]["name"], &services[0]["version"]),
        (&json!("collector"), &json!(env!("CARGO_PKG_VERSION")))
    );
    collector.stop();
    platform.stop();
}

#[test]
fn tokens_and_certificates_change_under_way_and_nothing_is_lost() {
    let site = Site::new();
    site.trust("ca");
    let (certificate, key) = (site.path("ca/127.0.0.1.pem"), site.path("ca/127.0.0.1.key"));
    let good = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());
    write_expired(&site.path("ca"), &certificate, &key);
    let platform = site.platform();
    site.identity("collector");

    let collector = site.collector();
    collector.send(&lines(2));
    collector.await_words("expired");
    std::fs::write(&key, good.1).unwrap();
    std::fs::write(&certificate, good.0).unwrap();
    platform.signal("-HUP");
    assert_calls(&platform, 2);

    // Another authority on both sides; clients keep theirs.
    site.authority("ca-2");
    std::fs::copy(site.path("ca-2/127.0.0.1.key"), &key).unwrap();
    std::fs::copy(site.path("ca-2/127.0.0.1.pem"), &certificate).unwrap();
    platform.signal("-HUP");
    wait_for("the second new certificate", || (platform.said("a new certificate is in force") == 2).then_some(()));
    site.trust("ca-2");
    collector.send(&lines(2));
    assert_calls(&platform, 4);

    site.revoke("collector");
    collector.send(&lines(3));
    collector
        .await_words("collected calls: not taken; it waits and is tried again why=\"the platform refuses with 401");
    assert_calls(&platform, 4);
    site.identity("collector");
    assert_calls(&platform, 7);
    collector.stop();
    platform.stop();
}

/// A certificate that was good for years, and no longer.
pub fn write_expired(ca: &Path, certificate: &Path, key: &Path) {
    let read = |name: &str| std::fs::read_to_string(ca.join(name)).unwrap();
    let issuer = rcgen::KeyPair::from_pem(&read("ca.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.pem"), issuer).unwrap();
    let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let own = rcgen::KeyPair::generate().unwrap();
    std::fs::write(certificate, params.signed_by(&own, &issuer).unwrap().pem()).unwrap();
    std::fs::write(key, own.serialize_pem()).unwrap();
}

pub fn act(platform: &Outrider, consumer: &str, duration: &str) -> String {
    let body = json!({
        "target": {"kind": "consumer", "gateway": "kong", "value": consumer}, "duration": duration, "reason": "a test"
    });
    let (status, action) = platform.request("POST", "/api/v1/actions", Some(&body));
    assert!(matches!(status, 200 | 201), "{status} {action}");
    action["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_responder_takes_another_configuration_and_keeps_what_it_holds() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let alice = runtime.block_on(admin.consumer("alice", "key-alice")).unwrap();
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    site.identity("responder");
    let responder = site.responder("responder", &format!("http://{}", practice.admin_address()));
    let state = |id: &str| platform.get(&format!("/api/v1/actions/{id}"))["state"].clone();
    let id = act(&platform, &alice, "1h");
    wait_for("the block", || (state(&id) == "stored").then_some(()));
    let configured = || platform.request("GET", "/api/v1/gateways/kong/configuration", None).1.to_string();
    wait_for("the consumer's name", || configured().contains("\"alice\"").then_some(()));

    let text = std::fs::read_to_string(responder.config_path()).unwrap();
    let reload = |text: &str, words: &str| {
        std::fs::write(responder.config_path(), text).unwrap();
        responder.signal("-HUP");
        responder.await_words(words);
    };
    reload(&text.replace("resync_seconds", "resync_secnds"), "did you mean `resync_seconds`?");
    // It needs the collector's key, and goes on with what was in force until it has that.
    let hidden = format!("pseudonymise = ['consumer_username']\n{text}");
    reload(&hidden, "needs the key of the collector");
    assert_eq!(responder.said("the configuration was reloaded"), 0);
    let key = responder.data_dir.join("pseudonym.key");
    std::fs::write(&key, "a".repeat(64)).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    reload(&hidden, "the configuration was reloaded");
    wait_for("a pseudonym in its place", || (!configured().contains("\"alice\"")).then_some(()));
    assert!(configured().contains("ps_"));

    assert_eq!(state(&id), "stored", "what it holds stays");
    let release = json!({"reason": "enough"});
    assert_eq!(platform.request("POST", &format!("/api/v1/actions/{id}/release"), Some(&release)).0, 200);
    wait_for("the release", || (state(&id) == "released").then_some(()));
    responder.stop();
    platform.stop();
    runtime.block_on(practice.stop());
}

#[test]
fn a_responder_works_on_alone_and_another_takes_over_without_its_disk() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let alice = runtime.block_on(admin.consumer("alice", "key-alice")).unwrap();
    let bob = runtime.block_on(admin.consumer("bob", "key-bob")).unwrap();
    let plugins = || -> Vec<Value> {
        let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
        plugins["data"].as_array().unwrap().clone()
    };
    let admin_url = format!("http://{}", practice.admin_address());
    let site = Site::new();
    site.trust("ca");
    let platform = site.platform();
    site.identity("responder");
    let responder = site.responder("responder", &admin_url);
    let state = |platform: &Outrider, id: &str| platform.get(&format!("/api/v1/actions/{id}"))["state"].clone();

    let id = act(&platform, &alice, "5s");
    wait_for("the block in the books", || (state(&platform, &id) == "stored").then_some(()));
    wait_for("the gateway's configuration", || (!platform.list("/api/v1/gateways").is_empty()).then_some(()));
    platform.kill();
    responder.await_words("not taken; it waits");
    wait_for("the end of the block while the platform is away", || plugins().is_empty().then_some(()));
    let platform = site.platform();
    wait_for("its release in the books", || (state(&platform, &id) == "released").then_some(()));

    let id = act(&platform, &bob, "1h");
    wait_for("the next block", || (state(&platform, &id) == "stored").then_some(()));
    let second = site.responder("second", &admin_url);
    second.await_words("is held by responder `responder`");
    let data_dir = responder.kill();
    std::fs::remove_dir_all(data_dir).unwrap();
    assert_eq!(plugins().len(), 1, "what is at the gateway stays");
    // The second never saw the first one's disk. It takes over when the identity of the first is replaced; without that,
    // when the first was silent for long enough.
    site.revoke("responder");
    platform.signal("-HUP");
    platform.await_words("the configuration was reloaded");
    site.identity("responder");
    let release = json!({"reason": "enough"});
    assert_eq!(platform.request("POST", &format!("/api/v1/actions/{id}/release"), Some(&release)).0, 200);
    wait_for("the release by the second", || (state(&platform, &id) == "released").then_some(()));
    assert!(plugins().is_empty());

    site.revoke("responder");
    second.await_words(
        "the question for what is desired: not taken; it waits and is tried again why=\"the platform refuses with 401",
    );
    second.stop();
    platform.stop();
    runtime.block_on(practice.stop());
}

#[test]
fn each_service_says_what_it_lacks_or_does_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let uplink = "[platform]\nurl = 'https://x.example'\ntoken_file = 'nowhere'\n";
    let source = "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'kong'\nlisten = '127.0.0.1:0'\n";
    let gateway = "[[gateways]]\nname = 'kong'\nadmin_url = 'http://127.0.0.1:1'\n";
    let cases = [
        ("collector", source.to_owned(), "needs a section [platform]"),
        ("collector", format!("{source}{uplink}"), "outrider service create"),
        ("collector", format!("{source}{gateway}{uplink}"), "does not read the section `gateways`"),
        ("responder", format!("{gateway}{uplink}{source}"), "does not read the section `collector`"),
        ("platform", String::new(), "needs a section [premises]"),
        ("run", uplink.to_owned(), "which is for `outrider function` or `outrider collector` or `outrider responder`"),
    ];
    for (service, toml, words) in cases {
        let path = directory.path().join("outrider.toml");
        std::fs::write(&path, format!("data_dir = '{}/data'\n{toml}", directory.path().display())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        let output = command.args([service, "--config"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{service} {toml}: {said}");
    }
}

#[test]
fn an_authority_overwrites_nothing_and_keeps_its_keys_to_itself() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let refused = |arguments: &[&str], words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_outrider")).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    };
    let ca = site.text("ca");
    for key in ["ca.key", "127.0.0.1.key", "edge.key"] {
        let mode = std::fs::metadata(site.path("ca").join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    refused(&["ca", "init", "--dir", &ca], "nothing is overwritten");
    refused(&["ca", "issue", "--dir", &ca, "--out", &ca, "edge"], "nothing is overwritten");
    refused(&["ca", "issue", "--dir", &ca, "--out", &ca, "a/b"], "no host name");
    refused(&["ca", "issue", "--dir", &site.text("none"), "x"], "outrider ca init");
    outrider(&["ca", "init", "--dir", &site.text("short"), "--days", "30"]);
    refused(&["ca", "issue", "--dir", &site.text("short"), "x"], "ask for no more with --days");
}
