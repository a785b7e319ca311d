//! A user: the account whose `sub` clients see.

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use crate::claims::StandardClaims;
use crate::grant::Epoch;
use crate::ids::{RoleId, UserId, WorkspaceId};
use crate::visible::is_hidden;

/// A user as every check of a token needs it.
#[derive(Debug, Clone)]
pub struct User {
    /// Its row, and its subject.
    pub id: UserId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// What the person types to sign in.
    pub username: String,
    /// Bumped to kill everything of theirs: suspension, deletion, recovery.
    pub epoch: Epoch,
    /// Bumped to end sessions and what is bound to them: password changed, signed out everywhere.
    pub credentials: Epoch,
    /// Whether the account is in service.
    pub enabled: bool,
    /// Whether the user administers the workspace.
    pub admin: bool,
    /// What is known of the person (OpenID Core §5.1).
    pub claims: StandardClaims,
    /// The roles they hold; one of them may be gone.
    pub roles: Vec<RoleId>,
}

/// The most bytes of a username, and of its key.
const MAX_BYTES: usize = 255;

/// A username that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a username has 1 to {MAX_BYTES} bytes, no blanks at its ends, and only characters that can be seen and leave the \
     direction of the text alone"
)]
pub struct BadUsername;

/// The form of `username` under which it is unique: whatever Unicode takes for the same letters (NFKC) is the same
/// name, in capitals or not. Letters of different scripts that look alike are different names.
pub fn username_key(username: &str) -> Result<String, BadUsername> {
    let bad = |text: &str| text.is_empty() || text.len() > MAX_BYTES || text.trim() != text;
    if bad(username) || !username.chars().all(is_seen) {
        return Err(BadUsername);
    }
    let key = folded(username);
    // What looks like one letter may be a blank with a mark on it.
    if bad(&key) { Err(BadUsername) } else { Ok(key) }
}

/// Twice, since the capital of what came of the first time may fall apart again. Up and down, so that letters with
/// the same capital meet, as ß and SS do.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let once = |text: &str| -> String {
        let lower = text.nfkd().flat_map(char::to_lowercase);
        lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
    };
    once(&once(text))
}

/// Whether a character can be seen and means something by itself: no control or format character, nothing that is
/// private or not assigned, and none of the letters and marks that Unicode says to show as nothing.
fn is_seen(character: char) -> bool {
    use GeneralCategory::{PrivateUse, Surrogate, Unassigned};
    let unknown = matches!(character.general_category(), PrivateUse | Surrogate | Unassigned);
    !is_hidden(character) && !unknown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(username: &str) -> String {
        username_key(username).unwrap_or_else(|bad| panic!("{username:?}: {bad}"))
    }

    #[test]
    fn ascii_names_are_unique_in_lower_case_and_otherwise_as_they_are() {
        let printable: String = (' '..='~').collect();
        assert_eq!(key(printable.trim()), printable.trim().to_lowercase());
        assert_eq!(key("Alice.O'Neil+x@mail.example"), "alice.o'neil+x@mail.example");
    }

    #[test]
    fn names_that_unicode_takes_for_the_same_are_one() {
        for (one, other) in [
            ("J\u{fc}rgen", "ju\u{308}rgen"),
            ("Stra\u{df}e", "STRASSE"),
            ("Stra\u{1e9e}e", "strasse"),
            ("\u{fb01}nn", "FINN"),
            ("\u{ff21}lice", "alice"),
            ("al\u{2170}ce", "alice"),
            ("\u{212a}arl", "karl"),
            ("\u{3c3}\u{3bf}\u{3c2}", "\u{3a3}\u{39f}\u{3a3}"),
            ("\u{1fb3}", "\u{391}\u{399}"),
            ("a\u{a0}b", "a b"),
        ] {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        assert_ne!(key("alice"), key("\u{430}lice"), "another script is another name");
        assert_ne!(key("jurgen"), key("j\u{fc}rgen"));
    }

    #[test]
    fn what_cannot_be_seen_or_turns_the_text_is_no_name() {
        let unseen = "\0\t\n\u{7f}\u{85}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\
                      \u{202a}\u{202d}\u{202e}\u{2060}\u{2066}\u{2069}\u{3164}\u{e000}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{e0001}\
                      \u{e0041}\u{e0100}\u{378}\u{10ffff}";
        for character in unseen.chars() {
            for name in [format!("al{character}ice"), format!("{character}alice"), format!("alice{character}")] {
                assert_eq!(username_key(&name), Err(BadUsername), "{name:?}");
            }
        }
        for name in ["", " ", " alice", "alice ", "\u{3000}alice", "\u{b4}alice"] {
            assert_eq!(username_key(name), Err(BadUsername), "{name:?}");
        }
        for name in
            ["\u{645}\u{62d}\u{645}\u{62f}", "\u{5d3}\u{5df}", "\u{738b}\u{5c0f}\u{660e}", "na\u{ef}ve \u{1f984}"]
        {
            assert!(username_key(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_name_and_its_key_are_bounded() {
        assert!(username_key(&"x".repeat(255)).is_ok());
        assert_eq!(username_key(&"x".repeat(256)), Err(BadUsername));
        assert_eq!(username_key(&"\u{fdfa}".repeat(20)), Err(BadUsername), "each one is eighteen characters");
    }

    #[test]
    fn a_key_is_its_own_key_and_that_of_every_spelling_for_every_character() {
        // Left out, as they have one form: unified ideographs, and all but the first of the Hangul syllables.
        let many =
            ['\u{3401}'..='\u{4dbf}', '\u{4e01}'..='\u{9fff}', '\u{ac10}'..='\u{d7a3}', '\u{20001}'..='\u{2f7ff}'];
        let few = (char::MIN..=char::MAX).filter(|character| !many.iter().any(|many| many.contains(character)));
        for character in few.filter(|character| is_seen(*character)) {
            let name = format!("x{character}x");
            let key = folded(&name);
            let spellings = [key.clone(), name.to_lowercase(), name.to_uppercase()];
            let forms = [name.nfc().collect(), name.nfd().collect(), name.nfkc().collect(), name.nfkd().collect()];
            for spelling in spellings.into_iter().chain::<[String; 4]>(forms) {
                assert_eq!(folded(&spelling), key, "{name:?} {spelling:?}");
            }
            assert!(key.chars().all(is_seen), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_that_of_every_spelling(name in "[a-zA-Z\u{e0}-\u{17f}\u{300}-\u{34e}\u{370}-\u{377}\u{386}-\u{3ff}\u{1f00}-\u{1f15}\u{1e00}-\u{1eff}\u{1100}-\u{1112}\u{1161}-\u{1175}]{1,8}") {
            let key = folded(&name);
            prop_assert_eq!(&folded(&key), &key);
            prop_assert_eq!(folded(&name.nfd().collect::<String>()), key.as_str());
            prop_assert_eq!(folded(&name.nfkc().collect::<String>()), key.as_str());
            prop_assert_eq!(folded(&name.nfd().collect::<String>().to_uppercase()), key.as_str());
        }
    }
}
