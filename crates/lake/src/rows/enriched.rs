//! What is known of a call beyond its line, as columns and back.

use std::sync::Arc;

use deltalake::arrow::array::{
    ArrayRef, AsArray as _, Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder,
};
use deltalake::arrow::datatypes::{DataType, Field};
use outrider_model::{AgentClass, BusinessEntity, Coordinates, CountryCode, Enrichment, NetworkClass, Text};

use super::{RowError, RowReader};
use crate::schema::entity_columns;

/// The columns under construction, in the order of the schema.
pub(super) struct EnrichedBuilder {
    country: StringBuilder,
    city: StringBuilder,
    latitude_e4: Int32Builder,
    longitude_e4: Int32Builder,
    accuracy_km: Int32Builder,
    asn: Int64Builder,
    as_name: StringBuilder,
    network_class: StringBuilder,
    agent_family: StringBuilder,
    agent_class: StringBuilder,
    entities: ListBuilder<StructBuilder>,
}

impl Default for EnrichedBuilder {
    fn default() -> Self {
        let element = Field::new("element", DataType::Struct(entity_columns()), true);
        EnrichedBuilder {
            country: StringBuilder::new(),
            city: StringBuilder::new(),
            latitude_e4: Int32Builder::new(),
            longitude_e4: Int32Builder::new(),
            accuracy_km: Int32Builder::new(),
            asn: Int64Builder::new(),
            as_name: StringBuilder::new(),
            network_class: StringBuilder::new(),
            agent_family: StringBuilder::new(),
            agent_class: StringBuilder::new(),
            entities: ListBuilder::new(StructBuilder::from_fields(entity_columns(), 0)).with_field(element),
        }
    }
}

impl EnrichedBuilder {
    pub(super) fn push(&mut self, known: &Enrichment<'_>) {
        let text = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        self.country.append_option(known.country.as_ref().map(CountryCode::as_str));
        self.city.append_option(text(&known.city));
        self.latitude_e4.append_option(known.coordinates.map(|place| place.latitude_e4));
        self.longitude_e4.append_option(known.coordinates.map(|place| place.longitude_e4));
        self.accuracy_km.append_option(known.coordinates.and_then(|place| place.accuracy_km).map(i32::from));
        self.asn.append_option(known.asn.map(i64::from));
        self.as_name.append_option(text(&known.as_name));
        self.network_class.append_option((known.network != NetworkClass::Unknown).then(|| known.network.as_str()));
        self.agent_family.append_option(text(&known.agent_family));
        self.agent_class.append_option((known.agent != AgentClass::Unknown).then(|| known.agent.as_str()));
        let list = self.entities.values();
        for entity in &known.entities {
            // The builders are of the types that `entity_columns` declares, so each is found.
            for (at, value) in [&*entity.name, &*entity.value].into_iter().enumerate() {
                if let Some(column) = list.field_builder::<StringBuilder>(at) {
                    column.append_value(value);
                }
            }
            list.append(true);
        }
        self.entities.append(!known.entities.is_empty());
    }

    pub(super) fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.country.finish()),
            Arc::new(self.city.finish()),
            Arc::new(self.latitude_e4.finish()),
            Arc::new(self.longitude_e4.finish()),
            Arc::new(self.accuracy_km.finish()),
            Arc::new(self.asn.finish()),
            Arc::new(self.as_name.finish()),
            Arc::new(self.network_class.finish()),
            Arc::new(self.agent_family.finish()),
            Arc::new(self.agent_class.finish()),
            Arc::new(self.entities.finish()),
        ]
    }
}

impl<'a> RowReader<'a> {
    pub(super) fn enrichment(&self) -> Result<Enrichment<'a>, RowError> {
        let text = |name| self.optional_text(name).map(|text| text.map_or(Text::EMPTY, Text::from));
        Ok(Enrichment {
            country: self
                .optional_text("country")?
                .map(|code| CountryCode::new(code).ok_or_else(|| self.error("country", "holds no code of a country")))
                .transpose()?,
            city: text("city")?,
            coordinates: self.coordinates()?,
            asn: self.optional_number("asn")?,
            as_name: text("as_name")?,
            network: self.word("network_class", NetworkClass::ALL, NetworkClass::as_str)?,
            agent_family: text("agent_family")?,
            agent: self.word("agent_class", AgentClass::ALL, AgentClass::as_str)?,
            entities: self.entities()?,
        })
    }

    fn coordinates(&self) -> Result<Option<Coordinates>, RowError> {
        let place = (self.optional_int32("latitude_e4")?, self.optional_int32("longitude_e4")?);
        let (Some(latitude_e4), Some(longitude_e4)) = place else { return Ok(None) };
        let accuracy_km = self.optional_int32("accuracy_km")?.and_then(|km| u16::try_from(km).ok());
        Ok(Some(Coordinates { latitude_e4, longitude_e4, accuracy_km }))
    }

    /// A word of a closed list, or its default where it is null.
    fn word<T: Copy + Default, const N: usize>(
        &self,
        column: &'static str,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, RowError> {
        let Some(text) = self.optional_text(column)? else { return Ok(T::default()) };
        let found = all.into_iter().find(|&one| name(one) == text);
        found.ok_or_else(|| self.error(column, "holds an unknown word"))
    }

    fn entities(&self) -> Result<Vec<BusinessEntity<'a>>, RowError> {
        let name = "entities";
        let wrong = || self.error(name, "is not a list of names and values");
        let list = self.column(name)?.as_list_opt::<i32>().ok_or_else(wrong)?;
        let columns = list.values().as_struct_opt().ok_or_else(wrong)?;
        let text = |column| columns.column_by_name(column).and_then(|c| c.as_string_opt::<i32>()).ok_or_else(wrong);
        let (names, values) = (text("name")?, text("value")?);
        let offsets = list.value_offsets();
        let range = offsets[self.row].cast_unsigned() as usize..offsets[self.row + 1].cast_unsigned() as usize;
        let entity = |at| BusinessEntity { name: names.value(at).into(), value: values.value(at).into() };
        Ok(range.map(entity).collect())
    }
}
