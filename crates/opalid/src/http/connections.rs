//! Every open connection: what it waits for, since when, and when it must give way.
//!
//! Time here is a count of ticks, one a second, that the listener moves; a connection only notes the count, so the
//! time-outs of heads and idle connections cost no timer and no clock per request.
//!
//! Holds: never more than `most` connections; who has most of them gives way first, whatever those do; a connection that
//! works on a request ends it first, unless that request is older than `PATIENCE`; a connection is never closed before
//! its time.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::held::Held;
use super::limits::ConnectionLimits;
use super::takeover::Takeover;

/// Ticks after which a request under way gives way to a new connection.
const PATIENCE: u32 = 3;

/// What a connection is told to do; what comes later is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Serve,
    /// Finish the request under way, then close.
    Finish,
    /// Close now if it waits for its client.
    GiveWay,
    /// Close now.
    Close,
}

const ORDERS: [Order; 4] = [Order::Serve, Order::Finish, Order::GiveWay, Order::Close];

/// One connection.
pub(super) struct Connection {
    table: Arc<Connections>,
    id: u64,
    from: IpAddr,
    /// The tick of its last change: accepted, first byte of a request, request begun, last answer.
    since: AtomicU32,
    /// Requests under way.
    requests: AtomicU32,
    /// How many of them have a body of which the rest has not come.
    bodies: AtomicU32,
    /// Whether bytes of a request have come since the last answer; true at first, for the handshake.
    sending: AtomicBool,
    order: AtomicU8,
    pub(super) called: Notify,
    /// Whether it was taken over from HTTP: it is not idle then, and gives way to nobody.
    pub(super) takeover: Takeover,
}

/// All of them.
pub(super) struct Connections {
    limits: ConnectionLimits,
    tick: AtomicU32,
    /// Connections that were taken over.
    taken: AtomicUsize,
    /// The tick after the one in which a line was last logged.
    logged: AtomicU32,
    open: Mutex<Open>,
    /// Somebody may accept again, or has nobody left to wait for.
    changed: Notify,
}

#[derive(Default)]
struct Open {
    by_id: HashMap<u64, Arc<Connection>>,
    next_id: u64,
    ending: Option<Order>,
}

/// Whether a connection works on a request, in the order in which they give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Works {
    /// It waits for its client.
    Not,
    /// For longer than `PATIENCE`.
    Long,
    /// It may be answered any moment.
    Now,
}

impl Works {
    /// What makes room.
    const fn order(self) -> Order {
        match self {
            Self::Not => Order::GiveWay,
            Self::Long => Order::Close,
            Self::Now => Order::Finish,
        }
    }
}

/// A request under way, for as long as it is held.
pub(super) struct Request(Arc<Connection>);

/// A connection's place in the table, for as long as it is held.
pub(super) struct Place(pub(super) Arc<Connection>);

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            tick: AtomicU32::new(0),
            taken: AtomicUsize::new(0),
            logged: AtomicU32::new(0),
            open: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(super) const fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open().by_id.len()
    }

    /// Connections that were told to go.
    #[cfg(test)]
    pub(super) fn told(&self) -> usize {
        self.open().by_id.values().filter(|one| one.order.load(Relaxed) > 0).count()
    }

    /// Connections that work on a request.
    #[cfg(test)]
    pub(super) fn working(&self) -> usize {
        self.open().by_id.values().filter(|connection| !connection.waits()).count()
    }

    /// Bodies that wait for their client.
    #[cfg(test)]
    pub(super) fn stalled(&self) -> u32 {
        self.open().by_id.values().map(|connection| connection.bodies.load(Relaxed)).sum()
    }

    #[cfg(test)]
    pub(super) fn any_sends(&self) -> bool {
        self.open().by_id.values().any(|connection| connection.sending.load(Relaxed))
    }

    /// Takes a place for a connection just accepted.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Place {
        let mut open = self.open();
        let id = open.next_id;
        open.next_id += 1;
        let order = open.ending.unwrap_or(Order::Serve);
        let connection = Arc::new(Connection {
            table: Arc::clone(self),
            id,
            from,
            since: AtomicU32::new(self.tick.load(Relaxed)),
            requests: AtomicU32::new(0),
            bodies: AtomicU32::new(0),
            sending: AtomicBool::new(true),
            order: AtomicU8::new(Order::Serve as u8),
            called: Notify::new(),
            takeover: Takeover::default(),
        });
        if order != Order::Serve {
            connection.tell(order);
        }
        open.by_id.insert(id, Arc::clone(&connection));
        Place(connection)
    }

    /// Returns when there is room for one more connection, having closed others if it must.
    pub(super) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            if self.open().by_id.len() < self.limits.most {
                return;
            }
            self.make_room();
            changed.await;
        }
    }

    /// Makes room and waits until a connection has closed, or for `pause`.
    pub(super) async fn relief(&self, pause: Duration) {
        let changed = self.changed.notified();
        self.make_room();
        _ = tokio::time::timeout(pause, changed).await;
    }

    /// Whether nothing was logged in this second yet: a flood of connections must not become one of lines.
    pub(super) fn worth_a_line(&self) -> bool {
        let second = self.tick.load(Relaxed).wrapping_add(1);
        self.logged.swap(second, Relaxed) != second
    }

    /// Tells a share of the connections to give way: of those who have most, those that have waited for their client
    /// longest, then those whose requests are old, then the others once they have answered.
    fn make_room(&self) {
        let now = self.tick.load(Relaxed);
        let open = self.open();
        let mut held = Held::default();
        for connection in open.by_id.values() {
            held.count(connection.from);
        }
        let mut candidates: Vec<_> = open
            .by_id
            .values()
            .filter(|of| !of.takeover.is_taken())
            .map(|of| (Reverse(held.too_many(of.from)), of.works(now), of.since.load(Relaxed), of))
            // Whoever was told so already is on the way.
            .filter(|(_, works, _, of)| of.order.load(Relaxed) < works.order() as u8)
            .map(|(many, works, since, of)| (many, works, since, of.id))
            .collect();
        let share = (open.by_id.len() / 32).max(1).min(candidates.len());
        if share == 0 {
            return;
        }
        candidates.select_nth_unstable(share - 1);
        if self.worth_a_line() {
            let connections = open.by_id.len();
            tracing::warn!(connections, closing = share, "too many connections, closing some");
        }
        for (_, works, _, id) in candidates.into_iter().take(share) {
            if let Some(connection) = open.by_id.get(&id) {
                connection.tell(works.order());
            }
        }
    }

    /// A second has passed: closes what has been idle, or sending a head, for too long.
    pub(super) fn tick(&self) {
        let now = self.tick.fetch_add(1, Relaxed) + 1;
        for connection in self.open().by_id.values() {
            connection.check(now, &self.limits);
        }
        self.changed.notify_waiters();
    }

    /// Closes idle connections now and the others after the requests under way; after `drain_time` all of them.
    pub(super) async fn drain(&self) {
        self.order_all(Order::Finish);
        if tokio::time::timeout(self.limits.drain_time, self.empty()).await.is_err() {
            tracing::warn!("requests did not finish in time and are cut off");
            self.order_all(Order::Close);
            self.empty().await;
        }
    }

    fn order_all(&self, order: Order) {
        let mut open = self.open();
        open.ending = Some(order);
        for connection in open.by_id.values() {
            connection.tell(order);
        }
    }

    async fn empty(&self) {
        loop {
            let changed = self.changed.notified();
            if self.open().by_id.is_empty() {
                return;
            }
            changed.await;
        }
    }
}

impl Connection {
    /// A request has come whole but for its body.
    pub(super) fn begin(self: &Arc<Self>) -> Request {
        if self.requests.fetch_add(1, Relaxed) == 0 {
            self.since.store(self.table.tick.load(Relaxed), Relaxed);
        }
        Request(Arc::clone(self))
    }

    /// Bytes have come from the client.
    pub(super) fn bytes_came(&self) {
        if self.is_between_requests() && !self.sending.load(Relaxed) {
            self.since.store(self.table.tick.load(Relaxed), Relaxed);
            self.sending.store(true, Relaxed);
        }
    }

    /// Room for one more connection that is taken over from HTTP: no more than half of all.
    pub(super) fn room_for_takeover(&self) -> bool {
        let is_room = self.table.taken.fetch_add(1, Relaxed) < self.table.limits.most / 2;
        if !is_room {
            self.table.taken.fetch_sub(1, Relaxed);
        }
        is_room
    }

    /// What it is told to do now. A connection told to give way that has a request by now answers that one first.
    pub(super) fn order(&self) -> Order {
        let order = ORDERS.get(usize::from(self.order.load(Relaxed))).copied().unwrap_or(Order::Close);
        match order {
            Order::GiveWay if !self.waits() => Order::Finish,
            other => other,
        }
    }

    /// Everything asked is answered: its time as an idle connection begins.
    pub(super) fn rests(&self) {
        self.sending.store(false, Relaxed);
        self.since.store(self.table.tick.load(Relaxed), Relaxed);
    }

    fn is_between_requests(&self) -> bool {
        self.requests.load(Relaxed) == 0
    }

    /// A body begins to wait for its client, or goes on.
    pub(super) fn body_waits(&self, waits: bool) {
        if waits {
            self.bodies.fetch_add(1, Relaxed);
        } else {
            self.bodies.fetch_sub(1, Relaxed);
        }
    }

    /// Whether nothing but its client is waited for.
    fn waits(&self) -> bool {
        self.bodies.load(Relaxed) >= self.requests.load(Relaxed)
    }

    fn works(&self, now: u32) -> Works {
        match (self.waits(), self.age(now) >= PATIENCE) {
            (true, _) => Works::Not,
            (false, true) => Works::Long,
            (false, false) => Works::Now,
        }
    }

    fn age(&self, now: u32) -> u32 {
        now.saturating_sub(self.since.load(Relaxed))
    }

    fn tell(&self, order: Order) {
        self.order.store(order as u8, Relaxed);
        self.called.notify_one();
    }

    fn check(&self, now: u32, limits: &ConnectionLimits) {
        if !self.is_between_requests() || self.takeover.is_taken() {
            return;
        }
        let sending = self.sending.load(Relaxed);
        let limit = if sending { limits.head_time } else { limits.idle_time };
        let limit = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
        let age = self.age(now);
        if age <= limit {
            return;
        }
        // Idle is closed politely (GOAWAY on HTTP/2); what does not close by itself then is closed.
        let polite = !sending && age <= limit.saturating_add(PATIENCE);
        self.tell(if polite { Order::Finish } else { Order::GiveWay });
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Relaxed) == 1 {
            self.0.rests();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let table = &self.0.table;
        if self.0.takeover.is_taken() {
            table.taken.fetch_sub(1, Relaxed);
        }
        table.open().by_id.remove(&self.0.id);
        table.changed.notify_waiters();
    }
}
