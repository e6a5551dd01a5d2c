use outrider_model::{Duration as Every, HuntQuestion, Severity};

use super::*;

const NOW_MS: i64 = 1_795_867_200_000;
const EVERY_MS: i64 = 300_000;
const YEAR_MS: i64 = 365 * 86_400_000;

fn hunt(look_back: Option<u32>) -> Hunt {
    Hunt {
        name: "a".to_owned(),
        description: String::new(),
        enabled: true,
        ask: HuntQuestion::Search("status:401".to_owned()),
        every: Every::Seconds(300),
        look_back: look_back.map(Every::Seconds),
        severity: Severity::Low,
        threshold: 1,
        gateways: Vec::new(),
    }
}

/// A call as the log has it.
#[derive(Debug, Clone, Copy)]
struct Call {
    position: u64,
    received_ms: i64,
}

impl Call {
    /// What the lake's condition says.
    fn is_in(&self, window: &HuntWindow) -> bool {
        let is_new = self.position > window.after && window.not_before_ms.is_none_or(|from| self.received_ms >= from);
        let is_again = window.again_from_ms.is_some_and(|from| self.received_ms >= from);
        self.position <= window.to && (is_new || is_again)
    }
}

/// A run a tick of a clock that does what it likes, with a call between two runs, received whenever it likes. Says the
/// windows and the calls.
fn runs(look_back: Option<u32>, clock: &[i64], received: impl Fn(i64) -> i64) -> (Vec<HuntWindow>, Vec<Call>) {
    let hunt = hunt(look_back);
    let (mut windows, mut calls, mut covered) = (Vec::new(), Vec::new(), None);
    for (number, now_ms) in clock.iter().enumerate() {
        calls.push(Call { position: number as u64 * 3 + 1, received_ms: received(*now_ms) });
        let window = next_window(&hunt, covered, number > 0, number as u64 * 3 + 2, *now_ms);
        covered = Some(HuntEnd { to: window.to, until_ms: window.until_ms });
        windows.push(window);
    }
    (windows, calls)
}

/// Clocks that run, stand, jump forth and back.
fn clocks() -> Vec<Vec<i64>> {
    let tick = |number: i64| NOW_MS + number * EVERY_MS;
    vec![
        (0..20).map(tick).collect(),
        (0..20).map(|_| NOW_MS).collect(),
        (0..20).map(|number| tick(number) + if number >= 10 { YEAR_MS } else { 0 }).collect(),
        (0..20).map(|number| tick(number) - if number >= 10 { YEAR_MS } else { 0 }).collect(),
        (0..20).map(|number| tick(number) + if (5..10).contains(&number) { YEAR_MS } else { 0 }).collect(),
    ]
}

#[test]
fn windows_touch_and_hold_every_call_once_whatever_the_clock_does() {
    for clock in clocks() {
        // The first window looks back for a while; from then on every call counts, also one that was held up for a day.
        for late_ms in [0, 86_400_000 * 2] {
            let (windows, calls) = runs(None, &clock, |now_ms| now_ms - late_ms);
            for pair in windows.windows(2) {
                assert_eq!(pair[0].to, pair[1].after, "{pair:?}");
                assert!(pair[1].since_ms <= pair[1].until_ms, "{pair:?}");
            }
            for call in &calls[1..] {
                let seen = windows.iter().filter(|window| call.is_in(window)).count();
                assert_eq!(seen, 1, "{call:?} {clock:?}");
            }
        }
    }
}

#[test]
fn windows_that_look_back_miss_nothing_whatever_the_clock_does() {
    for clock in clocks() {
        let (windows, calls) = runs(Some(3600), &clock, |now_ms| now_ms);
        for call in &calls {
            assert!(windows.iter().any(|window| call.is_in(window)), "{call:?} {clock:?}");
        }
    }
    let (windows, calls) = runs(Some(3600), &clocks()[0], |now_ms| now_ms);
    let seen = windows.iter().filter(|window| calls[4].is_in(window)).count();
    assert_eq!(seen, 13, "every five minutes for an hour, both ends included");
}

#[test]
fn after_an_interruption_at_most_a_day_is_made_up_for() {
    let ended = |before_ms: i64| Some(HuntEnd { to: 50, until_ms: NOW_MS - before_ms });
    let window = |look_back, before_ms, is_continuous| {
        next_window(&hunt(look_back), ended(before_ms), is_continuous, 90, NOW_MS)
    };
    let floor = Some(NOW_MS - HUNT_MADE_UP_MS_MAX);
    for (look_back, before_ms, is_continuous, expected) in [
        (None, EVERY_MS, false, None),
        (None, HUNT_MADE_UP_MS_MAX, false, None),
        (None, HUNT_MADE_UP_MS_MAX + 1, false, floor),
        (None, YEAR_MS, true, None),
        (Some(7 * 86_400), HUNT_MADE_UP_MS_MAX + 1, false, None),
        (Some(7 * 86_400), YEAR_MS, false, Some(NOW_MS - 7 * 86_400_000)),
    ] {
        let made = window(look_back, before_ms, is_continuous);
        assert_eq!((made.after, made.to, made.not_before_ms), (50, 90, expected), "{look_back:?} {before_ms}");
        assert_eq!(made.until_ms, NOW_MS);
    }
    assert_eq!(window(None, YEAR_MS, false).since_ms, NOW_MS - HUNT_MADE_UP_MS_MAX, "and it says so");
    assert_eq!(window(None, EVERY_MS, false).since_ms, NOW_MS - EVERY_MS);
}

#[test]
fn a_lake_that_is_behind_what_was_seen_gives_nothing_twice() {
    let window = next_window(&hunt(None), Some(HuntEnd { to: 50, until_ms: NOW_MS }), true, 40, NOW_MS);
    assert_eq!((window.after, window.to), (50, 50));
}

#[test]
fn a_hunt_is_due_when_its_time_is_over_and_when_the_clock_went_back() {
    for (last_ms, expected) in [
        (None, true),
        (Some(NOW_MS - EVERY_MS), true),
        (Some(NOW_MS - EVERY_MS + 1), false),
        (Some(NOW_MS), false),
        (Some(NOW_MS + 1), true),
        (Some(i64::MIN), true),
        (Some(i64::MAX), true),
    ] {
        assert_eq!(is_due(last_ms, EVERY_MS, NOW_MS), expected, "{last_ms:?}");
    }
}
