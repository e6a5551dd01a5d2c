//! What a look at a source's health needs besides counts: when the last line came, how far the gateway's clock is off,
//! whose addresses it logs, what rejected lines look like, which probes have arrived.
//!
//! It holds no content of a line (decision 7): the outline of a rejected one is a word from a fixed list.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use outrider_model::{ApiCall, ClockCheck, FieldValue, Trust};
use serde::{Deserialize, Serialize};

use crate::Rejection;
use crate::normalise::named_in;

/// What the last segment of a probe's path begins with; 16 hexadecimal digits follow.
pub const PROBE_MARK: &str = "outrider-probe-";

/// Probes that are remembered; the oldest is forgotten first.
const PROBES_MAX: usize = 8;

/// What a rejected line looks like from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outline {
    /// The first line of an HTTP request or response.
    Http,
    /// A syslog message: `<13>…`.
    Syslog,
    /// A JSON object, or what begins like one.
    Object,
    /// A JSON array, or what begins like one.
    Array,
    /// Other readable text.
    Text,
    /// Bytes that are no text.
    Binary,
}

impl Outline {
    /// All outlines, in the order of their counters.
    pub const ALL: [Outline; 6] =
        [Outline::Http, Outline::Syslog, Outline::Object, Outline::Array, Outline::Text, Outline::Binary];

    /// The outline's name in counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Outline::Http => "http",
            Outline::Syslog => "syslog",
            Outline::Object => "object",
            Outline::Array => "array",
            Outline::Text => "text",
            Outline::Binary => "binary",
        }
    }

    /// Judges a line by its beginning, so that a long one costs no more than a short one.
    pub fn of(line: &[u8]) -> Self {
        const LOOKED_AT_BYTES: usize = 256;
        let beginning = &line[..line.len().min(LOOKED_AT_BYTES)];
        let is_http = beginning.starts_with(b"HTTP/1.") || memchr::memmem::find(line_end(line), b" HTTP/1.").is_some();
        match beginning.trim_ascii_start() {
            [b'{', ..] => Outline::Object,
            [b'[', ..] => Outline::Array,
            [b'<', b'0'..=b'9', ..] => Outline::Syslog,
            _ if is_http => Outline::Http,
            text if text.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) => Outline::Binary,
            _ => Outline::Text,
        }
    }
}

/// The end of a line, where an HTTP request has its version.
fn line_end(line: &[u8]) -> &[u8] {
    const VERSION_BYTES: usize = 12;
    &line[line.len().saturating_sub(VERSION_BYTES)..]
}

/// The shared part. Everything is written by the connections and read by who asks.
#[derive(Debug, Default)]
pub(crate) struct Health {
    last_received_ms: AtomicI64,
    last_rejected_ms: AtomicI64,
    last_untrusted_ms: AtomicI64,
    last_forwarded_ms: AtomicI64,
    clock_offset_ms: AtomicI64,
    clock_clamped: AtomicU64,
    without_secret: AtomicU64,
    forwarded: AtomicU64,
    outlines: [[OutlineCounter; Outline::ALL.len()]; Rejection::ALL.len()],
    probes: Mutex<VecDeque<ProbeSeen>>,
}

#[derive(Debug, Default)]
struct OutlineCounter {
    lines: AtomicU64,
    longest_bytes: AtomicU64,
}

/// A source's health at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthSnapshot {
    /// When the last record came, by the collector's clock; 0 if none did.
    pub last_received_ms: i64,
    /// When the last record came that is no call; 0 if none did.
    pub last_rejected_ms: i64,
    /// When the last untrusted call came; 0 if none did.
    pub last_untrusted_ms: i64,
    /// When the last call came that counts in `forwarded`; 0 if none did.
    pub last_forwarded_ms: i64,
    /// How far the last call's end, by the gateway's clock, lies after its receive time. Below zero: before it.
    pub clock_offset_ms: i64,
    /// Calls whose time was so far off that it was clamped.
    pub clock_clamped: u64,
    /// Calls that carried no secret at all where the source has one. The other untrusted ones carried a wrong one.
    pub without_secret: u64,
    /// Calls that a proxy forwarded for somebody whose address is not the client address that the gateway logged.
    pub forwarded: u64,
    /// What rejected lines looked like.
    pub outlines: Vec<OutlineSeen>,
    /// The last probes that arrived.
    pub probes: Vec<ProbeSeen>,
}

/// How many rejected lines looked alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineSeen {
    /// Why they were rejected, as [`Rejection::as_str`] says it.
    pub reason: String,
    /// What they looked like, as [`Outline::as_str`] says it.
    pub outline: String,
    /// How many.
    pub lines: u64,
    /// The longest of them.
    pub longest_bytes: u64,
}

/// A probe that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSeen {
    /// Its digits.
    pub mark: String,
    /// When it came.
    pub received_ms: i64,
    /// It carried the source's secret, or the source has none.
    pub is_trusted: bool,
}

/// What one read showed, gathered first as [`crate::counters::Tally`] is.
#[derive(Debug, Default)]
pub(crate) struct HealthTally {
    pub(crate) without_secret: u64,
    pub(crate) rejected: u64,
    untrusted: u64,
    clock_offset_ms: Option<i64>,
    clock_clamped: u64,
    forwarded: u64,
}

impl HealthTally {
    pub(crate) fn see(&mut self, call: &ApiCall<'_>) {
        if matches!(call.clock, ClockCheck::ClampedPast | ClockCheck::ClampedFuture) {
            self.clock_clamped += 1;
        }
        if call.clock != ClockCheck::Missing {
            let ended_ms = call.started_ms.saturating_add(i64::from(call.latency.total_ms.max(0)));
            self.clock_offset_ms = Some(ended_ms.saturating_sub(call.received_ms));
        }
        self.untrusted += u64::from(call.trust == Trust::Untrusted);
        self.forwarded += u64::from(is_forwarded_past(call));
    }
}

impl Health {
    pub(crate) fn add(&self, tally: &HealthTally, received_ms: i64) {
        self.last_received_ms.store(received_ms, Ordering::Relaxed);
        for (last_ms, seen) in [
            (&self.last_rejected_ms, tally.rejected),
            (&self.last_untrusted_ms, tally.untrusted),
            (&self.last_forwarded_ms, tally.forwarded),
        ] {
            if seen > 0 {
                last_ms.store(received_ms, Ordering::Relaxed);
            }
        }
        if let Some(offset_ms) = tally.clock_offset_ms {
            self.clock_offset_ms.store(offset_ms, Ordering::Relaxed);
        }
        for (counter, more) in [
            (&self.clock_clamped, tally.clock_clamped),
            (&self.without_secret, tally.without_secret),
            (&self.forwarded, tally.forwarded),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn rejected(&self, reason: Rejection, outline: Outline, lines: u32, longest_bytes: usize) {
        let counter = &self.outlines[reason as usize][outline as usize];
        counter.lines.fetch_add(lines.into(), Ordering::Relaxed);
        counter.longest_bytes.fetch_max(longest_bytes as u64, Ordering::Relaxed);
    }

    /// Remembers the call if it is a probe.
    pub(crate) fn look_for_probe(&self, call: &ApiCall<'_>) {
        if let Some(probe) = probe_of(call) {
            self.remember_probe(probe);
        }
    }

    pub(crate) fn remember_probe(&self, probe: ProbeSeen) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        if probes.len() >= PROBES_MAX {
            probes.pop_front();
        }
        probes.push_back(probe);
    }

    pub(crate) fn snapshot(&self) -> HealthSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let outlines = Rejection::ALL.into_iter().zip(&self.outlines).flat_map(|(reason, counters)| {
            Outline::ALL.into_iter().zip(counters).map(move |(outline, counter)| OutlineSeen {
                reason: reason.as_str().to_owned(),
                outline: outline.as_str().to_owned(),
                lines: read(&counter.lines),
                longest_bytes: read(&counter.longest_bytes),
            })
        });
        HealthSnapshot {
            last_received_ms: self.last_received_ms.load(Ordering::Relaxed),
            last_rejected_ms: self.last_rejected_ms.load(Ordering::Relaxed),
            last_untrusted_ms: self.last_untrusted_ms.load(Ordering::Relaxed),
            last_forwarded_ms: self.last_forwarded_ms.load(Ordering::Relaxed),
            clock_offset_ms: self.clock_offset_ms.load(Ordering::Relaxed),
            clock_clamped: read(&self.clock_clamped),
            without_secret: read(&self.without_secret),
            forwarded: read(&self.forwarded),
            outlines: outlines.filter(|seen| seen.lines > 0).collect(),
            probes: self.probes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect(),
        }
    }
}

/// The call as a probe, if it is one.
pub(crate) fn probe_of(call: &ApiCall<'_>) -> Option<ProbeSeen> {
    let mark = probe_mark(&call.path)?.to_owned();
    Some(ProbeSeen { mark, received_ms: call.received_ms, is_trusted: call.trust == Trust::Trusted })
}

/// The digits of a probe's path.
fn probe_mark(path: &str) -> Option<&str> {
    let (_, last) = path.rsplit_once('/')?;
    let mark = last.strip_prefix(PROBE_MARK)?;
    (mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(mark)
}

/// A proxy names whom it asks for, in `X-Forwarded-For` or `Forwarded` as it is configured, and passes the other one on as it came.
/// A gateway that trusts the proxy logs one of these as the client.
fn is_forwarded_past(call: &ApiCall<'_>) -> bool {
    let Some(client) = call.client_ip else { return false };
    let mut is_forwarded = false;
    for field in call.headers.iter().filter(|field| matches!(&*field.name, "x-forwarded-for" | "forwarded")) {
        // Of a value that does not leave, nothing can be said.
        let FieldValue::Clear(value) = &field.value else { continue };
        for named in named_in(&field.name, value) {
            if named == Some(client) {
                return false;
            }
            is_forwarded = true;
        }
    }
    is_forwarded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Normaliser, NormaliserSettings, PseudonymKey, Scratch};

    #[test]
    fn an_outline_is_told_from_the_beginning() {
        for (line, expected) in [
            (b"POST /log HTTP/1.1\r".as_slice(), Outline::Http),
            (b"HTTP/1.1 200 OK", Outline::Http),
            (b"Content-Length: 12\r", Outline::Text),
            (b"<134>Nov 24 kong: {}", Outline::Syslog),
            (b"  {\"a\":", Outline::Object),
            (b"[{\"a\":1}]", Outline::Array),
            (b"hello", Outline::Text),
            (b"", Outline::Text),
            (b"a\0b", Outline::Binary),
            ("caf\u{e9} \u{2603}".as_bytes(), Outline::Text),
        ] {
            assert_eq!(Outline::of(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn what_a_call_shows_of_the_gateway_is_counted() {
        let normaliser = Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[1; 32])).unwrap();
        let now_ms = 1_795_448_391_727;
        let probe = "/shop/outrider-probe-0123456789abcdef";
        // Path, client, header of a proxy, when it started; forwarded past, clock offset, is a probe.
        let x = |value| Some(("X-Forwarded-For", value));
        let standard = |value| Some(("Forwarded", value));
        let cases = [
            ("/", "10.0.0.9", None, now_ms - 5, (0, -2, false)),
            ("/", "10.0.0.9", x("198.51.100.1"), now_ms - 3, (1, 0, false)),
            ("/", "198.51.100.1", x("203.0.113.5, 198.51.100.1"), now_ms, (0, 3, false)),
            ("/", "198.51.100.1", x("198.51.100.1:4711"), now_ms, (0, 3, false)),
            ("/", "2001:db8::1", x("[2001:db8::1]"), now_ms + 60_000, (0, 60_003, false)),
            ("/", "10.0.0.9", x("unknown"), now_ms, (1, 3, false)),
            ("/", "10.0.0.9", standard("for=198.51.100.1;proto=https"), now_ms, (1, 3, false)),
            ("/", "10.0.0.9", standard("for=203.0.113.5, for=\"[2001:db8::1]:4711\""), now_ms, (1, 3, false)),
            ("/", "198.51.100.1", standard("for=203.0.113.5, For=\"198.51.100.1:80\""), now_ms, (0, 3, false)),
            ("/", "2001:db8::1", standard("by=10.0.0.9;for=\"[2001:db8::1]\""), now_ms, (0, 3, false)),
            ("/", "10.0.0.9", standard("for=_hidden"), now_ms, (1, 3, false)),
            ("/", "10.0.0.9", standard("by=10.0.0.1;proto=https"), now_ms, (0, 3, false)),
            (probe, "10.0.0.9", None, now_ms, (0, 3, true)),
            ("/shop/outrider-probe-0123", "10.0.0.9", None, now_ms, (0, 3, false)),
            ("/shop/outrider-probe-0123456789abcdeg", "10.0.0.9", None, now_ms, (0, 3, false)),
        ];
        for (path, client, forwarded, started_ms, expected) in cases {
            let mut headers = serde_json::json!({"host": "shop"});
            if let Some((header, named)) = forwarded {
                headers[header] = named.into();
            }
            let line = serde_json::json!({
                "request": {"uri": path, "method": "GET", "headers": headers}, "response": {"status": 200},
                "client_ip": client, "started_at": started_ms, "latencies": {"request": 3},
            });
            let (line, mut scratch) = (line.to_string(), Scratch::default());
            let call = normaliser.normalise(line.as_bytes(), Some(now_ms), &mut scratch).unwrap();
            let (health, mut tally) = (Health::default(), HealthTally::default());
            tally.see(&call);
            health.look_for_probe(&call);
            health.add(&tally, now_ms);
            let seen = health.snapshot();
            assert_eq!((seen.forwarded, seen.clock_offset_ms, !seen.probes.is_empty()), expected, "{path} {client}");
            assert_eq!(seen.last_received_ms, now_ms);
            assert_eq!(seen.last_forwarded_ms, if expected.0 > 0 { now_ms } else { 0 });
        }
    }

    #[test]
    fn a_proxy_may_write_one_header_and_pass_on_the_other() {
        let settings = |proxies: Option<&str>| NormaliserSettings {
            trusted_proxies: proxies.map(|header| crate::TrustedProxies {
                networks: vec!["10.0.0.9".parse().unwrap()],
                header: header.to_owned(),
            }),
            ..NormaliserSettings::new("kong")
        };
        let headers = r#"{"x-forwarded-for":"203.0.113.5","forwarded":"for=198.51.100.1"}"#;
        let line = format!(r#"{{"request":{{"uri":"/","headers":{headers}}},"client_ip":"10.0.0.9"}}"#);
        let mut kept = settings(None);
        kept.field_policies = toml::from_str("header = { x-forwarded-for = 'drop', forwarded = 'mask' }").unwrap();
        for (settings, expected) in
            [(settings(None), 1), (settings(Some("forwarded")), 0), (settings(Some("x-forwarded-for")), 0), (kept, 0)]
        {
            let normaliser = Normaliser::new(settings, PseudonymKey::from_bytes(&[1; 32])).unwrap();
            let (mut tally, mut scratch) = (HealthTally::default(), Scratch::default());
            tally.see(&normaliser.normalise(line.as_bytes(), Some(1), &mut scratch).unwrap());
            assert_eq!(tally.forwarded, expected, "{normaliser:?}");
        }
    }

    #[test]
    fn only_the_last_probes_are_remembered() {
        let normaliser = Normaliser::new(NormaliserSettings::new("kong"), PseudonymKey::from_bytes(&[1; 32])).unwrap();
        let health = Health::default();
        for number in 0..100 {
            let line = format!(r#"{{"request":{{"uri":"/{PROBE_MARK}{number:016x}"}},"response":{{"status":404}}}}"#);
            let mut scratch = Scratch::default();
            health.look_for_probe(&normaliser.normalise(line.as_bytes(), Some(1), &mut scratch).unwrap());
        }
        let probes = health.snapshot().probes;
        assert_eq!(probes.len(), PROBES_MAX);
        assert_eq!(probes[PROBES_MAX - 1].mark, format!("{:016x}", 99));
    }
}
