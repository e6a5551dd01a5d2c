//! Judges what arrives at a source: whether lines come, can be read, carry the secret, the right time and the right address.
//!
//! Counts are from the start of the running outrider; what has not happened for a while is told and no trouble any more.
//! Of a line that could not be read, only its reason, its outline and its length are known.

use std::collections::BTreeMap;

use outrider_collect::{ConnectionRefusal, CountersSnapshot, OutlineSeen, Refusal, Rejection};

use super::admin::judge_clock;
use super::facts::{Facts, status_of};
use super::file::arriving_in_file;
use super::report::{Check, Id};
use crate::terminal::some_of;

/// Silence after which it is worth saying.
pub(super) const SILENCE_MS: i64 = 15 * 60_000;
/// What has not happened for so long has been put right.
const HELD_MS: i64 = 10 * 60_000;
/// Up to this part, unreadable lines are what a restart of Kong leaves.
const UNREADABLE_PERCENT_MAX: u64 = 1;

const ALL: [Id; 5] = [Id::LinesArriving, Id::LinesReadable, Id::LinesTrusted, Id::LinesClock, Id::LinesAddresses];

pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for (at, source) in facts.sources.iter().enumerate() {
        let name = &source.name;
        let skip = |why: &str| ALL.map(|id| Check::skipped(id, name, why));
        let Ok(Some(status)) = &facts.process else {
            checks.extend(skip("the running outrider could not be asked"));
            continue;
        };
        let Some(running) = status_of(status, &facts.sources, at) else {
            let seen = "the running outrider does not listen there";
            let todo = "restart outrider: the source is in the configuration since after its start";
            checks.push(Check::failed(Id::LinesArriving, name, seen, todo));
            checks.extend(ALL[1..].iter().map(|id| Check::skipped(*id, name, seen)));
            continue;
        };
        let counters = &running.counters;
        checks.push(match &counters.file {
            Some(file) => arriving_in_file(name, counters, file, facts.now_ms),
            None => arriving(name, counters, facts.now_ms),
        });
        if counters.received == 0 {
            checks.extend(ALL[1..].iter().map(|id| Check::skipped(*id, name, "nothing has arrived")));
            continue;
        }
        let gateway = facts.gateways.iter().find(|gateway| gateway.name == source.gateway);
        let trusts_proxies = gateway
            .and_then(|gateway| gateway.look.as_ref().ok())
            .map(|look| !look.node.configuration.trusted_ips.is_empty());
        checks.push(readable(name, counters, facts.now_ms));
        checks.push(trusted(name, counters, source.secret.is_some(), facts.now_ms));
        checks.push(clock(name, counters));
        checks.push(addresses(name, counters, trusts_proxies, facts.now_ms));
    }
    checks
}

fn arriving(name: &str, counters: &CountersSnapshot, now_ms: i64) -> Check {
    let refused = counters.connections_not_allowed;
    let refusal = refused_requests(name, counters, now_ms).or_else(|| refused_connections(name, counters, now_ms));
    if let Some(check) = refusal {
        return check;
    }
    if counters.received == 0 && refused > 0 {
        let seen = format!("nothing, and {refused} connections came from addresses that `allow` does not name");
        let todo =
            "add the addresses of Kong's nodes to `allow` of the source; outrider's log has those that were refused";
        return Check::failed(Id::LinesArriving, name, seen, todo);
    }
    if counters.received == 0 {
        let seen = match counters.connections_total {
            0 => "nothing has connected since outrider was started".to_owned(),
            all => format!("{all} connections, and not one line"),
        };
        let todo = "make a call through Kong, or let doctor do it with --probe; if nothing comes then, the checks of Kong's \
                    log plugins say why, or a firewall is between Kong and this port";
        return Check::warning(Id::LinesArriving, name, seen, todo);
    }
    let silent_ms = (now_ms - counters.health.last_received_ms).max(0);
    let seen = format!("{} lines, the last one {} ago", counters.received, ago(silent_ms));
    if silent_ms > SILENCE_MS {
        let todo = "nothing, if nobody has called; --probe makes a call and waits for its line";
        return Check::warning(Id::LinesArriving, name, seen, todo);
    }
    if refused > 0 {
        let seen = format!("{seen}; {refused} connections came from addresses that `allow` does not name");
        return Check::warning(
            Id::LinesArriving,
            name,
            seen,
            "if they are nodes of Kong, add them to `allow` of the source",
        );
    }
    Check::ok(Id::LinesArriving, name, seen)
}

/// Requests that no sending again helps.
fn refused_requests(name: &str, counters: &CountersSnapshot, now_ms: i64) -> Option<Check> {
    let of = |refusal: Refusal| lately(&counters.refused, &counters.refused_last_ms, refusal.as_str(), now_ms);
    let remedies = [
        (
            Refusal::Unauthorized,
            "do not carry the source's secret",
            "see `log.secret`; `outrider kong setup` puts it there",
        ),
        (
            Refusal::TooLarge,
            "are too large",
            "lower `queue.max_batch_size` of the HTTP Log plugin, or raise `body_bytes_max` of the source: the lines behind such \
             a request wait for it",
        ),
        (
            Refusal::NotHttp,
            "are not HTTP",
            "another program sends to this port, or a TCP Log plugin: this port takes what Kong's HTTP Log plugin sends",
        ),
        (
            Refusal::Busy,
            "found no room",
            "the disk is too slow for what comes in, or senders hold bodies back; Kong sends these again",
        ),
        (
            Refusal::NotStored,
            "could not be stored",
            "look at the disk, at `log.total_bytes_max` and at outrider's own log; until then Kong keeps the lines, up to \
             `queue.max_entries`",
        ),
    ];
    let (refusal, what, todo) = remedies.into_iter().find(|(refusal, ..)| of(*refusal) > 0)?;
    let seen = format!("{} requests {what}; {} lines came", of(refusal), counters.received);
    Some(match counters.received {
        0 => Check::failed(Id::LinesArriving, name, seen, todo),
        _ => Check::warning(Id::LinesArriving, name, seen, todo),
    })
}

/// Connections that were closed: one side speaks TLS and the other does not, or they took what others need.
fn refused_connections(name: &str, counters: &CountersSnapshot, now_ms: i64) -> Option<Check> {
    let (counts, last_ms) = (&counters.connections_refused, &counters.connections_refused_last_ms);
    let of = |refusal: ConnectionRefusal| lately(counts, last_ms, refusal.as_str(), now_ms);
    let remedies = [
        (
            ConnectionRefusal::PlainToTls,
            "speak plain, and the source TLS",
            "run `outrider kong setup`, which switches TLS on in Kong's log plugin; if that is on, another program connects (ss \
             -tnp): let health checks only open a connection",
        ),
        (
            ConnectionRefusal::TlsToPlain,
            "speak TLS, and the source plain",
            "run `outrider kong setup`, which switches TLS off in Kong's log plugin; or give the source a certificate (`tls`), restart \
             outrider, and run it then",
        ),
        (
            ConnectionRefusal::HandshakeFailed,
            "could not be agreed with on TLS",
            "outrider's log says why at the level `debug`; Kong's own says what it saw. A client that checks certificates wants \
             the authority of this one, which Kong does not",
        ),
        (
            ConnectionRefusal::HandshakeSlow,
            "did not end their TLS handshake in time",
            "look at the network between Kong and this port; if Kong's lines come, another program connects (ss -tnp)",
        ),
        (
            ConnectionRefusal::OverAddressLimit,
            "were too many from one address",
            "outrider's log names the address. If it is Kong's, or that of what is in front of this port, raise \
             `connections_per_address_max` of the source; else find what connects there (ss -tnp) and stop it",
        ),
        (
            ConnectionRefusal::LineSlow,
            "began a line and did not end it within a minute",
            "look at the network between Kong and this port; if Kong's lines come, another program connects (ss -tnp)",
        ),
    ];
    let (refusal, what, todo) = remedies.into_iter().find(|(refusal, ..)| of(*refusal) > 0)?;
    let seen = format!("{} connections {what}; {} lines came", of(refusal), counters.received);
    Some(match counters.received {
        0 => Check::failed(Id::LinesArriving, name, seen, todo),
        _ => Check::warning(Id::LinesArriving, name, seen, todo),
    })
}

/// How many were refused for a reason, if one was lately.
pub(super) fn lately(
    counts: &BTreeMap<String, u64>,
    last_ms: &BTreeMap<String, i64>,
    reason: &str,
    now_ms: i64,
) -> u64 {
    let last_ms = last_ms.get(reason).copied().unwrap_or(0);
    let count = counts.get(reason).copied().unwrap_or(0);
    if past(last_ms, now_ms).is_some() { 0 } else { count }
}

pub(super) fn ago(ms: i64) -> String {
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// When the last of something was, for people, if that is so long ago that it is no trouble any more.
fn past(last_ms: i64, now_ms: i64) -> Option<String> {
    let since_ms = now_ms - last_ms;
    (since_ms > HELD_MS).then(|| format!("the last one {} ago", ago(since_ms)))
}

fn readable(name: &str, counters: &CountersSnapshot, now_ms: i64) -> Check {
    let (rejected, streams) = (counters.unreadable_total(), counters.streams());
    let received = counters.received;
    if rejected == 0 && streams > 0 {
        let seen = format!(
            "every line is one of Kong's; {streams} of {received} are of connections that it passes on as streams, and hold no call"
        );
        return Check::ok(Id::LinesReadable, name, seen);
    }
    if rejected == 0 {
        return Check::ok(Id::LinesReadable, name, "every line is one of Kong's");
    }
    let mut kinds: Vec<(u64, &str, Option<&OutlineSeen>)> =
        counters.health.outlines.iter().map(|seen| (seen.lines, seen.reason.as_str(), Some(seen))).collect();
    // A line that is too long, or has no room, is given up before there is an outline.
    for given_up in [Rejection::TooLong, Rejection::NoRoom] {
        let lines = counters.rejected.get(given_up.as_str());
        kinds.extend(lines.map(|lines| (*lines, given_up.as_str(), None)));
    }
    // What is no log at all has line ends in it, so its first line tells what it is and the rest is text or bytes.
    let is_rest = |seen: &Option<&OutlineSeen>| seen.is_some_and(|seen| matches!(&*seen.outline, "text" | "binary"));
    kinds.sort_by_key(|(lines, _, seen)| (is_rest(seen), std::cmp::Reverse(*lines)));
    let shown = kinds.iter().map(|(lines, reason, seen)| match seen {
        Some(seen) => {
            format!("{lines} {reason} (looks like {}, up to {} bytes)", words(&seen.outline), seen.longest_bytes)
        }
        None => format!("{lines} {reason}"),
    });
    let seen = format!("{rejected} of {received} lines are no calls: {}", some_of(shown));
    if rejected * 100 <= received * UNREADABLE_PERCENT_MAX {
        return Check::ok(Id::LinesReadable, name, seen);
    }
    if let Some(past) = past(counters.health.last_rejected_ms, now_ms) {
        return Check::ok(Id::LinesReadable, name, format!("{seen}; {past}"));
    }
    let todo = kinds.first().map_or("look at what sends to this port", |(_, reason, seen)| {
        remedy(reason, seen.map_or("", |seen| &seen.outline))
    });
    if rejected >= received {
        return Check::failed(Id::LinesReadable, name, seen, todo);
    }
    Check::warning(Id::LinesReadable, name, seen, todo)
}

fn words(outline: &str) -> &str {
    match outline {
        "http" => "HTTP",
        "syslog" => "syslog",
        "object" => "a JSON object",
        "array" => "a JSON array",
        "text" => "text",
        _ => "no text",
    }
}

fn remedy(reason: &str, outline: &str) -> &'static str {
    match (reason, outline) {
        (_, "http") => {
            "an HTTP client sends here: Kong's HTTP Log plugin, a health check or a scrape. Kong's TCP Log plugin is what this \
             port takes; for HTTP Log there is the source kong_http_log. Let health checks only open a connection"
        }
        (_, "syslog") => {
            "a syslog sender has this port: point it elsewhere; Kong's TCP Log plugin is what this port takes"
        }
        ("too_long", _) => "raise `line_bytes_max` of the source: Kong writes a long path several times into a line",
        ("no_room", _) => {
            "many connections hold lines that do not end: look at the network between Kong and this port, and at what else \
             connects there (ss -tnp)"
        }
        ("torn", _) => "lines end in the middle: look at the network, and at whether Kong is being killed",
        ("no_request", "object") => {
            "it is JSON, and not a line of Kong's: does `custom_fields_by_lua` of the log plugin take `request` or `response` \
             away, or does another program send here?"
        }
        (_, "array") => {
            "somebody sends arrays, as HTTP Log does in batches: Kong's TCP Log plugin is what this port takes, and for HTTP Log \
             there is the source kong_http_log"
        }
        _ => {
            "another program than Kong's log plugin sends to this port: find it by its connection (ss -tnp) and stop it"
        }
    }
}

fn trusted(name: &str, counters: &CountersSnapshot, has_secret: bool, now_ms: i64) -> Check {
    let (untrusted, without) = (counters.untrusted, counters.health.without_secret);
    if !has_secret {
        return Check::ok(Id::LinesTrusted, name, "the source asks for no secret, so every line is trusted");
    }
    if untrusted == 0 {
        return Check::ok(Id::LinesTrusted, name, "every line carries the secret");
    }
    let wrong = untrusted.saturating_sub(without);
    let seen = format!("{untrusted} calls are untrusted: {without} carried no secret, {wrong} a wrong one");
    if let Some(past) = past(counters.health.last_untrusted_ms, now_ms) {
        return Check::ok(Id::LinesTrusted, name, format!("{seen}; {past}"));
    }
    let todo = "see `log.secret`; lines from before it was put right count for ten minutes. Untrusted calls train no profile and \
                lead to proposals only";
    if untrusted >= counters.received.saturating_sub(counters.rejected_total()) {
        return Check::failed(Id::LinesTrusted, name, seen, todo);
    }
    Check::warning(Id::LinesTrusted, name, seen, todo)
}

fn clock(name: &str, counters: &CountersSnapshot) -> Check {
    let mut check = judge_clock(Id::LinesClock, name, "the gateway's clock", counters.health.clock_offset_ms);
    if counters.health.clock_clamped > 0 {
        check.seen =
            format!("{}; the time of {} calls was too far off to be used", check.seen, counters.health.clock_clamped);
    }
    check
}

fn addresses(name: &str, counters: &CountersSnapshot, trusts_proxies: Option<bool>, now_ms: i64) -> Check {
    let forwarded = counters.health.forwarded;
    if forwarded == 0 {
        return Check::ok(Id::LinesAddresses, name, "no call names another client than the one that Kong logs");
    }
    let seen = format!(
        "{forwarded} calls came through a proxy whose own address Kong logs as the client's (or carried an X-Forwarded-For or \
         Forwarded of the client's own)"
    );
    if let Some(past) = past(counters.health.last_forwarded_ms, now_ms) {
        return Check::ok(Id::LinesAddresses, name, format!("{seen}; {past}"));
    }
    if trusts_proxies == Some(true) {
        let todo = "Kong trusts some proxies: see that `trusted_ips` has all of yours and that `real_ip_header` is \
                    X-Forwarded-For; nothing, if clients send that header themselves";
        return Check::warning(Id::LinesAddresses, name, seen, todo);
    }
    let todo = "set `trusted_ips` to your load balancers and `real_ip_header = X-Forwarded-For` in kong.conf, or `trusted_proxies` of \
                the source, where Kong is to stay as it is: until then all clients behind one look like one address";
    Check::warning(Id::LinesAddresses, name, seen, todo)
}
