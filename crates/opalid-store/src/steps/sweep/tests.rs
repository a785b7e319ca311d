//! Tests of sweeping, on SQLite.

use std::sync::Arc;
use std::time::Duration;

use opalid_core::claims::StandardClaims;
use opalid_core::client::ClientSettings;
use opalid_core::grant::Entitlement;
use opalid_core::ids::{ClientId, ConsentId, EventId, UserId, WorkspaceId};
use opalid_core::scope::Scopes;
use opalid_core::workspace::WorkspaceSettings;

use super::*;
use crate::keys::MadeKeys;
use crate::steps::Stamp;
use crate::steps::client::CreateClient;
use crate::steps::consent::GiveConsent;
use crate::steps::delete::{DeleteUser, DeleteWorkspace};
use crate::steps::user::CreateUser;
use crate::steps::workspace::CreateWorkspace;
use crate::{Location, Opening, Store};

const NOW: UnixTime = UnixTime(1_000_000);
const WORKSPACE: WorkspaceId = WorkspaceId::from_bytes([7; 16]);

fn stamp(event: u8) -> Stamp {
    Stamp { workspace: WORKSPACE, now: NOW, event: EventId::from_bytes([event; 16]), initiator: "test".into() }
}

async fn store(name: &str) -> (Store, std::path::PathBuf) {
    let path = std::env::temp_dir().join(format!("opalid-sweep-{name}-{}.db", std::process::id()));
    let opening = Opening {
        location: Location::Sqlite(path.clone()),
        owner: [1; 16],
        alone: false,
        incarnation: [2; 16],
        capacity: crate::memory::Capacity::default(),
        lease: Duration::from_secs(5),
        boottime: || Duration::ZERO,
        observer: Arc::new(()),
        on_fatal: Arc::new(|why| panic!("{why}")),
    };
    let store = Store::open(opening).await.unwrap();
    let settings = WorkspaceSettings::default();
    store
        .run(CreateWorkspace { stamp: stamp(1), name: "w".into(), settings, keys: MadeKeys::default() })
        .await
        .unwrap();
    (store, path)
}

fn forget(path: &std::path::Path) {
    for end in ["db", "db-wal", "db-shm", "lock"] {
        drop(std::fs::remove_file(path.with_extension(end)));
    }
}

/// Three people who have agreed to one client.
async fn people(store: &Store) {
    let client = ClientId::from_bytes([9; 16]);
    let settings = ClientSettings::default();
    let made =
        CreateClient { stamp: stamp(2), id: client, client_id: "c".into(), settings, roles: vec![], secret: None };
    store.run(made).await.unwrap();
    for n in 1..=3_u8 {
        let username = format!("user{n}");
        let user = CreateUser {
            stamp: stamp(10 + n),
            id: UserId::from_bytes([n; 16]),
            username_key: username.clone(),
            username,
            admin: false,
            password_hash: None,
            claims: StandardClaims::default(),
            roles: Vec::new(),
        };
        assert!(store.run(user).await.unwrap());
        let given = Entitlement::new(Scopes::parse("openid").unwrap(), Vec::new());
        let (id, user) = (ConsentId::from_bytes([n; 16]), UserId::from_bytes([n; 16]));
        store.run(GiveConsent { stamp: stamp(20 + n), id, user, client, given }).await.unwrap();
    }
}

async fn sweep(store: &Store, table: SweptTable, limit: u32, now: UnixTime) -> (usize, usize) {
    let (mut removed, mut batches, mut after) = (0, 0, None);
    loop {
        let swept = store.run(Sweep { table, after, limit, now }).await.unwrap();
        (removed, batches, after) = (removed + swept.removed, batches + 1, swept.next);
        if after.is_none() {
            return (removed, batches);
        }
    }
}

#[tokio::test]
async fn every_table_can_be_swept() {
    let (store, path) = store("all").await;
    for table in SweptTable::ALL {
        assert_eq!(sweep(&store, *table, 10, NOW).await, (0, 1), "{table:?}");
    }
    for what in [Aged::Requests, Aged::Feed(Position(9)), Aged::Audit(Seconds(9))] {
        assert_eq!(store.run(SweepAged { what, limit: 10, now: NOW }).await.unwrap(), 0, "{what:?}");
    }
    drop(store);
    forget(&path);
}

#[tokio::test]
async fn what_hung_from_a_user_who_is_gone_goes_after_a_day_in_small_batches() {
    let (store, path) = store("orphans").await;
    people(&store).await;
    let later = NOW.plus(KEPT).plus(Seconds(1));
    assert_eq!(sweep(&store, SweptTable::Consents, 2, later).await, (0, 2));
    assert!(store.run(DeleteUser { stamp: stamp(30), id: UserId::from_bytes([2; 16]) }).await.unwrap());
    assert_eq!(sweep(&store, SweptTable::Consents, 1, NOW).await, (0, 4));
    assert_eq!(sweep(&store, SweptTable::Consents, 1, later).await, (1, 4));
    assert_eq!(sweep(&store, SweptTable::Consents, 1, later).await, (0, 3));
    assert_eq!(sweep(&store, SweptTable::Users, 10, later).await, (0, 1));
    drop(store);
    forget(&path);
}

#[tokio::test]
async fn everything_in_a_workspace_that_is_gone_goes() {
    let (store, path) = store("workspace").await;
    people(&store).await;
    let later = NOW.plus(KEPT).plus(Seconds(1));
    assert!(store.run(DeleteWorkspace { stamp: stamp(30) }).await.unwrap());
    assert!(!store.run(DeleteWorkspace { stamp: stamp(31) }).await.unwrap());
    assert_eq!(sweep(&store, SweptTable::Users, 2, later).await, (3, 2));
    assert_eq!(sweep(&store, SweptTable::Clients, 2, later).await, (1, 1));
    assert_eq!(sweep(&store, SweptTable::Consents, 2, later).await, (3, 2));
    drop(store);
    forget(&path);
}
