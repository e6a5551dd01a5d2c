//! How calls travel together, from the collector into the log and out of it again.
//!
//! A batch is a version byte and then the calls: each call is its length as 4 little-endian
//! bytes and its postcard encoding. Decoding borrows from the batch's bytes, so reading a call copies no string.
//! Row-wise on purpose: see `docs/decisions/001-rows-in-the-log.md`.
//!
//! In version 2 a call's encoding is followed by that of its [`Enrichment`], within the same length; where nothing is known
//! there are no bytes. So version 1 is version 2 without any enrichment, and a batch in which no call has one says 1: a
//! collector, which enriches nothing, is understood by an older platform.
//!
//! Behind the enrichment follow a call's mapped fields, where it has any; its enrichment is written then, too, even if it says
//! nothing. That is no version of its own, because builds that know no mapped fields read version 2 up to the end of the
//! enrichment and leave alone what is behind it: they lose the fields, and not the calls. Behind the fields follows in the same
//! way what a call shows of its [`Exposure`], where it shows anything; what later builds put behind that, this one leaves alone.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

use crate::{ApiCall, Enrichment, Exposure, Field};

/// Of a batch in which no call has anything behind it.
const PLAIN: u8 = 1;
/// Of a batch in which some have.
const EXTENDED: u8 = 2;

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Written by another version.
    #[error("batch version {found} cannot be read; this build reads versions {PLAIN} and {EXTENDED}")]
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
    calls: u32,
}

impl BatchWriter {
    /// Adds a call. On error the batch is as it was before.
    pub fn push(&mut self, call: &ApiCall<'_>) -> Result<(), BatchError> {
        let before = self.bytes.len();
        if self.bytes.is_empty() {
            self.bytes.push(PLAIN);
        }
        let pushed = self.append(call);
        match pushed {
            Ok(is_extended) => {
                if is_extended {
                    self.bytes[0] = EXTENDED;
                }
                self.calls += 1;
            }
            Err(_) => self.bytes.truncate(before),
        }
        pushed.map(drop)
    }

    /// Writes a call behind its length, and says whether it has anything that version 1 has not.
    fn append(&mut self, call: &ApiCall<'_>) -> Result<bool, BatchError> {
        let prefix = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let has_exposure = !call.exposure.is_empty();
        let has_fields = has_exposure || !call.fields.is_empty();
        let is_extended = has_fields || !call.enrichment.is_empty();
        self.encode(call)?;
        if is_extended {
            self.encode(&call.enrichment)?;
        }
        if has_fields {
            self.encode(&call.fields)?;
        }
        if has_exposure {
            self.encode(&call.exposure)?;
        }
        let bytes = self.bytes.len() - prefix - 4;
        let length = u32::try_from(bytes).map_err(|_| BatchError::TooLarge { bytes })?;
        self.bytes[prefix..prefix + 4].copy_from_slice(&length.to_le_bytes());
        Ok(is_extended)
    }

    fn encode(&mut self, value: &impl Serialize) -> Result<(), BatchError> {
        postcard::serialize_with_flavor(value, Appended(&mut self.bytes)).map_err(|_| BatchError::Unencodable)
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

/// Where postcard writes: behind what is there, a whole text at a time.
struct Appended<'v>(&'v mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
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
            None | Some(&(PLAIN | EXTENDED)) => Ok(BatchReader { bytes, at: usize::from(!bytes.is_empty()) }),
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
        Some(decode(encoded).map_err(|_| damaged))
    }
}

fn decode(encoded: &[u8]) -> Result<ApiCall<'_>, postcard::Error> {
    let (mut call, behind) = postcard::take_from_bytes::<ApiCall<'_>>(encoded)?;
    if behind.is_empty() {
        return Ok(call);
    }
    let (enrichment, behind) = postcard::take_from_bytes::<Enrichment<'_>>(behind)?;
    call.enrichment = enrichment;
    if behind.is_empty() {
        return Ok(call);
    }
    let (fields, behind) = postcard::take_from_bytes::<Vec<Field<'_>>>(behind)?;
    call.fields = fields;
    if !behind.is_empty() {
        // Not `take_from_bytes`: what a later build puts behind it is passed over.
        call.exposure = postcard::from_bytes::<Exposure<'_>>(behind)?;
    }
    Ok(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AgentClass, AnsweredBy, BusinessEntity, ClassLocation, ClassSeen, ClockCheck, Coordinates, CountryCode, Field,
        FieldValue, KeyId, Latency, NetworkClass, Pseudonym, Sign, Text, Trust,
    };

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
            fields: vec![],
            enrichment: Enrichment::default(),
            exposure: Exposure::default(),
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

    fn enriched(path: &str) -> ApiCall<'_> {
        let entity = |value| BusinessEntity { name: Text::from("merchant_id"), value: Text::from(value) };
        let enrichment = Enrichment {
            country: CountryCode::new("SE"),
            city: Text::from("Linköping"),
            coordinates: Coordinates::from_degrees(58.4167, 15.6167, Some(76)),
            asn: Some(29518),
            as_name: Text::from("Bredband2 AB"),
            network: NetworkClass::Mobile,
            agent_family: Text::from("curl"),
            agent: AgentClass::Tool,
            entities: vec![entity("42"), entity("43")],
        };
        ApiCall { enrichment, ..call(path) }
    }

    /// `call("/a")` as a build that knew no enrichment wrote it.
    const VERSION_1: &[u8] = b"\x01N\x00\x00\x00\x04kong\x00\x00\x00\x04\x02\x02\x00\x00\x00\x00\x01\x01\x03\x03\x03\x03\x03\x03\x03\x03\
        \x03\x03\x03\x03\x03\x03\x03\x03\x00\x01\x00\xc0\x00\x02\x01\x00\x00\x0bapi.example\x03GET\x02/a\x01\x01q\x01\x01x\x00\
        \xc8\x01\x00\x00\x01\x02\x02\x00\x02\x00";

    #[test]
    fn what_older_builds_wrote_is_read_and_what_is_not_enriched_is_written_as_they_did() {
        let calls: Vec<_> = BatchReader::new(VERSION_1).unwrap().map(Result::unwrap).collect();
        assert_eq!(calls, [call("/a")]);
        let mut writer = BatchWriter::default();
        writer.push(&call("/a")).unwrap();
        assert_eq!(writer.take(), VERSION_1);
    }

    #[test]
    fn enriched_calls_and_others_share_a_batch() {
        let mut writer = BatchWriter::default();
        let calls = [call("/a"), enriched("/b"), call("/c"), enriched("/d")];
        for call in &calls {
            writer.push(call).unwrap();
        }
        let bytes = writer.take();
        assert_eq!(bytes[0], EXTENDED);
        let read: Vec<_> = BatchReader::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, calls);
        // The strings are the batch's own bytes.
        assert!(read[1].enrichment.city.borrowed().is_some());
        // The writer's next batch begins anew.
        writer.push(&call("/e")).unwrap();
        assert_eq!(writer.take()[0], PLAIN);
    }

    fn mapped(call: ApiCall<'_>) -> ApiCall<'_> {
        let field = |name, value| Field { name: Text::from(name), value };
        let fields = vec![
            field("account", FieldValue::Pseudonym(Pseudonym { key: KeyId(1), tag: [9; 16] }, 14)),
            field("tenant", FieldValue::Clear(Text::from("acme"))),
        ];
        ApiCall { fields, ..call }
    }

    #[test]
    fn mapped_fields_come_back_with_and_without_enrichment() {
        let calls = [call("/a"), mapped(call("/b")), enriched("/c"), mapped(enriched("/d"))];
        let mut writer = BatchWriter::default();
        for call in &calls {
            writer.push(call).unwrap();
        }
        let bytes = writer.take();
        assert_eq!(bytes[0], EXTENDED);
        let read: Vec<_> = BatchReader::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, calls);
        assert!(read[1].fields[1].name.borrowed().is_some());
        assert_eq!(read[3].account(), Some(Pseudonym { key: KeyId(1), tag: [9; 16] }));
        assert_eq!(read[2].account(), None);
    }

    #[test]
    fn a_build_that_knows_no_mapped_fields_reads_all_but_them() {
        // As such a build decodes what stands behind a call.
        fn decode(encoded: &[u8]) -> Result<ApiCall<'_>, postcard::Error> {
            let (mut call, rest) = postcard::take_from_bytes::<ApiCall<'_>>(encoded)?;
            if !rest.is_empty() {
                call.enrichment = postcard::from_bytes::<Enrichment<'_>>(rest)?;
            }
            Ok(call)
        }
        for (written, expected) in [(mapped(call("/a")), call("/a")), (mapped(enriched("/b")), enriched("/b"))] {
            let mut writer = BatchWriter::default();
            writer.push(&written).unwrap();
            assert_eq!(decode(&writer.take()[5..]).unwrap(), expected);
        }
    }

    fn exposed(call: ApiCall<'_>) -> ApiCall<'_> {
        let class = ClassSeen { location: ClassLocation::Query, at: 1, class: Text::from("email") };
        let signs = [Sign::Https, Sign::JwtWithoutExpiry].into_iter().collect();
        ApiCall { exposure: Exposure { signs, jwt_lifetime_s: Some(3600), classes: vec![class] }, ..call }
    }

    #[test]
    fn exposure_comes_back_and_a_build_that_does_not_know_it_reads_the_rest() {
        // As such a build decodes what stands behind a call.
        fn decode_without(encoded: &[u8]) -> Result<ApiCall<'_>, postcard::Error> {
            let (mut call, rest) = postcard::take_from_bytes::<ApiCall<'_>>(encoded)?;
            let (enrichment, rest) = postcard::take_from_bytes::<Enrichment<'_>>(rest)?;
            call.enrichment = enrichment;
            call.fields = postcard::from_bytes::<Vec<Field<'_>>>(rest)?;
            Ok(call)
        }
        for call in [call("/a"), mapped(call("/b")), enriched("/c"), mapped(enriched("/d"))] {
            let mut writer = BatchWriter::default();
            writer.push(&exposed(call.clone())).unwrap();
            let bytes = writer.take();
            assert_eq!(bytes[0], EXTENDED);
            let read = BatchReader::new(&bytes).unwrap().next().unwrap().unwrap();
            assert_eq!(read, exposed(call.clone()));
            assert!(read.exposure.classes[0].class.borrowed().is_some());
            assert_eq!(decode_without(&bytes[5..]).unwrap(), call);
        }
    }

    #[test]
    fn what_a_later_build_puts_behind_the_exposure_is_passed_over() {
        let written = exposed(mapped(call("/a")));
        let mut encoded = postcard::to_stdvec(&written).unwrap();
        encoded = postcard::to_extend(&written.enrichment, encoded).unwrap();
        encoded = postcard::to_extend(&written.fields, encoded).unwrap();
        encoded = postcard::to_extend(&written.exposure, encoded).unwrap();
        encoded.extend_from_slice(b"later");
        assert_eq!(decode(&encoded).unwrap(), written);
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
