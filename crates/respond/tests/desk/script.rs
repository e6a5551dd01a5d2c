//! Scripts that a person can read, and what plays them.
//!
//! A line is a step, or an expectation about what the desk shows after the steps before it. Alerts are called `l1`,
//! `l2` …, actions `a1`, `a2` … in the order in which they appear. Steps:
//!
//! - `settings JSON`, `policy JSON` (of the configuration), `+15m` (log time passes)
//! - `finding NAME key=value …`, `call NAME key=value …`
//! - `stored a1`, `released a1`, `retrying a1`, `failed a1`: reports of the responder
//! - `bob VERB …`: a decision of bob's, `bob limits alice minute=30` for one; a following line `! TEXT` says that it is refused with these words
//!
//! `= LINE` must be shown, `= …TEXT` somewhere in a line, `- TEXT` nowhere. A desk restored from its own snapshot before
//! each step must show the same.

use std::collections::BTreeMap;
use std::str::FromStr;

use outrider_model::{
    ActionId, ActionReport, ActionScope, AlertId, Command, CommandRefused, Duration, EndpointId, EntityKind,
    FailureReason, Policy, RateLimits, ReportedState, Response, Subject, Trust,
};
use outrider_respond::desk::{Desk, Settings};

use crate::world::{INSTALLATION, START_MS, call, command, consumer, finding, refused};

struct Script {
    desk: Desk,
    now_ms: i64,
    config: Vec<Policy>,
    settings: Settings,
    alerts: Vec<AlertId>,
    actions: Vec<ActionId>,
    steps: usize,
    /// Calls that the desk recognised as refused by a limit of ours.
    limited: usize,
    refusal: Option<CommandRefused>,
}

type Options<'a> = BTreeMap<&'a str, &'a str>;

impl Script {
    fn new() -> Self {
        let mut desk = Desk::new(INSTALLATION, Settings::default()).unwrap();
        desk.advance(START_MS);
        Script {
            desk,
            now_ms: START_MS,
            config: Vec::new(),
            settings: Settings::default(),
            alerts: Vec::new(),
            actions: Vec::new(),
            steps: 0,
            limited: 0,
            refusal: None,
        }
    }

    fn step(&mut self, line: &str) {
        self.desk = Desk::restore(&self.desk.snapshot().unwrap()).unwrap();
        self.steps += 1;
        self.refusal = None;
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "settings" => {
                self.settings = serde_json::from_str(rest).unwrap();
                self.apply();
            }
            "policy" => {
                self.config.push(serde_json::from_str(rest).unwrap());
                self.apply();
            }
            "unpolicy" => {
                self.config.retain(|policy| policy.name != rest);
                self.apply();
            }
            "finding" => self.finding(rest),
            "call" => self.call(rest),
            "stored" | "released" | "retrying" | "failed" => self.report(verb, rest),
            "bob" => self.decide(rest),
            wait if wait.starts_with('+') => {
                self.now_ms = Duration::from_str(&wait[1..]).unwrap().end_ms(self.now_ms).unwrap();
                self.desk.advance(self.now_ms);
            }
            _ => panic!("unknown step: {line}"),
        }
        let mut alerts: Vec<_> = self.desk.alerts().map(|alert| (alert.opened_ms, alert.id)).collect();
        alerts.sort();
        for (_, id) in alerts {
            if !self.alerts.contains(&id) {
                self.alerts.push(id);
            }
        }
        let new: Vec<_> = self.desk.actions().map(|a| a.id).filter(|id| !self.actions.contains(id)).collect();
        self.actions.extend(new);
    }

    fn apply(&mut self) {
        self.desk.apply_settings(self.settings.clone(), self.config.clone()).unwrap();
    }

    fn finding(&mut self, rest: &str) {
        let (name, options) = options(rest);
        let mut finding = finding(name, "spike", self.now_ms, self.steps as i64);
        for (key, value) in options {
            match key {
                "detector" => finding.detector = value.to_owned(),
                "severity" => finding.severity = serde_json::from_str(&format!("{value:?}")).unwrap(),
                "confidence" => finding.confidence = outrider_model::Confidence::new(value.parse().unwrap()),
                "surprise" => finding.surprise = Some(value.parse().unwrap()),
                "sentence" => finding.sentence = value.to_owned(),
                "age" => {
                    let age_ms = Duration::from_str(value).unwrap().end_ms(0).unwrap();
                    finding.event_ms -= age_ms;
                    finding.window_start_ms -= age_ms;
                }
                "kind" => finding.entity.kind = EntityKind::from_str(value).unwrap(),
                "service" => (finding.service_id, finding.service_name) = (format!("s-{value}"), value.to_owned()),
                "nowhere" => {
                    (finding.service_id, finding.route_id) = Default::default();
                    (finding.service_name, finding.route_name) = Default::default();
                }
                "endpoint" => finding.endpoint = value.parse().ok().map(EndpointId),
                "untrusted" => finding.target.untrusted = true,
                "anonymous" => finding.target.anonymous_consumer = true,
                "tag" => finding.consumer_tags = vec![value.to_owned()],
                "custom" => finding.consumer_custom_id = value.to_owned(),
                "number" => finding.id.0 = value.parse().unwrap(),
                _ => panic!("unknown option {key}"),
            }
        }
        self.desk.on_finding(finding);
    }

    fn call(&mut self, rest: &str) {
        let (name, options) = options(rest);
        let id = format!("id-{name}");
        let times: u32 = options.get("times").map_or(1, |times| times.parse().unwrap());
        for number in 0..times {
            let mut call = call(name, &id, self.now_ms);
            if name == "nobody" {
                call.consumer = None;
            }
            for (key, value) in &options {
                match *key {
                    "times" => {}
                    "ours" => call = refused(call, Some(INSTALLATION)),
                    "theirs" => call = refused(call, Some("elsewhere")),
                    "gateway" => call = refused(call, None),
                    "status" => call.status = value.parse().unwrap(),
                    "untrusted" => call.trust = Trust::Untrusted,
                    "ago" => call.started_ms -= Duration::from_str(value).unwrap().end_ms(0).unwrap(),
                    "service" => call.service.as_mut().unwrap().id = format!("s-{value}").into(),
                    "tag" => call.consumer.as_mut().unwrap().tags.push((*value).into()),
                    "addresses" => {
                        let many: u32 = value.parse().unwrap();
                        call.client_ip = Some(std::net::Ipv4Addr::from(number % many).into());
                    }
                    _ => panic!("unknown option {key}"),
                }
            }
            self.limited += usize::from(self.desk.on_call(&call));
        }
    }

    fn report(&mut self, verb: &str, rest: &str) {
        let (name, options) = options(rest);
        let reason = FailureReason::OperatorPlugin { plugin_id: "p9".to_owned(), plugin_name: "stop".to_owned() };
        let state = match verb {
            "stored" => ReportedState::Stored {
                plugin_id: "p1".to_owned(),
                not_covered: options.get("not_covered").map(|scope| (*scope).to_owned()).into_iter().collect(),
            },
            "released" => ReportedState::Released,
            "retrying" => ReportedState::Retrying { reason, attempt: 2 },
            _ => ReportedState::Failed { reason },
        };
        let report = ActionReport { action: self.action(name), at_ms: self.now_ms, state };
        self.desk.on_report(&report);
    }

    fn decide(&mut self, rest: &str) {
        let (verb, rest) = rest.split_once(' ').unwrap();
        let (name, options) = options(rest);
        let reason = options.get("reason").copied().unwrap_or("because").replace('_', " ");
        let decision = match verb {
            "acks" => Command::AcknowledgeAlert { alert: self.alert(name) },
            "resolves" => Command::ResolveAlert { alert: self.alert(name), reason },
            "denies" => Command::MarkFalsePositive { alert: self.alert(name), reason },
            "assigns" => {
                Command::AssignAlert { alert: self.alert(name), assignee: options.get("to").map(|to| (*to).to_owned()) }
            }
            "says" => Command::CommentAlert { alert: self.alert(name), text: reason },
            "approves" => Command::ApproveAction { action: self.action(name) },
            "rejects" => Command::RejectAction { action: self.action(name), reason },
            "releases" => Command::ReleaseAction { action: self.action(name), reason },
            "puts" => Command::PutPolicy { policy: Box::new(serde_json::from_str(rest).unwrap()), if_new: false },
            "makes" => Command::PutPolicy { policy: Box::new(serde_json::from_str(rest).unwrap()), if_new: true },
            "deletes" => Command::DeletePolicy { name: name.to_owned() },
            "erases" => {
                let subject = Subject::new(EntityKind::Consumer, &format!("id-{name}")).unwrap();
                Command::Erase { erasure: format!("er_{}", self.steps), subject }
            }
            "switches" => Command::SetKillSwitch { on: name == "on", reason },
            "blocks" | "limits" => {
                let mut target = consumer(name);
                if let Some(kind) = options.get("kind") {
                    target.kind = EntityKind::from_str(kind).unwrap();
                }
                if options.contains_key("unnamed") {
                    target.label.clear();
                }
                Command::Act {
                    alert: options.get("alert").map(|alert| self.alert(alert)),
                    target,
                    scope: match options.get("service") {
                        Some(name) => ActionScope::Service { id: format!("s-{name}"), name: (*name).to_owned() },
                        None => ActionScope::Consumer,
                    },
                    response: match options.get("minute") {
                        Some(minute) => Response::RateLimit {
                            limits: RateLimits { minute: minute.parse().ok(), ..RateLimits::default() },
                            status: 429,
                            message: "slow down".to_owned(),
                        },
                        None => Response::default(),
                    },
                    duration: Duration::from_str(options.get("for").copied().unwrap_or("15m")).unwrap(),
                    reason: if options.contains_key("unexplained") { String::new() } else { reason },
                }
            }
            _ => panic!("unknown decision {verb}"),
        };
        let number = options.get("again").map_or(self.steps, |number| self.steps - number.parse::<usize>().unwrap());
        let record = command(number, "bob", self.now_ms, decision);
        self.refusal = self.desk.on_command(&record).err();
    }

    fn alert(&self, name: &str) -> AlertId {
        name.strip_prefix('l').map_or(AlertId(0), |number| self.alerts[number.parse::<usize>().unwrap() - 1])
    }

    fn action(&self, name: &str) -> ActionId {
        name.strip_prefix('a').map_or(ActionId(0), |number| self.actions[number.parse::<usize>().unwrap() - 1])
    }

    /// What the desk shows, a line each, with ids as the script calls them.
    fn show(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for alert in self.desk.alerts() {
            let name = format!("l{}", 1 + self.alerts.iter().position(|id| *id == alert.id).unwrap());
            let (entity, count) = (alert.entity.display_name(), alert.finding_count);
            lines.push(format!("{name} {:?} {entity} {} {:?} x{count}", alert.state, alert.detector, alert.severity));
            lines.push(format!("{name} worst: {}", alert.sentence));
            if !alert.state_reason.is_empty() {
                lines.push(format!("{name} because {} ({})", alert.state_reason, alert.state_by));
            }
            lines.extend(alert.assignee.iter().map(|assignee| format!("{name} of {assignee}")));
            lines.extend(alert.comments.iter().map(|comment| format!("{name} said {} ({})", comment.text, comment.by)));
            lines.extend(alert.policy_notes.iter().map(|note| format!("{name} note {note}")));
        }
        for action in self.desk.actions() {
            let name = format!("a{}", 1 + self.actions.iter().position(|id| *id == action.id).unwrap());
            let at = match &action.scope {
                ActionScope::Consumer => "everywhere".to_owned(),
                ActionScope::Service { id, .. } | ActionScope::Route { id, .. } => id.clone(),
            };
            let left =
                action.expires_ms.map_or("permanent".to_owned(), |end| format!("{}s left", (end - self.now_ms) / 1000));
            lines.push(format!("{name} {:?} {} {at} {left}", action.state, action.target.display_name()));
            if !action.state_reason.is_empty() {
                lines.push(format!("{name} because {}", action.state_reason));
            }
            let states: Vec<_> = action.history.iter().map(|step| format!("{:?}", step.state)).collect();
            lines.push(format!("{name} was {}", states.join(" ")));
            lines.push(format!("{name} for {}", action.reason));
            lines.extend(action.not_covered.iter().map(|scope| format!("{name} does not cover {scope}")));
        }
        let desired = self.desk.desired("kong");
        let numbers = |ids: Vec<ActionId>| {
            let mut names: Vec<_> =
                ids.iter().map(|id| 1 + self.actions.iter().position(|known| known == id).unwrap()).collect();
            names.sort_unstable();
            names.iter().map(|number| format!(" a{number}")).collect::<String>()
        };
        lines.push(format!("desired:{}", numbers(desired.actions.iter().map(|action| action.id).collect())));
        lines.push(format!("releasing:{}", numbers(desired.releasing)));
        lines.extend(
            desired
                .actions
                .iter()
                .filter(|action| action.by_person)
                .map(|a| format!("by person:{}", numbers(vec![a.id]))),
        );
        lines.extend(self.desk.policies().map(|row| format!("policy {} config={}", row.policy.name, row.from_config)));
        lines.push(format!("limited: {}", self.limited));
        lines.push(serde_json::to_string(self.desk.counters()).unwrap());
        lines.iter_mut().for_each(|line| *line = self.renamed(line));
        lines
    }

    /// A text with ids as the script calls them.
    fn renamed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (number, id) in self.alerts.iter().enumerate() {
            text = text.replace(&id.to_string(), &format!("l{}", number + 1));
        }
        for (number, id) in self.actions.iter().enumerate() {
            text = text.replace(&id.to_string(), &format!("a{}", number + 1));
        }
        text
    }
}

fn options(rest: &str) -> (&str, Options<'_>) {
    let mut words = rest.split(' ');
    let name = words.next().unwrap();
    (name, words.map(|word| word.split_once('=').unwrap_or((word, ""))).collect())
}

pub fn check(name: &str, script: &str) {
    let mut world = Script::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fail = |world: &Script| {
            panic!("{name}: {line}\nrefused: {:?}\n{}", world.refusal, world.show().join("\n"));
        };
        let (sign, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
        let rest = rest.trim();
        let shown = world.show();
        let has = |text: &str| shown.iter().any(|line| line.contains(text));
        match sign {
            "=" if rest.starts_with('…') => _ = has(&rest['…'.len_utf8()..]) || fail(&world),
            "=" => _ = shown.iter().any(|line| line == rest) || fail(&world),
            "-" => _ = !has(rest) || fail(&world),
            "!" => {
                let text =
                    world.refusal.as_ref().map(|refused| world.renamed(&refused.to_string())).unwrap_or_default();
                _ = (!text.is_empty() && text.contains(rest)) || fail(&world);
                world.refusal = None;
            }
            _ => {
                if world.refusal.is_some() {
                    fail(&world);
                }
                world.step(line);
            }
        }
    }
    assert_eq!(world.refusal, None, "{name}: the last decision was refused");
}
