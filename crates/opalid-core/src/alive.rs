//! The one rule that says whether a token is alive, and what it may still do.
//!
//! Takes: an opened reference, its grant, how each ancestor stands today, the time.
//! Gives: a verdict, or the caller's own "not known here" (`M`), which is neither active nor inactive.
//! Holds: nobody else decides. Equality of epochs, never time: restarts and clock steps revive nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use crate::grant::{Ancestor, Birth, Entitlement, Epoch, Grant};
use crate::ids::ResourceId;
use crate::resource::Resource;
use crate::role::RoleSettings;
use crate::scope::Scopes;
use crate::time::UnixTime;
use crate::token::Reference;

/// How something that grants hang from stands today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its epoch today.
    pub epoch: Epoch,
    /// Whether it is in service.
    pub enabled: bool,
    /// The end of its life, where it has one (sessions).
    pub ends_at: Option<UnixTime>,
}

impl Standing {
    /// In service, without an end.
    pub const fn enabled(epoch: Epoch) -> Self {
        Self { epoch, enabled: true, ends_at: None }
    }
}

/// The answer to "is it alive".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Alive, with what that means.
    Active(T),
    /// Not alive, and why; never told to clients.
    Inactive(Reason),
}

/// Why a token is not alive. For inspectors, logs and metrics; never in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It did not open: not ours, not this kind, or changed on the way.
    NotOurs,
    /// Its time is over.
    Expired,
    /// This one token was revoked.
    Killed,
    /// Its grant does not exist.
    GrantUnknown,
    /// Its grant was cut.
    GrantCut,
    /// It names a grant whose guard it does not know.
    GuardDiffers,
    /// It, or what it hangs from, carries a later epoch than is known here.
    Ahead,
    /// Its grant has no such entitlement.
    EntitlementUnknown,
    /// Something it hangs from does not exist any more.
    AncestorGone(Ancestor),
    /// Something it hangs from is out of service.
    AncestorSuspended(Ancestor),
    /// Something it hangs from has cut all below it.
    AncestorCut(Ancestor),
    /// The session it hangs from is over.
    SessionEnded(Ancestor),
    /// Nothing of what it may do is allowed today.
    Narrowed,
    /// It is alive, but not for who asked.
    NotForCaller,
}

impl Reason {
    /// Whether the token stays dead whatever happens. What may be given back is not final, nor what is merely not known yet.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::Killed | Self::GrantCut | Self::AncestorCut(_))
    }

    /// One word for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Expired => "expired",
            Self::Killed => "killed",
            Self::GrantUnknown => "grant_unknown",
            Self::GrantCut => "grant_cut",
            Self::GuardDiffers => "guard_differs",
            Self::Ahead => "ahead",
            Self::EntitlementUnknown => "entitlement_unknown",
            Self::AncestorGone(_) => "ancestor_gone",
            Self::AncestorSuspended(_) => "ancestor_suspended",
            Self::AncestorCut(_) => "ancestor_cut",
            Self::SessionEnded(_) => "session_ended",
            Self::Narrowed => "narrowed",
            Self::NotForCaller => "not_for_caller",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str("not a token of this workspace, or changed on the way"),
            Self::Expired => f.write_str("expired"),
            Self::Killed => f.write_str("this token was revoked"),
            Self::GrantUnknown => f.write_str("its grant is not known"),
            Self::GrantCut => f.write_str("its grant was cut"),
            Self::GuardDiffers => f.write_str("it does not know its grant's guard"),
            Self::Ahead => f.write_str("it is newer than what is known here of what it hangs from"),
            Self::EntitlementUnknown => f.write_str("its grant has no such entitlement"),
            Self::AncestorSuspended(Ancestor::Session(_)) | Self::AncestorCut(Ancestor::Session(_)) => {
                f.write_str("its session has ended")
            }
            Self::AncestorGone(ancestor) => write!(f, "its {} is gone", ancestor.kind()),
            Self::AncestorSuspended(ancestor) => write!(f, "its {} is suspended", ancestor.kind()),
            Self::AncestorCut(ancestor) => write!(f, "everything below its {} was cut", ancestor.kind()),
            Self::SessionEnded(_) => f.write_str("its session has expired"),
            Self::Narrowed => f.write_str("nothing it may do is allowed today"),
            Self::NotForCaller => f.write_str("the caller serves none of its resources"),
        }
    }
}

/// What a lineage that was found standing is worth later.
///
/// As long as nothing in it changes, it goes on standing until the first of its ends; whoever keeps this says
/// whether something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stands {
    /// The first end among its ancestors, where one has an end.
    pub until: Option<UnixTime>,
}

impl Stands {
    /// Whether it still does, nothing in the lineage having changed.
    pub fn holds(self, now: UnixTime) -> bool {
        self.until.is_none_or(|end| now < end)
    }
}

/// Judges an opened token against its grant; what it may do is [`effective`]'s to say.
///
/// `killed` says whether this very token was revoked. `standing` judges what the grant hangs from ([`lineage`], or what is
/// kept of it while nothing has changed), with `Err` if that is not known here.
pub fn token<K, M>(
    token: &Reference<K>,
    grant: &Grant,
    killed: bool,
    now: UnixTime,
    standing: impl FnOnce() -> Result<Result<(), Reason>, M>,
) -> Result<Result<(), Reason>, M> {
    let sealed = &token.sealed;
    if now >= sealed.expires_at {
        return Ok(Err(Reason::Expired));
    }
    if !sealed.guard.matches(&grant.guard) {
        return Ok(Err(Reason::GuardDiffers));
    }
    if killed {
        return Ok(Err(Reason::Killed));
    }
    if let Err(reason) = uncut_since(sealed.epoch, grant) {
        return Ok(Err(reason));
    }
    standing()
}

/// Whether a grant has not been cut since it had this epoch.
pub fn uncut_since(epoch: Epoch, grant: &Grant) -> Result<(), Reason> {
    match epoch.cmp(&grant.epoch) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(Reason::GrantCut),
        Ordering::Greater => Err(Reason::Ahead),
    }
}

/// Judges what all tokens of a grant share: every ancestor exists, is enabled, and has its birth epoch. `today` answers
/// for each: how it stands, `None` if it does not exist, `Err` if that is not known here.
pub fn lineage<M>(
    births: impl IntoIterator<Item = Birth>,
    now: UnixTime,
    mut today: impl FnMut(Ancestor) -> Result<Option<Standing>, M>,
) -> Result<Result<Stands, Reason>, M> {
    let mut stands = Stands { until: None };
    for birth in births {
        let Some(standing) = today(birth.ancestor)? else {
            return Ok(Err(Reason::AncestorGone(birth.ancestor)));
        };
        match birth.epoch.cmp(&standing.epoch) {
            Ordering::Equal => {}
            Ordering::Less => return Ok(Err(Reason::AncestorCut(birth.ancestor))),
            Ordering::Greater => return Ok(Err(Reason::Ahead)),
        }
        if !standing.enabled {
            return Ok(Err(Reason::AncestorSuspended(birth.ancestor)));
        }
        if let Some(end) = standing.ends_at {
            if now >= end {
                return Ok(Err(Reason::SessionEnded(birth.ancestor)));
            }
            stands.until = Some(stands.until.map_or(end, |until| until.min(end)));
        }
    }
    Ok(Ok(stands))
}

/// What may be done at a resource today.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<'a> {
    /// The resource's own scopes.
    pub offered: &'a Scopes,
    /// What the client may ask for there.
    pub asked: &'a Scopes,
    /// What the holder's roles permit there ([`permitted`]), if the resource asks for roles.
    pub permitted: Option<&'a Scopes>,
}

impl Allowed<'_> {
    /// Whether all of it is allowed.
    fn covers(&self, scopes: &Scopes) -> bool {
        let within = |allowed: &Scopes| scopes.is_subset(allowed);
        within(self.offered) && within(self.asked) && self.permitted.is_none_or(within) && !self.is_closed()
    }

    /// Whether no role of the holder permits anything there.
    fn is_closed(&self) -> bool {
        self.permitted.is_some_and(Scopes::is_empty)
    }

    fn of(&self, scopes: &Scopes) -> Scopes {
        let left = scopes.intersect(self.offered).intersect(self.asked);
        self.permitted.map_or_else(|| left.clone(), |permitted| left.intersect(permitted))
    }
}

/// What roles permit together at a resource, of the scopes that it has.
pub fn permitted<'r>(roles: impl IntoIterator<Item = &'r RoleSettings>, resource: &Resource) -> Scopes {
    let there = roles.into_iter().filter_map(|role| role.permissions.get(&resource.uri));
    there.fold(Scopes::default(), |all, scopes| all.union(scopes)).intersect(&resource.settings.scopes)
}

/// Effective scope: the entitlement ∩ what resources, client and roles allow today. `today` says that of a resource,
/// `None` if it is gone or not for this client any more; where the holder has no role that permits anything, it is as
/// good as gone. Narrowing is not death and can be given back; with nothing
/// left, `None`. What is not narrowed is given back as it is.
pub fn effective<'e, 'a, M>(
    entitlement: &'e Entitlement,
    mut today: impl FnMut(ResourceId) -> Result<Option<Allowed<'a>>, M>,
) -> Result<Option<Cow<'e, Entitlement>>, M> {
    let mut left: Option<Vec<(ResourceId, Scopes)>> = None;
    for (at, (resource, scopes)) in entitlement.resources.iter().enumerate() {
        let allowed = today(*resource)?.filter(|allowed| !allowed.is_closed());
        let whole = allowed.is_some_and(|allowed| allowed.covers(scopes));
        if whole && left.is_none() {
            continue;
        }
        let left = left.get_or_insert_with(|| entitlement.resources.iter().take(at).cloned().collect());
        left.extend(allowed.map(|allowed| (*resource, allowed.of(scopes))));
    }
    let Some(resources) = left else { return Ok(Some(Cow::Borrowed(entitlement))) };
    if resources.is_empty() && entitlement.openid.is_empty() {
        return Ok(None);
    }
    Ok(Some(Cow::Owned(Entitlement { openid: entitlement.openid.clone(), resources })))
}

/// One resource as a JWT's bearer could use it today.
#[derive(Debug, Clone, Copy)]
pub struct OpenToday<'a> {
    /// Its URI: an audience of the token.
    pub uri: &'a str,
    /// The resource's own scopes.
    pub offered: &'a Scopes,
    /// What the token may do there.
    pub allowed: &'a Scopes,
}

/// Whether a JWT says no more than it may today: it cannot be told so itself, so one that does is dead while that lasts.
///
/// A JWT has one list of scopes for all its audiences, so a resource server takes of it every name that it knows:
/// all of those have to be allowed at that very resource. `openid` is what it may do at the issuer, and `issuer` its
/// audience where it opens no resource.
pub fn carries_no_more(
    (scope, audience): (&Scopes, &[&str]),
    (issuer, openid): (&str, &Scopes),
    today: &[OpenToday<'_>],
) -> bool {
    let opens = |uri: &&str| match today.iter().find(|open| open.uri == *uri) {
        Some(open) => scope.intersect(open.offered).is_subset(open.allowed),
        None => *uri == issuer,
    };
    let somewhere = |name: &str| openid.contains(name) || today.iter().any(|open| open.allowed.contains(name));
    audience.iter().all(opens) && scope.iter().all(somewhere)
}

#[cfg(test)]
mod narrowing;
#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Descent, EntitlementNo, Guard};
    use crate::ids::{ClientId, GrantId, SessionId, UserId, WorkspaceId};
    use crate::token::{Access, Jti, PresentedToken, Sealed, Sealer};
    use proptest::prelude::*;
    use std::convert::Infallible;

    const HOME: WorkspaceId = WorkspaceId::from_bytes([1; 16]);
    const SESSION: Ancestor = Ancestor::Session(SessionId::from_bytes([4; 16]));
    const ANCESTORS: [Ancestor; 5] = [
        Ancestor::Workspace(HOME),
        Ancestor::Client(ClientId::from_bytes([2; 16])),
        Ancestor::User(UserId::from_bytes([3; 16])),
        Ancestor::Credentials(UserId::from_bytes([3; 16])),
        SESSION,
    ];

    fn grant() -> Grant {
        Grant {
            id: GrantId::from_bytes([9; 16]),
            guard: Guard::new([1; 8]),
            epoch: Epoch(1),
            standing: false,
            descent: Descent::new(
                ClientId::from_bytes([2; 16]),
                Some(UserId::from_bytes([3; 16])),
                ANCESTORS.map(|ancestor| Birth { ancestor, epoch: Epoch(7) }),
            ),
            entitlements: Default::default(),
        }
    }

    fn reference(guard: u8, epoch: u32, expires_at: i64) -> Reference<Access> {
        let sealer = Sealer::new(HOME, (1, &[0; 32]), &[]).unwrap();
        let sealed = Sealed {
            grant: grant().id,
            guard: Guard::new([guard; 8]),
            entitlement: EntitlementNo(0),
            epoch: Epoch(epoch),
            issued_at: UnixTime(0),
            expires_at: UnixTime(expires_at),
            confirmation: None,
        };
        sealer.open(PresentedToken::new(&sealer.seal::<Access>(&sealed, Jti([0; 12])))).unwrap()
    }

    fn judge(
        reference: &Reference<Access>,
        killed: bool,
        today: impl Fn(Ancestor) -> Option<Standing>,
    ) -> Result<(), Reason> {
        let (grant, now) = (grant(), UnixTime(50));
        let standing = || lineage(grant.descent.births(), now, |ancestor| Ok::<_, Infallible>(today(ancestor)));
        token(reference, &grant, killed, now, || Ok::<_, Infallible>(standing()?.map(|_| ()))).unwrap()
    }

    fn all_well(_: Ancestor) -> Option<Standing> {
        Some(Standing::enabled(Epoch(7)))
    }

    #[test]
    fn a_token_is_alive_while_everything_it_hangs_from_is() {
        assert_eq!(judge(&reference(1, 1, 100), false, all_well), Ok(()));
        assert_eq!(judge(&reference(1, 1, 50), false, all_well), Err(Reason::Expired));
        assert_eq!(judge(&reference(1, 1, 100), true, all_well), Err(Reason::Killed));
        assert_eq!(judge(&reference(2, 1, 100), false, all_well), Err(Reason::GuardDiffers));
        assert_eq!(judge(&reference(1, 2, 100), false, all_well), Err(Reason::Ahead));
        assert_eq!(judge(&reference(1, 0, 100), false, all_well), Err(Reason::GrantCut));
    }

    #[test]
    fn every_ancestor_is_asked_and_each_way_to_fall_is_told_apart() {
        for fallen in ANCESTORS {
            let with = |standing: Option<Standing>| {
                judge(&reference(1, 1, 100), false, move |who| if who == fallen { standing } else { all_well(who) })
            };
            assert_eq!(with(None), Err(Reason::AncestorGone(fallen)));
            assert_eq!(with(Some(Standing::enabled(Epoch(8)))), Err(Reason::AncestorCut(fallen)));
            assert_eq!(with(Some(Standing::enabled(Epoch(6)))), Err(Reason::Ahead));
            let suspended = Standing { enabled: false, ..Standing::enabled(Epoch(7)) };
            assert_eq!(with(Some(suspended)), Err(Reason::AncestorSuspended(fallen)));
            let ended = Standing { ends_at: Some(UnixTime(50)), ..Standing::enabled(Epoch(7)) };
            assert_eq!(with(Some(ended)), Err(Reason::SessionEnded(fallen)));
            let ending = Standing { ends_at: Some(UnixTime(51)), ..Standing::enabled(Epoch(7)) };
            assert_eq!(with(Some(ending)), Ok(()));
        }
    }

    #[test]
    fn only_what_can_never_be_given_back_is_final() {
        let gone = [Reason::Expired, Reason::Killed, Reason::GrantCut, Reason::AncestorCut(SESSION)];
        assert!(gone.into_iter().all(Reason::is_final));
        let others = [
            Reason::NotOurs,
            Reason::GrantUnknown,
            Reason::GuardDiffers,
            Reason::Ahead,
            Reason::EntitlementUnknown,
            Reason::AncestorGone(SESSION),
            Reason::AncestorSuspended(SESSION),
            Reason::SessionEnded(SESSION),
            Reason::Narrowed,
            Reason::NotForCaller,
        ];
        assert!(!others.into_iter().any(Reason::is_final));
    }

    #[test]
    fn what_is_not_known_is_no_verdict() {
        assert_eq!(lineage(grant().descent.births(), UnixTime(0), Err), Err(ANCESTORS[0]));
        let unknown = token(&reference(1, 1, 100), &grant(), false, UnixTime(0), || Err("not known"));
        assert_eq!(unknown, Err("not known"));
    }

    #[test]
    fn what_stands_holds_until_the_first_end_of_its_ancestors() {
        let ends = |ends: [Option<i64>; 5]| {
            let today = |who| {
                let at = ANCESTORS.iter().position(|known| *known == who).and_then(|at| ends[at]);
                Ok::<_, Infallible>(Some(Standing { ends_at: at.map(UnixTime), ..Standing::enabled(Epoch(7)) }))
            };
            lineage(grant().descent.births(), UnixTime(50), today).unwrap().unwrap()
        };
        assert_eq!(ends([None; 5]).until, None);
        assert_eq!(ends([None, Some(90), None, Some(70), Some(80)]).until, Some(UnixTime(70)));
        let stands = Stands { until: Some(UnixTime(70)) };
        assert!(stands.holds(UnixTime(69)) && !stands.holds(UnixTime(70)));
        assert!(Stands { until: None }.holds(UnixTime(i64::MAX)));
    }

    #[test]
    fn scope_narrows_to_what_resources_and_client_allow_today_and_comes_back() {
        let scopes = |text: &str| Scopes::parse(text).unwrap();
        let (one, two) = (ResourceId::from_bytes([1; 16]), ResourceId::from_bytes([2; 16]));
        let given = Entitlement::new(Scopes::default(), vec![(two, scopes("read")), (one, scopes("read write"))]);
        let (read, write, both, none) = (scopes("read"), scopes("write"), scopes("read write"), Scopes::default());
        let all_of = |offered, asked| move |_| Ok::<_, Infallible>(Some(Allowed { offered, asked, permitted: None }));
        assert!(
            matches!(effective(&given, all_of(&both, &both)).unwrap(), Some(Cow::Borrowed(whole)) if *whole == given)
        );
        for (offered, asked) in [(&read, &both), (&both, &read)] {
            let narrowed = effective(&given, all_of(offered, asked)).unwrap().unwrap().into_owned();
            assert_eq!(narrowed.resources, vec![(one, scopes("read")), (two, scopes("read"))]);
            assert!(narrowed.is_within(&given) && !given.is_within(&narrowed));
        }
        let lost = effective(&given, all_of(&read, &write)).unwrap().unwrap();
        assert_eq!(lost.resources, vec![(one, none.clone()), (two, none)]);
        let allowed = Allowed { offered: &both, asked: &both, permitted: None };
        let of = |left| move |id| Ok::<_, Infallible>((id == left).then_some(allowed));
        assert_eq!(effective(&given, of(one)).unwrap().unwrap().resources, vec![(one, scopes("read write"))]);
        assert_eq!(effective(&given, of(two)).unwrap().unwrap().resources, vec![(two, scopes("read"))]);
        assert_eq!(effective(&given, |_| Ok::<_, Infallible>(None)).unwrap(), None);
        let person = Entitlement::new(scopes("openid"), given.resources.clone());
        assert!(effective(&person, |_| Ok::<_, Infallible>(None)).unwrap().unwrap().resources.is_empty());
    }

    #[test]
    fn a_jwt_that_says_more_than_it_may_today_is_found_out() {
        let scopes = |text: &str| Scopes::parse(text).unwrap();
        let (read, both, none) = (scopes("read"), scopes("read write"), Scopes::default());
        let openid = scopes("openid");
        let judge = |scope: &str, audience: &[&str], today: &[OpenToday<'_>]| {
            carries_no_more((&scopes(scope), audience), ("iss", &openid), today)
        };
        let open = |uri, allowed| OpenToday { uri, offered: &both, allowed };
        assert!(judge("read", &["a"], &[open("a", &read)]));
        assert!(judge("openid read write", &["a"], &[open("a", &both)]));
        assert!(!judge("read write", &["a"], &[open("a", &read)]));
        assert!(!judge("read", &["a"], &[]));
        assert!(judge("openid", &["iss"], &[]));
        assert!(!judge("openid email", &["iss"], &[]));
        // What one resource still allows the other must not take.
        assert!(judge("read", &["a", "b"], &[open("a", &read), open("b", &read)]));
        assert!(!judge("read", &["a", "b"], &[open("a", &read), open("b", &none)]));
        let other = OpenToday { uri: "b", offered: &none, allowed: &none };
        assert!(judge("read", &["a", "b"], &[open("a", &read), other]));
        // What nobody offers any more nobody may.
        let gone = OpenToday { uri: "a", offered: &none, allowed: &none };
        assert!(!judge("read", &["a"], &[gone]));
    }

    #[test]
    fn roles_permit_together_and_where_they_permit_nothing_the_resource_is_gone_until_they_do() {
        let scopes = |text: &str| Scopes::parse(text).unwrap();
        let one = ResourceId::from_bytes([1; 16]);
        let settings = crate::resource::ResourceSettings { scopes: scopes("read write"), ..Default::default() };
        let resource = Resource { id: one, workspace: HOME, uri: "urn:a".into(), settings };
        let role = |uri: &str, text: &str| RoleSettings {
            permissions: [(uri.to_owned(), scopes(text))].into(),
            ..RoleSettings::default()
        };
        let (reads, writes, elsewhere) = (role("urn:a", "read gone"), role("urn:a", "write"), role("urn:b", "write"));
        assert_eq!(permitted([&reads, &writes, &elsewhere], &resource), scopes("read write"));
        assert_eq!(permitted([&reads, &elsewhere], &resource), scopes("read"));
        assert!(permitted([&elsewhere], &resource).is_empty());

        let given = Entitlement::new(Scopes::default(), vec![(one, scopes("read write"))]);
        let both = scopes("read write");
        let today = |permitted: &Scopes| {
            let allowed = Allowed { offered: &both, asked: &both, permitted: Some(permitted) };
            let left = effective(&given, |_| Ok::<_, Infallible>(Some(allowed))).unwrap();
            left.map(|left| left.into_owned().resources)
        };
        assert_eq!(today(&both), Some(given.resources.clone()));
        assert_eq!(today(&scopes("read")), Some(vec![(one, scopes("read"))]));
        assert_eq!(today(&scopes("other")), Some(vec![(one, Scopes::default())]));
        assert_eq!(today(&Scopes::default()), None);
    }

    proptest! {
        #[test]
        fn no_bump_is_ever_undone_by_more_bumps(bumps in 1..1000_u32, which in 0..5_usize) {
            let fallen = ANCESTORS[which];
            let today = |who: Ancestor| Some(Standing::enabled(Epoch(if who == fallen { 7 + bumps } else { 7 })));
            prop_assert_eq!(judge(&reference(1, 1, 100), false, today), Err(Reason::AncestorCut(fallen)));
        }
    }
}
