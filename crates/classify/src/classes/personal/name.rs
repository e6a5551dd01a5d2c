//! Names of people. Nothing in a name proves that it is one, so the field has to speak of a person.

use crate::candidates::Candidates;
use crate::classes::DataClass;
use crate::evidence::{Form, Naming};
use crate::parameter::Parameter;

/// Names of fields that everything has. What they hold is a person's only where the path speaks of people.
const OF_ANYTHING: &[&str] = &["name", "nom", "nome", "nombre", "naam", "namn", "navn"];
/// Longest value that is read as a name.
const NAME_BYTES_MAX: usize = 80;
/// Most words of one.
const WORDS_MAX: usize = 6;

pub(super) fn find(parameter: &Parameter<'_>, candidates: &mut Candidates) {
    let (value, start) = parameter.trimmed();
    let is_said = match parameter.said.naming(DataClass::PersonName) {
        Naming::Named => true,
        // `file_name` has a word besides, which says whose name it is.
        Naming::Suggested => parameter.said.is_all_known(),
        Naming::Silent => false,
    };
    if !is_said || !is_written_like_one(value) {
        return;
    }
    let words = value.split_whitespace();
    let is_capital = |word: &str| !word.chars().next().is_some_and(char::is_lowercase);
    let is_full =
        words.clone().count() > 1 && words.clone().any(|word| word.len() > 2) && words.clone().all(is_capital);
    let is_of_anything = OF_ANYTHING.iter().any(|name| parameter.name.eq_ignore_ascii_case(name))
        && !parameter.context.speaks_of(DataClass::PersonName);
    // A single word may be anything's name; two of them with capitals are a person's rather than an account's.
    let form = if is_full && !is_of_anything { Form::Weak } else { Form::Possible };
    candidates.add(parameter, DataClass::PersonName, form, (start, start + value.len()));
}

/// Letters of any script, with what stands between the parts of a name.
fn is_written_like_one(value: &str) -> bool {
    let is_of_name = |character: char| {
        character.is_alphabetic() || matches!(character, ' ' | '-' | '\'' | '\u{2019}' | '.' | ',' | '\u{b7}')
            // Signs that are put on a letter before them.
            || ('\u{300}'..='\u{36f}').contains(&character)
    };
    (2..=NAME_BYTES_MAX).contains(&value.len())
        && value.chars().next().is_some_and(char::is_alphabetic)
        && value.chars().all(is_of_name)
        && value.split_whitespace().count() <= WORDS_MAX
        && !["null", "none", "true", "false", "undefined"].iter().any(|none| value.eq_ignore_ascii_case(none))
}
