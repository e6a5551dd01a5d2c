//! Which room may know which, and what the pure rooms must not touch.
//!
//! The tables here are the rule; `ARCHITECTURE.md` explains it. The compiler sees whether a room *can* reach another,
//! not whether it *should*. The check of pure code reads text, so it can be fooled on purpose, not by accident.

use crate::repository::{Dependency, Package, TrackedFile, Violation, line_naming, manifest_path, room_name};
use crate::rust_source::{RustSource, contains_word, is_test_path};

/// A room: a crate of this workspace.
struct Room {
    name: &'static str,
    /// The rooms that its code may depend on.
    knows: &'static [&'static str],
    /// The rooms that its tests may depend on besides.
    tests_know: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    room("model", &[], &[]),
    room("classify", &["model"], &[]),
    room("collect", &["model", "classify"], &["practice"]),
    room("discover", &["model", "classify"], &[]),
    room("detect", &["model"], &[]),
    room("respond", &["model"], &["practice"]),
    room("lake", &["model"], &[]),
    room("platform", &["model", "discover", "detect", "respond", "lake"], &["practice"]),
    room("practice", &["model"], &[]),
    room(
        "outrider",
        &["model", "classify", "collect", "discover", "detect", "respond", "lake", "platform", "practice"],
        &[],
    ),
    room("bench", &["model", "collect", "discover", "detect", "respond", "lake", "platform", "practice"], &[]),
    room("xtask", &[], &[]),
];

/// Where code takes values and returns values: no IO, no clock, no randomness, no threads.
const PURE_CODE: &[&str] = &[
    "crates/model/src/",
    "crates/classify/src/",
    "crates/discover/src/",
    "crates/detect/src/",
    "crates/respond/src/desk/",
    "crates/platform/src/analysis",
];

/// Rooms that are pure as a whole; their code must not even depend on libraries that do IO.
const PURE_ROOMS: &[&str] = &["model", "classify", "discover", "detect"];

const IO_LIBRARIES: &[&str] = &[
    "axum",
    "deltalake",
    "getrandom",
    "hyper",
    "hyper-util",
    "mio",
    "object_store",
    "reqwest",
    "rustix",
    "sqlx",
    "tokio",
    "tokio-util",
];

/// What must not stand in pure code, and what takes its place.
const IMPURE: &[(&str, &str)] = &[
    ("tokio::", "no runtime"),
    ("reqwest::", "no network"),
    ("sqlx::", "no database"),
    ("axum::", "no server"),
    ("std::fs", "no files: take bytes, return bytes"),
    ("fs::read", "no files: take bytes, return bytes"),
    ("fs::write", "no files: take bytes, return bytes"),
    ("File::open", "no files: take bytes, return bytes"),
    ("File::create", "no files: take bytes, return bytes"),
    ("TcpStream", "no network"),
    ("TcpListener", "no network"),
    ("UdpSocket", "no network"),
    ("SystemTime", "no clock: take the log's time as a value"),
    ("Instant::now", "no clock: take the log's time as a value"),
    ("Timestamp::now", "no clock: take the log's time as a value"),
    ("Zoned::now", "no clock: take the log's time as a value"),
    ("std::thread", "no threads: state has one owner"),
    ("thread::spawn", "no threads: state has one owner"),
    ("thread::sleep", "no waiting"),
    ("std::process", "no processes"),
    ("std::env", "no environment: take settings as values"),
    ("env::var", "no environment: take settings as values"),
    ("println!", "no output: return what there is to say"),
    ("eprintln!", "no output: return what there is to say"),
    ("RandomState", "no random hashing: use BTreeMap or a hasher with a fixed seed"),
    ("HashMap::new(", "no random hashing: use BTreeMap or a hasher with a fixed seed"),
    ("HashMap::with_capacity(", "no random hashing: use BTreeMap or a hasher with a fixed seed"),
    ("HashSet::new(", "no random hashing: use BTreeSet or a hasher with a fixed seed"),
    ("HashSet::with_capacity(", "no random hashing: use BTreeSet or a hasher with a fixed seed"),
    ("thread_rng", "no randomness: derive it from a seed in the settings"),
    ("rand::rng", "no randomness: derive it from a seed in the settings"),
    ("OsRng", "no randomness: derive it from a seed in the settings"),
    ("Uuid::new_v4", "no randomness: derive ids from the log"),
];

/// Parts of `std` that a grouped `use std::{…}` would bring in past the table above.
const IMPURE_STD: &[&str] = &["fs", "thread", "process", "env"];

/// Libraries that belong to certain rooms: one owner for each heavy or far-reaching one.
const RESERVED_LIBRARIES: &[(&str, &[&str])] = &[
    ("anyhow", &["outrider", "bench", "xtask"]),
    ("axum", &["platform"]),
    ("clap", &["outrider", "bench"]),
    ("deltalake", &["lake"]),
    ("mimalloc", &["outrider", "bench"]),
    ("object_store", &["lake"]),
    ("prost", &["outrider"]),
    ("sqlx", &["platform"]),
];

const MAP: &str = "ARCHITECTURE.md";

/// Checks the packages against the tables and the pure folders for what must not be there.
pub fn check(packages: &[Package], files: &[TrackedFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        let name = room_name(&package.name);
        match ROOMS.iter().find(|room| room.name == name) {
            Some(room) => violations.extend(check_room(room, package, files)),
            None => violations.push(Violation::new(
                &manifest_path(name),
                1,
                format!("the room `{name}` is not in the table; add it to ROOMS in {} and to {MAP}", file!()),
            )),
        }
    }
    for room in ROOMS {
        if !packages.iter().any(|package| room_name(&package.name) == room.name) {
            violations.push(Violation::new(file!(), 1, format!("there is no room `{}`; remove it", room.name)));
        }
        let mapped =
            files.iter().any(|file| file.path == MAP && contains_word(&file.text, &format!("`{}`", room.name)));
        if !mapped {
            violations.push(Violation::new(MAP, 1, format!("the room `{}` is not on the map; describe it", room.name)));
        }
    }
    violations.extend(files.iter().flat_map(check_purity));
    violations
}

const fn room(name: &'static str, knows: &'static [&'static str], tests_know: &'static [&'static str]) -> Room {
    Room { name, knows, tests_know }
}

fn check_room(room: &Room, package: &Package, files: &[TrackedFile]) -> Vec<Violation> {
    let path = manifest_path(room.name);
    let manifest = files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let mut violations: Vec<Violation> = package
        .dependencies
        .iter()
        .filter_map(|dependency| {
            let what = objection(room, dependency)?;
            Some(Violation::new(&path, line_naming(files, &path, &dependency.name), what))
        })
        .collect();
    let inherits =
        manifest.split("[lints]").nth(1).is_some_and(|rest| rest.trim_start().starts_with("workspace = true"));
    if !inherits {
        violations.push(Violation::new(&path, 1, "takes no lints; add `[lints]` with `workspace = true`"));
    }
    violations
}

/// Why a room must not have a dependency, if it must not.
fn objection(room: &Room, dependency: &Dependency) -> Option<String> {
    let for_tests = dependency.is_for_tests();
    let name = dependency.name.as_str();
    let other = room_name(name);
    if other != name || ROOMS.iter().any(|room| room.name == name) {
        let allowed = room.knows.contains(&other) || (for_tests && room.tests_know.contains(&other));
        let whose = if for_tests { "the tests of " } else { "" };
        return (!allowed).then(|| {
            format!(
                "{whose}`{}` must not know `{other}`; move what both need into `model`, or wire them in `outrider`",
                room.name
            )
        });
    }
    if for_tests {
        return None;
    }
    if PURE_ROOMS.contains(&room.name) && IO_LIBRARIES.contains(&name) {
        return Some(format!("`{}` is pure and `{name}` does IO; move that code to an edge", room.name));
    }
    let (_, owners) = RESERVED_LIBRARIES.iter().find(|(library, _)| *library == name)?;
    (!owners.contains(&room.name)).then(|| format!("`{name}` belongs to {}; go through them", owners.join(", ")))
}

fn check_purity(file: &TrackedFile) -> Vec<Violation> {
    let pure = PURE_CODE.iter().any(|folder| file.path.starts_with(folder));
    if !pure || file.extension() != "rs" || is_test_path(&file.path) {
        return Vec::new();
    }
    let source = RustSource::new(&file.text);
    let mut violations = Vec::new();
    for (number, line) in source.product_lines() {
        if let Some((found, instead)) = IMPURE.iter().find(|(found, _)| contains_word(line, found)) {
            violations.push(Violation::new(&file.path, number, format!("`{found}` in pure code; {instead}")));
        } else if let Some(part) = impure_std_group(line) {
            let what = format!("`std::{part}` in pure code; move what needs it to an edge");
            violations.push(Violation::new(&file.path, number, what));
        }
    }
    violations
}

fn impure_std_group(line: &str) -> Option<&'static str> {
    let (_, group) = line.split_once("std::{")?;
    IMPURE_STD.iter().copied().find(|part| contains_word(group, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    /// A repository that is in order but for what a case puts into one room.
    fn violations_with(
        changed: &str,
        dependency: Option<(&str, Option<&str>)>,
        file: Option<TrackedFile>,
    ) -> Vec<String> {
        let mut packages = Vec::new();
        let mut files =
            vec![TrackedFile::new(MAP, &ROOMS.iter().map(|room| format!("`{}` ", room.name)).collect::<String>())];
        for room in ROOMS {
            let mut text = LINTS.to_owned();
            let mut dependencies = Vec::new();
            if let (true, Some((name, kind))) = (room.name == changed, dependency) {
                text.push_str(&format!("{name}.workspace = true\n"));
                let kind = kind.map(str::to_owned);
                dependencies.push(Dependency { name: name.to_owned(), kind, features: Vec::new() });
            }
            let name = if ["outrider", "xtask"].contains(&room.name) {
                room.name.to_owned()
            } else {
                format!("outrider-{}", room.name)
            };
            packages.push(Package { name, dependencies });
            files.push(TrackedFile::new(&manifest_path(room.name), &text));
        }
        files.extend(file);
        check(&packages, &files).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn the_table_is_enforced() {
        let cases = [
            ("detect", "outrider-model", None, None),
            ("detect", "outrider-lake", None, Some("crates/detect/Cargo.toml:3: `detect` must not know `lake`")),
            ("model", "outrider-classify", None, Some("crates/model/Cargo.toml:3: `model` must not know `classify`")),
            ("platform", "outrider-collect", None, Some("`platform` must not know `collect`")),
            ("respond", "outrider", None, Some("`respond` must not know `outrider`")),
            ("respond", "outrider-practice", Some("dev"), None),
            ("respond", "outrider-practice", None, Some("`respond` must not know `practice`")),
            ("lake", "outrider-practice", Some("dev"), Some("the tests of `lake` must not know `practice`")),
            ("detect", "tokio", None, Some("`detect` is pure and `tokio` does IO")),
            ("detect", "tokio", Some("dev"), None),
            ("respond", "tokio", None, None),
            ("collect", "anyhow", None, Some("`anyhow` belongs to outrider, bench, xtask")),
            ("platform", "deltalake", None, Some("`deltalake` belongs to lake")),
            ("lake", "deltalake", None, None),
        ];
        for (room, dependency, kind, expected) in cases {
            let found = violations_with(room, Some((dependency, kind)), None);
            match expected {
                None => assert!(found.is_empty(), "{room} -> {dependency}: {found:?}"),
                Some(expected) => {
                    assert_eq!(found.len(), 1, "{room} -> {dependency}: {found:?}");
                    assert!(found[0].contains(expected), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn a_room_that_is_not_in_the_table_or_not_on_the_map_is_named() {
        let stranger = Package { name: "outrider-utils".to_owned(), dependencies: Vec::new() };
        let found: Vec<String> = check(&[stranger], &[]).iter().map(Violation::to_string).collect();
        assert!(found.iter().any(|line| line.contains("the room `utils` is not in the table")), "{found:?}");
        assert!(found.iter().any(|line| line.contains("there is no room `model`")), "{found:?}");
        assert!(found.iter().any(|line| line.contains("the room `model` is not on the map")), "{found:?}");
    }

    #[test]
    fn a_room_takes_the_lints_of_the_workspace() {
        let package = Package { name: "outrider-model".to_owned(), dependencies: Vec::new() };
        let found = check_room(&ROOMS[0], &package, &[TrackedFile::new("crates/model/Cargo.toml", "[package]\n")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("takes no lints"));
    }

    #[test]
    fn pure_code_touches_nothing_outside() {
        let cases = [
            ("crates/detect/src/lib.rs", "use std::fs;", true),
            ("crates/detect/src/lib.rs", "use std::{fmt, fs};", true),
            ("crates/detect/src/lib.rs", "use std::{fmt, mem};", false),
            ("crates/detect/src/lib.rs", "// std::fs is not for us", false),
            ("crates/detect/src/lib.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}", false),
            ("crates/detect/src/tests.rs", "use std::fs;", false),
            ("crates/detect/tests/contract.rs", "use std::fs;", false),
            ("crates/model/src/ids.rs", "let now = SystemTime::now();", true),
            ("crates/classify/src/lib.rs", "let now = Instant::now();", true),
            ("crates/discover/src/lib.rs", "let map = HashMap::new();", true),
            ("crates/discover/src/lib.rs", "let map = BTreeMap::new();", false),
            ("crates/discover/src/lib.rs", "let map: HashMap<u64, u64, FixedState> = HashMap::default();", false),
            ("crates/respond/src/desk/mod.rs", "tokio::spawn(task);", true),
            ("crates/respond/src/gateways/mod.rs", "tokio::spawn(task);", false),
            ("crates/platform/src/analysis.rs", "tokio::spawn(task);", true),
            ("crates/platform/src/pipeline.rs", "tokio::spawn(task);", false),
            ("crates/detect/src/lib.rs", "std::thread::spawn(work);", true),
            ("crates/detect/src/lib.rs", "eprintln!(\"here\");", true),
            ("crates/detect/src/lib.rs", "let address: std::net::IpAddr = value;", false),
            ("crates/detect/src/lib.rs", "let stream = std::net::TcpStream::connect(address);", true),
        ];
        for (path, text, expected) in cases {
            let found = check_purity(&TrackedFile::new(path, text));
            assert_eq!(!found.is_empty(), expected, "{path}: {text}: {found:?}");
        }
        let found = check_purity(&TrackedFile::new("crates/detect/src/lib.rs", "fn a() {}\n\nuse std::fs;\n"));
        assert_eq!(found[0].line, 3);
    }
}
