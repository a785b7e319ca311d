//! A grant that has no room for one more narrowed entitlement.

use std::collections::HashMap;
use std::sync::Arc;

use opalid_core::alive::Reason;
use opalid_core::grant::{Ancestor, Epoch};
use opalid_core::refresh::Wish;
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;

use super::super::on_every_engine;
use super::super::place::Place;
use super::{WORKSPACE, begin_with, entitlement, find, refresh_at, stamp, use_it};
use crate::steps::refresh::{Redeemed, Refresh};
use crate::steps::revoke::CutGrant;
use crate::steps::standing::child_of;

on_every_engine! {
    a_full_grant_hands_narrowed_tokens_to_a_child_that_dies_with_it;
    a_full_grant_refuses_one_more_combination_of_scopes_and_uses_nothing_up;
}

async fn a_full_grant_hands_narrowed_tokens_to_a_child_that_dies_with_it(place: &Place) {
    let store = &place.open().await;
    let names: Vec<String> = (0..80).map(|n| format!("s{n:02}")).collect();
    let (parent, secret) = begin_with(store, entitlement(&names.join(" "))).await;
    let mut holders = Vec::new();
    for name in &names {
        let wish = Wish { scope: Scopes::parse(name).unwrap(), ..Wish::default() };
        let refreshed = use_it(store, Refresh { wish, rotates: false, ..refresh_at(&secret, 1) }).await;
        assert_eq!(refreshed.grant.entitlement(refreshed.number), Some(&Arc::new(entitlement(name))));
        holders.push(refreshed.grant);
    }
    let child = holders.last().unwrap();
    assert_ne!(child.id, parent);
    assert_eq!(child.descent.lineage().epoch_of(Ancestor::Grant(parent)), Some(Epoch::FIRST));
    let judge = async || store.judge_lineage(WORKSPACE, &child.descent.lineage(), UnixTime(1)).await.unwrap();
    assert_eq!(judge().await, Ok(()));
    store.run(CutGrant { stamp: stamp(1), grant: parent, of_epoch: None, reason: "test" }).await.unwrap();
    assert_eq!(judge().await, Err(Reason::AncestorCut(Ancestor::Grant(parent))));
}

async fn a_full_grant_refuses_one_more_combination_of_scopes_and_uses_nothing_up(place: &Place) {
    let store = &place.open().await;
    let names: Vec<String> = (0..100).map(|n| format!("s{n:02}")).collect();
    let (parent, secret) = begin_with(store, entitlement(&names.join(" "))).await;
    let ask = |scope: &str, now| {
        let wish = Wish { scope: Scopes::parse(scope).unwrap(), ..Wish::default() };
        store.run(Refresh { wish, rotates: false, ..refresh_at(&secret, now) })
    };
    // 63 beside what was granted; then as many of one child as it holds.
    let pairs = names.iter().flat_map(|one| names.iter().filter(move |other| one < *other).map(move |it| (one, it)));
    let pairs = pairs.map(|(one, other)| format!("{one} {other}"));
    let mut pairs = pairs.filter(|scope| child_of(&entitlement(scope)).unwrap() == 7);
    let mut holders = HashMap::new();
    for scope in names.iter().take(63).cloned().chain(pairs.by_ref().take(64)) {
        let Redeemed::Good(refreshed) = ask(&scope, 1).await.unwrap() else { panic!("{scope}") };
        *holders.entry(refreshed.grant.id).or_insert(0) += 1;
    }
    assert_eq!((holders.len(), holders.remove(&parent)), (2, Some(63)));
    assert!(matches!(ask(&pairs.next().unwrap(), 2).await.unwrap(), Redeemed::Full));
    assert_eq!(find(store, &secret).await.chain.used_at, UnixTime(1));
    for held in [names[0].clone(), names.join(" ")] {
        assert!(matches!(ask(&held, 3).await.unwrap(), Redeemed::Good(_)), "{held}");
    }
}
