//! How lengths of time, scopes and shares are said in the sentences that people read.

use outrider_model::{ActionKind, ActionScope, ActionState, Duration};

/// A length of time: `90 s`, `15 min`, `2 h`, `7 d`.
pub(super) fn length(ms: i64) -> String {
    match ms / 1000 {
        s if s < 60 || (s < 600 && s % 60 != 0) => format!("{s} s"),
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s < 2 * 86_400 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

/// For how long: `for 15 min`, `until a person releases it`.
pub(super) fn how_long(duration: Duration) -> String {
    match duration {
        Duration::Seconds(seconds) => format!("for {}", length(i64::from(seconds) * 1000)),
        Duration::Permanent => "until a person releases it".to_owned(),
    }
}

/// Where, after the name of a target: nothing, ` at service orders`, ` at route orders-v1`.
pub(super) fn at_scope(scope: &ActionScope) -> String {
    let label = |id: &str, name: &str| if name.is_empty() { id.to_owned() } else { name.to_owned() };
    match scope {
        ActionScope::Consumer => String::new(),
        ActionScope::Service { id, name } => format!(" at service {}", label(id, name)),
        ActionScope::Route { id, name } => format!(" at route {}", label(id, name)),
    }
}

/// What is done to a target: `block`, `limit`.
pub(super) fn verb(kind: &ActionKind) -> &'static str {
    match kind {
        ActionKind::Block { .. } => "block",
        ActionKind::RateLimit { .. } => "limit",
    }
}

/// To how much, after the name of a target: nothing, ` to 30 calls per minute`.
pub(super) fn to_limits(kind: &ActionKind) -> String {
    match kind {
        ActionKind::Block { .. } => String::new(),
        ActionKind::RateLimit { limits, .. } => format!(" to {limits}"),
    }
}

/// A share in whole percent, never rounded down to the limit that it passes.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A state as a person says it after "it is".
pub(super) fn state(state: ActionState) -> &'static str {
    match state {
        ActionState::Proposed => "proposed",
        ActionState::Approved => "approved",
        ActionState::Rejected => "rejected",
        ActionState::Pending => "pending",
        ActionState::Stored => "stored at the gateway",
        ActionState::InForce => "in force",
        ActionState::Releasing => "being released",
        ActionState::Released => "released",
        ActionState::Failed => "failed",
        ActionState::TooLate => "over before it could begin",
    }
}

/// At most `chars_max` characters of a text that comes from elsewhere.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_in_the_unit_that_fits() {
        let cases = [
            (5_000, "5 s"),
            (60_000, "1 min"),
            (90_000, "90 s"),
            (900_000, "15 min"),
            (754_000, "12 min"),
            (7_200_000, "2 h"),
            (604_800_000, "7 d"),
            (300_000_000, "83 h"),
        ];
        for (ms, words) in cases {
            assert_eq!(length(ms), words);
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
