//! Counters of failures in bounded memory: a table of small buckets.
//!
//! Keys are MACs under a key nobody knows, so they spread evenly and cannot be aimed. A full bucket gives up
//! the counter that has failed least: a flood of new names does not wash away a name under attack.

use std::sync::{Mutex, PoisonError};

use opalid_core::time::{Seconds, UnixTime};

use super::throttle::RetryAfter;

/// A MAC of what is counted.
pub type Key = [u8; 16];

/// The longest wait.
const LONGEST: u32 = 15 * 60;
/// As many failures past the free ones as make the longest wait; more are not counted, so that what is
/// forgotten later counts.
const COUNTED_PAST_FREE: u32 = 10;
const BUCKETS: usize = 2048;
const PER_BUCKET: usize = 16;

/// How failures of one kind of thing are counted.
#[derive(Clone, Copy)]
pub struct Rule {
    /// From this many failures on there is a wait.
    pub free: u32,
    /// One failure is forgotten each time this long has passed.
    pub forget_one_in: Seconds,
    /// How many attempts may be under way; one, once there is a wait.
    pub at_once: u32,
}

struct Counter {
    key: Key,
    failures: u32,
    /// Attempts under way.
    open: u32,
    /// Up to when failures have been forgotten.
    forgotten_to: UnixTime,
    blocked_until: UnixTime,
}

impl Counter {
    fn new(key: Key, now: UnixTime) -> Self {
        Self { key, failures: 0, open: 0, forgotten_to: now, blocked_until: now }
    }

    fn forget(&mut self, now: UnixTime, rule: &Rule) {
        let every = rule.forget_one_in.0.max(1);
        let forgotten = now.since(self.forgotten_to).0 / every;
        self.failures = self.failures.saturating_sub(forgotten);
        // The clock may have stepped back: then forgetting starts from there.
        self.forgotten_to = if self.failures == 0 || now < self.forgotten_to {
            now
        } else {
            self.forgotten_to.plus(Seconds(forgotten.saturating_mul(every)))
        };
    }

    fn wait(&self, now: UnixTime) -> Option<RetryAfter> {
        let left = self.blocked_until.since(now);
        // More than the longest wait is a clock that stepped back.
        (left.0 > 0 && left.0 <= LONGEST).then_some(RetryAfter(left))
    }
}

/// The counters of one kind.
pub struct Counters {
    rule: Rule,
    buckets: Mutex<Box<[Vec<Counter>]>>,
}

impl Counters {
    /// No failures yet.
    pub fn new(rule: Rule) -> Self {
        Self { rule, buckets: Mutex::new((0..BUCKETS).map(|_| Vec::new()).collect()) }
    }

    /// An attempt begins, unless it has to wait.
    pub fn begin(&self, now: UnixTime, key: Key) -> Result<(), RetryAfter> {
        let rule = self.rule;
        self.with_bucket(&key, |bucket| {
            let counter = find_or_insert(bucket, key, now);
            counter.forget(now, &rule);
            if let Some(wait) = counter.wait(now) {
                return Err(wait);
            }
            let at_once = if counter.failures < rule.free { rule.at_once } else { 1 };
            if counter.open >= at_once {
                return Err(RetryAfter(Seconds(1)));
            }
            counter.open += 1;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// An attempt ends, whatever came of it.
    pub fn end(&self, key: Key) {
        self.with_bucket(&key, |bucket| {
            if let Some(counter) = bucket.iter_mut().find(|counter| counter.key == key) {
                counter.open = counter.open.saturating_sub(1);
            }
            bucket.retain(|counter| counter.open > 0 || counter.failures > 0);
        });
    }

    /// An attempt has failed.
    pub fn failed(&self, now: UnixTime, key: Key) {
        let rule = self.rule;
        self.with_bucket(&key, |bucket| {
            let counter = find_or_insert(bucket, key, now);
            counter.forget(now, &rule);
            counter.failures = (counter.failures + 1).min(rule.free.saturating_add(COUNTED_PAST_FREE));
            if let Some(past) = counter.failures.checked_sub(rule.free) {
                let wait = 1_u32.checked_shl(past).unwrap_or(LONGEST).min(LONGEST);
                counter.blocked_until = now.plus(Seconds(wait));
            }
        });
    }

    /// Nothing has failed.
    pub fn clear(&self, key: Key) {
        self.with_bucket(&key, |bucket| {
            if let Some(counter) = bucket.iter_mut().find(|counter| counter.key == key) {
                counter.failures = 0;
                counter.blocked_until = counter.forgotten_to;
            }
        });
    }

    fn with_bucket<T>(&self, key: &Key, with: impl FnOnce(&mut Vec<Counter>) -> T) -> Option<T> {
        let [a, b, ..] = *key;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.get_mut(usize::from(u16::from_be_bytes([a, b])) % BUCKETS).map(with)
    }
}

fn find_or_insert(bucket: &mut Vec<Counter>, key: Key, now: UnixTime) -> &mut Counter {
    let at = match bucket.iter().position(|counter| counter.key == key) {
        Some(at) => at,
        None => {
            if bucket.len() >= PER_BUCKET {
                give_up_weakest(bucket);
            }
            bucket.push(Counter::new(key, now));
            bucket.len() - 1
        }
    };
    #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
    &mut bucket[at]
}

fn give_up_weakest(bucket: &mut Vec<Counter>) {
    let strength = |counter: &Counter| (counter.failures, counter.open, counter.forgotten_to);
    let weakest = bucket.iter().enumerate().min_by_key(|(_, counter)| strength(counter)).map(|(at, _)| at);
    if let Some(at) = weakest {
        bucket.swap_remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { free: 5, forget_one_in: Seconds(3600), at_once: 16 };
    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn key(n: u32) -> Key {
        let mut key = [0; 16];
        key[12..].copy_from_slice(&n.to_be_bytes());
        key
    }

    fn fail(counters: &Counters, n: u32) {
        if counters.begin(NOW, key(n)).is_ok() {
            counters.failed(NOW, key(n));
            counters.end(key(n));
        }
    }

    #[test]
    fn a_flood_of_new_names_fills_no_more_than_the_table_and_keeps_what_is_under_attack() {
        let counters = Counters::new(RULE);
        (0..6).for_each(|_| fail(&counters, 0));
        // All in one bucket: the worst case.
        (1..10_000).for_each(|n| fail(&counters, n));
        let held: usize = counters.buckets.lock().unwrap().iter().map(Vec::len).sum();
        assert_eq!(held, PER_BUCKET);
        assert!(counters.begin(NOW, key(0)).is_err());
    }

    #[test]
    fn what_never_failed_takes_no_memory_once_it_is_over() {
        let counters = Counters::new(RULE);
        for n in 0..100 {
            counters.begin(NOW, key(n)).unwrap();
            counters.end(key(n));
        }
        assert!(counters.buckets.lock().unwrap().iter().all(Vec::is_empty));
    }
}
