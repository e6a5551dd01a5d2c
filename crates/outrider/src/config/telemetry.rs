//! The program's own log, and where traces go.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use reqwest::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HeaderConfig;
use super::services::is_loopback;

/// The program's own log, on standard error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoggingConfig {
    /// What a line is.
    pub format: LogFormat,
    /// From which level on our own parts write. Libraries write from warnings on.
    pub level: LogLevel,
}

/// What a line of the log is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// How much is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What changed.
    #[default]
    Info,
    /// What clients did wrong.
    Debug,
    /// Everything there is.
    Trace,
}

impl LogLevel {
    /// As a filter.
    pub fn filter(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "warn,outrider=info",
            LogLevel::Debug => "warn,outrider=debug",
            LogLevel::Trace => "warn,outrider=trace",
        }
    }
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracingConfig {
    /// The address of an OpenTelemetry collector that takes OTLP over HTTP, without `/v1/traces`.
    pub endpoint: String,
    /// A header that every request carries, such as `Authorization`, with the file that holds its value.
    pub header: Option<HeaderConfig>,
    /// The authorities of its certificate; with it, the system's are not trusted.
    pub ca_file: Option<PathBuf>,
}

impl TracingConfig {
    /// The files that it names.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.ca_file.iter_mut().chain(self.header.iter_mut().map(|header| &mut header.value_file))
    }

    /// Where requests go.
    pub fn url(&self) -> anyhow::Result<reqwest::Url> {
        let url = format!("{}/v1/traces", self.endpoint.trim_end_matches('/'));
        url.parse().with_context(|| format!("tracing.endpoint is `{}`, which is no address", self.endpoint))
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        let url = self.url()?;
        let is_plain = url.scheme() == "http";
        ensure!(
            is_plain || url.scheme() == "https",
            "tracing.endpoint is `{}`; it must begin with http:// or https://, and gRPC is not spoken",
            self.endpoint
        );
        if let Some(header) = &self.header {
            let name = header.name.as_str();
            ensure!(HeaderName::try_from(name).is_ok(), "tracing.header: `{name}` is no name of a header");
            ensure!(
                !is_plain || is_loopback(&url),
                "tracing.endpoint is `{}`: `http` off loopback shows the header to everybody on the way; use `https`",
                self.endpoint
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_cannot_work_is_refused() {
        let cases = [
            ("[logging]\nlevel = 'inf'", "did you mean `info`?"),
            ("[logging]\nformat = 'xml'", "`json`"),
            ("[tracing]", "missing field `endpoint`"),
            ("[tracing]\nendpoint = 'collector:4317'", "begin with http:// or https://"),
            ("[tracing]\nendpoint = '//'", "no address"),
            ("[tracing]\nendpoint = 'http://far'\nheader = { name = 'A', value_file = 'f' }", "use `https`"),
            ("[tracing]\nendpoint = 'https://far'\nheader = { name = 'A B', value_file = 'f' }", "no name of a header"),
        ];
        for (text, words) in cases {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(words), "{text}\ngave: {error}");
        }
    }

    #[test]
    fn the_documented_sections_are_valid() {
        let page = include_str!("../../../../docs/telemetry.md");
        let blocks: Vec<_> = page.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        let uncommented = |text: &str| text.replace("\n# ", "\n");
        let config = Config::parse(&uncommented(&blocks.concat())).unwrap();
        assert_eq!((config.logging.format, config.logging.level), (LogFormat::Json, LogLevel::Info));
        let tracing = config.tracing.unwrap();
        assert!(tracing.header.is_some() && tracing.ca_file.is_some(), "{tracing:?}");
        // The example has it as a comment.
        let example = include_str!("../../../../docs/outrider.example.toml");
        let switched_on = example.replace("# [tracing]\n# endpoint", "[tracing]\nendpoint");
        assert_eq!(Config::parse(&switched_on).unwrap().tracing.unwrap().endpoint, tracing.endpoint);
    }

    #[test]
    fn an_endpoint_is_the_address_before_the_path_of_traces() {
        let cases = [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://tempo.example/otlp/", "https://tempo.example/otlp/v1/traces"),
        ];
        for (endpoint, expected) in cases {
            let config = Config::parse(&format!("[tracing]\nendpoint = '{endpoint}'")).unwrap();
            assert_eq!(config.tracing.unwrap().url().unwrap().as_str(), expected);
        }
    }
}
