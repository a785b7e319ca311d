//! Users: listed, shown, made, suspended, resumed; their passwords.

use opalid_core::apply::{Kind, Verb};
use opalid_core::claims::StandardClaims;
use opalid_core::grant::Epoch;
use opalid_core::ids::{LinkId, UserId};
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::{PasswordLink, RowSecret};
use opalid_core::user::{User, username_key};
use opalid_store::steps::list::ListUsers;
use opalid_store::steps::password::{CreatePasswordLink, SetPassword};
use opalid_store::steps::user::{Credentials, FindCredentials, TouchUser, UserEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::apply::{self, OneChange};
use super::{Handed, ManageError, Operation, Page, Paging, Reply, roles};
use crate::http::routes::Endpoint;
use crate::metrics::Revoked;
use crate::passwords::password::{ChosenPassword, Password};
use crate::random;

/// How long a link to set a password works.
pub const LINK_LIFETIME: Seconds = Seconds(24 * 3600);

/// A user in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserRow {
    /// Its row, and its subject.
    pub id: UserId,
    /// What the person types to sign in.
    pub username: String,
    /// Whether the user administers the workspace.
    pub admin: bool,
    /// Whether the account is in service.
    pub enabled: bool,
    /// Its epoch today.
    pub epoch: Epoch,
    /// The epoch of its credentials today.
    pub credentials: Epoch,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A user with what is known of the person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserDetail {
    /// Its row, and its subject.
    pub id: UserId,
    /// What the person types to sign in.
    pub username: String,
    /// Whether the user administers the workspace.
    pub admin: bool,
    /// Whether the account is in service.
    pub enabled: bool,
    /// Whether a password is set.
    pub has_password: bool,
    /// Its epoch today.
    pub epoch: Epoch,
    /// The epoch of its credentials today.
    pub credentials: Epoch,
    /// What is known of the person.
    pub claims: StandardClaims,
    /// The roles they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// A one-time link to set a password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkMade {
    /// Whose password.
    pub username: String,
    /// Where the browser goes; a secret until it was used.
    pub url: Handed,
    /// Until when it works.
    pub expires_at: UnixTime,
    /// The console of their workspace, for one who administers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
}

pub(super) async fn list(operation: &Operation<'_>, paging: &Paging) -> Result<Reply, ManageError> {
    let rows = operation.app.store.read(ListUsers(operation.part(paging)?)).await?;
    let rows = rows.into_iter().map(|listed| UserRow {
        id: listed.it.id,
        username: listed.it.username,
        admin: listed.it.admin,
        enabled: listed.it.enabled,
        epoch: listed.it.epoch,
        credentials: listed.it.credentials,
        created_at: listed.created_at,
    });
    Ok(Reply::Users(Page::new(rows.collect(), paging, |row: &UserRow| row.id.to_string())))
}

pub(super) async fn show(operation: &Operation<'_>, username: &str) -> Result<Reply, ManageError> {
    let Credentials { user, password_hash } = load_credentials(operation, username).await?;
    let roles = roles::names(&operation.app.store, operation.workspace(), &user.roles).await?;
    Ok(Reply::User(Box::new(UserDetail {
        id: user.id,
        username: user.username,
        admin: user.admin,
        enabled: user.enabled,
        has_password: password_hash.is_some(),
        epoch: user.epoch,
        credentials: user.credentials,
        claims: user.claims,
        roles,
    })))
}

pub(super) async fn touch(operation: &Operation<'_>, username: &str, event: UserEvent) -> Result<Reply, ManageError> {
    let user = load(operation, username).await?;
    if !operation.app.store.run(TouchUser { stamp: operation.stamp(), id: user.id, event }).await? {
        return Err(operation.unknown("user", username));
    }
    if event != UserEvent::Resumed {
        operation.app.metrics.revocations.count(Revoked::User);
    }
    let name = user.username;
    Ok(Reply::done(match event {
        UserEvent::Revoked => format!("Everything of user {name} is dead: sessions, grants and their tokens."),
        UserEvent::Suspended => format!("User {name} is suspended; everything of theirs is dead."),
        UserEvent::Resumed => format!("User {name} is back in service; nothing they had before lives again."),
        UserEvent::SignedOutEverywhere => {
            format!("User {name} is signed out everywhere; what they gave offline access to lives on.")
        }
    }))
}

/// Makes a user, by the rules of a document, and if wished a link to set the first password.
pub(super) async fn create(
    operation: &Operation<'_>,
    username: &str,
    fields: Map<String, Value>,
    link: bool,
) -> Result<Reply, ManageError> {
    username_key(username).map_err(|bad| ManageError::Refused(bad.to_string()))?;
    if find_credentials(operation, username).await?.is_some() {
        let workspace = &operation.record.workspace.name;
        return Err(ManageError::Refused(format!(
            "workspace {workspace} has a user {username:?} already; for a link to set the password: {}",
            operation.command(&format!("user set-password {username} --link"))
        )));
    }
    let name = username.to_owned();
    let asked = OneChange { kind: Kind::User, verb: Verb::Create, name, fields, secret: None, yes: false };
    apply::one(operation, &asked).await?.make_all(operation.app).await?;
    if link {
        return make_link(operation, username).await;
    }
    Ok(Reply::done(format!(
        "User {username} is there, without a password; set one with: {}",
        operation.command(&format!("user set-password {username}"))
    )))
}

/// Makes a link with which a person sets their password.
pub(super) async fn make_link(operation: &Operation<'_>, username: &str) -> Result<Reply, ManageError> {
    let user = load(operation, username).await?;
    let issuer = operation.app.issuer_of(&operation.record)?;
    let stamp = operation.stamp();
    let expires_at = stamp.now.plus(LINK_LIFETIME);
    let id = LinkId::from_bytes(operation.app.new_id());
    let secret = RowSecret::<PasswordLink>::new(*id.as_bytes(), 0, random::bytes());
    let step = CreatePasswordLink { stamp, id, user: user.id, digest: secret.digest(), expires_at };
    if !operation.app.store.run(step).await? {
        let name = user.username;
        let resume = operation.command(&format!("user resume {name}"));
        return Err(ManageError::Refused(format!("user {name} is suspended; first: {resume}")));
    }
    let token = issuer.row_sealer.seal_row(&secret, random::bytes());
    let url = Handed::new(format!("{}/set-password?token={token}", issuer.url));
    let console = user.admin.then(|| format!("{}{}", issuer.url, Endpoint::Inspect.path()));
    Ok(Reply::Link(Box::new(LinkMade { username: user.username, url, expires_at, console })))
}

/// Sets a password on an administrator's word: everything of the user's dies.
pub(super) async fn set_password(
    operation: &Operation<'_>,
    username: &str,
    password: &Handed,
) -> Result<Reply, ManageError> {
    let user = load(operation, username).await?;
    let chosen = ChosenPassword::new(Password::new(password.expose().to_owned()), &user.username)
        .map_err(|refused| ManageError::Refused(refused.to_string()))?;
    let hash = operation.app.hasher.hash(&chosen, random::bytes()).await;
    let hash = hash.map_err(|busy| ManageError::Unavailable(busy.to_string()))?;
    let step = SetPassword { stamp: operation.stamp(), user: user.id, password_hash: hash.to_text() };
    if !operation.app.store.run(step).await? {
        return Err(operation.unknown("user", username));
    }
    operation.app.metrics.revocations.count(Revoked::User);
    let name = user.username;
    Ok(Reply::done(format!("The password of user {name} is set; everything of theirs from before is dead.")))
}

/// The user of this name, as they are today.
pub(super) async fn load(operation: &Operation<'_>, username: &str) -> Result<User, ManageError> {
    load_credentials(operation, username).await.map(|found| found.user)
}

async fn load_credentials(operation: &Operation<'_>, username: &str) -> Result<Credentials, ManageError> {
    find_credentials(operation, username).await?.ok_or_else(|| operation.unknown("user", username))
}

async fn find_credentials(operation: &Operation<'_>, username: &str) -> Result<Option<Credentials>, ManageError> {
    let Ok(username_key) = username_key(username) else { return Ok(None) };
    Ok(operation.app.store.read(FindCredentials { workspace: operation.workspace(), username_key }).await?)
}
