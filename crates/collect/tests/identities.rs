//! What a setting makes a pseudonym leaves nowhere in clear, joins with itself wherever it stood, and can be found again by who has
//! the key; and each by itself: what is not named stays.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use outrider_collect::{
    Complete, FieldPolicies, FieldPolicy, FieldSettings, Identities, Identity, KongTcpLog, KongTcpLogConfig,
    Normaliser, NormaliserSettings, PseudonymKey, Scratch, TrustedProxies,
};
use outrider_model::batch::{BatchReader, BatchWriter};
use outrider_model::{ApiCall, FieldValue, GatewayConfiguration, Pseudonym};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Each identity with what stands for it in the line, so that no two have a word in common.
const PLANTED: [(Identity, &[&str]); 6] = [
    (Identity::ConsumerUsername, &["planted-user"]),
    (Identity::ConsumerCustomId, &["planted-custom"]),
    (Identity::ConsumerTags, &["planted-tag-a", "planted-tag-b"]),
    (Identity::ClientAddress, &["198.51.100.77", "203.0.113.9", "2001:db8::77", "2001%3Adb8%3A%3A77"]),
    (Identity::ServiceName, &["planted-service"]),
    (Identity::RouteName, &["planted-route"]),
];

fn key() -> PseudonymKey {
    PseudonymKey::from_bytes(&[7; 32])
}

/// A line with every identity wherever Kong, a proxy, a client or a mapping has it.
fn line() -> Value {
    json!({
        "request": {
            "uri": "/from/198.51.100.77/x?ip=203.0.113.9&who=planted-user&see=198.51.100.77:80&id=planted-custom&ipv6=2001%3Adb8%3A%3A77",
            "method": "GET",
            "headers": {
                "host": "api.example",
                "user-agent": "Mozilla/5.0 Chrome/120.0.0.0 (198.51.100.77)",
                "x-forwarded-for": "203.0.113.9, 198.51.100.77",
                "forwarded": "for=\"[2001:db8::77]:4711\";proto=https, for=198.51.100.77:80",
                "x-real-ip": "198.51.100.77",
                "x-peer": "203.0.113.9",
                "referer": "https://x.example/?from=198%2E51.100.77",
                "x-consumer-username": "planted-user",
                "x-consumer-custom-id": "planted-custom",
                "x-credential-username": "planted-user",
                "x-user": "planted-user",
            },
        },
        "response": {"status": 200, "headers": {"content-type": "text/plain"}},
        "client_ip": "10.0.0.9",
        "consumer": {
            "id": "c1", "username": "planted-user", "custom_id": "planted-custom", "tags": ["planted-tag-a", "planted-tag-b"],
        },
        "authenticated_entity": {"id": "k1"},
        "service": {"id": "s1", "name": "planted-service"},
        "route": {"id": "r1", "name": "planted-route"},
        "workspace": "w1",
    })
}

/// Fields of which each is made of an identity, and two that are not.
const FIELDS: [(&str, &str, Option<Identity>); 12] = [
    ("name", "line.consumer.username", Some(Identity::ConsumerUsername)),
    ("shout", "line.consumer.username.upperAscii()", Some(Identity::ConsumerUsername)),
    ("told", "line.request.headers[\"x-consumer-username\"] + \"!\"", Some(Identity::ConsumerUsername)),
    ("part", "line.consumer.custom_id.substring(1)", Some(Identity::ConsumerCustomId)),
    ("tags", "line.consumer.tags", Some(Identity::ConsumerTags)),
    ("first", "line.request.headers[\"x-forwarded-for\"].split(\",\")[0]", Some(Identity::ClientAddress)),
    ("logged", "line.client_ip", Some(Identity::ClientAddress)),
    ("api", "line.service.name.split(\"-\")[1]", Some(Identity::ServiceName)),
    ("way", "\"by \" + line.route.name", Some(Identity::RouteName)),
    ("seen", "line.request.headers[\"user-agent\"]", None),
    ("workspace", "line.workspace", None),
    ("status", "line.response.status", None),
];

fn settings(pseudonymise: impl IntoIterator<Item = Identity>) -> NormaliserSettings {
    let field = |(name, value, _): (&str, &str, _)| FieldSettings { name: name.to_owned(), value: value.to_owned() };
    NormaliserSettings {
        pseudonymise: pseudonymise.into_iter().collect(),
        fields: FIELDS.map(field).to_vec(),
        trusted_proxies: Some(TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            header: "x-forwarded-for".to_owned(),
        }),
        ..NormaliserSettings::new("kong")
    }
}

fn batch_of(call: &ApiCall<'_>) -> Vec<u8> {
    let mut writer = BatchWriter::default();
    writer.push(call).unwrap();
    writer.take()
}

/// Everything that leaves, as text.
fn leaving(call: &ApiCall<'_>) -> String {
    format!("{}\n{call:?}", String::from_utf8_lossy(&batch_of(call)))
}

fn with_call(settings: NormaliserSettings, look: impl FnOnce(&ApiCall<'_>)) {
    let normaliser = Normaliser::new(settings, key()).unwrap();
    let (line, mut scratch) = (line().to_string(), Scratch::default());
    look(&normaliser.normalise(line.as_bytes(), Some(1_795_448_391_727), &mut scratch).unwrap());
}

#[test]
fn each_leaves_nowhere_once_it_is_named_and_the_others_stay() {
    with_call(settings([]), |call| {
        let leaving = leaving(call);
        for (identity, values) in PLANTED {
            assert!(values.iter().all(|value| value.contains('%') || leaving.contains(value)), "{identity:?}");
        }
    });
    let all = PLANTED.map(|(identity, _)| identity);
    let alone = all.iter().map(|identity| vec![*identity]);
    for chosen in alone.chain([all.to_vec()]) {
        with_call(settings(chosen.clone()), |call| {
            let leaving = leaving(call);
            for (identity, values) in PLANTED {
                for value in values {
                    // Whose address a header has that is named for none, nobody knows: it is not the client's.
                    let is_of_peer = *value == "203.0.113.9" && leaving.contains("x-peer");
                    let leaves = leaving.replace("Field { name: \"x-peer\", value: Clear(\"203.0.113.9\") }", "");
                    let leaves = leaves.replace("x-peer\u{1}\u{b}203.0.113.9", "");
                    let is_there = if is_of_peer { leaves.contains(value) } else { leaving.contains(value) };
                    let is_expected = !chosen.contains(&identity) && !value.contains('%');
                    assert_eq!(is_there, is_expected, "{chosen:?}: `{value}` in {leaving}");
                }
            }
            assert!(leaving.contains("Chrome/120.0.0.0"), "a version is no address: {leaving}");
            assert!(!chosen.contains(&Identity::ConsumerUsername) || !leaving.to_lowercase().contains("planted-user"));
            assert_eq!(call.consumer.as_ref().unwrap().id, "c1", "without its id nothing could be done");
        });
    }
}

#[test]
fn what_is_dropped_leaves_nowhere_else_either() {
    for chosen in [Identity::ConsumerUsername, Identity::ConsumerCustomId] {
        let dropped = match chosen {
            Identity::ConsumerUsername => ("line.consumer.username", "planted-user"),
            _ => ("line.consumer.custom_id", "planted-custom"),
        };
        let settings = NormaliserSettings { drop: vec![dropped.0.to_owned()], ..settings([chosen]) };
        with_call(settings, |call| {
            let leaving = leaving(call);
            assert!(!leaving.contains(dropped.1), "{leaving}");
            let consumer = call.consumer.as_ref().unwrap();
            let left = if chosen == Identity::ConsumerUsername { &consumer.username } else { &consumer.custom_id };
            assert!(left.is_empty());
        });
    }
}

#[test]
fn addresses_leave_neither_as_names_nor_by_a_header_that_is_known_to_have_them() {
    let settings = NormaliserSettings {
        fields: vec![FieldSettings { name: "chain".to_owned(), value: "line.request.headers[\"x-chain\"]".to_owned() }],
        trusted_proxies: Some(TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            header: "x-chain".to_owned(),
        }),
        ..settings([Identity::ClientAddress])
    };
    let line = json!({
        "request": {
            "uri": "/?198.51.100.77&198.51.100.77=1&a%3d198.51.100.77",
            "headers": {"x-chain": "203.0.113.9, 198.51.100.77", "x-198.51.100.77": "1"},
        },
        "client_ip": "10.0.0.9",
    });
    let normaliser = Normaliser::new(settings, key()).unwrap();
    let (line, mut scratch) = (line.to_string(), Scratch::default());
    let call = normaliser.normalise(line.as_bytes(), Some(1), &mut scratch).unwrap();
    let leaving = leaving(&call);
    assert!(!leaving.contains("198.51.100.77") && !leaving.contains("203.0.113.9"), "{leaving}");
    assert_eq!((call.query.len(), call.headers.len(), call.fields.len()), (3, 2, 1));
}

#[test]
fn what_leaves_is_found_by_the_value_and_stays_apart_from_others() {
    with_call(settings(PLANTED.map(|(identity, _)| identity)), |call| {
        let name = |value: &str| key().personal("", value).to_string();
        let consumer = call.consumer.as_ref().unwrap();
        assert_eq!(consumer.username, *name("planted-user"));
        assert_eq!(consumer.custom_id, *name("planted-custom"));
        let tags: Vec<_> = consumer.tags.iter().map(|tag| tag.to_string()).collect();
        assert_eq!(tags, [name("planted-tag-a"), name("planted-tag-b")]);
        assert_eq!(call.service.as_ref().unwrap().name, *name("planted-service"));
        assert_eq!(call.route.as_ref().unwrap().name, *name("planted-route"));
        let address = |text: &str| key().address(text.parse().unwrap());
        assert_eq!(call.client_ip, Some(address("198.51.100.77")), "the one that the trusted proxy names");
        let header = |name: &str| {
            let found = call.headers.iter().find(|field| field.name == *name).unwrap();
            let FieldValue::Clear(text) = &found.value else { panic!("{found:?}") };
            text.to_string()
        };
        let [client, first, v6] = ["198.51.100.77", "203.0.113.9", "2001:db8::77"].map(address);
        assert_eq!(header("x-forwarded-for"), format!("{first}, {client}"));
        assert_eq!(header("forwarded"), format!("for=\"[{v6}]:4711\";proto=https, for=[{client}]:80"));
        assert_eq!(call.path, *format!("/from/{client}/x"));
        for (field, value) in [("name", "planted-user"), ("shout", "PLANTED-USER"), ("way", "by planted-route")] {
            let found = call.fields.iter().find(|found| found.name == *field).unwrap();
            assert_eq!(found.value, FieldValue::Pseudonym(key().personal("", value), value.len() as u32));
        }
    });
}

#[test]
fn an_address_and_a_mail_address_as_a_name_join_with_themselves() {
    let settings = NormaliserSettings {
        pseudonymise: [Identity::ConsumerUsername, Identity::ClientAddress].into_iter().collect(),
        ..NormaliserSettings::new("kong")
    };
    let normaliser = Normaliser::new(settings, key()).unwrap();
    for (client, same) in [("192.0.2.7", "::ffff:192.0.2.7"), ("2001:db8::7", "2001:DB8:0:0::7")] {
        let seen = [client, same].map(|client| {
            let line = json!({
                "request": {"uri": "/?mail=Alice%40Corp.example"}, "client_ip": client,
                "consumer": {"id": "c1", "username": "alice@corp.example"},
            });
            let (line, mut scratch) = (line.to_string(), Scratch::default());
            let call = normaliser.normalise(line.as_bytes(), Some(1), &mut scratch).unwrap();
            let FieldValue::Pseudonym(mail, _) = call.query[0].value else { panic!("{:?}", call.query) };
            assert_eq!(call.consumer.as_ref().unwrap().username, *mail.to_string());
            call.client_ip.unwrap()
        });
        assert_eq!(seen[0], seen[1]);
        assert!(Pseudonym::is_address(seen[0]));
    }
}

#[test]
fn a_gateways_configuration_has_the_same_pseudonyms_as_its_calls() {
    let read = || -> GatewayConfiguration {
        serde_json::from_value(json!({
            "services": [{
                "id": "s1", "name": "planted-service", "protocol": "http", "host": "up", "port": 80, "enabled": true, "tags": [],
            }],
            "routes": [{
                "id": "r1", "name": "planted-route", "protocols": [], "methods": [], "hosts": [], "paths": ["/a"],
                "header_names": [], "tags": [],
            }],
            "plugins": [{
                "id": "p1", "name": "ip-restriction", "enabled": true, "protocols": [], "tags": [],
                "settings": {
                    "plugin": "ip-restriction", "deny": ["198.51.100.77/32", "203.0.113.0/24"], "allow": ["2001:db8::77"],
                },
            }, {
                "id": "p2", "name": "key-auth", "enabled": true, "protocols": [], "tags": [],
                "settings": {"plugin": "key-auth", "anonymous": "planted-user"},
            }, {
                "id": "p3", "name": "basic-auth", "enabled": true, "protocols": [], "tags": [],
                "settings": {"plugin": "basic-auth", "anonymous": "b94ac3ae-7bd7-4cdd-a2b4-fbd3b36cb8f9"},
            }],
            "consumers": [{
                "id": "c1", "username": "planted-user", "custom_id": "planted-custom", "tags": ["planted-tag-a", "planted-tag-b"],
            }],
            "credentials": [{"id": "k1", "kind": "key-auth", "tags": ["planted-tag-a"]}],
        }))
        .unwrap()
    };
    let all = PLANTED.map(|(identity, _)| identity);
    for chosen in all.iter().map(|identity| vec![*identity]).chain([vec![], all.to_vec()]) {
        let mut configuration = read();
        let identities: Identities = chosen.iter().copied().collect();
        identities.hide_configuration(&key(), &mut configuration);
        let text = serde_json::to_string(&configuration).unwrap();
        for (identity, values) in PLANTED {
            for value in values.iter().filter(|value| !value.contains('%') && **value != "203.0.113.9") {
                assert_eq!(text.contains(value), !chosen.contains(&identity), "{chosen:?}: `{value}` in {text}");
            }
        }
        assert!(text.contains("203.0.113.0/24"), "a network is nobody's address");
        assert!(text.contains("b94ac3ae-7bd7-4cdd-a2b4-fbd3b36cb8f9"), "an id stays");
        if chosen.len() == all.len() {
            let consumer = &configuration.consumers[0];
            with_call(settings(all), |call| {
                let called = call.consumer.as_ref().unwrap();
                assert_eq!(consumer.username.as_deref(), Some(&*called.username));
                assert_eq!(configuration.routes[0].name.as_deref(), Some(&*call.route.as_ref().unwrap().name));
            });
        }
    }
}

#[tokio::test]
async fn a_source_tells_the_address_to_who_looks_it_up_and_to_nobody_else() {
    let config = KongTcpLogConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        pseudonymise: [Identity::ClientAddress].into_iter().collect(),
        ..KongTcpLogConfig::default()
    };
    let told: Arc<Mutex<Vec<Option<IpAddr>>>> = Arc::default();
    let complete: Complete = {
        let told = Arc::clone(&told);
        Arc::new(move |_, address| told.lock().unwrap().push(address))
    };
    let (sender, mut batches) = mpsc::channel(1);
    let source = KongTcpLog::bind(&config, key(), Arc::new(|| 1), sender, Some(complete), None).unwrap();
    let stop = CancellationToken::new();
    let address = source.local_addr();
    let running = tokio::spawn(source.run(stop.clone()));
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(b"{\"request\":{\"uri\":\"/\"},\"client_ip\":\"192.0.2.7\"}\n").await.unwrap();
    let batch = batches.recv().await.unwrap();
    let call = BatchReader::new(&batch.calls).unwrap().next().unwrap().unwrap();
    let real: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(call.client_ip, Some(key().address(real)));
    assert_eq!(*told.lock().unwrap(), [Some(real)]);
    stop.cancel();
    running.await.unwrap();
}

/// A field that says what another value was under the former key, as text.
fn former(call: &ApiCall<'_>, name: &str) -> Option<String> {
    let mut found = call.fields.iter().filter(|field| field.name == *name).map(|field| match &field.value {
        FieldValue::Pseudonym(pseudonym, _) => pseudonym.to_string(),
        FieldValue::Clear(text) => text.to_string(),
        other => panic!("{other:?}"),
    });
    let first = found.next();
    assert!(found.next().is_none(), "{name} is there twice");
    first
}

#[test]
fn while_a_key_is_rotated_a_call_says_what_its_values_were_before() {
    const UNTIL_MS: i64 = 1_795_448_391_727;
    let before = "a".repeat(64);
    let rotated = PseudonymKey::rotated(&before, UNTIL_MS).unwrap().unwrap();
    let line = json!({
        "request": {"uri": "/login", "headers": {"apikey": "key-alice", "cookie": "sid=s3ss10n"}},
        "client_ip": "192.0.2.7", "consumer": {"id": "c1", "username": "alice", "tags": ["gold"]},
        "service": {"id": "s1", "name": "shop"}, "route": {"id": "r1", "name": "way"}, "login": {"account": "alice@corp.example"},
    })
    .to_string();
    let settings = |pseudonymise: &[Identity], key: &PseudonymKey| {
        let account = FieldSettings { name: "account".to_owned(), value: "line.login.account".to_owned() };
        let settings = NormaliserSettings {
            session: Some(outrider_collect::SessionCarrier::Cookie("sid".to_owned())),
            fields: vec![account],
            pseudonymise: pseudonymise.iter().copied().collect(),
            ..NormaliserSettings::new("kong")
        };
        Normaliser::new(settings, key.clone()).unwrap()
    };
    let [old, new] = [&before, &rotated].map(|text| PseudonymKey::from_text(text).unwrap());
    let all = PLANTED.map(|(identity, _)| identity);
    for chosen in [&[][..], &all] {
        let (old, new) = (settings(chosen, &old), settings(chosen, &new));
        for received_ms in [UNTIL_MS - 1, UNTIL_MS] {
            let (mut old_scratch, mut new_scratch) = (Scratch::default(), Scratch::default());
            let was = old.normalise(line.as_bytes(), Some(received_ms), &mut old_scratch).unwrap();
            let is = new.normalise(line.as_bytes(), Some(received_ms), &mut new_scratch).unwrap();
            assert!(was.fields.iter().all(|field| !field.name.starts_with("former_")), "it was never rotated");
            let during = received_ms < UNTIL_MS;
            let hidden = during && !chosen.is_empty();
            let name = |call: &ApiCall<'_>| call.consumer.as_ref().map(|consumer| consumer.username.to_string());
            let service = |call: &ApiCall<'_>| call.service.as_ref().map(|service| service.name.to_string());
            let shown = |pseudonym: Option<Pseudonym>| pseudonym.map(|pseudonym| pseudonym.to_string());
            for (field, before, after, is_there) in [
                (
                    "former_presented_credential",
                    shown(was.presented_credential),
                    shown(is.presented_credential),
                    during,
                ),
                ("former_session", shown(was.session), shown(is.session), during),
                ("former_account", shown(was.account()), shown(is.account()), during),
                ("former_consumer_name", name(&was), name(&is), hidden),
                ("former_service_name", service(&was), service(&is), hidden),
                (
                    "former_client_ip",
                    was.client_ip.map(|address| address.to_string()),
                    is.client_ip.map(|address| address.to_string()),
                    hidden,
                ),
            ] {
                assert_eq!(former(&is, field), before.clone().filter(|_| is_there), "{field} {chosen:?} {received_ms}");
                assert_eq!(
                    before != after,
                    !field.contains("name") && !field.contains("ip") || !chosen.is_empty(),
                    "{field}"
                );
            }
            let mut again = BatchWriter::default();
            again.push(&is).unwrap();
            let bytes = again.take();
            assert_eq!(BatchReader::new(&bytes).unwrap().next().unwrap().unwrap().fields, is.fields, "it travels");
        }
    }
    // Of a value that is masked no other name leaves, and mapped fields go before what was.
    let mapped = |fields: Vec<FieldSettings>, field_policies| NormaliserSettings {
        session: Some(outrider_collect::SessionCarrier::Cookie("sid".to_owned())),
        fields,
        field_policies,
        ..NormaliserSettings::new("kong")
    };
    let field = |name: &str, value: &str| FieldSettings { name: name.to_owned(), value: value.to_owned() };
    let mut masks = FieldPolicies::default();
    masks.field.insert("account".to_owned(), FieldPolicy::Mask);
    let sixteen = format!("[{}]", ["line.service.name"; 16].join(", "));
    let full: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| field(name, &sixteen)).collect();
    for (settings, fields) in
        [(mapped(vec![field("account", "line.login.account")], masks), 3), (mapped(full, FieldPolicies::default()), 64)]
    {
        let (normaliser, mut scratch) = (Normaliser::new(settings, new.clone()).unwrap(), Scratch::default());
        let call = normaliser.normalise(line.as_bytes(), Some(UNTIL_MS - 1), &mut scratch).unwrap();
        assert_eq!(former(&call, "former_account"), None);
        assert_eq!(call.fields.len(), fields);
        assert_eq!(former(&call, "former_session").is_some(), fields < 64);
    }
}
