//! Kills a process that appends to a log, at hundreds of seeded moments, and looks at what it left: everything that was
//! acknowledged is there exactly once.
//!
//! A kill leaves the kernel's memory alone, so this shows the order of write, acknowledgement, roll and cut, and the
//! recovery from half-done ones; what a loss of power does is shown by the model test of the log itself.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use outrider_platform::log::{
    CallBatch, Log, LogReader, LogSettings, LogWriter, NewRecord, OnDamage, Position, RecordKind,
};
use rand::SeedableRng as _;

const LANES: u64 = 4;
const KILLS_PER_LANE: u64 = 150;
const CALLS_PER_BATCH: u64 = 10;
const EPOCH: u64 = 0xfeed;

/// Between fork and exec a child of another lane holds our open files, the log's lock among them.
static FORKING: Mutex<()> = Mutex::new(());

fn settings() -> LogSettings {
    LogSettings { segment_bytes_max: 16 * 1024, total_bytes_max: 16 * 1024 * 1024, ..LogSettings::default() }
}

fn batch(number: u64) -> CallBatch {
    let first = number * CALLS_PER_BATCH + 1;
    let length = 50 + (number * 37 % 900) as usize;
    CallBatch {
        epoch: EPOCH,
        first,
        last: first + CALLS_PER_BATCH - 1,
        count: CALLS_PER_BATCH as u32,
        batch: vec![number as u8; length],
    }
}

/// The process that is killed. It sends batches from a number on, as a collector does that was told what is stored, and
/// says on its standard output what was acknowledged.
#[test]
fn child_appends() {
    let Ok(dir) = std::env::var("OUTRIDER_KILL_DIR") else { return };
    let from: u64 = std::env::var("OUTRIDER_KILL_FROM").unwrap().parse().unwrap();
    let (log, _) = Log::open(Path::new(&dir), settings()).unwrap();
    let writer = LogWriter::start(log, 1024 * 1024).unwrap();
    let handle = writer.handle();
    let mut out = std::io::stdout().lock();
    let mut in_flight = std::collections::VecDeque::new();
    for number in from.. {
        let records = vec![NewRecord::calls(number as i64, batch(number)), NewRecord::tick(number as i64)];
        in_flight.push_back((number, handle.try_append(records).unwrap()));
        if in_flight.len() < 6 {
            continue;
        }
        let (number, pending) = in_flight.pop_front().unwrap();
        let appended = pending.wait_blocking().unwrap();
        // The calls stand before the tick; of a batch that was stored already only that is known.
        let position = if appended.duplicates == 0 { appended.last.0 - 1 } else { 0 };
        writeln!(out, "ack {number} {position}").unwrap();
        if number % 40 == 39 {
            let below = appended.last.0.saturating_sub(100);
            writeln!(out, "cut {below} 0").unwrap();
            let handle = handle.clone();
            futures_block_on(async move { handle.cut_below(Position(below)).await }).unwrap();
        }
        out.flush().unwrap();
    }
}

fn futures_block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[derive(Default)]
struct Told {
    /// The position of a batch; 0 when it was acknowledged as a duplicate.
    acknowledged: BTreeMap<u64, u64>,
    cut_below: u64,
}

fn run_and_kill(dir: &Path, rng: &mut impl rand::Rng, told: &mut Told) {
    let from = told.acknowledged.last_key_value().map_or(0, |(number, _)| number + 1);
    let forking = FORKING.lock().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "log_kill::child_appends", "--nocapture"])
        .env("OUTRIDER_KILL_DIR", dir)
        .env("OUTRIDER_KILL_FROM", from.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(forking);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Some die while they open the log, most at some moment while they append.
    let after_lines = if rng.random_bool(0.1) { 0 } else { rng.random_range(1..150) };
    let after = Duration::from_micros(rng.random_range(0..3000));
    let mut seen = 0;
    let mut killed = false;
    if after_lines == 0 {
        std::thread::sleep(after);
        child.kill().unwrap();
        killed = true;
    }
    for line in lines {
        // Half a line was not said.
        let Ok(line) = line else { break };
        let mut words = line.split(' ');
        let (Some(what), Some(number), Some(position), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let (Ok(number), Ok(position)) = (number.parse(), position.parse()) else { continue };
        match what {
            "ack" => drop(told.acknowledged.insert(number, position)),
            "cut" => told.cut_below = number,
            _ => continue,
        }
        seen += 1;
        if seen >= after_lines && !killed {
            std::thread::sleep(after);
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert!(killed && !status.success(), "the child ended by itself: {status}");
}

fn check(dir: &Path, told: &Told, context: &str) {
    // Opening for writing repairs what the kill left.
    let forking = FORKING.lock().unwrap();
    let (log, opened) = Log::open(dir, settings()).unwrap_or_else(|error| panic!("{context}: {error}"));
    drop(log);
    assert!(opened.first.0 <= told.cut_below.max(1), "{context}: cut too much, {opened:?}");
    let mut reader = LogReader::open(dir, Position::ZERO, OnDamage::Refuse).unwrap();
    drop(forking);
    let mut batches = BTreeMap::new();
    let mut expected = opened.first;
    let mut scratch = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.position, expected, "{context}");
        expected = expected.next();
        match record.kind {
            RecordKind::Calls => {
                let calls = record.calls(&mut scratch).unwrap();
                let number = (calls.first() - 1) / CALLS_PER_BATCH;
                let sent = batch(number);
                assert_eq!(
                    (calls.first(), calls.last(), calls.batch),
                    (sent.first, sent.last, &sent.batch[..]),
                    "{context}"
                );
                assert_eq!(
                    batches.insert(number, record.position.0),
                    None,
                    "{context}: batch {number} is stored twice"
                );
            }
            RecordKind::Tick => {}
            kind => panic!("{context}: a record of kind {kind:?} at {}", record.position),
        }
    }
    let numbers: Vec<u64> = batches.keys().copied().collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{context}: batches are missing");
    let oldest = numbers.first().copied().unwrap_or(u64::MAX);
    for (number, position) in &told.acknowledged {
        match batches.get(number) {
            Some(stored) => assert!(*position == 0 || position == stored, "{context}: batch {number} is elsewhere"),
            None => assert!(*number < oldest && *position < opened.first.0, "{context}: batch {number} is gone"),
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kills() {
    if std::env::var_os("OUTRIDER_KILL_DIR").is_some() {
        return;
    }
    let seed: u64 = std::env::var("OUTRIDER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    println!("OUTRIDER_SEED={seed}");
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                let dir = tempfile::tempdir().unwrap();
                let mut rng = rand_pcg::Pcg64::seed_from_u64(seed ^ lane);
                let mut told = Told::default();
                for kill in 0..KILLS_PER_LANE {
                    run_and_kill(dir.path(), &mut rng, &mut told);
                    check(dir.path(), &told, &format!("OUTRIDER_SEED={seed}, lane {lane}, kill {kill}"));
                }
                println!("lane {lane}: {} batches acknowledged over {KILLS_PER_LANE} kills", told.acknowledged.len());
                assert!(told.acknowledged.len() as u64 > KILLS_PER_LANE * 10);
            });
        }
    });
}
