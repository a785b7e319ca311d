//! What is written is read back: every plain step.

use opalid_core::alive::Standing;
use opalid_core::grant::{Ancestor, Birth, Epoch, Lineage};
use opalid_core::ids::{ClientId, ConsentId, GrantId, ResourceId, SessionId, UserId, WorkspaceId};
use opalid_core::token::Jti;

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{END, NOW, World};
use crate::StoreError;
use crate::steps::cell::{Cell, FindCell, FindIssuer, MakeCell, RememberIssuer};
use crate::steps::client::{ClientEvent, TouchClient};
use crate::steps::evidence::LoadStandings;
use crate::steps::revoke::{CutGrant, KillLimits, KillToken, Revoked};
use crate::steps::user::{TouchUser, UserEvent};
use crate::steps::workspace::ListWorkspaces;

on_every_engine! {
    what_is_written_is_read_back;
    a_taken_name_is_refused_and_changes_nothing;
    what_is_not_there_is_not_found;
    ancestors_read_together_stand_as_each_by_itself;
    the_cell_is_written_once;
    the_issuer_is_the_one_that_the_store_was_last_opened_with;
    a_second_server_on_a_file_is_refused_and_on_a_database_it_is_another_node;
}

async fn what_is_written_is_read_back(place: &Place) {
    let mut world = World::new(place).await;
    for again in [false, true] {
        if again {
            world = world.reopened(place).await;
        }
        let store = &world.store;
        let record = store.find_workspace("default").await.unwrap().unwrap();
        assert_eq!((record.workspace.id, &*record.workspace.settings.display_name), (world.workspace, "Ünïcode"));
        assert_eq!(record.keys.len(), 2);
        let client = store.find_client(world.workspace, "app").await.unwrap().unwrap();
        assert_eq!((client.id, &*client.settings.name, client.secrets.len()), (world.client, "App", 1));
        assert_eq!(client.secrets[0].expires_at, None);
        let resource = store.find_resource(world.workspace, "https://api.example/").await.unwrap().unwrap();
        assert_eq!((resource.id, resource.settings.scopes.as_str()), (world.resource, "read write"));
        let user = store.find_user(world.workspace, world.user).await.unwrap().unwrap();
        assert_eq!((&*user.username, user.enabled, user.admin), ("alice", true, true));
        assert_eq!(store.read(ListWorkspaces).await.unwrap().len(), 1);
    }
}

async fn a_taken_name_is_refused_and_changes_nothing(place: &Place) {
    let world = World::new(place).await;
    let other = World {
        workspace: WorkspaceId::from_bytes(unique_bytes()),
        client: ClientId::from_bytes(unique_bytes()),
        resource: ResourceId::from_bytes(unique_bytes()),
        user: UserId::from_bytes(unique_bytes()),
        ..world.clone()
    };
    assert!(!world.store.run(other.create_workspace("default")).await.unwrap());
    let same_workspace = World { workspace: world.workspace, ..other };
    assert!(!world.store.run(same_workspace.create_client("app")).await.unwrap());
    assert!(!world.store.run(same_workspace.create_resource("https://api.example/")).await.unwrap());
    assert!(!world.store.run(same_workspace.create_user("ALICE")).await.unwrap());
    assert_eq!(world.store.find_client(world.workspace, "app").await.unwrap().unwrap().id, world.client);
}

async fn what_is_not_there_is_not_found(place: &Place) {
    let world = World::new(place).await;
    let (store, workspace) = (&world.store, world.workspace);
    assert!(store.find_workspace("other").await.unwrap().is_none());
    assert!(store.find_client(workspace, "APP").await.unwrap().is_none());
    assert!(store.find_user(workspace, UserId::from_bytes([0; 16])).await.unwrap().is_none());
    let grant = GrantId::from_bytes([0; 16]);
    assert_eq!(world.cut(grant).await, Revoked::Unknown);
    let kill = KillToken {
        stamp: world.stamp(),
        grant,
        epoch: Epoch::FIRST,
        jti: Jti([0; 12]),
        expires_at: END,
        limits: KillLimits::default(),
    };
    assert_eq!(store.run(kill).await.unwrap(), Revoked::Unknown);
    let stamp = world.stamp();
    let id = UserId::from_bytes([0; 16]);
    assert!(!store.run(TouchUser { stamp: stamp.clone(), id, event: UserEvent::Revoked }).await.unwrap());
    let id = ClientId::from_bytes([0; 16]);
    assert!(!store.run(TouchClient { stamp: stamp.clone(), id, event: ClientEvent::Revoked }).await.unwrap());
    let wrong = CutGrant { stamp, grant, of_epoch: None, reason: "" };
    assert_eq!(store.run(wrong).await.unwrap(), Revoked::Unknown);
}

async fn ancestors_read_together_stand_as_each_by_itself(place: &Place) {
    let world = World::new(place).await;
    world.touch_user(UserEvent::SignedOutEverywhere).await;
    world.touch_client(ClientEvent::Suspended).await;
    let (one, _) = world.interned().await;
    let other = world.user_token(&[Ancestor::Grant(one)]).await.sealed.grant;
    world.cut(other).await;
    let (nobody, nothing) = (UserId::from_bytes(unique_bytes()), unique_bytes());
    let of_all = [
        Ancestor::Workspace(world.workspace),
        Ancestor::Client(world.client),
        Ancestor::User(world.user),
        Ancestor::Credentials(world.user),
        Ancestor::Session(SessionId::from_bytes(nothing)),
        Ancestor::Consent(ConsentId::from_bytes(nothing)),
        Ancestor::Grant(one),
        // What a delegated grant may hang from: another person, grants of grants.
        Ancestor::User(nobody),
        Ancestor::Grant(other),
        Ancestor::Grant(GrantId::from_bytes(nothing)),
    ];
    for ancestors in [&of_all[..], &of_all[1..2], &of_all[7..], &[]] {
        let births = ancestors.iter().map(|ancestor| Birth { ancestor: *ancestor, epoch: Epoch::FIRST });
        let together = LoadStandings { workspace: world.workspace, lineage: Lineage::new(births) };
        let mut by_themselves = Vec::new();
        for ancestor in ancestors {
            by_themselves.push((*ancestor, world.standing_of(*ancestor).await));
        }
        assert_eq!(world.store.read(together).await.unwrap(), by_themselves);
    }
    let known = |standing: Option<Standing>| standing.map(|standing| (standing.epoch.0, standing.enabled));
    let (user, credentials) = (Ancestor::User(world.user), Ancestor::Credentials(world.user));
    assert_eq!(known(world.standing_of(user).await), Some((1, true)));
    assert_eq!(known(world.standing_of(credentials).await), Some((2, true)));
    assert_eq!(known(world.standing_of(Ancestor::Client(world.client)).await), Some((2, false)));
    assert_eq!(known(world.standing_of(Ancestor::Workspace(world.workspace)).await), Some((1, true)));
    assert_eq!(known(world.standing_of(Ancestor::Grant(one)).await), Some((1, true)));
    assert_eq!(known(world.standing_of(Ancestor::Grant(other)).await), Some((2, true)));
    assert_eq!(known(world.standing_of(Ancestor::User(nobody)).await), None);
}

async fn the_cell_is_written_once(place: &Place) {
    let world = World::new(place).await;
    assert!(world.store.read(FindCell).await.unwrap().is_none());
    let cell = Cell { key_check: vec![0, 1, 255], root_workspace: Some(world.workspace), demo: true };
    world.store.run(MakeCell { cell: cell.clone(), now: NOW }).await.unwrap();
    let found = world.store.read(FindCell).await.unwrap().unwrap();
    assert_eq!((found.key_check, found.root_workspace, found.demo), (vec![0, 1, 255], Some(world.workspace), true));
    let again = world.store.run(MakeCell { cell, now: NOW }).await;
    assert!(matches!(again, Err(StoreError::Statement(_))), "{again:?}");
}

async fn the_issuer_is_the_one_that_the_store_was_last_opened_with(place: &Place) {
    let world = World::new(place).await;
    assert_eq!(world.store.read(FindIssuer).await.unwrap(), None);
    let cell = Cell { key_check: vec![1], root_workspace: Some(world.workspace), demo: false };
    world.store.run(MakeCell { cell, now: NOW }).await.unwrap();
    assert_eq!(world.store.read(FindIssuer).await.unwrap(), None, "as one from an earlier version");
    for issuer in ["https://one.example", "https://other.example"] {
        world.store.run(RememberIssuer { issuer: issuer.into() }).await.unwrap();
        assert_eq!(world.store.read(FindIssuer).await.unwrap().as_deref(), Some(issuer));
    }
    let world = world.reopened(place).await;
    assert_eq!(world.store.read(FindIssuer).await.unwrap().as_deref(), Some("https://other.example"));
}

async fn a_second_server_on_a_file_is_refused_and_on_a_database_it_is_another_node(place: &Place) {
    let world = World::new(place).await;
    let second = place.try_open(super::place::boottime).await;
    match place {
        Place::Sqlite(_) => {
            let why = second.err();
            assert!(matches!(why, Some(StoreError::Refused(why)) if why.contains("another server is running")));
        }
        Place::Postgres { .. } => {
            let second = second.unwrap();
            assert!(second.find_workspace("default").await.unwrap().is_some());
            second.close().await;
        }
    }
    let world = world.reopened(place).await;
    assert!(world.store.find_workspace("default").await.unwrap().is_some());
}
