//! Copies of a store, and what is put back from one.

use std::path::Path;

use opalid_core::alive::Reason;
use opalid_core::grant::Ancestor;
use opalid_core::ids::EventId;
use opalid_core::workspace::WorkspaceSettings;

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{NOW, World};
use crate::keys::{KeyPurpose, MadeKeys, NewKey};
use crate::steps::Stamp;
use crate::steps::cell::{Cell, MakeCell};
use crate::steps::first_keys::{GiveKeys, ListKeyless};
use crate::steps::keys::{ChangeKeys, ChangedKeys, KeyEvent, SeenKeys, Thumbprints};
use crate::steps::restore::Restore;
use crate::steps::workspace::CreateWorkspace;
use crate::{Copier, Location, StoreError};

on_every_engine! {
    what_was_put_back_has_a_new_incarnation_and_nothing_in_it_lives;
    what_was_put_back_has_no_keys_until_it_is_given_new_ones_and_revoked_ones_stay_known;
    a_look_changes_nothing_and_finds_what_there_is;
}

pub fn step() -> Restore {
    Restore {
        incarnation: unique_bytes(),
        owner: unique_bytes(),
        now: NOW,
        event: EventId::from_bytes(unique_bytes()),
        initiator: "test".into(),
    }
}

async fn what_was_put_back_has_a_new_incarnation_and_nothing_in_it_lives(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let (incarnation, position) = (world.store.memory().incarnation(), world.store.memory().position());
    let step = step();
    let (drawn, owner) = (step.incarnation, step.owner);
    let world = World { store: place.reopen_as(world.store, owner).await, ..world };
    assert_eq!(world.store.memory().incarnation(), incarnation, "a start alone draws none");
    assert_eq!(world.why_dead(&token).await, None);
    assert_eq!(world.store.run(step).await.unwrap().workspaces, ["default"]);
    let world = world.reopened(place).await;
    assert_eq!(world.store.memory().incarnation().0, drawn);
    assert!(world.store.memory().position() > position);
    assert_eq!(world.why_dead(&token).await, Some(Reason::AncestorCut(Ancestor::Workspace(world.workspace))));
}

async fn what_was_put_back_has_no_keys_until_it_is_given_new_ones_and_revoked_ones_stay_known(place: &Place) {
    let world = World::new(place).await;
    let check = b"master".to_vec();
    let cell = Cell { key_check: check.clone(), root_workspace: Some(world.workspace), demo: false };
    world.store.run(MakeCell { cell, now: NOW }).await.unwrap();
    let keys = async |world: &World| {
        let record = world.store.find_workspace_by_id(world.workspace).await.unwrap().unwrap();
        record.keys.iter().map(|key| (key.purpose, key.number, key.wrapped[0])).collect::<Vec<_>>()
    };
    let stamp = world.stamp();
    let stamped = || Stamp { event: EventId::from_bytes(unique_bytes()), ..stamp.clone() };
    let change = |thumbprints| ChangeKeys {
        stamp: stamped(),
        purpose: KeyPurpose::Signing,
        seen: SeenKeys::of(&[], KeyPurpose::Signing),
        made: MadeKeys { key_check: check.clone(), keys: Vec::new() },
        changes: Vec::new(),
        thumbprints,
        event: (KeyEvent::Revoked, "a key".into()),
    };
    let revoked = Thumbprints { revoked: vec!["one".into()], imported: None };
    assert_eq!(world.store.run(change(revoked)).await.unwrap(), ChangedKeys::Done);
    let had = keys(&world).await;
    let give = |key_check: &[u8]| {
        let key = NewKey { purpose: KeyPurpose::Page, number: 1, algorithm: String::new(), wrapped: vec![9] };
        GiveKeys { stamp: stamped(), keys: MadeKeys { key_check: key_check.to_vec(), keys: vec![key] } }
    };
    assert!(!world.store.run(give(&check)).await.unwrap() && keys(&world).await == had);
    assert!(world.store.read(ListKeyless).await.unwrap().is_empty());

    let step = step();
    let owner = step.owner;
    let world = World { store: place.reopen_as(world.store, owner).await, ..world };
    world.store.run(step).await.unwrap();
    let world = world.reopened(place).await;
    assert_eq!(keys(&world).await, []);
    let keyless = world.store.read(ListKeyless).await.unwrap();
    let [(workspace, name)] = keyless.as_slice() else { panic!("{keyless:?}") };
    let named = world.store.find_workspace(name).await.unwrap().unwrap();
    assert_eq!((*workspace, named.workspace.id), (world.workspace, world.workspace));
    assert!(!world.store.run(give(b"another")).await.unwrap());
    assert!(world.store.run(give(&check)).await.unwrap());
    assert_eq!(keys(&world).await, [(KeyPurpose::Page, 1, 9)], "memory knows of it");
    assert!(!world.store.run(give(&check)).await.unwrap() && world.store.read(ListKeyless).await.unwrap().is_empty());
    let imported = Thumbprints { revoked: Vec::new(), imported: Some("one".into()) };
    assert_eq!(world.store.run(change(imported)).await.unwrap(), ChangedKeys::Revoked(NOW));
}

async fn a_look_changes_nothing_and_finds_what_there_is(place: &Place) {
    let location = match place {
        Place::Sqlite(path) => Location::Sqlite(path.clone()),
        Place::Postgres { .. } => Location::postgres(&place.url(), None).unwrap(),
    };
    assert!(location.look().await.unwrap().is_none());
    let world = World::new(place).await;
    assert!(location.look().await.unwrap().is_none());
    let cell = Cell { key_check: vec![3], root_workspace: Some(world.workspace), demo: false };
    world.store.run(MakeCell { cell, now: NOW }).await.unwrap();
    let Place::Sqlite(path) = place else {
        assert_eq!(location.look().await.unwrap().unwrap().key_check, [3]);
        let refused = world.store.copier();
        assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.contains("pg_dump")), "{refused:?}");
        return;
    };
    // As after a crash: what was committed lies in the -wal alone.
    let crashed = path.with_file_name("crashed.db");
    let beside = |path: &Path| path.with_extension("db-wal");
    std::fs::copy(path, &crashed).unwrap();
    std::fs::copy(beside(path), beside(&crashed)).unwrap();
    let bytes = || (std::fs::read(&crashed).unwrap(), std::fs::read(beside(&crashed)).unwrap());
    let before = bytes();
    assert_eq!(Location::Sqlite(crashed.clone()).look().await.unwrap().unwrap().key_check, [3]);
    assert!(bytes() == before);
}

/// A store whose copy takes several strides, on a file.
async fn large(place: &Place) -> (World, Copier) {
    let world = World::new(place).await;
    let cell = Cell { key_check: Vec::new(), root_workspace: Some(world.workspace), demo: false };
    world.store.run(MakeCell { cell, now: NOW }).await.unwrap();
    for number in 0..30 {
        let settings = WorkspaceSettings { display_name: "x".repeat(500_000), ..Default::default() };
        assert!(world.store.run(another(&world, &format!("large-{number}"), settings)).await.unwrap());
    }
    let copier = world.store.copier().unwrap();
    (world, copier)
}

fn another(world: &World, name: &str, settings: WorkspaceSettings) -> CreateWorkspace {
    let mut step = world.create_workspace(name);
    step.stamp.workspace = opalid_core::ids::WorkspaceId::from_bytes(unique_bytes());
    CreateWorkspace { settings, ..step }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_one_moment_of_a_store_that_is_written_to_meanwhile() {
    let place = Place::sqlite();
    let Place::Sqlite(path) = &place else { unreachable!() };
    let (to, restored) = (path.with_file_name("copy"), path.with_file_name("restored.db"));
    let (world, copier) = large(&place).await;
    let mut strides = Vec::new();
    let mut late = 0;
    tokio::task::block_in_place(|| {
        copier.copy(&to, &mut |at| {
            strides.push(at.done);
            late += 1;
            let step = another(&world, &format!("late-{late}"), WorkspaceSettings::default());
            tokio::runtime::Handle::current().block_on(world.store.run(step)).unwrap()
        })
    })
    .unwrap();
    assert!(strides.len() > 2 && strides.is_sorted(), "it does not begin again: {strides:?}");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&to).unwrap().permissions()) & 0o777, 0o600);
    let again = copier.copy(&to, &mut |_| true);
    assert!(matches!(&again, Err(StoreError::Refused(why)) if why.contains("is there already")), "{again:?}");

    let at = Location::Sqlite(restored.clone());
    let mut told = Vec::new();
    let names = at.restore_from(&to, &step(), &mut |at| told.push((at.done, at.total))).unwrap().workspaces;
    assert!(told.len() > 2 && told.last().is_some_and(|(done, total)| done == total), "{told:?}");
    assert!(names.len() == 31 && !names.iter().any(|name| name.starts_with("late")), "{names:?}");
    let again = at.restore_from(&to, &step(), &mut |_| {});
    assert!(matches!(&again, Err(StoreError::Refused(why)) if why.contains("is there already")), "{again:?}");
    let running = Location::Sqlite(path.clone()).restore_from(&to, &step(), &mut |_| {});
    assert!(matches!(&running, Err(StoreError::Refused(why)) if why.contains("another server")), "{running:?}");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_given_up_or_is_none_leaves_nothing_behind() {
    let place = Place::sqlite();
    let Place::Sqlite(path) = &place else { unreachable!() };
    let (world, copier) = large(&place).await;
    let to = path.with_file_name("copy");
    let given_up = tokio::task::block_in_place(|| copier.copy(&to, &mut |_| false));
    assert!(matches!(given_up, Err(StoreError::Unavailable(_))));
    std::fs::write(&to, "not a store".repeat(1000)).unwrap();
    let restored = path.with_file_name("restored.db");
    assert!(Location::Sqlite(restored).restore_from(&to, &step(), &mut |_| {}).is_err());
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let unexpected = |name: &str| name.contains(".part") || name.starts_with("restored.db");
    assert!(!left.iter().any(|name| unexpected(name.to_str().unwrap())), "{left:?}");
    drop(world);
    place.remove().await;
}

#[tokio::test]
async fn a_copy_goes_where_nobody_can_put_a_file_in_its_place_and_is_none_if_somebody_did() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite();
    let Place::Sqlite(path) = &place else { unreachable!() };
    let (_world, copier) = large(&place).await;
    let folder = path.with_file_name("folder");
    fs::create_dir(&folder).unwrap();
    let (to, part) = (folder.join("copy"), folder.join("copy.part"));
    for (mode, safe) in [(0o777, false), (0o770, false), (0o1777, true), (0o755, true)] {
        fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        let said = copier.copy(&to, &mut |_| true).map_err(|refused| refused.to_string());
        assert_eq!((said.is_ok(), to.exists()), (safe, safe), "{mode:o}: {said:?}");
        assert!(said.err().is_none_or(|why| why.contains(&format!("(mode {mode:04o})")) && why.contains("chmod 700 ")));
        drop(fs::remove_file(&to));
    }
    let theirs = folder.join("theirs");
    let said = copier.copy(&to, &mut |_| {
        fs::write(&theirs, "theirs").unwrap();
        fs::rename(&theirs, &part).is_ok()
    });
    assert!(said.is_err() && !to.exists() && !part.exists(), "{said:?}");
    let said = copier.copy(&to, &mut |_| fs::set_permissions(&part, Permissions::from_mode(0o666)).is_ok());
    assert!(matches!(&said, Err(StoreError::Refused(why)) if why.contains("opened it to others")), "{said:?}");
    assert!(!to.exists() && !part.exists());
    place.remove().await;
}
