//! The configuration file: what it may say, its defaults, and errors that name the line and the nearest known key.
//!
//! Each room owns its settings type; this module only puts them together. Unknown keys are refused everywhere.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use outrider_collect::{Identities, Identity, SourceConfig};
use outrider_model::{Mode, Policy};
use outrider_platform::analysis::AnalysisSettings;
use outrider_platform::enrich::{EnrichSettings, EntitySettings};
use schemars::JsonSchema;
use serde::Deserialize;

pub use access::AccessConfig;
pub use api::ApiConfig;
pub use explain::explain;
pub use gateways::{GatewayConfig, HeaderConfig};
pub use lake::LakeConfig;
pub use notify::NotifyConfig;
pub use services::{PremisesConfig, Role, UplinkConfig};
pub use telemetry::{LogFormat, LoggingConfig, TracingConfig};

mod access;
mod api;
mod explain;
mod gateways;
mod lake;
mod notify;
mod place;
pub mod reference;
mod services;
mod telemetry;

/// Everything that `outrider.toml` may say.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The one directory that everything durable is in. Relative paths are relative to the configuration file.
    pub data_dir: PathBuf,
    /// What leaves the premises as a pseudonym of what leaves in clear otherwise, of all sources and gateways of the file.
    pub pseudonymise: Identities,
    /// Where log lines come from.
    pub collector: CollectorConfig,
    /// The gateways that actions go to.
    pub gateways: Vec<GatewayConfig>,
    /// Where collectors and responders on the premises connect, if they may.
    pub premises: Option<PremisesConfig>,
    /// Where the platform is, for a collector or a responder away from it.
    pub platform: Option<UplinkConfig>,
    /// The people's API.
    pub api: ApiConfig,
    /// How people sign in, besides with a password.
    pub access: AccessConfig,
    /// A second socket for the metrics.
    pub metrics: MetricsConfig,
    /// The program's own log.
    pub logging: LoggingConfig,
    /// Where traces go, if they go anywhere.
    pub tracing: Option<TracingConfig>,
    /// The log between the stages.
    pub log: outrider_platform::log::LogSettings,
    /// What is looked up about calls, and in which files.
    pub enrich: EnrichSettings,
    /// Entities of the business that calls name.
    pub entities: Vec<EntitySettings>,
    /// The table of all events.
    pub lake: LakeConfig,
    /// How the analysis saves its state.
    pub snapshots: SnapshotConfig,
    /// Endpoint discovery.
    pub discover: outrider_discover::Settings,
    /// What is learned of each endpoint: parameters, authentication, sizes.
    pub inventory: outrider_discover::inventory::Settings,
    /// What counts as weak, who hears of it, and how long that is kept.
    pub posture: outrider_discover::posture::Settings,
    /// Detectors and profiles.
    pub detect: outrider_detect::Settings,
    /// Alerts, guard rails and actions.
    pub respond: outrider_respond::desk::Settings,
    /// Who is told of alerts, actions and notices.
    pub notify: Vec<NotifyConfig>,
    /// Policies; the same as those that the API takes, but only changed here.
    pub policies: Vec<Policy>,
    /// The names of the sections that the file has.
    #[serde(skip)]
    sections: BTreeSet<String>,
}

/// Where log lines come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorConfig {
    /// The sources to listen on, and the files to read.
    pub sources: Vec<SourceConfig>,
    /// How old a call may be that waits in the spool of `outrider collector`, such as `3d`, or `permanent`; older ones are given up and
    /// counted.
    pub spool_age_max: outrider_model::Duration,
}

impl CollectorConfig {
    /// Takes over from another one what can change while its sources run.
    pub fn take_over(&mut self, other: &CollectorConfig) {
        for source in &mut self.sources {
            if let Some(other) = other.sources.iter().find(|other| other.name() == source.name()) {
                source.take_over(other);
            }
        }
    }

    /// Whether another one is in force once it has been taken over.
    fn becomes(&self, other: &CollectorConfig) -> bool {
        let mut taken = self.clone();
        taken.take_over(other);
        taken == *other
    }
}

impl Default for CollectorConfig {
    fn default() -> Self {
        CollectorConfig { sources: Vec::new(), spool_age_max: outrider_model::Duration::Seconds(7 * 86_400) }
    }
}

/// A second socket for the metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Address and port, on loopback: it asks for no token. Without it the metrics are at the API alone.
    pub listen: Option<SocketAddr>,
}

/// How the analysis saves its state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotConfig {
    /// Seconds between snapshots, 1 to 3600. After a kill, at most this much of the log is analysed again.
    pub interval_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("outrider-data"),
            pseudonymise: Identities::default(),
            collector: CollectorConfig::default(),
            gateways: Vec::new(),
            premises: None,
            platform: None,
            api: ApiConfig::default(),
            access: AccessConfig::default(),
            metrics: MetricsConfig::default(),
            logging: LoggingConfig::default(),
            tracing: None,
            log: outrider_platform::log::LogSettings::default(),
            enrich: EnrichSettings::default(),
            entities: Vec::new(),
            lake: LakeConfig::default(),
            snapshots: SnapshotConfig::default(),
            discover: outrider_discover::Settings::default(),
            inventory: outrider_discover::inventory::Settings::default(),
            posture: outrider_discover::posture::Settings::default(),
            detect: outrider_detect::Settings::default(),
            respond: outrider_respond::desk::Settings::default(),
            notify: Vec::new(),
            policies: Vec::new(),
            sections: BTreeSet::new(),
        }
    }
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        SnapshotConfig { interval_seconds: 60 }
    }
}

impl Config {
    /// Reads and checks a file. Every error names the file, and where it can the line.
    pub fn load(path: &Path) -> anyhow::Result<Config> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read the configuration {}; name another one with --config", path.display())
        })?;
        let mut config = Config::parse(&text).with_context(|| format!("{} is not valid", path.display()))?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        // Only now it is known which files are meant.
        config.check_files().with_context(|| format!("{} is not valid", path.display()))?;
        Ok(config)
    }

    /// As [`Config::load`], for a process that is this.
    pub fn load_for(path: &Path, role: Role) -> anyhow::Result<Config> {
        let config = Config::load(path)?;
        config.check_role(role).with_context(|| format!("{} is not for this", path.display()))?;
        Ok(config)
    }

    /// A relative path is meant from where the configuration file is, wherever outrider was started.
    fn resolve_paths(&mut self, base: &Path) {
        let gateways = self.gateways.iter_mut().flat_map(|gateway| {
            let header = gateway.admin_header.as_mut().map(|header| &mut header.value_file);
            [gateway.ca_file.as_mut(), gateway.guard_rails_file.as_mut(), header]
        });
        let sources = self.collector.sources.iter_mut().flat_map(SourceConfig::paths_mut).map(Some);
        let api = [self.api.certificate_file.as_mut(), self.api.key_file.as_mut()];
        let premises = self.premises.iter_mut().flat_map(PremisesConfig::paths_mut).map(Some);
        let platform = self.platform.iter_mut().flat_map(UplinkConfig::paths_mut).map(Some);
        let access = self.access.paths_mut().map(Some);
        let tracing = self.tracing.iter_mut().flat_map(TracingConfig::paths_mut).map(Some);
        let enrich = self.enrich.paths_mut().chain(self.lake.paths_mut()).map(Some);
        let services = api.into_iter().chain(access).chain(premises).chain(platform).chain(tracing);
        let notify = self.notify.iter_mut().flat_map(notify::NotifyConfig::paths_mut).map(Some);
        for path in [Some(&mut self.data_dir)]
            .into_iter()
            .chain(gateways)
            .chain(sources)
            .chain(services)
            .chain(notify)
            .chain(enrich)
            .flatten()
        {
            // Joining an absolute path gives that path.
            *path = base.join(&*path);
        }
    }

    /// The sections in which another configuration differs and that only a start puts in force.
    pub fn restart_needed(&self, other: &Config) -> Vec<&'static str> {
        // All are named, so that a new section finds its place; what `_` stands for changes while outrider runs.
        let Config {
            data_dir,
            // It has become a part of sources and gateways.
            pseudonymise: _,
            collector,
            gateways,
            premises,
            platform,
            api,
            access,
            metrics,
            logging,
            tracing,
            log,
            enrich: _,
            entities: _,
            lake,
            snapshots,
            discover: _,
            inventory: _,
            posture: _,
            detect: _,
            respond: _,
            notify: _,
            policies: _,
            sections: _,
        } = other;
        let differs = [
            ("data_dir", self.data_dir != *data_dir),
            ("collector", !self.collector.becomes(collector)),
            ("gateways", self.gateways != *gateways),
            ("premises", self.premises != *premises),
            ("platform", self.platform != *platform),
            ("api", self.api != *api),
            ("access", self.access != *access),
            ("metrics", self.metrics != *metrics),
            ("logging.format", self.logging.format != logging.format),
            ("tracing", self.tracing != *tracing),
            ("log", self.log != *log),
            ("lake", self.lake != *lake),
            ("snapshots", self.snapshots != *snapshots),
        ];
        differs.into_iter().filter_map(|(section, differs)| differs.then_some(section)).collect()
    }

    /// Takes over the sections that can change while outrider runs.
    pub fn take_over(&mut self, other: Config) {
        let Config {
            pseudonymise,
            collector,
            logging,
            enrich,
            entities,
            discover,
            inventory,
            posture,
            detect,
            respond,
            notify,
            policies,
            ..
        } = other;
        let logging = LoggingConfig { level: logging.level, ..self.logging };
        self.collector.take_over(&collector);
        *self = Config {
            pseudonymise,
            logging,
            enrich,
            entities,
            discover,
            inventory,
            posture,
            detect,
            respond,
            notify,
            policies,
            ..std::mem::take(self)
        };
    }

    /// What is valid and still may not be what was meant.
    pub fn warnings(&self) -> Vec<String> {
        let served: BTreeSet<_> = self.gateway_names().into_iter().collect();
        let mut unserved = BTreeSet::new();
        let mut warnings = self.unmapped_entities();
        warnings.extend(self.logged_twice());
        warnings.extend(self.unknown_names());
        if !self.policies.iter().any(|policy| policy.mode == Mode::Enforce) {
            return warnings;
        }
        for source in &self.collector.sources {
            if !served.contains(source.gateway()) {
                unserved.insert(source.gateway());
            }
        }
        let text = |name| {
            format!(
                "no [[gateways]] entry and none of premises.gateways has the name `{name}`, so nothing can be blocked there and \
                 policies only propose"
            )
        };
        warnings.extend(unserved.into_iter().map(text));
        warnings
    }

    /// Gateways whose log comes by a file and by a connection: nothing tells that two lines are of one call.
    fn logged_twice(&self) -> Vec<String> {
        let sources = &self.collector.sources;
        let of = |is_file: bool| -> BTreeSet<&str> {
            let chosen = sources.iter().filter(|source| source.file().is_some() == is_file);
            chosen.map(SourceConfig::gateway).collect()
        };
        let text = |name: &&str| {
            format!(
                "the log of `{name}` is read from a file and taken from a connection: where both are of the same calls, each counts \
                 twice"
            )
        };
        of(true).intersection(&of(false)).map(text).collect()
    }

    /// Entries of the never-block list where names that it may have are pseudonyms.
    fn unknown_names(&self) -> Option<String> {
        use Identity::{ConsumerCustomId, ConsumerTags, ConsumerUsername};
        let is_hidden = [ConsumerUsername, ConsumerCustomId, ConsumerTags].iter().any(|name| self.pseudonymises(*name));
        (is_hidden && !self.respond.guard_rails.never_block.is_empty()).then(|| {
            "respond.guard_rails.never_block is held against what calls have, where names are pseudonyms: write ids or \
             pseudonyms (`outrider pseudonym`) there, and names into the guard_rails_file of the gateway"
                .to_owned()
        })
    }

    /// Entities of fields that no source here maps, where there are sources here.
    fn unmapped_entities(&self) -> Vec<String> {
        let sources = &self.collector.sources;
        let is_mapped = |field: &str| {
            sources.iter().any(|source| source.line_settings().fields.iter().any(|mapped| mapped.name == field))
        };
        let unmapped = self.entities.iter().filter_map(|entity| Some((&entity.name, entity.field.as_deref()?)));
        let unmapped = unmapped.filter(|(_, field)| !sources.is_empty() && !is_mapped(field));
        let text = |(name, field)| format!("the entity `{name}` is of the field `{field}`, which no source maps");
        unmapped.map(text).collect()
    }

    /// Reads and checks a text.
    pub fn parse(text: &str) -> anyhow::Result<Config> {
        let mut config: Config = toml::from_str(text).map_err(|error| explain(text, &error))?;
        let table: toml::Table = toml::from_str(text).map_err(|error| explain(text, &error))?;
        config.sections = table.into_iter().map(|(section, _)| section).collect();
        config.spread_pseudonymise();
        config.check().map_err(|error| place::with_line(text, error))?;
        Ok(config)
    }

    /// What is a pseudonym for all is one for each source, and what is one in a gateway's calls is one in its configuration.
    fn spread_pseudonymise(&mut self) {
        for source in &mut self.collector.sources {
            source.pseudonymise_mut().add(&self.pseudonymise);
        }
        for gateway in &mut self.gateways {
            gateway.pseudonymise.add(&self.pseudonymise);
            for source in self.collector.sources.iter().filter(|source| source.gateway() == gateway.name) {
                gateway.pseudonymise.add(source.pseudonymise());
            }
        }
    }

    /// Whether calls of a source or gateway have a pseudonym in this one's place.
    pub fn pseudonymises(&self, identity: Identity) -> bool {
        let sources = self.collector.sources.iter().map(SourceConfig::pseudonymise);
        let mut all = sources.chain(self.gateways.iter().map(|gateway| &gateway.pseudonymise));
        all.any(|identities| identities.has(identity))
    }

    fn check(&self) -> anyhow::Result<()> {
        self.analysis().validate()?;
        self.log.validate()?;
        self.enrichment().validate()?;
        self.check_services()?;
        self.tracing.as_ref().map_or(Ok(()), TracingConfig::check)?;
        for gateway in &self.gateways {
            gateway.admin().validate().with_context(|| format!("gateway `{}`", gateway.name))?;
            ensure!(gateway.resync_seconds >= 1, "gateways: resync_seconds of `{}` must be at least 1", gateway.name);
            ensure!(
                matches!(gateway.configuration_seconds, 0 | 10..=86_400),
                "gateways: configuration_seconds of `{}` must be 10 to 86400, or 0 to read no configuration",
                gateway.name
            );
        }
        for source in &self.collector.sources {
            source.validate().context("collector.sources")?;
        }
        self.check_files()?;
        notify::check(&self.notify)?;
        self.access.check(&self.api)?;
        self.lake.check()?;
        let interval = self.snapshots.interval_seconds;
        ensure!((1..=3600).contains(&interval), "snapshots.interval_seconds is {interval}; use 1 to 3600");
        if let Some(listen) = self.metrics.listen.filter(|listen| !listen.ip().is_loopback()) {
            bail!(
                "metrics.listen is {listen}, which is not loopback, and it asks for no token; listen on 127.0.0.1, or scrape \
                 `/metrics` of the API with a viewer's token"
            );
        }
        self.api.check()
    }

    /// Refuses two sources of one file, by whatever path and link they read it.
    fn check_files(&self) -> anyhow::Result<()> {
        let mut files = BTreeSet::new();
        for source in &self.collector.sources {
            let (Some(file), Some(resolved)) = (source.file(), source.resolved_file()) else { continue };
            ensure!(
                files.insert(resolved),
                "collector.sources: two read {}, and each of its calls would count twice",
                file.display()
            );
        }
        Ok(())
    }

    /// What calls are enriched with.
    pub fn enrichment(&self) -> EnrichSettings {
        EnrichSettings { entities: self.entities.clone(), ..self.enrich.clone() }
    }

    /// What enters the log as settings.
    pub fn analysis(&self) -> AnalysisSettings {
        AnalysisSettings {
            discover: self.discover.clone(),
            inventory: self.inventory.clone(),
            posture: self.posture.clone(),
            detect: self.detect.clone(),
            respond: self.respond.clone(),
            policies: self.policies.clone(),
            gateways: Some(self.gateway_names()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn an_empty_file_is_a_valid_configuration() {
        assert!(Config::parse("").unwrap().lake.enabled);
    }

    #[test]
    fn the_documented_example_is_valid() {
        let text = include_str!("../../../docs/outrider.example.toml");
        let config = Config::parse(text).unwrap();
        assert_eq!((config.collector.sources.len(), config.gateways.len(), config.policies.len()), (1, 1, 2));
    }

    #[test]
    fn the_readmes_configuration_is_valid() {
        let readme = include_str!("../../../README.md");
        let text = readme.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = Config::parse(text).unwrap();
        assert_eq!((config.collector.sources.len(), config.gateways.len(), config.policies.len()), (1, 1, 1));
    }

    #[test]
    fn the_page_of_kongs_log_has_valid_sources_one_of_them_with_tls() {
        let page = include_str!("../../../docs/kong.md");
        let blocks = page.split("```toml").skip(1).filter_map(|rest| rest.split("```").next());
        let sources = blocks.filter(|text| text.contains("[[collector.sources]]"));
        let configs: Vec<_> = sources.map(|text| Config::parse(text).unwrap()).collect();
        let sources = || configs.iter().flat_map(|config| &config.collector.sources);
        assert!(
            sources().any(|source| source.tls().is_some()) && sources().any(|source| source.kind() == "kong_file_log")
        );
    }

    #[test]
    fn two_sources_of_one_file_are_refused_however_it_is_spelled() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        std::fs::create_dir(at("log")).unwrap();
        std::fs::write(at("log/calls.log"), "").unwrap();
        std::os::unix::fs::symlink(at("log"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("log/calls.log"), at("log/now.log")).unwrap();
        let absolute = at("log/calls.log").display().to_string();
        for (first, second, is_refused) in [
            ("log/calls.log", absolute.as_str(), true),
            ("log/calls.log", "./log/../log/calls.log", true),
            ("log/calls.log", "link/calls.log", true),
            ("log/calls.log", "log/now.log", true),
            ("log/later.log", "link/later.log", true),
            ("log/calls.log", "log/later.log", false),
        ] {
            let source = |path| format!("[[collector.sources]]\nkind = 'kong_file_log'\npath = '{path}'\n");
            std::fs::write(at("outrider.toml"), source(first) + &source(second)).unwrap();
            let loaded = Config::load(&at("outrider.toml"));
            assert_eq!(loaded.is_err(), is_refused, "{first} {second}");
            assert!(loaded.err().is_none_or(|error| format!("{error:#}").contains("two read ")), "{first} {second}");
        }
    }

    #[test]
    fn a_gateway_whose_log_comes_twice_is_warned_of() {
        let file = "[[collector.sources]]\nkind = 'kong_file_log'\npath = 'a'\n";
        let listening = "[[collector.sources]]\nkind = 'kong_tcp_log'\nlisten = '127.0.0.1:9514'\n";
        for (text, is_told) in [
            (file.to_owned(), false),
            (listening.to_owned(), false),
            (file.to_owned() + listening, true),
            (file.to_owned() + listening + "gateway = 'other'\n", false),
        ] {
            let warnings = Config::parse(&text).unwrap().warnings();
            assert_eq!(
                warnings.iter().any(|warning| warning.contains("counts twice")),
                is_told,
                "{text}\n{warnings:?}"
            );
        }
    }

    #[test]
    fn what_is_a_pseudonym_for_all_is_one_for_each_and_in_a_gateways_configuration_as_in_its_calls() {
        use Identity::{ClientAddress, ConsumerUsername, RouteName, ServiceName};
        let text = "pseudonymise = ['client_address']\n\
                    [[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'a'\npseudonymise = ['consumer_username']\n\
                    [[collector.sources]]\nkind = 'kong_http_log'\ngateway = 'b'\n\
                    [[gateways]]\nname = 'a'\nadmin_url = 'http://a'\npseudonymise = ['route_name']\n\
                    [[gateways]]\nname = 'c'\nadmin_url = 'http://c'\n";
        let config = Config::parse(text).unwrap();
        let has = |identities: &Identities| {
            [ClientAddress, ConsumerUsername, RouteName, ServiceName].map(|identity| identities.has(identity))
        };
        let sources = config.collector.sources.iter().map(|source| has(source.pseudonymise()));
        assert!(sources.eq([[true, true, false, false], [true, false, false, false]]));
        let gateways = config.gateways.iter().map(|gateway| has(&gateway.pseudonymise));
        assert!(gateways.eq([[true, true, true, false], [true, false, false, false]]));
        let lines = config.collector.sources[0].line_settings();
        assert_eq!(lines.pseudonymise, *config.collector.sources[0].pseudonymise());

        // What a reload brings is in force of calls at once, and of a gateway's configuration at the next start.
        let mut running = config.clone();
        let next = Config::parse(&text.replace("'client_address'", "'client_address', 'service_name'")).unwrap();
        assert_eq!(running.restart_needed(&next), ["gateways"]);
        running.take_over(next);
        assert!(running.collector.sources.iter().all(|source| source.pseudonymise().has(ServiceName)));

        let list = "[respond.guard_rails]\nnever_block = ['alice']\n";
        for (text, is_told) in [
            (format!("{text}{list}"), true),
            (format!("pseudonymise = ['client_address']\n{list}"), false),
            (text.to_owned(), false),
        ] {
            let warnings = Config::parse(&text).unwrap().warnings();
            assert_eq!(warnings.iter().any(|warning| warning.contains("never_block")), is_told, "{text}: {warnings:?}");
        }
    }

    #[test]
    fn the_page_of_enrichment_and_its_example_are_valid() {
        let page = include_str!("../../../docs/enrichment.md");
        let text = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let mut config = Config::parse(text).unwrap();
        assert_eq!((config.enrich.databases.len(), config.enrich.lists.len(), config.entities.len()), (3, 2, 3));
        config.resolve_paths(Path::new("/etc/outrider"));
        assert_eq!(config.enrichment().lists[0].file, Path::new("/etc/outrider/geo/hosting.txt"));
        // The example has it as a comment.
        let example = include_str!("../../../docs/outrider.example.toml");
        let (before, rest) = example.split_once("# [enrich]").unwrap();
        let (sections, after) = rest.split_once("# What automatic").unwrap();
        let switched_on = format!(
            "{before}[enrich]{}# What automatic{after}",
            sections.replace("\n# [[", "\n[[").replace("\n# ", "\n")
        );
        let switched_on = switched_on.replace("Whom calls name,", "# Whom calls name,");
        let config = Config::parse(&switched_on).unwrap();
        assert_eq!((config.enrich.databases.len(), config.enrich.lists.len(), config.entities.len()), (2, 1, 1));
    }

    #[test]
    fn the_page_of_mapping_is_valid() {
        let page = include_str!("../../../docs/mapping.md");
        let text = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = Config::parse(text).unwrap();
        let lines = config.collector.sources[0].line_settings();
        assert_eq!((lines.fields.len(), lines.drop.len()), (2, 2));
        assert_eq!(config.warnings(), [""; 0]);
        let other = text.replace("name = \"tenant\"\nvalue", "name = \"org\"\nvalue");
        let warnings = Config::parse(&other).unwrap().warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("which no source maps"), "{warnings:?}");
    }

    #[test]
    fn paths_are_meant_from_the_file_and_names_that_do_not_meet_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outrider.toml");
        let text = "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'edge'\nlisten = '127.0.0.1:0'\n\
                    secret_file = 's'\ntls = { certificate_file = 'c.pem', key_file = '/etc/c.key' }\n\
                    [[gateways]]\nname = 'kong'\nadmin_url = 'http://k'\nguard_rails_file = 'rails.toml'\nca_file = '/etc/ca.pem'\n\
                    [[policies]]\nname = 'p'\nrespond.kind = 'block'\nduration = '1m'\nmode = 'enforce'";
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.data_dir, directory.path().join("outrider-data"));
        assert_eq!(config.gateways[0].guard_rails_file, Some(directory.path().join("rails.toml")));
        assert_eq!(config.gateways[0].ca_file, Some(PathBuf::from("/etc/ca.pem")));
        let source = &config.collector.sources[0];
        let tls = source.tls().unwrap();
        assert_eq!(source.secret_file(), Some(&*directory.path().join("s")));
        assert_eq!((&tls.certificate_file, &*tls.key_file), (&directory.path().join("c.pem"), Path::new("/etc/c.key")));
        let warnings = config.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("`edge`"), "{warnings:?}");
    }

    #[test]
    fn mistakes_are_refused_with_line_and_nearest_key() {
        let cases = [
            ("data_dri = 'x'", "line 1", "did you mean `data_dir`?"),
            ("[api]\nlisten = '127.0.0.1:1'\nbehind_porxy = 'nginx'", "line 3", "did you mean `behind_proxy`?"),
            ("[[gateways]]\nname = 'k'\nadmin_ulr = 'http://k'", "line 3", "did you mean `admin_url`?"),
            ("[[collector.sources]]\nkind = 'kong_tcp_lgo'\ngateway = 'k'", "", "did you mean `kong_tcp_log`?"),
            (
                "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'k'\nlistn = 'x'",
                "line 4",
                "did you mean `listen`?",
            ),
            (
                "[[collector.sources]]\nkind = 'kong_tcp_log'\ntls = { certificate_file = 'c' }",
                "",
                "missing field `key_file`",
            ),
            (
                "[[collector.sources]]\nkind = 'kong_http_log'\ntls = { certificate_fle = 'c', key_file = 'k' }",
                "",
                "did you mean `certificate_file`?",
            ),
            ("[[collector.sources]]\nkind = 'kong_file_log'", "", "missing field `path`"),
            (
                "[[collector.sources]]\nkind = 'kong_file_log'\npath = 'a'\nstrat = 'end'",
                "line 4",
                "did you mean `start`?",
            ),
            (
                "[[collector.sources]]\nkind = 'kong_file_log'\npath = 'a'\n[[collector.sources]]\nkind = \
                 'kong_file_log'\npath = 'a'",
                "",
                "two read a",
            ),
            ("[lake]\nenabled = 'yes'", "line 2", "expected a boolean"),
            ("[lake]\ncommit_interval_ms = 5", "", "use 100 to 60000"),
            ("[[policies]]\nname = 'p'\nduration = '15 minutes'\nrespond.kind = 'block'", "line 3", "like `15m`"),
            ("[[policies]]\nname = 'P p'\nduration = '15m'\nrespond.kind = 'block'", "", "1 to 64 characters"),
            ("pseudonymise = ['client_adress']", "line 1", "did you mean `client_address`?"),
            ("[enrich]\ndatabase = ['x']", "line 2", "did you mean `databases`?"),
            ("[[enrich.lists]]\nclass = 'vpm'\nfile = 'x'", "line 2", "did you mean `vpn`?"),
            ("[[entities]]\nname = 'm'\nquerry = 'm'", "line 3", "did you mean `query`?"),
            ("[[entities]]\nname = 'ip'\nquery = 'm'", "entities: `ip`", "a meaning of its own"),
            ("[[entities]]\nname = 'm'", "entities: `m`", "exactly one of"),
            ("[detect.request_spike]\nwindwo = 1", "line 2", "unknown field `windwo`"),
            ("[discover]\nnodes_max = 0", "discover: ", "`nodes_max` must be between 64 and"),
            ("[inventory]\nbytes_max = 1", "inventory: ", "`bytes_max` must be between"),
            ("[[inventory.classes]]\nname = 'Badge'\nwords = ['badge']", "line 1", "needs another name"),
            ("[posture]\ndormant_days = 0", "posture: ", "`dormant_days` must be between"),
            ("[posture]\ndisabled = ['plain_htp']", "posture: ", "there is no such posture check"),
            ("[posture]\nalert_severity_min = 'hihg'", "line 2", "did you mean `high`?"),
            ("[api]\nlisten = '0.0.0.0:9580'", "", "api.behind_proxy"),
            ("[api]\nbehind_proxy = 'nginx'", "line 2", "`nginx` is no address and no network"),
            (
                "[api]\nbehind_proxy = ['10.0.0.0/24', 'nginx']",
                "line 2",
                "behind_proxy = [\"10.0.0.7\", \"10.1.0.0/24\"]",
            ),
            ("[api]\nbehind_proxy = 7", "line 2", "addresses of the proxy"),
            (
                "[[gateways]]\nname = 'k'\nadmin_url = 'http://k'\n[[gateways]]\nname = 'k'\nadmin_url = 'http://k'",
                "",
                "there twice",
            ),
            ("[[gateways]]\nname = 'k'\nadmin_url = 'localhost:8001'", "gateway `k`", "must begin with http://"),
            ("x = [", "line 1", ""),
        ];
        for (text, place, words) in cases {
            let error = error_of(text);
            assert!(error.contains(place) && error.contains(words), "{text}\ngave: {error}");
        }
    }
}
