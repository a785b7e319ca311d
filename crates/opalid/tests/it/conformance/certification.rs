//! The document for the certification suite in docs/apply.md, as it stands there; and what a module may ask for that is
//! not offered.

use opalid_core::apply::{Document, SecretSource};
use serde_json::{Value, json};

use super::decoded;
use crate::support::Server;
use crate::support::browser::{Browser, Landed};
use crate::support::html::Page;
use crate::support::http::{Answer, encode};
use crate::support::person::{Ask, refusal, value};

const DOCUMENTS: [(&str, &str); 3] = [
    ("apply.md", include_str!("../../../../../docs/apply.md")),
    ("run-it.md", include_str!("../../../../../docs/run-it.md")),
    ("sign-users-in.md", include_str!("../../../../../docs/sign-users-in.md")),
];
const SUITE: &str = "https://suite.example/test/a/opalid/callback";
const BYE: &str = "https://suite.example/test/a/opalid/post_logout_redirect";
const PASSWORD: &str = "a secret of LAB_PASSWORD";
const FIRST: (&str, &str) = ("suite-1", "a secret of SUITE_SECRET_1");
const SECOND: (&str, &str) = ("suite-2", "a secret of SUITE_SECRET_2");

/// The documents for `apply` that stand in a page of ours.
fn documents(page: &'static str) -> Vec<&'static str> {
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    blocks.filter(|block| block.contains("[[workspace]]")).collect()
}

/// The variables that a document names, each with a secret of its own.
fn variables(document: &str) -> Vec<(String, String)> {
    let document: Document = toml::from_str(document).unwrap();
    let named = document.secret_sources().into_iter().map(|source| match source {
        SecretSource::Env(name) => (name.clone(), format!("a secret of {name}")),
        SecretSource::File(path) => panic!("the file {path}"),
    });
    named.collect()
}

async fn apply(server: &Server, document: &str) -> usize {
    let variables = variables(document);
    let secrets: Vec<_> = variables.iter().map(|(name, secret)| (name.as_str(), secret.as_str())).collect();
    server.apply(document, &secrets).await.done.len()
}

/// The issuer of the suite.
async fn certification() -> Server {
    let server = Server::empty().await;
    let document =
        documents(DOCUMENTS[0].1).into_iter().find(|document| document.contains("\"certification\"")).unwrap();
    assert_eq!(apply(&server, document).await, 4, "a workspace, two clients and a person");
    server
}

fn target(client: (&str, &str), scope: &str) -> String {
    let fields = [("client_id", client.0), ("redirect_uri", SUITE), ("response_type", "code"), ("scope", scope)];
    format!("/certification/authorize?{}&state=s-1", encode(&fields))
}

/// A code for the lab user, through whatever pages there are.
async fn code(server: &Server, browser: &mut Browser, client: (&str, &str), scope: &str) -> String {
    let mut landed = browser.open(server, &target(client, scope)).await;
    while let Landed::Here(_, answer) = landed {
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = Page::parse(answer.text());
        let form = match page.has("allow") {
            true => page.form("allow"),
            false => page.form("sign-in").with("login", "lab").with("password", PASSWORD),
        };
        landed = browser.submit(server, &form).await;
    }
    let (base, parameters) = landed.away();
    assert_eq!((base.as_str(), value(&parameters, "state")), (SUITE, "s-1"));
    assert_eq!(value(&parameters, "iss"), format!("{}/certification", server.issuer));
    value(&parameters, "code").to_owned()
}

async fn by_basic(server: &Server, client: (&str, &str), fields: &[(&str, &str)]) -> Answer {
    server.form_post_as(client, "/certification/token", fields).await
}

async fn by_post(server: &Server, (id, secret): (&str, &str), fields: &[(&str, &str)]) -> Answer {
    let fields = [fields, &[("client_id", id), ("client_secret", secret)]].concat();
    server.form_post("/certification/token", &fields).await
}

fn redemption(code: &str) -> [(&str, &str); 3] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", SUITE)]
}

#[tokio::test]
async fn each_document_in_the_pages_of_ours_is_accepted_and_a_second_time_there_is_nothing_to_do() {
    let mut count = 0;
    for (name, page) in DOCUMENTS {
        for document in documents(page) {
            let server = Server::empty().await;
            assert!(apply(&server, document).await > 0, "{name}");
            assert_eq!(apply(&server, document).await, 0, "{name}");
            count += 1;
        }
    }
    assert_eq!(count, 4);
}

#[tokio::test]
async fn the_lab_user_has_every_profile_claim_and_the_clients_authenticate_both_ways() {
    let (server, mut browser) = (certification().await, Browser::new());
    let expected = json!({
        "name": "Lab Q. User", "given_name": "Lab", "family_name": "User", "middle_name": "Q.", "nickname": "Labby",
        "preferred_username": "lab", "profile": "https://people.example.com/lab",
        "picture": "https://people.example.com/lab.png", "website": "https://lab.example.com/", "gender": "female",
        "birthdate": "1990-04-01", "zoneinfo": "Europe/Berlin", "locale": "en-GB", "updated_at": 1_767_225_600,
        "email": "lab@example.com", "email_verified": true,
    });
    let mut subjects = Vec::new();
    for client in [FIRST, SECOND] {
        for basic in [true, false] {
            let code = code(&server, &mut browser, client, "openid profile email").await;
            let fields = redemption(&code);
            let tokens = match basic {
                true => by_basic(&server, client, &fields).await,
                false => by_post(&server, client, &fields).await,
            };
            assert_eq!(tokens.status, 200, "{tokens:?}");
            let bearer = format!("Bearer {}", tokens.field("access_token"));
            let userinfo = server.request("GET", "/certification/userinfo", &[("authorization", &bearer)], b"").await;
            let mut claims = userinfo.json();
            let subject = claims.as_object_mut().unwrap().remove("sub").unwrap();
            assert_eq!(claims, expected);
            let id_token = decoded(&tokens.field("id_token"));
            assert_eq!((&id_token["sub"], &id_token["aud"]), (&subject, &json!(client.0)));
            subjects.push(subject);
        }
    }
    assert!(subjects.iter().all(|subject| *subject == subjects[0]), "{subjects:?}");
}

#[tokio::test]
async fn a_refresh_token_of_one_suite_client_is_invalid_grant_to_the_other() {
    let (server, mut browser) = (certification().await, Browser::new());
    let code = code(&server, &mut browser, FIRST, "openid offline_access").await;
    let token = by_basic(&server, FIRST, &redemption(&code)).await.field("refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    assert_eq!(refusal(&by_basic(&server, SECOND, &fields).await), (400, "invalid_grant".into()));
    assert_eq!(refusal(&by_post(&server, SECOND, &fields).await), (400, "invalid_grant".into()));
    assert_eq!(by_post(&server, FIRST, &fields).await.status, 200);
    assert_eq!(by_basic(&server, FIRST, &fields).await.status, 200);
}

#[tokio::test]
async fn the_suite_signs_out_at_its_registered_address_with_state() {
    let (server, mut browser) = (certification().await, Browser::new());
    let code = code(&server, &mut browser, FIRST, "openid").await;
    let hint = by_post(&server, FIRST, &redemption(&code)).await.field("id_token");
    let with_query = format!("{BYE}?foo=bar");
    let fields = |address| [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", address), ("state", "s-2")];
    for wrong in ["https://suite.example/other", with_query.as_str()] {
        let answer = browser.get(&server, &format!("/certification/logout?{}", encode(&fields(wrong)))).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{wrong}");
    }
    let landed = browser.open(&server, &format!("/certification/logout?{}", encode(&fields(BYE)))).await;
    assert_eq!(landed.away(), (BYE.to_owned(), vec![("state".to_owned(), "s-2".to_owned())]));
    assert_eq!(browser.open(&server, &target(FIRST, "openid")).await.path(), "/certification/sign-in");
}

#[tokio::test]
async fn scopes_that_are_not_offered_are_left_out_and_the_answer_says_so() {
    let (server, mut browser) = (certification().await, Browser::new());
    for (asked, granted) in [
        ("openid address", "openid"),
        ("openid phone", "openid"),
        ("openid profile email address phone", "email openid profile"),
    ] {
        let code = code(&server, &mut browser, FIRST, asked).await;
        let tokens = by_basic(&server, FIRST, &redemption(&code)).await;
        assert_eq!(tokens.field("scope"), granted);
        let bearer = format!("Bearer {}", tokens.field("access_token"));
        let userinfo =
            server.request("GET", "/certification/userinfo", &[("authorization", &bearer)], b"").await.json();
        assert!(["address", "phone_number"].iter().all(|name| userinfo.get(name).is_none()), "{userinfo}");
    }
}

#[tokio::test]
async fn the_claims_parameter_changes_nothing() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let told = async |server: &Server, code: &str| -> (Value, Vec<String>) {
        let tokens = server.tokens(code).await;
        let id_token = decoded(&tokens.field("id_token"));
        let names = id_token.as_object().unwrap().keys().cloned().collect();
        (server.userinfo(&tokens.field("access_token")).await.json(), names)
    };
    let bare = browser.code(&server, &Ask::new(), "alice").await;
    let expected = told(&server, &bare).await;
    assert_eq!(expected.0.as_object().unwrap().len(), 1, "sub alone: {}", expected.0);
    for claims in [
        r#"{"userinfo":{"name":{"essential":true}}}"#,
        r#"{"id_token":{"email":null,"auth_time":{"essential":true},"acr":{"essential":true,"values":["urn:none:such"]}}}"#,
        r#"{"userinfo":{"sub":{"value":"somebody else"}},"id_token":{"sub":{"value":"somebody else"}}}"#,
        "{}",
        "null",
        "[1",
        "no JSON at all",
        "",
    ] {
        let ask = Ask::new().with("claims", claims);
        for ask in [ask.clone(), ask.clone().with("prompt", "none")] {
            let code = browser.silent_code(&server, &ask).await;
            assert_eq!(told(&server, &code).await, expected, "{claims}");
        }
        let answer = browser.post(&server, "/authorize", &ask.pairs()).await;
        let (_, parameters) = browser.follow(&server, "/authorize", answer).await.away();
        assert_eq!(told(&server, value(&parameters, "code")).await, expected, "{claims}");
        // On the way through the pages too.
        let mut other = Browser::new();
        let code = other.code(&server, &ask, "alice").await;
        assert_eq!(told(&server, &code).await, expected, "{claims}");
    }
}
