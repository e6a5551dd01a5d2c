//! From actions to plugins (decision 17). Pure.
//!
//! Kong holds at most one Request Termination and one Rate Limiting per scope, so each is the fold of the scope's active
//! blocks or limits: it lasts as long as the longest of them and says what that one says, and a limit is the lowest of
//! them. Which actions may act at all is [`super::guard`]'s decision, what limits of others a limit has to keep is
//! [`super::limits`]', what has to change at the gateway is [`super::plan`]'s.

use std::collections::BTreeMap;

use outrider_model::{ActionId, ActionKind, ActionScope, DesiredAction, OWN_REFUSAL_PARAMETER, RateLimits};
use uuid::Uuid;

use super::wire::{PluginConfig, PluginScope, PluginWrite, RateLimitConfig, Reference, TerminationConfig};

/// The tag of everything that any outrider wrote.
pub const TAG: &str = "outrider";

/// Actions that one plugin names in its tags; those with the latest end come first. The others are held by it all the
/// same, they are only not named at the gateway.
pub const ACTION_TAGS_MAX: usize = 32;

/// The name space of our plugins' ids (a random UUID, part of the format).
const PLUGIN_IDS: Uuid = Uuid::from_u128(0x5d0f_2c0a_7b1e_4d35_9c55_0d1e_62c7_a4b8);

/// The tag of what one installation owns (decision 19).
pub fn installation_tag(installation: &str) -> String {
    format!("{TAG}:{installation}")
}

/// The tag that names an action.
pub fn action_tag(action: ActionId) -> String {
    format!("action:{action}")
}

/// A plugin as it should be at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredPlugin {
    /// Its id: a UUID v5 of installation, plugin name and scope, so that writing it a second time finds the first.
    pub id: String,
    /// Its instance name, as unique as the id.
    pub instance_name: String,
    /// Where it is.
    pub scope: PluginScope,
    /// What it does and says to the client.
    pub config: PluginConfig,
    /// Its tags, in a fixed order.
    pub tags: Vec<String>,
    /// The actions that it is the fold of, by id.
    pub actions: Vec<ActionId>,
    /// When the last of them ends; `None` for never.
    pub expires_ms: Option<i64>,
}

impl DesiredPlugin {
    /// Kong's name of the plugin.
    pub fn name(&self) -> &'static str {
        self.config.plugin_name()
    }

    /// The plugin as it is written; with the id inside for creation.
    pub fn to_write(&self, with_id: bool) -> PluginWrite {
        let reference = |id: &String| Reference { id: id.clone() };
        PluginWrite {
            id: with_id.then(|| self.id.clone()),
            name: self.name(),
            instance_name: self.instance_name.clone(),
            consumer: reference(&self.scope.consumer_id),
            service: self.scope.service_id.as_ref().map(reference),
            route: self.scope.route_id.as_ref().map(reference),
            tags: self.tags.clone(),
            config: self.config.clone(),
        }
    }
}

/// Where an action acts. Kong shows ids in lower case, however they were written.
pub fn scope_of(action: &DesiredAction) -> PluginScope {
    let (service_id, route_id) = match &action.scope {
        ActionScope::Consumer => (None, None),
        ActionScope::Service { id, .. } => (Some(id.to_ascii_lowercase()), None),
        ActionScope::Route { id, .. } => (None, Some(id.to_ascii_lowercase())),
    };
    PluginScope { consumer_id: action.consumer_id.to_ascii_lowercase(), service_id, route_id }
}

/// An action is over at its end, not after it.
pub fn is_over(expires_ms: Option<i64>, now_ms: i64) -> bool {
    expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
}

/// An end as a tag tells it, in seconds. Rounded up: a plugin that only its tags speak for must not end before the action
/// does.
pub(super) fn expires_s(expires_ms: i64) -> i64 {
    expires_ms.div_euclid(1000) + i64::from(expires_ms.rem_euclid(1000) != 0)
}

/// The plugins that these actions are at a time: blocks, then limits, each by scope. The same actions in any order give the same plugins.
pub fn fold<'a>(
    installation: &str,
    actions: impl IntoIterator<Item = &'a DesiredAction>,
    now_ms: i64,
) -> Vec<DesiredPlugin> {
    let mut scopes: BTreeMap<(bool, PluginScope), Vec<&DesiredAction>> = BTreeMap::new();
    for action in actions {
        if !is_over(action.expires_ms, now_ms) {
            let is_limit = matches!(action.kind, ActionKind::RateLimit { .. });
            scopes.entry((is_limit, scope_of(action))).or_default().push(action);
        }
    }
    scopes.into_iter().filter_map(|((_, scope), actions)| fold_scope(installation, scope, actions)).collect()
}

fn fold_scope(installation: &str, scope: PluginScope, mut actions: Vec<&DesiredAction>) -> Option<DesiredPlugin> {
    // The strongest first: permanent before any end, then the latest end, then the smaller id.
    actions.sort_by_key(|action| (std::cmp::Reverse(action.expires_ms.unwrap_or(i64::MAX)), action.id));
    actions.dedup_by_key(|action| action.id);
    let strongest = *actions.first()?;
    let config = config_of(installation, strongest, &actions);
    let id = plugin_id(installation, config.plugin_name(), &scope);

    let mut tags = vec![TAG.to_owned(), installation_tag(installation)];
    tags.extend(actions.iter().take(ACTION_TAGS_MAX).map(|action| action_tag(action.id)));
    if let Some(expires_ms) = strongest.expires_ms {
        tags.push(format!("expires:{}", expires_s(expires_ms)));
    }
    let mut ids: Vec<ActionId> = actions.iter().map(|action| action.id).collect();
    ids.sort_unstable();
    Some(DesiredPlugin {
        instance_name: format!("{TAG}-{id}"),
        id,
        scope,
        config,
        tags,
        actions: ids,
        expires_ms: strongest.expires_ms,
    })
}

/// What the strongest of a scope's actions says, with the lowest limits of all.
fn config_of(installation: &str, strongest: &DesiredAction, actions: &[&DesiredAction]) -> PluginConfig {
    match &strongest.kind {
        ActionKind::Block { status, message } => PluginConfig::Termination(TerminationConfig {
            status_code: *status,
            body: serde_json::json!({ "message": message }).to_string(),
            content_type: format!("application/json; charset=utf-8; {OWN_REFUSAL_PARAMETER}=\"{installation}\""),
        }),
        ActionKind::RateLimit { limits, status, message } => {
            let lowest = |lowest: RateLimits, action: &&DesiredAction| match &action.kind {
                ActionKind::RateLimit { limits, .. } => lowest.lowest(limits),
                ActionKind::Block { .. } => lowest,
            };
            PluginConfig::RateLimit(RateLimitConfig {
                limits: actions.iter().fold(*limits, lowest),
                limit_by: "consumer",
                policy: "local",
                fault_tolerant: true,
                hide_client_headers: false,
                error_code: *status,
                error_message: message.clone(),
            })
        }
    }
}

/// The id of an installation's plugin of a name in a scope.
pub fn plugin_id(installation: &str, plugin_name: &str, scope: &PluginScope) -> String {
    let mut name = Vec::new();
    let parts = [
        Some(installation),
        Some(plugin_name),
        Some(scope.consumer_id.as_str()),
        scope.service_id.as_deref(),
        scope.route_id.as_deref(),
    ];
    for part in parts {
        let part = part.unwrap_or_default();
        name.extend_from_slice(&(part.len() as u64).to_le_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&PLUGIN_IDS, &name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::kong::testing::{ALICE, block, service_scope};

    const NOW_MS: i64 = 1_800_000_000_000;

    fn expiring(id: u64, seconds: i64, message: &str) -> DesiredAction {
        let mut action = block(id, ALICE, Some(NOW_MS + seconds * 1000));
        action.kind = ActionKind::Block { status: 403, message: message.to_owned() };
        action
    }

    #[test]
    fn the_plugin_of_a_scope_is_its_strongest_action() {
        let permanent = DesiredAction { expires_ms: None, ..expiring(7, 0, "for good") };
        let cases: &[(&str, Vec<DesiredAction>, &[&str])] = &[
            ("nothing", vec![], &[]),
            ("one", vec![expiring(1, 60, "a")], &["a expires:1800000060"]),
            ("the latest end", vec![expiring(1, 60, "a"), expiring(2, 90, "b")], &["b expires:1800000090"]),
            ("permanent", vec![expiring(1, 60, "a"), permanent], &["for good -"]),
            ("a tie", vec![expiring(9, 60, "nine"), expiring(3, 60, "three")], &["three expires:1800000060"]),
            ("over", vec![expiring(1, 0, "a"), expiring(2, -5, "b")], &[]),
            ("one over", vec![expiring(1, 0, "a"), expiring(2, 5, "b")], &["b expires:1800000005"]),
        ];
        for (name, actions, expected) in cases {
            let mut reversed = actions.clone();
            reversed.reverse();
            let plugins = fold("home", actions, NOW_MS);
            assert_eq!(plugins, fold("home", &reversed, NOW_MS), "{name}: order");
            let shown: Vec<String> = plugins
                .iter()
                .map(|plugin| {
                    let PluginConfig::Termination(config) = &plugin.config else { panic!("{plugin:?}") };
                    let body: serde_json::Value = serde_json::from_str(&config.body).unwrap();
                    let expires = plugin.tags.iter().find(|tag| tag.starts_with("expires:"));
                    format!("{} {}", body["message"].as_str().unwrap(), expires.map_or("-", String::as_str))
                })
                .collect();
            assert_eq!(&shown, expected, "{name}");
        }
    }

    #[test]
    fn the_limit_of_a_scope_is_the_lowest_of_its_actions_and_beside_its_block() {
        let limits = |second, minute| RateLimits { second, minute, ..RateLimits::default() };
        let limited = |id, seconds, limits, message: &str| DesiredAction {
            kind: ActionKind::RateLimit { limits, status: 429, message: message.to_owned() },
            ..expiring(id, seconds, "")
        };
        let longest = limited(1, 90, limits(None, Some(50)), "longest");
        let lowest = limited(2, 60, limits(Some(5), Some(40)), "lowest");
        let over = limited(3, 0, limits(Some(1), None), "over");
        let plugins = fold("home", &[lowest, over, expiring(4, 30, "blocked"), longest], NOW_MS);
        let names: Vec<_> = plugins.iter().map(|plugin| (plugin.name(), plugin.expires_ms)).collect();
        let expected = [("request-termination", NOW_MS + 30_000), ("rate-limiting", NOW_MS + 90_000)];
        assert_eq!(names, expected.map(|(name, end_ms)| (name, Some(end_ms))));
        assert_ne!(plugins[0].id, plugins[1].id);
        let written = serde_json::to_value(plugins[1].to_write(false)).unwrap();
        assert_eq!(
            written,
            serde_json::json!({
                "name": "rate-limiting",
                "instance_name": format!("outrider-{}", plugins[1].id),
                "consumer": {"id": ALICE},
                "tags": [
                    "outrider", "outrider:home", "action:ac_0000000000000001", "action:ac_0000000000000002",
                    "expires:1800000090",
                ],
                "config": {
                    "second": 5, "minute": 40, "limit_by": "consumer", "policy": "local", "fault_tolerant": true,
                    "hide_client_headers": false, "error_code": 429, "error_message": "longest",
                },
            })
        );
    }

    #[test]
    fn each_scope_is_a_plugin_of_its_own() {
        let mut at_service = expiring(2, 60, "b");
        at_service.scope = service_scope("5e000000-0000-4000-8000-000000000001");
        let plugins = fold("home", &[expiring(1, 60, "a"), at_service], NOW_MS);
        assert_eq!(plugins.len(), 2);
        assert_ne!(plugins[0].id, plugins[1].id);
        assert_ne!(plugins[0].instance_name, plugins[1].instance_name);
    }

    #[test]
    fn the_written_form_is_part_of_the_format() {
        let mut action = expiring(1, 60, "no \"quotes\"\nplease");
        action.expires_ms = Some(NOW_MS + 1);
        let plugin = &fold("home", &[action], NOW_MS)[0];
        let written = serde_json::to_value(plugin.to_write(true)).unwrap();
        assert_eq!(
            written,
            serde_json::json!({
                "id": "5c82fd15-0f32-53ae-92eb-6510069e7632",
                "name": "request-termination",
                "instance_name": "outrider-5c82fd15-0f32-53ae-92eb-6510069e7632",
                "consumer": {"id": ALICE},
                "tags": ["outrider", "outrider:home", "action:ac_0000000000000001", "expires:1800000001"],
                "config": {
                    "status_code": 403,
                    "body": "{\"message\":\"no \\\"quotes\\\"\\nplease\"}",
                    "content_type": "application/json; charset=utf-8; outrider=\"home\"",
                },
            })
        );
    }

    #[test]
    fn a_plugin_names_a_limited_number_of_actions() {
        let actions: Vec<_> = (0..100).map(|n| expiring(n, 60 + n as i64, "a")).collect();
        let plugin = &fold("home", &actions, NOW_MS)[0];
        assert_eq!(plugin.tags.len(), ACTION_TAGS_MAX + 3);
        assert_eq!(plugin.tags[2], "action:ac_0000000000000063", "the longest is named first");
        assert_eq!(plugin.actions.len(), 100);
    }
}
