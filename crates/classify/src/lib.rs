//! What a name or a value looks like: the pure leaf that both `collect` and `discover` ask.
//!
//! This crate decides whether a field's *name* says that it carries a credential ([`is_credential_name`]), whether a
//! *value* looks like one whatever it is called ([`credential_shape`]), and where in a text values stand that are a
//! person's, each with its class ([`find_personal`]). It replaces nothing and keeps nothing: what happens to a value is
//! the caller's business. It does no IO and has no state.

mod classes;
mod names;
mod topics;
mod values;

pub use classes::{Country, DataClass, Found, find_personal};
pub use names::is_credential_name;
pub use topics::is_named_after;
pub use values::{CredentialShape, SCHEMES, VALUE_BYTES_MIN, credential_shape, private_key_at, without_scheme};
