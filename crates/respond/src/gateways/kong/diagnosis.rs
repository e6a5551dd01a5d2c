//! What a look at a gateway shows of it. Facts only: what is well and what is not, `doctor` judges.

use super::admin::{AdminApi as _, AdminClient};
use super::log_plugin::LogKind;
use super::log_view::{LogSource, LogView, view_log};
use super::probe::{NodeStatus, NodeSummary};
use super::wire::{Consumer, Page};
use crate::gateways::{Clock, GatewayError};

/// A date header has whole seconds: on average it is this much behind the clock.
const DATE_ROUNDING_MS: i64 = 500;

/// A gateway at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayFacts {
    /// What the node says of itself.
    pub node: NodeSummary,
    /// How far the node's clock is ahead of ours, give or take half a second; `None` where its answers carry no date.
    pub clock_offset_ms: Option<i64>,
    /// Whether the node reaches its database; `None` where it does not say.
    pub is_database_reachable: Option<bool>,
    /// Whether its consumers may be read: nobody is blocked unseen.
    pub consumers: Result<(), GatewayError>,
    /// Its log plugins.
    pub log: Result<LogView, GatewayError>,
}

/// Looks at a gateway, and changes nothing there. The sources are those that its log is meant for.
pub async fn look_at(
    admin: &AdminClient,
    clock: &dyn Clock,
    installation: &str,
    sources: &[LogSource],
) -> Result<GatewayFacts, GatewayError> {
    let asked_ms = clock.now_ms();
    let (node, date_ms) = admin.get_dated::<NodeSummary>(&[]).await?;
    let halfway_ms = asked_ms + (clock.now_ms() - asked_ms) / 2;
    let status = admin.get_dated::<NodeStatus>(&["status"]).await;
    Ok(GatewayFacts {
        clock_offset_ms: date_ms.map(|date_ms| date_ms + DATE_ROUNDING_MS - halfway_ms),
        is_database_reachable: status.ok().and_then(|(status, _)| Some(status.database?.reachable)),
        consumers: admin.get_dated::<Page<Consumer>>(&["consumers"]).await.map(drop),
        log: look_at_log(admin, installation, sources).await,
        node,
    })
}

async fn look_at_log(admin: &AdminClient, installation: &str, sources: &[LogSource]) -> Result<LogView, GatewayError> {
    let plugins = admin.plugins_where(|plugin| LogKind::of(plugin).is_some()).await?;
    let (services, routes) = (admin.services().await?, admin.routes().await?);
    Ok(view_log(installation, sources, &plugins, &services, &routes))
}
