//! Who looked at what is sensitive. The look is in the audit log before the answer is on its way: what cannot be noted is
//! not shown.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::http::{Method, Uri};
use outrider_model::AuditEntry;

use super::auth::Caller;
use super::problem::Problem;
use super::routes::{Operation, Read};
use super::{ApiState, now_ms};
use crate::store::AuditLog;

/// Within so long the same reader's looks at the same thing are one entry.
const COALESCED_MS: i64 = 60_000;
/// Things of one reader in that time that have an entry each; the further ones share one, so that nobody can push out what
/// the log holds by reading.
const THINGS_MAX: usize = 60;
/// Looks remembered; beyond that all are forgotten, and looks that go on are noted once more.
const REMEMBERED_MAX: usize = 10_000;

/// Characters of what an entry says was looked at, and by which filter.
const CHARS_MAX: usize = 256;

/// The routes whose answers are sensitive, and what looking is called; from the declarations of all routes.
static SENSITIVE: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let operations = super::routes().into_iter().flat_map(|routes| routes.operations);
    let what = |operation: Operation| match operation.read {
        Read::Sensitive(what) => Some((operation.path, what)),
        Read::Plain => None,
    };
    operations.filter_map(what).collect()
});

/// Looks of the present minute, by reader and thing.
#[derive(Debug, Default)]
pub(super) struct Reads {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    since_ms: i64,
    things: HashMap<(String, String), ()>,
    readers: HashMap<String, usize>,
}

impl Reads {
    /// What is to be noted of a look, if it is not yet.
    fn look(&self, by: &str, thing: &str, now_ms: i64) -> Option<Look> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back begins a new minute, too.
        if (now_ms - seen.since_ms).unsigned_abs() >= COALESCED_MS.unsigned_abs() || seen.things.len() >= REMEMBERED_MAX
        {
            *seen = Seen { since_ms: now_ms, ..Seen::default() };
        }
        if seen.things.contains_key(&(by.to_owned(), thing.to_owned())) {
            return None;
        }
        let things = seen.readers.entry(by.to_owned()).or_default();
        *things += 1;
        match *things {
            count if count <= THINGS_MAX => {
                seen.things.insert((by.to_owned(), thing.to_owned()), ());
                Some(Look::Thing)
            }
            count if count == THINGS_MAX + 1 => Some(Look::More),
            _ => None,
        }
    }

    /// Forgets a look that could not be noted, so that the next one is tried again.
    fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Look {
    Thing,
    /// One too many in a minute.
    More,
}

/// Notes that somebody looks at what is sensitive; does nothing for any other request.
pub(super) async fn note(
    state: &ApiState,
    caller: &Caller,
    method: &Method,
    route: &str,
    uri: &Uri,
) -> Result<(), Problem> {
    let Some(what) = SENSITIVE.get(route).filter(|_| matches!(*method, Method::GET | Method::HEAD)) else {
        return Ok(());
    };
    // `/api/v1/alerts/{id}` is about the id; a list is about what its filter lets through.
    let about = route.split_once('{').and_then(|(prefix, _)| uri.path().strip_prefix(prefix)).unwrap_or_default();
    let subject: String = about.chars().take(CHARS_MAX).collect();
    let detail = filter_of(uri.query().unwrap_or_default());
    let now_ms = now_ms();
    let thing = format!("{what} {subject} {detail}");
    let Some(look) = state.access.reads.look(&caller.by, &thing, now_ms) else { return Ok(()) };
    let (what, subject, detail) = match look {
        Look::Thing => ((*what).to_owned(), subject, detail),
        Look::More => (format!("read more than {THINGS_MAX} things in a minute"), String::new(), String::new()),
    };
    let entry = AuditEntry { at_ms: now_ms, by: caller.by.clone(), what, subject, detail };
    state.store.note(AuditLog::Reads, &entry).await.map_err(|error| {
        state.access.reads.forget();
        error.into()
    })
}

/// What of a query says which rows are wanted, as the request has it: all pages of a list are one look.
fn filter_of(query: &str) -> String {
    let is_filter = |pair: &&str| !pair.is_empty() && !matches!(pair.split('=').next(), Some("limit" | "cursor"));
    let pairs: Vec<_> = query.split('&').filter(is_filter).collect();
    pairs.join("&").chars().take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_one_look_and_filters_are_others() {
        for (query, expected) in [
            ("", ""),
            ("limit=5", ""),
            ("entity=a%2Fb&limit=5&cursor=opened.1.al_1", "entity=a%2Fb"),
            ("state=open&&entity=x", "state=open&entity=x"),
            ("limited=1", "limited=1"),
            (&"x".repeat(1000), &"x".repeat(CHARS_MAX)),
        ] {
            assert_eq!(filter_of(query), expected, "{query}");
        }
    }

    #[test]
    fn a_look_is_noted_once_a_minute_and_many_together() {
        let reads = Reads::default();
        assert_eq!(reads.look("anna", "alert 1", 1_000_000), Some(Look::Thing));
        for (by, thing, now_ms, expected) in [
            ("anna", "alert 1", 1_059_999, None),
            ("anna", "alert 2", 1_059_999, Some(Look::Thing)),
            ("bob", "alert 1", 1_059_999, Some(Look::Thing)),
            ("anna", "alert 1", 1_060_000, Some(Look::Thing)),
            ("anna", "alert 1", 0, Some(Look::Thing)),
        ] {
            assert_eq!(reads.look(by, thing, now_ms), expected, "{by} {thing} {now_ms}");
        }
        let looks: Vec<_> = (0..1000).filter_map(|n| reads.look("eve", &format!("alert {n}"), 1)).collect();
        assert_eq!((looks.len(), looks.last()), (THINGS_MAX + 1, Some(&Look::More)));
        reads.forget();
        assert_eq!(reads.look("anna", "alert 1", 2), Some(Look::Thing));
        for n in 0..3 * REMEMBERED_MAX {
            reads.look(&format!("n{n}"), "alert 1", 3);
            assert!(reads.seen.lock().unwrap().things.len() <= REMEMBERED_MAX);
        }
    }
}
