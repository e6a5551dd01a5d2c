//! What a call shows of how safely its API is offered, as columns and back.

use std::sync::Arc;

use deltalake::arrow::array::{
    ArrayRef, AsArray as _, Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder,
};
use deltalake::arrow::datatypes::{DataType, Field, Int32Type};
use outrider_model::{ClassLocation, ClassSeen, Exposure, Sign, Signs};

use super::{RowError, RowReader};
use crate::schema::class_columns;

/// The columns under construction, in the order of the schema.
pub(super) struct ExposedBuilder {
    signs: ListBuilder<StringBuilder>,
    jwt_lifetime_s: Int64Builder,
    data_classes: ListBuilder<StructBuilder>,
}

impl Default for ExposedBuilder {
    fn default() -> Self {
        let element = |kind| Field::new("element", kind, true);
        let classes = StructBuilder::from_fields(class_columns(), 0);
        ExposedBuilder {
            signs: ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8)),
            jwt_lifetime_s: Int64Builder::new(),
            data_classes: ListBuilder::new(classes).with_field(element(DataType::Struct(class_columns()))),
        }
    }
}

impl ExposedBuilder {
    /// Where there is nothing it is null, as in the rows of versions that had no such columns.
    pub(super) fn push(&mut self, exposure: &Exposure<'_>) {
        for sign in exposure.signs.iter() {
            self.signs.values().append_value(sign.as_str());
        }
        self.signs.append(!exposure.signs.is_empty());
        self.jwt_lifetime_s.append_option(exposure.jwt_lifetime_s.map(i64::from));
        let list = self.data_classes.values();
        for seen in &exposure.classes {
            // The builders are of the types that `class_columns` declares, so each is found.
            for (at, text) in [(0, seen.location.as_str()), (2, seen.class.as_str())] {
                if let Some(column) = list.field_builder::<StringBuilder>(at) {
                    column.append_value(text);
                }
            }
            if let Some(column) = list.field_builder::<Int32Builder>(1) {
                column.append_value(i32::from(seen.at));
            }
            list.append(true);
        }
        self.data_classes.append(!exposure.classes.is_empty());
    }

    pub(super) fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.signs.finish()),
            Arc::new(self.jwt_lifetime_s.finish()),
            Arc::new(self.data_classes.finish()),
        ]
    }
}

impl<'a> RowReader<'a> {
    pub(super) fn exposure(&self) -> Result<Exposure<'a>, RowError> {
        Ok(Exposure {
            signs: self.signs()?,
            jwt_lifetime_s: self.optional_number("jwt_lifetime_s")?,
            classes: self.classes()?,
        })
    }

    fn signs(&self) -> Result<Signs, RowError> {
        let names = self.texts("signs")?;
        let named = |name: &str| Sign::named(name).ok_or_else(|| self.error("signs", "holds an unknown word"));
        names.iter().map(|name| named(name)).collect()
    }

    fn classes(&self) -> Result<Vec<ClassSeen<'a>>, RowError> {
        let name = "data_classes";
        let wrong = || self.error(name, "is not a list of places and classes");
        let list = self.column(name)?.as_list_opt::<i32>().ok_or_else(wrong)?;
        let columns = list.values().as_struct_opt().ok_or_else(wrong)?;
        let text = |column| columns.column_by_name(column).and_then(|c| c.as_string_opt::<i32>()).ok_or_else(wrong);
        let (locations, classes) = (text("location")?, text("class")?);
        let places = columns.column_by_name("at").and_then(|c| c.as_primitive_opt::<Int32Type>()).ok_or_else(wrong)?;
        let offsets = list.value_offsets();
        let range = offsets[self.row].cast_unsigned() as usize..offsets[self.row + 1].cast_unsigned() as usize;
        let seen = |at| {
            Some(ClassSeen {
                location: ClassLocation::named(locations.value(at))?,
                at: u16::try_from(places.value(at)).ok()?,
                class: classes.value(at).into(),
            })
        };
        range.map(|at| seen(at).ok_or_else(wrong)).collect()
    }
}
