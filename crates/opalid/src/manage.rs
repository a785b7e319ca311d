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
pub mod explain;
mod handed;
pub mod inspect;
pub mod keys;
mod operation;
pub mod resources;
pub(crate) mod revoke;
pub mod sessions;
pub mod socket;
pub mod users;
pub mod workspaces;

use std::path::PathBuf;

use opalid_core::apply::{Document, PlannedChange};
use opalid_core::time::Seconds;
use opalid_store::steps::client::ClientEvent;
use opalid_store::steps::user::UserEvent;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::app::{App, IssuerError};

pub use handed::Handed;
pub use operation::Operation;

/// Who the audit log says it was.
pub const INITIATOR: &str = "operator";

/// One thing asked of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The name of the workspace it is about; the root's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// What to do there.
    pub command: Command,
}

/// What can be asked. Variants have braces even when empty, for only those refuse unknown fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant says what it does, and fields are named as everywhere")]
pub enum Command {
    /// All workspaces.
    ListWorkspaces {},
    /// The workspace of the request.
    ShowWorkspace {},
    /// Clients.
    ListClients { paging: Paging },
    /// One client.
    ShowClient { client_id: String },
    /// Takes a client out of service.
    SuspendClient { client_id: String },
    /// Puts it back.
    ResumeClient { client_id: String },
    /// Resources.
    ListResources { paging: Paging },
    /// One resource.
    ShowResource { uri: String },
    /// Users.
    ListUsers { paging: Paging },
    /// One user.
    ShowUser { username: String },
    /// Makes a user, and a link to set the password if wished.
    CreateUser { username: String, admin: bool, link: bool },
    /// Takes a user out of service.
    SuspendUser { username: String },
    /// Puts them back.
    ResumeUser { username: String },
    /// Kills a user's sessions and what is bound to them.
    SignOutEverywhere { username: String },
    /// Sets a user's password.
    SetPassword { username: String, password: Handed },
    /// Makes a link with which the user sets it.
    LinkPassword { username: String },
    /// Sessions, of one user or of all.
    ListSessions { user: Option<String>, paging: Paging },
    /// Grants, of one user, one client or all.
    ListGrants { user: Option<String>, client: Option<String>, paging: Paging },
    /// Consents, of one user or of all.
    ListConsents { user: Option<String>, paging: Paging },
    /// Takes a consent back.
    WithdrawConsent { id: String },
    /// Kills everything in the workspace.
    RevokeWorkspace {},
    /// Kills everything of a user.
    RevokeUser { username: String },
    /// Kills everything a client was given.
    RevokeClient { client_id: String },
    /// Ends a session.
    RevokeSession { id: String },
    /// Cuts a grant.
    RevokeGrant { id: String },
    /// Kills an access token, or cuts the grant of a refresh token or code.
    RevokeToken { token: Handed },
    /// Says what a token is, and why it is dead if it is.
    Inspect { token: Handed },
    /// Which settings hold for a client's tokens, for these resources, and why.
    Explain { client_id: String, resources: Vec<String> },
    /// What applying a document would change.
    Compare(apply::Declared),
    /// Applies a document, one change after the other; each is told, and waits to be taken, where the way here can
    /// stay open.
    Apply(apply::Declared),
    /// All that is declared, of the workspace of the request or of every one if it names none.
    Export { users: bool },
    /// Makes, changes or deletes one entry.
    Change(apply::OneChange),
    /// Gives a client a new secret; the old ones stay good for a while.
    RotateSecret { client_id: String, secret: Option<Handed>, overlap: Option<Seconds> },
    /// Copies the store to a file; the server tells how far it is where the way here can stay open.
    Backup { file: PathBuf },
    /// The keys of the workspace.
    ListKeys {},
    /// Puts other keys in use: all, or of one purpose, or the signing keys of one algorithm.
    RotateKeys { purpose: Option<String>, algorithm: Option<String>, now: bool },
    /// Takes a key away, and with it what it made.
    RevokeKey { key: String, yes: bool },
    /// Takes a signing key from outside, as PKCS#8 in PEM.
    ImportKey { key: Handed, algorithm: Option<String> },
    /// Wraps all keys of all workspaces under another master key.
    RotateMasterKey { key: Option<Handed> },
    /// What happened; with `follow`, also what happens from now on, where the way here can stay open. Then `after` names
    /// the row after which it goes on, else the one before which it goes back.
    Events { follow: bool, paging: Paging },
}

/// What the server answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", content = "is", rename_all = "snake_case")]
pub enum Reply {
    /// Workspaces.
    Workspaces(Page<workspaces::WorkspaceRow>),
    /// One workspace.
    Workspace(Box<workspaces::WorkspaceDetail>),
    /// Clients.
    Clients(Page<clients::ClientRow>),
    /// One client.
    Client(Box<clients::ClientDetail>),
    /// Resources.
    Resources(Page<resources::ResourceRow>),
    /// One resource.
    Resource(Box<resources::ResourceDetail>),
    /// Users.
    Users(Page<users::UserRow>),
    /// One user.
    User(Box<users::UserDetail>),
    /// A link to set a password.
    Link(Box<users::LinkMade>),
    /// Sessions.
    Sessions(Page<sessions::SessionEntry>),
    /// Grants.
    Grants(Page<sessions::GrantEntry>),
    /// Consents.
    Consents(Page<consents::ConsentEntry>),
    /// What a token is.
    Inspected(Box<inspect::Inspection>),
    /// Which settings hold.
    Explained(Box<explain::Explanation>),
    /// Keys.
    Keys(Page<keys::KeyRow>),
    /// What happened.
    Events(Page<events::Event>),
    /// What would change.
    Planned(Vec<PlannedChange>),
    /// A change that is made next, once whoever asked goes on: told where the way here can stay open.
    Begins(Box<apply::Done>),
    /// It is made.
    Made {},
    /// What was changed.
    Applied(Box<apply::Applied>),
    /// What is declared.
    Document(Box<Document>),
    /// A client has a new secret.
    SecretRotated(Box<apply::RotatedClientSecret>),
    /// How many entries are read.
    Read {
        /// So many.
        entries: u64,
    },
    /// How far a copy is, in pages.
    Copied {
        /// What is copied.
        done: u64,
        /// What there is.
        total: u64,
    },
    /// It is done.
    Done {
        /// What, in words.
        message: String,
    },
}

impl Reply {
    pub(crate) const fn done(message: String) -> Self {
        Self::Done { message }
    }
}

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
        Command::ListUsers { paging } => users::list(at, &paging).await,
        Command::ShowUser { username } => users::show(at, &username).await,
        Command::CreateUser { username, admin, link } => users::create(at, &username, (admin, link)).await,
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
        Command::WithdrawConsent { id } => consents::withdraw(at, &id).await,
        Command::RevokeWorkspace {} => revoke::workspace(at).await,
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
