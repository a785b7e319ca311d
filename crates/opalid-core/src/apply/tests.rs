//! Tests of documents and plans.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::client::ClientKind;
use crate::redirect_uri::{RedirectUri, RedirectUris};
use crate::request::GrantType;
use crate::scope::Scopes;
use crate::time::Seconds;
use crate::token_settings::TokenSettings;

fn document(json: &str) -> Document {
    serde_json::from_str(json).unwrap()
}

fn lines(plan: &Plan) -> Vec<String> {
    let line = |change: &PlannedChange| {
        let fields: Vec<&str> = change.differences.iter().map(|difference| &*difference.field).collect();
        format!("{:?} {} {} {}", change.verb, change.kind.name(), change.name, fields.join(","))
    };
    plan.changes.iter().map(line).collect()
}

fn changes(current: &str, desired: &str, prune: bool) -> Vec<String> {
    let options = PlanOptions { prune, root: "root".into(), ..PlanOptions::default() };
    lines(&plan(&document(current), &document(desired), &options).unwrap())
}

fn problems(desired: &str) -> Vec<String> {
    let options = PlanOptions::default();
    let problems = plan(&Document::default(), &document(desired), &options).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

const ACME: &str = r#"{"workspace":[{"name":"acme",
    "resource":[{"uri":"https://api.example/","scopes":"read write"}],
    "client":[{"client_id":"app","kind":"public","grant_types":["authorization_code"],
               "redirect_uris":["https://app.example/cb"],"access":{"https://api.example/":"read"}}],
    "user":[{"username":"Alice","claims":{"email":"a@x.example"}}]}]}"#;

#[test]
fn an_unknown_field_is_refused_at_every_level() {
    for bad in [
        r#"{"workspaces":[]}"#,
        r#"{"workspace":[{"name":"a","lifetime":1}]}"#,
        r#"{"workspace":[{"name":"a","resource":[{"uri":"u:x","scope":"a"}]}]}"#,
        r#"{"workspace":[{"name":"a","client":[{"client_id":"c","redirect_uri":"x"}]}]}"#,
        r#"{"workspace":[{"name":"a","user":[{"username":"u","claims":{"surname":"x"}}]}]}"#,
        r#"{"workspace":[{"name":"a","user":[{"username":"u","enabled":true}]}]}"#,
    ] {
        assert!(serde_json::from_str::<Document>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_bad_redirect_uri_is_refused_when_the_document_is_read() {
    let bad = ACME.replace("https://app.example/cb", "http://app.example/cb");
    let error = serde_json::from_str::<Document>(&bad).unwrap_err().to_string();
    assert!(error.contains("only http://127.0.0.1"), "{error}");
}

#[test]
fn what_does_not_exist_is_made_from_the_top_down() {
    assert_eq!(
        changes("{}", ACME, false).iter().map(|line| line.split(' ').take(3).collect()).collect::<Vec<Vec<_>>>(),
        [
            ["Create", "workspace", "acme"],
            ["Create", "resource", "https://api.example/"],
            ["Create", "client", "app"],
            ["Create", "user", "Alice"]
        ]
    );
}

#[test]
fn a_second_run_has_nothing_to_do() {
    assert_eq!(changes(ACME, ACME, false), [""; 0]);
    assert_eq!(changes(ACME, ACME, true), [""; 0]);
}

#[test]
fn a_change_says_which_fields() {
    let desired = ACME
        .replace(r#""email":"a@x.example""#, r#""name":"Alice A.""#)
        .replace("Alice\"", "alice\"")
        .replace("https://app.example/cb", "https://app.example/callback")
        .replace(r#""name":"acme""#, r#""name":"acme","code_lifetime":30"#);
    assert_eq!(
        changes(ACME, &desired, false),
        [
            "Update workspace acme code_lifetime",
            "Update client app redirect_uris",
            "Update user Alice claims.name,username,claims.email"
        ]
    );
}

#[test]
fn nothing_is_deleted_without_prune_and_then_from_the_bottom_up() {
    let emptied = r#"{"workspace":[{"name":"acme","resource":[],"client":[],"user":[]}]}"#;
    assert_eq!(changes(ACME, emptied, false), [""; 0]);
    assert_eq!(
        changes(ACME, emptied, true),
        ["Delete user Alice ", "Delete client app ", "Delete resource https://api.example/ "]
    );
    assert_eq!(changes(ACME, r#"{"workspace":[]}"#, true), ["Delete workspace acme "]);
}

#[test]
fn a_kind_that_is_not_listed_is_left_alone_even_with_prune() {
    assert_eq!(changes(ACME, r#"{"workspace":[{"name":"acme"}]}"#, true), [""; 0]);
    assert_eq!(changes(ACME, "{}", true), [""; 0]);
}

#[test]
fn the_root_workspace_is_never_deleted() {
    assert_eq!(changes(r#"{"workspace":[{"name":"root"}]}"#, r#"{"workspace":[]}"#, true), [""; 0]);
}

fn secret_after(current: Option<&str>, desired: &str, same: bool) -> NewSecret {
    let entry = |fields: &str| format!(r#"{{"workspace":[{{"name":"w","client":[{{"client_id":"c",{fields}}}]}}]}}"#);
    let current = current.map_or_else(Document::default, |fields| document(&entry(fields)));
    let same_secrets: BTreeSet<_> = same.then(|| ("w".to_owned(), "c".to_owned())).into_iter().collect();
    let options = PlanOptions { same_secrets, ..PlanOptions::default() };
    let plan = plan(&current, &document(&entry(desired)), &options).unwrap();
    let of_client = plan.changes.into_iter().find_map(|change| match change.target {
        Target::Client(_, secret) => Some(secret),
        _ => None,
    });
    of_client.unwrap_or(NewSecret::Keep)
}

#[test]
fn a_confidential_client_always_has_a_secret_and_a_public_one_never() {
    let confidential = r#""kind":"confidential""#;
    let public = r#""kind":"public""#;
    let given = r#""secret":{"env":"S"}"#;
    let from_env = NewSecret::Given(SecretSource::Env("S".into()));
    assert_eq!(secret_after(None, confidential, false), NewSecret::Draw);
    assert_eq!(secret_after(None, public, false), NewSecret::Keep);
    assert_eq!(secret_after(None, given, false), from_env);
    assert_eq!(secret_after(Some(confidential), confidential, false), NewSecret::Keep);
    assert_eq!(secret_after(Some(confidential), given, true), NewSecret::Keep);
    assert_eq!(secret_after(Some(confidential), given, false), from_env);
    assert_eq!(secret_after(Some(public), confidential, false), NewSecret::Draw);
    assert_eq!(secret_after(Some(public), given, true), from_env);
}

#[test]
fn every_problem_is_named_with_its_place() {
    let desired = r#"{"workspace":[
        {"name":"token"},
        {"name":"a","code_lifetime":61,"default_resource":"https://none/",
         "resource":[{"uri":"api","scopes":"openid"},{"uri":"https://r/","scopes":"read"},{"uri":"https://r/","scopes":"read"}],
         "client":[
            {"client_id":"b d","kind":"public","secret":{"env":"X"},"grant_types":["client_credentials"],
             "serves":["https://r/"],"introspect_tokens":true},
            {"client_id":"c","grant_types":["authorization_code"],"access":{"https://r/":"read write","https://q/":""},
             "default_resources":["https://r/","https://z/"],"serves":["https://s/"],"client_uri":"javascript:alert(1)"}],
         "user":[{"username":"Bob"},{"username":"bob"},{"username":" x"},
                 {"username":"J\u00fcrgen"},{"username":"ju\u0308rgen"}]}]}"#;
    let found = problems(desired);
    let expected = [
        "workspace token: this name is a path of the server itself",
        "workspace a: code_lifetime is at most 60",
        "workspace a: resource https://r/ is listed twice",
        "workspace a: user bob is listed twice",
        "workspace a: user ju\u{308}rgen is listed twice",
        "workspace a: default_resources: there is no resource https://none/; declare it in this workspace",
        "workspace a, resource api: the resource is not absolute: expected a scheme such as https:",
        "workspace a, resource api: scope openid belongs to the issuer; a resource cannot have it",
        "workspace a, client b d: a client_id has 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -",
        "workspace a, client b d: a public client has no secret; kind = \"confidential\" can",
        "workspace a, client b d: a public client cannot use client_credentials; kind = \"confidential\" can",
        "workspace a, client b d: a public client cannot serve resources: it could not authenticate to introspect; \
         kind = \"confidential\" can",
        "workspace a, client b d: a public client cannot introspect_tokens; kind = \"confidential\" can",
        "workspace a, client c: access: there is no resource https://q/; declare it in this workspace",
        "workspace a, client c: access: https://r/ has no scope write; it has: read",
        "workspace a, client c: default_resources: the client has no access to https://z/",
        "workspace a, client c: serves: there is no resource https://s/; declare it in this workspace",
        "workspace a, client c: client_uri: expected a URL with https or http",
        "workspace a, client c: grant type authorization_code needs redirect_uris",
        "workspace a, user  x: a username has 1 to 255 bytes, no blanks at its ends, and only characters that can be seen \
         and leave the direction of the text alone",
    ];
    for line in expected {
        assert!(found.iter().any(|found| found == line), "missing: {line}\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_resource_that_is_pruned_cannot_be_accessed() {
    let without = r#"{"workspace":[{"name":"acme","resource":[],
        "client":[{"client_id":"app","access":{"https://api.example/":"read"}}]}]}"#;
    let planned = |prune| {
        let options = PlanOptions { prune, ..PlanOptions::default() };
        plan(&document(ACME), &document(without), &options)
    };
    assert!(planned(false).is_ok());
    assert!(planned(true).is_err());
}

#[test]
fn a_claim_that_would_never_show_for_want_of_its_scope_is_refused() {
    let of = |scope: &str, more: &str| {
        format!(r#"{{"workspace":[{{"name":"acme","claims":{{"tier":{{"value":1,"scope":"{scope}"}}}}{more}}}]}}"#)
    };
    let planned = |current: &str, desired: &str| {
        let options = PlanOptions { prune: true, ..PlanOptions::default() };
        plan(&document(current), &document(desired), &options).map(drop).map_err(|mut all| all.remove(0).to_string())
    };
    let why = "workspace acme: claims.tier: no resource of this workspace has the scope lend, and OpenID Connect has \
               none of this name: the claim would never show";
    assert_eq!(planned(ACME, &of("lend", "")), Err(why.into()));
    assert_eq!(planned("{}", &of("lend", "")), Err(why.into()));
    assert_eq!(planned("{}", &of("lend", r#","resource":[{"uri":"https://b.example/","scopes":"lend"}]"#)), Ok(()));
    for known in ["read", "openid", "profile", "email", "offline_access"] {
        assert_eq!(planned(ACME, &of(known, "")), Ok(()), "{known}");
    }
    assert!(planned(ACME, &of("read", r#","resource":[]"#)).is_err(), "the resource that has it goes");
    // What says nothing of the claims is not refused for them.
    assert_eq!(planned(&of("lend", ""), r#"{"workspace":[{"name":"acme","user":[{"username":"a"}]}]}"#), Ok(()));
}

#[test]
fn an_existing_workspace_may_have_a_name_that_is_reserved_today() {
    let demo = r#"{"workspace":[{"name":"demo"}]}"#;
    assert_eq!(changes(demo, demo, false), [""; 0]);
    assert_eq!(problems(demo), ["workspace demo: this name is a path of the server itself"]);
}

// ---- by search ----

fn resources() -> impl Strategy<Value = Vec<ResourceEntry>> {
    let scopes = prop::sample::select(vec!["", "read", "read write"]);
    prop::collection::btree_map(prop::sample::select(vec!["https://r1/", "https://r2/"]), scopes, 0..3).prop_map(
        |all| {
            let entry = |(uri, scopes): (&str, &str)| ResourceEntry {
                uri: uri.to_owned(),
                settings: ResourceSettings { scopes: Scopes::parse(scopes).unwrap(), ..ResourceSettings::default() },
            };
            all.into_iter().map(entry).collect()
        },
    )
}

fn clients() -> impl Strategy<Value = Vec<ClientEntry>> {
    let settings = (any::<bool>(), any::<bool>(), 0..3_usize).prop_map(|(public, first_party, uris)| ClientSettings {
        kind: if public { ClientKind::Public } else { ClientKind::Confidential },
        first_party,
        grant_types: vec![GrantType::RefreshToken],
        redirect_uris: RedirectUris(
            (0..uris).map(|n| RedirectUri::register(&format!("https://app/{n}")).unwrap()).collect(),
        ),
        ..ClientSettings::default()
    });
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), settings, 0..4).prop_map(|all| {
        let entry = |(id, settings): (&str, _)| ClientEntry {
            client_id: id.to_owned(),
            secret: None,
            settings,
            roles: Vec::new(),
        };
        all.into_iter().map(entry).collect()
    })
}

fn users() -> impl Strategy<Value = Vec<UserEntry>> {
    let facts = (any::<bool>(), prop::option::of("[a-z]{1,3}"));
    prop::collection::btree_map(prop::sample::select(vec!["alice", "bob", "carol"]), facts, 0..4).prop_map(|all| {
        let entry = |(name, (admin, nickname)): (&str, _)| UserEntry {
            username: name.to_owned(),
            password: None,
            admin,
            claims: StandardClaims { nickname, ..StandardClaims::default() },
            roles: Vec::new(),
        };
        all.into_iter().map(entry).collect()
    })
}

fn documents() -> impl Strategy<Value = Document> {
    let inside = (1..60_u32, resources(), clients(), users());
    prop::collection::btree_map(prop::sample::select(vec!["root", "w1", "w2"]), inside, 0..4).prop_map(|all| {
        let entry = |(name, (code_lifetime, resources, clients, users)): (&str, (u32, _, _, _))| WorkspaceEntry {
            name: name.to_owned(),
            settings: Some(WorkspaceSettings {
                tokens: TokenSettings { code_lifetime: Seconds(code_lifetime), ..TokenSettings::default() },
                ..WorkspaceSettings::default()
            }),
            resources: Some(resources),
            roles: None,
            clients: Some(clients),
            users: Some(users),
        };
        Document { workspaces: Some(all.into_iter().map(entry).collect()) }
    })
}

fn put<E: entry::Entry>(list: &mut Option<Vec<E>>, change: &PlannedChange, made: Option<E>) {
    let list = list.get_or_insert_default();
    let at = list.iter().position(|entry| entry.name() == change.name);
    match (change.verb, at, made) {
        (Verb::Create, None, Some(made)) => list.push(made),
        (Verb::Update, Some(at), Some(made)) => list[at] = made,
        (Verb::Delete, Some(at), None) => drop(list.remove(at)),
        (verb, at, _) => panic!("{verb:?} of what stands at {at:?}"),
    }
    list.sort_by(|one, other| one.name().cmp(other.name()));
}

/// Carries a change out on a document, as the store would.
fn carry_out(state: &mut Document, change: &PlannedChange) {
    let name = change.name.clone();
    if change.kind == Kind::Workspace {
        let list = state.workspaces.get_or_insert_default();
        if let (Verb::Update, Target::Workspace(settings)) = (change.verb, &change.target) {
            let found = list.iter_mut().find(|workspace| workspace.name == name).unwrap();
            found.settings = Some((**settings).clone());
            return;
        }
        let made = match &change.target {
            Target::Workspace(settings) => Some(WorkspaceEntry {
                name,
                settings: Some((**settings).clone()),
                resources: Some(Vec::new()),
                clients: Some(Vec::new()),
                users: Some(Vec::new()),
                roles: None,
            }),
            _ => None,
        };
        return put(&mut state.workspaces, change, made);
    }
    let workspace = state.workspaces.iter_mut().flatten().find(|w| w.name == change.workspace).unwrap();
    match (change.kind, change.target.clone()) {
        (Kind::Resource, Target::Resource(settings)) => {
            put(&mut workspace.resources, change, Some(ResourceEntry { uri: name, settings }));
        }
        (Kind::Client, Target::Client(entry, _)) => {
            let made = ClientEntry { client_id: name, secret: None, ..*entry };
            put(&mut workspace.clients, change, Some(made));
        }
        (Kind::User, Target::User(user)) => put(&mut workspace.users, change, Some(*user)),
        (Kind::Resource, Target::Gone) => put(&mut workspace.resources, change, None),
        (Kind::Client, Target::Gone) => put(&mut workspace.clients, change, None),
        (Kind::User, Target::Gone) => put(&mut workspace.users, change, None),
        (kind, target) => panic!("{kind:?} cannot become {target:?}"),
    }
}

proptest! {
    #[test]
    fn carrying_out_a_plan_with_prune_gives_what_is_declared(current in documents(), desired in documents()) {
        let options = PlanOptions { prune: true, ..PlanOptions::default() };
        let mut state = current.clone();
        for change in &plan(&current, &desired, &options).unwrap().changes {
            carry_out(&mut state, change);
        }
        prop_assert_eq!(state, desired);
    }

    #[test]
    fn carrying_out_a_plan_leaves_nothing_to_do_and_loses_nothing(current in documents(), desired in documents()) {
        let options = PlanOptions::default();
        let mut state = current.clone();
        for change in &plan(&current, &desired, &options).unwrap().changes {
            prop_assert!(change.verb != Verb::Delete);
            carry_out(&mut state, change);
        }
        prop_assert_eq!(plan(&state, &desired, &options).unwrap(), Plan::default());
        let names = |document: &Document| -> BTreeSet<String> {
            document.listed().iter().map(|workspace| workspace.name.clone()).collect()
        };
        prop_assert!(names(&state).is_superset(&names(&current)));
    }

    #[test]
    fn what_is_exported_is_read_back_the_same_and_changes_nothing(current in documents()) {
        let read: Document = serde_json::from_str(&serde_json::to_string(&current).unwrap()).unwrap();
        prop_assert_eq!(&read, &current);
        let options = PlanOptions { prune: true, ..PlanOptions::default() };
        prop_assert_eq!(plan(&current, &read, &options).unwrap(), Plan::default());
    }
}

#[test]
fn a_workspace_that_is_only_named_keeps_its_settings_and_one_that_says_any_says_all() {
    let strict =
        r#"{"workspace":[{"name":"acme","display_name":"Acme","require_pkce":true,"access_token_lifetime":600}]}"#;
    let only_named = r#"{"workspace":[{"name":"acme","client":[{"client_id":"job"}]}]}"#;
    assert_eq!(changes(strict, only_named, true), ["Create client job grant_types,kind"]);
    assert_eq!(changes(strict, strict, true), Vec::<String>::new());
    let one = r#"{"workspace":[{"name":"acme","require_pkce":false}]}"#;
    assert_eq!(changes(strict, one, false), ["Update workspace acme access_token_lifetime,require_pkce,display_name"]);
    assert_eq!(changes("{}", r#"{"workspace":[{"name":"new"}]}"#, false).len(), 1, "a new one has the defaults");
    let written = serde_json::to_string(&document(only_named)).unwrap();
    assert!(!written.contains("require_pkce"), "{written}");
}
