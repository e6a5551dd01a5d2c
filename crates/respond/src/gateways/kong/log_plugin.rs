//! Kong's log plugin that brings the access log to a collector, TCP Log or HTTP Log: what has to change so that it is there.
//!
//! [`plan_log`] decides, from all log plugins of the gateway; [`apply_log`] carries it out. What is ours is known by its
//! tags, and nothing else is changed. The tags are not those of actions: `release-all` must not stop the log.
//!
//! Of each name Kong runs one plugin for a call, the one with the most specific scope. So somebody else's TCP Log on a service
//! keeps ours from seeing its calls, and ours on a service would keep somebody else's global one from seeing them. TCP Log and
//! HTTP Log do not get in each other's way, and a call that both of ours took would count twice: there is one of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::admin::{AdminApi as _, AdminClient};
use super::wire::{Plugin, Reference};
use crate::gateways::GatewayError;

/// The plugin that sends each line once, and keeps none.
pub const TCP_LOG: &str = "tcp-log";
/// The plugin that sends lines from a queue until they are taken.
pub const HTTP_LOG: &str = "http-log";
/// Lines that HTTP Log sends at once. So many of the longest together must not be more than a collector takes: Kong would send
/// them again for an hour, and the others behind them wait.
pub const HTTP_LOG_BATCH: usize = 50;
/// The tag of every log plugin of any installation of outrider.
pub const LOG_TAG: &str = "outrider-log";

/// The tag of one installation's log plugins.
pub fn installation_log_tag(installation: &str) -> String {
    format!("{LOG_TAG}:{installation}")
}

/// How lines come from Kong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// By TCP Log.
    Tcp,
    /// By HTTP Log.
    Http,
}

impl LogKind {
    /// The plugin.
    pub fn plugin(self) -> &'static str {
        match self {
            LogKind::Tcp => TCP_LOG,
            LogKind::Http => HTTP_LOG,
        }
    }

    /// The plugin as Kong's documentation calls it.
    pub fn title(self) -> &'static str {
        match self {
            LogKind::Tcp => "TCP Log",
            LogKind::Http => "HTTP Log",
        }
    }

    /// What a plugin of the gateway is, if it is one of these.
    pub fn of(plugin: &Plugin) -> Option<Self> {
        [LogKind::Tcp, LogKind::Http].into_iter().find(|kind| kind.plugin() == plugin.name)
    }
}

/// Where the log goes, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// By which plugin.
    pub kind: LogKind,
    /// The collector's host, as Kong reaches it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// It speaks TLS there. Kong checks no certificate.
    pub is_tls: bool,
    /// What proves where lines come from, and its value: a field of each line for TCP Log, a header of each request for HTTP
    /// Log.
    pub secret: Option<(String, String)>,
}

impl std::fmt::Debug for LogTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LogTarget { kind, host, port, is_tls, secret } = self;
        let proof = secret.as_ref().map(|(name, _)| name);
        let mut shown = f.debug_struct("LogTarget");
        shown.field("kind", kind).field("host", host).field("port", port).field("is_tls", is_tls);
        shown.field("proof", &proof).finish()
    }
}

impl LogTarget {
    /// The settings of its plugin.
    fn config(&self) -> Value {
        let LogTarget { kind, host, port, is_tls, secret } = self;
        match kind {
            LogKind::Tcp => {
                // What somebody switched on would stay as it is if it were not said.
                let mut config = json!({ "host": host, "port": port, "tls": is_tls });
                if let Some((field, secret)) = secret {
                    // Only a constant: an expression that fails at run time loses the whole line.
                    let expression = format!("return \"{}\"", lua_quoted(secret));
                    config[FIELDS] = BTreeMap::from([(field, expression)]).into_iter().collect();
                }
                config
            }
            LogKind::Http => {
                let host =
                    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
                // Many lines at once, soon; and while the collector is away Kong's queue is what limits how much is kept, not a
                // minute, after which Kong would give the oldest up.
                let queue = json!({
                    "max_batch_size": HTTP_LOG_BATCH, "max_coalescing_delay": 0.2, "max_retry_time": 3600,
                    "max_retry_delay": 5,
                });
                let scheme = if *is_tls { "https" } else { "http" };
                let mut config = json!({ "http_endpoint": format!("{scheme}://{host}:{port}/"), "queue": queue });
                if let Some((header, value)) = secret {
                    config["headers"] = json!({ header: value });
                }
                config
            }
        }
    }
}

/// What a log plugin is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogScope {
    /// All calls.
    Everything,
    /// The calls of a service, by its id.
    Service(String),
}

/// One change, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum LogStep {
    /// It is there as it should be.
    Keep(Plugin),
    /// It has to be made.
    Create(LogDocument),
    /// It is ours and says something else.
    Replace(Plugin, LogDocument),
    /// It is ours and no longer wanted.
    Delete(Plugin),
    /// Somebody else's plugin has the scope.
    Taken(Plugin),
}

/// What a plugin adds to each line.
const FIELDS: &str = "custom_fields_by_lua";

/// A log plugin as it is written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogDocument {
    name: &'static str,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Reference>,
    tags: Vec<String>,
    config: Value,
}

impl LogDocument {
    fn new(installation: &str, scope: &LogScope, target: &LogTarget) -> Self {
        LogDocument {
            name: target.kind.plugin(),
            enabled: true,
            service: match scope {
                LogScope::Everything => None,
                LogScope::Service(id) => Some(Reference { id: id.clone() }),
            },
            tags: vec![LOG_TAG.to_owned(), installation_log_tag(installation)],
            config: target.config(),
        }
    }

    /// The service that it is for; `None` for everything.
    pub fn service_id(&self) -> Option<&str> {
        self.service.as_ref().map(|service| service.id.as_str())
    }

    /// The same with what somebody has added to the lines of the plugin that it takes the place of. Where we add nothing ourselves
    /// there is no telling whose it is, and it goes.
    fn beside(mut self, plugin: &Plugin) -> LogDocument {
        let adds = self.config.get(FIELDS).is_some() || self.name == HTTP_LOG;
        let theirs = plugin.config.get(FIELDS).and_then(Value::as_object).filter(|theirs| adds && !theirs.is_empty());
        let Some(theirs) = theirs else { return self };
        let mut fields = theirs.clone();
        if let Some(ours) = self.config.get(FIELDS).and_then(Value::as_object) {
            fields.extend(ours.clone());
        }
        self.config[FIELDS] = Value::Object(fields);
        self
    }

    /// The document for people to read before it is written, without the secret.
    pub fn shown(&self) -> Value {
        let mut shown = json!(self);
        if let Some(headers) = shown["config"].get_mut("headers").and_then(Value::as_object_mut) {
            headers.values_mut().for_each(|value| *value = "(the secret)".into());
        }
        if let Some(fields) = shown["config"].get_mut(FIELDS).and_then(Value::as_object_mut) {
            // What is written as a secret of ours is may be one, also under another name.
            let may_be_secret = |value: &&mut Value| value.as_str().is_some_and(|text| text.starts_with("return \""));
            fields.values_mut().filter(may_be_secret).for_each(|value| *value = "return \"(the secret)\"".into());
        }
        shown
    }

    /// Whether a plugin of the gateway says the same in everything that we set.
    fn is(&self, plugin: &Plugin) -> bool {
        let is_same = |field: &str| match (self.config.get(field), plugin.config.get(field)) {
            (None, None | Some(Value::Null)) => true,
            (None, Some(Value::Object(theirs))) => theirs.is_empty(),
            // Kong shows what was left to it, too, and somebody may add fields of their own.
            (Some(Value::Object(ours)), Some(theirs)) if field == "queue" || field == FIELDS => {
                ours.iter().all(|(name, value)| theirs.get(name) == Some(value))
            }
            (ours, theirs) => ours == theirs,
        };
        let fields: &[&str] = match self.name {
            HTTP_LOG => &["http_endpoint", "headers", "queue"],
            _ => &["host", "port", "tls", FIELDS],
        };
        plugin.enabled
            && fields.iter().all(|field| is_same(field))
            && self.tags.iter().all(|tag| plugin.tags.contains(tag))
    }
}

/// What has to change, and what the log will not show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogPlan {
    /// Changes in the order in which they are made: what is new before what goes.
    pub steps: Vec<LogStep>,
    /// Plugins of others whose narrower scope takes calls from ours.
    pub shadowed_by: Vec<Plugin>,
    /// A plugin of somebody else for everything, which no longer gets the calls of the services that have one of ours.
    pub taken_from: Option<Plugin>,
}

impl LogPlan {
    /// Somebody else's plugins in the places of ours.
    pub fn taken(&self) -> impl Iterator<Item = &Plugin> {
        self.steps.iter().filter_map(|step| match step {
            LogStep::Taken(plugin) => Some(plugin),
            _ => None,
        })
    }

    /// Whether carrying it out would change anything.
    pub fn changes_something(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, LogStep::Keep(_) | LogStep::Taken(_)))
    }
}

/// Compares what the gateway holds with what is wanted: a log plugin of this installation in each of these scopes, and no
/// other, of whatever kind. No scopes takes the log away.
pub fn plan_log(installation: &str, scopes: &BTreeSet<LogScope>, target: &LogTarget, plugins: &[Plugin]) -> LogPlan {
    let tag = installation_log_tag(installation);
    let is_ours = |plugin: &&Plugin| plugin.tags.contains(&tag);
    let of_kind: Vec<&Plugin> = plugins.iter().filter(|plugin| LogKind::of(plugin) == Some(target.kind)).collect();
    let mut plan = LogPlan::default();
    for scope in scopes {
        let document = LogDocument::new(installation, scope, target);
        let present = of_kind.iter().find(|plugin| scope_of(plugin).as_ref() == Some(scope));
        plan.steps.push(match present {
            None => LogStep::Create(document),
            Some(plugin) if !is_ours(plugin) => LogStep::Taken((*plugin).clone()),
            Some(plugin) if document.is(plugin) => LogStep::Keep((*plugin).clone()),
            Some(plugin) => LogStep::Replace((*plugin).clone(), document.beside(plugin)),
        });
    }
    for plugin in &of_kind {
        let is_wanted = scope_of(plugin).is_some_and(|scope| scopes.contains(&scope));
        if is_ours(plugin) && !is_wanted {
            plan.steps.push(LogStep::Delete((*plugin).clone()));
        } else if !is_ours(plugin) && !is_wanted && plugin.enabled && takes_from(plugin, scopes) {
            plan.shadowed_by.push((*plugin).clone());
        }
    }
    let is_other_kind = |plugin: &&Plugin| LogKind::of(plugin).is_some_and(|kind| kind != target.kind);
    let others = plugins.iter().filter(is_other_kind).filter(is_ours);
    plan.steps.extend(others.cloned().map(LogStep::Delete));
    let has_services = scopes.iter().any(|scope| matches!(scope, LogScope::Service(_)));
    let others = || of_kind.iter().find(|plugin| plugin.enabled && scope_of(plugin) == Some(LogScope::Everything));
    plan.taken_from = others().filter(|plugin| has_services && !is_ours(plugin)).map(|plugin| (*plugin).clone());
    plan
}

/// Carries a plan out, step by step. What was done before an error stays, and planning again goes on from there.
pub async fn apply_log(admin: &AdminClient, installation: &str, plan: &LogPlan) -> Result<(), GatewayError> {
    for step in &plan.steps {
        match step {
            LogStep::Keep(_) | LogStep::Taken(_) => {}
            LogStep::Create(document) => admin.create_log_plugin(document).await?,
            LogStep::Replace(plugin, document) => {
                if is_still_ours(admin, installation, &plugin.id).await? {
                    admin.replace_log_plugin(&plugin.id, document).await?;
                }
            }
            LogStep::Delete(plugin) => {
                if is_still_ours(admin, installation, &plugin.id).await? {
                    admin.delete_plugin(&plugin.id).await?;
                }
            }
        }
    }
    Ok(())
}

/// A person may have taken the plugin over between the look and the write.
async fn is_still_ours(admin: &AdminClient, installation: &str, id: &str) -> Result<bool, GatewayError> {
    let tag = installation_log_tag(installation);
    Ok(admin.plugin(id).await?.is_some_and(|plugin| plugin.tags.contains(&tag)))
}

/// A text as it stands between double quotes in Lua.
pub(super) fn lua_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The scope, if it is one that we could have.
fn scope_of(plugin: &Plugin) -> Option<LogScope> {
    if plugin.consumer.is_some() || plugin.consumer_group.is_some() || plugin.route.is_some() {
        return None;
    }
    Some(match &plugin.service {
        None => LogScope::Everything,
        Some(service) => LogScope::Service(service.id.clone()),
    })
}

/// Whether somebody else's plugin sees calls that one of ours would have seen: those of a consumer or route, or of a
/// service where ours is for everything.
fn takes_from(plugin: &Plugin, scopes: &BTreeSet<LogScope>) -> bool {
    match scope_of(plugin) {
        None => !scopes.is_empty(),
        Some(LogScope::Service(_)) => scopes.contains(&LogScope::Everything),
        Some(LogScope::Everything) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> LogTarget {
        let secret = Some(("outrider_secret".to_owned(), "0123456789abcdef".to_owned()));
        LogTarget { kind: LogKind::Tcp, host: "collector".to_owned(), port: 9514, is_tls: false, secret }
    }

    fn http_target() -> LogTarget {
        let secret = Some(("authorization".to_owned(), "Bearer 0123456789abcdef".to_owned()));
        LogTarget { kind: LogKind::Http, host: "collector".to_owned(), port: 9515, is_tls: false, secret }
    }

    /// As Kong 3.9 shows what [`http_target`] makes.
    fn http_plugin(id: &str, config: Value) -> Plugin {
        let mut document = json!({"id": id, "name": "http-log", "enabled": true,
            "tags": ["outrider-log", "outrider-log:inst"],
            "config": {"queue_size": null, "retry_count": null, "http_endpoint": "http://collector:9515/",
                "flush_timeout": null, "timeout": 10000, "method": "POST", "custom_fields_by_lua": null,
                "headers": {"authorization": "Bearer 0123456789abcdef"},
                "queue": {"max_entries": 10000, "max_bytes": null, "max_retry_time": 3600, "initial_retry_delay": 0.01,
                    "max_retry_delay": 5, "concurrency_limit": 1, "max_batch_size": 50, "max_coalescing_delay": 0.2},
                "content_type": "application/json", "keepalive": 60000}});
        for (key, value) in config.as_object().unwrap() {
            document["config"][key] = value.clone();
        }
        serde_json::from_value(document).unwrap()
    }

    fn plugin(id: &str, more: Value) -> Plugin {
        let mut document = json!({"id": id, "name": "tcp-log", "enabled": true, "tags": null,
            "config": {"host": "collector", "port": 9514, "tls": false, "timeout": 10000,
                "custom_fields_by_lua": null}});
        for (key, value) in more.as_object().unwrap() {
            document[key] = value.clone();
        }
        serde_json::from_value(document).unwrap()
    }

    fn ours(id: &str, more: Value) -> Plugin {
        let mut plugin = plugin(id, more);
        plugin.tags = vec![LOG_TAG.to_owned(), "outrider-log:inst".to_owned()];
        plugin.config["custom_fields_by_lua"] = json!({"outrider_secret": "return \"0123456789abcdef\""});
        plugin
    }

    /// One word for each step, and the shadowing plugins.
    fn words(target: &LogTarget, scopes: &[LogScope], plugins: &[Plugin]) -> String {
        let plan = plan_log("inst", &scopes.iter().cloned().collect(), target, plugins);
        let steps = plan.steps.iter().map(|step| match step {
            LogStep::Keep(plugin) => format!("keep {}", plugin.id),
            LogStep::Create(document) => format!("create {}", document.service.as_ref().map_or("all", |s| &s.id)),
            LogStep::Replace(plugin, _) => format!("replace {}", plugin.id),
            LogStep::Delete(plugin) => format!("delete {}", plugin.id),
            LogStep::Taken(plugin) => format!("taken {}", plugin.id),
        });
        let shadows = plan.shadowed_by.iter().map(|plugin| format!("shadow {}", plugin.id));
        let from = plan.taken_from.iter().map(|plugin| format!("from {}", plugin.id));
        steps.chain(shadows).chain(from).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_plan_touches_what_is_ours_and_names_what_is_in_the_way() {
        let all = [LogScope::Everything];
        let service = |id: &str| LogScope::Service(id.to_owned());
        let on = |id: &str| json!({"service": {"id": id}});
        let mut moved = ours("a", json!({}));
        moved.config["port"] = json!(1);
        let mut with_tls = ours("a", json!({}));
        with_tls.config["tls"] = json!(true);
        let mut without_secret = ours("a", json!({}));
        without_secret.config["custom_fields_by_lua"] = Value::Null;
        let mut with_more = ours("a", json!({}));
        with_more.config[FIELDS]["tenant"] = json!("return kong.request.get_header('x-tenant')");
        let cases: [(&[LogScope], Vec<Plugin>, &str); 15] = [
            (&all, vec![with_more], "keep a"),
            (&all, vec![], "create all"),
            (&all, vec![ours("a", json!({}))], "keep a"),
            (&all, vec![moved], "replace a"),
            (&all, vec![with_tls], "replace a"),
            (&all, vec![without_secret], "replace a"),
            (&all, vec![ours("a", json!({"enabled": false}))], "replace a"),
            (&all, vec![plugin("f", json!({}))], "taken f"),
            (&all, vec![plugin("f", json!({"tags": ["outrider-log", "outrider-log:other"]}))], "taken f"),
            (&all, vec![plugin("f", on("s")), ours("a", json!({}))], "keep a, shadow f"),
            (&all, vec![plugin("f", json!({"consumer": {"id": "c"}, "enabled": false}))], "create all"),
            (
                &[service("s"), service("t")],
                vec![plugin("f", json!({})), ours("b", on("t"))],
                "create s, keep b, from f",
            ),
            (
                &[service("s")],
                vec![ours("a", json!({})), plugin("r", json!({"route": {"id": "r"}}))],
                "create s, delete a, shadow r",
            ),
            (&[], vec![ours("a", json!({})), ours("b", on("t")), plugin("f", on("s"))], "delete a, delete b"),
            (
                &[],
                vec![plugin("f", json!({"tags": ["outrider-log", "outrider-log:other"]})), ours("a", on("s"))],
                "delete a",
            ),
        ];
        for (scopes, plugins, wanted) in cases {
            assert_eq!(words(&target(), scopes, &plugins), wanted, "{scopes:?}");
        }
    }

    #[test]
    fn a_plugin_speaks_tls_where_the_source_does() {
        let all = [LogScope::Everything];
        let (tcp, http) = (LogTarget { is_tls: true, ..target() }, LogTarget { is_tls: true, ..http_target() });
        let mut tcp_log = ours("a", json!({}));
        assert_eq!(words(&tcp, &all, std::slice::from_ref(&tcp_log)), "replace a");
        tcp_log.config["tls"] = json!(true);
        assert_eq!(words(&tcp, &all, &[tcp_log]), "keep a");
        assert_eq!(words(&http, &all, &[http_plugin("a", json!({}))]), "replace a");
        let endpoint = json!({"http_endpoint": "https://collector:9515/"});
        assert_eq!(words(&http, &all, &[http_plugin("a", endpoint.clone())]), "keep a");
        assert_eq!(words(&http_target(), &all, &[http_plugin("a", endpoint)]), "replace a");
    }

    #[test]
    fn a_log_comes_by_one_plugin_and_the_other_kind_is_in_no_way() {
        let all = [LogScope::Everything];
        let mut foreign_http = http_plugin("f", json!({}));
        foreign_http.tags.clear();
        let mut http_on_service = http_plugin("s", json!({}));
        http_on_service.service = Some(Reference { id: "s".to_owned() });
        let kept = json!({"queue": {"max_batch_size": 1, "max_coalescing_delay": 0.2, "max_retry_time": 3600,
            "max_retry_delay": 5}});
        let cases: [(LogTarget, &[LogScope], Vec<Plugin>, &str); 9] = [
            (http_target(), &all, vec![], "create all"),
            (http_target(), &all, vec![plugin("t", json!({}))], "create all"),
            (http_target(), &all, vec![http_plugin("a", json!({})), ours("b", json!({}))], "keep a, delete b"),
            (http_target(), &all, vec![http_plugin("a", kept)], "replace a"),
            (http_target(), &all, vec![http_plugin("a", json!({"headers": null}))], "replace a"),
            (http_target(), &all, vec![http_plugin("a", json!({"http_endpoint": "http://x/"}))], "replace a"),
            (http_target(), &all, vec![foreign_http.clone()], "taken f"),
            (target(), &all, vec![foreign_http, http_on_service.clone()], "create all, delete s"),
            (target(), &[], vec![http_on_service, ours("b", json!({}))], "delete b, delete s"),
        ];
        for (target, scopes, plugins, wanted) in cases {
            assert_eq!(words(&target, scopes, &plugins), wanted, "{target:?} {scopes:?}");
        }
        let six = LogTarget { host: "2001:db8::7".to_owned(), secret: None, ..http_target() };
        assert_eq!(six.config()["http_endpoint"], "http://[2001:db8::7]:9515/");
        assert_eq!(six.config().get("headers"), None);
    }

    #[test]
    fn the_secret_is_written_as_a_constant_and_never_shown() {
        let document = LogDocument::new("inst", &LogScope::Everything, &target());
        assert_eq!(json!(document)["config"]["custom_fields_by_lua"]["outrider_secret"], "return \"0123456789abcdef\"");
        let shown = document.shown().to_string();
        assert!(!shown.contains("0123456789abcdef") && shown.contains("outrider_secret"), "{shown}");
        assert!(!format!("{:?} {:?}", target(), http_target()).contains("0123456789abcdef"));
        let document = LogDocument::new("inst", &LogScope::Everything, &http_target());
        assert_eq!(json!(document)["config"]["headers"]["authorization"], "Bearer 0123456789abcdef");
        let shown = document.shown().to_string();
        assert!(!shown.contains("0123456789abcdef") && shown.contains("authorization"), "{shown}");
        let mut theirs = ours("a", json!({}));
        theirs.config[FIELDS]["tenant"] = json!("return 1");
        theirs.config["port"] = json!(1);
        let document = LogDocument::new("inst", &LogScope::Everything, &target()).beside(&theirs);
        let fields = json!({"outrider_secret": "return \"(the secret)\"", "tenant": "return 1"});
        assert_eq!(document.shown()["config"][FIELDS], fields, "what somebody else adds stays, and is shown");
        let odd = LogTarget { secret: Some(("f".to_owned(), "a\"b\\c".to_owned())), ..target() };
        let document = json!(LogDocument::new("inst", &LogScope::Everything, &odd));
        assert_eq!(document["config"]["custom_fields_by_lua"]["f"], "return \"a\\\"b\\\\c\"");
    }
}
