//! A person limits a consumer: an operator's limit is kept, the client is told, what we refuse teaches nothing, and it ends.

use std::time::Duration;

use outrider_practice::{Practice, Settings};
use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, wait_for};

#[test]
fn a_limit_reaches_the_gateway_tells_the_client_teaches_nothing_and_ends() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: Duration::from_millis(200), ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        more: "[respond.actions]\nin_force_after = '1s'\n".to_owned(),
        ..Setup::default()
    };
    let outrider = Outrider::start(directory.path(), &setup);
    let alice = runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.key_auth("shop").await.unwrap();
        admin.tcp_log(outrider.sources[0]).await.unwrap();
        let for_all = json!({"name": "rate-limiting", "config": {"day": 5000, "policy": "local"}});
        admin.plugin("", for_all).await.unwrap();
        admin.consumer("bob", "key-bob").await.unwrap();
        let alice = admin.consumer("alice", "key-alice").await.unwrap();
        practice.refresh();
        alice
    });
    let call = |name: &str| {
        let url = format!("http://{}/shop/items/7", practice.proxy_address());
        runtime.block_on(async {
            let call = reqwest::Client::new().get(url).header("apikey", format!("key-{name}"));
            let response = call.send().await.unwrap();
            let headers = response.headers().clone();
            (response.status().as_u16(), headers, response.json::<Value>().await.unwrap_or_default())
        })
    };
    assert_eq!(call("alice").0, 200);
    outrider.await_calls(1);

    let body = json!({
        "target": {"kind": "consumer", "gateway": "kong", "value": alice},
        "response": {"kind": "rate_limit", "limits": {"month": 4}, "message": "Slow down"},
        "duration": "15s", "reason": "a test"
    });
    let (status, action) = outrider.request("POST", "/api/v1/actions", Some(&body));
    assert!(matches!(status, 200 | 201), "{action}");
    let id = action["id"].as_str().unwrap().to_owned();
    let state = || outrider.get(&format!("/api/v1/actions/{id}"))["state"].as_str().unwrap().to_owned();
    let (headers, answer) = wait_for("the limit at the gateway", || {
        let (status, headers, answer) = call("alice");
        (status == 429).then_some((headers, answer))
    });
    assert_eq!(answer["message"], "Slow down");
    assert_eq!(
        (&headers["ratelimit-limit"], &headers["x-ratelimit-limit-month"]),
        (&"4".parse().unwrap(), &"4".parse().unwrap())
    );
    assert!(headers.contains_key("retry-after"), "{headers:?}");
    let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
    let config = &plugins["data"][0]["config"];
    assert_eq!(
        (&config["month"], &config["day"]),
        (&json!(4), &json!(4)),
        "the operator's 5000 a day are kept: {config}"
    );
    assert_eq!(call("bob").0, 200, "others are not concerned");
    wait_for("the action in force", || {
        call("alice");
        (state() == "in_force").then_some(())
    });
    let ours = || outrider.get("/api/v1/status")["platform"]["analysis"]["detect"]["own_refusals"].as_u64().unwrap();
    wait_for("own refusals recognised", || (ours() >= 2).then_some(()));
    assert!(outrider.list("/api/v1/alerts").is_empty());

    wait_for("its end", || (state() == "released").then_some(()));
    let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
    assert_eq!(plugins["data"], json!([]));
    wait_for("200 again", || (call("alice").0 == 200).then_some(()));
    assert_quiet(&outrider.stop(), &[]);
    runtime.block_on(practice.stop());
}
