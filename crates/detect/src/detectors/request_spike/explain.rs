//! A spike in words and numbers: everything that a person needs to check it.

use jiff::Timestamp;
use outrider_model::{
    Confidence, EntityKey, EntityKind, Finding, FindingId, Fingerprint, Observation, Outcome, Pseudonym, SampleCall,
    Severity, TargetFacts,
};

use super::judge::Verdict;
use super::watch::About;

/// The window that a verdict speaks of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub start_ms: i64,
    /// The newest event time in it.
    pub newest_ms: i64,
    /// How long it is.
    pub length_ms: i64,
    /// How many of its calls failed.
    pub failed: u32,
    /// How many of its calls were made in its last 10 to 20 s, where that is worth saying.
    pub burst: Option<u32>,
    /// The completing call.
    pub call_number: u64,
    pub event_ms: i64,
    pub raised_ms: i64,
}

/// Less growth than this is the usual unrest of small numbers.
const GROWTH_WORTH_SAYING: f64 = 2.5;

/// The finding of a verdict.
pub(super) fn finding(about: &About, verdict: &Verdict, window: &Window, samples: Vec<SampleCall>) -> Finding {
    let outcome = Outcome {
        succeeded: u64::from(verdict.count.saturating_sub(window.failed)),
        failed: u64::from(window.failed.min(verdict.count)),
    };
    Finding {
        id: id(about, window),
        detector: super::DESCRIPTOR.name.to_owned(),
        entity: about.entity.clone(),
        target: TargetFacts { anonymous_consumer: about.anonymous_consumer, untrusted: about.untrusted },
        endpoint: about.endpoint,
        endpoint_name: about.endpoint_name.clone(),
        service_id: about.service.id.clone(),
        service_name: about.service.name.clone(),
        route_id: about.route.id.clone(),
        route_name: about.route.name.clone(),
        consumer_tags: about.consumer_tags.clone(),
        consumer_custom_id: about.consumer_custom_id.clone(),
        window_start_ms: window.start_ms,
        window_ms: window.length_ms,
        event_ms: window.event_ms,
        raised_ms: window.raised_ms,
        call_number: window.call_number,
        observation: Observation {
            measure: "calls".to_owned(),
            unit: "calls per minute".to_owned(),
            observed: f64::from(verdict.count),
            expected: rounded(verdict.normal.expectation.mean * verdict.growth),
            threshold: f64::from(verdict.threshold),
        },
        surprise: Some(rounded(verdict.surprise)),
        basis: basis(verdict),
        outcome,
        severity: severity(outcome),
        confidence: confidence(verdict),
        sentence: sentence(about, verdict, window),
        samples,
        query: query(about, window),
    }
}

fn id(about: &About, window: &Window) -> FindingId {
    let endpoint = about.endpoint.map(|id| id.to_string()).unwrap_or_default();
    let trust = if about.untrusted { "untrusted" } else { "" };
    FindingId(
        Fingerprint::of("finding")
            .text(super::DESCRIPTOR.name)
            .number(about.entity.key() as i64)
            .text(&endpoint)
            .text(trust)
            .number(window.start_ms)
            .finish(),
    )
}

/// Three decimals are enough for people, and hide the last digits, in which mathematical libraries may differ.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn severity(outcome: Outcome) -> Severity {
    let calls = (outcome.succeeded + outcome.failed).max(1);
    match outcome.succeeded * 100 / calls {
        50.. => Severity::High,
        10..50 => Severity::Medium,
        _ => Severity::Low,
    }
}

/// An order of how sure to be, from how far the surprise is above what is asked for and from how much is known: not a
/// probability that was measured.
fn confidence(verdict: &Verdict) -> Confidence {
    let part = |value: f64, enough: f64| (value / enough).clamp(0.0, 1.0);
    let surprise = part(verdict.surprise - 8.0, 24.0);
    let own = part(f64::from(verdict.normal.own_minutes), 60.0);
    let peers = part(f64::from(verdict.normal.peers), 10.0);
    let calm = 1.0 / verdict.growth.max(1.0);
    Confidence::new((0.5 + 0.2 * surprise + 0.15 * own + 0.05 * peers + 0.08 * calm) as f32)
}

fn basis(verdict: &Verdict) -> String {
    let normal = &verdict.normal;
    let own = match normal.own_minutes as u32 {
        0 => "no history of its own".to_owned(),
        minutes => plural(minutes, "active minute of its own", "active minutes of its own"),
    };
    match normal.peers {
        0 => format!("{own}, peers of the whole gateway"),
        peers => format!(
            "{own}, {} with {}",
            plural(peers, "actor in its population", "actors in its population"),
            plural(normal.peers_minutes as u32, "active minute", "active minutes")
        ),
    }
}

fn sentence(about: &About, verdict: &Verdict, window: &Window) -> String {
    let name = about.entity.display_name();
    let normal = &verdict.normal;
    let what = if about.endpoint.is_some() {
        format!("called {}", about.endpoint_name)
    } else {
        format!("called gateway {} (all endpoints)", about.entity.gateway)
    };
    let seconds = ((window.newest_ms - window.start_ms) / 1000 + 1).clamp(1, 60);
    let burst = match window.burst {
        Some(burst) if burst < verdict.count => format!(", {burst} of them in the last 20 s"),
        Some(_) => ", all of them in the last 20 s".to_owned(),
        None => String::new(),
    };
    let mean = people_number(normal.expectation.mean);
    let usual = if normal.established || normal.own_minutes >= 1.0 {
        let record = people_number(f64::from(normal.own_record));
        format!("normal for {name} is about {mean} a minute (at most {record} so far)")
    } else {
        format!("{name} is new here, and about {mean} a minute is normal for one like it")
    };
    let peers = match people_number(f64::from(normal.peers_record)) {
        record if normal.peers_record > 0.0 => format!(", peers reach {record}"),
        _ => String::new(),
    };
    let growth = if verdict.growth >= GROWTH_WORTH_SAYING {
        format!("; others are {} times as busy as usual, which is allowed for", people_number(verdict.growth))
    } else {
        String::new()
    };
    let untrusted = if about.untrusted { "; the lines do not prove that they come from the gateway" } else { "" };
    format!("{name} {what} {} times in {seconds} s{burst}; {usual}{peers}{growth}{untrusted}", verdict.count)
}

fn plural(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A number as people write it: one decimal below ten, and none where it would be a zero.
fn people_number(value: f64) -> String {
    let tenth = (value * 10.0).round() / 10.0;
    if tenth >= 10.0 || tenth.fract() == 0.0 { format!("{:.0}", value) } else { format!("{tenth:.1}") }
}

/// The query that counts the same calls: those that count at all, in the window, up to the completing call's time.
fn query(about: &About, window: &Window) -> String {
    let entity = &about.entity;
    let mut wheres = vec![
        format!("gateway = {}", quoted(&entity.gateway)),
        format!("workspace = {}", quoted(&entity.workspace)),
        actor_condition(entity),
    ];
    if let Some(endpoint) = about.endpoint {
        wheres.push(format!("endpoint_id = '{endpoint}'"));
    }
    wheres.push(format!("event_time >= TIMESTAMP '{}'", time(window.start_ms)));
    wheres.push(format!("event_time <= TIMESTAMP '{}'", time(window.newest_ms)));
    wheres.push(if about.untrusted { "NOT trusted" } else { "trusted" }.to_owned());
    wheres.push("own_refusal IS NULL".to_owned());
    wheres.push("NOT (answered_by = 'gateway' AND (status < 100 OR status >= 400))".to_owned());
    format!("SELECT count(*) AS calls FROM events WHERE {}", wheres.join(" AND "))
}

/// What says that a call's actor is this entity (decision 1).
fn actor_condition(entity: &EntityKey) -> String {
    const NO_CONSUMER: &str = "(consumer_id IS NULL OR anonymous_consumer OR credential_id IS NULL)";
    let value = quoted(&entity.value);
    match entity.kind {
        EntityKind::Consumer => {
            format!("consumer_id = {value} AND NOT anonymous_consumer AND credential_id IS NOT NULL")
        }
        EntityKind::Credential if entity.value.parse::<Pseudonym>().is_ok() => {
            format!("presented_credential = {value} AND credential_id IS NULL")
        }
        EntityKind::Credential => format!("credential_id = {value} AND {NO_CONSUMER}"),
        EntityKind::Ip => {
            format!("client_ip = {value} AND credential_id IS NULL AND presented_credential IS NULL")
        }
        // Only the three above ever act.
        EntityKind::Network
        | EntityKind::Session
        | EntityKind::Business
        | EntityKind::Service
        | EntityKind::Gateway => "false".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn time(time_ms: i64) -> String {
    let timestamp = Timestamp::from_millisecond(time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use outrider_model::{KeyId, Severity};

    use super::*;

    fn entity(kind: EntityKind, value: &str) -> EntityKey {
        EntityKey {
            kind,
            gateway: "kong".to_owned(),
            workspace: String::new(),
            value: value.to_owned(),
            label: String::new(),
        }
    }

    #[test]
    fn severity_follows_outcome() {
        let cases = [
            (100, 0, Severity::High),
            (50, 50, Severity::High),
            (49, 51, Severity::Medium),
            (10, 90, Severity::Medium),
            (9, 91, Severity::Low),
            (0, 100, Severity::Low),
        ];
        for (succeeded, failed, wanted) in cases {
            assert_eq!(severity(Outcome { succeeded, failed }), wanted, "{succeeded}:{failed}");
        }
    }

    #[test]
    fn every_actor_has_a_condition_and_no_text_breaks_out_of_it() {
        let pseudonym = Pseudonym { key: KeyId(1), tag: [7; 16] }.to_string();
        let cases = [
            (EntityKind::Consumer, "it's", "consumer_id = 'it''s' AND NOT anonymous_consumer"),
            (EntityKind::Credential, "key-1", "credential_id = 'key-1' AND (consumer_id IS NULL"),
            (EntityKind::Credential, pseudonym.as_str(), "presented_credential = 'ps_0001_07"),
            (EntityKind::Ip, "192.0.2.1", "client_ip = '192.0.2.1' AND credential_id IS NULL"),
        ];
        for (kind, value, start) in cases {
            let condition = actor_condition(&entity(kind, value));
            assert!(condition.starts_with(start), "{condition}");
        }
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, text) in [(4.0, "4"), (3.96, "4"), (0.25, "0.3"), (9.94, "9.9"), (9.96, "10"), (214.4, "214")] {
            assert_eq!(people_number(value), text);
        }
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
