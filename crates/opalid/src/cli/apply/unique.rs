//! JSON in which no object names a member twice (RFC 8259 §4 leaves open which counts): a document that says two things
//! says neither.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What was read, if nothing was said twice. The value itself is read elsewhere.
pub struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut names = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            // The name may be a secret that stands in the wrong place.
            if !names.insert(name) {
                return Err(A::Error::custom("a member is named twice in one object"));
            }
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_names_a_member_twice_is_refused_wherever_it_stands() {
        let read = |text: &str| serde_json::from_str::<Unique>(text).map(drop).map_err(|error| error.to_string());
        for good in ["{}", r#"{"a":{"b":[1,-1,1.5,true,null,"x",{"b":1}]},"b":{"a":1}}"#] {
            assert_eq!(read(good), Ok(()), "{good}");
        }
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(
                read(bad).is_err_and(|words| words.starts_with("a member is named twice in one object at line 1")),
                "{bad}"
            );
        }
    }
}
