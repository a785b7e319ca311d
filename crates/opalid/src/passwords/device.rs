//! The device cookie: proof that a browser signed in with a name before.
//!
//! It opens nothing. It only gives the browser a back-off counter of its own, so that nobody can lock people
//! out by guessing wrong passwords. The cookie holds up to four proofs, the latest first, for browsers that
//! several people use: `facts.mac`, joined by dots. The facts are an id and a *birth*, a MAC over the user and
//! both of their epochs as they were at the sign-in; `mac` is over workspace, name and facts.
//! Holds: a proof ends with whatever ends all that its user had, sessions included. Whether it is one at all is
//! told without the store, so that nobody learns by the work done which names there are: the user is read only for
//! a browser that did sign in with the name.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::ids::WorkspaceId;
use opalid_core::user::User;
use subtle::ConstantTimeEq;

use crate::mac;

const MAX_PROOFS: usize = 4;
const ID_BYTES: usize = 16;
const FACTS_BYTES: usize = 32;

/// A browser, for one name. Only `Devices::stands` makes one, so holding it means that the proof was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId(pub(super) [u8; ID_BYTES]);

/// Proof that a browser signed in with a name, at some time, as whoever had it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    id: [u8; ID_BYTES],
    birth: [u8; 16],
}

/// Makes and checks device cookies.
pub struct Devices {
    key: hmac::Key,
}

impl Devices {
    /// `key` outlives restarts.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The proof in this cookie that its browser signed in with `login_name` before.
    pub fn find(&self, cookie: &str, workspace: WorkspaceId, login_name: &str) -> Option<Proof> {
        pairs(cookie).find_map(|(facts, proof)| self.check((facts, proof), workspace, login_name))
    }

    /// The browser, if the user that has the name today is the one who signed in, and nothing has ended since what
    /// they had then.
    pub fn stands(&self, proof: Proof, user: &User) -> Option<DeviceId> {
        bool::from(self.birth(user).ct_eq(&proof.birth)).then_some(DeviceId(proof.id))
    }

    /// The cookie after a sign-in of `user` as `login_name`: a new proof, and the old ones of other names.
    pub fn remember(&self, old: Option<&str>, user: &User, login_name: &str, random: [u8; ID_BYTES]) -> String {
        let mut facts = [0; FACTS_BYTES];
        for (to, from) in facts.iter_mut().zip(random.into_iter().chain(self.birth(user))) {
            *to = from;
        }
        let proof = self.mac(&facts, user.workspace, login_name);
        let mut cookie = format!("{}.{proof}", URL_SAFE_NO_PAD.encode(facts));
        let old = pairs(old.unwrap_or_default());
        let others = old.filter(|pair| self.check(*pair, user.workspace, login_name).is_none());
        for (facts, proof) in others.take(MAX_PROOFS - 1) {
            cookie.extend([".", facts, ".", proof]);
        }
        cookie
    }

    fn check(&self, (facts, proof): (&str, &str), workspace: WorkspaceId, login_name: &str) -> Option<Proof> {
        let facts: [u8; FACTS_BYTES] = URL_SAFE_NO_PAD.decode(facts).ok()?.try_into().ok()?;
        let expected = self.mac(&facts, workspace, login_name);
        let good = bool::from(expected.as_bytes().ct_eq(proof.as_bytes()));
        let (id, birth) = facts.split_first_chunk()?;
        good.then_some(Proof { id: *id, birth: birth.try_into().ok()? })
    }

    fn mac(&self, facts: &[u8; FACTS_BYTES], workspace: WorkspaceId, login_name: &str) -> String {
        let parts: [&[u8]; 4] = [b"device cookie", workspace.as_bytes(), login_name.as_bytes(), facts];
        URL_SAFE_NO_PAD.encode(mac::mac(&self.key, &parts))
    }

    fn birth(&self, user: &User) -> [u8; 16] {
        let (epoch, credentials) = (user.epoch.0.to_be_bytes(), user.credentials.0.to_be_bytes());
        mac::short(&self.key, &[b"device birth", user.id.as_bytes(), &epoch, &credentials])
    }
}

/// The pairs in a cookie, no more than it may hold; what cannot be a proof is not looked at.
fn pairs(cookie: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = cookie.split('.');
    std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
        .take(MAX_PROOFS)
        .filter(|(facts, proof)| facts.len() == 43 && proof.len() == 43)
        .filter(|(facts, proof)| {
            facts.bytes().chain(proof.bytes()).all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use opalid_core::grant::Epoch;
    use opalid_core::ids::UserId;

    const HERE: WorkspaceId = WorkspaceId::from_bytes([1; 16]);

    fn devices() -> Devices {
        Devices::new(&[9; 32])
    }

    fn user(id: u8) -> User {
        User {
            id: UserId::from_bytes([id; 16]),
            workspace: HERE,
            username: "Alice".into(),
            epoch: Epoch(1),
            credentials: Epoch(1),
            enabled: true,
            admin: false,
            claims: Default::default(),
            roles: Vec::new(),
        }
    }

    fn id_in(cookie: &str, login_name: &str) -> Option<[u8; 16]> {
        devices().find(cookie, HERE, login_name).map(|proof| proof.id)
    }

    #[test]
    fn a_browser_that_signed_in_is_known_for_that_name_and_workspace_alone() {
        let cookie = devices().remember(None, &user(1), "alice", [5; 16]);
        assert_eq!(id_in(&cookie, "alice"), Some([5; 16]));
        assert_eq!(id_in(&cookie, "bob"), None);
        assert_eq!(devices().find(&cookie, WorkspaceId::from_bytes([2; 16]), "alice"), None);
        assert_eq!(Devices::new(&[8; 32]).find(&cookie, HERE, "alice"), None);
    }

    #[test]
    fn a_proof_ends_with_either_epoch_and_with_the_user() {
        let cookie = devices().remember(None, &user(1), "alice", [5; 16]);
        let proof = devices().find(&cookie, HERE, "alice").unwrap();
        assert_eq!(devices().stands(proof, &user(1)), Some(DeviceId([5; 16])));
        assert_eq!(devices().stands(proof, &User { epoch: Epoch(2), ..user(1) }), None);
        assert_eq!(devices().stands(proof, &User { credentials: Epoch(2), ..user(1) }), None);
        assert_eq!(devices().stands(proof, &User { epoch: Epoch(2), credentials: Epoch(2), ..user(1) }), None);
        assert_eq!(devices().stands(proof, &user(2)), None, "somebody else who has the name now");
    }

    #[test]
    fn a_changed_cookie_is_no_proof() {
        let cookie = devices().remember(None, &user(1), "alice", [5; 16]);
        for at in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(id_in(std::str::from_utf8(&changed).unwrap(), "alice"), None, "at {at}");
            assert_eq!(id_in(&cookie[..at], "alice"), None);
        }
        assert_eq!(id_in(&format!("{cookie}A"), "alice"), None);
    }

    #[test]
    fn several_people_can_share_a_browser() {
        let mut cookie = devices().remember(None, &user(1), "alice", [1; 16]);
        cookie = devices().remember(Some(&cookie), &user(2), "bob", [2; 16]);
        assert_eq!(id_in(&cookie, "alice"), Some([1; 16]));
        assert_eq!(id_in(&cookie, "bob"), Some([2; 16]));
        for n in 3..9 {
            cookie = devices().remember(Some(&cookie), &user(n), &format!("user{n}"), [n; 16]);
        }
        assert_eq!(id_in(&cookie, "alice"), None, "the oldest goes first");
        assert_eq!(cookie.split('.').count(), 2 * MAX_PROOFS);
    }

    #[test]
    fn a_new_sign_in_replaces_the_old_proof_of_the_same_name_even_after_a_recovery() {
        let cookie = devices().remember(None, &user(1), "alice", [1; 16]);
        let recovered = User { epoch: Epoch(2), ..user(1) };
        let cookie = devices().remember(Some(&cookie), &recovered, "alice", [2; 16]);
        assert_eq!(cookie.split('.').count(), 2);
        let proof = devices().find(&cookie, HERE, "alice").unwrap();
        assert_eq!(devices().stands(proof, &recovered), Some(DeviceId([2; 16])));
    }

    #[test]
    fn rubbish_from_the_browser_is_not_kept() {
        let quoted = format!("{}.{}", "\"".repeat(43), "\"".repeat(43));
        for rubbish in ["a.b.c;d=e", quoted.as_str(), "...", ""] {
            let cookie = devices().remember(Some(rubbish), &user(1), "alice", [1; 16]);
            assert_eq!(cookie.split('.').count(), 2, "{rubbish}");
        }
    }
}
