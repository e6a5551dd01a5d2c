//! `outrider demo`: the whole loop against a practice gateway, told as it happens.
//!
//! Nothing of the story is staged: clients call the gateway over HTTP, its TCP Log plugin ships the lines, and what the
//! terminal shows comes from outrider's own API and from the gateway's Admin API. Only the detector's warm-up and the
//! policy's duration are shorter than the defaults, because the demo's day is two minutes long.

mod clients;
mod story;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use outrider_practice::Practice;

use crate::cli::DemoArguments;
use crate::config::Config;
use crate::installation::random;
use crate::service::Outrider;
use crate::telemetry::Telemetry;
use crate::terminal;

/// How long the demo's policy blocks.
const BLOCK_SECONDS: u64 = 20;
/// The ordinary consumers, each with its key `key-<name>`.
const ORDINARY: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "mallory"];
/// The one that turns bad.
const OFFENDER: &str = "mallory";

/// Shows the loop, then stays up until it is interrupted.
pub async fn demo(arguments: DemoArguments) -> anyhow::Result<()> {
    let keep = arguments.data_dir.is_some();
    let data_dir = match arguments.data_dir {
        Some(directory) => directory,
        None => std::env::temp_dir().join(format!("outrider-demo-{}", std::process::id())),
    };
    let practice = Practice::start(outrider_practice::Settings::default()).await?;
    let config = config(data_dir.clone(), &practice)?;
    let telemetry = Telemetry::begin(&config, false)?;
    let outrider = Outrider::start(config, telemetry.traces()).await?;
    set_up_gateway(&practice, &outrider).await?;
    // A directory that is kept may hold the token of an earlier demo.
    let token = outrider.admin_token(&format!("demo-{}", crate::service::now_ms())).await?;
    let story = story::Story::new(&practice, outrider.api(), token.reveal().to_owned(), data_dir.clone());

    // Ordinary work goes on while there is somebody to watch.
    let end_of_work = Arc::new(AtomicBool::new(false));
    let workers = story.work(&end_of_work);
    let told = tokio::select! {
        told = story.tell() => told,
        () = outrider.failed() => Err(anyhow::anyhow!("a part of outrider could not go on; the log above says which and why")),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for an interrupt").and(Err(anyhow::anyhow!("interrupted"))),
    };
    if told.is_ok() && !arguments.exit {
        let (name, password) = add_person(&outrider).await?;
        story.say_how_to_play(&name, &password)?;
        tokio::signal::ctrl_c().await.context("cannot listen for an interrupt")?;
    }
    end_of_work.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.context("a client of the demo ended badly")?;
    }
    outrider.stop().await;
    practice.stop().await;
    if keep {
        terminal::note(&format!("the demo's data stay in {}", data_dir.display()));
    } else if let Err(error) = std::fs::remove_dir_all(&data_dir) {
        terminal::note(&format!("{} could not be removed: {error}", data_dir.display()));
    }
    told
}

fn config(data_dir: PathBuf, practice: &Practice) -> anyhow::Result<Config> {
    let admin_url = format!("http://{}", practice.admin_address());
    let mut config = Config::parse(&format!(
        r#"
        [[collector.sources]]
        kind = "kong_tcp_log"
        gateway = "practice"
        listen = "127.0.0.1:0"

        [[gateways]]
        name = "practice"
        admin_url = "{admin_url}"
        resync_seconds = 2

        [api]
        listen = "127.0.0.1:0"

        [logging]
        level = "error"

        # The story is of an abuse. What is weak at the practice gateway is on the posture page all the same.
        [posture]
        alert_severity_min = "critical"

        [detect.request_spike]
        warmup_minutes = 1
        warmup_active_minutes = 5
        own_minutes_min = 1

        [[policies]]
        name = "block-request-spikes"
        description = "A consumer that bombards an endpoint is blocked for {BLOCK_SECONDS} s."
        when = {{ detectors = ["request_spike"], severity_min = "high" }}
        respond = {{ kind = "block", status = 403, message = "Too many requests. Contact the API team." }}
        duration = "{BLOCK_SECONDS}s"
        mode = "enforce"
        "#
    ))?;
    config.data_dir = data_dir;
    Ok(config)
}

/// Somebody who can sign in to the console: an admin of this demo, with a password that is made now.
async fn add_person(outrider: &Outrider) -> anyhow::Result<(String, String)> {
    // A directory that is kept may have the person of an earlier demo, whose password nobody knows any more.
    let mut name = "demo".to_owned();
    let mut password = String::new();
    for byte in random::<8>()? {
        write!(password, "{byte:02x}")?;
    }
    if outrider.has_person(&name).await? {
        name = format!("demo-{}", crate::service::now_ms());
    }
    outrider.add_admin(&name, password.clone()).await?;
    Ok((name, password))
}

async fn set_up_gateway(practice: &Practice, outrider: &Outrider) -> anyhow::Result<()> {
    let admin = practice.admin();
    for service in ["shop", "accounts"] {
        admin.service(service, &format!("http://{service}.practice/"), &format!("/{service}")).await?;
        admin.key_auth(service).await?;
    }
    for name in ORDINARY {
        admin.consumer(name, &format!("key-{name}")).await?;
    }
    let source = outrider.source_addresses().into_iter().next().context("the demo has no source")?;
    admin.tcp_log(source).await?;
    practice.refresh();
    Ok(())
}

/// How long the clients work before one turns bad: two whole minutes of the clock are closed then, so that the detector
/// has learned one from beginning to end.
fn learning_time(now_ms: i64) -> Duration {
    let into_minute_ms = now_ms.rem_euclid(60_000);
    Duration::from_millis((122_000 - into_minute_ms).cast_unsigned())
}
