//! Whoever remembers answers: a node towards the store, a verifier towards a node.
//!
//! Takes: news, and whether an answer may be kept. Gives: asks, and leases under which the entries may be looked at.
//! Holds: a lease says that everything committed before it was asked for is applied here.
//! Not here: the entries. Who keeps them does as [`Entries`] says, and shows them to nobody without a [`Trusted`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{HolderId, Moment, Position};

/// A wish for news and a new lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// Who asks.
    pub holder: HolderId,
    /// Where it stands: what comes after is new to it. Nothing before its first news.
    pub at: Option<Position>,
    /// Up to where it, and whoever holds leases of it, has applied everything.
    pub acked: Option<Position>,
    /// When it asked, by its own clock. The granter gives it back unread.
    pub asked_at: Moment,
}

/// A lease as it is granted: counted from before it was asked for, by the clock of whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// [`Ask::asked_at`], given back.
    pub asked_at: Moment,
    /// How long it holds from then.
    pub valid_for: Duration,
}

/// What a holder is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct News<C> {
    /// Where a holder must stand at least for `changes` to be everything it lacks. None: start anew at `to`.
    pub from: Option<Position>,
    /// Where it stands afterwards.
    pub to: Position,
    /// What changed after `from`, in order, each with its number.
    pub changes: Vec<(u64, C)>,
    /// A lease, which counts once the changes are applied.
    pub grant: Option<Grant>,
}

impl<C> News<C> {
    /// The same news, each change said in any number of other words: the tags by which a verifier knows it.
    pub fn in_words<D, I: IntoIterator<Item = D>>(self, words: impl Fn(C) -> I) -> News<D> {
        let said = |(n, change): (u64, C)| words(change).into_iter().map(move |word| (n, word));
        let changes = self.changes.into_iter().flat_map(said).collect();
        News { from: self.from, to: self.to, changes, grant: self.grant }
    }
}

/// What became of news.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// All of it is applied. The lease, if there is one, is to be [believed](Belief::believe) once the entries are gone everywhere.
    Applied(Option<Lease>),
    /// Nothing is remembered any more; the holder starts anew. The lease as with `Applied`.
    Emptied(Option<Lease>),
    /// Something between is missing, or it is older than what is known: nothing was done, ask again.
    Gap,
}

/// An earned lease. Only [`Holder::hear`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Lease {
    ends_at: Moment,
}

/// Until when the entries may be believed. Shared by whoever hears news, which is one, and whoever checks, which are many.
#[derive(Debug, Default)]
pub struct Belief(AtomicU64);

/// Proof that a lease was looked at, in this check, before the entry is. Kept no longer than one check.
#[derive(Debug)]
pub struct Trusted<'b>(#[expect(dead_code, reason = "it ties the proof to the belief")] &'b Belief);

impl Belief {
    /// The only way to the entries: now, read from the clock within the check, is before the lease ends.
    #[must_use]
    pub fn trust(&self, now: Moment) -> Option<Trusted<'_>> {
        (now < self.ends_at()).then_some(Trusted(self))
    }

    /// Believes the entries while a lease lasts, or longer if another does.
    pub fn believe(&self, lease: &Lease) {
        self.0.fetch_max(lease.ends_at.0, Ordering::Release);
    }

    /// Believes nothing until the next lease.
    pub fn withdraw(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// When the longest lease ends.
    #[must_use]
    pub fn ends_at(&self) -> Moment {
        Moment(self.0.load(Ordering::Acquire))
    }
}

/// What keeps the entries.
pub trait Entries<C> {
    /// Drops whatever hangs from what changed.
    fn forget(&mut self, change: &C);
    /// [Withdraws](Belief::withdraw) the belief, and only then drops everything.
    fn forget_all(&mut self);
}

/// Whoever remembers, towards whoever tells it. `C` is what a change is called by, the same as the tags of what is remembered.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Holder<C> {
    id: HolderId,
    at: Option<Position>,
    /// The most recent changes up to `at`; all of those after `ring_from`.
    ring: VecDeque<(u64, C)>,
    ring_from: u64,
    ring_size: usize,
    /// Leases asked for before are given up.
    left_at: Option<Moment>,
}

impl<C: Clone + PartialEq> Holder<C> {
    /// A holder that remembers nothing yet. `id` was drawn for this life; the ring reaches back over `ring_size` changes.
    #[must_use]
    pub const fn new(id: HolderId, ring_size: usize) -> Self {
        Self { id, at: None, ring: VecDeque::new(), ring_from: 0, ring_size, left_at: None }
    }

    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> HolderId {
        self.id
    }

    /// Everything up to here is applied.
    #[must_use]
    pub const fn at(&self) -> Option<Position> {
        self.at
    }

    /// Goes on under another name, where the row of the old one is gone. What it knows stays.
    pub const fn rename(&mut self, id: HolderId) {
        self.id = id;
    }

    /// Asks for news and a lease. `now` is read before anything is sent. `acked` is what it may vouch for beyond itself: a verifier
    /// only itself, a node also the least of what its verifiers have (see [`super::Granter::acked`]).
    #[must_use]
    pub const fn ask(&self, now: Moment, acked: Option<Position>) -> Ask {
        Ask { holder: self.id, at: self.at, acked, asked_at: now }
    }

    /// Applies news: to the ring, then to the entries, then to where it stands.
    pub fn hear(&mut self, now: Moment, news: News<C>, entries: &mut impl Entries<C>) -> Heard {
        let Some(from) = news.from else {
            // Late news of a former stand: what changed since would be forgotten, and could be filled in again.
            if self.at.is_some_and(|at| at.reaches(news.to) && at != news.to) {
                return Heard::Gap;
            }
            entries.forget_all();
            self.ring.clear();
            self.ring_from = news.to.n;
            self.at = Some(news.to);
            return Heard::Emptied(self.earned(now, news.grant));
        };
        let Some(at) = self.at.filter(|at| at.reaches(from) && at.incarnation == news.to.incarnation) else {
            return Heard::Gap;
        };
        for (n, change) in news.changes.into_iter().filter(|(n, _)| *n > at.n) {
            self.ring.push_back((n, change.clone()));
            entries.forget(&change);
        }
        while self.ring.len() > self.ring_size {
            self.ring_from = self.ring.pop_front().map_or(self.ring_from, |(n, _)| n);
        }
        self.at = Some(Position { n: at.n.max(news.to.n), ..at });
        Heard::Applied(self.earned(now, news.grant))
    }

    fn earned(&self, now: Moment, grant: Option<Grant>) -> Option<Lease> {
        let grant = grant.filter(|grant| grant.asked_at <= now && self.left_at < Some(grant.asked_at))?;
        let ends_at = grant.asked_at.after(grant.valid_for);
        (now < ends_at).then_some(Lease { ends_at })
    }

    /// Gives up every lease asked for until now: the belief is withdrawn, and only then the granter may be told that the holder of
    /// the former name left. It goes on as `next`, which was drawn for this: what is said of the former one may come late.
    pub fn leave(&mut self, now: Moment, belief: &Belief, next: HolderId) -> HolderId {
        self.left_at = Some(now);
        belief.withdraw();
        std::mem::replace(&mut self.id, next)
    }

    /// Keeps an answer, if nothing that it hangs from changed since it was evaluated. `at` is where whoever answered stood *before*
    /// it evaluated; `hangs_from` says of a change whether it is one of what the answer hangs from. Asking the ring and inserting
    /// are one step: nothing is heard between. Says whether it was inserted.
    pub fn fill(&self, at: Position, hangs_from: impl Fn(&C) -> bool, insert: impl FnOnce()) -> bool {
        let reaches = self.at.is_some_and(|own| own.incarnation == at.incarnation) && self.ring_from <= at.n;
        let fresh = reaches && !self.after(at.n).any(|(_, change)| hangs_from(change));
        if fresh {
            insert();
        }
        fresh
    }

    /// The changes after the `n`th, the latest first: few, mostly.
    fn after(&self, n: u64) -> impl Iterator<Item = &(u64, C)> {
        self.ring.iter().rev().take_while(move |(of, _)| *of > n)
    }

    /// What whoever stands at `at` lacks, or nothing if the ring does not reach back there.
    pub(super) fn since(&self, at: Option<Position>) -> Option<(Position, Vec<(u64, C)>)> {
        let (own, at) = (self.at?, at?);
        let known = own.incarnation == at.incarnation && self.ring_from <= at.n;
        known.then(|| {
            let mut changes: Vec<_> = self.after(at.n).cloned().collect();
            changes.reverse();
            (at, changes)
        })
    }
}

#[cfg(test)]
impl Clone for Belief {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.ends_at().0))
    }
}

#[cfg(test)]
impl std::hash::Hash for Belief {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.ends_at().hash(state);
    }
}
