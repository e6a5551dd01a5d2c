//! What is kept of a key while it is unusual, so that a finding can be explained: who it is, sample calls, its peak.

use outrider_model::{ApiCall, EndpointId, EntityKey, SampleCall};
use serde::{Deserialize, Serialize};

use super::profile::KeyState;
use crate::detector::Observed;

/// Sample calls of a finding at most (see `Finding::samples`).
const SAMPLES_MAX: usize = 10;
/// A longer path is cut in a sample; the event itself has it whole.
const SAMPLE_PATH_BYTES_MAX: usize = 512;
/// Tags of a consumer at most; policies match on single tags, and Kong's own are few.
const TAGS_MAX: usize = 64;
/// Before any epoch.
const NEVER: i64 = i64::MIN / 2;

/// A key under watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    pub about: About,
    /// The actor's total, of the same evidence.
    pub total_key: u64,
    /// The trusted key of the same actor and endpoint, whose profile it is measured by; its own unless it is untrusted.
    pub profile_key: u64,
    /// The trusted total of the same actor.
    pub profile_total_key: u64,
    /// The population of the actor's total.
    pub total_population: u16,
    /// The most calls of a window in this epoch.
    pub peak: Peak,
    /// The newest event time taken in.
    pub newest_ms: i64,
    /// The call taken in last.
    pub last_number: u64,
    pub last_event_ms: i64,
    pub samples: Samples,
    /// So many calls from now it is worth looking again.
    pub calls_until_look: u32,
    /// The last epoch in which it was noted as unusually active, and whether it was in the one before that.
    elevated_epoch: i64,
    elevated_before: bool,
    /// The last epoch in which a finding was raised.
    pub raised_epoch: i64,
    /// The last epoch in which its calls had only moved here from the actor's other endpoints.
    pub shifted_epoch: i64,
}

/// Who and what a watch is about, as the findings say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct About {
    pub entity: EntityKey,
    pub endpoint: Option<EndpointId>,
    pub endpoint_name: String,
    pub service: Place,
    pub route: Place,
    pub consumer_tags: Vec<String>,
    pub consumer_custom_id: String,
    pub anonymous_consumer: bool,
    pub untrusted: bool,
}

/// A service or route: where all of the calls were, or empty when they were at several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    pub id: String,
    pub name: String,
}

/// The most calls of one window, and the call that completed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Peak {
    pub count: u32,
    pub burst: u32,
    pub failed: u32,
    /// The newest bucket of the window.
    pub head: u32,
    /// The completing call.
    pub number: u64,
    pub event_ms: i64,
    /// The newest event time in the window.
    pub newest_ms: i64,
}

/// Sample calls, evenly spread over all that came by: when ten are kept, every other one goes and twice as many are
/// passed over from then on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Samples {
    kept: Vec<SampleCall>,
    seen: u64,
    step_power: u8,
}

impl Watch {
    /// Begins to watch. `keys` are the total's, the profile's and the profile's total's.
    pub fn new(about: About, keys: [u64; 3], total_population: u16) -> Self {
        let [total_key, profile_key, profile_total_key] = keys;
        Watch {
            about,
            total_key,
            profile_key,
            profile_total_key,
            total_population,
            peak: Peak::default(),
            newest_ms: i64::MIN,
            last_number: 0,
            last_event_ms: 0,
            samples: Samples::default(),
            calls_until_look: 0,
            elevated_epoch: NEVER,
            elevated_before: false,
            raised_epoch: NEVER,
            shifted_epoch: NEVER,
        }
    }

    /// Takes a call in; the state counts it already.
    pub fn take(&mut self, state: &KeyState, observed: &Observed<'_, '_>) {
        let call = observed.call;
        self.newest_ms = self.newest_ms.max(call.event_ms);
        self.last_number = observed.number;
        self.last_event_ms = call.event_ms;
        self.about.service.keep_if_same(call.service.as_ref());
        self.about.route.keep_if_same(call.route.as_ref());
        self.samples.take(call);
        let count = state.window_count();
        if count > self.peak.count {
            self.peak = Peak {
                count,
                burst: state.burst_count(),
                failed: state.window_failed(),
                head: state.head(),
                number: observed.number,
                event_ms: call.event_ms,
                newest_ms: self.newest_ms,
            };
        }
    }

    /// It is unusually active in this epoch. Says whether that is news.
    pub fn note_elevated(&mut self, epoch: i64) -> bool {
        if self.elevated_epoch == epoch {
            return false;
        }
        self.elevated_before = self.elevated_epoch == epoch - 1;
        self.elevated_epoch = epoch;
        true
    }

    /// Whether it was noted as unusually active in this epoch, and in the one before.
    pub fn elevated_in(&self, epoch: i64) -> (bool, bool) {
        match epoch - self.elevated_epoch {
            0 => (true, self.elevated_before),
            1 => (false, true),
            _ => (false, false),
        }
    }

    /// A new epoch begins for it.
    pub fn begin_epoch(&mut self) {
        self.peak = Peak::default();
        self.calls_until_look = 0;
    }

    /// About how much memory it takes.
    pub fn memory_bytes(&self) -> usize {
        let about = &self.about;
        let places = [&about.service, &about.route].map(|place| place.id.len() + place.name.len());
        let tags: usize = about.consumer_tags.iter().map(|tag| tag.len() + 24).sum();
        let entity = &about.entity;
        let names = entity.gateway.len() + entity.workspace.len() + entity.value.len() + entity.label.len();
        std::mem::size_of::<Self>() + places.iter().sum::<usize>() + tags + names + self.samples.memory_bytes()
    }
}

impl About {
    pub fn of(observed: &Observed<'_, '_>, entity: EntityKey, of_endpoint: bool, untrusted: bool) -> Self {
        let call = observed.call;
        let consumer = call.authenticated_consumer();
        About {
            entity,
            endpoint: observed.endpoint.filter(|_| of_endpoint),
            endpoint_name: if of_endpoint { observed.endpoint_name.to_owned() } else { String::new() },
            service: Place::of(call.service.as_ref()),
            route: Place::of(call.route.as_ref()),
            consumer_tags: consumer
                .map(|c| c.tags.iter().take(TAGS_MAX).map(|tag| tag.to_string()).collect())
                .unwrap_or_default(),
            consumer_custom_id: consumer.map(|c| c.custom_id.to_string()).unwrap_or_default(),
            anonymous_consumer: call.anonymous_consumer,
            untrusted,
        }
    }
}

impl Place {
    fn of(named: Option<&outrider_model::Named<'_>>) -> Self {
        named.map(|n| Place { id: n.id.to_string(), name: n.name.to_string() }).unwrap_or_default()
    }

    fn keep_if_same(&mut self, named: Option<&outrider_model::Named<'_>>) {
        if !self.id.is_empty() && named.is_none_or(|n| n.id != self.id.as_str()) {
            *self = Place::default();
        }
    }
}

impl Samples {
    fn take(&mut self, call: &ApiCall<'_>) {
        let index = self.seen;
        self.seen += 1;
        if !index.is_multiple_of(1 << self.step_power) {
            return;
        }
        if self.kept.len() == SAMPLES_MAX {
            let mut place = 0;
            self.kept.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.step_power += 1;
            if !index.is_multiple_of(1 << self.step_power) {
                return;
            }
        }
        self.kept.push(SampleCall {
            request_id: call.request_id.to_string(),
            event_ms: call.event_ms,
            method: call.method.to_string(),
            path: cut(&call.path, SAMPLE_PATH_BYTES_MAX),
            status: call.status,
        });
    }

    fn memory_bytes(&self) -> usize {
        let texts = |sample: &SampleCall| sample.request_id.len() + sample.method.len() + sample.path.len();
        self.kept.iter().map(|sample| std::mem::size_of::<SampleCall>() + texts(sample)).sum()
    }

    /// Hands the samples over, oldest first, and begins anew.
    pub fn drain(&mut self) -> Vec<SampleCall> {
        let mut kept = std::mem::take(self).kept;
        kept.sort_by_key(|sample| sample.event_ms);
        kept
    }
}

fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max - '…'.len_utf8()).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::request_spike::testing::call;

    #[test]
    fn samples_stay_few_and_evenly_spread() {
        let mut samples = Samples::default();
        for number in 0..1000 {
            samples.take(&call("alice", number * 10));
        }
        let times: Vec<i64> = samples.drain().iter().map(|sample| sample.event_ms / 10).collect();
        assert!((5..=10).contains(&times.len()), "{times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 128), "{times:?}");
        assert_eq!(samples, Samples::default());
    }

    #[test]
    fn a_long_path_is_cut_at_a_character() {
        assert_eq!(cut("/short", 512), "/short");
        let long = cut(&"é".repeat(600), 512);
        assert!(long.len() <= 512 && long.ends_with('…'), "{}", long.len());
    }
}
