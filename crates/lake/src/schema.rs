//! The tables and their columns.
//!
//! `events` has one row a call, immutable, as it was known when it was committed (decision 13), in the order of the log.
//! `timeline` has one row for each entity of a call, with the columns that a timeline shows, in the order of entity and
//! falling time, so that one entity's newest calls lie together whatever kind of entity it is. It is made of `events`
//! and could be made again. `endpoint_hours` has what the calls of an hour and endpoint add up to, made of `events` as well,
//! so that weeks are asked without reading every call of them. Its rows are parts: several of one hour and endpoint add up.

use std::sync::{Arc, LazyLock};

use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use deltalake::parquet::basic::{Compression, Encoding, ZstdLevel};
use deltalake::parquet::file::metadata::{ParquetMetaData, SortingColumn};
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};

/// The column that all tables are partitioned by: the UTC day of `event_time`.
pub const PARTITION: &str = "event_date";

/// A data file of a day that is not over grows no larger than about this.
pub(crate) const FILE_BYTES: u64 = 128 * 1024 * 1024;

/// What a table is.
#[derive(Debug)]
pub struct TableShape {
    /// Its name in queries and its folder in the lake's directory.
    pub name: &'static str,
    pub(crate) comment: &'static str,
    /// Its columns, in order.
    pub schema: fn() -> SchemaRef,
    /// The order of the rows in each data file, and whether it falls.
    pub(crate) order: &'static [(&'static str, bool)],
    /// The application id under which a commit carries the log position that it covers.
    pub(crate) position_application: &'static str,
    /// Numbers that rise or fall from row to row, kept as differences.
    differences: &'static [&'static str],
    /// Texts without a dictionary, which would be read whole for a single row; in the table's order neighbours are alike.
    without_dictionary: &'static [&'static str],
    /// How large a column's dictionary grows, in bytes, before the rest of a row group goes without.
    dictionary_bytes: usize,
    /// Rows of a page of a data file: what is decoded at least to read one row.
    page_rows: usize,
    /// Columns whose pages end with so many bytes, if that is before so many rows.
    page_bytes: &'static [(&'static str, usize)],
    /// Columns that have next to nothing in them besides a dictionary's numbers or differences: to compress that saves nothing,
    /// and costs whoever reads a few rows of each column.
    uncompressed: &'static [&'static str],
    /// A data file of a day that is over grows to about this. It is in memory while it is written.
    pub(crate) day_bytes: u64,
    /// Rows of one key are parts that add up, and do where files are put together.
    pub(crate) adds_up: bool,
    /// The only columns whose least and greatest values are kept by page; `None` for all. They are read with a file's
    /// end before anything else of it.
    paged: Option<&'static [&'static str]>,
    /// Columns whose values have no order that anybody asks for: of these no least and greatest values are kept at all.
    opaque: &'static [&'static str],
}

/// How long a data file lasts, as far as it is known when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// It will soon be put together with others.
    Briefly,
    /// It will be read for weeks, and is written again by an erasure at most.
    Long,
}

impl Lasting {
    /// A file is written a few times on its way to its last form, beside the analysis. Only the last time is it worth the
    /// work of a higher level, which takes the texts of a timeline down by a tenth.
    fn zstd_level(self) -> i32 {
        match self {
            Lasting::Briefly => 1,
            Lasting::Long => 6,
        }
    }
}

/// Every call.
pub static EVENTS: TableShape = TableShape {
    name: "events",
    comment: "API calls seen by outrider: one row a call, immutable",
    schema: arrow_schema,
    order: &[("position", false), ("call_index", false)],
    position_application: "outrider-log",
    differences: &["event_time", "started_time", "received_time", "position", "call_index"],
    without_dictionary: &["request_id"],
    // A hundred thousand pseudonyms: one costs 2 bytes a row in it, and 16 beside it.
    dictionary_bytes: 8 * 1024 * 1024,
    page_rows: 8_192,
    page_bytes: &[],
    uncompressed: &[],
    day_bytes: FILE_BYTES,
    adds_up: false,
    paged: None,
    opaque: &[],
};

/// Every entity's calls.
pub static TIMELINE: TableShape = TableShape {
    name: "timeline",
    comment: "API calls seen by outrider, one row for each entity of a call, by entity and falling time; made of events",
    schema: timeline_schema,
    order: &[("entity_kind", false), ("entity", false), ("event_time", true), ("position", true), ("call_index", true)],
    position_application: "outrider-timeline",
    differences: &["event_time", "position", "call_index", "asn"],
    without_dictionary: &["entity", "consumer_id", "consumer_name", "client_ip", "path"],
    dictionary_bytes: 64 * 1024,
    // Of smaller pages the heads of two dozen columns are a tenth of the file. It is the texts that cost, so of them alone pages
    // are smaller.
    page_rows: 8_192,
    page_bytes: &[
        ("entity", 32 * 1024),
        ("consumer_id", 64 * 1024),
        ("consumer_name", 32 * 1024),
        ("client_ip", 32 * 1024),
        ("path", 128 * 1024),
    ],
    uncompressed: &[
        "entity_kind",
        "event_time",
        "call_index",
        "gateway",
        "workspace",
        "answered_by",
        "own_refusal",
        "country",
        "network_class",
        "agent_family",
    ],
    // A day of 100 million calls in a month, with six entities each, is two of them.
    day_bytes: 2 * FILE_BYTES,
    adds_up: false,
    paged: Some(&["entity_kind", "entity", "event_time"]),
    opaque: &[],
};

/// What the calls of each hour and endpoint add up to.
pub static ENDPOINT_HOURS: TableShape = TableShape {
    name: "endpoint_hours",
    comment: "API calls seen by outrider, added up by hour and endpoint; rows are parts that add up; made of events",
    schema: hours_schema,
    order: &[
        ("event_hour", false),
        ("gateway", false),
        ("workspace", false),
        ("service_name", false),
        ("endpoint_id", false),
    ],
    position_application: "outrider-hours",
    differences: &["first_time", "last_time"],
    without_dictionary: &["consumers_hll", "addresses_hll"],
    dictionary_bytes: 1024 * 1024,
    page_rows: 2_048,
    page_bytes: &[],
    uncompressed: &[],
    day_bytes: FILE_BYTES,
    adds_up: true,
    paged: Some(&["event_hour"]),
    opaque: &["consumers_hll", "addresses_hll"],
};

impl TableShape {
    /// What a data file says of the order in each of its row groups. Who reads or merges it relies on that, and not on who wrote it:
    /// an engine that puts files together without a look at their order says nothing. Whoever does say so writes all groups of a file
    /// in one order.
    pub(crate) fn sorting(&self) -> Vec<SortingColumn> {
        let schema = (self.schema)();
        // The day is in the folder's name, and none of the columns up to the last of the order has columns of its own.
        let columns: Vec<_> = schema.fields().iter().filter(|field| field.name() != PARTITION).collect();
        let sorting = |&(name, descending): &(&str, bool)| {
            let at = columns.iter().position(|field| field.name() == name)?;
            Some(SortingColumn { column_idx: i32::try_from(at).ok()?, descending, nulls_first: false })
        };
        self.order.iter().filter_map(sorting).collect()
    }

    /// Whether a data file says that it is in the table's order.
    pub(crate) fn is_order_of(&self, end: &ParquetMetaData) -> bool {
        let sorting = self.sorting();
        end.row_groups().iter().all(|group| group.sorting_columns() == Some(&sorting))
    }

    pub(crate) fn writer_properties(&self, lasting: Lasting) -> WriterProperties {
        let level = ZstdLevel::try_new(lasting.zstd_level()).unwrap_or_default();
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_sorting_columns(Some(self.sorting()))
            .set_data_page_row_count_limit(self.page_rows)
            .set_dictionary_page_size_limit(self.dictionary_bytes)
            .set_write_batch_size(self.page_rows.min(1_024));
        if let Some(paged) = self.paged {
            properties = properties.set_statistics_enabled(EnabledStatistics::Chunk);
            for &column in paged {
                properties = properties.set_column_statistics_enabled(column.into(), EnabledStatistics::Page);
            }
        }
        for &column in self.differences {
            properties = properties
                .set_column_dictionary_enabled(column.into(), false)
                .set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED);
        }
        for &column in self.without_dictionary {
            properties = properties.set_column_dictionary_enabled(column.into(), false);
        }
        for &(column, bytes) in self.page_bytes {
            properties = properties.set_column_data_page_size_limit(column.into(), bytes);
        }
        for &column in self.uncompressed {
            properties = properties.set_column_compression(column.into(), Compression::UNCOMPRESSED);
        }
        for &column in self.opaque {
            properties = properties.set_column_statistics_enabled(column.into(), EnabledStatistics::None);
        }
        properties.build()
    }
}

/// The kinds of a field's value as the `kind` column of `query`, `headers` and `fields` writes them.
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
        // What is known of the call beyond its line; null where nothing is.
        optional_text("country"),
        optional_text("city"),
        // In ten-thousandths of a degree.
        Field::new("latitude_e4", DataType::Int32, true),
        Field::new("longitude_e4", DataType::Int32, true),
        Field::new("accuracy_km", DataType::Int32, true),
        Field::new("asn", DataType::Int64, true),
        optional_text("as_name"),
        optional_text("network_class"),
        optional_text("agent_family"),
        optional_text("agent_class"),
        // The entities of the business that the call names.
        Field::new("entities", list_of(entity_columns()), true),
        // What the source's field mapping made of the line; null where there is nothing.
        Field::new("fields", fields_type(), true),
        // What the call shows of how safely its API is offered, and which classes of data it carried.
        Field::new("signs", DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))), true),
        Field::new("jwt_lifetime_s", DataType::Int64, true),
        Field::new("data_classes", list_of(class_columns()), true),
    ]))
}

/// The columns that a timeline shows, as `events` has them.
pub(crate) const TIMELINE_COLUMNS: [&str; 24] = [
    "event_time",
    "position",
    "call_index",
    "gateway",
    "workspace",
    "trusted",
    "endpoint_id",
    "service_name",
    "consumer_id",
    "consumer_name",
    "client_ip",
    "method",
    "path",
    "status",
    "answered_by",
    "own_refusal",
    "request_bytes",
    "response_bytes",
    "latency_total_ms",
    "response_type",
    "country",
    "asn",
    "network_class",
    "agent_family",
];

/// What a timeline shows.
pub(crate) static SHOWN: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(TIMELINE_COLUMNS.iter().filter_map(of_events).collect::<Fields>())));

/// The columns of `timeline`: the day, the entity, and what a timeline shows.
pub fn timeline_schema() -> SchemaRef {
    let entity = ["entity_kind", "entity"].map(|name| Arc::new(Field::new(name, DataType::Utf8, false)));
    let columns = of_events(&PARTITION).into_iter().chain(entity).chain(TIMELINE_COLUMNS.iter().filter_map(of_events));
    Arc::new(Schema::new(columns.collect::<Fields>()))
}

/// What calls have in common that a row of `endpoint_hours` is of.
pub(crate) const HOUR_KEY: [&str; 6] = [PARTITION, "event_hour", "gateway", "workspace", "service_name", "endpoint_id"];

/// The columns of `endpoint_hours`: the key, counts, and what distinct values and distributions are read from.
pub fn hours_schema() -> SchemaRef {
    let time = |name| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false);
    let count = |name| Field::new(name, DataType::Int64, false);
    let histogram = |name| Field::new(name, histogram_type(), false);
    let sketch = |name| Field::new(name, DataType::Binary, false);
    let of_key = |name: &&str| match *name {
        "event_hour" => Some(Arc::new(time("event_hour"))),
        name => of_events(&name),
    };
    let others = [
        count("calls"),
        // Those that blocks of the installation itself refused. They are in the counts, sums, times and sketches, and in no
        // other column: they say nothing of the endpoint.
        count("own_refusals"),
        count("client_errors"),
        count("server_errors"),
        count("request_bytes"),
        count("response_bytes"),
        time("first_time"),
        time("last_time"),
        histogram("latency_ms_histogram"),
        histogram("request_bytes_histogram"),
        histogram("response_bytes_histogram"),
        // HyperLogLog as Apache DataSketches writes it.
        sketch("consumers_hll"),
        sketch("addresses_hll"),
    ];
    // Null in rows of a version that did not count it.
    let access = Field::new("access", access_type(), true);
    let columns = HOUR_KEY.iter().filter_map(of_key).chain(others.into_iter().chain([access]).map(Arc::new));
    Arc::new(Schema::new(columns.collect::<Fields>()))
}

/// A histogram: how many values each bucket has, by the least value that it can have.
pub(crate) fn histogram_type() -> DataType {
    list_of(bucket_columns())
}

pub(crate) fn bucket_columns() -> Fields {
    Fields::from(vec![Field::new("at_least", DataType::Int64, false), Field::new("calls", DataType::Int64, false)])
}

/// How many calls there are by how it was known who made them, and how many of them were served.
pub(crate) fn access_type() -> DataType {
    list_of(access_columns())
}

pub(crate) fn access_columns() -> Fields {
    Fields::from(vec![
        Field::new("how", DataType::Utf8, false),
        Field::new("calls", DataType::Int64, false),
        Field::new("served", DataType::Int64, false),
    ])
}

fn of_events(name: &&str) -> Option<FieldRef> {
    arrow_schema().fields().iter().find(|field| field.name() == name).cloned()
}

/// The type of `query`, `headers` and `fields`: a list of (name, value, kind, hidden length in bytes).
pub(crate) fn fields_type() -> DataType {
    list_of(field_columns())
}

fn list_of(columns: Fields) -> DataType {
    DataType::List(Arc::new(Field::new("element", DataType::Struct(columns), true)))
}

/// An entity of the business: its kind as the operator named it, and which one.
pub(crate) fn entity_columns() -> Fields {
    Fields::from(vec![Field::new("name", DataType::Utf8, false), Field::new("value", DataType::Utf8, false)])
}

/// A class of data with its place in a call.
pub(crate) fn class_columns() -> Fields {
    Fields::from(vec![
        Field::new("location", DataType::Utf8, false),
        Field::new("at", DataType::Int32, false),
        Field::new("class", DataType::Utf8, false),
    ])
}

pub(crate) fn field_columns() -> Fields {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
        Field::new("kind", DataType::Int8, false),
        Field::new("hidden_bytes", DataType::Int32, true),
    ])
}
