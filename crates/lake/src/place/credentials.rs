//! Keys of a store from a file, in the form that Amazon's own tools read: `aws_access_key_id = …` and so on, a line each.
//!
//! The file is looked at again whenever keys are needed, at most every few seconds, so that other keys need no restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

/// How long keys are used before the file is looked at again.
const KEPT: Duration = Duration::from_secs(5);
/// A file of keys is no longer than this.
const BYTES_MAX: u64 = 64 * 1024;

/// Keys that are in a file.
pub(super) struct FileCredentials {
    path: PathBuf,
    known: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl FileCredentials {
    pub(super) fn new(path: &Path) -> FileCredentials {
        FileCredentials { path: path.to_owned(), known: Mutex::default() }
    }

    /// Says what is wrong with a file of keys.
    pub(super) fn check(path: &Path) -> Result<(), String> {
        FileCredentials::new(path).read().map(drop)
    }

    fn read(&self) -> Result<AwsCredential, String> {
        let path = self.path.display();
        let length = std::fs::metadata(&self.path).map_err(|error| format!("cannot read {path}: {error}"))?.len();
        if length > BYTES_MAX {
            return Err(format!("{path} has {length} bytes, which is more than keys have"));
        }
        let text = std::fs::read_to_string(&self.path).map_err(|error| format!("cannot read {path}: {error}"))?;
        parse(&text).map_err(|what| format!("{path} {what}"))
    }
}

/// Without the keys.
impl fmt::Debug for FileCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCredentials").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for FileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // What is kept is changed in one piece, so a panic elsewhere leaves it good.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, credential)) = &*known
            && since.elapsed() < KEPT
        {
            return Ok(Arc::clone(credential));
        }
        let read = self.read().map_err(|what| object_store::Error::Generic { store: "S3", source: what.into() })?;
        let credential = Arc::new(read);
        *known = Some((Instant::now(), Arc::clone(&credential)));
        Ok(credential)
    }
}

/// The keys of a text; an error says what is wrong with it and none of what is in it.
fn parse(text: &str) -> Result<AwsCredential, String> {
    let (mut key_id, mut secret_key, mut token) = (None, None, None);
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(profile) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            if profile.trim() != "default" {
                return Err(format!(
                    "has a profile besides `default` in line {number}; name a file with that one alone"
                ));
            }
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("has no `name = value` in line {number}"));
        };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => key_id = value,
            "aws_secret_access_key" => secret_key = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    let missing = |name: &str| format!("has no `{name}`");
    Ok(AwsCredential {
        key_id: key_id.ok_or_else(|| missing("aws_access_key_id"))?,
        secret_key: secret_key.ok_or_else(|| missing("aws_secret_access_key"))?,
        token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_amazons_tools_write_them() {
        let text = "# ours\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=s/e=c\nregion = x\n";
        let keys = parse(text).unwrap();
        assert_eq!((keys.key_id.as_str(), keys.secret_key.as_str(), keys.token), ("AKIA1", "s/e=c", None));
        let keys = parse("aws_access_key_id=a\naws_secret_access_key=b\naws_session_token=t").unwrap();
        assert_eq!(keys.token.as_deref(), Some("t"));
    }

    #[test]
    fn an_error_says_where_and_no_key() {
        for (text, expected) in [
            ("", "has no `aws_access_key_id`"),
            ("aws_access_key_id = AKIA1\naws_secret_access_key =", "has no `aws_secret_access_key`"),
            ("AKIA1:secret", "has no `name = value` in line 1"),
            (
                "[other]\naws_access_key_id = AKIA1",
                "has a profile besides `default` in line 1; name a file with that one alone",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected);
        }
    }

    #[tokio::test]
    async fn other_keys_need_no_restart_and_nobody_sees_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let credentials = FileCredentials::new(&path);
        let error = credentials.get_credential().await.unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains("keys"), "{error}");
        let write =
            |secret: &str| std::fs::write(&path, format!("aws_access_key_id=a\naws_secret_access_key={secret}"));
        write("first").unwrap();
        assert_eq!(credentials.get_credential().await.unwrap().secret_key, "first");
        write("second").unwrap();
        assert_eq!(credentials.get_credential().await.unwrap().secret_key, "first", "the file was just read");
        credentials.known.lock().unwrap().as_mut().unwrap().0 -= KEPT;
        assert_eq!(credentials.get_credential().await.unwrap().secret_key, "second");
        assert!(!format!("{credentials:?}").contains("second"));
    }
}
