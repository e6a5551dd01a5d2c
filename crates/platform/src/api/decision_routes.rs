//! The routes of decisions, by who may take them.

use super::routes::Read::Plain;
use super::routes::Routes;
use super::scope::Reach;
use super::{apis, decisions, notify, people, templates};
use crate::store::Role;

/// What analysts may besides: work on alerts.
pub(super) fn analyst_routes() -> Routes {
    Routes::of(Some(Role::Analyst))
        .post(
            "/api/v1/alerts/{id}/acknowledge",
            decisions::acknowledge,
            "acknowledge_alert",
            "Say that somebody looks after an alert",
        )
        .reaches(Reach::Alert)
        .post("/api/v1/alerts/{id}/resolve", decisions::resolve, "resolve_alert", "Say that an alert is over")
        .reaches(Reach::Alert)
        .post(
            "/api/v1/alerts/{id}/false-positive",
            decisions::mark_false_positive,
            "mark_false_positive",
            "Say that an alert was no abuse\nIts actions are released, and the same stays silent for a while.",
        )
        .reaches(Reach::Alert)
        .post(
            "/api/v1/alerts/{id}/assign",
            decisions::assign,
            "assign_alert",
            "Let somebody look after an alert, or nobody",
        )
        .reaches(Reach::Alert)
        .post(
            "/api/v1/alerts/{id}/comment",
            decisions::comment,
            "comment_alert",
            "Add words to an alert\nThey stay as they are as long as the alert is there. It has at most 50 comments, \
             of at most 2000 characters each and 32 KiB together.",
        )
        .reaches(Reach::Alert)
        .put(
            "/api/v1/apis/document",
            apis::put_document,
            "put_document",
            "Give the OpenAPI document of a service\nIt is what the service is compared with from then on.",
        )
        .reaches(Reach::ByItself)
        .delete("/api/v1/apis/document", apis::delete_document, "delete_document", "Forget the document of a service")
        .reaches(Reach::ByItself)
        .get("/api/v1/assignees", Plain, people::assignees, "list_assignees", "Who may look after an alert, by name")
}

/// What responders may besides: act, and say what acts.
pub(super) fn responder_routes() -> Routes {
    Routes::of(Some(Role::Responder))
        .put("/api/v1/policies/{name}", decisions::put_policy, "put_policy", "Make a policy, or replace it")
        .delete(
            "/api/v1/policies/{name}",
            decisions::delete_policy,
            "delete_policy",
            "Delete a policy\nActions that it started run on.",
        )
        .post("/api/v1/actions", decisions::act, "act", "Restrict a consumer now")
        .reaches(Reach::ByItself)
        .post("/api/v1/actions/{id}/approve", decisions::approve, "approve_action", "Carry a proposed action out")
        .reaches(Reach::Action)
        .post("/api/v1/actions/{id}/reject", decisions::reject, "reject_action", "Drop a proposed action")
        .reaches(Reach::Action)
        .post("/api/v1/actions/{id}/release", decisions::release, "release_action", "End an action now")
        .reaches(Reach::Action)
        .put(
            "/api/v1/kill-switch",
            decisions::set_kill_switch,
            "set_kill_switch",
            "Stop automatic actions, or let them go on",
        )
        .post(
            "/api/v1/templates",
            templates::decide,
            "decide_templates",
            "Decide about path templates, and take decisions back\nAll of it is done, or nothing. What stands then is the answer.",
        )
        .reaches(Reach::ByItself)
        .post(
            "/api/v1/templates/preview",
            templates::preview,
            "preview_templates",
            "Say what decisions about path templates would do\nIt takes what `decide_templates` takes, and decides nothing.",
        )
        .reaches(Reach::ByItself)
        .post("/api/v1/notify/{number}/resend", notify::resend, "resend_message", "Send a dead letter again")
}
