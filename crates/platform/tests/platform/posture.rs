//! What is weak: found by the analysis, told once, left for a while and over; stored, and gone with whom it is about.

use outrider_discover::openapi::{Document, Limits};
use outrider_discover::posture::{ServiceKey, Weakness, WeaknessState};
use outrider_model::{
    Alert, AlertState, Command, CommandRecord, CommandRefused, EntityKind, Severity, Subject, WeaknessId,
};
use outrider_platform::analysis::{Analysis, AnalysisSettings, Documented, POSTURE_DETECTOR};
use outrider_platform::log::Position;
use outrider_platform::store::{
    EffectBatch, ErasedSubject, Gateways, Store, UntoldDocuments, WeaknessFilter, WeaknessOrder, WeaknessStanding,
    read_document,
};

use crate::fixtures::{endpoint, weakness};
use crate::support::{Call, api_call};

const BEGAN_MS: i64 = 1_795_448_391_727;
const MINUTE_MS: i64 = 60_000;
const OPEN_CHECK: &str = "unauthenticated_access";

/// A run that goes on.
struct Run {
    analysis: Analysis,
    now_ms: i64,
    number: u64,
}

impl Run {
    fn new() -> Run {
        let settings = AnalysisSettings::default();
        Run { analysis: Analysis::new("test", settings).unwrap(), now_ms: BEGAN_MS, number: 0 }
    }

    /// Minutes of a shop of which all ask who calls, but for an export that does not always.
    fn minutes(&mut self, minutes: i64, is_export_open: bool) {
        for _ in 0..minutes * 12 {
            for path in ["/orders", "/carts", "/prices", "/export"] {
                self.number += 1;
                let call =
                    Call { at_ms: self.now_ms, consumer: "alice".to_owned(), path: path.to_owned(), status: 200 };
                let mut call = api_call(&call);
                if path == "/export" && is_export_open {
                    (call.consumer, call.credential_id) = (None, None);
                }
                self.analysis.observe(&call, self.number);
            }
            self.now_ms += 5_000;
        }
        self.analysis.advance(self.now_ms);
    }

    fn command(&mut self, command: Command) -> Result<(), CommandRefused> {
        self.number += 1;
        let (id, by) = (format!("c{}", self.number), "anna".to_owned());
        self.analysis.command(&CommandRecord { id, by, at_ms: self.now_ms, command }).map(drop)
    }

    fn weakness(&self) -> &Weakness {
        self.analysis.posture().weaknesses().find(|weakness| weakness.check == OPEN_CHECK).expect("a weakness")
    }

    /// The alerts of the check, the oldest first.
    fn alerts(&self) -> Vec<&Alert> {
        let detector = format!("{POSTURE_DETECTOR}:{OPEN_CHECK}");
        let mut alerts: Vec<_> = self.analysis.desk().alerts().filter(|alert| alert.detector == detector).collect();
        alerts.sort_by_key(|alert| alert.opened_ms);
        alerts
    }

    fn states(&self) -> Vec<AlertState> {
        self.alerts().into_iter().map(|alert| alert.state).collect()
    }
}

#[test]
fn a_weakness_is_told_once_left_for_a_while_and_over() {
    let mut run = Run::new();
    run.minutes(30, true);
    let (id, severity) = (run.weakness().id, run.weakness().severity);
    assert!(run.weakness().is_open() && severity == Severity::High);
    let [alert] = run.alerts()[..] else { panic!("one alert: {:?}", run.states()) };
    assert_eq!(
        (alert.entity.kind, alert.entity.value.as_str(), alert.entity.display_name()),
        (EntityKind::Service, "s", "shop")
    );
    assert_eq!((alert.worst.endpoint_name.as_str(), alert.finding_count), ("GET /export", 1), "{}", alert.sentence);
    assert!(alert.worst.query.contains("FROM calls") && !alert.worst.basis.is_empty());

    // It goes on and is told no more.
    run.minutes(10, true);
    assert_eq!((run.states(), run.alerts()[0].finding_count), (vec![AlertState::Open], 1));

    let until_ms = run.now_ms + 20 * MINUTE_MS;
    let reason = "the partner moves in May".to_owned();
    run.command(Command::ExceptWeakness { weakness: id, until_ms, reason: reason.clone() }).unwrap();
    assert_eq!(run.weakness().state, WeaknessState::Excepted { until_ms, reason, by: "anna".to_owned() });
    assert_eq!(run.states(), [AlertState::Resolved]);
    run.minutes(19, true);
    assert_eq!(run.states(), [AlertState::Resolved], "it is left");
    run.minutes(3, true);
    assert_eq!(run.states(), [AlertState::Resolved, AlertState::Open], "the exception is over");
    assert!(run.alerts()[1].sentence.starts_with("its exception is over: "), "{}", run.alerts()[1].sentence);

    run.minutes(90, false);
    assert_eq!((&run.weakness().state, run.states()), (&WeaknessState::Fixed, vec![AlertState::Resolved; 2]));
    assert_eq!(run.alerts()[1].state_reason, "it is there no longer");

    // While those who proved who they are were there lately, the endpoint is one that takes both.
    run.minutes(120, true);
    assert_eq!(
        (run.weakness().is_open(), run.weakness().reopened, run.states().last()),
        (true, 1, Some(&AlertState::Open))
    );
}

#[test]
fn what_cannot_be_decided_about_a_weakness_is_refused() {
    let mut run = Run::new();
    run.minutes(30, true);
    let (id, now_ms) = (run.weakness().id, run.now_ms);
    let except =
        |weakness, until_ms, reason: &str| Command::ExceptWeakness { weakness, until_ms, reason: reason.to_owned() };
    for (command, words) in [
        (except(WeaknessId(7), now_ms + MINUTE_MS, "x"), "there is no weakness wk_0000000000000007"),
        (except(id, now_ms - 1, "x"), "ends in the future"),
        (except(id, now_ms + 400 * 86_400_000, "x"), "within 366 days"),
        (except(id, now_ms + MINUTE_MS, " "), "has a reason"),
        (Command::WithdrawException { weakness: id }, "there is no exception of weakness"),
    ] {
        let refused = run.command(command).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    run.command(except(id, now_ms + MINUTE_MS, "x")).unwrap();
    run.command(Command::WithdrawException { weakness: id }).unwrap();
    assert!(run.weakness().is_open(), "it was taken back");
    assert_eq!(run.states(), [AlertState::Resolved, AlertState::Open], "and is told again");
}

#[test]
fn what_is_not_grave_enough_is_shown_and_not_told() {
    let mut settings = AnalysisSettings::default();
    settings.posture.alert_severity_min = Severity::Critical;
    let mut run = Run { analysis: Analysis::new("test", settings).unwrap(), ..Run::new() };
    run.minutes(30, true);
    assert!(run.weakness().is_open() && run.alerts().is_empty());
}

#[test]
fn effects_and_state_do_not_depend_on_when_effects_are_taken_or_state_is_saved() {
    let (mut at_once, mut often) = (Run::new(), Run::new());
    at_once.minutes(40, true);
    at_once.minutes(10, false);
    let (mut weaknesses, mut scores) = (Vec::new(), Vec::new());
    for minute in 0..50 {
        often.minutes(1, minute < 40);
        let EffectBatch { weaknesses: rows, scores: changed, .. } = often.analysis.drain_effects();
        weaknesses.extend(rows);
        scores.extend(changed);
        let bytes = often.analysis.freeze().encode().unwrap();
        often.analysis = Analysis::restore(&bytes).unwrap();
        assert_eq!(often.analysis.freeze().encode().unwrap(), bytes);
    }
    let effects = at_once.analysis.drain_effects();
    for row in &effects.weaknesses {
        let last = weaknesses.iter().rfind(|other| other.weakness.id == row.weakness.id);
        assert_eq!(last, Some(row));
    }
    for score in &effects.scores {
        assert_eq!(scores.iter().rfind(|other| other.subject == score.subject), Some(score));
    }
    assert!(effects.weaknesses.iter().any(|row| row.weakness.check == OPEN_CHECK && row.service_name == "shop"));
    assert!(effects.scores.iter().any(|score| score.score > 0.0));
    let _ = often.analysis.drain_effects();
    assert_eq!(often.analysis.freeze().encode().unwrap(), at_once.analysis.freeze().encode().unwrap());
}

#[test]
fn a_documents_deprecated_operation_that_is_called_is_known_to_the_checks() {
    let mut run = Run::new();
    run.minutes(30, false);
    let text = r#"{"openapi": "3.0.3", "info": {"title": "Shop", "version": "1"}, "paths": {
        "/orders": {"get": {}}, "/carts": {"get": {}}, "/prices": {"get": {}}, "/export": {"get": {"deprecated": true}}}}"#;
    let document = Document::read(text.as_bytes(), &Limits::default()).unwrap();
    let service = ServiceKey { gateway: "kong".to_owned(), workspace: "w".to_owned(), service: "s".to_owned() };
    // As it is in the log.
    let written = serde_json::to_string(&Documented::by(service.clone(), &document)).unwrap();
    run.analysis.documented(run.now_ms, serde_json::from_str(&written).unwrap());
    run.minutes(2, false);
    let bytes = run.analysis.freeze().encode().unwrap();
    run.analysis.documented(run.now_ms, Documented { service, outline: None });
    run.minutes(2, false);
    assert_ne!(run.analysis.freeze().encode().unwrap().len(), bytes.len(), "the document is kept, and forgotten");
}

async fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::open(&dir.path().join("control.sqlite")).await.unwrap(), dir)
}

async fn ids(store: &Store, filter: WeaknessFilter) -> Vec<u64> {
    let page = store.weaknesses(&filter, 10, None).await.unwrap();
    page.items.into_iter().map(|row| row.weakness.id.0).collect()
}

#[tokio::test]
async fn weaknesses_are_listed_counted_and_gone() {
    let (store, _dir) = store().await;
    let mut excepted = weakness(3, "kong");
    excepted.weakness.state = WeaknessState::Excepted { until_ms: 9, reason: "x".to_owned(), by: "anna".to_owned() };
    let mut other = weakness(4, "kong");
    (other.service, other.weakness.check, other.weakness.owasp) =
        ("s-2".to_owned(), "weak_tls".to_owned(), "API8:2023".to_owned());
    other.weakness.endpoints = Vec::new();
    let weaknesses = vec![weakness(1, "kong"), weakness(2, "edge"), excepted, other];
    let effects = EffectBatch { weaknesses: weaknesses.clone(), ..EffectBatch::default() };
    store.apply(Position(1), &effects).await.unwrap();
    store.apply(Position(2), &effects).await.unwrap();
    let all = WeaknessFilter::default;
    let open = vec![WeaknessStanding::Open];
    for (filter, expected) in [
        (all(), vec![4, 3, 2, 1]),
        (WeaknessFilter { order: WeaknessOrder::Severity, ..all() }, vec![4, 2, 3, 1]),
        (WeaknessFilter { standings: open.clone(), ..all() }, vec![4, 2, 1]),
        (WeaknessFilter { severity_min: Some(Severity::High), ..all() }, vec![4, 2]),
        (WeaknessFilter { check: Some("weak_tls".to_owned()), ..all() }, vec![4]),
        (WeaknessFilter { owasp: Some("API1:2023".to_owned()), ..all() }, vec![]),
        (WeaknessFilter { gateway: Some("edge".to_owned()), ..all() }, vec![2]),
        (WeaknessFilter { service: Some("orders".to_owned()), ..all() }, vec![4, 3, 2, 1]),
        (WeaknessFilter { service: Some("s-2".to_owned()), ..all() }, vec![4]),
        (WeaknessFilter { endpoint: Some(endpoint("/orders", 1).id), ..all() }, vec![3, 2, 1]),
        (WeaknessFilter { gateways: Gateways::Only(vec!["edge".to_owned()]), ..all() }, vec![2]),
    ] {
        assert_eq!(ids(&store, filter.clone()).await, expected, "{filter:?}");
    }
    let counts = store.weakness_counts(&all()).await.unwrap();
    let number = |name: &str| counts.open_by_severity.get(name).copied();
    assert_eq!(
        (counts.by_state["open"], counts.by_state["excepted"], number("high"), number("low")),
        (3, 1, Some(2), Some(1))
    );
    assert_eq!(counts.open_by_check["plain_http"], 2);

    let gone = EffectBatch { weaknesses_gone: vec![WeaknessId(1)], ..EffectBatch::default() };
    store.apply(Position(3), &gone).await.unwrap();
    assert_eq!(ids(&store, all()).await, [4, 3, 2]);
    assert_eq!(ids(&store, WeaknessFilter { endpoint: Some(endpoint("/orders", 1).id), ..all() }).await, [3, 2]);
}

#[tokio::test]
async fn what_is_weak_about_somebody_is_erased_with_them() {
    use outrider_discover::posture::WeakSubject;
    let (store, _dir) = store().await;
    let mut about = weakness(1, "kong");
    about.weakness.subject = WeakSubject::Consumer { gateway: "kong".to_owned(), consumer: "zelda".to_owned() };
    let effects = EffectBatch { weaknesses: vec![about, weakness(2, "kong")], ..EffectBatch::default() };
    store.apply(Position(1), &effects).await.unwrap();
    let subject = Subject::new(EntityKind::Consumer, "zelda").unwrap();
    let erasure = store.ask_erasure(&subject, "anna", 5).await.unwrap();
    let erased = ErasedSubject { erasure: erasure.id.clone(), subject, by: "anna".to_owned(), at_ms: 6, refused: None };
    store.apply(Position(2), &EffectBatch { erased: vec![erased], ..EffectBatch::default() }).await.unwrap();
    assert_eq!(ids(&store, WeaknessFilter::default()).await, [2]);
}

#[tokio::test]
async fn the_log_is_told_of_documents_once() {
    let (store, _dir) = store().await;
    let key = ServiceKey { gateway: "kong".to_owned(), workspace: "w".to_owned(), service: "s".to_owned() };
    let text = r#"{"openapi": "3.0.3", "info": {"title": "Shop", "version": "1"}, "paths": {}}"#;
    let document = read_document(text).unwrap();
    assert_eq!(store.untold_documents().await.unwrap(), UntoldDocuments::default());
    for now_ms in [7, 8] {
        store.put_api_document(&key, text, &document, "anna", now_ms).await.unwrap();
        let expected = UntoldDocuments { changed: vec![(key.clone(), now_ms)], gone: Vec::new() };
        assert_eq!(store.untold_documents().await.unwrap(), expected);
        store.told_document(&key, Some(now_ms)).await.unwrap();
        assert_eq!(store.untold_documents().await.unwrap(), UntoldDocuments::default());
    }
    store.delete_api_document(&key, "anna", 9).await.unwrap();
    let expected = UntoldDocuments { changed: Vec::new(), gone: vec![key.clone()] };
    assert_eq!(store.untold_documents().await.unwrap(), expected);
    store.told_document(&key, None).await.unwrap();
    assert_eq!(store.untold_documents().await.unwrap(), UntoldDocuments::default());
}
