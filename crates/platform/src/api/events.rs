//! `GET /api/v1/events`: what changes, as server-sent events, as soon as it is stored.
//!
//! Each event holds the whole thing as it is now, so an event that comes twice does no harm. `reset` says that events may
//! be missing, and that what is shown has to be loaded anew: a stream begins with it, unless it goes on where another
//! one of the same process ended. Nothing waits here for a slow reader: its place is a number in the store's ring.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use outrider_model::{Action, Alert, Notice};
use outrider_respond::desk::{GuardRails, KillSwitch, PolicyRow};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::auth::Caller;
use super::openapi::Description;
use super::problem::{self, Problem};
use super::query::NoQuery;
use super::routes::{Answer, Ask};
use super::{ApiState, auth, now_ms};
use crate::store::{Activity, ChangeKind, DeletedPolicy, Gateways, Role};

/// Streams that may be open at once.
pub const STREAMS_MAX: usize = 64;
/// Streams of one caller that may be open at once.
pub const STREAMS_OF_ONE_MAX: usize = 16;
/// How often a stream says something, and whether its caller may still listen is looked up.
pub(super) const BEAT: Duration = Duration::from_secs(5);
/// After which time a client should come back.
const COME_BACK: Duration = Duration::from_secs(3);
/// The longest `Last-Event-ID` in bytes.
const ID_BYTES_MAX: usize = 64;

const EVENT_STREAM: &str = "text/event-stream";

/// Events have to be dealt with by all of what shows them.
#[derive(Debug, Serialize, JsonSchema)]
struct Reset {
    /// Why events may be missing.
    reason: &'static str,
}

/// How everything is, in few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct StatusSummary {
    /// When this was said.
    at_ms: i64,
    /// The analysis has taken in everything that was in the log at the start.
    caught_up: bool,
    /// Log time that the analysis has come to.
    analysed_at_ms: Option<i64>,
    /// Calls analysed since the installation began.
    calls: Option<u64>,
    /// Findings raised since the process began.
    findings: Option<u64>,
    /// Calls that the log refused since the process began.
    dropped_calls: Option<u64>,
}

impl StatusSummary {
    fn of(status: &Value) -> Self {
        let number = |path: &str| status.pointer(path).and_then(Value::as_u64);
        StatusSummary {
            at_ms: now_ms(),
            caught_up: status.pointer("/platform/caught_up").and_then(Value::as_bool).unwrap_or_default(),
            analysed_at_ms: status.pointer("/platform/progress/analysed_at_ms").and_then(Value::as_i64),
            calls: number("/platform/progress/calls"),
            findings: number("/platform/progress/findings"),
            dropped_calls: number("/platform/progress/dropped_calls"),
        }
    }
}

fn name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Alert => "alert",
        ChangeKind::Action => "action",
        ChangeKind::Policy => "policy",
        ChangeKind::PolicyDeleted => "policy_deleted",
        ChangeKind::KillSwitch => "kill_switch",
        ChangeKind::GuardRails => "guard_rails",
        ChangeKind::Notice => "notice",
    }
}

/// Who listens, and what was told. Shared by all streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    seats: Mutex<HashMap<String, usize>>,
    events: AtomicU64,
    resets: AtomicU64,
    refused: AtomicU64,
}

/// Live streams in numbers. Counters begin with the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StreamStats {
    /// Streams that are open.
    pub open: u64,
    /// Streams refused because too many were open.
    pub refused: u64,
    /// Changes told, to all streams together.
    pub events: u64,
    /// How often a stream had to say that changes may be missing, its beginning included.
    pub resets: u64,
}

impl Streams {
    pub(super) fn stats(&self) -> StreamStats {
        StreamStats {
            open: self.lock().values().sum::<usize>() as u64,
            refused: self.refused.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            resets: self.resets.load(Ordering::Relaxed),
        }
    }

    /// A place for one more stream of a caller.
    fn sit(self: &Arc<Self>, by: &str) -> Result<Seat, Problem> {
        let mut seats = self.lock();
        let own = seats.get(by).copied().unwrap_or(0);
        let problem = if own >= STREAMS_OF_ONE_MAX {
            Problem::too_many(format!("`{by}` has {STREAMS_OF_ONE_MAX} event streams open, which is the most"))
                .hint("close one of them, or use a token of its own for each program")
        } else if seats.values().sum::<usize>() >= STREAMS_MAX {
            Problem::unavailable(format!("{STREAMS_MAX} event streams are open, which is the most"))
                .hint("try again later, or ask for the lists every few seconds")
        } else {
            seats.insert(by.to_owned(), own + 1);
            return Ok(Seat { streams: Arc::clone(self), by: by.to_owned() });
        };
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(problem)
    }

    /// Each change of the map is one step, so a panic elsewhere leaves it good.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place, given up when it ends in whatever way.
struct Seat {
    streams: Arc<Streams>,
    by: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.streams.lock();
        if let Some(count) = seats.get_mut(&self.by) {
            *count -= 1;
            if *count == 0 {
                seats.remove(&self.by);
            }
        }
    }
}

/// Where a client was, and what it showed to be let in.
pub(super) struct Resume {
    last_id: Option<String>,
    headers: HeaderMap,
}

impl FromRequestParts<ApiState> for Resume {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let last_id = match parts.headers.get("last-event-id") {
            None => None,
            Some(value) => {
                let text = value.to_str().ok().filter(|text| text.len() <= ID_BYTES_MAX);
                let wrong = || Problem::bad_request("this is no id of an event").at("header `Last-Event-ID`");
                Some(text.ok_or_else(wrong)?.to_owned())
            }
        };
        Ok(Resume { last_id, headers: parts.headers.clone() })
    }
}

impl Ask for Resume {
    fn describe(description: &mut Description<'_>) {
        let what = "The id of the last event that was dealt with, to go on after it. Browsers send it by themselves.";
        description.header_parameter("Last-Event-ID", what, ID_BYTES_MAX);
        description.problem(&problem::BAD_REQUEST);
        description.problem(&problem::TOO_MANY);
    }
}

pub(super) async fn events(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    resume: Resume,
    _: NoQuery,
) -> Result<EventStream, Problem> {
    let seat = state.streams.sit(&caller.by)?;
    let feed = state.store.feed();
    let (mut newest, access) = (feed.newest(), feed.access());
    let at = *newest.borrow_and_update();
    let mut stream = EventStream {
        at,
        reset: Some("this is the beginning; load what you show"),
        check_due: Instant::now() + state.beat,
        beat_due: Instant::now(),
        newest,
        access,
        headers: resume.headers,
        gateways: caller.gateways,
        seat,
        state,
    };
    if let Some(last_id) = resume.last_id.filter(|id| !id.is_empty()) {
        match stream.place_of(&last_id) {
            Some(place) => (stream.at, stream.reset) = (place, None),
            None => stream.reset = Some("events since the last one that you had are gone; load what you show anew"),
        }
    }
    Ok(stream)
}

/// One caller's stream.
pub(super) struct EventStream {
    state: ApiState,
    /// What the caller showed to be let in, to see again and again whether it still suffices.
    headers: HeaderMap,
    /// What of it all the caller may see; a token's never changes.
    gateways: Gateways,
    seat: Seat,
    /// The number of the last change that was told.
    at: u64,
    /// What has to be said first.
    reset: Option<&'static str>,
    newest: watch::Receiver<u64>,
    access: watch::Receiver<u64>,
    /// When the caller's right is looked up next.
    check_due: Instant,
    /// When the status is told next.
    beat_due: Instant,
}

impl EventStream {
    /// The number in an id of this process that is still in the ring.
    fn place_of(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        let number = number.parse().ok()?;
        let feed = self.state.store.feed();
        (u64::from_str_radix(run, 16).ok()? == feed.run() && feed.after(number).is_ok()).then_some(number)
    }

    fn id(&self) -> String {
        format!("{:016x}-{}", self.state.store.feed().run(), self.at)
    }

    /// What is to be said next; `None` when the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.state.stopping.is_cancelled() || !self.may_go_on().await {
                return None;
            }
            if let Some(reason) = self.reset.take() {
                self.seat.streams.resets.fetch_add(1, Ordering::Relaxed);
                return json_event("reset", &Reset { reason }).map(|event| event.id(self.id()).retry(COME_BACK));
            }
            match self.state.store.feed().after(self.at) {
                Ok(Some(change)) => {
                    self.at = change.number;
                    if !self.may_see(change.gateway.as_deref()) {
                        continue;
                    }
                    self.seat.streams.events.fetch_add(1, Ordering::Relaxed);
                    return Some(Event::default().event(name(change.kind)).data(&change.data).id(self.id()));
                }
                Ok(None) => {}
                Err(crate::store::Gone) => {
                    self.at = *self.newest.borrow_and_update();
                    self.reset = Some("this stream was read too slowly; load what you show anew");
                    continue;
                }
            }
            if Instant::now() >= self.beat_due {
                self.beat_due = Instant::now() + self.state.beat;
                if !self.may_see(None) {
                    return Some(Event::default().comment("nothing new"));
                }
                return json_event("status", &StatusSummary::of(&self.state.status.status()));
            }
            // A channel never closes here: the store that holds its other end is in `state`.
            tokio::select! {
                () = self.state.stopping.cancelled() => {}
                _ = self.newest.changed() => {}
                _ = self.access.changed() => self.check_due = Instant::now(),
                () = sleep_until(self.beat_due.min(self.check_due)) => {}
            }
        }
    }

    /// Whether the caller is to hear of what is at a gateway, or, without one, about all of outrider.
    fn may_see(&self, gateway: Option<&str>) -> bool {
        gateway.map_or(self.gateways == Gateways::All, |gateway| self.gateways.has(gateway))
    }

    /// Whether the caller may still listen. Where that cannot be found out the stream goes on: the store that cannot say
    /// it tells no changes either.
    async fn may_go_on(&mut self) -> bool {
        if Instant::now() < self.check_due && !self.access.has_changed().unwrap_or(true) {
            return true;
        }
        self.access.mark_unchanged();
        self.check_due = Instant::now() + self.state.beat;
        // Listening is no activity: a session that only listens falls idle.
        match auth::identify(&self.state, &Method::GET, &self.headers, Activity::Ignored).await {
            Ok(caller) => caller.role >= Role::Viewer,
            Err(problem) => !problem.is(&problem::UNAUTHORIZED),
        }
    }
}

fn json_event(name: &str, data: &impl Serialize) -> Option<Event> {
    // A struct of plain fields always becomes JSON.
    Event::default().event(name).json_data(data).ok()
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let events = futures_util::stream::unfold(self, async |mut stream| {
            let event = stream.next().await?;
            Some((Ok::<_, Infallible>(event), stream))
        });
        let mut response = Sse::new(events).into_response();
        // Proxies that gather answers, nginx above all, would hold events back.
        let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response.headers_mut().extend([unbuffered]);
        response
    }
}

impl Answer for EventStream {
    const MEDIA: &'static str = EVENT_STREAM;

    fn describe(description: &mut Description<'_>) {
        description.answer::<String>(StatusCode::OK, EVENT_STREAM, "Server-sent events, until one side ends them.");
        let events = json!({
            name(ChangeKind::Alert): description.answer_schema::<Alert>(),
            name(ChangeKind::Action): description.answer_schema::<Action>(),
            name(ChangeKind::Policy): description.answer_schema::<PolicyRow>(),
            name(ChangeKind::PolicyDeleted): description.answer_schema::<DeletedPolicy<'_>>(),
            name(ChangeKind::KillSwitch): description.answer_schema::<KillSwitch>(),
            name(ChangeKind::GuardRails): description.answer_schema::<GuardRails>(),
            name(ChangeKind::Notice): description.answer_schema::<Notice>(),
            "status": description.answer_schema::<StatusSummary>(),
            "reset": description.answer_schema::<Reset>(),
        });
        description.extension("x-events", events);
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower_service::Service as _;

    use super::*;
    use crate::api::{REQUEST_TIME_MAX, server};

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_request_may_take_does_not_end_a_stream() {
        let late = async || {
            Sse::new(futures_util::stream::once(async {
                tokio::time::sleep(REQUEST_TIME_MAX * 2).await;
                Ok::<_, Infallible>(Event::default().data("late"))
            }))
        };
        let limit = from_fn_with_state(REQUEST_TIME_MAX, server::limit_time);
        let mut router = Router::<()>::new().route("/", get(late)).layer(limit);
        let response = router.call(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "data: late\n\n");
    }
}
