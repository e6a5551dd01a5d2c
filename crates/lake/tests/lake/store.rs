//! A store that speaks S3, for the time of a test. `make engines` installs it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long it is waited for; Python takes some seconds to begin.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// A running store with an empty bucket `lake`. It ends with this, also when a test is killed.
pub struct Store {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    pub port: u16,
}

impl Store {
    /// One as it should be, or one that does not heed conditional puts.
    pub fn start(is_forgetful: bool) -> Store {
        let python =
            std::env::var("OUTRIDER_ENGINES").expect("OUTRIDER_ENGINES names the interpreter that has the store");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lake/tests/engines/store.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(is_forgetful.then_some("--forgetful"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let (answer, answers) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| answer.send(line)));
        let mut store = Store { child, orders, answers, port: 0 };
        store.port = store.answer().parse().unwrap();
        store
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Closes its port, and opens it again.
    pub fn go(&mut self, away_or_back: &str) {
        writeln!(self.orders, "{away_or_back}").unwrap();
        self.answer();
    }

    fn answer(&self) -> String {
        self.answers.recv_timeout(ANSWER_TIME_MAX).expect("the store answers").trim().to_owned()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A file with keys that this store takes.
pub fn keys(directory: &Path) -> PathBuf {
    let path = directory.join("keys");
    std::fs::write(&path, "[default]\naws_access_key_id = test\naws_secret_access_key = hidden-secret\n").unwrap();
    path
}
