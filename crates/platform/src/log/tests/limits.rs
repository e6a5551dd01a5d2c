use super::super::record::{CALL_NUMBER_MAX, RECORD_BYTES_MAX};
use super::*;

#[test]
fn at_the_size_limit_calls_are_refused_and_decisions_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LogSettings { segment_bytes_max: 4096, total_bytes_max: 64 * 1024, ..LogSettings::default() };
    let (mut log, _) = Log::open(dir.path(), settings).unwrap();
    let mut call = 0;
    let error = loop {
        call += 1;
        if let Err(error) = log.append(&[batch(1, call, call, 1000)]) {
            break error;
        }
        log.sync().unwrap();
    };
    assert!(matches!(error, LogError::Full { limit: 61_440, .. }), "{error}");
    assert_eq!(log.stats().refused_full, 1);
    assert!(log.stats().bytes <= 61_440);
    for number in 0..3 {
        log.append(&[numbered(number, 900)]).unwrap();
        log.sync().unwrap();
    }
    assert!(matches!(log.append(&[numbered(9, 2000)]), Err(LogError::Full { limit: 65_536, .. })));
    log.cut_below(log.durable()).unwrap();
    log.append(&[batch(1, call, call, 1000)]).unwrap();
    log.sync().unwrap();
    assert_eq!(log.marks().last(1), Some(call));
}

#[test]
fn what_is_too_large_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), LogSettings::default()).unwrap();
    let error = log.append(&[NewRecord::tick(0), batch(1, 1, 1, RECORD_BYTES_MAX)]).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { limit: RECORD_BYTES_MAX, .. }), "{error}");
    assert_eq!(log.last(), Position::ZERO);
    log.append(&[batch(1, 1, 1, RECORD_BYTES_MAX - 32)]).unwrap();
    assert!(matches!(log.append(&[NewRecord::tick(0)]), Err(LogError::Busy { .. })), "the buffer has a limit");
    log.sync().unwrap();
    log.append(&[NewRecord::tick(0)]).unwrap();
    assert_eq!(log.sync().unwrap(), Position(2));
    let mut reader = log.reader(Position(1));
    assert_eq!(reader.next().unwrap().unwrap().payload.len(), RECORD_BYTES_MAX);
    assert_eq!(reader.next().unwrap().unwrap().kind, RecordKind::Tick);
}

#[test]
fn ranges_that_no_collector_comes_to_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), LogSettings::default()).unwrap();
    let batch =
        |epoch, first, last, count| NewRecord::calls(0, CallBatch { epoch, first, last, count, batch: vec![1] });
    let max = CALL_NUMBER_MAX;
    for (first, last, count) in [(1, u64::MAX, 0), (1, u64::MAX, 1), (1, 1, 0), (0, 1, 2), (2, 1, 1), (1, max + 1, 9)] {
        let error = log.append(&[batch(1, first, last, count)]).unwrap_err();
        assert!(matches!(error, LogError::Range { .. }), "{first}..={last}: {error}");
    }
    // The largest gaps there can be add up.
    let stored = log.append(&[batch(1, max, max, 1), batch(2, max, max, 1)]).unwrap();
    assert_eq!(stored.missing_calls, 2 * (max - 1));
    assert_eq!(log.append(&[batch(1, max, max, 1)]).unwrap().duplicates, 1);
    log.sync().unwrap();
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (LogSettings { segment_bytes_max: 100, ..LogSettings::default() }, "segment_bytes_max"),
        (LogSettings { segment_bytes_max: u64::MAX, ..LogSettings::default() }, "segment_bytes_max"),
        (LogSettings { total_bytes_max: 1, ..LogSettings::default() }, "total_bytes_max"),
    ];
    for (settings, name) in cases {
        let error = Log::open(dir.path(), settings).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn epochs_are_forgotten_at_their_limit_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(dir.path(), LogSettings::default()).unwrap();
    for epoch in 0..EPOCHS_MAX as u64 + 10 {
        log.append(&[batch(epoch, 1, 1, 10)]).unwrap();
    }
    log.sync().unwrap();
    assert_eq!(log.stats().forgotten_epochs, 10);
    assert_eq!(log.marks().len(), EPOCHS_MAX);
    let marks = log.marks().clone();
    drop(log);
    let (log, _) = Log::open(dir.path(), LogSettings::default()).unwrap();
    assert_eq!(log.marks(), &marks, "recovery forgets the same ones");
}
