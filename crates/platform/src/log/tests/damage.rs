use std::path::PathBuf;
use std::sync::Arc;

use super::faults::Faulty;
use super::*;

/// Without real syncs, which only take time here.
fn open(dir: &Path, settings: LogSettings) -> Result<(Log, Opened), LogError> {
    Log::open_on(dir, settings, Arc::new(Faulty::default()))
}

/// Three segments; the last commit has two records.
fn write_log(dir: &Path) -> u64 {
    let (mut log, _) = open(dir, small()).unwrap();
    for number in 1..=9 {
        log.append(&[numbered(number, 900)]).unwrap();
        log.sync().unwrap();
    }
    for number in [10, 11] {
        log.append(&[numbered(number, 30)]).unwrap();
        log.sync().unwrap();
    }
    log.append(&[numbered(12, 20)]).unwrap();
    log.append(&[numbered(13, 20)]).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(segment_files(dir).len(), 3);
    13
}

fn numbers(reader: &mut LogReader) -> Result<Vec<u64>, LogError> {
    let mut numbers = Vec::new();
    while let Some(record) = reader.next()? {
        match record.kind {
            RecordKind::Settings => {
                assert_eq!(number_of(&record), record.position.0);
                numbers.push(record.position.0);
            }
            kind => assert_eq!(kind, RecordKind::Gap),
        }
    }
    Ok(numbers)
}

fn last_segment(dir: &Path) -> PathBuf {
    segment_files(dir).pop().unwrap()
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_the_log_goes_on() {
    let original = tempfile::tempdir().unwrap();
    write_log(original.path());
    let bytes = std::fs::read(last_segment(original.path())).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let header = SEGMENT_HEADER_BYTES;
    // Where each record of the last segment ends, by position.
    let mut ends = vec![];
    let mut at = header;
    while at < bytes.len() {
        at += 32 + u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        ends.push(at);
    }
    let first = 13 - ends.len() as u64 + 1;
    for length in header..bytes.len() {
        copy_dir(original.path(), copy.path());
        let file = last_segment(copy.path());
        std::fs::write(&file, &bytes[..length]).unwrap();
        let whole = ends.iter().filter(|end| **end <= length).count();
        let good = if whole == 0 { header } else { ends[whole - 1] };
        let expected_last = first + whole as u64 - 1;

        let mut reader = LogReader::open(copy.path(), Position::ZERO, OnDamage::Refuse).unwrap();
        assert_eq!(numbers(&mut reader).unwrap().last(), Some(&expected_last), "offline, cut at {length}");
        drop(reader);

        let (mut log, opened) = open(copy.path(), small()).unwrap();
        assert_eq!((opened.last.0, opened.cut_bytes), (expected_last, (length - good) as u64), "cut at {length}");
        log.append(&[numbered(expected_last + 1, 5)]).unwrap();
        log.sync().unwrap();
        let expected: Vec<u64> = (1..=expected_last + 1).collect();
        assert_eq!(numbers(&mut log.reader(Position::ZERO)).unwrap(), expected, "cut at {length}");
        drop(log);
        assert_eq!(open(copy.path(), small()).unwrap().1.last.0, expected_last + 1);
    }
}

const SEGMENT_HEADER_BYTES: usize = 40;

#[test]
fn a_flipped_bit_is_an_error_or_a_torn_tail_and_never_another_record() {
    let original = tempfile::tempdir().unwrap();
    let last = write_log(original.path());
    let copy = tempfile::tempdir().unwrap();
    let everything: Vec<u64> = (1..=last).collect();
    for (index, file) in segment_files(original.path()).iter().enumerate() {
        let bytes = std::fs::read(file).unwrap();
        // Each byte of headers and of the last segment, every 13th of the rest.
        let offsets = (0..bytes.len()).filter(|at| index == 2 || *at < 80 || at % 13 == 0);
        for at in offsets {
            let bit = at % 8;
            copy_dir(original.path(), copy.path());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            std::fs::write(copy.path().join(file.file_name().unwrap()), &flipped).unwrap();
            let context = format!("segment {index}, byte {at}, bit {bit}");

            match open(copy.path(), small()) {
                Err(LogError::Damaged { .. } | LogError::NewerFormat { .. } | LogError::Foreign { .. }) => {}
                Err(error) => panic!("{context}: {error}"),
                Ok((log, opened)) => match numbers(&mut log.reader(Position::ZERO)) {
                    Err(LogError::Damaged { .. }) => assert!(index < 2, "{context}"),
                    Err(error) => panic!("{context}: {error}"),
                    // Only the last commit, of records 12 and 13, looks like a torn tail.
                    Ok(read) => {
                        assert_eq!(index, 2, "{context}");
                        assert!(opened.last.0 >= 11 && opened.cut_bytes > 0, "{context}: {opened:?}");
                        assert_eq!(read, everything[..opened.last.0 as usize], "{context}");
                    }
                },
            }
        }
    }
}

#[test]
fn where_damage_is_skipped_a_gap_stands_for_it() {
    let original = tempfile::tempdir().unwrap();
    let last = write_log(original.path());
    let copy = tempfile::tempdir().unwrap();
    let settings = LogSettings { on_damage: OnDamage::Skip, ..small() };
    for (index, file) in segment_files(original.path()).iter().enumerate() {
        let bytes = std::fs::read(file).unwrap();
        for at in (0..bytes.len()).step_by(if index == 2 { 7 } else { 97 }) {
            copy_dir(original.path(), copy.path());
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            std::fs::write(copy.path().join(file.file_name().unwrap()), &damaged).unwrap();
            let context = format!("segment {index}, byte {at}");
            let (mut log, opened) = match open(copy.path(), settings.clone()) {
                Ok(opened) => opened,
                Err(LogError::NewerFormat { .. }) if (8..12).contains(&at) => continue,
                Err(LogError::Foreign { .. }) => continue,
                Err(error) if index == 0 && at < SEGMENT_HEADER_BYTES => panic!("{context}: {error}"),
                Err(error) => panic!("{context}: {error}"),
            };
            let next = opened.last.0 + 1;
            log.append(&[numbered(next, 1)]).unwrap();
            log.sync().unwrap();
            let mut reader = log.reader(Position::ZERO);
            let mut expected = 1;
            let mut missing = 0;
            while let Some(record) = reader.next().unwrap() {
                if record.kind == RecordKind::Gap {
                    let gap: Gap = record.json().unwrap();
                    let Missing::Records { first, last } = gap.missing else { panic!("{context}") };
                    assert_eq!(
                        (first.0, last, gap.count),
                        (expected, record.position, last.0 - first.0 + 1),
                        "{context}"
                    );
                    missing += gap.count;
                } else {
                    assert_eq!((record.position.0, number_of(&record)), (expected, expected), "{context}");
                }
                expected = record.position.0 + 1;
            }
            assert_eq!(expected, next + 1, "{context}");
            assert!(missing <= 1 && opened.last.0 >= last - 2, "{context}: {missing} missing, {opened:?}");
            assert_eq!(log.stats().damaged_records, missing);
        }
    }
}

#[test]
fn the_error_says_file_offset_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path());
    let files = segment_files(dir.path());
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let offset = bytes.len() / 2;
    bytes[offset] ^= 1;
    std::fs::write(&files[0], bytes).unwrap();
    let (log, _) = open(dir.path(), small()).unwrap();
    let mut reader = log.reader(Position::ZERO);
    let error = numbers(&mut reader).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("00000000000000000001.seg is damaged at byte "), "{text}");
    assert!(text.contains("backup") && text.contains("on_damage"), "{text}");
    assert_eq!(numbers(&mut reader).unwrap_err().to_string(), text, "asking again gives the same answer");
}

#[test]
fn a_lost_segment_and_a_foreign_file_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path());
    let files = segment_files(dir.path());
    std::fs::remove_file(&files[1]).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "hello").unwrap();
    let (log, _) = open(dir.path(), small()).unwrap();
    let error = numbers(&mut log.reader(Position::ZERO)).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    drop(log);
    std::fs::write(dir.path().join("copy of 1.seg"), "hello").unwrap();
    let error = open(dir.path(), small()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("copy of 1.seg"), "{error}");
}

#[test]
fn a_torn_tail_that_holds_an_old_whole_record_is_still_torn() {
    // A record's payload may itself look like a record; it is not of a later commit and not taken for one.
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), small()).unwrap();
    log.append(&[numbered(1, 10)]).unwrap();
    log.sync().unwrap();
    log.append(&[numbered(2, 10)]).unwrap();
    log.append(&[numbered(3, 10)]).unwrap();
    log.sync().unwrap();
    drop(log);
    let file = last_segment(dir.path());
    let mut bytes = std::fs::read(&file).unwrap();
    // Record 2 never reached the disk and record 3, of the same commit, did: nobody was told of either.
    let second = SEGMENT_HEADER_BYTES + 32 + numbered(1, 10).payload_bytes();
    bytes[second..second + 40].fill(0);
    std::fs::write(&file, bytes).unwrap();
    let (log, opened) = open(dir.path(), small()).unwrap();
    assert_eq!(opened.last, Position(1));
    assert!(opened.cut_bytes > 0);
    assert_eq!(numbers(&mut log.reader(Position::ZERO)).unwrap(), [1]);
}
