//! The paths of a document as decisions about templates: each stands as its owner writes it.

use std::collections::BTreeSet;

use outrider_model::{DecisionOrigin, Endpoint, TemplateChange, TemplateDecision, TemplateDecisionId};

use super::document::{Document, Warning};
use super::matching::as_called;
use super::routes::Route;
use crate::catalogue::Catalogue;
use crate::decisions::Room;
use crate::pieces::{DOCUMENT_NAME_BYTES_MAX, check};
use crate::refusal::DecisionRefused;
use crate::rules::Rules;

/// What would make a service's templates those of a document, for [`Catalogue::revise`] and [`Catalogue::preview`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// One for each operation and path under which calls may have it.
    pub decisions: Vec<TemplateDecision>,
    /// Decisions that an earlier document of the service led to, and that this one does not have.
    pub taken_back: Vec<TemplateDecisionId>,
    /// Operations that cannot stand as they are written, with why.
    pub left_out: Vec<Warning>,
    /// Further ones that are not listed.
    pub more_left_out: u64,
}

/// Operations that cannot stand are listed up to here.
const LEFT_OUT_MAX: usize = 200;

impl Catalogue {
    /// The paths of a document as pinned templates of a service. Paths are written as calls have them: with the base path of a
    /// server or the path of a route in front, where calls have these. What contradicts a decision that stands is left out; all
    /// of it is refused where there is no room for it.
    pub fn pins(
        &self,
        (gateway, workspace, service): (&str, &str, &str),
        document: &Document,
        routes: &[Route],
    ) -> Result<Pins, DecisionRefused> {
        let is_here = |one: &str, two: &str, three: &str| one == gateway && two == workspace && three == service;
        let endpoints: Vec<&Endpoint> = self
            .endpoints()
            .filter(|Endpoint { key, .. }| is_here(&key.gateway, &key.workspace, &key.service))
            .collect();
        let name = cut(if document.title.is_empty() { "OpenAPI" } else { &document.title });
        let called = as_called(document, routes, &endpoints);
        Room::at_least(called.len()).check(&self.settings)?;
        let wanted = called.into_iter().map(|(operation, template)| {
            let change = TemplateChange::Pin { method: Some(document.operations[operation].method.clone()) };
            let decision = TemplateDecision {
                gateway: gateway.to_owned(),
                workspace: workspace.to_owned(),
                service: service.to_owned(),
                template,
                change,
                origin: DecisionOrigin::Document { name: name.clone() },
            };
            (operation, decision)
        });
        let wanted: Vec<(usize, TemplateDecision)> = wanted.collect();
        let ids: BTreeSet<TemplateDecisionId> = wanted.iter().map(|(_, decision)| decision.id()).collect();
        let standing = self.decisions().iter().filter(|at| is_here(&at.gateway, &at.workspace, &at.service));
        let mut pins = Pins::default();
        let mut rules = Rules::default();
        let mut known = BTreeSet::new();
        let mut room = Room::of(self.decisions());
        for decision in standing {
            let is_of_document = matches!(decision.origin, DecisionOrigin::Document { .. });
            if is_of_document && !ids.contains(&decision.id()) {
                pins.taken_back.push(decision.id());
                room.give(decision);
            } else if rules.add(decision).is_ok() {
                known.insert(decision.id());
            }
        }
        for (operation, decision) in wanted {
            if !known.insert(decision.id()) {
                continue;
            }
            match check(&decision, self.settings.depth_max).and_then(|()| rules.add(&decision)) {
                Ok(()) => {
                    room.take(&decision);
                    room.check(&self.settings)?;
                    pins.decisions.push(decision);
                }
                Err(_) if pins.left_out.len() == LEFT_OUT_MAX => pins.more_left_out += 1,
                Err(refused) => pins.left_out.push(Warning {
                    pointer: document.operations[operation].pointer.clone(),
                    what: refused.to_string(),
                }),
            }
        }
        Ok(pins)
    }
}

fn cut(title: &str) -> String {
    title[..title.floor_char_boundary(DOCUMENT_NAME_BYTES_MAX)].to_owned()
}
