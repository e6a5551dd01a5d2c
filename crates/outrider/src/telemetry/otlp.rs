//! The part of OpenTelemetry's wire format that spans need: `ExportTraceServiceRequest` of OTLP 1, as protocol buffers.
//!
//! Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto` and of the files that it imports. Their own SDK is
//! not used: it brings six more libraries and a thread of its own, and says how many spans it dropped only when it ends.
//! Tests read what is written here with OpenTelemetry's own types.

use prost::{Enumeration, Message, Oneof};

/// What a service hands over at once.
#[derive(Clone, PartialEq, Message)]
pub struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// What is answered.
#[derive(Clone, PartialEq, Message)]
pub struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// That not everything was taken.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// Who speaks.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

/// Which code made the spans.
#[derive(Clone, PartialEq, Message)]
pub struct Scope {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
}

/// Something that took time.
#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// Empty for the root of a trace.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub name: String,
    #[prost(enumeration = "Kind", tag = "6")]
    pub kind: i32,
    /// Nanoseconds since 1970, as the end.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// There only where it went wrong.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum Kind {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(enumeration = "StatusCode", tag = "3")]
    pub code: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum StatusCode {
    Unset = 0,
    Ok = 1,
    Error = 2,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4")]
    pub value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Number(f64),
}

impl KeyValue {
    pub fn new(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }

    pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
        KeyValue::new(key, Value::Text(value.into()))
    }
}

impl Status {
    /// It went wrong.
    pub fn error(message: impl Into<String>) -> Status {
        Status { message: message.into(), code: StatusCode::Error.into() }
    }
}

/// A request with these spans, as bytes.
pub fn encode(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
    let scope = Scope { name: "outrider".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    ExportRequest { resource_spans: vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }] }
        .encode_to_vec()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
    use opentelemetry_proto::tonic::common::v1::any_value;
    use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status};

    use super::*;

    #[test]
    fn opentelemetrys_own_types_read_what_was_written() {
        let values = [Value::Text("a".to_owned()), Value::Bool(true), Value::Integer(-7), Value::Number(0.5)];
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            parent_span_id: vec![3; 8],
            name: "request".to_owned(),
            kind: Kind::Client.into(),
            start_time_unix_nano: 4,
            end_time_unix_nano: 5,
            attributes: values.into_iter().map(|value| KeyValue::new("key", value)).collect(),
            status: Some(Status::error("away")),
        };
        let resource = Resource { attributes: vec![KeyValue::text("service.name", "outrider")] };
        let request = ExportTraceServiceRequest::decode(encode(&resource, vec![span]).as_slice()).unwrap();
        let of_resource = &request.resource_spans[0];
        assert_eq!(of_resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let of_scope = &of_resource.scope_spans[0];
        let scope = of_scope.scope.as_ref().unwrap();
        assert_eq!((scope.name.as_str(), scope.version.as_str()), ("outrider", env!("CARGO_PKG_VERSION")));
        let span = &of_scope.spans[0];
        assert_eq!((span.trace_id.as_slice(), span.span_id.as_slice()), ([1; 16].as_slice(), [2; 8].as_slice()));
        assert_eq!((span.parent_span_id.as_slice(), span.name.as_str()), ([3; 8].as_slice(), "request"));
        assert_eq!((span.kind(), span.start_time_unix_nano, span.end_time_unix_nano), (SpanKind::Client, 4, 5));
        let values: Vec<_> = span.attributes.iter().map(|a| a.value.clone().unwrap().value.unwrap()).collect();
        let expected = [
            any_value::Value::StringValue("a".to_owned()),
            any_value::Value::BoolValue(true),
            any_value::Value::IntValue(-7),
            any_value::Value::DoubleValue(0.5),
        ];
        assert_eq!(values, expected);
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.code(), status.message.as_str()), (status::StatusCode::Error, "away"));
    }

    #[test]
    fn what_a_collector_rejects_is_read() {
        let mut response = ExportTraceServiceResponse::default();
        let partial = response.partial_success.get_or_insert_default();
        (partial.rejected_spans, partial.error_message) = (3, "too old".to_owned());
        let read = ExportResponse::decode(response.encode_to_vec().as_slice()).unwrap().partial_success.unwrap();
        assert_eq!((read.rejected_spans, read.error_message.as_str()), (3, "too old"));
    }
}
