//! Which plugin of a gateway checks a credential, as its configuration said last.

use std::collections::BTreeMap;

use outrider_model::{ApiCall, GatewaySnapshot};
use serde::{Deserialize, Serialize};

/// Credentials of one gateway that are remembered; one more is of no known kind. At about 100 bytes each.
const CREDENTIALS_MAX: usize = 200_000;

/// By gateway, the kinds of credentials by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct CredentialKinds(BTreeMap<String, BTreeMap<Box<str>, Box<str>>>);

impl CredentialKinds {
    /// Takes in what a gateway is configured to do, in the place of what it was before.
    pub(super) fn take_in(&mut self, snapshot: &GatewaySnapshot) {
        let credentials = snapshot.configuration.credentials.iter().take(CREDENTIALS_MAX);
        let kinds = credentials.map(|one| (one.id.as_str().into(), one.kind.as_str().into())).collect();
        self.0.insert(snapshot.gateway.clone(), kinds);
    }

    /// The plugin that has checked the credential of a call.
    pub(super) fn of(&self, call: &ApiCall<'_>) -> Option<&str> {
        let id = call.credential_id.as_ref()?;
        self.0.get(&*call.gateway)?.get(&**id).map(|kind| &**kind)
    }
}
