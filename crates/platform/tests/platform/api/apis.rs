//! Services, what their endpoints carry, and how that differs from a document: learned by the analysis, stored, and asked for.

use outrider_discover::inventory;
use outrider_model::{
    Command, CommandRecord, CommandRefused, DecisionOrigin, Field, FieldValue, GatewayConfiguration, GatewayCredential,
    GatewayRoute, GatewaySnapshot, TemplateChange, TemplateDecision, TemplateDecisionId,
};
use outrider_platform::analysis::{Analysis, AnalysisSettings};
use outrider_platform::log::Position;
use outrider_platform::store::{AuditFilter, AuditLog, EndpointFilter, Gateways, Role};
use outrider_respond::desk::CommandDone;
use serde_json::{Value, json};

use super::harness::Api;
use crate::support::{Call, api_call};

const BEGAN_MS: i64 = 1_795_448_391_727;
const OF_SHOP: &str = "gateway=kong&workspace=w&service=s";

/// Half an hour of calls of a shop: orders with a limit, and some to an endpoint that changes something, without a credential.
fn learned() -> Analysis {
    let mut analysis = Analysis::new("test", AnalysisSettings::default()).unwrap();
    let credentials = ["c-0", "c-1", "c-2"].map(|id| GatewayCredential {
        id: id.to_owned(),
        kind: "jwt".to_owned(),
        consumer_id: None,
        tags: Vec::new(),
        created_ms: None,
    });
    let configuration = GatewayConfiguration { credentials: credentials.into(), ..GatewayConfiguration::default() };
    analysis.configured(GatewaySnapshot { gateway: "kong".to_owned(), taken_ms: BEGAN_MS, configuration });
    for number in 0..600 {
        let at_ms = BEGAN_MS + number * 3000;
        let path = if number % 10 == 0 { "/carts".to_owned() } else { format!("/orders/{}", 1000 + number) };
        let call = Call { at_ms, consumer: format!("c-{}", number % 7), path, status: 200 };
        let mut call = api_call(&call);
        if number % 10 == 0 {
            call.method = "DELETE".into();
            (call.consumer, call.credential_id) = (None, None);
        } else {
            call.query.push(Field { name: "limit".into(), value: FieldValue::Clear("20".into()) });
        }
        analysis.observe(&call, number.cast_unsigned());
    }
    analysis.advance(BEGAN_MS + 3_600_000);
    analysis
}

async fn api() -> Api {
    let api = Api::start().await;
    let mut analysis = learned();
    let route = |id: &str, path: &str| GatewayRoute {
        id: id.to_owned(),
        name: Some(format!("{id}-route")),
        service_id: Some("s".to_owned()),
        protocols: Vec::new(),
        methods: Vec::new(),
        hosts: Vec::new(),
        paths: vec![path.to_owned()],
        header_names: Vec::new(),
        tags: Vec::new(),
        created_ms: None,
    };
    let routes = vec![route("r", "/"), route("old", "/old")];
    let configuration = GatewayConfiguration { routes, ..GatewayConfiguration::default() };
    analysis.configured(GatewaySnapshot { gateway: "kong".to_owned(), taken_ms: BEGAN_MS, configuration });
    api.store.apply(Position(2), &analysis.drain_effects()).await.unwrap();
    api
}

async fn get(api: &Api, path: &str) -> Value {
    let reply = api.send(Role::Viewer, "GET", path, None).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.body
}

fn kinds(drift: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = drift["items"].as_array().unwrap();
    items.iter().map(|one| (text(&one["kind"]), text(&one["severity"]), text(&one["template"]))).collect()
}

#[tokio::test]
async fn what_endpoints_carry_is_stored_exported_and_compared() {
    let api = api().await;
    let apis = get(&api, "/api/v1/apis").await;
    let shop = apis["items"].as_array().unwrap().iter().find(|row| row["service_name"] == "shop").unwrap().clone();
    assert_eq!((&shop["gateway"], &shop["workspace"], &shop["service"]), (&json!("kong"), &json!("w"), &json!("s")));
    assert_eq!((&shop["endpoints"], &shop["calls"], &shop["document"]), (&json!(2), &json!(600), &Value::Null));

    let endpoints = get(&api, "/api/v1/endpoints?service=shop").await;
    let orders =
        endpoints["items"].as_array().unwrap().iter().find(|row| row["key"]["method"] == "GET").unwrap().clone();
    let known = get(&api, &format!("/api/v1/endpoints/{}/inventory", orders["id"].as_str().unwrap())).await;
    assert_eq!((&known["calls"], &known["consumers"]), (&json!(540), &json!(7)));
    let parameters = known["parameters"].as_array().unwrap();
    let of = |name: &str| parameters.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{known}"));
    assert_eq!((&of("limit")["location"], &of("limit")["value_type"]), (&json!("query"), &json!("integer")));
    assert_eq!(of("order_id")["location"], "path");
    // Of three of the seven the gateway's configuration says which plugin checks them.
    let auth: Vec<_> = known["auth"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!((auth.len(), auth.contains(&"jwt")), (2, true), "{known}");
    let reply = api.send(Role::Viewer, "GET", "/api/v1/endpoints/ep_00000000000000ff/inventory", None).await;
    assert_eq!(reply.status, 404, "{}", reply.body);

    let document = get(&api, &format!("/api/v1/apis/openapi?{OF_SHOP}")).await;
    assert_eq!((&document["openapi"].as_str().unwrap()[..3], &document["info"]["title"]), ("3.1", &json!("shop")));
    assert!(document["paths"]["/orders/{order_id}"]["get"].is_object(), "{document}");
    assert!(document["paths"]["/carts"]["delete"].is_object(), "{document}");

    // Without a document only the routes are compared.
    let drift = get(&api, &format!("/api/v1/apis/drift?{OF_SHOP}")).await;
    assert_eq!(drift["has_document"], false);
    assert_eq!(kinds(&drift).iter().map(|(kind, ..)| kind.as_str()).collect::<Vec<_>>(), ["unused_route"]);

    // The owner's knows the orders with another name of the parameter, and nothing of carts.
    let text = json!({
        "openapi": "3.0.3", "info": {"title": "Shop", "version": "2"},
        "paths": {
            "/orders/{id}": {"get": {"parameters": [
                {"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}},
                {"name": "limit", "in": "query", "schema": {"type": "integer"}}]}},
            "/prices": {"get": {}},
        },
    });
    let path = format!("/api/v1/apis/document?{OF_SHOP}");
    let body = json!({"text": text.to_string()}).to_string();
    assert_eq!(api.send(Role::Viewer, "PUT", &path, Some(&body)).await.status, 403);
    let reply = api.send(Role::Analyst, "PUT", &path, Some(&body)).await;
    assert_eq!((reply.status, &reply.body["title"], &reply.body["operations"]), (200, &json!("Shop"), &json!(2)));
    let row = get(&api, "/api/v1/apis").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["service"] == "s")
        .unwrap()
        .clone();
    assert_eq!((&row["document"]["version"], &row["document"]["changed_by"]), (&json!("2"), &json!("the-analyst")));
    let drift = get(&api, &format!("/api/v1/apis/drift?{OF_SHOP}")).await;
    let found = kinds(&drift);
    let has = |kind: &str, severity: &str, template: &str| {
        let one = (kind.to_owned(), severity.to_owned(), template.to_owned());
        assert!(found.contains(&one), "{one:?} is not in {found:?}");
    };
    has("shadow", "high", "/carts");
    has("orphan", "info", "/prices");
    assert_eq!(found.len(), 3, "{found:?}");

    // What was exported has nothing to differ from.
    let body = json!({"text": document.to_string()}).to_string();
    assert_eq!(api.send(Role::Analyst, "PUT", &path, Some(&body)).await.status, 200);
    let drift = get(&api, &format!("/api/v1/apis/drift?{OF_SHOP}")).await;
    assert_eq!(kinds(&drift).iter().map(|(kind, ..)| kind.as_str()).collect::<Vec<_>>(), ["unused_route"]);
    assert_eq!(api.send(Role::Analyst, "DELETE", &path, None).await.status, 204);
    assert_eq!(api.send(Role::Analyst, "DELETE", &path, None).await.status, 404);
    let audit = api.store.audit(&AuditFilter::default(), 10, None).await.unwrap();
    let told: Vec<_> = audit.items.iter().map(|line| line.entry.what.as_str()).collect();
    assert_eq!(told.iter().filter(|what| what.ends_with("a document")).count(), 3, "{told:?}");
    let reads =
        api.store.audit(&AuditFilter { log: Some(AuditLog::Reads), ..AuditFilter::default() }, 50, None).await.unwrap();
    assert!(reads.items.iter().any(|line| line.entry.what == "exported a service"), "{reads:?}");
}

#[tokio::test]
async fn a_question_about_a_service_that_cannot_be_meant_says_why() {
    let api = api().await;
    for (query, status, words) in [
        ("", 400, "which service? `gateway` is missing"),
        ("gateway=kong", 400, "which service? `service` is missing"),
        ("gateway=kong&workspace=w&service=t", 404, "nothing was seen of a service `t` at `kong`"),
        ("gateway=kong&service=s", 404, "nothing was seen"),
    ] {
        for path in ["openapi", "drift"] {
            let reply = api.send(Role::Viewer, "GET", &format!("/api/v1/apis/{path}?{query}"), None).await;
            assert_eq!(reply.status, status, "{path}?{query}");
            assert!(reply.detail().contains(words), "{}", reply.body);
        }
    }
    let path = format!("/api/v1/apis/document?{OF_SHOP}");
    for (text, words) in [
        ("{", "JSON"),
        ("{}", "OpenAPI"),
        ("swagger: '2.0'\npaths: {}", "2.0"),
        ("openapi: 3.1.0\ninfo: {title: a, version: '1'}", "paths"),
    ] {
        let body = json!({"text": text}).to_string();
        let reply = api.send(Role::Analyst, "PUT", &path, Some(&body)).await;
        assert_eq!(reply.status, 422, "{text}: {}", reply.body);
        assert!(reply.detail().contains(words), "{text}: {}", reply.body);
    }
    // Larger than others may be, and not larger than this may be.
    let large =
        format!("openapi: 3.1.0\ninfo: {{title: a, version: '1'}}\npaths: {{}}\nx-more: {}", "x".repeat(1 << 20));
    let reply = api.send(Role::Analyst, "PUT", &path, Some(&json!({"text": large}).to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let large = json!({"text": "x".repeat(5 << 20)}).to_string();
    assert_eq!(api.send(Role::Analyst, "PUT", &path, Some(&large)).await.status, 422);
}

#[test]
fn what_was_learned_survives_a_snapshot_and_is_the_same() {
    let mut before = learned();
    let bytes = before.freeze().encode().unwrap();
    let mut after = Analysis::restore(&bytes).unwrap();
    assert_eq!(after.freeze().encode().unwrap(), bytes);
    assert_eq!(before.drain_effects().inventory.len(), 2);
    for analysis in [&mut before, &mut after] {
        let call =
            Call { at_ms: BEGAN_MS + 3_700_000, consumer: "c-9".to_owned(), path: "/orders/7".to_owned(), status: 404 };
        analysis.observe(&api_call(&call), 1000);
        analysis.advance(BEGAN_MS + 4_000_000);
    }
    let inventory = |analysis: &mut Analysis| analysis.drain_effects().inventory;
    let (one, other) = (inventory(&mut before), inventory(&mut after));
    assert!(!one.is_empty(), "a status that was never seen is told at once");
    assert_eq!(one, other);
}

fn decision(template: &str, change: TemplateChange) -> TemplateDecision {
    TemplateDecision {
        gateway: "kong".to_owned(),
        workspace: "w".to_owned(),
        service: "s".to_owned(),
        template: template.to_owned(),
        change,
        origin: DecisionOrigin::Operator,
    }
}

fn decide(
    analysis: &mut Analysis,
    id: &str,
    taken_back: &[TemplateDecisionId],
    decisions: &[TemplateDecision],
) -> Result<CommandDone, CommandRefused> {
    let command = Command::DecideTemplates { taken_back: taken_back.to_vec(), decisions: decisions.to_vec() };
    let at_ms = BEGAN_MS + 3_600_000;
    analysis.command(&CommandRecord { id: id.to_owned(), by: "anna".to_owned(), at_ms, command })
}

async fn templates(api: &Api) -> Vec<String> {
    let rows = api.store.endpoints(&EndpointFilter::default(), 50, None).await.unwrap().items;
    let mut rows: Vec<_> =
        rows.into_iter().filter(|row| row.service_name == "shop").map(|row| row.key.template).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn templates_are_decided_once_are_in_force_over_a_restart_and_can_be_taken_back() {
    let api = Api::start().await;
    let mut analysis = learned();
    let rename = decision("/orders/{order_id}", TemplateChange::Rename { parameter: "number".to_owned() });
    let ignore = decision("/carts", TemplateChange::Ignore { method: None });
    let both = [rename.clone(), ignore.clone()];
    // The store has an entry with the first number already.
    assert!(matches!(decide(&mut analysis, "three", &[], &[]), Err(CommandRefused::Invalid { .. })));
    for _ in 0..2 {
        assert_eq!(decide(&mut analysis, "one", &[], &both), Ok(CommandDone::TemplatesDecided));
    }
    let mut position = 2;
    let mut store = async |analysis: &mut Analysis| {
        api.store.apply(Position(position), &analysis.drain_effects()).await.unwrap();
        position += 1;
    };
    store(&mut analysis).await;
    assert_eq!(templates(&api).await, ["/orders/{number}"]);
    let standing = get(&api, "/api/v1/templates").await;
    let standing = standing["items"].as_array().unwrap();
    assert_eq!(standing.len(), 2, "{standing:#?}");
    assert!(standing.iter().all(|row| row["decided_by"] == "anna"), "{standing:#?}");

    // What makes no sense changes nothing, and says why.
    let nonsense = decision("/orders/{order_id}", TemplateChange::Rename { parameter: "no name".to_owned() });
    let error = decide(&mut analysis, "two", &[ignore.id()], &[nonsense]).unwrap_err();
    assert!(matches!(&error, CommandRefused::Invalid { why } if why.contains("`no name`")), "{error:?}");
    let unknown = decision("/orders", TemplateChange::Ignore { method: None }).id();
    assert!(matches!(decide(&mut analysis, "four", &[unknown], &[]), Err(CommandRefused::NotFound { .. })));

    store(&mut analysis).await;
    let mut analysis = Analysis::restore(&analysis.freeze().encode().unwrap()).unwrap();
    assert_eq!(decide(&mut analysis, "five", &[ignore.id()], &[]), Ok(CommandDone::TemplatesDecided));
    // Taken and taken back at once leaves nothing, and the other way round it stands.
    assert_eq!(decide(&mut analysis, "six", &[], std::slice::from_ref(&ignore)), Ok(CommandDone::TemplatesDecided));
    assert_eq!(decide(&mut analysis, "seven", &[ignore.id(), rename.id()], &[]), Ok(CommandDone::TemplatesDecided));
    assert_eq!(decide(&mut analysis, "eight", &[], std::slice::from_ref(&rename)), Ok(CommandDone::TemplatesDecided));
    store(&mut analysis).await;
    assert_eq!(templates(&api).await, ["/carts", "/orders/{number}"]);
    let standing = api.store.template_decisions(&Gateways::All).await.unwrap();
    assert_eq!(standing.iter().map(|row| row.id).collect::<Vec<_>>(), [rename.id()]);
    assert_eq!(decide(&mut analysis, "nine", &[rename.id()], &[]), Ok(CommandDone::TemplatesDecided));
    store(&mut analysis).await;
    assert_eq!(templates(&api).await, ["/carts", "/orders/{order_id}"]);
    let audit = api.store.audit(&AuditFilter::default(), 50, None).await.unwrap();
    let decided: Vec<_> = audit.items.iter().filter(|line| line.entry.what == "decided").collect();
    assert_eq!(decided.len(), 6);
    let first = &decided[5].entry.detail;
    for words in
        ["call it `number` in /orders/{order_id} of service s at kong (td_", "; ignore all of /carts of service s"]
    {
        assert!(first.contains(words), "{first}");
    }
    assert!(decided[4].entry.detail.starts_with("take back td_"), "{decided:?}");
    assert_eq!(audit.items.iter().filter(|line| line.entry.what == "was refused").count(), 2);

    // Over the API it is a decision like any other.
    api.answer(Ok(CommandDone::TemplatesDecided));
    let body = json!({"decisions": [rename], "taken_back": [ignore.id()]}).to_string();
    assert_eq!(api.send(Role::Analyst, "POST", "/api/v1/templates", Some(&body)).await.status, 403);
    let reply = api.send(Role::Responder, "POST", "/api/v1/templates", Some(&body)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let Command::DecideTemplates { taken_back, decisions } = api.last_record().command else { panic!() };
    assert_eq!((taken_back, decisions), (vec![ignore.id()], vec![rename]));
    let reply =
        api.send(Role::Responder, "POST", "/api/v1/templates", Some(r#"{"decisions": [{"gateway": "a"}]}"#)).await;
    assert_eq!(reply.status, 422, "{}", reply.body);
}

#[test]
fn what_is_learnt_again_keeps_the_settings_that_it_was_learnt_under() {
    let mut analysis = learned();
    let inventory = inventory::Settings { value_calls_min: 7, ..inventory::Settings::default() };
    let settings = AnalysisSettings { inventory, ..analysis.settings().clone() };
    let learnt = analysis.relearn(&settings, BEGAN_MS + 3_600_000).unwrap();
    analysis.take_over(learnt);
    assert_eq!(analysis.settings().inventory, settings.inventory);
}

/// An API whose catalogue is what was learned of the shop.
async fn with_catalogue() -> Api {
    let api = api().await;
    *api.bus.catalogue.lock().unwrap() = learned().catalogue().clone();
    api
}

async fn preview(api: &Api, body: &Value) -> Value {
    let reply = api.send(Role::Responder, "POST", "/api/v1/templates/preview", Some(&body.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

#[tokio::test]
async fn what_a_decision_would_do_is_said_before_it_is_taken() {
    let api = with_catalogue().await;
    let rename = decision("/orders/{order_id}", TemplateChange::Rename { parameter: "number".to_owned() });
    let body = json!({"decisions": [rename]});
    let said = preview(&api, &body).await;
    assert_eq!((&said["decisions"], &said["taken_back"], &said["more"]), (&json!(1), &json!(0), &json!(0)));
    let [effect] = said["items"].as_array().unwrap().as_slice() else { panic!("{said:#}") };
    assert_eq!((&effect["kind"], &effect["before"]), (&json!("renamed"), &json!("/orders/{order_id}")));
    assert_eq!(effect["after"], "/orders/{number}");
    assert!(api.bus.records.lock().unwrap().is_empty(), "nothing was decided");

    // What would be refused is refused here as it is there.
    let unknown = json!({"taken_back": [rename.id()]}).to_string();
    let reply = api.send(Role::Responder, "POST", "/api/v1/templates/preview", Some(&unknown)).await;
    assert_eq!(reply.status, 404, "{}", reply.body);
    let reply = api.send(Role::Analyst, "POST", "/api/v1/templates/preview", Some(&body.to_string())).await;
    assert_eq!(reply.status, 403, "{}", reply.body);
}

#[tokio::test]
async fn the_paths_of_a_document_become_decisions() {
    let api = with_catalogue().await;
    let follow = json!({"document": {"gateway": "kong", "workspace": "w", "service": "s"}});
    let reply = api.send(Role::Responder, "POST", "/api/v1/templates", Some(&follow.to_string())).await;
    assert_eq!(reply.status, 404, "{}", reply.body);
    assert!(reply.detail().contains("no document"), "{}", reply.body);

    let mut both = follow.clone();
    both["decisions"] = json!([decision("/carts", TemplateChange::Ignore { method: None })]);
    let reply = api.send(Role::Responder, "POST", "/api/v1/templates", Some(&both.to_string())).await;
    assert_eq!(reply.status, 422, "{}", reply.body);

    let text = json!({
        "openapi": "3.1.0", "info": {"title": "Shop", "version": "1"},
        "paths": {
            "/orders/{number}": {"get": {"responses": {}}},
            "/reports/{a}{a}": {"get": {"responses": {}}},
            "/stock": {"get": {"responses": {}}},
        },
    });
    let put = json!({"text": text.to_string()}).to_string();
    let path = format!("/api/v1/apis/document?{OF_SHOP}");
    assert_eq!(api.send(Role::Analyst, "PUT", &path, Some(&put)).await.status, 200);
    let said = preview(&api, &follow).await;
    assert_eq!(said["decisions"], 2, "{said:#}");
    assert_eq!(said["left_out"][0]["pointer"], "/paths/~1reports~1{a}{a}/get", "{said:#}");
    let kinds: Vec<_> = said["items"].as_array().unwrap().iter().map(|effect| effect["kind"].clone()).collect();
    assert_eq!(kinds, ["renamed", "awaited"], "{said:#}");

    api.answer(Ok(CommandDone::TemplatesDecided));
    let reply = api.send(Role::Responder, "POST", "/api/v1/templates", Some(&follow.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let Command::DecideTemplates { taken_back, decisions } = api.last_record().command else { panic!() };
    assert!(taken_back.is_empty());
    let shop = DecisionOrigin::Document { name: "Shop".to_owned() };
    assert!(decisions.len() == 2 && decisions.iter().all(|decision| decision.origin == shop), "{decisions:?}");

    // What is followed already is not decided again.
    let mut analysis = learned();
    decide(&mut analysis, "one", &[], &decisions).unwrap();
    *api.bus.catalogue.lock().unwrap() = analysis.catalogue().clone();
    let before = api.bus.records.lock().unwrap().len();
    let reply = api.send(Role::Responder, "POST", "/api/v1/templates", Some(&follow.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(api.bus.records.lock().unwrap().len(), before);
}
