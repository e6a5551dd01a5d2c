//! Reads the objects of a line field by field, by hand: the name of the secret's field is a setting, headers go straight
//! into their list, and an unexpected type is skipped where derived code would give up.

use std::fmt;

use outrider_model::{Field, FieldValue, Text};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lax::{Bounded, Lax, LaxText, drain_map, drain_seq};
use super::{Consumer, Entity, HEADERS_MAX, KongLine, Latencies, Request, RequestPart, Response, TAGS_MAX};

/// Reads a whole line; `None` if it is JSON but no object.
pub(super) struct LineSeed<'s> {
    pub(super) secret_field: &'s str,
}

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = Option<KongLine<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let fields = LineFields { line: KongLine::default(), secret_field: self.secret_field };
        Ok(deserializer.deserialize_any(ObjectVisitor(fields))?.map(|fields| fields.line))
    }
}

/// Takes the fields of one kind of object.
trait Fields<'de>: Sized {
    /// Reads the value of the field `name`, which stands next in the map.
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object through its `Fields`; any other type gives `None`.
struct ObjectVisitor<F>(F);

impl<'de, F: Fields<'de>> Visitor<'de> for ObjectVisitor<F> {
    type Value = Option<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            self.0.field(name, &mut map)?;
        }
        Ok(Some(self.0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        drain_seq(seq)?;
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Text<'de>, A::Error> {
    Ok(map.next_value::<LaxText<'de>>()?.0)
}

/// An object with default fields; any other type gives the default object.
fn object<'de, T: Fields<'de> + Default, A: MapAccess<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    struct Seed<T>(T);

    impl<'de, T: Fields<'de>> DeserializeSeed<'de> for Seed<T> {
        type Value = Option<T>;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(ObjectVisitor(self.0))
        }
    }

    map.next_value_seed(Seed(T::default()))
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

struct LineFields<'de, 's> {
    line: KongLine<'de>,
    secret_field: &'s str,
}

impl<'de> Fields<'de> for LineFields<'de, '_> {
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        let line = &mut self.line;
        match &*name {
            "request" => {
                line.request = object(map)?.map_or(RequestPart::Unreadable, RequestPart::Read);
            }
            "response" => line.response = object(map)?.unwrap_or_default(),
            "latencies" => line.latencies = object(map)?.unwrap_or_default(),
            "started_at" => line.started_at = map.next_value()?,
            "client_ip" => line.client_ip = text(map)?,
            "source" => line.source = text(map)?,
            "workspace" => line.workspace = text(map)?,
            "route" => line.route = object(map)?.unwrap_or_default(),
            "service" => line.service = object(map)?.unwrap_or_default(),
            "consumer" => line.consumer = object(map)?.unwrap_or_default(),
            "authenticated_entity" => line.authenticated_entity = object(map)?.unwrap_or_default(),
            "tries" => line.tries = Some(map.next_value()?),
            name if name == self.secret_field => line.secret = text(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Request<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "id" => self.id = text(map)?,
            "method" => self.method = text(map)?,
            "uri" => self.uri = text(map)?,
            "url" => self.url = text(map)?,
            "size" => self.size = map.next_value()?,
            "headers" => {
                let headers = object::<Headers<'de>, A>(map)?.unwrap_or_default();
                self.headers = headers.fields;
                self.headers_truncated = headers.truncated;
            }
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Response<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        /// Of the response's headers only the content type is read.
        #[derive(Default)]
        struct ContentType<'a>(Text<'a>);

        impl<'de> Fields<'de> for ContentType<'de> {
            fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
                if name.eq_ignore_ascii_case("content-type") {
                    self.0 = text(map)?;
                    return Ok(());
                }
                skip(map)
            }
        }

        match &*name {
            "status" => self.status = map.next_value()?,
            "size" => self.size = map.next_value()?,
            "headers" => self.content_type = object::<ContentType<'de>, A>(map)?.unwrap_or_default().0,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Latencies {
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "request" => self.request = map.next_value()?,
            "kong" => self.kong = map.next_value()?,
            "proxy" => self.proxy = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Entity<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "id" => self.id = text(map)?,
            "name" => self.name = text(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Consumer<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match &*name {
            "id" => self.id = text(map)?,
            "username" => self.username = text(map)?,
            "custom_id" => self.custom_id = text(map)?,
            "tags" => {
                let tags = map.next_value::<Lax<Bounded<LaxText<'de>, TAGS_MAX>>>()?;
                self.tags = tags.0.map(|tags| tags.0.into_iter().map(|tag| tag.0).collect()).unwrap_or_default();
            }
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// The request's headers, one entry per value.
#[derive(Default)]
struct Headers<'a> {
    fields: Vec<Field<'a>>,
    truncated: bool,
}

/// A request has about this many headers.
const HEADERS_USUAL: usize = 16;

impl<'de> Fields<'de> for Headers<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        if self.fields.is_empty() {
            self.fields.reserve(HEADERS_USUAL);
        }
        map.next_value_seed(HeaderValue { name, headers: self })
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

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.add(Text::from(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.add(Text::from(value.to_owned()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(LaxText(value)) = seq.next_element()? {
            self.headers.add(self.name.clone(), value);
        }
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.add(Text::from(value.to_string()));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.add(Text::from(value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.add(Text::from(value.to_string()));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.add(Text::from(if value { "true" } else { "false" }));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        drain_map(map)
    }
}
