//! Consents: what people have agreed to, listed and taken back.

use opalid_core::ids::{ConsentId, UserId};
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_store::steps::consent::{ListConsents, ListedConsent, WithdrawConsent};
use serde::{Deserialize, Serialize};

use super::sessions::username;
use super::{ManageError, Operation, Page, Paging, Reply, users};

/// A consent in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentEntry {
    /// Its row.
    pub id: ConsentId,
    /// Who agreed.
    pub username: String,
    /// For whom.
    pub client_id: String,
    /// Scopes of the issuer.
    pub openid: Scopes,
    /// Resources, each with its scopes.
    pub resources: Vec<(String, Scopes)>,
    /// When they first agreed.
    pub created_at: UnixTime,
}

pub(super) async fn list(operation: &Operation<'_>, user: Option<&str>, paging: &Paging) -> Result<Reply, ManageError> {
    let user: Option<UserId> = match user {
        Some(name) => Some(users::load(operation, name).await?.id),
        None => None,
    };
    let mut rows = Vec::new();
    for listed in operation.app.store.read(ListConsents { part: operation.part(paging)?, user }).await? {
        rows.push(entry(operation, listed).await?);
    }
    Ok(Reply::Consents(Page::new(rows, paging, |row: &ConsentEntry| row.id.to_string())))
}

async fn entry(operation: &Operation<'_>, listed: ListedConsent) -> Result<ConsentEntry, ManageError> {
    let (store, workspace) = (&operation.app.store, operation.workspace());
    let client = store.find_client_by_id(workspace, listed.client).await?;
    let mut resources = Vec::new();
    for (id, scopes) in listed.given.resources {
        let resource = store.find_resource_by_id(workspace, id).await?;
        resources.push((resource.map_or_else(|| format!("(deleted) {id}"), |resource| resource.uri.clone()), scopes));
    }
    Ok(ConsentEntry {
        id: listed.id,
        username: username(operation, listed.user).await?,
        client_id: client.map_or_else(|| format!("(deleted) {}", listed.client), |client| client.client_id.clone()),
        openid: listed.given.openid,
        resources,
        created_at: listed.created_at,
    })
}

/// What hangs from it dies, and the person is asked again.
pub(super) async fn withdraw(operation: &Operation<'_>, id: &str) -> Result<Reply, ManageError> {
    let parsed: ConsentId = id.parse().map_err(|_| operation.unknown("consent", id))?;
    if !operation.app.store.run(WithdrawConsent { stamp: operation.stamp(), id: parsed }).await? {
        return Err(operation.unknown("consent", id));
    }
    Ok(Reply::done(format!("Consent {id} is withdrawn; what hung from it is dead, and the person is asked again.")))
}
