//! A Kong in memory for tests in virtual time: the rules of the Admin API that matter to us, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use outrider_model::{ActionId, ActionKind, ActionScope, DesiredAction, DesiredState, RateLimits};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::admin::AdminApi;
use super::fold::DesiredPlugin;
use super::plan::is_own;
use super::probe::NodeSummary;
use super::wire::{Consumer, Plugin, PluginWrite, Reference, Route, Service};
use crate::gateways::{Clock, GatewayError};

pub(super) const ALICE: &str = "a11ce000-0000-4000-8000-000000000001";
pub(super) const BOB: &str = "b0b00000-0000-4000-8000-000000000002";
pub(super) const SHOP: &str = "5e000000-0000-4000-8000-000000000001";
pub(super) const SHOP_ROUTE: &str = "70000000-0000-4000-8000-000000000001";
pub(super) const INSTALLATION: &str = "home";

pub(super) fn block(id: u64, consumer_id: &str, expires_ms: Option<i64>) -> DesiredAction {
    DesiredAction {
        id: ActionId(id),
        workspace: "default".to_owned(),
        consumer_id: consumer_id.to_owned(),
        consumer_name: if consumer_id == ALICE { "alice" } else { "bob" }.to_owned(),
        scope: ActionScope::Consumer,
        kind: ActionKind::Block { status: 403, message: "Blocked by policy".to_owned() },
        expires_ms,
        by_person: false,
    }
}

pub(super) fn limit(id: u64, consumer_id: &str, expires_ms: Option<i64>, minute: u32) -> DesiredAction {
    let limits = RateLimits { minute: Some(minute), ..RateLimits::default() };
    let kind = ActionKind::RateLimit { limits, status: 429, message: "Limited by policy".to_owned() };
    DesiredAction { kind, ..block(id, consumer_id, expires_ms) }
}

pub(super) fn service_scope(id: &str) -> ActionScope {
    ActionScope::Service { id: id.to_owned(), name: "shop".to_owned() }
}

pub(super) fn route_scope(id: &str) -> ActionScope {
    ActionScope::Route { id: id.to_owned(), name: "shop-route".to_owned() }
}

pub(super) fn desired(version: u64, actions: Vec<DesiredAction>, releasing: &[u64]) -> DesiredState {
    DesiredState {
        version,
        installation: INSTALLATION.to_owned(),
        gateway: "edge".to_owned(),
        actions,
        releasing: releasing.iter().map(|id| ActionId(*id)).collect(),
        ended: Vec::new(),
    }
}

/// A plugin as Kong would show what we write.
pub(super) fn stored(plugin: &DesiredPlugin) -> Plugin {
    as_stored(&plugin.id, &plugin.to_write(false))
}

fn as_stored(id: &str, write: &PluginWrite) -> Plugin {
    let written = serde_json::to_value(write).unwrap();
    let mut config = match write.name {
        "rate-limiting" => json!({
            "second": null, "minute": null, "hour": null, "day": null, "month": null, "year": null,
            "limit_by": "consumer", "policy": "local", "fault_tolerant": true, "hide_client_headers": false,
            "error_code": 429, "error_message": "API rate limit exceeded", "sync_rate": -1, "header_name": null,
        }),
        _ => json!({
            "status_code": 503, "body": null, "message": null, "content_type": null, "trigger": null, "echo": false,
        }),
    };
    for (key, value) in written["config"].as_object().unwrap() {
        config[key] = value.clone();
    }
    Plugin {
        id: id.to_owned(),
        name: write.name.to_owned(),
        instance_name: Some(write.instance_name.clone()),
        enabled: true,
        consumer: Some(write.consumer.clone()),
        consumer_group: None,
        service: write.service.clone(),
        route: write.route.clone(),
        tags: write.tags.clone(),
        protocols: ["grpc", "grpcs", "http", "https"].map(str::to_owned).to_vec(),
        config,
    }
}

/// An operator's own Request Termination.
pub(super) fn foreign(id: &str, consumer: Option<&str>, service: Option<&str>, route: Option<&str>) -> Plugin {
    let reference = |id: &str| Reference { id: id.to_owned() };
    Plugin {
        id: id.to_owned(),
        name: "request-termination".to_owned(),
        instance_name: None,
        enabled: true,
        consumer: consumer.map(reference),
        consumer_group: None,
        service: service.map(reference),
        route: route.map(reference),
        tags: vec!["maintenance".to_owned()],
        protocols: Vec::new(),
        config: json!({"status_code": 503, "message": "back soon"}),
    }
}

/// An operator's own Rate Limiting, with Kong's defaults where the configuration does not say.
pub(super) fn foreign_limit(
    id: &str,
    consumer: Option<&str>,
    service: Option<&str>,
    route: Option<&str>,
    config: Value,
) -> Plugin {
    let mut whole = json!({"limit_by": "consumer", "policy": "local", "fault_tolerant": true});
    whole["hide_client_headers"] = json!(false);
    for (key, value) in config.as_object().unwrap() {
        whole[key] = value.clone();
    }
    Plugin { name: "rate-limiting".to_owned(), config: whole, ..foreign(id, consumer, service, route) }
}

/// What becomes of one call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// It works.
    None,
    /// It fails and has no effect.
    Before(GatewayError),
    /// It has its effect, and its answer is lost.
    After(GatewayError),
    /// The responder dies before it has an effect.
    CrashBefore,
    /// The responder dies after it had its effect.
    CrashAfter,
}

#[derive(Debug, Default)]
pub(super) struct FakeState {
    pub plugins: BTreeMap<String, Plugin>,
    pub consumers: BTreeMap<String, Consumer>,
    pub routes: Vec<Route>,
    pub services: Vec<Service>,
    pub calls: Vec<String>,
    pub faults: VecDeque<Fault>,
    /// Fails every call while set.
    pub down: Option<GatewayError>,
    /// Fails every call of one kind, named as in `calls`, while set.
    pub refused: Option<(&'static str, GatewayError)>,
    pub read_only: bool,
    /// Fails every look at others' plugins while set.
    pub no_lists: Option<GatewayError>,
    /// What nobody may ever do.
    pub sins: Vec<String>,
}

/// A Kong in memory.
#[derive(Clone)]
pub(super) struct FakeKong {
    state: Arc<Mutex<FakeState>>,
    pub latency: Duration,
    pub crashed: Arc<Notify>,
}

impl FakeKong {
    pub fn new() -> Self {
        let consumer = |id: &str, name: &str, custom: &str, tags: &[&str]| Consumer {
            id: id.to_owned(),
            username: Some(name.to_owned()),
            custom_id: Some(custom.to_owned()),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        let consumers = [consumer(ALICE, "alice", "c-1", &["demo"]), consumer(BOB, "bob", "c-2", &["demo", "vip"])];
        let reference = Reference { id: SHOP.to_owned() };
        let state = FakeState {
            consumers: consumers.into_iter().map(|consumer| (consumer.id.clone(), consumer)).collect(),
            routes: vec![Route {
                id: SHOP_ROUTE.to_owned(),
                name: Some("shop-route".to_owned()),
                service: Some(reference),
            }],
            services: vec![Service { id: SHOP.to_owned(), name: Some("shop".to_owned()) }],
            ..FakeState::default()
        };
        FakeKong {
            state: Arc::new(Mutex::new(state)),
            latency: Duration::from_millis(5),
            crashed: Arc::new(Notify::new()),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }

    pub fn put(&self, plugin: Plugin) {
        self.state().plugins.insert(plugin.id.clone(), plugin);
    }

    /// The calls since the last time, as `METHOD /path`.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    pub fn own(&self) -> Vec<Plugin> {
        self.state().plugins.values().filter(|plugin| is_own(INSTALLATION, plugin)).cloned().collect()
    }

    async fn call<T>(
        &self,
        what: String,
        effect: impl FnOnce(&mut FakeState) -> Result<T, GatewayError>,
    ) -> Result<T, GatewayError> {
        tokio::time::sleep(self.latency).await;
        let fault = {
            let mut state = self.state();
            let refused = state.refused.clone().filter(|(call, _)| *call == what);
            state.calls.push(what);
            if let Some(error) = state.down.clone().or(refused.map(|(_, error)| error)) {
                return Err(error);
            }
            state.faults.pop_front().unwrap_or(Fault::None)
        };
        match fault {
            Fault::None => effect(&mut self.state()),
            Fault::Before(error) => Err(error),
            Fault::After(error) => {
                let _ = effect(&mut self.state());
                Err(error)
            }
            Fault::CrashBefore | Fault::CrashAfter => {
                if fault == Fault::CrashAfter {
                    let _ = effect(&mut self.state());
                }
                self.crashed.notify_one();
                std::future::pending().await
            }
        }
    }
}

fn kong(status: u16, code: Option<u32>, message: &str, fields: Value) -> GatewayError {
    GatewayError::Kong { status, code, message: message.to_owned(), fields: Box::new(fields), retry_after_s: None }
}

impl FakeState {
    fn refuse_read_only(&self) -> Result<(), GatewayError> {
        if self.read_only {
            return Err(kong(405, Some(12), "cannot create 'plugins' entities when not using a database", Value::Null));
        }
        Ok(())
    }

    fn refuse_conflicts(&self, plugin: &Plugin) -> Result<(), GatewayError> {
        self.refuse_read_only()?;
        let consumer = plugin.consumer.as_ref().unwrap();
        if !self.consumers.contains_key(&consumer.id) {
            let message = "the foreign key does not reference an existing 'consumers' entity.";
            return Err(kong(400, Some(4), message, json!({"consumer": {"id": consumer.id}})));
        }
        for other in self.plugins.values().filter(|other| other.id != plugin.id) {
            let place = |plugin: &Plugin| (plugin.consumer.clone(), plugin.service.clone(), plugin.route.clone());
            if other.name == plugin.name && place(other) == place(plugin) {
                return Err(kong(409, Some(5), "UNIQUE violation detected", json!({"name": plugin.name})));
            }
            if other.instance_name.is_some() && other.instance_name == plugin.instance_name {
                return Err(kong(409, Some(5), "UNIQUE violation", json!({"instance_name": plugin.instance_name})));
            }
        }
        Ok(())
    }

    fn touch(&mut self, id: &str, what: &str) {
        if self.plugins.get(id).is_some_and(|plugin| !is_own(INSTALLATION, plugin)) {
            self.sins.push(format!("{what} {id}, which is not ours"));
        }
    }
}

impl AdminApi for FakeKong {
    async fn node(&self) -> Result<NodeSummary, GatewayError> {
        self.call("GET /".to_owned(), |state| {
            let database = if state.read_only { "off" } else { "postgres" };
            let node = json!({
                "version": "3.9.1", "edition": "community", "hostname": "kong",
                "configuration": {"database": database}, "plugins": {"available_on_server": {"request-termination": {}}},
            });
            Ok(serde_json::from_value(node).unwrap())
        })
        .await
    }

    async fn plugins_tagged(&self, tags: &[&str]) -> Result<Vec<Plugin>, GatewayError> {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.call("GET /plugins?tags".to_owned(), move |state| {
            if state.read_only {
                return Err(kong(500, None, "An unexpected error occurred", Value::Null));
            }
            let all = |plugin: &&Plugin| tags.iter().all(|tag| plugin.tags.contains(tag));
            Ok(state.plugins.values().filter(all).cloned().collect())
        })
        .await
    }

    async fn plugins_where(&self, keep: fn(&Plugin) -> bool) -> Result<Vec<Plugin>, GatewayError> {
        self.call("GET /plugins".to_owned(), |state| {
            if let Some(error) = state.no_lists.clone() {
                return Err(error);
            }
            Ok(state.plugins.values().filter(|plugin| keep(plugin)).cloned().collect())
        })
        .await
    }

    async fn plugin(&self, id: &str) -> Result<Option<Plugin>, GatewayError> {
        let id = id.to_owned();
        self.call("GET /plugins/{id}".to_owned(), move |state| {
            let by_name = |plugin: &&Plugin| plugin.instance_name.as_ref() == Some(&id);
            Ok(state.plugins.get(&id).or_else(|| state.plugins.values().find(by_name)).cloned())
        })
        .await
    }

    async fn create_plugin(&self, plugin: &PluginWrite) -> Result<Plugin, GatewayError> {
        let id = plugin.id.clone().unwrap();
        let plugin = as_stored(&id, plugin);
        self.call("POST /plugins".to_owned(), move |state| {
            state.refuse_read_only()?;
            if state.plugins.contains_key(&id) {
                return Err(kong(400, Some(3), "primary key violation on key", json!({"id": id})));
            }
            state.refuse_conflicts(&plugin)?;
            state.plugins.insert(id, plugin.clone());
            Ok(plugin)
        })
        .await
    }

    async fn replace_plugin(&self, id: &str, plugin: &PluginWrite) -> Result<Plugin, GatewayError> {
        let plugin = as_stored(id, plugin);
        self.call("PUT /plugins/{id}".to_owned(), move |state| {
            state.touch(&plugin.id, "replaced");
            state.refuse_conflicts(&plugin)?;
            state.plugins.insert(plugin.id.clone(), plugin.clone());
            Ok(plugin)
        })
        .await
    }

    async fn delete_plugin(&self, id: &str) -> Result<(), GatewayError> {
        let id = id.to_owned();
        self.call("DELETE /plugins/{id}".to_owned(), move |state| {
            state.touch(&id, "deleted");
            state.refuse_read_only()?;
            state.plugins.remove(&id);
            Ok(())
        })
        .await
    }

    async fn consumer(&self, id: &str) -> Result<Option<Consumer>, GatewayError> {
        let id = id.to_owned();
        self.call("GET /consumers/{id}".to_owned(), move |state| Ok(state.consumers.get(&id).cloned())).await
    }

    async fn consumer_plugins(&self, id: &str) -> Result<Option<Vec<Plugin>>, GatewayError> {
        let id = id.to_owned();
        self.call("GET /consumers/{id}/plugins".to_owned(), move |state| {
            let its = |plugin: &&Plugin| plugin.consumer.as_ref().is_some_and(|consumer| consumer.id == id);
            let plugins = state.plugins.values().filter(its).cloned().collect();
            Ok(state.consumers.contains_key(&id).then_some(plugins))
        })
        .await
    }

    async fn routes(&self) -> Result<Vec<Route>, GatewayError> {
        self.call("GET /routes".to_owned(), |state| Ok(state.routes.clone())).await
    }

    async fn services(&self) -> Result<Vec<Service>, GatewayError> {
        self.call("GET /services".to_owned(), |state| Ok(state.services.clone())).await
    }
}

/// A wall clock that goes with tokio's virtual time and can be set off from it.
pub(super) struct VirtualClock {
    start: tokio::time::Instant,
    start_ms: i64,
    pub jumped_ms: std::sync::atomic::AtomicI64,
}

pub(super) const START_MS: i64 = 1_800_000_000_000;

impl VirtualClock {
    pub fn new() -> Self {
        VirtualClock { start: tokio::time::Instant::now(), start_ms: START_MS, jumped_ms: 0.into() }
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.start.elapsed().as_millis()).unwrap();
        self.start_ms + elapsed_ms + self.jumped_ms.load(std::sync::atomic::Ordering::Relaxed)
    }
}
