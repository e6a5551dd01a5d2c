//! What the owner of an API says of it, beside what was seen: OpenAPI documents and the gateway's routes.
//!
//! This module reads a document ([`Document::read`]), compares a service's inventory with it and with the gateway's routes
//! ([`drift`]), makes decisions of its paths ([`Pins`]), and writes a document of what was seen ([`export`]). It leaves out what is done
//! about a difference.
//!
//! A document is read from plain JSON values and not through types of the whole specification: of 3.0 and 3.1 only the
//! few parts matter in which they agree, one broken operation must not cost the good ones beside it, and whoever repairs
//! it wants to be told the place.

mod document;
mod drift;
mod encode;
mod export;
mod import;
mod matching;
mod parameters;
mod pins;
mod reader;
mod routes;
mod sentence;
mod takes;

pub use document::{
    Document, DocumentedOperation, DocumentedParameter, ParameterShape, Place, Scheme, Security, Warning,
};
pub use drift::{Drift, DriftKind, drift};
pub use export::{ExportInfo, export};
pub(crate) use matching::{Found as FoundOperation, Operations};
pub use pins::Pins;
pub use reader::{DocumentError, Limits};
pub use routes::{Route, RoutesRead};
