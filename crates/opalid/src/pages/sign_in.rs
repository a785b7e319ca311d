//! Signing in with a name and a password, and choosing between the account at hand and another.
//!
//! Element ids: `login`, `password`, `sign-in`; `continue`, `use-another`.

use std::fmt;

use askama::Template;

/// The sign-in page. The form sends `csrf`, `login` and `password`.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// For whom the sign-in happens, when a client asked.
    pub client: Option<&'a str>,
    /// Where the form goes.
    pub action: &'a str,
    /// The CSRF token.
    pub csrf: &'a str,
    /// The name already in the field: a hint, or what was typed last time.
    pub login: &'a str,
    /// Who is signed in already and must show it again (`prompt=login`, `max_age`).
    pub signed_in_as: Option<&'a str>,
    /// Why the last try failed.
    pub problem: Option<SignInProblem>,
}

/// Why a sign-in failed. Its `Display` is the sentence on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInProblem {
    /// Unknown name or wrong password: nobody learns which.
    WrongCredentials,
    /// The back-off is running.
    TooManyTries {
        /// Seconds until the next try counts.
        wait: u64,
    },
}

impl fmt::Display for SignInProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongCredentials => f.write_str("The user name or the password is not right."),
            Self::TooManyTries { wait: 1 } => f.write_str("Too many tries. Try again in 1 second."),
            Self::TooManyTries { wait } => write!(f, "Too many tries. Try again in {wait} seconds."),
        }
    }
}

/// The page for `prompt=select_account`. The form sends `csrf` and `account` (`continue` or `another`).
#[derive(Debug, Template)]
#[template(path = "select_account.html")]
pub struct SelectAccount<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// For whom the choice is made, when a client asked.
    pub client: Option<&'a str>,
    /// Where the form goes.
    pub action: &'a str,
    /// The CSRF token.
    pub csrf: &'a str,
    /// Who is signed in.
    pub user: &'a str,
}
