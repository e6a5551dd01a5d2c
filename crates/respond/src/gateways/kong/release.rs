//! Taking everything of ours off a gateway, without the platform: the emergency exit of `outrider responder release-all`.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::admin::AdminApi;
use super::execute::{Deleted, delete};
use super::files::StateFiles;
use super::fold::{TAG, installation_tag};
use super::plan::OwnPlugin;
use super::responder::WRITES_IN_FLIGHT;
use crate::gateways::GatewayError;

/// Times that the gateway is listed again to see whether a responder that was just writing has put something back.
const ROUNDS_MAX: usize = 3;

/// One step of a release, for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseProgress {
    /// Plugins found so far.
    pub found: usize,
    /// Plugins that are gone.
    pub released: usize,
    /// The plugin that this step was about.
    pub plugin_id: String,
}

/// What a release did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReleaseSummary {
    /// Plugins that the gateway holds no more.
    pub released: Vec<String>,
    /// Plugins that somebody took over by removing our tags; they were left alone.
    pub left_alone: Vec<String>,
    /// Plugins that are still there, and why. Running it again is safe.
    pub failed: Vec<(String, GatewayError)>,
}

/// The plugins that a release would delete.
pub async fn list_own<A: AdminApi>(admin: &A, installation: &str) -> Result<Vec<OwnPlugin>, GatewayError> {
    let plugins = admin.plugins_tagged(&[TAG, &installation_tag(installation)]).await?;
    Ok(plugins.iter().filter_map(|plugin| OwnPlugin::of(installation, plugin)).collect())
}

/// Deletes every plugin of this installation and nothing else.
///
/// First a hold is written beside the responder's state: a running responder sees it before its next write, puts
/// nothing back and reports its actions as failed on it, which ends them; [`StateFiles::lift_hold`] ends the hold. A
/// responder elsewhere with a state directory of its own does not see it and has to be stopped first.
pub async fn release_all<A: AdminApi>(
    admin: Arc<A>,
    installation: &str,
    files: &StateFiles,
    reason: &str,
    mut progress: impl FnMut(ReleaseProgress),
) -> Result<ReleaseSummary, GatewayError> {
    files.hold(reason)?;
    let mut summary = ReleaseSummary::default();
    for _ in 0..ROUNDS_MAX {
        let own = list_own(admin.as_ref(), installation).await?;
        summary.failed.clear();
        if own.is_empty() {
            break;
        }
        let found = summary.released.len() + own.len();
        let mut queue = own.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < WRITES_IN_FLIGHT {
                let Some(plugin) = queue.next() else { break };
                let (admin, installation) = (Arc::clone(&admin), installation.to_owned());
                running.spawn(async move {
                    let ended = delete(admin.as_ref(), &installation, &plugin.id).await;
                    (plugin.id, ended)
                });
            }
            let Some(ended) = running.join_next().await else { break };
            let Ok((plugin_id, ended)) = ended else { continue };
            match ended {
                Ok(Deleted::Gone) => summary.released.push(plugin_id.clone()),
                Ok(Deleted::Foreign) => summary.left_alone.push(plugin_id.clone()),
                Err(error) => summary.failed.push((plugin_id.clone(), error)),
            }
            progress(ReleaseProgress { found, released: summary.released.len(), plugin_id });
        }
    }
    Ok(summary)
}
