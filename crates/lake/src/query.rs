//! An answer under way: rows as they come, with the limits that end it.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::execution::context::SQLOptions;
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan};
use deltalake::datafusion::physical_plan::coop::CooperativeExec;
use deltalake::datafusion::physical_plan::{ExecutionPlan, execute_stream};
use deltalake::datafusion::prelude::SessionContext;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::visit_relations;
use deltalake::datafusion::sql::sqlparser::dialect::GenericDialect;
use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::growth::{GROWTH_MAX, growth_of};
use crate::reader::QueryLimits;
use crate::table::LakeError;

/// How long a statement is at most, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// How many operators and keywords a statement has at most. Each may stand within the next, and what is nested deeper than a
/// thread's stack ends the process.
const OPERATORS_MAX: usize = 1_000;
/// How many tables a statement names at most: each is joined with all before it, and has all their columns.
const TABLES_MAX: usize = 64;

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
    /// It failed for a reason that is not in the statement.
    #[error("the query failed, which is no fault of the statement: {0}")]
    Failed(String),
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
    /// Its columns, where two have the same name.
    told_apart: Option<SchemaRef>,
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
        started: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Result<Answer, QueryError> {
        let logical = context.state().statement_to_plan(parsed(context, statement)?).await?;
        Answer::of(context, physical(context, logical).await?, started, limits, Some(permit))
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
        let (time, rows_left, told_apart) = (limits.time, limits.rows_max, told_apart(&rows.schema()));
        Ok(Answer { plan, told_apart, rows, started, time, rows_left, is_truncated: false, _permit: permit })
    }

    /// The answer's columns, each of another name.
    pub fn schema(&self) -> SchemaRef {
        self.told_apart.as_ref().map_or_else(|| self.rows.schema(), Arc::clone)
    }

    /// The next rows; `None` at the end, or where as many rows have come as an answer may have.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.is_truncated {
            return None;
        }
        let next = timeout_at(self.started + self.time, self.rows.next());
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
        let Some(told_apart) = &self.told_apart else { return Some(Ok(batch)) };
        let named = RecordBatch::try_new(Arc::clone(told_apart), batch.columns().to_vec());
        Some(named.map_err(|error| QueryError::Failed(error.to_string())))
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
            DataFusionError::Internal(_) | DataFusionError::External(_) | DataFusionError::ExecutionJoin(_) => {
                QueryError::Failed(short(&error))
            }
            _ => QueryError::Statement(short(&error)),
        }
    }
}

/// The columns with those numbered whose name was there before: `path`, `path_2`. Forms that go by the name would lose them.
/// `None` where each has a name of its own.
fn told_apart(schema: &SchemaRef) -> Option<SchemaRef> {
    let mut names = HashSet::new();
    if schema.fields().iter().all(|field| names.insert(field.name().clone())) {
        return None;
    }
    let mut taken = HashSet::new();
    let fields = schema.fields().iter().map(|field| {
        let (mut name, mut number) = (field.name().clone(), 1);
        while taken.contains(&name) || number > 1 && names.contains(&name) {
            number += 1;
            name = format!("{}_{number}", field.name());
        }
        taken.insert(name.clone());
        field.as_ref().clone().with_name(name)
    });
    Some(Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())))
}

/// The statement, if it is in bounds.
pub(crate) fn parsed(context: &SessionContext, statement: &str) -> Result<Statement, QueryError> {
    check_bounds(statement)?;
    let state = context.state();
    let dialect = state.config().options().sql_parser.dialect;
    let statement = state.sql_to_statement(statement, &dialect)?;
    let tables = tables_in(&statement);
    if tables > TABLES_MAX {
        let message = format!("the statement names {tables} tables; {TABLES_MAX} are possible");
        return Err(QueryError::Statement(message));
    }
    Ok(statement)
}

fn tables_in(statement: &Statement) -> usize {
    match statement {
        Statement::Statement(statement) => {
            let mut tables = 0;
            let _: ControlFlow<()> = visit_relations(statement.as_ref(), |_| {
                tables += 1;
                ControlFlow::Continue(())
            });
            tables
        }
        Statement::Explain(explain) => tables_in(&explain.statement),
        // What else there is, is refused for what it would do.
        _ => 0,
    }
}

/// Refuses a statement that is too long or too deep.
fn check_bounds(statement: &str) -> Result<(), QueryError> {
    if statement.len() > STATEMENT_BYTES_MAX {
        let message = format!("the statement has {} bytes; {STATEMENT_BYTES_MAX} are possible", statement.len());
        return Err(QueryError::Statement(message));
    }
    // What is no statement the parser refuses, and says where.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, statement).tokenize() else { return Ok(()) };
    let operators = tokens.iter().filter(|token| may_nest(token)).count();
    if operators > OPERATORS_MAX {
        let message = format!(
            "the statement has {operators} operators and keywords; {OPERATORS_MAX} are possible. A list, as in `IN (…)`, may be \
             as long as it wants"
        );
        return Err(QueryError::Statement(message));
    }
    Ok(())
}

/// Whether more of them make an expression deeper. Brackets are counted by the parser.
fn may_nest(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_) | Token::Comma | Token::Period | Token::LParen | Token::RParen => false,
        Token::Number(..) | Token::SingleQuotedString(_) => false,
        _ => true,
    }
}

/// Refuses a statement that would change something, that makes too long values of others, or that names a type whose every value
/// is as large as it says: the engine makes room for one before any limit of memory is asked.
pub(crate) fn check_allowed(logical: &LogicalPlan) -> Result<(), QueryError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(logical).map_err(|error| QueryError::NotAllowed(short(&error)))?;
    let growth = growth_of(logical);
    if growth > GROWTH_MAX {
        let message = format!(
            "the statement puts values together that may be {growth} times as long as those of a column; {GROWTH_MAX} times is possible"
        );
        return Err(QueryError::Statement(message));
    }
    let mut named = None;
    logical.apply_with_subqueries(|step| {
        step.apply_expressions(|expression| {
            expression.apply(|part| {
                named = named.take().or_else(|| large_type(part));
                Ok(if named.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    })?;
    match named {
        Some(name) => {
            Err(QueryError::Statement(format!("the type `{name}` is not possible here; cast to Binary or a List")))
        }
        None => Ok(()),
    }
}

/// The type of one size that an expression casts to.
fn large_type(expression: &Expr) -> Option<String> {
    let name = match expression {
        Expr::Cast(cast) => cast.field.data_type().to_string(),
        Expr::TryCast(cast) => cast.field.data_type().to_string(),
        Expr::ScalarFunction(call) if matches!(call.func.name(), "arrow_cast" | "arrow_try_cast") => {
            let Expr::Literal(name, _) = call.args.get(1)? else { return None };
            name.try_as_str().flatten()?.to_owned()
        }
        _ => return None,
    };
    name.contains("FixedSize").then_some(name)
}

/// How a statement is carried out, if it only reads.
async fn physical(context: &SessionContext, logical: LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    check_allowed(&logical)?;
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
