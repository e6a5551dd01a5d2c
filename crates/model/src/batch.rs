//! How calls travel together, from the collector into the log and out of it again.
//!
//! A batch is a version byte (1) and then the calls: each call is its length as 4 little-endian
//! bytes and its postcard encoding. Decoding borrows from the batch's bytes, so reading a call copies no string.
//! Row-wise on purpose: see `docs/decisions/001-rows-in-the-log.md`.

use crate::ApiCall;

/// The version that this build writes; it reads no other.
pub const VERSION: u8 = 1;

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Written by another version.
    #[error("batch version {found} cannot be read; this build reads version {VERSION}")]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// Cut off or damaged.
    #[error("batch is damaged at byte {at}")]
    Damaged {
        /// Offset in bytes.
        at: usize,
    },
    /// A call cannot be encoded.
    #[error("call cannot be encoded")]
    Unencodable,
    /// A call is too large to be encoded.
    #[error("call of {bytes} bytes is too large for a batch")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
    },
}

/// Collects calls into a batch.
#[derive(Debug, Clone, Default)]
pub struct BatchWriter {
    bytes: Vec<u8>,
    scratch: Vec<u8>,
    calls: u32,
}

impl BatchWriter {
    /// Adds a call. On error the batch is as it was before.
    pub fn push(&mut self, call: &ApiCall<'_>) -> Result<(), BatchError> {
        self.scratch.clear();
        let encoded =
            postcard::to_extend(call, std::mem::take(&mut self.scratch)).map_err(|_| BatchError::Unencodable)?;
        let Ok(prefix) = u32::try_from(encoded.len()) else {
            return Err(BatchError::TooLarge { bytes: encoded.len() });
        };
        if self.bytes.is_empty() {
            self.bytes.push(VERSION);
        }
        self.bytes.extend_from_slice(&prefix.to_le_bytes());
        self.bytes.extend_from_slice(&encoded);
        self.scratch = encoded;
        self.calls += 1;
        Ok(())
    }

    /// How many calls it holds.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Its size so far in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no call.
    pub fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// Takes the batch's bytes and leaves the writer empty.
    pub fn take(&mut self) -> Vec<u8> {
        self.calls = 0;
        std::mem::take(&mut self.bytes)
    }
}

/// Reads the calls of a batch one by one.
#[derive(Debug, Clone)]
pub struct BatchReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BatchReader<'a> {
    /// Starts reading. An empty slice is an empty batch.
    pub fn new(bytes: &'a [u8]) -> Result<Self, BatchError> {
        match bytes.first() {
            None | Some(&VERSION) => Ok(BatchReader { bytes, at: usize::from(!bytes.is_empty()) }),
            Some(&found) => Err(BatchError::Version { found }),
        }
    }
}

impl<'a> Iterator for BatchReader<'a> {
    type Item = Result<ApiCall<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let damaged = BatchError::Damaged { at: self.at };
        let Some((prefix, rest)) = self.bytes[self.at..].split_first_chunk::<4>() else {
            self.at = self.bytes.len();
            return Some(Err(damaged));
        };
        let length = u32::from_le_bytes(*prefix) as usize;
        let Some(encoded) = rest.get(..length) else {
            self.at = self.bytes.len();
            return Some(Err(damaged));
        };
        self.at += 4 + length;
        Some(postcard::from_bytes(encoded).map_err(|_| damaged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnsweredBy, ClockCheck, Field, FieldValue, KeyId, Latency, Pseudonym, Text, Trust};

    fn call(path: &str) -> ApiCall<'_> {
        ApiCall {
            gateway: Text::from("kong"),
            workspace: Text::EMPTY,
            trust: Trust::Trusted,
            request_id: Text::EMPTY,
            received_ms: 2,
            started_ms: 1,
            event_ms: 1,
            clock: ClockCheck::AsReported,
            consumer: None,
            anonymous_consumer: false,
            credential_id: None,
            presented_credential: Some(Pseudonym { key: KeyId(1), tag: [3; 16] }),
            session: None,
            client_ip: Some([192, 0, 2, 1].into()),
            service: None,
            route: None,
            host: Text::from("api.example"),
            method: Text::from("GET"),
            path: Text::from(path),
            query: vec![Field { name: Text::from("q"), value: FieldValue::Clear(Text::from("x")) }],
            headers: vec![],
            status: 200,
            answered_by: AnsweredBy::Upstream,
            own_refusal: None,
            request_bytes: 1,
            response_bytes: 2,
            latency: Latency { total_ms: 1, gateway_ms: 0, upstream_ms: 1 },
            response_type: Text::EMPTY,
        }
    }

    #[test]
    fn calls_come_back_as_they_went_in() {
        let mut writer = BatchWriter::default();
        for path in ["/a", "/b/\u{f7e9}", ""] {
            writer.push(&call(path)).unwrap();
        }
        assert_eq!(writer.calls(), 3);
        let bytes = writer.take();
        assert!(writer.is_empty());
        let calls: Vec<_> = BatchReader::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(calls, [call("/a"), call("/b/\u{f7e9}"), call("")]);
    }

    #[test]
    fn a_damaged_batch_gives_what_is_good_before_the_damage_and_then_ends() {
        let mut writer = BatchWriter::default();
        writer.push(&call("/a")).unwrap();
        let good = writer.len();
        writer.push(&call("/b")).unwrap();
        let bytes = writer.take();
        for cut in good + 1..bytes.len() {
            let read: Vec<_> = BatchReader::new(&bytes[..cut]).unwrap().collect();
            assert_eq!(read.len(), 2, "cut at {cut}");
            assert_eq!(read[0].as_ref().unwrap(), &call("/a"));
            assert!(matches!(read[1], Err(BatchError::Damaged { .. })), "cut at {cut}");
        }
    }

    #[test]
    fn another_version_is_refused_by_name() {
        assert_eq!(BatchReader::new(&[9]).unwrap_err(), BatchError::Version { found: 9 });
    }
}
