//! Telling somebody what happened.
//!
//! [`Teller`] is pure: it decides which changes of an alert, an action or a notice are worth a message, what the message
//! says and what its id is. [`Webhook`] is the edge that brings one message to one address. What it leaves out: keeping
//! messages until they have arrived, which is the control store's business.
//!
//! A message's id derives from what it tells, so telling it again is the same message and a receiver can leave it out.

mod backoff;
mod message;
mod webhook;

pub use backoff::{RETRY_FIRST, RETRY_MAX, retry_after};
pub use message::{Message, MessageKind, Teller};
pub use webhook::{DeliveryError, Failure, Webhook, WebhookError, WebhookSettings, new_secret, sign};
