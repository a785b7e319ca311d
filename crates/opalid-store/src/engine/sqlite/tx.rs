//! One transaction on SQLite: every statement answers at once.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::translate;
use crate::engine::tx::{Row, Tx, Value};
use crate::error::StoreError;
use crate::feed::{self, AuditRow, Change, Incarnation};

pub(super) struct SqliteTx<'c> {
    connection: &'c mut Connection,
    failed: Option<StoreError>,
    pub changes: Vec<Change>,
    pub audits: Vec<AuditRow>,
    /// Whether the step found done what it was to do.
    pub follows: bool,
    /// The incarnation that begins with it.
    pub life: Option<Incarnation>,
}

impl<'c> SqliteTx<'c> {
    pub const fn new(connection: &'c mut Connection) -> Self {
        Self { connection, failed: None, changes: Vec::new(), audits: Vec::new(), follows: false, life: None }
    }

    /// A statement error poisons its step: later statements do not run, and the step cannot end well.
    pub fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.poisoned_by(|tx| tx.query_now(sql, values))
    }

    fn poisoned_by<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let answer = run(self);
        self.failed = answer.as_ref().err().cloned();
        answer
    }

    fn query_now(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.bound(sql, values)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut answer = Vec::new();
        while let Some(row) = rows.next().map_err(|error| translate(&error))? {
            let read = |at| row.get_ref(at).map(own).map_err(|error| translate(&error));
            answer.push(Row((0..columns).map(read).collect::<Result<_, _>>()?));
        }
        Ok(answer)
    }

    fn bound(&self, sql: &str, values: &[Value]) -> Result<CachedStatement<'_>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| translate(&error))?;
        if statement.parameter_count() != values.len() {
            return Err(StoreError::Statement(format!("{} values for: {sql}", values.len())));
        }
        for (at, value) in (1..).zip(values) {
            // SQLite numbers `$n` by first appearance; PostgreSQL by n. They must agree: tests ask, for each statement.
            if cfg!(debug_assertions) && statement.parameter_name(at) != Some(&*format!("${at}")) {
                return Err(StoreError::Statement(format!("placeholders out of order in: {sql}")));
            }
            statement.raw_bind_parameter(at, value).map_err(|error| translate(&error))?;
        }
        Ok(statement)
    }

    fn write_now(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let written = self.bound(sql, values)?.raw_execute().map_err(|error| translate(&error))?;
        Ok(u64::try_from(written).unwrap_or(u64::MAX))
    }

    pub fn write_audit(&mut self) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        for row in std::mem::take(&mut self.audits) {
            self.poisoned_by(|tx| tx.write_now(feed::INSERT_AUDIT, &row.values()))?;
        }
        Ok(())
    }
}

fn own(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(_) => Value::Null,
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Tx for SqliteTx<'_> {
    async fn run(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.query(sql, values)
    }

    async fn run_locking(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.query(sql, values)
    }

    async fn write(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, StoreError> {
        self.poisoned_by(|tx| tx.write_now(sql, values))
    }

    async fn send(&mut self, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        self.write(sql, values).await.map(drop)
    }

    fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    fn follow_feed(&mut self) {
        // The one writer brings memory up to date before it takes the next steps; others may know less yet.
        self.follows = true;
    }

    fn begin_life(&mut self, incarnation: Incarnation) {
        self.life = Some(incarnation);
    }

    fn audit(&mut self, row: AuditRow) {
        self.audits.push(row);
    }
}
