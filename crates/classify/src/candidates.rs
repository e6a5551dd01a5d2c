//! What the families found, until it is decided what of it stays.

use crate::classes::DataClass;
use crate::evidence::{Because, CONFIDENCE_MIN, Form};
use crate::parameter::Parameter;

/// Most values of one family that are told of one text; the first ones.
pub(crate) const FOUND_MAX: usize = 64;

/// What may be a value of a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate<C> {
    pub(crate) class: C,
    pub(crate) confidence: f32,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) because: Because,
}

/// Those of one family.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    all: Vec<Candidate<DataClass>>,
}

impl Candidates {
    /// Weighs one, and keeps it if it is likely enough.
    pub(crate) fn add(&mut self, parameter: &Parameter<'_>, class: DataClass, form: Form, span: (usize, usize)) {
        self.weigh(parameter, class, form, false, span);
    }

    /// As [`Candidates::add`], for one whose check digits are right.
    pub(crate) fn add_checked(
        &mut self,
        parameter: &Parameter<'_>,
        class: DataClass,
        form: Form,
        span: (usize, usize),
    ) {
        self.weigh(parameter, class, form, true, span);
    }

    /// Whether no more are taken, so that there is no use in looking.
    pub(crate) fn is_full(&self) -> bool {
        self.all.len() >= FOUND_MAX
    }

    pub(crate) fn take(self) -> Vec<Candidate<DataClass>> {
        self.all
    }

    fn weigh(
        &mut self,
        parameter: &Parameter<'_>,
        class: DataClass,
        form: Form,
        is_checked: bool,
        (start, end): (usize, usize),
    ) {
        if self.is_full() || start >= end {
            return;
        }
        let evidence = parameter.evidence(class, form, is_checked, start);
        let confidence = evidence.confidence(Some(class));
        if confidence >= CONFIDENCE_MIN {
            self.all.push(Candidate { class, confidence, start, end, because: evidence.because(Some(class)) });
        }
    }
}
