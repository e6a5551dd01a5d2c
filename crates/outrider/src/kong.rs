//! `outrider kong setup`: shows what it will change at the gateway, asks, and does it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use outrider_collect::SourceConfig;
use outrider_platform::store::AuditLog;
use outrider_respond::gateways::GatewayError;
use outrider_respond::gateways::kong::{
    AdminApi as _, AdminClient, LOG_TAG, LogKind, LogPlan, LogScope, LogSource, LogStep, LogTarget, NodeSummary,
    Plugin, Service, apply_log, installation_log_tag, plan_log, view_log,
};

use crate::cli::{KongSetupArguments, LogPluginName};
use crate::config::{Config, GatewayConfig};
use crate::terminal::some_of;
use crate::{audit, installation, terminal};

/// The first Kong whose HTTP Log has the queue that we set.
const HTTP_LOG_VERSION_MIN: (u64, u64) = (3, 3);

/// Runs it. The exit status says whether everything is as it should be.
pub async fn setup(arguments: KongSetupArguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(&arguments.config.config)?;
    let gateway = gateway_of(&config, arguments.gateway.as_deref())?;
    installation::prepare_beside(&config.data_dir)?;
    let installation = installation::id(&config.data_dir)?;
    let admin = AdminClient::new(&gateway.admin())?;
    let node = admin.node().await.context("the Admin API does not answer as Kong does; look at admin_url")?;
    ensure!(
        node.is_writable(),
        "this Kong runs without a database, so its plugins come from its declarative configuration: add the plugin there"
    );
    let services = admin.services().await?;
    let scopes = scopes_of(&arguments, &services)?;
    let plugins = admin.plugins_where(|plugin| LogKind::of(plugin).is_some()).await?;
    let wanted =
        arguments.plugin.map(kind_named).or_else(|| kept_kind(&config, &gateway.name, &installation, &plugins));
    let source = source_of(&config, &gateway.name, wanted)?;
    if !arguments.remove {
        ensure_log_plugin(&node, source.kind)?;
    }
    let (target, new_secret) = target_of(&arguments, &source)?;
    let plan = plan_log(&installation, &scopes, &target, &plugins);
    show(&plan, target.kind, &services, gateway)?;
    let taken = plan.taken().count();
    if taken > 0 && (!arguments.per_service || taken == scopes.len()) {
        offer(&arguments, &config, &source, services.len());
        bail!("nothing was changed: the place of a plugin is taken (see above)");
    }
    let listen = source.listen;
    let view = LogTargets { admin: &admin, installation: &installation, listen, target: &target, services: &services };
    if !plan.changes_something() {
        if !arguments.remove {
            view.report(&plugins).await?;
        }
        terminal::note("nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.yes && !terminal::is_confirmed()? {
        terminal::note("nothing was changed; run it with --yes to do this");
        return Ok(ExitCode::from(terminal::NOT_CONFIRMED));
    }
    // Before Kong has it: the lines that come then can be checked.
    if let Some((path, secret)) = &new_secret {
        installation::keep_source_secret(path, secret)?;
    }
    let applied = apply_log(&admin, &installation, &plan).await;
    let what = if arguments.remove { "removed the log plugins of" } else { "set up the log plugins of" };
    let what = if applied.is_ok() { what.to_owned() } else { format!("{what} (not to the end)") };
    audit::note(&config.data_dir, AuditLog::Decisions, &what, &gateway.name).await;
    applied.map_err(explained)?;
    let plugins = admin.plugins_where(|plugin| LogKind::of(plugin).is_some()).await?;
    let after = plan_log(&installation, &scopes, &target, &plugins);
    ensure!(
        !after.changes_something(),
        "Kong took the change, and holds something else now; is another tool at work there?"
    );
    if !arguments.remove {
        view.report(&plugins).await?;
    }
    let seconds = node.in_force_in_cluster_after().as_secs_f64();
    terminal::note(&format!("done; every worker and node of this Kong follows within {seconds} s"));
    Ok(ExitCode::SUCCESS)
}

fn gateway_of<'c>(config: &'c Config, name: Option<&str>) -> anyhow::Result<&'c GatewayConfig> {
    let names = || config.gateways.iter().map(|gateway| gateway.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, config.gateways.as_slice()) {
        (None, []) => bail!("the configuration has no [[gateways]] entry, so the Admin API is not known"),
        (None, [only]) => Ok(only),
        (None, _) => bail!("there are several gateways: say which with --gateway ({})", names()),
        (Some(name), gateways) => gateways
            .iter()
            .find(|gateway| gateway.name == name)
            .with_context(|| format!("there is no gateway `{name}` in the configuration; there are: {}", names())),
    }
}

/// A source that a plugin of Kong's sends to.
pub struct Listening<'c> {
    source: &'c SourceConfig,
    kind: LogKind,
    listen: SocketAddr,
}

impl<'c> Listening<'c> {
    /// This one, unless it reads a file: Kong's File Log plugin sends to nobody, and is made by hand.
    pub fn of(source: &'c SourceConfig) -> Option<Self> {
        let kind = match source {
            SourceConfig::KongTcpLog(_) => LogKind::Tcp,
            SourceConfig::KongHttpLog(_) => LogKind::Http,
            SourceConfig::KongFileLog(_) => return None,
        };
        Some(Listening { source, kind, listen: source.listen()? })
    }

    /// As the gateway's plugins are compared with it; `secret` is what its file holds.
    pub fn log_source(&self, secret: Option<String>) -> LogSource {
        let secret = secret.map(|secret| self.proof(secret));
        LogSource { kind: self.kind, listen: self.listen, is_tls: self.is_tls(), secret }
    }

    /// What lines or requests carry to prove where they come from.
    fn proof(&self, secret: String) -> (String, String) {
        match self.source.secret_field() {
            Some(field) => (field.to_owned(), secret),
            None => ("authorization".to_owned(), format!("Bearer {secret}")),
        }
    }

    fn is_tls(&self) -> bool {
        self.source.tls().is_some()
    }
}

fn source_of<'c>(config: &'c Config, gateway: &str, wanted: Option<LogKind>) -> anyhow::Result<Listening<'c>> {
    let sources = config.collector.sources.iter().filter(|source| source.gateway() == gateway);
    let source =
        sources.clone().filter_map(Listening::of).find(|source| wanted.is_none_or(|wanted| source.kind == wanted));
    source.with_context(|| {
        if let Some(file) = sources.clone().find_map(SourceConfig::file) {
            return format!(
                "the log of `{gateway}` is read from {}: make the File Log plugin that writes it by hand (docs/kong.md)",
                file.display()
            );
        }
        let kind = match wanted {
            None => String::new(),
            Some(LogKind::Tcp) => "`kind = \"kong_tcp_log\"` and ".to_owned(),
            Some(LogKind::Http) => "`kind = \"kong_http_log\"` and ".to_owned(),
        };
        format!("no [[collector.sources]] entry has {kind}`gateway = \"{gateway}\"`, so nothing would take its log")
    })
}

/// The kind of the plugin that is there already, where it is ours and has a source.
fn kept_kind(config: &Config, gateway: &str, installation: &str, plugins: &[Plugin]) -> Option<LogKind> {
    let tag = installation_log_tag(installation);
    let mut kinds = plugins.iter().filter(|plugin| plugin.tags.contains(&tag)).filter_map(LogKind::of);
    kinds.find(|kind| source_of(config, gateway, Some(*kind)).is_ok())
}

/// Refuses a Kong that has no such plugin, or an older one.
fn ensure_log_plugin(node: &NodeSummary, kind: LogKind) -> anyhow::Result<()> {
    ensure!(
        node.plugins.available_on_server.contains_key(kind.plugin()),
        "this Kong has no plugin {}; let it load it: `plugins = bundled` in kong.conf",
        kind.plugin()
    );
    let mut numbers = node.version.split('.').map(|number| number.parse().ok());
    let version = numbers.next().flatten().zip(numbers.next().flatten());
    ensure!(
        kind == LogKind::Tcp || version.is_none_or(|version| version >= HTTP_LOG_VERSION_MIN),
        "HTTP Log of Kong {} has another queue than that of 3.3 and later; make the plugin by hand (docs/kong.md)",
        node.version
    );
    Ok(())
}

fn scopes_of(arguments: &KongSetupArguments, services: &[Service]) -> anyhow::Result<BTreeSet<LogScope>> {
    if arguments.remove {
        return Ok(BTreeSet::new());
    }
    if arguments.per_service {
        ensure!(!services.is_empty(), "this gateway has no services yet");
        return Ok(services.iter().map(|service| LogScope::Service(service.id.clone())).collect());
    }
    if arguments.service.is_empty() {
        return Ok([LogScope::Everything].into());
    }
    let id_of = |name: &String| {
        let service = services.iter().find(|service| service.id == *name || service.name.as_ref() == Some(name));
        service.map(|service| LogScope::Service(service.id.clone())).with_context(|| {
            let names = services.iter().filter_map(|service| service.name.as_deref());
            format!("there is no service `{name}` at this gateway; there are: {}", some_of(names))
        })
    };
    arguments.service.iter().map(id_of).collect()
}

/// A secret that was made, and the file that will keep it when somebody said yes.
type NewSecret = (PathBuf, String);

/// Where the log goes, and the secret that goes with it where there is none yet.
fn target_of(arguments: &KongSetupArguments, source: &Listening<'_>) -> anyhow::Result<(LogTarget, Option<NewSecret>)> {
    let address = source.listen.ip();
    let host = match &arguments.host {
        Some(host) => host.clone(),
        None if arguments.remove => address.to_string(),
        None if address.is_unspecified() => {
            bail!("the source listens on every address; say with --host under which one Kong reaches it")
        }
        None => address.to_string(),
    };
    ensure!(source.listen.port() != 0, "the source's `listen` has port 0, so its port is another one at each start");
    let mut new_secret = None;
    let secret = match source.source.secret_file() {
        Some(_) if arguments.remove => None,
        Some(path) if path.exists() => Some(installation::known_source_secret(path)?),
        Some(path) => {
            let secret = installation::new_source_secret()?;
            new_secret = Some((path.to_owned(), secret.clone()));
            Some(secret)
        }
        None => None,
    };
    let secret = secret.map(|secret| source.proof(secret));
    let (kind, port, is_tls) = (source.kind, source.listen.port(), source.is_tls());
    Ok((LogTarget { kind, host, port, is_tls, secret }, new_secret))
}

/// What to do where the place for everything is taken.
fn offer(arguments: &KongSetupArguments, config: &Config, source: &Listening<'_>, services: usize) {
    let taken = source.kind;
    let (other, kind, port) = match taken {
        LogKind::Tcp => (LogKind::Http, "kong_http_log", 9515),
        LogKind::Http => (LogKind::Tcp, "kong_tcp_log", 9514),
    };
    let gateway = source.source.gateway();
    let first = match source_of(config, gateway, Some(other)) {
        Ok(_) => String::new(),
        Err(_) => format!(
            ". It needs a source first: [[collector.sources]] with kind = \"{kind}\", gateway = \"{gateway}\", listen = \
             \"127.0.0.1:{port}\", and a restart of outrider"
        ),
    };
    let (plugin, title, beside) = (other.plugin(), other.title(), taken.title());
    terminal::note(&format!(
        "with --plugin {plugin}, the log comes by {title}, which has a place of its own beside {beside}{first}"
    ));
    if arguments.service.is_empty() && !arguments.per_service && services > 0 {
        terminal::note(&format!(
            "with --per-service, each of the {services} services gets a plugin of ours instead, which then logs its calls and the \
             other one no more; --service does it for some"
        ));
    }
}

fn kind_named(plugin: LogPluginName) -> LogKind {
    match plugin {
        LogPluginName::TcpLog => LogKind::Tcp,
        LogPluginName::HttpLog => LogKind::Http,
    }
}

fn show(plan: &LogPlan, kind: LogKind, services: &[Service], gateway: &GatewayConfig) -> anyhow::Result<()> {
    let name = |id: &str| {
        let known = services.iter().find(|known| known.id == id);
        format!("service {}", known.and_then(|known| known.name.as_deref()).unwrap_or(id))
    };
    let place = |plugin: &Plugin| plugin.service.as_ref().map_or("everything".to_owned(), |service| name(&service.id));
    let mut out = std::io::stdout().lock();
    writeln!(out, "gateway `{}` at {}", gateway.name, gateway.admin_url)?;
    let mut is_shown = false;
    for step in &plan.steps {
        match step {
            LogStep::Keep(plugin) => writeln!(out, "  is right: plugin {} for {}", plugin.id, place(plugin))?,
            // They differ in the service alone.
            LogStep::Create(document) if is_shown => {
                writeln!(out, "  POST /plugins, the same for {}", document.service_id().map_or(String::new(), name))?;
            }
            LogStep::Create(document) => {
                let of = document.service_id().map_or(String::new(), |id| format!(" for {}", name(id)));
                writeln!(out, "  POST /plugins{of}\n{}", indented(&document.shown())?)?;
                is_shown = true;
            }
            LogStep::Replace(plugin, document) => {
                writeln!(out, "  PUT /plugins/{}\n{}", plugin.id, indented(&document.shown())?)?;
            }
            LogStep::Delete(plugin) => {
                writeln!(out, "  DELETE /plugins/{} ({} for {})", plugin.id, plugin.name, place(plugin))?;
            }
            LogStep::Taken(plugin) => {
                let owner = match plugin.tags.iter().find(|tag| tag.starts_with(LOG_TAG) && *tag != LOG_TAG) {
                    Some(tag) => format!("another installation of outrider ({tag})"),
                    None => "somebody else".to_owned(),
                };
                writeln!(out, "  taken: plugin {} of {owner} logs {} already", plugin.id, place(plugin))?;
            }
        }
    }
    if let Some(plugin) = &plan.taken_from {
        let to = match plugin.config["http_endpoint"].as_str() {
            // A URL may hold a password.
            Some(url) => reqwest::Url::parse(url).ok().and_then(|url| Some(url.host_str()?.to_owned())),
            None => plugin.config["host"].as_str().map(|host| format!("{host}:{}", plugin.config["port"])),
        };
        writeln!(
            out,
            "  takes from: plugin {}, which logs everything to {}, gets no calls of these services any more",
            plugin.id,
            to.as_deref().unwrap_or("?")
        )?;
    }
    if !plan.shadowed_by.is_empty() {
        let places = plan.shadowed_by.iter().map(|plugin| match (&plugin.route, &plugin.consumer) {
            (Some(route), _) => format!("route {} (plugin {})", route.id, plugin.id),
            (_, Some(consumer)) => format!("consumer {} (plugin {})", consumer.id, plugin.id),
            _ => format!("{} (plugin {})", place(plugin), plugin.id),
        });
        writeln!(out, "  not seen: calls that a narrower {} plugin takes: {}", kind.title(), some_of(places))?;
    }
    Ok(())
}

/// What tells whose calls come to the source.
struct LogTargets<'a> {
    admin: &'a AdminClient,
    installation: &'a str,
    listen: SocketAddr,
    target: &'a LogTarget,
    services: &'a [Service],
}

impl LogTargets<'_> {
    /// Says which services are logged now, and which are not.
    async fn report(&self, plugins: &[Plugin]) -> anyhow::Result<()> {
        let routes = self.admin.routes().await?;
        let LogTarget { kind, is_tls, secret, .. } = self.target;
        let source = LogSource { kind: *kind, listen: self.listen, is_tls: *is_tls, secret: secret.clone() };
        let view = view_log(self.installation, &[source], plugins, self.services, &routes);
        let mut out = std::io::stdout().lock();
        writeln!(out, "  logged: {} services ({})", view.seen_services.len(), some_of(&view.seen_services))?;
        let unseen = view.unseen.iter().map(|calls| match &calls.taken_by {
            Some(plugin) => format!("{} (plugin {plugin})", calls.place),
            None => format!("{} (no log plugin)", calls.place),
        });
        let unrouted = (!view.sees_unrouted).then(|| "calls that match no route".to_owned());
        let unseen: Vec<String> = unseen.chain(unrouted).collect();
        if !unseen.is_empty() {
            // Whoever asks which are covered needs every one of them.
            writeln!(out, "  not logged: {}", unseen.join(", "))?;
        }
        Ok(())
    }
}

fn indented(document: &serde_json::Value) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(document)?;
    Ok(text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"))
}

/// Asks the person at the terminal; without one, nobody said yes.
fn explained(error: GatewayError) -> anyhow::Error {
    anyhow::Error::new(error)
        .context("a step failed; what was done before it stays, and running it again goes on from there")
}

#[cfg(test)]
mod tests {
    use outrider_collect::{KongHttpLogConfig, LINE_BYTES_MAX_DEFAULT};
    use outrider_respond::gateways::kong::HTTP_LOG_BATCH;

    #[test]
    fn a_batch_of_the_longest_lines_is_taken() {
        let least = HTTP_LOG_BATCH * (LINE_BYTES_MAX_DEFAULT + 1);
        assert!(least <= KongHttpLogConfig::default().body_bytes_max);
    }
}
