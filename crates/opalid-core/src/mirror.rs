//! What a holder remembers under a lease: find, fill, forget, expire.
//!
//! Takes: digests of tokens, what was said of them with tags of what it hangs from, news. Gives: what is remembered, while it may be
//! believed.
//! Holds: the lease is looked at before the entry; asking the ring and inserting are one step; what changed is gone from every
//! shard before the lease that came with the change is believed; no more entries than there is room for.
//! Not here: what a token may do, which is judged at each check; where news come from; the clock.

mod digest;
mod finals;
mod shard;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::lease::{Ask, Belief, Entries, Heard, Holder, HolderId, Moment, News, Position};
pub use digest::{DigestKey, TagKey};
use finals::Finals;
use shard::Shards;

/// What a token is remembered under: a keyed digest of all of it. The key is this holder's alone, so nobody outside can make two
/// tokens that share one, or one that falls where another lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub u128);

/// The name of something that an answer hangs from: a keyed digest, the same at every node. Two that share one are forgotten together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// An answer to be remembered.
#[derive(Debug)]
pub struct Answer<'a, F> {
    /// Of which token.
    pub of: TokenDigest,
    /// What was said of it: facts, never whether a request may pass.
    pub facts: Arc<F>,
    /// When the token expires, by this holder's clock: counted from before it asked.
    pub expires_at: Moment,
    /// What it hangs from.
    pub tags: &'a [Tag],
    /// Where whoever answered stood before it evaluated.
    pub at: Position,
}

/// What is remembered of a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<F> {
    /// It was active, and nothing it hangs from has changed.
    Active(Arc<F>),
    /// It is dead for good.
    Dead,
    /// Nothing that may be believed.
    Nothing,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Answers about tokens that are active.
    pub entries: usize,
    /// Tokens that are dead for good.
    pub dead: usize,
    /// How many changes the ring reaches back.
    pub ring: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { entries: 100_000, dead: 10_000, ring: 4_096 }
    }
}

/// What is remembered. Shared by all that check and by the one that hears.
#[derive(Debug)]
pub struct Mirror<F> {
    belief: Belief,
    shards: Shards<F>,
    finals: Finals,
    holder: Mutex<Holder<Tag>>,
}

impl<F> Mirror<F> {
    /// An empty mirror. `id` was drawn for this life.
    #[must_use]
    pub fn new(id: HolderId, room: Room) -> Self {
        Self {
            belief: Belief::default(),
            shards: Shards::new(room.entries),
            finals: Finals::new(room.dead),
            holder: Mutex::new(Holder::new(id, room.ring)),
        }
    }

    /// What is remembered of a token. `now` is read from the clock within the check.
    pub fn find(&self, now: Moment, token: TokenDigest) -> Found<F> {
        // The lease first, then the entry: an entry of a time without a lease must not be believed because one came back meanwhile.
        if let Some(_trusted) = self.belief.trust(now)
            && let Some(facts) = self.shards.find(now, token)
        {
            return Found::Active(facts);
        }
        if self.finals.has(token) { Found::Dead } else { Found::Nothing }
    }

    /// Remembers an answer, unless something it hangs from changed since, or nobody can say. Says whether it is remembered.
    pub fn fill(&self, answer: &Answer<'_, F>) -> bool {
        locked(&self.holder).fill(answer.at, |tag| answer.tags.contains(tag), || self.shards.insert(answer))
    }

    /// Remembers that a token is dead for good.
    pub fn bury(&self, token: TokenDigest) {
        self.finals.insert(token);
    }

    /// Applies news: to the ring, in every shard, to where it stands, and believes the lease last.
    pub fn hear(&self, now: Moment, news: News<Tag>) -> Hearing {
        let mut holder = locked(&self.holder);
        match holder.hear(now, news, &mut Everywhere(self)) {
            Heard::Applied(lease) | Heard::Emptied(lease) => {
                if let Some(lease) = lease {
                    self.belief.believe(&lease);
                }
                Hearing::Applied
            }
            Heard::Gap => Hearing::Gap,
        }
    }

    /// Asks for news and a lease: take it before anything is sent. Everything heard until now is acknowledged.
    pub fn ask(&self, now: Moment) -> Ask {
        let holder = locked(&self.holder);
        holder.ask(now, holder.at())
    }

    /// Gives up every lease, and goes on as `next`. Gives the name under which it left, for the granter to be told.
    pub fn leave(&self, now: Moment, next: HolderId) -> HolderId {
        locked(&self.holder).leave(now, &self.belief, next)
    }

    /// Until when it may be believed.
    pub fn believed_until(&self) -> Moment {
        self.belief.ends_at()
    }

    /// How many answers are remembered, expired ones that nobody asked for since among them.
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether news were understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// All of it is applied.
    Applied,
    /// Something between is missing: ask again.
    Gap,
}

/// All shards, to forget in.
struct Everywhere<'m, F>(&'m Mirror<F>);

impl<F> Entries<Tag> for Everywhere<'_, F> {
    fn forget(&mut self, change: &Tag) {
        self.0.shards.forget(*change);
    }

    fn forget_all(&mut self) {
        self.0.belief.withdraw();
        self.0.shards.forget_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
