//! An endpoint as checks see it: what the inventory has of it, and what its path and method say of what it is for.

use std::collections::BTreeSet;

use outrider_classify::{DataClass, Family};
use outrider_model::Endpoint;
use serde::{Deserialize, Serialize};

use super::weakness::WeakSubject;
use crate::inventory::{DataClassCount, EndpointInventory, Location, ParameterInventory, is_sensitive};

/// An endpoint as far as checks look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub endpoint: Endpoint,
    pub seen: EndpointInventory,
    pub errors: Errors,
    /// A parameter of the query asks for a part of a list.
    pub is_paged: bool,
    /// What most answers are; none where nothing says it.
    pub answers: Option<Answers>,
}

/// What answers are, by their media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answers {
    /// What a program reads: JSON, XML, YAML.
    Data,
    /// What a browser shows: HTML.
    Page,
    /// What is stored, shown or goes on for as long as somebody listens.
    File,
}

impl Answers {
    fn of(media_type: &str) -> Answers {
        let parts: Vec<&str> = media_type.split(['/', '+', '-', '.']).collect();
        let has = |words: &[&str]| parts.iter().any(|part| words.contains(part));
        match () {
            () if has(&["html", "xhtml"]) => Answers::Page,
            () if media_type.starts_with("image/") || has(&["stream", "seq"]) => Answers::File,
            () if has(&["json", "xml", "yaml"]) => Answers::Data,
            () => Answers::File,
        }
    }
}

/// Failures among the latest calls: of the stretch that is counted, and of the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Errors {
    /// Calls and errors where the stretch before began.
    before: (u64, u64),
    /// And where this one did.
    since: (u64, u64),
    /// And up to now.
    now: (u64, u64),
    /// Log time at which the latest failure was known.
    pub last_ms: i64,
}

/// Calls of a stretch.
const STRETCH_CALLS: u64 = 200;

/// Statuses which say that somebody behind was not there, and not that a call made the API fail.
const AWAY: [u16; 3] = [502, 503, 504];

impl Errors {
    fn note(&mut self, seen: &EndpointInventory, now_ms: i64) {
        let failed = seen.statuses.iter().filter(|count| count.status >= 500 && !AWAY.contains(&count.status));
        let errors = failed.map(|count| count.calls).sum();
        if errors > self.now.1 {
            self.last_ms = now_ms;
        }
        self.now = (seen.calls, errors);
        if seen.calls.saturating_sub(self.since.0) >= STRETCH_CALLS {
            (self.before, self.since) = (self.since, self.now);
        }
    }

    /// The latest calls, from one stretch to two, and how many of them failed.
    pub fn latest(&self) -> (u64, u64) {
        (self.now.0.saturating_sub(self.before.0), self.now.1.saturating_sub(self.before.1))
    }
}

/// Names of parameters that ask for a part of a list.
const PAGING: &[&str] = &[
    "after",
    "before",
    "continuation",
    "count",
    "cursor",
    "first",
    "from",
    "last",
    "limit",
    "marker",
    "offset",
    "page",
    "pagesize",
    "perpage",
    "range",
    "size",
    "skip",
    "start",
    "take",
    "top",
];

/// Whether a parameter asks for a part of a list.
fn is_paging(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let plain = plain.strip_prefix("page").filter(|rest| !rest.is_empty()).map_or(plain.as_str(), |_| "page");
    PAGING.contains(&plain) || plain.ends_with("token") && plain.contains("page")
}

impl Facts {
    /// What checks look at of an endpoint. The rest is left where it is.
    pub fn new(endpoint: &Endpoint, seen: &EndpointInventory, before: Option<Errors>, now_ms: i64) -> Facts {
        let mut errors = before.unwrap_or_default();
        errors.note(seen, now_ms);
        let is_looked_at = |parameter: &&ParameterInventory| {
            matches!(parameter.location, Location::Path | Location::Query) && parameter.range.is_some()
        };
        let is_paged =
            seen.parameters.iter().any(|parameter| parameter.location == Location::Query && is_paging(&parameter.name));
        let parameters: Vec<ParameterInventory> = seen
            .parameters
            .iter()
            .filter(is_looked_at)
            .take(16)
            .cloned()
            .map(|mut parameter| {
                parameter.values.clear();
                parameter
            })
            .collect();
        let answers = seen.media_types.first().map(|media| Answers::of(&media.name));
        let seen = EndpointInventory {
            parameters,
            class_senders: Vec::new(),
            media_types: Vec::new(),
            versions: Vec::new(),
            request_bytes: None,
            latency_ms: None,
            ..seen.clone()
        };
        let endpoint = Endpoint { explanation: String::new(), ..endpoint.clone() };
        Facts { endpoint, seen, errors, is_paged, answers }
    }

    /// `GET /orders/{id}`.
    pub fn name(&self) -> String {
        format!("{} {}", self.endpoint.key.method, self.endpoint.key.template)
    }

    /// The weakness' subject where the cause is the endpoint's own.
    pub fn subject(&self) -> WeakSubject {
        WeakSubject::Endpoint(self.endpoint.id)
    }

    /// Whether its method changes something.
    pub fn is_writing(&self) -> bool {
        !matches!(self.endpoint.key.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// Words of the template, in lower case.
    pub fn words(&self) -> impl Iterator<Item = String> {
        words(&self.endpoint.key.template)
    }

    /// Classes of data that are somebody's, as far as it is decided.
    pub fn sensitive(&self) -> impl Iterator<Item = &DataClassCount> {
        self.seen.data_classes.iter().filter(|count| count.is_decided && is_sensitive(&count.class))
    }

    /// Their names, each once.
    pub fn sensitive_names(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.sensitive().map(|count| count.class.as_str()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Whether it carries payment or health data.
    pub fn has_grave_data(&self) -> bool {
        let family = |class: &str| DataClass::named(class).map(DataClass::family);
        self.sensitive().any(|count| matches!(family(&count.class), Some(Family::Payment | Family::Health)))
    }

    /// Whether strangers send who they are here by its nature.
    pub fn is_a_form(&self) -> bool {
        const WORDS: &[&str] =
            &["contact", "feedback", "newsletter", "subscribe", "subscriptions", "unsubscribe", "waitlist"];
        self.words().any(|word| WORDS.contains(&word.as_str()))
    }

    /// Whether anybody may call it in any API: a sign-in, a hook that others call with a signature, upkeep.
    pub fn is_public_by_nature(&self) -> bool {
        const WORDS: &[&str] = &["captcha", "csrf", "webhook", "webhooks"];
        self.endpoint.key.method == "OPTIONS"
            || self.is_sign_in()
            || self.is_upkeep()
            || self.words().any(|word| WORDS.contains(&word.as_str()))
    }

    /// Whether it is for upkeep and no part of what is offered.
    pub fn is_upkeep(&self) -> bool {
        is_upkeep(&self.endpoint.key.template)
    }

    /// Whether its method is one that only who looks for holes has a use for.
    pub fn has_probing_method(&self) -> bool {
        matches!(self.endpoint.key.method.as_str(), "TRACE" | "TRACK" | "CONNECT" | "DEBUG")
    }

    /// Whether it gives a list: a `GET` of something that is named and not picked by a parameter.
    pub fn is_list(&self) -> bool {
        let last = self.endpoint.key.template.rsplit('/').next().unwrap_or_default();
        self.endpoint.key.method == "GET" && !last.is_empty() && !last.contains('{')
    }

    /// Whether it is known which routes calls came by.
    pub fn has_routes(&self) -> bool {
        !self.seen.routes.is_empty()
    }

    /// The template as a regular expression of Kong's: `/orders/[^/]+`.
    pub fn as_expression(&self) -> String {
        let mut expression = String::new();
        for segment in self.endpoint.key.template.split('/').skip(1) {
            expression.push('/');
            match segment.contains('{') {
                true => expression.push_str("[^/]+"),
                false => expression.push_str(&segment.replace('.', "\\.")),
            }
        }
        expression
    }

    /// Whether callers prove who they are here.
    pub fn is_sign_in(&self) -> bool {
        is_sign_in(&self.endpoint.key.template)
    }
}

/// Words of a path or template, in lower case.
fn words(path: &str) -> impl Iterator<Item = String> {
    let named = path.split('/').filter(|segment| !segment.contains('{'));
    let words = named.flat_map(|segment| segment.split(|letter: char| !letter.is_ascii_alphanumeric()));
    words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase)
}

/// Whether a path is for upkeep and no part of what is offered: a health check, documents, what browsers ask for by themselves. Behind a
/// parameter such a word is about an object: `/orders/{id}/status`.
pub(crate) fn is_upkeep(path: &str) -> bool {
    const WORDS: &[&str] = &[
        "alive",
        "docs",
        "favicon",
        "health",
        "healthcheck",
        "healthz",
        "heartbeat",
        "jwks",
        "live",
        "livez",
        "openapi",
        "ping",
        "readiness",
        "ready",
        "readyz",
        "robots",
        "status",
        "version",
    ];
    path.starts_with("/.well-known") || !path.contains('{') && words(path).any(|word| WORDS.contains(&word.as_str()))
}

/// Whether callers prove who they are at a path: a sign-in, a sign-up, a token.
pub(crate) fn is_sign_in(path: &str) -> bool {
    const WORDS: &[&str] = &[
        "auth",
        "authenticate",
        "authorize",
        "forgot",
        "login",
        "logon",
        "oauth",
        "oauth2",
        "otp",
        "password",
        "register",
        "registration",
        "reset",
        "session",
        "sessions",
        "signin",
        "signup",
        "sso",
        "token",
        "tokens",
        "verify",
    ];
    let mut before = String::new();
    words(path).any(|word| {
        let pair = format!("{before}{word}");
        before = word.clone();
        WORDS.contains(&word.as_str()) || matches!(pair.as_str(), "signin" | "signup" | "login" | "logon")
    })
}
