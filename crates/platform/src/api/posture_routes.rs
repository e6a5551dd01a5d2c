//! The routes of posture.

use super::posture;
use super::routes::Read::{Plain, Sensitive};
use super::routes::Routes;
use super::scope::Reach;
use crate::store::Role;

/// What every viewer may know of what is weak.
pub(super) fn posture_routes() -> Routes {
    const LIST: &str = "What is weak at the APIs, the newest first\n\
        Each has its evidence, the query that reproduces it, and what to do. One whose state changes stays where it is in the list; one that \
        comes back moves to the front.";
    const CLASSES: &str = "Classes of data with where they go\n\
        By family and name, as far as they are in paths, queries, headers and mapped fields: Kong logs no bodies. Only parameters that were \
        decided to carry a class count.";
    Routes::of(Some(Role::Viewer))
        .get("/api/v1/posture", Sensitive("read weaknesses"), posture::list, "list_weaknesses", LIST)
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/posture/counts",
            Sensitive("counted weaknesses"),
            posture::counts,
            "count_weaknesses",
            "How many weaknesses there are, by state, severity and check",
        )
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/posture/export",
            Sensitive("exported weaknesses"),
            posture::export,
            "export_weaknesses",
            "What is weak at the APIs, as CSV",
        )
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/posture/checks",
            Plain,
            posture::list_checks,
            "list_posture_checks",
            "The checks of posture, with a page for each",
        )
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/posture/{id}",
            Sensitive("read a weakness"),
            posture::one,
            "get_weakness",
            "One weakness, whether it is there or was",
        )
        .reaches(Reach::Weakness)
        .get(
            "/api/v1/data-classes",
            Sensitive("read data classes"),
            posture::data_classes,
            "list_data_classes",
            CLASSES,
        )
        .reaches(Reach::ByItself)
}

/// What analysts may besides: leave a weakness for a while.
pub(super) fn exception_routes() -> Routes {
    Routes::of(Some(Role::Analyst))
        .put(
            "/api/v1/posture/{id}/exception",
            posture::except,
            "except_weakness",
            "Leave a weakness for a while\nIt ends by itself, and takes the place of the exception before.",
        )
        .reaches(Reach::Weakness)
        .delete(
            "/api/v1/posture/{id}/exception",
            posture::withdraw,
            "withdraw_exception",
            "Take the exception of a weakness back",
        )
        .reaches(Reach::Weakness)
}
