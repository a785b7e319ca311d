//! Tests of applying, on a whole server.

use opalid_core::client::{Client, ClientKind};
use opalid_core::time::Seconds;
use serde_json::json;

use super::super::Command;
use super::super::tests::{TestServer, server};
use super::*;

const API: &str = "https://api.example/";

fn document(json: serde_json::Value) -> Document {
    serde_json::from_value(json).unwrap()
}

/// A root workspace with an API, its resource server, an application and a person.
fn acme() -> Document {
    document(json!({"workspace": [{
        "name": "default",
        "code_lifetime": 30,
        "resource": [{"uri": API, "name": "API", "scopes": "read write"}],
        "client": [
            {"client_id": "api", "serves": [API], "secret": {"env": "API_SECRET"}},
            {"client_id": "app", "kind": "public", "grant_types": ["authorization_code", "refresh_token"],
             "redirect_uris": ["https://app.example/callback"], "access": {API: "read write"}},
            {"client_id": "job", "grant_types": ["client_credentials"], "access": {API: "read"},
             "default_resource": API}],
        "user": [{"username": "Alice", "admin": true, "password": {"file": "alice.txt"},
                  "claims": {"email": "alice@example.com", "email_verified": true}}]},
      {"name": "acme", "display_name": "Acme"}]}))
}

fn secrets() -> FoundSecrets {
    vec![
        (SecretSource::Env("API_SECRET".into()), Handed::new("a-secret-of-the-resource-server".into())),
        (SecretSource::File("alice.txt".into()), Handed::new("correct horse battery".into())),
    ]
}

fn declared(document: &Document) -> Declared {
    Declared { document: document.clone(), secrets: secrets(), prune: false }
}

impl TestServer {
    async fn apply(&self, declared: &Declared) -> Applied {
        match self.ask(Command::Apply(declared.clone())).await.unwrap() {
            Reply::Applied(applied) => *applied,
            other => panic!("{other:?}"),
        }
    }

    async fn planned(&self, declared: &Declared) -> Vec<String> {
        match self.ask(Command::Compare(declared.clone())).await.unwrap() {
            Reply::Planned(changes) => changes.iter().map(line).collect(),
            other => panic!("{other:?}"),
        }
    }

    async fn export(&self) -> Document {
        match self.ask(Command::Export { users: true }).await.unwrap() {
            Reply::Document(document) => *document,
            other => panic!("{other:?}"),
        }
    }

    async fn change(
        &self,
        kind: &str,
        verb: &str,
        name: &str,
        fields: serde_json::Value,
    ) -> Result<Vec<String>, String> {
        let yes = kind == "workspace" && verb == "delete" && fields == json!("yes");
        let fields = if yes { json!({}) } else { fields };
        let asked = json!({"kind": kind, "verb": verb, "name": name, "fields": fields, "yes": yes});
        match self.ask(Command::Change(serde_json::from_value(asked).unwrap())).await {
            Ok(Reply::Applied(applied)) if applied.stopped.is_none() => Ok(lines(&applied)),
            Ok(Reply::Applied(applied)) => Err(applied.stopped.unwrap()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn client(&self, client_id: &str) -> Option<Client> {
        let by = ByClient::Name(client_id.into());
        self.app.store.read(FindClient { workspace: self.app.root, by }).await.unwrap()
    }

    async fn remembered(&self, client_id: &str) -> Option<std::sync::Arc<Client>> {
        self.app.store.find_client(self.app.root, client_id).await.unwrap()
    }
}

fn line(change: &PlannedChange) -> String {
    let fields: Vec<&str> = change.differences.iter().map(|difference| &*difference.field).collect();
    format!("{:?} {} {} {}", change.verb, change.kind.name(), change.name, fields.join(",")).trim_end().to_owned()
}

fn lines(applied: &Applied) -> Vec<String> {
    applied.done.iter().map(|done| line(&done.change)).collect()
}

fn admits(client: &Client, secret: &str, server: &TestServer) -> bool {
    client.admits_secret(&SecretDigest::of(secret.as_bytes()), server.app.now())
}

#[tokio::test]
async fn applying_makes_everything_and_applying_again_changes_nothing() {
    let server = server(false).await;
    let applied = server.apply(&declared(&acme())).await;
    assert_eq!((applied.stopped.as_deref(), applied.done.len()), (None, 7), "{applied:#?}");
    assert_eq!(server.planned(&declared(&acme())).await, [""; 0]);
    assert!(server.apply(&declared(&acme())).await.done.is_empty());

    // What is given works, what is drawn was shown once, and a new workspace has keys of its own.
    let api = server.client("api").await.unwrap();
    assert!(admits(&api, "a-secret-of-the-resource-server", &server));
    let drawn: Vec<_> =
        applied.done.iter().filter_map(|done| Some((&*done.change.name, done.secret.as_ref()?))).collect();
    let [("job", secret)] = drawn.as_slice() else { panic!("{drawn:?}") };
    assert!(secret.expose().starts_with("ocs_") && secret.expose().len() == 47);
    assert!(admits(&server.client("job").await.unwrap(), secret.expose(), &server));
    let issuer = server.app.find_issuer(Some("acme")).await.unwrap().unwrap();
    assert_eq!((issuer.display_name(), &*issuer.url), ("Acme", "http://localhost:8080/acme"));
    let Reply::User(alice) = server.ask(Command::ShowUser { username: "alice".into() }).await.unwrap() else {
        panic!()
    };
    assert!(alice.admin && alice.has_password);
}

#[tokio::test]
async fn what_is_exported_changes_nothing_here_and_makes_the_same_elsewhere() {
    let (here, elsewhere) = (server(false).await, server(false).await);
    here.apply(&declared(&acme())).await;
    let exported = here.export().await;
    let again = Declared { document: exported.clone(), secrets: Vec::new(), prune: true };
    assert_eq!(here.planned(&again).await, [""; 0]);
    elsewhere.apply(&again).await;
    assert_eq!(elsewhere.export().await, exported);
    let text = serde_json::to_string(&exported).unwrap();
    assert!(!text.contains("secret") && !text.contains("password") && !text.contains("argon2"), "{text}");
}

#[tokio::test]
async fn an_export_of_the_demo_changes_nothing() {
    let server = server(true).await;
    let exported = server.export().await;
    let again = Declared { document: exported, secrets: Vec::new(), prune: true };
    assert_eq!(server.planned(&again).await, [""; 0]);
}

#[tokio::test]
async fn every_problem_is_found_before_anything_is_done() {
    let server = server(false).await;
    let mut wrong = declared(&acme());
    wrong.secrets = vec![(SecretSource::File("alice.txt".into()), Handed::new("password".into()))];
    let error = server.ask(Command::Apply(wrong.clone())).await.unwrap_err().to_string();
    assert!(error.contains("client api: the environment variable API_SECRET is not set"), "{error}");
    assert!(error.contains("user Alice: the file alice.txt: This is one of the most common passwords"), "{error}");
    wrong.secrets = vec![(SecretSource::Env("API_SECRET".into()), Handed::new("short".into()))];
    let error = server.ask(Command::Apply(wrong)).await.unwrap_err().to_string();
    assert!(error.contains("the environment variable API_SECRET: a client secret has 16 to 256"), "{error}");
    assert!(!error.contains("short"));
    assert!(server.client("job").await.is_none());
}

#[tokio::test]
async fn a_change_shows_at_once_even_where_the_entry_is_remembered() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    assert!(!server.remembered("app").await.unwrap().settings.first_party);
    let changed = server.change("client", "update", "app", json!({"first_party": true})).await;
    assert_eq!(changed.unwrap(), ["Update client app first_party"]);
    assert!(server.remembered("app").await.unwrap().settings.first_party);
    let before = server.app.store.find_resource(server.app.root, API).await.unwrap().unwrap();
    assert!(before.settings.scopes.contains("write"));
    server.change("resource", "update", API, json!({"scopes": "read"})).await.unwrap();
    let after = server.app.store.find_resource(server.app.root, API).await.unwrap().unwrap();
    assert_eq!((after.id, after.settings.scopes.as_str()), (before.id, "read"));
    server.change("workspace", "update", "default", json!({"code_lifetime": 20})).await.unwrap();
    let root = server.app.store.find_workspace("default").await.unwrap().unwrap();
    assert_eq!(root.workspace.settings.tokens.code_lifetime, Seconds(20));
}

#[tokio::test]
async fn nothing_is_deleted_without_prune_and_a_name_made_anew_is_another() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    let first = server.client("job").await.unwrap();
    let mut without = acme();
    for workspace in without.workspaces.iter_mut().flatten() {
        workspace.clients =
            workspace.clients.take().map(|all| all.into_iter().filter(|c| c.client_id != "job").collect());
    }
    without.workspaces.iter_mut().for_each(|all| all.truncate(1));
    let mut declared = declared(&without);
    assert_eq!(server.planned(&declared).await, [""; 0]);
    declared.prune = true;
    assert_eq!(lines(&server.apply(&declared).await), ["Delete client job", "Delete workspace acme"]);
    assert!(server.remembered("job").await.is_none());
    assert!(server.app.find_issuer(Some("acme")).await.unwrap().is_none());
    declared.prune = false;
    declared.document = acme();
    server.apply(&declared).await;
    assert_ne!(server.client("job").await.unwrap().id, first.id);
}

#[tokio::test]
async fn the_root_workspace_cannot_be_deleted_and_nothing_is_begun() {
    let server = server(false).await;
    let asked = json!({"kind": "workspace", "verb": "delete", "name": "default"});
    let refused = server.ask(Command::Change(serde_json::from_value(asked).unwrap())).await.unwrap_err();
    assert!(refused.to_string().starts_with("the root workspace cannot be deleted"), "{refused}");
    let unknown = server.change("workspace", "delete", "acme", json!({})).await.unwrap_err();
    assert_eq!(unknown, "there is no workspace \"acme\"; see: opalid workspace list");
}

#[tokio::test]
async fn a_field_whose_value_is_none_of_its_kind_is_named() {
    let server = server(false).await;
    let fields = json!({"display_name": "Acme", "code_lifetime": "soon"});
    let refused = server.change("workspace", "update", "default", fields).await.unwrap_err();
    assert!(refused.starts_with("nothing was changed: code_lifetime: invalid type"), "{refused}");
    let fields = json!({"name": "App", "redirect_uris": 7});
    let refused = server.change("client", "create", "app", fields).await.unwrap_err();
    assert!(refused.starts_with("nothing was changed: redirect_uris: invalid type"), "{refused}");
    let refused = server.change("client", "create", "app", json!({"nmae": "App"})).await.unwrap_err();
    assert!(refused.starts_with("nothing was changed: unknown field `nmae`"), "{refused}");
    let fields = json!({"claims": {"good": {"from": "roles"}, "x": "roles"}});
    let refused = server.change("workspace", "update", "default", fields).await.unwrap_err();
    let words = "nothing was changed: claims.x: invalid type: string \"roles\", expected a claim: a table with from";
    assert!(refused.starts_with(words), "{refused}");
    server.apply(&declared(&acme())).await;
    let fields = json!({"claims": {"attributes": {"good": 1, "a": 1.5}}});
    let refused = server.change("user", "update", "alice", fields).await.unwrap_err();
    let words = "claims.attributes: a: a text, a whole number, yes or no, or a list of texts";
    assert_eq!(refused, format!("nothing was changed: {words}"));
}

#[tokio::test]
async fn a_field_that_an_entry_cannot_have_is_not_taken_away_from_it_either() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    server.change("role", "create", "reader", json!({"permissions": {API: "read"}})).await.unwrap();
    let entries =
        [("workspace", "default"), ("resource", API), ("client", "app"), ("user", "alice"), ("role", "reader")];
    for (kind, name) in entries {
        let refused = server.change(kind, "update", name, json!({"nonsense": null})).await.unwrap_err();
        assert!(refused.starts_with("nothing was changed: unknown field `nonsense`"), "{kind}: {refused}");
    }
    let fields = json!({"claims": {"attributes": null, "nonsense": null}});
    let refused = server.change("user", "update", "alice", fields).await.unwrap_err();
    assert!(refused.starts_with("nothing was changed: unknown field `nonsense`"), "{refused}");
    // What could be there and is not, and what has a value that is none of its kind while it goes.
    for (kind, name, fields) in [
        ("workspace", "default", json!({"claims": null, "key_rotation": null})),
        ("resource", API, json!({"requires_roles": null, "offline_window": null})),
        ("client", "app", json!({"default_resource": null})),
        ("user", "Alice", json!({"claims": {"attributes": null, "nickname": null}, "roles": null})),
        ("role", "reader", json!({"description": null})),
    ] {
        assert_eq!(server.change(kind, "update", name, fields).await, Ok(Vec::new()), "{kind}");
    }
}

#[tokio::test]
async fn an_entry_that_is_not_there_is_not_taken_away_and_what_is_there_is_named() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    server.change("role", "create", "reader", json!({"permissions": {API: "read"}})).await.unwrap();
    let claim = json!({"claims": {"tier": {"value": 1}, "level": {"value": 2}}});
    server.change("workspace", "update", "default", claim).await.unwrap();
    server.change("user", "update", "alice", json!({"claims": {"attributes": {"floor": 3}}})).await.unwrap();
    let missing = "https://api.example";
    for (kind, name, fields, why) in [
        (
            "client",
            "app",
            json!({"access": {missing: null}}),
            format!("access: there is no {missing} to take away; there is: {API}"),
        ),
        (
            "client",
            "api",
            json!({"access": {API: null}}),
            format!("access: there is no {API} to take away; there is none"),
        ),
        (
            "client",
            "new",
            json!({"access": {API: null}}),
            format!("access: there is no {API} to take away; there is none"),
        ),
        (
            "role",
            "reader",
            json!({"permissions": {missing: null}}),
            format!("permissions: there is no {missing} to take away; there is: {API}"),
        ),
        (
            "workspace",
            "default",
            json!({"claims": {"teir": null}}),
            "claims: there is no teir to take away; there is: level, tier".into(),
        ),
        (
            "user",
            "alice",
            json!({"claims": {"attributes": {"flor": null}}}),
            "claims.attributes: there is no flor to take away; there is: floor".into(),
        ),
    ] {
        let verb = if name == "new" { "create" } else { "update" };
        assert_eq!(server.change(kind, verb, name, fields).await, Err(format!("nothing was changed: {why}")), "{kind}");
    }
    server.change("client", "update", "app", json!({"access": {API: null}})).await.unwrap();
    server.change("workspace", "update", "default", json!({"claims": {"tier": null}})).await.unwrap();
    server.change("user", "update", "alice", json!({"claims": {"attributes": {"floor": null}}})).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_changes_leaves_the_old_one_good_for_a_day() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    let mut next = declared(&acme());
    next.secrets[0].1 = Handed::new("another-secret-of-the-server".into());
    assert_eq!(server.planned(&next).await, ["Update client api"]);
    server.apply(&next).await;
    assert_eq!(server.planned(&next).await, [""; 0]);
    let good = |client: &Client| {
        let old = admits(client, "a-secret-of-the-resource-server", &server);
        (old, admits(client, "another-secret-of-the-server", &server))
    };
    assert_eq!(good(&server.client("api").await.unwrap()), (true, true));
    server.app.clock.advance(24 * 3600);
    assert_eq!(good(&server.client("api").await.unwrap()), (false, true));
}

#[tokio::test]
async fn rotating_a_secret_draws_one_and_ends_the_old_ones_when_asked() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    let rotate = |overlap| Command::RotateSecret { client_id: "api".into(), secret: None, overlap };
    let Reply::SecretRotated(rotated) = server.ask(rotate(None)).await.unwrap() else { panic!() };
    assert_eq!(rotated.old_until, Some(server.app.now().plus(Seconds(24 * 3600))));
    let first = rotated.secret.unwrap();
    let api = server.remembered("api").await.unwrap();
    assert!(admits(&api, first.expose(), &server) && admits(&api, "a-secret-of-the-resource-server", &server));
    let Reply::SecretRotated(rotated) = server.ask(rotate(Some(Seconds(0)))).await.unwrap() else { panic!() };
    assert_eq!(rotated.old_until, None);
    let api = server.remembered("api").await.unwrap();
    assert!(!admits(&api, first.expose(), &server) && !admits(&api, "a-secret-of-the-resource-server", &server));
    assert!(admits(&api, rotated.secret.unwrap().expose(), &server));
    let refused = Command::RotateSecret { client_id: "app".into(), secret: None, overlap: None };
    assert_eq!(server.ask(refused).await.unwrap_err().to_string(), "client app is public: it has no secret");
}

#[tokio::test]
async fn no_more_than_eight_secrets_are_good_at_once() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    let rotate = |overlap| Command::RotateSecret { client_id: "api".into(), secret: None, overlap };
    for _ in 0..7 {
        server.ask(rotate(None)).await.unwrap();
    }
    assert_eq!(server.client("api").await.unwrap().secrets.len(), 8);
    let refused = server.ask(rotate(None)).await.unwrap_err().to_string();
    assert!(refused.contains("--overlap 0"), "{refused}");
    server.ask(rotate(Some(Seconds(0)))).await.unwrap();
    assert_eq!(server.client("api").await.unwrap().secrets.len(), 1);
}

#[tokio::test]
async fn a_client_that_becomes_public_loses_its_secrets() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    let public = json!({"kind": "public", "grant_types": []});
    server.change("client", "update", "job", public).await.unwrap();
    let job = server.client("job").await.unwrap();
    assert!(job.settings.kind == ClientKind::Public && job.secrets.is_empty());
    let asked = json!({"kind": "client", "verb": "update", "name": "job", "fields": {"kind": "confidential"}});
    let reply = server.ask(Command::Change(serde_json::from_value(asked).unwrap())).await.unwrap();
    let Reply::Applied(applied) = reply else { panic!() };
    let drawn = applied.done[0].secret.as_ref().unwrap();
    let job = server.client("job").await.unwrap();
    assert!(job.secrets.len() == 1 && admits(&job, drawn.expose(), &server));
}

#[tokio::test]
async fn one_entry_is_made_changed_and_deleted_by_the_same_rules() {
    let server = server(false).await;
    let made = server.change("resource", "create", API, json!({"scopes": "read"})).await;
    assert_eq!(made.unwrap(), [format!("Create resource {API} scopes")]);
    assert!(server.change("resource", "create", API, json!({})).await.unwrap_err().contains("update"));
    let wrong = server.change("client", "create", "c", json!({"access": {API: "write"}})).await.unwrap_err();
    assert!(wrong.contains("has no scope write"), "{wrong}");
    server.change("client", "create", "c", json!({"access": {API: "read"}})).await.unwrap();
    let patch = json!({"access": {API: null}, "name": "C"});
    assert_eq!(server.change("client", "update", "c", patch).await.unwrap(), ["Update client c name,access"]);
    assert!(server.client("c").await.unwrap().settings.access.is_empty());
    assert!(server.change("client", "update", "c", json!({"client_id": "d"})).await.is_err());
    assert!(server.change("client", "update", "c", json!({"nonsense": 1})).await.is_err());
    assert_eq!(server.change("client", "delete", "c", json!({})).await.unwrap(), ["Delete client c"]);
    let gone = server.change("client", "delete", "c", json!({})).await.unwrap_err();
    assert_eq!(gone, "workspace default has no client c; see: opalid client list");
    assert_eq!(server.change("workspace", "create", "w", json!({"code_lifetime": 9})).await.unwrap().len(), 1);
    assert!(server.change("workspace", "create", "token", json!({})).await.is_err());
    let told = server.change("workspace", "delete", "w", json!({})).await.unwrap_err();
    assert!(told.contains("workspace w goes with its keys") && told.ends_with("If that is meant: --yes"), "{told}");
    assert_eq!(server.change("workspace", "delete", "w", json!("yes")).await.unwrap(), ["Delete workspace w"]);
}

#[tokio::test]
async fn a_user_keeps_their_subject_under_a_new_name() {
    let server = server(false).await;
    for name in ["alice", "bob"] {
        server.change("user", "create", name, json!({"claims": {"name": name}})).await.unwrap();
    }
    let id = |name: &'static str| async {
        match server.ask(Command::ShowUser { username: name.into() }).await {
            Ok(Reply::User(user)) => Some(user.id),
            _ => None,
        }
    };
    let alice = id("alice").await;
    let renamed = server.change("user", "update", "alice", json!({"username": "Alicia", "admin": true})).await;
    assert_eq!(renamed.unwrap(), ["Update user alice admin,username"]);
    assert_eq!((id("alicia").await, id("alice").await), (alice, None));
    let taken = server.change("user", "update", "bob", json!({"username": "ALICIA"})).await.unwrap_err();
    assert_eq!(taken, "there is another user called ALICIA");
    server.change("user", "delete", "alicia", json!({})).await.unwrap();
    assert_eq!(id("alicia").await, None);
}

#[tokio::test]
async fn two_spellings_of_one_name_are_one_user() {
    let server = server(false).await;
    server.change("user", "create", "J\u{fc}rgen", json!({})).await.unwrap();
    server.change("user", "create", "bob", json!({})).await.unwrap();
    for spelling in ["ju\u{308}rgen", "J\u{dc}RGEN", "\u{ff2a}\u{fc}rgen"] {
        assert!(server.change("user", "create", spelling, json!({})).await.is_err(), "{spelling}");
        let command = Command::CreateUser { username: spelling.into(), fields: serde_json::Map::new(), link: false };
        assert!(server.ask(command).await.is_err(), "{spelling}");
        assert!(server.change("user", "update", "bob", json!({"username": spelling})).await.is_err(), "{spelling}");
        let renamed = server.change("user", "update", spelling, json!({"username": spelling})).await;
        assert!(renamed.is_ok(), "one's own name may be spelt anew: {renamed:?}");
    }
    for unseen in ["al\u{202e}ice", "alice\u{200b}", "\u{2066}alice"] {
        assert!(server.change("user", "create", unseen, json!({})).await.is_err(), "{unseen:?}");
        let command = Command::CreateUser { username: unseen.into(), fields: serde_json::Map::new(), link: false };
        assert!(server.ask(command).await.is_err(), "{unseen:?}");
        assert!(server.change("user", "update", "bob", json!({"username": unseen})).await.is_err(), "{unseen:?}");
    }
}

#[tokio::test]
async fn requests_with_documents_are_written_as_they_are_read() {
    let request = super::super::Request { workspace: None, command: Command::Apply(declared(&acme())) };
    let text = serde_json::to_string(&request).unwrap();
    let read: super::super::Request = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert!(
        serde_json::from_str::<super::super::Request>(r#"{"command":{"do":"apply","document":{},"x":1}}"#).is_err()
    );
}

#[tokio::test]
async fn the_examples_of_the_documentation_can_be_applied() {
    let text = include_str!("../../../../../docs/apply.md");
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let document: Document = toml::from_str(example).unwrap();
        let found = |source: &&SecretSource| ((*source).clone(), Handed::new(format!("found in {source}")));
        let secrets = document.secret_sources().iter().map(found).collect();
        let declared = Declared { document: document.clone(), secrets, prune: false };
        let server = server(false).await;
        let applied = server.apply(&declared).await;
        assert_eq!(applied.stopped, None);
        assert!(applied.done.len() >= 3);
        assert_eq!(server.planned(&declared).await, [""; 0]);
        // As TOML, too, what is exported is what is.
        let exported = server.export().await;
        assert_eq!(toml::from_str::<Document>(&toml::to_string(&exported).unwrap()).unwrap(), exported);
    }
}

#[tokio::test]
async fn a_run_that_stops_says_what_was_done_and_goes_on_when_run_again() {
    let server = server(false).await;
    let plan = super::prepare(&server.app, &declared(&acme())).await.unwrap();
    // Somebody makes the same client meanwhile.
    server.change("resource", "create", API, json!({"name": "API", "scopes": "read write"})).await.unwrap();
    let Reply::Applied(applied) =
        Applying::begin(&server.app, plan, secrets()).await.unwrap().finish(&server.app).await
    else {
        panic!()
    };
    assert_eq!(lines(&applied), ["Update workspace default code_lifetime"]);
    assert_eq!(applied.stopped.as_deref(), Some("resource https://api.example/ has changed meanwhile; run it again"));
    assert_eq!(applied.left.len(), 6);
    assert_eq!(server.apply(&declared(&acme())).await.done.len(), 5);
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_by_field_and_never_by_value() {
    let server = server(false).await;
    server.apply(&declared(&acme())).await;
    server.change("client", "update", "app", json!({"name": "A name", "first_party": true})).await.unwrap();
    let events = Command::Events { follow: false, paging: super::super::Paging::default() };
    let Reply::Events(page) = server.ask(events).await.unwrap() else { panic!() };
    let text = serde_json::to_string(&page).unwrap();
    assert!(text.contains("client.updated") && text.contains("first_party, name"), "{text}");
    assert!(!text.contains("A name") && !text.contains("a-secret-of"), "{text}");
}
