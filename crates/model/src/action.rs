use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionId, AlertId, EntityKey, PolicyId, RateLimits};

/// The parameter of our Request Termination's `content_type` that marks a refusal as ours (decision 20):
/// `application/json; charset=utf-8; outrider="<installation>"`.
pub const OWN_REFUSAL_PARAMETER: &str = "outrider";

/// One desired restriction of a target at a gateway, with a life from proposed to released (decision 17).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// Derived from its alert and policy, or from the command that asked for it.
    pub id: ActionId,
    /// The alert it comes from, unless a person asked for it out of nothing.
    pub alert: Option<AlertId>,
    /// What asked for it.
    pub origin: Origin,
    /// Whom it restricts.
    pub target: EntityKey,
    /// How much of what the target does.
    pub scope: ActionScope,
    /// What is done.
    pub kind: ActionKind,
    /// Why, in one sentence.
    pub reason: String,
    /// Log time at which it came into being.
    pub created_ms: i64,
    /// When it ends by itself; none for permanent.
    pub expires_ms: Option<i64>,
    /// Where it is in its life.
    pub state: ActionState,
    /// Why it is there, where there is more to say: what failed, who released it.
    pub state_reason: String,
    /// Scopes in which it does not bite because an operator's own plugin wins there, for people.
    pub not_covered: Vec<String>,
    /// Every state it has had, oldest first.
    pub history: Vec<ActionStep>,
}

/// One step of an action's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionStep {
    /// When.
    pub at_ms: i64,
    /// The state entered.
    pub state: ActionState,
    /// Why, where there is more to say.
    pub reason: String,
}

/// What asked for an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Origin {
    /// A policy in enforce mode.
    Policy {
        /// The policy.
        policy: PolicyId,
        /// Its name then.
        name: String,
    },
    /// A person.
    Person {
        /// Their name.
        name: String,
    },
}

/// How much of what a consumer does is concerned: Kong's plugin scopes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ActionScope {
    /// Everything.
    Consumer,
    /// Only one service.
    Service {
        /// Kong's service id.
        id: String,
        /// Its name, for people.
        name: String,
    },
    /// Only one route.
    Route {
        /// Kong's route id.
        id: String,
        /// Its name, for people.
        name: String,
    },
}

/// What is done to the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ActionKind {
    /// Its calls are refused.
    Block {
        /// The status that it gets.
        status: u16,
        /// The message in the JSON body that it gets.
        message: String,
    },
    /// Its calls beyond the limits are refused.
    RateLimit {
        /// How many calls are let through per window.
        limits: RateLimits,
        /// The status that a call beyond them gets.
        status: u16,
        /// The message in the JSON body that it gets.
        message: String,
    },
}

impl ActionKind {
    /// Whatever the other refuses, this refuses too: beside this one, for as long, the other changes nothing.
    pub fn covers(&self, other: &ActionKind) -> bool {
        match (self, other) {
            (ActionKind::Block { .. }, _) => true,
            (ActionKind::RateLimit { .. }, ActionKind::Block { .. }) => false,
            (ActionKind::RateLimit { limits, .. }, ActionKind::RateLimit { limits: other, .. }) => {
                limits.is_at_most(other)
            }
        }
    }
}

/// Where an action is in its life (decision 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// Waits for a person, because a guard rail or the evidence's age or trust does not let it act by itself.
    Proposed,
    /// A person approved it.
    Approved,
    /// A person rejected it.
    Rejected,
    /// The responder has to bring it to the gateway.
    Pending,
    /// The responder's word: the gateway has stored it.
    Stored,
    /// The platform's word: refusals are in the log and no allowed call came after.
    InForce,
    /// It is over; the responder has to take it away.
    Releasing,
    /// Taken away.
    Released,
    /// It could not be brought to the gateway; the reason says why.
    Failed,
    /// It was already over when its evidence was complete.
    TooLate,
}

impl ActionState {
    /// The gateway should hold it now.
    pub fn is_desired(self) -> bool {
        matches!(self, ActionState::Approved | ActionState::Pending | ActionState::Stored | ActionState::InForce)
    }

    /// Nothing will happen to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, ActionState::Rejected | ActionState::Released | ActionState::Failed | ActionState::TooLate)
    }
}

/// Everything a responder needs to bring one gateway to what the platform wants. It is persisted on the premises, so
/// that expiry goes on while the platform is away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredState {
    /// Grows with each change; a responder ignores anything older than what it has.
    pub version: u64,
    /// The installation that owns what is written: tag `outrider:<installation>`.
    pub installation: String,
    /// The gateway it is for.
    pub gateway: String,
    /// The active actions.
    pub actions: Vec<DesiredAction>,
    /// Actions that are over and wait for the responder's word that the gateway holds them no more.
    pub releasing: Vec<ActionId>,
    /// Actions that are over for good, as far as the platform remembers. What the gateway holds of them is to go; what it
    /// holds of an action that is in none of these lists, the platform has never heard of, as after a restore.
    #[serde(default)]
    pub ended: Vec<ActionId>,
}

/// One active action as the responder needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredAction {
    /// The action.
    pub id: ActionId,
    /// The gateway's workspace that the consumer lives in.
    pub workspace: String,
    /// Kong's consumer id.
    pub consumer_id: String,
    /// Kong's user name, for guard rails and messages.
    pub consumer_name: String,
    /// How much of what the consumer does.
    pub scope: ActionScope,
    /// What is done.
    pub kind: ActionKind,
    /// When it ends by itself; `None` for permanent.
    pub expires_ms: Option<i64>,
    /// A person asked for it by name: limits on automatic actions do not apply, the never-block list still does.
    pub by_person: bool,
}

/// What the responder reports of one action. It enters the log as a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReport {
    /// The action.
    pub action: ActionId,
    /// When the responder saw it, by its own clock.
    pub at_ms: i64,
    /// What it saw.
    pub state: ReportedState,
}

/// What became of an action at the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ReportedState {
    /// The gateway confirmed that it holds it.
    Stored {
        /// The plugin's id at the gateway.
        plugin_id: String,
        /// Scopes where an operator's plugin wins, for people.
        not_covered: Vec<String>,
    },
    /// The gateway confirmed that it holds it no more.
    Released,
    /// It could not be done now and will be tried again.
    Retrying {
        /// What went wrong, for operators.
        reason: FailureReason,
        /// Consecutive failures so far.
        attempt: u32,
    },
    /// It cannot be done.
    Failed {
        /// What went wrong, for operators.
        reason: FailureReason,
    },
}

/// Why a gateway could not be brought to the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FailureReason {
    /// The Admin API cannot be reached or does not answer in time.
    Unreachable {
        /// The transport's own words.
        detail: String,
    },
    /// The Admin API answered something that is not Kong's answer: HTML, a redirect, half a body.
    UnexpectedAnswer {
        /// The status, 0 if there was none.
        status: u16,
        /// The beginning of what came.
        detail: String,
    },
    /// An operator's own plugin of the same name holds the scope; it is left alone.
    OperatorPlugin {
        /// Its id.
        plugin_id: String,
        /// Its name.
        plugin_name: String,
    },
    /// Kong refused what we sent.
    Refused {
        /// The status.
        status: u16,
        /// Kong's message.
        detail: String,
    },
    /// The consumer, service or route is gone.
    TargetGone {
        /// What is gone.
        detail: String,
    },
    /// The gateway would let more through than before: ours would stand in for an operator's own limit that it cannot
    /// take over.
    WouldWeaken {
        /// Whose limit, and why it cannot be taken over.
        detail: String,
    },
    /// A guard rail on the premises forbids it.
    GuardRail {
        /// Which, and why.
        detail: String,
    },
    /// The gateway cannot be written: database off.
    ReadOnlyGateway,
}

impl std::fmt::Display for FailureReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FailureReason::Unreachable { detail } => write!(f, "the Admin API cannot be reached: {detail}"),
            FailureReason::UnexpectedAnswer { status, detail } => {
                write!(f, "the Admin API gave an answer that is not Kong's (status {status}): {detail}")
            }
            FailureReason::OperatorPlugin { plugin_id, plugin_name } => write!(
                f,
                "your own plugin `{plugin_name}` ({plugin_id}) holds this scope; it was left alone. Remove it or choose another scope"
            ),
            FailureReason::Refused { status, detail } => write!(f, "Kong refused the write with {status}: {detail}"),
            FailureReason::TargetGone { detail } => write!(f, "the target is gone: {detail}"),
            FailureReason::WouldWeaken { detail } => {
                write!(f, "it would weaken a limit of your own, so it was not written: {detail}")
            }
            FailureReason::GuardRail { detail } => write!(f, "a guard rail on the premises forbids it: {detail}"),
            FailureReason::ReadOnlyGateway => {
                f.write_str("this Kong runs without a database, so its Admin API cannot store a plugin")
            }
        }
    }
}
