//! The mirror by itself, and under many threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::lease::{Grant, Incarnation};

const SECOND: Duration = Duration::from_secs(1);
const START: Moment = Moment(1_000_000_000);

fn at(n: u64) -> Position {
    Position { incarnation: Incarnation(1), n }
}

fn token(number: u64) -> TokenDigest {
    TokenDigest(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// A mirror at position 0 with a lease of `length` from [`START`].
fn leased(room: Room, length: Duration) -> Mirror<u64> {
    let mirror = Mirror::new(HolderId(1), room);
    let grant = Some(Grant { asked_at: START, valid_for: length });
    assert_eq!(mirror.hear(START, News { from: None, to: at(0), changes: vec![], grant }), Hearing::Applied);
    mirror
}

fn fill(mirror: &Mirror<u64>, of: u64, tags: &[Tag], position: u64) -> bool {
    let expires_at = START.after(3600 * SECOND);
    mirror.fill(&Answer { of: token(of), facts: Arc::new(of), expires_at, tags, at: at(position) })
}

fn change(mirror: &Mirror<u64>, n: u64, tag: Tag) {
    let news = News { from: Some(at(n - 1)), to: at(n), changes: vec![(n, tag)], grant: None };
    assert_eq!(mirror.hear(START, news), Hearing::Applied);
}

fn active(number: u64) -> Found<u64> {
    Found::Active(Arc::new(number))
}

#[test]
fn an_answer_is_found_under_a_lease_until_it_expires_or_what_it_hangs_from_changes() {
    let mirror = leased(Room::default(), 10 * SECOND);
    let expires_at = START.after(5 * SECOND);
    let answer = Answer { of: token(1), facts: Arc::new(1), expires_at, tags: &[Tag(7), Tag(8)], at: at(0) };
    assert!(mirror.fill(&answer));
    assert!(fill(&mirror, 2, &[Tag(8)], 0));
    assert_eq!(mirror.find(START, token(1)), active(1));
    assert_eq!(mirror.find(START.after(5 * SECOND), token(1)), Found::Nothing, "it expired");
    assert_eq!(mirror.find(START.after(5 * SECOND), token(2)), active(2));
    assert_eq!(mirror.find(START.after(10 * SECOND), token(2)), Found::Nothing, "no lease");
    change(&mirror, 1, Tag(7));
    assert_eq!((mirror.find(START, token(1)), mirror.find(START, token(2))), (Found::Nothing, active(2)));
    assert!(!fill(&mirror, 1, &[Tag(7)], 0) && fill(&mirror, 1, &[Tag(7)], 1));
    change(&mirror, 2, Tag(8));
    assert_eq!(mirror.len(), 1);
}

#[test]
fn who_is_dead_for_good_needs_no_lease_and_the_oldest_are_forgotten_first() {
    let mirror: Mirror<u64> = Mirror::new(HolderId(1), Room { dead: 2, ..Room::default() });
    for number in 1..=3 {
        mirror.bury(token(number));
    }
    let found = [1, 2, 3].map(|number| mirror.find(START, token(number)));
    assert_eq!(found, [Found::Nothing, Found::Dead, Found::Dead]);
}

#[test]
fn who_left_believes_nothing_and_goes_on_under_another_name() {
    let mirror = leased(Room::default(), 10 * SECOND);
    fill(&mirror, 1, &[], 0);
    assert_eq!(mirror.leave(START, HolderId(2)), HolderId(1));
    assert_eq!(mirror.find(START, token(1)), Found::Nothing);
    let ask = mirror.ask(START);
    assert_eq!((ask.holder, ask.at, ask.acked), (HolderId(2), Some(at(0)), Some(at(0))));
}

#[test]
fn there_are_never_more_than_there_is_room_for_and_what_is_asked_for_stays() {
    let mirror = leased(Room { entries: 640, ..Room::default() }, 10 * SECOND);
    for number in 0..100_000 {
        fill(&mirror, number, &[Tag(number % 3), Tag(number)], 0);
        mirror.find(START, token(0));
    }
    assert!(mirror.len() <= 640, "{}", mirror.len());
    assert_eq!(mirror.find(START, token(0)), active(0));
    assert_eq!(mirror.find(START, token(99_999)), active(99_999));
    for (n, tag) in [1, 2, 0].into_iter().enumerate() {
        change(&mirror, n as u64 + 1, Tag(tag));
    }
    assert!(mirror.is_empty(), "the index knows all that is left, wherever it was moved to");
}

proptest! {
    /// Against the plainest mirror there is: a list of what was filled and not forgotten since.
    #[test]
    fn it_remembers_what_was_filled_and_forgets_what_hangs_from_a_change(
        steps in proptest::collection::vec((any::<bool>(), 0_u64..40, proptest::collection::vec(0_u64..6, 0..4)), 1..200),
    ) {
        let mirror = leased(Room::default(), 10 * SECOND);
        let (mut plain, mut n) = (std::collections::BTreeMap::new(), 0);
        for (fills, number, tags) in steps {
            if fills {
                let tags: Vec<Tag> = tags.into_iter().map(Tag).collect();
                prop_assert!(fill(&mirror, number, &tags, n));
                plain.insert(number, tags);
            } else {
                n += 1;
                change(&mirror, n, Tag(number % 6));
                plain.retain(|_, tags| !tags.contains(&Tag(number % 6)));
            }
            prop_assert_eq!(mirror.len(), plain.len());
            for number in 0..40 {
                let found = mirror.find(START, token(number)) == active(number);
                prop_assert_eq!(found, plain.contains_key(&number));
            }
        }
    }
}

/// One thread fills from what it evaluated, one invalidates, two check: whatever was revoked before a check began is not active.
#[test]
fn ten_thousand_rounds_of_fill_against_invalidate() {
    let mirror = leased(Room { ring: 64, ..Room::default() }, 3600 * SECOND);
    // The epoch of the one thing everything hangs from, as it stands in the store, and as it stood when the last revocation returned.
    let (epoch, settled, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let checks = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let revoked = settled.load(Ordering::SeqCst);
                    if let Found::Active(said) = mirror.find(START, token(1)) {
                        checks.fetch_add(1, Ordering::Relaxed);
                        assert!(*said >= revoked, "epoch {said} is active after {revoked} was settled");
                    }
                }
            });
        }
        threads.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let position = epoch.load(Ordering::SeqCst);
                let evaluated = Arc::new(epoch.load(Ordering::SeqCst));
                // The answer is under way, as long as it takes.
                std::thread::yield_now();
                let expires_at = START.after(SECOND);
                mirror.fill(&Answer { of: token(1), facts: evaluated, expires_at, tags: &[Tag(7)], at: at(position) });
            }
        });
        for n in 1..=10_000 {
            epoch.store(n, Ordering::SeqCst);
            change(&mirror, n, Tag(7));
            settled.store(n, Ordering::SeqCst);
            // Until what was evaluated since is remembered, every tenth round: else the rounds are over before anybody checks.
            while n % 10 == 0 && mirror.find(START, token(1)) == Found::Nothing {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(checks.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_digest_is_of_the_whole_token_and_of_one_holder() {
    let (key, other) = (DigestKey::new([1; 16]), DigestKey::new([2; 16]));
    assert_eq!(key.of("oat_abc"), key.of("oat_abc"));
    assert_ne!(key.of("oat_abc"), key.of("oat_abd"));
    assert_ne!(key.of("oat_abc"), other.of("oat_abc"));
    assert_eq!(format!("{key:?}"), "DigestKey");
}
