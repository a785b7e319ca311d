//! The inspector: what a token refers to, how everything it hangs from stands, and why it is dead if it is.
//!
//! Holds: whether it lives is `core::alive`'s to say, as for every other caller; here it is only put in words.

mod hang;
mod jwt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::alive::{Reason, Verdict};
use opalid_core::grant::{Ancestor, Epoch, Grant};
use opalid_core::ids::CodeId;
use opalid_core::jwt::DecodedJwt;
use opalid_core::refresh::{Presentation, Presented};
use opalid_core::request::GrantType;
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::token::{Access, Code, Kind, PresentedToken, Refresh, RowSecret, Unopened};
use opalid_store::steps::inspect::InspectCode;
use opalid_store::steps::refresh::FindChain;
use serde::{Deserialize, Serialize};

use super::sessions::GrantEntry;
use super::{Handed, ManageError, Operation};
use crate::issuer::Issuer;
use crate::presented::{AccessToken, NotOurs};
use crate::words;
use hang::hang;

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
    /// Whose it is.
    #[serde(default)]
    pub whose: Whose,
    /// What stands in it, if it is a JWT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<DecodedJwt>,
    /// What its signature is worth, if it is a JWT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// How to cut it, and what dies with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<Cut>,
}

/// Whose a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Of the workspace that was asked, and it lives or is dead.
    #[default]
    Ours,
    /// Signed there, and stands for nothing that lives or dies.
    Word,
    /// Of somebody else, or made up.
    Foreign,
    /// Of another workspace of this server, as it says itself.
    Elsewhere,
    /// Encrypted for a reader: who signed it, if anybody, that reader alone sees.
    Hidden,
}

/// A command that cuts a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cut {
    /// What dies by it.
    pub what: String,
    /// As a person would type it.
    pub command: String,
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

impl AncestorState {
    /// How it stands, in words.
    pub fn words(&self, now: UnixTime) -> String {
        let is_session = self.kind == "session";
        let expired = self.ends_at.filter(|end| *end <= now);
        match (self.today, expired) {
            (None, _) => return "gone".into(),
            (Some(_), _) if is_session && !self.enabled => return "ended".into(),
            (Some(_), Some(end)) => return format!("expired {}", words::time(end, now)),
            (Some(_), None) => {}
        }
        let mut state = vec![if self.enabled { "in service" } else { "out of service" }.to_owned()];
        if self.today.is_some_and(|today| today != self.born_under) {
            state.push("cut since".into());
        }
        state.extend(self.ends_at.map(|end| format!("ends {}", words::time(end, now))));
        state.join(", ")
    }
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
            whose: Whose::Ours,
            jwt: None,
            signature: None,
            cut: Vec::new(),
        }
    }

    /// It opened, so its first byte is the number of its key.
    fn opened<K: Kind>(&mut self, token: &str) {
        let head = token.strip_prefix(K::PREFIX).and_then(|rest| rest.get(..4));
        self.key = head.and_then(|head| URL_SAFE_NO_PAD.decode(head).ok()?.first().copied());
    }

    /// What this workspace has to say of it, in a sentence.
    pub fn headline(&self) -> String {
        let (kind, why) = (&self.kind, self.why.as_deref().unwrap_or_default());
        match self.whose {
            Whose::Foreign => format!("This {kind} is not ours: {why}."),
            Whose::Elsewhere => format!("This {kind} is not of this workspace: {why}."),
            Whose::Hidden => format!("Whose this {kind} is cannot be said: {why}."),
            Whose::Word => format!("This {kind} is ours: {why}."),
            Whose::Ours if self.active => format!("This {kind} is alive."),
            Whose::Ours => format!("This {kind} is dead: {why}."),
        }
    }

    fn cut_with(&mut self, operation: &Operation<'_>, what: &str, words: &str) {
        self.cut.push(Cut { what: what.into(), command: operation.command(words) });
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
pub(crate) async fn inspect(operation: &Operation<'_>, token: &Handed) -> Result<Inspection, ManageError> {
    let presented = PresentedToken::new(token.expose());
    if presented.looks_like::<Access>() {
        access(operation, token).await
    } else if presented.looks_like::<Refresh>() {
        refresh(operation, token).await
    } else if presented.looks_like::<Code>() {
        code(operation, token).await
    } else if token.expose().contains('.') {
        jwt::inspect(operation, token).await
    } else {
        let why = "this is no token of an Opalid server: expected one that starts with oat_, ort_ or oac_, or a JWT";
        Err(ManageError::Refused(why.into()))
    }
}

async fn access(operation: &Operation<'_>, token: &Handed) -> Result<Inspection, ManageError> {
    let issuer = operation.app.issuer_of(&operation.record)?;
    let mut inspection = Inspection::of("access token");
    match AccessToken::open(&issuer, token.expose()) {
        Ok(opened) => {
            inspection.opened::<Access>(token.expose());
            access_opened(operation, inspection, (&issuer, &opened)).await
        }
        Err(NotOurs::Envelope(unopened)) => Ok(inspection.unopened(unopened, &operation.record.workspace.name)),
        Err(NotOurs::Jws(_)) => Ok(inspection.judged(Err(Reason::NotOurs))),
    }
}

/// What there is to say of an access token that was opened, in either form.
async fn access_opened(
    operation: &Operation<'_>,
    mut inspection: Inspection,
    (issuer, token): (&Issuer, &AccessToken),
) -> Result<Inspection, ManageError> {
    let (store, workspace, now) = (&operation.app.store, operation.workspace(), operation.app.now());
    let sealed = token.sealed();
    inspection.fact("jti", token.jti());
    inspection.fact("bound to a key", if sealed.confirmation.is_some() { "yes" } else { "no" });
    inspection.time("issued", sealed.issued_at);
    inspection.time("expires", sealed.expires_at);
    inspection.cut_with(operation, "this token alone", "revoke token -");
    let verdict = token.judge(store, issuer, now).await?;
    hang(operation, &mut inspection, (sealed.grant, sealed.epoch, sealed.entitlement)).await?;
    if let AccessToken::Jwt(_, claims) = token {
        jwt::only_its_own(&mut inspection.may, issuer, claims);
    }
    let alive = match verdict {
        Verdict::Inactive(reason) => return Ok(inspection.judged(Err(reason))),
        Verdict::Active(alive) => alive,
    };
    let (client, user) = (alive.grant.grant.client(), alive.grant.grant.user());
    let Some(client) = store.find_client_by_id(workspace, client).await? else {
        return Ok(inspection.judged(Err(Reason::AncestorGone(Ancestor::Client(client)))));
    };
    let judged = token.today(store, issuer, (&client, &alive)).await?.map(drop);
    if let (AccessToken::Jwt(_, claims), Err(Reason::Narrowed)) = (token, judged) {
        let why = jwt::says_too_much(operation, &inspection, issuer, (claims, &client, user)).await?;
        return Ok(gone(inspection, &why));
    }
    Ok(inspection.judged(judged))
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
            inspection.opened::<K>(token.expose());
            Ok((inspection, secret))
        }
        Err(unopened) => Err(inspection.unopened(unopened, &operation.record.workspace.name)),
    })
}

/// What its row, or what stands in it, says against it; not its grant.
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
