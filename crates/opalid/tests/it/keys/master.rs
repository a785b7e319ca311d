//! The master key, rotated while the server runs.

use std::os::unix::fs::PermissionsExt as _;

use opalid::manage::{Command, Handed};

use super::{done, keep_now, kids, refused, rotate};
use crate::manage::opalid;
use crate::paste::{How, start_with};
use crate::support::folder::Folder;
use crate::support::{DEMO_API, Server};

const NEW: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA";
const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[tokio::test]
async fn the_master_key_is_rotated_online_and_its_file_is_replaced() {
    let server = Server::demo().await;
    server.workspace("acme").await;
    let token = server.token_of(DEMO_API).await;
    let file = server.app.data.join("master.key");
    let before = std::fs::read_to_string(&file).unwrap();
    let keys = server.get("/jwks").await.json();
    let said = done(&server, Command::RotateMasterKey { key: None }).await;
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(after != before && !said.contains(before.trim_end()) && !said.contains(after.trim_end()), "{said}");
    let former: Vec<_> = std::fs::read_dir(&server.app.data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("master.key.until-"))
        .collect();
    assert_eq!(std::fs::read_to_string(&former[0]).unwrap(), before);
    assert!(said.contains(former[0].to_str().unwrap()), "{said}");
    assert!(server.is_active(DEMO_API, &token).await);
    assert_eq!(server.get("/jwks").await.json(), keys);
    // It goes on with it: what is made now is under it too.
    server.workspace("later").await;
    keep_now(&server).await;
    done(&server, rotate(None, true)).await;
    // A new one that is named takes the file's place, too.
    done(&server, Command::RotateMasterKey { key: Some(Handed::new(format!("{NEW}\n"))) }).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{NEW}\n"));
    let why = refused(&server, Command::RotateMasterKey { key: Some(Handed::new(NEW.into())) }).await;
    assert!(why.contains("the master key in use"), "{why}");
    let why = refused(&server, Command::RotateMasterKey { key: Some(Handed::new("x".into())) }).await;
    assert!(why.contains("not a master key"), "{why}");
    let kid = kids(&server, "RS256").await;
    let server = server.restart().await;
    assert!(server.is_active(DEMO_API, &token).await);
    assert_eq!(kids(&server, "RS256").await, kid);
    assert_eq!(server.get("/acme/jwks").await.status, 200);
    assert_eq!(server.get("/later/jwks").await.status, 200);
}

/// As the first start, with the master key said by a program.
fn by_command<'a>(variables: &'a [(&'a str, &'a str)]) -> How<'a> {
    How { demo: true, https: false, arguments: &[], variables }
}

#[test]
fn a_master_key_that_a_program_says_is_rotated_by_naming_another_and_the_next_start_needs_that_one() {
    let (data, elsewhere) = (Folder::new(), Folder::new());
    let configuration = elsewhere.path().join("opalid.toml");
    let configure = |key: &str| {
        std::fs::write(&configuration, format!("master_key = {{ command = [\"echo\", \"{key}\"] }}\n")).unwrap();
    };
    configure(OLD);
    let variables = [("OPALID_CONFIG", configuration.to_str().unwrap())];
    let running = start_with(data.path(), by_command(&variables));
    let (rotated, said) = opalid(data.path(), "key rotate-master", "");
    assert!(!rotated && said.contains("comes from the command echo") && said.contains("--file"), "{said}");
    let (rotated, said) = opalid(data.path(), &format!("key rotate-master --command echo {NEW}"), "");
    // What follows --command are its words, so where the server is stands before.
    assert!(!rotated, "{said}");
    let key = elsewhere.path().join("new");
    std::fs::write(&key, NEW).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (rotated, said) = opalid(data.path(), &format!("key rotate-master --file {}", key.display()), "");
    let open =
        format!("But: the master key {0} is open to everybody on this machine; close it: chmod o= {0}", key.display());
    assert!(said.contains(&open), "{said}");
    assert!(rotated && said.contains("NOW") && said.contains("the command echo") && !said.contains(NEW), "{said}");
    let (listed, said) = opalid(data.path(), "key list", "");
    assert!(listed && said.contains("sealing/1") && said.contains("signing RS256"), "{said}");
    assert!(running.terminate().0.success());

    let said = crate::paste::refused_with(data.path(), by_command(&variables));
    assert!(said.contains("under another master key than that in the command echo"), "{said}");
    assert!(!said.contains(OLD), "{said}");
    configure(NEW);
    assert!(start_with(data.path(), by_command(&variables)).terminate().0.success());
    let variables = [("OPALID_MASTER_KEY_COMMAND", &*format!("echo,{NEW}"))];
    assert!(start_with(data.path(), by_command(&variables)).terminate().0.success());
    let both = [("OPALID_MASTER_KEY_COMMAND", "echo,x"), ("OPALID_MASTER_KEY", NEW)];
    let said = crate::paste::refused_with(data.path(), by_command(&both));
    assert!(said.contains("set one of them"), "{said}");
    let fails = [("OPALID_MASTER_KEY_COMMAND", "false")];
    let said = crate::paste::refused_with(data.path(), by_command(&fails));
    assert!(said.contains("false failed"), "{said}");
    assert!(!data.path().join("master.key").exists());
}
