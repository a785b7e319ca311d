//! Refresh chains: how one refresh token follows another, and what a presented one is (RFC 6749 §6, RFC 9700 §2.2.2).
//!
//! Takes: what a chain's row says, what was presented, the time.
//! Gives: the successor of a secret, which whoever asks again gets again, byte for byte; and what to make of a
//! presented secret.
//! Holds: `secret(n+1) = HMAC(refresh key, chain ‖ n+1 ‖ secret(n))`: nothing of a successor is stored but its digest,
//! and without the key nobody derives it. An older secret is reuse unless its successor has not been used and the
//! grace is not over.

use aws_lc_rs::hmac;

use crate::grant::Entitlement;
use crate::ids::{ChainId, ResourceId};
use crate::scope::{OpenIdScope, Scopes};
use crate::time::{Seconds, UnixTime};
use crate::token::{Refresh, RowSecret, SecretDigest};

/// The generation of a chain's first secret.
pub const FIRST_GENERATION: u32 = 0;

/// What follows a secret.
#[derive(Debug)]
pub struct Successor {
    /// The next secret of the same chain.
    pub secret: RowSecret<Refresh>,
    /// What to seal it with, so that a retry gets the same token (AES-GCM-SIV: the same text under the same nonce
    /// shows only that it is the same).
    pub nonce: [u8; 12],
}

/// The successor of `presented` under a refresh key; `None` after 2³² − 1 of them.
pub fn successor(key: &[u8], presented: &RowSecret<Refresh>) -> Option<Successor> {
    let generation = presented.generation.checked_add(1)?;
    let derive = |what: &[u8]| {
        mac(key, &[b"opalid/v1 refresh", what, &presented.row, &generation.to_be_bytes(), presented.expose()])
    };
    let secret = RowSecret::new(presented.row, generation, first(derive(b"secret")));
    Some(Successor { secret, nonce: first(derive(b"nonce")) })
}

/// HMAC-SHA256 over parts, each behind its length, so that no two lists make the same message.
fn mac(key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign()
}

fn first<const N: usize>(tag: hmac::Tag) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    out
}

/// What a refresh token names, once it is opened.
#[derive(Debug, Clone, Copy)]
pub struct Presentation {
    /// Its chain.
    pub chain: ChainId,
    /// Which of the chain's successive secrets.
    pub generation: u32,
    /// The digest of the secret.
    pub digest: SecretDigest,
}

impl Presentation {
    /// Of an opened refresh token.
    pub fn of(secret: &RowSecret<Refresh>) -> Self {
        Self { chain: ChainId::from_bytes(secret.row), generation: secret.generation, digest: secret.digest() }
    }
}

/// What changes of a chain as it is used.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// Which secret is current.
    pub generation: u32,
    /// Its digest.
    pub current: SecretDigest,
    /// The digest of the one before; `None` at the beginning, and once the current one was used.
    pub previous: Option<SecretDigest>,
    /// The number of the refresh key that the current one was derived under.
    pub key_number: u8,
    /// When the current one was made.
    pub rotated_at: UnixTime,
    /// When a secret of it was last used.
    pub used_at: UnixTime,
    /// The end of the chain, however much it is used.
    pub expires_at: UnixTime,
    /// How long it may rest, as the setting was when it was last used; `None` in a row from before that was written.
    pub idle: Option<Seconds>,
}

/// How long chains live and forgive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a chain lives unused, from its next use on.
    pub idle: Seconds,
    /// How long after a rotation the secret before still gets the same successor.
    pub grace: Seconds,
}

/// What a presented secret is to its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// The current one.
    Current,
    /// The one before, again, while its successor is unused and the grace lasts: an answer was lost, or two asked
    /// at once. It gets the same successor.
    Retry,
    /// One whose successor was used, or whose grace is over: somebody has a copy.
    Reused,
    /// None of this chain's.
    Unknown,
    /// The right one, too late: unused for too long, or the chain is over.
    Expired,
}

impl Chain {
    /// A chain that begins with a secret of this digest.
    pub const fn new(first: SecretDigest, key_number: u8, now: UnixTime, expires_at: UnixTime) -> Self {
        Self {
            generation: FIRST_GENERATION,
            current: first,
            previous: None,
            key_number,
            rotated_at: now,
            used_at: now,
            expires_at,
            idle: None,
        }
    }

    /// The chain as it may rest for so long after its last use.
    #[must_use]
    pub const fn resting_for(self, idle: Seconds) -> Self {
        Self { idle: Some(idle), ..self }
    }

    /// What `presented` is. Reuse comes before age: a copy is a copy in an old chain too.
    pub fn judge(&self, presented: &Presentation, now: UnixTime, limits: Limits) -> Presented {
        let good = if presented.generation == self.generation {
            if !self.current.matches(&presented.digest) {
                return Presented::Unknown;
            }
            Presented::Current
        } else if presented.generation > self.generation {
            return Presented::Unknown;
        } else if presented.generation.checked_add(1) == Some(self.generation)
            && let Some(previous) = &self.previous
        {
            if !previous.matches(&presented.digest) {
                return Presented::Unknown;
            }
            if now.since(self.rotated_at) >= limits.grace {
                return Presented::Reused;
            }
            Presented::Retry
        } else {
            return Presented::Reused;
        };
        if now >= self.ends_at(limits.idle) { Presented::Expired } else { good }
    }

    /// When it ends, unless it is used before; a chain that does not say how long it may rest, by today's setting.
    pub fn ends_at(&self, today: Seconds) -> UnixTime {
        self.expires_at.min(self.used_at.plus(self.idle.unwrap_or(today)))
    }

    /// The chain after its current secret was exchanged for a successor.
    #[must_use]
    pub fn rotated(&self, generation: u32, successor: SecretDigest, key_number: u8, now: UnixTime) -> Self {
        Self {
            generation,
            current: successor,
            previous: Some(self.current),
            key_number,
            rotated_at: now,
            used_at: now,
            expires_at: self.expires_at,
            idle: self.idle,
        }
    }

    /// The chain after its current secret was used and stays: that ends the grace of the one before.
    #[must_use]
    pub const fn used(&self, now: UnixTime) -> Self {
        let mut used = *self;
        used.previous = None;
        used.used_at = now;
        used
    }
}

/// What of the entitlement of a chain or code an access token is to carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// These scopes; all if empty.
    pub scope: Scopes,
    /// These resources; all if empty.
    pub resources: Vec<ResourceId>,
    /// Those of the scopes that its client may ask for nowhere today.
    pub unknown: Scopes,
}

/// A wish for what was not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotGranted {
    /// This scope.
    Scope(String),
    /// This scope was, but for none of the resources that are wished for.
    ScopeElsewhere(String),
    /// This resource; those were granted.
    Resource(ResourceId, Vec<ResourceId>),
}

impl Wish {
    /// What of `granted` is wished for: narrower or the same, never wider (RFC 6749 §6, RFC 8707 §2.2). A resource
    /// stays the audience even if none of its scopes is left. Beside `openid` in the same wish, a scope that is neither
    /// known nor was granted is left out, as it was when the person was asked (OpenID Core §3.1.2.1).
    pub fn of(&self, granted: &Entitlement) -> Result<Entitlement, NotGranted> {
        let mut narrowed = granted.clone();
        if !self.resources.is_empty() {
            let known: Vec<ResourceId> = granted.resources.iter().map(|(resource, _)| *resource).collect();
            if let Some(wrong) = self.resources.iter().find(|asked| !known.contains(asked)) {
                return Err(NotGranted::Resource(*wrong, known));
            }
            narrowed.resources.retain(|(resource, _)| self.resources.contains(resource));
        }
        if self.scope.is_empty() {
            return Ok(narrowed);
        }
        let (left, all) = (narrowed.scope(), granted.scope());
        let with_openid = self.scope.has(OpenIdScope::OpenId);
        let is_left_out = |name: &str| with_openid && self.unknown.contains(name) && !all.contains(name);
        let is_good = |name: &str| left.contains(name) && !self.unknown.contains(name);
        let wrong = self.scope.iter().find(|name| !is_good(name) && !is_left_out(name));
        if let Some(wrong) = wrong {
            let elsewhere = all.contains(wrong) && !left.contains(wrong) && !self.unknown.contains(wrong);
            let not_granted = if elsewhere { NotGranted::ScopeElsewhere } else { NotGranted::Scope };
            return Err(not_granted(wrong.to_owned()));
        }
        narrowed.openid = narrowed.openid.intersect(&self.scope);
        for (_, scopes) in &mut narrowed.resources {
            *scopes = scopes.intersect(&self.scope);
        }
        Ok(narrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [7; 32];
    const LIMITS: Limits = Limits { idle: Seconds(1_000), grace: Seconds(30) };

    fn secret(generation: u32, byte: u8) -> RowSecret<Refresh> {
        RowSecret::new([1; 16], generation, [byte; 32])
    }

    fn next(presented: &RowSecret<Refresh>) -> RowSecret<Refresh> {
        successor(&KEY, presented).unwrap().secret
    }

    fn chain(first: &RowSecret<Refresh>, now: i64) -> Chain {
        Chain::new(first.digest(), 1, UnixTime(now), UnixTime(10_000))
    }

    fn rotated(chain: &Chain, presented: &RowSecret<Refresh>, now: i64) -> Chain {
        let next = next(presented);
        chain.rotated(next.generation, next.digest(), 1, UnixTime(now))
    }

    fn judge(chain: &Chain, presented: &RowSecret<Refresh>, now: i64) -> Presented {
        chain.judge(&Presentation::of(presented), UnixTime(now), LIMITS)
    }

    #[test]
    fn who_asks_again_gets_the_same_successor_and_nobody_else_does() {
        let first = secret(0, 9);
        let (one, two) = (successor(&KEY, &first).unwrap(), successor(&KEY, &first).unwrap());
        assert_eq!((one.secret.expose(), one.nonce), (two.secret.expose(), two.nonce));
        assert_eq!((one.secret.row, one.secret.generation), (first.row, 1));
        let others = [
            successor(&[8; 32], &first).unwrap(),
            successor(&KEY, &secret(1, 9)).unwrap(),
            successor(&KEY, &secret(0, 8)).unwrap(),
            successor(&KEY, &RowSecret::new([2; 16], 0, [9; 32])).unwrap(),
        ];
        for other in others {
            assert_ne!(other.secret.expose(), one.secret.expose());
            assert_ne!(other.nonce, one.nonce);
        }
        assert_ne!(one.secret.expose()[..12], one.nonce, "the nonce is public and must say nothing of the secret");
        assert!(successor(&KEY, &secret(u32::MAX, 9)).is_none());
    }

    #[test]
    fn the_derivation_does_not_change_unnoticed() {
        let next = successor(&KEY, &secret(0, 9)).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(next.secret.expose()), "fbd44debe12e1d9f4925a1cfe0bd54d2926b77fb9edf1dcb82d60606fbdb64b0");
        assert_eq!(hex(&next.nonce), "e72765f2316f9195fd48b29b");
    }

    #[test]
    fn the_current_secret_is_good_until_the_chain_rests_too_long_or_ends() {
        let first = secret(0, 9);
        assert_eq!(judge(&chain(&first, 0), &first, 999), Presented::Current);
        assert_eq!(judge(&chain(&first, 0), &first, 1_000), Presented::Expired);
        assert_eq!(judge(&chain(&first, 9_500), &first, 9_999), Presented::Current);
        assert_eq!(judge(&chain(&first, 9_500), &first, 10_000), Presented::Expired);
        let used = chain(&first, 0).used(UnixTime(900));
        assert_eq!(judge(&used, &first, 1_899), Presented::Current);
        assert_eq!(judge(&used, &first, 1_900), Presented::Expired);
    }

    #[test]
    fn the_secret_before_is_a_retry_until_the_grace_is_over() {
        let first = secret(0, 9);
        let rotated = rotated(&chain(&first, 0), &first, 100);
        assert_eq!(judge(&rotated, &first, 100), Presented::Retry);
        assert_eq!(judge(&rotated, &first, 129), Presented::Retry);
        assert_eq!(judge(&rotated, &first, 130), Presented::Reused);
        assert_eq!(judge(&rotated, &first, 50), Presented::Retry, "clocks step back");
        assert_eq!(judge(&rotated, &next(&first), 100), Presented::Current);
        let none = Limits { grace: Seconds(0), ..LIMITS };
        let presented = Presentation::of(&first);
        assert_eq!(rotated.judge(&presented, UnixTime(100), none), Presented::Reused);
        let ending = Chain { expires_at: UnixTime(110), ..rotated };
        assert_eq!(judge(&ending, &first, 110), Presented::Expired);
    }

    #[test]
    fn the_grace_ends_when_the_successor_is_used() {
        let first = secret(0, 9);
        let second = next(&first);
        let once = rotated(&chain(&first, 0), &first, 100);
        assert_eq!(judge(&rotated(&once, &second, 100), &first, 100), Presented::Reused);
        assert_eq!(judge(&once.used(UnixTime(100)), &first, 100), Presented::Reused);
        assert_eq!(judge(&once.used(UnixTime(100)), &second, 100), Presented::Current);
    }

    #[test]
    fn an_older_secret_is_reuse_in_an_expired_chain_too() {
        let first = secret(0, 9);
        let chain = rotated(&chain(&first, 0), &first, 0);
        assert_eq!(judge(&chain, &first, 20_000), Presented::Reused);
        assert_eq!(judge(&chain, &next(&first), 20_000), Presented::Expired);
    }

    #[test]
    fn what_was_never_given_is_unknown() {
        let first = secret(0, 9);
        let once = rotated(&chain(&first, 0), &first, 0);
        assert_eq!(judge(&chain(&first, 0), &secret(0, 8), 0), Presented::Unknown);
        assert_eq!(judge(&chain(&first, 0), &next(&first), 0), Presented::Unknown);
        assert_eq!(judge(&once, &secret(0, 8), 0), Presented::Unknown);
        assert_eq!(judge(&once, &secret(1, 8), 0), Presented::Unknown);
        assert_eq!(judge(&once, &secret(u32::MAX, 8), 0), Presented::Unknown);
    }

    #[test]
    fn a_wish_narrows_and_never_widens() {
        let scopes = |text: &str| Scopes::parse(text).unwrap();
        let [one, two, three] = [1, 2, 3].map(|byte| ResourceId::from_bytes([byte; 16]));
        let granted =
            Entitlement::new(scopes("openid email"), vec![(one, scopes("read write")), (two, scopes("read"))]);
        let wish = |scope: &str, resources: &[ResourceId]| {
            Wish { scope: scopes(scope), resources: resources.to_vec(), ..Wish::default() }.of(&granted)
        };
        assert_eq!(wish("", &[]).unwrap(), granted);
        let read = Entitlement::new(scopes("openid"), vec![(one, scopes("read")), (two, scopes("read"))]);
        assert_eq!(wish("read openid", &[]).unwrap(), read);
        let only = Entitlement::new(scopes("openid email"), vec![(two, scopes("read"))]);
        assert_eq!(wish("", &[two]).unwrap(), only);
        assert_eq!(wish("", &[two, one]).unwrap(), granted);
        let bare = Entitlement::new(scopes("openid"), vec![(two, Scopes::default())]);
        assert_eq!(wish("openid", &[two]).unwrap(), bare);
        assert_eq!(wish("read delete", &[]), Err(NotGranted::Scope("delete".into())));
        assert_eq!(wish("write", &[two]), Err(NotGranted::ScopeElsewhere("write".into())));
        assert_eq!(wish("delete", &[two]), Err(NotGranted::Scope("delete".into())));
        for wrong in [vec![three], vec![one, three]] {
            assert_eq!(wish("", &wrong), Err(NotGranted::Resource(three, vec![one, two])));
        }
        for narrowed in [wish("read openid", &[]), wish("", &[two]), wish("openid", &[two])] {
            assert!(narrowed.unwrap().is_within(&granted));
        }
    }

    #[test]
    fn a_scope_that_nobody_knows_is_left_out_beside_openid_in_the_same_wish_and_refused_without_it() {
        let scopes = |text: &str| Scopes::parse(text).unwrap();
        let one = ResourceId::from_bytes([1; 16]);
        let wish = |openid: &str, scope: &str, unknown: &str| {
            let granted = Entitlement::new(scopes(openid), vec![(one, scopes("read write"))]);
            Wish { scope: scopes(scope), resources: Vec::new(), unknown: scopes(unknown) }.of(&granted)
        };
        let wrong = |name: &str| Err(NotGranted::Scope(name.into()));
        let read = Entitlement::new(scopes("openid"), vec![(one, scopes("read"))]);
        assert_eq!(wish("openid", "address openid read", "address").unwrap(), read);
        assert_eq!(wish("openid", "delete openid read", ""), wrong("delete"), "known, and not granted");
        assert_eq!(wish("openid", "openid read write", "write"), wrong("write"), "granted, and lost since");
        assert_eq!(wish("openid", "address phone", "address phone"), wrong("address"));
        assert_eq!(wish("openid", "address read", "address"), wrong("address"), "granted is not asked for");
        assert_eq!(wish("offline_access", "address read", "address"), wrong("address"));
        assert_eq!(wish("offline_access", "address openid read", "address"), wrong("openid"), "asked for, not granted");
    }

    proptest! {
        /// Whatever is presented in whatever order: one secret is good, the one before is forgiven only while its
        /// successor is unused and the grace lasts, everything older is reuse, and nothing revives.
        #[test]
        fn one_secret_is_good_at_a_time(steps in proptest::collection::vec((0..5_u32, any::<bool>(), 0..40_i64), 1..60)) {
            let mut given = vec![secret(0, 9)];
            let mut now = 0;
            let mut chain = Chain { expires_at: UnixTime(i64::MAX), ..chain(&given[0], 0) };
            let mut successor_used = false;
            for (back, rotates, wait) in steps {
                now += wait;
                let at = given.len().saturating_sub(1 + back as usize);
                let presented = &given[at];
                let expected = match given.len() - 1 - at {
                    0 => Presented::Current,
                    1 if !successor_used && now - chain.rotated_at.0 < 30 => Presented::Retry,
                    _ => Presented::Reused,
                };
                prop_assert_eq!(judge(&chain, presented, now), expected);
                prop_assert_eq!(judge(&chain, &next(given.last().unwrap()), now), Presented::Unknown);
                match expected {
                    Presented::Current if rotates => {
                        let following = next(presented);
                        chain = rotated(&chain, presented, now);
                        successor_used = false;
                        given.push(following);
                    }
                    Presented::Current => {
                        chain = chain.used(UnixTime(now));
                        successor_used = true;
                    }
                    Presented::Retry => prop_assert!(next(presented).digest().matches(&chain.current)),
                    _ => {}
                }
            }
        }
    }
}
