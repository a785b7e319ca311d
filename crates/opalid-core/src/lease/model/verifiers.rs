//! Verifiers: what they hear, and their checks, instruction by instruction.

use super::parts::{Check, Message, Remembered, Stage, Tag, Verdict, forget};
use super::world::{Lawful, World};
use super::{Mutant, Shape};
use crate::lease::{Heard, News, Position};

impl World {
    pub(super) fn verifier_asks(&mut self, shape: &Shape, at: usize) {
        self.left.asks = self.left.asks.saturating_sub(1);
        let now = self.verifier_now(shape, at);
        let verifier = &self.verifiers[at];
        let acked = verifier.unapplied.as_ref().map_or(verifier.holder.at(), |news| Some(news.to));
        let (ask, node) = (verifier.holder.ask(now, acked), verifier.node);
        self.send(Message::Ask { verifier: at, node, ask });
    }

    pub(super) fn verifier_hears(&mut self, shape: &Shape, at: usize, news: News<Tag>) {
        if shape.is(Mutant::AcknowledgeBeforeApply) && self.verifiers[at].unapplied.is_none() {
            self.verifiers[at].unapplied = Some(news);
        } else {
            self.apply(shape, at, news);
        }
    }

    pub(super) fn verifier_applies(&mut self, shape: &Shape, at: usize) {
        if let Some(news) = self.verifiers[at].unapplied.take() {
            self.apply(shape, at, news);
        }
    }

    fn apply(&mut self, shape: &Shape, at: usize, mut news: News<Tag>) {
        let now = self.verifier_now(shape, at);
        let verifier = &mut self.verifiers[at];
        if let Some(grant) = &mut news.grant {
            grant.asked_at = if shape.is(Mutant::LeaseCountedFromAnswer) { now } else { grant.asked_at };
        }
        if shape.is(Mutant::GapIgnored) && news.from.is_some() {
            news.from = verifier.holder.at();
        }
        let later = shape.is(Mutant::LeaseBelievedBeforeForgetting).then_some(&mut verifier.to_forget);
        let mut entries = Remembered { entries: &mut verifier.entries, belief: &verifier.belief, later };
        verifier.hearing = match verifier.holder.hear(now, news, &mut entries) {
            Heard::Applied(lease) | Heard::Emptied(lease) => lease,
            Heard::Gap => None,
        };
        // Between forgetting and believing only an instruction of a check could tell the difference.
        if !self.check_can_step(at) && !shape.is(Mutant::LeaseBelievedBeforeForgetting) {
            self.verifier_believes(shape, at);
        }
    }

    pub(super) fn verifier_believes(&mut self, shape: &Shape, at: usize) {
        let verifier = &mut self.verifiers[at];
        if let Some(lease) = verifier.hearing.take() {
            verifier.belief.believe(&lease);
            if shape.is(Mutant::LeaseBelievedBeforeForgetting) {
                return;
            }
        }
        for tag in std::mem::take(&mut verifier.to_forget) {
            forget(&mut verifier.entries, &tag);
        }
    }

    pub(super) fn verifier_leaves(&mut self, shape: &Shape, at: usize) {
        self.left.leaves -= 1;
        let now = self.verifier_now(shape, at);
        let next = self.new_id();
        let verifier = &mut self.verifiers[at];
        let node = verifier.node;
        let holder = match shape.mutant {
            Some(Mutant::LeftButStillBelieving) => verifier.holder.id(),
            Some(Mutant::LateGrantAfterLeaving) => {
                verifier.belief.withdraw();
                verifier.holder.id()
            }
            _ => {
                verifier.hearing = None;
                verifier.holder.leave(now, &verifier.belief, next)
            }
        };
        self.send(Message::Leave { node, holder });
    }

    pub(super) fn may_begin(&self, at: usize) -> bool {
        self.verifiers[at].check.is_none_or(|(_, stage)| matches!(stage, Stage::Asking(_)))
    }

    pub(super) fn check_can_step(&self, at: usize) -> bool {
        self.verifiers[at].check.is_some_and(|(_, stage)| !matches!(stage, Stage::Asking(_)))
    }

    /// A check begins. One that still waits for an answer is given up, its answer may come yet.
    pub(super) fn check_begins(&mut self, shape: &Shape, at: usize, token: usize) -> Lawful {
        self.left.checks = self.left.checks.saturating_sub(1);
        let check = self.check(token);
        self.verifiers[at].check = Some((check, Stage::Began));
        // One that may say active does so in one go: nobody can tell how long it took.
        if !check.too_late && !self.verifiers[at].said_final[token] {
            self.check_steps(shape, at)?;
            self.check_steps(shape, at)?;
        }
        Ok(())
    }

    /// One instruction of a check at a verifier.
    pub(super) fn check_steps(&mut self, shape: &Shape, at: usize) -> Lawful {
        let now = self.verifier_now(shape, at);
        let verifier = &mut self.verifiers[at];
        let Some((check, stage)) = verifier.check else { return Ok(()) };
        let there = verifier.entries[check.token].is_some();
        let trusted = verifier.belief.trust(now).is_some();
        let remembered = match stage {
            Stage::Began => {
                let first = if shape.is(Mutant::EntryBeforeLease) {
                    Stage::Peeked { there }
                } else {
                    Stage::Looked { trusted }
                };
                verifier.check = Some((check, first));
                return Ok(());
            }
            Stage::Looked { trusted } => trusted && there,
            Stage::Peeked { there } => trusted && there,
            Stage::Asking(_) => return Ok(()),
        };
        if verifier.finals[check.token] {
            verifier.check = None;
            verifier.said_final[check.token] = true;
            return Ok(());
        }
        if remembered {
            verifier.check = None;
            return self.accepted(check, Some(at));
        }
        self.ask_about(at, check);
        Ok(())
    }

    fn ask_about(&mut self, at: usize, check: Check) {
        let verifier = &mut self.verifiers[at];
        let question = verifier.questions;
        verifier.questions += 1;
        verifier.check = Some((check, Stage::Asking(question)));
        let (node, token) = (verifier.node, check.token);
        self.send(Message::Question { verifier: at, node, question, token });
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a message")]
    pub(super) fn verifier_is_answered(
        &mut self,
        shape: &Shape,
        at: usize,
        question: u8,
        token: usize,
        verdict: Verdict,
        evaluated_at: Option<Position>,
        tags: Vec<Tag>,
    ) -> Lawful {
        let verifier = &mut self.verifiers[at];
        if verdict == Verdict::Final || (verdict == Verdict::NotFinal && shape.is(Mutant::NotFinalKeptAsFinal)) {
            verifier.finals[token] = true;
        }
        if verdict == Verdict::Active {
            let mut insert = false;
            if let Some(evaluated_at) = evaluated_at {
                verifier.holder.fill(evaluated_at, |tag| tags.contains(tag), || insert = true);
            }
            if insert && shape.is(Mutant::RingAndInsertApart) {
                verifier.inserting = Some((token, tags));
            } else if insert || shape.is(Mutant::FillWithoutRing) {
                verifier.entries[token] = Some(tags);
            }
        }
        let Some((check, Stage::Asking(asked))) = verifier.check else { return Ok(()) };
        if check.token != token || (asked != question && !shape.is(Mutant::LateAnswerServesNewCheck)) {
            return Ok(());
        }
        verifier.check = None;
        match verdict {
            Verdict::Active => self.accepted(check, Some(at)),
            Verdict::Final => {
                verifier.said_final[token] = true;
                Ok(())
            }
            Verdict::NotFinal => Ok(()),
        }
    }

    pub(super) fn verifier_inserts(&mut self, at: usize) {
        let verifier = &mut self.verifiers[at];
        if let Some((token, tags)) = verifier.inserting.take() {
            verifier.entries[token] = Some(tags);
        }
    }
}
