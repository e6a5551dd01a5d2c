//! A process that is measured from outside.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

/// A process, and where it may write. It ends with this.
pub struct Process {
    child: Child,
    said: PathBuf,
}

/// A command that has one core, the last of the machine.
pub fn on_one_core(program: &Path) -> Command {
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &last.to_string()]).arg(program);
    command
}

/// Lets this process and those that it starts have so many files open.
pub fn allow_open_files(count: usize) -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.current.unwrap_or(u64::MAX).max(count as u64);
    anyhow::ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= wanted),
        "{count} open files are needed, and the limit is {:?}; raise it (`ulimit -Hn`), or ask for fewer --connections",
        limit.maximum
    );
    limit.current = Some(wanted);
    Ok(setrlimit(Resource::Nofile, limit)?)
}

impl Process {
    /// Starts it; what it says goes to a file in the directory.
    pub fn start(command: &mut Command, directory: &Path) -> anyhow::Result<Process> {
        let said = directory.join("said");
        let output = File::create(&said)?;
        let command = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Process { child, said })
    }

    /// The processor time that it has used, in seconds.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.proc("stat")?;
        // Behind the name, which may have anything in it: state, and from the twelfth on user and system time.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("/proc has other fields");
        Ok((ticks(11)? + ticks(12)?) as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Its resident memory, in bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = self.proc("status")?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.context("/proc says nothing of its memory")? * 1024)
    }

    /// Asks it to stop, and waits for that.
    pub fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).with_context(|| {
            let said = std::fs::read_to_string(&self.said).unwrap_or_default();
            format!("it has ended; it said: {said}")
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing else can be done about one that does not go.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
