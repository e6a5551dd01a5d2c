//! How a record lies in a segment: 32 little-endian bytes, then the payload.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | CRC-32 (IEEE) of everything after it, payload included |
//! | 4..8 | length of the payload |
//! | 8..16 | position |
//! | 16..24 | log time in ms |
//! | 24 | kind |
//! | 25..28 | zero |
//! | 28..32 | how many records of the same commit stand before it |
//!
//! The last field tells a torn tail from damage: a whole record of a later commit proves that everything before its
//! commit was once synced, so a bad record there was not left behind by a crash.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use super::record::RECORD_BYTES_MAX;

pub(super) const HEADER_BYTES: usize = 32;

/// How much is read from a segment at once.
const READ_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub length: u32,
    pub position: u64,
    pub at_ms: i64,
    pub kind: u8,
    pub in_commit: u32,
}

impl FrameHeader {
    /// The position of the first record of its commit.
    pub(super) fn commit_first(&self) -> u64 {
        self.position.saturating_sub(u64::from(self.in_commit))
    }

    fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.length as usize
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<FrameHeader> {
        Some(FrameHeader {
            length: u32::from_le_bytes(*bytes[4..].first_chunk()?),
            position: u64::from_le_bytes(*bytes[8..].first_chunk()?),
            at_ms: i64::from_le_bytes(*bytes[16..].first_chunk()?),
            kind: bytes[24],
            in_commit: u32::from_le_bytes(*bytes[28..].first_chunk()?),
        })
    }
}

/// Appends a frame whose payload is the given parts one after the other; `header.length` is set from them.
pub(super) fn encode(into: &mut Vec<u8>, header: &FrameHeader, parts: &[&[u8]]) {
    let start = into.len();
    let length: usize = parts.iter().map(|part| part.len()).sum();
    into.reserve(HEADER_BYTES + length);
    into.extend_from_slice(&[0; 4]);
    // The caller has checked the payload against RECORD_BYTES_MAX, which fits.
    into.extend_from_slice(&(length as u32).to_le_bytes());
    into.extend_from_slice(&header.position.to_le_bytes());
    into.extend_from_slice(&header.at_ms.to_le_bytes());
    into.extend_from_slice(&[header.kind, 0, 0, 0]);
    into.extend_from_slice(&header.in_commit.to_le_bytes());
    for part in parts {
        into.extend_from_slice(part);
    }
    let crc = crc32fast::hash(&into[start + 4..]);
    into[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// What stands at the present offset of a [`FrameFile`].
#[derive(Debug)]
pub(super) enum Peek {
    Whole(FrameHeader),
    /// Nothing: the file's end, or what counts as it.
    End,
    Bad(&'static str),
}

/// Reads the frames of one segment, one after the other, up to an end that may move.
#[derive(Debug)]
pub(super) struct FrameFile {
    file: File,
    /// The offset in the file of `buffer[start]`.
    offset: u64,
    /// Bytes from here on are not looked at: they may be unsynced and may still change.
    end: u64,
    buffer: Vec<u8>,
    start: usize,
}

impl FrameFile {
    pub(super) fn new(file: File, offset: u64, end: u64) -> Self {
        FrameFile { file, offset, end, buffer: Vec::new(), start: 0 }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// Looks at the frame at the present offset, which must be that of record `expected`.
    pub(super) fn peek(&mut self, expected: u64) -> io::Result<Peek> {
        if self.offset >= self.end {
            return Ok(Peek::End);
        }
        let Some(header) = self.header()? else {
            return Ok(Peek::Bad("it ends within a record's header"));
        };
        if header.length as usize > RECORD_BYTES_MAX {
            return Ok(Peek::Bad("the length is impossible"));
        }
        if self.fill(header.frame_bytes())? < header.frame_bytes() {
            return Ok(Peek::Bad("it ends within a record"));
        }
        if !self.checksum_holds(&header) {
            return Ok(Peek::Bad("the checksum does not match"));
        }
        if header.position != expected {
            return Ok(Peek::Bad("another record is at this place"));
        }
        Ok(Peek::Whole(header))
    }

    /// Goes past a frame that was peeked at and says where its payload is until the next peek.
    pub(super) fn consume(&mut self, header: &FrameHeader) -> Range<usize> {
        let payload = self.start + HEADER_BYTES..self.start + header.frame_bytes();
        self.start = payload.end;
        self.offset += header.frame_bytes() as u64;
        payload
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// From a bad frame, finds the next whole one whose position lies in `positions`, byte by byte, because the bad
    /// frame's length may be what is wrong with it. It stands at that frame then, else at the end.
    pub(super) fn resync(&mut self, positions: Range<u64>) -> io::Result<Option<FrameHeader>> {
        loop {
            if self.offset + HEADER_BYTES as u64 >= self.end {
                self.offset = self.end;
                self.buffer.clear();
                self.start = 0;
                return Ok(None);
            }
            self.start += 1;
            self.offset += 1;
            let Some(header) = self.header()? else {
                // The file is shorter than it was; the next look at the offset says so.
                self.offset = self.end;
                continue;
            };
            let plausible = positions.contains(&header.position)
                && header.length as usize <= RECORD_BYTES_MAX
                && self.offset + header.frame_bytes() as u64 <= self.end;
            if plausible && self.fill(header.frame_bytes())? >= header.frame_bytes() && self.checksum_holds(&header) {
                return Ok(Some(header));
            }
        }
    }

    fn header(&mut self) -> io::Result<Option<FrameHeader>> {
        self.fill(HEADER_BYTES)?;
        Ok(self.buffer[self.start..].first_chunk().and_then(FrameHeader::parse))
    }

    fn checksum_holds(&self, header: &FrameHeader) -> bool {
        let frame = &self.buffer[self.start..self.start + header.frame_bytes()];
        let (stored, covered) = frame.split_at(4);
        crc32fast::hash(covered).to_le_bytes() == stored
    }

    /// Makes `wanted` bytes from the present offset available, as far as there are so many. Says how many there are.
    fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        let have = self.buffer.len() - self.start;
        if have >= wanted {
            return Ok(have);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let left = self.end.saturating_sub(self.offset + have as u64);
        let more = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES.max(wanted - have));
        self.buffer.resize(have + more, 0);
        let mut filled = have;
        while filled < self.buffer.len() {
            match self.file.read_at(&mut self.buffer[filled..], self.offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.truncate(filled);
                    return Err(error);
                }
            }
        }
        self.buffer.truncate(filled);
        Ok(filled)
    }
}
