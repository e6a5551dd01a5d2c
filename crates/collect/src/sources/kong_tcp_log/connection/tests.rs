use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::super::reading::Lines;
use super::super::batcher::Limits;
use super::*;
use crate::{MicroBatch, Normaliser, NormaliserSettings, PseudonymKey};

const LINE: &str = "{\"request\":{\"uri\":\"/a\",\"method\":\"GET\"},\"response\":{\"status\":200}}\n";

/// A source without a socket, whose connections share this room.
struct Source {
    shared: Arc<Shared>,
    stop: CancellationToken,
    _batches: mpsc::Receiver<MicroBatch>,
}

impl Source {
    fn new(room_bytes: usize) -> Self {
        let (sender, batches) = mpsc::channel(10_000);
        let counters = Arc::new(Counters::default());
        let limits = Limits { calls_max: 1, bytes_max: 1024, wait: Duration::from_millis(10) };
        let normaliser = Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[7; 32])).unwrap();
        let shared = Shared {
            reading: Arc::new(Current::new(Reading::new(Lines { normaliser, secret: None }, &counters))),
            complete: None,
            batcher: Batcher::new(Arc::from("test"), limits, sender, Arc::clone(&counters)),
            counters,
            clock: Arc::new(|| 1_795_448_391_727),
            line_bytes_max: 64 * 1024,
            line_room: Arc::new(LineRoom::new(room_bytes)),
        };
        Source { shared: Arc::new(shared), stop: CancellationToken::new(), _batches: batches }
    }

    fn connect(&self) -> Kong {
        let (ours, theirs) = duplex(1024 * 1024);
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        Kong { stream: theirs, serving: tokio::spawn(async move { serve(ours, &shared, stop).await }) }
    }

    /// Calls, rejected lines by reason, connections closed for a line.
    fn seen(&self) -> (u64, Vec<(String, u64)>, u64) {
        let seen = self.shared.counters.snapshot();
        assert_eq!(seen.received, seen.accepted + seen.rejected_total());
        assert!(seen.connections_refused.keys().all(|reason| reason == "line_slow"), "{seen:?}");
        (seen.accepted, seen.rejected.into_iter().collect(), seen.connections_refused.values().sum())
    }
}

struct Kong {
    stream: DuplexStream,
    serving: JoinHandle<()>,
}

impl Kong {
    /// Writes, and lets the source read it.
    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        wait(0).await;
    }

    fn is_served(&self) -> bool {
        !self.serving.is_finished()
    }
}

/// So many seconds of paused time pass, and whoever has something to do does it.
async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_millis(seconds * 1000 + 1)).await;
}

fn rejected(reason: &str, lines: u64) -> Vec<(String, u64)> {
    vec![(reason.to_owned(), lines)]
}

#[tokio::test(start_paused = true)]
async fn between_two_lines_there_is_no_hurry() {
    let source = Source::new(1024 * 1024);
    let mut kong = source.connect();
    for calls in 1..=3 {
        wait(3600).await;
        kong.write(LINE.as_bytes()).await;
        assert_eq!(source.seen(), (calls, vec![], 0));
    }
    wait(3600).await;
    assert!(kong.is_served());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_does_not_end_ends_its_connection() {
    let begun = &LINE.as_bytes()[..20];
    let long = vec![b'x'; 100_000];
    for (written, bytewise, expected) in [
        (begun, false, rejected("torn", 1)),
        // Each byte in time does not make the line end.
        (begun, true, rejected("torn", 1)),
        (&long, false, rejected("too_long", 1)),
        // Of nothing but blanks there is nothing to be told but that.
        (b" ", false, vec![]),
    ] {
        let source = Source::new(1024 * 1024);
        let (mut slow, mut other) = (source.connect(), source.connect());
        slow.write(LINE.as_bytes()).await;
        wait(3600).await;
        slow.write(written).await;
        for _ in 0..5 {
            wait(11).await;
            slow.write(if bytewise { b"x" } else { b"" }).await;
            other.write(LINE.as_bytes()).await;
            assert!(slow.is_served());
        }
        wait(5).await;
        assert!(!slow.is_served(), "a minute is over");
        assert_eq!(source.seen(), (6, expected, 1));
        assert!(other.is_served());
        assert_eq!(source.shared.line_room.held_bytes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_line_has_its_own_time() {
    let source = Source::new(1024 * 1024);
    let mut kong = source.connect();
    let (begin, end) = LINE.split_at(20);
    kong.write(begin.as_bytes()).await;
    // At each moment a line is unfinished, and none of them for long.
    for calls in 1..=20 {
        wait(50).await;
        kong.write(format!("{end}{begin}").as_bytes()).await;
        assert_eq!(source.seen(), (calls, vec![], 0));
    }
    // Somebody who never stops sending gets no more time.
    for _ in 0..100 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let _ = kong.stream.write_all(b"x").await;
        tokio::task::yield_now().await;
    }
    assert_eq!(source.seen(), (20, rejected("torn", 1), 1));
    assert!(!kong.is_served());
}

#[tokio::test(start_paused = true)]
async fn who_writes_no_line_feed_is_read_within_a_minute_and_stays() {
    let source = Source::new(1024 * 1024);
    let mut kong = source.connect();
    for round in 1..=5 {
        kong.write(LINE.trim_end().repeat(2).as_bytes()).await;
        assert_eq!(source.seen().0, (round - 1) * 2);
        wait(61).await;
        assert_eq!(source.seen(), (round * 2, vec![], 0));
        assert!(kong.is_served());
    }
    kong.write(&LINE.as_bytes()[..20]).await;
    wait(61).await;
    assert_eq!(source.seen(), (10, rejected("torn", 1), 1));
}

#[tokio::test(start_paused = true)]
async fn connections_share_the_room_for_unfinished_lines() {
    const ROOM_BYTES: usize = 256 * 1024;
    let source = Source::new(ROOM_BYTES);
    let mut open = Vec::new();
    for _ in 0..1000 {
        let mut kong = source.connect();
        kong.stream.write_all(LINE.as_bytes()).await.unwrap();
        kong.stream.write_all(&[b'x'; 1000]).await.unwrap();
        open.push(kong);
    }
    wait(1).await;
    let held = source.shared.line_room.held_bytes();
    assert!((ROOM_BYTES - 1000..=ROOM_BYTES).contains(&held), "{held}");
    let no_room = 1000 - ROOM_BYTES as u64 / 1000;
    assert_eq!(source.seen(), (1000, rejected("no_room", no_room), 0));
    // Nobody was closed for it, and the next line of each is read.
    for kong in &mut open {
        kong.stream.write_all(format!("\n{LINE}").as_bytes()).await.unwrap();
    }
    wait(1).await;
    let expected = vec![("no_room".to_owned(), no_room), ("not_json".to_owned(), 1000 - no_room)];
    assert_eq!(source.seen(), (2000, expected, 0));
    assert_eq!(source.shared.line_room.held_bytes(), 0);
    assert!(open.iter().all(Kong::is_served));
}
