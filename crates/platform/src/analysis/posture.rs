//! What is weak becomes rows for the control store, and findings for the desk.
//!
//! A weakness is told of once when it opens, comes back or gets worse, and its alert is over when nothing of it is open any more. It is
//! about its consumer or credential where it has one, else about the service or the gateway: those are nobody who could be
//! restricted. So what a check finds at several endpoints of a service is one alert.

use std::collections::BTreeMap;

use outrider_discover::openapi::Document;
use outrider_discover::posture::{
    DocumentOutline, Exception, ExceptionRefused, Opened, Posture, ServiceKey, WeakSubject, Weakness, WeaknessRow,
    WeaknessState, Why, severity_word,
};
use outrider_model::{
    CommandRecord, CommandRefused, Confidence, EndpointId, EntityKey, EntityKind, Finding, FindingId, Fingerprint,
    Observation, Outcome, Severity, TargetFacts, WeaknessId,
};
use outrider_respond::desk::CommandDone;
use serde::{Deserialize, Serialize};

use super::Analysis;

/// What the detectors of findings about weaknesses are called together; a check's name follows it.
pub const POSTURE_DETECTOR: &str = "posture";

const SEVERITIES: [Severity; 5] = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

/// A check finds what is there. What it cannot know is whether somebody wants it so.
const CONFIDENCE: f32 = 0.9;

/// What the owner of a service says of it, as it enters the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Documented {
    /// The service.
    pub service: ServiceKey,
    /// What its document says; none where there is no document any more.
    pub outline: Option<DocumentOutline>,
}

impl Documented {
    /// That this is the document of a service from now on.
    pub fn by(service: ServiceKey, document: &Document) -> Documented {
        Documented { service, outline: Some(DocumentOutline::of(document)) }
    }
}

impl Analysis {
    /// Posture: what is weak.
    pub fn posture(&self) -> &Posture {
        &self.posture
    }

    /// How many weaknesses are open, by severity; of each there is a number.
    pub(super) fn open_weaknesses(&self) -> BTreeMap<&'static str, u64> {
        let mut open: BTreeMap<&'static str, u64> = SEVERITIES.map(|severity| (severity_word(severity), 0)).into();
        for weakness in self.posture.weaknesses().filter(|weakness| weakness.is_open()) {
            *open.entry(severity_word(weakness.severity)).or_default() += 1;
        }
        open
    }

    /// Takes in what the owner of a service says of it.
    pub fn documented(&mut self, now_ms: i64, documented: Documented) {
        self.advance(now_ms);
        self.posture.documented(&documented.service, documented.outline);
    }

    /// Judges what changed in the minute that is over. `told` are the endpoints with new figures.
    pub(super) fn judge_posture(&mut self, told: impl IntoIterator<Item = EndpointId>) {
        for id in told {
            self.survey(id);
        }
        let catalogue = &self.catalogue;
        let is_gone = |id: &EndpointId| {
            catalogue.endpoint(*id).is_none_or(|endpoint| endpoint.ignored || endpoint.merged_into.is_some())
        };
        let gone: Vec<EndpointId> = self.posture.endpoints().filter(is_gone).collect();
        gone.into_iter().for_each(|id| self.posture.forget(id));
        self.posture.advance(self.now_ms);
        self.tell_weaknesses();
    }

    /// Looks at all endpoints after they were learnt anew from the past. What only that shows is listed, and nobody is alerted
    /// (decision 12).
    pub(super) fn survey_past(&mut self) {
        self.posture.judge(self.now_ms);
        self.tell_weaknesses();
        self.survey_all();
        self.posture.judge(self.now_ms);
        drop(self.posture.drain_opened());
    }

    /// Looks at all endpoints.
    pub(super) fn survey_all(&mut self) {
        let all: Vec<EndpointId> = self.catalogue.endpoints().map(|endpoint| endpoint.id).collect();
        all.into_iter().for_each(|id| self.survey(id));
    }

    fn survey(&mut self, id: EndpointId) {
        if let (Some(endpoint), Some(seen)) = (self.catalogue.endpoint(id), self.inventory.endpoint(id)) {
            self.posture.survey(endpoint, &seen);
        }
    }

    /// Leaves a weakness for a while.
    pub(super) fn except_weakness(
        &mut self,
        record: &CommandRecord,
        id: WeaknessId,
        until_ms: i64,
        reason: &str,
    ) -> Result<CommandDone, CommandRefused> {
        let Analysis { desk, posture, now_ms, .. } = self;
        let result = desk.on_command_elsewhere(record, CommandDone::ExceptionDecided, || {
            let weakness = posture.weakness(id).ok_or_else(|| missing("weakness", id))?;
            let words = format!("leave {} for now: {reason}", weakness.check);
            let exception = Exception {
                check: weakness.check.clone(),
                subject: weakness.subject.clone(),
                until_ms,
                reason: reason.to_owned(),
                by: record.by.clone(),
            };
            posture.except(*now_ms, exception).map_err(|why| match why {
                ExceptionRefused::Full { .. } => CommandRefused::Conflict { why: why.to_string() },
                _ => CommandRefused::Invalid { why: why.to_string() },
            })?;
            Ok(words)
        });
        self.tell_weaknesses();
        result
    }

    /// Takes an exception back.
    pub(super) fn withdraw_exception(
        &mut self,
        record: &CommandRecord,
        id: WeaknessId,
    ) -> Result<CommandDone, CommandRefused> {
        let Analysis { desk, posture, now_ms, .. } = self;
        let result =
            desk.on_command_elsewhere(record, CommandDone::ExceptionDecided, || match posture.withdraw(*now_ms, id) {
                true => Ok("it is not left any more".to_owned()),
                false => Err(missing("exception of weakness", id)),
            });
        self.tell_weaknesses();
        self.hand_over_findings();
        result
    }

    /// Tells the desk what opened, and ends the alerts of what did not stay open.
    fn tell_weaknesses(&mut self) {
        for closed in self.posture.drain_closed() {
            let about = self.entity_of(&closed);
            let is_same = |other: &Weakness| {
                other.is_open() && other.check == closed.check && self.entity_of(other).key() == about.key()
            };
            if !self.posture.weaknesses().any(is_same) {
                let why = match &closed.state {
                    WeaknessState::Excepted { by, reason, .. } => format!("excepted by {by}: {reason}"),
                    _ => "it is there no longer".to_owned(),
                };
                self.desk.end_alert_about(&about, &detector_of(&closed.check), &why);
            }
        }
        for opened in self.posture.drain_opened() {
            if opened.weakness.severity >= self.settings.posture.alert_severity_min {
                self.scratch.push(self.finding_of(&opened));
            }
        }
    }

    fn finding_of(&self, opened: &Opened) -> Finding {
        let Opened { why, weakness } = opened;
        let detector = detector_of(&weakness.check);
        let id = Fingerprint::of("finding")
            .text(&detector)
            .number(weakness.id.0.cast_signed())
            .number(self.now_ms)
            .number(*why as i64);
        let endpoint = weakness.endpoints.first().and_then(|id| self.catalogue.endpoint(*id));
        let service = self.posture.service_of(weakness.id);
        let consumer = match &weakness.subject {
            WeakSubject::Consumer { gateway, consumer } => self.posture.consumer(gateway, consumer),
            _ => None,
        };
        let since_ms = weakness.opened_ms.min(weakness.last_seen_ms);
        let evidence = weakness.evidence.iter().map(|one| format!("{}: {}", one.name, one.value));
        let begins = match why {
            Why::New => "",
            Why::Reopened => "it is back: ",
            Why::Worsened => "it is worse: ",
            Why::ExceptionEnded => "its exception is over: ",
        };
        Finding {
            id: FindingId(id.finish()),
            detector,
            entity: self.entity_of(weakness),
            target: TargetFacts::default(),
            endpoint: endpoint.map(|endpoint| endpoint.id),
            endpoint_name: endpoint
                .map(|endpoint| format!("{} {}", endpoint.key.method, endpoint.key.template))
                .unwrap_or_default(),
            service_id: service.map(|key| key.service.clone()).unwrap_or_default(),
            service_name: service.map(|key| self.posture.service_name(key).to_owned()).unwrap_or_default(),
            route_id: match &weakness.subject {
                WeakSubject::Route { route, .. } => route.clone(),
                _ => String::new(),
            },
            route_name: String::new(),
            consumer_tags: consumer.map(|consumer| consumer.tags.clone()).unwrap_or_default(),
            consumer_custom_id: consumer.and_then(|consumer| consumer.custom_id.clone()).unwrap_or_default(),
            window_start_ms: since_ms,
            window_ms: weakness.last_seen_ms.max(weakness.opened_ms) - since_ms,
            event_ms: weakness.last_seen_ms.min(self.now_ms),
            raised_ms: self.now_ms,
            call_number: self.calls,
            observation: Observation {
                measure: "weak endpoints".to_owned(),
                unit: "endpoints".to_owned(),
                observed: weakness.endpoints.len().max(1) as f64,
                expected: 0.0,
                threshold: 1.0,
            },
            surprise: None,
            basis: evidence.collect::<Vec<_>>().join(", "),
            outcome: Outcome::default(),
            severity: weakness.severity,
            confidence: Confidence::new(CONFIDENCE),
            sentence: format!("{begins}{}", weakness.sentence),
            samples: Vec::new(),
            query: weakness.query.clone(),
        }
    }

    /// Whom or what an alert about a weakness is about.
    fn entity_of(&self, weakness: &Weakness) -> EntityKey {
        let key = |kind, gateway: &str, workspace: &str, value: &str, label: &str| EntityKey {
            kind,
            gateway: gateway.to_owned(),
            workspace: workspace.to_owned(),
            value: value.to_owned(),
            label: label.to_owned(),
        };
        match &weakness.subject {
            WeakSubject::Consumer { gateway, consumer } => {
                let name = self.posture.consumer(gateway, consumer).and_then(|known| known.username.as_deref());
                key(EntityKind::Consumer, gateway, "", consumer, name.unwrap_or_default())
            }
            WeakSubject::Credential { gateway, credential } => key(EntityKind::Credential, gateway, "", credential, ""),
            WeakSubject::Gateway { gateway } => key(EntityKind::Gateway, gateway, "", gateway, ""),
            WeakSubject::Service(service) => self.service_entity(service),
            WeakSubject::Endpoint(_) | WeakSubject::Route { .. } => {
                match (self.posture.service_of(weakness.id), &weakness.subject) {
                    (Some(service), _) => self.service_entity(service),
                    (None, WeakSubject::Route { gateway, .. }) => key(EntityKind::Gateway, gateway, "", gateway, ""),
                    (None, _) => key(EntityKind::Gateway, "", "", "", ""),
                }
            }
        }
    }

    fn service_entity(&self, service: &ServiceKey) -> EntityKey {
        // A gateway's ids are unique across its workspaces, and what only its configuration told has none.
        let workspace = if service.service.starts_with("host:") { service.workspace.clone() } else { String::new() };
        EntityKey {
            kind: EntityKind::Service,
            gateway: service.gateway.clone(),
            workspace,
            value: service.service.clone(),
            label: self.posture.service_name(service).to_owned(),
        }
    }

    /// A weakness with where it is, as the store has it.
    pub(super) fn weakness_row(&self, weakness: Weakness) -> WeaknessRow {
        let service = self.posture.service_of(weakness.id).or(match &weakness.subject {
            WeakSubject::Service(key) => Some(key),
            _ => None,
        });
        let service_name = service.map(|key| self.posture.service_name(key).to_owned()).unwrap_or_default();
        let gateway = match (&weakness.subject, service) {
            (_, Some(key)) => key.gateway.clone(),
            (
                WeakSubject::Route { gateway, .. }
                | WeakSubject::Gateway { gateway }
                | WeakSubject::Consumer { gateway, .. }
                | WeakSubject::Credential { gateway, .. },
                None,
            ) => gateway.clone(),
            (_, None) => String::new(),
        };
        let (workspace, service) = service.map(|key| (key.workspace.clone(), key.service.clone())).unwrap_or_default();
        WeaknessRow { gateway, workspace, service, service_name, weakness }
    }

    /// Rows of weaknesses that changed.
    pub(super) fn drain_weaknesses(&mut self) -> Vec<WeaknessRow> {
        self.posture.drain_changes().into_iter().map(|weakness| self.weakness_row(weakness)).collect()
    }
}

fn missing(what: &str, id: WeaknessId) -> CommandRefused {
    CommandRefused::NotFound { what: format!("{what} {id}") }
}

fn detector_of(check: &str) -> String {
    format!("{POSTURE_DETECTOR}:{check}")
}
