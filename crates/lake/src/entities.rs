//! Which entities a call belongs to, in words of the events table.

/// A kind of entity: its name in `entity_kind`, and the expression over `events` that gives a call's entity of the kind,
/// null where it has none. A credential is the gateway's id of it, else the pseudonym of what was presented (decision 2).
pub(crate) struct EntityColumn {
    pub kind: &'static str,
    pub expression: &'static str,
}

/// Every kind, in the order of the timeline.
pub(crate) const ENTITY_COLUMNS: [EntityColumn; 4] = [
    EntityColumn { kind: "consumer", expression: "consumer_id" },
    EntityColumn { kind: "credential", expression: "coalesce(credential_id, presented_credential)" },
    EntityColumn { kind: "ip", expression: "client_ip" },
    EntityColumn { kind: "session", expression: "session" },
];

/// The expression for a kind; `None` for a name that is no kind.
pub(crate) fn expression(kind: &str) -> Option<&'static str> {
    ENTITY_COLUMNS.iter().find(|column| column.kind == kind).map(|column| column.expression)
}
