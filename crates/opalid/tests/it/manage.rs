//! The command line: the inspector on tokens that came over HTTP, and the real binary against a running server.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use opalid::manage::inspect::Inspection;
use opalid::manage::{Command as Asked, Handed, Reply, Request, handle};

use crate::paste;
use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::folder::Folder;
use crate::support::http::Answer;
use crate::support::person::{Ask, LOOPBACK, PUBLIC, VERIFIER};

/// What the inspector says of a token.
pub async fn inspected(server: &Server, token: &str) -> Inspection {
    let command = Asked::Inspect { token: Handed::new(token.into()) };
    let reply = handle(&server.app, Request { workspace: None, command }).await.unwrap();
    let Reply::Inspected(inspection) = reply else { panic!("{reply:?}") };
    *inspection
}

/// What it says against it; nothing if it is alive.
pub async fn why(server: &Server, token: &str) -> Option<String> {
    inspected(server, token).await.why
}

async fn token_for(server: &Server, fields: &[(&str, &str)]) -> Answer {
    let answer = server.form_post("/token", &[fields, &[("client_id", PUBLIC)]].concat()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[tokio::test]
async fn the_inspector_says_what_became_of_codes_and_refresh_tokens() {
    let server = Server::with_people().await;
    let code = Browser::new().code(&server, &Ask::public().with("scope", "openid offline_access"), "alice").await;
    assert_eq!(why(&server, &code).await, None);
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", LOOPBACK),
        ("code_verifier", VERIFIER),
    ];
    let tokens = token_for(&server, &redeem).await;
    let redeemed = "it was redeemed; whoever presents it again with what it is bound to cuts the grant";
    assert_eq!(why(&server, &code).await.as_deref(), Some(redeemed));

    let first = tokens.field("refresh_token");
    assert_eq!(why(&server, &first).await, None);
    let server = &server;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &*first)];
    let second = token_for(server, &fields).await.field("refresh_token");
    assert_eq!(why(server, &second).await, None);
    let replaced = "it was replaced; for a moment it gets the same successor again";
    assert_eq!(why(server, &first).await.as_deref(), Some(replaced));
    server.clock.advance(31);
    let reused = "it was replaced; whoever presents it cuts the grant";
    assert_eq!(why(server, &first).await.as_deref(), Some(reused));

    let token = Handed::new(first);
    handle(&server.app, Request { workspace: None, command: Asked::RevokeToken { token } }).await.unwrap();
    for token in [&second, &tokens.field("access_token")] {
        assert_eq!(why(server, token).await.as_deref(), Some("its grant was cut"));
    }
}

/// Runs `opalid` against the server of a folder; gives whether it did it, and what it said.
pub fn opalid(data: &Path, words: &str, input: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
    command.args(words.split(' ')).arg("--data").arg(data).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that wants no input may have ended before it is written.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().success(), said)
}

#[test]
fn a_token_is_got_inspected_and_revoked_from_the_shell() {
    let data = Folder::new();
    let running = paste::start(data.path(), true);
    let run = |words: &str, input: &str| opalid(data.path(), words, input);
    let (done, token) = run("token --client demo-api --scope read", opalid::demo::RESOURCE_SERVER_SECRET);
    assert!(done && token.starts_with("oat_"), "{token}");
    assert!(run("inspect -", &token).1.starts_with("This access token is alive.\n"));
    let (done, said) = run("revoke token -", &token);
    assert!(done && said.starts_with("The token is dead;") && !said.contains("oat_"), "{said}");
    assert!(run("inspect -", &token).1.starts_with("This access token is dead: this token was revoked.\n"));
    let (done, said) = run("token --client demo-api", "wrong");
    assert!(!done && said.contains("refused (401 invalid_client)") && !said.contains("backtrace"), "{said}");
    let (done, said) = run("user show nobody", "");
    let list = format!("opalid --data {} user list", data.path().display());
    assert_eq!((done, said), (false, format!("opalid: workspace demo has no user nobody; see: {list}\n")));
    let (done, said) = run("user set-password alice", "a horse of course\n");
    assert!(done && said.starts_with("The password of user alice is set"), "{said}");
    let (done, said) = run("key import -", crate::keys::ED25519);
    assert!(done && said.contains("is published as the next EdDSA key"), "{said}");
    let (done, said) = run("user list -o json --limit 1", "");
    assert!(done && serde_json::from_str::<serde_json::Value>(&said).unwrap()["next"].is_string(), "{said}");
    drop(running);
    let (done, said) = run("user list", "");
    assert!(!done && said.contains("it holds a demo; start it with: opalid serve --demo --data "), "{said}");
}

#[test]
fn a_first_start_says_how_to_make_the_first_administrator() {
    let data = Folder::new();
    let mut running = paste::start(data.path(), false);
    let listening = running.line();
    assert!(listening.starts_with("Listening on ") && listening.contains(&running.port.to_string()), "{listening}");
    let command = running.line();
    let command = command.split_once("The first administrator: opalid ").unwrap().1;
    assert_eq!(command, format!("user create --admin NAME --data {}", data.path().display()));
    let (done, said) = opalid(data.path(), "user create --admin margarete", "");
    let console = format!("With it they sign in to the console: http://localhost:{}/console/inspect\n", running.port);
    assert!(done && said.contains("/set-password?token=") && said.ends_with(&console), "{said}");
    let (done, said) = opalid(data.path(), "user create --invite ada", "");
    assert!(done && !said.contains("/console"), "{said}");
    assert!(opalid(data.path(), "user show margarete", "").1.contains("administrator      yes"));
}

/// What `apply` and `export` do with standard output: apart from what is said beside it.
fn output_of(data: &Path, words: &str, input: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
    command.args(words.split(' ')).arg("--data").arg(data).env_clear().stderr(Stdio::null());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().success(), said)
}

#[test]
fn what_is_applied_is_shown_or_not_done_and_json_is_one_document() {
    let data = Folder::new();
    let _running = paste::start(data.path(), true);
    let document = r#"{"workspace": [{"name": "demo", "display_name": "Opalid demo",
        "client": [{"client_id": "one"}, {"client_id": "two"}]}]}"#;

    // Nobody reads what is changed: no secret is drawn for nobody, and that is no success.
    let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
    command.args(["apply", "-f", "-", "--data"]).arg(data.path()).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("cannot write what is changed"), "{said}");
    assert!(said.contains("0 changes were made"), "{said}");
    assert!(!opalid(data.path(), "client show one", "").0);

    let (done, said) = output_of(data.path(), "apply -f - -o json", document);
    let applied: serde_json::Value = serde_json::from_str(&said).unwrap();
    let [one, two] = applied["done"].as_array().unwrap().as_slice() else { panic!("{said}") };
    assert!(done && one["secret"].is_string() && two["change"]["name"] == "two", "{said}");
    let (done, said) = output_of(data.path(), "apply -f -", document);
    assert_eq!((done, &*said), (true, "Nothing to change.\n"));
    let (done, said) = output_of(data.path(), "client create three", "");
    assert!(done && said.contains("shown this once: ocs_") && said.ends_with("\n1 change was made.\n"), "{said}");
    let (done, said) = output_of(data.path(), "export", "");
    assert!(done && said.starts_with("[[workspace]]\nname = \"demo\"\n"), "{said}");
    assert_eq!(output_of(data.path(), "apply -f -", &said).1, "Nothing to change.\n");
}

#[test]
fn the_workspace_of_w_is_the_one_that_is_asked() {
    let data = Folder::new();
    let _running = paste::start(data.path(), true);
    let run = |words: &str| opalid(data.path(), words, "");
    assert!(run("workspace create acme").0);
    assert!(run("-w acme user create ada").0);
    for words in ["-w acme user list -o json", "-o json user list -w acme", "user -w acme list --output json"] {
        let (done, said) = run(words);
        let page: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(done && page["rows"].as_array().unwrap().len() == 1 && page["rows"][0]["username"] == "ada", "{said}");
    }
    let (done, said) = run("user show ada");
    assert!(!done && said.contains("workspace demo has no user ada"), "{said}");
    // Nothing of the other is dead, and nothing of this one lives.
    let token = run_token(data.path());
    let (done, said) = run("revoke workspace acme -w demo");
    assert!(!done && said.contains("which one is meant?"), "{said}");
    for name in ["acme", "demo"] {
        let (done, said) = run(&format!("revoke workspace {name} -w {name}"));
        let dies = format!("by this, at once and for good: everything in workspace {name} is dead");
        assert!(!done && said.contains(&dies) && said.contains("If that is meant: --yes"), "{said}");
    }
    assert!(run("revoke workspace acme --yes").0);
    assert!(opalid(data.path(), "inspect -", &token).1.starts_with("This access token is alive."));
    assert!(run("-w demo revoke workspace demo --yes").0);
    assert!(opalid(data.path(), "inspect -", &token).1.starts_with("This access token is dead"));
    let (done, said) = run("-w nowhere user list");
    let list =
        format!("there is no workspace \"nowhere\"; see: opalid --data {} workspace list", data.path().display());
    assert!(!done && said.contains(&list), "{said}");
}

#[test]
fn the_help_of_a_command_that_takes_no_workspace_names_no_w() {
    for (words, takes) in
        [("apply", false), ("diff", false), ("backup", false), ("export", true), ("client list", true)]
    {
        let mut help = Command::new(env!("CARGO_BIN_EXE_opalid"));
        let said = help.args(words.split(' ')).arg("--help").env_clear().output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains("--config") && said.contains("--workspace") == takes, "{words}: {said}");
    }
}

#[test]
fn a_user_that_is_made_by_apply_is_shown_with_or_without_a_password() {
    let data = Folder::new();
    let _running = paste::start(data.path(), true);
    let file = data.path().join("secret");
    std::fs::write(&file, "a horse of course\n").unwrap();
    let document = format!(
        "[[workspace]]\nname = \"demo\"\ndisplay_name = \"Opalid demo\"\n[[workspace.client]]\nclient_id = \"job\"\n\
         [[workspace.user]]\nusername = \"ada\"\npassword = {{ file = {:?} }}\n[[workspace.user]]\nusername = \"bea\"\n",
        file.display().to_string()
    );
    for words in ["diff -f -", "apply -f -"] {
        let said = output_of(data.path(), words, &document).1;
        assert!(said.contains(&format!("    password: the one in the file {}\n", file.display())), "{said}");
        assert!(said.contains("    password: none; the person cannot sign in until one is set\n"), "{said}");
        assert!(!said.contains("name: \"\""), "{said}");
    }
    let (_, said) = opalid(data.path(), "client list", "");
    let job: Vec<_> = said.lines().find(|line| line.starts_with("job ")).unwrap().split_whitespace().take(2).collect();
    assert_eq!(job, ["job", "job"], "{said}");
}

fn run_token(data: &Path) -> String {
    opalid(data, "token --client demo-api --scope read", opalid::demo::RESOURCE_SERVER_SECRET).1
}

#[test]
fn a_file_with_unknown_keys_is_refused_by_every_command_in_the_same_words() {
    let data = Folder::new();
    let _running = paste::start(data.path(), true);
    let file = data.path().join("opalid.toml");
    std::fs::write(&file, "issuer = \"https://login.example.com\"\nworkerz = 3\n").unwrap();
    let config = format!("--config {}", file.display());
    let expected = format!(
        "opalid: the configuration is not good:\n  workerz ({}:2): there is no such setting; the nearest is workers\n",
        file.display()
    );
    for words in ["serve", "config check", "user list", "revoke workspace demo", "backup x", "events", "restore x"] {
        assert_eq!(opalid(data.path(), &format!("{words} {config}"), ""), (false, expected.clone()), "{words}");
    }
    let (done, said) = opalid(data.path(), &format!("config show {config}"), "");
    assert!(!done && said.starts_with("issuer = ") && said.ends_with(&expected), "{said}");
    std::fs::write(&file, "issuer = \"https://login.example.com\"\n").unwrap();
    assert!(opalid(data.path(), &format!("user list {config}"), "").0);
}
