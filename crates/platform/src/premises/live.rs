//! What is known of services while the platform runs: who spoke last, with what clock, and who holds which gateway.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outrider_model::{Concern, NoticeKind};
use serde_json::{Value, json};

use super::wire::Heartbeat;
use crate::store::{Service, ServiceKind, ServiceRow};

/// A responder that was silent for so long has lost its gateway to another one.
pub const LEASE: Duration = Duration::from_secs(30);
/// What a service said is written to the control store at most this often.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);
/// How many of a service's own troubles are told.
const CONCERNS_MAX: usize = 20;

/// A service that was silent for longer is told of.
const SILENT_MAX: Duration = Duration::from_secs(45);

/// Of one identity, so many processes are told apart; the one that was silent the longest is forgotten.
const INSTANCES_MAX: usize = 8;

/// The services that may speak, with what they said since the platform started. There are no more of them than identities.
#[derive(Debug, Default)]
pub(super) struct Live {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    services: BTreeMap<String, Known>,
    leases: BTreeMap<String, Lease>,
}

#[derive(Debug)]
struct Known {
    service: Service,
    /// When it was last heard from; before that, when this process first knew of it.
    at: Instant,
    /// It has spoken at some time, maybe to an earlier process.
    has_spoken: bool,
    /// What it said of itself; a function says nothing, and is heard from when it sends calls.
    spoken: Option<Spoken>,
    /// When that was last written down.
    noted: Option<Instant>,
    /// The processes that spoke lately, by their data directories.
    instances: BTreeMap<String, Heard>,
}

/// When a process was heard from.
#[derive(Debug, Clone, Copy)]
struct Heard {
    first: Instant,
    last: Instant,
}

impl Known {
    /// Takes in that a process spoke, and forgets those that are silent.
    fn hear(&mut self, instance: &str, now: Instant) {
        self.instances.retain(|_, heard| now.duration_since(heard.last) <= SILENT_MAX);
        let oldest = self.instances.iter().min_by_key(|(_, heard)| heard.last).map(|(instance, _)| instance.clone());
        if let Some(oldest) = oldest.filter(|_| self.instances.len() >= INSTANCES_MAX) {
            self.instances.remove(&oldest);
        }
        self.instances.entry(instance.to_owned()).or_insert(Heard { first: now, last: now }).last = now;
    }

    /// Processes that spoke in turn. The one whose place another took was not heard again, so it is not told of.
    fn several(&self, now: Instant) -> Option<(Instant, Vec<&str>)> {
        let lately = |heard: &Heard| now.duration_since(heard.last) <= SILENT_MAX;
        let of_them: Vec<_> = self.instances.iter().filter(|(_, heard)| lately(heard)).collect();
        let in_turn = |one: &Heard, other: &Heard| one.last > other.first && other.last > one.first;
        let is_one_of_several = |(instance, heard): &&(&String, &Heard)| {
            of_them.iter().any(|(other, others)| other != instance && in_turn(heard, others))
        };
        let several: Vec<_> = of_them.iter().filter(is_one_of_several).collect();
        let since = several.iter().map(|(_, heard)| heard.first).max()?;
        Some((since, several.iter().map(|(instance, _)| instance.as_str()).collect()))
    }
}

/// What a service says of itself.
#[derive(Debug)]
pub(super) struct Spoken {
    pub instance: String,
    pub heartbeat: Heartbeat,
    pub clock_ahead_ms: i64,
}

#[derive(Debug)]
struct Lease {
    service: String,
    instance: String,
    at: Instant,
}

/// Somebody else holds a gateway.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub service: String,
    pub instance: String,
    pub seconds_ago: u64,
}

impl Live {
    /// Takes over which services there are. Those that were revoked are forgotten, with what they held. Whoever says how it is has
    /// some time to do so after a start; of a function there is only when it last sent something.
    pub fn know(&self, rows: Vec<ServiceRow>, now: Instant, now_ms: i64) {
        let mut inner = self.lock();
        let mut before = std::mem::take(&mut inner.services);
        for row in rows.into_iter().filter(|row| row.revoked_ms.is_none()) {
            let service = Service { name: row.name, kind: row.kind, gateways: row.gateways };
            let known = match before.remove(&service.name) {
                Some(known) if known.service == service => known,
                _ => {
                    let ago_ms = row.seen_ms.map_or(0, |seen_ms| now_ms.saturating_sub(seen_ms).max(0));
                    let seen = now.checked_sub(Duration::from_millis(ago_ms.cast_unsigned())).unwrap_or(now);
                    let at = if service.kind == ServiceKind::Function { seen } else { now };
                    let has_spoken = row.seen_ms.is_some();
                    Known { service, at, has_spoken, spoken: None, noted: None, instances: BTreeMap::new() }
                }
            };
            inner.services.insert(known.service.name.clone(), known);
        }
        let Inner { services, leases } = &mut *inner;
        leases.retain(|_, lease| services.contains_key(&lease.service));
    }

    /// Takes in that a service was heard from, with what it said of itself. Says whether it is time to write it to the control
    /// store.
    pub fn heard(&self, service: &Service, spoken: Option<Spoken>, now: Instant) -> bool {
        let mut inner = self.lock();
        let before = inner.services.remove(&service.name);
        let noted = before.as_ref().and_then(|known| known.noted);
        let noted = noted.filter(|noted| now.duration_since(*noted) < NOTE_INTERVAL);
        let (service, is_due) = (service.clone(), noted.is_none());
        let instances = before.map(|known| known.instances).unwrap_or_default();
        let instance = spoken.as_ref().map(|spoken| spoken.instance.clone());
        let mut known = Known { service, at: now, has_spoken: true, spoken, noted: noted.or(Some(now)), instances };
        if let Some(instance) = instance {
            known.hear(&instance, now);
        }
        inner.services.insert(known.service.name.clone(), known);
        is_due
    }

    /// Gives a gateway to a responder, unless another one has it.
    pub fn hold(&self, gateway: &str, service: &str, instance: &str, now: Instant) -> Result<(), Held> {
        let mut inner = self.lock();
        if let Some(lease) = inner.leases.get(gateway)
            && (lease.service != service || lease.instance != instance)
            && now.duration_since(lease.at) < LEASE
        {
            let seconds_ago = now.duration_since(lease.at).as_secs();
            return Err(Held { service: lease.service.clone(), instance: lease.instance.clone(), seconds_ago });
        }
        let lease = Lease { service: service.to_owned(), instance: instance.to_owned(), at: now };
        inner.leases.insert(gateway.to_owned(), lease);
        Ok(())
    }

    /// All of them as JSON for operators.
    pub fn to_json(&self, now: Instant) -> Value {
        let inner = self.lock();
        let services = inner.services.values().map(|known| {
            let spoken = known.spoken.as_ref();
            let is_connected = known.has_spoken && now.duration_since(known.at) <= SILENT_MAX;
            json!({
                "name": known.service.name,
                "kind": known.service.kind,
                "gateways": known.service.gateways,
                // A function is there while it is sent something, and nobody knows whether it would be.
                "is_connected": (known.service.kind != ServiceKind::Function).then_some(is_connected),
                "lag_seconds": spoken.and_then(|spoken| spoken.heartbeat.status.pointer("/spool/lag_seconds")),
                "silent_seconds": known.has_spoken.then(|| now.duration_since(known.at).as_secs()),
                "version": spoken.map(|spoken| &spoken.heartbeat.version),
                "instance": spoken.map(|spoken| &spoken.instance),
                "instances": known.several(now).map(|(_, instances)| instances),
                "clock_ahead_ms": spoken.map(|spoken| spoken.clock_ahead_ms),
                "status": spoken.map(|spoken| &spoken.heartbeat.status),
            })
        });
        services.collect()
    }

    /// What is wrong: services that are silent, and what the others say of themselves.
    pub fn concerns(&self, now: Instant, now_ms: i64) -> Vec<Concern> {
        let inner = self.lock();
        let mut concerns = Vec::new();
        for known in inner.services.values().filter(|known| known.has_spoken) {
            let silent = now.duration_since(known.at);
            if silent > SILENT_MAX {
                concerns.extend(silence(&known.service, silent, now_ms));
                continue;
            }
            concerns.extend(known.several(now).map(|(since, instances)| {
                let since_ms = now_ms.saturating_sub(now.duration_since(since).as_millis() as i64);
                shared_identity(&known.service, since_ms, &instances)
            }));
            if let Some(spoken) = &known.spoken {
                let own = spoken.heartbeat.concerns.iter().take(CONCERNS_MAX).cloned();
                let name = &known.service.name;
                concerns
                    .extend(own.map(|concern| Concern { subject: format!("{name}: {}", concern.subject), ..concern }));
            }
        }
        concerns
    }

    /// The maps are changed in one piece each, so a panic elsewhere leaves them good.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Several processes with one identity: what each says of itself takes the other's place, and one cannot be revoked without the other.
fn shared_identity(service: &Service, since_ms: i64, instances: &[&str]) -> Concern {
    let Service { name, kind, .. } = service;
    let kind_of_notice = match kind {
        ServiceKind::Collector | ServiceKind::Function => NoticeKind::CollectorFailing,
        ServiceKind::Responder => NoticeKind::ResponderFailing,
    };
    let (count, instances) = (instances.len(), instances.join("`, `"));
    Concern {
        kind: kind_of_notice,
        subject: format!("{name}: identity"),
        since_ms,
        detail: format!(
            "{count} processes speak as {kind} `{name}`, with the data directories of instances `{instances}`; what is shown of \
             it is now of the one and now of the other"
        ),
        remedy: format!(
            "give each an identity of its own: `outrider service create NAME --kind {kind}`. Where a data directory was \
             copied, remove the file `instance` in the copy"
        ),
    }
}

/// What a service's silence means; nothing where it speaks only when a gateway has sent it something.
fn silence(service: &Service, silent: Duration, now_ms: i64) -> Option<Concern> {
    let Service { name, kind, gateways } = service;
    let (kind_of_notice, meanwhile) = match kind {
        ServiceKind::Collector => (NoticeKind::CollectorSilent, "what it collects waits in its spool, if it runs"),
        ServiceKind::Function => return None,
        ServiceKind::Responder => {
            (NoticeKind::ResponderSilent, "nothing new is brought to them; if it runs, what is over ends on time")
        }
    };
    let (gateways, seconds) = (gateways.join("`, `"), silent.as_secs());
    Some(Concern {
        kind: kind_of_notice,
        subject: name.clone(),
        since_ms: now_ms.saturating_sub(silent.as_millis() as i64),
        detail: format!("{kind} `{name}` of `{gateways}` was not heard from for {seconds} s; {meanwhile}"),
        remedy: format!(
            "look at its own log on its machine: is it running, does it reach this platform, is its certificate \
                         good? `outrider service revoke {name}` if it is gone for good"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, kind: ServiceKind, seen_ms: Option<i64>, revoked_ms: Option<i64>) -> ServiceRow {
        ServiceRow {
            name: name.to_owned(),
            kind,
            gateways: vec!["kong".to_owned()],
            created_ms: 0,
            created_by: "test".to_owned(),
            revoked_ms,
            seen_ms,
            heartbeat: None,
        }
    }

    #[test]
    fn silence_is_told_of_whoever_has_spoken_and_may_speak() {
        let live = Live::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let rows = |revoked| {
            vec![
                row("known", ServiceKind::Collector, Some(1), revoked),
                row("never-seen", ServiceKind::Collector, None, None),
                row("new", ServiceKind::Responder, None, None),
            ]
        };
        live.know(rows(None), start, 0);
        let told = |seconds| {
            let concerns = live.concerns(at(seconds), 1_000_000);
            concerns.into_iter().map(|concern| (concern.kind, concern.subject)).collect::<Vec<_>>()
        };
        assert_eq!(told(45), [], "a platform that was away gives them time to come back");
        let service =
            Service { name: "new".to_owned(), kind: ServiceKind::Responder, gateways: vec!["kong".to_owned()] };
        let own = Concern {
            kind: NoticeKind::ResponderFailing,
            subject: "kong".to_owned(),
            since_ms: 1,
            detail: "away".to_owned(),
            remedy: "look".to_owned(),
        };
        let heartbeat = Heartbeat {
            kind: ServiceKind::Responder,
            version: "1".to_owned(),
            now_ms: 1,
            gateways: vec!["kong".to_owned()],
            status: Value::Null,
            concerns: vec![own],
        };
        let heard = |seconds| {
            let spoken = Spoken { instance: "a".to_owned(), heartbeat: heartbeat.clone(), clock_ahead_ms: 0 };
            live.heard(&service, Some(spoken), at(seconds))
        };
        assert!(heard(40), "the first is written down");
        assert!(!heard(50), "the next is not");
        live.know(rows(None), at(51), 0);
        let silent = (NoticeKind::CollectorSilent, "known".to_owned());
        let connected = |seconds| {
            let services = live.to_json(at(seconds));
            services.as_array().unwrap().iter().map(|one| one["is_connected"] == true).collect::<Vec<_>>()
        };
        assert_eq!((connected(60), connected(96)), (vec![false, false, true], vec![false; 3]));
        assert_eq!(told(60), [silent.clone(), (NoticeKind::ResponderFailing, "new: kong".to_owned())]);
        assert_eq!(told(96), [silent, (NoticeKind::ResponderSilent, "new".to_owned())]);
        assert!(heard(110), "a minute later it is written again");
        live.know(rows(Some(2)), at(111), 0);
        assert_eq!(told(112), [(NoticeKind::ResponderFailing, "new: kong".to_owned())], "revoked is not silent");
    }

    #[test]
    fn two_processes_with_one_identity_are_told_of_and_one_that_follows_another_is_not() {
        // Who speaks at which second, when that is looked at, and which instances are told of then.
        type Case = (&'static [(&'static str, u64)], u64, &'static [&'static str]);
        let cases: [Case; 6] = [
            (&[("a", 0), ("a", 10), ("a", 20)], 21, &[]),
            (&[("a", 0), ("a", 10), ("b", 15), ("b", 25)], 26, &[]),
            (&[("a", 0), ("b", 5), ("a", 10), ("b", 15)], 16, &["a", "b"]),
            (&[("a", 0), ("b", 5), ("a", 10), ("c", 12), ("b", 15), ("a", 20), ("c", 22)], 23, &["a", "b", "c"]),
            (&[("a", 0), ("b", 5), ("a", 10), ("b", 15), ("b", 25), ("b", 35), ("b", 45), ("b", 55)], 56, &[]),
            (&[("a", 0), ("b", 5), ("a", 10), ("b", 15)], 70, &[]),
        ];
        for (spoken, end, expected) in cases {
            let (live, start) = (Live::default(), Instant::now());
            let at = |seconds| start + Duration::from_secs(seconds);
            let service =
                Service { name: "edge".to_owned(), kind: ServiceKind::Collector, gateways: vec!["kong".to_owned()] };
            for (instance, seconds) in spoken {
                let heartbeat = Heartbeat {
                    kind: ServiceKind::Collector,
                    version: "1".to_owned(),
                    now_ms: 1,
                    gateways: vec!["kong".to_owned()],
                    status: Value::Null,
                    concerns: Vec::new(),
                };
                let spoken = Spoken { instance: (*instance).to_owned(), heartbeat, clock_ahead_ms: 0 };
                live.heard(&service, Some(spoken), at(*seconds));
            }
            let told = live.concerns(at(end), 1_000_000);
            let told: Vec<_> = told.iter().filter(|concern| concern.subject == "edge: identity").collect();
            assert_eq!(told.len(), usize::from(!expected.is_empty()), "{spoken:?}: {told:?}");
            let shown = &live.to_json(at(end))[0]["instances"];
            assert_eq!(*shown, if expected.is_empty() { Value::Null } else { json!(expected) }, "{spoken:?}");
            if let [concern] = told[..] {
                assert!(concern.detail.contains(&format!("`{}`", expected.join("`, `"))), "{}", concern.detail);
            }
        }
        let start = Instant::now();
        let mut known = Known {
            service: Service { name: "edge".to_owned(), kind: ServiceKind::Collector, gateways: vec![] },
            at: start,
            has_spoken: true,
            spoken: None,
            noted: None,
            instances: BTreeMap::new(),
        };
        (0..100).for_each(|number| known.hear(&number.to_string(), start));
        assert_eq!(known.instances.len(), INSTANCES_MAX);
    }

    #[test]
    fn a_function_may_be_silent_and_is_written_down_when_it_sends_calls() {
        let live = Live::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        live.know(vec![row("edge", ServiceKind::Function, None, None)], start, 0);
        let seen = |seconds| {
            let service = live.to_json(at(seconds))[0].clone();
            (service["is_connected"].clone(), service["silent_seconds"].clone())
        };
        assert_eq!(seen(1), (Value::Null, Value::Null));
        let service =
            Service { name: "edge".to_owned(), kind: ServiceKind::Function, gateways: vec!["kong".to_owned()] };
        let heard: Vec<_> =
            [2, 3, 61, 62, 63].into_iter().filter(|&seconds| live.heard(&service, None, at(seconds))).collect();
        assert_eq!(heard, [2, 62], "once a minute");
        assert_eq!(seen(363), (Value::Null, json!(300)));
        assert_eq!(live.concerns(at(363), 1_000_000), []);
        // Another process knows it from the control store.
        let later = Live::default();
        later.know(vec![row("edge", ServiceKind::Function, Some(40_000), None)], at(363), 100_000);
        assert_eq!(later.to_json(at(364))[0]["silent_seconds"], 61);
    }

    #[test]
    fn who_was_revoked_holds_nothing() {
        let live = Live::default();
        let now = Instant::now();
        live.know(
            vec![row("one", ServiceKind::Responder, None, None), row("two", ServiceKind::Responder, None, None)],
            now,
            0,
        );
        live.hold("kong", "one", "a", now).unwrap();
        assert!(live.hold("kong", "two", "b", now).is_err());
        live.know(vec![row("two", ServiceKind::Responder, None, None)], now, 0);
        live.hold("kong", "two", "b", now).unwrap();
    }

    #[test]
    fn a_gateway_has_one_responder_until_that_is_silent() {
        let live = Live::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        // service, instance, second, expected
        let cases = [
            ("edge", "a", 0, true),
            ("edge", "b", 5, false),
            ("other", "a", 5, false),
            ("edge", "a", 20, true),
            ("edge", "b", 45, false),
            ("edge", "b", 50, true),
            ("edge", "a", 51, false),
        ];
        for (service, instance, seconds, expected) in cases {
            let result = live.hold("kong", service, instance, at(seconds));
            assert_eq!(result.is_ok(), expected, "{service} {instance} at {seconds}: {result:?}");
        }
        assert!(live.hold("another gateway", "other", "a", at(51)).is_ok());
    }
}
