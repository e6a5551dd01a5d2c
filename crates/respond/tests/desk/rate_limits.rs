//! Rate limits: when a policy's begins, which refusals are theirs, and when one is in force.

use crate::script::check;

const LIMIT: &str = r#"policy {"name":"limit","respond":{"kind":"rate_limit","limits":{"minute":30}},"duration":"1h","mode":"enforce"}"#;
const TIGHT: &str = r#"policy {"name":"tight","respond":{"kind":"rate_limit","limits":{"second":1,"minute":10}},"duration":"2h","mode":"enforce"}"#;
const BLOCK: &str = r#"policy {"name":"block","respond":{"kind":"block"},"duration":"15m","mode":"enforce"}"#;
const LONG_BLOCK: &str = r#"policy {"name":"wall","respond":{"kind":"block"},"duration":"2h","mode":"enforce"}"#;

#[test]
fn policies_limit_and_what_covers_what() {
    let cases = [
        (
            "a policy limits",
            vec![LIMIT],
            "
            finding alice
            = l1 note limit: limits alice to 30 calls per minute for 1 h
            = a1 Pending alice everywhere 3600s left
            = desired: a1
            finding alice
            = …note limit: no action: its action a1 is pending",
        ),
        (
            "a block that ends first leaves room for the limit after it",
            vec![LIMIT, BLOCK],
            "
            finding alice
            = l1 note block: blocks alice for 15 min
            = l1 note limit: limits alice to 30 calls per minute for 1 h
            = desired: a1 a2",
        ),
        (
            "a block that lasts as long covers a limit",
            vec![LIMIT, LONG_BLOCK],
            "
            finding alice
            = l1 note wall: blocks alice for 2 h
            = l1 note limit: no action: policy wall is at least as strong here
            = desired: a1",
        ),
        (
            "a tighter and longer limit covers one",
            vec![LIMIT, TIGHT],
            "
            finding alice
            = l1 note tight: limits alice to 1 call per second and 10 per minute for 2 h
            = l1 note limit: no action: policy tight is at least as strong here
            = desired: a1",
        ),
        (
            "an active limit covers no block, an active block covers a limit",
            vec![],
            "
            bob limits alice minute=5 for=permanent
            bob blocks carol for=permanent
            policy {\"name\":\"block\",\"respond\":{\"kind\":\"block\"},\"duration\":\"15m\",\"mode\":\"enforce\"}
            finding alice
            = l1 note block: blocks alice for 15 min
            unpolicy block
            policy {\"name\":\"limit\",\"respond\":{\"kind\":\"rate_limit\",\"limits\":{\"minute\":30}},\"duration\":\"1h\",\"mode\":\"enforce\"}
            finding carol
            = l2 note limit: no action: action a2 covers it already",
        ),
        (
            "an observing policy says what it would do",
            vec![],
            "
            policy {\"name\":\"watch\",\"respond\":{\"kind\":\"rate_limit\",\"limits\":{\"hour\":9}},\"duration\":\"15m\"}
            finding alice
            = l1 note watch (observe): would limit alice to 9 calls per hour for 15 min
            - a1",
        ),
        (
            "guard rails hold for limits too",
            vec![LIMIT],
            "
            settings {\"guard_rails\":{\"never_block\":[\"alice\"]}}
            finding alice
            = l1 note limit: proposes to limit alice to 30 calls per minute for 1 h: never-block rule `alice`
            = a1 Proposed alice everywhere 3600s left
            = desired:
            bob limits alice minute=5
            ! never-block rule `alice` protects alice",
        ),
        (
            "nonsense is refused",
            vec![],
            "
            bob limits alice minute=0
            ! the limit per minute is 0
            bob limits alice minute=none
            ! needs at least one of second",
        ),
    ];
    for (name, policies, script) in cases {
        check(name, &format!("{}\n{script}", policies.join("\n")));
    }
}

#[test]
fn refusals_of_our_limits_are_recognised_by_what_is_known_of_them() {
    let cases = [
        (
            "nothing is ours without a limit",
            "
            call alice gateway status=429
            bob blocks alice
            call alice gateway status=429
            = limited: 0",
        ),
        (
            "from the moment that it may be there until the gateway has followed its end",
            "
            bob limits alice minute=30
            call alice gateway status=429
            = limited: 1
            stored a1
            call alice gateway status=429
            = limited: 2
            bob releases a1
            call alice gateway status=429
            = limited: 3
            released a1
            +5s
            call alice gateway status=429
            = limited: 4
            +1s
            call alice gateway status=429
            = limited: 4
            call alice gateway status=429 ago=2s
            = limited: 5",
        ),
        (
            "only this consumer, place, status and maker",
            "
            bob limits alice minute=30 service=orders
            stored a1
            call carol gateway status=429
            call alice gateway status=403
            call alice gateway status=429 service=pay
            call alice status=429
            call alice gateway status=429 untrusted
            call alice theirs status=429
            call nobody gateway status=429
            = limited: 0
            call alice gateway status=429
            = limited: 1",
        ),
        (
            "not a proposal",
            "
            settings {\"guard_rails\":{\"active_actions_max\":0}}
            policy {\"name\":\"limit\",\"respond\":{\"kind\":\"rate_limit\",\"limits\":{\"minute\":30}},\"duration\":\"1h\",\"mode\":\"enforce\"}
            finding alice
            = a1 Proposed alice everywhere 3600s left
            call alice gateway status=429
            = limited: 0",
        ),
    ];
    for (name, script) in cases {
        check(name, script);
    }
}

#[test]
fn a_limit_is_in_force_when_it_was_reached() {
    let cases = [
        (
            "the first refusal after the gateway had its time",
            "
            bob limits alice minute=30 for=15m
            call alice gateway status=429
            stored a1
            call alice gateway status=429
            +4s
            call alice gateway status=429
            = a1 Stored alice everywhere 896s left
            +1s
            call alice
            = a1 Stored alice everywhere 895s left
            call alice gateway status=429
            = a1 InForce alice everywhere 895s left
            = a1 because a refusal of it is in the log
            call alice times=20
            = a1 was Pending Stored InForce
            +15m
            = a1 was Pending Stored InForce Releasing
            released a1
            = a1 was Pending Stored InForce Releasing Released",
        ),
        (
            "one that nobody reaches stays stored",
            "
            bob limits alice minute=30 for=15m
            stored a1
            call alice times=20
            +14m
            call alice times=20
            = a1 because plugin p1; no refusal of it has been seen yet
            = a1 Stored alice everywhere 60s left
            +1m
            = a1 was Pending Stored Releasing",
        ),
        (
            "a limit's refusal says nothing of a block, nor a block's of a limit",
            "
            bob limits alice minute=30
            bob blocks alice
            stored a1
            stored a2
            +5s
            call alice ours
            = a1 was Pending Stored
            call alice gateway status=429
            +5s
            = a1 was Pending Stored InForce
            = a2 was Pending Stored InForce",
        ),
    ];
    for (name, script) in cases {
        check(name, script);
    }
}
