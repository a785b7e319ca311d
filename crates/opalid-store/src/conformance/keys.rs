//! Keys change only as they were seen, and under the master key that the store is under.

use opalid_core::ids::WorkspaceId;
use opalid_core::time::UnixTime;

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::World;
use crate::keys::{KeyPurpose, KeyState, MadeKeys, NewKey, WorkspaceKey};
use crate::steps::cell::{Cell, FindCell, MakeCell};
use crate::steps::delete::DeleteWorkspace;
use crate::steps::keys::{
    AddedAs, ChangeKeys, ChangedKeys, CountSealed, FindOldestSealed, KeyChange, KeyEvent, ListWrapped, RewrapKeys,
    SeenKeys, Thumbprints,
};
use crate::steps::settle_rewrap::{SettleRewrap, SettledUnder};
use crate::steps::shared_key::{ChangeSharedKey, SeenSigning};
use crate::steps::workspace::{ByWorkspace, FindWorkspace, ListWorkspaces};

on_every_engine! {
    of_two_changes_decided_on_the_same_keys_one_is_made;
    a_key_under_another_master_key_does_not_enter;
    a_key_that_was_revoked_never_enters_again_not_even_when_its_workspace_has_gone;
    keys_of_several_workspaces_change_in_all_or_in_none;
    all_keys_are_wrapped_anew_or_none;
    once_a_rewrap_is_settled_one_that_comes_later_does_nothing;
    a_workspace_with_nothing_sealed_has_no_oldest_row;
}

pub(super) async fn world(place: &Place) -> World {
    let world = World::new(place).await;
    if world.store.read(FindCell).await.unwrap().is_none() {
        let cell = Cell { key_check: vec![1], root_workspace: None, demo: false };
        world.store.run(MakeCell { cell, now: UnixTime(1) }).await.unwrap();
    }
    world
}

pub(super) async fn check(world: &World) -> Vec<u8> {
    world.store.read(FindCell).await.unwrap().unwrap().key_check
}

async fn keys(world: &World) -> Vec<WorkspaceKey> {
    let step = FindWorkspace(ByWorkspace::Id(world.workspace));
    world.store.read(step).await.unwrap().unwrap().keys
}

/// A rotation of the sealing key to one of that number, decided on these keys.
fn rotation(world: &World, seen: &[WorkspaceKey], key_check: &[u8], number: u8) -> ChangeKeys {
    let purpose = KeyPurpose::Sealing;
    let current = seen.iter().find(|key| key.purpose == purpose && key.state.is_current()).unwrap();
    let key = NewKey { purpose, number, algorithm: String::new(), wrapped: vec![number; 40] };
    ChangeKeys {
        stamp: world.stamp(),
        purpose,
        seen: SeenKeys::of(seen, purpose),
        made: MadeKeys { key_check: key_check.to_vec(), keys: vec![key] },
        changes: vec![KeyChange::Stop(current.number), KeyChange::Add(number, AddedAs::Current)],
        thumbprints: Thumbprints::default(),
        event: (KeyEvent::Rotated, "sealing keys".into()),
    }
}

async fn of_two_changes_decided_on_the_same_keys_one_is_made(place: &Place) {
    let world = world(place).await;
    let (before, check) = (keys(&world).await, check(&world).await);
    let (one, other) = (rotation(&world, &before, &check, 8), rotation(&world, &before, &check, 9));
    let (one, other) = tokio::join!(world.store.run(one), world.store.run(other));
    let made = [one.unwrap(), other.unwrap()];
    assert!(made.contains(&ChangedKeys::Done) && made.contains(&ChangedKeys::Moved), "{made:?}");
    let after = keys(&world).await;
    let sealing: Vec<_> = after.iter().filter(|key| key.purpose == KeyPurpose::Sealing).collect();
    assert_eq!(sealing.len(), 2);
    let stopped = sealing.iter().find(|key| matches!(key.state, KeyState::Previous { .. })).unwrap();
    assert_eq!((stopped.number, stopped.state), (1, KeyState::Previous { until: world.stamp().now }));
    assert!(sealing.iter().any(|key| key.state == KeyState::Current { since: world.stamp().now }));
}

async fn a_key_under_another_master_key_does_not_enter(place: &Place) {
    let world = world(place).await;
    let before = keys(&world).await;
    let step = rotation(&world, &before, b"another", 8);
    assert_eq!(world.store.run(step).await.unwrap(), ChangedKeys::Moved);
    assert_eq!(keys(&world).await.len(), before.len());
    let mut workspace = world.create_workspace("other");
    workspace.stamp.workspace = WorkspaceId::from_bytes([77; 16]);
    workspace.keys.key_check = b"another".to_vec();
    assert!(world.store.run(workspace).await.is_err());
    assert!(world.store.find_workspace("other").await.unwrap().is_none());
}

async fn a_key_that_was_revoked_never_enters_again_not_even_when_its_workspace_has_gone(place: &Place) {
    let world = world(place).await;
    let check = check(&world).await;
    for number in [8, 9] {
        let revoked = vec!["one".to_owned(), "two".to_owned()];
        let step = rotation(&world, &keys(&world).await, &check, number);
        let step = ChangeKeys { thumbprints: Thumbprints { revoked, imported: None }, ..step };
        assert_eq!(world.store.run(step).await.unwrap(), ChangedKeys::Done, "said twice, it is the same");
    }
    let before = keys(&world).await.len();
    let import = async |kid: &str| {
        let step = rotation(&world, &keys(&world).await, &check, 10);
        let thumbprints = Thumbprints { revoked: Vec::new(), imported: Some(kid.to_owned()) };
        world.store.run(ChangeKeys { thumbprints, ..step }).await.unwrap()
    };
    for kid in ["one", "two"] {
        assert_eq!(import(kid).await, ChangedKeys::Revoked(world.stamp().now));
    }
    assert_eq!(keys(&world).await.len(), before);
    assert_eq!(import("three").await, ChangedKeys::Done);
    assert!(world.store.run(DeleteWorkspace { stamp: world.stamp() }).await.unwrap());
    let world = World { workspace: WorkspaceId::from_bytes(unique_bytes()), ..world.clone() };
    let mut workspace = world.create_workspace("default");
    workspace.keys.key_check = check.clone();
    assert!(world.store.run(workspace).await.unwrap());
    let step = rotation(&world, &keys(&world).await, &check, 10);
    let thumbprints = Thumbprints { revoked: Vec::new(), imported: Some("one".into()) };
    let made = world.store.run(ChangeKeys { thumbprints, ..step }).await.unwrap();
    assert_eq!(made, ChangedKeys::Revoked(world.stamp().now));
}

async fn keys_of_several_workspaces_change_in_all_or_in_none(place: &Place) {
    let world = world(place).await;
    let check = check(&world).await;
    let other = World { workspace: WorkspaceId::from_bytes(unique_bytes()), ..world.clone() };
    let mut workspace = other.create_workspace("other");
    let (purpose, wrapped) = (KeyPurpose::Signing, vec![1; 40]);
    workspace.keys.keys.push(NewKey { purpose, number: 1, algorithm: "EdDSA".into(), wrapped });
    workspace.keys.key_check = check.clone();
    assert!(world.store.run(workspace).await.unwrap());
    let seen = async || {
        let mut seen = SeenSigning::default();
        for workspace in world.store.read(ListWorkspaces).await.unwrap() {
            let record = world.store.read(FindWorkspace(ByWorkspace::Id(workspace.id))).await.unwrap();
            seen.add(&record.unwrap());
        }
        seen
    };
    let numbers = async |world: &World| {
        let record = world.store.find_workspace_by_id(world.workspace).await.unwrap().unwrap();
        let sealing = record.keys.iter().filter(|key| key.purpose == KeyPurpose::Sealing);
        sealing.map(|key| key.number).collect::<Vec<_>>()
    };
    let (one, two) = (keys(&world).await, keys(&other).await);
    let both = |number: u8, seen: SeenSigning| ChangeSharedKey {
        seen,
        parts: vec![rotation(&world, &one, &check, number), rotation(&other, &two, &check, number)],
    };
    assert_eq!(world.store.run(both(8, SeenSigning::default())).await.unwrap(), ChangedKeys::Moved);
    assert_eq!((numbers(&world).await, numbers(&other).await), (vec![1], vec![1]));
    assert_eq!(world.store.run(both(8, seen().await)).await.unwrap(), ChangedKeys::Done);
    assert_eq!((numbers(&world).await, numbers(&other).await), (vec![1, 8], vec![1, 8]), "memory knows of it");
    let half = ChangeSharedKey {
        seen: seen().await,
        parts: vec![rotation(&world, &keys(&world).await, &check, 9), rotation(&other, &two, &check, 9)],
    };
    assert_eq!(world.store.run(half).await.unwrap(), ChangedKeys::Moved);
    assert_eq!((numbers(&world).await, numbers(&other).await), (vec![1, 8], vec![1, 8]));
}

async fn all_keys_are_wrapped_anew_or_none(place: &Place) {
    let world = world(place).await;
    let check = check(&world).await;
    let wrapped = world.store.read(ListWrapped).await.unwrap();
    let anew = |check: Vec<u8>| RewrapKeys {
        stamp: world.stamp(),
        key_check: (check, vec![2]),
        keys: wrapped.iter().map(|key| (key.clone(), vec![0; 3])).collect(),
    };
    assert_eq!(world.store.run(anew(vec![9])).await.unwrap(), ChangedKeys::Moved);
    let mut less = anew(check.clone());
    less.keys.pop();
    assert_eq!(world.store.run(less).await.unwrap(), ChangedKeys::Moved);
    assert!(keys(&world).await.iter().all(|key| key.wrapped.len() == 40));
    world.store.find_workspace_by_id(world.workspace).await.unwrap();
    assert_eq!(world.store.run(anew(check.clone())).await.unwrap(), ChangedKeys::Done);
    let record = world.store.find_workspace_by_id(world.workspace).await.unwrap().unwrap();
    assert!(record.keys.iter().all(|key| key.wrapped == [0; 3]), "memory knows of it");
    assert_eq!(world.store.run(anew(check)).await.unwrap(), ChangedKeys::Moved);
}

async fn once_a_rewrap_is_settled_one_that_comes_later_does_nothing(place: &Place) {
    let world = world(place).await;
    let check = check(&world).await;
    let wrapped = world.store.read(ListWrapped).await.unwrap();
    let anew = |check: &[u8]| RewrapKeys {
        stamp: world.stamp(),
        key_check: (check.to_vec(), vec![2]),
        keys: wrapped.iter().map(|key| (key.clone(), vec![0; 3])).collect(),
    };
    let settle = |check: &[u8], staying: u8| SettleRewrap {
        stamp: world.stamp(),
        key_check: (check.to_vec(), vec![2]),
        staying: vec![staying],
    };
    for _ in 0..2 {
        assert_eq!(world.store.run(settle(&check, 7)).await.unwrap(), SettledUnder::Former);
        assert_eq!(world.store.run(anew(&check)).await.unwrap(), ChangedKeys::Moved);
    }
    assert!(keys(&world).await.iter().all(|key| key.wrapped.len() == 40));
    assert!(world.store.run(settle(&check, 8)).await.is_err(), "it is under another one");
    assert_eq!(world.store.run(anew(&[7])).await.unwrap(), ChangedKeys::Done);
    assert_eq!(world.store.run(settle(&[7], 8)).await.unwrap(), SettledUnder::New);
    assert_eq!(world.store.read(FindCell).await.unwrap().unwrap().key_check, [2]);
}

async fn a_workspace_with_nothing_sealed_has_no_oldest_row(place: &Place) {
    let world = world(place).await;
    assert_eq!(world.store.read(FindOldestSealed(world.workspace)).await.unwrap(), None);
    assert_eq!(world.store.read(CountSealed(world.workspace)).await.unwrap(), (0, 0));
}
