//! Answers of the lake as they come: a file in a form that other programs read, or lines that say how far the query is.
//!
//! The query runs on its own threads and waits for whoever reads; when they go away it ends.

use std::io;
use std::time::Duration;

use axum::body::{Body as Bytes, Bytes as Chunk};
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::poll_fn;
use outrider_lake::arrow::array::RecordBatch;
use outrider_lake::{Answer as Rows, Export, ExportFormat, QueryError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::ApiState;
use super::auth::Caller;
use super::body::Body;
use super::lake::{Column, Lake, columns_of, note_statement, rows_of_batch};
use super::openapi::Description;
use super::problem::Problem;
use super::routes::Answer;
use crate::queries::Queries;

/// Parts of an answer that wait for a slow reader.
const PARTS_WAITING: usize = 4;
/// How often it is said how far a query is.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
const LINES: &str = "application/x-ndjson";

/// A statement whose rows are wanted as a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// One SELECT, EXPLAIN, SHOW or DESCRIBE.
    statement: String,
    /// The form of the rows.
    format: Format,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Comma-separated values, with the columns' names first.
    Csv,
    /// A JSON object on each line.
    Json,
    /// One Parquet file.
    Parquet,
}

/// A statement whose rows are wanted as they come.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Followed {
    /// One SELECT, EXPLAIN, SHOW or DESCRIBE.
    statement: String,
}

/// A line about a query under way.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Line {
    /// The first line.
    Columns {
        /// The columns, in order.
        columns: Vec<Column>,
    },
    /// Some rows.
    Rows {
        /// An object each, without what is null.
        rows: Vec<Value>,
    },
    /// How far it is, every half second.
    Progress {
        /// Rows read so far.
        rows_read: u64,
        /// Bytes read so far from files.
        bytes_read: u64,
    },
    /// The last line of an answer that is whole.
    End {
        /// There are more rows than an answer may have.
        is_truncated: bool,
        /// Rows read for it.
        rows_read: u64,
        /// Bytes read for it from files.
        bytes_read: u64,
    },
    /// The last line of one that is not.
    Failed {
        /// Why.
        problem: Problem,
    },
}

type Sender = mpsc::Sender<io::Result<Chunk>>;

pub(super) async fn export(
    State(state): State<ApiState>,
    Lake(queries): Lake,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<Wanted>,
) -> Result<File, Problem> {
    note_statement(&state, caller, &wanted.statement).await?;
    let format = match wanted.format {
        Format::Csv => ExportFormat::Csv,
        Format::Json => ExportFormat::JsonLines,
        Format::Parquet => ExportFormat::Parquet,
    };
    let write = async move |rows: Rows, sender: Sender| {
        if let Err(error) = write_file(rows, format, &sender).await {
            // What is there is no whole file, so the connection breaks off.
            drop(sender.send(Err(io::Error::other(error.to_string()))).await);
        }
    };
    Ok(File(wanted.format, begin(queries, wanted.statement, write).await?))
}

pub(super) async fn follow(
    State(state): State<ApiState>,
    Lake(queries): Lake,
    Extension(caller): Extension<Caller>,
    Body(followed): Body<Followed>,
) -> Result<Lines, Problem> {
    note_statement(&state, caller, &followed.statement).await?;
    let write = async move |rows: Rows, sender: Sender| {
        if let Err(error) = write_lines(rows, &sender).await {
            say(&sender, &Line::Failed { problem: error.into() }).await;
        }
    };
    Ok(Lines(begin(queries, followed.statement, write).await?))
}

/// Begins to answer; what is wrong with the statement is known before the first byte.
async fn begin<W, F>(queries: Queries, statement: String, write: W) -> Result<Bytes, Problem>
where
    W: FnOnce(Rows, Sender) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let (sender, mut parts) = mpsc::channel(PARTS_WAITING);
    let (begun, beginning) = oneshot::channel();
    let query = tokio::spawn(async move {
        let take = async move |rows: Rows| {
            if begun.send(()).is_ok() {
                write(rows, sender).await;
            }
            Ok(())
        };
        queries.run(statement, take).await
    });
    if beginning.await.is_err() {
        return Err(match query.await {
            Ok(Err(error)) => error.into(),
            _ => Problem::internal(),
        });
    }
    Ok(Bytes::from_stream(poll_fn(move |context| parts.poll_recv(context))))
}

/// Writes all rows, unless the reader goes away.
async fn write_file(mut rows: Rows, format: ExportFormat, sender: &Sender) -> Result<(), QueryError> {
    let failed = |error: outrider_lake::arrow::error::ArrowError| QueryError::Failed(error.to_string());
    let mut export = Export::new(format, rows.schema()).map_err(failed)?;
    while let Some(batch) = next(&mut rows, sender).await {
        let bytes = export.rows(&batch?).map_err(failed)?;
        if !bytes.is_empty() && sender.send(Ok(bytes.into())).await.is_err() {
            return Ok(());
        }
    }
    // A reader that has gone needs no end.
    drop(sender.send(Ok(export.finish().map_err(failed)?.into())).await);
    Ok(())
}

/// The next rows; `None` at the end, and when nobody reads any more.
async fn next(rows: &mut Rows, sender: &Sender) -> Option<Result<RecordBatch, QueryError>> {
    tokio::select! {
        batch = rows.next() => batch,
        () = sender.closed() => None,
    }
}

async fn write_lines(mut rows: Rows, sender: &Sender) -> Result<(), QueryError> {
    let mut is_read = say(sender, &Line::Columns { columns: columns_of(&rows.schema()) }).await;
    let mut progress = tokio::time::interval(PROGRESS_EVERY);
    progress.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while is_read {
        let line = tokio::select! {
            // Progress has its turn also where rows come all the time.
            biased;
            () = sender.closed() => return Ok(()),
            _ = progress.tick() => {
                let progress = rows.progress();
                Line::Progress { rows_read: progress.rows_read, bytes_read: progress.bytes_read }
            }
            batch = rows.next() => match batch {
                Some(batch) => Line::Rows { rows: rows_of_batch(&batch?)? },
                None => break,
            },
        };
        is_read = say(sender, &line).await;
    }
    let progress = rows.progress();
    let end =
        Line::End { is_truncated: rows.is_truncated(), rows_read: progress.rows_read, bytes_read: progress.bytes_read };
    say(sender, &end).await;
    Ok(())
}

/// Hands out a line; `false` where nobody reads any more.
async fn say(sender: &Sender, line: &Line) -> bool {
    let Ok(mut text) = serde_json::to_vec(line) else { return false };
    text.push(b'\n');
    sender.send(Ok(text.into())).await.is_ok()
}

/// Rows as a file.
pub(super) struct File(Format, Bytes);

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let (media, name) = match self.0 {
            Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
            Format::Json => (LINES, "jsonl"),
            Format::Parquet => ("application/vnd.apache.parquet", "parquet"),
        };
        let disposition = format!("attachment; filename=\"outrider.{name}\"");
        ([(header::CONTENT_TYPE, media.to_owned()), (header::CONTENT_DISPOSITION, disposition)], self.1).into_response()
    }
}

impl Answer for File {
    /// Which one it is depends on what is asked for.
    const MEDIA: &'static str = "*/*";

    fn describe(description: &mut Description<'_>) {
        let what = "The rows in the form that was asked for. One that breaks off is not whole.";
        description.answer::<String>(StatusCode::OK, "application/octet-stream", what);
    }
}

/// Lines about a query under way.
pub(super) struct Lines(Bytes);

impl IntoResponse for Lines {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, LINES)], self.0).into_response()
    }
}

impl Answer for Lines {
    const MEDIA: &'static str = LINES;

    fn describe(description: &mut Description<'_>) {
        let what = "A JSON object on each line; `x-line` is its schema. The last one is `end` or `failed`.";
        description.answer::<String>(StatusCode::OK, LINES, what);
        let line = description.answer_schema::<Line>();
        description.extension("x-line", json!(line));
    }
}
