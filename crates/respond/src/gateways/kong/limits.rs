//! A rate limit of ours never lets more through than what it replaces (decision 18). Pure.
//!
//! Kong runs one configuration per plugin, the most specific, so a limit of ours on a consumer takes the place of an
//! operator's less specific one: theirs of 10 calls a minute for everybody would be gone for a consumer that we limit to
//! 30. Before a limit is written, it is judged for every place in its scope which plugin wins there now. Where ours will
//! win, it takes theirs in: the lowest of both for each window, and how theirs counts. Where theirs cannot be taken in
//! (it counts by something else than the consumer, or in a Redis whose password is not ours to copy), ours is not
//! written. Where theirs is more specific, it goes on winning; [`super::coverage`] lists it.
//!
//! Judged for each place alone. A limit of ours on a service or route counts for itself, as any plugin of Kong does: calls
//! there no longer count into a wider limit of the operator's, which goes on elsewhere. Other plugins that limit, such as
//! `rate-limiting-advanced`, have another name and run beside ours, so nothing of them is replaced.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::RateLimits;
use serde_json::Value;

use super::coverage::{FOREIGN_PLUGINS_MAX, Survey, route_of, service_of};
use super::fold::DesiredPlugin;
use super::wire::{Plugin, PluginConfig, PluginScope, RATE_LIMITING, RateLimitConfig};

/// What became of limits.
#[derive(Debug, Default, PartialEq)]
pub struct Judged {
    /// As they are to be written.
    pub allowed: Vec<DesiredPlugin>,
    /// They would let more through than before, and why.
    pub refused: Vec<(DesiredPlugin, String)>,
}

/// Judges our limits against others' and each other.
pub fn judge(survey: &Survey, mut limits: Vec<DesiredPlugin>) -> Judged {
    // A narrower limit of ours replaces a wider one of ours too, so the wider is settled first.
    limits.sort_by_key(|limit| (limit.scope.consumer_id.clone(), width(&limit.scope)));
    let mut judged = Judged::default();
    for chunk in limits.chunk_by(|one, other| one.scope.consumer_id == other.scope.consumer_id) {
        let theirs = Theirs::of(survey, &chunk[0].scope.consumer_id);
        let settled_from = judged.allowed.len();
        for limit in chunk {
            match take_in(survey, &theirs, &judged.allowed[settled_from..], limit) {
                Ok(limit) => judged.allowed.push(limit),
                Err(why) => judged.refused.push((limit.clone(), why)),
            }
        }
    }
    judged
}

fn width(scope: &PluginScope) -> u8 {
    u8::from(scope.service_id.is_some()) + 2 * u8::from(scope.route_id.is_some())
}

/// A limit with everything taken in that it replaces, or why that cannot be.
fn take_in(
    survey: &Survey,
    theirs: &Theirs<'_>,
    wider: &[DesiredPlugin],
    limit: &DesiredPlugin,
) -> Result<DesiredPlugin, String> {
    if survey.left_out > 0 {
        return Err(format!("there are more than {FOREIGN_PLUGINS_MAX} plugins of others, so not all could be judged"));
    }
    if let Some(group) = theirs.of_group {
        return Err(format!("{} {} is for a consumer group, whose members are not known", group.name, group.id));
    }
    let mut taken = limit.clone();
    let PluginConfig::RateLimit(config) = &mut taken.config else { return Ok(taken) };
    for plugin in theirs.replaced_by(survey, &limit.scope) {
        take_theirs(config, plugin)
            .map_err(|why| format!("{}: {} {} {why}", survey.place(plugin), plugin.name, plugin.id))?;
    }
    for own in wider.iter().filter(|own| lies_in(survey, &limit.scope, &own.scope)) {
        if let PluginConfig::RateLimit(own) = &own.config {
            config.limits = config.limits.lowest(&own.limits);
            config.policy = if own.policy == "cluster" { "cluster" } else { config.policy };
            config.fault_tolerant &= own.fault_tolerant;
            config.hide_client_headers |= own.hide_client_headers;
        }
    }
    Ok(taken)
}

/// Whether one of these limits lies in another can only be said by who knows which route is of which service.
pub fn need_places<'a>(limits: impl IntoIterator<Item = &'a DesiredPlugin>) -> bool {
    let mut of_consumers: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for limit in limits.into_iter().filter(|limit| limit.name() == RATE_LIMITING) {
        let (on_service, on_route) = of_consumers.entry(limit.scope.consumer_id.as_str()).or_default();
        *on_service |= limit.scope.service_id.is_some();
        *on_route |= limit.scope.route_id.is_some();
    }
    of_consumers.values().any(|(on_service, on_route)| *on_service && *on_route)
}

/// A narrower scope of the same consumer is inside a wider one, or may be.
fn lies_in(survey: &Survey, narrow: &PluginScope, wide: &PluginScope) -> bool {
    match (&wide.service_id, &narrow.route_id) {
        (None, _) => wide.route_id.is_none(),
        (Some(service), Some(route)) => survey.is_route_of(route, None, service),
        (Some(_), None) => false,
    }
}

fn take_theirs(config: &mut RateLimitConfig, plugin: &Plugin) -> Result<(), String> {
    let text = |name: &str, otherwise: &'static str| match plugin.config.get(name) {
        None | Some(Value::Null) => otherwise.to_owned(),
        Some(value) => value.as_str().unwrap_or_default().to_owned(),
    };
    let limit_by = text("limit_by", "consumer");
    if limit_by != "consumer" && limit_by != "credential" {
        return Err(format!("counts calls by `{limit_by}`, which a limit on a consumer cannot"));
    }
    match text("policy", "local").as_str() {
        "local" => {}
        "cluster" => config.policy = "cluster",
        "redis" => return Err("counts in Redis, whose password is not copied".to_owned()),
        other => return Err(format!("counts with policy `{other}`, which is not known")),
    }
    config.limits = config.limits.lowest(&limits_of(plugin)?);
    let flag = |name: &str| plugin.config.get(name).and_then(Value::as_bool);
    config.fault_tolerant &= flag("fault_tolerant") != Some(false);
    config.hide_client_headers |= flag("hide_client_headers") == Some(true);
    Ok(())
}

/// A plugin's limits. Kong takes fractions: 2.5 let 3 calls through.
pub(super) fn limits_of(plugin: &Plugin) -> Result<RateLimits, String> {
    let mut limits = [None; 6];
    for (limit, window) in limits.iter_mut().zip(RateLimits::WINDOWS) {
        match plugin.config.get(window) {
            None | Some(Value::Null) => {}
            // Beyond u32 the cast saturates, which is lower than theirs.
            Some(value) => match value.as_f64().filter(|limit| *limit > 0.0) {
                Some(calls) => *limit = Some(calls.ceil() as u32),
                None => return Err(format!("has a limit per {window} that is no number")),
            },
        }
    }
    Ok(RateLimits::of(limits))
}

/// Others' Rate Limiting plugins that can win for one consumer, by where they are: for it alone or for everybody, route,
/// service.
struct Theirs<'a> {
    by_place: BTreeMap<(bool, Option<&'a str>, Option<&'a str>), &'a Plugin>,
    of_group: Option<&'a Plugin>,
}

impl<'a> Theirs<'a> {
    fn of(survey: &'a Survey, consumer_id: &str) -> Self {
        let mut theirs = Theirs { by_place: BTreeMap::new(), of_group: None };
        for plugin in survey.bearing_on(consumer_id).filter(|plugin| plugin.name == RATE_LIMITING) {
            if plugin.consumer_group.is_some() {
                theirs.of_group = Some(plugin);
                continue;
            }
            theirs.by_place.insert((plugin.consumer.is_some(), route_of(plugin), service_of(plugin)), plugin);
        }
        theirs
    }

    /// The plugins that win somewhere in a scope now and will not once ours is there.
    fn replaced_by(&self, survey: &'a Survey, scope: &'a PluginScope) -> Vec<&'a Plugin> {
        let ours = (true, scope.route_id.is_some(), scope.service_id.is_some());
        let mut replaced = BTreeMap::new();
        for (route, service) in self.places_in(survey, scope) {
            // Kong's order; what stands before ours is more specific and stays.
            let less_specific = PRECEDENCE.iter().position(|shape| *shape == ours).map_or(0, |at| at + 1);
            let winner = PRECEDENCE.iter().enumerate().find_map(|(at, (own, by_route, by_service))| {
                let key = (*own, route.filter(|_| *by_route), service.filter(|_| *by_service));
                let exists = key.1.is_some() == *by_route && key.2.is_some() == *by_service;
                self.by_place.get(&key).filter(|_| exists).map(|plugin| (at, *plugin))
            });
            if let Some((at, plugin)) = winner
                && at >= less_specific
            {
                replaced.insert(plugin.id.as_str(), plugin);
            }
        }
        replaced.into_values().collect()
    }

    /// The places (route, service) of a scope that others' plugins make different, and the one for all the rest.
    fn places_in(&self, survey: &'a Survey, scope: &'a PluginScope) -> BTreeSet<(Option<&'a str>, Option<&'a str>)> {
        let (our_route, our_service) = (scope.route_id.as_deref(), scope.service_id.as_deref());
        let mut places = BTreeSet::new();
        let services = || self.by_place.keys().filter_map(|(_, _, service)| *service);
        let routes = self.by_place.keys().filter_map(|(_, route, service)| Some(((*route)?, *service)));
        let rest = our_route.map(|route| (route, our_service));
        for (route, service) in routes.chain(rest).filter(|(route, _)| our_route.is_none_or(|ours| ours == *route)) {
            match service.map(Some).or_else(|| survey.service_of_route(route)) {
                Some(service) if our_service.is_none_or(|ours| service == Some(ours)) => {
                    places.insert((Some(route), service));
                }
                Some(_) => {}
                // A route that is not known may belong to any service.
                None => places.extend(services().chain(our_service).map(Some).chain([None]).map(|s| (Some(route), s))),
            }
        }
        if our_route.is_none() {
            places.insert((None, our_service));
            if our_service.is_none() {
                places.extend(services().map(|service| (None, Some(service))));
            }
        }
        places
    }
}

/// Kong's order (`runloop/plugins_iterator.lua` of 3.9): for the consumer, for the route, for the service.
const PRECEDENCE: [(bool, bool, bool); 8] = [
    (true, true, true),
    (true, true, false),
    (true, false, true),
    (false, true, true),
    (true, false, false),
    (false, true, false),
    (false, false, true),
    (false, false, false),
];

#[cfg(test)]
mod tests;
