//! How the way to the platform is: since when it answers, or since when and why it does not, in words that say what to do.
//!
//! The uplink notes what became of each request; the local socket, the heartbeat and `outrider doctor` read it.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What is known of the way to the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkStatus {
    /// The platform's address as configured.
    pub url: String,
    /// Since when every request was answered; none before the first answer and while there is trouble.
    pub connected_since_ms: Option<i64>,
    /// When the platform last took or gave something.
    pub answered_ms: Option<i64>,
    /// What keeps it from that now.
    pub trouble: Option<Trouble>,
    /// What kept it from that last, and is over.
    pub last_trouble: Option<PastTrouble>,
    /// How far this clock is ahead of the platform's, as of the last heartbeat.
    pub clock_ahead_ms: Option<i64>,
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When it began.
    pub since_ms: i64,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub todo: String,
}

/// What was in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastTrouble {
    /// When it began.
    pub since_ms: i64,
    /// When the platform answered again.
    pub until_ms: i64,
    /// What was seen last.
    pub seen: String,
}

/// The way as it is now.
#[derive(Debug, Default)]
pub struct Link(Mutex<LinkStatus>);

impl Link {
    pub fn new(url: &str) -> Link {
        Link(Mutex::new(LinkStatus { url: url.to_owned(), ..LinkStatus::default() }))
    }

    /// What is known.
    pub fn status(&self) -> LinkStatus {
        self.lock().clone()
    }

    /// The platform took or gave something.
    pub fn answered(&self, now_ms: i64) {
        let mut status = self.lock();
        status.connected_since_ms.get_or_insert(now_ms);
        status.answered_ms = Some(now_ms);
        if let Some(Trouble { since_ms, seen, .. }) = status.trouble.take() {
            status.last_trouble = Some(PastTrouble { since_ms, until_ms: now_ms, seen });
        }
    }

    /// It did not.
    pub fn failed(&self, failure: Failure, now_ms: i64) {
        let mut status = self.lock();
        status.connected_since_ms = None;
        let since_ms = status.trouble.as_ref().map_or(now_ms, |before| before.since_ms);
        status.trouble = Some(Trouble { since_ms, seen: failure.seen, todo: failure.todo.to_owned() });
    }

    /// What the platform said of this clock.
    pub fn clock_ahead(&self, ahead_ms: i64) {
        self.lock().clock_ahead_ms = Some(ahead_ms);
    }

    /// Each change is in one piece, so a panic elsewhere leaves it good.
    fn lock(&self) -> std::sync::MutexGuard<'_, LinkStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub todo: &'static str,
}

impl Failure {
    /// A file of this service's own cannot be used.
    pub fn of_files(error: &anyhow::Error) -> Failure {
        Failure { seen: format!("{error:#}"), todo: "put the file right; it is read again at the next try" }
    }

    /// No answer came.
    pub fn of_connection(url: &str, error: &anyhow::Error) -> Failure {
        let words = format!("{error:#}");
        match error.chain().find_map(tls_error) {
            Some(rustls::Error::AlertReceived(alert)) => Failure {
                seen: format!("the platform at {url} refuses this service's certificate ({alert:?})"),
                todo: "give it a certificate of an authority in the platform's premises.client_ca_file that is not expired \
                       (`outrider ca issue --client NAME` at the platform), and name its files with platform.certificate_file \
                       and platform.key_file",
            },
            Some(rustls::Error::InvalidCertificate(why)) => Failure {
                seen: format!("this service does not trust the certificate of the platform at {url}: {why}"),
                todo: "name the authority that signed it with platform.ca_file; if it expired or is for another name, make a \
                       new one at the platform (`outrider ca issue NAME`) and put it in place of the old one",
            },
            Some(_) => Failure {
                seen: format!("the platform at {url} and this service do not agree on TLS: {words}"),
                todo: "platform.url names the platform's premises.listen, with https where that has a certificate and http \
                       where it has none",
            },
            None => Failure {
                seen: format!("the platform at {url} cannot be reached: {words}"),
                todo: "is the platform running, does platform.url name its premises.listen, and does a firewall let this \
                       machine connect there?",
            },
        }
    }

    /// The platform, or whoever answers in its place, refuses.
    pub fn of_refusal(status: u16, seen: String) -> Failure {
        let todo = match status {
            401 => {
                "make an identity at the platform with `outrider service create`, and put its token into platform.token_file"
            }
            403 => "make an identity of the right kind for the right gateways with `outrider service create`",
            409 => "see what the platform says; it is tried again",
            413 | 422 => "run the same version of outrider on both sides",
            _ => "look at the platform's own log and at platform.url; it is tried again",
        };
        Failure { seen, todo }
    }
}

/// The TLS library's own error, wherever in the chain an IO error hides it.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let hidden = || error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>();
    error.downcast_ref::<rustls::Error>().or_else(hidden)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use rustls::{AlertDescription, CertificateError};

    use super::*;

    #[test]
    fn each_trouble_is_told_in_plain_words() {
        let hidden =
            |error: rustls::Error| anyhow::Error::from(Error::new(ErrorKind::InvalidData, error)).context("send");
        let cases = [
            (
                hidden(rustls::Error::AlertReceived(AlertDescription::UnknownCA)),
                "refuses this service's",
                "ca issue --client",
            ),
            (
                hidden(rustls::Error::InvalidCertificate(CertificateError::Expired)),
                "does not trust",
                "platform.ca_file",
            ),
            (hidden(rustls::Error::DecryptError), "agree on TLS", "https"),
            (Error::from(ErrorKind::ConnectionRefused).into(), "cannot be reached: connection refused", "firewall"),
        ];
        for (error, seen, todo) in cases {
            let failure = Failure::of_connection("https://x", &error);
            assert!(failure.seen.contains(seen) && failure.seen.contains("https://x"), "{failure:?}");
            assert!(failure.todo.contains(todo), "{failure:?}");
        }
        assert!(Failure::of_refusal(401, "no".to_owned()).todo.contains("service create"));
    }

    #[test]
    fn trouble_lasts_from_its_beginning_to_the_next_answer() {
        let link = Link::new("https://x");
        let fail = |now_ms: i64| link.failed(Failure { seen: now_ms.to_string(), todo: "look" }, now_ms);
        link.answered(1);
        link.answered(2);
        assert_eq!((link.status().connected_since_ms, link.status().answered_ms), (Some(1), Some(2)));
        fail(3);
        fail(4);
        let status = link.status();
        let trouble = Trouble { since_ms: 3, seen: "4".to_owned(), todo: "look".to_owned() };
        assert_eq!((status.connected_since_ms, status.answered_ms, status.trouble), (None, Some(2), Some(trouble)));
        link.answered(5);
        assert_eq!((link.status().connected_since_ms, link.status().trouble), (Some(5), None));
        let past = PastTrouble { since_ms: 3, until_ms: 5, seen: "4".to_owned() };
        assert_eq!(link.status().last_trouble, Some(past), "it is told when it is over");
    }
}
