//! What the window's calls say of those whom a hunt found: whether their lines can be trusted, how they were answered, when.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use deltalake::arrow::datatypes::TimestampMicrosecondType;
use deltalake::datafusion::prelude::SessionContext;
use outrider_model::{EntityKey, EntityKind, HuntHit, HuntQuestion, HuntWindow, Outcome, SampleCall, TargetFacts};

use crate::entities::{actor, entity_columns};
use crate::hunt::{CALLS, Found, numbers, only, text_column};
use crate::query::{Answer, QueryError, QueryProgress};
use crate::reader::QueryLimits;
use crate::search::literal;

/// What is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The condition of a search; `None` for a statement.
    pub searched: Option<&'a str>,
    /// Calls up to this log position were there for an earlier run.
    pub after: u64,
}

/// By kind, gateway and entity.
pub(crate) type Known = BTreeMap<(EntityKind, String, String), Evidence>;

/// What is known of somebody's calls.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    workspace: String,
    label: String,
    custom_id: String,
    tags: Vec<String>,
    target: TargetFacts,
    /// Of the calls that no earlier run has seen.
    outcome: Outcome,
    first_us: i64,
    service: (String, String),
    route: (String, String),
    last: SampleCall,
    last_us: i64,
}

/// Goes through the window's calls of those who were found: those that a search found where they acted, all of theirs for a
/// statement.
pub(crate) async fn evidence(
    context: &SessionContext,
    found: &[Found],
    asked: Asked<'_>,
    limits: &QueryLimits,
    progress: &mut QueryProgress,
) -> Result<Known, QueryError> {
    let mut known = Known::new();
    for kind in found.iter().map(|found| found.kind).collect::<BTreeSet<_>>() {
        let Some(column) = entity_columns().into_iter().find(|column| column.kind == kind.as_str()) else { continue };
        let of_kind = found.iter().filter(|found| found.kind == kind);
        let names: BTreeSet<_> = of_kind.map(|found| literal(&found.entity)).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let statement = match asked.searched {
            Some(condition) => {
                let [actor_kind, entity] = actor();
                statement(&entity, &format!("{condition} AND ({actor_kind}) = '{kind}'"), &names, asked.after)
            }
            None => statement(&column.each(), "true", &names, asked.after),
        };
        let plan = context.state().create_logical_plan(&statement).await?;
        let mut answer = Answer::to(context, plan, limits).await?;
        while let Some(batch) = answer.next().await {
            read(&batch?, kind, &mut known)?;
        }
        progress.add(answer.progress());
    }
    Ok(known)
}

fn statement(entity: &str, condition: &str, names: &str, after: u64) -> String {
    let last = |column: &str| format!("last_value({column} ORDER BY position, call_index) AS last_{column}");
    let one = |column: &str| {
        format!("min(coalesce({column}, '')) AS least_{column}, max(coalesce({column}, '')) AS {column}")
    };
    let lasts = [
        "workspace",
        "consumer_name",
        "consumer_custom_id",
        "consumer_tags",
        "request_id",
        "method",
        "path",
        "status",
        "event_time",
    ];
    let ones = ["service_id", "service_name", "route_id", "route_name"];
    format!(
        "SELECT gateway, entity, count(*) FILTER (WHERE position > {after}) AS calls, \
         count(*) FILTER (WHERE position > {after} AND status BETWEEN 200 AND 399) AS succeeded, \
         bool_and(trusted) AS trusted, bool_or(anonymous_consumer) AS anonymous, min(event_time) AS first, \
         max(event_time) AS last, {}, {} \
         FROM (SELECT *, {entity} AS entity FROM {CALLS} WHERE {condition}) \
         WHERE entity IN ({names}) GROUP BY gateway, entity",
        lasts.map(last).join(", "),
        ones.map(one).join(", "),
    )
}

fn read(batch: &RecordBatch, kind: EntityKind, known: &mut Known) -> Result<(), QueryError> {
    let ours =
        |name: &str| QueryError::Statement(format!("the calls have no column `{name}` of the kind that it has to be"));
    let text = |name: &str| text_column(batch, name);
    let flag =
        |name: &str| batch.column_by_name(name).and_then(|column| column.as_boolean_opt()).ok_or_else(|| ours(name));
    let time = |name: &str| {
        let column = batch.column_by_name(name);
        column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()).ok_or_else(|| ours(name))
    };
    let (gateways, entities) = (text("gateway")?, text("entity")?);
    let (calls, succeeded, status) =
        (numbers(batch, "calls"), numbers(batch, "succeeded"), numbers(batch, "last_status"));
    let (trusted, anonymous) = (flag("trusted")?, flag("anonymous")?);
    let (first, last, last_event) = (time("first")?, time("last")?, time("last_event_time")?);
    let (workspaces, names, custom_ids) =
        (text("last_workspace")?, text("last_consumer_name")?, text("last_consumer_custom_id")?);
    let (requests, methods, paths) = (text("last_request_id")?, text("last_method")?, text("last_path")?);
    let place = |id: &str, name: &str| -> Result<Vec<(String, String)>, QueryError> {
        let (least, most, names) = (text(&format!("least_{id}"))?, text(id)?, text(name)?);
        let one = |row: usize| match least.value(row) == most.value(row) {
            true => (most.value(row).to_owned(), names.value(row).to_owned()),
            false => (String::new(), String::new()),
        };
        Ok((0..batch.num_rows()).map(one).collect())
    };
    let (services, routes) = (place("service_id", "service_name")?, place("route_id", "route_name")?);
    let tags = batch.column_by_name("last_consumer_tags").ok_or_else(|| ours("consumer_tags"))?;
    for row in 0..batch.num_rows() {
        let is_consumer = kind == EntityKind::Consumer;
        let of_consumer = |text: &str| if is_consumer { text.to_owned() } else { String::new() };
        let evidence = Evidence {
            workspace: workspaces.value(row).to_owned(),
            label: of_consumer(names.value(row)),
            custom_id: of_consumer(custom_ids.value(row)),
            tags: if is_consumer { tags_of(tags, row) } else { Vec::new() },
            target: TargetFacts {
                anonymous_consumer: is_consumer && anonymous.value(row),
                untrusted: !trusted.value(row),
            },
            outcome: Outcome { succeeded: succeeded[row], failed: calls[row].saturating_sub(succeeded[row]) },
            first_us: first.value(row),
            last_us: last.value(row),
            service: services[row].clone(),
            route: routes[row].clone(),
            last: SampleCall {
                request_id: requests.value(row).to_owned(),
                event_ms: last_event.value(row).div_euclid(1000),
                method: methods.value(row).to_owned(),
                path: paths.value(row).to_owned(),
                status: u16::try_from(status[row]).unwrap_or_default(),
            },
        };
        known.insert((kind, gateways.value(row).to_owned(), entities.value(row).to_owned()), evidence);
    }
    Ok(())
}

fn tags_of(lists: &ArrayRef, row: usize) -> Vec<String> {
    let Some(lists) = lists.as_list_opt::<i32>().filter(|lists| lists.is_valid(row)) else { return Vec::new() };
    let tags = lists.value(row);
    let Some(tags) = tags.as_string_opt::<i32>() else { return Vec::new() };
    tags.iter().flatten().map(str::to_owned).collect()
}

/// Those who were found, with what is known of them.
///
/// Of whom the window has no call nothing is known, so that nothing happens by itself. When it was complete: for a search the
/// last call that it found. A statement may say it in `event_time`; where it does not, the first call of theirs counts, so
/// that old evidence never passes for new.
pub(crate) fn hits(found: Vec<Found>, known: &Known, ask: &HuntQuestion, window: &HuntWindow) -> Vec<HuntHit> {
    let is_new = |found: &Found| {
        let evidence = known.get(&(found.kind, found.gateway.clone(), found.entity.clone()));
        // Calls that a window looks at once more were told of.
        evidence.is_none_or(|evidence| evidence.outcome != Outcome::default())
    };
    let hit = |found: Found| {
        let only = only(&found, ask);
        let evidence = known.get(&(found.kind, found.gateway.clone(), found.entity.clone())).cloned();
        let known_us = evidence.as_ref().map(|evidence| match ask {
            HuntQuestion::Search(_) => evidence.last_us,
            HuntQuestion::Sql(_) => evidence.first_us,
        });
        let event_us = found.event_us.or(known_us);
        let samples = evidence.iter().map(|evidence| evidence.last.clone()).collect();
        let evidence = evidence.unwrap_or_else(Evidence::none);
        let Found { kind, entity: value, gateway, rows, shown, .. } = found;
        let Evidence { workspace, label, custom_id, tags, target, outcome, service, route, .. } = evidence;
        HuntHit {
            entity: EntityKey { kind, gateway, workspace, value, label },
            rows,
            shown,
            target,
            // Nothing was complete after the end.
            event_ms: event_us.map_or(window.since_ms, |us| us.div_euclid(1000)).min(window.until_ms),
            outcome,
            service_id: service.0,
            service_name: service.1,
            route_id: route.0,
            route_name: route.1,
            consumer_tags: tags,
            consumer_custom_id: custom_id,
            samples,
            only,
        }
    };
    found.into_iter().filter(is_new).map(hit).collect()
}

impl Evidence {
    fn none() -> Evidence {
        let text = String::new;
        let last = SampleCall { request_id: text(), event_ms: 0, method: text(), path: text(), status: 0 };
        Evidence {
            workspace: text(),
            label: text(),
            custom_id: text(),
            tags: Vec::new(),
            target: TargetFacts { anonymous_consumer: false, untrusted: true },
            outcome: Outcome::default(),
            first_us: 0,
            service: (text(), text()),
            route: (text(), text()),
            last,
            last_us: 0,
        }
    }
}
