//! What collectors and responders say to the platform, and what it answers.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `POST /premises/v1/calls` | a shipment, below | [`Shipped`] |
//! | `GET /premises/v1/desired?gateway=G&after=V` | | a `DesiredState` newer than version `V`, or 204 after a while |
//! | `POST /premises/v1/reports` | [`Reports`] | 204 when all are on stable storage |
//! | `POST /premises/v1/configuration` | a `GatewaySnapshot` | 204 when it is on stable storage |
//! | `POST /premises/v1/heartbeat` | [`Heartbeat`] | [`HeartbeatAnswer`] |
//!
//! Every request carries `Authorization: Bearer <the service's token>`, [`PROTOCOL_HEADER`] and [`INSTANCE_HEADER`]. A
//! shipment is LZ4 with its plain size in front (4 little-endian bytes), and in it the postcard encoding of batches.
//! Sending any of it again changes nothing. 413 and 422 say that it will never be taken as it is; every other refusal is
//! about now, and the same may be taken later. A 409 whose `where` names a batch is about the time of that batch alone.

use outrider_model::{ActionReport, Concern};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::ServiceKind;

/// The version of what is said here. The platform refuses another one, and says so.
pub const PROTOCOL: u32 = 1;
/// The header with that version.
pub const PROTOCOL_HEADER: &str = "outrider-protocol";
/// The header with the id of the data directory that speaks, to tell two processes with one token apart.
pub const INSTANCE_HEADER: &str = "outrider-instance";
/// The largest shipment in bytes, plain. One batch is smaller than that by far.
pub const SHIPMENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most batches of a shipment: a batch that is nearly empty costs as much as any other one.
pub const SHIPMENT_BATCHES_MAX: usize = 4096;
/// A collector whose clock is further ahead than this would move everybody's time forward.
pub const CLOCK_AHEAD_MS_MAX: i64 = 60_000;

/// One batch of a shipment. Its range was fixed when it was spooled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippedBatch {
    /// The collector's start that it belongs to; the log tells those of different services apart.
    pub epoch: u64,
    /// The number of its first call within the epoch.
    pub first: u64,
    /// The number of its last call within the epoch.
    pub last: u64,
    /// How many calls it holds.
    pub count: u32,
    /// When the last of them was received.
    pub at_ms: i64,
    /// Why unnumbered calls are missing before it, where the collector knows that some may be.
    pub lost_before: Option<String>,
    /// The bytes of an `outrider_model::batch::BatchWriter`.
    #[serde(with = "serde_bytes")]
    pub calls: Vec<u8>,
}

/// What became of a shipment: all of it is on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// Batches that were new.
    pub stored: u32,
    /// Batches that were there already.
    pub duplicates: u32,
}

/// What a responder saw at its gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// In the order in which it saw them.
    pub reports: Vec<ActionReport>,
}

/// How a service is, every few seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What it does.
    pub kind: ServiceKind,
    /// Its version of outrider.
    pub version: String,
    /// Its clock.
    pub now_ms: i64,
    /// The gateways that it is configured for.
    pub gateways: Vec<String>,
    /// Its counters, for people.
    pub status: Value,
    /// What is wrong with it.
    #[serde(default)]
    pub concerns: Vec<Concern>,
}

/// What the platform says back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The platform's version of outrider.
    pub version: String,
    /// The installation that owns what responders write.
    pub installation: String,
    /// How far the service's clock is ahead of the platform's, in milliseconds; negative when it is behind. The time that
    /// the heartbeat was under way is in it.
    pub clock_ahead_ms: i64,
}

/// Why bytes are no shipment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShipmentError {
    /// Too large to be taken.
    #[error("a shipment of {bytes} bytes is too large; the limit is {SHIPMENT_BYTES_MAX}")]
    TooLarge {
        /// Its plain size.
        bytes: usize,
    },
    /// In too many pieces to be taken.
    #[error("a shipment of {batches} batches is too large; the limit is {SHIPMENT_BATCHES_MAX}")]
    TooMany {
        /// How many it says that it has.
        batches: usize,
    },
    /// Not what it should be.
    #[error("the shipment is damaged: {0}")]
    Damaged(String),
}

/// Makes a shipment of batches.
pub fn encode_shipment(batches: &[ShippedBatch]) -> Result<Vec<u8>, ShipmentError> {
    if batches.len() > SHIPMENT_BATCHES_MAX {
        return Err(ShipmentError::TooMany { batches: batches.len() });
    }
    let plain = postcard::to_stdvec(batches).map_err(|error| ShipmentError::Damaged(error.to_string()))?;
    match plain.len() {
        bytes @ ..=SHIPMENT_BYTES_MAX => {
            let mut shipment = Vec::with_capacity(bytes / 2);
            shipment.extend_from_slice(&lz4_flex::block::compress_prepend_size(&plain));
            Ok(shipment)
        }
        bytes => Err(ShipmentError::TooLarge { bytes }),
    }
}

/// Takes a shipment apart. What it says of its size is believed up to the limit only.
pub fn decode_shipment(shipment: &[u8]) -> Result<Vec<ShippedBatch>, ShipmentError> {
    let damaged = |why: &dyn std::fmt::Display| ShipmentError::Damaged(why.to_string());
    let (bytes, block) = lz4_flex::block::uncompressed_size(shipment).map_err(|error| damaged(&error))?;
    if bytes > SHIPMENT_BYTES_MAX {
        return Err(ShipmentError::TooLarge { bytes });
    }
    let plain = lz4_flex::block::decompress(block, bytes).map_err(|error| damaged(&error))?;
    // A list begins with its length, so it is known before any of it takes room.
    let (batches, _) = postcard::take_from_bytes::<usize>(&plain).map_err(|error| damaged(&error))?;
    if batches > SHIPMENT_BATCHES_MAX {
        return Err(ShipmentError::TooMany { batches });
    }
    postcard::from_bytes(&plain).map_err(|error| damaged(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(calls: usize) -> ShippedBatch {
        let lost_before = Some("killed".to_owned());
        ShippedBatch { epoch: 7, first: 1, last: 2, count: 2, at_ms: -5, lost_before, calls: vec![9; calls] }
    }

    #[test]
    fn a_shipment_comes_back_as_it_was() {
        for batches in [vec![], vec![batch(0)], vec![batch(100_000), batch(3)]] {
            assert_eq!(decode_shipment(&encode_shipment(&batches).unwrap()).unwrap(), batches);
        }
    }

    #[test]
    fn a_batch_is_its_fields_and_its_calls_as_they_are() {
        let encoded = postcard::to_stdvec(&batch(3)).unwrap();
        assert_eq!(encoded, [&[7, 1, 2, 2, 9, 1, 6][..], b"killed", &[3, 9, 9, 9]].concat());
    }

    #[test]
    fn damage_and_size_are_refused() {
        let good = encode_shipment(&[batch(1000)]).unwrap();
        for cut in [0, 3, 4, 10, good.len() - 1] {
            assert!(matches!(decode_shipment(&good[..cut]), Err(ShipmentError::Damaged(_))), "cut at {cut}");
        }
        let mut lying = good.clone();
        lying[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decode_shipment(&lying), Err(ShipmentError::TooLarge { .. })));
        assert!(matches!(encode_shipment(&[batch(SHIPMENT_BYTES_MAX + 1)]), Err(ShipmentError::TooLarge { .. })));
    }

    #[test]
    fn a_shipment_in_too_many_pieces_is_refused_before_it_takes_room() {
        let most = vec![batch(0); SHIPMENT_BATCHES_MAX];
        assert_eq!(decode_shipment(&encode_shipment(&most).unwrap()).unwrap().len(), SHIPMENT_BATCHES_MAX);
        let more = [&most[..], &[batch(0)]].concat();
        let refused = ShipmentError::TooMany { batches: SHIPMENT_BATCHES_MAX + 1 };
        assert_eq!(encode_shipment(&more), Err(refused.clone()));
        let plain = postcard::to_stdvec(&more).unwrap();
        assert_eq!(decode_shipment(&lz4_flex::block::compress_prepend_size(&plain)), Err(refused));
    }
}
