use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ApiCall, Pseudonym};

/// What kind of thing acted or was acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A Kong consumer, by its id.
    Consumer,
    /// A credential: Kong's id of it, else the pseudonym of what was presented.
    Credential,
    /// A client address.
    Ip,
    /// A network, by autonomous system number.
    Network,
    /// A session, by pseudonym.
    Session,
    /// An entity of the business that an operator named, such as a merchant.
    Business,
    /// A service behind a gateway, by Kong's id of it or `host:` and the host. It is acted on and never acts.
    Service,
    /// A gateway, by its name. It never acts either.
    Gateway,
}

impl EntityKind {
    /// The kind's name in urls, queries and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            EntityKind::Consumer => "consumer",
            EntityKind::Credential => "credential",
            EntityKind::Ip => "ip",
            EntityKind::Network => "network",
            EntityKind::Session => "session",
            EntityKind::Business => "business",
            EntityKind::Service => "service",
            EntityKind::Gateway => "gateway",
        }
    }

    /// Whether calls are told by it, so that it has a timeline. What is weak at a service or a gateway is said of the whole of it.
    pub fn has_timeline(self) -> bool {
        !matches!(self, EntityKind::Service | EntityKind::Gateway)
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EntityKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use EntityKind::{Business, Consumer, Credential, Gateway, Ip, Network, Service, Session};
        [Consumer, Credential, Ip, Network, Session, Business, Service, Gateway]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                format!(
                    "`{text}` is no entity kind; there are consumer, credential, ip, network, session, business, service, gateway"
                )
            })
    }
}

/// An entity, with where it lives: the same consumer id behind two gateways is two entities (decision 3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct EntityKey {
    /// What it is.
    pub kind: EntityKind,
    /// The gateway that it was seen at.
    pub gateway: String,
    /// The gateway's workspace.
    pub workspace: String,
    /// Its id: a consumer id, a credential id or pseudonym, an address, a number, a name.
    pub value: String,
    /// What a person calls it, such as a consumer's user name; empty when nothing better than the id is known.
    pub label: String,
}

impl EntityKey {
    /// The label, else the id.
    pub fn display_name(&self) -> &str {
        if self.label.is_empty() { &self.value } else { &self.label }
    }

    /// The entity's 64-bit key; equal to [`EntityRef::key`] of the same entity. The label takes no part.
    pub fn key(&self) -> u64 {
        entity_key(self.kind, &self.gateway, &self.workspace, &self.value)
    }

    /// The key of the entity as the target of an action; equal to [`EntityRef::target_key`] of the same entity. The
    /// workspace takes no part: a gateway's ids are unique across its workspaces, and who acts by id need not know it.
    pub fn target_key(&self) -> u64 {
        entity_key(self.kind, &self.gateway, "", &self.value)
    }
}

/// Who acted in a call, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor<'a> {
    /// An authenticated consumer, by Kong's id.
    Consumer(&'a str),
    /// A credential without a consumer, by Kong's id.
    Credential(&'a str),
    /// A credential that was presented and not accepted, by pseudonym.
    PresentedCredential(Pseudonym),
    /// A client address.
    Address(IpAddr),
}

impl<'a> Actor<'a> {
    /// The actor as an entity of the call's gateway and workspace.
    pub fn entity(self, call: &'a ApiCall<'_>) -> EntityRef<'a> {
        let (kind, value) = match self {
            Actor::Consumer(id) => (EntityKind::Consumer, EntityValue::Text(id)),
            Actor::Credential(id) => (EntityKind::Credential, EntityValue::Text(id)),
            Actor::PresentedCredential(pseudonym) => (EntityKind::Credential, EntityValue::Pseudonym(pseudonym)),
            Actor::Address(address) => (EntityKind::Ip, EntityValue::Address(address)),
        };
        let label = match (self, &call.consumer) {
            (Actor::Consumer(_), Some(consumer)) => consumer.username.as_str(),
            _ => "",
        };
        EntityRef { kind, gateway: &call.gateway, workspace: &call.workspace, value, label }
    }
}

/// An entity borrowed from a call: cheap to make for every call, turned into an [`EntityKey`] where it must last.
#[derive(Debug, Clone, Copy)]
pub struct EntityRef<'a> {
    /// What it is.
    pub kind: EntityKind,
    gateway: &'a str,
    workspace: &'a str,
    value: EntityValue<'a>,
    label: &'a str,
}

#[derive(Debug, Clone, Copy)]
enum EntityValue<'a> {
    Text(&'a str),
    Pseudonym(Pseudonym),
    Address(IpAddr),
}

impl EntityRef<'_> {
    /// A 64-bit key for maps, stable across processes and versions (rapidhash v3 over kind, gateway, workspace and value).
    pub fn key(&self) -> u64 {
        self.key_in(self.workspace)
    }

    /// The key of the entity as the target of an action: without the workspace, see [`EntityKey::target_key`].
    pub fn target_key(&self) -> u64 {
        self.key_in("")
    }

    fn key_in(&self, workspace: &str) -> u64 {
        match self.value {
            EntityValue::Text(text) => entity_key(self.kind, self.gateway, workspace, text),
            EntityValue::Pseudonym(pseudonym) => entity_key(self.kind, self.gateway, workspace, &pseudonym.to_string()),
            EntityValue::Address(address) => {
                use std::io::Write as _;
                let mut text = [0u8; 48];
                let mut cursor = &mut text[..];
                // An address has at most 45 characters, so it always fits.
                let _ = write!(cursor, "{address}");
                let left = cursor.len();
                let length = text.len() - left;
                entity_key_bytes(self.kind, self.gateway, workspace, &text[..length])
            }
        }
    }

    /// The entity as a value that outlives the call.
    pub fn to_key(&self) -> EntityKey {
        EntityKey {
            kind: self.kind,
            gateway: self.gateway.to_owned(),
            workspace: self.workspace.to_owned(),
            value: match self.value {
                EntityValue::Text(text) => text.to_owned(),
                EntityValue::Pseudonym(pseudonym) => pseudonym.to_string(),
                EntityValue::Address(address) => address.to_string(),
            },
            label: self.label.to_owned(),
        }
    }
}

fn entity_key(kind: EntityKind, gateway: &str, workspace: &str, value: &str) -> u64 {
    entity_key_bytes(kind, gateway, workspace, value.as_bytes())
}

fn entity_key_bytes(kind: EntityKind, gateway: &str, workspace: &str, value: &[u8]) -> u64 {
    let place = rapidhash::v3::rapidhash_v3(workspace.as_bytes())
        ^ rapidhash::v3::rapidhash_v3(gateway.as_bytes()).rotate_left(17);
    rapidhash::v3::rapidhash_v3(value) ^ place.wrapping_add(kind as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
