//! Sweeping: what is over goes, nothing that lives does, and no answer changes.

use opalid_core::alive::Reason;
use opalid_core::grant::{Ancestor, Authentication, Descent, EntitlementNo, Epoch, Lineage};
use opalid_core::ids::{ChainId, GrantId, RequestId, SessionId};
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::SecretDigest;
use opalid_core::token_settings::{ClientTerms, TokenSettings};

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{END, NOW, Token, World, new_grant};
use crate::feed::Position;
use crate::steps::Stamp;
use crate::steps::events::{EventRange, ListEvents};
use crate::steps::evidence::{GrantFacts, find_grant};
use crate::steps::list::FindGrant;
use crate::steps::refresh::{NewChain, insert_chain};
use crate::steps::request::{BeginRequest, Begun, FindRequest, WAITING_MAX};
use crate::steps::revoke::{KILLED_KEPT, KillToken, Revoked};
use crate::steps::session::StartSession;
use crate::steps::standing::insert_grant;
use crate::steps::sweep::{Aged, FEED_KEPT, KEPT, Sweep, SweepAged, SweptTable, TOKENS_KEPT};
use crate::{Step, StoreError, Tx};

on_every_engine! {
    requests_go_by_their_end_however_many_there_are;
    changes_go_after_a_week_but_none_that_memory_has_still_to_read;
    killed_tokens_go_by_their_end_grant_by_grant;
    audit_rows_go_after_as_long_as_they_are_kept;
    a_grant_bound_to_a_session_goes_with_it;
    an_offline_grant_goes_when_no_token_can_be_left_of_it;
    a_child_goes_with_its_parent_and_a_clients_own_grant_stays;
    a_chain_stays_until_the_last_token_that_came_of_it_is_over;
}

const SECOND: Seconds = Seconds(1);

async fn aged(world: &World, what: Aged, limit: u32, now: UnixTime) -> usize {
    world.store.run(SweepAged { what, limit, now }).await.unwrap()
}

/// Sweeps a whole table, two rows at a time; how many went.
async fn sweep(world: &World, table: SweptTable, now: UnixTime) -> usize {
    let (mut removed, mut after) = (0, None);
    loop {
        let swept = world.store.run(Sweep { table, after, limit: 2, now }).await.unwrap();
        (removed, after) = (removed + swept.removed, swept.next);
        if after.is_none() {
            return removed;
        }
    }
}

/// How many rows a table has.
struct Count(&'static str);

impl Step for Count {
    type Out = i64;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<i64, StoreError> {
        tx.run(self.0, &[]).await?[0].int(0)
    }
}

async fn count(world: &World, sql: &'static str) -> i64 {
    world.store.read(Count(sql)).await.unwrap()
}

async fn start_session(world: &World) -> SessionId {
    let step = StartSession {
        stamp: world.stamp(),
        id: SessionId::from_bytes(unique_bytes()),
        user: world.user,
        digest: SecretDigest([1; 32]),
        lineage: Lineage::default(),
        authentication: Authentication { auth_time: NOW, acr: "1".into(), amr: Vec::new() },
        expires_at: END,
        previous: None,
        requests: Vec::new(),
    };
    world.store.run(step).await.unwrap()
}

/// Begins a chain of a grant.
struct AddChain(Stamp, GrantId);

impl Step for AddChain {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let grant = find_grant(tx, self.0.workspace, self.1).await?.unwrap();
        let id = ChainId::from_bytes(*self.0.event.as_bytes());
        let new = NewChain { id, first: SecretDigest([1; 32]), key_number: 1 };
        let tokens = TokenSettings { refresh_absolute: END.since(self.0.now), ..TokenSettings::default() };
        let terms = ClientTerms { workspace: tokens, ..ClientTerms::default() };
        insert_chain(tx, &self.0, (&grant, EntitlementNo(0)), &new, &terms).await
    }
}

async fn add_chain(world: &World, token: &Token) {
    world.store.run(AddChain(world.stamp(), token.sealed.grant)).await.unwrap();
}

const GRANTS: &str = "SELECT COUNT(*) FROM grants";
const CHAINS: &str = "SELECT COUNT(*) FROM chain";
const KILLED: &str = "SELECT COUNT(*) FROM killed";
const FEED: &str = "SELECT COUNT(*) FROM feed";

async fn requests_go_by_their_end_however_many_there_are(place: &Place) {
    let world = World::new(place).await;
    let workspace = world.workspace;
    let mut waiting = Vec::new();
    for n in 0..25 {
        let (id, expires_at) = (RequestId::from_bytes(unique_bytes()), if n < 20 { NOW } else { END });
        waiting.extend((n >= 20).then_some(id));
        let step = BeginRequest { workspace, id, document: String::new(), expires_at, most: WAITING_MAX };
        assert_eq!(world.store.run(step).await.unwrap(), Begun::Kept);
    }
    assert_eq!(aged(&world, Aged::Requests, 8, NOW).await, 0);
    let mut removed = Vec::new();
    while removed.last() != Some(&0) {
        removed.push(aged(&world, Aged::Requests, 8, NOW.plus(SECOND)).await);
    }
    assert_eq!(removed, [8, 8, 4, 0]);
    for id in waiting {
        assert!(world.store.read(FindRequest { workspace, id, now: NOW }).await.unwrap().is_some());
    }
}

async fn changes_go_after_a_week_but_none_that_memory_has_still_to_read(place: &Place) {
    let mut world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let (killed, alive) = (world.token(grant, number).await, world.token(grant, number).await);
    world.store.run(world.kill(&killed)).await.unwrap();
    for _ in 0..8 {
        world.store.run(world.kill(&world.token(grant, number).await)).await.unwrap();
    }
    let (all, applied) = (count(&world, FEED).await, world.store.memory().position());
    assert!(all >= 9 && applied.0 >= 9);
    let later = NOW.plus(FEED_KEPT).plus(SECOND);
    assert_eq!(aged(&world, Aged::Feed(applied), 100, NOW.plus(FEED_KEPT)).await, 0);
    let before = Position(applied.0 - 4);
    assert_eq!(i64::try_from(aged(&world, Aged::Feed(before), 100, later).await).unwrap(), all - 4);
    assert_eq!(aged(&world, Aged::Feed(before), 100, later).await, 0);
    assert_eq!(aged(&world, Aged::Feed(applied), 3, later).await, 3);
    assert_eq!(aged(&world, Aged::Feed(applied), 3, later).await, 1);
    for _ in 0..2 {
        assert_eq!(world.store.memory().position(), applied);
        assert_eq!((world.why_dead(&killed).await, world.why_dead(&alive).await), (Some(Reason::Killed), None));
        world = world.reopened(place).await;
    }
    world.cut(grant).await;
    assert_eq!(world.why_dead(&alive).await, Some(Reason::GrantCut));
    assert_eq!((world.store.memory().position(), count(&world, FEED).await), (Position(applied.0 + 1), 1));
}

async fn killed_tokens_go_by_their_end_grant_by_grant(place: &Place) {
    let world = World::new(place).await;
    let client = world.interned().await;
    let person = world.user_token(&[Ancestor::User(world.user)]).await.sealed;
    for (grant, number) in [client, (person.grant, person.entitlement)] {
        for n in 0..5 {
            // More of one grant than a batch looks at.
            let expires_at = if n < 3 { NOW } else { END };
            let step = KillToken { expires_at, ..world.kill(&world.token(grant, number).await) };
            assert_eq!(world.store.run(step).await.unwrap(), Revoked::Dead);
        }
    }
    let kept = NOW.plus(KILLED_KEPT);
    assert_eq!(sweep(&world, SweptTable::Killed, kept).await, 0);
    assert_eq!((sweep(&world, SweptTable::Killed, kept.plus(SECOND)).await, count(&world, KILLED).await), (6, 4));
    for grant in [client.0, person.grant] {
        let listed = world.store.read(FindGrant { workspace: world.workspace, id: grant }).await.unwrap();
        assert_eq!(listed.unwrap().kills, 2);
    }
}

async fn audit_rows_go_after_as_long_as_they_are_kept(place: &Place) {
    let world = World::new(place).await;
    let kept = Seconds(90 * 24 * 3600);
    let (later, list) = (NOW.plus(kept).plus(SECOND), |world: &World| {
        let step = ListEvents { workspace: world.workspace, range: EventRange::Before(None), limit: 100 };
        let store = std::sync::Arc::clone(&world.store);
        async move { store.read(step).await.unwrap() }
    });
    let (grant, _) = world.interned().await;
    let all = list(&world).await.len();
    let young = crate::steps::revoke::CutGrant {
        stamp: Stamp { now: later, ..world.stamp() },
        grant,
        of_epoch: None,
        reason: "a test",
    };
    world.store.run(young).await.unwrap();
    let position = world.store.memory().position();
    assert_eq!(aged(&world, Aged::Audit(kept), 100, NOW.plus(kept)).await, 0);
    assert!(all >= 4);
    assert_eq!(aged(&world, Aged::Audit(kept), 3, later).await, 3);
    assert_eq!(aged(&world, Aged::Audit(kept), 100, later).await, all - 3);
    let left = list(&world).await;
    assert_eq!(left.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(), ["grant.cut"]);
    assert_eq!(world.store.memory().position(), position);
}

async fn a_grant_bound_to_a_session_goes_with_it(place: &Place) {
    let world = World::new(place).await;
    let session = start_session(&world).await;
    let bound = world.user_token(&[Ancestor::User(world.user), Ancestor::Session(session)]).await;
    let other = world.user_token(&[Ancestor::User(world.user)]).await;
    add_chain(&world, &bound).await;
    add_chain(&world, &other).await;
    world.store.run(world.kill(&bound)).await.unwrap();
    world.store.run(world.kill(&other)).await.unwrap();
    let (position, over) = (world.store.memory().position(), END.plus(KEPT).plus(SECOND));
    assert_eq!((sweep(&world, SweptTable::Grants, over).await, sweep(&world, SweptTable::Sessions, END).await), (0, 0));
    assert_eq!(sweep(&world, SweptTable::Sessions, over).await, 1);
    assert_eq!(sweep(&world, SweptTable::Grants, NOW).await, 0, "one that was just made stays for a while");
    assert_eq!(sweep(&world, SweptTable::Grants, over).await, 1);
    assert_eq!((count(&world, GRANTS).await, count(&world, CHAINS).await, count(&world, KILLED).await), (1, 1, 1));
    assert_eq!(world.store.memory().position(), position, "nothing enters the feed");
    let world = world.reopened(place).await;
    assert_eq!(world.why_dead(&bound).await, Some(Reason::GrantUnknown));
    assert_eq!(world.why_dead(&other).await, Some(Reason::Killed));
    assert_eq!(world.cut(bound.sealed.grant).await, crate::steps::revoke::Revoked::Unknown);
}

async fn an_offline_grant_goes_when_no_token_can_be_left_of_it(place: &Place) {
    let world = World::new(place).await;
    let session = start_session(&world).await;
    let with_chain = world.user_token(&[Ancestor::User(world.user)]).await;
    let offline = world.user_token(&[Ancestor::User(world.user)]).await;
    let bound = world.user_token(&[Ancestor::User(world.user), Ancestor::Session(session)]).await;
    add_chain(&world, &with_chain).await;
    world.store.run(world.kill(&offline)).await.unwrap();
    let over = NOW.plus(TOKENS_KEPT);
    assert_eq!(sweep(&world, SweptTable::Grants, over).await, 0);
    assert_eq!(sweep(&world, SweptTable::Grants, over.plus(SECOND)).await, 2);
    assert_eq!((count(&world, GRANTS).await, count(&world, KILLED).await), (1, 0));
    let world = world.reopened(place).await;
    for token in [&offline, &bound] {
        assert_eq!(world.why_dead(token).await, Some(Reason::GrantUnknown));
    }
    assert_eq!(world.why_dead(&with_chain).await, None);
}

/// Makes a child of a grant, as narrowing does when it has no more room.
struct AddChild(Stamp, GrantId);

impl Step for AddChild {
    type Out = GrantId;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<GrantId, StoreError> {
        let mut child = find_grant(tx, self.0.workspace, self.1).await?.unwrap();
        let parent = opalid_core::grant::Birth { ancestor: Ancestor::Grant(child.id), epoch: Epoch::FIRST };
        let parents = child.descent;
        child.descent = Descent::new(parents.client(), parents.user(), parents.births().chain([parent]));
        child.id = new_grant().id;
        assert!(insert_grant(tx, &self.0, &child, Some(&[9; 32]), &GrantFacts::default()).await?);
        Ok(child.id)
    }
}

async fn a_child_goes_with_its_parent_and_a_clients_own_grant_stays(place: &Place) {
    let world = World::new(place).await;
    let (own, _) = world.interned().await;
    let parent = world.user_token(&[Ancestor::User(world.user)]).await;
    let child = world.store.run(AddChild(world.stamp(), parent.sealed.grant)).await.unwrap();
    add_chain(&world, &parent).await;
    let over = END.plus(TOKENS_KEPT).plus(SECOND);
    assert_eq!(sweep(&world, SweptTable::Grants, over).await, 0, "tokens may still come of the parent's chain");
    assert_eq!(sweep(&world, SweptTable::Chains, over).await, 1);
    let removed = sweep(&world, SweptTable::Grants, over).await + sweep(&world, SweptTable::Grants, over).await;
    assert_eq!(removed, 2, "parent and child");
    let store = &world.store;
    assert!(store.load_evidence(world.workspace, child).await.unwrap().is_none());
    assert!(store.load_evidence(world.workspace, own).await.unwrap().is_some());
}

async fn a_chain_stays_until_the_last_token_that_came_of_it_is_over(place: &Place) {
    let world = World::new(place).await;
    let token = world.user_token(&[Ancestor::User(world.user)]).await;
    add_chain(&world, &token).await;
    assert_eq!(sweep(&world, SweptTable::Chains, END.plus(TOKENS_KEPT)).await, 0);
    assert_eq!(sweep(&world, SweptTable::Grants, END.plus(TOKENS_KEPT)).await, 0);
    assert_eq!(sweep(&world, SweptTable::Chains, END.plus(TOKENS_KEPT).plus(SECOND)).await, 1);
    assert_eq!(count(&world, CHAINS).await, 0);
}
