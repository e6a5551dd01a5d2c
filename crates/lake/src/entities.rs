//! Which entities a call belongs to, in words of the events table.

use crate::functions::ENTITY_NAMES;
use crate::query::QueryError;
use crate::search::literal;

/// A kind of entity, and the expression over `events` that gives a call's entities of the kind, null where it has none.
pub(crate) struct EntityColumn {
    /// Its name in `entity_kind`.
    pub kind: &'static str,
    expression: Expression,
}

enum Expression {
    One(&'static str),
    /// A list of them.
    Many(String),
}

/// Every kind, in the order of the timeline. A credential is the gateway's id of it, else the pseudonym of what was presented
/// (decision 2); an entity of the business is `name:value`.
pub(crate) fn entity_columns() -> [EntityColumn; 6] {
    let one = |kind, expression| EntityColumn { kind, expression: Expression::One(expression) };
    let many = |kind, expression| EntityColumn { kind, expression: Expression::Many(expression) };
    [
        many("business", format!("{ENTITY_NAMES}(entities)")),
        one("consumer", "consumer_id"),
        one("credential", "coalesce(credential_id, presented_credential)"),
        one("ip", "client_ip"),
        one("network", "CAST(asn AS VARCHAR)"),
        one("session", "session"),
    ]
}

/// The kind of who acted in a call, and who it was (decision 1): `ApiCall::actor` in words of the events table.
pub(crate) fn actor() -> [String; 2] {
    let is_consumer = "consumer_id IS NOT NULL AND NOT anonymous_consumer AND credential_id IS NOT NULL";
    let credential = "coalesce(credential_id, presented_credential)";
    let kind = format!(
        "CASE WHEN {is_consumer} THEN 'consumer' WHEN {credential} IS NOT NULL THEN 'credential' ELSE 'ip' END"
    );
    let entity = format!("CASE WHEN {is_consumer} THEN consumer_id ELSE coalesce({credential}, client_ip) END");
    [kind, entity]
}

/// The kind of this name, where there is one.
pub(crate) fn known_column(kind: &str) -> Option<EntityColumn> {
    entity_columns().into_iter().find(|column| column.kind == kind)
}

/// The kind of this name.
pub(crate) fn entity_column(kind: &str) -> Result<EntityColumn, QueryError> {
    known_column(kind).ok_or_else(|| QueryError::Statement(format!("`{kind}` is no kind of entity")))
}

impl EntityColumn {
    /// The condition that a call is of this entity.
    pub(crate) fn is(&self, entity: &str) -> String {
        match &self.expression {
            Expression::One(expression) => format!("{expression} = {}", literal(entity)),
            Expression::Many(expression) => format!("array_has({expression}, {})", literal(entity)),
        }
    }

    /// The entity as a column, of which there is a row for each.
    pub(crate) fn each(&self) -> String {
        match &self.expression {
            Expression::One(expression) => (*expression).to_owned(),
            Expression::Many(expression) => format!("unnest({expression})"),
        }
    }

    /// The entity of a call, or a list of them.
    pub(crate) fn of_call(&self) -> &str {
        match &self.expression {
            Expression::One(expression) => expression,
            Expression::Many(expression) => expression,
        }
    }
}
