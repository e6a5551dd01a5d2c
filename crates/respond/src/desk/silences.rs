//! What stays silent for a while because a person called the same a false positive.

use std::collections::BTreeMap;

use outrider_model::{Alert, EndpointId, Finding};
use serde::{Deserialize, Serialize};

/// Silences held at once; at the limit the one that ends first goes.
pub(super) const SILENCES_MAX: usize = 10_000;

/// An alert lists at most this many endpoints; with more, everything of its entity and detector stays silent.
const ENDPOINTS_MAX: usize = 20;

/// What is silent: a detector and an entity, at one endpoint or at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct SilenceKey {
    detector: String,
    entity: u64,
    endpoint: Option<EndpointId>,
}

/// The silences and when each ends.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Silences {
    until_ms: BTreeMap<SilenceKey, i64>,
}

impl Silences {
    pub(super) fn from_rows(rows: Vec<(SilenceKey, i64)>) -> Self {
        Silences { until_ms: rows.into_iter().collect() }
    }

    pub(super) fn rows(&self) -> Vec<(SilenceKey, i64)> {
        self.until_ms.iter().map(|(key, until)| (key.clone(), *until)).collect()
    }

    /// Whether a finding stays silent.
    pub(super) fn covers(&self, finding: &Finding) -> bool {
        if self.until_ms.is_empty() {
            return false;
        }
        let key = |endpoint| SilenceKey { detector: finding.detector.clone(), entity: finding.entity.key(), endpoint };
        self.until_ms.contains_key(&key(None)) || self.until_ms.contains_key(&key(finding.endpoint))
    }

    /// The keys that silence what an alert was about.
    pub(super) fn keys_of(alert: &Alert) -> Vec<SilenceKey> {
        let key = |endpoint| SilenceKey { detector: alert.detector.clone(), entity: alert.entity.key(), endpoint };
        let about_everything = alert.worst.endpoint.is_none() || alert.endpoints.len() >= ENDPOINTS_MAX;
        if about_everything || alert.endpoints.is_empty() {
            return vec![key(None)];
        }
        alert.endpoints.iter().map(|endpoint| key(Some(*endpoint))).collect()
    }

    /// Adds a silence; returns the one that had to go, if any.
    pub(super) fn add(&mut self, key: SilenceKey, until_ms: i64) -> Option<SilenceKey> {
        self.until_ms.insert(key, until_ms);
        if self.until_ms.len() <= SILENCES_MAX {
            return None;
        }
        let first =
            self.until_ms.iter().min_by_key(|(key, until)| (**until, (*key).clone())).map(|(key, _)| key.clone());
        if let Some(first) = &first {
            self.until_ms.remove(first);
        }
        first
    }

    /// The silences of an entity, by its key.
    pub(super) fn of_entity(&self, entity: u64) -> Vec<SilenceKey> {
        self.until_ms.keys().filter(|key| key.entity == entity).cloned().collect()
    }

    pub(super) fn remove(&mut self, key: &SilenceKey) {
        self.until_ms.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit_the_silence_that_ends_first_goes() {
        let mut silences = Silences::default();
        let key = |entity| SilenceKey { detector: "spike".to_owned(), entity, endpoint: None };
        for number in 0..SILENCES_MAX as u64 {
            assert_eq!(silences.add(key(number), 5000 - i64::from(number == 77)), None);
        }
        assert_eq!(silences.add(key(u64::MAX), 6000), Some(key(77)));
        assert_eq!(silences.until_ms.len(), SILENCES_MAX);
    }
}
