//! Signing out: the question, and the page after it.
//!
//! Element ids: `sign-out`, `stay`.

use askama::Template;

/// The question, when nobody proved that the person asked for it. The form sends `csrf`.
#[derive(Debug, Template)]
#[template(path = "confirm_sign_out.html")]
pub struct ConfirmSignOut<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The CSRF token.
    pub csrf: &'a str,
    /// Who is signed in.
    pub user: &'a str,
    /// Where "Stay signed in" leads; a page of ours.
    pub stay_url: &'a str,
}

/// The page after signing out.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Where to sign in again, if there is such a place without a client.
    pub sign_in_url: Option<&'a str>,
}
