//! `outrider health`: whether the outrider of a configuration runs and answers. What is wrong with one that answers, and
//! would not get better with a restart, is for the doctor and for notices.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::cli::ConfigArgument;
use crate::config::Config;
use crate::local;

/// Asks for a sign of life; no answer is an error.
pub async fn health(argument: ConfigArgument) -> anyhow::Result<()> {
    let data_dir = data_dir_of(&argument.config)?;
    let status = local::ask(&data_dir).await?;
    let status = status.with_context(|| format!("no outrider runs with {}", data_dir.display()))?;
    writeln!(std::io::stdout(), "outrider {} answers", status["version"].as_str().unwrap_or("of an unknown version"))?;
    Ok(())
}

/// All that is read of the configuration. A mistake elsewhere in it, which a reload refuses, says nothing of the outrider
/// that runs, and must not lead to its restart.
#[derive(Deserialize)]
struct DataDir {
    data_dir: Option<PathBuf>,
}

fn data_dir_of(path: &Path) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let DataDir { data_dir } = toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?;
    let data_dir = data_dir.unwrap_or_else(|| Config::default().data_dir);
    Ok(path.parent().unwrap_or(Path::new("")).join(data_dir))
}
