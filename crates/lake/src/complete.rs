//! What a search that is being typed may go on with: fields, and the values that the newest calls have.

use deltalake::arrow::array::AsArray as _;
use deltalake::arrow::datatypes::Int64Type;
use futures_util::future::BoxFuture;

use crate::page::Range;
use crate::query::QueryError;
use crate::reader::LakeReader;
use crate::schema::PARTITION;
use crate::search::{SEARCH_BYTES_MAX, SEARCH_FIELDS, SearchField, complete_field, literal};

/// Suggestions at most.
const SUGGESTIONS_MAX: usize = 10;
/// Values come from the calls of so many days, the newest.
const DAYS: usize = 2;

/// What the last word of a search may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The search with the word complete.
    pub search: String,
    /// What a field is, or how many calls of the newest days have a value.
    pub words: String,
}

impl LakeReader {
    /// What a search may go on with, the likeliest first; `gateways` are those whose calls may be looked at.
    pub fn complete<'a>(
        &'a self,
        search: &'a str,
        gateways: Option<&'a [String]>,
    ) -> BoxFuture<'a, Result<Vec<Suggestion>, QueryError>> {
        let suggestions = async move {
            if search.len() > SEARCH_BYTES_MAX {
                return Ok(Vec::new());
            }
            let Open { before, field, typed } = open(search);
            let Some(field) = field else {
                let fields = complete_field(typed).take(SUGGESTIONS_MAX);
                let suggestion = |field: &SearchField| Suggestion {
                    search: format!("{before}{}:", field.name),
                    words: field.words.to_owned(),
                };
                return Ok(fields.map(suggestion).collect());
            };
            let Some(column) = field.columns.first() else { return Ok(Vec::new()) };
            let values = self.newest_values(column, typed, gateways).await?;
            let suggestion = |(value, calls): (String, i64)| Suggestion {
                search: format!("{before}{}", quoted(&value)),
                words: format!("{calls} calls"),
            };
            Ok(values.into_iter().map(suggestion).collect())
        };
        self.in_turn(suggestions)
    }

    /// The commonest values of a column that begin so.
    async fn newest_values(
        &self,
        column: &str,
        typed: &str,
        gateways: Option<&[String]>,
    ) -> Result<Vec<(String, i64)>, QueryError> {
        let view = self.view().await?;
        let context = self.engine.context();
        view.register_events(&context, "events").await?;
        let days: Vec<_> = view.event_days()?.iter().rev().take(DAYS).map(|day| format!("DATE '{day}'")).collect();
        if days.is_empty() {
            return Ok(Vec::new());
        }
        let statement = format!(
            "SELECT CAST({column} AS VARCHAR) AS value, count(*) FROM events WHERE {PARTITION} IN ({}) \
             AND starts_with(CAST({column} AS VARCHAR), {}){} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {SUGGESTIONS_MAX}",
            days.join(", "),
            literal(typed),
            Range { gateways: gateways.map(<[String]>::to_vec), ..Range::default() }.conditions(),
        );
        let batches = context.sql(&statement).await?.collect().await?;
        let values = batches.iter().filter_map(|batch| {
            let values =
                batch.column(0).as_string_opt::<i32>()?.iter().map(|value| value.unwrap_or_default().to_owned());
            let counts = batch.column(1).as_primitive_opt::<Int64Type>()?.values().iter().copied();
            Some(values.zip(counts).collect::<Vec<_>>())
        });
        Ok(values.flatten().collect())
    }
}

/// The end of a search that is being typed.
#[derive(Debug)]
struct Open<'a> {
    /// What stays as it is.
    before: &'a str,
    /// The field whose value is being typed; `None` where it is a field's name or a word.
    field: Option<&'static SearchField>,
    /// What is there of the name or the value, without its quote.
    typed: &'a str,
}

fn open(search: &str) -> Open<'_> {
    let (mut word_at, mut value_at, mut is_quoted) = (0, None, false);
    for (at, character) in search.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            _ if character.is_whitespace() => (word_at, value_at) = (at + character.len_utf8(), None),
            ':' if value_at.is_none() => value_at = Some(at + 1),
            ',' if value_at.is_some() => value_at = Some(at + 1),
            _ => {}
        }
    }
    let word = &search[word_at..];
    let name_at = word_at + usize::from(word.starts_with('-'));
    let of_name = |name: &str| SEARCH_FIELDS.iter().find(|field| field.name == name);
    let field = search[name_at..].split_once(':').and_then(|(name, _)| of_name(name));
    match (field, value_at) {
        (Some(field), Some(at)) => {
            Open { before: &search[..at], field: Some(field), typed: search[at..].trim_start_matches('"') }
        }
        _ => Open { before: &search[..name_at], field: None, typed: &search[name_at..] },
    }
}

/// A value as it stands in a search.
fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '*' | '"'));
    if is_plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(search: &str, before: &str, field: Option<&str>, typed: &str) {
        let open = open(search);
        assert_eq!((open.before, open.field.map(|field| field.name), open.typed), (before, field, typed), "{search}");
    }

    #[test]
    fn the_end_of_a_search_is_what_is_typed() {
        check("", "", None, "");
        check("cons", "", None, "cons");
        check("status:404 -pa", "status:404 -", None, "pa");
        check("consumer:al", "consumer:", Some("consumer"), "al");
        check("-consumer:", "-consumer:", Some("consumer"), "");
        check("method:GET,PO", "method:GET,", Some("method"), "PO");
        check("consumer:\"user 1,", "consumer:", Some("consumer"), "user 1,");
        check("consumer:\"user 1\" ip:", "consumer:\"user 1\" ip:", Some("ip"), "");
        check("path:/a:b", "path:", Some("path"), "/a:b");
        check("zzz:1", "", None, "zzz:1");
        check("status:404\u{3000}pa", "status:404\u{3000}", None, "pa");
    }

    #[test]
    fn values_are_quoted_where_a_search_would_take_them_apart() {
        for (value, expected) in [("alice", "alice"), ("user 1", "\"user 1\""), ("a*", "\"a*\""), ("", "\"\"")] {
            assert_eq!(quoted(value), expected);
        }
    }
}
