//! The query engine as the lake uses it: limits of memory and disk, and what a statement may call.

use std::sync::Arc;
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::execution::memory_pool::FairSpillPool;
use deltalake::datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use deltalake::datafusion::prelude::{SessionConfig, SessionContext};

use crate::functions::functions;
use crate::hours::aggregates;
use crate::place::Location;

/// For how long intermediate results stay that a killed process left.
const SCRATCH_KEPT: Duration = Duration::from_secs(24 * 3600);
/// What is known of data files from earlier queries: their footers and indexes.
const METADATA_CACHE_BYTES: usize = 256 * 1024 * 1024;
/// Functions that make a value of any size out of a small one, which no limit of memory sees in time.
const FUNCTIONS_LEFT_OUT: [&str; 9] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "range",
    "generate_series",
];

/// What the engine may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resources {
    pub memory_bytes: usize,
    pub scratch_bytes: u64,
    pub threads: usize,
}

/// The engine with what its queries share.
#[derive(Clone)]
pub(crate) struct Engine {
    runtime: Arc<RuntimeEnv>,
    threads: usize,
}

impl Engine {
    /// An engine for a lake. Intermediate results that are larger than the memory go to the lake's scratch directory.
    pub(crate) fn new(lake: &Location, resources: Resources) -> Result<Engine, DataFusionError> {
        // The engine makes this directory and none above it.
        std::fs::create_dir_all(lake.scratch())?;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(resources.memory_bytes)))
            .with_temp_file_path(lake.scratch())
            .with_max_temp_directory_size(resources.scratch_bytes)
            .with_metadata_cache_limit(METADATA_CACHE_BYTES)
            .build_arc()?;
        Ok(Engine { runtime, threads: resources.threads })
    }

    /// A session with settings of its own, and with the memory and disk that all share.
    pub(crate) fn context_with(&self, settings: SessionConfig) -> SessionContext {
        SessionContext::new_with_config_rt(settings, Arc::clone(&self.runtime))
    }

    /// A session without tables.
    pub(crate) fn context(&self) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.threads)
            .with_information_schema(true)
            .with_collect_statistics(true);
        let options = config.options_mut();
        // Each round may make the values of the last one longer.
        options.execution.enable_recursive_ctes = false;
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.execution.parquet.schema_force_view_types = false;
        options.sql_parser.map_string_types_to_utf8view = false;
        let context = self.context_with(config);
        for function in FUNCTIONS_LEFT_OUT {
            context.deregister_udf(function);
            context.deregister_udtf(function);
        }
        for function in functions() {
            context.register_udf(function);
        }
        for aggregate in aggregates() {
            context.register_udaf(aggregate);
        }
        context
    }
}

/// Takes away what queries left in the scratch directory whose process was killed: what nobody has touched for a day.
pub(crate) fn sweep_scratch(lake: &Location) {
    let Ok(entries) = std::fs::read_dir(lake.scratch()) else { return };
    for entry in entries.flatten() {
        let touched = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = touched.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > SCRATCH_KEPT));
        // What cannot be taken away now is taken away at the next start.
        if is_old {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// A version of a table, to be read in a session.
pub(crate) async fn table_in(
    context: &SessionContext,
    table: &DeltaTable,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    table.update_datafusion_session(&context.state())?;
    table.table_provider().with_session(Arc::new(context.state())).await
}
