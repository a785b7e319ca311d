//! The authorization endpoint: who is answered where and how, and what is refused.

use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::request::GrantType;
use opalid_store::steps::client::ClientEvent;

use crate::support::Server;
use crate::support::browser::{Browser, Landed};
use crate::support::html::Page;
use crate::support::person::{
    API, API_SERVER, APP, Ask, CALLBACK, CHALLENGE, LOOPBACK, PUBLIC, VERIFIER, refusal, value, web_app,
};
use crate::support::server::FORM;

async fn signed_in() -> (Server, Browser) {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    browser.code(&server, &Ask::new(), "alice").await;
    (server, browser)
}

#[tokio::test]
async fn a_bad_client_or_address_never_redirects_and_is_escaped_on_the_page() {
    let (server, mut browser) = signed_in().await;
    let hostile = [
        "javascript:alert(document.domain)//",
        "data:text/html,<script>alert(1)</script>",
        "\"><script>alert(1)</script><img src=x onerror=alert(2)>",
        "https://app.example/callback\r\nset-cookie: a=b",
        "https://app.example/callback\u{202e}",
        "//evil.example/",
        "/authorize/continue",
        "https:app.example/callback",
        "https://app.example\\@evil.example/callback",
        "\0",
        "{{7*7}}&amp;",
    ];
    for text in hostile {
        for name in ["client_id", "redirect_uri"] {
            let ask = Ask::new().with(name, text).with("state", text);
            for answer in
                [browser.get(&server, &ask.target()).await, browser.post(&server, "/authorize", &ask.pairs()).await]
            {
                assert_eq!((answer.status, answer.header("location")), (400, None), "{name}={text}");
                let page = answer.text();
                assert!(Page::parse(page).has("error-code"), "{page}");
                for tag in ["<script", "<img", "onerror=", "<form", "javascript:", "<a "] {
                    assert!(!page.contains(tag), "{tag} of {text} in {page}");
                }
            }
        }
    }
    for ask in [Ask::new().without("client_id"), Ask::new().and("client_id", APP.0), Ask::new().with("client_id", "")] {
        assert_eq!(browser.get(&server, &ask.target()).await.status, 400, "{ask:?}");
    }
    let long = Ask::new().with("redirect_uri", &format!("{CALLBACK}?{}", "a".repeat(20_000)));
    let answer = browser.post(&server, "/authorize", &long.pairs()).await;
    assert!((400..500).contains(&answer.status) && answer.header("location").is_none(), "{}", answer.status);
}

#[tokio::test]
async fn an_error_page_says_nothing_that_whoever_sent_the_person_there_made_up() {
    let (server, mut browser) = signed_in().await;
    let landed = browser.open(&server, &Ask::new().with("prompt", "login").target()).await;
    let sign_in = landed.page().form("sign-in").action;
    let rogue = "Your+account+is+locked.+Call+0800-EVIL";
    for parameters in [format!("{rogue}&{rogue}"), format!("{rogue}=%zz"), format!("{rogue}=%00"), rogue.repeat(9)] {
        for target in ["/authorize", "/logout", "/set-password", "/sign-in", "/consent", "/sign-out"] {
            let answer = browser.get(&server, &format!("{target}?{parameters}")).await;
            assert!(!answer.text().contains("EVIL"), "{target}: {answer:?}");
        }
        let headers = [FORM, ("sec-fetch-site", "same-origin")];
        for target in ["/authorize", "/logout", sign_in.strip_prefix(&server.issuer).unwrap_or(&sign_in)] {
            let answer = server.request("POST", target, &headers, parameters.as_bytes()).await;
            assert!(answer.status == 400 || target == "/logout", "{target}: {answer:?}");
            assert!(!answer.text().contains("EVIL"), "{target}: {answer:?}");
        }
    }
    let twice = browser.get(&server, &Ask::new().and("client_id", "x").target()).await;
    assert!(twice.text().contains("parameter client_id is given more than once"), "what is ours is named");
}

#[tokio::test]
async fn a_suspended_client_is_an_unknown_one_also_for_a_request_that_waits() {
    let (server, mut browser) = signed_in().await;
    let waiting = browser.open(&server, &Ask::new().with("prompt", "login").target()).await;
    server.touch_client(APP.0, ClientEvent::Suspended).await;
    assert_eq!(browser.open(&server, &Ask::new().target()).await.answer().status, 400);
    let landed = browser.give_password(&server, waiting, "alice", "alice likes long sentences").await;
    assert_eq!(landed.path(), "/authorize/continue");
    assert_eq!(landed.answer().status, 400);
}

#[tokio::test]
async fn an_address_taken_off_the_list_is_not_answered_also_for_a_request_that_waits() {
    let (server, mut browser) = signed_in().await;
    let waiting = browser.open(&server, &Ask::new().with("prompt", "login").target()).await;
    server.update_client(APP.0, web_app("The App", &["https://app.example/elsewhere"])).await;
    let landed = browser.give_password(&server, waiting, "alice", "alice likes long sentences").await;
    assert_eq!(landed.path(), "/authorize/continue");
    assert_eq!(landed.answer().status, 400);
}

#[tokio::test]
async fn the_issuer_stands_in_every_answer_success_or_error() {
    let (server, mut browser) = signed_in().await;
    for ask in [
        Ask::new(),
        Ask::new().with("response_type", "token"),
        Ask::new().with("scope", "openid email").with("prompt", "none"),
    ] {
        let (base, parameters) = browser.open(&server, &ask.target()).await.away();
        assert_eq!((base.as_str(), value(&parameters, "iss")), (CALLBACK, server.issuer.as_str()));
        assert_eq!(value(&parameters, "state"), "s-1");
    }
    let (_, parameters) = browser.open(&server, &Ask::new().without("state").target()).await.away();
    assert!(parameters.iter().all(|(name, _)| name != "state"), "no state, none back: {parameters:?}");
}

#[tokio::test]
async fn the_state_comes_back_unchanged_whatever_is_in_it() {
    let (server, mut browser) = signed_in().await;
    for state in ["a&code=b#c?d=e+f g%20h", "ä漢\u{1f600}", "\r\nlocation: https://evil.example", "<script>"] {
        for mode in ["query", "fragment"] {
            let ask = Ask::new().with("state", state).with("response_mode", mode);
            let (base, parameters) = browser.open(&server, &ask.target()).await.away();
            assert_eq!((base.as_str(), value(&parameters, "state")), (CALLBACK, state));
            assert_eq!(parameters.len(), 3, "{parameters:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_comes_in_the_query_or_the_fragment_as_asked_for_errors_too() {
    let (server, mut browser) = signed_in().await;
    for (mode, mark) in [("query", "?"), ("fragment", "#")] {
        for (kind, begin) in [("code", "code="), ("token", "error=unsupported_response_type")] {
            let ask = Ask::new().with("response_mode", mode).with("response_type", kind);
            let Landed::Away(url) = browser.open(&server, &ask.target()).await else { panic!("{ask:?}") };
            assert!(url.starts_with(&format!("{CALLBACK}{mark}{begin}")), "{url}");
        }
    }
    for mode in ["jwt", "query.jwt", "FORM_POST", "web_message"] {
        let ask = Ask::new().with("response_mode", mode);
        let Landed::Away(url) = browser.open(&server, &ask.target()).await else { panic!("{ask:?}") };
        assert!(url.starts_with(&format!("{CALLBACK}?error=invalid_request&")), "{url}");
    }
}

#[tokio::test]
async fn a_repeated_parameter_is_refused_at_the_client() {
    let (server, mut browser) = signed_in().await;
    for name in ["scope", "response_type", "nonce", "prompt", "code_challenge", "max_age", "extra"] {
        let ask = Ask::new().and(name, "openid").and(name, "openid");
        let (base, parameters) = browser.open(&server, &ask.target()).await.away();
        assert_eq!((base.as_str(), value(&parameters, "error")), (CALLBACK, "invalid_request"), "{name}");
        assert_eq!(value(&parameters, "state"), "s-1");
    }
    let (_, parameters) = browser.open(&server, &Ask::new().and("state", "s-2").target()).await.away();
    assert_eq!(value(&parameters, "error"), "invalid_request");
    assert!(parameters.iter().all(|(name, _)| name != "state"), "{parameters:?}");
}

#[tokio::test]
async fn one_resource_is_granted_and_becomes_the_audience() {
    let (server, mut browser) = signed_in().await;
    let ask = Ask::new().with("scope", "openid read").with("resource", API);
    let landed = browser.open(&server, &ask.target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(tokens.field("scope"), "openid read");
    let token = tokens.field("access_token");
    let seen = server.introspect(API_SERVER, &token).await.json();
    assert_eq!((&seen["aud"], &seen["scope"], &seen["username"]), (&API.into(), &"read".into(), &"alice".into()));
    assert_eq!(seen["sub"], server.id_token(&tokens).await.sub);
    assert!(server.knows(&token).await, "openid opens userinfo, whatever the audience");
}

#[tokio::test]
async fn beside_openid_scopes_of_a_resource_are_dropped_without_one_and_a_default_resource_gives_it() {
    let (server, mut browser) = signed_in().await;
    let ask = Ask::new().with("scope", "openid read");
    let tokens = server.tokens(&browser.silent_code(&server, &ask).await).await;
    assert_eq!(tokens.field("scope"), "openid");
    assert!(!server.is_active(API_SERVER, &tokens.field("access_token")).await);
    let settings = ClientSettings { default_resources: vec![API.into()], ..web_app("The App", &[CALLBACK]) };
    server.update_client(APP.0, settings).await;
    let landed = browser.open(&server, &ask.target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(tokens.field("scope"), "openid read");
    assert!(server.is_active(API_SERVER, &tokens.field("access_token")).await);
}

#[tokio::test]
async fn a_resource_that_is_unknown_or_not_the_clients_or_one_of_several_is_invalid_target() {
    let (server, mut browser) = signed_in().await;
    server.resource("https://secret.example/", "read").await;
    for ask in [
        Ask::new().with("resource", "https://nowhere.example/"),
        Ask::new().with("resource", "https://secret.example/"),
        Ask::new().with("resource", "https://api.example"),
        Ask::new().with("resource", "https://api.example/#fragment"),
        Ask::new().with("resource", "no uri"),
        Ask::new().with("resource", API).and("resource", "https://nowhere.example/"),
        Ask::new().with("scope", "read"),
    ] {
        for ask in [ask.clone(), ask.with("prompt", "none")] {
            assert_eq!(browser.error(&server, &ask).await, "invalid_target", "{ask:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_scope_is_ignored_beside_openid_and_refused_without_it() {
    let (server, mut browser) = signed_in().await;
    let ask = Ask::new().with("scope", "openid admin read").with("resource", API);
    let landed = browser.open(&server, &ask.target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.field("scope"), "openid read");
    let refused = Ask::new().with("scope", "admin read").with("resource", API);
    assert_eq!(browser.error(&server, &refused).await, "invalid_scope");
    assert_eq!(browser.error(&server, &Ask::new().with("scope", "open\"id")).await, "invalid_scope");
    let code = browser.silent_code(&server, &Ask::new().with("scope", "openid nothing-of-ours")).await;
    assert_eq!(server.tokens(&code).await.field("scope"), "openid");
}

#[tokio::test]
async fn without_openid_there_is_no_id_token_and_no_userinfo() {
    let (server, mut browser) = signed_in().await;
    let ask = Ask::new().with("scope", "write").with("resource", API);
    let landed = browser.open(&server, &ask.target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert!(tokens.json().get("id_token").is_none());
    let answer = server.userinfo(&tokens.field("access_token")).await;
    assert_eq!(refusal(&answer), (403, "insufficient_scope".into()));
}

#[tokio::test]
async fn a_public_client_must_use_pkce_with_s256() {
    let (server, mut browser) = signed_in().await;
    for ask in [
        Ask::public().without("code_challenge").without("code_challenge_method"),
        Ask::public().with("code_challenge_method", "plain"),
        Ask::public().with("code_challenge_method", "s256"),
        Ask::public().without("code_challenge_method"),
        Ask::public().without("code_challenge"),
        Ask::public().with("code_challenge", &CHALLENGE[1..]),
        Ask::public().with("code_challenge", VERIFIER).with("code_challenge_method", "plain"),
        Ask::new().with("code_challenge", VERIFIER).with("code_challenge_method", "plain"),
        Ask::new().with("code_challenge", VERIFIER),
    ] {
        assert_eq!(browser.error(&server, &ask).await, "invalid_request", "{ask:?}");
    }
    let landed = browser.open(&server, &Ask::public().target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let code = value(&parameters, "code");
    let fields = [("grant_type", "authorization_code"), ("client_id", PUBLIC), ("redirect_uri", LOOPBACK)];
    let fields = [&fields[..], &[("code", code), ("code_verifier", VERIFIER)]].concat();
    let answer = server.form_post("/token", &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_loopback_address_is_answered_at_any_port_and_only_there() {
    let (server, mut browser) = signed_in().await;
    for uri in ["http://127.0.0.1:51004/callback", "http://127.0.0.1:1/callback", LOOPBACK] {
        let landed = browser.open(&server, &Ask::public().with("redirect_uri", uri).target()).await;
        let (base, parameters) = browser.allow(&server, landed).await.away();
        assert_eq!((base.as_str(), value(&parameters, "iss")), (uri, server.issuer.as_str()));
    }
    for uri in [
        "http://127.0.0.1:51004/other",
        "https://127.0.0.1:51004/callback",
        "http://localhost:51004/callback",
        "http://[::1]:51004/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:51004@evil.example/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1.evil.example:80/callback",
        "http://127.0.0.2/callback",
    ] {
        let answer = browser.get(&server, &Ask::public().with("redirect_uri", uri).target()).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{uri}");
    }
    let other_port = Ask::new().with("redirect_uri", "https://app.example:8443/callback");
    assert_eq!(browser.get(&server, &other_port.target()).await.status, 400, "loopback alone");
}

#[tokio::test]
async fn get_consumes_nothing_also_without_cookies() {
    let server = Server::with_people().await;
    let target = Ask::new().target();
    for _ in 0..2 {
        server.get(&target).await;
        let answer = server.get(&target).await;
        assert_eq!(answer.status, 303);
        let page = answer.header("location").unwrap().strip_prefix(&server.issuer).unwrap().to_owned();
        for _ in 0..2 {
            assert_eq!(server.request("HEAD", &page, &[], b"").await.status, 200);
        }
        // A browser that follows the same link later gets through.
        let mut browser = Browser::new();
        let landed = browser.open(&server, &page).await;
        browser.sign_in_at(&server, landed, "alice").await.away();
    }
    Browser::new().code(&server, &Ask::new(), "alice").await;
}

#[tokio::test]
async fn the_way_back_from_a_page_can_be_taken_once() {
    let (server, mut browser) = signed_in().await;
    let landed = browser.open(&server, &Ask::new().with("prompt", "login").target()).await;
    let answer = landed.answer();
    let form = Page::parse(answer.text())
        .form("sign-in")
        .with("login", "alice")
        .with("password", "alice likes long sentences");
    let answer = browser.post(&server, &form.action, &form.pairs()).await;
    let going_on = answer.header("location").unwrap().to_owned();
    let (_, parameters) = browser.open(&server, &going_on).await.away();
    assert_eq!(browser.open(&server, &going_on).await.answer().status, 400);
    server.tokens(value(&parameters, "code")).await;
}

#[tokio::test]
async fn a_request_that_nobody_comes_back_with_waits_ten_minutes() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let begin = async |browser: &mut Browser| {
        let answer = browser.post(&server, "/authorize", &Ask::new().pairs()).await;
        answer.header("location").unwrap().to_owned()
    };
    let (left, touched) = (begin(&mut browser).await, begin(&mut browser).await);
    server.clock.advance(599);
    assert_eq!(browser.open(&server, &touched).await.path(), "/sign-in");
    server.clock.advance(1);
    assert_eq!(browser.get(&server, &left).await.status, 400);
    server.clock.advance(2999);
    assert_eq!(browser.open(&server, &touched).await.path(), "/sign-in");
    server.clock.advance(1);
    assert_eq!(browser.get(&server, &touched).await.status, 400);
}

#[tokio::test]
async fn what_keeps_no_cookies_makes_no_request_wait_longer() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let answer = browser.post(&server, "/authorize", &Ask::new().pairs()).await;
    let going_on = answer.header("location").unwrap().strip_prefix(&server.issuer).unwrap().to_owned();
    let page = going_on.replace("/authorize/continue", "/sign-in");
    let looked_at = server.request("HEAD", &page, &[("cookie", "opalid-default-browser=x")], b"").await;
    assert_eq!((looked_at.status, server.get(&going_on).await.status), (200, 303));
    server.clock.advance(599);
    let again = server.request("HEAD", &page, &[], b"").await.status;
    assert_eq!((again, server.get(&page).await.status), (400, 400), "it is the one's that had it first");
    server.clock.advance(1);
    assert_eq!(browser.get(&server, &page).await.status, 400);
}

#[tokio::test]
async fn a_request_waits_an_hour_and_no_longer() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let landed = browser.open(&server, &Ask::new().target()).await;
    let Landed::Here(page, _) = &landed else { panic!() };
    let page = page.clone();
    server.clock.advance(3599);
    assert_eq!(browser.get(&server, &page).await.status, 200);
    server.clock.advance(1);
    let answer = browser.get(&server, &page).await;
    assert_eq!((answer.status, answer.header("location")), (400, None));
    let landed = browser.give_password(&server, landed, "alice", "alice likes long sentences").await;
    assert_eq!(landed.answer().status, 400);
    for nothing in ["/sign-in", "/consent?request=", "/authorize/continue?request=x", "/sign-in/account?request=%00"] {
        assert_eq!(browser.get(&server, nothing).await.status, 400, "{nothing}");
    }
}

#[tokio::test]
async fn prompt_none_beside_another_prompt_and_an_unknown_prompt_are_refused() {
    let (server, mut browser) = signed_in().await;
    for prompt in ["none login", "consent none", "sing"] {
        assert_eq!(browser.error(&server, &Ask::new().with("prompt", prompt)).await, "invalid_request", "{prompt}");
    }
    for age in ["-1", "1.5", "x", "99999999999"] {
        assert_eq!(browser.error(&server, &Ask::new().with("max_age", age)).await, "invalid_request", "{age}");
    }
}

#[tokio::test]
async fn only_a_client_that_may_use_codes_is_given_one() {
    let (server, mut browser) = signed_in().await;
    let settings =
        ClientSettings { grant_types: vec![GrantType::ClientCredentials], ..web_app("Machine", &[CALLBACK]) };
    server.client("machine", Some("ocs_machine"), settings).await;
    assert_eq!(browser.error(&server, &Ask::new().with("client_id", "machine")).await, "unauthorized_client");
}

#[tokio::test]
async fn prompt_select_account_offers_the_account_and_another() {
    let (server, mut browser) = signed_in().await;
    let ask = Ask::new().with("prompt", "select_account");
    let landed = browser.open(&server, &ask.target()).await;
    assert_eq!(landed.path(), "/sign-in/account");
    let page = landed.page();
    let (_, parameters) = browser.submit(&server, &page.form("continue")).await.away();
    server.tokens(value(&parameters, "code")).await;
    let page = browser.open(&server, &ask.target()).await.page();
    let landed = browser.submit(&server, &page.form("use-another")).await;
    assert_eq!(landed.path(), "/sign-in");
    let (_, parameters) = browser.sign_in_at(&server, landed, "bob").await.away();
    let claims = server.id_token(&server.tokens(value(&parameters, "code")).await).await;
    assert_eq!(claims.sub, server.find_user("bob").await.id.to_string());
    assert_eq!(browser.error(&server, &ask.with("prompt", "select_account none")).await, "invalid_request");
    let mut nobody = Browser::new();
    assert_eq!(nobody.open(&server, &Ask::new().with("prompt", "select_account").target()).await.path(), "/sign-in");
}

#[tokio::test]
async fn private_schemes_are_answered_and_other_origins_are_told_nothing() {
    let (server, mut browser) = signed_in().await;
    let settings = ClientSettings { kind: ClientKind::Public, ..web_app("Phone", &["com.example.phone:/callback"]) };
    server.client("phone", None, settings).await;
    let ask = Ask::public().with("client_id", "phone").with("redirect_uri", "com.example.phone:/callback");
    let landed = browser.open(&server, &ask.target()).await;
    let Landed::Away(url) = browser.allow(&server, landed).await else { panic!("not answered") };
    assert!(url.starts_with("com.example.phone:/callback?code=oac_"), "{url}");
    let headers = [("origin", "https://evil.example")];
    let answer = server.request("GET", &Ask::new().target(), &headers, b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let headers = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let answer = server.request("OPTIONS", "/authorize", &headers, b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None));
}
