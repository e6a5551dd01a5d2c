//! Judges what arrives at a source that reads a file: whether that can be read, what waits in it, and whether lines come.

use outrider_collect::{CountersSnapshot, FileSeen, Refusal};

use super::lines::{SILENCE_MS, ago, lately};
use super::report::{Check, Id};

/// Whether lines come.
pub fn arriving_in_file(name: &str, counters: &CountersSnapshot, file: &FileSeen, now_ms: i64) -> Check {
    if let Some(problem) = &file.problem {
        let todo = "let outrider's user read the file and its directory, which Kong's user makes; the position is kept in data_dir";
        return Check::failed(Id::LinesArriving, name, format!("the file is out of reach: {problem}"), todo);
    }
    let not_stored = lately(&counters.refused, &counters.refused_last_ms, Refusal::NotStored.as_str(), now_ms);
    if not_stored > 0 {
        let seen = format!("lines could not be stored, and wait in the file: {} bytes", file.waiting_bytes);
        let todo =
            "look at the disk, at `log.total_bytes_max` and at outrider's own log; rotate no file away meanwhile";
        return Check::warning(Id::LinesArriving, name, seen, todo);
    }
    if counters.received == 0 {
        let seen = match file.is_missing {
            true => "there is no such file",
            false => "the file is there, and no line has come since outrider was started",
        };
        let todo = "make a call through Kong, or let doctor do it with --probe; if nothing comes then, see that Kong's File Log plugin \
                    is on and has this `path`, and that outrider sees the same directory as Kong";
        return Check::warning(Id::LinesArriving, name, seen, todo);
    }
    let silent_ms = (now_ms - counters.health.last_received_ms).max(0);
    let waiting = match file.waiting_bytes {
        0 => String::new(),
        bytes => format!("; {bytes} bytes wait"),
    };
    let seen = format!("{} lines, the last one {} ago{waiting}", counters.received, ago(silent_ms));
    if silent_ms > SILENCE_MS {
        let todo = "nothing, if nobody has called; after a rotation Kong may write elsewhere until `kong reload` (docs/kong.md)";
        return Check::warning(Id::LinesArriving, name, seen, todo);
    }
    Check::ok(Id::LinesArriving, name, seen)
}

#[cfg(test)]
mod tests {
    use outrider_collect::FileSeen;

    use super::super::facts::Facts;
    use super::super::tests::check;

    #[test]
    fn what_is_read_from_a_file_is_judged() {
        fn file(facts: &mut Facts) -> &mut FileSeen {
            facts.counters().file.get_or_insert_default()
        }
        fn not_stored(facts: &mut Facts, ago_ms: i64) {
            let now_ms = facts.now_ms;
            file(facts).waiting_bytes = 517;
            facts.counters().refused.insert("not_stored".to_owned(), 7);
            facts.counters().refused_last_ms.insert("not_stored".to_owned(), now_ms - ago_ms);
        }
        const ARRIVING: &[&str] = &["lines.arriving warning"];
        check(&[
            ("well", |f| *file(f) = FileSeen::default(), &[], "1000 lines, the last one 1 s ago"),
            ("behind", |f| file(f).waiting_bytes = 517, &[], "517 bytes wait"),
            (
                "out of reach",
                |f| file(f).problem = Some("Permission denied".to_owned()),
                &["lines.arriving failed"],
                "the file is out of reach: Permission denied",
            ),
            (
                "not there",
                |f| {
                    file(f).is_missing = true;
                    f.counters().received = 0;
                },
                ARRIVING,
                "there is no such file",
            ),
            (
                "empty",
                |f| {
                    *file(f) = FileSeen::default();
                    f.counters().received = 0;
                },
                ARRIVING,
                "has this `path`",
            ),
            (
                "silent",
                |f| {
                    *file(f) = FileSeen::default();
                    f.counters().health.last_received_ms = f.now_ms - 3_600_000;
                },
                ARRIVING,
                "`kong reload`",
            ),
            ("a full disk", |f| not_stored(f, 1000), ARRIVING, "wait in the file: 517 bytes"),
            ("it was full", |f| not_stored(f, 3_600_000), &[], "517 bytes wait"),
        ]);
    }
}
