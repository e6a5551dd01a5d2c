//! What tells a client, a service or a route apart for people, and leaves as a pseudonym where a setting says so (decision 5).
//!
//! A name becomes the pseudonym that the same text has as a personal value elsewhere, so that a consumer called by a mail
//! address still joins with that address in a query. An address becomes one of [`Pseudonym::to_address`], which every reader
//! takes for an address. Ids stay: an action needs them. Left out: a consumer's name inside a longer text or a path, where it
//! is a word like others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use outrider_classify::is_uuid;
use outrider_model::{ApiCall, Field, FieldValue, GatewayConfiguration, PluginSettings, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::addresses::{self, Which};
use super::length;
use super::presented::{add_former, former_field};
use crate::pseudonyms::PseudonymKey;

/// One thing that leaves in clear unless it is named in `pseudonymise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The consumer's user name.
    ConsumerUsername,
    /// The operator's own id of the consumer.
    ConsumerCustomId,
    /// The tags of the consumer, and of its credentials where the gateway's configuration has them.
    ConsumerTags,
    /// The client's address, wherever the call has it.
    ClientAddress,
    /// The service's name.
    ServiceName,
    /// The route's name.
    RouteName,
}

impl Identity {
    /// The lake's column that it is in.
    fn column(self) -> &'static str {
        match self {
            Identity::ConsumerUsername => "consumer_name",
            Identity::ConsumerCustomId => "consumer_custom_id",
            Identity::ConsumerTags => "consumer_tags",
            Identity::ClientAddress => "client_ip",
            Identity::ServiceName => "service_name",
            Identity::RouteName => "route_name",
        }
    }
}

/// What leaves as a pseudonym of what leaves in clear otherwise: `["client_address", "consumer_username"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Identities(BTreeSet<Identity>);

impl FromIterator<Identity> for Identities {
    fn from_iter<I: IntoIterator<Item = Identity>>(identities: I) -> Self {
        Identities(identities.into_iter().collect())
    }
}

/// What a place of the line has in it that is a pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hides {
    Nothing,
    /// All of it is one value.
    Whole,
    /// Every address in it.
    Addresses,
}

impl Identities {
    /// Whether everything leaves in clear.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is a pseudonym.
    pub fn has(&self, identity: Identity) -> bool {
        self.0.contains(&identity)
    }

    /// Adds those of another setting: what the installation makes a pseudonym no source gives in clear.
    pub fn add(&mut self, others: &Identities) {
        self.0.extend(&others.0);
    }

    /// Replaces what a call has in the places of its own and in its fields, and gives the address that is not in it any more.
    pub(crate) fn hide(
        &self,
        key: &PseudonymKey,
        address_header: Option<&str>,
        call: &mut ApiCall<'_>,
    ) -> Option<IpAddr> {
        if self.is_empty() {
            return None;
        }
        let former = key.former_at(call.received_ms);
        let mut former_fields = Vec::new();
        let mut hide = |identity, text: &mut Text<'_>| {
            if self.has(identity) && !text.is_empty() {
                let before = former.map(|key| FieldValue::Pseudonym(key.personal("", text), 0));
                former_fields.extend(before.map(|before| former_field(identity.column(), before)));
                *text = Text::from(name(key, text));
            }
        };
        if let Some(consumer) = &mut call.consumer {
            hide(Identity::ConsumerUsername, &mut consumer.username);
            hide(Identity::ConsumerCustomId, &mut consumer.custom_id);
            consumer.tags.iter_mut().for_each(|tag| hide(Identity::ConsumerTags, tag));
        }
        if let Some(service) = &mut call.service {
            hide(Identity::ServiceName, &mut service.name);
        }
        if let Some(route) = &mut call.route {
            hide(Identity::RouteName, &mut route.name);
        }
        let address = call.client_ip.filter(|_| self.has(Identity::ClientAddress));
        if self.has(Identity::ClientAddress) {
            hide_addresses(key, address_header, call);
            call.client_ip = address.map(|address| key.address(address));
            if let (Some(key), Some(address)) = (former, address) {
                let before = FieldValue::Clear(Text::from(key.address(address).to_string()));
                former_fields.push(former_field(Identity::ClientAddress.column(), before));
            }
        }
        add_former(call, former_fields);
        address
    }

    /// Fields whose value is the consumer's name or custom id: a client that says who it is, or a gateway that says it to the upstream.
    pub(crate) fn hide_in_fields(&self, key: &PseudonymKey, call: &mut ApiCall<'_>) {
        let ApiCall { consumer: Some(consumer), query, headers, fields, .. } = call else { return };
        let names = [
            (Identity::ConsumerUsername, consumer.username.as_str()),
            (Identity::ConsumerCustomId, consumer.custom_id.as_str()),
        ];
        for field in query.iter_mut().chain(headers).chain(fields) {
            let FieldValue::Clear(value) = &field.value else { continue };
            let is_name = |(identity, name): &(Identity, &str)| self.has(*identity) && **value == **name;
            if !value.is_empty() && names.iter().any(is_name) {
                field.value = hidden(key, value);
            }
        }
    }

    /// What an expression that reads these places must not give in clear. `line.consumer` has everything below it.
    /// `address_header` is told by more than its name, where proxies are trusted.
    pub(crate) fn hides(&self, address_header: Option<&str>, paths: &[Vec<String>]) -> Hides {
        const PLACES: [(Identity, &[&str]); 9] = [
            (Identity::ConsumerUsername, &["consumer", "username"]),
            (Identity::ConsumerUsername, &["request", "headers", "x-consumer-username"]),
            (Identity::ConsumerUsername, &["request", "headers", "x-credential-username"]),
            (Identity::ConsumerCustomId, &["consumer", "custom_id"]),
            (Identity::ConsumerCustomId, &["request", "headers", "x-consumer-custom-id"]),
            (Identity::ConsumerTags, &["consumer", "tags"]),
            (Identity::ClientAddress, &["client_ip"]),
            (Identity::ServiceName, &["service", "name"]),
            (Identity::RouteName, &["route", "name"]),
        ];
        let meets = |path: &[String], place: &[&str]| path.iter().zip(place).all(|(a, b)| a.eq_ignore_ascii_case(b));
        let is_hidden = |path: &Vec<String>| {
            PLACES.iter().any(|(identity, place)| {
                *identity != Identity::ClientAddress && self.has(*identity) && meets(path, place)
            })
        };
        let has_address = |path: &Vec<String>| {
            self.has(Identity::ClientAddress)
                && (meets(path, &["client_ip"])
                    || path.last().is_some_and(|name| addresses::is_told_by(name, address_header))
                    || (path.len() < 3 && meets(path, &["request", "headers"])))
        };
        if paths.iter().any(is_hidden) {
            Hides::Whole
        } else if paths.iter().any(has_address) {
            Hides::Addresses
        } else {
            Hides::Nothing
        }
    }

    /// Replaces the same in what a gateway is configured to do.
    pub fn hide_configuration(&self, key: &PseudonymKey, configuration: &mut GatewayConfiguration) {
        let hide = |identity, text: &mut String| {
            if self.has(identity) && !text.is_empty() {
                *text = name(key, text);
            }
        };
        for consumer in &mut configuration.consumers {
            consumer.username.iter_mut().for_each(|text| hide(Identity::ConsumerUsername, text));
            consumer.custom_id.iter_mut().for_each(|text| hide(Identity::ConsumerCustomId, text));
            consumer.tags.iter_mut().for_each(|tag| hide(Identity::ConsumerTags, tag));
        }
        let credentials = configuration.credentials.iter_mut().flat_map(|credential| &mut credential.tags);
        credentials.for_each(|tag| hide(Identity::ConsumerTags, tag));
        configuration.services.iter_mut().for_each(|service| {
            service.name.iter_mut().for_each(|text| hide(Identity::ServiceName, text));
        });
        configuration.routes.iter_mut().for_each(|route| {
            route.name.iter_mut().for_each(|text| hide(Identity::RouteName, text));
        });
        // Kong takes the consumer's id for it or its name.
        let anonymous = configuration.plugins.iter_mut().filter_map(|plugin| plugin.settings.as_mut()?.anonymous_mut());
        anonymous.filter(|consumer| !is_uuid(consumer)).for_each(|name| hide(Identity::ConsumerUsername, name));
        if !self.has(Identity::ClientAddress) {
            return;
        }
        for plugin in &mut configuration.plugins {
            let Some(PluginSettings::IpRestriction(settings)) = &mut plugin.settings else { continue };
            for entry in [&mut settings.allow, &mut settings.deny].into_iter().flatten().flatten() {
                if let Some(address) = only_address(entry) {
                    *entry = key.address(address).to_string();
                }
            }
        }
    }
}

/// The address that an entry is, with the length of the whole of it or without. A network is nobody's address.
fn only_address(entry: &str) -> Option<IpAddr> {
    let (address, length) = entry.split_once('/').unwrap_or((entry, ""));
    let address = address.parse::<IpAddr>().ok()?;
    let whole = if address.is_ipv4() { "32" } else { "128" };
    (length.is_empty() || length == whole).then_some(address)
}

/// What stands for a name.
fn name(key: &PseudonymKey, text: &str) -> String {
    key.personal("", text).to_string()
}

/// What stands for the value of a field that is a name.
pub(super) fn hidden(key: &PseudonymKey, value: &str) -> FieldValue<'static> {
    FieldValue::Pseudonym(key.personal("", value), length(value))
}

fn hide_addresses(key: &PseudonymKey, address_header: Option<&str>, call: &mut ApiCall<'_>) {
    let own = call.client_ip.map(Which::Own);
    for Field { name, value } in call.query.iter_mut().chain(&mut call.headers).chain(&mut call.fields) {
        // A host names the API that was called.
        if **name == *"host" {
            continue;
        }
        let which = if addresses::is_told_by(name, address_header) { Some(Which::Every) } else { own };
        if let (FieldValue::Clear(text), Some(which)) = (&*value, which)
            && let Some(replaced) = addresses::replaced(text, which, key)
        {
            *value = FieldValue::Clear(Text::from(replaced));
        }
        if let Some(replaced) = own.and_then(|own| addresses::replaced(name, own, key)) {
            *name = Text::from(replaced);
        }
    }
    if let Some(which) = own
        && let Some(path) = addresses::replaced(&call.path, which, key)
    {
        call.path = Text::from(path);
    }
}

/// The text of a mapped field without addresses.
pub(super) fn without_addresses<'a>(key: &PseudonymKey, text: Text<'a>) -> Text<'a> {
    match addresses::replaced(&text, Which::Every, key) {
        Some(replaced) => Text::from(replaced),
        None => text,
    }
}
