//! What a detector is to the engine: what it is asked, what it is told, and what it answers.

use outrider_model::{ApiCall, EndpointId, EntityKey, EntityKind, EntityRef, Finding, Subject};

use crate::error::DetectError;

/// A call as the engine takes it in, with what discovery said of it.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a, 'c> {
    /// The call.
    pub call: &'a ApiCall<'c>,
    /// What findings name it by: live its ordinal in the log, in a replay the 1-based input line.
    pub number: u64,
    /// The endpoint that it belongs to, if to one.
    pub endpoint: Option<EndpointId>,
    /// That endpoint was not re-templated lately, so its profile speaks of what it is now (decision 14).
    pub endpoint_settled: bool,
    /// `METHOD template` of that endpoint, for people; empty without one.
    pub endpoint_name: &'a str,
}

/// What the engine settled about a call before any detector sees it.
#[derive(Debug, Clone, Copy)]
pub struct Intake<'a> {
    /// Log time.
    pub now_ms: i64,
    /// Who acted, with its 64-bit key; `None` for a call that names nobody.
    pub actor: Option<(EntityRef<'a>, u64)>,
    /// What the call may be used for.
    pub evidence: Evidence,
    /// The gateway itself refused or failed it, for a cause that the log does not name: such a call never trains a volume
    /// or error profile (decision 20).
    pub gateway_refusal: bool,
}

impl Intake<'_> {
    /// The running epoch.
    pub fn epoch(&self) -> i64 {
        self.now_ms.div_euclid(Epoch::LENGTH_MS)
    }
}

/// What a call may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It trains profiles and is judged by them.
    Trusted,
    /// It is judged by profiles but trains none, and what is found says so (decision 4).
    Untrusted,
}

/// A closed minute of log time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Minutes since the Unix epoch.
    pub number: i64,
}

impl Epoch {
    /// How long an epoch is.
    pub const LENGTH_MS: i64 = 60_000;

    /// The log time at which it began.
    pub fn start_ms(self) -> i64 {
        self.number * Self::LENGTH_MS
    }

    /// The log time at which it ended: what it decides was decided then.
    pub fn end_ms(self) -> i64 {
        (self.number + 1) * Self::LENGTH_MS
    }
}

/// A person's word that what was found is no abuse.
#[derive(Debug, Clone, Copy)]
pub struct FalsePositive<'a> {
    /// The detector that found it.
    pub detector: &'a str,
    /// Whom it was about.
    pub entity: &'a EntityKey,
    /// The endpoints it was about; empty for everything that the entity does.
    pub endpoints: &'a [EndpointId],
    /// The highest value that was observed: what a person calls normal.
    pub observed: f64,
}

/// A number that an operator may watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Its name, in the metric's form: `calls_late`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}

/// What a detector is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Its name in findings, policies and settings: `request_spike`.
    pub name: &'static str,
    /// Its name in headlines: `Request spike`.
    pub title: &'static str,
    /// What it detects, in one sentence.
    pub summary: &'static str,
    /// The kinds of entity that it speaks of.
    pub entities: &'static [EntityKind],
    /// Its page: Markdown, the same as in its folder.
    pub page: &'static str,
}

/// One detector: state that is taught and asked by calls in the order of the log.
///
/// Everything it decides follows from the calls, epochs and marks it was given. Values across keys are read as of the last
/// closed epoch (decision 8).
pub trait Detector: Send {
    /// What it is.
    fn descriptor(&self) -> &'static Descriptor;

    /// Takes a call in. Calls that must not be used at all never come here.
    fn observe(&mut self, observed: &Observed<'_, '_>, intake: &Intake<'_>, findings: &mut Vec<Finding>);

    /// A minute of log time is over. Every minute is closed once, in order.
    fn close_epoch(&mut self, epoch: Epoch, findings: &mut Vec<Finding>);

    /// A person says that one of its findings was no abuse.
    fn false_positive(&mut self, mark: &FalsePositive<'_>);

    /// Forgets what it has learned of somebody, at every gateway, also where it is held under other names.
    fn forget(&mut self, subject: &Subject);

    /// Its state, its version first.
    fn snapshot(&self) -> Result<Vec<u8>, DetectError>;

    /// Puts a state that [`Detector::snapshot`] wrote in the place of its own.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), DetectError>;

    /// About how much memory its state takes.
    fn memory_bytes(&self) -> usize;

    /// Its counters since it was made or restored.
    fn counters(&self) -> Vec<Counter>;
}
