//! A gateway with things of its own on it, and a responder that runs at it.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use outrider_model::{
    ActionId, ActionKind, ActionReport, ActionScope, DesiredAction, DesiredState, RateLimits, ReportedState,
};
use outrider_practice::{Practice, Settings};
use outrider_respond::gateways::kong::{
    AdminClient, AdminSettings, Responder, ResponderSettings, ResponderStatus, list_own,
};
use outrider_respond::gateways::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long any one thing may take, with room for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Site {
    pub practice: Option<Practice>,
    pub admin: outrider_practice::AdminClient,
    pub admin_url: String,
    pub proxy: Option<String>,
    /// Unique in this run: part of every name.
    pub mark: String,
    pub alice: String,
    pub bob: String,
    pub shop: String,
    pub shop_route: String,
    pub installation: String,
    pub disk: tempfile::TempDir,
}

pub fn address(url: &str) -> SocketAddr {
    let rest = url.trim_end_matches('/').strip_prefix("http://").expect("a plain http:// address");
    std::net::ToSocketAddrs::to_socket_addrs(rest).unwrap().next().unwrap()
}

impl Site {
    pub async fn new() -> Self {
        let (practice, admin_url, proxy) = match std::env::var("OUTRIDER_KONG_ADMIN") {
            Ok(url) => (None, url, std::env::var("OUTRIDER_KONG_PROXY").ok()),
            Err(_) => {
                let settings = Settings { state_update_frequency: Duration::ZERO, ..Settings::default() };
                let practice = Practice::start(settings).await.unwrap();
                let admin = format!("http://{}", practice.admin_address());
                let proxy = format!("http://{}", practice.proxy_address());
                (Some(practice), admin, Some(proxy))
            }
        };
        let admin = outrider_practice::AdminClient::new(address(&admin_url));
        let mark = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        let shop_name = format!("shop-{mark}");
        let shop = admin.service(&shop_name, "http://127.0.0.1:18080/", &format!("/{mark}")).await.unwrap();
        admin.key_auth(&shop_name).await.unwrap();
        let alice = admin.consumer(&format!("alice-{mark}"), &format!("key-alice-{mark}")).await.unwrap();
        let bob = admin.consumer(&format!("bob-{mark}"), &format!("key-bob-{mark}")).await.unwrap();
        let (_, route) = admin.request("GET", &format!("/routes/{shop_name}-route"), None).await.unwrap();
        let shop_route = route["id"].as_str().unwrap().to_owned();
        Site {
            practice,
            admin,
            admin_url,
            proxy,
            installation: format!("test-{mark}"),
            mark,
            alice,
            bob,
            shop,
            shop_route,
            disk: tempfile::tempdir().unwrap(),
        }
    }

    /// Another installation at the same gateway. What there is there is the first one's to take away.
    pub fn neighbour(&self) -> Site {
        Site {
            practice: None,
            admin: outrider_practice::AdminClient::new(address(&self.admin_url)),
            admin_url: self.admin_url.clone(),
            proxy: self.proxy.clone(),
            mark: self.mark.clone(),
            alice: self.alice.clone(),
            bob: self.bob.clone(),
            shop: self.shop.clone(),
            shop_route: self.shop_route.clone(),
            installation: format!("next-{}", self.mark),
            disk: tempfile::tempdir().unwrap(),
        }
    }

    pub fn installation(&self) -> String {
        self.installation.clone()
    }

    pub fn settings(&self) -> ResponderSettings {
        // Small pages, so that lists have several.
        let admin = AdminSettings { page_size: 2, ..AdminSettings::new(&self.admin_url) };
        let mut settings = ResponderSettings::new("edge", self.installation(), admin, self.disk.path());
        settings.resync_interval = Duration::from_secs(1);
        settings
    }

    pub fn client(&self) -> AdminClient {
        AdminClient::new(&self.settings().admin).unwrap()
    }

    pub fn desired(&self, version: u64, actions: Vec<DesiredAction>, releasing: &[u64]) -> DesiredState {
        DesiredState {
            version,
            installation: self.installation(),
            gateway: "edge".to_owned(),
            actions,
            releasing: releasing.iter().map(|id| ActionId(*id)).collect(),
            ended: Vec::new(),
        }
    }

    /// The actions that the gateway holds for us, and how many plugins hold them.
    pub async fn at_gateway(&self) -> (Vec<u64>, usize) {
        let own = list_own(&self.client(), &self.installation()).await.unwrap();
        let mut ids: Vec<u64> = own.iter().flat_map(|plugin| &plugin.actions).map(|id| id.0).collect();
        ids.sort_unstable();
        (ids, own.len())
    }

    pub async fn get(&self, path: &str) -> Value {
        self.admin.request("GET", path, None).await.unwrap().1
    }

    pub async fn clean(&self) {
        if let Some(practice) = &self.practice {
            practice.faults().clear_admin();
        }
        for consumer in [&self.alice, &self.bob] {
            self.admin.delete(&format!("/consumers/{consumer}")).await.unwrap();
        }
        self.admin.delete(&format!("/routes/{}", self.shop_route)).await.unwrap();
        self.admin.delete(&format!("/services/{}", self.shop)).await.unwrap();
    }

    /// The status and content type that a consumer gets.
    pub async fn call(&self, consumer: &str) -> Option<(u16, String)> {
        let proxy = self.proxy.as_ref()?;
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let key = format!("key-{consumer}-{}", self.mark);
        let response = http.get(format!("{proxy}/{}/x", self.mark)).header("apikey", key).send().await.unwrap();
        let kind = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        Some((response.status().as_u16(), kind.unwrap_or_default()))
    }
}

/// Runs a test at a site and cleans up whatever happens.
pub async fn at_site<F, R>(test: F)
where
    F: FnOnce(Arc<Site>) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let site = Arc::new(Site::new().await);
    let outcome = tokio::spawn(test(Arc::clone(&site))).await;
    site.clean().await;
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

pub struct Running {
    pub platform: watch::Sender<Option<DesiredState>>,
    pub reports: mpsc::Receiver<ActionReport>,
    /// Reports that came while another was waited for.
    pub early: Vec<ActionReport>,
    pub status: watch::Receiver<ResponderStatus>,
    pub cancel: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Running {
    pub fn start(site: &Site, state: Option<DesiredState>) -> Self {
        let responder = Responder::new(site.settings(), Arc::new(SystemClock)).unwrap();
        let (platform, inbox) = watch::channel(state);
        let (sender, reports) = mpsc::channel(10_000);
        let cancel = CancellationToken::new();
        let status = responder.status();
        let task = tokio::spawn(responder.run(inbox, sender, cancel.clone()));
        Running { platform, reports, early: Vec::new(), status, cancel, task }
    }

    /// Waits for a report of an action that is as expected; the action's others before it are let go.
    pub async fn until(&mut self, action: u64, expected: impl Fn(&ReportedState) -> bool) -> ReportedState {
        let wait = async {
            loop {
                while let Some(at) = self.early.iter().position(|report| report.action.0 == action) {
                    let report = self.early.remove(at);
                    if expected(&report.state) {
                        return report.state;
                    }
                }
                self.early.push(self.reports.recv().await.expect("the responder ended"));
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(state) => state,
            Err(_) => panic!("no such report of {action} came, but {:?}", self.early),
        }
    }

    pub async fn until_stored(&mut self, action: u64) -> String {
        match self.until(action, |state| matches!(state, ReportedState::Stored { .. })).await {
            ReportedState::Stored { plugin_id, .. } => plugin_id,
            other => panic!("{other:?}"),
        }
    }

    pub async fn until_released(&mut self, action: u64) {
        self.until(action, |state| *state == ReportedState::Released).await;
    }

    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

pub fn block(id: u64, consumer_id: &str, lasts_s: Option<i64>) -> DesiredAction {
    DesiredAction {
        id: ActionId(id),
        workspace: "default".to_owned(),
        consumer_id: consumer_id.to_owned(),
        consumer_name: "somebody".to_owned(),
        scope: ActionScope::Consumer,
        kind: ActionKind::Block { status: 403, message: "Blocked by \"policy\"".to_owned() },
        expires_ms: lasts_s.map(|seconds| SystemClock.now_ms() + seconds * 1000),
        by_person: false,
    }
}

pub fn limit(id: u64, consumer_id: &str, lasts_s: Option<i64>, month: u32) -> DesiredAction {
    let limits = RateLimits { month: Some(month), ..RateLimits::default() };
    let kind = ActionKind::RateLimit { limits, status: 429, message: "Slow \"down\"".to_owned() };
    DesiredAction { kind, ..block(id, consumer_id, lasts_s) }
}

pub fn at(scope: ActionScope, action: DesiredAction) -> DesiredAction {
    DesiredAction { scope, ..action }
}

pub fn service(id: &str) -> ActionScope {
    ActionScope::Service { id: id.to_owned(), name: String::new() }
}

pub fn route(id: &str) -> ActionScope {
    ActionScope::Route { id: id.to_owned(), name: String::new() }
}
