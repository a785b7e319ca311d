//! What can go wrong with durable state. None of it is ever a verdict.

/// A store that could not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or cannot write now: nothing was done, or it is not known whether it was.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Too much is asked of it that anybody may ask; it is well, and the read was not begun.
    #[error("too much is asked for that is not known here")]
    Crowded,
    /// Two transactions met; run it again. Engines do so themselves.
    #[error("two transactions met: {0}")]
    Serialization(String),
    /// What it holds is not what we wrote.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
    /// The store was put back from a copy since this node read it: nothing was done.
    #[error("the store was put back from a copy since")]
    AnotherLife,
    /// It cannot be opened, for a reason that a person has to remove.
    #[error("{0}")]
    Refused(String),
    /// A statement that cannot be right: a fault of ours.
    #[error("a fault in a statement: {0}")]
    Statement(String),
}

/// An outage is not a verdict.
pub type Outage = StoreError;
