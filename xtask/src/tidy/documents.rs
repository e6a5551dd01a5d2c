//! Documents that point at something point at something that is there.

use std::collections::BTreeSet;

use crate::repository::{TrackedFile, Violation};

/// Extensions of files in whose text a `docs/….md` is a promise that the page exists.
const NAMING: &[&str] = &["rs", "md", "toml"];

/// Checks the relative links of every markdown file and every page of `docs/` that a text names.
pub fn check(files: &[TrackedFile]) -> Vec<Violation> {
    let places = places(files);
    let mut violations = Vec::new();
    for file in files {
        if file.extension() == "md" {
            violations.extend(check_links(file, &places));
        }
        if NAMING.contains(&file.extension()) {
            violations.extend(check_named_pages(file, &places));
        }
    }
    violations
}

/// All files and all folders that hold one.
fn places(files: &[TrackedFile]) -> BTreeSet<String> {
    let mut places = BTreeSet::from([String::new()]);
    for file in files {
        let mut path = file.path.as_str();
        places.insert(path.to_owned());
        while let Some((folder, _)) = path.rsplit_once('/') {
            places.insert(folder.to_owned());
            path = folder;
        }
    }
    places
}

fn check_links(file: &TrackedFile, places: &BTreeSet<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut in_code_block = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code_block = !in_code_block;
        }
        if in_code_block {
            continue;
        }
        for target in link_targets(line) {
            let elsewhere = target.contains("://") || target.starts_with("mailto:") || target.starts_with('#');
            if elsewhere {
                continue;
            }
            let resolved = resolve(&file.path, target);
            if !resolved.is_some_and(|place| places.contains(&place)) {
                let what = format!("links to `{target}`, which is not in the repository; mend or remove the link");
                violations.push(Violation::new(&file.path, index + 1, what));
            }
        }
    }
    violations
}

/// The targets of `[text](target)`, `![text](target)` and `[name]: target`, outside of inline code.
fn link_targets(line: &str) -> Vec<&str> {
    let outside_of_code = |at: usize| line[..at].matches('`').count().is_multiple_of(2);
    let mut targets: Vec<&str> = line
        .match_indices("](")
        .filter(|(at, _)| outside_of_code(*at))
        .filter_map(|(at, opening)| {
            let rest = &line[at + opening.len()..];
            Some(rest[..rest.find(')')?].split_whitespace().next().unwrap_or(""))
        })
        .collect();
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        targets.push(target.trim());
    }
    targets
}

/// The place that a link means, relative to the root; `None` when it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', '?']).next().unwrap_or("").replace("%20", " ");
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn check_named_pages(file: &TrackedFile, places: &BTreeSet<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (at, _) in line.match_indices("docs/") {
            let is_path = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
            // Part of a longer path or of an address on the web: not one of our pages by its full name.
            if line[..at].ends_with(is_path) {
                continue;
            }
            let length = line[at..].find(|c: char| !is_path(c)).unwrap_or(line.len() - at);
            let Some((stem, _)) = line[at..at + length].rsplit_once(".md") else {
                continue;
            };
            let page = format!("{stem}.md");
            if !places.contains(&page) && !file.path.starts_with("xtask/") {
                let what = format!("names `{page}`, which does not exist; write it or name another");
                violations.push(Violation::new(&file.path, index + 1, what));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let files = [
            TrackedFile::new(path, text),
            TrackedFile::new("README.md", "outrider\n"),
            TrackedFile::new("docs/decisions/001-a.md", "why\n"),
            TrackedFile::new("docs/flow.svg", "<svg/>\n"),
        ];
        check(&files).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn links_lead_somewhere() {
        let cases = [
            ("a.md", "[x](README.md)", true),
            ("a.md", "[x](README.md#status) and ![y](docs/flow.svg \"the flow\")", true),
            ("a.md", "[x](docs/decisions/)", true),
            ("docs/a.md", "[x](../README.md) [y](decisions/001-a.md)", true),
            ("docs/a.md", "[x](/README.md)", true),
            ("a.md", "[x](https://example.org/none) [y](#here) [z](mailto:a@example.org)", true),
            ("a.md", "`[x](none.md)`", true),
            ("a.md", "```\n[x](none.md)\n```", true),
            ("a.md", "[x](none.md)", false),
            ("a.md", "[x]: none.md", false),
            ("a.md", "[x](README.md) [y](none.md)", false),
            ("docs/a.md", "[x](README.md)", false),
            ("a.md", "[x](../other/README.md)", false),
        ];
        for (path, text, good) in cases {
            let found = found(path, text);
            assert_eq!(found.is_empty(), good, "{path}: {text}: {found:?}");
        }
        assert!(found("a.md", "one\n[x](none.md)")[0].starts_with("a.md:2: links to `none.md`"));
    }

    #[test]
    fn named_pages_exist() {
        let cases = [
            ("a.rs", "//! See `docs/decisions/001-a.md`.", true),
            ("a.rs", "//! See `docs/decisions/002-b.md`.", false),
            ("a.rs", "//! See https://example.org/docs/none.md", true),
            ("a.jsonl", "docs/none.md", true),
        ];
        for (path, text, good) in cases {
            let found = found(path, text);
            assert_eq!(found.is_empty(), good, "{path}: {text}: {found:?}");
        }
    }
}
