//! What the snapshot of a gateway's configuration holds, and what it never does.

use std::sync::Arc;
use std::time::Duration;

use outrider_model::{GatewayConfiguration, GatewayConsumer, GatewaySnapshot, LeftOut, PluginSettings};
use outrider_respond::gateways::kong::{
    AdminClient, AdminSettings, ConfigurationWatch, ENTITIES_MAX, Hide, LIST_BYTES_MAX, read_configuration,
};
use outrider_respond::gateways::{GatewayError, SystemClock};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::server::{Reply, Server, json as kong};
use crate::site::{PATIENCE, Running, at_site, block};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_comes_without_its_secrets() {
    at_site(|site| async move {
        let secret = format!("s3cret-{}", site.mark);
        let consumer = format!("/consumers/{}", site.bob);
        // A real Kong has all of these; the practice gateway only some.
        let planted = [
            (format!("{consumer}/key-auth"), json!({"key": secret})),
            (format!("{consumer}/basic-auth"), json!({"username": secret, "password": secret})),
            (format!("{consumer}/jwt"), json!({"key": secret, "secret": secret})),
            (format!("{consumer}/hmac-auth"), json!({"username": secret, "secret": secret})),
            (
                format!("{consumer}/oauth2"),
                json!({"name": "app", "client_id": secret, "client_secret": secret,
                       "redirect_uris": ["https://example.com/"]}),
            ),
            (
                format!("/services/{}/plugins", site.shop),
                json!({"name": "http-log", "config": {"http_endpoint": format!("http://a:{secret}@127.0.0.1:9/")}}),
            ),
            (
                format!("/services/{}/routes", site.shop),
                json!({"name": format!("by-header-{}", site.mark), "headers": {"x-version": [secret]}}),
            ),
        ];
        let mut kinds = Vec::new();
        for (path, body) in &planted {
            let (status, answer) = site.admin.request("POST", path, Some(body)).await.unwrap();
            if status == 201 && path.starts_with(&consumer) {
                kinds.push((path.rsplit('/').next().unwrap(), answer["id"].as_str().unwrap().to_owned()));
            }
        }
        let patch = json!({"path": format!("/{secret}")});
        site.admin.request("PATCH", &format!("/services/{}", site.shop), Some(&patch)).await.unwrap();

        let found = read_configuration(&site.client(), &site.installation(), None).await;
        site.admin.delete(&format!("/routes/by-header-{}", site.mark)).await.unwrap();
        let found = found.unwrap();
        assert!(!serde_json::to_string(&found).unwrap().contains(&secret), "{found:?}");
        assert!(!kinds.is_empty());
        for (kind, id) in kinds {
            let credential = found.credentials.iter().find(|credential| credential.id == id);
            let credential = credential.unwrap_or_else(|| panic!("{kind} {id} is missing in {:?}", found.credentials));
            assert_eq!((credential.kind.as_str(), credential.consumer_id.as_deref()), (kind, Some(site.bob.as_str())));
            assert!(credential.created_ms.unwrap() > 1_600_000_000_000, "{credential:?}");
        }
        let route = found.routes.iter().find(|route| route.id == site.shop_route).unwrap();
        assert_eq!(route.service_id.as_deref(), Some(site.shop.as_str()));
        assert_eq!(route.paths, [format!("/{}", site.mark)]);
        assert_eq!(found.services.iter().find(|service| service.id == site.shop).unwrap().port, 18080);
        let name = format!("alice-{}", site.mark);
        let alice = found.consumers.iter().find(|consumer| consumer.id == site.alice).unwrap();
        assert_eq!(alice.username.as_deref(), Some(name.as_str()));
        let of_shop = |plugin: &&outrider_model::GatewayPlugin| plugin.service_id.as_deref() == Some(&site.shop);
        let key_auth = found.plugins.iter().filter(of_shop).find(|plugin| plugin.name == "key-auth").unwrap();
        let Some(PluginSettings::KeyAuth(settings)) = &key_auth.settings else { panic!("{key_auth:?}") };
        assert_eq!(settings.key_names.as_deref(), Some(["apikey".to_owned()].as_slice()));
        for plugin in &found.plugins {
            assert!(plugin.name != "http-log" || plugin.settings.is_none(), "{plugin:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_and_our_own_are_none() {
    at_site(|site| async move {
        let interval = Duration::from_millis(20);
        let watching = ConfigurationWatch::new(
            site.client(),
            "edge".to_owned(),
            site.installation(),
            interval,
            Arc::new(SystemClock),
        );
        let (sender, mut snapshots) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let watching = tokio::spawn(watching.run(sender, cancel.clone()));
        let first = next(&mut snapshots).await;
        assert_eq!(first.gateway, "edge");

        let mut running = Running::start(&site, Some(site.desired(1, vec![block(1, &site.alice, Some(3600))], &[])));
        running.until_stored(1).await;
        let path = format!("/consumers/{}", site.alice);
        site.admin.request("PATCH", &path, Some(&json!({"tags": ["noticed"]}))).await.unwrap();
        // At a gateway that others use, their changes come in between.
        let second = loop {
            let snapshot = next(&mut snapshots).await;
            if snapshot.configuration.consumers.iter().any(|consumer| consumer.tags == ["noticed"]) {
                break snapshot;
            }
            assert!(site.practice.is_none(), "nothing else changes at the practice gateway: {snapshot:?}");
        };
        let of_alice = |plugin: &&outrider_model::GatewayPlugin| plugin.consumer_id.as_deref() == Some(&site.alice);
        assert_eq!(second.configuration.plugins.iter().find(of_alice), None, "our block is not the operator's");
        running.stop().await;
        cancel.cancel();
        watching.await.unwrap();
    })
    .await;
}

async fn next(snapshots: &mut mpsc::Receiver<GatewaySnapshot>) -> GatewaySnapshot {
    tokio::time::timeout(PATIENCE, snapshots.recv()).await.expect("no snapshot came").unwrap()
}

/// A page of consumers, with the offset of the next one where there is one.
fn consumers(ids: std::ops::Range<usize>, tag: &str, offset: Option<usize>) -> Reply {
    let data: Vec<Value> = ids.map(|id| json!({"id": format!("{id:06}"), "tags": [tag]})).collect();
    let offset = offset.map(|offset| offset.to_string());
    Reply::Bytes(kong("200 OK", &json!({"next": offset, "offset": offset, "data": data})))
}

/// What is read from a gateway that has nothing but these pages of consumers and these credentials.
async fn read(consumers: Vec<Reply>, credentials: Reply) -> Result<GatewayConfiguration, GatewayError> {
    read_all(vec![nothing()], consumers, credentials, None).await
}

fn nothing() -> Reply {
    Reply::Bytes(kong("200 OK", &json!({"data": [], "next": null})))
}

async fn read_all(
    plugins: Vec<Reply>,
    consumers: Vec<Reply>,
    credentials: Reply,
    hide: Option<&Hide>,
) -> Result<GatewayConfiguration, GatewayError> {
    let node = json!({"version": "3.9.1", "configuration": {"database": "postgres"},
                      "plugins": {"available_on_server": {}}});
    let mut script = vec![Reply::Bytes(kong("200 OK", &node)), nothing(), nothing()];
    script.extend(plugins);
    script.extend(consumers);
    script.push(credentials);
    let server = Server::start(script).await;
    read_configuration(&AdminClient::new(&AdminSettings::new(&server.url)).unwrap(), "home", hide).await
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_named() {
    let kong = |status, body: &Value| Reply::Bytes(kong(status, body));
    let missing = kong("404 Not Found", &json!({"message": "Not found"}));
    let pages = |tag: &str, count: usize| {
        let page = |page: usize| {
            let (from, to) = (page * 1000, count.min((page + 1) * 1000));
            consumers(from..to, tag, (to < count).then_some(to))
        };
        (0..count.div_ceil(1000)).map(page).collect::<Vec<_>>()
    };
    let long = "x".repeat(1000);
    let one = GatewayConsumer {
        id: "000000".to_owned(),
        username: None,
        custom_id: None,
        tags: vec![long.clone()],
        created_ms: None,
    };
    let of_long = LIST_BYTES_MAX / serde_json::to_vec(&one).unwrap().len();
    let all_forbidden = ["key-auths", "basic-auths", "jwts", "hmac-auths", "oauth2"]
        .map(|list| (list, "the Admin API refuses it: no".to_owned()));
    let cases = [
        (pages("t", ENTITIES_MAX), missing.clone(), ENTITIES_MAX, vec![]),
        (
            pages("t", ENTITIES_MAX + 1),
            missing.clone(),
            ENTITIES_MAX,
            vec![("consumers", format!("only the first {ENTITIES_MAX} are kept"))],
        ),
        (
            pages(&long, 2000),
            missing.clone(),
            of_long,
            vec![(
                "consumers",
                format!("only the first {of_long} are kept: a list holds at most {LIST_BYTES_MAX} bytes"),
            )],
        ),
        (pages("t", 2), kong("403 Forbidden", &json!({"message": "no"})), 2, all_forbidden.to_vec()),
    ];
    for (consumers, credentials, kept, left_out) in cases {
        let found = read(consumers, credentials).await.unwrap();
        let left_out: Vec<_> = left_out.into_iter().map(|(list, why)| LeftOut { list: list.to_owned(), why }).collect();
        assert_eq!((found.consumers.len(), found.left_out), (kept, left_out));
    }
    // What leaves in place of something shorter is what counts.
    let longer = long.clone();
    let hide: Hide = Arc::new(move |configuration| {
        configuration.consumers.iter_mut().for_each(|consumer| consumer.tags = vec![longer.clone()]);
    });
    let found = read_all(vec![nothing()], pages("t", 2000), missing, Some(&hide)).await.unwrap();
    assert_eq!((found.consumers.len(), found.left_out.len()), (of_long, 1));
    assert!(found.consumers.iter().all(|consumer| consumer.tags == [long.as_str()]));

    let failing = kong("500 Internal Server Error", &json!({"message": "An unexpected error occurred"}));
    read(pages("t", 2), failing).await.unwrap_err();
}

#[tokio::test]
async fn our_own_plugins_crowd_out_nobodys() {
    let count = ENTITIES_MAX + 2000;
    let plugin = |id: usize| {
        // Ours, but for the last three: another installation's, one whose tag only looks like ours, and an operator's.
        let tags = match count - id {
            3 => json!(["outrider", "outrider:homestead"]),
            2 => json!(["outrider"]),
            1 => json!(null),
            _ => json!(["outrider", "outrider:home", "x".repeat(300)]),
        };
        json!({"id": format!("{id:06}"), "name": "request-termination", "tags": tags, "config": {}})
    };
    let page = |page: usize| {
        let to = count.min((page + 1) * 1000);
        let data: Vec<Value> = (page * 1000..to).map(plugin).collect();
        let offset = (to < count).then(|| to.to_string());
        Reply::Bytes(kong("200 OK", &json!({"next": offset, "offset": offset, "data": data})))
    };
    let pages = (0..count.div_ceil(1000)).map(page).collect();
    let found = read_all(pages, vec![nothing()], nothing(), None).await.unwrap();
    let ids: Vec<_> = found.plugins.iter().map(|plugin| plugin.id.clone()).collect();
    assert_eq!(ids, (count - 3..count).map(|id| format!("{id:06}")).collect::<Vec<_>>());
    assert_eq!(found.left_out, []);
}
