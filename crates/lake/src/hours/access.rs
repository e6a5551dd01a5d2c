//! How it was known who called: the words for it, and how many calls of each were served.

use std::sync::Arc;

use deltalake::arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, ListArray, StringArray, StructArray};
use deltalake::arrow::buffer::OffsetBuffer;
use deltalake::arrow::datatypes::{DataType, Field, Int64Type};
use deltalake::arrow::error::ArrowError;

use crate::schema::{access_columns, access_type};

/// How it was known who made a call, as an expression over the columns of `events`: by a credential that the gateway
/// accepted; not at all, so that it counts as the gateway's consumer for everybody; by a credential that the gateway did not
/// accept or did not look at; by nothing.
pub const ACCESS: &str = "CASE WHEN anonymous_consumer THEN 'anonymous' WHEN credential_id IS NOT NULL THEN 'credential' \
     WHEN presented_credential IS NOT NULL THEN 'presented' ELSE 'nothing' END";

/// What [`ACCESS`] says.
const WORDS: [&str; 4] = ["credential", "anonymous", "presented", "nothing"];

/// The calls of an hour and endpoint, by how it was known who made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Access([Counts; WORDS.len()]);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    calls: i64,
    served: i64,
}

impl Access {
    /// Counts a call. It was served if it was answered with neither a refusal nor a failure.
    pub(super) fn add(&mut self, how: &str, is_served: bool) {
        self.add_counts(how, Counts { calls: 1, served: is_served.into() });
    }

    /// Counts what was counted before, in a row of a column. A word of a later version is passed over.
    pub(super) fn add_row(&mut self, column: &AccessColumn, row: usize) {
        for at in column.entries_of(row) {
            let counts = Counts { calls: column.calls.value(at), served: column.served.value(at) };
            self.add_counts(column.hows.value(at), counts);
        }
    }

    fn add_counts(&mut self, how: &str, counts: Counts) {
        let Some(at) = WORDS.iter().position(|word| *word == how) else { return };
        let sum = &mut self.0[at];
        sum.calls = sum.calls.saturating_add(counts.calls);
        sum.served = sum.served.saturating_add(counts.served);
    }

    fn entries(&self) -> impl Iterator<Item = (&'static str, Counts)> {
        WORDS.into_iter().zip(self.0).filter(|(_, counts)| counts.calls > 0)
    }
}

/// The column of `endpoint_hours`, for reading.
pub(super) struct AccessColumn {
    lists: ListArray,
    hows: StringArray,
    calls: Int64Array,
    served: Int64Array,
}

impl AccessColumn {
    pub(super) fn of(column: &ArrayRef) -> Result<AccessColumn, ArrowError> {
        let other = || ArrowError::SchemaError("the column `access` has another type".to_owned());
        let lists = column.as_list_opt::<i32>().ok_or_else(other)?.clone();
        let entries = lists.values().as_struct_opt().ok_or_else(other)?;
        let hows = entries.column_by_name("how").and_then(|column| column.as_string_opt::<i32>());
        let hows = hows.cloned().ok_or_else(other)?;
        let numbers = |name| {
            let column = entries.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            column.cloned().ok_or_else(other)
        };
        let (calls, served) = (numbers("calls")?, numbers("served")?);
        Ok(AccessColumn { lists, hows, calls, served })
    }

    /// Rows of an earlier version have none.
    fn entries_of(&self, row: usize) -> std::ops::Range<usize> {
        match self.lists.is_valid(row) {
            true => self.lists.value_offsets()[row] as usize..self.lists.value_offsets()[row + 1] as usize,
            false => 0..0,
        }
    }
}

/// A column of these counts.
pub(super) fn column_of<'a>(rows: impl Iterator<Item = &'a Access> + Clone) -> Result<ListArray, ArrowError> {
    let entries: Vec<_> = rows.clone().flat_map(Access::entries).collect();
    let hows = StringArray::from_iter_values(entries.iter().map(|(how, _)| how));
    let calls = Int64Array::from_iter_values(entries.iter().map(|(_, counts)| counts.calls));
    let served = Int64Array::from_iter_values(entries.iter().map(|(_, counts)| counts.served));
    let columns: Vec<ArrayRef> = vec![Arc::new(hows), Arc::new(calls), Arc::new(served)];
    let entries = StructArray::try_new(access_columns(), columns, None)?;
    let offsets = OffsetBuffer::from_lengths(rows.map(|row| row.entries().count()));
    let element = match access_type() {
        DataType::List(element) => element,
        other => Arc::new(Field::new("element", other, true)),
    };
    ListArray::try_new(element, offsets, Arc::new(entries), None)
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::array::new_null_array;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_added() {
        let mut one = Access::default();
        one.add("nothing", true);
        one.add("nothing", false);
        one.add("credential", true);
        one.add("a word of a later version", true);
        let rows = [one, Access::default(), one];
        let column: ArrayRef = Arc::new(column_of(rows.iter()).unwrap());
        assert_eq!(column.data_type(), &access_type());
        let column = AccessColumn::of(&column).unwrap();
        let mut all = Access::default();
        (0..3).for_each(|row| all.add_row(&column, row));
        let counts = |calls, served| Counts { calls, served };
        assert_eq!(all.entries().collect::<Vec<_>>(), [("credential", counts(2, 2)), ("nothing", counts(4, 2))]);
        let earlier = AccessColumn::of(&new_null_array(&access_type(), 1)).unwrap();
        all.add_row(&earlier, 0);
        assert_eq!(all.entries().count(), 2);
    }
}
