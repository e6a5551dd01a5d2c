//! A histogram of whole numbers that can be added to another without a loss, and read by whoever can read a table.
//!
//! A bucket has the values that have its five leading binary digits, so it is 6.25 % of its values wide at most, and small
//! numbers have buckets of their own. It is written as its least value and its count. HdrHistogram's buckets are made alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, ListArray, StructArray};
use deltalake::arrow::buffer::OffsetBuffer;
use deltalake::arrow::datatypes::{DataType, Field, Int64Type};
use deltalake::arrow::error::ArrowError;

use crate::schema::{bucket_columns, histogram_type};

/// Leading binary digits that tell buckets apart.
const DIGITS: u32 = 5;

/// How many values are in each bucket, by the least value of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histogram(BTreeMap<i64, i64>);

impl Histogram {
    /// Counts a value; one below 0 is none.
    pub(crate) fn add(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.add_bucket(bucket_of(value).cast_signed(), 1);
        }
    }

    fn add_bucket(&mut self, at_least: i64, values: i64) {
        let count = self.0.entry(at_least).or_default();
        *count = count.saturating_add(values);
    }

    /// Counts what other histograms have counted: those of the rows of a column.
    pub(crate) fn add_rows(&mut self, column: &Histograms, rows: std::ops::Range<usize>) {
        for row in rows {
            for at in column.buckets_of(row) {
                self.add_bucket(column.at_least.value(at), column.values.value(at));
            }
        }
    }

    /// The value that this share of all is at most, taking those of a bucket to lie evenly in it; `None` where there is none.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.0.values().map(|&values| values as f64).sum::<f64>();
        let wanted = share.clamp(0.0, 1.0) * all;
        let mut before = 0.0;
        let mut found = None;
        for (&at_least, &values) in &self.0 {
            let values = values as f64;
            let part = if values > 0.0 { ((wanted - before) / values).clamp(0.0, 1.0) } else { 0.0 };
            found = Some(at_least as f64 + part * (width(at_least) - 1) as f64);
            before += values;
            if before >= wanted {
                break;
            }
        }
        found
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        2 * size_of::<(i64, i64)>() * self.0.len()
    }
}

/// The least value of a value's bucket.
fn bucket_of(value: u64) -> u64 {
    let value = value.min(i64::MAX.cast_unsigned());
    let dropped = (u64::BITS - value.leading_zeros()).saturating_sub(DIGITS);
    value >> dropped << dropped
}

/// How many whole numbers a bucket has, by its least.
fn width(at_least: i64) -> i64 {
    let digits = u64::BITS - at_least.max(0).cast_unsigned().leading_zeros();
    1 << digits.saturating_sub(DIGITS)
}

/// A column of histograms, for reading.
pub(crate) struct Histograms {
    lists: ListArray,
    at_least: Int64Array,
    values: Int64Array,
}

impl Histograms {
    pub(crate) fn of(column: &ArrayRef) -> Result<Histograms, ArrowError> {
        let other = || ArrowError::SchemaError("this wants a histogram, such as `latency_ms_histogram`".to_owned());
        let lists = column.as_list_opt::<i32>().ok_or_else(other)?.clone();
        let buckets = lists.values().as_struct_opt().ok_or_else(other)?;
        let numbers = |name| {
            let column = buckets.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            column.cloned().ok_or_else(other)
        };
        let (at_least, values) = (numbers("at_least")?, numbers("calls")?);
        Ok(Histograms { lists, at_least, values })
    }

    pub(crate) fn rows(&self) -> usize {
        self.lists.len()
    }

    fn buckets_of(&self, row: usize) -> std::ops::Range<usize> {
        match self.lists.is_valid(row) {
            true => self.lists.value_offsets()[row] as usize..self.lists.value_offsets()[row + 1] as usize,
            false => 0..0,
        }
    }
}

/// A column of these histograms.
pub(crate) fn column_of<'a>(histograms: impl Iterator<Item = &'a Histogram> + Clone) -> Result<ListArray, ArrowError> {
    let buckets = || histograms.clone().flat_map(|histogram| &histogram.0);
    let at_least: Int64Array = buckets().map(|(&at_least, _)| at_least).collect();
    let values: Int64Array = buckets().map(|(_, &values)| values).collect();
    let buckets = StructArray::try_new(bucket_columns(), vec![Arc::new(at_least), Arc::new(values)], None)?;
    let offsets = OffsetBuffer::from_lengths(histograms.map(|histogram| histogram.0.len()));
    let element = match histogram_type() {
        DataType::List(element) => element,
        other => Arc::new(Field::new("element", other, true)),
    };
    ListArray::try_new(element, offsets, Arc::new(buckets), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = i64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    #[test]
    fn every_value_is_in_one_bucket_that_is_as_narrow_as_it_says() {
        let edges = (0..62).flat_map(|power| [1_u64 << power, (1 << power) + 1, (1 << power) - 1, 5 << power.min(60)]);
        for value in edges.chain(0..5_000).chain([u64::MAX, i64::MAX.cast_unsigned()]) {
            let at_least = bucket_of(value).cast_signed();
            let last = at_least + (width(at_least) - 1);
            let value = value.min(i64::MAX.cast_unsigned()).cast_signed();
            assert!((at_least..=last).contains(&value), "{value} in {at_least}..={last}");
            assert_eq!(bucket_of(last.cast_unsigned()).cast_signed(), at_least);
            assert!(width(at_least) == 1 || width(at_least) * 16 <= at_least, "{at_least}");
        }
    }

    #[test]
    fn quantiles_are_within_a_bucket_of_the_true_ones() {
        assert_eq!(histogram([]).quantile(0.5), None);
        assert_eq!(histogram([-1, i64::MIN]).quantile(0.5), None, "not measured");
        assert_eq!(histogram([7]).quantile(0.95), Some(7.0));
        assert_eq!(histogram([0, 0, 0, 31]).quantile(0.5), Some(0.0));
        assert_eq!(histogram([3, 9]).quantile(1.0), Some(9.0));
        let mut most = Histogram::default();
        [1, 1, 100].into_iter().for_each(|at_least| most.add_bucket(at_least, i64::MAX));
        assert_eq!(most.quantile(0.4), Some(1.0));
        let values = 1..=10_000;
        for (share, true_value) in [(0.5, 5_000.0), (0.95, 9_500.0), (0.001, 10.0)] {
            let found = histogram(values.clone()).quantile(share).unwrap();
            assert!((found - true_value).abs() <= true_value / 16.0, "{share}: {found}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_added() {
        let histograms = [histogram([1, 1, 70]), histogram([]), histogram([70, 1_000_000])];
        let column: ArrayRef = Arc::new(column_of(histograms.iter()).unwrap());
        assert_eq!(column.data_type(), &histogram_type());
        let column = Histograms::of(&column).unwrap();
        let mut all = Histogram::default();
        all.add_rows(&column, 0..column.rows());
        assert_eq!(all, histogram([1, 1, 70, 70, 1_000_000]));
        let text: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert!(Histograms::of(&text).is_err());
    }
}
