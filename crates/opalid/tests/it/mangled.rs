//! Flip, cut or add any character of any token: refused at every endpoint that takes it, before any look-up.

use crate::support::demo_person::{self as person, DEMO_APP};
use crate::support::http::Answer;
use crate::support::{Browser, DEMO_API, Server};

/// Characters that are put in place of each one, and before each one: of the alphabet, beside it, outside it.
const CHARACTERS: [char; 3] = ['A', '=', ' '];
const BASE64URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Every text that differs from `token` by one character, for some characters at every position, and for every
/// character of the alphabet at the last: there two spellings could mean the same bytes.
fn mangled(token: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, original) in token.char_indices() {
        let (before, after) = (&token[..at], &token[at + 1..]);
        let neighbour = char::from(original as u8 ^ 1);
        found.push(format!("{before}{after}"));
        found.push(before.to_owned());
        found.push(format!("{before}{neighbour}{after}"));
        for character in CHARACTERS {
            found.push(format!("{before}{character}{after}"));
            found.push(format!("{before}{character}{original}{after}"));
        }
    }
    let body = &token[..token.len() - 1];
    found.extend(BASE64URL.chars().map(|last| format!("{body}{last}")));
    found.extend(CHARACTERS.into_iter().chain(BASE64URL.chars()).map(|more| format!("{token}{more}")));
    found.push(token.to_ascii_uppercase());
    found.push(token.to_ascii_lowercase());
    found.push(format!("{token}{token}"));
    found.retain(|text| text != token && !text.is_empty());
    found.sort();
    found.dedup();
    found
}

#[test]
fn every_position_is_mangled() {
    let all = mangled("oat_abc");
    for expected in ["at_abc", "oat_ab", "oat_", "o", "oat_abd", "oat_abb", "oat_ac", "nat_abc", "oat_abcA", " oat_abc"]
    {
        assert!(all.iter().any(|text| text == expected), "{expected}");
    }
}

/// What the store was asked so far.
fn asked(server: &Server) -> (u64, u64) {
    (server.app.store.reads(), server.app.store.steps())
}

/// Whether an answer says that nothing came of it, whatever the code.
#[track_caller]
fn assert_refused(answer: &Answer, error: &str, text: &str) {
    assert_eq!(answer.field("error"), error, "{text}: {answer:?}");
}

#[tokio::test]
async fn an_access_token_changed_in_any_character_is_nothing_at_any_endpoint() {
    let server = Server::demo().await;
    let code = person::code(&server, &mut Browser::new(), "openid read").await;
    let token = person::redeem(&server, &code).await.field("access_token");
    assert!(server.is_active(DEMO_API, &token).await);
    let bearer = format!("Bearer {token}");
    assert_eq!(server.request("GET", "/userinfo", &[("authorization", &bearer)], b"").await.status, 200);
    let before = asked(&server);
    let all = mangled(&token);
    assert!(all.len() > 800, "{}", all.len());
    for text in &all {
        let answer = server.introspect(DEMO_API, text).await;
        assert_eq!(answer.seen(), r#"200 {"active":false}"#, "{text}");
        let fields = [("token", text.as_str()), ("client_id", DEMO_APP)];
        assert_eq!(server.form_post("/revoke", &fields).await.seen(), "200", "{text}");
        let answer = server.form_post("/userinfo", &[("access_token", text)]).await;
        assert_refused(&answer, "invalid_token", text);
        // Spaces around it are the header's, not the token's.
        if text.trim() != token {
            let bearer = format!("Bearer {text}");
            let answer = server.request("GET", "/userinfo", &[("authorization", &bearer)], b"").await;
            assert!(answer.status == 400 || answer.status == 401, "{text}: {answer:?}");
        }
    }
    assert_eq!(asked(&server), before, "reads and steps");
    assert!(server.is_active(DEMO_API, &token).await, "none of it was the token itself");
}

#[tokio::test]
async fn a_refresh_token_changed_in_any_character_is_nothing_at_any_endpoint() {
    let server = Server::demo().await;
    let code = person::code(&server, &mut Browser::new(), "openid offline_access read").await;
    let token = person::redeem(&server, &code).await.field("refresh_token");
    let token = person::refresh(&server, &token).await.field("refresh_token");
    let before = asked(&server);
    for text in &mangled(&token) {
        assert_refused(&person::refresh(&server, text).await, "invalid_grant", text);
        let fields = [("token", text.as_str()), ("client_id", DEMO_APP)];
        assert_eq!(server.form_post("/revoke", &fields).await.seen(), "200", "{text}");
    }
    assert_eq!(asked(&server), before, "reads and steps");
    assert_eq!(person::refresh(&server, &token).await.status, 200, "none of it was the token itself");
}

#[tokio::test]
async fn a_code_changed_in_any_character_is_nothing_and_uses_nothing_up() {
    let server = Server::demo().await;
    let code = person::code(&server, &mut Browser::new(), "openid read").await;
    assert_refused(&person::redeem(&server, "oac_AAAA").await, "invalid_grant", "oac_AAAA");
    let before = asked(&server);
    for text in &mangled(&code) {
        assert_refused(&person::redeem(&server, text).await, "invalid_grant", text);
    }
    assert_eq!(asked(&server), before, "reads and steps");
    assert_eq!(person::redeem(&server, &code).await.status, 200, "none of it was the code itself");
}
