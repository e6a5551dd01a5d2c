//! Writes `data/layout-2.tar.gz`: whoever changes a format runs this once more before, at the version that is left behind.
//!
//! ```sh
//! cargo nextest run --release -p outrider --run-ignored only -E 'test(write_a_fixture)'
//! ```
//!
//! Forty minutes pass on a clock of the test's own, so that there is history; then real processes go on with the directory,
//! and are killed. What the fixture is known by goes to standard output, for the constants of the tests.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use outrider_collect::{Normaliser, NormaliserSettings, PseudonymKey, Scratch};
use outrider_lake::Location;
use outrider_model::batch::BatchWriter;
use outrider_platform::analysis::AnalysisSettings;
use outrider_platform::ingest::Ingest;
use outrider_platform::log::LogSettings;
use outrider_platform::passwords::{Password, Passwords};
use outrider_platform::service::{LakeSettings, Platform, PlatformSettings};
use outrider_platform::store::{NewPerson, Role};
use outrider_practice::{Practice, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, line, now_ms, wait_for};
use crate::services::outrider;

pub const INSTALLATION: &str = "5eed0f1ace000002";
/// Somebody who may sign in, and with what.
pub const PERSON: &str = "anna";
pub const PASSWORD: &str = "a password of the fixture";
/// Calls that the collector has not shipped.
pub const IN_SPOOL: usize = 20;
const MINUTE_MS: i64 = 60_000;

static CLOCK_MS: AtomicI64 = AtomicI64::new(0);

fn clock() -> i64 {
    CLOCK_MS.load(Ordering::SeqCst)
}

/// What the policy of the fixture says: a block that no clock ends.
pub fn policy() -> &'static str {
    "[[policies]]\nname = 'block'\nrespond = { kind = 'block' }\nduration = 'permanent'\nmode = 'enforce'\n\
     when = { detectors = ['request_spike'] }\n[premises]\nlisten = '127.0.0.1:PORT'\ngateways = ['edge']\n"
}

/// The id of a consumer, in the form of Kong's.
pub fn consumer(number: usize) -> String {
    format!("0c000000-0000-4000-8000-00000000000{number}")
}

/// A platform of this process, on a clock of the test's own, and a source that hands it lines.
pub struct Past {
    pub platform: Platform,
    ingest: Ingest,
    normaliser: Normaliser,
    calls: u64,
}

impl Past {
    /// Goes on with a directory, or begins one.
    pub async fn start(data_dir: &Path, policies: bool, at_ms: i64) -> Past {
        CLOCK_MS.store(at_ms, Ordering::SeqCst);
        let mut analysis = AnalysisSettings::default();
        if policies {
            let text =
                json!({"name": "block", "respond": {"kind": "block"}, "duration": "permanent", "mode": "enforce"});
            analysis.policies.push(serde_json::from_value(text).unwrap());
        }
        let settings = PlatformSettings {
            data_dir: data_dir.to_owned(),
            installation: INSTALLATION.to_owned(),
            gateways: vec!["kong".to_owned(), "edge".to_owned()],
            analysis,
            // Small segments, so that the log is cut.
            log: LogSettings { segment_bytes_max: 16 * 1024, ..LogSettings::default() },
            // Few commits, and some of them between two snapshots, so that the log is cut.
            lake_location: Location::from(&data_dir.join("lake")),
            lake: Some(LakeSettings { commit_interval: Duration::from_millis(200), ..LakeSettings::default() }),
            snapshot_interval: Duration::from_millis(50),
            notify: Vec::new(),
        };
        let platform = Platform::start(settings, clock).await.unwrap();
        platform.caught_up().await;
        let key = PseudonymKey::load_or_create(&data_dir.join("pseudonym.key")).unwrap();
        let normaliser = Normaliser::new(NormaliserSettings::new("kong"), key).unwrap();
        let (calls, ingest) = (platform.status().progress().calls, platform.ingest(at_ms.cast_unsigned()));
        Past { platform, ingest, normaliser, calls }
    }

    /// A minute of the clock in which eight consumers call now and then, and one of them maybe very often.
    pub async fn minute(&mut self, wild: Option<usize>) {
        let begin_ms = clock();
        let mut calls: Vec<(i64, usize)> = (0..8)
            .flat_map(|who| (0..6 + who).map(move |at| (begin_ms + at as i64 * 4000 + who as i64, who)))
            .collect();
        calls.extend(wild.into_iter().flat_map(|who| (0..500).map(move |at| (begin_ms + at * 100, who))));
        calls.sort_unstable();
        let (mut batch, mut scratch) = (BatchWriter::default(), Scratch::default());
        for (at_ms, who) in &calls {
            let name = format!("consumer-{who}");
            let text = line(&name, "GET", &format!("/shop/items/{}", at_ms % 5000), 200, *at_ms);
            let text = text.replace(&format!("id-{name}"), &consumer(*who));
            let call = self.normaliser.normalise(text.as_bytes(), Some(*at_ms), &mut scratch).unwrap();
            batch.push(&call).unwrap();
        }
        self.calls += calls.len() as u64;
        self.ingest.accept(batch.take(), calls.len() as u32, calls.last().unwrap().0);
        CLOCK_MS.store(begin_ms + MINUTE_MS, Ordering::SeqCst);
        wait_for("the minute's calls", || (self.platform.status().progress().calls >= self.calls).then_some(()));
    }
}

/// Forty minutes: history, a spike, an alert, a block that is due, and a person.
async fn write_the_past(data_dir: &Path) {
    let mut past = Past::start(data_dir, true, now_ms() - 45 * MINUTE_MS).await;
    for minute in 0..40 {
        past.minute((minute == 25).then_some(3)).await;
    }
    let person = NewPerson { name: PERSON.to_owned(), display_name: "Anna".to_owned(), role: Role::Analyst };
    let hash = Passwords::default().hash(Password::from(PASSWORD.to_owned())).await.unwrap();
    past.platform.store().create_person(&person, &hash, "the fixture", clock()).await.unwrap();
    past.platform.stop().await;
}

#[test]
#[ignore = "writes the fixture anew, with other ids"]
fn write_a_fixture() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("installation"), INSTALLATION).unwrap();
    runtime.block_on(write_the_past(&data));

    // The gateway gets the block, and the responder keeps what it has to.
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let body = json!({"username": "consumer-3"});
    let path = format!("/consumers/{}", consumer(3));
    runtime.block_on(practice.admin().request("PUT", &path, Some(&body))).unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        more_at_end: policy().replace("PORT", "0"),
        ..Setup::default()
    };
    let running = Outrider::start(directory.path(), &setup);
    let action = wait_for("the block at the gateway", || running.list("/api/v1/actions?state=stored").pop());
    let (alert, config) =
        (running.list("/api/v1/alerts").remove(0), running.config_path().to_str().unwrap().to_owned());
    let collector = directory.path().join("collector");
    std::fs::create_dir(&collector).unwrap();
    let create = ["service", "create", "edge", "--kind", "collector", "--gateway", "edge", "--config", &config];
    std::fs::write(collector.join("token"), outrider(&create)).unwrap();
    running.kill();

    // A collector whose platform is away.
    let spooling = Outrider::start_as("collector", &collector, &collector_toml(&collector, 9));
    let calls: Vec<_> = (0..IN_SPOOL).map(|at| line("alice", "GET", &format!("/shop/{at}"), 200, now_ms())).collect();
    spooling.send(&calls);
    wait_for("the calls in the spool", || {
        let mut status = String::new();
        UnixStream::connect(spooling.data_dir.join("local.sock")).ok()?.read_to_string(&mut status).ok()?;
        let status: Value = serde_json::from_str(&status).unwrap();
        (status["sources"][0]["counters"]["accepted"] == IN_SPOOL).then_some(())
    });
    spooling.kill();
    runtime.block_on(practice.stop());

    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layout-2.tar.gz");
    let encoder = flate2::write::GzEncoder::new(std::fs::File::create(&to).unwrap(), flate2::Compression::best());
    let mut archive = tar::Builder::new(encoder);
    // Sockets are no files.
    for data_dir in ["data", "collector/data"] {
        std::fs::remove_file(directory.path().join(data_dir).join("local.sock")).unwrap();
    }
    for name in ["data", "token", "collector"] {
        let path = directory.path().join(name);
        if path.is_dir() { archive.append_dir_all(name, path) } else { archive.append_path_with_name(path, name) }
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    println!("{}: alert {}, action {}, written {}", to.display(), alert["id"], action["id"], now_ms());
}

/// A collector in a directory, and the port of its platform.
pub fn collector_toml(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!(
        "data_dir = '{directory}/data'\n[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'edge'\n\
         listen = '127.0.0.1:0'\n[platform]\nurl = 'http://127.0.0.1:{port}'\ntoken_file = '{directory}/token'\n"
    )
}
