//! How long a destination that failed is left alone.

use std::time::Duration;

/// The wait after a first failure.
pub const RETRY_FIRST: Duration = Duration::from_secs(2);
/// The longest wait, whatever the destination asks for.
pub const RETRY_MAX: Duration = Duration::from_secs(15 * 60);

/// The wait before the next try, after so many failures in a row. It doubles each time; what the destination asks for
/// counts where it is longer. `chance`, from 0 to 1, adds up to a quarter, so that those who failed together do not come
/// back together.
pub fn retry_after(failures: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let wait = doubled.max(asked.unwrap_or_default()).min(RETRY_MAX);
    wait + wait.mul_f64(chance.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_heed_what_is_asked() {
        let cases = [
            (1, None, 0.0, 2.0),
            (2, None, 0.0, 4.0),
            (2, None, 1.0, 5.0),
            (5, None, 0.5, 36.0),
            (40, None, 0.0, 900.0),
            (u32::MAX, None, 1.0, 1125.0),
            (1, Some(30), 0.0, 30.0),
            (10, Some(30), 0.0, 900.0),
            (1, Some(86_400), 0.0, 900.0),
        ];
        for (failures, asked, chance, seconds) in cases {
            let wait = retry_after(failures, asked.map(Duration::from_secs), chance);
            assert_eq!(wait.as_secs_f64(), seconds, "{failures} {asked:?} {chance}");
        }
    }
}
