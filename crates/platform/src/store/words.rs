//! Erasing words of the audit log: which entries name somebody, and what stays to tell that from words that were removed.
//!
//! An id is looked for as a word of its own. A name that people gave may be a word of any text, and so may a number or an id
//! that is a plain word, so these have to be all of a field: the value of a filter, a literal of a statement, what comes after
//! the kind. Who was let in is nobody's to take away, so
//! that log is not looked at.

use std::borrow::Cow;

use outrider_model::{AuditEntry, EntityKind, Subject};
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};

use super::StoreError;
use super::apply::json;
use super::trail::{AuditLog, Content, ENTRIES, Entry, append_one};

/// What the entry says that names erased ones.
const ERASED: &str = "erased the words of entries";
/// Entries that are looked at at a time, and so the most that one entry names; more are named by several.
const NAMED_MAX: i64 = 1000;
/// Filters whose value is somebody.
const FILTERS: [&str; 3] = ["entity", "consumer", "subject"];

/// Somebody, by what they are called.
pub(super) struct Named<'a> {
    kind: EntityKind,
    id: &'a str,
    labels: &'a [String],
}

/// Entries whose words were erased, as the entry says that names them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ErasedWords {
    /// By their numbers.
    pub(super) numbers: Vec<i64>,
    /// Those whose words were not apart, with a hash over what is left of each.
    pub(super) blanked: Vec<(i64, String)>,
}

impl<'a> Named<'a> {
    pub(super) fn new(subject: &'a Subject, labels: &'a [String]) -> Self {
        Named { kind: subject.kind, id: &subject.value, labels }
    }

    /// Whether a text names them, as it is or as part of a query.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let labels = || self.labels.iter().map(String::as_str).chain([self.id]);
        let has_word = |text: &str| is_telling(self.id) && self.has_id(text);
        let is_in = |text: &str| has_word(text) || labels().any(|label| self.has_field(text, label));
        is_in(text) || is_in(&decoded(text)) || is_in(&text.replace("''", "'"))
    }

    /// Whether a text has their id in it, as a word of its own.
    fn has_id(&self, text: &str) -> bool {
        text.match_indices(self.id).any(|(at, id)| begins(&text[..at]) && ends(&text[at + id.len()..]))
    }

    fn has_field(&self, text: &str, label: &str) -> bool {
        let is_field = |before: &str, after: &str| {
            let is_value_of =
                |key: &str| before.strip_suffix('=').and_then(|rest| rest.strip_suffix(key)).is_some_and(begins);
            let is_filter = FILTERS.into_iter().any(is_value_of) && (after.is_empty() || after.starts_with('&'));
            let is_literal = ['\'', '"'].into_iter().any(|quote| before.ends_with(quote) && after.starts_with(quote));
            let kind = before.strip_suffix([' ', ':']).and_then(|rest| rest.strip_suffix(self.kind.as_str()));
            is_filter || is_literal || kind.is_some_and(begins) && ends(after)
        };
        text == label || text.match_indices(label).any(|(at, found)| is_field(&text[..at], &text[at + found.len()..]))
    }

    /// A text that names them has one of these in it.
    fn parts(&self) -> impl Iterator<Item = &str> {
        let names = || self.labels.iter().map(String::as_str).chain([self.id]);
        let has = |character| names().any(|name| name.contains(character));
        let as_query = ["%"].into_iter().chain(has(' ').then_some("+")).chain(has('\'').then_some("''"));
        names().chain(as_query)
    }
}

/// Whether a word begins after a text, or ends before one. Dots and dashes between letters are part of a word.
fn begins(before: &str) -> bool {
    is_apart(before.chars().rev())
}

fn ends(after: &str) -> bool {
    is_apart(after.chars())
}

fn is_apart(mut characters: impl Iterator<Item = char>) -> bool {
    match characters.next() {
        Some('-' | '.' | '@') => !characters.next().is_some_and(|next| next.is_alphanumeric() || next == '_'),
        Some(character) => !character.is_alphanumeric() && character != '_',
        None => true,
    }
}

/// Whether an id is no word or number that people write anyway.
fn is_telling(id: &str) -> bool {
    let has_letters = id.contains(char::is_alphabetic);
    let has_others = id.contains(|character: char| !character.is_alphabetic());
    let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
    id.len() >= 4 && has_others && (has_letters || !is_number || id.len() >= 8)
}

/// A text out of a query, without the escapes.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

impl Entry {
    /// Which entries were erased, where it is one that says so.
    pub(super) fn erased_words(&self) -> Result<Option<ErasedWords>, StoreError> {
        match &self.words_detail {
            Some(detail) if self.content.what == ERASED => {
                serde_json::from_str(detail).map(Some).map_err(StoreError::document("trail_words"))
            }
            _ => Ok(None),
        }
    }

    /// Whether its words name somebody, and may go. Who was let in is nobody's to take away.
    fn names(&self, named: &Named<'_>) -> bool {
        let Content { log, what, subject, detail, .. } = &self.content;
        if log == AuditLog::Access.as_str() || what == ERASED || self.has_no_words() {
            return false;
        }
        let words = [self.words_subject.as_ref().unwrap_or(subject), self.words_detail.as_ref().unwrap_or(detail)];
        words.into_iter().any(|text| named.is_in(text))
    }
}

/// Takes the words of every entry that names somebody away, leaves an entry that says of which, and says of how many.
pub(super) async fn erase_words(
    transaction: &mut Transaction<'_, Sqlite>,
    named: &Named<'_>,
    by: &str,
    erasure: &str,
    at_ms: i64,
) -> Result<u64, StoreError> {
    let mut erased = 0;
    for log in [AuditLog::Decisions, AuditLog::Reads] {
        let mut after = 0;
        loop {
            let mut words = ErasedWords::default();
            let entries = stretch_with(transaction, log, after, named).await?;
            let Some(last) = entries.last() else { break };
            after = last.content.number;
            for entry in entries.into_iter().filter(|entry| entry.names(named)) {
                take_words(transaction, entry, &mut words).await?;
            }
            erased += (words.numbers.len() + words.blanked.len()) as u64;
            // What was written before logs had chains of their own is forgotten with the decisions.
            let blanked = ErasedWords { blanked: std::mem::take(&mut words.blanked), ..ErasedWords::default() };
            for (log, words) in [(AuditLog::Decisions, blanked), (log, words)] {
                if words.numbers.is_empty() && words.blanked.is_empty() {
                    continue;
                }
                let (what, detail) = (ERASED.to_owned(), json("trail_words", &words)?);
                let entry = AuditEntry { at_ms, by: by.to_owned(), what, subject: erasure.to_owned(), detail };
                append_one(transaction, log, &entry).await?;
            }
        }
    }
    Ok(erased)
}

async fn take_words(
    transaction: &mut Transaction<'_, Sqlite>,
    mut entry: Entry,
    words: &mut ErasedWords,
) -> Result<(), StoreError> {
    let number = entry.content.number;
    let statements: &[&str] = if entry.salt.is_some() {
        words.numbers.push(number);
        &["DELETE FROM trail_words WHERE number = $1"]
    } else {
        (entry.content.subject, entry.content.detail) = (String::new(), String::new());
        words.blanked.push((number, entry.rest()?));
        &["UPDATE trail SET subject = '', detail = '' WHERE number = $1", "INSERT INTO trail_erased VALUES ($1)"]
    };
    for statement in statements {
        let query = sqlx::query(*statement).bind(number).execute(&mut **transaction);
        query.await.map_err(StoreError::query("erase words of the audit log"))?;
    }
    Ok(())
}

/// Entries of a log that may name somebody, some at a time: who looks at all of them holds up every decision.
async fn stretch_with(
    connection: &mut SqliteConnection,
    log: AuditLog,
    after: i64,
    named: &Named<'_>,
) -> Result<Vec<Entry>, StoreError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(ENTRIES);
    query.push(" WHERE trail.number > ").push_bind(after).push(" AND log = ").push_bind(log.as_str());
    query.push(" AND (1 = 0");
    for part in named.parts() {
        for text in ["COALESCE(words.subject, trail.subject)", "COALESCE(words.detail, trail.detail)"] {
            query.push(" OR INSTR(").push(text).push(", ").push_bind(part.to_owned()).push(") > 0");
        }
    }
    query.push(") ORDER BY trail.number LIMIT ").push_bind(NAMED_MAX);
    query.build_query_as().fetch_all(connection).await.map_err(StoreError::query("read the audit log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_all_of_a_field_and_an_id_a_word() {
        let subject = Subject::new(EntityKind::Consumer, "id-7").unwrap();
        let labels = ["alice@example.com", "events", "O'Brien", "al ice"].map(str::to_owned);
        let named = Named::new(&subject, &labels);
        for text in [
            "consumer id-7: it was too much",
            "I blocked id-7.",
            "kind=consumer&entity=id-7",
            "entity=alice%40example.com&kind=consumer",
            "entity=al+ice",
            "SELECT 1 FROM calls WHERE consumer = 'O''Brien'",
            "{\"value\":\"events\"}",
            "block consumer events",
            "q=consumer:events last 7d",
            "consumer%3Aalice%40example.com",
            "events",
        ] {
            assert!(named.is_in(text), "{text}");
        }
        for text in [
            "SELECT * FROM events",
            "kind=events&limit=1",
            "id-70",
            "id-7-b",
            "my.id-7",
            "x_id-7",
            "entity=events2",
            "a consumer and its events",
            "superconsumer events",
            "malice@example.com",
            "100%",
        ] {
            assert!(!named.is_in(text), "{text}");
        }
        // A word or number that others write is all of a field as well.
        for (kind, id) in [(EntityKind::Consumer, "block"), (EntityKind::Credential, "2026")] {
            let subject = Subject::new(kind, id).unwrap();
            let named = Named::new(&subject, &[]);
            assert!(named.is_in(&format!("entity={id}&kind={kind}")) && named.is_in(&format!("{kind} {id}: too much")));
            assert!(!named.is_in(&format!("I {id} and {id} again")), "{id}");
        }
    }
}
