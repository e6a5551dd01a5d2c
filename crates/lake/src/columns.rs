//! What a statement may name: the tables with their columns, and the functions.

use std::collections::BTreeMap;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::{DocSection, Documentation};
use deltalake::datafusion::prelude::SessionContext;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::query::QueryError;
use crate::reader::LakeReader;
use crate::side::Beside;

/// Everything that a statement may name.
#[derive(Debug, Clone)]
pub struct LakeSchema {
    /// Tables and views, by name.
    pub tables: Vec<(String, SchemaRef)>,
    /// Functions, by name.
    pub functions: Vec<LakeFunction>,
}

/// A function that a statement may call.
#[derive(Debug, Clone)]
pub struct LakeFunction {
    /// Its name.
    pub name: String,
    /// How it is called, such as `date_bin(interval, expression, origin-timestamp)`; empty where that is not said.
    pub call: String,
    /// What it does; empty where that is not said.
    pub words: String,
}

/// Says of a function of our own how it is called and what it does.
pub(crate) fn documentation(call: &str, words: &str) -> Documentation {
    Documentation::builder(DocSection::default(), words, call).build()
}

impl LakeReader {
    /// What a statement may name, over the lake's tables and what stands beside them.
    pub fn schema<'a>(&'a self, beside: &'a Beside) -> BoxFuture<'a, Result<LakeSchema, QueryError>> {
        let found = self.in_turn(async move {
            let context = self.context(beside).await?;
            Ok(LakeSchema { tables: tables_of(&context).await?, functions: functions_of(&context) })
        });
        found.boxed()
    }
}

async fn tables_of(context: &SessionContext) -> Result<Vec<(String, SchemaRef)>, DataFusionError> {
    let state = context.state();
    let names = &state.config_options().catalog;
    let schema = context.catalog(&names.default_catalog).and_then(|catalog| catalog.schema(&names.default_schema));
    let Some(schema) = schema else { return Ok(Vec::new()) };
    let mut tables = Vec::new();
    for name in schema.table_names() {
        if let Some(table) = schema.table(&name).await? {
            tables.push((name, table.schema()));
        }
    }
    tables.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(tables)
}

fn functions_of(context: &SessionContext) -> Vec<LakeFunction> {
    let state = context.state();
    let mut functions: BTreeMap<String, Option<Documentation>> = BTreeMap::new();
    let mut add = |name: &str, words: Option<&Documentation>| {
        // An aggregate and a window function of one name do the same.
        let known = functions.entry(name.to_owned()).or_default();
        *known = known.take().or_else(|| words.cloned());
    };
    state.scalar_functions().iter().for_each(|(name, function)| add(name, function.documentation()));
    state.aggregate_functions().iter().for_each(|(name, function)| add(name, function.documentation()));
    state.window_functions().iter().for_each(|(name, function)| add(name, function.documentation()));
    let function = |(name, words): (String, Option<Documentation>)| {
        let (call, words) = words.map(|words| (words.syntax_example, words.description)).unwrap_or_default();
        LakeFunction { name, call, words }
    };
    functions.into_iter().map(function).collect()
}
