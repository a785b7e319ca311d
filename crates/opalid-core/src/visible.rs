//! Texts from outside as people are shown them: nothing in them moves a cursor, ends a line, turns it round or hides.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Whether a character is nothing to see: control and format characters (those that turn a text round among them), and
/// separators of lines and paragraphs.
pub fn is_hidden(character: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    matches!(character.general_category(), Control | Format | LineSeparator | ParagraphSeparator)
}

/// A text with what is hidden in it spelled out.
pub fn spelled_out(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.into();
    }
    let spelled = |c: char| if is_hidden(c) { c.escape_default().collect() } else { String::from(c) };
    text.chars().map(spelled).collect()
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
        assert!(spelled.starts_with("\\u{1b}[2J\\n\\r\\t\\u{7f}") && spelled.contains("\\u{202e}"), "{spelled}");
    }

    #[test]
    fn a_quotation_ends_where_its_text_ends() {
        assert_eq!(quoted("a", 3), "\"a\"");
        assert_eq!(quoted("a\". b\\", 9), "\"a\\\". b\\\\\"");
        assert_eq!(quoted("üüü\n", 2), "\"üü\"… (7 bytes)");
        assert_eq!(quoted("\u{202e}", 2), "\"\\u{202e}\"");
    }
}
