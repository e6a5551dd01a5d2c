//! What the gateway holds of ours that the platform has never heard of, as actions of its own (decision 19). Pure.
//!
//! A platform that was restored from a backup knows nothing of what it ordered since. Were that taken for orphans, its first
//! word would let everybody in again who was blocked since the backup. So a plugin that names an action which the platform
//! neither wants nor releases nor has ended speaks for that action until the end that its tags tell, under the guard
//! rails and with the platform's own actions of the scope, as any other. `docs/decisions/005-unknown-actions.md` has why.
//!
//! Only what stands as we write it is adopted: in its place, with its id, switched on. So a person at the gateway ends it by
//! switching it off or deleting it, and one at the platform by ordering the same for as long or longer, which takes it
//! over.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{ActionId, ActionKind, ActionScope, DesiredAction, DesiredState};
use serde_json::Value;

use super::fold::{expires_s, is_over, plugin_id, scope_of};
use super::limits::limits_of;
use super::plan::OwnPlugin;
use super::wire::{Plugin, PluginScope, RATE_LIMITING, REQUEST_TERMINATION};

/// What is said where the plugin's own message cannot be read.
const MESSAGE: &str = "Blocked by policy";

/// The actions that only plugins at the gateway speak for.
///
/// `desired` is the platform's word, `live` those of its actions that are not over.
pub fn adopt<'a>(
    installation: &str,
    actual: impl IntoIterator<Item = &'a Plugin>,
    desired: &DesiredState,
    live: &[DesiredAction],
    now_ms: i64,
) -> Vec<DesiredAction> {
    let named = desired.actions.iter().map(|action| action.id).chain(desired.releasing.iter().copied());
    let known: BTreeSet<ActionId> = named.chain(desired.ended.iter().copied()).collect();
    // The last end that the platform knows of each plugin.
    let mut ends: BTreeMap<(&str, PluginScope), i64> = BTreeMap::new();
    for action in live {
        let end = ends.entry((plugin_of(&action.kind), scope_of(action))).or_insert(i64::MIN);
        *end = (*end).max(end_s(action.expires_ms));
    }
    let mut adopted = Vec::new();
    for plugin in actual {
        let Some(own) = OwnPlugin::of(installation, plugin) else { continue };
        let (Some(scope), Some(kind)) = (own.scope, kind_of(plugin)) else { continue };
        let is_in_place = plugin.enabled && own.id == plugin_id(installation, &plugin.name, &scope);
        // What the platform wants there lasts as long: it speaks for the plugin, and its release ends it.
        let is_taken_over = ends
            .get(&(plugin.name.as_str(), scope.clone()))
            .is_some_and(|end_s_of_known| *end_s_of_known >= end_s(own.expires_ms));
        if !is_in_place || is_taken_over || is_over(own.expires_ms, now_ms) {
            continue;
        }
        adopted.extend(own.actions.difference(&known).map(|id| DesiredAction {
            id: *id,
            workspace: String::new(),
            consumer_id: scope.consumer_id.clone(),
            consumer_name: String::new(),
            scope: action_scope(&scope),
            kind: kind.clone(),
            expires_ms: own.expires_ms,
            // A limit on automatic actions has let it through once, and does not push out what is there.
            by_person: true,
        }));
    }
    adopted
}

/// An end as tags tell it, so that one of ours is not later than itself.
fn end_s(expires_ms: Option<i64>) -> i64 {
    expires_ms.map_or(i64::MAX, expires_s)
}

fn plugin_of(kind: &ActionKind) -> &'static str {
    match kind {
        ActionKind::Block { .. } => REQUEST_TERMINATION,
        ActionKind::RateLimit { .. } => RATE_LIMITING,
    }
}

fn action_scope(scope: &PluginScope) -> ActionScope {
    let name = String::new();
    match (&scope.service_id, &scope.route_id) {
        (_, Some(id)) => ActionScope::Route { id: id.clone(), name },
        (Some(id), None) => ActionScope::Service { id: id.clone(), name },
        (None, None) => ActionScope::Consumer,
    }
}

/// What a plugin of ours does; `None` for what we never write.
fn kind_of(plugin: &Plugin) -> Option<ActionKind> {
    let status = |name: &str| plugin.config.get(name)?.as_u64()?.try_into().ok();
    let text = |name: &str| plugin.config.get(name).and_then(Value::as_str);
    match plugin.name.as_str() {
        REQUEST_TERMINATION => {
            let body: Option<Value> = text("body").and_then(|body| serde_json::from_str(body).ok());
            let message = body.as_ref().and_then(|body| body.get("message")?.as_str()).unwrap_or(MESSAGE);
            Some(ActionKind::Block { status: status("status_code")?, message: message.to_owned() })
        }
        RATE_LIMITING => Some(ActionKind::RateLimit {
            limits: limits_of(plugin).ok()?,
            status: status("error_code")?,
            message: text("error_message").unwrap_or(MESSAGE).to_owned(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::kong::fold::fold;
    use crate::gateways::kong::testing::{
        ALICE, BOB, INSTALLATION, SHOP, SHOP_ROUTE, START_MS, block, desired, limit, route_scope, service_scope, stored,
    };
    use crate::gateways::kong::wire::Reference;

    const LATER: Option<i64> = Some(START_MS + 60_400);

    fn adopted(actual: &[Plugin], state: &DesiredState) -> Vec<u64> {
        let adopted = adopt(INSTALLATION, actual, state, &state.actions, START_MS);
        adopted.iter().map(|action| action.id.0).collect()
    }

    fn at_gateway(actions: &[DesiredAction]) -> Vec<Plugin> {
        fold(INSTALLATION, actions, START_MS).iter().map(stored).collect()
    }

    #[test]
    fn what_was_adopted_is_the_plugin_that_is_there() {
        let scoped = |id, scope, action| DesiredAction { id: ActionId(id), scope, ..action };
        let cases = [
            vec![block(1, ALICE, None)],
            vec![block(1, ALICE, LATER), block(2, ALICE, Some(START_MS + 30_000))],
            vec![scoped(1, service_scope(SHOP), block(1, ALICE, LATER))],
            vec![scoped(1, route_scope(SHOP_ROUTE), limit(1, ALICE, LATER, 20))],
            vec![limit(1, ALICE, None, 20), limit(2, ALICE, None, 30), block(3, ALICE, LATER)],
        ];
        for actions in cases {
            let actual = at_gateway(&actions);
            let adopted = adopt(INSTALLATION, &actual, &desired(1, vec![], &[]), &[], START_MS);
            assert_eq!(adopted.len(), actions.len());
            let again = fold(INSTALLATION, &adopted, START_MS);
            assert_eq!(again.len(), actual.len());
            for (wanted, actual) in again.iter().zip(&actual) {
                assert!(super::super::plan::is_as(actual, wanted), "{actual:?} is not {wanted:?}");
            }
        }
    }

    #[test]
    fn what_the_platform_ever_spoke_of_is_not_adopted() {
        let there = at_gateway(&[block(1, ALICE, LATER)]);
        let knows = |actions, releasing: &[u64], ended: &[u64]| {
            let ended = ended.iter().map(|id| ActionId(*id)).collect();
            DesiredState { ended, ..desired(1, actions, releasing) }
        };
        let (longer, shorter) = (Some(START_MS + 61_000), Some(START_MS + 60_000));
        type Case<'a> = (&'a str, DesiredState, &'a [u64]);
        let cases: [Case<'_>; 10] = [
            ("never heard of", knows(vec![], &[], &[]), &[1]),
            ("wanted", knows(vec![block(1, ALICE, LATER)], &[], &[]), &[]),
            ("to be released", knows(vec![], &[1], &[]), &[]),
            ("ended", knows(vec![], &[], &[1]), &[]),
            ("others spoken of", knows(vec![block(2, BOB, LATER)], &[3], &[4]), &[1]),
            ("another there that ends sooner", knows(vec![block(2, ALICE, shorter)], &[], &[]), &[1]),
            ("another there that ends with it", knows(vec![block(2, ALICE, LATER)], &[], &[]), &[]),
            ("another there that ends later", knows(vec![block(2, ALICE, longer)], &[], &[]), &[]),
            ("another there for good", knows(vec![block(2, ALICE, None)], &[], &[]), &[]),
            ("a limit there for good", knows(vec![limit(2, ALICE, None, 9)], &[], &[]), &[1]),
        ];
        for (name, state, expected) in cases {
            assert_eq!(adopted(&there, &state), expected, "{name}");
        }
    }

    #[test]
    fn only_what_stands_as_we_write_it_is_adopted() {
        type Change = fn(&mut Plugin);
        let cases: &[(&str, Change)] = &[
            ("over", |plugin| plugin.tags.retain(|tag| !tag.starts_with("expires:"))),
            ("switched off", |plugin| plugin.enabled = false),
            ("moved", |plugin| plugin.consumer = Some(Reference { id: BOB.to_owned() })),
            ("copied", |plugin| plugin.id = "0fe70000-0000-4000-8000-000000000001".to_owned()),
            ("for everybody", |plugin| plugin.consumer = None),
            ("of another kind", |plugin| plugin.name = "acl".to_owned()),
            ("without an action", |plugin| plugin.tags.retain(|tag| !tag.starts_with("action:"))),
            ("another installation's", |plugin| plugin.tags[1] = "outrider:homestead".to_owned()),
            ("without a status", |plugin| plugin.config = serde_json::json!({})),
        ];
        for (name, change) in cases {
            let mut plugin = at_gateway(&[block(1, ALICE, LATER)]).remove(0);
            assert_eq!(adopted(&[plugin.clone()], &desired(1, vec![], &[])), [1]);
            change(&mut plugin);
            if *name == "over" {
                plugin.tags.push(format!("expires:{}", START_MS / 1000));
            }
            assert_eq!(adopted(&[plugin], &desired(1, vec![], &[])), [0; 0], "{name}");
        }
    }
}
