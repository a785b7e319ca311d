//! Setting a password through a one-time link.
//!
//! Element ids: `new-password`, `confirm-password`, `set-password`.

use std::fmt;

use askama::Template;

use crate::passwords::password::PasswordRefused;

/// The page behind the link. The form sends `csrf`, `login` (for password managers; ignore it), `new_password` and
/// `confirm_password`.
#[derive(Debug, Template)]
#[template(path = "set_password.html")]
pub struct SetPassword<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The CSRF token.
    pub csrf: &'a str,
    /// Whose password it is.
    pub login: &'a str,
    /// The least number of characters.
    pub shortest: usize,
    /// Why the last try failed.
    pub problem: Option<SetPasswordProblem>,
}

/// Why a new password was refused. Its `Display` is the sentence on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetPasswordProblem {
    /// The policy says no.
    Refused(PasswordRefused),
    /// The two fields differ.
    Different,
}

impl fmt::Display for SetPasswordProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Different => f.write_str("The two passwords are not the same. Type the new one twice."),
        }
    }
}

/// The page after the password was set.
#[derive(Debug, Template)]
#[template(path = "password_set.html")]
pub struct PasswordSet<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Where to sign in, if there is such a place without a client.
    pub sign_in_url: Option<&'a str>,
}
