//! Who handles an alert and what people wrote about it: there over restarts, and gone with the alert.

use outrider_model::{Alert, AlertId, Command, CommandRecord, EntityKind, Subject};
use outrider_platform::service::Platform;
use outrider_platform::store::{AlertFilter, AuditFilter, AuditLog};

use crate::erasing::done;
use crate::hunts::{NOW_MS, alerts, run_due, search, send, start};
use crate::places::places_of;

const WORDS: &str = "ask zoe of billing";

async fn decide(platform: &Platform, id: &str, command: Command) {
    let record = CommandRecord { id: id.to_owned(), by: "person:anna".to_owned(), at_ms: NOW_MS, command };
    platform.commands().submit(record).await.unwrap();
}

async fn comment(platform: &Platform, alert: AlertId) {
    decide(platform, "comment", Command::CommentAlert { alert, text: WORDS.to_owned() }).await;
}

/// Who handles an alert, and who wrote what.
fn handling(alert: &Alert) -> (Option<&str>, Vec<(&str, &str)>) {
    let comments = alert.comments.iter().map(|comment| (comment.by.as_str(), comment.text.as_str()));
    (alert.assignee.as_deref(), comments.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_restarts_and_goes_with_the_alert() {
    let directory = tempfile::tempdir().unwrap();
    let mut platform = start(directory.path()).await;
    platform.store().put_hunt(&search("refused", "status:403", 20), false, "anna", NOW_MS).await.unwrap();
    send(&platform, 1, "alice", 403, 25).await;
    run_due(&platform, NOW_MS).await;
    let id = alerts(&platform).await[0].id;
    decide(&platform, "assign", Command::AssignAlert { alert: id, assignee: Some("anna".to_owned()) }).await;
    comment(&platform, id).await;
    for _ in 0..2 {
        platform.stop().await;
        platform = start(directory.path()).await;
        // The same decision again is no second comment.
        comment(&platform, id).await;
        assert_eq!(handling(&alerts(&platform).await[0]), (Some("anna"), vec![("person:anna", WORDS)]));
    }
    let filter = AlertFilter { assignee: Some("anna".to_owned()), ..AlertFilter::default() };
    assert_eq!(platform.store().alerts(&filter, 10, None).await.unwrap().items.len(), 1);
    let filter =
        AuditFilter { log: Some(AuditLog::Decisions), subject: Some(id.to_string()), ..AuditFilter::default() };
    let lines = platform.store().audit(&filter, 10, None).await.unwrap().items;
    let said: Vec<_> = lines.iter().map(|line| (line.entry.what.as_str(), line.entry.detail.as_str())).collect();
    assert_eq!(said, [("commented", ""), ("assigned", "to anna")], "the words are with the alert alone");

    assert_ne!(places_of(directory.path(), WORDS), [""; 0]);
    let alice = Subject::new(EntityKind::Consumer, "alice").unwrap();
    let asked = platform.store().ask_erasure(&alice, "root", NOW_MS).await.unwrap();
    done(&platform, &asked.id).await;
    assert!(alerts(&platform).await.is_empty());
    platform.stop().await;
    assert_eq!(places_of(directory.path(), WORDS), [""; 0]);
}
