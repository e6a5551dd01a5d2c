//! Reads a line's top level and its request headers by hand: the name of the secret's field is a setting, and headers go
//! straight into their list.

use outrider_model::{Field, FieldValue, Text};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lax::{Lax, LaxText, drain_map, drain_seq, scalars_add, scalars_give};
use super::{HEADERS_MAX, KongLine, Session};

/// Reads a whole line into `line`; false if it is JSON but no object.
pub(super) struct LineSeed<'s, 'de> {
    pub(super) line: &'s mut KongLine<'de>,
    pub(super) secret_field: &'s str,
}

/// The names of the top level.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum LineField<'a> {
    Request,
    Response,
    Latencies,
    StartedAt,
    ClientIp,
    Source,
    Workspace,
    Route,
    Service,
    Consumer,
    AuthenticatedEntity,
    Tries,
    Session,
    #[serde(borrow)]
    Other(Text<'a>),
}

impl<'de> DeserializeSeed<'de> for LineSeed<'_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_, 'de> {
    type Value = bool;

    scalars_give!(false);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let line = self.line;
        while let Some(field) = map.next_key()? {
            match field {
                LineField::Request => line.request = map.next_value::<Lax<_>>()?.0,
                LineField::Response => line.response = map.next_value::<Lax<_>>()?.0,
                LineField::Latencies => line.latencies = map.next_value::<Lax<_>>()?.0,
                LineField::StartedAt => line.started_at = map.next_value()?,
                LineField::ClientIp => line.client_ip = map.next_value::<LaxText<'de>>()?.0,
                LineField::Source => line.source = map.next_value::<LaxText<'de>>()?.0,
                LineField::Workspace => line.workspace = map.next_value::<LaxText<'de>>()?.0,
                LineField::Route => line.route = map.next_value::<Lax<_>>()?.0,
                LineField::Service => line.service = map.next_value::<Lax<_>>()?.0,
                LineField::Consumer => line.consumer = map.next_value::<Lax<_>>()?.0,
                LineField::AuthenticatedEntity => line.authenticated_entity = map.next_value::<Lax<_>>()?.0,
                LineField::Tries => line.tries = Some(map.next_value()?),
                LineField::Session => line.is_stream = map.next_value::<Lax<Session>>()?.0.is_object,
                LineField::Other(name) if *name == *self.secret_field => {
                    line.secret = map.next_value::<LaxText<'de>>()?.0;
                }
                LineField::Other(_) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<bool, A::Error> {
        drain_seq(seq)?;
        Ok(false)
    }
}

/// The request's headers, one entry per value.
#[derive(Default)]
pub(crate) struct Headers<'a> {
    /// A repeated header has several. All values are raw.
    pub(crate) fields: Vec<Field<'a>>,
    /// Headers beyond [`HEADERS_MAX`] were left out.
    pub(crate) truncated: bool,
}

/// A request has about this many headers.
const HEADERS_USUAL: usize = 16;

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Headers<'de>;

            scalars_give!(Headers::default());

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers<'de>, A::Error> {
                let mut headers = Headers { fields: Vec::with_capacity(HEADERS_USUAL), truncated: false };
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    map.next_value_seed(HeaderValue { name, headers: &mut headers })?;
                }
                Ok(headers)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Headers<'de>, A::Error> {
                drain_seq(seq)?;
                Ok(Headers::default())
            }
        }

        deserializer.deserialize_any(Object)
    }
}

/// Adds the values of one header: a text, or an array of texts when it was repeated.
struct HeaderValue<'h, 'de> {
    name: Text<'de>,
    headers: &'h mut Headers<'de>,
}

impl<'de> HeaderValue<'_, 'de> {
    fn add(self, value: Text<'de>) {
        self.headers.add(self.name, value);
    }
}

impl<'de> Headers<'de> {
    fn add(&mut self, name: Text<'de>, value: Text<'de>) {
        if self.fields.len() < HEADERS_MAX {
            self.fields.push(Field { name, value: FieldValue::Clear(value) });
        } else {
            self.truncated = true;
        }
    }
}

impl<'de> DeserializeSeed<'de> for HeaderValue<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HeaderValue<'_, 'de> {
    type Value = ();

    scalars_add!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(LaxText(value)) = seq.next_element()? {
            self.headers.add(self.name.clone(), value);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        drain_map(map)
    }
}
