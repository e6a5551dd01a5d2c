//! A document as far as it matters beside an inventory.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::ValueType;

/// An OpenAPI document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// The version of the specification: `3.0.3`.
    pub openapi: String,
    /// The API's title.
    pub title: String,
    /// The API's version.
    pub version: String,
    /// The paths of its servers, without a slash at the end: `/api/v1`, or empty.
    pub base_paths: Vec<String>,
    /// Its operations, in the document's order of paths.
    pub operations: Vec<DocumentedOperation>,
    /// Its security schemes by name.
    pub schemes: BTreeMap<String, Scheme>,
    /// What could not be read, and was left out.
    pub warnings: Vec<Warning>,
    /// Warnings beyond the limit, which are not listed.
    pub warnings_left_out: u64,
}

/// A method of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentedOperation {
    /// The method in upper case.
    pub method: String,
    /// The path, its parameters in braces, as it is written.
    pub template: String,
    /// Where it stands in the document: `/paths/~1orders/get`.
    pub pointer: String,
    /// Its own name; empty where it has none.
    pub operation_id: String,
    /// Whether it should not be used any more.
    pub deprecated: bool,
    /// The paths of servers of its own, in place of the document's.
    pub base_paths: Option<Vec<String>>,
    /// Its parameters, those of its path included.
    pub parameters: Vec<DocumentedParameter>,
    /// What a caller has to prove.
    pub security: Security,
}

/// Where a documented parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// A header.
    Header,
    /// A cookie; calls do not show those.
    Cookie,
}

/// How a parameter's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterShape {
    /// One value.
    One,
    /// Several values, each under the name.
    Repeated,
    /// Several values in one text.
    Joined,
    /// Under names that begin with its own: `filter[status]`.
    Deep,
    /// Under any names: an object whose properties stand by themselves.
    Open,
}

/// A parameter of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentedParameter {
    /// Where it is.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Where it stands in the document.
    pub pointer: String,
    /// Whether every call must have it.
    pub required: bool,
    /// Whether it should not be used any more.
    pub deprecated: bool,
    /// How its values are written.
    pub shape: ParameterShape,
    /// Types of a value; none where any will do.
    pub types: Vec<ValueType>,
    /// The format of a text; empty where it has none.
    pub format: String,
    /// Its values, where they are listed.
    pub allowed: Option<Vec<String>>,
}

/// What a caller has to prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// Nothing: none is declared.
    None,
    /// Nothing, but one may: the names of schemes.
    Optional(Vec<String>),
    /// One of the ways that are declared: the names of their schemes.
    Required(Vec<String>),
}

impl Security {
    /// The names of schemes.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Security::None => &[],
            Security::Optional(names) | Security::Required(names) => names,
        }
    }
}

/// A security scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scheme {
    /// Its type in OpenAPI's words: `apiKey`, `http`, `oauth2`, …
    pub kind: String,
    /// Of a key the place and name, `header x-api-key`; of HTTP authentication the scheme; else empty.
    pub detail: String,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// Where it stands in the document, as a JSON pointer.
    pub pointer: String,
    /// What is wrong, and what to do.
    pub what: String,
}
