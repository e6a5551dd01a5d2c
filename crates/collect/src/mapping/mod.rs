//! Field mapping: what an operator has made of a line beyond what every line says.
//!
//! Decides which values of the line become named fields of the call, above all those that Kong's `custom_fields_by_lua` adds,
//! and which parts of the call are dropped. A value is named by an expression in CEL, the Common Expression Language, over
//! the variable `line`. One that only names a place in the line, such as `line.login.account`, is read there, without the
//! interpreter. An expression that cannot be meant is refused at the start; one that fails on a line is counted, and
//! the line stays a call without that field.
//!
//! Values go through the sanitiser as query fields do. Left out: entities of the business, which are the platform's.

mod drops;
mod expression;
mod input;
mod values;
mod wanted;

use std::fmt;

use outrider_model::{ApiCall, ClassLocation, FORMER_FIELDS, Field, FieldValue, MAPPED_VALUES_MAX, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::CollectError;
use crate::json::Value;
use crate::sanitise::{Hides, Presented, Sanitiser};
use drops::Drops;
use expression::{Compiled, Compiler, Expression};
use values::Values;
use wanted::{Found, Path, Slot, Wanted};

/// Most fields that one source maps.
pub const MAPPED_FIELDS_MAX: usize = 32;
/// Longest name of a mapped field, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest value that leaves in clear, in bytes, after sanitising. A longer one is left out, because cutting it would make
/// two things one.
const VALUE_BYTES_MAX: usize = 1024;
/// Most values of one field of one call.
const FIELD_VALUES_MAX: usize = 16;
/// Most entries of `drop`.
const DROPS_MAX: usize = 64;

/// One `[[collector.sources.fields]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldSettings {
    /// What the field is called: 1 to 64 lower-case letters, digits and `_`. `account` is who tries to sign in; its value is
    /// always a pseudonym.
    pub name: String,
    /// An expression in CEL over `line`, at most 1024 bytes, such as `line.login.account` or
    /// `line.tenant.lowerAscii()`.
    pub value: String,
}

/// Why a field has no value on a line where it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldFailure {
    /// The expression has no result: it compares what cannot be compared, say.
    Expression,
    /// The result is no text, number or truth value, nor a list of such.
    NotAValue,
    /// What the expression reads is more than the interpreter is given.
    TooLarge,
    /// The value is too long to leave in clear.
    TooLong,
    /// The field has too many values, or all fields together have.
    TooMany,
}

impl FieldFailure {
    /// All of them, in the order of their counters.
    pub const ALL: [FieldFailure; 5] = [
        FieldFailure::Expression,
        FieldFailure::NotAValue,
        FieldFailure::TooLarge,
        FieldFailure::TooLong,
        FieldFailure::TooMany,
    ];

    /// The name in counters.
    pub fn as_str(self) -> &'static str {
        match self {
            FieldFailure::Expression => "expression",
            FieldFailure::NotAValue => "not_a_value",
            FieldFailure::TooLarge => "too_large",
            FieldFailure::TooLong => "too_long",
            FieldFailure::TooMany => "too_many",
        }
    }
}

/// What came of one field on some lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FieldTally {
    pub(crate) values: u64,
    pub(crate) failed: [u64; FieldFailure::ALL.len()],
}

/// The field mapping of a source, ready to be used.
pub(crate) struct Mapping {
    fields: Vec<Mapped>,
    wanted: Wanted,
    drops: Drops,
}

struct Mapped {
    name: String,
    source: Source,
    /// The places of the line that it is made of.
    paths: Vec<Path>,
    hides: Hides,
}

enum Source {
    /// A place in the line.
    Place(Slot),
    Expression(Box<Expression>),
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Mapping {
    /// Refuses what cannot be meant. `secret_field` is checked and removed, so that nothing maps it.
    pub(crate) fn new(fields: &[FieldSettings], drop: &[String], secret_field: &str) -> Result<Self, CollectError> {
        let limit = |setting, count: usize, max: usize| match count {
            count if count > max => {
                Err(CollectError::Setting { setting, reason: format!("{count} of them; at most {max}") })
            }
            _ => Ok(()),
        };
        limit("fields", fields.len(), MAPPED_FIELDS_MAX)?;
        limit("drop", drop.len(), DROPS_MAX)?;
        let mut wanted = Wanted::default();
        if fields.is_empty() && drop.is_empty() {
            return Ok(Mapping { fields: Vec::new(), wanted, drops: Drops::default() });
        }
        let compiler = Compiler::new(secret_field)?;
        let mut mapped: Vec<Mapped> = Vec::with_capacity(fields.len());
        for FieldSettings { name, value } in fields {
            check_name(name, mapped.iter().any(|other| other.name == *name))?;
            let what = || format!("the field `{name}`");
            let (source, paths) = match compiler.compile(value).map_err(|problem| problem.of(what(), value))? {
                Compiled::Place(path) => (Source::Place(wanted.slot(&path)), vec![path]),
                Compiled::Expression(expression) => {
                    let paths = expression.paths().to_vec();
                    (Source::Expression(Box::new(expression.with_slots(&mut wanted))), paths)
                }
            };
            mapped.push(Mapped { name: name.clone(), source, paths, hides: Hides::Nothing });
        }
        let mut drops = Drops::default();
        for place in drop {
            let compiled = compiler.compile(place);
            drops.add(compiled).map_err(|problem| problem.of("drop".to_owned(), place))?;
        }
        Ok(Mapping { fields: mapped, wanted, drops })
    }

    /// From here on gives nothing in clear that the sanitiser is told to hide.
    pub(crate) fn hide(&mut self, sanitiser: &Sanitiser) {
        for mapped in &mut self.fields {
            mapped.hides = sanitiser.hides(&mapped.paths);
        }
    }

    /// The names of the fields, in the order of their tallies.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|mapped| mapped.name.as_str())
    }

    /// The names of the fields that are what stands at a place.
    pub(crate) fn names_of(&self, path: &[String]) -> impl Iterator<Item = &str> {
        let slot = self.wanted.find(path);
        let is_there = move |source: &Source| matches!(source, Source::Place(at) if Some(*at) == slot);
        self.fields.iter().filter(move |mapped| is_there(&mapped.source)).map(|mapped| mapped.name.as_str())
    }

    /// Whether a field is made of a place, or of something around it.
    pub(crate) fn reads(&self, path: &[String]) -> bool {
        (1..=path.len()).any(|length| self.wanted.find(&path[..length]).is_some())
    }

    /// Whether a place is dropped.
    pub(crate) fn is_dropped(&self, path: &[String]) -> bool {
        self.drops.has(path)
    }

    /// Whether headers of this name are dropped, which is in lower case.
    pub(crate) fn drops_header(&self, name: &str) -> bool {
        self.drops.has_header(name)
    }

    /// Whether query fields of this name are dropped.
    pub(crate) fn drops_query(&self, name: &str) -> bool {
        self.drops.has_query(name)
    }

    /// Gives the call the fields that its line has.
    pub(crate) fn apply<'a>(
        &'a self,
        line: Value<'_, 'a>,
        call: &mut ApiCall<'a>,
        presented: &mut Presented,
        sanitiser: &Sanitiser,
        tallies: &mut Vec<FieldTally>,
    ) {
        if self.fields.is_empty() {
            return;
        }
        tallies.resize(self.fields.len().max(tallies.len()), FieldTally::default());
        let found = self.wanted.read(line);
        for (mapped, tally) in self.fields.iter().zip(tallies) {
            let values = mapped.read(&found, tally);
            mapped.add(values, &mut call.fields, sanitiser, presented, tally);
        }
    }

    /// Takes from a call what is dropped but headers and query fields, which are not in it.
    pub(crate) fn drop(&self, call: &mut ApiCall<'_>) {
        self.drops.apply(call);
    }
}

impl Mapped {
    fn read<'a>(&self, found: &Found<'_, 'a>, tally: &mut FieldTally) -> Values<'a> {
        let mut values = Values::new();
        let read = match &self.source {
            Source::Place(slot) => found.get(*slot).map_or(Ok(()), |value| values::of_json(value, &mut values)),
            Source::Expression(expression) => expression.evaluate(found, &mut values),
        };
        if let Err(failure) = read {
            tally.fail(failure);
        }
        values
    }

    fn add<'a>(
        &'a self,
        values: Values<'a>,
        fields: &mut Vec<Field<'a>>,
        sanitiser: &Sanitiser,
        presented: &mut Presented,
        tally: &mut FieldTally,
    ) {
        for value in values.into_iter().filter(|value| !value.is_empty()) {
            if fields.len() >= MAPPED_VALUES_MAX {
                return tally.fail(FieldFailure::TooMany);
            }
            let value = sanitiser.mapped_value(self.hides, &self.name, value, presented);
            if matches!(&value, FieldValue::Clear(text) if text.len() > VALUE_BYTES_MAX) {
                presented.finds.leave();
                tally.fail(FieldFailure::TooLong);
                continue;
            }
            presented.finds.stand_at(ClassLocation::Field, fields.len());
            tally.values += 1;
            fields.push(Field { name: Text::from(self.name.as_str()), value });
        }
    }
}

impl FieldTally {
    fn fail(&mut self, failure: FieldFailure) {
        self.failed[failure as usize] += 1;
    }
}

/// Why an expression cannot be meant, before it is known whose it is.
#[derive(Debug)]
struct Problem {
    /// Line and character of the expression, from 1, where that is known.
    at: Option<(usize, usize)>,
    words: String,
}

impl Problem {
    fn new(words: impl Into<String>) -> Problem {
        Problem { at: None, words: words.into() }
    }

    fn of(self, what: String, expression: &str) -> CollectError {
        let place = match self.at {
            Some((1, character)) => format!(" at character {character}"),
            Some((line, character)) => format!(" at line {line}, character {character}"),
            None => String::new(),
        };
        let problem = format!("`{}`{place}: {}", first_line(expression), self.words);
        CollectError::Mapping {
            what,
            expression: expression.to_owned(),
            line: self.at.map_or(1, |(line, _)| line),
            problem,
        }
    }
}

fn first_line(expression: &str) -> &str {
    expression.trim().lines().next().unwrap_or_default()
}

fn check_name(name: &str, is_there: bool) -> Result<(), CollectError> {
    let refused = |reason: String| Err(CollectError::Setting { setting: "fields", reason });
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return refused(format!(
            "the name `{name}` has to be 1 to {NAME_BYTES_MAX} lower-case letters, digits and `_`"
        ));
    }
    if name.starts_with(FORMER_FIELDS) {
        return refused(format!(
            "`{name}` begins with `{FORMER_FIELDS}`, as fields do that calls have while a key is rotated"
        ));
    }
    match is_there {
        true => {
            refused(format!("`{name}` is there twice; put both into one expression: `has(line.a) ? line.a : line.b`"))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
