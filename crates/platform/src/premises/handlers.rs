//! The requests of collectors and responders.

use std::time::Instant;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use outrider_model::batch::{BatchError, BatchReader, BatchWriter};
use outrider_model::{ApiCall, CLOCK_MS, GatewaySnapshot};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::live::{Held, Spoken};
use super::wire::{
    CLOCK_AHEAD_MS_MAX, Heartbeat, HeartbeatAnswer, INSTANCE_HEADER, PROTOCOL, PROTOCOL_HEADER, Reports,
    SHIPMENT_BYTES_MAX, ShipmentError, Shipped, ShippedBatch, decode_shipment,
};
use super::{NEWS_WAIT, Premises};
use crate::api::problem::Problem;
use crate::enrich::Enricher;
use crate::log::{CallBatch, Gap, LogError, Missing, NewRecord, RECORD_BYTES_MAX, epoch_of};
use crate::store::{Service, ServiceKind};

/// How large bodies may be that are no shipments.
const REPORTS_BYTES_MAX: usize = 4 * 1024 * 1024;
const CONFIGURATION_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// By how much enrichment may let a shipment grow, so that it has room in the log's queue whatever is in it.
const GROWTH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Heartbeats are kept in memory, one of each service.
const HEARTBEAT_BYTES_MAX: usize = 256 * 1024;
/// No instance id is longer.
const INSTANCE_BYTES_MAX: usize = 64;

/// What to do about a gateway that is not the caller's.
const WHOSE_GATEWAY: &str =
    "revoke it and create it again with all its gateways, or mend the gateway's name in its configuration";

#[derive(Clone)]
pub(super) struct Shared {
    pub premises: Premises,
    pub cancel: CancellationToken,
}

/// Who speaks, from which data directory.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    service: Service,
    instance: String,
    token: String,
}

impl Caller {
    fn must_be(&self, kind: ServiceKind) -> Result<(), Problem> {
        self.must_be_one_of(&[kind])
    }

    /// Says what the first of these kinds would do.
    fn must_be_one_of(&self, kinds: &[ServiceKind]) -> Result<(), Problem> {
        let Service { name, kind: own, .. } = &self.service;
        let Some(kind) = kinds.first().filter(|_| !kinds.contains(own)) else { return Ok(()) };
        Err(Problem::forbidden(format!("`{name}` is a {own}, and this is for a {kind}"))
            .hint(format!("make an identity with `outrider service create --kind {kind}`")))
    }

    fn must_speak_for(&self, gateway: &str) -> Result<(), Problem> {
        self.why_not_for(gateway).map_or(Ok(()), |why| Err(Problem::forbidden(why).hint(WHOSE_GATEWAY)))
    }

    fn why_not_for(&self, gateway: &str) -> Option<String> {
        let Service { name, gateways, .. } = &self.service;
        let is_own = gateways.iter().any(|own| own == gateway);
        (!is_own).then(|| format!("`{name}` speaks for `{}` and not for `{gateway}`", gateways.join("`, `")))
    }
}

/// Lets a request through when it speaks this protocol and its token stands for a service. Counts what becomes of it.
pub(super) async fn let_in(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let premises = &shared.premises;
    let response = match caller(premises, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    premises.counters.answered(response.status());
    if response.status() == StatusCode::UNAUTHORIZED {
        premises.counters.unauthorized();
        if let Some(count) = premises.strangers.refused(Instant::now()) {
            tracing::warn!(count, "the premises refused tokens that stand for no service, or were revoked");
        }
    }
    response
}

async fn caller(premises: &Premises, headers: &HeaderMap) -> Result<Caller, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let protocol = text(PROTOCOL_HEADER);
    if protocol != PROTOCOL.to_string() {
        let detail = format!(
            "this platform (outrider {}) speaks protocol {PROTOCOL}, and the request `{protocol}`",
            env!("CARGO_PKG_VERSION")
        );
        return Err(
            Problem::conflict(detail).hint("run the same version of outrider on both sides; the platform first")
        );
    }
    let instance = text(INSTANCE_HEADER);
    let is_plain = instance.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if instance.is_empty() || instance.len() > INSTANCE_BYTES_MAX || !is_plain {
        return Err(Problem::bad_request("the instance is missing or is no id").at("header `outrider-instance`"));
    }
    let token = text(header::AUTHORIZATION.as_str()).strip_prefix("Bearer ").unwrap_or_default();
    let service = premises.store.authenticate_service(token).await?.ok_or_else(|| {
        Problem::unauthorized("this token stands for no service, or was revoked")
            .hint("make one at the platform with `outrider service create`, and name its file with platform.token_file")
    })?;
    Ok(Caller { service, instance: instance.to_owned(), token: token.to_owned() })
}

pub(super) async fn take_calls(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Shipped>, Problem> {
    caller.must_be_one_of(&[ServiceKind::Collector, ServiceKind::Function])?;
    // A shipment in hand takes its size several times over.
    let _room = shared.premises.shipments.acquire().await.map_err(|_| Problem::internal())?;
    let body = body(request, SHIPMENT_BYTES_MAX).await?;
    let now_ms = (shared.premises.now_ms)();
    let service = caller.service.clone();
    // As long as it takes to read so much, the other requests of this thread would wait.
    let enricher = shared.premises.enricher.clone();
    let read = tokio::task::spawn_blocking(move || read_shipment(&caller, &body, now_ms, enricher.as_deref()));
    let records = read.await.map_err(|error| {
        tracing::error!(%error, "a shipment could not be read; this is a mistake of ours, please report it");
        Problem::internal()
    })??;
    if records.is_empty() {
        return Ok(Json(Shipped { stored: 0, duplicates: 0 }));
    }
    let batches = records.len() as u32;
    let appended = shared.premises.log.append(records).await.map_err(refused_by_log)?;
    if service.kind == ServiceKind::Function
        && shared.premises.live.heard(&service, None, Instant::now())
        && let Err(error) = shared.premises.store.heard_from(&service.name, None, now_ms).await
    {
        tracing::warn!(%error, "it could not be noted that a function sent calls");
    }
    Ok(Json(Shipped { stored: batches - appended.duplicates, duplicates: appended.duplicates }))
}

fn read_shipment(
    caller: &Caller,
    body: &[u8],
    now_ms: i64,
    enricher: Option<&Enricher>,
) -> Result<Vec<NewRecord>, Problem> {
    let batches = decode_shipment(body).map_err(|error| match error {
        ShipmentError::TooLarge { .. } | ShipmentError::TooMany { .. } => Problem::too_large(error.to_string()),
        ShipmentError::Damaged(_) => Problem::unprocessable(error.to_string()),
    })?;
    let mut records = Vec::with_capacity(batches.len());
    let mut growth_bytes = GROWTH_BYTES_MAX;
    for batch in batches {
        let mut completing =
            Completing { enricher, enriched: BatchWriter::default(), bytes_max: batch.calls.len() + growth_bytes };
        check_batch(caller, &batch, now_ms, &mut completing)?;
        let before = batch.calls.len();
        let batch = completing.batch(batch);
        growth_bytes -= batch.calls.len().saturating_sub(before);
        records.push(record(&caller.service.name, batch));
    }
    Ok(records)
}

/// Enriches the calls of a batch, for what is not in the log nobody will ever know.
struct Completing<'e> {
    enricher: Option<&'e Enricher>,
    enriched: BatchWriter,
    /// A batch that would become larger is stored as it came.
    bytes_max: usize,
}

impl Completing<'_> {
    fn take(&mut self, mut call: ApiCall<'_>) -> Result<(), BatchError> {
        match self.enricher {
            Some(enricher) if self.is_within() => {
                enricher.enrich(&mut call);
                self.enriched.push(&call)
            }
            _ => Ok(()),
        }
    }

    fn batch(mut self, batch: ShippedBatch) -> ShippedBatch {
        match self.enricher {
            None => batch,
            Some(_) if self.is_within() => ShippedBatch { calls: self.enriched.take(), ..batch },
            Some(enricher) => {
                enricher.left_a_batch();
                batch
            }
        }
    }

    fn is_within(&self) -> bool {
        self.enriched.len() <= self.bytes_max.min(RECORD_BYTES_MAX)
    }
}

/// A batch enters the log only if it can be read again, speaks of nothing that is not the caller's, and counts and dates its
/// calls as a collector does: whoever reads the log relies on that.
fn check_batch(
    caller: &Caller,
    batch: &ShippedBatch,
    now_ms: i64,
    completing: &mut Completing<'_>,
) -> Result<(), Problem> {
    let place = format!("batch {}..={} of epoch {:#x}", batch.first, batch.last, batch.epoch);
    let refused = |why: &dyn std::fmt::Display| Problem::unprocessable(why.to_string()).at(place.clone());
    let refuse_ahead = |at_ms: i64| match at_ms.saturating_sub(now_ms) {
        ..=CLOCK_AHEAD_MS_MAX => Ok(()),
        ahead_ms => {
            let detail = format!("the collector's clock is {} s ahead of the platform's", ahead_ms / 1000);
            let hint = "synchronise both clocks (NTP); what was collected meanwhile is taken when its time has come";
            Err(Problem::conflict(detail).at(place.clone()).hint(hint))
        }
    };
    if batch.count == 0 || batch.last.checked_sub(batch.first) != Some(u64::from(batch.count) - 1) {
        return Err(refused(&format_args!("its {} calls are not those of its range", batch.count)));
    }
    if !CLOCK_MS.contains(&batch.at_ms) {
        return Err(refused(&format_args!("it was received at {} ms, which no clock says", batch.at_ms)));
    }
    refuse_ahead(batch.at_ms)?;
    let mut count = 0;
    let mut known: Option<String> = None;
    for call in BatchReader::new(&batch.calls).map_err(|error| refused(&error))? {
        let call = call.map_err(|error| refused(&error))?;
        if known.as_deref() != Some(&*call.gateway) {
            // For ever, as calls of its other gateways must not wait for a person.
            if let Some(why) = caller.why_not_for(&call.gateway) {
                return Err(refused(&why).hint(WHOSE_GATEWAY));
            }
            known = Some(call.gateway.to_string());
        }
        if !call.has_plausible_times() {
            return Err(refused(&"a call's times are none that a collector gives"));
        }
        refuse_ahead(call.received_ms)?;
        completing.take(call).map_err(|error| refused(&error))?;
        count += 1;
    }
    if count != batch.count {
        return Err(refused(&format_args!("it says that it holds {} calls and holds {count}", batch.count)));
    }
    Ok(())
}

fn record(sender: &str, batch: ShippedBatch) -> NewRecord {
    let ShippedBatch { epoch, first, last, count, at_ms, lost_before, calls } = batch;
    let batch = CallBatch { epoch: epoch_of(sender, epoch), first, last, count, batch: calls };
    match lost_before {
        None => NewRecord::calls(at_ms, batch),
        Some(reason) => NewRecord::calls_after(at_ms, batch, Gap { count: 0, missing: Missing::Unnumbered, reason }),
    }
}

fn refused_by_log(error: LogError) -> Problem {
    let words = error.to_string();
    match error {
        LogError::Overlap { .. } | LogError::Range { .. } => Problem::unprocessable(words),
        LogError::TooLarge { .. } => Problem::too_large(words),
        _ => {
            tracing::warn!(%error, "what came from the premises was not stored; it is sent again");
            Problem::unavailable("the platform cannot store anything now").hint("its own log says why")
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    gateway: String,
    /// The version that the responder has.
    after: Option<u64>,
}

/// Answers when there is something new, or with nothing after a while.
pub(super) async fn desired(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(Asked { gateway, after }): Query<Asked>,
) -> Result<Response, Problem> {
    caller.must_be(ServiceKind::Responder)?;
    caller.must_speak_for(&gateway)?;
    let premises = &shared.premises;
    let known = premises.desired.iter().find(|(name, _)| *name == gateway);
    let Some((_, receiver)) = known else {
        return Err(Problem::not_found(format!("the platform knows no gateway `{gateway}`"))
            .hint("name it in premises.gateways of the platform's configuration"));
    };
    let hold = || {
        premises.live.hold(&gateway, &caller.service.name, &caller.instance, Instant::now()).map_err(|held| {
            let Held { service, instance, seconds_ago } = held;
            let detail = format!(
                "gateway `{gateway}` is held by responder `{service}`, instance {instance}, which spoke {seconds_ago} s ago"
            );
            Problem::conflict(detail).hint("two responders for one gateway are a mistake: stop one of them")
        })
    };
    hold()?;
    let mut receiver = receiver.clone();
    let news = receiver.wait_for(|state| state.as_ref().is_some_and(|state| Some(state.version) != after));
    let state = tokio::select! {
        news = tokio::time::timeout(NEWS_WAIT, news) => match news {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) | Err(_) => None,
        },
        () = shared.cancel.cancelled() => None,
    };
    // Waiting took a while: the token may have been revoked, or the gateway given away, since.
    if premises.store.authenticate_service(&caller.token).await? != Some(caller.service.clone()) {
        return Err(Problem::unauthorized("this token was revoked"));
    }
    hold()?;
    Ok(match state {
        Some(state) => Json(state).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

pub(super) async fn take_reports(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<StatusCode, Problem> {
    caller.must_be(ServiceKind::Responder)?;
    let Reports { reports } = json(&body(request, REPORTS_BYTES_MAX).await?)?;
    let premises = &shared.premises;
    for report in &reports {
        // An action that is forgotten already has ended, and a report about it changes nothing.
        if let Some(action) = premises.store.action(&report.action.to_string()).await? {
            caller.must_speak_for(&action.target.gateway)?;
        }
    }
    premises.reports.store((premises.now_ms)(), &reports).await.map_err(refused_by_log)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn take_configuration(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<StatusCode, Problem> {
    caller.must_be(ServiceKind::Responder)?;
    let snapshot: GatewaySnapshot = json(&body(request, CONFIGURATION_BYTES_MAX).await?)?;
    caller.must_speak_for(&snapshot.gateway)?;
    let premises = &shared.premises;
    premises.reports.store_configuration((premises.now_ms)(), &snapshot).await.map_err(refused_by_log)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn take_heartbeat(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<HeartbeatAnswer>, Problem> {
    let premises = &shared.premises;
    let now_ms = (premises.now_ms)();
    let heartbeat: Heartbeat = json(&body(request, HEARTBEAT_BYTES_MAX).await?)?;
    caller.must_be(heartbeat.kind)?;
    for gateway in &heartbeat.gateways {
        caller.must_speak_for(gateway)?;
    }
    let clock_ahead_ms = heartbeat.now_ms.saturating_sub(now_ms);
    let noted = serde_json::json!({
        "version": heartbeat.version,
        "instance": caller.instance,
        "clock_ahead_ms": clock_ahead_ms,
        "status": heartbeat.status,
    });
    let spoken = Spoken { instance: caller.instance, heartbeat, clock_ahead_ms };
    if premises.live.heard(&caller.service, Some(spoken), Instant::now()) {
        premises.store.heard_from(&caller.service.name, Some(&noted), now_ms).await?;
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(HeartbeatAnswer { version, installation: premises.installation.to_string(), clock_ahead_ms }))
}

async fn body(request: Request, bytes_max: usize) -> Result<axum::body::Bytes, Problem> {
    to_bytes(request.into_body(), bytes_max).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
            Problem::too_large(format!("the body is larger than {bytes_max} bytes"))
        } else {
            Problem::bad_request("the body ended before it was complete")
        }
    })
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::unprocessable(format!("the body is not as agreed: {error}")))
}
