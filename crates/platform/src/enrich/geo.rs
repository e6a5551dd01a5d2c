//! Databases in MaxMind's format: country, city, coordinates, autonomous system, and flags of a network.
//!
//! Their records come in two shapes. MaxMind and DB-IP nest: `country.iso_code`, `city.names.en`, `location.latitude`.
//! Others are flat: `country_code`, `city`, `latitude`. Each database is asked for all of it, whatever it calls itself;
//! what it does not hold, or holds in a shape of its own, is left out. A database is read into memory, not mapped: one that
//! is overwritten in place must not take outrider with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{MaxMindDbError, Reader};
use outrider_model::{Coordinates, CountryCode, ENRICHED_NAME_BYTES_MAX, NetworkClass};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::files::{self, Content};

/// What the databases say of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub country: Option<CountryCode>,
    pub city: String,
    pub coordinates: Option<Coordinates>,
    pub asn: Option<u32>,
    pub as_name: String,
    pub network: NetworkClass,
}

/// A database in memory.
pub(super) struct Database(Reader<Vec<u8>>);

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Its type, such as `GeoLite2-City`.
    pub kind: String,
    /// When it was built, in milliseconds since 1970.
    pub built_ms: i64,
    /// 4 or 6; one of 6 usually holds both.
    pub ip_version: u16,
    /// Nodes of its search tree: how much it tells apart.
    pub nodes: u32,
}

/// Looks at a database that is not in force, for `outrider doctor`.
pub fn look_at_database(path: &Path) -> Result<DatabaseFacts, String> {
    files::look_at::<Database>(path).map(|database| database.facts())
}

impl Content for Database {
    const WHAT: &'static str = "a database of addresses";
    const BYTES_MAX: u64 = 1 << 30;

    fn read(bytes: Vec<u8>) -> Result<Database, String> {
        Reader::from_source(bytes).map(Database).map_err(|error| format!("is no database in MaxMind's format: {error}"))
    }
}

impl Database {
    pub(super) fn facts(&self) -> DatabaseFacts {
        let metadata = self.0.metadata();
        DatabaseFacts {
            kind: metadata.database_type.clone(),
            built_ms: i64::try_from(metadata.build_epoch.saturating_mul(1000)).unwrap_or(i64::MAX),
            ip_version: metadata.ip_version,
            nodes: metadata.node_count,
        }
    }

    /// Adds what is not known yet.
    pub(super) fn complete(&self, address: IpAddr, found: &mut Whereabouts) -> Result<(), MaxMindDbError> {
        if address.is_ipv6() && self.0.metadata().ip_version == 4 {
            return Ok(());
        }
        let result = self.0.lookup(address)?;
        if !result.has_data() {
            return Ok(());
        }
        if let Some(place) = result.decode::<Place>()? {
            place.complete(found);
        }
        if let Some(network) = result.decode::<Network>()? {
            network.complete(found);
        }
        Ok(())
    }
}

/// Where an address is, in both shapes.
#[derive(Deserialize)]
struct Place {
    country: Option<Named>,
    country_code: Option<Scalar>,
    city: Option<Named>,
    location: Option<Location>,
    latitude: Option<Scalar>,
    longitude: Option<Scalar>,
    traits: Option<Network>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Text(String),
    Nested { iso_code: Option<String>, names: Option<BTreeMap<String, String>> },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Location {
    Nested { latitude: Option<Scalar>, longitude: Option<Scalar>, accuracy_radius: Option<Scalar> },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Number(f64),
    Text(String),
    Other(IgnoredAny),
}

/// Whose network it is and what kind, at the top of a record or under `traits`.
#[derive(Deserialize)]
struct Network {
    autonomous_system_number: Option<Scalar>,
    autonomous_system_organization: Option<Scalar>,
    asn: Option<Scalar>,
    as_name: Option<Scalar>,
    is_tor_exit_node: Option<Scalar>,
    is_anonymous_vpn: Option<Scalar>,
    is_public_proxy: Option<Scalar>,
    is_residential_proxy: Option<Scalar>,
    is_hosting_provider: Option<Scalar>,
    connection_type: Option<Scalar>,
}

impl Place {
    fn complete(self, found: &mut Whereabouts) {
        if found.country.is_none() {
            let code = self.country_code.as_ref().and_then(Scalar::text);
            let nested = self.country.as_ref().and_then(|country| match country {
                Named::Text(text) => Some(text.as_str()),
                Named::Nested { iso_code, .. } => iso_code.as_deref(),
                Named::Other(_) => None,
            });
            found.country = code.and_then(CountryCode::new).or_else(|| nested.and_then(CountryCode::new));
        }
        if found.city.is_empty() {
            found.city = self.city.and_then(Named::name).map(bounded).unwrap_or_default();
        }
        if found.coordinates.is_none() {
            let (latitude, longitude, accuracy) = match self.location {
                Some(Location::Nested { latitude, longitude, accuracy_radius }) => {
                    (latitude.or(self.latitude), longitude.or(self.longitude), accuracy_radius)
                }
                _ => (self.latitude, self.longitude, None),
            };
            let number = |scalar: Option<Scalar>| scalar.as_ref().and_then(Scalar::number);
            let accuracy_km = number(accuracy).filter(|km| (1.0..=65_535.0).contains(km)).map(|km| km as u16);
            found.coordinates = number(latitude)
                .zip(number(longitude))
                .and_then(|(latitude, longitude)| Coordinates::from_degrees(latitude, longitude, accuracy_km));
        }
        if let Some(network) = self.traits {
            network.complete(found);
        }
    }
}

impl Named {
    /// In English if there is that.
    fn name(self) -> Option<String> {
        match self {
            Named::Text(text) => Some(text),
            Named::Nested { names, .. } => {
                let mut names = names?;
                names.remove("en").or_else(|| names.into_values().next())
            }
            Named::Other(_) => None,
        }
    }
}

impl Network {
    fn complete(self, found: &mut Whereabouts) {
        if found.asn.is_none() {
            let number = self.autonomous_system_number.or(self.asn);
            found.asn = number.as_ref().and_then(Scalar::system);
            if found.asn.is_some() {
                let name = self.autonomous_system_organization.or(self.as_name);
                found.as_name =
                    name.as_ref().and_then(Scalar::text).map(str::to_owned).map(bounded).unwrap_or_default();
            }
        }
        if found.network == NetworkClass::Unknown {
            let is = |flag: &Option<Scalar>| matches!(flag, Some(Scalar::Flag(true)));
            let is_cellular = self.connection_type.as_ref().and_then(Scalar::text) == Some("Cellular");
            // What hides most comes first.
            found.network = match () {
                () if is(&self.is_tor_exit_node) => NetworkClass::Tor,
                () if is(&self.is_anonymous_vpn) => NetworkClass::Vpn,
                () if is(&self.is_public_proxy) || is(&self.is_residential_proxy) => NetworkClass::Proxy,
                () if is(&self.is_hosting_provider) => NetworkClass::Hosting,
                () if is_cellular => NetworkClass::Mobile,
                () => NetworkClass::Unknown,
            };
        }
    }
}

impl Scalar {
    fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The number of an autonomous system, as one or as `AS64496`.
    fn system(&self) -> Option<u32> {
        match self {
            Scalar::Number(number) if (1.0..=f64::from(u32::MAX)).contains(number) => Some(*number as u32),
            Scalar::Text(text) => text.trim_start_matches("AS").parse().ok(),
            _ => None,
        }
    }
}

/// Cut at a whole character.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ENRICHED_NAME_BYTES_MAX));
    text
}
