//! Lists for operators: newest first, a part at a time, by key range.

use opalid_core::client::Client;
use opalid_core::grant::Grant;
use opalid_core::ids::{ClientId, GrantId, ResourceId, RoleId, SessionId, UserId, WorkspaceId};
use opalid_core::resource::Resource;
use opalid_core::role::Role;
use opalid_core::time::UnixTime;
use opalid_core::user::User;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::steps::evidence::{GRANT_COLUMNS, GrantFacts, grant_columns, read_grant};
use crate::steps::revoke::kills;
use crate::steps::session::{SessionRow, read as read_session, session_columns};
use crate::steps::{client, resource, role, user};

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Part<Id> {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// What came before `before`; the newest, if absent.
    pub before: Option<Id>,
    /// How many at most.
    pub limit: u32,
}

impl<Id: Copy + Into<[u8; 16]>> Part<Id> {
    pub(crate) fn values(&self) -> [Value; 3] {
        let bound = self.before.map_or([0xff; 16], Into::into);
        [self.workspace.as_bytes().into(), (&bound).into(), self.limit.into()]
    }
}

/// Something in a list, with when it was made.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// It.
    pub it: T,
    /// When it was made.
    pub created_at: UnixTime,
}

/// Lists clients, without their secrets.
pub struct ListClients(pub Part<ClientId>);

impl Step for ListClients {
    type Out = Vec<Listed<Client>>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT id, client_id, epoch, enabled, settings, roles, created_at FROM client
                   WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let rows = tx.run(sql, &self.0.values()).await?;
        let read = |row: &Row| Ok(Listed { it: client::read(row, self.0.workspace)?, created_at: row.time(6)? });
        rows.iter().map(read).collect()
    }
}

/// Lists resources.
pub struct ListResources(pub Part<ResourceId>);

impl Step for ListResources {
    type Out = Vec<Listed<Resource>>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT id, uri, settings, created_at FROM resource
                   WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let rows = tx.run(sql, &self.0.values()).await?;
        let read = |row: &Row| Ok(Listed { it: resource::read(row, self.0.workspace)?, created_at: row.time(3)? });
        rows.iter().map(read).collect()
    }
}

/// Lists roles.
pub struct ListRoles(pub Part<RoleId>);

impl Step for ListRoles {
    type Out = Vec<Listed<Role>>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT id, name, settings, created_at FROM role
                   WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let rows = tx.run(sql, &self.0.values()).await?;
        let read = |row: &Row| Ok(Listed { it: role::read(row, self.0.workspace)?, created_at: row.time(3)? });
        rows.iter().map(read).collect()
    }
}

/// Lists users.
pub struct ListUsers(pub Part<UserId>);

impl Step for ListUsers {
    type Out = Vec<Listed<User>>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT id, username, epoch, credentials, enabled, admin, claims, roles, created_at FROM users
                   WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let rows = tx.run(sql, &self.0.values()).await?;
        let read = |row: &Row| Ok(Listed { it: user::read(row, self.0.workspace)?, created_at: row.time(8)? });
        rows.iter().map(read).collect()
    }
}

/// Lists sessions, ended ones too while their rows are kept.
pub struct ListSessions {
    /// Which part.
    pub part: Part<SessionId>,
    /// Only those of this user.
    pub user: Option<UserId>,
}

impl Step for ListSessions {
    type Out = Vec<SessionRow>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let [workspace, before, limit] = self.part.values();
        let rows = match self.user {
            None => {
                let sql = concat!(
                    "SELECT ",
                    session_columns!(),
                    " FROM session WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
                );
                tx.run(sql, &[workspace, before, limit]).await?
            }
            Some(user) => {
                let sql = concat!(
                    "SELECT ",
                    session_columns!(),
                    " FROM session WHERE workspace = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
                );
                tx.run(sql, &[workspace, user.as_bytes().into(), before, limit]).await?
            }
        };
        rows.iter().map(read_session).collect()
    }
}

/// A grant with what only operators want to know of it.
#[derive(Debug, Clone)]
pub struct ListedGrant {
    /// The grant.
    pub grant: Grant,
    /// How many of its tokens were revoked one by one.
    pub kills: i64,
    /// Facts of the authorization.
    pub facts: GrantFacts,
    /// When it was made.
    pub created_at: UnixTime,
}

macro_rules! listed_grant_columns {
    () => {
        concat!(grant_columns!(), ", facts, created_at, ", kills!())
    };
}

fn read_listed_grant(row: &Row) -> Result<ListedGrant, StoreError> {
    Ok(ListedGrant {
        kills: row.int(GRANT_COLUMNS + 2)?,
        grant: read_grant(row)?,
        facts: row.json(GRANT_COLUMNS)?,
        created_at: row.time(GRANT_COLUMNS + 1)?,
    })
}

/// Whose grants.
#[derive(Debug, Clone, Copy)]
pub enum GrantsOf {
    /// All of them.
    Everyone,
    /// What this user has given.
    User(UserId),
    /// What this client was given.
    Client(ClientId),
}

/// Lists grants.
pub struct ListGrants {
    /// Which part.
    pub part: Part<GrantId>,
    /// Whose.
    pub of: GrantsOf,
}

impl Step for ListGrants {
    type Out = Vec<ListedGrant>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let [workspace, before, limit] = self.part.values();
        let rows = match self.of {
            GrantsOf::Everyone => {
                let sql = concat!(
                    "SELECT ",
                    listed_grant_columns!(),
                    " FROM grants WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
                );
                tx.run(sql, &[workspace, before, limit]).await?
            }
            GrantsOf::User(user) => {
                let sql = concat!(
                    "SELECT ",
                    listed_grant_columns!(),
                    " FROM grants WHERE workspace = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
                );
                tx.run(sql, &[workspace, user.as_bytes().into(), before, limit]).await?
            }
            GrantsOf::Client(client) => {
                let sql = concat!(
                    "SELECT ",
                    listed_grant_columns!(),
                    " FROM grants WHERE workspace = $1 AND client = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
                );
                tx.run(sql, &[workspace, client.as_bytes().into(), before, limit]).await?
            }
        };
        rows.iter().map(read_listed_grant).collect()
    }
}

/// Reads one grant as an operator sees it.
pub struct FindGrant {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: GrantId,
}

impl Step for FindGrant {
    type Out = Option<ListedGrant>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = concat!("SELECT ", listed_grant_columns!(), " FROM grants WHERE workspace = $1 AND id = $2");
        let row = tx.find(sql, &[self.workspace.as_bytes().into(), self.id.as_bytes().into()]).await?;
        row.as_ref().map(read_listed_grant).transpose()
    }
}
