use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a collector cannot start or a source cannot go on. A bad line is no error: see [`crate::Rejection`].
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The key file cannot be read or written.
    #[error("the pseudonym key `{path}` cannot be {operation}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What failed: `read`, `created`.
        operation: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The key file is no key.
    #[error(
        "the pseudonym key `{path}` is damaged: expected 64 hexadecimal digits; restore it from a backup, because a new key breaks the link to every earlier pseudonym"
    )]
    KeyDamaged {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the secret.
    #[error("`{path}` can be read by others (mode {mode:04o}); run `chmod 600 {path}`")]
    FileOpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a new pseudonym key")]
    NoRandomness,
    /// A secret file cannot be read.
    #[error("the secret file `{path}` cannot be read")]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A secret is too short to be one.
    #[error("the secret in `{path}` is not valid: use 16 to 512 characters without spaces, at most four such lines")]
    SecretInvalid {
        /// The file.
        path: PathBuf,
    },
    /// Where a source is in its file cannot be read, or not be kept.
    #[error("where the log was read up to cannot be kept: `{path}` cannot be {operation}")]
    PositionFile {
        /// The file with the position, or its directory.
        path: PathBuf,
        /// What failed: `named`, `made`, `read`.
        operation: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// Where a source is in its file is not readable.
    #[error(
        "`{path}` says where `{log}` was read up to, and is damaged or of a newer version; remove it, and the source begins as one that is new (`start`)"
    )]
    PositionDamaged {
        /// The file with the position.
        path: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// A setting is out of range or makes no sense.
    #[error("setting `{setting}` is not valid: {reason}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// A field mapping cannot be meant.
    #[error("{what}: {problem}")]
    Mapping {
        /// What it is of, such as "the field `account`".
        what: String,
        /// The expression, as it is configured.
        expression: String,
        /// The line of the expression that it is about, from 1.
        line: usize,
        /// Which expression, where in it, what is wrong with it and what would be right.
        problem: String,
    },
    /// A source listens to the network and does not say to whom.
    #[error(
        "the source on `{listen}` can be reached from the network and has no allow-list: set `allow = [\"ADDRESS or CIDR of Kong\", ...]`, or listen on 127.0.0.1"
    )]
    NoAllowList {
        /// Where it should listen.
        listen: SocketAddr,
    },
    /// The port is taken.
    #[error(
        "`{listen}` is already in use: stop the process that holds it (`ss -ltnp 'sport = :{port}'` names it) or set another `listen`",
        port = listen.port()
    )]
    PortTaken {
        /// Where it should listen.
        listen: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on `{listen}`")]
    Listen {
        /// Where it should listen.
        listen: SocketAddr,
        /// The system's own words.
        source: std::io::Error,
    },
}
