//! The first page of an issuer: what it is, where its metadata lies; on a demo server, what to try.

use crate::demo;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::Reply;
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::{CurlLine, DemoUser, Home, HomeDemo, MetadataLink};

/// What each of [`demo::curl_lines`] does.
const CURL_LABELS: [&str; 4] =
    ["Get an opaque token.", "Introspect it: active.", "Revoke it.", "Introspect it again: inactive."];

/// GET / and /{workspace}.
pub fn show(call: &Call<'_>) -> Reply {
    let at = |endpoint: Endpoint| format!("{}{}", call.issuer.url, endpoint.path());
    let documents = [
        ("OpenID metadata", at(Endpoint::OpenIdConfiguration)),
        ("OAuth metadata", at(Endpoint::ServerMetadata)),
        ("Keys", at(Endpoint::Jwks)),
    ];
    // The demo's users and clients are the root's.
    let is_demo = call.app.demo && call.issuer.id() == call.app.root;
    let lines = demo::curl_lines(&call.issuer.url);
    let (walk, console) = (at(Endpoint::Demo), at(Endpoint::Inspect));
    let page = Home {
        workspace: call.issuer.display_name(),
        issuer: &call.issuer.url,
        links: documents.iter().map(|(label, url)| MetadataLink { label, url }).collect(),
        demo: is_demo.then(|| home_demo(&walk, &console, &lines)),
    };
    page::page(call, &page, Forms::StayHere)
}

fn home_demo<'a>(walk: &'a str, console: &'a str, lines: &'a [String; 4]) -> HomeDemo<'a> {
    HomeDemo {
        demo_url: walk,
        sign_in_url: walk,
        console_url: console,
        administrator: demo::ADMINISTRATOR,
        users: demo::USERS.iter().map(|(login, password)| DemoUser { login, password }).collect(),
        curl_lines: CURL_LABELS.into_iter().zip(lines).map(|(label, command)| CurlLine { label, command }).collect(),
    }
}
