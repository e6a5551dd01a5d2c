//! `custom_fields_by_lua`: constants that are set in, or removed from, a log line.
//!
//! Only `return` and a constant is understood. Everything else is refused when it is written (see the schema), because
//! an expression that fails at run time loses the whole line in Kong, and outrider never installs one.

use serde_json::Value;

use crate::schema::Object;

/// The constant that an expression returns; null for `nil`.
pub(crate) fn constant(lua: &str) -> Option<Value> {
    let text = lua.trim().strip_prefix("return")?;
    let value = text.trim().trim_end_matches(';').trim_end();
    if !text.starts_with(|letter: char| letter.is_whitespace() || letter == '\'' || letter == '"') {
        return None;
    }
    match value {
        "nil" => Some(Value::Null),
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        _ => quoted(value).map(Value::from).or_else(|| number(value)),
    }
}

/// A quoted text without escapes.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains([quote, '\\', '\n'])).then_some(inner)
}

fn number(text: &str) -> Option<Value> {
    text.parse::<i64>().map(Value::from).ok().or_else(|| {
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
        text.parse::<f64>().ok().filter(|number| is_decimal && number.is_finite()).map(Value::from)
    })
}

/// Sets a field; dots go down, and null removes. `false` when a dot leads into something that is not an object, which
/// in Kong loses the line.
pub(crate) fn set(line: &mut Object, name: &str, value: &Value) -> bool {
    let mut node = line;
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            if value.is_null() {
                node.remove(part);
            } else {
                node.insert(part.to_owned(), value.clone());
            }
            return true;
        }
        let inner = node.entry(part).or_insert_with(|| Value::Object(Object::new()));
        match inner {
            Value::Object(inner) => node = inner,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_constants_are_understood() {
        for (lua, expected) in [
            ("return 'abc'", Some(json!("abc"))),
            (" return \"a'b\" ; ", Some(json!("a'b"))),
            ("return''", Some(json!(""))),
            ("return 42", Some(json!(42))),
            ("return -1.5", Some(json!(-1.5))),
            ("return true", Some(json!(true))),
            ("return nil", Some(Value::Null)),
            ("return nil .. 'x'", None),
            ("return os.getenv('HOME')", None),
            ("return 'a' .. 'b'", None),
            ("return 'a\\n'", None),
            ("returntrue", None),
            ("return inf", None),
            ("return function() return 1 end", None),
            ("return (((", None),
            ("", None),
        ] {
            assert_eq!(constant(lua), expected, "{lua}");
        }
    }

    #[test]
    fn dots_go_down() {
        for (name, value, kept, expected) in [
            ("key", json!("x"), true, json!({ "a": { "b": 1 }, "s": "t", "key": "x" })),
            ("a.c", json!(2), true, json!({ "a": { "b": 1, "c": 2 }, "s": "t" })),
            ("n.m.o", json!(true), true, json!({ "a": { "b": 1 }, "s": "t", "n": { "m": { "o": true } } })),
            ("a", Value::Null, true, json!({ "s": "t" })),
            ("a.b", Value::Null, true, json!({ "a": {}, "s": "t" })),
            ("s.x", json!(1), false, json!({ "a": { "b": 1 }, "s": "t" })),
        ] {
            let mut line = json!({ "a": { "b": 1 }, "s": "t" }).as_object().cloned().unwrap();
            assert_eq!(set(&mut line, name, &value), kept, "{name}");
            assert_eq!(Value::Object(line), expected, "{name}");
        }
    }
}
