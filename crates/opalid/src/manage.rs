//! What operators ask of a running server, and what it answers.
//!
//! Takes: a [`Request`], from whoever has been let in: over the command socket file permissions decide that.
//! Gives: a typed [`Reply`] or a [`ManageError`] that says what to do.
//! Holds: an unknown field is refused; every change is a step of the store and is audited as `operator`'s, or as that of the
//! administrator who was signed in.
//! Not here: how requests travel (`socket`) and how replies look to a person (`cli`).

pub mod apply;
pub mod backup;
pub mod clients;
pub mod consents;
pub mod events;
mod exchange;
pub mod explain;
mod handed;
pub mod holders;
pub mod inspect;
pub mod keys;
mod operation;
pub mod resources;
pub(crate) mod revoke;
pub mod roles;
pub mod sessions;
pub mod socket;
pub mod users;
pub mod workspaces;

use opalid_store::steps::client::ClientEvent;
use opalid_store::steps::user::UserEvent;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::app::{App, IssuerError};

pub use exchange::{Command, Reply, Request};
pub use handed::Handed;
pub use operation::Operation;

/// Who the audit log says it was.
pub const INITIATOR: &str = "operator";

/// Which part of a long list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// What the part before named as `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many rows; 50 if absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Paging {
    /// How many rows.
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit.unwrap_or(50).clamp(1, 1_000)).unwrap_or(50)
    }
}

/// Part of a long list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// What to give as `after` for the next part; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of rows of which one more than wanted was read, to see whether there are more.
    fn new(mut rows: Vec<T>, paging: &Paging, id: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > paging.limit();
        rows.truncate(paging.limit());
        let next = rows.last().filter(|_| more).map(id);
        Self { rows, next }
    }
}

/// Why there is no reply, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", content = "message", rename_all = "snake_case")]
pub enum ManageError {
    /// The request is not one.
    #[error("{0}")]
    NotUnderstood(String),
    /// What it names does not exist.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be done as asked.
    #[error("{0}")]
    Refused(String),
    /// The server could not do it now; nothing is known to have changed.
    #[error("{0}")]
    Unavailable(String),
}

impl From<opalid_store::StoreError> for ManageError {
    fn from(error: opalid_store::StoreError) -> Self {
        Self::Unavailable(format!("{error}; try again when it is back"))
    }
}

impl From<IssuerError> for ManageError {
    fn from(error: IssuerError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn no_workspace(name: &str) -> ManageError {
    ManageError::Unknown(format!("there is no workspace {name:?}; see: opalid workspace list"))
}

/// Does what is asked.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ManageError> {
    let operation = Operation::begin(app, request.workspace.as_deref()).await?;
    let at = &operation;
    match request.command {
        Command::ListWorkspaces {} => workspaces::list(at).await,
        Command::ShowWorkspace {} => workspaces::show(at).await,
        Command::ListClients { paging } => clients::list(at, &paging).await,
        Command::ShowClient { client_id } => clients::show(at, &client_id).await,
        Command::SuspendClient { client_id } => clients::touch(at, &client_id, ClientEvent::Suspended).await,
        Command::ResumeClient { client_id } => clients::touch(at, &client_id, ClientEvent::Resumed).await,
        Command::RevokeClient { client_id } => clients::touch(at, &client_id, ClientEvent::Revoked).await,
        Command::ListResources { paging } => resources::list(at, &paging).await,
        Command::ShowResource { uri } => resources::show(at, &uri).await,
        Command::ListRoles { paging } => roles::list(at, &paging).await,
        Command::ShowRole { name } => roles::show(at, &name).await,
        Command::ListUsers { paging } => users::list(at, &paging).await,
        Command::ShowUser { username } => users::show(at, &username).await,
        Command::CreateUser { username, fields, link } => users::create(at, &username, fields, link).await,
        Command::SuspendUser { username } => users::touch(at, &username, UserEvent::Suspended).await,
        Command::ResumeUser { username } => users::touch(at, &username, UserEvent::Resumed).await,
        Command::RevokeUser { username } => users::touch(at, &username, UserEvent::Revoked).await,
        Command::SignOutEverywhere { username } => users::touch(at, &username, UserEvent::SignedOutEverywhere).await,
        Command::SetPassword { username, password } => users::set_password(at, &username, &password).await,
        Command::LinkPassword { username } => users::make_link(at, &username).await,
        Command::ListSessions { user, paging } => sessions::list(at, user.as_deref(), &paging).await,
        Command::ListGrants { user, client, paging } => {
            sessions::list_grants(at, (user.as_deref(), client.as_deref()), &paging).await
        }
        Command::ListConsents { user, paging } => consents::list(at, user.as_deref(), &paging).await,
        Command::ListHolders {} => holders::list(at).await,
        Command::WithdrawConsent { id } => consents::withdraw(at, &id).await,
        Command::RevokeWorkspace { yes } => revoke::workspace(at, yes).await,
        Command::RevokeSession { id } => revoke::session(at, &id).await,
        Command::RevokeGrant { id } => revoke::grant(at, &id).await,
        Command::RevokeToken { token } => revoke::token(at, &token).await,
        Command::Inspect { token } => Ok(Reply::Inspected(Box::new(inspect::inspect(at, &token).await?))),
        Command::Explain { client_id, resources } => explain::explain(at, &client_id, &resources).await,
        Command::Compare(declared) => apply::compare(app, &declared).await,
        Command::Apply(declared) => Ok(apply::apply(app, declared).await?.finish(app).await),
        Command::Export { users } => {
            apply::export(at, (request.workspace.is_some(), users), &watch::Sender::new(0)).await
        }
        Command::Change(asked) => Ok(apply::one(at, &asked).await?.finish(app).await),
        Command::RotateSecret { client_id, secret, overlap } => {
            apply::rotate(at, &client_id, secret.as_ref(), overlap).await
        }
        Command::ListKeys {} => keys::list(at).await,
        Command::RotateKeys { purpose, algorithm, now } => {
            keys::rotate(at, (purpose.as_deref(), algorithm.as_deref()), now).await
        }
        Command::RevokeKey { key, yes } => keys::revoke(at, &key, yes).await,
        Command::ImportKey { key, algorithm } => keys::import(at, &key, algorithm.as_deref()).await,
        Command::RotateMasterKey { key } => keys::rotate_master(at, key.as_ref()).await,
        Command::Backup { file } => backup::begin(app, file)?.finish().await,
        Command::Events { paging, .. } => events::list(at, &paging).await,
    }
}

#[cfg(test)]
pub(crate) mod tests;
