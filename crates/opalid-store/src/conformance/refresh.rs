//! Refresh chains: rotation, retries, copies, races with themselves and with revocation.

mod full;

use std::sync::Arc;

use opalid_core::grant::{Descent, Entitlement, EntitlementNo, Epoch, Grant, Guard};
use opalid_core::ids::{ChainId, ClientId, EventId, GrantId, ResourceId, WorkspaceId};
use opalid_core::refresh::{self, NotGranted, Presentation, Wish, successor};
use opalid_core::scope::Scopes;
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::{Refresh as Kind, RowSecret};
use opalid_core::token_settings::{ClientTerms, TokenSettings};

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use crate::engine::tx::{Step, Tx};
use crate::steps::Stamp;
use crate::steps::evidence::GrantFacts;
use crate::steps::refresh::{
    Candidate, ChainRow, FindChain, GoesOnWith, NewChain, Redeemed, Refresh, Refreshed, insert_chain,
};
use crate::steps::revoke::{CutGrant, Revoked};
use crate::steps::standing::{NewGrant, insert_grant};
use crate::{Store, StoreError};

const WORKSPACE: WorkspaceId = WorkspaceId::from_bytes([1; 16]);
const APP: ClientId = ClientId::from_bytes([2; 16]);
const OTHER: ClientId = ClientId::from_bytes([3; 16]);
const API: ResourceId = ResourceId::from_bytes([4; 16]);
const OTHER_API: ResourceId = ResourceId::from_bytes([5; 16]);
const ENDS: UnixTime = UnixTime(5_000);
/// The refresh keys, the current one first.
const KEYS: &[(u8, [u8; 32])] = &[(1, [1; 32])];
const NEW_KEYS: &[(u8, [u8; 32])] = &[(2, [2; 32]), (1, [1; 32])];

/// A thousand seconds unused, five thousand in all, thirty of grace.
fn terms() -> ClientTerms {
    let workspace = TokenSettings {
        refresh_idle: Seconds(1_000),
        refresh_absolute: ENDS.since(UnixTime(0)),
        refresh_grace: Seconds(30),
        ..TokenSettings::default()
    };
    ClientTerms { workspace, ..ClientTerms::default() }
}

fn stamp(now: i64) -> Stamp {
    let event = EventId::from_bytes(unique_bytes());
    Stamp { workspace: WORKSPACE, now: UnixTime(now), event, initiator: "test".into() }
}

/// Makes a grant and its chain, as a redeemed code does.
struct Begin {
    stamp: Stamp,
    grant: Grant,
    chain: NewChain,
}

impl Step for Begin {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        insert_grant(tx, &self.stamp, &self.grant, None, &GrantFacts::default()).await?;
        insert_chain(tx, &self.stamp, (&self.grant, EntitlementNo(0)), &self.chain, &terms()).await
    }
}

fn entitlement(scope: &str) -> Entitlement {
    Entitlement::new(Scopes::default(), vec![(API, Scopes::parse(scope).unwrap())])
}

/// A chain begun at 0, and its first secret.
async fn begin(store: &Store) -> (GrantId, RowSecret<Kind>) {
    begin_with(store, entitlement("read write")).await
}

async fn begin_with(store: &Store, entitlement: Entitlement) -> (GrantId, RowSecret<Kind>) {
    let secret = RowSecret::new(unique_bytes(), refresh::FIRST_GENERATION, [9; 32]);
    let grant = Grant {
        id: GrantId::from_bytes(unique_bytes()),
        guard: Guard::new([7; 8]),
        epoch: Epoch::FIRST,
        standing: false,
        descent: Descent::new(APP, None, []),
        entitlements: Arc::new([Arc::new(entitlement)]),
    };
    let Presentation { chain, digest, .. } = Presentation::of(&secret);
    let chain = NewChain { id: chain, first: digest, key_number: 1 };
    let id = grant.id;
    store.run(Begin { stamp: stamp(0), grant, chain }).await.unwrap();
    (id, secret)
}

fn refresh_at(secret: &RowSecret<Kind>, now: i64) -> Refresh {
    refresh_under(KEYS, secret, now)
}

fn refresh_under(keys: &[(u8, [u8; 32])], secret: &RowSecret<Kind>, now: i64) -> Refresh {
    let candidate = |(key_number, key): &(u8, [u8; 32])| {
        let digest = successor(key, secret).unwrap().secret.digest();
        Candidate { key_number: *key_number, digest }
    };
    Refresh {
        stamp: stamp(now),
        client: APP,
        presented: Presentation::of(secret),
        candidates: keys.iter().map(candidate).collect(),
        rotates: true,
        terms: terms(),
        wish: Wish::default(),
        open: vec![API].into(),
        fresh: NewGrant { id: GrantId::from_bytes(unique_bytes()), guard: Guard::new([8; 8]) },
    }
}

fn next(secret: &RowSecret<Kind>) -> RowSecret<Kind> {
    successor(&KEYS[0].1, secret).unwrap().secret
}

async fn find(store: &Store, secret: &RowSecret<Kind>) -> ChainRow {
    let id = Presentation::of(secret).chain;
    store.read(FindChain { workspace: WORKSPACE, id }).await.unwrap().unwrap()
}

/// Uses a token; it must be good.
async fn use_it(store: &Store, step: Refresh) -> Refreshed {
    match store.run(step).await.unwrap() {
        Redeemed::Good(refreshed) => *refreshed,
        other => panic!("{other:?}"),
    }
}

async fn epoch(store: &Store, grant: GrantId) -> Epoch {
    store.load_evidence(WORKSPACE, grant).await.unwrap().unwrap().grant.grant.epoch
}

const FIRST_KEY: GoesOnWith = GoesOnWith::Successor { key_number: 1 };

async fn each_use_gives_the_successor(place: &Place) {
    let store = &place.open().await;
    let (grant, first) = begin(store).await;
    let refreshed = use_it(store, refresh_at(&first, 100)).await;
    assert_eq!((refreshed.grant.id, refreshed.number, refreshed.goes_on_with), (grant, EntitlementNo(0), FIRST_KEY));
    assert_eq!((refreshed.grant.epoch, refreshed.entitlement), (Epoch::FIRST, entitlement("read write")));
    let row = find(store, &first).await;
    assert!(row.chain.current.matches(&next(&first).digest()));
    assert_eq!((row.chain.generation, row.chain.used_at, row.chain.expires_at), (1, UnixTime(100), ENDS));
    let second = next(&first);
    use_it(store, refresh_at(&second, 200)).await;
    assert!(find(store, &first).await.chain.current.matches(&next(&second).digest()));
}

async fn a_retry_gets_the_same_successor_and_moves_nothing(place: &Place) {
    let store = &place.open().await;
    let (_, first) = begin(store).await;
    use_it(store, refresh_at(&first, 100)).await;
    assert_eq!(use_it(store, refresh_at(&first, 129)).await.goes_on_with, FIRST_KEY);
    let row = find(store, &first).await;
    assert_eq!((row.chain.generation, row.chain.rotated_at), (1, UnixTime(100)));
    use_it(store, refresh_at(&next(&first), 130)).await;
}

async fn a_retry_after_a_new_refresh_key_gets_the_same_successor(place: &Place) {
    let store = &place.open().await;
    let (_, first) = begin(store).await;
    use_it(store, refresh_at(&first, 100)).await;
    assert_eq!(use_it(store, refresh_under(NEW_KEYS, &first, 101)).await.goes_on_with, FIRST_KEY);
    let second = next(&first);
    let refreshed = use_it(store, refresh_under(NEW_KEYS, &second, 102)).await;
    assert_eq!(refreshed.goes_on_with, GoesOnWith::Successor { key_number: 2 });
    let third = successor(&NEW_KEYS[0].1, &second).unwrap().secret;
    assert!(find(store, &first).await.chain.current.matches(&third.digest()));
    // The key that derived it is gone: not known, and nothing is cut.
    assert!(matches!(store.run(refresh_at(&second, 103)).await.unwrap(), Redeemed::Unknown));
    use_it(store, refresh_under(NEW_KEYS, &third, 104)).await;
}

async fn the_same_token_many_times_at_once_gives_one_successor(place: &Place) {
    let store = &place.open().await;
    for _ in 0..20 {
        let (grant, first) = begin(store).await;
        let first = Arc::new(first);
        let uses: Vec<_> = (0..8)
            .map(|_| {
                let (store, first) = (Arc::clone(store), Arc::clone(&first));
                tokio::spawn(async move { use_it(&store, refresh_at(&first, 100)).await.goes_on_with })
            })
            .collect();
        for done in uses {
            assert_eq!(done.await.unwrap(), FIRST_KEY);
        }
        let row = find(store, &first).await;
        assert_eq!((row.chain.generation, epoch(store, grant).await), (1, Epoch::FIRST));
        assert!(row.chain.current.matches(&next(&first).digest()));
    }
}

async fn a_copy_cuts_the_grant(place: &Place) {
    let store = &place.open().await;
    // Over the grace; its successor used; far behind.
    for (uses, presented, now) in [(1, 0, 130), (2, 0, 100), (4, 1, 100)] {
        let (grant, first) = begin(store).await;
        let mut given = vec![first];
        for _ in 0..uses {
            use_it(store, refresh_at(given.last().unwrap(), 100)).await;
            given.push(next(given.last().unwrap()));
        }
        let outcome = store.run(refresh_at(&given[presented], now)).await.unwrap();
        assert!(matches!(outcome, Redeemed::Reused(cut) if cut == grant), "{outcome:?}");
        assert_eq!(epoch(store, grant).await, Epoch(2), "it stays cut");
        for secret in &given {
            assert!(matches!(store.run(refresh_at(secret, now)).await.unwrap(), Redeemed::Dead));
        }
        assert_eq!(epoch(store, grant).await, Epoch(2), "nobody needs it cut again");
    }
}

async fn a_token_of_another_client_is_left_alone(place: &Place) {
    let store = &place.open().await;
    let (grant, first) = begin(store).await;
    use_it(store, refresh_at(&first, 100)).await;
    for secret in [&first, &next(&first)] {
        let theirs = Refresh { client: OTHER, ..refresh_at(secret, 1_000) };
        assert!(matches!(store.run(theirs).await.unwrap(), Redeemed::NotYours));
    }
    assert_eq!(epoch(store, grant).await, Epoch::FIRST);
    use_it(store, refresh_at(&next(&first), 1_000)).await;
}

async fn what_was_never_given_is_unknown_and_cuts_nothing(place: &Place) {
    let store = &place.open().await;
    let (grant, first) = begin(store).await;
    let made_up = [
        RowSecret::new(unique_bytes(), 0, [9; 32]),
        RowSecret::new(first.row, 0, [8; 32]),
        RowSecret::new(first.row, 7, [9; 32]),
        next(&first),
    ];
    for secret in &made_up {
        assert!(matches!(store.run(refresh_at(secret, 100)).await.unwrap(), Redeemed::Unknown));
    }
    assert_eq!((epoch(store, grant).await, find(store, &first).await.chain.generation), (Epoch::FIRST, 0));
}

async fn a_chain_ends_unused_and_at_its_time(place: &Place) {
    let store = &place.open().await;
    let (_, rested) = begin(store).await;
    assert!(matches!(store.run(refresh_at(&rested, 1_000)).await.unwrap(), Redeemed::Expired));
    let (_, mut secret) = begin(store).await;
    for now in (999..4_999).step_by(999) {
        use_it(store, refresh_at(&secret, now)).await;
        secret = next(&secret);
    }
    use_it(store, refresh_at(&secret, 4_999)).await;
    assert!(matches!(store.run(refresh_at(&next(&secret), 5_000)).await.unwrap(), Redeemed::Expired));
}

async fn a_client_that_does_not_rotate_keeps_its_token(place: &Place) {
    let store = &place.open().await;
    let (_, first) = begin(store).await;
    for now in [500, 1_400, 2_300] {
        let kept = use_it(store, Refresh { rotates: false, ..refresh_at(&first, now) }).await;
        assert_eq!(kept.goes_on_with, GoesOnWith::Same);
    }
    let row = find(store, &first).await;
    assert_eq!((row.chain.generation, row.chain.used_at), (0, UnixTime(2_300)));
    // It begins to rotate, and stops again: a use of the successor ends the grace of the first.
    use_it(store, refresh_at(&first, 2_400)).await;
    use_it(store, Refresh { rotates: false, ..refresh_at(&next(&first), 2_400) }).await;
    assert!(matches!(store.run(refresh_at(&first, 2_400)).await.unwrap(), Redeemed::Reused(_)));
}

async fn a_narrowed_token_leaves_the_chain_as_wide_as_it_was(place: &Place) {
    let store = &place.open().await;
    let (grant, first) = begin(store).await;
    let read = Wish { scope: Scopes::parse("read").unwrap(), resources: vec![API], ..Wish::default() };
    let narrowed = use_it(store, Refresh { wish: read.clone(), ..refresh_at(&first, 100) }).await;
    assert_eq!(
        (narrowed.grant.id, narrowed.number, narrowed.entitlement),
        (grant, EntitlementNo(1), entitlement("read"))
    );
    let evidence = store.load_evidence(WORKSPACE, grant).await.unwrap().unwrap();
    assert_eq!(**evidence.grant.grant.entitlement(EntitlementNo(1)).unwrap(), entitlement("read"));
    let second = next(&first);
    assert_eq!(use_it(store, refresh_at(&second, 101)).await.entitlement, entitlement("read write"));
    let again = use_it(store, Refresh { wish: read, ..refresh_at(&next(&second), 102) }).await;
    assert_eq!(again.number, EntitlementNo(1));
}

async fn a_wish_for_more_is_refused_and_uses_nothing_up(place: &Place) {
    let store = &place.open().await;
    let (_, first) = begin(store).await;
    let scope = Wish { scope: Scopes::parse("read delete").unwrap(), ..Wish::default() };
    let outcome = store.run(Refresh { wish: scope, ..refresh_at(&first, 100) }).await.unwrap();
    assert!(matches!(outcome, Redeemed::NotGranted(NotGranted::Scope(scope)) if scope == "delete"));
    let resource = Wish { scope: Scopes::default(), resources: vec![OTHER_API], ..Wish::default() };
    let outcome = store.run(Refresh { wish: resource, ..refresh_at(&first, 100) }).await.unwrap();
    assert!(matches!(outcome, Redeemed::NotGranted(NotGranted::Resource(OTHER_API, known)) if known == [API]));
    assert_eq!(find(store, &first).await.chain.generation, 0);
    use_it(store, refresh_at(&first, 100)).await;
}

async fn a_refresh_with_nothing_open_is_refused_and_uses_nothing_up(place: &Place) {
    let store = &place.open().await;
    let (_, first) = begin(store).await;
    for open in [vec![], vec![OTHER_API]] {
        let outcome = store.run(Refresh { open: open.into(), ..refresh_at(&first, 100) }).await.unwrap();
        assert!(matches!(outcome, Redeemed::Narrowed), "{outcome:?}");
    }
    assert_eq!(find(store, &first).await.chain.generation, 0);
    use_it(store, refresh_at(&first, 500)).await;
    // OpenID scopes are the issuer's own.
    let openid = Entitlement::new(Scopes::parse("openid").unwrap(), vec![(API, Scopes::parse("read").unwrap())]);
    let (_, first) = begin_with(store, openid).await;
    use_it(store, Refresh { open: vec![].into(), ..refresh_at(&first, 100) }).await;
}

async fn no_refresh_succeeds_once_a_revocation_has_returned(place: &Place) {
    let store = &place.open().await;
    for _ in 0..20 {
        let (grant, first) = begin(store).await;
        let refreshing = {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut secret = first;
                loop {
                    match store.run(refresh_at(&secret, 100)).await.unwrap() {
                        Redeemed::Good(refreshed) => assert_eq!(refreshed.grant.epoch, Epoch::FIRST),
                        Redeemed::Dead => return secret,
                        other => panic!("{other:?}"),
                    }
                    secret = next(&secret);
                }
            })
        };
        let cut = CutGrant { stamp: stamp(100), grant, of_epoch: None, reason: "test" };
        assert_eq!(store.run(cut).await.unwrap(), Revoked::Dead);
        let stands = {
            let row = store.read(FindChain { workspace: WORKSPACE, id: chain_of(store, grant).await }).await.unwrap();
            row.unwrap().chain.generation
        };
        let last = refreshing.await.unwrap();
        assert_eq!(last.generation, stands, "nothing moved after the revocation had returned");
        assert!(matches!(store.run(refresh_at(&last, 100)).await.unwrap(), Redeemed::Dead));
    }
}

/// The chain of a grant.
struct ChainOf(GrantId);

impl Step for ChainOf {
    type Out = ChainId;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<ChainId, StoreError> {
        let sql = "SELECT id FROM chain WHERE workspace = $1 AND grant_id = $2";
        let rows = tx.run(sql, &[WORKSPACE.as_bytes().into(), self.0.as_bytes().into()]).await?;
        rows.first().ok_or_else(|| StoreError::Corrupt("no chain".into()))?.id(0)
    }
}

async fn chain_of(store: &Store, grant: GrantId) -> ChainId {
    store.read(ChainOf(grant)).await.unwrap()
}

async fn a_restart_forgets_nothing(place: &Place) {
    let store = place.open().await;
    let ((_, kept), (_, copied), (cut, dead)) = (begin(&store).await, begin(&store).await, begin(&store).await);
    for first in [&kept, &copied, &dead] {
        use_it(&store, refresh_at(first, 100)).await;
    }
    store.run(CutGrant { stamp: stamp(100), grant: cut, of_epoch: None, reason: "test" }).await.unwrap();
    let store = place.reopen(store).await;
    assert_eq!(use_it(&store, refresh_at(&kept, 129)).await.goes_on_with, FIRST_KEY);
    use_it(&store, refresh_at(&next(&kept), 200)).await;
    assert!(matches!(store.run(refresh_at(&copied, 200)).await.unwrap(), Redeemed::Reused(_)));
    assert!(matches!(store.run(refresh_at(&next(&dead), 200)).await.unwrap(), Redeemed::Dead));
}

on_every_engine! {
    each_use_gives_the_successor;
    a_retry_gets_the_same_successor_and_moves_nothing;
    a_retry_after_a_new_refresh_key_gets_the_same_successor;
    the_same_token_many_times_at_once_gives_one_successor;
    a_copy_cuts_the_grant;
    a_token_of_another_client_is_left_alone;
    what_was_never_given_is_unknown_and_cuts_nothing;
    a_chain_ends_unused_and_at_its_time;
    a_client_that_does_not_rotate_keeps_its_token;
    a_narrowed_token_leaves_the_chain_as_wide_as_it_was;
    a_wish_for_more_is_refused_and_uses_nothing_up;
    a_refresh_with_nothing_open_is_refused_and_uses_nothing_up;
    no_refresh_succeeds_once_a_revocation_has_returned;
    a_restart_forgets_nothing;
}
