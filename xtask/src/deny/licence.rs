//! SPDX licence expressions, as far as crates use them: `OR`, `AND`, `WITH`, parentheses, and the old `/` for `OR`.
//!
//! Grammar: SPDX specification, annex "SPDX license expressions"; `AND` binds tighter than `OR`.

/// A licence expression.
#[derive(Debug, PartialEq, Eq)]
pub enum Expression {
    /// One licence, with its exception where it has one.
    One(String),
    /// All of them apply.
    All(Vec<Expression>),
    /// The user chooses.
    Any(Vec<Expression>),
}

impl Expression {
    /// Whether there is a choice whose licences are all allowed.
    pub fn is_satisfied(&self, allowed: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Expression::One(licence) => allowed(licence),
            Expression::All(parts) => parts.iter().all(|part| part.is_satisfied(allowed)),
            Expression::Any(parts) => parts.iter().any(|part| part.is_satisfied(allowed)),
        }
    }

    /// Calls `visit` for each licence that the expression mentions.
    pub fn each(&self, visit: &mut dyn FnMut(&str)) {
        match self {
            Expression::One(licence) => visit(licence),
            Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|part| part.each(visit)),
        }
    }
}

/// Reads an expression; on error the token that does not fit, empty at the end.
pub fn parse(text: &str) -> Result<Expression, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens = spaced.split_whitespace().peekable();
    let expression = any(&mut tokens)?;
    match tokens.next() {
        None => Ok(expression),
        Some(token) => Err(token.to_owned()),
    }
}

type Tokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(tokens: &mut Tokens<'_>) -> Result<Expression, String> {
    let mut parts = vec![all(tokens)?];
    while tokens.next_if_eq(&"OR").is_some() {
        parts.push(all(tokens)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
}

fn all(tokens: &mut Tokens<'_>) -> Result<Expression, String> {
    let mut parts = vec![one(tokens)?];
    while tokens.next_if_eq(&"AND").is_some() {
        parts.push(one(tokens)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
}

fn one(tokens: &mut Tokens<'_>) -> Result<Expression, String> {
    match tokens.next() {
        Some("(") => {
            let inner = any(tokens)?;
            match tokens.next() {
                Some(")") => Ok(inner),
                other => Err(other.unwrap_or("").to_owned()),
            }
        }
        Some(token @ (")" | "OR" | "AND" | "WITH")) => Err(token.to_owned()),
        None => Err(String::new()),
        Some(licence) if tokens.next_if_eq(&"WITH").is_some() => {
            let exception = tokens.next().ok_or_else(String::new)?;
            Ok(Expression::One(format!("{licence} WITH {exception}")))
        }
        Some(licence) => Ok(Expression::One(licence.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_weighed() {
        // With only MIT and `Apache-2.0 WITH LLVM-exception` allowed.
        let cases = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 / MIT", true),
            ("MIT AND GPL-3.0", false),
            ("GPL-3.0 AND MIT OR MIT", true),
            ("MIT OR MIT AND GPL-3.0", true),
            ("(MIT OR GPL-3.0) AND MIT", true),
            ("(MIT OR GPL-3.0) AND GPL-3.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
        ];
        let allowed = |licence: &str| ["MIT", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap().is_satisfied(&allowed), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for (text, at) in [("", ""), ("MIT AND", ""), ("MIT MIT", "MIT"), ("(MIT", ""), ("MIT)", ")"), ("OR", "OR")] {
            assert_eq!(parse(text).unwrap_err(), at, "{text}");
        }
    }
}
