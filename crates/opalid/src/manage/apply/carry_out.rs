//! Carrying out one planned change: one step of the store, two when a client also gets a secret.

use std::sync::Arc;

use opalid_core::apply::{Kind, NewSecret, PlannedChange, Target, UserEntry, Verb};
use opalid_core::client::ClientSettings;
use opalid_core::ids::{ClientId, ResourceId, UserId, WorkspaceId};
use opalid_core::resource::ResourceSettings;
use opalid_core::token::SecretDigest;
use opalid_core::user::{User, username_key};
use opalid_core::workspace::WorkspaceSettings;
use opalid_store::keys::WorkspaceRecord;
use opalid_store::steps::client::{ByClient, CreateClient, FindClient};
use opalid_store::steps::delete::{DeleteClient, DeleteResource, DeleteUser, DeleteWorkspace};
use opalid_store::steps::resource::{ByResource, CreateResource, FindResource};
use opalid_store::steps::settings::{UpdateClient, UpdateResource, UpdateUser, UpdateWorkspace, UpdatedUser};
use opalid_store::steps::user::{CreateUser, FindCredentials};
use opalid_store::steps::workspace::CreateWorkspace;

use super::super::{Handed, INITIATOR, ManageError};
use super::{FoundSecrets, find_secret, rotate};
use crate::app::App;
use crate::issuer::first_keys;
use crate::passwords::password::{ChosenPassword, Password};
use crate::random;

/// Carries a change out, with the client secret that was drawn for it.
pub(super) async fn one(
    app: &App,
    change: &PlannedChange,
    (secrets, drawn): (&FoundSecrets, Option<&Handed>),
) -> Result<(), ManageError> {
    if let (Verb::Create, Target::Workspace(settings)) = (change.verb, &change.target) {
        return create_workspace(app, &change.name, settings).await;
    }
    let record = app.store.find_workspace(&change.workspace).await?.ok_or_else(|| moved(change))?;
    let at = Carrying { app, change, record };
    match (&change.target, change.verb) {
        (Target::Workspace(settings), _) => at.update_workspace(settings).await,
        (Target::Resource(settings), Verb::Create) => at.create_resource(settings).await,
        (Target::Resource(settings), _) => at.update_resource(settings).await,
        (Target::Client(settings, secret), verb) => {
            let secret = match secret {
                NewSecret::Given(source) => Some(find_secret(secrets, source).map_err(ManageError::Refused)?),
                NewSecret::Draw => drawn.map(Handed::expose),
                NewSecret::Keep => None,
            };
            if verb == Verb::Create {
                at.create_client(settings, secret).await
            } else {
                at.update_client(settings, secret).await
            }
        }
        (Target::User(user), Verb::Create) => at.create_user(user, secrets).await,
        (Target::User(user), _) => at.update_user(user).await,
        (Target::Gone, _) => at.delete().await,
    }
}

/// What a change was planned for is not as it was.
fn moved(change: &PlannedChange) -> ManageError {
    let kind = change.kind.name();
    ManageError::Refused(format!("{kind} {} has changed meanwhile; run it again", change.name))
}

pub(super) fn root_stays() -> ManageError {
    ManageError::Refused("the root workspace cannot be deleted: its issuer is the server's own".into())
}

async fn create_workspace(app: &App, name: &str, settings: &WorkspaceSettings) -> Result<(), ManageError> {
    let id = WorkspaceId::from_bytes(app.new_id());
    let keys = first_keys(id, &app.master).map_err(|error| ManageError::Unavailable(error.to_string()))?;
    let stamp = app.stamp(id, INITIATOR);
    let step = CreateWorkspace { stamp, name: name.to_owned(), settings: settings.clone(), keys };
    if app.store.run(step).await? {
        Ok(())
    } else {
        Err(ManageError::Refused(format!("workspace {name} has been made meanwhile; run it again")))
    }
}

struct Carrying<'a> {
    app: &'a App,
    change: &'a PlannedChange,
    record: Arc<WorkspaceRecord>,
}

impl Carrying<'_> {
    fn workspace(&self) -> WorkspaceId {
        self.record.workspace.id
    }

    fn stamp(&self) -> opalid_store::steps::Stamp {
        self.app.stamp(self.workspace(), INITIATOR)
    }

    /// The fields that change, for the audit log: no values.
    fn changed(&self) -> String {
        let fields: Vec<&str> = self.change.differences.iter().map(|difference| &*difference.field).collect();
        fields.join(", ")
    }

    /// Whether a step found things as planned.
    fn as_planned(&self, done: bool) -> Result<(), ManageError> {
        if done { Ok(()) } else { Err(moved(self.change)) }
    }

    async fn update_workspace(&self, settings: &WorkspaceSettings) -> Result<(), ManageError> {
        let step = UpdateWorkspace { stamp: self.stamp(), settings: settings.clone(), changed: self.changed() };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn create_resource(&self, settings: &ResourceSettings) -> Result<(), ManageError> {
        let id = ResourceId::from_bytes(self.app.new_id());
        let uri = self.change.name.clone();
        let step = CreateResource { stamp: self.stamp(), id, uri, settings: settings.clone() };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn resource(&self) -> Result<ResourceId, ManageError> {
        let by = ByResource::Uri(self.change.name.clone());
        let found = self.app.store.read(FindResource { workspace: self.workspace(), by }).await?;
        found.map(|resource| resource.id).ok_or_else(|| moved(self.change))
    }

    async fn update_resource(&self, settings: &ResourceSettings) -> Result<(), ManageError> {
        let id = self.resource().await?;
        let step = UpdateResource { stamp: self.stamp(), id, settings: settings.clone(), changed: self.changed() };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn create_client(&self, settings: &ClientSettings, secret: Option<&str>) -> Result<(), ManageError> {
        let step = CreateClient {
            stamp: self.stamp(),
            id: ClientId::from_bytes(self.app.new_id()),
            client_id: self.change.name.clone(),
            settings: settings.clone(),
            secret: secret.map(|secret| SecretDigest::of(secret.as_bytes())),
        };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn client(&self) -> Result<opalid_core::client::Client, ManageError> {
        let by = ByClient::Name(self.change.name.clone());
        let found = self.app.store.read(FindClient { workspace: self.workspace(), by }).await?;
        found.ok_or_else(|| moved(self.change))
    }

    /// The secret first: a run that stops in between finds a client that still has no use for it, and goes on.
    async fn update_client(&self, settings: &ClientSettings, secret: Option<&str>) -> Result<(), ManageError> {
        let client = self.client().await?;
        if let Some(secret) = secret {
            rotate::store(self.app, self.stamp(), &client, (secret, rotate::OVERLAP)).await?;
        }
        if !self.change.differences.is_empty() {
            let (id, changed) = (client.id, self.changed());
            let step = UpdateClient { stamp: self.stamp(), id, settings: settings.clone(), changed };
            self.as_planned(self.app.store.run(step).await?)?;
        }
        Ok(())
    }

    async fn create_user(&self, user: &UserEntry, secrets: &FoundSecrets) -> Result<(), ManageError> {
        let refused = |why: String| ManageError::Refused(why);
        let password_hash = match &user.password {
            None => None,
            Some(source) => {
                let text = find_secret(secrets, source).map_err(refused)?.to_owned();
                let chosen = ChosenPassword::new(Password::new(text), &user.username);
                let chosen = chosen.map_err(|bad| refused(bad.to_string()))?;
                let hash = self.app.hasher.hash(&chosen, random::bytes()).await;
                Some(hash.map_err(|busy| ManageError::Unavailable(busy.to_string()))?.to_text())
            }
        };
        let step = CreateUser {
            stamp: self.stamp(),
            id: UserId::from_bytes(self.app.new_id()),
            username: user.username.clone(),
            username_key: username_key(&user.username).map_err(|bad| refused(bad.to_string()))?,
            admin: user.admin,
            password_hash,
            claims: user.claims.clone(),
        };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn user(&self) -> Result<User, ManageError> {
        let username_key = username_key(&self.change.name).map_err(|_| moved(self.change))?;
        let step = FindCredentials { workspace: self.workspace(), username_key };
        let found = self.app.store.read(step).await?;
        found.map(|credentials| credentials.user).ok_or_else(|| moved(self.change))
    }

    async fn update_user(&self, wanted: &UserEntry) -> Result<(), ManageError> {
        let mut user = self.user().await?;
        user.username.clone_from(&wanted.username);
        user.claims.clone_from(&wanted.claims);
        user.admin = wanted.admin;
        let username_key = username_key(&user.username).map_err(|bad| ManageError::Refused(bad.to_string()))?;
        let step = UpdateUser { stamp: self.stamp(), user, username_key, changed: self.changed() };
        match self.app.store.run(step).await? {
            UpdatedUser::Done => Ok(()),
            UpdatedUser::Unknown => Err(moved(self.change)),
            UpdatedUser::NameTaken => {
                Err(ManageError::Refused(format!("there is another user called {}", wanted.username)))
            }
        }
    }

    /// What has gone meanwhile is as it should be.
    async fn delete(&self) -> Result<(), ManageError> {
        let (store, stamp) = (&self.app.store, self.stamp());
        match self.change.kind {
            Kind::Workspace if self.workspace() == self.app.root => {
                return Err(root_stays());
            }
            Kind::Workspace => store.run(DeleteWorkspace { stamp }).await?,
            Kind::Resource => store.run(DeleteResource { stamp, id: self.resource().await? }).await?,
            Kind::Client => store.run(DeleteClient { stamp, id: self.client().await?.id }).await?,
            Kind::User => store.run(DeleteUser { stamp, id: self.user().await?.id }).await?,
        };
        Ok(())
    }
}
