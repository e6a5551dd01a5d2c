//! The whole responder at a whole gateway: the practice gateway, or with `OUTRIDER_KONG_ADMIN=http://127.0.0.1:8001` (and
//! `OUTRIDER_KONG_PROXY=http://127.0.0.1:8000` to see what a client gets) a real Kong.
//!
//! The gateway need not be empty: each test has services, routes, consumers and an installation of its own with random
//! names, and takes them away at its end, also when it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outrider_model::{ActionId, DesiredAction, DesiredState, FailureReason, ReportedState};
use outrider_practice::{AdminFault, Reach};
use outrider_respond::gateways::kong::{AdminApi as _, StateFiles, release_all};
use serde_json::json;
use tokio::sync::watch;

use crate::site::{PATIENCE, Running, at, at_site, block, limit, route, service};

#[tokio::test(flavor = "multi_thread")]
async fn blocks_in_all_scopes_come_and_go() {
    at_site(|site| async move {
        let mut running = Running::start(&site, Some(site.desired(1, vec![], &[])));
        let actions = vec![
            block(1, &site.alice, Some(3600)),
            at(service(&site.shop), block(2, &site.alice, None)),
            at(route(&site.shop_route), block(3, &site.alice, Some(60))),
            block(4, &site.bob, Some(3600)),
            block(5, &site.bob, Some(60)),
        ];
        running.platform.send_replace(Some(site.desired(2, actions.clone(), &[])));
        let plugin_id = running.until_stored(1).await;
        for id in 2..=5 {
            running.until_stored(id).await;
        }
        assert_eq!(site.at_gateway().await, (vec![1, 2, 3, 4, 5], 4));
        let plugin = site.get(&format!("/plugins/{plugin_id}")).await;
        assert_eq!(plugin["config"]["status_code"], 403);
        assert_eq!(plugin["config"]["body"], "{\"message\":\"Blocked by \\\"policy\\\"\"}");
        let content_type = format!("application/json; charset=utf-8; outrider=\"{}\"", site.installation());
        assert_eq!(plugin["config"]["content_type"], content_type.as_str());
        assert_eq!(plugin["consumer"]["id"], site.alice.as_str());
        assert_eq!(plugin["tags"].as_array().unwrap().len(), 4, "{plugin}");

        running.platform.send_replace(Some(site.desired(3, actions[..1].to_vec(), &[2, 3, 4, 5])));
        for id in 2..=5 {
            running.until_released(id).await;
        }
        assert_eq!(site.at_gateway().await, (vec![1], 1));
        running.platform.send_replace(Some(site.desired(4, vec![], &[1])));
        running.until_released(1).await;
        assert_eq!(site.at_gateway().await, (vec![], 0));
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_the_block_and_its_end() {
    at_site(|site| async move {
        if site.proxy.is_none() {
            println!("skipped: OUTRIDER_KONG_PROXY is not set");
            return;
        }
        let node = site.client().node().await.unwrap();
        let in_force = node.in_force_after() + Duration::from_secs(5);
        let mut running = Running::start(&site, Some(site.desired(1, vec![block(1, &site.alice, None)], &[])));
        running.until_stored(1).await;
        let until = async |blocked: bool| {
            let started = Instant::now();
            loop {
                let answer = site.call("alice").await.unwrap();
                if (answer.0 == 403) == blocked {
                    return answer;
                }
                assert!(started.elapsed() < in_force, "{answer:?} after {:?}", started.elapsed());
            }
        };
        let (_, content_type) = until(true).await;
        assert!(content_type.ends_with(&format!("outrider=\"{}\"", site.installation())), "{content_type}");
        assert_ne!(site.call("bob").await.unwrap().0, 403, "others are not concerned");
        running.platform.send_replace(Some(site.desired(2, vec![], &[1])));
        running.until_released(1).await;
        until(false).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_keeps_an_operators_own_and_a_client_sees_it_and_its_end() {
    at_site(|site| async move {
        let theirs = json!({"name": "rate-limiting", "config": {"hour": 50, "year": 500, "hide_client_headers": true}});
        let theirs = site.admin.plugin(&format!("/services/{}", site.shop), theirs).await.unwrap();
        let before = site.get(&format!("/plugins/{theirs}")).await;
        let mut running = Running::start(&site, Some(site.desired(1, vec![], &[])));
        let actions = vec![limit(1, &site.alice, Some(3600), 80), limit(2, &site.alice, Some(60), 3)];
        running.platform.send_replace(Some(site.desired(2, actions, &[])));
        let plugin_id = running.until_stored(1).await;
        assert_eq!(site.at_gateway().await, (vec![1, 2], 1));
        let plugin = site.get(&format!("/plugins/{plugin_id}")).await;
        let config = &plugin["config"];
        let windows = ["second", "minute", "hour", "day", "month", "year"].map(|window| config[window].as_u64());
        assert_eq!(windows, [None, None, Some(3), None, Some(3), Some(500)], "{plugin}");
        assert_eq!((&config["policy"], &config["hide_client_headers"]), (&json!("local"), &json!(true)));

        if site.proxy.is_some() {
            let node = site.client().node().await.unwrap();
            let in_force = node.in_force_after() + Duration::from_secs(5);
            let until = async |status: u16| {
                let started = Instant::now();
                loop {
                    let answer = site.call("alice").await.unwrap();
                    if (answer.0 == 429) == (status == 429) {
                        return answer;
                    }
                    assert!(started.elapsed() < in_force, "{answer:?} after {:?}", started.elapsed());
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            };
            until(429).await;
            assert_ne!(site.call("bob").await.unwrap().0, 429, "others are not concerned");
        }
        running.platform.send_replace(Some(site.desired(3, vec![], &[1, 2])));
        running.until_released(1).await;
        assert_eq!(site.at_gateway().await, (vec![], 0));
        assert_eq!(site.get(&format!("/plugins/{theirs}")).await, before);
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_would_weaken_an_operators_own_is_not_written() {
    at_site(|site| async move {
        let theirs = json!({"name": "rate-limiting", "config": {"hour": 5, "limit_by": "ip"}});
        let theirs = site.admin.plugin(&format!("/services/{}", site.shop), theirs).await.unwrap();
        let actions = vec![limit(1, &site.alice, None, 3), block(2, &site.bob, None)];
        let mut running = Running::start(&site, Some(site.desired(1, actions, &[])));
        let is_refused = |state: &ReportedState| match state {
            ReportedState::Failed { reason: FailureReason::WouldWeaken { detail } } => {
                assert!(detail.contains(&theirs) && detail.contains("counts calls by `ip`"), "{detail}");
                true
            }
            _ => false,
        };
        running.until(1, is_refused).await;
        running.until_stored(2).await;
        assert_eq!(site.at_gateway().await, (vec![2], 1));
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_goes_while_the_platform_is_away() {
    at_site(|site| async move {
        let mut running = Running::start(&site, Some(site.desired(1, vec![block(1, &site.alice, Some(2))], &[])));
        running.until_stored(1).await;
        let end = Instant::now() + Duration::from_secs(2);
        let (closed, _) = watch::channel(None);
        drop(std::mem::replace(&mut running.platform, closed));
        running.until_released(1).await;
        assert!(Instant::now() < end + Duration::from_secs(2));
        assert_eq!(site.at_gateway().await, (vec![], 0));
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meddling_is_repaired_and_operators_are_left_alone() {
    at_site(|site| async move {
        let theirs = site
            .admin
            .plugin(&format!("/consumers/{}", site.bob), json!({"name": "request-termination", "tags": ["ops"]}))
            .await
            .unwrap();
        let before = site.get(&format!("/plugins/{theirs}")).await;
        let actions = vec![
            block(1, &site.alice, Some(3600)),
            block(2, &site.bob, Some(3600)),
            block(3, "dead0000-0000-4000-8000-000000000001", None),
            at(service("dead0000-0000-4000-8000-000000000002"), block(4, &site.alice, None)),
        ];
        let mut running = Running::start(&site, Some(site.desired(1, actions.clone(), &[])));
        let mut told = [None, None, None, None];
        while told.iter().any(Option::is_none) {
            let report = tokio::time::timeout(PATIENCE, running.reports.recv()).await.unwrap().unwrap();
            told[usize::try_from(report.action.0).unwrap() - 1] = Some(report.state);
        }
        let [Some(ReportedState::Stored { plugin_id, .. }), Some(bobs), Some(nobodys), Some(nowheres)] = told else {
            panic!("{told:?}")
        };
        let expected =
            FailureReason::OperatorPlugin { plugin_id: theirs.clone(), plugin_name: "request-termination".to_owned() };
        assert!(matches!(bobs, ReportedState::Retrying { reason, .. } if reason == expected));
        for state in [nobodys, nowheres] {
            assert!(matches!(&state, ReportedState::Failed { reason: FailureReason::TargetGone { .. } }), "{state:?}");
        }
        // Drift: switched off, then deleted. Each is written again within a resync.
        let path = format!("/plugins/{plugin_id}");
        site.admin.request("PATCH", &path, Some(&json!({"enabled": false}))).await.unwrap();
        running.until_stored(1).await;
        assert_eq!(site.get(&path).await["enabled"], true);
        site.admin.delete(&path).await.unwrap();
        running.until_stored(1).await;
        assert_eq!(site.get(&path).await["id"], plugin_id.as_str());
        // Taken over by an operator: no longer ours, whatever is desired.
        site.admin.request("PATCH", &path, Some(&json!({"tags": ["ops"]}))).await.unwrap();
        let taken = site.get(&path).await;
        running.until(1, |state| matches!(state, ReportedState::Retrying { .. })).await;
        running.platform.send_replace(Some(site.desired(2, vec![block(1, &site.alice, Some(50))], &[2, 3, 4])));
        running.until_released(4).await;
        running.platform.send_replace(Some(site.desired(3, vec![], &[1])));
        running.until_released(1).await;
        assert_eq!(site.get(&path).await, taken);
        assert_eq!(site.get(&format!("/plugins/{theirs}")).await, before);
        site.admin.delete(&path).await.unwrap();
        // The operator's is gone: ours comes through.
        site.admin.delete(&format!("/plugins/{theirs}")).await.unwrap();
        running.platform.send_replace(Some(site.desired(4, actions[1..2].to_vec(), &[])));
        running.until_stored(2).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_never_touch_each_others() {
    at_site(|site| async move {
        let next = site.neighbour();
        // The same numbers on purpose: they are an installation's own.
        let mut first = Running::start(&site, Some(site.desired(1, vec![block(1, &site.alice, Some(3600))], &[])));
        let plugin = first.until_stored(1).await;
        let before = site.get(&format!("/plugins/{plugin}")).await;
        let theirs = vec![
            block(1, &site.bob, Some(3600)),
            block(2, &site.alice, Some(3600)),
            at(service(&site.shop), block(3, &site.alice, Some(3600))),
        ];
        let mut second = Running::start(&next, Some(next.desired(1, theirs.clone(), &[])));
        second.until_stored(1).await;
        second.until_stored(3).await;
        // Alice has a block of the first already, which is to the second what an operator's is.
        let in_the_way =
            FailureReason::OperatorPlugin { plugin_id: plugin.clone(), plugin_name: "request-termination".to_owned() };
        second.until(2, |state| matches!(state, ReportedState::Retrying { reason, .. } if *reason == in_the_way)).await;
        assert_eq!((site.at_gateway().await, next.at_gateway().await), ((vec![1], 1), (vec![1, 3], 2)));

        // The red button of the second, and a start of it without its disk.
        let files = StateFiles::new(next.disk.path(), "edge").unwrap();
        let summary =
            release_all(Arc::new(next.client()), &next.installation(), &files, "a test", |_| ()).await.unwrap();
        assert_eq!((summary.released.len(), summary.failed), (2, vec![]));
        assert_eq!((site.at_gateway().await, next.at_gateway().await.1), ((vec![1], 1), 0));
        second.stop().await;
        let next = site.neighbour();
        let mut second = Running::start(&next, Some(next.desired(2, theirs, &[])));
        second.until_stored(1).await;
        assert_eq!(site.get(&format!("/plugins/{plugin}")).await, before);

        // What the first takes away is its own, and makes room.
        first.platform.send_replace(Some(site.desired(2, vec![], &[1])));
        first.until_released(1).await;
        second.until_stored(2).await;
        assert_eq!((site.at_gateway().await.1, next.at_gateway().await), (0, (vec![1, 2, 3], 3)));
        first.stop().await;
        second.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_says_where_an_operators_plugin_wins() {
    at_site(|site| async move {
        let scoped = json!({
            "name": "request-termination", "service": {"id": site.shop}, "config": {"status_code": 503, "trigger": "x-maintenance"},
        });
        site.admin.plugin(&format!("/consumers/{}", site.alice), scoped).await.unwrap();
        let mut running = Running::start(&site, Some(site.desired(1, vec![block(1, &site.alice, None)], &[])));
        let name = format!("service `shop-{}`: your own request-termination", site.mark);
        // The first word may come before the survey knows the service's name.
        running
            .until(1, |state| match state {
                ReportedState::Stored { not_covered, .. } => {
                    not_covered.iter().any(|place| place.starts_with(&name) && place.contains("`x-maintenance`"))
                }
                _ => false,
            })
            .await;
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_converges() {
    at_site(|site| async move {
        let pick = |n: u64| {
            let consumer = if n.is_multiple_of(2) { &site.alice } else { &site.bob };
            match n % 3 {
                0 => block(n + 1, consumer, None),
                1 => at(service(&site.shop), block(n + 1, consumer, Some(3600))),
                _ => at(route(&site.shop_route), block(n + 1, consumer, Some(3600))),
            }
        };
        let remembering = |state: DesiredState| {
            let is_named =
                |id: &ActionId| state.actions.iter().any(|action| action.id == *id) || state.releasing.contains(id);
            DesiredState { ended: (1..=6).map(ActionId).filter(|id| !is_named(id)).collect(), ..state }
        };
        for seed in 1..=40_u64 {
            // Different actions each time, so that there is always something to write and to delete.
            let actions: Vec<DesiredAction> = (0..6).filter(|n| ((seed * 37) >> n) & 1 == 1).map(pick).collect();
            let running = Running::start(&site, Some(remembering(site.desired(seed, actions, &[]))));
            // The kill comes after so many bytes of progress: a number of yields, spread over the pass.
            for _ in 0..seed * 29 % 400 {
                tokio::task::yield_now().await;
            }
            running.task.abort();
            let _ = running.task.await;
            // In one process, what a killed responder was just saving goes on; its lock says until when.
            let files = || StateFiles::new(site.disk.path(), "edge").unwrap().locked();
            while files().is_err() {
                tokio::task::yield_now().await;
            }
        }
        let last = vec![pick(0), pick(4), pick(5)];
        let mut running = Running::start(&site, Some(remembering(site.desired(100, last, &[2, 3]))));
        for id in [1, 5, 6] {
            running.until_stored(id).await;
        }
        running.until_released(2).await;
        assert_eq!(site.at_gateway().await, (vec![1, 5, 6], 3));
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn release_all_empties_the_gateway_and_holds_it() {
    at_site(|site| async move {
        let theirs = site
            .admin
            .plugin(&format!("/services/{}", site.shop), json!({"name": "request-termination"}))
            .await
            .unwrap();
        let actions = vec![
            block(1, &site.alice, None),
            block(2, &site.bob, None),
            at(service(&site.shop), block(3, &site.bob, None)),
        ];
        let mut running = Running::start(&site, Some(site.desired(1, actions, &[])));
        for id in 1..=3 {
            running.until_stored(id).await;
        }
        assert_eq!(site.at_gateway().await.1, 3, "a dry run only lists");
        let files = StateFiles::new(site.disk.path(), "edge").unwrap();
        let mut steps = 0;
        let client = Arc::new(site.client());
        let summary = release_all(client, &site.installation(), &files, "a test", |_| steps += 1).await.unwrap();
        assert_eq!((summary.released.len(), summary.failed, steps), (3, vec![], 3));
        for id in 1..=3 {
            running
                .until(id, |state| matches!(state, ReportedState::Failed { reason: FailureReason::GuardRail { .. } }))
                .await;
        }
        assert_eq!(site.at_gateway().await.1, 0);
        assert_eq!(site.get(&format!("/plugins/{theirs}")).await["id"], theirs.as_str());
        files.lift_hold().unwrap();
        for id in 1..=3 {
            running.until_stored(id).await;
        }
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_gateway_is_survived() {
    at_site(|site| async move {
        let Some(practice) = &site.practice else {
            println!("skipped: a real Kong has no faults on demand");
            return;
        };
        let faults = [
            AdminFault::Html(502),
            AdminFault::Html(200),
            AdminFault::Status(500),
            AdminFault::TooManyRequests(1),
            AdminFault::HalfBody,
            AdminFault::Closed,
            AdminFault::LostReply,
        ];
        let mut running = Running::start(&site, Some(site.desired(1, vec![], &[])));
        let mut version = 1;
        for fault in faults {
            for reach in [Reach::ALL.times(3), Reach::WRITES.times(1)] {
                practice.faults().admin(fault, reach);
                version += 2;
                running.platform.send_replace(Some(site.desired(
                    version,
                    vec![block(version, &site.alice, None)],
                    &[version - 2],
                )));
                running.until_stored(version).await;
                assert_eq!(site.at_gateway().await, (vec![version], 1), "{fault:?}");
                practice.faults().clear_admin();
            }
        }
        assert!(running.status.borrow().counters.gateway_failures >= 10);
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_written_within_milliseconds() {
    at_site(|site| async move {
        let mut running = Running::start(&site, Some(site.desired(1, vec![], &[])));
        running.status.wait_for(|status| status.listed_ms.is_some()).await.unwrap();
        let mut times: Vec<Duration> = Vec::new();
        for version in 2..=101 {
            let started = Instant::now();
            running.platform.send_replace(Some(site.desired(
                version,
                vec![block(version, &site.alice, None)],
                &[version - 1],
            )));
            running.until_stored(version).await;
            times.push(started.elapsed());
        }
        times.sort();
        let shown = |at: usize| times[at].as_secs_f64() * 1000.0;
        println!(
            "from a desired state to its confirmed write: p50 {:.1} ms, p90 {:.1} ms, max {:.1} ms",
            shown(50),
            shown(90),
            shown(99)
        );
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_can_be_asked_what_it_is() {
    at_site(|site| async move {
        let node = site.client().node().await.unwrap();
        assert!(node.version.starts_with('3') && node.is_writable() && node.can_block(), "{}", node.version);
    })
    .await;
}
