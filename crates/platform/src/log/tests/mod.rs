mod damage;
mod faults;
mod group;
mod limits;
mod model;

use std::path::Path;

use super::*;

/// Small segments, so that a test of a few records sees several.
fn small() -> LogSettings {
    LogSettings { segment_bytes_max: 4096, total_bytes_max: 1024 * 1024, ..LogSettings::default() }
}

fn batch(epoch: u64, first: u64, last: u64, bytes: usize) -> NewRecord {
    let batch = (0..bytes).map(|at| (at as u64 ^ first) as u8).collect();
    NewRecord::calls(0, CallBatch { epoch, first, last, count: (last - first + 1) as u32, batch })
}

/// A record that says which one it is.
fn numbered(number: u64, bytes: usize) -> NewRecord {
    let text = format!("{number}:{}", "x".repeat(bytes));
    NewRecord::settings(number as i64, &text).unwrap()
}

fn number_of(record: &Record<'_>) -> u64 {
    record.json::<String>().unwrap().split(':').next().unwrap().parse().unwrap()
}

/// Everything that a reader gives from a position on.
fn read_all(reader: &mut LogReader) -> Result<Vec<(u64, RecordKind, Vec<u8>)>, LogError> {
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push((record.position.0, record.kind, record.payload.to_vec()));
    }
    Ok(records)
}

fn segment_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    files.sort();
    files
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in segment_files(to) {
        std::fs::remove_file(file).unwrap();
    }
    for file in segment_files(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn records_come_back_in_order_over_rolls_and_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut number = 0;
    for round in 0..5 {
        let (mut log, opened) = Log::open(dir.path(), small()).unwrap();
        assert_eq!((opened.last, opened.cut_bytes), (Position(number), 0), "round {round}");
        for _ in 0..20 {
            number += 1;
            let stored = log.append(&[numbered(number, 300)]).unwrap();
            assert_eq!(stored.last, Position(number));
            if number.is_multiple_of(3) {
                assert_eq!(log.sync().unwrap(), Position(number));
            }
        }
        log.sync().unwrap();
    }
    let mut reader = LogReader::open(dir.path(), Position::ZERO, OnDamage::Refuse).unwrap();
    for expected in 1..=number {
        let record = reader.next().unwrap().unwrap();
        assert_eq!(
            (record.position, record.kind, record.at_ms),
            (Position(expected), RecordKind::Settings, expected as i64)
        );
        assert_eq!(number_of(&record), expected);
    }
    assert_eq!(reader.next().unwrap(), None);
    assert!(segment_files(dir.path()).len() > 5);
}

#[test]
fn every_kind_of_record_keeps_its_payload() {
    for compress in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(dir.path(), LogSettings { compress, ..small() }).unwrap();
        let gap = Gap { count: 3, missing: Missing::Unnumbered, reason: "the queue was full".to_owned() };
        let calls = CallBatch { epoch: u64::MAX, first: 1, last: 9, count: 9, batch: vec![7; 2000] };
        let incompressible = CallBatch { epoch: 5, first: 1, last: 1, count: 1, batch: (0..200).collect() };
        log.append(&[
            NewRecord::calls(5, calls.clone()),
            NewRecord::tick(6),
            NewRecord::gap(7, &gap).unwrap(),
            NewRecord::calls(8, incompressible.clone()),
        ])
        .unwrap();
        log.sync().unwrap();
        let mut reader = log.reader(Position::ZERO);
        let mut scratch = Vec::new();
        let record = reader.next().unwrap().unwrap();
        assert_eq!(record.payload.len() < 1000, compress);
        let read = record.calls(&mut scratch).unwrap();
        assert_eq!((read.epoch(), read.first(), read.last(), read.count()), (u64::MAX, 1, 9, 9));
        assert_eq!(read.batch, calls.batch);
        assert_eq!(reader.next().unwrap().unwrap().kind, RecordKind::Tick);
        let record = reader.next().unwrap().unwrap();
        assert_eq!(record.json::<Gap>().unwrap(), gap);
        let error = record.calls(&mut scratch).unwrap_err().to_string();
        assert!(error.contains("record 3") && error.contains("Gap"), "{error}");
        assert_eq!(reader.next().unwrap().unwrap().calls(&mut scratch).unwrap().batch, incompressible.batch);
    }
}

#[test]
fn log_time_never_goes_back_even_over_a_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), small()).unwrap();
    let times = [100, 50, 120, 119, i64::MIN, 130];
    for at_ms in times {
        log.append(&[NewRecord::tick(at_ms)]).unwrap();
    }
    log.append(&[numbered(900, 4000)]).unwrap();
    log.sync().unwrap();
    log.append(&[numbered(1, 4000)]).unwrap();
    log.sync().unwrap();
    let mut reader = log.reader(Position(1));
    let mut read = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        read.push(record.at_ms);
    }
    assert_eq!(read, [100, 100, 120, 120, 120, 130, 900, 900]);
    assert_eq!(log.stats().clock_went_back, 4);
    log.cut_below(Position(8)).unwrap();
    drop(log);
    let (mut log, opened) = Log::open(dir.path(), small()).unwrap();
    assert_eq!(opened.first, Position(8));
    log.append(&[NewRecord::tick(3)]).unwrap();
    log.sync().unwrap();
    let mut reader = log.reader(Position(9));
    assert_eq!(reader.next().unwrap().unwrap().at_ms, 900);
}

#[test]
fn readers_follow_rolls_and_cuts_at_their_own_pace() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), small()).unwrap();
    let mut fast = log.reader(Position::ZERO);
    let mut slow = log.reader(Position(1));
    assert_eq!(fast.next().unwrap(), None);
    let mut seen = 0;
    for number in 1..=60 {
        log.append(&[numbered(number, 500)]).unwrap();
        assert_eq!(fast.next().unwrap(), None, "record {number} is not durable yet");
        log.sync().unwrap();
        assert_eq!(number_of(&fast.next().unwrap().unwrap()), number);
        if number.is_multiple_of(4) {
            seen += 1;
            assert_eq!(number_of(&slow.next().unwrap().unwrap()), seen);
        }
    }
    let freed = log.cut_below(Position(40)).unwrap();
    assert!(freed > 0);
    let first = log.stats().first;
    assert!(first > Position(16) && first <= Position(40));
    // It stands in a segment that is gone and may read it to its end; behind that it is told what it missed.
    let error = loop {
        match slow.next() {
            Ok(Some(record)) => assert!(record.position < first),
            Ok(None) => panic!("the reader stops at the cut without a word"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Cut { first: at, .. } if at == first), "{error}");
    assert!(slow.next().is_err());
    let mut late = log.reader(Position::ZERO);
    assert_eq!(late.next().unwrap().unwrap().position, first);
}

#[test]
fn a_batch_is_stored_once_and_what_is_missing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), small()).unwrap();
    let stored = log.append(&[batch(1, 1, 10, 50), batch(1, 1, 10, 50), batch(1, 11, 20, 50)]).unwrap();
    assert_eq!((stored.records, stored.duplicates, stored.last), (2, 1, Position(2)));
    let stored = log.append(&[batch(1, 25, 30, 50)]).unwrap();
    assert_eq!((stored.records, stored.missing_calls, stored.last), (2, 4, Position(4)));
    let error = log.append(&[batch(2, 1, 1, 50), batch(1, 28, 35, 50)]).unwrap_err();
    assert!(matches!(error, LogError::Overlap { mark: 30, .. }), "{error}");
    assert!(matches!(
        log.append(&[
            batch(3, 2, 2, 1),
            NewRecord::calls(0, CallBatch { epoch: 3, first: 9, last: 8, count: 0, batch: vec![] })
        ]),
        Err(LogError::Range { .. })
    ));
    assert_eq!(log.last(), Position(4), "of a refused append nothing stays");
    assert_eq!(log.marks().last(2), None);
    log.sync().unwrap();
    let mut reader = log.reader(Position(3));
    let gap: Gap = reader.next().unwrap().unwrap().json().unwrap();
    assert_eq!((gap.count, gap.missing), (4, Missing::Calls { epoch: 1, first: 21, last: 24 }));
}

#[test]
fn marks_survive_the_cutting_of_the_segments_they_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), small()).unwrap();
    log.append(&[batch(1, 1, 10, 100), batch(2, 1, 7, 100)]).unwrap();
    log.sync().unwrap();
    for number in 1..=30 {
        log.append(&[numbered(number, 1000)]).unwrap();
        log.sync().unwrap();
    }
    log.cut_below(log.durable()).unwrap();
    assert!(log.stats().first > Position(10));
    drop(log);
    let (log, _) = Log::open(dir.path(), small()).unwrap();
    assert_eq!(log.marks().verdict(1, 1, 10), Verdict::Duplicate);
    assert_eq!(log.marks().verdict(2, 8, 9), Verdict::New);
    assert_eq!(log.marks().verdict(2, 9, 9), Verdict::Gap { first: 8, last: 8 });
}

#[test]
fn a_second_process_is_told_who_holds_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), small()).unwrap();
    let error = Log::open(dir.path(), small()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(LogReader::open(dir.path(), Position::ZERO, OnDamage::Refuse).is_err());
    drop(log);
    Log::open(dir.path(), small()).unwrap();
}

#[test]
fn a_log_that_was_moved_away_gives_no_position_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), small()).unwrap();
    log.begin_after(Position(41)).unwrap();
    let mut reader = log.reader(Position(42));
    assert_eq!(reader.next().unwrap(), None);
    assert_eq!(log.append(&[numbered(42, 1)]).unwrap().last, Position(42));
    log.sync().unwrap();
    assert_eq!(number_of(&reader.next().unwrap().unwrap()), 42);
    assert_eq!(log.reader(Position::ZERO).next().unwrap().unwrap().position, Position(42));
    assert!(matches!(log.reader(Position(7)).next(), Err(LogError::Cut { .. })));
    drop(log);
    let (mut log, opened) = Log::open(dir.path(), small()).unwrap();
    assert_eq!((opened.first, opened.last), (Position(42), Position(42)));
    log.begin_after(Position(42)).unwrap();
    let error = log.begin_after(Position(43)).unwrap_err().to_string();
    assert!(error.contains("ends with record 42") && error.contains("older copy"), "{error}");
}

#[test]
fn a_segment_ends_where_its_records_have_to_go_and_only_there() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), small()).unwrap();
    let add = |log: &mut Log, number| {
        log.append(&[numbered(number, 10)]).unwrap();
        log.sync().unwrap();
    };
    add(&mut log, 1);
    add(&mut log, 2);
    log.end_segment_with(Position(3));
    assert_eq!(log.cut_below(Position(3)).unwrap(), 0, "it has no such record, and the last segment stays");
    log.end_segment_with(Position(2));
    assert_eq!(log.cut_below(Position(3)).unwrap(), 0, "nothing has come after it");
    add(&mut log, 3);
    log.end_segment_with(Position(2));
    add(&mut log, 4);
    assert_eq!(segment_files(dir.path()).len(), 2, "asked for again, it ends no other");
    assert!(log.cut_below(Position(3)).unwrap() > 0);
    let mut reader = log.reader(Position::ZERO);
    let left: Vec<_> = read_all(&mut reader).unwrap().into_iter().map(|(position, ..)| position).collect();
    assert_eq!(left, [3, 4]);
    drop(log);
    let (log, opened) = Log::open(dir.path(), small()).unwrap();
    assert_eq!((opened.first, log.last()), (Position(3), Position(4)));
}
