//! client_credentials (RFC 6749 §4.4), with resources (RFC 8707).

use opalid::manage::{Command, Request, handle};
use opalid_core::client::ClientSettings;
use opalid_core::grant::{ENTITLEMENTS_MAX, Entitlement};
use opalid_core::request::GrantType;
use opalid_core::scope::Scopes;
use opalid_store::steps::standing::child_of;

use crate::support::{CLIENT_CREDENTIALS, DEMO_API, Server, machine};

const A: &str = "https://a.example/";
const B: &str = "https://b.example/v1";
const MACHINE: (&str, &str) = ("machine", "ocs_machine");

/// Two resources; a client that may have both, with A as its default.
async fn server() -> Server {
    let server = Server::empty().await;
    server.resource(A, "read write").await;
    server.resource(B, "read audit").await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(A, "read write"), (B, "audit")])).await;
    server
}

#[tokio::test]
async fn the_answer_is_an_opaque_token_with_its_lifetime_and_scope() {
    let server = server().await;
    let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let token = answer.field("access_token");
    assert!(token.starts_with("oat_") && token.len() < 100, "{token}");
    let seen = answer.seen().replace(&token, "oat_…");
    insta::assert_snapshot!(seen, @r#"200 {"access_token":"oat_…","token_type":"Bearer","expires_in":3600,"scope":"read write"}"#);
}

#[tokio::test]
async fn each_token_is_new_and_none_is_written_down() {
    let server = server().await;
    let first = server.token_of(MACHINE).await;
    let before = (server.app.store.steps(), server.app.store.reads());
    for _ in 0..5 {
        assert_ne!(server.token_of(MACHINE).await, first);
    }
    assert_eq!((server.app.store.steps(), server.app.store.reads()), before, "steps and reads");
}

#[tokio::test]
async fn the_client_gets_its_default_resource_or_the_one_it_names() {
    let server = server().await;
    for (fields, aud, scope) in [
        (&[][..], A, "read write"),
        (&[("resource", A)], A, "read write"),
        (&[("resource", B)], B, "audit"),
        (&[("resource", A), ("scope", "write")], A, "write"),
        (&[("resource", A), ("resource", A)], A, "read write"),
    ] {
        let fields = [&[CLIENT_CREDENTIALS], fields].concat();
        let answer = server.form_post_as(MACHINE, "/token", &fields).await;
        assert_eq!(answer.status, 200, "{fields:?} {answer:?}");
        assert_eq!(answer.field("scope"), scope, "{fields:?}");
        let facts = server.introspect(MACHINE, &answer.field("access_token")).await.json();
        assert_eq!((facts["aud"].as_str(), facts["scope"].as_str()), (Some(aud), Some(scope)), "{fields:?}");
    }
}

#[tokio::test]
async fn an_unknown_resource_is_refused_with_those_the_client_may_name() {
    let server = server().await;
    server.resource("https://c.example/", "read").await;
    // Not registered, registered but not for this client, and not the same text: nobody can tell which.
    for resource in ["https://nowhere.example/", "https://c.example/", "https://a.example", "HTTPS://a.example/"] {
        let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS, ("resource", resource)]).await;
        let seen = answer.seen().replacen(resource, "(resource)", 1);
        insta::allow_duplicates! {
            insta::assert_snapshot!(seen, @r#"400 {"error":"invalid_target","error_description":"resource (resource) is not one this client may ask for: https://a.example/, https://b.example/v1"}"#);
        }
    }
    for malformed in ["a", "https://a.example/#f", "https://a.example/ "] {
        let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS, ("resource", malformed)]).await;
        assert_eq!((answer.status, answer.field("error").as_str()), (400, "invalid_target"), "{malformed}");
    }
}

#[tokio::test]
async fn without_any_default_a_resource_has_to_be_named() {
    let server = server().await;
    let settings = ClientSettings { default_resources: Vec::new(), ..machine(&[(A, "read"), (B, "audit")]) };
    server.client("choosy", Some("ocs_choosy"), settings).await;
    server.client("poor", Some("ocs_poor"), machine(&[])).await;
    let answer = server.form_post_as(("choosy", "ocs_choosy"), "/token", &[CLIENT_CREDENTIALS]).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_target","error_description":"name a resource this client may ask for: https://a.example/, https://b.example/v1"}"#);
    let answer = server.form_post_as(("poor", "ocs_poor"), "/token", &[CLIENT_CREDENTIALS]).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_target","error_description":"this client may not ask for any resource"}"#);
}

#[tokio::test]
async fn a_scope_the_client_may_not_have_is_refused_not_left_out() {
    let server = server().await;
    let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS, ("scope", "read delete")]).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope delete is not one this client may have at https://a.example/: read write"}"#);
    // B has the scope `read`, but not for this client.
    let fields = [CLIENT_CREDENTIALS, ("resource", B), ("scope", "read")];
    let answer = server.form_post_as(MACHINE, "/token", &fields).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope read is not one this client may have at https://b.example/v1: audit; for it send resource=https://a.example/"}"#);
    for malformed in ["a\"b", "a\\b", "ü"] {
        let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS, ("scope", malformed)]).await;
        assert_eq!((answer.status, answer.field("error").as_str()), (400, "invalid_scope"), "{malformed}");
    }
}

#[tokio::test]
async fn openid_scopes_need_a_person() {
    let server = server().await;
    let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS, ("scope", "openid read")]).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope openid needs a person; client_credentials has none"}"#);
}

#[tokio::test]
async fn a_public_client_cannot_ask_for_itself() {
    let server = Server::demo().await;
    let fields = [CLIENT_CREDENTIALS, ("client_id", "demo-app")];
    let not_allowed = server.form_post("/token", &fields).await;
    insta::assert_snapshot!(not_allowed.seen(), @r#"400 {"error":"unauthorized_client","error_description":"this client may not use grant_type client_credentials"}"#);
    let settings = ClientSettings {
        kind: opalid_core::client::ClientKind::Public,
        grant_types: vec![GrantType::ClientCredentials],
        ..machine(&[("https://api.demo.example/", "read")])
    };
    server.client("misconfigured", None, settings).await;
    let fields = [CLIENT_CREDENTIALS, ("client_id", "misconfigured")];
    let proves_nothing = server.form_post("/token", &fields).await;
    insta::assert_snapshot!(proves_nothing.seen(), @r#"400 {"error":"unauthorized_client","error_description":"a public client cannot ask for itself: it proves nothing"}"#);
}

#[tokio::test]
async fn the_demo_client_gets_a_token_for_the_demo_resource() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let facts = server.introspect(DEMO_API, &token).await.json();
    assert_eq!(facts["aud"], "https://api.demo.example/");
    assert_eq!(facts["scope"], "read write");
}

#[tokio::test]
async fn a_client_that_asked_for_too_many_combinations_keeps_what_it_had_hurts_nobody_and_is_cleared_by_a_revocation() {
    let server = Server::empty().await;
    let names: Vec<String> = (0..14).map(|number| format!("s{number}")).collect();
    let every = names.join(" ");
    server.resource(A, &every).await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(A, &every)])).await;
    server.client("other", Some("ocs_other"), machine(&[(A, &every)])).await;
    let resource = server.app.store.find_resource(server.app.root, A).await.unwrap().unwrap().id;
    let combinations = (1_u32..1 << names.len()).map(|bits| {
        let chosen = names.iter().enumerate().filter(|(at, _)| bits & 1 << at != 0).map(|(_, name)| name.as_str());
        Scopes::parse(&chosen.collect::<Vec<_>>().join(" ")).unwrap()
    });
    // The first fill the grant, the others one of its children.
    let of_one_child = |scopes: &Scopes| {
        child_of(&Entitlement::new(Scopes::default(), vec![(resource, scopes.clone())])).unwrap() == 7
    };
    let combinations: Vec<Scopes> = combinations.filter(of_one_child).take(2 * ENTITLEMENTS_MAX + 1).collect();
    let ask = async |client, scopes: &Scopes| {
        server.form_post_as(client, "/token", &[CLIENT_CREDENTIALS, ("scope", scopes.as_str())]).await
    };
    let (one_more, held) = combinations.split_last().unwrap();
    for scopes in held {
        assert_eq!(ask(MACHINE, scopes).await.status, 200);
    }
    let token = ask(MACHINE, held.last().unwrap()).await.field("access_token");
    let refused = ask(MACHINE, one_more).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_scope","error_description":"this client has asked for too many different combinations of scopes: ask for one it had before; whoever runs this server can clear them: opalid revoke client"}"#);
    for scopes in [&held[0], held.last().unwrap()] {
        assert_eq!(ask(MACHINE, scopes).await.status, 200, "{scopes}");
    }
    assert_eq!(ask(("other", "ocs_other"), one_more).await.status, 200);
    assert!(server.is_active(MACHINE, &token).await);

    let command = Command::RevokeClient { client_id: MACHINE.0.into() };
    handle(&server.app, Request { workspace: None, command }).await.unwrap();
    assert!(!server.is_active(MACHINE, &token).await);
    assert_eq!(ask(MACHINE, one_more).await.status, 200);
}
