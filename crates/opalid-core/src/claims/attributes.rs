//! What an operator knows of a person beyond the standard claims. Nobody is shown any of it unless a claim is declared.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, a whole number, yes or no, or a list of texts")]
pub enum Attribute {
    /// Yes or no.
    Truth(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
}

/// All of a person's, by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// The most attributes of one person, and texts in one list.
const MOST: usize = 64;
/// The longest text, in bytes.
const LONGEST: usize = 1024;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;
/// The most bytes of all names and texts of one person: whatever shows them is bounded by it.
const ALL_BYTES: usize = 64 * 1024;

/// Reads them, and says of which one is wrong what it can be.
pub(super) fn named<'de, D: Deserializer<'de>>(from: D) -> Result<Attributes, D::Error> {
    let all = BTreeMap::<String, Value>::deserialize(from)?;
    let read = |(name, value): (String, Value)| match Attribute::deserialize(value) {
        Ok(attribute) => Ok((name, attribute)),
        Err(wrong) => Err(D::Error::custom(format!("{name}: {wrong}"))),
    };
    all.into_iter().map(read).collect()
}

/// What is wrong with them, in words; `None` if nothing.
pub fn wrong_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.len() > MOST {
        return Some(format!("attributes: at most {MOST}"));
    }
    let wrong =
        attributes.iter().find_map(|(name, value)| Some(format!("attributes: {name}: {}", wrong(name, value)?)));
    let bytes = || attributes.iter().map(|(name, value)| name.len() + text_bytes(value)).sum::<usize>();
    wrong.or_else(|| match bytes() {
        ..=ALL_BYTES => None,
        bytes => Some(format!("attributes: names and texts have {bytes} bytes together; at most {ALL_BYTES} (64 KiB)")),
    })
}

fn texts(value: &Attribute) -> &[String] {
    match value {
        Attribute::Truth(_) | Attribute::Number(_) => &[],
        Attribute::Text(text) => std::slice::from_ref(text),
        Attribute::Texts(texts) => texts,
    }
}

fn text_bytes(value: &Attribute) -> usize {
    texts(value).iter().map(String::len).sum()
}

fn wrong(name: &str, value: &Attribute) -> Option<String> {
    if !is_attribute_name(name) {
        return Some(format!("a name has 1 to {LONGEST_NAME} of a-z A-Z 0-9 _ -"));
    }
    let texts = texts(value);
    let fits = texts.len() <= MOST && texts.iter().all(|text| text.len() <= LONGEST);
    (!fits).then(|| format!("at most {MOST} texts of {LONGEST} bytes each"))
}

/// Whether a person may have an attribute of this name.
pub fn is_attribute_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Attributes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_attribute_is_a_text_a_number_yes_or_no_or_a_list_of_texts() {
        let all = r#"{"a":"x","b":7,"c":true,"d":["x","y"]}"#;
        assert_eq!(serde_json::to_string(&read(all)).unwrap(), all);
        assert_eq!(wrong_attributes(&read(all)), None);
        for other in ["null", r#"{"b":1}"#, "[1]", "1.5"] {
            let json = format!(r#"{{"a":"x","b":{other}}}"#);
            let refused = named(&mut serde_json::Deserializer::from_str(&json)).unwrap_err().to_string();
            let words = "b: a text, a whole number, yes or no, or a list of texts";
            assert!(refused.starts_with(words), "{other}: {refused}");
        }
    }

    #[test]
    fn names_texts_and_numbers_of_them_are_bounded() {
        for bad in [
            r#"{"":"x"}"#.to_owned(),
            r#"{"a b":"x"}"#.into(),
            format!(r#"{{"{}":1}}"#, "x".repeat(65)),
            format!(r#"{{"a":"{}"}}"#, "x".repeat(1025)),
            serde_json::json!({ "a": vec!["x"; 65] }).to_string(),
        ] {
            assert!(wrong_attributes(&read(&bad)).is_some(), "{bad}");
        }
        let many = (0..65).map(|n| (format!("a{n}"), Attribute::Number(n))).collect();
        assert_eq!(wrong_attributes(&many).as_deref(), Some("attributes: at most 64"));
    }

    #[test]
    fn all_of_a_person_together_are_bounded() {
        let with = |last: usize| -> Attributes {
            let full = Attribute::Texts(vec!["x".repeat(1023); 64]);
            let rest = Attribute::Text("y".repeat(last));
            [("a".into(), full), ("b".into(), rest)].into()
        };
        assert_eq!(wrong_attributes(&with(62)), None);
        let words = "attributes: names and texts have 65537 bytes together; at most 65536 (64 KiB)";
        assert_eq!(wrong_attributes(&with(63)).as_deref(), Some(words));
    }
}
