//! Every command, as it is typed and as its reply looks.

use clap::CommandFactory;
use opalid_core::apply::{Kind, Verb};
use opalid_core::time::UnixTime;

use super::output::{Format, Output};
use super::*;
use crate::manage::apply::OneChange;
use crate::manage::tests::{SignedIn, TestServer, server};
use crate::manage::{Command as Ask, Handed, Paging};

const OUTPUT: Output = Output { format: Format::Table, now: UnixTime(1_795_468_803) };

/// What a person sees; ids and nonces, which are drawn, as `<id>` and columns as they then fall.
async fn seen(server: &TestServer, command: Ask) -> String {
    let text = match server.ask(command).await {
        Ok(reply) => OUTPUT.text(&reply),
        Err(error) => format!("opalid: {error}\n"),
    };
    let line = |line: &str| line.split_whitespace().map(redacted).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

/// As `seen`, in alphabetical order: what the demo makes within one second of a clock that stands still has
/// no order of its own.
async fn sorted(server: &TestServer, command: Ask) -> String {
    let text = seen(server, command).await;
    let (head, rows) = text.split_once('\n').unwrap();
    let mut rows: Vec<_> = rows.lines().collect();
    rows.sort_unstable();
    format!("{head}\n{}\n", rows.join("\n"))
}

fn redacted(word: &str) -> String {
    let bare = word.trim_end_matches(';');
    let is_id = bare.len() == 36 && bare.matches('-').count() == 4;
    if is_id { word.replace(bare, "<id>") } else { word.to_owned() }
}

fn paging() -> Paging {
    Paging::default()
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does() {
    for command in Cli::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.contains("reaches the server"), "{}: {about:?}", command.get_name());
    }
}

/// Commands as the documents write them.
const WRITTEN: &[&str] = &[
    "serve --demo",
    "config check",
    "config show",
    "config keys",
    "apply -f FILE --prune",
    "apply --file -",
    "diff -f FILE --prune",
    "export",
    "export --without-users -w acme",
    "workspace list",
    "workspace create acme --set code_lifetime=30",
    "workspace update acme --set require_pkce=true --unset code_lifetime",
    "workspace delete acme --yes",
    "backup FILE --data d",
    "restore FILE --data d",
    "restore --database postgres://opalid@127.0.0.1/opalid --data d",
    "workspace show acme --data d",
    "client list --limit 5 --after x -o json",
    "client show app -w acme",
    "client create app --name App --public --grant-type authorization_code --redirect-uri https://app.example/cb",
    "client create job --grant-type client_credentials --access https://api.example/=read --default-resource R",
    "client create api --serves https://api.example/ --secret-file FILE",
    "client update app --post-logout-redirect-uri URI --first-party --set name=x --unset serves",
    "client delete app",
    "client rotate-secret app",
    "client rotate-secret app --overlap 0 --secret-file FILE",
    "client suspend app",
    "client resume app",
    "resource list",
    "resource show https://api.example/",
    "resource create https://api.example/ --name API --scopes read",
    "resource update https://api.example/ --scopes read --set name=x --unset name",
    "resource delete https://api.example/",
    "user list",
    "user show alice",
    "user update alice --rename alicia --admin true --claim email=alice@example.com --unset email",
    "user delete alice",
    "user create --admin NAME --data DIR",
    "user create --invite NAME",
    "user create alice --role accountant --claim email=alice@example.com --set claims.attributes={} --set admin=true",
    "user suspend alice",
    "user resume alice",
    "user sign-out-everywhere alice",
    "user set-password alice",
    "user set-password --link alice",
    "session list --user alice",
    "grant list --client app",
    "consent list --user alice",
    "consent withdraw x",
    "revoke workspace acme --yes",
    "revoke user alice",
    "revoke client app",
    "revoke session x",
    "revoke grant x",
    "revoke token -",
    "inspect -",
    "explain --client app --resource https://api.example/",
    "events --follow",
    "key revoke -Zb3_x --yes -w acme",
    "key revoke --Zb3x --yes",
    "key revoke --yes -- -wZb3",
    "key import - --alg RS256",
    "token --client X --resource R --scope S",
];

#[test]
fn every_command_is_understood_as_it_is_written_in_the_documents() {
    for line in WRITTEN {
        let parsed = Cli::try_parse_from(std::iter::once("opalid").chain(line.split(' ')));
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().map_or_else(String::new, |error| error.to_string()));
    }
    for line in [
        "grant list --user a --client b",
        "revoke workspace",
        "token --client X --secret S",
        "apply",
        "diff",
        "client create",
        "client create app --secret S",
        "client rotate-secret app --overlap -1",
        "user update alice --admin maybe",
        "user create alice --password P",
        "user create alice --rename alicia",
    ] {
        assert!(Cli::try_parse_from(std::iter::once("opalid").chain(line.split(' '))).is_err(), "{line}");
    }
}

#[tokio::test]
async fn what_of_clients_and_resources_is_listed_and_shown() {
    let server = server(true).await;
    insta::assert_snapshot!(seen(&server, Ask::ListWorkspaces {}).await, @r"
    NAME ISSUER STATE EPOCH
    demo http://localhost:8080 in service 1
    ");
    insta::assert_snapshot!(sorted(&server, Ask::ListClients { paging: paging() }).await, @r"
    CLIENT_ID NAME KIND STATE EPOCH CREATED
    demo-api Demo API confidential in service 1 2026-11-23 21:20:03Z (now)
    demo-app Demo application public in service 1 2026-11-23 21:20:03Z (now)
    ");
    insta::assert_snapshot!(seen(&server, Ask::ShowClient { client_id: "demo-api".into() }).await, @r#"
    client_id demo-api
    id <id>
    state in service
    epoch 1
    secret good for ever
    access {"https://api.demo.example/":"read write"}
    default_resources https://api.demo.example/
    grant_types client_credentials
    kind confidential
    name Demo API
    serves https://api.demo.example/
    "#);
    insta::assert_snapshot!(seen(&server, Ask::ListResources { paging: paging() }).await, @r"
    URI NAME SCOPES CREATED
    https://api.demo.example/ Demo API read write 2026-11-23 21:20:03Z (now)
    ");
    insta::assert_snapshot!(seen(&server, Ask::ShowResource { uri: "https://api.demo.example/".into() }).await, @r"
    uri https://api.demo.example/
    id <id>
    name Demo API
    scopes read write
    ");
}

#[tokio::test]
async fn what_of_users_and_the_workspace_is_listed_and_shown() {
    let server = server(true).await;
    insta::assert_snapshot!(sorted(&server, Ask::ListUsers { paging: paging() }).await, @r"
    USERNAME ID STATE EPOCH CREATED
    alice <id> in service 1.1 2026-11-23 21:20:03Z (now)
    bob <id> in service, administrator 1.1 2026-11-23 21:20:03Z (now)
    ");
    insta::assert_snapshot!(seen(&server, Ask::ShowUser { username: "alice".into() }).await, @r"
    username alice
    id <id>
    state in service
    administrator no
    password set
    epoch 1
    credentials epoch 1
    email alice@demo.example
    email_verified true
    family_name Demo
    given_name Alice
    name Alice Demo
    preferred_username alice
    ");
    insta::assert_snapshot!(seen(&server, Ask::ShowWorkspace {}).await, @r"
    name demo
    id <id>
    issuer http://localhost:8080
    state in service
    epoch 1
    access_token_format opaque
    access_token_lifetime 3600
    access_token_signing_alg RS256
    code_lifetime 60
    display_name Opalid demo
    id_token_lifetime 3600
    id_token_signing_alg RS256
    key_rotation 7776000
    refresh_absolute 31536000
    refresh_grace 30
    refresh_idle 2592000
    require_pkce false
    rotate_refresh_tokens false
    session_absolute 2592000
    session_idle 86400
    ");
}

#[tokio::test]
async fn what_a_sign_in_leaves_is_listed_with_whether_it_lives() {
    let server = server(true).await;
    let user = || Some("alice".into());
    insta::assert_snapshot!(seen(&server, Ask::ListSessions { user: user(), paging: paging() }).await, @"There are none.");
    server.sign_in().await;
    insta::assert_snapshot!(seen(&server, Ask::ListSessions { user: user(), paging: paging() }).await, @r"
    ID USERNAME SIGNED IN LAST USED ENDS STATE
    <id> alice 2026-11-23 21:20:03Z (now) 2026-11-23 21:20:03Z (now) 2026-11-23 21:36:43Z (in 16 minutes) live
    ");
    insta::assert_snapshot!(seen(&server, Ask::ListGrants { user: user(), client: None, paging: paging() }).await, @r"
    ID CLIENT_ID USERNAME BOUND TO CREATED STATE
    <id> demo-app alice session 2026-11-23 21:20:03Z (now) live
    ");
    insta::assert_snapshot!(seen(&server, Ask::SuspendUser { username: "alice".into() }).await, @"User alice is suspended; everything of theirs is dead.");
    insta::assert_snapshot!(seen(&server, Ask::ListSessions { user: None, paging: paging() }).await, @r"
    ID USERNAME SIGNED IN LAST USED ENDS STATE
    <id> alice 2026-11-23 21:20:03Z (now) 2026-11-23 21:20:03Z (now) 2026-11-23 21:36:43Z (in 16 minutes) dead: everything below its user was cut
    ");
    let client = Some("demo-app".into());
    insta::assert_snapshot!(seen(&server, Ask::ListGrants { user: None, client, paging: paging() }).await, @r"
    ID CLIENT_ID USERNAME BOUND TO CREATED STATE
    <id> demo-app alice session 2026-11-23 21:20:03Z (now) dead: everything below its user was cut
    ");
}

/// What a list of sessions and the inspector say of a session and its token, now.
async fn of_a_session(server: &TestServer, made: &SignedIn) -> [String; 3] {
    let output = Output { now: server.app.now(), ..OUTPUT };
    let sessions = server.ask(Ask::ListSessions { user: None, paging: paging() }).await.unwrap();
    let sessions = output.text(&sessions);
    let state = sessions.lines().nth(1).unwrap().rsplit("  ").next().unwrap().to_owned();
    let inspected = server.ask(Ask::Inspect { token: Handed::new(made.token.clone()) }).await.unwrap();
    let inspected = output.text(&inspected);
    let row = inspected.lines().find(|line| line.starts_with("session")).unwrap();
    [state, inspected.lines().next().unwrap().into(), row.rsplit("  ").next().unwrap().into()]
}

#[tokio::test]
async fn a_session_says_that_it_ended_expired_or_rests_and_never_that_it_is_suspended() {
    let server = server(true).await;
    let made = server.sign_in().await;
    server.ask(Ask::RevokeSession { id: made.session.clone() }).await.unwrap();
    let ended = "dead: it has ended (signed out, revoked, or another person signed in there)";
    let dead = "This access token is dead: its session has ended.";
    assert_eq!(of_a_session(&server, &made).await, [ended, dead, "ended"]);

    let server = self::server(true).await;
    let made = server.sign_in().await;
    let idle =
        serde_json::json!({"kind": "workspace", "verb": "update", "name": "demo", "fields": {"session_idle": 300}});
    server.ask(Ask::Change(serde_json::from_value(idle).unwrap())).await.unwrap();
    server.app.clock.advance(301);
    let [state, token, row] = of_a_session(&server, &made).await;
    assert_eq!((&*state, &*token), ("live, but rests: asks for a sign-in", "This access token is alive."));
    assert!(row.starts_with("in service, ends"), "{row}");
    server.app.clock.advance(700);
    let dead = "This access token is dead: its session has expired.";
    let [state, token, row] = of_a_session(&server, &made).await;
    assert_eq!((&*state, &*token), ("dead: it has expired", dead));
    assert_eq!(row, "expired 2026-11-23 21:36:43Z (1 second ago)");
    server.ask(Ask::SuspendUser { username: "alice".into() }).await.unwrap();
    assert_eq!(of_a_session(&server, &made).await[0], "dead: everything below its user was cut");
}

#[tokio::test]
async fn the_inspector_shows_why_the_token_of_a_suspended_user_is_dead() {
    let server = server(true).await;
    let SignedIn { token, .. } = server.sign_in().await;
    let inspect = |token: &str| Ask::Inspect { token: Handed::new(token.into()) };
    insta::assert_snapshot!(seen(&server, inspect(&token)).await, @r"
    This access token is alive.
    sealed under key 1
    jti BwcHBwcHBwcHBwcH
    bound to a key no
    issued 2026-11-23 21:20:03Z (now)
    expires 2026-11-23 22:20:03Z (in 60 minutes)
    grant <id>
    client demo-app
    user alice
    granted 2026-11-23 21:20:03Z (now)

    RESOURCE SCOPES ALLOWED TODAY
    https://api.demo.example/ read write read write

    HANGS FROM NAME EPOCH THEN EPOCH TODAY STATE
    grant <id> 1 1 in service
    workspace demo 1 1 in service
    user alice 1 1 in service
    credentials alice 1 1 in service
    client demo-app 1 1 in service
    session <id> 1 1 in service, ends 2026-11-23 21:36:43Z (in 16 minutes)

    TO CUT COMMAND
    this token alone opalid revoke token -
    its grant, with all its tokens opalid revoke grant <id>
    everything of this user opalid revoke user alice
    everything of this client opalid revoke client demo-app
    everything of this session opalid revoke session <id>
    ");
    server.ask(Ask::SuspendUser { username: "alice".into() }).await.unwrap();
    insta::assert_snapshot!(seen(&server, inspect(&token)).await, @r"
    This access token is dead: everything below its user was cut.
    sealed under key 1
    jti BwcHBwcHBwcHBwcH
    bound to a key no
    issued 2026-11-23 21:20:03Z (now)
    expires 2026-11-23 22:20:03Z (in 60 minutes)
    grant <id>
    client demo-app
    user alice
    granted 2026-11-23 21:20:03Z (now)

    RESOURCE SCOPES ALLOWED TODAY
    https://api.demo.example/ read write read write

    HANGS FROM NAME EPOCH THEN EPOCH TODAY STATE
    grant <id> 1 1 in service
    workspace demo 1 1 in service
    user alice 1 2 out of service, cut since
    credentials alice 1 1 out of service
    client demo-app 1 1 in service
    session <id> 1 1 in service, ends 2026-11-23 21:36:43Z (in 16 minutes)

    TO CUT COMMAND
    this token alone opalid revoke token -
    its grant, with all its tokens opalid revoke grant <id>
    everything of this user opalid revoke user alice
    everything of this client opalid revoke client demo-app
    everything of this session opalid revoke session <id>
    ");
}

#[tokio::test]
async fn the_inspector_says_what_can_be_the_reason_where_a_token_may_do_nothing_at_a_resource() {
    let server = server(true).await;
    let SignedIn { token, .. } = server.sign_in().await;
    let change = OneChange {
        kind: Kind::Resource,
        verb: Verb::Update,
        name: "https://api.demo.example/".into(),
        fields: serde_json::Map::from_iter([("requires_roles".into(), true.into())]),
        secret: None,
        yes: false,
    };
    server.ask(Ask::Change(change)).await.unwrap();
    let said = seen(&server, Ask::Inspect { token: Handed::new(token) }).await;
    assert!(said.contains(" nothing: it is gone, not for this client, or no role permits it"), "{said}");
}

#[test]
fn help_says_what_is_in_documents_what_a_permission_replaces_and_where_a_new_master_key_is() {
    let help = |path: &[&str]| {
        let mut command = Cli::command();
        let found = path.iter().try_fold(&mut command, |command, name| command.find_subcommand_mut(name)).unwrap();
        found.render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for command in ["apply", "diff", "export"] {
        assert!(help(&[command]).contains("roles"), "{command}");
    }
    for kind in ["role", "client"] {
        assert!(help(&[kind, "update"]).contains("they replace those it had there"), "{kind}");
    }
    for kind in ["role", "client", "user", "resource"] {
        let made = help(&[kind, "create"]);
        assert!(!made.contains("replace") && !made.contains("other resources stay"), "{kind}: {made}");
    }
    assert!(help(&["key", "rotate-master"]).contains("The new key is in this file"));
}

#[tokio::test]
async fn the_inspector_knows_codes_and_what_does_not_open() {
    let server = server(true).await;
    let SignedIn { token, code, .. } = server.sign_in().await;
    let inspect = |token: &str| Ask::Inspect { token: Handed::new(token.into()) };
    server.ask(Ask::SuspendUser { username: "alice".into() }).await.unwrap();
    insta::assert_snapshot!(seen(&server, inspect(&code)).await, @r"
    This authorization code is dead: everything below its user was cut.
    sealed under key 1
    code <id>
    expires 2026-11-23 21:21:03Z (in 60 seconds)
    grant <id>
    client demo-app
    user alice
    granted 2026-11-23 21:20:03Z (now)

    RESOURCE SCOPES ALLOWED TODAY
    https://api.demo.example/ read write read write

    HANGS FROM NAME EPOCH THEN EPOCH TODAY STATE
    grant <id> 1 1 in service
    workspace demo 1 1 in service
    user alice 1 2 out of service, cut since
    credentials alice 1 1 out of service
    client demo-app 1 1 in service
    session <id> 1 1 in service, ends 2026-11-23 21:36:43Z (in 16 minutes)

    TO CUT COMMAND
    its grant, with all its tokens opalid revoke grant <id>
    everything of this user opalid revoke user alice
    everything of this client opalid revoke client demo-app
    everything of this session opalid revoke session <id>
    ");
    insta::assert_snapshot!(seen(&server, inspect(&token[..20])).await, @r"
    This access token is dead: not a token of this workspace, or changed on the way.
    opens no: it has not the form of this kind (cut, or characters added?)
    ");
}

#[tokio::test]
async fn what_a_change_says() {
    let server = server(true).await;
    let made = server.sign_in().await;
    let handed = |text: &str| Handed::new(text.into());
    let mut said = String::new();
    for command in [
        Ask::CreateUser { username: "carol".into(), fields: serde_json::Map::new(), link: false },
        Ask::CreateUser { username: "Carol".into(), fields: serde_json::Map::new(), link: false },
        Ask::SetPassword { username: "carol".into(), password: handed("a horse of course") },
        Ask::SetPassword { username: "carol".into(), password: handed("short") },
        Ask::SuspendUser { username: "carol".into() },
        Ask::ResumeUser { username: "carol".into() },
        Ask::SuspendClient { client_id: "demo-api".into() },
        Ask::ResumeClient { client_id: "demo-api".into() },
        Ask::RevokeToken { token: handed(&made.token) },
        Ask::RevokeToken { token: handed("ort_x") },
        Ask::RevokeSession { id: made.session.clone() },
        Ask::RevokeSession { id: made.session.clone() },
        Ask::RevokeSession { id: "x".into() },
        Ask::RevokeGrant { id: made.grant.clone() },
        Ask::RevokeGrant { id: made.session.clone() },
        Ask::RevokeUser { username: "alice".into() },
        Ask::RevokeUser { username: "nobody".into() },
        Ask::RevokeClient { client_id: "demo-app".into() },
        Ask::RevokeWorkspace { yes: true },
    ] {
        said.push_str(&seen(&server, command).await);
    }
    insta::assert_snapshot!(said, @r#"
    User carol is there, without a password; set one with: opalid user set-password carol
    opalid: workspace demo has a user "Carol" already; for a link to set the password: opalid user set-password Carol --link
    The password of user carol is set; everything of theirs from before is dead.
    opalid: Use at least 8 characters. A few words that only you would put together work well.
    User carol is suspended; everything of theirs is dead.
    User carol is back in service; nothing they had before lives again.
    Client demo-api is suspended; everything it was given is dead.
    Client demo-api is back in service; nothing it had before lives again.
    The token is dead; others of grant <id> live on.
    opalid: workspace demo knows no such token; a token of another workspace needs -w NAME; opalid inspect says more
    Session <id> has ended; everything bound to it is dead.
    Session <id> had ended before.
    opalid: "x" is not an id: expected a UUID such as <id>; see: opalid session list
    Grant <id> is cut; all its tokens are dead.
    opalid: workspace demo has no grant <id>; see: opalid grant list
    Everything of user alice is dead: sessions, grants and their tokens.
    opalid: workspace demo has no user nobody; see: opalid user list
    Everything client demo-app was given is dead; it stays in service.
    Everything in workspace demo is dead: everyone signs in again.
    "#);
    let link = seen(&server, Ask::LinkPassword { username: "carol".into() }).await;
    let (words, url) = link.split_once(":\n").unwrap();
    insta::assert_snapshot!(words, @"Whoever opens this link sets the password of carol; it works once, until 2026-11-24 21:20:03Z (in 24 hours)");
    assert!(url.starts_with("http://localhost:8080/set-password?token="));
}

#[tokio::test]
async fn json_is_the_reply_alone() {
    let server = server(false).await;
    let reply = server.ask(Ask::ListWorkspaces {}).await.unwrap();
    let json = output::json(&reply).unwrap();
    assert_eq!(json["rows"][0]["issuer"], "http://localhost:8080");
    assert_eq!(json.as_object().unwrap().len(), 1);
}

/// What a command line says before it reaches any server.
fn refused(line: &str) -> String {
    let folder = std::env::temp_dir().join(format!("opalid-refused-{}", std::process::id()));
    let line = line.replace("DIR", folder.to_str().unwrap());
    match Cli::try_parse_from(std::iter::once("opalid").chain(line.split(' '))) {
        Ok(Cli { before, command }) => run(before, command).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn where_and_how_may_stand_before_the_command_as_well_as_after_it() {
    for line in [
        "-w acme -o json --data DIR client list",
        "-w acme client -o json list --data DIR",
        "client -w acme list -o json --data DIR",
        "client list -w acme -o json --data DIR",
        "-w acme -o json user create x --data DIR",
        "-w acme -o json events --follow --data DIR",
        "-w acme -o json inspect x --data DIR",
        "-w acme -o json export --data DIR",
        "-w acme -o json workspace show --data DIR",
        "-w acme revoke workspace acme --data DIR",
        "-o json diff -f Cargo.toml --data DIR",
        "-o json backup x --data DIR",
    ] {
        let said = refused(line);
        assert!(said.contains("no server runs on") || said.contains("is not a document"), "{line}: {said}");
    }
    assert!(refused("-w a client list -w b").starts_with("-w stands before the command and after it"));
    assert!(refused("-o json client list -o table").starts_with("-o stands before the command and after it"));
}

#[test]
fn a_workspace_or_a_format_that_would_be_ignored_is_refused() {
    for (line, why) in [
        ("-w acme serve", "opalid serve concerns the whole server; leave -w away"),
        ("-o json restore x", "opalid restore prints in one way only; leave -o away"),
        ("-w acme restore x", "opalid restore concerns the whole server; leave -w away"),
        ("-w acme config show", "opalid config concerns the whole server; leave -w away"),
        ("--data DIR serve", "--data stands after the command here: opalid serve … --data …"),
        ("revoke workspace acme -w other", "-w other and workspace acme: which one is meant? Leave -w away"),
        ("-w other revoke workspace acme", "-w other and workspace acme: which one is meant? Leave -w away"),
        ("workspace delete acme -w other", "-w other and workspace acme: which one is meant? Leave -w away"),
        ("workspace update acme -w other --set a=1", "-w other and workspace acme: which one is meant? Leave -w away"),
        ("workspace show acme -w other", "-w other and workspace acme: which one is meant? Leave -w away"),
        ("workspace create acme -w other", "the new workspace is named once; leave -w other away"),
        ("user update alice --role  --data DIR", "a role has a name; to take all roles away: --unset roles"),
        ("client create app --role  --data DIR", "a role has a name; to take all roles away: --unset roles"),
        ("workspace list -w other", "all workspaces are listed; leave -w other away"),
        ("apply -f x -w other", "a document says itself which workspaces it is about; leave -w other away"),
        ("diff -f x -w other", "a document says itself which workspaces it is about; leave -w other away"),
        ("backup x -w other", "a copy holds all workspaces; leave -w other away"),
    ] {
        assert_eq!(refused(line), why, "{line}");
    }
    for line in
        ["serve -w acme", "config show -w acme", "config check -o json", "restore x -o json", "restore x --issuer y"]
    {
        assert!(refused(line).contains("unexpected argument"), "{line}");
    }
}

#[test]
fn help_is_short_and_a_number_out_of_range_is_no_other_number() {
    let mut client = Cli::command();
    let list = client.find_subcommand_mut("client").unwrap().find_subcommand_mut("create").unwrap();
    let help = list.render_long_help().to_string();
    assert!(!help.contains("Possible values") && !help.contains(" before>"), "{help}");
    for (limit, why) in [("0", "0 is not in 1..=1000"), ("1001", "1001 is not in 1..=1000")] {
        let said = refused(&format!("client list --limit {limit} --data DIR"));
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    let folder = std::env::temp_dir().join(format!("opalid-no-server-{}", std::process::id()));
    let words = ["opalid", "user", "list", "--data", folder.to_str().unwrap()];
    let Command::User(managing) = Cli::try_parse_from(words).unwrap().command else { panic!() };
    let error = managing.run(Before::default()).unwrap_err().to_string();
    let folder = folder.display();
    let both = format!(
        "to start a demo there: opalid serve --demo --data {folder}; one of your own: opalid serve --config FILE --data \
         {folder}, where FILE says its issuer"
    );
    assert!(error.contains(&both), "{error}");
}
