//! One feature is one folder: a detector brings its page and its labelled cases, and no folder is a drawer for
//! everything.

use std::collections::BTreeSet;

use crate::repository::{TrackedFile, Violation};

const DETECTORS: &str = "crates/detect/src/detectors/";

/// The sections of a detector's page, in order. The page is also the console's help.
const SECTIONS: &[&str] =
    &["What it detects", "Why it matters", "Signals", "Settings", "False positives", "Response", "References"];

/// How many cases of a kind show that a detector finds attacks and leaves what looks alike alone.
const CASES_MIN: usize = 2;

/// Names that say nothing about what is inside.
const DRAWERS: &[&str] = &["common", "helper", "helpers", "misc", "shared_utils", "util", "utils"];

/// Checks the folders of the detectors and the names of modules.
pub fn check(files: &[TrackedFile]) -> Vec<Violation> {
    let mut violations: Vec<Violation> = detectors(files).iter().flat_map(|name| check_detector(name, files)).collect();
    violations.extend(files.iter().filter_map(check_name));
    violations
}

fn detectors(files: &[TrackedFile]) -> BTreeSet<&str> {
    files.iter().filter_map(|file| file.path.strip_prefix(DETECTORS)?.split_once('/')).map(|(name, _)| name).collect()
}

fn check_detector(name: &str, files: &[TrackedFile]) -> Vec<Violation> {
    let folder = format!("{DETECTORS}{name}/");
    let mut violations = Vec::new();
    let page = format!("{folder}README.md");
    match files.iter().find(|file| file.path == page) {
        Some(file) => violations.extend(check_page(file)),
        None => violations.push(Violation::new(&page, 1, "is missing; describe the detector")),
    }
    let module = format!("{folder}mod.rs");
    if !files.iter().any(|file| file.path == module) {
        violations.push(Violation::new(&module, 1, "is missing; a detector is one folder with its code in it"));
    }
    let cases = format!("{folder}cases/");
    for kind in ["attack", "benign"] {
        let ending = format!(".{kind}.jsonl");
        let count = files.iter().filter(|file| file.path.starts_with(&cases) && file.path.ends_with(&ending)).count();
        if count < CASES_MIN {
            let what = format!("has {count} cases named *{ending}, at least {CASES_MIN} are needed; add some");
            violations.push(Violation::new(&cases, 1, what));
        }
    }
    violations.extend(check_expected(&cases, files));
    violations
}

/// An attack says beside it what must be found; an expectation without its case is left over.
fn check_expected(cases: &str, files: &[TrackedFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with(cases)) {
        let (partner, what) = if let Some(stem) = file.path.strip_suffix(".attack.jsonl") {
            (format!("{stem}.attack.expected"), "has no .attack.expected beside it; say what must be found")
        } else if let Some(stem) = file.path.strip_suffix(".expected") {
            (format!("{stem}.jsonl"), "belongs to no case; remove it")
        } else {
            continue;
        };
        if !files.iter().any(|other| other.path == partner) {
            violations.push(Violation::new(&file.path, 1, what));
        }
    }
    violations
}

fn check_page(file: &TrackedFile) -> Vec<Violation> {
    let headings: Vec<(usize, &str)> = file
        .text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index, line.strip_prefix("## ")?.trim())))
        .collect();
    let titles: Vec<&str> = headings.iter().map(|(_, title)| *title).collect();
    if titles != SECTIONS {
        let what = format!("has the sections [{}]; it needs exactly [{}]", titles.join(" · "), SECTIONS.join(" · "));
        return vec![Violation::new(&file.path, 1, what)];
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let ends = headings.iter().skip(1).map(|(index, _)| *index).chain([lines.len()]);
    headings
        .iter()
        .zip(ends)
        .filter(|((start, _), end)| lines[start + 1..*end].iter().all(|line| line.trim().is_empty()))
        .map(|((start, title), _)| {
            Violation::new(&file.path, start + 1, format!("the section `{title}` is empty; write it"))
        })
        .collect()
}

fn check_name(file: &TrackedFile) -> Option<Violation> {
    let (_, inside) = file.path.strip_prefix("crates/")?.split_once("/src/")?;
    let drawer = inside.split(['/', '.']).find(|part| DRAWERS.contains(part))?;
    let what = format!("`{drawer}` says nothing; name the module for what it decides");
    Some(Violation::new(&file.path, 1, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(sections: &[&str]) -> String {
        let mut text = "# Request spike\n".to_owned();
        for section in sections {
            text.push_str(&format!("\n## {section}\n\nSome words.\n"));
        }
        text
    }

    /// A detector in order.
    fn detector() -> Vec<TrackedFile> {
        let file = |name: &str, text: &str| TrackedFile::new(&format!("{DETECTORS}request_spike/{name}"), text);
        vec![
            TrackedFile::new(&format!("{DETECTORS}mod.rs"), ""),
            file("mod.rs", ""),
            file("README.md", &page(SECTIONS)),
            file("cases/a.attack.jsonl", ""),
            file("cases/a.attack.expected", ""),
            file("cases/b.attack.jsonl", ""),
            file("cases/b.attack.expected", ""),
            file("cases/c.benign.jsonl", ""),
            file("cases/d.benign.jsonl", ""),
        ]
    }

    fn found(files: &[TrackedFile]) -> Vec<String> {
        check(files).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn a_detector_in_order_passes() {
        assert_eq!(found(&detector()), Vec::<String>::new());
    }

    #[test]
    fn each_missing_part_of_a_detector_is_named() {
        let cases = [
            ("README.md", "README.md:1: is missing"),
            ("request_spike/mod.rs", "request_spike/mod.rs:1: is missing"),
            ("a.attack.expected", "a.attack.jsonl:1: has no .attack.expected"),
            ("d.benign.jsonl", "has 1 cases named *.benign.jsonl"),
        ];
        for (removed, expected) in cases {
            let mut files = detector();
            files.retain(|file| !file.path.ends_with(removed));
            let found = found(&files);
            assert!(found.len() == 1 && found[0].contains(expected), "{removed}: {found:?}");
        }
    }

    #[test]
    fn an_attack_that_goes_leaves_nothing_behind() {
        let mut files = detector();
        files.retain(|file| !file.path.ends_with("a.attack.jsonl"));
        let found = found(&files);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("has 1 cases named *.attack.jsonl"), "{found:?}");
        assert!(found[1].contains("a.attack.expected:1: belongs to no case"), "{found:?}");
    }

    #[test]
    fn a_page_has_the_seven_sections_and_none_is_empty() {
        let swapped = page(&SECTIONS.iter().rev().copied().collect::<Vec<_>>());
        let without_last = page(&SECTIONS[..6]);
        let empty = page(SECTIONS).replacen("## Signals\n\nSome words.\n", "## Signals\n", 1);
        let cases = [(swapped, "has the sections"), (without_last, "has the sections"), (empty, "`Signals` is empty")];
        for (text, expected) in cases {
            let found = check_page(&TrackedFile::new("README.md", &text));
            assert!(found.len() == 1 && found[0].what.contains(expected), "{found:?}");
        }
    }

    #[test]
    fn no_drawers() {
        let cases = [
            ("crates/a/src/utils.rs", false),
            ("crates/a/src/common/mod.rs", false),
            ("crates/a/src/utilisation.rs", true),
            ("crates/a/tests/common/mod.rs", true),
        ];
        for (path, good) in cases {
            assert_eq!(found(&[TrackedFile::new(path, "")]).is_empty(), good, "{path}");
        }
    }
}
