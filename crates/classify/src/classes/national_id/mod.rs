#![doc = include_str!("README.md")]

mod brazil;
mod france;
mod germany;
mod india;
mod italy;
mod netherlands;
mod poland;
mod spain;
mod sweden;
mod united_kingdom;
mod united_states;

use super::number::Number;
use crate::topics::Topics;

/// Whose number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Country {
    /// Cadastro de Pessoas Físicas.
    Brazil,
    /// Numéro d'inscription au répertoire.
    France,
    /// Steuerliche Identifikationsnummer.
    Germany,
    /// Aadhaar.
    India,
    /// Codice fiscale.
    Italy,
    /// Burgerservicenummer.
    Netherlands,
    /// PESEL.
    Poland,
    /// DNI and NIE.
    Spain,
    /// Personnummer and samordningsnummer.
    Sweden,
    /// National Insurance number.
    UnitedKingdom,
    /// Social Security number and ITIN.
    UnitedStates,
    /// Rijksregisternummer.
    Belgium,
    /// Social Insurance Number.
    Canada,
    /// Resident Identity Card number.
    China,
    /// Henkilötunnus.
    Finland,
    /// Clave Única de Registro de Población.
    Mexico,
    /// Fødselsnummer.
    Norway,
    /// NRIC and FIN.
    Singapore,
    /// Identity number.
    SouthAfrica,
    /// Resident Registration Number.
    SouthKorea,
    /// AHV number.
    Switzerland,
    /// National identity number.
    Thailand,
    /// Kimlik numarası.
    Turkey,
}

impl Country {
    /// All of them: first those that [`find_personal`](crate::find_personal) finds, then those that
    /// [`classify`](crate::classify) knows besides; each in the order of their names.
    pub const ALL: [Country; 23] = [
        Country::Brazil,
        Country::France,
        Country::Germany,
        Country::India,
        Country::Italy,
        Country::Netherlands,
        Country::Poland,
        Country::Spain,
        Country::Sweden,
        Country::UnitedKingdom,
        Country::UnitedStates,
        Country::Belgium,
        Country::Canada,
        Country::China,
        Country::Finland,
        Country::Mexico,
        Country::Norway,
        Country::Singapore,
        Country::SouthAfrica,
        Country::SouthKorea,
        Country::Switzerland,
        Country::Thailand,
        Country::Turkey,
    ];

    /// The name of the class of its number.
    pub fn as_str(self) -> &'static str {
        match self {
            Country::Brazil => "br_cpf",
            Country::France => "fr_nir",
            Country::Germany => "de_tax_id",
            Country::India => "in_aadhaar",
            Country::Italy => "it_codice_fiscale",
            Country::Netherlands => "nl_bsn",
            Country::Poland => "pl_pesel",
            Country::Spain => "es_dni_nie",
            Country::Sweden => "se_personnummer",
            Country::UnitedKingdom => "uk_nino",
            Country::UnitedStates => "us_ssn",
            Country::Belgium => "be_national_number",
            Country::Canada => "ca_sin",
            Country::China => "cn_resident_id",
            Country::Finland => "fi_hetu",
            Country::Mexico => "mx_curp",
            Country::Norway => "no_fodselsnummer",
            Country::Singapore => "sg_nric",
            Country::SouthAfrica => "za_id",
            Country::SouthKorea => "kr_rrn",
            Country::Switzerland => "ch_ahv",
            Country::Thailand => "th_national_id",
            Country::Turkey => "tr_kimlik",
        }
    }
}

/// Where a number that begins with digits ends. `is_named` says whether the name or the words before speak of its like.
type AtDigits = fn(number: &Number<'_>, is_named: bool) -> Option<usize>;

/// Strict ones first, since a number passes for that of the first that takes it.
const DIGITS: &[(Country, AtDigits)] = &[
    (Country::France, france::at),
    (Country::Brazil, brazil::at),
    (Country::Spain, spain::digits_at),
    (Country::Sweden, sweden::at),
    (Country::Poland, poland::at),
    (Country::Germany, germany::at),
    (Country::India, india::at),
    (Country::Netherlands, netherlands::at),
    (Country::UnitedStates, united_states::at),
];

/// The number that begins with a word of digits.
pub(super) fn digits_at(number: &Number<'_>, topics: Topics) -> Option<(Country, usize)> {
    DIGITS.iter().find_map(|&(country, at)| Some((country, at(number, topics.has_national_id(country))?)))
}

/// The number that begins with a word that has letters. What it is about is asked for only where the word is of the shape.
pub(super) fn letters_at(
    text: &[u8],
    start: usize,
    word_end: usize,
    topics: impl Fn() -> Topics,
) -> Option<(Country, usize)> {
    let word = &text[start..word_end];
    match word.len() {
        16 if italy::is_codice_fiscale(word) => return Some((Country::Italy, word_end)),
        15 if france::is_corsican(word) => return Some((Country::France, word_end)),
        9 if spain::is_dni_or_nie(word) => return Some((Country::Spain, word_end)),
        8 if spain::is_short_dni(word) && topics().has_national_id(Country::Spain) => {
            return Some((Country::Spain, word_end));
        }
        _ => {}
    }
    if let Some(end) = spain::hyphenated_nie_at(text, start, word_end) {
        return Some((Country::Spain, end));
    }
    let end = united_kingdom::at(text, start, word_end, || topics().has_national_id(Country::UnitedKingdom))?;
    Some((Country::UnitedKingdom, end))
}
