//! Reading the parameters of a call: which calls are worth it, and what each of their values adds.

use std::borrow::Cow;
use std::net::IpAddr;

use outrider_classify::{credential_shape, find_personal, is_credential_name};
use outrider_model::{Actor, ApiCall, FORMER_FIELDS, Field, FieldValue};
use smallvec::SmallVec;

use super::classes::{self, Looked};
use super::figures::Location;
use super::kind::ValueKind;
use super::names::{is_ignored_header, parameter_name};
use super::parameter::Parameter;
use super::profile::{Profile, is_ok};
use super::settings::{Counters, Settings};
use super::shown::So;
use crate::path::Path;
use crate::template::{Segment, segments};
/// Segments of a path beyond which its parameters are not read.
const DEPTH_MAX: usize = 64;

/// A call while its parameters are read.
pub(super) struct Reader<'r, 'c> {
    pub call: &'r ApiCall<'c>,
    /// The key of who acted, once it was asked for.
    pub actor: Option<u64>,
    pub settings: &'r Settings,
    pub has_room: bool,
    pub counters: &'r mut Counters,
    /// Whether something was new.
    pub is_new: bool,
    /// Whether a value was somebody's, as far as it shows.
    pub is_sensitive: bool,
}

impl Reader<'_, '_> {
    fn actor(&mut self) -> u64 {
        let call = self.call;
        *self.actor.get_or_insert_with(|| {
            let key = match call.actor() {
                None => 0,
                Some(Actor::Consumer(id) | Actor::Credential(id)) => rapidhash::v3::rapidhash_v3(id.as_bytes()),
                Some(Actor::PresentedCredential(pseudonym)) => rapidhash::v3::rapidhash_v3(&pseudonym.tag),
                Some(Actor::Address(IpAddr::V4(address))) => rapidhash::v3::rapidhash_v3(&address.octets()),
                Some(Actor::Address(IpAddr::V6(address))) => rapidhash::v3::rapidhash_v3(&address.octets()),
            };
            key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }
}

impl Profile {
    /// Whether a call names a query parameter that has not been seen often enough to be reported, and can be kept.
    pub(super) fn has_new_query(&self, call: &ApiCall<'_>, settings: &Settings) -> bool {
        call.query.iter().any(|field| {
            let name = parameter_name(&field.name);
            if is_presented(call, field) {
                return false;
            }
            match self.parameters.iter().find(|known| known.is(Location::Query, &name)) {
                Some(known) => known.calls < settings.parameter_calls_min,
                None => self.can_have_another(settings) && left_out(&name, settings).is_none(),
            }
        })
    }

    /// Whether the collector replaced something in a call that is of a class which its parameter has not been seen with often enough.
    pub(super) fn has_new_class(&self, call: &ApiCall<'_>, settings: &Settings) -> bool {
        call.exposure.classes.iter().any(|seen| {
            let location = classes::location_of(seen.location);
            let fields = match location {
                Location::Path => return !self.has_class(|known| known.location == location, &seen.class, settings),
                Location::Query => &call.query,
                Location::Header => &call.headers,
                Location::Field => &call.fields,
            };
            let Some(field) = fields.get(usize::from(seen.at)) else { return false };
            let is_parameter = location != Location::Header || !is_ignored_header(&field.name);
            let name = parameter_name(&field.name);
            is_parameter
                && !is_presented(call, field)
                && !self.has_class(|known| known.is(location, &name), &seen.class, settings)
        })
    }

    /// Whether a parameter's class needs no further look: it was seen often enough, or there is no room for it.
    fn has_class(&self, is_it: impl Fn(&Parameter) -> bool, class: &str, settings: &Settings) -> bool {
        let mut all = self.parameters.iter().filter(|known| is_it(known)).peekable();
        if all.peek().is_none() {
            return true;
        }
        all.any(|known| {
            known.classes.len() >= settings.classes_per_parameter_max
                || known.classes.iter().any(|count| {
                    *count.class == *class && count.seen.calls >= settings.class_values_min.saturating_mul(4).into()
                })
        })
    }

    /// Whether there is room for a parameter, or one that is weak could make some.
    fn can_have_another(&self, settings: &Settings) -> bool {
        self.parameters.len() < settings.parameters_per_endpoint_max || self.parameters.iter().any(Parameter::is_weak)
    }

    /// Reads a call's parameters.
    pub(super) fn read(&mut self, reader: &mut Reader<'_, '_>, template: &str) {
        let call = reader.call;
        self.read += 1;
        self.read_ok += u64::from(is_ok(call));
        self.read_path(reader, template);
        self.read_fields(reader, Location::Query, &call.query);
        self.read_fields(reader, Location::Header, &call.headers);
        self.read_fields(reader, Location::Field, &call.fields);
    }

    fn read_fields(&mut self, reader: &mut Reader<'_, '_>, location: Location, fields: &[Field<'_>]) {
        let mut names: SmallVec<[Cow<'_, str>; 16]> = SmallVec::new();
        for (at, field) in fields.iter().enumerate() {
            // Kong's own name for a key, `apikey`, is no parameter, and the first to tell where keys are.
            let is_parameter = match location {
                Location::Header => !is_ignored_header(&field.name),
                // What another value was under a former key is no value of its own.
                Location::Field => !field.name.starts_with(FORMER_FIELDS),
                Location::Path | Location::Query => true,
            };
            if !is_parameter && !is_presented(reader.call, field) {
                continue;
            }
            let name = parameter_name(&field.name);
            let before = names.iter().filter(|before| **before == name).count();
            self.read_field(reader, location, (at, field), &name, before);
            names.push(name);
        }
    }

    fn read_path(&mut self, reader: &mut Reader<'_, '_>, template: &str) {
        if *self.template != *template {
            self.template = template.into();
            self.segments = Box::default();
            self.drop_other_path_parameters();
            reader.is_new = true;
        }
        if !template.contains('{') {
            return;
        }
        if self.segments.is_empty() {
            self.segments = segments(template).into();
        }
        let Some(path) = Path::parse(&reader.call.path, DEPTH_MAX) else { return };
        if self.segments.len() != path.segments.len() {
            return;
        }
        let segments = std::mem::take(&mut self.segments);
        for (at, (segment, text)) in segments.iter().zip(&path.segments).enumerate() {
            if segment.literal().is_none() {
                for (name, value) in segment.values(&text.text) {
                    let (location, kind) = (Location::Path, ValueKind::of(value));
                    let key = rapidhash::v3::rapidhash_v3(value.as_bytes());
                    self.note(reader, Looked { location, at, name, kind, text: value, key }, 0);
                }
            }
        }
        self.segments = segments;
    }

    /// Forgets parameters of the path that the template does not name.
    pub fn drop_other_path_parameters(&mut self) {
        let names: Vec<String> = segments(&self.template).into_iter().flat_map(Segment::into_names).collect();
        self.parameters
            .retain(|known| known.location != Location::Path || names.iter().any(|name| **name == *known.name));
    }

    /// Reads a field under its parameter's name; `before` says how many of that name came before it in the call.
    fn read_field(
        &mut self,
        reader: &mut Reader<'_, '_>,
        location: Location,
        (at, field): (usize, &Field<'_>),
        name: &str,
        before: usize,
    ) {
        if is_presented(reader.call, field) {
            if self.carrier.is_none()
                && field.name != "authorization"
                && field.name.len() <= reader.settings.name_bytes_max
            {
                self.carrier = Some((location, field.name.as_str().into()));
                reader.is_new = true;
            }
            return;
        }
        let (kind, text) = match &field.value {
            FieldValue::Flag => (ValueKind::Flag, ""),
            FieldValue::Clear(text) => (ValueKind::of(text), text.as_str()),
            FieldValue::Pseudonym(..) | FieldValue::Redacted => (ValueKind::Hidden, ""),
        };
        let key = match &field.value {
            FieldValue::Pseudonym(pseudonym, _) => rapidhash::v3::rapidhash_v3(&pseudonym.tag),
            _ => rapidhash::v3::rapidhash_v3(text.as_bytes()),
        };
        self.note(reader, Looked { location, at, name, kind, text, key }, before);
    }

    fn note(&mut self, reader: &mut Reader<'_, '_>, looked: Looked<'_>, before: usize) {
        let Looked { location, name, kind, text, .. } = looked;
        let Some(at) = self.parameter_or_add(reader, location, name) else { return };
        let actor = reader.actor();
        let call = reader.call;
        let parameter = &mut self.parameters[at];
        match before {
            0 => {
                parameter.calls = parameter.calls.saturating_add(1);
                parameter.calls_ok = parameter.calls_ok.saturating_add(u32::from(is_ok(call)));
                reader.is_new |= parameter.calls == reader.settings.parameter_calls_min;
            }
            1 => parameter.repeated = parameter.repeated.saturating_add(1),
            // The call was counted.
            _ => {}
        }
        parameter.actors |= 1 << (actor >> 58);
        parameter.first_ms = parameter.first_ms.min(call.event_ms);
        parameter.last_ms = parameter.last_ms.max(call.event_ms);
        reader.is_new |= parameter.note(kind, text, actor, reader.settings);
        let so = So { calls: self.calls, known: self.known };
        let context: SmallVec<[&str; 8]> = words(&self.template).collect();
        let mut counting = classes::Counting {
            call,
            senders: &mut self.senders,
            so,
            values: parameter.values(),
            settings: reader.settings,
            counters: &mut *reader.counters,
        };
        let added = counting.note(&mut parameter.classes, &looked, &context);
        reader.is_new |= added.is_new;
        reader.is_sensitive |= added.is_sensitive;
    }

    fn parameter_or_add(&mut self, reader: &mut Reader<'_, '_>, location: Location, name: &str) -> Option<usize> {
        if let Some(at) = self.parameters.iter().position(|known| known.is(location, name)) {
            return Some(at);
        }
        if let Some(why) = left_out(name, reader.settings) {
            match why {
                LeftOut::Empty => {}
                LeftOut::Long => reader.counters.name_bytes_max += 1,
                LeftOut::Personal => reader.counters.personal_names += 1,
            }
            return None;
        }
        if !reader.has_room {
            reader.counters.bytes_max += 1;
            return None;
        }
        if self.parameters.len() >= reader.settings.parameters_per_endpoint_max {
            reader.counters.parameters_per_endpoint_max += 1;
            let weakest = (0..self.parameters.len())
                .filter(|&at| self.parameters[at].is_weak())
                .min_by_key(|&at| (self.parameters[at].calls, self.parameters[at].last_ms))?;
            self.parameters.remove(weakest);
        }
        reader.is_new = true;
        self.parameters.push(Parameter::new(location, name));
        Some(self.parameters.len() - 1)
    }
}

/// The words of a template that are no parameters.
fn words(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter(|segment| !segment.is_empty() && !segment.contains('{'))
}

/// Why a name is never that of a parameter.
enum LeftOut {
    Empty,
    Long,
    /// It holds a personal value or a credential.
    Personal,
}

fn left_out(name: &str, settings: &Settings) -> Option<LeftOut> {
    if name.is_empty() {
        return Some(LeftOut::Empty);
    }
    if name.len() > settings.name_bytes_max {
        return Some(LeftOut::Long);
    }
    let is_personal = !find_personal("", name).is_empty() || credential_shape(name).is_some();
    is_personal.then_some(LeftOut::Personal)
}

/// Whether a field holds the credential that the call presents, or one of which only the name is known. Other fields may be
/// masked, too.
fn is_presented(call: &ApiCall<'_>, field: &Field<'_>) -> bool {
    match field.value {
        FieldValue::Pseudonym(pseudonym, _) => call.presented_credential == Some(pseudonym),
        FieldValue::Redacted => is_credential_name(&field.name),
        FieldValue::Flag | FieldValue::Clear(_) => false,
    }
}
