//! Where the server stands decides whose address counts and how cookies are written; and the demo has no back-off.

use super::{BROWSER, DEVICE, SESSION, problem, sign_in_page, signed_in, try_with};
use crate::faults::daemon::Line;
use crate::manage::opalid;
use crate::paste::{How, start_with};
use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::folder::Folder;
use crate::support::html::{Form, Page};
use crate::support::http::{Answer, encode};
use crate::support::person::{Ask, CALLBACK, CHALLENGE, password_of};
use crate::support::visitor::{ALICE, demo_with_shop};

/// What comes back for a wrong password for a name that nobody tried before, in a browser that says it is there.
async fn guess(server: &Server, (browser, form): (&mut Browser, &Form), n: usize, from: &str) -> Answer {
    browser.forwarded_for = Some(from.to_owned());
    try_with(browser, server, form, (&format!("user{n}"), "wrong")).await
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_that_it_passes_on_is_the_one_that_waits() {
    let server = Server::behind_proxy(&["127.0.0.0/8", "10.0.0.0/8"]).await.peopled().await;
    let (mut browser, form) = sign_in_page(&server).await;
    for n in 0..50 {
        // Whatever a client writes itself stands before what the proxies add.
        let from = format!("198.51.100.{n}, 203.0.113.7, 10.0.0.3");
        assert!(problem(&guess(&server, (&mut browser, &form), n, &from).await).contains("not right"), "{n}");
    }
    for from in ["203.0.113.7", "203.0.113.8, 203.0.113.7", "203.0.113.7, 10.9.9.9"] {
        assert_eq!(guess(&server, (&mut browser, &form), 50, from).await.status, 429, "{from}");
    }
    for (n, from) in ["203.0.113.8", "203.0.113.7, 203.0.113.9", "198.51.100.1", ""].into_iter().enumerate() {
        assert_eq!(guess(&server, (&mut browser, &form), 60 + n, from).await.status, 200, "{from}");
    }
}

#[tokio::test]
async fn what_comes_from_elsewhere_waits_whatever_it_says_of_its_address() {
    let server = Server::behind_proxy(&["10.0.0.0/8"]).await.peopled().await;
    let (mut browser, form) = sign_in_page(&server).await;
    for n in 0..50 {
        let from = format!("198.51.100.{n}, 10.0.0.3");
        assert!(problem(&guess(&server, (&mut browser, &form), n, &from).await).contains("not right"), "{n}");
    }
    assert_eq!(guess(&server, (&mut browser, &form), 50, "203.0.113.7").await.status, 429);
    browser.forwarded_for = None;
    assert_eq!(try_with(&mut browser, &server, &form, ("alice", &password_of("alice"))).await.status, 429);
}

#[tokio::test]
async fn under_an_https_issuer_cookies_are_bound_to_the_host_and_secure() {
    let server = Server::behind_proxy(&["127.0.0.1"]).await.peopled().await;
    let mut browser = Browser::new();
    let answer = browser.get(&server, &Ask::new().target()).await;
    let mut lines: Vec<String> = answer.all("set-cookie").into_iter().map(str::to_owned).collect();
    let answer = browser.follow(&server, "", answer).await.answer();
    let form = Page::parse(answer.text()).form("sign-in");
    assert!(form.action.starts_with("/") || form.action.starts_with(&server.issuer), "{}", form.action);
    let answer = try_with(&mut browser, &server, &form, ("alice", &password_of("alice"))).await;
    assert!(signed_in(&answer));
    lines.extend(answer.all("set-cookie").into_iter().map(str::to_owned));
    let expected = [(BROWSER, ""), (SESSION, ""), (DEVICE, "; Max-Age=31536000")].map(|(name, more)| {
        let name = format!("__Host-{name}");
        let value = browser.cookie(&name).unwrap_or_else(|| panic!("no {name} in {lines:?}"));
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Secure{more}")
    });
    assert_eq!(lines, expected);
    let landed = browser.follow(&server, "", answer).await;
    browser.allow(&server, landed).await.away();

    // One that any host beside it could have set is not taken for it.
    let session = browser.cookie(&format!("__Host-{SESSION}")).unwrap().to_owned();
    let silent = Ask::new().with("prompt", "none");
    browser.silent_code(&server, &silent).await;
    browser.set_cookie(&format!("__Host-{SESSION}"), None);
    browser.set_cookie(SESSION, Some(&session));
    assert_eq!(browser.error(&server, &silent).await, "login_required");
}

#[tokio::test]
async fn the_demo_lets_a_test_tool_guess_where_others_have_to_wait() {
    let guesses = 60;
    let server = demo_with_shop().await;
    let mut browser = Browser::new();
    let form = browser.ask_for_code(&server, "read").await.page().form("sign-in");
    for n in 0..guesses {
        let answer = try_with(&mut browser, &server, &form, (ALICE.0, "wrong")).await;
        assert!(answer.status == 200 && problem(&answer).contains("not right"), "{n}: {answer:?}");
    }
    assert!(signed_in(&try_with(&mut browser, &server, &form, ALICE).await));

    let server = Server::with_people().await;
    let (mut browser, form) = sign_in_page(&server).await;
    let mut refused = 0;
    for _ in 0..guesses {
        refused += usize::from(try_with(&mut browser, &server, &form, ("alice", "wrong")).await.status == 429);
    }
    assert_eq!(refused, guesses - 5);
}

const APP: &str = r#"
[[workspace]]
name = "default"

[[workspace.client]]
client_id = "app"
kind = "public"
grant_types = ["authorization_code"]
redirect_uris = ["https://app.example/callback"]
"#;

#[test]
fn the_proxies_that_are_configured_are_those_that_the_real_binary_believes() {
    let data = Folder::new();
    let how = How { arguments: &["--trusted-proxies", "127.0.0.1,10.0.0.0/8"], ..How::default() };
    let running = start_with(data.path(), how);
    let (done, said) = opalid(data.path(), "apply -f -", APP);
    assert!(done, "{said}");
    let line = Line { port: running.port };
    let header = |head: &str, name: &str| {
        let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name}: {head}")).to_owned()
    };
    let ask = [
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let begun = line.ask("GET", &format!("/authorize?{}", encode(&ask)), "", "").unwrap();
    let issuer = format!("http://localhost:{}", running.port);
    let page = line.ask("GET", header(&begun.head, "location").trim_start_matches(&issuer), "", "").unwrap();
    let form = Page::parse(&page.body).form("sign-in").with("password", "wrong");
    let cookie = header(&page.head, "set-cookie");
    let cookie = cookie.split(';').next().unwrap();
    let guess = |n: usize, from: &str| {
        let headers = format!(
            "cookie: {cookie}\r\norigin: {issuer}\r\nsec-fetch-site: same-origin\r\n\
             content-type: application/x-www-form-urlencoded\r\nx-forwarded-for: {from}\r\n"
        );
        let form = form.clone().with("login", &format!("user{n}"));
        let target = form.action.trim_start_matches(&issuer);
        line.ask("POST", target, &headers, &encode(&form.pairs())).unwrap().status
    };
    assert!((0..50).all(|n| guess(n, "198.51.100.1, 203.0.113.7, 10.0.0.3") == 200));
    assert_eq!((guess(50, "203.0.113.7"), guess(51, "203.0.113.8")), (429, 200));
}
