//! Tests of how documents are read and changes are shown.

use opalid_core::apply::{PlanOptions, plan as make_plan};
use serde_json::Value;

use super::*;
use crate::manage::apply::Done;

fn planned(current: &str, desired: &str) -> Vec<PlannedChange> {
    let options = PlanOptions { prune: true, ..PlanOptions::default() };
    make_plan(&parse(current).unwrap(), &parse(desired).unwrap(), &options).unwrap().changes
}

const BEFORE: &str = r#"
[[workspace]]
name = "w"
[[workspace.client]]
client_id = "app"
kind = "public"
redirect_uris = ["https://a.example/", "https://b.example/"]
[[workspace.user]]
username = "ada"
"#;

const AFTER: &str = r#"
[[workspace]]
name = "w"
code_lifetime = 30
[[workspace.client]]
client_id = "app"
kind = "public"
name = "App"
redirect_uris = ["https://b.example/", "https://c.example/"]
first_party = true
[[workspace.client]]
client_id = "job"
[[workspace]]
name = "new"
"#;

#[test]
fn changes_are_shown_field_by_field() {
    let text = plan(&planned(BEFORE, &AFTER.replace("[[workspace]]\nname = \"new\"", "")));
    assert_eq!(
        text,
        r#"~ workspace w
    code_lifetime: 60 → 30
~ client app in w
    first_party: (default) → true
    name: (default) → "App"
    redirect_uris: - "https://a.example/", + "https://c.example/"
+ client job in w
    grant_types: []
    kind: "confidential"
    secret: drawn, and shown once
"#
    );
    assert_eq!(plan(&[]), "Nothing to change.\n");
    let gone = planned(BEFORE, "[[workspace]]\nname = \"w\"\nuser = []");
    assert_eq!(plan(&gone), "- user ada in w, with everything that hangs from it\n");
}

const KEYS: &str = r#"
[[workspace]]
name = "w"
[workspace.claims.department]
from = "attribute.department"
show = ["id_token"]
[workspace.claims.mail]
from = "user.email"
scope = "email"
[workspace.claims.tier]
value = 1
[[workspace.client]]
client_id = "app"
access = { "urn:a:b" = "read", "urn:c:d" = "read" }
[[workspace.client.jwks.keys]]
kty = "EC"
kid = "stays"
crv = "P-256"
x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
[[workspace.client.jwks.keys]]
kty = "OKP"
crv = "X25519"
x = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"
[[workspace.resource]]
uri = "urn:a:b"
scopes = "read write"
[[workspace.resource]]
uri = "urn:c:d"
scopes = "read write"
"#;

#[test]
fn of_keys_claims_and_access_only_what_changes_is_shown() {
    let after = KEYS
        .replace("show = [\"id_token\"]", "show = [\"id_token\", \"userinfo\"]")
        .replace("scope = \"email\"\n", "")
        .replace("[workspace.claims.tier]\nvalue = 1", "[workspace.claims.grade]\nvalue = 1")
        .replace("kid = \"stays\"", "kid = \"stays\"\nuse = \"enc\"")
        .replace("3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08", "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo")
        .replace("\"urn:c:d\" = \"read\"", "\"urn:c:d\" = \"read write\"");
    let text = plan(&planned(KEYS, &after));
    assert_eq!(
        text,
        r#"~ workspace w
    claims.tier: - {"value":1}
    claims.department.show: + "userinfo"
    claims.grade: + {"value":1}
    claims.mail.scope: - "email"
~ client app in w
    access.urn:c:d: "read" → "read write"
    jwks.keys: - {"crv":"X25519","kty":"OKP","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}, + {"crv":"X25519","kty":"OKP","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}
    jwks.keys.stays.use: + "enc"
"#
    );
}

fn with_secret(change: PlannedChange) -> Done {
    Done { change, secret: Some(Handed::new("ocs_x".into())) }
}

#[test]
fn a_drawn_secret_is_shown_with_its_client_and_what_is_left_is_told() {
    let mut changes = planned("", AFTER);
    let stopped = changes.split_off(2);
    let client = changes.pop().unwrap();
    assert_eq!(client.name, "app");
    let end = Applied {
        done: vec![with_secret(client)],
        stopped: Some("the store is away".into()),
        left: stopped,
        in_doubt: false,
    };
    let text = applied(&end);
    assert!(text.contains("The secret of client app, shown this once: ocs_x\n"), "{text}");
    assert!(text.contains("This change was not made: the store is away\n+ client job in w\n"), "{text}");
    assert!(text.ends_with("Nor the 1 after it.\n"), "{text}");
    let text = applied(&Applied { in_doubt: true, ..end });
    assert!(
        text.contains("Whether this change was made is not known: the store is away\n+ client job in w\n"),
        "{text}"
    );
}

/// What is written of two changes of which the second is not known to be made.
fn broken_off(format: Format, left: bool) -> String {
    let changes = planned("", AFTER);
    let [_, app, job, _] = changes.as_slice() else { panic!("{changes:?}") };
    let mut said = Making::new(format);
    let mut text = said.begins(&Done { change: app.clone(), secret: None }).unwrap();
    text += &said.made();
    text += &said.begins(&with_secret(job.clone())).unwrap();
    let left = if left { changes[2..].to_vec() } else { Vec::new() };
    text += &said.end(&Applied { stopped: Some("why".into()), left, ..Applied::default() }).unwrap();
    assert_eq!(said.to_string(), "1 change was made");
    text
}

#[test]
fn a_secret_that_was_shown_for_nothing_is_taken_back() {
    let text = broken_off(Format::Table, true);
    let end = "shown this once: ocs_x\n\nThis change was not made: why\nThe secret above counts for nothing, unless \
               the change was made after all.\nNor the 1 after it.\n";
    assert!(text.ends_with(end), "{text}");
    let text = broken_off(Format::Table, false);
    assert!(text.contains("\n\nWhether this change was made is not known: why\nThe secret above counts"), "{text}");
}

#[test]
fn json_that_is_written_piece_by_piece_is_one_document_however_it_ends() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let broken = json(&broken_off(Format::Json, true));
    assert_eq!((&broken["done"][0]["change"]["name"], &broken["done"][0]["made"]), (&"app".into(), &Value::Null));
    assert_eq!((&broken["done"][1]["secret"], &broken["done"][1]["made"]), (&"ocs_x".into(), &false.into()));
    assert_eq!((&broken["stopped"], broken["left"].as_array().unwrap().len()), (&"why".into(), 2));
    assert_eq!(json(&broken_off(Format::Json, false))["stopped"], "why");
    let nothing = Making::new(Format::Json).end(&Applied::default()).unwrap();
    assert_eq!(nothing, "{\"done\":[]}\n");
    let mut all = Making::new(Format::Json);
    let change = planned("", AFTER).remove(0);
    let text =
        all.begins(&Done { change, secret: None }).unwrap() + &all.made() + &all.end(&Applied::default()).unwrap();
    assert_eq!(json(&text)["done"].as_array().unwrap().len(), 1);
}

#[test]
fn a_mistake_is_shown_with_its_line() {
    let error = parse("[[workspace]]\nname = \"w\"\ncode_lifetme = 3\n").unwrap_err().to_string();
    assert!(error.contains("code_lifetme") && error.contains("line"), "{error}");
    let error = parse("[[workspace]]\nname = \"w\"\n[[workspace.client]]\nclient_id = \"c\"\nsecret = \"hunter2\"\n");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("line 5") && error.contains("a secret does not stand in the document"), "{error}");
    let place = r#"say where it is found: { env = "NAME" } or { file = "PATH" }"#;
    assert!(error.ends_with(&format!("{place}; or leave it out, and one is drawn")), "{error}");
    assert!(parse(r#"{"workspace":[{"name":"w"}]}"#).is_ok());
    let error = parse("[[workspace]]\nname = \"w\"\n[[workspace.user]]\nusername = \"u\"\npassword = \"abc\"\n");
    let error = error.unwrap_err().to_string();
    assert!(error.ends_with(place) && !error.contains("drawn"), "{error}");
    let client = "[[workspace]]\nname = \"w\"\n[[workspace.client]]\nclient_id = \"c\"\n";
    let both = parse(&format!("{client}secret = {{ file = \"p\", env = \"X\" }}\n")).unwrap_err().to_string();
    assert!(both.contains("line 5") && both.contains("not both"), "{both}");
}

#[test]
fn what_a_server_refuses_is_shown_with_its_line() {
    let text = r#"
[[workspace]]
name = "w"
[workspace.claims."https://example.com/tier"]
value = 1
scope = "lend"
[[workspace.client]]
client_id = "app"
[[workspace.client]]
client_id = "app2"
access = { "urn:a:b" = "" }
[[workspace.user]]
username = "ada"
"#;
    let said = "nothing was changed:\n  workspace w: claims.https://example.com/tier: no\n  workspace w: name: is one\n  \
                workspace w, client app2: access: none\n  workspace w, client app2: a public client\n  \
                workspace w, user ada: roles: none\n  workspace v: code_lifetime: long\n  the document: twice";
    let expected = "nothing was changed:\n  line 3: workspace w: name: is one\n  line 4: workspace w: \
                    claims.https://example.com/tier: no\n  line 9: workspace w, client app2: a public client\n  line 11: \
                    workspace w, client app2: access: none\n  line 12: workspace w, user ada: roles: none\n  workspace v: \
                    code_lifetime: long\n  the document: twice";
    assert_eq!(place::with_lines(said, text), expected);
    assert_eq!(place::with_lines(said, r#"{"workspace":[{"name":"w"}]}"#), said);
}

#[test]
fn a_mistake_shows_nothing_of_what_stands_there() {
    let of = |entry: &str| format!("[[workspace]]\nname = \"w\"\n[[workspace.user]]\nusername = \"u\"\n{entry}\n");
    for wrong in [
        of("password = \"hunter2\""),
        of("password = { vlaue = \"hunter2\" }"),
        of("password = [\"hunter2\""),
        of("nickname = \"hunter2\""),
        "hunter2".to_owned(),
        "[[workspace]]\nname = hunter2\n".to_owned(),
        "[[workspace]]\nname = \"w\"\nenabled = \"hunter2 \\\"x\\\" hunter2\"\n".to_owned(),
        r#"{"workspace":[{"name":"w","user":[{"username":"u","password":"hunter2"}]}]}"#.to_owned(),
        r#"{"workspace":"hunter2"}"#.to_owned(),
    ] {
        let error = format!("{:#}", parse(&wrong).unwrap_err());
        assert!(!error.contains("hunter2") && (error.contains("line") || error.starts_with("workspace")), "{error}");
    }
}

#[test]
fn secrets_are_found_where_the_document_says() {
    let document = parse(
        "[[workspace]]\nname = \"w\"\n[[workspace.client]]\nclient_id = \"a\"\nsecret = { env = \"A\" }\n\
         [[workspace.client]]\nclient_id = \"b\"\nsecret = { env = \"B\" }\n\
         [[workspace.user]]\nusername = \"u\"\npassword = { file = \"/nowhere/at/all\" }\n",
    );
    let environment = [("A".to_owned(), "of a".to_owned()), ("C".to_owned(), "of c".to_owned())].into();
    let found = find_secrets(&document.unwrap(), &environment).unwrap();
    let found: Vec<_> = found.iter().map(|(source, secret)| (source.clone(), secret.expose())).collect();
    assert_eq!(found, [(SecretSource::Env("A".into()), "of a")]);
    let path = std::env::temp_dir().join(format!("opalid-secret-{}", std::process::id()));
    fs::write(&path, "of a file\r\n").unwrap();
    assert_eq!(secret_file(&path).unwrap().as_deref(), Some("of a file"));
    fs::remove_file(&path).unwrap();
}

#[test]
fn what_cannot_be_is_said_in_words_and_roles_are_named_too() {
    let values = r#"
[[workspace]]
name = "w"
[workspace.claims.born]
value = { on = [1979-05-27] }
[[workspace.user]]
username = "ada"
[workspace.user.claims.attributes]
level = 1.5
[[workspace.role]]
name = "reader"
permission = 1
[[workspace]]
name = "v"
access_token_lifetime = 99999999999
[[workspace]]
name = "u"
[workspace.claims]
x = "roles"
"#;
    let told = parse(values).unwrap_err().to_string();
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            r#"line 5: workspace "w": claims.born.value.on: a value is JSON, which has no dates and times: put it in quotes"#,
            r#"line 9: workspace "w", user "ada": claims.attributes.level: a text, a whole number, yes or no, or a list of texts"#,
            r#"line 12: workspace "w", role "reader": permission: unknown field `permission`; the nearest is `permissions`"#,
            r#"line 15: workspace "v": access_token_lifetime: invalid value: integer `99999999999`, expected a whole number of seconds below 4294967296"#,
            r#"line 19: workspace "u": claims.x: invalid type: string, expected a claim: a table with from or value, and with show and scope"#,
        ]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_named_by_its_entry_and_field() {
    let document = r#"
[[workspace]]
name = "w"
access_token_lifetime = -1
[[workspace.client]]
client_id = "good"
[[workspace.client]]
client_id = "app"
kind = "public"
first_party = "yes"
redirect_uris = ["https://b.example/"]
[[workspace.user]]
username = "ada"
nickname = "A"
"#;
    let told = parse(document).unwrap_err().to_string();
    let lines: Vec<_> = told.lines().collect();
    assert!(
        lines[0].starts_with(r#"line 4: workspace "w": access_token_lifetime: invalid value: integer `-1`"#),
        "{told}"
    );
    assert!(
        lines[1].starts_with(
            r#"line 10: workspace "w", client "app": first_party: invalid type: string, expected a boolean"#
        ),
        "{told}"
    );
    assert!(lines[2].starts_with(r#"line 14: workspace "w", user "ada": nickname: unknown field"#), "{told}");
    assert_eq!(lines.len(), 3, "{told}");
    let claims = r#"
[[workspace]]
name = "w"
[workspace.claims.department]
from = "attribute.department"
[workspace.claims.iss]
value = "x"
[[workspace]]
name = "v"
[workspace.claims.good]
value = 1
[workspace.claims.level]
from = "attribute of the person"
"#;
    let told = parse(claims).unwrap_err().to_string();
    assert!(told.contains(r#"line 6: workspace "w": claims.iss: iss has a meaning of its own"#), "{told}");
    assert!(told.contains(r#"line 13: workspace "v": claims.level.from: from is user.username"#), "{told}");
    let json = parse(r#"{"workspace":[{"name":"w","client":[{"client_id":5}]}]}"#).unwrap_err().to_string();
    assert!(json.starts_with(r#"workspace "w", client 5: "#), "{json}");
    let syntax = parse("[[workspace]]\nname = ").unwrap_err().to_string();
    assert!(syntax.contains("line 2"), "{syntax}");
    let beside = parse("[[workspaces]]\nname = 'w'\n").unwrap_err().to_string();
    assert!(beside.contains("line 1") && beside.contains("unknown field `workspaces`"), "{beside}");
}

#[test]
fn each_of_several_mistakes_of_an_entry_is_named_with_its_own_line_in_their_order() {
    let document = r#"
[[workspace]]
name = "w"
bogus = 1
[workspace.claims.iss]
value = "x"
[workspace.claims.level]
from = "attribute of the person"
colour = 1
[workspace.claims.good]
from = "roles"
show = ["id_token"]
shown = true
[[workspace.client]]
grant_types = "authorization_code"
client_id = "app"
first_party = "yes"
bogus = 1
secret = "hunter2"
[[workspace.client]]
name = "nobody"
kind = 1
[[workspace.user]]
username = 5
nickname = "A"
"#;
    let told = parse(document).unwrap_err().to_string();
    let lines: Vec<_> = told.lines().map(|line| line.splitn(4, ": ").take(3).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(
        lines,
        [
            r#"line 4: workspace "w": bogus"#,
            r#"line 5: workspace "w": claims.iss"#,
            r#"line 8: workspace "w": claims.level.from"#,
            r#"line 9: workspace "w": claims.level.colour"#,
            r#"line 13: workspace "w": claims.good.shown"#,
            r#"line 15: workspace "w", client "app": grant_types"#,
            r#"line 17: workspace "w", client "app": first_party"#,
            r#"line 18: workspace "w", client "app": bogus"#,
            r#"line 19: workspace "w", client "app": secret"#,
            r#"line 20: workspace "w", client without a name: missing field `client_id`"#,
            r#"line 22: workspace "w", client without a name: kind"#,
            r#"line 24: workspace "w", user 5: username"#,
            r#"line 25: workspace "w", user 5: nickname"#,
        ],
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_problem_of_json_is_told_once() {
    for (document, told) in [
        (
            r#"{"workspace":[{"name":"w","client":[{"client_id":"c","grant_types":"authorization_code"}]}]}"#,
            r#"workspace "w", client "c": grant_types: invalid type: string, expected a sequence: a list, such as grant_types = ["authorization_code"]"#,
        ),
        (
            r#"{"workspace":[{"name":"w","client":{}}]}"#,
            r#"workspace "w": client: invalid type: map, expected a sequence: a list, in TOML [[workspace.client]]"#,
        ),
        (r#"{"workspaces":[]}"#, "workspaces: unknown field `workspaces`, expected `workspace`"),
        (r#"{"workspace":[{"name":"w","name":"w"}]}"#, "a member is named twice in one object at line 1 column 32"),
    ] {
        assert_eq!(parse(document).unwrap_err().to_string(), told);
    }
}

#[test]
fn a_client_that_gets_nothing_of_its_access_unasked_is_pointed_out_and_made_all_the_same() {
    let document = |workspace: &str, client: &str| {
        format!(
            "[[workspace]]\nname = \"w\"\n{workspace}\n[[workspace.resource]]\nuri = \"urn:a:b\"\nscopes = \"read\"\n\
             [[workspace.client]]\nclient_id = \"app\"\ngrant_types = [\"client_credentials\"]\n{client}\n"
        )
    };
    let (access, default) = ("access = { \"urn:a:b\" = \"read\" }", "default_resources = [\"urn:a:b\"]");
    let but = "    but: neither this client nor its workspace has default_resources: a request that names no resource \
               gets nothing of its access\n";
    let told = |current: &str, desired: &str| plan(&planned(current, desired)).contains(but);
    assert!(told("", &document("", access)));
    assert!(told(&document("", &format!("{access}\n{default}")), &document("", access)));
    assert!(!told("", &document("", &format!("{access}\n{default}"))));
    assert!(!told("", &document(default, access)));
    assert!(!told("", &document("", "")));
    assert!(!told("", &document("", access).replace("[\"client_credentials\"]", "[]")));
    assert!(!told(&document("", access), &document("", access)), "nothing is told again of what does not change");
}

#[test]
fn an_export_says_no_empty_names() {
    let document = parse("[[workspace]]\nname = \"w\"\n[[workspace.client]]\nclient_id = \"app\"\n").unwrap();
    let text = super::document(&document);
    assert!(text.contains("client_id = \"app\"") && !text.contains("name = \"\""), "{text}");
}
