//! What a name or a value looks like: the pure leaf that both `collect` and `discover` ask.
//!
//! This crate decides whether a field's *name* says that it carries a credential ([`is_credential_name`]) and whether a
//! *value* looks like one whatever it is called ([`credential_shape`]). It replaces nothing and keeps nothing: what
//! happens to a credential is the caller's business. It does no IO and has no state.

mod names;
mod values;

pub use names::is_credential_name;
pub use values::{CredentialShape, SCHEMES, VALUE_BYTES_MIN, credential_shape, without_scheme};
