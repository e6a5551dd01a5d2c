//! What happens when the gateway, the disk, the clock or the platform misbehave.

use outrider_model::DesiredAction;
use serde_json::Value;

use super::*;
use crate::gateways::GatewayError;

fn unreachable() -> GatewayError {
    GatewayError::Unreachable { detail: "connection refused".to_owned() }
}

fn answered(status: u16) -> GatewayError {
    GatewayError::Kong {
        status,
        code: None,
        message: "An unexpected error occurred".to_owned(),
        fields: Box::new(Value::Null),
        retry_after_s: None,
    }
}

fn html() -> GatewayError {
    GatewayError::UnexpectedAnswer { status: 502, detail: "<h1>Bad gateway</h1>".to_owned(), retry_after_s: None }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    for error in [unreachable(), html(), answered(500), answered(429), answered(401)] {
        let mut world = World::started().await;
        world.desire(desired(2, vec![block(7, BOB, None)], &[]));
        world.pass_s(1).await;
        assert_eq!(world.reports(), ["7 stored"]);
        world.kong.take_calls();
        world.kong.state().down = Some(error.clone());
        world.desire(desired(3, vec![block(1, ALICE, None)], &[7]));
        world.pass_s(3600).await;
        let calls = world.kong.take_calls().len();
        assert!((200..700).contains(&calls), "{error}: {calls} calls in an hour");
        let told = world.reports();
        assert!(told[0].starts_with("1 retrying 1: "), "{told:?}");
        assert!(told.len() <= 2 * 12, "{} reports in an hour: {told:?}", told.len());
        assert!(world.status().failure.is_some());

        world.kong.state().down = None;
        world.pass_s(20).await;
        assert_eq!(world.reports(), ["1 stored", "7 released"], "{error}");
        assert_eq!((world.status().failure, world.status().attempt), (None, 0));
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_desire_shortens_the_wait_but_does_not_hammer() {
    let mut world = World::started().await;
    world.kong.state().down = Some(unreachable());
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_s(600).await;
    world.kong.take_calls();
    world.kong.state().down = None;
    world.desire(desired(3, vec![block(1, ALICE, None), block(2, BOB, None)], &[]));
    world.pass_ms(300).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));

    world.kong.state().down = Some(unreachable());
    world.pass_s(60).await;
    world.kong.take_calls();
    for version in 4..104 {
        world.desire(desired(version, vec![block(version, ALICE, None)], &[]));
        world.pass_ms(10).await;
    }
    let calls = world.kong.take_calls().len();
    assert!(calls <= 6, "{calls} calls in a second of 100 desires");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_asks_to_wait_is_waited() {
    let mut world = World::started().await;
    let busy = GatewayError::UnexpectedAnswer { status: 503, detail: "busy".to_owned(), retry_after_s: Some(9) };
    world.kong.state().faults.push_back(Fault::Before(busy));
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_s(6).await;
    assert_eq!(world.at_gateway(), ids(&[]));
    world.pass_s(6).await;
    assert_eq!(world.at_gateway(), ids(&[1]));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_asked_for_is_longer_than_our_own_and_has_an_end() {
    // What is asked, and when at the latest the gateway is tried again.
    for (asked_s, quiet_s, tried_s) in [(40, 39, 60), (86_400, 59, 90)] {
        let mut world = World::started().await;
        let busy =
            GatewayError::UnexpectedAnswer { status: 429, detail: "busy".to_owned(), retry_after_s: Some(asked_s) };
        world.kong.state().faults.push_back(Fault::Before(busy));
        world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
        world.pass_ms(100).await;
        world.kong.take_calls();
        for second in 0..quiet_s {
            // Something new does not shorten what the gateway asked for.
            world.desire(desired(3 + second, vec![block(1, ALICE, None)], &[]));
            world.pass_ms(if second == 0 { 800 } else { 1000 }).await;
        }
        assert_eq!(world.kong.take_calls(), [""; 0], "{asked_s}");
        world.pass_s(tried_s - quiet_s).await;
        assert_eq!(world.at_gateway(), ids(&[1]), "{asked_s}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_not_done_twice() {
    for error in [unreachable(), html(), answered(500)] {
        let mut world = World::started().await;
        world.kong.state().faults.push_back(Fault::After(error));
        world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
        world.pass_s(5).await;
        let posts = world.kong.take_calls().iter().filter(|call| call.starts_with("POST")).count();
        assert_eq!((posts, world.kong.own().len()), (1, 1));
        let told = world.reports();
        assert_eq!((told.len(), told[1].as_str()), (2, "1 stored"), "{told:?}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_forever_keeps_no_end_from_coming() {
    let page =
        GatewayError::UnexpectedAnswer { status: 413, detail: "<h1>Too large</h1>".to_owned(), retry_after_s: None };
    for call in ["POST /plugins", "PUT /plugins/{id}", "GET /consumers/{id}", "GET /consumers/{id}/plugins"] {
        for error in [answered(403), answered(404), answered(413), answered(500), html(), page.clone(), unreachable()] {
            let mut world = World::new();
            world.guard("[never_block]\nnames = ['somebody']");
            let (end, service) = (world.in_s(120), service_scope(SHOP));
            let carol = consumer(3);
            let alice = world.kong.state().consumers[ALICE].clone();
            world.kong.state().consumers.insert(carol.clone(), super::super::Consumer { id: carol.clone(), ..alice });
            world.start(Some(desired(1, vec![block(1, ALICE, end), block(2, BOB, None)], &[])));
            world.pass_s(1).await;
            assert_eq!((world.at_gateway(), world.reports().len()), (ids(&[1, 2]), 2));

            // Something to write anew, something to create and somebody to look up: what cannot be done stays undone.
            world.kong.state().refused = Some((call, error.clone()));
            let at_shop = DesiredAction { scope: service, ..block(4, BOB, None) };
            let longer = block(2, BOB, world.in_s(9000));
            let limited = limit(6, BOB, None, 30);
            world.desire(desired(2, vec![block(1, ALICE, end), longer, at_shop, block(5, &carol, None), limited], &[]));
            world.pass_s(118).await;
            assert!(world.at_gateway().contains(&ActionId(1)), "{call}, {error}");
            if call.starts_with("PUT") && error != unreachable() {
                assert!(world.at_gateway().ends_with(&ids(&[4, 5, 6])), "{error}: {:?}", world.at_gateway());
            }
            world.pass_s(22).await;
            assert!(!world.at_gateway().contains(&ActionId(1)), "{call}, {error}: it is over and still there");
            let told = world.reports();
            assert!(told.contains(&"1 released".to_owned()), "{call}, {error}: {told:?}");

            world.kong.state().refused = None;
            world.pass_s(40).await;
            assert_eq!(world.at_gateway(), ids(&[2, 4, 5, 6]), "{call}, {error}");
            assert_eq!(world.status().failure, None);
            world.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_answer_out_of_place_holds_no_other_change_up() {
    for call in ["POST /plugins", "GET /consumers/{id}"] {
        let mut world = World::started().await;
        world.guard("[never_block]\nnames = ['somebody']");
        let crowd: Vec<_> = (10..40).map(consumer).collect();
        for id in &crowd {
            let alice = world.kong.state().consumers[ALICE].clone();
            world.kong.state().consumers.insert(id.clone(), super::super::Consumer { id: id.clone(), ..alice });
        }
        let looks = if call.starts_with("POST") { crowd.len() } else { 0 };
        let faults = std::iter::repeat_n(Fault::None, looks).chain([Fault::Before(answered(500))]);
        world.kong.state().faults = faults.collect();
        let actions: Vec<_> = crowd.iter().zip(10..).map(|(consumer, id)| block(id, consumer, None)).collect();
        world.desire(desired(2, actions, &[]));
        // Before the failed one is tried again.
        world.pass_ms(150).await;
        assert_eq!(world.at_gateway().len(), crowd.len() - 1, "{call}");
        world.pass_s(1).await;
        assert_eq!(world.at_gateway().len(), crowd.len(), "{call}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_fails_every_change_is_not_hammered() {
    let mut world = World::started().await;
    let crowd: Vec<_> = (10..210).map(consumer).collect();
    for id in &crowd {
        let alice = world.kong.state().consumers[ALICE].clone();
        world.kong.state().consumers.insert(id.clone(), super::super::Consumer { id: id.clone(), ..alice });
    }
    let actions: Vec<_> = crowd.iter().zip(10..).map(|(consumer, id)| block(id, consumer, None)).collect();
    for (error, calls_max) in [(answered(500), 40), (unreachable(), 8)] {
        world.kong.state().refused = Some(("POST /plugins", error.clone()));
        world.kong.take_calls();
        world.desire(desired(2, actions.clone(), &[]));
        world.pass_ms(150).await;
        let posts = world.kong.take_calls().iter().filter(|call| call.starts_with("POST")).count();
        assert!((1..=calls_max).contains(&posts), "{error}: {posts} calls in one pass");
        world.kong.state().refused = None;
        world.pass_s(30).await;
        assert_eq!(world.kong.own().len(), crowd.len());
        world.desire(desired(3, vec![], &[]));
        world.pass_s(30).await;
        assert!(world.kong.own().is_empty());
        world.stop().await;
        std::fs::remove_dir_all(&world.settings.state_dir).unwrap();
        world.start(None);
        world.pass_s(1).await;
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_fails_alone() {
    let mut world = World::started().await;
    let gone = "dead0000-0000-4000-8000-000000000001";
    world.desire(desired(2, vec![block(1, gone, None), block(2, BOB, None)], &[]));
    world.pass_s(1).await;
    let mut told = world.reports();
    told.sort();
    assert!(told[0].starts_with("1 failed: the target is gone"), "{told:?}");
    assert_eq!(told[1], "2 stored");
    world.kong.take_calls();
    world.pass_s(600).await;
    let posts = world.kong.take_calls().iter().filter(|call| call.starts_with("POST")).count();
    assert!(posts <= 5, "{posts} more attempts in ten minutes");
    assert_eq!(world.reports(), [""; 0]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_a_database_is_told_as_such() {
    let mut world = World::new();
    world.kong.state().read_only = true;
    world.start(Some(desired(1, vec![block(1, ALICE, None)], &[])));
    world.pass_s(60).await;
    let told = world.reports();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("1 failed: this Kong runs without a database"), "{told:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_what_is_over_and_revives_nothing() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, world.in_s(900)), block(2, BOB, world.in_s(9000))], &[]));
    world.pass_s(1).await;
    world.jump_clock_s(3600);
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[2]));
    world.jump_clock_s(-7200);
    world.pass_s(60).await;
    assert_eq!(world.at_gateway(), ids(&[2]), "what was told to be released stays so");
    assert_eq!(world.reports(), ["1 stored", "2 stored", "1 released"]);
    // The platform may still say that it goes on.
    world.desire(desired(3, vec![block(1, ALICE, world.in_s(900)), block(2, BOB, world.in_s(9000))], &[]));
    world.pass_s(1).await;
    assert_eq!(world.at_gateway(), ids(&[1, 2]));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_old_or_foreign_desire_is_ignored() {
    let mut world = World::started().await;
    world.desire(desired(5, vec![block(1, ALICE, None)], &[]));
    world.pass_s(1).await;
    world.desire(desired(4, vec![], &[]));
    world.pass_s(1).await;
    world.desire(DesiredState { gateway: "other".to_owned(), ..desired(6, vec![], &[]) });
    world.pass_s(1).await;
    world.desire(DesiredState { installation: "other".to_owned(), ..desired(7, vec![], &[]) });
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1]));
    assert_eq!((world.status().desired_version, world.status().counters.desired_ignored), (Some(5), 3));
    world.stop().await;
    // Also after a restart.
    world.start(Some(desired(4, vec![], &[])));
    world.pass_s(11).await;
    assert_eq!(world.at_gateway(), ids(&[1]));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reports_that_do_not_fit_come_later() {
    let mut world = World::new();
    world.reports_max = 2;
    let actions: Vec<_> = (1..=5).map(|id| block(id, ALICE, None)).collect();
    world.start(Some(desired(1, actions, &[])));
    let mut told = Vec::new();
    for _ in 0..4 {
        world.pass_s(11).await;
        told.extend(world.reports());
    }
    assert_eq!(told, ["1 stored", "2 stored", "3 stored", "4 stored", "5 stored"]);
    assert!(world.status().counters.reports_deferred > 0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_written_delays_no_block_and_revives_none() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_s(1).await;
    // A directory in the place of the file that is written beside: every save fails.
    let kept = kept_state(&world);
    std::fs::create_dir(kept.with_extension("new")).unwrap();
    world.desire(desired(3, vec![block(2, BOB, world.in_s(60))], &[1]));
    world.pass_s(1).await;
    assert_eq!(world.at_gateway(), ids(&[2]));
    assert_eq!(world.status().counters.save_failures, 1);
    world.stop().await;
    world.start(None);
    world.pass_s(5).await;
    assert_eq!(world.at_gateway(), ids(&[2]), "the released one does not come back from an old file");
    world.pass_s(60).await;
    assert_eq!(world.at_gateway(), ids(&[]));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_counts_as_none_and_is_set_aside() {
    let mut world = World::started().await;
    world.desire(desired(2, vec![block(1, ALICE, None)], &[]));
    world.pass_s(1).await;
    world.stop().await;
    let kept = kept_state(&world);
    let mut bytes = std::fs::read(&kept).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&kept, bytes).unwrap();
    world.start(None);
    world.pass_s(20).await;
    assert_eq!((world.at_gateway(), world.status().adopted.len()), (ids(&[1]), 1));
    assert!(kept.with_extension("damaged").exists());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_block_overtakes_a_long_pass() {
    let mut world = World::new();
    world.guard("active_actions_max = 5000");
    world.kong.latency = Duration::from_millis(10);
    let crowd: Vec<_> = (0..2000).map(consumer).collect();
    for id in &crowd {
        let alice = world.kong.state().consumers[ALICE].clone();
        world.kong.state().consumers.insert(id.clone(), super::super::Consumer { id: id.clone(), ..alice });
    }
    let expires_ms = world.in_s(60);
    let actions: Vec<_> = crowd.iter().zip(10..).map(|(consumer, id)| block(id, consumer, expires_ms)).collect();
    world.start(Some(desired(1, actions.clone(), &[])));
    world.pass_s(20).await;
    assert_eq!(world.kong.own().len(), 2000);
    // All end at once; the deletions take seconds. A block that comes in between does not wait for them.
    world.pass_ms(40_200).await;
    let left = world.kong.own().len();
    assert!((1..2000).contains(&left), "{left} are left");
    let mut state = desired(2, actions, &[]);
    state.actions.push(block(1, ALICE, None));
    world.desire(state);
    world.pass_ms(100).await;
    assert!(world.at_gateway().contains(&ActionId(1)), "{} are left", world.kong.own().len());
    assert!(world.kong.own().len() > 1);
    world.pass_s(20).await;
    assert_eq!(world.at_gateway(), ids(&[1]));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_desires_starves_nothing() {
    let mut world = World::started().await;
    world.kong.latency = Duration::from_millis(20);
    let mut actions: Vec<_> = Vec::new();
    for n in 0..64 {
        let alice = world.kong.state().consumers[ALICE].clone();
        world.kong.state().consumers.insert(consumer(n), super::super::Consumer { id: consumer(n), ..alice });
        actions.push(block(10 + n, &consumer(n), None));
    }
    world.desire(desired(2, actions, &[]));
    world.pass_s(5).await;
    assert_eq!(world.kong.own().len(), 64);
    // A new version every 5 ms for 10 s, each with another block, while 64 old ones have to go.
    for version in 3..2003 {
        world.desire(desired(
            version,
            vec![block(version * 1000, if version % 2 == 0 { ALICE } else { BOB }, None)],
            &[],
        ));
        world.pass_ms(5).await;
    }
    let left = world.at_gateway().into_iter().filter(|id| id.0 < 1000).count();
    assert_eq!(left, 0, "old blocks are gone although the desire never stood still");
    world.stop().await;
}

fn consumer(n: u64) -> String {
    format!("c0000000-0000-4000-8000-{n:012}")
}

fn kept_state(world: &World) -> std::path::PathBuf {
    let mut files = std::fs::read_dir(&world.settings.state_dir).unwrap().map(|file| file.unwrap().path());
    files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("desired-")).unwrap()
}
