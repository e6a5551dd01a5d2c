//! What an analyst types in one line, such as `consumer:alice status:>=400 path:/orders/* last 7d`, as a condition over
//! `events`. Pure.
//!
//! Terms stand beside each other and all have to hold. A term is `field:value`; a `-` before it turns it round. A value is a
//! text in which `*` stands for anything, a number with `>`, `>=`, `<` or `<=` before it, a range `400..499`, or several
//! values with commas between them, of which one has to hold. Quotes keep blanks, commas and stars together. A word
//! without a field is looked for in the path. `last 7d` (or s, m, h) says from when on.

use std::fmt::Write as _;

use strsim::jaro_winkler;

use crate::functions::FIELD_VALUE;

/// How long a search is at most, in bytes.
pub const SEARCH_BYTES_MAX: usize = 4_096;
/// Values of one term at most.
const VALUES_MAX: usize = 100;

/// A search that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The condition over `events`, in SQL.
    pub condition: String,
    /// How far back it goes, in milliseconds; `None` where it does not say.
    pub last_ms: Option<i64>,
}

/// Why a search was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {problem}")]
pub struct SearchError {
    /// Where, in bytes from the beginning.
    pub at: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A field that can be searched for.
#[derive(Debug, Clone, Copy)]
pub struct SearchField {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub words: &'static str,
    kind: Kind,
    /// The columns; one of them has to fit.
    pub(crate) columns: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Flag,
}

const fn text(name: &'static str, columns: &'static [&'static str], words: &'static str) -> SearchField {
    SearchField { name, words, kind: Kind::Text, columns }
}

const fn number(name: &'static str, columns: &'static [&'static str], words: &'static str) -> SearchField {
    SearchField { name, words, kind: Kind::Number, columns }
}

/// Every field, besides `query.NAME`, `header.NAME`, `field.NAME` and `entity.NAME`.
pub const SEARCH_FIELDS: [SearchField; 26] = [
    text("consumer", &["consumer_name", "consumer_id", "consumer_custom_id"], "The consumer's name, id or custom id."),
    text("credential", &["credential_id", "presented_credential"], "The credential's id, or its pseudonym."),
    text("ip", &["client_ip"], "The client's address."),
    text("session", &["session"], "The session's pseudonym."),
    text("gateway", &["gateway"], "The gateway's name."),
    text("workspace", &["workspace"], "The gateway's workspace, by id."),
    text("service", &["service_name", "service_id"], "The service's name or id."),
    text("route", &["route_name", "route_id"], "The route's name or id."),
    text("endpoint", &["endpoint_id"], "The endpoint's id."),
    text("method", &["method"], "The request method."),
    text("path", &["path"], "The path as the client sent it."),
    text("host", &["host"], "The host that the client asked for."),
    number("status", &["status"], "The status that the client got."),
    text("source", &["answered_by"], "Who made the answer: upstream or gateway."),
    number(
        "latency",
        &["latency_total_ms"],
        "Milliseconds from the first byte of the request to the last of the answer.",
    ),
    number("request_bytes", &["request_bytes"], "Size of the request."),
    number("response_bytes", &["response_bytes"], "Size of the answer."),
    text("type", &["response_type"], "The answer's content type."),
    text("country", &["country"], "The country of the client's address, by two letters."),
    text("city", &["city"], "The city of the client's address."),
    number("asn", &["asn"], "The number of the network that the client's address is in."),
    text("network", &["network_class"], "The kind of that network: private, hosting, vpn, tor, proxy or mobile."),
    text("agent", &["agent_family"], "The family of the client's program, such as Chrome or curl."),
    text(
        "agent_class",
        &["agent_class"],
        "The kind of that program: browser, app, library, tool, bot, monitoring or scanner.",
    ),
    text("request_id", &["request_id"], "The gateway's id of the request."),
    SearchField {
        name: "trusted",
        words: "Whether the line proved that it is the gateway's: true or false.",
        kind: Kind::Flag,
        columns: &["trusted"],
    },
];

/// The names of fields that begin with what is typed, for completion.
pub(crate) fn complete_field(typed: &str) -> impl Iterator<Item = &'static SearchField> {
    SEARCH_FIELDS.iter().filter(move |field| field.name.starts_with(typed))
}

/// Understands a search.
pub fn parse_search(text: &str) -> Result<Search, SearchError> {
    if text.len() > SEARCH_BYTES_MAX {
        let problem = format!("the search has {} bytes; {SEARCH_BYTES_MAX} are possible", text.len());
        return Err(SearchError { at: 0, problem });
    }
    let words = split(text)?;
    let mut words = words.into_iter();
    let (mut conditions, mut last_ms) = (Vec::new(), None);
    while let Some(word) = words.next() {
        if word.text == "last" && !word.is_quoted {
            let problem =
                || SearchError { at: word.at, problem: "after `last` comes a time such as 30m, 24h or 7d".into() };
            let time = words.next().ok_or_else(problem)?;
            last_ms = Some(parse_duration_ms(&time.text).ok_or_else(problem)?);
            continue;
        }
        conditions.push(term(&word)?);
    }
    let condition = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
    Ok(Search { condition, last_ms })
}

/// What stands between blanks, with its quotes still in it.
struct Word {
    at: usize,
    text: String,
    is_quoted: bool,
}

fn split(text: &str) -> Result<Vec<Word>, SearchError> {
    let mut words: Vec<Word> = Vec::new();
    let (mut open, mut is_inside) = (None, false);
    for (at, character) in text.char_indices() {
        if character.is_whitespace() && open.is_none() {
            is_inside = false;
            continue;
        }
        if !is_inside {
            words.push(Word { at, text: String::new(), is_quoted: false });
            is_inside = true;
        }
        if character == '"' {
            open = if open.is_some() { None } else { Some(at) };
        }
        if let Some(word) = words.last_mut() {
            word.is_quoted |= character == '"';
            word.text.push(character);
        }
    }
    match open {
        Some(at) => Err(SearchError { at, problem: "this quote is never closed".into() }),
        None => Ok(words),
    }
}

/// `30m` and the like in milliseconds; `None` for anything else.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let unit_ms = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    let count: i64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    (count > 0).then(|| count.checked_mul(unit_ms)).flatten()
}

fn term(word: &Word) -> Result<String, SearchError> {
    let (is_not, body) = match word.text.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, word.text.as_str()),
    };
    let condition = match body.split_once(':').filter(|(name, _)| is_name(name)) {
        Some((name, values)) => of_field(word.at, name, values)?,
        None => format!("path LIKE {}", like(&format!("*{}*", unquoted(body)))),
    };
    // A value that is not there is as good as another one.
    Ok(if is_not { format!("({condition}) IS NOT TRUE") } else { format!("({condition})") })
}

/// A path or an address with a colon in it is a word.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn of_field(at: usize, name: &str, values: &str) -> Result<String, SearchError> {
    let problem = |problem: String| SearchError { at, problem };
    let values = values_of(values);
    if values.iter().all(|value| value.text.is_empty() && !value.is_quoted) {
        return Err(problem(format!("`{name}:` has no value")));
    }
    if values.len() > VALUES_MAX {
        return Err(problem(format!("`{name}:` has {} values; {VALUES_MAX} are possible", values.len())));
    }
    let lists = [("query.", "query"), ("header.", "headers"), ("field.", "fields"), ("entity.", "entities")];
    for (prefix, column) in lists {
        if let Some(part) = name.strip_prefix(prefix) {
            let part = if column == "headers" { part.to_ascii_lowercase() } else { part.to_owned() };
            let column = format!("{FIELD_VALUE}({column}, {})", literal(&part));
            return Ok(any(values.iter().map(|value| text_condition(&column, value))));
        }
    }
    let field = SEARCH_FIELDS.iter().find(|field| field.name == name).ok_or_else(|| problem(unknown(name)))?;
    let each = values.iter().map(|value| {
        let of_column = |column: &&str| match field.kind {
            Kind::Text => Ok(text_condition(column, value)),
            Kind::Number => number_condition(column, &value.text),
            Kind::Flag => flag_condition(column, &value.text),
        };
        let columns: Result<Vec<_>, _> = field.columns.iter().map(of_column).collect();
        columns
            .map(|columns| any(columns.into_iter()))
            .map_err(|what| problem(format!("`{name}:{}`: {what}", value.text)))
    });
    Ok(any(each.collect::<Result<Vec<_>, _>>()?.into_iter()))
}

fn unknown(name: &str) -> String {
    let names = SEARCH_FIELDS.iter().map(|field| field.name);
    let near = names.map(|known| (jaro_winkler(known, name), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    let near = near.filter(|(likeness, _)| *likeness > 0.75).map(|(_, known)| format!("; did you mean `{known}`?"));
    format!("there is no field `{name}`{}", near.unwrap_or_default())
}

struct Value {
    text: String,
    is_quoted: bool,
}

/// What stands between commas outside of quotes.
fn values_of(text: &str) -> Vec<Value> {
    let mut values = vec![Value { text: String::new(), is_quoted: false }];
    let mut is_open = false;
    for character in text.chars() {
        match character {
            ',' if !is_open => values.push(Value { text: String::new(), is_quoted: false }),
            _ => {
                let Some(value) = values.last_mut() else { continue };
                if character == '"' {
                    is_open = !is_open;
                    value.is_quoted = true;
                } else {
                    value.text.push(character);
                }
            }
        }
    }
    values
}

fn unquoted(text: &str) -> String {
    text.replace('"', "")
}

fn any(conditions: impl Iterator<Item = String>) -> String {
    conditions.collect::<Vec<_>>().join(" OR ")
}

fn text_condition(column: &str, value: &Value) -> String {
    if value.text.contains('*') && !value.is_quoted {
        return format!("{column} LIKE {}", like(&value.text));
    }
    let value = if column == "method" { value.text.to_uppercase() } else { value.text.clone() };
    format!("{column} = {}", literal(&value))
}

fn number_condition(column: &str, text: &str) -> Result<String, String> {
    let parsed = |text: &str| {
        text.parse::<i64>().map_err(|_| "this wants a number, such as 404, >=400, <500 or 400..499".to_owned())
    };
    for comparison in [">=", "<=", ">", "<", "="] {
        if let Some(rest) = text.strip_prefix(comparison) {
            return Ok(format!("{column} {comparison} {}", parsed(rest)?));
        }
    }
    match text.split_once("..") {
        Some((low, high)) => Ok(format!("{column} BETWEEN {} AND {}", parsed(low)?, parsed(high)?)),
        None => Ok(format!("{column} = {}", parsed(text)?)),
    }
}

fn flag_condition(column: &str, text: &str) -> Result<String, String> {
    match text {
        "true" | "yes" => Ok(column.to_owned()),
        "false" | "no" => Ok(format!("NOT {column}")),
        _ => Err("this wants true or false".to_owned()),
    }
}

/// A text as SQL writes it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A moment as SQL writes it, in microseconds since 1970.
pub(crate) fn time_literal(us: i64) -> String {
    format!("arrow_cast({us}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

/// A pattern for LIKE: a star is anything, all else is itself.
fn like(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        match character {
            '*' => pattern.push('%'),
            '%' | '_' | '\\' => {
                // Writing into a String cannot fail.
                let _ = write!(pattern, "\\{character}");
            }
            _ => pattern.push(character),
        }
    }
    literal(&pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(search: &str, condition: &str) {
        assert_eq!(parse_search(search).map(|search| search.condition).as_deref(), Ok(condition), "{search}");
    }

    #[test]
    fn terms_become_conditions() {
        check("", "true");
        check("gateway:kong", "(gateway = 'kong')");
        check("ip:192.0.2.1 status:404", "(client_ip = '192.0.2.1') AND (status = 404)");
        check("status:>=400", "(status >= 400)");
        check("status:400..499,503", "(status BETWEEN 400 AND 499 OR status = 503)");
        check("method:get,POST", "(method = 'GET' OR method = 'POST')");
        check("path:/orders/*", "(path LIKE '/orders/%')");
        check("path:\"/a b,c*\"", "(path = '/a b,c*')");
        check("-method:GET", "(method = 'GET') IS NOT TRUE");
        check("trusted:false", "(NOT trusted)");
        check("admin", "(path LIKE '%admin%')");
        check("/v1/a:b", "(path LIKE '%/v1/a:b%')");
        check("query.token:x", "(field_value(query, 'token') = 'x')");
        check("field.tenant:acme", "(field_value(fields, 'tenant') = 'acme')");
        check("entity.merchant_id:4711", "(field_value(entities, 'merchant_id') = '4711')");
        check("header.User-Agent:curl*", "(field_value(headers, 'user-agent') LIKE 'curl%')");
        check("consumer:al*", "(consumer_name LIKE 'al%' OR consumer_id LIKE 'al%' OR consumer_custom_id LIKE 'al%')");
    }

    #[test]
    fn what_is_typed_stays_a_text() {
        check("gateway:o'hara", "(gateway = 'o''hara')");
        check("path:/50%_\\*", "(path LIKE '/50\\%\\_\\\\%')");
        check("x'); DROP", "(path LIKE '%x'');%') AND (path LIKE '%DROP%')");
    }

    #[test]
    fn a_time_says_how_far_back() {
        let last = |search: &str| parse_search(search).unwrap().last_ms;
        assert_eq!(last("status:404 last 7d"), Some(7 * 86_400_000));
        assert_eq!(last("last 30m"), Some(30 * 60_000));
        assert_eq!(last("status:404"), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (search, at, problem) in [
            ("a status:many", 2, "this wants a number"),
            ("a consumr:alice", 2, "did you mean `consumer`?"),
            ("zzzz:1", 0, "there is no field `zzzz`"),
            ("status:", 0, "has no value"),
            ("path:\"/a", 5, "never closed"),
            ("last week", 0, "30m, 24h or 7d"),
            ("last", 0, "30m, 24h or 7d"),
            ("last -3d", 0, "30m, 24h or 7d"),
            ("trusted:maybe", 0, "true or false"),
            ("last 99999999999999999d", 0, "30m"),
        ] {
            let error = parse_search(search).unwrap_err();
            assert!(error.at == at && error.problem.contains(problem), "{search}: {error}");
        }
        assert!(parse_search(&"a".repeat(5000)).is_err());
        assert!(parse_search(&format!("status:{}", vec!["1"; 101].join(","))).is_err());
    }

    #[test]
    fn fields_are_completed() {
        let names = |typed| complete_field(typed).map(|field| field.name).collect::<Vec<_>>();
        assert_eq!(names("se"), ["session", "service"]);
        assert_eq!(names("zz"), [""; 0]);
    }
}
