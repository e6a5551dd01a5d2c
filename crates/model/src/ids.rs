use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A stable 64-bit fingerprint for ids and map keys that are persisted.
///
/// Ids derive from what they name, never from chance or a clock, so that a replay of the same log gives the same ids
/// and writing an effect a second time is an upsert. The algorithm is rapidhash v3 with its default secrets over the
/// parts, each preceded by its length as 8 little-endian bytes; it is part of the on-disk format.
#[derive(Clone, Default)]
pub struct Fingerprint {
    bytes: Vec<u8>,
}

impl Fingerprint {
    /// Starts a fingerprint in a domain, so that equal parts in different domains differ.
    pub fn of(domain: &str) -> Self {
        Fingerprint::default().text(domain)
    }

    /// Adds a text part.
    #[must_use]
    pub fn text(mut self, part: &str) -> Self {
        self.bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(part.as_bytes());
        self
    }

    /// Adds a number part.
    #[must_use]
    pub fn number(mut self, part: i64) -> Self {
        self.bytes.extend_from_slice(&8u64.to_le_bytes());
        self.bytes.extend_from_slice(&part.to_le_bytes());
        self
    }

    /// The fingerprint of all parts added.
    pub fn finish(&self) -> u64 {
        rapidhash::v3::rapidhash_v3(&self.bytes)
    }
}

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an id of this kind: expected `{prefix}_` and 16 hexadecimal digits, like `{prefix}_0123456789abcdef`"
)]
pub struct IdError {
    prefix: &'static str,
    text: String,
}

/// Declares an id: 64 bits, shown as a two-letter prefix and 16 hexadecimal digits, so that a person sees what kind it
/// is. In readable formats it is that text, in binary ones the number.
macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident, $prefix:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{:016x}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|digits| digits.len() == 16)
                    .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                    .map($name)
                    .ok_or_else(|| IdError { prefix: $prefix, text: text.to_owned() })
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!($($doc),*).trim(),
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-9a-f]{16}$"),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_u64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    u64::deserialize(deserializer).map($name)
                }
            }
        }
    };
}

id!(
    /// An endpoint of the inventory. It survives re-templating: after a merge the oldest id lives on.
    EndpointId, "ep"
);
id!(
    /// One finding of one detector.
    FindingId, "fi"
);
id!(
    /// An alert: findings of one entity and kind.
    AlertId, "al"
);
id!(
    /// A response policy.
    PolicyId, "po"
);
id!(
    /// One desired restriction of a target at a gateway.
    ActionId, "ac"
);
id!(
    /// A saved hunt. One that is made anew under the same name is another one.
    HuntId, "hu"
);
id!(
    /// A weakness of an API: what a posture check says of one subject.
    WeaknessId, "wk"
);
id!(
    /// What somebody decided about a template. It derives from what is decided.
    TemplateDecisionId, "td"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_as_text_and_as_numbers() {
        let id = AlertId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "al_0123456789abcdef");
        assert_eq!("al_0123456789abcdef".parse::<AlertId>(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"al_0123456789abcdef\"");
        let bytes = postcard::to_stdvec(&id).unwrap();
        assert_eq!(postcard::from_bytes::<AlertId>(&bytes).unwrap(), id);
    }

    #[test]
    fn an_id_of_another_kind_is_refused_with_the_expected_form() {
        let error = "ep_0123456789abcdef".parse::<AlertId>().unwrap_err().to_string();
        assert!(error.contains("expected `al_`"), "{error}");
    }

    #[test]
    fn parts_do_not_run_together() {
        let one = Fingerprint::of("t").text("ab").text("c").finish();
        let other = Fingerprint::of("t").text("a").text("bc").finish();
        assert_ne!(one, other);
    }

    #[test]
    fn the_fingerprint_is_part_of_the_format() {
        assert_eq!(Fingerprint::of("test").text("alice").number(7).finish(), PINNED);
    }

    const PINNED: u64 = 8_939_753_235_169_492_764;
}
