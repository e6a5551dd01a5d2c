//! The local socket of a running outrider: each connection gets the status as one JSON document and is closed.
//!
//! It asks for no token: whoever may open it owns the data directory, and could read everything there anyway.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use outrider_platform::api::StatusSource;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The socket's name in the data directory.
const NAME: &str = "local.sock";
/// How long an exchange may take, on either side.
const PATIENCE: Duration = Duration::from_secs(5);
/// A larger document is not a status.
const STATUS_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Pause after a connection could not be accepted, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The system takes an address of 108 bytes with the zero at its end.
const ADDRESS_BYTES_MAX: usize = 107;

/// Opens the socket and answers there until stopped. Nothing but `outrider doctor` needs it, so a file system without
/// sockets stops nobody.
pub fn open(data_dir: &Path, status: Arc<dyn StatusSource>, stop: &CancellationToken) -> Option<JoinHandle<()>> {
    match bind(data_dir) {
        Ok(listener) => Some(tokio::spawn(serve(listener, data_dir.to_owned(), status, stop.clone()))),
        Err(error) => {
            tracing::warn!(%error, data_dir = %data_dir.display(), "there is no local socket, so doctor cannot ask");
            None
        }
    }
}

/// Opens the socket for this user alone. What a killed process left is replaced; a process that lives is not.
fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let place = Place::of(data_dir)?;
    let (name, fresh) = (place.path(NAME), place.path("local.new"));
    if std::os::unix::net::UnixStream::connect(&name).is_ok() {
        return Err(io::Error::new(ErrorKind::AddrInUse, "another process answers there"));
    }
    remove_if_there(&fresh)?;
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    fs::rename(&fresh, &name)?;
    Ok(listener)
}

/// Answers until stopped, then takes the socket away. One connection after the other: each is short, and its owner's own.
async fn serve(listener: UnixListener, data_dir: PathBuf, status: Arc<dyn StatusSource>, stop: CancellationToken) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((mut stream, _)) => {
                let document = status.status().to_string();
                let answer = async {
                    stream.write_all(document.as_bytes()).await?;
                    stream.shutdown().await
                };
                // Who hangs up or does not read has asked in vain, which is nobody else's trouble.
                drop(tokio::time::timeout(PATIENCE, answer).await);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the local socket cannot be accepted");
                stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
            }
        }
    }
    // One that stays behind answers nobody, and the next start replaces it.
    drop(remove_if_there(&data_dir.join(NAME)));
}

/// The status of the outrider that runs with this data directory; `None` if none does.
pub async fn ask(data_dir: &Path) -> anyhow::Result<Option<serde_json::Value>> {
    let path = data_dir.join(NAME);
    let context = || format!("the local socket {} cannot be used", path.display());
    let place = match Place::of(data_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        place => place.with_context(context)?,
    };
    let exchange = async {
        let mut stream = UnixStream::connect(place.path(NAME)).await?;
        let mut document = Vec::new();
        (&mut stream).take(STATUS_BYTES_MAX).read_to_end(&mut document).await?;
        Ok(document)
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(document)) => Ok(Some(serde_json::from_slice(&document).with_context(context)?)),
        // Never there, or left behind by a process that is gone.
        Ok(Err::<_, io::Error>(error))
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            Ok(None)
        }
        Ok(Err(error)) => Err(error).with_context(context),
        Err(_) => anyhow::bail!("{}: no answer within {} s", context(), PATIENCE.as_secs()),
    }
}

/// A directory under a name that is short enough for a socket's address.
enum Place {
    Named(PathBuf),
    /// Too long a name: reached through the open directory.
    Open(File),
}

impl Place {
    fn of(directory: &Path) -> io::Result<Place> {
        let is_short = directory.as_os_str().len() + "/".len() + NAME.len() <= ADDRESS_BYTES_MAX;
        Ok(if is_short { Place::Named(directory.to_owned()) } else { Place::Open(File::open(directory)?) })
    }

    fn path(&self, name: &str) -> PathBuf {
        match self {
            Place::Named(directory) => directory.join(name),
            Place::Open(directory) => PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())),
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Fixed;

    impl StatusSource for Fixed {
        fn status(&self) -> Value {
            json!({"version": "x", "filler": "y".repeat(1 << 20)})
        }
    }

    #[tokio::test]
    async fn a_status_is_asked_for_wherever_the_directory_is() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("d".repeat(200));
        fs::create_dir(&long).unwrap();
        for data_dir in [directory.path(), &long] {
            assert!(ask(data_dir).await.unwrap().is_none(), "nobody was ever there");
            // As a killed process leaves it.
            drop(bind(data_dir).unwrap());
            assert!(ask(data_dir).await.unwrap().is_none(), "nobody is there any more");

            let listener = bind(data_dir).unwrap();
            let mode = fs::metadata(data_dir.join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(bind(data_dir).unwrap_err().kind(), ErrorKind::AddrInUse);
            let stop = CancellationToken::new();
            let task = tokio::spawn(serve(listener, data_dir.to_owned(), Arc::new(Fixed), stop.clone()));
            // Who asks and does not listen keeps nobody else waiting for long.
            drop(UnixStream::connect(Place::of(data_dir).unwrap().path(NAME)).await.unwrap());
            assert_eq!(ask(data_dir).await.unwrap().unwrap()["version"], "x");
            stop.cancel();
            task.await.unwrap();
            assert!(!data_dir.join(NAME).exists());
        }
        assert!(ask(&directory.path().join("nowhere")).await.unwrap().is_none());
    }
}
