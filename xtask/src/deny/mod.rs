//! `cargo xtask deny`: licences, bans and sources of every dependency, against `deny.toml`.
//!
//! The file is cargo-deny's own, so that there is one list. This check reads the part of it that needs no network and
//! no further tool, and therefore always runs. Advisories and yanked versions need a database from the network:
//! `make advisories` asks cargo-deny for those.

mod licence;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::repository::{Violation, cargo, output_of};

const RULES: &str = "deny.toml";

/// The tables of `deny.toml` that this check reads; cargo-deny reads the others.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// A crate that may have licences beyond the list.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// A package that goes into a build, as `cargo metadata` gives it.
#[derive(Debug, Clone, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for a package of this workspace.
    source: Option<String>,
}

/// Checks all packages that are built for this machine's platform.
pub fn run(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let text = std::fs::read_to_string(root.join(RULES)).with_context(|| format!("{RULES} cannot be read"))?;
    let rules: Rules = toml::from_str(&text).with_context(|| format!("{RULES} is not as this check knows it"))?;
    Ok(check(&rules, &packages(root)?))
}

fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    // Crates of other platforms are never downloaded here, so nothing could be said of them without the network.
    let platform = host_platform(root)?;
    let arguments =
        ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", platform.as_str()];
    let printed = output_of(root, &cargo(), &arguments).context("run `cargo fetch --locked` first")?;
    let metadata: Metadata = serde_json::from_slice(&printed).context("cargo metadata cannot be read")?;
    Ok(metadata.packages)
}

fn host_platform(root: &Path) -> anyhow::Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let printed = String::from_utf8(output_of(root, &rustc, &["-vV"])?)?;
    let host = printed.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(host.to_owned())
}

fn check(rules: &Rules, packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |what: String| violations.push(Violation::new(RULES, 1, what));
    let mut mentioned = BTreeSet::new();
    for package in packages {
        let label = format!("{} {}", package.name, package.version);
        if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.name == package.name) {
            report(format!("{label} is banned ({}); find who brings it with `cargo tree -i {}`", ban.reason, ban.name));
        }
        if let Some(what) = check_source(rules, package) {
            report(format!("{label} {what}"));
        }
        if let Some(what) = check_licence(rules, package, &mut mentioned) {
            report(format!("{label} {what}"));
        }
    }
    for licence in rules.licenses.allow.iter().filter(|licence| !mentioned.contains(*licence)) {
        report(format!("no dependency has the licence `{licence}`; remove it from the list"));
    }
    for exception in &rules.licenses.exceptions {
        if !packages.iter().any(|package| package.name == exception.name) {
            report(format!("no dependency is called `{}`; remove its exception", exception.name));
        }
    }
    violations
}

fn check_source(rules: &Rules, package: &Package) -> Option<String> {
    let source = package.source.as_ref()?;
    let registry = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+"));
    let allowed = registry.is_some_and(|registry| rules.sources.allow_registry.iter().any(|known| known == registry));
    (!allowed).then(|| format!("comes from {source}; only the registries in `sources` are allowed"))
}

fn check_licence(rules: &Rules, package: &Package, mentioned: &mut BTreeSet<String>) -> Option<String> {
    let Some(expression) = &package.license else {
        return Some("states no licence; use another crate".to_owned());
    };
    let parsed = match licence::parse(expression) {
        Ok(parsed) => parsed,
        Err(at) => return Some(format!("has the licence `{expression}`, which cannot be read at `{at}`")),
    };
    parsed.each(&mut |licence| {
        mentioned.insert(licence.to_owned());
    });
    let exception = rules.licenses.exceptions.iter().find(|exception| exception.name == package.name);
    let allowed = |licence: &str| {
        let mut lists = rules.licenses.allow.iter().chain(exception.iter().flat_map(|exception| &exception.allow));
        lists.any(|known| known == licence)
    };
    (!parsed.is_satisfied(&allowed)).then(|| {
        format!("has the licence `{expression}`, which the list does not allow; use another crate, or decide on it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "https://registry.example/index";

    fn rules() -> Rules {
        toml::from_str(
            r#"
            [licenses]
            allow = ["Apache-2.0", "MIT"]
            exceptions = [{ crate = "odd", allow = ["MPL-2.0"] }]
            confidence-threshold = 0.9
            [bans]
            deny = [{ crate = "banned", reason = "it is" }]
            [sources]
            allow-registry = ["https://registry.example/index"]
            "#,
        )
        .unwrap()
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        }
    }

    /// What is found when one package joins packages that are in order.
    fn found(joining: Package) -> Vec<String> {
        let registry = format!("registry+{REGISTRY}");
        let mut packages = vec![
            package("own", Some("Apache-2.0"), None),
            package("good", Some("MIT"), Some(&registry)),
            package("odd", Some("MPL-2.0"), Some(&registry)),
        ];
        packages.push(joining);
        check(&rules(), &packages).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn each_package_is_held_to_the_rules() {
        let registry = format!("registry+{REGISTRY}");
        let cases = [
            (package("a", Some("MIT OR GPL-3.0"), Some(&registry)), None),
            (package("a", Some("MIT"), Some(&format!("sparse+{REGISTRY}"))), None),
            (package("a", Some("MIT AND GPL-3.0"), Some(&registry)), Some("which the list does not allow")),
            (package("a", Some("MPL-2.0"), Some(&registry)), Some("which the list does not allow")),
            (package("a", None, Some(&registry)), Some("states no licence")),
            (package("a", Some("MIT AND"), Some(&registry)), Some("cannot be read")),
            (package("a", Some("MIT"), Some("git+https://registry.example/a")), Some("comes from git+")),
            (package("a", Some("MIT"), Some("registry+https://other.example")), Some("comes from registry+")),
            (package("banned", Some("MIT"), Some(&registry)), Some("is banned (it is)")),
        ];
        for (joining, expected) in cases {
            let label = format!("{joining:?}");
            let found = found(joining);
            match expected {
                None => assert!(found.is_empty(), "{label}: {found:?}"),
                Some(expected) => assert!(found.len() == 1 && found[0].contains(expected), "{label}: {found:?}"),
            }
        }
    }

    #[test]
    fn rules_that_nothing_needs_are_named() {
        let found: Vec<String> =
            check(&rules(), &[package("a", Some("MIT"), None)]).iter().map(Violation::to_string).collect();
        assert!(found.iter().any(|line| line.contains("no dependency has the licence `Apache-2.0`")), "{found:?}");
        assert!(found.iter().any(|line| line.contains("no dependency is called `odd`")), "{found:?}");
    }
}
