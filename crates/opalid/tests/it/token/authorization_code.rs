//! Codes: once, for a minute, for the client, the address and the verifier they were given for.

use opalid_store::steps::client::ClientEvent;

use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{
    API, API_SERVER, APP, Ask, CALLBACK, CHALLENGE, LOOPBACK, OTHER_APP, PUBLIC, VERIFIER, refusal, web_app,
};
use crate::support::{Server, machine};

async fn signed_in() -> (Server, Browser) {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    browser.code(&server, &Ask::new(), "alice").await;
    (server, browser)
}

#[track_caller]
fn assert_invalid_grant(answer: &Answer) {
    assert_eq!(refusal(answer), (400, "invalid_grant".into()), "{answer:?}");
}

#[tokio::test]
async fn a_code_gives_a_token_answer_that_says_what_it_gives() {
    let (server, mut browser) = signed_in().await;
    let tokens = server.tokens(&browser.silent_code(&server, &Ask::new()).await).await.json();
    let mut names: Vec<&String> = tokens.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"]);
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&"Bearer".into(), &"openid".into()));
    assert_eq!(tokens["expires_in"], 3600);
    assert!(tokens["access_token"].as_str().unwrap().starts_with("oat_"));
}

#[tokio::test]
async fn a_code_is_bound_to_its_client() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    assert_invalid_grant(&server.redeem(OTHER_APP, &code, &[]).await);
    let public =
        [("grant_type", "authorization_code"), ("client_id", PUBLIC), ("code", &code), ("redirect_uri", CALLBACK)];
    assert_invalid_grant(&server.form_post("/token", &public).await);
    assert_eq!(refusal(&server.redeem((APP.0, "ocs_wrong"), &code, &[]).await), (401, "invalid_client".into()));
    let unauthenticated = [("grant_type", "authorization_code"), ("client_id", APP.0), ("code", &code)];
    assert_eq!(refusal(&server.form_post("/token", &unauthenticated).await), (401, "invalid_client".into()));
    let tokens = server.tokens(&code).await;
    assert_invalid_grant(&server.redeem(OTHER_APP, &code, &[]).await);
    assert!(server.knows(&tokens.field("access_token")).await, "another client's replay cuts nothing");
}

#[tokio::test]
async fn a_code_is_bound_to_its_redirect_uri() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    for uri in ["https://app.example/callback/", "https://app.example/callback?x", "HTTPS://app.example/callback"] {
        assert_invalid_grant(&server.redeem(APP, &code, &[("redirect_uri", uri)]).await);
    }
    assert_invalid_grant(&server.redeem(APP, &code, &[("redirect_uri", "")]).await);
    server.tokens(&code).await;
}

#[tokio::test]
async fn a_wrong_verifier_does_not_use_the_code_up() {
    let (server, mut browser) = signed_in().await;
    let ask = Ask::new().with("code_challenge", CHALLENGE).with("code_challenge_method", "S256");
    let code = browser.silent_code(&server, &ask).await;
    assert_invalid_grant(&server.redeem(APP, &code, &[]).await);
    assert_invalid_grant(&server.redeem(APP, &code, &[("code_verifier", &"a".repeat(43))]).await);
    assert_invalid_grant(&server.redeem(APP, &code, &[("code_verifier", CHALLENGE)]).await);
    let short = server.redeem(APP, &code, &[("code_verifier", "short")]).await;
    assert_eq!(short.status, 400);
    let answer = server.redeem(APP, &code, &[("code_verifier", VERIFIER)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The public client's exchange, with this verifier; it is answered where it asked from.
async fn redeem_public(server: &Server, code: &str, verifier: &str) -> Answer {
    let fields =
        [("grant_type", "authorization_code"), ("client_id", PUBLIC), ("code", code), ("redirect_uri", LOOPBACK)];
    server.form_post("/token", &[&fields[..], &[("code_verifier", verifier)]].concat()).await
}

#[tokio::test]
async fn whoever_finds_a_public_clients_code_without_its_verifier_neither_burns_it_nor_cuts_what_came_of_it() {
    let server = Server::with_people().await;
    let code = Browser::new().code(&server, &Ask::public(), "alice").await;
    let guess = "a".repeat(43);
    let found = async || {
        for verifier in [guess.as_str(), "", CHALLENGE] {
            assert_invalid_grant(&redeem_public(&server, &code, verifier).await);
        }
    };
    found().await;
    let tokens = redeem_public(&server, &code, VERIFIER).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    found().await;
    assert!(server.knows(&tokens.field("access_token")).await);
    assert_invalid_grant(&redeem_public(&server, &code, VERIFIER).await);
    assert!(!server.knows(&tokens.field("access_token")).await, "its own client, again: everything is cut");
}

#[tokio::test]
async fn verifiers_can_be_tried_for_a_minute_and_no_longer() {
    let server = Server::with_people().await;
    let code = Browser::new().code(&server, &Ask::public(), "alice").await;
    for at in 0..60 {
        assert_invalid_grant(&redeem_public(&server, &code, &format!("{at:043}")).await);
        server.clock.advance(1);
    }
    let late = redeem_public(&server, &code, VERIFIER).await;
    insta::assert_snapshot!(late.seen(), @r#"400 {"error":"invalid_grant","error_description":"this code has expired"}"#);
}

#[tokio::test]
async fn a_code_gives_what_its_client_may_have_when_it_is_redeemed() {
    let (server, mut browser) = signed_in().await;
    let ask = Ask::new().with("scope", "openid read write").with("resource", API);
    let landed = browser.open(&server, &ask.target()).await;
    browser.allow(&server, landed).await.away();
    let code = browser.silent_code(&server, &ask).await;
    let settings = |access: &[(&str, &str)]| opalid_core::client::ClientSettings {
        access: machine(access).access,
        ..web_app("The App", &[CALLBACK])
    };
    server.update_client(APP.0, settings(&[(API, "read")])).await;
    let tokens = server.tokens(&code).await;
    assert_eq!(tokens.field("scope"), "openid read");
    let seen = server.introspect(API_SERVER, &tokens.field("access_token")).await;
    assert_eq!(seen.field("scope"), "read");

    server.update_client(APP.0, settings(&[(API, "read write")])).await;
    let code = browser.silent_code(&server, &ask).await;
    server.update_client(APP.0, settings(&[])).await;
    let refused = server.redeem(APP, &code, &[("resource", API)]).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_target","error_description":"resource https://api.example/ is not one this client may ask for: there is none"}"#);
    assert_eq!(server.tokens(&code).await.field("scope"), "openid");
}

#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    assert_invalid_grant(&server.redeem(APP, &code, &[("code_verifier", VERIFIER)]).await);
    server.tokens(&code).await;
}

#[tokio::test]
async fn a_code_lives_a_minute_by_the_clock() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    server.clock.advance(59);
    server.tokens(&code).await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    server.clock.advance(60);
    assert_invalid_grant(&server.redeem(APP, &code, &[]).await);
    server.clock.advance(-30);
    let code = browser.silent_code(&server, &Ask::new()).await;
    server.tokens(&code).await;
}

#[tokio::test]
async fn a_code_with_any_character_flipped_cut_or_added_is_unknown_and_the_code_itself_still_works() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    let reads = server.app.store.steps();
    for at in 0..code.len() {
        let mut changed = code.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert_invalid_grant(&server.redeem(APP, std::str::from_utf8(&changed).unwrap(), &[]).await);
    }
    for changed in [format!("{code}A"), format!("{code}="), format!(" {code}"), code.to_uppercase()] {
        assert_invalid_grant(&server.redeem(APP, &changed, &[]).await);
    }
    for end in 1..code.len() {
        assert_invalid_grant(&server.redeem(APP, &code[..end], &[]).await);
    }
    assert_eq!(server.app.store.steps(), reads, "refused before any look-up");
    server.tokens(&code).await;
}

#[tokio::test]
async fn no_kind_of_token_works_as_another() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    let token = server.tokens(&browser.silent_code(&server, &Ask::new()).await).await.field("access_token");
    assert_invalid_grant(&server.redeem(APP, &token, &[]).await);
    assert_invalid_grant(&server.redeem(APP, &token.replace("oat_", "oac_"), &[]).await);
    for no_token in [code.clone(), code.replace("oac_", "oat_")] {
        assert!(!server.knows(&no_token).await && !server.is_active(APP, &no_token).await);
    }
    let cookie = browser.cookie("opalid-default-session").unwrap();
    for no_token in [cookie.to_owned(), format!("oac_{cookie}"), format!("oat_{cookie}")] {
        assert_invalid_grant(&server.redeem(APP, &no_token, &[]).await);
        assert!(!server.is_active(APP, &no_token).await);
    }
    server.tokens(&code).await;
}

#[tokio::test]
async fn a_resource_at_the_token_endpoint_is_the_granted_one_or_refused_and_uses_nothing_up() {
    let (server, mut browser) = signed_in().await;
    server.resource("https://secret.example/", "read").await;
    let ask = Ask::new().with("scope", "openid read").with("resource", API);
    let landed = browser.open(&server, &ask.target()).await;
    browser.allow(&server, landed).await.away();
    let code = browser.silent_code(&server, &ask).await;
    let answer = server.redeem(APP, &code, &[("resource", API)]).await;
    assert!(server.is_active(API_SERVER, &answer.field("access_token")).await);
    for wrong in ["https://secret.example/", "https://nowhere.example/"] {
        let code = browser.silent_code(&server, &ask).await;
        assert_eq!(refusal(&server.redeem(APP, &code, &[("resource", wrong)]).await), (400, "invalid_target".into()));
        assert_eq!(server.redeem(APP, &code, &[("resource", API)]).await.status, 200);
    }
}

#[tokio::test]
async fn a_parameter_that_is_missing_or_repeated_is_told() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    for fields in [
        &[("code", code.as_str()), ("redirect_uri", CALLBACK)][..],
        &[("grant_type", "authorization_code"), ("redirect_uri", CALLBACK)],
        &[("grant_type", "authorization_code"), ("code", &code), ("code", &code), ("redirect_uri", CALLBACK)],
    ] {
        assert_eq!(refusal(&server.form_post_as(APP, "/token", fields).await), (400, "invalid_request".into()));
    }
    server.tokens(&code).await;
}

#[tokio::test]
async fn a_code_of_a_client_that_was_suspended_and_resumed_stays_dead() {
    let (server, mut browser) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    server.touch_client(APP.0, ClientEvent::Suspended).await;
    assert_eq!(refusal(&server.redeem(APP, &code, &[]).await), (401, "invalid_client".into()));
    server.touch_client(APP.0, ClientEvent::Resumed).await;
    assert_invalid_grant(&server.redeem(APP, &code, &[]).await);
}

#[tokio::test]
async fn of_eight_exchanges_of_one_code_at_once_at_most_one_succeeds_and_the_grant_ends_up_cut() {
    let (server, mut browser) = signed_in().await;
    for round in 0..12 {
        let code = browser.silent_code(&server, &Ask::new()).await;
        let answers = at_once(&server, &code, 8).await;
        let tokens: Vec<String> =
            answers.iter().filter(|answer| answer.status == 200).map(|answer| answer.field("access_token")).collect();
        assert!(tokens.len() <= 1, "round {round}: {} exchanges of one code succeeded", tokens.len());
        answers.iter().filter(|answer| answer.status != 200).for_each(assert_invalid_grant);
        for token in tokens {
            assert!(!server.is_active(APP, &token).await && !server.knows(&token).await, "round {round}: still alive");
        }
    }
}

/// The same exchange on so many connections at once.
async fn at_once(server: &Server, code: &str, times: usize) -> Vec<Answer> {
    use crate::support::http::{basic, encode, request};
    let body = encode(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)]);
    let mut tasks = Vec::new();
    for _ in 0..times {
        let (address, body, authorization) = (server.address, body.clone(), basic(APP));
        tasks.push(tokio::spawn(async move {
            let headers = [crate::support::server::FORM, ("authorization", authorization.as_str())];
            request(address, "POST", "/token", &headers, body.as_bytes()).await
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}
