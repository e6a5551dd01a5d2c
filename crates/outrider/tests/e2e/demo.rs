//! The whole loop, as `outrider demo` tells it: attack, alert, policy, block, release.

use std::process::Command;

#[test]
fn the_demo_goes_from_attack_to_release() {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider")).args(["demo", "--exit"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    let mut from = 0;
    for step in [
        "endpoints discovered: ",
        "GET /shop/items/{item_id}",
        "ALERT al_",
        "request_spike, severity high",
        "mallory",
        "would not fire below",
        "POLICY block-request-spikes matched",
        "ACTION ac_",
        "request-termination",
        "action:ac_",
        "403 ×",
        "in_force",
        "released",
        "200 ×",
        "holds nothing of outrider's",
    ] {
        let at = told[from..].find(step).unwrap_or_else(|| panic!("`{step}` is missing, or out of order, in:\n{told}"));
        from += at;
    }
}
