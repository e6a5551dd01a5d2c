//! Small tables of the caller's beside those of the lake, such as alerts: a statement may join them (decision 13).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::datasource::{MemTable, TableType};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::Expr;
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::prelude::SessionContext;
use futures_util::future::BoxFuture;

/// The rows of a side table, on their way.
pub type SideRows = BoxFuture<'static, Result<RecordBatch, Box<dyn Error + Send + Sync>>>;

/// What stands beside the lake's tables.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Tables.
    pub tables: Vec<SideTable>,
    /// Views over all tables and the views before them: name and statement.
    pub views: Vec<(&'static str, &'static str)>,
}

/// A small table of the caller's. Its rows are fetched once for each time that a statement reads it.
#[derive(Clone)]
pub struct SideTable {
    name: &'static str,
    schema: SchemaRef,
    fetch: Arc<dyn Fn() -> SideRows + Send + Sync>,
}

impl SideTable {
    /// A table of this name and these columns; `fetch` gives its rows.
    pub fn new(
        name: &'static str,
        schema: SchemaRef,
        fetch: impl Fn() -> SideRows + Send + Sync + 'static,
    ) -> SideTable {
        SideTable { name, schema, fetch: Arc::new(fetch) }
    }
}

impl fmt::Debug for SideTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SideTable").field("name", &self.name).field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Beside {
    pub(crate) async fn register(&self, context: &SessionContext) -> Result<(), DataFusionError> {
        for table in &self.tables {
            context.register_table(table.name, Arc::new(table.clone()))?;
        }
        for (name, statement) in &self.views {
            context.register_table(*name, context.sql(statement).await?.into_view())?;
        }
        Ok(())
    }
}

#[async_trait]
impl TableProvider for SideTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let rows = (self.fetch)().await.map_err(DataFusionError::External)?;
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![vec![rows]])?;
        table.scan(session, projection, filters, limit).await
    }
}
