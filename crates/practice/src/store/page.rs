//! Pages of a list: by id, with the position and the filters that Kong 3.9 understands.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Refusal, Store, reference};
use crate::schema::{Object, Table};

const SIZE_DEFAULT: usize = 100;
const SIZE_MAX: usize = 1000;

/// What to list.
#[derive(Default)]
pub(crate) struct Query<'a> {
    /// Only rows whose reference (by field name) is this id.
    pub(crate) parent: Option<(&'a str, &'a str)>,
    /// `a,b`: both; `a/b`: either.
    pub(crate) tags: Option<&'a str>,
    /// How many, 1 to 1000.
    pub(crate) size: Option<&'a str>,
    /// A position that an earlier page gave.
    pub(crate) offset: Option<&'a str>,
}

/// A page and the position of the next one.
pub(crate) struct Page {
    /// In the order of their ids.
    pub(crate) rows: Vec<Arc<Object>>,
    /// Absent on the last page.
    pub(crate) offset: Option<String>,
}

impl Store {
    /// One page of a table.
    pub(crate) fn page(&self, table: Table, query: &Query<'_>) -> Result<Page, Refusal> {
        let size = size(query.size)?;
        let after = query.offset.map(after).transpose()?;
        let wanted = query.tags.map(wanted).transpose()?;
        let mut found: Vec<(&String, &Arc<Object>)> = self
            .rows(table)
            .filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after))
            .filter(|(_, row)| query.parent.is_none_or(|(field, id)| reference(row, field) == Some(id)))
            .filter(|(_, row)| wanted.as_ref().is_none_or(|wanted| wanted.matches(row)))
            .take(size + 1)
            .collect();
        let more = found.len() > size;
        found.truncate(size);
        let offset =
            more.then(|| found.last()).flatten().map(|(id, _)| URL_SAFE_NO_PAD.encode(json!([id]).to_string()));
        Ok(Page { rows: found.into_iter().map(|(_, row)| Arc::clone(row)).collect(), offset })
    }
}

/// The page size a query asks for.
pub(crate) fn size(size: Option<&str>) -> Result<usize, Refusal> {
    let Some(size) = size else {
        return Ok(SIZE_DEFAULT);
    };
    let number: f64 = size.parse().map_err(|_| Refusal::size("size must be a number"))?;
    if number.fract() != 0.0 || !(1.0..=SIZE_MAX as f64).contains(&number) {
        return Err(Refusal::size("size must be an integer between 1 and 1000"));
    }
    Ok(number as usize)
}

fn after(offset: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(offset).map_err(|_| Refusal::offset(offset, "bad base64 encoding"))?;
    let ids: Vec<String> = serde_json::from_slice(&bytes).map_err(|_| Refusal::offset(offset, "bad json encoding"))?;
    ids.into_iter().next().ok_or_else(|| Refusal::offset(offset, "bad json encoding"))
}

enum Wanted<'a> {
    All(Vec<&'a str>),
    Any(Vec<&'a str>),
}

impl Wanted<'_> {
    fn matches(&self, row: &Object) -> bool {
        let has = |tag: &&str| {
            row.get("tags").and_then(|tags| tags.as_array()).is_some_and(|tags| tags.iter().any(|t| t == *tag))
        };
        match self {
            Wanted::All(tags) => tags.iter().all(has),
            Wanted::Any(tags) => tags.iter().any(has),
        }
    }
}

fn wanted(tags: &str) -> Result<Wanted<'_>, Refusal> {
    if tags.is_empty() {
        return Err(Refusal::option("tags", "cannot be null"));
    }
    match (tags.contains(','), tags.contains('/')) {
        (true, true) => Err(Refusal::option("tags", "either `,` or `/` can be used to separate tags, not both")),
        (false, true) => Ok(Wanted::Any(tags.split('/').collect())),
        _ => Ok(Wanted::All(tags.split(',').collect())),
    }
}
