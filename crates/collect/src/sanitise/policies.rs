//! What an operator says about single fields, where the rules that hold for all are not what is wanted.

use std::collections::BTreeMap;

use outrider_model::ACCOUNT_FIELD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::normalise::SessionCarrier;
use crate::{CollectError, FieldSettings};

/// Most fields of one kind that can be named.
const FIELDS_MAX: usize = 256;

/// Headers that carry nothing but credentials.
const NEVER_KEPT: &[&str] = &["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// What is done with a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldPolicy {
    /// It leaves in clear, whatever its name says and whatever personal values are in it. What looks like a credential is
    /// replaced all the same.
    Keep,
    /// All of it becomes one pseudonym.
    Pseudonymise,
    /// That there was a value is all that leaves.
    Mask,
    /// Not even that.
    Drop,
}

/// Policies of single fields by their names: `{ query = { q = "keep" }, header = { x-employee = "mask" } }`.
///
/// A field that is not named is treated as all are. Once a cookie is named, cookies leave one by one, and those that are not
/// named as pseudonyms; else all of the `cookie` header is one pseudonym.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FieldPolicies {
    /// Request headers, in any case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, FieldPolicy>,
    /// Query fields, by the decoded name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, FieldPolicy>,
    /// Cookies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookie: BTreeMap<String, FieldPolicy>,
    /// Fields that the source maps, by the `name` that `fields` gives them; one that is not wanted is not mapped, so none is dropped.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub field: BTreeMap<String, FieldPolicy>,
}

impl FieldPolicies {
    /// Whether no field is named.
    pub fn is_empty(&self) -> bool {
        self.header.is_empty() && self.query.is_empty() && self.cookie.is_empty() && self.field.is_empty()
    }

    /// Refuses what cannot be meant, given the names under which keys are presented, what carries the session, and what is mapped.
    pub(crate) fn validate(
        &self,
        key_names: &[String],
        session: Option<&SessionCarrier>,
        mapped: &[FieldSettings],
    ) -> Result<(), CollectError> {
        let wrong = |reason: String| Err(CollectError::Setting { setting: "field_policies", reason });
        let kinds =
            [("header", &self.header), ("query", &self.query), ("cookie", &self.cookie), ("field", &self.field)];
        for (kind, policies) in kinds {
            if policies.len() > FIELDS_MAX {
                return wrong(format!("name at most {FIELDS_MAX} fields in `{kind}`"));
            }
            if policies.keys().any(String::is_empty) {
                return wrong(format!("a name in `{kind}` is empty"));
            }
        }
        let policy_of_session = match session {
            Some(SessionCarrier::Header(name)) => {
                self.header.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, policy)| policy)
            }
            Some(SessionCarrier::Query(name)) => self.query.get(name),
            Some(SessionCarrier::Cookie(name)) => self.cookie.get(name),
            Some(SessionCarrier::Field(name)) => self.field.get(name),
            None => None,
        };
        if policy_of_session == Some(&FieldPolicy::Keep) {
            return wrong("what carries the session cannot be kept; its pseudonym leaves anyway".to_owned());
        }
        for (name, policy) in &self.field {
            if !mapped.iter().any(|field| field.name == *name) {
                return wrong(format!("`{name}` in `field` is not mapped; add it to the source's `fields`"));
            }
            match policy {
                FieldPolicy::Drop => {
                    return wrong(format!("`{name}` is mapped and dropped; take it out of the source's `fields`"));
                }
                FieldPolicy::Keep if name == ACCOUNT_FIELD => {
                    return wrong(format!(
                        "`{name}` is who signs in, so it cannot be kept; its pseudonym leaves anyway"
                    ));
                }
                FieldPolicy::Keep | FieldPolicy::Pseudonymise | FieldPolicy::Mask => {}
            }
        }
        let kept = self.header.iter().chain(&self.query).filter(|(_, policy)| **policy == FieldPolicy::Keep);
        for (name, _) in kept {
            let is_credential = |known: &str| known.eq_ignore_ascii_case(name);
            if NEVER_KEPT.iter().any(|known| is_credential(known)) || key_names.iter().any(|known| is_credential(known))
            {
                return wrong(format!(
                    "`{name}` carries credentials, so it cannot be kept; use `pseudonymise`, `mask` or `drop`, or take \
                     it out of `key_names`"
                ));
            }
        }
        Ok(())
    }

    /// The same with the names of headers in lower case, as they are in a call.
    pub(super) fn lower_cased(&self) -> Self {
        let header = self.header.iter().map(|(name, policy)| (name.to_ascii_lowercase(), *policy)).collect();
        FieldPolicies { header, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |text: &str| {
            let policies: FieldPolicies = toml::from_str(text).map_err(|error| error.to_string())?;
            let session = SessionCarrier::Cookie("sid".to_owned());
            let mapped =
                ["account", "tenant"].map(|name| FieldSettings { name: name.to_owned(), value: "line".to_owned() });
            policies.validate(&["x-key".to_owned()], Some(&session), &mapped).map_err(|error| error.to_string())
        };
        check("query = { q = \"keep\" }\nheader = { X-User = \"mask\", authorization = \"drop\" }").unwrap();
        check("field = { tenant = \"keep\", account = \"mask\" }").unwrap();
        check("").unwrap();
        for (text, expected) in [
            (
                "query = { q = \"hide\" }",
                "unknown variant `hide`, expected one of `keep`, `pseudonymise`, `mask`, `drop`",
            ),
            ("body = { q = \"keep\" }", "unknown field `body`, expected one of `header`, `query`, `cookie`, `field`"),
            ("field = { tenent = \"mask\" }", "`tenent` in `field` is not mapped; add it"),
            ("field = { tenant = \"drop\" }", "`tenant` is mapped and dropped; take it out"),
            ("field = { account = \"keep\" }", "`account` is who signs in"),
            ("query = { \"\" = \"keep\" }", "a name in `query` is empty"),
            ("header = { Cookie = \"keep\" }", "`Cookie` carries credentials"),
            ("cookie = { sid = \"keep\" }", "what carries the session cannot be kept"),
            ("query = { x-key = \"keep\" }", "`x-key` carries credentials"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
