//! The timeline, merging, retention: no row is lost, doubled or out of order.

use deltalake::arrow::array::AsArray as _;
use deltalake::arrow::datatypes::Int64Type;
use outrider_lake::{Beside, CallPlace, Keeper, Lake, LakeReader, Location, Page, QueryLimits, Range, Retention};
use outrider_model::ApiCall;

use crate::calls::{ALL, DAY_MS, Filler, NOON_MS, damage, events_in, keep, mixed_call, plain_call};

pub fn reader(at: impl Into<Location>, lake: &Lake) -> LakeReader {
    LakeReader::open(at, Some(lake.tail()), QueryLimits::default()).unwrap()
}

/// One number out of a statement.
pub async fn number(reader: &LakeReader, statement: &str) -> i64 {
    let mut answer = reader.query(statement, &Beside::default()).await.unwrap();
    let batch = answer.next().await.unwrap().unwrap();
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

fn positions_of(page: &Page) -> Vec<i64> {
    let column = page.rows.as_ref().map(|rows| rows.column_by_name("position").unwrap());
    column.map(|column| column.as_primitive::<Int64Type>().values().to_vec()).unwrap_or_default()
}

/// The positions of an entity's calls, by pages of `rows`.
pub async fn positions(reader: &LakeReader, kind: &str, entity: &str, rows: usize) -> Vec<i64> {
    let mut range = Range { rows, ..Range::default() };
    let mut found = Vec::new();
    loop {
        let page = reader.page(kind, entity, &range).await.unwrap();
        let of_page = positions_of(&page);
        assert!(of_page.len() <= rows);
        found.extend(of_page);
        match page.next {
            Some(place) => range.before = Some(place),
            None => return found,
        }
    }
}

/// The positions of the calls that fit, newest first.
fn expected(calls: &[(i64, ApiCall<'_>)], fits: impl Fn(&ApiCall<'_>) -> bool) -> Vec<i64> {
    let mut found: Vec<_> =
        calls.iter().filter(|(_, call)| fits(call)).map(|(position, call)| (call.event_ms, *position)).collect();
    found.sort_unstable();
    found.into_iter().rev().map(|(_, position)| position).collect()
}

#[tokio::test]
async fn every_entity_has_its_calls_newest_first_wherever_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    // Three days, not in their order, as late calls are.
    let call = |number: i64| {
        let mut call = mixed_call(number);
        call.event_ms -= (number % 3) * DAY_MS;
        call
    };
    let calls: Vec<(i64, ApiCall<'_>)> = (1..=600).map(|number| (number, call(number))).collect();
    let of = |from: usize, to: usize| calls[from..to].iter().map(|(_, call)| call.clone()).collect::<Vec<_>>();
    for chunk in 0..4 {
        filler.commit(&of(chunk * 50, chunk * 50 + 50)).await;
    }
    let kept = keep(directory.path(), ALL, NOON_MS + DAY_MS).await;
    assert_eq!(kept.indexed, 200);
    filler.commit(&of(200, 400)).await;
    keep(directory.path(), ALL, NOON_MS + DAY_MS).await;
    // Committed and not in the timeline; shown and not committed.
    filler.commit(&of(400, 500)).await;
    filler.show(&of(500, 550));
    filler.show(&of(550, 600));
    let reader = reader(directory.path(), &filler.lake);
    for rows in [7, 1000] {
        for id in 0..7 {
            let is_it = |call: &ApiCall<'_>| call.consumer.as_ref().is_some_and(|c| *c.id == format!("id-{id}"));
            let found = positions(&reader, "consumer", &format!("id-{id}"), rows).await;
            assert_eq!(found, expected(&calls, is_it), "consumer {id} by {rows}");
            let found = positions(&reader, "credential", &format!("key-{id}"), rows).await;
            assert_eq!(found, expected(&calls, is_it), "credential {id} by {rows}");
        }
        for last in 1..5 {
            let address = std::net::IpAddr::from([192, 0, 2, last]);
            let found = positions(&reader, "ip", &address.to_string(), rows).await;
            assert_eq!(found, expected(&calls, |call| call.client_ip == Some(address)), "{address} by {rows}");
        }
    }
    for asn in [64_500_u32, 64_502] {
        let found = positions(&reader, "network", &asn.to_string(), 50).await;
        assert_eq!(found, expected(&calls, |call| call.enrichment.asn == Some(asn)), "network {asn}");
    }
    for merchant in ["0", "1", "7"] {
        let is_it = |call: &ApiCall<'_>| call.enrichment.entities.iter().any(|entity| &*entity.value == merchant);
        let found = positions(&reader, "business", &format!("merchant_id:{merchant}"), 13).await;
        assert!(!found.is_empty());
        assert_eq!(found, expected(&calls, is_it), "merchant {merchant}");
    }
    let session = calls[0].1.session.unwrap();
    let found = positions(&reader, "session", &session.to_string(), 100).await;
    assert_eq!(found, expected(&calls, |call| call.session == Some(session)));
    assert_eq!(positions(&reader, "consumer", "nobody", 100).await, [0_i64; 0]);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 600);
    assert_eq!(number(&reader, "SELECT count(DISTINCT position) FROM events").await, 600);
}

#[tokio::test]
async fn a_page_is_of_the_time_and_gateway_that_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let calls: Vec<_> = (1..=60)
        .map(|number| ApiCall { gateway: if number % 2 == 0 { "a".into() } else { "b".into() }, ..mixed_call(number) })
        .collect();
    filler.commit(&calls).await;
    for with_timeline in [false, true] {
        if with_timeline {
            keep(directory.path(), ALL, NOON_MS).await;
        }
        let reader = reader(directory.path(), &filler.lake);
        let range = Range {
            gateways: Some(vec!["a".into(), "c".into()]),
            since_ms: Some(NOON_MS + 16_000),
            until_ms: Some(NOON_MS + 46_000),
            rows: 2,
            ..Range::default()
        };
        let page = reader.page("ip", "192.0.2.1", &range).await.unwrap();
        assert_eq!(positions_of(&page), [36, 26], "46 is the first that is too late");
        let place = CallPlace { time_us: (NOON_MS + 26_000) * 1000, position: 26, index: 0 };
        assert_eq!(page.next, Some(place));
        let page = reader.page("ip", "192.0.2.1", &Range { before: Some(place), ..range }).await.unwrap();
        assert_eq!((positions_of(&page), page.next), (vec![16], None));
    }
}

/// Of so many calls in one file that they fill many of its pages.
#[tokio::test]
async fn whatever_is_asked_of_a_busy_entity_is_found_between_its_other_calls() {
    const CALLS: i64 = 60_000;
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let call = |number: i64| {
        let mut call = plain_call("/");
        // A call of somebody else now and then, before it and behind it in the order of entities.
        let of = [1, 7].get(usize::try_from(number % 500).unwrap()).copied().unwrap_or(5);
        call.client_ip = Some([192, 0, 2, of].into());
        call.event_ms = NOON_MS + number / 4;
        call.gateway = if number % 20_000 == 19 { "rare".into() } else { "kong".into() };
        call
    };
    let calls: Vec<_> = (1..=CALLS).map(|number| (number, call(number))).collect();
    filler.commit(&calls.iter().map(|(_, call)| call.clone()).collect::<Vec<_>>()).await;
    keep(directory.path(), ALL, NOON_MS).await;
    let reader = reader(directory.path(), &filler.lake);
    let is_busy = |call: &ApiCall<'_>| call.client_ip == Some([192, 0, 2, 5].into());
    assert_eq!(positions(&reader, "ip", "192.0.2.5", 1000).await, expected(&calls, is_busy));
    let newest = Range { rows: 3, ..Range::default() };
    let rare = Range { gateways: Some(vec!["rare".into()]), ..newest.clone() };
    let page = reader.page("ip", "192.0.2.5", &rare).await.unwrap();
    assert_eq!((positions_of(&page), page.next), (vec![40_019, 20_019, 19], None));
    let since = |ms: i64| Some(NOON_MS + ms);
    let middle = Range { since_ms: since(7_000), until_ms: since(7_001), rows: 10, ..Range::default() };
    let page = reader.page("ip", "192.0.2.5", &middle).await.unwrap();
    assert_eq!(positions_of(&page), [28_003, 28_002], "28,000 and 28,001 are of others");
    let before = Some(CallPlace { time_us: (NOON_MS + 7_000) * 1000, position: 28_003, index: 0 });
    let page = reader.page("ip", "192.0.2.5", &Range { before, ..newest }).await.unwrap();
    assert_eq!(positions_of(&page), [28_002, 27_999, 27_998]);
}

#[tokio::test]
async fn files_are_put_together_and_every_row_stays_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for number in 1..=40 {
        filler.commit(&[mixed_call(number), mixed_call(number + 1000)]).await;
    }
    let reader = reader(directory.path(), &filler.lake);
    let sum = "SELECT sum(position * 7 + status + CAST(event_time AS BIGINT) % 1000003) FROM events";
    let before = number(&reader, sum).await;
    let kept = keep(directory.path(), ALL, NOON_MS).await;
    assert!(kept.merges > 0);
    let size = Keeper::open(directory.path(), ALL).await.unwrap().size().unwrap();
    assert!(size.files <= 8 + 3, "{size:?}");
    assert_eq!(number(&reader, sum).await, before);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 80);
    // The day is over: one file a table.
    keep(directory.path(), ALL, NOON_MS + 2 * DAY_MS).await;
    let size = Keeper::open(directory.path(), ALL).await.unwrap().size().unwrap();
    assert_eq!((size.files, size.oldest_day.as_deref()), (3, Some("2026-11-28")));
    assert_eq!(number(&reader, sum).await, before);
    filler.commit(&[mixed_call(5000)]).await;
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 81, "the writer goes on");
}

#[tokio::test]
async fn days_that_are_over_go_from_every_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for day in 0..5 {
        filler.commit(&[ApiCall { event_ms: NOON_MS - day * DAY_MS, ..mixed_call(1) }]).await;
    }
    let retention = Retention { days: Some(2), bytes_max: None };
    let mut keeper = Keeper::open(directory.path(), retention).await.unwrap();
    let mut removed = Vec::new();
    for half_hours in 0..4 {
        let kept = keeper.keep(NOON_MS + half_hours * DAY_MS / 48).await.unwrap();
        removed.push((kept.days_removed, kept.days_over));
    }
    assert_eq!(removed, [(1, 1), (0, 1), (1, 0), (0, 0)], "the oldest first, and the next an hour later");
    let reader = reader(directory.path(), &filler.lake);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 3);
    assert_eq!(number(&reader, "SELECT count(*) FROM timeline WHERE entity_kind = 'ip'").await, 3);
    assert_eq!(number(&reader, "SELECT sum(calls) FROM endpoint_hours").await, 3);
    let kept = keep(directory.path(), Retention { days: None, bytes_max: Some(1) }, NOON_MS).await;
    assert_eq!(kept.days_removed, 2, "where there is no room they go at once");
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 1, "the running day stays");
}

#[tokio::test]
async fn a_clock_that_is_put_forward_takes_one_day_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for day in 0..20 {
        filler.commit(&[ApiCall { event_ms: NOON_MS - day * DAY_MS, ..mixed_call(1) }]).await;
    }
    let mut keeper = Keeper::open(directory.path(), Retention { days: Some(30), bytes_max: None }).await.unwrap();
    for now_ms in [NOON_MS, NOON_MS + 400 * DAY_MS, NOON_MS + 400 * DAY_MS + 60_000, NOON_MS + 60_000] {
        keeper.keep(now_ms).await.unwrap();
    }
    let reader = reader(directory.path(), &filler.lake);
    assert_eq!(number(&reader, "SELECT count(DISTINCT event_date) FROM events").await, 19);
}

/// The data files on the disk, and those of them that the newest versions of the tables have.
async fn files_on_disk_and_held(directory: &std::path::Path) -> [std::collections::BTreeSet<std::path::PathBuf>; 2] {
    let is_data = |file: &std::path::PathBuf| {
        file.extension().is_some_and(|kind| kind == "parquet") && !file.iter().any(|part| part == "_delta_log")
    };
    let mut on_disk = std::collections::BTreeSet::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if is_data(&path) {
                on_disk.insert(path.strip_prefix(directory).unwrap().to_owned());
            }
        }
    }
    let held = outrider_lake::files(directory).await.unwrap().unwrap().files.into_iter().filter(is_data).collect();
    [on_disk, held]
}

#[tokio::test(start_paused = true)]
async fn former_files_stay_for_an_hour_and_then_go() {
    const HOUR: std::time::Duration = std::time::Duration::from_secs(3601);
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let mut keeper = Keeper::open(directory.path(), ALL).await.unwrap();
    // More commits than between two checkpoints, which know nothing of files that are gone.
    for number in 1..=120 {
        filler.commit(&[mixed_call(number)]).await;
        if number % 10 == 0 {
            while keeper.keep(NOON_MS + DAY_MS).await.unwrap().complete().unwrap().has_more {}
        }
    }
    let killed = directory.path().join("events/event_date=2026-11-28/part-00000-left-by-a-killed-process.parquet");
    std::fs::write(&killed, b"half").unwrap();
    let [on_disk, held] = files_on_disk_and_held(directory.path()).await;
    assert!(on_disk.len() > 100 && held.len() < 10, "{} on disk, {} held", on_disk.len(), held.len());

    tokio::time::advance(HOUR).await;
    keeper.keep(NOON_MS + DAY_MS).await.unwrap();
    assert!(killed.exists(), "it was not there at the look before, and somebody may be writing it");
    // What comes meanwhile is held at the next look, and what it is put together with is not any more.
    filler.commit(&[mixed_call(121)]).await;
    while keeper.keep(NOON_MS + DAY_MS).await.unwrap().complete().unwrap().has_more {}
    for _ in 0..2 {
        tokio::time::advance(HOUR).await;
        keeper.keep(NOON_MS + DAY_MS).await.unwrap();
    }
    let [on_disk, held] = files_on_disk_and_held(directory.path()).await;
    assert_eq!(on_disk, held);
    let reader = reader(directory.path(), &filler.lake);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 121);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_keeps_nothing_else_from_being_done() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for number in 1..=8 {
        filler.commit(&[mixed_call(number)]).await;
    }
    let (damaged, sound) = damage(directory.path(), "events", "2026-11-28");
    filler.commit(&[ApiCall { event_ms: NOON_MS - 40 * DAY_MS, ..mixed_call(30) }]).await;
    // Of another day.
    for number in 11..=18 {
        filler.commit(&[ApiCall { event_ms: NOON_MS - DAY_MS, ..mixed_call(number) }]).await;
    }
    let mut keeper = Keeper::open(directory.path(), Retention { days: Some(30), bytes_max: None }).await.unwrap();
    let kept = keeper.keep(NOON_MS + DAY_MS).await.unwrap();
    let said: Vec<_> = kept.failures.iter().map(ToString::to_string).collect();
    for what in ["make the timeline of", "add up the calls of", "merge files of"] {
        assert!(said.iter().any(|said| said.contains(what)), "{what}: {said:?}");
    }
    assert_eq!(
        (kept.days_removed, kept.merges, kept.has_more),
        (1, 0, true),
        "the newest day is the one that is damaged"
    );
    let kept = keeper.keep(NOON_MS + DAY_MS).await.unwrap().complete().unwrap();
    assert_eq!(
        (kept.merges, kept.has_more),
        (1, true),
        "the other day's files are put together, and nothing is tried again"
    );
    let reader = reader(directory.path(), &filler.lake);
    let of_other_day = "SELECT count(*) FROM events WHERE event_date < DATE '2026-11-28'";
    assert_eq!(number(&reader, of_other_day).await, 8);
    // Who puts the file back, as from a backup, has nothing else to do.
    std::fs::write(&damaged, sound).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(3601)).await;
    let mut keep = async || keeper.keep(NOON_MS + DAY_MS).await.unwrap().complete().unwrap();
    assert_eq!(keep().await.indexed, 16);
    while keep().await.has_more {}
    assert_eq!(keeper.size().unwrap().files, 6, "a file of each day and table");
    assert_eq!(number(&reader, "SELECT count(*) FROM timeline WHERE entity_kind = 'ip'").await, 14);
}

#[tokio::test]
async fn two_writers_by_mistake_are_told_and_nothing_is_doubled() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let mut other = Filler::open(directory.path()).await;
    filler.commit(&[plain_call("/a")]).await;
    let (rows, position) = (deltalake::arrow::array::RecordBatch::new_empty(outrider_lake::arrow_schema()), 1);
    let error = other.lake.commit(std::slice::from_ref(&rows), position).await.unwrap_err();
    assert!(error.to_string().contains("commit to"), "{error}");
    // It looks how far the table is, and finds that this position is covered.
    other.lake.commit(&[rows], position).await.unwrap();
    assert_eq!(other.lake.position(), 1);
    let reader = reader(directory.path(), &filler.lake);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 1);
}

#[tokio::test]
async fn two_keepers_by_mistake_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    for number in 1..=20 {
        filler.commit(&[mixed_call(number)]).await;
    }
    let mut first = Keeper::open(directory.path(), ALL).await.unwrap();
    let mut second = Keeper::open(directory.path(), ALL).await.unwrap();
    // Each step is done by the one who commits it first, and the other one says so.
    let (_, _) = tokio::join!(first.keep(NOON_MS), second.keep(NOON_MS));
    keep(directory.path(), ALL, NOON_MS).await;
    let reader = reader(directory.path(), &filler.lake);
    assert_eq!(number(&reader, "SELECT count(*) FROM events").await, 20);
    let in_timeline = "SELECT count(DISTINCT position) - count(*) FROM timeline WHERE entity_kind = 'ip'";
    assert_eq!(number(&reader, in_timeline).await, 0, "nothing is in the timeline twice");
}

/// Makes an empty table as a version did that did not know some columns.
pub async fn older_table(path: &std::path::Path, schema: &deltalake::arrow::datatypes::Schema, lacking: &[&str]) {
    use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
    std::fs::create_dir(path).unwrap();
    let schema: deltalake::kernel::StructType = schema.try_into_kernel().unwrap();
    deltalake::operations::create::CreateBuilder::new()
        .with_location(url::Url::from_directory_path(path.canonicalize().unwrap()).unwrap())
        .with_columns(schema.fields().filter(|field| !lacking.contains(&field.name().as_str())).cloned())
        .with_partition_columns(["event_date"])
        .await
        .unwrap();
}

#[tokio::test]
async fn an_older_table_gets_the_columns_that_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let lacking = [
        "own_refusal",
        "session",
        "consumer_tags",
        "country",
        "latitude_e4",
        "entities",
        "fields",
        "signs",
        "jwt_lifetime_s",
        "data_classes",
    ];
    older_table(&directory.path().join("events"), &outrider_lake::arrow_schema(), &lacking).await;
    let mut filler = Filler::open(directory.path()).await;
    filler.commit(&[mixed_call(1)]).await;
    let reader = reader(directory.path(), &filler.lake);
    assert_eq!(number(&reader, "SELECT count(session) FROM events").await, 1);
    drop(filler);
    assert_eq!(Lake::open(directory.path()).await.unwrap().position(), 1);
}

#[tokio::test]
async fn a_table_with_a_column_of_an_operators_is_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let filler = Filler::open(directory.path()).await;
    let url = url::Url::from_directory_path(events_in(&filler.lake)).unwrap();
    let note = deltalake::kernel::StructField::nullable("note", deltalake::kernel::DataType::STRING);
    deltalake::open_table(url).await.unwrap().add_columns().with_fields([note]).await.unwrap();
    drop(filler);
    let mut filler = Filler::open(directory.path()).await;
    filler.commit(&[mixed_call(1)]).await;
    let reader = reader(directory.path(), &filler.lake);
    assert_eq!(number(&reader, "SELECT count(*) FROM events WHERE note IS NULL").await, 1);
}

/// Somebody lets another engine put files together, which does not look at their order and says nothing of it.
#[tokio::test]
async fn files_that_another_engine_put_together_are_read_and_put_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut filler = Filler::open(directory.path()).await;
    let calls: Vec<(i64, ApiCall<'_>)> = (1..=400).map(|number| (number, mixed_call(number))).collect();
    let of = |numbers: std::ops::Range<usize>| calls[numbers].iter().map(|(_, call)| call.clone()).collect::<Vec<_>>();
    for chunk in 0..3 {
        filler.commit(&of(chunk * 100..chunk * 100 + 100)).await;
        keep(directory.path(), ALL, NOON_MS).await;
    }
    let timeline = directory.path().canonicalize().unwrap().join("timeline");
    let table = deltalake::open_table(url::Url::from_directory_path(timeline).unwrap()).await.unwrap();
    let (_, metrics) = table.optimize().await.unwrap();
    assert_eq!((metrics.num_files_removed, metrics.num_files_added), (3, 1));
    let reader = reader(directory.path(), &filler.lake);
    let check = async |calls: &[(i64, ApiCall<'_>)]| {
        for id in 0..7 {
            let is_it = |call: &ApiCall<'_>| call.consumer.as_ref().is_some_and(|c| *c.id == format!("id-{id}"));
            let consumer = format!("id-{id}");
            assert_eq!(positions(&reader, "consumer", &consumer, 7).await, expected(calls, is_it), "{consumer}");
        }
    };
    check(&calls[..300]).await;
    filler.commit(&of(300..400)).await;
    keep(directory.path(), ALL, NOON_MS + 2 * DAY_MS).await;
    assert_eq!(Keeper::open(directory.path(), ALL).await.unwrap().size().unwrap().files, 3, "one of each table");
    check(&calls).await;
    let erase =
        outrider_lake::Erase { kind: "consumer".into(), entity: "id-3".into(), up_to: 400, rows_are_out: false };
    let erased = Keeper::open(directory.path(), ALL).await.unwrap().erase(&erase, &|| false).await.unwrap();
    assert!(erased.calls > 0);
    let is_left = |call: &ApiCall<'_>| call.consumer.as_ref().is_none_or(|consumer| *consumer.id != *"id-3");
    let left: Vec<_> = calls.iter().filter(|(_, call)| is_left(call)).cloned().collect();
    check(&left).await;
}

#[tokio::test]
async fn what_an_operator_set_of_a_table_stays() {
    const KEPT: [&str; 2] = ["delta.logRetentionDuration", "delta.deletedFileRetentionDuration"];
    let directory = tempfile::tempdir().unwrap();
    let filler = Filler::open(directory.path()).await;
    let url = url::Url::from_directory_path(events_in(&filler.lake)).unwrap();
    drop(filler);
    let kept = async |set: Option<[&str; 2]>| {
        let mut table = deltalake::open_table(url.clone()).await.unwrap();
        if let Some(set) = set {
            let properties = KEPT.map(str::to_owned).into_iter().zip(set.map(str::to_owned)).collect();
            table = table.set_tbl_properties().with_properties(properties).await.unwrap();
        }
        let configuration = table.snapshot().unwrap().metadata().configuration().clone();
        KEPT.map(|property| configuration[property].clone())
    };
    assert_eq!(kept(None).await, ["interval 2 hours", "interval 1 hours"]);
    // A day for the log is what earlier versions set.
    for (set, stays) in [
        (["interval 1 days", "interval 1 days"], ["interval 2 hours", "interval 1 days"]),
        (["interval 7 days", "interval 3 hours"], ["interval 7 days", "interval 3 hours"]),
    ] {
        kept(Some(set)).await;
        drop(Filler::open(directory.path()).await);
        assert_eq!(kept(None).await, stays);
    }
}
