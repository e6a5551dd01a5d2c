//! The routes over the lake.

use super::routes::Read::{Plain, Sensitive};
use super::routes::Routes;
use super::scope::Reach;
use super::{hunts, lake, lake_call, lake_hints, lake_rows, lake_schema};
use crate::store::Role;

/// What every viewer may ask the lake.
pub(super) fn lake_routes() -> Routes {
    const TIMELINE: &str = "Calls of one entity, the newest first\n\
        Every call that was there when the first page was read is shown exactly once.";
    const SEARCH: &str = "Calls that a search finds, the newest first\n\
        Terms stand beside each other and all have to hold: `consumer:alice status:>=400 path:/orders/* last 7d`.";
    const QUERY: &str = "Ask the lake in SQL\n\
        Over the tables `events`, `timeline` and `endpoint_hours`, what outrider knows (`alerts`, `findings`, `actions`, \
        `endpoints`) and the views `calls`, `hours` and `alert_calls`. It reads and can change nothing; time, memory and rows are limited.";
    const SCHEMA: &str = "What a statement may name\n\
        The tables and views with their columns, what each means and its unit, and the functions.";
    const FOLLOW: &str = "Ask the lake in SQL, and see how far it is\n\
        As `query_lake`, with the rows as they come. To close the connection ends the query.";
    const EXPORT: &str = "Ask the lake in SQL, for a file\n\
        As `query_lake`, as CSV, JSON lines or Parquet. To close the connection ends the query.";
    const CALL: &str = "One call, with all that is known of it\n\
        Its id is `position` and `call_index` of a timeline's row with a point between them.";
    Routes::of(Some(Role::Viewer))
        .get("/api/v1/calls/{id}", Sensitive("read a call"), lake_call::call, "get_call", CALL)
        .reaches(Reach::ByItself)
        .get("/api/v1/timeline", Sensitive("read a timeline"), lake::timeline, "get_timeline", TIMELINE)
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/timeline/density",
            Sensitive("read a timeline's density"),
            lake_hints::density,
            "get_timeline_density",
            "How one entity's calls lie in time",
        )
        .reaches(Reach::ByItself)
        .get("/api/v1/search", Sensitive("searched"), lake::search, "search_calls", SEARCH)
        .reaches(Reach::ByItself)
        .get(
            "/api/v1/search/completions",
            Sensitive("completed a search"),
            lake_hints::complete,
            "complete_search",
            "What a search that is being typed may go on with",
        )
        .reaches(Reach::ByItself)
        .get("/api/v1/lake/schema", Plain, lake_schema::schema, "get_lake_schema", SCHEMA)
        .post("/api/v1/query", lake::query, "query_lake", QUERY)
        .post("/api/v1/query/stream", lake_rows::follow, "follow_query", FOLLOW)
        .post("/api/v1/query/export", lake_rows::export, "export_query", EXPORT)
        .get("/api/v1/hunts", Plain, hunts::list, "list_hunts", "Saved hunts, by name")
        .reaches(Reach::ByItself)
        .get("/api/v1/hunts/{name}", Plain, hunts::hunt, "get_hunt", "One hunt, and how its last run went")
        .reaches(Reach::Hunt)
}

/// What every analyst may have asked of the lake.
pub(super) fn hunt_routes() -> Routes {
    Routes::of(Some(Role::Analyst))
        .put(
            "/api/v1/hunts/{name}",
            hunts::put,
            "put_hunt",
            "Make a hunt, or change it\nIts windows go on where they are. What cannot be answered is refused.",
        )
        .reaches(Reach::Hunt)
        .delete("/api/v1/hunts/{name}", hunts::delete, "delete_hunt", "Delete a hunt\nThe alerts that it raised stay.")
        .reaches(Reach::Hunt)
        .post(
            "/api/v1/hunts/{name}/run",
            hunts::run,
            "run_hunt",
            "Say what a hunt finds now\nOver the calls of its `look_back`, or of `every`. It raises nothing, and moves no window.",
        )
        .reaches(Reach::Hunt)
}
