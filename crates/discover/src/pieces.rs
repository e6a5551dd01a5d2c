//! Templates as somebody writes them, taken apart: those of [`crate::template`] whose parameters are whole segments.

use std::borrow::Cow;

use outrider_model::{DecisionOrigin, TemplateChange, TemplateDecision};

use crate::name::Part;
use crate::operations::{MARK, operation_of, path_of};
use crate::partial::{is_pattern, of_template};
use crate::refusal::DecisionRefused;
use crate::rules::lower;
use crate::template::{Segment, segments_within};

/// Bytes of a template that somebody writes.
const TEMPLATE_BYTES_MAX: usize = 2048;

/// Bytes of a parameter's name.
const NAME_BYTES_MAX: usize = 64;

/// Texts of one merge.
const VALUES_MAX: usize = 1024;

/// Bytes of a gateway, a workspace or a service.
const KEY_BYTES_MAX: usize = 256;

/// Bytes of a method.
const METHOD_BYTES_MAX: usize = 32;

/// Bytes of a document's name, which stands in the explanation of each endpoint.
pub(crate) const DOCUMENT_NAME_BYTES_MAX: usize = 128;

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Name(Box<str>),
    Parameter(Box<str>),
}

/// Refuses what cannot be meant. Asked when a decision is taken, and not again: limits may be others later.
pub(crate) fn check(decision: &TemplateDecision, depth_max: usize) -> Result<(), DecisionRefused> {
    let refuse = |problem: String| {
        let cut = |text: &str| text.chars().take(KEY_BYTES_MAX).collect();
        DecisionRefused::Template { service: cut(&decision.service), template: cut(&decision.template), problem }
    };
    check_bytes(decision).map_err(refuse)?;
    let pieces = pieces(&decision.template, depth_max).map_err(|problem| refuse(problem.to_owned()))?;
    let mut names: Vec<&str> = Vec::new();
    let of_path = pieces.iter().take_while(|piece| !matches!(piece, Piece::Name(text) if **text == *MARK));
    for piece in of_path {
        let name = match piece {
            Piece::Parameter(name) => name,
            Piece::Name(text) if is_pattern(text) => continue,
            Piece::Name(text) => {
                check_text(text).map_err(refuse)?;
                continue;
            }
        };
        check_name(name, decision)?;
        if names.contains(&&**name) {
            return Err(refuse(format!("two parameters are called `{name}`")));
        }
        names.push(name);
    }
    match &decision.change {
        TemplateChange::Rename { parameter } => check_name(parameter, decision)?,
        TemplateChange::Split { value } => check_text(value).map_err(refuse)?,
        TemplateChange::Merge { values } => {
            if values.len() > VALUES_MAX {
                return Err(refuse(format!("{} texts are merged, and at most {VALUES_MAX} can be", values.len())));
            }
            values.iter().try_for_each(|value| check_text(value)).map_err(refuse)?;
        }
        TemplateChange::Pin { method } | TemplateChange::Ignore { method } => {
            method.as_deref().map_or(Ok(()), check_method).map_err(refuse)?;
        }
    }
    Ok(())
}

fn check_bytes(decision: &TemplateDecision) -> Result<(), String> {
    let TemplateDecision { gateway, workspace, service, origin, .. } = decision;
    let keys = [("gateway", gateway), ("workspace", workspace), ("service", service)];
    if let Some((what, _)) = keys.iter().find(|(_, key)| key.len() > KEY_BYTES_MAX) {
        return Err(format!("its {what} has more than {KEY_BYTES_MAX} bytes"));
    }
    match origin {
        DecisionOrigin::Document { name } if name.len() > DOCUMENT_NAME_BYTES_MAX => {
            Err(format!("the name of its document has more than {DOCUMENT_NAME_BYTES_MAX} bytes"))
        }
        DecisionOrigin::Document { .. } | DecisionOrigin::Operator => Ok(()),
    }
}

fn check_method(method: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if (1..=METHOD_BYTES_MAX).contains(&method.len()) && method.bytes().all(fits) {
        return Ok(());
    }
    let method: String = method.chars().take(METHOD_BYTES_MAX).collect();
    Err(format!("`{method}` is no method; write it in upper case, with at most {METHOD_BYTES_MAX} bytes"))
}

/// Bytes of the texts of a decision.
pub(crate) fn text_bytes(decision: &TemplateDecision) -> usize {
    let TemplateDecision { gateway, workspace, service, template, change, origin } = decision;
    let name = match origin {
        DecisionOrigin::Document { name } => name.len(),
        DecisionOrigin::Operator => 0,
    };
    let texts = match change {
        TemplateChange::Split { value: text } | TemplateChange::Rename { parameter: text } => text.len(),
        TemplateChange::Merge { values } => values.iter().map(|text| size_of::<String>() + text.len()).sum(),
        TemplateChange::Pin { method } | TemplateChange::Ignore { method } => method.as_ref().map_or(0, String::len),
    };
    gateway.len() + workspace.len() + service.len() + template.len() + name + texts
}

/// The segments of a template; the problem where it is none.
pub(crate) fn pieces(template: &str, depth_max: usize) -> Result<Vec<Piece>, &'static str> {
    if !template.starts_with('/') {
        return Err("it does not begin with `/`");
    }
    if template.len() > TEMPLATE_BYTES_MAX {
        return Err("it has more than 2048 bytes");
    }
    if path_of(template).contains(MARK) {
        return Err("behind `#` is no operation");
    }
    let segments = segments_within(template, depth_max).ok_or("it has more segments than are learned")?;
    let mut pieces: Vec<Piece> = segments.into_iter().map(piece).collect::<Result<_, _>>()?;
    if let Some(operation) = operation_of(template) {
        pieces.extend([MARK, operation].map(|text| Piece::Name(text.into())));
    }
    Ok(pieces)
}

fn piece(segment: Segment) -> Result<Piece, &'static str> {
    let plain = |text: &&str| !text.contains(['{', '}']);
    match (segment.whole().filter(plain), segment.literal().filter(plain)) {
        (Some(name), _) => Ok(Piece::Parameter(name.into())),
        (None, Some(text)) => Ok(Piece::Name(text.into())),
        (None, None) => match of_template(&segment.written()) {
            Some(pattern) => Ok(Piece::Name(pattern.into())),
            None => Err("a parameter is a whole segment here, not a part of one"),
        },
    }
}

fn check_name(name: &str, decision: &TemplateDecision) -> Result<(), DecisionRefused> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits) {
        return Ok(());
    }
    Err(DecisionRefused::Name {
        service: decision.service.clone(),
        template: decision.template.clone(),
        name: name.to_owned(),
    })
}

/// The text of a segment, percent-decoded. What would be read otherwise in a template is refused.
fn check_text(text: &str) -> Result<(), String> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(format!("the text of a segment has more than {TEMPLATE_BYTES_MAX} bytes"));
    }
    if matches!(text, "" | "." | "..") || text.contains(['/', '{', '}', '%', ';', '#']) {
        return Err(format!("`{text}` is no text of a segment that can be decided about"));
    }
    Ok(())
}

/// A template without the names of its parameters and without case, the way endpoints are compared: `/users/{}`. Names that
/// look like more than one segment or like a parameter are told apart from those.
pub(crate) fn shape_of_pieces(pieces: &[Piece]) -> Box<str> {
    shape(pieces.iter().map(|piece| match piece {
        Piece::Name(name) => Some(&**name),
        Piece::Parameter(_) => None,
    }))
}

/// The same of parts.
pub(crate) fn shape_of_parts(parts: &[Part<'_>]) -> Box<str> {
    shape(parts.iter().map(Part::text))
}

fn shape<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Box<str> {
    let mut written = String::new();
    for text in texts {
        written.push('/');
        match text {
            Some(text) => written.push_str(&escaped(&lower(text))),
            None => written.push_str("{}"),
        }
    }
    written.into()
}

fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '/', '{']) {
        Cow::Owned(text.replace('%', "%25").replace('/', "%2f").replace('{', "%7b"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_apart() {
        let name = |text: &str| Piece::Name(text.into());
        let parameter = |text: &str| Piece::Parameter(text.into());
        let cases = [
            ("/", vec![]),
            ("/users", vec![name("users")]),
            ("/users/{user_id}/", vec![name("users"), parameter("user_id")]),
            ("//a%20b//{x}", vec![name("a b"), parameter("x")]),
            ("/mcp/#tools/list", vec![name("mcp"), name("#"), name("tools/list")]),
        ];
        for (template, expected) in cases {
            assert_eq!(pieces(template, 24), Ok(expected), "{template}");
        }
        for template in ["users", "/{a}.json", "/a{b}", "/{{a}}", "/{a{b}", "/a}", "/a#", "/a#{b}", "/a#b#c"] {
            assert!(pieces(template, 24).is_err(), "{template}");
        }
        assert_eq!(&*shape_of_pieces(&pieces("/Users/{a}/{b}/x", 24).unwrap()), "/users/{}/{}/x");
    }
}
