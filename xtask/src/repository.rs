//! The repository as the checks see it: the files that git tracks or would track, read once, and one place where a
//! violation gets its form.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the repository's root.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Violation {
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Violation { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A file of the repository. Bytes that are not UTF-8 are replaced: the checks read text only.
#[derive(Debug, Clone)]
pub struct TrackedFile {
    /// Relative to the repository's root, with `/`.
    pub path: String,
    pub text: String,
}

impl TrackedFile {
    #[cfg(test)]
    pub fn new(path: &str, text: &str) -> Self {
        TrackedFile { path: path.to_owned(), text: text.to_owned() }
    }

    /// The part of the name after its last dot; empty when there is none.
    pub fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// A package of the workspace, as `cargo metadata` gives it.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    pub name: String,
    pub dependencies: Vec<Dependency>,
}

/// A direct dependency of a package.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub kind: Option<String>,
    /// The features that it switches on, those of the workspace's declaration included.
    #[serde(default)]
    pub features: Vec<String>,
}

impl Dependency {
    /// Whether only tests, examples and benches see it.
    pub fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// Where the manifest of a room stands.
pub fn manifest_path(room: &str) -> String {
    if room == "xtask" { "xtask/Cargo.toml".to_owned() } else { format!("crates/{room}/Cargo.toml") }
}

/// The name of a room by its package: `outrider-model` is `model`; the binary and `xtask` keep theirs.
pub fn room_name(package: &str) -> &str {
    package.strip_prefix("outrider-").unwrap_or(package)
}

/// The line on which a manifest names a dependency; its last one, because the tests' dependencies come last.
pub fn line_naming(files: &[TrackedFile], manifest: &str, dependency: &str) -> usize {
    let text = files.iter().find(|file| file.path == manifest).map_or("", |file| file.text.as_str());
    let names = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    text.lines().enumerate().filter(|(_, line)| names(line)).last().map_or(1, |(index, _)| index + 1)
}

/// Everything the checks look at.
#[derive(Debug)]
pub struct Repository {
    pub files: Vec<TrackedFile>,
    pub packages: Vec<Package>,
}

impl Repository {
    /// Reads the files and the workspace's packages.
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        Ok(Repository { files: tracked_files(root)?, packages: packages(root)? })
    }
}

/// Runs a command in `root` and returns what it printed.
pub fn output_of(root: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let what = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .with_context(|| format!("{what} cannot be started"))?;
    if !output.status.success() {
        bail!("{what} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// The cargo that runs us, so that a toolchain chosen on the command line is kept.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn tracked_files(root: &Path) -> anyhow::Result<Vec<TrackedFile>> {
    // Files that are not committed yet count too, so that a mistake is seen before the commit and not after it.
    let listing = output_of(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let listing = String::from_utf8(listing).context("a file name is not UTF-8")?;
    let paths: BTreeSet<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    let mut files = Vec::new();
    for path in paths {
        match std::fs::read(root.join(path)) {
            Ok(bytes) => {
                files.push(TrackedFile { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() });
            }
            // Deleted, but the deletion is not committed yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{path} cannot be read")),
        }
    }
    Ok(files)
}

fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let printed = output_of(root, &cargo(), &arguments)?;
    let metadata: Metadata = serde_json::from_slice(&printed).context("cargo metadata cannot be read")?;
    Ok(metadata.packages)
}
