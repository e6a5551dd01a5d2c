//! The lake: every call, kept as rows of an open table.
//!
//! This room decides the table's schema and how rows reach it exactly once; it knows nothing of alerts and gateways. The
//! table is Delta Lake on a directory, so that Spark, Trino, DuckDB, ClickHouse or Polars read it without us. Compaction,
//! retention and queries build on it later.
//!
//! A commit carries the log position that it covers as the table's application transaction, so that writing the same
//! range of the log a second time is noticed and skipped (decision 10). The table library never syncs what it writes, so
//! data files are synced before the commit that names them, and the commit before its position counts.

mod rows;
mod schema;
mod table;

pub use rows::{RowError, Rows, call_from_row};
pub use schema::{EVENTS_TABLE, arrow_schema};
pub use table::{Lake, LakeError, LakeFiles, files};
