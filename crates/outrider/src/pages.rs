//! Holds the pages to the code: the commands and addresses on them exist, and the runbook has a section for each notice.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::packaging::{blocks, parse, read, root, shell_commands};

/// What a section about a notice says, in this order.
const PARTS: [&str; 5] = ["**Means**", "**At risk now**", "**Look at**", "**Do**", "**Escalate**"];

/// README and the pages of `docs/`, by name.
fn pages() -> BTreeMap<String, String> {
    let names = std::fs::read_dir(root().join("docs")).unwrap();
    let names = names.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    let names = names.filter(|name| name.ends_with(".md")).chain(["README.md".to_owned()]);
    names.map(|name| (name.clone(), read(&name))).collect()
}

#[test]
fn commands_on_pages_are_valid() {
    let mut counts = BTreeMap::new();
    for (name, page) in pages() {
        let commands = shell_commands(&blocks(&page, "sh").join("\n"));
        for words in &commands {
            parse(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        counts.insert(name, commands.len());
    }
    for (name, at_least) in
        [("docs/install.md", 12), ("docs/services.md", 6), ("docs/runbook.md", 20), ("README.md", 6)]
    {
        assert!(counts[name] >= at_least, "{name}: only {} were found", counts[name]);
    }
}

#[test]
fn addresses_of_the_api_on_pages_exist() {
    let document: Value = serde_json::from_str(outrider_platform::api::openapi()).unwrap();
    let known: Vec<Vec<&str>> = document["paths"].as_object().unwrap().keys().map(|path| segments(path)).collect();
    let is_known = |path: &[&str]| {
        let fits = |(known, given): (&&str, &&str)| known == given || known.starts_with('{');
        known.iter().any(|known| known.len() == path.len() && known.iter().zip(path).all(fits))
    };
    let mut count = 0;
    for (name, page) in pages() {
        for (at, _) in page.match_indices("/api/v1/") {
            let is_end = |c: char| c.is_whitespace() || "`'\"),;?#…".contains(c);
            let path = page[at..].split(is_end).next().unwrap().trim_end_matches(['.', ':']);
            assert!(is_known(&segments(path)), "{name} names `{path}`, which the API does not have");
            count += 1;
        }
    }
    assert!(count > 30, "only {count} were found");
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

#[test]
fn the_runbook_has_a_section_for_each_kind_of_notice() {
    let document: Value = serde_json::from_str(outrider_platform::api::openapi()).unwrap();
    let kinds = document["components"]["schemas"]["NoticeKind"]["oneOf"].as_array().unwrap();
    assert!(kinds.len() >= 15, "{kinds:?}");
    let page = read("docs/runbook.md");
    let sections: BTreeMap<_, _> =
        page.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    for kind in kinds.iter().map(|kind| kind["const"].as_str().unwrap()) {
        let section = sections.get(kind).unwrap_or_else(|| panic!("docs/runbook.md has no section `{kind}`"));
        let places: Vec<_> = PARTS.iter().map(|part| section.find(part)).collect();
        assert!(
            places.is_sorted() && places[0].is_some(),
            "{kind} lacks a part, or they are in another order: {places:?}"
        );
        assert!(section.contains("```sh\n"), "{kind} names nothing to look at");
    }
}
