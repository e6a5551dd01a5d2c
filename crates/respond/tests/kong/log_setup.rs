//! What `kong setup` writes, and that it leaves a plugin to whoever took it over.

use std::collections::BTreeSet;

use outrider_respond::gateways::kong::{
    AdminApi as _, LogKind, LogScope, LogTarget, TCP_LOG, apply_log, installation_log_tag, plan_log,
};
use serde_json::json;

use crate::site::at_site;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_plugin_that_was_taken_over_meanwhile_is_left_alone() {
    at_site(|site| async move {
        let (admin, installation) = (site.client(), site.installation());
        let target =
            |port| LogTarget { kind: LogKind::Tcp, host: "127.0.0.1".to_owned(), port, is_tls: false, secret: None };
        let shop = BTreeSet::from([LogScope::Service(site.shop.clone())]);
        apply_log(&admin, &installation, &plan_log(&installation, &shop, &target(9), &[])).await.unwrap();
        let id = admin.service_plugins(&site.shop).await.unwrap().unwrap();
        let id = id.iter().find(|plugin| plugin.name == TCP_LOG).unwrap().id.clone();
        let path = format!("/plugins/{id}");
        let changes = [("a change", shop.clone(), target(10)), ("a removal", BTreeSet::new(), target(10))];
        for (name, scopes, target) in changes {
            let plugins = admin.plugins_where(|plugin| plugin.name == TCP_LOG).await.unwrap();
            let plan = plan_log(&installation, &scopes, &target, &plugins);
            assert!(plan.changes_something(), "{name}");
            admin.patch_plugin(&id, &json!({"tags": ["theirs"]})).await.unwrap().unwrap();
            let theirs = site.get(&path).await;
            apply_log(&admin, &installation, &plan).await.unwrap();
            assert_eq!(site.get(&path).await, theirs, "{name}");

            // Given back, it is ours to change again.
            let tags = json!({"tags": ["outrider-log", installation_log_tag(&installation)]});
            admin.patch_plugin(&id, &tags).await.unwrap().unwrap();
            apply_log(&admin, &installation, &plan).await.unwrap();
            assert_ne!(site.get(&path).await["config"], theirs["config"], "{name}");
        }
        assert_eq!(admin.plugin(&id).await.unwrap(), None);
    })
    .await;
}
