//! Forgetting somebody: their alerts, the actions against them that are over, and what stays silent about them.
//!
//! What is active at a gateway names its target there, and has to be taken away by that name. So as long as an action is
//! not over, nobody is erased. Counts of calls of the last hour stay: they have a hash for a name, and go with the hour.

use outrider_model::{ActionId, AlertId, CommandRefused, Subject};

use super::commands::check_name;
use super::schedule::Item;
use super::{Cause, CommandDone, Desk};

/// Actions that a refusal names.
const NAMED_MAX: usize = 5;

impl Desk {
    pub(super) fn erase(
        &mut self,
        by: &Cause<'_>,
        erasure: &str,
        subject: &Subject,
    ) -> Result<CommandDone, CommandRefused> {
        check_name("the id of an erasure", erasure)?;
        let actions = self.actions.rows.values().map(|entry| &entry.action);
        let (over, active): (Vec<_>, Vec<_>) =
            actions.filter(|action| subject.is(&action.target)).partition(|action| action.state.is_final());
        if !active.is_empty() {
            let named: Vec<_> = active.iter().take(NAMED_MAX).map(|action| action.id.to_string()).collect();
            let why = format!(
                "{} of the actions against whom it is about are not over ({}): release or reject them, and when they are over \
                 ask again",
                active.len(),
                named.join(", "),
            );
            return Err(CommandRefused::Conflict { why });
        }
        let over: Vec<ActionId> = over.iter().map(|action| action.id).collect();
        let alerts = self.alerts.rows.values().map(|entry| &entry.alert).filter(|alert| subject.is(&alert.entity));
        let alerts: Vec<(AlertId, u64)> = alerts.map(|alert| (alert.id, alert.entity.key())).collect();
        for (id, entity) in alerts {
            // What becomes of its row, the control store knows by itself.
            self.outbox.alerts.remove(&id);
            self.forget_alert(id);
            for silence in self.silences.of_entity(entity) {
                self.schedule.set(Item::Silence(silence.clone()), None);
                self.silences.remove(&silence);
            }
        }
        for id in over {
            self.outbox.actions.remove(&id);
            self.forget_action(id);
        }
        self.commands.forget_words();
        self.audit(by, "erased a subject", erasure, "");
        Ok(CommandDone::Erased { erasure: erasure.to_owned() })
    }
}
