//! The page behind a one-time link to set a password.

use opalid::passwords::password::Password;
use opalid::passwords::password_hash::HasherSettings;
use opalid_core::ids::LinkId;
use opalid_core::time::Seconds;
use opalid_core::token::{PasswordLink, PresentedToken, RowSecret};
use opalid_core::user::username_key;
use opalid_store::steps::password::CreatePasswordLink;
use opalid_store::steps::user::{FindCredentials, TouchUser, UserEvent};

use crate::support::browser::{Browser, Landed};
use crate::support::html::Page;
use crate::support::http::{Answer, encode};
use crate::support::person::{Ask, slow_hash, until};
use crate::support::server::FORM;
use crate::support::visitor::{ALICE, BOB, SESSION, demo_with_shop, refresh, shop_tokens};
use crate::support::{DEMO_API, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const NEW: &str = "margarete-likes-long-words";

/// A link for alice that works for an hour.
pub async fn link(server: &Server) -> String {
    let (app, id) = (&server.app, LinkId::from_bytes(server.app.new_id()));
    let secret = RowSecret::<PasswordLink>::new(*id.as_bytes(), 0, opalid::random::bytes());
    let step = CreatePasswordLink {
        stamp: app.stamp(app.root, "test"),
        id,
        user: alice(server).await,
        digest: secret.digest(),
        expires_at: app.now().plus(Seconds(3600)),
    };
    assert!(app.store.run(step).await.unwrap());
    let issuer = app.find_issuer(None).await.unwrap().unwrap();
    format!("/set-password?token={}", issuer.row_sealer.seal_row(&secret, opalid::random::bytes()))
}

async fn alice(server: &Server) -> opalid_core::ids::UserId {
    let step = FindCredentials { workspace: server.app.root, username_key: username_key(ALICE.0).unwrap() };
    server.app.store.read(step).await.unwrap().unwrap().user.id
}

async fn fill(browser: &mut Browser, server: &Server, link: &str, (new, again): (&str, &str)) -> Landed {
    let page = browser.open(server, link).await.page();
    let form = page.form("set-password").with("new_password", new).with("confirm_password", again);
    browser.submit(server, &form).await
}

#[track_caller]
fn assert_set(landed: Landed) {
    let Landed::Here(url, answer) = landed else { panic!("sent away: {landed:?}") };
    assert_eq!((url.as_str(), answer.status), ("/set-password/done", 200), "{answer:?}");
}

#[track_caller]
fn assert_refused(landed: &Landed) {
    let Landed::Here(_, answer) = landed else { panic!("sent away: {landed:?}") };
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(Page::parse(answer.text()).has("error-code"));
}

async fn can_sign_in(server: &Server, password: &str) -> bool {
    let landed = Browser::new().enter_shop(server, (ALICE.0, password), "openid").await;
    matches!(landed, Landed::Away(_))
}

#[tokio::test]
async fn a_link_sets_the_password_once() {
    let server = demo_with_shop().await;
    let (link, mut browser) = (link(&server).await, Browser::new());
    assert_set(fill(&mut browser, &server, &link, (NEW, NEW)).await);
    assert!(can_sign_in(&server, NEW).await && !can_sign_in(&server, ALICE.1).await);
    assert_refused(&browser.open(&server, &link).await);
    assert!(!server.restart().await.get(&link).await.text().contains("set-password"));
}

#[tokio::test]
async fn looking_at_a_link_uses_nothing_up() {
    let server = demo_with_shop().await;
    let (link, mut browser) = (link(&server).await, Browser::new());
    let steps = server.app.store.steps();
    for _ in 0..3 {
        let page = browser.open(&server, &link).await.page();
        assert!(page.has("new-password") && page.has("confirm-password") && !page.has("problem"));
        assert_eq!(server.request("HEAD", &link, &[], b"").await.status, 200);
    }
    assert_eq!(server.app.store.steps(), steps);
    assert_set(fill(&mut browser, &server, &link, (NEW, NEW)).await);
}

#[tokio::test]
async fn a_form_sent_twice_at_once_sets_one_password() {
    let server = demo_with_shop().await;
    let (link, mut browser) = (link(&server).await, Browser::new());
    let form = browser.open(&server, &link).await.page().form("set-password");
    let with = |new: &str| form.clone().with("new_password", new).with("confirm_password", new);
    let (first, second) = (with(NEW), with("another-word-of-hers"));
    let (first_fields, second_fields) = (first.pairs(), second.pairs());
    let (mut one, mut two) = (browser.clone(), browser.clone());
    let (first, second) =
        tokio::join!(one.post(&server, &link, &first_fields), two.post(&server, &link, &second_fields));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400]);
    assert_eq!(can_sign_in(&server, NEW).await, first.status == 303);
}

#[tokio::test]
async fn everything_from_before_a_recovery_is_dead() {
    let server = demo_with_shop().await;
    let (mut browser, mut other) = (Browser::new(), Browser::new());
    let bound = browser.tokens_for(&server, ALICE, "openid").await;
    let offline = shop_tokens(&server, browser.ask_for_code(&server, "openid offline_access").await).await;
    let bobs = other.tokens_for(&server, BOB, "openid").await;
    let (link, spare) = (link(&server).await, link(&server).await);
    assert_set(fill(&mut browser, &server, &link, (NEW, NEW)).await);
    assert!(!server.is_active(DEMO_API, &bound.access).await);
    assert!(!server.is_active(DEMO_API, &offline.access).await, "recovery ends offline access too");
    assert_eq!((refresh(&server, &bound.refresh).await, refresh(&server, &offline.refresh).await), (400, 400));
    assert!(browser.cookie(SESSION).is_some());
    assert!(browser.ask_for_code(&server, "openid").await.page().has("sign-in"), "the old session is dead");
    assert_refused(&browser.open(&server, &spare).await);
    assert!(server.is_active(DEMO_API, &bobs.access).await);
}

#[tokio::test]
async fn weak_passwords_and_two_different_ones_are_refused_and_the_link_still_works() {
    let server = demo_with_shop().await;
    let (link, mut browser) = (link(&server).await, Browser::new());
    let long = "x".repeat(1025);
    let runs = server.app.hasher.runs();
    for (new, again, why) in [
        ("short", "short", "at least 8 characters"),
        ("password", "password", "most common"),
        (&long, &long, "at most 1,024"),
        (NEW, "margarete-likes-long-wordz", "not the same"),
        (NEW, "", "not the same"),
        ("", "", "at least 8 characters"),
    ] {
        let landed = fill(&mut browser, &server, &link, (new, again)).await;
        let Landed::Here(_, answer) = &landed else { panic!("sent away: {landed:?}") };
        assert!(answer.text().contains(why), "{why}");
        assert!(answer.text().matches(NEW).next().is_none(), "what was typed is not shown");
        assert!(landed.page().has("problem"));
    }
    assert_eq!(server.app.hasher.runs(), runs);
    assert_set(fill(&mut browser, &server, &link, (NEW, NEW)).await);
}

#[tokio::test]
async fn the_form_is_taken_only_from_its_own_page_in_this_browser() {
    let server = demo_with_shop().await;
    let (link, mut browser, mut other) = (link(&server).await, Browser::new(), Browser::new());
    let with = |form: crate::support::html::Form| form.with("new_password", NEW).with("confirm_password", NEW);
    let form = with(browser.open(&server, &link).await.page().form("set-password"));
    let theirs = with(other.open(&server, &link).await.page().form("set-password"));
    let runs = server.app.hasher.runs();
    for forged in [form.clone().without("csrf"), form.clone().with("csrf", "x"), theirs] {
        assert_refused(&browser.submit(&server, &forged).await);
    }
    assert_eq!(server.app.hasher.runs(), runs);
    assert_set(browser.submit(&server, &form).await);
}

#[tokio::test]
async fn a_link_that_cannot_be_used_says_so_and_costs_no_hash() {
    let server = demo_with_shop().await;
    let mut browser = Browser::new();
    browser.tokens_for(&server, BOB, "openid").await;
    let expired = link(&server).await;
    server.clock.advance(3600);
    let before = link(&server).await;
    let revoke = TouchUser {
        stamp: server.app.stamp(server.app.root, "test"),
        id: alice(&server).await,
        event: UserEvent::Revoked,
    };
    assert!(server.app.store.run(revoke).await.unwrap());
    let good = link(&server).await;
    let another_kind = format!("/set-password?token={}", browser.cookie(SESSION).unwrap());
    let cut = good[..good.len() - 1].to_owned();
    let runs = server.app.hasher.runs();
    for dead in [expired, before, another_kind, cut, "/set-password".into(), "/set-password?token=x".into()] {
        let landed = browser.open(&server, &dead).await;
        assert_refused(&landed);
        assert!(matches!(landed, Landed::Here(_, answer) if answer.text().contains("This link")));
        let answer = browser.post(&server, &dead, &[("new_password", NEW), ("confirm_password", NEW)]).await;
        assert_eq!(answer.status, 400);
    }
    assert_eq!(server.app.hasher.runs(), runs);
    assert_set(fill(&mut browser, &server, &good, (NEW, NEW)).await);
}

#[tokio::test]
async fn a_link_that_expires_while_the_person_types_is_dead() {
    let server = demo_with_shop().await;
    let (link, mut browser) = (link(&server).await, Browser::new());
    let form = browser.open(&server, &link).await.page().form("set-password");
    server.clock.advance(3600);
    let form = form.with("new_password", NEW).with("confirm_password", NEW);
    assert_refused(&browser.submit(&server, &form).await);
    assert!(can_sign_in(&server, ALICE.1).await);
}

#[tokio::test]
async fn the_address_of_the_page_is_not_told_to_anybody() {
    let server = demo_with_shop().await;
    let answer = server.get(&link(&server).await).await;
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!answer.text().contains("name=\"referrer\""), "the header is the one place that says so");
}

/// The answer to a sign-in as alice.
async fn try_as_alice(browser: &mut Browser, server: &Server, password: &str) -> Answer {
    let form = browser.open(server, &Ask::new().target()).await.page().form("sign-in");
    let form = form.with("login", ALICE.0).with("password", password);
    browser.post(server, &form.action, &form.pairs()).await
}

#[tokio::test]
async fn guesses_do_not_keep_out_the_browser_that_just_set_the_password() {
    let server = Server::with_people().await;
    let (link, mut browser, mut guesser) = (link(&server).await, Browser::new(), Browser::new());
    assert_set(fill(&mut browser, &server, &link, (NEW, NEW)).await);
    for status in [200, 200, 200, 200, 200, 429] {
        assert_eq!(try_as_alice(&mut guesser, &server, "wrong").await.status, status);
    }
    assert_eq!(try_as_alice(&mut browser, &server, NEW).await.status, 303);
}

/// The row of a link.
async fn row_of(server: &Server, link: &str) -> LinkId {
    let token = link.split_once("token=").unwrap().1;
    let issuer = server.app.find_issuer(None).await.unwrap().unwrap();
    LinkId::from_bytes(issuer.row_sealer.open_row::<PasswordLink>(PresentedToken::new(token)).unwrap().row)
}

#[tokio::test]
async fn the_forms_of_one_link_take_few_places_in_the_queue_of_hashes() {
    let server = Server::with_people().await;
    let (link, mut browser) = (link(&server).await, Browser::new());
    let row = row_of(&server, &link).await;
    let check = || server.app.throttle.check_link(server.app.now(), row).ok();
    let under_way: Vec<_> = (0..100).filter_map(|_| check()).collect();
    assert!(under_way.len() <= HasherSettings::for_cores(1).waiting / 16, "{}", under_way.len());
    let runs = server.app.hasher.runs();
    let Landed::Here(_, answer) = fill(&mut browser, &server, &link, (NEW, NEW)).await else { panic!() };
    assert_eq!((answer.status, server.app.hasher.runs()), (503, runs), "{answer:?}");
    drop(under_way);
    assert_set(fill(&mut browser, &server, &link, (NEW, NEW)).await);
}

#[tokio::test]
async fn whoever_hangs_up_after_sending_the_form_has_set_the_password() {
    let server = Server::with_people().await;
    let (link, mut browser) = (link(&server).await, Browser::new());
    let row = row_of(&server, &link).await;
    let form = browser.open(&server, &link).await.page().form("set-password");
    let body = encode(&form.with("new_password", NEW).with("confirm_password", NEW).pairs());
    let (slow, runs) = (slow_hash("x").await, server.app.hasher.runs());
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (app, slow) = (std::sync::Arc::clone(&server.app), slow.clone());
            tokio::spawn(async move { app.hasher.verify(Some(&slow), &Password::new("x".into())).await })
        })
        .collect();
    until(|| server.app.hasher.runs() == runs + 2).await;
    let check = || server.app.throttle.check_link(server.app.now(), row);
    let _all_but_one = [(); 3].map(|()| check().ok().unwrap());
    let cookie = browser.cookie("opalid-default-browser").unwrap();
    let head = format!(
        "POST {link} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\ncookie: opalid-default-browser={cookie}\r\n\
         content-length: {}\r\n\r\n",
        FORM.1,
        body.len(),
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await.unwrap();
    until(|| check().is_err()).await;
    drop(stream);
    for verified in busy {
        assert_eq!(verified.await.unwrap(), Ok(true));
    }
    until(|| check().is_ok()).await;
    assert_eq!(try_as_alice(&mut browser, &server, NEW).await.status, 303);
}
