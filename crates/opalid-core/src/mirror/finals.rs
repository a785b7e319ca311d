//! Tokens that are dead for good: no lease is needed to say so. Bounded; the oldest goes first.

use std::collections::{HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use super::TokenDigest;

#[derive(Debug)]
pub(super) struct Finals {
    known: RwLock<Known>,
    room: usize,
}

#[derive(Debug, Default)]
struct Known {
    tokens: HashSet<TokenDigest>,
    oldest: VecDeque<TokenDigest>,
}

impl Finals {
    pub fn new(room: usize) -> Self {
        Self { known: RwLock::default(), room }
    }

    pub fn has(&self, token: TokenDigest) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).tokens.contains(&token)
    }

    pub fn insert(&self, token: TokenDigest) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if self.room > 0 && known.tokens.insert(token) {
            known.oldest.push_back(token);
            if known.oldest.len() > self.room
                && let Some(oldest) = known.oldest.pop_front()
            {
                known.tokens.remove(&oldest);
            }
        }
    }
}
