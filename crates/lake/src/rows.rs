//! Calls to columns and back. The two directions stand side by side because they have to agree: the exact call can be
//! rebuilt from its row, so that a back-test over the lake sees what the live analysis saw.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use deltalake::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, Int8Builder, Int32Builder, Int64Builder, ListBuilder,
    RecordBatch, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use deltalake::arrow::datatypes::{self, DataType, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType};
use deltalake::arrow::error::ArrowError;
use outrider_model::{
    AnsweredBy, ApiCall, ClockCheck, Consumer, EndpointId, Field, FieldValue, Latency, Named, Text, Trust,
};

use crate::schema::{arrow_schema, field_columns, value_kind};
use enriched::EnrichedBuilder;
use exposed::ExposedBuilder;

mod enriched;
mod exposed;

const DAY_MS: i64 = 86_400_000;

/// Collects calls as columns until they are committed.
pub struct Rows {
    scratch: String,
    event_date: Date32Builder,
    event_time: TimestampMicrosecondBuilder,
    started_time: TimestampMicrosecondBuilder,
    received_time: TimestampMicrosecondBuilder,
    position: Int64Builder,
    call_index: Int32Builder,
    gateway: StringBuilder,
    workspace: StringBuilder,
    trusted: BooleanBuilder,
    clock: StringBuilder,
    request_id: StringBuilder,
    endpoint_id: StringBuilder,
    service_id: StringBuilder,
    service_name: StringBuilder,
    route_id: StringBuilder,
    route_name: StringBuilder,
    consumer_id: StringBuilder,
    consumer_name: StringBuilder,
    consumer_custom_id: StringBuilder,
    consumer_tags: ListBuilder<StringBuilder>,
    anonymous_consumer: BooleanBuilder,
    credential_id: StringBuilder,
    presented_credential: StringBuilder,
    session: StringBuilder,
    client_ip: StringBuilder,
    host: StringBuilder,
    method: StringBuilder,
    path: StringBuilder,
    query: FieldsBuilder,
    headers: FieldsBuilder,
    status: Int32Builder,
    answered_by: StringBuilder,
    own_refusal: StringBuilder,
    request_bytes: Int64Builder,
    response_bytes: Int64Builder,
    latency_total_ms: Int32Builder,
    latency_gateway_ms: Int32Builder,
    latency_upstream_ms: Int32Builder,
    response_type: StringBuilder,
    enriched: EnrichedBuilder,
    fields: FieldsBuilder,
    exposed: ExposedBuilder,
}

/// A list of name and value pairs under construction.
struct FieldsBuilder(ListBuilder<StructBuilder>);

impl Default for FieldsBuilder {
    fn default() -> Self {
        let element = datatypes::Field::new("element", DataType::Struct(field_columns()), true);
        FieldsBuilder(ListBuilder::new(StructBuilder::from_fields(field_columns(), 0)).with_field(element))
    }
}

impl Default for Rows {
    fn default() -> Self {
        Rows {
            scratch: String::new(),
            event_date: Date32Builder::new(),
            event_time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            started_time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            received_time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            position: Int64Builder::new(),
            call_index: Int32Builder::new(),
            gateway: StringBuilder::new(),
            workspace: StringBuilder::new(),
            trusted: BooleanBuilder::new(),
            clock: StringBuilder::new(),
            request_id: StringBuilder::new(),
            endpoint_id: StringBuilder::new(),
            service_id: StringBuilder::new(),
            service_name: StringBuilder::new(),
            route_id: StringBuilder::new(),
            route_name: StringBuilder::new(),
            consumer_id: StringBuilder::new(),
            consumer_name: StringBuilder::new(),
            consumer_custom_id: StringBuilder::new(),
            consumer_tags: ListBuilder::new(StringBuilder::new()).with_field(datatypes::Field::new(
                "element",
                DataType::Utf8,
                true,
            )),
            anonymous_consumer: BooleanBuilder::new(),
            credential_id: StringBuilder::new(),
            presented_credential: StringBuilder::new(),
            session: StringBuilder::new(),
            client_ip: StringBuilder::new(),
            host: StringBuilder::new(),
            method: StringBuilder::new(),
            path: StringBuilder::new(),
            query: FieldsBuilder::default(),
            headers: FieldsBuilder::default(),
            status: Int32Builder::new(),
            answered_by: StringBuilder::new(),
            own_refusal: StringBuilder::new(),
            request_bytes: Int64Builder::new(),
            response_bytes: Int64Builder::new(),
            latency_total_ms: Int32Builder::new(),
            latency_gateway_ms: Int32Builder::new(),
            latency_upstream_ms: Int32Builder::new(),
            response_type: StringBuilder::new(),
            enriched: EnrichedBuilder::default(),
            fields: FieldsBuilder::default(),
            exposed: ExposedBuilder::default(),
        }
    }
}

impl Rows {
    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.position.values_slice().len()
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a call as it stands at `index` of the log record at `position`.
    pub fn push(&mut self, call: &ApiCall<'_>, endpoint: Option<EndpointId>, position: u64, index: u32) {
        self.event_date.append_value(i32::try_from(call.event_ms.div_euclid(DAY_MS)).unwrap_or(0));
        self.event_time.append_value(call.event_ms.saturating_mul(1000));
        self.started_time.append_value(call.started_ms.saturating_mul(1000));
        self.received_time.append_value(call.received_ms.saturating_mul(1000));
        self.position.append_value(position.cast_signed());
        self.call_index.append_value(index.cast_signed());
        self.gateway.append_value(&*call.gateway);
        self.workspace.append_value(&*call.workspace);
        self.trusted.append_value(call.trust == Trust::Trusted);
        self.clock.append_value(clock_name(call.clock));
        self.request_id.append_value(&*call.request_id);
        append_shown(&mut self.scratch, &mut self.endpoint_id, endpoint);
        append_named(&mut self.service_id, &mut self.service_name, call.service.as_ref());
        append_named(&mut self.route_id, &mut self.route_name, call.route.as_ref());
        self.push_consumer(call);
        self.credential_id.append_option(call.credential_id.as_deref());
        append_shown(&mut self.scratch, &mut self.presented_credential, call.presented_credential);
        append_shown(&mut self.scratch, &mut self.session, call.session);
        append_shown(&mut self.scratch, &mut self.client_ip, call.client_ip);
        self.host.append_value(&*call.host);
        self.method.append_value(&*call.method);
        self.path.append_value(&*call.path);
        self.query.push(&mut self.scratch, &call.query);
        self.headers.push(&mut self.scratch, &call.headers);
        self.status.append_value(i32::from(call.status));
        self.answered_by.append_value(match call.answered_by {
            AnsweredBy::Upstream => "upstream",
            AnsweredBy::Gateway => "gateway",
        });
        self.own_refusal.append_option(call.own_refusal.as_deref());
        self.request_bytes.append_value(call.request_bytes.cast_signed());
        self.response_bytes.append_value(call.response_bytes.cast_signed());
        self.latency_total_ms.append_value(call.latency.total_ms);
        self.latency_gateway_ms.append_value(call.latency.gateway_ms);
        self.latency_upstream_ms.append_value(call.latency.upstream_ms);
        self.response_type.append_value(&*call.response_type);
        self.enriched.push(&call.enrichment);
        self.fields.push_if_any(&mut self.scratch, &call.fields);
        self.exposed.push(&call.exposure);
    }

    fn push_consumer(&mut self, call: &ApiCall<'_>) {
        self.anonymous_consumer.append_value(call.anonymous_consumer);
        let consumer = call.consumer.as_ref();
        self.consumer_id.append_option(consumer.map(|c| c.id.as_str()));
        self.consumer_name.append_option(consumer.map(|c| c.username.as_str()));
        self.consumer_custom_id.append_option(consumer.map(|c| c.custom_id.as_str()));
        for tag in consumer.iter().flat_map(|c| &c.tags) {
            self.consumer_tags.values().append_value(&**tag);
        }
        self.consumer_tags.append(consumer.is_some());
    }

    /// Takes what was collected as one record batch and leaves the rows empty.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut rows = std::mem::take(self);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(rows.event_date.finish()),
            Arc::new(rows.event_time.finish()),
            Arc::new(rows.started_time.finish()),
            Arc::new(rows.received_time.finish()),
            Arc::new(rows.position.finish()),
            Arc::new(rows.call_index.finish()),
            Arc::new(rows.gateway.finish()),
            Arc::new(rows.workspace.finish()),
            Arc::new(rows.trusted.finish()),
            Arc::new(rows.clock.finish()),
            Arc::new(rows.request_id.finish()),
            Arc::new(rows.endpoint_id.finish()),
            Arc::new(rows.service_id.finish()),
            Arc::new(rows.service_name.finish()),
            Arc::new(rows.route_id.finish()),
            Arc::new(rows.route_name.finish()),
            Arc::new(rows.consumer_id.finish()),
            Arc::new(rows.consumer_name.finish()),
            Arc::new(rows.consumer_custom_id.finish()),
            Arc::new(rows.consumer_tags.finish()),
            Arc::new(rows.anonymous_consumer.finish()),
            Arc::new(rows.credential_id.finish()),
            Arc::new(rows.presented_credential.finish()),
            Arc::new(rows.session.finish()),
            Arc::new(rows.client_ip.finish()),
            Arc::new(rows.host.finish()),
            Arc::new(rows.method.finish()),
            Arc::new(rows.path.finish()),
            Arc::new(rows.query.0.finish()),
            Arc::new(rows.headers.0.finish()),
            Arc::new(rows.status.finish()),
            Arc::new(rows.answered_by.finish()),
            Arc::new(rows.own_refusal.finish()),
            Arc::new(rows.request_bytes.finish()),
            Arc::new(rows.response_bytes.finish()),
            Arc::new(rows.latency_total_ms.finish()),
            Arc::new(rows.latency_gateway_ms.finish()),
            Arc::new(rows.latency_upstream_ms.finish()),
            Arc::new(rows.response_type.finish()),
        ];
        columns.extend(rows.enriched.finish());
        columns.push(Arc::new(rows.fields.0.finish()));
        columns.extend(rows.exposed.finish());
        RecordBatch::try_new(arrow_schema(), columns)
    }
}

impl FieldsBuilder {
    fn push(&mut self, scratch: &mut String, fields: &[Field<'_>]) {
        self.push_elements(scratch, fields);
        self.0.append(true);
    }

    /// Null where there is none, as in the rows of versions that had no such column.
    fn push_if_any(&mut self, scratch: &mut String, fields: &[Field<'_>]) {
        self.push_elements(scratch, fields);
        self.0.append(!fields.is_empty());
    }

    fn push_elements(&mut self, scratch: &mut String, fields: &[Field<'_>]) {
        let list = self.0.values();
        for field in fields {
            let (kind, hidden_bytes) = match &field.value {
                FieldValue::Flag => (value_kind::FLAG, None),
                FieldValue::Clear(_) => (value_kind::CLEAR, None),
                FieldValue::Pseudonym(_, length) => (value_kind::PSEUDONYM, Some(length.cast_signed())),
                FieldValue::Redacted => (value_kind::REDACTED, None),
            };
            // The builders are of the types that `field_columns` declares, so each is found.
            if let Some(name) = list.field_builder::<StringBuilder>(0) {
                name.append_value(&*field.name);
            }
            if let Some(value) = list.field_builder::<StringBuilder>(1) {
                match &field.value {
                    FieldValue::Clear(text) => value.append_value(&**text),
                    FieldValue::Pseudonym(pseudonym, _) => append_shown(scratch, value, Some(pseudonym)),
                    FieldValue::Flag | FieldValue::Redacted => value.append_null(),
                }
            }
            if let Some(column) = list.field_builder::<Int8Builder>(2) {
                column.append_value(kind);
            }
            if let Some(column) = list.field_builder::<Int32Builder>(3) {
                column.append_option(hidden_bytes);
            }
            list.append(true);
        }
    }
}

fn append_shown(scratch: &mut String, column: &mut StringBuilder, value: Option<impl std::fmt::Display>) {
    let Some(value) = value else { return column.append_null() };
    scratch.clear();
    // Writing into a String cannot fail.
    let _ = write!(scratch, "{value}");
    column.append_value(&*scratch);
}

fn append_named(id: &mut StringBuilder, name: &mut StringBuilder, named: Option<&Named<'_>>) {
    id.append_option(named.map(|n| n.id.as_str()));
    name.append_option(named.map(|n| n.name.as_str()));
}

fn clock_name(clock: ClockCheck) -> &'static str {
    match clock {
        ClockCheck::AsReported => "as_reported",
        ClockCheck::ClampedPast => "clamped_past",
        ClockCheck::ClampedFuture => "clamped_future",
        ClockCheck::Missing => "missing",
    }
}

/// Why a row is not a call of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of the events table cannot be read: column `{column}` {problem}")]
pub struct RowError {
    row: usize,
    column: &'static str,
    problem: &'static str,
}

/// Rebuilds the exact call, and its endpoint as known at commit, from a row of the events table.
pub fn call_from_row(batch: &RecordBatch, row: usize) -> Result<(ApiCall<'_>, Option<EndpointId>), RowError> {
    let reader = RowReader { batch, row };
    let consumer = match reader.optional_text("consumer_id")? {
        None => None,
        Some(id) => Some(Consumer {
            id: id.into(),
            username: reader.optional_text("consumer_name")?.unwrap_or_default().into(),
            custom_id: reader.optional_text("consumer_custom_id")?.unwrap_or_default().into(),
            tags: reader.texts("consumer_tags")?,
        }),
    };
    let number = |column| reader.int64(column).map(i64::cast_unsigned);
    let call = ApiCall {
        gateway: reader.text("gateway")?,
        workspace: reader.text("workspace")?,
        trust: if reader.boolean("trusted")? { Trust::Trusted } else { Trust::Untrusted },
        request_id: reader.text("request_id")?,
        received_ms: reader.time_ms("received_time")?,
        started_ms: reader.time_ms("started_time")?,
        event_ms: reader.time_ms("event_time")?,
        clock: reader.clock()?,
        consumer,
        anonymous_consumer: reader.boolean("anonymous_consumer")?,
        credential_id: reader.optional_text("credential_id")?.map(Text::from),
        presented_credential: reader.parsed("presented_credential")?,
        session: reader.parsed("session")?,
        client_ip: reader.parsed::<IpAddr>("client_ip")?,
        service: reader.named("service_id", "service_name")?,
        route: reader.named("route_id", "route_name")?,
        host: reader.text("host")?,
        method: reader.text("method")?,
        path: reader.text("path")?,
        query: reader.fields("query")?,
        headers: reader.fields("headers")?,
        status: u16::try_from(reader.int32("status")?).map_err(|_| reader.error("status", "is out of range"))?,
        answered_by: match &*reader.text("answered_by")? {
            "upstream" => AnsweredBy::Upstream,
            "gateway" => AnsweredBy::Gateway,
            _ => return Err(reader.error("answered_by", "holds an unknown word")),
        },
        own_refusal: reader.optional_text("own_refusal")?.map(Text::from),
        request_bytes: number("request_bytes")?,
        response_bytes: number("response_bytes")?,
        latency: Latency {
            total_ms: reader.int32("latency_total_ms")?,
            gateway_ms: reader.int32("latency_gateway_ms")?,
            upstream_ms: reader.int32("latency_upstream_ms")?,
        },
        response_type: reader.text("response_type")?,
        fields: reader.fields("fields")?,
        enrichment: reader.enrichment()?,
        exposure: reader.exposure()?,
    };
    Ok((call, reader.parsed("endpoint_id")?))
}

struct RowReader<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> RowReader<'a> {
    fn error(&self, column: &'static str, problem: &'static str) -> RowError {
        RowError { row: self.row, column, problem }
    }

    fn column(&self, name: &'static str) -> Result<&'a ArrayRef, RowError> {
        self.batch.column_by_name(name).ok_or_else(|| self.error(name, "is missing"))
    }

    fn optional_text(&self, name: &'static str) -> Result<Option<&'a str>, RowError> {
        let column =
            self.column(name)?.as_string_opt::<i32>().ok_or_else(|| self.error(name, "has another type than text"))?;
        Ok(column.is_valid(self.row).then(|| column.value(self.row)))
    }

    fn text(&self, name: &'static str) -> Result<Text<'a>, RowError> {
        self.optional_text(name)?.map(Text::from).ok_or_else(|| self.error(name, "is null"))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, RowError> {
        self.optional_text(name)?
            .map(|text| text.parse().map_err(|_| self.error(name, "holds a text of another form")))
            .transpose()
    }

    fn boolean(&self, name: &'static str) -> Result<bool, RowError> {
        let column =
            self.column(name)?.as_boolean_opt().ok_or_else(|| self.error(name, "has another type than boolean"))?;
        Ok(column.value(self.row))
    }

    fn int32(&self, name: &'static str) -> Result<i32, RowError> {
        let column = self.column(name)?.as_primitive_opt::<Int32Type>();
        column.map(|c| c.value(self.row)).ok_or_else(|| self.error(name, "has another type than 32-bit integer"))
    }

    fn optional_int32(&self, name: &'static str) -> Result<Option<i32>, RowError> {
        let column = self.column(name)?.as_primitive_opt::<Int32Type>();
        let column = column.ok_or_else(|| self.error(name, "has another type than 32-bit integer"))?;
        Ok(column.is_valid(self.row).then(|| column.value(self.row)))
    }

    /// A number that fits what it is for; null where it does not.
    fn optional_number<T: TryFrom<i64>>(&self, name: &'static str) -> Result<Option<T>, RowError> {
        let column = self.column(name)?.as_primitive_opt::<Int64Type>();
        let column = column.ok_or_else(|| self.error(name, "has another type than 64-bit integer"))?;
        Ok(column.is_valid(self.row).then(|| T::try_from(column.value(self.row)).ok()).flatten())
    }

    fn int64(&self, name: &'static str) -> Result<i64, RowError> {
        let column = self.column(name)?.as_primitive_opt::<Int64Type>();
        column.map(|c| c.value(self.row)).ok_or_else(|| self.error(name, "has another type than 64-bit integer"))
    }

    fn time_ms(&self, name: &'static str) -> Result<i64, RowError> {
        let column = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        let ms = column.map(|c| c.value(self.row).div_euclid(1000));
        ms.ok_or_else(|| self.error(name, "has another type than timestamp"))
    }

    fn clock(&self) -> Result<ClockCheck, RowError> {
        let text = self.text("clock")?;
        [ClockCheck::AsReported, ClockCheck::ClampedPast, ClockCheck::ClampedFuture, ClockCheck::Missing]
            .into_iter()
            .find(|clock| clock_name(*clock) == &*text)
            .ok_or_else(|| self.error("clock", "holds an unknown word"))
    }

    fn named(&self, id: &'static str, name: &'static str) -> Result<Option<Named<'a>>, RowError> {
        let Some(found) = self.optional_text(id)? else { return Ok(None) };
        Ok(Some(Named { id: found.into(), name: self.optional_text(name)?.unwrap_or_default().into() }))
    }

    fn texts(&self, name: &'static str) -> Result<Vec<Text<'a>>, RowError> {
        let list = self.column(name)?.as_list_opt::<i32>().ok_or_else(|| self.error(name, "is no list"))?;
        let texts =
            list.values().as_string_opt::<i32>().ok_or_else(|| self.error(name, "has another type than text"))?;
        let offsets = list.value_offsets();
        let range = offsets[self.row].cast_unsigned() as usize..offsets[self.row + 1].cast_unsigned() as usize;
        Ok(range.map(|at| Text::from(texts.value(at))).collect())
    }

    fn fields(&self, name: &'static str) -> Result<Vec<Field<'a>>, RowError> {
        let wrong = || self.error(name, "is not a list of fields");
        let list = self.column(name)?.as_list_opt::<i32>().ok_or_else(wrong)?;
        let columns = list.values().as_struct_opt().ok_or_else(wrong)?;
        let text = |column| columns.column_by_name(column).and_then(|c| c.as_string_opt::<i32>()).ok_or_else(wrong);
        let (names, values) = (text("name")?, text("value")?);
        let kinds = columns.column_by_name("kind").and_then(|c| c.as_primitive_opt::<Int8Type>()).ok_or_else(wrong)?;
        let hidden =
            columns.column_by_name("hidden_bytes").and_then(|c| c.as_primitive_opt::<Int32Type>()).ok_or_else(wrong)?;
        let offsets = list.value_offsets();
        let range = offsets[self.row].cast_unsigned() as usize..offsets[self.row + 1].cast_unsigned() as usize;
        range
            .map(|at| {
                let value = match kinds.value(at) {
                    value_kind::FLAG => FieldValue::Flag,
                    value_kind::CLEAR => FieldValue::Clear(values.value(at).into()),
                    value_kind::PSEUDONYM => FieldValue::Pseudonym(
                        values.value(at).parse().map_err(|_| wrong())?,
                        hidden.value(at).cast_unsigned(),
                    ),
                    value_kind::REDACTED => FieldValue::Redacted,
                    _ => return Err(wrong()),
                };
                Ok(Field { name: names.value(at).into(), value })
            })
            .collect()
    }
}
