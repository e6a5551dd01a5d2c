//! Makes spans for OpenTelemetry of the spans of `tracing` that rooms open with the target [`TARGET`].
//!
//! A room says what it does and knows nothing of traces. Some fields have a meaning here; all others become attributes:
//!
//! | field | meaning |
//! | --- | --- |
//! | `otel.name` | the span's name, where that is not the static one |
//! | `otel.kind` | `client` or `server` |
//! | `error` | it went wrong; why |
//! | `traceparent` | the place that the client of a request named |
//! | `outrider.installation` with `outrider.action.id` | the span is a part of that action's trace; also attributes |

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Traces;
use super::ids::Place;
use super::otlp::{KeyValue, Kind, Span, Status, Value};

/// Outside of what the program's log shows.
pub const TARGET: &str = "trace";
/// No text of a span is longer.
const CHARACTERS_MAX: usize = 256;

/// Hands over each span of ours when it closes.
pub struct SpanLayer(pub Traces);

impl SpanLayer {
    /// The spans that it wants to see. Others cost nothing, as if it were not there.
    pub fn filter() -> Targets {
        Targets::new().with_target(TARGET, tracing::Level::INFO)
    }
}

/// A span that is open.
struct Open {
    place: Place,
    span: Span,
}

impl<S> Layer<S> for SpanLayer
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(new) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let around = || new.parent().and_then(|parent| parent.extensions().get::<Open>().map(|open| open.place));
        let of_client = || fields.traceparent.as_deref().and_then(Place::of_traceparent);
        let Some(parent) = fields.action().or_else(around).or_else(of_client).or_else(Place::new) else { return };
        let Some(place) = parent.child() else { return };
        let mut span = span(place, parent, attributes.metadata().name());
        span.start_time_unix_nano = now_ns();
        fields.put_into(&mut span);
        new.extensions_mut().insert(Open { place, span });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(changed) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(open) = changed.extensions_mut().get_mut::<Open>() {
            fields.put_into(&mut open.span);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(closed) = context.span(&id) else { return };
        let Some(Open { place, mut span }) = closed.extensions_mut().remove::<Open>() else { return };
        if place.is_sampled {
            // A clock that was set back must not make a span end before it began.
            span.end_time_unix_nano = now_ns().max(span.start_time_unix_nano);
            self.0.send(span);
        }
    }
}

/// A span at a place, without times.
pub fn span(place: Place, parent: Place, name: &str) -> Span {
    Span {
        trace_id: place.trace.to_vec(),
        span_id: place.span.to_vec(),
        parent_span_id: if parent.span == [0; 8] { Vec::new() } else { parent.span.to_vec() },
        name: name.to_owned(),
        kind: Kind::Internal.into(),
        ..Span::default()
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What the fields of a span say.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    kind: Option<Kind>,
    error: Option<String>,
    traceparent: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Fields {
    fn action(&self) -> Option<Place> {
        let text = |key: &str| {
            let attribute = self.attributes.iter().find(|attribute| attribute.key == key)?;
            match attribute.value.as_ref()?.value.as_ref()? {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            }
        };
        Some(Place::of_action(text("outrider.installation")?, text("outrider.action.id")?.parse().ok()?))
    }

    fn put_into(self, span: &mut Span) {
        if let Some(name) = self.name {
            span.name = name;
        }
        if let Some(kind) = self.kind {
            span.kind = kind.into();
        }
        if let Some(error) = self.error {
            span.status = Some(Status::error(error));
        }
        span.attributes.extend(self.attributes);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let text: String = value.chars().take(CHARACTERS_MAX).collect();
        match field.name() {
            "otel.name" => self.name = Some(text),
            "otel.kind" if text == "server" => self.kind = Some(Kind::Server),
            "otel.kind" if text == "client" => self.kind = Some(Kind::Client),
            "error" => self.error = Some(text),
            "traceparent" => self.traceparent = Some(text),
            name => self.attributes.push(KeyValue::text(name, text)),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push(KeyValue::new(field.name(), Value::Integer(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_i64(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attributes.push(KeyValue::new(field.name(), Value::Bool(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attributes.push(KeyValue::new(field.name(), Value::Number(value)));
    }
}

#[cfg(test)]
mod tests {
    use tracing::field::Empty;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// The spans that this makes, in the order in which they closed, and how many found no room.
    fn spans_of(room: usize, make: impl FnOnce()) -> (Vec<Span>, u64) {
        let (traces, mut queue) = Traces::new(room);
        let subscriber =
            tracing_subscriber::registry().with(SpanLayer(traces.clone()).with_filter(SpanLayer::filter()));
        tracing::subscriber::with_default(subscriber, make);
        let spans = std::iter::from_fn(|| queue.try_recv().ok()).collect();
        (spans, traces.counters().dropped)
    }

    #[test]
    fn a_span_has_its_name_its_attributes_and_its_parent() {
        let (spans, _) = spans_of(9, || {
            let outer = tracing::info_span!(target: "trace", "outer", count = 7, error = Empty, late = Empty);
            outer.in_scope(|| {
                // Whatever is between them and no business of ours leaves no gap.
                tracing::info_span!(target: "hyper", "foreign").in_scope(|| {
                    drop(tracing::info_span!(target: "trace", "inner", otel.name = "GET /x", otel.kind = "server"));
                });
            });
            outer.record("late", true);
            outer.record("error", "away");
        });
        let [inner, outer] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((inner.name.as_str(), inner.kind()), ("GET /x", Kind::Server));
        assert_eq!((&inner.trace_id, &inner.parent_span_id), (&outer.trace_id, &outer.span_id));
        assert_eq!((outer.name.as_str(), outer.kind(), outer.parent_span_id.len()), ("outer", Kind::Internal, 0));
        let expected = [KeyValue::new("count", Value::Integer(7)), KeyValue::new("late", Value::Bool(true))];
        assert_eq!(outer.attributes, expected);
        assert_eq!(outer.status, Some(Status::error("away")));
        assert!(outer.start_time_unix_nano <= inner.start_time_unix_nano);
        assert!(inner.end_time_unix_nano <= outer.end_time_unix_nano);
    }

    #[test]
    fn the_client_says_where_a_request_belongs_and_whether_it_is_told() {
        for (flags, expected) in [("01", 1), ("00", 0)] {
            let header = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let (spans, _) =
                spans_of(9, || drop(tracing::info_span!(target: "trace", "request", traceparent = header)));
            assert_eq!(spans.len(), expected, "{flags}");
            let place = Place::of_traceparent(&header).unwrap();
            for span in spans {
                assert_eq!((span.trace_id, span.parent_span_id), (place.trace.to_vec(), place.span.to_vec()));
                assert!(span.attributes.is_empty(), "the header is no attribute");
            }
        }
    }

    #[test]
    fn a_part_of_an_action_is_in_the_actions_trace() {
        let (spans, _) = spans_of(9, || {
            let id = outrider_model::ActionId(9);
            drop(
                tracing::info_span!(target: "trace", "reconcile", outrider.installation = "i", outrider.action.id = %id),
            );
        });
        let root = Place::of_action("i", outrider_model::ActionId(9));
        assert_eq!((&spans[0].trace_id, &spans[0].parent_span_id), (&root.trace.to_vec(), &root.span.to_vec()));
        assert_eq!(spans[0].attributes[1], KeyValue::text("outrider.action.id", "ac_0000000000000009"));
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let make = || drop(tracing::info_span!(target: "trace", "one"));
        let (spans, dropped) = spans_of(2, || (0..5).for_each(|_| make()));
        assert_eq!((spans.len(), dropped), (2, 3));
    }

    #[test]
    fn texts_are_cut() {
        let (spans, _) = spans_of(9, || drop(tracing::info_span!(target: "trace", "one", long = "é".repeat(1000))));
        assert_eq!(spans[0].attributes, [KeyValue::text("long", "é".repeat(CHARACTERS_MAX))]);
    }
}
