//! Classes of data that an operator names in the settings: a pattern, words of names, a validator.
//!
//! Such a class is weighed as ours are: a pattern is a form as good as [`Form::Fair`], with a validator [`Form::Strong`], and a name that
//! has one of the words names it. A class without a pattern is decided by its words alone and takes the whole value.

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::classifier::{Class, Classified};
use crate::evidence::{CONFIDENCE_MIN, Evidence, Form, Naming};

/// Most classes of an operator.
const CLASSES_MAX: usize = 64;
/// Longest name of a class, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1024;
/// Most memory of a compiled pattern, which bounds the time that a byte takes.
const PATTERN_MEMORY_BYTES_MAX: usize = 256 * 1024;
/// Most words of a class.
const WORDS_MAX: usize = 32;
/// Longest word, in bytes.
const WORD_BYTES_MAX: usize = 64;
/// How much of a value patterns are tried on.
const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Most values of one class that are told of one text.
const FOUND_MAX: usize = 16;

/// A class of data of your own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomClass {
    /// Its name in outputs: small letters, digits and `_`, and none of outrider's own.
    pub name: String,
    /// What a value looks like, as a regular expression of the `regex` crate. It is looked for anywhere in the first 4 KiB of a value;
    /// `^` and `$` hold it to the whole.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Words of a field's name that say it, such as `employee` or `badge number`. Case and separators do not matter.
    #[serde(default)]
    pub words: Vec<String>,
    /// What else has to hold of what the pattern finds.
    #[serde(default)]
    pub validator: Validator,
}

/// A rule that digits and letters have to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validator {
    /// None.
    #[default]
    None,
    /// The last digit is that of Luhn (ISO/IEC 7812-1).
    Luhn,
    /// What it comes to modulo 97 is one (ISO/IEC 7064, MOD 97-10), with letters as 10 to 35.
    Mod97,
}

/// Why classes cannot be used.
#[derive(Debug, Error)]
pub enum CustomError {
    /// There are too many of them.
    #[error("there are {0} data classes of your own, and at most {CLASSES_MAX} are possible; leave some out")]
    TooMany(usize),
    /// A name is not as names are.
    #[error(
        "the data class `{0}` needs another name: 1 to {NAME_BYTES_MAX} small letters, digits and `_`, a letter first"
    )]
    Name(String),
    /// A name is taken.
    #[error("there is a data class `{0}` already; give yours another name")]
    Taken(String),
    /// There is nothing to know it by.
    #[error("the data class `{0}` has neither a pattern nor words; give it one of them")]
    Nothing(String),
    /// There is nothing that could be validated.
    #[error("the data class `{0}` has a validator and no pattern; give it the pattern of what is to be validated")]
    NothingToValidate(String),
    /// A pattern is too long.
    #[error(
        "the pattern of the data class `{0}` has {1} bytes, and at most {PATTERN_BYTES_MAX} are possible; shorten it"
    )]
    LongPattern(String, usize),
    /// A pattern is no regular expression, or one that takes too much memory.
    #[error("the pattern of the data class `{name}` cannot be used: {why}")]
    Pattern {
        /// The class.
        name: String,
        /// What the library says.
        why: Box<regex::Error>,
    },
    /// A pattern finds nothing everywhere.
    #[error(
        "the pattern of the data class `{0}` matches an empty text, so it would match everywhere; ask for a character"
    )]
    Empty(String),
    /// There are too many words, or one is too long or says nothing.
    #[error(
        "the words of the data class `{0}` cannot be used: at most {WORDS_MAX}, each of 1 to {WORD_BYTES_MAX} letters and digits"
    )]
    Words(String),
}

/// Classes of an operator, ready to be used.
#[derive(Debug, Default)]
pub struct CustomClasses {
    classes: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    name: String,
    pattern: Option<Regex>,
    /// Lower-case, without separators.
    words: Vec<String>,
    validator: Validator,
}

impl CustomClasses {
    /// No classes but outrider's own.
    pub const fn none() -> Self {
        CustomClasses { classes: Vec::new() }
    }

    /// Checks them and compiles their patterns.
    pub fn new(classes: &[CustomClass]) -> Result<Self, CustomError> {
        if classes.len() > CLASSES_MAX {
            return Err(CustomError::TooMany(classes.len()));
        }
        let mut ready: Vec<Ready> = Vec::with_capacity(classes.len());
        for class in classes {
            let is_taken = ready.iter().any(|other| other.name == class.name)
                || crate::DataClass::all().any(|known| known.as_str() == class.name);
            if is_taken {
                return Err(CustomError::Taken(class.name.clone()));
            }
            ready.push(Ready::new(class)?);
        }
        Ok(CustomClasses { classes: ready })
    }

    /// Hands out what of a value is of one of them.
    pub(crate) fn find<'c>(&'c self, name: &str, value: &str, context: &[&str], mut take: impl FnMut(Classified<'c>)) {
        if self.classes.is_empty() {
            return;
        }
        let name = squashed(name);
        let context: Vec<String> = context.iter().map(|word| squashed(word)).collect();
        for class in &self.classes {
            class.find(&name, value, &context, &mut take);
        }
    }
}

impl Ready {
    fn new(class: &CustomClass) -> Result<Self, CustomError> {
        let name = class.name.clone();
        let is_name = name.len() <= NAME_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name {
            return Err(CustomError::Name(name));
        }
        if class.pattern.is_none() && class.words.is_empty() {
            return Err(CustomError::Nothing(name));
        }
        if class.pattern.is_none() && class.validator != Validator::None {
            return Err(CustomError::NothingToValidate(name));
        }
        let words: Vec<String> = class.words.iter().map(|word| squashed(word)).collect();
        if words.len() > WORDS_MAX || words.iter().any(|word| word.is_empty() || word.len() > WORD_BYTES_MAX) {
            return Err(CustomError::Words(name));
        }
        let pattern = class.pattern.as_deref().map(|pattern| compiled(&name, pattern)).transpose()?;
        Ok(Ready { name, pattern, words, validator: class.validator })
    }

    fn find<'c>(&'c self, name: &str, value: &str, context: &[String], take: &mut impl FnMut(Classified<'c>)) {
        let is_said = |text: &str| self.words.iter().any(|word| text.contains(word.as_str()));
        let is_named = is_said(name);
        let has_context = context.iter().any(|word| is_said(word));
        let evidence = |form, is_checked| Evidence {
            form,
            is_checked,
            name: if is_named { Naming::Named } else { Naming::Silent },
            before: Naming::Silent,
            has_context,
            is_denied: false,
        };
        let mut tell = |form, is_checked, start: usize, end: usize| {
            let evidence = evidence(form, is_checked);
            let confidence = evidence.confidence(None);
            if confidence >= CONFIDENCE_MIN && start < end {
                take(Classified {
                    class: Class::Custom(&self.name),
                    confidence,
                    start,
                    end,
                    because: evidence.because(None),
                });
            }
        };
        let Some(pattern) = &self.pattern else {
            if is_named {
                tell(Form::Possible, false, 0, value.len());
            }
            return;
        };
        let mut end = value.len().min(VALUE_BYTES_MAX);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        for found in pattern.find_iter(&value[..end]).take(FOUND_MAX) {
            let (form, is_checked) = match self.validator {
                Validator::None => (Form::Fair, false),
                validator if validator.holds(found.as_str()) => (Form::Strong, true),
                _ => continue,
            };
            tell(form, is_checked, found.start(), found.end());
        }
    }
}

fn compiled(name: &str, pattern: &str) -> Result<Regex, CustomError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(CustomError::LongPattern(name.to_owned(), pattern.len()));
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(PATTERN_MEMORY_BYTES_MAX)
        .dfa_size_limit(PATTERN_MEMORY_BYTES_MAX)
        .build()
        .map_err(|why| CustomError::Pattern { name: name.to_owned(), why: Box::new(why) })?;
    match regex.is_match("") {
        true => Err(CustomError::Empty(name.to_owned())),
        false => Ok(regex),
    }
}

impl Validator {
    fn holds(self, text: &str) -> bool {
        match self {
            Validator::None => true,
            Validator::Luhn => {
                let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
                !digits.is_empty() && crate::classes::passes_luhn(&digits)
            }
            Validator::Mod97 => {
                let rest = text.bytes().filter(u8::is_ascii_alphanumeric).fold(0u32, |rest, byte| match byte {
                    b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
                    byte => (rest * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
                });
                rest == 1
            }
        }
    }
}

/// In lower case and without separators.
fn squashed(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, pattern: Option<&str>, words: &[&str], validator: Validator) -> CustomClass {
        CustomClass {
            name: name.to_owned(),
            pattern: pattern.map(str::to_owned),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            validator,
        }
    }

    #[test]
    fn classes_of_the_settings_are_found() {
        let classes = [
            class("employee", Some(r"\bE\d{6}\b"), &["employee", "staff number"], Validator::None),
            class("loyalty_card", Some(r"\b\d{10}\b"), &["loyalty"], Validator::Luhn),
            class("creditor_reference", Some(r"\bRF\d{2}[0-9A-Z]{1,21}\b"), &[], Validator::None),
            class("tenant", None, &["tenant"], Validator::None),
        ];
        let classes = CustomClasses::new(&classes).unwrap();
        for (name, value, expected) in [
            ("q", "who is E123456?", vec![("employee", 0.6, "E123456")]),
            ("staffNumber", "E123456", vec![("employee", 0.92, "E123456")]),
            ("q", "1234567897", vec![("loyalty_card", 0.9, "1234567897")]),
            ("q", "1234567890", vec![]),
            ("q", "RF18539007547034", vec![("creditor_reference", 0.6, "RF18539007547034")]),
            ("X-Tenant", "acme", vec![("tenant", 0.8, "acme")]),
            ("q", "acme", vec![]),
        ] {
            let found = classes.classify(name, value, &[]);
            let found: Vec<_> = found
                .iter()
                .map(|found| (found.class.as_str(), found.confidence, &value[found.start..found.end]))
                .collect();
            assert_eq!(found, expected, "{name}={value}");
        }
    }

    #[test]
    fn mod_97_is_checked() {
        assert!(Validator::Mod97.holds("3214282912345698765432161182"));
        assert!(!Validator::Mod97.holds("3214282912345698765432161183"));
    }

    #[test]
    fn what_cannot_be_used_says_what_to_do() {
        let many = vec![class("a", None, &["a"], Validator::None); CLASSES_MAX + 1];
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        for (classes, expected) in [
            (many, "leave some out"),
            (vec![class("Employee", None, &["a"], Validator::None)], "small letters"),
            (vec![class("", None, &["a"], Validator::None)], "small letters"),
            (vec![class("email", None, &["a"], Validator::None)], "another name"),
            (
                vec![class("a", None, &["a"], Validator::None), class("a", None, &["a"], Validator::None)],
                "another name",
            ),
            (vec![class("a", None, &[], Validator::None)], "neither a pattern nor words"),
            (vec![class("a", None, &["a"], Validator::Luhn)], "give it the pattern"),
            (vec![class("a", Some(&long), &[], Validator::None)], "shorten it"),
            (vec![class("a", Some("("), &[], Validator::None)], "unclosed group"),
            (vec![class("a", Some(r"(\w{100}){100}"), &[], Validator::None)], "size limit"),
            (vec![class("a", Some("a*"), &[], Validator::None)], "matches an empty text"),
            (vec![class("a", None, &["--"], Validator::None)], "letters and digits"),
            (vec![class("a", None, &["x"; WORDS_MAX + 1], Validator::None)], "at most 32"),
        ] {
            let error = CustomClasses::new(&classes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
