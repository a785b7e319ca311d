//! JSON objects of the hot paths, written member by member.
//!
//! Holds: what is written is what serde_json would write. A text without anything to escape, which is nearly every one,
//! is copied as it is; looking at each byte in turn costs more than all the rest of an answer.

use std::io::Write;

use serde_json::Value;

/// How long an answer is at most, but for few.
const USUAL: usize = 640;

/// An object under way. Names are plain: letters and underscores.
pub struct JsonObject(Vec<u8>);

impl JsonObject {
    /// An object without members yet.
    pub fn begin() -> Self {
        let mut text = Vec::with_capacity(USUAL);
        text.push(b'{');
        Self(text)
    }

    /// A member that is true.
    pub fn is(&mut self, name: &'static str) -> &mut Self {
        self.named(name);
        self.0.extend_from_slice(b"true");
        self
    }

    /// A text.
    pub fn text(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.named(name);
        write_text(&mut self.0, value);
        self
    }

    /// A text, if there is one.
    pub fn text_if(&mut self, name: &'static str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// Texts.
    pub fn texts(&mut self, name: &'static str, values: &[&str]) -> &mut Self {
        self.named(name);
        self.0.push(b'[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            write_text(&mut self.0, value);
        }
        self.0.push(b']');
        self
    }

    /// A whole number.
    pub fn number(&mut self, name: &'static str, value: i64) -> &mut Self {
        self.named(name);
        // Writing to a Vec cannot fail.
        _ = write!(self.0, "{value}");
        self
    }

    /// Any value, under a name that may need escaping.
    pub fn value(&mut self, name: &str, value: &Value) -> &mut Self {
        self.0.extend_from_slice(if self.0.ends_with(b"{") { b"" } else { b"," });
        write_text(&mut self.0, name);
        self.0.push(b':');
        // Writing to a Vec cannot fail, nor can a value.
        _ = serde_json::to_writer(&mut self.0, value);
        self
    }

    /// The object, whole.
    pub fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn named(&mut self, name: &'static str) {
        self.0.extend_from_slice(if self.0.ends_with(b"{") { b"\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

/// Objects in a row.
pub struct JsonArray(Vec<u8>);

impl JsonArray {
    /// None yet.
    pub fn begin() -> Self {
        Self(vec![b'['])
    }

    /// One more.
    pub fn object(&mut self, object: JsonObject) {
        self.next();
        self.0.extend_from_slice(&object.end());
    }

    /// One more, as it is to be written.
    pub fn raw(&mut self, object: &'static str) {
        self.next();
        self.0.extend_from_slice(object.as_bytes());
    }

    /// How long they are by now.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// All of them, the only member of an object.
    pub fn end(mut self, name: &'static str) -> Vec<u8> {
        self.0.extend_from_slice(b"]}");
        [b"{\"", name.as_bytes(), b"\":", &self.0].concat()
    }

    fn next(&mut self) {
        if !self.0.ends_with(b"[") {
            self.0.push(b',');
        }
    }
}

fn write_text(to: &mut Vec<u8>, text: &str) {
    // Without an early end, so that many bytes are looked at in one instruction.
    let escapes = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |any, byte| any | escapes(byte)) {
        // Writing to a Vec cannot fail, nor can a text.
        _ = serde_json::to_writer(to, text);
        return;
    }
    to.push(b'"');
    to.extend_from_slice(text.as_bytes());
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_what_serde_json_would_write() {
        let mut awkward: Vec<String> = (0..=0x7f_u8).map(|byte| format!("a{}b", char::from(byte))).collect();
        awkward.extend(["", "ä", "\u{2028}", "💙", "read write", "</script>", "\\u0000", "a\"b\\c\n"].map(Into::into));
        for text in &awkward {
            let mut object = JsonObject::begin();
            object
                .is("active")
                .text("sub", text)
                .text_if("scope", Some(text))
                .text_if("jti", None)
                .texts("aud", &[text, "x"]);
            object.number("exp", i64::MIN).texts("none", &[]);
            let written = String::from_utf8(object.end()).unwrap();
            let (text, pair) = (serde_json::to_string(text).unwrap(), serde_json::to_string(&[text, "x"]).unwrap());
            let expected =
                format!(r#"{{"active":true,"sub":{text},"scope":{text},"aud":{pair},"exp":{},"none":[]}}"#, i64::MIN);
            assert_eq!(written, expected);
            assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
        }
    }

    #[test]
    fn an_object_may_begin_with_a_brace() {
        let mut object = JsonObject::begin();
        object.text("a", "{").text("b", "x{").number("c", 600);
        let written: serde_json::Value = serde_json::from_slice(&object.end()).unwrap();
        assert_eq!(written, json!({"a": "{", "b": "x{", "c": 600}));
        assert_eq!(JsonObject::begin().end(), b"{}");
    }
}
