//! The device cookie: proof that a browser signed in with a name before.
//!
//! It opens nothing. It only gives the browser a back-off counter of its own, so that nobody can lock people
//! out by guessing wrong passwords. The cookie holds up to four proofs, the latest first, for browsers that
//! several people use: `id.mac`, joined by dots, each `mac` over workspace, name and id.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::ids::WorkspaceId;
use subtle::ConstantTimeEq;

use crate::mac;

const MAX_PROOFS: usize = 4;

/// A browser, for one name. Only `Devices::find` makes one, so holding it means that the proof was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId(pub(super) [u8; 16]);

/// Makes and checks device cookies.
pub struct Devices {
    key: hmac::Key,
}

impl Devices {
    /// `key` outlives restarts.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The browser whose cookie this is, if it signed in with `login_name` before.
    pub fn find(&self, cookie: &str, workspace: WorkspaceId, login_name: &str) -> Option<DeviceId> {
        proofs(cookie).find_map(|(id, proof)| {
            let id: [u8; 16] = URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
            let expected = self.proof(&id, workspace, login_name);
            bool::from(expected.as_bytes().ct_eq(proof.as_bytes())).then_some(DeviceId(id))
        })
    }

    /// The cookie after a sign-in: a new proof, and the old ones of other names.
    pub fn remember(&self, old: Option<&str>, workspace: WorkspaceId, login_name: &str, random: [u8; 16]) -> String {
        let mut cookie = format!("{}.{}", URL_SAFE_NO_PAD.encode(random), self.proof(&random, workspace, login_name));
        let others = proofs(old.unwrap_or_default())
            .filter(|(id, proof)| self.find(&format!("{id}.{proof}"), workspace, login_name).is_none());
        for (id, proof) in others.take(MAX_PROOFS - 1) {
            cookie.extend([".", id, ".", proof]);
        }
        cookie
    }

    fn proof(&self, id: &[u8; 16], workspace: WorkspaceId, login_name: &str) -> String {
        let parts: [&[u8]; 4] = [b"device cookie", workspace.as_bytes(), login_name.as_bytes(), id];
        URL_SAFE_NO_PAD.encode(mac::mac(&self.key, &parts))
    }
}

/// The pairs in a cookie, no more than it may hold; what cannot be a proof is not looked at.
fn proofs(cookie: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = cookie.split('.');
    std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
        .take(MAX_PROOFS)
        .filter(|(id, proof)| id.len() == 22 && proof.len() == 43)
        .filter(|(id, proof)| id.bytes().chain(proof.bytes()).all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: WorkspaceId = WorkspaceId::from_bytes([1; 16]);

    fn devices() -> Devices {
        Devices::new(&[9; 32])
    }

    #[test]
    fn a_browser_that_signed_in_is_known_for_that_name_and_workspace_alone() {
        let cookie = devices().remember(None, HERE, "alice", [5; 16]);
        assert_eq!(devices().find(&cookie, HERE, "alice"), Some(DeviceId([5; 16])));
        assert_eq!(devices().find(&cookie, HERE, "bob"), None);
        assert_eq!(devices().find(&cookie, WorkspaceId::from_bytes([2; 16]), "alice"), None);
        assert_eq!(Devices::new(&[8; 32]).find(&cookie, HERE, "alice"), None);
    }

    #[test]
    fn a_changed_cookie_is_no_proof() {
        let cookie = devices().remember(None, HERE, "alice", [5; 16]);
        for at in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(devices().find(std::str::from_utf8(&changed).unwrap(), HERE, "alice"), None, "at {at}");
            assert_eq!(devices().find(&cookie[..at], HERE, "alice"), None);
        }
        assert_eq!(devices().find(&format!("{cookie}A"), HERE, "alice"), None);
    }

    #[test]
    fn several_people_can_share_a_browser() {
        let mut cookie = devices().remember(None, HERE, "alice", [1; 16]);
        cookie = devices().remember(Some(&cookie), HERE, "bob", [2; 16]);
        assert_eq!(devices().find(&cookie, HERE, "alice"), Some(DeviceId([1; 16])));
        assert_eq!(devices().find(&cookie, HERE, "bob"), Some(DeviceId([2; 16])));
        for n in 3..9 {
            cookie = devices().remember(Some(&cookie), HERE, &format!("user{n}"), [n; 16]);
        }
        assert_eq!(devices().find(&cookie, HERE, "alice"), None, "the oldest goes first");
        assert_eq!(cookie.split('.').count(), 2 * MAX_PROOFS);
    }

    #[test]
    fn a_new_sign_in_replaces_the_old_proof_of_the_same_name() {
        let cookie = devices().remember(None, HERE, "alice", [1; 16]);
        let cookie = devices().remember(Some(&cookie), HERE, "alice", [2; 16]);
        assert_eq!(cookie.split('.').count(), 2);
        assert_eq!(devices().find(&cookie, HERE, "alice"), Some(DeviceId([2; 16])));
    }

    #[test]
    fn rubbish_from_the_browser_is_not_kept() {
        let quoted = format!("{}.{}", "\"".repeat(22), "\"".repeat(43));
        for rubbish in ["a.b.c;d=e", quoted.as_str(), "...", ""] {
            let cookie = devices().remember(Some(rubbish), HERE, "alice", [1; 16]);
            assert_eq!(cookie.split('.').count(), 2, "{rubbish}");
        }
    }
}
