//! The lake: every call, kept as rows of open tables, and asked in SQL.
//!
//! This room decides the tables' schema and how rows reach them exactly once; it knows nothing of alerts and gateways. The
//! tables are Delta Lake in a directory or in a bucket, so that Spark, Trino, DuckDB, ClickHouse or Polars read them without us.
//!
//! `Lake` is the writer of `events`. A commit carries the log position that it covers as the table's application
//! transaction, so that writing the same range of the log a second time is noticed and skipped (decision 10). The table
//! library never syncs what it writes, so data files are synced before the commit that names them, and the commit before
//! its position counts. `Keeper` works beside it: it makes `timeline` and `endpoint_hours` of the events, puts small files
//! together, takes away what is too old, and erases. `LakeReader` answers, also about what is not committed yet. `check` reads
//! every file to its end, and a keeper goes on without what is damaged.

mod check;
mod columns;
mod complete;
mod density;
mod engine;
mod entities;
mod erase;
mod error;
mod events;
mod evidence;
mod export;
mod files;
mod functions;
mod growth;
mod history;
mod hours;
mod hunt;
mod index;
mod keeper;
mod merge;
mod page;
mod place;
mod purge;
mod query;
mod reader;
mod retention;
mod rows;
mod schema;
mod search;
mod side;
mod sorted;
mod table;

pub use check::{CheckProgress, Checked, Damaged, Repaired, check};
pub use columns::{LakeFunction, LakeSchema};
pub use complete::Suggestion;
pub use density::{STEPS_MAX, Span, Step};
pub use erase::{CallsErased, Erase};
pub use error::LakeError;
pub use events::{Lake, Tail};
pub use export::{Export, ExportFormat};
pub use files::{LakeFiles, files};
pub use history::{CallsInOrder, Past};
pub use hours::ACCESS;
pub use hunt::HuntAnswer;
pub use keeper::{Keeper, Kept, LakeSize};
pub use page::{CallPlace, PAGE_ROWS_MAX, Page, Range};
pub use place::{BucketSettings, Former, Location};
pub use query::{Answer, QueryError, QueryProgress, STATEMENT_BYTES_MAX};
pub use reader::{LakeReader, QueryLimits};
pub use retention::Retention;
pub use rows::{RowError, Rows, call_from_row};
pub use schema::{
    ENDPOINT_HOURS, EVENTS, PARTITION, TIMELINE, TableShape, arrow_schema, hours_schema, timeline_schema,
};
pub use search::{SEARCH_BYTES_MAX, SEARCH_FIELDS, Search, SearchError, SearchField, parse_duration_ms, parse_search};
pub use side::{Beside, SideRows, SideTable};
pub use table::ImportMark;

/// The engine's and the table library's column types, for those who read answers.
pub use deltalake::{arrow, parquet};
