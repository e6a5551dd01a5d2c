//! Functions of our own that statements may call.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray as _, StringArray, StringBuilder};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::exec_err;
use deltalake::datafusion::error::{DataFusionError, Result};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use deltalake::datafusion::scalar::ScalarValue;

/// `field_value(query, 'token')`: the first value of a query field or header of that name, null where there is none.
pub(crate) const FIELD_VALUE: &str = "field_value";

/// The functions.
pub(crate) fn functions() -> [ScalarUDF; 1] {
    [ScalarUDF::from(FieldValue { signature: Signature::any(2, Volatility::Immutable) })]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldValue {
    signature: Signature,
}

impl ScalarUDFImpl for FieldValue {
    fn name(&self) -> &str {
        FIELD_VALUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let is_fields = matches!(&arguments[0], DataType::List(element) if element.data_type().is_nested());
        if !is_fields {
            return exec_err!("{FIELD_VALUE} wants `query` or `headers`, and the name of a field as a text");
        }
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [fields, name] = arguments.args.as_slice() else { return exec_err!("{FIELD_VALUE} takes two arguments") };
        let ColumnarValue::Scalar(name) = name else {
            return exec_err!("the name of a field has to be a constant text");
        };
        let name = match name.cast_to(&DataType::Utf8)? {
            ScalarValue::Utf8(Some(name)) => name,
            _ => return exec_err!("the name of a field has to be a text"),
        };
        let fields = fields.to_array(arguments.number_rows)?;
        Ok(ColumnarValue::Array(first_values(&fields, &name)?))
    }
}

fn first_values(fields: &ArrayRef, wanted: &str) -> Result<ArrayRef> {
    let other = || DataFusionError::Execution(format!("{FIELD_VALUE} wants `query` or `headers`"));
    let lists = fields.as_list_opt::<i32>().ok_or_else(other)?;
    let pairs = lists.values().as_struct_opt().ok_or_else(other)?;
    let texts = |column| -> Result<StringArray> {
        let column = pairs.column_by_name(column).ok_or_else(other)?;
        Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
    };
    let (names, values) = (texts("name")?, texts("value")?);
    let mut found = StringBuilder::new();
    for row in 0..lists.len() {
        let range = match lists.is_valid(row) {
            true => lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize,
            false => 0..0,
        };
        let at = range.into_iter().find(|&at| names.is_valid(at) && names.value(at) == wanted && values.is_valid(at));
        found.append_option(at.map(|at| values.value(at)));
    }
    Ok(Arc::new(found.finish()))
}
