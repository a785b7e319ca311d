//! What is remembered of the store: entities by id, filled by reads, dropped when a change touches them.
//!
//! Holds: changes are applied strictly in feed order; a read begun before a change never refills memory
//! after it (the ring below says so, asked and inserted in one step); everything is bounded; memory that
//! may be behind answers nothing.

mod belief;
mod changes;
mod filling;
mod grant;
mod standing;
mod trusted;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use equivalent::Equivalent;
use opalid_core::client::Client;
use opalid_core::grant::{Ancestor, Entitlement, EntitlementNo, Entitlements, Epoch};
use opalid_core::ids::{ClientId, GrantId, ResourceId, RoleId, UserId, WorkspaceId};
use opalid_core::lease::{self, Holder, HolderId, Moment, News};
use opalid_core::resource::Resource;
use opalid_core::role::Role;
use opalid_core::user::User;
use quick_cache::sync::Cache;

use crate::feed::{Incarnation, Position, Touched};
use crate::keys::WorkspaceRecord;

pub use belief::BootTime;
pub(crate) use belief::Doubts;
pub(crate) use filling::Filling;
pub use grant::RememberedGrant;
pub use trusted::Trusted;

/// Something known by a name within a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Named {
    workspace: WorkspaceId,
    name: Box<str>,
}

/// A name to look up, without an allocation.
#[derive(Hash)]
struct Asked<'a> {
    workspace: WorkspaceId,
    name: &'a str,
}

impl Equivalent<Named> for Asked<'_> {
    fn equivalent(&self, key: &Named) -> bool {
        self.workspace == key.workspace && self.name == &*key.name
    }
}

/// Where a client's standing grant holds an entitlement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StandingKey {
    /// The client.
    pub client: ClientId,
    /// The epochs it was authenticated under: workspace, client.
    pub epochs: (Epoch, Epoch),
    /// What the token may do.
    pub entitlement: Entitlement,
}

/// How much is remembered, in entries.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Grants; twice as many standings of what they hang from, and half as many users.
    pub grants: usize,
    /// Clients, users, resources, roles and names, each.
    pub entities: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { grants: 1_000_000, entities: 100_000 }
    }
}

/// How many different lists of entitlements are shared among grants. Applications ask for few.
const ENTITLEMENTS: usize = 4 * 1024;

/// How many changes the ring reaches back.
const RING: usize = 16 * 1024;

struct Order {
    /// Where memory stands, and what changed lately.
    holder: Holder<Touched>,
    /// Batches that came before their turn, by first position.
    early: BTreeMap<Position, Vec<(Position, Touched)>>,
}

/// Entities by id. Every look-up goes through [`Memory::trust`].
pub struct Memory {
    order: Mutex<Order>,
    position: AtomicU64,
    /// How often it began anew.
    lives: AtomicU64,
    belief: belief::Belief,
    incarnation: Mutex<Incarnation>,
    applied: tokio::sync::watch::Sender<Position>,
    changes: changes::Changes,
    entries: Entries,
}

struct Entries {
    standings: Cache<Ancestor, standing::Kept>,
    grants: Cache<GrantId, Arc<RememberedGrant>>,
    standing_grants: Cache<StandingKey, (GrantId, EntitlementNo)>,
    clients: Cache<ClientId, Arc<Client>>,
    client_ids: Cache<Named, ClientId>,
    users: Cache<UserId, Arc<User>>,
    resources: Cache<ResourceId, Arc<Resource>>,
    resource_uris: Cache<Named, ResourceId>,
    roles: Cache<RoleId, Arc<Role>>,
    workspaces: Cache<WorkspaceId, Arc<WorkspaceRecord>>,
    workspace_names: Cache<Box<str>, WorkspaceId>,
    /// One of all that are equal.
    entitlements: Cache<Entitlements, Entitlements>,
}

/// When a read began, for memory to say whether what it gave may be remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    life: u64,
    position: Position,
}

/// Something memory does not hold.
pub(crate) struct Miss;

impl Memory {
    /// An empty memory that answers nothing until [`Self::start`].
    pub fn new(capacity: Capacity, boottime: BootTime) -> Self {
        let Capacity { grants, entities } = capacity;
        let entries = Entries {
            standings: Cache::new(grants.saturating_mul(2).saturating_add(entities)),
            grants: Cache::new(grants),
            standing_grants: Cache::new(entities),
            clients: Cache::new(entities),
            client_ids: Cache::new(entities),
            users: Cache::new(entities.max(grants / 2)),
            resources: Cache::new(entities),
            resource_uris: Cache::new(entities),
            roles: Cache::new(entities),
            workspaces: Cache::new(entities),
            workspace_names: Cache::new(entities),
            entitlements: Cache::new(ENTITLEMENTS),
        };
        Self {
            order: Mutex::new(Order { holder: nobody(), early: BTreeMap::new() }),
            position: AtomicU64::new(0),
            lives: AtomicU64::new(0),
            belief: belief::Belief::new(boottime),
            incarnation: Mutex::new(Incarnation([0; 16])),
            applied: tokio::sync::watch::Sender::new(Position(0)),
            changes: changes::Changes::new(),
            entries,
        }
    }

    /// Begins at what stands in the store, with nothing remembered.
    pub(crate) fn start(&self, incarnation: Incarnation, position: Position) {
        let seen = self.doubts();
        self.restart(incarnation, position);
        self.believe(seen);
    }

    /// Forgets everything and stands at `position`; believes no more than before.
    pub(crate) fn restart(&self, incarnation: Incarnation, position: Position) {
        let mut order = locked(&self.order);
        *locked(&self.incarnation) = incarnation;
        order.early.clear();
        // One that has heard nothing: the database may have gone back, which no holder does.
        order.holder = nobody();
        let to = lease_position(incarnation, position);
        self.hear(&mut order, News { from: None, to, changes: Vec::new(), grant: None });
        // After the position: who reads the new number reads the new position too.
        self.lives.fetch_add(1, Ordering::SeqCst);
    }

    /// Answers nothing until [`Self::believe`]: what was committed is not known.
    pub(crate) fn distrust(&self) {
        self.belief.doubt();
    }

    /// What to take before looking at what was committed.
    pub(crate) fn doubts(&self) -> Doubts {
        self.belief.doubts()
    }

    /// Answers again: everything committed before `seen` was taken is applied. A later doubt stays.
    pub(crate) fn believe(&self, seen: Doubts) {
        self.belief.clear(seen);
    }

    /// Whether [`Self::believe`] is needed before it answers.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.belief.is_in_doubt()
    }

    /// Answers until then, by the clock it was made with; without a lease it answers as long as it believes.
    pub(crate) fn lease_until(&self, until: Duration) {
        self.belief.lease_until(until);
    }

    /// The only way to the entries: `None` while memory may be behind.
    pub fn trust(&self) -> Option<Trusted<'_>> {
        self.belief.holds().then_some(Trusted { memory: self, entries: &self.entries })
    }

    /// Take it before a read begins whose result is to fill.
    pub(crate) fn begin(&self) -> Begun {
        let life = self.lives.load(Ordering::SeqCst);
        Begun { life, position: self.position() }
    }

    /// The position up to which changes are applied.
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::SeqCst))
    }

    /// The incarnation of the store behind it.
    pub fn incarnation(&self) -> Incarnation {
        *locked(&self.incarnation)
    }

    /// Applies committed changes; a batch that comes before its turn waits for those before it, and what is
    /// applied already (read from the feed) is passed over.
    pub(crate) fn apply(&self, batch: &[(Position, Touched)]) {
        let Some((first, _)) = batch.first() else { return };
        let mut order = locked(&self.order);
        order.early.insert(*first, batch.to_vec());
        while let Some(entry) = order.early.first_entry() {
            if entry.key().0 > self.position().0 + 1 {
                return;
            }
            let batch = entry.remove();
            let (Some(from), Some((last, _))) = (order.holder.at(), batch.last()) else { return };
            let to = lease::Position { n: last.0, ..from };
            let changes = batch.into_iter().map(|(position, touched)| (position.0, touched)).collect();
            self.hear(&mut order, News { from: Some(from), to, changes, grant: None });
        }
    }

    /// Applies news; where it stands is published last.
    fn hear(&self, order: &mut Order, news: News<Touched>) {
        let mut entries = Applying { memory: self, to: Position(news.to.n) };
        // No news carry a lease: until when memory is believed is said elsewhere.
        order.holder.hear(Moment::default(), news, &mut entries);
        let at = Position(order.holder.at().map_or(0, |at| at.n));
        self.position.store(at.0, Ordering::SeqCst);
        self.applied.send_replace(at);
    }

    /// Looks at where memory stands and at what changed lately, while neither can change.
    pub(crate) fn with_holder<T>(&self, look: impl FnOnce(&Holder<Touched>) -> T) -> T {
        look(&locked(&self.order).holder)
    }

    /// Where memory stands, and in which life of the store.
    pub fn at(&self) -> Option<lease::Position> {
        self.with_holder(Holder::at)
    }

    /// Until when it may answer, by the clock it was made with.
    pub(crate) fn believed_until(&self) -> Moment {
        self.belief.ends_at()
    }

    /// Hears of each position that memory reaches.
    pub fn positions(&self) -> tokio::sync::watch::Receiver<Position> {
        self.applied.subscribe()
    }

    /// Waits until everything up to `position` is applied.
    pub(crate) async fn applied(&self, position: Position) {
        let mut applied = self.applied.subscribe();
        drop(applied.wait_for(|at| *at >= position).await);
    }

    /// Puts a list that is equal in its place, if one is known: a grant with a list of its own takes twice the room.
    pub(crate) fn share(&self, entitlements: &mut Entitlements) {
        match self.entries.entitlements.get(entitlements) {
            Some(known) => *entitlements = known,
            None => self.entries.entitlements.insert(Arc::clone(entitlements), Arc::clone(entitlements)),
        }
    }

    /// Inserts what a read begun at `at` gave for `of`, unless something has touched it since, or so much
    /// has happened that nobody can say, or memory began anew: the database may have gone back since.
    pub(crate) fn fill(&self, at: Begun, of: Touched, insert: impl FnOnce(&Filling<'_>)) {
        let order = locked(&self.order);
        let Some(own) = order.holder.at().filter(|_| at.life == self.lives.load(Ordering::SeqCst)) else { return };
        let at = lease::Position { n: at.position.0, ..own };
        order.holder.fill(at, |changed| same_entity(*changed, of), || insert(&Filling(&self.entries)));
    }
}

/// A holder that has heard nothing. It asks nobody, so it needs no name.
const fn nobody() -> Holder<Touched> {
    Holder::new(HolderId(0), RING)
}

const fn lease_position(incarnation: Incarnation, position: Position) -> lease::Position {
    lease::Position { incarnation: lease::Incarnation(u128::from_be_bytes(incarnation.0)), n: position.0 }
}

/// Memory while it hears news that lead to a position.
struct Applying<'m> {
    memory: &'m Memory,
    to: Position,
}

impl lease::Entries<Touched> for Applying<'_> {
    fn forget(&mut self, change: &Touched) {
        self.memory.entries.drop_touched(*change);
        self.memory.changes.note(*change, self.to);
    }

    fn forget_all(&mut self) {
        // Whoever makes memory begin anew has withdrawn its belief, or has never given it.
        self.memory.entries.clear();
        self.memory.changes.note_all(self.to);
    }
}

impl Entries {
    fn drop_touched(&self, touched: Touched) {
        match touched {
            Touched::Workspace(id) => {
                self.standings.remove(&Ancestor::Workspace(id));
                self.workspaces.remove(&id);
            }
            Touched::Client(id) => {
                self.standings.remove(&Ancestor::Client(id));
                self.clients.remove(&id);
            }
            Touched::Resource(id) => drop(self.resources.remove(&id)),
            Touched::Role(id) => drop(self.roles.remove(&id)),
            Touched::User(id) => {
                self.standings.remove(&Ancestor::User(id));
                self.standings.remove(&Ancestor::Credentials(id));
                self.users.remove(&id);
            }
            Touched::Session(id) => drop(self.standings.remove(&Ancestor::Session(id))),
            Touched::Consent(id) => drop(self.standings.remove(&Ancestor::Consent(id))),
            Touched::Grant(id) => {
                self.standings.remove(&Ancestor::Grant(id));
                self.grants.remove(&id);
            }
            Touched::Token { grant, jti } => {
                if let Some(grant) = self.grants.get(&grant) {
                    grant.kill(jti);
                }
            }
        }
    }

    fn clear(&self) {
        self.standings.clear();
        self.grants.clear();
        self.standing_grants.clear();
        self.clients.clear();
        self.client_ids.clear();
        self.users.clear();
        self.resources.clear();
        self.resource_uris.clear();
        self.roles.clear();
        self.workspaces.clear();
        self.workspace_names.clear();
    }
}

/// A killed token changes what is remembered of its grant.
fn same_entity(one: Touched, other: Touched) -> bool {
    let entity = |touched| match touched {
        Touched::Token { grant, .. } => Touched::Grant(grant),
        touched => touched,
    };
    entity(one) == entity(other)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
