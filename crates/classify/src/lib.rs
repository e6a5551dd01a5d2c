//! What a name or a value looks like: the pure leaf that both `collect` and `discover` ask.
//!
//! This crate decides whether a field's *name* says that it carries a credential ([`is_credential_name`]), whether a
//! *value* looks like one whatever it is called ([`credential_shape`]), and where in a text values stand that are a
//! person's, each with its class ([`find_personal`]). These three say what leaves a collector in clear, so they answer yes or no, and
//! fast. [`classify`] says more, and how sure it is: which of all classes of data a parameter carries, from its value, its
//! name and the path. It replaces nothing and keeps nothing: what happens to a value is the caller's business. It does
//! no IO and has no state.

mod candidates;
mod classes;
mod classifier;
mod custom;
mod evidence;
mod names;
mod parameter;
mod topics;
mod values;
mod words;

pub use classes::technical::is_uuid;
pub use classes::{Country, DataClass, Family, Found, find_personal};
pub use classifier::{CLASSIFIED_BYTES_MAX, Class, Classified, classify};
pub use custom::{CustomClass, CustomClasses, CustomError, Validator};
pub use evidence::{Because, CONFIDENCE_DECIDED, Reason};
pub use names::is_credential_name;
pub use topics::is_named_after;
pub use values::{CredentialShape, SCHEMES, VALUE_BYTES_MIN, credential_shape, private_key_at, without_scheme};
pub use words::credential_class;
