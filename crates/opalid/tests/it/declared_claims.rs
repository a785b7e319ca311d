//! Claims that a workspace declares: where they show, to whom, and what is refused.

use opalid_core::client::ClientSettings;
use opalid_core::scope::Scopes;
use opalid_core::token_settings::{AccessTokenFormat, TokenOverrides};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{API, API_SERVER, APP, Ask, CALLBACK, web_app};
use crate::support::{CLIENT_CREDENTIALS, Server, machine, serving};
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

/// Claims that go with scopes of the issuer, and with one of a resource.
const CLAIMS: &str = r#"
[workspace.claims.mail]
from = "user.email"
show = ["introspection", "access_token"]
scope = "email"

[workspace.claims.named]
from = "user.username"
show = ["introspection", "access_token"]
scope = "profile"

[workspace.claims.of_more]
value = "more"
show = ["introspection"]
scope = "more"

[[workspace.user]]
username = "alice"
claims = { email = "alice@mail.example" }
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
async fn a_claim_with_an_openid_scope_shows_at_introspection_to_whoever_is_told_of_the_token() {
    let server = Server::with_people().await;
    let more = "https://more.example/";
    server.resource(more, "more").await;
    server.client("more", Some("ocs_more"), serving(&[more])).await;
    let access = [(API, "read write"), (more, "more")].map(|(uri, may)| (uri.to_owned(), Scopes::parse(may).unwrap()));
    for format in ["opaque", "jwt"] {
        server
            .apply(&format!("[[workspace]]\nname = \"default\"\naccess_token_format = \"{format}\"\n{CLAIMS}"), &[])
            .await;
        server
            .update_client(APP.0, ClientSettings { access: access.clone().into(), ..web_app("The App", &[CALLBACK]) })
            .await;
        let told = async |caller: (&str, &str), token: &str| {
            let seen = server.introspect(caller, token).await.json();
            let claims = ["mail", "named", "of_more"].into_iter().filter(|name| seen.get(*name).is_some());
            (claims.collect::<Vec<_>>().join(" "), seen["scope"].as_str().unwrap_or("").to_owned())
        };
        let both = async |scope: &str| {
            let ask = Ask::new().with("scope", scope).with("resource", API).and("resource", more);
            server.tokens(&Browser::new().code(&server, &ask, "alice").await).await
        };
        let answer = both("openid email read more").await;
        let token = answer.field("access_token");
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*answer.field("refresh_token"))];
        let one = server.form_post_as(APP, "/token", &[&refresh[..], &[("resource", API)]].concat()).await;
        let one = one.field("access_token");
        for token in [&token, &one] {
            assert_eq!(token.contains('.'), format == "jwt");
            assert_eq!(told(API_SERVER, token).await, ("mail".into(), "read".into()), "{format}");
        }
        assert_eq!(told(("more", "ocs_more"), &token).await, ("mail of_more".into(), "more".into()));
        assert_eq!(told(APP, &token).await, ("mail of_more".into(), "email more openid read".into()));
        assert!(!server.is_active(("more", "ocs_more"), &one).await);
        let without = both("openid read more").await.field("access_token");
        assert_eq!(told(API_SERVER, &without).await, (String::new(), "read".into()), "it was not granted");
    }
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
async fn claims_that_make_a_jwt_too_long_cost_nobody_a_sign_in() {
    let server = Server::with_people().await;
    let many: String = (0..20)
        .map(|n| {
            let value = "x".repeat(900);
            format!("[workspace.claims.c{n}]\nvalue = \"{value}\"\nshow = [\"access_token\", \"id_token\"]\n")
        })
        .collect();
    server.apply(&format!("[[workspace]]\nname = \"default\"\naccess_token_format = \"jwt\"\n{many}"), &[]).await;
    let answer = tokens(&server, "openid read").await;
    let token = answer.field("access_token");
    assert!(token.starts_with("oat_") && server.is_active(API_SERVER, &token).await, "opaque: {token}");
    let (_, id_token) = verified(&answer.field("id_token"), &server.get("/jwks").await.json());
    assert!(id_token.get("c1").is_none() && id_token["sub"].is_string());
    let hint = Ask::new().with("prompt", "none").with("id_token_hint", &answer.field("id_token"));
    assert_eq!(Browser::new().error(&server, &hint).await, "login_required", "it can be read back");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &*answer.field("refresh_token"))];
    assert_eq!(server.form_post_as(APP, "/token", &fields).await.status, 200);
}

#[tokio::test]
async fn more_than_64_kib_of_claims_of_one_token_are_refused_and_named_and_nothing_is_said_by_half() {
    let server = Server::with_people().await;
    let texts = vec![format!("{:?}", "x".repeat(1000)); 30].join(", ");
    let claims = |n: usize| -> String {
        let claim = |n| {
            format!("[workspace.claims.c{n}]\nfrom = \"attribute.long\"\nshow = [\"introspection\", \"userinfo\"]\n")
        };
        (0..n).map(claim).collect()
    };
    let document = |n| {
        let user =
            format!("[[workspace.user]]\nusername = \"alice\"\nclaims = {{ attributes = {{ long = [{texts}] }} }}\n");
        format!("[[workspace]]\nname = \"default\"\n{}{user}", claims(n))
    };
    server.apply(&document(2), &[]).await;
    let token = tokens(&server, "openid read").await.field("access_token");
    let seen = server.introspect(API_SERVER, &token).await.json();
    assert_eq!((seen["active"].as_bool(), seen["c1"].as_array().unwrap().len()), (Some(true), 30));
    assert_eq!(server.userinfo(&token).await.status, 200);
    server.apply(&document(3), &[]).await;
    let said = "longer than 65536 bytes together, which is the most; the longest are c0 (30";
    server.client("machine", Some("ocs_machine"), machine(&[(API, "read")])).await;
    let both = format!("{token} {}", server.token_of(("machine", "ocs_machine")).await);
    let several = server.form_post_as(API_SERVER, "/introspect", &[("tokens", &both)]).await.json();
    let (one, other) = (&several["tokens"][0], &several["tokens"][1]);
    assert_eq!(
        (&one["error"], &one["active"], &other["active"]),
        (&json!("invalid_request"), &Value::Null, &json!(true))
    );
    assert!(one["error_description"].as_str().unwrap().contains(said), "{one}");
    let signed = {
        let authorization = crate::support::http::basic(API_SERVER);
        let headers = [
            crate::support::server::FORM,
            ("authorization", &authorization),
            ("accept", "application/token-introspection+jwt"),
        ];
        server.request("POST", "/introspect", &headers, format!("token={token}").as_bytes()).await
    };
    for refused in [server.introspect(API_SERVER, &token).await, signed, server.userinfo(&token).await] {
        assert_eq!((refused.status, refused.field("error").as_str()), (400, "invalid_request"), "{refused:?}");
        assert!(refused.field("error_description").contains(said), "{refused:?}");
    }
    let minimal = server.form_post_as(API_SERVER, "/introspect", &[("token", &token), ("minimal", "true")]).await;
    assert_eq!(minimal.text(), r#"{"active":true}"#);
}

#[tokio::test]
async fn userinfo_shows_a_claim_no_longer_than_its_scope_is_allowed() {
    let server = server().await;
    server
        .apply(
            &DOCUMENT.replace("show = [\"introspection\"]\nscope", "show = [\"introspection\", \"userinfo\"]\nscope"),
            &[],
        )
        .await;
    let token = tokens(&server, "openid read").await.field("access_token");
    assert_eq!(server.userinfo(&token).await.json()["mail"], "alice@mail.example");
    let app = web_app("The App", &[CALLBACK]);
    let less = ClientSettings {
        access: [(API.to_owned(), opalid_core::scope::Scopes::parse("write").unwrap())].into(),
        ..app.clone()
    };
    server.update_client(APP.0, less).await;
    assert_eq!(server.userinfo(&token).await.json().get("mail"), None);
    server.update_client(APP.0, app).await;
    assert_eq!(server.userinfo(&token).await.json()["mail"], "alice@mail.example");
}
