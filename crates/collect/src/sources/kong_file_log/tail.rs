//! One open file: read in pieces, cut into lines, with the place behind each.
//!
//! There are three places in it. What lies before `stored` is done with. What lies between `stored` and `line_start` are whole
//! lines that are on their way, and what lies behind that is the beginning of a line that is still being written. Only the
//! first is kept over a restart, so an unfinished line is read again from its beginning.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use memchr::memrchr;

use super::identity::Identity;
use super::positions::Place;
use crate::framing::{Frame, LineFramer};

/// Bytes read at a time.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// Whether a file was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Not,
    /// It has lost its end, and begins as it did; so long it is now.
    Shortened(u64),
    /// It begins with something else, or with nothing.
    Anew,
}

/// An open file that is read on.
pub(super) struct Tail {
    file: File,
    identity: Identity,
    framer: LineFramer,
    line_bytes_max: usize,
    /// Where the next piece begins.
    read_to: u64,
    /// Behind the last whole line that was read.
    line_start: u64,
    /// Behind the last line that is stored, or is none.
    stored: u64,
}

impl Tail {
    /// Opens a file, to be read from its beginning.
    pub(super) fn open(path: &Path, line_bytes_max: usize) -> io::Result<Self> {
        // Whoever waits to write to a pipe would go on once it is opened, and then write to nobody.
        ensure_regular(&fs::metadata(path)?)?;
        // It may have become one since.
        let wait_not = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(wait_not).open(path)?;
        ensure_regular(&file.metadata()?)?;
        let identity = Identity::of(&file)?;
        let framer = LineFramer::new(line_bytes_max);
        Ok(Tail { file, identity, framer, line_bytes_max, read_to: 0, line_start: 0, stored: 0 })
    }

    /// To be read from where it was left.
    pub(super) fn from(mut self, position: u64) -> Self {
        self.stored = position;
        self.rewind();
        self
    }

    /// To be read from behind the last whole line that is there now; where the last line is longer than any that would be
    /// read, from its end.
    pub(super) fn at_last_line(self) -> io::Result<Self> {
        let size = self.size()?;
        let mut piece = vec![0; READ_BYTES];
        let mut end = size;
        while end > 0 && size - end <= self.line_bytes_max as u64 {
            let start = end.saturating_sub(READ_BYTES as u64);
            let piece = &mut piece[..usize::try_from(end - start).unwrap_or(READ_BYTES)];
            self.file.read_exact_at(piece, start)?;
            if let Some(at) = memrchr(b'\n', piece) {
                return Ok(self.from(start + at as u64 + 1));
            }
            end = start;
        }
        Ok(self.from(if end == 0 { 0 } else { size }))
    }

    /// How long it is now.
    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Bytes that are there and not stored yet.
    pub(super) fn waiting_bytes(&self) -> io::Result<u64> {
        Ok(self.size()?.saturating_sub(self.stored))
    }

    /// What somebody has done to it, who may have written something else into it since. Neither size nor time tells that it is
    /// as it was.
    pub(super) fn cut(&self) -> io::Result<Cut> {
        let size = self.size()?;
        Ok(match self.identity.has_beginning_of(&self.file)? {
            true if size >= self.read_to => Cut::Not,
            true if self.identity.has_beginning() => Cut::Shortened(size),
            _ => Cut::Anew,
        })
    }

    /// It is the file that has this metadata.
    pub(super) fn has(&self, metadata: &Metadata) -> bool {
        self.identity.has_inode_of(metadata)
    }

    /// Where to go on in it, if it is the one that is known by this place, or a copy of that. One that is shorter now has lost
    /// its end, by a power cut most likely: what is left of it was read, so it goes on there.
    pub(super) fn goes_on(&self, place: &Place) -> io::Result<Option<u64>> {
        if !place.identity.is(&self.file)? {
            return Ok(None);
        }
        let size = self.size()?;
        let is_same = size >= place.position || place.identity.has_beginning();
        Ok(is_same.then(|| place.position.min(size)))
    }

    /// It has lost its end, and is read on behind what is left.
    pub(super) fn shorten(&mut self, size: u64) {
        self.stored = self.stored.min(size);
        self.rewind();
    }

    /// It is read from its beginning again, as another file.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.identity = Identity::of(&self.file)?;
        self.stored = 0;
        self.rewind();
        Ok(())
    }

    /// Reads the next piece, and hands out the lines that end in it. Says how many bytes it had.
    pub(super) fn read(&mut self, buffer: &mut [u8], take: impl FnMut(Frame<'_>)) -> io::Result<usize> {
        let length = loop {
            match self.file.read_at(buffer, self.read_to) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        let piece = &buffer[..length];
        self.framer.feed(piece, take);
        if let Some(at) = memrchr(b'\n', piece) {
            self.line_start = self.read_to + at as u64 + 1;
        }
        self.read_to += length as u64;
        Ok(length)
    }

    /// Ends it: nothing more is written to it, and an unfinished line never ends.
    pub(super) fn finish(&mut self, take: impl FnMut(Frame<'_>)) {
        self.framer.finish(take);
        self.line_start = self.read_to;
    }

    /// Bytes of whole lines that are not stored yet.
    pub(super) fn taken_bytes(&self) -> u64 {
        self.line_start - self.stored
    }

    /// Where the whole lines end that were read.
    pub(super) fn line_start(&self) -> u64 {
        self.line_start
    }

    /// What was read up to there is stored.
    pub(super) fn store(&mut self, position: u64) {
        self.stored = position;
    }

    /// What was read and is not stored is read again.
    pub(super) fn rewind(&mut self) {
        self.framer = LineFramer::new(self.line_bytes_max);
        (self.read_to, self.line_start) = (self.stored, self.stored);
    }

    /// Anything of it was read, or skipped.
    pub(super) fn has_begun(&self) -> bool {
        self.read_to > 0
    }

    /// Where it is stored up to, as it is kept.
    pub(super) fn place(&mut self) -> io::Result<Place> {
        // Of a file that was cut a moment ago, the place is meant that was before.
        if !self.identity.is_complete() && self.identity.has_beginning_of(&self.file)? {
            self.identity = Identity::of(&self.file)?;
        }
        Ok(self.known_place())
    }

    /// The same, as far as it was known before.
    pub(super) fn known_place(&self) -> Place {
        Place { identity: self.identity.clone(), position: self.stored }
    }
}

fn ensure_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"))
}
