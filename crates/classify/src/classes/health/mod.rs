#![doc = include_str!("doc.md")]

use super::DataClass;
use crate::candidates::Candidates;
use crate::evidence::Form;
use crate::parameter::Parameter;
use crate::words::{Says, Words};

pub(crate) const WORDS: &Words = &[
    (
        Says::Names(DataClass::Diagnosis),
        "diagnosis diagnoses diagnosiscode diagnosecode icd icdcode icd9 icd10 icd11 icd10code diagnose diagnostic \
         diagnostico diagnosi diagnoza snomed snomedcode",
    ),
    (
        Says::Names(DataClass::PatientNumber),
        "patientid patientnumber patientno patientnr mrn medicalrecord medicalrecordnumber medicalrecordno nhs nhsnumber \
         nhsno nhsid healthid healthnumber healthcardnumber healthinsurancenumber medicareid medicarenumber medicaidid \
         versichertennummer krankenversichertennummer patientennummer",
    ),
    (
        Says::Names(DataClass::BloodType),
        "bloodtype bloodgroup blutgruppe groupesanguin grupsanguin gruposanguineo grupposanguigno tiposanguineo bloedgroep \
         grupakrwi blodgrupp blodtype",
    ),
    (
        Says::Names(DataClass::HealthDetail),
        "allergy allergies allergen medication medications prescription prescriptions drugname symptom symptoms disability \
         medicalcondition healthcondition medicalhistory healthstatus vaccination vaccine immunization pregnancy hivstatus \
         allergie allergien medikament medikamente beschwerden behinderung allergia allergias medicamento medicamentos \
         medicament sintoma sintomas discapacidad farmaco malattia krankheit maladie enfermedad doenca",
    ),
    (Says::Suggests(DataClass::Diagnosis), "patient clinic hospital encounter disease condition"),
    (Says::Suggests(DataClass::HealthDetail), "treatment therapy health medical medicine"),
    (Says::Suggests(DataClass::PatientNumber), "patient"),
];

/// Longest value that is read as words about somebody's health.
const DETAIL_BYTES_MAX: usize = 1024;
/// Digits of an NHS number.
const NHS_DIGITS: usize = 10;

pub(crate) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let (value, start) = parameter.trimmed();
    let span = (start, start + value.len());
    let speaks_of = |class| parameter.said.speaks_of(class);
    match nhs_form(value) {
        Some(form) => candidates.add_checked(parameter, DataClass::PatientNumber, form, span),
        None if speaks_of(DataClass::PatientNumber) && is_number(value) => {
            candidates.add(parameter, DataClass::PatientNumber, Form::Possible, span);
        }
        None => {}
    }
    if is_icd_10(value) {
        candidates.add(parameter, DataClass::Diagnosis, Form::Weak, span);
    } else if speaks_of(DataClass::Diagnosis) && is_said(value) {
        candidates.add(parameter, DataClass::Diagnosis, Form::Possible, span);
    }
    if is_blood_type(value) && speaks_of(DataClass::BloodType) {
        candidates.add(parameter, DataClass::BloodType, Form::Weak, span);
    }
    if speaks_of(DataClass::HealthDetail) && is_said(value) {
        candidates.add(parameter, DataClass::HealthDetail, Form::Possible, span);
    }
}

/// A chapter's letter, two characters of the category, and perhaps a point and up to four of the subcategory (WHO, ICD-10;
/// ICD-10-CM with its seven characters).
fn is_icd_10(value: &str) -> bool {
    let [letter, tens, ones, rest @ ..] = value.as_bytes() else {
        return false;
    };
    let is_category =
        letter.is_ascii_uppercase() && tens.is_ascii_digit() && (ones.is_ascii_digit() || matches!(ones, b'A' | b'B'));
    let is_subcategory = match rest {
        [] => true,
        [b'.', rest @ ..] => {
            (1..=4).contains(&rest.len()) && rest.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        }
        _ => false,
    };
    is_category && is_subcategory
}

/// Ten digits of which the last is the check digit modulo 11 (NHS Data Dictionary, NHS NUMBER), alone or as three, three and four.
fn nhs_form(value: &str) -> Option<Form> {
    let mut digits = [0; NHS_DIGITS];
    let mut count = 0;
    for (index, byte) in value.bytes().enumerate() {
        if byte.is_ascii_digit() && count < NHS_DIGITS {
            digits[count] = u32::from(byte - b'0');
            count += 1;
        } else if byte != b' ' || !matches!(index, 3 | 7) {
            return None;
        }
    }
    if count != NHS_DIGITS {
        return None;
    }
    let sum: u32 = digits[..9].iter().zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
    let is_right = (11 - sum % 11) % 11 == digits[9];
    let is_uniform = digits.iter().all(|digit| *digit == digits[0]);
    // A random number of ten digits passes one time in eleven, and many an id has ten.
    (is_right && !is_uniform).then_some(if value.len() == NHS_DIGITS { Form::Possible } else { Form::Weak })
}

fn is_number(value: &str) -> bool {
    (4..=20).contains(&value.len())
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b' '))
}

fn is_blood_type(value: &str) -> bool {
    let group = value.trim_end_matches(['+', '-']);
    let group = group.split([' ', '_']).next().unwrap_or(group);
    ["A", "B", "AB", "O", "0"].iter().any(|known| group.eq_ignore_ascii_case(known)) && value.len() <= 12
}

/// Words, and no flag or number.
fn is_said(value: &str) -> bool {
    (3..=DETAIL_BYTES_MAX).contains(&value.len())
        && value.chars().filter(|character| character.is_alphabetic()).count() >= 3
        && !["true", "false", "null", "none", "yes", "all", "any"].iter().any(|flag| value.eq_ignore_ascii_case(flag))
}
