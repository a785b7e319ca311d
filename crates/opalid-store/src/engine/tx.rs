//! What a step sees of an engine: SQL text and values in, rows out.
//!
//! One SQL text serves both engines. Placeholders are `$1, $2, …` in the order of their first appearance;
//! what engines do differently is a named method here, and nothing outside `engine/` asks which it is.

use std::future::Future;

use crate::error::StoreError;
use crate::feed::{AuditRow, Change, Incarnation};

/// A value on its way to a statement or out of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer of 64 bits.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

macro_rules! into_value {
    ($($from:ty: $value:ident => $made:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self { $made }
        }
    )*};
}

into_value! {
    i64: v => Value::Int(v);
    u32: v => Value::Int(i64::from(v));
    bool: v => Value::Int(i64::from(v));
    &str: v => Value::Text(v.to_owned());
    String: v => Value::Text(v);
    &[u8]: v => Value::Blob(v.to_vec());
    Vec<u8>: v => Value::Blob(v);
    &[u8; 16]: v => Value::Blob(v.to_vec());
    &[u8; 12]: v => Value::Blob(v.to_vec());
    &[u8; 8]: v => Value::Blob(v.to_vec());
    &[u8; 32]: v => Value::Blob(v.to_vec());
    opalid_core::time::UnixTime: v => Value::Int(v.0);
    opalid_core::grant::Epoch: v => Value::Int(i64::from(v.0));
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer. Reading a column as what it is not is `StoreError::Corrupt`.
#[derive(Debug, Clone)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    fn wrong(column: usize, expected: &str) -> StoreError {
        StoreError::Corrupt(format!("column {column} is not {expected}"))
    }

    /// A column that holds an integer.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err(Self::wrong(column, "an integer")),
        }
    }

    /// A column that holds an integer that fits 32 bits.
    pub fn u32(&self, column: usize) -> Result<u32, StoreError> {
        u32::try_from(self.int(column)?).map_err(|_| Self::wrong(column, "a 32-bit integer"))
    }

    /// A column that holds an epoch.
    pub fn epoch(&self, column: usize) -> Result<opalid_core::grant::Epoch, StoreError> {
        self.u32(column).map(opalid_core::grant::Epoch)
    }

    /// A column that holds 0 or 1.
    pub fn bool(&self, column: usize) -> Result<bool, StoreError> {
        self.int(column).map(|value| value != 0)
    }

    /// A column that holds a point in time.
    pub fn time(&self, column: usize) -> Result<opalid_core::time::UnixTime, StoreError> {
        self.int(column).map(opalid_core::time::UnixTime)
    }

    /// A column that holds a text.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(Self::wrong(column, "a text")),
        }
    }

    /// A column that holds bytes.
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        match self.0.get(column) {
            Some(Value::Blob(value)) => Ok(value),
            _ => Err(Self::wrong(column, "bytes")),
        }
    }

    /// A column that holds exactly `N` bytes.
    pub fn bytes<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        self.blob(column)?.try_into().map_err(|_| Self::wrong(column, "bytes of the right length"))
    }

    /// A column that holds an id.
    pub fn id<T: for<'a> TryFrom<&'a [u8]>>(&self, column: usize) -> Result<T, StoreError> {
        T::try_from(self.blob(column)?).map_err(|_| Self::wrong(column, "an id"))
    }

    /// A column that holds a JSON document.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Whether a column is NULL.
    pub fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get(column), Some(Value::Null))
    }

    /// `read` of a column, unless it is NULL.
    pub fn opt<'r, T>(
        &'r self,
        column: usize,
        read: impl FnOnce(&'r Self, usize) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if self.is_null(column) { Ok(None) } else { read(self, column).map(Some) }
    }
}

/// One transaction of a step.
pub trait Tx: Send {
    /// Runs a statement and awaits its rows.
    fn run(&mut self, sql: &'static str, values: &[Value])
    -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs a SELECT that keeps others from changing its rows until this transaction ends.
    fn run_locking(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs a statement that gives no rows and awaits how many it wrote: cheaper than to ask for them back.
    fn write(&mut self, sql: &'static str, values: &[Value]) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Runs a statement whose answer is not needed; a failure shows at the next `run` or at COMMIT.
    fn send(&mut self, sql: &'static str, values: &[Value]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts a change into the feed, in this transaction.
    fn change(&mut self, change: Change);

    /// For a step that writes nothing because another has done it: it is answered once memory has followed all that
    /// was committed before, that other step among it.
    fn follow_feed(&mut self);

    /// From this transaction on the store is in another incarnation: whoever knows the former one changes nothing any more.
    fn begin_life(&mut self, incarnation: Incarnation);

    /// Puts a row into the audit log, in this transaction.
    fn audit(&mut self, row: AuditRow);

    /// The one row of a statement that gives at most one.
    fn find(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        async move { Ok(self.run(sql, values).await?.into_iter().next()) }
    }
}

/// One step of the protocol: one transaction, written once for every engine. Ids, times and randomness are
/// inputs, so that it can simply be run again. What must persist is `Ok`; `Err` rolls everything back.
pub trait Step: Send + Sync + 'static {
    /// What it gives.
    type Out: Send + 'static;

    /// Whether it always enters the feed; such steps are grouped.
    const ENTERS_FEED: bool = false;

    /// Runs it.
    fn run<T: Tx>(&self, tx: &mut T) -> impl Future<Output = Result<Self::Out, StoreError>> + Send;
}
