//! What happens when nothing goes wrong, and when somebody else is at the gateway too.

use serde_json::json;

use super::*;
use crate::gateways::kong::files::StateFiles;
use crate::gateways::kong::release_all;

#[tokio::test(start_paused = true)]
async fn a_block_is_written_at_once_and_taken_away_again() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_ms(20).await;
    assert_eq!(world.kong.take_calls(), ["POST /plugins", "GET /consumers/{id}/plugins"]);
    assert_eq!(world.reports(), ["1 stored"]);

    world.desire(desired(3, vec![block(1, ALICE, world.in_s(60))], &[]));
    world.pass_ms(20).await;
    assert_eq!(world.kong.take_calls(), ["GET /plugins/{id}", "PUT /plugins/{id}"]);
    assert_eq!(world.reports(), ["1 stored"]);

    world.desire(desired(4, vec![], &[1]));
    world.pass_ms(20).await;
    assert_eq!(world.kong.take_calls(), ["GET /plugins/{id}", "DELETE /plugins/{id}"]);
    assert_eq!(world.reports(), ["1 released"]);
    assert!(world.kong.own().is_empty());

    world.pass_s(60).await;
    assert_eq!(world.reports(), [""; 0], "each change is told once");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_block_ends_on_time_while_the_platform_is_away() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, world.in_s(900)), block(2, BOB, None)], &[]));
    world.pass_ms(100).await;
    world.platform = None;
    world.pass_ms(899_850).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]), "50 ms before its end");
    world.pass_ms(100).await;
    assert_eq!(world.at_gateway(), ids(&[2]), "50 ms after its end");
    assert_eq!(world.reports(), ["1 stored", "2 stored", "1 released"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn actions_of_one_scope_share_one_plugin() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, world.in_s(60)), block(2, ALICE, world.in_s(600))], &[]));
    world.pass_ms(100).await;
    assert_eq!((world.kong.own().len(), world.at_gateway()), (1, ids(&[1, 2])));
    world.pass_s(61).await;
    assert_eq!((world.kong.own().len(), world.at_gateway()), (1, ids(&[2])));
    world.pass_s(600).await;
    assert!(world.kong.own().is_empty());
    // The change of the plugin is told of for the action that goes on.
    assert_eq!(world.reports(), ["1 stored", "2 stored", "2 stored", "1 released", "2 released"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_everything_is_told_again_and_still_ends() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, world.in_s(60)), block(2, BOB, world.in_s(5))], &[9]));
    world.pass_ms(100).await;
    assert_eq!(world.reports(), ["1 stored", "2 stored", "9 released"]);
    world.stop().await;
    world.pass_s(20).await;
    world.kong.take_calls();
    world.start(None);
    world.pass_s(1).await;
    assert!(!world.kong.take_calls().iter().any(|call| call.starts_with("POST")), "what is there is not written again");
    assert_eq!(world.reports(), ["1 stored", "9 released", "2 released"]);
    world.pass_s(40).await;
    assert_eq!(world.reports(), ["1 released"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn with_its_disk_lost_and_the_platform_away_the_tags_speak() {
    let mut world = World::started().await;
    let actions = vec![block(1, ALICE, world.in_s(60)), block(2, BOB, None)];
    world.desire(desired(2, actions, &[]));
    world.pass_ms(100).await;
    world.stop().await;
    std::fs::remove_dir_all(&world.settings.state_dir).unwrap();
    world.start(None);
    world.pass_s(10).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    assert_eq!(world.status().adopted.len(), 2, "both are shown");
    world.pass_s(50).await;
    assert_eq!(world.at_gateway(), ids(&[2]), "the first is over by its tag; the permanent one stays");
    assert_eq!(world.reports(), [""; 0]);

    world.desire(desired(3, vec![], &[]));
    world.pass_ms(100).await;
    assert!(world.kong.own().is_empty(), "the platform remembers that it is over");
    assert!(world.status().adopted.is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_restored_platform_never_heard_of_stays_until_it_is_over() {
    // The responder's own disk as it was, as of the backup, and lost.
    for (name, restored_disk, lost_disk) in
        [("as it was", false, false), ("restored", true, false), ("lost", true, true)]
    {
        let mut world = World::started().await;
        let old = block(1, BOB, world.in_s(600));
        world.desire(desired(2, vec![old.clone()], &[]));
        world.pass_ms(100).await;
        let backup = world.copy_of_disk();
        let new = [block(2, ALICE, world.in_s(60)), block(3, BOB, world.in_s(900)), limit(4, ALICE, None, 30)];
        world.desire(desired(3, [vec![old.clone()], new.to_vec()].concat(), &[]));
        world.pass_ms(100).await;
        assert_eq!(world.at_gateway(), ids(&[1, 2, 3, 4]));
        world.stop().await;
        world.reports();
        world.forgets(&[2, 3, 4]);
        if restored_disk {
            world.put_disk_back(&backup);
        }
        if lost_disk {
            std::fs::remove_dir_all(&world.settings.state_dir).unwrap();
        }
        world.start(None);
        world.pass_s(20).await;
        assert_eq!(world.at_gateway(), ids(&[1, 2, 3, 4]), "{name}: before the platform speaks");
        world.desire(desired(4, vec![old.clone()], &[]));
        world.pass_s(10).await;
        assert_eq!(world.at_gateway(), ids(&[1, 2, 3, 4]), "{name}: after it spoke");
        assert_eq!(world.status().adopted.len(), 3, "{name}");
        assert!(world.reports().iter().all(|told| told.starts_with("1 stored") || !restored_disk), "{name}");
        world.pass_s(32).await;
        assert_eq!(world.at_gateway(), ids(&[1, 3, 4]), "{name}: the first is over by its tag");

        // What the platform knows is released, and what is beside it in the same plugin goes on.
        world.desire(desired(5, vec![], &[1]));
        world.pass_ms(100).await;
        assert_eq!(world.at_gateway(), ids(&[3, 4]), "{name}");
        assert_eq!(world.reports(), ["1 released"], "{name}");
        // Who wants to end it before, orders the same for longer and releases that.
        world.desire(desired(6, vec![limit(5, ALICE, None, 30)], &[]));
        world.pass_ms(100).await;
        assert_eq!(world.at_gateway(), ids(&[3, 5]), "{name}: taken over");
        world.desire(desired(7, vec![], &[5]));
        world.pass_ms(100).await;
        assert_eq!(world.at_gateway(), ids(&[3]), "{name}");
        world.pass_s(900).await;
        assert!(world.kong.own().is_empty() && world.status().adopted.is_empty(), "{name}: and that is over too");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_heard_of_is_under_the_guard_rails_too() {
    type Change = fn(&World);
    let changes: [(&str, Change); 4] = [
        ("kill switch", |world| world.guard("kill_switch = true")),
        ("never block", |world| world.guard("[never_block]\nnames = ['alice']")),
        ("switched off at the gateway", |world| {
            world.kong.state().plugins.values_mut().for_each(|plugin| plugin.enabled = false);
        }),
        ("deleted at the gateway", |world| world.kong.state().plugins.clear()),
    ];
    for (name, change) in changes {
        let mut world = World::started().await;
        world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
        world.pass_ms(100).await;
        world.forgets(&[1]);
        world.desire(desired(3, vec![], &[]));
        world.pass_s(60).await;
        assert_eq!((world.at_gateway(), world.status().adopted.len()), (ids(&[1]), 1), "{name}");
        change(&world);
        world.pass_s(30).await;
        assert_eq!((world.at_gateway(), world.status().adopted.len()), (ids(&[]), 0), "{name}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_is_written_again() {
    type Change = fn(&mut FakeState, &str);
    let changes: &[(&str, Change)] = &[
        ("deleted", |kong, id| drop(kong.plugins.remove(id))),
        ("switched off", |kong, id| kong.plugins.get_mut(id).unwrap().enabled = false),
        ("a trigger", |kong, id| kong.plugins.get_mut(id).unwrap().config["trigger"] = json!("x-block")),
        ("another status", |kong, id| kong.plugins.get_mut(id).unwrap().config["status_code"] = json!(200)),
        ("an action's tag", |kong, id| {
            kong.plugins.get_mut(id).unwrap().tags.retain(|tag| !tag.starts_with("action:"));
        }),
        ("only gRPC", |kong, id| kong.plugins.get_mut(id).unwrap().protocols = vec!["grpc".to_owned()]),
        ("another consumer", |kong, id| {
            kong.plugins.get_mut(id).unwrap().consumer.as_mut().unwrap().id = BOB.to_owned();
        }),
        ("one service", |kong, id| {
            kong.plugins.get_mut(id).unwrap().service = Some(crate::gateways::kong::Reference { id: SHOP.to_owned() });
        }),
    ];
    for (name, change) in changes {
        let mut world = World::started().await;
        world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
        world.pass_ms(100).await;
        let before = world.kong.own();
        change(&mut world.kong.state(), &before[0].id);
        assert_ne!(world.kong.own(), before, "{name}");
        world.pass_s(11).await;
        assert_eq!(world.kong.own(), before, "{name}");
        assert_eq!(world.reports(), ["1 stored", "1 stored"], "{name}");
        assert_eq!(world.status().counters.repaired, 1, "{name}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operators_plugin_on_the_scope_is_named_and_left_alone() {
    let mut world = World::started().await;
    let theirs = foreign("0fe70000-0000-4000-8000-000000000001", Some(ALICE), None, None);
    world.kong.put(theirs.clone());
    world.desire(desired(2, vec![block(1, ALICE, None), block(2, BOB, None)], &[]));
    world.pass_s(35).await;
    let told = world.reports();
    assert_eq!(told[0], "2 stored");
    assert!(told[1].starts_with("1 retrying 1: your own plugin `request-termination` (0fe70000"), "{told:?}");
    assert_eq!(told.len(), 4, "attempts 1, 2 and 4: {told:?}");
    assert_eq!(world.kong.state().plugins.get(&theirs.id), Some(&theirs));
    assert_eq!(world.status().failure, None, "one scope in trouble is no trouble of the gateway");

    world.kong.state().plugins.remove(&theirs.id);
    world.pass_s(11).await;
    assert_eq!(world.reports(), ["1 stored"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_made_theirs_is_theirs() {
    // Our plugin, with our id on our scope, but the operator took our tags off: not ours to change, not ours to delete.
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_ms(100).await;
    let id = world.kong.own()[0].id.clone();
    world.kong.state().plugins.get_mut(&id).unwrap().tags =
        vec!["outrider".to_owned(), "outrider:elsewhere".to_owned()];
    let theirs = world.kong.state().plugins[&id].clone();
    // At once, before any list could have seen it, and later.
    world.desire(desired(3, vec![block(1, ALICE, world.in_s(500))], &[]));
    world.pass_s(30).await;
    world.desire(desired(4, vec![], &[1]));
    world.pass_s(30).await;
    assert_eq!(world.kong.state().plugins[&id], theirs);
    assert!(world.reports()[1].contains("your own plugin"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_block_says_where_it_does_not_bite() {
    let mut world = World::started().await;
    let mut at_route = foreign("0fe70000-0000-4000-8000-000000000001", Some(ALICE), None, Some(SHOP_ROUTE));
    at_route.config["trigger"] = json!("x-maintenance");
    world.kong.put(at_route);
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_ms(100).await;
    let told = world.reports();
    assert!(told[0].starts_with("1 stored but route `"), "{told:?}");
    // Somebody adds a way around it; the next survey finds that.
    let mut auth = foreign("0fe70000-0000-4000-8000-000000000002", None, Some(SHOP), None);
    auth.name = "key-auth".to_owned();
    auth.config = json!({"anonymous": BOB});
    world.kong.put(auth);
    world.pass_s(61).await;
    let told = world.reports();
    let last = told.last().unwrap();
    assert!(last.contains("route `shop-route`: your own request-termination"), "{last}");
    assert!(last.contains("lets calls without `x-maintenance` through"), "{last}");
    assert!(
        last.contains("service `shop`: key-auth 0fe70000-0000-4000-8000-000000000002 lets calls without"),
        "{last}"
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn release_all_takes_everything_of_ours_off_and_keeps_it_so() {
    let mut world = World::started().await;
    let theirs = foreign("0fe70000-0000-4000-8000-000000000001", Some(BOB), None, None);
    world.kong.put(theirs.clone());
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_ms(100).await;
    world.reports();

    let files = StateFiles::new(&world.settings.state_dir, "edge").unwrap();
    let mut steps = Vec::new();
    let kong = Arc::new(world.kong.clone());
    let summary = release_all(kong, INSTALLATION, &files, "by hand", |step| steps.push(step)).await.unwrap();
    assert_eq!((summary.released.len(), summary.failed.len(), steps.len()), (1, 0, 1));
    world.pass_s(30).await;
    assert!(world.kong.own().is_empty(), "the running responder puts nothing back");
    let told = world.reports();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("1 failed: a guard rail on the premises forbids it: everything is released"),
        "{told:?}"
    );
    assert!(world.status().held.is_some());
    assert_eq!(world.kong.state().plugins.values().collect::<Vec<_>>(), [&theirs]);

    files.lift_hold().unwrap();
    world.pass_s(11).await;
    assert_eq!(world.reports(), ["1 stored"], "the platform still wants it");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_installation_is_as_foreign_as_an_operator() {
    let mut world = World::started().await;
    let mut other = foreign("0fe70000-0000-4000-8000-000000000001", Some(BOB), None, None);
    other.tags =
        ["outrider", "outrider:homestead", "action:ac_0000000000000001", "expires:1"].map(str::to_owned).to_vec();
    world.kong.put(other.clone());
    world.pass_s(60).await;
    assert_eq!(world.kong.state().plugins.values().collect::<Vec<_>>(), [&other]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_state_directory_has_one_responder() {
    let mut world = World::started().await;
    let second = || Responder::with_admin(world.settings.clone(), world.kong.clone(), world.clock.clone());
    let error = second().unwrap_err().to_string();
    assert!(error.contains("another responder"), "{error}");
    let mut other = world.settings.clone();
    other.gateway = "west".to_owned();
    assert!(
        Responder::with_admin(other, world.kong.clone(), world.clock.clone()).is_ok(),
        "another gateway's is another"
    );
    world.stop().await;
    assert!(Responder::with_admin(world.settings.clone(), world.kong.clone(), world.clock.clone()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_idle_responder_is_idle() {
    let theirs = foreign("0fe70000-0000-4000-8000-000000000001", Some(BOB), None, None);
    let cases = [
        ("nothing", vec![], vec![]),
        ("a block", vec![block(1, ALICE, None)], vec![]),
        ("over long ago", vec![block(1, ALICE, Some(1))], vec![]),
        ("over by both words", vec![block(1, ALICE, Some(1)), block(2, ALICE, Some(START_MS + 5000))], vec![1, 2]),
        ("beyond any clock", vec![block(1, ALICE, Some(i64::MAX))], vec![]),
        ("held by an operator", vec![block(1, BOB, None)], vec![]),
        ("gone", vec![block(1, "dead0000-0000-4000-8000-000000000001", None)], vec![]),
        ("refused", vec![block(1, "nobody", None)], vec![]),
    ];
    for (name, actions, releasing) in cases {
        let mut world = World::started().await;
        world.kong.put(theirs.clone());
        world.desire(desired(2, actions, &releasing));
        world.pass_s(10).await;
        let mut status = world.status.clone().unwrap();
        let passes = tokio::spawn(async move {
            let mut passes = 0;
            while status.changed().await.is_ok() {
                passes += 1;
            }
            passes
        });
        world.pass_s(600).await;
        world.stop().await;
        let passes = passes.await.unwrap();
        assert!((60..=140).contains(&passes), "{name}: {passes} passes in ten minutes");
    }
}
