//! The never-block list, and which consumers of the log are on it.
//!
//! A rule may name a consumer by user name, id, custom id or tag, while a decision or an old action may carry only the
//! id. The desk therefore remembers, from the calls of trusted lines, which consumers a rule names.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::FixedState;
use outrider_model::{EntityKey, Finding};

/// Consumers remembered as protected; at the limit no more are, and the responder's own check on the premises stands.
pub(super) const PROTECTED_MAX: usize = 10_000;

/// The rules, and the consumers known to be under one.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct NeverBlock {
    names: HashSet<String, FixedState>,
    tags: HashSet<String, FixedState>,
    /// Target key of the consumer → the rule that names it.
    protected: BTreeMap<u64, String>,
}

impl NeverBlock {
    pub(super) fn new(rules: &[String], protected: Vec<(u64, String)>) -> Self {
        let tags = rules.iter().filter_map(|rule| rule.strip_prefix("tag:")).map(str::to_owned).collect();
        let names = rules.iter().filter(|rule| !rule.starts_with("tag:")).cloned().collect();
        NeverBlock { names, tags, protected: protected.into_iter().collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.tags.is_empty()
    }

    pub(super) fn protected_rows(&self) -> Vec<(u64, String)> {
        self.protected.iter().map(|(key, rule)| (*key, rule.clone())).collect()
    }

    /// The rule that names a consumer, if one does.
    pub(super) fn rule_of<'a>(&self, names: &[&str], tags: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let by_name = names.iter().find(|name| self.names.contains(**name)).map(|name| (*name).to_owned());
        by_name.or_else(|| tags.into_iter().find(|tag| self.tags.contains(*tag)).map(|tag| format!("tag:{tag}")))
    }

    /// The rule that protects a target, by what it is called, by what is known of it, or by what the log said of it.
    pub(super) fn rule_for(&self, target: &EntityKey, known: Option<&Finding>) -> Option<String> {
        let mut names = vec![target.value.as_str(), target.label.as_str()];
        let mut tags: &[String] = &[];
        if let Some(finding) = known {
            names.extend([finding.entity.label.as_str(), finding.consumer_custom_id.as_str()]);
            tags = &finding.consumer_tags;
        }
        self.rule_of(&names, tags.iter().map(String::as_str))
            .or_else(|| self.protected.get(&target.target_key()).cloned())
    }

    /// Remembers, or forgets, what the log says of a consumer. False where it had to be left out.
    pub(super) fn learn(&mut self, key: u64, rule: Option<String>) -> bool {
        match rule {
            Some(rule) if self.protected.len() < PROTECTED_MAX || self.protected.contains_key(&key) => {
                self.protected.insert(key, rule);
                true
            }
            Some(_) => false,
            None => {
                if !self.protected.is_empty() {
                    self.protected.remove(&key);
                }
                true
            }
        }
    }
}
