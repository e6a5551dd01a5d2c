//! A line before and after: what it said, and what of it a call says.
//!
//! Decides nothing: it reads the line as it is and holds it beside the call that the normaliser made of it, so that an
//! operator sees what leaves before anything does. It shows credentials as they stand in the line, so it is for the
//! terminal of whoever has the line already, and nowhere else.

use std::collections::HashMap;
use std::net::IpAddr;

use outrider_model::{
    AnsweredBy, ApiCall, ClassLocation, ClassSeen, Field, FieldValue, Named, Pseudonym, Sign, Text, Trust,
};
use serde::Serialize;

use crate::json::{Json, JsonRoom, Value};
use crate::normalise::{Normalised, Normaliser, Scratch, is_added_by_kong, query_fields, split_uri};
use crate::{FieldFailure, Rejection};

/// One value, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewRow {
    /// Where in the line, as an expression names it below `line`; empty for what the call has from elsewhere.
    pub place: String,
    /// What stands there.
    pub before: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// The column of the lake that it leaves in, with the name of the field where that is a list; empty if it does not leave.
    pub column: String,
    /// What leaves; for what failed, the reason.
    pub after: Option<String>,
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It leaves as it is.
    Kept,
    /// It leaves in another form, with pseudonyms in it perhaps.
    Changed,
    /// A pseudonym leaves in its place.
    Pseudonym,
    /// That there was a value is all that leaves: the gateway hid it already, or a policy of the source masks it.
    Redacted,
    /// It would leave, and the source's `drop` or a policy of it has it taken away.
    Dropped,
    /// Nothing reads it, or nothing but the collector itself.
    NotSent,
    /// A field is mapped from it.
    Mapped,
    /// A field should have been mapped and has no value.
    Failed,
    /// It is derived from the line, or comes from the settings.
    Derived,
    /// An entity of the business that the call names.
    Entity,
}

impl Fate {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::Changed => "changed",
            Fate::Pseudonym => "pseudonym",
            Fate::Redacted => "redacted",
            Fate::Dropped => "dropped",
            Fate::NotSent => "not_sent",
            Fate::Mapped => "mapped",
            Fate::Failed => "failed",
            Fate::Derived => "derived",
            Fate::Entity => "entity",
        }
    }
}

impl Normaliser {
    /// Reads one line as [`Normaliser::normalise`] does, and says what became of each of its values. `complete` has the
    /// last word on the call, as a source's has.
    pub fn preview(
        &self,
        line: &[u8],
        complete: impl FnOnce(&mut ApiCall<'_>, Option<IpAddr>),
    ) -> Result<Vec<PreviewRow>, Rejection> {
        let (mut scratch, mut room) = (Scratch::default(), JsonRoom::default());
        let mut rows = {
            let Normalised { mut call, hidden_address } = self.read(line, None, &mut scratch)?;
            complete(&mut call, hidden_address);
            let mut rows = Rows { normaliser: self, call: &call, seen: HashMap::new(), rows: Vec::new() };
            room.read(line, |value| {
                rows.value(&mut Vec::new(), value);
                Ok(())
            })?;
            rows.without_a_place();
            rows.rows
        };
        for (name, tally) in self.mapped_fields().zip(scratch.take_fields()) {
            let reasons = FieldFailure::ALL.into_iter().filter(|failure| tally.failed[*failure as usize] > 0);
            rows.extend(reasons.map(|failure| PreviewRow {
                place: String::new(),
                before: None,
                fate: Fate::Failed,
                column: format!("fields.{name}"),
                after: Some(failure.as_str().to_owned()),
            }));
        }
        Ok(rows)
    }
}

struct Rows<'p, 'c> {
    normaliser: &'p Normaliser,
    call: &'p ApiCall<'c>,
    /// How many values of a header or mapped field were held beside the line already.
    seen: HashMap<String, usize>,
    rows: Vec<PreviewRow>,
}

impl Rows<'_, '_> {
    fn value(&mut self, path: &mut Vec<String>, value: Value<'_, '_>) {
        let before = match value.json() {
            Json::Object(members) => {
                for (name, value) in members {
                    path.push(name.to_owned());
                    self.value(path, value);
                    path.pop();
                }
                return;
            }
            Json::List(elements) => return elements.for_each(|element| self.value(path, element)),
            Json::Null => return self.push(path, "null".to_owned(), Fate::NotSent, String::new(), None),
            Json::Bool(truth) => truth.to_string(),
            Json::Int(number) => number.to_string(),
            Json::UInt(number) => number.to_string(),
            Json::Float(number) => format!("{number:?}"),
            Json::Text(text) => text.to_owned(),
        };
        self.leaf(path, before);
    }

    fn leaf(&mut self, path: &[String], before: String) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let first = self.rows.len();
        match names.as_slice() {
            ["request", "uri"] => self.target(&before),
            ["request", "headers", name] => self.header(path, &name.to_ascii_lowercase(), before.clone()),
            ["consumer", "tags"] => {
                let count = self.seen.entry("consumer_tags".to_owned()).or_default();
                let tag = self.call.consumer.as_ref().and_then(|consumer| consumer.tags.get(*count));
                *count += 1;
                self.column(path, before.clone(), "consumer_tags", tag.map(Text::to_string));
            }
            names => {
                if let Some((column, after)) = self.column_of(names) {
                    self.column(path, before.clone(), column, after);
                }
            }
        }
        let is_left = self.rows.len() == first;
        let fields: Vec<String> = self.normaliser.mapping().names_of(path).map(str::to_owned).collect();
        for name in &fields {
            let mapped = self.next_of(name);
            if let Some((_, after)) = mapped {
                self.push(path, before.clone(), Fate::Mapped, format!("fields.{name}"), Some(after));
            }
        }
        if is_left && self.rows.len() == first {
            let fate = if self.normaliser.mapping().reads(path) { Fate::Mapped } else { Fate::NotSent };
            self.push(path, before, fate, String::new(), None);
        }
    }

    /// Path and query, which the line holds together.
    fn target(&mut self, uri: &str) {
        let uri_path = ["request".to_owned(), "uri".to_owned()];
        let (path, query) = split_uri(uri);
        let call = self.call;
        self.column(&uri_path, path.to_owned(), "path", Some(call.path.to_string()));
        let raw =
            query_fields(query, |name, value| Field { name, value: value.map_or(FieldValue::Flag, FieldValue::Clear) });
        let mut left = call.query.iter();
        for Field { name, value } in raw {
            let place = ["request".to_owned(), "querystring".to_owned(), name.to_string()];
            let before = match &value {
                FieldValue::Clear(text) => text.to_string(),
                _ => String::new(),
            };
            let name = place[2].as_str();
            if self.normaliser.mapping().is_dropped(&place) || self.normaliser.drops_query(name) {
                self.push(&place, before, Fate::Dropped, String::new(), None);
            } else if let Some(field) = left.next() {
                let (fate, after) = fate_of(&before, &field.value);
                self.push(&place, before, fate, format!("query.{}", field.name), after);
            }
        }
    }

    fn header(&mut self, path: &[String], name: &str, before: String) {
        let call = self.call;
        let count = self.seen.entry(format!("header {name}")).or_default();
        let header = call.headers.iter().filter(|header| header.name == name).nth(*count);
        *count += 1;
        match header {
            Some(header) => {
                let (fate, after) = fate_of(&before, &header.value);
                self.push(path, before, fate, format!("headers.{name}"), after);
            }
            None if is_added_by_kong(name) => self.push(path, before, Fate::NotSent, String::new(), None),
            None => self.push(path, before, Fate::Dropped, String::new(), None),
        }
    }

    /// The next value of a mapped field that no row has yet.
    fn next_of(&mut self, name: &str) -> Option<(Fate, String)> {
        let call = self.call;
        let count = self.seen.entry(format!("field {name}")).or_default();
        let field = call.fields.iter().filter(|field| field.name == name).nth(*count)?;
        *count += 1;
        let (fate, after) = fate_of("", &field.value);
        Some((fate, after.unwrap_or_default()))
    }

    fn column(&mut self, path: &[String], before: String, column: &str, after: Option<String>) {
        let is_dropped = self.normaliser.mapping().is_dropped(path);
        match after.filter(|after| !is_dropped && (!after.is_empty() || before.is_empty())) {
            Some(after) => {
                let is_pseudonym = after.parse::<Pseudonym>().is_ok()
                    || after.parse().is_ok_and(|address: IpAddr| Pseudonym::is_address(address));
                let fate = match after == before {
                    true => Fate::Kept,
                    false if is_pseudonym => Fate::Pseudonym,
                    false => Fate::Changed,
                };
                self.push(path, before, fate, column.to_owned(), Some(after));
            }
            None => {
                let fate = if is_dropped { Fate::Dropped } else { Fate::NotSent };
                self.push(path, before, fate, String::new(), None);
            }
        }
    }

    /// The column that a place of every line leaves in, and what it says there.
    fn column_of(&self, names: &[&str]) -> Option<(&'static str, Option<String>)> {
        let call = self.call;
        let text = |text: &Text<'_>| Some(text.to_string());
        let id = |named: &Option<Named<'_>>| named.as_ref().map(|named| named.id.to_string());
        let name = |named: &Option<Named<'_>>| named.as_ref().map(|named| named.name.to_string());
        let consumer = call.consumer.as_ref();
        Some(match names {
            ["request", "id"] => ("request_id", text(&call.request_id)),
            ["request", "method"] => ("method", text(&call.method)),
            ["request", "size"] => ("request_bytes", Some(call.request_bytes.to_string())),
            ["response", "status"] => ("status", Some(call.status.to_string())),
            ["response", "size"] => ("response_bytes", Some(call.response_bytes.to_string())),
            ["response", "headers", "content-type"] => ("response_type", text(&call.response_type)),
            ["latencies", "request"] => ("latency_total_ms", Some(call.latency.total_ms.to_string())),
            ["latencies", "kong"] => ("latency_gateway_ms", Some(call.latency.gateway_ms.to_string())),
            ["latencies", "proxy"] => ("latency_upstream_ms", Some(call.latency.upstream_ms.to_string())),
            ["started_at"] => ("started_time", Some(call.started_ms.to_string())),
            ["client_ip"] => ("client_ip", call.client_ip.map(|address| address.to_string())),
            ["source"] => ("answered_by", Some(answered_by(call).to_owned())),
            ["workspace"] => ("workspace", text(&call.workspace)),
            ["route", "id"] => ("route_id", id(&call.route)),
            ["route", "name"] => ("route_name", name(&call.route)),
            ["service", "id"] => ("service_id", id(&call.service)),
            ["service", "name"] => ("service_name", name(&call.service)),
            ["consumer", "id"] => ("consumer_id", consumer.map(|consumer| consumer.id.to_string())),
            ["consumer", "username"] => ("consumer_name", consumer.map(|consumer| consumer.username.to_string())),
            ["consumer", "custom_id"] => {
                ("consumer_custom_id", consumer.map(|consumer| consumer.custom_id.to_string()))
            }
            ["authenticated_entity", "id"] => ("credential_id", call.credential_id.as_ref().and_then(text)),
            _ => return None,
        })
    }

    /// What the call has that stands at no one place of the line.
    fn without_a_place(&mut self) {
        let call = self.call;
        let derived = [
            ("gateway", Some(call.gateway.to_string())),
            ("trusted", Some((call.trust == Trust::Trusted).to_string())),
            ("host", Some(call.host.to_string()).filter(|host| !host.is_empty())),
            ("presented_credential", call.presented_credential.map(|pseudonym| pseudonym.to_string())),
            ("session", call.session.map(|pseudonym| pseudonym.to_string())),
            ("own_refusal", call.own_refusal.as_ref().map(Text::to_string)),
        ];
        for (column, value) in derived {
            if value.is_some() {
                self.rows.push(row(String::new(), None, Fate::Derived, column.to_owned(), value));
            }
        }
        let names: Vec<String> = self.normaliser.mapped_fields().map(str::to_owned).collect();
        for name in names {
            while let Some((_, after)) = self.next_of(&name) {
                self.rows.push(row(String::new(), None, Fate::Mapped, format!("fields.{name}"), Some(after)));
            }
        }
        self.exposure();
        for entity in &call.enrichment.entities {
            let (column, after) = (format!("entities.{}", entity.name), Some(entity.value.to_string()));
            self.rows.push(row(String::new(), None, Fate::Entity, column, after));
        }
    }

    /// What is told of the call's exposure. Of what was replaced its class is told, with the place where it stood.
    fn exposure(&mut self) {
        let exposure = &self.call.exposure;
        let signs: Vec<&str> = exposure.signs.iter().map(Sign::as_str).collect();
        let told = (!signs.is_empty()).then(|| ("signs", signs.join(" ")));
        let lifetime = exposure.jwt_lifetime_s.map(|lifetime_s| ("jwt_lifetime_s", lifetime_s.to_string()));
        let classes = exposure.classes.iter().map(|seen| ("data_classes", self.class(seen)));
        let rows = told.into_iter().chain(lifetime).chain(classes);
        let rows: Vec<_> = rows
            .map(|(column, after)| row(String::new(), None, Fate::Derived, column.to_owned(), Some(after)))
            .collect();
        self.rows.extend(rows);
    }

    fn class(&self, seen: &ClassSeen<'_>) -> String {
        let at = usize::from(seen.at);
        let named = |list: &str, fields: &[Field<'_>]| match fields.get(at) {
            Some(field) => format!("{} in {list}.{}", &*seen.class, &*field.name),
            None => format!("{} in {list}", &*seen.class),
        };
        match seen.location {
            ClassLocation::Path => format!("{} in segment {at} of path", &*seen.class),
            ClassLocation::Query => named("query", &self.call.query),
            ClassLocation::Header => named("headers", &self.call.headers),
            ClassLocation::Field => named("fields", &self.call.fields),
        }
    }

    fn push(&mut self, path: &[String], before: String, fate: Fate, column: String, after: Option<String>) {
        self.rows.push(row(place(path), Some(before), fate, column, after));
    }
}

fn row(place: String, before: Option<String>, fate: Fate, column: String, after: Option<String>) -> PreviewRow {
    PreviewRow { place, before, fate, column, after }
}

fn answered_by(call: &ApiCall<'_>) -> &'static str {
    match call.answered_by {
        AnsweredBy::Upstream => "upstream",
        AnsweredBy::Gateway => "gateway",
    }
}

fn fate_of(before: &str, value: &FieldValue<'_>) -> (Fate, Option<String>) {
    match value {
        FieldValue::Flag => (Fate::Kept, None),
        FieldValue::Clear(text) if &**text == before => (Fate::Kept, Some(text.to_string())),
        FieldValue::Clear(text) => (Fate::Changed, Some(text.to_string())),
        FieldValue::Pseudonym(pseudonym, _) => (Fate::Pseudonym, Some(pseudonym.to_string())),
        FieldValue::Redacted => (Fate::Redacted, None),
    }
}

/// The place as an expression names it below `line`.
fn place(path: &[String]) -> String {
    let mut text = String::new();
    for name in path {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_identifier = name.bytes().all(is_plain) && !name.starts_with(|first: char| first.is_ascii_digit());
        match is_identifier && !name.is_empty() {
            true if text.is_empty() => text.push_str(name),
            true => text.extend([".", name]),
            false => text.push_str(&format!("[{name:?}]")),
        }
    }
    text
}
