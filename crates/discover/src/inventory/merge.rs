//! Two endpoints become one: counts add, sketches merge (decision 14).
//!
//! Which of the two came first takes no part, but for the id.

use smallvec::SmallVec;

use super::classes::{merge_classes, merge_senders};
use super::parameter::{Parameter, Values};
use super::profile::{AuthSeen, Counts, Profile};
use super::settings::{Counters, Settings};
use super::shown::So;

impl Profile {
    /// Adds what another has seen. Its id stays, and its template where it has one.
    pub fn merge(&mut self, other: Profile, settings: &Settings, counters: &mut Counters) {
        let (so, other_so) = (self.so(), other.so());
        self.calls += other.calls;
        self.known += other.known;
        let together = self.so();
        self.shown.merge(so, &other.shown, other_so, together);
        merge_senders(&mut self.senders, other.senders, settings);
        self.read += other.read;
        self.read_ok += other.read_ok;
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        let kinds_max = settings.kinds_per_endpoint_max;
        merge_counts(&mut self.statuses, other.statuses, kinds_max, counters);
        merge_counts(&mut self.media_types, other.media_types, kinds_max, counters);
        merge_counts(&mut self.routes, other.routes, kinds_max, counters);
        merge_auth(&mut self.auth, other.auth);
        self.carrier = match (self.carrier.take(), other.carrier) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.consumers.merge(&other.consumers);
        self.request_bytes.merge(&other.request_bytes);
        self.response_bytes.merge(&other.response_bytes);
        self.latency_ms.merge(&other.latency_ms);
        let sos = [so, other_so, together];
        merge_parameters(&mut self.parameters, other.parameters, sos, settings, counters);
        if self.template.is_empty() {
            self.template = other.template;
        }
        self.drop_other_path_parameters();
        self.bytes = self.heap_bytes();
    }
}

/// Adds counts; at the limit the rarest are left out, ties by what they are.
fn merge_counts<T: Ord>(seen: &mut Counts<T>, others: Counts<T>, kinds_max: usize, counters: &mut Counters) {
    for other in others {
        match seen.iter_mut().find(|known| known.what == other.what) {
            Some(known) => known.calls += other.calls,
            None => seen.push(other),
        }
    }
    seen.sort_unstable_by(|one, other| other.calls.cmp(&one.calls).then_with(|| one.what.cmp(&other.what)));
    counters.kinds_per_endpoint_max += seen.len().saturating_sub(kinds_max) as u64;
    seen.truncate(kinds_max);
}

fn merge_auth(seen: &mut SmallVec<[AuthSeen; 2]>, others: SmallVec<[AuthSeen; 2]>) {
    for other in others {
        match seen.iter_mut().find(|known| known.kind == other.kind) {
            Some(known) => {
                known.calls += other.calls;
                known.calls_ok += other.calls_ok;
            }
            None => seen.push(other),
        }
    }
    seen.sort_unstable_by_key(|seen| seen.kind);
}

/// Adds parameters by location and name; at the limit those that are weak and rare are left out first.
/// `sos` are the calls of one endpoint, of the other, and of both.
fn merge_parameters(
    seen: &mut Vec<Parameter>,
    others: Vec<Parameter>,
    sos: [So; 3],
    settings: &Settings,
    counters: &mut Counters,
) {
    let [so, other_so, together] = sos;
    let alone = |parameter: &mut Parameter, so: So, counters: &mut Counters| {
        merge_classes(&mut parameter.classes, so, Vec::new(), so, together, settings, counters);
    };
    for parameter in &mut *seen {
        if !others.iter().any(|other| other.is(parameter.location, &parameter.name)) {
            alone(parameter, so, counters);
        }
    }
    for mut other in others {
        match seen.iter_mut().find(|known| known.is(other.location, &other.name)) {
            Some(known) => {
                let classes = std::mem::take(&mut other.classes);
                merge_classes(&mut known.classes, so, classes, other_so, together, settings, counters);
                known.merge(other, settings);
            }
            None => {
                alone(&mut other, other_so, counters);
                seen.push(other);
            }
        }
    }
    let order = |parameter: &Parameter| {
        (parameter.is_weak(), std::cmp::Reverse((parameter.calls, parameter.last_ms)), parameter.location)
    };
    seen.sort_unstable_by(|one, other| order(one).cmp(&order(other)).then_with(|| one.name.cmp(&other.name)));
    let max = settings.parameters_per_endpoint_max;
    counters.parameters_per_endpoint_max += seen.len().saturating_sub(max) as u64;
    seen.truncate(max);
}

impl Parameter {
    fn merge(&mut self, other: Parameter, settings: &Settings) {
        self.calls = self.calls.saturating_add(other.calls);
        self.calls_ok = self.calls_ok.saturating_add(other.calls_ok);
        self.repeated = self.repeated.saturating_add(other.repeated);
        for (count, other) in self.kinds.iter_mut().zip(other.kinds) {
            *count = count.saturating_add(other);
        }
        self.range = match (self.range, other.range) {
            (Some((least, most)), Some((other_least, other_most))) => {
                Some((least.min(other_least), most.max(other_most)))
            }
            (one, other) => one.or(other),
        };
        self.actors |= other.actors;
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        let (Values::Few(values), Values::Few(others)) = (&mut self.values, other.values) else {
            self.hide_values();
            return;
        };
        for other in others {
            match values.binary_search_by(|value| value.text.cmp(&other.text)) {
                Ok(at) => {
                    values[at].calls = values[at].calls.saturating_add(other.calls);
                    values[at].actors |= other.actors;
                }
                Err(at) => values.insert(at, other),
            }
        }
        if values.len() > settings.values_per_parameter_max {
            self.hide_values();
        }
    }
}
