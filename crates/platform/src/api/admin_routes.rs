//! The routes of admins: who may do what, and erasing somebody's data.

use super::routes::Read::Sensitive;
use super::routes::Routes;
use super::{erasures, people, services, tokens};
use crate::store::Role;

/// What admins may besides everything else.
pub(super) fn admin_routes() -> Routes {
    const ERASE: &str = "Erase all data of somebody\n\
        It cannot be undone, and nobody is asked again. It goes on after this answer; every place where there may be something \
        is dated on the receipt, or says why it is not covered.";
    Routes::of(Some(Role::Admin))
        .get(
            "/api/v1/tokens",
            Sensitive("read tokens"),
            tokens::list,
            "list_tokens",
            "All tokens by name, never the tokens themselves",
        )
        .post(
            "/api/v1/tokens",
            tokens::create,
            "create_token",
            "Make a token\nIt is shown in this answer and never again.",
        )
        .delete("/api/v1/tokens/{name}", tokens::revoke, "revoke_token", "Revoke a token")
        .get(
            "/api/v1/services",
            Sensitive("read services"),
            services::list,
            "list_services",
            "The identities of collectors and responders elsewhere, never their tokens",
        )
        .post(
            "/api/v1/services",
            services::create,
            "create_service",
            "Make an identity for a collector or responder\nIts token is shown in this answer and never again.",
        )
        .delete("/api/v1/services/{name}", services::revoke, "revoke_service", "Revoke a service's identity")
        .get(
            "/api/v1/people",
            Sensitive("read people"),
            people::list,
            "list_people",
            "All people by name, disabled ones too",
        )
        .post("/api/v1/people", people::create, "create_person", "Add somebody who may sign in")
        .patch(
            "/api/v1/people/{name}",
            people::change,
            "change_person",
            "Change somebody\nA change of the role, and disabling, sign them out. The last admin stays one.",
        )
        .put(
            "/api/v1/people/{name}/password",
            people::set_password,
            "set_password",
            "Give somebody another password\nIt signs them out.",
        )
        .get(
            "/api/v1/erasures",
            Sensitive("read erasures"),
            erasures::list,
            "list_erasures",
            "Erasures, the newest first",
        )
        .get(
            "/api/v1/erasures/{id}",
            Sensitive("read an erasure"),
            erasures::one,
            "get_erasure",
            "One erasure: how far it is, and its receipt",
        )
        .post("/api/v1/erasures", erasures::ask, "ask_erasure", ERASE)
}
