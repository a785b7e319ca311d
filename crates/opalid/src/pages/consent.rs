//! Asking a person whether a client may have what it asks for.
//!
//! Element ids: `allow`, `deny`.

use askama::Template;

/// The consent page. The form sends `csrf` and `decision` (`allow` or `deny`).
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct Consent<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The CSRF token.
    pub csrf: &'a str,
    /// Who asks.
    pub client: &'a str,
    /// The host of the client's homepage, shown as text.
    pub client_host: Option<&'a str>,
    /// For whom: the person signed in.
    pub user: &'a str,
    /// What is asked for.
    pub groups: Vec<ScopeGroup<'a>>,
    /// How long, as the end of "This lasts …": `until you sign out`.
    pub lasts: &'a str,
    /// Whether the answer "Allow" will be remembered.
    pub remembered: bool,
}

/// The scopes asked for at one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeGroup<'a> {
    /// The resource in words.
    pub resource: &'a str,
    /// What each scope allows, in words.
    pub scopes: Vec<&'a str>,
}
