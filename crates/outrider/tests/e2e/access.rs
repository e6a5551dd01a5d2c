//! People, tokens and the audit log from the command line, beside a running outrider.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::harness::{Outrider, Setup, assert_quiet};

fn outrider(arguments: &[&str], config: &Path, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(arguments).arg("--config").arg(config).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments reads nothing.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn people_and_the_audit_log_are_kept_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    // No token is made before the setup: the file `token` keeps the harness from it.
    std::fs::write(directory.path().join("token"), "none").unwrap();
    let running = Outrider::start(directory.path(), &Setup::default());
    let data_dir = directory.path().join("data");
    let setup_file = data_dir.join("setup-token");
    assert_eq!(std::fs::metadata(&setup_file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!data_dir.join("admin-token").exists());
    let setup = json!({
        "token": std::fs::read_to_string(&setup_file).unwrap().trim(),
        "name": "anna",
        "password": "correct horse battery",
    });
    let (status, body) = running.request("POST", "/api/v1/setup", Some(&setup));
    assert_eq!((status, &body["by"]), (201, &json!("person:anna")), "{body}");
    assert!(!setup_file.exists());

    let config = running.config_path().to_owned();
    let password = "a long password\n";
    let cases: [(&[&str], &str, bool, &str); 12] = [
        (&["person", "create", "bob", "--role", "viewer"], password, true, "may sign in as viewer"),
        (&["person", "create", "bob"], password, false, "already"),
        (&["person", "create", "eve"], "short\n", false, "at least 12 characters"),
        (&["person", "disable", "anna"], "", false, "last admin"),
        (&["person", "disable", "bob"], "", true, "signed out"),
        (&["person", "list"], "", true, "disabled"),
        (&["person", "reset-password", "bob"], "another password\n", true, "new password"),
        (&["person", "reset-password", "nobody"], password, false, "nobody named"),
        (&["token", "create", "ci", "--days", "30", "--description", "export"], "", true, "outrider_"),
        (&["token", "create", "edge", "--gateway", "edge-eu", "--gateway", "edge-us"], "", true, "outrider_"),
        (&["token", "create", "root", "--role", "admin", "--gateway", "edge-eu"], "", false, "all of outrider"),
        (&["token", "list"], "", true, "edge-eu, edge-us"),
    ];
    for (arguments, input, is_good, words) in cases {
        let output = outrider(arguments, &config, input);
        assert_eq!(output.status.success(), is_good, "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
    let sign_in = json!({"name": "bob", "password": "another password"});
    assert_eq!(running.request("POST", "/api/v1/session", Some(&sign_in)).0, 200);

    let verified = outrider(&["audit", "verify"], &config, "");
    assert!(verified.status.success() && said(&verified).contains("is whole"), "{}", said(&verified));
    let head = said(&verified).lines().find_map(|line| line.strip_prefix("head ")).unwrap().to_owned();
    assert!(outrider(&["audit", "verify", "--known", &head], &config, "").status.success());
    let other = format!("{}:{}", head.split(':').next().unwrap(), "0".repeat(64));
    let broken = outrider(&["audit", "verify", "--known", &other], &config, "");
    assert!(!broken.status.success() && said(&broken).contains("made anew"), "{}", said(&broken));
    assert_quiet(&running.stop(), &[]);
}
