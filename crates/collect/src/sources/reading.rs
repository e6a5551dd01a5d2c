//! How a source reads lines now, and who may connect to it: what of its settings changes while it runs.
//!
//! Whoever reads takes what is in force once for all that has come together, so no line is read by a mixture. What was checked is put in
//! force without anything that can fail, so that several sources change together or not at all.

use std::sync::{Arc, PoisonError, RwLock};

use super::SourceConfig;
use super::listener::Admission;
use crate::counters::MappedFields;
use crate::normalise::{Normaliser, SourceSecret};
use crate::{CollectError, Counters, PseudonymKey};

/// How lines are read, and where it is counted what came of their mapped fields.
pub(super) struct Reading {
    pub(super) normaliser: Arc<Normaliser>,
    /// What a request has to carry, where not its lines do.
    pub(super) secret: Option<SourceSecret>,
    pub(super) fields: MappedFields,
}

/// What is made of the settings of lines before anything counts them.
pub(super) struct Lines {
    pub(super) normaliser: Normaliser,
    pub(super) secret: Option<SourceSecret>,
}

/// What is in force now.
pub(super) struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    pub(super) fn new(first: T) -> Self {
        Current(RwLock::new(Arc::new(first)))
    }

    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, next: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

impl Reading {
    pub(super) fn new(lines: Lines, counters: &Counters) -> Reading {
        let Lines { normaliser, secret } = lines;
        let fields = counters.of_fields(normaliser.mapped_fields());
        Reading { normaliser: Arc::new(normaliser), secret, fields }
    }

    /// The same with this secret.
    pub(super) fn with_secret(&self, secret: SourceSecret) -> Reading {
        let (normaliser, fields) = (Arc::clone(&self.normaliser), self.fields.clone());
        Reading { normaliser, secret: Some(secret), fields }
    }
}

/// Gives a source other settings while it runs.
#[derive(Clone)]
pub struct SourceControl {
    pub(super) reading: Arc<Current<Reading>>,
    /// Of a source that listens.
    pub(super) admission: Option<Arc<Current<Admission>>>,
    pub(super) counters: Arc<Counters>,
}

/// Settings that were checked, of a source that does not have them yet.
pub struct NewSettings {
    control: SourceControl,
    lines: Lines,
    admission: Option<Admission>,
}

impl SourceControl {
    /// Checks settings, and reads the file with the secret, also where it is the same one as before: it may hold another. So may the
    /// key's. Nothing changes yet. What [`SourceConfig::take_over`] leaves alone is not looked at.
    pub fn prepare(&self, config: &SourceConfig, key: PseudonymKey) -> Result<NewSettings, CollectError> {
        config.validate()?;
        let lines = config.lines(key)?;
        Ok(NewSettings { control: self.clone(), lines, admission: config.admission() })
    }
}

impl NewSettings {
    /// From here on lines are read and connections let in by these. Connections that are open stay.
    pub fn put_in_force(self) {
        let NewSettings { control, lines, admission } = self;
        control.reading.set(Reading::new(lines, &control.counters));
        if let (Some(current), Some(next)) = (&control.admission, admission) {
            current.set(next);
        }
    }
}
