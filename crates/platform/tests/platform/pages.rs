//! Pages of lists while rows move: whoever turns all pages sees every row that was there throughout exactly once.

use std::collections::BTreeSet;

use crate::fixtures::{action, alert, audit, endpoint, finding};
use outrider_model::{ActionState, AlertId, AlertState};
use outrider_platform::log::Position;
use outrider_platform::store::{
    ActionFilter, AlertFilter, AuditFilter, EffectBatch, EndpointFilter, FindingFilter, Page, Store,
};
use rand::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

const ROWS: u64 = 120;

/// A list by its name, one page of it as ids.
async fn page(store: &Store, list: &str, limit: u32, cursor: Option<&str>) -> Page<String> {
    fn ids<T>(page: Page<T>, id: impl Fn(T) -> String) -> Page<String> {
        Page { items: page.items.into_iter().map(id).collect(), next: page.next }
    }
    match list {
        "alerts" => {
            ids(store.alerts(&AlertFilter::default(), limit, cursor).await.unwrap(), |alert| alert.id.to_string())
        }
        "actions" => {
            ids(store.actions(&ActionFilter::default(), limit, cursor).await.unwrap(), |action| action.id.to_string())
        }
        "endpoints" => {
            let page = store.endpoints(&EndpointFilter::default(), limit, cursor).await.unwrap();
            ids(page, |endpoint| endpoint.id.to_string())
        }
        "findings" => {
            let page = store.findings(&FindingFilter::default(), limit, cursor).await.unwrap();
            ids(page, |finding| finding.id.to_string())
        }
        "audit" => {
            ids(store.audit(&AuditFilter::default(), limit, cursor).await.unwrap(), |line| line.number.to_string())
        }
        other => panic!("{other}"),
    }
}

/// One of each with this number. Everything of it that may change is drawn at random; several share each moment.
fn rows(number: u64, random: &mut Pcg64Mcg) -> EffectBatch {
    let moment = (number / 7) as i64;
    let mut alert = alert(number, "alice", AlertState::Open);
    alert.opened_ms = moment;
    alert.last_finding_ms = random.random_range(moment..moment + 1000);
    let mut action = action(number, "alice", ActionState::Pending);
    action.created_ms = moment;
    action.state = if random.random() { ActionState::Stored } else { ActionState::Released };
    let mut endpoint = endpoint(&format!("/things/{number}"), random.random_range(0..1000));
    // A merge may bring knowledge of earlier calls.
    endpoint.first_seen_ms = random.random_range(-1000..=moment);
    let mut finding = finding(number, "alice");
    finding.raised_ms = moment;
    EffectBatch {
        alerts: vec![alert],
        actions: vec![action],
        endpoints: vec![endpoint],
        findings: vec![(finding, Some(AlertId(number)))],
        audit: vec![audit(number)],
        ..EffectBatch::default()
    }
}

#[tokio::test]
async fn every_row_that_stays_is_shown_once_while_rows_move() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    for list in ["alerts", "actions", "endpoints", "findings", "audit"] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("control.sqlite")).await.unwrap();
        let mut position = 0;
        for number in 1..=ROWS {
            position += 1;
            store.apply(Position(position), &rows(number, &mut random)).await.unwrap();
        }
        let there: BTreeSet<_> = page(&store, list, 500, None).await.items.into_iter().collect();
        assert_eq!(there.len() as u64, ROWS, "{list}");
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let limit = random.random_range(1..20);
            let page = page(&store, list, limit, cursor.as_deref()).await;
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            for _ in 0..random.random_range(0..8) {
                position += 1;
                // Mostly rows that are there already, which may be shown or not yet; sometimes a new one.
                let number = random.random_range(1..=ROWS + ROWS / 10);
                store.apply(Position(position), &rows(number, &mut random)).await.unwrap();
            }
        }
        let unique: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(unique.len(), seen.len(), "{list}, seed {seed}: a row was shown twice");
        let missed: Vec<_> = there.difference(&unique).collect();
        assert!(missed.is_empty(), "{list}, seed {seed}: {missed:?} were missed");
    }
}
