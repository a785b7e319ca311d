//! The error page, the page for a sign-in that is over, and the page that carries an answer to a client by `form_post`.
//!
//! Element ids: `error-code`, `request-id`; `back`; `form-post`, `continue`.
//! Holds: the error page has no link and no form, so nothing in it can lead anywhere.

use askama::Template;

use super::HiddenField;

/// What went wrong, for a person and for whoever they ask for help.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    /// The workspace's display name, or the server's when there is none.
    pub workspace: &'a str,
    /// What happened, in words.
    pub what: &'a str,
    /// What the person can do now.
    pub advice: &'a str,
    /// The error code, as the protocol names it.
    pub code: &'a str,
    /// The id of the request, as in the log.
    pub request_id: &'a str,
}

/// What a person meets who goes back in the browser, loads a page again or is late: the way on is the application's.
#[derive(Debug, Template)]
#[template(path = "over.html")]
pub struct Over<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// The application that asked, if the address says which.
    pub client: Option<&'a str>,
    /// Where a person finds it, if it is on the web.
    pub home: Option<&'a str>,
}

/// `response_mode=form_post` (OAuth 2.0 Form Post Response Mode §2): a form that sends itself, with a button for
/// browsers that run no script.
#[derive(Debug, Template)]
#[template(path = "form_post.html")]
pub struct FormPost<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Who gets the answer.
    pub client: &'a str,
    /// The client's registered return address.
    pub action: &'a str,
    /// The parameters of the answer.
    pub fields: Vec<HiddenField<'a>>,
}
