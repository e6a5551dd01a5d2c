//! What every text file keeps to: its length, its white space, no unfinished work, and nothing that is true on one
//! machine only.

use crate::repository::{TrackedFile, Violation};
use crate::rust_source::{RustSource, contains_word, is_test_path};

/// Files that are longer than [`LINES_MAX`], each with the reason why it cannot be cut.
pub const LONG_FILES: &[(&str, &str)] = &[];

/// Lines of a source file without its tests. A longer one asks for a reason.
const LINES_MAX: usize = 500;

/// Extensions of the files that people write. Fixtures are data and keep their bytes.
const WRITTEN: &[&str] = &["rs", "toml", "md", "sh", "yml", "yaml", "ts", "tsx", "css", "html", "sql", "svg"];
/// Files that people write and whose names have no extension.
const WRITTEN_NAMES: &[&str] = &["Makefile", "run", ".gitignore", "LICENSE"];
/// Extensions of source files, to which the limit of lines applies.
const SOURCES: &[&str] = &["rs", "ts", "tsx", "sh", "sql"];

/// Unfinished work and debugging help. Put together here so that this file does not find itself.
const UNFINISHED: &[(&str, &str)] = &[
    (concat!("to", "do!"), "finish it"),
    (concat!("unimple", "mented!"), "finish it"),
    (concat!("db", "g!"), "remove it"),
    (concat!("TO", "DO"), "finish it, or open an issue and remove the note"),
    (concat!("FIX", "ME"), "mend it, or open an issue and remove the note"),
];

/// Roots of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/bash", "_jobs")];

/// Folders whose modules are one private type or two each: the crate's own page says for all of them what they decide.
const EXPLAINED_BY_THE_CRATE: &[&str] = &["crates/model/src/"];
/// Modules whose names say it: the room's one error type, its one settings type.
const EXPLAINED_BY_THE_NAME: &[&str] = &["error.rs", "settings.rs"];

/// Checks every file. `long_files` is the list of exceptions, [`LONG_FILES`] but in tests.
pub fn check(files: &[TrackedFile], long_files: &[(&str, &str)]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| is_written(file)) {
        violations.extend(check_lines(file));
        violations.extend(check_ending(file));
        violations.extend(check_module(file));
    }
    violations.extend(check_lengths(files, long_files));
    violations
}

fn is_written(file: &TrackedFile) -> bool {
    WRITTEN.contains(&file.extension()) || WRITTEN_NAMES.contains(&file.name())
}

fn check_lines(file: &TrackedFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in file.text.split('\n').enumerate() {
        let mut report = |what: String| violations.push(Violation::new(&file.path, index + 1, what));
        if line.ends_with('\r') {
            report("ends in CR LF; end lines with LF".to_owned());
        } else if line.ends_with([' ', '\t']) {
            report("trailing white space; remove it".to_owned());
        }
        // A recipe of make begins with a tab; nothing else does.
        let body = if file.name() == "Makefile" { line.strip_prefix('\t').unwrap_or(line) } else { line };
        if body.contains('\t') {
            report("a tab; use spaces".to_owned());
        }
        if let Some((found, instead)) = UNFINISHED.iter().find(|(found, _)| contains_word(line, found)) {
            report(format!("`{found}`; {instead}"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| names_path(line, path)) {
            report(format!("`{path}` exists on one machine only; use a path relative to the repository"));
        }
    }
    violations
}

/// Whether the line has the path, not as the rest of a longer one such as `docs/work/`.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '}' | '%'))
    })
}

fn check_ending(file: &TrackedFile) -> Option<Violation> {
    let lines = file.text.lines().count();
    if file.text.is_empty() || file.text.ends_with('\n') && !file.text.ends_with("\n\n") {
        return None;
    }
    Some(Violation::new(&file.path, lines.max(1), "ends without one line break; end it with exactly one"))
}

/// A module opens with what it decides and what it leaves out.
fn check_module(file: &TrackedFile) -> Option<Violation> {
    let is_module = file.extension() == "rs" && file.path.contains("/src/") && !is_test_path(&file.path);
    let explained = EXPLAINED_BY_THE_NAME.contains(&file.name())
        || EXPLAINED_BY_THE_CRATE.iter().any(|folder| file.path.starts_with(folder));
    if !is_module || explained || file.text.starts_with("//!") {
        return None;
    }
    // A page that is shown elsewhere too, such as a detector's, is the module's documentation.
    if file.text.starts_with("#![doc = include_str!(") {
        return None;
    }
    Some(Violation::new(&file.path, 1, "opens without `//!`; say what the module decides and what it leaves out"))
}

fn check_lengths(files: &[TrackedFile], long_files: &[(&str, &str)]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| SOURCES.contains(&file.extension()) && !is_test_path(&file.path)) {
        let lines = product_lines(file);
        let excused = long_files.iter().any(|(path, _)| *path == file.path);
        if lines > LINES_MAX && !excused {
            let what = format!("{lines} lines without tests, {LINES_MAX} are allowed; cut it where a reader would");
            violations.push(Violation::new(&file.path, LINES_MAX + 1, what));
        }
    }
    for (path, reason) in long_files {
        let long = files.iter().any(|file| file.path == *path && product_lines(file) > LINES_MAX);
        if !long {
            violations.push(Violation::new(path, 1, "is not long any more; remove it from LONG_FILES"));
        }
        if reason.is_empty() {
            violations.push(Violation::new(path, 1, "is in LONG_FILES without a reason; give one"));
        }
    }
    violations
}

fn product_lines(file: &TrackedFile) -> usize {
    if file.extension() == "rs" {
        RustSource::new(&file.text).product_lines().count()
    } else {
        file.text.lines().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&[TrackedFile::new(path, text)], &[]).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn lines_are_checked() {
        let unfinished = UNFINISHED[3].0;
        let machine = MACHINE_PATHS[0];
        let cases = [
            ("a.md", "good\n".to_owned(), None),
            ("a.md", "bad \n".to_owned(), Some("a.md:1: trailing white space")),
            ("a.md", "good\nbad\r\n".to_owned(), Some("a.md:2: ends in CR LF")),
            ("a.md", "a\tb\n".to_owned(), Some("a.md:1: a tab")),
            ("Makefile", "all:\n\tcargo build\n".to_owned(), None),
            ("Makefile", "all:\n\tcargo\tbuild\n".to_owned(), Some("Makefile:2: a tab")),
            ("a.md", "no line break".to_owned(), Some("a.md:1: ends without one line break")),
            ("a.md", "two of them\n\n".to_owned(), Some("a.md:2: ends without one line break")),
            ("a.md", format!("{unfinished}: later\n"), Some("a.md:1: `TO")),
            ("a.md", format!("MAS{unfinished}N\n"), None),
            ("a.md", format!("see {machine}main\n"), Some("exists on one machine only")),
            ("a.md", format!("see net{machine}main\n"), None),
            ("a.md", format!("see docs{machine}main\n"), None),
            ("tests/data.jsonl", format!("{machine} \t\r\n"), None),
        ];
        for (path, text, expected) in cases {
            let found = found(path, &text);
            match expected {
                None => assert!(found.is_empty(), "{text:?}: {found:?}"),
                Some(expected) => assert!(found.len() == 1 && found[0].contains(expected), "{text:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn unfinished_code_is_found_with_its_brackets() {
        for (word, _) in &UNFINISHED[..3] {
            assert_eq!(found("a.rs", &format!("fn a() {{ {word}() }}\n")).len(), 1, "{word}");
        }
    }

    #[test]
    fn modules_say_what_they_are_for() {
        let cases = [
            ("crates/a/src/b.rs", "fn a() {}\n", false),
            ("crates/a/src/b.rs", "//! Decides.\nfn a() {}\n", true),
            ("crates/a/src/b.rs", "#![doc = include_str!(\"README.md\")]\n", true),
            ("crates/a/src/tests.rs", "fn a() {}\n", true),
            ("crates/a/tests/b.rs", "fn a() {}\n", true),
            ("crates/model/src/b.rs", "fn a() {}\n", true),
            ("crates/a/src/b/error.rs", "fn a() {}\n", true),
        ];
        for (path, text, good) in cases {
            assert_eq!(found(path, text).is_empty(), good, "{path}: {text}");
        }
    }

    #[test]
    fn long_files_ask_for_a_reason() {
        let line = "const A: u8 = 1;\n";
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", line.repeat(400));
        let at_limit = format!("{}{tests}", line.repeat(LINES_MAX));
        let past_limit = format!("{}{tests}", line.repeat(LINES_MAX + 1));
        let lengths = |text: &str, path: &str, long_files: &[(&str, &str)]| {
            check_lengths(&[TrackedFile::new(path, text)], long_files).len()
        };
        assert_eq!(lengths(&at_limit, "a.rs", &[]), 0);
        assert_eq!(lengths(&past_limit, "a.rs", &[]), 1);
        assert_eq!(lengths(&past_limit, "crates/a/tests/a.rs", &[]), 0);
        assert_eq!(lengths(&past_limit, "a.rs", &[("a.rs", "it is one table")]), 0);
        assert_eq!(lengths(&past_limit, "a.rs", &[("a.rs", "")]), 1, "without a reason");
        assert_eq!(lengths(&at_limit, "a.rs", &[("a.rs", "it was one table")]), 1, "not needed any more");
    }
}
