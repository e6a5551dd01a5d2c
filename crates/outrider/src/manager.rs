//! Tells the service manager how far outrider is, as systemd's `Type=notify` asks for. Where there is none, nobody is told.

use sd_notify::NotifyState;

/// Everything has started, or the configuration was read again.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("")]);
}

/// It is as ready as it can be until something else comes, which may take days: whoever started it need not wait.
pub fn waiting(what: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("waiting {what}"))]);
}

/// The configuration is read again; [`ready`] follows.
pub fn reloading() {
    // Managers from systemd 253 on ask for the time of it.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager is not told of the reload"),
    }
}

/// The drain begins.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told how far outrider is");
    }
}
