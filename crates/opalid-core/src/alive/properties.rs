//! Aliveness, against its rule written a second time and on random histories.
//!
//! Holds: the oracles below use nothing of the rule but its types.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

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
        if standing.epoch.0 > birth.epoch.0 {
            reasons.push(Reason::AncestorCut(birth.ancestor));
        }
        if standing.epoch.0 < birth.epoch.0 {
            reasons.push(Reason::Ahead);
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
        (killed, now, left) in (prop::bool::weighted(0.1), 0..100_i64, prop_oneof![1 => -1..2_i64, 4 => 1..90_i64]),
    ) {
        let world = World { now, killed, grant: grant(grant_epoch, &births), ancestors };
        let expires_at = now + left;
        let mut reasons = fallen(&births, &world.ancestors, now);
        reasons.extend((expires_at <= now).then_some(Reason::Expired));
        reasons.extend((guard != 1).then_some(Reason::GuardDiffers));
        reasons.extend(killed.then_some(Reason::Killed));
        reasons.extend((token_epoch < grant_epoch).then_some(Reason::GrantCut));
        reasons.extend((token_epoch > grant_epoch).then_some(Reason::Ahead));
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
