//! Erasing somebody: what the desk knew of them is gone, what it knows of others is not.

use outrider_model::{ActionScope, Command, Duration, EntityKey, EntityKind, Response, Subject};
use outrider_respond::desk::{Desk, Settings};

use crate::script::check;
use crate::world::{INSTALLATION, START_MS, command, consumer, finding};

#[test]
fn somebody_is_forgotten_when_nothing_against_them_is_active() {
    let cases = [
        (
            "alerts and actions that are over go, those of others stay",
            "
            finding alice
            finding bert
            bob blocks alice alert=l1
            stored a1
            bob erases alice
            ! release or reject them
            = …l1
            bob releases a1
            bob erases alice
            ! are not over
            released a1
            bob erases alice
            - l1
            - a1
            - alice
            = …l2
            ",
        ),
        (
            "what is found later is news",
            "
            finding alice
            bob erases alice
            - l1
            +1m
            finding alice
            = …l2
            ",
        ),
        (
            "a false positive is forgotten, too",
            "
            finding alice
            bob denies l1
            bob erases alice
            finding alice
            = …l2
            ",
        ),
        (
            "what was written about an alert goes with it",
            "
            finding alice
            finding bert
            bob says l1 reason=ask_zoe
            bob says l2 reason=ask_carol
            bob erases alice
            - zoe
            = …ask carol
            ",
        ),
        ("who is not known is forgotten at once", "bob erases nobody\n- nobody"),
    ];
    for (name, script) in cases {
        check(name, script);
    }
}

#[test]
fn no_byte_of_a_snapshot_names_who_was_erased() {
    let mut desk = Desk::new(INSTALLATION, Settings::default()).unwrap();
    desk.serve(Some(vec!["kong".to_owned()]));
    desk.advance(START_MS);
    for name in ["zelda-the-erased", "bert"] {
        desk.on_finding(finding(name, "spike", START_MS, 1));
    }
    // A refusal names its target by the name that whoever asked gave it.
    let act = Command::Act {
        alert: None,
        target: EntityKey { gateway: "gateway-of-zelda-the-erased".to_owned(), ..consumer("another") },
        scope: ActionScope::Consumer,
        response: Response::default(),
        duration: Duration::Permanent,
        reason: "because".to_owned(),
    };
    assert!(desk.on_command(&command(2, "root", START_MS, act)).is_err());
    drop(desk.drain_effects());
    let names = |desk: &Desk, name: &str| {
        let bytes = desk.snapshot().unwrap();
        bytes.windows(name.len()).any(|window| window == name.as_bytes())
    };
    assert!(names(&desk, "zelda-the-erased"));
    let subject = Subject::new(EntityKind::Consumer, "id-zelda-the-erased").unwrap();
    let erase = Command::Erase { erasure: "er_1".to_owned(), subject };
    desk.on_command(&command(1, "root", START_MS, erase)).unwrap();
    assert!(!names(&desk, "zelda-the-erased") && names(&desk, "bert"));
}
