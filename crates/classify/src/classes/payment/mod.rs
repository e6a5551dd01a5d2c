#![doc = include_str!("doc.md")]

use super::{DataClass, Found};
use crate::candidates::Candidates;
use crate::evidence::Form;
use crate::parameter::Parameter;
use crate::words::{Says, Words};

pub(crate) const WORDS: &Words = &[
    (
        Says::Names(DataClass::PaymentCard),
        "card cardnumber cardno cardnr cardnum pan primaryaccountnumber cc ccn ccnumber ccnum creditcard creditcardnumber \
         debitcard debitcardnumber paymentcard visa mastercard amex maestro kreditkarte kreditkartennummer kartennummer \
         cartebancaire numerocarte numerodecarte tarjeta numerotarjeta numerodetarjeta cartao numerocartao numerodocartao \
         cartadicredito numerocarta creditcardnummer kaartnummer numerkarty kortnummer",
    ),
    (
        Says::Names(DataClass::Iban),
        "iban ibannumber bankaccount bankaccountnumber kontonummer numerodecompte cuentabancaria contocorrente rekeningnummer",
    ),
    (Says::Suggests(DataClass::Iban), "account accountnumber konto compte cuenta conto conta rekening"),
    (
        Says::Names(DataClass::CardSecurityCode),
        "cvv cvc csc cvn cvv2 cvc2 cid2 cardcvv cardcvc cardcode cardsecuritycode cardverificationcode \
         cardverificationvalue cardverification securitycode kartenpruefnummer pruefziffer kartenprufnummer cryptogramme \
         codigoseguridad codigodeseguridad codigoseguranca codicesicurezza",
    ),
];

/// Digits of a security code: four on American Express, three elsewhere.
const SECURITY_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=4;

pub(crate) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    for &Found { class, start, end } in &parameter.personal {
        match class {
            DataClass::PaymentCard => {
                // One number in ten passes Luhn, and one in four has an issuer's first digits.
                let is_printed = parameter.value[start..end].contains([' ', '-', '.']);
                let form = if is_printed { Form::Strong } else { Form::Fair };
                candidates.add_checked(parameter, class, form, (start, end));
            }
            DataClass::Iban => candidates.add_checked(parameter, class, Form::Proof, (start, end)),
            _ => {}
        }
    }
    let (value, start) = parameter.trimmed();
    let is_code = SECURITY_CODE_DIGITS.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_code && parameter.said.speaks_of(DataClass::CardSecurityCode) {
        candidates.add(parameter, DataClass::CardSecurityCode, Form::Possible, (start, start + value.len()));
    }
}
