//! `opalid backup` and `opalid restore`, as typed, with the real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::faults::daemon::Line;
use crate::keys::{ED25519, ED25519_KID};
use crate::manage::opalid;
use crate::paste;
use crate::support::folder::Folder;

/// A demo that ran, a copy of it, and a token that was alive when the copy was made.
fn copied(data: &Path, copy: &Path) -> String {
    let running = paste::start(data, true);
    let (done, token) = opalid(data, "token --client demo-api --scope read", opalid::demo::RESOURCE_SERVER_SECRET);
    assert!(done, "{token}");
    let words = format!("backup {}", copy.display());
    let (done, said) = opalid(data, &words, "");
    assert!(done && said.contains("The master key is not in it"), "{said}");
    let (done, said) = opalid(data, &words, "");
    assert!(!done && said.contains("is there already; nothing is overwritten"), "{said}");
    assert!(opalid(data, "inspect -", &token).1.starts_with("This access token is alive."));
    drop(running);
    token
}

#[test]
fn what_is_put_back_revives_nothing_and_everyone_begins_anew() {
    let (old, new) = (Folder::new(), Folder::new());
    let copy = new.path().join("copy.db");
    let token = copied(old.path(), &copy);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);

    let data = new.path().join("data");
    let restore = format!("restore {}", copy.display());
    let (done, said) = opalid(&data, &restore, "");
    assert!(done && said.contains("Everyone signs in again") && said.contains("master key is not here yet"), "{said}");
    assert_eq!(fs::metadata(data.join("opalid.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let (done, said) = opalid(&data, &restore, "");
    assert!(!done && said.contains("is there already; nothing is overwritten"), "{said}");
    let away = format!("move the store that lies there away first: {}*", data.join("opalid.db").display());
    assert!(said.contains(&away), "{said}");

    fs::copy(old.path().join("master.key"), data.join("master.key")).unwrap();
    let running = paste::start(&data, true);
    let (_, said) = opalid(&data, "inspect -", &token);
    assert!(said.starts_with("This access token is dead"), "{said}");
    let (done, fresh) = opalid(&data, "token --client demo-api --scope read", opalid::demo::RESOURCE_SERVER_SECRET);
    assert!(done && opalid(&data, "inspect -", &fresh).1.starts_with("This access token is alive."), "{fresh}");
    assert!(opalid(&data, "events", "").1.contains("workspace.restored"));
    drop(running);
}

/// What a server lists in its key set.
fn kids(running: &paste::Running) -> Vec<String> {
    let set = Line { port: running.port }.ask("GET", "/jwks", "", "").unwrap();
    let set: serde_json::Value = serde_json::from_str(&set.body).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// What a command says that is done; while keys are made in the background, it is run again, as it says.
fn ran(data: &Path, words: &str, input: &str) -> String {
    loop {
        match opalid(data, words, input) {
            (true, said) => return said,
            (false, said) => assert!(said.contains("run it again"), "{words}: {said}"),
        }
    }
}

#[test]
fn no_key_of_a_copy_is_used_again_for_it_may_have_been_revoked_since() {
    let (old, new) = (Folder::new(), Folder::new());
    let (copy, data) = (new.path().join("copy.db"), new.path().join("data"));
    let running = paste::start(old.path(), true);
    let run = |words: &str, input: &str| ran(old.path(), words, input);
    run("key import -", ED25519);
    run("key rotate --alg EdDSA --now", "");
    let before = kids(&running);
    let token = run("token --client demo-api --scope read", opalid::demo::RESOURCE_SERVER_SECRET);
    run(&format!("backup {}", copy.display()), "");
    // Both leaked: whoever has them could sign and seal what opens and verifies.
    for key in [ED25519_KID, "sealing/1"] {
        run(&format!("key revoke {key} --yes"), "");
    }
    drop(running);

    let (done, said) = opalid(&data, &format!("restore {}", copy.display()), "");
    assert!(done && said.contains("no JWT that was signed before now verifies any more"), "{said}");
    assert!(said.contains("has to be imported again"), "{said}");
    fs::copy(old.path().join("master.key"), data.join("master.key")).unwrap();
    let running = paste::start(&data, true);
    let after = kids(&running);
    let algorithms = opalid_core::jwt::SigningAlgorithm::ALL.len();
    assert!(before.contains(&ED25519_KID.to_owned()) && after.len() >= algorithms, "{before:?} {after:?}");
    assert!(!after.iter().any(|kid| before.contains(kid)), "{before:?} {after:?}");
    let said = opalid(&data, "inspect -", &token).1;
    assert!(said.contains("no: changed on the way"), "the sealing key is another: {said}");
    let (done, fresh) = opalid(&data, "token --client demo-api --scope read", opalid::demo::RESOURCE_SERVER_SECRET);
    assert!(done && opalid(&data, "inspect -", &fresh).1.starts_with("This access token is alive."), "{fresh}");
    // What the copy does not know of, only people can.
    ran(&data, "key import -", ED25519);
    drop(running);
    let running = paste::start(&data, true);
    assert!(after[..algorithms].iter().all(|kid| kids(&running).contains(kid)), "the next start makes none");
}

#[test]
fn a_backup_says_where_the_master_key_is_kept() {
    let (data, key) = (Folder::new(), Folder::new());
    let kept = key.path().join("key");
    fs::write(&kept, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\n").unwrap();
    let path = kept.display().to_string();
    for (variable, value, says) in [
        ("OPALID_LOG_LEVEL", "info", format!("keep it too ({}/master.key)", data.path().join("x").display())),
        ("OPALID_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "(the variable OPALID_MASTER_KEY)".into()),
        ("OPALID_MASTER_KEY_FILE", &path, format!("(the file {path})")),
    ] {
        // A folder for each, named from where the server stands.
        let data = data.path().join(if variable == "OPALID_LOG_LEVEL" { "x" } else { variable });
        let how = paste::How { variables: &[(variable, value)], ..paste::How::default() };
        let _running = paste::start_with(&data, how);
        let (done, said) = opalid(&data, &format!("backup {}", data.join("copy.db").display()), "");
        assert!(done && said.contains(&says), "{said}");
    }
}

#[test]
fn a_copy_is_not_put_back_under_another_key_nor_under_a_running_server() {
    let (old, other) = (Folder::new(), Folder::new());
    let copy = old.path().join("copy.db");
    copied(old.path(), &copy);
    let restore = format!("restore {}", copy.display());
    let running = paste::start(other.path(), true);
    fs::copy(old.path().join("master.key"), other.path().join("master.key")).unwrap();
    let (done, said) = opalid(other.path(), &restore, "");
    assert!(!done && said.contains("another server is running"), "{said}");
    drop(running);

    let third = Folder::new();
    drop(paste::start(third.path(), true));
    for name in ["opalid.db", "opalid.db-wal", "opalid.db-shm"] {
        drop(fs::remove_file(third.path().join(name)));
    }
    let (done, said) = opalid(third.path(), &restore, "");
    assert!(!done && said.contains("another master key") && !third.path().join("opalid.db").exists(), "{said}");
    let (done, said) = opalid(third.path(), "restore /nowhere/copy.db", "");
    assert!(!done && said.contains("there is no file /nowhere/copy.db"), "{said}");
    let (done, said) = opalid(third.path(), "restore", "");
    assert!(!done && said.contains("opalid restore FILE"), "{said}");
}

#[test]
fn neither_a_start_nor_a_restore_uses_a_folder_that_others_may_write_to() {
    let (old, open) = (Folder::new(), Folder::new());
    let copy = old.path().join("copy.db");
    copied(old.path(), &copy);
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let start = "serve --demo --issuer http://localhost:8080 --listen 127.0.0.1:0 --metrics-listen off";
    for words in [start, &format!("restore {}", copy.display())] {
        let (done, said) = opalid(open.path(), words, "");
        let chmod = format!("close it: chmod 700 {}", open.path().display());
        assert!(!done && said.contains("(mode 0770)") && said.contains(&chmod), "{said}");
        assert_eq!(fs::read_dir(open.path()).unwrap().count(), 0, "{words}");
    }
}
