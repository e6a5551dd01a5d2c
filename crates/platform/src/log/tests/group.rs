use std::sync::Arc;
use std::time::Duration;

use super::faults::{Fault, Faulty, Operation};
use super::*;

fn writer(dir: &Path, queue_bytes_max: usize) -> LogWriter {
    let (log, _) = Log::open(dir, small()).unwrap();
    LogWriter::start(log, queue_bytes_max).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_append_share_commits_and_each_gets_its_own_position() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), LogSettings::default()).unwrap();
    let writer = LogWriter::start(log, QUEUE_BYTES_DEFAULT).unwrap();
    let tasks: Vec<_> = (0..50u64)
        .map(|task| {
            let handle = writer.handle();
            tokio::spawn(async move {
                let mut given = Vec::new();
                for number in 0..20 {
                    let appended = handle.append(vec![numbered(task * 100 + number, 100)]).await.unwrap();
                    assert!(*handle.durable().borrow() >= appended.last, "acknowledged before it is durable");
                    given.push((appended.last.0, task * 100 + number));
                }
                given
            })
        })
        .collect();
    let mut given = std::collections::BTreeMap::new();
    for task in tasks {
        given.extend(task.await.unwrap());
    }
    let handle = writer.handle();
    let stats = handle.stats();
    assert_eq!((given.len(), stats.records), (1000, 1000));
    assert!(stats.commits < 1000, "{} commits", stats.commits);
    let mut reader = handle.reader(Position::ZERO);
    for (position, number) in given {
        let record = reader.next().unwrap().unwrap();
        assert_eq!((record.position.0, number_of(&record)), (position, number));
    }
    writer.stop();
    assert!(reader.is_closed());
    assert!(matches!(handle.append(vec![NewRecord::tick(0)]).await, Err(LogError::Closed)));
}

#[tokio::test]
async fn a_commit_that_fails_fails_everybody_who_waited_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let faulty = Faulty::default();
    let (log, _) = Log::open_on(dir.path(), small(), Arc::new(faulty.clone())).unwrap();
    let writer = LogWriter::start(log, QUEUE_BYTES_DEFAULT).unwrap();
    let handle = writer.handle();
    handle.append(vec![batch(1, 1, 5, 10)]).await.unwrap();
    faulty.arm(Operation::Sync, 0, Fault::Device);
    let error = handle.append(vec![batch(1, 6, 9, 10)]).await.unwrap_err();
    assert!(matches!(error, LogError::Sync { .. }), "{error}");
    // The collector sends it again and it is new; once more and it is not.
    let again = handle.append(vec![batch(1, 6, 9, 10)]).await.unwrap();
    assert_eq!((again.records, again.duplicates), (1, 0));
    let twice = handle.append(vec![batch(1, 6, 9, 10)]).await.unwrap();
    assert_eq!((twice.records, twice.duplicates, twice.last), (0, 1, again.last));
    assert_eq!(handle.stats().last, again.last);
}

#[tokio::test]
async fn when_too_much_waits_it_is_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), 16 * 1024);
    let handle = writer.handle();
    let mut pending = Vec::new();
    let mut call = 0;
    let error = loop {
        // The writer is faster than this now and then, so go on until it is not.
        call += 1;
        match handle.try_append(vec![batch(1, call, call, 3000)]) {
            Ok(request) => pending.push(request),
            Err(LogError::Full { .. }) => panic!("the log is full before its queue is"),
            Err(error) => break error,
        }
        if call == 200 {
            handle.cut_below(*handle.durable().borrow()).await.unwrap();
            assert!(call < 100_000);
        }
    };
    assert!(matches!(error, LogError::Busy { limit: 16_384 }), "{error}");
    assert_eq!(handle.stats().refused_busy, 1);
    let accepted = pending.len() as u64;
    for request in pending {
        request.await.unwrap();
    }
    assert_eq!(handle.stats().records, accepted);
    let error = handle.try_append(vec![batch(2, 1, 1, 17_000)]).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { .. }), "{error}");
    let error = handle.append(vec![batch(2, 1, 1, 17_000)]).await.unwrap_err();
    assert!(matches!(error, LogError::TooLarge { .. }), "{error}");
    // With room again, the next one goes through.
    assert_eq!(handle.append(vec![batch(1, call, call, 3000)]).await.unwrap().records, 1);
}

#[test]
fn a_waiting_reader_wakes_for_each_record_and_for_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), QUEUE_BYTES_DEFAULT);
    let handle = writer.handle();
    let mut reader = handle.reader(Position::ZERO);
    assert!(!reader.wait(Duration::ZERO));
    let thread = std::thread::spawn(move || {
        let mut numbers = Vec::new();
        loop {
            while let Some(record) = reader.next().unwrap() {
                numbers.push(number_of(&record));
            }
            if !reader.wait(Duration::from_secs(30)) {
                assert!(reader.is_closed());
                return numbers;
            }
        }
    });
    for number in 1..=100 {
        let pending = handle.try_append(vec![numbered(number, 200)]).unwrap();
        assert_eq!(pending.wait_blocking().unwrap().last, Position(number));
    }
    writer.stop();
    assert_eq!(thread.join().unwrap(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_queued_is_written_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), QUEUE_BYTES_DEFAULT);
    let handle = writer.handle();
    let pending: Vec<_> = (1..=200).map(|number| handle.try_append(vec![numbered(number, 100)]).unwrap()).collect();
    let cut = tokio::spawn({
        let handle = handle.clone();
        async move { handle.cut_below(Position(100)).await }
    });
    cut.await.unwrap().unwrap();
    drop(writer);
    for (request, number) in pending.into_iter().zip(1..) {
        assert_eq!(request.await.unwrap().last, Position(number));
    }
    drop(handle);
    let (_, opened) = Log::open(dir.path(), small()).unwrap();
    assert_eq!(opened.last, Position(200));
}
