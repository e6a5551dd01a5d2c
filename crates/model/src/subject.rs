use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EntityKey, EntityKind};

/// Bytes of a subject's id at most; no entity has a longer one.
const VALUE_BYTES_MAX: usize = 512;

/// Whose data is erased: an entity, wherever it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// What it is. A network is nobody.
    pub kind: EntityKind,
    /// Its id, as timelines have it: `merchant_id:4711` for a business entity.
    pub value: String,
}

/// Why something is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{kind}` and this id name nobody whose data could be erased: {why}")]
pub struct SubjectError {
    kind: EntityKind,
    why: &'static str,
}

impl Subject {
    /// A subject, with its id in the form that calls carry it in.
    pub fn new(kind: EntityKind, value: &str) -> Result<Subject, SubjectError> {
        let wrong = |why| SubjectError { kind, why };
        if value.is_empty() || value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
            return Err(wrong("an id has 1 to 512 bytes and no control characters"));
        }
        let value = match kind {
            EntityKind::Service | EntityKind::Gateway => return Err(wrong("a service or a gateway is no person")),
            EntityKind::Network => return Err(wrong("a network is no person; erase its addresses one by one")),
            EntityKind::Ip => {
                let address: IpAddr = value.parse().map_err(|_| wrong("it is no address, such as 192.0.2.7"))?;
                // As calls have it: an IPv4 address that came over IPv6 is that IPv4 address.
                address.to_canonical().to_string()
            }
            EntityKind::Business if !value.contains(':') => {
                return Err(wrong("a business entity is NAME:ID, such as merchant_id:4711"));
            }
            _ => value.to_owned(),
        };
        Ok(Subject { kind, value })
    }

    /// Whether an entity is this subject, at whichever gateway.
    pub fn is(&self, entity: &EntityKey) -> bool {
        entity.kind == self.kind && entity.value == self.value
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

/// `consumer:3f0a…`, `ip:192.0.2.7`, `business:merchant_id:4711`.
impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, value) = text
            .split_once(':')
            .ok_or("whose data? Say the kind and the id, such as `consumer:ID` or `ip:192.0.2.7`")?;
        Subject::new(kind.parse()?, value).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_somebody_in_the_form_that_calls_have() {
        for (text, expected) in [
            ("consumer:a:b", "consumer:a:b"),
            ("ip:2001:DB8:0::7", "ip:2001:db8::7"),
            ("ip:::ffff:192.0.2.7", "ip:192.0.2.7"),
            ("business:merchant_id:4711", "business:merchant_id:4711"),
        ] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), expected);
        }
        for (text, words) in [
            ("alice", "Say the kind"),
            ("person:alice", "no entity kind"),
            ("network:64500", "no person"),
            ("ip:alice", "no address"),
            ("business:4711", "NAME:ID"),
            ("consumer:", "1 to 512 bytes"),
            ("consumer:a\nb", "control"),
        ] {
            assert!(text.parse::<Subject>().unwrap_err().contains(words), "{text}");
        }
        assert!(Subject::new(EntityKind::Consumer, &"x".repeat(513)).is_err());
    }
}
