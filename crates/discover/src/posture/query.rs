//! Queries over the lake that show what a weakness rests on.

use outrider_model::{EndpointId, Sign};

use super::weakness::ServiceKey;

/// The calls that an inventory counts as known, in SQL: those whose answer shows that the API knows the path.
const KNOWN: &str = "trusted AND own_refusal IS NULL AND answered_by = 'upstream' AND (status BETWEEN 200 AND 399 OR status IN (409, 412, 422))";

/// Nothing in a call that could prove who calls, in SQL. Of an `authorization` header that no source takes for a key, or that Kong wrote
/// `REDACTED` for, `access` says nothing, so it is asked for by name.
const UNAUTHENTICATED: &str =
    "access IN ('nothing', 'anonymous') AND session IS NULL AND NOT has_field(headers, 'authorization')";

/// A query that counts calls, under construction.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    conditions: Vec<String>,
}

impl Query {
    /// Calls of an endpoint, as endpoints are now.
    pub fn of_endpoint(gateway: &str, endpoint: EndpointId) -> Query {
        Query { conditions: vec![equal("gateway", gateway), equal("current_endpoint_id", &endpoint.to_string())] }
    }

    /// Calls of a service.
    pub fn of_service(key: &ServiceKey) -> Query {
        let mut conditions = vec![equal("gateway", &key.gateway)];
        match key.service.strip_prefix("host:") {
            Some(host) => {
                conditions.push(equal("workspace", &key.workspace));
                conditions.push("service_id IS NULL".to_owned());
                conditions.push(equal("host", host));
            }
            None => conditions.push(equal("service_id", &key.service)),
        }
        Query { conditions }
    }

    /// Calls at a gateway that have a value in a column.
    pub fn of_gateway(gateway: &str, column: &str, value: &str) -> Query {
        Query { conditions: vec![equal("gateway", gateway), equal(column, value)] }
    }

    /// Those of them that hold this, too.
    pub fn and(mut self, condition: &str) -> Query {
        self.conditions.push(condition.to_owned());
        self
    }

    /// Those that an inventory counts.
    pub fn known(self) -> Query {
        self.and(KNOWN)
    }

    pub fn sign(self, sign: Sign) -> Query {
        self.and(&format!("array_has(signs, '{}')", sign.as_str()))
    }

    pub fn class(self, class: &str) -> Query {
        self.and(&format!("has_class(data_classes, {})", quoted(class)))
    }

    /// Any of these classes.
    pub fn classes(self, classes: &[String]) -> Query {
        let any = classes.iter().map(|class| format!("has_class(data_classes, {})", quoted(class)));
        let any = any.collect::<Vec<_>>().join(" OR ");
        self.and(&format!("({any})"))
    }

    /// The key that was presented stands in the query under this name.
    pub fn key_in_query(self, name: &str) -> Query {
        self.and(&format!("field_value(query, {}) = presented_credential", quoted(name)))
    }

    pub fn unauthenticated(self) -> Query {
        self.and(UNAUTHENTICATED)
    }

    /// Answered 2xx.
    pub fn ok(self) -> Query {
        self.and("status BETWEEN 200 AND 299")
    }

    /// How many there are, and from when to when.
    pub fn count(self) -> String {
        self.select("count(*) AS calls, min(event_time) AS first_time, max(event_time) AS last_time", "")
    }

    /// Any columns of them.
    pub fn select(self, columns: &str, rest: &str) -> String {
        let space = if rest.is_empty() { "" } else { " " };
        format!("SELECT {columns} FROM calls WHERE {}{space}{rest}", self.conditions.join(" AND "))
    }
}

fn equal(column: &str, value: &str) -> String {
    format!("{column} = {}", quoted(value))
}

/// A text in SQL. What is in it came from a gateway.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_statement() {
        let key = ServiceKey { gateway: "k'; x".to_owned(), workspace: "w".to_owned(), service: "host:a'b".to_owned() };
        let query = Query::of_service(&key).ok().count();
        assert!(
            query.contains("gateway = 'k''; x' AND workspace = 'w' AND service_id IS NULL AND host = 'a''b'"),
            "{query}"
        );
    }
}
