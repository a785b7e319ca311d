//! Keys: listed, rotated, revoked, brought in; and the master key rotated.
//!
//! Holds: nothing of a key is shown but its name. What dies by a command is said before it is done.

use std::sync::Arc;

use opalid_core::jwt::{self, SigningAlgorithm};
use opalid_core::time::UnixTime;
use opalid_core::wrap::MasterKey;
use opalid_store::keys::{KeyPurpose, KeyState, WorkspaceKey, WorkspaceRecord};
use opalid_store::steps::keys::CountSealed;
use opalid_store::steps::workspace::{ByWorkspace, FindWorkspace};
use serde::{Deserialize, Serialize};

use super::workspaces::counted;
use super::{Handed, INITIATOR, ManageError, Operation, Page, Reply};
use crate::issuer::Issuer;
use crate::keys::kept::{Kept, why};
use crate::keys::{Changing, Former, KeysUnchanged, PUBLISHED_AT_LEAST, Ring, rewrap};

/// A key in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// What commands call it: the `kid` of a signing key; of others the purpose and the number.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// Its number within its purpose.
    pub number: u8,
    /// The algorithm of a signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// `next`, `current` or `previous`.
    pub state: String,
    /// Since when it is that: published, in use, in use no more.
    pub since: UnixTime,
    /// When it goes, as far as that is known: of one in use, when another takes its place by schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixTime>,
    /// Why it is kept until then.
    pub why: String,
}

impl From<KeysUnchanged> for ManageError {
    fn from(error: KeysUnchanged) -> Self {
        match error {
            KeysUnchanged::Refused(_) | KeysUnchanged::Moved => Self::Refused(error.to_string()),
            KeysUnchanged::Store(error) => error.into(),
            KeysUnchanged::Making(_) | KeysUnchanged::Unknown(_) => Self::Unavailable(error.to_string()),
        }
    }
}

/// The workspace as it is in the store now, and its keys opened.
async fn load(at: &Operation<'_>) -> Result<(Arc<WorkspaceRecord>, Arc<Issuer>), ManageError> {
    let step = FindWorkspace(ByWorkspace::Id(at.workspace()));
    let gone = || super::no_workspace(&at.record.workspace.name);
    let record = Arc::new(at.app.store.read(step).await?.ok_or_else(gone)?);
    let issuer = Issuer::open(
        (at.app.base_url.clone(), &at.app.base_url),
        Arc::clone(&record),
        at.app.transport,
        &at.app.master,
    );
    Ok((record, Arc::new(issuer.map_err(crate::app::IssuerError::from)?)))
}

fn changing<'a>(at: &Operation<'a>, record: Arc<WorkspaceRecord>) -> Changing<'a> {
    Changing { app: at.app, record, now: at.app.now(), initiator: INITIATOR }
}

/// What commands call a key.
fn name(issuer: &Issuer, key: &WorkspaceKey) -> String {
    let own = issuer.signing.iter().find(|own| key.purpose == KeyPurpose::Signing && own.number == key.number);
    own.map_or_else(|| format!("{}/{}", key.purpose.name(), key.number), |own| own.key.kid().to_owned())
}

pub(super) async fn list(at: &Operation<'_>) -> Result<Reply, ManageError> {
    let (record, issuer) = load(at).await?;
    let mut keys: Vec<&WorkspaceKey> = record.keys.iter().collect();
    let place = |key: &&WorkspaceKey| {
        let state = match key.state {
            KeyState::Current { .. } => 0,
            KeyState::Next => 1,
            KeyState::Previous { .. } => 2,
        };
        (Ring::all().position(|ring| ring == Ring::holding(key)), state, key.created_at)
    };
    keys.sort_by_key(place);
    let rows = keys.into_iter().map(|key| row(&record, name(&issuer, key), key)).collect();
    Ok(Reply::Keys(Page { rows, next: None }))
}

fn row(record: &WorkspaceRecord, name: String, key: &WorkspaceKey) -> KeyRow {
    let settings = &record.workspace.settings;
    let rotation = settings.key_rotation;
    let (since, until, why) = match key.state {
        KeyState::Next => (key.created_at, None, "published, and used from the next rotation on".to_owned()),
        KeyState::Current { since } if rotation.0 == 0 => (since, None, "in use until it is rotated by hand".into()),
        KeyState::Current { since } => (since, Some(since.plus(rotation)), "in use until it is rotated".into()),
        KeyState::Previous { until: since } => {
            let until = match Kept::of(key, settings) {
                Kept::Until(end) => Some(end),
                Kept::InUse | Kept::WhileRowsBefore(_) => None,
            };
            (since, until, why(key.purpose).to_owned())
        }
    };
    KeyRow {
        name,
        purpose: key.purpose.name().into(),
        number: key.number,
        algorithm: Some(key.algorithm.clone()).filter(|algorithm| !algorithm.is_empty()),
        state: key.state.name().into(),
        since,
        until,
        why,
    }
}

fn purpose(text: &str) -> Result<KeyPurpose, ManageError> {
    let names = || KeyPurpose::ALL.iter().map(|purpose| purpose.name()).collect::<Vec<_>>().join(", ");
    KeyPurpose::from_name(text)
        .ok_or_else(|| ManageError::Refused(format!("there are no {text:?} keys; expected one of {}", names())))
}

fn algorithm(text: &str) -> Result<SigningAlgorithm, ManageError> {
    let names = || SigningAlgorithm::ALL.iter().map(|known| known.wire_name()).collect::<Vec<_>>().join(", ");
    SigningAlgorithm::from_wire(text).ok_or_else(|| {
        ManageError::Refused(format!("{text:?} is no signing algorithm here; expected one of {}", names()))
    })
}

/// The rings that are meant: all, or less.
fn rings((of, with): (Option<&str>, Option<&str>)) -> Result<Vec<Ring>, ManageError> {
    let (of, with) = (of.map(purpose).transpose()?, with.map(algorithm).transpose()?);
    if with.is_some() && of.is_some_and(|of| of != KeyPurpose::Signing) {
        return Err(ManageError::Refused("only signing keys have an algorithm; leave --alg or --purpose away".into()));
    }
    let meant = |ring: &Ring| match (ring, with) {
        (ring, Some(with)) => *ring == Ring::Signing(with),
        (ring, None) => of.is_none_or(|of| ring.purpose() == of),
    };
    Ok(Ring::all().filter(meant).collect())
}

pub(super) async fn rotate(
    at: &Operation<'_>,
    which: (Option<&str>, Option<&str>),
    now: bool,
) -> Result<Reply, ManageError> {
    let rings = rings(which)?;
    let (record, _) = load(at).await?;
    let early: Vec<_> = rings.iter().filter_map(|ring| too_early(*ring, &record, at.app.now())).collect();
    if !now && !early.is_empty() {
        return Err(ManageError::Refused(format!(
            "{}; --now rotates nevertheless: clients that keep the key set refuse what is signed then until they look again",
            early_words(&early)
        )));
    }
    for ring in &rings {
        let (record, _) = load(at).await?;
        changing(at, record).rotate(*ring, Former::Kept).await?;
    }
    let names: Vec<_> = rings.iter().map(|ring| ring.name()).collect();
    let warning = if early.is_empty() {
        ""
    } else {
        " Clients that keep the key set refuse what is signed now until they look again."
    };
    Ok(Reply::done(format!(
        "Other keys are in use now: {}. What was made under the ones before stays good; see: {}.{warning}",
        names.join(", "),
        at.command("key list")
    )))
}

/// Why the next signing key of an algorithm should not be used yet.
struct TooEarly {
    algorithm: &'static str,
    /// How many seconds it has to be published for yet; nothing where there is none.
    left: Option<u32>,
}

fn too_early(ring: Ring, record: &WorkspaceRecord, now: UnixTime) -> Option<TooEarly> {
    let Ring::Signing(algorithm) = ring else { return None };
    let left = ring.next(&record.keys).map(|next| next.created_at.plus(PUBLISHED_AT_LEAST).since(now).0);
    (left != Some(0)).then_some(TooEarly { algorithm: algorithm.wire_name(), left })
}

/// Once for all algorithms that it is the same for.
fn early_words(early: &[TooEarly]) -> String {
    let names = |is_of: fn(&TooEarly) -> bool| {
        let names: Vec<_> = early.iter().filter(|early| is_of(early)).map(|early| early.algorithm).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let missing = names(|early| early.left.is_none())
        .map(|names| format!("no next key is published yet for {names} (the server makes them within minutes)"));
    let longest = early.iter().filter_map(|early| early.left).max().unwrap_or_default();
    let young = names(|early| early.left.is_some())
        .map(|names| format!("clients may not know the next keys yet for {names}; wait {longest} seconds"));
    missing.into_iter().chain(young).collect::<Vec<_>>().join("; ")
}

/// How often a key is looked for again while keys of other workspaces are made or change.
const LOOKS: usize = 10;

pub(super) async fn revoke(at: &Operation<'_>, which: &str, yes: bool) -> Result<Reply, ManageError> {
    for _ in 0..LOOKS {
        if let Some(reply) = revoke_as_seen(at, which, yes).await? {
            return Ok(reply);
        }
    }
    Err(KeysUnchanged::Moved.into())
}

/// Nothing if keys have changed since they were seen.
async fn revoke_as_seen(at: &Operation<'_>, which: &str, yes: bool) -> Result<Option<Reply>, ManageError> {
    let (record, issuer) = load(at).await?;
    let found = record.keys.iter().find(|key| name(&issuer, key) == which).cloned();
    let key = found.ok_or_else(|| at.unknown("key", which))?;
    let (rotating, now) = (at.command("key rotate"), at.app.now());
    let mut dies = dies(at, &record, &key).await?;
    let ring = Ring::holding(&key);
    let early = key.state.is_current().then(|| too_early(ring, &record, now)).flatten();
    let changing = changing(at, record);
    if let Some(gone) = changing.goes_too(ring).filter(|_| key.state.is_current()) {
        dies.push_str(&format!(
            "; all numbers of {} keys are taken, so the oldest that was kept, {}, goes with what it made, too",
            key.purpose.name(),
            name(&issuer, gone)
        ));
    }
    let shared = changing.shared(&key).await?;
    if !shared.names().is_empty() {
        let others = shared.names().join(", ");
        dies.push_str(&format!(
            "; other workspaces have this key, too, so there as well, with what it signed there: {others}"
        ));
    }
    if !yes {
        let which = match ring {
            Ring::Signing(algorithm) => format!("--alg {}", algorithm.wire_name()),
            Ring::Symmetric(purpose) => format!("--purpose {}", purpose.name()),
        };
        return Err(ManageError::Refused(format!(
            "by this, at once and for good: {dies}. If that is meant: --yes. To use another key and let these live, instead: \
             {rotating} {which}"
        )));
    }
    match changing.revoke(&key, shared).await {
        Err(KeysUnchanged::Moved) => return Ok(None),
        done => done?,
    }
    let early = early.map(|_| {
        " The key that signs now was hardly published: clients that keep the key set refuse its signatures until they \
         look again."
    });
    Ok(Some(Reply::done(format!("Key {which} is revoked: {dies}.{}", early.unwrap_or_default()))))
}

/// What a key takes with it.
async fn dies(at: &Operation<'_>, record: &WorkspaceRecord, key: &WorkspaceKey) -> Result<String, ManageError> {
    Ok(match key.purpose {
        KeyPurpose::Signing => {
            "it is out of the key set; every JWT access token that it signed is inactive here, and ID tokens that it \
             signed verify here no more; libraries that cached the key set (300 seconds, as they are told, or longer) go on \
             taking all of these until their cache is over"
                .into()
        }
        KeyPurpose::Sealing => "every access token that it sealed is dead".into(),
        KeyPurpose::Row => {
            let (chains, sessions) = at.app.store.read(CountSealed(record.workspace.id)).await?;
            format!(
                "every refresh token, session cookie, code and password link that it sealed opens nothing any more (of {} \
                 refresh tokens and {} sessions in this workspace)",
                counted(chains),
                counted(sessions)
            )
        }
        KeyPurpose::Refresh => "refreshes of the last moments that are tried again get no answer a second time".into(),
        KeyPurpose::Page => {
            "sign-ins under way begin anew, and browsers that signed in before are not known any more".into()
        }
    })
}

pub(super) async fn import(at: &Operation<'_>, pem: &Handed, asked: Option<&str>) -> Result<Reply, ManageError> {
    let asked = asked.map(algorithm).transpose()?;
    let refused = |why: jwt::ImportRefused| ManageError::Refused(why.to_string());
    // Whether its primes are prime takes longer than a thread that answers requests has.
    let pem = zeroize::Zeroizing::new(pem.expose().to_owned());
    let imported = tokio::task::spawn_blocking(move || jwt::import(&pem, asked)).await;
    let ended = |why: tokio::task::JoinError| ManageError::Unavailable(format!("the key was not read: {why}"));
    let (algorithm, pkcs8) = imported.map_err(ended)?.map_err(refused)?;
    let key = jwt::SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(|why| ManageError::Refused(why.to_string()))?;
    let (record, issuer) = load(at).await?;
    if issuer.signing.iter().any(|own| own.key.kid() == key.kid()) {
        return Err(ManageError::Refused(format!("this workspace has that key already: {}", key.kid())));
    }
    changing(at, record).import(algorithm, &pkcs8).await?;
    Ok(Reply::done(format!(
        "Key {} is published as the next {} key. It signs from the next rotation on, by schedule or, in an hour, by: {}",
        key.kid(),
        algorithm.wire_name(),
        at.command(&format!("key rotate --alg {}", algorithm.wire_name()))
    )))
}

pub(super) async fn rotate_master(at: &Operation<'_>, key: Option<&Handed>) -> Result<Reply, ManageError> {
    let parse = |key: &Handed| MasterKey::from_text(key.expose().trim_end());
    let key = key.map(parse).transpose().map_err(|why| ManageError::Refused(format!("the new master key: {why}")))?;
    let app = at.app;
    let done = rewrap::rotate(app, key, app.stamp(app.root, INITIATOR)).await?;
    let next = match done.former {
        Some(former) => format!(
            "It lies in {}; the one before in {}: copies of the store from before need that one, so keep it with them, \
             apart from here, and remove it here",
            app.master_key_place,
            former.display()
        ),
        None => format!(
            "Put it where the next start finds it, NOW: the one before came from {}, and opens the store no more. Copies of \
             the store from before need that one",
            app.master_key_place
        ),
    };
    let earlier = if done.earlier {
        "The rotation of which the store had not said what became of it was made after all, and no other was begun. "
    } else {
        ""
    };
    Ok(Reply::done(format!(
        "{earlier}All {} keys are under the new master key, and this server goes on with it. {next}.",
        done.keys
    )))
}
