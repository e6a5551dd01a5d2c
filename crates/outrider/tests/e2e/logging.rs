//! The program's own log: lines that machines read, a level that changes under way, and no secret at any level.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::harness::{Outrider, Setup, line, now_ms};

#[test]
fn json_lines_have_a_time_a_level_and_words_and_never_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("header"), "the-admin-header").unwrap();
    let source = directory.path().join("source");
    std::fs::write(&source, "the-source-secret-of-32-characters").unwrap();
    std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o600)).unwrap();
    let setup = Setup {
        more_at_end: "[logging]\nformat = 'json'\nlevel = 'error'\n[[gateways]]\nname = 'kong'\nadmin_url = 'http://127.0.0.1:9'\n\
                      admin_header = { name = 'Kong-Admin-Token', value_file = 'header' }\n\
                      [[notify]]\nkind = 'webhook'\nname = 'siem'\nurl = 'http://127.0.0.1:9/x'\nsecret_file = 'hook'\n"
            .to_owned(),
        source_more: "secret_file = 'source'".to_owned(),
        ..Setup::default()
    };
    let toml = setup.toml(&directory.path().join("data"));
    // What the environment says goes before the configuration: everything, of the libraries too.
    let outrider = Outrider::start_with("run", directory.path(), &toml, &[("OUTRIDER_LOG", "trace")]);
    let mut call: Value =
        serde_json::from_str(&line("alice", "GET", "/shop/items/7?password=hunter2", 200, now_ms())).unwrap();
    call["request"]["id"] = "r-1".into();
    outrider.send(&[call.to_string(), "no call".to_owned()]);
    outrider.await_calls(1);
    let body = serde_json::json!({"name": "more", "role": "viewer"});
    let (status, made) = outrider.request("POST", "/api/v1/tokens", Some(&body));
    assert_eq!(status, 201, "{made}");
    outrider.request_with("GET", "/api/v1/status", None, &[("cookie", "session=a-cookie")]);
    let token = outrider.token().to_owned();
    outrider.await_words("cannot be reached");
    let hook = std::fs::read_to_string(directory.path().join("hook")).unwrap();
    let lines = outrider.stop();
    let key = std::fs::read(directory.path().join("data/pseudonym.key")).unwrap();
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = made["token"].as_str().unwrap();
    for secret in
        [&token, new, "key-alice", "hunter2", "the-admin-header", "the-source-secret", hook.trim(), "a-cookie", &key]
    {
        let shown =
            lines.iter().find(|line| line.contains(secret)).map(|line| line.chars().take(2000).collect::<String>());
        assert_eq!(shown, None, "{secret}");
    }
    let mut levels = std::collections::BTreeSet::new();
    for line in &lines {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{line}")).to_owned();
        let time = text(&entry["timestamp"]);
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time} is not RFC 3339");
        assert!(!text(&entry["target"]).is_empty() && entry["fields"].is_object(), "{line}");
        levels.insert(text(&entry["level"]));
    }
    assert!(levels.contains("TRACE") && levels.contains("INFO"), "{levels:?}");
    let ready = lines.iter().find(|line| line.contains("outrider is ready")).unwrap();
    let ready: Value = serde_json::from_str(ready).unwrap();
    assert_eq!(ready["fields"]["message"], "outrider is ready");
    assert!(ready["fields"]["api"].is_string(), "{ready}");
}

#[test]
fn the_level_changes_with_a_reload_and_a_wrong_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let logging = |level: &str| Setup { more_at_end: format!("[logging]\nlevel = '{level}'\n"), ..Setup::default() };
    let outrider = Outrider::start(directory.path(), &logging("warn"));
    assert_eq!(outrider.said("outrider is ready"), 0);
    let write = |level: &str| {
        std::fs::write(outrider.config_path(), logging(level).toml(&outrider.data_dir)).unwrap();
        outrider.signal("-HUP");
    };
    write("info");
    outrider.await_words("the configuration was reloaded");
    write("inf");
    outrider.await_words("did you mean `info`?");
    write("info");
    outrider.stop();

    let path = directory.path().join("outrider.toml");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(["run", "--config"]).arg(&path).env("OUTRIDER_LOG", "outrider=loud").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("OUTRIDER_LOG is `outrider=loud`"), "{said}");
}
