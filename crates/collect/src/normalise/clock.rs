//! When a call happened (decision 9).
//!
//! Decides event time: `started_at` + `latencies.request`, clamped to 15 min before and 5 s after receive time. Where a raw file
//! has no receive times, the highest event time so far stands in.

use outrider_model::{ApiCall, ClockCheck, SKEW_FUTURE_MS_MAX, SKEW_PAST_MS_MAX};

use crate::kong::Int;

/// A jump of a raw file's time by more than this needs a second line that says the same.
const JUMP_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// Times outside 2000 to 2100 are no times: 2000-01-01 and 2100-01-01 UTC.
const PLAUSIBLE_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

pub(super) struct EventTime {
    pub(super) received_ms: i64,
    pub(super) started_ms: i64,
    pub(super) event_ms: i64,
    pub(super) check: ClockCheck,
}

/// Time of a call. Without a receive time the call's own time stands in, 0 if it has none.
pub(super) fn event_time(started_at: Int, latency: Int, received_ms: Option<i64>) -> EventTime {
    let Some(started_ms) = started_at.value().filter(|started_ms| PLAUSIBLE_MS.contains(started_ms)) else {
        let received_ms = received_ms.unwrap_or(0);
        return EventTime { received_ms, started_ms: received_ms, event_ms: received_ms, check: ClockCheck::Missing };
    };
    let reported_ms = started_ms.saturating_add(latency.value().unwrap_or(0).clamp(0, i64::from(i32::MAX)));
    let received_ms = received_ms.unwrap_or(reported_ms);
    let (event_ms, check) = clamp(reported_ms, received_ms);
    EventTime { received_ms, started_ms, event_ms, check }
}

fn clamp(reported_ms: i64, received_ms: i64) -> (i64, ClockCheck) {
    let earliest_ms = received_ms.saturating_sub(SKEW_PAST_MS_MAX);
    let latest_ms = received_ms.saturating_add(SKEW_FUTURE_MS_MAX);
    if reported_ms < earliest_ms {
        (earliest_ms, ClockCheck::ClampedPast)
    } else if reported_ms > latest_ms {
        (latest_ms, ClockCheck::ClampedFuture)
    } else {
        (reported_ms, ClockCheck::AsReported)
    }
}

/// Gives the calls of a raw file their receive times: the highest event time so far.
///
/// One line with a clock far ahead would push all later lines into its past, so a jump of more than a day counts only
/// when the next line with a time confirms it; the line that jumped first is clamped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunningMaximum {
    highest_ms: Option<i64>,
    doubted_ms: Option<i64>,
}

impl RunningMaximum {
    /// Sets the receive time of a call that was normalised without one, and clamps its event time to it.
    pub fn stamp(&mut self, call: &mut ApiCall<'_>) {
        if call.clock == ClockCheck::Missing {
            let received_ms = self.highest_ms.unwrap_or(0);
            (call.received_ms, call.started_ms, call.event_ms) = (received_ms, received_ms, received_ms);
            return;
        }
        let reported_ms = call.event_ms;
        call.received_ms = self.advance(reported_ms);
        (call.event_ms, call.clock) = clamp(reported_ms, call.received_ms);
    }

    /// The highest event time so far; `None` before the first line that has a time.
    pub fn latest_ms(&self) -> Option<i64> {
        self.highest_ms
    }

    fn advance(&mut self, reported_ms: i64) -> i64 {
        let Some(highest_ms) = self.highest_ms else {
            self.highest_ms = Some(reported_ms);
            return reported_ms;
        };
        if reported_ms.saturating_sub(highest_ms) <= JUMP_MS_MAX {
            self.doubted_ms = None;
            let highest_ms = highest_ms.max(reported_ms);
            self.highest_ms = Some(highest_ms);
            return highest_ms;
        }
        let confirmed =
            self.doubted_ms.is_some_and(|doubted_ms| reported_ms >= doubted_ms.saturating_sub(SKEW_PAST_MS_MAX));
        if confirmed {
            self.doubted_ms = None;
            self.highest_ms = Some(reported_ms);
            return reported_ms;
        }
        self.doubted_ms = Some(reported_ms);
        highest_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonRoom;

    const NOW_MS: i64 = 1_795_448_391_727;

    fn int(value: i64) -> Int {
        JsonRoom::default().read(value.to_string().as_bytes(), |value| Ok(Int::of(value))).unwrap()
    }

    #[test]
    fn event_time_is_clamped_to_receive_time() {
        use ClockCheck::{AsReported, ClampedFuture, ClampedPast, Missing};
        let earliest_ms = NOW_MS - SKEW_PAST_MS_MAX;
        let latest_ms = NOW_MS + SKEW_FUTURE_MS_MAX;
        let cases = [
            (NOW_MS - 13, 13, NOW_MS, AsReported),
            (NOW_MS - 13, -1, NOW_MS - 13, AsReported),
            (earliest_ms, 0, earliest_ms, AsReported),
            (earliest_ms - 1, 0, earliest_ms, ClampedPast),
            (earliest_ms - 1, 1, earliest_ms, AsReported),
            (latest_ms, 0, latest_ms, AsReported),
            (latest_ms, 1, latest_ms, ClampedFuture),
            (PLAUSIBLE_MS.start, 0, earliest_ms, ClampedPast),
            (PLAUSIBLE_MS.end - 1, i64::MAX, latest_ms, ClampedFuture),
            (PLAUSIBLE_MS.end, 0, NOW_MS, Missing),
            (0, 0, NOW_MS, Missing),
            (i64::MIN, i64::MIN, NOW_MS, Missing),
            (i64::MAX, i64::MAX, NOW_MS, Missing),
        ];
        for (started_ms, latency_ms, event_ms, check) in cases {
            let time = event_time(int(started_ms), int(latency_ms), Some(NOW_MS));
            assert_eq!((time.event_ms, time.check, time.received_ms), (event_ms, check, NOW_MS), "{started_ms}");
        }
        let time = event_time(Int::default(), int(5), Some(NOW_MS));
        assert_eq!((time.event_ms, time.started_ms, time.check), (NOW_MS, NOW_MS, Missing));
        let time = event_time(int(NOW_MS), int(5), None);
        assert_eq!((time.event_ms, time.received_ms, time.check), (NOW_MS + 5, NOW_MS + 5, AsReported));
    }

    #[test]
    fn a_raw_file_runs_on_its_highest_time() {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        let check = |reported: &[i64], expected: &[i64]| {
            let mut running = RunningMaximum::default();
            let received: Vec<i64> = reported.iter().map(|at| running.advance(NOW_MS + at) - NOW_MS).collect();
            assert_eq!(received, expected, "{reported:?}");
        };
        check(&[0, 5, 3, 10], &[0, 5, 5, 10]);
        check(&[0, -DAY_MS, 1], &[0, 0, 1]);
        // A quiet night is no jump.
        check(&[0, DAY_MS, 2 * DAY_MS], &[0, DAY_MS, 2 * DAY_MS]);
        // One clock far ahead does not take the others with it.
        check(&[0, 90 * DAY_MS, 1, 2], &[0, 0, 1, 2]);
        // A gap of a week is believed at the second line.
        check(&[0, 7 * DAY_MS, 7 * DAY_MS + 1, 7 * DAY_MS + 2], &[0, 0, 7 * DAY_MS + 1, 7 * DAY_MS + 2]);
        check(&[0, 7 * DAY_MS, 7 * DAY_MS - 1], &[0, 0, 7 * DAY_MS - 1]);
    }
}
