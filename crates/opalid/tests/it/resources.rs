//! Several resources at once (RFC 8707), from the authorization endpoint to introspection.

use opalid_core::client::ClientSettings;
use opalid_core::request::MAX_RESOURCES;
use opalid_core::scope::Scopes;
use serde_json::{Value, json};

use crate::apply::change;
use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{APP, Ask, CALLBACK, password_of, refusal, value, web_app};
use crate::support::{CLIENT_CREDENTIALS, Server, machine, serving};

const BOOKS: &str = "https://books.example/";
const MAIL: &str = "https://mail.example/";
const MACHINE: (&str, &str) = ("machine", "ocs_machine-secret");
const BOOKS_SERVER: (&str, &str) = ("books", "ocs_books-secret");
const MAIL_SERVER: (&str, &str) = ("mail", "ocs_mail-secret");
const BOTH_SERVER: (&str, &str) = ("both", "ocs_both-secret");

/// What `APP` may: `read` at both resources, and one scope that only one of them has.
fn access() -> std::collections::BTreeMap<String, Scopes> {
    let scopes = |text: &str| Scopes::parse(text).unwrap();
    [(BOOKS.to_owned(), scopes("read lend")), (MAIL.to_owned(), scopes("read send"))].into()
}

async fn server() -> Server {
    let server = Server::with_people().await;
    server.resource(BOOKS, "read lend buy").await;
    server.resource(MAIL, "read send").await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(BOOKS, "read lend"), (MAIL, "read send")])).await;
    for (client, served) in
        [(BOOKS_SERVER, &[BOOKS][..]), (MAIL_SERVER, &[MAIL][..]), (BOTH_SERVER, &[MAIL, BOOKS][..])]
    {
        server.client(client.0, Some(client.1), serving(served)).await;
    }
    server.update_client(APP.0, ClientSettings { access: access(), ..web_app("The App", &[CALLBACK]) }).await;
    server
}

#[tokio::test]
async fn no_resource_has_the_uri_of_its_issuer() {
    let server = Server::empty().await;
    let acme = format!("{}/acme", server.issuer);
    for (name, uri) in
        [("default", &server.issuer), ("default", &format!("{}/default", server.issuer)), ("acme", &acme)]
    {
        let document = json!({"workspace": [{"name": name, "resource": [{"uri": uri}]}]}).to_string();
        let refused = server.try_apply(&document, &[]).await.unwrap_err();
        assert!(refused.contains("the issuer's own URI"), "{refused}");
    }
    let asked = json!({"do": "change", "kind": "resource", "verb": "create", "name": server.issuer, "fields": {}});
    let request = opalid::manage::Request { workspace: None, command: serde_json::from_value(asked).unwrap() };
    let refused = opalid::manage::handle(&server.app, request).await.unwrap_err().to_string();
    assert!(refused.contains("the issuer's own URI"), "{refused}");
}

/// `aud` and `scope` as the caller sees them.
async fn seen(server: &Server, caller: (&str, &str), token: &str) -> (Value, Value) {
    let mut facts = server.introspect(caller, token).await.json();
    assert_eq!(facts["active"], true, "{caller:?}");
    // In the order of their ids, which says nothing.
    facts["aud"].as_array_mut().into_iter().for_each(|all| all.sort_by_key(|uri| uri.as_str().map(str::to_owned)));
    (facts["aud"].take(), facts["scope"].take())
}

fn both() -> Ask {
    Ask::new().with("resource", BOOKS).and("resource", MAIL)
}

async fn ask_alone(server: &Server, resources: &[&str], scope: &str) -> Answer {
    let mut fields = vec![CLIENT_CREDENTIALS];
    fields.extend(resources.iter().map(|uri| ("resource", *uri)));
    fields.extend(Some(("scope", scope)).filter(|_| !scope.is_empty()));
    server.form_post_as(MACHINE, "/token", &fields).await
}

async fn refresh(server: &Server, token: &str, resources: &[&str]) -> Answer {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend(resources.iter().map(|uri| ("resource", *uri)));
    server.form_post_as(APP, "/token", &fields).await
}

#[tokio::test]
async fn a_token_for_two_resources_says_to_each_of_them_what_is_its_own() {
    let server = server().await;
    for (scope, all, of_books, of_mail) in [
        ("", "lend read send", json!("lend read"), json!("read send")),
        ("read", "read", json!("read"), json!("read")),
        ("lend send", "lend send", json!("lend"), json!("send")),
        // Asked for by name it stays the audience of what may do nothing there.
        ("send", "send", Value::Null, json!("send")),
    ] {
        let answer = ask_alone(&server, &[MAIL, BOOKS, MAIL], scope).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.field("scope"), all);
        let token = answer.field("access_token");
        assert_eq!(seen(&server, BOOKS_SERVER, &token).await, (json!(BOOKS), of_books), "{scope}");
        assert_eq!(seen(&server, MAIL_SERVER, &token).await, (json!(MAIL), of_mail), "{scope}");
        for sees_all in [MACHINE, BOTH_SERVER] {
            let (aud, scopes) = seen(&server, sees_all, &token).await;
            assert_eq!((aud, scopes), (json!([BOOKS, MAIL]), json!(all)), "{sees_all:?}");
        }
    }
}

#[tokio::test]
async fn a_scope_that_is_the_clients_at_none_of_them_is_refused_with_what_it_may_have_at_each() {
    let server = server().await;
    // `buy` is a scope of the books, and not this client's.
    let refused = ask_alone(&server, &[BOOKS, MAIL], "read buy").await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope buy is not one this client may have at https://books.example/: lend read; https://mail.example/: read send"}"#);
    let refused = ask_alone(&server, &[BOOKS], "send").await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope send is not one this client may have at https://books.example/: lend read; for it send resource=https://mail.example/"}"#);
}

#[tokio::test]
async fn one_resource_of_several_that_is_not_the_clients_refuses_them_all_by_its_name() {
    let server = server().await;
    server.resource("https://secret.example/", "read").await;
    for wrong in ["https://secret.example/", "https://nowhere.example/"] {
        let refused = ask_alone(&server, &[BOOKS, wrong], "").await.seen().replace(wrong, "(wrong)");
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused, @r#"400 {"error":"invalid_target","error_description":"resource (wrong) is not one this client may ask for: https://books.example/, https://mail.example/"}"#);
        }
    }
}

#[tokio::test]
async fn a_resource_that_is_no_uri_is_refused_with_what_was_read() {
    let server = server().await;
    // As a library writes a list that takes it for one value.
    let refused = ask_alone(&server, &["['https://books.example/', 'https://mail.example/']"], "").await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_target","error_description":"resource '['https://books.example/', 'https://mail.example/']' holds a character that a URI cannot hold, such as a space, a control character, a backslash or a letter outside ASCII"}"#);
    let refused = ask_alone(&server, &["books"], "").await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_target","error_description":"resource 'books' is not absolute: expected a scheme such as https:"}"#);
}

#[tokio::test]
async fn a_request_names_sixteen_resources_at_most() {
    let server = server().await;
    let uris: Vec<String> = (0..=MAX_RESOURCES).map(|number| format!("https://{number}.example/")).collect();
    let access: Vec<(&str, &str)> = uris.iter().map(|uri| (uri.as_str(), "read")).collect();
    for uri in &uris {
        server.resource(uri, "read").await;
    }
    server.update_client(MACHINE.0, machine(&access)).await;
    let named: Vec<&str> = uris.iter().map(String::as_str).collect();
    let answer = ask_alone(&server, &named[1..], "read").await;
    assert_eq!(seen(&server, MACHINE, &answer.field("access_token")).await.0.as_array().unwrap().len(), MAX_RESOURCES);
    let refused = ask_alone(&server, &named, "read").await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_target","error_description":"more than 16 resources"}"#);
}

#[tokio::test]
async fn a_person_is_asked_about_each_resource_and_the_code_gives_all_of_them() {
    let (server, mut browser) = (server().await, Browser::new());
    let ask = both().with("scope", "openid read lend send unknown");
    let landed = browser.open(&server, &ask.target()).await;
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    assert_eq!(landed.path(), "/consent");
    let page = landed.answer();
    for (resource, own, others) in [(BOOKS, "<li>lend</li>", "<li>send</li>"), (MAIL, "<li>send</li>", "<li>lend</li>")]
    {
        let (_, after) = page.text().split_once(resource).unwrap();
        let (section, _) = after.split_once("</section>").unwrap();
        assert!(section.contains(own) && section.contains("<li>read</li>") && !section.contains(others), "{section}");
    }
    let landed = browser.open(&server, &ask.target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(tokens.field("scope"), "lend openid read send");
    let token = tokens.field("access_token");
    assert_eq!(seen(&server, BOOKS_SERVER, &token).await, (json!(BOOKS), json!("lend read")));
    assert_eq!(seen(&server, MAIL_SERVER, &token).await, (json!(MAIL), json!("read send")));
    assert_eq!(seen(&server, APP, &token).await, (json!([BOOKS, MAIL]), json!("lend openid read send")));
    assert!(server.knows(&token).await, "openid opens userinfo, whatever the audience");
}

#[tokio::test]
async fn consent_for_one_resource_is_not_consent_for_the_same_scope_at_another() {
    let (server, mut browser) = (server().await, Browser::new());
    let one = Ask::new().with("scope", "openid read").with("resource", BOOKS);
    browser.code(&server, &one, "alice").await;
    browser.silent_code(&server, &one).await;
    assert_eq!(
        browser.error(&server, &one.clone().and("resource", MAIL).with("prompt", "none")).await,
        "consent_required"
    );
    let landed = browser.open(&server, &one.clone().and("resource", MAIL).target()).await;
    browser.allow(&server, landed).await.away();
    browser.silent_code(&server, &one.and("resource", MAIL)).await;
}

#[tokio::test]
async fn without_openid_each_scope_must_belong_to_one_of_the_resources() {
    let (server, mut browser) = (server().await, Browser::new());
    browser.code(&server, &both(), "alice").await;
    for (ask, error) in [
        (both().with("scope", "read buy"), "invalid_scope"),
        (both().with("scope", "read").and("resource", "https://nowhere.example/"), "invalid_target"),
        (both().with("scope", "read").and("resource", "no uri"), "invalid_target"),
    ] {
        assert_eq!(browser.error(&server, &ask).await, error, "{ask:?}");
    }
    let landed = browser.open(&server, &both().without("scope").target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(tokens.field("scope"), "lend read send", "no scope asked for: all that the client may have");
}

/// Signs alice in and agrees to both resources; a code each time it is called.
async fn codes(server: &Server) -> (Browser, Ask, String) {
    let mut browser = Browser::new();
    let ask = both().with("scope", "openid read lend send");
    let code = browser.code(server, &ask, "alice").await;
    (browser, ask, code)
}

#[tokio::test]
async fn a_code_redeemed_for_one_resource_gives_a_token_for_that_and_a_refresh_token_for_all() {
    let server = server().await;
    let (mut browser, ask, code) = codes(&server).await;
    let tokens = server.redeem(APP, &code, &[("resource", MAIL)]).await;
    assert_eq!((tokens.status, tokens.field("scope").as_str()), (200, "openid read send"));
    let token = tokens.field("access_token");
    assert_eq!(seen(&server, MAIL_SERVER, &token).await, (json!(MAIL), json!("read send")));
    assert_eq!(seen(&server, APP, &token).await, (json!(MAIL), json!("openid read send")));
    assert!(!server.is_active(BOOKS_SERVER, &token).await);
    assert!(server.id_token(&tokens).await.sub.len() > 10);

    let chain = tokens.field("refresh_token");
    for (resources, scope, aud) in [
        (&[BOOKS][..], "lend openid read", json!(BOOKS)),
        (&[], "lend openid read send", json!([BOOKS, MAIL])),
        (&[MAIL, BOOKS], "lend openid read send", json!([BOOKS, MAIL])),
        (&[MAIL, MAIL], "openid read send", json!(MAIL)),
    ] {
        let again = refresh(&server, &chain, resources).await;
        assert_eq!((again.status, again.field("scope").as_str()), (200, scope), "{resources:?}");
        assert_eq!(seen(&server, APP, &again.field("access_token")).await.0, aud, "{resources:?}");
    }
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &chain), ("resource", MAIL), ("scope", "lend")];
    let refused = server.form_post_as(APP, "/token", &fields).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope lend was not granted for the resources asked for, only for others; name one of those, or ask without resource"}"#);
    // The same code again: what came of it is dead, at whichever resource.
    assert_eq!(refusal(&server.redeem(APP, &code, &[]).await), (400, "invalid_grant".into()));
    assert!(!server.is_active(MAIL_SERVER, &token).await);
    let all =
        server.redeem(APP, &browser.silent_code(&server, &ask).await, &[("resource", MAIL), ("resource", BOOKS)]).await;
    assert_eq!(all.field("scope"), "lend openid read send");
}

#[tokio::test]
async fn a_token_narrowed_at_the_exchange_is_what_it_is_after_a_restart() {
    let server = server().await;
    let (_, _, code) = codes(&server).await;
    let tokens = server.redeem(APP, &code, &[("resource", BOOKS)]).await;
    let server = server.restart().await;
    let token = tokens.field("access_token");
    assert_eq!(seen(&server, APP, &token).await, (json!(BOOKS), json!("lend openid read")));
    assert!(!server.is_active(MAIL_SERVER, &token).await);
}

#[tokio::test]
async fn a_resource_that_was_not_granted_is_refused_with_those_that_were_and_uses_nothing_up() {
    let (server, mut browser) = (server().await, Browser::new());
    let ask = Ask::new().with("scope", "openid read").with("resource", BOOKS);
    let code = browser.code(&server, &ask, "alice").await;
    for wrong in [&[MAIL][..], &[BOOKS, MAIL]] {
        let fields: Vec<(&str, &str)> = wrong.iter().map(|uri| ("resource", *uri)).collect();
        let refused = server.redeem(APP, &code, &fields).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_target","error_description":"resource https://mail.example/ was not granted; these were: https://books.example/"}"#);
        }
    }
    let refused = server.redeem(APP, &code, &[("resource", BOOKS), ("resource", "https://nowhere.example/")]).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_target","error_description":"resource https://nowhere.example/ is not one this client may ask for: https://books.example/, https://mail.example/"}"#);
    let chain = server.tokens(&code).await.field("refresh_token");
    let refused = refresh(&server, &chain, &[BOOKS, MAIL]).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_target","error_description":"resource https://mail.example/ was not granted; these were: https://books.example/"}"#);
    assert_eq!(refresh(&server, &chain, &[BOOKS]).await.status, 200);
}

#[tokio::test]
async fn what_is_named_nowhere_is_for_all_defaults_of_the_client_else_for_those_of_the_workspace_that_it_may_have() {
    let server = server().await;
    let aud = async |defaults: &[&str]| {
        let default_resources = defaults.iter().map(|uri| (*uri).to_owned()).collect();
        let settings = ClientSettings { default_resources, ..machine(&[(BOOKS, "read"), (MAIL, "send")]) };
        server.update_client(MACHINE.0, settings).await;
        let answer = ask_alone(&server, &[], "").await;
        if answer.status != 200 {
            return json!(answer.field("error"));
        }
        seen(&server, MACHINE, &answer.field("access_token")).await.0
    };
    assert_eq!(aud(&[MAIL, BOOKS, MAIL]).await, json!([BOOKS, MAIL]));
    assert_eq!(aud(&[MAIL]).await, json!(MAIL));
    assert_eq!(aud(&[]).await, json!("invalid_target"));
    // The last one is none that this client may ask for.
    server.settings(&format!("default_resources = [{MAIL:?}, {:?}]", crate::support::person::API)).await.unwrap();
    assert_eq!(aud(&[]).await, json!(MAIL));
    assert_eq!(aud(&[BOOKS]).await, json!(BOOKS), "its own come first");
    server.settings(&format!("default_resources = [{MAIL:?}, {BOOKS:?}]")).await.unwrap();
    assert_eq!(aud(&[]).await, json!([BOOKS, MAIL]));
    server.settings(&format!("default_resource = {BOOKS:?}")).await.unwrap();
    assert_eq!(aud(&[]).await, json!(BOOKS), "as it was written before");
    // One that is named replaces all defaults.
    let answer = ask_alone(&server, &[MAIL], "").await;
    assert_eq!(seen(&server, MACHINE, &answer.field("access_token")).await.0, json!(MAIL));
}

#[tokio::test]
async fn of_two_defaults_the_one_that_is_deleted_is_left_out_and_of_a_token_as_well() {
    let server = server().await;
    let settings = machine(&[(BOOKS, "read"), (MAIL, "send")]);
    let default_resources = vec![BOOKS.into(), MAIL.into()];
    server.update_client(MACHINE.0, ClientSettings { default_resources, ..settings }).await;
    let before = server.token_of(MACHINE).await;
    assert_eq!(seen(&server, MACHINE, &before).await.0, json!([BOOKS, MAIL]));
    change(&server, "resource", "delete", BOOKS, json!({})).await;
    assert_eq!(seen(&server, MACHINE, &before).await, (json!(MAIL), json!("send")));
    assert_eq!(seen(&server, MACHINE, &server.token_of(MACHINE).await).await, (json!(MAIL), json!("send")));
    assert_eq!(ask_alone(&server, &[BOOKS], "").await.field("error"), "invalid_target");
    change(&server, "resource", "delete", MAIL, json!({})).await;
    assert_eq!(ask_alone(&server, &[], "").await.field("error"), "invalid_target");
}

#[tokio::test]
async fn defaults_are_set_and_unset_under_either_name() {
    let server = server().await;
    let defaults = async || {
        let found = server.app.store.find_client(server.app.root, MACHINE.0).await.unwrap().unwrap();
        found.settings.default_resources.clone()
    };
    for (fields, expected) in [
        (json!({"default_resources": [MAIL, BOOKS]}), vec![MAIL, BOOKS]),
        (json!({"default_resource": BOOKS}), vec![BOOKS]),
        (json!({"default_resource": null}), vec![]),
        (json!({"default_resources": MAIL}), vec![MAIL]),
        (json!({"default_resources": null}), vec![]),
    ] {
        change(&server, "client", "update", MACHINE.0, fields.clone()).await;
        assert_eq!(defaults().await, expected, "{fields}");
    }
}
