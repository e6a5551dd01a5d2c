//! Asking the lake: an entity's timeline, a search, a statement. Each is in the audit log with what was asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use outrider_lake::arrow::array::{Array, AsArray as _, RecordBatch};
use outrider_lake::arrow::datatypes::{Field, Int32Type, Int64Type, Schema, TimestampMicrosecondType};
use outrider_lake::arrow::json::{ArrayWriter, WriterBuilder};
use outrider_lake::{Answer, CallPlace, Page as LakePage, QueryError, Range, SearchError, parse_search};
use outrider_model::{AuditEntry, EntityKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::body::Body;
use super::openapi::Description;
use super::problem::{self, Problem};
use super::query::{Filter, List, Listed, Parameter, Query};
use super::reading::Found;
use super::routes::Ask as AskOf;
use super::{ApiState, now_ms};
use crate::queries::Queries;
use crate::store::{AuditLog, Gateways, Page};

/// Bytes of an answer's rows at most; more rows are cut off as if there were too many.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Characters of a statement in the audit log.
const NOTED_CHARS_MAX: usize = 4_096;

/// The lake, where there is one.
pub(super) struct Lake(pub Queries);

impl FromRequestParts<ApiState> for Lake {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        state.queries.clone().map(Lake).ok_or_else(no_lake)
    }
}

/// The lake for what goes without one, too.
pub(super) struct AnyLake(pub Option<Queries>);

impl FromRequestParts<ApiState> for AnyLake {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        Ok(AnyLake(state.queries.clone()))
    }
}

impl AskOf for AnyLake {
    fn describe(description: &mut Description<'_>) {
        Lake::describe(description);
    }
}

pub(super) fn no_lake() -> Problem {
    Problem::not_found("this outrider keeps no lake").hint("`lake.enabled` in its configuration switches it on")
}

impl AskOf for Lake {
    fn describe(description: &mut Description<'_>) {
        description.problem(&problem::NOT_FOUND);
    }
}

/// A call as timelines and searches show it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CallRow {
    /// When it was over, in microseconds since 1970.
    time_us: i64,
    /// Where it is: the record of the log, and the call's place in that. Together they name one row of `events`.
    position: i64,
    /// See `position`.
    call_index: i32,
    /// The gateway's name.
    gateway: String,
    /// The gateway's workspace, by id.
    workspace: String,
    /// Whether its line proved that it is the gateway's.
    trusted: bool,
    /// The endpoint as known when the call was written.
    endpoint_id: Option<String>,
    /// The service that the gateway matched.
    service_name: Option<String>,
    /// The consumer, by the gateway's id.
    consumer_id: Option<String>,
    /// The consumer's name.
    consumer_name: Option<String>,
    /// The client's address as the gateway saw it.
    client_ip: Option<String>,
    /// The request method.
    method: String,
    /// The path as the client sent it.
    path: String,
    /// The status that the client got.
    status: i32,
    /// `upstream` or `gateway`.
    answered_by: String,
    /// The installation whose block refused it; null for every other call.
    own_refusal: Option<String>,
    /// Size of the request, head and body.
    request_bytes: i64,
    /// Size of the answer, head and body.
    response_bytes: i64,
    /// From the first byte of the request to the last of the answer; −1 where it is not known.
    latency_total_ms: i32,
    /// The answer's content type.
    response_type: String,
    /// The country of the client's address, by two letters.
    country: Option<String>,
    /// The number of the network that the client's address is in.
    asn: Option<i64>,
    /// What kind of network that is.
    network_class: Option<String>,
    /// The family of the client's program.
    agent_family: Option<String>,
}

/// A statement to be answered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// One SELECT, EXPLAIN, SHOW or DESCRIBE.
    statement: String,
}

/// The rows of an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Table {
    /// The columns, in order.
    columns: Vec<Column>,
    /// The rows: an object each, without what is null.
    rows: Vec<Value>,
    /// There are more rows than an answer may have.
    is_truncated: bool,
    /// Rows that were read for it.
    rows_read: u64,
    /// Bytes that were read for it from files.
    bytes_read: u64,
}

/// A column of an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Column {
    /// Its name.
    name: String,
    /// Its type as Arrow writes it.
    #[serde(rename = "type")]
    kind: String,
}

/// Whose calls.
pub(super) struct OfEntity {
    kind: Option<EntityKind>,
    entity: Option<String>,
    pub range: Range,
}

pub(super) const KIND: Parameter = Parameter::one::<EntityKind>("kind", "What kind of entity. It has to be said.");
pub(super) const ENTITY: Parameter = Parameter::one::<String>(
    "entity",
    "Its id: a consumer's or credential's id, an address, a network's number, a pseudonym, `merchant_id:4711`; a consumer's name will do. It has to be said.",
);
pub(super) const SINCE: Parameter =
    Parameter::one::<i64>("since_ms", "From this moment on, in milliseconds since 1970.");
pub(super) const UNTIL: Parameter =
    Parameter::one::<i64>("until_ms", "Before this moment, in milliseconds since 1970.");
pub(super) const GATEWAY: Parameter = Parameter::one::<String>("gateway", "At the gateway with this name.");

impl Filter for OfEntity {
    const PARAMETERS: &'static [Parameter] = &[KIND, ENTITY, GATEWAY, SINCE, UNTIL];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(OfEntity { kind: query.word("kind")?, entity: query.text("entity"), range: range(query)? })
    }

    fn at(mut self, gateways: &Gateways) -> Self {
        self.range = keep_to(self.range, gateways);
        self
    }
}

impl OfEntity {
    /// The kind and the entity, which have to be said.
    pub(super) fn said(&self) -> Result<(EntityKind, String), Problem> {
        let missing = |name: &str| {
            Problem::bad_request(format!("whose timeline? `{name}` is missing")).at(format!("query parameter `{name}`"))
        };
        let kind = self.kind.ok_or_else(|| missing("kind"))?;
        if !kind.has_timeline() {
            let detail = format!("a {kind} never acts, so it has no timeline");
            return Err(Problem::bad_request(detail)
                .at("query parameter `kind`")
                .hint("`/api/v1/apis` and `/api/v1/gateways` say what is known of it"));
        }
        let entity = self.entity.clone().filter(|entity| !entity.is_empty()).ok_or_else(|| missing("entity"))?;
        Ok((kind, entity))
    }
}

/// What is searched for.
pub(super) struct Searched {
    text: String,
    range: Range,
}

impl Filter for Searched {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<String>("q", "The search, such as `consumer:alice status:>=400 path:/orders/* last 7d`."),
        SINCE,
        UNTIL,
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Searched { text: query.text("q").unwrap_or_default(), range: range(query)? })
    }

    fn at(mut self, gateways: &Gateways) -> Self {
        self.range = keep_to(self.range, gateways);
        self
    }
}

fn range(query: &Query) -> Result<Range, Problem> {
    Ok(Range {
        gateways: query.text("gateway").map(|name| vec![name]),
        since_ms: query.parsed("since_ms")?,
        until_ms: query.parsed("until_ms")?,
        ..Range::default()
    })
}

/// The range at the gateways that the caller may see.
pub(super) fn keep_to(range: Range, gateways: &Gateways) -> Range {
    let Some(names) = gateways.only() else { return range };
    let asked = range.gateways.unwrap_or_else(|| names.to_vec());
    Range { gateways: Some(asked.into_iter().filter(|name| names.contains(name)).collect()), ..range }
}

pub(super) async fn timeline(Lake(queries): Lake, list: List<OfEntity>) -> Result<Listed<CallRow>, Problem> {
    let (kind, entity) = list.filter.said()?;
    let range = paged(&list.filter.range, &list)?;
    let page = queries.page(kind, entity, range).await?;
    Ok(list.answer(page_of(&page)?))
}

pub(super) async fn search(Lake(queries): Lake, list: List<Searched>) -> Result<Listed<CallRow>, Problem> {
    let search = parse_search(&list.filter.text)?;
    let mut range = paged(&list.filter.range, &list)?;
    let since_ms = search.last_ms.map(|last_ms| now_ms().saturating_sub(last_ms));
    range.since_ms = range.since_ms.max(since_ms);
    let page = queries.search(search, range).await?;
    Ok(list.answer(page_of(&page)?))
}

pub(super) async fn query(
    State(state): State<ApiState>,
    Lake(queries): Lake,
    Extension(caller): Extension<Caller>,
    Body(ask): Body<Ask>,
) -> Found<Table> {
    note_statement(&state, caller, &ask.statement).await?;
    Ok(Json(queries.run(ask.statement, table).await?))
}

/// Writes into the audit log who asks what, before it is answered.
pub(super) async fn note_statement(state: &ApiState, caller: Caller, statement: &str) -> Result<(), Problem> {
    let detail = statement.chars().take(NOTED_CHARS_MAX).collect();
    let (what, subject) = ("asked the lake".to_owned(), String::new());
    let entry = AuditEntry { at_ms: now_ms(), by: caller.by, what, subject, detail };
    Ok(state.store.note(AuditLog::Reads, &entry).await?)
}

/// The range of one page.
fn paged<F>(range: &Range, list: &List<F>) -> Result<Range, Problem> {
    let before = list.cursor().map(|cursor| {
        let not_ours = || Problem::bad_request("this is not a cursor of this list").at("query parameter `cursor`");
        place(cursor).ok_or_else(not_ours)
    });
    Ok(Range { before: before.transpose()?, rows: list.limit as usize, ..range.clone() })
}

fn place(cursor: &str) -> Option<CallPlace> {
    let mut parts = cursor.split('.');
    let place = CallPlace {
        time_us: parts.next()?.parse().ok()?,
        position: parts.next()?.parse().ok()?,
        index: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(place)
}

fn page_of(page: &LakePage) -> Result<Page<CallRow>, Problem> {
    let items = page.rows.as_ref().map(rows_of).unwrap_or_else(|| Some(Vec::new())).ok_or_else(|| {
        tracing::error!("the lake's columns are not those that this version knows");
        Problem::internal()
    })?;
    let next = page.next.map(|CallPlace { time_us, position, index }| format!("{time_us}.{position}.{index}"));
    Ok(Page { items, next })
}

/// The rows as values; `None` where a column is missing or of another type.
fn rows_of(batch: &RecordBatch) -> Option<Vec<CallRow>> {
    let text = |name| batch.column_by_name(name)?.as_string_opt::<i32>();
    let long = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
    let int = |name| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>();
    let (times, trusted) = (
        batch.column_by_name("event_time")?.as_primitive_opt::<TimestampMicrosecondType>()?,
        batch.column_by_name("trusted")?.as_boolean_opt()?,
    );
    let row = |at: usize| {
        let text_at = |name| Some(text(name)?.value(at).to_owned());
        let optional = |name| text(name).map(|column| column.is_valid(at).then(|| column.value(at).to_owned()));
        Some(CallRow {
            time_us: times.value(at),
            position: long("position")?.value(at),
            call_index: int("call_index")?.value(at),
            gateway: text_at("gateway")?,
            workspace: text_at("workspace")?,
            trusted: trusted.value(at),
            endpoint_id: optional("endpoint_id")?,
            service_name: optional("service_name")?,
            consumer_id: optional("consumer_id")?,
            consumer_name: optional("consumer_name")?,
            client_ip: optional("client_ip")?,
            method: text_at("method")?,
            path: text_at("path")?,
            status: int("status")?.value(at),
            answered_by: text_at("answered_by")?,
            own_refusal: optional("own_refusal")?,
            request_bytes: long("request_bytes")?.value(at),
            response_bytes: long("response_bytes")?.value(at),
            latency_total_ms: int("latency_total_ms")?.value(at),
            response_type: text_at("response_type")?,
            country: optional("country")?,
            asn: long("asn").map(|column| column.is_valid(at).then(|| column.value(at)))?,
            network_class: optional("network_class")?,
            agent_family: optional("agent_family")?,
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

pub(super) fn columns_of(schema: &Schema) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column { name: field.name().clone(), kind: field.data_type().to_string() };
    schema.fields().iter().map(column).collect()
}

/// Collects an answer.
async fn table(mut answer: Answer) -> Result<Table, QueryError> {
    let columns = columns_of(&answer.schema());
    let (mut rows, mut bytes, mut is_cut) = (Vec::new(), 0, false);
    while let Some(batch) = answer.next().await {
        let json = json_of(&batch?)?;
        bytes += json.len();
        is_cut = bytes > ANSWER_BYTES_MAX;
        if is_cut {
            break;
        }
        rows.extend(values(&json)?);
    }
    let progress = answer.progress();
    let is_truncated = answer.is_truncated() || is_cut;
    Ok(Table { columns, rows, is_truncated, rows_read: progress.rows_read, bytes_read: progress.bytes_read })
}

/// The rows as an object each.
pub(super) fn rows_of_batch(batch: &RecordBatch) -> Result<Vec<Value>, QueryError> {
    values(&json_of(batch)?)
}

fn values(json: &[u8]) -> Result<Vec<Value>, QueryError> {
    serde_json::from_slice(json).map_err(|error| QueryError::Failed(error.to_string()))
}

/// The rows as a JSON array of objects.
fn json_of(batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
    let mut writer: ArrayWriter<Vec<u8>> = WriterBuilder::new().build(Vec::new());
    let failed = |error: outrider_lake::arrow::error::ArrowError| QueryError::Failed(error.to_string());
    writer.write(batch).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(writer.into_inner())
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        Problem::bad_request(error.to_string()).at("query parameter `q`")
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let words = error.to_string();
        match error {
            QueryError::Statement(_) | QueryError::NotAllowed(_) => Problem::unprocessable(words).at("the statement"),
            QueryError::Time(_) | QueryError::Memory(_) | QueryError::Busy { .. } => Problem::unavailable(words),
            QueryError::Failed(_) => {
                tracing::error!(%error, "a query failed");
                Problem::internal()
            }
            QueryError::Lake(_) | QueryError::File(_) => {
                tracing::error!(%error, "the API could not use the lake");
                Problem::unavailable("the lake cannot be read").hint("outrider's own log says why")
            }
        }
    }
}
