//! Values that are a person's, by class: where in a text one stands, and in which form two of them are the same. And the families of
//! all classes that a parameter is told of.
//!
//! One folder per class that is found in texts, with a `README.md`: the validator, a page that says what it takes and what it
//! leaves, and samples that the test below reads. One folder per [`Family`], with a `doc.md`, which builds on these. The
//! classes are listed here and nowhere else. A class is decided by what the value itself proves, such as check
//! digits; where that is not enough the field's name or the words before must speak of it (module `topics`).
//!
//! Most texts have nothing of the kind, so what is cheap comes first: one search for `@`, one count of digits. Everything
//! is linear in the text: a validator looks at a bounded number of bytes from where a word begins.

pub(crate) mod credentials;
mod email;
mod family;
pub(crate) mod health;
mod iban;
pub(crate) mod location;
mod national_id;
mod number;
pub(crate) mod payment;
mod payment_card;
pub(crate) mod personal;
mod phone;
pub(crate) mod technical;

use std::borrow::Cow;

pub use family::Family;
pub use national_id::Country;
use number::Number;
pub(crate) use number::passes_luhn;

use crate::topics::topics;

/// A text with fewer digits has no number of a person in it: a British NINO has six.
const DIGITS_MIN: usize = 6;

/// What kind of value a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataClass {
    /// A mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    PaymentCard,
    /// An international bank account number.
    Iban,
    /// A number that a state gave to a person.
    NationalId(Country),
    /// The name of a person, or a part of it.
    PersonName,
    /// Street and house number, or more of an address.
    PostalAddress,
    /// When somebody was born.
    BirthDate,
    /// The three or four digits that prove that a payment card is at hand.
    CardSecurityCode,
    /// A password, a PIN, or what a server keeps of one.
    Password,
    /// A key that a provider gave to a program.
    ApiKey,
    /// A JSON Web Token.
    JsonWebToken,
    /// A private key in PEM form.
    PrivateKey,
    /// What a server knows a session by.
    SessionId,
    /// Any other token or secret that lets its bearer in.
    AccessToken,
    /// A diagnosis, by its code or in words.
    Diagnosis,
    /// A number by which a health service knows a patient.
    PatientNumber,
    /// A blood group.
    BloodType,
    /// Anything else about somebody's health, in words.
    HealthDetail,
    /// Latitude, longitude, or both.
    Coordinates,
    /// The code of a place in postal addresses.
    PostalCode,
    /// An IP address.
    IpAddress,
    /// A URL, or a host name that stands for one.
    Url,
    /// A UUID.
    Uuid,
    /// A hash in hexadecimal digits.
    Hash,
    /// The address of a network device.
    MacAddress,
}

/// A value in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub class: DataClass,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// The personal values in the text of a field of this name, in order and without overlap. A text that has no name, such as
/// a path, has an empty one.
pub fn find_personal(name: &str, text: &str) -> Vec<Found> {
    let text = text.as_bytes();
    let mut found = Vec::new();
    if memchr::memchr(b'@', text).is_some() {
        email::find(text, &mut found);
    }
    if text.len() >= DIGITS_MIN && text.iter().filter(|byte| byte.is_ascii_digit()).count() >= DIGITS_MIN {
        find_numbers(name, text, &mut found);
    }
    found
}

impl DataClass {
    /// The class's name in counters, settings and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            DataClass::Email => "email",
            DataClass::Phone => "phone",
            DataClass::PaymentCard => "payment_card",
            DataClass::Iban => "iban",
            DataClass::NationalId(country) => country.as_str(),
            DataClass::PersonName => "person_name",
            DataClass::PostalAddress => "postal_address",
            DataClass::BirthDate => "birth_date",
            DataClass::CardSecurityCode => "card_security_code",
            DataClass::Password => "password",
            DataClass::ApiKey => "api_key",
            DataClass::JsonWebToken => "json_web_token",
            DataClass::PrivateKey => "private_key",
            DataClass::SessionId => "session_id",
            DataClass::AccessToken => "access_token",
            DataClass::Diagnosis => "diagnosis",
            DataClass::PatientNumber => "patient_number",
            DataClass::BloodType => "blood_type",
            DataClass::HealthDetail => "health_detail",
            DataClass::Coordinates => "coordinates",
            DataClass::PostalCode => "postal_code",
            DataClass::IpAddress => "ip_address",
            DataClass::Url => "url",
            DataClass::Uuid => "uuid",
            DataClass::Hash => "hash",
            DataClass::MacAddress => "mac_address",
        }
    }

    /// The value in the form in which it is equal to others that mean the same, however they are written.
    pub fn canonical(self, value: &str) -> Cow<'_, str> {
        match self {
            DataClass::Email => Cow::Owned(value.to_lowercase()),
            DataClass::Phone => Cow::Owned(phone::canonical(value)),
            DataClass::PaymentCard | DataClass::Iban | DataClass::NationalId(_) => {
                let kept = value.chars().filter(char::is_ascii_alphanumeric);
                Cow::Owned(kept.map(|character| character.to_ascii_uppercase()).collect())
            }
            _ => Cow::Borrowed(value),
        }
    }
}

/// Finds what begins where a word begins, and leaves out what an address already covers.
fn find_numbers(name: &str, text: &[u8], found: &mut Vec<Found>) {
    let addresses = found.len();
    let mut next_address = 0;
    // Where the last value ended: what stands before it is no part of what comes after.
    let mut floor = 0;
    let mut at = 0;
    while let Some(start) = next_word(text, at) {
        if let Some(address) = found[..addresses].get(next_address).copied().filter(|address| address.start < start + 1)
        {
            next_address += 1;
            (at, floor) = (at.max(address.end), address.end);
            continue;
        }
        let end = word_end(text, start);
        match number_at(name, text, floor, start, end) {
            Some(number) => {
                (at, floor) = (number.end, number.end);
                found.push(number);
            }
            None => at = end,
        }
    }
    found.sort_unstable_by_key(|found| found.start);
    found.dedup_by(|later, earlier| later.start < earlier.end);
}

/// The value that begins with the word from `start` to `end`.
fn number_at(name: &str, text: &[u8], floor: usize, start: usize, end: usize) -> Option<Found> {
    let word = &text[start..end];
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits < word.len() {
        return letters_at(name, text, start, end, digits);
    }
    let number = Number::read(text, floor, start);
    // A word of few digits is looked at only if more of them follow.
    if number.digits().len() < DIGITS_MIN + 1 {
        return None;
    }
    let topics = topics(name, text, start);
    let phone = || phone::at(&number, topics).map(|(start, end)| Found { class: DataClass::Phone, start, end });
    if topics.has_phone()
        && let Some(found) = phone()
    {
        return Some(found);
    }
    if let Some(end) = payment_card::at(&number, topics) {
        return Some(Found { class: DataClass::PaymentCard, start, end });
    }
    if let Some((country, end)) = national_id::digits_at(&number, topics) {
        return Some(Found { class: DataClass::NationalId(country), start, end });
    }
    phone()
}

/// As [`number_at`], for a word that has letters.
fn letters_at(name: &str, text: &[u8], start: usize, end: usize, digits: usize) -> Option<Found> {
    // `AB 12 34 56 C` and `X-1234567-L` begin with one or two letters; a longer word without a digit begins nothing.
    if digits == 0 && end - start > 2 {
        return None;
    }
    if let Some(end) = iban::at(text, start, end) {
        return Some(Found { class: DataClass::Iban, start, end });
    }
    let (country, end) = national_id::letters_at(text, start, end, || topics(name, text, start))?;
    Some(Found { class: DataClass::NationalId(country), start, end })
}

fn next_word(text: &[u8], from: usize) -> Option<usize> {
    text[from..].iter().position(u8::is_ascii_alphanumeric).map(|at| from + at)
}

fn word_end(text: &[u8], start: usize) -> usize {
    let length = text[start..].iter().position(|byte| !byte.is_ascii_alphanumeric());
    length.map_or(text.len(), |length| start + length)
}

#[cfg(test)]
mod tests;
