//! What is asked of a running server and what it answers, as it travels through the command socket.
//!
//! Holds: an unknown field is refused.

use std::path::PathBuf;

use opalid_core::apply::{Document, PlannedChange};
use opalid_core::time::Seconds;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Handed, Page, Paging, apply, clients, consents, events, explain, inspect, keys, resources, roles, sessions,
};
use super::{holders, users, workspaces};

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
    /// Roles.
    ListRoles { paging: Paging },
    /// One role.
    ShowRole { name: String },
    /// Users.
    ListUsers { paging: Paging },
    /// One user.
    ShowUser { username: String },
    /// Makes a user with these fields of a document, and a link to set the password if wished.
    CreateUser { username: String, fields: Map<String, Value>, link: bool },
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
    /// Who remembers answers under a lease.
    ListHolders {},
    /// Takes a consent back.
    WithdrawConsent { id: String },
    /// Kills everything in the workspace; without `yes` it says what that is.
    RevokeWorkspace { yes: bool },
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
    /// Roles.
    Roles(Page<roles::RoleRow>),
    /// One role.
    Role(Box<roles::RoleDetail>),
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
    /// Who remembers answers under a lease.
    Holders(Page<holders::HolderEntry>),
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
