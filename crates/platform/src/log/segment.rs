//! A segment file: its name, its header, and what a scan of it says.
//!
//! The name is the position of its first record in 20 digits. A segment ends where the next one begins: whatever a
//! failed commit may have left behind that point does not count. The header is, in little-endian bytes:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | `outrlog\n` |
//! | 8..12 | format version |
//! | 12..16 | length of the header |
//! | 16..24 | position of the first record |
//! | 24..32 | log time before the first record, in ms |
//! | 32..36 | CRC-32 (IEEE) of the rest of the header |
//! | 36..40 | number of marks |
//! | 40.. | the marks of everything before: epoch, last call, position, 8 bytes each |

use std::fs::File;
use std::path::{Path, PathBuf};

use super::frame::{FrameFile, FrameHeader, Peek};
use super::marks::{EPOCHS_MAX, Mark, Marks};
use super::record::CallsHeader;
use super::{LogError, OnDamage, Position, RecordKind};

/// The version that this build writes and the only one that it reads.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"outrlog\n";
const FIXED_BYTES: usize = 40;
const MARK_BYTES: usize = 24;
const HEADER_BYTES_MAX: usize = FIXED_BYTES + EPOCHS_MAX * MARK_BYTES;

/// What a segment's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub first: u64,
    pub at_ms: i64,
    pub marks: Marks,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let marks = self.marks.iter();
        let length = FIXED_BYTES + marks.len() * MARK_BYTES;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.at_ms.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(marks.len() as u32).to_le_bytes());
        for (epoch, mark) in marks {
            for number in [epoch, mark.last, mark.position] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        let crc = header_crc(&bytes);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of a segment and says how long it is.
    pub(super) fn read(path: &Path) -> Result<(SegmentHeader, u64), LogError> {
        use std::io::Read as _;
        let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX);
        let file = File::open(path).map_err(|error| LogError::io("opening", path, error))?;
        file.take(HEADER_BYTES_MAX as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| LogError::io("reading", path, error))?;
        Self::decode(&bytes, path)
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<(SegmentHeader, u64), LogError> {
        let damaged = |why| LogError::Damaged {
            path: path.to_owned(),
            offset: 0,
            position: Position(position_of(path).unwrap_or(0)),
            why,
        };
        if bytes.len() < FIXED_BYTES || &bytes[..8] != MAGIC {
            return Err(damaged("it does not begin like a log segment"));
        }
        let short = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let long = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let version = short(8);
        if version != FORMAT_VERSION {
            return Err(LogError::NewerFormat { path: path.to_owned(), found: version, supported: FORMAT_VERSION });
        }
        let length = short(12) as usize;
        let marks = short(36) as usize;
        if marks > EPOCHS_MAX || length != FIXED_BYTES + marks * MARK_BYTES || length > bytes.len() {
            return Err(damaged("its header has an impossible length"));
        }
        if short(32) != header_crc(&bytes[..length]) {
            return Err(damaged("its header's checksum does not match"));
        }
        let mark = |index: usize| {
            let at = FIXED_BYTES + index * MARK_BYTES;
            (long(at), Mark { last: long(at + 8), position: long(at + 16) })
        };
        let header =
            SegmentHeader { first: long(16), at_ms: long(24) as i64, marks: Marks::from_stored((0..marks).map(mark)) };
        if position_of(path) != Some(header.first) {
            return Err(LogError::Foreign {
                path: path.to_owned(),
                why: format!("its header says that it begins with record {}", header.first),
            });
        }
        Ok((header, length as u64))
    }
}

fn header_crc(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..32]);
    hasher.update(&bytes[36..]);
    hasher.finalize()
}

/// A segment of the log as it is known in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub first: u64,
    /// Log time before the first record; later than any where that cannot be read, so that nothing is too old for it.
    pub began_ms: i64,
    /// Where its records begin.
    pub records_at: u64,
    /// How much of the file counts.
    pub bytes: u64,
}

/// The file name of the segment that begins with a record.
pub(super) fn file_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The position that a segment's file name says.
pub(super) fn position_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// All segments of a directory in order, their headers checked. A damaged header, where damage is skipped, is taken to
/// have no marks.
pub(super) fn list(dir: &Path, on_damage: OnDamage) -> Result<Vec<Segment>, LogError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| LogError::io("listing", dir, error))? {
        let entry = entry.map_err(|error| LogError::io("listing", dir, error))?;
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let Some(first) = position_of(&path).filter(|first| *first > 0) else {
            return Err(LogError::Foreign {
                path,
                why: "a segment's name is a record number of 20 digits; move the file away".to_owned(),
            });
        };
        let bytes = entry.metadata().map_err(|error| LogError::io("looking at", &path, error))?.len();
        let (began_ms, records_at) = match SegmentHeader::read(&path) {
            Ok((header, records_at)) => (header.at_ms, records_at),
            Err(LogError::Damaged { .. }) if on_damage == OnDamage::Skip => (i64::MAX, FIXED_BYTES as u64),
            Err(error) => return Err(error),
        };
        segments.push(Segment { path, first, began_ms, records_at, bytes });
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// The first and the last record of the log in a directory, without opening or changing it; `None` for an empty one.
pub fn extent(dir: &Path) -> Result<Option<(Position, Position)>, LogError> {
    let segments = list(dir, OnDamage::Refuse)?;
    let Some(first) = segments.first() else { return Ok(None) };
    let scan = scan_end(&segments, OnDamage::Refuse)?;
    Ok(Some((Position(first.first), Position(scan.last))))
}

/// What a scan of the log's end says.
#[derive(Debug)]
pub(super) struct Scan {
    /// The last whole record, or the one before the segment's first.
    pub last: u64,
    pub at_ms: i64,
    pub marks: Marks,
    /// Where the last commit begins. The commits before it were synced, or this one would not be in the segment.
    pub commit_at: u64,
    /// Where the last whole record ends; what is behind is a torn tail.
    pub end: u64,
}

/// Reads the log from its last readable segment header to its end. There is at least one segment.
pub(super) fn scan_end(segments: &[Segment], on_damage: OnDamage) -> Result<Scan, LogError> {
    let mut from = segments.len() - 1;
    let header = loop {
        match SegmentHeader::read(&segments[from].path) {
            Ok((header, _)) => break header,
            Err(LogError::Damaged { .. }) if from > 0 && on_damage == OnDamage::Skip => from -= 1,
            Err(error) => return Err(error),
        }
    };
    let mut scan = Scan { last: 0, at_ms: header.at_ms, marks: header.marks, commit_at: 0, end: 0 };
    for (index, segment) in segments.iter().enumerate().skip(from) {
        scan.last = segment.first - 1;
        scan.commit_at = segment.records_at;
        scan.end = segment.records_at;
        let until = segments.get(index + 1).map_or(u64::MAX, |next| next.first - 1);
        scan_segment(&mut scan, segment, until, on_damage)?;
    }
    Ok(scan)
}

/// A bad record with a whole one of a later commit behind it is damage; a bad record with none is a torn tail.
fn scan_segment(scan: &mut Scan, segment: &Segment, until: u64, on_damage: OnDamage) -> Result<(), LogError> {
    let io = |error| LogError::io("reading", &segment.path, error);
    let file = File::open(&segment.path).map_err(|error| LogError::io("opening", &segment.path, error))?;
    let mut frames = FrameFile::new(file, segment.records_at, segment.bytes);
    while scan.last < until {
        let expected = scan.last + 1;
        let whole = match frames.peek(expected).map_err(io)? {
            Peek::Whole(header) => header,
            Peek::End => break,
            Peek::Bad(why) => {
                let offset = frames.offset();
                let Some(header) = later_commit(&mut frames, expected, segment.bytes).map_err(io)? else { break };
                if on_damage == OnDamage::Refuse {
                    let path = segment.path.clone();
                    return Err(LogError::Damaged { path, offset, position: Position(expected), why });
                }
                header
            }
        };
        if whole.in_commit == 0 {
            scan.commit_at = frames.offset();
        }
        let payload = frames.consume(&whole);
        if whole.kind == RecordKind::Calls as u8
            && let Some((calls, _)) = CallsHeader::decode(frames.bytes(payload))
        {
            scan.marks.advance(calls.epoch, calls.last, whole.position);
            scan.marks.keep();
        }
        scan.last = whole.position;
        scan.at_ms = whole.at_ms;
        scan.end = frames.offset();
    }
    Ok(())
}

/// The next whole record that belongs to a later commit than record `bad` does.
fn later_commit(frames: &mut FrameFile, bad: u64, span: u64) -> std::io::Result<Option<FrameHeader>> {
    loop {
        match frames.resync(bad + 1..bad.saturating_add(span))? {
            Some(header) if header.commit_first() <= bad => {}
            found => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let mut marks = Marks::default();
        marks.advance(0xabc, 17, 3);
        marks.advance(0xdef, 1, 4);
        marks.keep();
        SegmentHeader { first: 5, at_ms: -7, marks }
    }

    #[test]
    fn a_header_comes_back_and_every_flipped_bit_is_noticed() {
        let path = PathBuf::from(file_name(5));
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes, &path).unwrap(), (header(), bytes.len() as u64));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped, &path).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(SegmentHeader::decode(&bytes[..length], &path).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        let error = SegmentHeader::decode(&bytes, &PathBuf::from(file_name(5))).unwrap_err().to_string();
        assert!(error.contains("format version 2") && error.contains("newer outrider"), "{error}");
    }

    #[test]
    fn names_are_positions() {
        assert_eq!(file_name(1), "00000000000000000001.seg");
        assert_eq!(position_of(Path::new("x/00000000000000000042.seg")), Some(42));
        for wrong in ["42.seg", "0000000000000000004x.seg", "00000000000000000042.tmp", "99999999999999999999.seg", ""]
        {
            assert_eq!(position_of(Path::new(wrong)), None, "{wrong}");
        }
    }
}
