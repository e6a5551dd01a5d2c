//! Query parameters: each known by name, given once, and of the form that it promises; and the pages of lists.

use std::str::FromStr;

use axum::Json;
use axum::extract::{FromRequestParts, Query as Pairs};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ApiState;
use super::accept::JSON;
use super::auth::Caller;
use super::body::nearest;
use super::openapi::Description;
use super::problem::{self, Kind, Problem};
use super::routes::{Answer, Ask};
use crate::store::{Gateways, PAGE_MAX, Page};

/// Rows of a page where the request does not say.
const PAGE_DEFAULT: u32 = 50;

/// The largest value of a parameter in bytes.
const VALUE_BYTES_MAX: usize = 1024;

/// A parameter that a route knows.
pub(super) struct Parameter {
    pub name: &'static str,
    /// What it means, for who calls.
    pub what: &'static str,
    /// It takes several values with commas between them.
    pub is_list: bool,
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Parameter {
    /// A parameter with one value.
    pub(super) const fn one<T: JsonSchema>(name: &'static str, what: &'static str) -> Self {
        Parameter { name, what, is_list: false, schema: SchemaGenerator::subschema_for::<T> }
    }

    /// A parameter with several values.
    pub(super) const fn list<T: JsonSchema>(name: &'static str, what: &'static str) -> Self {
        Parameter { is_list: true, ..Parameter::one::<T>(name, what) }
    }
}

/// Which rows of a list are wanted.
pub(super) trait Filter: Sized {
    const PARAMETERS: &'static [Parameter];

    /// How what they ask for may be refused, besides being unreadable.
    const REFUSALS: &'static [&'static Kind] = &[];

    /// Reads what [`Filter::PARAMETERS`] names.
    fn read(query: &Query) -> Result<Self, Problem>;

    /// Keeps to what is at these gateways, where rows are at one.
    fn at(self, _: &Gateways) -> Self {
        self
    }
}

/// All rows.
impl Filter for () {
    const PARAMETERS: &'static [Parameter] = &[];

    fn read(_: &Query) -> Result<Self, Problem> {
        Ok(())
    }
}

const PAGE: &[Parameter] = &[
    Parameter { schema: limit_schema, ..Parameter::one::<u32>("limit", "How many rows the page may have.") },
    Parameter::one::<String>(
        "cursor",
        "The `next` of the page before, as it is. It belongs to the same filter and order.",
    ),
];

fn limit_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT})
}

/// A request for a page of a list.
pub(super) struct List<F> {
    pub filter: F,
    pub limit: u32,
    cursor: Option<String>,
    uri: Uri,
}

impl<F> List<F> {
    /// After which row.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The answer, which says where the next page is.
    pub(super) fn answer<T>(&self, page: Page<T>) -> Listed<T> {
        let link = page.next.as_ref().map(|next| {
            let others = self.uri.query().unwrap_or_default().split('&');
            let others = others.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
            let pairs: Vec<_> = others.map(str::to_owned).chain([format!("cursor={next}")]).collect();
            format!("<{}?{}>; rel=\"next\"", self.uri.path(), pairs.join("&"))
        });
        Listed { page, link }
    }
}

impl<F: Filter> FromRequestParts<ApiState> for List<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let known: Vec<_> = F::PARAMETERS.iter().chain(PAGE).map(|parameter| parameter.name).collect();
        let query = Query::read(&parts.uri, &known)?;
        let (limit, cursor) = query.page()?;
        let cursor = cursor.map(str::to_owned);
        // Every list asks for a role, so who asks is on the request.
        let caller = parts.extensions.get::<Caller>().ok_or_else(Problem::internal)?;
        Ok(List { filter: F::read(&query)?.at(&caller.gateways), limit, cursor, uri: parts.uri.clone() })
    }
}

impl<F: Filter> Ask for List<F> {
    fn describe(description: &mut Description<'_>) {
        for parameter in F::PARAMETERS.iter().chain(PAGE) {
            description.query_parameter(parameter);
        }
        description.problem(&problem::BAD_REQUEST);
    }
}

/// A page of a list.
pub(super) struct Listed<T> {
    page: Page<T>,
    link: Option<String>,
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.page).into_response();
        if let Some(link) = self.link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

impl<T: JsonSchema + Serialize> Answer for Listed<T> {
    fn describe(description: &mut Description<'_>) {
        description.answer::<Page<T>>(StatusCode::OK, JSON, "A page of the list.");
        description.answer_header(StatusCode::OK, "Link", "The next page, `rel=\"next\"`, where there is one.");
    }
}

/// Parameters of something that has no pages.
pub(super) struct Only<F>(pub F);

impl<F: Filter> FromRequestParts<ApiState> for Only<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let known: Vec<_> = F::PARAMETERS.iter().map(|parameter| parameter.name).collect();
        let filter = F::read(&Query::read(&parts.uri, &known)?)?;
        // Who has not signed in yet sees nothing that is at a gateway.
        Ok(Only(match parts.extensions.get::<Caller>() {
            Some(caller) => filter.at(&caller.gateways),
            None => filter,
        }))
    }
}

impl<F: Filter> Ask for Only<F> {
    fn describe(description: &mut Description<'_>) {
        for parameter in F::PARAMETERS {
            description.query_parameter(parameter);
        }
        description.problem(&problem::BAD_REQUEST);
        F::REFUSALS.iter().for_each(|kind| description.problem(kind));
    }
}

/// There are no parameters.
pub(super) type NoQuery = Only<()>;

/// The parameters of a request, checked against those that its route knows.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the parameters.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Query, Problem> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::bad_request(error.body_text()).at("query"))?;
        for (index, (name, value)) in pairs.iter().enumerate() {
            let place = format!("query parameter `{name}`");
            if !known.contains(&name.as_str()) {
                let problem = Problem::bad_request("this parameter is not known here").at(place);
                return Err(match (nearest(name, known.iter().copied()), known) {
                    (Some(near), _) => problem.hint(format!("did you mean `{near}`?")),
                    (None, []) => problem.hint("there are no parameters here"),
                    (None, known) => problem.hint(format!("there are {}", known.join(", "))),
                });
            }
            if pairs[..index].iter().any(|(other, _)| other == name) {
                return Err(Problem::bad_request("this parameter is given twice").at(place));
            }
            if value.len() > VALUE_BYTES_MAX {
                let detail = format!("this value is longer than {VALUE_BYTES_MAX} bytes");
                return Err(Problem::bad_request(detail).at(place));
            }
        }
        Ok(Query(pairs))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A text as it is.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(str::to_owned)
    }

    /// A value that has a text form.
    pub(super) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        self.value(name).map(|value| value.parse().map_err(|error: T::Err| wrong(name, error))).transpose()
    }

    /// One word of a closed list, as JSON writes it.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.value(name).map(|value| word(name, value)).transpose()
    }

    /// Words of a closed list with commas between them.
    pub(super) fn words<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Problem> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(value) => value.split(',').map(|one| word(name, one.trim())).collect(),
        }
    }

    /// How many rows, and after which.
    pub(super) fn page(&self) -> Result<(u32, Option<&str>), Problem> {
        let limit = self.parsed::<u32>("limit")?.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(wrong("limit", format!("{limit} is out of range; use 1 to {PAGE_MAX}")));
        }
        Ok((limit, self.value("cursor")))
    }
}

fn wrong(name: &str, why: impl std::fmt::Display) -> Problem {
    Problem::bad_request(why.to_string()).at(format!("query parameter `{name}`"))
}

fn word<T: DeserializeOwned>(name: &str, value: &str) -> Result<T, Problem> {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};
    let text: StrDeserializer<'_, Error> = value.into_deserializer();
    T::deserialize(text).map_err(|error| {
        // serde's words name the whole list: ``unknown variant `opne`, expected one of `open`, …``.
        let words = error.to_string();
        let near = nearest(value, words.split('`').skip(3).step_by(2)).map(str::to_owned);
        let problem = wrong(name, &words);
        near.map_or(problem.clone(), |near| problem.hint(format!("did you mean `{near}`?")))
    })
}

#[cfg(test)]
mod tests {
    use outrider_model::{AlertId, AlertState, Severity};

    use super::*;

    const KNOWN: &[&str] = &["state", "severity_min", "entity", "alert", "limit", "cursor"];

    fn read(query: &str) -> Result<Query, Problem> {
        Query::read(&format!("/x?{query}").parse().unwrap(), KNOWN)
    }

    #[test]
    fn parameters_are_read_by_their_forms() {
        let query = read("state=open,%20acknowledged&severity_min=high&entity=a%2Fb+c&limit=7&cursor=1.x").unwrap();
        assert_eq!(query.words::<AlertState>("state").unwrap(), [AlertState::Open, AlertState::Acknowledged]);
        assert_eq!(query.word::<Severity>("severity_min").unwrap(), Some(Severity::High));
        assert_eq!(query.text("entity").as_deref(), Some("a/b c"));
        assert_eq!(query.page().unwrap(), (7, Some("1.x")));
        let query = read("").unwrap();
        assert_eq!(query.page().unwrap(), (PAGE_DEFAULT, None));
        assert_eq!(query.words::<AlertState>("state").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_said_by_name() {
        let check = |query: &str, expected: &str| {
            let problem = read(query).and_then(|query| {
                query.page()?;
                query.words::<AlertState>("state")?;
                query.word::<Severity>("severity_min")?;
                query.parsed::<AlertId>("alert")
            });
            let text = serde_json::to_string(&problem.unwrap_err()).unwrap();
            assert!(text.contains(expected), "{query}: {text}");
        };
        check("sate=open", "did you mean `state`?");
        check("xyz=1", "there are state, severity_min");
        check("state=opne", "did you mean `open`?");
        check("state=open,closed", "unknown variant `closed`");
        check("severity_min=hihg", "did you mean `high`?");
        check("limit=0", "use 1 to 500");
        check("limit=501", "use 1 to 500");
        check("limit=-1", "query parameter `limit`");
        check("limit=x", "invalid digit");
        check("state=open&state=open", "given twice");
        check("alert=al_12", "like `al_0123456789abcdef`");
        check(&format!("entity={}", "x".repeat(1025)), "longer than 1024");
    }
}
