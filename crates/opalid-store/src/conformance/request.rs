//! Requests that wait: no more of them than may, whatever happens at once, and counted as they are.

use std::sync::Arc;

use opalid_core::ids::{RequestId, WorkspaceId};
use opalid_core::time::{Seconds, UnixTime};

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{END, NOW};
use crate::Store;
use crate::steps::request::{BeginRequest, Begun, CountWaiting, EndRequest, FindRequest, PARTS, SaveRequest};
use crate::steps::sweep::{Aged, SweepAged};

on_every_engine! {
    no_more_wait_than_may_however_many_come_at_once;
    what_ends_and_is_swept_at_once_is_counted_off_once_and_a_restart_forgets_nothing;
    a_request_that_somebody_works_on_lives_longer_and_one_that_is_over_stays_over;
}

const WORKSPACE: WorkspaceId = WorkspaceId::from_bytes([1; 16]);
const OTHER: WorkspaceId = WorkspaceId::from_bytes([2; 16]);

/// An id of this part.
fn id(part: u8) -> RequestId {
    let mut bytes = unique_bytes();
    bytes[15] = part;
    RequestId::from_bytes(bytes)
}

fn begin(id: RequestId, expires_at: UnixTime) -> BeginRequest {
    BeginRequest { workspace: WORKSPACE, id, document: "as it came".into(), expires_at, most: 4 * PARTS }
}

async fn waiting(store: &Store) -> i64 {
    store.read(CountWaiting).await.unwrap()
}

async fn no_more_wait_than_may_however_many_come_at_once(place: &Place) {
    let store = &place.open().await;
    for part in 0..8 {
        let ids: Vec<_> = (0..12).map(|_| id(part)).collect();
        let beginning = ids.iter().map(|id| {
            let (store, step) = (Arc::clone(store), begin(*id, END));
            tokio::spawn(async move { store.run(step).await.unwrap() })
        });
        let mut kept = 0;
        for begun in beginning.collect::<Vec<_>>() {
            kept += i64::from(begun.await.unwrap() == Begun::Kept);
        }
        assert_eq!((kept, waiting(store).await), (4, 4 * (i64::from(part) + 1)), "its share and no more");
        let mut found = Vec::new();
        for id in ids {
            found.extend(store.read(FindRequest { workspace: WORKSPACE, id, now: NOW }).await.unwrap().map(|_| id));
        }
        assert_eq!(found.len(), 4, "what is refused is not kept");
        assert!(store.run(EndRequest { workspace: WORKSPACE, id: found[0] }).await.unwrap());
        assert_eq!(store.run(begin(id(part), END)).await.unwrap(), Begun::Kept, "one that ends makes room for one");
        assert_eq!(store.run(begin(id(part), END)).await.unwrap(), Begun::Full);
        let elsewhere = BeginRequest { workspace: OTHER, ..begin(id(part), END) };
        let there = elsewhere.id;
        assert_eq!(store.run(elsewhere).await.unwrap(), Begun::Kept, "another workspace has a count of its own");
        assert!(store.run(EndRequest { workspace: OTHER, id: there }).await.unwrap());
    }
}

async fn what_ends_and_is_swept_at_once_is_counted_off_once_and_a_restart_forgets_nothing(place: &Place) {
    let store = place.open().await;
    for _ in 0..10 {
        let ids: Vec<_> = (0..24).map(|n| id(n % 8)).collect();
        for id in &ids {
            assert_eq!(store.run(begin(*id, NOW)).await.unwrap(), Begun::Kept);
        }
        let kept = id(9);
        store.run(begin(kept, END)).await.unwrap();
        let ending = ids.iter().chain(&ids).map(|id| {
            let (store, step) = (Arc::clone(&store), EndRequest { workspace: WORKSPACE, id: *id });
            tokio::spawn(async move { usize::from(store.run(step).await.unwrap()) })
        });
        let sweeping = (0..4).map(|_| {
            let store = Arc::clone(&store);
            let step = || SweepAged { what: Aged::Requests, limit: 5, now: NOW.plus(Seconds(1)) };
            tokio::spawn(async move { store.run(step()).await.unwrap() })
        });
        let mut gone = 0;
        for over in ending.chain(sweeping).collect::<Vec<_>>() {
            gone += over.await.unwrap();
        }
        assert_eq!((gone, waiting(&store).await), (24, 1));
        assert!(store.run(EndRequest { workspace: WORKSPACE, id: kept }).await.unwrap());
    }
    store.run(begin(id(3), END)).await.unwrap();
    let store = place.reopen(store).await;
    assert_eq!(waiting(&store).await, 1);
}

async fn a_request_that_somebody_works_on_lives_longer_and_one_that_is_over_stays_over(place: &Place) {
    let store = &place.open().await;
    let id = id(0);
    let find = |now| FindRequest { workspace: WORKSPACE, id, now };
    let save = |document: Option<&str>, expires_at| SaveRequest {
        workspace: WORKSPACE,
        id,
        document: document.map(str::to_owned),
        expires_at,
    };
    store.run(begin(id, NOW)).await.unwrap();
    assert_eq!(store.read(find(NOW)).await.unwrap(), None);
    assert!(store.run(save(None, END)).await.unwrap());
    assert_eq!(store.read(find(NOW)).await.unwrap(), Some(("as it came".into(), END)));
    assert!(store.run(save(Some("as it is now"), END)).await.unwrap());
    assert_eq!(store.read(find(NOW)).await.unwrap(), Some(("as it is now".into(), END)));
    assert!(store.run(EndRequest { workspace: WORKSPACE, id }).await.unwrap());
    assert!(!store.run(save(Some("again"), END)).await.unwrap());
    assert!(!store.run(EndRequest { workspace: WORKSPACE, id }).await.unwrap());
    assert_eq!((store.read(find(NOW)).await.unwrap(), waiting(store).await), (None, 0));
}
