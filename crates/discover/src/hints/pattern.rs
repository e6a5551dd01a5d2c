//! What the path of one route says of the segments that it covers.
//!
//! A plain path is names. Of a regular expression (with a leading `~`) a segment is told where it is a text, alternatives of
//! texts (`(a|b)`), or characters of a kind (`[^/]+`, `(?<id>\d+)`); one with text beside such characters says nothing, and
//! what may reach over a slash (`.+`, `(/x)?`) ends what is told. Expressions are read by the library with which Kong's router
//! compares them; which texts one takes is not worked out: that each character may stand somewhere in it is enough here.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{AssertionKind, Ast, Flag, GroupKind};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{self, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

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

/// Characters that values are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class(ClassUnicode);

impl Told {
    fn name(text: &str) -> Told {
        Told::of(vec![text.into()], None)
    }

    /// A name that reads otherwise in a template is none that can be shown.
    fn of(mut names: Vec<Box<str>>, values: Option<Values>) -> Told {
        names.retain(|name| !name.contains(['#', '{', '}']));
        Told { names, values }
    }
}

impl Class {
    pub fn of(class: ClassUnicode) -> Class {
        Class(class)
    }

    pub fn one(letter: char) -> Class {
        Class(ClassUnicode::new([ClassUnicodeRange::new(letter, letter)]))
    }

    pub fn any() -> Class {
        Class(ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)]))
    }

    /// How many ranges of characters it has.
    pub fn ranges(&self) -> usize {
        self.0.ranges().len()
    }

    /// Whether a text is of such characters.
    pub fn takes(&self, text: &str) -> bool {
        !text.is_empty() && text.chars().all(|letter| self.has(letter))
    }

    pub fn has(&self, letter: char) -> bool {
        let ranges = self.0.ranges();
        let at = ranges.partition_point(|range| range.end() < letter);
        ranges.get(at).is_some_and(|range| range.start() <= letter)
    }

    /// Whether it has another character than this.
    pub fn has_any_but(&self, letter: char) -> bool {
        self.0.ranges().iter().any(|range| range.start() != letter || range.end() != letter)
    }
}

impl Class {
    /// Roughly the memory that it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        std::mem::size_of_val(self.0.ranges())
    }
}

/// What the path of a route says of its segments, from the first on.
pub(super) fn segments(path: &str, depth_max: usize) -> Vec<Told> {
    if path.len() > PATH_BYTES_MAX {
        return Vec::new();
    }
    let Some(expression) = path.strip_prefix('~') else {
        let Some(path) = Path::parse(path, depth_max) else { return Vec::new() };
        return path.segments.iter().map(|segment| Told::name(&segment.text)).collect();
    };
    let Ok(ast) = Parser::new().parse(expression) else { return Vec::new() };
    let reader = Reader::of(expression, &ast);
    let mut told = Vec::new();
    for piece in pieces(&ast) {
        let (said, goes_on) = reader.segment(&piece);
        told.extend(said);
        if !goes_on || told.len() >= depth_max {
            break;
        }
    }
    told
}

/// The parts between the slashes of an expression, those in groups and classes aside; none where it has alternatives as a
/// whole or does not begin with a slash.
fn pieces(ast: &Ast) -> Vec<Vec<&Ast>> {
    let mut parts = parts(ast);
    if matches!(parts, [Ast::Flags(_), ..]) {
        parts = &parts[1..];
    }
    if let [Ast::Assertion(anchor), rest @ ..] = parts
        && matches!(anchor.kind, AssertionKind::StartLine | AssertionKind::StartText)
    {
        parts = rest;
    }
    if let [rest @ .., Ast::Assertion(anchor)] = parts
        && matches!(anchor.kind, AssertionKind::EndLine | AssertionKind::EndText)
    {
        parts = rest;
    }
    // A slash at the end, or one that may be missing there, makes no segment.
    while let [rest @ .., last] = parts
        && is_slash(unrepeated(last))
    {
        parts = rest;
    }
    let mut pieces: Vec<Vec<&Ast>> = vec![Vec::new()];
    for part in parts {
        match pieces.last_mut() {
            Some(piece) if !is_slash(part) => piece.push(part),
            _ => pieces.push(Vec::new()),
        }
    }
    match pieces.remove(0).is_empty() {
        true => pieces,
        false => Vec::new(),
    }
}

/// What stands one after the other in an expression.
fn parts(ast: &Ast) -> &[Ast] {
    match ast {
        Ast::Concat(concat) => &concat.asts,
        other => std::slice::from_ref(other),
    }
}

fn unrepeated(ast: &Ast) -> &Ast {
    match ast {
        Ast::Repetition(repetition) => &repetition.ast,
        other => other,
    }
}

fn is_slash(ast: &Ast) -> bool {
    matches!(ast, Ast::Literal(literal) if literal.c == '/')
}

/// Whether an expression takes nothing but what begins with a slash, or nothing at all.
fn begins_with_slash(ast: &Ast) -> bool {
    match ast {
        Ast::Repetition(repetition) => begins_with_slash(&repetition.ast),
        Ast::Group(group) => begins_with_slash(&group.ast),
        Ast::Concat(concat) => concat.asts.first().is_some_and(begins_with_slash),
        Ast::Alternation(alternation) => alternation.asts.iter().all(begins_with_slash),
        other => is_slash(other),
    }
}

/// The text of a part of a path. A dot is taken for one: who writes a path means that.
fn letter(ast: &Ast) -> Option<char> {
    match ast {
        Ast::Literal(literal) => Some(literal.c),
        Ast::Dot(_) => Some('.'),
        _ => None,
    }
}

/// Whether a letter or digit is written in an expression, so that not all of what it takes is of a kind.
fn has_text(ast: &Ast) -> bool {
    match ast {
        Ast::Literal(literal) => literal.c.is_alphanumeric(),
        Ast::Repetition(repetition) => has_text(&repetition.ast),
        Ast::Group(group) => has_text(&group.ast),
        Ast::Concat(concat) => concat.asts.iter().any(has_text),
        Ast::Alternation(alternation) => alternation.asts.iter().any(has_text),
        _ => false,
    }
}

/// What may stand in a place, groups and alternatives within each other taken apart, with the name of the outermost capture.
fn alternatives<'a>(ast: &'a Ast, name: &mut Option<&'a str>, found: &mut Vec<&'a Ast>) {
    match ast {
        Ast::Group(group) => {
            if let GroupKind::CaptureName { name: captured, .. } = &group.kind {
                *name = name.or(Some(captured.name.as_str()));
            }
            alternatives(&group.ast, name, found);
        }
        Ast::Alternation(alternation) => alternation.asts.iter().for_each(|one| alternatives(one, name, found)),
        other => found.push(other),
    }
}

/// Whether a template may have a parameter of this name.
fn is_name(text: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    text.len() <= 64
        && text.chars().all(fits)
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Reads the parts of one expression.
struct Reader<'e> {
    expression: &'e str,
    ignores_case: bool,
}

impl<'e> Reader<'e> {
    fn of(expression: &'e str, ast: &Ast) -> Self {
        let ignores_case = match parts(ast) {
            [Ast::Flags(flags), ..] => flags.flags.flag_state(Flag::CaseInsensitive) == Some(true),
            _ => false,
        };
        Reader { expression, ignores_case }
    }

    /// What one piece between slashes says, and whether a segment ends where it ends.
    fn segment(&self, piece: &[&Ast]) -> (Option<Told>, bool) {
        if piece.is_empty() {
            return (None, true);
        }
        let text: String = piece.iter().map_while(|part| letter(part)).collect();
        let Some(next) = piece.get(text.chars().count()) else { return (Some(Told::name(&text)), true) };
        if let [Ast::Group(_)] = piece {
            let told = self.group(piece[0]);
            let goes_on = told.is_some();
            return (told, goes_on);
        }
        // `users(/.*)?`: behind the text there is a slash or nothing.
        if begins_with_slash(next) {
            return ((!text.is_empty()).then(|| Told::name(&text)), false);
        }
        let Some(class) = piece.iter().try_fold(ClassUnicode::empty(), |known, part| self.with(known, part)) else {
            return (None, false);
        };
        let is_mixed = piece.iter().any(|part| has_text(part));
        let values = (!is_mixed).then_some(Values { name: None, class: Class(class) });
        (Some(Told { names: Vec::new(), values }), true)
    }

    /// What a group that is all of a segment says.
    fn group(&self, group: &Ast) -> Option<Told> {
        let (mut name, mut all) = (None, Vec::new());
        alternatives(group, &mut name, &mut all);
        let mut names: Vec<Box<str>> = Vec::new();
        let mut class: Option<ClassUnicode> = None;
        let mut is_mixed = false;
        for one in all {
            match parts(one).iter().map(letter).collect::<Option<String>>() {
                Some(text) if !text.contains('/') => names.push(text.into()),
                Some(_) => return None,
                None => {
                    class = Some(self.with(class.unwrap_or_else(ClassUnicode::empty), one)?);
                    is_mixed |= has_text(one);
                }
            }
        }
        if is_mixed {
            return Some(Told::default());
        }
        let name = name.filter(|name| is_name(name)).map(Into::into);
        Some(Told::of(names, class.map(|class| Values { name, class: Class(class) })))
    }

    /// A class and the characters of a part; `None` where a slash may be among them, or it is not only about characters.
    fn with(&self, mut known: ClassUnicode, part: &Ast) -> Option<ClassUnicode> {
        let mut translator = TranslatorBuilder::new().case_insensitive(self.ignores_case).build();
        let part = translator.translate(self.expression, part).ok()?;
        add(&mut known, &part)?;
        let known = Class(known);
        (!known.has('/')).then_some(known.0)
    }
}

fn add(class: &mut ClassUnicode, part: &Hir) -> Option<()> {
    match part.kind() {
        HirKind::Empty => {}
        HirKind::Literal(text) => {
            let text = std::str::from_utf8(&text.0).ok()?;
            text.chars().for_each(|letter| class.push(ClassUnicodeRange::new(letter, letter)));
        }
        HirKind::Class(hir::Class::Unicode(more)) => class.union(more),
        HirKind::Class(hir::Class::Bytes(_)) | HirKind::Look(_) => return None,
        other => return other.subs().iter().try_for_each(|sub| add(class, sub)),
    }
    Some(())
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
        let cases: [(&str, &[&str]); 43] = [
            ("/", &[]),
            ("/orders", &["orders"]),
            ("/api/v1/orders/", &["api", "v1", "orders"]),
            ("/a%20b//12", &["a b", "12"]),
            ("/a%23b/%23c/%7Bd%7D/e", &["?", "%23c", "?", "e"]),
            (r"~/(a#b|c)/x", &["c", "x"]),
            (r"~/(orders?|carts)/(?<id>\d+)$", &["?", "{id}"]),
            (r"~/(v\d+)/users", &["?", "users"]),
            (r"~/(?<kind>(?:daily|weekly))/x", &["daily|weekly", "x"]),
            (r"~/((users)|(orders))/x", &["users|orders", "x"]),
            (r"~/(?<id>(?<inner>\d+)|[a-f]+)", &["{id}"]),
            (r"~/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/x", &["{}", "x"]),
            (r"~/(?<who[0]>\d+)/(?<identité>\d+)", &["{}", "{}"]),
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
            (r"~/x/([]]|[^]/])+", &["x", "{}"]),
            // What may reach over a slash ends it.
            (r"~/files/(?<path>.+)$", &["files"]),
            (r"~/files/.*", &["files"]),
            (r"~/files/[^.]+/x", &["files"]),
            (r"~/files/[\w/]+/x", &["files"]),
            (r"~/users(/.*)?$", &["users"]),
            (r"~/users(?:/(?<id>\d+))?$", &["users"]),
            (r"~/users/(a|b/c)/x", &["users"]),
            (r"~/users/(?=a)x/y", &[]),
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
            (r"~(?i)/[a-f]+", "AB", true),
            (r"~/[a-f]+", "AB", false),
        ];
        for (path, text, expected) in cases {
            let told = segments(path, 24);
            let class = &told[0].values.as_ref().unwrap().class;
            assert_eq!(class.takes(text), expected, "{path} {text}");
        }
    }

    #[test]
    fn any_text_is_read_without_harm() {
        let parts = [
            "~", "/", "(", ")", r"\p{x}", r"\pL", "[", "]", "{", "}", "?", "*", "|", "\\", "<", ">", "a", "é", "^",
            "$", "P", ":", "-", "2,",
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
