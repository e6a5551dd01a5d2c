//! gRPC: `POST /package.Service/Method`, which has names alone.
//!
//! Every answer has the status 200, also that a method is not known, so an answer is no evidence that a name is one. What
//! several actors call is; the rest is weighed as in other paths.

use outrider_model::ApiCall;

use crate::catalogue::Catalogue;
use crate::path::Path;
use crate::trie::{NONE, NodeId};

/// Whether a call speaks gRPC, and its path is as gRPC has it.
pub(crate) fn is_grpc(call: &ApiCall<'_>, path: &Path<'_>) -> bool {
    call.method == "POST"
        && call.response_type.starts_with("application/grpc")
        && matches!(&path.segments[..], [service, method] if is_service(&service.text) && is_identifier(&method.text))
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `package.v1.Service` or `Service`.
fn is_service(text: &str) -> bool {
    let service = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(is_identifier) && service.starts_with(|first: char| first.is_ascii_uppercase())
}

impl Catalogue {
    /// Whether a name below a node is one of gRPC for sure.
    pub(crate) fn is_grpc_name(&self, node: NodeId, child: NodeId) -> bool {
        let trie = &self.state.trie;
        let place = trie[node].place;
        if !self.state.grpc.contains(&place) {
            return false;
        }
        let Some(name) = trie[child].name() else { return false };
        let fits = match (trie[node].parent, trie[node].name()) {
            (NONE, _) => is_service(name),
            (above, Some(service)) => trie[above].parent == NONE && is_service(service) && is_identifier(name),
            _ => false,
        };
        let actors_min = self.settings.confident_actors.min(self.state.places[place as usize].actors.count_ones());
        fits && trie[child].actors.count_ones() >= actors_min
    }
}
