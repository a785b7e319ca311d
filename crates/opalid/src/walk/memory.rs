//! Where walks are kept while they last: in memory, a bounded number, each for an hour.

use std::sync::Arc;

use opalid_core::time::{Seconds, UnixTime};
use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use super::Walk;

/// How many people can be on a walk.
const MOST: usize = 200;
/// How long a walk may take.
const KEPT: Seconds = Seconds(3600);

/// The walks that are under way, by the cookie of each. A start of the server forgets them.
pub struct Walks(Cache<Box<str>, Kept>);

#[derive(Clone)]
struct Kept {
    begun_at: UnixTime,
    walk: Arc<Mutex<Walk>>,
}

impl Default for Walks {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Walks {
    /// Keeps a new walk under a new cookie.
    pub fn begin(&self, cookie: &str, walk: Walk, now: UnixTime) {
        self.0.insert(cookie.into(), Kept { begun_at: now, walk: Arc::new(Mutex::new(walk)) });
    }

    /// The walk of this cookie, if it is not over.
    pub fn find(&self, cookie: &str, now: UnixTime) -> Option<Arc<Mutex<Walk>>> {
        let kept = self.0.get(cookie)?;
        if now >= kept.begun_at.plus(KEPT) {
            self.0.remove(cookie);
            return None;
        }
        Some(kept.walk)
    }

    /// Forgets the walk of this cookie.
    pub fn forget(&self, cookie: &str) {
        self.0.remove(cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_found_by_its_cookie_for_an_hour() {
        let walks = Walks::default();
        walks.begin("a", Walk::default(), UnixTime(1_000));
        assert!(walks.find("a", UnixTime(1_000 + 3_599)).is_some());
        assert!(walks.find("b", UnixTime(1_000)).is_none());
        assert!(walks.find("a", UnixTime(1_000 + 3_600)).is_none());
        assert!(walks.find("a", UnixTime(1_000)).is_none(), "what is over does not come back");
    }

    #[test]
    fn a_forgotten_walk_is_gone() {
        let walks = Walks::default();
        walks.begin("a", Walk::default(), UnixTime(0));
        walks.forget("a");
        assert!(walks.find("a", UnixTime(0)).is_none());
    }

    #[test]
    fn however_many_begin_memory_is_bounded() {
        let walks = Walks::default();
        for number in 0..10 * MOST {
            walks.begin(&number.to_string(), Walk::default(), UnixTime(0));
        }
        assert!(walks.0.len() <= MOST);
    }
}
