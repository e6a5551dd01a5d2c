//! Query parameters: each known by name, given once, and of the form that it promises.

use std::str::FromStr;

use axum::extract::Query as Pairs;
use axum::http::Uri;
use serde::de::DeserializeOwned;

use super::body::nearest;
use super::problem::Problem;
use crate::store::PAGE_MAX;

/// Rows of a page where the request does not say.
const PAGE_DEFAULT: u32 = 50;

/// The largest value of a parameter in bytes.
const VALUE_BYTES_MAX: usize = 1024;

/// The parameters of a request, checked against those that its route knows.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the parameters. `limit` and `cursor` are known where `known` names them.
    pub(super) fn read(uri: &Uri, known: &[&'static str]) -> Result<Query, Problem> {
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
