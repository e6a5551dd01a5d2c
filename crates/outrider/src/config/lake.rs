//! `[lake]`: what is kept, and what queries may use.

use std::time::Duration;

use anyhow::ensure;
use outrider_lake::{QueryLimits, Retention};
use outrider_platform::service::LakeSettings;
use serde::Deserialize;

const MIB: u64 = 1024 * 1024;

/// The table of all events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeConfig {
    /// Whether events are kept as a table at all.
    pub enabled: bool,
    /// How long events wait at most before they are committed, in milliseconds, 100 to 60000. Queries of a running outrider
    /// see them before.
    pub commit_interval_ms: u64,
    /// Days that are kept besides the running one, 1 to 3650; 0 for all.
    pub retention_days: u32,
    /// Bytes of data files that are kept, 100 MiB at least; the oldest days go first. 0 for any number.
    pub size_bytes_max: u64,
    /// Queries that may run at one time, 1 to 100.
    pub queries_max: usize,
    /// Seconds that a query may take, 1 to 3600.
    pub query_seconds_max: u64,
    /// Rows that an answer may have, 1 to 10,000,000.
    pub query_rows_max: usize,
    /// Memory of all queries together in bytes, 64 MiB at least.
    pub query_memory_bytes: u64,
    /// Disk of all queries together in bytes, below `data_dir`, for what does not fit into memory.
    pub query_scratch_bytes: u64,
}

impl Default for LakeConfig {
    fn default() -> Self {
        LakeConfig {
            enabled: true,
            commit_interval_ms: 10_000,
            retention_days: 30,
            size_bytes_max: 0,
            queries_max: 4,
            query_seconds_max: 60,
            query_rows_max: 100_000,
            query_memory_bytes: 512 * MIB,
            query_scratch_bytes: 4096 * MIB,
        }
    }
}

impl LakeConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let interval = self.commit_interval_ms;
        ensure!((100..=60_000).contains(&interval), "lake.commit_interval_ms is {interval}; use 100 to 60000");
        let days = self.retention_days;
        ensure!(days <= 3650, "lake.retention_days is {days}; use 1 to 3650, or 0 to keep all");
        let bytes = self.size_bytes_max;
        ensure!(
            bytes == 0 || bytes >= 100 * MIB,
            "lake.size_bytes_max is {bytes}; use 104857600 or more, or 0 for no limit"
        );
        let queries = self.queries_max;
        ensure!((1..=100).contains(&queries), "lake.queries_max is {queries}; use 1 to 100");
        let seconds = self.query_seconds_max;
        ensure!((1..=3600).contains(&seconds), "lake.query_seconds_max is {seconds}; use 1 to 3600");
        let rows = self.query_rows_max;
        ensure!((1..=10_000_000).contains(&rows), "lake.query_rows_max is {rows}; use 1 to 10000000");
        let memory = self.query_memory_bytes;
        ensure!(memory >= 64 * MIB, "lake.query_memory_bytes is {memory}; use 67108864 or more");
        Ok(())
    }

    /// What the platform does with it; `None` where the lake is off.
    pub fn settings(&self) -> Option<LakeSettings> {
        self.enabled.then(|| LakeSettings {
            commit_interval: Duration::from_millis(self.commit_interval_ms),
            retention: Retention {
                days: (self.retention_days > 0).then_some(self.retention_days),
                bytes_max: (self.size_bytes_max > 0).then_some(self.size_bytes_max),
            },
            limits: self.limits(),
        })
    }

    /// What queries may use.
    pub fn limits(&self) -> QueryLimits {
        QueryLimits {
            queries_max: self.queries_max,
            memory_bytes: usize::try_from(self.query_memory_bytes).unwrap_or(usize::MAX),
            scratch_bytes: self.query_scratch_bytes,
            time: Duration::from_secs(self.query_seconds_max),
            rows_max: self.query_rows_max,
            ..QueryLimits::default()
        }
    }
}
