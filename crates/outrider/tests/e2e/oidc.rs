//! Signing in with an identity provider at a real outrider: its configuration, the whole way round, and the command line.

use std::process::Command;

use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet};
use crate::identity_provider::{Browser, CLIENT_ID, Fault, IdentityProvider, SECRET};

#[test]
fn people_sign_in_with_the_provider_that_the_configuration_names() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let provider = runtime.block_on(IdentityProvider::start());
    let directory = tempfile::tempdir().unwrap();
    // Relative to the configuration.
    std::fs::write(directory.path().join("oidc-secret"), SECRET).unwrap();
    let access = format!(
        "[access.oidc]\nissuer = '{}'\nclient_id = '{CLIENT_ID}'\nclient_secret_file = 'oidc-secret'\n\
         public_url = 'http://127.0.0.1:9580'\n\
         [[access.oidc.roles]]\nclaim = 'groups'\nvalue = 'sec-oncall'\nrole = 'responder'\n",
        provider.issuer
    );
    let setup = Setup { more_at_end: access, ..Setup::default() };
    // The provider may be away while outrider starts.
    provider.fail("openid-configuration", Some(Fault::Failing));
    let running = Outrider::start(directory.path(), &setup);
    // What a program is told does not depend on whether this build has the console.
    let mut browser = Browser { is_program: true, ..Browser::default() };
    let away = runtime.block_on(browser.get(&format!("{}/api/v1/session/oidc", running.api)));
    assert_eq!(away.status, 503, "{}", away.body);
    running.await_words("nobody can sign in with the identity provider");
    provider.fail("openid-configuration", None);

    // A failure counts for everybody for some seconds.
    let home = crate::harness::wait_for("the provider to be asked again", || {
        let away = runtime.block_on(browser.get(&format!("{}/api/v1/session/oidc", running.api)));
        (away.status == 303).then(|| runtime.block_on(browser.sign_in(&running.api, &provider)))
    });
    assert_eq!((home.status, home.location.as_str()), (303, "/"), "{}", home.body);
    let me = runtime.block_on(browser.get(&format!("{}/api/v1/session", running.api)));
    assert_eq!((&me.body["by"], &me.body["role"]), (&json!("person:anna"), &json!("responder")), "{}", me.body);
    let audit = running.list("/api/v1/audit?log=access&by=person:anna");
    assert_eq!(audit[0]["what"], "signed in with the identity provider");

    let person = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        let output = command.arg("person").args(arguments).arg("--config").arg(running.config_path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = person(&["list"]);
    assert!(listed.contains("anna") && listed.contains("identity provider"), "{listed}");
    person(&["disable", "anna"]);
    let me = runtime.block_on(browser.get(&format!("{}/api/v1/session", running.api)));
    assert_eq!(me.status, 401, "{}", me.body);
    let refused = runtime.block_on(browser.sign_in(&running.api, &provider));
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_quiet(&running.stop(), &["nobody can sign in with the identity provider"]);
}
