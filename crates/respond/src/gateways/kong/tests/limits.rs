//! Rate limits at the gateway: written after a look at others', never in their place with more.

use serde_json::json;

use super::*;
use crate::gateways::GatewayError;

fn minute(world: &World) -> Vec<serde_json::Value> {
    let own = world.kong.own();
    own.iter().filter(|plugin| plugin.name == "rate-limiting").map(|plugin| plugin.config["minute"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_written_after_a_look_and_blocks_do_not_wait_for_it() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![limit(1, ALICE, world.in_s(60), 30), block(2, BOB, None)], &[]));
    world.pass_ms(100).await;
    let block_then_look_then_limit = [
        "POST /plugins",
        "GET /consumers/{id}/plugins",
        "GET /plugins",
        "POST /plugins",
        "GET /consumers/{id}/plugins",
    ];
    assert_eq!(world.kong.take_calls(), block_then_look_then_limit);
    assert_eq!(
        (world.reports(), minute(&world)),
        (vec!["2 stored".to_owned(), "1 stored".to_owned()], vec![json!(30)])
    );

    world.desire(desired(3, vec![limit(1, ALICE, world.in_s(60), 20), block(2, BOB, None)], &[]));
    world.pass_ms(100).await;
    assert_eq!(world.kong.take_calls(), ["GET /plugins/{id}", "PUT /plugins/{id}"], "the look is fresh still");
    assert_eq!((world.reports(), minute(&world)), (vec!["1 stored".to_owned()], vec![json!(20)]));

    world.pass_s(61).await;
    assert_eq!((world.reports(), minute(&world)), (vec!["1 released".to_owned()], vec![]));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn limits_of_one_scope_share_one_plugin_beside_its_block() {
    let mut world = World::started().await;
    let actions = [limit(1, ALICE, world.in_s(60), 10), limit(2, ALICE, world.in_s(600), 20), block(3, ALICE, None)];
    world.desire(desired(2, actions.to_vec(), &[]));
    world.pass_ms(100).await;
    assert_eq!((world.kong.own().len(), world.at_gateway(), minute(&world)), (2, ids(&[1, 2, 3]), vec![json!(10)]));
    world.pass_s(61).await;
    assert_eq!((world.at_gateway(), minute(&world)), (ids(&[2, 3]), vec![json!(20)]), "the lower one is over");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_leave_is_told_of_by_its_id() {
    for (hides_services, hides_routes) in [(false, false), (true, false), (false, true)] {
        let mut world = World::new();
        world.settings.hides_service_names = hides_services;
        world.settings.hides_route_names = hides_routes;
        world.kong.put(foreign_limit("narrow", Some(ALICE), Some(SHOP), None, json!({"minute": 5})));
        world.kong.put(foreign_limit("there", Some(ALICE), None, Some(SHOP_ROUTE), json!({"minute": 5})));
        world.start(Some(desired(1, vec![limit(1, ALICE, None, 30)], &[])));
        world.pass_s(1).await;
        let told = world.reports().join("; ");
        let names = [("shop", SHOP, hides_services), ("shop-route", SHOP_ROUTE, hides_routes)];
        for (name, id, is_hidden) in names {
            assert_eq!(told.contains(&format!("`{name}`")), !is_hidden, "{name}: {told}");
            assert_eq!(told.contains(&format!("`{id}`")), is_hidden, "{id}: {told}");
        }
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operators_limit_is_taken_in_and_followed() {
    let mut world = World::started().await;
    world.kong.put(foreign_limit("global", None, None, None, json!({"minute": 10, "policy": "cluster"})));
    world.kong.put(foreign_limit("narrow", Some(ALICE), Some(SHOP), None, json!({"minute": 5})));
    world.desire(desired(2, vec![limit(1, ALICE, None, 30)], &[]));
    world.pass_ms(100).await;
    assert_eq!(minute(&world), [json!(10)]);
    assert_eq!(world.kong.own()[0].config["policy"], "cluster");
    assert_eq!(
        world.reports(),
        ["1 stored but service `shop`: your own rate-limiting narrow wins and sets its own limits"]
    );
    world.kong.put(foreign_limit("global", None, None, None, json!({"minute": 7})));
    world.pass_s(600).await;
    assert_eq!(minute(&world), [json!(7)], "the next look takes the change over");
    assert_eq!(world.kong.state().sins, [""; 0]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_would_weaken_is_not_written_and_not_left_there() {
    let mut world = World::started().await;
    let by_address = || foreign_limit("ip", None, None, None, json!({"minute": 100, "limit_by": "ip"}));
    world.kong.put(by_address());
    world.desire(desired(2, vec![limit(1, ALICE, None, 30), block(2, BOB, None)], &[]));
    world.pass_ms(100).await;
    assert_eq!((world.at_gateway(), minute(&world)), (ids(&[2]), vec![]));
    let why = "everywhere: rate-limiting ip counts calls by `ip`, which a limit on a consumer cannot";
    let weakens = format!("failed: it would weaken a limit of your own, so it was not written: {why}");
    assert_eq!(world.reports(), ["2 stored".to_owned(), format!("1 {weakens}")]);

    // One that is there goes away when the operator adds what it would weaken.
    world.kong.state().plugins.remove("ip");
    world.pass_s(11).await;
    world.desire(desired(3, vec![limit(3, ALICE, None, 30), block(2, BOB, None)], &[]));
    world.pass_s(60).await;
    assert_eq!((world.at_gateway(), minute(&world)), (ids(&[2, 3]), vec![json!(30)]));
    assert_eq!(world.reports(), ["3 stored"]);
    world.kong.put(by_address());
    world.pass_s(600).await;
    assert_eq!((world.at_gateway(), minute(&world)), (ids(&[2]), vec![]));
    assert_eq!(world.reports(), [format!("3 {weakens}")]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operators_limit_on_the_same_scope_is_left_alone() {
    let mut world = World::started().await;
    world.kong.put(foreign_limit("theirs", Some(ALICE), None, None, json!({"minute": 500})));
    world.desire(desired(2, vec![limit(1, ALICE, None, 30)], &[]));
    world.pass_ms(100).await;
    assert!(world.reports()[0].contains("your own plugin `rate-limiting` (theirs) holds this scope"));
    assert_eq!(world.kong.state().plugins["theirs"].config["minute"], 500);
    world.kong.state().plugins.remove("theirs");
    world.pass_s(600).await;
    assert_eq!(minute(&world), [json!(30)], "theirs is gone, and ours is there");
    assert_eq!(world.kong.state().sins, [""; 0]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_look_limits_wait_what_is_there_stays_and_still_ends() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![limit(1, ALICE, world.in_s(3600), 30), limit(2, BOB, world.in_s(60), 30)], &[]));
    world.pass_ms(100).await;
    assert_eq!(world.reports(), ["1 stored", "2 stored"]);
    world.stop().await;

    world.kong.state().no_lists = Some(GatewayError::Unreachable { detail: "too slow".to_owned() });
    world.start(None);
    let mut at_shop = limit(3, ALICE, None, 5);
    at_shop.scope = service_scope(SHOP);
    let actions = vec![limit(1, ALICE, world.in_s(3600), 30), limit(2, BOB, world.in_s(60), 30), at_shop];
    world.desire(desired(3, actions, &[]));
    world.pass_s(30).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    assert_eq!(world.reports(), ["3 retrying 1: the Admin API cannot be reached: too slow"]);
    world.pass_s(40).await;
    assert_eq!(world.at_gateway(), ids(&[1]), "an end needs no look");
    assert_eq!(world.reports(), ["2 released"]);
    world.kong.state().no_lists = None;
    world.pass_s(60).await;
    assert_eq!(world.at_gateway(), ids(&[1, 3]));
    assert_eq!(world.reports(), ["3 stored", "1 stored"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_a_route_of_another_service_keeps_its_own_number() {
    // Nothing of others is on a route or service, so that nothing but our own limits asks where the route belongs.
    let mut world = World::started().await;
    let other_route = "70000000-0000-4000-8000-000000000002";
    let other = crate::gateways::kong::Route {
        id: other_route.to_owned(),
        name: None,
        service: Some(crate::gateways::kong::Reference { id: "5e000000-0000-4000-8000-000000000002".to_owned() }),
    };
    world.kong.state().routes.push(other);
    let at_shop =
        |id, minute| outrider_model::DesiredAction { scope: service_scope(SHOP), ..limit(id, ALICE, None, minute) };
    let at_route = |id, route, minute| outrider_model::DesiredAction {
        scope: route_scope(route),
        ..limit(id, ALICE, None, minute)
    };
    let minutes = |world: &World| {
        let mut minutes: Vec<_> = minute(world).iter().map(|minute| minute.as_u64().unwrap()).collect();
        minutes.sort_unstable();
        minutes
    };
    world.desire(desired(2, vec![at_shop(1, 5)], &[]));
    world.pass_ms(100).await;
    assert!(!world.kong.take_calls().contains(&"GET /routes".to_owned()), "one limit alone asks for no routes");
    // The last look is fresh, and knows no routes.
    world.desire(desired(3, vec![at_shop(1, 5), at_route(2, other_route, 25)], &[]));
    world.pass_ms(100).await;
    assert_eq!(minutes(&world), [5, 25]);
    world.desire(desired(4, vec![at_shop(1, 5), at_route(2, other_route, 25), at_route(3, SHOP_ROUTE, 30)], &[]));
    world.pass_ms(100).await;
    assert_eq!(minutes(&world), [5, 5, 25], "a route of the service keeps the service's limit");
    world.pass_s(300).await;
    assert_eq!(minutes(&world), [5, 5, 25], "also after later looks");
    world.stop().await;
}
