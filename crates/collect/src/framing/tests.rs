use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Record(u64, Vec<u8>),
    TooLong(u64),
    NoRoom(u64),
    Torn(u64, usize),
}

fn note(seen: &mut Vec<Seen>, frame: Frame<'_>) {
    seen.push(match frame.content {
        Content::Record(bytes) => Seen::Record(frame.line, bytes.to_vec()),
        Content::TooLong => Seen::TooLong(frame.line),
        Content::NoRoom => Seen::NoRoom(frame.line),
        Content::Torn { begun } => Seen::Torn(frame.line, begun.len()),
    });
}

fn frames<'a>(line_bytes_max: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut framer = LineFramer::new(line_bytes_max);
    let mut seen = Vec::new();
    for chunk in chunks {
        framer.feed(chunk, |frame| note(&mut seen, frame));
        assert!(framer.capacity_bytes() <= line_bytes_max);
    }
    framer.finish(|frame| note(&mut seen, frame));
    assert_eq!(framer.pending_bytes(), 0);
    seen
}

fn check(input: &[u8], expected: &[Seen]) {
    assert_eq!(frames(1024, [input]), expected, "{:?} whole", String::from_utf8_lossy(input));
    assert_eq!(frames(1024, input.chunks(1)), expected, "{:?} bytewise", String::from_utf8_lossy(input));
}

fn record(line: u64, bytes: &str) -> Seen {
    Seen::Record(line, bytes.as_bytes().to_vec())
}

#[test]
fn lines_are_cut() {
    check(b"", &[]);
    check(b"{\"a\":1}\n{\"b\":2}\n", &[record(1, r#"{"a":1}"#), record(2, r#"{"b":2}"#)]);
    check(b"{\"a\":1}\r\n\r\n\n  \n{\"b\":2}\r\n", &[record(1, r#"{"a":1}"#), record(5, r#"{"b":2}"#)]);
    check(b"garbage\n\0\0\n", &[record(1, "garbage"), record(2, "\0\0")]);
}

#[test]
fn objects_without_a_line_feed_between_them_are_told_apart() {
    check(b"{\"a\":{}}{\"b\":2}{}\n", &[record(1, r#"{"a":{}}"#), record(1, r#"{"b":2}"#), record(1, "{}")]);
    check(br#"{"a":"}{"}"#, &[record(1, r#"{"a":"}{"}"#)]);
    check(b"{\"a\":\"\\\"}{\"}\n", &[record(1, r#"{"a":"\"}{"}"#)]);
    check(b"{\"a\":\"\\\\\"}{\"b\":1}\n", &[record(1, r#"{"a":"\\"}"#), record(1, r#"{"b":1}"#)]);
    check(b"{\"a\":1}{\"b\":\n", &[record(1, r#"{"a":1}"#), record(1, r#"{"b":"#)]);
    check(b"x}{\n", &[record(1, "x}{")]);
    check(b"{}{}}{}\n", &[record(1, "{}"), record(1, "{}"), record(1, "}{}")]);
}

#[test]
fn an_unfinished_end_is_torn_unless_it_is_whole() {
    check(b"{\"a\":1}\n{\"b\":", &[record(1, r#"{"a":1}"#), Seen::Torn(2, 5)]);
    check(b"{\"a\":1}", &[record(1, r#"{"a":1}"#)]);
    check(b"{\"a\":1}{\"b\":1} {\"c\"", &[record(1, r#"{"a":1}"#), record(1, r#"{"b":1}"#), Seen::Torn(1, 4)]);
    check(b"\n \r", &[]);
}

#[test]
fn a_line_over_the_limit_is_counted_once_and_the_next_is_read() {
    let long = "x".repeat(1025);
    let fits = "y".repeat(1024);
    check(format!("{long}\n{fits}\nz\n").as_bytes(), &[Seen::TooLong(1), record(2, &fits), record(3, "z")]);
    check(format!("{long}{long}").as_bytes(), &[Seen::TooLong(1)]);
    // A sender that never writes LF is still understood, up to an object that is too long itself.
    let object = format!(r#"{{"a":"{}"}}"#, "v".repeat(600));
    let endless = object.repeat(5);
    check(endless.as_bytes(), &vec![record(1, &object); 5]);
    let mixed = format!("{object}{{\"b\":\"{}\n{{}}\n", "w".repeat(5000));
    check(mixed.as_bytes(), &[record(1, &object), Seen::TooLong(1), record(2, "{}")]);
}

#[test]
fn a_line_of_100_mb_leaves_memory_as_it_was() {
    let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
    let chunk = vec![b'['; 64 * 1024];
    let mut too_long = 0;
    for _ in 0..1600 {
        framer.feed(&chunk, |frame| too_long += usize::from(frame.content == Content::TooLong));
        assert!(framer.capacity_bytes() <= LINE_BYTES_MAX_DEFAULT, "{}", framer.capacity_bytes());
    }
    assert_eq!((too_long, framer.capacity_bytes()), (1, 0));
    let mut seen = Vec::new();
    framer.feed(b"\n{}\n", |frame| note(&mut seen, frame));
    assert_eq!(seen, [record(2, "{}")]);
}

#[test]
fn an_idle_framer_holds_nothing() {
    let mut framer = LineFramer::new(LINE_BYTES_MAX_DEFAULT);
    for begun in [100_000, 10] {
        framer.feed(&vec![b'x'; begun], |_| {});
        assert!(framer.capacity_bytes() >= begun);
        framer.feed(b"\n", |_| {});
        assert_eq!(framer.capacity_bytes(), 0);
    }
}

#[test]
fn ten_thousand_unfinished_lines_have_one_room() {
    const ROOM_BYTES: usize = 8 * 1024 * 1024;
    let room = Arc::new(LineRoom::new(ROOM_BYTES));
    let mut framers: Vec<_> = (0..10_000).map(|_| LineFramer::sharing(LINE_BYTES_MAX_DEFAULT, &room)).collect();
    let (mut no_room, mut others) = (0, 0);
    // All grow together, a kilobyte at a time: 640 MB in all.
    for _ in 0..64 {
        for framer in &mut framers {
            framer.feed(&[b'x'; 1024], |frame| match frame.content {
                Content::NoRoom => no_room += 1,
                _ => others += 1,
            });
            assert!(room.held_bytes() <= ROOM_BYTES, "{}", room.held_bytes());
        }
        assert_eq!(framers.iter().map(LineFramer::capacity_bytes).sum::<usize>(), room.held_bytes());
    }
    assert_eq!(others, 0);
    let unfinished = framers.iter().filter(|framer| framer.pending_bytes() == 64 * 1024).count();
    assert_eq!(unfinished + no_room, 10_000, "what is not given up is whole");
    assert!(unfinished >= ROOM_BYTES / (64 * 1024) / 2, "{unfinished} lines in a room for 128");

    // Lines that come whole need none of the room, nor do the ends of those that have begun; then all of it is free again.
    let mut seen = Vec::new();
    for framer in &mut framers {
        framer.feed(b"\n{}\n", |frame| note(&mut seen, frame));
    }
    assert_eq!(seen.iter().filter(|frame| **frame == record(2, "{}")).count(), 10_000);
    assert_eq!(seen.len(), 10_000 + unfinished);
    assert_eq!(room.held_bytes(), 0);
    framers[0].feed(&[b'x'; 100], |_| {});
    assert!(room.held_bytes() >= 100);
    drop(framers);
    assert_eq!(room.held_bytes(), 0, "a connection that ends gives its part back");
}

#[test]
fn a_line_without_room_is_counted_once_and_the_next_is_read() {
    let room = Arc::new(LineRoom::new(1500));
    let [mut first, mut second] = [(); 2].map(|()| LineFramer::sharing(4096, &room));
    let mut seen = Vec::new();
    first.feed(&[b'a'; 1000], |frame| note(&mut seen, frame));
    // What is left is taken to the last byte, although twice as much as before would be.
    second.feed(&[b'b'; 400], |frame| note(&mut seen, frame));
    second.feed(&[b'b'; 100], |frame| note(&mut seen, frame));
    assert_eq!((seen.len(), room.held_bytes()), (0, 1500));
    second.feed(b"b", |frame| note(&mut seen, frame));
    second.feed(b"bbb", |frame| note(&mut seen, frame));
    assert_eq!((seen.as_slice(), room.held_bytes()), ([Seen::NoRoom(1)].as_slice(), 1000));
    second.feed(b"b\n{\"b\":1}\n", |frame| note(&mut seen, frame));
    assert_eq!(seen.pop(), Some(record(2, r#"{"b":1}"#)));
    // The other goes on, and its end comes without room.
    second.feed(&[b'c'; 500], |frame| note(&mut seen, frame));
    first.feed(&[&[b'a'; 2000][..], b"\n"].concat(), |frame| note(&mut seen, frame));
    assert_eq!(seen, [Seen::NoRoom(1), record(1, &"a".repeat(3000))]);
    assert_eq!(room.held_bytes(), 500);
    // Whole objects of a sender without LF are handed out rather than given up.
    seen.clear();
    let object = format!(r#"{{"a":"{}"}}"#, "v".repeat(592));
    for _ in 0..4 {
        first.feed(object.as_bytes(), |frame| note(&mut seen, frame));
    }
    first.finish(|frame| note(&mut seen, frame));
    assert_eq!(seen.iter().filter(|frame| matches!(frame, Seen::Record(..))).count(), 4, "{seen:?}");
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// The same rules without any streaming.
fn naive(input: &[u8], line_bytes_max: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let pieces: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    for (index, piece) in pieces.iter().enumerate() {
        let line = index as u64 + 1;
        let ended = index + 1 < pieces.len();
        let mut rest = *piece;
        let mut too_long = false;
        while rest.len() > line_bytes_max {
            let whole =
                leading_objects(&rest[..line_bytes_max], |object| seen.push(Seen::Record(line, object.to_vec())));
            if whole == 0 {
                seen.push(Seen::TooLong(line));
                too_long = true;
                break;
            }
            rest = &rest[whole..];
        }
        if too_long {
            continue;
        }
        if ended {
            split_line(rest, line, &memmem::Finder::new(b"}{"), &mut |frame| note(&mut seen, frame));
        } else {
            let whole = leading_objects(rest, |object| seen.push(Seen::Record(line, object.to_vec())));
            let torn = rest[whole..].trim_ascii();
            if !torn.is_empty() {
                seen.push(Seen::Torn(line, torn.len()));
            }
        }
    }
    seen
}

proptest! {
    #[test]
    fn chunking_changes_nothing(
        pieces in prop::collection::vec(
            prop_oneof![
                3 => Just(b"\n".to_vec()),
                3 => Just(b"{\"a\":\"x}{\\\"\"}".to_vec()),
                1 => Just(b"\r\n".to_vec()),
                1 => Just(b"{".to_vec()),
                1 => Just(b"}".to_vec()),
                1 => Just(b"\"".to_vec()),
                1 => Just(b"\\".to_vec()),
                1 => Just(vec![b'x'; 700]),
                1 => Just(vec![b' '; 300]),
                1 => prop::collection::vec(any::<u8>(), 0..20),
            ],
            0..40,
        ),
        cuts in prop::collection::vec(1usize..900, 1..20),
    ) {
        let input = pieces.concat();
        let expected = naive(&input, 1024);
        let mut chunks = Vec::new();
        let mut rest = &input[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(frames(1024, chunks), expected);
    }
}

proptest! {
    /// Whatever several streams do, they hold no more than their room; and a line that found none is the only thing that differs.
    #[test]
    fn a_room_is_never_overdrawn(
        pieces in prop::collection::vec(
            (0usize..3, prop_oneof![
                2 => Just(b"\n".to_vec()),
                1 => (1usize..900).prop_map(|length| vec![b'x'; length]),
                1 => (1usize..900).prop_map(|length| [&vec![b'y'; length][..], b"\nz"].concat()),
            ]),
            0..60,
        ),
        room_bytes in 0usize..2000,
    ) {
        let room = Arc::new(LineRoom::new(room_bytes));
        let mut framers: Vec<_> = (0..3).map(|_| LineFramer::sharing(1024, &room)).collect();
        let mut seen = [const { Vec::new() }; 3];
        let mut streams = [const { Vec::new() }; 3];
        for (at, piece) in &pieces {
            framers[*at].feed(piece, |frame| note(&mut seen[*at], frame));
            streams[*at].extend_from_slice(piece);
            prop_assert!(room.held_bytes() <= room_bytes);
            prop_assert_eq!(framers.iter().map(LineFramer::capacity_bytes).sum::<usize>(), room.held_bytes());
        }
        let lines = |seen: &[Seen]| -> Vec<u64> {
            let line = |frame: &Seen| match frame {
                Seen::Record(line, _) | Seen::TooLong(line) | Seen::NoRoom(line) | Seen::Torn(line, _) => *line,
            };
            seen.iter().map(line).collect()
        };
        for ((framer, seen), stream) in framers.iter_mut().zip(&mut seen).zip(&streams) {
            framer.finish(|frame| note(seen, frame));
            let expected = naive(stream, 1024);
            prop_assert_eq!(lines(seen), lines(&expected));
            for (frame, expected) in seen.iter().zip(&expected) {
                prop_assert!(frame == expected || matches!(frame, Seen::NoRoom(_)), "{:?} {:?}", frame, expected);
            }
        }
        prop_assert_eq!(room.held_bytes(), 0);
    }
}

#[test]
fn a_body_gives_its_objects_however_they_stand_in_it() {
    let cases: [(&str, &[&str]); 12] = [
        ("", &[]),
        (" \n ", &[]),
        ("[]", &[]),
        (r#"{"a":1}"#, &[r#"{"a":1}"#]),
        (r#"[{"a":1}]"#, &[r#"{"a":1}"#]),
        (r#"[{"a":"}],[{"},{"b":{"c":[{}]}}]"#, &[r#"{"a":"}],[{"}"#, r#"{"b":{"c":[{}]}}"#]),
        ("{}\n{}\r\n", &["{}", "{}"]),
        (" [ {} , {} ] ", &["{}", "{}"]),
        // What is no object is a record of its own, and costs nothing beside it.
        (r#"[1,{"a":1},null]"#, &["1,", r#"{"a":1}"#, "null]"]),
        ("hello {}", &["hello", "{}"]),
        (r#"[{"a":1},{"b":"#, &[r#"{"a":1}"#, r#"torn {"b":"#]),
        (r#"[{"long":"0123456789"},{}]"#, &["too long", "{}"]),
    ];
    for (body, expected) in cases {
        let records = super::body_records(body.as_bytes(), 20).map(|content| match content {
            Content::Record(record) => String::from_utf8(record.to_vec()).unwrap(),
            Content::TooLong => "too long".to_owned(),
            Content::NoRoom => "no room".to_owned(),
            Content::Torn { begun } => format!("torn {}", String::from_utf8(begun.to_vec()).unwrap()),
        });
        assert_eq!(records.collect::<Vec<_>>(), expected, "{body}");
    }
}
