//! Judges the way between the three services: a collector's or responder's to its platform, a collector's spool, and at the
//! platform who was heard from.

use outrider_platform::store::ServiceKind;
use outrider_platform::tls::EXPIRY_WARNING_MS;

use super::facts::{Facts, GivenUpCalls, OwnCertificate, ServiceSaid, ServiceStatus, SpoolStatus, Status};
use super::report::{Check, Id};
use crate::services::accounts::Accounts;
use crate::services::link::LinkStatus;

/// Below this the system's own clock service is at work.
const CLOCK_DIFFERENCE_MS_MAX: u64 = 5_000;
/// Calls that wait for longer are late.
const WAITING_MS_MAX: i64 = 60_000;
/// A spool that is so full drops calls soon.
const SPOOL_PERCENT_MAX: u64 = 80;
/// A service that was silent for longer is told of by the platform, too.
const SILENT_SECONDS_MAX: u64 = 45;

const SPOOL: &str = "spool";
/// Counters are not read at one moment: under load so many lines can have an end before they are counted as received.
const IN_HAND_MIN: i64 = -100_000;
const LISTENERS: &str = "listeners";

pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(uplink) = &facts.uplink {
        let own = uplink.certificate.as_ref();
        checks.extend(own.map(|seen| certificate(&uplink.url, seen, facts.now_ms, "outrider ca issue --client NAME")));
        let running = match &facts.process {
            Ok(Some(status)) => Ok(status),
            _ => Err("the running service could not be asked"),
        };
        let link =
            running.and_then(|status| status.link.as_ref().ok_or("the process that runs has no platform elsewhere"));
        match link {
            Ok(link) => checks.extend([platform(link, facts.now_ms), clock(link)]),
            Err(why) => checks.extend([Id::LinkPlatform, Id::LinkClock].map(|id| Check::skipped(id, &uplink.url, why))),
        }
        if let Ok(Status { spool: Some(status), refused_calls, .. }) = running {
            checks.push(spool(status, *refused_calls, facts.now_ms));
        }
        if let Ok(Status { accounts: Some(accounts), .. }) = running {
            checks.push(add_up(accounts));
        }
    }
    let listeners = facts.listeners.iter();
    checks.extend(listeners.map(|seen| certificate(LISTENERS, seen, facts.now_ms, "outrider ca issue NAME")));
    if let Ok(Some(Status { services: Some(services), .. })) = &facts.process {
        checks.extend(services.iter().map(|service| heard(service, facts.now_ms)));
    }
    checks
}

fn certificate(subject: &str, seen: &OwnCertificate, now_ms: i64, issue: &str) -> Check {
    let id = Id::LinkCertificate;
    let todo = format!(
        "make a new one at the platform (`{issue}`), and put both files in place of the old ones; they are read again by themselves"
    );
    let file = seen.path.display();
    match &seen.expires_ms {
        Err(problem) => Check::failed(id, subject, problem, todo),
        Ok(expires_ms) if *expires_ms <= now_ms => {
            let days = (now_ms - expires_ms) / 86_400_000;
            Check::failed(id, subject, format!("the certificate {file} expired {days} days ago"), todo)
        }
        Ok(expires_ms) => {
            let left_ms = expires_ms - now_ms;
            let seen = format!("the certificate {file} is good for {} days", left_ms / 86_400_000);
            if left_ms < EXPIRY_WARNING_MS {
                Check::warning(id, subject, seen, todo)
            } else {
                Check::ok(id, subject, seen)
            }
        }
    }
}

fn platform(link: &LinkStatus, now_ms: i64) -> Check {
    let (id, url) = (Id::LinkPlatform, link.url.as_str());
    let ago = |at_ms: i64| (now_ms - at_ms).max(0) / 1000;
    if let Some(trouble) = &link.trouble {
        let last = match link.answered_ms {
            Some(at_ms) => format!("it last answered {} s ago", ago(at_ms)),
            None => "it has not answered since the start".to_owned(),
        };
        return Check::failed(
            id,
            url,
            format!("{}; so for {} s, and {last}", trouble.seen, ago(trouble.since_ms)),
            &trouble.todo,
        );
    }
    match (link.connected_since_ms, link.answered_ms) {
        (Some(since_ms), Some(answered_ms)) => {
            Check::ok(id, url, format!("it answers since {} s, last {} s ago", ago(since_ms), ago(answered_ms)))
        }
        _ => Check::warning(id, url, "it has not answered yet", "wait a few seconds, and ask again"),
    }
}

fn clock(link: &LinkStatus) -> Check {
    let id = Id::LinkClock;
    let Some(ahead_ms) = link.clock_ahead_ms else {
        return Check::skipped(id, &link.url, "the platform has not answered yet");
    };
    let seen = match ahead_ms {
        0.. => format!("this clock is {} s ahead of the platform's", ahead_ms / 1000),
        _ => format!("this clock is {} s behind the platform's", ahead_ms / -1000),
    };
    if ahead_ms.unsigned_abs() > CLOCK_DIFFERENCE_MS_MAX {
        let todo =
            "let NTP set both clocks; calls from more than 60 s in the future are not taken until their time has come";
        return Check::failed(id, &link.url, seen, todo);
    }
    Check::ok(id, &link.url, "this clock and the platform's agree")
}

fn spool(spool: &SpoolStatus, refused_calls: u64, now_ms: i64) -> Check {
    let id = Id::LinkSpool;
    let percent = spool.bytes.saturating_mul(100) / spool.bytes_max.max(1);
    let waiting_ms = spool.waiting_since_ms.map_or(0, |since_ms| now_ms - since_ms);
    let mut seen = format!(
        "{} records wait in {} MiB of at most {}",
        spool.records_waiting,
        spool.bytes >> 20,
        spool.bytes_max >> 20
    );
    if waiting_ms > 0 {
        seen = format!("{seen}, the oldest for {} s", waiting_ms / 1000);
    }
    let GivenUpCalls { for_room, for_age } = spool.given_up_calls;
    let gone = [
        (for_room, "were given up for newer ones"),
        (for_age, "were too old"),
        (spool.dropped_calls, "found no room"),
        (refused_calls, "were refused by the platform"),
    ];
    let gone: Vec<_> = gone.into_iter().filter(|(calls, _)| *calls > 0).collect();
    if !gone.is_empty() {
        let gone: Vec<_> = gone.into_iter().map(|(calls, what)| format!("{calls} calls {what}")).collect();
        let seen = format!("{seen}; since the start {}", gone.join(", "));
        let todo = "see `link.platform`; give `log.total_bytes_max`, `collector.spool_age_max` and the disk room for as long as the \
                    platform may be away";
        return Check::failed(id, SPOOL, seen, todo);
    }
    if percent >= SPOOL_PERCENT_MAX || waiting_ms > WAITING_MS_MAX {
        let todo = "see `link.platform`; when `log.total_bytes_max` is reached, new calls are dropped and counted";
        return Check::warning(id, SPOOL, seen, todo);
    }
    Check::ok(id, SPOOL, seen)
}

/// Whether each line is known to have come to some end.
fn add_up(accounts: &Accounts) -> Check {
    let id = Id::LinkAccounts;
    let Accounts { received, at_start, shipped, spooled, in_hand, .. } = accounts;
    let (rejected, dropped) = (accounts.rejected_total(), accounts.dropped_total());
    let earlier = if *at_start > 0 { format!(" and {at_start} calls of earlier starts") } else { String::new() };
    let seen = format!(
        "{received} lines{earlier}: {shipped} at the platform, {spooled} in the spool, {rejected} no calls, {dropped} dropped, {} in hand",
        (*in_hand).max(0)
    );
    if *in_hand < IN_HAND_MIN || accounts.left_over() != *in_hand {
        let todo = "this is a mistake of ours: please report it, with this line";
        return Check::failed(id, SPOOL, format!("{seen}; that does not add up"), todo);
    }
    Check::ok(id, SPOOL, seen)
}

fn heard(service: &ServiceStatus, now_ms: i64) -> Check {
    let id = Id::LinkService;
    let ServiceStatus { name, kind, silent_seconds, version, clock_ahead_ms, status } = service;
    let todo = format!("run `outrider doctor` beside it; `outrider service revoke {name}` if it is gone for good");
    let Some(silent) = silent_seconds else {
        return Check::warning(id, name, format!("this {kind} was never heard from"), todo);
    };
    if *kind == ServiceKind::Function {
        return Check::ok(id, name, format!("this function last sent calls {silent} s ago"));
    }
    if *silent > SILENT_SECONDS_MAX {
        return Check::failed(id, name, format!("this {kind} was not heard from for {silent} s"), todo);
    }
    let ours = env!("CARGO_PKG_VERSION");
    let theirs = version.as_deref().unwrap_or(ours);
    let ahead_ms = clock_ahead_ms.unwrap_or(0);
    if ahead_ms.unsigned_abs() > CLOCK_DIFFERENCE_MS_MAX {
        let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
        let seen = format!("the clock of this {kind} is {} s {side} this one", ahead_ms.unsigned_abs() / 1000);
        return Check::failed(id, name, seen, "let NTP set both clocks");
    }
    if theirs != ours {
        let todo = "run the same version on both sides; the platform first";
        return Check::warning(id, name, format!("this {kind} has version {theirs}, and this is {ours}"), todo);
    }
    let mut seen = format!("this {kind} was heard from {silent} s ago");
    let ServiceSaid { spool, link } = status.clone().unwrap_or_default();
    if let Some(past) = link.and_then(|link| link.last_trouble) {
        let lasted = (past.until_ms - past.since_ms) / 1000;
        seen = format!("{seen}; its last trouble with this platform lasted {lasted} s: {}", past.seen);
    }
    let lag_ms = spool.and_then(|spool| spool.waiting_since_ms).map_or(0, |since_ms| now_ms - since_ms);
    if lag_ms > WAITING_MS_MAX {
        let todo = "of a backlog nothing is lost, and no alert is made of calls older than a minute; if it grows, run doctor beside it";
        return Check::warning(id, name, format!("{seen}; its oldest call waits for {} s", lag_ms / 1000), todo);
    }
    Check::ok(id, name, seen)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::facts::UplinkSeen;
    use super::super::report::Outcome;
    use super::super::tests::{check, well};
    use super::*;
    use crate::services::link::{PastTrouble, Trouble};

    const DAY_MS: i64 = 86_400_000;

    /// A collector that is well.
    fn collector(facts: &mut Facts) -> &mut LinkStatus {
        let now_ms = facts.now_ms;
        let certificate = OwnCertificate { path: PathBuf::from("edge.pem"), expires_ms: Ok(now_ms + 90 * DAY_MS) };
        facts.uplink = Some(UplinkSeen { url: "https://x".to_owned(), certificate: Some(certificate) });
        facts.status().spool = Some(SpoolStatus { bytes_max: 1 << 30, ..SpoolStatus::default() });
        facts.status().link.insert(LinkStatus {
            url: "https://x".to_owned(),
            connected_since_ms: Some(now_ms - 5000),
            answered_ms: Some(now_ms - 1000),
            clock_ahead_ms: Some(20),
            ..LinkStatus::default()
        })
    }

    fn spool(facts: &mut Facts) -> &mut SpoolStatus {
        collector(facts);
        facts.status().spool.as_mut().unwrap()
    }

    fn expiry(facts: &mut Facts, expires_ms: Result<i64, String>) {
        collector(facts);
        facts.uplink.as_mut().unwrap().certificate.as_mut().unwrap().expires_ms = expires_ms;
    }

    fn listener(facts: &mut Facts, left_ms: i64) {
        let expires_ms = Ok(facts.now_ms + left_ms);
        facts.listeners = vec![OwnCertificate { path: PathBuf::from("a.pem"), expires_ms }];
    }

    fn service(facts: &mut Facts, silent_seconds: Option<u64>, version: &str, clock_ahead_ms: i64) {
        facts.status().services = Some(vec![ServiceStatus {
            name: "edge".to_owned(),
            kind: ServiceKind::Collector,
            silent_seconds,
            version: Some(version.to_owned()),
            clock_ahead_ms: Some(clock_ahead_ms),
            status: None,
        }]);
    }

    const OWN: &str = env!("CARGO_PKG_VERSION");

    #[test]
    fn the_way_to_the_platform_is_judged() {
        check(&[
            ("well", |f| drop(collector(f).clone()), &[], "answers since 5 s, last 1 s ago"),
            (
                "refused",
                |f| {
                    let now_ms = f.now_ms;
                    let seen = "the platform at https://x refuses this service's certificate".to_owned();
                    collector(f).trouble =
                        Some(Trouble { since_ms: now_ms - 9000, seen, todo: "issue one".to_owned() });
                },
                &["link.platform failed"],
                "refuses this service's certificate; so for 9 s, and it last answered 1 s ago",
            ),
            ("ahead", |f| collector(f).clock_ahead_ms = Some(61_000), &["link.clock failed"], "61 s ahead"),
            ("behind", |f| collector(f).clock_ahead_ms = Some(-61_000), &["link.clock failed"], "61 s behind"),
            ("expired", |f| expiry(f, Ok(f.now_ms - 2 * DAY_MS)), &["link.certificate failed"], "expired 2 days ago"),
            ("expires soon", |f| expiry(f, Ok(f.now_ms + 2 * DAY_MS)), &["link.certificate warning"], "for 2 days"),
            ("no certificate", |f| expiry(f, Err("it is empty".to_owned())), &["link.certificate failed"], "is empty"),
            ("a listener's", |f| listener(f, 90 * DAY_MS), &[], "the certificate a.pem is good for 90 days"),
            ("expires soon", |f| listener(f, 2 * DAY_MS), &["link.certificate warning"], "`outrider ca issue NAME`"),
            ("expired", |f| listener(f, -2 * DAY_MS), &["link.certificate failed"], "a.pem expired 2 days ago"),
            (
                "away",
                |f| {
                    collector(f);
                    f.process = Ok(None);
                },
                &["process.running failed"],
                "could not be asked",
            ),
        ]);
        let mut facts = well();
        let link = collector(&mut facts);
        (link.connected_since_ms, link.answered_ms) = (None, None);
        assert_eq!(platform(link, 0).seen, "it has not answered yet");
    }

    #[test]
    fn a_spool_is_judged_by_what_waits_and_what_is_lost() {
        check(&[
            (
                "waits",
                |f| spool(f).waiting_since_ms = Some(f.now_ms - 90_000),
                &["link.spool warning"],
                "the oldest for 90 s",
            ),
            ("fills", |f| spool(f).bytes = 900 << 20, &["link.spool warning"], "in 900 MiB of at most 1024"),
            (
                "is full",
                |f| spool(f).dropped_calls = 7,
                &["process.drops warning", "link.spool failed"],
                "7 calls found no room",
            ),
            (
                "gives up",
                |f| spool(f).given_up_calls = GivenUpCalls { for_room: 5, for_age: 6 },
                &["process.drops warning", "link.spool failed"],
                "5 calls were given up for newer ones, 6 calls were too old",
            ),
            (
                "is refused",
                |f| {
                    spool(f);
                    f.status().refused_calls = 8;
                },
                &["process.drops warning", "link.spool failed"],
                "8 calls were refused by the platform",
            ),
        ]);
    }

    #[test]
    fn lines_come_to_some_end() {
        let accounts = |in_hand, spooled| Accounts {
            received: 100,
            at_start: 20,
            shipped: 70,
            spooled,
            rejected: [("stream".to_owned(), 7)].into(),
            dropped: [("spool_full".to_owned(), 3)].into(),
            in_hand,
        };
        let seen = |accounts| {
            let check = add_up(&accounts);
            (check.result == Outcome::Ok, check.seen)
        };
        let well = "100 lines and 20 calls of earlier starts: 70 at the platform, 30 in the spool, 7 no calls, 3 dropped, 10 in hand";
        assert_eq!(seen(accounts(10, 30)), (true, well.to_owned()));
        assert!(seen(accounts(-5, 45)).0, "a moment's difference");
        assert!(!seen(accounts(-300_000, 300_040)).0);
        assert!(!seen(accounts(10, 31)).0, "the sum is another one");
    }

    #[test]
    fn the_platform_says_who_was_heard_from() {
        check(&[
            ("well", |f| service(f, Some(3), OWN, 9), &[], "this collector was heard from 3 s ago"),
            ("new", |f| service(f, None, OWN, 0), &["link.service warning"], "never heard from"),
            ("silent", |f| service(f, Some(46), OWN, 0), &["link.service failed"], "service revoke edge"),
            (
                "behind, after trouble",
                |f| {
                    service(f, Some(3), OWN, 0);
                    let now_ms = f.now_ms;
                    let trouble =
                        PastTrouble { since_ms: now_ms - 9000, until_ms: now_ms - 2000, seen: "nobody there".into() };
                    let link = LinkStatus { last_trouble: Some(trouble), ..LinkStatus::default() };
                    let spool = SpoolStatus { waiting_since_ms: Some(now_ms - 95_000), ..SpoolStatus::default() };
                    let said = ServiceSaid { spool: Some(spool), link: Some(link) };
                    f.status().services.as_mut().unwrap()[0].status = Some(said);
                },
                &["link.service warning"],
                "lasted 7 s: nobody there; its oldest call waits for 95 s",
            ),
            (
                "a function that nobody called",
                |f| {
                    service(f, Some(4000), OWN, 0);
                    f.status().services.as_mut().unwrap()[0].kind = ServiceKind::Function;
                },
                &[],
                "this function last sent calls 4000 s ago",
            ),
            ("old", |f| service(f, Some(3), "0.0.9", 0), &["link.service warning"], "has version 0.0.9"),
            ("clock behind", |f| service(f, Some(3), OWN, -6000), &["link.service failed"], "is 6 s behind this one"),
            ("clock ahead", |f| service(f, Some(3), OWN, 6000), &["link.service failed"], "is 6 s ahead of this one"),
        ]);
    }
}
