//! Passwords as people type them, and which ones may be chosen.
//!
//! The policy is NIST SP 800-63B's: length and a list of the most common ones, no rules about characters.
//! Holds: a `Password` is wiped when its last copy goes, and is never printed or compared as text; only
//! `ChosenPassword::new` makes what may be stored.

use std::sync::Arc;

use zeroize::Zeroizing;

/// The most bytes a password may have: far beyond any passphrase, and little to hash.
pub const MAX_BYTES: usize = 1024;
/// The fewest characters (NIST SP 800-63B §3.1.1.2).
pub const MIN_CHARACTERS: usize = 8;

/// The most common passwords of eight characters and more, as leaks show them, in lower case.
const COMMON: &str = include_str!("common_passwords.txt");

/// A password as it was typed. Clones share one text.
#[derive(Clone)]
pub struct Password(Arc<Zeroizing<String>>);

impl Password {
    /// Takes over `text`, to be wiped after use.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why a password may not be chosen, in words for the person who chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// Fewer than eight characters.
    #[error("Use at least 8 characters. A few words that only you would put together work well.")]
    TooShort,
    /// More than 1,024 bytes.
    #[error("Use at most 1,024 characters.")]
    TooLong,
    /// The user's own name.
    #[error("The password must not be your user name.")]
    IsUsername,
    /// One of the most common ones.
    #[error("This is one of the most common passwords and would be guessed first. Choose another one.")]
    Common,
}

/// A password that the policy allows for its user: the only kind that is given a hash of its own.
pub struct ChosenPassword(Password);

impl ChosenPassword {
    /// Checks `password` for the user of that name.
    pub fn new(password: Password, username: &str) -> Result<Self, PasswordRefused> {
        let text: &str = &password.0;
        if text.len() > MAX_BYTES {
            return Err(PasswordRefused::TooLong);
        }
        if text.chars().count() < MIN_CHARACTERS {
            return Err(PasswordRefused::TooShort);
        }
        let lower = Zeroizing::new(text.to_lowercase());
        if *lower == username.to_lowercase() {
            return Err(PasswordRefused::IsUsername);
        }
        if COMMON.lines().any(|common| common == lower.as_str()) {
            return Err(PasswordRefused::Common);
        }
        Ok(Self(password))
    }

    pub(super) fn password(&self) -> &Password {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<PasswordRefused> {
        ChosenPassword::new(Password::new(text.into()), "margarete").err()
    }

    #[test]
    fn eight_characters_are_enough_and_seven_are_not() {
        assert_eq!(refused("qpwoeiru"), None);
        assert_eq!(refused("qpwoeir"), Some(PasswordRefused::TooShort));
        assert_eq!(refused("äöüßäöü"), Some(PasswordRefused::TooShort), "characters count, not bytes");
        assert_eq!(refused("äöüßäöüß"), None);
    }

    #[test]
    fn a_password_has_at_most_1024_bytes() {
        assert_eq!(refused(&"x".repeat(1024)), None);
        assert_eq!(refused(&"x".repeat(1025)), Some(PasswordRefused::TooLong));
    }

    #[test]
    fn the_user_name_is_no_password_in_any_case_of_letters() {
        assert_eq!(refused("Margarete"), Some(PasswordRefused::IsUsername));
        assert_eq!(refused("Margarete!"), None);
    }

    #[test]
    fn the_most_common_passwords_are_refused_in_any_case_of_letters() {
        for common in ["password", "12345678", "Password1", "QWERTYUIOP", "iloveyou"] {
            assert_eq!(refused(common), Some(PasswordRefused::Common), "{common}");
        }
    }

    #[test]
    fn the_demo_passwords_may_be_chosen() {
        assert_eq!(refused("alice-demo-password"), None);
        assert_eq!(refused("bob-demo-password"), None);
    }

    #[test]
    fn the_list_has_no_line_that_could_never_match() {
        let lines: Vec<_> = COMMON.lines().collect();
        assert!(lines.len() >= 200, "{}", lines.len());
        let distinct: std::collections::HashSet<_> = lines.iter().collect();
        assert_eq!(distinct.len(), lines.len());
        for line in lines {
            assert!(line.len() >= MIN_CHARACTERS && line == line.trim().to_lowercase(), "{line:?}");
        }
    }
}
