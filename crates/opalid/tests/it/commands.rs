//! Commands against a running server, as typed: what the documents promise of them is seen over HTTP.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::faults::daemon::{Daemon, Line};
use crate::manage::opalid;
use crate::support::DEMO_API;
use crate::support::folder::Folder;

/// What a command says that has to succeed.
#[track_caller]
fn done(data: &Path, words: &str) -> String {
    let (done, said) = opalid(data, words, "");
    assert!(done, "{words}: {said}");
    said
}

/// Whether the demo's API gets a token with this secret.
fn is_good(data: &Path, secret: &str) -> bool {
    opalid(data, "token --client demo-api --scope read", secret).0
}

fn rotated(data: &Path, overlap: &str) -> String {
    let said = done(data, &format!("client rotate-secret demo-api{overlap}"));
    said.split_whitespace().find(|word| word.starts_with("ocs_")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn a_secret_that_is_rotated_stays_good_for_a_while_unless_the_overlap_is_none() {
    let data = Folder::new();
    let _daemon = Daemon::start(data.path(), &[]);
    let data = data.path();
    let second = rotated(data, "");
    assert!(is_good(data, DEMO_API.1) && is_good(data, &second));
    let third = rotated(data, " --overlap 3600");
    assert!(is_good(data, &second) && is_good(data, &third));
    let last = rotated(data, " --overlap 0");
    assert!(is_good(data, &last));
    for old in [DEMO_API.1, &second, &third] {
        assert!(!is_good(data, old), "an old secret is good beside --overlap 0");
    }
    let (made, said) = opalid(data, "client rotate-secret nobody", "");
    assert!(!made && said.contains("has no client nobody"), "{said}");
}

/// An access token of alice, who signs in.
fn token_of_alice(line: Line) -> String {
    let code = line.code(&mut Vec::new()).unwrap();
    line.redeem(&code).unwrap().field("access_token")
}

#[test]
fn a_user_who_is_renamed_is_the_same_person_and_one_who_is_deleted_takes_everything_along() {
    let data = Folder::new();
    let daemon = Daemon::start(data.path(), &[]);
    let (data, line) = (data.path(), daemon.line());
    let id = |name: &str| {
        let shown = done(data, &format!("user show {name} -o json"));
        serde_json::from_str::<serde_json::Value>(&shown).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (token, before) = (token_of_alice(line), id("alice"));
    done(data, "user update alice --rename alicia");
    assert_eq!(id("alicia"), before);
    assert!(!opalid(data, "user show alice", "").0);
    assert!(line.is_active(&token), "sessions and tokens live on");
    assert!(!opalid(data, "user update alicia --rename Bob", "").0, "the name is another's");
    done(data, "user update alicia --rename alice");
    assert!(line.is_active(&token_of_alice(line)));

    done(data, "user delete alice");
    assert!(!opalid(data, "user show alice", "").0 && !line.is_active(&token));
    done(data, "user create alice");
    assert!(!line.is_active(&token) && id("alice") != before);
}

#[test]
fn a_user_is_made_with_roles_claims_and_attributes_or_not_at_all() {
    let data = Folder::new();
    let _daemon = Daemon::start(data.path(), &[]);
    let data = data.path();
    done(data, "role create accountant --permit https://api.demo.example/=read");
    let known = r#"--role accountant --claim email=carol@mail.example --set claims.attributes={"department":"sales"}"#;
    let said = done(data, &format!("user create carol --invite {known}"));
    assert!(said.contains("/set-password?token="), "{said}");
    let shown: serde_json::Value = serde_json::from_str(&done(data, "user show carol -o json")).unwrap();
    assert_eq!((&shown["roles"], &shown["admin"]), (&serde_json::json!(["accountant"]), &false.into()));
    let claims = serde_json::json!({"attributes": {"department": "sales"}, "email": "carol@mail.example"});
    assert_eq!(shown["claims"], claims);
    done(data, "user create dora --admin --role accountant");
    let shown: serde_json::Value = serde_json::from_str(&done(data, "user show dora -o json")).unwrap();
    assert_eq!((&shown["roles"], &shown["admin"]), (&serde_json::json!(["accountant"]), &true.into()));
    for (words, why) in [
        ("--role nobody", "roles: there is no role nobody; declare it in this workspace"),
        ("--set claims.attributes={\"a\":1.5}", "claims.attributes: a: a text, a whole number, yes or no"),
        ("--set nonsense=1", "unknown field `nonsense`"),
        ("--set username=else", "username cannot be set this way"),
        ("--claim nickname", "expected --claim CLAIM=VALUE"),
    ] {
        let (made, said) = opalid(data, &format!("user create emil {words}"), "");
        assert!(!made && said.contains(why), "{words}: {said}");
        assert!(!opalid(data, "user show emil", "").0, "{words}");
    }
}

#[test]
fn a_claim_with_a_scope_that_nobody_has_is_refused_with_its_line() {
    let data = Folder::new();
    let _daemon = Daemon::start(data.path(), &[]);
    let document = |scope: &str| {
        format!("[[workspace]]\nname = \"demo\"\n\n[workspace.claims.tier]\nvalue = 1\nscope = \"{scope}\"\n")
    };
    for command in ["diff -f -", "apply -f -"] {
        let (made, said) = opalid(data.path(), command, &document("lend"));
        let why = "  line 4: workspace demo: claims.tier: no resource of this workspace has the scope lend";
        assert!(!made && said.contains(why), "{said}");
    }
    let (made, said) =
        opalid(data.path(), "workspace update demo --set claims.tier={\"value\":1,\"scope\":\"lend\"}", "");
    assert!(!made && said.contains("claims.tier: no resource of this workspace has the scope lend"), "{said}");
    let (made, said) = opalid(data.path(), "apply -f -", &document("read"));
    assert!(made, "{said}");
    // It stays as it is where the scope goes, and keeps nobody from changing anything else.
    let data = data.path();
    done(data, "resource update https://api.demo.example/ --scopes write");
    done(data, "user update alice --claim nickname=Al");
    let (changed, said) = opalid(data, "workspace update demo --set code_lifetime=30", "");
    assert!(!changed && said.contains("claims.tier"), "{said}");
    done(data, "workspace update demo --set code_lifetime=30 --unset claims.tier");
}

#[test]
fn a_resource_a_client_or_a_workspace_that_is_deleted_takes_its_tokens_along() {
    let data = Folder::new();
    let daemon = Daemon::start(data.path(), &[]);
    let (data, line) = (data.path(), daemon.line());
    let there = |words: &str| opalid(data, words, "").0;
    let discovery = || line.ask("GET", "/acme/.well-known/openid-configuration", "", "").unwrap().status;
    done(data, "workspace create acme");
    assert!(there("workspace show acme") && discovery() == 200);
    let (deleted, said) = opalid(data, "workspace delete acme", "");
    let goes = "by this, at once and for good: workspace acme goes with its keys and everything in it (0 sessions, 0 refresh \
                tokens, and every access token, which nobody counts). If that is meant: --yes";
    assert!(!deleted && said.contains(goes) && there("workspace show acme"), "{said}");
    done(data, "workspace delete acme --yes");
    assert!(!there("workspace show acme") && discovery() == 404);

    done(data, "resource create https://other.example/ --scopes read");
    done(data, "client create job --grant-type client_credentials --access https://other.example/=read");
    assert!(there("resource show https://other.example/") && there("client show job"));
    done(data, "client delete job");
    assert!(!there("client show job"));
    done(data, "resource delete https://other.example/");
    assert!(!there("resource show https://other.example/"));

    let (of_alice, own) = (token_of_alice(line), line.mint().unwrap().field("access_token"));
    assert!(line.is_active(&of_alice) && line.is_active(&own));
    done(data, "client delete demo-app");
    assert!(!line.is_active(&of_alice) && line.is_active(&own), "its client is gone, the other's is not");
    done(data, "resource delete https://api.demo.example/");
    assert!(!line.is_active(&own), "no token opens what is gone");
}

/// With what status `opalid diff` ends.
fn diff(data: &Path, document: &str) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
    command.args(["diff", "-f", "-", "--data"]).arg(data).env_clear().stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(document.as_bytes()));
    child.wait().unwrap().code()
}

#[test]
fn diff_ends_with_0_if_nothing_would_change_1_if_something_would_and_2_if_that_cannot_be_said() {
    let data = Folder::new();
    let daemon = Daemon::start(data.path(), &[]);
    let document = done(data.path(), "export");
    let other = document.replace("Opalid demo", "Another name");
    assert_ne!(other, document);
    assert_eq!(diff(data.path(), &document), Some(0));
    for _ in 0..2 {
        assert_eq!(diff(data.path(), &other), Some(1), "it changes nothing itself");
    }
    for bad in ["[[workspace", "[[workspace]]\nname = \"demo\"\nno_such_setting = 1\n"] {
        assert_eq!(diff(data.path(), bad), Some(2), "{bad}");
    }
    assert!(daemon.stop().success());
    assert_eq!(diff(data.path(), &document), Some(2), "nobody is there to say it");
}

#[test]
fn inspect_names_commands_that_cut_as_they_are_typed_for_this_server_and_workspace() {
    let data = Folder::new();
    let _daemon = Daemon::start(data.path(), &[]);
    let data = data.path();
    done(data, "workspace create acme");
    done(data, "-w acme resource create https://a.example/ --scopes read");
    let access = "--access https://a.example/=read --default-resource https://a.example/";
    let made = done(data, &format!("-w acme client create job --grant-type client_credentials {access}"));
    let secret = made.split_whitespace().find(|word| word.starts_with("ocs_")).unwrap();
    let (_, token) = opalid(data, "-w acme token --client job --scope read", secret);
    let (inspected, said) = opalid(data, "-w acme inspect -", &token);
    assert!(inspected && said.starts_with("This access token is alive.\n"), "{said}");
    let begins = format!("opalid --data {} revoke ", data.display());
    for cut in ["token - -w acme", "client job -w acme"] {
        assert!(said.contains(&format!("{begins}{cut}\n")), "{cut}: {said}");
    }
    let grant = said.lines().find_map(|line| line.split_once("revoke grant ")).unwrap().1;
    done(data, &format!("revoke grant {grant}"));
    assert!(opalid(data, "-w acme inspect -", &token).1.starts_with("This access token is dead: "));
    assert!(opalid(data, "inspect -", &token).1.contains("of another workspace"), "it is none of the root's");
}

#[test]
fn inspect_makes_a_test_jwt_without_a_server_and_explains_it_with_one() {
    let data = Folder::new();
    let (made, said) = opalid(data.path(), r#"inspect --make --alg EdDSA --claims {"scope":"admin"} -o json"#, "");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert!(made && json["jwks"]["keys"][0]["crv"] == "Ed25519" && json["jwks"]["keys"][0]["d"].is_null(), "{said}");
    let (made, said) = opalid(data.path(), "inspect --make", "");
    assert!(made && said.starts_with("For tests: ") && said.contains("The JWK Set that verifies it:\n{"), "{said}");
    for (words, why) in [
        ("inspect --make --alg none", "unknown signature algorithm"),
        ("inspect --make --claims []", "claims are one JSON object"),
        ("inspect --make x", "cannot be used with"),
        ("inspect x --claims {}", "cannot be used with"),
    ] {
        let (made, said) = opalid(data.path(), words, "");
        assert!(!made && said.contains(why), "{words}: {said}");
    }
    let _daemon = Daemon::start(data.path(), &[]);
    let (_, said) = opalid(data.path(), "inspect -", json["token"].as_str().unwrap());
    for words in [
        "This access token is not ours: it is not signed by a key of workspace demo.\n",
        "https://test.invalid",
        "RFC 7519 §4.1.1",
        "from then on nobody may take it",
        "admin",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn inspect_says_of_a_jwt_no_more_than_can_be_known_and_where_it_may_be_at_home() {
    let data = Folder::new();
    let _daemon = Daemon::start(data.path(), &[]);
    let data = data.path();
    let shown = done(data, "workspace create acme") + &done(data, "workspace show acme");
    let issuer = shown.lines().find_map(|line| line.strip_prefix("issuer")).unwrap().trim();
    let jwe = format!("{}.a2V5.aXY.dGV4dA.dGFn", part(serde_json::json!({"alg": "RSA-OAEP-256", "enc": "A256GCM"})));
    let (_, said) = opalid(data, "inspect -", &jwe);
    let verdict = "cannot be said: it is encrypted, so that its reader alone sees who signed it.\n";
    let first = said.split_inclusive('\n').next().unwrap();
    assert!(first.starts_with("Whose this ") && first.ends_with(verdict), "{said}");
    let jwt = |issuer: &str| {
        let (made, said) = opalid(data, &format!("inspect --make -o json --claims {{\"iss\":\"{issuer}\"}}"), "");
        let made: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{made}: {said}"));
        made["token"].as_str().unwrap().to_owned()
    };
    let of_acme = jwt(issuer);
    let (_, said) = opalid(data, "inspect -", &of_acme);
    let verdict = "This access token is not of this workspace: its iss is that of workspace acme (try -w acme), and it is \
                   not signed by a key of workspace demo.\n";
    assert!(said.starts_with(verdict), "{said}");
    let (_, said) = opalid(data, "-w acme inspect -", &of_acme);
    assert!(
        said.starts_with("This access token is not ours: it is not signed by a key of workspace acme.\n"),
        "{said}"
    );
    let root = issuer.strip_suffix("/acme").unwrap();
    let (_, said) = opalid(data, "-w acme inspect -", &jwt(root));
    assert!(said.contains("its iss is that of workspace demo (try -w demo), and it"), "{said}");
    for nobodys in [format!("{root}/nobody"), format!("{root}/demo"), format!("{root}acme")] {
        let (_, said) = opalid(data, "inspect -", &jwt(&nobodys));
        assert!(said.contains("is not ours: it is not signed"), "{nobodys}: {said}");
    }
}

fn part(part: serde_json::Value) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part.to_string())
}

#[test]
fn what_is_hidden_in_a_text_is_escaped_for_programs_and_means_the_same() {
    let data = Folder::new();
    let _daemon = Daemon::start(data.path(), &[]);
    let text = "a\u{202e}b\u{9b}2J\u{3164}\u{fe0f}";
    let (made, said) = opalid(data.path(), &format!("user create eve --set claims.name={text}"), "");
    assert!(made, "{said}");
    let (_, said) = opalid(data.path(), "user show eve -o json", "");
    assert!(said.contains(r#""a\u202eb\u009b2J\u3164\ufe0f""#), "{said}");
    assert!(!said.contains(|c: char| c != '\n' && opalid_core::visible::is_hidden(c)), "{said:?}");
    let read: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(read.to_string().contains(text), "{read}");
}

/// A JWT of somebody who would have the inspector say what they like.
pub fn lying_jwt() -> String {
    let typ = "access token is alive. \u{202e}\u{2028}\u{9b}2J This is ours: ";
    let header = serde_json::json!({ "alg": format!("x\". {typ}"), "typ": typ });
    let claims = serde_json::json!({ "This access token is alive.\n": "\u{2066}yes", "exp": 1 });
    format!("{}.{}.c2ln", part(header), part(claims))
}

#[test]
fn what_a_foreign_jwt_says_of_itself_begins_no_sentence_of_the_inspector_and_hides_nothing() {
    let data = Folder::new();
    let _daemon = Daemon::start(data.path(), &[]);
    let (_, said) = opalid(data.path(), "inspect -", &lying_jwt());
    let verdict = "This JWT of a type of its own is not ours: it is not signed by a key of workspace demo.\n";
    assert!(said.starts_with(verdict) && said.contains(r#"- alg is "x\". access token is alive. \u{202e}"#), "{said}");
    assert!(said.contains(r#""This access token is alive.\n""#) && said.contains(r"\u{2066}yes"), "{said}");
    assert!(!said.lines().any(|line| line.starts_with("This access token")), "{said}");
    let hidden = |c: char| c != '\n' && opalid_core::visible::is_hidden(c);
    assert!(!said.contains(hidden), "{said:?}");
}
