//! Revocation by an operator or an administrator: everything below a workspace, user, client, session or grant; one token.

use std::str::FromStr;

use opalid_core::ids::{ChainId, CodeId, GrantId, SessionId};
use opalid_core::token::{Code, PresentedToken, Refresh};
use opalid_store::steps::inspect::InspectCode;
use opalid_store::steps::list::FindGrant;
use opalid_store::steps::refresh::FindChain;
use opalid_store::steps::revoke::{CutGrant, KillLimits, KillToken, Revoked};
use opalid_store::steps::session::{EndSession, FindSession};
use opalid_store::steps::workspace::RevokeWorkspace;

use crate::metrics::Revoked as Counted;
use crate::presented::Revocable;

use super::{Handed, ManageError, Operation, Reply, workspaces};

pub(super) async fn workspace(operation: &Operation<'_>, yes: bool) -> Result<Reply, ManageError> {
    let name = &operation.record.workspace.name;
    if !yes {
        let dies = workspaces::what_dies(operation.app, operation.workspace()).await?;
        return Err(ManageError::Refused(format!(
            "by this, at once and for good: everything in workspace {name} is dead and everyone signs in again ({dies}). If \
             that is meant: --yes"
        )));
    }
    operation.app.store.run(RevokeWorkspace { stamp: operation.stamp() }).await?;
    operation.app.metrics.revocations.count(Counted::Workspace);
    Ok(Reply::done(format!("Everything in workspace {name} is dead: everyone signs in again.")))
}

pub(super) async fn session(operation: &Operation<'_>, id: &str) -> Result<Reply, ManageError> {
    let id: SessionId = parse(operation, "session", id)?;
    let step = FindSession { workspace: operation.workspace(), id };
    if operation.app.store.read(step).await?.is_none() {
        return Err(operation.unknown("session", id));
    }
    let ended = operation.app.store.run(EndSession { stamp: operation.stamp(), id }).await?;
    if ended {
        operation.app.metrics.revocations.count(Counted::Session);
    }
    Ok(Reply::done(if ended {
        format!("Session {id} has ended; everything bound to it is dead.")
    } else {
        format!("Session {id} had ended before.")
    }))
}

pub(crate) async fn grant(operation: &Operation<'_>, id: &str) -> Result<Reply, ManageError> {
    let id: GrantId = parse(operation, "grant", id)?;
    cut(operation, id, "revoked by an administrator").await?;
    let mut message = format!("Grant {id} is cut; all its tokens are dead.");
    if let Some(whole) = alive_above(operation, id).await? {
        let command = operation.command(&format!("revoke grant {whole}"));
        message += &format!(" It was a part of grant {whole}, whose other tokens live on; to cut them, too: {command}");
    }
    Ok(Reply::done(message))
}

/// The grant that this one is a part of, if that lives.
async fn alive_above(operation: &Operation<'_>, id: GrantId) -> Result<Option<GrantId>, ManageError> {
    let (store, workspace) = (&operation.app.store, operation.workspace());
    let Some(part) = store.read(FindGrant { workspace, id }).await? else { return Ok(None) };
    let whole = part.grant.topmost();
    if whole == id {
        return Ok(None);
    }
    // What its parents are at all says whether tokens of them live: they have the epochs that it was born under.
    let judged = store.judge_lineage(workspace, &part.grant.descent.lineage(), operation.app.now()).await?;
    Ok(judged.is_ok().then_some(whole))
}

/// An access token dies alone; a refresh token or code takes its grant with it (RFC 7009 §2.1).
pub(crate) async fn token(operation: &Operation<'_>, token: &Handed) -> Result<Reply, ManageError> {
    let issuer = operation.app.issuer_of(&operation.record)?;
    let presented = PresentedToken::new(token.expose());
    if let Some(token) = Revocable::open(&issuer, token.expose()) {
        return access_token(operation, &token).await;
    }
    let workspace = operation.workspace();
    let mut grant = None;
    if let Ok(secret) = issuer.row_sealer.open_row::<Refresh>(presented) {
        let step = FindChain { workspace, id: ChainId::from_bytes(secret.row) };
        grant = operation.app.store.read(step).await?.map(|chain| chain.grant);
    } else if let Ok(secret) = issuer.row_sealer.open_row::<Code>(presented) {
        let step = InspectCode { workspace, id: CodeId::from_bytes(secret.row), digest: secret.digest() };
        let found = operation.app.store.read(step).await?.filter(|code| code.secret_matches);
        grant = found.map(|code| code.grant);
    }
    let name = &operation.record.workspace.name;
    let unknown = || {
        let hint = "a token of another workspace needs -w NAME; opalid inspect says more";
        ManageError::Unknown(format!("workspace {name} knows no such token; {hint}"))
    };
    let grant = grant.ok_or_else(unknown)?;
    cut(operation, grant, "revoked by an administrator, by one of its tokens").await?;
    Ok(Reply::done(format!("Grant {grant} is cut; all its tokens are dead.")))
}

async fn access_token(operation: &Operation<'_>, token: &Revocable) -> Result<Reply, ManageError> {
    let sealed = &token.sealed;
    let found = operation.app.store.read(FindGrant { workspace: operation.workspace(), id: sealed.grant }).await?;
    if found.is_none_or(|found| !found.grant.guard.matches(&sealed.guard)) {
        return Err(operation.unknown("grant", sealed.grant));
    }
    let stamp = operation.stamp();
    if stamp.now >= sealed.expires_at {
        return Ok(Reply::done("The token had expired; nothing to do.".into()));
    }
    let (grant, epoch, jti, expires_at) = (sealed.grant, sealed.epoch, token.jti, sealed.expires_at);
    let step = KillToken { stamp, grant, epoch, jti, expires_at, limits: KillLimits::default() };
    operation.app.store.run(step).await?;
    operation.app.metrics.revocations.count(Counted::Token);
    Ok(Reply::done(format!("The token is dead; others of grant {} live on.", sealed.grant)))
}

async fn cut(operation: &Operation<'_>, grant: GrantId, reason: &'static str) -> Result<(), ManageError> {
    match operation.app.store.run(CutGrant { stamp: operation.stamp(), grant, of_epoch: None, reason }).await? {
        Revoked::Dead => {
            operation.app.metrics.revocations.count(Counted::Grant);
            Ok(())
        }
        Revoked::Unknown => Err(operation.unknown("grant", grant)),
    }
}

fn parse<Id: FromStr>(operation: &Operation<'_>, what: &str, text: &str) -> Result<Id, ManageError>
where
    Id::Err: std::fmt::Display,
{
    let refused = |error| {
        ManageError::Refused(format!("{text:?} is {error}; see: {}", operation.command(&format!("{what} list"))))
    };
    text.parse().map_err(refused)
}
