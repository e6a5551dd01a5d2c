//! TLS for the platform's listeners and a collector's sources: certificates from files, and new ones without a restart.
//!
//! It decides when a certificate is read again and what happens when the new one is no good: the one in force stays, and
//! the log says so. With a file of client authorities, whoever connects must show a certificate of one of them (mutual
//! TLS). Who may do what is decided by tokens, not here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrider_model::{Concern, NoticeKind};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::watcher::ConcernSource;

/// How long a client that was refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// From this long before its end on, a certificate is told of.
pub const EXPIRY_WARNING_MS: i64 = 14 * 24 * HOUR_MS;
/// Time between two warnings in the log.
const WARNING_INTERVAL_MS: i64 = 24 * HOUR_MS;
const HOUR_MS: i64 = 3600 * 1000;

/// The files of a listener's TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate, followed by those between it and the authority.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// The authorities of client certificates; with it, nobody connects without one.
    pub client_ca_file: Option<PathBuf>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("{} holds no usable {what}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The parts do not fit together.
    #[error("the certificate {} cannot be used: {why}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A listener's TLS as it is in force now.
#[derive(Debug)]
pub struct TlsServer {
    settings: TlsSettings,
    /// Clients may get what lets them come back with a shorter handshake.
    sends_tickets: bool,
    config: watch::Sender<Arc<ServerConfig>>,
    expires_ms: watch::Sender<i64>,
    /// What the files held when they were last read.
    known: Mutex<Files>,
}

/// Certificate, key and authorities. Nothing for a file that cannot be read, which is a change like any other.
type Files = [Option<Vec<u8>>; 3];

impl ConcernSource for TlsServer {
    fn concerns(&self, now_ms: i64) -> Vec<Concern> {
        expiry_concern(&self.settings.certificate_file, self.expires_ms(), now_ms).into_iter().collect()
    }
}

/// Whether a certificate is at its end, or near.
fn expiry_concern(file: &Path, expires_ms: i64, now_ms: i64) -> Option<Concern> {
    let left_ms = expires_ms.saturating_sub(now_ms);
    if left_ms >= EXPIRY_WARNING_MS {
        return None;
    }
    let detail = match left_ms {
        1.. => format!("it expires in {} h; nobody connects after that who checks it", left_ms / HOUR_MS),
        _ => format!("it expired {} h ago; nobody connects who checks it", left_ms / -HOUR_MS),
    };
    Some(Concern {
        kind: NoticeKind::CertificateExpires,
        subject: file.display().to_string(),
        since_ms: now_ms,
        detail,
        remedy: "put a new certificate and its key in place of the old ones (`outrider ca issue NAME`); they are read again \
                 by themselves"
            .to_owned(),
    })
}

impl TlsServer {
    /// Reads the files.
    pub fn load(settings: TlsSettings) -> Result<TlsServer, TlsError> {
        TlsServer::load_with(settings, true)
    }

    /// As [`TlsServer::load`], for clients that are written nothing after the handshake which they did not ask for.
    pub fn load_without_tickets(settings: TlsSettings) -> Result<TlsServer, TlsError> {
        TlsServer::load_with(settings, false)
    }

    fn load_with(settings: TlsSettings, sends_tickets: bool) -> Result<TlsServer, TlsError> {
        let known = Mutex::new(read_files(&settings));
        let config = watch::Sender::new(Arc::new(server_config(&settings, sends_tickets)?));
        let expires_ms = watch::Sender::new(certificate_expiry_ms(&settings.certificate_file)?);
        Ok(TlsServer { settings, sends_tickets, config, expires_ms, known })
    }

    /// What is in force now, for a listener that shakes hands itself.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.borrow())
    }

    /// The certificate's file.
    pub fn certificate_file(&self) -> &Path {
        &self.settings.certificate_file
    }

    /// When the certificate in force expires, in milliseconds since the Unix epoch.
    pub fn expires_ms(&self) -> i64 {
        *self.expires_ms.borrow()
    }

    /// Shakes hands with whoever has connected. One that is refused gets to know why.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let (error, mut stream) = match TlsAcceptor::from(self.current()).accept(stream).into_fallible().await {
            Ok(stream) => return Ok(stream),
            Err(refused) => refused,
        };
        // Closing while what it sent is unread would make the system take back the alert that says what is wrong.
        let farewell = async {
            stream.shutdown().await?;
            let mut unread = [0; 4096];
            while stream.read(&mut unread).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        drop(tokio::time::timeout(FAREWELL, farewell).await);
        Err(error)
    }

    /// Puts new files in force as they come, and warns before the certificate expires, until it is cancelled.
    /// Connections that are open keep what they began with.
    pub async fn follow_files(&self, now_ms: fn() -> i64, cancel: CancellationToken) {
        let mut warned_ms = i64::MIN;
        loop {
            let now = now_ms();
            if let Some(concern) = expiry_concern(self.certificate_file(), self.expires_ms(), now)
                && now.saturating_sub(warned_ms) >= WARNING_INTERVAL_MS
            {
                warned_ms = now;
                let Concern { subject: file, detail, remedy, .. } = concern;
                tracing::warn!(file, detail, remedy, "a certificate is at its end");
            }
            if cancel.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_none() {
                return;
            }
            self.look(false);
        }
    }

    /// Looks at the files now. Ones that cannot be used are told of, even if they were before.
    pub fn reload(&self) {
        self.look(true);
    }

    fn look(&self, is_asked: bool) {
        let found = read_files(&self.settings);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *known != found;
        if !is_new && !is_asked {
            return;
        }
        *known = found;
        let file = self.settings.certificate_file.display();
        let read = || {
            let config = server_config(&self.settings, self.sends_tickets)?;
            Ok::<_, TlsError>((config, certificate_expiry_ms(&self.settings.certificate_file)?))
        };
        match read() {
            Ok((config, expires_ms)) => {
                self.config.send_replace(Arc::new(config));
                self.expires_ms.send_replace(expires_ms);
                if is_new {
                    tracing::info!(%file, "a new certificate is in force");
                }
            }
            Err(error) => tracing::error!(%error, "the new certificate is not used; the one before stays in force"),
        }
    }
}

fn read_files(settings: &TlsSettings) -> Files {
    let read = |path: &Path| std::fs::read(path).ok();
    [read(&settings.certificate_file), read(&settings.key_file), settings.client_ca_file.as_deref().and_then(read)]
}

fn server_config(settings: &TlsSettings, sends_tickets: bool) -> Result<ServerConfig, TlsError> {
    let unusable = |why: String| TlsError::Unusable { path: settings.certificate_file.clone(), why };
    let chain = certificates(&settings.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key_file).map_err(|error| TlsError::File {
        path: settings.key_file.clone(),
        what: "private key",
        why: error.to_string(),
    })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let file =
                |why: String| TlsError::File { path: path.clone(), what: "authority of client certificates", why };
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| file(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| file(error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if !sends_tickets {
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why: String| TlsError::File { path: path.to_owned(), what: "certificate", why };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let chain: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if chain.is_empty() { Err(wrong("there is no `BEGIN CERTIFICATE` in it".to_owned())) } else { Ok(chain) }
}

/// When the first certificate of a PEM file expires, in milliseconds since the Unix epoch.
pub fn certificate_expiry_ms(path: &Path) -> Result<i64, TlsError> {
    let wrong = |why: String| TlsError::File { path: path.to_owned(), what: "certificate", why };
    let chain = certificates(path)?;
    let first = chain.first().ok_or_else(|| wrong("it is empty".to_owned()))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(first).map_err(|error| wrong(error.to_string()))?;
    Ok(certificate.validity().not_after.timestamp().saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_448_400_000;

    /// Makes a certificate and its key, good until a day.
    fn write_pair(settings: &TlsSettings, until: (i32, u8, u8)) {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(&settings.key_file, key.serialize_pem()).unwrap();
        std::fs::write(&settings.certificate_file, certificate.pem()).unwrap();
    }

    #[test]
    fn a_certificate_is_told_of_before_its_end_and_after() {
        const DAY_MS: i64 = 24 * HOUR_MS;
        let cases = [
            (90 * DAY_MS, None),
            (14 * DAY_MS, None),
            (14 * DAY_MS - 1, Some("expires in 335 h")),
            (1, Some("expires in 0 h")),
            (0, Some("expired 0 h ago")),
            (-2 * DAY_MS, Some("expired 48 h ago")),
            (i64::MIN, Some("expired")),
        ];
        for (left_ms, expected) in cases {
            let found = expiry_concern(Path::new("x.pem"), NOW_MS.saturating_add(left_ms), NOW_MS);
            let detail = found.map(|concern| concern.detail);
            assert_eq!(detail.is_some(), expected.is_some(), "{left_ms}");
            assert!(detail.unwrap_or_default().contains(expected.unwrap_or_default()), "{left_ms}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn new_files_are_in_force_by_themselves_and_bad_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let settings = TlsSettings { certificate_file: path("a.pem"), key_file: path("a.key"), client_ca_file: None };
        write_pair(&settings, (2026, 11, 30));
        let server = Arc::new(TlsServer::load_without_tickets(settings.clone()).unwrap());
        let concerns = server.concerns(NOW_MS);
        assert_eq!(
            (concerns[0].kind, &concerns[0].subject),
            (NoticeKind::CertificateExpires, &path("a.pem").display().to_string())
        );

        let mut expires = server.expires_ms.subscribe();
        let stop = CancellationToken::new();
        let following = Arc::clone(&server);
        let token = stop.clone();
        let task = tokio::spawn(async move { following.follow_files(|| NOW_MS, token).await });
        write_pair(&settings, (2027, 11, 30));
        expires.changed().await.unwrap();
        assert_eq!((server.concerns(NOW_MS), server.expires_ms()), (vec![], 1_827_532_800_000));
        // A key that is not the certificate's.
        std::fs::write(&settings.key_file, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let before = server.expires_ms();
        tokio::time::sleep(2 * LOOK_INTERVAL).await;
        assert_eq!(server.expires_ms(), before, "the one before stays in force");
        assert_eq!(server.current().send_tls13_tickets, 0, "also of what was read again");
        stop.cancel();
        task.await.unwrap();
    }
}
