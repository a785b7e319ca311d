//! The sign-in page and the session that comes of it.

mod behind_proxy;
mod failed;

use opalid::passwords::password::{ChosenPassword, Password};
use opalid::passwords::password_hash::HasherSettings;
use opalid::passwords::throttle::Candidate;
use opalid_core::claims::StandardClaims;
use opalid_store::steps::password::SetPassword;
use opalid_store::steps::user::UserEvent;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::html::{Form, Page};
use crate::support::http::{Answer, encode};
use crate::support::person::{Ask, between, password_of, slow_hash, until, value};
use crate::support::server::FORM;

const SESSION: &str = "opalid-default-session";
const BROWSER: &str = "opalid-default-browser";
const DEVICE: &str = "opalid-default-device";
const DAY: i64 = 24 * 3600;

/// The sign-in page, opened by a new browser.
async fn sign_in_page(server: &Server) -> (Browser, Form) {
    let mut browser = Browser::new();
    let form = browser.open(server, &Ask::new().target()).await.page().form("sign-in");
    (browser, form)
}

/// What comes back from a try.
pub async fn try_with(browser: &mut Browser, server: &Server, form: &Form, (name, password): (&str, &str)) -> Answer {
    let form = form.clone().with("login", name).with("password", password);
    browser.post(server, &form.action, &form.pairs()).await
}

fn signed_in(answer: &Answer) -> bool {
    assert!(matches!(answer.status, 303 | 200 | 429), "{answer:?}");
    answer.status == 303
}

fn problem(answer: &Answer) -> &str {
    between(answer.text(), "role=\"alert\">", "</p>")
}

#[tokio::test]
async fn a_wrong_password_an_unknown_name_and_a_suspended_user_get_the_same_page_for_the_same_work() {
    let server = Server::with_people().await;
    server.touch_user("bob", UserEvent::Suspended).await;
    let long = "x".repeat(5_000);
    let mut pages = Vec::new();
    for (name, password) in [
        ("alice", "wrong".to_owned()),
        ("nobody", "wrong".to_owned()),
        ("nobody", password_of("alice")),
        ("bob", password_of("bob")),
        ("bob", "wrong".to_owned()),
        ("alice", String::new()),
        ("alice", long),
        ("\u{202e}", "wrong".to_owned()),
    ] {
        let (mut browser, form) = sign_in_page(&server).await;
        let runs = server.app.hasher.runs();
        let answer = try_with(&mut browser, &server, &form, (name, &password)).await;
        assert_eq!(server.app.hasher.runs() - runs, 1, "one run for {name}");
        assert_eq!((browser.cookie(SESSION), browser.cookie(DEVICE)), (None, None));
        let request = form.action.split_once("request=").unwrap().1;
        let csrf = form.pairs()[0].1;
        let page = answer.text().replace(request, "R").replace(csrf, "C");
        let typed = Page::parse(answer.text()).attribute("login", "value").unwrap().to_owned();
        assert_eq!(typed, name);
        let page = match page.split_once("name=\"login\"") {
            Some((before, after)) => format!("{before}{}", after.split_once("autocomplete").unwrap().1),
            None => page,
        };
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| name != "content-length" && name != "x-request-id");
        pages.push((answer.status, headers, page));
    }
    for page in &pages {
        assert_eq!(page, &pages[0]);
    }
    assert!(pages[0].2.contains("The user name or the password is not right."));
}

#[tokio::test]
async fn names_are_taken_as_people_type_them() {
    let server = Server::with_people().await;
    for name in ["alice", "Alice", "ALICE", " alice "] {
        let (mut browser, form) = sign_in_page(&server).await;
        assert!(signed_in(&try_with(&mut browser, &server, &form, (name, &password_of("alice"))).await), "{name}");
    }
}

#[tokio::test]
async fn a_name_is_the_same_in_every_spelling_that_unicode_takes_for_the_same() {
    let server = Server::with_people().await;
    server.user("J\u{fc}rgen Stra\u{df}e", StandardClaims::default()).await;
    let password = password_of("J\u{fc}rgen Stra\u{df}e");
    for (name, right) in [
        ("j\u{fc}rgen stra\u{df}e", true),
        ("ju\u{308}rgen strasse", true),
        ("J\u{dc}RGEN\u{a0}STRASSE", true),
        ("\u{ff2a}\u{fc}rgen stra\u{1e9e}e", true),
        ("jurgen strasse", false),
        ("j\u{fc}rgen\u{200b} strasse", false),
    ] {
        let (mut browser, form) = sign_in_page(&server).await;
        assert_eq!(signed_in(&try_with(&mut browser, &server, &form, (name, &password)).await), right, "{name:?}");
    }
}

#[tokio::test]
async fn after_five_wrong_guesses_the_next_one_waits() {
    let server = Server::with_people().await;
    let (mut browser, form) = sign_in_page(&server).await;
    let (wrong, right) = (("alice", "wrong"), ("alice", &*password_of("alice")));
    for _ in 0..5 {
        assert!(problem(&try_with(&mut browser, &server, &form, wrong).await).contains("not right"));
    }
    let runs = server.app.hasher.runs();
    let answer = try_with(&mut browser, &server, &form, right).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{answer:?}");
    assert_eq!(problem(&answer), "Too many tries. Try again in 1 second.");
    assert_eq!(server.app.hasher.runs(), runs, "and costs nothing");
    server.clock.advance(1);
    assert!(problem(&try_with(&mut browser, &server, &form, wrong).await).contains("not right"));
    let answer = try_with(&mut browser, &server, &form, right).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("2")));
    server.clock.advance(2);
    assert!(signed_in(&try_with(&mut browser, &server, &form, right).await));
}

#[tokio::test]
async fn a_sign_in_is_one_commit_the_session_and_the_request_that_knows_it() {
    let server = Server::with_people().await;
    let (mut browser, form) = sign_in_page(&server).await;
    // The first form that comes keeps the request longer, whatever stands in it.
    assert!(!signed_in(&try_with(&mut browser, &server, &form, ("alice", "wrong")).await));
    let commits = || {
        let text = server.app.metrics.render();
        let count = text.lines().find_map(|line| line.strip_prefix("opalid_commit_seconds_count ")).unwrap();
        count.parse::<u64>().unwrap()
    };
    let before = commits();
    assert!(signed_in(&try_with(&mut browser, &server, &form, ("alice", &password_of("alice"))).await));
    assert_eq!(commits(), before + 1);
}

#[tokio::test]
async fn a_name_that_nobody_has_waits_like_any_other() {
    let server = Server::with_people().await;
    let (mut browser, form) = sign_in_page(&server).await;
    for _ in 0..5 {
        try_with(&mut browser, &server, &form, ("nobody", "wrong")).await;
    }
    let answer = try_with(&mut browser, &server, &form, ("nobody", "wrong")).await;
    assert_eq!(problem(&answer), "Too many tries. Try again in 1 second.");
    let answer = try_with(&mut browser, &server, &form, ("alice", &password_of("alice"))).await;
    assert!(signed_in(&answer), "another name does not wait");
}

#[tokio::test]
async fn after_a_thousand_wrong_guesses_elsewhere_a_browser_that_signed_in_before_still_signs_in() {
    let server = Server::with_people().await;
    let mut known = Browser::new();
    known.code(&server, &Ask::new(), "alice").await;
    let (mut guesser, form) = sign_in_page(&server).await;
    for n in 0..1000 {
        let answer = try_with(&mut guesser, &server, &form, ("alice", &format!("guess {n}"))).await;
        assert!(!signed_in(&answer));
        server.clock.advance(3);
    }
    let (mut stranger, form) = sign_in_page(&server).await;
    let answer = try_with(&mut stranger, &server, &form, ("alice", &password_of("alice"))).await;
    assert!(!signed_in(&answer), "whoever is not known has to wait");
    known.code(&server, &Ask::new().with("prompt", "login"), "alice").await;
    known.set_cookie(SESSION, None);
    known.code(&server, &Ask::new(), "alice").await;
}

/// Leaves `name` so many wrong guesses that whoever is not known has to wait.
async fn guess_at(server: &Server, name: &str) {
    let (mut guesser, form) = sign_in_page(server).await;
    for _ in 0..5 {
        assert!(!signed_in(&try_with(&mut guesser, server, &form, (name, "wrong")).await));
    }
}

/// The status that a browser gets for the right password of `name`: 303 or 429.
async fn status_of(browser: &mut Browser, server: &Server, name: &str, password: &str) -> u16 {
    let landed = browser.open(server, &Ask::new().with("prompt", "login").target()).await;
    let form = landed.page().form("sign-in");
    try_with(browser, server, &form, (name, password)).await.status
}

#[tokio::test]
async fn whatever_ends_all_that_a_user_had_makes_their_browsers_unknown() {
    let server = Server::with_people().await;
    for event in [UserEvent::Revoked, UserEvent::SignedOutEverywhere] {
        let mut known = Browser::new();
        known.code(&server, &Ask::new(), "alice").await;
        guess_at(&server, "alice").await;
        let mut copy = known.clone();
        assert_eq!(status_of(&mut copy, &server, "alice", &password_of("alice")).await, 303);
        server.touch_user("alice", event).await;
        assert_eq!(status_of(&mut known, &server, "alice", &password_of("alice")).await, 429, "{event:?}");
        server.clock.advance(DAY);
    }
}

#[tokio::test]
async fn after_a_password_was_set_anew_a_browser_from_before_waits_like_any_other() {
    let server = Server::with_people().await;
    let mut known = Browser::new();
    known.code(&server, &Ask::new(), "alice").await;
    let chosen = ChosenPassword::new(Password::new(password_of("the new alice")), "alice").unwrap();
    let hash = server.app.hasher.hash(&chosen, opalid::random::bytes()).await.unwrap();
    let stamp = server.app.stamp(server.app.root, "test");
    let step = SetPassword { stamp, user: server.find_user("alice").await.id, password_hash: hash.to_text() };
    assert!(server.app.store.run(step).await.unwrap());
    guess_at(&server, "alice").await;
    assert_eq!(status_of(&mut known, &server, "alice", &password_of("the new alice")).await, 429);
    server.clock.advance(1);
    assert_eq!(status_of(&mut known, &server, "alice", &password_of("the new alice")).await, 303);
    guess_at(&server, "alice").await;
    assert_eq!(status_of(&mut known, &server, "alice", &password_of("the new alice")).await, 303, "known again");
}

#[tokio::test]
async fn only_for_a_browser_that_signed_in_with_the_name_is_anything_read_before_back_off() {
    let server = Server::with_people().await;
    let mut bobs = Browser::new();
    bobs.code(&server, &Ask::new(), "bob").await;
    let mut reads = Vec::new();
    for name in ["alice", "nobody", "bob"] {
        guess_at(&server, name).await;
        let landed = bobs.open(&server, &Ask::new().with("prompt", "login").target()).await;
        let form = landed.page().form("sign-in");
        let before = server.app.store.reads();
        let status = try_with(&mut bobs, &server, &form, (name, "wrong")).await.status;
        reads.push((status, server.app.store.reads() - before));
    }
    assert_eq!((reads[0].0, reads[2].0), (429, 200));
    assert_eq!(reads[0], reads[1], "a name that somebody has and one that nobody has");
}

/// Gives `name` a password whose check takes long enough to hang up meanwhile.
async fn slow_password(server: &Server, name: &str) {
    let password_hash = slow_hash(&password_of(name)).await.to_text();
    let user = server.find_user(name).await.id;
    let stamp = server.app.stamp(server.app.root, "test");
    assert!(server.app.store.run(SetPassword { stamp, user, password_hash }).await.unwrap());
}

#[tokio::test]
async fn whoever_hangs_up_before_the_answer_has_failed_all_the_same() {
    let server = Server::with_people().await;
    slow_password(&server, "alice").await;
    let (mut browser, form) = sign_in_page(&server).await;
    let body = encode(&form.clone().with("login", "alice").with("password", "wrong").pairs());
    let target = form.action.strip_prefix(&server.issuer).unwrap_or(&form.action);
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\ncookie: {BROWSER}={}\r\ncontent-length: {}\r\n\r\n",
        FORM.1,
        browser.cookie(BROWSER).unwrap(),
        body.len(),
    );
    for n in 1..=5 {
        let runs = server.app.hasher.runs();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await.unwrap();
        until(|| server.app.hasher.runs() > runs).await;
        drop(stream);
        let counted = format!("opalid_sign_ins_total{{outcome=\"wrong\"}} {n}\n");
        until(|| server.app.metrics.render().contains(&counted)).await;
    }
    assert_eq!(try_with(&mut browser, &server, &form, ("alice", &password_of("alice"))).await.status, 429);
}

#[tokio::test]
async fn a_flood_from_one_address_leaves_room_for_everybody_else() {
    let server = Server::with_people().await;
    let mut bobs = Browser::new();
    bobs.code(&server, &Ask::new(), "bob").await;
    let here = "127.0.0.1".parse().unwrap();
    let names: Vec<_> = (0..100).map(|n| format!("user{n}")).collect();
    let candidates = names.iter().map(|login_name| Candidate {
        workspace: server.app.root,
        login_name,
        address: here,
        device: None,
    });
    let under_way: Vec<_> =
        candidates.filter_map(|candidate| server.app.throttle.check(server.app.now(), &candidate).ok()).collect();
    assert!(under_way.len() <= HasherSettings::for_cores(1).waiting / 8, "{}", under_way.len());
    let runs = server.app.hasher.runs();
    assert_eq!(status_of(&mut Browser::new(), &server, "alice", &password_of("alice")).await, 429);
    assert_eq!(server.app.hasher.runs(), runs, "one more from this address does not come near the hasher");
    assert_eq!(status_of(&mut bobs, &server, "bob", &password_of("bob")).await, 303, "not even from there");
    drop(under_way);
    assert_eq!(status_of(&mut Browser::new(), &server, "alice", &password_of("alice")).await, 303);
}

#[tokio::test]
async fn a_device_cookie_of_one_name_is_none_of_another() {
    let server = Server::with_people().await;
    let mut bobs = Browser::new();
    bobs.code(&server, &Ask::new(), "bob").await;
    let (mut guesser, form) = sign_in_page(&server).await;
    for _ in 0..5 {
        try_with(&mut guesser, &server, &form, ("alice", "wrong")).await;
    }
    let landed = bobs.open(&server, &Ask::new().with("prompt", "login").target()).await;
    let form = landed.page().form("sign-in");
    let answer = try_with(&mut bobs, &server, &form, ("alice", &password_of("alice"))).await;
    assert!(!signed_in(&answer));
}

#[tokio::test]
async fn a_form_without_its_field_or_with_a_foreign_one_signs_nobody_in() {
    let server = Server::with_people().await;
    let (mut browser, form) = sign_in_page(&server).await;
    let (mut other, of_other) = sign_in_page(&server).await;
    let credentials = ("alice", &*password_of("alice"));
    let field = opalid::pages::CSRF_FIELD;
    let runs = server.app.hasher.runs();
    let foreign = of_other.fields.iter().find(|(name, _)| name == field).unwrap().1.clone();
    for forged in [
        form.clone().without(field),
        form.clone().with(field, ""),
        form.clone().with(field, &foreign),
        form.clone().with(field, &form.fields[0].1[1..]),
        of_other.clone(),
    ] {
        let answer = try_with(&mut browser, &server, &forged, credentials).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{forged:?}");
        assert!(answer.all("set-cookie").is_empty());
    }
    let cookie = browser.cookie(BROWSER).unwrap().to_owned();
    for wrong in [None, Some("AAAAAAAAAAAAAAAAAAAAAA"), other.cookie(BROWSER)] {
        browser.set_cookie(BROWSER, wrong);
        assert_eq!(try_with(&mut browser, &server, &form, credentials).await.status, 400, "{wrong:?}");
    }
    assert_eq!(server.app.hasher.runs(), runs, "no password was looked at");
    browser.set_cookie(BROWSER, Some(&cookie));
    assert!(signed_in(&try_with(&mut browser, &server, &form, credentials).await));
    assert!(signed_in(&try_with(&mut other, &server, &of_other, credentials).await));
}

#[tokio::test]
async fn a_form_that_says_it_comes_from_elsewhere_signs_nobody_in() {
    let server = Server::with_people().await;
    let (browser, form) = sign_in_page(&server).await;
    let form = form.with("login", "alice").with("password", &password_of("alice"));
    let cookie = format!("{BROWSER}={}", browser.cookie(BROWSER).unwrap());
    let target = form.action.strip_prefix(&server.issuer).unwrap_or(&form.action).to_owned();
    let body = encode(&form.pairs());
    let own = server.issuer.clone();
    for (headers, status) in [
        (vec![("origin", "https://evil.example")], 400),
        (vec![("origin", "http://localhost")], 400),
        (vec![("origin", own.as_str()), ("sec-fetch-site", "cross-site")], 400),
        (vec![("origin", own.as_str()), ("sec-fetch-site", "same-site")], 400),
        (vec![("origin", own.as_str()), ("origin", "https://evil.example")], 400),
        (vec![("origin", own.as_str()), ("sec-fetch-site", "same-origin")], 303),
        (vec![("origin", "null"), ("sec-fetch-site", "same-origin")], 303),
        (vec![], 303),
    ] {
        let headers = [&[FORM, ("cookie", cookie.as_str())], headers.as_slice()].concat();
        let answer = server.request("POST", &target, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn signing_in_gives_a_new_session_secret_and_the_old_one_opens_nothing() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    let before = browser.cookie(SESSION).unwrap().to_owned();
    let mut thief = browser.clone();
    browser.code(&server, &Ask::new().with("prompt", "login"), "alice").await;
    assert_ne!(browser.cookie(SESSION).unwrap(), before);
    browser.silent_code(&server, &Ask::new().with("prompt", "none")).await;
    assert_eq!(thief.error(&server, &Ask::new().with("prompt", "none")).await, "login_required");
}

#[tokio::test]
async fn a_session_planted_in_a_browser_is_not_what_its_next_user_signs_in_to() {
    let server = Server::with_people().await;
    let mut mallory = Browser::new();
    mallory.code(&server, &Ask::new(), "bob").await;
    let mut browser = Browser::new();
    browser.set_cookie(SESSION, mallory.cookie(SESSION));
    browser.set_cookie(BROWSER, mallory.cookie(BROWSER));
    browser.code(&server, &Ask::new().with("prompt", "login"), "alice").await;
    assert_ne!(browser.cookie(SESSION), mallory.cookie(SESSION));
    assert_eq!(mallory.error(&server, &Ask::new().with("prompt", "none")).await, "login_required");
}

#[tokio::test]
async fn a_session_cookie_with_any_character_changed_is_none() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    let cookie = browser.cookie(SESSION).unwrap().to_owned();
    let silent = Ask::new().with("prompt", "none");
    for at in 0..cookie.len() {
        let mut changed = cookie.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        browser.set_cookie(SESSION, std::str::from_utf8(&changed).ok());
        assert_eq!(browser.error(&server, &silent).await, "login_required", "at {at}");
    }
    browser.set_cookie(SESSION, Some(&cookie));
    browser.silent_code(&server, &silent).await;
}

#[tokio::test]
async fn cookies_are_for_us_alone_and_hold_no_session_before_a_sign_in() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let answer = browser.get(&server, &Ask::new().target()).await;
    let [cookie] = answer.all("set-cookie")[..] else { panic!("{answer:?}") };
    let value = browser.cookie(BROWSER).unwrap();
    assert_eq!(cookie, format!("{BROWSER}={value}; Path=/; HttpOnly; SameSite=Lax"));
    let answer = browser.follow(&server, "", answer).await.answer();
    assert_eq!(answer.header("set-cookie"), None, "it has one");
    let form = Page::parse(answer.text()).form("sign-in");
    let answer = try_with(&mut browser, &server, &form, ("alice", &password_of("alice"))).await;
    let lines = answer.all("set-cookie");
    let session = format!("{SESSION}={}; Path=/; HttpOnly; SameSite=Lax", browser.cookie(SESSION).unwrap());
    let device = browser.cookie(DEVICE).unwrap();
    let device = format!("{DEVICE}={device}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000");
    assert_eq!(lines, [session, device]);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_session_that_rested_a_day_asks_for_a_sign_in_and_one_that_is_used_does_not() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    let silent = Ask::new().with("prompt", "none");
    for _ in 0..3 {
        server.clock.advance(DAY);
        browser.silent_code(&server, &silent).await;
    }
    server.clock.advance(DAY + 1);
    assert_eq!(browser.error(&server, &silent).await, "login_required");
    assert_eq!(browser.open(&server, &Ask::new().target()).await.path(), "/sign-in");
    browser.code(&server, &Ask::new(), "alice").await;
    browser.silent_code(&server, &silent).await;
}

#[tokio::test]
async fn a_session_ends_after_thirty_days_however_much_it_is_used_and_its_tokens_with_it() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    let silent = Ask::new().with("prompt", "none");
    for _ in 0..29 {
        server.clock.advance(DAY);
        browser.silent_code(&server, &silent).await;
    }
    server.clock.advance(DAY - 10);
    let token = server.tokens(&browser.silent_code(&server, &silent).await).await.field("access_token");
    let last_code = browser.silent_code(&server, &silent).await;
    server.clock.advance(9);
    assert!(server.knows(&token).await);
    server.clock.advance(1);
    assert_eq!(browser.error(&server, &silent).await, "login_required");
    assert!(!server.knows(&token).await);
    assert_eq!(server.redeem(crate::support::person::APP, &last_code, &[]).await.status, 400);
}

#[tokio::test]
async fn signing_in_as_another_user_ends_the_first_ones_session_and_what_is_bound_to_it() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let token = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await.field("access_token");
    let mut copy = browser.clone();
    let landed = browser.open(&server, &Ask::new().with("prompt", "login").target()).await;
    let (_, parameters) = browser.sign_in_at(&server, landed, "bob").await.away();
    let claims = server.id_token(&server.tokens(value(&parameters, "code")).await).await;
    assert_eq!(claims.sub, server.find_user("bob").await.id.to_string());
    assert!(!server.knows(&token).await);
    assert_eq!(copy.error(&server, &Ask::new().with("prompt", "none")).await, "login_required");
}

#[tokio::test]
async fn signing_in_again_as_the_same_user_keeps_what_is_bound_to_the_session() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let tokens = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await;
    let code = browser.code(&server, &Ask::new().with("prompt", "login"), "alice").await;
    let again = server.tokens(&code).await;
    assert!(server.knows(&tokens.field("access_token")).await);
    assert_eq!(server.id_token(&tokens).await.sid, server.id_token(&again).await.sid);
}

#[tokio::test]
async fn two_browsers_of_one_person_are_two_sessions() {
    let server = Server::with_people().await;
    let (mut one, mut two) = (Browser::new(), Browser::new());
    let first = server.tokens(&one.code(&server, &Ask::new(), "alice").await).await;
    let second = server.tokens(&two.code(&server, &Ask::new(), "alice").await).await;
    assert_ne!(server.id_token(&first).await.sid, server.id_token(&second).await.sid);
    one.silent_code(&server, &Ask::new()).await;
    two.silent_code(&server, &Ask::new()).await;
}

#[tokio::test]
async fn what_was_typed_is_escaped_on_the_page() {
    let server = Server::with_people().await;
    let (mut browser, form) = sign_in_page(&server).await;
    let hostile = "\"><script>alert(1)</script>'&amp;";
    let answer = try_with(&mut browser, &server, &form, (hostile, hostile)).await;
    assert!(!answer.text().contains("<script"));
    assert_eq!(Page::parse(answer.text()).attribute("login", "value"), Some(hostile));
    assert_eq!(Page::parse(answer.text()).attribute("password", "value"), None);
}

#[tokio::test]
async fn someone_elses_link_to_the_sign_in_page_sends_nobody_anywhere_but_to_its_client() {
    let server = Server::with_people().await;
    let answer = Browser::new().get(&server, &Ask::new().with("state", "of another browser").target()).await;
    let link = answer.header("location").unwrap().to_owned();
    let mut browser = Browser::new();
    let landed = browser.open(&server, &link).await;
    let (base, parameters) = browser.sign_in_at(&server, landed, "alice").await.away();
    assert_eq!((base.as_str(), value(&parameters, "state")), (crate::support::person::CALLBACK, "of another browser"));
    let going_on = link.replace("/sign-in", "/authorize/continue");
    assert_eq!(Browser::new().open(&server, &going_on).await.answer().status, 400, "it was answered");
}
