//! Decisions about path templates: by hand or as a service's document writes its paths, and what they would do beforehand.

use axum::Json;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use outrider_discover::openapi::{Pins, Warning};
use outrider_model::{Command, DecisionOrigin, TemplateDecision, TemplateDecisionId, TemplateEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::{BODY_BYTES_MAX, Body};
use super::decisions::{Decider, submit};
use super::openapi::Description;
use super::problem::{self, Problem};
use super::reading::Found;
use super::routes::Ask;
use super::{ApiState, CatalogueCopy, CommandError};
use crate::analysis::refused;
use crate::drift::{apart, routes_of};
use crate::store::{Gateways, ServiceKey, TemplateRow, read_document};

/// What decisions would do is listed up to here.
const EFFECTS_MAX: usize = 1_000;

/// What is decided about templates.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Templates {
    /// Decisions that do not stand any more, by their ids.
    #[serde(default)]
    taken_back: Vec<TemplateDecisionId>,
    /// Decisions that stand from then on.
    #[serde(default)]
    decisions: Vec<TemplateDecision>,
    /// The service whose document is to be followed, and nothing else: its paths stand as they are written there, and what an earlier
    /// document of it said, and this one does not, is taken back.
    #[serde(default)]
    document: Option<ServiceKey>,
}

/// What was decided.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Decided {
    /// The decisions that stand now.
    items: Vec<TemplateRow>,
    /// Operations of the document that cannot stand as they are written, with why.
    left_out: Vec<Warning>,
    /// Further ones that are not listed.
    more_left_out: u64,
}

/// What decisions would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Preview {
    /// What would become of endpoints.
    items: Vec<TemplateEffect>,
    /// Further ones that are not listed.
    more: usize,
    /// How many decisions would be new.
    decisions: usize,
    /// How many would not stand any more.
    taken_back: usize,
    /// Operations of the document that cannot stand as they are written, with why.
    left_out: Vec<Warning>,
    /// Further ones that are not listed.
    more_left_out: u64,
}

/// Decisions as they are to be taken.
struct Meant {
    taken_back: Vec<TemplateDecisionId>,
    decisions: Vec<TemplateDecision>,
    left_out: Vec<Warning>,
    more_left_out: u64,
    /// What they were worked out with, where that was needed.
    catalogue: Option<CatalogueCopy>,
}

/// Who wants to see what decisions would do.
pub(super) struct Asker(Caller);

impl FromRequestParts<ApiState> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let caller = Extension::from_request_parts(parts, state).await.map_err(|_| Problem::internal())?;
        super::query::Query::read(&parts.uri, &[])?;
        Ok(Asker(caller.0))
    }
}

impl Ask for Asker {
    fn describe(description: &mut Description<'_>) {
        for kind in [&problem::BAD_REQUEST, &problem::NOT_FOUND, &problem::CONFLICT, &problem::INVALID] {
            description.problem(kind);
        }
    }
}

pub(super) async fn decide(
    State(state): State<ApiState>,
    decider: Decider,
    Body(asked): Body<Templates, { 4 * BODY_BYTES_MAX }>,
) -> Found<Decided> {
    let gateways = decider.gateways.clone();
    asked.check(&state, &decider.by, &gateways).await?;
    let is_of_document = asked.document.is_some();
    let catalogue = match is_of_document {
        true => Some(state.commands.catalogue().await?),
        false => None,
    };
    let Meant { taken_back, decisions, left_out, more_left_out, .. } = asked.meant(&state, catalogue).await?;
    // Who follows a document that is followed already has what they want.
    if !(is_of_document && taken_back.is_empty() && decisions.is_empty()) {
        submit(&state, decider, Command::DecideTemplates { taken_back, decisions }).await?;
    }
    Ok(Json(Decided { items: state.store.template_decisions(&gateways).await?, left_out, more_left_out }))
}

pub(super) async fn preview(
    State(state): State<ApiState>,
    Asker(caller): Asker,
    Body(asked): Body<Templates, { 4 * BODY_BYTES_MAX }>,
) -> Found<Preview> {
    asked.check(&state, &caller.by, &caller.gateways).await?;
    let catalogue = state.commands.catalogue().await?;
    let meant = asked.meant(&state, Some(catalogue)).await?;
    let Meant { taken_back, decisions, left_out, more_left_out, catalogue } = meant;
    let (gone, new) = (taken_back.len(), decisions.len());
    let effects = apart(move || Ok(catalogue.map(|catalogue| catalogue.preview(&taken_back, &decisions))));
    let effects = effects.await?.unwrap_or_else(|| Ok(Vec::new()));
    let mut items = effects.map_err(|why| CommandError::Refused(refused(why)))?;
    let more = items.len().saturating_sub(EFFECTS_MAX);
    items.truncate(EFFECTS_MAX);
    Ok(Json(Preview { items, more, decisions: new, taken_back: gone, left_out, more_left_out }))
}

impl Templates {
    /// Refuses what cannot be meant together, and what is at gateways that are not the caller's. Whoever is for some alone sees the
    /// decisions there, and no others.
    async fn check(&self, state: &ApiState, by: &str, gateways: &Gateways) -> Result<(), Problem> {
        if self.document.is_some() && !(self.taken_back.is_empty() && self.decisions.is_empty()) {
            let together = Problem::unprocessable("a document is followed alone, without other decisions");
            return Err(together.at("body field `document`").hint("send two requests"));
        }
        if *gateways == Gateways::All {
            return Ok(());
        }
        let mine = state.store.template_decisions(gateways).await?;
        if let Some(id) = self.taken_back.iter().find(|id| !mine.iter().any(|row| row.id == **id)) {
            let missing = Problem::not_found(format!("there is no decision {id} about templates"));
            return Err(missing.at("body field `taken_back`"));
        }
        let decided = self.decisions.iter().map(|decision| (&decision.gateway, "body field `decisions`"));
        let followed = self.document.iter().map(|key| (&key.gateway, "body field `document`"));
        match decided.chain(followed).find(|(gateway, _)| !gateways.has(gateway)) {
            None => Ok(()),
            Some((gateway, place)) => {
                state.counters.forbidden();
                let names = gateways.names().join(", ");
                Err(Problem::forbidden(format!("`{by}` is for {names} alone, and this is at `{gateway}`")).at(place))
            }
        }
    }

    /// What somebody has written, or what the document says.
    async fn meant(self, state: &ApiState, catalogue: Option<CatalogueCopy>) -> Result<Meant, Problem> {
        let Templates { taken_back, mut decisions, document } = self;
        let (key, copy) = match (document, catalogue) {
            (Some(key), Some(copy)) => (key, copy),
            (_, catalogue) => {
                // Whoever asks is a person, whatever they say.
                decisions.iter_mut().for_each(|decision| decision.origin = DecisionOrigin::Operator);
                return Ok(Meant { taken_back, decisions, left_out: Vec::new(), more_left_out: 0, catalogue });
            }
        };
        let text = state.store.api_document(&key).await?.ok_or_else(|| {
            Problem::not_found(format!("there is no document of `{}` at `{}`", key.service, key.gateway))
                .at("body field `document`")
                .hint("`PUT /api/v1/apis/document` gives one")
        })?;
        let snapshot = state.store.gateway_configuration(&key.gateway, None).await?;
        let pins = apart(move || {
            let document = read_document(&text)?;
            let routes = routes_of(snapshot.as_ref(), &key.service);
            let pins = copy.pins((&key.gateway, &key.workspace, &key.service), &document, &routes);
            Ok(pins.map(|pins| (pins, copy)))
        });
        let (pins, copy) = pins.await?.map_err(|why| CommandError::Refused(refused(why)))?;
        let Pins { decisions, taken_back, left_out, more_left_out } = pins;
        Ok(Meant { taken_back, decisions, left_out, more_left_out, catalogue: Some(copy) })
    }
}
