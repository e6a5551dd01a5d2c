//! Which service a configuration is for, and how the services reach each other.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{bail, ensure};
use outrider_collect::{Identity, SourceConfig};
use outrider_platform::tls::TlsSettings;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Config;

/// Where collectors and responders on the premises connect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PremisesConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// The gateways whose responders connect here, by name.
    pub gateways: Vec<String>,
    /// The certificate, with those between it and its authority; needed to listen off loopback.
    pub certificate_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
    /// The authorities of client certificates; with it, nobody connects without one.
    pub client_ca_file: Option<PathBuf>,
}

/// The way to the platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UplinkConfig {
    /// The platform's premises address, `https`; `http` on the same machine.
    pub url: String,
    /// The file with the token that `outrider service create` showed. A function may have the token elsewhere.
    pub token_file: Option<PathBuf>,
    /// The authorities of the platform's certificate; with it, the system's are not trusted.
    pub ca_file: Option<PathBuf>,
    /// A certificate of this service's own, where the platform asks for one.
    pub certificate_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything: `outrider run`.
    Run,
    /// `outrider function`.
    Function,
    /// `outrider collector`.
    Collector,
    /// `outrider platform`.
    Platform,
    /// `outrider responder`.
    Responder,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Run, Role::Function, Role::Collector, Role::Platform, Role::Responder];

    /// The sections that it reads, besides `data_dir`.
    fn sections(self) -> &'static [&'static str] {
        match self {
            Role::Run => &[
                "pseudonymise",
                "collector",
                "gateways",
                "premises",
                "api",
                "access",
                "metrics",
                "logging",
                "tracing",
                "log",
                "enrich",
                "entities",
                "lake",
                "snapshots",
                "discover",
                "inventory",
                "posture",
                "detect",
                "respond",
                "notify",
                "policies",
            ],
            Role::Function => &["pseudonymise", "collector", "platform", "logging"],
            Role::Collector => {
                &["pseudonymise", "collector", "platform", "metrics", "logging", "tracing", "log", "enrich"]
            }
            Role::Platform => &[
                "premises",
                "api",
                "access",
                "metrics",
                "logging",
                "tracing",
                "log",
                "enrich",
                "entities",
                "lake",
                "snapshots",
                "discover",
                "inventory",
                "posture",
                "detect",
                "respond",
                "notify",
                "policies",
            ],
            Role::Responder => &["pseudonymise", "gateways", "platform", "metrics", "logging", "tracing"],
        }
    }
}

impl Role {
    /// The subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Role::Run => "run",
            Role::Function => "function",
            Role::Collector => "collector",
            Role::Platform => "platform",
            Role::Responder => "responder",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outrider {}", self.name())
    }
}

impl Default for PremisesConfig {
    fn default() -> Self {
        PremisesConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 9581)),
            gateways: Vec::new(),
            certificate_file: None,
            key_file: None,
            client_ca_file: None,
        }
    }
}

impl PremisesConfig {
    /// Its TLS, where there is one.
    pub fn tls(&self) -> Option<TlsSettings> {
        tls(self.certificate_file.as_ref(), self.key_file.as_ref(), self.client_ca_file.as_ref())
    }

    /// The files that it names.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.certificate_file.iter_mut().chain(&mut self.key_file).chain(&mut self.client_ca_file)
    }
}

impl UplinkConfig {
    /// The files that it names.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let more = self.ca_file.iter_mut().chain(&mut self.certificate_file).chain(&mut self.key_file);
        self.token_file.iter_mut().chain(more)
    }

    fn check(&self) -> anyhow::Result<()> {
        let refused = |why: &str| anyhow::anyhow!("platform.url `{}` is not usable: {why}", self.url);
        let url = reqwest::Url::parse(&self.url).map_err(|error| refused(&error.to_string()))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(refused("`http` off loopback shows the token to everybody on the way; use `https`")),
            _ => return Err(refused("use `https`")),
        }
        is_pair("platform", self.certificate_file.as_ref(), self.key_file.as_ref())
    }
}

/// Nobody else can listen on the way there.
pub(super) fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The TLS of a listener; a checked configuration has both files or none.
pub(super) fn tls(
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
    client_ca: Option<&PathBuf>,
) -> Option<TlsSettings> {
    let (certificate_file, key_file) = (certificate?.clone(), key?.clone());
    Some(TlsSettings { certificate_file, key_file, client_ca_file: client_ca.cloned() })
}

/// A certificate is nothing without its key.
pub(super) fn is_pair(section: &str, certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> anyhow::Result<()> {
    let is_pair = certificate.is_some() == key.is_some();
    ensure!(is_pair, "{section}: certificate_file and key_file go together; set both, or neither");
    Ok(())
}

impl Config {
    /// The gateways that actions can go to: those that are held here, and those whose responders connect.
    pub fn gateway_names(&self) -> Vec<String> {
        let held = self.gateways.iter().map(|gateway| gateway.name.clone());
        held.chain(self.premises.iter().flat_map(|premises| premises.gateways.iter().cloned())).collect()
    }

    /// Refuses sections that `role` does not read: who wrote them expects that they do something.
    pub fn check_role(&self, role: Role) -> anyhow::Result<()> {
        for section in &self.sections {
            if section == "data_dir" || role.sections().contains(&section.as_str()) {
                continue;
            }
            let others: Vec<_> = Role::ALL
                .into_iter()
                .filter(|other| other.sections().contains(&section.as_str()))
                .map(|other| format!("`{other}`"))
                .collect();
            bail!(
                "`{role}` does not read the section `{section}`, which is for {}; move it there",
                others.join(" or ")
            );
        }
        match role {
            Role::Run => {}
            Role::Platform => ensure!(
                self.premises.is_some(),
                "`{role}` needs a section [premises]: where collectors and responders connect, and for which gateways"
            ),
            Role::Function => {
                ensure!(self.platform.is_some(), "`{role}` needs a section [platform]: its url");
                let is_one = matches!(self.collector.sources.as_slice(), [SourceConfig::KongHttpLog(source)] if source.tls.is_none());
                ensure!(
                    is_one,
                    "`{role}` needs one [[collector.sources]] with kind = \"kong_http_log\" and without tls, which the \
                     function's platform speaks"
                );
            }
            Role::Collector | Role::Responder => ensure!(
                self.platform.as_ref().is_some_and(|platform| platform.token_file.is_some()),
                "`{role}` needs a section [platform]: its url, and the token_file of this service"
            ),
        }
        ensure!(
            role != Role::Collector || !self.collector.sources.is_empty(),
            "`{role}` needs at least one [[collector.sources]]"
        );
        ensure!(
            role != Role::Collector || !self.sections.contains("enrich") || self.pseudonymises(Identity::ClientAddress),
            "`{role}` reads the section `enrich` where it makes `client_address` a pseudonym, which nobody else can look up; move \
             it to `{}`, or set pseudonymise = [\"client_address\"]",
            Role::Platform
        );
        ensure!(role != Role::Responder || !self.gateways.is_empty(), "`{role}` needs at least one [[gateways]]");
        Ok(())
    }

    /// What this configuration can be used for. None is an error that says why it cannot be used by the likeliest one.
    pub fn roles(&self) -> anyhow::Result<Vec<Role>> {
        let roles: Vec<_> = Role::ALL.into_iter().filter(|role| self.check_role(*role).is_ok()).collect();
        if roles.is_empty() {
            let likeliest = match (&self.platform, self.gateways.is_empty()) {
                (None, _) => Role::Run,
                (Some(_), true) => Role::Collector,
                (Some(_), false) => Role::Responder,
            };
            self.check_role(likeliest)?;
        }
        Ok(roles)
    }

    pub(super) fn check_services(&self) -> anyhow::Result<()> {
        if let Some(platform) = &self.platform {
            platform.check()?;
        }
        if let Some(premises) = &self.premises {
            is_pair("premises", premises.certificate_file.as_ref(), premises.key_file.as_ref())?;
            let is_tls = premises.certificate_file.is_some();
            ensure!(is_tls || premises.client_ca_file.is_none(), "premises.client_ca_file needs a certificate_file");
            ensure!(
                is_tls || premises.listen.ip().is_loopback(),
                "premises.listen is {}, which is not loopback, and there is no TLS; set premises.certificate_file and \
                 premises.key_file, which `outrider ca issue` makes",
                premises.listen
            );
        }
        let mut names = BTreeSet::new();
        for name in self.gateway_names() {
            ensure!(!name.is_empty(), "gateways: a name is empty");
            ensure!(names.insert(name.clone()), "gateways: `{name}` is there twice");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "[[collector.sources]]\nkind = 'kong_tcp_log'\ngateway = 'k'\n";
    const HTTP_SOURCE: &str = "[[collector.sources]]\nkind = 'kong_http_log'\n";
    const GATEWAY: &str = "[[gateways]]\nname = 'k'\nadmin_url = 'http://k'\n";
    const UPLINK: &str = "[platform]\nurl = 'https://outrider.example:9581'\ntoken_file = 't'\n";
    const METRICS: &str = "[metrics]\nlisten = '127.0.0.1:9582'\n";
    const HIDDEN: &str = "pseudonymise = ['client_address']\n";
    const ENRICH: &str = "[enrich]\ndatabases = ['city.mmdb']\n";
    const PREMISES: &str = "[premises]\ngateways = ['k']\n";

    #[test]
    fn each_service_reads_its_own_sections_and_no_others() {
        use Role::{Collector, Function, Platform, Responder, Run};
        let cases: [(&[&str], &[Role], &str); 19] = [
            (&[], &[Run], ""),
            (&[SOURCE, GATEWAY], &[Run], ""),
            (&[SOURCE, UPLINK], &[Collector], ""),
            (&[SOURCE, UPLINK, "[log]\ncompress = true\n"], &[Collector], ""),
            (&[GATEWAY, UPLINK], &[Responder], ""),
            (&[SOURCE, UPLINK, METRICS], &[Collector], ""),
            (&[GATEWAY, UPLINK, METRICS], &[Responder], ""),
            (&[PREMISES], &[Run, Platform], ""),
            (&[HIDDEN, SOURCE, UPLINK], &[Collector], ""),
            (&[HIDDEN, SOURCE, UPLINK, ENRICH], &[Collector], ""),
            (&[SOURCE, UPLINK, ENRICH], &[], "reads the section `enrich` where it makes `client_address` a pseudonym"),
            (&[HIDDEN, GATEWAY, UPLINK], &[Responder], ""),
            (&[SOURCE, PREMISES], &[Run], ""),
            (&[SOURCE, GATEWAY, UPLINK], &[], "does not read the section `collector`, which is for `outrider run` or"),
            (&[UPLINK], &[], "at least one [[collector.sources]]"),
            (&[HTTP_SOURCE, UPLINK], &[Function, Collector], ""),
            (&[HTTP_SOURCE, "[platform]\nurl = 'https://outrider.example:9581'\n"], &[Function], ""),
            (&[HTTP_SOURCE, HTTP_SOURCE, UPLINK], &[Collector], ""),
            (&[HTTP_SOURCE, "tls = { certificate_file = 'c', key_file = 'k' }\n", UPLINK], &[Collector], ""),
        ];
        for (sections, expected, words) in cases {
            let config = Config::parse(&sections.concat()).unwrap();
            match config.roles() {
                Ok(roles) => assert_eq!(roles, expected, "{sections:?}"),
                Err(error) => {
                    assert!(expected.is_empty() && error.to_string().contains(words), "{sections:?}: {error}")
                }
            }
        }
    }

    #[test]
    fn the_documented_configurations_are_for_their_services() {
        let page = include_str!("../../../../docs/services.md");
        let blocks: Vec<_> = page.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        let expected = [("platform", Role::Platform), ("collector", Role::Collector), ("responder", Role::Responder)];
        assert_eq!(blocks.len(), expected.len());
        for (block, (name, role)) in blocks.iter().zip(expected) {
            assert!(block.contains(&format!("# {name}.toml")), "{block}");
            assert!(Config::parse(block).unwrap().roles().unwrap().contains(&role), "{block}");
        }
    }

    #[test]
    fn the_page_of_the_function_has_a_configuration_for_it_alone() {
        let page = include_str!("../../../../docs/function.md");
        let text = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        assert_eq!(Config::parse(text).unwrap().roles().unwrap(), [Role::Function]);
    }

    #[test]
    fn ways_that_are_not_safe_are_refused() {
        let cases = [
            ("[platform]\nurl = 'http://far.example'\ntoken_file = 't'", "shows the token"),
            ("[platform]\nurl = 'far'\ntoken_file = 't'", "platform.url `far`"),
            ("[platform]\nurl = 'https://x'\ntoken_file = 't'\ncertificate_file = 'c'", "go together"),
            ("[platform]\nurl = 'https://x'\ntoken_flie = 't'", "did you mean `token_file`?"),
            ("[premises]\nlisten = '0.0.0.0:9581'", "premises.certificate_file"),
            ("[premises]\nclient_ca_file = 'c'", "needs a certificate_file"),
            ("[premises]\nkey_file = 'c'", "go together"),
            ("[premises]\ngateways = ['k']\n[[gateways]]\nname = 'k'\nadmin_url = 'http://k'", "there twice"),
            ("[api]\nlisten = '0.0.0.0:9580'\ncertificate_file = 'c'", "go together"),
        ];
        for (text, words) in cases {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(words), "{text}\ngave: {error}");
        }
        let open = "[api]\nlisten = '0.0.0.0:9580'\ncertificate_file = 'c'\nkey_file = 'k'";
        assert!(Config::parse(open).unwrap().api.tls().is_some());
    }
}
