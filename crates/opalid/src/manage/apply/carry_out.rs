//! Carrying out one planned change: one step of the store.
//!
//! Holds: it is made to the entry that was found when it was planned, as that was, or not at all.

use opalid_core::apply::{ClientEntry, Kind, NewSecret, PlannedChange, Target, UserEntry, Verb};
use opalid_core::ids::{ClientId, ResourceId, RoleId, UserId, WorkspaceId};
use opalid_core::resource::ResourceSettings;
use opalid_core::role::RoleSettings;
use opalid_core::token::SecretDigest;
use opalid_core::user::username_key;
use opalid_core::workspace::WorkspaceSettings;
use opalid_store::steps::client::{ByClient, CreateClient, FindClient};
use opalid_store::steps::client_secret::RotateSecret;
use opalid_store::steps::delete::{DeleteClient, DeleteResource, DeleteUser, DeleteWorkspace};
use opalid_store::steps::resource::{ByResource, CreateResource, FindResource};
use opalid_store::steps::role::{ByRole, CreateRole, DeleteRole, FindRole, UpdateRole};
use opalid_store::steps::settings::{
    Edit, Profile, UpdateClient, UpdateResource, UpdateUser, UpdateWorkspace, UpdatedClient, UpdatedUser,
};
use opalid_store::steps::user::{CreateUser, FindCredentials};
use opalid_store::steps::workspace::CreateWorkspace;

use super::super::{Handed, INITIATOR, ManageError};
use super::{FoundSecrets, find_secret, rotate};
use crate::app::App;
use crate::issuer::first_keys;
use crate::passwords::password::{ChosenPassword, Password};
use crate::random;

/// What a change is made to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    workspace: WorkspaceId,
    /// Its row; the workspace's own when the change is to that.
    id: [u8; 16],
}

/// Finds what a change is made to; nothing if it makes an entry.
pub(super) async fn find(app: &App, change: &PlannedChange) -> Result<Option<Found>, ManageError> {
    if change.verb == Verb::Create {
        return Ok(None);
    }
    let record = app.store.find_workspace(&change.workspace).await?.ok_or_else(|| moved(change))?;
    let workspace = record.workspace.id;
    let name = || change.name.clone();
    let id = match change.kind {
        Kind::Workspace => Some(*workspace.as_bytes()),
        Kind::Resource => {
            let found = app.store.read(FindResource { workspace, by: ByResource::Uri(name()) }).await?;
            found.map(|resource| *resource.id.as_bytes())
        }
        Kind::Role => {
            let found = app.store.read(FindRole { workspace, by: ByRole::Name(name()) }).await?;
            found.map(|role| *role.id.as_bytes())
        }
        Kind::Client => {
            let found = app.store.read(FindClient { workspace, by: ByClient::Name(name()) }).await?;
            found.map(|client| *client.id.as_bytes())
        }
        Kind::User => {
            let username_key = username_key(&change.name).map_err(|_| moved(change))?;
            let found = app.store.read(FindCredentials { workspace, username_key }).await?;
            found.map(|credentials| *credentials.user.id.as_bytes())
        }
    };
    id.map(|id| Some(Found { workspace, id })).ok_or_else(|| moved(change))
}

/// Carries a change out, with the client secret that was drawn for it.
pub(super) async fn one(
    app: &App,
    (change, found): (&PlannedChange, Option<Found>),
    (secrets, drawn): (&FoundSecrets, Option<&Handed>),
) -> Result<(), ManageError> {
    if let (Verb::Create, Target::Workspace(settings)) = (change.verb, &change.target) {
        return create_workspace(app, &change.name, settings).await;
    }
    let workspace = match found {
        Some(found) => found.workspace,
        None => app.store.find_workspace(&change.workspace).await?.ok_or_else(|| moved(change))?.workspace.id,
    };
    let at = Carrying { app, change, workspace, id: found.map(|found| found.id).unwrap_or_default() };
    match (&change.target, &change.was) {
        (Target::Workspace(to), Some(Target::Workspace(from))) => at.update_workspace(edit(&**from, &**to)).await,
        (Target::Resource(settings), None) => at.create_resource(settings).await,
        (Target::Resource(to), Some(Target::Resource(from))) => at.update_resource(edit(from, to)).await,
        (Target::Role(settings), None) => at.create_role(settings).await,
        (Target::Role(to), Some(Target::Role(from))) => at.update_role(edit(from, to)).await,
        (Target::Client(client, secret), was) => {
            let secret = match secret {
                NewSecret::Given(source) => Some(find_secret(secrets, source).map_err(ManageError::Refused)?),
                NewSecret::Draw => drawn.map(Handed::expose),
                NewSecret::Keep => None,
            };
            match was {
                None => at.create_client(client, secret).await,
                Some(Target::Client(from, _)) => at.update_client(edit(&**from, &**client), secret).await,
                Some(_) => Err(moved(change)),
            }
        }
        (Target::User(user), None) => at.create_user(user, secrets).await,
        (Target::User(to), Some(Target::User(from))) => at.update_user(edit(&**from, &**to)).await,
        (Target::Gone, _) => at.delete().await,
        // No plan is made from an entry of another kind.
        _ => Err(moved(change)),
    }
}

fn edit<S: Clone>(from: &S, to: &S) -> Edit<S> {
    Edit { from: from.clone(), to: to.clone() }
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
    workspace: WorkspaceId,
    /// Of the row that it is made to.
    id: [u8; 16],
}

impl Carrying<'_> {
    fn stamp(&self) -> opalid_store::steps::Stamp {
        self.app.stamp(self.workspace, INITIATOR)
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

    async fn update_workspace(&self, settings: Edit<WorkspaceSettings>) -> Result<(), ManageError> {
        let step = UpdateWorkspace { stamp: self.stamp(), settings, changed: self.changed() };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn create_resource(&self, settings: &ResourceSettings) -> Result<(), ManageError> {
        let id = ResourceId::from_bytes(self.app.new_id());
        let uri = self.change.name.clone();
        let step = CreateResource { stamp: self.stamp(), id, uri, settings: settings.clone() };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn update_resource(&self, settings: Edit<ResourceSettings>) -> Result<(), ManageError> {
        let id = ResourceId::from_bytes(self.id);
        let step = UpdateResource { stamp: self.stamp(), id, settings, changed: self.changed() };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn create_role(&self, settings: &RoleSettings) -> Result<(), ManageError> {
        let id = RoleId::from_bytes(self.app.new_id());
        let step = CreateRole { stamp: self.stamp(), id, name: self.change.name.clone(), settings: settings.clone() };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn update_role(&self, settings: Edit<RoleSettings>) -> Result<(), ManageError> {
        let id = RoleId::from_bytes(self.id);
        let step = UpdateRole { stamp: self.stamp(), id, settings, changed: self.changed() };
        self.as_planned(self.app.store.run(step).await?)
    }

    /// The roles that have these names now.
    async fn roles(&self, names: &[String]) -> Result<Vec<RoleId>, ManageError> {
        let mut roles = Vec::with_capacity(names.len());
        for name in names {
            let step = FindRole { workspace: self.workspace, by: ByRole::Name(name.clone()) };
            let found = self.app.store.read(step).await?;
            let gone = || ManageError::Refused(format!("role {name} has gone meanwhile; run it again"));
            roles.push(found.ok_or_else(gone)?.id);
        }
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }

    async fn profile(&self, user: UserEntry) -> Result<Profile, ManageError> {
        let roles = self.roles(&user.roles).await?;
        Ok(Profile { username: user.username, admin: user.admin, claims: user.claims, roles })
    }

    async fn create_client(&self, client: &ClientEntry, secret: Option<&str>) -> Result<(), ManageError> {
        let step = CreateClient {
            stamp: self.stamp(),
            id: ClientId::from_bytes(self.app.new_id()),
            client_id: self.change.name.clone(),
            settings: client.settings.clone(),
            roles: self.roles(&client.roles).await?,
            secret: secret.map(|secret| SecretDigest::of(secret.as_bytes())),
        };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn update_client(&self, client: Edit<ClientEntry>, secret: Option<&str>) -> Result<(), ManageError> {
        let Edit { from, to } = client;
        let roles = Edit { from: self.roles(&from.roles).await?, to: self.roles(&to.roles).await? };
        let settings = Edit { from: from.settings, to: to.settings };
        let id = ClientId::from_bytes(self.id);
        let secret = secret.map(|secret| RotateSecret {
            stamp: self.stamp(),
            client: id,
            digest: SecretDigest::of(secret.as_bytes()),
            overlap: rotate::OVERLAP,
        });
        let step = UpdateClient { stamp: self.stamp(), id, settings, roles, changed: self.changed(), secret };
        match self.app.store.run(step).await? {
            UpdatedClient::Done => Ok(()),
            UpdatedClient::Moved => Err(moved(self.change)),
            UpdatedClient::TooManySecrets => Err(rotate::too_many(&self.change.name)),
        }
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
            roles: self.roles(&user.roles).await?,
        };
        self.as_planned(self.app.store.run(step).await?)
    }

    async fn update_user(&self, Edit { from, to }: Edit<UserEntry>) -> Result<(), ManageError> {
        let username_key = username_key(&to.username).map_err(|bad| ManageError::Refused(bad.to_string()))?;
        let taken = format!("there is another user called {}", to.username);
        let profile = Edit { from: self.profile(from).await?, to: self.profile(to).await? };
        let id = UserId::from_bytes(self.id);
        let step = UpdateUser { stamp: self.stamp(), id, profile, username_key, changed: self.changed() };
        match self.app.store.run(step).await? {
            UpdatedUser::Done => Ok(()),
            UpdatedUser::Moved => Err(moved(self.change)),
            UpdatedUser::NameTaken => Err(ManageError::Refused(taken)),
        }
    }

    /// What has gone meanwhile may be there again under its name: whoever runs it again is told.
    async fn delete(&self) -> Result<(), ManageError> {
        let (store, stamp) = (&self.app.store, self.stamp());
        let done = match self.change.kind {
            Kind::Workspace if self.workspace == self.app.root => {
                return Err(root_stays());
            }
            Kind::Workspace => store.run(DeleteWorkspace { stamp }).await?,
            Kind::Resource => store.run(DeleteResource { stamp, id: ResourceId::from_bytes(self.id) }).await?,
            Kind::Role => store.run(DeleteRole { stamp, id: RoleId::from_bytes(self.id) }).await?,
            Kind::Client => store.run(DeleteClient { stamp, id: ClientId::from_bytes(self.id) }).await?,
            Kind::User => store.run(DeleteUser { stamp, id: UserId::from_bytes(self.id) }).await?,
        };
        self.as_planned(done)
    }
}
