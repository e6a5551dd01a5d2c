//! What happens in which case, as scripts; `script.rs` says how they are read.

use crate::script::check;

const OBSERVE: &str = r#"policy {"name":"watch","respond":{"kind":"block"},"duration":"15m"}"#;
const BLOCK: &str = r#"policy {"name":"block","respond":{"kind":"block"},"duration":"15m","mode":"enforce"}"#;

#[test]
fn alerts_merge_live_and_end() {
    let cases = [
        (
            "one alert per entity and detector",
            "
            finding alice severity=low surprise=3 sentence=first
            +1m
            finding alice severity=high surprise=9 sentence=second
            finding alice severity=low surprise=5 sentence=third
            finding alice detector=scan
            finding carol
            = l1 Open alice spike High x3
            = l1 worst: second
            = …Open alice scan High x1
            = …Open carol spike High x1",
        ),
        (
            "quiet resolves, and the next finding opens a new one",
            "
            finding alice
            +59m
            finding alice
            +59m
            = l1 Open alice spike High x2
            +1m
            = l1 Resolved alice spike High x2
            = l1 because nothing was found for 1 h ()
            finding alice
            = l2 Open alice spike High x1
            +7d
            - l1",
        ),
        (
            "a person takes, ends and cannot reopen",
            "
            finding alice
            bob acks l1
            finding alice
            = l1 Acknowledged alice spike High x2
            bob acks l1
            ! alert l1 cannot be acknowledged: it is acknowledged already, by bob
            bob resolves l1
            = l1 because because (bob)
            bob acks l1
            ! it is resolved already, and a later finding opens a new one, by bob
            finding alice
            = l2 Open alice spike High x1
            bob resolves x
            ! there is no alert",
        ),
        (
            "people hand an alert on and write about it, also when it is over",
            "
            finding alice
            bob assigns l1 to=anna
            bob says l1 reason=asked_billing
            finding alice
            = l1 Open alice spike High x2
            = l1 of anna
            = l1 said asked billing (bob)
            bob assigns l1 to=anna
            ! alert l1 is assigned to anna already
            bob resolves l1
            bob says l1 reason=it_was_a_test
            bob assigns l1
            = l1 said asked billing (bob)
            = l1 said it was a test (bob)
            - of anna
            bob assigns l1
            ! alert l1 is assigned to nobody already
            +7d
            - said",
        ),
        (
            "a false positive stays silent for a while, at its endpoint",
            "
            finding alice
            bob denies l1 reason=a_partner
            = l1 FalsePositive alice spike High x1
            = l1 because a partner (the same stays silent for 7 d) (bob)
            bob resolves l1
            ! it is a false positive already
            +6d
            finding alice
            - l2
            = …\"findings_silenced\":1
            finding alice endpoint=8
            = l2 Open alice spike High x1
            +1d
            finding alice
            = l3 Open alice spike High x1",
        ),
        (
            "a false positive about no endpoint silences all of it",
            "
            finding alice endpoint=none
            bob denies l1
            finding alice
            finding alice detector=scan
            = l2 Open alice scan High x1
            - l3",
        ),
        (
            "a false positive partly about no endpoint silences all of it",
            "
            finding alice endpoint=none surprise=20
            finding alice endpoint=8
            bob denies l1
            finding alice endpoint=9
            - l2",
        ),
        (
            "a resolved alert can still be called a false positive",
            "
            finding alice
            bob resolves l1
            bob denies l1
            = l1 FalsePositive alice spike High x1
            finding alice
            - l2",
        ),
        (
            "the same finding twice is one",
            "
            finding alice number=5
            finding alice number=5
            = l1 Open alice spike High x1
            bob resolves l1
            finding alice number=5
            - l2
            = …\"findings_repeated\":2",
        ),
        (
            "numbers that JSON cannot write",
            "
            finding alice surprise=inf
            finding alice surprise=NaN
            = l1 Open alice spike High x2",
        ),
    ];
    for (name, script) in cases {
        check(name, script);
    }
}

#[test]
fn policies_match_what_they_say() {
    let finding = "finding alice tag=gold custom=c-1 confidence=0.6";
    let cases = [
        (r#"{}"#, true),
        (r#"{"detectors":["spike"]}"#, true),
        (r#"{"detectors":["scan"]}"#, false),
        (r#"{"severity_min":"high"}"#, true),
        (r#"{"severity_min":"critical"}"#, false),
        (r#"{"confidence_min":0.6}"#, true),
        (r#"{"confidence_min":0.61}"#, false),
        (r#"{"services":["orders"]}"#, true),
        (r#"{"services":["s-orders"]}"#, true),
        (r#"{"services":["","pay"]}"#, false),
        (r#"{"routes":["orders-v1"],"services":["orders"]}"#, true),
        (r#"{"routes":["orders-v1"],"services":["pay"]}"#, false),
        (r#"{"endpoints":["GET /orders/{id}"]}"#, true),
        (r#"{"endpoints":["ep_0000000000000007"]}"#, true),
        (r#"{"endpoints":["ep_0000000000000008"]}"#, false),
        (r#"{"consumers":["alice"]}"#, true),
        (r#"{"consumers":["id-alice"]}"#, true),
        (r#"{"consumers":["c-1"]}"#, true),
        (r#"{"consumers":["bob"]}"#, false),
        (r#"{"consumer_tags":["silver","gold"]}"#, true),
        (r#"{"consumer_tags":["silver"]}"#, false),
        (r#"{"except_consumers":["alice"]}"#, false),
        (r#"{"except_consumers":["c-1"]}"#, false),
        (r#"{"except_consumers":["tag:gold"]}"#, false),
        (r#"{"except_consumers":["gold"]}"#, true),
    ];
    for (when, is_match) in cases {
        let policy = OBSERVE.replace("{\"name\"", &format!("{{\"when\":{when},\"name\""));
        let expected = if is_match { "= l1 note watch (observe): would block alice for 15 min" } else { "- note" };
        check(when, &format!("{policy}\n{finding}\n{expected}"));
    }
    check(
        "switched off",
        &format!("{}\n{finding}\n- note", OBSERVE.replace("{\"name\"", "{\"enabled\":false,\"name\"")),
    );
}

#[test]
fn policies_note_propose_and_act() {
    let service = BLOCK.replace("\"name\":\"block\"", "\"name\":\"service\",\"scope\":\"service\"");
    let long = service.replace("15m", "1h").replace("\"service\",\"scope", "\"long\",\"scope");
    let forever = BLOCK.replace("15m", "permanent").replace("\"block\",", "\"forever\",");
    let cases = [
        (
            "a service covers its routes, and no others",
            format!(
                "
            {service}
            finding alice
            policy {{\"name\":\"route\",\"respond\":{{\"kind\":\"block\"}},\"duration\":\"1m\",\"mode\":\"enforce\",\"scope\":\"route\"}}
            finding alice
            = l1 note route: no action: action a1 covers it already
            unpolicy service
            finding alice service=pay
            = a2 Pending alice r-orders 60s left"
            ),
        ),
        ("observe says it once", format!("
            {OBSERVE}
            finding alice
            finding alice
            = l1 note watch (observe): would block alice for 15 min
            - a1")),
        ("enforce acts once while it lasts, and again after", format!("
            {BLOCK}
            finding alice
            = a1 Pending alice everywhere 900s left
            = a1 for policy block: alice made 600 calls in a minute, 3 were expected
            = desired: a1
            +10m
            finding alice
            = a1 Pending alice everywhere 300s left
            = l1 note block: no action: its action a1 is pending
            +5m
            = a1 Releasing alice everywhere 0s left
            = releasing: a1
            finding alice
            = a2 Pending alice everywhere 900s left
            = desired: a2
            released a1
            = a1 was Pending Releasing Released
            = releasing:")),
        ("time counts from the completing call", format!("
            {BLOCK}
            finding alice age=5m
            = a1 Pending alice everywhere 600s left")),
        ("over before it began, once per alert", format!("
            {BLOCK}
            finding alice age=15m
            finding alice age=16m
            = a1 TooLate alice everywhere 0s left
            - a2
            = …note block: too late to block alice for 15 min
            = desired:")),
        ("old evidence is proposed, and the proposal ends with its time", format!("
            {BLOCK}
            finding alice age=10m
            = a1 Pending alice everywhere 300s left
            finding carol age=11m
            = a2 Proposed carol everywhere 240s left
            = a2 because its evidence is 11 min old, and beyond 10 min a person decides
            finding carol age=11m
            = …note block: no action: its action a2 is proposed
            +4m
            = a2 was Proposed TooLate
            bob approves a2
            ! action a2 cannot be approved: it is over before it could begin")),
        ("untrusted is proposed, anonymous and others are noted", format!("
            {BLOCK}
            finding alice untrusted
            = a1 Proposed alice everywhere 900s left
            = a1 because its evidence comes from lines that did not prove where they are from
            finding guest anonymous
            finding 203.0.113.9 kind=ip
            finding key kind=credential
            = …block: no action: the anonymous consumer is everybody without a key; a person can restrict it by name
            = …block: no action: only a consumer can be restricted automatically, and this is about an entity of kind ip
            = …block: no action: only a consumer can be restricted automatically, and this is about an entity of kind credential
            - a2")),
        ("a scope is never widened", format!("
            {service}
            finding alice nowhere
            = l1 note service: no action: it is for one service, and this did not happen at one service
            - a1
            finding alice
            = a1 Pending alice s-orders 900s left
            finding alice service=pay
            = a2 Pending alice s-pay 900s left
            = desired: a1 a2")),
        ("the strongest wins per scope, the widest first", format!("
            {service}
            {long}
            finding alice
            = l1 note long: blocks alice at service orders for 1 h
            = l1 note service: no action: policy long is at least as strong here
            = a1 Pending alice s-orders 3600s left
            {forever}
            finding alice
            = l1 note forever: blocks alice until a person releases it
            = a2 Pending alice everywhere permanent
            finding carol
            = …note long: no action: action a3 covers it already
            = desired: a1 a2 a3")),
        ("a stronger one is not kept back by a weaker one", format!("
            {BLOCK}
            finding alice
            +1m
            {forever}
            finding alice
            = desired: a1 a2")),
        ("what a person ended or rejected stays so for the alert", format!("
            {BLOCK}
            finding alice
            bob releases a1 reason=a_partner
            = a1 because a partner
            released a1
            finding alice
            = …note block: no action: for this alert it was ended or rejected by a person, or failed at the gateway
            - a2
            bob resolves l1
            finding alice untrusted
            = a2 Proposed alice everywhere 900s left
            bob rejects a2
            = a2 was Proposed Rejected
            finding alice
            - a3")),
        ("what the gateway cannot take is not tried again for the alert", format!("
            {BLOCK}
            finding alice
            failed a1
            = …a1 because your own plugin `stop` (p9) holds this scope
            = a1 was Pending Failed
            = desired:
            finding alice
            - a2")),
        ("a false positive releases and rejects", format!("
            {BLOCK}
            finding alice
            finding carol untrusted
            bob blocks alice alert=l1
            bob denies l1
            = desired:
            = releasing: a1 a3
            bob denies l2
            = a2 Rejected carol everywhere 900s left
            = a2 because its alert is a false positive")),
    ];
    for (name, script) in cases {
        check(name, &script);
    }
}

#[test]
fn guard_rails_hold_back_what_runs_by_itself() {
    let rails = |json: &str| format!("settings {{\"guard_rails\":{json}}}\n{BLOCK}");
    let cases = [
        (
            "a new never-block rule is matched with who calls in the same minute",
            "
            call alice
            settings {\"guard_rails\":{\"never_block\":[\"alice\"]}}
            call alice
            bob blocks alice unnamed
            ! never-block rule `alice` protects id-alice"
                .to_owned(),
        ),
        ("kill switch", format!("
            {BLOCK}
            finding alice
            bob switches on reason=a_drill
            finding carol
            = a1 Pending alice everywhere 900s left
            = a2 because the kill switch is on, set by bob
            bob approves a2
            = a2 was Proposed Approved
            = by person: a2
            bob blocks dave
            = desired: a1 a2 a3
            bob switches off
            finding erin
            = a4 Pending erin everywhere 900s left")),
        ("active actions", format!("
            {}
            finding alice
            finding carol
            bob blocks dave
            finding erin
            = a4 because guard rail active_actions_max: 2 automatic actions are active, at most 2
            bob approves a4
            = desired: a1 a2 a3 a4
            bob releases a1
            finding frank
            = a5 Pending frank everywhere 900s left", rails(r#"{"active_actions_max":2}"#))),
        ("actions per hour", format!("
            {}
            finding alice
            +20m
            finding carol
            = a2 Pending carol everywhere 900s left
            finding dave
            = a3 because guard rail actions_per_hour_max: 2 automatic actions started within an hour, at most 2
            +40m
            finding erin
            = a4 Pending erin everywhere 900s left
            finding frank
            = a5 Proposed frank everywhere 900s left", rails(r#"{"actions_per_hour_max":2}"#))),
        ("no automatic actions at all", format!("
            {}
            finding alice
            = a1 Proposed alice everywhere 900s left", rails(r#"{"active_actions_max":0}"#))),
        ("share of calls", format!("
            {}
            call carol times=70
            call alice times=30
            +2m
            finding alice
            = a1 because guard rail target_calls_share_max: the target has 30.0 % of the last hour's calls (30 of 100), at most 25.0 %
            call dave times=900
            finding carol
            # dave's calls came in the finding's own window and are left out
            = …has 70.0 % of the last hour's calls
            finding dave
            = a3 Pending dave everywhere 900s left
            +61m
            finding erin
            = a4 Pending erin everywhere 900s left", rails(r#"{"calls_min":100}"#))),
        ("too few calls to judge by, and then the whole hour counts", format!("
            {}
            call alice times=99
            finding alice
            = a1 Pending alice everywhere 900s left
            call carol times=1000
            finding carol
            = …the target has 91.0 % of the last hour's calls (1000 of 1099), at most 25.0 %", rails(r#"{"calls_min":100}"#))),
        ("own refusals and untrusted lines move no share", format!("
            {}
            call carol times=90
            call alice times=10
            call alice times=900 ours
            call alice times=900 untrusted
            +2m
            finding alice
            = a1 Pending alice everywhere 900s left", rails(r#"{"calls_min":100}"#))),
        ("share of addresses", format!("
            {}
            call carol times=100 addresses=100
            call alice times=60 addresses=60
            +2m
            finding alice
            = a1 because guard rail target_addresses_share_max: the target has 60.0 % of the last hour's client addresses (60 of 100), at most 25.0 %
            finding dave
            = a2 Pending dave everywhere 900s left", rails(r#"{"target_calls_share_max":1.0}"#))),
        ("never-block by name, custom id, tag and id", format!("
            {}
            finding alice
            = …because never-block rule `alice`
            finding carol custom=c-1
            = …because never-block rule `c-1`
            finding dave tag=gold
            = …because never-block rule `tag:gold`
            finding erin
            = …because never-block rule `id-erin`
            = desired:
            bob approves a1
            ! a guard rail forbids it: never-block rule `alice`
            bob approves a2
            ! a guard rail forbids it: never-block rule `c-1`
            bob approves a3
            ! a guard rail forbids it: never-block rule `tag:gold`
            finding frank
            = desired: a5", rails(r#"{"never_block":["alice","c-1","tag:gold","id-erin"]}"#))),
        ("never-block holds for persons, also by what the log says of an id", format!("
            {}
            bob blocks alice
            ! a guard rail forbids it: never-block rule `alice` protects alice
            call alice
            bob blocks alice unnamed
            ! never-block rule `alice` protects id-alice
            bob blocks dave unnamed
            call erin tag=gold
            bob blocks erin
            ! never-block rule `tag:gold` protects erin
            finding frank tag=gold
            bob blocks frank alert=l1
            ! never-block rule `tag:gold` protects frank", rails(r#"{"never_block":["alice","tag:gold"]}"#))),
        ("a never-block rule that comes later releases", format!("
            {BLOCK}
            finding alice tag=gold
            finding carol
            bob blocks dave
            = desired: a1 a2 a3
            settings {{\"guard_rails\":{{\"never_block\":[\"tag:gold\",\"dave\"]}}}}
            = desired: a2
            = a1 because a never-block rule protects the consumer now")),
    ];
    for (name, script) in cases {
        check(name, &script);
    }
}

#[test]
fn actions_live_as_decided() {
    let cases = [
        (
            "from pending to released",
            "
            bob blocks alice
            retrying a1
            = …a1 because attempt 2 failed and will be repeated: your own plugin
            = a1 was Pending
            stored a1 not_covered=route_pay
            = a1 because plugin p1; no refusal of it has been seen yet
            = a1 does not cover route_pay
            call alice ours
            +4s
            = a1 Stored alice everywhere 896s left
            +1s
            = a1 because its refusals are in the log, and nothing was let through for 5 s
            +15m
            = a1 was Pending Stored InForce Releasing
            stored a1
            failed a1
            = releasing: a1
            released a1
            = a1 was Pending Stored InForce Releasing Released
            released a1
            = …\"reports_late\":1
            bob releases a1
            ! action a1 cannot be released: it is released
            +7d
            - a1",
        ),
        (
            "an allowed call restarts the wait, and takes back what was in force",
            "
            bob blocks alice
            stored a1
            call alice ours
            +3s
            call alice
            +3s
            call alice ours
            +4s
            = a1 Stored alice everywhere 890s left
            +1s
            = a1 InForce alice everywhere 889s left
            call alice
            = a1 was Pending Stored InForce Stored
            +1s
            call alice ours
            +5s
            = a1 InForce alice everywhere 883s left",
        ),
        (
            "what says nothing about it",
            "
            bob blocks alice
            stored a1
            call alice theirs
            call carol ours
            call alice ours untrusted
            call alice gateway
            +1m
            = a1 Stored alice everywhere 840s left
            call alice ours
            +1s
            # a call that began before the refusal, one that was refused by something else, and a forged one
            call alice ago=2s
            call alice gateway
            call alice untrusted
            +4s
            = a1 InForce alice everywhere 835s left",
        ),
        (
            "the wait counts from the first refusal, and lines may come out of order",
            "
            bob blocks alice
            stored a1
            call alice
            call alice ours ago=1s
            +6s
            = a1 Stored alice everywhere 894s left
            call alice ours
            +3s
            call alice ours
            +2s
            = a1 InForce alice everywhere 889s left",
        ),
        (
            "refusals before the responder's word count",
            "
            bob blocks alice
            call alice ours
            +1m
            = a1 Pending alice everywhere 840s left
            stored a1
            +1s
            = a1 InForce alice everywhere 839s left",
        ),
        (
            "a scope looks at its own calls",
            r#"
            policy {"name":"block","respond":{"kind":"block"},"duration":"15m","mode":"enforce","scope":"service"}
            finding alice
            stored a1
            call alice ours service=pay
            +1m
            = a1 Stored alice s-orders 840s left
            call alice ours
            +1s
            call alice service=pay
            +4s
            = a1 InForce alice s-orders 835s left"#,
        ),
        (
            "a release before it was stored still needs the responder's word",
            "
            bob blocks alice for=permanent
            bob releases a1
            = releasing: a1
            bob releases a1
            = a1 was Pending Releasing
            released a1
            = a1 was Pending Releasing Released",
        ),
        (
            "the responder took it away by itself",
            "
            bob blocks alice
            stored a1
            released a1
            = a1 was Pending Stored Releasing Released
            = desired:",
        ),
        (
            "a proposal is approved or rejected, not released",
            r#"
            policy {"name":"block","respond":{"kind":"block"},"duration":"15m","mode":"enforce"}
            finding alice untrusted
            = desired:
            bob releases a1
            ! it is proposed and does nothing; reject it instead
            stored a1
            = …"reports_unexpected":1
            bob approves a1
            = desired: a1
            bob approves a1
            ! action a1 cannot be approved: it is approved
            bob rejects a1
            ! action a1 cannot be rejected: it is approved
            stored a1
            = a1 was Proposed Approved Stored"#,
        ),
        (
            "what makes no sense is refused",
            "
            bob blocks 203.0.113.9 kind=ip
            ! only a consumer can be restricted at the gateway, and the target is of kind ip
            bob blocks alice unexplained
            ! say in `reason` why the consumer is restricted
            bob blocks alice alert=x
            ! there is no alert
            bob releases x
            ! there is no action
            stored x
            = …\"reports_unknown\":1",
        ),
        (
            "a decision sent twice is carried out once",
            "
            bob blocks alice
            bob blocks alice again=1
            - a2
            bob releases a1
            bob blocks alice again=3
            = releasing: a1
            bob acks x
            ! there is no alert
            bob acks x again=1
            ! there is no alert
            = …\"commands_done\":2,\"commands_refused\":1,\"commands_repeated\":3",
        ),
    ];
    for (name, script) in cases {
        check(name, script);
    }
}

#[test]
fn policies_come_from_the_configuration_or_from_people() {
    let put =
        |name: &str| format!(r#"{{"name":"{name}","respond":{{"kind":"block"}},"duration":"15m","mode":"enforce"}}"#);
    let cases = [
        (
            "people cannot change what the configuration defines",
            format!(
                "
            policy {0}
            bob puts {0}
            ! policy mine is defined in the configuration: change it there
            bob deletes mine
            ! defined in the configuration
            unpolicy mine
            - policy mine
            bob puts {0}
            = policy mine config=false
            bob deletes mine
            - policy mine
            bob deletes mine
            ! there is no policy mine",
                put("mine")
            ),
        ),
        (
            "the configuration takes a name over",
            format!(
                "
            bob puts {0}
            policy {0}
            = policy mine config=true",
                put("mine")
            ),
        ),
        (
            "one that is meant to be new replaces none",
            format!(
                "
            bob makes {0}
            = policy mine config=false
            bob makes {0}
            ! there is a policy mine already
            bob puts {0}
            = policy mine config=false
            policy {1}
            bob makes {1}
            ! there is a policy theirs already
            bob deletes mine
            bob makes {0}
            = policy mine config=false",
                put("mine"),
                put("theirs")
            ),
        ),
        (
            "actions of a deleted policy run on",
            format!(
                "
            bob puts {0}
            finding alice
            bob deletes mine
            = desired: a1",
                put("mine")
            ),
        ),
        (
            "nonsense is refused",
            format!(
                "
            bob puts {}
            ! policy name `No Name` is not valid",
                put("No Name")
            ),
        ),
    ];
    for (name, script) in cases {
        check(name, &script);
    }
}
