use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EndpointId, Fingerprint};

/// Where an endpoint lives and what it is (decision 3): gateway, workspace, service or host, method, path template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct EndpointKey {
    /// The gateway it was seen at.
    pub gateway: String,
    /// The gateway's workspace.
    pub workspace: String,
    /// Kong's service id; for calls without a service `host:` and the host asked for.
    pub service: String,
    /// The request method in upper case.
    pub method: String,
    /// The path template, its parameters in braces: `/orders/{order_id}`.
    pub template: String,
}

impl EndpointKey {
    /// The id of an endpoint first seen under this key. Later re-templating keeps the id.
    pub fn first_id(&self) -> EndpointId {
        EndpointId(
            Fingerprint::of("endpoint")
                .text(&self.gateway)
                .text(&self.workspace)
                .text(&self.service)
                .text(&self.method)
                .text(&self.template)
                .finish(),
        )
    }
}

/// An endpoint of the inventory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Its stable id.
    pub id: EndpointId,
    /// Where it lives and its present template.
    pub key: EndpointKey,
    /// The service's name, for people; equal to `key.service` where it has none.
    pub service_name: String,
    /// The template is still being learned: more calls may split it or merge it with a sibling (decision 14).
    pub provisional: bool,
    /// Set when this endpoint was merged into an older one: its calls count there from then on.
    pub merged_into: Option<EndpointId>,
    /// Why the template is as it is, in one sentence: `merged 214 paths: 9-character hex, all distinct`.
    pub explanation: String,
    /// How sure it is that the template is as the API means it, from 0 to 1, as its least certain segment says; 1 where
    /// somebody pinned it.
    #[serde(default)]
    pub confidence: f32,
    /// Calls that the confidence rests on: those through the least certain segment.
    #[serde(default)]
    pub observations: u32,
    /// Somebody decided that its calls belong to no endpoint. It is kept, and comes back when that is taken back.
    #[serde(default)]
    pub ignored: bool,
    /// Calls seen that count as evidence.
    pub calls: u64,
    /// Event time of the first such call.
    pub first_seen_ms: i64,
    /// Event time of the latest such call.
    pub last_seen_ms: i64,
}
