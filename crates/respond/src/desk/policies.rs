//! Which policies there are, who defined them, and which findings each is about.
//!
//! A condition is read against the finding at hand, not against the sum of its alert: an alert whose first finding was
//! severe at one service does not make a policy of another service act on a later mild one.

use std::collections::BTreeMap;

use outrider_model::{ActionScope, Condition, EntityKind, Finding, Fingerprint, Policy, PolicyId, PolicyScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Policies held at once, those of the configuration included.
pub const POLICIES_MAX: usize = 1000;

/// A policy with where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRow {
    /// Its id, derived from its name.
    pub id: PolicyId,
    /// The policy.
    pub policy: Policy,
    /// It is defined in the configuration and cannot be changed by a decision.
    pub from_config: bool,
    /// Log time of its latest change.
    pub changed_ms: i64,
    /// Who changed it last: a person's name, or `configuration`.
    pub changed_by: String,
}

/// All policies, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct PolicyBook {
    pub(super) rows: BTreeMap<String, PolicyRow>,
}

impl PolicyBook {
    pub(super) fn from_rows(rows: Vec<PolicyRow>) -> Self {
        PolicyBook { rows: rows.into_iter().map(|row| (row.policy.name.clone(), row)).collect() }
    }

    /// The policies that are about a finding, by name.
    pub(super) fn matching<'a>(&'a self, finding: &'a Finding) -> impl Iterator<Item = &'a PolicyRow> {
        self.rows.values().filter(|row| row.policy.enabled && matches(&row.policy.when, finding))
    }
}

/// The id of the policy of a name.
pub(super) fn id_of(name: &str) -> PolicyId {
    PolicyId(Fingerprint::of("policy").text(name).finish())
}

/// Whether a condition is about a finding: all given fields must match, an empty list matches everything.
pub(super) fn matches(when: &Condition, finding: &Finding) -> bool {
    let any = |list: &[String], names: &[&str]| {
        list.is_empty() || list.iter().any(|entry| names.iter().any(|name| !name.is_empty() && entry == name))
    };
    let endpoint_id = finding.endpoint.map(|id| id.to_string()).unwrap_or_default();
    when.severity_min.is_none_or(|least| finding.severity >= least)
        && when.confidence_min.is_none_or(|least| finding.confidence.value() >= least)
        && (!is_of_people(&finding.detector) || !when.detectors.is_empty())
        && any(&when.detectors, &[&finding.detector, kind_of(&finding.detector)])
        && any(&when.services, &[&finding.service_name, &finding.service_id])
        && any(&when.routes, &[&finding.route_name, &finding.route_id])
        && any(&when.endpoints, &[&endpoint_id, &finding.endpoint_name])
        && concerns_consumer(when, finding)
}

/// What a family of detectors is called together: `hunt` of `hunt:stolen-key`.
fn kind_of(detector: &str) -> &str {
    detector.split_once(':').map_or(detector, |(kind, _)| kind)
}

/// Whether it is a detector that people make, such as a hunt, or a check of posture: whoever may save a hunt may not act, and what is weak
/// is nobody's abuse. So only a policy that names it or its family is about what it finds.
pub(super) fn is_of_people(detector: &str) -> bool {
    detector.contains(':')
}

/// The part of a condition about the consumer. A finding about something else has no name to match.
fn concerns_consumer(when: &Condition, finding: &Finding) -> bool {
    if finding.entity.kind != EntityKind::Consumer {
        return when.consumers.is_empty() && when.consumer_tags.is_empty();
    }
    let names = [&finding.entity.label, &finding.entity.value, &finding.consumer_custom_id];
    let has_name = |entry: &String| names.iter().any(|name| !name.is_empty() && *name == entry);
    let has_tag = |tag: &str| finding.consumer_tags.iter().any(|own| own == tag);
    (when.consumers.is_empty() || when.consumers.iter().any(has_name))
        && (when.consumer_tags.is_empty() || when.consumer_tags.iter().any(|tag| has_tag(tag)))
        && !when.except_consumers.iter().any(|entry| has_name(entry) || entry.strip_prefix("tag:").is_some_and(has_tag))
}

/// The scope that a policy means for a finding; an error says why it has none there. A scope is never widened.
pub(super) fn scope_for(scope: PolicyScope, finding: &Finding) -> Result<ActionScope, &'static str> {
    match scope {
        PolicyScope::Consumer => Ok(ActionScope::Consumer),
        PolicyScope::Service if finding.service_id.is_empty() => {
            Err("no action: it is for one service, and this did not happen at one service")
        }
        PolicyScope::Service => {
            Ok(ActionScope::Service { id: finding.service_id.clone(), name: finding.service_name.clone() })
        }
        PolicyScope::Route if finding.route_id.is_empty() => {
            Err("no action: it is for one route, and this did not happen at one route")
        }
        PolicyScope::Route => Ok(ActionScope::Route { id: finding.route_id.clone(), name: finding.route_name.clone() }),
    }
}

/// What makes two scopes the same: kind and id. Names may change.
pub(super) fn scope_key(scope: &ActionScope) -> (u8, &str) {
    match scope {
        ActionScope::Consumer => (0, ""),
        ActionScope::Service { id, .. } => (1, id),
        ActionScope::Route { id, .. } => (2, id),
    }
}

/// Whether everything in `narrow` is also in `wide`. `service_id` is the service of a narrow route, empty if unknown.
pub(super) fn scope_covers(wide: &ActionScope, narrow: &ActionScope, service_id: &str) -> bool {
    match (wide, narrow) {
        (ActionScope::Consumer, _) => true,
        (ActionScope::Service { id, .. }, ActionScope::Route { .. }) => !service_id.is_empty() && id == service_id,
        _ => scope_key(wide) == scope_key(narrow),
    }
}
