//! Templates and what their parameters are called.

use crate::operations::MARK;
use crate::partial::is_pattern;
use crate::shape::Shape;
use crate::template::Segment;
use crate::trie::Parameter;

/// One part of a template.
pub(crate) enum Part<'a> {
    Name(&'a str),
    Parameter(&'a Parameter),
    /// A name that a route of the gateway is written with.
    Told {
        name: &'a str,
        route: &'a str,
    },
    /// A parameter that a route of the gateway captures, or takes any text for.
    Captured {
        name: Option<&'a str>,
        parameter: &'a Parameter,
        route: &'a str,
    },
    /// A name because somebody said so.
    Split {
        name: &'a str,
        by: &'a str,
    },
    /// A parameter that somebody has named.
    Renamed {
        name: &'a str,
        parameter: &'a Parameter,
        by: &'a str,
    },
    /// A parameter because somebody said so. No values means all texts.
    Merged {
        name: &'a str,
        values: usize,
        by: &'a str,
    },
}

impl<'a> Part<'a> {
    /// The text that it stands for; `None` for any value of a parameter.
    pub fn text(&self) -> Option<&'a str> {
        match self {
            Part::Name(name) | Part::Told { name, .. } | Part::Split { name, .. } => Some(name),
            Part::Parameter(parameter) => parameter.constant(),
            Part::Captured { .. } | Part::Renamed { .. } | Part::Merged { .. } => None,
        }
    }
}

/// Writes a template: `/users/{user_id}/orders/{order_id}`. Parameter names are unique in it.
pub(crate) fn template(parts: &[Part<'_>], trailing_slash: bool) -> String {
    let mut written = String::new();
    let mut used: Vec<String> = Vec::new();
    let mut before: Option<&str> = None;
    for (at, part) in parts.iter().enumerate() {
        if matches!(part, Part::Name(MARK)) {
            // What is behind it stands alone: `/graphql#GetUser`.
            let operation = parts.get(at + 1).and_then(Part::text).unwrap_or_default();
            let path = if written.is_empty() { "/" } else { &written };
            return format!("{path}{MARK}{operation}");
        }
        written.push('/');
        let name = match part {
            Part::Name(name) | Part::Told { name, .. } | Part::Split { name, .. } => {
                write_name(name, &mut written, &mut used);
                before = Some(name);
                continue;
            }
            Part::Parameter(parameter) => match parameter.constant() {
                Some(only) => {
                    written.push_str(only);
                    before = None;
                    continue;
                }
                None => parameter_name(before, parameter),
            },
            Part::Captured { name, parameter, .. } => {
                name.map_or_else(|| parameter_name(before, parameter), str::to_owned)
            }
            Part::Renamed { name, .. } | Part::Merged { name, .. } => (*name).to_owned(),
        };
        let name = unique(name, &used);
        written.push('{');
        written.push_str(&name);
        written.push('}');
        used.push(name);
        before = None;
    }
    if written.is_empty() || trailing_slash {
        written.push('/');
    }
    written
}

/// Writes a name; one that is a pattern has parameters, which get names that are unique.
fn write_name(name: &str, written: &mut String, used: &mut Vec<String>) {
    if !is_pattern(name) {
        return written.push_str(name);
    }
    let segment = Segment::read(name);
    for (at, text) in segment.texts().iter().enumerate() {
        if let Some(parameter) = at.checked_sub(1).map(|before| &segment.names()[before]) {
            let parameter = unique(parameter.clone(), used);
            written.push_str(&format!("{{{parameter}}}"));
            used.push(parameter);
        }
        written.push_str(text);
    }
}

/// Says why a template is as it is, in one sentence, and whether that rests on little.
pub(crate) fn explanation(parts: &[Part<'_>], is_confirmed: bool) -> String {
    let mut parameters = Vec::new();
    let mut names = Vec::new();
    let mut written = Written::default();
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Name(_) if at > 0 && matches!(parts[at - 1], Part::Name(MARK)) => {
                written.end(&mut names);
                names.extend(part.text().map(|name| format!("`{name}` is an operation that callers ask for")));
            }
            Part::Name(_) => {}
            Part::Parameter(parameter) => parameters.push(match parameter.constant() {
                Some(only) => format!("`{only}` was the only value seen in its position"),
                None => kinds(parameter),
            }),
            Part::Told { name, route } => written.add(name, route, &mut names),
            Part::Captured { parameter, route, .. } => {
                parameters.push(format!("{}, as the route `{route}` says", told_kinds(parameter)));
            }
            Part::Split { name, by } => names.push(format!("`{name}` was split off by {by}")),
            Part::Renamed { parameter, by, .. } => parameters.push(format!("{}, named by {by}", kinds(parameter))),
            Part::Merged { values: 0, by, .. } => parameters.push(format!("all texts, merged by {by}")),
            Part::Merged { values, by, .. } => parameters.push(format!("{values} texts merged by {by}")),
        }
    }
    written.end(&mut names);
    let mut why = match (parameters.is_empty(), names.is_empty()) {
        (true, true) => "no parameter was found in its paths".to_owned(),
        (true, false) => format!("names: {}", names.join("; ")),
        (false, true) => format!("parameters: {}", parameters.join("; ")),
        (false, false) => format!("parameters: {}; names: {}", parameters.join("; "), names.join("; ")),
    };
    if !is_confirmed {
        why.push_str("; few observations so far");
    }
    why
}

/// Names that one route is written with, while they are gathered for a sentence.
#[derive(Default)]
struct Written<'a> {
    names: Vec<String>,
    route: &'a str,
}

impl<'a> Written<'a> {
    fn add(&mut self, name: &str, route: &'a str, said: &mut Vec<String>) {
        if self.route != route {
            self.end(said);
        }
        self.route = route;
        self.names.push(format!("`{name}`"));
    }

    fn end(&mut self, said: &mut Vec<String>) {
        let names = std::mem::take(&mut self.names);
        let Some((last, others)) = names.split_last() else { return };
        said.push(match others {
            [] => format!("{last} is written in the route `{}`", self.route),
            _ => format!("{} and {last} are written in the route `{}`", others.join(", "), self.route),
        });
    }
}

/// What values of a parameter were seen.
fn kinds(parameter: &Parameter) -> String {
    let mut kinds: Vec<String> = parameter.shapes().map(|shape| shape.plural().to_owned()).collect();
    if parameter.texts > 0 {
        kinds.push(format!("{} texts merged, {} of them seen once", parameter.texts, parameter.texts_once));
    }
    kinds.join(", ")
}

/// The same where a route says so: how often a text was seen is no evidence then.
fn told_kinds(parameter: &Parameter) -> String {
    let mut kinds: Vec<&str> = parameter.shapes().map(Shape::plural).collect();
    if parameter.texts > 0 {
        kinds.push("texts");
    }
    kinds.join(", ")
}

fn parameter_name(before: Option<&str>, parameter: &Parameter) -> String {
    let mut shapes = parameter.shapes();
    if parameter.texts == 0
        && let (Some(shape), None) = (shapes.next(), shapes.next())
    {
        match shape {
            Shape::Email => return "email".to_owned(),
            Shape::Date => return "date".to_owned(),
            Shape::Address => return "address".to_owned(),
            Shape::Release => return "version".to_owned(),
            _ => {}
        }
    }
    before.map_or_else(|| "id".to_owned(), noun_id)
}

/// What a parameter is called for what comes before it: `Products` gives `product_id`.
pub(crate) fn noun_id(before: &str) -> String {
    let noun = singular(&snake_case(before));
    if noun.is_empty() || noun == "id" { "id".to_owned() } else { format!("{noun}_id") }
}

fn unique(name: String, used: &[String]) -> String {
    if !used.contains(&name) {
        return name;
    }
    let mut number = 2;
    loop {
        let numbered = format!("{name}_{number}");
        if !used.contains(&numbered) {
            return numbered;
        }
        number += 1;
    }
}

/// `LineItems`, `line-items` and `lineItems` become `line_items`; what is no letter or digit becomes `_`.
pub(crate) fn snake_case(text: &str) -> String {
    let mut snake = String::with_capacity(text.len() + 4);
    let mut before_lower = false;
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            if letter.is_ascii_uppercase() && before_lower {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
            before_lower = !letter.is_ascii_uppercase();
        } else {
            if !snake.is_empty() && !snake.ends_with('_') {
                snake.push('_');
            }
            before_lower = false;
        }
    }
    snake.truncate(snake.trim_end_matches('_').len());
    if snake.starts_with(|first: char| first.is_ascii_digit()) { String::new() } else { snake }
}

/// The singular of an English noun, by its ending; good enough for names of collections.
fn singular(noun: &str) -> String {
    let endings = [
        ("ies", "y"),
        ("sses", "ss"),
        ("shes", "sh"),
        ("ches", "ch"),
        ("xes", "x"),
        ("ss", "ss"),
        ("us", "us"),
        ("is", "is"),
    ];
    for (plural, singular) in endings {
        if let Some(stem) = noun.strip_suffix(plural)
            && stem.len() >= 2
        {
            return format!("{stem}{singular}");
        }
    }
    noun.strip_suffix('s').filter(|stem| stem.len() >= 2).unwrap_or(noun).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers() -> Parameter {
        Parameter { shapes: Shape::Integer.bit(), ..Parameter::default() }
    }

    #[test]
    fn parameters_are_named_for_what_comes_before_them() {
        let cases = [
            ("users", "user_id"),
            ("companies", "company_id"),
            ("addresses", "address_id"),
            ("status", "status_id"),
            ("boxes", "box_id"),
            ("line-items", "line_item_id"),
            ("LineItems", "line_item_id"),
            ("idBoards", "id_board_id"),
            ("me", "me_id"),
            ("2.0", "id"),
            ("é", "id"),
        ];
        for (before, expected) in cases {
            assert_eq!(parameter_name(Some(before), &integers()), expected, "{before}");
        }
        assert_eq!(parameter_name(None, &integers()), "id");
        let dates = Parameter { shapes: Shape::Date.bit(), ..Parameter::default() };
        assert_eq!(parameter_name(Some("reports"), &dates), "date");
    }

    #[test]
    fn names_are_unique_in_a_template() {
        let (a, b, c) = (integers(), integers(), integers());
        let parts =
            [Part::Name("users"), Part::Parameter(&a), Part::Parameter(&b), Part::Name("users"), Part::Parameter(&c)];
        assert_eq!(template(&parts, false), "/users/{user_id}/{id}/users/{user_id_2}");
        assert_eq!(template(&parts[..1], true), "/users/");
        assert_eq!(template(&[], true), "/");
    }
}
