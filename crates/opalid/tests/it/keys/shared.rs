//! A signing key that was brought into several workspaces is revoked in all of them.

use std::sync::Arc;

use opalid::keys::Changing;
use opalid::manage::{Command, Reply, Request, handle};
use opalid_core::time::UnixTime;
use opalid_store::keys::{KeyPurpose, WorkspaceRecord};

use super::{ED25519_KID, done, import_ed25519, keep_now, refused};
use crate::support::Server;

async fn record(server: &Server, name: &str) -> Arc<WorkspaceRecord> {
    server.app.store.find_workspace(name).await.unwrap().unwrap()
}

async fn at(server: &Server, name: &str, command: Command) -> Reply {
    handle(&server.app, Request { workspace: Some(name.into()), command }).await.unwrap()
}

async fn publishes(server: &Server, path: &str) -> bool {
    let keys = server.get(&format!("{path}/jwks")).await.json();
    keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == ED25519_KID)
}

/// Brought into the root, where it follows; into acme, where it signs; into books, where it did.
async fn server() -> Server {
    let server = Server::empty().await;
    server.workspace("acme").await;
    server.workspace("books").await;
    server.workspace("others").await;
    keep_now(&server).await;
    done(&server, import_ed25519()).await;
    let rotate = || Command::RotateKeys { purpose: None, algorithm: Some("EdDSA".into()), now: true };
    for (name, rotations) in [("acme", 1), ("books", 2)] {
        at(&server, name, import_ed25519()).await;
        for _ in 0..rotations {
            at(&server, name, rotate()).await;
        }
    }
    server
}

#[tokio::test]
async fn a_revoked_signing_key_is_revoked_in_every_workspace_that_has_it() {
    let server = server().await;
    let revoke = |yes| Command::RevokeKey { key: ED25519_KID.into(), yes };
    let why = refused(&server, revoke(false)).await;
    assert!(why.contains("with what it signed there: acme, books"), "{why}");
    for path in ["", "/acme", "/books"] {
        assert!(publishes(&server, path).await, "nothing was done at {path:?}");
    }
    let said = done(&server, revoke(true)).await;
    assert!(said.contains("with what it signed there: acme, books"), "{said}");
    for path in ["", "/acme", "/books"] {
        assert!(!publishes(&server, path).await, "{path:?}");
    }
    for name in ["acme", "books", "others"] {
        let record = record(&server, name).await;
        let signs = record.keys.iter().filter(|key| key.algorithm == "EdDSA" && key.state.is_current()).count();
        assert_eq!(signs, 1, "{name} signs with another one");
        let again = Request { workspace: Some(name.into()), command: import_ed25519() };
        let why = handle(&server.app, again).await.unwrap_err().to_string();
        assert!(why.contains("this key was revoked on 20"), "{why}");
    }
    for (name, entered) in [("acme", 1), ("books", 1), ("others", 0)] {
        let revoked = revoked_in(&server, name).await;
        assert_eq!(revoked.len(), entered, "{revoked:?}");
        assert!(revoked.iter().all(|row| row.contains("the same key as in workspace default")), "{revoked:?}");
    }
}

/// What the audit log of a workspace says was revoked.
async fn revoked_in(server: &Server, name: &str) -> Vec<String> {
    let command = Command::Events { follow: false, paging: Default::default() };
    let Reply::Events(page) = at(server, name, command).await else { panic!() };
    page.rows.into_iter().filter(|row| row.action == "key.revoked").map(|row| row.target).collect()
}

#[tokio::test]
async fn a_key_that_is_brought_into_one_more_workspace_meanwhile_is_looked_for_anew() {
    let server = server().await;
    let of_acme = record(&server, "acme").await;
    let changing = |record| Changing { app: &server.app, record, now: UnixTime(server.app.now().0), initiator: "test" };
    let revoking = changing(Arc::clone(&of_acme));
    let is_it = |key: &&opalid_store::keys::WorkspaceKey| {
        key.purpose == KeyPurpose::Signing && key.algorithm == "EdDSA" && key.state.is_current()
    };
    let key = of_acme.keys.iter().find(is_it).unwrap();
    let shared = revoking.shared(key).await.unwrap();
    assert_eq!(shared.names(), ["books", "default"]);
    at(&server, "others", import_ed25519()).await;
    let why = revoking.revoke(key, shared).await.unwrap_err().to_string();
    assert!(why.contains("have changed meanwhile"), "{why}");
    for path in ["", "/acme", "/books", "/others"] {
        assert!(publishes(&server, path).await, "{path:?}");
    }
    let shared = revoking.shared(key).await.unwrap();
    revoking.revoke(key, shared).await.unwrap();
    for path in ["", "/acme", "/books", "/others"] {
        assert!(!publishes(&server, path).await, "{path:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_revoked_however_many_workspaces_are_made_meanwhile() {
    let server = server().await;
    let revoke = Command::RevokeKey { key: ED25519_KID.into(), yes: true };
    let making = async {
        for number in 0..6 {
            server.workspace(&format!("made-{number}")).await;
        }
    };
    let (said, ()) = tokio::join!(done(&server, revoke), making);
    assert!(said.contains("is revoked"), "{said}");
    assert!(!publishes(&server, "/acme").await);
}
