//! When a change is settled: everybody who may be believed has applied it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{HolderId, Incarnation, Margin, Moment, Position};

/// The row of a node in the store. A new one at each start, committed before the node first reads where the feed ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HolderRow {
    /// Whose.
    pub id: HolderId,
    /// How long its leases are.
    pub length: Duration,
    /// Up to where it and its verifiers have applied everything.
    pub acked: Option<Position>,
    /// How many times it was renewed.
    pub renewals: u64,
}

/// A row that nobody renewed for so long that whoever it stands for believes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unrenewed {
    /// Whose row may be removed,
    pub id: HolderId,
    /// if it still has this count.
    pub renewals: u64,
}

/// What a node has seen of the others' rows, by its own clock.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Sight {
    own: HolderId,
    margin: Margin,
    seen: BTreeMap<HolderId, (u64, Moment)>,
}

impl Sight {
    /// A node that has seen nothing yet.
    #[must_use]
    pub const fn new(own: HolderId, margin: Margin) -> Self {
        Self { own, margin, seen: BTreeMap::new() }
    }

    /// Takes the rows as they were read, and then a look at the clock: `now` is read *after* them. Gives those that may be removed,
    /// each only if its count is still the same in the transaction that removes it.
    pub fn observe(&mut self, now: Moment, rows: &[HolderRow]) -> Vec<Unrenewed> {
        self.seen.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let mut over = Vec::new();
        for row in rows.iter().filter(|row| row.id != self.own) {
            let seen = self.seen.entry(row.id).or_insert((row.renewals, now));
            if seen.0 != row.renewals {
                *seen = (row.renewals, now);
            }
            if now >= seen.1.after(self.margin.beyond(row.length)) {
                over.push(Unrenewed { id: row.id, renewals: row.renewals });
            }
        }
        over
    }
}

/// Whether a change is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// Nobody who may be believed stands before it: the call may return.
    Settled,
    /// Not yet known; at this moment it will be, whatever happens.
    WaitUntil(Moment),
}

/// A change that a node has committed and brought into its own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Where it stands.
    pub at: Position,
    /// Which node. Its own row says nothing that it does not know better.
    pub own: HolderId,
    /// The node's clock, read after its memory had the change.
    pub after_memory: Moment,
    /// The longest lease that the node has or grants.
    pub longest: Duration,
}

/// One revoking call that waits.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Barrier {
    at: Position,
    ends_at: Moment,
    waiting: BTreeSet<HolderId>,
}

impl Barrier {
    /// Begins to wait for a change. `rows` are read after its `after_memory`.
    #[must_use]
    pub fn begin(change: Committed, margin: Margin, rows: &[HolderRow]) -> Self {
        let others = rows.iter().filter(|row| row.id != change.own);
        let longest = others.clone().map(|row| row.length).fold(change.longest, Duration::max);
        let ends_at = change.after_memory.after(margin.beyond(longest));
        Self { at: change.at, ends_at, waiting: others.map(|row| row.id).collect() }
    }

    /// Looks again. `acked` is [`super::Granter::acked`] of the node itself, `rows` as they are in `incarnation`. Rows of another
    /// incarnation than the change's say nothing, neither by what they acknowledge nor by being absent.
    pub fn poll(
        &mut self,
        now: Moment,
        acked: Option<Position>,
        incarnation: Incarnation,
        rows: &[HolderRow],
    ) -> Settling {
        if now >= self.ends_at {
            return Settling::Settled;
        }
        if incarnation == self.at.incarnation {
            let behind = |id: &HolderId| rows.iter().any(|row| row.id == *id && !self.reached(row.acked));
            self.waiting = self.waiting.iter().copied().filter(behind).collect();
        }
        if self.waiting.is_empty() && self.reached(acked) {
            Settling::Settled
        } else {
            Settling::WaitUntil(self.ends_at)
        }
    }

    fn reached(&self, acked: Option<Position>) -> bool {
        acked.is_some_and(|acked| acked.reaches(self.at))
    }
}
