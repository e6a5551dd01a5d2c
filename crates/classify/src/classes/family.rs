//! What classes have in common for who has to answer for them.

use super::{Country, DataClass, credentials, health, location, payment, personal, technical};
use crate::candidates::Candidates;
use crate::parameter::Parameter;
use crate::words::Words;

/// A family of data classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Who somebody is, and how to reach them.
    Personal,
    /// What pays.
    Payment,
    /// What lets its bearer in.
    Credentials,
    /// What is known of somebody's health.
    Health,
    /// Where somebody is.
    Location,
    /// What names machines and objects.
    Technical,
}

/// What a family brings: its folder's code, page and samples.
pub(crate) struct Member {
    pub(crate) find: fn(&Parameter<'_>, &mut Candidates),
    pub(crate) words: &'static Words,
    doc: &'static str,
    samples: &'static str,
}

impl Family {
    /// All of them. A family is registered here and in [`Family::member`], and nowhere else.
    pub const ALL: [Family; 6] =
        [Family::Personal, Family::Payment, Family::Credentials, Family::Health, Family::Location, Family::Technical];

    /// Its name, which is that of its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Personal => "personal",
            Family::Payment => "payment",
            Family::Credentials => "credentials",
            Family::Health => "health",
            Family::Location => "location",
            Family::Technical => "technical",
        }
    }

    /// Its page, in Markdown.
    pub fn doc(self) -> &'static str {
        self.member().doc
    }

    /// Its samples: JSON lines of `name`, `value`, perhaps `context`, and `classes`, the names of those that are to be found.
    pub fn samples(self) -> &'static str {
        self.member().samples
    }

    pub(crate) fn member(self) -> &'static Member {
        macro_rules! member {
            ($module:ident) => {
                &Member {
                    find: $module::find,
                    words: $module::WORDS,
                    doc: include_str!(concat!(stringify!($module), "/doc.md")),
                    samples: include_str!(concat!(stringify!($module), "/samples.jsonl")),
                }
            };
        }
        match self {
            Family::Personal => member!(personal),
            Family::Payment => member!(payment),
            Family::Credentials => member!(credentials),
            Family::Health => member!(health),
            Family::Location => member!(location),
            Family::Technical => member!(technical),
        }
    }
}

impl DataClass {
    /// All but the numbers of persons, of which there is one for each [`Country`].
    const WITHOUT_COUNTRY: [DataClass; 25] = [
        DataClass::Email,
        DataClass::Phone,
        DataClass::PersonName,
        DataClass::PostalAddress,
        DataClass::BirthDate,
        DataClass::PaymentCard,
        DataClass::Iban,
        DataClass::CardSecurityCode,
        DataClass::Password,
        DataClass::ApiKey,
        DataClass::JsonWebToken,
        DataClass::PrivateKey,
        DataClass::SessionId,
        DataClass::AccessToken,
        DataClass::Diagnosis,
        DataClass::PatientNumber,
        DataClass::BloodType,
        DataClass::HealthDetail,
        DataClass::Coordinates,
        DataClass::PostalCode,
        DataClass::IpAddress,
        DataClass::Url,
        DataClass::Uuid,
        DataClass::Hash,
        DataClass::MacAddress,
    ];

    /// Every class.
    pub fn all() -> impl Iterator<Item = DataClass> {
        Self::WITHOUT_COUNTRY.into_iter().chain(Country::ALL.into_iter().map(DataClass::NationalId))
    }

    /// The class of that name.
    pub fn named(name: &str) -> Option<DataClass> {
        DataClass::all().find(|class| class.as_str() == name)
    }

    /// The family that it belongs to.
    pub fn family(self) -> Family {
        match self {
            DataClass::Email
            | DataClass::Phone
            | DataClass::PersonName
            | DataClass::PostalAddress
            | DataClass::BirthDate
            | DataClass::NationalId(_) => Family::Personal,
            DataClass::PaymentCard | DataClass::Iban | DataClass::CardSecurityCode => Family::Payment,
            DataClass::Password
            | DataClass::ApiKey
            | DataClass::JsonWebToken
            | DataClass::PrivateKey
            | DataClass::SessionId
            | DataClass::AccessToken => Family::Credentials,
            DataClass::Diagnosis | DataClass::PatientNumber | DataClass::BloodType | DataClass::HealthDetail => {
                Family::Health
            }
            DataClass::Coordinates | DataClass::PostalCode => Family::Location,
            DataClass::IpAddress | DataClass::Url | DataClass::Uuid | DataClass::Hash | DataClass::MacAddress => {
                Family::Technical
            }
        }
    }

    /// Its place among those of no country, below 32.
    pub(crate) fn ordinal(self) -> u64 {
        match self {
            DataClass::Email => 0,
            DataClass::Phone => 1,
            DataClass::PersonName => 2,
            DataClass::PostalAddress => 3,
            DataClass::BirthDate => 4,
            DataClass::PaymentCard => 5,
            DataClass::Iban => 6,
            DataClass::CardSecurityCode => 7,
            DataClass::Password => 8,
            DataClass::ApiKey => 9,
            DataClass::JsonWebToken => 10,
            DataClass::PrivateKey => 11,
            DataClass::SessionId => 12,
            DataClass::AccessToken => 13,
            DataClass::Diagnosis => 14,
            DataClass::PatientNumber => 15,
            DataClass::BloodType => 16,
            DataClass::HealthDetail => 17,
            DataClass::Coordinates => 18,
            DataClass::PostalCode => 19,
            DataClass::IpAddress => 20,
            DataClass::Url => 21,
            DataClass::Uuid => 22,
            DataClass::Hash => 23,
            DataClass::MacAddress => 24,
            DataClass::NationalId(_) => 25,
        }
    }

    /// Whether a value of it is a number or a code that many an id is written like.
    pub fn is_mistakable(self) -> bool {
        matches!(
            self,
            DataClass::Phone
                | DataClass::PaymentCard
                | DataClass::NationalId(_)
                | DataClass::Diagnosis
                | DataClass::PatientNumber
                | DataClass::Coordinates
                | DataClass::PostalCode
                | DataClass::IpAddress
                | DataClass::Hash
        )
    }
}
