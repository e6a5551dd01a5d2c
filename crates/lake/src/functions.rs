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
const HAS_FIELD: &str = "has_field";

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
static HAS_FIELD_WORDS: LazyLock<Documentation> = LazyLock::new(|| {
    documentation(
        "has_field(headers, 'authorization')",
        "Whether a query field, header or mapped field of that name was there, whatever its value; false where nothing is known.",
    )
});

/// The functions.
pub(crate) fn functions() -> [ScalarUDF; 4] {
    let takes = |count| Signature::any(count, Volatility::Immutable);
    [
        ScalarUDF::from(FieldValue { signature: takes(2) }),
        ScalarUDF::from(EntityNames { signature: takes(1) }),
        ScalarUDF::from(Has { what: What::Class, signature: takes(2) }),
        ScalarUDF::from(Has { what: What::Field, signature: takes(2) }),
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

/// Whether a list of a call has an element of a name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Has {
    what: What,
    signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Class,
    Field,
}

impl What {
    /// What the elements' names are called in their column.
    fn column(self) -> &'static str {
        match self {
            What::Class => "class",
            What::Field => "name",
        }
    }

    /// What the function wants.
    fn arguments(self) -> &'static str {
        match self {
            What::Class => "`data_classes`, and a class as a text",
            What::Field => "`query`, `headers` or `fields`, and the name of a field as a text",
        }
    }
}

impl ScalarUDFImpl for Has {
    fn name(&self) -> &str {
        match self.what {
            What::Class => HAS_CLASS,
            What::Field => HAS_FIELD,
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.what {
            What::Class => &HAS_CLASS_WORDS,
            What::Field => &HAS_FIELD_WORDS,
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let other = || DataFusionError::Execution(format!("{} wants {}", self.name(), self.what.arguments()));
        let [list, wanted] = arguments.args.as_slice() else { return Err(other()) };
        let wanted = constant_text(wanted, "what it looks for")?;
        let list = list.to_array(arguments.number_rows)?;
        let lists = list.as_list_opt::<i32>().ok_or_else(other)?;
        let names = texts_of(lists, self.what.column()).ok_or_else(other)??;
        let has = |row| range_of(lists, row).any(|at| names.is_valid(at) && names.value(at) == wanted);
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
