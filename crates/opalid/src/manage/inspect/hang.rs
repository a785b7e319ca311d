//! What a token hangs from: its grant, what of it the token carries, every ancestor as it stands, and how each is cut.

use std::path::Path;

use opalid_core::alive::Standing;
use opalid_core::grant::{Ancestor, EntitlementNo, Epoch, Grant};
use opalid_core::ids::GrantId;
use opalid_store::folder::quoted;
use opalid_store::steps::evidence::LoadStandings;
use opalid_store::steps::list::{FindGrant, ListedGrant};

use super::super::sessions::{entry, username};
use super::super::{ManageError, Operation};
use super::{AncestorState, Inspection, Permitted};

/// Adds the grant, what of it the token carries, and everything the grant hangs from.
pub(super) async fn hang(
    operation: &Operation<'_>,
    inspection: &mut Inspection,
    (id, epoch, number): (GrantId, Epoch, EntitlementNo),
) -> Result<Option<Grant>, ManageError> {
    let (store, workspace) = (&operation.app.store, operation.workspace());
    let Some(listed) = store.read(FindGrant { workspace, id }).await? else {
        inspection.fact("grant", id);
        return Ok(None);
    };
    inspection.grant = Some(entry(operation, &listed).await?);
    let topmost = listed.grant.topmost();
    inspection.cut_with(operation, "its grant, with all its tokens", &format!("revoke grant {topmost}"));
    inspection.may = permitted(operation, &listed, number).await?;
    let grant = &listed.grant;
    inspection.ancestors.push(AncestorState {
        kind: Ancestor::Grant(id).kind().into(),
        name: id.to_string(),
        born_under: epoch,
        today: Some(grant.epoch),
        enabled: true,
        ends_at: None,
    });
    let standings = store.read(LoadStandings { workspace, lineage: grant.descent.lineage() }).await?;
    for (birth, (ancestor, standing)) in grant.descent.births().zip(standings) {
        let name = name_of(operation, ancestor).await?;
        cut_at(operation, inspection, ancestor, &name);
        inspection.ancestors.push(state(ancestor, name, birth.epoch, standing));
    }
    Ok(Some(listed.grant))
}

/// How everything below an ancestor is cut.
fn cut_at(operation: &Operation<'_>, inspection: &mut Inspection, ancestor: Ancestor, name: &str) {
    let name = quoted(Path::new(name));
    match ancestor {
        Ancestor::Session(_) => {
            inspection.cut_with(operation, "everything of this session", &format!("revoke session {name}"));
        }
        Ancestor::User(_) => inspection.cut_with(operation, "everything of this user", &format!("revoke user {name}")),
        Ancestor::Client(_) => {
            inspection.cut_with(operation, "everything of this client", &format!("revoke client {name}"));
        }
        Ancestor::Workspace(_) | Ancestor::Credentials(_) | Ancestor::Consent(_) | Ancestor::Grant(_) => {}
    }
}

pub(super) fn state(ancestor: Ancestor, name: String, born_under: Epoch, standing: Option<Standing>) -> AncestorState {
    AncestorState {
        kind: ancestor.kind().into(),
        name,
        born_under,
        today: standing.map(|standing| standing.epoch),
        enabled: standing.is_some_and(|standing| standing.enabled),
        ends_at: standing.and_then(|standing| standing.ends_at),
    }
}

pub(super) async fn name_of(operation: &Operation<'_>, ancestor: Ancestor) -> Result<String, ManageError> {
    let (store, workspace) = (&operation.app.store, operation.workspace());
    Ok(match ancestor {
        Ancestor::Workspace(_) => operation.record.workspace.name.clone(),
        Ancestor::Client(id) => {
            store.find_client_by_id(workspace, id).await?.map_or_else(|| id.to_string(), |it| it.client_id.clone())
        }
        Ancestor::User(id) | Ancestor::Credentials(id) => username(operation, id).await?,
        Ancestor::Session(id) => id.to_string(),
        Ancestor::Consent(id) => id.to_string(),
        Ancestor::Grant(id) => id.to_string(),
    })
}

async fn permitted(
    operation: &Operation<'_>,
    listed: &ListedGrant,
    number: EntitlementNo,
) -> Result<Vec<Permitted>, ManageError> {
    let Some(entitlement) = listed.grant.entitlement(number) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    if !entitlement.openid.is_empty() {
        let issuer = operation.app.issuer_of(&operation.record)?.url.clone();
        let scopes = entitlement.openid.clone();
        all.push(Permitted { resource: issuer, today: Some(scopes.clone()), scopes });
    }
    let client = operation.app.store.find_client_by_id(operation.workspace(), listed.grant.client()).await?;
    let effective = match &client {
        Some(client) => operation.app.store.effective((client, listed.grant.user()), entitlement).await?,
        None => None,
    };
    let today = effective.map(|effective| effective.entitlement.into_owned().resources).unwrap_or_default();
    for (id, scopes) in &entitlement.resources {
        let found = operation.app.store.find_resource_by_id(operation.workspace(), *id).await?;
        all.push(Permitted {
            resource: found.as_ref().map_or_else(|| id.to_string(), |resource| resource.uri.clone()),
            today: today.iter().find(|(of, _)| of == id).map(|(_, scopes)| scopes.clone()),
            scopes: scopes.clone(),
        });
    }
    Ok(all)
}
