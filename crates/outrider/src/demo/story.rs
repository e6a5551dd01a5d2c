//! The story: what happens, in the order in which it happens, as the APIs tell it.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use outrider_practice::Practice;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::clients::Client;
use super::{BLOCK_SECONDS, OFFENDER, ORDINARY, learning_time};

/// How long a step of the story may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often the API is asked for what is new.
const LOOK: Duration = Duration::from_millis(50);

/// Everything the story needs to look at.
pub struct Story {
    proxy: String,
    admin: String,
    api: String,
    token: String,
    data_dir: PathBuf,
    http: reqwest::Client,
}

impl Story {
    /// A story about these.
    pub fn new(practice: &Practice, api: SocketAddr, token: String, data_dir: PathBuf) -> Story {
        Story {
            proxy: format!("http://{}", practice.proxy_address()),
            admin: format!("http://{}", practice.admin_address()),
            api: format!("http://{api}"),
            token,
            data_dir,
            http: reqwest::Client::new(),
        }
    }

    /// Tells it from the first ordinary call to the release.
    pub async fn tell(&self) -> anyhow::Result<()> {
        say(&format!("practice gateway at {} (Admin API {})", self.proxy, self.admin))?;
        say(&format!("outrider's API at {}, data in {}", self.api, self.data_dir.display()))?;
        self.learn().await?;
        self.attack().await
    }

    /// Ordinary work of every consumer, until the end.
    pub fn work(&self, end: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
        ORDINARY.map(|name| tokio::spawn(Client::new(&self.proxy, name).work(Arc::clone(end)))).into()
    }

    async fn learn(&self) -> anyhow::Result<()> {
        say(&format!("{} consumers do ordinary work; outrider learns what is normal", ORDINARY.len()))?;
        let time = learning_time(crate::service::now_ms());
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new(time.as_secs()) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("  {bar:40} {pos}/{len} s, {msg}") {
            bar.set_style(style);
        }
        let began = Instant::now();
        while began.elapsed() < time {
            let status = self.get("/api/v1/status").await?;
            bar.set_position(began.elapsed().as_secs());
            bar.set_message(format!("{} calls seen", status["platform"]["progress"]["calls"]));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bar.finish_and_clear();
        let endpoints = self.get("/api/v1/endpoints?sort=calls").await?;
        let names = list(&endpoints).map(|e| format!("{} {}", text(&e["key"]["method"]), text(&e["key"]["template"])));
        say(&format!("endpoints discovered: {}", names.collect::<Vec<_>>().join(", ")))
    }

    async fn attack(&self) -> anyhow::Result<()> {
        say(&format!("{OFFENDER} begins to call GET /shop/items/… in a loop"))?;
        let (sender, mut statuses) = mpsc::unbounded_channel();
        let end = Arc::new(AtomicBool::new(false));
        let looping = tokio::spawn(Client::new(&self.proxy, OFFENDER).bombard(sender, Arc::clone(&end)));
        let result = self.follow(&mut statuses).await;
        end.store(true, Ordering::Relaxed);
        looping.await.context("the loop ended badly")?;
        result
    }

    /// From the alert to the release, while the loop goes on.
    async fn follow(&self, statuses: &mut mpsc::UnboundedReceiver<u16>) -> anyhow::Result<()> {
        let mut calls = Calls::default();
        let alert = self.await_first("/api/v1/alerts", statuses, &mut calls, |_| true).await?;
        calls.show()?;
        let worst = &alert["worst"];
        say(&format!(
            "ALERT {} {}, severity {}: {}",
            text(&alert["id"]),
            text(&alert["detector"]),
            text(&alert["severity"]),
            text(&alert["sentence"])
        ))?;
        tell(&format!(
            "observed {:.0} {}, expected {:.1}, would not fire below {:.0}; window {} s",
            number(&worst["observation"]["observed"]),
            text(&worst["observation"]["unit"]),
            number(&worst["observation"]["expected"]),
            number(&worst["observation"]["threshold"]),
            number(&worst["window_ms"]) / 1000.0
        ))?;
        tell(&format!(
            "from {}; surprise {:.0}; confidence {:.2}",
            text(&worst["basis"]),
            number(&worst["surprise"]),
            number(&alert["confidence"])
        ))?;

        let action =
            self.await_first("/api/v1/actions", statuses, &mut calls, |action| state(action) != "pending").await?;
        calls.show()?;
        say(&format!("POLICY {} matched, mode enforce", text(&action["origin"]["name"])))?;
        say(&format!("ACTION {} {}: {}", text(&action["id"]), state(&action), text(&action["reason"])))?;
        for plugin in self.own_plugins().await? {
            tell("the plugin as the Admin API reports it:")?;
            let shown = serde_json::json!({
                "id": plugin["id"], "name": plugin["name"], "consumer": plugin["consumer"], "config": plugin["config"], "tags": plugin["tags"],
            });
            for line in serde_json::to_string_pretty(&shown)?.lines() {
                tell(line)?;
            }
        }
        self.await_status(statuses, &mut calls, 403).await?;
        let path = format!("/api/v1/actions/{}", text(&action["id"]));
        let mut known = state(&action).to_owned();
        loop {
            let action = self.get(&path).await?;
            if state(&action) != known {
                calls.drain(statuses);
                calls.show()?;
                known = state(&action).to_owned();
                say(&format!("ACTION {} {} {}", text(&action["id"]), known, text(&action["state_reason"])))?;
            }
            if known == "released" || known == "failed" {
                break;
            }
            calls.drain(statuses);
            tokio::time::sleep(LOOK).await;
        }
        anyhow::ensure!(known == "released", "the action was not released but {known}");
        anyhow::ensure!(self.own_plugins().await?.is_empty(), "a plugin of ours is still at the gateway");
        self.await_status(statuses, &mut calls, 200).await?;
        calls.show()?;
        say(&format!("the block ended after {BLOCK_SECONDS} s and the gateway holds nothing of outrider's"))
    }

    /// The first item of a list for which `is_right` holds, while the loop's statuses are counted.
    async fn await_first(
        &self,
        path: &str,
        statuses: &mut mpsc::UnboundedReceiver<u16>,
        calls: &mut Calls,
        is_right: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            calls.drain(statuses);
            let page = self.get(path).await?;
            if let Some(found) = list(&page).find(|item| is_right(item)) {
                return Ok(found.clone());
            }
            anyhow::ensure!(Instant::now() < deadline, "nothing came up at {path} for {} s", PATIENCE.as_secs());
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn await_status(
        &self,
        statuses: &mut mpsc::UnboundedReceiver<u16>,
        calls: &mut Calls,
        wanted: u16,
    ) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while calls.last() != Some(wanted) {
            let next = tokio::time::timeout_at(deadline, statuses.recv()).await;
            let status = next.ok().flatten().with_context(|| format!("the loop never got a {wanted}"))?;
            calls.add(status);
        }
        calls.show()
    }

    async fn own_plugins(&self) -> anyhow::Result<Vec<Value>> {
        let page: Value = self.http.get(format!("{}/plugins?tags=outrider", self.admin)).send().await?.json().await?;
        Ok(page["data"].as_array().cloned().unwrap_or_default())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.api)).bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// What one can do now that everything is up.
    pub fn say_how_to_play(&self, name: &str, password: &str) -> anyhow::Result<()> {
        say("everything stays up, and the consumers go on with their ordinary work")?;
        if crate::console::FILES.is_empty() {
            say("this outrider was built without its web console; `make console` builds it (Node.js)")?;
        } else {
            say(&format!("the web console: {}/  (name: {name}, password: {password})", self.api))?;
            for line in [
                format!("Alerts: the request spike of {OFFENDER}, what was expected, and its sample calls"),
                format!("the timeline of {OFFENDER}: its calls, with the alert and the block marked"),
                "Responses: the block, from stored to released; Policies: the sentence that made it".to_owned(),
                "repeat the attack with the loop below, and watch the alert and the block come by themselves"
                    .to_owned(),
            ] {
                tell(&line)?;
            }
        }
        say("in another terminal:")?;
        for line in [
            format!("export TOKEN={} API={} PROXY={} ADMIN={}", self.token, self.api, self.proxy, self.admin),
            "curl -s -H \"Authorization: Bearer $TOKEN\" $API/api/v1/alerts | python3 -m json.tool".to_owned(),
            "for i in $(seq 400); do curl -s -o /dev/null -w '%{http_code} ' -H 'apikey: key-bob' $PROXY/shop/items/$i; done".to_owned(),
            "curl -s \"$ADMIN/plugins?tags=outrider\"".to_owned(),
            "curl -s -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' $API/api/v1/actions/ac_…/release -d '{\"reason\":\"mine\"}'".to_owned(),
        ] {
            tell(&line)?;
        }
        say("Ctrl-C ends the demo")
    }
}

/// The loop's statuses, as runs: `200 ×214`.
#[derive(Default)]
struct Calls {
    runs: Vec<(u16, u64)>,
    shown: usize,
}

impl Calls {
    fn add(&mut self, status: u16) {
        match self.runs[self.shown..].last_mut() {
            Some((last, count)) if *last == status => *count += 1,
            _ => self.runs.push((status, 1)),
        }
    }

    fn drain(&mut self, statuses: &mut mpsc::UnboundedReceiver<u16>) {
        while let Ok(status) = statuses.try_recv() {
            self.add(status);
        }
    }

    fn last(&self) -> Option<u16> {
        self.runs.last().map(|(status, _)| *status)
    }

    fn show(&mut self) -> anyhow::Result<()> {
        let runs: Vec<_> = self.runs[self.shown..].iter().map(|(status, count)| format!("{status} ×{count}")).collect();
        self.shown = self.runs.len();
        if runs.is_empty() { Ok(()) } else { tell(&format!("{OFFENDER} got {}", runs.join(", "))) }
    }
}

fn list(page: &Value) -> impl Iterator<Item = &Value> {
    page["items"].as_array().into_iter().flatten()
}

fn state(action: &Value) -> &str {
    text(&action["state"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// A step of the story.
fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "▸ {line}").context("standard output is closed")
}

/// A detail of a step.
fn tell(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "    {line}").context("standard output is closed")
}
