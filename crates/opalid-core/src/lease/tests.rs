//! Rules of the machines by themselves. That together they keep the promise is for the model to show.

use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Kept(Vec<u8>);

impl Entries<u8> for Kept {
    fn forget(&mut self, change: &u8) {
        self.0.retain(|entry| entry != change);
    }
    fn forget_all(&mut self) {
        self.0.clear();
    }
}

fn at(n: u64) -> Position {
    Position { incarnation: Incarnation(1), n }
}

fn seconds(seconds: u64) -> Moment {
    Moment::default().after(SECOND * u32::try_from(seconds).unwrap())
}

fn granted(asked_at: u64, valid_for: u64) -> Option<Grant> {
    Some(Grant { asked_at: seconds(asked_at), valid_for: SECOND * u32::try_from(valid_for).unwrap() })
}

/// A holder with one lease of five seconds from second 10, at position 3.
fn holder() -> (Holder<u8>, Belief, Kept) {
    let (mut holder, belief, mut kept) = (Holder::new(HolderId(7), 2), Belief::default(), Kept(vec![1, 2]));
    let news = News { from: None, to: at(3), changes: vec![], grant: granted(10, 5) };
    let Heard::Emptied(Some(lease)) = holder.hear(seconds(11), news, &mut kept) else { panic!("the first news empty") };
    belief.believe(&lease);
    (holder, belief, kept)
}

#[test]
fn the_first_news_empty_and_a_lease_counts_from_when_it_was_asked_for() {
    let (holder, belief, kept) = holder();
    assert!(kept.0.is_empty());
    assert_eq!(holder.at(), Some(at(3)));
    assert!(belief.trust(seconds(14)).is_some());
    assert!(belief.trust(seconds(15)).is_none(), "a lease is over at its end");
}

#[test]
fn news_drop_what_changed_and_a_gap_changes_nothing() {
    let (mut holder, _, mut kept) = holder();
    kept.0 = vec![1, 2];
    let gap = News { from: Some(at(4)), to: at(5), changes: vec![(5, 1)], grant: granted(12, 5) };
    assert_eq!(holder.hear(seconds(12), gap, &mut kept), Heard::Gap);
    assert_eq!((holder.at(), kept.0.len()), (Some(at(3)), 2));
    let news = News { from: Some(at(2)), to: at(5), changes: vec![(3, 2), (4, 1), (5, 9)], grant: None };
    assert_eq!(holder.hear(seconds(12), news, &mut kept), Heard::Applied(None));
    assert_eq!((holder.at(), kept.0), (Some(at(5)), vec![2]), "what it has already heard is not dropped again");
}

#[test]
fn late_news_of_a_former_stand_do_not_take_a_holder_back() {
    let (mut holder, _, mut kept) = holder();
    let news = News { from: None, to: at(2), changes: vec![], grant: granted(10, 50) };
    assert_eq!(holder.hear(seconds(12), news, &mut kept), Heard::Gap);
    assert_eq!(holder.at(), Some(at(3)));
}

#[test]
fn a_lease_that_is_over_or_from_the_future_or_was_given_up_is_none() {
    let (mut holder, belief, mut kept) = holder();
    let mut hear = |holder: &mut Holder<u8>, grant| {
        let news = News { from: Some(at(3)), to: at(3), changes: vec![], grant };
        holder.hear(seconds(20), news, &mut kept)
    };
    assert_eq!(hear(&mut holder, granted(10, 10)), Heard::Applied(None));
    assert_eq!(hear(&mut holder, granted(21, 10)), Heard::Applied(None));
    assert_eq!(holder.leave(seconds(19), &belief, HolderId(8)), HolderId(7));
    assert!(belief.trust(seconds(12)).is_none());
    assert_eq!(hear(&mut holder, granted(19, 10)), Heard::Applied(None));
    assert!(matches!(hear(&mut holder, granted(20, 10)), Heard::Applied(Some(_))));
    assert_eq!(holder.ask(seconds(20), None).holder, HolderId(8));
}

#[test]
fn an_answer_is_kept_only_while_the_ring_reaches_back_and_holds_none_of_its_tags() {
    let (mut holder, _, mut kept) = holder();
    let changes = vec![(4, 1), (5, 2), (6, 3)];
    holder.hear(seconds(12), News { from: Some(at(3)), to: at(6), changes, grant: None }, &mut kept);
    let fills = |position, tags: &[u8]| {
        let mut inserted = false;
        assert_eq!(holder.fill(position, |tag| tags.contains(tag), || inserted = true), inserted);
        inserted
    };
    assert!(fills(at(6), &[1, 2, 3]), "evaluated after all of it");
    assert!(fills(at(4), &[1]), "changed before it was evaluated");
    assert!(!fills(at(4), &[1, 2]), "changed since");
    assert!(!fills(at(3), &[9]), "the ring of two does not reach back over three");
    assert!(fills(at(8), &[1]), "evaluated by whoever is further");
    assert!(!fills(Position { incarnation: Incarnation(2), n: 6 }, &[9]), "of another incarnation");
}

#[test]
fn a_granter_gives_no_lease_that_ends_after_its_own_and_none_without_one() {
    let (own, belief, _) = holder();
    let mut granter = Granter::new(Margin::CLOCKS, 3 * SECOND);
    let ask = Holder::<u8>::new(HolderId(9), 2).ask(seconds(1000), None);
    let mut grant = |now| granter.grant(now, &own, belief.ends_at(), &ask).unwrap().grant;
    assert_eq!(grant(seconds(11)), granted(1000, 3));
    assert_eq!(grant(seconds(14)), granted(1000, 1));
    assert_eq!(grant(seconds(15)), None);
}

#[test]
fn a_node_acknowledges_for_its_verifiers_until_their_leases_are_over_by_any_clock() {
    let (own, belief, _) = holder();
    let mut granter = Granter::new(Margin::permille(100), 2 * SECOND);
    let ask = |acked| Ask { holder: HolderId(9), at: acked, acked, asked_at: seconds(0) };
    granter.grant(seconds(11), &own, belief.ends_at(), &ask(None));
    assert_eq!(granter.acked(seconds(11), own.at()), None);
    granter.grant(seconds(12), &own, belief.ends_at(), &ask(Some(at(2))));
    granter.grant(seconds(12), &own, belief.ends_at(), &ask(Some(at(1))));
    assert_eq!(granter.acked(seconds(12), own.at()), Some(at(2)), "an older word that comes later takes nothing back");
    assert_eq!(granter.acked(seconds(14), own.at()), Some(at(2)), "over by its own clock, not by a slower one");
    assert_eq!(granter.acked(Moment(14_200_000_000), own.at()), Some(at(3)));
}

#[test]
fn a_push_holds_what_was_not_told_and_what_is_lost_is_a_gap() {
    let (mut own, belief, mut kept) = holder();
    let mut granter = Granter::new(Margin::CLOCKS, SECOND);
    let mut verifier = Holder::new(HolderId(9), 2);
    let first = granter.grant(seconds(11), &own, belief.ends_at(), &verifier.ask(seconds(0), None)).unwrap();
    verifier.hear(seconds(0), first, &mut Kept(vec![]));
    assert!(granter.push(&own, HolderId(9)).is_none(), "nothing new");
    let mut next = |n, own: &mut Holder<u8>| {
        own.hear(seconds(12), News { from: Some(at(n - 1)), to: at(n), changes: vec![(n, 1)], grant: None }, &mut kept);
        granter.push(own, HolderId(9)).unwrap()
    };
    let _lost = next(4, &mut own);
    let pushed = next(5, &mut own);
    assert_eq!(pushed.changes, vec![(5, 1)]);
    assert_eq!(verifier.hear(seconds(0), pushed, &mut Kept(vec![])), Heard::Gap);
    assert!(granter.push(&own, HolderId(8)).is_none(), "nobody");
}

fn row(id: u128, acked: Option<Position>, renewals: u64) -> HolderRow {
    HolderRow { id: HolderId(id), length: 10 * SECOND, acked, renewals }
}

#[test]
fn a_barrier_waits_for_every_row_until_it_acknowledges_or_is_gone_and_never_longer_than_the_longest_lease() {
    let rows = [row(1, None, 0), row(2, Some(at(3)), 0), row(3, Some(at(4)), 0)];
    let change = Committed { at: at(4), own: HolderId(1), after_memory: seconds(100), longest: 5 * SECOND };
    let begin = || Barrier::begin(change, Margin::permille(100), &rows);
    let end = seconds(111);
    let poll =
        |barrier: &mut Barrier, rows: &[HolderRow]| barrier.poll(seconds(101), Some(at(4)), Incarnation(1), rows);
    let mut barrier = begin();
    assert_eq!(poll(&mut barrier, &rows), Settling::WaitUntil(end));
    assert_eq!(poll(&mut barrier, &[row(2, Some(at(4)), 1)]), Settling::Settled);
    assert_eq!(poll(&mut begin(), &[]), Settling::Settled, "gone is as good");
    assert_eq!(
        begin().poll(seconds(101), Some(at(3)), Incarnation(1), &[]),
        Settling::WaitUntil(end),
        "a verifier of its own"
    );
    assert_eq!(
        begin().poll(seconds(101), Some(at(4)), Incarnation(2), &[]),
        Settling::WaitUntil(end),
        "rows of another life"
    );
    assert_eq!(begin().poll(end, None, Incarnation(1), &rows), Settling::Settled);
}

#[test]
fn a_row_may_be_removed_when_its_count_stood_still_for_its_length_and_the_margin() {
    let mut sight = Sight::new(HolderId(1), Margin::permille(100));
    assert_eq!(sight.observe(seconds(0), &[row(1, None, 0), row(2, None, 5)]), []);
    assert_eq!(sight.observe(seconds(10), &[row(2, None, 5)]), []);
    assert_eq!(sight.observe(seconds(11), &[row(2, None, 5)]), [Unrenewed { id: HolderId(2), renewals: 5 }]);
    assert_eq!(sight.observe(seconds(12), &[row(2, None, 6)]), [], "it renewed");
    assert_eq!(sight.observe(seconds(13), &[]), []);
    assert_eq!(sight.observe(seconds(30), &[row(2, None, 6)]), [], "one that is back is seen for the first time");
}
