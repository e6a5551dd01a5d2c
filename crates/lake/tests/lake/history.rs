//! Files that are imported, and the past in its order.

use std::ops::RangeInclusive;

use outrider_lake::{ImportMark, Lake, LakeReader, Past, QueryLimits, Retention, Rows, call_from_row};
use outrider_model::{ApiCall, EndpointId};

use crate::calls::{DAY_MS, NOON_MS, full_call, keep, mixed_call};

fn rows(calls: &[ApiCall<'_>], position: u64) -> outrider_lake::arrow::array::RecordBatch {
    let mut rows = Rows::default();
    for (index, call) in (0u32..).zip(calls) {
        rows.push(call, Some(EndpointId(5)), position, index);
    }
    rows.finish().unwrap()
}

/// The calls as they come, by place in the log and path.
async fn read(directory: &std::path::Path, records: Option<&[RangeInclusive<u64>]>, until_ms: i64) -> Vec<String> {
    let reader = LakeReader::open(directory, None, QueryLimits::default()).unwrap();
    let mut calls = reader.in_order(Past { records, until_ms }).await.unwrap();
    let mut read = Vec::new();
    while let Some(batch) = calls.next_rows().await {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let (call, endpoint) = call_from_row(&batch, row).unwrap();
            assert_eq!(endpoint, Some(EndpointId(5)));
            read.push(call.path.to_string());
        }
    }
    assert_eq!(calls.calls(), read.len() as u64);
    read
}

#[tokio::test]
async fn the_past_comes_in_the_order_of_its_time_whatever_the_log_says() {
    let directory = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(directory.path()).await.unwrap();
    let at = |number, event_ms| ApiCall { event_ms, ..mixed_call(number) };
    // Live calls, then an older day that was imported with a line of the future, then live calls again.
    lake.commit(&[rows(&[at(5, NOON_MS), at(6, NOON_MS)], 3)], 3).await.unwrap();
    let old = [at(2, NOON_MS - DAY_MS + 5), at(1, NOON_MS - DAY_MS), at(9, NOON_MS + DAY_MS), at(3, NOON_MS - 1)];
    lake.commit(&[rows(&old, 4)], 4).await.unwrap();
    lake.commit(&[rows(&[at(7, NOON_MS), at(4, NOON_MS - 1), at(0, -1)], 5)], 6).await.unwrap();
    let all = ["1", "2", "3", "4", "5", "6", "7", "9"].map(|number| format!("/orders/{number}"));
    assert_eq!(read(directory.path(), None, NOON_MS + 2 * DAY_MS).await, all);
    assert_eq!(read(directory.path(), None, NOON_MS + 1).await, all[..7]);
    let of = |records: &[RangeInclusive<u64>]| records.to_vec();
    let imported = [&all[0], &all[1], &all[2], &all[7]].map(Clone::clone);
    assert_eq!(read(directory.path(), Some(&of(&[4..=4])), i64::MAX).await, imported);
    assert_eq!(read(directory.path(), Some(&of(&[1..=3, 5..=9])), i64::MAX).await, all[3..7]);
    assert!(read(directory.path(), Some(&[]), i64::MAX).await.is_empty());
    // Merging changes nothing, and a row gives the very call.
    keep(directory.path(), Retention::default(), NOON_MS + 3 * DAY_MS).await;
    assert_eq!(read(directory.path(), None, NOON_MS + 2 * DAY_MS).await, all);
    lake = Lake::open(directory.path()).await.unwrap();
    lake.commit(&[rows(&[full_call()], 7)], 7).await.unwrap();
    let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
    let past = Past { records: Some(&[7..=7]), until_ms: i64::MAX };
    let batch = reader.in_order(past).await.unwrap().next_rows().await.unwrap().unwrap();
    assert_eq!(call_from_row(&batch, 0).unwrap().0, full_call());
}

#[tokio::test]
async fn how_far_a_file_is_imported_is_known_with_its_rows() {
    let directory = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(directory.path()).await.unwrap();
    assert_eq!(lake.imported_lines("one").await.unwrap(), 0);
    for (position, file, lines) in [(2, "one", 10), (3, "two", 4), (5, "one", 17)] {
        lake.commit_imported(&[rows(&[mixed_call(1)], position)], position, ImportMark { file, lines }).await.unwrap();
    }
    lake.commit(&[], 9).await.unwrap();
    for mut lake in [lake, Lake::open(directory.path()).await.unwrap()] {
        let known = [lake.imported_lines("one").await.unwrap(), lake.imported_lines("two").await.unwrap()];
        assert_eq!((known, lake.position()), ([17, 4], 9));
        assert_eq!(lake.imported_lines("three").await.unwrap(), 0);
        // A position that is covered already takes no mark with it either.
        let mark = ImportMark { file: "two", lines: 99 };
        lake.commit_imported(&[rows(&[mixed_call(1)], 9)], 9, mark).await.unwrap();
        assert_eq!(lake.imported_lines("two").await.unwrap(), 4);
    }
}
