//! What pseudonyms stand for, on the premises and nowhere else (decision 5).
//!
//! Names are the gateway's: it is asked for them, and the key says which pseudonym each has. Addresses nobody can be asked for, so
//! a collector that makes them pseudonyms keeps those that it saw in a file of its data directory, for its owner alone and
//! bounded. Left out: credentials and personal values, of which nothing is kept that could be shown.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use outrider_collect::{Complete, PseudonymKey};
use outrider_model::GatewayConfiguration;
use outrider_platform::enrich::Enricher;
use outrider_platform::store::AuditLog;
use outrider_respond::gateways::kong::{AdminClient, read_configuration};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, GatewayConfig};
use crate::{audit, installation, terminal};

/// Below the data directory.
const ADDRESSES: &str = "addresses";
/// Addresses that are kept, each some 40 bytes in memory and half of that in the file. Beyond, those not seen for the longest time go.
const ADDRESSES_MAX: usize = 65_536;
/// Time between two writes of the file. What is lost by a kill is found again with the client's next call.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);
/// Pseudonyms that the audit log names of one command.
const AUDITED_MAX: usize = 20;
/// The exit status where something was not found.
const NOT_FOUND: u8 = 4;

/// Addresses of clients whose calls have pseudonyms in their place.
pub struct AddressBook {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// Two generations: when the younger one is full the older one is forgotten, and what is seen of it moves over before.
#[derive(Default)]
struct Seen {
    recent: HashSet<IpAddr>,
    before: HashSet<IpAddr>,
    has_news: bool,
}

impl AddressBook {
    /// The book of a data directory. It stays empty as long as no source makes addresses pseudonyms, which may begin at any time.
    pub fn open(config: &Config) -> anyhow::Result<Arc<AddressBook>> {
        let path = config.data_dir.join(ADDRESSES);
        let before = read(&path)?.into_iter().take(ADDRESSES_MAX / 2).collect();
        Ok(Arc::new(AddressBook { path, seen: Mutex::new(Seen { before, ..Seen::default() }) }))
    }

    /// Notes an address that was seen.
    pub fn note(&self, address: IpAddr) {
        self.lock().note(address, ADDRESSES_MAX / 2);
    }

    /// Writes what is new now and then, and once more at the end.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let goes_on = stop.run_until_cancelled(tokio::time::sleep(WRITE_INTERVAL)).await.is_some();
            let book = Arc::clone(&self);
            let written = tokio::task::spawn_blocking(move || book.write()).await;
            if let Err(error) = written.map_err(anyhow::Error::from).and_then(|written| written) {
                tracing::warn!(error = format!("{error:#}"), "the addresses behind pseudonyms are not kept");
            }
            if !goes_on {
                return;
            }
        }
    }

    fn write(&self) -> anyhow::Result<()> {
        // Sources wait for the lock, so nothing else is done under it.
        let all: Vec<IpAddr> = {
            let mut seen = self.lock();
            if !std::mem::take(&mut seen.has_news) {
                return Ok(());
            }
            // The youngest first, as a later start keeps the first half.
            seen.recent.iter().chain(seen.before.difference(&seen.recent)).copied().collect()
        };
        let text: String = all.iter().map(|address| format!("{address}\n")).collect();
        let written = installation::write_durably(&self.path, text.as_bytes());
        self.lock().has_news |= written.is_err();
        written
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self, address: IpAddr, generation_max: usize) {
        if self.recent.contains(&address) {
            return;
        }
        if self.recent.len() >= generation_max {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(address);
        self.has_news = true;
    }
}

/// What has the last word on each call of a source: it is enriched where somebody is there who does that here, and the address that is
/// not in it is kept.
pub fn complete(enricher: Option<Arc<Enricher>>, book: Arc<AddressBook>) -> Complete {
    Arc::new(move |call, hidden_address| {
        if let Some(enricher) = &enricher {
            enricher.enrich_from(call, hidden_address);
        }
        if let Some(address) = hidden_address {
            book.note(address);
        }
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<IpAddr>> {
    match fs::read_to_string(path) {
        // A line that is no address helps nobody and harms nobody.
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Says what pseudonyms stand for, as far as it is known here.
pub async fn lookup(config: PathBuf, pseudonyms: Vec<String>) -> anyhow::Result<ExitCode> {
    let config = Config::load(&config)?;
    let path = config.data_dir.join("pseudonym.key");
    anyhow::ensure!(
        path.exists(),
        "{} does not exist, and without the key nobody knows what a pseudonym stands for; this is for the premises",
        path.display()
    );
    let key = PseudonymKey::load(&path)?;
    // Whose they are is told from here on.
    let looked_up = pseudonyms.iter().take(AUDITED_MAX).cloned().collect::<Vec<_>>().join(", ");
    audit::note(&config.data_dir, AuditLog::Reads, "looked up whose pseudonyms these are", &looked_up).await;
    let mut entries = Vec::new();
    for gateway in &config.gateways {
        match entries_of(gateway, &config.data_dir).await {
            Ok(more) => entries.extend(more),
            Err(error) => terminal::note(&format!("gateway `{}`: {error:#}", gateway.name)),
        }
    }
    let addresses = read(&config.data_dir.join(ADDRESSES))?;
    let mut out = std::io::stdout().lock();
    let mut all_found = true;
    for wanted in &pseudonyms {
        let mut found: Vec<String> =
            entries.iter().filter(|entry| entry.is(&key, wanted)).map(|entry| entry.shown.clone()).collect();
        if let Ok(wanted) = wanted.parse::<IpAddr>() {
            let is_it = |address: &&IpAddr| key.with_former().any(|key| key.address(**address) == wanted);
            found.extend(addresses.iter().filter(is_it).map(|address| format!("address {address}")));
        }
        found.sort();
        found.dedup();
        for line in &found {
            writeln!(out, "{wanted} {line}")?;
        }
        if found.is_empty() {
            all_found = false;
            terminal::note(&format!("{wanted} is not known here"));
        }
    }
    Ok(if all_found { ExitCode::SUCCESS } else { ExitCode::from(NOT_FOUND) })
}

/// Something that a gateway calls by a name.
struct Entry {
    name: String,
    shown: String,
}

impl Entry {
    fn is(&self, key: &PseudonymKey, wanted: &str) -> bool {
        key.with_former().any(|key| key.personal("", &self.name).to_string() == wanted)
    }
}

async fn entries_of(gateway: &GatewayConfig, data_dir: &Path) -> anyhow::Result<Vec<Entry>> {
    let admin = AdminClient::new(&gateway.admin())?;
    let installation = installation::known_id(data_dir)?.unwrap_or_default();
    let configuration = read_configuration(&admin, &installation, None).await?;
    for list in &configuration.left_out {
        terminal::note(&format!("gateway `{}`: {} are not all known: {}", gateway.name, list.list, list.why));
    }
    Ok(entries(&gateway.name, configuration))
}

fn entries(gateway: &str, configuration: GatewayConfiguration) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |what: &str, name: &str, of: &str| {
        let shown = format!("{what} {name:?}, {of} of gateway {gateway}");
        entries.push(Entry { name: name.to_owned(), shown });
    };
    for consumer in &configuration.consumers {
        let of = format!("consumer {}", consumer.id);
        consumer.username.iter().for_each(|name| add("user name", name, &of));
        consumer.custom_id.iter().for_each(|name| add("custom id", name, &of));
        consumer.tags.iter().for_each(|name| add("tag", name, &of));
    }
    for credential in &configuration.credentials {
        credential.tags.iter().for_each(|name| add("tag", name, &format!("credential {}", credential.id)));
    }
    for service in &configuration.services {
        service.name.iter().for_each(|name| add("name", name, &format!("service {}", service.id)));
    }
    for route in &configuration.routes {
        route.name.iter().for_each(|name| add("name", name, &format!("route {}", route.id)));
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn the_longest_unseen_addresses_are_forgotten() {
        let mut seen = Seen::default();
        for number in 0..30 {
            seen.note(address(number), 8);
            seen.note(address(0), 8);
        }
        let all: HashSet<_> = seen.recent.union(&seen.before).copied().collect();
        assert!(all.len() <= 16, "{}", all.len());
        assert!((26..30).chain([0]).all(|number| all.contains(&address(number))), "{all:?}");
    }

    #[test]
    fn the_book_is_for_its_owner_and_there_after_a_start() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::parse("[[collector.sources]]\nkind = 'kong_tcp_log'\n").unwrap();
        config.data_dir = directory.path().to_owned();
        let book = AddressBook::open(&config).unwrap();
        book.write().unwrap();
        let path = directory.path().join(ADDRESSES);
        assert!(!path.exists(), "nothing was hidden");
        book.note(address(7));
        book.write().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap(), [address(7)]);
        let again = AddressBook::open(&config).unwrap();
        again.note(address(8));
        again.write().unwrap();
        assert_eq!(read(&path).unwrap(), [address(8), address(7)]);
    }
}
