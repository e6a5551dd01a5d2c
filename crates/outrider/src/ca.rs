//! `outrider ca`: an authority of one's own for the connections between the services, and certificates from it.
//!
//! It leaves out revocation: a certificate lives for about a year, and who may speak is decided by tokens, which can be
//! revoked at any time.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use outrider_platform::tls::certificate_expiry_ms;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use crate::cli::{CaCommand, CaIssueArguments};
use crate::edges::now_ms;
use crate::terminal;

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Certificates are good from a little before now, for clocks that are behind.
const BACKDATED_MS: i64 = 3600 * 1000;

/// Runs one of the commands.
pub fn run(command: CaCommand) -> anyhow::Result<()> {
    match command {
        CaCommand::Init { dir, name, days } => init(&dir, &name, days),
        CaCommand::Issue(arguments) => issue(&arguments),
    }
}

fn init(dir: &Path, name: &str, days: u16) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    let mut params = parameters(name, Vec::new(), days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().context("cannot make a key")?;
    let certificate = params.self_signed(&key).context("cannot make the authority's certificate")?;
    write_pair(&dir.join("ca"), &certificate.pem(), &key.serialize_pem())?;
    terminal::note(&format!(
        "{0}/ca.pem goes to whoever connects (ca_file); {0}/ca.key stays here, offline if you can: who has it can pose as \
         your platform",
        dir.display()
    ));
    Ok(())
}

fn issue(arguments: &CaIssueArguments) -> anyhow::Result<()> {
    let CaIssueArguments { names, dir, client, out, days } = arguments;
    let (ca, ca_key) = (dir.join("ca.pem"), dir.join("ca.key"));
    let read = |path: &Path| {
        let hint = || format!("cannot read {}; make an authority with `outrider ca init`", path.display());
        std::fs::read_to_string(path).with_context(hint)
    };
    let key = KeyPair::from_pem(&read(&ca_key)?).with_context(|| format!("{} holds no key", ca_key.display()))?;
    let issuer = Issuer::from_ca_cert_pem(&read(&ca)?, key)
        .with_context(|| format!("{} holds no authority's certificate", ca.display()))?;
    let left_days = (certificate_expiry_ms(&ca)? - now_ms()) / DAY_MS;
    ensure!(
        i64::from(*days) <= left_days,
        "the authority is good for {left_days} more days; ask for no more with --days, or make a new one"
    );
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    let name = names.first().context("name whom the certificate is for")?;
    for name in names {
        ensure!(!name.is_empty() && name.chars().all(good), "`{name}` is no host name and no address");
    }
    let mut params = parameters(name, names.clone(), *days)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![if *client { ExtendedKeyUsagePurpose::ClientAuth } else { ExtendedKeyUsagePurpose::ServerAuth }];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().context("cannot make a key")?;
    let certificate = params.signed_by(&key, &issuer).context("cannot make the certificate")?;
    let out = out.join(name.replace(':', "_"));
    write_pair(&out, &certificate.pem(), &key.serialize_pem())?;
    terminal::note(&format!("{0}.pem and {0}.key, good for {days} days", out.display()));
    Ok(())
}

fn parameters(name: &str, names: Vec<String>, days: u16) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names).context("a name cannot be in a certificate")?;
    params.distinguished_name.push(DnType::CommonName, name);
    let now_ms = now_ms();
    let at = |ms: i64| date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.unsigned_abs());
    params.not_before = at(now_ms - BACKDATED_MS);
    params.not_after = at(now_ms + i64::from(days) * DAY_MS);
    Ok(params)
}

/// Writes `<path>.key` for this user alone and `<path>.pem` for everybody. What is there is not overwritten.
fn write_pair(path: &Path, certificate: &str, key: &str) -> anyhow::Result<()> {
    let write = |end: &str, mode: u32, text: &str| {
        let mut path = path.as_os_str().to_owned();
        path.push(end);
        let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = made.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.with_context(|| format!("cannot write {}; nothing is overwritten", Path::new(&path).display()))
    };
    write(".key", 0o600, key)?;
    write(".pem", 0o644, certificate)
}
