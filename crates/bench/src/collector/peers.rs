//! Log collectors of others, set to do with each line what comes nearest: take it from a connection, parse its JSON, and
//! write it to a file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::process::{Process, on_one_core};

/// A collector of others, as Debian has it.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    Rsyslog,
    SyslogNg,
}

impl Peer {
    pub const ALL: [Peer; 2] = [Peer::Rsyslog, Peer::SyslogNg];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Rsyslog => "rsyslog",
            Peer::SyslogNg => "syslog-ng",
        }
    }

    /// The package that has it.
    pub fn package(self) -> &'static str {
        match self {
            Peer::Rsyslog => "rsyslog",
            Peer::SyslogNg => "syslog-ng-core",
        }
    }

    /// Its program, where it is installed: in `PATH`, or where Debian has the system's own.
    fn program(self) -> Option<PathBuf> {
        let name = match self {
            Peer::Rsyslog => "rsyslogd",
            Peer::SyslogNg => "syslog-ng",
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        directories.map(|directory| directory.join(name)).find(|program| program.is_file())
    }

    pub fn is_there(self) -> bool {
        self.program().is_some()
    }

    /// Starts it on a port; says where it writes.
    pub fn start(self, directory: &Path, port: u16) -> anyhow::Result<(Process, PathBuf)> {
        let (config, output) = (directory.join("config"), directory.join("output"));
        let at = directory.display();
        let text = match self {
            Peer::Rsyslog => format!(
                r#"global(workDirectory="{at}" maxMessageSize="64k")
module(load="imptcp")
module(load="mmjsonparse")
template(name="parsed" type="list") {{ property(name="$!all-json-plain") constant(value="\n") }}
input(type="imptcp" address="127.0.0.1" port="{port}" ruleset="calls")
ruleset(name="calls") {{
    action(type="mmjsonparse" cookie="" useRawMsg="on")
    action(type="omfile" file="{at}/output" template="parsed" asyncWriting="off" flushOnTXEnd="on" ioBufferSize="64k")
}}
"#
            ),
            Peer::SyslogNg => format!(
                r#"@version: current
options {{ stats-freq(0); log-msg-size(262144); }};
source calls {{ network(ip("127.0.0.1") port({port}) transport("tcp") flags(no-parse) log-iw-size(10000) log-fetch-limit(1000)); }};
parser parsed {{ json-parser(prefix(".json.")); }};
destination file {{ file("{at}/output" template("$(format-json --subkeys .json.)\n") flush-lines(1000)); }};
log {{ source(calls); parser(parsed); destination(file); flags(flow-control); }};
"#
            ),
        };
        std::fs::write(&config, text)?;
        let mut command = on_one_core(&self.program().context("it is not installed")?);
        match self {
            Peer::Rsyslog => command.args(["-n", "-i", "NONE", "-f"]).arg(&config),
            Peer::SyslogNg => command
                .args(["--foreground", "--no-caps", "--stderr"])
                .arg(format!("--cfgfile={}", config.display()))
                .arg(format!("--persist-file={at}/persist"))
                .arg(format!("--pidfile={at}/pid"))
                .arg(format!("--control={at}/control")),
        };
        Ok((Process::start(&mut command, directory)?, output))
    }
}

/// How many lines a file has that grows.
pub struct Written {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
}

impl Written {
    pub fn new(path: PathBuf) -> Written {
        Written { path, file: None, lines: 0 }
    }

    /// Whether the first line is JSON with what calls have in it.
    pub fn is_parsed(&self) -> anyhow::Result<bool> {
        let mut line = String::new();
        BufReader::new(File::open(&self.path)?).read_line(&mut line)?;
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        Ok(value["request"]["method"].is_string() && !value["latencies"].is_null())
    }

    /// Reads what came since the last time.
    pub fn lines(&mut self) -> anyhow::Result<usize> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        let mut chunk = vec![0; 1024 * 1024];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(self.lines),
                length => self.lines += memchr::memchr_iter(b'\n', &chunk[..length]).count(),
            }
        }
    }
}
