//! Parameters that nobody knows are ignored (RFC 6749 §3.1, §3.2; RFC 7662 §2.1; RFC 7009 §2.1; OpenID Core §3.1.2.1).

use crate::support::browser::Browser;
use crate::support::http::encode;
use crate::support::person::{APP, Ask};
use crate::support::{DEMO_API, Server};

const UNKNOWN: [(&str, &str); 3] = [("colour", "red"), ("empty", ""), ("token.type", "\u{fc} & more")];

/// These fields between unknown ones.
fn beside<'a>(fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&UNKNOWN[..1], fields, &UNKNOWN[1..]].concat()
}

#[tokio::test]
async fn introspection_and_revocation_ignore_them() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let fields = beside(&[("token", &token)]);
    let without = server.introspect(DEMO_API, &token).await;
    assert_eq!(server.form_post_as(DEMO_API, "/introspect", &fields).await.seen(), without.seen());
    assert!(without.json()["active"] == true);
    assert_eq!(server.form_post_as(DEMO_API, "/revoke", &fields).await.seen(), "200");
    assert!(!server.is_active(DEMO_API, &token).await);
}

#[tokio::test]
async fn userinfo_ignores_them_in_its_form() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let token = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await.field("access_token");
    let answer = server.form_post("/userinfo", &beside(&[("access_token", &token)])).await;
    assert_eq!((answer.status, answer.json()), (200, server.userinfo(&token).await.json()));
}

#[tokio::test]
async fn signing_out_ignores_them_in_query_and_form() {
    let server = Server::with_people().await;
    for by_form in [false, true] {
        let mut browser = Browser::new();
        let tokens = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await;
        let id_token = tokens.field("id_token");
        let fields = beside(&[("id_token_hint", &id_token), ("client_id", APP.0)]);
        let answer = if by_form {
            browser.post(&server, "/logout", &fields).await
        } else {
            browser.get(&server, &format!("/logout?{}", encode(&fields))).await
        };
        assert_eq!(browser.follow(&server, "/logout", answer).await.path(), "/signed-out");
        assert!(!server.knows(&tokens.field("access_token")).await, "by form: {by_form}");
    }
}
