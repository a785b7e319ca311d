//! A grant as memory keeps it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use opalid_core::grant::Grant;
use opalid_core::token::Jti;

use super::locked;

/// A grant as it is remembered: with the tokens of it that were revoked one by one.
#[derive(Debug)]
pub struct RememberedGrant {
    /// The grant.
    pub grant: Grant,
    /// Whether it is the standing grant of its client, to which new entitlements go.
    pub standing: bool,
    any_killed: AtomicBool,
    killed: Mutex<HashSet<Jti>>,
}

impl RememberedGrant {
    /// A grant just read, with its killed tokens.
    pub fn new(grant: Grant, standing: bool, killed: HashSet<Jti>) -> Self {
        Self { grant, standing, any_killed: AtomicBool::new(!killed.is_empty()), killed: Mutex::new(killed) }
    }

    /// Whether this very token was revoked.
    pub fn has_killed(&self, jti: &Jti) -> bool {
        self.any_killed.load(Ordering::Acquire) && locked(&self.killed).contains(jti)
    }

    pub(super) fn kill(&self, jti: Jti) {
        locked(&self.killed).insert(jti);
        self.any_killed.store(true, Ordering::Release);
    }
}
