//! What the owner of a service says that it offers: the operations of an OpenAPI document, and which endpoint is which of them.

use std::collections::BTreeMap;

use outrider_model::{Endpoint, EndpointId};
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::openapi::{Document, FoundOperation, Operations, Route, Security};

/// A document as far as checks look at it: its operations and where they are mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentOutline(Document);

/// What an endpoint is in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Documented {
    /// A documented operation.
    Operation {
        /// Which nobody should use any more.
        deprecated: bool,
        /// It needs no security, while others do.
        is_public: bool,
    },
    /// A documented path, with a method that is not.
    OtherMethod,
    /// Nothing that is documented.
    Nothing,
    /// It cannot be told.
    Unclear,
}

impl DocumentOutline {
    /// What matters here of a document.
    pub fn of(document: &Document) -> DocumentOutline {
        let mut operations = document.operations.clone();
        for operation in &mut operations {
            operation.parameters.clear();
        }
        DocumentOutline(Document {
            openapi: document.openapi.clone(),
            title: document.title.clone(),
            version: document.version.clone(),
            base_paths: document.base_paths.clone(),
            operations,
            ..Document::default()
        })
    }

    /// The document's title.
    pub(crate) fn title(&self) -> &str {
        &self.0.title
    }

    /// How many operations it has.
    pub(crate) fn operations(&self) -> usize {
        self.0.operations.len()
    }

    /// What each endpoint of a service is in it. `routes` are the gateway's routes to the service.
    pub(crate) fn find(
        &self,
        endpoints: &BTreeMap<EndpointId, Facts>,
        routes: &[Route],
    ) -> BTreeMap<EndpointId, Documented> {
        let all: Vec<&Endpoint> = endpoints.values().map(|facts| &facts.endpoint).collect();
        let mut operations = Operations::new(&self.0, routes, &all);
        let is_secured = self.0.operations.iter().any(|operation| matches!(operation.security, Security::Required(_)));
        let found: Vec<(EndpointId, Documented)> = all
            .into_iter()
            .map(|endpoint| {
                let documented = match operations.find(endpoint).0 {
                    FoundOperation::Operation(at) => {
                        let operation = self.0.operations.get(at);
                        Documented::Operation {
                            deprecated: operation.is_some_and(|operation| operation.deprecated),
                            is_public: is_secured
                                && operation.is_some_and(|operation| operation.security == Security::None),
                        }
                    }
                    FoundOperation::OtherMethod(_) => Documented::OtherMethod,
                    FoundOperation::Nothing => Documented::Nothing,
                    FoundOperation::Blurred => Documented::Unclear,
                };
                (endpoint.id, documented)
            })
            .collect();
        let is_cut = operations.is_cut;
        let clear = |documented| match documented {
            Documented::Operation { .. } => documented,
            _ if is_cut => Documented::Unclear,
            _ => documented,
        };
        found.into_iter().map(|(id, documented)| (id, clear(documented))).collect()
    }
}
