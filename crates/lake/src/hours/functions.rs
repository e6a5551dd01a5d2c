//! Aggregates over the columns of `endpoint_hours` that are not simply added up.

use std::sync::{Arc, LazyLock};

use datasketches::hll::HllUnion;
use deltalake::arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, FieldRef};
use deltalake::datafusion::common::plan_err;
use deltalake::datafusion::error::Result;
use deltalake::datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use deltalake::datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Documentation, Signature, Volatility,
};
use deltalake::datafusion::scalar::ScalarValue;

use super::fold::{add_sketch, no_values, written};
use super::histogram::{Histogram, Histograms, column_of};
use crate::columns::documentation;
use crate::schema::histogram_type;

const HLL_COUNT: &str = "hll_count";
const HISTOGRAM_QUANTILE: &str = "histogram_quantile";

static HLL_COUNT_WORDS: LazyLock<Documentation> = LazyLock::new(|| {
    documentation("hll_count(consumers_hll)", "How many distinct values the sketches have seen together, about.")
});
static HISTOGRAM_QUANTILE_WORDS: LazyLock<Documentation> = LazyLock::new(|| {
    documentation(
        "histogram_quantile(latency_ms_histogram, 0.95)",
        "The value that this share of all is at most, about; null where there is none.",
    )
});

/// The aggregates.
pub(crate) fn aggregates() -> [AggregateUDF; 2] {
    let takes = |count| Signature::any(count, Volatility::Immutable);
    [
        AggregateUDF::from(HllCount { signature: takes(1) }),
        AggregateUDF::from(HistogramQuantile { signature: takes(2) }),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HllCount {
    signature: Signature,
}

impl AggregateUDFImpl for HllCount {
    fn name(&self) -> &str {
        HLL_COUNT
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&HLL_COUNT_WORDS)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Binary | DataType::LargeBinary | DataType::BinaryView] => Ok(DataType::Int64),
            _ => plan_err!("{HLL_COUNT} wants a sketch, such as `consumers_hll`"),
        }
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Distinct(no_values()?)))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[sketch]", arguments.name), DataType::Binary, true))])
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }
}

#[derive(Debug)]
struct Distinct(HllUnion);

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for column in values {
            for sketch in cast(column, &DataType::Binary)?.as_binary::<i32>().iter().flatten() {
                add_sketch(&mut self.0, sketch)?;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(written(&self.0)))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0.estimate().round() as i64)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.estimated_size()
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HistogramQuantile {
    signature: Signature,
}

impl AggregateUDFImpl for HistogramQuantile {
    fn name(&self) -> &str {
        HISTOGRAM_QUANTILE
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&HISTOGRAM_QUANTILE_WORDS)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::List(element), share] if element.data_type().is_nested() && share.is_numeric() => {
                Ok(DataType::Float64)
            }
            _ => plan_err!(
                "{HISTOGRAM_QUANTILE} wants a histogram, such as `latency_ms_histogram`, and a share from 0 to 1, such as 0.95"
            ),
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let of_no_rows = RecordBatch::new_empty(Arc::new(arguments.schema.clone()));
        let share = match arguments.exprs {
            [_, share] => share.evaluate(&of_no_rows)?,
            _ => return plan_err!("{HISTOGRAM_QUANTILE} takes two arguments"),
        };
        let ColumnarValue::Scalar(share) = share else {
            return plan_err!("the share of {HISTOGRAM_QUANTILE} has to be a constant");
        };
        match share.cast_to(&DataType::Float64)? {
            ScalarValue::Float64(Some(share)) if (0.0..=1.0).contains(&share) => {
                Ok(Box::new(Quantile { share, histogram: Histogram::default() }))
            }
            other => plan_err!("{other} is no share for {HISTOGRAM_QUANTILE}: it goes from 0 to 1"),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[histogram]", arguments.name), histogram_type(), true))])
    }
}

#[derive(Debug)]
struct Quantile {
    share: f64,
    histogram: Histogram,
}

impl Accumulator for Quantile {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(column) = values.first() {
            let column = Histograms::of(column)?;
            self.histogram.add_rows(&column, 0..column.rows());
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let histogram = column_of(std::iter::once(&self.histogram))?;
        Ok(vec![ScalarValue::List(Arc::new(histogram))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.histogram.quantile(self.share)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.histogram.bytes()
    }
}
