//! Requests that wait: no more of them than may, whatever happens at once, and counted as they are; each of one browser.

use std::sync::Arc;

use opalid_core::grant::{Authentication, Lineage};
use opalid_core::ids::{EventId, RequestId, SessionId, UserId, WorkspaceId};
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::SecretDigest;

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{END, NOW};
use crate::steps::Stamp;
use crate::steps::request::{
    BeginInstead, BeginRequest, Begun, CountWaiting, EndRequest, FindRequest, PARTS, SaveRequest,
};
use crate::steps::session::{EndSession, FindSession, StartSession, UseSession};
use crate::steps::sweep::{Aged, SweepAged};
use crate::{Step, Store, StoreError, Tx};

on_every_engine! {
    no_more_wait_than_may_however_many_come_at_once;
    what_ends_and_is_swept_at_once_is_counted_off_once_and_a_restart_forgets_nothing;
    a_request_that_somebody_works_on_lives_longer_and_one_that_is_over_stays_over;
    a_request_belongs_to_the_first_browser_however_many_come_at_once;
    where_all_wait_that_may_the_oldest_makes_room_unless_a_person_answered;
    room_is_made_once_for_each_that_comes_while_others_end;
    a_session_and_the_request_it_was_signed_in_for_are_one_step;
    the_last_use_of_a_session_is_kept_whichever_comes_last_and_an_ended_one_is_not_used;
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

/// What a browser saves of a request.
fn save(id: RequestId, browser: u8, document: Option<&str>) -> SaveRequest {
    let (browser, document) = (SecretDigest([browser; 32]), document.map(str::to_owned));
    SaveRequest { workspace: WORKSPACE, id, browser, document, expires_at: None }
}

async fn is_there(store: &Store, id: RequestId) -> bool {
    store.read(FindRequest { workspace: WORKSPACE, id, now: NOW }).await.unwrap().is_some()
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
    let found = || async {
        let found = store.read(FindRequest { workspace: WORKSPACE, id, now: NOW }).await.unwrap();
        found.map(|found| (found.document, found.browser.map(|browser| browser.0), found.expires_at))
    };
    let later = |document| SaveRequest { expires_at: Some(END), ..save(id, 7, document) };
    store.run(begin(id, NOW)).await.unwrap();
    assert_eq!(found().await, None);
    assert!(store.run(later(None)).await.unwrap());
    assert_eq!(found().await, Some(("as it came".into(), Some([7; 32]), END)));
    assert!(store.run(save(id, 7, Some("as it is now"))).await.unwrap());
    assert_eq!(found().await, Some(("as it is now".into(), Some([7; 32]), END)));
    assert!(!store.run(save(id, 8, Some("as another wants it"))).await.unwrap());
    assert_eq!(found().await, Some(("as it is now".into(), Some([7; 32]), END)), "nor does another shorten it");
    assert!(store.run(EndRequest { workspace: WORKSPACE, id }).await.unwrap());
    assert!(!store.run(later(Some("again"))).await.unwrap());
    assert!(!store.run(EndRequest { workspace: WORKSPACE, id }).await.unwrap());
    assert_eq!((found().await, waiting(store).await), (None, 0));
}

async fn a_request_belongs_to_the_first_browser_however_many_come_at_once(place: &Place) {
    let store = place.open().await;
    for _ in 0..10 {
        let id = id(0);
        store.run(begin(id, END)).await.unwrap();
        let coming = (0..8).map(|browser| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.run(save(id, browser, None)).await.unwrap().then_some(browser) })
        });
        let mut owners = Vec::new();
        for owner in coming.collect::<Vec<_>>() {
            owners.extend(owner.await.unwrap());
        }
        let found = store.read(FindRequest { workspace: WORKSPACE, id, now: NOW }).await.unwrap().unwrap();
        let owner = found.browser.unwrap().0;
        assert_eq!(owners.iter().map(|browser| [*browser; 32]).collect::<Vec<_>>(), [owner]);
        assert!(store.run(save(id, owner[0], None)).await.unwrap(), "it comes again");
        assert!(store.run(EndRequest { workspace: WORKSPACE, id }).await.unwrap());
    }
}

async fn where_all_wait_that_may_the_oldest_makes_room_unless_a_person_answered(place: &Place) {
    let store = &place.open().await;
    let instead = |id| BeginInstead(begin(id, END));
    assert_eq!(store.run(instead(id(0))).await.unwrap(), Begun::Full, "there is nothing to take");
    let aged = |age: u8, part: u8| {
        let mut bytes = *id(part).as_bytes();
        bytes[0] = age;
        RequestId::from_bytes(bytes)
    };
    let elsewhere = BeginRequest { workspace: OTHER, ..begin(aged(0, 0), END) };
    let other_part = begin(aged(0, 1), END);
    let ids = [3, 1, 4, 2].map(|age| aged(age, 0));
    for (id, minutes) in ids.iter().zip([10, 20, 30, 40]) {
        let step = begin(*id, NOW.plus(Seconds(60 * minutes)));
        assert_eq!(store.run(step).await.unwrap(), Begun::Kept);
    }
    let there = [(OTHER, elsewhere.id), (WORKSPACE, other_part.id)];
    store.run(elsewhere).await.unwrap();
    store.run(other_part).await.unwrap();
    assert!(store.run(save(ids[1], 7, Some("signed in"))).await.unwrap());
    assert!(store.run(save(ids[3], 7, None)).await.unwrap(), "coming back alone keeps no place");
    for (gone, left) in [(ids[3], &ids[..3]), (ids[0], &ids[1..3]), (ids[2], &ids[1..2])] {
        let new = aged(5, 0);
        assert_eq!(store.run(instead(new)).await.unwrap(), Begun::Kept);
        assert!(!is_there(store, gone).await && is_there(store, new).await);
        for id in left {
            assert!(is_there(store, *id).await);
        }
        assert!(store.run(save(new, 7, Some("signed in"))).await.unwrap());
        assert_eq!(waiting(store).await, 6, "as many wait as before");
    }
    assert_eq!(store.run(instead(id(0))).await.unwrap(), Begun::Full, "a person answered each");
    for (workspace, id) in there {
        assert!(store.read(FindRequest { workspace, id, now: NOW }).await.unwrap().is_some());
    }
}

async fn room_is_made_once_for_each_that_comes_while_others_end(place: &Place) {
    let store = place.open().await;
    let mut there: Vec<RequestId> = (0..4).map(|_| id(0)).collect();
    for id in &there {
        store.run(begin(*id, END)).await.unwrap();
    }
    for _ in 0..10 {
        let new: Vec<_> = (0..8).map(|_| id(0)).collect();
        let coming = new.iter().map(|id| {
            let (store, step) = (Arc::clone(&store), BeginInstead(begin(*id, END)));
            tokio::spawn(async move { store.run(step).await.unwrap() == Begun::Kept })
        });
        let coming: Vec<_> = coming.collect();
        let ending = there.iter().take(2).map(|id| {
            let (store, step) = (Arc::clone(&store), EndRequest { workspace: WORKSPACE, id: *id });
            tokio::spawn(async move { store.run(step).await.unwrap() })
        });
        let (mut kept, mut ended) = (0, 0);
        for done in ending.collect::<Vec<_>>() {
            ended += usize::from(done.await.unwrap());
        }
        for done in coming {
            kept += usize::from(done.await.unwrap());
        }
        assert_eq!(kept, 8, "there is always one to take");
        let mut left = Vec::new();
        for id in there.into_iter().chain(new) {
            left.extend(is_there(&store, id).await.then_some(id));
        }
        assert_eq!((left.len(), waiting(&store).await), (4 - ended, i64::try_from(left.len()).unwrap()));
        while left.len() < 4 {
            let id = id(0);
            assert_eq!(store.run(begin(id, END)).await.unwrap(), Begun::Kept);
            left.push(id);
        }
        there = left;
    }
}

fn sign_in(request: RequestId, user: u8, previous: Option<SessionId>) -> StartSession {
    let id = SessionId::from_bytes(unique_bytes());
    let saved = |id: SessionId| (id, save(request, 7, Some(&id.to_string())));
    StartSession {
        stamp: Stamp {
            workspace: WORKSPACE,
            now: NOW,
            event: EventId::from_bytes(unique_bytes()),
            initiator: "test".into(),
        },
        id,
        user: UserId::from_bytes([user; 16]),
        digest: SecretDigest([1; 32]),
        lineage: Lineage::default(),
        authentication: Authentication { auth_time: NOW, acr: "1".into(), amr: Vec::new() },
        expires_at: END,
        previous,
        requests: [Some(id), previous].into_iter().flatten().map(saved).collect(),
    }
}

/// A sign-in at whose end the server is gone.
struct Interrupted(StartSession);

impl Step for Interrupted {
    type Out = SessionId;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<SessionId, StoreError> {
        self.0.run(tx).await?;
        Err(StoreError::Refused("a test".into()))
    }
}

async fn a_session_and_the_request_it_was_signed_in_for_are_one_step(place: &Place) {
    let store = &place.open().await;
    let (request, other) = (id(0), id(1));
    let document = async |id| {
        store.read(FindRequest { workspace: WORKSPACE, id, now: NOW }).await.unwrap().map(|found| found.document)
    };
    let stands = async |id| store.read(FindSession { workspace: WORKSPACE, id }).await.unwrap().map(|row| row.enabled);
    for id in [request, other] {
        assert_eq!(store.run(begin(id, END)).await.unwrap(), Begun::Kept);
    }
    let interrupted = sign_in(request, 1, None);
    let session = interrupted.id;
    store.run(Interrupted(interrupted)).await.unwrap_err();
    assert_eq!((stands(session).await, document(request).await), (None, Some("as it came".into())), "all or nothing");

    let first = store.run(sign_in(request, 1, None)).await.unwrap();
    assert_eq!((stands(first).await, document(request).await), (Some(true), Some(first.to_string())));
    assert_eq!(store.run(sign_in(other, 1, Some(first))).await.unwrap(), first, "renewed in its place");
    assert_eq!(document(other).await, Some(first.to_string()));
    let second = store.run(sign_in(request, 2, Some(first))).await.unwrap();
    assert_eq!((stands(first).await, stands(second).await), (Some(false), Some(true)), "another user");
    assert_eq!(document(request).await, Some(second.to_string()));

    assert!(store.run(EndRequest { workspace: WORKSPACE, id: request }).await.unwrap());
    let third = store.run(sign_in(request, 2, Some(second))).await.unwrap();
    assert_eq!((third, document(request).await), (second, None), "what is over stays over");
}

async fn the_last_use_of_a_session_is_kept_whichever_comes_last_and_an_ended_one_is_not_used(place: &Place) {
    let store = &place.open().await;
    let begun = sign_in(id(0), 1, None);
    let stamp = Stamp { event: EventId::from_bytes(unique_bytes()), ..begun.stamp.clone() };
    let session = store.run(begun).await.unwrap();
    let used = async |at: i64| {
        let step = UseSession { workspace: WORKSPACE, id: session, now: UnixTime(NOW.0 + at) };
        store.run(step).await.unwrap();
        store.read(FindSession { workspace: WORKSPACE, id: session }).await.unwrap().unwrap().used_at.since(NOW).0
    };
    assert_eq!((used(7).await, used(9).await, used(8).await), (7, 9, 9));
    assert!(store.run(EndSession { stamp, id: session }).await.unwrap());
    assert_eq!(used(10).await, 9);
}
