//! Claims that a workspace declares: where they show, to whom, and what is refused.

use opalid_core::client::ClientSettings;
use opalid_core::token_settings::{AccessTokenFormat, TokenOverrides};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{API, API_SERVER, APP, Ask, CALLBACK, web_app};
use crate::support::{CLIENT_CREDENTIALS, Server, machine};
use crate::token::id_token::verified;

/// A person of whom more is known, and where each thing shows.
const DOCUMENT: &str = r#"
[[workspace]]
name = "default"

[workspace.claims.department]
from = "attribute.department"
show = ["id_token", "userinfo", "introspection", "access_token"]

[workspace.claims."https://example.com/region"]
value = "eu"
show = ["access_token"]

[workspace.claims.mail]
from = "user.email"
show = ["introspection"]
scope = "read"

[workspace.claims.how]
from = "grant.amr"
show = ["access_token"]

[workspace.claims.secret_level]
from = "attribute.level"

[[workspace.user]]
username = "alice"
claims = { email = "alice@mail.example", attributes = { department = "sales", level = 7 } }
"#;

async fn server() -> Server {
    let server = Server::with_people().await;
    server.apply(DOCUMENT, &[]).await;
    server
}

async fn tokens(server: &Server, scope: &str) -> Answer {
    let ask = Ask::new().with("scope", scope).with("resource", API);
    let code = Browser::new().code(server, &ask, "alice").await;
    server.tokens(&code).await
}

/// The claims of these names, of an object.
fn of(object: &Value) -> Vec<String> {
    let ours = ["department", "https://example.com/region", "mail", "how", "secret_level", "attributes"];
    ours.iter().filter(|name| object.get(**name).is_some()).map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_claim_shows_where_it_is_declared_and_nowhere_else() {
    let server = server().await;
    let answer = tokens(&server, "openid read").await;
    let (_, id_token) = verified(&answer.field("id_token"), &server.get("/jwks").await.json());
    assert_eq!((of(&id_token), &id_token["department"]), (vec!["department".to_owned()], &json!("sales")));
    let opaque = answer.field("access_token");
    let userinfo = server.userinfo(&opaque).await.json();
    assert_eq!((of(&userinfo), &userinfo["department"]), (vec!["department".to_owned()], &json!("sales")));
    let seen = server.introspect(API_SERVER, &opaque).await.json();
    assert_eq!(of(&seen), ["department", "mail"]);
    assert_eq!(seen["mail"], "alice@mail.example");

    let tokens_of = TokenOverrides { access_token_format: Some(AccessTokenFormat::Jwt), ..Default::default() };
    server.update_client(APP.0, ClientSettings { tokens: tokens_of, ..web_app("The App", &[CALLBACK]) }).await;
    let jwt = tokens(&server, "openid read").await.field("access_token");
    let (_, claims) = verified(&jwt, &server.get("/jwks").await.json());
    assert_eq!(of(&claims), ["department", "https://example.com/region", "how"]);
    assert_eq!(claims["how"], json!(["pwd"]));
    assert_eq!(of(&server.introspect(API_SERVER, &jwt).await.json()), ["department", "mail"]);
}

#[tokio::test]
async fn a_claim_with_a_scope_shows_only_with_it_and_what_nobody_has_is_absent() {
    let server = server().await;
    let opaque = tokens(&server, "openid write").await.field("access_token");
    assert_eq!(of(&server.introspect(API_SERVER, &opaque).await.json()), ["department"]);
    server.client("machine", Some("ocs_machine"), machine(&[(API, "read")])).await;
    let fields = [CLIENT_CREDENTIALS];
    let alone = server.form_post_as(("machine", "ocs_machine"), "/token", &fields).await.field("access_token");
    assert!(of(&server.introspect(API_SERVER, &alone).await.json()).is_empty(), "there is no person");
}

#[tokio::test]
async fn a_change_of_what_is_known_shows_in_the_next_answer() {
    let server = server().await;
    let opaque = tokens(&server, "openid read").await.field("access_token");
    server.apply(&DOCUMENT.replace("\"sales\"", "\"research\""), &[]).await;
    assert_eq!(server.introspect(API_SERVER, &opaque).await.json()["department"], "research");
    server.settings("").await.unwrap();
    server.settings("require_pkce = false").await.unwrap();
    assert!(of(&server.introspect(API_SERVER, &opaque).await.json()).is_empty(), "none is declared any more");
}

#[tokio::test]
async fn a_token_that_would_be_too_long_is_refused_rather_than_made() {
    let server = Server::with_people().await;
    let many: String = (0..20)
        .map(|n| format!("[workspace.claims.c{n}]\nvalue = \"{}\"\nshow = [\"access_token\"]\n", "x".repeat(900)))
        .collect();
    server.apply(&format!("[[workspace]]\nname = \"default\"\naccess_token_format = \"jwt\"\n{many}"), &[]).await;
    server.client("machine", Some("ocs_machine"), machine(&[(API, "read")])).await;
    let answer = server.form_post_as(("machine", "ocs_machine"), "/token", &[CLIENT_CREDENTIALS]).await;
    assert_eq!((answer.status, answer.field("error").as_str()), (500, "server_error"));
}
