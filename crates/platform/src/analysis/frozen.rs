//! The state of the analysis as bytes: a version byte, then each room's own snapshot. Earlier versions are read.

use std::borrow::Cow;

use outrider_detect::Engine;
use outrider_discover::Catalogue;
use outrider_discover::inventory::Inventory;
use outrider_discover::posture::Posture;
use outrider_respond::desk::Desk;
use serde::{Deserialize, Serialize};

use super::credentials::{CredentialKinds, Kinds};
use super::hunts::HuntEnds;
use super::names::EndpointNames;
use super::operations::Operations;
use super::{Analysis, AnalysisError, AnalysisSettings, Past};
use crate::store::TemplateChanges;

/// The state at one moment, apart from the analysis that goes on. It becomes bytes wherever there is time for it.
pub struct Frozen {
    settings: AnalysisSettings,
    calls: u64,
    now_ms: i64,
    catalogue: Vec<u8>,
    engine: Vec<u8>,
    desk: Desk,
    operations: Operations,
    hunts: HuntEnds,
    past: Past,
    inventory: Vec<u8>,
    credentials: CredentialKinds,
    posture: Vec<u8>,
}

impl Frozen {
    /// The whole state as bytes: a version byte, then the rooms' own snapshots.
    pub fn encode(&self) -> Result<Vec<u8>, AnalysisError> {
        let parts = SnapshotParts {
            settings: serde_json::to_string(&self.settings).map_err(|e| AnalysisError::Snapshot(e.to_string()))?,
            calls: self.calls,
            now_ms: self.now_ms,
            catalogue: Cow::Borrowed(&self.catalogue),
            engine: Cow::Borrowed(&self.engine),
            desk: self.desk.snapshot().map_err(|e| AnalysisError::Snapshot(e.to_string()))?,
        };
        let rest = (&self.operations, &self.hunts, &self.past, &self.inventory, &self.credentials, &self.posture);
        postcard::to_extend(&(parts, rest), vec![SNAPSHOT_VERSION]).map_err(|e| AnalysisError::Snapshot(e.to_string()))
    }
}

/// What a snapshot holds; each room's part is in the room's own format.
#[derive(Serialize, Deserialize)]
struct SnapshotParts<'a> {
    settings: String,
    calls: u64,
    now_ms: i64,
    catalogue: Cow<'a, [u8]>,
    engine: Cow<'a, [u8]>,
    desk: Vec<u8>,
}

/// The version that this build writes. It reads those from [`SNAPSHOT_VERSION_MIN`] on.
pub const SNAPSHOT_VERSION: u8 = 6;
/// The version before there was a [`Posture`].
const SNAPSHOT_VERSION_WITHOUT_POSTURE: u8 = 5;
/// The version in which [`CredentialKinds`] knew no plugins.
const SNAPSHOT_VERSION_WITHOUT_PLUGINS: u8 = 4;
/// The version before there was an [`Inventory`].
const SNAPSHOT_VERSION_WITHOUT_INVENTORY: u8 = 3;
/// The version before there was a [`HuntEnds`] and a [`Past`].
const SNAPSHOT_VERSION_WITHOUT_PAST: u8 = 2;
/// The oldest version that this build reads: it holds no [`Operations`] either.
pub const SNAPSHOT_VERSION_MIN: u8 = 1;

impl Analysis {
    /// Copies the state, so that the analysis can go on while the copy becomes bytes.
    pub fn freeze(&self) -> Frozen {
        Frozen {
            settings: self.settings.clone(),
            calls: self.calls,
            now_ms: self.now_ms,
            catalogue: self.catalogue.snapshot(),
            engine: self.engine.snapshot(),
            desk: self.desk.clone(),
            operations: self.operations.clone(),
            hunts: self.hunts.clone(),
            past: self.past.clone(),
            inventory: self.inventory.snapshot(),
            credentials: self.credentials.clone(),
            posture: self.posture.snapshot(),
        }
    }

    /// The state that [`Frozen::encode`] wrote.
    pub fn restore(bytes: &[u8]) -> Result<Self, AnalysisError> {
        let wrong = |problem: &dyn std::fmt::Display| AnalysisError::Snapshot(problem.to_string());
        let Some((&version, rest)) = bytes.split_first() else { return Err(wrong(&"it is empty")) };
        if version > SNAPSHOT_VERSION {
            return Err(AnalysisError::NewerSnapshot { found: version, known: SNAPSHOT_VERSION });
        }
        if version < SNAPSHOT_VERSION_MIN {
            return Err(wrong(&format_args!(
                "it has version {version}, this build reads {SNAPSHOT_VERSION_MIN} and later"
            )));
        }
        let (parts, rest): (SnapshotParts<'_>, &[u8]) = postcard::take_from_bytes(rest).map_err(|e| wrong(&e))?;
        let settings: AnalysisSettings = serde_json::from_str(&parts.settings).map_err(|e| wrong(&e))?;
        let known = settings.inventory.clone();
        let none = CredentialKinds::default();
        let mut posture = None;
        let (operations, hunts, past, inventory, credentials) = match version {
            SNAPSHOT_VERSION_MIN => {
                (Operations::default(), HuntEnds::default(), Past::default(), Inventory::new(known), none)
            }
            SNAPSHOT_VERSION_WITHOUT_PAST => {
                let operations = postcard::from_bytes(rest).map_err(|e| wrong(&e))?;
                (operations, HuntEnds::default(), Past::default(), Inventory::new(known), none)
            }
            SNAPSHOT_VERSION_WITHOUT_INVENTORY => {
                let (operations, hunts, past) = postcard::from_bytes(rest).map_err(|e| wrong(&e))?;
                (operations, hunts, past, Inventory::new(known), none)
            }
            SNAPSHOT_VERSION_WITHOUT_PLUGINS => {
                let (operations, hunts, past, inventory, kinds): (_, _, _, Vec<u8>, Kinds) =
                    postcard::from_bytes(rest).map_err(|e| wrong(&e))?;
                let inventory = Inventory::restore(known, &inventory).map_err(|e| wrong(&e))?;
                (operations, hunts, past, inventory, kinds.into())
            }
            SNAPSHOT_VERSION_WITHOUT_POSTURE => {
                let (operations, hunts, past, inventory, credentials): (_, _, _, Vec<u8>, _) =
                    postcard::from_bytes(rest).map_err(|e| wrong(&e))?;
                let inventory = Inventory::restore(known, &inventory).map_err(|e| wrong(&e))?;
                (operations, hunts, past, inventory, credentials)
            }
            _ => {
                let (operations, hunts, past, inventory, credentials, known_posture): (_, _, _, Vec<u8>, _, Vec<u8>) =
                    postcard::from_bytes(rest).map_err(|e| wrong(&e))?;
                let inventory = Inventory::restore(known, &inventory).map_err(|e| wrong(&e))?;
                let restored = Posture::restore(settings.posture.clone(), &known_posture).map_err(|e| wrong(&e))?;
                posture = Some(restored);
                (operations, hunts, past, inventory, credentials)
            }
        };
        let is_posture_new = posture.is_none();
        let mut analysis = Analysis {
            catalogue: Catalogue::restore(settings.discover.clone(), &parts.catalogue).map_err(|e| wrong(&e))?,
            inventory,
            posture: posture.unwrap_or_else(|| Posture::new(settings.posture.clone())),
            credentials,
            engine: Engine::restore(settings.detect.clone(), &parts.engine).map_err(|e| wrong(&e))?,
            desk: Desk::restore(&parts.desk).map_err(|e| wrong(&e))?,
            settings,
            operations,
            hunts,
            past,
            names: EndpointNames::default(),
            calls: parts.calls,
            now_ms: parts.now_ms,
            scratch: Vec::new(),
            configurations: Vec::new(),
            hunt_runs: Vec::new(),
            erased: Vec::new(),
            templates: TemplateChanges::default(),
        };
        if is_posture_new {
            analysis.survey_all();
        }
        Ok(analysis)
    }
}

#[cfg(test)]
mod tests {
    use outrider_model::{GatewayConfiguration, GatewayCredential, GatewaySnapshot, LeftOut};

    use super::*;

    #[test]
    fn a_snapshot_without_plugins_is_read_with_the_credentials_that_it_has() {
        let mut analysis = Analysis::new("test", AnalysisSettings::default()).unwrap();
        let (id, kind) = ("c".to_owned(), "jwt".to_owned());
        let credential = GatewayCredential { id, kind, consumer_id: None, tags: Vec::new(), created_ms: None };
        // Plugins that are not all there are not kept.
        let left_out = LeftOut { list: "plugins".to_owned(), why: String::new() };
        let configuration = GatewayConfiguration {
            credentials: vec![credential],
            left_out: vec![left_out],
            ..GatewayConfiguration::default()
        };
        analysis.configured(GatewaySnapshot { gateway: "kong".to_owned(), taken_ms: 1, configuration });
        let now = analysis.freeze().encode().unwrap();
        let posture = postcard::to_allocvec(&analysis.posture.snapshot()).unwrap();
        let known = now.strip_suffix(&posture[..]).unwrap();
        let mut before = known.to_vec();
        before[0] = SNAPSHOT_VERSION_WITHOUT_PLUGINS;
        assert_eq!(before.pop(), Some(0), "no plugins of any gateway");
        let restored = Analysis::restore(&before).unwrap();
        assert_eq!(restored.credentials, analysis.credentials);
        assert!(restored.freeze().encode().unwrap().starts_with(known), "posture begins with nothing");
    }
}
