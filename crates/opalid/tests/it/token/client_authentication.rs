//! Client authentication (RFC 6749 §2.3), the same at token, introspection and revocation.

use opalid_store::steps::client::ClientEvent;
use serde_json::json;

use crate::apply::change;
use crate::support::browser::Browser;
use crate::support::person::{APP, Ask, LOOPBACK, PUBLIC, VERIFIER, refusal};
use crate::support::{CLIENT_CREDENTIALS, DEMO_API, FORM, Server, basic, machine};

/// The endpoints that authenticate clients, each with a form that is otherwise right.
const ENDPOINTS: [(&str, (&str, &str)); 3] =
    [("/token", CLIENT_CREDENTIALS), ("/introspect", ("token", "oat_x")), ("/revoke", ("token", "oat_x"))];

#[tokio::test]
async fn a_secret_is_taken_by_basic_and_by_post() {
    let server = Server::demo().await;
    let (client_id, secret) = DEMO_API;
    for (path, field) in ENDPOINTS {
        assert_eq!(server.form_post_as(DEMO_API, path, &[field]).await.status, 200, "{path}");
        let fields = [field, ("client_id", client_id), ("client_secret", secret)];
        assert_eq!(server.form_post(path, &fields).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_the_client_the_answer_is_the_same() {
    let server = Server::demo().await;
    server.client("gone", Some("ocs_gone"), machine(&[])).await;
    server.touch_client("gone", ClientEvent::Suspended).await;
    server.client("deleted", Some("ocs_deleted"), machine(&[("https://api.demo.example/", "read")])).await;
    server.token_of(("deleted", "ocs_deleted")).await;
    change(&server, "client", "delete", "deleted", json!({})).await;
    let (client_id, secret) = DEMO_API;
    for (path, field) in ENDPOINTS {
        let mut seen = Vec::new();
        for client in [
            (client_id, "ocs_wrong"),
            ("nobody", secret),
            ("gone", "ocs_gone"),
            ("deleted", "ocs_deleted"),
            ("demo-app", "x"),
        ] {
            let in_form = [field, ("client_id", client.0), ("client_secret", client.1)];
            seen.push((client, server.form_post_as(client, path, &[field]).await));
            seen.push((client, server.form_post(path, &in_form).await));
        }
        let no_secret = server.form_post(path, &[field, ("client_id", client_id)]).await;
        seen.push(((client_id, "none at all"), no_secret));
        let empty = (client_id, "");
        seen.push((empty, server.form_post_as(empty, path, &[field]).await));
        for (client, answer) in seen {
            let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", server.issuer);
            assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{path} {client:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            insta::allow_duplicates! {
                insta::assert_snapshot!(answer.seen(), @r#"401 {"error":"invalid_client","error_description":"unknown client, or its authentication failed"}"#);
            }
        }
    }
}

#[tokio::test]
async fn without_authentication_nobody_is_answered() {
    let server = Server::demo().await;
    for (path, field) in ENDPOINTS {
        let answer = server.form_post(path, &[field]).await;
        assert!(answer.header("www-authenticate").is_some());
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer.seen(), @r#"401 {"error":"invalid_client","error_description":"no client authentication: use HTTP Basic, or client_id in the form"}"#);
        }
    }
}

#[tokio::test]
async fn two_methods_at_once_are_refused_even_when_both_are_right() {
    let server = Server::demo().await;
    let (client_id, secret) = DEMO_API;
    for (path, field) in ENDPOINTS {
        for fields in
            [&[field, ("client_secret", secret)][..], &[field, ("client_id", client_id), ("client_secret", secret)]]
        {
            let answer = server.form_post_as(DEMO_API, path, fields).await;
            insta::allow_duplicates! {
                insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_request","error_description":"two ways of client authentication at once: use one"}"#);
            }
        }
    }
}

#[tokio::test]
async fn beside_basic_a_matching_client_id_is_fine_and_a_differing_one_refused() {
    let server = Server::demo().await;
    for (path, field) in ENDPOINTS {
        let same = server.form_post_as(DEMO_API, path, &[field, ("client_id", DEMO_API.0)]).await;
        assert_eq!(same.status, 200, "{path}");
        let other = server.form_post_as(DEMO_API, path, &[field, ("client_id", "demo-app")]).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(other.seen(), @r#"400 {"error":"invalid_request","error_description":"client_id differs from the one in the Authorization header"}"#);
        }
    }
}

/// As requests-oauthlib and golang.org/x/oauth2 do it.
#[tokio::test]
async fn basic_without_a_secret_is_a_public_client_that_names_itself() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let by_basic = (PUBLIC, "");
    let code = browser.code(&server, &Ask::public(), "alice").await;
    let fields = [("redirect_uri", LOOPBACK), ("code_verifier", VERIFIER)];
    let [address, verifier] = fields;
    let other = server.redeem(by_basic, &code, &[address, verifier, ("client_id", APP.0)]).await;
    assert_eq!(refusal(&other), (400, "invalid_request".into()));
    let answer = server.redeem(by_basic, &code, &[address, verifier, ("client_id", PUBLIC)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let refresh = answer.field("refresh_token");
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let answer = server.form_post_as(by_basic, "/token", &again).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.field("access_token");
    let asked = server.form_post_as(by_basic, "/introspect", &[("token", &token)]).await;
    assert_eq!(refusal(&asked), (400, "unauthorized_client".into()), "it proves nothing");
    assert_eq!(server.form_post_as(by_basic, "/revoke", &[("token", &token)]).await.seen(), "200");
    assert!(!server.knows(&token).await);
}

#[tokio::test]
async fn a_secret_in_the_query_does_not_count() {
    let server = Server::demo().await;
    for (path, field) in ENDPOINTS {
        let target = format!("{path}?client_id={}&client_secret={}", DEMO_API.0, DEMO_API.1);
        assert_eq!(server.form_post(&target, &[field]).await.status, 401, "{path}");
        let target = format!("{path}?client_secret={}", DEMO_API.1);
        assert_eq!(server.form_post(&target, &[field, ("client_id", DEMO_API.0)]).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn an_authorization_header_that_is_not_whole_basic_is_refused() {
    let server = Server::demo().await;
    let good = basic(DEMO_API);
    let body = b"grant_type=client_credentials";
    for bad in ["Basic", "Basic !", "Basic YWJj", "Bearer oat_x", "Digest x", &format!("{good}="), &format!("{good}A")]
    {
        let answer = server.request("POST", "/token", &[FORM, ("authorization", bad)], body).await;
        assert_eq!((answer.status, answer.field("error").as_str()), (401, "invalid_client"), "{bad}");
        assert!(answer.header("www-authenticate").is_some(), "{bad}");
    }
    let twice = [FORM, ("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(server.request("POST", "/token", &twice, body).await.status, 401);
    let lower = good.replace("Basic", "bAsIc");
    assert_eq!(server.request("POST", "/token", &[FORM, ("authorization", &lower)], body).await.status, 200);
}

#[tokio::test]
async fn basic_credentials_are_form_decoded() {
    let server = Server::demo().await;
    server.client("machine", Some("a+b c/%:"), machine(&[("https://api.demo.example/", "read")])).await;
    let encoded = ("m%61chine", "a%2Bb+c%2F%25%3A");
    assert_eq!(server.form_post_as(encoded, "/token", &[CLIENT_CREDENTIALS]).await.status, 200);
    assert_eq!(server.form_post_as(("machine", "a+b c/%:"), "/token", &[CLIENT_CREDENTIALS]).await.status, 401);
}
