//! The desk: one owner of alerts, policies, guard rails and actions, as values.
//!
//! Findings, decisions of people, reports of responders, calls and the log's time go in, in the log's order; rows to
//! write and the desired state of each gateway come out. Nothing here does IO or reads a clock: the same log gives the
//! same alerts and actions, live or replayed, and telling the time more often changes nothing.
//!
//! What it leaves out: how a desired state becomes plugins (`gateways`), who may take which decision (the people's API),
//! and everything that has ended long ago (the control store has it).

mod actions;
mod alerts;
mod commands;
mod effects;
mod erase;
mod handling;
mod in_force;
mod judge;
mod never_block;
mod own_limits;
mod policies;
mod schedule;
mod settings;
mod silences;
mod snapshot;
mod traffic;
mod words;

use std::collections::BTreeSet;

use outrider_model::{Action, ActionId, Alert, AlertId, ApiCall, AuditEntry, Finding, Policy, PolicyError};

pub use actions::{HISTORY_MAX, may_follow};
pub use commands::{COMMANDS_REMEMBERED_MAX, CommandDone};
pub use effects::{Counters, Effect, KillSwitch};
pub use policies::{POLICIES_MAX, PolicyRow};
pub use settings::{ActionSettings, AlertSettings, GuardRails, Settings};

use actions::ActionBook;
use alerts::AlertBook;
use commands::CommandMemory;
use effects::Outbox;
use never_block::NeverBlock;
use policies::PolicyBook;
use schedule::{Item, Schedule};
use silences::Silences;
use traffic::{Counted, Traffic};

/// What the desk refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be meant.
    #[error("`{key}` = `{value}` is not valid: expected {expected}")]
    Setting {
        /// The setting's key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A policy of the configuration cannot be meant.
    #[error("policy `{name}` of the configuration: {source}")]
    Policy {
        /// The policy's name.
        name: String,
        /// What is wrong with it.
        source: PolicyError,
    },
    /// Two policies of the configuration have one name.
    #[error("policy `{0}` is defined twice in the configuration: give each its own name")]
    PolicyTwice(String),
    /// The configuration has more policies than there may be.
    #[error("the configuration has {0} policies, more than {POLICIES_MAX}")]
    TooManyPolicies(usize),
    /// A snapshot is not one that this version reads.
    #[error("reading a snapshot of the desk: {0}")]
    Snapshot(String),
}

/// Who or what made a change.
pub(crate) enum Cause<'a> {
    Person(&'a str),
    Policy(&'a str),
    Responder,
    Configuration,
    Outrider,
}

impl Cause<'_> {
    /// The person's name; empty for anything else.
    fn person(&self) -> String {
        match self {
            Cause::Person(name) => (*name).to_owned(),
            _ => String::new(),
        }
    }
}

impl std::fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::Person(name) => f.write_str(name),
            Cause::Policy(name) => write!(f, "policy:{name}"),
            Cause::Responder => f.write_str("responder"),
            Cause::Configuration => f.write_str("configuration"),
            Cause::Outrider => f.write_str("outrider"),
        }
    }
}

/// The single owner of alerts, policies, guard rails and actions.
#[derive(Debug, Clone, PartialEq)]
pub struct Desk {
    installation: String,
    settings: Settings,
    /// The gateways that have a responder; all of them where nobody said.
    served: Option<BTreeSet<String>>,
    now_ms: i64,
    alerts: AlertBook,
    silences: Silences,
    policies: PolicyBook,
    actions: ActionBook,
    kill_switch: KillSwitch,
    never_block: NeverBlock,
    traffic: Traffic,
    commands: CommandMemory,
    schedule: Schedule,
    outbox: Outbox,
    counters: Counters,
}

impl Desk {
    /// An empty desk of an installation, by the name that marks its plugins and refusals.
    pub fn new(installation: &str, settings: Settings) -> Result<Self, Error> {
        settings.validate()?;
        Ok(Desk {
            installation: installation.to_owned(),
            never_block: NeverBlock::new(&settings.guard_rails.never_block, Vec::new()),
            outbox: Outbox { guard_rails: true, ..Outbox::default() },
            settings,
            served: None,
            now_ms: 0,
            alerts: AlertBook::default(),
            silences: Silences::default(),
            policies: PolicyBook::default(),
            actions: ActionBook::default(),
            kill_switch: KillSwitch::default(),
            traffic: Traffic::default(),
            commands: CommandMemory::default(),
            schedule: Schedule::default(),
            counters: Counters::default(),
        })
    }

    /// Takes over settings and the policies of the configuration, all or nothing.
    ///
    /// A policy that is no longer in the configuration is deleted, one that takes the name of a person's policy replaces
    /// it; actions run on. A consumer that the never-block list now names is released. Lower caps end nothing.
    pub fn apply_settings(&mut self, settings: Settings, policies_from_config: Vec<Policy>) -> Result<(), Error> {
        settings.validate()?;
        check_policies(&policies_from_config)?;
        self.apply_config_policies(policies_from_config);
        if settings == self.settings {
            return Ok(());
        }
        let rails_changed = settings.guard_rails != self.settings.guard_rails;
        let rules_changed = settings.guard_rails.never_block != self.settings.guard_rails.never_block;
        self.settings = settings;
        self.audit(&Cause::Configuration, "changed", "settings", "");
        self.outbox.guard_rails |= rails_changed;
        if rules_changed {
            self.never_block = NeverBlock::new(&self.settings.guard_rails.never_block, Vec::new());
            self.traffic.see_all_anew();
            let rules = self.never_block.clone();
            self.end_actions_where(&Cause::Configuration, "a never-block rule protects the consumer now", |entry| {
                let names = [&*entry.action.target.value, &*entry.action.target.label, &*entry.custom_id];
                entry.action.state.is_desired()
                    && rules.rule_of(&names, entry.tags.iter().map(String::as_str)).is_some()
            });
        }
        while self.alerts.rows.len() > self.settings.alerts.held_max {
            self.drop_least_alert();
        }
        self.reschedule_all();
        Ok(())
    }

    /// Says which gateways have a responder. At another one nothing can be brought about, so nothing is tried.
    pub fn serve(&mut self, gateways: Option<Vec<String>>) {
        self.served = gateways.map(|names| names.into_iter().collect());
    }

    fn is_served(&self, gateway: &str) -> bool {
        self.served.as_ref().is_none_or(|served| served.contains(gateway))
    }

    /// Follows log time, which never goes back. What was due in between happens at its own time and in its order, so a
    /// jump gives what many small steps give.
    pub fn advance(&mut self, now_ms: i64) {
        while let Some((due_ms, item)) = self.schedule.pop(now_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            match item {
                Item::Alert(id) => self.alert_due(id),
                Item::Action(id) => self.action_due(id),
                Item::Silence(key) => self.silences.remove(&key),
            }
        }
        self.now_ms = self.now_ms.max(now_ms);
        self.traffic.roll(self.now_ms);
    }

    /// Looks at a call: for the guard rails on shares, for who is under a never-block rule, and for what it says of the
    /// actions against its consumer. A refusal of our own serves the last alone.
    ///
    /// True if a rate limit of ours refused it. Nothing in the call says so, as a block's mark does: whoever takes it as
    /// evidence has to know it from here.
    pub fn on_call(&mut self, call: &ApiCall<'_>) -> bool {
        let consumer = Self::consumer_key(call);
        let is_limited = consumer.is_some_and(|consumer| self.is_limited_by_us(consumer, call));
        if let Some(consumer) = consumer
            && !self.actions.of_target(consumer).is_empty()
        {
            self.watch(consumer, call);
        }
        if is_limited || !call.is_evidence() {
            return is_limited;
        }
        match self.traffic.on_call(&call.gateway, consumer, call.client_ip) {
            Counted::Known => {}
            Counted::New => self.learn_protected(consumer, call),
            Counted::NotFollowed => self.counters.calls_of_gateways_over_limit += 1,
        }
        false
    }

    /// The name that marks what this installation refused.
    pub fn installation(&self) -> &str {
        &self.installation
    }

    fn learn_protected(&mut self, key: Option<u64>, call: &ApiCall<'_>) {
        if self.never_block.is_empty() {
            return;
        }
        let (Some(key), Some(consumer)) = (key, &call.consumer) else { return };
        let names = [consumer.id.as_str(), consumer.username.as_str(), consumer.custom_id.as_str()];
        let rule = self.never_block.rule_of(&names, consumer.tags.iter().map(|tag| tag.as_str()));
        if !self.never_block.learn(key, rule) {
            self.counters.protected_over_limit += 1;
        }
    }

    /// Takes in a finding: merges it into its alert and applies the policies.
    pub fn on_finding(&mut self, finding: Finding) {
        self.advance(finding.raised_ms);
        self.counters.findings += 1;
        let finding = with_finite_numbers(finding);
        if self.silences.covers(&finding) {
            self.counters.findings_silenced += 1;
            self.outbox.findings.push((finding, None));
            return;
        }
        let Some(alert) = self.file_finding(&finding) else { return };
        self.apply_policies(alert, &finding);
        self.outbox.findings.push((finding, Some(alert)));
    }

    /// Takes out what has changed since the last time: settings, policies, findings, alerts, actions, audit, each in the
    /// order of its ids or of the log. Writing the rows by their ids, in this order, gives the desk's present state.
    ///
    /// The shell drains after each batch of records: until then findings and audit lines pile up, as many as the batch
    /// causes. Nothing of them may be dropped, so the batch is their limit.
    pub fn drain_effects(&mut self) -> Vec<Effect> {
        let outbox = std::mem::take(&mut self.outbox);
        let mut effects = outbox.last_words;
        if outbox.guard_rails {
            effects.push(Effect::GuardRails(self.settings.guard_rails.clone()));
        }
        if outbox.kill_switch {
            effects.push(Effect::KillSwitch(self.kill_switch.clone()));
        }
        effects.extend(outbox.policies.into_iter().map(|name| match self.policies.rows.get(&name) {
            Some(row) => Effect::Policy(Box::new(row.clone())),
            None => Effect::PolicyDeleted { id: policies::id_of(&name), name },
        }));
        let findings = outbox.findings.into_iter();
        effects.extend(findings.map(|(finding, alert)| Effect::Finding { finding: Box::new(finding), alert }));
        let alerts = outbox.alerts.iter().filter_map(|id| self.alerts.rows.get(id));
        effects.extend(alerts.map(|entry| Effect::Alert(Box::new(entry.alert.clone()))));
        let actions = outbox.actions.iter().filter_map(|id| self.actions.rows.get(id));
        effects.extend(actions.map(|entry| Effect::Action(Box::new(entry.action.clone()))));
        self.outbox.audit_drained = outbox.audit_drained + outbox.audit.len() as u64;
        let numbers = outbox.audit_drained + 1..;
        effects.extend(numbers.zip(outbox.audit).map(|(number, entry)| Effect::Audit { number, entry }));
        effects
    }

    /// The alerts that the desk holds, by id: live ones, and ended ones for a while.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.rows.values().map(|entry| &entry.alert)
    }

    /// One alert.
    pub fn alert(&self, id: AlertId) -> Option<&Alert> {
        self.alerts.rows.get(&id).map(|entry| &entry.alert)
    }

    /// The actions that the desk holds, by id: unfinished ones, and finished ones for a while.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.rows.values().map(|entry| &entry.action)
    }

    /// One action.
    pub fn action(&self, id: ActionId) -> Option<&Action> {
        self.actions.rows.get(&id).map(|entry| &entry.action)
    }

    /// All policies, by name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyRow> {
        self.policies.rows.values()
    }

    /// The settings in effect.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether automatic actions are stopped.
    pub fn kill_switch(&self) -> &KillSwitch {
        &self.kill_switch
    }

    /// What was counted since the log began.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Log time.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn apply_config_policies(&mut self, policies: Vec<Policy>) {
        let names: BTreeSet<_> = policies.iter().map(|policy| policy.name.clone()).collect();
        let is_gone = |row: &&PolicyRow| row.from_config && !names.contains(&row.policy.name);
        let gone: Vec<_> = self.policies.rows.values().filter(is_gone).map(|row| row.policy.name.clone()).collect();
        for name in gone {
            self.policies.rows.remove(&name);
            self.outbox.policies.insert(name.clone());
            self.audit(&Cause::Configuration, "deleted", &format!("policy {name}"), "its actions run on");
        }
        for policy in policies {
            let known = self.policies.rows.get(&policy.name);
            if known.is_some_and(|row| row.from_config && row.policy == policy) {
                continue;
            }
            let what = if known.is_some() { "changed" } else { "created" };
            let name = policy.name.clone();
            let changed_by = Cause::Configuration.to_string();
            let row = PolicyRow { id: policy.id(), policy, from_config: true, changed_ms: self.now_ms, changed_by };
            self.policies.rows.insert(name.clone(), row);
            self.outbox.policies.insert(name.clone());
            self.audit(&Cause::Configuration, what, &format!("policy {name}"), "");
        }
    }

    fn reschedule_all(&mut self) {
        let alerts: Vec<_> = self.alerts.rows.keys().copied().collect();
        alerts.into_iter().for_each(|id| self.reschedule_alert(id));
        let actions: Vec<_> = self.actions.rows.keys().copied().collect();
        actions.into_iter().for_each(|id| self.reschedule_action(id));
        for (key, until_ms) in self.silences.rows() {
            self.schedule.set(Item::Silence(key), Some(until_ms));
        }
    }

    fn audit(&mut self, by: &Cause<'_>, what: &str, subject: &str, detail: &str) {
        self.outbox.audit.push(AuditEntry {
            at_ms: self.now_ms,
            by: by.to_string(),
            what: what.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
        });
    }
}

fn check_policies(policies: &[Policy]) -> Result<(), Error> {
    if policies.len() > POLICIES_MAX {
        return Err(Error::TooManyPolicies(policies.len()));
    }
    let mut names = BTreeSet::new();
    for policy in policies {
        policy.validate().map_err(|source| Error::Policy { name: policy.name.clone(), source })?;
        if !names.insert(&policy.name) {
            return Err(Error::PolicyTwice(policy.name.clone()));
        }
    }
    Ok(())
}

/// JSON has no infinities: a detector's become the largest number, and what is not a number becomes none or 0.
fn with_finite_numbers(mut finding: Finding) -> Finding {
    let finite = |value: f64| if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) };
    finding.surprise = finding.surprise.filter(|surprise| !surprise.is_nan()).map(finite);
    let observation = &mut finding.observation;
    observation.observed = finite(observation.observed);
    observation.expected = finite(observation.expected);
    observation.threshold = finite(observation.threshold);
    finding
}
