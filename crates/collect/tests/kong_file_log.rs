//! The file source on real files: what Kong and whoever rotates its log do to them, and what a kill does to the source. Time is
//! virtual, so that minutes of quiet take no time.
#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outrider_collect::{
    Clock, CollectError, Counters, CountersSnapshot, Delivery, FileStart, KongFileLog, KongFileLogConfig, MicroBatch,
    PseudonymKey, SourceConfig,
};
use outrider_model::Trust;
use outrider_model::batch::BatchReader;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const NOW_MS: i64 = 1_795_448_391_727;

/// Longer than anything here takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(1000);

/// Several looks at a file, and never at the moment of one.
const A_WHILE: Duration = Duration::from_millis(2117);

/// A directory with a log in it, a place for positions, and what stands for outrider's own log.
struct Bench {
    directory: TempDir,
    config: KongFileLogConfig,
    stored: Vec<MicroBatch>,
}

struct Running {
    counters: Arc<Counters>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    deliveries: mpsc::Receiver<Delivery>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // A test need not wait for the first look before it writes.
        let start = FileStart::Beginning;
        let config = KongFileLogConfig { start, ..KongFileLogConfig::new(directory.path().join("calls.log")) };
        Bench { directory, config, stored: Vec::new() }
    }

    fn log(&self) -> PathBuf {
        self.config.path.clone()
    }

    /// Another name in the log's directory.
    fn beside(&self, name: &str) -> PathBuf {
        self.config.path.with_file_name(name)
    }

    fn open(&self, sender: mpsc::Sender<Delivery>) -> Result<KongFileLog, CollectError> {
        let clock: Arc<dyn Clock> = Arc::new(|| NOW_MS);
        let key = PseudonymKey::from_bytes(&[7; 32]);
        KongFileLog::open(&self.config, key, clock, sender, None, &self.directory.path().join("positions"))
    }

    /// Starts the source, and tells it what the log holds, as a process does.
    fn start(&self) -> Running {
        let (sender, deliveries) = mpsc::channel(16);
        let source = self.open(sender).unwrap();
        for batch in &self.stored {
            BatchReader::new(&batch.calls).unwrap().for_each(|call| source.remember(&call.unwrap()));
        }
        let (counters, stop) = (source.counters(), CancellationToken::new());
        let task = tokio::spawn(source.run(stop.clone()));
        Running { counters, stop, task, deliveries }
    }

    /// Takes what comes until nothing has for a while; the paths of all that.
    async fn store(&mut self, source: &mut Running) -> Vec<String> {
        let mut seen = Vec::new();
        while let Ok(Some(delivery)) = tokio::time::timeout(A_WHILE, source.deliveries.recv()).await {
            seen.extend(paths(&delivery));
            self.stored.extend(delivery.batches);
            delivery.are_stored.send(true).unwrap();
        }
        seen
    }
}

impl Running {
    async fn delivery(&mut self) -> Delivery {
        tokio::time::timeout(PATIENCE, self.deliveries.recv()).await.expect("in time").expect("a delivery")
    }

    /// Ends it as a kill does: nothing of it goes on.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Stops, and checks that every line is accounted for.
    async fn stop(self) -> CountersSnapshot {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("in time").unwrap();
        let seen = self.counters.snapshot();
        assert_eq!(seen.received, seen.accepted + seen.rejected_total() + seen.dropped_total(), "{seen:?}");
        seen
    }
}

/// A line of a Kong that draws no request ids.
fn line(path: &str) -> String {
    format!(r#"{{"request":{{"uri":"/{path}","method":"GET"}},"response":{{"status":200}},"started_at":{NOW_MS}}}"#)
        + "\n"
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn paths(delivery: &Delivery) -> Vec<String> {
    let calls = delivery.batches.iter().flat_map(|batch| BatchReader::new(&batch.calls).unwrap());
    calls.map(|call| call.unwrap().path.into_string().split_off(1)).collect()
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbered(numbers).iter().map(|number| line(number)).collect()
}

/// A file that is long enough to be known by its beginning.
const ENOUGH: u32 = 60;

#[tokio::test(start_paused = true)]
async fn lines_count_when_they_are_stored_and_an_unfinished_one_waits_for_its_end() {
    let mut bench = Bench::new();
    bench.config.start = FileStart::End;
    append(&bench.log(), &(line("long-ago") + r#"{"request":{"uri":"/begun""#));
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    append(&bench.log(), r#"}}"#);
    assert_eq!(bench.store(&mut source).await, [""; 0], "its line has not ended");
    append(&bench.log(), &("\n".to_owned() + &line("a") + &line("b") + "\n{\"request\":"));
    let delivery = source.delivery().await;
    assert_eq!(paths(&delivery), ["begun", "a", "b"]);
    assert_eq!(&*delivery.batches[0].source, format!("kong_file_log {}", bench.log().display()));
    assert_eq!(source.counters.snapshot().received, 0, "nothing is stored yet");
    delivery.are_stored.send(true).unwrap();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    let seen = source.stop().await;
    assert_eq!((seen.received, seen.accepted, seen.rejected_total()), (3, 3, 0));
    assert_eq!(seen.file.as_ref().unwrap().waiting_bytes, "{\"request\":".len() as u64);
    let skipped = line("long-ago").len();
    let written = std::fs::metadata(bench.log()).unwrap().len() as usize - "{\"request\":".len();
    assert_eq!(seen.bytes as usize, written - skipped);
}

#[tokio::test(start_paused = true)]
async fn a_new_source_begins_where_it_is_told_and_an_old_one_where_it_was() {
    for (start, first) in [(FileStart::End, 2..2), (FileStart::Beginning, 0..2)] {
        let mut bench = Bench::new();
        bench.config.start = start;
        append(&bench.log(), &lines(0..2));
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, numbered(first));
        source.kill().await;
        append(&bench.log(), &lines(2..4));
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, numbered(2..4), "{start:?}");
        append(&bench.log(), &lines(4..5));
        assert_eq!(bench.store(&mut source).await, numbered(4..5));
        source.stop().await;
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, [""; 0]);
        source.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_later_is_read_from_its_beginning() {
    let mut bench = Bench::new();
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    let state = |source: &Running| {
        let file = source.counters.snapshot().file.unwrap();
        (file.is_missing, file.problem)
    };
    assert_eq!(state(&source), (true, None));
    source.kill().await;
    // Also where it comes while nobody looks.
    append(&bench.log(), &lines(0..3));
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, numbered(0..3));
    assert_eq!(state(&source), (false, None));
    // A directory is no log, and it is said.
    std::fs::rename(bench.log(), bench.beside("gone")).unwrap();
    std::fs::create_dir(bench.log()).unwrap();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    assert_eq!(state(&source), (false, Some("it is no regular file".to_owned())));
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_file_is_read_on_until_nothing_more_comes() {
    let mut bench = Bench::new();
    append(&bench.log(), "");
    let mut source = bench.start();
    append(&bench.log(), &lines(0..2));
    assert_eq!(bench.store(&mut source).await, numbered(0..2));
    std::fs::rename(bench.log(), bench.beside("calls.log.1")).unwrap();
    // Kong has it open still, and nothing is at the path.
    append(&bench.beside("calls.log.1"), &lines(2..4));
    assert_eq!(bench.store(&mut source).await, numbered(2..4));
    // One worker writes to the new file, another one to the old.
    append(&bench.log(), &lines(5..6));
    append(&bench.beside("calls.log.1"), &lines(4..5));
    assert_eq!(bench.store(&mut source).await, numbered(4..6));
    // It is deleted, and still written to by whoever has it open.
    let mut old = OpenOptions::new().append(true).open(bench.beside("calls.log.1")).unwrap();
    std::fs::remove_file(bench.beside("calls.log.1")).unwrap();
    old.write_all((lines(6..7) + "{\"request\":").as_bytes()).unwrap();
    assert_eq!(bench.store(&mut source).await, numbered(6..7));
    assert_eq!(source.counters.snapshot().file.unwrap().rotated_files, 1);
    tokio::time::sleep(Duration::from_secs(400)).await;
    append(&bench.log(), &lines(7..8));
    assert_eq!(bench.store(&mut source).await, numbered(7..8));
    let seen = source.stop().await;
    let file = seen.file.unwrap();
    assert_eq!((file.rotated_files, file.rotations, file.truncations), (0, 1, 0));
    assert_eq!(seen.rejected, [("torn".to_owned(), 1)].into(), "its last line never ended");
}

#[tokio::test(start_paused = true)]
async fn a_renamed_file_is_not_let_go_while_its_successor_is_empty() {
    let mut bench = Bench::new();
    append(&bench.log(), "");
    let mut source = bench.start();
    append(&bench.log(), &lines(0..1));
    assert_eq!(bench.store(&mut source).await, numbered(0..1));
    // As logrotate does with `create`, and nobody has told Kong.
    std::fs::rename(bench.log(), bench.beside("calls.log.1")).unwrap();
    append(&bench.log(), "");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    append(&bench.beside("calls.log.1"), &lines(1..2));
    assert_eq!(bench.store(&mut source).await, numbered(1..2));
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_cut_begins_anew_and_the_rest_is_read_in_its_copy() {
    let mut bench = Bench::new();
    append(&bench.log(), "");
    let mut source = bench.start();
    append(&bench.log(), &lines(0..ENOUGH));
    assert_eq!(bench.store(&mut source).await, numbered(0..ENOUGH));
    // As logrotate does with `copytruncate`; the copy has what came since the last look, which the log has no more.
    append(&bench.log(), &lines(ENOUGH..ENOUGH + 2));
    std::fs::copy(bench.log(), bench.beside("calls.log.1")).unwrap();
    File::options().write(true).open(bench.log()).unwrap().set_len(0).unwrap();
    append(&bench.log(), &lines(ENOUGH + 2..ENOUGH + 3));
    assert_eq!(bench.store(&mut source).await, numbered(ENOUGH..ENOUGH + 3));
    // Without a copy, and longer than before at the next look: its beginning tells.
    File::options().write(true).open(bench.log()).unwrap().set_len(0).unwrap();
    append(&bench.log(), &lines(100..103));
    assert_eq!(bench.store(&mut source).await, numbered(100..103));
    // Of the same size, and renamed at once.
    File::options().write(true).open(bench.log()).unwrap().set_len(0).unwrap();
    append(&bench.log(), &lines(200..203));
    std::fs::rename(bench.log(), bench.beside("calls.log.2")).unwrap();
    append(&bench.log(), &lines(300..301));
    let expected: Vec<String> = ["200", "201", "202", "300"].map(str::to_owned).into();
    assert_eq!(bench.store(&mut source).await, expected);
    let seen = source.stop().await;
    assert_eq!(seen.file.unwrap().truncations, 3);
}

#[tokio::test(start_paused = true)]
async fn what_happened_to_the_file_while_nobody_read_is_found_out() {
    type Happen = fn(&Bench);
    let cases: [(&str, Happen, u32); 4] = [
        ("nothing", |_| {}, 0),
        (
            "renamed",
            |bench| {
                std::fs::rename(bench.log(), bench.beside("calls-20261124.log")).unwrap();
                append(&bench.log(), &lines(200..202));
            },
            202,
        ),
        (
            "copied and cut",
            |bench| {
                std::fs::copy(bench.log(), bench.beside("calls.log.1")).unwrap();
                File::options().write(true).open(bench.log()).unwrap().set_len(0).unwrap();
                append(&bench.log(), &lines(200..202));
            },
            202,
        ),
        (
            "restored from a copy",
            |bench| {
                std::fs::copy(bench.log(), bench.beside("copy")).unwrap();
                std::fs::rename(bench.beside("copy"), bench.log()).unwrap();
            },
            0,
        ),
    ];
    for (what, happen, end) in cases {
        let mut bench = Bench::new();
        append(&bench.log(), "");
        let mut source = bench.start();
        append(&bench.log(), &lines(0..ENOUGH));
        assert_eq!(bench.store(&mut source).await, numbered(0..ENOUGH));
        source.kill().await;
        append(&bench.log(), &lines(ENOUGH..ENOUGH + 3));
        happen(&bench);
        let mut source = bench.start();
        let mut expected = numbered(ENOUGH..ENOUGH + 3);
        expected.extend(numbered(end.saturating_sub(2)..end));
        assert_eq!(bench.store(&mut source).await, expected, "{what}");
        source.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn lines_that_were_handed_on_at_a_kill_are_taken_once_whether_they_were_stored_or_not() {
    for is_stored in [false, true] {
        let mut bench = Bench::new();
        append(&bench.log(), "");
        let mut source = bench.start();
        append(&bench.log(), &lines(0..2));
        assert_eq!(bench.store(&mut source).await, numbered(0..2));
        append(&bench.log(), &lines(2..4));
        let delivery = source.delivery().await;
        assert_eq!(paths(&delivery), numbered(2..4));
        source.kill().await;
        if is_stored {
            bench.stored.extend(delivery.batches);
        }
        append(&bench.log(), &lines(4..5));
        let expected = if is_stored { numbered(4..5) } else { numbered(2..5) };
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, expected, "stored: {is_stored}");
        source.kill().await;
        // It was noted, so it need not be found in the log again.
        bench.stored.clear();
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, [""; 0]);
        source.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_not_stored_come_again() {
    let mut bench = Bench::new();
    append(&bench.log(), "");
    let mut source = bench.start();
    append(&bench.log(), &lines(0..2));
    let refused = source.delivery().await;
    assert_eq!(paths(&refused), numbered(0..2));
    refused.are_stored.send(false).unwrap();
    append(&bench.log(), &lines(2..3));
    // Dropped without a word: nobody stored it.
    drop(source.delivery().await);
    assert_eq!(bench.store(&mut source).await, numbered(0..3));
    let seen = source.stop().await;
    assert_eq!((seen.received, seen.refused), (3, [("not_stored".to_owned(), 2)].into()));
}

#[tokio::test(start_paused = true)]
async fn bad_lines_are_counted_by_reason_and_the_rest_is_read() {
    let mut bench = Bench::new();
    bench.config.line_bytes_max = 1024;
    append(&bench.log(), "");
    let mut source = bench.start();
    append(&bench.log(), &("garbage\r\n\n[]\n".to_owned() + &"x".repeat(200_000)));
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    append(&bench.log(), &("x".to_owned() + "\n" + &line("a") + line("b").trim_end() + &line("c")));
    assert_eq!(bench.store(&mut source).await, ["a", "b", "c"]);
    let seen = source.stop().await;
    let expected = [("not_an_object", 1), ("not_json", 1), ("too_long", 1)];
    assert_eq!(seen.rejected, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!((seen.received, seen.accepted), (6, 3));
    assert_eq!(seen.bytes, std::fs::metadata(bench.log()).unwrap().len());
}

#[tokio::test(start_paused = true)]
async fn many_lines_come_in_order_and_one_batch_at_a_time() {
    let mut bench = Bench::new();
    append(&bench.log(), "");
    let mut source = bench.start();
    append(&bench.log(), &lines(0..20_000));
    let first = source.delivery().await;
    assert_eq!(first.batches.len(), 1);
    assert!((4096..10_000).contains(&first.batches[0].count), "{}", first.batches[0].count);
    let mut seen = paths(&first);
    assert!(tokio::time::timeout(A_WHILE, source.deliveries.recv()).await.is_err(), "the first is not stored yet");
    first.are_stored.send(true).unwrap();
    seen.extend(bench.store(&mut source).await);
    assert_eq!(seen, numbered(0..20_000));
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_secret_makes_a_line_trusted() {
    let mut bench = Bench::new();
    let secret_file = bench.beside("kong.secret");
    std::fs::write(&secret_file, "an-agreed-secret-of-some-length\n").unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    bench.config.secret_file = Some(secret_file);
    append(&bench.log(), "");
    let mut source = bench.start();
    let proven = line("a").replacen('{', r#"{"outrider_key":"an-agreed-secret-of-some-length","#, 1);
    append(&bench.log(), &(proven + &line("b")));
    bench.store(&mut source).await;
    let calls = BatchReader::new(&bench.stored[0].calls).unwrap();
    assert_eq!(calls.map(|call| call.unwrap().trust).collect::<Vec<_>>(), [Trust::Trusted, Trust::Untrusted]);
    let seen = source.stop().await;
    assert_eq!((seen.untrusted, seen.health.without_secret), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_position_is_no_beginning() {
    let mut bench = Bench::new();
    append(&bench.log(), "");
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    source.stop().await;
    let kept = std::fs::read_dir(bench.directory.path().join("positions")).unwrap().next().unwrap().unwrap();
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for damage in ["", "{}", r#"{"version":2,"files":[]}"#] {
        std::fs::write(kept.path(), damage).unwrap();
        let error = bench.open(mpsc::channel(1).0).err().unwrap().to_string();
        assert!(error.contains("is damaged or of a newer version"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_out_of_reach_at_a_start_is_read_on_when_it_comes_back() {
    type Hide = fn(&Bench);
    // Before the mount, and where something else is in its place.
    let cases: [(&str, Hide); 2] =
        [("not there", |_| {}), ("no file", |bench| std::fs::create_dir(bench.log()).unwrap())];
    for (what, hide) in cases {
        let mut bench = Bench::new();
        append(&bench.log(), &lines(0..ENOUGH));
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, numbered(0..ENOUGH));
        source.kill().await;
        let elsewhere = tempfile::tempdir_in(bench.directory.path()).unwrap();
        let away = elsewhere.path().join("calls.log");
        std::fs::rename(bench.log(), &away).unwrap();
        append(&away, &lines(ENOUGH..ENOUGH + 2));
        hide(&bench);
        for _ in 0..2 {
            let mut source = bench.start();
            assert_eq!(bench.store(&mut source).await, [""; 0], "{what}");
            source.kill().await;
        }
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, [""; 0], "{what}");
        let _ = std::fs::remove_dir(bench.log());
        std::fs::rename(&away, bench.log()).unwrap();
        assert_eq!(bench.store(&mut source).await, numbered(ENOUGH..ENOUGH + 2), "{what}");
        assert_eq!(source.stop().await.file.unwrap().rotations, 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_out_of_reach_is_read_in_what_it_became() {
    let mut bench = Bench::new();
    append(&bench.log(), &lines(0..ENOUGH));
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, numbered(0..ENOUGH));
    source.kill().await;
    let elsewhere = tempfile::tempdir_in(bench.directory.path()).unwrap();
    let away = elsewhere.path().join("calls.log");
    std::fs::rename(bench.log(), &away).unwrap();
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    append(&away, &lines(ENOUGH..ENOUGH + 1));
    std::fs::rename(&away, bench.beside("calls.log.1")).unwrap();
    append(&bench.log(), &lines(ENOUGH + 1..ENOUGH + 2));
    assert_eq!(bench.store(&mut source).await, numbered(ENOUGH..ENOUGH + 2));
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn where_to_begin_is_not_forgotten_before_anything_was_seen() {
    let mut bench = Bench::new();
    bench.config.start = FileStart::End;
    // It stands for a file that cannot be opened: for the superuser there is none.
    std::fs::create_dir(bench.log()).unwrap();
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    source.stop().await;
    std::fs::remove_dir(bench.log()).unwrap();
    append(&bench.log(), &lines(0..ENOUGH));
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, [""; 0]);
    append(&bench.log(), &lines(ENOUGH..ENOUGH + 1));
    assert_eq!(bench.store(&mut source).await, numbered(ENOUGH..ENOUGH + 1));
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_has_lost_its_end_goes_on_there() {
    for is_away in [false, true] {
        let mut bench = Bench::new();
        append(&bench.log(), &lines(0..ENOUGH));
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, numbered(0..ENOUGH));
        // As a power cut does: the last line is there by half.
        let size = lines(0..ENOUGH - 1).len() + 20;
        let lose = || File::options().write(true).open(bench.log()).unwrap().set_len(size as u64).unwrap();
        if is_away {
            source.kill().await;
            lose();
            source = bench.start();
        } else {
            lose();
        }
        assert_eq!(bench.store(&mut source).await, [""; 0], "away: {is_away}");
        append(&bench.log(), &("\n".to_owned() + &lines(ENOUGH..ENOUGH + 2)));
        assert_eq!(bench.store(&mut source).await, numbered(ENOUGH..ENOUGH + 2), "away: {is_away}");
        source.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_lines_are_stored_waits_for_the_next_look() {
    let mut bench = Bench::new();
    bench.config.poll_ms = 60_000;
    append(&bench.log(), &lines(0..1));
    let mut source = bench.start();
    for number in 0..3 {
        let delivery = source.delivery().await;
        assert_eq!(paths(&delivery), numbered(number..number + 1));
        append(&bench.log(), &lines(number + 1..number + 2));
        let before = tokio::time::Instant::now();
        delivery.are_stored.send(true).unwrap();
        let early = tokio::time::timeout(Duration::from_secs(59), source.deliveries.recv()).await;
        assert!(early.is_err(), "after {:?}", before.elapsed());
    }
    // All that waits when it is looked at is taken without a pause.
    append(&bench.log(), &lines(4..20_000));
    let delivery = source.delivery().await;
    delivery.are_stored.send(true).unwrap();
    let early = tokio::time::timeout(Duration::from_secs(1), source.deliveries.recv()).await;
    early.expect("at once").unwrap().are_stored.send(true).unwrap();
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_file_that_is_still_written_to_does_not_hold_up_the_new_one() {
    let mut bench = Bench::new();
    append(&bench.log(), &lines(0..1));
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, numbered(0..1));
    let old = bench.beside("calls.log.1");
    std::fs::rename(bench.log(), &old).unwrap();
    append(&bench.log(), &line("new"));
    append(&old, &lines(1..2));
    let mut seen = Vec::new();
    for number in 2..5 {
        let delivery = source.delivery().await;
        seen.extend(paths(&delivery));
        append(&old, &lines(number..number + 1));
        delivery.are_stored.send(true).unwrap();
    }
    assert_eq!(seen[..2], ["1", "new"], "{seen:?}");
    seen.extend(bench.store(&mut source).await);
    assert_eq!(seen.len(), 5, "{seen:?}");
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn however_often_a_file_is_copied_and_cut_few_copies_are_read() {
    let mut bench = Bench::new();
    let mut source = bench.start();
    // Nothing can be stored meanwhile, so that no copy is done with.
    for round in 0..20 {
        append(&bench.log(), &lines(round * 1000..round * 1000 + ENOUGH));
        let delivery = source.delivery().await;
        std::fs::copy(bench.log(), bench.beside(&format!("calls.log.{round}"))).unwrap();
        File::options().write(true).open(bench.log()).unwrap().set_len(0).unwrap();
        delivery.are_stored.send(false).unwrap();
        let seen = source.counters.snapshot().file.unwrap();
        assert!(seen.rotated_files <= 16, "{round}: {seen:?}");
    }
    append(&bench.log(), &line("last"));
    let seen = bench.store(&mut source).await;
    assert_eq!((seen.len(), seen[0].as_str()), (16 * ENOUGH as usize + 1, "0"));
    assert_eq!(seen.last().unwrap(), "last");
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pipe_is_not_opened() {
    let mut bench = Bench::new();
    let path = bench.log();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    // It waits for somebody who reads.
    let writer = std::thread::spawn(move || drop(OpenOptions::new().write(true).open(path).unwrap()));
    let mut source = bench.start();
    for _ in 0..50 {
        assert_eq!(bench.store(&mut source).await, [""; 0]);
    }
    assert_eq!(source.counters.snapshot().file.unwrap().problem.as_deref(), Some("it is no regular file"));
    assert!(!writer.is_finished(), "somebody has opened it");
    source.stop().await;
    let reader = File::open(bench.log()).unwrap();
    writer.join().unwrap();
    drop(reader);
}

#[tokio::test(start_paused = true)]
async fn a_file_has_one_position_however_its_directory_is_named() {
    let mut bench = Bench::new();
    append(&bench.log(), &lines(0..ENOUGH));
    let mut source = bench.start();
    assert_eq!(bench.store(&mut source).await, numbered(0..ENOUGH));
    source.stop().await;
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(bench.directory.path(), elsewhere.path().join("link")).unwrap();
    let name = bench.config.path.clone();
    let directory = bench.directory.path().file_name().unwrap().to_owned();
    for path in [
        elsewhere.path().join("link/calls.log"),
        elsewhere.path().join("link/./calls.log"),
        bench.directory.path().join("..").join(directory).join("calls.log"),
    ] {
        let config = KongFileLogConfig::new(&path);
        let other = SourceConfig::KongFileLog(config);
        let first = SourceConfig::KongFileLog(KongFileLogConfig::new(&name));
        assert_eq!(other.resolved_file(), first.resolved_file(), "{}", path.display());
        bench.config.path = path;
        let mut source = bench.start();
        assert_eq!(bench.store(&mut source).await, [""; 0]);
        source.stop().await;
    }
    let not_there = |path: &str| {
        SourceConfig::KongFileLog(KongFileLogConfig::new(elsewhere.path().join(path))).resolved_file().unwrap()
    };
    assert_eq!(not_there("link/none/a.log"), bench.directory.path().canonicalize().unwrap().join("none/a.log"));
}

/// Whatever Kong, a rotation and kills do one after the other, each line is taken once.
#[tokio::test(start_paused = true)]
async fn each_line_counts_once_whatever_happens() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    });
    println!("SEED={seed}");
    let mut random = seed;
    let mut choose = |of: u64| {
        // Knuth's MMIX generator, of which the upper bits are used.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % of
    };
    let mut bench = Bench::new();
    append(&bench.log(), "");
    let mut source = bench.start();
    let (mut written, mut seen, mut rotations) = (0u32, Vec::new(), 0);
    seen.extend(bench.store(&mut source).await);
    for _ in 0..150 {
        match choose(10) {
            0..5 => {
                let more = 1 + choose(80) as u32;
                append(&bench.log(), &lines(written..written + more));
                written += more;
            }
            5 => {
                // Only what is known by its beginning is found again in whatever place.
                if std::fs::metadata(bench.log()).unwrap().len() > 4096 {
                    rotations += 1;
                    std::fs::rename(bench.log(), bench.beside(&format!("calls.log.{rotations}"))).unwrap();
                    append(&bench.log(), &line(&written.to_string()));
                    written += 1;
                    // Two rotations between two looks hide the file between them.
                    seen.extend(bench.store(&mut source).await);
                }
            }
            6 => {
                // All is read, so the cut takes nothing.
                seen.extend(bench.store(&mut source).await);
                File::options().write(true).open(bench.log()).unwrap().set_len(0).unwrap();
            }
            7 => seen.extend(bench.store(&mut source).await),
            8 => {
                // Killed with lines in its hands, which the log may have or not.
                let delivery = tokio::time::timeout(A_WHILE, source.deliveries.recv()).await.ok().flatten();
                source.kill().await;
                if let Some(delivery) = delivery
                    && choose(2) == 0
                {
                    seen.extend(paths(&delivery));
                    bench.stored.extend(delivery.batches);
                }
                source = bench.start();
            }
            _ => {
                if let Ok(Some(delivery)) = tokio::time::timeout(A_WHILE, source.deliveries.recv()).await {
                    delivery.are_stored.send(false).unwrap();
                }
            }
        }
    }
    seen.extend(bench.store(&mut source).await);
    source.stop().await;
    // Rotated files are read before newer ones, so all is in order.
    assert_eq!(seen, numbered(0..written), "SEED={seed}");
}
