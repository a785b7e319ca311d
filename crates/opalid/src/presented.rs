//! Access tokens as they are presented, in either form: opened, judged, narrowed to what they may do today.
//!
//! Takes: what somebody presents as an access token.
//! Gives: what it refers to, once every byte of it was authenticated; what it may do today, or why it is dead.
//! Holds: a JWT of ours lives and dies as an opaque token does: its signature is verified, its `jti` opened, its grant
//! judged; one that says more than it may today, or names a role that is gone, is dead while that lasts. Its revocation
//! asks for no more than its `jti`: a key or an issuer's URL that is gone may come back.
//! Not here: what an answer says of it.

use opalid_core::alive::{self, OpenToday, Reason, Verdict};
use opalid_core::client::Client;
use opalid_core::ids::UserId;
use opalid_core::jwt::{AccessTokenClaims, JwsRefused, TYP_ACCESS_TOKEN, unproved_jti};
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::token::{Access, AccessJwt, Jti, PresentedToken, Reference, Sealed, Unopened};
use opalid_store::check::{Alive, Effective};
use opalid_store::{Outage, Store};
use serde_json::Value;

use crate::issuer::Issuer;

/// An access token that was opened.
#[derive(Debug)]
pub enum AccessToken {
    /// A sealed reference.
    Opaque(Reference<Access>),
    /// A JWT, with the reference in its `jti`.
    Jwt(Reference<AccessJwt>, Box<AccessTokenClaims>),
}

/// What a revocation has to know of an access token.
#[derive(Debug, Clone, Copy)]
pub struct Revocable {
    /// What is sealed in it.
    pub sealed: Sealed,
    /// What its revocation is kept under.
    pub jti: Jti,
    /// Whether the rest of it is ours too: if not, its holder learns nothing of whose it is.
    pub verified: bool,
}

impl Revocable {
    /// Opens it under the keys of an issuer; of a JWT the `jti`, which is authenticated by itself, whatever became since
    /// of the key that signed it or of the issuer's URL. It takes away and gives nothing.
    pub fn open(issuer: &Issuer, token: &str) -> Option<Self> {
        if let Ok(token) = AccessToken::open(issuer, token) {
            return Some(Self { sealed: *token.sealed(), jti: token.nonce(), verified: true });
        }
        let jti = unproved_jti(token)?;
        let reference = issuer.sealer.open::<AccessJwt>(PresentedToken::new(&jti)).ok()?;
        Some(Self { sealed: reference.sealed, jti: reference.jti, verified: false })
    }
}

/// Why it did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// As a sealed reference.
    #[error("{0:?}")]
    Envelope(Unopened),
    /// As a JWT.
    #[error("{0}")]
    Jws(JwsRefused),
}

impl AccessToken {
    /// Opens it under the keys of an issuer.
    pub fn open(issuer: &Issuer, token: &str) -> Result<Self, NotOurs> {
        // No opaque token has a dot in it, no JWT has none.
        if !token.contains('.') {
            let opened = issuer.sealer.open::<Access>(PresentedToken::new(token));
            return opened.map(Self::Opaque).map_err(NotOurs::Envelope);
        }
        let claims = issuer.public.verify_access_token(token, &issuer.url).map_err(NotOurs::Jws)?;
        let reference = issuer.sealer.open::<AccessJwt>(PresentedToken::new(&claims.jti));
        Ok(Self::Jwt(reference.map_err(NotOurs::Envelope)?, Box::new(claims)))
    }

    /// Opens a JWT that we signed when the issuer had another URL, for whoever looks at it. Nothing takes it while it has this one.
    pub fn open_former(issuer: &Issuer, token: &str) -> Option<Self> {
        let claims: AccessTokenClaims = issuer.public.verify(token, TYP_ACCESS_TOKEN).ok()?;
        let reference = issuer.sealer.open::<AccessJwt>(PresentedToken::new(&claims.jti)).ok()?;
        (claims.iss != issuer.url).then(|| Self::Jwt(reference, Box::new(claims)))
    }

    /// What is sealed in it.
    pub const fn sealed(&self) -> &Sealed {
        match self {
            Self::Opaque(reference) => &reference.sealed,
            Self::Jwt(reference, _) => &reference.sealed,
        }
    }

    /// What a revocation of this one token is kept under.
    pub const fn nonce(&self) -> Jti {
        match self {
            Self::Opaque(reference) => reference.jti,
            Self::Jwt(reference, _) => reference.jti,
        }
    }

    /// Its `jti` as the world sees it.
    pub fn jti(&self) -> String {
        match self {
            Self::Opaque(reference) => reference.jti.to_string(),
            Self::Jwt(_, claims) => claims.jti.clone(),
        }
    }

    /// Whether it is alive.
    pub async fn judge(&self, store: &Store, issuer: &Issuer, now: UnixTime) -> Result<Verdict<Alive>, Outage> {
        match self {
            Self::Opaque(reference) => store.judge(issuer.id(), reference, now).await,
            Self::Jwt(reference, _) => store.judge(issuer.id(), reference, now).await,
        }
    }

    /// What it may do today for its client; the reason if that is nothing, or if it says more.
    pub async fn today<'e>(
        &self,
        store: &Store,
        issuer: &Issuer,
        (client, alive): (&Client, &'e Alive),
    ) -> Result<Result<Effective<'e>, Reason>, Outage> {
        let who = (client, alive.grant.grant.user());
        let Some(mut effective) = store.effective(who, &alive.entitlement).await? else {
            return Ok(Err(Reason::Narrowed));
        };
        let Self::Jwt(_, claims) = self else { return Ok(Ok(effective)) };
        let audience: Vec<&str> = claims.aud.iter().collect();
        if !carries_no_more((&claims.scope, &audience), &issuer.url, &effective) {
            return Ok(Err(Reason::Narrowed));
        }
        if !roles_too_many(store, who, claims).await?.is_empty() {
            return Ok(Err(Reason::Narrowed));
        }
        // What it may do beyond what it says nobody learns from it.
        let entitlement = effective.entitlement.to_mut();
        entitlement.openid = entitlement.openid.intersect(&claims.scope);
        for (_, scopes) in &mut entitlement.resources {
            *scopes = scopes.intersect(&claims.scope);
        }
        let said = |uri: &str| audience.contains(&uri);
        let kept: Vec<bool> = effective.resources.iter().map(|resource| said(&resource.uri)).collect();
        retain(&mut effective.entitlement.to_mut().resources, &kept);
        retain(&mut effective.resources, &kept);
        Ok(Ok(effective))
    }
}

/// The roles that a JWT names and whoever it is for does not hold any more. It says itself where it names any: the
/// workspace may declare other claims by now.
pub async fn roles_too_many<'c>(
    store: &Store,
    who: (&Client, Option<UserId>),
    claims: &'c AccessTokenClaims,
) -> Result<Vec<&'c Value>, Outage> {
    let naming = claims.role_claims.iter();
    let mut said: Vec<&Value> = naming.filter_map(|name| claims.declared.get(name)?.as_array()).flatten().collect();
    if !said.is_empty() {
        let held = store.roles_of(who).await?;
        said.retain(|name| held.iter().all(|role| name.as_str() != Some(&role.name)));
    }
    Ok(said)
}

/// Keeps what stands where `kept` is true.
fn retain<T>(of: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    of.retain(|_| kept.next() == Some(&true));
}

/// Whether a JWT with this scope and audience would say no more than it may.
pub fn carries_no_more((scope, audience): (&Scopes, &[&str]), issuer: &str, effective: &Effective<'_>) -> bool {
    let open = effective.entitlement.resources.iter().zip(&effective.resources);
    let today: Vec<OpenToday<'_>> = open
        .map(|((_, allowed), resource)| OpenToday { uri: &resource.uri, offered: &resource.settings.scopes, allowed })
        .collect();
    alive::carries_no_more((scope, audience), (issuer, &effective.entitlement.openid), &today)
}
