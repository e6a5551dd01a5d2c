//! Which file is which, whatever its name is at the moment.
//!
//! Device and inode alone do not tell: an inode is given again soon after its file was deleted, a file that is truncated in
//! place keeps its own, and device numbers may differ after a reboot. So a file is also known by its beginning, which an
//! append-only log never changes. Kong's lines hold a time in milliseconds and, since 3.5, a random request id, so the first
//! few of two files are never equal.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::pseudonyms::in_hex;

/// Bytes of the beginning that a file is known by, or all there are: more than one line of the usual length.
const BEGINNING_BYTES: usize = 4096;

/// What a file is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    /// Length of the beginning.
    beginning_bytes: usize,
    /// Its SHA-256 in hexadecimal digits: nothing of a line leaves the file by this.
    beginning_sha256: String,
}

impl Identity {
    /// What an open file is known by now; more of it when it has grown.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let beginning = read_beginning(file, BEGINNING_BYTES)?;
        Ok(Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            beginning_bytes: beginning.len(),
            beginning_sha256: in_hex(&Sha256::digest(beginning)),
        })
    }

    /// No more can be known of it.
    pub(super) fn is_complete(&self) -> bool {
        self.beginning_bytes == BEGINNING_BYTES
    }

    /// Anything of its beginning is known.
    pub(super) fn has_beginning(&self) -> bool {
        self.beginning_bytes > 0
    }

    /// The beginning of an open file is still the one that is known.
    pub(super) fn has_beginning_of(&self, file: &File) -> io::Result<bool> {
        let beginning = read_beginning(file, self.beginning_bytes)?;
        Ok(beginning.len() == self.beginning_bytes && in_hex(&Sha256::digest(beginning)) == self.beginning_sha256)
    }

    /// An open file is this one, or a copy of it. Of a short one the beginning does not tell enough.
    pub(super) fn is(&self, file: &File) -> io::Result<bool> {
        Ok((self.is_complete() || self.has_inode_of(&file.metadata()?)) && self.has_beginning_of(file)?)
    }

    /// It has this device and inode.
    pub(super) fn has_inode_of(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }
}

/// The first bytes of a file, so many or all there are.
fn read_beginning(file: &File, most: usize) -> io::Result<Vec<u8>> {
    let mut beginning = vec![0; most];
    let mut length = 0;
    while length < most {
        match file.read_at(&mut beginning[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    beginning.truncate(length);
    Ok(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_inode_and_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let file_of = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            File::open(path).unwrap()
        };
        let long = vec![b'a'; 2 * BEGINNING_BYTES];
        // Its content, that of a copy; the copy counts as the same file.
        for (content, copy, is_same) in [
            (&b"short"[..], &b"short"[..], false),
            (b"", b"", false),
            (&long, &long, true),
            (&long[..BEGINNING_BYTES], &long, true),
            (&long, &long[1..BEGINNING_BYTES], false),
        ] {
            let (first, second) = (file_of("first", content), file_of("second", copy));
            let identity = Identity::of(&first).unwrap();
            assert!(identity.is(&first).unwrap());
            assert_eq!(identity.is(&second).unwrap(), is_same, "{} {}", content.len(), copy.len());
        }
        // Grown it is the same; written anew, in place, it is not.
        let first = file_of("first", b"begun");
        let identity = Identity::of(&first).unwrap();
        let grown = file_of("first", b"begun, and more");
        assert!(identity.is(&grown).unwrap() && identity.has_inode_of(&grown.metadata().unwrap()));
        assert!(!identity.is(&file_of("first", b"another")).unwrap());
        assert!(!identity.is(&file_of("first", b"")).unwrap());
    }
}
