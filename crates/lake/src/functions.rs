//! Functions of our own that statements may call.

use std::sync::{Arc, LazyLock};

use deltalake::arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, ListArray, ListBuilder, StringArray, StringBuilder,
};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::exec_err;
use deltalake::datafusion::error::{DataFusionError, Result};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use deltalake::datafusion::scalar::ScalarValue;

use crate::columns::documentation;

pub(crate) const FIELD_VALUE: &str = "field_value";
pub(crate) const ENTITY_NAMES: &str = "entity_names";
const HAS_CLASS: &str = "has_class";

static FIELD_VALUE_WORDS: LazyLock<Documentation> = LazyLock::new(|| {
    documentation(
        "field_value(query, 'token')",
        "The first value of a query field, header, mapped field or entity of that name; null where there is none.",
    )
});
static ENTITY_NAMES_WORDS: LazyLock<Documentation> =
    LazyLock::new(|| documentation("entity_names(entities)", "Each business entity of a call as `name:value`."));
static HAS_CLASS_WORDS: LazyLock<Documentation> = LazyLock::new(|| {
    documentation(
        "has_class(data_classes, 'email')",
        "Whether a value of that class stood in the call and was replaced; false where nothing is known.",
    )
});

/// The functions.
pub(crate) fn functions() -> [ScalarUDF; 3] {
    let takes = |count| Signature::any(count, Volatility::Immutable);
    [
        ScalarUDF::from(FieldValue { signature: takes(2) }),
        ScalarUDF::from(EntityNames { signature: takes(1) }),
        ScalarUDF::from(HasClass { signature: takes(2) }),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldValue {
    signature: Signature,
}

impl ScalarUDFImpl for FieldValue {
    fn name(&self) -> &str {
        FIELD_VALUE
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&FIELD_VALUE_WORDS)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let is_fields = matches!(&arguments[0], DataType::List(element) if element.data_type().is_nested());
        if !is_fields {
            return exec_err!("{FIELD_VALUE} wants `query`, `headers` or `fields`, and the name of a field as a text");
        }
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [fields, name] = arguments.args.as_slice() else { return exec_err!("{FIELD_VALUE} takes two arguments") };
        let name = constant_text(name, "the name of a field")?;
        let fields = fields.to_array(arguments.number_rows)?;
        Ok(ColumnarValue::Array(first_values(&fields, &name)?))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EntityNames {
    signature: Signature,
}

impl ScalarUDFImpl for EntityNames {
    fn name(&self) -> &str {
        ENTITY_NAMES
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&ENTITY_NAMES_WORDS)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(DataType::Utf8, true))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [entities] = arguments.args.as_slice() else { return exec_err!("{ENTITY_NAMES} takes one argument") };
        let entities = entities.to_array(arguments.number_rows)?;
        let (lists, names, values) = pairs_of(&entities)?;
        let mut found = ListBuilder::new(StringBuilder::new());
        for row in 0..lists.len() {
            for at in range_of(lists, row) {
                found.values().append_value(format!("{}:{}", names.value(at), values.value(at)));
            }
            found.append(lists.is_valid(row));
        }
        Ok(ColumnarValue::Array(Arc::new(found.finish())))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HasClass {
    signature: Signature,
}

impl ScalarUDFImpl for HasClass {
    fn name(&self) -> &str {
        HAS_CLASS
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&HAS_CLASS_WORDS)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [seen, class] = arguments.args.as_slice() else { return exec_err!("{HAS_CLASS} takes two arguments") };
        let class = constant_text(class, "the name of a class")?;
        let seen = seen.to_array(arguments.number_rows)?;
        let other = || DataFusionError::Execution(format!("{HAS_CLASS} wants `data_classes`, and a class as a text"));
        let lists = seen.as_list_opt::<i32>().ok_or_else(other)?;
        let classes = texts_of(lists, "class").ok_or_else(other)??;
        let has = |row| range_of(lists, row).any(|at| classes.is_valid(at) && classes.value(at) == class);
        Ok(ColumnarValue::Array(Arc::new((0..lists.len()).map(|row| Some(has(row))).collect::<BooleanArray>())))
    }
}

fn constant_text(argument: &ColumnarValue, what: &str) -> Result<String> {
    let ColumnarValue::Scalar(text) = argument else { return exec_err!("{what} has to be a constant text") };
    match text.cast_to(&DataType::Utf8)? {
        ScalarValue::Utf8(Some(text)) => Ok(text),
        _ => exec_err!("{what} has to be a text"),
    }
}

/// A column of the elements of lists, as texts; `None` where they have no such column.
fn texts_of(lists: &ListArray, column: &str) -> Option<Result<StringArray>> {
    let column = lists.values().as_struct_opt()?.column_by_name(column)?;
    Some(cast(column, &DataType::Utf8).map(|texts| texts.as_string::<i32>().clone()).map_err(DataFusionError::from))
}

/// A column of lists of names and values, taken apart.
fn pairs_of(column: &ArrayRef) -> Result<(&ListArray, StringArray, StringArray)> {
    let other = || DataFusionError::Execution("this wants a list of names and values, such as `query`".to_owned());
    let lists = column.as_list_opt::<i32>().ok_or_else(other)?;
    let texts = |column| texts_of(lists, column).ok_or_else(other)?;
    Ok((lists, texts("name")?, texts("value")?))
}

/// Where the pairs of a row are; nowhere where it is null.
fn range_of(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    match lists.is_valid(row) {
        true => lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize,
        false => 0..0,
    }
}

fn first_values(fields: &ArrayRef, wanted: &str) -> Result<ArrayRef> {
    let (lists, names, values) = pairs_of(fields)?;
    let mut found = StringBuilder::new();
    for row in 0..lists.len() {
        let at =
            range_of(lists, row).find(|&at| names.is_valid(at) && names.value(at) == wanted && values.is_valid(at));
        found.append_option(at.map(|at| values.value(at)));
    }
    Ok(Arc::new(found.finish()))
}
