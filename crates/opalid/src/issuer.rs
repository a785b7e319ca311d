//! An issuer: a workspace with its URL and its keys opened.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use aws_lc_rs::hmac;
use opalid_core::ids::WorkspaceId;
use opalid_core::jwt::{PublicKeys, SigningAlgorithm, SigningKey};
use opalid_core::refresh::Limits;
use opalid_core::token::Sealer;
use opalid_core::workspace::{Workspace, WorkspaceSettings};
use opalid_store::keys::{KeyPurpose, KeyState, WorkspaceKey, WorkspaceRecord};
use zeroize::Zeroizing;

use crate::browser::csrf::FormTokens;
use crate::http::Transport;
use crate::http::cookies::CookieNames;
use crate::keys::label;
use crate::master_key::MasterKeys;
use crate::passwords::device::Devices;

pub use crate::keys::first_keys;

/// Keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadIssuer {
    /// The master key does not open a key of the workspace.
    #[error("the master key does not open key {0} of the workspace")]
    Wrapped(String),
    /// A key that has to be there is not.
    #[error("the workspace has no current key for {0}")]
    Missing(&'static str),
    /// A key of ours that is not what it says.
    #[error("a key of the workspace cannot be used: {0}")]
    Unusable(String),
}

/// A secret key of 32 bytes and its number.
pub struct NumberedKey {
    /// Its number.
    pub number: u8,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A signing key, and where it stands.
pub struct OwnKey {
    /// Its number.
    pub number: u8,
    /// Whether it signs.
    pub state: KeyState,
    /// The key.
    pub key: SigningKey,
}

impl Deref for OwnKey {
    type Target = SigningKey;

    fn deref(&self) -> &SigningKey {
        &self.key
    }
}

/// A workspace ready to answer.
pub struct Issuer {
    /// Its URL, as it stands in `iss`.
    pub url: String,
    /// The workspace as it was read.
    pub record: Arc<WorkspaceRecord>,
    /// Seals access tokens.
    pub sealer: Sealer,
    /// Seals the secrets of rows.
    pub row_sealer: Sealer,
    /// Derives the successors of refresh tokens; the current one first.
    pub refresh_keys: Vec<NumberedKey>,
    /// Binds forms to their browser.
    pub forms: FormTokens,
    /// Authenticate the names of stored requests; kept in the store, so that a restart ends none. The current one first.
    pub request_keys: Vec<hmac::Key>,
    /// Knows browsers that signed a person in before.
    pub devices: Devices,
    /// The names of its cookies.
    pub cookies: CookieNames,
    /// What signs ID tokens, what did, and what will: current keys first, then next ones, then previous ones.
    pub signing: Vec<OwnKey>,
    /// What verifies them: the JWK Set, in that order.
    pub public: PublicKeys,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({})", self.url)
    }
}

impl Issuer {
    /// Opens the keys of a workspace. `origin` is that of its pages.
    pub fn open(
        (url, origin): (String, &str),
        record: Arc<WorkspaceRecord>,
        transport: Transport,
        master: &MasterKeys,
    ) -> Result<Self, BadIssuer> {
        let signing = signing_keys(&record, master)?;
        let public = signing.iter().map(|own| own.key.public_key()).collect::<Result<Vec<_>, _>>();
        let public = PublicKeys::new(public.map_err(|error| BadIssuer::Unusable(error.to_string()))?);
        let page = ring(&record, KeyPurpose::Page, master)?;
        let derived = |usage: &[u8]| page.iter().map(|key| derive(key, usage)).collect::<Result<Vec<_>, _>>();
        let (forms, devices) = (derived(b"forms")?, derived(b"devices")?);
        let (form, former_forms) = forms.split_first().ok_or(BadIssuer::Missing("page"))?;
        let (device, former_devices) = devices.split_first().ok_or(BadIssuer::Missing("page"))?;
        let request_key = |key: [u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(Self {
            url,
            sealer: sealer(&record, KeyPurpose::Sealing, master)?,
            row_sealer: sealer(&record, KeyPurpose::Row, master)?,
            refresh_keys: ring(&record, KeyPurpose::Refresh, master)?,
            forms: former_forms.iter().fold(FormTokens::new(form, origin), FormTokens::and_former),
            request_keys: derived(b"requests")?.into_iter().map(request_key).collect(),
            devices: former_devices.iter().fold(Devices::new(device), Devices::and_former),
            cookies: CookieNames::new(transport, &record.workspace.name),
            signing,
            public,
            record,
        })
    }

    /// Its workspace's row.
    pub fn id(&self) -> WorkspaceId {
        self.record.workspace.id
    }

    /// Its workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.record.workspace
    }

    /// Its workspace's settings.
    pub fn settings(&self) -> &WorkspaceSettings {
        &self.record.workspace.settings
    }

    /// How long refresh chains live and forgive, unless client or resource say otherwise.
    pub fn refresh_limits(&self) -> Limits {
        let tokens = &self.settings().tokens;
        Limits { idle: tokens.refresh_idle, grace: tokens.refresh_grace }
    }

    /// What people read.
    pub fn display_name(&self) -> &str {
        let settings = self.settings();
        if settings.display_name.is_empty() { &self.record.workspace.name } else { &settings.display_name }
    }

    /// The key that signs with this algorithm now.
    pub fn signing_key(&self, algorithm: SigningAlgorithm) -> Option<&SigningKey> {
        let fits = |own: &&OwnKey| own.state.is_current() && own.key.algorithm() == algorithm;
        self.signing.iter().find(fits).map(|own| &own.key)
    }
}

/// The signing keys in the order in which clients see them; of each state in the order of the algorithms.
fn signing_keys(record: &WorkspaceRecord, master: &MasterKeys) -> Result<Vec<OwnKey>, BadIssuer> {
    let id = record.workspace.id;
    let mut signing = Vec::new();
    for key in record.keys.iter().filter(|key| key.purpose == KeyPurpose::Signing) {
        let unusable = |what: String| BadIssuer::Unusable(format!("{}: {what}", label(id, key.purpose, key.number)));
        let algorithm =
            SigningAlgorithm::from_wire(&key.algorithm).ok_or_else(|| unusable("its algorithm is unknown".into()))?;
        let bytes = open_key(id, key, master)?;
        let opened = SigningKey::from_pkcs8(algorithm, &bytes).map_err(|error| unusable(error.to_string()))?;
        signing.push(OwnKey { number: key.number, state: key.state, key: opened });
    }
    let place = |own: &OwnKey| {
        let state = match own.state {
            KeyState::Current { .. } => 0,
            KeyState::Next => 1,
            KeyState::Previous { .. } => 2,
        };
        (state, SigningAlgorithm::ALL.iter().position(|algorithm| *algorithm == own.key.algorithm()), own.number)
    };
    signing.sort_by_key(place);
    Ok(signing)
}

/// A key for one use of a key: HMAC-SHA256 of the use.
fn derive(key: &NumberedKey, usage: &[u8]) -> Result<[u8; 32], BadIssuer> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.bytes), usage);
    tag.as_ref().try_into().map_err(|_| BadIssuer::Unusable("page".into()))
}

/// The keys of one purpose, the current one first.
fn ring(record: &WorkspaceRecord, purpose: KeyPurpose, master: &MasterKeys) -> Result<Vec<NumberedKey>, BadIssuer> {
    let mut keys: Vec<&WorkspaceKey> = record.keys.iter().filter(|key| key.purpose == purpose).collect();
    keys.sort_by_key(|key| !key.state.is_current());
    if keys.first().is_none_or(|key| !key.state.is_current()) {
        return Err(BadIssuer::Missing(purpose.name()));
    }
    let open =
        |key: &WorkspaceKey| Ok(NumberedKey { number: key.number, bytes: open_key(record.workspace.id, key, master)? });
    keys.into_iter().map(open).collect()
}

fn sealer(record: &WorkspaceRecord, purpose: KeyPurpose, master: &MasterKeys) -> Result<Sealer, BadIssuer> {
    let keys = ring(record, purpose, master)?;
    let mut keys = keys.iter().map(|key| (key.number, key.bytes.as_slice()));
    let current = keys.next().ok_or(BadIssuer::Missing(purpose.name()))?;
    let previous: Vec<_> = keys.collect();
    Sealer::new(record.workspace.id, current, &previous).map_err(|error| BadIssuer::Unusable(error.to_string()))
}

fn open_key(workspace: WorkspaceId, key: &WorkspaceKey, master: &MasterKeys) -> Result<Zeroizing<Vec<u8>>, BadIssuer> {
    let label = label(workspace, key.purpose, key.number);
    master.unwrap(&label, &key.wrapped).map_err(|_| BadIssuer::Wrapped(label))
}
