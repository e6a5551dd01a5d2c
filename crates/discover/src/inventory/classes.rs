//! Which classes of data a parameter carries, and which consumers sent them.
//!
//! Two tell of a class: the collector, which replaced the value and says what it was, and for what stayed in clear
//! [`outrider_classify`], asked with the parameter's name and the words of the path. One value proves nothing: an order
//! number passes for a card's one time in ten. So values are counted, and a class is told as decided only where enough
//! values, of enough different ones, make a large enough share of all.
//!
//! Of which consumers sent a class only a few are kept for each endpoint, those with the most calls: at the limit the one with the
//! fewest makes room, and who comes in its place takes its count over, so that whoever sends much is among them in the
//! end (Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005).

use outrider_classify::{DataClass, Family};
use outrider_model::{ApiCall, ClassLocation};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::figures::Location;
use super::kind::ValueKind;
use super::settings::{Counters, Settings};
use super::shown::{Seen, So, merged};

/// Spreads the digits of a key.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes of a class's name. A longer one is none that a collector of ours would give.
const CLASS_BYTES_MAX: usize = 64;

/// Of a hundred values so many must be of a class that ids pass for.
const MISTAKABLE_PERCENT_MIN: u64 = 50;

/// Of a hundred values so many must be of a class that nothing else passes for: one of them stands in a text now and then.
const PLAIN_PERCENT_MIN: u64 = 1;

/// Of a class that may be one only: how sure each value was, in percent, in the mean.
const CONFIDENCE_PERCENT_MIN: u64 = 50;

/// Values of a class in one parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClassCount {
    pub class: Box<str>,
    /// In its `calls` the values.
    pub seen: Seen,
    /// Those that the collector replaced.
    pub replaced: u32,
    /// How sure each was, in percent, added up.
    pub percent_sum: u64,
    /// Different values, one of 64 bits each.
    pub distinct: u64,
}

/// The classes of one parameter.
pub(super) type Classes = Vec<ClassCount>;

/// How many values of a class a consumer sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClassSender {
    pub class: Box<str>,
    pub consumer: Box<str>,
    pub values: u64,
}

/// A value that is looked at.
pub(super) struct Looked<'v> {
    pub location: Location,
    /// Its place, as [`outrider_model::ClassSeen`] counts them.
    pub at: usize,
    pub name: &'v str,
    pub kind: ValueKind,
    pub text: &'v str,
    /// A key of the value.
    pub key: u64,
}

/// A class in a value: its name, how sure that is in percent, and whether the collector replaced it.
struct Told<'c> {
    class: &'c str,
    percent: u64,
    is_replaced: bool,
}

/// Whether a class is of data that is somebody's: all but what lets its bearer in and what names machines and objects.
pub(crate) fn is_sensitive(class: &str) -> bool {
    let family = DataClass::named(class).map(DataClass::family);
    matches!(family, Some(Family::Personal | Family::Payment | Family::Health | Family::Location))
}

pub(super) fn location_of(location: ClassLocation) -> Location {
    match location {
        ClassLocation::Path => Location::Path,
        ClassLocation::Query => Location::Query,
        ClassLocation::Header => Location::Header,
        ClassLocation::Field => Location::Field,
    }
}

/// The classes that a value of a call is of; `context` has the words of the path.
fn told<'c>(
    call: &'c ApiCall<'_>,
    value: &Looked<'_>,
    context: &[&str],
    settings: &'c Settings,
) -> SmallVec<[Told<'c>; 2]> {
    let here = call.exposure.classes.iter().filter(|seen| {
        location_of(seen.location) == value.location
            && usize::from(seen.at) == value.at
            && (1..=CLASS_BYTES_MAX).contains(&seen.class.len())
    });
    let mut all: SmallVec<[Told<'c>; 2]> =
        here.map(|seen| Told { class: &seen.class, percent: 100, is_replaced: true }).collect();
    match value.kind {
        ValueKind::Flag | ValueKind::Empty | ValueKind::Boolean | ValueKind::Hidden => {}
        ValueKind::Uuid => push(&mut all, DataClass::Uuid.as_str(), 100),
        _ => {
            for found in settings.classes.ready().classify(value.name, value.text, context) {
                push(&mut all, found.class.as_str(), (found.confidence * 100.0) as u64);
            }
        }
    }
    all
}

/// Adds a class that is not there yet; a value counts once for each.
fn push<'c>(all: &mut SmallVec<[Told<'c>; 2]>, class: &'c str, percent: u64) {
    if !all.iter().any(|known| known.class == class) {
        all.push(Told { class, percent, is_replaced: false });
    }
}

/// What a value added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// A class is new, or is decided now.
    pub is_new: bool,
    /// It is somebody's, as far as this value shows.
    pub is_sensitive: bool,
}

/// A call while the classes of its values are counted.
pub(super) struct Counting<'r, 'c> {
    pub call: &'r ApiCall<'c>,
    pub senders: &'r mut Vec<ClassSender>,
    /// The endpoint's calls, this one included.
    pub so: So,
    /// The parameter's values, this one included.
    pub values: u64,
    pub settings: &'r Settings,
    pub counters: &'r mut Counters,
}

impl Counting<'_, '_> {
    /// Counts the classes of a value, and who sent them; `context` has the words of the path.
    pub fn note(&mut self, classes: &mut Classes, value: &Looked<'_>, context: &[&str]) -> Added {
        let mut added = Added::default();
        for told in told(self.call, value, context, self.settings) {
            let at = match classes.iter().position(|known| *known.class == *told.class) {
                Some(at) => at,
                None if classes.len() >= self.settings.classes_per_parameter_max => {
                    self.counters.kinds_per_endpoint_max += 1;
                    continue;
                }
                None => {
                    classes.push(ClassCount::new(told.class));
                    added.is_new = true;
                    classes.len() - 1
                }
            };
            let count = &mut classes[at];
            let was_decided = count.is_decided(self.values, self.settings);
            count.seen.note(self.call.event_ms, self.so);
            count.replaced = count.replaced.saturating_add(u32::from(told.is_replaced));
            count.percent_sum += told.percent;
            count.distinct |= 1 << (value.key.wrapping_mul(SPREAD) >> 58);
            added.is_new |= !was_decided && count.is_decided(self.values, self.settings);
            if told.percent >= CONFIDENCE_PERCENT_MIN && is_sensitive(told.class) {
                added.is_sensitive = true;
                if let Some(consumer) = self.call.authenticated_consumer() {
                    note_sender(self.senders, told.class, &consumer.id, self.settings);
                }
            }
        }
        added
    }
}

fn note_sender(senders: &mut Vec<ClassSender>, class: &str, consumer: &str, settings: &Settings) {
    if let Some(known) = senders.iter_mut().find(|known| *known.class == *class && *known.consumer == *consumer) {
        known.values += 1;
        return;
    }
    let mut before = 0;
    if senders.iter().filter(|known| *known.class == *class).count() >= settings.senders_per_class_max {
        let of_class = senders.iter().enumerate().filter(|(_, known)| *known.class == *class);
        let Some(least) = of_class.min_by_key(|(at, known)| (known.values, *at)).map(|(at, _)| at) else { return };
        before = senders.remove(least).values;
    }
    senders.push(ClassSender { class: class.into(), consumer: consumer.into(), values: before + 1 });
}

/// Adds senders; at the limit those with the fewest calls are left out, ties by who they are.
pub(super) fn merge_senders(senders: &mut Vec<ClassSender>, others: Vec<ClassSender>, settings: &Settings) {
    for other in others {
        match senders.iter_mut().find(|known| known.class == other.class && known.consumer == other.consumer) {
            Some(known) => known.values += other.values,
            None => senders.push(other),
        }
    }
    senders.sort_unstable_by(|one, other| {
        one.class.cmp(&other.class).then(other.values.cmp(&one.values)).then_with(|| one.consumer.cmp(&other.consumer))
    });
    let mut of_class = 0;
    let mut class: Box<str> = Box::default();
    senders.retain(|sender| {
        if class != sender.class {
            class = sender.class.clone();
            of_class = 0;
        }
        of_class += 1;
        of_class <= settings.senders_per_class_max
    });
}

/// Adds the classes of two parameters that become one; at the limit the rarest are left out, ties by name.
pub(super) fn merge_classes(
    classes: &mut Classes,
    so: So,
    others: Classes,
    other_so: So,
    together: So,
    settings: &Settings,
    counters: &mut Counters,
) {
    let mut names: Vec<Box<str>> = classes.iter().chain(&others).map(|count| count.class.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let find = |counts: &Classes, name: &str| counts.iter().find(|count| *count.class == *name).cloned();
    let mut sum: Classes = Vec::with_capacity(names.len());
    for name in names {
        let (one, other) = (find(classes, &name), find(&others, &name));
        let seen = merged(
            one.as_ref().map(|count| (&count.seen, so)),
            other.as_ref().map(|count| (&count.seen, other_so)),
            together,
        );
        let Some(seen) = seen else { continue };
        let mut both = ClassCount { seen, ..ClassCount::new(&name) };
        for count in [one, other].into_iter().flatten() {
            both.replaced = both.replaced.saturating_add(count.replaced);
            both.percent_sum += count.percent_sum;
            both.distinct |= count.distinct;
        }
        sum.push(both);
    }
    sum.sort_by_key(|count| std::cmp::Reverse(count.seen.calls));
    counters.kinds_per_endpoint_max += sum.len().saturating_sub(settings.classes_per_parameter_max) as u64;
    sum.truncate(settings.classes_per_parameter_max);
    *classes = sum;
}

impl ClassCount {
    fn new(class: &str) -> ClassCount {
        ClassCount { class: class.into(), seen: Seen::new(), replaced: 0, percent_sum: 0, distinct: 0 }
    }

    /// How sure each value was, in the mean, in percent.
    pub fn percent(&self) -> u64 {
        self.percent_sum.checked_div(self.seen.calls).unwrap_or(0)
    }

    /// Whether the parameter carries the class, of so many values.
    pub fn is_decided(&self, values: u64, settings: &Settings) -> bool {
        let is_mistakable = DataClass::named(&self.class).is_some_and(DataClass::is_mistakable);
        let percent_min = if is_mistakable { MISTAKABLE_PERCENT_MIN } else { PLAIN_PERCENT_MIN };
        self.seen.calls >= settings.class_values_min.into()
            && self.distinct.count_ones() >= settings.class_distinct_min
            && self.percent() >= CONFIDENCE_PERCENT_MIN
            && self.seen.calls.saturating_mul(100) >= values.saturating_mul(percent_min)
    }

    pub fn heap_bytes(&self) -> usize {
        size_of::<ClassCount>() + self.class.len()
    }
}
