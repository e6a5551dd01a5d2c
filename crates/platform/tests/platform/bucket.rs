//! A platform whose lake is in a bucket: which lake it refuses, and what it can do without. `make engines` installs the store.

use std::path::Path;
use std::time::Duration;

use outrider_lake::{Beside, BucketSettings, LakeReader, Location, QueryLimits};
use outrider_model::batch::BatchWriter;
use outrider_model::{EntityKind, Subject};
use outrider_platform::analysis::AnalysisSettings;
use outrider_platform::log::LogSettings;
use outrider_platform::service::{LakeSettings, Platform, PlatformSettings};
use outrider_platform::store::{Place, PlaceState};

use crate::erasing::{done, now_ms, until};
use crate::s3::{Store, keys};
use crate::support::{Call, api_call};

fn location(store: &Store, data_dir: &Path) -> Location {
    let settings = BucketSettings {
        bucket: "lake".to_owned(),
        endpoint: Some(store.endpoint()),
        allow_http: true,
        credentials_file: Some(keys(data_dir)),
        ..BucketSettings::default()
    };
    Location::bucket(settings, data_dir.join("lake"), "test")
}

async fn start(store: &Store, data_dir: &Path) -> Result<Platform, String> {
    let how = LakeSettings { commit_interval: Duration::from_millis(50), ..LakeSettings::default() };
    let settings = PlatformSettings {
        data_dir: data_dir.to_owned(),
        installation: "test".to_owned(),
        gateways: vec!["kong".to_owned()],
        analysis: AnalysisSettings::default(),
        log: LogSettings::default(),
        lake_location: location(store, data_dir),
        lake: Some(how),
        snapshot_interval: Duration::from_secs(3600),
        notify: Vec::new(),
    };
    Platform::start(settings, now_ms).await.map_err(|error| error.to_string())
}

async fn send(platform: &Platform, epoch: u64, calls: u32) {
    for number in 1..=calls {
        let path = format!("/shop/items/{number}");
        let call = Call { at_ms: now_ms(), consumer: "alice".to_owned(), path, status: 200 };
        let mut writer = BatchWriter::default();
        writer.push(&api_call(&call)).unwrap();
        platform.ingest(epoch + u64::from(number)).accept(writer.take(), 1, now_ms());
    }
    let looked = async || (platform.status().progress().calls >= u64::from(calls)).then_some(());
    until("the calls are analysed", looked).await;
}

async fn calls_in(store: &Store, data_dir: &Path) -> usize {
    let reader = LakeReader::open(location(store, data_dir), None, QueryLimits::default()).unwrap();
    let mut answer = reader.query("SELECT position FROM events", &Beside::default()).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = answer.next().await {
        rows += batch.unwrap().num_rows();
    }
    rows
}

async fn committed(platform: &Platform, rows: u64) {
    let looked = async || (platform.status().progress().lake_rows >= rows).then_some(());
    until("the calls are committed", looked).await;
}

async fn said(platform: &Platform, words: &str) {
    let looked = async || platform.status().progress().lake_error.contains(words).then_some(());
    until(words, looked).await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        match path.is_dir() {
            true => copy(&path, &to),
            false => assert!(std::fs::copy(path, to).is_ok()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the store that `make engines` installs"]
async fn of_two_logs_that_part_only_the_one_that_wrote_the_lake_goes_on() {
    let (mut store, directory) = (Store::start(false), tempfile::tempdir().unwrap());
    let (original, copied) = (directory.path().join("original"), directory.path().join("copy"));
    std::fs::create_dir(&original).unwrap();
    let first = start(&store, &original).await.unwrap();
    send(&first, 100, 3).await;
    committed(&first, 3).await;
    first.stop().await;
    copy(&original, &copied);

    // The copy takes over while the original runs, whose log then becomes the longer one.
    let first = start(&store, &original).await.unwrap();
    let second = start(&store, &copied).await.unwrap();
    send(&second, 200, 2).await;
    committed(&second, 2).await;
    send(&first, 300, 9).await;
    said(&first, "another outrider of this installation").await;
    first.stop().await;
    second.stop().await;
    let refused = start(&store, &original).await.map(drop).unwrap_err();
    assert!(refused.contains("or a copy of it has written there since"), "{refused}");

    // The same where the store comes back after the start.
    store.go("away");
    let first = start(&store, &original).await.unwrap();
    store.go("back");
    said(&first, "or a copy of it has written there since").await;
    first.stop().await;
    assert_eq!(calls_in(&store, &copied).await, 5);

    let second = start(&store, &copied).await.unwrap();
    send(&second, 400, 1).await;
    committed(&second, 1).await;
    second.stop().await;
    assert_eq!(calls_in(&store, &copied).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the store that `make engines` installs"]
async fn a_start_needs_no_store_that_fails_half_way() {
    let (mut store, directory) = (Store::start(false), tempfile::tempdir().unwrap());
    let platform = start(&store, directory.path()).await.unwrap();
    send(&platform, 100, 3).await;
    committed(&platform, 3).await;
    platform.stop().await;
    store.go("broken");
    let platform = start(&store, directory.path()).await.unwrap();
    send(&platform, 200, 2).await;
    store.go("well");
    committed(&platform, 2).await;
    platform.stop().await;
    assert_eq!(calls_in(&store, directory.path()).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the store that `make engines` installs"]
async fn an_erasure_says_that_a_lake_of_before_is_still_in_the_data_directory() {
    let (store, directory) = (Store::start(false), tempfile::tempdir().unwrap());
    let platform = start(&store, directory.path()).await.unwrap();
    send(&platform, 100, 3).await;
    std::fs::create_dir_all(directory.path().join("lake/events")).unwrap();
    for (state, words) in [(PlaceState::NotCovered, "a lake of before in"), (PlaceState::Done, "")] {
        let subject = Subject::new(EntityKind::Consumer, "alice").unwrap();
        let asked = platform.store().ask_erasure(&subject, "root", now_ms()).await.unwrap();
        let erasure = done(&platform, &asked.id).await;
        let lake = erasure.places.iter().find(|place| place.place == Place::Lake).unwrap();
        assert!(lake.state == state && lake.words.contains(words), "{lake:?}");
        std::fs::remove_dir_all(directory.path().join("lake/events")).ok();
    }
    assert_eq!(calls_in(&store, directory.path()).await, 0);
    platform.stop().await;
}
