//! What worlds are made of.

use crate::lease::{Ask, Belief, Entries, Granter, Holder, HolderId, Lease, News, Position, Sight, Unrenewed};

/// What a token hangs from: `life` is the epoch of the workspace, `epoch` that of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub life: u128,
    pub epoch: u8,
    pub narrowed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Token {
    pub life: u128,
    pub epoch: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Verdict {
    Active,
    /// Inactive for now.
    NotFinal,
    Final,
}

impl Token {
    /// Nothing where the token is ahead of the facts.
    pub fn judge(self, facts: Facts) -> Option<Verdict> {
        if self.life > facts.life || self.epoch > facts.epoch {
            return None;
        }
        Some(match (self.life == facts.life && self.epoch == facts.epoch, facts.narrowed) {
            (false, _) => Verdict::Final,
            (true, true) => Verdict::NotFinal,
            (true, false) => Verdict::Active,
        })
    }

    /// Whether it can never be active again.
    pub fn dead(self, facts: Facts) -> bool {
        self.life < facts.life || (self.life == facts.life && self.epoch < facts.epoch)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum What {
    Subject,
    Other,
}

/// A change as a verifier knows it: under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag {
    pub what: What,
    pub key: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Message {
    Ask { verifier: usize, node: usize, ask: Ask },
    News { verifier: usize, news: News<Tag> },
    Question { verifier: usize, node: usize, question: u8, token: usize },
    Answer { verifier: usize, question: u8, token: usize, verdict: Verdict, at: Option<Position>, tags: Vec<Tag> },
    Leave { node: usize, holder: HolderId },
}

#[derive(Clone, Hash)]
pub(super) struct Node {
    pub holder: Holder<What>,
    pub belief: Belief,
    pub known: Option<Facts>,
    pub granter: Granter,
    pub sight: Sight,
    /// Its row was committed, as far as it knows.
    pub joined: bool,
    pub renewal: Option<Renewal>,
    pub hearing: Option<Lease>,
    pub removing: Vec<Unrenewed>,
    pub evaluations: Vec<Evaluation>,
}

#[derive(Clone, Hash)]
pub(super) enum Renewal {
    Asked(Ask),
    /// The mutant that reads the feed in the transaction that makes the row.
    Joining(News<What>),
    Answered(News<What>),
}

#[derive(Clone, Hash)]
pub(super) struct Evaluation {
    /// A verifier's question, or a check at the node itself.
    pub by: Option<(usize, u8)>,
    pub check: Check,
    pub stage: Evaluating,
}

#[derive(Clone, Hash)]
pub(super) enum Evaluating {
    Began,
    Looked {
        trusted: bool,
        at: Option<Position>,
    },
    /// The mutant that looks at entries first.
    Peeked {
        known: Option<Facts>,
        at: Option<Position>,
    },
    Read {
        facts: Facts,
        incarnation: u128,
        at: Option<Position>,
    },
    /// The mutant that takes the position last.
    Judged(Verdict, Option<Facts>),
}

/// A check of one token, and whether a revocation of it had returned when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Check {
    pub token: usize,
    pub too_late: bool,
}

#[derive(Clone, Hash)]
pub(super) struct Verifier {
    pub holder: Holder<Tag>,
    pub belief: Belief,
    pub entries: [Option<Vec<Tag>>; 2],
    pub finals: [bool; 2],
    pub said_final: [bool; 2],
    pub node: usize,
    pub check: Option<(Check, Stage)>,
    pub questions: u8,
    pub hearing: Option<Lease>,
    /// The mutant that believes first.
    pub to_forget: Vec<Tag>,
    /// The mutant that acknowledges first.
    pub unapplied: Option<News<Tag>>,
    /// The mutant that asks the ring and inserts in two steps.
    pub inserting: Option<(usize, Vec<Tag>)>,
    pub suspended: bool,
    pub slept: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Began,
    Looked {
        trusted: bool,
    },
    /// The mutant that looks at the entry first.
    Peeked {
        there: bool,
    },
    Asking(u8),
}

/// A node's entries.
pub(super) struct Known<'n>(pub &'n mut Option<Facts>, pub &'n Belief);

impl Entries<What> for Known<'_> {
    fn forget(&mut self, change: &What) {
        if *change == What::Subject {
            *self.0 = None;
        }
    }
    fn forget_all(&mut self) {
        self.1.withdraw();
        *self.0 = None;
    }
}

/// A verifier's entries.
pub(super) struct Remembered<'v> {
    pub entries: &'v mut [Option<Vec<Tag>>; 2],
    pub belief: &'v Belief,
    pub later: Option<&'v mut Vec<Tag>>,
}

impl Entries<Tag> for Remembered<'_> {
    fn forget(&mut self, change: &Tag) {
        match &mut self.later {
            Some(later) => later.push(*change),
            None => forget(self.entries, change),
        }
    }
    fn forget_all(&mut self) {
        self.belief.withdraw();
        *self.entries = [None, None];
    }
}

pub(super) fn forget(entries: &mut [Option<Vec<Tag>>; 2], change: &Tag) {
    for entry in entries {
        if entry.as_ref().is_some_and(|tags| tags.contains(change)) {
            *entry = None;
        }
    }
}
