//! What endpoints are called in findings.

use std::collections::HashMap;

use outrider_discover::Catalogue;
use outrider_model::EndpointId;

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
    pub fn of(&mut self, catalogue: &Catalogue, id: EndpointId) -> Option<&str> {
        let key = &catalogue.endpoint(id)?.key;
        let is_known = self.by_id.get(&id).is_some_and(|known| known.template == key.template);
        if !is_known {
            if self.by_id.len() >= NAMES_MAX {
                self.by_id.clear();
            }
            let name = format!("{} {}", key.method, key.template);
            self.by_id.insert(id, EndpointName { template: key.template.clone(), name });
        }
        self.by_id.get(&id).map(|known| known.name.as_str())
    }
}
