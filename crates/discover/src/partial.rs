//! Segments of which a part is a value by their syntax alone: keys and arguments of OData (`Products(5)`), and files of a
//! web site that carry a fingerprint (`app.3f9ab2c1.js`).
//!
//! Such a segment is learned by its pattern, `Products({product_id})`, as if that were a name, and so one of many patterns
//! that come once each is a value as any other. The key syntax is that of OData 4.01, URL Conventions, 4.3.

use crate::name::{noun_id, snake_case};
use crate::shape::{Shape, value_shape};

/// Bytes of a segment that is read here.
const BYTES_MAX: usize = 256;

/// Endings of files that are built with a fingerprint in their names.
const BUILT: [&str; 9] = ["js", "mjs", "css", "map", "wasm", "woff", "woff2", "ttf", "eot"];

/// Whether a name is such a pattern.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains('{')
}

/// The pattern of a segment that ends in parentheses; `None` where it is no key and no call.
pub(crate) fn of_key(text: &str) -> Option<String> {
    keyed(text, is_literal)
}

/// The same of a segment of a template, in which parameters stand for values.
pub(crate) fn of_template(text: &str) -> Option<String> {
    let stands_for_value = |text: &str| {
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        name.is_some_and(|name| !name.is_empty() && !name.contains(['{', '}']))
    };
    let file = text.strip_prefix('{').and_then(|rest| rest.split_once("}.")).map(|(_, ending)| ending);
    match file.filter(|ending| BUILT.contains(ending)) {
        Some(ending) => Some(format!("{{file}}.{ending}")),
        None => keyed(text, stands_for_value),
    }
}

fn keyed(text: &str, is_value: impl Fn(&str) -> bool) -> Option<String> {
    let (name, arguments) = text.strip_suffix(')')?.split_once('(')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !begins || !name.bytes().all(fits) || arguments.is_empty() || text.len() > BYTES_MAX {
        return None;
    }
    if is_value(arguments) {
        return Some(format!("{name}({{{}}})", noun_id(name)));
    }
    let mut pattern = format!("{name}(");
    for (at, argument) in outside_quotes(arguments, ',').into_iter().enumerate() {
        let (key, value) = argument.split_once('=')?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || !is_value(value) {
            return None;
        }
        let called = snake_case(key);
        let called = if called.is_empty() { "id" } else { &called };
        pattern.push_str(if at > 0 { "," } else { "" });
        pattern.push_str(&format!("{key}={{{called}}}"));
    }
    pattern.push(')');
    Some(pattern)
}

fn outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut begin, mut is_quoted) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        if letter == '\'' {
            is_quoted = !is_quoted;
        } else if letter == separator && !is_quoted {
            parts.push(&text[begin..at]);
            begin = at + letter.len_utf8();
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// Whether a text is a value as OData writes them: quoted, with a kind in front of the quotes or not, or one that is no
/// word.
fn is_literal(text: &str) -> bool {
    if let Some(inner) = text.strip_suffix('\'') {
        let kind = inner.split('\'').next().unwrap_or_default();
        let quotes = inner.bytes().filter(|&byte| byte == b'\'').count();
        let inner = inner.get(kind.len() + 1..).unwrap_or_default();
        // A quote inside is written twice.
        return quotes % 2 == 1
            && kind.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !inner.replace("''", "").contains('\'');
    }
    if let Some(alias) = text.strip_prefix('@') {
        return !alias.is_empty() && alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    }
    let number = text.strip_suffix(['L', 'l', 'M', 'm', 'D', 'd', 'F', 'f']).unwrap_or(text);
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.parse::<f64>().is_ok();
    is_number
        || matches!(text, "true" | "false" | "null")
        || [text, number].iter().any(|text| match value_shape(text, BYTES_MAX) {
            Some(Shape::Phrase | Shape::Long | Shape::Email) | None => false,
            Some(_) => !text.is_empty(),
        })
}

/// The pattern of a file that was built: its name has a fingerprint, of eight hexadecimal digits at least or as random.
pub(crate) fn of_file(text: &str) -> Option<String> {
    let (stem, ending) = text.rsplit_once('.')?;
    let ending = BUILT.iter().find(|known| known.eq_ignore_ascii_case(ending))?;
    let is_print = |part: &str| {
        let is_hexadecimal = part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hexadecimal && part.bytes().any(|byte| byte.is_ascii_digit()))
            || matches!(value_shape(part, BYTES_MAX), Some(Shape::Uuid | Shape::Token))
    };
    (stem.len() <= BYTES_MAX && stem.split(['.', '-', '_']).any(is_print)).then(|| format!("{{file}}.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_from_words() {
        for text in [
            "5",
            "1.2",
            "-1.5",
            "'x'",
            "''",
            "'it''s'",
            "guid'b37500b2-a411-43f5-9907-2e7a60344ced'",
            "5L",
            "true",
            "@p",
        ] {
            assert!(is_literal(text), "{text}");
        }
        for text in ["", "x", "planet", "'", "'x", "'a'b'", "1'x'", "@", "{x}", "a b", "L"] {
            assert!(!is_literal(text), "{text}");
        }
        assert_eq!(of_key("Mercury_(planet)"), None);
        assert_eq!(of_key("A(a='x,y',b=2)").as_deref(), Some("A(a={a},b={b})"));
    }

    #[test]
    fn templates_are_read_as_the_patterns_that_they_write() {
        for (template, pattern) in [
            ("Products({id})", Some("Products({product_id})")),
            ("Products(Key={x},lang={y})", Some("Products(Key={key},lang={lang})")),
            ("{name}.js", Some("{file}.js")),
            ("{name}.pdf", None),
            ("Products(5)", None),
            ("Products({a}{b})", None),
            ("report-{id}", None),
        ] {
            assert_eq!(of_template(template).as_deref(), pattern, "{template}");
        }
    }

    #[test]
    fn files_with_a_fingerprint_are_built_ones() {
        for text in ["app.3f9ab2c1.js", "main-4uLU6hMCjMI75M1A2tKUQC.css", "3f9ab2c1d0.JS", "chunk_12345678.js"] {
            assert!(of_file(text).is_some(), "{text}");
        }
        for text in ["app.js", "jquery-3.6.0.min.js", "deadbeef.js", "app.3f9ab2c1.pdf", ".js", "js", "report.2024.css"]
        {
            assert_eq!(of_file(text), None, "{text}");
        }
    }
}
