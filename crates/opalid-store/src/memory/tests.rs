//! Memory by itself: order, refills, and what is judged once.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use opalid_core::alive::{Reason, Standing};
use opalid_core::grant::{Birth, Descent, Grant, Guard};
use opalid_core::ids::{ConsentId, SessionId};
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::token::Jti;

use super::*;

const USER: UserId = UserId::from_bytes([1; 16]);
const OTHER: UserId = UserId::from_bytes([2; 16]);

fn memory() -> Memory {
    let memory = Memory::new(Capacity { grants: 100, entities: 100 }, || Duration::ZERO);
    memory.start(Incarnation([1; 16]), Position(10));
    memory
}

fn fill(memory: &Memory, at: Begun, user: UserId, epoch: u32) {
    memory.fill(at, Touched::User(user), |filling| {
        filling.standing(Ancestor::User(user), Standing::enabled(Epoch(epoch)));
    });
}

fn epoch(memory: &Memory, user: UserId) -> Option<u32> {
    memory.trust().unwrap().standing(Ancestor::User(user)).map(|standing| standing.epoch.0)
}

#[test]
fn a_read_begun_before_a_change_never_refills_after_it() {
    let memory = memory();
    let before = memory.begin();
    memory.apply(&[(Position(11), Touched::User(USER))]);
    fill(&memory, before, USER, 1);
    fill(&memory, before, OTHER, 1);
    assert_eq!((epoch(&memory, USER), epoch(&memory, OTHER)), (None, Some(1)));
    fill(&memory, memory.begin(), USER, 2);
    assert_eq!(epoch(&memory, USER), Some(2));
}

#[test]
fn a_read_older_than_the_ring_fills_nothing() {
    let memory = memory();
    let before = memory.begin();
    for n in 0..=RING as u64 {
        memory.apply(&[(Position(11 + n), Touched::User(OTHER))]);
    }
    fill(&memory, before, USER, 1);
    assert_eq!(epoch(&memory, USER), None);
}

#[test]
fn changes_are_applied_in_feed_order_and_never_past_others() {
    let memory = memory();
    fill(&memory, memory.begin(), USER, 1);
    memory.apply(&[(Position(12), Touched::User(USER))]);
    assert_eq!((memory.position(), epoch(&memory, USER)), (Position(10), Some(1)));
    memory.apply(&[(Position(11), Touched::User(OTHER))]);
    assert_eq!((memory.position(), epoch(&memory, USER)), (Position(12), None));
}

#[test]
fn what_the_feed_brought_already_is_not_waited_for_when_its_batch_comes() {
    let memory = memory();
    memory.apply(&[(Position(13), Touched::User(OTHER)), (Position(14), Touched::User(OTHER))]);
    memory.apply(&[(Position(11), Touched::User(OTHER))]);
    memory.apply(&[(Position(12), Touched::User(OTHER)), (Position(13), Touched::User(OTHER))]);
    assert_eq!(memory.position(), Position(14));
    fill(&memory, memory.begin(), USER, 1);
    memory.apply(&[(Position(14), Touched::User(USER)), (Position(15), Touched::User(OTHER))]);
    assert_eq!((memory.position(), epoch(&memory, USER)), (Position(15), Some(1)));
}

#[test]
fn a_read_begun_before_the_database_went_back_fills_nothing_afterwards() {
    let memory = memory();
    let before = memory.begin();
    memory.restart(Incarnation([2; 16]), Position(5));
    fill(&memory, before, USER, 1);
    assert_eq!(epoch(&memory, USER), None);
    fill(&memory, memory.begin(), USER, 2);
    assert_eq!(epoch(&memory, USER), Some(2));
}

#[test]
fn what_as_many_grants_hang_from_as_there_is_room_for_has_room_too() {
    let memory = Memory::new(Capacity { grants: 10_000, entities: 100 }, || Duration::ZERO);
    memory.start(Incarnation([1; 16]), Position(10));
    let sessions = |n: u32| SessionId::from_bytes(u128::from(n).to_be_bytes());
    for n in 0..15_000 {
        memory.fill(memory.begin(), Touched::Session(sessions(n)), |filling| {
            filling.standing(Ancestor::Session(sessions(n)), Standing::enabled(Epoch(1)));
        });
    }
    let trusted = memory.trust().unwrap();
    assert!((0..15_000).all(|n| trusted.standing(Ancestor::Session(sessions(n))).is_some()));
}

#[test]
fn equal_entitlements_are_one() {
    let memory = memory();
    let list = |scope: &str| Arc::from([Arc::new(Entitlement::new(Scopes::parse(scope).unwrap(), Vec::new()))]);
    let (mut one, mut equal, mut other): (Entitlements, Entitlements, Entitlements) =
        (list("openid"), list("openid"), list("openid email"));
    for entitlements in [&mut one, &mut equal, &mut other] {
        memory.share(entitlements);
    }
    assert!(Arc::ptr_eq(&one, &equal));
    assert!(!Arc::ptr_eq(&one, &other));
}

#[test]
fn memory_that_may_be_behind_answers_nothing() {
    let memory = memory();
    fill(&memory, memory.begin(), USER, 1);
    memory.distrust();
    assert!(memory.trust().is_none());
    memory.start(Incarnation([1; 16]), Position(20));
    assert_eq!(epoch(&memory, USER), None);
}

const SESSION: Ancestor = Ancestor::Session(SessionId::from_bytes([5; 16]));
const ANCESTORS: [Ancestor; 7] = [
    Ancestor::Workspace(WorkspaceId::from_bytes([3; 16])),
    Ancestor::Client(ClientId::from_bytes([4; 16])),
    Ancestor::User(USER),
    Ancestor::Credentials(USER),
    SESSION,
    Ancestor::Consent(ConsentId::from_bytes([6; 16])),
    Ancestor::Grant(GrantId::from_bytes([7; 16])),
];

fn standing_grant(memory: &Memory) -> RememberedGrant {
    standing_grant_of(memory, &ANCESTORS)
}

/// A grant that hangs from all of these, each of which memory knows to stand; the session ends at 1,000.
fn standing_grant_of(memory: &Memory, ancestors: &[Ancestor]) -> RememberedGrant {
    for &ancestor in ancestors {
        let ends_at = (ancestor == SESSION).then_some(UnixTime(1_000));
        memory.fill(memory.begin(), ancestor.into(), |filling| {
            filling.standing(ancestor, Standing { ends_at, ..Standing::enabled(Epoch(1)) });
        });
    }
    let births = ancestors.iter().map(|&ancestor| Birth { ancestor, epoch: Epoch(1) });
    let grant = Grant {
        id: GrantId::from_bytes([9; 16]),
        guard: Guard::new([0; 8]),
        epoch: Epoch(1),
        standing: false,
        descent: Descent::new(ClientId::from_bytes([4; 16]), Some(USER), births),
        entitlements: Default::default(),
    };
    RememberedGrant::new(grant, HashSet::new())
}

/// Whether it stands at 500; `None` if memory does not know.
fn stands(memory: &Memory, grant: &RememberedGrant) -> Option<Result<(), Reason>> {
    memory.trust().unwrap().stands(grant, UnixTime(500)).ok().map(|judged| judged.map(|_| ()))
}

#[test]
fn a_grant_that_stood_is_not_asked_again_until_something_it_hangs_from_changes() {
    for ancestor in ANCESTORS {
        let memory = memory();
        let grant = standing_grant(&memory);
        assert_eq!(stands(&memory, &grant), Some(Ok(())));
        // Nobody looks any more.
        memory.entries.standings.clear();
        let others = [
            Touched::User(OTHER),
            Touched::Grant(grant.grant.id),
            Touched::Token { grant: GrantId::from_bytes([7; 16]), jti: Jti([1; 12]) },
        ];
        for (n, other) in (11..).zip(others) {
            memory.apply(&[(Position(n), other)]);
            assert_eq!(stands(&memory, &grant), Some(Ok(())), "{other:?}");
        }
        memory.apply(&[(Position(14), ancestor.into())]);
        assert_eq!(stands(&memory, &grant), None, "{ancestor:?}");
    }
}

#[test]
fn a_grant_that_stood_is_asked_again_when_its_session_may_have_ended() {
    let memory = memory();
    let grant = standing_grant(&memory);
    let at = |now| memory.trust().unwrap().stands(&grant, UnixTime(now)).ok().map(|judged| judged.map(|_| ()));
    assert_eq!((at(500), at(999)), (Some(Ok(())), Some(Ok(()))));
    assert_eq!(at(1_000), Some(Err(Reason::SessionEnded(SESSION))));
    assert_eq!(at(999), Some(Ok(())), "a clock that steps back");
}

#[test]
fn a_grant_that_fell_is_never_taken_for_one_that_stood() {
    let memory = memory();
    let grant = standing_grant(&memory);
    fill(&memory, memory.begin(), USER, 2);
    for _ in 0..2 {
        assert_eq!(stands(&memory, &grant), Some(Err(Reason::AncestorCut(Ancestor::User(USER)))));
    }
}

#[test]
fn what_stood_before_memory_began_anew_is_asked_again() {
    let memory = memory();
    let grant = standing_grant(&memory);
    assert_eq!(stands(&memory, &grant), Some(Ok(())));
    memory.start(Incarnation([1; 16]), Position(20));
    assert_eq!(stands(&memory, &grant), None);
}

#[test]
fn once_a_change_is_applied_no_check_finds_standing_what_was_judged_meanwhile() {
    let memory = Memory::new(Capacity { grants: 1_000, entities: 1_000 }, || Duration::ZERO);
    memory.start(Incarnation([1; 16]), Position(10));
    // The user is looked at first, and long before the last.
    let sessions = (0..500_u16)
        .map(|n| Ancestor::Session(SessionId::from_bytes([n.to_be_bytes(); 8].concat().try_into().unwrap())));
    let ancestors: Vec<Ancestor> = [Ancestor::User(USER)].into_iter().chain(sessions).collect();
    let (round, over) = (Mutex::new(Arc::new(standing_grant_of(&memory, &ancestors))), AtomicBool::new(false));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let grant = Arc::clone(&locked(&round));
                    stands(&memory, &grant);
                }
            });
        }
        let wrong = (11..2_011).find(|n| {
            let grant = Arc::new(standing_grant_of(&memory, &ancestors));
            *locked(&round) = Arc::clone(&grant);
            for _ in 0..n % 100 * 20 {
                std::hint::spin_loop();
            }
            memory.apply(&[(Position(*n), Touched::User(USER))]);
            // Whoever was judging has done so by then.
            (0..200).any(|_| stands(&memory, &grant) == Some(Ok(())))
        });
        // Before anything fails: the others wait for it.
        over.store(true, Ordering::SeqCst);
        assert_eq!(wrong, None);
    });
}
