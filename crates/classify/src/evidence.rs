//! What speaks for a class, how much each kind of it weighs, and what they come to together.
//!
//! A confidence is how many of a hundred fields with the same evidence we expect to hold the class, over one hundred. Each
//! piece of evidence leaves a share of doubt, and the shares are multiplied: what is [`Form::Fair`] leaves 40 of 100, a name that
//! is the class's own leaves 20 of those 100; together 8 are left, and the confidence is 0.92. Two rules besides:
//!
//! - A name that says something else, such as `order_id` or `created_at`, halves what a form is worth, where numbers and codes of the
//!   class look like ids ([`DataClass::is_mistakable`]) and the form is no proof.
//! - From [`CONFIDENCE_DECIDED`] on a value counts as one of the class, below it is only likely to be.
//!
//! The weights are judgements about forms and names in general, made once for all classes. None is fitted to data.

use std::fmt;

use crate::classes::DataClass;

/// From here on a value counts as one of the class.
pub const CONFIDENCE_DECIDED: f32 = 0.5;

/// What is less likely is not told.
pub(crate) const CONFIDENCE_MIN: f32 = 0.3;

/// Doubt that a name leaves which is the class's own, such as `iban`.
const DOUBT_NAMED: f32 = 0.2;
/// Doubt that a name leaves which other things have as well, such as `address`.
const DOUBT_SUGGESTED: f32 = 0.6;
/// Doubt that a word of the path leaves.
const DOUBT_CONTEXT: f32 = 0.7;

/// How much the value proves by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// It could be one, and so could anything.
    Possible,
    /// It is written like one, and many ids are, too.
    Weak,
    /// It is written like one, and few other things are.
    Fair,
    /// It is written like one, and nothing else of any frequency is.
    Strong,
    /// Nothing else is written like it.
    Proof,
}

impl Form {
    fn doubt(self) -> f32 {
        match self {
            Form::Possible => 1.0,
            Form::Weak => 0.7,
            Form::Fair => 0.4,
            Form::Strong => 0.1,
            Form::Proof => 0.02,
        }
    }
}

/// How loudly a name speaks of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Naming {
    Silent,
    Suggested,
    Named,
}

impl Naming {
    fn doubt(self) -> f32 {
        match self {
            Naming::Silent => 1.0,
            Naming::Suggested => DOUBT_SUGGESTED,
            Naming::Named => DOUBT_NAMED,
        }
    }
}

/// All that speaks for and against a class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    pub(crate) form: Form,
    pub(crate) is_checked: bool,
    pub(crate) name: Naming,
    pub(crate) before: Naming,
    pub(crate) has_context: bool,
    pub(crate) is_denied: bool,
}

impl Evidence {
    /// What it comes to for the class, to the hundredth. Nothing is certain.
    pub(crate) fn confidence(&self, class: Option<DataClass>) -> f32 {
        let form = match self.is_doubted(class) {
            true => 1.0 - (1.0 - self.form.doubt()) / 2.0,
            false => self.form.doubt(),
        };
        let context = if self.has_context { DOUBT_CONTEXT } else { 1.0 };
        let doubt = form * self.name.max(self.before).doubt() * context;
        ((1.0 - doubt) * 100.0).round().min(99.0) / 100.0
    }

    /// The same in words.
    pub(crate) fn because(&self, class: Option<DataClass>) -> Because {
        let mut because = Because(0);
        for (is_so, reason) in [
            (self.is_checked, Reason::CheckDigits),
            (self.form > Form::Possible, Reason::Form),
            (self.name > Naming::Silent, Reason::Name),
            (self.before > Naming::Silent, Reason::WordsBefore),
            (self.has_context, Reason::Context),
            (self.is_doubted(class), Reason::OtherName),
        ] {
            because.0 |= u8::from(is_so) << reason as u8;
        }
        because
    }

    fn is_doubted(&self, class: Option<DataClass>) -> bool {
        self.is_denied && self.form < Form::Proof && class.is_some_and(DataClass::is_mistakable)
    }
}

/// A piece of evidence, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Its check digits are right.
    CheckDigits,
    /// It is written like one.
    Form,
    /// The field's name says so.
    Name,
    /// The words before it say so.
    WordsBefore,
    /// A word of the path says so.
    Context,
    /// The field's name says something else, so the form counted half.
    OtherName,
}

impl Reason {
    const ALL: [Reason; 6] =
        [Reason::CheckDigits, Reason::Form, Reason::Name, Reason::WordsBefore, Reason::Context, Reason::OtherName];

    /// Its name in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::CheckDigits => "check digits",
            Reason::Form => "form",
            Reason::Name => "name",
            Reason::WordsBefore => "words before",
            Reason::Context => "context",
            Reason::OtherName => "name says something else",
        }
    }
}

/// Why a value was taken for one of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Because(u8);

impl Because {
    /// The kinds of evidence that there were, in the order of [`Reason`].
    pub fn reasons(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |&reason| self.0 >> reason as u8 & 1 == 1)
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", reason.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Evidence = Evidence {
        form: Form::Possible,
        is_checked: false,
        name: Naming::Silent,
        before: Naming::Silent,
        has_context: false,
        is_denied: false,
    };

    #[test]
    fn doubts_are_multiplied() {
        let card = Some(DataClass::PaymentCard);
        for (evidence, class, confidence, because) in [
            (NOTHING, card, 0.0, ""),
            (Evidence { form: Form::Fair, is_checked: true, ..NOTHING }, card, 0.6, "check digits, form"),
            (Evidence { form: Form::Fair, name: Naming::Named, ..NOTHING }, card, 0.92, "form, name"),
            (Evidence { form: Form::Fair, is_denied: true, ..NOTHING }, card, 0.3, "form, name says something else"),
            (Evidence { form: Form::Proof, is_denied: true, ..NOTHING }, card, 0.98, "form"),
            (Evidence { form: Form::Strong, is_denied: true, ..NOTHING }, Some(DataClass::Email), 0.9, "form"),
            (Evidence { name: Naming::Suggested, has_context: true, ..NOTHING }, card, 0.58, "name, context"),
            (Evidence { name: Naming::Suggested, before: Naming::Named, ..NOTHING }, card, 0.8, "name, words before"),
        ] {
            assert_eq!(evidence.confidence(class), confidence, "{evidence:?}");
            assert_eq!(evidence.because(class).to_string(), because, "{evidence:?}");
        }
    }

    #[test]
    fn more_evidence_never_makes_it_less_likely() {
        let forms = [Form::Possible, Form::Weak, Form::Fair, Form::Strong, Form::Proof];
        let names = [Naming::Silent, Naming::Suggested, Naming::Named];
        for is_denied in [false, true] {
            for (lower, higher) in forms.into_iter().zip(forms.into_iter().skip(1)) {
                for name in names {
                    let of = |form| Evidence { form, name, is_denied, ..NOTHING }.confidence(Some(DataClass::Phone));
                    assert!(of(lower) < of(higher), "{lower:?} {name:?}");
                }
            }
        }
    }
}
