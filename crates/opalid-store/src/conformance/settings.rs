//! What operators change in place is never written over what another one changed meanwhile.

use std::fmt::Debug;

use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::resource::ResourceSettings;
use opalid_core::time::Seconds;
use opalid_core::token::SecretDigest;
use opalid_core::workspace::WorkspaceSettings;

use super::on_every_engine;
use super::place::Place;
use super::world::{World, scopes};
use crate::Step;
use crate::steps::client_secret::RotateSecret;
use crate::steps::settings::{
    Edit, Profile, UpdateClient, UpdateResource, UpdateUser, UpdateWorkspace, UpdatedClient, UpdatedUser,
};

on_every_engine! {
    a_change_is_made_to_what_it_was_planned_from_or_not_at_all;
    of_many_changes_planned_from_one_entry_one_is_made;
}

/// Makes a change twice: planned from what is, then again from what is no more.
async fn twice<S: Step>(world: &World, step: impl Fn() -> S, (done, moved): (S::Out, S::Out))
where
    S::Out: PartialEq + Debug,
{
    assert_eq!(world.store.run(step()).await.unwrap(), done);
    let written = world.written().await;
    assert_eq!(world.store.run(step()).await.unwrap(), moved);
    assert_eq!(world.written().await, written);
}

fn client(world: &World, name: &str) -> UpdateClient {
    let from = world.create_client("app").settings;
    UpdateClient {
        stamp: world.stamp(),
        id: world.client,
        settings: Edit { to: ClientSettings { name: name.into(), ..from.clone() }, from },
        roles: Edit { from: Vec::new(), to: Vec::new() },
        changed: "name".into(),
        secret: None,
    }
}

async fn a_change_is_made_to_what_it_was_planned_from_or_not_at_all(place: &Place) {
    let world = World::new(place).await;
    let (store, changed) = (&world.store, String::new);
    let from = world.create_workspace("default").settings;
    let settings = Edit { from, to: WorkspaceSettings::default() };
    let step = || UpdateWorkspace { stamp: world.stamp(), settings: settings.clone(), changed: changed() };
    twice(&world, step, (true, false)).await;
    let from = world.create_resource("").settings;
    let settings = Edit { to: ResourceSettings { scopes: scopes("read"), ..from.clone() }, from };
    let id = world.resource;
    let step = || UpdateResource { stamp: world.stamp(), id, settings: settings.clone(), changed: changed() };
    twice(&world, step, (true, false)).await;
    let from = Profile { username: "alice".into(), admin: true, claims: Default::default(), roles: Vec::new() };
    let profile = Edit { to: Profile { admin: false, ..from.clone() }, from };
    let (id, key) = (world.user, || "alice".to_owned());
    let user = || (world.stamp(), profile.clone());
    let step = || {
        let (stamp, profile) = user();
        UpdateUser { stamp, id, profile, username_key: key(), changed: changed() }
    };
    twice(&world, step, (UpdatedUser::Done, UpdatedUser::Moved)).await;
    // A client's secret comes with its settings, or not either.
    let secret = |byte| RotateSecret {
        stamp: world.stamp(),
        client: world.client,
        digest: SecretDigest([byte; 32]),
        overlap: Seconds(60),
    };
    let step = || UpdateClient { secret: Some(secret(9)), ..client(&world, "B") };
    twice(&world, step, (UpdatedClient::Done, UpdatedClient::Moved)).await;
    let found = || async { store.find_client(world.workspace, "app").await.unwrap().unwrap() };
    let mut public = UpdateClient { secret: Some(secret(8)), ..client(&world, "A") };
    public.settings.to.kind = ClientKind::Public;
    assert_eq!(store.run(public).await.unwrap(), UpdatedClient::Moved);
    assert_eq!((found().await.secrets.len(), &*found().await.settings.name), (2, "B"));
}

async fn of_many_changes_planned_from_one_entry_one_is_made(place: &Place) {
    let world = World::new(place).await;
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let (store, step) = (world.store.clone(), client(&world, &n.to_string()));
            tokio::spawn(async move { store.run(step).await.unwrap() })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += usize::from(task.await.unwrap() == UpdatedClient::Done);
    }
    assert_eq!(made, 1);
}
