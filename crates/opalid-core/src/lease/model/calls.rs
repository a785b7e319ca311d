//! Revoking calls at a node: commit, own memory, rows, wait.

use super::parts::{Known, What};
use super::world::{Lawful, World, longest};
use super::{Mutant, Shape};
use crate::lease::{Barrier, Committed, HolderRow, Moment, News, Position, Settling};

#[derive(Clone, Hash)]
pub(super) struct Call {
    pub node: usize,
    /// Tokens of this life and epoch, and older ones, are to die: those of the first token.
    life: u128,
    epoch: u8,
    stage: Calling,
}

#[derive(Clone, Hash)]
enum Calling {
    Begun,
    /// The mutant that reads rows too early.
    RowsRead(Vec<HolderRow>),
    Committed(Position, Option<Vec<HolderRow>>),
    InMemory(Position, Moment, Option<Vec<HolderRow>>),
    Waiting(Position, Barrier),
}

impl World {
    pub(super) fn call(&mut self, node: usize) {
        self.left.calls -= 1;
        let (life, epoch) = self.tokens[0].map_or((0, 0), |token| (token.life, token.epoch));
        self.calls.push(Call { node, life, epoch, stage: Calling::Begun });
    }

    /// Whether the next step of a call would change anything.
    pub(super) fn call_can_step(&self, shape: &Shape, call: &Call) -> bool {
        let node = &self.nodes[call.node];
        match &call.stage {
            Calling::Begun | Calling::RowsRead(_) => node.holder.at().is_some(),
            Calling::Committed(at, _) => {
                !Self::never(node.holder.at(), *at)
                    && (node.holder.at() != Some(self.store.at()) || self.is_in(call.node, *at))
            }
            Calling::InMemory(..) => true,
            Calling::Waiting(_, barrier) => {
                let mut next = barrier.clone();
                let settling = self.poll(shape, call.node, &mut next);
                settling == Settling::Settled || !same(&next, barrier)
            }
        }
    }

    /// Whether the call can return at all: not where its commit is of a former incarnation, or its node never comes to it.
    pub(super) fn can_end(&self, call: &Call) -> bool {
        match &call.stage {
            Calling::Committed(at, _) => !Self::never(self.nodes[call.node].holder.at(), *at),
            _ => true,
        }
    }

    fn is_in(&self, node: usize, at: Position) -> bool {
        self.nodes[node].holder.at().is_some_and(|own| own.reaches(at))
    }

    fn never(own: Option<Position>, at: Position) -> bool {
        own.is_some_and(|own| own.incarnation > at.incarnation)
    }

    fn poll(&self, shape: &Shape, at: usize, barrier: &mut Barrier) -> Settling {
        let now = self.node_now(shape, at);
        let node = &self.nodes[at];
        let acked = node.granter.acked(now, node.holder.at());
        barrier.poll(now, acked, self.store.at().incarnation, &self.store.rows)
    }

    pub(super) fn call_steps(&mut self, shape: &Shape, which: usize) -> Lawful {
        let call = self.calls[which].clone();
        let next = match call.stage.clone() {
            Calling::Begun if shape.is(Mutant::RowsReadBeforeCommit) => Calling::RowsRead(self.store.rows.clone()),
            Calling::Begun => match self.commit(&call) {
                (_, true) if shape.is(Mutant::RepetitionAnsweredAtOnce) => return self.returned(shape, which, None),
                (at, _) => Calling::Committed(at, None),
            },
            Calling::RowsRead(rows) => Calling::Committed(self.commit(&call).0, Some(rows)),
            Calling::Committed(at, rows) if self.is_in(call.node, at) => {
                Calling::InMemory(at, self.node_now(shape, call.node), rows)
            }
            Calling::Committed(at, rows) => {
                self.node_follows(shape, call.node);
                if self.is_in(call.node, at) {
                    Calling::InMemory(at, self.node_now(shape, call.node), rows)
                } else {
                    Calling::Committed(at, rows)
                }
            }
            Calling::InMemory(at, after_memory, rows) => {
                let own = self.nodes[call.node].holder.id();
                let rows = rows.unwrap_or_else(|| self.store.rows.clone());
                Calling::Waiting(
                    at,
                    Barrier::begin(Committed { at, own, after_memory, longest: longest(shape) }, shape.margin, &rows),
                )
            }
            Calling::Waiting(at, mut barrier) => match self.poll(shape, call.node, &mut barrier) {
                Settling::Settled => return self.returned(shape, which, Some(at)),
                Settling::WaitUntil(_) => Calling::Waiting(at, barrier),
            },
        };
        self.calls[which].stage = next;
        Ok(())
    }

    /// The revoking transaction: where it stands, and whether its change was already made.
    fn commit(&mut self, call: &Call) -> (Position, bool) {
        let facts = self.store.facts;
        if facts.life > call.life || facts.epoch > call.epoch {
            return (self.store.at(), true);
        }
        (self.store.change(|facts| facts.epoch += 1), false)
    }

    /// The first node has made a change of its own; the mutant takes it for all there is.
    pub(super) fn own_commit(&mut self, shape: &Shape) {
        let (now, to) = (self.node_now(shape, 0), self.store.at());
        if shape.is(Mutant::OwnCommitMovesPastOthers)
            && let Some(node) = self.nodes.first_mut()
        {
            let news = News { from: node.holder.at(), to, changes: vec![(to.n, What::Other)], grant: None };
            node.holder.hear(now, news, &mut Known(&mut node.known, &node.belief));
        }
    }

    fn returned(&mut self, shape: &Shape, which: usize, at: Option<Position>) -> Lawful {
        let call = self.calls.remove(which);
        for (token, revoked) in self.tokens.iter().zip(&mut self.revoked) {
            let older = |token: super::parts::Token| {
                token.life < call.life || (token.life == call.life && token.epoch <= call.epoch)
            };
            *revoked |= token.is_some_and(older);
        }
        at.map_or(Ok(()), |at| self.settled(shape, at))
    }
}

fn same(one: &Barrier, other: &Barrier) -> bool {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let of = |barrier: &Barrier| {
        let mut hasher = DefaultHasher::new();
        barrier.hash(&mut hasher);
        hasher.finish()
    };
    of(one) == of(other)
}
