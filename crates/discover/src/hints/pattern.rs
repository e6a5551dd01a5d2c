//! What the path of one route says of the segments that it covers.
//!
//! A plain path is names. Of a regular expression (with a leading `~`) a segment is told where it is a text, alternatives of
//! texts (`(a|b)`), or characters of a kind (`[^/]+`, `(?<id>\d+)`); one with text around such characters says nothing, and
//! what may reach over a slash (`.+`, `(/x)?`) ends what is told.

use super::class::{Class, atoms, is_text};
use crate::path::Path;

/// Bytes of a path of a route that is read.
pub(crate) const PATH_BYTES_MAX: usize = 2048;

/// What a route says of one segment. Nothing in it: there is a segment, and that is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Texts that are names.
    pub names: Vec<Box<str>>,
    /// Which texts are values.
    pub values: Option<Values>,
}

/// Texts that are values of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    /// What the capture is called.
    pub name: Option<Box<str>>,
    pub class: Class,
}

impl Told {
    fn name(text: String) -> Told {
        Told::of(vec![text.into()], None)
    }

    /// A name that reads otherwise in a template is none that can be shown.
    fn of(mut names: Vec<Box<str>>, values: Option<Values>) -> Told {
        names.retain(|name| !name.contains(['#', '{', '}']));
        Told { names, values }
    }
}

/// What the path of a route says of its segments, from the first on.
pub(super) fn segments(path: &str, depth_max: usize) -> Vec<Told> {
    if path.len() > PATH_BYTES_MAX {
        return Vec::new();
    }
    let Some(expression) = path.strip_prefix('~') else {
        let Some(path) = Path::parse(path, depth_max) else { return Vec::new() };
        return path.segments.iter().map(|segment| Told::name(segment.text.to_string())).collect();
    };
    let expression = expression.strip_prefix("(?i)").unwrap_or(expression);
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    let expression = match expression.strip_suffix('$') {
        Some(before) if !before.ends_with('\\') => before,
        _ => expression,
    };
    let Some(cut) = Cut::of(expression) else { return Vec::new() };
    let mut told = Vec::new();
    for piece in cut.pieces {
        let (said, goes_on) = segment(piece);
        told.extend(said);
        if !goes_on || told.len() >= depth_max {
            break;
        }
    }
    told
}

/// An expression cut at its slashes, those in groups and classes aside.
struct Cut<'e> {
    pieces: Vec<&'e str>,
}

impl<'e> Cut<'e> {
    /// `None` where it has alternatives as a whole, does not begin with a slash, or is none.
    fn of(expression: &'e str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut begin = 0;
        for (at, byte) in outside(expression)? {
            match byte {
                b'/' => {
                    pieces.push(&expression[begin..at]);
                    begin = at + 1;
                }
                b'|' => return None,
                _ => {}
            }
        }
        pieces.push(&expression[begin..]);
        let first = pieces.remove(0);
        if !first.is_empty() || pieces.is_empty() {
            return None;
        }
        // A slash at the end, or one that may be missing there, makes no segment.
        if matches!(*pieces.last()?, "" | "?" | "*") {
            pieces.pop();
        }
        Some(Cut { pieces })
    }
}

/// The bytes of an expression that stand in no group, no class and no escape, with their places; `None` where brackets do
/// not close.
fn outside(expression: &str) -> Option<Vec<(usize, u8)>> {
    let mut found = Vec::new();
    let (mut depth, mut class_begin, mut is_escaped) = (0usize, None, false);
    for (at, byte) in expression.bytes().enumerate() {
        if std::mem::take(&mut is_escaped) {
            continue;
        }
        match (byte, class_begin) {
            (b'\\', _) => is_escaped = true,
            // A bracket that closes right behind the one that opens is one of the characters.
            (b']', Some(begin)) if at > begin + 1 && expression.get(begin..at) != Some("[^") => class_begin = None,
            (_, Some(_)) => {}
            (b'[', None) => class_begin = Some(at),
            (b'(', None) => {
                if depth == 0 {
                    found.push((at, byte));
                }
                depth += 1;
            }
            (b')', None) => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    found.push((at, byte));
                }
            }
            (_, None) if depth == 0 => found.push((at, byte)),
            (_, None) => {}
        }
    }
    (depth == 0 && class_begin.is_none() && !is_escaped).then_some(found)
}

/// What one piece between slashes says, and whether a segment ends where it ends.
fn segment(piece: &str) -> (Option<Told>, bool) {
    if piece.is_empty() {
        return (None, true);
    }
    // The slash before it may be missing, or come more than once.
    if piece.starts_with(['?', '*', '+', '{']) {
        return (None, false);
    }
    if let Some(text) = is_text(piece) {
        return (Some(Told::name(text)), true);
    }
    let Some(outside) = outside(piece) else { return (None, false) };
    let groups: Vec<usize> = outside.iter().filter(|(_, byte)| *byte == b'(').map(|(at, _)| *at).collect();
    if let [0] = groups[..]
        && outside.last() == Some(&(piece.len() - 1, b')'))
        && outside.len() == 2
    {
        return match group(&piece[1..piece.len() - 1]) {
            Some(told) => (Some(told), true),
            None => (None, false),
        };
    }
    if let Some(&begin) = groups.first() {
        let inner = &piece[begin + 1..];
        let inner = inner.strip_prefix("?:").unwrap_or(inner);
        // `users(/.*)?`: behind the text there is a slash or nothing.
        return match is_text(&piece[..begin]) {
            Some(text) if inner.starts_with('/') && !text.is_empty() => (Some(Told::name(text)), false),
            _ if reaches_over_a_slash(piece) => (None, false),
            _ => (Some(Told::default()), true),
        };
    }
    match atoms(piece) {
        Some(atoms) if atoms.has_text => (Some(Told::default()), true),
        Some(atoms) => {
            (Some(Told { names: Vec::new(), values: Some(Values { name: None, class: atoms.class }) }), true)
        }
        None => (None, false),
    }
}

/// What the inside of a group that is all of a segment says.
fn group(inner: &str) -> Option<Told> {
    let (name, body) = match inner.strip_prefix('?') {
        None => (None, inner),
        Some(rest) => {
            let rest = rest.strip_prefix('P').unwrap_or(rest);
            match (rest.strip_prefix(':'), rest.strip_prefix('<').and_then(|rest| rest.split_once('>'))) {
                (Some(body), _) => (None, body),
                (None, Some((name, body))) if is_name(name) => (Some(name), body),
                _ => return None,
            }
        }
    };
    let mut names: Vec<Box<str>> = Vec::new();
    let mut class: Option<Class> = None;
    let bars = outside(body)?.into_iter().filter(|(_, byte)| *byte == b'|').map(|(at, _)| at);
    let mut begin = 0;
    for end in bars.chain([body.len()]) {
        let one = &body[begin..end];
        begin = end + 1;
        match is_text(one) {
            Some(text) if !text.is_empty() && !text.contains('/') => names.push(text.into()),
            Some(_) => return None,
            None => {
                let atoms = atoms(one)?;
                class = Some(class.map_or(atoms.class, |known| known.with(atoms.class)));
            }
        }
    }
    Some(Told::of(names, class.map(|class| Values { name: name.map(Into::into), class })))
}

/// Whether something in the groups of a piece may be a slash.
fn reaches_over_a_slash(piece: &str) -> bool {
    let mut rest = piece;
    // What is in a group is read without it: it is enough that no part of it may be a slash.
    let mut flat = String::with_capacity(piece.len());
    while let Some(at) = rest.find(['(', ')', '|']) {
        if rest[..at].ends_with('\\') {
            return true;
        }
        flat.push_str(&rest[..at]);
        let is_begin = rest[at..].starts_with('(');
        rest = &rest[at + 1..];
        if is_begin && let Some(marked) = rest.strip_prefix('?') {
            let marked = marked.strip_prefix('P').unwrap_or(marked);
            let named = marked.strip_prefix('<').and_then(|named| named.split_once('>')).map(|(_, body)| body);
            let Some(body) = marked.strip_prefix(':').or(named) else { return true };
            rest = body;
        } else if !is_begin {
            rest = rest.trim_start_matches(['?', '*', '+']);
        }
    }
    flat.push_str(rest);
    atoms(&flat).is_none()
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str) -> Vec<String> {
        let one = |told: &Told| {
            let mut words: Vec<String> = told.names.iter().map(ToString::to_string).collect();
            if let Some(values) = &told.values {
                words.push(format!("{{{}}}", values.name.as_deref().unwrap_or_default()));
            }
            if words.is_empty() { "?".to_owned() } else { words.join("|") }
        };
        segments(path, 24).iter().map(one).collect()
    }

    #[test]
    fn paths_of_routes_are_taken_apart() {
        let cases: [(&str, &[&str]); 36] = [
            ("/", &[]),
            ("/orders", &["orders"]),
            ("/api/v1/orders/", &["api", "v1", "orders"]),
            ("/a%20b//12", &["a b", "12"]),
            ("/a%23b/%23c/%7Bd%7D/e", &["?", "%23c", "?", "e"]),
            (r"~/(a#b|c)/x", &["c", "x"]),
            (r"~/users/(?<id>\d+)$", &["users", "{id}"]),
            (r"~/users/(?P<id>[^/]+)/orders", &["users", "{id}", "orders"]),
            (r"~^/users/\d+$", &["users", "{}"]),
            (r"~/users/[^/]+/?$", &["users", "{}"]),
            (r"~/(a|b)/c$", &["a|b", "c"]),
            (r"~/(?:a|b)/c/$", &["a|b", "c"]),
            (r"~/users/(me|\d+)/x", &["users", "me|{}", "x"]),
            (r"~/users/(?<id>me|\d+)", &["users", "me|{id}"]),
            (r"~/api/v[0-9]+/users$", &["api", "?", "users"]),
            (r"~/report-(?<id>\d+)\.csv/x$", &["?", "x"]),
            (r"~/(?<id>\d+)(\.json)?/x$", &["?", "x"]),
            (r"~/x/[0-9a-f]{8}-[0-9a-f]{4}/y", &["x", "{}", "y"]),
            (r"~/x/(?<id>[0-9a-f]{8}-[0-9a-f]{4})", &["x", "{id}"]),
            (r"~/api\.xro/2\.0/\$metadata", &["api.xro", "2.0", "$metadata"]),
            (r"~/x/([]]|[^]/])+", &["x", "?"]),
            // What may reach over a slash ends it.
            (r"~/files/(?<path>.+)$", &["files"]),
            (r"~/files/.*", &["files"]),
            (r"~/files/[^.]+/x", &["files"]),
            (r"~/files/[\w/]+/x", &["files"]),
            (r"~/users(/.*)?$", &["users"]),
            (r"~/users(?:/(?<id>\d+))?$", &["users"]),
            (r"~/users/(a|b/c)/x", &["users"]),
            (r"~/users/(?=a)x/y", &["users"]),
            (r"~/a/?b/c", &["a"]),
            // No path as a whole, or none at all.
            (r"~/a|/b", &[]),
            (r"~.*/a", &[]),
            (r"~/(a", &[]),
            (r"~/a\", &[]),
            ("~", &[]),
            (r"~(?i)/Users/\S+", &["Users"]),
        ];
        for (path, expected) in cases {
            assert_eq!(said(path), expected, "{path}");
        }
        assert!(segments(&format!("/{}", "x".repeat(PATH_BYTES_MAX)), 24).is_empty());
    }

    #[test]
    fn values_are_those_of_the_class() {
        let cases = [
            (r"~/(?<id>\d+)", "12", true),
            (r"~/(?<id>\d+)", "me", false),
            (r"~/[^/]+", "é me", true),
            (r"~/[^/.]+", "a.b", false),
            (r"~/[\w-]+", "a-B_9", true),
            (r"~/[a-z]{2}-[A-Z]{2}", "de-DE", true),
            (r"~/[a-z]{2}-[A-Z]{2}", "12", false),
            (r"~/(\d+|[a-f]+)", "abc", true),
            (r"~/\d+", "", false),
        ];
        for (path, text, expected) in cases {
            let told = segments(path, 24);
            let class = told[0].values.as_ref().unwrap().class;
            assert_eq!(class.takes(text), expected, "{path} {text}");
        }
    }

    #[test]
    fn any_text_is_read_without_harm() {
        let parts = [
            "~", "/", "(", ")", "[", "]", "{", "}", "?", "*", "|", "\\", "<", ">", "a", "é", "^", "$", "P", ":", "-",
            "2,",
        ];
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut path = String::from("~");
            for _ in 0..state % 19 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                path.push_str(parts[(state >> 33) as usize % parts.len()]);
            }
            state = state.wrapping_add(1);
            let told = segments(&path, 24);
            assert!(told.len() <= 24, "{path}");
        }
    }
}
