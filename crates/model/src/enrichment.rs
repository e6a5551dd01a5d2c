//! What is known of a call beyond its line: where its address is, what network and what program it came from, and which
//! entities of the business it names.
//!
//! It is added before a call enters the platform's log and never after, so that everything that is decided from it is a
//! record in the log: a replay of the log looks nothing up (decision 8).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Text;

/// A call names no more entities of the business than this.
pub const ENTITIES_MAX: usize = 8;
/// The value of an entity is no longer than this; a longer one is left out, because cutting it would make two things one.
pub const ENTITY_VALUE_BYTES_MAX: usize = 128;
/// A name of a city, a network or a program is cut to this.
pub const ENRICHED_NAME_BYTES_MAX: usize = 96;

/// What is known of a call beyond its line. The default is that nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrichment<'a> {
    /// The country that the client address is in.
    pub country: Option<CountryCode>,
    /// The city, in English where the database has that; empty when unknown.
    #[serde(borrow)]
    pub city: Text<'a>,
    /// Where on the earth.
    pub coordinates: Option<Coordinates>,
    /// The number of the autonomous system that announces the address.
    pub asn: Option<u32>,
    /// Who runs it; empty when unknown.
    pub as_name: Text<'a>,
    /// What kind of network the address is in.
    pub network: NetworkClass,
    /// The family of the program that the `user-agent` names, such as `Chrome` or `curl`; empty when unknown.
    pub agent_family: Text<'a>,
    /// What kind of program that is. It is the client's own word.
    pub agent: AgentClass,
    /// The entities of the business that the call names, without repetition, at most [`ENTITIES_MAX`].
    pub entities: Vec<BusinessEntity<'a>>,
}

impl Enrichment<'_> {
    /// Whether nothing at all is known.
    pub fn is_empty(&self) -> bool {
        *self == Enrichment::default()
    }
}

/// An entity of the business that an operator named, and that a call speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusinessEntity<'a> {
    /// The operator's name of what it is, such as `merchant_id`.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Which one, as the sanitised call has it: a value in clear, or the text of a pseudonym. At most
    /// [`ENTITY_VALUE_BYTES_MAX`] bytes.
    pub value: Text<'a>,
}

/// A country, by its two letters of ISO 3166-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Two letters in either case; `None` for anything else.
    pub fn new(text: &str) -> Option<CountryCode> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(CountryCode([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The two letters, in upper case.
    pub fn as_str(&self) -> &str {
        // Only `new` makes one, of ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        CountryCode::new(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no code of a country")))
    }
}

/// A place on the earth. In ten-thousandths of a degree, some ten metres, so that it can be compared and is small; a
/// database is never as exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinates {
    /// North of the equator, in 1e-4 degrees, −900,000 to 900,000.
    pub latitude_e4: i32,
    /// East of Greenwich, in 1e-4 degrees, −1,800,000 to 1,800,000.
    pub longitude_e4: i32,
    /// The radius around it in which the client probably is, in km; `None` where the database does not say.
    pub accuracy_km: Option<u16>,
}

impl Coordinates {
    /// From degrees; `None` for what is no place on the earth.
    pub fn from_degrees(latitude: f64, longitude: f64, accuracy_km: Option<u16>) -> Option<Coordinates> {
        let within = |degrees: f64, max: f64| degrees.abs() <= max;
        if !within(latitude, 90.0) || !within(longitude, 180.0) {
            return None;
        }
        let e4 = |degrees: f64| (degrees * 1e4).round() as i32;
        Some(Coordinates { latitude_e4: e4(latitude), longitude_e4: e4(longitude), accuracy_km })
    }

    /// North of the equator, in degrees.
    pub fn latitude(&self) -> f64 {
        f64::from(self.latitude_e4) / 1e4
    }

    /// East of Greenwich, in degrees.
    pub fn longitude(&self) -> f64 {
        f64::from(self.longitude_e4) / 1e4
    }
}

/// What kind of network an address is in. Their order is the log's format: a new one goes to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkClass {
    /// Nothing is known of it.
    #[default]
    Unknown,
    /// Not on the internet: RFC 1918, 4193, 6598, loopback, link-local.
    Private,
    /// A data centre or cloud: programs rather than people.
    Hosting,
    /// A VPN that hides where its users are.
    Vpn,
    /// An exit of Tor.
    Tor,
    /// A proxy, open or residential.
    Proxy,
    /// A mobile carrier: many people behind one address.
    Mobile,
}

impl NetworkClass {
    /// All of them.
    pub const ALL: [NetworkClass; 7] = [
        NetworkClass::Unknown,
        NetworkClass::Private,
        NetworkClass::Hosting,
        NetworkClass::Vpn,
        NetworkClass::Tor,
        NetworkClass::Proxy,
        NetworkClass::Mobile,
    ];

    /// The name in files, queries and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkClass::Unknown => "unknown",
            NetworkClass::Private => "private",
            NetworkClass::Hosting => "hosting",
            NetworkClass::Vpn => "vpn",
            NetworkClass::Tor => "tor",
            NetworkClass::Proxy => "proxy",
            NetworkClass::Mobile => "mobile",
        }
    }
}

/// What kind of program a call says that it comes from. Their order is the log's format: a new one goes to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentClass {
    /// It says nothing, or nothing that is known.
    #[default]
    Unknown,
    /// A browser.
    Browser,
    /// An app on a phone or a desktop.
    App,
    /// A library for HTTP or an SDK, inside of another program.
    Library,
    /// A tool that a person drives, such as curl or Postman.
    Tool,
    /// A crawler, feed reader, preview fetcher or other robot.
    Bot,
    /// A monitor of availability or speed, a health check.
    Monitoring,
    /// A scanner for weaknesses that does not hide.
    Scanner,
}

impl AgentClass {
    /// All of them.
    pub const ALL: [AgentClass; 8] = [
        AgentClass::Unknown,
        AgentClass::Browser,
        AgentClass::App,
        AgentClass::Library,
        AgentClass::Tool,
        AgentClass::Bot,
        AgentClass::Monitoring,
        AgentClass::Scanner,
    ];

    /// The name in queries and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AgentClass::Unknown => "unknown",
            AgentClass::Browser => "browser",
            AgentClass::App => "app",
            AgentClass::Library => "library",
            AgentClass::Tool => "tool",
            AgentClass::Bot => "bot",
            AgentClass::Monitoring => "monitoring",
            AgentClass::Scanner => "scanner",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_letters() {
        assert_eq!(CountryCode::new("se").unwrap().as_str(), "SE");
        for wrong in ["", "S", "SWE", "1A", "Ü"] {
            assert_eq!(CountryCode::new(wrong), None, "{wrong}");
        }
        assert_eq!(serde_json::from_str::<CountryCode>("\"DE\"").unwrap(), CountryCode::new("DE").unwrap());
        assert!(serde_json::from_str::<CountryCode>("\"Germany\"").is_err());
    }

    #[test]
    fn a_place_is_on_the_earth() {
        let place = Coordinates::from_degrees(58.4167, -15.61669, Some(76)).unwrap();
        assert_eq!((place.latitude_e4, place.longitude_e4), (584_167, -156_167));
        assert_eq!((place.latitude(), place.longitude()), (58.4167, -15.6167));
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Coordinates::from_degrees(latitude, longitude, None), None, "{latitude} {longitude}");
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for class in NetworkClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        for class in AgentClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }
}
