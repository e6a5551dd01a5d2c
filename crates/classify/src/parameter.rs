//! A value with what is known around it.

use crate::classes::{DataClass, Found, find_personal};
use crate::evidence::{Evidence, Form};
use crate::words::Said;

/// What the families look at.
pub(crate) struct Parameter<'p> {
    /// The name of the field.
    pub(crate) name: &'p str,
    /// The value, or as much of it as is read.
    pub(crate) value: &'p str,
    /// What the name says.
    pub(crate) said: Said,
    /// What the words of the path say.
    pub(crate) context: Said,
    /// What of it proves to be a person's.
    pub(crate) personal: Vec<Found>,
}

impl<'p> Parameter<'p> {
    pub(crate) fn new(name: &'p str, value: &'p str, context: &[&str]) -> Self {
        Parameter {
            name,
            value,
            said: Said::by_name(name),
            context: Said::by_context(context),
            personal: find_personal(name, value),
        }
    }

    /// What speaks for it that the value at `start` is one of the class.
    pub(crate) fn evidence(&self, class: DataClass, form: Form, is_checked: bool, start: usize) -> Evidence {
        let before = Said::before(self.value.as_bytes(), start);
        let name = self.said.naming(class);
        Evidence {
            form,
            is_checked,
            name,
            before: before.naming(class),
            has_context: self.context.speaks_of(class),
            is_denied: match before.speaks_of(class) {
                true => false,
                false => self.said.denies(class) || (!self.said.speaks_of(class) && before.denies(class)),
            },
        }
    }

    /// The value without white space around it, and where it begins.
    pub(crate) fn trimmed(&self) -> (&'p str, usize) {
        let start = self.value.len() - self.value.trim_start().len();
        (self.value.trim(), start)
    }
}
