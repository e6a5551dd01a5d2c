//! One call of the lake, with every column that it has.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::Extension;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

use super::auth::Caller;
use super::lake::{Lake, rows_of_batch};
use super::problem::Problem;
use super::query::NoQuery;
use super::reading::Found;
use super::routes::Id;

/// Where a call is in the log: `4711.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallId {
    position: i64,
    index: i32,
}

impl FromStr for CallId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.').map(|(position, index)| (position.parse(), index.parse()));
        let id = match parts {
            Some((Ok(position), Ok(index))) => Some(CallId { position, index }),
            _ => None,
        };
        // One call has one id.
        match id.filter(|id| id.position >= 0 && id.index >= 0 && id.to_string() == text) {
            Some(id) => Ok(id),
            None => Err(format!(
                "there is no call `{text}`; the id of one is its `position` and `call_index`, as in `4711.0`"
            )),
        }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.index)
    }
}

impl JsonSchema for CallId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CallId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+\\.[0-9]+$" })
    }
}

/// A call.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CallAnswer {
    /// The columns of `events` that are not null.
    call: Map<String, Value>,
}

pub(super) async fn call(
    Lake(queries): Lake,
    Id(id): Id<CallId>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
) -> Found<CallAnswer> {
    let found = queries.call(id.position, id.index, caller.gateways.only().map(<[String]>::to_vec)).await?;
    let row = found.map(|batch| rows_of_batch(&batch)).transpose()?.and_then(|rows| rows.into_iter().next());
    let Some(Value::Object(call)) = row else {
        let problem = Problem::not_found(format!("there is no call `{id}`"));
        return Err(problem.hint("its day may be over; `lake.retention_days` says how long calls are kept").at("path"));
    };
    Ok(Json(CallAnswer { call }))
}
