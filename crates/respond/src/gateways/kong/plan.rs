//! From plugins as they should be and as they are to what has to change. Pure.
//!
//! Ours is what carries both `outrider` and `outrider:<installation>` (decision 19); everything else does not exist
//! here, even where it has the id or the scope of ours: creation then fails at the gateway, which says whose it is.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{ActionId, RateLimits};
use serde_json::Value;

use super::fold::{DesiredPlugin, TAG, installation_tag};
use super::wire::{Plugin, PluginConfig, PluginScope, RateLimitConfig, TerminationConfig};

/// What has to happen, in the order of the fields. Each list's changes are independent of each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Own plugins that stand in the way of a write: they hold its id or its scope. Somebody moved them.
    pub clear: Vec<OwnPlugin>,
    /// Plugins to create.
    pub create: Vec<DesiredPlugin>,
    /// Own plugins to write anew, because they are not as they should be.
    pub replace: Vec<DesiredPlugin>,
    /// Own plugins to delete, because nothing speaks for them any more.
    pub delete: Vec<OwnPlugin>,
    /// Plugins that are as they should be.
    pub in_place: Vec<DesiredPlugin>,
    /// Own plugins that only their tags speak for; they stay until they are over or the platform speaks.
    pub adopted: Vec<OwnPlugin>,
}

impl Plan {
    /// Nothing has to change.
    pub fn is_done(&self) -> bool {
        self.clear.is_empty() && self.create.is_empty() && self.replace.is_empty() && self.delete.is_empty()
    }
}

/// A plugin of ours, as its tags tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPlugin {
    /// Its id at the gateway.
    pub id: String,
    /// Where it is; `None` where somebody moved it to a scope that we never write.
    pub scope: Option<PluginScope>,
    /// The actions that it names.
    pub actions: BTreeSet<ActionId>,
    /// When it is over, in milliseconds; `None` for never.
    pub expires_ms: Option<i64>,
}

impl OwnPlugin {
    /// What a plugin's tags tell, or `None` where it is not this installation's.
    pub fn of(installation: &str, plugin: &Plugin) -> Option<Self> {
        is_own(installation, plugin).then(|| OwnPlugin {
            id: plugin.id.clone(),
            scope: plugin.scope(),
            actions: named_actions(plugin).collect(),
            expires_ms: expiry_of(plugin),
        })
    }
}

/// This installation wrote it, so it may change it. Both tags are needed: one alone may be anybody's idea.
pub fn is_own(installation: &str, plugin: &Plugin) -> bool {
    has_own_tags(installation, &plugin.tags)
}

/// The tags of what this installation wrote.
pub(super) fn has_own_tags(installation: &str, tags: &[String]) -> bool {
    let installation = installation_tag(installation);
    tags.iter().any(|tag| tag == TAG) && tags.contains(&installation)
}

/// The actions that a plugin names.
pub fn named_actions(plugin: &Plugin) -> impl Iterator<Item = ActionId> + '_ {
    plugin.tags.iter().filter_map(|tag| tag.strip_prefix("action:")?.parse().ok())
}

/// When a plugin is over by its tags: the latest `expires:`; never, where there is none or one cannot be read.
fn expiry_of(plugin: &Plugin) -> Option<i64> {
    let mut latest = None;
    for tag in plugin.tags.iter().filter_map(|tag| tag.strip_prefix("expires:")) {
        let seconds: i64 = tag.parse().ok()?;
        latest = latest.max(Some(seconds.saturating_mul(1000)));
    }
    latest
}

/// What has to change at the gateway.
///
/// `desired` is `None` while no platform has spoken and nothing of what it said before is left on this disk: then nothing
/// is created, what is over by its tags is deleted, and the rest is adopted. Once a desired state is known, with what
/// [`super::adopt`] makes of what it has never heard of, a plugin of ours that it does not explain is deleted (invariant 6).
pub fn plan<'a>(
    installation: &str,
    desired: Option<&[DesiredPlugin]>,
    actual: impl IntoIterator<Item = &'a Plugin>,
    now_ms: i64,
) -> Plan {
    let own = actual.into_iter().filter_map(|plugin| Some((plugin, OwnPlugin::of(installation, plugin)?)));
    let mut plan = Plan::default();
    let Some(desired) = desired else {
        for (_, own) in own {
            let over = super::fold::is_over(own.expires_ms, now_ms);
            if over { plan.delete.push(own) } else { plan.adopted.push(own) }
        }
        return plan;
    };
    let by_id: BTreeMap<&str, &DesiredPlugin> = desired.iter().map(|plugin| (plugin.id.as_str(), plugin)).collect();
    let places: BTreeSet<(&str, &PluginScope)> = desired.iter().map(|plugin| (plugin.name(), &plugin.scope)).collect();
    let mut there: BTreeMap<String, bool> = BTreeMap::new();
    for (plugin, own) in own {
        match by_id.get(plugin.id.as_str()) {
            Some(wanted) if stands_where(plugin, wanted) => {
                there.insert(own.id, is_as(plugin, wanted));
            }
            Some(_) => plan.clear.push(own),
            None if own.scope.as_ref().is_some_and(|at| places.contains(&(plugin.name.as_str(), at))) => {
                plan.clear.push(own);
            }
            None => plan.delete.push(own),
        }
    }
    for wanted in desired {
        let list = match there.get(&wanted.id) {
            Some(true) => &mut plan.in_place,
            Some(false) => &mut plan.replace,
            None => &mut plan.create,
        };
        list.push(wanted.clone());
    }
    plan
}

/// A plugin that is only written anew, not moved: moving could meet another plugin in the new scope.
fn stands_where(plugin: &Plugin, wanted: &DesiredPlugin) -> bool {
    plugin.name == wanted.name() && plugin.scope().as_ref() == Some(&wanted.scope)
}

/// True if the gateway holds exactly what we want. Fields that we never write must not have been set by somebody else
/// either: a `trigger` would let calls through.
pub fn is_as(plugin: &Plugin, wanted: &DesiredPlugin) -> bool {
    let tags: BTreeSet<&String> = plugin.tags.iter().collect();
    let covers = |protocol: &str| plugin.protocols.is_empty() || plugin.protocols.iter().any(|one| one == protocol);
    stands_where(plugin, wanted)
        && plugin.enabled
        && plugin.instance_name.as_deref() == Some(&wanted.instance_name)
        && tags == wanted.tags.iter().collect()
        && match &wanted.config {
            PluginConfig::Termination(wanted) => terminates_as(&plugin.config, wanted),
            PluginConfig::RateLimit(wanted) => limits_as(&plugin.config, wanted),
        }
        && covers("http")
        && covers("https")
}

fn terminates_as(config: &Value, wanted: &TerminationConfig) -> bool {
    let given = |name: &str| config.get(name).filter(|value| !value.is_null());
    given("status_code").and_then(Value::as_u64) == Some(wanted.status_code.into())
        && given("body").and_then(Value::as_str) == Some(&wanted.body)
        && given("content_type").and_then(Value::as_str) == Some(&wanted.content_type)
        && given("message").is_none()
        && given("trigger").is_none()
        && given("echo").and_then(Value::as_bool) != Some(true)
}

fn limits_as(config: &Value, wanted: &RateLimitConfig) -> bool {
    let number = |name: &str| config.get(name).and_then(Value::as_f64);
    let text = |name: &str| config.get(name).and_then(Value::as_str);
    let flag = |name: &str| config.get(name).and_then(Value::as_bool);
    RateLimits::WINDOWS
        .into_iter()
        .zip(wanted.limits.values())
        .all(|(name, limit)| number(name) == limit.map(f64::from))
        && text("limit_by") == Some(wanted.limit_by)
        && text("policy") == Some(wanted.policy)
        && flag("fault_tolerant") == Some(wanted.fault_tolerant)
        && flag("hide_client_headers") == Some(wanted.hide_client_headers)
        && number("error_code") == Some(wanted.error_code.into())
        && text("error_message") == Some(&wanted.error_message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateways::kong::fold::fold;
    use crate::gateways::kong::testing::{ALICE, BOB, INSTALLATION, SHOP, START_MS, block, foreign, limit, stored};
    use crate::gateways::kong::wire::Reference;

    fn wanted(id: u64, consumer: &str, expires_ms: Option<i64>) -> DesiredPlugin {
        fold(INSTALLATION, &[block(id, consumer, expires_ms)], START_MS).remove(0)
    }

    fn tagged(plugin: &DesiredPlugin, tags: &[&str]) -> Plugin {
        Plugin { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..stored(plugin) }
    }

    /// What a plan does, as short texts.
    fn show(plan: &Plan) -> Vec<&'static str> {
        let mut shown = Vec::new();
        shown.extend(plan.clear.iter().map(|_| "clear"));
        shown.extend(plan.create.iter().map(|_| "create"));
        shown.extend(plan.replace.iter().map(|_| "replace"));
        shown.extend(plan.delete.iter().map(|_| "delete"));
        shown.extend(plan.in_place.iter().map(|_| "in place"));
        shown.extend(plan.adopted.iter().map(|_| "adopt"));
        shown
    }

    #[test]
    fn what_changes() {
        let alice = wanted(1, ALICE, None);
        let longer = wanted(1, ALICE, Some(START_MS + 60_000));
        let bob = wanted(2, BOB, None);
        let copy = Plugin { id: "0fe70000-0000-4000-8000-000000000001".to_owned(), ..stored(&alice) };
        let moved = Plugin { consumer: Some(Reference { id: BOB.to_owned() }), ..stored(&alice) };
        let narrowed = Plugin { service: Some(Reference { id: SHOP.to_owned() }), ..stored(&alice) };
        let other_kind = Plugin { name: "rate-limiting".to_owned(), ..copy.clone() };
        type Case<'a> = (&'a str, &'a [&'a DesiredPlugin], Vec<Plugin>, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            ("nothing", &[], vec![], &[]),
            ("new", &[&alice], vec![], &["create"]),
            ("there", &[&alice], vec![stored(&alice)], &["in place"]),
            ("another end", &[&longer], vec![stored(&alice)], &["replace"]),
            ("over", &[], vec![stored(&alice)], &["delete"]),
            ("one of two", &[&alice], vec![stored(&alice), stored(&bob)], &["delete", "in place"]),
            ("ours with another id on the scope", &[&alice], vec![copy.clone()], &["clear", "create"]),
            ("both", &[&alice], vec![stored(&alice), copy], &["clear", "in place"]),
            ("ours moved away", &[&alice], vec![moved.clone()], &["clear", "create"]),
            ("ours moved to where another has to be", &[&alice, &bob], vec![moved], &["clear", "create", "create"]),
            ("ours narrowed", &[&alice], vec![narrowed], &["clear", "create"]),
            ("ours of another kind", &[&alice], vec![other_kind], &["create", "delete"]),
            ("foreign on the scope", &[&alice], vec![foreign("f", Some(ALICE), None, None)], &["create"]),
            ("foreign with our id", &[&alice], vec![tagged(&alice, &["x"])], &["create"]),
            ("another installation's", &[], vec![tagged(&alice, &["outrider", "outrider:homestead"])], &[]),
            ("half our tags", &[], vec![tagged(&alice, &["outrider:home"]), tagged(&bob, &["outrider"])], &[]),
        ];
        for (name, desired, actual, expected) in cases {
            let desired: Vec<DesiredPlugin> = desired.iter().map(|plugin| (*plugin).clone()).collect();
            assert_eq!(&show(&plan(INSTALLATION, Some(&desired), actual, START_MS)), expected, "{name}");
        }
    }

    #[test]
    fn without_a_desired_state_the_tags_speak() {
        let plugin = wanted(1, ALICE, None);
        let now_s = START_MS / 1000;
        let cases: &[(&str, String, &str)] = &[
            ("permanent", "x".to_owned(), "adopt"),
            ("later", format!("expires:{}", now_s + 1), "adopt"),
            ("now", format!("expires:{now_s}"), "delete"),
            ("long ago", "expires:1".to_owned(), "delete"),
            ("unreadable", "expires:soon".to_owned(), "adopt"),
            ("beyond any clock", "expires:9223372036854775807".to_owned(), "adopt"),
        ];
        for (name, tag, expected) in cases {
            let plugin = tagged(&plugin, &["outrider", "outrider:home", tag]);
            assert_eq!(show(&plan(INSTALLATION, None, [&plugin], START_MS)), [*expected], "{name}");
        }
        let two = tagged(&plugin, &["outrider", "outrider:home", "expires:1", &format!("expires:{}", now_s + 1)]);
        assert_eq!(show(&plan(INSTALLATION, None, [&two], START_MS)), ["adopt"], "the latest counts");
        let foreign = tagged(&plugin, &["outrider", "expires:1"]);
        assert_eq!(plan(INSTALLATION, None, [&foreign], START_MS), Plan::default(), "foreign");
    }

    #[test]
    fn every_field_of_a_limit_that_matters_is_compared() {
        let wanted = fold(INSTALLATION, &[limit(1, ALICE, None, 30)], START_MS).remove(0);
        let changes = [
            ("minute", json!(31)),
            ("minute", json!(null)),
            ("second", json!(1)),
            ("limit_by", json!("ip")),
            ("policy", json!("redis")),
            ("fault_tolerant", json!(false)),
            ("hide_client_headers", json!(true)),
            ("error_code", json!(403)),
            ("error_message", json!("x")),
        ];
        assert!(is_as(&stored(&wanted), &wanted));
        for (field, value) in changes {
            let mut plugin = stored(&wanted);
            plugin.config[field] = value;
            assert!(!is_as(&plugin, &wanted), "{field}");
        }
    }

    #[test]
    fn every_field_that_matters_is_compared() {
        let wanted = wanted(1, ALICE, None);
        type Change = fn(&mut Plugin);
        let changes: &[(&str, Change)] = &[
            ("name", |plugin| plugin.name = "acl".to_owned()),
            ("enabled", |plugin| plugin.enabled = false),
            ("consumer", |plugin| plugin.consumer = None),
            ("consumer group", |plugin| plugin.consumer_group = Some(Reference { id: "g".to_owned() })),
            ("route", |plugin| plugin.route = Some(Reference { id: "r".to_owned() })),
            ("instance name", |plugin| plugin.instance_name = None),
            ("a tag more", |plugin| plugin.tags.push("x".to_owned())),
            ("a tag less", |plugin| drop(plugin.tags.pop())),
            ("status", |plugin| plugin.config["status_code"] = json!(200)),
            ("body", |plugin| plugin.config["body"] = json!("x")),
            ("content type", |plugin| plugin.config["content_type"] = json!("text/plain")),
            ("message", |plugin| plugin.config["message"] = json!("x")),
            ("trigger", |plugin| plugin.config["trigger"] = json!("x")),
            ("echo", |plugin| plugin.config["echo"] = json!(true)),
            ("protocols", |plugin| plugin.protocols = vec!["http".to_owned()]),
            ("no config", |plugin| plugin.config = json!(null)),
        ];
        assert!(is_as(&stored(&wanted), &wanted));
        for (name, change) in changes {
            let mut plugin = stored(&wanted);
            change(&mut plugin);
            assert!(!is_as(&plugin, &wanted), "{name}");
        }
        let mut shuffled = stored(&wanted);
        shuffled.tags.reverse();
        assert!(is_as(&shuffled, &wanted), "the order of tags means nothing");
    }
}
