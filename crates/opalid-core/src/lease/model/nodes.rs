//! Nodes: towards the store, towards verifiers, and what they evaluate.

use std::time::Duration;

use super::parts::{Check, Evaluating, Evaluation, Known, Message, Renewal, Verdict, What};
use super::world::{Lawful, World};
use super::{Mutant, Shape};
use crate::lease::{Ask, Heard, HolderRow, Incarnation, Moment, Position, Sight};

impl World {
    fn row(shape: &Shape, id: crate::lease::HolderId) -> HolderRow {
        HolderRow { id, length: Duration::from_nanos(shape.node_lease), acked: None, renewals: 0 }
    }

    /// Its row is committed, before it reads anything.
    pub(super) fn join(&mut self, shape: &Shape, at: usize) {
        let now = self.node_now(shape, at);
        let node = &mut self.nodes[at];
        node.joined = true;
        if shape.is(Mutant::JoinInOneTransaction) {
            let ask = node.holder.ask(now, None);
            let grant = self.grant_of(shape, &ask);
            let news = self.store.news(self.nodes[at].holder.at(), grant);
            self.nodes[at].renewal = Some(Renewal::Joining(news));
        } else {
            self.store.put_row(Self::row(shape, node.holder.id()));
        }
    }

    pub(super) fn renew(&mut self, shape: &Shape, at: usize) {
        let now = self.node_now(shape, at);
        self.left.renewals = self.left.renewals.saturating_sub(1);
        let node = &mut self.nodes[at];
        let acked = node.granter.acked(now, node.holder.at());
        node.renewal = Some(Renewal::Asked(node.holder.ask(now, acked)));
    }

    /// The store's side of a renewal, one transaction.
    pub(super) fn store_renews(&mut self, shape: &Shape, at: usize) {
        let id = self.nodes[at].holder.id();
        match self.nodes[at].renewal.take() {
            Some(Renewal::Joining(news)) => {
                self.store.put_row(Self::row(shape, id));
                self.nodes[at].renewal = Some(Renewal::Answered(news));
            }
            Some(Renewal::Asked(ask)) => {
                let Some(row) = self.store.row(ask.holder) else {
                    return self.rejoin(shape, at);
                };
                row.renewals += 1;
                row.acked = ask.acked;
                let news = self.store.news(ask.at, self.grant_of(shape, &ask));
                self.nodes[at].renewal = Some(Renewal::Answered(news));
            }
            other => self.nodes[at].renewal = other,
        }
    }

    /// Its row is gone: it goes on under another name, and joins anew.
    fn rejoin(&mut self, shape: &Shape, at: usize) {
        let id = self.new_id();
        let node = &mut self.nodes[at];
        node.holder.rename(id);
        node.sight = Sight::new(id, shape.margin);
        node.joined = false;
    }

    pub(super) fn node_hears(&mut self, shape: &Shape, at: usize) {
        let now = self.node_now(shape, at);
        let node = &mut self.nodes[at];
        let Some(Renewal::Answered(mut news)) = node.renewal.take() else { return };
        if let Some(grant) = news.grant.as_mut().filter(|_| shape.is(Mutant::LeaseCountedFromAnswer)) {
            grant.asked_at = now;
        }
        node.hearing = match node.holder.hear(now, news, &mut Known(&mut node.known, &node.belief)) {
            Heard::Applied(lease) | Heard::Emptied(lease) => lease,
            Heard::Gap => None,
        };
        if node.evaluations.is_empty() {
            self.node_believes(at);
        }
    }

    pub(super) fn node_believes(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if let Some(lease) = node.hearing.take() {
            node.belief.believe(&lease);
        }
    }

    /// Reads the feed without a lease.
    pub(super) fn node_follows(&mut self, shape: &Shape, at: usize) {
        let now = self.node_now(shape, at);
        let news = self.store.news(self.nodes[at].holder.at(), None);
        let node = &mut self.nodes[at];
        if !matches!(node.holder.hear(now, news, &mut Known(&mut node.known, &node.belief)), Heard::Applied(_)) {
            node.hearing = None;
        }
    }

    pub(super) fn restart(&mut self, shape: &Shape, at: usize) {
        self.left.restarts = self.left.restarts.saturating_sub(1);
        let former = self.nodes[at].holder.id();
        let mut node = self.new_node(shape);
        if shape.is(Mutant::FormerRowReused) {
            node.holder.rename(former);
            node.sight = Sight::new(former, shape.margin);
            node.joined = self.nodes[at].joined;
        }
        if shape.is(Mutant::RestartForgetsVerifiers) {
            self.store.rows.retain(|row| row.id != former);
        }
        self.nodes[at] = node;
        self.calls.retain(|call| call.node != at);
        self.wire.retain(|message| !message.is_to_node(at));
    }

    pub(super) fn observe(&mut self, shape: &Shape, at: usize) {
        self.left.sweeps = self.left.sweeps.saturating_sub(1);
        let now = self.node_now(shape, at);
        let node = &mut self.nodes[at];
        node.removing = node.sight.observe(now, &self.store.rows);
    }

    pub(super) fn remove(&mut self, shape: &Shape, at: usize) {
        for old in std::mem::take(&mut self.nodes[at].removing) {
            let any = shape.is(Mutant::SweptByOldSight);
            self.store.rows.retain(|row| row.id != old.id || (row.renewals != old.renewals && !any));
        }
    }

    pub(super) fn node_grants(&mut self, shape: &Shape, verifier: usize, at: usize, ask: &Ask) {
        let now = self.node_now(shape, at);
        let node = &mut self.nodes[at];
        let own_ends_at = if shape.is(Mutant::NodeLeaseShorter) { Moment(u64::MAX) } else { node.belief.ends_at() };
        // What this node has of the feed, in its own words, as far as its ring reaches.
        let news = node.granter.grant(now, &node.holder, own_ends_at, ask);
        if let Some(news) = news {
            let news = news.in_words(|what| [Self::tag(shape, at, what)]);
            self.send(Message::News { verifier, news });
        }
    }

    pub(super) fn push(&mut self, shape: &Shape, at: usize, verifier: usize) {
        self.left.pushes -= 1;
        let node = &mut self.nodes[at];
        if let Some(news) = node.granter.push(&node.holder, self.verifiers[verifier].holder.id()) {
            let news = news.in_words(|what| [Self::tag(shape, at, what)]);
            self.send(Message::News { verifier, news });
        }
    }

    pub(super) fn direct_check(&mut self, at: usize, token: usize) {
        self.left.direct -= 1;
        let check = self.check(token);
        self.nodes[at].evaluations.push(Evaluation { by: None, check, stage: Evaluating::Began });
    }

    pub(super) fn node_is_asked(&mut self, verifier: usize, at: usize, question: u8, token: usize) {
        let check = Check { token, too_late: false };
        let by = Some((verifier, question));
        self.nodes[at].evaluations.push(Evaluation { by, check, stage: Evaluating::Began });
    }

    /// One instruction of a check at a node.
    pub(super) fn evaluate(&mut self, shape: &Shape, at: usize, which: usize) -> Lawful {
        let now = self.node_now(shape, at);
        let node = &self.nodes[at];
        let evaluation = node.evaluations[which].clone();
        let Some(token) = self.tokens[evaluation.check.token] else { return Ok(()) };
        let own = node.holder.at();
        let judge = |facts| match token.judge(facts) {
            None if shape.is(Mutant::AheadIsFinal) => Some(Verdict::Final),
            verdict => verdict,
        };
        let read = |at| Evaluating::Read { facts: self.store.facts, incarnation: self.store.incarnation, at };
        let next = match evaluation.stage {
            Evaluating::Began if shape.is(Mutant::EntryBeforeLease) => {
                Evaluating::Peeked { known: node.known, at: own }
            }
            Evaluating::Began => Evaluating::Looked { trusted: node.belief.trust(now).is_some(), at: own },
            Evaluating::Looked { trusted, at: taken } => match node.known.filter(|_| trusted).and_then(judge) {
                Some(verdict) if shape.is(Mutant::PositionAfterEvaluating) => Evaluating::Judged(verdict, None),
                Some(verdict) => return self.evaluated(shape, (at, which), verdict, taken),
                None => read(taken),
            },
            Evaluating::Peeked { known, at: taken } => {
                let trusted = node.belief.trust(now).is_some();
                match known.filter(|_| trusted).and_then(judge) {
                    Some(verdict) => return self.evaluated(shape, (at, which), verdict, taken),
                    None => read(taken),
                }
            }
            Evaluating::Read { facts, incarnation, at: taken } => {
                let verdict = judge(facts).unwrap_or(Verdict::NotFinal);
                if shape.is(Mutant::PositionAfterEvaluating) {
                    Evaluating::Judged(verdict, Some(facts))
                } else {
                    return self.read(shape, at, which, (facts, incarnation, taken, verdict));
                }
            }
            Evaluating::Judged(verdict, facts) => {
                if let (Some(facts), Some(own)) = (facts, own) {
                    let node = &mut self.nodes[at];
                    node.holder.fill(own, |what| *what == What::Subject, || node.known = Some(facts));
                }
                return self.evaluated(shape, (at, which), verdict, own);
            }
        };
        self.nodes[at].evaluations[which].stage = next;
        Ok(())
    }

    /// The store has answered: kept if nothing changed since, and given as answer if it is of one incarnation.
    fn read(
        &mut self,
        shape: &Shape,
        at: usize,
        which: usize,
        (facts, incarnation, taken, verdict): (super::parts::Facts, u128, Option<Position>, Verdict),
    ) -> Lawful {
        let across = shape.is(Mutant::ReadAcrossIncarnations);
        let node = &mut self.nodes[at];
        let mixed = taken.is_some_and(|taken| taken.incarnation != Incarnation(incarnation));
        if mixed && !across {
            node.evaluations.remove(which);
            return Ok(());
        }
        let taken = match (taken, node.holder.at()) {
            (Some(taken), Some(own)) if across => Some(Position { incarnation: own.incarnation, ..taken }),
            (taken, _) => taken,
        };
        if let Some(taken) = taken {
            node.holder.fill(taken, |what| *what == What::Subject, || node.known = Some(facts));
        }
        self.evaluated(shape, (at, which), verdict, taken)
    }

    fn evaluated(
        &mut self,
        shape: &Shape,
        (at, which): (usize, usize),
        verdict: Verdict,
        taken: Option<Position>,
    ) -> Lawful {
        let evaluation = self.nodes[at].evaluations.remove(which);
        let Some((verifier, question)) = evaluation.by else {
            return if verdict == Verdict::Active { self.accepted(evaluation.check, None) } else { Ok(()) };
        };
        let tags = vec![Self::tag(shape, at, What::Subject)];
        let token = evaluation.check.token;
        self.send(Message::Answer { verifier, question, token, verdict, at: taken, tags });
        Ok(())
    }
}

impl Message {
    fn is_to_node(&self, at: usize) -> bool {
        match self {
            Self::Ask { node, .. } | Self::Question { node, .. } | Self::Leave { node, .. } => *node == at,
            Self::News { .. } | Self::Answer { .. } => false,
        }
    }
}
