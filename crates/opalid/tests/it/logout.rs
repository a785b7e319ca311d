//! Signing out: RP-Initiated Logout at `/logout`, the page that asks, and what dies with a session.

use opalid_core::client::ClientSettings;
use opalid_core::jwt::{IdTokenClaims, TYP_JWT};
use opalid_store::steps::client::ClientEvent;

use crate::support::browser::{Browser, Landed};
use crate::support::html::Page;
use crate::support::http::{Answer, encode};
use crate::support::visitor::{ALICE, BOB, BYE, SESSION, SHOP, Tokens, demo_with_shop, refresh, shop, shop_tokens};
use crate::support::{DEMO_API, Server};

/// A server, and alice's browser, signed in to the shop.
async fn signed_in() -> (Server, Browser, Tokens) {
    let server = demo_with_shop().await;
    let mut browser = Browser::new();
    let tokens = browser.tokens_for(&server, ALICE, "openid").await;
    (server, browser, tokens)
}

fn logout(fields: &[(&str, &str)]) -> String {
    format!("/logout?{}", encode(fields))
}

#[track_caller]
fn sent_to(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap()
}

/// An error page of ours: no redirect, nothing signed out.
async fn assert_error_page(server: &Server, browser: &mut Browser, fields: &[(&str, &str)], access: &str) {
    let before = browser.cookie(SESSION).map(str::to_owned);
    for answer in [browser.get(server, &logout(fields)).await, browser.post(server, "/logout", fields).await] {
        assert_eq!((answer.status, answer.header("location")), (400, None), "{fields:?}: {answer:?}");
        assert!(Page::parse(answer.text()).has("error-code"), "{fields:?}");
    }
    assert_eq!(browser.cookie(SESSION), before.as_deref());
    assert!(server.is_active(DEMO_API, access).await, "{fields:?}");
}

/// The page that asks; its URL.
#[track_caller]
fn asks(landed: Landed) -> (String, Page) {
    let Landed::Here(url, answer) = landed else { panic!("sent away: {landed:?}") };
    assert!(url.starts_with("/sign-out"), "{url}");
    assert!(answer.text().contains("<title>Sign out?</title>"));
    (url, Page::parse(answer.text()))
}

#[track_caller]
fn says_signed_out(landed: Landed) {
    let Landed::Here(url, answer) = landed else { panic!("sent away: {landed:?}") };
    assert_eq!((url.as_str(), answer.status), ("/signed-out", 200));
    assert!(answer.text().contains("<title>Signed out</title>"));
}

// ---- an ID token of the session at hand ----

#[tokio::test]
async fn a_hint_and_a_registered_address_end_the_session_and_lead_back_with_state() {
    let (server, mut browser, tokens) = signed_in().await;
    let target = logout(&[
        ("id_token_hint", &tokens.id),
        ("post_logout_redirect_uri", BYE),
        ("state", "a b&c"),
        ("client_id", SHOP.0),
        ("ui_locales", "de"),
        ("logout_hint", "alice"),
        ("unknown", "x"),
    ]);
    let answer = browser.get(&server, &target).await;
    assert_eq!(sent_to(&answer), format!("{BYE}&state=a+b%26c"));
    let cookie = format!("{SESSION}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    assert_eq!(answer.all("set-cookie"), [cookie]);
    assert!(!server.is_active(DEMO_API, &tokens.access).await, "what is bound to the session dies with it");
    assert!(browser.ask_for_code(&server, "openid").await.page().has("sign-in"));
}

#[tokio::test]
async fn the_secret_of_an_ended_session_opens_nothing() {
    let (server, mut browser, tokens) = signed_in().await;
    let secret = browser.cookie(SESSION).unwrap().to_owned();
    browser.get(&server, &logout(&[("id_token_hint", &tokens.id)])).await;
    browser.set_cookie(SESSION, Some(&secret));
    assert!(browser.ask_for_code(&server, "openid").await.page().has("sign-in"));
}

#[tokio::test]
async fn an_expired_hint_is_a_hint() {
    let (server, mut browser, tokens) = signed_in().await;
    server.clock.advance(3600 + 1);
    let answer = browser
        .get(&server, &logout(&[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", BYE), ("state", "s")]))
        .await;
    assert_eq!(sent_to(&answer), format!("{BYE}&state=s"));
    assert_eq!(browser.cookie(SESSION), None);
}

#[tokio::test]
async fn a_hint_without_an_address_ends_at_the_page_that_says_so() {
    let (server, mut browser, tokens) = signed_in().await;
    let landed = browser.open(&server, &logout(&[("id_token_hint", &tokens.id), ("state", "s")])).await;
    says_signed_out(landed);
    assert!(!server.is_active(DEMO_API, &tokens.access).await);
}

#[tokio::test]
async fn an_address_without_state_is_not_changed() {
    let (server, mut browser, tokens) = signed_in().await;
    let target = logout(&[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", BYE)]);
    assert_eq!(sent_to(&browser.get(&server, &target).await), BYE);
    let again = browser.get(&server, &target).await;
    assert_eq!(sent_to(&again), BYE, "nobody is signed in any more: there is nothing to ask");
}

#[tokio::test]
async fn a_post_from_another_site_comes_back_by_get_with_its_cookies() {
    let (server, mut browser, tokens) = signed_in().await;
    let fields = [("id_token_hint", tokens.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let answer = server.form_post("/logout", &fields).await;
    let stored = sent_to(&answer).to_owned();
    assert!(stored.starts_with(&format!("{}/logout/continue?request=", server.issuer)), "{stored}");
    assert!(!stored.contains("hint"));
    assert!(server.is_active(DEMO_API, &tokens.access).await, "nothing has happened yet");
    assert_eq!(sent_to(&browser.get(&server, &stored).await), format!("{BYE}&state=s"));
    assert!(!server.is_active(DEMO_API, &tokens.access).await);
    assert_eq!(browser.cookie(SESSION), None);
}

#[tokio::test]
async fn a_stored_wish_is_gone_after_an_hour() {
    let (server, mut browser, tokens) = signed_in().await;
    let stored = server.form_post("/logout", &[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", BYE)]).await;
    server.clock.advance(3600);
    asks(browser.open(&server, sent_to(&stored)).await);
    assert!(browser.cookie(SESSION).is_some());
}

// ---- what is refused ----

#[tokio::test]
async fn an_unregistered_or_altered_address_is_an_error_page() {
    let (server, mut browser, tokens) = signed_in().await;
    let altered = [
        "https://evil.example/",
        "https://shop.example/bye",
        "https://shop.example/bye?from=opalid&x=y",
        "https://shop.example/bye?from=opalid#f",
        "https://shop.example:443/bye?from=opalid",
        "https://SHOP.example/bye?from=opalid",
        "http://shop.example/bye?from=opalid",
        "https://shop.example/callback",
    ];
    for address in altered {
        let wish = ("post_logout_redirect_uri", address);
        assert_error_page(&server, &mut browser, &[("id_token_hint", &tokens.id), wish], &tokens.access).await;
        assert_error_page(&server, &mut browser, &[("client_id", SHOP.0), wish], &tokens.access).await;
    }
}

#[tokio::test]
async fn a_bad_or_foreign_hint_is_an_error_page() {
    let (server, mut browser, tokens) = signed_in().await;
    server.workspace("acme").await;
    let ours = server.app.find_issuer(None).await.unwrap().unwrap();
    let acme = server.app.find_issuer(Some("acme")).await.unwrap().unwrap();
    let claims = ours.public.verify_id_token_hint(&tokens.id, &ours.url).unwrap();
    let sign = |by: &opalid::issuer::Issuer, claims: &IdTokenClaims| by.signing[0].key.sign(TYP_JWT, claims).unwrap();
    let (message, _) = tokens.id.rsplit_once('.').unwrap();
    let bad = [
        "x".to_owned(),
        tokens.access.clone(),
        message.to_owned(),
        format!("{message}."),
        sign(&acme, &claims),
        sign(&acme, &IdTokenClaims { iss: acme.url.clone(), ..claims.clone() }),
        sign(&ours, &IdTokenClaims { iss: acme.url.clone(), ..claims.clone() }),
        sign(&ours, &IdTokenClaims { aud: "nobody".into(), ..claims.clone() }),
        sign(&ours, &IdTokenClaims { sub: "alice".into(), ..claims.clone() }),
    ];
    for hint in &bad {
        let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
        assert_error_page(&server, &mut browser, &fields, &tokens.access).await;
        assert_error_page(&server, &mut browser, &fields[..1], &tokens.access).await;
    }
}

#[tokio::test]
async fn a_client_id_that_the_hint_was_not_issued_to_is_an_error_page() {
    let (server, mut browser, tokens) = signed_in().await;
    server.client("other", Some("ocs_other"), shop()).await;
    for other in ["other", "nobody", "Shop"] {
        let fields = [("id_token_hint", tokens.id.as_str()), ("client_id", other), ("post_logout_redirect_uri", BYE)];
        assert_error_page(&server, &mut browser, &fields, &tokens.access).await;
    }
}

#[tokio::test]
async fn an_unknown_or_suspended_client_and_a_repeated_parameter_are_error_pages() {
    let (server, mut browser, tokens) = signed_in().await;
    assert_error_page(&server, &mut browser, &[("client_id", "nobody")], &tokens.access).await;
    assert_error_page(&server, &mut browser, &[("state", "a"), ("state", "b")], &tokens.access).await;
    server.client("other", Some("ocs_other"), ClientSettings::default()).await;
    server.touch_client("other", ClientEvent::Suspended).await;
    assert_error_page(&server, &mut browser, &[("client_id", "other")], &tokens.access).await;
}

// ---- asking ----

#[tokio::test]
async fn without_a_hint_a_page_asks_and_then_says_signed_out_and_nobody_is_redirected() {
    let wishes: [&[(&str, &str)]; 4] =
        [&[], &[("state", "s")], &[("post_logout_redirect_uri", BYE), ("state", "s")], &[("client_id", SHOP.0)]];
    for fields in wishes {
        for by_post in [false, true] {
            let (server, mut browser, tokens) = signed_in().await;
            let landed = if by_post {
                let answer = server.form_post("/logout", fields).await;
                browser.follow(&server, "/logout", answer).await
            } else {
                browser.open(&server, &logout(fields)).await
            };
            let (_, page) = asks(landed);
            assert!(server.is_active(DEMO_API, &tokens.access).await, "asking changes nothing");
            says_signed_out(browser.submit(&server, &page.form("sign-out")).await);
            assert!(!server.is_active(DEMO_API, &tokens.access).await, "{fields:?}");
            assert_eq!(browser.cookie(SESSION), None);
        }
    }
}

#[tokio::test]
async fn where_nobody_is_signed_in_there_is_nothing_to_ask_and_nowhere_to_go() {
    let server = demo_with_shop().await;
    let mut browser = Browser::new();
    let steps = server.app.store.steps();
    for target in ["/sign-out", "/logout", "/logout/continue", "/logout?state=s"] {
        says_signed_out(browser.open(&server, target).await);
    }
    let target = logout(&[("client_id", SHOP.0), ("post_logout_redirect_uri", BYE)]);
    says_signed_out(browser.open(&server, &target).await);
    says_signed_out(browser.follow(&server, "", server.form_post("/sign-out", &[]).await).await);
    assert_eq!(server.app.store.steps(), steps, "nothing is written");
}

#[tokio::test]
async fn a_client_id_and_a_registered_address_without_a_hint_lead_back_only_after_the_person_said_yes() {
    let (server, mut browser, tokens) = signed_in().await;
    let target = logout(&[("client_id", SHOP.0), ("post_logout_redirect_uri", BYE), ("state", "s")]);
    let (url, page) = asks(browser.open(&server, &target).await);
    assert!(!url.contains("shop") && url.contains("request="), "{url}");
    assert!(page.form("sign-out").pairs().iter().all(|(name, _)| *name == "csrf"), "the wish is not in the form");
    assert!(server.is_active(DEMO_API, &tokens.access).await);
    let continued = url.replace("/sign-out", "/logout/continue");
    asks(browser.open(&server, &continued).await);
    let landed = browser.submit(&server, &page.form("sign-out")).await;
    assert!(matches!(&landed, Landed::Away(to) if *to == format!("{BYE}&state=s")), "{landed:?}");
    assert!(!server.is_active(DEMO_API, &tokens.access).await);
}

#[tokio::test]
async fn a_hint_of_another_person_or_another_session_asks_first() {
    let (server, _, tokens) = signed_in().await;
    for person in [BOB, ALICE] {
        let mut browser = Browser::new();
        let theirs = browser.tokens_for(&server, person, "openid").await;
        let target = logout(&[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", BYE), ("state", "s")]);
        let (_, page) = asks(browser.open(&server, &target).await);
        assert!(server.is_active(DEMO_API, &theirs.access).await);
        let landed = browser.submit(&server, &page.form("sign-out")).await;
        assert!(matches!(&landed, Landed::Away(to) if *to == format!("{BYE}&state=s")), "{landed:?}");
        assert!(!server.is_active(DEMO_API, &theirs.access).await, "who is here is signed out");
        assert!(server.is_active(DEMO_API, &tokens.access).await, "the hint's own session is not at hand");
    }
}

#[tokio::test]
async fn a_yes_that_was_said_once_does_not_sign_out_the_next_session() {
    let (server, mut browser, _) = signed_in().await;
    let target = logout(&[("client_id", SHOP.0), ("post_logout_redirect_uri", BYE)]);
    let (url, page) = asks(browser.open(&server, &target).await);
    browser.submit(&server, &page.form("sign-out")).await;
    let tokens = browser.tokens_for(&server, ALICE, "openid").await;
    asks(browser.open(&server, &url.replace("/sign-out", "/logout/continue")).await);
    assert!(server.is_active(DEMO_API, &tokens.access).await);
}

#[tokio::test]
async fn a_stored_wish_leads_back_once_and_then_only_says_signed_out() {
    let (server, mut browser, tokens) = signed_in().await;
    let fields = [("id_token_hint", &*tokens.id), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let stored = server.form_post("/logout", &fields).await;
    let landed = browser.open(&server, sent_to(&stored)).await;
    assert!(matches!(&landed, Landed::Away(to) if *to == format!("{BYE}&state=s")), "{landed:?}");
    says_signed_out(browser.open(&server, sent_to(&stored)).await);
    // The same after the person was asked.
    let (server, mut browser, _) = signed_in().await;
    let target = logout(&[("client_id", SHOP.0), ("post_logout_redirect_uri", BYE), ("state", "s")]);
    let (url, page) = asks(browser.open(&server, &target).await);
    let landed = browser.submit(&server, &page.form("sign-out")).await;
    assert!(matches!(landed, Landed::Away(_)), "{landed:?}");
    for again in [url.clone(), url.replace("/sign-out", "/logout/continue")] {
        says_signed_out(browser.open(&server, &again).await);
    }
}

#[tokio::test]
async fn a_stored_wish_gone_on_with_eight_times_at_once_leads_back_once() {
    let (server, browser, tokens) = signed_in().await;
    let fields = [("id_token_hint", &*tokens.id), ("post_logout_redirect_uri", BYE), ("state", "s")];
    for browser in [browser, Browser::new()] {
        let stored = server.form_post("/logout", &fields).await;
        let attempts = (0..8).map(|_| {
            let (mut browser, server, target) = (browser.clone(), &server, sent_to(&stored));
            async move { browser.open(server, target).await }
        });
        let landed = futures_util::future::join_all(attempts).await;
        let (away, here): (Vec<_>, Vec<_>) = landed.into_iter().partition(|at| matches!(at, Landed::Away(_)));
        assert_eq!((away.len(), here.len()), (1, 7));
        here.into_iter().for_each(says_signed_out);
        assert!(!server.is_active(DEMO_API, &tokens.access).await);
    }
}

#[tokio::test]
async fn an_address_that_the_client_has_given_up_meanwhile_is_not_gone_to() {
    let (server, mut browser, tokens) = signed_in().await;
    let stored = server.form_post("/logout", &[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", BYE)]).await;
    server.touch_client(SHOP.0, ClientEvent::Suspended).await;
    let answer = browser.get(&server, sent_to(&stored)).await;
    assert_eq!((answer.status, answer.header("location")), (400, None));
}

#[tokio::test]
async fn who_types_the_address_of_the_page_can_sign_out_too() {
    let (server, mut browser, tokens) = signed_in().await;
    let (_, page) = asks(browser.open(&server, "/sign-out").await);
    says_signed_out(browser.submit(&server, &page.form("sign-out")).await);
    assert!(!server.is_active(DEMO_API, &tokens.access).await);
}

#[tokio::test]
async fn the_page_that_says_signed_out_does_not_lie_to_who_is_signed_in() {
    let (server, mut browser, _) = signed_in().await;
    asks(browser.open(&server, "/signed-out").await);
}

#[tokio::test]
async fn the_form_is_taken_only_from_its_own_page_browser_and_session() {
    let (server, mut browser, tokens) = signed_in().await;
    let (_, page) = asks(browser.open(&server, "/sign-out").await);
    let form = page.form("sign-out");
    let mut other = Browser::new();
    other.tokens_for(&server, BOB, "openid").await;
    let (_, page) = asks(other.open(&server, "/sign-out").await);
    let mut forged = vec![form.clone().without("csrf"), form.clone().with("csrf", "x"), page.form("sign-out")];
    forged.push(page.form("sign-out").with("csrf", ""));
    for forged in forged {
        let landed = browser.submit(&server, &forged).await;
        assert!(matches!(&landed, Landed::Here(_, answer) if answer.status == 400), "{landed:?}");
    }
    let cookies = ["session", "browser"].map(|name| format!("opalid-demo-{name}"));
    let cookies = cookies.map(|name| format!("{name}={}", browser.cookie(&name).unwrap())).join("; ");
    for from in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let headers = [crate::support::server::FORM, ("cookie", &cookies), from];
        let answer = server.request("POST", "/sign-out", &headers, encode(&form.pairs()).as_bytes()).await;
        assert_eq!(answer.status, 400);
    }
    assert!(server.is_active(DEMO_API, &tokens.access).await);
    let mine = browser.cookie(SESSION).unwrap().to_owned();
    browser.set_cookie(SESSION, other.cookie(SESSION));
    let landed = browser.submit(&server, &form).await;
    assert!(matches!(&landed, Landed::Here(_, answer) if answer.status == 400), "another signed in meanwhile");
    browser.set_cookie(SESSION, Some(&mine));
    says_signed_out(browser.submit(&server, &form).await);
}

// ---- what dies, and what does not ----

#[tokio::test]
async fn offline_access_outlives_the_session_and_the_rest_does_not() {
    let (server, mut browser, bound) = signed_in().await;
    let offline = shop_tokens(&server, browser.ask_for_code(&server, "openid offline_access").await).await;
    let second = shop_tokens(&server, browser.ask_for_code(&server, "openid read").await).await;
    browser.get(&server, &logout(&[("id_token_hint", &second.id)])).await;
    assert!(!server.is_active(DEMO_API, &bound.access).await);
    assert!(!server.is_active(DEMO_API, &second.access).await);
    assert!(server.is_active(DEMO_API, &offline.access).await);
    assert_eq!((refresh(&server, &bound.refresh).await, refresh(&server, &second.refresh).await), (400, 400));
    assert_eq!(refresh(&server, &offline.refresh).await, 200);
}

#[tokio::test]
async fn signing_out_here_leaves_other_browsers_alone() {
    let (server, mut browser, tokens) = signed_in().await;
    let mut other = Browser::new();
    let elsewhere = other.tokens_for(&server, ALICE, "openid").await;
    browser.get(&server, &logout(&[("id_token_hint", &tokens.id)])).await;
    assert!(server.is_active(DEMO_API, &elsewhere.access).await);
    assert!(!server.restart().await.is_active(DEMO_API, &tokens.access).await);
}

// ---- the rest ----

#[tokio::test]
async fn a_wish_to_sign_out_is_no_authorization_request_and_the_other_way_round() {
    let (server, mut browser, _) = signed_in().await;
    let stored = server.form_post("/logout", &[("client_id", SHOP.0)]).await;
    let (_, id) = sent_to(&stored).split_once("request=").unwrap();
    for page in ["/sign-in", "/consent", "/sign-in/account", "/authorize/continue"] {
        let answer = browser.get(&server, &format!("{page}?request={id}")).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{page}");
    }
    let Landed::Here(url, _) = Browser::new().ask_for_code(&server, "openid").await else { panic!("sent away") };
    let (_, id) = url.split_once("request=").unwrap();
    asks(browser.open(&server, &format!("/logout/continue?request={id}")).await);
}

#[tokio::test]
async fn whoever_has_another_browsers_wish_to_sign_out_gets_nothing_of_it() {
    let (server, mut browser, _) = signed_in().await;
    let fields = [("client_id", SHOP.0), ("post_logout_redirect_uri", BYE), ("state", "hers")];
    let stored = sent_to(&server.form_post("/logout", &fields).await).to_owned();
    let (url, page) = asks(browser.open(&server, &stored).await);
    let mut others = Browser::new();
    others.tokens_for(&server, BOB, "openid").await;
    for target in [&stored, &url] {
        let (_, page) = asks(others.open(&server, target).await);
        assert!(!page.form("sign-out").action.contains("request="), "it is about their own session");
    }
    says_signed_out(Browser::new().open(&server, &stored).await);
    let landed = browser.submit(&server, &page.form("sign-out")).await;
    assert!(matches!(&landed, Landed::Away(to) if *to == format!("{BYE}&state=hers")), "{landed:?}");
}

#[tokio::test]
async fn metadata_names_the_endpoint_at_each_issuer() {
    let server = demo_with_shop().await;
    server.workspace("acme").await;
    for at in ["", "/acme"] {
        let metadata = server.get(&format!("{at}/.well-known/openid-configuration")).await;
        assert_eq!(metadata.field("end_session_endpoint"), format!("{}{at}/logout", server.issuer));
    }
}
