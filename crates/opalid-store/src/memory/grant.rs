//! A grant as memory keeps it.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock};

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
    /// Most grants have none: then it is a null pointer.
    killed: OnceLock<Box<Mutex<HashSet<Jti>>>>,
}

impl RememberedGrant {
    /// A grant just read, with its killed tokens.
    pub fn new(grant: Grant, standing: bool, killed: HashSet<Jti>) -> Self {
        let known = OnceLock::new();
        if !killed.is_empty() {
            known.get_or_init(|| Box::new(Mutex::new(killed)));
        }
        Self { grant, standing, killed: known }
    }

    /// Whether this very token was revoked.
    pub fn has_killed(&self, jti: &Jti) -> bool {
        self.killed.get().is_some_and(|killed| locked(killed).contains(jti))
    }

    pub(super) fn kill(&self, jti: Jti) {
        locked(self.killed.get_or_init(Box::default)).insert(jti);
    }
}
