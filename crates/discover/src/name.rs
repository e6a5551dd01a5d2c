//! Templates and what their parameters are called.

use crate::shape::Shape;
use crate::trie::Parameter;

/// One part of a template.
pub(crate) enum Part<'a> {
    Name(&'a str),
    Parameter(&'a Parameter),
}

/// Writes a template: `/users/{user_id}/orders/{order_id}`. Parameter names are unique in it.
pub(crate) fn template(parts: &[Part<'_>], trailing_slash: bool) -> String {
    let mut written = String::new();
    let mut used: Vec<String> = Vec::new();
    let mut before: Option<&str> = None;
    for part in parts {
        written.push('/');
        match part {
            Part::Name(name) => {
                written.push_str(name);
                before = Some(name);
            }
            Part::Parameter(parameter) => {
                if let Some(only) = parameter.constant() {
                    written.push_str(only);
                    before = None;
                    continue;
                }
                let name = unique(parameter_name(before, parameter), &used);
                written.push('{');
                written.push_str(&name);
                written.push('}');
                used.push(name);
                before = None;
            }
        }
    }
    if written.is_empty() || trailing_slash {
        written.push('/');
    }
    written
}

/// Says why a template is as it is, in one sentence.
pub(crate) fn explanation(parts: &[Part<'_>]) -> String {
    let mut sentences = Vec::new();
    for part in parts {
        let Part::Parameter(parameter) = part else { continue };
        if let Some(only) = parameter.constant() {
            sentences.push(format!("`{only}` was the only value seen in its position"));
            continue;
        }
        let mut kinds: Vec<String> = parameter.shapes().map(|shape| shape.plural().to_owned()).collect();
        if parameter.texts > 0 {
            kinds.push(format!("{} texts merged, {} of them seen once", parameter.texts, parameter.texts_once));
        }
        sentences.push(kinds.join(", "));
    }
    if sentences.is_empty() {
        "no parameter was found in its paths".to_owned()
    } else {
        format!("parameters: {}", sentences.join("; "))
    }
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
    let Some(before) = before else { return "id".to_owned() };
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
fn snake_case(text: &str) -> String {
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
