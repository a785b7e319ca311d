//! The consent page: what is asked, for whom, and that nobody agrees by accident.

use opalid_core::client::ClientSettings;
use opalid_core::ids::ConsentId;
use opalid_core::scope::Scopes;
use opalid_store::steps::consent::{FindConsent, WithdrawConsent};

use crate::support::Server;
use crate::support::browser::{Browser, Landed};
use crate::support::http::encode;
use crate::support::person::{API, APP, Ask, CALLBACK, OTHER_APP, password_of, value, web_app};
use crate::support::server::FORM;

const BOOKS: &str = "https://books.example/";
const DAY: i64 = 24 * 3600;

/// What needs a consent.
fn asking() -> Ask {
    Ask::new().with("scope", "openid email read").with("resource", API)
}

/// The consent page, as alice sees it.
async fn consent_page(server: &Server) -> (Browser, Landed) {
    let mut browser = Browser::new();
    let landed = browser.open(server, &asking().target()).await;
    let landed = browser.give_password(server, landed, "alice", &password_of("alice")).await;
    assert_eq!(landed.path(), "/consent");
    (browser, landed)
}

async fn consent_of_alice(server: &Server) -> Option<ConsentId> {
    consent_of(server, "alice").await
}

async fn consent_of(server: &Server, name: &str) -> Option<ConsentId> {
    let user = server.find_user(name).await.id;
    let client = server.app.store.find_client(server.app.root, APP.0).await.unwrap().unwrap().id;
    let found = server.app.store.read(FindConsent { workspace: server.app.root, user, client }).await.unwrap();
    found.map(|found| found.id)
}

#[tokio::test]
async fn the_page_says_who_asks_for_what_and_for_whom() {
    let server = Server::with_people().await;
    let (_, landed) = consent_page(&server).await;
    let answer = landed.answer();
    for said in
        ["The App", "alice", "See your e-mail address", "Know who you are", API, "<li>read</li>", "until you sign out"]
    {
        assert!(answer.text().contains(said), "{said} in {}", answer.text());
    }
    assert!(!answer.text().contains("<li>write</li>"));
}

#[tokio::test]
async fn the_page_names_every_resource_a_token_will_be_for_with_a_scope_or_without() {
    let server = Server::with_people().await;
    server.resource(BOOKS, "lend").await;
    let app = web_app("The App", &[CALLBACK]);
    let access = [(API, "read write"), (BOOKS, "lend")];
    let access = access.map(|(uri, scopes)| (uri.to_owned(), Scopes::parse(scopes).unwrap())).into();
    let default_resources = vec![API.to_owned(), BOOKS.to_owned()];
    server.update_client(APP.0, ClientSettings { access, default_resources, ..app }).await;
    let without = "<li>Go there in your name, with no permission by name</li>";
    for (ask, bare) in [
        (Ask::new(), 2),
        (Ask::new().with("scope", "openid read"), 1),
        (Ask::new().with("scope", "read").with("resource", API).and("resource", BOOKS), 1),
    ] {
        let mut browser = Browser::new();
        let landed = browser.open(&server, &ask.target()).await;
        let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
        assert_eq!(landed.path(), "/consent");
        let answer = landed.answer();
        let text = answer.text();
        for uri in [API, BOOKS] {
            assert!(text.contains(&format!("<bdi>{uri}</bdi>")), "{uri} in {text}");
        }
        assert_eq!(text.matches(without).count(), bare, "{text}");
    }
}

#[tokio::test]
async fn whoever_says_no_sends_access_denied_and_is_asked_again_next_time() {
    let server = Server::with_people().await;
    let (mut browser, landed) = consent_page(&server).await;
    let form = landed.page().form("deny");
    let (_, parameters) = browser.submit(&server, &form).await.away();
    assert_eq!((value(&parameters, "error"), value(&parameters, "state")), ("access_denied", "s-1"));
    assert!(parameters.iter().all(|(name, _)| name != "code"));
    assert_eq!(consent_of_alice(&server).await, None);
    assert_eq!(browser.open(&server, &asking().target()).await.path(), "/consent");
}

#[tokio::test]
async fn a_forged_form_agrees_to_nothing() {
    let server = Server::with_people().await;
    let (mut browser, landed) = consent_page(&server).await;
    let form = landed.page().form("allow");
    let field = opalid::pages::CSRF_FIELD;
    for forged in [form.clone().without(field), form.clone().with(field, "AAAA")] {
        assert_eq!(browser.post(&server, &form.action, &forged.pairs()).await.status, 400);
    }
    let cookies: Vec<String> = ["session", "browser"]
        .iter()
        .map(|purpose| format!("opalid-default-{purpose}"))
        .map(|name| format!("{name}={}", browser.cookie(&name).unwrap()))
        .collect();
    let (cookies, target) = (cookies.join("; "), form.action.strip_prefix(&server.issuer).unwrap_or(&form.action));
    let body = encode(&form.pairs());
    for foreign in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let headers = [FORM, ("cookie", cookies.as_str()), foreign];
        assert_eq!(server.request("POST", target, &headers, body.as_bytes()).await.status, 400, "{foreign:?}");
    }
    let headers = [FORM, ("sec-fetch-site", "same-origin")];
    let answer = server.request("POST", target, &headers, body.as_bytes()).await;
    assert_eq!((answer.status, answer.header("location")), (400, None));
    assert!(answer.text().contains("cookies are switched off"));
    assert_eq!(consent_of_alice(&server).await, None);
    browser.submit(&server, &form).await.away();
    assert!(consent_of_alice(&server).await.is_some());
}

#[tokio::test]
async fn a_field_of_the_sign_in_form_agrees_to_nothing() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let landed = browser.open(&server, &asking().target()).await;
    let sign_in = landed.page().form("sign-in");
    let of_sign_in = sign_in.fields[0].1.clone();
    let filled = sign_in.with("login", "alice").with("password", &password_of("alice"));
    let consent = browser.submit(&server, &filled).await.page().form("allow");
    let forged = consent.with(opalid::pages::CSRF_FIELD, &of_sign_in);
    assert_eq!(browser.post(&server, &forged.action, &forged.pairs()).await.status, 400);
    assert_eq!(consent_of_alice(&server).await, None);
}

#[tokio::test]
async fn a_button_that_is_not_there_is_a_no() {
    let server = Server::with_people().await;
    for decision in ["", "ALLOW", "yes", "allow "] {
        let (mut browser, landed) = consent_page(&server).await;
        let form = landed.page().form("allow").with("decision", decision);
        let (_, parameters) = browser.submit(&server, &form).await.away();
        assert_eq!(value(&parameters, "error"), "access_denied", "{decision}");
    }
    assert_eq!(consent_of_alice(&server).await, None);
}

#[tokio::test]
async fn a_consent_that_was_withdrawn_is_asked_for_again_and_what_hung_from_it_is_dead() {
    let server = Server::with_people().await;
    let (mut browser, landed) = consent_page(&server).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let token = server.tokens(value(&parameters, "code")).await.field("access_token");
    let waiting_code = browser.silent_code(&server, &asking()).await;
    let id = consent_of_alice(&server).await.unwrap();
    let step = WithdrawConsent { stamp: server.app.stamp(server.app.root, "test"), id };
    assert!(server.app.store.run(step).await.unwrap());
    assert!(!server.is_active(APP, &token).await && !server.knows(&token).await);
    assert_eq!(server.redeem(APP, &waiting_code, &[]).await.field("error"), "invalid_grant");
    assert_eq!(browser.error(&server, &asking().with("prompt", "none")).await, "consent_required");
    let landed = browser.open(&server, &asking().target()).await;
    assert_eq!(landed.path(), "/consent");
    let (_, parameters) = browser.allow(&server, landed).await.away();
    server.tokens(value(&parameters, "code")).await;
    assert!(!server.is_active(APP, &token).await, "agreeing again revives nothing");
}

#[tokio::test]
async fn a_consent_withdrawn_before_the_way_back_is_taken_again_gives_no_code() {
    let server = Server::with_people().await;
    for prompt in ["login", "consent"] {
        let mut browser = Browser::new();
        let landed = browser.open(&server, &asking().with("prompt", prompt).target()).await;
        let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
        let form = landed.page().form("allow");
        let answer = browser.post(&server, &form.action, &form.pairs()).await;
        let going_on = answer.header("location").unwrap().to_owned();
        let id = consent_of_alice(&server).await.unwrap();
        let step = WithdrawConsent { stamp: server.app.stamp(server.app.root, "test"), id };
        assert!(server.app.store.run(step).await.unwrap());
        assert_eq!(browser.open(&server, &going_on).await.path(), "/consent", "prompt={prompt}");
    }
}

#[tokio::test]
async fn what_one_person_allowed_is_nothing_another_one_allowed() {
    let server = Server::with_people().await;
    let (mut browser, landed) = consent_page(&server).await;
    let form = landed.page().form("allow");
    let answer = browser.post(&server, &form.action, &form.pairs()).await;
    let going_on = answer.header("location").unwrap().to_owned();
    let mut bobs = Browser::new();
    assert_eq!(bobs.open(&server, &going_on).await.answer().status, 400, "what began in alice's browser is hers");
    // Nor in hers, if it is bob's by then.
    browser.set_cookie("opalid-default-session", None);
    let (mut bobs, landed) = (browser.clone(), browser.open(&server, &going_on).await);
    let landed = bobs.give_password(&server, landed, "bob", &password_of("bob")).await;
    assert_eq!(landed.path(), "/consent");
}

/// Another tab of this browser, in which another person signs in meanwhile.
async fn another_tab(browser: &mut Browser, server: &Server, name: &str) {
    browser.sign_in(server, &Ask::public().with("prompt", "login"), name).await.away();
}

#[tokio::test]
async fn who_signs_in_in_another_tab_agrees_to_nothing_in_this_one() {
    let server = Server::with_people().await;
    let (mut browser, landed) = consent_page(&server).await;
    let Landed::Here(consent, answer) = landed else { panic!("no consent page") };
    let form = Landed::Here(consent.clone(), answer).page().form("allow");
    another_tab(&mut browser, &server, "bob").await;
    // Alice's button, and the page loaded again: who goes on has to be chosen first.
    for landed in [browser.submit(&server, &form).await, browser.open(&server, &consent).await] {
        assert_eq!(landed.path(), "/sign-in/account");
        assert!(landed.answer().text().contains("Continue as <bdi>bob</bdi>"));
    }
    assert_eq!(consent_of_alice(&server).await, None);
    // Bob goes on, and is asked for himself.
    let choose = browser.open(&server, &consent).await.page().form("continue");
    let landed = browser.submit(&server, &choose).await;
    assert_eq!(landed.path(), "/consent");
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(server.id_token(&tokens).await.sub, server.find_user("bob").await.id.to_string());
    assert_eq!(consent_of_alice(&server).await, None);
}

#[tokio::test]
async fn the_account_that_is_gone_on_with_is_the_one_that_the_page_named() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    let choose =
        browser.open(&server, &asking().with("prompt", "select_account").target()).await.page().form("continue");
    another_tab(&mut browser, &server, "bob").await;
    assert_eq!(browser.submit(&server, &choose).await.answer().status, 400);
    // Nor is somebody asked who has still to be chosen.
    let consent = choose.action.replace("/sign-in/account?", "/consent?");
    assert_eq!(browser.open(&server, &consent).await.path(), "/sign-in/account");
}

#[tokio::test]
async fn nobody_but_the_person_named_by_id_token_hint_is_asked() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let code = browser.code(&server, &Ask::new(), "alice").await;
    let hint = server.tokens(&code).await.field("id_token");
    let landed = browser.open(&server, &asking().with("id_token_hint", &hint).target()).await;
    let Landed::Here(consent, answer) = landed else { panic!("no consent page") };
    let form = Landed::Here(consent.clone(), answer).page().form("allow");
    another_tab(&mut browser, &server, "bob").await;
    assert_eq!(browser.submit(&server, &form).await.path(), "/sign-in");
    assert_eq!(browser.open(&server, &consent).await.path(), "/sign-in");
    assert_eq!(consent_of(&server, "bob").await, None);
    // Alice again: she is asked, and it is hers.
    let landed = browser.open(&server, &consent).await;
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    assert_eq!(landed.path(), "/consent");
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(server.id_token(&tokens).await.sub, server.find_user("alice").await.id.to_string());
}

#[tokio::test]
async fn a_first_party_client_is_not_asked_for_unless_it_wants_to_be() {
    let server = Server::with_people().await;
    let settings = ClientSettings { first_party: true, ..web_app("Ours", &[crate::support::person::CALLBACK]) };
    server.client("ours", Some("ocs_ours"), settings).await;
    let (mut browser, ask) = (Browser::new(), asking().with("client_id", "ours"));
    let landed = browser.open(&server, &ask.target()).await;
    browser.give_password(&server, landed, "alice", &password_of("alice")).await.away();
    browser.silent_code(&server, &ask).await;
    assert_eq!(browser.open(&server, &ask.with("prompt", "consent").target()).await.path(), "/consent");
}

#[tokio::test]
async fn what_a_client_calls_itself_is_escaped() {
    let server = Server::with_people().await;
    let name = "</strong><script>alert(1)</script>";
    server.client("rogue", Some("ocs_rogue"), web_app(name, &[crate::support::person::CALLBACK])).await;
    let mut browser = Browser::new();
    let landed = browser.open(&server, &Ask::new().with("client_id", "rogue").target()).await;
    let Landed::Here(_, answer) = &landed else { panic!() };
    assert!(!answer.text().contains("<script"));
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    assert_eq!(landed.path(), "/consent");
    assert!(!landed.answer().text().contains("<script"));
    let form_post = Ask::new().with("client_id", "rogue").with("response_mode", "form_post").with("prompt", "none");
    let answer = browser.open(&server, &form_post.target()).await.answer();
    assert!(!answer.text().contains("<script>"));
}

#[tokio::test]
async fn a_session_that_rested_too_long_agrees_to_nothing_and_is_asked_to_sign_in() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new().with("client_id", OTHER_APP.0), "alice").await;
    server.clock.advance(DAY - 60);
    let landed = browser.open(&server, &asking().target()).await;
    assert_eq!(landed.path(), "/consent");
    let form = landed.page().form("allow");
    server.clock.advance(61);
    let answer = browser.post(&server, &form.action, &form.pairs()).await;
    assert!(answer.header("location").is_some_and(|to| to.contains("/sign-in?")), "{answer:?}");
    assert_eq!(browser.open(&server, &form.action).await.path(), "/sign-in");
    assert_eq!(consent_of_alice(&server).await, None);
    let going_on = form.action.replace("/consent", "/authorize/continue");
    let landed = browser.open(&server, &going_on).await;
    assert_eq!(landed.path(), "/sign-in", "and there is no code");
    assert!(!landed.answer().text().contains("alice"), "nor does the page say who was here");
    let landed = browser.open(&server, &going_on).await;
    let (_, parameters) = browser.sign_in_at(&server, landed, "alice").await.away();
    assert!(!value(&parameters, "code").is_empty());
    assert!(consent_of_alice(&server).await.is_some());
}

#[tokio::test]
async fn a_session_that_rested_too_long_is_no_account_to_choose() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    server.clock.advance(DAY - 60);
    let landed = browser.open(&server, &Ask::new().with("prompt", "select_account").target()).await;
    assert_eq!(landed.path(), "/sign-in/account");
    let form = landed.page().form("continue");
    server.clock.advance(61);
    assert_eq!(browser.open(&server, &form.action).await.path(), "/sign-in");
    let answer = browser.post(&server, &form.action, &form.pairs()).await;
    assert!(answer.header("location").is_some_and(|to| to.contains("/sign-in?")), "{answer:?}");
}

#[tokio::test]
async fn what_somebody_put_into_a_request_is_told_to_the_client_and_not_to_the_person() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    let rogue = asking().with("scope", "call-0800-EVIL");
    let answer = Browser::new().post(&server, "/authorize", &rogue.pairs()).await;
    let link = answer.header("location").unwrap().replace("/authorize/continue", "/consent");
    let answer = browser.get(&server, &link).await;
    assert!(!answer.text().contains("EVIL"), "{answer:?}");
    let (base, parameters) = browser.open(&server, &link).await.away();
    assert_eq!((base.as_str(), value(&parameters, "error")), (CALLBACK, "invalid_scope"));
}
