//! Sessions and grants: listed, with whether they live.

use opalid_core::alive::Reason;
use opalid_core::grant::{Ancestor, Authentication, Epoch};
use opalid_core::ids::{GrantId, SessionId, UserId};
use opalid_core::time::UnixTime;
use opalid_store::steps::list::{GrantsOf, ListGrants, ListSessions, ListedGrant};
use serde::{Deserialize, Serialize};

use super::{ManageError, Operation, Page, Paging, Reply, clients, users};
use crate::browser;

/// A session in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionEntry {
    /// Its row.
    pub id: SessionId,
    /// Who logged in.
    pub username: String,
    /// Why it is dead; nothing while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<String>,
    /// Whether it was not used for so long that its browser has to sign in again; what hangs from it lives on.
    #[serde(default)]
    pub rests: bool,
    /// Its epoch today.
    pub epoch: Epoch,
    /// How the person was authenticated.
    pub authentication: Authentication,
    /// When it was last used.
    pub used_at: UnixTime,
    /// Its absolute end.
    pub expires_at: UnixTime,
}

/// A grant in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantEntry {
    /// Its row.
    pub id: GrantId,
    /// The grant of the whole authorization, if this is a part of one: made when that had no room for more entitlements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<GrantId>,
    /// Who was authorized.
    pub client_id: String,
    /// By whom; nothing if the client asked for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Why nothing of it lives; nothing while it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<String>,
    /// Its epoch today.
    pub epoch: Epoch,
    /// Whether it ends with its session.
    pub session_bound: bool,
    /// How many of its tokens were revoked one by one.
    pub tokens_revoked: i64,
    /// When it was made.
    pub created_at: UnixTime,
}

impl GrantEntry {
    /// The grant that all tokens of the same authorization hang from.
    pub fn topmost(&self) -> GrantId {
        self.part_of.unwrap_or(self.id)
    }
}

pub(super) async fn list(operation: &Operation<'_>, user: Option<&str>, paging: &Paging) -> Result<Reply, ManageError> {
    let user = match user {
        Some(name) => Some(users::load(operation, name).await?.id),
        None => None,
    };
    let store = &operation.app.store;
    let workspace = operation.workspace();
    let now = operation.app.now();
    let idle = operation.record.workspace.settings.tokens.session_idle;
    let mut rows = Vec::new();
    for session in store.read(ListSessions { part: operation.part(paging)?, user }).await? {
        let judged = store.judge_lineage(workspace, &browser::lineage(&session), now).await?;
        rows.push(SessionEntry {
            id: session.id,
            username: username(operation, session.user).await?,
            rests: judged.is_ok() && now.since(session.used_at) > idle,
            dead: judged.err().map(over),
            epoch: session.epoch,
            authentication: session.authentication,
            used_at: session.used_at,
            expires_at: session.expires_at,
        });
    }
    Ok(Reply::Sessions(Page::new(rows, paging, |row: &SessionEntry| row.id.to_string())))
}

/// Why a session is dead, in words about itself.
fn over(reason: Reason) -> String {
    match reason {
        Reason::AncestorSuspended(Ancestor::Session(_)) | Reason::AncestorCut(Ancestor::Session(_)) => {
            "it has ended (signed out, revoked, or another person signed in there)".into()
        }
        Reason::SessionEnded(_) => "it has expired".into(),
        reason => reason.to_string(),
    }
}

pub(super) async fn list_grants(
    operation: &Operation<'_>,
    (user, client): (Option<&str>, Option<&str>),
    paging: &Paging,
) -> Result<Reply, ManageError> {
    let of = match (user, client) {
        (None, None) => GrantsOf::Everyone,
        (Some(name), None) => GrantsOf::User(users::load(operation, name).await?.id),
        (None, Some(name)) => GrantsOf::Client(clients::load(operation, name).await?.id),
        (Some(_), Some(_)) => {
            return Err(ManageError::Refused("ask for a user's grants or a client's, not both".into()));
        }
    };
    let store = &operation.app.store;
    let mut rows = Vec::new();
    for listed in store.read(ListGrants { part: operation.part(paging)?, of }).await? {
        rows.push(entry(operation, &listed).await?);
    }
    Ok(Reply::Grants(Page::new(rows, paging, |row: &GrantEntry| row.id.to_string())))
}

/// A grant as operators see it.
pub(super) async fn entry(operation: &Operation<'_>, listed: &ListedGrant) -> Result<GrantEntry, ManageError> {
    let store = &operation.app.store;
    let workspace = operation.workspace();
    let grant = &listed.grant;
    let judged = store.judge_grant(workspace, (grant, Epoch::FIRST), operation.app.now()).await?;
    let client = store.find_client_by_id(workspace, grant.client()).await?;
    Ok(GrantEntry {
        id: grant.id,
        part_of: Some(grant.topmost()).filter(|topmost| *topmost != grant.id),
        client_id: client.map_or_else(|| format!("(deleted) {}", grant.client()), |client| client.client_id.clone()),
        username: match grant.user() {
            Some(user) => Some(username(operation, user).await?),
            None => None,
        },
        dead: judged.err().map(|reason| reason.to_string()),
        epoch: grant.epoch,
        session_bound: grant.is_session_bound(),
        tokens_revoked: listed.kills,
        created_at: listed.created_at,
    })
}

/// What a user types to sign in, for people to read.
pub(super) async fn username(operation: &Operation<'_>, user: UserId) -> Result<String, ManageError> {
    let found = operation.app.store.find_user(operation.workspace(), user).await?;
    Ok(found.map_or_else(|| format!("(deleted) {user}"), |user| user.username.clone()))
}
