//! Flip, cut or add any character of any token: refused at every endpoint that takes it, before any look-up.

use crate::support::{DEMO_API, Server};

/// Characters that are put in place of each one, and before each one: of the alphabet, beside it, outside it.
const CHARACTERS: [char; 6] = ['A', '-', '_', '=', '.', ' '];
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

#[tokio::test]
async fn a_token_changed_in_any_character_is_nothing_at_any_endpoint() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    assert!(server.is_active(DEMO_API, &token).await);
    let before = (server.app.store.reads(), server.app.store.steps());
    let all = mangled(&token);
    assert!(all.len() > 1_000, "{}", all.len());
    for text in &all {
        let answer = server.introspect(DEMO_API, text).await;
        assert_eq!(answer.seen(), r#"200 {"active":false}"#, "{text}");
        let answer = server.form_post_as(DEMO_API, "/revoke", &[("token", text)]).await;
        assert_eq!(answer.seen(), "200", "{text}");
    }
    assert_eq!((server.app.store.reads(), server.app.store.steps()), before, "reads and steps");
    assert!(server.is_active(DEMO_API, &token).await, "none of it was the token itself");
}
