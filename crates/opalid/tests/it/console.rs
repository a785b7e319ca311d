//! The console: the inspector and test JWTs, for administrators of a workspace and nobody else.

use opalid::manage::{Command, Handed, Paging, Reply, Request, handle};
use opalid_core::client::ClientSettings;
use opalid_core::grant::ENTITLEMENTS_MAX;
use opalid_core::resource::ResourceSettings;
use opalid_core::scope::Scopes;
use opalid_core::token_settings::{AccessTokenFormat, TokenOverrides};
use opalid_store::steps::settings::{Edit, Profile, UpdateUser, UpdatedUser};
use opalid_store::steps::user::UserEvent;

use crate::support::browser::{Browser, Landed};
use crate::support::html::{Form, Page, unescape};
use crate::support::person::{API, API_SERVER, APP, Ask, CALLBACK, password_of, web_app};
use crate::support::{Server, machine};

const INSPECT: &str = "/console/inspect";
/// A client whose tokens are opaque, and one whose tokens are JWTs.
const MACHINE: (&str, &str) = ("machine", "ocs_machine");
const SIGNED: &str = "https://signed.example/";
const SIGNER: (&str, &str) = ("signer", "ocs_signer");

/// People, two machines, and margarete, who administers.
async fn server() -> Server {
    let server = Server::with_people().await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(API, "read write")])).await;
    server.resource(SIGNED, "read").await;
    let tokens = TokenOverrides { access_token_format: Some(AccessTokenFormat::Jwt), ..TokenOverrides::default() };
    let scopes = Scopes::parse("read").unwrap();
    let settings = ResourceSettings { scopes, introspects_jwts: true, tokens, ..ResourceSettings::default() };
    server.set_resource(SIGNED, settings).await;
    server.client(SIGNER.0, Some(SIGNER.1), machine(&[(SIGNED, "read")])).await;
    administrator(&server, None, "margarete").await;
    server
}

async fn ask(server: &Server, workspace: Option<&str>, command: Command) -> Reply {
    handle(&server.app, Request { workspace: workspace.map(Into::into), command }).await.unwrap()
}

async fn administrator(server: &Server, workspace: Option<&str>, name: &str) {
    ask(
        server,
        workspace,
        Command::CreateUser {
            username: name.into(),
            fields: serde_json::Map::from_iter([("admin".to_owned(), true.into())]),
            link: false,
        },
    )
    .await;
    let password = Handed::new(password_of(name));
    ask(server, workspace, Command::SetPassword { username: name.into(), password }).await;
}

async fn set_admin(server: &Server, name: &str, admin: bool) {
    let user = server.find_user(name).await;
    let from = Profile { username: user.username, admin: user.admin, claims: user.claims, roles: user.roles };
    let step = UpdateUser {
        stamp: server.app.stamp(server.app.root, "test"),
        id: user.id,
        profile: Edit { to: Profile { admin, ..from.clone() }, from },
        username_key: name.into(),
        changed: String::new(),
    };
    assert_eq!(server.app.store.run(step).await.unwrap(), UpdatedUser::Done);
}

/// Signs in to the console; where that leads.
async fn enter(browser: &mut Browser, server: &Server, at: &str, name: &str) -> Landed {
    let landed = browser.open(server, &format!("{at}/console/sign-in")).await;
    browser.give_password(server, landed, name, &password_of(name)).await
}

/// The browser of an administrator, on the inspector.
async fn entered(server: &Server) -> (Browser, Form) {
    let mut browser = Browser::new();
    let landed = enter(&mut browser, server, "", "margarete").await;
    assert_eq!(landed.path(), INSPECT);
    let form = landed.page().form("inspect");
    (browser, form)
}

/// The text of a page that a form leads to.
async fn send(browser: &mut Browser, server: &Server, form: &Form) -> (u16, String) {
    let answer = browser.post(server, &form.action, &form.pairs()).await;
    (answer.status, unescape(answer.text()))
}

/// What the inspector says of a token, and its page.
async fn inspect(browser: &mut Browser, server: &Server, form: &Form, token: &str) -> (String, Page) {
    let form = form.clone().with("token", token);
    let answer = browser.post(server, &form.action, &form.pairs()).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert_eq!(
        (answer.header("cache-control"), answer.header("referrer-policy")),
        (Some("no-store"), Some("no-referrer"))
    );
    (unescape(answer.text()), Page::parse(answer.text()))
}

#[tokio::test]
async fn who_is_no_administrator_of_this_workspace_is_told_so_and_nothing_is_looked_up() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let (_, form) = entered(&server).await;
    let mut browser = Browser::new();
    let answer = enter(&mut browser, &server, "", "alice").await.answer();
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("does not administer") && answer.text().contains("alice"), "{answer:?}");
    let steps = server.app.store.steps();
    for action in [&*form.action, "/console/inspect/cut", "/console/test-jwt"] {
        let form = Form { action: action.into(), ..form.clone() }.with("token", &token).with("decision", "token");
        let (status, said) = send(&mut browser, &server, &form).await;
        assert!(status == 403 && !said.contains(&token) && !said.contains("machine"), "{said}");
    }
    assert_eq!(server.app.store.steps(), steps);
    assert!(server.is_active(API_SERVER, &token).await);

    // An administrator elsewhere is nobody here, and a token of here is none there.
    server.workspace("acme").await;
    administrator(&server, Some("acme"), "ada").await;
    let mut browser = Browser::new();
    let landed = enter(&mut browser, &server, "/acme", "ada").await;
    assert_eq!(landed.path(), "/acme/console/inspect");
    let form = landed.page().form("inspect");
    let (said, page) = inspect(&mut browser, &server, &form, &token).await;
    assert!(said.contains("This access token is dead: not a token of this workspace"), "{said}");
    assert!(!page.has("cut-token") && !page.has("cut-grant"));
    assert_eq!(browser.open(&server, INSPECT).await.path(), "/console/sign-in");
}

#[tokio::test]
async fn an_administrator_sees_what_a_token_is_revokes_it_and_cuts_its_grant() {
    let server = server().await;
    let (one, other) = (server.token_of(MACHINE).await, server.token_of(MACHINE).await);
    let (mut browser, form) = entered(&server).await;
    let (said, page) = inspect(&mut browser, &server, &form, &one).await;
    for words in ["This access token is alive.", "machine", API, "read write", "opalid revoke token -", "in service"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let cut = page.form("cut-token");
    assert!(!cut.action.contains('?'), "nothing of it is in a URL: {}", cut.action);
    let (status, said) = send(&mut browser, &server, &cut).await;
    assert!(status == 200 && said.contains("This access token is dead: this token was revoked."), "{said}");
    assert!(!server.is_active(API_SERVER, &one).await && server.is_active(API_SERVER, &other).await);

    let (_, page) = inspect(&mut browser, &server, &form, &other).await;
    let (_, said) = send(&mut browser, &server, &page.form("cut-grant")).await;
    assert!(said.contains("is cut; all its tokens are dead") && said.contains("This access token is dead"), "{said}");
    assert!(!server.is_active(API_SERVER, &other).await);

    let Reply::Events(events) = ask(&server, None, Command::Events { follow: false, paging: Paging::default() }).await
    else {
        panic!()
    };
    let by = format!("user {}", server.find_user("margarete").await.id);
    let cuts: Vec<_> =
        events.rows.iter().filter(|event| ["token.revoked", "grant.cut"].contains(&&*event.action)).collect();
    assert_eq!(cuts.len(), 2, "{events:?}");
    assert!(cuts.iter().all(|event| event.initiator == by), "{cuts:?}");
}

/// Two access tokens of one sign-in: the first, and one for which its grant had no room.
async fn two_of_a_full_grant(server: &Server) -> (String, String) {
    const MANY: &str = "https://many.example/";
    let names: Vec<String> = (0..7).map(|number| format!("s{number}")).collect();
    let every = names.join(" ");
    server.resource(MANY, &every).await;
    let access = [(MANY.to_owned(), Scopes::parse(&every).unwrap())].into();
    server.update_client(APP.0, ClientSettings { access, ..web_app("The App", &[CALLBACK]) }).await;
    let ask = Ask::new().with("scope", &format!("openid {every}")).with("resource", MANY);
    let code = Browser::new().code(server, &ask, "alice").await;
    let first = server.tokens(&code).await;
    let refresh = first.field("refresh_token");
    let mut last = String::new();
    for bits in 1_usize..=ENTITLEMENTS_MAX {
        let chosen = names.iter().enumerate().filter(|(at, _)| bits & 1 << at != 0).map(|(_, name)| name.as_str());
        let scope = chosen.collect::<Vec<_>>().join(" ");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &refresh), ("scope", &scope)];
        last = server.form_post_as(APP, "/token", &fields).await.field("access_token");
    }
    (first.field("access_token"), last)
}

#[tokio::test]
async fn the_grant_that_is_cut_is_that_of_the_whole_sign_in_and_who_cuts_a_part_of_it_is_told() {
    let server = server().await;
    let (first, last) = two_of_a_full_grant(&server).await;
    let id = async |token: &str| {
        let Reply::Inspected(said) = ask(&server, None, Command::Inspect { token: Handed::new(token.into()) }).await
        else {
            panic!()
        };
        said.grant.unwrap().id
    };
    let (whole, part) = (id(&first).await, id(&last).await);
    assert_ne!(whole, part);
    let (mut browser, form) = entered(&server).await;
    let (said, page) = inspect(&mut browser, &server, &form, &last).await;
    assert!(said.contains(&format!("opalid revoke grant {whole}")) && said.contains("part of grant"), "{said}");
    assert!(!said.contains(&format!("opalid revoke grant {part}")), "{said}");

    let revoke = || Command::RevokeGrant { id: part.to_string() };
    let told = async || match ask(&server, None, revoke()).await {
        Reply::Done { message } => message,
        other => panic!("{other:?}"),
    };
    let how =
        format!("part of grant {whole}, whose other tokens live on; to cut them, too: opalid revoke grant {whole}");
    let said = told().await;
    assert!(said.contains(&how), "{said}");
    assert!(server.is_active(APP, &first).await && !server.is_active(APP, &last).await);

    let (_, said) = send(&mut browser, &server, &page.form("cut-grant")).await;
    assert!(said.contains(&format!("Grant {whole} is cut; all its tokens are dead.")), "{said}");
    assert!(!server.is_active(APP, &first).await, "all of the sign-in");
    let said = told().await;
    assert!(!said.contains("live on"), "{said}");
}

#[tokio::test]
async fn a_jwt_is_explained_whoever_made_it_and_one_that_was_changed_is_not_ours() {
    let server = server().await;
    let token = server.token_of(SIGNER).await;
    let (mut browser, form) = entered(&server).await;
    let (said, page) = inspect(&mut browser, &server, &form, &token).await;
    for words in
        ["This access token (JWT) is alive.", "good, by signing key", "current", "who issued it", "RFC 7519 §4.1.1"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (head, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let changed = format!("{head}.{first}{}", &signature[1..]);
    let (said, changed) = inspect(&mut browser, &server, &form, &changed).await;
    assert!(said.contains("This access token is not ours: it was changed on the way"), "{said}");
    assert!(!changed.has("cut-token") && !changed.has("cut-grant"));
    let unsigned = format!("{head}.");
    assert!(inspect(&mut browser, &server, &form, &unsigned).await.0.contains("is not ours: it is not signed"));

    let (_, said) = send(&mut browser, &server, &page.form("cut-token")).await;
    assert!(said.contains("This access token (JWT) is dead: this token was revoked."), "{said}");
    assert!(!server.is_active(SIGNER, &token).await);

    let (said, _) = inspect(&mut browser, &server, &form, "<b>no token</b>").await;
    assert!(said.contains("this is no token of an Opalid server"), "{said}");
}

#[tokio::test]
async fn a_jwt_that_says_more_than_it_may_is_dead_and_what_is_too_much_is_said() {
    let server = server().await;
    let token = server.token_of(SIGNER).await;
    server.update_client(SIGNER.0, machine(&[(API, "read")])).await;
    let (mut browser, form) = entered(&server).await;
    let (said, page) = inspect(&mut browser, &server, &form, &token).await;
    let dead = "This access token (JWT) is dead: it says more than it may today";
    assert!(said.contains(&format!("{dead}: scope read, aud {SIGNED}.")), "{said}");
    assert!(page.has("cut-grant"));
}

#[tokio::test]
async fn an_id_token_lives_as_long_as_its_session() {
    let server = server().await;
    let code = Browser::new().code(&server, &Ask::new(), "alice").await;
    let id_token = server.tokens(&code).await.field("id_token");
    let (mut browser, form) = entered(&server).await;
    let (said, _) = inspect(&mut browser, &server, &form, &id_token).await;
    assert!(said.contains("This ID token is alive.") && said.contains("opalid revoke session"), "{said}");
    server.touch_user("alice", UserEvent::SignedOutEverywhere).await;
    let (said, _) = inspect(&mut browser, &server, &form, &id_token).await;
    assert!(said.contains("This ID token is dead: "), "{said}");
}

#[tokio::test]
async fn a_form_cuts_only_what_was_shown_beside_it_to_whom_it_was_shown() {
    let server = server().await;
    let (one, other) = (server.token_of(MACHINE).await, server.token_of(MACHINE).await);
    let (mut browser, form) = entered(&server).await;
    let (_, page) = inspect(&mut browser, &server, &form, &one).await;
    let cut = page.form("cut-token");
    let csrf = |form: &Form| form.fields.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    for forged in [
        cut.clone().with("token", &other),
        cut.clone().with("csrf", &csrf(&form)),
        cut.clone().without("csrf"),
        form.clone().with("token", &one).with("csrf", &csrf(&cut)),
    ] {
        let (status, said) = send(&mut browser, &server, &forged).await;
        assert!(status == 400 && !said.contains("alive"), "{said}");
    }
    // Another session of the same person, in another browser and in this one after a sign-out.
    let (mut elsewhere, _) = entered(&server).await;
    assert_eq!(send(&mut elsewhere, &server, &cut).await.0, 400);
    for token in [&one, &other] {
        assert!(server.is_active(API_SERVER, token).await);
    }
    let (status, said) = send(&mut browser, &server, &cut.with("decision", "everything")).await;
    assert!(status == 200 && said.contains("press one of the buttons") && server.is_active(API_SERVER, &one).await);
}

#[tokio::test]
async fn who_administers_no_more_or_is_suspended_can_do_nothing_with_an_open_page() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let (mut browser, form) = entered(&server).await;
    let (_, page) = inspect(&mut browser, &server, &form, &token).await;
    let cut = page.form("cut-grant");
    set_admin(&server, "margarete", false).await;
    for form in [&cut, &form.clone().with("token", &token)] {
        let (status, said) = send(&mut browser, &server, form).await;
        assert!(status == 403 && !said.contains("machine"), "{said}");
    }
    set_admin(&server, "margarete", true).await;
    assert_eq!(browser.get(&server, INSPECT).await.status, 200);
    server.touch_user("margarete", UserEvent::Suspended).await;
    let answer = browser.post(&server, &cut.action, &cut.pairs()).await;
    let to = format!("{}/console/sign-in", server.issuer);
    assert_eq!((answer.status, answer.header("location")), (303, Some(&*to)));
    assert!(server.is_active(API_SERVER, &token).await);
}

#[tokio::test]
async fn a_page_shows_a_foreign_jwt_below_its_own_verdict_with_nothing_hidden_and_each_word_apart() {
    let server = server().await;
    let (mut browser, form) = entered(&server).await;
    let page =
        browser.post(&server, &form.action, &form.clone().with("token", &crate::commands::lying_jwt()).pairs()).await;
    let verdict =
        "<h2 id=\"verdict\">This JWT of a type of its own is not ours: it is not signed by a key of workspace";
    assert!(page.status == 200 && page.text().contains(verdict), "{page:?}");
    let said = unescape(page.text());
    for word in [
        r#"<li><bdi>alg is "x\". access token is alive. \u{202e}"#,
        r#"<dt><bdi>"This access token is alive.\n"</bdi>"#,
        r"<bdi>\u{2066}yes</bdi>",
        r"<bdi>access token is alive. \u{202e}\u{2028}\u{9b}2J This is ours: </bdi>",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains(|c: char| c != '\n' && opalid_core::visible::is_hidden(c)), "{said:?}");
}

#[tokio::test]
async fn a_session_that_is_used_in_the_console_does_not_rest_and_one_that_rested_a_day_is_asked_to_sign_in() {
    const DAY: i64 = 24 * 3600;
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let (mut browser, form) = entered(&server).await;
    let make = browser.open(&server, "/console/test-jwt").await.page().form("make");
    for _ in 0..2 {
        server.clock.advance(DAY);
        assert_eq!(browser.get(&server, INSPECT).await.status, 200);
        server.clock.advance(DAY);
        assert_eq!(send(&mut browser, &server, &form.clone().with("token", &token)).await.0, 200);
        server.clock.advance(DAY);
        assert_eq!(send(&mut browser, &server, &make).await.0, 200);
    }
    server.clock.advance(DAY + 1);
    assert_eq!(browser.open(&server, INSPECT).await.path(), "/console/sign-in");
    // Whoever may do nothing there uses nothing either.
    enter(&mut browser, &server, "", "alice").await;
    server.clock.advance(DAY);
    assert_eq!(browser.get(&server, INSPECT).await.status, 403);
    server.clock.advance(1);
    assert_eq!(browser.open(&server, INSPECT).await.path(), "/console/sign-in");
}

#[tokio::test]
async fn a_test_jwt_is_explained_and_taken_by_nobody() {
    let server = server().await;
    let (mut browser, form) = entered(&server).await;
    let make = browser.open(&server, "/console/test-jwt").await.page().form("make");
    let claims = format!(r#"{{"iss":"{}","scope":"admin"}}"#, server.issuer);
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let (status, said) = send(&mut browser, &server, &make.clone().with("alg", alg).with("claims", &claims)).await;
        assert_eq!(status, 200);
        let token = said.split_once("<pre id=\"made\"><code>").unwrap().1.split_once('<').unwrap().0;
        assert!(said.contains("\"keys\"") && !said.contains("\"d\""), "{said}");
        let (said, _) = inspect(&mut browser, &server, &form, token).await;
        assert!(said.contains("This access token is not ours: it is not signed by a key of workspace"), "{said}");
        assert!(!server.is_active(MACHINE, token).await && !server.knows(token).await);
    }
    let (status, said) = send(&mut browser, &server, &make.clone().with("claims", "[]")).await;
    assert!(status == 200 && said.contains("claims are one JSON object"), "{said}");
    assert_eq!(send(&mut browser, &server, &make.without("csrf")).await.0, 400);
}

#[tokio::test]
async fn test_jwts_are_made_one_at_a_time_and_whoever_meets_another_is_told_to_come_again() {
    let server = server().await;
    let (mut browser, _) = entered(&server).await;
    let make = browser.open(&server, "/console/test-jwt").await.page().form("make").with("alg", "ES256");
    let place = server.app.test_jwts.take().unwrap();
    let busy = browser.post(&server, &make.action, &make.pairs()).await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    assert!(busy.text().contains("Another test JWT is being made"), "{busy:?}");
    drop(place);
    assert_eq!(send(&mut browser, &server, &make).await.0, 200);
}

#[tokio::test]
async fn the_sign_in_of_the_console_is_as_strict_as_any_other() {
    let server = server().await;
    let mut browser = Browser::new();
    let form = browser.open(&server, "/console/sign-in").await.page().form("sign-in");
    assert_eq!(send(&mut browser, &server, &form.clone().without("csrf").with("login", "margarete")).await.0, 400);
    let foreign = Browser::new().post(&server, &form.action, &form.pairs()).await;
    assert_eq!(foreign.status, 400, "a browser that this form was not made for");
    let typed = |name: &str, password: &str| form.clone().with("login", name).with("password", password);
    let mut said = Vec::new();
    for name in ["margarete", "nobody"] {
        let (status, page) = send(&mut browser, &server, &typed(name, "wrong")).await;
        said.push((status, page.replace(name, "NAME")));
    }
    assert_eq!(said[0], said[1], "known and unknown names are told the same");
    assert!(said[0].0 == 200 && said[0].1.contains("is not right"));
    for _ in 0..4 {
        send(&mut browser, &server, &typed("margarete", "wrong")).await;
    }
    // What failed here counts at the other page, and the other way round.
    assert_eq!(send(&mut browser, &server, &typed("margarete", "wrong")).await.0, 429);
    let landed = Browser::new().open(&server, &Ask::new().target()).await;
    assert_eq!(landed.path(), "/sign-in");
    let mut other = Browser::new();
    let landed = other.open(&server, &Ask::new().target()).await;
    let answer = other.give_password(&server, landed, "margarete", "wrong").await.answer();
    assert_eq!(answer.status, 429);
}

#[tokio::test]
async fn signing_in_again_renews_the_session_and_the_secret_before_is_worth_nothing() {
    let server = server().await;
    let (mut browser, _) = entered(&server).await;
    let names = ["opalid-default-session", "opalid-default-device"];
    let name = |browser: &Browser| names.map(|name| browser.cookie(name).map(str::to_owned));
    let [session, device] = name(&browser);
    let (session, _) = (session.expect("a session"), device.expect("the browser is known from now on"));
    let mut old = browser.clone();
    enter(&mut browser, &server, "", "margarete").await;
    assert_ne!(browser.cookie(names[0]), Some(&*session));
    assert_eq!(old.open(&server, INSPECT).await.path(), "/console/sign-in");
    // The session is one for clients too: the same sign-in, the same session.
    let landed = browser.open(&server, &Ask::new().target()).await;
    assert_ne!(landed.path(), "/sign-in");
}

#[tokio::test]
async fn one_of_the_demos_people_administers_it_and_the_first_page_says_where() {
    let server = Server::demo().await;
    let home = server.get("/").await;
    let console = format!("{}{INSPECT}", server.issuer);
    assert!(home.text().contains(&console) && home.text().contains("administers the demo"), "{}", home.text());
    for ((name, password), may) in opalid::demo::USERS.into_iter().zip([false, true]) {
        let mut browser = Browser::new();
        let landed = browser.open(&server, "/console").await;
        let landed = browser.give_password(&server, landed, name, password).await;
        let Landed::Here(path, answer) = landed else { panic!("{landed:?}") };
        assert_eq!((path.as_str(), answer.status), (INSPECT, if may { 200 } else { 403 }));
        assert_eq!(name == opalid::demo::ADMINISTRATOR, may);
    }
}
