//! Whoever grants leases, and what those who hold them have acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Ask, Grant, Holder, HolderId, Margin, Moment, News, Position};

/// One holder as its granter knows it.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Held {
    acked: Option<Position>,
    /// Up to where it was told everything, if what it was told arrives.
    told: Option<Position>,
    /// From when on no lease of ours can be believed, by our clock.
    over_at: Moment,
}

/// What a node knows of those who hold leases of it.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Granter {
    holders: BTreeMap<HolderId, Held>,
    margin: Margin,
    length: Duration,
}

impl Granter {
    /// One that has granted nothing. `margin`: by how much a holder's clock may be slower; `length`: of its leases, at most.
    #[must_use]
    pub const fn new(margin: Margin, length: Duration) -> Self {
        Self { holders: BTreeMap::new(), margin, length }
    }

    /// Answers an ask with what `own` knows and, while `own` is itself believed (until `own_ends_at`), with a lease:
    /// never one that can end after its own. Nothing while `own` has heard nothing.
    pub fn grant<C: Clone + PartialEq>(
        &mut self,
        now: Moment,
        own: &Holder<C>,
        own_ends_at: Moment,
        ask: &Ask,
    ) -> Option<News<C>> {
        let to = own.at()?;
        let valid_for = self.length.min(now.until(own_ends_at));
        let held = self.holders.entry(ask.holder).or_insert(Held { acked: None, told: None, over_at: now });
        held.acked = furthest(held.acked, ask.acked);
        let grant = (!valid_for.is_zero()).then_some(Grant { asked_at: ask.asked_at, valid_for });
        if grant.is_some() {
            held.over_at = held.over_at.max(now.after(self.margin.beyond(valid_for)));
        }
        let (from, to, changes) = match own.since(ask.at) {
            Some((from, changes)) => (Some(from), Position { n: to.n.max(from.n), ..to }, changes),
            None => (None, to, Vec::new()),
        };
        held.told = Some(to);
        Some(News { from, to, changes, grant })
    }

    /// What a holder has not been told yet, without a lease. Nothing where there is nothing, or where it has to ask: if something
    /// told before did not arrive, it hears a gap and asks.
    pub fn push<C: Clone + PartialEq>(&mut self, own: &Holder<C>, holder: HolderId) -> Option<News<C>> {
        let held = self.holders.get_mut(&holder)?;
        let to = own.at()?;
        let (from, changes) = own.since(held.told).filter(|(from, _)| !from.reaches(to))?;
        held.told = Some(to);
        Some(News { from: Some(from), to, changes, grant: None })
    }

    /// A holder has given up its leases, and said so itself.
    pub fn leave(&mut self, holder: HolderId) {
        self.holders.remove(&holder);
    }

    /// Forgets those whose leases are over.
    pub fn sweep(&mut self, now: Moment) {
        self.holders.retain(|_, held| now < held.over_at);
    }

    /// When the next lease ends of those whose holders have not acknowledged `at`: until then only an acknowledgement is news.
    #[must_use]
    pub fn next_end(&self, now: Moment, at: Position) -> Option<Moment> {
        let behind = |held: &&Held| now < held.over_at && !held.acked.is_some_and(|acked| acked.reaches(at));
        self.holders.values().filter(behind).map(|held| held.over_at).min()
    }

    /// Everybody who may still believe a lease of it: who, up to where it acknowledged, and when its lease is over at the latest.
    pub fn holding(&self, now: Moment) -> impl Iterator<Item = (HolderId, Option<Position>, Moment)> {
        let holding = self.holders.iter().filter(move |(_, held)| now < held.over_at);
        holding.map(|(id, held)| (*id, held.acked, held.over_at))
    }

    /// Up to where `own` and everybody who may still believe a lease of it have applied everything. None: somebody has applied
    /// nothing that counts.
    #[must_use]
    pub fn acked(&self, now: Moment, own: Option<Position>) -> Option<Position> {
        let own = own?;
        let holding = self.holders.values().filter(|held| now < held.over_at);
        holding.map(|held| held.acked).try_fold(own, |least, acked| {
            let acked = acked.filter(|acked| acked.incarnation == least.incarnation)?;
            Some(Position { n: least.n.min(acked.n), ..least })
        })
    }
}

/// What a holder has acknowledged, of two words of it that may have come in any order.
fn furthest(before: Option<Position>, now: Option<Position>) -> Option<Position> {
    match (before, now) {
        (Some(before), Some(now)) if before.reaches(now) => Some(before),
        (before, None) => before,
        (_, now) => now,
    }
}
