//! An issuer: a workspace with its URL and its keys opened.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use opalid_core::ids::WorkspaceId;
use opalid_core::jwt::{PublicKeys, SigningAlgorithm, SigningKey};
use opalid_core::refresh::Limits;
use opalid_core::token::Sealer;
use opalid_core::workspace::{Workspace, WorkspaceSettings};
use opalid_core::wrap::MasterKey;
use opalid_store::keys::{KeyPurpose, KeyState, WorkspaceKey, WorkspaceRecord};
use zeroize::Zeroizing;

use crate::browser::csrf::FormTokens;
use crate::http::Transport;
use crate::http::cookies::CookieNames;
use crate::passwords::device::Devices;
use crate::random;

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
    /// Authenticates the names of stored requests; as old as the workspace, so that a restart ends none.
    pub request_key: hmac::Key,
    /// Knows browsers that signed a person in before.
    pub devices: Devices,
    /// The names of its cookies.
    pub cookies: CookieNames,
    /// Signs ID tokens.
    pub signing: Vec<SigningKey>,
    /// What verifies them: the JWK Set.
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
        master: &MasterKey,
    ) -> Result<Self, BadIssuer> {
        let id = record.workspace.id;
        let mut signing = Vec::new();
        for key in record.keys.iter().filter(|key| key.purpose == KeyPurpose::Signing) {
            let unusable =
                |what: String| BadIssuer::Unusable(format!("{}: {what}", label(id, key.purpose, key.number)));
            let algorithm = SigningAlgorithm::from_wire(&key.algorithm)
                .ok_or_else(|| unusable("its algorithm is unknown".into()))?;
            let bytes = open_key(id, key, master)?;
            signing.push(SigningKey::from_pkcs8(algorithm, &bytes).map_err(|error| unusable(error.to_string()))?);
        }
        let public = signing.iter().map(SigningKey::public_key).collect::<Result<Vec<_>, _>>();
        let public = PublicKeys::new(public.map_err(|error| BadIssuer::Unusable(error.to_string()))?);
        let page_key = ring(&record, KeyPurpose::Page, master)?.into_iter().next().ok_or(BadIssuer::Missing("page"))?;
        Ok(Self {
            url,
            sealer: sealer(&record, KeyPurpose::Sealing, master)?,
            row_sealer: sealer(&record, KeyPurpose::Row, master)?,
            refresh_keys: ring(&record, KeyPurpose::Refresh, master)?,
            forms: FormTokens::new(&derive(&page_key, b"forms")?, origin),
            request_key: hmac::Key::new(hmac::HMAC_SHA256, &derive(&page_key, b"requests")?),
            devices: Devices::new(&derive(&page_key, b"devices")?),
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
        self.signing.iter().find(|key| key.algorithm() == algorithm)
    }
}

/// A key for one use of a key: HMAC-SHA256 of the use.
fn derive(key: &NumberedKey, usage: &[u8]) -> Result<[u8; 32], BadIssuer> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.bytes), usage);
    tag.as_ref().try_into().map_err(|_| BadIssuer::Unusable("page".into()))
}

/// The keys of one purpose, the current one first.
fn ring(record: &WorkspaceRecord, purpose: KeyPurpose, master: &MasterKey) -> Result<Vec<NumberedKey>, BadIssuer> {
    let mut keys: Vec<&WorkspaceKey> = record.keys.iter().filter(|key| key.purpose == purpose).collect();
    keys.sort_by_key(|key| key.state != KeyState::Current);
    if keys.first().is_none_or(|key| key.state != KeyState::Current) {
        return Err(BadIssuer::Missing(purpose.name()));
    }
    let open =
        |key: &WorkspaceKey| Ok(NumberedKey { number: key.number, bytes: open_key(record.workspace.id, key, master)? });
    keys.into_iter().map(open).collect()
}

fn sealer(record: &WorkspaceRecord, purpose: KeyPurpose, master: &MasterKey) -> Result<Sealer, BadIssuer> {
    let keys = ring(record, purpose, master)?;
    let mut keys = keys.iter().map(|key| (key.number, key.bytes.as_slice()));
    let current = keys.next().ok_or(BadIssuer::Missing(purpose.name()))?;
    let previous: Vec<_> = keys.collect();
    Sealer::new(record.workspace.id, current, &previous).map_err(|error| BadIssuer::Unusable(error.to_string()))
}

fn open_key(workspace: WorkspaceId, key: &WorkspaceKey, master: &MasterKey) -> Result<Zeroizing<Vec<u8>>, BadIssuer> {
    let label = label(workspace, key.purpose, key.number);
    master.unwrap(&label, &key.wrapped).map_err(|_| BadIssuer::Wrapped(label))
}

/// What a wrapped key is bound to, so that no two can be swapped.
fn label(workspace: WorkspaceId, purpose: KeyPurpose, number: u8) -> String {
    format!("{workspace}/{}/{number}", purpose.name())
}

/// The first keys of a new workspace: one of each symmetric kind, one signing key per algorithm.
pub fn first_keys(workspace: WorkspaceId, master: &MasterKey) -> anyhow::Result<Vec<WorkspaceKey>> {
    let mut keys = Vec::new();
    for purpose in KeyPurpose::ALL {
        if *purpose == KeyPurpose::Signing {
            for (number, (algorithm, pkcs8)) in (1..).zip(signing_keys()?) {
                keys.push(wrap_key(workspace, master, (*purpose, number, algorithm.wire_name()), &pkcs8)?);
            }
        } else {
            let bytes = Zeroizing::new(random::bytes::<32>());
            keys.push(wrap_key(workspace, master, (*purpose, 1, ""), bytes.as_slice())?);
        }
    }
    Ok(keys)
}

/// One key per algorithm, all made at the same time: two of them are RSA keys, and each of those is a matter of luck.
fn signing_keys() -> anyhow::Result<Vec<(SigningAlgorithm, Zeroizing<Vec<u8>>)>> {
    std::thread::scope(|scope| {
        let make = |algorithm: &SigningAlgorithm| {
            let algorithm = *algorithm;
            scope.spawn(move || anyhow::Ok((algorithm, SigningKey::generate(algorithm)?)))
        };
        let making: Vec<_> = SigningAlgorithm::ALL.iter().map(make).collect();
        let died = |_| anyhow::anyhow!("a thread that makes a signing key died");
        making.into_iter().map(|thread| thread.join().map_err(died)?).collect()
    })
}

fn wrap_key(
    workspace: WorkspaceId,
    master: &MasterKey,
    (purpose, number, algorithm): (KeyPurpose, u8, &str),
    bytes: &[u8],
) -> anyhow::Result<WorkspaceKey> {
    let wrapped = master.wrap(&label(workspace, purpose, number), random::bytes(), bytes)?;
    Ok(WorkspaceKey { purpose, number, state: KeyState::Current, algorithm: algorithm.to_owned(), wrapped })
}
