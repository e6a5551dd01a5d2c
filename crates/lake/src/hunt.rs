//! Saved questions, asked of the calls of one window: a search, answered by who acted, or a statement over `window_calls`.
//!
//! It decides what a statement must answer with, who was found, and how the same is asked again. Which window, and what
//! comes of it, others decide. Calls that our own blocks refused are in no window: they are no evidence.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use deltalake::arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use deltalake::arrow::util::display::array_value_to_string;
use deltalake::datafusion::common::ScalarValue;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::prelude::SessionContext;
use deltalake::datafusion::sql::sqlparser::dialect::GenericDialect;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use outrider_model::{EntityKind, HUNT_ENTITIES_MAX, Hunt, HuntFigures, HuntHit, HuntQuestion, HuntWindow};

use crate::entities::actor;
use crate::evidence::{Asked, evidence, hits};
use crate::page::at_gateways;
use crate::query::{Answer, QueryError, QueryProgress, check_allowed, parsed};
use crate::reader::LakeReader;
use crate::search::{Search, literal, parse_search, time_literal};

/// The calls of the window, in statements of hunts.
pub(crate) const CALLS: &str = "window_calls";
/// Columns that say whom a row is about.
const SUBJECT: [&str; 3] = ["entity_kind", "entity", "gateway"];
/// How long the name of an entity may be, in bytes.
const ENTITY_BYTES_MAX: usize = 1024;
/// Columns that a finding shows besides those, and characters of each value.
const SHOWN_COLUMNS_MAX: usize = 8;
const SHOWN_CHARS_MAX: usize = 100;

/// What a hunt found in one window.
#[derive(Debug)]
pub struct HuntAnswer {
    /// The window.
    pub window: HuntWindow,
    /// How it was done; how long it took, who asked measures.
    pub figures: HuntFigures,
    /// Those who reached the threshold, the most rows first, [`HUNT_ENTITIES_MAX`] at most.
    pub hits: Vec<HuntHit>,
    /// The statement that gives the rows again.
    pub query: String,
}

/// Somebody who was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub kind: EntityKind,
    pub entity: String,
    pub gateway: String,
    pub rows: u64,
    pub shown: String,
    /// When the last of it happened, where the answer says that.
    pub event_us: Option<i64>,
}

/// All who were found, in numbers.
#[derive(Default)]
struct Totals {
    rows: u64,
    entities: u64,
}

impl LakeReader {
    /// Refuses a hunt that cannot be answered, and says where it is wrong.
    pub fn check_hunt<'a>(&'a self, hunt: &'a Hunt) -> BoxFuture<'a, Result<(), QueryError>> {
        let check = async move {
            let sql = match &hunt.ask {
                HuntQuestion::Search(text) => return search_of(text).map(drop),
                HuntQuestion::Sql(sql) => sql,
            };
            let view = self.view().await?;
            let context = self.session(&view).await?;
            let window = HuntWindow {
                after: view.position,
                to: view.position,
                since_ms: 0,
                until_ms: 0,
                not_before_ms: None,
                again_from_ms: None,
            };
            register(&context, &window_condition(&window, &hunt.gateways, &[])).await?;
            let plan = understand(&context, sql, &window).await?;
            check_columns(plan.schema().as_arrow())
        };
        check.boxed()
    }

    /// Answers a hunt beside other queries. Who calls it runs one at a time. `window` says which calls, of those up to a log
    /// position that the lake has; those of the records in `left_out` are none of them.
    pub fn hunt<'a>(
        &'a self,
        hunt: &'a Hunt,
        window: impl FnOnce(u64) -> HuntWindow + Send + 'a,
        left_out: &'a [RangeInclusive<u64>],
    ) -> BoxFuture<'a, Result<HuntAnswer, QueryError>> {
        let time = self.limits.time;
        let answer = tokio::time::timeout(time, self.answer(hunt, window, left_out));
        answer.map(move |answered| answered.unwrap_or(Err(QueryError::Time(time)))).boxed()
    }

    /// As [`LakeReader::hunt`], in one of the places for queries.
    pub fn try_hunt<'a>(
        &'a self,
        hunt: &'a Hunt,
        window: impl FnOnce(u64) -> HuntWindow + Send + 'a,
    ) -> BoxFuture<'a, Result<HuntAnswer, QueryError>> {
        let answer = async move {
            let _permit = self.permit()?;
            self.hunt(hunt, window, &[]).await
        };
        answer.boxed()
    }

    async fn answer(
        &self,
        hunt: &Hunt,
        window: impl FnOnce(u64) -> HuntWindow + Send,
        left_out: &[RangeInclusive<u64>],
    ) -> Result<HuntAnswer, QueryError> {
        let view = self.view().await?;
        let window = window(view.position);
        let context = self.session(&view).await?;
        let condition = window_condition(&window, &hunt.gateways, left_out);
        register(&context, &condition).await?;
        let mut progress = QueryProgress::default();
        let (mut found, totals, searched, query) = match &hunt.ask {
            HuntQuestion::Search(text) => {
                let search = search_of(text)?;
                let (found, totals) = self.searched(&context, &search, hunt.threshold, &mut progress).await?;
                let query = format!("SELECT count(*) FROM events WHERE {condition} AND {}", search.condition);
                (found, totals, Some(search.condition), query)
            }
            HuntQuestion::Sql(sql) => {
                let (found, totals) = self.stated(&context, sql, &window, hunt.threshold, &mut progress).await?;
                let again = spelled_out(sql, &window)?;
                let query = format!(
                    "WITH {CALLS} AS (SELECT * FROM events WHERE {condition})\nSELECT * FROM (\n{again}\n) AS found"
                );
                (found, totals, None, query)
            }
        };
        found.truncate(HUNT_ENTITIES_MAX);
        let entities_left_out = totals.entities - found.len() as u64;
        let asked = Asked { searched: searched.as_deref(), after: window.after };
        let known = evidence(&context, &found, asked, &self.limits, &mut progress).await?;
        let hits = hits(found, &known, &hunt.ask, &window);
        let figures = HuntFigures {
            rows: totals.rows,
            entities: totals.entities,
            entities_left_out,
            took_ms: 0,
            rows_read: progress.rows_read,
            bytes_read: progress.bytes_read,
        };
        Ok(HuntAnswer { window, figures, hits, query })
    }

    /// Who made the calls that a search finds, the most calls first.
    async fn searched(
        &self,
        context: &SessionContext,
        search: &Search,
        threshold: u32,
        progress: &mut QueryProgress,
    ) -> Result<(Vec<Found>, Totals), QueryError> {
        let [kind, entity] = actor();
        let statement = format!(
            "SELECT entity_kind, entity, gateway, found, sum(found) OVER () AS all_found, \
             sum(CASE WHEN found >= {threshold} THEN 1 ELSE 0 END) OVER () AS all_entities FROM \
             (SELECT entity_kind, entity, gateway, count(*) AS found FROM \
             (SELECT {kind} AS entity_kind, {entity} AS entity, gateway FROM {CALLS} WHERE {}) \
             WHERE entity IS NOT NULL GROUP BY entity_kind, entity, gateway) \
             ORDER BY found DESC, entity_kind, entity, gateway LIMIT {HUNT_ENTITIES_MAX}",
            search.condition,
        );
        let plan = context.state().create_logical_plan(&statement).await?;
        let (mut found, mut totals) = (Vec::new(), Totals::default());
        let mut answer = Answer::to(context, plan, &self.limits).await?;
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            let [kinds, entities, gateways] = subjects(&batch)?;
            let numbers = ["found", "all_found", "all_entities"].map(|name| numbers(&batch, name));
            let [counts, all_found, all_entities] = numbers;
            for row in 0..batch.num_rows() {
                totals = Totals { rows: all_found[row], entities: all_entities[row] };
                if counts[row] < u64::from(threshold) {
                    continue;
                }
                found.push(Found {
                    kind: kind_of(kinds.value(row))?,
                    entity: entities.value(row).to_owned(),
                    gateway: gateways.value(row).to_owned(),
                    rows: counts[row],
                    shown: String::new(),
                    event_us: None,
                });
            }
        }
        self.came_whole(&answer, progress)?;
        Ok((found, totals))
    }

    /// Whom the rows of a statement are about, the most rows first.
    async fn stated(
        &self,
        context: &SessionContext,
        sql: &str,
        window: &HuntWindow,
        threshold: u32,
        progress: &mut QueryProgress,
    ) -> Result<(Vec<Found>, Totals), QueryError> {
        let plan = understand(context, sql, window).await?;
        check_columns(plan.schema().as_arrow())?;
        let mut totals = Totals::default();
        let mut by_entity: BTreeMap<(EntityKind, String, String), Found> = BTreeMap::new();
        let mut answer = Answer::to(context, plan, &self.limits).await?;
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            let [kinds, entities, gateways] = subjects(&batch)?;
            let times = times(&batch)?;
            for row in 0..batch.num_rows() {
                // A row about nobody says nothing of anybody.
                if [&kinds, &entities, &gateways].iter().any(|column| column.is_null(row)) {
                    continue;
                }
                totals.rows += 1;
                let kind = kind_of(kinds.value(row))?;
                if entities.value(row).len() > ENTITY_BYTES_MAX || gateways.value(row).len() > ENTITY_BYTES_MAX {
                    let why = format!("its answer names an entity or gateway in more than {ENTITY_BYTES_MAX} bytes");
                    return Err(QueryError::Statement(why));
                }
                let (entity, gateway) = (entities.value(row).to_owned(), gateways.value(row).to_owned());
                let found = by_entity.entry((kind, entity.clone(), gateway.clone())).or_insert_with(|| Found {
                    kind,
                    entity,
                    gateway,
                    rows: 0,
                    shown: shown(&batch, row),
                    event_us: None,
                });
                found.rows += 1;
                found.event_us = found.event_us.max(times.as_ref().and_then(|times| times[row]));
            }
        }
        self.came_whole(&answer, progress)?;
        let reached = by_entity.into_values().filter(|found| found.rows >= u64::from(threshold));
        let mut found: Vec<_> = reached.collect();
        // The order among equals is that of the map.
        found.sort_by_key(|found| std::cmp::Reverse(found.rows));
        totals.entities = found.len() as u64;
        Ok((found, totals))
    }

    /// Refuses an answer that was cut, which would say too little.
    fn came_whole(&self, answer: &Answer, progress: &mut QueryProgress) -> Result<(), QueryError> {
        progress.add(answer.progress());
        if !answer.is_truncated() {
            return Ok(());
        }
        let most = self.limits.rows_max;
        let why = format!("its answer has more than {most} rows, and a hunt needs all of them; GROUP BY the entity");
        Err(QueryError::Statement(why))
    }
}

/// A search as a hunt may have it.
fn search_of(text: &str) -> Result<Search, QueryError> {
    let search = parse_search(text).map_err(|error| QueryError::Statement(error.to_string()))?;
    if search.last_ms.is_some() {
        let why = "`last` does not go with a hunt, whose window says from when on; leave it out, and use `look_back`";
        return Err(QueryError::Statement(why.to_owned()));
    }
    Ok(search)
}

/// Which calls are in a window.
fn window_condition(window: &HuntWindow, gateways: &[String], left_out: &[RangeInclusive<u64>]) -> String {
    let received = |ms: i64| format!("received_time >= {}", time_literal(ms.saturating_mul(1000)));
    let mut new = format!("position > {}", window.after);
    if let Some(ms) = window.not_before_ms {
        new = format!("{new} AND {}", received(ms));
    }
    if let Some(ms) = window.again_from_ms {
        new = format!("({new} OR {})", received(ms));
    }
    let place = if gateways.is_empty() { String::new() } else { format!(" AND ({})", at_gateways(gateways)) };
    let concerned = left_out.iter().filter(|records| *records.start() <= window.to);
    let others =
        concerned.map(|records| format!(" AND NOT position BETWEEN {} AND {}", records.start(), records.end()));
    format!("position <= {} AND {new} AND own_refusal IS NULL{place}{}", window.to, others.collect::<String>())
}

async fn register(context: &SessionContext, condition: &str) -> Result<(), QueryError> {
    let calls = context.sql(&format!("SELECT * FROM events WHERE {condition}")).await?.into_view();
    context.register_table(CALLS, calls)?;
    Ok(())
}

/// What a statement means, with the window's ends as values.
async fn understand(context: &SessionContext, sql: &str, window: &HuntWindow) -> Result<LogicalPlan, QueryError> {
    let statement = parsed(context, sql)?;
    let state = context.state();
    let tables = state.resolve_table_references(&statement)?;
    if !tables.iter().any(|table| table.table() == CALLS) {
        let why =
            format!("it does not read `{CALLS}`, the calls of a run's window; without it each run would find the same");
        return Err(QueryError::Statement(why));
    }
    let plan = state.statement_to_plan(statement).await?;
    check_allowed(&plan)?;
    let values = ends(window)
        .map(|(name, us)| (name.to_owned(), ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into()))));
    Ok(plan.with_param_values(values.to_vec())?)
}

/// What statements call the window's ends, in microseconds since 1970.
fn ends(window: &HuntWindow) -> [(&'static str, i64); 2] {
    [("since", window.since_ms.saturating_mul(1000)), ("until", window.until_ms.saturating_mul(1000))]
}

/// The statement with the window's ends written out, to stand within another one.
fn spelled_out(sql: &str, window: &HuntWindow) -> Result<String, QueryError> {
    let wrong = |error: &dyn std::fmt::Display| QueryError::Statement(error.to_string());
    let mut tokens = Tokenizer::new(&GenericDialect {}, sql).with_unescape(false).tokenize().map_err(|e| wrong(&e))?;
    let is_end = |token: &Token| matches!(token, Token::SemiColon | Token::Whitespace(_) | Token::EOF);
    while tokens.last().is_some_and(is_end) {
        tokens.pop();
    }
    let words = tokens.iter().map(|token| match token {
        Token::Placeholder(name) => {
            let end = ends(window).into_iter().find(|(end, _)| name.strip_prefix('$') == Some(*end));
            end.map_or_else(|| name.clone(), |(_, us)| time_literal(us))
        }
        token => token.to_string(),
    });
    Ok(words.collect())
}

/// Refuses a statement whose answer does not say whom it is about.
fn check_columns(schema: &Schema) -> Result<(), QueryError> {
    let missing: Vec<_> = SUBJECT.iter().filter(|name| schema.field_with_name(name).is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(QueryError::Statement(format!(
        "its answer has no column {missing}; an alert is about an entity at a gateway, so SELECT all of `entity_kind`, \
         `entity` and `gateway`, such as `'consumer' AS entity_kind, consumer_id AS entity, gateway`"
    )))
}

fn subjects(batch: &RecordBatch) -> Result<[StringArray; 3], QueryError> {
    let [kind, entity, gateway] = SUBJECT;
    Ok([text_column(batch, kind)?, text_column(batch, entity)?, text_column(batch, gateway)?])
}

/// A column as texts.
pub(crate) fn text_column(batch: &RecordBatch, name: &str) -> Result<StringArray, QueryError> {
    let missing = || QueryError::Statement(format!("its answer has no column `{name}`"));
    let column = batch.column_by_name(name).ok_or_else(missing)?;
    let texts = cast(column, &DataType::Utf8).map_err(DataFusionError::from)?;
    Ok(texts.as_string::<i32>().clone())
}

/// A column of our own statement as counts.
pub(crate) fn numbers(batch: &RecordBatch, name: &str) -> Vec<u64> {
    let column = batch.column_by_name(name).and_then(|column| cast(column, &DataType::Int64).ok());
    let counts = column.as_ref().and_then(|column| column.as_primitive_opt::<Int64Type>());
    (0..batch.num_rows()).map(|row| counts.map_or(0, |counts| counts.value(row).max(0).cast_unsigned())).collect()
}

/// What the answer says of when each row happened, in microseconds since 1970; `None` where it does not.
fn times(batch: &RecordBatch) -> Result<Option<Vec<Option<i64>>>, QueryError> {
    let Some(column) = batch.column_by_name("event_time") else { return Ok(None) };
    let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let column = cast(column, &kind).map_err(DataFusionError::from)?;
    let times = column.as_primitive::<TimestampMicrosecondType>();
    Ok(Some(times.iter().collect()))
}

fn kind_of(text: &str) -> Result<EntityKind, QueryError> {
    text.parse().map_err(|why| QueryError::Statement(format!("column `entity_kind`: {why}")))
}

/// What a row says besides whom it is about.
fn shown(batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let others =
        schema.fields().iter().zip(batch.columns()).filter(|(field, _)| !SUBJECT.contains(&field.name().as_str()));
    let shown = others.take(SHOWN_COLUMNS_MAX).map(|(field, column)| {
        let value = array_value_to_string(column, row).unwrap_or_default();
        let value: String = value.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
        format!("{} = {value}", field.name())
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// What keeps a run's query to somebody.
pub(crate) fn only(found: &Found, ask: &HuntQuestion) -> String {
    let (kind, entity, gateway) = (found.kind, literal(&found.entity), literal(&found.gateway));
    match ask {
        HuntQuestion::Search(_) => {
            let [actor_kind, actor] = actor();
            format!(" AND gateway = {gateway} AND ({actor_kind}) = '{kind}' AND ({actor}) = {entity}")
        }
        HuntQuestion::Sql(_) => {
            format!(" WHERE entity_kind = '{kind}' AND CAST(entity AS VARCHAR) = {entity} AND gateway = {gateway}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: HuntWindow =
        HuntWindow { after: 10, to: 20, since_ms: 1, until_ms: 2, not_before_ms: None, again_from_ms: None };

    #[test]
    fn a_window_is_places_in_the_log_and_times_only_where_said() {
        let time = |ms: i64| format!("received_time >= {}", time_literal(ms * 1000));
        let (old, again) = (Some(5), Some(7));
        for (window, expected) in [
            (WINDOW, "position > 10".to_owned()),
            (HuntWindow { not_before_ms: old, ..WINDOW }, format!("position > 10 AND {}", time(5))),
            (HuntWindow { again_from_ms: again, ..WINDOW }, format!("(position > 10 OR {})", time(7))),
        ] {
            let condition = window_condition(&window, &[], &[30..=40]);
            assert_eq!(condition, format!("position <= 20 AND {expected} AND own_refusal IS NULL"));
        }
        let place = window_condition(&WINDOW, &["a'b".to_owned()], &[3..=4, 12..=15]);
        let others = " AND NOT position BETWEEN 3 AND 4 AND NOT position BETWEEN 12 AND 15";
        assert!(place.ends_with(&format!(" AND (gateway = 'a''b'){others}")), "{place}");
    }

    #[test]
    fn a_statement_is_spelled_out_for_who_asks_again() {
        let spelled = |sql: &str| spelled_out(sql, &WINDOW).unwrap();
        let (since, until) = (time_literal(1000), time_literal(2000));
        assert_eq!(spelled("SELECT '$since', $since /* $until */ ;\n"), format!("SELECT '$since', {since}"));
        assert_eq!(spelled("SELECT 'it''s' < $until"), format!("SELECT 'it''s' < {until}"));
        assert_eq!(spelled("SELECT /* $since */ 1; -- $until"), "SELECT /* $since */ 1");
    }
}
