//! A client of Kong's Admin API: the few calls that holding a gateway to its desired state takes.
//!
//! It decides what a call looks like on the wire and how long it may take; [`super::answer`] decides what an answer
//! means. It never retries: who calls knows whether that is safe.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::RwLock;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, error_chain, http_date_ms};
use super::log_plugin::LogDocument;
use super::probe::NodeSummary;
use super::trace::admin_call;
use super::wire::{Consumer, Page, Plugin, PluginWrite, Route, Service};
use crate::gateways::GatewayError;

/// Pages of one list after which it is given up: with the largest page size, a million entities.
const PAGES_MAX: usize = 1000;

/// A header file holds one short value.
const HEADER_FILE_BYTES_MAX: u64 = 16 * 1024;

/// How the Admin API is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it is, `http` or `https`; a path before the entities is kept (an Enterprise workspace, Konnect).
    pub url: String,
    /// A header that every call carries.
    pub header: Option<AdminHeader>,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a call may take from its beginning to the end of the answer.
    pub call_timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub answer_bytes_max: usize,
    /// Entities per page of a list, 1 to 1000.
    pub page_size: u16,
}

impl AdminSettings {
    /// The defaults for an address.
    pub fn new(url: impl Into<String>) -> Self {
        AdminSettings {
            url: url.into(),
            header: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(10),
            answer_bytes_max: 32 * 1024 * 1024,
            page_size: 1000,
        }
    }
}

/// A header whose value is in a file, so that it is in no configuration, process list or log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminHeader {
    /// Its name, such as `Kong-Admin-Token`.
    pub name: String,
    /// The file with its value; white space around the value is cut off.
    pub value_file: PathBuf,
}

/// The calls that the responder makes. A trait, so that its behaviour over hours and faults is tested in virtual time
/// against a gateway in memory; [`AdminClient`] is the one that runs.
pub trait AdminApi: Send + Sync + 'static {
    /// `GET /`.
    fn node(&self) -> impl Future<Output = Result<NodeSummary, GatewayError>> + Send;
    /// All plugins with all of these tags.
    fn plugins_tagged(&self, tags: &[&str]) -> impl Future<Output = Result<Vec<Plugin>, GatewayError>> + Send;
    /// All plugins for which `keep` says so.
    fn plugins_where(
        &self,
        keep: fn(&Plugin) -> bool,
    ) -> impl Future<Output = Result<Vec<Plugin>, GatewayError>> + Send;
    /// One plugin by its id or instance name.
    fn plugin(&self, id: &str) -> impl Future<Output = Result<Option<Plugin>, GatewayError>> + Send;
    /// Creates a plugin with an id of its own; fails where the id, the instance name or the scope is taken.
    fn create_plugin(&self, plugin: &PluginWrite) -> impl Future<Output = Result<Plugin, GatewayError>> + Send;
    /// Replaces everything that a plugin is, or creates it.
    fn replace_plugin(
        &self,
        id: &str,
        plugin: &PluginWrite,
    ) -> impl Future<Output = Result<Plugin, GatewayError>> + Send;
    /// Deletes a plugin. Kong confirms also where there was none.
    fn delete_plugin(&self, id: &str) -> impl Future<Output = Result<(), GatewayError>> + Send;
    /// A consumer by its id or user name.
    fn consumer(&self, id: &str) -> impl Future<Output = Result<Option<Consumer>, GatewayError>> + Send;
    /// The plugins of a consumer; `None` where the consumer is gone.
    fn consumer_plugins(&self, id: &str) -> impl Future<Output = Result<Option<Vec<Plugin>>, GatewayError>> + Send;
    /// All routes.
    fn routes(&self) -> impl Future<Output = Result<Vec<Route>, GatewayError>> + Send;
    /// All services.
    fn services(&self) -> impl Future<Output = Result<Vec<Service>, GatewayError>> + Send;
}

/// A client of one Admin API.
pub struct AdminClient {
    http: reqwest::Client,
    base: Url,
    header: Option<(HeaderName, PathBuf, RwLock<HeaderValue>)>,
    answer_bytes_max: usize,
    page_size: String,
}

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl AdminSettings {
    /// Refuses what cannot be meant, without reading a file or connecting.
    pub fn validate(&self) -> Result<(), GatewayError> {
        if !(1..=1000).contains(&self.page_size) {
            return Err(setting("admin.page_size", format!("{} is not in 1 to 1000", self.page_size)));
        }
        base_url(&self.url).map(drop)
    }
}

impl AdminClient {
    /// A client; reads the header and certificate files, connects to nothing yet.
    pub fn new(settings: &AdminSettings) -> Result<Self, GatewayError> {
        settings.validate()?;
        let header = match &settings.header {
            None => None,
            Some(AdminHeader { name, value_file }) => {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| setting("admin.header.name", format!("`{name}` is no header name")))?;
                let value = read_header(value_file)?;
                Some((name, value_file.clone(), RwLock::new(value)))
            }
        };
        // No redirects: an answer that sends us elsewhere is not Kong's. No proxy from the environment: the token and the
        // power over the gateway go to the configured address or nowhere.
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.call_timeout)
            .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).map_err(|error| GatewayError::file("read", path, &error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| {
                setting("admin.ca_file", format!("{} holds no PEM certificates: {error}", path.display()))
            })?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| setting("admin", error_chain(&error)))?;
        Ok(AdminClient {
            http,
            base: base_url(&settings.url)?,
            header,
            answer_bytes_max: settings.answer_bytes_max,
            page_size: settings.page_size.to_string(),
        })
    }

    /// The plugins of a service; `None` where the service is gone.
    pub async fn service_plugins(&self, id: &str) -> Result<Option<Vec<Plugin>>, GatewayError> {
        self.list_if_found(&["services", id, "plugins"]).await
    }

    /// The plugins of a route; `None` where the route is gone.
    pub async fn route_plugins(&self, id: &str) -> Result<Option<Vec<Plugin>>, GatewayError> {
        self.list_if_found(&["routes", id, "plugins"]).await
    }

    /// Changes some fields of a plugin; `None` where there is none. Lists and maps inside are replaced, not merged.
    pub async fn patch_plugin(&self, id: &str, changes: &Value) -> Result<Option<Plugin>, GatewayError> {
        let answer = self.call(Method::PATCH, &["plugins", id], &[], Some(encode(changes)?)).await?;
        answer.entity_if_found().map_err(|error| self.clean(error))
    }

    /// Creates a log plugin; fails where its scope is taken.
    pub(super) async fn create_log_plugin(&self, document: &LogDocument) -> Result<(), GatewayError> {
        let answer = self.call(Method::POST, &["plugins"], &[], Some(encode(document)?)).await?;
        answer.entity::<Plugin>().map(drop).map_err(|error| self.clean(error))
    }

    /// Replaces everything that a log plugin of ours is.
    pub(super) async fn replace_log_plugin(&self, id: &str, document: &LogDocument) -> Result<(), GatewayError> {
        let answer = self.call(Method::PUT, &["plugins", id], &[], Some(encode(document)?)).await?;
        answer.entity::<Plugin>().map(drop).map_err(|error| self.clean(error))
    }

    async fn list_if_found<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<Vec<T>>, GatewayError> {
        match self.list(path, &[], |_| true).await {
            Ok(entities) => Ok(Some(entities)),
            Err(GatewayError::Kong { status: 404, message, .. }) if message == "Not found" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first entities of a list that are to be kept, and whether these are all; of those, at most a page more than
    /// `enough` is read.
    pub(super) async fn list_first<T: DeserializeOwned>(
        &self,
        list: &str,
        keep: impl Fn(&T) -> bool,
        enough: usize,
    ) -> Result<(Vec<T>, bool), GatewayError> {
        let mut entities = self.list_until(&[list], &[], keep, enough + 1).await?;
        let is_whole = entities.len() <= enough;
        entities.truncate(enough);
        Ok((entities, is_whole))
    }

    /// All pages of a list.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        filter: &[(&str, &str)],
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, GatewayError> {
        self.list_until(path, filter, keep, usize::MAX).await
    }

    /// Pages of a list until it ends or there are `enough`.
    async fn list_until<T: DeserializeOwned>(
        &self,
        path: &[&str],
        filter: &[(&str, &str)],
        keep: impl Fn(&T) -> bool,
        enough: usize,
    ) -> Result<Vec<T>, GatewayError> {
        let mut entities = Vec::new();
        let mut offset: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = filter.to_vec();
            query.push(("size", &self.page_size));
            if let Some(offset) = &offset {
                query.push(("offset", offset));
            }
            let page: Page<T> = self.get(path, &query).await?;
            entities.extend(page.data.into_iter().filter(&keep));
            if entities.len() >= enough {
                return Ok(entities);
            }
            match (page.offset, page.next) {
                (Some(next), _) if Some(&next) == offset.as_ref() => break,
                (Some(next), _) => offset = Some(next),
                (None, None) => return Ok(entities),
                (None, Some(_)) => break,
            }
        }
        // A list that was cut short must never pass for a whole one: what is missing in it would be written again.
        Err(GatewayError::UnexpectedAnswer {
            status: 200,
            detail: format!("the pages of /{} do not end as Kong's do", path.join("/")),
            retry_after_s: None,
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, GatewayError> {
        self.call(Method::GET, path, query, None).await?.entity().map_err(|error| self.clean(error))
    }

    /// An entity, and what the node's clock said with it, to the second.
    pub(super) async fn get_dated<T: DeserializeOwned>(&self, path: &[&str]) -> Result<(T, Option<i64>), GatewayError> {
        let answer = self.call(Method::GET, path, &[], None).await?;
        let entity = answer.entity().map_err(|error| self.clean(error))?;
        Ok((entity, answer.date_ms))
    }

    async fn get_if_found<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, GatewayError> {
        self.call(Method::GET, path, &[], None).await?.entity_if_found().map_err(|error| self.clean(error))
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, GatewayError> {
        let url = self.url(path, query)?;
        let exchange = self.exchange(method.clone(), url.clone(), body.clone());
        let answer = admin_call(&method, path, exchange).await?;
        // The token may have been rotated: look once whether its file says something new.
        if matches!(answer.status, 401 | 403) && self.reload_header() {
            return admin_call(&method, path, self.exchange(method.clone(), url, body)).await;
        }
        Ok(answer)
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, GatewayError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(setting("admin.url", "it cannot have a path".to_owned())),
        };
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn exchange(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> Result<Answer, GatewayError> {
        let mut request = self.http.request(method, url);
        if let Some((name, _, value)) = &self.header {
            let value = value.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await.map_err(|error| self.transport_error(error))?;
        let status = response.status().as_u16();
        let broken = |detail: String| GatewayError::UnexpectedAnswer { status, detail, retry_after_s: None };
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) if body.len() + chunk.len() > self.answer_bytes_max => {
                    return Err(broken(format!("the answer is larger than {} bytes", self.answer_bytes_max)));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Err(error) => {
                    let detail = self.strike_out(error_chain(&error.without_url()));
                    return Err(broken(format!("the answer ended early: {detail}")));
                }
            }
        }
        let headers = response.headers();
        Ok(Answer {
            status,
            content_type: text(headers, &CONTENT_TYPE),
            location: text(headers, &LOCATION),
            retry_after_s: text(headers, &RETRY_AFTER).trim().parse().ok(),
            date_ms: http_date_ms(&text(headers, &DATE)),
            body,
        })
    }

    fn transport_error(&self, error: reqwest::Error) -> GatewayError {
        let not_http = std::iter::successors(std::error::Error::source(&error), |error| error.source())
            .filter_map(|error| error.downcast_ref::<hyper::Error>())
            .any(hyper::Error::is_parse);
        let detail = self.strike_out(error_chain(&error.without_url()));
        if not_http {
            return GatewayError::UnexpectedAnswer { status: 0, detail, retry_after_s: None };
        }
        GatewayError::Unreachable { detail }
    }

    /// True if the header's value has changed since it was read.
    fn reload_header(&self) -> bool {
        let Some((_, path, value)) = &self.header else { return false };
        let Ok(fresh) = read_header(path) else { return false };
        let mut value = value.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changed = *value != fresh;
        *value = fresh;
        changed
    }

    /// An error page may repeat the request's headers. Our own value goes no further than here.
    fn strike_out(&self, text: String) -> String {
        match self.secret() {
            Some(secret) if text.contains(&secret) => text.replace(&secret, "[struck out]"),
            _ => text,
        }
    }

    fn clean(&self, error: GatewayError) -> GatewayError {
        match error {
            GatewayError::UnexpectedAnswer { status, detail, retry_after_s } => {
                GatewayError::UnexpectedAnswer { status, detail: self.strike_out(detail), retry_after_s }
            }
            GatewayError::Kong { status, code, message, fields, retry_after_s } => {
                GatewayError::Kong { status, code, message: self.strike_out(message), fields, retry_after_s }
            }
            other => other,
        }
    }

    fn secret(&self) -> Option<String> {
        let (_, _, value) = self.header.as_ref()?;
        let value = value.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        value.to_str().ok().filter(|value| !value.is_empty()).map(str::to_owned)
    }
}

impl AdminApi for AdminClient {
    async fn node(&self) -> Result<NodeSummary, GatewayError> {
        self.get(&[], &[]).await
    }

    async fn plugins_tagged(&self, tags: &[&str]) -> Result<Vec<Plugin>, GatewayError> {
        self.list(&["plugins"], &[("tags", &tags.join(","))], |_| true).await
    }

    async fn plugins_where(&self, keep: fn(&Plugin) -> bool) -> Result<Vec<Plugin>, GatewayError> {
        self.list(&["plugins"], &[], keep).await
    }

    async fn plugin(&self, id: &str) -> Result<Option<Plugin>, GatewayError> {
        self.get_if_found(&["plugins", id]).await
    }

    async fn create_plugin(&self, plugin: &PluginWrite) -> Result<Plugin, GatewayError> {
        let answer = self.call(Method::POST, &["plugins"], &[], Some(encode(plugin)?)).await?;
        answer.entity().map_err(|error| self.clean(error))
    }

    async fn replace_plugin(&self, id: &str, plugin: &PluginWrite) -> Result<Plugin, GatewayError> {
        let answer = self.call(Method::PUT, &["plugins", id], &[], Some(encode(plugin)?)).await?;
        answer.entity().map_err(|error| self.clean(error))
    }

    async fn delete_plugin(&self, id: &str) -> Result<(), GatewayError> {
        let answer = self.call(Method::DELETE, &["plugins", id], &[], None).await?;
        answer.no_content().map_err(|error| self.clean(error))
    }

    async fn consumer(&self, id: &str) -> Result<Option<Consumer>, GatewayError> {
        self.get_if_found(&["consumers", id]).await
    }

    async fn consumer_plugins(&self, id: &str) -> Result<Option<Vec<Plugin>>, GatewayError> {
        self.list_if_found(&["consumers", id, "plugins"]).await
    }

    async fn routes(&self) -> Result<Vec<Route>, GatewayError> {
        self.list(&["routes"], &[], |_| true).await
    }

    async fn services(&self) -> Result<Vec<Service>, GatewayError> {
        self.list(&["services"], &[], |_| true).await
    }
}

fn base_url(text: &str) -> Result<Url, GatewayError> {
    let url = Url::parse(text).map_err(|error| setting("admin.url", format!("`{text}` cannot be read: {error}")))?;
    // The text is not repeated from here on: it may hold a password.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(setting("admin.url", "it must not hold a user name or password; use admin.header".to_owned()));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(setting("admin.url", format!("`{text}` must begin with http:// or https:// and a host")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(setting("admin.url", format!("`{text}` must not have a query or fragment")));
    }
    Ok(url)
}

fn read_header(path: &std::path::Path) -> Result<HeaderValue, GatewayError> {
    let failed = |error: std::io::Error| GatewayError::file("read", path, &error);
    if std::fs::metadata(path).map_err(failed)?.len() > HEADER_FILE_BYTES_MAX {
        return Err(setting("admin.header.value_file", format!("{} is larger than a header", path.display())));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let mut value = HeaderValue::from_bytes(bytes.trim_ascii())
        .map_err(|_| setting("admin.header.value_file", format!("{} holds no header value", path.display())))?;
    if value.is_empty() {
        return Err(setting("admin.header.value_file", format!("{} is empty", path.display())));
    }
    value.set_sensitive(true);
    Ok(value)
}

fn setting(setting: &'static str, detail: String) -> GatewayError {
    GatewayError::Setting { setting, detail }
}

fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>, GatewayError> {
    serde_json::to_vec(value).map_err(|error| setting("plugin", error.to_string()))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}
