//! What of a line an operator does not want to leave at all. Only what would leave can be dropped, and not what tells calls
//! and callers apart.

use outrider_model::{ApiCall, Field, Text};

use super::expression::Compiled;
use super::{Path, Problem};

/// What is taken from each call.
#[derive(Debug, Default)]
pub(super) struct Drops {
    headers: Vec<String>,
    query: Vec<String>,
    others: Vec<Other>,
}

/// A part of the call that is no list of fields.
#[derive(Debug, Clone, Copy)]
enum Other {
    ConsumerUsername,
    ConsumerCustomId,
    ConsumerTags,
    ResponseType,
}

impl Drops {
    /// Adds a place of the line.
    pub(super) fn add(&mut self, compiled: Result<Compiled, Problem>) -> Result<(), Problem> {
        let Compiled::Place(path) = compiled? else {
            return Err(Problem::new(
                "this is no place in the line; write one, such as `line.request.headers[\"x-debug\"]`",
            ));
        };
        match names(&path).as_slice() {
            ["request", "headers", name] => self.headers.push(name.to_ascii_lowercase()),
            ["request", "querystring", name] => self.query.push((*name).to_owned()),
            ["consumer", "username"] => self.others.push(Other::ConsumerUsername),
            ["consumer", "custom_id"] => self.others.push(Other::ConsumerCustomId),
            ["consumer", "tags"] => self.others.push(Other::ConsumerTags),
            ["response", "headers", "content-type"] => self.others.push(Other::ResponseType),
            _ => return Err(Problem::new(POSSIBLE)),
        }
        Ok(())
    }

    /// Whether it names a place.
    pub(super) fn has(&self, path: &[String]) -> bool {
        let other = |wanted: fn(&Other) -> bool| self.others.iter().any(wanted);
        match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["request", "headers", name] => self.headers.iter().any(|dropped| dropped.eq_ignore_ascii_case(name)),
            ["request", "querystring", name] => self.query.iter().any(|dropped| dropped == name),
            ["consumer", "username"] => other(|other| matches!(other, Other::ConsumerUsername)),
            ["consumer", "custom_id"] => other(|other| matches!(other, Other::ConsumerCustomId)),
            ["consumer", "tags"] => other(|other| matches!(other, Other::ConsumerTags)),
            ["response", "headers", "content-type"] => other(|other| matches!(other, Other::ResponseType)),
            _ => false,
        }
    }

    pub(super) fn apply(&self, call: &mut ApiCall<'_>) {
        let keep = |fields: &mut Vec<Field<'_>>, dropped: &[String]| {
            if !dropped.is_empty() {
                fields.retain(|field| !dropped.iter().any(|name| field.name == **name));
            }
        };
        keep(&mut call.headers, &self.headers);
        keep(&mut call.query, &self.query);
        for other in &self.others {
            match (other, &mut call.consumer) {
                (Other::ResponseType, _) => call.response_type = Text::EMPTY,
                (Other::ConsumerUsername, Some(consumer)) => consumer.username = Text::EMPTY,
                (Other::ConsumerCustomId, Some(consumer)) => consumer.custom_id = Text::EMPTY,
                (Other::ConsumerTags, Some(consumer)) => consumer.tags.clear(),
                (_, None) => {}
            }
        }
    }
}

const POSSIBLE: &str = "this cannot be dropped; what can be is `line.request.headers[\"NAME\"]`, \
                        `line.request.querystring[\"NAME\"]`, `line.consumer.username`, `line.consumer.custom_id`, \
                        `line.consumer.tags` and `line.response.headers[\"content-type\"]`. What nothing maps of the rest of \
                        a line never leaves";

fn names(path: &Path) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
