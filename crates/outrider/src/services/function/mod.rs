//! `outrider function`: Kong's HTTP Log as a function that keeps nothing.
//!
//! The lines of a request are sanitised, sent to the platform, and answered with 2xx when the platform has them on stable
//! storage; until then they are in Kong's queue. There is no spool and no directory, so as many instances as a platform for
//! functions starts can run at once, and each may end at any moment.
//!
//! AWS Lambda is spoken to by its runtime API ([`lambda`]); every other platform for functions sends HTTP to `PORT`.

mod forward;
mod lambda;
mod secrets;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use outrider_collect::{AllowList, KongHttpLog, KongHttpLogConfig, SourceConfig};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::uplink::Uplink;
use crate::config::Config;
use crate::edges::report_panic;
use secrets::Secrets;

/// Requests that wait for those that are on their way to the platform. Their bodies are limited, too.
const REQUESTS_WAITING: usize = 1024;
/// What says that this is a function of AWS Lambda: where its runtime API is.
const LAMBDA_VARIABLE: &str = "AWS_LAMBDA_RUNTIME_API";
/// The port on which a platform for functions sends requests.
const PORT_VARIABLE: &str = "PORT";

/// A running function.
pub struct Function {
    source: JoinHandle<()>,
    forwarding: JoinHandle<()>,
    /// Where AWS Lambda asks.
    runtime: Option<JoinHandle<anyhow::Result<()>>>,
    stop: CancellationToken,
}

/// Who sends the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// AWS Lambda, through this process.
    Lambda,
    /// Whoever finds the function: its platform listens for it.
    Everybody(u16),
    /// Those that the configuration lets connect.
    Configured,
}

impl Function {
    /// Starts to answer. The platform need not be there.
    pub async fn start(config: &Config) -> anyhow::Result<Function> {
        let uplink = config.platform.as_ref().context("platform.url is not set")?;
        let [SourceConfig::KongHttpLog(source)] = config.collector.sources.as_slice() else {
            bail!("a function needs one source of the kind `kong_http_log`");
        };
        let sender = Sender::of(|name| std::env::var(name).ok())?;
        let secrets = Secrets::read(config, source, |name| std::env::var(name).ok())?;
        if sender != Sender::Configured && secrets.source.is_none() {
            bail!(
                "everybody could send lines to this function; give the source a secret_file, or set {}",
                secrets::SOURCE_VARIABLE
            );
        }
        let uplink = Arc::new(Uplink::stateless(uplink, secrets.token)?);
        let (delivered, deliveries) = mpsc::channel(REQUESTS_WAITING);
        let settings = sender.settings(source)?;
        let clock = Arc::new(outrider_collect::SystemClock);
        let mut source = KongHttpLog::bind(&settings, secrets.key, clock, delivered, None, None)?;
        if let Some(secret) = secrets.source {
            source = source.with_secret(secret);
        }
        let runtime = (sender == Sender::Lambda).then(|| tokio::spawn(lambda::serve(source.local_addr())));
        let stop = CancellationToken::new();
        let source = tokio::spawn(source.run(stop.clone()));
        let forwarding = tokio::spawn(forward::forward(uplink, deliveries));
        Ok(Function { source, forwarding, runtime, stop })
    }

    /// Ends when AWS Lambda cannot be asked any more.
    pub async fn failed(&mut self) {
        let Some(runtime) = &mut self.runtime else { return std::future::pending().await };
        match runtime.await {
            Ok(Ok(())) => tracing::error!("the runtime API of AWS Lambda has ended"),
            Ok(Err(error)) => tracing::error!(error = format!("{error:#}"), "AWS Lambda cannot be asked"),
            Err(error) => report_panic("lambda", Err(error)),
        }
    }

    /// Lets requests under way end.
    pub async fn stop(self) {
        if let Some(runtime) = self.runtime {
            runtime.abort();
        }
        self.stop.cancel();
        report_panic("source", self.source.await);
        report_panic("forwarding", self.forwarding.await);
        tracing::info!("the function has stopped");
    }
}

impl Sender {
    /// As the environment says.
    fn of(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Sender> {
        if variable(LAMBDA_VARIABLE).is_some() {
            return Ok(Sender::Lambda);
        }
        let Some(port) = variable(PORT_VARIABLE) else { return Ok(Sender::Configured) };
        let port = port.parse().with_context(|| format!("{PORT_VARIABLE} is `{port}`, which is no port"))?;
        Ok(Sender::Everybody(port))
    }

    /// The source's settings, with the port that this sender finds.
    fn settings(self, source: &KongHttpLogConfig) -> anyhow::Result<KongHttpLogConfig> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // It is given to the source by itself, from wherever it comes.
        let source = KongHttpLogConfig { secret_file: None, ..source.clone() };
        // What is in front of a function has one address for everybody.
        let connections_per_address_max = source.connections_max;
        Ok(match self {
            Sender::Lambda => KongHttpLogConfig {
                listen: loopback,
                allow: AllowList::default(),
                connections_per_address_max,
                ..source
            },
            Sender::Everybody(port) => {
                let everybody = AllowList::parse(["0.0.0.0/0", "::/0"]).map_err(anyhow::Error::msg)?;
                let allow = if source.allow.is_empty() { everybody } else { source.allow.clone() };
                let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                KongHttpLogConfig { listen, allow, connections_per_address_max, ..source }
            }
            Sender::Configured => source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_who_sends() {
        let of = |lambda: Option<&str>, port: Option<&str>| {
            Sender::of(|name| if name == LAMBDA_VARIABLE { lambda } else { port }.map(str::to_owned))
        };
        assert_eq!(of(None, None).unwrap(), Sender::Configured);
        assert_eq!(of(None, Some("8080")).unwrap(), Sender::Everybody(8080));
        assert_eq!(of(Some("127.0.0.1:9001"), Some("8080")).unwrap(), Sender::Lambda, "Lambda sets no PORT of its own");
        assert!(of(None, Some("http")).unwrap_err().to_string().contains("PORT is `http`"));
    }

    #[test]
    fn only_who_has_no_secret_is_asked_for_its_address() {
        let source = KongHttpLogConfig::default();
        let everybody = Sender::Everybody(8080).settings(&source).unwrap();
        everybody.validate().unwrap();
        assert_eq!(everybody.listen.to_string(), "0.0.0.0:8080");
        assert!(everybody.allow.allows("192.0.2.7".parse().unwrap()));
        assert_eq!(everybody.connections_per_address_max, source.connections_max, "all come by one");
        let some = KongHttpLogConfig { allow: AllowList::parse(["10.0.0.0/8"]).unwrap(), ..source.clone() };
        assert_eq!(Sender::Everybody(8080).settings(&some).unwrap().allow, some.allow);
        assert!(Sender::Lambda.settings(&some).unwrap().listen.ip().is_loopback());
        assert_eq!(Sender::Configured.settings(&source).unwrap(), source);
        let with_file = KongHttpLogConfig { secret_file: Some("not-there".into()), ..source.clone() };
        assert_eq!(Sender::Configured.settings(&with_file).unwrap(), source, "the secret may come from elsewhere");
    }
}
