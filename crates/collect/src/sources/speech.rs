//! What a connection speaks: plain, or TLS where the source has a certificate.
//!
//! That is settled in the connection's own task, before the source reads anything. Of a sender who speaks the other one nothing
//! could ever be read, and it is the commonest mistake: its first bytes tell, and it is closed and counted by a name of its own.
//! Which certificate is in force is not decided here: whoever makes the source gives the one of the moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::{Clock, CollectError, ConnectionRefusal, Counters};

/// How long a client may take over its handshake, from when it is connected.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// At a stop, how long a connection of which nothing is known yet may take to say something and to shake hands.
const STOP_TIME: Duration = Duration::from_millis(250);

/// What TLS begins with: a record of the type handshake, of a version 3.x (RFC 8446, section 5.1).
const TLS_BEGINNING: [u8; 2] = [0x16, 0x03];

/// Gives the TLS that is in force now. A connection keeps what it began with. It should send no session tickets: Kong is
/// written nothing that it did not ask for.
pub type CurrentTls = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// The files of a source's TLS, both PEM. Kong's log plugins show no certificate, so none is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceTls {
    /// The certificate, followed by those between it and its authority.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// What a source speaks.
pub(super) struct Speech {
    tls: Option<CurrentTls>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

/// A connection whose sender speaks what the source does.
pub(super) enum Wire {
    Plain(TcpStream),
    /// Boxed, so that a plain connection does not take the room of this one.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Speech {
    /// Refuses a source that is to speak TLS and gets none, or the other way round: it would never fall back to the other.
    pub(super) fn new(
        settings: Option<&SourceTls>,
        tls: Option<CurrentTls>,
        counters: Arc<Counters>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CollectError> {
        if settings.is_some() != tls.is_some() {
            let reason = "it and the certificate that was loaded do not belong together".to_owned();
            return Err(CollectError::Setting { setting: "tls", reason });
        }
        Ok(Speech { tls, counters, clock })
    }

    /// Finds out what the sender speaks, and shakes hands over TLS. Nothing for a connection that is over, or was refused.
    pub(super) async fn agree(&self, stream: TcpStream, stop: &CancellationToken) -> Option<Wire> {
        let mut agreeing = std::pin::pin!(self.settle(stream));
        tokio::select! {
            biased;
            wire = agreeing.as_mut() => wire,
            () = stop.cancelled() => tokio::time::timeout(STOP_TIME, agreeing).await.ok().flatten(),
        }
    }

    async fn settle(&self, stream: TcpStream) -> Option<Wire> {
        let Some(tls) = &self.tls else {
            return match begins_like_tls(&stream).await? {
                true => self.refuse(ConnectionRefusal::TlsToPlain),
                false => Some(Wire::Plain(stream)),
            };
        };
        let handshake = Box::pin(self.shake_hands(stream, tls));
        match tokio::time::timeout(HANDSHAKE_TIME, handshake).await {
            Ok(wire) => wire,
            Err(_) => self.refuse(ConnectionRefusal::HandshakeSlow),
        }
    }

    async fn shake_hands(&self, stream: TcpStream, tls: &CurrentTls) -> Option<Wire> {
        if !begins_like_tls(&stream).await? {
            return self.refuse(ConnectionRefusal::PlainToTls);
        }
        match TlsAcceptor::from(tls()).accept(stream).await {
            Ok(stream) => Some(Wire::Tls(Box::new(stream))),
            Err(error) => {
                tracing::debug!(%error, "a client could not be agreed with on TLS");
                self.refuse(ConnectionRefusal::HandshakeFailed)
            }
        }
    }

    fn refuse(&self, reason: ConnectionRefusal) -> Option<Wire> {
        self.counters.connection_refused(reason, self.clock.now_ms());
        None
    }
}

/// Whether a connection begins as TLS does; nothing where it ends without a word. What is looked at stays to be read.
async fn begins_like_tls(stream: &TcpStream) -> Option<bool> {
    let mut beginning = [0; TLS_BEGINNING.len()];
    match stream.peek(&mut beginning).await {
        Ok(0) | Err(_) => None,
        Ok(length) => Some(TLS_BEGINNING.starts_with(&beginning[..length])),
    }
}
