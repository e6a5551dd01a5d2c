//! Who and what weaknesses are about: names for people, and forgetting somebody.

use std::collections::BTreeSet;

use outrider_model::{EndpointId, EntityKind, GatewayConsumer, Subject, WeaknessId};

use super::callers::CredentialSeen;
use super::weakness::{ServiceKey, WeakSubject};
use super::{Posture, Scope};

impl Posture {
    /// The endpoints that it knows, by id.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointId> {
        self.index.keys().copied()
    }

    /// The service that a weakness was found at; none where it is a gateway's.
    pub fn service_of(&self, weakness: WeaknessId) -> Option<&ServiceKey> {
        match self.life.scope_of(weakness)? {
            Scope::Service(key) => Some(key),
            Scope::Gateway(_) => None,
        }
    }

    /// What people call a service: its name in the log, else in the gateway's configuration, else its id.
    pub fn service_name<'a>(&'a self, key: &'a ServiceKey) -> &'a str {
        let endpoints = self.places.get(key).into_iter().flat_map(|place| place.endpoints.values());
        let mut logged = endpoints.map(|facts| facts.endpoint.service_name.as_str()).filter(|name| !name.is_empty());
        let configured =
            || self.gateways.get(&key.gateway)?.configured.as_ref()?.service(&key.service)?.name.as_deref();
        logged.next().or_else(configured).unwrap_or(&key.service)
    }

    /// A consumer, as its gateway is configured.
    pub fn consumer(&self, gateway: &str, id: &str) -> Option<&GatewayConsumer> {
        let configured = self.gateways.get(gateway)?.configured.as_ref()?;
        configured.snapshot.configuration.consumers.iter().find(|consumer| consumer.id == id)
    }

    /// Forgets somebody, wherever they were (decision 24). As long as the gateway has them, its next configuration names them again.
    pub fn forget_subject(&mut self, subject: &Subject) {
        let mut credentials: BTreeSet<Box<str>> = BTreeSet::new();
        for gateway in self.gateways.values_mut() {
            let before = gateway.callers.len();
            match subject.kind {
                EntityKind::Consumer => {
                    gateway.callers.consumers.remove(&*subject.value);
                    let theirs = |seen: &CredentialSeen| seen.consumer.as_deref() == Some(&*subject.value);
                    let own = gateway.callers.credentials.extract_if(.., |_, seen| theirs(seen));
                    credentials.extend(own.map(|(id, _)| id));
                }
                EntityKind::Credential => drop(gateway.callers.credentials.remove(&*subject.value)),
                _ => return,
            }
            self.callers -= before - gateway.callers.len();
            if let Some(configured) = &mut gateway.configured {
                let all = &mut configured.snapshot.configuration;
                all.consumers.retain(|consumer| consumer.id != subject.value);
                let is_theirs =
                    |id: &str, consumer: Option<&str>| id == subject.value || consumer == Some(&subject.value);
                all.credentials.retain(|known| !is_theirs(&known.id, known.consumer_id.as_deref()));
            }
        }
        if subject.kind == EntityKind::Consumer {
            for facts in self.places.values_mut().flat_map(|place| place.endpoints.values_mut()) {
                facts.seen.class_senders.retain(|sender| sender.consumer != subject.value);
            }
        }
        let is_about = |about: &WeakSubject| match about {
            WeakSubject::Consumer { consumer, .. } => {
                subject.kind == EntityKind::Consumer && *consumer == subject.value
            }
            WeakSubject::Credential { credential, .. } => {
                credentials.contains(credential.as_str())
                    || subject.kind == EntityKind::Credential && *credential == subject.value
            }
            _ => false,
        };
        let known = self.life.weaknesses().map(|weakness| (weakness.id, &weakness.subject));
        let excepted = self.life.exceptions().map(|(id, exception)| (id, &exception.subject));
        let about: Vec<WeaknessId> =
            known.chain(excepted).filter(|(_, about)| is_about(about)).map(|(id, _)| id).collect();
        about.into_iter().for_each(|id| self.life.erase(id));
    }
}
