//! What JWT access tokens say of several resources and of roles, and when that is too much.

use serde_json::{Value, json};

use super::id_token::verified;
use crate::apply::change;
use crate::manage::why;
use crate::support::browser::Browser;
use crate::support::person::{API, API_SERVER, APP, Ask};
use crate::support::{CLIENT_CREDENTIALS, Server, machine, serving};

const BOOKS: &str = "https://books.example/";
const MAIL: &str = "https://mail.example/";
const MACHINE: (&str, &str) = ("machine", "ocs_machine-secret");
const BOOKS_SERVER: (&str, &str) = ("books", "ocs_books-secret");
const MAIL_SERVER: (&str, &str) = ("mail", "ocs_mail-secret");

/// Two APIs whose tokens are JWTs: one has `read` and `lend`, the other `read` and `send`.
async fn two() -> Server {
    let server = Server::empty().await;
    for (uri, scopes, of) in [(BOOKS, "read lend", BOOKS_SERVER), (MAIL, "read send", MAIL_SERVER)] {
        server.resource(uri, scopes).await;
        let fields = json!({"access_token_format": "jwt", "introspects_jwts": true});
        change(&server, "resource", "update", uri, fields).await;
        server.client(of.0, Some(of.1), serving(&[uri])).await;
    }
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(BOOKS, "read lend"), (MAIL, "read send")])).await;
    server
}

async fn for_both(server: &Server, scope: &str) -> String {
    let fields = [CLIENT_CREDENTIALS, ("resource", BOOKS), ("resource", MAIL), ("scope", scope)];
    let answer = server.form_post_as(MACHINE, "/token", &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.field("access_token")
}

fn is_jwt(token: &str) -> bool {
    token.contains('.')
}

async fn claims(server: &Server, token: &str) -> Value {
    verified(token, &server.get("/jwks").await.json()).1
}

#[tokio::test]
async fn a_jwt_for_two_resources_names_both_and_each_server_sees_its_own_part() {
    let server = two().await;
    let token = for_both(&server, "lend send").await;
    let claims = claims(&server, &token).await;
    let mut audience: Vec<&str> = claims["aud"].as_array().unwrap().iter().map(|uri| uri.as_str().unwrap()).collect();
    audience.sort_unstable();
    assert_eq!((audience, &claims["scope"]), (vec![BOOKS, MAIL], &json!("lend send")));
    for (who, uri, scope) in [(BOOKS_SERVER, BOOKS, "lend"), (MAIL_SERVER, MAIL, "send")] {
        let seen = server.introspect(who, &token).await.json();
        assert_eq!((&seen["aud"], &seen["scope"], &seen["jti"]), (&json!(uri), &json!(scope), &claims["jti"]));
    }
}

#[tokio::test]
async fn where_one_list_of_scopes_would_say_too_much_of_a_resource_the_token_is_opaque() {
    let server = two().await;
    let access = json!({"access": {BOOKS: "read lend", MAIL: "send"}});
    change(&server, "client", "update", MACHINE.0, access).await;
    assert!(is_jwt(&for_both(&server, "lend send").await));
    let token = for_both(&server, "read send").await;
    assert!(!is_jwt(&token), "MAIL has a scope read too, and would take it for its own");
    assert_eq!(server.introspect(MAIL_SERVER, &token).await.json()["scope"], "send");
    assert_eq!(server.introspect(BOOKS_SERVER, &token).await.json()["scope"], "read");
}

#[tokio::test]
async fn resources_that_disagree_or_of_which_one_wants_encryption_get_an_opaque_token() {
    let server = two().await;
    change(&server, "resource", "update", MAIL, json!({"access_token_format": "opaque"})).await;
    assert!(!is_jwt(&for_both(&server, "lend send").await));
    change(&server, "resource", "update", MAIL, json!({"access_token_format": "jwt", "access_token_lifetime": 100}))
        .await;
    let token = for_both(&server, "lend send").await;
    let claims = claims(&server, &token).await;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 100, "the shortest");
    let jwks = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "use": "enc",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    }]});
    let encrypted = json!({"jwks": jwks, "access_token_encryption_alg": "ECDH-ES"});
    change(&server, "resource", "update", MAIL, encrypted).await;
    assert!(!is_jwt(&for_both(&server, "lend send").await));
}

#[tokio::test]
async fn resources_that_want_different_algorithms_get_an_opaque_token_unless_the_client_wants_one_itself() {
    let server = two().await;
    let set = async |kind: &str, name: &str, alg: Value| {
        change(&server, kind, "update", name, json!({"access_token_signing_alg": alg})).await;
    };
    let alg = async || {
        let token = for_both(&server, "lend send").await;
        let keys = server.get("/jwks").await.json();
        is_jwt(&token).then(|| verified(&token, &keys).0["alg"].as_str().unwrap().to_owned())
    };
    set("resource", MAIL, json!("ES256")).await;
    assert_eq!(alg().await, None, "the other one reads what the workspace says");
    set("resource", BOOKS, json!("EdDSA")).await;
    assert_eq!(alg().await, None);
    set("resource", BOOKS, json!("ES256")).await;
    assert_eq!(alg().await.as_deref(), Some("ES256"));
    set("resource", BOOKS, json!("EdDSA")).await;
    set("client", MACHINE.0, json!("PS256")).await;
    assert_eq!(alg().await.as_deref(), Some("PS256"), "a client's own comes first");
}

#[tokio::test]
async fn a_jwt_for_two_resources_dies_when_one_of_them_goes() {
    let server = two().await;
    let token = for_both(&server, "lend send").await;
    change(&server, "client", "update", MACHINE.0, json!({"access": {BOOKS: "lend", MAIL: "read"}})).await;
    for who in [BOOKS_SERVER, MAIL_SERVER] {
        assert!(!server.is_active(who, &token).await, "it cannot be told to be for the other alone");
    }
    change(&server, "client", "update", MACHINE.0, json!({"access": {BOOKS: "lend", MAIL: "send"}})).await;
    assert!(server.is_active(BOOKS_SERVER, &token).await && server.is_active(MAIL_SERVER, &token).await);
}

#[tokio::test]
async fn a_claim_that_goes_with_a_scope_is_not_shown_to_an_audience_that_has_it_not() {
    let server = two().await;
    let show = json!(["access_token", "introspection"]);
    let claims_of = json!({"claims": {
        "of_send": {"value": "s", "show": show, "scope": "send"}, "of_read": {"value": "r", "show": show, "scope": "read"},
    }});
    change(&server, "workspace", "update", "default", claims_of).await;
    let token = for_both(&server, "read send").await;
    let claims = claims(&server, &token).await;
    assert_eq!((claims.get("of_send"), claims.get("of_read")), (None, Some(&json!("r"))), "both read all of it");
    assert_eq!(server.introspect(MAIL_SERVER, &token).await.json()["of_send"], "s");
    assert_eq!(server.introspect(BOOKS_SERVER, &token).await.json().get("of_send"), None);
}

/// An API that asks for roles and takes JWTs; alice reads and writes.
async fn with_roles() -> Server {
    let server = Server::with_people().await;
    let fields = json!({"access_token_format": "jwt", "introspects_jwts": true, "requires_roles": true});
    change(&server, "resource", "update", API, fields).await;
    for (name, scopes) in [("reader", "read"), ("writer", "write")] {
        change(&server, "role", "create", name, json!({"permissions": {API: scopes}})).await;
    }
    hold(&server, &["reader", "writer"]).await;
    server
}

async fn hold(server: &Server, roles: &[&str]) {
    change(server, "user", "update", "alice", json!({"roles": roles})).await;
}

async fn sign_in(server: &Server) -> String {
    let ask = Ask::new().with("scope", "openid read write").with("resource", API);
    server.tokens(&Browser::new().code(server, &ask, "alice").await).await.field("access_token")
}

#[tokio::test]
async fn a_jwt_that_a_role_carried_is_inactive_while_the_role_is_gone() {
    let server = with_roles().await;
    let token = sign_in(&server).await;
    assert_eq!(claims(&server, &token).await["scope"], "openid read write");
    for (roles, active) in
        [(&["reader"][..], false), (&["reader", "writer"], true), (&[], false), (&["writer", "reader"], true)]
    {
        hold(&server, roles).await;
        assert_eq!(server.is_active(API_SERVER, &token).await, active, "{roles:?}");
        assert_eq!(server.is_active(APP, &token).await, active, "{roles:?}");
        assert_eq!(server.knows(&token).await, active, "{roles:?}");
    }
    change(&server, "role", "delete", "writer", json!({})).await;
    assert!(!server.is_active(API_SERVER, &token).await);
    change(&server, "role", "create", "writer", json!({"permissions": {API: "write"}})).await;
    assert!(!server.is_active(API_SERVER, &token).await, "another role of that name");
    hold(&server, &["reader", "writer"]).await;
    assert!(server.is_active(API_SERVER, &token).await, "it may do again what it says");
}

#[tokio::test]
async fn a_jwt_says_what_roles_permit_when_it_is_issued_and_stays_that_narrow() {
    let server = with_roles().await;
    hold(&server, &["reader"]).await;
    let token = sign_in(&server).await;
    assert_eq!(claims(&server, &token).await["scope"], "openid read");
    hold(&server, &["reader", "writer"]).await;
    assert_eq!(server.introspect(API_SERVER, &token).await.json()["scope"], "read");
}

#[tokio::test]
async fn roles_show_where_they_are_declared_as_a_claim_and_as_they_are_today() {
    let server = with_roles().await;
    let claims_of =
        json!({"claims": {"roles": {"from": "roles", "show": ["introspection", "access_token", "id_token"]}}});
    change(&server, "workspace", "update", "default", claims_of).await;
    let token = sign_in(&server).await;
    let said = claims(&server, &token).await;
    assert_eq!((&said["roles"], &said["role_claims"]), (&json!(["reader", "writer"]), &json!(["roles"])));
    change(&server, "role", "create", "auditor", json!({})).await;
    hold(&server, &["writer", "reader", "auditor"]).await;
    let seen = server.introspect(API_SERVER, &token).await.json();
    assert_eq!(seen["roles"], json!(["auditor", "reader", "writer"]));
    assert_eq!(claims(&server, &token).await["roles"], json!(["reader", "writer"]), "a JWT says what was");

    let token = sign_in(&server).await;
    assert_eq!(claims(&server, &token).await["roles"], json!(["auditor", "reader", "writer"]));
    for (roles, active) in [(&["reader", "writer"][..], false), (&["reader", "writer", "auditor"], true)] {
        hold(&server, roles).await;
        assert_eq!(
            server.is_active(API_SERVER, &token).await,
            active,
            "it names a role that permits nothing: {roles:?}"
        );
    }
}

/// Changes what the workspace declares of claims.
async fn declare(server: &Server, claims: Value) {
    change(server, "workspace", "update", "default", json!({ "claims": claims })).await;
}

#[tokio::test]
async fn a_jwt_that_names_a_role_which_is_gone_is_inactive_whatever_the_claim_is_called_by_now() {
    for (what, changed) in [
        ("renamed", json!({"roles": null, "groups": {"from": "roles", "show": ["access_token"]}})),
        ("removed", json!({"roles": null})),
        ("shown elsewhere", json!({"roles": {"show": ["introspection"]}})),
        ("of another source", json!({"roles": {"from": null, "value": ["x"]}})),
    ] {
        let server = with_roles().await;
        change(&server, "role", "create", "auditor", json!({})).await;
        hold(&server, &["reader", "writer", "auditor"]).await;
        declare(&server, json!({"roles": {"from": "roles", "show": ["access_token"]}})).await;
        let token = sign_in(&server).await;
        declare(&server, changed).await;
        assert!(server.is_active(API_SERVER, &token).await, "{what}: it names nothing that is gone");
        hold(&server, &["reader", "writer"]).await;
        assert!(!server.is_active(API_SERVER, &token).await && !server.knows(&token).await, "{what}");
        hold(&server, &["reader", "writer", "auditor"]).await;
        assert!(server.is_active(API_SERVER, &token).await, "{what}: held again");
    }
}

#[tokio::test]
async fn a_jwt_whose_claim_named_no_roles_is_not_judged_by_it_once_it_does() {
    let server = with_roles().await;
    declare(&server, json!({"groups": {"from": "roles", "show": ["access_token"]}})).await;
    declare(&server, json!({"groups": {"from": null, "value": ["staff"]}})).await;
    let token = sign_in(&server).await;
    let said = claims(&server, &token).await;
    assert_eq!((&said["groups"], said.get("role_claims")), (&json!(["staff"]), None));
    assert!(server.is_active(API_SERVER, &token).await);
    declare(&server, json!({"groups": {"from": "roles", "value": null}})).await;
    assert!(server.is_active(API_SERVER, &token).await, "staff is no role");
}

#[tokio::test]
async fn the_inspector_names_the_roles_that_a_jwt_says_too_many() {
    let server = with_roles().await;
    let claims_of = json!({"claims": {"roles": {"from": "roles", "show": ["access_token"]}}});
    change(&server, "workspace", "update", "default", claims_of).await;
    for name in ["auditor", "keeper"] {
        change(&server, "role", "create", name, json!({})).await;
    }
    hold(&server, &["reader", "writer", "auditor", "keeper"]).await;
    let token = sign_in(&server).await;
    assert_eq!(why(&server, &token).await, None);
    hold(&server, &["reader", "writer"]).await;
    let too_much = "it says more than it may today: roles auditor keeper";
    assert_eq!(why(&server, &token).await.as_deref(), Some(too_much));
    hold(&server, &["reader", "auditor", "keeper"]).await;
    let too_much = "it says more than it may today: scope write, roles writer";
    assert_eq!(why(&server, &token).await.as_deref(), Some(too_much));
    hold(&server, &["reader", "writer", "auditor", "keeper"]).await;
    assert_eq!(why(&server, &token).await, None);
}

#[tokio::test]
async fn the_inspector_says_of_a_jwt_for_two_that_it_is_too_much_at_one_of_them() {
    let server = two().await;
    change(&server, "resource", "update", BOOKS, json!({"scopes": "lend"})).await;
    let access = json!({"access": {BOOKS: "lend", MAIL: "read send"}});
    change(&server, "client", "update", MACHINE.0, access).await;
    let token = for_both(&server, "lend read").await;
    assert!(is_jwt(&token));
    change(&server, "resource", "update", BOOKS, json!({"scopes": "lend read"})).await;
    let too_much = "it says more than it may today: at one of its resources";
    assert_eq!(why(&server, &token).await.as_deref(), Some(too_much));
}
