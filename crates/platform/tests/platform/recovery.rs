//! Starts that find the consumers of the log at different positions.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Call, api_call};
use outrider_lake::Location;
use outrider_model::batch::BatchWriter;
use outrider_model::{AlertId, ApiCall, Command, CommandRecord, Severity};
use outrider_platform::analysis::{AnalysisSettings, SNAPSHOT_VERSION};
use outrider_platform::log::{LogSettings, Position};
use outrider_platform::notify::Destination;
use outrider_platform::service::{LakeSettings, Platform, PlatformSettings};
use outrider_platform::snapshots::Snapshots;
use outrider_platform::store::DestinationRule;
use outrider_respond::notify::{WebhookSettings, new_secret};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn settings(data_dir: &Path, has_lake: bool) -> PlatformSettings {
    PlatformSettings {
        data_dir: data_dir.to_owned(),
        installation: "test".to_owned(),
        gateways: vec!["kong".to_owned()],
        analysis: AnalysisSettings::default(),
        log: LogSettings { segment_bytes_max: 4096, ..LogSettings::default() },
        lake_location: Location::from(&data_dir.join("lake")),
        lake: has_lake.then(|| LakeSettings { commit_interval: Duration::from_millis(20), ..LakeSettings::default() }),
        snapshot_interval: Duration::from_millis(50),
        notify: Vec::new(),
    }
}

async fn send_calls(platform: &Platform, epoch: u64) {
    let mut writer = BatchWriter::default();
    for number in 0..50 {
        let path = format!("/shop/items/{number}");
        let call = Call { at_ms: now_ms(), consumer: "alice".to_owned(), path, status: 200 };
        writer.push(&api_call(&call)).unwrap();
    }
    platform.ingest(epoch).accept(writer.take(), 50, now_ms());
}

/// Decisions are records, too: with each the analysis goes on, and saves its state whenever the last one is saved.
async fn idle_until(platform: &Platform, is_enough: impl Fn(&serde_json::Value) -> bool) {
    let commands = platform.commands();
    for number in 0..20_000 {
        if is_enough(&platform.status().to_json()) {
            return;
        }
        let command = Command::ResolveAlert { alert: AlertId(1), reason: String::new() };
        let record =
            CommandRecord { id: format!("{}-{number}", now_ms()), by: "a".to_owned(), at_ms: now_ms(), command };
        commands.submit(record).await.unwrap_err();
    }
    panic!("it never came so far: {}", platform.status().to_json());
}

fn number(status: &serde_json::Value, pointer: &str) -> u64 {
    status.pointer(pointer).unwrap().as_u64().unwrap()
}

async fn calls_after_start(settings: PlatformSettings) -> u64 {
    let platform = Platform::start(settings, now_ms).await.unwrap();
    platform.caught_up().await;
    let calls = platform.status().progress().calls;
    platform.stop().await;
    calls
}

/// Calls now and then until the log was cut, then nothing but decisions until snapshots went by their number. Says how
/// many calls it made.
async fn run_and_idle(settings: &PlatformSettings) -> u64 {
    let platform = Platform::start(settings.clone(), now_ms).await.unwrap();
    let rows = if settings.lake.is_some() { "/progress/lake_rows" } else { "/progress/calls" };
    let mut calls = 0;
    while number(&platform.status().to_json(), "/log/first") == 1 {
        assert!(calls < 2000, "it is never cut: {}", platform.status().to_json());
        calls += 50;
        send_calls(&platform, calls).await;
        idle_until(&platform, |status| number(status, rows) == calls).await;
        idle_snapshots(&platform, 1).await;
    }
    idle_snapshots(&platform, 5).await;
    platform.stop().await;
    calls
}

async fn idle_snapshots(platform: &Platform, count: u32) {
    for _ in 0..count {
        let position = number(&platform.status().to_json(), "/progress/analysed_position");
        idle_until(platform, |status| number(status, "/progress/snapshot_position") > position).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_time_without_calls_keeps_no_start_from_its_state() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), true);
    let calls = run_and_idle(&settings).await;
    assert_eq!(calls_after_start(settings).await, calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_that_is_switched_on_later_or_was_removed_begins_where_the_analysis_is() {
    let directory = tempfile::tempdir().unwrap();
    let before = run_and_idle(&settings(directory.path(), false)).await;
    for _ in 0..2 {
        let platform = Platform::start(settings(directory.path(), true), now_ms).await.unwrap();
        platform.caught_up().await;
        let (calls, rows) = (platform.status().progress().calls, platform.status().progress().lake_rows);
        send_calls(&platform, calls + 1).await;
        idle_until(&platform, |status| number(status, "/progress/lake_rows") == rows + 50).await;
        platform.stop().await;
        std::fs::remove_dir_all(directory.path().join("lake")).unwrap();
    }
    assert_eq!(calls_after_start(settings(directory.path(), true)).await, before + 100);
}

/// The premises refuse such calls. Should a log hold them, it is read again at each start, and none may fail on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_times_that_no_clock_says_keep_no_start_from_its_work() {
    let directory = tempfile::tempdir().unwrap();
    // With segments that are never full, nothing of the log is cut.
    let settings = PlatformSettings { log: LogSettings::default(), ..settings(directory.path(), false) };
    let platform = Platform::start(settings.clone(), now_ms).await.unwrap();
    let now = now_ms();
    let times = [
        (i64::MIN, now, now),
        (now, now, now),
        (-1, i64::MIN, i64::MIN),
        (now, i64::MAX, i64::MAX),
        (i64::MIN, i64::MAX, i64::MIN),
        (now, now, now),
    ];
    let mut writer = BatchWriter::default();
    for (received_ms, started_ms, event_ms) in times {
        let path = "/shop/items/1".to_owned();
        let call = Call { at_ms: received_ms, consumer: "alice".to_owned(), path, status: 200 };
        writer.push(&ApiCall { started_ms, event_ms, ..api_call(&call) }).unwrap();
    }
    platform.ingest(1).accept(writer.take(), times.len() as u32, i64::MIN);
    idle_until(&platform, |status| number(status, "/progress/calls") == times.len() as u64).await;
    // Without its snapshots, a start reads all of it.
    platform.stop().await;
    for file in std::fs::read_dir(directory.path().join("snapshots")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(calls_after_start(settings).await, times.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_builds_snapshot_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), false);
    calls_after_start(settings.clone()).await;
    let snapshots = Snapshots::open(directory.path().join("snapshots")).unwrap();
    let (found, _) = snapshots.load_at_or_before(Position(u64::MAX)).unwrap();
    let (position, mut state) = found.unwrap();
    state[0] = SNAPSHOT_VERSION + 1;
    snapshots.save(position, &state, position).unwrap();
    let error = Platform::start(settings, now_ms).await.err().unwrap().to_string();
    for words in ["snapshots", "by a newer outrider", "Start the version that wrote it, or restore"] {
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_the_log_refuses_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let secret_file = directory.path().join("secret");
    std::fs::write(&secret_file, new_secret([9; 32])).unwrap();
    let to = |name: &str| {
        let url = "http://127.0.0.1:9/hook".to_owned();
        let webhook = WebhookSettings { url, secret_file: secret_file.clone(), ca_file: None, allow_plain_http: false };
        let rule = DestinationRule { name: name.to_owned(), severity_min: Severity::Info, kinds: Vec::new() };
        vec![Destination { rule, webhook }]
    };
    let mut settings = settings(directory.path(), false);
    settings.notify = to("one");
    // Four segments, and no snapshot by which one of them could go.
    settings.log.total_bytes_max = 4 * settings.log.segment_bytes_max;
    settings.snapshot_interval = Duration::from_secs(3600);
    let platform = Platform::start(settings, now_ms).await.unwrap();
    let reconfigure = |name| platform.reconfigure(AnalysisSettings::default(), to(name), now_ms());
    let mut taken = 0;
    while reconfigure("one").await.is_ok() {
        taken += 1;
        assert!(taken < 1000, "the log is never full");
    }
    let error = reconfigure("two").await.unwrap_err().to_string();
    assert!(taken > 0 && error.contains("the log holds"), "{taken}: {error}");
    let told: Vec<_> = platform.status().destinations().into_iter().map(|status| status.name).collect();
    assert_eq!(told, ["one"]);
    platform.stop().await;
}
