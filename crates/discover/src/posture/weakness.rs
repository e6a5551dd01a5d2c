//! A weakness: what a check found, what it rests on, what to do about it, and how it went on.

use outrider_model::{EndpointId, Fingerprint, Severity, WeaknessId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service of a gateway, as endpoints name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ServiceKey {
    /// The gateway.
    pub gateway: String,
    /// Its workspace; empty for a service that no call was seen of.
    pub workspace: String,
    /// Kong's service id; for calls without a service `host:` and the host asked for.
    pub service: String,
}

/// What is weak.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeakSubject {
    /// An endpoint.
    Endpoint(EndpointId),
    /// A service, where the cause is a setting of it and not of one endpoint.
    Service(ServiceKey),
    /// A route, whether calls came by it or not.
    Route {
        /// The gateway.
        gateway: String,
        /// Kong's route id.
        route: String,
    },
    /// A gateway.
    Gateway {
        /// Its name.
        gateway: String,
    },
    /// A consumer.
    Consumer {
        /// The gateway.
        gateway: String,
        /// Kong's consumer id.
        consumer: String,
    },
    /// A credential.
    Credential {
        /// The gateway.
        gateway: String,
        /// Kong's id of it, else the pseudonym of what was presented.
        credential: String,
    },
}

impl WeakSubject {
    /// The id of what a check has to say of it. A service's workspace takes no part but for one that is named by its host: a gateway's
    /// ids are unique across workspaces, and its configuration does not tell them.
    pub fn weakness(&self, check: &str) -> WeaknessId {
        let id = Fingerprint::of("weakness").text(check);
        let id = match self {
            WeakSubject::Endpoint(endpoint) => id.text("endpoint").number(endpoint.0.cast_signed()),
            WeakSubject::Service(key) => {
                let workspace = if key.service.starts_with("host:") { key.workspace.as_str() } else { "" };
                id.text("service").text(&key.gateway).text(workspace).text(&key.service)
            }
            WeakSubject::Route { gateway, route } => id.text("route").text(gateway).text(route),
            WeakSubject::Gateway { gateway } => id.text("gateway").text(gateway),
            WeakSubject::Consumer { gateway, consumer } => id.text("consumer").text(gateway).text(consumer),
            WeakSubject::Credential { gateway, credential } => id.text("credential").text(gateway).text(credential),
        };
        WeaknessId(id.finish())
    }
}

/// A fact with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What it is, in the field's terms: `calls without authentication answered 2xx`.
    pub name: String,
    /// How much or which.
    pub value: String,
}

/// What a check says, before it has a life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What is weak.
    pub subject: WeakSubject,
    /// How bad it is.
    pub severity: Severity,
    /// When it was seen last, in event time; of a configuration, when it was read.
    pub last_seen_ms: i64,
    /// The one sentence that a person reads first, with the numbers in it.
    pub sentence: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// The SQL query over the lake that shows the calls or counts them.
    pub query: String,
    /// What to do about it, with the exact command or field.
    pub fix: String,
    /// The endpoints that it is about, at most [`ENDPOINTS_MAX`].
    pub endpoints: Vec<EndpointId>,
}

/// Endpoints that a weakness lists.
pub const ENDPOINTS_MAX: usize = 50;

/// How it stands with a weakness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeaknessState {
    /// It is there.
    Open,
    /// It is there, and somebody decided to leave it for a while.
    Excepted {
        /// Until when, in log time.
        until_ms: i64,
        /// Why.
        reason: String,
        /// Who decided it.
        by: String,
    },
    /// It is there no longer.
    Fixed,
}

/// A weakness of an API, with its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Weakness {
    /// Derived from check and subject, so that a replay gives the same.
    pub id: WeaknessId,
    /// The check's name.
    pub check: String,
    /// The check's id in the OWASP API Security Top 10 of 2023: `API8:2023`.
    pub owasp: String,
    /// What is weak.
    pub subject: WeakSubject,
    /// How bad it is.
    pub severity: Severity,
    /// How it stands.
    pub state: WeaknessState,
    /// Log time at which it was opened, the last time.
    pub opened_ms: i64,
    /// When it was seen last, in event time; of a configuration, when it was read.
    pub last_seen_ms: i64,
    /// Log time at which it was found to be there no longer.
    pub fixed_ms: Option<i64>,
    /// How many times it came back.
    pub reopened: u32,
    /// The one sentence that a person reads first.
    pub sentence: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// The SQL query over the lake that shows the calls or counts them.
    pub query: String,
    /// What to do about it.
    pub fix: String,
    /// The endpoints that it is about.
    pub endpoints: Vec<EndpointId>,
}

impl Weakness {
    /// Whether it is there and nobody has excepted it.
    pub fn is_open(&self) -> bool {
        self.state == WeaknessState::Open
    }
}

/// Why somebody should hear of a weakness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was not known.
    New,
    /// It was fixed and is there again.
    Reopened,
    /// It is worse than it was.
    Worsened,
    /// Its exception has ended.
    ExceptionEnded,
}

/// A weakness that somebody should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Why.
    pub why: Why,
    /// The weakness as it is now.
    pub weakness: Weakness,
}

/// A decision to leave a weakness for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exception {
    /// The check's name.
    pub check: String,
    /// What is weak.
    pub subject: WeakSubject,
    /// Until when, in log time.
    pub until_ms: i64,
    /// Why. It has to be said.
    pub reason: String,
    /// Who decided it.
    pub by: String,
}

/// Why an exception is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExceptionRefused {
    /// There is no such check.
    #[error("there is no posture check `{0}`")]
    Check(String),
    /// It would be over already, or lasts longer than is allowed.
    #[error("an exception ends in the future and within {days_max} days")]
    Until {
        /// The setting `exception_days_max`.
        days_max: u32,
    },
    /// It does not say why, or not briefly.
    #[error("an exception has a reason of 1 to {bytes_max} bytes")]
    Reason {
        /// The longest.
        bytes_max: usize,
    },
    /// There are too many.
    #[error("{max} exceptions stand already, which is as many as may; take one back first")]
    Full {
        /// The setting `exceptions_max`.
        max: usize,
    },
}
