//! The guard rails of the premises, at work.

use outrider_model::DesiredAction;

use super::*;
use crate::gateways::GatewayError;
use crate::gateways::kong::files::StateFiles;

fn unreachable() -> GatewayError {
    GatewayError::Unreachable { detail: "connection refused".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn who_is_never_blocked_is_not_blocked_whoever_asks() {
    let cases = [("names", "Bob"), ("ids", BOB), ("custom_ids", "c-2"), ("tags", "vip")];
    for (list, entry) in cases {
        let mut world = World::new();
        world.guard(&format!("[never_block]\n{list} = [{entry:?}]"));
        let mut by_person = block(2, BOB, None);
        by_person.by_person = true;
        // What the platform calls the consumer does not matter: the gateway knows its name.
        by_person.consumer_name = "somebody".to_owned();
        let actions = vec![block(1, ALICE, None), by_person, block(3, BOB, None)];
        world.start(Some(desired(1, actions, &[])));
        world.pass_s(1).await;
        assert_eq!(world.at_gateway(), ids(&[1]), "{list}");
        let mut told = world.reports();
        told.sort();
        assert_eq!(told[0], "1 stored");
        let expected = format!("2 failed: a guard rail on the premises forbids it: never_block.{list} has");
        assert!(told[1].starts_with(&expected), "{told:?}");
        // What it is called leaves with nothing, but for the id.
        assert_eq!(told[1].to_lowercase().contains(&entry.to_lowercase()), list == "ids", "{told:?}");
        assert_eq!(told.len(), 3);
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_looks_at_the_consumer_costs_one_call_before_the_write() {
    let mut world = World::started().await;
    world.guard("[never_block]\ntags = ['vip']");
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_ms(100).await;
    let calls = world.kong.take_calls();
    assert_eq!(calls, ["GET /consumers/{id}", "POST /plugins", "GET /consumers/{id}/plugins"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_acts_on_what_is_there() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, None), block(2, BOB, None)], &[]));
    world.pass_s(1).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    world.guard("[never_block]\ntags = ['vip']");
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1]));
    // A tag that the consumer gets later.
    world.kong.state().consumers.get_mut(ALICE).unwrap().tags.push("vip".to_owned());
    world.pass_s(80).await;
    assert_eq!(world.at_gateway(), ids(&[]));
    world.guard("kill_switch = false");
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    world.guard("kill_switch = true");
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[]));
    assert!(world.reports().last().unwrap().ends_with("kill_switch is on"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_lets_the_old_ones_stay_and_persons_through() {
    let mut world = World::started().await;
    world.guard("active_actions_max = 1");
    world.desire(desired(2, vec![block(5, BOB, None)], &[]));
    world.pass_s(1).await;
    let mut by_person = block(3, BOB, None);
    by_person.by_person = true;
    world.desire(desired(3, vec![block(1, ALICE, None), by_person, block(5, BOB, None)], &[]));
    world.pass_s(1).await;
    assert_eq!(world.at_gateway(), ids(&[3, 5]));
    let told = world.reports();
    assert!(
        told.contains(&"1 failed: a guard rail on the premises forbids it: active_actions_max is 1".to_owned()),
        "{told:?}"
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_adds_nothing() {
    // Never read: what is there stays, nothing is added.
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_s(1).await;
    world.stop().await;
    world.guard("kill_swich = true");
    world.start(Some(desired(3, vec![block(1, ALICE, None), block(2, BOB, None)], &[])));
    world.pass_s(20).await;
    assert_eq!(world.at_gateway(), ids(&[1]));
    let mut told = world.reports();
    told.sort();
    assert_eq!((told.len(), told[0].as_str()), (2, "1 stored"), "{told:?}");
    assert!(told[1].contains("did you mean `kill_switch`?"), "{told:?}");
    assert!(world.status().guard_problem.is_some());
    world.guard("active_actions_max = 5");
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    assert_eq!(world.status().guard_problem, None);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_can_no_longer_be_read_lets_end_and_adds_nothing() {
    type Breaking = fn(&World);
    let breakings: [(&str, Breaking); 2] = [
        ("broken", |world| world.guard("kill_swich = true")),
        ("gone", |world| std::fs::remove_file(world.disk.path().join("guard.toml")).unwrap()),
    ];
    for (name, breaking) in breakings {
        let mut world = World::started().await;
        world.guard("[never_block]\nids = ['nobody']");
        let (end, at_shop) = (world.in_s(60), DesiredAction { scope: service_scope(SHOP), ..block(3, BOB, None) });
        world.desire(desired(2, vec![block(1, ALICE, end), block(2, BOB, None)], &[]));
        world.pass_s(11).await;
        breaking(&world);
        world.desire(desired(3, vec![block(1, ALICE, end), block(2, BOB, None), at_shop.clone()], &[]));
        world.pass_s(11).await;
        assert_eq!(world.at_gateway(), ids(&[1, 2]), "{name}: what is there stays, nothing is added");
        let told = world.reports();
        assert!(
            told.last().unwrap().starts_with("3 retrying 1: a guard rail on the premises forbids it: "),
            "{told:?}"
        );
        assert!(world.status().guard_problem.is_some(), "{name}");
        world.pass_s(40).await;
        assert_eq!(world.at_gateway(), ids(&[2]), "{name}: what is over goes");
        world.desire(desired(4, vec![at_shop], &[2]));
        world.pass_s(1).await;
        assert_eq!(world.at_gateway(), ids(&[]), "{name}: what is released goes");
        world.guard("");
        world.pass_s(11).await;
        assert_eq!(world.at_gateway(), ids(&[3]), "{name}: mended");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_can_no_longer_be_read_still_forbids_what_it_forbade() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, None), block(2, BOB, None)], &[]));
    world.pass_s(1).await;
    world.kong.state().refused = Some(("DELETE /plugins/{id}", unreachable()));
    world.guard(&format!("[never_block]\nids = ['{BOB}']"));
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    world.guard("[never_block]\nids = ");
    world.kong.state().refused = None;
    world.pass_s(20).await;
    assert_eq!(world.at_gateway(), ids(&[1]));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_kill_switch_and_a_hold_need_no_platform() {
    type Switch = fn(&World);
    let switches: [(&str, Switch); 2] = [
        ("kill switch", |world| world.guard("kill_switch = true")),
        ("hold", |world| StateFiles::new(&world.settings.state_dir, "edge").unwrap().hold("by hand").unwrap()),
    ];
    for (name, switch) in switches {
        let mut world = World::started().await;
        let theirs = foreign("0fe70000-0000-4000-8000-000000000001", Some(BOB), None, None);
        world.kong.put(theirs.clone());
        world.desire(desired(2, vec![block(1, ALICE, world.in_s(600)), limit(2, BOB, None, 30)], &[]));
        world.pass_s(1).await;
        world.stop().await;
        std::fs::remove_dir_all(&world.settings.state_dir).unwrap();
        world.start(None);
        world.pass_s(5).await;
        assert_eq!((world.at_gateway(), world.status().adopted.len()), (ids(&[1, 2]), 2), "{name}");
        switch(&world);
        world.pass_s(11).await;
        assert_eq!((world.at_gateway(), world.status().adopted.len()), (ids(&[]), 0), "{name}");
        assert_eq!(world.kong.state().plugins.values().collect::<Vec<_>>(), [&theirs]);
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_meant_is_refused_and_holds_nothing_up() {
    let with_status = |status| {
        let mut action = block(1, ALICE, None);
        action.kind = outrider_model::ActionKind::Block { status, message: "x".to_owned() };
        action
    };
    let mut at_nowhere = block(1, ALICE, None);
    at_nowhere.scope = service_scope("../plugins");
    let mut wordless = block(1, ALICE, None);
    wordless.kind = outrider_model::ActionKind::Block { status: 403, message: String::new() };
    let nobody = |id: &str| block(1, id, None);
    let cases = [
        with_status(100),
        with_status(200),
        with_status(302),
        with_status(600),
        wordless,
        nobody(""),
        nobody(".."),
        nobody("alice"),
        nobody("a11ce00000004000800000000000001"),
        at_nowhere,
    ];
    for wrong in cases {
        let mut world = World::started().await;
        world.guard("[never_block]\ntags = ['vip']");
        let mut shouted = block(2, ALICE, None);
        shouted.consumer_id = ALICE.to_uppercase();
        world.kong.state().consumers.insert(
            ALICE.to_uppercase(),
            super::super::Consumer { id: ALICE.to_owned(), username: None, custom_id: None, tags: vec![] },
        );
        world.desire(desired(2, vec![wrong.clone(), shouted], &[]));
        world.pass_s(1).await;
        assert_eq!(world.at_gateway(), ids(&[2]), "{wrong:?}");
        let mut told = world.reports();
        told.sort();
        assert!(told[0].starts_with("1 failed: a guard rail"), "{told:?}");
        assert_eq!(told[1], "2 stored");
        world.stop().await;
    }
}
