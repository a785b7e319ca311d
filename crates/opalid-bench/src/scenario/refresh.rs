//! Refresh with rotation (RFC 6749 §6): every connection walks over chains of its own, far apart in the store.

use super::{Beside, Scenario, Stage};
use crate::acquire::TokenResponse;
use crate::floor::{CHAINS, Work};
use crate::http::answer::Answer;
use crate::load::Traffic;
use crate::seed::Which;
use anyhow::{Context, Result, ensure};
use std::cell::RefMut;

/// The scenario.
pub struct Refresh {
    /// Whether an ID token is signed for each.
    pub with_id_token: bool,
}

impl Scenario for Refresh {
    /// The chain moves on.
    fn beside(&self) -> Beside {
        Beside::Floors(Work { inserts: 0, signs: self.with_id_token })
    }

    fn traffic<'s>(&self, stage: &'s Stage) -> Result<Box<dyn Traffic + 's>> {
        let which = if self.with_id_token { Which::WithOpenId } else { Which::WithoutOpenId };
        let chains = stage.chains(which, CHAINS)?;
        ensure!(chains.len() >= stage.connections, "fewer chains than connections");
        let (turns, waiting) = (vec![0; stage.connections], vec![false; stage.connections]);
        Ok(Box::new(Walk { stage, chains, turns, waiting, request: Vec::new() }))
    }
}

struct Walk<'s> {
    stage: &'s Stage,
    /// The newest refresh token of each chain; they outlive the round.
    chains: RefMut<'s, Vec<String>>,
    /// How often each connection has asked.
    turns: Vec<usize>,
    /// Whether its last request is still under way.
    waiting: Vec<bool>,
    request: Vec<u8>,
}

impl Walk<'_> {
    /// Which chain a connection is at.
    fn place(&self, connection: usize) -> Option<usize> {
        let connections = self.turns.len();
        let turn = self.turns.get(connection)?.checked_rem(self.chains.len() / connections)?;
        Some(connection + turn * connections)
    }

    fn set_waiting(&mut self, connection: usize, waits: bool) {
        if let Some(waiting) = self.waiting.get_mut(connection) {
            *waiting = waits;
        }
    }
}

impl Drop for Walk<'_> {
    /// Where a chain stands whose last answer nobody read is not known: it is not used again.
    fn drop(&mut self) {
        let waiting = (0..self.waiting.len()).filter(|connection| self.waiting.get(*connection) == Some(&true));
        let mut lost: Vec<_> = waiting.filter_map(|connection| self.place(connection)).collect();
        lost.sort_unstable();
        for place in lost.into_iter().rev() {
            self.chains.swap_remove(place);
        }
    }
}

impl Traffic for Walk<'_> {
    fn next(&mut self, connection: usize) -> Option<&[u8]> {
        *self.turns.get_mut(connection)? += 1;
        self.set_waiting(connection, true);
        let token = self.chains.get(self.place(connection)?)?;
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        self.request = self.stage.opalid.post_as_app("/token", &fields);
        Some(&self.request)
    }

    fn judge(&mut self, connection: usize, answer: &Answer<'_>) -> Result<()> {
        let next = TokenResponse::read(answer)?.refresh_token.context("no refresh token")?.into_owned();
        self.set_waiting(connection, false);
        let chain = self.place(connection).and_then(|place| self.chains.get_mut(place));
        let chain = chain.context("a connection without a chain")?;
        ensure!(*chain != next, "the refresh token was not rotated: nothing durable happened");
        *chain = next;
        Ok(())
    }
}
