//! What a service manager and a container engine are told, and what exit statuses they get.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{PATIENCE, wait_for};

/// A service under a manager that listens to it.
struct Managed {
    child: Child,
    manager: UnixDatagram,
}

impl Managed {
    fn start(service: &str, directory: &Path, toml: &str) -> Managed {
        let socket = directory.join("notify.sock");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = command(service, directory, toml);
        let child = command.env("NOTIFY_SOCKET", &socket).stderr(Stdio::null()).spawn().unwrap();
        Managed { child, manager }
    }

    /// What the manager is told next, but for the time of it.
    fn told(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.manager.recv(&mut message).expect("the manager is told something");
        let text = std::str::from_utf8(&message[..length]).unwrap();
        text.lines().filter(|line| !line.starts_with("MONOTONIC_USEC=")).map(str::to_owned).collect()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn ended_well(&mut self) {
        let status = wait_for("the end of the service", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(arguments: &str, directory: &Path, toml: &str) -> Command {
    let path = directory.join("outrider.toml");
    std::fs::write(&path, toml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(arguments.split(' ')).arg("--config").arg(path).stdin(Stdio::null());
    command
}

const ALL_IN_ONE: &str = "data_dir = 'data'\n[api]\nlisten = '127.0.0.1:0'\n";

#[test]
fn a_manager_knows_when_outrider_is_ready_reloads_and_stops() {
    let directory = tempfile::tempdir().unwrap();
    let health = |toml: &str| command("health", directory.path(), toml).output().unwrap();
    let before = health(ALL_IN_ONE);
    let said = String::from_utf8_lossy(&before.stderr);
    assert!(before.status.code() == Some(1) && said.contains("no outrider runs with"), "{before:?}");

    let mut outrider = Managed::start("run", directory.path(), ALL_IN_ONE);
    assert_eq!(outrider.told(), ["READY=1", "STATUS="]);
    assert!(directory.path().join("data/run.json").exists(), "ready means that it can be asked");
    // A reload would refuse the second file, and what runs goes on.
    for toml in [ALL_IN_ONE.to_owned(), format!("{ALL_IN_ONE}[lake]\nenabeld = false\n")] {
        let healthy = health(&toml);
        assert!(healthy.status.success(), "{healthy:?}");
        assert_eq!(
            String::from_utf8_lossy(&healthy.stdout),
            format!("outrider {} answers\n", env!("CARGO_PKG_VERSION"))
        );
        outrider.signal("-HUP");
        assert_eq!([outrider.told(), outrider.told()], [vec!["RELOADING=1"], vec!["READY=1", "STATUS="]]);
    }
    outrider.signal("-TERM");
    assert_eq!(outrider.told(), ["STOPPING=1"]);
    outrider.ended_well();
    assert_eq!(health(ALL_IN_ONE).status.code(), Some(1));
}

#[test]
fn a_responder_that_waits_for_its_first_platform_keeps_no_manager_waiting() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "outrider_none").unwrap();
    let toml = "data_dir = 'data'\n[platform]\nurl = 'http://127.0.0.1:9'\ntoken_file = 'token'\n\
                [[gateways]]\nname = 'kong'\nadmin_url = 'http://127.0.0.1:9'\n";
    let mut responder = Managed::start("responder", directory.path(), toml);
    assert_eq!(responder.told(), ["READY=1", "STATUS=waiting for the platform's first answer"]);
    responder.signal("-TERM");
    responder.ended_well();
}

#[test]
fn a_mistake_in_the_configuration_is_told_apart_from_what_another_start_may_mend() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("data_dir = 'data'\n[api]\nlisten = '{}'\n", taken.local_addr().unwrap());
    let cases = [
        ("run", "data_dri = 'x'", 2),
        ("collector", ALL_IN_ONE, 2),
        ("platform", "", 2),
        ("responder", "", 2),
        ("run", &taken, 1),
    ];
    for (service, toml, status) in cases {
        let output = command(service, directory.path(), toml).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{service} {toml}: {said}");
        assert_eq!(said.contains("the configuration cannot be used"), status == 2, "{said}");
    }
}
