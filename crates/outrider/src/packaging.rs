//! Holds what is packaged, and the configurations of the pages about installing it, to the command line and the configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::config::{Config, Role};

/// The units, with what each runs.
const UNITS: [(&str, Role); 4] = [
    ("outrider", Role::Run),
    ("outrider-collector", Role::Collector),
    ("outrider-platform", Role::Platform),
    ("outrider-responder", Role::Responder),
];

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn unit(name: &str) -> String {
    read(&format!("packaging/systemd/{name}.service"))
}

/// The value of a unit's setting that may be there once.
fn setting<'u>(unit: &'u str, name: &str) -> Option<&'u str> {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next();
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

pub fn parse(words: &[&str]) -> Command {
    let all = std::iter::once("outrider").chain(words.iter().copied());
    Cli::try_parse_from(all).unwrap_or_else(|error| panic!("outrider {}: {error}", words.join(" "))).command
}

/// The service that a command runs, and its configuration.
fn service(command: Command) -> Option<(Role, PathBuf)> {
    match command {
        Command::Run(arguments) => Some((Role::Run, arguments.config.config)),
        Command::Collector(arguments) if arguments.command.is_none() => {
            Some((Role::Collector, arguments.run.config.config))
        }
        Command::Platform(arguments) => Some((Role::Platform, arguments.config.config)),
        Command::Responder(arguments) if arguments.command.is_none() => {
            Some((Role::Responder, arguments.run.config.config))
        }
        _ => None,
    }
}

#[test]
fn units_start_what_they_are_named_for() {
    let packaged: BTreeSet<_> = std::fs::read_dir(root().join("packaging/systemd"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".service").map(str::to_owned))
        .collect();
    assert_eq!(packaged, UNITS.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, role) in UNITS {
        let unit = unit(name);
        let words: Vec<_> = setting(&unit, "ExecStart").unwrap().split(' ').collect();
        assert_eq!(words[0], "/usr/bin/outrider");
        let (started, config) = service(parse(&words[1..])).unwrap_or_else(|| panic!("{name} starts no service"));
        assert_eq!(started, role, "{name}");
        assert_eq!(setting(&unit, "ConditionPathExists"), config.to_str(), "{name} starts without a configuration");
        assert_eq!(setting(&unit, "StateDirectory"), Some(name));
        assert_eq!(setting(&unit, "Type"), Some("notify"), "{name}: `manager` says when it is ready");
        assert_eq!(setting(&unit, "ExecReload"), Some("/bin/kill -HUP $MAINPID"), "{name}");
        assert_eq!(setting(&unit, "RestartPreventExitStatus"), Some(crate::NOT_CONFIGURED.to_string().as_str()));
    }
}

#[test]
fn units_are_confined_alike() {
    let confinement = |name| {
        let unit = unit(name);
        let start = unit.find("NoNewPrivileges=yes").unwrap();
        unit[start..].to_owned()
    };
    for (name, _) in UNITS {
        assert_eq!(confinement(name), confinement("outrider"), "{name}");
    }
}

#[test]
fn the_package_has_everything_that_it_lists() {
    let manifest: toml::Table = toml::from_str(&read("crates/outrider/Cargo.toml")).unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let from_here = |path: &toml::Value| Path::new(env!("CARGO_MANIFEST_DIR")).join(path.as_str().unwrap());
    let assets = deb["assets"].as_array().unwrap().iter().map(|asset| from_here(&asset[0]));
    let (built, kept): (Vec<_>, Vec<_>) = assets.partition(|source| source.ends_with("target/release/outrider"));
    assert!(built.len() == 1 && kept.len() > 1, "{built:?} {kept:?}");
    for source in kept {
        let pattern = source.file_name().unwrap().to_str().unwrap();
        let (begin, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let mut files = std::fs::read_dir(source.parent().unwrap()).unwrap();
        let is_there = files.any(|file| {
            let name = file.unwrap().file_name();
            let name = name.to_str().unwrap();
            name.starts_with(begin) && name.ends_with(end)
        });
        assert!(is_there, "{} is not there", source.display());
    }
    for script in ["postinst", "postrm"] {
        let text = std::fs::read_to_string(from_here(&deb["maintainer-scripts"]).join(script)).unwrap();
        assert!(text.contains("\n#DEBHELPER#\n"), "cargo-deb puts its part into {script} there");
    }
    for file in ["outrider.service", "outrider.sysusers", "outrider.tmpfile"] {
        let found = from_here(&deb["systemd-units"]["unit-scripts"]).join(file).is_file();
        assert!(found, "{file} comes with `systemd-units`, by its name");
    }
}

/// The blocks of one language on a page.
pub fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let opening = format!("```{language}\n");
    page.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn configurations_of_pages_and_packages_are_valid_for_their_service() {
    let role_of = |file: &str| match file {
        "outrider" => Role::Run,
        "collector" => Role::Collector,
        "platform" => Role::Platform,
        "responder" => Role::Responder,
        other => panic!("`{other}.toml` is for no service"),
    };
    let check = |text: &str, file: &str| {
        let config = Config::parse(text).unwrap_or_else(|error| panic!("{file}: {error:#}\n{text}"));
        config.check_role(role_of(file)).unwrap_or_else(|error| panic!("{file}: {error:#}\n{text}"));
        config
    };
    for page in ["docs/install.md", "docs/services.md"] {
        let page = read(page);
        let blocks = blocks(&page, "toml");
        assert!(blocks.len() >= 3, "only {} were found", blocks.len());
        for block in blocks {
            let path = block.lines().next().unwrap().strip_prefix("# ").expect("a block begins with its file's name");
            let file = Path::new(path).file_stem().unwrap().to_str().unwrap();
            let data_dir = check(block, file).data_dir;
            if path.starts_with("/etc/outrider/") {
                let unit = UNITS.iter().find(|(_, role)| *role == role_of(file)).unwrap().0;
                assert!(
                    data_dir.starts_with(format!("/var/lib/{unit}")),
                    "{unit} cannot write to {}",
                    data_dir.display()
                );
            }
        }
    }
    let example = check(&read("docs/outrider.example.toml"), "outrider");
    assert_eq!(example.data_dir, Path::new("/var/lib/outrider"));
    check(&read("packaging/compose/outrider.toml"), "outrider");
}

/// The commands of outrider in lines of a shell, whatever stands before them. `outrider` alone is a name there.
pub fn shell_commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let mut commands = Vec::new();
    for line in text.lines().filter_map(|line| line.split(" #").next()) {
        for (at, name) in line.match_indices("outrider ") {
            let rest = line[at + name.len()..].split([')', '>', '&', '|']).next().unwrap();
            let words = words(rest);
            let is_name = words.first().is_none_or(|word| word == "outrider" || !word.starts_with(char::is_alphabetic));
            if !is_name && (at == 0 || line[..at].ends_with(' ')) {
                commands.push(words);
            }
        }
    }
    commands
}

/// Words of a shell; what stands in double quotes is one.
fn words(text: &str) -> Vec<String> {
    let mut is_quoted = false;
    let words = text.split(|c: char| {
        is_quoted ^= c == '"';
        !is_quoted && c.is_whitespace()
    });
    words.filter(|word| !word.is_empty()).map(|word| word.replace('"', "")).collect()
}

#[test]
fn commands_of_packages_are_valid() {
    let compose = read("packaging/compose/compose.yaml");
    // Comments are prose there, but for indented ones.
    let compose =
        compose.lines().filter_map(|line| line.strip_prefix("#   ").or((!line.starts_with('#')).then_some(line)));
    let compose = compose.collect::<Vec<_>>().join("\n");
    let commands = shell_commands(&compose);
    assert!(commands.len() >= 4, "only these were found: {commands:#?}");
    for words in commands {
        parse(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// A list of words as Dockerfile and compose file have it, after `key`.
fn list(text: &str, key: &str) -> Vec<Vec<String>> {
    let lists = text.lines().filter_map(|line| line.split_once(key)?.1.trim().strip_prefix('['));
    lists
        .map(|list| serde_json::from_str(&format!("[{list}")).unwrap_or_else(|error| panic!("[{list}: {error}")))
        .collect()
}

#[test]
fn containers_run_what_there_is() {
    let dockerfile = read("packaging/docker/Dockerfile");
    assert_eq!(list(&dockerfile, "ENTRYPOINT"), [["outrider"]]);
    let commands: Vec<_> = list(&dockerfile, "CMD");
    assert_eq!(commands, [vec!["outrider", "health"], vec!["run"]]);
    parse(&["health"]);
    // Without `--config`, the file is looked for in the working directory.
    let (role, config) = service(parse(&["run"])).unwrap();
    assert!(role == Role::Run && dockerfile.contains("\nWORKDIR /etc/outrider\n"));
    assert_eq!(config, Path::new("outrider.toml"));

    let compose = read("packaging/compose/compose.yaml");
    let services: Vec<_> = compose.split("\n\n").filter(|service| service.contains("<<: *outrider\n")).collect();
    let commands: Vec<_> = services.iter().flat_map(|service| list(service, "command:")).collect();
    assert_eq!((services.len(), commands.len()), (3, 2), "one of them is a shell's, which the other test reads");
    for words in commands {
        parse(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn the_samples_parts_find_each_other() {
    let compose = read("packaging/compose/compose.yaml");
    let config: toml::Table = toml::from_str(&read("packaging/compose/outrider.toml")).unwrap();
    let source = &config["collector"]["sources"][0];
    let kong = source["allow"][0].as_str().unwrap();
    for words in [format!("KONG_ADMIN_LISTEN: {kong}:8001"), format!("control: {{ ipv4_address: {kong} }}")] {
        assert!(compose.contains(&words), "Kong's address is {kong}, but there is no `{words}`");
    }
    let file = |value: &toml::Value| value.as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    for key in ["certificate_file", "key_file"] {
        let name = file(&config["api"][key]);
        assert!(["localhost.pem", "localhost.key"].contains(&name.as_str()), "{name}");
    }
    assert!(compose.contains("outrider ca issue localhost"));
    // What is published goes to this machine alone, and the Admin API to nobody.
    let published: Vec<_> = list(&compose, "ports:").concat();
    assert_eq!(published, ["127.0.0.1:8000:8000", "127.0.0.1:9580:9580"]);
}
