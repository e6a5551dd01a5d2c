//! What an operator says about enrichment.

use std::path::PathBuf;

use outrider_model::NetworkClass;
use schemars::JsonSchema;
use serde::Deserialize;

use super::entities::EntitySettings;

/// More databases make every new address slow.
const DATABASES_MAX: usize = 8;
/// Each list may hold a quarter of a million networks.
const LISTS_MAX: usize = 16;

/// Databases, lists and entities of the business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnrichSettings {
    /// Databases in MaxMind's format (`.mmdb`), at most 8. Each says what those before it do not.
    pub databases: Vec<PathBuf>,
    /// Lists of networks by class, at most 16. The longest prefix wins, then the list that is named first.
    pub lists: Vec<ListSettings>,
    /// The entities of the business. In the configuration they have a section of their own.
    #[serde(skip)]
    pub entities: Vec<EntitySettings>,
}

/// A list of networks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSettings {
    /// What its networks are.
    pub class: ListClass,
    /// One network (`192.0.2.0/24`), address or autonomous system (`AS64496`) a line; `#` and `;` begin a comment.
    pub file: PathBuf,
}

/// What the networks of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListClass {
    /// Data centres and clouds.
    Hosting,
    /// VPNs that hide where their users are.
    Vpn,
    /// Exits of Tor.
    Tor,
    /// Proxies, open or residential.
    Proxy,
    /// Mobile carriers: many people behind one address.
    Mobile,
    /// Networks of one's own, besides those that are private on every network.
    Private,
}

impl From<ListClass> for NetworkClass {
    fn from(class: ListClass) -> NetworkClass {
        match class {
            ListClass::Hosting => NetworkClass::Hosting,
            ListClass::Vpn => NetworkClass::Vpn,
            ListClass::Tor => NetworkClass::Tor,
            ListClass::Proxy => NetworkClass::Proxy,
            ListClass::Mobile => NetworkClass::Mobile,
            ListClass::Private => NetworkClass::Private,
        }
    }
}

/// What cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct SettingsError {
    /// Which setting.
    pub place: String,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

impl SettingsError {
    pub(super) fn new(place: impl Into<String>, problem: impl Into<String>) -> SettingsError {
        SettingsError { place: place.into(), problem: problem.into() }
    }
}

impl EnrichSettings {
    /// The files that it names.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.databases.iter_mut().chain(self.lists.iter_mut().map(|list| &mut list.file))
    }

    /// Whether it can be meant, whatever the files hold.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let limit = |place: &str, count: usize, max: usize| match count {
            count if count > max => Err(SettingsError::new(place, format!("there are {count}; at most {max}"))),
            _ => Ok(()),
        };
        limit("enrich.databases", self.databases.len(), DATABASES_MAX)?;
        limit("enrich.lists", self.lists.len(), LISTS_MAX)?;
        super::entities::Entities::new(&self.entities).map(drop)
    }
}
