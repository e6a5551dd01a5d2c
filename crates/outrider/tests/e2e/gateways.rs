//! What a gateway is configured to do reaches the API, and stays there.

use outrider_practice::{Practice, Settings};

use crate::harness::{Outrider, Setup, wait_for};

#[test]
fn a_gateways_configuration_is_kept_and_a_restart_adds_no_version() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let practice = runtime.block_on(Practice::start(Settings::default())).unwrap();
    let admin = practice.admin();
    let alice = runtime.block_on(async {
        admin.service("shop", "http://shop.practice/", "/shop").await.unwrap();
        admin.key_auth("shop").await.unwrap();
        admin.consumer("alice", "s3cret-key").await.unwrap()
    });
    let directory = tempfile::tempdir().unwrap();
    let admin_url = Some(format!("http://{}", practice.admin_address()));
    let setup = Setup { admin_url, ..Setup::default() };

    let outrider = Outrider::start(directory.path(), &setup);
    let versions = |outrider: &Outrider| {
        let list = outrider.list("/api/v1/gateways");
        list.first().map(|_| outrider.get("/api/v1/gateways/kong")["versions"].as_array().unwrap().clone())
    };
    let first = wait_for("the configuration", || versions(&outrider));
    assert_eq!((first.len(), &first[0]["services"], &first[0]["credentials"]), (1, &1.into(), &1.into()));
    let path = format!("/api/v1/gateways/kong/configuration?number={}", first[0]["number"]);
    let snapshot = outrider.get(&path);
    assert_eq!(snapshot["configuration"]["consumers"][0]["id"], alice.as_str());
    assert_eq!(snapshot["configuration"]["plugins"][0]["settings"]["plugin"], "key-auth");
    let data_dir = outrider.kill();
    assert!(!holds(&data_dir, b"s3cret-key"), "the key is nowhere on the disk");

    // The same again adds nothing: known by the version that a change then adds.
    let outrider = Outrider::start(directory.path(), &setup);
    wait_for("the configuration read again", || {
        let status = outrider.get("/api/v1/status");
        status["configurations"][0]["read_ms"].as_i64()
    });
    runtime.block_on(admin.consumer("bob", "another-key")).unwrap();
    outrider.stop();
    let outrider = Outrider::start(directory.path(), &setup);
    let second = wait_for("the change", || versions(&outrider).filter(|versions| versions.len() > 1));
    assert_eq!((second.len(), &second[0]["consumers"], &second[1]), (2, &2.into(), &first[0]));
    outrider.stop();
    runtime.block_on(practice.stop());
}

/// Whether any file below a directory holds these bytes.
fn holds(directory: &std::path::Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        // A socket holds nothing.
        path.is_file() && std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}
