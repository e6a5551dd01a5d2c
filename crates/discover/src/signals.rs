//! The signals that the learner goes by, each of which a test can do without, and the thresholds that a test can move.
//!
//! Outside this crate's own tests all signals are used and all thresholds are as written; see `ablation`.

/// What tells names and values apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Texts that are surely values: integers, UUIDs, dates, …
    Shapes,
    /// Texts that are surely versions, and so names.
    Versions,
    /// Digits, dots and dashes in other texts.
    Look,
    /// How the names and values of the service are written.
    Style,
    /// Names that stand elsewhere in the service, too.
    Vocabulary,
    /// English plurals, the way collections are named.
    Plurals,
    /// Children that have the same names below them.
    Siblings,
    /// Children whose endpoints the parameter beside them has.
    Explained,
    /// How many names there are, and how many of them came once.
    Cardinality,
    /// Children that lead to a parameter and are nothing themselves.
    Passages,
    /// How young the service is.
    Patience,
    /// Methods of the children.
    Methods,
    /// Names that come more often than their likes.
    Popularity,
    /// Who uses a name: many, or few that use many names.
    Actors,
    /// Values that turn out to be names.
    Watch,
}

/// A number that was chosen by its effect on real documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threshold {
    Newness,
    LivedCalls,
    KnownName,
    StyleOdds,
    LikenessMin,
    LikenessNeed,
    Established,
    Shared,
    PassageNeed,
    NameOdds,
}

/// Whether a signal is used.
#[cfg(not(test))]
pub(crate) const fn uses(_: Signal) -> bool {
    true
}

/// The value of a threshold that is written as `value`.
#[cfg(not(test))]
pub(crate) const fn tuned(_: Threshold, value: f32) -> f32 {
    value
}

#[cfg(test)]
pub(crate) use changed::{tuned, uses};

#[cfg(test)]
pub(crate) mod changed {
    use std::cell::Cell;

    use super::{Signal, Threshold};

    thread_local! {
        static WITHOUT: Cell<Option<Signal>> = const { Cell::new(None) };
        static SCALED: Cell<Option<(Threshold, f32)>> = const { Cell::new(None) };
    }

    pub(crate) fn uses(signal: Signal) -> bool {
        WITHOUT.get() != Some(signal)
    }

    pub(crate) fn tuned(threshold: Threshold, value: f32) -> f32 {
        match SCALED.get() {
            Some((scaled, times)) if scaled == threshold => value * times,
            _ => value,
        }
    }

    /// Does something without a signal.
    pub(crate) fn without<T>(signal: Option<Signal>, work: impl FnOnce() -> T) -> T {
        WITHOUT.set(signal);
        let done = work();
        WITHOUT.set(None);
        done
    }

    /// Does something with another threshold.
    pub(crate) fn scaled<T>(threshold: Threshold, times: f32, work: impl FnOnce() -> T) -> T {
        SCALED.set(Some((threshold, times)));
        let done = work();
        SCALED.set(None);
        done
    }
}
