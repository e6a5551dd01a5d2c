//! What people decide about templates.

use outrider_discover::DecisionRefused;
use outrider_model::{CommandRecord, CommandRefused, TemplateChange, TemplateDecision, TemplateDecisionId};
use outrider_respond::desk::CommandDone;

use super::Analysis;
use crate::store::TemplateRow;

impl Analysis {
    /// Puts decisions about templates in force, or refuses all of them.
    pub(super) fn decide_templates(
        &mut self,
        record: &CommandRecord,
        taken_back: &[TemplateDecisionId],
        decisions: &[TemplateDecision],
    ) -> Result<CommandDone, CommandRefused> {
        let Analysis { desk, catalogue, templates, now_ms, .. } = self;
        desk.on_command_elsewhere(record, CommandDone::TemplatesDecided, || {
            if taken_back.is_empty() && decisions.is_empty() {
                let why = "nothing is decided: name `decisions`, or some to be `taken_back`".to_owned();
                return Err(CommandRefused::Invalid { why });
            }
            catalogue.revise(taken_back, decisions).map_err(refused)?;
            templates.decided.retain(|row| !taken_back.contains(&row.id));
            templates.taken_back.extend_from_slice(taken_back);
            templates.decided.extend(decisions.iter().map(|decision| TemplateRow {
                id: decision.id(),
                decision: decision.clone(),
                decided_ms: *now_ms,
                decided_by: record.by.clone(),
            }));
            Ok(words_of(taken_back, decisions))
        })
    }
}

/// Why decisions about templates are refused, as a command is.
pub(crate) fn refused(why: DecisionRefused) -> CommandRefused {
    let words = why.to_string();
    match why {
        DecisionRefused::Unknown { id } => CommandRefused::NotFound { what: format!("decision {id} about templates") },
        DecisionRefused::Conflict { .. } | DecisionRefused::Full { .. } => CommandRefused::Conflict { why: words },
        DecisionRefused::Template { .. } | DecisionRefused::NoParameter { .. } | DecisionRefused::Name { .. } => {
            CommandRefused::Invalid { why: words }
        }
    }
}

/// What the audit log says of decisions about templates: the first few, and how many there are.
fn words_of(taken_back: &[TemplateDecisionId], decisions: &[TemplateDecision]) -> String {
    const NAMED_MAX: usize = 5;
    let decided = decisions.iter().map(|decision| {
        let TemplateDecision { gateway, service, template, change, .. } = decision;
        let verb = match change {
            TemplateChange::Split { value } => format!("split `{value}` off"),
            TemplateChange::Merge { values } if values.is_empty() => "merge all into".to_owned(),
            TemplateChange::Merge { values } => format!("merge {} texts into", values.len()),
            TemplateChange::Rename { parameter } => format!("call it `{parameter}` in"),
            TemplateChange::Pin { method } => format!("pin {}", method.as_deref().unwrap_or("all of")),
            TemplateChange::Ignore { method } => format!("ignore {}", method.as_deref().unwrap_or("all of")),
        };
        format!("{verb} {template} of service {service} at {gateway} ({})", decision.id())
    });
    let gone = taken_back.iter().map(|id| format!("take back {id}"));
    let mut words: Vec<String> = decided.chain(gone).take(NAMED_MAX).collect();
    let more = (decisions.len() + taken_back.len()).saturating_sub(NAMED_MAX);
    words.extend((more > 0).then(|| format!("and {more} more")));
    words.join("; ")
}
