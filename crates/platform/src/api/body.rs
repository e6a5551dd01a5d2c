//! Bodies of requests: limited, JSON, and without fields that nobody knows.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::ApiState;
use super::openapi::Description;
use super::problem::{self, Problem};
use super::routes::Ask;

/// The largest body in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// A body read as a value. An empty one counts as `{}`.
pub(super) struct Body<T, const BYTES_MAX: usize = BODY_BYTES_MAX>(pub T);

impl<T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<ApiState> for Body<T, BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, Problem> {
        let is_json = is_json(&request);
        let too_large =
            || Problem::too_large(format!("the body is larger than {BYTES_MAX} bytes")).hint("send a smaller one");
        let declared =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if declared.is_some_and(|bytes: u64| bytes > BYTES_MAX as u64) {
            return Err(too_large());
        }
        let bytes = to_bytes(request.into_body(), BYTES_MAX).await.map_err(|error| {
            let source = std::error::Error::source(&error);
            if source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
                too_large()
            } else {
                Problem::bad_request("the body ended before it was complete")
            }
        })?;
        if bytes.is_empty() {
            return parse(b"{}");
        }
        if !is_json {
            return Err(Problem::unsupported_media_type("the body must be JSON")
                .at("header `Content-Type`")
                .hint("send `Content-Type: application/json`"));
        }
        parse(&bytes)
    }
}

impl<T: JsonSchema, const BYTES_MAX: usize> Ask for Body<T, BYTES_MAX> {
    fn describe(description: &mut Description<'_>) {
        description.body::<T>();
        for kind in [&problem::BAD_REQUEST, &problem::TOO_LARGE, &problem::UNSUPPORTED_MEDIA_TYPE, &problem::INVALID] {
            description.problem(kind);
        }
    }
}

fn is_json(request: &Request) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned, const BYTES_MAX: usize>(bytes: &[u8]) -> Result<Body<T, BYTES_MAX>, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, &error.into_inner())
    })?;
    deserializer.end().map_err(|error| refusal(".", &error))?;
    Ok(Body(value))
}

fn refusal(path: &str, error: &serde_json::Error) -> Problem {
    // serde_json ends its words with ` at line 1 column 2`, which is said by `where`.
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or(&words);
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.classify() != Category::Data {
        return Problem::bad_request(format!("the body is not JSON: {words}")).at(place);
    }
    let field = if path == "." { format!("body, {place}") } else { format!("body field `{path}`, {place}") };
    let problem = Problem::unprocessable(words).at(field);
    match nearest_known(words) {
        Some(known) => problem.hint(format!("did you mean `{known}`?")),
        None => problem,
    }
}

/// From serde's words about an unknown name, ``unknown field `a`, expected one of `b`, `c` ``, the known one that is
/// most like it.
fn nearest_known(words: &str) -> Option<&str> {
    if !words.starts_with("unknown ") {
        return None;
    }
    let mut quoted = words.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted)
}

/// The candidate that is most like a name, if one is like it at all.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use outrider_model::Policy;

    use super::*;

    #[test]
    fn a_refused_body_says_what_where_and_what_instead() {
        let cases = [
            (r#"{"name": "a", "respond": {"kind": "block", "statsu": 403}, "duration": "15m"}"#, "statsu", "status"),
            (r#"{"nmae": "a"}"#, "nmae", "name"),
            (r#"{"name": "a", "respond": {"kind": "blok"}, "duration": "15m"}"#, "blok", "block"),
            (
                r#"{"name": "a", "respond": {"kind": "block"}, "duration": "15m", "when": {"severity_min": "hihg"}}"#,
                "when.severity_min",
                "high",
            ),
        ];
        for (body, what, instead) in cases {
            let problem =
                parse::<Policy, BODY_BYTES_MAX>(body.as_bytes()).err().map(|problem| format!("{problem:?}")).unwrap();
            assert!(problem.contains(what), "{body}: {problem}");
            assert!(problem.contains(&format!("did you mean `{instead}`?")), "{body}: {problem}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_from_what_does_not_fit() {
        let twice = r#"{"name": "a", "respond": {"kind": "block"}, "duration": "15m"} {}"#;
        for body in ["{", "", "nope", twice, "[", "\u{0}"] {
            let problem = format!("{:?}", parse::<Policy, BODY_BYTES_MAX>(body.as_bytes()).err().unwrap());
            assert!(problem.contains("400"), "{body}: {problem}");
        }
        for body in ["{}", "[]", "1", r#"{"name": 7}"#, r#"{"name": "a", "name": "b"}"#] {
            let problem = format!("{:?}", parse::<Policy, BODY_BYTES_MAX>(body.as_bytes()).err().unwrap());
            assert!(problem.contains("422"), "{body}: {problem}");
        }
    }
}
