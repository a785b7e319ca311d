//! Userinfo: who may ask, and what it says when not.

use opalid_core::claims::StandardClaims;

use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::http::encode;
use crate::support::person::{APP, Ask, refusal};
use crate::support::server::FORM;

async fn token() -> (Server, String) {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let code = browser.code(&server, &Ask::new().with("scope", "openid email"), "alice").await;
    let token = server.tokens(&code).await.field("access_token");
    (server, token)
}

#[tokio::test]
async fn without_a_token_there_is_a_bare_challenge() {
    let server = Server::with_people().await;
    let bare = format!("Bearer realm=\"{}\"", server.issuer);
    for (method, headers) in
        [("GET", &[][..]), ("POST", &[FORM]), ("POST", &[]), ("GET", &[("authorization", "Basic YTpi")])]
    {
        let answer = server.request(method, "/userinfo", headers, b"").await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, Some(bare.as_str())),
            "{method} {headers:?}"
        );
    }
    assert_eq!(server.get("/userinfo?access_token=oat_x").await.header("www-authenticate"), Some(bare.as_str()));
}

#[tokio::test]
async fn a_token_in_the_query_is_not_looked_at() {
    let (server, token) = token().await;
    assert_eq!(server.get(&format!("/userinfo?access_token={token}")).await.status, 401);
}

#[tokio::test]
async fn a_token_that_is_not_alive_is_invalid_token_with_a_challenge() {
    let (server, token) = token().await;
    for wrong in ["oat_x", &token[..token.len() - 1], &format!("{token}A"), &token.replace("oat_", "ort_")] {
        let answer = server.userinfo(wrong).await;
        assert_eq!(refusal(&answer), (401, "invalid_token".into()), "{wrong}");
        assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    }
    server.clock.advance(3599);
    assert!(server.knows(&token).await);
    server.clock.advance(1);
    assert!(!server.knows(&token).await, "expired");
}

#[tokio::test]
async fn a_token_without_openid_is_insufficient_scope() {
    let server = Server::with_people().await;
    server
        .client(
            "machine",
            Some("ocs_machine"),
            crate::support::server::machine(&[(crate::support::person::API, "read")]),
        )
        .await;
    let token = server.token_of(("machine", "ocs_machine")).await;
    let answer = server.userinfo(&token).await;
    assert_eq!(refusal(&answer), (403, "insufficient_scope".into()));
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"openid\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn two_tokens_at_once_are_refused() {
    let (server, token) = token().await;
    let (bearer, body) = (format!("Bearer {token}"), encode(&[("access_token", &token)]));
    let answer = server.request("POST", "/userinfo", &[FORM, ("authorization", &bearer)], body.as_bytes()).await;
    assert_eq!(refusal(&answer), (400, "invalid_request".into()));
    let answer = server.form_post("/userinfo", &[("access_token", &token), ("access_token", &token)]).await;
    assert_eq!(refusal(&answer), (400, "invalid_request".into()));
}

#[tokio::test]
async fn beside_the_header_a_body_that_is_no_form_is_ignored_and_holds_no_token() {
    let (server, token) = token().await;
    let bearer = ("authorization", &*format!("Bearer {token}"));
    let form = encode(&[("access_token", &token)]);
    let (json, text) = (("content-type", "application/json"), ("content-type", "text/plain"));
    for (headers, body) in [
        (&[bearer, json][..], "{}"),
        (&[bearer, json], &form),
        (&[bearer, text], "\0"),
        (&[bearer], "{}"),
        (&[bearer, FORM], ""),
        (&[bearer, FORM], "unknown=x"),
    ] {
        let answer = server.request("POST", "/userinfo", headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{headers:?} {body}: {answer:?}");
    }
    for headers in [&[json][..], &[text], &[]] {
        let answer = server.request("POST", "/userinfo", headers, form.as_bytes()).await;
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(answer.status == 401 && !challenge.contains("error"), "{headers:?}: {answer:?}");
    }
    let two_types = [bearer, json, FORM];
    let answer = server.request("POST", "/userinfo", &two_types, form.as_bytes()).await;
    assert_eq!(refusal(&answer), (400, "invalid_request".into()), "one of them is a form");
}

#[tokio::test]
async fn a_revoked_token_says_nothing_any_more() {
    let (server, token) = token().await;
    let json = server.userinfo(&token).await.json();
    assert_eq!(json["email"], "alice@mail.example");
    assert_eq!(server.form_post_as(APP, "/revoke", &[("token", &token)]).await.seen(), "200");
    assert!(!server.knows(&token).await);
}

#[tokio::test]
async fn scripts_of_other_origins_may_ask_with_a_token_and_nothing_is_stored() {
    let (server, token) = token().await;
    let bearer = format!("Bearer {token}");
    let headers = [("origin", "https://spa.example"), ("authorization", &bearer)];
    let answer = server.request("GET", "/userinfo", &headers, b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_preferred_user_name_is_the_user_name_unless_another_is_declared() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let declared = StandardClaims { preferred_username: Some("Countess".into()), ..StandardClaims::default() };
    for (name, claims, preferred) in [("ada", StandardClaims::default(), "ada"), ("lovelace", declared, "Countess")] {
        server.user(name, claims).await;
        let mut browser = Browser::new();
        let code = browser.code(&server, &Ask::new().with("scope", "openid profile"), name).await;
        let token = server.tokens(&code).await.field("access_token");
        assert_eq!(server.userinfo(&token).await.json()["preferred_username"], preferred);
    }
    let code = browser.code(&server, &Ask::new().with("scope", "openid email"), "ada").await;
    let token = server.tokens(&code).await.field("access_token");
    assert_eq!(server.userinfo(&token).await.json().get("preferred_username"), None, "only with scope profile");
}
