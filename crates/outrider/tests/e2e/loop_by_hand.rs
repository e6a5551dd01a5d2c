//! A person blocks and releases; the gateway holds exactly what the API says, and the log shows that it bites.

use std::time::Duration;

use outrider_practice::{Practice, Settings};
use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet, wait_for};

/// The practice gateway follows a change within 200 ms.
const IN_FORCE_SOON: &str = "[respond.actions]\nin_force_after = '1s'\n";

#[test]
fn a_block_reaches_the_gateway_bites_and_is_taken_away() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings { state_update_frequency: Duration::from_millis(200), ..Settings::default() };
    let practice = runtime.block_on(Practice::start(settings)).unwrap();
    let admin = practice.admin();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        admin_url: Some(format!("http://{}", practice.admin_address())),
        more: IN_FORCE_SOON.to_owned(),
        ..Setup::default()
    };
    let outrider = Outrider::start(directory.path(), &setup);
    let consumer = runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.key_auth("shop").await.unwrap();
        admin.tcp_log(outrider.sources[0]).await.unwrap();
        let consumer = admin.consumer("alice", "key-alice").await.unwrap();
        practice.refresh();
        consumer
    });
    let call = || {
        runtime.block_on(async {
            let url = format!("http://{}/shop/items/7", practice.proxy_address());
            reqwest::Client::new().get(url).header("apikey", "key-alice").send().await.unwrap().status().as_u16()
        })
    };
    assert_eq!(call(), 200);
    outrider.await_calls(1);

    let body = json!({
        "target": {"kind": "consumer", "gateway": "kong", "value": consumer},
        "response": {"kind": "block", "status": 451, "message": "Stop it"},
        "duration": "1h", "reason": "a test"
    });
    let (status, action) = outrider.request("POST", "/api/v1/actions", Some(&body));
    assert!(matches!(status, 200 | 201), "{action}");
    let id = action["id"].as_str().unwrap().to_owned();
    let state = || outrider.get(&format!("/api/v1/actions/{id}"))["state"].as_str().unwrap().to_owned();
    wait_for("the block at the gateway", || (call() == 451).then_some(()));
    wait_for("the action in force", || (state() == "in_force").then_some(()));
    // The person named an id alone; the log knew the rest.
    let target = &outrider.get(&format!("/api/v1/actions/{id}"))["target"];
    assert_eq!(target["label"], "alice");
    assert_ne!(target["workspace"], "");
    let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
    let plugin = &plugins["data"][0];
    assert_eq!(plugin["name"], "request-termination");
    assert!(plugin["tags"].as_array().unwrap().contains(&json!(format!("action:{id}"))), "{plugin}");

    let release = json!({"reason": "enough"});
    let (status, answer) = outrider.request("POST", &format!("/api/v1/actions/{id}/release"), Some(&release));
    assert_eq!(status, 200, "{answer}");
    wait_for("the release", || (state() == "released").then_some(()));
    wait_for("200 again", || (call() == 200).then_some(()));
    let (_, plugins) = runtime.block_on(admin.request("GET", "/plugins?tags=outrider", None)).unwrap();
    assert_eq!(plugins["data"], json!([]));
    let audit = outrider.list("/api/v1/audit");
    for word in ["stored", "in force", "released"] {
        assert!(audit.iter().any(|line| line["what"].as_str().unwrap().contains(word)), "{word}: {audit:#?}");
    }
    assert_quiet(&outrider.stop(), &[]);
    runtime.block_on(practice.stop());
}
