//! The guard rails of the premises, at work.

use super::*;

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
        let expected = format!("2 failed: a guard rail on the premises forbids it: never_block.{list} has `");
        assert!(told[1].starts_with(&expected), "{told:?}");
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
    // Read once: what it last said goes on.
    world.guard("active_actions_max = 5");
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    std::fs::remove_file(world.disk.path().join("guard.toml")).unwrap();
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    assert!(world.status().guard_problem.is_some());
    world.stop().await;
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
