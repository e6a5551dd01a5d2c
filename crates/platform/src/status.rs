//! How far the parts of the platform are, for the status page, the metrics and the watcher.

use std::sync::Arc;

use outrider_lake::Retention;
use outrider_model::Concern;
use serde_json::json;

use crate::assignments::Assignments;
use crate::log::{LogHandle, LogStats, Position};
use crate::notify::{DestinationStatus, Statuses};
use crate::progress::{Progress, ProgressStats};

/// How far everything is.
#[derive(Clone)]
pub struct PlatformStatus {
    pub(crate) log: LogHandle,
    pub(crate) progress: Arc<Progress>,
    pub(crate) assignments: Option<Arc<Assignments>>,
    /// How much the lake keeps; `None` without one.
    pub(crate) retention: Option<Retention>,
    /// How long alerts that ended may still be decided about.
    pub(crate) alerts_remembered_ms: i64,
    /// The gateways that have a responder; `None` for all.
    pub(crate) gateways_served: Option<Vec<String>>,
    pub(crate) caught_up_at: Position,
    pub(crate) statuses: Statuses,
}

impl PlatformStatus {
    /// The numbers as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let progress = self.progress.stats();
        json!({
            "caught_up": progress.analysed_position >= self.caught_up_at.0,
            "log": self.log.stats(),
            "progress": progress,
            "analysis": self.progress.analysis_status(),
            "notify": self.statuses.all(),
            "lake_retention": self.retention.map(|kept| json!({ "days": kept.days, "bytes_max": kept.bytes_max })),
            "alerts_remembered_ms": self.alerts_remembered_ms,
            "gateways_served": self.gateways_served,
            "endpoints_forgotten_for_lake": self.assignments.as_ref().map_or(0, |ids| ids.forgotten()),
        })
    }

    /// The log in numbers.
    pub fn log(&self) -> LogStats {
        self.log.stats()
    }

    /// What is wrong with the analysis, with who is told and with the clock, as they say it themselves.
    pub(crate) fn own_concerns(&self) -> Vec<Concern> {
        let mut concerns = self.progress.concerns();
        concerns.extend(self.statuses.concerns());
        concerns
    }

    /// How those who are told are.
    pub fn destinations(&self) -> Vec<DestinationStatus> {
        self.statuses.all()
    }

    /// The counters of the analysis, the lake and the store.
    pub fn progress(&self) -> ProgressStats {
        self.progress.stats()
    }

    /// The analysis has taken in every record that is on stable storage now.
    pub fn is_idle(&self) -> bool {
        self.progress.stats().analysed_position >= self.log.stats().last.0
    }
}
