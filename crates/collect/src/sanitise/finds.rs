//! Which classes of data were found where values are replaced, and where they stand in the call.
//!
//! A value is looked at before it is known whether it stays, and where: what is found in it waits until then. Nothing of the value
//! is in it. A class is told once for each place, and at most [`CLASSES_SEEN_MAX`] of them; the first ones stay.

use outrider_classify::{CredentialShape, DataClass, credential_class, credential_shape};
use outrider_model::{CLASSES_SEEN_MAX, ClassLocation, ClassSeen, Exposure, Signs, Text};
use smallvec::SmallVec;

use crate::exposure::Token;

/// What was found in the values of a call.
#[derive(Debug, Default)]
pub(crate) struct Finds {
    waiting: SmallVec<[Find; 2]>,
    classes: Vec<ClassSeen<'static>>,
    signs: Signs,
    jwt_lifetime_s: Option<u32>,
}

/// A value that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Find {
    class: DataClass,
    token: Option<Token>,
    /// Of a value in a path: in which segment.
    segment: u16,
}

impl Find {
    pub(super) fn of(class: DataClass) -> Find {
        Find { class, token: None, segment: 0 }
    }

    /// A credential, by its look, or else as the caller says.
    pub(super) fn credential(value: &str, otherwise: impl FnOnce() -> DataClass) -> Find {
        match credential_shape(value) {
            Some(CredentialShape::JsonWebToken) => {
                Find { token: Some(Token::read(value)), ..Find::of(DataClass::JsonWebToken) }
            }
            Some(CredentialShape::ProviderKey) => Find::of(DataClass::ApiKey),
            Some(CredentialShape::PrivateKey) => Find::of(DataClass::PrivateKey),
            Some(CredentialShape::Authorization) => Find::of(DataClass::AccessToken),
            None => Find::of(otherwise()),
        }
    }

    /// A credential, by its look or its name.
    pub(super) fn named_credential(name: &str, value: &str) -> Find {
        Find::credential(value, || credential_class(name))
    }

    pub(super) fn in_segment(self, segment: usize) -> Find {
        Find { segment: u16::try_from(segment).unwrap_or(u16::MAX), ..self }
    }
}

impl Finds {
    pub(crate) fn add(&mut self, find: Find) {
        self.waiting.push(find);
    }

    /// What waits stands in this place of the call's lists.
    pub(crate) fn stand_at(&mut self, location: ClassLocation, at: usize) {
        self.settle(location, |_| u16::try_from(at).unwrap_or(u16::MAX));
    }

    /// What waits stands in this place of a list if it stays, and the next value in the next one.
    pub(crate) fn settle_if(&mut self, stays: bool, location: ClassLocation, place: &mut usize) {
        if stays {
            self.stand_at(location, *place);
            *place += 1;
        } else {
            self.leave();
        }
    }

    /// What waits stands in the path.
    pub(crate) fn stand_in_path(&mut self) {
        self.settle(ClassLocation::Path, |find| find.segment);
    }

    fn settle(&mut self, location: ClassLocation, at: impl Fn(&Find) -> u16) {
        if self.waiting.is_empty() {
            return;
        }
        for find in std::mem::take(&mut self.waiting) {
            if let Some(token) = find.token {
                self.signs.extend(token.signs().iter());
                self.jwt_lifetime_s = self.jwt_lifetime_s.max(token.lifetime_s);
            }
            let seen = ClassSeen { location, at: at(&find), class: Text::from(find.class.as_str()) };
            add_class(&mut self.classes, seen);
        }
    }

    /// What waits does not leave, and no more does that it was there.
    pub(crate) fn leave(&mut self) {
        self.waiting.clear();
    }

    /// Says it of a call.
    pub(crate) fn tell(self, exposure: &mut Exposure<'_>) {
        exposure.signs.extend(self.signs.iter());
        exposure.jwt_lifetime_s = exposure.jwt_lifetime_s.max(self.jwt_lifetime_s);
        self.classes.into_iter().for_each(|seen| add_class(&mut exposure.classes, seen));
    }
}

fn add_class<'a>(classes: &mut Vec<ClassSeen<'a>>, seen: ClassSeen<'a>) {
    if classes.len() < CLASSES_SEEN_MAX && !classes.contains(&seen) {
        classes.push(seen);
    }
}
