//! One state of a world, its store, and what must hold.

use std::time::Duration;

use super::parts::{Check, Facts, Message, Node, Tag, Token, Verdict, Verifier, What};
use super::{Budget, Mutant, Shape};
use crate::lease::{
    Ask, Belief, Grant, Granter, Holder, HolderId, HolderRow, Incarnation, Moment, News, Position, Sight,
};

/// Why a history is not allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation(pub String);

pub(super) type Lawful = Result<(), Violation>;

#[derive(Clone, Hash)]
pub(super) struct Store {
    pub incarnation: u128,
    pub facts: Facts,
    pub feed: Vec<What>,
    pub rows: Vec<HolderRow>,
}

#[derive(Clone, Hash)]
pub(super) struct World {
    pub time: u64,
    pub store: Store,
    pub nodes: Vec<Node>,
    pub verifiers: Vec<Verifier>,
    pub wire: Vec<Message>,
    pub calls: Vec<super::calls::Call>,
    pub tokens: [Option<Token>; 2],
    /// A revocation of the token has returned.
    pub revoked: [bool; 2],
    pub next_id: u128,
    pub left: Budget,
}

/// The longest lease there is, by any clock.
pub(super) fn longest(shape: &Shape) -> Duration {
    Duration::from_nanos(shape.node_lease.max(shape.verifier_lease))
}

impl Store {
    pub fn at(&self) -> Position {
        Position { incarnation: Incarnation(self.incarnation), n: self.feed.len() as u64 }
    }

    pub fn row(&mut self, id: HolderId) -> Option<&mut HolderRow> {
        self.rows.iter_mut().find(|row| row.id == id)
    }

    pub fn put_row(&mut self, row: HolderRow) {
        self.rows.push(row);
        self.rows.sort_by_key(|row| row.id);
    }

    /// What came after, and a grant.
    pub fn news(&self, at: Option<Position>, grant: Option<Grant>) -> News<What> {
        let to = self.at();
        let from = at.filter(|at| to.reaches(*at));
        let after = from.map_or(self.feed.len(), |from| usize::try_from(from.n).unwrap_or(usize::MAX));
        let numbered = self.feed.iter().copied().enumerate().map(|(at, what)| (at as u64 + 1, what));
        News { from, to, changes: numbered.skip(after).collect(), grant }
    }

    /// A change of what the token hangs from.
    pub fn change(&mut self, change: impl FnOnce(&mut Facts)) -> Position {
        change(&mut self.facts);
        self.feed.push(What::Subject);
        self.at()
    }

    /// Back to what was saved at the beginning, in a new incarnation; everything that was made before is dead.
    pub fn restore(&mut self, shape: &Shape) {
        self.incarnation += 1;
        self.facts = Facts { life: self.incarnation, epoch: 0, narrowed: false };
        self.feed.clear();
        self.rows.clear();
        if !shape.is(Mutant::RestoreWithoutGhost) {
            let id = HolderId(1_000 + self.incarnation);
            self.put_row(HolderRow { id, length: longest(shape), acked: None, renewals: 0 });
        }
    }
}

impl World {
    pub fn new(shape: &Shape) -> Self {
        let facts = Facts { life: 1, epoch: 0, narrowed: false };
        let mut world = Self {
            time: 0,
            store: Store { incarnation: 1, facts, feed: Vec::new(), rows: Vec::new() },
            nodes: Vec::new(),
            verifiers: Vec::new(),
            wire: Vec::new(),
            calls: Vec::new(),
            tokens: [Some(Token { life: 1, epoch: 0 }), None],
            revoked: [false; 2],
            next_id: 1,
            left: shape.budget,
        };
        for _ in &shape.nodes {
            let node = world.new_node(shape);
            world.nodes.push(node);
        }
        for at in 0..shape.verifiers.len() {
            let verifier = world.new_verifier(shape, at % shape.nodes.len());
            world.verifiers.push(verifier);
        }
        world
    }

    pub fn new_id(&mut self) -> HolderId {
        self.next_id += 1;
        HolderId(self.next_id - 1)
    }

    pub fn new_node(&mut self, shape: &Shape) -> Node {
        let id = self.new_id();
        Node {
            holder: Holder::new(id, shape.ring),
            belief: Belief::default(),
            known: None,
            granter: Granter::new(shape.margin, Duration::from_nanos(shape.verifier_lease)),
            sight: Sight::new(id, shape.margin),
            joined: false,
            renewal: None,
            hearing: None,
            removing: Vec::new(),
            evaluations: Vec::new(),
        }
    }

    fn new_verifier(&mut self, shape: &Shape, node: usize) -> Verifier {
        Verifier {
            holder: Holder::new(self.new_id(), shape.ring),
            belief: Belief::default(),
            entries: [None, None],
            finals: [false; 2],
            said_final: [false; 2],
            node,
            check: None,
            questions: 0,
            hearing: None,
            to_forget: Vec::new(),
            unapplied: None,
            inserting: None,
            suspended: false,
            slept: 0,
        }
    }

    pub fn node_now(&self, shape: &Shape, node: usize) -> Moment {
        Moment(self.time * shape.nodes[node] + 100)
    }

    pub fn verifier_now(&self, shape: &Shape, verifier: usize) -> Moment {
        let slept = if shape.is(Mutant::ClockStopsInSuspend) { self.verifiers[verifier].slept } else { 0 };
        Moment((self.time - slept) * shape.verifiers[verifier] + 1_000)
    }

    pub fn check(&self, token: usize) -> Check {
        Check { token, too_late: self.revoked[token] }
    }

    pub fn send(&mut self, message: Message) {
        self.wire.push(message);
        self.wire.sort();
    }

    pub fn grant_of(&self, shape: &Shape, ask: &Ask) -> Option<Grant> {
        Some(Grant { asked_at: ask.asked_at, valid_for: Duration::from_nanos(shape.node_lease) })
    }

    /// A check said active.
    pub fn accepted(&self, check: Check, by: Option<usize>) -> Lawful {
        if check.too_late {
            return Err(Violation("a check that began after the revocation returned says active".into()));
        }
        if by.is_some_and(|by| self.verifiers[by].said_final[check.token]) {
            return Err(Violation("a verifier that gave a final reason says active".into()));
        }
        Ok(())
    }

    /// What holds in every state.
    pub fn lawful(&self) -> Lawful {
        let dead = |token: usize| self.tokens[token].is_none_or(|token| token.dead(self.store.facts));
        for verifier in &self.verifiers {
            for token in 0..2 {
                if verifier.finals[token] && !dead(token) {
                    return Err(Violation("a token that may live again is remembered as dead for good".into()));
                }
            }
        }
        Ok(())
    }

    /// What holds when a call whose change stands at `at` returns.
    pub fn settled(&self, shape: &Shape, at: Position) -> Lawful {
        let stale = |own: Option<Position>, has_dead: bool| match own {
            Some(own) if own.incarnation == at.incarnation => own.n < at.n,
            _ => has_dead,
        };
        for (of, node) in self.nodes.iter().enumerate() {
            let trusted = node.belief.trust(self.node_now(shape, of)).is_some();
            let active = |facts: Facts| {
                let revoked =
                    self.tokens.iter().zip(self.revoked).filter_map(|(token, revoked)| token.filter(|_| revoked));
                revoked.into_iter().any(|token| token.judge(facts) == Some(Verdict::Active))
            };
            if trusted && stale(node.holder.at(), node.known.is_some_and(active)) {
                return Err(Violation(format!("settled while node {of} is believed and stands before")));
            }
        }
        for (of, verifier) in self.verifiers.iter().enumerate() {
            let trusted = verifier.belief.trust(self.verifier_now(shape, of)).is_some();
            let has_dead = (0..2).any(|token| verifier.entries[token].is_some() && self.revoked[token]);
            if trusted && stale(verifier.holder.at(), has_dead) {
                return Err(Violation(format!("settled while verifier {of} is believed and stands before")));
            }
        }
        Ok(())
    }

    /// The key of a verifier's tags, at a node.
    pub fn tag(shape: &Shape, node: usize, what: What) -> Tag {
        Tag { what, key: if shape.is(Mutant::TagKeyPerConnection) { node } else { 0 } }
    }
}
