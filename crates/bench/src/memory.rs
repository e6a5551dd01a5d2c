//! Memory while millions of actors pass by that are never seen again: it must level off at the configured limits.

use std::time::Instant;

use outrider_model::{AnsweredBy, ApiCall, ClockCheck, Consumer, Enrichment, Exposure, Latency, Named, Text, Trust};
use outrider_platform::analysis::{Analysis, AnalysisSettings};

use crate::{print, resident_bytes};

/// Calls between two lines of output.
const REPORT_EVERY: u64 = 500_000;
/// Calls per second of event time.
const CALLS_PER_SECOND: u64 = 5000;

pub fn run(consumers: u32, addresses: u32) -> anyhow::Result<()> {
    let mut analysis = Analysis::new("bench", AnalysisSettings::default())?;
    print(&format!(
        "{consumers} consumers and {addresses} client addresses, each seen once or twice; default settings"
    ));
    print(&format!(
        "{:>12} {:>14} {:>14} {:>14} {:>12}",
        "calls", "resident MiB", "catalogue MiB", "detect MiB", "ns a call"
    ));
    let total = u64::from(consumers) + u64::from(addresses);
    let share = f64::from(consumers) / total as f64;
    let (mut consumer, mut address) = (0u32, 0u32);
    let mut began = Instant::now();
    let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
    for number in 1..=total {
        let is_consumer = f64::from(consumer) < number as f64 * share && consumer < consumers;
        let id;
        let (who, ip) = if is_consumer {
            consumer += 1;
            id = format!("{:08x}-0000-4000-8000-00000000beef", consumer.wrapping_mul(2_654_435_761));
            (Some(id.as_str()), 1)
        } else {
            address += 1;
            (None, address.wrapping_mul(2_654_435_761))
        };
        let path = format!("/shop/items/{}", number % 100_000);
        observe(&mut analysis, number, who, ip, &path);
        if number % 1000 == 0 {
            drop(analysis.drain_effects());
        }
        if number % REPORT_EVERY == 0 || number == total {
            let since = (number - 1) % REPORT_EVERY + 1;
            print(&format!(
                "{number:>12} {:>14.1} {:>14.1} {:>14.1} {:>12.0}",
                resident_bytes() as f64 / (1 << 20) as f64,
                mib(analysis.catalogue().memory_bytes()),
                mib(analysis.engine().memory_bytes()),
                began.elapsed().as_nanos() as f64 / since as f64
            ));
            began = Instant::now();
        }
    }
    print(&format!("snapshot: {:.1} MiB", mib(analysis.freeze().encode()?.len())));
    Ok(())
}

fn observe(analysis: &mut Analysis, number: u64, consumer: Option<&str>, ip: u32, path: &str) {
    let at_ms = 1_767_571_200_000 + (number * 1000 / CALLS_PER_SECOND).cast_signed();
    let call = ApiCall {
        gateway: "kong".into(),
        workspace: "w".into(),
        trust: Trust::Trusted,
        request_id: Text::EMPTY,
        received_ms: at_ms,
        started_ms: at_ms,
        event_ms: at_ms,
        clock: ClockCheck::AsReported,
        consumer: consumer.map(|id| Consumer {
            id: id.into(),
            username: id.into(),
            custom_id: Text::EMPTY,
            tags: vec![],
        }),
        anonymous_consumer: false,
        credential_id: consumer.map(Text::from),
        presented_credential: None,
        session: None,
        client_ip: Some(std::net::Ipv4Addr::from(ip).into()),
        service: Some(Named { id: "s".into(), name: "shop".into() }),
        route: Some(Named { id: "r".into(), name: "shop-route".into() }),
        host: "shop.example".into(),
        method: "GET".into(),
        path: path.into(),
        query: vec![],
        headers: vec![],
        status: 200,
        answered_by: AnsweredBy::Upstream,
        own_refusal: None,
        request_bytes: 100,
        response_bytes: 1000,
        latency: Latency { total_ms: 5, gateway_ms: 1, upstream_ms: 4 },
        response_type: Text::EMPTY,
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    };
    analysis.observe(&call, number);
}
