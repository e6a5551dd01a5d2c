//! A bucket of a store that speaks S3. What it has acknowledged is durable, and a commit is a put that fails where there is an
//! object already, so that of two writers one sees that the other was faster.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{BackoffConfig, Certificate, ClientOptions, Error, ObjectStore, ObjectStoreExt as _, RetryConfig};
use url::Url;

use super::answers::Connector;
use super::claim::Claim;
use super::credentials::FileCredentials;
use super::{LOG, Place};
use crate::table::{LakeError, table_error};

/// How often a request is sent again, and for how long. Who writes the lake tries again by itself, and says so meanwhile.
const RETRIES_MAX: usize = 4;
const RETRIED_FOR: Duration = Duration::from_secs(15);
/// How long one request may take: a part of a file over a slow line.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(120);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// What is taken from the environment: the region, keys, and what says where those of a container or a role are. Another address or
/// no signature would be for all of the machine's programs, and not for the lake.
const FROM_ENVIRONMENT: [&str; 11] = [
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
];

/// Which bucket, and how it is reached. Region and keys that are left out come from the environment (`AWS_REGION`,
/// `AWS_ACCESS_KEY_ID` and so on), keys also from the machine's own identity in a cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// Its name.
    pub bucket: String,
    /// What all keys begin with, without `/` at both ends; may be empty.
    pub prefix: String,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// The store, where it is not Amazon's: `https://host:port`.
    pub endpoint: Option<String>,
    /// Whether an endpoint may be `http`, over which anybody can read the calls.
    pub allow_http: bool,
    /// A file with the keys.
    pub credentials_file: Option<PathBuf>,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Display for BucketSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// A bucket that is connected to when it is first asked.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// As people write it.
    pub(super) name: String,
    pub(super) prefix: Path,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) writer: Claim,
}

impl Bucket {
    pub(super) fn open(settings: &BucketSettings, writer: Claim) -> Result<Bucket, LakeError> {
        let name = settings.to_string();
        let unusable = |why: String| LakeError::Settings { place: name.clone(), why };
        if let Some(path) = &settings.credentials_file {
            FileCredentials::check(path).map_err(unusable)?;
        }
        let store = store(settings).map_err(|source| unusable(source.to_string()))?;
        Ok(Bucket { name, prefix: Path::from(settings.prefix.as_str()), store, writer })
    }

    pub(super) fn table(&self, table: &str) -> TableInBucket {
        TableInBucket {
            name: format!("{}/{table}", self.name),
            prefix: self.prefix.clone().join(table),
            store: Arc::clone(&self.store),
        }
    }
}

fn store(settings: &BucketSettings) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut client = ClientOptions::new()
        .with_allow_http(settings.allow_http)
        .with_timeout(REQUEST_TIME_MAX)
        .with_connect_timeout(CONNECT_TIME_MAX);
    if let Some(path) = &settings.ca_file {
        let unreadable = |source: std::io::Error| Error::Generic {
            store: "S3",
            source: format!("cannot read {}: {source}", path.display()).into(),
        };
        for certificate in Certificate::from_pem_bundle(&std::fs::read(path).map_err(unreadable)?)? {
            client = client.with_root_certificate(certificate);
        }
    }
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES_MAX, retry_timeout: RETRIED_FOR };
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(Connector::default())
        .with_bucket_name(&settings.bucket)
        .with_client_options(client)
        .with_retry(retry)
        // Commits rest on it.
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    for name in FROM_ENVIRONMENT {
        if let (Ok(value), Ok(key)) = (std::env::var(name), name.to_ascii_lowercase().parse()) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(path) = &settings.credentials_file {
        builder = builder.with_credentials(Arc::new(FileCredentials::new(path)));
    }
    Ok(Arc::new(builder.build()?))
}

/// Where a table is in a bucket.
#[derive(Debug, Clone)]
pub(crate) struct TableInBucket {
    /// As people write it.
    name: String,
    prefix: Path,
    store: Arc<dyn ObjectStore>,
}

impl fmt::Display for TableInBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TableInBucket {
    /// The whole bucket, as the URL of the table is read.
    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    pub(super) fn url(&self) -> Result<Url, LakeError> {
        let invalid = |source: url::ParseError| {
            let source = Error::Generic { store: "S3", source: source.into() };
            LakeError::store("name", &self.name, source)
        };
        Url::parse(&format!("{}/", self.name)).map_err(invalid)
    }

    pub(super) fn log_store(&self) -> Result<LogStoreRef, LakeError> {
        let (url, config) = (self.url()?, StorageConfig::default());
        let failed = table_error(&Place::Bucket(self.clone()), "open");
        let of_table = config.decorate_store(self.store(), &url).map_err(failed)?;
        Ok(default_logstore(Arc::new(of_table), self.store(), &url, &config))
    }

    pub(super) async fn has_versions(&self) -> Result<bool, LakeError> {
        let log = self.prefix.clone().join(LOG);
        let commits = self.store.list(Some(&log)).try_filter(|found| {
            let is_commit = found.location.as_ref().ends_with(".json");
            std::future::ready(is_commit)
        });
        let first = std::pin::pin!(commits).try_next().await;
        Ok(first.map_err(self.failed("look for"))?.is_some())
    }

    pub(super) async fn data_files(&self) -> Result<Vec<String>, LakeError> {
        let is_data = |name: &String| name.contains("=") && name.contains("/part-") && name.ends_with(".parquet");
        Ok(self.list(&self.prefix).await?.into_iter().filter(is_data).collect())
    }

    pub(super) async fn log_files(&self) -> Result<Vec<String>, LakeError> {
        self.list(&self.prefix.clone().join(LOG)).await
    }

    /// The names below a place, without it.
    async fn list(&self, below: &Path) -> Result<Vec<String>, LakeError> {
        let found: Vec<_> = self.store.list(Some(below)).try_collect().await.map_err(self.failed("list"))?;
        let names = found.into_iter().filter_map(|object| {
            let name = object.location.as_ref().strip_prefix(below.as_ref())?;
            Some(name.trim_start_matches('/').to_owned())
        });
        Ok(names.collect())
    }

    pub(super) async fn read_log(&self, name: &str) -> Result<String, LakeError> {
        let path = self.prefix.clone().join(LOG).join(name);
        let read = async { self.store.get(&path).await?.bytes().await };
        let bytes = read.await.map_err(self.failed("read the log of"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) async fn rewrite_log(&self, name: &str, text: &str) -> Result<(), LakeError> {
        let path = self.prefix.clone().join(LOG).join(name);
        self.store.put(&path, text.to_owned().into()).await.map_err(self.failed("write the log of"))?;
        Ok(())
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), LakeError> {
        let path = Path::from(format!("{}/{name}", self.prefix));
        match self.store.delete(&path).await {
            Err(Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(source) => Err(self.failed("delete a file of")(source)),
        }
    }

    fn failed(&self, doing: &'static str) -> impl Fn(Error) -> LakeError + use<> {
        let name = self.name.clone();
        move |source| LakeError::store(doing, &name, source)
    }
}
