//! `--probe`: one call through Kong's proxy, and whether its line arrives.

use std::path::Path;
use std::time::{Duration, Instant};

use outrider_collect::PROBE_MARK;
use reqwest::Url;

use super::facts::{Facts, ask_process};
use super::report::{Check, Id};
use crate::installation;

/// How long the call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long its line may take: Kong sends it when the answer is out, without a queue.
const LINE_PATIENCE: Duration = Duration::from_secs(5);
/// How often the running outrider is asked meanwhile.
const LINE_INTERVAL: Duration = Duration::from_millis(50);
/// A body is not looked at beyond this.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the probe showed.
#[derive(Debug)]
pub struct Probe {
    pub url: String,
    /// The answer, or why there was none.
    pub answer: Result<Answer, String>,
    /// The line; `None` if it did not come in time, and why it could not be waited for.
    pub line: Result<Option<Line>, String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Kong has left its mark on it.
    pub is_kongs: bool,
    /// Kong says that the path belongs to no route.
    pub has_no_route: bool,
}

#[derive(Debug)]
pub struct Line {
    pub source: String,
    pub after_ms: u128,
    pub is_trusted: bool,
}

/// The address of a probe, from an argument.
pub fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write it like http://127.0.0.1:8000/shop"))?;
    if matches!(url.scheme(), "http" | "https") && !url.cannot_be_a_base() {
        return Ok(url);
    }
    Err("a probe goes to http:// or https://".to_owned())
}

/// Makes the call, with a mark that its line will carry, and waits for the line.
pub async fn probe(url: &Url, facts: &Facts, data_dir: &Path) -> anyhow::Result<Probe> {
    let mark = format!("{:016x}", u64::from_be_bytes(installation::random()?));
    let mut target = url.clone();
    if let Ok(mut segments) = target.path_segments_mut() {
        segments.pop_if_empty().push(&format!("{PROBE_MARK}{mark}"));
    }
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(CALL_TIMEOUT)
        .user_agent(concat!("outrider-doctor/", env!("CARGO_PKG_VERSION")))
        .build()?;
    let answer = call(&client, target).await.map_err(|error| format!("{:#}", anyhow::Error::new(error.without_url())));
    let line = match (&answer, &facts.process) {
        (Err(_), _) => Err("the call was not answered".to_owned()),
        _ if facts.sources.is_empty() => {
            Err("no source is here that could take its line; probe beside the collector".to_owned())
        }
        (Ok(_), Ok(Some(_))) => wait_for_line(&mark, data_dir).await,
        (Ok(_), _) => Err("the running outrider could not be asked".to_owned()),
    };
    Ok(Probe { url: url.to_string(), answer, line })
}

async fn call(client: &reqwest::Client, url: Url) -> Result<Answer, reqwest::Error> {
    let mut response = client.get(url).send().await?;
    let status = response.status().as_u16();
    let is_kongs = response.headers().iter().any(|(name, value)| {
        let name = name.as_str();
        let says_kong = || value.to_str().is_ok_and(|value| value.contains("kong"));
        name.starts_with("x-kong-") || (matches!(name, "via" | "server") && says_kong())
    });
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_BYTES_MAX {
            break;
        }
    }
    let has_no_route = status == 404 && String::from_utf8_lossy(&body).contains("no Route matched");
    Ok(Answer { status, is_kongs: is_kongs || has_no_route, has_no_route })
}

async fn wait_for_line(mark: &str, data_dir: &Path) -> Result<Option<Line>, String> {
    let answered = Instant::now();
    let mut interval = tokio::time::interval(LINE_INTERVAL);
    while answered.elapsed() < LINE_PATIENCE {
        interval.tick().await;
        let status = ask_process(data_dir).await?.ok_or("the running outrider has just ended")?;
        for source in status.sources {
            if let Some(seen) = source.counters.health.probes.iter().find(|seen| seen.mark == mark) {
                let (after_ms, is_trusted) = (answered.elapsed().as_millis(), seen.is_trusted);
                return Ok(Some(Line { source: source.name, after_ms, is_trusted }));
            }
        }
    }
    Ok(None)
}

pub fn judge(probe: &Probe) -> Vec<Check> {
    let url = probe.url.as_str();
    let answer = match &probe.answer {
        Err(error) => {
            let todo =
                "is this the address of Kong's proxy, where clients call (port 8000, or 8443 with TLS, by default)?";
            Check::failed(Id::ProbeAnswer, url, error, todo)
        }
        Ok(Answer { status, is_kongs: false, .. }) => Check::warning(
            Id::ProbeAnswer,
            url,
            format!("{status}, without a header of Kong's"),
            "name the address of Kong's proxy; nothing, if `headers` in kong.conf leaves them out",
        ),
        Ok(Answer { status, has_no_route: true, .. }) => Check::warning(
            Id::ProbeAnswer,
            url,
            format!("{status} from Kong: the path belongs to no route"),
            "name a path that a route has; a new route takes as long as a new plugin (`admin.propagation`)",
        ),
        Ok(Answer { status, .. }) => Check::ok(Id::ProbeAnswer, url, format!("{status} through Kong")),
    };
    let line = match &probe.line {
        Err(why) => Check::skipped(Id::ProbeLine, url, why),
        Ok(None) => Check::failed(
            Id::ProbeLine,
            url,
            format!("the call's line did not come within {} s", LINE_PATIENCE.as_secs()),
            "see the checks of Kong's log plugins; a plugin that was just made is in force after the time that \
             `admin.propagation` tells. If all is well there: Kong's error log says `failed to connect` or `timeout` for \
             tcp-log when a firewall or a wrong host is in between",
        ),
        Ok(Some(Line { source, after_ms, is_trusted: false })) => Check::failed(
            Id::ProbeLine,
            url,
            format!("the call's line came to {source} {after_ms} ms after the answer, without the right secret"),
            "see `log.secret`",
        ),
        Ok(Some(Line { source, after_ms, .. })) => {
            Check::ok(Id::ProbeLine, url, format!("the call's line came to {source} {after_ms} ms after the answer"))
        }
    };
    vec![answer, line]
}
