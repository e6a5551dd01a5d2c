//! The events table: exactly once, rebuilt exactly, whole after a kill between write and commit.

use outrider_lake::{Lake, LakeError, Rows, call_from_row};
use outrider_model::EndpointId;

use crate::calls::{events_in, full_call, plain_call};

#[test]
fn the_exact_call_is_rebuilt_from_its_row() {
    let calls = [full_call(), plain_call("/"), full_call(), plain_call("")];
    let mut rows = Rows::default();
    for (at, call) in (0u32..).zip(&calls) {
        rows.push(call, (at % 2 == 0).then_some(EndpointId(5)), 11, at);
    }
    assert_eq!(rows.len(), 4);
    let batch = rows.finish().unwrap();
    assert!(rows.is_empty());
    for (at, call) in calls.iter().enumerate() {
        let (rebuilt, endpoint) = call_from_row(&batch, at).unwrap();
        assert_eq!(&rebuilt, call, "row {at}");
        assert_eq!(endpoint, (at % 2 == 0).then_some(EndpointId(5)));
    }
}

async fn commit(lake: &mut Lake, position: u64, paths: &[&str]) {
    let mut rows = Rows::default();
    for (at, path) in (0u32..).zip(paths) {
        rows.push(&plain_call(path), None, position, at);
    }
    lake.commit(&[rows.finish().unwrap()], position).await.unwrap();
}

/// What a reader that knows nothing of us finds: the rows of the files that the table's log names.
async fn count_rows(lake: &Lake) -> usize {
    let url = url::Url::from_directory_path(events_in(lake)).unwrap();
    let table = deltalake::open_table(url).await.unwrap();
    let files: Vec<String> = table.get_file_uris().unwrap().collect();
    files
        .iter()
        .map(|uri| {
            let path = url::Url::parse(uri).map_or_else(|_| uri.into(), |url| url.to_file_path().unwrap());
            let file = std::fs::File::open(path).unwrap();
            let reader =
                deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>()
        })
        .sum()
}

#[tokio::test]
async fn a_retry_leaves_out_what_another_commit_covers_in_part() {
    let directory = tempfile::tempdir().unwrap();
    let rows = |positions: std::ops::RangeInclusive<u64>| {
        let mut rows = Rows::default();
        positions.for_each(|position| rows.push(&plain_call("/a"), None, position, 0));
        rows.finish().unwrap()
    };
    let mut lake = Lake::open(directory.path()).await.unwrap();
    let mut other = Lake::open(directory.path()).await.unwrap();
    other.commit(&[rows(1..=6)], 6).await.unwrap();
    lake.commit(&[rows(1..=10)], 10).await.unwrap_err();
    lake.commit(&[rows(1..=10)], 10).await.unwrap();
    assert_eq!((lake.position(), count_rows(&lake).await), (10, 10));
}

#[tokio::test]
async fn a_position_is_committed_once_also_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(directory.path()).await.unwrap();
    assert_eq!(lake.position(), 0);
    commit(&mut lake, 10, &["/a", "/b"]).await;
    commit(&mut lake, 10, &["/a", "/b"]).await;
    commit(&mut lake, 7, &["/old"]).await;
    drop(lake);
    let mut lake = Lake::open(directory.path()).await.unwrap();
    assert_eq!(lake.position(), 10);
    commit(&mut lake, 10, &["/a", "/b"]).await;
    commit(&mut lake, 12, &["/c"]).await;
    assert_eq!(count_rows(&lake).await, 3);
}

#[tokio::test]
async fn files_that_no_commit_names_are_not_part_of_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(directory.path()).await.unwrap();
    commit(&mut lake, 1, &["/a"]).await;
    let stray = events_in(&lake).join("event_date=2026-01-05").join("part-killed-before-commit.parquet");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(stray, b"PAR1 half a file").unwrap();
    drop(lake);
    let lake = Lake::open(directory.path()).await.unwrap();
    assert_eq!((lake.position(), count_rows(&lake).await), (1, 1));
}

#[tokio::test]
async fn many_commits_stay_readable_past_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(directory.path()).await.unwrap();
    for position in 1..=120 {
        commit(&mut lake, position, &["/a"]).await;
    }
    drop(lake);
    let lake = Lake::open(directory.path()).await.unwrap();
    assert_eq!((lake.position(), count_rows(&lake).await), (120, 120));
}

#[tokio::test]
async fn a_directory_that_is_a_file_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("events"), b"").unwrap();
    let error = Lake::open(directory.path()).await.err().unwrap();
    assert!(matches!(error, LakeError::Directory { .. }));
    assert!(error.to_string().contains("events"), "{error}");
}
