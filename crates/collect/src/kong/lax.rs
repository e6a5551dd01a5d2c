//! Values that may have another type than they should: read where possible, absent where not, never an error.

use std::fmt;
use std::marker::PhantomData;

use outrider_model::Text;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Visits every type but a map and a sequence with one answer.
macro_rules! scalars_give {
    ($answer:expr) => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("any value")
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($answer)
        }
    };
}

pub(crate) use scalars_give;

/// Visits every type but a map and a sequence: what each is as a text goes to `self.add`. Null is nothing.
macro_rules! scalars_add {
    () => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("any value")
        }

        fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
            self.add(Text::from(value));
            Ok(())
        }

        fn visit_str<E>(self, value: &str) -> Result<(), E> {
            self.add(Text::from(value.to_owned()));
            Ok(())
        }

        fn visit_bool<E>(self, value: bool) -> Result<(), E> {
            self.add(Text::from(if value { "true" } else { "false" }));
            Ok(())
        }

        fn visit_i64<E>(self, value: i64) -> Result<(), E> {
            self.add(Text::from(value.to_string()));
            Ok(())
        }

        fn visit_u64<E>(self, value: u64) -> Result<(), E> {
            self.add(Text::from(value.to_string()));
            Ok(())
        }

        fn visit_f64<E>(self, value: f64) -> Result<(), E> {
            self.add(Text::from(value.to_string()));
            Ok(())
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
    };
}

pub(crate) use scalars_add;

/// Reads the rest of a map, so that the parser stands behind it.
pub(crate) fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Reads the rest of a sequence, so that the parser stands behind it.
pub(crate) fn drain_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// An object read as `T`; anything else is the default.
#[derive(Default)]
pub(crate) struct Lax<T>(pub(crate) T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Lax<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Any<T> {
            type Value = Lax<T>;

            scalars_give!(Lax(T::default()));

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Lax)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                drain_seq(seq)?;
                Ok(Lax(T::default()))
            }
        }

        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// The first `MAX` elements of a sequence. Anything else has no element, an object too: so old Kongs write an empty table.
pub(crate) struct Bounded<T, const MAX: usize>(pub(crate) Vec<T>);

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Bounded(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Any<T, MAX> {
            type Value = Bounded<T, MAX>;

            scalars_give!(Bounded::default());

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while values.len() < MAX {
                    match seq.next_element()? {
                        Some(value) => values.push(value),
                        None => return Ok(Bounded(values)),
                    }
                }
                drain_seq(seq)?;
                Ok(Bounded(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                drain_map(map)?;
                Ok(Bounded::default())
            }
        }

        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// A text; a number is written out, the first element of an array stands for the array, anything else is empty.
#[derive(Default)]
pub(crate) struct LaxText<'a>(pub(crate) Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for LaxText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = LaxText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(LaxText(Text::from(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(LaxText(Text::from(value.to_owned())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(LaxText(Text::from(value.to_string())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(LaxText(Text::from(value.to_string())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(LaxText(Text::from(value.to_string())))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(LaxText::default())
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(LaxText::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let first = seq.next_element::<LaxText<'de>>()?;
                drain_seq(seq)?;
                Ok(first.unwrap_or_default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                drain_map(map)?;
                Ok(LaxText::default())
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// A whole number, possibly written as a text (sizes in Kong 2.0) or with a fraction; anything else is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Int(Option<i64>);

impl Int {
    pub(crate) fn value(self) -> Option<i64> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Int;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Int(Some(value)))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Int(i64::try_from(value).ok()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                // Beyond 2^53 a float is no longer a whole number that somebody meant.
                Ok(Int((value.abs() <= 9_007_199_254_740_992.0).then_some(value as i64)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Int(value.trim().parse().ok()))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Int(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Int(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                drain_seq(seq)?;
                Ok(Int(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                drain_map(map)?;
                Ok(Int(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
