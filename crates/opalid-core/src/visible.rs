//! Texts from outside as people are shown them: nothing in them moves a cursor, ends a line, turns it round or hides.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Whether a character is nothing to see: control and format characters (those that turn a text round among them),
/// separators of lines and paragraphs, and what Unicode says to show as nothing.
pub fn is_hidden(character: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    // Default_Ignorable_Code_Point, as far as the categories leave any; and an empty pattern of Braille.
    let shown_as_nothing = matches!(
        character,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2065}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    shown_as_nothing || matches!(character.general_category(), Control | Format | LineSeparator | ParagraphSeparator)
}

/// A text with what is hidden in it spelled out.
pub fn spelled_out(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.into();
    }
    let spelled = |c: char| if is_hidden(c) { c.escape_default().collect() } else { String::from(c) };
    text.chars().map(spelled).collect()
}

/// A JSON text with what is hidden in its strings escaped (RFC 8259 §7), so that it means the same and can be looked at.
/// Between its values it has nothing hidden but ends of lines.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !is_hidden(character) {
            escaped.push(character);
        } else {
            let units = &mut [0; 2];
            escaped.extend(character.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    escaped.into()
}

/// A text within a sentence of ours: between quotation marks that do not stand in it, cut after `most` characters, and
/// with what is hidden in it spelled out.
pub fn quoted(text: &str, most: usize) -> String {
    let (text, cut) = match text.char_indices().nth(most) {
        Some((at, _)) => (text.get(..at).unwrap_or_default(), format!("… ({} bytes)", text.len())),
        None => (text, String::new()),
    };
    let marked = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"{cut}", spelled_out(&marked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_spelled_out_and_all_else_is_as_it_was() {
        assert_eq!(spelled_out("Jürgen Straße 山田 עברית \"\\"), "Jürgen Straße 山田 עברית \"\\");
        let hidden =
            "\u{1b}[2J\n\r\t\u{7f}\u{9b}\u{ad}\u{200b}\u{200f}\u{202e}\u{2066}\u{2028}\u{2029}\u{feff}\u{e0041}";
        let spelled = spelled_out(hidden);
        assert!(spelled.is_ascii() && !spelled.chars().any(is_hidden), "{spelled}");
        let shown_as_nothing = "\u{34f}\u{115f}\u{1160}\u{2800}\u{3164}\u{fe00}\u{fe0f}\u{ffa0}\u{e0100}\u{e01ef}";
        assert!(spelled_out(shown_as_nothing).is_ascii());
        assert!(spelled.starts_with("\\u{1b}[2J\\n\\r\\t\\u{7f}") && spelled.contains("\\u{202e}"), "{spelled}");
    }

    #[test]
    fn json_means_the_same_when_what_is_hidden_in_it_is_escaped() {
        let value = serde_json::json!({ "a\u{9b}": "é \u{202e}\u{3164}\u{e0041}\u{e0100}\u{7f}\n", "b": ["\u{2028}"] });
        for json in [value.to_string(), format!("{value:#}\n")] {
            let escaped = escaped_json(&json);
            assert!(!escaped.chars().any(|c| c != '\n' && is_hidden(c)) && escaped.contains("é"), "{escaped}");
            assert!(escaped.contains(r"\u202e\u3164\udb40\udc41\udb40\udd00\u007f\n"), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }

    #[test]
    fn a_quotation_ends_where_its_text_ends() {
        assert_eq!(quoted("a", 3), "\"a\"");
        assert_eq!(quoted("a\". b\\", 9), "\"a\\\". b\\\\\"");
        assert_eq!(quoted("üüü\n", 2), "\"üü\"… (7 bytes)");
        assert_eq!(quoted("\u{202e}", 2), "\"\\u{202e}\"");
    }
}
