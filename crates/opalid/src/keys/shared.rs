//! A key that is revoked, in every workspace that has it: the same signing key can be brought into several.
//!
//! Takes: a key of a workspace. Gives: who else has it; it revoked in all of them, in one step of the store.
//! Holds: of a key that is not to be trusted any more nothing goes on anywhere in the cell.

use std::sync::Arc;

use opalid_core::jwt::{SigningAlgorithm, SigningKey};
use opalid_store::keys::{KeyPurpose, WorkspaceKey};
use opalid_store::steps::keys::{ChangeKeys, KeyChange, KeyEvent};
use opalid_store::steps::shared_key::{ChangeSharedKey, SeenSigning};
use opalid_store::steps::workspace::{ByWorkspace, FindWorkspace, ListWorkspaces};

use super::{Changing, Former, KeysUnchanged, Ring, label, refused};

/// Who else has a signing key.
#[derive(Default)]
pub struct Shared<'a> {
    others: Vec<(Changing<'a>, WorkspaceKey)>,
    seen: SeenSigning,
}

impl Shared<'_> {
    /// The names of the other workspaces.
    pub fn names(&self) -> Vec<&str> {
        self.others.iter().map(|(other, _)| other.record.workspace.name.as_str()).collect()
    }
}

impl Changing<'_> {
    /// Those of the signing keys that go.
    pub(super) fn thumbprints(&self, changes: &[KeyChange]) -> Result<Vec<String>, KeysUnchanged> {
        let goes = |key: &&WorkspaceKey| changes.contains(&KeyChange::Remove(key.number));
        let signing = self.keys().iter().filter(|key| key.purpose == KeyPurpose::Signing).filter(goes);
        signing.map(|key| self.thumbprint(key)).collect()
    }

    fn thumbprint(&self, key: &WorkspaceKey) -> Result<String, KeysUnchanged> {
        let label = label(self.record.workspace.id, key.purpose, key.number);
        let opened = self.app.master.unwrap(&label, &key.wrapped);
        let opened = opened.map_err(|_| refused(format!("the master key does not open key {label}")))?;
        let algorithm = SigningAlgorithm::from_wire(&key.algorithm);
        thumbprint(algorithm.ok_or_else(|| refused(format!("the algorithm of key {label} is unknown")))?, &opened)
    }
}

/// What a signing key is called everywhere.
pub(super) fn thumbprint(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<String, KeysUnchanged> {
    let key = SigningKey::from_pkcs8(algorithm, pkcs8).map_err(|error| refused(error.to_string()))?;
    Ok(key.kid().to_owned())
}

impl<'a> Changing<'a> {
    /// Who else has this key. Of other kinds than signing keys there is never a second one.
    pub async fn shared(&self, key: &WorkspaceKey) -> Result<Shared<'a>, KeysUnchanged> {
        let mut shared = Shared::default();
        if key.purpose != KeyPurpose::Signing {
            return Ok(shared);
        }
        let kid = self.thumbprint(key)?;
        for workspace in self.app.store.read(ListWorkspaces).await? {
            let step = FindWorkspace(ByWorkspace::Id(workspace.id));
            let Some(record) = self.app.store.read(step).await? else { continue };
            shared.seen.add(&record);
            if workspace.id == self.record.workspace.id {
                continue;
            }
            let other = Changing { record: Arc::new(record), ..*self };
            // One that does not open signs nothing: its workspace does not answer. That must not keep this one from being revoked.
            let is_same = |own: &&WorkspaceKey| {
                own.purpose == KeyPurpose::Signing && other.thumbprint(own).is_ok_and(|its| its == kid)
            };
            let same = other.record.keys.iter().find(is_same).cloned();
            shared.others.extend(same.map(|same| (other, same)));
        }
        Ok(shared)
    }

    /// Takes a key away, with what it made, wherever it is. Where it was in use, the next one is from then on.
    pub async fn revoke(&self, key: &WorkspaceKey, shared: Shared<'_>) -> Result<(), KeysUnchanged> {
        let own = self.revocation(key, String::new()).await?;
        if key.purpose != KeyPurpose::Signing {
            return self.store(own).await;
        }
        let mut parts = vec![own];
        for (other, same) in &shared.others {
            let words = format!("; the same key as in workspace {}", self.record.workspace.name);
            parts.push(other.revocation(same, words).await?);
        }
        self.store(ChangeSharedKey { seen: shared.seen, parts }).await
    }

    async fn revocation(&self, key: &WorkspaceKey, words: String) -> Result<ChangeKeys, KeysUnchanged> {
        let ring = Ring::holding(key);
        let (changes, (event, target)) = if key.state.is_current() {
            self.rotation(ring, Former::Revoked)?
        } else {
            self.removal(key, KeyEvent::Revoked)
        };
        self.prepared(ring, changes, (event, target + &words)).await
    }
}
