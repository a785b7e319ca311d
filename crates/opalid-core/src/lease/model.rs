//! The protocol in small worlds: nodes, verifiers, a store, a wire that delays, loses and reorders, clocks that differ.
//!
//! [`search`] visits every state of a small world, [`simulate`] walks at random through larger ones, [`heal`] lets faults end. The
//! machines are those of the parent module, unchanged. A [`Mutant`] is one clause left out: each must be caught.

mod act;
mod calls;
mod heal;
mod nodes;
mod parts;
mod search;
mod simulate;
mod tests;
mod verifiers;
mod world;

/// One clause of the protocol, left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    AcknowledgeBeforeApply,
    LeaseCountedFromAnswer,
    GapIgnored,
    FillWithoutRing,
    RingAndInsertApart,
    PositionAfterEvaluating,
    EntryBeforeLease,
    NodeLeaseShorter,
    RestartForgetsVerifiers,
    FormerRowReused,
    RowsReadBeforeCommit,
    SweptByOldSight,
    JoinInOneTransaction,
    RepetitionAnsweredAtOnce,
    OwnCommitMovesPastOthers,
    ReadAcrossIncarnations,
    RestoreWithoutGhost,
    TagKeyPerConnection,
    NotFinalKeptAsFinal,
    AheadIsFinal,
    LateAnswerServesNewCheck,
    NoMargin,
    ClockStopsInSuspend,
    LeaseBelievedBeforeForgetting,
    LeftButStillBelieving,
    LateGrantAfterLeaving,
}

/// How often something may happen in one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Budget {
    ticks: u8,
    calls: u8,
    checks: u8,
    direct: u8,
    asks: u8,
    renewals: u8,
    restarts: u8,
    others: u8,
    mints: u8,
    narrows: u8,
    moves: u8,
    restores: u8,
    suspends: u8,
    sweeps: u8,
    leaves: u8,
    pushes: u8,
}

/// How a history begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// Nobody has done anything.
    Cold,
    /// Everybody has a lease.
    Leased,
    /// And remembers the token.
    Remembering,
}

/// A world to search: who is in it, and what may happen.
#[derive(Debug, Clone)]
struct Shape {
    name: &'static str,
    /// The rate of each node's clock, and of each verifier's.
    nodes: Vec<u64>,
    verifiers: Vec<u64>,
    node_lease: u64,
    verifier_lease: u64,
    margin: super::Margin,
    ring: usize,
    /// How many asks and news of one verifier are under way at most.
    in_flight: usize,
    begins: Begins,
    budget: Budget,
    mutant: Option<Mutant>,
}

impl Shape {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
