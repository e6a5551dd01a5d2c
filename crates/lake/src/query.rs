//! An answer under way: rows as they come, with the limits that end it.

use std::sync::Arc;
use std::time::Duration;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::execution::context::SQLOptions;
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::physical_plan::coop::CooperativeExec;
use deltalake::datafusion::physical_plan::{ExecutionPlan, execute_stream};
use deltalake::datafusion::prelude::SessionContext;
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::reader::QueryLimits;
use crate::table::LakeError;

/// How long a statement is at most, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The statement cannot be carried out as it is.
    #[error("{0}")]
    Statement(String),
    /// The statement would change something.
    #[error("{0}; only SELECT, EXPLAIN, SHOW and DESCRIBE are possible here")]
    NotAllowed(String),
    /// It took too long.
    #[error("the query took longer than {} s and was ended; ask for less time or fewer columns, or filter on event_date", .0.as_secs())]
    Time(Duration),
    /// It needed more memory or disk than there is for queries.
    #[error("the query needs more memory than queries may have and was ended: {0}")]
    Memory(String),
    /// Too many queries run.
    #[error("{queries_max} queries run already, which is as many as may; try again when one has ended")]
    Busy {
        /// How many may run.
        queries_max: usize,
    },
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A file of the lake cannot be read.
    #[error("a file of the lake cannot be read: {0}")]
    File(String),
}

/// How far a query is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryProgress {
    /// Rows read from tables so far.
    pub rows_read: u64,
    /// Bytes read from files so far.
    pub bytes_read: u64,
}

impl QueryProgress {
    pub(crate) fn add(&mut self, other: QueryProgress) {
        self.rows_read += other.rows_read;
        self.bytes_read += other.bytes_read;
    }
}

/// An answer under way. To drop it ends the query.
pub struct Answer {
    plan: Arc<dyn ExecutionPlan>,
    rows: SendableRecordBatchStream,
    started: Instant,
    time: Duration,
    rows_left: usize,
    is_truncated: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(crate) async fn begin(
        context: &SessionContext,
        statement: &str,
        limits: &QueryLimits,
        permit: OwnedSemaphorePermit,
    ) -> Result<Answer, QueryError> {
        if statement.len() > STATEMENT_BYTES_MAX {
            let message = format!("the statement has {} bytes; {STATEMENT_BYTES_MAX} are possible", statement.len());
            return Err(QueryError::Statement(message));
        }
        let started = Instant::now();
        let plan = async {
            let logical = context.state().create_logical_plan(statement).await?;
            physical(context, logical).await
        };
        let plan =
            tokio::time::timeout(limits.time, plan).await.map_err(|_| QueryError::Time(limits.time)).flatten()?;
        Answer::of(context, plan, started, limits, Some(permit))
    }

    /// An answer to what is understood already.
    pub(crate) async fn to(
        context: &SessionContext,
        logical: LogicalPlan,
        limits: &QueryLimits,
    ) -> Result<Answer, QueryError> {
        let started = Instant::now();
        Answer::of(context, physical(context, logical).await?, started, limits, None)
    }

    fn of(
        context: &SessionContext,
        plan: Arc<dyn ExecutionPlan>,
        started: Instant,
        limits: &QueryLimits,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, QueryError> {
        let rows = execute_stream(Arc::clone(&plan), context.task_ctx())?;
        let (time, rows_left) = (limits.time, limits.rows_max);
        Ok(Answer { plan, rows, started, time, rows_left, is_truncated: false, _permit: permit })
    }

    /// The answer's columns.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The next rows; `None` at the end, or where as many rows have come as an answer may have.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.is_truncated {
            return None;
        }
        let next = tokio::time::timeout_at(self.started + self.time, self.rows.next());
        let batch = match next.await {
            Err(_) => return Some(Err(QueryError::Time(self.time))),
            Ok(None) => return None,
            Ok(Some(Err(error))) => return Some(Err(error.into())),
            Ok(Some(Ok(batch))) => batch,
        };
        if batch.num_rows() > self.rows_left {
            self.is_truncated = true;
        }
        let batch = batch.slice(0, batch.num_rows().min(self.rows_left));
        self.rows_left -= batch.num_rows();
        Some(Ok(batch))
    }

    /// Whether the answer has more rows than an answer may have, and was cut.
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// How far it is.
    pub fn progress(&self) -> QueryProgress {
        let mut progress = QueryProgress::default();
        let mut open = vec![&self.plan];
        while let Some(plan) = open.pop() {
            let children = plan.children();
            if let Some(metrics) = plan.metrics() {
                let bytes = metrics.sum_by_name("bytes_scanned").map_or(0, |bytes| bytes.as_usize());
                progress.bytes_read += bytes as u64;
                if children.is_empty() {
                    progress.rows_read += metrics.output_rows().unwrap_or_default() as u64;
                }
            }
            open.extend(children);
        }
        progress
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(message) => QueryError::Memory(first_line(message)),
            DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
                QueryError::File(short(&error))
            }
            _ => QueryError::Statement(short(&error)),
        }
    }
}

/// Refuses a statement that would change something.
pub(crate) fn reads_only(logical: &LogicalPlan) -> Result<(), QueryError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(logical).map_err(|error| QueryError::NotAllowed(short(&error)))
}

/// How a statement is carried out, if it only reads.
async fn physical(context: &SessionContext, logical: LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    reads_only(&logical)?;
    let physical = context.execute_logical_plan(logical).await?.create_physical_plan().await?;
    Ok(yielding(physical)?)
}

/// The plan with every step giving way now and then. The engine does so at its sources alone, and a join of a few rows that
/// makes billions of them comes to no source for hours: then neither time nor cancelling would end it.
fn yielding(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let give_way = |step| Ok(Transformed::yes(Arc::new(CooperativeExec::new(step)) as Arc<dyn ExecutionPlan>));
    plan.transform_up(give_way).data()
}

/// What the engine says, without its own words around it.
fn short(error: &DataFusionError) -> String {
    match error.find_root() {
        // The engine shows a parser's error as a programmer would see it.
        DataFusionError::SQL(error, _) => first_line(&error.to_string()),
        error => first_line(&error.message()),
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}
