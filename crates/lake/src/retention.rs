//! What is too old, or too much, and taking it away: whole days, the oldest first, never the running one.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::protocol::DeltaOperation;

use crate::merge::{DataFile, data_files};
use crate::table::{LakeError, Table};

pub(crate) const DAY_MS: i64 = 86_400_000;

/// How much is kept; by default all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days that are kept, besides the running one; `None` for all.
    pub days: Option<u32>,
    /// Bytes of data files of all tables that are kept; `None` for any number.
    pub bytes_max: Option<u64>,
}

/// The UTC day of a moment, as the tables write it: `2026-11-28`.
pub(crate) fn day_of(ms: i64) -> String {
    let day = ms.div_euclid(DAY_MS);
    // Years that jiff does not know are as good as the first.
    let date = jiff::Timestamp::from_second(day.saturating_mul(DAY_MS / 1000)).unwrap_or_default();
    date.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// The days that are over and not to be kept, oldest first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// There is no room for them.
    pub too_much: Vec<String>,
    /// They are older than is kept; those that there is no room for are not named again.
    pub too_old: Vec<String>,
}

pub(crate) fn days_over<'a>(files: impl Iterator<Item = &'a DataFile>, retention: &Retention, today_ms: i64) -> Over {
    let today = day_of(today_ms);
    let first_kept = retention.days.map(|days| day_of(today_ms.saturating_sub(i64::from(days) * DAY_MS)));
    let mut days: BTreeMap<&str, u64> = BTreeMap::new();
    for file in files {
        *days.entry(&file.day).or_default() += file.bytes;
    }
    let mut bytes: u64 = days.values().sum();
    let mut over = Over { too_much: Vec::new(), too_old: Vec::new() };
    for (day, of_day) in days.into_iter().take_while(|&(day, _)| day < today.as_str()) {
        if retention.bytes_max.is_some_and(|max| bytes > max) {
            over.too_much.push(day.to_owned());
            bytes -= of_day;
        } else if first_kept.as_deref().is_some_and(|first| day < first) {
            over.too_old.push(day.to_owned());
        } else {
            break;
        }
    }
    over
}

/// The days that a table has files of.
pub(crate) fn days_of(table: &Table) -> Result<BTreeSet<String>, LakeError> {
    Ok(data_files(table)?.into_iter().map(|file| file.day).collect())
}

/// Takes all files of these days out of a table. What is on disk goes when nobody can be reading it any more.
pub(crate) async fn take_away(table: &mut Table, days: &[String]) -> Result<(), LakeError> {
    let snapshot = table.table.snapshot().map_err(table.failed("read"))?;
    let files = snapshot.log_data();
    let of_days = files.iter().filter(|file| days.contains(&DataFile::of(file).day));
    let removed: Vec<_> = of_days.map(|file| file.remove_action(true)).collect();
    if removed.is_empty() {
        return Ok(());
    }
    table.replace(removed, Vec::new(), DeltaOperation::Delete { predicate: None }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_862_400_000 + 7 * 3_600_000;

    fn file(day: &str, bytes: u64) -> DataFile {
        DataFile { path: format!("{day}/f"), day: day.into(), bytes }
    }

    fn over(files: &[DataFile], days: Option<u32>, bytes_max: Option<u64>) -> Vec<String> {
        let Over { too_much, too_old } = days_over(files.iter(), &Retention { days, bytes_max }, NOW_MS);
        let of = |days: Vec<String>, why| days.into_iter().map(move |day| format!("{day} {why}"));
        of(too_much, "is too much").chain(of(too_old, "is too old")).collect()
    }

    #[test]
    fn days_are_utc() {
        assert_eq!(day_of(NOW_MS), "2026-11-28");
        assert_eq!(day_of(-1), "1969-12-31");
        assert_eq!(day_of(i64::MAX), "1970-01-01", "no day at all");
    }

    #[test]
    fn the_oldest_days_go_by_age_and_by_size_and_never_the_running_one() {
        let files = [
            file("2026-11-25", 10),
            file("2026-11-27", 30),
            file("2026-11-28", 100),
            file("2026-11-25", 5),
            file("2026-11-26", 20),
        ];
        assert_eq!(over(&files, None, None), [""; 0]);
        assert_eq!(over(&files, Some(30), None), [""; 0]);
        let all = |why: &str| ["2026-11-25", "2026-11-26", "2026-11-27"].map(|day| format!("{day} {why}"));
        assert_eq!(over(&files, Some(2), None), all("is too old")[..1]);
        assert_eq!(over(&files, Some(0), None), all("is too old"));
        assert_eq!(over(&files, None, Some(165)), [""; 0]);
        assert_eq!(over(&files, None, Some(164)), all("is too much")[..1]);
        assert_eq!(over(&files, None, Some(130)), all("is too much")[..2]);
        assert_eq!(over(&files, None, Some(1)), all("is too much"));
        assert_eq!(over(&files, Some(2), Some(140)), all("is too much")[..2]);
        assert_eq!(over(&files, Some(1), Some(150)), ["2026-11-25 is too much", "2026-11-26 is too old"]);
    }

    #[test]
    fn what_is_dated_ahead_is_no_day_that_is_over() {
        let files = [file("2027-01-01", 10), file("2026-11-27", 10)];
        assert_eq!(over(&files, None, Some(0)), ["2026-11-27 is too much"]);
    }
}
