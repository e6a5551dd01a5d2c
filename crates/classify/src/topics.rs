//! What words say about a number beside them: `phone=`, `"ssn":`, `card number is`.
//!
//! A bare number of nine to twelve digits is an object's id far more often than a person's number, checksum or not: of
//! all ids one in ten passes Luhn. So a validator of bare digits asks here first whether the field's name, or one of the
//! few words before the number, speaks of such a thing.

use crate::classes::{Country, DataClass};
use crate::names::for_each_word;

/// Words before a number that are read, nearest first: `phone number is 5550123` has three.
const WORDS_BEFORE_MAX: usize = 3;

/// How far back those words are looked for, in bytes.
const BYTES_BEFORE_MAX: usize = 48;

/// Longest name in bytes that is read.
const NAME_BYTES_MAX: usize = 64;

/// A set of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Topics(u32);

impl Topics {
    const PHONE: Topics = Topics(1 << 31);
    const CARD: Topics = Topics(1 << 30);
    const ANY_NATIONAL_ID: Topics = Topics((1 << Country::ALL.len()) - 1);

    const fn of(country: Country) -> Topics {
        Topics(1 << country as u32)
    }

    fn add(&mut self, other: Topics) {
        self.0 |= other.0;
    }

    pub(crate) fn has_phone(self) -> bool {
        self.0 & Topics::PHONE.0 != 0
    }

    pub(crate) fn has_card(self) -> bool {
        self.0 & Topics::CARD.0 != 0
    }

    pub(crate) fn has_national_id(self, country: Country) -> bool {
        self.0 & Topics::of(country).0 != 0
    }
}

/// Whether a field of this name carries values of the class: `phone`, `cardNumber`, `national_id`. Mail addresses and bank
/// accounts prove what they are, so no name is known for them; those of the other classes are in module `words`.
pub fn is_named_after(name: &str, class: DataClass) -> bool {
    let topics = of_name(&name.as_bytes()[..name.len().min(NAME_BYTES_MAX)]);
    match class {
        DataClass::Phone => topics.has_phone(),
        DataClass::PaymentCard => topics.has_card(),
        DataClass::NationalId(country) => topics.has_national_id(country),
        _ => false,
    }
}

/// What the field's name and the words before `start` speak of.
pub(crate) fn topics(name: &str, text: &[u8], start: usize) -> Topics {
    let mut topics = of_name(&name.as_bytes()[..name.len().min(NAME_BYTES_MAX)]);
    topics.add(of_words_before(text, start));
    topics
}

/// A name that ends in `id` is a reference to a phone or a card, and one that ends in `at` says when something was done with
/// it; neither is its number. A national id is called so itself.
fn of_name(name: &[u8]) -> Topics {
    let mut topics = Topics::default();
    let mut is_reference = false;
    for_each_word(name, |word| {
        topics.add(of_word(word.as_bytes()));
        is_reference = is_about(word.as_bytes());
    });
    if is_reference {
        topics.0 &= Topics::ANY_NATIONAL_ID.0;
    }
    topics.add(of_squashed(name));
    topics
}

/// Whether a name that ends in this word tells of a thing without being its number.
fn is_about(word: &[u8]) -> bool {
    matches!(
        word,
        b"id" | b"ids" | b"uuid" | b"hash" | b"count" | b"type" | b"size" | b"version" | b"build"
            // When it was, and for how long.
            | b"at" | b"on" | b"time" | b"ts" | b"date" | b"timestamp" | b"ms" | b"start" | b"end" | b"duration"
            | b"updated" | b"created"
    )
}

/// A path's segment names a collection or a part of the API as often as a value: `/phones/1234567` and `/mobile/v1/1234567`
/// say nothing of the number. So only the segment right before it is read, and only if it can be the value's name.
fn of_words_before(text: &[u8], start: usize) -> Topics {
    let floor = start.saturating_sub(BYTES_BEFORE_MAX);
    let mut topics = Topics::default();
    let mut end = start;
    for _ in 0..WORDS_BEFORE_MAX {
        let gap = text[floor..end].iter().rev().take_while(|&&byte| !is_of_name(byte)).count();
        let word_end = end - gap;
        let length = text[floor..word_end].iter().rev().take_while(|&&byte| is_of_name(byte)).count();
        let word = &text[word_end - length..word_end];
        if length == 0 || !text[word_end..end].iter().all(|&byte| joins(byte)) {
            break;
        }
        let is_segment = text[word_end..end].contains(&b'/');
        if is_segment && (end != start || !names_value(word)) {
            break;
        }
        topics.add(of_name(word));
        end = word_end - length;
    }
    topics
}

/// Whether a path's segment of this name has a value behind it, as `/by-phone/` has. One that names a channel has objects of
/// any kind: `/mobile/`, `/send-sms/`. `/mobile-number/` says what they are.
fn names_value(segment: &[u8]) -> bool {
    let mut has_channel = false;
    let mut is_number = false;
    for_each_word(segment, |word| {
        let word = word.as_bytes();
        has_channel |= matches!(
            word,
            b"mobile"
                | b"mobil"
                | b"movil"
                | b"caller"
                | b"sms"
                | b"cell"
                | b"handy"
                | b"gsm"
                | b"fax"
                | b"whatsapp"
                | b"card"
        );
        is_number = matches!(word, b"number" | b"no" | b"nr" | b"phone");
    });
    let is_collection = segment.last().is_some_and(|last| last.eq_ignore_ascii_case(&b's'));
    !is_collection && (is_number || !has_channel)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What may stand between a word and the number that it is about. Another field's `&`, `,` or `;` ends its reach.
fn joins(byte: u8) -> bool {
    matches!(byte, b' ' | b':' | b'=' | b'"' | b'\'' | b'#' | b'(' | b'+' | b'.' | b'/' | b'[' | b'\\')
}

fn of_word(word: &[u8]) -> Topics {
    match word {
        b"tel" | b"cell" | b"mobile" | b"msisdn" | b"fax" | b"whatsapp" | b"sms" | b"handy" | b"telefon"
        | b"telefono" | b"telefone" | b"celular" | b"movil" | b"mobil" | b"gsm" | b"callerid" | b"caller"
        | b"telnr" | b"mobilenumber" | b"contactnumber" => Topics::PHONE,
        b"card" | b"pan" | b"cc" | b"ccn" | b"ccnumber" | b"creditcard" | b"debitcard" | b"cardnumber" | b"cardno"
        | b"visa" | b"mastercard" | b"amex" | b"kreditkarte" => Topics::CARD,
        b"ssn" | b"itin" | b"socialsecurity" | b"socialsecuritynumber" => Topics::of(Country::UnitedStates),
        b"dni" | b"nie" | b"nif" => Topics::of(Country::Spain),
        b"codicefiscale" | b"cf" | b"codfisc" => Topics::of(Country::Italy),
        b"nir" | b"insee" | b"numsecu" => Topics::of(Country::France),
        b"bsn" | b"burgerservicenummer" | b"sofinummer" | b"sofi" => Topics::of(Country::Netherlands),
        b"cpf" => Topics::of(Country::Brazil),
        b"pesel" => Topics::of(Country::Poland),
        b"personnummer" | b"personnr" | b"pnr" | b"samordningsnummer" => Topics::of(Country::Sweden),
        b"steuerid" | b"steueridnr" | b"steuernummer" | b"steueridentifikationsnummer" | b"idnr" | b"tin" => {
            Topics::of(Country::Germany)
        }
        b"nino" | b"nationalinsurance" => Topics::of(Country::UnitedKingdom),
        b"aadhaar" | b"aadhar" | b"uidai" => Topics::of(Country::India),
        _ if word.starts_with(b"phone") || word.ends_with(b"phone") => Topics::PHONE,
        _ => Topics::default(),
    }
}

/// Names of several words that only mean something together, compared without case and separators.
fn of_squashed(name: &[u8]) -> Topics {
    const NAMES: &[(&str, Topics)] = &[
        ("nationalid", Topics::ANY_NATIONAL_ID),
        ("nationalidentifier", Topics::ANY_NATIONAL_ID),
        ("nationalidnumber", Topics::ANY_NATIONAL_ID),
        ("nationalinsurancenumber", Topics::of(Country::UnitedKingdom)),
        ("socialsecurity", Topics::of(Country::UnitedStates)),
        ("socialsecurityno", Topics::of(Country::UnitedStates)),
        ("socialsecuritynumber", Topics::of(Country::UnitedStates)),
        ("personalid", Topics::ANY_NATIONAL_ID),
        ("personalidnumber", Topics::ANY_NATIONAL_ID),
        ("governmentid", Topics::ANY_NATIONAL_ID),
        ("citizenid", Topics::ANY_NATIONAL_ID),
        ("identitynumber", Topics::ANY_NATIONAL_ID),
        ("taxid", Topics::ANY_NATIONAL_ID),
        ("taxnumber", Topics::ANY_NATIONAL_ID),
        ("taxpayerid", Topics::ANY_NATIONAL_ID),
        ("steuerid", Topics::of(Country::Germany)),
        ("codicefiscale", Topics::of(Country::Italy)),
    ];
    if name.len() > NAME_BYTES_MAX {
        return Topics::default();
    }
    let mut squashed = [0; NAME_BYTES_MAX];
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        squashed[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let squashed = &squashed[..length];
    let known = NAMES.iter().find(|(known, _)| known.as_bytes() == squashed);
    known.map_or(Topics::default(), |(_, topics)| *topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_speak_of_what_they_carry() {
        for name in ["phone", "phoneNumber", "contact[phone]", "telephone", "user_mobile", "msisdn", "fax"] {
            assert!(topics(name, b"", 0).has_phone(), "{name}");
        }
        for name in ["phone_id", "phoneNumberId", "id", "telemetry", "hotel", "mobility", "q", ""] {
            assert!(!topics(name, b"", 0).has_phone(), "{name}");
        }
        for name in [
            "phone_verified_at",
            "last_call",
            "call_duration_ms",
            "x-mobile-build",
            "mobileAppVersion",
            "phone_updated",
            "sms_sent_on",
            "phoneCreatedDate",
        ] {
            assert!(!topics(name, b"", 0).has_phone(), "{name}");
        }
        assert!(topics("cardNumber", b"", 0).has_card());
        assert!(!topics("card_id", b"", 0).has_card());
        assert!(topics("national_id", b"", 0).has_national_id(Country::Poland));
        assert!(topics("customer_ssn", b"", 0).has_national_id(Country::UnitedStates));
        assert!(!topics("customer_ssn", b"", 0).has_national_id(Country::Poland));
    }

    #[test]
    fn so_do_the_words_before() {
        let before = |text: &str| topics("", text.as_bytes(), text.len());
        for text in
            ["phone=", "\"phone\": \"", "my phone number is ", "/by-phone/", "a=1&tel=+", "tel:", "/mobile-number/"]
        {
            assert!(before(text).has_phone(), "{text}");
        }
        for text in
            ["/phones/", "phone=1&id=", "phone, and then ", "phone a b c ", "{\"phone\":1,\"id\":", "", "=", "/"]
        {
            assert!(!before(text).has_phone(), "{text}");
        }
        for path in [
            "/mobile/",
            "/api/call/",
            "/SMS/",
            "/send-sms/",
            "/cell/",
            "/mobile/orders/",
            "/mobile/v1/",
            "/phone/order/",
            "/Phones/",
            "/mobile-order/",
        ] {
            assert!(!before(path).has_phone(), "{path}");
        }
        assert!(!before("/card/").has_card());
    }
}
