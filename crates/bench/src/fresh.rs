//! How old the newest call is that a query sees, while calls come through a source, the synced log and the lake.

use std::time::Duration;

use anyhow::Context as _;
use outrider_bench::generate::{Traffic, TrafficSettings};
use outrider_lake::QueryError;
use outrider_lake::arrow::array::AsArray as _;
use outrider_lake::arrow::datatypes::Int64Type;
use outrider_platform::queries::Queries;
use tokio::net::TcpStream;

use crate::loop_latency::{Rig, at_share, now_ms, send, settings};
use crate::print;

/// Until calls come at their rate and the first commit is made.
const WARM_UP_MS: i64 = 5_000;
/// From one answer to the next question. It is no part of a second, so that questions come at every moment of it.
const PAUSE: Duration = Duration::from_millis(70);

/// Sends calls and asks meanwhile.
pub async fn run(rate: u32, seconds: u32) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let rig = Rig::start(settings(directory.path())?).await?;
    let queries = rig.platform.queries().context("the lake is off")?;
    let start_ms = now_ms();
    let end_ms = start_ms + WARM_UP_MS + 1000 * i64::from(seconds);
    let mut traffic = Traffic::new(TrafficSettings {
        seed: 11,
        consumers: 2000,
        workspaces: 5,
        addresses: 3000,
        calls_per_second: f64::from(rate),
        start_ms,
        attacks: Vec::new(),
    });
    let mut stream = TcpStream::connect(rig.address).await?;
    send(&mut stream, &mut traffic, start_ms + WARM_UP_MS).await?;
    let asking = tokio::spawn(ask(queries, end_ms));
    send(&mut stream, &mut traffic, end_ms).await?;
    let mut ages = asking.await??;
    anyhow::ensure!(!ages.is_empty(), "nothing was asked in {seconds} s");
    ages.sort_unstable();
    let at = |share| at_share(&ages, share);
    print(&format!("at {rate} calls a second, the newest call in {} answers was received before, in ms:", ages.len()));
    print(&format!("p50 {}  p95 {}  p99 {}  max {}", at(0.5), at(0.95), at(0.99), at(1.0)));
    drop(stream);
    rig.stop().await
}

/// How long ago the newest call was received that an answer has, when the answer is there.
async fn ask(queries: Queries, until_ms: i64) -> anyhow::Result<Vec<i64>> {
    let mut ages = Vec::new();
    while now_ms() < until_ms {
        let newest_us = newest_us(&queries).await?.context("there is no call yet")?;
        ages.push(now_ms() - newest_us / 1000);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(ages)
}

async fn newest_us(queries: &Queries) -> Result<Option<i64>, QueryError> {
    let statement = "SELECT CAST(max(received_time) AS BIGINT) FROM events".to_owned();
    queries
        .run(statement, |mut answer| async move {
            let Some(batch) = answer.next().await.transpose()? else { return Ok(None) };
            Ok(batch.column(0).as_primitive::<Int64Type>().iter().next().flatten())
        })
        .await
}
