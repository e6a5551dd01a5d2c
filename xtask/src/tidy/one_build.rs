//! Tests, demo and bench run the same build of every library.
//!
//! Cargo unites the features of what it builds together. A feature that only a test switches on makes the tests build
//! that library, and everything above it, a second time in another form: minutes for the heavy ones, and figures that are
//! not of the code that was tested. This check decides only that; which features a library has is the manifest's matter.

use std::collections::BTreeMap;

use crate::repository::{Package, TrackedFile, Violation, line_naming, manifest_path, room_name};

/// Checks that no test switches on a feature of a library that the product uses without it.
pub fn check(packages: &[Package], files: &[TrackedFile]) -> Vec<Violation> {
    let mut product: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for dependency in packages.iter().flat_map(|package| &package.dependencies) {
        if !dependency.is_for_tests() {
            let features = product.entry(&dependency.name).or_default();
            features.extend(dependency.features.iter().map(String::as_str));
        }
    }
    let mut violations = Vec::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.is_for_tests()) {
            let Some(features) = product.get(dependency.name.as_str()) else {
                continue;
            };
            for feature in dependency.features.iter().filter(|feature| !features.contains(&feature.as_str())) {
                let path = manifest_path(room_name(&package.name));
                let name = &dependency.name;
                let what =
                    format!("only tests switch on `{feature}` of `{name}`; declare it in the workspace's Cargo.toml");
                violations.push(Violation::new(&path, line_naming(files, &path, name), what));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Dependency;

    #[test]
    fn features_of_tests_are_those_of_the_product() {
        // (kind, name, features) of what the package `outrider-lake` depends on, and what is found.
        type Case = (&'static [(Option<&'static str>, &'static str, &'static [&'static str])], usize);
        let cases: &[Case] = &[
            (&[(None, "tokio", &["net"]), (Some("dev"), "tokio", &["net"])], 0),
            (&[(None, "tokio", &["net"]), (Some("dev"), "tokio", &["net", "test-util"])], 1),
            (&[(None, "tokio", &["net", "test-util"]), (Some("dev"), "tokio", &["test-util"])], 0),
            (&[(Some("dev"), "tempfile", &["nightly"])], 0),
        ];
        for (dependencies, expected) in cases {
            let dependencies = dependencies
                .iter()
                .map(|(kind, name, features)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                    features: features.iter().map(|feature| (*feature).to_owned()).collect(),
                })
                .collect();
            let package = Package { name: "outrider-lake".to_owned(), dependencies };
            let manifest = TrackedFile::new("crates/lake/Cargo.toml", "[dependencies]\ntokio = \"1\"\n\ntokio = {}\n");
            let found = check(&[package], &[manifest]);
            assert_eq!(found.len(), *expected, "{found:?}");
            assert!(found.iter().all(|violation| violation.line == 4), "{found:?}");
        }
    }
}
