//! Bytes in, lines out.
//!
//! Decides where a log line begins and ends: at LF, with a CR before it dropped and blank lines skipped. A line that holds
//! several JSON objects (`{...}{...}`, from senders that forget the LF) is handed out object by object. A line over the limit
//! is handed out as too long, once, and discarded up to its LF; an unfinished line at the end of the stream is torn. It does
//! no IO and does not know what a line means.
//!
//! A line that lies whole in the bytes given is handed out from there without a copy. Only the unfinished end of a chunk
//! is kept, so an idle connection holds nothing, and an unfinished line never more than the limit. Several framers can share a
//! [`LineRoom`]: a line that would take more than is left of it is discarded as one that is too long is.

mod kept;

use std::sync::Arc;

use memchr::{memchr, memmem};

use kept::Kept;
pub use kept::LineRoom;

/// The largest line that is read unless configured: 256 KiB. Kong's own limits on a request keep real lines below.
pub const LINE_BYTES_MAX_DEFAULT: usize = 256 * 1024;

/// The least and the most that the limit can be set to.
pub const LINE_BYTES_MAX_RANGE: std::ops::RangeInclusive<usize> = 1024..=16 * 1024 * 1024;

/// One thing found in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The line it is in, the first one being 1; blank lines count. Several objects of one line have the same number.
    pub line: u64,
    /// What was found.
    pub content: Content<'a>,
}

/// What was found in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A line, or one of several JSON objects of a line. Never blank.
    Record(&'a [u8]),
    /// A line over the limit; its bytes are gone.
    TooLong,
    /// A line for which nothing was left of the [`LineRoom`]; its bytes are gone.
    NoRoom,
    /// The stream ended in the middle of a line.
    Torn {
        /// What there was of it.
        begun: &'a [u8],
    },
}

/// Cuts a stream of bytes into lines.
#[derive(Debug)]
pub struct LineFramer {
    /// Where one object may end and the next begin.
    between_objects: memmem::Finder<'static>,
    line_bytes_max: usize,
    kept: Kept,
    discarding: bool,
    line: u64,
}

impl LineFramer {
    /// A framer for lines of at most so many bytes without their LF; brought into [`LINE_BYTES_MAX_RANGE`].
    pub fn new(line_bytes_max: usize) -> Self {
        LineFramer::with_kept(line_bytes_max, Kept::new(None))
    }

    /// The same, whose unfinished line takes its memory from a room.
    pub fn sharing(line_bytes_max: usize, room: &Arc<LineRoom>) -> Self {
        LineFramer::with_kept(line_bytes_max, Kept::new(Some(Arc::clone(room))))
    }

    fn with_kept(line_bytes_max: usize, kept: Kept) -> Self {
        let line_bytes_max = line_bytes_max.clamp(*LINE_BYTES_MAX_RANGE.start(), *LINE_BYTES_MAX_RANGE.end());
        let between_objects = memmem::Finder::new(b"}{");
        LineFramer { between_objects, line_bytes_max, kept, discarding: false, line: 1 }
    }

    /// Takes the next bytes of the stream and hands out what is complete with them.
    pub fn feed(&mut self, mut chunk: &[u8], mut take: impl FnMut(Frame<'_>)) {
        while let Some(end) = memchr(b'\n', chunk) {
            let (piece, rest) = (&chunk[..end], &chunk[end + 1..]);
            if self.kept.bytes().is_empty() && piece.len() <= self.line_bytes_max && !self.discarding {
                split_line(piece, self.line, &self.between_objects, &mut take);
            } else {
                self.keep(piece, true, &mut take);
                self.end_line(&mut take);
            }
            self.line += 1;
            chunk = rest;
        }
        self.keep(chunk, false, &mut take);
    }

    /// Hands out the whole objects that the unfinished line begins with, and says whether there were any.
    pub fn take_objects(&mut self, mut take: impl FnMut(Frame<'_>)) -> bool {
        let line = self.line;
        let object = |object: &[u8]| take(Frame { line, content: Content::Record(object) });
        let whole = leading_objects(self.kept.bytes(), object);
        self.kept.drop_first(whole);
        whole > 0
    }

    /// Ends the stream: an unfinished last line is handed out if it holds whole objects, and is torn otherwise.
    pub fn finish(&mut self, mut take: impl FnMut(Frame<'_>)) {
        self.take_objects(&mut take);
        let rest = self.kept.bytes().trim_ascii();
        if !rest.is_empty() && !self.discarding {
            take(Frame { line: self.line, content: Content::Torn { begun: rest } });
        }
        self.kept.clear();
        (self.discarding, self.line) = (false, 1);
    }

    /// Lines that have ended so far, blank ones included.
    pub fn lines_ended(&self) -> u64 {
        self.line - 1
    }

    /// A line has begun and not ended, whether it is kept or discarded.
    pub fn is_unfinished(&self) -> bool {
        self.discarding || !self.kept.bytes().is_empty()
    }

    /// Bytes kept of an unfinished line.
    pub fn pending_bytes(&self) -> usize {
        self.kept.bytes().len()
    }

    /// Memory held.
    pub fn capacity_bytes(&self) -> usize {
        self.kept.capacity()
    }

    /// Keeps a part of the current line, which ends with it or not. Whether the line is too long is decided on the line alone,
    /// never on how the stream was cut into chunks: always on its first `line_bytes_max` bytes and the fact that more follow.
    fn keep(&mut self, mut piece: &[u8], ends: bool, take: &mut impl FnMut(Frame<'_>)) {
        while !piece.is_empty() && !self.discarding {
            let left = self.line_bytes_max - self.kept.bytes().len();
            let (fits, over) = piece.split_at(piece.len().min(left));
            if ends {
                self.kept.extend_to_end(fits);
            } else if !self.kept.extend(fits, self.line_bytes_max) {
                self.shorten(Content::NoRoom, take);
                continue;
            }
            if !over.is_empty() {
                self.shorten(Content::TooLong, take);
            }
            piece = over;
        }
    }

    /// The line cannot grow. Whole objects at its beginning are good; without any, the line is given up.
    fn shorten(&mut self, given_up: Content<'_>, take: &mut impl FnMut(Frame<'_>)) {
        if !self.take_objects(&mut *take) {
            self.discarding = true;
            self.kept.clear();
            take(Frame { line: self.line, content: given_up });
        }
    }

    fn end_line(&mut self, take: &mut impl FnMut(Frame<'_>)) {
        if !self.discarding {
            split_line(self.kept.bytes(), self.line, &self.between_objects, take);
        }
        self.discarding = false;
        self.kept.clear();
    }
}

/// Hands out a whole line without its LF.
fn split_line(line: &[u8], number: u64, between: &memmem::Finder<'_>, take: &mut impl FnMut(Frame<'_>)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut record = |content: &[u8]| {
        // The first byte of nearly every line says that it is not blank.
        if line.first() == Some(&b'{') || !content.trim_ascii().is_empty() {
            take(Frame { line: number, content: Content::Record(content) });
        }
    };
    if between.find(line).is_none() {
        return record(line);
    }
    // The two braces may well stand inside a string, so only the scanner knows.
    let whole = leading_objects(line, &mut record);
    if !line[whole..].trim_ascii().is_empty() {
        record(&line[whole..]);
    }
}

/// Hands out the whole JSON objects that the bytes begin with, and says how many bytes they take.
fn leading_objects(bytes: &[u8], mut take: impl FnMut(&[u8])) -> usize {
    let mut at = 0;
    loop {
        let start = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let Some(length) = object_length(&bytes[start..]) else {
            return at;
        };
        take(&bytes[start..start + length]);
        at = start + length;
    }
}

/// Cuts a body into its JSON objects: one alone, several of an array, or one after the other with or without LF between
/// them. What is no object is handed out as a record, up to the next object, for whoever reads it to reject; an object over the
/// limit as too long, and one that does not end as torn.
pub fn body_records(body: &[u8], line_bytes_max: usize) -> impl Iterator<Item = Content<'_>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let between = |byte: &&u8| byte.is_ascii_whitespace() || matches!(byte, b'[' | b',' | b']');
        rest = &rest[rest.iter().take_while(between).count()..];
        let length = match rest.first()? {
            b'{' => object_length(rest),
            _ => Some(memchr(b'{', rest).unwrap_or(rest.len())),
        };
        let Some(length) = length else {
            return Some(Content::Torn { begun: std::mem::take(&mut rest) });
        };
        let (record, after) = rest.split_at(length);
        rest = after;
        Some(if record.len() > line_bytes_max { Content::TooLong } else { Content::Record(record.trim_ascii_end()) })
    })
}

/// Length of the JSON object that the bytes begin with, by braces and strings alone; `None` if it does not end.
fn object_length(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'"' => at = string_end(bytes, at)?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Where the string that begins at `start` has its closing quote.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests;
