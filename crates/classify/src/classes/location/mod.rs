#![doc = include_str!("doc.md")]

use super::DataClass;
use crate::candidates::Candidates;
use crate::evidence::Form;
use crate::parameter::Parameter;
use crate::words::{Says, Words};

pub(crate) const WORDS: &Words = &[
    (
        Says::Names(DataClass::Coordinates),
        "lat latitude lon lng long longitude latlng latlon latlong lnglat coordinates coordinate coords geo geopoint \
         geolocation gps gpscoordinates breitengrad laengengrad langengrad latitud longitud latitudine longitudine \
         breedtegraad lengtegraad szerokosc dlugosc",
    ),
    (Says::Suggests(DataClass::Coordinates), "location position point ll center near place"),
    (
        Says::Names(DataClass::PostalCode),
        "zip zipcode postcode postalcode postal plz postleitzahl codepostal codigopostal cep cap codicepostale postnummer \
         postnr kodpocztowy pincodepostal",
    ),
];

/// Digits behind the point that a position has, and a price or a share has not.
const PLACES_MIN: usize = 3;
/// Longest value that is read.
const POSITION_BYTES_MAX: usize = 64;

pub(crate) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let (value, start) = parameter.trimmed();
    if value.is_empty() || value.len() > POSITION_BYTES_MAX {
        return;
    }
    let span = (start, start + value.len());
    if is_pair(value) {
        candidates.add(parameter, DataClass::Coordinates, Form::Fair, span);
    } else if is_degrees(value, 180.0) && parameter.said.speaks_of(DataClass::Coordinates) {
        let form = if places(value) >= PLACES_MIN { Form::Weak } else { Form::Possible };
        candidates.add(parameter, DataClass::Coordinates, form, span);
    }
    if let Some(form) = postal_code_form(value) {
        candidates.add(parameter, DataClass::PostalCode, form, span);
    }
}

/// Latitude and longitude, perhaps as a `geo` URI has them (RFC 5870).
fn is_pair(value: &str) -> bool {
    let value = value.strip_prefix("geo:").unwrap_or(value);
    let Some((latitude, longitude)) = value.split_once([',', ' ', ';']) else {
        return false;
    };
    let (latitude, longitude) = (latitude.trim(), longitude.trim_start_matches([',', ' ']).trim());
    is_degrees(latitude, 90.0)
        && is_degrees(longitude, 180.0)
        && places(latitude) >= PLACES_MIN
        && places(longitude) >= PLACES_MIN
}

fn is_degrees(value: &str, max: f64) -> bool {
    let is_number = value.bytes().enumerate().all(|(index, byte)| match byte {
        b'-' | b'+' => index == 0,
        byte => byte.is_ascii_digit() || byte == b'.',
    });
    is_number && value.parse::<f64>().is_ok_and(|degrees| degrees.abs() <= max)
}

fn places(value: &str) -> usize {
    value.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// Written as in one of the countries; `9` is a digit, `A` a letter (UPU, Postal addressing systems).
fn postal_code_form(value: &str) -> Option<Form> {
    /// The space or hyphen in the middle makes them hard to mistake.
    const DISTINCT: &[&str] =
        &["A9 9AA", "A99 9AA", "AA9 9AA", "AA99 9AA", "A9A 9AA", "AA9A 9AA", "A9A 9A9", "9999 AA"];
    const COMMON: &[&str] = &["99999-9999", "99999-999", "999-9999", "99-999", "9999-999", "999 99"];
    const BARE: &[&str] = &["9999", "99999", "999999", "9999999", "99999999", "9999AA", "A9A9A9", "AA999AA", "AA9999"];
    let is_one_of = |patterns: &[&str]| patterns.iter().any(|pattern| is_written_as(value, pattern));
    if is_one_of(DISTINCT) {
        Some(Form::Weak)
    } else if is_one_of(COMMON) || is_one_of(BARE) {
        Some(Form::Possible)
    } else {
        None
    }
}

fn is_written_as(value: &str, pattern: &str) -> bool {
    value.len() == pattern.len()
        && value.bytes().zip(pattern.bytes()).all(|(byte, sign)| match sign {
            b'9' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_alphabetic(),
            sign => byte == sign,
        })
}
