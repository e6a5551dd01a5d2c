//! Whether everybody who is to be told is told: in order, once, whoever else fails, and after a crash.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::fixtures::{action, alert};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use outrider_model::{ActionState, ActionStep, AlertState, Concern, NoticeKind, Severity};
use outrider_platform::log::Position;
use outrider_platform::notify::{Destination, Notifier, REFUSALS_MAX};
use outrider_platform::store::{
    DestinationRule, EffectBatch, OutboxFilter, OutboxRow, OutboxRules, OutboxState, Store, WAITING_MAX,
};
use outrider_respond::notify::{MessageKind, Teller, WebhookSettings, new_secret, sign};
use tokio::sync::watch;

const KEY: [u8; 32] = [9; 32];

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Somebody who is told: answers what it is set to, and checks each signature.
#[derive(Clone)]
struct Receiver {
    taken: Arc<watch::Sender<Vec<(String, String)>>>,
    tried: Arc<watch::Sender<u32>>,
    answer: Arc<Mutex<StatusCode>>,
}

impl Receiver {
    async fn start(answer: StatusCode) -> (Receiver, String) {
        let receiver = Receiver {
            taken: Arc::new(watch::Sender::new(Vec::new())),
            tried: Arc::new(watch::Sender::new(0)),
            answer: Arc::new(Mutex::new(answer)),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    fn set(&self, answer: StatusCode) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The types of the first so many messages, when they are there.
    async fn types(&self, count: usize) -> Vec<String> {
        let mut taken = self.taken.subscribe();
        let taken = taken.wait_for(|taken| taken.len() >= count).await.unwrap().clone();
        let kind =
            |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()["type"].as_str().unwrap().to_owned();
        taken.iter().map(|(_, body)| kind(body)).collect()
    }

    async fn tries(&self, count: u32) {
        self.tried.subscribe().wait_for(|tried| *tried >= count).await.unwrap();
    }
}

async fn take(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, at_s): (_, i64) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    assert_eq!(header("webhook-signature"), sign(&KEY, &id, at_s, &body));
    assert!((now_ms() / 1000 - at_s).abs() < 60);
    let answer = *receiver.answer.lock().unwrap();
    if answer.is_success() {
        receiver.taken.send_modify(|taken| taken.push((id, body)));
    }
    receiver.tried.send_modify(|tried| *tried += 1);
    (answer, [("retry-after", "1")])
}

fn destination(directory: &Path, name: &str, url: &str) -> Destination {
    let secret_file = directory.join("secret");
    std::fs::write(&secret_file, new_secret(KEY)).unwrap();
    let webhook = WebhookSettings { url: url.to_owned(), secret_file, ca_file: None, allow_plain_http: false };
    Destination {
        rule: DestinationRule { name: name.to_owned(), severity_min: Severity::Info, kinds: Vec::new() },
        webhook,
    }
}

fn teller() -> Teller {
    Teller { installation: "test".to_owned(), evidence_age_max_ms: 600_000 }
}

fn store_path(directory: &Path) -> PathBuf {
    directory.join("control.sqlite")
}

/// An alert that was opened just now; the number says its order.
fn opened(number: u64) -> EffectBatch {
    let now_ms = now_ms();
    let mut alert = alert(number, "alice", AlertState::Open);
    (alert.opened_ms, alert.updated_ms, alert.worst.event_ms, alert.worst.raised_ms) = (now_ms, now_ms, now_ms, now_ms);
    EffectBatch { alerts: vec![alert], ..EffectBatch::default() }
}

async fn rows(store: &Store, state: OutboxState) -> Vec<OutboxRow> {
    let filter = OutboxFilter { state: Some(state), destination: None };
    store.outbox(&filter, 500, None).await.unwrap().items
}

/// Waits until a look at the store is as wanted. Whenever a message was settled the store has changed; between, other
/// tasks run.
async fn until_rows(store: &Store, state: OutboxState, count: usize) -> Vec<OutboxRow> {
    for _ in 0..100_000 {
        let found = rows(store, state).await;
        if found.len() == count {
            return found;
        }
        tokio::task::yield_now().await;
    }
    panic!("never {count} rows {state:?}: {:?}", rows(store, state).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_told_in_order_whoever_else_is_away() {
    let directory = tempfile::tempdir().unwrap();
    let (well, url) = Receiver::start(StatusCode::NO_CONTENT).await;
    let (ill, ill_url) = Receiver::start(StatusCode::SERVICE_UNAVAILABLE).await;
    let store = Store::open(&store_path(directory.path())).await.unwrap();
    let mut notifier = Notifier::new(store.clone(), now_ms);
    let both = ["well", "ill"].iter().zip([&url, &ill_url]);
    let both = both.map(|(name, url)| destination(directory.path(), name, url)).collect();
    notifier.set(teller(), both).await.unwrap();

    store.apply(Position(1), &opened(1)).await.unwrap();
    let mut raised = opened(1);
    raised.alerts[0].severity = Severity::Critical;
    store.apply(Position(2), &raised).await.unwrap();
    // The same stretch of log a second time, as after a crash.
    store.apply(Position(2), &raised).await.unwrap();
    let mut closed = raised.clone();
    closed.alerts[0].state = AlertState::Resolved;
    let mut blocked = action(5, "alice", ActionState::Stored);
    let steps = [ActionState::Pending, ActionState::Stored];
    blocked.history = steps.map(|state| ActionStep { at_ms: now_ms(), state, reason: String::new() }).to_vec();
    closed.actions.push(blocked);
    store.apply(Position(3), &closed).await.unwrap();
    let all = ["alert.opened", "alert.severity_raised", "alert.closed", "action.stored"];
    assert_eq!(well.types(4).await, all);

    // The other one was tried with the first message alone, and gets all of them in order when it is back.
    ill.tries(1).await;
    assert_eq!(store.outbox_waiting("ill").await.unwrap(), 4);
    let status = notifier.statuses().all();
    assert!(status[0].name == "ill" && status[0].failing >= 1 && status[0].last_error.contains("503"), "{status:?}");
    ill.set(StatusCode::OK);
    assert_eq!(ill.types(4).await, all);
    until_rows(&store, OutboxState::Delivered, 8).await;
    assert_eq!(
        ill.taken.borrow().iter().map(|(id, _)| id).collect::<Vec<_>>(),
        well.taken.borrow().iter().map(|(id, _)| id).collect::<Vec<_>>()
    );
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_at_a_crash_is_told_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start(StatusCode::OK).await;
    let store = Store::open(&store_path(directory.path())).await.unwrap();
    let rule = destination(directory.path(), "on-call", &url).rule;
    store.set_outbox_rules(OutboxRules { teller: teller(), destinations: vec![rule], waiting_max: WAITING_MAX });
    store.apply(Position(1), &opened(1)).await.unwrap();
    store.close().await;

    let store = Store::open(&store_path(directory.path())).await.unwrap();
    let mut notifier = Notifier::new(store.clone(), now_ms);
    notifier.set(teller(), vec![destination(directory.path(), "on-call", &url)]).await.unwrap();
    assert_eq!(receiver.types(1).await, ["alert.opened"]);
    until_rows(&store, OutboxState::Delivered, 1).await;
    // A store that was lost and is written again from the log makes the same message with the same id.
    notifier.stop().await;
    let other = Store::open(&directory.path().join("other.sqlite")).await.unwrap();
    let mut notifier = Notifier::new(other.clone(), now_ms);
    notifier.set(teller(), vec![destination(directory.path(), "on-call", &url)]).await.unwrap();
    other.apply(Position(1), &opened(1)).await.unwrap();
    receiver.types(2).await;
    let taken = receiver.taken.borrow().clone();
    assert_eq!(taken[0].0, taken[1].0);
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_becomes_a_dead_letter_that_can_be_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start(StatusCode::GONE).await;
    let store = Store::open(&store_path(directory.path())).await.unwrap();
    let mut notifier = Notifier::new(store.clone(), now_ms);
    notifier.set(teller(), vec![destination(directory.path(), "on-call", &url)]).await.unwrap();
    store.apply(Position(1), &opened(1)).await.unwrap();
    let dead = until_rows(&store, OutboxState::Dead, 1).await;
    assert!(dead[0].last_error.contains("410"), "{dead:?}");
    receiver.set(StatusCode::OK);
    assert!(store.outbox_resend(dead[0].number, "root", now_ms()).await.unwrap());
    assert_eq!(receiver.types(1).await, ["alert.opened"]);
    let delivered = until_rows(&store, OutboxState::Delivered, 1).await;
    assert!(!store.outbox_resend(delivered[0].number, "root", now_ms()).await.unwrap());

    // What is too old is not tried any more, and neither is what was refused too often.
    let mut old = opened(2);
    let long_ago_ms = now_ms() - 30 * 86_400_000;
    let alert = &mut old.alerts[0];
    (alert.opened_ms, alert.worst.event_ms, alert.worst.raised_ms) = (long_ago_ms, long_ago_ms, long_ago_ms);
    store.apply(Position(2), &old).await.unwrap();
    let dead = until_rows(&store, OutboxState::Dead, 1).await;
    assert!(dead[0].last_error.contains("too old"), "{dead:?}");
    receiver.set(StatusCode::UNPROCESSABLE_ENTITY);
    store.apply(Position(3), &opened(3)).await.unwrap();
    receiver.tries(3).await;
    let waiting = until_rows(&store, OutboxState::Waiting, 1).await;
    assert!(waiting[0].attempts < REFUSALS_MAX, "{waiting:?}");
    // Who is no longer named is told nothing more.
    notifier.set(teller(), Vec::new()).await.unwrap();
    assert_eq!(rows(&store, OutboxState::Dead).await.len(), 2);
    notifier.stop().await;
}

#[tokio::test]
async fn only_what_is_wanted_waits_and_only_so_much() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&store_path(directory.path())).await.unwrap();
    let rule = |name: &str, severity_min, kinds: &[MessageKind]| DestinationRule {
        name: name.to_owned(),
        severity_min,
        kinds: kinds.to_vec(),
    };
    let destinations = vec![
        rule("all", Severity::Info, &[]),
        rule("severe", Severity::Critical, &[]),
        rule("notices", Severity::Info, &[MessageKind::NoticeOpened]),
    ];
    store.set_outbox_rules(OutboxRules { teller: teller(), destinations, waiting_max: 3 });
    for number in 1..=5 {
        store.apply(Position(number), &opened(number)).await.unwrap();
    }
    let concern = Concern {
        kind: NoticeKind::LakeBehind,
        subject: "lake".to_owned(),
        since_ms: 1,
        detail: "nothing was committed".to_owned(),
        remedy: "look".to_owned(),
    };
    store.apply_concerns(10, std::slice::from_ref(&concern)).await.unwrap();
    assert_eq!(store.outbox_waiting("all").await.unwrap(), 3);
    assert_eq!(store.outbox_waiting("severe").await.unwrap(), 1, "a notice has no severity");
    assert_eq!(store.outbox_waiting("notices").await.unwrap(), 1);
    let dead = rows(&store, OutboxState::Dead).await;
    assert_eq!(dead.iter().map(|row| row.number).collect::<Vec<_>>(), [3, 2, 1], "the oldest go");
    assert!(dead[0].last_error.contains("more than 3"), "{dead:?}");
    assert_eq!(store.outbox_stats().over_limit, 3);
}

#[tokio::test]
async fn a_notice_opens_once_closes_by_itself_and_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&store_path(directory.path())).await.unwrap();
    let concern = |subject: &str| Concern {
        kind: NoticeKind::GatewaySilent,
        subject: subject.to_owned(),
        since_ms: 1,
        detail: "no call".to_owned(),
        remedy: "look".to_owned(),
    };
    let both = [concern("kong"), concern("other")];
    assert_eq!(store.apply_concerns(10, &both).await.unwrap().opened.len(), 2);
    assert_eq!(store.apply_concerns(20, &both).await.unwrap(), Default::default());
    store.close().await;
    let store = Store::open(&store_path(directory.path())).await.unwrap();
    let changes = store.apply_concerns(30, &both[1..]).await.unwrap();
    assert_eq!((changes.opened.len(), changes.closed.len()), (0, 1));
    assert_eq!(changes.closed[0].closed_ms, Some(30));
    let open = store.notices(Some(true), 10, None).await.unwrap().items;
    assert_eq!(open.iter().map(|notice| notice.concern.subject.as_str()).collect::<Vec<_>>(), ["other"]);
    assert_eq!(open, store.open_notices().await.unwrap());
    // The same again is another notice.
    let again = store.apply_concerns(40, &both).await.unwrap().opened;
    assert_eq!((again.len(), again[0].id), (1, 3));
    let page = store.notices(None, 2, None).await.unwrap();
    assert_eq!(page.items.iter().map(|notice| notice.id).collect::<Vec<_>>(), [3, 2]);
    let rest = store.notices(None, 2, page.next.as_deref()).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    assert_eq!(store.notice(1).await.unwrap().unwrap().closed_ms, Some(30));
}
