//! What the words of a name, of a path, or before a value say of the classes.
//!
//! A name is read as words: `billingAddress`, `billing_address` and `Billing-Address` are one. Signs above and below letters
//! are left out, so that `téléphone` is `telephone`. The longest run of words that a family lists wins, which is why
//! `ip_address` is no postal address. A name that ends in a word of [`ABOUT`] tells of a thing without being it:
//! `card_id`, `phone_verified_at`, `password_length`.
//!
//! Each family lists its own words, in the languages in which they are cheap to have: English, German, French, Spanish, Portuguese,
//! Italian, Dutch, Polish and the Scandinavian ones. `topics` has a list of its own, of the words that are good enough to
//! replace a value for.

use std::sync::LazyLock;

use crate::classes::{Country, DataClass, Family};
use crate::evidence::Naming;
use crate::names::is_credential_name;

/// The words of a family. The words that belong together are in one text, with spaces between them.
pub(crate) type Words = [(Says, &'static str)];

/// What a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Says {
    /// What is named so is of the class.
    Names(DataClass),
    /// What is named so may be of the class, or something else.
    Suggests(DataClass),
    /// What is named so is a number of a person, and may be of any country.
    SuggestsPerson,
    /// What is named so tells of a thing, and is none of the classes.
    About,
}

/// Longest name in bytes that is read.
const NAME_BYTES_MAX: usize = 96;
/// Most words of a name that are read.
const WORDS_MAX: usize = 12;
/// Most words that mean something together: `date de naissance`, `numero de carte bancaire`.
const WORDS_TOGETHER_MAX: usize = 4;
/// Most words of a path that are read.
const CONTEXT_MAX: usize = 16;
/// How far back words before a value are looked for, in bytes.
const BEFORE_BYTES_MAX: usize = 48;
/// How many of them are read, the nearest ones.
const BEFORE_WORDS_MAX: usize = 4;

/// Words that a name ends in which is none of the classes.
const ABOUT: &Words = &[(
    Says::About,
    "id ids gid ref reference count counter size length len limit offset page index type kind status state \
     version build revision release format hint at on time ts date timestamp ms seconds start end duration ttl expires \
     updated created verified enabled order invoice sequence serial sku ean isbn upc batch ticket tracking price amount \
     total quantity score rank weight width height percent year month day hour \
     pagetoken nextpagetoken prevpagetoken previouspagetoken continuationtoken nexttoken startingtoken synctoken \
     tokentype tokentypehint tokencount tokenlimit maxtokens secfetchtoken secwebsocketkey sessionduration sessionlength \
     ordernumber orderno invoicenumber trackingnumber serialnumber seqno articlenumber ticketnumber \
     sortkey primarykey cachekey partitionkey idempotencykey requestid correlationid traceid",
)];

/// Ends of words that say what a credential is, as they do that it is one: `dbpassword`.
const CREDENTIAL_ENDINGS: &[(&str, DataClass)] = &[
    ("password", DataClass::Password),
    ("passwd", DataClass::Password),
    ("passphrase", DataClass::Password),
    ("apikey", DataClass::ApiKey),
    ("sessionid", DataClass::SessionId),
    ("sessid", DataClass::SessionId),
];

/// First words of a name that asks of a thing, or counts it.
const ASKING: &[&[u8]] = &[b"is", b"has", b"num", b"can", b"should", b"count", b"max", b"min", b"total"];

/// Words between a thing and its value in a sentence: `her number is`, `call me at`.
const JOINING: &[&[u8]] = &[b"is", b"are", b"at", b"on", b"of", b"to", b"was", b"the"];

/// All words with what they say, in order.
static INDEX: LazyLock<Vec<(&'static str, Says)>> = LazyLock::new(|| {
    let lists = Family::ALL.into_iter().map(|family| family.member().words).chain([ABOUT]);
    let mut index: Vec<(&str, Says)> = lists
        .flatten()
        .flat_map(|(says, words)| words.split_ascii_whitespace().map(move |word| (word, *says)))
        .collect();
    index.sort_unstable();
    index
});

/// What kind of credential a field holds that is known to hold one, by its name alone. A private key and a JSON Web Token are known by
/// their look, whatever they are called; what a name says nothing of is a token.
pub fn credential_class(name: &str) -> DataClass {
    let said = Said::by_name(name);
    let told = [DataClass::Password, DataClass::ApiKey, DataClass::SessionId].into_iter();
    let told = told.max_by_key(|class| said.naming(*class)).filter(|class| said.speaks_of(*class));
    told.or_else(|| {
        let letters = name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
        let name: Vec<u8> = letters.collect();
        let ends = |(ending, _): &&(&str, DataClass)| name.ends_with(ending.as_bytes());
        CREDENTIAL_ENDINGS.iter().find(ends).map(|(_, class)| *class)
    })
    .unwrap_or(DataClass::AccessToken)
}

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Classes(u64);

impl Classes {
    const PERSON_NUMBERS: Classes = Classes(((1 << Country::ALL.len()) - 1) << COUNTRIES_FROM);

    fn of(class: DataClass) -> Classes {
        Classes(match class {
            DataClass::NationalId(country) => 1 << (COUNTRIES_FROM + country as u64),
            class => 1 << class.ordinal(),
        })
    }

    fn add(&mut self, other: Classes) {
        self.0 |= other.0;
    }

    fn has(self, class: DataClass) -> bool {
        self.0 & Classes::of(class).0 != 0
    }
}

/// The first bit of a set that stands for a country.
const COUNTRIES_FROM: u64 = 32;

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Said {
    named: Classes,
    suggested: Classes,
    is_about: bool,
    unknown: usize,
}

impl Said {
    /// By the name of a field.
    pub(crate) fn by_name(name: &str) -> Said {
        let mut read = Read::new(name.as_bytes());
        let is_asking = read.count > 1 && ASKING.contains(&read.word(0, 1));
        let mut said = read.said();
        if !said.is_about && is_credential_name(name) && said.says_no_credential() {
            said.suggested.add(Classes::of(DataClass::AccessToken));
        }
        if is_asking {
            said = Said { is_about: true, unknown: said.unknown, ..Said::default() };
        }
        said
    }

    /// By words of the path, whatever their order.
    pub(crate) fn by_context(context: &[&str]) -> Said {
        let mut all = Said::default();
        for word in context.iter().take(CONTEXT_MAX) {
            let said = Read::new(word.as_bytes()).said();
            all.named.add(said.named);
            all.suggested.add(said.suggested);
        }
        all
    }

    /// By the words before offset `start` of a text. Another field's `&`, `,` or `;` ends their reach.
    pub(crate) fn before(text: &[u8], start: usize) -> Said {
        let near = &text[start.saturating_sub(BEFORE_BYTES_MAX)..start];
        let ends_reach = |byte: &u8| matches!(byte, b'&' | b',' | b';' | b'{' | b'}' | b'<' | b'>' | b'\n' | b'/');
        let near = &near[near.iter().rposition(ends_reach).map_or(0, |at| at + 1)..];
        if !near.iter().any(u8::is_ascii_alphabetic) {
            return Said::default();
        }
        let mut read = Read::new(near);
        read.drop_last_of(JOINING);
        read.keep_last(BEFORE_WORDS_MAX);
        read.said()
    }

    fn says_no_credential(&self) -> bool {
        let mut classes = DataClass::all().filter(|class| class.family() == Family::Credentials);
        !classes.any(|class| self.speaks_of(class))
    }

    /// How loudly it speaks of the class.
    pub(crate) fn naming(&self, class: DataClass) -> Naming {
        match (self.named.has(class), self.suggested.has(class)) {
            (true, _) => Naming::Named,
            (_, true) => Naming::Suggested,
            _ => Naming::Silent,
        }
    }

    /// Whether it speaks of the class at all.
    pub(crate) fn speaks_of(&self, class: DataClass) -> bool {
        self.naming(class) > Naming::Silent
    }

    /// Whether it says that the value is something else than one of the class.
    pub(crate) fn denies(&self, class: DataClass) -> bool {
        !self.speaks_of(class) && (self.is_about || self.named != Classes::default())
    }

    /// Whether it has no word that means nothing here: `name` and `customer_name`, and not `file_name`.
    pub(crate) fn is_all_known(&self) -> bool {
        self.unknown == 0
    }
}

/// A name as words: lower-case, one behind the other.
struct Read {
    bytes: [u8; NAME_BYTES_MAX],
    ends: [usize; WORDS_MAX],
    first: usize,
    count: usize,
}

impl Read {
    fn new(name: &[u8]) -> Self {
        // Of a longer one the end says what it is.
        let name = &name[name.len().saturating_sub(NAME_BYTES_MAX)..];
        let mut read = Read { bytes: [0; NAME_BYTES_MAX], ends: [0; WORDS_MAX], first: 0, count: 0 };
        let mut length = 0;
        for (at, &byte) in name.iter().enumerate() {
            let Some(letter) = folded(name, at) else {
                if byte.is_ascii() {
                    read.end_word(length);
                }
                continue;
            };
            if begins_word(name, at) {
                read.end_word(length);
            }
            read.bytes[length] = letter;
            length += 1;
        }
        read.end_word(length);
        read
    }

    fn end_word(&mut self, end: usize) {
        let start = self.count.checked_sub(1).map_or(0, |last| self.ends[last]);
        if end == start {
            return;
        }
        if self.count == WORDS_MAX {
            // The last ones are the ones that matter, and one longer word means nothing.
            self.ends[WORDS_MAX - 1] = end;
            return;
        }
        self.ends[self.count] = end;
        self.count += 1;
    }

    fn drop_last_of(&mut self, words: &[&[u8]]) {
        while self.count > 0 && words.contains(&self.word(self.count - 1, 1)) {
            self.count -= 1;
        }
    }

    fn keep_last(&mut self, count: usize) {
        self.first = self.count.saturating_sub(count);
    }

    /// So many words from one on, without what was between them.
    fn word(&self, from: usize, count: usize) -> &[u8] {
        let start = from.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = (from + count).min(self.count).checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.bytes[start.min(end)..end]
    }

    fn said(&mut self) -> Said {
        let mut said = Said::default();
        let mut at = self.first;
        while at < self.count {
            let together = WORDS_TOGETHER_MAX.min(self.count - at);
            let found = (1..=together).rev().find_map(|count| Some((count, look_up(self.word(at, count))?)));
            said.unknown += usize::from(found.is_none());
            let (count, meanings) = found.unwrap_or((1, &[]));
            at += count;
            for (_, says) in meanings {
                match says {
                    Says::Names(class) => said.named.add(Classes::of(*class)),
                    Says::Suggests(class) => said.suggested.add(Classes::of(*class)),
                    Says::SuggestsPerson => said.suggested.add(Classes::PERSON_NUMBERS),
                    Says::About if at == self.count => {
                        said = Said { is_about: true, unknown: said.unknown, ..Said::default() };
                    }
                    Says::About => {}
                }
            }
        }
        said
    }
}

/// The letter or digit at a place without the signs that it has, in lower case.
fn folded(name: &[u8], at: usize) -> Option<u8> {
    let byte = name[at];
    if byte.is_ascii_alphanumeric() {
        return Some(byte.to_ascii_lowercase());
    }
    // U+00C0 to U+00FF in UTF-8; both cases have the same letters, 32 apart.
    let before = at.checked_sub(1).map(|before| name[before]);
    match (before, byte | 0x20) {
        (Some(0xc3), 0xa0..=0xa6) => Some(b'a'),
        (Some(0xc3), 0xa7) => Some(b'c'),
        (Some(0xc3), 0xa8..=0xab) => Some(b'e'),
        (Some(0xc3), 0xac..=0xaf) => Some(b'i'),
        (Some(0xc3), 0xb1) => Some(b'n'),
        (Some(0xc3), 0xb2..=0xb6 | 0xb8) => Some(b'o'),
        (Some(0xc3), 0xb9..=0xbc) => Some(b'u'),
        _ => None,
    }
}

/// Where a capital follows a small letter, and before the last of several capitals if a small one follows: `IPAddress`.
fn begins_word(name: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| name[before]) else {
        return false;
    };
    let is_small_next = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
    name[at].is_ascii_uppercase() && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && is_small_next))
}

/// What a word means; as it is, without a number at its end (`address1`), or without the `s` of a plural.
fn look_up(word: &[u8]) -> Option<&'static [(&'static str, Says)]> {
    let meanings = |word: &[u8]| {
        let start = INDEX.partition_point(|(known, _)| known.as_bytes() < word);
        let length = INDEX[start..].iter().take_while(|(known, _)| known.as_bytes() == word).count();
        (length > 0).then(|| &INDEX[start..start + length])
    };
    let without_number = || {
        let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0 && digits < word.len()).then(|| meanings(&word[..word.len() - digits])).flatten()
    };
    let without_plural = || word.strip_suffix(b"s").filter(|word| word.len() > 2).and_then(meanings);
    meanings(word).or_else(without_number).or_else(without_plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_kind_of_credential_it_is() {
        for (name, class) in [
            ("password", DataClass::Password),
            ("user[newPassword]", DataClass::Password),
            ("apikey", DataClass::ApiKey),
            ("X-Api-Key", DataClass::ApiKey),
            ("ocp-apim-subscription-key", DataClass::ApiKey),
            ("PHPSESSID", DataClass::SessionId),
            ("session_token", DataClass::SessionId),
            ("access_token", DataClass::AccessToken),
            ("authorization", DataClass::AccessToken),
            ("jwt", DataClass::AccessToken),
            ("sig", DataClass::AccessToken),
            ("dbPassword", DataClass::Password),
            ("x-acmeapikey", DataClass::ApiKey),
            ("", DataClass::AccessToken),
        ] {
            assert_eq!(credential_class(name), class, "{name}");
        }
    }

    #[test]
    fn names_are_read_as_words() {
        for (name, class, naming) in [
            ("email", DataClass::Email, Naming::Named),
            ("userEmail2", DataClass::Email, Naming::Named),
            ("contact[email_address]", DataClass::Email, Naming::Named),
            ("email_address", DataClass::PostalAddress, Naming::Silent),
            ("IPAddress", DataClass::IpAddress, Naming::Named),
            ("IPAddress", DataClass::PostalAddress, Naming::Silent),
            ("address", DataClass::PostalAddress, Naming::Suggested),
            ("téléphone", DataClass::Phone, Naming::Named),
            ("Teléfono", DataClass::Phone, Naming::Named),
            ("fecha-de-nacimiento", DataClass::BirthDate, Naming::Named),
            ("phone_verified_at", DataClass::Phone, Naming::Silent),
            ("card_id", DataClass::PaymentCard, Naming::Silent),
            ("has_password", DataClass::Password, Naming::Silent),
            ("national_id", DataClass::NationalId(Country::Finland), Naming::Suggested),
            ("session_id", DataClass::SessionId, Naming::Named),
            ("consumer_key", DataClass::AccessToken, Naming::Suggested),
            ("credential_id", DataClass::AccessToken, Naming::Silent),
            ("next_page_token", DataClass::AccessToken, Naming::Silent),
            ("", DataClass::Email, Naming::Silent),
            ("[[]]", DataClass::Email, Naming::Silent),
        ] {
            assert_eq!(Said::by_name(name).naming(class), naming, "{name}: {class:?}");
        }
    }

    #[test]
    fn other_things_deny_and_silence_does_not() {
        for (name, denies) in
            [("order_id", true), ("created_at", true), ("iban", true), ("phone", false), ("q", false), ("", false)]
        {
            assert_eq!(Said::by_name(name).denies(DataClass::Phone), denies, "{name}");
        }
    }

    #[test]
    fn words_before_a_value_end_at_the_next_field() {
        let before = |text: &str| Said::before(text.as_bytes(), text.len());
        for text in ["ssn=", "my social security number is ", "{\"a\":1,\"ssn\":\"", "SSN: "] {
            assert!(before(text).speaks_of(DataClass::NationalId(Country::UnitedStates)), "{text}");
        }
        for text in ["ssn=1&id=", "", "ssn, and ", "ssn one two three four five "] {
            assert!(!before(text).speaks_of(DataClass::NationalId(Country::UnitedStates)), "{text}");
        }
        assert!(before("order id ").denies(DataClass::Phone));
    }

    #[test]
    fn what_is_replaced_by_its_name_is_known_here_too() {
        for (name, class) in [
            ("phone", DataClass::Phone),
            ("msisdn", DataClass::Phone),
            ("user_mobile", DataClass::Phone),
            ("cardNumber", DataClass::PaymentCard),
            ("ccn", DataClass::PaymentCard),
            ("ssn", DataClass::NationalId(Country::UnitedStates)),
            ("nif", DataClass::NationalId(Country::Spain)),
            ("codice_fiscale", DataClass::NationalId(Country::Italy)),
            ("bsn", DataClass::NationalId(Country::Netherlands)),
            ("pesel", DataClass::NationalId(Country::Poland)),
            ("steuer_id", DataClass::NationalId(Country::Germany)),
            ("aadhaar", DataClass::NationalId(Country::India)),
        ] {
            assert!(crate::is_named_after(name, class), "{name}");
            assert!(Said::by_name(name).speaks_of(class), "{name}");
        }
    }

    #[test]
    fn no_word_means_two_things_of_which_one_is_nothing() {
        for (word, says) in INDEX.iter() {
            let meanings = look_up(word.as_bytes()).unwrap_or_default();
            assert!(*says != Says::About || meanings.len() == 1, "{word}: {meanings:?}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{word}");
            assert!(word.len() <= NAME_BYTES_MAX, "{word}");
        }
        assert!(INDEX.windows(2).all(|pair| pair[0] != pair[1]), "a word is listed twice");
    }

    #[test]
    fn any_name_is_read() {
        for name in ["é", "\u{c3}", "ÿÿÿ", &"aB".repeat(1000), &"x_".repeat(1000), "\0", "日本語の名前"] {
            let _ = Said::by_name(name);
        }
    }
}
