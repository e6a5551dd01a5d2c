//! What endpoints are called in findings.

use std::collections::HashMap;

use outrider_model::{Endpoint, EndpointId};

/// Names are forgotten together beyond this; they are made again when asked for.
const NAMES_MAX: usize = 100_000;

/// `METHOD template` of endpoints, made once for each template that an endpoint has had.
#[derive(Default)]
pub struct EndpointNames {
    by_id: HashMap<EndpointId, EndpointName, foldhash::fast::FixedState>,
}

struct EndpointName {
    template: String,
    name: String,
}

impl EndpointNames {
    /// The name of an endpoint as it is now.
    pub fn of(&mut self, endpoint: &Endpoint) -> &str {
        let key = &endpoint.key;
        if self.by_id.len() >= NAMES_MAX && !self.by_id.contains_key(&endpoint.id) {
            self.by_id.clear();
        }
        let made = || EndpointName { template: key.template.clone(), name: format!("{} {}", key.method, key.template) };
        let known = self.by_id.entry(endpoint.id).or_insert_with(made);
        if known.template != key.template {
            *known = made();
        }
        &known.name
    }
}
