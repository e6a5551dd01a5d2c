//! `cargo xtask tidy`: the rules of this repository, one module a rule or a family of rules.

mod documents;
mod features;
mod one_build;
mod rooms;
mod text;

use crate::repository::{Repository, Violation};

/// All violations, by path and line.
pub fn run(repository: &Repository) -> anyhow::Result<Vec<Violation>> {
    let mut violations = rooms::check(&repository.packages, &repository.files);
    violations.extend(one_build::check(&repository.packages, &repository.files));
    violations.extend(text::check(&repository.files, text::LONG_FILES));
    violations.extend(documents::check(&repository.files));
    violations.extend(features::check(&repository.files));
    violations.sort();
    violations.dedup();
    Ok(violations)
}
