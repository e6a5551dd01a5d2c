//! Operations: what callers ask of an endpoint that takes many, such as the name of a GraphQL operation.
//!
//! Callers choose them, so one gets an endpoint of its own (`/graphql#GetUser`) only when several actors have sent it often
//! enough for a name; until then, and beyond a limit, its calls belong to the endpoint without it. In the trie they hang
//! below a node of their own, which is called as no segment of a path can be, so that they say nothing of paths.

use std::borrow::Cow;

use outrider_model::{ApiCall, FieldValue, OPERATION_FIELD};

use crate::catalogue::Catalogue;
use crate::learn::ActorKey;
use crate::path::{Path, segment_key};
use crate::shape::value_shape;
use crate::trie::{NONE, Node, NodeId, Trie};

/// What the node is called that operations hang below, and what stands before one in a template. A path has no such segment:
/// see [`Path`].
pub(crate) const MARK: &str = "#";

/// Bytes of an operation; what is longer is a text that somebody sent.
const OPERATION_BYTES_MAX: usize = 128;

/// Last segments of paths that speak GraphQL, in lower case.
const GRAPHQL: [&str; 2] = ["graphql", "gql"];

/// Where GraphQL over HTTP has the operation's name: in the query of a GET, and in a header of Apollo's clients.
const GRAPHQL_FIELD: &str = "operationName";
const GRAPHQL_HEADER: &str = "x-apollo-operation-name";

/// The path of a template, without its operation.
pub(crate) fn path_of(template: &str) -> &str {
    operation_of(template).map_or(template, |operation| &template[..template.len() - operation.len() - MARK.len()])
}

/// The operation of a template.
pub(crate) fn operation_of(template: &str) -> Option<&str> {
    template.split_once(MARK).map(|(_, operation)| operation).filter(|operation| is_operation(operation))
}

/// Whether a text may be an operation: a name such as `GetUser`, `eth_getBalance` or `tools/list`, and nothing like an id.
pub(crate) fn is_operation(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'/' | b'$');
    text.len() <= OPERATION_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '$'))
        && text.bytes().all(fits)
        && text.split(['/', ':']).all(|part| !part.is_empty() && value_shape(part, OPERATION_BYTES_MAX).is_none())
}

/// The operation that a call asks for, as it is written in a template.
pub(crate) fn operation<'c>(call: &'c ApiCall<'_>, path: &Path<'_>) -> Option<Cow<'c, str>> {
    let clear = |value: &'c FieldValue<'_>| match value {
        FieldValue::Clear(text) => Some(&**text),
        FieldValue::Flag | FieldValue::Pseudonym(..) | FieldValue::Redacted => None,
    };
    let is_mapped = call.fields.iter().any(|field| field.name == OPERATION_FIELD);
    let sent = call.operation().or_else(|| {
        // Several of them are a batch, which is none.
        if is_mapped {
            return None;
        }
        let last = &path.segments.last()?.text;
        if !GRAPHQL.iter().any(|name| name.eq_ignore_ascii_case(last)) {
            return None;
        }
        let in_query = call.query.iter().find(|field| field.name == GRAPHQL_FIELD);
        let field = in_query.or_else(|| call.headers.iter().find(|field| field.name == GRAPHQL_HEADER))?;
        clear(&field.value)
    })?;
    let name = bare(sent);
    is_operation(name).then_some(Cow::Borrowed(name))
}

/// An operation without what SOAP writes around it: quotes, and the namespace that it is of.
fn bare(sent: &str) -> &str {
    let sent = sent.trim();
    let sent = sent.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(sent);
    if sent.contains("://") || sent.starts_with("urn:") {
        return sent.rsplit(['/', '#', ':']).next().unwrap_or(sent);
    }
    sent
}

/// Whether a node is what the operations of its parent hang below.
pub(crate) fn is_mark(node: &Node) -> bool {
    node.name() == Some(MARK)
}

/// Whether nothing of a path is below a node.
pub(crate) fn is_end_of_path(trie: &Trie, node: NodeId) -> bool {
    trie[node].parameter == NONE && trie[node].names.iter().all(|entry| is_mark(&trie[entry.1]))
}

impl Catalogue {
    /// The node that an operation has below one, if it has one.
    pub(crate) fn operation_at(&self, node: NodeId, operation: &str) -> Option<NodeId> {
        let mark = self.state.trie.named(node, segment_key(MARK), MARK)?;
        self.state.trie.named(mark, segment_key(operation), operation)
    }

    /// The node of an operation below one, made when enough has been seen of it; `None` while its calls belong to the
    /// endpoint without it.
    pub(crate) fn learn_operation(
        &mut self,
        node: NodeId,
        operation: &str,
        actor: &mut ActorKey<'_>,
    ) -> Option<NodeId> {
        let key = segment_key(MARK);
        let mark = match self.state.trie.named(node, key, MARK) {
            Some(mark) => mark,
            None => self.new_name(node, key, MARK)?,
        };
        self.visit(mark, actor);
        let key = segment_key(operation);
        if let Some(known) = self.state.trie.named(mark, key, operation) {
            self.visit(known, actor);
            return Some(known);
        }
        let watched = self.parameter_or_add(mark)?;
        let place = &self.state.places[self.state.trie[node].place as usize];
        let actors_min = self.settings.confident_actors.min(place.actors.count_ones());
        let calls_min = self.settings.confident_calls;
        let seen = self.watch(watched, key, actor)?;
        if seen.calls < calls_min
            || seen.actors.count_ones() < actors_min
            || !self.has_room_for_operation(mark, seen.actors)
        {
            return None;
        }
        let made = self.new_name(mark, key, operation)?;
        self.unwatch(watched, key);
        let child = &mut self.state.trie[made];
        (child.calls, child.actors) = (seen.calls - 1, seen.actors);
        self.visit(made, actor);
        Some(made)
    }

    /// Whether one more operation of these actors may hang below a node. Where there are too many the one goes that was not used
    /// for long, else one that fewer actors use: so nobody keeps what more people ask for out.
    fn has_room_for_operation(&mut self, mark: NodeId, actors: u64) -> bool {
        if self.state.trie[mark].names.len() < self.settings.operations_per_endpoint_max {
            return true;
        }
        let least = self.least_operation(mark).filter(|&(is_used, users, _)| !is_used || users < actors.count_ones());
        let Some((_, _, least)) = least else {
            self.state.counters.operations_per_endpoint_max += 1;
            return false;
        };
        self.forget_end(least);
        true
    }

    /// The operation below a node that is worth the least, whether it was used lately, and by how many.
    fn least_operation(&self, mark: NodeId) -> Option<(bool, u32, NodeId)> {
        let oldest = self.state.epoch.saturating_sub(self.settings.forget_after_epochs);
        let worth = |&(key, id): &(u64, NodeId)| {
            let node = &self.state.trie[id];
            ((node.last_epoch >= oldest, node.actors.count_ones(), node.calls, key), id)
        };
        let least = self.state.trie[mark].names.iter().map(worth).min();
        least.map(|((is_used, users, _, _), id)| (is_used, users, id))
    }

    /// Confirms the operations below a node that have enough evidence; they are not weighed as names of a path are.
    pub(crate) fn confirm_operations(&mut self, mark: NodeId) {
        // Endpoints that became one may have more together than one may have.
        while self.state.trie[mark].names.len() > self.settings.operations_per_endpoint_max {
            let Some((_, _, least)) = self.least_operation(mark) else { break };
            self.state.counters.operations_per_endpoint_max += 1;
            self.forget_end(least);
        }
        self.state.trie[mark].confident = true;
        for (_, id) in self.state.trie[mark].names.clone() {
            if !self.state.trie[id].confident && self.is_confirmed_by_calls(id) {
                self.state.trie[id].confident = true;
                self.refresh(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_names_and_nothing_like_a_value() {
        let names =
            ["GetUser", "eth_getBalance", "tools/list", "Shop:Buy", "v2.search", "IntrospectionQuery", "$x", "__type"];
        for name in names {
            assert!(is_operation(name), "{name}");
        }
        let long = "Get".repeat(50);
        let others = [
            "",
            "7",
            "b37500b2-a411-43f5-9907-2e7a60344ced",
            "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38",
            "q_4uLU6hMCjMI75M1A2tKUQC",
            "Get User",
            "a#b",
            "a{b}",
            "a//b",
            "/a",
            "é",
            "get/12345",
            &long,
        ];
        for text in others {
            assert!(!is_operation(text), "{text}");
        }
    }

    #[test]
    fn actions_of_soap_lose_their_namespace() {
        for (sent, expected) in [
            ("\"http://tempuri.org/IOrders/GetOrder\"", "GetOrder"),
            ("urn:shop:orders#Cancel", "Cancel"),
            (" GetUser ", "GetUser"),
            ("tools/list", "tools/list"),
            ("\"\"", ""),
        ] {
            assert_eq!(bare(sent), expected, "{sent}");
        }
    }
}
