//! The first page of the server, and the walk through the demo.
//!
//! Element ids: `demo`; `next`, `restart`, and `step-1`, `step-2`, … for each step done.

use askama::Template;

use super::HiddenField;

/// What this server is.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// The issuer, as in tokens.
    pub issuer: &'a str,
    /// The documents for clients.
    pub links: Vec<MetadataLink<'a>>,
    /// Present on a demo server only.
    pub demo: Option<HomeDemo<'a>>,
}

/// A link to a document for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataLink<'a> {
    /// What it is.
    pub label: &'a str,
    /// Where it is.
    pub url: &'a str,
}

/// The demo's part of the first page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeDemo<'a> {
    /// Where the walk begins.
    pub demo_url: &'a str,
    /// Where to sign in.
    pub sign_in_url: &'a str,
    /// Where tokens are inspected.
    pub console_url: &'a str,
    /// Who may do that.
    pub administrator: &'a str,
    /// Who can sign in.
    pub users: Vec<DemoUser<'a>>,
    /// Commands that work as pasted, in order.
    pub curl_lines: Vec<CurlLine<'a>>,
}

/// A demo account with its published password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoUser<'a> {
    /// The user name.
    pub login: &'a str,
    /// The password.
    pub password: &'a str,
}

/// A command for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurlLine<'a> {
    /// What it does.
    pub label: &'a str,
    /// The command.
    pub command: &'a str,
}

/// The walk through code flow and PKCE: what was done, and the one thing to do next.
#[derive(Debug, Template)]
#[template(path = "demo.html")]
pub struct Demo<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Something to know before going on.
    pub note: Option<&'a str>,
    /// What was done, in order.
    pub steps: Vec<DemoStep>,
    /// What comes next; none at the end.
    pub next: Option<DemoNext<'a>>,
    /// The titles of the steps after `next`.
    pub ahead: Vec<&'a str>,
    /// What is said when nothing comes next.
    pub closing: &'a str,
    /// Where the walk begins anew.
    pub restart_url: &'a str,
}

/// A step that was done, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoStep {
    /// What was done.
    pub title: String,
    /// What it means, in a sentence.
    pub explain: String,
    /// The request.
    pub sent: String,
    /// The response.
    pub received: String,
    /// What is inside something that was received.
    pub decoded: Option<Decoded>,
}

/// Something received, in readable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What it is.
    pub title: String,
    /// What is in it.
    pub text: String,
}

/// The next step: a form with one button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoNext<'a> {
    /// The step's title.
    pub title: &'a str,
    /// What will happen, in a sentence.
    pub explain: &'a str,
    /// What the button says.
    pub label: &'a str,
    /// Where the form goes.
    pub action_url: &'a str,
    /// How the form goes there.
    pub method: FormMethod,
    /// What the form takes along.
    pub hidden: Vec<HiddenField<'a>>,
}

/// A form's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormMethod {
    /// Changes nothing.
    Get,
    /// Does something.
    Post,
}

impl FormMethod {
    /// The value of the form's `method`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }
}
