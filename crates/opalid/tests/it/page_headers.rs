//! The headers of every page, and what no page has in it.

use crate::set_password;
use crate::sign_in::try_with;
use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::html::Page;
use crate::support::http::Answer;
use crate::support::person::{Ask, password_of};

/// The pages whose forms lead to no client, not even by a redirect.
const STAY_HERE: [&str; 8] =
    ["console sign-in", "no administrator", "error", "home", "not found", "set-password", "password set", "signed out"];

#[tokio::test]
async fn every_page_carries_the_security_headers() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let mut pages = Vec::new();
    let sign_in = browser.open(&server, &Ask::new().target()).await.answer();
    let form = Page::parse(sign_in.text()).form("sign-in");
    pages.push(("sign-in", sign_in));
    pages.push(("wrong", try_with(&mut browser, &server, &form, ("alice", "wrong")).await));
    for _ in 0..5 {
        try_with(&mut browser, &server, &form, ("nobody", "wrong")).await;
    }
    pages.push(("too many", try_with(&mut browser, &server, &form, ("nobody", "wrong")).await));
    let answer = try_with(&mut browser, &server, &form, ("alice", &password_of("alice"))).await;
    let consent = browser.follow(&server, "", answer).await;
    assert_eq!(consent.path(), "/consent");
    pages.push(("consent", consent.answer()));
    let select = Ask::new().with("prompt", "select_account");
    pages.push(("select account", browser.open(&server, &select.target()).await.answer()));
    let form_post = Ask::new().with("prompt", "none").with("response_mode", "form_post");
    pages.push(("form_post", browser.open(&server, &form_post.target()).await.answer()));
    pages.push(("home", browser.get(&server, "/").await));
    pages.push(("not found", browser.get(&server, "/nowhere").await));
    pages.push(("set-password", browser.get(&server, &set_password::link(&server).await).await));
    pages.push(("password set", browser.get(&server, "/set-password/done").await));
    let sign_out = browser.open(&server, "/logout").await;
    assert_eq!(sign_out.path(), "/sign-out");
    let sign_out = sign_out.answer();
    let form = Page::parse(sign_out.text()).form("sign-out");
    pages.push(("sign-out", sign_out));
    let signed_out = browser.submit(&server, &form).await;
    assert_eq!(signed_out.path(), "/signed-out");
    pages.push(("signed out", signed_out.answer()));
    pages.push(("error", browser.open(&server, "/authorize").await.answer()));
    let mut visitor = Browser::new();
    let sign_in = visitor.get(&server, "/console/sign-in").await;
    let form = Page::parse(sign_in.text()).form("sign-in").with("login", "alice");
    pages.push(("console sign-in", sign_in));
    visitor.submit(&server, &form.with("password", &password_of("alice"))).await;
    pages.push(("no administrator", visitor.get(&server, "/console/inspect").await));
    for (name, answer) in &pages {
        let status = match *name {
            "error" => 400,
            "not found" => 404,
            "too many" => 429,
            "no administrator" => 403,
            _ => 200,
        };
        assert_eq!(answer.status, status, "{name}");
        assert_safe(&server, name, answer);
    }
    let demo = Server::demo().await;
    for (name, path) in [("home", "/"), ("demo", "/demo")] {
        let answer = Browser::new().get(&demo, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_safe(&demo, name, &answer);
    }
}

/// Such a page can be framed by nobody, loads nothing but ours, runs nothing of its own, and is not kept.
#[track_caller]
fn assert_safe(server: &Server, name: &str, answer: &Answer) {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{name}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{name}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{name}");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    assert_eq!(policy.contains("form-action"), STAY_HERE.contains(&name), "{name}: {policy}");
    let page = answer.text();
    let inline = ["<style", "style=", " onclick", " onload", "<script>", "http://", "https://"];
    for inline in inline.iter().filter(|inline| name != "form_post" || !inline.starts_with("http")) {
        let page = page.replace(&server.issuer, "");
        assert!(!page.contains(inline), "{inline} in {name}: {page}");
    }
}
