//! Gaps: times from which calls are missing, or may be, as the notices of outrider's operation tell them.

use std::collections::HashMap;

use outrider_model::{Notice, NoticeKind};
use schemars::JsonSchema;
use serde::Serialize;

use super::notices::parse;
use super::{Page, Store, StoreError};

/// A time from which calls are missing, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gap {
    /// The number of the notice that tells of it.
    pub id: i64,
    /// Why calls are missing.
    pub kind: NoticeKind,
    /// The gateways that it is about; empty for all of them.
    pub gateways: Vec<String>,
    /// When it began.
    pub since_ms: i64,
    /// When its notice was closed; null while it goes on. That is when calls came again, or up to 15 minutes after the last
    /// that is missing.
    pub until_ms: Option<i64>,
    /// What was seen, in one sentence.
    pub detail: String,
}

/// Which gaps.
#[derive(Debug, Clone, Default)]
pub struct GapFilter {
    /// That concern this gateway.
    pub gateway: Option<String>,
    /// That were not over before this time.
    pub since_ms: Option<i64>,
    /// That began before this time.
    pub until_ms: Option<i64>,
}

impl Store {
    /// Gaps, the newest first. There are at most as many as notices are kept.
    pub async fn gaps(&self, filter: &GapFilter, limit: u32, cursor: Option<&str>) -> Result<Page<Gap>, StoreError> {
        let before: i64 = match cursor {
            Some(cursor) => cursor.parse().map_err(|_| StoreError::Cursor(cursor.to_owned()))?,
            None => i64::MAX,
        };
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT document FROM notices
             WHERE kind IN ('gateway_silent', 'calls_lost', 'calls_dropped', 'collector_silent') AND number < $1
             ORDER BY number DESC",
        )
        .bind(before)
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::query("read notices"))?;
        let services = self.services().await?.into_iter().map(|row| (row.name, row.gateways)).collect();
        let mut items = Vec::new();
        for (text,) in &rows {
            let gap = gap_of(parse(text)?, &services);
            if items.len() > limit as usize {
                break;
            }
            if filter.has(&gap) {
                items.push(gap);
            }
        }
        let is_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| is_more).map(|gap: &Gap| gap.id.to_string());
        Ok(Page { items, next })
    }
}

impl GapFilter {
    fn has(&self, gap: &Gap) -> bool {
        self.gateway.as_ref().is_none_or(|name| gap.gateways.is_empty() || gap.gateways.contains(name))
            && self.since_ms.is_none_or(|since_ms| gap.until_ms.is_none_or(|until_ms| until_ms >= since_ms))
            && self.until_ms.is_none_or(|until_ms| gap.since_ms < until_ms)
    }
}

/// The subject is a gateway, a collector, something of a collector (`NAME: spool`), or a part of the platform. A collector
/// that nobody knows any more may have been one of any gateway.
fn gap_of(notice: Notice, services: &HashMap<String, Vec<String>>) -> Gap {
    let Notice { id, concern, closed_ms, .. } = notice;
    let gateways = match concern.kind {
        NoticeKind::GatewaySilent => vec![concern.subject],
        _ => {
            let name = concern.subject.split_once(": ").map_or(concern.subject.as_str(), |(name, _)| name);
            services.get(name).cloned().unwrap_or_default()
        }
    };
    Gap { id, kind: concern.kind, gateways, since_ms: concern.since_ms, until_ms: closed_ms, detail: concern.detail }
}
