//! Which members of a line are read, and into what.

use outrider_model::{Field, FieldValue, Text};

use super::lax::{self, Int};
use super::{Consumer, Entity, HEADERS_MAX, KongLine, Latencies, Request, Response, TAGS_MAX};
use crate::json::{Begun, Malformed, Reader};

type Result<T> = std::result::Result<T, Malformed>;

/// Reads a whole line into `line`; false if it is JSON but no object.
pub(super) fn read<'de>(reader: &mut Reader<'de, '_>, line: &mut KongLine<'de>, secret_field: &str) -> Result<bool> {
    lax::object(reader, |reader, name| {
        match &*name {
            "request" => line.request.read(reader)?,
            "response" => line.response.read(reader)?,
            "latencies" => line.latencies.read(reader)?,
            "started_at" => line.started_at = Int::read(reader)?,
            "client_ip" => line.client_ip = lax::text(reader)?,
            "source" => line.source = lax::text(reader)?,
            "workspace" => line.workspace = lax::text(reader)?,
            "route" => line.route.read(reader)?,
            "service" => line.service.read(reader)?,
            "consumer" => line.consumer.read(reader)?,
            "authenticated_entity" => line.authenticated_entity.read(reader)?,
            "tries" => line.tries = Some(reader.raw()?),
            "session" => line.is_stream = lax::object(reader, |reader, _| reader.pass())?,
            name if name == secret_field => line.secret = lax::text(reader)?,
            _ => reader.pass()?,
        }
        Ok(())
    })
}

impl<'de> Request<'de> {
    fn read(&mut self, reader: &mut Reader<'de, '_>) -> Result<()> {
        *self = Request::default();
        self.is_object = lax::object(reader, |reader, name| {
            match &*name {
                "id" => self.id = lax::text(reader)?,
                "method" => self.method = lax::text(reader)?,
                "uri" => self.uri = lax::text(reader)?,
                "url" => self.url = lax::text(reader)?,
                "size" => self.size = Int::read(reader)?,
                "headers" => self.headers.read(reader)?,
                _ => reader.pass()?,
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl<'de> Response<'de> {
    fn read(&mut self, reader: &mut Reader<'de, '_>) -> Result<()> {
        *self = Response::default();
        lax::object(reader, |reader, name| {
            match &*name {
                "status" => self.status = Int::read(reader)?,
                "size" => self.size = Int::read(reader)?,
                "headers" => self.content_type = content_type(reader)?,
                _ => reader.pass()?,
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Of the response's headers all that is read.
fn content_type<'de>(reader: &mut Reader<'de, '_>) -> Result<Text<'de>> {
    let mut content_type = Text::EMPTY;
    lax::object(reader, |reader, name| match &*name {
        "content-type" => lax::text(reader).map(|text| content_type = text),
        _ => reader.pass(),
    })?;
    Ok(content_type)
}

impl Latencies {
    fn read(&mut self, reader: &mut Reader<'_, '_>) -> Result<()> {
        *self = Latencies::default();
        lax::object(reader, |reader, name| {
            match &*name {
                "request" => self.request = Int::read(reader)?,
                "kong" => self.kong = Int::read(reader)?,
                "proxy" => self.proxy = Int::read(reader)?,
                _ => reader.pass()?,
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl<'de> Entity<'de> {
    fn read(&mut self, reader: &mut Reader<'de, '_>) -> Result<()> {
        *self = Entity::default();
        lax::object(reader, |reader, name| {
            match &*name {
                "id" => self.id = lax::text(reader)?,
                "name" => self.name = lax::text(reader)?,
                _ => reader.pass()?,
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl<'de> Consumer<'de> {
    fn read(&mut self, reader: &mut Reader<'de, '_>) -> Result<()> {
        *self = Consumer::default();
        lax::object(reader, |reader, name| {
            match &*name {
                "id" => self.id = lax::text(reader)?,
                "username" => self.username = lax::text(reader)?,
                "custom_id" => self.custom_id = lax::text(reader)?,
                "tags" => self.tags = lax::texts(reader, TAGS_MAX)?,
                _ => reader.pass()?,
            }
            Ok(())
        })?;
        Ok(())
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

impl<'de> Headers<'de> {
    fn read(&mut self, reader: &mut Reader<'de, '_>) -> Result<()> {
        *self = Headers { fields: Vec::with_capacity(HEADERS_USUAL), truncated: false };
        lax::object(reader, |reader, name| self.read_value(reader, name))?;
        Ok(())
    }

    /// Adds the values of one header: a text, or a list of texts when it was repeated.
    fn read_value(&mut self, reader: &mut Reader<'de, '_>, name: Text<'de>) -> Result<()> {
        match reader.value()? {
            Begun::Text(value) => self.add(name, value),
            Begun::Number(number) => self.add(name, lax::number_text(number)),
            Begun::Bool(truth) => self.add(name, Text::from(if truth { "true" } else { "false" })),
            Begun::Null => {}
            Begun::List => reader.elements(|reader| {
                let value = lax::text(reader)?;
                self.add(name.clone(), value);
                Ok(())
            })?,
            Begun::Object => lax::pass_members(reader)?,
        }
        Ok(())
    }

    fn add(&mut self, name: Text<'de>, value: Text<'de>) {
        if self.fields.len() < HEADERS_MAX {
            self.fields.push(Field { name, value: FieldValue::Clear(value) });
        } else {
            self.truncated = true;
        }
    }
}
