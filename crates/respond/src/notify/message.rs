//! What is worth telling, and how it is said: the payload of the Standard Webhooks specification, with a stable `type`
//! and `data`. `docs/notify.md` describes the fields; `samples/` has one message of each kind, held to this code.

use outrider_model::{
    Action, ActionId, ActionKind, ActionScope, ActionState, ActionStep, Alert, AlertId, AlertState, Confidence,
    EntityKey, Fingerprint, Notice, Origin, Severity,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a message tells. The name is the message's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MessageKind {
    /// Somebody abuses an API.
    #[serde(rename = "alert.opened")]
    AlertOpened,
    /// It is worse than it was.
    #[serde(rename = "alert.severity_raised")]
    AlertSeverityRaised,
    /// It is over, or was none.
    #[serde(rename = "alert.closed")]
    AlertClosed,
    /// An action waits for a person's decision.
    #[serde(rename = "action.proposed")]
    ActionProposed,
    /// The gateway has stored an action.
    #[serde(rename = "action.stored")]
    ActionStored,
    /// Refusals show that an action works.
    #[serde(rename = "action.in_force")]
    ActionInForce,
    /// An action could not be brought to the gateway.
    #[serde(rename = "action.failed")]
    ActionFailed,
    /// An action is over, and the gateway holds it no more.
    #[serde(rename = "action.released")]
    ActionReleased,
    /// Something is wrong with outrider's own operation.
    #[serde(rename = "notice.opened")]
    NoticeOpened,
    /// It is well again.
    #[serde(rename = "notice.closed")]
    NoticeClosed,
    /// Somebody tries whether messages arrive.
    #[serde(rename = "outrider.test")]
    Test,
}

impl MessageKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [MessageKind; 11] = [
        MessageKind::AlertOpened,
        MessageKind::AlertSeverityRaised,
        MessageKind::AlertClosed,
        MessageKind::ActionProposed,
        MessageKind::ActionStored,
        MessageKind::ActionInForce,
        MessageKind::ActionFailed,
        MessageKind::ActionReleased,
        MessageKind::NoticeOpened,
        MessageKind::NoticeClosed,
        MessageKind::Test,
    ];

    /// The kind's name, which is the message's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageKind::AlertOpened => "alert.opened",
            MessageKind::AlertSeverityRaised => "alert.severity_raised",
            MessageKind::AlertClosed => "alert.closed",
            MessageKind::ActionProposed => "action.proposed",
            MessageKind::ActionStored => "action.stored",
            MessageKind::ActionInForce => "action.in_force",
            MessageKind::ActionFailed => "action.failed",
            MessageKind::ActionReleased => "action.released",
            MessageKind::NoticeOpened => "notice.opened",
            MessageKind::NoticeClosed => "notice.closed",
            MessageKind::Test => "outrider.test",
        }
    }
}

/// One message, the same for whoever is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which message it is: the same for the same thing told again.
    pub id: String,
    /// What it tells.
    pub kind: MessageKind,
    /// How bad the alert is that it is about; none where it is about none.
    pub severity: Option<Severity>,
    /// When what it tells happened.
    pub at_ms: i64,
    /// The body as it is sent.
    pub body: String,
}

/// Decides what is worth a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Teller {
    /// The installation that tells.
    pub installation: String,
    /// Alerts whose evidence was older than this when it came in are history and are not told (decision 12).
    pub evidence_age_max_ms: i64,
}

/// The body: `type`, `timestamp` and `data`, as the specification recommends.
#[derive(Serialize)]
struct Body<'a, T> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a, T>,
}

#[derive(Serialize)]
struct Data<'a, T> {
    installation: &'a str,
    #[serde(flatten)]
    about: T,
}

#[derive(Serialize)]
struct AlertData<'a> {
    id: AlertId,
    path: String,
    state: AlertState,
    severity: Severity,
    confidence: Confidence,
    detector: &'a str,
    entity: &'a EntityKey,
    service: &'a str,
    endpoint: &'a str,
    sentence: &'a str,
    finding_count: u64,
    opened_ms: i64,
    updated_ms: i64,
    state_by: &'a str,
    state_reason: &'a str,
}

#[derive(Serialize)]
struct ActionData<'a> {
    id: ActionId,
    path: String,
    state: ActionState,
    state_reason: &'a str,
    alert: Option<AlertId>,
    severity: Option<Severity>,
    target: &'a EntityKey,
    scope: &'a ActionScope,
    kind: &'a ActionKind,
    origin: &'a Origin,
    reason: &'a str,
    created_ms: i64,
    expires_ms: Option<i64>,
    not_covered: &'a [String],
}

#[derive(Serialize)]
struct NoticeData<'a> {
    #[serde(flatten)]
    notice: &'a Notice,
    path: String,
}

#[derive(Serialize)]
struct TestData<'a> {
    destination: &'a str,
}

impl Teller {
    /// What to tell of an alert that was `before` and is `after`.
    pub fn of_alert(&self, before: Option<&Alert>, after: &Alert) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.is_history(after) {
            return messages;
        }
        if before.is_none() {
            messages.push(self.alert_message(MessageKind::AlertOpened, "", after, after.opened_ms));
        }
        if before.is_some_and(|before| after.severity > before.severity) {
            let detail = format!("{:?}", after.severity);
            messages.push(self.alert_message(MessageKind::AlertSeverityRaised, &detail, after, after.updated_ms));
        }
        if !after.state.is_live() && before.is_none_or(|before| before.state != after.state) {
            let detail = format!("{:?}", after.state);
            messages.push(self.alert_message(MessageKind::AlertClosed, &detail, after, after.updated_ms));
        }
        messages
    }

    /// What to tell of an action that was `before` and is `after`. `alert` is the one that it came from.
    pub fn of_action(&self, before: Option<&Action>, after: &Action, alert: Option<&Alert>) -> Vec<Message> {
        let asked_by_person = matches!(after.origin, Origin::Person { .. });
        if !asked_by_person && alert.is_some_and(|alert| self.is_history(alert)) {
            return Vec::new();
        }
        let known = before.map_or(0, |before| before.history.len());
        let steps = after.history.iter().enumerate().skip(known);
        let told = steps.filter_map(|(index, step)| kind_of(step.state).map(|kind| (index, step, kind)));
        told.map(|(index, step, kind)| self.action_message(kind, index, step, after, alert)).collect()
    }

    /// That a notice was opened or, where it is closed, that it is over.
    pub fn of_notice(&self, notice: &Notice) -> Message {
        let (kind, at_ms) = match notice.closed_ms {
            None => (MessageKind::NoticeOpened, notice.opened_ms),
            Some(closed_ms) => (MessageKind::NoticeClosed, closed_ms),
        };
        let data = NoticeData { notice, path: format!("/api/v1/notices/{}", notice.id) };
        let id = Fingerprint::of(kind.as_str())
            .text(&self.installation)
            .text(notice.concern.kind.as_str())
            .text(&notice.concern.subject)
            .number(notice.opened_ms);
        self.message(kind, &id, None, at_ms, data)
    }

    /// A message by which a person tries whether messages arrive. Each time is a message of its own.
    pub fn test(&self, destination: &str, now_ms: i64) -> Message {
        let id = Fingerprint::of("outrider.test").text(&self.installation).text(destination).number(now_ms);
        self.message(MessageKind::Test, &id, None, now_ms, TestData { destination })
    }

    /// The evidence was old when it came in, as in a log that is imported.
    fn is_history(&self, alert: &Alert) -> bool {
        alert.worst.raised_ms.saturating_sub(alert.worst.event_ms) > self.evidence_age_max_ms
    }

    fn alert_message(&self, kind: MessageKind, detail: &str, alert: &Alert, at_ms: i64) -> Message {
        let data = AlertData {
            id: alert.id,
            path: format!("/api/v1/alerts/{}", alert.id),
            state: alert.state,
            severity: alert.severity,
            confidence: alert.confidence,
            detector: &alert.detector,
            entity: &alert.entity,
            service: &alert.worst.service_name,
            endpoint: &alert.worst.endpoint_name,
            sentence: &alert.sentence,
            finding_count: alert.finding_count,
            opened_ms: alert.opened_ms,
            updated_ms: alert.updated_ms,
            state_by: &alert.state_by,
            state_reason: &alert.state_reason,
        };
        let id = Fingerprint::of(kind.as_str()).text(&self.installation).number(alert.id.0.cast_signed()).text(detail);
        self.message(kind, &id, Some(alert.severity), at_ms, data)
    }

    fn action_message(
        &self,
        kind: MessageKind,
        index: usize,
        step: &ActionStep,
        action: &Action,
        alert: Option<&Alert>,
    ) -> Message {
        let severity = alert.map(|alert| alert.severity);
        let data = ActionData {
            id: action.id,
            path: format!("/api/v1/actions/{}", action.id),
            state: step.state,
            state_reason: &step.reason,
            alert: action.alert,
            severity,
            target: &action.target,
            scope: &action.scope,
            kind: &action.kind,
            origin: &action.origin,
            reason: &action.reason,
            created_ms: action.created_ms,
            expires_ms: action.expires_ms,
            not_covered: &action.not_covered,
        };
        let id = Fingerprint::of(kind.as_str())
            .text(&self.installation)
            .number(action.id.0.cast_signed())
            .number(index as i64);
        self.message(kind, &id, severity, step.at_ms, data)
    }

    fn message(
        &self,
        kind: MessageKind,
        id: &Fingerprint,
        severity: Option<Severity>,
        at_ms: i64,
        about: impl Serialize,
    ) -> Message {
        let timestamp = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
        let data = Data { installation: &self.installation, about };
        // Plain fields and maps with text keys always become JSON.
        let body = serde_json::to_string(&Body { r#type: kind.as_str(), timestamp, data }).unwrap_or_default();
        Message { id: format!("msg_{:016x}", id.finish()), kind, severity, at_ms, body }
    }
}

fn kind_of(state: ActionState) -> Option<MessageKind> {
    match state {
        ActionState::Proposed => Some(MessageKind::ActionProposed),
        ActionState::Stored => Some(MessageKind::ActionStored),
        ActionState::InForce => Some(MessageKind::ActionInForce),
        ActionState::Failed => Some(MessageKind::ActionFailed),
        ActionState::Released => Some(MessageKind::ActionReleased),
        // The person who decided knows, and what is under way is told when it has come about.
        ActionState::Approved
        | ActionState::Rejected
        | ActionState::Pending
        | ActionState::Releasing
        | ActionState::TooLate => None,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
