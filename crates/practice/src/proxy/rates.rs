//! The counters of the rate-limiting plugin, policy `local`.
//!
//! Windows are aligned to the clock, and a counter belongs to the scope of the configuration and to who is limited, not
//! to the plugin: it outlives deleting and creating it within the window, as in Kong. All workers share the counters.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::configuration::{RateLimiting, Scope};
use crate::schema::plugins::PERIODS;

/// Counters kept at most. At the limit those of past windows go, and if that is not enough, all.
pub(crate) const COUNTERS_MAX: usize = 100_000;

const SECONDS: [i64; 6] = [1, 60, 3600, 86_400, 2_592_000, 31_536_000];

/// What the plugin says about one call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Whether the call is refused.
    pub(crate) stops: bool,
    /// For the client, on refusals and on calls that pass.
    pub(crate) headers: Vec<(String, String)>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    route: Option<String>,
    service: Option<String>,
    identifier: String,
    period: usize,
}

struct Counter {
    window_ms: i64,
    ends_ms: i64,
    calls: u64,
}

/// All counters.
#[derive(Default)]
pub(crate) struct Rates {
    counters: HashMap<Key, Counter>,
    dropped: u64,
}

impl Rates {
    /// Judges a call, and counts it when it passes.
    pub(crate) fn judge(&mut self, config: &RateLimiting, scope: &Scope, identifier: &str, now_ms: i64) -> Verdict {
        let limits = [config.second, config.minute, config.hour, config.day, config.month, config.year];
        let mut usage = Vec::new();
        let mut stop = None;
        for (period, limit) in limits.iter().enumerate().filter_map(|(period, limit)| Some((period, (*limit)?))) {
            let window_ms = window_start_ms(period, now_ms);
            let key = key(scope, identifier, period);
            let calls = self.counters.get(&key).filter(|counter| counter.window_ms == window_ms).map_or(0, |c| c.calls);
            let remaining = limit - calls as f64;
            usage.push((period, limit, remaining, window_ms));
            if remaining <= 0.0 {
                stop = Some(period);
            }
        }
        let headers = if config.hide_client_headers { Vec::new() } else { headers(&usage, stop, now_ms) };
        if stop.is_none() {
            for (period, _, _, window_ms) in usage {
                self.count(key(scope, identifier, period), window_ms, window_ms + SECONDS[period] * 1000, now_ms);
            }
        }
        Verdict { stops: stop.is_some(), headers }
    }

    /// Counters thrown away because there were too many, since last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn count(&mut self, key: Key, window_ms: i64, ends_ms: i64, now_ms: i64) {
        if self.counters.len() >= COUNTERS_MAX && !self.counters.contains_key(&key) {
            self.counters.retain(|_, counter| counter.ends_ms > now_ms);
            if self.counters.len() >= COUNTERS_MAX {
                self.dropped += self.counters.len() as u64;
                self.counters.clear();
            }
        }
        let counter = self.counters.entry(key).or_insert(Counter { window_ms, ends_ms, calls: 0 });
        if counter.window_ms != window_ms {
            *counter = Counter { window_ms, ends_ms, calls: 0 };
        }
        counter.calls += 1;
    }
}

fn key(scope: &Scope, identifier: &str, period: usize) -> Key {
    Key { route: scope.route.clone(), service: scope.service.clone(), identifier: identifier.to_owned(), period }
}

/// The header of the tightest limit speaks for all.
fn headers(usage: &[(usize, f64, f64, i64)], stop: Option<usize>, now_ms: i64) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let mut tightest: Option<(f64, i64, f64, i64)> = None;
    for (period, limit, remaining, window_ms) in usage {
        let counts_this = stop.is_none_or(|stop| stop == *period);
        let remaining = if counts_this { remaining - 1.0 } else { *remaining }.max(0.0);
        let length_s = SECONDS[*period];
        let tighter =
            tightest.is_none_or(|(_, other_s, other, _)| remaining < other || remaining == other && length_s > other_s);
        if tighter {
            let reset_s = (length_s - (now_ms - window_ms) / 1000).max(1);
            tightest = Some((*limit, length_s, remaining, reset_s));
        }
        let name = capital(PERIODS[*period]);
        headers.push((format!("X-RateLimit-Limit-{name}"), format!("{limit}")));
        headers.push((format!("X-RateLimit-Remaining-{name}"), format!("{remaining}")));
    }
    if let Some((limit, _, remaining, reset_s)) = tightest {
        headers.push(("RateLimit-Limit".to_owned(), format!("{limit}")));
        headers.push(("RateLimit-Remaining".to_owned(), format!("{remaining}")));
        headers.push(("RateLimit-Reset".to_owned(), format!("{reset_s}")));
        if stop.is_some() {
            headers.push(("Retry-After".to_owned(), format!("{reset_s}")));
        }
    }
    headers
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// When the window that holds this moment began, in UTC.
fn window_start_ms(period: usize, now_ms: i64) -> i64 {
    if period < 4 {
        let length_ms = SECONDS[period] * 1000;
        return now_ms.div_euclid(length_ms) * length_ms;
    }
    let Ok(now) = Timestamp::from_millisecond(now_ms) else {
        return 0;
    };
    let date = now.to_zoned(TimeZone::UTC).date();
    let first = if period == 4 { date.first_of_month() } else { date.first_of_year() };
    first.to_zoned(TimeZone::UTC).map_or(0, |first| first.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiting(minute: Option<f64>, hour: Option<f64>) -> RateLimiting {
        RateLimiting {
            second: None,
            minute,
            hour,
            day: None,
            month: None,
            year: None,
            limit_by: "consumer".to_owned(),
            header_name: None,
            path: None,
            hide_client_headers: false,
            error_code: 429.0,
            error_message: String::new(),
        }
    }

    fn header(verdict: &Verdict, name: &str) -> Option<String> {
        verdict.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    /// 2026-11-23 15:50:09 UTC, as recorded: 51 s before the minute ends.
    const NOW_MS: i64 = 1_795_449_009_000;

    #[test]
    fn three_a_minute() {
        let mut rates = Rates::default();
        let config = limiting(Some(3.0), None);
        let mut remaining = Vec::new();
        for _ in 0..5 {
            let verdict = rates.judge(&config, &Scope::default(), "bob", NOW_MS);
            remaining.push((verdict.stops, header(&verdict, "RateLimit-Remaining")));
            assert_eq!(header(&verdict, "RateLimit-Reset").as_deref(), Some("51"));
            assert_eq!(header(&verdict, "Retry-After").is_some(), verdict.stops);
        }
        let expected = [(false, "2"), (false, "1"), (false, "0"), (true, "0"), (true, "0")];
        assert_eq!(remaining, expected.map(|(stops, left)| (stops, Some(left.to_owned()))));
        assert!(!rates.judge(&config, &Scope::default(), "alice", NOW_MS).stops);
        assert!(!rates.judge(&config, &Scope::default(), "bob", NOW_MS + 51_000).stops);
    }

    #[test]
    fn a_counter_outlives_its_plugin_and_a_raised_limit() {
        let mut rates = Rates::default();
        for _ in 0..3 {
            rates.judge(&limiting(Some(3.0), None), &Scope::default(), "bob", NOW_MS);
        }
        let verdict = rates.judge(&limiting(Some(50.0), None), &Scope::default(), "bob", NOW_MS);
        assert_eq!(header(&verdict, "RateLimit-Remaining").as_deref(), Some("46"));
        let service = Scope { service: Some("s".to_owned()), ..Scope::default() };
        let verdict = rates.judge(&limiting(Some(50.0), None), &service, "bob", NOW_MS);
        assert_eq!(header(&verdict, "RateLimit-Remaining").as_deref(), Some("49"));
    }

    #[test]
    fn the_tightest_limit_speaks() {
        let mut rates = Rates::default();
        let verdict = rates.judge(&limiting(Some(2.0), Some(100.0)), &Scope::default(), "bob", NOW_MS);
        assert_eq!(header(&verdict, "RateLimit-Limit").as_deref(), Some("2"));
        assert_eq!(header(&verdict, "X-RateLimit-Remaining-Hour").as_deref(), Some("99"));
    }

    #[test]
    fn counters_are_bounded() {
        let mut rates = Rates::default();
        let config = limiting(Some(1.0), None);
        for caller in 0..=COUNTERS_MAX {
            rates.judge(&config, &Scope::default(), &caller.to_string(), NOW_MS);
        }
        assert!(rates.counters.len() <= COUNTERS_MAX);
        assert_eq!(rates.take_dropped(), COUNTERS_MAX as u64);
    }

    #[test]
    fn months_and_years_begin_with_the_calendar() {
        assert_eq!(window_start_ms(4, NOW_MS), 1_793_491_200_000);
        assert_eq!(window_start_ms(5, NOW_MS), 1_767_225_600_000);
    }
}
