//! Where the platform listens: the people's API, the metrics, the premises. Each port is taken, and each certificate read,
//! before anything runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use outrider_platform::api::{AccessSettings, ApiState, StatusSource, serve, serve_metrics, serve_own_metrics};
use outrider_platform::oidc::Oidc;
use outrider_platform::premises::Premises;
use outrider_platform::tls::{TlsServer, TlsSettings};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::edges::now_ms;

/// The socket for the metrics alone, where there is one.
pub async fn open_metrics(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    let Some(listen) = config.metrics.listen else { return Ok(None) };
    Ok(Some(Door::open("the metrics", "metrics.listen", listen, None).await?.listener))
}

/// Gives a collector's or responder's own metrics until `stop` is cancelled.
pub async fn serve_own(listener: TcpListener, status: Arc<dyn StatusSource>, stop: CancellationToken) {
    if let Err(error) = serve_own_metrics(listener, status, stop).await {
        tracing::error!(%error, "the metrics ended badly");
    }
}

/// When the certificates of listeners expire; two may share one.
pub fn certificates_json(tls: &[Arc<TlsServer>]) -> serde_json::Value {
    let certificates: BTreeMap<_, _> = tls.iter().map(|tls| (tls.certificate_file(), tls.expires_ms())).collect();
    certificates.into_iter().map(|(file, expires_ms)| json!({"file": file, "expires_ms": expires_ms})).collect()
}

/// The listeners of a platform.
pub struct Doors {
    pub api_address: SocketAddr,
    pub premises_address: Option<SocketAddr>,
    api: Door,
    metrics: Option<TcpListener>,
    premises: Option<Door>,
    oidc: Option<Arc<Oidc>>,
}

struct Door {
    listener: TcpListener,
    tls: Option<Arc<TlsServer>>,
}

impl Door {
    async fn open(what: &str, setting: &str, listen: SocketAddr, tls: Option<TlsSettings>) -> anyhow::Result<Door> {
        let tls = tls.map(TlsServer::load).transpose().with_context(|| format!("{what} cannot speak TLS"))?;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("{what} cannot listen on {listen}; is another outrider running? Set {setting} to a free port")
        })?;
        Ok(Door { listener, tls: tls.map(Arc::new) })
    }
}

impl Doors {
    pub async fn open(config: &Config) -> anyhow::Result<Doors> {
        let api = Door::open("the API", "api.listen", config.api.listen, config.api.tls()).await?;
        let metrics = open_metrics(config).await?;
        let premises = match &config.premises {
            Some(premises) => {
                Some(Door::open("the premises", "premises.listen", premises.listen, premises.tls()).await?)
            }
            None => None,
        };
        let oidc = config.access.oidc()?;
        let address = |door: &Door| door.listener.local_addr().context("a listener's address cannot be read");
        let (api_address, premises_address) = (address(&api)?, premises.as_ref().map(address).transpose()?);
        Ok(Doors { api_address, premises_address, api, metrics, premises, oidc })
    }

    /// How people reach the API.
    pub fn access(&self, config: &Config, setup_file: PathBuf) -> AccessSettings {
        let proxies = config.api.behind_proxy.clone();
        AccessSettings { proxies, is_tls: self.api.tls.is_some(), setup_file, oidc: self.oidc.clone() }
    }

    /// The certificates, which can be read again.
    pub fn tls(&self) -> Vec<Arc<TlsServer>> {
        let premises = self.premises.as_ref().and_then(|door| door.tls.clone());
        [self.api.tls.clone(), premises].into_iter().flatten().collect()
    }

    /// Lets people and services in until `stop` is cancelled.
    pub fn serve(
        self,
        state: ApiState,
        premises: Option<Premises>,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<std::io::Result<()>>> {
        let mut servers = Vec::new();
        for tls in self.tls() {
            let stop = stop.clone();
            servers.push(tokio::spawn(async move {
                tls.follow_files(now_ms, stop).await;
                Ok(())
            }));
        }
        servers.push(tokio::spawn(serve(self.api.listener, self.api.tls, state.clone(), stop.clone())));
        if let Some(listener) = self.metrics {
            servers.push(tokio::spawn(serve_metrics(listener, state, stop.clone())));
        }
        if let (Some(premises), Some(door)) = (premises, self.premises) {
            servers.push(tokio::spawn(premises.serve(door.listener, door.tls, stop.clone())));
        }
        servers
    }
}
