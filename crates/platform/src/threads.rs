//! The platform's threads, and what is said when one ends before its time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::assignments::Assignments;
use crate::error::PlatformError;
use crate::log::LogError;

/// Starts a thread. `failing` turns true when it ends with an error.
pub(crate) fn spawn(
    name: &'static str,
    failing: watch::Sender<bool>,
    run: impl FnOnce() -> Result<(), LogError> + Send + 'static,
) -> Result<JoinHandle<Result<(), LogError>>, PlatformError> {
    let body = move || {
        let result = catch_unwind(AssertUnwindSafe(run));
        match &result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, thread = name, "the thread cannot go on"),
            Err(_) => {
                tracing::error!(thread = name, "the thread has panicked; this is a mistake of ours, please report it")
            }
        }
        if !matches!(result, Ok(Ok(()))) {
            failing.send_replace(true);
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    };
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(body).map_err(|source| PlatformError::System { doing: "start a thread", source })
}

/// Tells the lake that no more endpoint ids will come, however the analysis ends.
pub(crate) struct EndOfIds(pub Option<Arc<Assignments>>);

impl Drop for EndOfIds {
    fn drop(&mut self) {
        if let Some(ids) = &self.0 {
            ids.end();
        }
    }
}
