//! What a statement may name, in words.

use axum::Json;
use outrider_lake::LakeSchema;
use outrider_lake::arrow::datatypes::SchemaRef;
use schemars::JsonSchema;
use serde::Serialize;

use super::lake::Lake;
use super::lake_words::{column_words, table_words};
use super::query::NoQuery;
use super::reading::Found;

/// What a statement may name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SchemaWords {
    /// The tables and views, those that are asked the most first.
    tables: Vec<TableWords>,
    /// The functions, by name.
    functions: Vec<FunctionWords>,
}

/// A table.
#[derive(Debug, Serialize, JsonSchema)]
struct TableWords {
    /// Its name.
    name: String,
    /// What a row is.
    words: &'static str,
    /// The columns, in order.
    columns: Vec<ColumnOf>,
}

/// A column of a table.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TableColumn")]
struct ColumnOf {
    /// Its name.
    name: String,
    /// Its type as Arrow writes it.
    #[serde(rename = "type")]
    kind: String,
    /// Its unit, such as `ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    /// What it means.
    words: &'static str,
}

/// A function.
#[derive(Debug, Serialize, JsonSchema)]
struct FunctionWords {
    /// Its name.
    name: String,
    /// How it is called; empty where that is not said.
    call: String,
    /// What it does; empty where that is not said.
    words: String,
}

pub(super) async fn schema(Lake(queries): Lake, _: NoQuery) -> Found<SchemaWords> {
    Ok(Json(in_words(queries.schema().await?)))
}

fn in_words(LakeSchema { tables, functions }: LakeSchema) -> SchemaWords {
    let mut tables: Vec<(usize, TableWords)> = tables.into_iter().map(|(name, schema)| table(name, &schema)).collect();
    tables.sort_by_key(|(place, _)| *place);
    let function = |function: outrider_lake::LakeFunction| FunctionWords {
        name: function.name,
        call: function.call,
        words: function.words,
    };
    SchemaWords {
        tables: tables.into_iter().map(|(_, table)| table).collect(),
        functions: functions.into_iter().map(function).collect(),
    }
}

/// A table, and its place among the tables.
fn table(name: String, schema: &SchemaRef) -> (usize, TableWords) {
    let column = |field: &outrider_lake::arrow::datatypes::Field| {
        // What somebody else has added to a table means what they say.
        let known = column_words(&name, field.name());
        ColumnOf {
            name: field.name().clone(),
            kind: field.data_type().to_string(),
            unit: known.and_then(|known| known.unit),
            words: known.map_or("", |known| known.words),
        }
    };
    let columns = schema.fields().iter().map(|field| column(field)).collect();
    let (place, words) = table_words(&name).unwrap_or((usize::MAX, ""));
    (place, TableWords { name, words, columns })
}

#[cfg(test)]
mod tests {
    use super::super::lake_words::{COLUMNS, OF_TABLE};
    use super::*;
    use crate::side_tables::beside;
    use crate::store::Store;
    use outrider_lake::{Lake, LakeReader, QueryLimits};

    async fn all() -> SchemaWords {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("control.sqlite")).await.unwrap();
        Lake::open(directory.path()).await.unwrap();
        let reader = LakeReader::open(directory.path(), None, QueryLimits::default()).unwrap();
        in_words(reader.schema(&beside(&store)).await.unwrap())
    }

    #[tokio::test]
    async fn every_table_column_and_function_of_ours_is_said_in_words() {
        let SchemaWords { tables, functions } = all().await;
        assert!(tables.len() >= 10 && functions.len() > 100);
        assert_eq!(tables[0].name, "calls");
        let said = |words: &str| !words.is_empty() && !words.ends_with('.') && !words.contains('\n');
        for TableWords { name, words, columns } in &tables {
            assert!(said(words), "{name}");
            for column in columns {
                assert!(said(column.words), "{name}.{}", column.name);
            }
        }
        for ours in ["field_value", "entity_names", "has_class", "has_field", "hll_count", "histogram_quantile"] {
            let function = functions.iter().find(|function| function.name == ours).unwrap();
            assert!(function.call.starts_with(ours) && function.words.ends_with('.'), "{function:?}");
        }
        let missing = |name: &str| !functions.iter().any(|function| function.name == name);
        assert!(missing("repeat"), "what no statement may call is not offered");
    }

    #[tokio::test]
    async fn no_words_are_of_what_is_not_there() {
        let SchemaWords { tables, .. } = all().await;
        let has = |table: &TableWords, name: &str| table.columns.iter().any(|column| column.name == name);
        for words in COLUMNS {
            assert!(tables.iter().any(|table| has(table, words.name)), "{}", words.name);
        }
        for (of, words) in OF_TABLE {
            let table = tables.iter().find(|table| table.name == *of);
            assert!(table.is_some_and(|table| has(table, words.name)), "{of}.{}", words.name);
        }
    }
}
