//! What holds for every family of data classes: it has a page that says what has to be said, samples of both kinds for each of
//! its classes, and finds in them what they say.

#![allow(clippy::unwrap_used, reason = "tests fail where they unwrap")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use outrider_classify::{DataClass, Family, classify};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    value: String,
    #[serde(default)]
    context: Vec<String>,
    classes: Vec<String>,
}

impl Sample {
    fn decided(&self) -> Vec<String> {
        let context: Vec<&str> = self.context.iter().map(String::as_str).collect();
        let found = classify(&self.name, &self.value, &context);
        found.iter().filter(|found| found.is_decided()).map(|found| found.class.as_str().to_owned()).collect()
    }
}

fn samples(family: Family) -> Vec<Sample> {
    let lines = family.samples().lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {line}: {error}", family.as_str())))
        .collect()
}

#[test]
fn samples_are_of_the_classes_that_they_say() {
    let mut wrong = Vec::new();
    for family in Family::ALL {
        for sample in samples(family) {
            let decided = sample.decided();
            if decided != sample.classes {
                wrong.push(format!("{}: {} = {} gives {decided:?}", family.as_str(), sample.name, sample.value));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_class_has_samples_and_a_line_on_its_page() {
    for class in DataClass::all() {
        let family = class.family();
        let count =
            samples(family).iter().filter(|sample| sample.classes.iter().any(|name| name == class.as_str())).count();
        assert!(count > 0, "no sample of {} holds `{}`", family.as_str(), class.as_str());
        let row =
            family.doc().lines().find(|line| line.starts_with("| ") && line.contains(&format!("`{}`", class.as_str())));
        let cells = row.unwrap_or_default().trim_matches('|').split('|').count();
        assert_eq!(cells, 5, "the page of {} has no row for `{}`", family.as_str(), class.as_str());
    }
}

#[test]
fn every_family_says_why_it_matters_and_has_samples_of_nothing() {
    for family in Family::ALL {
        for part in ["# ", "**Why it matters**", "GDPR", "OWASP", "**Not known**"] {
            // A credential is nobody's in particular.
            let is_told = family.doc().contains(part) || (part == "GDPR" && family == Family::Credentials);
            assert!(is_told, "the page of {} lacks {part}", family.as_str());
        }
        let nothing = samples(family).iter().filter(|sample| sample.classes.is_empty()).count();
        assert!(nothing >= 4, "{} has {nothing} samples of nothing", family.as_str());
    }
}

#[test]
fn every_folder_is_a_registered_family_or_a_page_of_find_personal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/classes");
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let has = |file: &str| path.join(file).metadata().is_ok_and(|metadata| metadata.len() > 0);
        let is_family = has("mod.rs") && has("doc.md") && has("samples.jsonl");
        let is_page = has("mod.rs") && has("README.md") && has("samples.txt");
        assert!(is_family || is_page, "{name} lacks code, page or samples");
        if is_family {
            seen.insert(name);
        }
    }
    let registered: BTreeSet<String> = Family::ALL.iter().map(|family| family.as_str().to_owned()).collect();
    assert_eq!(seen, registered);
}

#[test]
fn the_page_of_all_has_every_class_in_the_row_of_its_family() {
    let page = include_str!("../../../docs/data-classes.md");
    for family in Family::ALL {
        let link = format!("| [{0}](../crates/classify/src/classes/{0}/doc.md) |", family.as_str());
        let row = page.lines().find(|line| line.starts_with(&link)).unwrap_or_else(|| panic!("no row begins {link}"));
        let told: BTreeSet<&str> = row[link.len()..].split('`').skip(1).step_by(2).collect();
        let known: BTreeSet<&str> =
            DataClass::all().filter(|class| class.family() == family).map(DataClass::as_str).collect();
        assert_eq!(told, known, "{}", family.as_str());
    }
}

#[test]
fn names_of_classes_are_unique() {
    let mut names = BTreeMap::new();
    for class in DataClass::all() {
        assert_eq!(names.insert(class.as_str(), class), None, "{}", class.as_str());
    }
}
