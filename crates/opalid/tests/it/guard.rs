//! Every route, called by somebody who proves nothing: what each answers stands here.
//!
//! A route that is missing here fails; so does one that answers a method otherwise than is written.

use std::collections::BTreeSet;

use opalid::http::routes::Endpoint;

use crate::support::{FORM, Server};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

const NO_CLIENT: Expected = Expected::Refused(
    r#"401 {"error":"invalid_client","error_description":"no client authentication: use HTTP Basic, or client_id in the form"}"#,
);

enum Expected {
    /// This status and body.
    Refused(&'static str),
    /// A page of ours with this status, which leads nowhere.
    Page(u16),
    /// 303 to this page of ours.
    Goes(&'static str),
    /// 200 for anyone; why that is right.
    Public(&'static str),
}
use Expected::{Goes, Page, Public};

/// What each route answers to each method; to all others 405, with `Allow`.
const TABLE: &[(&str, &[(&str, Expected)])] = &[
    ("/introspect", &[("POST", NO_CLIENT)]),
    ("/token", &[("POST", NO_CLIENT)]),
    ("/revoke", &[("POST", NO_CLIENT)]),
    ("/feed", &[("GET", NO_CLIENT)]),
    ("/jwks", &[("GET", Public("public keys")), ("HEAD", Public("public keys"))]),
    ("/userinfo", &[("GET", NO_TOKEN), ("HEAD", NO_TOKEN), ("POST", NO_TOKEN)]),
    ("/", &[("GET", Public("says what this is")), ("HEAD", Public("says what this is"))]),
    ("/demo", &[("GET", Public("the demo")), ("HEAD", Public("the demo")), ("POST", Page(400))]),
    ("/demo/callback", &[("GET", Goes("/demo?gone")), ("HEAD", Goes("/demo?gone"))]),
    ("/authorize", &[("GET", Page(400)), ("POST", Page(400))]),
    ("/authorize/continue", &[("GET", Page(400))]),
    ("/sign-in", PAGES),
    ("/sign-in/account", PAGES),
    ("/consent", PAGES),
    ("/logout", &[("GET", Goes("/sign-out")), ("POST", Goes("/sign-out"))]),
    ("/logout/continue", &[("GET", Goes("/sign-out"))]),
    ("/sign-out", &[("GET", Goes("/signed-out")), ("HEAD", Goes("/signed-out")), ("POST", Goes("/signed-out"))]),
    ("/signed-out", &[("GET", Public("says so")), ("HEAD", Public("says so"))]),
    ("/set-password", PAGES),
    ("/set-password/done", &[("GET", Public("says so")), ("HEAD", Public("says so"))]),
    ("/console", &[("GET", Goes("/console/inspect")), ("HEAD", Goes("/console/inspect"))]),
    ("/console/sign-in", &[("GET", Public("asks who it is")), ("HEAD", Public("asks who it is")), ("POST", Page(400))]),
    ("/console/inspect", CONSOLE),
    ("/console/inspect/cut", &[("POST", TO_CONSOLE)]),
    ("/console/test-jwt", CONSOLE),
    ("/healthz", &[("GET", Public("for probes")), ("HEAD", Public("for probes"))]),
    ("/readyz", &[("GET", Public("for probes")), ("HEAD", Public("for probes"))]),
    ("/.well-known/openid-configuration", METADATA),
    ("/.well-known/oauth-authorization-server", METADATA),
];
const NO_TOKEN: Expected = Expected::Refused("401");
const PAGES: &[(&str, Expected)] = &[("GET", Page(400)), ("HEAD", Page(400)), ("POST", Page(400))];
const TO_CONSOLE: Expected = Goes("/console/sign-in");
const CONSOLE: &[(&str, Expected)] = &[("GET", TO_CONSOLE), ("HEAD", TO_CONSOLE), ("POST", TO_CONSOLE)];
const ROOT_ALONE: [&str; 4] = ["/healthz", "/readyz", "/demo", "/demo/callback"];
const METADATA: &[(&str, Expected)] =
    &[("GET", Public("what a client reads before it has anything")), ("HEAD", Public("the same"))];

#[test]
fn every_route_stands_in_the_table_once() {
    let routes: BTreeSet<_> = Endpoint::ALL.iter().map(|endpoint| endpoint.path()).collect();
    let here: BTreeSet<_> = TABLE.iter().map(|(path, _)| *path).collect();
    assert_eq!(here, routes, "guard.rs has a row for each route");
    assert_eq!(TABLE.len(), here.len());
    for endpoint in Endpoint::ALL {
        let (_, expected) = TABLE.iter().find(|(path, _)| *path == endpoint.path()).unwrap();
        let methods: Vec<_> = expected.iter().map(|(method, _)| *method).collect();
        assert_eq!(methods.join(", "), endpoint.methods(), "{}", endpoint.path());
    }
}

#[tokio::test]
async fn every_route_was_called_without_credentials() {
    let server = Server::demo().await;
    server.workspace("acme").await;
    let steps = server.app.store.steps();
    for at in ["", "/acme"] {
        for endpoint in Endpoint::ALL {
            let (path, expected) = TABLE.iter().find(|(path, _)| *path == endpoint.path()).unwrap();
            if !at.is_empty() && ROOT_ALONE.contains(path) {
                assert_eq!(server.get(&format!("{at}{path}")).await.status, 404, "{at}{path}");
                continue;
            }
            for method in METHODS {
                let answer = server.request(method, &format!("{at}{path}"), &[FORM], b"").await;
                let seen = server.portless(&answer.seen());
                match expected.iter().find(|(known, _)| *known == method).map(|(_, expected)| expected) {
                    None => {
                        assert_eq!(seen, "405", "{method} {at}{path}");
                        assert_eq!(answer.header("allow"), Some(endpoint.methods()), "{method} {at}{path}");
                    }
                    Some(Expected::Refused(expected)) => assert_eq!(seen, *expected, "{method} {at}{path}"),
                    Some(Page(status)) => {
                        assert_eq!(answer.status, *status, "{method} {at}{path}");
                        assert_eq!(
                            answer.header("content-type"),
                            Some("text/html; charset=utf-8"),
                            "{method} {at}{path}"
                        );
                        assert_eq!(answer.header("location"), None, "{method} {at}{path}");
                    }
                    Some(Goes(to)) => {
                        assert_eq!(answer.status, 303, "{method} {at}{path}");
                        let expected = format!("{}{at}{to}", server.issuer);
                        assert_eq!(answer.header("location"), Some(expected.as_str()), "{method} {at}{path}");
                    }
                    Some(Public(why)) => assert_eq!(answer.status, 200, "{method} {at}{path} is open to all: {why}"),
                }
                // What its form belongs to.
                let has_a_form = ["/demo", "/console/sign-in"].contains(path);
                assert!(has_a_form || answer.all("set-cookie").is_empty(), "{method} {at}{path}");
            }
        }
    }
    assert_eq!(server.app.store.steps(), steps, "nobody who proves nothing makes the server write");
}
