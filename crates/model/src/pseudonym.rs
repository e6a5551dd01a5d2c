use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names the key that made a pseudonym, so that a rotation can be followed. It says nothing about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub u16);

/// What stands for a credential or a personal value once it has left the collector.
///
/// The tag is the first 16 bytes of HMAC-SHA-256 under the installation's key: the same value gives the same pseudonym,
/// so it pivots and joins, and nobody without the key can go back or test a guess. Shown as `ps_<key>_<tag>` with 4 and
/// 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym {
    /// The key that made it.
    pub key: KeyId,
    /// The first 16 bytes of the HMAC.
    pub tag: [u8; 16],
}

/// The first 32 bits of an address that is a pseudonym. `2001:20::/28` is for identifiers that are made by a hash, look like
/// addresses and are never routed (RFC 7343); the four bits behind it are 0, which RFC 7343 keeps from being used.
const ADDRESS_BITS: u32 = 0x2001_0020;

impl Pseudonym {
    /// The form of a pseudonym that stands for an address: `2001:20:<key>:` and the first 10 bytes of the tag. So it is an
    /// address wherever one is asked for, and nobody's.
    pub fn to_address(self) -> Ipv6Addr {
        let [a, b, c, d, e, f, g, h, i, j, ..] = self.tag;
        let [p, q, r, s] = ADDRESS_BITS.to_be_bytes();
        let [k, l] = self.key.0.to_be_bytes();
        Ipv6Addr::from([p, q, r, s, k, l, a, b, c, d, e, f, g, h, i, j])
    }

    /// Whether an address is a pseudonym of one, whichever key made it.
    pub fn is_address(address: IpAddr) -> bool {
        matches!(address, IpAddr::V6(address) if address.to_bits() >> 96 == u128::from(ADDRESS_BITS))
    }
}

/// Why a text is not a pseudonym.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pseudonym: expected `ps_`, 4 hexadecimal digits of the key, `_` and 32 hexadecimal digits")]
pub struct PseudonymError;

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ps_{:04x}_{:032x}", self.key.0, u128::from_be_bytes(self.tag))
    }
}

impl FromStr for Pseudonym {
    type Err = PseudonymError;

    fn from_str(text: &str) -> Result<Self, PseudonymError> {
        let (key, tag) = text.strip_prefix("ps_").and_then(|rest| rest.split_once('_')).ok_or(PseudonymError)?;
        if key.len() != 4 || tag.len() != 32 {
            return Err(PseudonymError);
        }
        Ok(Pseudonym {
            key: KeyId(u16::from_str_radix(key, 16).map_err(|_| PseudonymError)?),
            tag: u128::from_str_radix(tag, 16).map_err(|_| PseudonymError)?.to_be_bytes(),
        })
    }
}

impl Serialize for Pseudonym {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.key, self.tag).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Pseudonym {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            let (key, tag) = Deserialize::deserialize(deserializer)?;
            Ok(Pseudonym { key, tag })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_pseudonym_is_told_from_others() {
        let pseudonym = Pseudonym { key: KeyId(0x61c1), tag: [0x9f; 16] };
        let address = pseudonym.to_address();
        assert_eq!(address.to_string(), "2001:20:61c1:9f9f:9f9f:9f9f:9f9f:9f9f");
        assert!(Pseudonym::is_address(address.into()));
        // The neighbours of the block, other identifiers of RFC 7343, and what is no IPv6 address at all.
        for other in ["2001:1f::1", "2001:21::1", "2001:2f::1", "2001:db8::1", "192.0.2.1", "::ffff:192.0.2.1"] {
            assert!(!Pseudonym::is_address(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_pseudonym_round_trips_and_near_misses_are_refused() {
        let pseudonym = Pseudonym { key: KeyId(0x1f), tag: [7; 16] };
        assert_eq!(pseudonym.to_string().parse(), Ok(pseudonym));
        let json = serde_json::to_string(&pseudonym).unwrap();
        assert_eq!(serde_json::from_str::<Pseudonym>(&json).unwrap(), pseudonym);
        let bytes = postcard::to_stdvec(&pseudonym).unwrap();
        assert_eq!(postcard::from_bytes::<Pseudonym>(&bytes).unwrap(), pseudonym);
        for wrong in ["", "ps_", "ps_001f_07", "ps_001f-07070707070707070707070707070707", "alice"] {
            assert_eq!(wrong.parse::<Pseudonym>(), Err(PseudonymError), "{wrong}");
        }
    }
}
