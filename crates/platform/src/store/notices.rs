//! Notices: what was wrong with outrider's own operation, opened once and closed when it is over.
//!
//! Which of them are open is only in the store, so a notice survives a restart: what is still wrong afterwards goes on
//! with it, and what is no longer wrong closes it.

use outrider_model::{Concern, Notice};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::apply::keep_newest;
use super::{Page, Store, StoreError, outbox};

/// Closed notices that are kept.
pub const NOTICES_MAX: u32 = 10_000;

/// What came of a look at the operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoticeChanges {
    /// Notices that were opened.
    pub opened: Vec<Notice>,
    /// Notices that are over.
    pub closed: Vec<Notice>,
}

impl Store {
    /// Opens a notice for every concern that has none, and closes every open one that no concern speaks of any more.
    /// Who is to be told is put into the outbox in the same transaction.
    pub async fn apply_concerns(&self, now_ms: i64, concerns: &[Concern]) -> Result<NoticeChanges, StoreError> {
        let open = self.open_notices().await?;
        let is_about = |notice: &Notice, concern: &Concern| {
            notice.concern.kind == concern.kind && notice.concern.subject == concern.subject
        };
        let opened: Vec<_> =
            concerns.iter().filter(|concern| !open.iter().any(|notice| is_about(notice, concern))).collect();
        let closed: Vec<_> =
            open.iter().filter(|notice| !concerns.iter().any(|concern| is_about(notice, concern))).collect();
        let mut changes = NoticeChanges::default();
        if opened.is_empty() && closed.is_empty() {
            return Ok(changes);
        }
        let doing = "write notices";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::query(doing))?;
        for notice in closed {
            let notice = Notice { closed_ms: Some(now_ms), ..notice.clone() };
            write(&mut transaction, &notice).await?;
            changes.closed.push(notice);
        }
        for concern in opened {
            let (last,): (Option<i64>,) = sqlx::query_as("SELECT MAX(number) FROM notices")
                .fetch_one(&mut *transaction)
                .await
                .map_err(StoreError::query(doing))?;
            let id = last.unwrap_or(0) + 1;
            let notice = Notice { id, concern: concern.clone(), opened_ms: now_ms, closed_ms: None };
            write(&mut transaction, &notice).await?;
            changes.opened.push(notice);
        }
        let rules = self.outbox.rules();
        let told = changes.closed.iter().chain(&changes.opened);
        let messages: Vec<_> = told.map(|notice| rules.teller.of_notice(notice)).collect();
        let put = outbox::put(&mut transaction, &rules, &messages).await?;
        keep_newest(&mut transaction, "notices", "number", "number", "is_open = 0", NOTICES_MAX).await?;
        transaction.commit().await.map_err(StoreError::query(doing))?;
        self.outbox.committed(put);
        self.feed.noticed(changes.closed.iter().chain(&changes.opened));
        Ok(changes)
    }

    /// All notices that are open, the oldest first.
    pub async fn open_notices(&self) -> Result<Vec<Notice>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT document FROM notices WHERE is_open = 1 ORDER BY number")
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::query("read notices"))?;
        rows.iter().map(|(text,)| parse(text)).collect()
    }

    /// Notices, the newest first; only open ones, or only closed ones, where that is asked for.
    pub async fn notices(
        &self,
        is_open: Option<bool>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Notice>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT document FROM notices WHERE 1 = 1");
        if let Some(is_open) = is_open {
            query.push(" AND is_open = ").push_bind(i64::from(is_open));
        }
        if let Some(cursor) = cursor {
            let number: i64 = cursor.parse().map_err(|_| StoreError::Cursor(cursor.to_owned()))?;
            query.push(" AND number < ").push_bind(number);
        }
        query.push(" ORDER BY number DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows: Vec<(String,)> =
            query.build_query_as().fetch_all(&self.readers).await.map_err(StoreError::query("list notices"))?;
        let items: Result<Vec<Notice>, _> = rows.iter().map(|(text,)| parse(text)).collect();
        let mut items = items?;
        let next = (items.len() > limit as usize).then(|| {
            items.truncate(limit as usize);
            items.last().map(|notice| notice.id.to_string())
        });
        Ok(Page { items, next: next.flatten() })
    }

    /// One notice.
    pub async fn notice(&self, id: i64) -> Result<Option<Notice>, StoreError> {
        let row: Option<(String,)> = sqlx::query_as("SELECT document FROM notices WHERE number = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::query("read a notice"))?;
        row.map(|(text,)| parse(&text)).transpose()
    }
}

async fn write(transaction: &mut Transaction<'_, Sqlite>, notice: &Notice) -> Result<(), StoreError> {
    let document = serde_json::to_string(notice).map_err(StoreError::document("notices"))?;
    sqlx::query(
        "INSERT INTO notices (number, kind, subject, is_open, opened_ms, document) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (number) DO UPDATE SET is_open = excluded.is_open, document = excluded.document",
    )
    .bind(notice.id)
    .bind(notice.concern.kind.as_str())
    .bind(&notice.concern.subject)
    .bind(i64::from(notice.closed_ms.is_none()))
    .bind(notice.opened_ms)
    .bind(document)
    .execute(&mut **transaction)
    .await
    .map(drop)
    .map_err(StoreError::query("write a notice"))
}

pub(super) fn parse(text: &str) -> Result<Notice, StoreError> {
    serde_json::from_str(text).map_err(StoreError::document("notices"))
}
