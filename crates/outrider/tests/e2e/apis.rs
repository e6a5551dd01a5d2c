//! The inventory and its documents on the command line: from the first calls to an exported document, and back as the owner's.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Outrider, Setup, assert_quiet, line, now_ms, wait_for};

struct Said {
    status: i32,
    out: String,
    error: String,
}

fn run(config: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    let output = command.args(arguments).arg("--config").arg(config).stdin(Stdio::null()).output().unwrap();
    Said {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Has the service's document decide about its templates, after a look at what that would do.
fn follow_the_document(outrider: &Outrider, template: &Value) {
    let service = &outrider.list("/api/v1/apis")[0];
    let (gateway, workspace, id) = (&service["gateway"], &service["workspace"], &service["service"]);
    let key = json!({"gateway": gateway, "workspace": workspace, "service": id});
    let (status, said) = outrider.request("POST", "/api/v1/templates/preview", Some(&json!({"document": key})));
    assert_eq!(status, 200, "{said:#}");
    assert_eq!((&said["decisions"], &said["items"]), (&json!(1), &json!([])), "it is as the document says: {said:#}");
    let (status, said) = outrider.request("POST", "/api/v1/templates", Some(&json!({"document": key})));
    assert_eq!(status, 200, "{said:#}");
    assert_eq!(&said["items"][0]["decision"]["template"], template, "{said:#}");
    let taken_back = json!({"taken_back": [said["items"][0]["id"]]});
    let (status, said) = outrider.request("POST", "/api/v1/templates/preview", Some(&taken_back));
    assert_eq!((status, &said["taken_back"]), (200, &json!(1)), "{said:#}");
    assert_eq!(outrider.list("/api/v1/templates").len(), 1, "a look decides nothing");
}

#[test]
fn a_service_is_written_as_a_document_and_held_against_its_owners() {
    let directory = tempfile::tempdir().unwrap();
    let outrider = Outrider::start(directory.path(), &Setup::default());
    let config = outrider.config_path().to_owned();
    let nothing = run(&config, &["endpoints"]);
    assert_eq!((nothing.status, nothing.out.as_str()), (0, ""), "{}", nothing.error);
    assert!(nothing.error.contains("no endpoint is known yet"), "{}", nothing.error);

    let consumers = ["alice", "bob", "carol", "dave", "eve"];
    // All in one minute: what is known is told when that is over, and again only after some.
    wait_for("the beginning of a minute", || (5_000..30_000).contains(&(now_ms() % 60_000)).then_some(()));
    let began_ms = now_ms();
    let mut lines = Vec::new();
    for at in 0..200 {
        let path = format!("/shop/items/{}?limit=20", 1000 + at);
        lines.push(line(consumers[at as usize % 5], "GET", &path, 200, began_ms + at));
        if at % 20 == 0 {
            lines.push(line(consumers[at as usize % 5], "POST", "/shop/carts", 201, began_ms + at));
        }
    }
    outrider.send(&lines);
    outrider.await_calls(210);
    let minute = now_ms() / 60_000;
    wait_for("the end of the minute", || (now_ms() / 60_000 > minute).then_some(()));
    let rows = wait_for("the inventory", || {
        let said = run(&config, &["endpoints", "--format", "json"]);
        let rows: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (rows.len() == 2).then_some(rows)
    });
    let items = rows.iter().find(|row| row["method"] == "GET").unwrap();
    assert_eq!((&items["calls"], &items["consumers"]), (&json!(200), &json!(5)), "{items}");
    assert!(items["parameters"].as_str().unwrap().contains("query limit integer 100 %"), "{items}");
    let service = items["service_name"].as_str().unwrap().to_owned();
    let table = run(&config, &["endpoints", "--service", &service]).out;
    assert!(table.contains(&service) && table.contains("POST") && table.contains("/shop/carts"), "{table}");
    let csv = run(&config, &["endpoints", "--format", "csv"]).out;
    assert_eq!(csv.lines().count(), 3, "{csv}");

    let exported = run(&config, &["openapi", "export", "--service", &service]);
    let document: Value = serde_json::from_str(&exported.out).unwrap();
    assert_eq!(&document["openapi"].as_str().unwrap()[..3], "3.1");
    assert_eq!(document["paths"].as_object().unwrap().len(), 2, "{document}");

    // The owner's document knows no carts.
    let mut owners = document;
    owners["paths"].as_object_mut().unwrap().remove("/shop/carts").unwrap();
    let file = directory.path().join("shop.yaml");
    std::fs::write(&file, owners.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let differs = run(&config, &["openapi", "diff", "--service", &service, file]);
    assert_eq!(differs.status, 4, "{}", differs.error);
    assert!(differs.out.starts_with("high") && differs.out.contains("POST /shop/carts"), "{}", differs.out);
    let without = run(&config, &["openapi", "diff", "--service", &service]);
    assert_eq!(without.status, 0, "{}", without.error);
    assert!(without.error.contains("has no document"), "{}", without.error);
    let imported = run(&config, &["openapi", "import", "--service", &service, file]);
    assert_eq!(imported.status, 0, "{}", imported.error);
    assert!(imported.error.contains("with 1 operations is the document"), "{}", imported.error);
    let differs =
        run(&config, &["openapi", "diff", "--service", &service, "--format", "json", "--severity-min", "high"]);
    let drift: Value = serde_json::from_str(differs.out.lines().next().unwrap()).unwrap();
    assert_eq!((differs.status, &drift["kind"], differs.out.lines().count()), (4, &json!("shadow"), 1));
    assert_eq!(outrider.list("/api/v1/apis")[0]["document"]["operations"], 1);

    follow_the_document(&outrider, &items["template"]);

    for (arguments, words) in [
        (&["openapi", "export", "--service", "none"][..], "nothing was seen of a service `none`; known are"),
        (&["openapi", "import", "--service", &service, "/nowhere"][..], "cannot read /nowhere"),
        (&["openapi", "import", "--service", &service, config.to_str().unwrap()][..], "outrider.toml"),
    ] {
        let said = run(&config, arguments);
        assert_eq!(said.status, 1, "{}", said.error);
        assert!(said.error.contains(words), "`{words}` is not in {}", said.error);
    }
    assert_quiet(&outrider.stop(), &[]);
    // It is there whether outrider runs or not.
    assert_eq!(run(&config, &["endpoints", "--format", "json"]).out.lines().count(), 2);
}
