//! The parts of an OpenAPI 3.1 document that is written, in the order in which they are written.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A document.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    pub openapi: &'static str,
    pub info: Info,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<Server>,
    pub paths: BTreeMap<String, BTreeMap<&'static str, Operation>>,
    #[serde(skip_serializing_if = "Components::is_empty")]
    pub components: Components,
    #[serde(rename = "x-outrider-left-out", skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Info {
    pub title: String,
    pub description: String,
    pub version: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub url: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Components {
    pub security_schemes: BTreeMap<String, Value>,
}

impl Components {
    fn is_empty(&self) -> bool {
        self.security_schemes.is_empty()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    pub operation_id: String,
    pub description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    pub responses: BTreeMap<String, Response>,
    pub security: Vec<BTreeMap<String, [String; 0]>>,
    #[serde(rename = "x-outrider-endpoints")]
    pub endpoints: Vec<String>,
    #[serde(rename = "x-outrider-figures")]
    pub figures: Vec<Value>,
    #[serde(rename = "x-outrider-fields", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Parameter>,
    #[serde(rename = "x-outrider-operations", skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Parameter {
    pub name: String,
    #[serde(rename = "in")]
    pub place: &'static str,
    pub description: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    pub schema: Schema,
    #[serde(rename = "x-outrider-range", skip_serializing_if = "Option::is_none")]
    pub range: Option<[i64; 2]>,
    #[serde(rename = "x-outrider-format", skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
}

/// A schema; of a list, of its items.
#[derive(Debug, Default, Serialize)]
pub(super) struct Schema {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub value_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Response {
    pub description: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub content: BTreeMap<String, BTreeMap<&'static str, Schema>>,
}
