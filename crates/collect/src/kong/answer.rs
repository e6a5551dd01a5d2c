//! Reads of a response's headers those that say something, and passes over the others.

use outrider_model::Text;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::HEADERS_MAX;
use super::lax::{LaxText, drain_map, drain_seq, scalars_add, scalars_give};

/// A response header of which something is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "kebab-case")]
pub(crate) enum ResponseHeader {
    ContentType,
    Server,
    Via,
    /// Others by which programs tell what they are; those of the OWASP Secure Headers Project's list of headers to remove that hold a
    /// version.
    #[serde(
        rename = "x-powered-by",
        alias = "x-aspnet-version",
        alias = "x-aspnetmvc-version",
        alias = "x-generator",
        alias = "x-powered-cms",
        alias = "x-php-version",
        alias = "x-jenkins",
        alias = "x-owa-version",
        alias = "liferay-portal"
    )]
    Software,
    AccessControlAllowOrigin,
    AccessControlAllowCredentials,
    SetCookie,
    CacheControl,
    Expires,
    StrictTransportSecurity,
    #[serde(other)]
    Other,
}

/// What a response's headers say.
#[derive(Default)]
pub(crate) struct ResponseHeaders<'a> {
    pub(crate) content_type: Text<'a>,
    /// The values of the others that are read, as they come; at most [`HEADERS_MAX`].
    pub(crate) values: Vec<(ResponseHeader, Text<'a>)>,
    /// How many headers there are; `None` where the line has no list of them.
    pub(crate) count: Option<usize>,
}

impl<'de: 'a, 'a> Deserialize<'de> for ResponseHeaders<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = ResponseHeaders<'de>;

            scalars_give!(ResponseHeaders::default());

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResponseHeaders<'de>, A::Error> {
                let mut headers = ResponseHeaders::default();
                let mut count = 0;
                while let Some(name) = map.next_key()? {
                    count += 1;
                    match name {
                        ResponseHeader::Other => drop(map.next_value::<IgnoredAny>()?),
                        ResponseHeader::ContentType => headers.content_type = map.next_value::<LaxText<'de>>()?.0,
                        name => map.next_value_seed(HeaderValue { name, headers: &mut headers })?,
                    }
                }
                headers.count = Some(count);
                Ok(headers)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<ResponseHeaders<'de>, A::Error> {
                drain_seq(seq)?;
                Ok(ResponseHeaders::default())
            }
        }

        deserializer.deserialize_any(Object)
    }
}

/// Adds the values of one header: a text, or an array of texts when it was repeated.
struct HeaderValue<'h, 'de> {
    name: ResponseHeader,
    headers: &'h mut ResponseHeaders<'de>,
}

impl<'de> HeaderValue<'_, 'de> {
    fn add(self, value: Text<'de>) {
        self.headers.add(self.name, value);
    }
}

impl<'de> ResponseHeaders<'de> {
    fn add(&mut self, name: ResponseHeader, value: Text<'de>) {
        if self.values.len() < HEADERS_MAX {
            self.values.push((name, value));
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
            self.headers.add(self.name, value);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        drain_map(map)
    }
}
