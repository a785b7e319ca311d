//! Requests that wait for a person: answered once, bounded in size, number and time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_store::steps::request::{PARTS, WAITING_MAX};
use opalid_store::{Step, StoreError, Tx};

use crate::support::Server;
use crate::support::browser::{Browser, Landed};
use crate::support::html::Page;
use crate::support::person::{API, APP, Ask, password_of, value};

/// A request that waits at `/authorize/continue` and would be answered there: its target, and alice's browser.
async fn about_to_be_answered(server: &Server) -> (Browser, String) {
    let mut browser = Browser::new();
    browser.code(server, &Ask::new(), "alice").await;
    let answer = browser.post(server, "/authorize", &Ask::new().pairs()).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    (browser, answer.header("location").unwrap().to_owned())
}

/// Whether this is the page that says that a request is over, and leads back to the application.
fn is_over(landed: Landed) -> bool {
    let answer = landed.answer();
    let page = Page::parse(answer.text());
    answer.status == 400
        && answer.text().contains("<h1>This sign&#8209;in is over</h1>")
        && page.attribute("back", "href") == Some("https://app.example/")
}

#[tokio::test]
async fn a_stored_request_is_answered_once() {
    let server = Server::with_people().await;
    let (mut browser, target) = about_to_be_answered(&server).await;
    let (_, parameters) = browser.open(&server, &target).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.status, 200);
    assert!(is_over(browser.open(&server, &target).await));
}

#[tokio::test]
async fn a_stored_request_gone_on_with_eight_times_at_once_gives_one_code() {
    let server = Server::with_people().await;
    for _ in 0..10 {
        let (browser, target) = about_to_be_answered(&server).await;
        let server = &server;
        let attempts = (0..8).map(|_| {
            let (mut browser, target) = (browser.clone(), target.clone());
            async move { browser.open(server, &target).await }
        });
        let landed = futures_util::future::join_all(attempts).await;
        let (answered, over): (Vec<_>, Vec<_>) = landed.into_iter().partition(|at| matches!(at, Landed::Away(_)));
        assert_eq!((answered.len(), over.len()), (1, 7));
        assert!(over.into_iter().all(is_over));
    }
}

#[tokio::test]
async fn a_stored_request_that_was_refused_is_over_too() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let asking = Ask::new().with("scope", "openid read").with("resource", API).with("prompt", "consent");
    let landed = browser.open(&server, &asking.target()).await;
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    assert_eq!(landed.path(), "/consent");
    let (deny, allow) = {
        let page = landed.page();
        (page.form("deny"), page.form("allow"))
    };
    let (_, parameters) = browser.submit(&server, &deny).await.away();
    assert_eq!(value(&parameters, "error"), "access_denied");
    // Back in the browser's history, and the other button.
    assert!(is_over(browser.submit(&server, &allow).await));
}

#[tokio::test]
async fn going_back_loading_again_and_another_tab_lead_to_the_application_once_the_sign_in_is_finished() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let ask = Ask::new().with("scope", "openid read").with("resource", API).with("prompt", "login");
    let landed = browser.open(&server, &ask.target()).await;
    let Landed::Here(sign_in, _) = &landed else { panic!("no sign-in page") };
    let sign_in = sign_in.clone();
    let other_tab = browser.open(&server, &sign_in).await;
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    let Landed::Here(consent, _) = &landed else { panic!("no consent page") };
    let consent = consent.clone();
    let (_, parameters) = browser.allow(&server, landed).await.away();
    for page in [&sign_in, &consent, &sign_in.replace("/sign-in?", "/authorize/continue?")] {
        assert!(is_over(browser.open(&server, page).await), "{page}");
    }
    assert!(is_over(browser.give_password(&server, other_tab, "bob", &password_of("bob")).await));
    assert_eq!(server.tokens(value(&parameters, "code")).await.status, 200, "and nothing happens to what was finished");
    // Whatever an address says: a client that is none of ours is not named, and no answer is sent.
    for client in ["stranger", "%3Cb%3E", ""] {
        let answer = browser.get(&server, &format!("/sign-in?client_id={client}&request=x")).await;
        assert_eq!((answer.status, answer.header("location")), (400, None));
        assert!(!Page::parse(answer.text()).has("back") && !answer.text().contains("stranger"));
    }
    let native = browser.get(&server, "/sign-in?client_id=native&request=x").await;
    assert!(native.text().contains("The Native App") && !Page::parse(native.text()).has("back"));
}

#[tokio::test]
async fn a_name_of_a_request_that_was_not_given_out_is_refused_without_a_read() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let landed = browser.open(&server, &Ask::new().target()).await;
    let Landed::Here(target, _) = &landed else { panic!("no sign-in page") };
    let (page, name) = target.split_once("request=").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(name).unwrap();
    let mut invented = vec![uuid::Uuid::from_slice(&bytes[..16]).unwrap().to_string(), URL_SAFE_NO_PAD.encode([7; 32])];
    for at in [0, 15, 16, 31] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        invented.push(URL_SAFE_NO_PAD.encode(bytes));
    }
    // The last of 43 characters has two bits that say nothing.
    let unused = char::from(name.as_bytes()[42] + 1);
    invented.extend([
        format!("{}{unused}", &name[..42]),
        format!("{name}="),
        format!("{name}A"),
        name[..42].to_owned(),
    ]);
    let wish = server.form_post("/logout", &[("client_id", APP.0)]).await;
    invented.push(wish.header("location").unwrap().split_once("request=").unwrap().1.to_owned());
    let before = server.app.store.reads();
    for name in invented {
        let mut stranger = Browser::new();
        assert!(is_over(stranger.open(&server, &format!("{page}request={name}")).await), "{name}");
    }
    assert_eq!(server.app.store.reads(), before);
    let server = server.restart().await;
    assert_eq!(browser.open(&server, target).await.path(), "/sign-in", "a restart ends none");
}

#[tokio::test]
async fn consent_is_not_taken_from_a_session_that_has_to_sign_in_again() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    let ask = Ask::new().with("scope", "openid read").with("resource", API).with("prompt", "login");
    let Landed::Here(target, _) = browser.open(&server, &ask.target()).await else { panic!("no sign-in page") };
    assert!(target.starts_with("/sign-in?"), "{target}");
    let consent = target.replace("/sign-in?", "/consent?");
    assert_eq!(browser.open(&server, &consent).await.path(), "/sign-in");
}

#[tokio::test]
async fn a_request_too_long_to_be_kept_is_refused() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let long = Ask::new().with("state", &"s".repeat(4_000)).with("login_hint", &"l".repeat(8_000));
    let fits = browser.post(&server, "/authorize", &long.pairs()).await;
    assert_eq!(fits.status, 303, "{fits:?}");
    let too_long = long.with("id_token_hint", &"h".repeat(8_000));
    let answer = browser.post(&server, "/authorize", &too_long.pairs()).await;
    assert_eq!((answer.status, answer.header("location")), (400, None), "{answer:?}");
    assert!(answer.text().contains("at most 16 KiB"));
}

#[tokio::test]
async fn the_largest_request_that_is_kept_goes_through_sign_in_and_consent() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let long = |hint: usize| {
        let ask = Ask::new().with("scope", "openid read").with("resource", API).with("state", &"s".repeat(4_000));
        ask.with("login_hint", &"l".repeat(8_000)).with("id_token_hint", &"h".repeat(hint))
    };
    let (mut fits, mut too_long) = (0, 8_000);
    while too_long - fits > 1 {
        let middle = usize::midpoint(fits, too_long);
        let answer = browser.post(&server, "/authorize", &long(middle).pairs()).await;
        *(if answer.status == 303 { &mut fits } else { &mut too_long }) = middle;
    }
    assert!(fits > 3_000, "{fits}");
    let answer = browser.post(&server, "/authorize", &long(fits).pairs()).await;
    let landed = browser.follow(&server, "/authorize", answer).await;
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    assert_eq!(landed.path(), "/consent");
    let (_, parameters) = browser.allow(&server, landed).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.status, 200);
}

/// A client's row with this in front of what it holds, or without it.
struct Spoil(&'static str);

impl Step for Spoil {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.write("UPDATE client SET settings = $1 || REPLACE(settings, '!', '')", &[self.0.into()]).await.map(drop)
    }
}

#[tokio::test]
async fn an_outage_while_a_client_is_read_again_ends_no_request() {
    let server = Server::with_people().await;
    let (mut browser, target) = about_to_be_answered(&server).await;
    let server = server.restart().await;
    server.app.store.run(Spoil("!")).await.unwrap();
    let answer = browser.get(&server, &target).await;
    assert_eq!((answer.status, answer.header("location")), (503, None), "{answer:?}");
    server.app.store.run(Spoil("")).await.unwrap();
    let (_, parameters) = browser.open(&server, &target).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.status, 200);
}

#[tokio::test]
async fn whoever_begins_too_much_waits_and_goes_on_afterwards() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let mut begun = 0;
    let refused = loop {
        let answer = browser.post(&server, "/authorize", &Ask::new().pairs()).await;
        if answer.status != 303 {
            break answer;
        }
        begun += 1;
    };
    assert_eq!((begun, refused.status, refused.header("retry-after")), (600, 429, Some("60")));
    assert_eq!(browser.get(&server, &Ask::new().target()).await.status, 429);
    server.clock.advance(60);
    assert_eq!(browser.get(&server, &Ask::new().target()).await.status, 303);
}

#[tokio::test]
async fn whoever_asks_for_too_many_codes_is_told_so_at_the_client_and_nothing_is_written() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::new(), "alice").await;
    for silent in [Ask::new(), Ask::new().with("prompt", "none")] {
        server.clock.advance(60);
        for _ in 0..60 {
            browser.silent_code(&server, &silent).await;
        }
        let minted = "opalid_tokens_minted_total{kind=\"code\"} ";
        let count = |text: String| text.lines().find_map(|line| line.strip_prefix(minted).map(str::to_owned)).unwrap();
        let before = count(server.app.metrics.render());
        assert_eq!(browser.error(&server, &silent).await, "temporarily_unavailable");
        assert_eq!(count(server.app.metrics.render()), before);
        let mut another = Browser::new();
        another.code(&server, &Ask::new(), "alice").await;
        server.clock.advance(1);
        browser.silent_code(&server, &silent).await;
    }
    // A request that waits is not lost by it.
    let (mut browser, target) = about_to_be_answered(&server).await;
    for _ in 0..59 {
        browser.silent_code(&server, &Ask::new()).await;
    }
    let (_, parameters) = browser.open(&server, &target).await.away();
    assert_eq!(value(&parameters, "error"), "temporarily_unavailable");
    server.clock.advance(1);
    let (_, parameters) = browser.open(&server, &target).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.status, 200);
}

#[tokio::test]
async fn a_client_that_any_program_could_pass_for_is_asked_about_each_time() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    browser.code(&server, &Ask::public(), "alice").await;
    let again =
        browser.open(&server, &Ask::public().with("redirect_uri", "http://127.0.0.1:7777/callback").target()).await;
    let Landed::Here(_, page) = &again else { panic!("{again:?}") };
    assert!(again.path() == "/consent" && page.text().contains("You are asked each time"), "{}", page.text());
    let (to, parameters) = browser.allow(&server, again).await.away();
    assert!(to.starts_with("http://127.0.0.1:7777/") && !value(&parameters, "code").is_empty());
    assert_eq!(browser.error(&server, &Ask::public().with("prompt", "none")).await, "consent_required");
    // A client that is answered at an address of its own is not.
    let landed = browser.open(&server, &Ask::new().target()).await;
    let Landed::Here(_, page) = &landed else { panic!("{landed:?}") };
    assert!(page.text().contains("Your answer is remembered"), "{}", page.text());
    browser.allow(&server, landed).await.away();
    browser.silent_code(&server, &Ask::new().with("prompt", "none")).await;
}

#[tokio::test]
async fn a_person_slower_than_max_age_is_not_asked_again_for_the_same_request() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let ask = Ask::new().with("scope", "openid read").with("resource", API).with("max_age", "1");
    let landed = browser.open(&server, &ask.target()).await;
    let form = landed.page().form("sign-in").with("login", "alice").with("password", &password_of("alice"));
    let answer = browser.post(&server, &form.action, &form.pairs()).await;
    server.clock.advance(3);
    let landed = browser.follow(&server, &form.action, answer).await;
    assert_eq!(landed.path(), "/consent");
    server.clock.advance(30);
    let (_, parameters) = browser.allow(&server, landed).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.status, 200);
    assert_eq!(browser.open(&server, &ask.target()).await.path(), "/sign-in");
}

#[tokio::test]
async fn whoever_has_another_browsers_request_gets_nothing_and_that_browser_goes_on() {
    let server = Server::with_people().await;
    let mut bobs = Browser::new();
    bobs.code(&server, &Ask::new(), "bob").await;
    Browser::new().code(&server, &Ask::new(), "alice").await;
    let mut alices = Browser::new();
    // A POST from the application's site: the cookies come with the redirect that follows.
    let secret = Ask::new().with("state", "alices-own");
    let answer = Browser::new().post(&server, "/authorize", &secret.pairs()).await;
    let landed = alices.follow(&server, "/authorize", answer).await;
    let Landed::Here(url, _) = &landed else { panic!("sent away") };
    let request = url.split_once("/sign-in").unwrap().1.to_owned();
    let pages = ["/authorize/continue", "/sign-in", "/sign-in/account", "/consent"];
    for page in pages {
        let target = format!("{page}{request}");
        for browser in [&mut bobs, &mut Browser::new()] {
            let answer = browser.get(&server, &target).await;
            assert!(!answer.text().contains("alices-own") && answer.header("location").is_none(), "{page}");
            assert!(is_over(Landed::Here(target.clone(), answer)), "{page}");
        }
        if page != "/authorize/continue" {
            let answer = bobs.post(&server, &target, &[("login", "bob"), ("account", "continue")]).await;
            assert!(is_over(Landed::Here(target.clone(), answer)), "{page}");
        }
    }
    let form = landed.page().form("sign-in").with("login", "alice").with("password", &password_of("alice"));
    let answer = alices.post(&server, &form.action, &form.pairs()).await;
    let going_on = answer.header("location").unwrap().to_owned();
    assert!(is_over(bobs.open(&server, &going_on).await), "also when nothing but the code is left to give");
    let (_, parameters) = alices.open(&server, &going_on).await.away();
    assert_eq!(value(&parameters, "state"), "alices-own");
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(server.id_token(&tokens).await.sub, server.find_user("alice").await.id.to_string());
}

/// As many requests wait as may, or what is written by hand.
struct Fill(&'static str, i64);

impl Step for Fill {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.write(self.0, &[self.1.into()]).await.map(drop)
    }
}

const MORE_WAIT: &str = "UPDATE waiting SET n = n + $1";
const ANSWERED: &str = "UPDATE request SET answered = $1";

#[tokio::test]
async fn where_too_many_wait_who_answered_something_stays_and_the_others_make_room() {
    let server = Server::with_people().await;
    let mut alices = Browser::new();
    let ask = Ask::new().with("scope", "openid read").with("resource", API);
    let landed = alices.open(&server, &ask.target()).await;
    let consent = alices.give_password(&server, landed, "alice", &password_of("alice")).await;
    server.clock.advance(1);
    for _ in 0..300 {
        Browser::new().post(&server, "/authorize", &Ask::new().pairs()).await;
    }
    server.app.store.run(Fill(MORE_WAIT, i64::from(WAITING_MAX / PARTS))).await.unwrap();
    let count = || async { server.app.store.read(Count).await.unwrap().0 };
    assert_eq!(count().await, 301);
    // Few of those that each part has of the three hundred.
    for _ in 0..30 {
        let mut browser = Browser::new();
        let landed = browser.open(&server, &Ask::new().target()).await;
        browser.sign_in_at(&server, landed, "bob").await.away();
        assert_eq!(browser.post(&server, "/authorize", &Ask::new().pairs()).await.status, 303);
    }
    let (_, parameters) = alices.allow(&server, consent).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.status, 200);
}

#[tokio::test]
async fn where_too_many_wait_who_all_answered_the_next_is_told_so_and_who_needs_no_page_is_served() {
    let server = Server::with_people().await;
    let mut signed_in = Browser::new();
    signed_in.code(&server, &Ask::new(), "alice").await;
    // Each part of the count has a request.
    let mut first = Vec::new();
    for _ in 0..300 {
        first.push(Browser::new().post(&server, "/authorize", &Ask::new().pairs()).await);
    }
    server.app.store.run(Fill(MORE_WAIT, i64::from(WAITING_MAX / PARTS))).await.unwrap();
    server.app.store.run(Fill(ANSWERED, 1)).await.unwrap();
    let mut browser = Browser::new();
    for answer in [
        browser.post(&server, "/authorize", &Ask::new().pairs()).await,
        browser.get(&server, &Ask::new().target()).await,
        browser.post(&server, "/logout", &[("client_id", APP.0)]).await,
    ] {
        assert_eq!((answer.status, answer.header("location")), (503, None), "{answer:?}");
        assert!(answer.text().contains("Too many people are signing in right now."));
    }
    signed_in.silent_code(&server, &Ask::new()).await;
    let waiting = first[0].header("location").unwrap().to_owned();
    let landed = browser.open(&server, &waiting).await;
    assert_eq!(landed.path(), "/sign-in", "who waits already goes on");
    server.app.store.run(Fill(MORE_WAIT, -i64::from(WAITING_MAX / PARTS))).await.unwrap();
    assert_eq!(browser.post(&server, "/authorize", &Ask::new().pairs()).await.status, 303);
}

/// How many requests and audit rows are stored.
struct Count;

impl Step for Count {
    type Out = (i64, i64);

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let rows = tx.run("SELECT (SELECT COUNT(*) FROM request), (SELECT COUNT(*) FROM audit)", &[]).await?;
        Ok((rows[0].int(0)?, rows[0].int(1)?))
    }
}

#[tokio::test]
async fn one_round_of_sweeping_takes_every_request_that_is_over_and_audit_rows_after_ninety_days() {
    let server = Server::with_people().await;
    for _ in 0..600 {
        assert_eq!(Browser::new().post(&server, "/authorize", &Ask::new().pairs()).await.status, 303);
    }
    let (_stopping, stop) = tokio::sync::watch::channel(false);
    let count = || async { server.app.store.read(Count).await.unwrap() };
    opalid::sweeping::aged(&server.app, &stop).await.unwrap();
    let (requests, audit) = count().await;
    assert_eq!(requests, 600, "they wait");
    let metrics = || server.app.metrics.render();
    assert!(metrics().contains("\nopalid_requests_waiting 600\n"), "{}", metrics());
    server.clock.advance(601);
    let mut browser = Browser::new();
    let waiting = browser.open(&server, &Ask::new().target()).await.page().form("sign-in");
    opalid::sweeping::aged(&server.app, &stop).await.unwrap();
    assert_eq!(count().await, (1, audit));
    assert!(metrics().contains("\nopalid_requests_waiting 1\n"), "{}", metrics());
    assert_eq!(browser.get(&server, &waiting.action).await.status, 200);
    server.clock.advance(90 * 24 * 3600);
    opalid::sweeping::aged(&server.app, &stop).await.unwrap();
    assert_eq!(count().await, (0, 0));
}
