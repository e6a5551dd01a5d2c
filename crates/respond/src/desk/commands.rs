//! Decisions of people: carried out once each, refused with a plain sentence, and audited either way.

use std::collections::{BTreeMap, VecDeque};

use outrider_model::{
    ActionId, ActionScope, ActionState, AlertId, AlertState, Command, CommandRecord, CommandRefused, Condition,
    Duration, EntityKey, EntityKind, Fingerprint, Mode, Origin, Policy, PolicyScope, Response,
};
use serde::{Deserialize, Serialize};

use super::actions::NewAction;
use super::policies::{POLICIES_MAX, PolicyRow};
use super::{Cause, Desk, KillSwitch, words};

/// Decisions remembered by id; at the limit the oldest is forgotten, and would then be carried out again.
pub const COMMANDS_REMEMBERED_MAX: usize = 10_000;
/// Bytes of a decision's id, of a person's name, and of the parts of a target's name.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of a person's policy, written as JSON.
const POLICY_BYTES_MAX: usize = 65_536;
/// Characters of a reason that a person gives.
const REASON_CHARS_MAX: usize = 1000;

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum CommandDone {
    /// An alert is now in this state.
    Alert {
        /// The alert.
        alert: AlertId,
        /// Its state.
        state: AlertState,
    },
    /// An action is now in this state.
    Action {
        /// The action.
        action: ActionId,
        /// Its state.
        state: ActionState,
    },
    /// A policy is stored.
    PolicyPut {
        /// Its name.
        name: String,
    },
    /// A policy is gone.
    PolicyDeleted {
        /// Its name.
        name: String,
    },
    /// The kill switch is set.
    KillSwitch {
        /// Whether automatic actions are stopped.
        on: bool,
    },
    /// What was decided about templates is in force.
    TemplatesDecided,
    /// A weakness is left for a while, or no longer.
    ExceptionDecided,
    /// Somebody is forgotten.
    Erased {
        /// The erasure.
        erasure: String,
    },
}

/// What came of the latest decisions, so that one that is sent twice is carried out once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct CommandMemory {
    order: VecDeque<String>,
    results: BTreeMap<String, Remembered>,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Remembered {
    /// A hash of who decided what.
    decision: u64,
    result: Result<CommandDone, CommandRefused>,
}

impl CommandMemory {
    fn remember(&mut self, id: &str, remembered: Remembered) {
        if self.order.len() >= COMMANDS_REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.results.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.results.insert(id.to_owned(), remembered);
    }

    /// Takes the words of all refusals away: whom one names, by whichever name it had then, nobody can tell any more.
    pub(super) fn forget_words(&mut self) {
        for remembered in self.results.values_mut() {
            if let Err(refused) = &mut remembered.result {
                let why = "it was refused; why was forgotten when somebody was erased".to_owned();
                *refused = CommandRefused::Conflict { why };
            }
        }
    }
}

impl Desk {
    /// Carries out a decision. The same record a second time changes nothing and gives the first answer again.
    pub fn on_command(&mut self, record: &CommandRecord) -> Result<CommandDone, CommandRefused> {
        self.once(record, |desk, by| desk.carry_out_command(by, record))
    }

    /// The same for a decision that is carried out elsewhere; that says in words what was done.
    pub fn on_command_elsewhere(
        &mut self,
        record: &CommandRecord,
        done: CommandDone,
        carry_out: impl FnOnce() -> Result<String, CommandRefused>,
    ) -> Result<CommandDone, CommandRefused> {
        self.once(record, |desk, by| {
            let words = carry_out()?;
            desk.audit(by, "decided", &subject_of(&record.command), &words);
            Ok(done)
        })
    }

    fn once(
        &mut self,
        record: &CommandRecord,
        carry_out: impl FnOnce(&mut Desk, &Cause<'_>) -> Result<CommandDone, CommandRefused>,
    ) -> Result<CommandDone, CommandRefused> {
        check_name("the id of a decision", &record.id)?;
        let decision = decision_hash(record);
        if let Some(known) = self.commands.results.get(&record.id) {
            if known.decision != decision {
                let why = format!("the id {} was used for another decision: use a new one", record.id);
                return Err(CommandRefused::Conflict { why });
            }
            self.counters.commands_repeated += 1;
            return known.result.clone();
        }
        let by = Cause::Person(&record.by);
        let result = check_name("the name of the person", &record.by)
            .and_then(|()| check_reason(&record.command))
            .and_then(|()| carry_out(self, &by));
        match &result {
            Ok(_) => self.counters.commands_done += 1,
            Err(refused) => {
                self.counters.commands_refused += 1;
                let by = Cause::Person(&words::shortened(&record.by, NAME_BYTES_MAX));
                // The words of a guard rail name whom it protects, which the audit log does not (decision 24).
                let why = match refused {
                    CommandRefused::GuardRail { .. } => "a guard rail forbids it".to_owned(),
                    other => other.to_string(),
                };
                self.audit(&by, "was refused", &subject_of(&record.command), &why);
            }
        }
        self.commands.remember(&record.id, Remembered { decision, result: result.clone() });
        result
    }

    fn carry_out_command(&mut self, by: &Cause<'_>, record: &CommandRecord) -> Result<CommandDone, CommandRefused> {
        match &record.command {
            command @ (Command::AcknowledgeAlert { .. }
            | Command::ResolveAlert { .. }
            | Command::MarkFalsePositive { .. }) => self.on_alert_command(by, command),
            Command::AssignAlert { alert, assignee } => self.assign_alert(by, *alert, assignee.as_deref()),
            Command::CommentAlert { alert, text } => self.comment_alert(by, *alert, text),
            Command::PutPolicy { policy, if_new } => self.put_policy(by, policy, *if_new),
            Command::DeletePolicy { name } => self.delete_policy(by, name),
            Command::Act { .. } => self.act(by, record),
            Command::ApproveAction { action } => self.approve(by, *action),
            Command::RejectAction { action, reason } => {
                self.proposed(*action, "rejected")?;
                self.move_action(*action, ActionState::Rejected, by, reason);
                Ok(CommandDone::Action { action: *action, state: ActionState::Rejected })
            }
            Command::ReleaseAction { action, reason } => self.release(by, *action, reason),
            Command::Erase { erasure, subject } => self.erase(by, erasure, subject),
            Command::DecideTemplates { .. } | Command::ExceptWeakness { .. } | Command::WithdrawException { .. } => {
                Err(CommandRefused::Invalid { why: "the desk knows neither templates nor weaknesses".to_owned() })
            }
            Command::SetKillSwitch { on, reason } => {
                self.kill_switch =
                    KillSwitch { on: *on, by: by.person(), reason: reason.clone(), since_ms: self.now_ms };
                self.outbox.kill_switch = true;
                let what = if *on { "stopped" } else { "allowed" };
                self.audit(by, what, "automatic actions", reason);
                Ok(CommandDone::KillSwitch { on: *on })
            }
        }
    }

    fn put_policy(&mut self, by: &Cause<'_>, policy: &Policy, if_new: bool) -> Result<CommandDone, CommandRefused> {
        check_name("the name of a policy", &policy.name)?;
        policy.validate().map_err(|error| CommandRefused::Invalid { why: error.to_string() })?;
        let bytes = serde_json::to_vec(policy).map_or(usize::MAX, |json| json.len());
        if bytes > POLICY_BYTES_MAX {
            return Err(CommandRefused::Invalid {
                why: format!("a policy has at most {POLICY_BYTES_MAX} bytes as JSON, and this one has {bytes}"),
            });
        }
        let name = policy.name.clone();
        let known = self.policies.rows.get(&name);
        if known.is_some() && if_new {
            return Err(CommandRefused::Exists { what: format!("policy {name}") });
        }
        if known.is_some_and(|row| row.from_config) {
            return Err(defined_in_configuration(&name));
        }
        if known.is_none() && self.policies.rows.len() >= POLICIES_MAX {
            return Err(CommandRefused::Conflict {
                why: format!("there are {POLICIES_MAX} policies, which is as many as there may be: delete one first"),
            });
        }
        let what = if known.is_some() { "changed" } else { "created" };
        let row = PolicyRow {
            id: policy.id(),
            policy: policy.clone(),
            from_config: false,
            changed_ms: self.now_ms,
            changed_by: by.person(),
        };
        self.policies.rows.insert(name.clone(), row);
        self.outbox.policies.insert(name.clone());
        self.audit(by, what, &format!("policy {name}"), "");
        Ok(CommandDone::PolicyPut { name })
    }

    fn delete_policy(&mut self, by: &Cause<'_>, name: &str) -> Result<CommandDone, CommandRefused> {
        match self.policies.rows.get(name) {
            None => return Err(CommandRefused::NotFound { what: format!("policy {}", words::shortened(name, 64)) }),
            Some(row) if row.from_config => return Err(defined_in_configuration(name)),
            Some(_) => {}
        }
        self.policies.rows.remove(name);
        self.outbox.policies.insert(name.to_owned());
        self.audit(by, "deleted", &format!("policy {name}"), "its actions run on");
        Ok(CommandDone::PolicyDeleted { name: name.to_owned() })
    }

    fn act(&mut self, by: &Cause<'_>, record: &CommandRecord) -> Result<CommandDone, CommandRefused> {
        let Command::Act { alert, target, scope, response, duration, reason } = &record.command else {
            return Err(CommandRefused::Invalid { why: "this is no decision to act".to_owned() });
        };
        check_act(target, scope, response, *duration, reason)?;
        // What is known of the target: the alert's evidence, where it is about the same entity.
        let mut known = None;
        if let Some(alert) = alert {
            let worst = &self.alert_named(*alert)?.alert.worst;
            known = (worst.entity.target_key() == target.target_key()).then(|| worst.clone());
        }
        if let Some(rule) = self.never_block.rule_for(target, known.as_ref()) {
            return Err(never_block(target, &rule));
        }
        if !self.is_served(&target.gateway) {
            return Err(CommandRefused::Invalid { why: not_served(&target.gateway) });
        }
        if !self.has_room_for_action() {
            let most = self.settings.actions.held_max;
            return Err(CommandRefused::GuardRail { why: format!("{most} actions are unfinished, at most {most}") });
        }
        let id = ActionId(Fingerprint::of("action by command").text(&record.id).finish());
        if self.actions.rows.contains_key(&id) {
            return Err(CommandRefused::Conflict { why: format!("action {id} exists already") });
        }
        let new = NewAction {
            id,
            alert: *alert,
            origin: Origin::Person { name: by.person() },
            target: target.clone(),
            scope: scope.clone(),
            kind: response.action_kind(),
            reason: reason.clone(),
            expires_ms: duration.end_ms(self.now_ms),
            custom_id: known.as_ref().map(|finding| finding.consumer_custom_id.clone()).unwrap_or_default(),
            tags: known.map(|finding| finding.consumer_tags).unwrap_or_default(),
        };
        self.start_action(new, ActionState::Pending, by, "");
        Ok(CommandDone::Action { action: id, state: ActionState::Pending })
    }

    fn approve(&mut self, by: &Cause<'_>, id: ActionId) -> Result<CommandDone, CommandRefused> {
        self.proposed(id, "approved")?;
        if let Some(entry) = self.actions.rows.get(&id) {
            let names = [entry.custom_id.as_str()];
            let rule = self.never_block.rule_for(&entry.action.target, None);
            let rule = rule.or_else(|| self.never_block.rule_of(&names, entry.tags.iter().map(String::as_str)));
            if let Some(rule) = rule {
                return Err(never_block(&entry.action.target, &rule));
            }
        }
        self.move_action(id, ActionState::Approved, by, "");
        Ok(CommandDone::Action { action: id, state: ActionState::Approved })
    }

    fn release(&mut self, by: &Cause<'_>, id: ActionId, reason: &str) -> Result<CommandDone, CommandRefused> {
        let state = self.action_state(id)?;
        match state {
            ActionState::Releasing => self.audit(by, "asked again to release", &id.to_string(), reason),
            state if state.is_desired() => self.move_action(id, ActionState::Releasing, by, reason),
            ActionState::Proposed => {
                let why = format!("action {id} cannot be released: it is proposed and does nothing; reject it instead");
                return Err(CommandRefused::Conflict { why });
            }
            state => return Err(action_conflict(id, "released", state)),
        }
        Ok(CommandDone::Action { action: id, state: ActionState::Releasing })
    }

    fn action_state(&self, id: ActionId) -> Result<ActionState, CommandRefused> {
        match self.actions.rows.get(&id) {
            Some(entry) => Ok(entry.action.state),
            None => Err(CommandRefused::NotFound { what: format!("action {id}, or it ended long ago") }),
        }
    }

    fn proposed(&self, id: ActionId, wanted: &str) -> Result<(), CommandRefused> {
        match self.action_state(id)? {
            ActionState::Proposed => Ok(()),
            state => Err(action_conflict(id, wanted, state)),
        }
    }
}

fn decision_hash(record: &CommandRecord) -> u64 {
    // Whom an erasure is about is not to be found out by what is left of it.
    if let Command::Erase { erasure, .. } = &record.command {
        return Fingerprint::of("decision to erase").text(&record.by).text(erasure).finish();
    }
    // A decision came as JSON, so it can be written as JSON.
    let command = serde_json::to_string(&record.command).unwrap_or_default();
    Fingerprint::of("decision").text(&record.by).text(&command).finish()
}

fn action_conflict(id: ActionId, wanted: &str, state: ActionState) -> CommandRefused {
    CommandRefused::Conflict { why: format!("action {id} cannot be {wanted}: it is {}", words::state(state)) }
}

fn defined_in_configuration(name: &str) -> CommandRefused {
    CommandRefused::Conflict { why: format!("policy {name} is defined in the configuration: change it there") }
}

pub(super) fn not_served(gateway: &str) -> String {
    format!("no responder serves a gateway of the name `{}`", words::shortened(gateway, NAME_BYTES_MAX))
}

fn never_block(target: &EntityKey, rule: &str) -> CommandRefused {
    CommandRefused::GuardRail { why: format!("never-block rule `{rule}` protects {}", target.display_name()) }
}

pub(super) fn check_name(what: &str, name: &str) -> Result<(), CommandRefused> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(CommandRefused::Invalid { why: format!("{what} must have 1 to {NAME_BYTES_MAX} bytes") });
    }
    Ok(())
}

fn check_reason(command: &Command) -> Result<(), CommandRefused> {
    let reason = match command {
        Command::ResolveAlert { reason, .. }
        | Command::MarkFalsePositive { reason, .. }
        | Command::Act { reason, .. }
        | Command::RejectAction { reason, .. }
        | Command::ReleaseAction { reason, .. }
        | Command::ExceptWeakness { reason, .. }
        | Command::SetKillSwitch { reason, .. } => reason.as_str(),
        _ => "",
    };
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(CommandRefused::Invalid { why: format!("a reason has at most {REASON_CHARS_MAX} characters") });
    }
    Ok(())
}

fn check_act(
    target: &EntityKey,
    scope: &ActionScope,
    response: &Response,
    duration: Duration,
    reason: &str,
) -> Result<(), CommandRefused> {
    let invalid = |why: &str| Err(CommandRefused::Invalid { why: why.to_owned() });
    if target.kind != EntityKind::Consumer {
        return Err(CommandRefused::Invalid {
            why: format!("only a consumer can be restricted at the gateway, and the target is of kind {}", target.kind),
        });
    }
    check_name("the consumer's id", &target.value)?;
    check_name("the gateway's name", &target.gateway)?;
    if target.workspace.len() > NAME_BYTES_MAX || target.label.len() > NAME_BYTES_MAX {
        return invalid("workspace and label of a target have at most 256 bytes");
    }
    match scope {
        ActionScope::Consumer => {}
        ActionScope::Service { id, .. } => check_name("the service's id", id)?,
        ActionScope::Route { id, .. } => check_name("the route's id", id)?,
    }
    if reason.trim().is_empty() {
        return invalid("say in `reason` why the consumer is restricted: every action is explained");
    }
    if duration == Duration::Seconds(0) {
        return invalid("the duration must be at least 1s, or `permanent`");
    }
    // The rules of a policy's response are those of a person's.
    let as_policy = Policy {
        name: "act".to_owned(),
        description: String::new(),
        enabled: true,
        when: Condition::default(),
        respond: response.clone(),
        scope: PolicyScope::Consumer,
        duration,
        mode: Mode::Enforce,
    };
    as_policy.validate().map_err(|error| CommandRefused::Invalid { why: error.to_string() })
}

/// What a decision is about, for the audit log.
fn subject_of(command: &Command) -> String {
    match command {
        Command::AcknowledgeAlert { alert } => format!("acknowledge {alert}"),
        Command::ResolveAlert { alert, .. } => format!("resolve {alert}"),
        Command::MarkFalsePositive { alert, .. } => format!("call {alert} a false positive"),
        Command::AssignAlert { alert, .. } => format!("assign {alert}"),
        Command::CommentAlert { alert, .. } => format!("comment on {alert}"),
        Command::PutPolicy { policy, .. } => format!("put policy {}", words::shortened(&policy.name, 64)),
        Command::DeletePolicy { name } => format!("delete policy {}", words::shortened(name, 64)),
        Command::Act { target, response, .. } => {
            let verb = words::verb(&response.action_kind());
            format!("{verb} {} {}", target.kind, words::shortened(&target.value, NAME_BYTES_MAX))
        }
        Command::ApproveAction { action } => format!("approve {action}"),
        Command::RejectAction { action, .. } => format!("reject {action}"),
        Command::ReleaseAction { action, .. } => format!("release {action}"),
        Command::SetKillSwitch { on, .. } => format!("set the kill switch {}", if *on { "on" } else { "off" }),
        Command::DecideTemplates { .. } => "templates".to_owned(),
        Command::ExceptWeakness { weakness, .. } => format!("except {weakness}"),
        Command::WithdrawException { weakness } => format!("withdraw the exception of {weakness}"),
        Command::Erase { erasure, .. } => format!("erasure {}", words::shortened(erasure, 64)),
    }
}
