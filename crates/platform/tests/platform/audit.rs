//! The audit log's chains: redo adds nothing twice, forgetting keeps them whole, and what was tampered with is found.

use std::path::{Path, PathBuf};

use crate::fixtures::{alert, audit};
use outrider_model::{AlertState, AuditEntry, EntityKind, Subject};
use outrider_platform::log::Position;
use outrider_platform::passwords::{Password, Passwords};
use outrider_platform::store::{
    AuditCheck, AuditFilter, AuditLog, AuditMark, EffectBatch, ErasedSubject, NewPerson, Place, Role, Store,
    StoreLimits,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
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

/// The last entry of each log, the newest of them last.
async fn heads(store: &Store) -> Vec<AuditMark> {
    match store.verify_audit(&[]).await.unwrap() {
        AuditCheck::Whole { heads, .. } => heads,
        broken @ AuditCheck::Broken { .. } => panic!("{broken:?}"),
    }
}

async fn head(store: &Store) -> AuditMark {
    heads(store).await.pop().unwrap()
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
        ("DELETE FROM trail WHERE number = 5", 6, "missing"),
        ("DELETE FROM trail WHERE number = 1", 2, "missing"),
        ("DELETE FROM trail WHERE number = 10", 10, "does not end"),
        ("DELETE FROM trail WHERE number = 7", 7, "does not end"),
        ("DELETE FROM trail WHERE log = 'reads'", 8, "does not end"),
        ("DELETE FROM trail", 10, "does not end"),
        ("UPDATE trail SET log = 'reads' WHERE number = 4", 4, "changed"),
        ("UPDATE trail_words SET subject = 'another' WHERE number = 4", 4, "changed"),
        ("UPDATE trail_words SET salt = '' WHERE number = 8", 8, "changed"),
        ("DELETE FROM trail WHERE number = 3; INSERT INTO trail_erased VALUES (3)", 4, "missing"),
        ("INSERT INTO trail_erased VALUES (4); UPDATE trail SET by_whom = 'eve' WHERE number = 4", 4, "changed"),
        ("UPDATE trail SET log = 'none' WHERE number = 4", 4, "no such log"),
        ("DELETE FROM meta WHERE name = 'audit_chains'", 10, "does not end"),
        (
            "INSERT INTO trail SELECT 11, NULL, at_ms, log, by_whom, what, subject, detail, hash FROM trail WHERE number = 9",
            11,
            "changed",
        ),
        ("DELETE FROM trail_words WHERE number = 4", 4, "no entry says"),
        ("DELETE FROM trail_words", 1, "no entry says"),
        ("INSERT INTO trail_erased VALUES (7)", 7, "no entry says"),
        ("DELETE FROM trail WHERE number = 6; UPDATE trail SET number = 6 WHERE number = 10", 6, "changed"),
    ];
    for (statement, expected, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (store, path) = filled(dir.path()).await;
        head(&store).await;
        let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        match store.verify_audit(&[]).await.unwrap() {
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
    assert!(matches!(store.verify_audit(std::slice::from_ref(&known)).await.unwrap(), AuditCheck::Whole { .. }));
    store.close().await;
    // Whoever can write to the file can have it all hashed again, here by the store itself.
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let forged = "UPDATE trail SET by_whom = 'eve' WHERE number = 4; DELETE FROM meta WHERE name = 'audit_chains'";
    sqlx::raw_sql(forged).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let store = Store::open(&path).await.unwrap();
    head(&store).await;
    let check = store.verify_audit(std::slice::from_ref(&known)).await.unwrap();
    assert!(matches!(&check, AuditCheck::Broken { number: 10, why } if why.contains("made anew")), "{check:?}");
    let ahead = AuditMark { number: 99, hash: String::new() };
    assert!(matches!(store.verify_audit(&[ahead]).await.unwrap(), AuditCheck::Broken { number: 99, .. }));
}

#[tokio::test]
async fn each_log_forgets_its_own_and_the_chains_stay_whole() {
    let dir = tempfile::tempdir().unwrap();
    let limits = StoreLimits { audit_max: 10, ..StoreLimits::default() };
    let store = Store::open_with(&dir.path().join("control.sqlite"), limits).await.unwrap();
    let count = async |log: AuditLog| {
        let filter = AuditFilter { log: Some(log), ..AuditFilter::default() };
        store.audit(&filter, 500, None).await.unwrap().items.len()
    };
    store.apply(Position(1), &lines(1..=8)).await.unwrap();
    let old = head(&store).await;
    for position in 2..100 {
        read(&store, "anna").await;
        // Of no interest to the audit log, and when it looks after its limit.
        store.apply(Position(position), &EffectBatch::default()).await.unwrap();
    }
    assert_eq!(count(AuditLog::Decisions).await, 8, "however much is read");
    assert!((10..=20).contains(&count(AuditLog::Reads).await));
    for number in 0..100 {
        store.create_token(&format!("t{number}"), Role::Viewer, "test", number).await.unwrap();
    }
    store.apply(Position(100), &EffectBatch::default()).await.unwrap();
    assert_eq!((count(AuditLog::Decisions).await, count(AuditLog::Access).await), (8, 10));
    assert!(matches!(
        store.verify_audit(std::slice::from_ref(&old)).await.unwrap(),
        AuditCheck::Whole { first: 1, .. }
    ));
    for number in 9..=100u64 {
        store.apply(Position(100 + number), &lines(number..=number)).await.unwrap();
    }
    assert!((10..=20).contains(&count(AuditLog::Decisions).await));
    let AuditCheck::Whole { entries, first, heads, .. } = store.verify_audit(&[]).await.unwrap() else {
        panic!("broken")
    };
    assert!(entries <= 50 && first > 8 && heads.len() == 3, "{entries} {first} {heads:?}");
    assert_eq!(store.stats().audit_forgotten, 8 + 98 + 100 + 92 - entries);
    let check = store.verify_audit(&[old]).await.unwrap();
    assert!(matches!(&check, AuditCheck::Broken { number: 8, why } if why.contains("forgotten")), "{check:?}");
}

/// Words that name somebody, in each way that an entry has them, and ones that only look like it.
#[tokio::test]
async fn words_are_erased_and_the_chains_stay_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sqlite");
    let store = Store::open(&path).await.unwrap();
    let entry = |what: &str, subject: &str, detail: &str| AuditEntry {
        at_ms: 5,
        by: "root".to_owned(),
        what: what.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
    };
    let decisions = vec![
        (1, entry("ordered", "ac_1", "consumer id-of-alice: it was too much")),
        (2, entry("was refused", "block consumer id-of-alice", "no")),
        (3, entry("ordered", "ac_2", "consumer id-of-alice2")),
    ];
    let known = vec![alert(1, "alice", AlertState::Open)];
    let effects = EffectBatch { audit: decisions, alerts: known, ..EffectBatch::default() };
    store.apply(Position(1), &effects).await.unwrap();
    store.note(AuditLog::Access, &entry("was let in", "id-of-alice", "alice")).await.unwrap();
    for detail in ["kind=consumer&entity=id-of-alice", "SELECT 1 WHERE consumer_id = 'id-of-alice'", "nobody"] {
        store.note(AuditLog::Reads, &entry("asked the lake", "", detail)).await.unwrap();
    }
    let before = heads(&store).await;
    let subject = Subject::new(EntityKind::Consumer, "id-of-alice").unwrap();
    let erased = ErasedSubject { erasure: "er_1".to_owned(), subject, by: "root".to_owned(), at_ms: 7, refused: None };
    let effects = EffectBatch { erased: vec![erased], ..EffectBatch::default() };
    store.apply(Position(2), &effects).await.unwrap();
    let check = store.verify_audit(&before).await.unwrap();
    assert!(matches!(check, AuditCheck::Whole { entries: 9, erased: 4, .. }), "{check:?}");
    let lines = store.audit(&AuditFilter::default(), 100, None).await.unwrap().items;
    assert!(lines[..2].iter().all(|line| line.entry.what == "erased the words of entries"), "{lines:?}");
    let said: Vec<_> =
        lines[2..].iter().map(|line| (line.entry.subject.as_str(), line.entry.detail.as_str())).collect();
    let access = ("id-of-alice", "alice");
    let expected = [("", "nobody"), ("", ""), ("", ""), access, ("ac_2", "consumer id-of-alice2"), ("", ""), ("", "")];
    assert_eq!(said, expected);
    let receipt = store.erasure("er_1").await.unwrap().unwrap();
    assert_eq!(receipt.counted(Place::AuditLog, "entries"), Some(4));
    // A second time is none: what became known since stays.
    store.note(AuditLog::Reads, &entry("asked the lake", "", "id-of-alice")).await.unwrap();
    store.apply(Position(3), &effects).await.unwrap();
    assert_eq!(store.audit(&AuditFilter::default(), 1, None).await.unwrap().items[0].entry.detail, "id-of-alice");
    // Nobody else takes words away unnoticed, also not those that say which were erased.
    for number in [3, 8] {
        let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        let delete = sqlx::query("DELETE FROM trail_words WHERE number = $1").bind(number);
        delete.execute(&mut connection).await.unwrap();
        let check = store.verify_audit(&[]).await.unwrap();
        assert!(matches!(&check, AuditCheck::Broken { why, .. } if why.contains("no entry says")), "{check:?}");
    }
}

/// An erasure of a name that nobody bears would be a way to take the words of others.
#[tokio::test]
async fn words_stay_where_nobody_knows_who_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("control.sqlite")).await.unwrap();
    read(&store, "anna").await;
    let subject = Subject::new(EntityKind::Session, "al_1").unwrap();
    let erased = ErasedSubject { erasure: "er_1".to_owned(), subject, by: "root".to_owned(), at_ms: 7, refused: None };
    let effects = EffectBatch { erased: vec![erased], ..EffectBatch::default() };
    store.apply(Position(1), &effects).await.unwrap();
    let lines = store.audit(&AuditFilter::default(), 100, None).await.unwrap().items;
    assert_eq!((lines.len(), lines[0].entry.subject.as_str()), (1, "al_1"));
}

#[tokio::test]
async fn words_from_before_they_lay_apart_are_erased_and_their_hash_stands() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sqlite");
    Store::open(&path).await.unwrap().close().await;
    make_old(&path, 0, 6).await;
    let store = Store::open(&path).await.unwrap();
    let before = heads(&store).await;
    read(&store, "bob").await;
    let subject = Subject::new(EntityKind::Consumer, "it").unwrap();
    let erased = ErasedSubject { erasure: "er_1".to_owned(), subject, by: "root".to_owned(), at_ms: 7, refused: None };
    let mut known = alert(1, "it", AlertState::Open);
    known.entity.value = "it".to_owned();
    let effects = EffectBatch { alerts: vec![known], erased: vec![erased], ..EffectBatch::default() };
    store.apply(Position(1), &effects).await.unwrap();
    let check = store.verify_audit(&before).await.unwrap();
    assert!(matches!(check, AuditCheck::Whole { entries: 8, erased: 3, .. }), "{check:?}");
    let lines = store.audit(&AuditFilter::default(), 100, None).await.unwrap().items;
    let said: Vec<_> = lines[2..].iter().map(|line| line.entry.subject.as_str()).collect();
    assert_eq!(said, ["", "that", "", "that", "", "that"]);
    assert!(lines[2..].iter().all(|line| line.entry.what == "did"));
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::raw_sql("UPDATE trail SET by_whom = 'eve' WHERE number = 2").execute(&mut connection).await.unwrap();
    let check = store.verify_audit(&[]).await.unwrap();
    assert!(matches!(&check, AuditCheck::Broken { number: 2, .. }), "what is left of it stays guarded: {check:?}");
    sqlx::raw_sql("UPDATE trail SET hash = 'x' WHERE number = 2").execute(&mut connection).await.unwrap();
    let check = store.verify_audit(&[]).await.unwrap();
    assert!(matches!(&check, AuditCheck::Broken { number: 3, .. }), "it was made after another hash: {check:?}");
}

#[tokio::test]
async fn signing_in_and_out_again_and_again_is_noted_once_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("control.sqlite")).await.unwrap();
    let hash = Passwords::default().hash(Password::from("a long password".to_owned())).await.unwrap();
    let person = |name: &str| NewPerson { name: name.to_owned(), display_name: String::new(), role: Role::Viewer };
    for name in ["anna", "bob"] {
        store.create_person(&person(name), &hash, "test", 1).await.unwrap();
    }
    for (name, at_ms) in [("anna", 100), ("anna", 101), ("bob", 102), ("anna", 60_099), ("anna", 60_100)] {
        let session = store.start_session(name, Some(&hash), at_ms).await.unwrap().unwrap();
        store.end_session(session.reveal(), at_ms).await.unwrap();
    }
    let filter = AuditFilter { since_ms: Some(100), ..AuditFilter::default() };
    let lines = store.audit(&filter, 100, None).await.unwrap().items.into_iter().rev();
    let said: Vec<_> =
        lines.map(|line| format!("{} {} {}", line.entry.at_ms, line.entry.by, line.entry.what)).collect();
    let expected = [
        "100 person:anna signed in",
        "100 person:anna signed out",
        "102 person:bob signed in",
        "102 person:bob signed out",
        "60100 person:anna signed in",
        "60100 person:anna signed out",
    ];
    assert_eq!(said, expected);
}

/// The audit log as the version before had it: one chain of everything, its end and beginning in rows of `meta`.
async fn make_old(path: &Path, anchor: i64, kept: i64) {
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let mut hash = String::new();
    let mut old_anchor = json!({"number": 0, "hash": ""});
    for number in 1..=kept {
        let (log, decision) = if number % 2 == 0 { ("reads", None) } else { ("decisions", Some(number / 2 + 1)) };
        let subject = if number % 2 == 0 { "it" } else { "that" };
        let content = json!([number, decision, 5, log, "anna", "did", subject, ""]).to_string();
        let digest = Sha256::digest(format!("{hash}\n{content}"));
        hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if number <= anchor {
            old_anchor = json!({"number": number, "hash": hash});
            continue;
        }
        let insert = "INSERT INTO trail VALUES ($1, $2, 5, $3, 'anna', 'did', $4, '', $5)";
        let insert = sqlx::query(insert).bind(number).bind(decision).bind(log).bind(subject).bind(&hash);
        insert.execute(&mut connection).await.unwrap();
    }
    let head = json!({"number": kept, "hash": hash, "decision": (kept - 1) / 2 + 1});
    sqlx::raw_sql("DELETE FROM meta WHERE name = 'audit_chains'").execute(&mut connection).await.unwrap();
    for (name, value) in [("audit_head", head), ("audit_anchor", old_anchor)] {
        let insert = sqlx::query("INSERT INTO meta VALUES ($1, $2)").bind(name).bind(value.to_string());
        insert.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn what_an_earlier_version_wrote_stays_guarded_and_goes_with_its_decisions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sqlite");
    Store::open(&path).await.unwrap().close().await;
    make_old(&path, 4, 21).await;
    let limits = StoreLimits { audit_max: 10, ..StoreLimits::default() };
    let store = Store::open_with(&path, limits).await.unwrap();
    let known = head(&store).await;
    assert_eq!(known.number, 21, "the head that was noted before the upgrade");
    for position in 1..50 {
        read(&store, "bob").await;
        store.apply(Position(position), &EffectBatch::default()).await.unwrap();
    }
    let check = store.verify_audit(std::slice::from_ref(&known)).await.unwrap();
    assert!(matches!(check, AuditCheck::Whole { first: 5, .. }), "{check:?}");
    // Lines 1 to 11 are there already. With five more than the limit the oldest go, with the reads between them.
    store.apply(Position(50), &lines(9..=17)).await.unwrap();
    store.apply(Position(51), &lines(18..=25)).await.unwrap();
    let check = store.verify_audit(std::slice::from_ref(&known)).await.unwrap();
    assert!(matches!(check, AuditCheck::Whole { first, .. } if first > 5), "{check:?}");
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::raw_sql("DELETE FROM trail WHERE number = 20").execute(&mut connection).await.unwrap();
    let check = store.verify_audit(&[]).await.unwrap();
    assert!(matches!(&check, AuditCheck::Broken { number: 20, why } if why.contains("missing")), "{check:?}");
}
