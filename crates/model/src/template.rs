use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EndpointId, Fingerprint, TemplateDecisionId};

/// What somebody decided about the templates of a service. Learning goes on below it, and decides again when it is taken
/// back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateDecision {
    /// The gateway.
    pub gateway: String,
    /// The gateway's workspace.
    pub workspace: String,
    /// Kong's service id; for calls without a service `host:` and the host asked for.
    pub service: String,
    /// The template that is meant, its parameters in braces: `/users/{user_id}`. What a [`TemplateChange`] takes it for is
    /// written there.
    pub template: String,
    /// What is decided.
    pub change: TemplateChange,
    /// Who decided.
    pub origin: DecisionOrigin,
}

/// What is decided about a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TemplateChange {
    /// A value of the parameter that the template ends in is a name: `/users/{user_id}` and `me` make `/users/me`. What is
    /// below goes with it.
    Split {
        /// The text.
        value: String,
    },
    /// Texts are values of the parameter that the template ends in, with everything below them: `/reports/{report_id}`
    /// and `daily`, `weekly`. The parameter is called as the template says.
    Merge {
        /// The texts; none for all of them.
        values: Vec<String>,
    },
    /// The parameter that the template ends in gets another name, also in what is below.
    Rename {
        /// The name.
        parameter: String,
    },
    /// The template stands as it is written, whatever is learned. Every call whose path fits belongs to it, unless a
    /// pinned template fits with more names.
    Pin {
        /// The method in upper case; none for all of them.
        method: Option<String>,
    },
    /// Calls under the template belong to no endpoint and make none.
    Ignore {
        /// The method in upper case; none for all of them.
        method: Option<String>,
    },
}

/// Who decided about a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DecisionOrigin {
    /// A person, by hand.
    Operator,
    /// An imported document.
    Document {
        /// Its name.
        name: String,
    },
}

/// What decisions about templates would do to the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TemplateEffect {
    /// An endpoint gets other names of parameters.
    Renamed {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its method.
        method: String,
        /// Its template so far.
        before: String,
        /// Its template from then on.
        after: String,
    },
    /// An endpoint gets another template.
    Retemplated {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its method.
        method: String,
        /// Its template so far.
        before: String,
        /// Its template from then on.
        after: String,
    },
    /// An endpoint redirects to another one from then on, where its calls count.
    Merged {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its method.
        method: String,
        /// Its template so far.
        before: String,
        /// The endpoint that lives on.
        into: EndpointId,
    },
    /// An endpoint comes into the inventory, with what is known of it.
    Made {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its method.
        method: String,
        /// Its template.
        after: String,
    },
    /// An endpoint leaves the inventory, and none takes its calls.
    Vanished {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its method.
        method: String,
        /// Its template so far.
        before: String,
    },
    /// A template gets its endpoint with its first call.
    Awaited {
        /// Its method; none where any would do.
        method: Option<String>,
        /// The template.
        template: String,
    },
}

impl TemplateDecision {
    /// Its id: the same decision, whoever takes it, has the same one.
    pub fn id(&self) -> TemplateDecisionId {
        let about = Fingerprint::of("template decision").text(&self.gateway).text(&self.workspace).text(&self.service);
        let about = about.text(&self.template);
        let done = match &self.change {
            TemplateChange::Split { value } => about.text("split").text(value),
            TemplateChange::Merge { values } => {
                let mut sorted: Vec<&String> = values.iter().collect();
                sorted.sort_unstable();
                sorted.dedup();
                sorted.into_iter().fold(about.text("merge"), |done, value| done.text(value))
            }
            TemplateChange::Rename { parameter } => about.text("rename").text(parameter),
            TemplateChange::Pin { method } => about.text("pin").text(method.as_deref().unwrap_or_default()),
            TemplateChange::Ignore { method } => about.text("ignore").text(method.as_deref().unwrap_or_default()),
        };
        TemplateDecisionId(done.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(change: TemplateChange) -> TemplateDecision {
        TemplateDecision {
            gateway: "kong".to_owned(),
            workspace: String::new(),
            service: "s-1".to_owned(),
            template: "/users/{user_id}".to_owned(),
            change,
            origin: DecisionOrigin::Operator,
        }
    }

    fn changes() -> Vec<TemplateChange> {
        vec![
            TemplateChange::Split { value: "me".to_owned() },
            TemplateChange::Merge { values: vec!["ann".to_owned(), "bob".to_owned()] },
            TemplateChange::Rename { parameter: "login".to_owned() },
            TemplateChange::Pin { method: Some("GET".to_owned()) },
            TemplateChange::Pin { method: None },
            TemplateChange::Ignore { method: None },
        ]
    }

    #[test]
    fn a_decision_is_read_as_it_was_written() {
        for change in changes() {
            let decision = decision(change);
            let json = serde_json::to_string(&decision).unwrap();
            assert_eq!(serde_json::from_str::<TemplateDecision>(&json).unwrap(), decision, "{json}");
            let bytes = postcard::to_stdvec(&decision).unwrap();
            assert_eq!(postcard::from_bytes::<TemplateDecision>(&bytes).unwrap(), decision);
        }
        let json = serde_json::to_value(decision(changes().remove(0))).unwrap();
        assert_eq!(json["change"], serde_json::json!({ "split": { "value": "me" } }));
        assert_eq!(json["origin"], "operator");
    }

    #[test]
    fn decisions_differ_by_what_is_decided_and_not_by_who_decides() {
        let mut ids: Vec<_> = changes().into_iter().map(|change| decision(change).id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), changes().len());
        let by_hand = decision(TemplateChange::Pin { method: None });
        let by_document =
            TemplateDecision { origin: DecisionOrigin::Document { name: "a".to_owned() }, ..by_hand.clone() };
        assert_eq!(by_hand.id(), by_document.id());
        let turned = decision(TemplateChange::Merge { values: vec!["bob".to_owned(), "ann".to_owned()] });
        assert_eq!(turned.id(), decision(changes().remove(1)).id());
    }
}
