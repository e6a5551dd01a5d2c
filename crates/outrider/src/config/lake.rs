//! `[lake]`: where calls are kept, how many, and what queries may use.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use outrider_lake::{BucketSettings, Location, QueryLimits, Retention};
use outrider_platform::service::LakeSettings;
use schemars::JsonSchema;
use serde::Deserialize;

const MIB: u64 = 1024 * 1024;

/// The table of all events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LakeConfig {
    /// Whether events are kept as a table at all.
    pub enabled: bool,
    /// Where it is: `s3://bucket/prefix`, of a store that speaks S3. Without it, in the directory `lake` of `data_dir`.
    pub url: Option<String>,
    /// The region of the bucket. Without it, `AWS_REGION` of the environment, else `us-east-1`.
    pub region: Option<String>,
    /// The store, where it is not Amazon's: `https://host:port`.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be `http`, over which anybody on the way reads the calls.
    pub allow_http: bool,
    /// A file with the keys of the store, as Amazon's tools write it: `aws_access_key_id = …`, `aws_secret_access_key = …`.
    /// Without it, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` of the environment, else the identity that a cloud gives the
    /// machine.
    pub credentials_file: Option<PathBuf>,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long events wait at most before they are committed, in milliseconds, 100 to 60000. Queries of a running outrider
    /// see them before.
    pub commit_interval_ms: u64,
    /// Days that are kept besides the running one, 1 to 3650; 0 for all.
    pub retention_days: u32,
    /// Bytes of data files that are kept, 100 MiB at least; the oldest days go first. 0 for any number.
    pub size_bytes_max: u64,
    /// Queries that may run at one time, 1 to 100.
    pub queries_max: usize,
    /// Seconds that a query may take, 1 to 3600.
    pub query_seconds_max: u64,
    /// Rows that an answer may have, 1 to 10,000,000.
    pub query_rows_max: usize,
    /// Memory of all queries together in bytes, 64 MiB at least.
    pub query_memory_bytes: u64,
    /// Disk of all queries together in bytes, below `data_dir`, for what does not fit into memory.
    pub query_scratch_bytes: u64,
}

impl Default for LakeConfig {
    fn default() -> Self {
        LakeConfig {
            enabled: true,
            url: None,
            region: None,
            endpoint: None,
            allow_http: false,
            credentials_file: None,
            ca_file: None,
            commit_interval_ms: 10_000,
            retention_days: 30,
            size_bytes_max: 0,
            queries_max: 4,
            query_seconds_max: 60,
            query_rows_max: 100_000,
            query_memory_bytes: 512 * MIB,
            query_scratch_bytes: 4096 * MIB,
        }
    }
}

impl LakeConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.check_place()?;
        let interval = self.commit_interval_ms;
        ensure!((100..=60_000).contains(&interval), "lake.commit_interval_ms is {interval}; use 100 to 60000");
        let days = self.retention_days;
        ensure!(days <= 3650, "lake.retention_days is {days}; use 1 to 3650, or 0 to keep all");
        let bytes = self.size_bytes_max;
        ensure!(
            bytes == 0 || bytes >= 100 * MIB,
            "lake.size_bytes_max is {bytes}; use 104857600 or more, or 0 for no limit"
        );
        let queries = self.queries_max;
        ensure!((1..=100).contains(&queries), "lake.queries_max is {queries}; use 1 to 100");
        let seconds = self.query_seconds_max;
        ensure!((1..=3600).contains(&seconds), "lake.query_seconds_max is {seconds}; use 1 to 3600");
        let rows = self.query_rows_max;
        ensure!((1..=10_000_000).contains(&rows), "lake.query_rows_max is {rows}; use 1 to 10000000");
        let memory = self.query_memory_bytes;
        ensure!(memory >= 64 * MIB, "lake.query_memory_bytes is {memory}; use 67108864 or more");
        Ok(())
    }

    fn check_place(&self) -> anyhow::Result<()> {
        let Some(url) = &self.url else {
            let of_bucket = [
                ("region", self.region.is_some()),
                ("endpoint", self.endpoint.is_some()),
                ("allow_http", self.allow_http),
                ("credentials_file", self.credentials_file.is_some()),
                ("ca_file", self.ca_file.is_some()),
            ];
            let said = of_bucket.into_iter().find(|(_, is_said)| *is_said);
            let said = said.map(|(name, _)| name).unwrap_or_default();
            ensure!(said.is_empty(), "lake.{said} is of a store; say which bucket with lake.url, or leave it out");
            return Ok(());
        };
        bucket_of(url).map(drop)?;
        let Some(endpoint) = &self.endpoint else {
            ensure!(
                !self.allow_http,
                "lake.allow_http is of an endpoint; say which with lake.endpoint, or leave it out"
            );
            return Ok(());
        };
        let is_http = endpoint.starts_with("http://");
        let parsed =
            reqwest::Url::parse(endpoint).ok().filter(|url| url.username().is_empty() && url.password().is_none());
        ensure!(
            parsed.is_some() && (is_http || endpoint.starts_with("https://")),
            "lake.endpoint is no address of a store; use https://host:port, and lake.credentials_file for keys"
        );
        ensure!(
            !is_http || self.allow_http,
            "lake.endpoint is http, over which anybody on the way reads the calls; use https, or say lake.allow_http = true"
        );
        Ok(())
    }

    /// Where it is, of an installation in a data directory.
    pub fn location(&self, data_dir: &Path, installation: &str) -> anyhow::Result<Location> {
        let directory = data_dir.join("lake");
        let Some(url) = &self.url else { return Ok(Location::directory(directory)) };
        let (bucket, prefix) = bucket_of(url)?;
        let settings = BucketSettings {
            bucket,
            prefix,
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            allow_http: self.allow_http,
            credentials_file: self.credentials_file.clone(),
            ca_file: self.ca_file.clone(),
        };
        Ok(Location::bucket(settings, directory, installation))
    }

    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.credentials_file, &mut self.ca_file].into_iter().flatten()
    }

    /// What the platform does with it; `None` where the lake is off.
    pub fn settings(&self) -> Option<LakeSettings> {
        self.enabled.then(|| LakeSettings {
            commit_interval: Duration::from_millis(self.commit_interval_ms),
            retention: Retention {
                days: (self.retention_days > 0).then_some(self.retention_days),
                bytes_max: (self.size_bytes_max > 0).then_some(self.size_bytes_max),
            },
            limits: self.limits(),
        })
    }

    /// What queries may use.
    pub fn limits(&self) -> QueryLimits {
        QueryLimits {
            queries_max: self.queries_max,
            memory_bytes: usize::try_from(self.query_memory_bytes).unwrap_or(usize::MAX),
            scratch_bytes: self.query_scratch_bytes,
            time: Duration::from_secs(self.query_seconds_max),
            rows_max: self.query_rows_max,
            ..QueryLimits::default()
        }
    }
}

/// Bucket and prefix of `s3://bucket/prefix`.
fn bucket_of(url: &str) -> anyhow::Result<(String, String)> {
    // The text is not shown: somebody may have put keys into it.
    let form = "lake.url has another form than s3://bucket/prefix; no other stores are possible, keys go to lake.credentials_file";
    let path = url.strip_prefix("s3://").context(form)?.trim_end_matches('/');
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let is_of = |text: &str, others: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
    ensure!(
        is_of(bucket, "-._") && (3..=63).contains(&bucket.len()),
        "{form}: a bucket's name has 3 to 63 letters, digits, `-` and `.`"
    );
    ensure!(
        prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | "..")) && is_of(prefix, "-._/=+"),
        "{form}: a prefix has letters, digits, `-`, `_`, `.`, `=` and `+`, and single `/` between"
    );
    Ok((bucket.to_owned(), prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> anyhow::Result<LakeConfig> {
        let config: LakeConfig = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    #[test]
    fn a_bucket_is_named_by_its_url() {
        let place = |text: &str| checked(text).unwrap().location(Path::new("/d"), "one").unwrap().to_string();
        assert_eq!(place(""), "/d/lake");
        assert_eq!(place("url = 's3://calls'"), "s3://calls");
        assert_eq!(place("url = 's3://calls/of/outrider/'\nregion = 'eu-central-1'"), "s3://calls/of/outrider");
        assert_eq!(place("url = 's3://calls'\nendpoint = 'http://minio:9000'\nallow_http = true"), "s3://calls");
    }

    #[test]
    fn what_is_wrong_with_a_place_is_told_without_its_keys() {
        for (text, expected) in [
            ("url = 'gs://calls'", "another form than s3://bucket/prefix"),
            ("url = 's3://key:secret@calls'", "a bucket's name has"),
            ("url = 's3://calls/../x'", "a prefix has"),
            ("url = 's3://calls//x'", "a prefix has"),
            ("region = 'x'", "lake.region is of a store"),
            ("credentials_file = 'x'", "lake.credentials_file is of a store"),
            ("url = 's3://calls'\nendpoint = 'http://minio:9000'", "say lake.allow_http = true"),
            ("url = 's3://calls'\nendpoint = 'https://key:secret@minio'", "no address of a store"),
            ("url = 's3://calls'\nallow_http = true", "say which with lake.endpoint"),
        ] {
            let error = checked(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("secret@"), "{text}\ngave: {error}");
        }
    }
}
