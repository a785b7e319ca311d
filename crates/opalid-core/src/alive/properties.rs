//! Aliveness, effective scope and what a JWT carries, against each rule written a second time and on random histories.
//!
//! Holds: the oracles below use nothing of the rule but its types.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::grant::{Descent, EntitlementNo, Guard};
use crate::ids::{ClientId, ConsentId, GrantId, SessionId, UserId, WorkspaceId};
use crate::token::{Access, Jti, PresentedToken, Sealed, Sealer};

const HOME: WorkspaceId = WorkspaceId::from_bytes([1; 16]);

// ---- a token, and the world that it is judged in ----

/// What a token can hang from: ids are few, so that kinds share them.
fn any_ancestor() -> impl Strategy<Value = Ancestor> {
    (0..7_u8, 1..4_u8).prop_map(|(kind, id)| {
        let id = [id; 16];
        match kind {
            0 => Ancestor::Workspace(WorkspaceId::from_bytes(id)),
            1 => Ancestor::Client(ClientId::from_bytes(id)),
            2 => Ancestor::User(UserId::from_bytes(id)),
            3 => Ancestor::Credentials(UserId::from_bytes(id)),
            4 => Ancestor::Session(SessionId::from_bytes(id)),
            5 => Ancestor::Consent(ConsentId::from_bytes(id)),
            _ => Ancestor::Grant(GrantId::from_bytes(id)),
        }
    })
}

/// Mostly as at birth, so that whole lineages stand often enough.
fn any_standing() -> impl Strategy<Value = Standing> {
    let ends_at = prop_oneof![8 => Just(None), 1 => (0..100_i64).prop_map(|at| Some(UnixTime(at)))];
    (prop_oneof![16 => Just(2_u32), 1 => 1..4_u32], prop::bool::weighted(0.95), ends_at)
        .prop_map(|(epoch, enabled, ends_at)| Standing { epoch: Epoch(epoch), enabled, ends_at })
}

type Ancestors = BTreeMap<Ancestor, Standing>;

/// Births, the same ancestor twice among them at times, and how most of them stand today.
fn any_lineage() -> impl Strategy<Value = (Vec<Birth>, Ancestors)> {
    let epoch = prop_oneof![16 => Just(2_u32), 1 => 1..4_u32, 1 => Just(70_000)];
    vec((any_ancestor(), epoch, option::weighted(0.97, any_standing())), 0..10).prop_map(|births| {
        let today = births.iter().filter_map(|(who, _, standing)| Some((*who, (*standing)?))).collect();
        (births.iter().map(|(ancestor, epoch, _)| Birth { ancestor: *ancestor, epoch: Epoch(*epoch) }).collect(), today)
    })
}

fn grant(epoch: u32, births: &[Birth]) -> Grant {
    let (client, user) = (ClientId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
    Grant {
        id: GrantId::from_bytes([9; 16]),
        guard: Guard::new([1; 8]),
        epoch: Epoch(epoch),
        standing: false,
        descent: Descent::new(client, Some(user), births.iter().copied()),
        entitlements: Default::default(),
    }
}

fn reference(guard: u8, epoch: u32, expires_at: i64) -> Reference<Access> {
    let sealer = Sealer::new(HOME, (1, &[0; 32]), &[]).unwrap();
    let sealed = Sealed {
        grant: GrantId::from_bytes([9; 16]),
        guard: Guard::new([guard; 8]),
        entitlement: EntitlementNo(0),
        epoch: Epoch(epoch),
        issued_at: UnixTime(0),
        expires_at: UnixTime(expires_at),
        confirmation: None,
    };
    sealer.open(PresentedToken::new(&sealer.seal::<Access>(&sealed, Jti([0; 12])))).unwrap()
}

/// All that a verdict depends on, but for the token.
#[derive(Debug, Clone)]
struct World {
    now: i64,
    killed: bool,
    grant: Grant,
    ancestors: Ancestors,
}

impl World {
    fn judge(&self, reference: &Reference<Access>) -> Result<(), Reason> {
        let today = |who| Ok::<_, Infallible>(self.ancestors.get(&who).copied());
        let judged = || lineage(self.grant.descent.births(), UnixTime(self.now), today);
        let standing = || judged().map(|verdict| verdict.map(|_| ()));
        token(reference, &self.grant, self.killed, UnixTime(self.now), standing).unwrap()
    }
}

/// Every way in which something has fallen by now, clause by clause (DESIGN §2).
fn fallen(births: &[Birth], ancestors: &Ancestors, now: i64) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for birth in births {
        let Some(standing) = ancestors.get(&birth.ancestor) else {
            reasons.push(Reason::AncestorGone(birth.ancestor));
            continue;
        };
        if standing.epoch.0 != birth.epoch.0 {
            reasons.push(Reason::AncestorCut(birth.ancestor));
        }
        if !standing.enabled {
            reasons.push(Reason::AncestorSuspended(birth.ancestor));
        }
        if standing.ends_at.is_some_and(|end| end.0 <= now) {
            reasons.push(Reason::SessionEnded(birth.ancestor));
        }
    }
    reasons
}

proptest! {
    #[test]
    fn a_token_is_alive_exactly_while_every_clause_holds_and_the_reason_is_one_of_those_that_hold(
        (births, ancestors) in any_lineage(),
        (guard, token_epoch, grant_epoch) in (prop_oneof![9 => Just(1_u8), 1 => Just(2)],
            prop_oneof![9 => Just(5_u32), 1 => 4..7_u32], prop_oneof![9 => Just(5_u32), 1 => 4..7_u32]),
        (killed, now, expires_at) in (prop::bool::weighted(0.1), 0..100_i64, 40..200_i64),
    ) {
        let world = World { now, killed, grant: grant(grant_epoch, &births), ancestors };
        let mut reasons = fallen(&births, &world.ancestors, now);
        reasons.extend((expires_at <= now).then_some(Reason::Expired));
        reasons.extend((guard != 1).then_some(Reason::GuardDiffers));
        reasons.extend(killed.then_some(Reason::Killed));
        reasons.extend((token_epoch != grant_epoch).then_some(Reason::GrantCut));
        match world.judge(&reference(guard, token_epoch, expires_at)) {
            Ok(()) => prop_assert_eq!(reasons, vec![]),
            Err(reason) => prop_assert!(reasons.contains(&reason), "{reason} is none of {reasons:?}"),
        }
    }

    #[test]
    fn what_stands_stands_until_its_first_end_and_no_longer(
        (births, ancestors) in any_lineage(), now in 0..50_i64, later in 0..100_i64,
    ) {
        let at = |now: i64| {
            lineage(births.iter().copied(), UnixTime(now), |who| Ok::<_, Infallible>(ancestors.get(&who).copied()))
        };
        if let Ok(stands) = at(now).unwrap() {
            let later = now + later;
            prop_assert_eq!(stands.holds(UnixTime(later)), fallen(&births, &ancestors, later).is_empty());
            prop_assert_eq!(stands.holds(UnixTime(later)), at(later).unwrap().is_ok());
        }
    }

    #[test]
    fn where_an_ancestor_is_not_known_nothing_is_said_to_be_alive(
        (births, ancestors) in any_lineage(), unknown in vec(any_ancestor(), 0..4), now in 0..100_i64,
    ) {
        let known = |who| if unknown.contains(&who) { Err(who) } else { Ok(ancestors.get(&who).copied()) };
        let of_known: Vec<Birth> = births.iter().filter(|birth| !unknown.contains(&birth.ancestor)).copied().collect();
        match lineage(births.iter().copied(), UnixTime(now), known) {
            Err(miss) => prop_assert!(unknown.contains(&miss)),
            Ok(Err(reason)) => prop_assert!(fallen(&of_known, &ancestors, now).contains(&reason)),
            Ok(Ok(_)) => {
                prop_assert_eq!(of_known.len(), births.len());
                prop_assert_eq!(fallen(&births, &ancestors, now), vec![]);
            }
        }
    }
}

// ---- histories ----

/// What can happen to what a token hangs from, as the steps of the store do it. Ids are never used again, so what is
/// gone stays gone.
#[derive(Debug, Clone, Copy)]
enum Event {
    Bump(usize),
    Suspend(usize),
    Resume(usize),
    Delete(usize),
    CutGrant,
    Kill,
    Pass(i64),
    StepBack(i64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let which = 0..10_usize;
    prop_oneof![
        1 => which.clone().prop_map(Event::Bump),
        1 => which.clone().prop_map(Event::Suspend),
        1 => which.clone().prop_map(Event::Resume),
        1 => which.prop_map(Event::Delete),
        1 => Just(Event::CutGrant),
        1 => Just(Event::Kill),
        8 => (0..20_i64).prop_map(Event::Pass),
        4 => (0..40_i64).prop_map(Event::StepBack),
    ]
}

impl World {
    /// A world in which everything is as it was at birth.
    fn at_birth(births: &[Birth], ends: &[Option<i64>]) -> Self {
        let ends = ends.iter().map(|end| end.map(UnixTime)).chain(std::iter::repeat(None));
        let standing =
            |(birth, ends_at): (&Birth, _)| (birth.ancestor, Standing { epoch: birth.epoch, enabled: true, ends_at });
        let ancestors = births.iter().zip(ends).map(standing).collect();
        Self { now: 50, killed: false, grant: grant(5, births), ancestors }
    }

    fn meet(&mut self, event: Event, births: &[Birth]) {
        let ancestor = |which: usize| (!births.is_empty()).then(|| births[which % births.len()].ancestor);
        let (which, enabled) = match event {
            Event::Bump(which) => (which, None),
            Event::Suspend(which) => (which, Some(false)),
            Event::Resume(which) => (which, Some(true)),
            Event::Delete(which) => {
                ancestor(which).and_then(|who| self.ancestors.remove(&who));
                return;
            }
            Event::CutGrant => return self.grant.epoch.0 += 1,
            Event::Kill => return self.killed = true,
            Event::Pass(seconds) => return self.now += seconds,
            Event::StepBack(seconds) => return self.now -= seconds,
        };
        if let Some(standing) = ancestor(which).and_then(|who| self.ancestors.get_mut(&who)) {
            standing.epoch.0 += 1;
            standing.enabled = enabled.unwrap_or(standing.enabled);
        }
    }
}

/// Whether a clock that steps back takes it away.
fn is_of_time(reason: Reason) -> bool {
    matches!(reason, Reason::Expired | Reason::SessionEnded(_))
}

/// Distinct ancestors, each with some epoch.
fn any_births() -> impl Strategy<Value = Vec<Birth>> {
    btree_map(any_ancestor(), 1..400_u32, 0..8).prop_map(|births| {
        births.into_iter().map(|(ancestor, epoch)| Birth { ancestor, epoch: Epoch(epoch) }).collect()
    })
}

proptest! {
    #[test]
    fn what_is_dead_stays_dead_whatever_happens_then(
        births in any_births(), ends in vec(option::weighted(0.2, 40..150_i64), 8),
        expires_at in 40..150_i64, events in vec(any_event(), 0..30),
    ) {
        let reference = reference(1, 5, expires_at);
        let mut world = World::at_birth(&births, &ends);
        let mut died = world.judge(&reference).err();
        for event in events.into_iter().filter(|event| !matches!(event, Event::StepBack(_))) {
            world.meet(event, &births);
            let verdict = world.judge(&reference);
            prop_assert!(died.is_none() || verdict.is_err(), "{event:?} revived what was dead: {died:?}");
            died = died.or(verdict.err());
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_back_what_time_took_and_nothing_else(
        births in any_births(), ends in vec(option::weighted(0.2, 40..150_i64), 8),
        expires_at in 40..150_i64, events in vec(any_event(), 0..30),
    ) {
        let reference = reference(1, 5, expires_at);
        let mut world = World::at_birth(&births, &ends);
        let mut cut = None;
        for event in events {
            world.meet(event, &births);
            let timeless = World { now: i64::MIN, ..world.clone() }.judge(&reference).err();
            prop_assert!(cut.is_none() || timeless.is_some(), "{event:?} revived what was cut: {cut:?}");
            cut = cut.or(timeless);
            match world.judge(&reference) {
                Ok(()) => prop_assert_eq!(cut, None),
                Err(reason) => prop_assert!(cut.is_some() || is_of_time(reason), "{reason}, though nothing was cut"),
            }
        }
    }

    #[test]
    fn each_event_that_cuts_kills_at_once(births in any_births(), event in any_event()) {
        let reference = reference(1, 5, 1000);
        let mut world = World::at_birth(&births, &[]);
        prop_assert_eq!(world.judge(&reference), Ok(()));
        world.meet(event, &births);
        let cuts = match event {
            Event::Pass(_) | Event::StepBack(_) => false,
            Event::Kill | Event::CutGrant => true,
            _ => !births.is_empty(),
        };
        prop_assert_eq!(world.judge(&reference).is_err(), cuts);
    }
}

// ---- effective scope ----

const NAMES: [&str; 5] = ["admin", "list", "purge", "read", "write"];

fn parsed(names: &[&str]) -> Scopes {
    Scopes::parse(&names.join(" ")).unwrap()
}

fn any_scopes() -> impl Strategy<Value = Scopes> {
    subsequence(NAMES.to_vec(), 0..=NAMES.len()).prop_map(|names| parsed(&names))
}

/// Rather wide, so that entitlements are whole often enough.
fn wide_scopes() -> impl Strategy<Value = Scopes> {
    prop_oneof![2 => Just(parsed(&NAMES)), 1 => any_scopes()]
}

fn any_openid() -> impl Strategy<Value = Scopes> {
    select(vec!["", "openid", "openid profile", "openid email profile"]).prop_map(|text| Scopes::parse(text).unwrap())
}

fn names(scopes: &Scopes) -> BTreeSet<String> {
    scopes.iter().map(str::to_owned).collect()
}

/// What is allowed at a resource today.
#[derive(Debug, Clone)]
struct Rights {
    offered: Scopes,
    asked: Scopes,
    permitted: Option<Scopes>,
}

impl Rights {
    fn allow(&self) -> Allowed<'_> {
        Allowed { offered: &self.offered, asked: &self.asked, permitted: self.permitted.as_ref() }
    }

    /// What is left there of these scopes; `None` if the resource is as good as gone.
    fn leave(&self, given: &Scopes) -> Option<BTreeSet<String>> {
        let permitted = self.permitted.as_ref().map(names);
        if permitted.as_ref().is_some_and(BTreeSet::is_empty) {
            return None;
        }
        let (offered, asked) = (names(&self.offered), names(&self.asked));
        let stays = |name: &String| {
            offered.contains(name)
                && asked.contains(name)
                && permitted.as_ref().is_none_or(|permitted| permitted.contains(name))
        };
        Some(names(given).into_iter().filter(stays).collect())
    }

    fn with(&self, more: &Self) -> Self {
        let permitted = match (&self.permitted, &more.permitted) {
            (Some(one), Some(other)) => Some(one.union(other)),
            _ => None,
        };
        Self { offered: self.offered.union(&more.offered), asked: self.asked.union(&more.asked), permitted }
    }
}

fn any_rights() -> impl Strategy<Value = Rights> {
    (wide_scopes(), wide_scopes(), option::weighted(0.3, wide_scopes()))
        .prop_map(|(offered, asked, permitted)| Rights { offered, asked, permitted })
}

type Today = BTreeMap<ResourceId, Rights>;

/// An entitlement that is something, and what is allowed today at most of its resources.
fn any_entitlement() -> impl Strategy<Value = (Entitlement, Today)> {
    let resource = (1..9_u8).prop_map(|id| ResourceId::from_bytes([id; 16]));
    let resources = btree_map(resource, (any_scopes(), option::weighted(0.9, any_rights())), 0..5);
    (any_openid(), resources)
        .prop_filter("something", |(openid, resources)| !openid.is_empty() || !resources.is_empty())
        .prop_map(|(openid, resources)| {
            let given = resources.iter().map(|(id, (scopes, _))| (*id, scopes.clone())).collect();
            let today = resources.into_iter().filter_map(|(id, (_, rights))| Some((id, rights?))).collect();
            (Entitlement::new(openid, given), today)
        })
}

fn narrowed(given: &Entitlement, today: &Today) -> Option<Entitlement> {
    let allowed = |id| Ok::<_, Infallible>(today.get(&id).map(Rights::allow));
    effective(given, allowed).unwrap().map(Cow::into_owned)
}

proptest! {
    #[test]
    fn effective_is_what_was_given_and_is_allowed_today_and_nothing_else((given, today) in any_entitlement()) {
        let left: Vec<_> = given.resources.iter()
            .filter_map(|(id, scopes)| Some((*id, today.get(id)?.leave(scopes)?)))
            .collect();
        let result = narrowed(&given, &today);
        prop_assert_eq!(result.is_none(), left.is_empty() && given.openid.is_empty());
        if let Some(result) = result {
            let found: Vec<_> = result.resources.iter().map(|(id, scopes)| (*id, names(scopes))).collect();
            prop_assert_eq!(found, left);
            prop_assert_eq!(&result.openid, &given.openid);
            prop_assert!(result.is_within(&given));
            prop_assert_eq!(narrowed(&result, &today), Some(result));
        }
    }

    #[test]
    fn the_order_of_resources_means_nothing((given, today) in any_entitlement(), turn in 0..5_usize, reverse: bool) {
        let mut resources = given.resources.clone();
        if !resources.is_empty() {
            let turn = turn % resources.len();
            resources.rotate_left(turn);
        }
        if reverse {
            resources.reverse();
        }
        let turned = Entitlement::new(given.openid.clone(), resources);
        prop_assert_eq!(narrowed(&turned, &today), narrowed(&given, &today));
    }

    #[test]
    fn who_is_allowed_more_has_no_less_and_giving_everything_back_gives_it_whole(
        (given, today) in any_entitlement(), more in any_rights(),
    ) {
        let wider: Today = today.iter().map(|(id, rights)| (*id, rights.with(&more))).collect();
        if let Some(less) = narrowed(&given, &today) {
            prop_assert!(less.is_within(&narrowed(&given, &wider).unwrap()));
        }
        let all = parsed(&NAMES);
        let everything = Allowed { offered: &all, asked: &all, permitted: Some(&all) };
        let whole = effective(&given, |_| Ok::<_, Infallible>(Some(everything))).unwrap();
        prop_assert!(matches!(whole, Some(Cow::Borrowed(whole)) if *whole == given));
    }

    #[test]
    fn where_a_resource_is_not_known_there_is_no_answer((given, today) in any_entitlement(), which in 0..5_usize) {
        let asked = Cell::new(0);
        let answer = effective(&given, |id| {
            asked.set(asked.get() + 1);
            if asked.get() > which { Err(id) } else { Ok(today.get(&id).map(Rights::allow)) }
        });
        prop_assert_eq!(answer.is_err(), which < given.resources.len());
    }
}

// ---- what a JWT carries ----

const ISSUER: &str = "https://issuer.example";
const URIS: [&str; 4] = ["urn:a", "urn:b", "urn:c", ISSUER];

/// A resource: what it has, and what the token may do there, which can be less.
fn any_open() -> impl Strategy<Value = BTreeMap<&'static str, (Scopes, Scopes)>> {
    let rights =
        (wide_scopes(), wide_scopes()).prop_map(|(offered, allowed)| (offered.clone(), allowed.intersect(&offered)));
    btree_map(select(URIS.to_vec()), rights, 0..4)
}

fn open<'a>(today: &'a BTreeMap<&'static str, (Scopes, Scopes)>) -> Vec<OpenToday<'a>> {
    today.iter().map(|(uri, (offered, allowed))| OpenToday { uri, offered, allowed }).collect()
}

proptest! {
    #[test]
    fn a_jwt_carries_no_more_exactly_if_no_audience_takes_a_scope_that_is_not_allowed_there(
        (scope, openid_said) in (any_scopes(), any_openid()), openid in any_openid(),
        audience in subsequence(URIS.to_vec(), 0..=URIS.len()), today in any_open(),
    ) {
        let scope = scope.union(&openid_said);
        let said = names(&scope);
        let takes_too_much = |uri: &&str| match today.get(*uri) {
            Some((offered, allowed)) => said.iter().any(|name| offered.contains(name) && !allowed.contains(name)),
            None => *uri != ISSUER,
        };
        let known = |name: &String| openid.contains(name) || today.values().any(|(_, allowed)| allowed.contains(name));
        let exact = !audience.iter().any(takes_too_much) && said.iter().all(known);
        prop_assert_eq!(carries_no_more((&scope, &audience), (ISSUER, &openid), &open(&today)), exact);
    }

    #[test]
    fn a_jwt_for_one_resource_carries_no_more_when_it_was_just_minted(
        openid in any_openid(), given in any_scopes(), rights in any_rights(),
    ) {
        let id = ResourceId::from_bytes([1; 16]);
        let entitlement = Entitlement::new(openid, vec![(id, given)]);
        let today = Today::from([(id, rights.clone())]);
        if let Some(minted) = narrowed(&entitlement, &today) {
            let allowed = minted.resources.first().map(|(_, allowed)| allowed);
            let open: Vec<_> =
                allowed.map(|allowed| OpenToday { uri: "urn:a", offered: &rights.offered, allowed }).into_iter().collect();
            let audience = [if open.is_empty() { ISSUER } else { "urn:a" }];
            prop_assert!(carries_no_more((&minted.scope(), &audience), (ISSUER, &minted.openid), &open));
        }
    }
}
