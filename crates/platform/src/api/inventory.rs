//! The list of endpoints: what is known of each, how it was used of late, and all of it sorted.

use std::collections::HashMap;

use axum::extract::State;
use outrider_discover::posture::RiskScore;
use outrider_model::Endpoint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint_figures::{EndpointFigures, Figures, Last};
use super::lake::{AnyLake, no_lake};
use super::problem::Problem;
use super::query::{Filter, List, Listed, Parameter, Query};
use super::{ApiState, now_ms};
use crate::store::{EndpointFilter, EndpointOrder, Gateways, Page};

/// What comes last: nothing is known of it.
const UNKNOWN: i64 = -1;

/// By what endpoints are sorted, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndpointSort {
    /// When they were first seen, as it was known when they became known; it never changes.
    #[default]
    FirstSeen,
    /// When they were last seen.
    LastSeen,
    /// How often they were ever called.
    Calls,
    /// How often they were called in the time of `last`, as all that follows.
    LastCalls,
    /// How many consumers called them.
    Consumers,
    /// The share of calls that failed.
    ErrorShare,
    /// The median latency.
    LatencyP50,
    /// What 95 of 100 latencies are at most.
    LatencyP95,
    /// The median size of answers.
    ResponseSize,
    /// How risky they are.
    Risk,
}

/// Which endpoints, with figures of which time.
pub(super) struct Inventory {
    filter: EndpointFilter,
    sort: EndpointSort,
    last: Option<Last>,
}

impl Filter for Inventory {
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::one::<String>("service", "Of the service with this name."),
        Parameter::one::<String>("method", "With this request method, in either case."),
        Parameter::one::<String>("contains", "Whose path template contains this text."),
        Parameter::one::<String>("gateway", "At the gateway with this name."),
        Parameter::one::<Last>("last", "With `figures` of this time before now; without it there are none."),
        Parameter::one::<EndpointSort>("sort", "By what they are sorted; the default is `first_seen`."),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        let (sort, last): (EndpointSort, _) = (query.word("sort")?.unwrap_or_default(), query.word("last")?);
        if sort.needs_figures() && last.is_none() {
            return Err(Problem::bad_request(
                "it would be sorted by a figure of some time, and `last` does not say of which",
            )
            .at("query parameter `sort`")
            .hint("add `last=24h`"));
        }
        let filter = EndpointFilter {
            service: query.text("service"),
            method: query.text("method").map(|method| method.to_ascii_uppercase()),
            contains: query.text("contains"),
            gateway: query.text("gateway"),
            order: sort.of_store().unwrap_or_default(),
            ..EndpointFilter::default()
        };
        Ok(Inventory { filter, sort, last })
    }

    fn at(mut self, gateways: &Gateways) -> Self {
        self.filter.gateways = gateways.clone();
        self
    }
}

/// An endpoint of the inventory, with how it was used of late.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EndpointRow {
    #[serde(flatten)]
    endpoint: Endpoint,
    /// How it was used in the time of `last`; null where that is not said, where this outrider
    /// keeps no lake, and where the lake does not answer.
    figures: Option<EndpointFigures>,
    /// How risky it is; null before that is known.
    risk: Option<RiskScore>,
}

pub(super) async fn endpoints(
    State(state): State<ApiState>,
    AnyLake(queries): AnyLake,
    list: List<Inventory>,
) -> Result<Listed<EndpointRow>, Problem> {
    let Inventory { filter, sort, last } = &list.filter;
    let figures = match (*last, &queries) {
        (Some(last), Some(queries)) => state.figures.get(queries, last, now_ms()).await,
        _ => None,
    };
    let page = match &figures {
        _ if sort.of_store().is_some() => state.store.endpoints(filter, list.limit, list.cursor()).await?,
        _ if *sort == EndpointSort::Risk => by_risk(&state, &list).await?,
        Some(figures) => by_figure(&state, &list, figures).await?,
        None if queries.is_none() => return Err(no_lake()),
        None => return Err(unread()),
    };
    let ids: Vec<String> = page.items.iter().map(|endpoint| endpoint.id.to_string()).collect();
    let mut scores = state.store.endpoint_scores(&ids).await?;
    let row = |endpoint: Endpoint| {
        let id = endpoint.id.to_string();
        let of = |figures: &Figures| figures.get(&id).cloned().unwrap_or_default();
        EndpointRow { figures: figures.as_ref().map(of), risk: scores.remove(&id), endpoint }
    };
    Ok(list.answer(Page { items: page.items.into_iter().map(row).collect(), next: page.next }))
}

fn unread() -> Problem {
    Problem::unavailable("the lake did not answer with figures of endpoints")
        .hint("try again in some seconds, or sort by `first_seen`, `last_seen` or `calls`, which need no figures")
}

/// A page sorted by a figure.
async fn by_figure(state: &ApiState, list: &List<Inventory>, figures: &Figures) -> Result<Page<Endpoint>, Problem> {
    let Inventory { filter, sort, .. } = &list.filter;
    let ids = state.store.endpoint_ids(filter).await?;
    let places = ids.into_iter().map(|id| (sort.key(figures.get(&id)), id)).collect();
    by_place(state, list, places).await
}

/// A page sorted by how risky endpoints are.
async fn by_risk(state: &ApiState, list: &List<Inventory>) -> Result<Page<Endpoint>, Problem> {
    let tenths = state.store.score_tenths().await?;
    let ids = state.store.endpoint_ids(&list.filter.filter).await?;
    let places = ids.into_iter().map(|id| (tenths.get(&id).copied().unwrap_or(UNKNOWN), id)).collect();
    by_place(state, list, places).await
}

/// A page of all that fit, each with what it is sorted by: the store has no column of it, so they are sorted here. There are as many as the
/// inventory may have endpoints.
async fn by_place(
    state: &ApiState,
    list: &List<Inventory>,
    mut places: Vec<(i64, String)>,
) -> Result<Page<Endpoint>, Problem> {
    let sort = list.filter.sort;
    let after = list.cursor().map(|cursor| sort.place(cursor)).transpose()?;
    places.retain(|place| after.as_ref().is_none_or(|after| place < after));
    places.sort_unstable_by(|one, other| other.cmp(one));
    let next = (places.len() > list.limit as usize).then(|| &places[list.limit as usize - 1]);
    let next = next.map(|(key, id)| format!("{}{key}.{id}", sort.prefix()));
    places.truncate(list.limit as usize);
    let ids: Vec<String> = places.into_iter().map(|(_, id)| id).collect();
    let found = state.store.endpoints_by_id(&ids).await?;
    let mut by_id: HashMap<String, Endpoint> = found.into_iter().map(|one| (one.id.to_string(), one)).collect();
    Ok(Page { items: ids.iter().filter_map(|id| by_id.remove(id)).collect(), next })
}

impl EndpointSort {
    /// The store's order, where it has it.
    fn of_store(self) -> Option<EndpointOrder> {
        match self {
            EndpointSort::FirstSeen => Some(EndpointOrder::FirstSeen),
            EndpointSort::LastSeen => Some(EndpointOrder::LastSeen),
            EndpointSort::Calls => Some(EndpointOrder::Calls),
            _ => None,
        }
    }

    /// Whether there is no order without figures.
    fn needs_figures(self) -> bool {
        self.of_store().is_none() && self != EndpointSort::Risk
    }

    /// What is sorted by, as a whole number; what is not known comes last.
    fn key(self, figures: Option<&EndpointFigures>) -> i64 {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        // Thousandths of a millisecond and millionths of a share are as fine as anybody sorts; a cast saturates.
        #[allow(clippy::cast_possible_truncation, reason = "a float becomes the nearest whole number there is")]
        let fine = |number: Option<f64>, parts: f64| number.map_or(UNKNOWN, |number| (number * parts) as i64);
        let Some(figures) = figures else { return UNKNOWN };
        match self {
            EndpointSort::LastCalls => whole(figures.calls),
            EndpointSort::Consumers => whole(figures.consumers),
            EndpointSort::ErrorShare => fine(Some(figures.error_share), 1e6),
            EndpointSort::LatencyP50 => fine(figures.latency_p50_ms, 1e3),
            EndpointSort::LatencyP95 => fine(figures.latency_p95_ms, 1e3),
            EndpointSort::ResponseSize => fine(figures.response_p50_bytes, 1e3),
            EndpointSort::FirstSeen | EndpointSort::LastSeen | EndpointSort::Calls | EndpointSort::Risk => UNKNOWN,
        }
    }

    /// What a cursor of this order begins with.
    fn prefix(self) -> String {
        format!("{self:?}.").to_ascii_lowercase()
    }

    /// The place that a cursor names.
    fn place(self, cursor: &str) -> Result<(i64, String), Problem> {
        let rest = cursor.strip_prefix(&self.prefix()).and_then(|rest| rest.split_once('.'));
        let place = rest.and_then(|(key, id)| Some((key.parse().ok()?, id.to_owned())));
        place.ok_or_else(|| Problem::bad_request("this is not a cursor of this list").at("query parameter `cursor`"))
    }
}
