//! The inspector: what a token refers to, how everything it hangs from stands, and why it is dead if it is.
//!
//! Holds: whether it lives is `core::alive`'s to say, as for every other caller; here it is only put in words.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::alive::{Reason, Standing, Verdict};
use opalid_core::grant::{Ancestor, EntitlementNo, Epoch, Grant};
use opalid_core::ids::{CodeId, GrantId};
use opalid_core::refresh::{Presentation, Presented};
use opalid_core::request::GrantType;
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::token::{Access, Code, Kind, PresentedToken, Refresh, RowSecret, Unopened};
use opalid_store::steps::evidence::LoadStandings;
use opalid_store::steps::inspect::InspectCode;
use opalid_store::steps::list::{FindGrant, ListedGrant};
use opalid_store::steps::refresh::FindChain;
use serde::{Deserialize, Serialize};

use super::sessions::{GrantEntry, entry, username};
use super::{Handed, ManageError, Operation, Reply};

/// What there is to say of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inspection {
    /// Which kind it is.
    pub kind: String,
    /// Whether it is alive.
    pub active: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The number of the key it was sealed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u8>,
    /// More facts, each with its name; times are in `times`.
    pub facts: Vec<(String, String)>,
    /// Points in time, each with its name.
    pub times: Vec<(String, UnixTime)>,
    /// The grant it hangs from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantEntry>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may: Vec<Permitted>,
    /// Everything it hangs from, its grant first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<AncestorState>,
}

/// Scopes of one resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Permitted {
    /// The resource's URI, or the issuer.
    pub resource: String,
    /// What the token was given.
    pub scopes: Scopes,
    /// What of it is allowed today; nothing if the resource is gone, or not for this client or person any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<Scopes>,
}

/// How something that a token hangs from stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AncestorState {
    /// What it is.
    pub kind: String,
    /// Its name, where people know one; else its id.
    pub name: String,
    /// Its epoch when the token's authority was presented.
    pub born_under: Epoch,
    /// Its epoch today; nothing if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<Epoch>,
    /// Whether it is in service today.
    pub enabled: bool,
    /// Its end, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<UnixTime>,
}

impl Inspection {
    fn of(kind: &str) -> Self {
        Self {
            kind: kind.into(),
            active: false,
            why: None,
            key: None,
            facts: Vec::new(),
            times: Vec::new(),
            grant: None,
            may: Vec::new(),
            ancestors: Vec::new(),
        }
    }

    /// It opened, so its first byte is the number of its key.
    fn opened<K: Kind>(&mut self, token: &Handed) {
        let head = token.expose().strip_prefix(K::PREFIX).and_then(|rest| rest.get(..4));
        self.key = head.and_then(|head| URL_SAFE_NO_PAD.decode(head).ok()?.first().copied());
    }

    fn fact(&mut self, name: &str, value: impl std::fmt::Display) {
        self.facts.push((name.into(), value.to_string()));
    }

    fn time(&mut self, name: &str, at: UnixTime) {
        self.times.push((name.into(), at));
    }

    /// It did not open: the envelope says why.
    fn unopened(mut self, unopened: Unopened, workspace: &str) -> Self {
        self.fact(
            "opens",
            match unopened {
                Unopened::Malformed => "no: it has not the form of this kind (cut, or characters added?)".to_owned(),
                Unopened::UnknownKey(number) => {
                    format!("no: workspace {workspace} has no key {number} (another workspace's? try -w NAME)")
                }
                Unopened::Forged => {
                    format!("no: changed on the way, or of another workspace than {workspace} (try -w NAME)")
                }
            },
        );
        self.judged(Err(Reason::NotOurs))
    }

    fn judged(mut self, judged: Result<(), Reason>) -> Self {
        self.active = judged.is_ok();
        self.why = judged.err().map(|reason| reason.to_string());
        self
    }
}

/// Inspects a token of any kind.
pub(super) async fn inspect(operation: &Operation<'_>, token: &Handed) -> Result<Reply, ManageError> {
    let presented = PresentedToken::new(token.expose());
    let inspection = if presented.looks_like::<Access>() {
        access(operation, token).await?
    } else if presented.looks_like::<Refresh>() {
        refresh(operation, token).await?
    } else if presented.looks_like::<Code>() {
        code(operation, token).await?
    } else {
        let why = "this is no token of an Opalid server: expected one that starts with oat_, ort_ or oac_";
        return Err(ManageError::Refused(why.into()));
    };
    Ok(Reply::Inspected(Box::new(inspection)))
}

async fn access(operation: &Operation<'_>, token: &Handed) -> Result<Inspection, ManageError> {
    let (app, workspace) = (operation.app, operation.workspace());
    let issuer = app.issuer_of(&operation.record)?;
    let presented = PresentedToken::new(token.expose());
    let mut inspection = Inspection::of("access token");
    let reference = match issuer.sealer.open::<Access>(presented) {
        Ok(reference) => reference,
        Err(unopened) => return Ok(inspection.unopened(unopened, &operation.record.workspace.name)),
    };
    inspection.opened::<Access>(token);
    let sealed = &reference.sealed;
    inspection.fact("jti", reference.jti);
    inspection.fact("bound to a key", if sealed.confirmation.is_some() { "yes" } else { "no" });
    inspection.time("issued", sealed.issued_at);
    inspection.time("expires", sealed.expires_at);
    let verdict = app.store.judge(workspace, &reference, app.now()).await?;
    hang(operation, &mut inspection, (sealed.grant, sealed.epoch, sealed.entitlement)).await?;
    Ok(inspection.judged(match verdict {
        Verdict::Inactive(reason) => Err(reason),
        Verdict::Active(alive) => match app.store.find_client_by_id(workspace, alive.grant.grant.client()).await? {
            None => Err(Reason::AncestorGone(Ancestor::Client(alive.grant.grant.client()))),
            Some(client) => app
                .store
                .effective((&client, alive.grant.grant.user()), &alive.entitlement)
                .await?
                .map(drop)
                .ok_or(Reason::Narrowed),
        },
    }))
}

async fn refresh(operation: &Operation<'_>, token: &Handed) -> Result<Inspection, ManageError> {
    let (store, workspace) = (&operation.app.store, operation.workspace());
    let (mut inspection, secret) = match open_row::<Refresh>(operation, "refresh token", token)? {
        Ok(opened) => opened,
        Err(inspection) => return Ok(inspection),
    };
    let presented = Presentation::of(&secret);
    inspection.fact("chain", presented.chain);
    inspection.fact("generation", presented.generation);
    let Some(row) = store.read(FindChain { workspace, id: presented.chain }).await? else {
        return Ok(gone(inspection, "its chain is not in the store any more"));
    };
    let limits = operation.app.issuer_of(&operation.record)?.refresh_limits();
    inspection.fact("generation today", row.chain.generation);
    inspection.time("last rotated", row.chain.rotated_at);
    inspection.time("last used", row.chain.used_at);
    inspection.time("expires unused", row.chain.ends_at(limits.idle));
    inspection.time("expires at the latest", row.chain.expires_at);
    let grant = hang(operation, &mut inspection, (row.grant, row.grant_epoch, row.entitlement)).await?;
    let judged = judge_row(operation, (grant.as_ref(), row.grant_epoch)).await?;
    let client = store.find_client_by_id(workspace, row.client).await?;
    let may_refresh = client.is_some_and(|client| client.may_use(GrantType::RefreshToken));
    Ok(match (judged, row.chain.judge(&presented, operation.app.now(), limits)) {
        (Err(reason), _) => inspection.judged(Err(reason)),
        (Ok(()), Presented::Current) if !may_refresh => gone(inspection, "its client may not use refresh_token today"),
        (Ok(()), Presented::Current) => inspection.judged(Ok(())),
        (Ok(()), Presented::Retry) => {
            gone(inspection, "it was replaced; for a moment it gets the same successor again")
        }
        (Ok(()), Presented::Reused) => gone(inspection, "it was replaced; whoever presents it cuts the grant"),
        (Ok(()), Presented::Unknown) => inspection.judged(Err(Reason::NotOurs)),
        (Ok(()), Presented::Expired) => inspection.judged(Err(Reason::Expired)),
    })
}

async fn code(operation: &Operation<'_>, token: &Handed) -> Result<Inspection, ManageError> {
    let (store, workspace) = (&operation.app.store, operation.workspace());
    let (mut inspection, secret) = match open_row::<Code>(operation, "authorization code", token)? {
        Ok(opened) => opened,
        Err(inspection) => return Ok(inspection),
    };
    let id = CodeId::from_bytes(secret.row);
    inspection.fact("code", id);
    let found = store.read(InspectCode { workspace, id, digest: secret.digest() }).await?;
    let Some(code) = found.filter(|code| code.secret_matches) else {
        return Ok(gone(inspection, "it is not in the store any more"));
    };
    inspection.time("expires", code.expires_at);
    let grant = hang(operation, &mut inspection, (code.grant, code.grant_epoch, code.entitlement)).await?;
    if let Some(at) = code.redeemed_at {
        inspection.time("redeemed", at);
    }
    Ok(match judge_row(operation, (grant.as_ref(), code.grant_epoch)).await? {
        Err(reason) => inspection.judged(Err(reason)),
        Ok(()) if code.redeemed_at.is_some() => {
            gone(inspection, "it was redeemed; whoever presents it again with what it is bound to cuts the grant")
        }
        Ok(()) if operation.app.now() >= code.expires_at => inspection.judged(Err(Reason::Expired)),
        Ok(()) => inspection.judged(Ok(())),
    })
}

type Opened<K> = Result<(Inspection, RowSecret<K>), Inspection>;

fn open_row<K: Kind>(operation: &Operation<'_>, kind: &str, token: &Handed) -> Result<Opened<K>, ManageError> {
    let issuer = operation.app.issuer_of(&operation.record)?;
    let presented = PresentedToken::new(token.expose());
    let mut inspection = Inspection::of(kind);
    Ok(match issuer.row_sealer.open_row::<K>(presented) {
        Ok(secret) => {
            inspection.opened::<K>(token);
            Ok((inspection, secret))
        }
        Err(unopened) => Err(inspection.unopened(unopened, &operation.record.workspace.name)),
    })
}

/// What its row, not its grant, says against it.
fn gone(mut inspection: Inspection, why: &str) -> Inspection {
    inspection.active = false;
    inspection.why = Some(why.into());
    inspection
}

/// Whether what a row hangs from stands.
async fn judge_row(
    operation: &Operation<'_>,
    (grant, epoch): (Option<&Grant>, Epoch),
) -> Result<Result<(), Reason>, ManageError> {
    let Some(grant) = grant else { return Ok(Err(Reason::GrantUnknown)) };
    Ok(operation.app.store.judge_grant(operation.workspace(), (grant, epoch), operation.app.now()).await?)
}

/// Adds the grant, what of it the token carries, and everything the grant hangs from.
async fn hang(
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
        inspection.ancestors.push(state(ancestor, name, birth.epoch, standing));
    }
    Ok(Some(listed.grant))
}

fn state(ancestor: Ancestor, name: String, born_under: Epoch, standing: Option<Standing>) -> AncestorState {
    AncestorState {
        kind: ancestor.kind().into(),
        name,
        born_under,
        today: standing.map(|standing| standing.epoch),
        enabled: standing.is_some_and(|standing| standing.enabled),
        ends_at: standing.and_then(|standing| standing.ends_at),
    }
}

async fn name_of(operation: &Operation<'_>, ancestor: Ancestor) -> Result<String, ManageError> {
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
