//! The audit log's chain: redo adds nothing twice, forgetting keeps it whole, and what was tampered with is found.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod fixtures;

use std::path::{Path, PathBuf};

use fixtures::audit;
use outrider_model::AuditEntry;
use outrider_platform::log::Position;
use outrider_platform::store::{AuditCheck, AuditFilter, AuditLog, AuditMark, EffectBatch, Role, Store, StoreLimits};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

fn lines(numbers: std::ops::RangeInclusive<u64>) -> EffectBatch {
    EffectBatch { audit: numbers.map(audit).collect(), ..EffectBatch::default() }
}

async fn read(store: &Store, by: &str) {
    let entry = AuditEntry {
        at_ms: 5,
        by: by.to_owned(),
        what: "read an alert".to_owned(),
        subject: "al_1".to_owned(),
        detail: String::new(),
    };
    store.note(AuditLog::Reads, &entry).await.unwrap();
}

async fn head(store: &Store) -> AuditMark {
    match store.verify_audit(None).await.unwrap() {
        AuditCheck::Whole { head, .. } => head,
        broken @ AuditCheck::Broken { .. } => panic!("{broken:?}"),
    }
}

/// A store with ten entries: decisions 1 to 6, a token, a read, decisions 7 and 8.
async fn filled(dir: &Path) -> (Store, PathBuf) {
    let path = dir.join("control.sqlite");
    let store = Store::open(&path).await.unwrap();
    store.apply(Position(6), &lines(1..=6)).await.unwrap();
    store.create_token("root", Role::Admin, "test", 3).await.unwrap();
    read(&store, "reader").await;
    store.apply(Position(8), &lines(7..=8)).await.unwrap();
    (store, path)
}

#[tokio::test]
async fn going_through_the_log_again_adds_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = filled(dir.path()).await;
    let before = head(&store).await;
    assert_eq!(before.number, 10);
    store.apply(Position(8), &lines(1..=8)).await.unwrap();
    assert_eq!(head(&store).await, before, "a covered position");
    // After a crash stretches may be cut elsewhere: this one begins before what is stored and ends after it.
    store.apply(Position(9), &lines(5..=9)).await.unwrap();
    assert_eq!(head(&store).await.number, 11);
    store.close().await;
    let store = Store::open(&path).await.unwrap();
    assert_eq!(head(&store).await.number, 11, "opening again seals nothing anew");
    let page = store.audit(&AuditFilter::default(), 4, None).await.unwrap();
    let next = store.audit(&AuditFilter::default(), 100, page.next.as_deref()).await.unwrap();
    let numbers: Vec<_> = page.items.iter().chain(&next.items).map(|line| line.number).collect();
    assert_eq!(numbers, (1..=11).rev().collect::<Vec<_>>());
    let count = async |filter: AuditFilter| store.audit(&filter, 100, None).await.unwrap().items.len();
    assert_eq!(count(AuditFilter { log: Some(AuditLog::Decisions), ..AuditFilter::default() }).await, 9);
    assert_eq!(count(AuditFilter { by: Some("reader".to_owned()), ..AuditFilter::default() }).await, 1);
    assert_eq!(count(AuditFilter { subject: Some("al_1".to_owned()), ..AuditFilter::default() }).await, 1);
    assert_eq!(count(AuditFilter { until_ms: Some(i64::MIN), ..AuditFilter::default() }).await, 0);
    assert_eq!(count(AuditFilter { since_ms: Some(i64::MIN), ..AuditFilter::default() }).await, 11);
}

#[tokio::test]
async fn what_was_tampered_with_is_found() {
    // What is done to the file, the entry that is named, and why.
    let cases = [
        ("UPDATE trail SET by_whom = 'eve' WHERE number = 4", 4, "changed"),
        ("UPDATE trail SET at_ms = at_ms + 1 WHERE number = 1", 1, "changed"),
        ("UPDATE trail SET hash = '' WHERE number = 10", 10, "changed"),
        ("UPDATE trail SET subject = what, what = subject WHERE number = 7", 7, "changed"),
        ("DELETE FROM trail WHERE number = 5", 5, "missing"),
        ("DELETE FROM trail WHERE number = 1", 1, "missing"),
        ("DELETE FROM trail WHERE number = 10", 10, "does not end"),
        ("DELETE FROM trail", 1, "does not end"),
        ("DELETE FROM meta WHERE name = 'audit_head'", 1, "does not end"),
        (
            "INSERT INTO trail SELECT 11, NULL, at_ms, log, by_whom, what, subject, detail, hash FROM trail WHERE number = 9",
            11,
            "changed",
        ),
        ("DELETE FROM trail WHERE number = 6; UPDATE trail SET number = 6 WHERE number = 10", 6, "changed"),
    ];
    for (statement, expected, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (store, path) = filled(dir.path()).await;
        head(&store).await;
        let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        match store.verify_audit(None).await.unwrap() {
            AuditCheck::Broken { number, why } => {
                assert!(number == expected && why.contains(words), "{statement}: {number} {why}");
            }
            whole @ AuditCheck::Whole { .. } => panic!("{statement}: {whole:?}"),
        }
    }
}

#[tokio::test]
async fn a_chain_that_was_made_anew_is_not_the_known_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = filled(dir.path()).await;
    let known = head(&store).await;
    read(&store, "later").await;
    assert!(matches!(store.verify_audit(Some(&known)).await.unwrap(), AuditCheck::Whole { .. }));
    store.close().await;
    // Whoever can write to the file can have it all hashed again, here by the store itself.
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let forged = "UPDATE trail SET by_whom = 'eve' WHERE number = 4; DELETE FROM meta WHERE name = 'audit_head'";
    sqlx::raw_sql(forged).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let store = Store::open(&path).await.unwrap();
    head(&store).await;
    let check = store.verify_audit(Some(&known)).await.unwrap();
    assert!(matches!(&check, AuditCheck::Broken { number: 10, why } if why.contains("made anew")), "{check:?}");
    let ahead = AuditMark { number: 99, hash: String::new() };
    assert!(matches!(store.verify_audit(Some(&ahead)).await.unwrap(), AuditCheck::Broken { number: 99, .. }));
}

#[tokio::test]
async fn forgetting_keeps_the_chain_whole() {
    let dir = tempfile::tempdir().unwrap();
    let limits = StoreLimits { audit_max: 10, ..StoreLimits::default() };
    let store = Store::open_with(&dir.path().join("control.sqlite"), limits).await.unwrap();
    for number in 1..=100 {
        store.apply(Position(number), &lines(number..=number)).await.unwrap();
        read(&store, "anna").await;
    }
    let check = store.verify_audit(None).await.unwrap();
    let AuditCheck::Whole { after, head } = &check else { panic!("{check:?}") };
    assert!(head.number == 200 && after.number > 170, "{check:?}");
    assert_eq!(store.stats().audit_forgotten, after.number.unsigned_abs());
    let forgotten = AuditMark { number: 3, hash: String::new() };
    assert!(matches!(store.verify_audit(Some(&forgotten)).await.unwrap(), AuditCheck::Broken { number: 3, .. }));
}
