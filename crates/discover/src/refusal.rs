//! Why a decision about templates is refused.

use outrider_model::{TemplateDecision, TemplateDecisionId};

/// Why a decision about templates is refused. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionRefused {
    /// What is written is no template.
    #[error("`{template}` of service `{service}`: {problem}; write it like `/users/{{user_id}}/orders`")]
    Template {
        /// The service's key.
        service: String,
        /// The template.
        template: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A split, merge or rename is about a parameter, and the template ends in none.
    #[error(
        "`{template}` of service `{service}` does not end in the parameter that is meant; cut it off behind it, like \
         `/users/{{user_id}}`"
    )]
    NoParameter {
        /// The service's key.
        service: String,
        /// The template.
        template: String,
    },
    /// A parameter cannot be called so.
    #[error(
        "`{template}` of service `{service}`: a parameter cannot be called `{name}`; use at most 64 letters, digits, `_`, \
         `-` and `.`, and begin with a letter or `_`"
    )]
    Name {
        /// The service's key.
        service: String,
        /// The template.
        template: String,
        /// The name.
        name: String,
    },
    /// It contradicts a decision that stands.
    #[error("`{template}` of service `{service}`: {with} {does}; take that back first")]
    Conflict {
        /// The service's key.
        service: String,
        /// The template.
        template: String,
        /// The decision that stands.
        with: TemplateDecisionId,
        /// What that one does.
        does: &'static str,
    },
    /// There are as many decisions as there may be, or as many bytes of them.
    #[error("{count} {what} would stand and `{setting}` allows {most}; take some back, or raise it")]
    Full {
        /// How many there would be.
        count: usize,
        /// What is counted.
        what: &'static str,
        /// The setting that limits it.
        setting: &'static str,
        /// The limit in force.
        most: usize,
    },
    /// No such decision stands.
    #[error("no decision about templates has the id {id}; it may have been taken back already")]
    Unknown {
        /// The id.
        id: TemplateDecisionId,
    },
}

impl DecisionRefused {
    pub(crate) fn conflict(decision: &TemplateDecision, with: TemplateDecisionId, does: &'static str) -> Self {
        let (service, template) = (decision.service.clone(), decision.template.clone());
        DecisionRefused::Conflict { service, template, with, does }
    }
}
