//! Faults end: everybody runs, nothing is lost. Then every call returns, and a live token is accepted from memory again.

use super::Shape;
use super::act::Action;
use super::parts::{Stage, Token};
use super::world::{Lawful, Violation, World, longest};

impl World {
    /// Runs on without faults, and says whether what must come again does.
    pub(super) fn heal(mut self, shape: &Shape) -> Lawful {
        let mut shape = shape.clone();
        shape.in_flight = usize::MAX;
        self.left = super::Budget { sweeps: u8::MAX, ..super::Budget::default() };
        let rounds = 4 * u64::try_from(shape.margin.beyond(longest(&shape)).as_nanos()).unwrap_or(u64::MAX) + 4;
        for _ in 0..rounds {
            self.everybody_runs(&shape)?;
            self.tick();
        }
        if self.calls.iter().any(|call| self.can_end(call)) {
            return Err(Violation("faults ended, and a revoking call has not returned".into()));
        }
        self.everybody_runs(&shape)?;
        let token = self.live_token();
        for at in 0..self.verifiers.len() {
            self.is_remembered(&shape, at, token)?;
        }
        Ok(())
    }

    pub(super) fn everybody_runs(&mut self, shape: &Shape) -> Lawful {
        for at in 0..self.verifiers.len() {
            self.verifiers[at].suspended = false;
        }
        for _ in 0..2 {
            self.runs_down(shape)?;
            for at in 0..self.nodes.len() {
                if self.nodes[at].joined && self.nodes[at].renewal.is_none() {
                    self.renew(shape, at);
                }
                self.observe(shape, at);
            }
            self.runs_down(shape)?;
            for at in 0..self.verifiers.len() {
                self.verifier_asks(shape, at);
            }
            self.runs_down(shape)?;
        }
        Ok(())
    }

    /// Until nothing is left to do but by choice.
    pub(super) fn runs_down(&mut self, shape: &Shape) -> Lawful {
        while let Some(action) = self.due(shape) {
            self.act(shape, action)?;
        }
        Ok(())
    }

    fn due(&self, shape: &Shape) -> Option<Action> {
        let mut list = Vec::new();
        for at in 0..self.nodes.len() {
            self.possible_for_node(at, &mut list);
        }
        for at in 0..self.verifiers.len() {
            self.possible_for_verifier(shape, at, &mut list);
        }
        list.extend((0..self.wire.len()).map(Action::Deliver));
        let calls = self.calls.iter().enumerate().filter(|(_, call)| self.call_can_step(shape, call));
        list.extend(calls.map(|(at, _)| Action::CallStep(at)));
        list.retain(|action| !matches!(action, Action::Observe(_)));
        list.first().copied()
    }

    fn live_token(&mut self) -> usize {
        if self.store.facts.narrowed {
            self.store.change(|facts| facts.narrowed = false);
        }
        let facts = self.store.facts;
        let lives =
            |token: &Option<Token>| token.is_some_and(|token| token.life == facts.life && token.epoch == facts.epoch);
        self.tokens.iter().position(lives).unwrap_or_else(|| {
            self.tokens[1] = Some(Token { life: facts.life, epoch: facts.epoch });
            self.revoked[1] = false;
            for verifier in &mut self.verifiers {
                verifier.finals[1] = false;
                verifier.said_final[1] = false;
                verifier.entries[1] = None;
            }
            1
        })
    }

    /// The first check may ask; the second is answered from memory.
    fn is_remembered(&mut self, shape: &Shape, at: usize, token: usize) -> Lawful {
        self.everybody_runs(shape)?;
        self.check_begins(shape, at, token)?;
        self.runs_down(shape)?;
        self.check_begins(shape, at, token)?;
        let asks = matches!(self.verifiers[at].check, Some((_, Stage::Asking(_))));
        self.verifiers[at].check = None;
        if asks {
            return Err(Violation("faults ended, and a live token is not accepted from memory".into()));
        }
        if self.verifiers[at].finals[token] {
            return Err(Violation("faults ended, and a live token is refused".into()));
        }
        Ok(())
    }
}
