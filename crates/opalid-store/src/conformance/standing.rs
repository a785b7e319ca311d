//! The standing grant of a client: one, whoever asks at once; and its overflow.

use std::collections::{BTreeMap, BTreeSet};

use opalid_core::grant::{ENTITLEMENTS_MAX, Entitlement, Epoch};
use opalid_core::ids::ClientId;
use opalid_core::scope::Scopes;

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{NOW, World, scopes};
use crate::memory::StandingKey;
use crate::steps::client::ClientEvent;
use crate::steps::events::{EventRange, ListEvents};
use crate::steps::standing::{Interned, StandingEntitlement, child_of};

on_every_engine! {
    asking_twice_at_once_gives_one_grant;
    entitlements_interned_at_once_overflow_into_children;
    other_epochs_have_another_standing_grant;
    a_warm_standing_entitlement_is_the_same;
    a_cut_standing_grant_is_replaced;
    a_client_that_filled_its_standing_grant_keeps_what_it_has_and_begins_anew_once_it_is_revoked;
}

const FIRST: (u32, u32) = (Epoch::FIRST.0, Epoch::FIRST.0);

async fn asking_twice_at_once_gives_one_grant(place: &Place) {
    let world = World::new(place).await;
    for round in 0..20 {
        let epochs = (FIRST.0, 100 + round);
        let ask = || world.intern(world.standing(epochs, world.read()));
        let (one, other, third) = tokio::join!(ask(), ask(), ask());
        assert_eq!(one, other);
        assert_eq!(one, third);
    }
}

async fn entitlements_interned_at_once_overflow_into_children(place: &Place) {
    let world = World::new(place).await;
    let tasks = (0..8).map(|_| {
        let world = world.clone();
        tokio::spawn(async move {
            let mut got = Vec::new();
            for number in 0..70 {
                let entitlement = Entitlement::new(scopes(&format!("scope-{number}")), Vec::new());
                got.push(world.intern(world.standing(FIRST, entitlement)).await);
            }
            got
        })
    });
    let mut seen = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        seen.push(task.await.unwrap());
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "all are told the same");
    let places = seen[0].iter().map(|(grant, at)| (*grant, at.0)).collect::<BTreeSet<_>>();
    assert_eq!(places.len(), 70);
    let mut per_grant = BTreeMap::new();
    for (grant, _) in places {
        *per_grant.entry(grant).or_insert(0) += 1;
    }
    let range = EventRange::Before(None);
    let events = world.store.read(ListEvents { workspace: world.workspace, range, limit: 100 }).await.unwrap();
    let made = events.into_iter().filter(|event| event.action == "grant.made").map(|event| event.target);
    let grants = per_grant.keys().map(|grant| format!("grant {grant}"));
    assert_eq!(made.collect::<BTreeSet<_>>(), grants.collect(), "each is in the audit log");
    let full = per_grant.values().filter(|held| **held == 64).count();
    assert_eq!((full, per_grant.values().sum::<u32>()), (1, 70), "{per_grant:?}");
    for (number, (grant, at)) in seen[0].iter().enumerate() {
        let evidence = world.store.load_evidence(world.workspace, *grant).await.unwrap().unwrap();
        let held = evidence.grant.grant.entitlement(*at).unwrap();
        assert_eq!(held.openid, scopes(&format!("scope-{number}")));
        assert_eq!(world.why_dead(&world.token(*grant, *at).await).await, None);
    }
}

async fn other_epochs_have_another_standing_grant(place: &Place) {
    let world = World::new(place).await;
    let (first, _) = world.interned().await;
    let (second, _) = world.intern(world.standing((FIRST.0, FIRST.1 + 1), world.read())).await;
    assert_ne!(first, second);
}

async fn a_warm_standing_entitlement_is_the_same(place: &Place) {
    let world = World::new(place).await;
    let ask = async || {
        let step = world.standing(FIRST, world.read());
        let epochs = step.epochs;
        let key = StandingKey { client: step.client, epochs, entitlement: step.entitlement.clone() };
        let known = world.store.find_standing(world.workspace, &key, NOW).await.unwrap();
        let was_known = known.is_some();
        let (grant, number) = match known {
            Some(known) => known,
            None => world.store.make_standing(step).await.unwrap().unwrap(),
        };
        (was_known, (grant.grant.id, number))
    };
    let (was_known, cold) = ask().await;
    assert!(!was_known);
    assert_eq!((ask().await, cold), ((true, cold), world.interned().await));
    assert!(world.touch_client(ClientEvent::Revoked).await);
    let client = world.store.find_client(world.workspace, "app").await.unwrap().unwrap();
    let step = world.standing((FIRST.0, client.epoch.0), world.read());
    assert!(!ask().await.0, "what was cut is not known any more");
    let (grant, number) = world.store.make_standing(step).await.unwrap().unwrap();
    assert_ne!(grant.grant.id, cold.0);
    assert_eq!(world.why_dead(&world.mint(&grant, number)).await, None);
    assert_eq!(grant.grant.entitlements[0].openid, Scopes::default());
}

async fn a_cut_standing_grant_is_replaced(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let old = world.token(grant, number).await;
    world.cut(grant).await;
    let (second, number) = world.interned().await;
    assert_ne!(grant, second);
    let new = world.token(second, number).await;
    assert!(world.why_dead(&old).await.is_some());
    assert_eq!(world.why_dead(&new).await, None);
}

async fn a_client_that_filled_its_standing_grant_keeps_what_it_has_and_begins_anew_once_it_is_revoked(place: &Place) {
    let world = World::new(place).await;
    let mut names = (0..).map(|number| Entitlement::new(scopes(&format!("scope-{number}")), Vec::new()));
    let held: Vec<Entitlement> = names.by_ref().take(ENTITLEMENTS_MAX).collect();
    let mut same_child = names.filter(|entitlement| child_of(entitlement).unwrap() == 7);
    let overflow: Vec<Entitlement> = same_child.by_ref().take(ENTITLEMENTS_MAX).collect();
    let one_more = same_child.next().unwrap();
    let mut grants = BTreeSet::new();
    for entitlement in held.iter().chain(&overflow) {
        grants.insert(world.intern(world.standing(FIRST, entitlement.clone())).await.0);
    }
    assert_eq!(grants.len(), 2, "the grant and one child");

    let ask = async |entitlement: &Entitlement, epochs| {
        world.store.run(world.standing(epochs, entitlement.clone())).await.unwrap()
    };
    assert_eq!(ask(&one_more, FIRST).await, Interned::Full);
    for entitlement in [&held[0], &overflow[0], &overflow[63]] {
        assert!(matches!(ask(entitlement, FIRST).await, Interned::At(grant, _) if grants.contains(&grant)));
    }
    let other =
        StandingEntitlement { client: ClientId::from_bytes(unique_bytes()), ..world.standing(FIRST, one_more.clone()) };
    assert!(matches!(world.store.run(other).await.unwrap(), Interned::At(..)), "another client has a grant of its own");
    assert!(matches!(ask(&one_more, (FIRST.0, FIRST.1 + 1)).await, Interned::At(..)), "under a new epoch it is empty");
}
