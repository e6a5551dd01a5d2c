//! Calls added up by hour and endpoint, and such rows of the same hour and endpoint added up again.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use deltalake::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use deltalake::arrow::compute::SortOptions;
use deltalake::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use deltalake::arrow::error::ArrowError;
use deltalake::arrow::row::{RowConverter, SortField};

use super::access::{self, ACCESS, Access, AccessColumn};
use super::histogram::{Histogram, Histograms, column_of};
use crate::schema::{HOUR_KEY, PARTITION, arrow_schema, hours_schema};
use crate::table::conform;

const HOUR_US: i64 = 3_600_000_000;
/// A sketch of distinct values has 2^11 registers, a byte each: its standard error is 2.3 %.
const REGISTERS_LOG2: u8 = 11;
/// Where a written sketch says whether it holds registers or, while there are few values, the values' hashes; where registers
/// begin; and the most that one can be. Of the format of Apache DataSketches.
const MODE_AT: usize = 7;
const MODE: u8 = 3;
const MODE_REGISTERS: u8 = 2;
const REGISTERS_AT: usize = 40;
const REGISTER_MAX: u8 = 63;

/// The columns of `events` that are added up as they are.
const COLUMNS_OF_CALLS: [&str; 13] = [
    PARTITION,
    "event_time",
    "gateway",
    "workspace",
    "service_name",
    "endpoint_id",
    "consumer_id",
    "client_ip",
    "status",
    "own_refusal",
    "request_bytes",
    "response_bytes",
    "latency_total_ms",
];

static CALLS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let schema = arrow_schema();
    let fields = COLUMNS_OF_CALLS.iter().filter_map(|name| schema.field_with_name(name).ok().cloned());
    let access = Field::new("access", DataType::Utf8, false);
    Arc::new(Schema::new(fields.chain([access]).collect::<Vec<_>>()))
});

/// What a statement over `events` has to give of calls that are to be added up.
pub(super) fn selected() -> String {
    format!("{}, {ACCESS} AS access", COLUMNS_OF_CALLS.join(", "))
}

/// The sums so far, in the order of the table.
pub(crate) struct Fold {
    keys: RowConverter,
    sums: BTreeMap<Box<[u8]>, Sums>,
}

/// What the calls of one hour and endpoint add up to.
struct Sums {
    calls: i64,
    own_refusals: i64,
    client_errors: i64,
    server_errors: i64,
    request_bytes: i64,
    response_bytes: i64,
    first_us: i64,
    last_us: i64,
    latency_ms: Histogram,
    request_sizes: Histogram,
    response_sizes: Histogram,
    consumers: HllUnion,
    addresses: HllUnion,
    access: Access,
}

impl Fold {
    pub(crate) fn new() -> Result<Fold, ArrowError> {
        let schema = hours_schema();
        // As the table's files are read in order.
        let order = SortOptions { descending: false, nulls_first: false };
        let field = |name: &&str| {
            let kind = schema.field_with_name(name)?.data_type().clone();
            Ok(SortField::new_with_options(kind, order))
        };
        let fields = HOUR_KEY.iter().map(field).collect::<Result<_, ArrowError>>()?;
        Ok(Fold { keys: RowConverter::new(fields)?, sums: BTreeMap::new() })
    }

    /// Adds calls, as `events` has them.
    pub(crate) fn add_calls(&mut self, calls: &RecordBatch) -> Result<(), ArrowError> {
        let calls = conform(calls, &CALLS)?;
        let times = column(&calls, "event_time")?.as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| lacking("event_time"))?;
        let hours: TimestampMicrosecondArray =
            times.values().iter().map(|time| Some(time - time.rem_euclid(HOUR_US))).collect();
        let hours: ArrayRef = Arc::new(hours.with_timezone("UTC"));
        let of_key = |&name: &&str| match name {
            "event_hour" => Ok(Arc::clone(&hours)),
            name => column(&calls, name).cloned(),
        };
        let keys = self.keys.convert_columns(&HOUR_KEY.iter().map(of_key).collect::<Result<Vec<_>, _>>()?)?;
        let (consumers, addresses) = (texts(&calls, "consumer_id")?, texts(&calls, "client_ip")?);
        let (refusals, hows) = (texts(&calls, "own_refusal")?, texts(&calls, "access")?);
        let statuses = column(&calls, "status")?.as_primitive_opt::<Int32Type>().ok_or_else(|| lacking("status"))?;
        let latencies = column(&calls, "latency_total_ms")?.as_primitive_opt::<Int32Type>();
        let latencies = latencies.ok_or_else(|| lacking("latency_total_ms"))?;
        let (requests, responses) = (numbers(&calls, "request_bytes")?, numbers(&calls, "response_bytes")?);
        for (row, key) in keys.iter().enumerate() {
            let sums = sums_of(&mut self.sums, key.as_ref())?;
            let time = times.value(row);
            sums.calls += 1;
            sums.first_us = sums.first_us.min(time);
            sums.last_us = sums.last_us.max(time);
            sums.request_bytes = sums.request_bytes.saturating_add(requests.value(row));
            sums.response_bytes = sums.response_bytes.saturating_add(responses.value(row));
            add_text(&mut sums.consumers, consumers, row);
            add_text(&mut sums.addresses, addresses, row);
            if refusals.is_valid(row) {
                // It says nothing of the endpoint: it never reached it.
                sums.own_refusals += 1;
                continue;
            }
            let status = statuses.value(row);
            match status {
                400..500 => sums.client_errors += 1,
                500.. => sums.server_errors += 1,
                _ => {}
            }
            sums.access.add(hows.value(row), status < 400);
            sums.latency_ms.add(latencies.value(row).into());
            sums.request_sizes.add(requests.value(row));
            sums.response_sizes.add(responses.value(row));
        }
        Ok(())
    }

    /// Adds rows that were made before, with their day.
    pub(crate) fn add_hours(&mut self, hours: &RecordBatch) -> Result<(), ArrowError> {
        let hours = conform(hours, &hours_schema())?;
        let of_key = |name: &&str| column(&hours, name).cloned();
        let keys = self.keys.convert_columns(&HOUR_KEY.iter().map(of_key).collect::<Result<Vec<_>, _>>()?)?;
        let counts = Counts::of(&hours)?;
        let histogram = |name| Histograms::of(column(&hours, name)?);
        let latencies = histogram("latency_ms_histogram")?;
        let (requests, responses) = (histogram("request_bytes_histogram")?, histogram("response_bytes_histogram")?);
        let (consumers, addresses) = (sketches(&hours, "consumers_hll")?, sketches(&hours, "addresses_hll")?);
        let access = AccessColumn::of(column(&hours, "access")?)?;
        for (row, key) in keys.iter().enumerate() {
            let sums = sums_of(&mut self.sums, key.as_ref())?;
            counts.add(row, sums);
            sums.latency_ms.add_rows(&latencies, row..row + 1);
            sums.request_sizes.add_rows(&requests, row..row + 1);
            sums.response_sizes.add_rows(&responses, row..row + 1);
            add_sketch(&mut sums.consumers, consumers.value(row))?;
            add_sketch(&mut sums.addresses, addresses.value(row))?;
            sums.access.add_row(&access, row);
        }
        Ok(())
    }

    /// Bytes that the sums take, about.
    pub(crate) fn bytes(&self) -> usize {
        let of_sums = |sums: &Sums| {
            let histograms = [&sums.latency_ms, &sums.request_sizes, &sums.response_sizes];
            let sketches = sums.consumers.estimated_size() + sums.addresses.estimated_size();
            size_of::<Sums>() + sketches + histograms.into_iter().map(Histogram::bytes).sum::<usize>()
        };
        self.sums.iter().map(|(key, sums)| key.len() + of_sums(sums)).sum()
    }

    /// Gives all rows, and begins anew.
    pub(crate) fn take_all(&mut self) -> Result<RecordBatch, ArrowError> {
        let sums = std::mem::take(&mut self.sums);
        self.rows(&sums)
    }

    /// Gives all rows but the last, to which more may be added where what is added is in the order of the table.
    pub(crate) fn take_complete(&mut self) -> Result<RecordBatch, ArrowError> {
        let last = self.sums.pop_last();
        let rows = self.take_all()?;
        self.sums.extend(last);
        Ok(rows)
    }

    fn rows(&self, sums: &BTreeMap<Box<[u8]>, Sums>) -> Result<RecordBatch, ArrowError> {
        let parser = self.keys.parser();
        let mut columns = self.keys.convert_rows(sums.keys().map(|key| parser.parse(key)))?;
        let count = |of: fn(&Sums) -> i64| Arc::new(sums.values().map(|sums| Some(of(sums))).collect::<Int64Array>());
        let time = |of: fn(&Sums) -> i64| {
            let times: TimestampMicrosecondArray = sums.values().map(|sums| Some(of(sums))).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        let sketch = |of: fn(&Sums) -> &HllUnion| {
            let sketches = sums.values().map(|sums| written(of(sums)));
            Arc::new(BinaryArray::from_iter_values(sketches))
        };
        let others: [ArrayRef; 14] = [
            count(|sums| sums.calls),
            count(|sums| sums.own_refusals),
            count(|sums| sums.client_errors),
            count(|sums| sums.server_errors),
            count(|sums| sums.request_bytes),
            count(|sums| sums.response_bytes),
            time(|sums| sums.first_us),
            time(|sums| sums.last_us),
            Arc::new(column_of(sums.values().map(|sums| &sums.latency_ms))?),
            Arc::new(column_of(sums.values().map(|sums| &sums.request_sizes))?),
            Arc::new(column_of(sums.values().map(|sums| &sums.response_sizes))?),
            sketch(|sums| &sums.consumers),
            sketch(|sums| &sums.addresses),
            Arc::new(access::column_of(sums.values().map(|sums| &sums.access))?),
        ];
        columns.extend(others);
        RecordBatch::try_new(hours_schema(), columns)
    }
}

impl Sums {
    fn new() -> Result<Sums, ArrowError> {
        Ok(Sums {
            calls: 0,
            own_refusals: 0,
            client_errors: 0,
            server_errors: 0,
            request_bytes: 0,
            response_bytes: 0,
            first_us: i64::MAX,
            last_us: i64::MIN,
            latency_ms: Histogram::default(),
            request_sizes: Histogram::default(),
            response_sizes: Histogram::default(),
            consumers: no_values()?,
            addresses: no_values()?,
            access: Access::default(),
        })
    }
}

fn sums_of<'a>(sums: &'a mut BTreeMap<Box<[u8]>, Sums>, key: &[u8]) -> Result<&'a mut Sums, ArrowError> {
    if !sums.contains_key(key) {
        sums.insert(key.into(), Sums::new()?);
    }
    sums.get_mut(key).ok_or_else(|| lacking("a key"))
}

/// The columns of counts and times of rows that were made before.
struct Counts<'a>([&'a Int64Array; 6], [&'a TimestampMicrosecondArray; 2]);

impl Counts<'_> {
    fn of(hours: &RecordBatch) -> Result<Counts<'_>, ArrowError> {
        let count = |name| numbers(hours, name);
        let time =
            |name| column(hours, name)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| lacking(name));
        Ok(Counts(
            [
                count("calls")?,
                count("own_refusals")?,
                count("client_errors")?,
                count("server_errors")?,
                count("request_bytes")?,
                count("response_bytes")?,
            ],
            [time("first_time")?, time("last_time")?],
        ))
    }

    fn add(&self, row: usize, sums: &mut Sums) {
        let Counts(counts, [first, last]) = self;
        let to = [
            &mut sums.calls,
            &mut sums.own_refusals,
            &mut sums.client_errors,
            &mut sums.server_errors,
            &mut sums.request_bytes,
            &mut sums.response_bytes,
        ];
        for (count, to) in counts.iter().zip(to) {
            *to = to.saturating_add(count.value(row));
        }
        sums.first_us = sums.first_us.min(first.value(row));
        sums.last_us = sums.last_us.max(last.value(row));
    }
}

/// A sketch of distinct values that has seen none.
pub(super) fn no_values() -> Result<HllUnion, ArrowError> {
    HllUnion::new(REGISTERS_LOG2).map_err(|error| ArrowError::ExternalError(Box::new(error)))
}

/// Hashed as the sketches of other languages hash texts, which pass over empty ones.
fn add_text(sketch: &mut HllUnion, texts: &StringArray, row: usize) {
    if texts.is_valid(row) && !texts.value(row).is_empty() {
        sketch.update_value(raw_bytes::from_str(texts.value(row)));
    }
}

/// Adds a sketch as [`written`] gives it. What a statement made up is refused: the library takes registers of any value.
pub(super) fn add_sketch(sum: &mut HllUnion, written: &[u8]) -> Result<(), ArrowError> {
    let sketch = HllSketch::deserialize(written).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    let are_registers = written.get(MODE_AT).is_some_and(|mode| mode & MODE == MODE_REGISTERS);
    let is_too_large = |registers: &[u8]| registers.iter().any(|&register| register > REGISTER_MAX);
    let is_ours = sketch.lg_config_k() == REGISTERS_LOG2 && sketch.target_type() == HllType::Hll8;
    if !is_ours || are_registers && written.get(REGISTERS_AT..).is_some_and(is_too_large) {
        return Err(ArrowError::InvalidArgumentError("this is no sketch as `endpoint_hours` has them".to_owned()));
    }
    sum.update(&sketch);
    Ok(())
}

pub(super) fn written(sketch: &HllUnion) -> Vec<u8> {
    sketch.to_sketch(HllType::Hll8).serialize()
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    rows.column_by_name(name).ok_or_else(|| lacking(name))
}

fn texts<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StringArray, ArrowError> {
    column(rows, name)?.as_string_opt::<i32>().ok_or_else(|| lacking(name))
}

fn numbers<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, ArrowError> {
    column(rows, name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| lacking(name))
}

fn sketches<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a BinaryArray, ArrowError> {
    column(rows, name)?.as_binary_opt::<i32>().ok_or_else(|| lacking(name))
}

fn lacking(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("there is no column `{name}` of its type"))
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::array::new_null_array;
    use deltalake::arrow::compute::{cast, concat_batches};

    use super::*;

    fn calls(paths: std::ops::Range<i64>) -> RecordBatch {
        let texts = |text: fn(i64) -> String| -> ArrayRef {
            Arc::new(paths.clone().map(|at| Some(text(at))).collect::<StringArray>())
        };
        let columns = CALLS.fields().iter().map(|field| {
            let column = match field.name().as_str() {
                "gateway" | "workspace" => texts(|_| String::new()),
                "endpoint_id" => texts(|at| format!("e{}", at % 3)),
                "consumer_id" => texts(|at| format!("c{at}")),
                "access" => texts(|at| ["credential", "nothing"][usize::from(at % 7 == 0)].to_owned()),
                "event_time" => {
                    let times: TimestampMicrosecondArray =
                        paths.clone().map(|at| Some(at % 2 * HOUR_US + at)).collect();
                    Arc::new(times.with_timezone("UTC"))
                }
                _ if field.is_nullable() => new_null_array(field.data_type(), calls_in(&paths)),
                _ => cast(&Int64Array::from_iter_values(paths.clone().map(|_| 0)), &DataType::Int32)
                    .and_then(|column| cast(&column, field.data_type()))
                    .unwrap(),
            };
            (field.name().clone(), column, field.is_nullable())
        });
        RecordBatch::try_from_iter_with_nullable(columns.collect::<Vec<_>>()).unwrap()
    }

    fn calls_in(paths: &std::ops::Range<i64>) -> usize {
        usize::try_from(paths.end - paths.start).unwrap()
    }

    fn rows_of(parts: &[RecordBatch]) -> RecordBatch {
        let mut fold = Fold::new().unwrap();
        parts.iter().for_each(|part| fold.add_hours(part).unwrap());
        fold.take_all().unwrap()
    }

    #[test]
    fn rows_of_one_key_are_one_wherever_a_batch_ends() {
        let mut fold = Fold::new().unwrap();
        let parts: Vec<_> = [0..100, 100..250, 250..260]
            .map(|paths| {
                fold.add_calls(&calls(paths)).unwrap();
                fold.take_all().unwrap()
            })
            .into();
        let whole = rows_of(&parts);
        assert_eq!(whole.num_rows(), 6, "two hours, three endpoints");
        // In the order of the table, as files are read, in batches of each size.
        let mut sorted = Fold::new().unwrap();
        let ordered: Vec<_> = (0..whole.num_rows())
            .flat_map(|row| parts.iter().filter(move |part| row < part.num_rows()).map(move |part| part.slice(row, 1)))
            .collect();
        for size in 1..=ordered.len() {
            let mut found = Vec::new();
            for batch in ordered.chunks(size) {
                batch.iter().for_each(|row| sorted.add_hours(row).unwrap());
                found.push(sorted.take_complete().unwrap());
            }
            found.push(sorted.take_all().unwrap());
            assert_eq!(concat_batches(&hours_schema(), &found).unwrap(), whole, "by {size}");
        }
    }

    #[test]
    fn a_sketch_that_somebody_made_up_is_refused() {
        let mut sketch = no_values().unwrap();
        (0..5_000).for_each(|number: u32| sketch.update_value(number));
        let good = written(&sketch);
        add_sketch(&mut no_values().unwrap(), &good).unwrap();
        let mut bad = good.clone();
        bad[REGISTERS_AT + 7] = 200;
        let other = |registers, kind| HllSketch::new(registers, kind).unwrap().serialize();
        for bad in [bad, other(4, HllType::Hll8), other(REGISTERS_LOG2, HllType::Hll4), good[..50].to_vec(), vec![]] {
            assert!(add_sketch(&mut no_values().unwrap(), &bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_it_takes_grows_with_what_it_holds() {
        let mut fold = Fold::new().unwrap();
        assert_eq!(fold.bytes(), 0);
        fold.add_calls(&calls(0..10)).unwrap();
        let few = fold.bytes();
        fold.add_calls(&calls(10..5_000)).unwrap();
        assert!(few > 0 && fold.bytes() > few);
    }
}
