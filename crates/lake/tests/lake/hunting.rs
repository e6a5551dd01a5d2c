//! Hunts: who is found in which window, what is known of them, and what cannot be asked.

use outrider_lake::{Beside, HuntAnswer, LakeReader, QueryError, QueryLimits};
use outrider_model::{
    ApiCall, Consumer, Duration, EntityKind, HUNT_ENTITIES_MAX, Hunt, HuntQuestion, HuntWindow, Named, Severity, Text,
    Trust,
};

use crate::calls::{Filler, NOON_MS, mixed_call, plain_call};

fn hunt(ask: HuntQuestion, threshold: u32) -> Hunt {
    Hunt {
        name: "a".to_owned(),
        description: String::new(),
        enabled: true,
        ask,
        every: Duration::Seconds(300),
        look_back: None,
        severity: Severity::Low,
        threshold,
        gateways: Vec::new(),
    }
}

fn search(text: &str, threshold: u32) -> Hunt {
    hunt(HuntQuestion::Search(text.to_owned()), threshold)
}

fn sql(text: &str) -> Hunt {
    hunt(HuntQuestion::Sql(text.to_owned()), 1)
}

const BY_CONSUMER: &str = "SELECT 'consumer' AS entity_kind, consumer_id AS entity, gateway, count(*) AS calls, \
    max(status) AS worst FROM window_calls WHERE consumer_id IS NOT NULL GROUP BY 2, 3";

/// A call of a consumer with a key, from an address, a second after the one before.
fn call(number: i64, consumer: &str, status: u16) -> ApiCall<'static> {
    let event_ms = NOON_MS + number * 1000;
    let id = Text::from(format!("id-{consumer}"));
    ApiCall {
        received_ms: event_ms,
        started_ms: event_ms,
        event_ms,
        workspace: "w".into(),
        consumer: Some(Consumer {
            id: id.clone(),
            username: consumer.to_owned().into(),
            custom_id: "c-7".into(),
            tags: vec!["gold".into()],
        }),
        credential_id: Some(id),
        client_ip: Some([192, 0, 2, 7].into()),
        service: Some(Named { id: "s-1".into(), name: "shop".into() }),
        route: Some(Named { id: format!("r-{}", number % 2).into(), name: Text::EMPTY }),
        status,
        path: format!("/orders/{number}").into(),
        ..plain_call("")
    }
}

/// Twenty calls: alice is refused at each second one, bob never; then others, refused as those who they are not.
fn calls() -> Vec<ApiCall<'static>> {
    let mut calls: Vec<_> = (0..20)
        .map(|number| match number % 2 {
            0 => call(number, "alice", if number % 4 == 0 { 403 } else { 200 }),
            _ => call(number, "bob", 200),
        })
        .collect();
    calls.push(ApiCall { anonymous_consumer: true, credential_id: None, ..call(20, "nobody", 403) });
    calls.push(ApiCall { consumer: None, trust: Trust::Untrusted, ..call(21, "key", 403) });
    calls.push(ApiCall { own_refusal: Some("inst".into()), ..call(22, "alice", 403) });
    calls.push(ApiCall { gateway: "edge".into(), ..call(23, "alice", 403) });
    calls
}

async fn filled(calls: &[ApiCall<'_>]) -> (tempfile::TempDir, Filler, LakeReader) {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    // Half of it is committed, half of it not yet.
    let (committed, shown) = calls.split_at(calls.len() / 2);
    filler.commit(committed).await;
    filler.show(shown);
    let reader = LakeReader::open(directory.path(), Some(filler.lake.tail()), QueryLimits::default()).unwrap();
    (directory, filler, reader)
}

fn behind(after: u64, to: u64) -> HuntWindow {
    HuntWindow { after, to, since_ms: NOON_MS, until_ms: NOON_MS + 3_600_000, not_before_ms: None, again_from_ms: None }
}

async fn ask(reader: &LakeReader, hunt: &Hunt) -> Result<HuntAnswer, QueryError> {
    reader.hunt(hunt, |to| behind(0, to), &[]).await
}

fn found(answer: &HuntAnswer) -> Vec<(EntityKind, &str, &str, u64)> {
    answer.hits.iter().map(|hit| (hit.entity.kind, &*hit.entity.value, &*hit.entity.gateway, hit.rows)).collect()
}

/// How many rows a statement has, or counts where it counts.
async fn again(reader: &LakeReader, statement: &str) -> u64 {
    use deltalake::arrow::array::AsArray as _;
    use deltalake::arrow::datatypes::Int64Type;
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = answer.next().await {
        let batch = batch.unwrap();
        rows += match statement.starts_with("SELECT count(*)") {
            true => batch.column(0).as_primitive::<Int64Type>().value(0).cast_unsigned(),
            false => batch.num_rows() as u64,
        };
    }
    rows
}

#[tokio::test]
async fn a_search_finds_who_acted() {
    use EntityKind::{Consumer, Credential, Ip};
    let (_directory, _filler, reader) = filled(&calls()).await;
    let answer = ask(&reader, &search("status:403", 1)).await.unwrap();
    assert_eq!(
        found(&answer),
        [
            (Consumer, "id-alice", "kong", 5),
            (Consumer, "id-alice", "edge", 1),
            (Credential, "id-key", "kong", 1),
            (Ip, "192.0.2.7", "kong", 1),
        ],
        "neither the anonymous consumer nor what a block of ours refused",
    );
    assert_eq!((answer.figures.rows, answer.figures.entities, answer.figures.entities_left_out), (8, 4, 0));
    for hit in &answer.hits {
        assert_eq!(again(&reader, &format!("{}{}", answer.query, hit.only)).await, hit.rows, "{}", hit.only);
    }
    let alice = &answer.hits[0];
    assert_eq!((&*alice.entity.label, &*alice.entity.workspace, &*alice.consumer_custom_id), ("alice", "w", "c-7"));
    assert_eq!((&*alice.service_id, &*alice.service_name, &*alice.route_id), ("s-1", "shop", "r-0"));
    assert_eq!((alice.outcome.succeeded, alice.outcome.failed), (0, 5));
    assert_eq!(alice.consumer_tags, ["gold"]);
    assert_eq!(
        (&*alice.samples[0].path, alice.samples[0].status, alice.event_ms),
        ("/orders/16", 403, NOON_MS + 16_000)
    );
    assert!(!alice.target.untrusted && answer.hits[2].target.untrusted && !answer.hits[3].target.untrusted);

    let answer = ask(&reader, &search("status:403", 2)).await.unwrap();
    assert_eq!(found(&answer), [(Consumer, "id-alice", "kong", 5)]);
    assert_eq!((answer.figures.rows, answer.figures.entities), (8, 1));
    let elsewhere = Hunt { gateways: vec!["edge".to_owned()], ..search("status:403", 1) };
    assert_eq!(found(&ask(&reader, &elsewhere).await.unwrap()), [(Consumer, "id-alice", "edge", 1)]);
    let none = ask(&reader, &search("status:500", 1)).await.unwrap();
    assert_eq!((none.hits.len(), none.figures.rows), (0, 0));
}

#[tokio::test]
async fn windows_that_touch_find_each_call_once() {
    let calls = calls();
    let (_directory, mut filler, reader) = filled(&calls).await;
    let hunt = search("-consumer:nobody status:403", 1);
    let (mut rows, mut after) = (0, 0);
    for to in [3, 9, 14, 15, 15, 24] {
        rows += reader.hunt(&hunt, |_| behind(after, to), &[]).await.unwrap().figures.rows;
        after = to;
    }
    assert_eq!(rows, 7);
    let place = reader.hunt(&hunt, |to| behind(after, to), &[]).await.unwrap().window.to;
    assert_eq!(place, 24, "what is not committed yet counts");
    filler.show(&[call(30, "carol", 403)]);
    let answer = reader.hunt(&hunt, |to| behind(after, to), &[]).await.unwrap();
    assert_eq!((found(&answer).len(), answer.window.to), (1, 25), "behind what was seen there is only the new one");
    // A window that looks back holds what is new, and once more what was received since then.
    let (from, since) = (Some(NOON_MS + 21_000), Some(NOON_MS + 23_000));
    let back = HuntWindow { again_from_ms: from, ..behind(24, 25) };
    let answer = reader.hunt(&hunt, |_| back, &[]).await.unwrap();
    assert_eq!(answer.figures.rows, 3);
    // Who has no new call among them was told of.
    let outcomes: Vec<_> = answer.hits.iter().map(|hit| (&*hit.entity.label, hit.outcome.failed)).collect();
    assert_eq!(outcomes, [("carol", 1)]);
    let imported = reader.hunt(&hunt, |_| behind(0, 25), &[1..=14, 25..=30]).await.unwrap();
    let all = reader.hunt(&hunt, |_| behind(0, 25), &[]).await.unwrap();
    let later = reader.hunt(&hunt, |_| behind(14, 24), &[]).await.unwrap();
    assert!(
        imported.figures.rows < all.figures.rows && imported.figures.rows == later.figures.rows,
        "the past is no news"
    );
    let cut = HuntWindow { not_before_ms: since, ..behind(0, 25) };
    assert_eq!(reader.hunt(&hunt, |_| cut, &[]).await.unwrap().figures.rows, 2);
}

#[tokio::test]
async fn a_statement_says_whom_it_is_about() {
    use EntityKind::Consumer;
    let (_directory, _filler, reader) = filled(&calls()).await;
    let ten = sql(&format!("{BY_CONSUMER} HAVING count(*) >= 10;\n-- as a person leaves it"));
    let answer = ask(&reader, &ten).await.unwrap();
    assert_eq!(found(&answer), [(Consumer, "id-alice", "kong", 1), (Consumer, "id-bob", "kong", 1)]);
    let alice = &answer.hits[0];
    assert_eq!(alice.shown, "calls = 10, worst = 403");
    assert_eq!(alice.event_ms, NOON_MS, "it does not say when, so the first call counts");
    assert_eq!((&*alice.entity.label, alice.target.untrusted, alice.outcome.failed), ("alice", false, 5));
    for hit in &answer.hits {
        assert_eq!(again(&reader, &format!("{}{}", answer.query, hit.only)).await, 1, "{}", hit.only);
    }

    let says_when = BY_CONSUMER.replace("max(status) AS worst", "max(event_time) AS event_time");
    let answer = ask(&reader, &sql(&says_when)).await.unwrap();
    let alice = answer.hits.iter().find(|hit| hit.entity.value == "id-alice" && hit.entity.gateway == "kong").unwrap();
    assert_eq!(alice.event_ms, NOON_MS + 18_000);
    let nobody = answer.hits.iter().find(|hit| hit.entity.value == "id-nobody").unwrap();
    assert!(nobody.target.anonymous_consumer);

    let unknown =
        "SELECT 'consumer' AS entity_kind, 'x' AS entity, 'kong' AS gateway, now() AS event_time FROM window_calls";
    let answer = ask(&reader, &hunt(HuntQuestion::Sql(unknown.to_owned()), 23)).await.unwrap();
    let hit = &answer.hits[0];
    assert_eq!((hit.rows, hit.target.untrusted), (23, true), "of whom no call is known nothing happens by itself");
    assert!(hit.event_ms <= NOON_MS + 3_600_000, "nothing was complete after the window's end");
    assert_eq!(ask(&reader, &hunt(HuntQuestion::Sql(unknown.to_owned()), 24)).await.unwrap().hits.len(), 0);
}

#[tokio::test]
async fn an_entity_of_any_kind_has_evidence() {
    let (_directory, _filler, reader) = filled(&(0..100).map(mixed_call).collect::<Vec<_>>()).await;
    for (kind, expression) in [
        ("business", "unnest(entity_names(entities))"),
        ("consumer", "consumer_id"),
        ("credential", "credential_id"),
        ("ip", "client_ip"),
        ("network", "asn"),
        ("session", "session"),
    ] {
        let rows = format!("SELECT '{kind}' AS entity_kind, {expression} AS entity, gateway FROM window_calls");
        let answer = ask(&reader, &sql(&rows)).await.unwrap();
        assert!(answer.hits.len() > 1, "{kind}");
        for hit in &answer.hits {
            assert_eq!((hit.entity.kind.as_str(), hit.samples.len(), hit.target.untrusted), (kind, 1, false));
            assert_eq!(hit.outcome.succeeded + hit.outcome.failed, hit.rows, "{kind} {}", hit.entity.value);
            assert_eq!(hit.entity.label.is_empty(), kind != "consumer");
        }
    }
}

#[tokio::test]
async fn the_ends_of_the_window_are_values() {
    let (_directory, _filler, reader) = filled(&calls()).await;
    let compared = format!(
        "WITH before AS (SELECT DISTINCT gateway, consumer_id FROM events \
         WHERE event_time >= $since - INTERVAL '7 days' AND event_time < $since) \
         {} AND NOT EXISTS (SELECT 1 FROM before WHERE before.consumer_id = window_calls.consumer_id) \
         AND event_time < $until GROUP BY 2, 3",
        BY_CONSUMER.split(" GROUP BY").next().unwrap(),
    );
    let hunt = sql(&compared);
    reader.check_hunt(&hunt).await.unwrap();
    let answer = ask(&reader, &hunt).await.unwrap();
    assert_eq!(answer.figures.entities, 4);
    let hit = &answer.hits[0];
    assert_eq!(again(&reader, &format!("{}{}", answer.query, hit.only)).await, 1, "{}", answer.query);
    let later = HuntWindow { since_ms: NOON_MS + 10_000, ..behind(0, 24) };
    let answer = reader.hunt(&hunt, |_| later, &[]).await.unwrap();
    assert_eq!(answer.figures.entities, 1, "those who called before are known");
}

#[tokio::test]
async fn who_is_found_is_limited_and_counted() {
    let many: Vec<_> = (0..150).map(|number| call(number, &format!("user-{number:03}"), 403)).collect();
    let (_directory, _filler, reader) = filled(&many).await;
    for hunt in [search("status:403", 1), sql(BY_CONSUMER)] {
        let answer = ask(&reader, &hunt).await.unwrap();
        assert_eq!(answer.hits.len(), HUNT_ENTITIES_MAX);
        assert_eq!((answer.figures.entities, answer.figures.entities_left_out), (150, 50), "{hunt:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_its_place() {
    let (_directory, filler, reader) = filled(&calls()).await;
    let columns = "'consumer' AS entity_kind, consumer_id AS entity, gateway";
    for (hunt, words) in [
        (search("status:403 consumr:alice", 1), "at byte 11: there is no field `consumr`; did you mean `consumer`?"),
        (search("status:403 last 7d", 1), "leave it out, and use `look_back`"),
        (sql("SELECT count(*) FORM window_calls"), "Line: 1, Column: "),
        (sql("SELECT nope FROM window_calls"), "nope"),
        (sql(&format!("SELECT {columns} FROM events")), "does not read `window_calls`"),
        (
            sql(&format!("WITH window_calls AS (SELECT * FROM events) SELECT {columns} FROM window_calls")),
            "does not read `window_calls`",
        ),
        (
            sql("SELECT consumer_id AS entity, count(*) FROM window_calls GROUP BY 1"),
            "no column `entity_kind`, `gateway`",
        ),
        (sql("SELECT count(*) FROM window_calls"), "no column `entity_kind`, `entity`, `gateway`"),
        (sql(&format!("SELECT {columns} FROM window_calls WHERE event_time > $begin")), "begin"),
        (sql("EXPLAIN SELECT 1 FROM window_calls"), "no column"),
        (sql("DELETE FROM window_calls"), "only SELECT"),
        (sql("CREATE TABLE t AS SELECT * FROM window_calls"), "only SELECT"),
        (sql(&format!("SELECT {columns} FROM window_calls; SELECT 1")), "statement"),
    ] {
        let error = reader.check_hunt(&hunt).await.unwrap_err().to_string();
        assert!(error.contains(words), "{hunt:?}: {error}");
        assert!(ask(&reader, &hunt).await.is_err(), "{hunt:?}");
    }
    for (statement, words) in [
        ("SELECT 'user' AS entity_kind, consumer_id AS entity, gateway FROM window_calls", "`user` is no entity kind"),
        (
            &*format!("SELECT 'ip' AS entity_kind, {} AS entity, gateway FROM window_calls", long()),
            "in more than 1024 bytes",
        ),
    ] {
        let hunt = sql(statement);
        reader.check_hunt(&hunt).await.unwrap();
        let error = ask(&reader, &hunt).await.unwrap_err().to_string();
        assert!(error.contains(words), "{statement}: {error}");
    }
    let few = QueryLimits { rows_max: 3, ..QueryLimits::default() };
    let directory = filler.lake.location().as_directory().unwrap();
    let reader = LakeReader::open(directory, Some(filler.lake.tail()), few).unwrap();
    let error = ask(&reader, &sql(&format!("SELECT {columns} FROM window_calls"))).await.unwrap_err().to_string();
    assert!(error.contains("more than 3 rows"), "{error}");
}

/// An entity of more than 1024 bytes.
fn long() -> String {
    format!("'{}'", "x".repeat(1025))
}

#[tokio::test]
async fn a_person_waits_for_a_place_and_the_schedule_does_not() {
    let (_directory, filler, _) = filled(&calls()).await;
    let one = QueryLimits { queries_max: 1, ..QueryLimits::default() };
    let directory = filler.lake.location().as_directory().unwrap();
    let reader = LakeReader::open(directory, Some(filler.lake.tail()), one).unwrap();
    let hunt = search("status:403", 1);
    let running = reader.query("SELECT * FROM events", &Beside::default()).await.unwrap();
    assert!(matches!(reader.try_hunt(&hunt, |to| behind(0, to)).await, Err(QueryError::Busy { queries_max: 1 })));
    assert_eq!(ask(&reader, &hunt).await.unwrap().hits.len(), 4);
    drop(running);
    assert_eq!(reader.try_hunt(&hunt, |to| behind(0, to)).await.unwrap().hits.len(), 4);
}
