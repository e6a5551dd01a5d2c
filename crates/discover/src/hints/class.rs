//! Kinds of characters in a regular expression, as far as a segment of a path may be one.
//!
//! An expression is read as a run of atoms: a character, an escape (`\d`), a class (`[a-z]`), each with a quantifier. Which
//! texts it takes is not worked out; that each character may stand somewhere in it is enough here.

/// Characters, of those that a segment may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Class {
    ascii: u128,
    /// All characters that are not ASCII.
    others: bool,
}

const DIGITS: u128 = range(b'0', b'9');
const WORD: u128 = DIGITS | range(b'a', b'z') | range(b'A', b'Z') | bit(b'_');

const fn bit(byte: u8) -> u128 {
    1 << byte
}

const fn range(from: u8, to: u8) -> u128 {
    let mut found = 0;
    let mut at = from;
    while at <= to {
        found |= bit(at);
        at += 1;
    }
    found
}

impl Class {
    pub fn with(self, other: Class) -> Class {
        Class { ascii: self.ascii | other.ascii, others: self.others | other.others }
    }

    /// Whether a text is of such characters.
    pub fn takes(self, text: &str) -> bool {
        let takes = |byte: u8| if byte.is_ascii() { self.ascii & bit(byte) != 0 } else { self.others };
        !text.is_empty() && text.bytes().all(takes)
    }

    fn add(&mut self, letter: char) {
        match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii() => self.ascii |= bit(byte),
            _ => self.others = true,
        }
    }

    fn negated(self) -> Class {
        // The end of a line is in no path.
        Class { ascii: !self.ascii, others: true }
    }

    fn has_slash(self) -> bool {
        self.ascii & bit(b'/') != 0
    }
}

/// What a run of atoms is.
pub(super) struct Atoms {
    pub class: Class,
    /// A letter or digit stands in it as it is, so that only a part of the segment is of a kind.
    pub has_text: bool,
}

/// The text that an expression is, where it is nothing else. A dot is taken for one: who writes a path means that.
pub(super) fn is_text(expression: &str) -> Option<String> {
    let mut text = String::with_capacity(expression.len());
    let mut rest = expression.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => match rest.next()? {
                escaped if escaped.is_ascii_alphanumeric() => return None,
                escaped => text.push(escaped),
            },
            '(' | ')' | '[' | ']' | '{' | '}' | '?' | '*' | '+' | '|' | '^' | '$' => return None,
            other => text.push(other),
        }
    }
    Some(text)
}

/// Reads a run of atoms; `None` where it is none, or may be a slash.
pub(super) fn atoms(expression: &str) -> Option<Atoms> {
    let mut found = Atoms { class: Class::default(), has_text: false };
    let mut rest = expression;
    if rest.is_empty() {
        return None;
    }
    while let Some(letter) = rest.chars().next() {
        let behind = &rest[letter.len_utf8()..];
        let class;
        (class, rest) = match letter {
            '[' => bracket(behind)?,
            '\\' => {
                let escaped = behind.chars().next()?;
                found.has_text |= escape(escaped).is_none() && escaped.is_alphanumeric();
                (escape(escaped).or_else(|| literal(escaped))?, &behind[escaped.len_utf8()..])
            }
            '.' | '(' | ')' | '{' | '}' | '?' | '*' | '+' | '|' | '^' | '$' | ']' => return None,
            other => {
                found.has_text |= other.is_alphanumeric();
                (literal(other)?, behind)
            }
        };
        if class.has_slash() {
            return None;
        }
        found.class = found.class.with(class);
        rest = quantifier(rest)?;
    }
    Some(found)
}

fn literal(letter: char) -> Option<Class> {
    let mut class = Class::default();
    class.add(letter);
    Some(class)
}

/// A kind of characters behind a backslash; `None` for a character.
fn escape(letter: char) -> Option<Class> {
    let ascii = match letter {
        'd' => DIGITS,
        'w' => WORD,
        's' => bit(b' ') | bit(b'\t') | bit(b'\n') | bit(b'\r'),
        'D' | 'W' | 'S' => return Some(Class { ascii: u128::MAX, others: true }),
        _ => return None,
    };
    Some(Class { ascii, others: false })
}

/// Reads a class behind its opening bracket, and gives what is behind the closing one.
fn bracket(text: &str) -> Option<(Class, &str)> {
    let (is_negated, mut rest) = match text.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut class = Class::default();
    let mut is_first = true;
    loop {
        let letter = rest.chars().next()?;
        rest = &rest[letter.len_utf8()..];
        let from = match letter {
            ']' if !is_first => break,
            '[' if rest.starts_with(':') => return None,
            '\\' => {
                let escaped = rest.chars().next()?;
                rest = &rest[escaped.len_utf8()..];
                if let Some(kind) = escape(escaped) {
                    class = class.with(kind);
                    is_first = false;
                    continue;
                }
                if escaped.is_ascii_alphanumeric() {
                    return None;
                }
                escaped
            }
            other => other,
        };
        is_first = false;
        let to = rest.strip_prefix('-').and_then(|behind| behind.chars().next()).filter(|&to| to != ']');
        match to {
            Some('\\' | '[') => return None,
            Some(to) => {
                rest = &rest[1 + to.len_utf8()..];
                match (u8::try_from(from), u8::try_from(to)) {
                    (Ok(from), Ok(to)) if from.is_ascii() && to.is_ascii() && from <= to => {
                        class.ascii |= range(from, to);
                    }
                    _ => return None,
                }
            }
            None => class.add(from),
        }
    }
    Some((if is_negated { class.negated() } else { class }, rest))
}

/// What is behind the quantifier that a text begins with, if it does.
fn quantifier(text: &str) -> Option<&str> {
    let rest = match text.chars().next() {
        Some('?' | '*' | '+') => &text[1..],
        Some('{') => {
            let (counts, rest) = text[1..].split_once('}')?;
            let is_count = !counts.is_empty() && counts.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
            is_count.then_some(rest)?
        }
        _ => return Some(text),
    };
    // Lazy or possessive: the same texts.
    Some(rest.strip_prefix(['?', '+']).unwrap_or(rest))
}
