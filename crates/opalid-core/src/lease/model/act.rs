//! What may happen next, and what comes of it.

use super::Shape;
use super::parts::{Message, Renewal, Token, What};
use super::world::{Lawful, World};

/// One step of one party, or of the world around them. Numbers are indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Tick,
    Other,
    Mint,
    Narrow,
    Restore,
    Deliver(usize),
    Join(usize),
    Renew(usize),
    Store(usize),
    NodeHear(usize),
    NodeBelieve(usize),
    Restart(usize),
    Observe(usize),
    Remove(usize),
    Push(usize, usize),
    Evaluate(usize, usize),
    DirectCheck(usize, usize),
    VerifierAsk(usize),
    VerifierBelieve(usize),
    VerifierApply(usize),
    VerifierInsert(usize),
    VerifierMove(usize),
    VerifierLeave(usize),
    Suspend(usize),
    Resume(usize),
    CheckBegin(usize, usize),
    CheckStep(usize),
    Call(usize),
    CallStep(usize),
}

impl World {
    /// Everything that may happen now. Nothing once no check is left that could go wrong.
    pub fn possible(&self, shape: &Shape) -> Vec<Action> {
        let mut list = Vec::new();
        if !self.something_left() {
            return list;
        }
        self.possible_around(&mut list);
        for at in 0..self.nodes.len() {
            self.possible_for_node(at, &mut list);
        }
        for at in 0..self.verifiers.len() {
            self.possible_for_verifier(shape, at, &mut list);
        }
        for (at, call) in self.calls.iter().enumerate() {
            if self.call_can_step(shape, call) {
                list.push(Action::CallStep(at));
            }
        }
        list
    }

    fn something_left(&self) -> bool {
        let checks = self.left.checks > 0 && !self.verifiers.is_empty() || self.left.direct > 0;
        let checking = self.verifiers.iter().any(|verifier| verifier.check.is_some());
        checks || checking || self.nodes.iter().any(|node| !node.evaluations.is_empty())
    }

    fn possible_around(&self, list: &mut Vec<Action>) {
        let left = &self.left;
        let mut may = |budget: u8, action| {
            if budget > 0 {
                list.push(action)
            }
        };
        may(left.ticks, Action::Tick);
        may(left.others, Action::Other);
        may(left.narrows, Action::Narrow);
        may(left.restores, Action::Restore);
        may(if self.tokens[1].is_none() { left.mints } else { 0 }, Action::Mint);
        for (at, message) in self.wire.iter().enumerate() {
            let to_sleeper = match message {
                Message::News { verifier, .. } | Message::Answer { verifier, .. } => {
                    self.verifiers[*verifier].suspended
                }
                _ => false,
            };
            if !to_sleeper {
                list.push(Action::Deliver(at));
            }
        }
        if left.calls > 0 {
            let heard = |at: &usize| self.nodes[*at].holder.at().is_some();
            list.extend((0..self.nodes.len()).filter(heard).map(Action::Call));
        }
    }

    pub(super) fn possible_for_node(&self, at: usize, list: &mut Vec<Action>) {
        let node = &self.nodes[at];
        match &node.renewal {
            None if !node.joined => list.push(Action::Join(at)),
            None if self.left.renewals > 0 => list.push(Action::Renew(at)),
            None => {}
            Some(Renewal::Asked(_) | Renewal::Joining(_)) => list.push(Action::Store(at)),
            Some(Renewal::Answered(_)) => list.push(Action::NodeHear(at)),
        }
        if node.hearing.is_some() {
            list.push(Action::NodeBelieve(at));
        }
        if self.left.restarts > 0 {
            list.push(Action::Restart(at));
        }
        if self.left.pushes > 0 {
            let behind = |verifier: &usize| {
                let id = self.verifiers[*verifier].holder.id();
                node.granter.clone().push(&node.holder, id).is_some()
            };
            list.extend((0..self.verifiers.len()).filter(behind).map(|verifier| Action::Push(at, verifier)));
        }
        if self.left.sweeps > 0 && self.store.rows.iter().any(|row| row.id != node.holder.id()) {
            list.push(Action::Observe(at));
        }
        if !node.removing.is_empty() {
            list.push(Action::Remove(at));
        }
        list.extend((0..node.evaluations.len()).map(|which| Action::Evaluate(at, which)));
        if self.left.direct > 0 && node.evaluations.is_empty() {
            list.extend(self.known_tokens().map(|token| Action::DirectCheck(at, token)));
        }
    }

    pub(super) fn known_tokens(&self) -> impl Iterator<Item = usize> + '_ {
        (0..2).filter(|token| self.tokens[*token].is_some())
    }

    pub(super) fn possible_for_verifier(&self, shape: &Shape, at: usize, list: &mut Vec<Action>) {
        let verifier = &self.verifiers[at];
        if verifier.suspended {
            list.push(Action::Resume(at));
            return;
        }
        if self.left.asks > 0 && self.in_flight(at) < shape.in_flight {
            list.push(Action::VerifierAsk(at));
        }
        if verifier.hearing.is_some() || !verifier.to_forget.is_empty() {
            list.push(Action::VerifierBelieve(at));
        }
        if verifier.unapplied.is_some() {
            list.push(Action::VerifierApply(at));
        }
        if verifier.inserting.is_some() {
            list.push(Action::VerifierInsert(at));
        }
        if self.left.moves > 0 && self.nodes.len() > 1 {
            list.push(Action::VerifierMove(at));
        }
        if self.left.leaves > 0 {
            list.push(Action::VerifierLeave(at));
        }
        if self.left.suspends > 0 {
            list.push(Action::Suspend(at));
        }
        if self.check_can_step(at) {
            list.push(Action::CheckStep(at));
        }
        if self.left.checks > 0 && self.may_begin(at) {
            list.extend(self.known_tokens().map(|token| Action::CheckBegin(at, token)));
        }
    }

    fn in_flight(&self, at: usize) -> usize {
        let of = |message: &Message| match message {
            Message::Ask { verifier, .. } | Message::News { verifier, .. } => *verifier == at,
            _ => false,
        };
        self.wire.iter().filter(|message| of(message)).count()
    }

    /// Does it, and says whether that was allowed.
    pub fn act(&mut self, shape: &Shape, action: Action) -> Lawful {
        match action {
            Action::Tick => {
                self.tick();
                self.drop_what_is_over(shape);
            }
            Action::Other => {
                self.left.others -= 1;
                self.store.feed.push(What::Other);
                self.own_commit(shape);
            }
            Action::Mint => {
                self.left.mints -= 1;
                self.tokens[1] = Some(Token { life: self.store.facts.life, epoch: self.store.facts.epoch });
            }
            Action::Narrow => {
                self.left.narrows -= 1;
                self.store.change(|facts| facts.narrowed = !facts.narrowed);
            }
            Action::Restore => {
                self.left.restores -= 1;
                self.store.restore(shape);
            }
            Action::Deliver(at) => self.deliver(shape, at)?,
            Action::Join(at) => self.join(shape, at),
            Action::Renew(at) => self.renew(shape, at),
            Action::Store(at) => self.store_renews(shape, at),
            Action::NodeHear(at) => self.node_hears(shape, at),
            Action::NodeBelieve(at) => self.node_believes(at),
            Action::Restart(at) => self.restart(shape, at),
            Action::Observe(at) => self.observe(shape, at),
            Action::Remove(at) => self.remove(shape, at),
            Action::Push(at, verifier) => self.push(shape, at, verifier),
            Action::Evaluate(at, which) => self.evaluate(shape, at, which)?,
            Action::DirectCheck(at, token) => self.direct_check(at, token),
            Action::VerifierAsk(at) => self.verifier_asks(shape, at),
            Action::VerifierBelieve(at) => self.verifier_believes(shape, at),
            Action::VerifierApply(at) => self.verifier_applies(shape, at),
            Action::VerifierInsert(at) => self.verifier_inserts(at),
            Action::VerifierMove(at) => {
                self.left.moves -= 1;
                self.verifiers[at].node = (self.verifiers[at].node + 1) % self.nodes.len();
            }
            Action::VerifierLeave(at) => self.verifier_leaves(shape, at),
            Action::Suspend(at) => {
                self.left.suspends -= 1;
                self.verifiers[at].suspended = true;
            }
            Action::Resume(at) => self.verifiers[at].suspended = false,
            Action::CheckBegin(at, token) => self.check_begins(shape, at, token)?,
            Action::CheckStep(at) => self.check_steps(shape, at)?,
            Action::Call(at) => {
                self.call(at);
                self.call_steps(shape, self.calls.len() - 1)?;
            }
            Action::CallStep(at) => self.call_steps(shape, at)?,
        }
        self.lawful()
    }

    pub(super) fn tick(&mut self) {
        self.left.ticks = self.left.ticks.saturating_sub(1);
        self.time += 1;
        for verifier in &mut self.verifiers {
            verifier.slept += u64::from(verifier.suspended);
        }
    }

    /// What is over is the same however long it has been over: fewer states, and nothing else.
    fn drop_what_is_over(&mut self, shape: &Shape) {
        for at in 0..self.nodes.len() {
            let now = self.node_now(shape, at);
            let node = &mut self.nodes[at];
            if node.belief.trust(now).is_none() {
                node.belief.withdraw();
            }
            node.granter.sweep(now);
        }
        for at in 0..self.verifiers.len() {
            let now = self.verifier_now(shape, at);
            if self.verifiers[at].belief.trust(now).is_none() {
                self.verifiers[at].belief.withdraw();
            }
        }
    }

    fn deliver(&mut self, shape: &Shape, at: usize) -> Lawful {
        match self.wire.remove(at) {
            Message::Ask { verifier, node, ask } => self.node_grants(shape, verifier, node, &ask),
            Message::News { verifier, news } => self.verifier_hears(shape, verifier, news),
            Message::Question { verifier, node, question, token } => {
                self.node_is_asked(verifier, node, question, token)
            }
            Message::Answer { verifier, question, token, verdict, at, tags } => {
                return self.verifier_is_answered(shape, verifier, question, token, verdict, at, tags);
            }
            Message::Leave { node, holder } => self.nodes[node].granter.leave(holder),
        }
        Ok(())
    }
}
