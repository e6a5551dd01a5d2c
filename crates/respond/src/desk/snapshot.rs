//! The desk as bytes and back: one version byte, then the rows as JSON and the traffic counts as postcard.
//!
//! JSON because rows carry internally tagged enums, which compact formats cannot read; what derives from rows (indexes,
//! the schedule) is built anew.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::actions::{ActionBook, ActionEntry};
use super::alerts::{AlertBook, AlertEntry};
use super::commands::CommandMemory;
use super::effects::{Counters, KillSwitch, Outbox};
use super::never_block::NeverBlock;
use super::policies::{PolicyBook, PolicyRow};
use super::schedule::Schedule;
use super::silences::{SilenceKey, Silences};
use super::traffic::Traffic;
use super::{Desk, Error, Settings};

/// Raised whenever the form below changes.
const VERSION: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Rows {
    installation: String,
    settings: Settings,
    served: Option<BTreeSet<String>>,
    now_ms: i64,
    alerts: Vec<AlertEntry>,
    silences: Vec<(SilenceKey, i64)>,
    policies: Vec<PolicyRow>,
    actions: Vec<ActionEntry>,
    started_ms: Vec<i64>,
    version: u64,
    kill_switch: KillSwitch,
    protected: Vec<(u64, String)>,
    commands: CommandMemory,
    outbox: Outbox,
    counters: Counters,
}

impl Desk {
    /// The whole state. Equal desks give equal bytes.
    pub fn snapshot(&self) -> Result<Vec<u8>, Error> {
        let rows = Rows {
            installation: self.installation.clone(),
            settings: self.settings.clone(),
            served: self.served.clone(),
            now_ms: self.now_ms,
            alerts: self.alerts.rows.values().cloned().collect(),
            silences: self.silences.rows(),
            policies: self.policies.rows.values().cloned().collect(),
            actions: self.actions.rows.values().cloned().collect(),
            started_ms: self.actions.started_ms.iter().copied().collect(),
            version: self.actions.version,
            kill_switch: self.kill_switch.clone(),
            protected: self.never_block.protected_rows(),
            commands: self.commands.clone(),
            outbox: self.outbox.clone(),
            counters: self.counters,
        };
        let rows = serde_json::to_vec(&rows).map_err(|error| Error::Snapshot(error.to_string()))?;
        let body = postcard::to_stdvec(&(rows, &self.traffic)).map_err(|error| Error::Snapshot(error.to_string()))?;
        let mut bytes = Vec::with_capacity(1 + body.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// A desk that goes on as if it had never stopped.
    pub fn restore(bytes: &[u8]) -> Result<Self, Error> {
        let body = match bytes.split_first() {
            Some((&VERSION, body)) => body,
            Some((version, _)) => {
                return Err(Error::Snapshot(format!("it has version {version}, this build reads {VERSION}")));
            }
            None => return Err(Error::Snapshot("it is empty".to_owned())),
        };
        let (rows, traffic): (&[u8], Traffic) =
            postcard::from_bytes(body).map_err(|error| Error::Snapshot(error.to_string()))?;
        let rows: Rows = serde_json::from_slice(rows).map_err(|error| Error::Snapshot(error.to_string()))?;
        rows.settings.validate()?;
        let mut desk = Desk {
            installation: rows.installation,
            never_block: NeverBlock::new(&rows.settings.guard_rails.never_block, rows.protected),
            settings: rows.settings,
            served: rows.served,
            now_ms: rows.now_ms,
            alerts: AlertBook::from_rows(rows.alerts),
            silences: Silences::from_rows(rows.silences),
            policies: PolicyBook::from_rows(rows.policies),
            actions: ActionBook::new(rows.actions, rows.started_ms, rows.version),
            kill_switch: rows.kill_switch,
            traffic,
            commands: rows.commands,
            schedule: Schedule::default(),
            outbox: rows.outbox,
            counters: rows.counters,
        };
        desk.reschedule_all();
        Ok(desk)
    }
}
