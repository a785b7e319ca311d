//! Tests of the handlers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use opalid_core::time::UnixTime;

use super::*;
use crate::clock::Clock;
use crate::login::password_hash::{HashCost, HasherSettings};
use crate::start::{Starting, start};

/// A server in a folder of its own, removed at the end.
pub(super) struct TestServer {
    pub app: Arc<App>,
    pub data: PathBuf,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.data));
    }
}

pub(super) fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("opalid-manage-{}-{number}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    folder
}

pub(super) async fn server(demo: bool) -> TestServer {
    let data = folder();
    let starting = Starting {
        data: data.clone(),
        location: None,
        master_key: None,
        hasher: HasherSettings { cost: HashCost { memory_kib: 8, passes: 1, lanes: 1 }, threads: 1, waiting: 8 },
        trusted_proxies: Vec::new(),
        issuer: "http://localhost:8080".into(),
        clock: Clock::manual(UnixTime(1_795_468_803)),
        demo,
        on_fatal: Arc::new(|why| panic!("{why}")),
    };
    TestServer { app: Arc::new(start(starting).await.unwrap()), data }
}

impl TestServer {
    pub async fn ask(&self, command: Command) -> Result<Reply, ManageError> {
        handle(&self.app, Request { workspace: None, command }).await
    }
}

#[tokio::test]
async fn a_workspace_that_does_not_exist_is_named_in_the_error() {
    let server = server(false).await;
    let request = Request { workspace: Some("nowhere".into()), command: Command::ShowWorkspace {} };
    let error = handle(&server.app, request).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no workspace \"nowhere\"; see: opalid workspace list");
}

#[tokio::test]
async fn workspaces_are_listed_with_their_issuers() {
    let server = server(false).await;
    let Reply::Workspaces(page) = server.ask(Command::ListWorkspaces {}).await.unwrap() else { panic!() };
    let found: Vec<_> = page.rows.iter().map(|row| (&*row.name, &*row.issuer, row.root)).collect();
    assert_eq!(found, [("default", "http://localhost:8080", true)]);
}

#[test]
fn a_request_with_an_unknown_field_is_refused() {
    for good in [r#"{"command":{"do":"list_workspaces"}}"#, r#"{"workspace":"a","command":{"do":"show_workspace"}}"#] {
        assert!(serde_json::from_str::<Request>(good).is_ok(), "{good}");
    }
    for bad in [
        r#"{"command":{"do":"list_workspaces","more":1}}"#,
        r#"{"command":{"do":"list_workspaces"},"more":1}"#,
        r#"{"command":{"do":"something_else"}}"#,
    ] {
        assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
    }
}
