//! The practice gateway: a small reverse proxy that speaks the parts of Kong 3.9 that outrider uses.
//!
//! It stands in for Kong where there is none: in the demo and in tests, in the same process. It decides what Kong would
//! have answered, on the Admin API, to a client and in a log line, and when a change comes into force; recorded
//! exchanges with a real Kong hold it to that (`tests/contract.rs`). It is no gateway for production, and it leaves out
//! what outrider does not touch: TLS but for the log's way, HTTP/2, Lua, body rewriting, clustering, other plugins.
//!
//! ```no_run
//! # async fn example() -> Result<(), outrider_practice::PracticeError> {
//! use outrider_practice::{Practice, Settings};
//!
//! let practice = Practice::start(Settings::default()).await?;
//! let admin = practice.admin();
//! admin.service("shop", "http://shop.practice/", "/shop").await?;
//! admin.key_auth("shop").await?;
//! admin.consumer("alice", "key-alice").await?;
//! admin.tcp_log(([127, 0, 0, 1], 9514).into()).await?;
//! practice.refresh();
//! // curl -H 'apikey: key-alice' http://{practice.proxy_address()}/shop/items
//! practice.stop().await;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod admin;
mod client;
mod clock;
mod core;
mod faults;
mod log;
mod percent;
mod practice;
mod proxy;
mod schema;
mod settings;
mod store;

use std::net::SocketAddr;

pub use client::AdminClient;
pub use clock::Clock;
pub use faults::{AdminFault, Faults, Reach};
pub use practice::{Counts, Practice};
pub use settings::Settings;

/// What can go wrong around a practice gateway.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    /// An address cannot be listened on.
    #[error("the practice gateway cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A snapshot is not one of ours.
    #[error("this is no snapshot of a practice gateway")]
    Snapshot,
    /// The Admin API did not do what it was asked.
    #[error("the Admin API refused or failed: {0}")]
    Admin(String),
}
