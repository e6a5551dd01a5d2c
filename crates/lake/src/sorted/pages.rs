//! In which rows of a row group a value can be, by the least and greatest values of its pages.

use std::ops::Range as Rows;

use deltalake::parquet::arrow::arrow_reader::ArrowReaderMetadata;
use deltalake::parquet::errors::ParquetError;
use deltalake::parquet::file::metadata::ParquetMetaData;
use deltalake::parquet::file::page_index::column_index::ColumnIndexMetaData;

/// Whether a value can be among those between a least and a greatest. What is not said is no limit; what is cut short is still one.
pub(super) fn is_between(value: &[u8], least: Option<&[u8]>, greatest: Option<&[u8]>) -> bool {
    least.is_none_or(|least| least <= value) && greatest.is_none_or(|greatest| value <= greatest)
}

/// Whether a value is below the greatest of a page, which may be cut: it then begins like the greatest of the file but for its
/// last character, which is the next one.
fn is_below(value: &[u8], greatest: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(greatest) else { return false };
    let cut = text.char_indices().next_back().map_or("", |(at, _)| &text[..at]);
    value < greatest && !value.starts_with(cut.as_bytes())
}

/// The pages of a row group that is alone in its metadata.
pub(super) struct Pages<'a> {
    metadata: &'a ParquetMetaData,
    pub(super) rows: usize,
}

impl<'a> Pages<'a> {
    pub(super) fn of(group: &'a ArrowReaderMetadata) -> Result<Pages<'a>, ParquetError> {
        let metadata = group.metadata();
        let rows = usize::try_from(metadata.row_group(0).num_rows());
        Ok(Pages { metadata, rows: rows.map_err(|error| ParquetError::General(error.to_string()))? })
    }

    /// The rows of the column's pages that pass; all where the column has no index.
    pub(super) fn where_may_be(
        &self,
        column: &str,
        passes: impl Fn(&ColumnIndexMetaData, usize) -> bool,
    ) -> Vec<Rows<usize>> {
        let mut pages = self.of_column(column).peekable();
        if pages.peek().is_none() {
            return vec![Rows { start: 0, end: self.rows }];
        }
        pages.filter(|(index, page, _)| passes(index, *page)).map(|(_, _, rows)| rows).collect()
    }

    /// The pages of a column: its index, the page in it, and the page's rows. None where it has no index.
    fn of_column(&self, column: &str) -> impl Iterator<Item = (&'a ColumnIndexMetaData, usize, Rows<usize>)> {
        let columns = self.metadata.row_group(0).columns();
        let at = columns.iter().position(|chunk| chunk.column_path().string() == column);
        let index = at.and_then(|at| self.metadata.column_index()?.first()?.get(at));
        let places = at.and_then(|at| self.metadata.offset_index()?.first()?.get(at));
        let rows = self.rows;
        index.zip(places).into_iter().flat_map(move |(index, places)| {
            let firsts = places.page_locations().iter().map(|page| usize::try_from(page.first_row_index).unwrap_or(0));
            let ends = firsts.clone().skip(1).chain([rows]);
            firsts.zip(ends).enumerate().map(move |(page, (start, end))| (index, page, start..end))
        })
    }

    /// The rows of pages that have nothing but this kind; none where they do not lie together, as in a file of somebody
    /// who put it in another order.
    pub(super) fn of_kind(&self, kind: &str) -> Rows<usize> {
        let kind = kind.as_bytes();
        let is_all = |index: &ColumnIndexMetaData, page| match index {
            ColumnIndexMetaData::BYTE_ARRAY(index) => [index.min_value(page), index.max_value(page)] == [Some(kind); 2],
            _ => false,
        };
        let of_kind = self.of_column("entity_kind").filter(|(index, page, _)| is_all(index, *page));
        let mut of_kind = of_kind.map(|(_, _, rows)| rows);
        let first = of_kind.next().unwrap_or_default();
        let together = of_kind.try_fold(first, |all, rows| (all.end == rows.start).then_some(all.start..rows.end));
        together.unwrap_or_default()
    }

    /// Without the rows at which another kind begins or ends, where the next page tells that the entity is not among them: of a
    /// page with the last of one kind and the first of another the least and greatest value say nothing.
    pub(super) fn beside_the_ends(&self, entity: &str, of_kind: &Rows<usize>) -> Rows<usize> {
        let entity = entity.as_bytes();
        let is_inside = |rows: &Rows<usize>| of_kind.start <= rows.start && rows.end <= of_kind.end;
        let mut inside = self.of_column("entity").filter(|(_, _, rows)| is_inside(rows));
        let mut rows = Rows { start: 0, end: self.rows };
        let Some(first) = inside.next() else { return rows };
        let last = inside.last().unwrap_or_else(|| first.clone());
        if let (ColumnIndexMetaData::BYTE_ARRAY(index), page, of_page) = first
            && index.min_value(page).is_some_and(|least| least < entity && !entity.starts_with(least))
        {
            rows.start = of_page.start;
        }
        if let (ColumnIndexMetaData::BYTE_ARRAY(index), page, of_page) = last
            && index.max_value(page).is_some_and(|greatest| is_below(entity, greatest))
        {
            rows.end = of_page.end;
        }
        rows
    }
}

/// The rows that are in both, each of which rises.
pub(super) fn common(some: &[Rows<usize>], others: &[Rows<usize>]) -> Vec<Rows<usize>> {
    let (mut some, mut others) = (some.iter().peekable(), others.iter().peekable());
    let mut both: Vec<Rows<usize>> = Vec::new();
    while let (Some(one), Some(other)) = (some.peek(), others.peek()) {
        let rows = one.start.max(other.start)..one.end.min(other.end);
        let is_first_over = one.end <= other.end;
        match both.last_mut() {
            Some(last) if !rows.is_empty() && last.end == rows.start => last.end = rows.end,
            _ if !rows.is_empty() => both.push(rows),
            _ => {}
        }
        if is_first_over {
            some.next().map(drop)
        } else {
            others.next().map(drop)
        };
    }
    both
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
mod tests {
    use super::*;

    #[test]
    fn pages_of_several_columns_have_rows_in_common() {
        assert_eq!(common(&[0..10, 20..30], &[5..8, 8..25]), [5..10, 20..25]);
        assert_eq!(common(&[0..4, 4..8], &[0..8]), [0..8], "neighbours are one");
        assert!(common(&[0..4], &[4..8]).is_empty());
        assert!(common(&[], &[4..8]).is_empty());
    }

    #[test]
    fn what_a_page_does_not_say_is_no_limit() {
        assert!(is_between(b"m", Some(b"a"), Some(b"z")) && is_between(b"m", None, None));
        assert!(is_between(b"a", Some(b"a"), Some(b"a")), "the limits are in it");
        assert!(!is_between(b"a", Some(b"b"), None) && !is_between(b"c", None, Some(b"bzz")));
    }

    #[test]
    fn a_value_is_below_a_greatest_one_however_that_was_cut() {
        assert!(is_below(b"ab", b"b1") && !is_below(b"b0", b"b1") && !is_below(b"c", b"b1"));
        // Of a value that begins like what was cut nothing is known.
        let cut = "aé".repeat(9) + "ê";
        assert!(!is_below(("aé".repeat(9) + "é").as_bytes(), cut.as_bytes()));
        assert!(is_below("aé".repeat(8).as_bytes(), cut.as_bytes()) && !is_below(b"a", &[0xff, 0xfe]));
    }
}
