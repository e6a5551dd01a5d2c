//! What both listeners share: the rows, and which of them each worker has taken over.
//!
//! Kong's workers look for changes of services, routes and plugins every `worker_state_update_frequency`, each on its
//! own beat; consumers, keys and groups are in force at once. Here a worker's beat is arithmetic on the clock, and the
//! state as of the last beat is taken over just before the first write after it, or on the first call after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{Rng, RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::proxy::configuration::Configuration;
use crate::proxy::rates::Rates;
use crate::settings::Settings;
use crate::store::{Stamp, Store};

/// Counts of what the gateway did.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    pub(crate) requests: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) lines_sent: AtomicU64,
    pub(crate) lines_lost: AtomicU64,
    pub(crate) rate_counters_dropped: AtomicU64,
}

pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) tallies: Tallies,
    pub(crate) node_id: String,
    pub(crate) workspace: String,
    random: Mutex<Pcg64Mcg>,
    state: Mutex<State>,
    rates: Mutex<Rates>,
}

struct State {
    store: Store,
    workers: Vec<Worker>,
    started_ms: i64,
}

/// One worker's beat and what it has taken over.
struct Worker {
    phase_ms: i64,
    beat: i64,
    version: u64,
    configuration: Arc<Configuration>,
}

impl Core {
    pub(crate) fn new(settings: Settings, store: Store) -> Core {
        let mut random = Pcg64Mcg::seed_from_u64(settings.seed);
        let clock = settings.clock.clone();
        let frequency_ms = frequency_ms(&settings);
        let workers = (0..settings.workers.max(1))
            .map(|_| Worker {
                phase_ms: if frequency_ms > 0 { random.random_range(0..frequency_ms) } else { 0 },
                beat: 0,
                version: store.version(),
                configuration: Arc::new(Configuration::compile(&store)),
            })
            .collect();
        let state = State { store, workers, started_ms: clock.now_ms() };
        Core {
            clock,
            node_id: uuid(&mut random),
            workspace: uuid(&mut random),
            settings,
            faults: Faults::default(),
            tallies: Tallies::default(),
            random: Mutex::new(random),
            state: Mutex::new(state),
            rates: Mutex::new(Rates::default()),
        }
    }

    /// Reads the rows as they are now.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.state().store)
    }

    /// Changes the rows; workers take over on their next beat.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Store, Stamp) -> T) -> T {
        let now_ms = self.clock.now_ms();
        let stamp = Stamp { id: self.uuid(), now_s: now_ms / 1000 };
        let mut state = self.state();
        let frequency_ms = frequency_ms(&self.settings);
        state.settle(now_ms, frequency_ms);
        let done = write(&mut state.store, stamp);
        if frequency_ms == 0 {
            state.refresh();
        }
        done
    }

    /// The configuration that is in force at a worker.
    pub(crate) fn configuration(&self, worker: usize) -> Arc<Configuration> {
        let mut state = self.state();
        state.settle(self.clock.now_ms(), frequency_ms(&self.settings));
        let worker = worker % state.workers.len();
        Arc::clone(&state.workers[worker].configuration)
    }

    /// Every worker takes over everything at once, as after `kong reload`.
    pub(crate) fn refresh(&self) {
        self.state().refresh();
    }

    /// Starts over with these rows.
    pub(crate) fn replace(&self, store: Store) {
        let mut state = self.state();
        state.store = store;
        state.refresh();
        drop(state);
        *self.rates() = Rates::default();
    }

    pub(crate) fn snapshot(&self) -> Value {
        self.state().store.snapshot()
    }

    pub(crate) fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn uuid(&self) -> String {
        uuid(&mut self.random())
    }

    /// 32 hexadecimal digits, as Kong numbers requests.
    pub(crate) fn request_id(&self) -> String {
        let mut random = self.random();
        format!("{:016x}{:016x}", random.next_u64(), random.next_u64())
    }

    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn random(&self) -> MutexGuard<'_, Pcg64Mcg> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Workers whose beat has passed take over what is stored. Called before every write, so that what is stored is
    /// what was stored at that beat.
    fn settle(&mut self, now_ms: i64, frequency_ms: i64) {
        if frequency_ms == 0 {
            return;
        }
        for at in 0..self.workers.len() {
            let worker = &self.workers[at];
            let beat = (now_ms - self.started_ms - worker.phase_ms).div_euclid(frequency_ms) + 1;
            if beat > worker.beat {
                self.take_over(at);
                self.workers[at].beat = beat;
            }
        }
    }

    fn refresh(&mut self) {
        for at in 0..self.workers.len() {
            // A row that came back from a snapshot may carry the same version as another row did.
            self.workers[at].version = u64::MAX;
            self.take_over(at);
        }
    }

    fn take_over(&mut self, at: usize) {
        let version = self.store.version();
        if self.workers[at].version == version {
            return;
        }
        let same =
            self.workers.iter().find(|other| other.version == version).map(|other| Arc::clone(&other.configuration));
        let configuration = same.unwrap_or_else(|| Arc::new(Configuration::compile(&self.store)));
        let worker = &mut self.workers[at];
        worker.version = version;
        worker.configuration = configuration;
    }
}

fn frequency_ms(settings: &Settings) -> i64 {
    i64::try_from(settings.state_update_frequency.as_millis()).unwrap_or(i64::MAX)
}

fn uuid(random: &mut Pcg64Mcg) -> String {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
