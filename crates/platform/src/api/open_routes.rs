//! The routes that ask for nobody: whether the process answers, the document, and the ways in.

use super::routes::Read::Plain;
use super::routes::Routes;
use super::{HEALTH, health, oidc, openapi, session};

/// What everybody may ask.
pub(super) fn open_routes() -> Routes {
    Routes::of(None)
        .get(HEALTH, Plain, health, "get_health", "Whether the process answers")
        .get("/api/v1/openapi.json", Plain, openapi::serve, "get_openapi", "This document")
        .post(
            "/api/v1/setup",
            session::set_up,
            "set_up",
            "Make the first admin and sign them in\nThe token is in `setup-token` in the data directory, until there is an admin.",
        )
        .post("/api/v1/session", session::sign_in, "sign_in", "Sign in\nEnds the session that the request came with.")
        .get(
            "/api/v1/session/ways",
            Plain,
            session::ways,
            "list_ways_in",
            "How one can sign in here\nFor a page that asks somebody to.",
        )
        .get(
            "/api/v1/session/oidc",
            Plain,
            oidc::begin,
            "begin_oidc",
            "Sign in with the identity provider\nFor a browser: it is sent to the provider, or to `/?refused=REASON`.",
        )
        .get(
            "/api/v1/session/oidc/callback",
            Plain,
            oidc::callback,
            "end_oidc",
            "Come back from the identity provider\nFor a browser: the provider sends it here, and it goes on to `/`, signed in, or to \
             `/?refused=REASON`. Who takes no HTML is refused with a problem.",
        )
}
