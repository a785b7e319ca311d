//! The pages people see: one template struct per page, rendered by askama with HTML escaping on.
//!
//! Takes: words and addresses that the endpoints chose; never a raw request.
//! Gives: `Template::render`, a whole HTML document.
//! Holds: no inline style or script, no address outside this server, at most one primary action a page.
//! Not here: which page comes when; cookies, status codes, headers (the page policy is in `http/security_headers.rs`).

pub mod assets;
mod consent;
mod console;
mod home;
mod notice;
mod password;
#[cfg(test)]
mod samples;
mod sign_in;
mod sign_out;
#[cfg(test)]
mod tests;

pub use askama::Template;
pub use consent::{Consent, ScopeGroup};
pub use console::{CutForm, Fact, Inspect, Inspected, NotAdministrator, TestJwtPage};
pub use home::{CurlLine, Decoded, Demo, DemoNext, DemoStep, DemoUser, FormMethod, Home, HomeDemo, MetadataLink};
pub use notice::{ErrorPage, FormPost, Over};
pub use password::{PasswordSet, SetPassword, SetPasswordProblem};
pub use sign_in::{SelectAccount, SignIn, SignInProblem};
pub use sign_out::{ConfirmSignOut, SignedOut};

/// The name of the hidden input that carries the CSRF token, on every page that has one.
pub const CSRF_FIELD: &str = "csrf";

/// One hidden input of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenField<'a> {
    /// The input's name.
    pub name: &'a str,
    /// The input's value.
    pub value: &'a str,
}
