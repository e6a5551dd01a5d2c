//! What a responder keeps on its disk: the last desired state, so that expiry goes on while the platform is away, and the
//! hold that `release-all` leaves behind.
//!
//! Files are written beside their place, synced, renamed and the directory synced, so that a crash leaves the old or the
//! new one. They are readable by their owner only: they name consumers.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outrider_model::DesiredState;

use crate::gateways::GatewayError;

const HEADER: &str = "outrider-desired 1";

/// A desired state with the most actions has a few megabytes; a file beyond this is not one of ours.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The files of one gateway's responder.
#[derive(Debug, Clone)]
pub struct StateFiles {
    directory: PathBuf,
    name: String,
    /// Held by a responder and by every write of it that is still on its way to the disk.
    lock: Option<Arc<File>>,
}

/// What was found on the disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// No state was ever written, or the disk is new.
    Nothing,
    /// A whole state.
    State(Box<DesiredState>),
    /// A file that is not whole. It was set aside and counts as nothing.
    Damaged(String),
}

impl StateFiles {
    /// The files of a gateway in a directory, which is created.
    pub fn new(directory: &Path, gateway: &str) -> Result<Self, GatewayError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| GatewayError::file("create", directory, &error))?;
        // A readable name for people, a checksum against two gateways whose names read alike.
        let readable: String =
            gateway.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(40).collect();
        let name = format!("{readable}-{:08x}", crc32fast::hash(gateway.as_bytes()));
        Ok(StateFiles { directory: directory.to_owned(), name, lock: None })
    }

    /// The same, for the one responder that may write a desired state here. `release-all` needs no lock.
    pub fn locked(mut self) -> Result<Self, GatewayError> {
        let path = self.directory.join(format!("lock-{}", self.name));
        let failed =
            |detail: String| GatewayError::File { operation: "lock", path: path.display().to_string(), detail };
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| failed(error.to_string()))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                failed("another responder works on this gateway with this directory".to_owned())
            }
            TryLockError::Error(error) => failed(error.to_string()),
        })?;
        self.lock = Some(Arc::new(file));
        Ok(self)
    }

    fn desired_path(&self) -> PathBuf {
        self.directory.join(format!("desired-{}", self.name))
    }

    /// Where the hold is, for messages.
    pub fn hold_path(&self) -> PathBuf {
        self.directory.join(format!("hold-{}", self.name))
    }

    /// Keeps a desired state. When this returns, it is on stable storage.
    pub fn save(&self, desired: &DesiredState) -> Result<(), GatewayError> {
        let path = self.desired_path();
        let body = serde_json::to_vec(desired).map_err(|error| GatewayError::File {
            operation: "write",
            path: path.display().to_string(),
            detail: error.to_string(),
        })?;
        let mut bytes = format!("{HEADER} {:08x} {}\n", crc32fast::hash(&body), body.len()).into_bytes();
        bytes.extend_from_slice(&body);
        self.replace(&path, &bytes)
    }

    /// Removes the kept state: better to know nothing than something that is no longer true.
    pub fn forget(&self) -> Result<(), GatewayError> {
        self.remove(&self.desired_path())
    }

    /// The kept state.
    pub fn load(&self) -> Result<Found, GatewayError> {
        let path = self.desired_path();
        let Some(bytes) = read_if_there(&path)? else { return Ok(Found::Nothing) };
        match decode(&bytes) {
            Ok(desired) => Ok(Found::State(Box::new(desired))),
            Err(detail) => {
                let aside = path.with_extension("damaged");
                fs::rename(&path, &aside).map_err(|error| GatewayError::file("set aside", &path, &error))?;
                Ok(Found::Damaged(format!("{}: {detail}; it was moved to {}", path.display(), aside.display())))
            }
        }
    }

    /// From now on nothing is brought to the gateway, until [`Self::lift_hold`].
    pub fn hold(&self, reason: &str) -> Result<(), GatewayError> {
        self.replace(&self.hold_path(), reason.as_bytes())
    }

    /// Why nothing is brought to the gateway, if so. A hold that cannot be read is a hold.
    pub fn held(&self) -> Option<String> {
        match read_if_there(&self.hold_path()) {
            Ok(None) => None,
            Ok(Some(bytes)) => Some(super::answer::quote(&String::from_utf8_lossy(&bytes))),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Ends a hold. What the platform wants from then on is brought to the gateway; what it wanted meanwhile was reported
    /// as failed and is not tried again.
    pub fn lift_hold(&self) -> Result<(), GatewayError> {
        self.remove(&self.hold_path())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), GatewayError> {
        let beside = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|error| GatewayError::file("write", path, &error))
    }

    fn remove(&self, path: &Path) -> Result<(), GatewayError> {
        let failed = |error: std::io::Error| GatewayError::file("remove", path, &error);
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(()) => File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed),
        }
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, GatewayError> {
    let failed = |error: std::io::Error| GatewayError::file("read", path, &error);
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

fn decode(bytes: &[u8]) -> Result<DesiredState, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (header, body) = (&bytes[..end], &bytes[end + 1..]);
    let header = std::str::from_utf8(header).map_err(|error| error.to_string())?;
    let expected = format!("{HEADER} {:08x} {}", crc32fast::hash(body), body.len());
    if header != expected {
        return Err("its checksum, length or version does not match".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::gateways::kong::testing::{ALICE, block, desired};

    #[test]
    fn a_state_comes_back_as_it_was_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = directory.path().join("deep/state");
        let files = StateFiles::new(&state_dir, "edge/ö west").unwrap();
        assert_eq!(files.load().unwrap(), Found::Nothing);
        let state = desired(7, vec![block(1, ALICE, Some(5)), block(2, ALICE, None)], &[3]);
        files.save(&state).unwrap();
        assert_eq!(files.load().unwrap(), Found::State(Box::new(state)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state_dir), mode(&files.desired_path())), (0o700, 0o600));
        let other = StateFiles::new(&state_dir, "edge/_ west").unwrap();
        assert_eq!(other.load().unwrap(), Found::Nothing, "gateways whose names read alike do not share a file");
        files.forget().unwrap();
        assert_eq!(files.load().unwrap(), Found::Nothing);
    }

    #[test]
    fn every_damage_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let files = StateFiles::new(directory.path(), "edge").unwrap();
        files.save(&desired(7, vec![block(1, ALICE, Some(5))], &[])).unwrap();
        let whole = fs::read(files.desired_path()).unwrap();
        let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
        damaged.extend((0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            bytes
        }));
        damaged.push([whole.clone(), b"x".to_vec()].concat());
        for bytes in damaged {
            fs::write(files.desired_path(), &bytes).unwrap();
            assert!(matches!(files.load().unwrap(), Found::Damaged(_)), "{}", String::from_utf8_lossy(&bytes));
            assert_eq!(files.load().unwrap(), Found::Nothing, "it was set aside");
        }
    }

    #[test]
    fn a_hold_holds_until_it_is_lifted() {
        let directory = tempfile::tempdir().unwrap();
        let files = StateFiles::new(directory.path(), "edge").unwrap();
        assert_eq!(files.held(), None);
        files.hold("by ann\nat noon").unwrap();
        assert_eq!(files.held().as_deref(), Some("by ann at noon"));
        files.lift_hold().unwrap();
        files.lift_hold().unwrap();
        assert_eq!(files.held(), None);
        fs::create_dir(files.hold_path()).unwrap();
        assert!(files.held().is_some(), "what cannot be read is a hold");
    }
}
