//! The installation's key, and what it makes of a credential.
//!
//! Decides how a value becomes a [`Pseudonym`]: HMAC-SHA-256 under a key derived from the installation's for one purpose
//! ([`Domain`]), cut to 16 bytes. The same value has the same pseudonym wherever it appears, in a header, a query field or
//! a path, so that it pivots and joins. Another key makes other pseudonyms, so the file of a key that was rotated holds the
//! former ones as well, and until its overlap is over a value is known by the pseudonyms of both. Left out: which values are
//! credentials (module `sanitise`).

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use outrider_classify::find_personal;
use outrider_model::{KeyId, Pseudonym};
use sha2::Sha256;

use crate::{CollectError, lossless};

type HmacSha256 = Hmac<Sha256>;

const KEY_BYTES: usize = 32;
/// Former keys that are kept, for values in hand; the oldest one goes.
pub const FORMER_KEYS_MAX: usize = 3;
/// What begins a former key's line, before the key and the end of its overlap.
const FORMER: &str = "former";

/// What a pseudonym stands for. The same value has unrelated pseudonyms in different domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A credential: key, token, password, cookie header.
    Credential,
    /// A session, by its configured carrier.
    Session,
    /// A value that is a person's: mail address, telephone number, card. It is in the form in which it is equal to others that
    /// mean the same: [`outrider_classify::DataClass::canonical`].
    Personal,
    /// The address of a client, as it is written in its shortest form.
    Address,
}

/// The installation's key. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PseudonymKey {
    id: KeyId,
    credential: HmacSha256,
    session: HmacSha256,
    personal: HmacSha256,
    address: HmacSha256,
    /// The youngest first.
    former: Vec<FormerKey>,
}

/// A key that was in use before, and until when calls carry its pseudonyms besides.
#[derive(Debug, Clone)]
pub struct FormerKey {
    /// The key.
    pub key: PseudonymKey,
    /// When its overlap is over, in milliseconds since the Unix epoch.
    pub until_ms: i64,
}

impl PseudonymKey {
    /// The key of these bytes.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let derive = |purpose: &str| -> [u8; KEY_BYTES] {
            let mut mac = keyed(bytes);
            mac.update(purpose.as_bytes());
            mac.finalize().into_bytes().into()
        };
        let id = derive("outrider pseudonym key id 1");
        PseudonymKey {
            id: KeyId(u16::from_be_bytes([id[0], id[1]])),
            credential: keyed(&derive("outrider pseudonym credential 1")),
            session: keyed(&derive("outrider pseudonym session 1")),
            personal: keyed(&derive("outrider pseudonym personal 1")),
            address: keyed(&derive("outrider pseudonym address 1")),
            former: Vec::new(),
        }
    }

    /// The key as a file has it: 64 hexadecimal digits, and for each former key a line `former <64 digits> <ms>`; `None` for anything
    /// else.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.trim().lines().map(str::trim);
        let mut key = Self::from_bytes(&parse_hex(lines.next()?)?);
        for line in lines {
            let mut words = line.split_ascii_whitespace();
            let (Some(FORMER), Some(hex), Some(until), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                return None;
            };
            key.former.push(FormerKey { key: Self::from_bytes(&parse_hex(hex)?), until_ms: until.parse().ok()? });
        }
        (key.former.len() <= FORMER_KEYS_MAX).then_some(key)
    }

    /// The text of a key's file with a new key before those that are in it. Calls carry pseudonyms of the one that is replaced until
    /// `until_ms`. `None` for a text that is no key's.
    pub fn rotated(text: &str, until_ms: i64) -> Result<Option<String>, CollectError> {
        if Self::from_text(text).is_none() {
            return Ok(None);
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|_| CollectError::NoRandomness)?;
        let mut lines = text.trim().lines().map(str::trim);
        let mut rotated = format!("{}\n{FORMER} {} {until_ms}\n", in_hex(&key), lines.next().unwrap_or_default());
        for line in lines.take(FORMER_KEYS_MAX - 1) {
            rotated.push_str(line);
            rotated.push('\n');
        }
        Ok(Some(rotated))
    }

    /// The keys before this one, the youngest first.
    pub fn former(&self) -> &[FormerKey] {
        &self.former
    }

    /// The key whose pseudonyms calls of this time carry besides.
    pub(crate) fn former_at(&self, now_ms: i64) -> Option<&PseudonymKey> {
        self.former.first().filter(|former| now_ms < former.until_ms).map(|former| &former.key)
    }

    /// This key and those before it, by which a pseudonym in hand may have been made.
    pub fn with_former(&self) -> impl Iterator<Item = &PseudonymKey> {
        std::iter::once(self).chain(self.former.iter().map(|former| &former.key))
    }

    /// The key in the file, which is created with mode 0600 if it is not there. A file that others can read is refused.
    pub fn load_or_create(path: &Path) -> Result<Self, CollectError> {
        let failed = |operation| move |source| CollectError::KeyFile { path: path.to_owned(), operation, source };
        match std::fs::File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                create(path)?;
                Self::load(path)
            }
            Err(error) => Err(failed("read")(error)),
        }
    }

    /// The key in the file, which has to be there.
    pub fn load(path: &Path) -> Result<Self, CollectError> {
        let failed = |source| CollectError::KeyFile { path: path.to_owned(), operation: "read", source };
        Self::read(path, std::fs::File::open(path).map_err(failed)?)
    }

    /// Names the key; derived from it.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The pseudonym of a value.
    pub fn pseudonym(&self, domain: Domain, value: &[u8]) -> Pseudonym {
        let mut mac = match domain {
            Domain::Credential => self.credential.clone(),
            Domain::Session => self.session.clone(),
            Domain::Personal => self.personal.clone(),
            Domain::Address => self.address.clone(),
        };
        mac.update(value);
        let full: [u8; KEY_BYTES] = mac.finalize().into_bytes().into();
        let mut tag = [0; 16];
        tag.copy_from_slice(&full[..16]);
        Pseudonym { key: self.id, tag }
    }

    /// The pseudonym of a personal value in hand, however it is written. Of which class it is, the value says, or else the name
    /// of the field that it comes from; a value of none stands as it is, as it does where a setting makes it a pseudonym.
    pub fn personal(&self, name: &str, value: &str) -> Pseudonym {
        let whole = find_personal(name, value).into_iter().find(|found| found.end - found.start == value.len());
        match whole {
            Some(found) => self.pseudonym(Domain::Personal, &lossless::to_bytes(&found.class.canonical(value))),
            None => self.pseudonym(Domain::Personal, &lossless::to_bytes(value)),
        }
    }

    /// What stands for an address: an address itself, which [`Pseudonym::is_address`] tells from others.
    pub fn address(&self, address: IpAddr) -> IpAddr {
        let text = address.to_canonical().to_string();
        IpAddr::V6(self.pseudonym(Domain::Address, text.as_bytes()).to_address())
    }

    fn read(path: &Path, file: std::fs::File) -> Result<Self, CollectError> {
        let failed = |source| CollectError::KeyFile { path: path.to_owned(), operation: "read", source };
        refuse_open_to_others(path, &file.metadata().map_err(failed)?)?;
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text).map_err(failed)?;
        Self::from_text(&text).ok_or_else(|| CollectError::KeyDamaged { path: path.to_owned() })
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PseudonymKey").field("id", &self.id).field("former", &self.former).finish_non_exhaustive()
    }
}

pub(crate) fn refuse_open_to_others(path: &Path, metadata: &std::fs::Metadata) -> Result<(), CollectError> {
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(CollectError::FileOpenToOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

fn keyed(key: &[u8; KEY_BYTES]) -> HmacSha256 {
    // HMAC fills a key shorter than SHA-256's block with zeros.
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    HmacSha256::new(&block.into())
}

/// Writes a new key beside the path and links it there, so that a crash leaves no half a key, and of two processes that
/// start at once both read the one that was first.
fn create(path: &Path) -> Result<(), CollectError> {
    let failed = |source| CollectError::KeyFile { path: path.to_owned(), operation: "created", source };
    let mut key = [0; KEY_BYTES];
    let mut nonce = [0; 8];
    getrandom::fill(&mut key).and_then(|()| getrandom::fill(&mut nonce)).map_err(|_| CollectError::NoRandomness)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{:016x}", u64::from_be_bytes(nonce)));
    let fresh = path.with_file_name(name);
    let written = write_synced(&fresh, &(in_hex(&key) + "\n")).and_then(|()| match std::fs::hard_link(&fresh, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = std::fs::remove_file(&fresh);
    written.and(removed).and_then(|()| sync_directory(path)).map_err(failed)
}

fn write_synced(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes durable that a file of this path is there, or is another.
pub(crate) fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}

/// Hexadecimal digits.
pub(crate) fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_pseudonym_depends_on_key_domain_and_value() {
        let key = PseudonymKey::from_bytes(&[1; 32]);
        let again = PseudonymKey::from_bytes(&[1; 32]);
        let other = PseudonymKey::from_bytes(&[2; 32]);
        let seen = key.pseudonym(Domain::Credential, b"key-alice");
        assert_eq!(seen, again.pseudonym(Domain::Credential, b"key-alice"));
        assert_eq!(seen.key, key.id());
        assert_ne!(seen, key.pseudonym(Domain::Session, b"key-alice"));
        assert_ne!(seen, key.pseudonym(Domain::Personal, b"key-alice"));
        assert_ne!(seen, key.pseudonym(Domain::Credential, b"key-alicf"));
        assert_ne!(seen.tag, other.pseudonym(Domain::Credential, b"key-alice").tag);
        assert_ne!(key.id(), other.id());
    }

    #[test]
    fn the_construction_stays_as_it_is() {
        // A change here would break the link to every pseudonym in every lake. Computed independently:
        // HMAC(HMAC(0x2a * 32, "outrider pseudonym credential 1"), "key-alice"), first 16 bytes.
        let key = PseudonymKey::from_bytes(&[0x2a; 32]);
        let seen = key.pseudonym(Domain::Credential, b"key-alice").to_string();
        assert_eq!(seen, "ps_61c1_8949fd7311dd260114b1ad474f65da93");
        // HMAC(HMAC(0x2a * 32, "outrider pseudonym address 1"), "192.0.2.7"), first 10 bytes behind the key's id.
        for text in ["192.0.2.7", "::ffff:192.0.2.7"] {
            assert_eq!(key.address(text.parse().unwrap()).to_string(), "2001:20:61c1:31ad:33b8:9281:1f43:355e");
        }
    }

    #[test]
    fn a_key_is_created_once_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pseudonym.key");
        let first = PseudonymKey::load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(PseudonymKey::load_or_create(&path).unwrap().id(), first.id());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside the key");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!format!("{first:?}").contains(text.trim()));
    }

    #[test]
    fn many_that_start_at_once_have_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pseudonym.key");
        let values: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| PseudonymKey::load_or_create(&path).unwrap())).collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap().pseudonym(Domain::Credential, b"x").to_string())
                .collect()
        });
        assert_eq!(values.len(), 1);
    }

    #[test]
    fn a_rotated_key_keeps_the_former_ones_and_ends_their_overlap() {
        let first = "a".repeat(64);
        let mut text = first.clone() + "\n";
        let mut made = vec![PseudonymKey::from_text(&text).unwrap()];
        for round in 1..=5_usize {
            let until_ms = 1000 * i64::try_from(round).unwrap();
            text = PseudonymKey::rotated(&text, until_ms).unwrap().unwrap();
            let key = PseudonymKey::from_text(&text).unwrap();
            let before = made.last().unwrap();
            for (now_ms, expected) in [(0, true), (until_ms - 1, true), (until_ms, false)] {
                let former = key.former_at(now_ms).map(PseudonymKey::id);
                assert_eq!(former, expected.then(|| before.id()), "{round} {now_ms}");
            }
            let known: Vec<_> = key.with_former().skip(1).map(PseudonymKey::id).collect();
            let expected: Vec<_> = made.iter().rev().take(FORMER_KEYS_MAX).map(PseudonymKey::id).collect();
            assert_eq!(known, expected, "{text}");
            made.push(key);
        }
        let made_by_first = made[0].pseudonym(Domain::Credential, b"x");
        let after = PseudonymKey::from_text(&PseudonymKey::rotated(&first, 1).unwrap().unwrap()).unwrap();
        assert!(after.with_former().any(|key| key.pseudonym(Domain::Credential, b"x") == made_by_first));
        assert!(!format!("{after:?}").contains(&first));
        let line = format!("\nformer {first} 1");
        for wrong in
            [" 1", "\nformer", "\nformer x 1", "\nother", &line.repeat(FORMER_KEYS_MAX + 1), &line.replace(" 1", " x")]
        {
            assert!(PseudonymKey::from_text(&(first.clone() + wrong)).is_none(), "{wrong}");
            assert!(PseudonymKey::rotated(&(first.clone() + wrong), 1).unwrap().is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_bad_key_file_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pseudonym.key");
        PseudonymKey::load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = PseudonymKey::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for damaged in ["", "abc", &"z".repeat(64), &"a".repeat(63), &"\u{e9}".repeat(32)] {
            std::fs::write(&path, damaged).unwrap();
            let error = PseudonymKey::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("damaged"), "{damaged}: {error}");
        }
        let nowhere = directory.path().join("none/pseudonym.key");
        assert!(matches!(PseudonymKey::load_or_create(&nowhere), Err(CollectError::KeyFile { .. })));
    }
}
