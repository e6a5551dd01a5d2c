//! The `events` table: one row a call, immutable, as it was known when it was committed (decision 13).

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// The table's name in queries and its folder in the lake's directory.
pub const EVENTS_TABLE: &str = "events";

/// The kinds of a field's value as the `kind` column of `query` and `headers` writes them.
pub(crate) mod value_kind {
    pub const FLAG: i8 = 0;
    pub const CLEAR: i8 = 1;
    pub const PSEUDONYM: i8 = 2;
    pub const REDACTED: i8 = 3;
}

/// The table's columns, in order.
///
/// Times are microseconds in UTC; `event_date` partitions the table by the UTC day of `event_time`. A text that the
/// gateway did not log is empty; a column is null only where the thing itself is absent.
pub fn arrow_schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let text = |name| Field::new(name, DataType::Utf8, false);
    let optional_text = |name| Field::new(name, DataType::Utf8, true);
    let number = |name, kind| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        number("event_date", DataType::Date32),
        // Event time: when the call was over, clamped to its receive time.
        number("event_time", time()),
        number("started_time", time()),
        number("received_time", time()),
        // Where the row comes from: the log record and the call's place in it.
        number("position", DataType::Int64),
        number("call_index", DataType::Int32),
        text("gateway"),
        text("workspace"),
        number("trusted", DataType::Boolean),
        text("clock"),
        text("request_id"),
        // Null where the call belongs to no known endpoint.
        optional_text("endpoint_id"),
        optional_text("service_id"),
        optional_text("service_name"),
        optional_text("route_id"),
        optional_text("route_name"),
        optional_text("consumer_id"),
        optional_text("consumer_name"),
        optional_text("consumer_custom_id"),
        Field::new("consumer_tags", DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))), true),
        number("anonymous_consumer", DataType::Boolean),
        optional_text("credential_id"),
        // Pseudonyms: `ps_<key>_<tag>`.
        optional_text("presented_credential"),
        optional_text("session"),
        optional_text("client_ip"),
        text("host"),
        text("method"),
        text("path"),
        Field::new("query", fields_type(), false),
        Field::new("headers", fields_type(), false),
        number("status", DataType::Int32),
        // `upstream` or `gateway`.
        text("answered_by"),
        // The installation whose block made the answer; null for every other call.
        optional_text("own_refusal"),
        number("request_bytes", DataType::Int64),
        number("response_bytes", DataType::Int64),
        number("latency_total_ms", DataType::Int32),
        number("latency_gateway_ms", DataType::Int32),
        number("latency_upstream_ms", DataType::Int32),
        text("response_type"),
    ]))
}

/// The type of `query` and `headers`: a list of (name, value, kind, hidden length in bytes).
pub(crate) fn fields_type() -> DataType {
    DataType::List(Arc::new(Field::new("element", DataType::Struct(field_columns()), true)))
}

pub(crate) fn field_columns() -> Fields {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
        Field::new("kind", DataType::Int8, false),
        Field::new("hidden_bytes", DataType::Int32, true),
    ])
}
