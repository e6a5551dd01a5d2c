//! What of a line an operator does not want to leave at all. Only what would leave can be dropped, and not what tells calls
//! and callers apart.

use outrider_model::{ApiCall, Text};

use super::Problem;
use super::expression::Compiled;

/// What is taken from each call.
#[derive(Debug, Default)]
pub(super) struct Drops(Vec<Dropped>);

/// A part of the call that a place in the line becomes.
#[derive(Debug, PartialEq, Eq)]
enum Dropped {
    /// Headers of this name, which is in lower case.
    Header(String),
    /// Query fields of this name.
    Query(String),
    ConsumerUsername,
    ConsumerCustomId,
    ConsumerTags,
    ResponseType,
}

impl Dropped {
    /// `None` for a place that cannot be dropped.
    fn at(place: &[String]) -> Option<Dropped> {
        match place.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["request", "headers", name] => Some(Dropped::Header(name.to_ascii_lowercase())),
            ["request", "querystring", name] => Some(Dropped::Query((*name).to_owned())),
            ["consumer", "username"] => Some(Dropped::ConsumerUsername),
            ["consumer", "custom_id"] => Some(Dropped::ConsumerCustomId),
            ["consumer", "tags"] => Some(Dropped::ConsumerTags),
            ["response", "headers", "content-type"] => Some(Dropped::ResponseType),
            _ => None,
        }
    }
}

impl Drops {
    /// Adds a place of the line.
    pub(super) fn add(&mut self, compiled: Result<Compiled, Problem>) -> Result<(), Problem> {
        let Compiled::Place(path) = compiled? else {
            return Err(Problem::new(
                "this is no place in the line; write one, such as `line.request.headers[\"x-debug\"]`",
            ));
        };
        self.0.push(Dropped::at(&path).ok_or_else(|| Problem::new(POSSIBLE))?);
        Ok(())
    }

    /// Whether it names a place.
    pub(super) fn has(&self, path: &[String]) -> bool {
        Dropped::at(path).is_some_and(|place| self.0.contains(&place))
    }

    /// Whether headers of this name are dropped, which is in lower case.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.0.iter().any(|dropped| matches!(dropped, Dropped::Header(known) if known == name))
    }

    /// Whether query fields of this name are dropped.
    pub(super) fn has_query(&self, name: &str) -> bool {
        self.0.iter().any(|dropped| matches!(dropped, Dropped::Query(known) if known == name))
    }

    /// Takes from a call what is dropped besides headers and query fields.
    pub(super) fn apply(&self, call: &mut ApiCall<'_>) {
        for dropped in &self.0 {
            match (dropped, &mut call.consumer) {
                (Dropped::Header(_) | Dropped::Query(_), _) => {}
                (Dropped::ResponseType, _) => call.response_type = Text::EMPTY,
                (Dropped::ConsumerUsername, Some(consumer)) => consumer.username = Text::EMPTY,
                (Dropped::ConsumerCustomId, Some(consumer)) => consumer.custom_id = Text::EMPTY,
                (Dropped::ConsumerTags, Some(consumer)) => consumer.tags.clear(),
                (_, None) => {}
            }
        }
    }
}

const POSSIBLE: &str = "this cannot be dropped; what can be is `line.request.headers[\"NAME\"]`, \
                        `line.request.querystring[\"NAME\"]`, `line.consumer.username`, `line.consumer.custom_id`, \
                        `line.consumer.tags` and `line.response.headers[\"content-type\"]`. What nothing maps of the rest of \
                        a line never leaves";
