//! The guard by itself, with a verifier that says what it was told to say.

#[cfg(feature = "tower")]
mod layer;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use http::header::AUTHORIZATION;
use http::{Method, Request};
use opalid_core::resource_uri::BadResourceUri;
use opalid_core::scope::BadScope;
use opalid_core::time::UnixTime;
use opalid_core::uri::BadUri;

use super::*;
use crate::metadata::ResourceMetadata;
use crate::verdict::{Confirmation, Outage};

const RESOURCE: &str = "https://api.example/orders";

/// Says of a token what it was told; of another that it is inactive. Remembers what it was asked.
#[derive(Clone, Default)]
struct Scripted {
    says: Arc<HashMap<&'static str, Result<Verdict, Outage>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Verify for Scripted {
    async fn verify(&self, token: &str) -> Result<Verdict, Outage> {
        self.asked.lock().unwrap().push(token.to_owned());
        self.says.get(token).cloned().unwrap_or(Ok(Verdict::Inactive))
    }
}

fn token(audience: &[&str], scopes: &str) -> Token {
    Token {
        subject: "alice".into(),
        client_id: "app".into(),
        scopes: Scopes::parse(scopes).unwrap(),
        audience: audience.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>(),
        issued_at: UnixTime(0),
        expires_at: UnixTime(i64::MAX),
        jti: None,
        username: None,
        confirmation: None,
        claims: serde_json::Map::new(),
    }
}

fn scripted() -> Scripted {
    let active = |token: Token| Ok(Verdict::Active(Arc::new(token)));
    let bound = |by| Token { confirmation: Some(by), ..token(&[RESOURCE], "read write") };
    let says = [
        ("reader", active(token(&[RESOURCE], "read"))),
        ("writer", active(token(&["https://b.example/", RESOURCE], "read write"))),
        ("elsewhere", active(token(&["https://api.example/orders/"], "read write"))),
        ("dpop", active(bound(Confirmation::DpopKey("k".into())))),
        ("mtls", active(bound(Confirmation::Certificate("c".into())))),
        ("unknown", active(bound(Confirmation::Unknown))),
        ("away", Err(Outage)),
    ];
    Scripted { says: Arc::new(says.into()), asked: Arc::default() }
}

fn parts(method: Method, authorization: &str) -> Parts {
    let request = Request::builder().method(method).uri("/orders/1?access_token=writer");
    let request = if authorization.is_empty() { request } else { request.header(AUTHORIZATION, authorization) };
    request.body(()).unwrap().into_parts().0
}

async fn refused(guard: &Guard<Scripted>, parts: &Parts) -> (u16, Reason, Option<String>) {
    let refusal = guard.admit(parts).await.unwrap_err();
    let challenge = refusal.challenge().map(|value| value.to_str().unwrap().to_owned());
    (refusal.status().as_u16(), refusal.reason(), challenge)
}

fn says(rest: &str) -> Option<String> {
    Some(format!("Bearer realm=\"{RESOURCE}\"{rest}"))
}

#[tokio::test]
async fn an_active_token_for_this_resource_passes_with_its_facts() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).build().unwrap();
    let admitted = guard.admit(&parts(Method::GET, "bearer writer")).await.unwrap();
    assert_eq!(**admitted.token(), token(&["https://b.example/", RESOURCE], "read write"));
    assert_eq!(admitted.subject, "alice");
}

#[tokio::test]
async fn without_a_bearer_token_there_is_a_challenge_without_an_error_and_nobody_is_asked() {
    let verify = scripted();
    let guard = Guard::builder(verify.clone()).resource(RESOURCE).build().unwrap();
    for none in ["", "Basic cmVhZGVyOg==", "DPoP reader"] {
        assert_eq!(refused(&guard, &parts(Method::GET, none)).await, (401, Reason::NoToken, says("")), "{none}");
    }
    assert_eq!(verify.asked(), [""; 0]);
}

#[tokio::test]
async fn what_is_malformed_is_invalid_request_and_nobody_is_asked() {
    let verify = scripted();
    let guard = Guard::builder(verify.clone()).resource(RESOURCE).build().unwrap();
    let invalid = says(", error=\"invalid_request\"");
    let malformed = refused(&guard, &parts(Method::GET, "Bearer reader writer")).await;
    assert_eq!(malformed, (400, Reason::MalformedBearer, invalid.clone()));
    let mut twice = parts(Method::GET, "Bearer reader");
    twice.headers.append(AUTHORIZATION, "Bearer reader".parse().unwrap());
    assert_eq!(refused(&guard, &twice).await, (400, Reason::RepeatedAuthorization, invalid));
    assert_eq!(verify.asked(), [""; 0]);
}

#[tokio::test]
async fn a_token_that_is_dead_elsewhere_or_bound_is_invalid_and_all_are_told_the_same() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).scope("read").build().unwrap();
    for bad in ["dead", "elsewhere", "dpop", "mtls", "unknown"] {
        let refused = refused(&guard, &parts(Method::GET, &format!("Bearer {bad}"))).await;
        assert_eq!(refused, (401, Reason::InvalidToken, says(", error=\"invalid_token\"")), "{bad}");
    }
}

#[tokio::test]
async fn an_outage_is_neither_a_pass_nor_a_word_on_the_token() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).build().unwrap();
    assert_eq!(refused(&guard, &parts(Method::GET, "Bearer away")).await, (503, Reason::Outage, None));
}

#[tokio::test]
async fn a_guard_for_any_resource_passes_every_audience_but_no_bound_token() {
    let guard = Guard::builder(scripted()).any_resource().realm("gateway").build().unwrap();
    assert!(guard.admit(&parts(Method::GET, "Bearer elsewhere")).await.is_ok());
    assert!(guard.admit(&parts(Method::GET, "Bearer dpop")).await.is_err());
}

#[tokio::test]
async fn what_every_request_needs_and_what_this_one_needs_are_needed_together() {
    let write = Scopes::parse("write").unwrap();
    let guard = Guard::builder(scripted()).resource(RESOURCE).scope("read");
    let per_request = move |parts: &Parts| if parts.method.is_safe() { Scopes::default() } else { write.clone() };
    let guard = guard.scopes(per_request).build().unwrap();
    assert!(guard.admit(&parts(Method::GET, "Bearer reader")).await.is_ok());
    assert!(guard.admit(&parts(Method::POST, "Bearer writer")).await.is_ok());
    let lacking = says(", error=\"insufficient_scope\", scope=\"read write\"");
    let post = refused(&guard, &parts(Method::POST, "Bearer reader")).await;
    assert_eq!(post, (403, Reason::InsufficientScope, lacking));
    let first = refused(&guard, &parts(Method::POST, "")).await;
    assert_eq!(first, (401, Reason::NoToken, says(", scope=\"read write\"")));
}

#[tokio::test]
async fn every_scope_that_was_said_is_needed() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).scope("read").scope("write admin").build().unwrap();
    let lacking = says(", error=\"insufficient_scope\", scope=\"admin read write\"");
    assert_eq!(refused(&guard, &parts(Method::GET, "Bearer writer")).await, (403, Reason::InsufficientScope, lacking));
}

#[tokio::test]
async fn a_handler_demands_more_and_the_refusal_names_all_that_is_needed() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).scope("read").build().unwrap();
    let admitted = guard.admit(&parts(Method::GET, "Bearer reader")).await.unwrap();
    assert_eq!(admitted.require("read"), Ok(()));
    let refusal = admitted.require("write").unwrap_err();
    let lacking = says(", error=\"insufficient_scope\", scope=\"read write\"").unwrap();
    assert_eq!((refusal.status().as_u16(), refusal.challenge().unwrap().to_str().unwrap()), (403, &*lacking));
    assert!(admitted.require("read write").is_err());
}

#[tokio::test]
async fn a_handler_that_demands_what_is_no_scope_lets_nobody_pass() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).build().unwrap();
    let admitted = guard.admit(&parts(Method::GET, "Bearer writer")).await.unwrap();
    for bad in ["", " ", "wri\"te", "write\r\nSet-Cookie:"] {
        assert_eq!(admitted.require(bad).unwrap_err().reason(), Reason::Misconfigured, "{bad:?}");
    }
}

#[tokio::test]
async fn challenges_say_where_the_metadata_is() {
    let metadata = ResourceMetadata::builder(RESOURCE).authorization_server("https://id.example").build().unwrap();
    let guard = Guard::builder(scripted()).metadata(&metadata).realm("orders").build().unwrap();
    let says = |rest: &str| {
        let metadata = "https://api.example/.well-known/oauth-protected-resource/orders";
        Some(format!("Bearer realm=\"orders\", resource_metadata=\"{metadata}\"{rest}"))
    };
    assert_eq!(refused(&guard, &parts(Method::GET, "")).await.2, says(""));
    assert_eq!(refused(&guard, &parts(Method::GET, "Bearer elsewhere")).await.2, says(", error=\"invalid_token\""));
    assert!(guard.admit(&parts(Method::GET, "Bearer reader")).await.is_ok());
}

#[tokio::test]
async fn a_token_that_came_another_way_is_judged_the_same() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).build().unwrap();
    let judged = async |token| {
        let needed = Scopes::parse("write").unwrap();
        guard.admit_token(token, needed).await.err().map(|refusal| refusal.reason())
    };
    assert_eq!(judged("writer").await, None);
    assert_eq!(judged("reader").await, Some(Reason::InsufficientScope));
    assert_eq!(judged("elsewhere").await, Some(Reason::InvalidToken));
}

#[test]
fn a_guard_that_was_not_told_what_it_guards_is_none() {
    let metadata = ResourceMetadata::builder(RESOURCE).authorization_server("https://id.example").build().unwrap();
    let with = || Guard::builder(Scripted::default());
    assert_eq!(with().build().err(), Some(BadGuard::NoResource));
    assert_eq!(with().any_resource().build().err(), Some(BadGuard::Realm));
    assert_eq!(with().any_resource().resource(RESOURCE).build().err(), Some(BadGuard::SeveralResources));
    assert_eq!(with().resource(RESOURCE).resource("https://b").build().err(), Some(BadGuard::SeveralResources));
    assert_eq!(with().metadata(&metadata).resource("https://b").build().err(), Some(BadGuard::SeveralResources));
    assert!(with().metadata(&metadata).resource(RESOURCE).build().is_ok());
    let relative = BadGuard::Resource(BadResourceUri(BadUri::NotAbsolute));
    assert_eq!(with().resource("orders").build().err(), Some(relative));
}

#[test]
fn what_no_header_can_hold_is_refused_before_any_request() {
    let with = || Guard::builder(Scripted::default()).resource(RESOURCE);
    for bad in ["", "a\r\nb", "\u{fc}"] {
        assert_eq!(with().realm(bad).build().err(), Some(BadGuard::Realm), "{bad:?}");
    }
    assert_eq!(with().scope("a\"b").build().err(), Some(BadGuard::Scope(BadScope::Character)));
    assert_eq!(with().scope("a\nb").build().err(), Some(BadGuard::Scope(BadScope::Character)));
}

#[test]
fn a_scope_left_empty_by_mistake_opens_nothing() {
    for empty in ["", "  "] {
        let built = Guard::builder(Scripted::default()).resource(RESOURCE).scope("read").scope(empty).build();
        assert_eq!(built.err(), Some(BadGuard::Scope(BadScope::Empty)));
    }
}

#[test]
fn nothing_of_the_verifier_is_printed() {
    let guard = Guard::builder(scripted()).resource(RESOURCE).build().unwrap();
    assert_eq!(
        format!("{guard:?}"),
        "Guard { resource: Some(ResourceUri(\"https://api.example/orders\")), always: Scopes(\"\"), .. }"
    );
}
