//! The control store by what it promises: rows and position together, pages, limits, tokens, and what it says of files
//! that it cannot use.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::fixtures::{action, alert, audit, endpoint, finding, policy};
use outrider_model::{
    ActionState, AlertId, AlertState, Concern, GatewayConfiguration, GatewaySnapshot, NoticeKind, Severity,
};
use outrider_platform::log::Position;
use outrider_platform::store::{
    ActionFilter, AlertFilter, AuditFilter, CONFIGURATIONS_MAX, EffectBatch, EndpointFilter, EndpointOrder,
    FindingFilter, GapFilter, GatewayVersion, Role, Service, ServiceKind, Store, StoreError, StoreLimits, TOKENS_MAX,
    WantedToken,
};
use sqlx::Connection as _;

async fn store(dir: &Path) -> Store {
    Store::open(&dir.join("control.sqlite")).await.unwrap()
}

fn alerts(numbers: impl IntoIterator<Item = u64>, state: AlertState) -> EffectBatch {
    EffectBatch {
        alerts: numbers.into_iter().map(|number| alert(number, "alice", state)).collect(),
        ..EffectBatch::default()
    }
}

#[tokio::test]
async fn everything_comes_back_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let effects = EffectBatch {
        endpoints: vec![endpoint("/orders/{order_id}", 7)],
        findings: vec![(finding(1, "alice"), Some(AlertId(5)))],
        alerts: vec![alert(5, "alice", AlertState::Open)],
        actions: vec![action(9, "alice", ActionState::Pending)],
        policies: vec![policy("spikes")],
        audit: vec![audit(1)],
        ..EffectBatch::default()
    };
    store.apply(Position(3), &effects).await.unwrap();
    assert_eq!(store.endpoints(&EndpointFilter::default(), 10, None).await.unwrap().items, effects.endpoints);
    assert_eq!(
        store.findings(&FindingFilter::default(), 10, None).await.unwrap().items,
        [effects.findings[0].0.clone()]
    );
    assert_eq!(store.alerts(&AlertFilter::default(), 10, None).await.unwrap().items, effects.alerts);
    assert_eq!(store.actions(&ActionFilter::default(), 10, None).await.unwrap().items, effects.actions);
    assert_eq!(store.policies().await.unwrap(), effects.policies);
    assert_eq!(store.audit(&AuditFilter::default(), 10, None).await.unwrap().items[0].entry, effects.audit[0].1);
    let id = effects.alerts[0].id.to_string();
    assert_eq!(store.alert(&id).await.unwrap().as_ref(), Some(&effects.alerts[0]));
    let gone = EffectBatch { deleted_policies: vec!["spikes".to_owned()], ..EffectBatch::default() };
    store.apply(Position(4), &gone).await.unwrap();
    assert_eq!(store.policy("spikes").await.unwrap(), None);
}

#[tokio::test]
async fn rows_and_position_go_together_and_a_covered_position_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    assert_eq!(store.position().await.unwrap(), Position::ZERO);
    store.apply(Position(10), &alerts([1], AlertState::Open)).await.unwrap();
    for position in [1, 9, 10] {
        store.apply(Position(position), &alerts([1], AlertState::Resolved)).await.unwrap();
    }
    assert_eq!(store.position().await.unwrap(), Position(10));
    assert_eq!(store.alert("al_0000000000000001").await.unwrap().unwrap().state, AlertState::Open);
    assert_eq!((store.stats().applied, store.stats().repeated), (1, 3));
    store.apply(Position(11), &alerts([1], AlertState::Resolved)).await.unwrap();
    store.close().await;
    // 9 comes before 11 as a number and after it as a text.
    let store = self::store(dir.path()).await;
    assert_eq!(store.position().await.unwrap(), Position(11));
    assert_eq!(store.alert("al_0000000000000001").await.unwrap().unwrap().state, AlertState::Resolved);
}

#[tokio::test]
async fn pages_join_without_holes_or_repetitions_while_rows_come_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    // Many of the same moment, so that the id has to decide.
    let mut many = alerts(1..=100, AlertState::Open);
    many.alerts.iter_mut().for_each(|alert| alert.opened_ms = (alert.id.0 / 30) as i64);
    store.apply(Position(1), &many).await.unwrap();
    for limit in [1, 7, 100, 500] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.alerts(&AlertFilter::default(), limit, cursor.as_deref()).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            seen.extend(page.items.into_iter().map(|alert| alert.id));
            let position = store.position().await.unwrap().next();
            store.apply(position, &alerts([1000 + position.0], AlertState::Open)).await.unwrap();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let old: BTreeSet<_> = seen.iter().filter(|id| id.0 <= 100).collect();
        assert_eq!(old.len(), 100, "limit {limit}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "limit {limit}");
    }
    for cursor in ["", "x", "1", "x.al_1", "';--"] {
        let error = store.alerts(&AlertFilter::default(), 5, Some(cursor)).await.unwrap_err();
        assert!(matches!(error, StoreError::Cursor(_)), "{cursor}: {error}");
        let audit = store.audit(&AuditFilter::default(), 5, Some(cursor)).await;
        assert_eq!(matches!(audit, Err(StoreError::Cursor(_))), cursor != "1", "{cursor}");
    }
}

#[tokio::test]
async fn filters_find_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let effects = EffectBatch {
        alerts: vec![
            alert(1, "alice", AlertState::Open),
            alert(2, "bob", AlertState::Resolved),
            alert(4, "alice", AlertState::Acknowledged),
        ],
        actions: vec![action(1, "alice", ActionState::Pending), action(2, "bob", ActionState::Released)],
        endpoints: vec![endpoint("/a_b", 3), endpoint("/aXb", 9), endpoint("/100%", 1)],
        findings: vec![(finding(1, "alice"), Some(AlertId(1))), (finding(2, "bob"), None)],
        ..EffectBatch::default()
    };
    store.apply(Position(1), &effects).await.unwrap();
    let check = async |filter: AlertFilter, expected: &[u64]| {
        let items = store.alerts(&filter, 10, None).await.unwrap().items;
        assert_eq!(items.iter().map(|alert| alert.id.0).collect::<Vec<_>>(), expected, "{filter:?}");
    };
    let all = AlertFilter::default;
    check(AlertFilter { states: vec![AlertState::Open, AlertState::Resolved], ..all() }, &[2, 1]).await;
    check(AlertFilter { severity_min: Some(Severity::High), ..all() }, &[4, 2]).await;
    check(AlertFilter { entity: Some("alice".to_owned()), ..all() }, &[4, 1]).await;
    check(AlertFilter { entity: Some("id-of-bob".to_owned()), ..all() }, &[2]).await;
    check(AlertFilter { detector: Some("other".to_owned()), ..all() }, &[]).await;
    check(AlertFilter { service: Some("orders".to_owned()), entity: Some("x' OR 1=1 --".to_owned()), ..all() }, &[])
        .await;
    let filter = ActionFilter { states: vec![ActionState::Released], ..ActionFilter::default() };
    assert_eq!(store.actions(&filter, 10, None).await.unwrap().items[0].target.label, "bob");
    for (text, expected) in [("a_b", vec!["/a_b"]), ("%", vec!["/100%"]), ("b", vec!["/aXb", "/a_b"])] {
        let order = EndpointOrder::Calls;
        let filter = EndpointFilter { contains: Some(text.to_owned()), order, ..EndpointFilter::default() };
        let found = store.endpoints(&filter, 10, None).await.unwrap().items;
        assert_eq!(found.iter().map(|endpoint| endpoint.key.template.as_str()).collect::<Vec<_>>(), expected);
    }
    let filter = FindingFilter { alert: Some(AlertId(1).to_string()), ..FindingFilter::default() };
    assert_eq!(store.findings(&filter, 10, None).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_gateways_configuration_is_a_new_version_only_when_it_differs() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut position = 0;
    let mut apply = async |gateway: &str, taken_ms: i64, version: &str| {
        let configuration = GatewayConfiguration { version: version.to_owned(), ..GatewayConfiguration::default() };
        let snapshot = GatewaySnapshot { gateway: gateway.to_owned(), taken_ms, configuration };
        position += 1;
        let effects = EffectBatch { configurations: vec![snapshot], ..EffectBatch::default() };
        store.apply(Position(position), &effects).await.unwrap();
    };
    for (gateway, taken_ms, version) in
        [("b", 1, "3.8"), ("b", 2, "3.8"), ("a", 3, "3.8"), ("b", 4, "3.9"), ("b", 5, "3.8"), ("b", 6, "3.8")]
    {
        apply(gateway, taken_ms, version).await;
    }
    let taken = |versions: &[GatewayVersion]| versions.iter().map(|version| version.taken_ms).collect::<Vec<_>>();
    assert_eq!(taken(&store.gateway("b").await.unwrap().unwrap().versions), [5, 4, 1]);
    let gateways = store.gateways().await.unwrap();
    let newest = gateways.iter().map(|row| (row.gateway.as_str(), row.newest.taken_ms)).collect::<Vec<_>>();
    assert_eq!(newest, [("a", 3), ("b", 5)]);
    let second = store.gateway("b").await.unwrap().unwrap().versions[1].number;
    for (number, taken_ms) in [(None, Some(5)), (Some(second), Some(4)), (Some(second + 100), None)] {
        let found = store.gateway_configuration("b", number).await.unwrap();
        assert_eq!(found.map(|snapshot| snapshot.taken_ms), taken_ms, "{number:?}");
    }
    for taken_ms in 10..200 {
        apply("b", taken_ms, &taken_ms.to_string()).await;
    }
    let kept = taken(&store.gateway("b").await.unwrap().unwrap().versions);
    assert_eq!((kept.len(), kept[0]), (CONFIGURATIONS_MAX as usize, 199));
    assert_eq!(taken(&store.gateway("a").await.unwrap().unwrap().versions), [3], "others keep theirs");
    assert!(store.gateway("c").await.unwrap().is_none());
}

#[tokio::test]
async fn routes_are_as_they_are_since_they_changed_last_whatever_else_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    assert_eq!(store.routes_since_ms("b").await.unwrap(), None);
    for (number, (gateway, version, routes, since_ms)) in [
        ("b", "3.8", vec!["r1"], 1),
        ("b", "3.9", vec!["r1"], 1),
        ("a", "3.9", vec!["r2"], 3),
        ("b", "3.8", vec!["r1", "r2"], 4),
        ("b", "3.8", vec!["r1", "r2"], 4),
        ("b", "3.9", vec!["r1", "r2"], 4),
        ("b", "3.9", vec!["r1"], 7),
    ]
    .into_iter()
    .enumerate()
    {
        let route = |id: &&str| {
            serde_json::json!({
                "id": id, "protocols": [], "methods": [], "hosts": [], "paths": ["/"], "header_names": [], "tags": [],
            })
        };
        let routes: Vec<serde_json::Value> = routes.iter().map(route).collect();
        let configuration: GatewayConfiguration =
            serde_json::from_value(serde_json::json!({"version": version, "routes": routes})).unwrap();
        let taken_ms = 1 + number as i64;
        let snapshot = GatewaySnapshot { gateway: gateway.to_owned(), taken_ms, configuration };
        let effects = EffectBatch { configurations: vec![snapshot], ..EffectBatch::default() };
        store.apply(Position(1 + number as u64), &effects).await.unwrap();
        assert_eq!(store.routes_since_ms(gateway).await.unwrap(), Some(since_ms), "{number}");
    }
}

#[tokio::test]
async fn beyond_its_limits_the_store_forgets_the_oldest_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let limits = StoreLimits { findings_max: 10, closed_alerts_max: 10, ended_actions_max: 10, audit_max: 10 };
    let store = Store::open_with(&dir.path().join("control.sqlite"), limits).await.unwrap();
    for number in 1..=200u64 {
        let effects = EffectBatch {
            findings: vec![(finding(number, "alice"), None)],
            alerts: vec![alert(number, "alice", if number <= 5 { AlertState::Open } else { AlertState::Resolved })],
            actions: vec![action(
                number,
                "alice",
                if number <= 5 { ActionState::InForce } else { ActionState::Released },
            )],
            audit: vec![audit(number)],
            ..EffectBatch::default()
        };
        store.apply(Position(number), &effects).await.unwrap();
    }
    let findings = store.findings(&FindingFilter::default(), 500, None).await.unwrap().items;
    assert!((10..=13).contains(&findings.len()), "{}", findings.len());
    assert_eq!(findings[0].id.0, 200);
    let alerts = store.alerts(&AlertFilter::default(), 500, None).await.unwrap().items;
    assert!((15..=18).contains(&alerts.len()), "{}", alerts.len());
    assert_eq!(alerts.iter().filter(|alert| alert.state == AlertState::Open).count(), 5, "live ones stay");
    let actions = store.actions(&ActionFilter::default(), 500, None).await.unwrap().items;
    assert!((15..=18).contains(&actions.len()));
    assert!(store.audit(&AuditFilter::default(), 500, None).await.unwrap().items.len() <= 13);
    let stats = store.stats();
    assert_eq!(stats.findings_forgotten, 200 - findings.len() as u64);
    assert_eq!(stats.alerts_forgotten, 200 - alerts.len() as u64);
    assert_eq!(stats.actions_forgotten, 200 - actions.len() as u64);
    assert!(stats.audit_forgotten >= 187);
}

#[tokio::test]
async fn a_token_works_until_it_is_revoked_and_is_stored_as_a_hash() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let token = store.create_token("alice", Role::Analyst, "root", 5).await.unwrap();
    store.create_token("root", Role::Admin, "root", 5).await.unwrap();
    assert!(token.reveal().len() > 64 && !format!("{token:?}").contains(token.reveal()));
    let who = store.authenticate(token.reveal(), 120_500).await.unwrap().unwrap();
    assert_eq!((who.name.as_str(), who.role), ("alice", Role::Analyst));
    for wrong in ["", "x", &token.reveal()[1..], &token.reveal().to_uppercase()] {
        assert_eq!(store.authenticate(wrong, 0).await.unwrap(), None);
    }
    let row = &store.tokens().await.unwrap()[0];
    assert_eq!((row.created_ms, row.last_used_ms, row.revoked_ms), (5, Some(120_000), None));
    assert!(matches!(store.create_token("alice", Role::Viewer, "root", 6).await, Err(StoreError::TokenExists(_))));
    store.revoke_token("alice", "root", 7).await.unwrap();
    assert_eq!(store.authenticate(token.reveal(), 8).await.unwrap(), None);
    assert!(matches!(store.revoke_token("alice", "root", 9).await, Err(StoreError::TokenMissing(_))));
    assert!(matches!(store.revoke_token("root", "root", 9).await, Err(StoreError::LastAdmin(_))));
    let again = store.create_token("alice", Role::Viewer, "root", 10).await.unwrap();
    assert_eq!(store.authenticate(token.reveal(), 11).await.unwrap(), None, "the old token stays dead");
    assert_eq!(store.authenticate(again.reveal(), 11).await.unwrap().unwrap().role, Role::Viewer);
    for name in ["", "a b", "ä", &"x".repeat(65)] {
        assert!(matches!(store.create_token(name, Role::Viewer, "root", 0).await, Err(StoreError::TokenName(_))));
    }
    let lines = store.audit(&AuditFilter::default(), 10, None).await.unwrap().items;
    let said: Vec<_> = lines.iter().map(|line| (line.entry.what.as_str(), line.entry.subject.as_str())).collect();
    assert_eq!(
        said,
        [
            ("created viewer token", "alice"),
            ("revoked token", "alice"),
            ("created admin token", "root"),
            ("created analyst token", "alice"),
        ]
    );
    store.close().await;
    let bytes = std::fs::read(dir.path().join("control.sqlite")).unwrap();
    let mode = std::fs::metadata(dir.path().join("control.sqlite")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = token.reveal().as_bytes();
    assert!(!bytes.windows(secret.len()).any(|window| window == secret));
}

#[tokio::test]
async fn a_token_with_an_end_works_until_then_and_is_not_counted_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let wanted = |name: &str, expires_ms| WantedToken {
        name: name.to_owned(),
        role: Role::Admin,
        description: "nightly export".to_owned(),
        expires_ms,
        gateways: Vec::new(),
    };
    let token = store.make_token(&wanted("ci", Some(100)), "root", 5).await.unwrap();
    assert!(store.authenticate(token.reveal(), 99).await.unwrap().is_some());
    assert!(store.authenticate(token.reveal(), 100).await.unwrap().is_none());
    let row = &store.tokens().await.unwrap()[0];
    assert_eq!((row.expires_ms, row.description.as_str()), (Some(100), "nightly export"));
    let again = store.make_token(&wanted("ci", Some(100)), "root", 99).await;
    assert!(matches!(again, Err(StoreError::TokenExists(_))), "it is still good");
    let past = store.make_token(&wanted("late", Some(5)), "root", 5).await;
    assert!(matches!(past, Err(StoreError::TokenExpiry)));
    let long = WantedToken { description: "x".repeat(201), ..wanted("long", None) };
    assert!(matches!(store.make_token(&long, "root", 5).await, Err(StoreError::TokenDescription)));
    for name in ["outrider", "responder", "configuration", "nobody"] {
        let taken = store.create_token(name, Role::Viewer, "root", 5).await;
        assert!(matches!(taken, Err(StoreError::ReservedName(_))), "{name} would be taken for a part of outrider");
    }
    store.create_token("root", Role::Admin, "root", 5).await.unwrap();
    assert!(matches!(store.revoke_token("root", "root", 6).await, Err(StoreError::LastAdmin(_))));
    store.make_token(&wanted("ci", None), "root", 100).await.unwrap();
    store.revoke_token("root", "root", 101).await.unwrap();
}

#[tokio::test]
async fn the_number_of_tokens_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    for number in 0..TOKENS_MAX {
        store.create_token(&format!("t{number}"), Role::Admin, "root", 0).await.unwrap();
    }
    let error = store.create_token("more", Role::Viewer, "root", 0).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyTokens(TOKENS_MAX)), "{error}");
    store.revoke_token("t7", "root", 1).await.unwrap();
    store.create_token("more", Role::Viewer, "root", 2).await.unwrap();
    assert!(!store.tokens().await.unwrap().iter().any(|row| row.name == "t7"));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sqlite");
    let check = async |expected: &str| {
        let error = Store::open(&path).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("control.sqlite"), "{error}");
        error
    };
    std::fs::write(&path, "this is no database, whatever its name says".repeat(100)).unwrap();
    check("damaged or is no SQLite database").await;
    std::fs::remove_file(&path).unwrap();
    store(dir.path()).await.close().await;
    let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'x', 1, x'00', 1)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    check("schema 99").await;
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    check("cannot open the control store").await;
}

#[tokio::test]
async fn damage_in_the_middle_and_a_foreign_lock_are_errors_and_not_wrong_answers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sqlite");
    let store = store(dir.path()).await;
    store.apply(Position(1), &alerts(1..=200, AlertState::Open)).await.unwrap();
    // Somebody else holds the file for longer than we wait.
    let mut other = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let error = store.apply(Position(2), &alerts([1], AlertState::Resolved)).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    assert!(store.alert("al_0000000000000001").await.unwrap().is_some(), "reading goes on meanwhile");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.apply(Position(2), &alerts([1], AlertState::Resolved)).await.unwrap();
    sqlx::query("UPDATE alerts SET document = '{\"half\":' WHERE id = 'al_0000000000000007'")
        .execute(&mut other)
        .await
        .unwrap();
    other.close().await.unwrap();
    let error = store.alert("al_0000000000000007").await.unwrap_err();
    assert!(matches!(error, StoreError::Document { table: "alerts", .. }), "{error}");
    store.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[8192..middle].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let store = Store::open(&path).await;
    let read = match &store {
        Ok(store) => store.alerts(&AlertFilter::default(), 500, None).await.map(|page| page.items.len()),
        Err(error) => Err(StoreError::TokenMaking(error.to_string())),
    };
    assert!(read.is_err(), "{read:?}");
}

/// The real thing, on a file system of its own, where this machine allows it.
#[test]
fn a_full_disk_is_said_and_nothing_of_the_batch_is_kept() {
    if let Ok(dir) = std::env::var("OUTRIDER_TEST_FULL_DISK") {
        return tokio::runtime::Runtime::new().unwrap().block_on(fill_disk(Path::new(&dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    let me = std::env::current_exe().unwrap();
    let script = r#"mount -t tmpfs -o size=1m none "$1" || exit 77; exec "$2" --exact "$3" --nocapture"#;
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([dir.path().as_os_str(), me.as_os_str()])
        .arg("store::a_full_disk_is_said_and_nothing_of_the_batch_is_kept")
        .env("OUTRIDER_TEST_FULL_DISK", dir.path())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("1 passed"), "{text}");
        }
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        }
        _ => eprintln!("skipped: no file system of its own can be mounted here"),
    }
}

async fn fill_disk(dir: &Path) {
    let store = store(dir).await;
    let mut position = 0;
    let error = loop {
        let numbers = position * 20..position * 20 + 20;
        match store.apply(Position(position + 1), &alerts(numbers, AlertState::Open)).await {
            Ok(()) => position += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    assert!(position > 3, "{position}");
    assert_eq!(store.position().await.unwrap(), Position(position));
    let first_lost = AlertId(position * 20).to_string();
    assert_eq!(store.alert(&first_lost).await.unwrap(), None, "nothing of the batch is kept");
    assert!(store.alert(&AlertId(position * 20 - 1).to_string()).await.unwrap().is_some());
}

#[tokio::test]
async fn gaps_say_which_gateways_they_are_about() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let collector = Service {
        name: "edge".to_owned(),
        kind: ServiceKind::Collector,
        gateways: vec!["kong".to_owned(), "k2".to_owned()],
    };
    store.create_service(&collector, "test", 1).await.unwrap();
    let concern = |kind, subject: &str, since_ms| Concern {
        kind,
        subject: subject.to_owned(),
        since_ms,
        detail: String::new(),
        remedy: String::new(),
    };
    let concerns = [
        concern(NoticeKind::GatewaySilent, "kong", 10),
        concern(NoticeKind::CallsLost, "log", 20),
        concern(NoticeKind::CallsDropped, "edge: spool", 30),
        concern(NoticeKind::CollectorSilent, "edge", 40),
        concern(NoticeKind::CollectorSilent, "revoked and gone", 50),
        concern(NoticeKind::DiskNearlyFull, "data", 60),
    ];
    store.apply_concerns(100, &concerns).await.unwrap();
    // The first two are over.
    store.apply_concerns(200, &concerns[2..]).await.unwrap();
    let all = store.gaps(&GapFilter::default(), 10, None).await.unwrap().items;
    let said: Vec<_> = all.iter().map(|gap| (gap.since_ms, gap.until_ms, gap.gateways.join(" "))).collect();
    let of = |since_ms, until_ms, gateways: &str| (since_ms, until_ms, gateways.to_owned());
    let (both, any) = ("kong k2", "");
    assert_eq!(
        said,
        [of(50, None, any), of(40, None, both), of(30, None, both), of(20, Some(200), any), of(10, Some(200), "kong")]
    );
    for (gateway, since_ms, until_ms, expected) in [
        (Some("kong"), None, None, &[50, 40, 30, 20, 10][..]),
        (Some("k2"), None, None, &[50, 40, 30, 20]),
        (Some("other"), None, None, &[50, 20]),
        (None, Some(201), None, &[50, 40, 30]),
        (None, Some(200), Some(30), &[20, 10]),
    ] {
        let filter = GapFilter { gateway: gateway.map(str::to_owned), since_ms, until_ms };
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.gaps(&filter, 2, cursor.as_deref()).await.unwrap();
            seen.extend(page.items.iter().map(|gap| gap.since_ms));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{filter:?}");
    }
}
