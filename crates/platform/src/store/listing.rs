//! Lists of rows that are kept as documents: conditions, order and pages.

use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Sqlite};

use super::query::{EndpointFilter, PAGE_MAX, Page};
use super::{Gateways, Store, StoreError};

/// A list under construction.
pub(super) struct Listing {
    pub(super) query: QueryBuilder<Sqlite>,
    table: &'static str,
    order: &'static str,
    has_condition: bool,
}

impl Listing {
    pub(super) fn new(table: &'static str, order: &'static str) -> Self {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(order).push(", id, document FROM ").push(table);
        Listing { query, table, order, has_condition: false }
    }

    /// Counts in groups in the place of rows; see [`Listing::grouped`].
    pub(super) fn counting(table: &'static str, columns: &'static str) -> Self {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(columns).push(" FROM ").push(table);
        Listing { query, table, order: columns, has_condition: false }
    }

    pub(super) async fn grouped<T>(mut self, store: &Store, by: &'static str) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        self.query.push(" GROUP BY ").push(by);
        let rows = self.query.build_query_as().fetch_all(&store.readers);
        rows.await.map_err(StoreError::query("read the control store"))
    }

    pub(super) fn and(&mut self) -> &mut QueryBuilder<Sqlite> {
        self.query.push(if self.has_condition { " AND " } else { " WHERE " });
        self.has_condition = true;
        &mut self.query
    }

    pub(super) fn equal(&mut self, column: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.and().push(column).push(" = ").push_bind(value.to_owned());
        }
    }

    pub(super) fn either(&mut self, one: &'static str, other: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            let query = self.and();
            query.push("(").push(one).push(" = ").push_bind(value.to_owned());
            query.push(" OR ").push(other).push(" = ").push_bind(value.to_owned()).push(")");
        }
    }

    pub(super) fn endpoints(&mut self, filter: &EndpointFilter) {
        if !filter.with_merged {
            self.and().push("merged_into IS NULL AND is_ignored = 0");
        }
        self.equal("service_name", filter.service.as_deref());
        self.equal("method", filter.method.as_deref());
        self.equal("gateway", filter.gateway.as_deref());
        if let Some(text) = &filter.contains {
            let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            self.and().push("template LIKE ").push_bind(format!("%{escaped}%")).push(" ESCAPE '\\'");
        }
        self.at(&filter.gateways);
    }

    pub(super) fn at(&mut self, gateways: &Gateways) {
        if let Gateways::Only(names) = gateways {
            self.among("gateway", names);
        }
    }

    pub(super) fn any_of(&mut self, column: &'static str, words: impl Iterator<Item = &'static str>) {
        let words: Vec<_> = words.map(str::to_owned).collect();
        if !words.is_empty() {
            self.among(column, &words);
        }
    }

    pub(super) fn among(&mut self, column: &'static str, words: &[String]) {
        let query = self.and();
        query.push(column).push(" IN (");
        let mut list = query.separated(", ");
        for word in words {
            list.push_bind(word.clone());
        }
        query.push(")");
    }

    pub(super) async fn page<T: DeserializeOwned>(
        mut self,
        store: &Store,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<T>, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let order = self.order;
        if let Some(cursor) = cursor {
            // A cursor of another order would name a place that means nothing here.
            let place = cursor.strip_prefix(order).and_then(|rest| rest.strip_prefix('.'));
            let (key, id) = split_cursor(place.ok_or_else(|| StoreError::Cursor(cursor.to_owned()))?)?;
            let query = self.and();
            query.push("(").push(order).push(", id) < (").push_bind(key).push(", ").push_bind(id.to_owned()).push(")");
        }
        self.query.push(" ORDER BY ").push(order).push(" DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let mut rows: Vec<(i64, String, String)> = self
            .query
            .build_query_as()
            .fetch_all(&store.readers)
            .await
            .map_err(StoreError::query("read the control store"))?;
        let mut next = None;
        if rows.len() > limit as usize {
            rows.truncate(limit as usize);
            next = rows.last().map(|(key, id, _)| format!("{order}.{key}.{id}"));
        }
        let items = rows.iter().map(|(_, _, text)| parse(self.table, text)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }
}

fn split_cursor(cursor: &str) -> Result<(i64, &str), StoreError> {
    let wrong = || StoreError::Cursor(cursor.to_owned());
    let (key, id) = cursor.split_once('.').ok_or_else(wrong)?;
    Ok((key.parse().map_err(|_| wrong())?, id))
}

pub(super) fn parse<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(StoreError::document(table))
}
