//! One change at the gateway: the calls it takes, and what their answers mean for it.
//!
//! Every change looks before it writes, as far as Kong's Admin API (which has no conditional writes) lets it: a plugin is
//! created with an id of its own, which fails where that id or scope is taken, and is replaced or deleted only right
//! after it was seen to be ours. Writing again after an unknown outcome is safe.

use outrider_model::FailureReason;

use super::admin::AdminApi;
use super::fold::DesiredPlugin;
use super::plan::{is_as, is_own};
use super::wire::Plugin;
use crate::gateways::GatewayError;

/// How a write ended.
#[derive(Debug)]
pub enum Written {
    /// The gateway holds it as wanted. For a new one, the consumer's plugins are what it said right after.
    Stored {
        /// The plugin as Kong confirmed it.
        plugin: Box<Plugin>,
        /// What the consumer has now.
        consumer_plugins: Option<Vec<Plugin>>,
    },
    /// It cannot be done for this scope; others are not concerned.
    Trouble(FailureReason),
    /// The gateway holds something of ours that we did not know of: list first, then plan again.
    Surprise(String),
}

/// How a deletion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The gateway holds it no more.
    Gone,
    /// Somebody made it theirs by removing our tags: it is not ours to delete.
    Foreign,
}

/// Creates a plugin, or replaces ours where `known` says that there is one.
pub async fn write<A: AdminApi>(
    admin: &A,
    installation: &str,
    wanted: &DesiredPlugin,
    known: bool,
) -> Result<Written, GatewayError> {
    let current = if known { admin.plugin(&wanted.id).await? } else { None };
    let is_new = current.is_none();
    let attempt = match current {
        Some(plugin) if !is_own(installation, &plugin) => return Ok(Written::Trouble(operators(&plugin))),
        Some(_) => admin.replace_plugin(&wanted.id, &wanted.to_write(false)).await,
        None => admin.create_plugin(&wanted.to_write(true)).await,
    };
    match attempt {
        Ok(plugin) if is_as(&plugin, wanted) && plugin.id == wanted.id => {
            // Where operators' plugins win over a new one. Not knowing it is no reason to call the write undone.
            let consumer_plugins = match is_new {
                true => admin.consumer_plugins(&wanted.scope.consumer_id).await.ok().flatten(),
                false => None,
            };
            Ok(Written::Stored { plugin: Box::new(plugin), consumer_plugins })
        }
        Ok(plugin) => Ok(Written::Trouble(FailureReason::UnexpectedAnswer {
            status: 200,
            detail: format!("plugin {} was stored otherwise than it was written", plugin.id),
        })),
        Err(GatewayError::Kong { code: Some(3), message, .. }) => {
            holder_of_id(admin, installation, &wanted.id, &message).await
        }
        Err(GatewayError::Kong { status: 409, fields, message, .. }) => {
            if fields.get("instance_name").is_some() {
                return holder_of_id(admin, installation, &wanted.instance_name, &message).await;
            }
            holder_of_scope(admin, installation, wanted, &message).await
        }
        Err(error @ GatewayError::Kong { code: Some(4), .. }) => Ok(Written::Trouble(error.reason())),
        Err(error @ GatewayError::Kong { status: 400, .. }) => Ok(Written::Trouble(error.reason())),
        Err(error) => Err(error),
    }
}

/// Deletes a plugin, if it is still ours.
pub async fn delete<A: AdminApi>(admin: &A, installation: &str, id: &str) -> Result<Deleted, GatewayError> {
    match admin.plugin(id).await? {
        None => Ok(Deleted::Gone),
        Some(plugin) if !is_own(installation, &plugin) => Ok(Deleted::Foreign),
        Some(_) => admin.delete_plugin(id).await.map(|()| Deleted::Gone),
    }
}

async fn holder_of_id<A: AdminApi>(
    admin: &A,
    installation: &str,
    id: &str,
    message: &str,
) -> Result<Written, GatewayError> {
    Ok(match admin.plugin(id).await? {
        Some(plugin) if !is_own(installation, &plugin) => Written::Trouble(operators(&plugin)),
        _ => Written::Surprise(message.to_owned()),
    })
}

async fn holder_of_scope<A: AdminApi>(
    admin: &A,
    installation: &str,
    wanted: &DesiredPlugin,
    message: &str,
) -> Result<Written, GatewayError> {
    let scope = &wanted.scope;
    let Some(plugins) = admin.consumer_plugins(&scope.consumer_id).await? else {
        return Ok(Written::Trouble(FailureReason::TargetGone { detail: format!("consumer {}", scope.consumer_id) }));
    };
    let holder = plugins.iter().find(|plugin| plugin.name == wanted.name() && plugin.scope().as_ref() == Some(scope));
    Ok(match holder {
        Some(plugin) if !is_own(installation, plugin) => Written::Trouble(operators(plugin)),
        _ => Written::Surprise(message.to_owned()),
    })
}

fn operators(plugin: &Plugin) -> FailureReason {
    FailureReason::OperatorPlugin { plugin_id: plugin.id.clone(), plugin_name: plugin.name.clone() }
}
