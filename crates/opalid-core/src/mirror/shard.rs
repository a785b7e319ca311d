//! Answers by token, in shards, each with an index of what they hang from.
//!
//! Holds: an entry is in the index under each of its tags, and under no other; a full shard gives up what was not asked for lately.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Answer, Tag, TokenDigest};
use crate::lease::Moment;

/// Enough that checks of different tokens seldom meet, few enough that a change visits them all in no time.
const SHARDS: usize = 64;

/// Digests and tags are keyed already.
type Digested<K, V> = HashMap<K, V, BuildHasherDefault<Already>>;

#[derive(Debug)]
pub(super) struct Shards<F>(Box<[RwLock<Shard<F>>]>);

#[derive(Debug)]
struct Shard<F> {
    /// All that a check looks at, in one place of memory.
    entries: Digested<TokenDigest, Entry<F>>,
    slots: Vec<Slot>,
    /// Where the entries are that hang from something.
    hanging: Digested<Tag, Vec<usize>>,
    hand: usize,
    room: usize,
}

#[derive(Debug)]
struct Entry<F> {
    facts: Arc<F>,
    expires_at: Moment,
    place: u32,
    asked_for: AtomicBool,
}

#[derive(Debug)]
struct Slot {
    of: TokenDigest,
    /// Each tag, and where this slot stands in its list.
    tags: Box<[(Tag, usize)]>,
}

impl<F> Shards<F> {
    pub fn new(room: usize) -> Self {
        let room = room.div_ceil(SHARDS).max(1);
        let room = room.min(u32::MAX as usize);
        Self((0..SHARDS).map(|_| RwLock::new(Shard::new(room))).collect())
    }

    fn of(&self, token: TokenDigest) -> Option<&RwLock<Shard<F>>> {
        // The upper bits choose the shard, the lower ones the place in it.
        self.0.get(usize::try_from(token.0 >> 64).unwrap_or(usize::MAX) % SHARDS)
    }

    pub fn find(&self, now: Moment, token: TokenDigest) -> Option<Arc<F>> {
        let shard = self.of(token)?.read().unwrap_or_else(PoisonError::into_inner);
        let entry = shard.entries.get(&token)?;
        if now >= entry.expires_at {
            return None;
        }
        if !entry.asked_for.load(Ordering::Relaxed) {
            entry.asked_for.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&entry.facts))
    }

    pub fn insert(&self, answer: &Answer<'_, F>) {
        if let Some(shard) = self.of(answer.of) {
            shard.write().unwrap_or_else(PoisonError::into_inner).insert(answer);
        }
    }

    pub fn forget(&self, tag: Tag) {
        for shard in &self.0 {
            // Most have nothing that hangs from it, and are only read.
            if shard.read().unwrap_or_else(PoisonError::into_inner).hanging.contains_key(&tag) {
                shard.write().unwrap_or_else(PoisonError::into_inner).forget(tag);
            }
        }
    }

    pub fn forget_all(&self) {
        for shard in &self.0 {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let room = shard.room;
            *shard = Shard::new(room);
        }
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).slots.len()).sum()
    }
}

impl<F> Shard<F> {
    fn new(room: usize) -> Self {
        Self { entries: HashMap::default(), slots: Vec::new(), hanging: HashMap::default(), hand: 0, room }
    }

    fn insert(&mut self, answer: &Answer<'_, F>) {
        if let Some(known) = self.entries.get(&answer.of) {
            self.remove(known.place as usize);
        }
        if self.slots.len() >= self.room {
            self.make_room();
        }
        let place = self.slots.len();
        let mut tags = answer.tags.to_vec();
        tags.sort_unstable();
        tags.dedup();
        let listed = tags.into_iter().map(|tag| {
            let list = self.hanging.entry(tag).or_default();
            list.push(place);
            (tag, list.len() - 1)
        });
        let tags = listed.collect();
        self.slots.push(Slot { of: answer.of, tags });
        let (facts, asked_for) = (Arc::clone(&answer.facts), AtomicBool::new(false));
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.entries.insert(answer.of, Entry { facts, expires_at: answer.expires_at, place, asked_for });
    }

    /// Gives up the next that nobody asked for since the hand was there last.
    fn make_room(&mut self) {
        for _ in 0..=self.slots.len() {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let entry = self.slots.get(self.hand).and_then(|slot| self.entries.get(&slot.of));
            let asked_for = entry.is_some_and(|entry| entry.asked_for.swap(false, Ordering::Relaxed));
            if !asked_for {
                break;
            }
        }
        self.remove(self.hand);
    }

    fn forget(&mut self, tag: Tag) {
        while let Some(place) = self.hanging.get(&tag).and_then(|list| list.last()).copied() {
            self.remove(place);
        }
    }

    /// Takes a slot out; the last one comes into its place.
    fn remove(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        self.entries.remove(&slot.of);
        for (tag, at) in std::mem::take(&mut slot.tags) {
            self.unlist(tag, at);
        }
        self.slots.swap_remove(place);
        let Some(moved) = self.slots.get(place) else { return };
        if let Some(entry) = self.entries.get_mut(&moved.of) {
            entry.place = u32::try_from(place).unwrap_or(u32::MAX);
        }
        for (tag, at) in &moved.tags {
            if let Some(listed) = self.hanging.get_mut(tag).and_then(|list| list.get_mut(*at)) {
                *listed = place;
            }
        }
    }

    /// Takes what stands at `at` out of a tag's list; the last one comes into its place, and its slot is told.
    fn unlist(&mut self, tag: Tag, at: usize) {
        let Some(list) = self.hanging.get_mut(&tag) else { return };
        if at < list.len() {
            list.swap_remove(at);
        }
        let stood = list.len();
        let moved = list.get(at).and_then(|place| self.slots.get_mut(*place));
        if let Some((_, stands)) = moved.and_then(|slot| slot.tags.iter_mut().find(|own| **own == (tag, stood))) {
            *stands = at;
        }
        if stood == 0 {
            self.hanging.remove(&tag);
        }
    }
}

/// A hash of what is one already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
    fn write_u128(&mut self, number: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
        let lower = number as u64;
        self.0 = lower;
    }
}
