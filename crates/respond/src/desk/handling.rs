//! Who handles an alert, and what people write about it. Both stay with the alert, and go with it.

use outrider_model::{Alert, AlertComment, AlertId, CommandRefused};

use super::commands::check_name;
use super::{Cause, CommandDone, Desk};

/// Comments on one alert. They are never changed, so one more is refused.
const COMMENTS_MAX: usize = 50;
/// Characters of a comment.
const COMMENT_CHARS_MAX: usize = 2000;
/// Bytes of all comments on one alert: lists and the event stream carry them.
const COMMENTS_BYTES_MAX: usize = 32 * 1024;

impl Desk {
    /// Lets somebody look after an alert, or nobody. That there is such a person, the edge that took the decision knows.
    pub(super) fn assign_alert(
        &mut self,
        by: &Cause<'_>,
        id: AlertId,
        assignee: Option<&str>,
    ) -> Result<CommandDone, CommandRefused> {
        let alert = &self.alert_named(id)?.alert;
        if let Some(name) = assignee {
            check_name("the name of the person", name)?;
        }
        if alert.assignee.as_deref() == assignee {
            let whom = assignee.unwrap_or("nobody");
            return Err(CommandRefused::Conflict { why: format!("alert {id} is assigned to {whom} already") });
        }
        let state = alert.state;
        self.change_alert(id, |entry| entry.alert.assignee = assignee.map(str::to_owned));
        self.audit(by, "assigned", &id.to_string(), &format!("to {}", assignee.unwrap_or("nobody")));
        Ok(CommandDone::Alert { alert: id, state })
    }

    /// Adds words to an alert. The audit log says that, and not the words, which may name somebody.
    pub(super) fn comment_alert(
        &mut self,
        by: &Cause<'_>,
        id: AlertId,
        text: &str,
    ) -> Result<CommandDone, CommandRefused> {
        let alert = &self.alert_named(id)?.alert;
        check_comment(alert, text)?;
        let state = alert.state;
        let comment = AlertComment { at_ms: self.now_ms, by: by.person(), text: text.to_owned() };
        self.change_alert(id, |entry| entry.alert.comments.push(comment));
        self.audit(by, "commented", &id.to_string(), "");
        Ok(CommandDone::Alert { alert: id, state })
    }
}

fn check_comment(alert: &Alert, text: &str) -> Result<(), CommandRefused> {
    if text.trim().is_empty() {
        return Err(CommandRefused::Invalid { why: "a comment says something: write it in `text`".to_owned() });
    }
    if text.chars().count() > COMMENT_CHARS_MAX {
        return Err(CommandRefused::Invalid { why: format!("a comment has at most {COMMENT_CHARS_MAX} characters") });
    }
    let bytes: usize = alert.comments.iter().map(|comment| comment.text.len()).sum();
    if alert.comments.len() >= COMMENTS_MAX || bytes + text.len() > COMMENTS_BYTES_MAX {
        let most = format!("{COMMENTS_MAX} comments with {} KiB together", COMMENTS_BYTES_MAX / 1024);
        return Err(CommandRefused::Conflict {
            why: format!("alert {} has no room left: there are at most {most}", alert.id),
        });
    }
    Ok(())
}
