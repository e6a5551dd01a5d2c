//! How many different callers there were: Apache DataSketches' HyperLogLog.
//!
//! With 2^9 registers the standard error is 4.6 %; up to some sixty values it keeps hashes instead, and is all but exact.
//! At most about 600 bytes.

use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Two to this power registers.
const REGISTERS_LG: u8 = 9;

/// A count of distinct values that can be merged.
#[derive(Clone, Default)]
pub(super) struct Distinct(Option<Box<HllSketch>>);

impl Distinct {
    /// Counts a value by its key.
    pub fn add(&mut self, key: u64) {
        if self.0.is_none() {
            // The number of registers is a valid one.
            self.0 = HllSketch::new(REGISTERS_LG, HllType::Hll8).ok().map(Box::new);
        }
        if let Some(sketch) = &mut self.0 {
            sketch.update(key);
        }
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Distinct) {
        let (Some(one), Some(other)) = (&self.0, &other.0) else {
            if self.0.is_none() {
                self.0.clone_from(&other.0);
            }
            return;
        };
        if let Ok(mut union) = HllUnion::new(REGISTERS_LG) {
            union.update(one);
            union.update(other);
            self.0 = Some(Box::new(union.to_sketch(HllType::Hll8)));
        }
    }

    /// About how many there were. The order in which they came takes no part.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |sketch| sketch.composite_estimate().round() as u64)
    }

    /// At most about what it takes, by what it holds and not by what was reserved, so that a restored one counts as much.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            None => 0,
            Some(_) if self.count() < 8 => 128,
            Some(_) => 640,
        }
    }
}

impl std::fmt::Debug for Distinct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "about {}", self.count())
    }
}

impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map(|sketch| sketch.serialize()).unwrap_or_default().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        if bytes.is_empty() {
            return Ok(Distinct(None));
        }
        let sketch = HllSketch::deserialize(&bytes).map_err(D::Error::custom)?;
        if sketch.lg_config_k() != REGISTERS_LG {
            return Err(D::Error::custom("a sketch of another size"));
        }
        Ok(Distinct(Some(Box::new(sketch))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(keys: impl IntoIterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        keys.into_iter().for_each(|key| distinct.add(key));
        distinct
    }

    proptest! {
        #[test]
        fn merging_is_counting_both(one in 0u64..3000, other in 0u64..3000, shift in 0u64..3000) {
            let (a, b) = (of(0..one), of(shift..shift + other));
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(&b);
            ba.merge(&a);
            prop_assert_eq!(ab.count(), ba.count());
            let all = of((0..one).chain(shift..shift + other)).count();
            prop_assert_eq!(ab.count(), all);
            let bytes = postcard::to_stdvec(&ab).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Distinct>(&bytes).unwrap().count(), all);
            prop_assert!(ab.0.is_none_or(|sketch| sketch.estimated_size() <= 640));
        }
    }

    #[test]
    fn few_are_counted_exactly_and_many_nearly() {
        for count in [0, 1, 7, 40] {
            assert_eq!(of(0..count).count(), count);
            assert_eq!(of((0..count).chain(0..count)).count(), count);
        }
        let many = of(0..100_000).count() as f64;
        assert!((many / 100_000.0 - 1.0).abs() < 3.0 * 0.046, "{many}");
    }
}
