//! Connections: opened within bounds, few, their settings made ours, their errors translated.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use super::address::{Address, Ear};
use super::node::LISTEN;
use crate::engine::tx::{Row, Value};
use crate::error::StoreError;

/// How long a connection may take to stand while callers wait for it.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_millis(700);
/// How long at the start, when nobody waits: a password costs both sides thousands of hashes (SCRAM), and all servers of
/// a machine may be starting at once.
const START_WITHIN: Duration = Duration::from_secs(10);

/// What every connection sets for itself, whatever the server or its role says, now or later. Only a database that
/// its operator lets nobody write to stays so.
///
/// The keep-alives let the server find out within seconds that this machine is gone, and free its lock. Statements have no time-out outside transactions: one that struck `BEGIN` would leave what was sent right
/// behind it to run on its own. Each transaction sets its own, longer than any caller waits.
const SETTINGS: &str = "
    SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off;
    SET client_encoding = 'UTF8'; SET statement_timeout = 0; SET lock_timeout = 300;
    SET idle_in_transaction_session_timeout = 5000; SET idle_session_timeout = 0;
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
    SELECT set_config('synchronous_commit',
        CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)";

/// One connection and the statements prepared on it.
pub(super) struct Session {
    pub client: Arc<Client>,
    statements: HashMap<(&'static str, bool), Statement>,
}

/// Makes connections, and never more of them at once than it was told.
///
/// One that was given up counts until it has really ended: a server that hangs still has it, and would be filled
/// with others.
pub(super) struct Connector {
    address: Address,
    places: Arc<Semaphore>,
    ear: Option<Ear>,
}

/// A name as SQL takes it, for statements that are advised.
fn quoted(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_plain = name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit());
    if is_plain && !name.is_empty() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

impl Connector {
    /// For at most `places` connections.
    pub fn new(address: Address, places: usize) -> Self {
        Self { address, places: Arc::new(Semaphore::new(places)), ear: None }
    }

    /// The same, whose connections hear of what is new.
    pub fn listening(self, ear: Ear) -> Self {
        Self { ear: Some(ear), ..self }
    }

    /// Connects. The caller bounds how long it waits for a place.
    pub async fn open(&self) -> Result<Session, StoreError> {
        self.open_within(CONNECT_WITHIN).await
    }

    /// Connects at the start.
    pub async fn open_at_start(&self) -> Result<Session, StoreError> {
        self.open_within(START_WITHIN).await
    }

    /// What a connection that was refused means, and what to do, where that can be said.
    fn explain(&self, error: &tokio_postgres::Error) -> Option<String> {
        const PASSWORD: &str = "database_password (OPALID_DATABASE_PASSWORD or OPALID_DATABASE_PASSWORD_FILE)";
        let (places, (role, database)) = (self.address.places(), self.address.role_and_database());
        if let Some(reported) = error.as_db_error() {
            let said = describe(reported);
            return match *reported.code() {
                SqlState::INVALID_PASSWORD => {
                    Some(format!("{said}; the password of role {role} is that of {PASSWORD}"))
                }
                SqlState::INVALID_CATALOG_NAME => {
                    Some(format!("{said}; make it there: CREATE DATABASE {} OWNER {}", quoted(database), quoted(role)))
                }
                _ => None,
            };
        }
        let source = std::error::Error::source(error)?;
        if source.to_string().contains("password missing") {
            return Some(format!("PostgreSQL at {places} asks for the password of role {role}; set {PASSWORD}"));
        }
        let refused = source.downcast_ref::<std::io::Error>()?;
        Some(format!("no PostgreSQL answers at {places}, where the setting database says that it is: {refused}"))
    }

    /// What a statement at the start that was not allowed means, and what to do.
    pub(super) fn explain_rights(&self, error: StoreError) -> StoreError {
        let StoreError::Statement(said) = error else { return error };
        if !said.contains(SqlState::INSUFFICIENT_PRIVILEGE.code()) {
            return StoreError::Statement(said);
        }
        let (role, database) = self.address.role_and_database();
        let (role, database) = (quoted(role), quoted(database));
        StoreError::Refused(format!(
            "{said}; role {role} has to make tables in database {database} and own them; as a superuser: ALTER DATABASE \
             {database} OWNER TO {role} (or, in it, GRANT CREATE ON SCHEMA public TO {role}), and for tables that another \
             role made: REASSIGN OWNED BY that_role TO {role}"
        ))
    }

    async fn open_within(&self, within: Duration) -> Result<Session, StoreError> {
        let closed = |_| StoreError::Unavailable("the store is closed".into());
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(closed)?;
        let opened = tokio::time::timeout(within, async {
            let client = self.address.connect(place, self.ear.clone()).await?;
            client.batch_execute(SETTINGS).await?;
            if self.ear.is_some() {
                client.batch_execute(LISTEN).await?;
            }
            Ok(client)
        });
        let client = opened.await.map_err(|_| slow())?.map_err(|error| match translate(&error) {
            StoreError::Statement(why) | StoreError::Unavailable(why) => {
                StoreError::Unavailable(self.explain(&error).unwrap_or(why))
            }
            other => other,
        })?;
        Ok(Session { client: Arc::new(client), statements: HashMap::new() })
    }
}

impl Session {
    /// Whether the server is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The prepared form of a statement, if it is known.
    pub fn known(&self, sql: &'static str, locking: bool) -> Option<Statement> {
        self.statements.get(&(sql, locking)).cloned()
    }

    /// Prepares a statement; parameters have the types of their values.
    pub async fn prepare(
        &mut self,
        sql: &'static str,
        locking: bool,
        values: &[Value],
    ) -> Result<Statement, tokio_postgres::Error> {
        let types: Vec<Type> = values.iter().map(type_of).collect();
        let statement = if locking {
            self.client.prepare_typed(&format!("{sql} FOR UPDATE"), &types).await?
        } else {
            self.client.prepare_typed(sql, &types).await?
        };
        self.statements.insert((sql, locking), statement.clone());
        Ok(statement)
    }

    /// Runs one statement in a transaction of its own.
    pub async fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(sql, false, values).await.map_err(|error| translate(&error))?;
        let rows = self.client.query_raw(&statement, values.iter()).await;
        let rows = rows.map_err(|error| translate(&error))?;
        let rows: Vec<_> = futures_util::TryStreamExt::try_collect(rows).await.map_err(|error| translate(&error))?;
        rows.iter().map(|row| own(row).map_err(|error| translate(&error))).collect()
    }
}

const fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Int(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Blob(_) => Type::BYTEA,
    }
}

/// A row as steps see it.
pub(super) fn own(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    (0..row.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>().map(Row)
}

/// Fails after `within`: nobody waits for a slow server for long.
pub(super) async fn bounded<T>(
    within: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(within, work).await.map_err(|_| slow())?
}

fn slow() -> StoreError {
    StoreError::Unavailable("the database did not answer in time".into())
}

/// Whether the server said that it did nothing: only then is it known what became of a COMMIT.
pub(super) fn is_certain(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| error.parsed_severity() == Some(Severity::Error))
}

/// What an error means to a step.
pub(super) fn translate(error: &tokio_postgres::Error) -> StoreError {
    let Some(reported) = error.as_db_error() else {
        let text = std::error::Error::source(error).map_or_else(|| error.to_string(), |s| format!("{error}: {s}"));
        return if error.is_closed() { StoreError::Unavailable(text) } else { StoreError::Statement(text) };
    };
    let text = describe(reported);
    let code = reported.code();
    // Waiting too long for a lock is most often a deadlock that the server has not looked for yet: its own
    // search begins later than anyone here waits.
    let met = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::LOCK_NOT_AVAILABLE];
    if met.contains(code) {
        return StoreError::Serialization(text);
    }
    if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) {
        return StoreError::Corrupt(text);
    }
    // Connection, rights to connect, resources, locks, an operator's hand, the system; a server that only
    // reads; a transaction that was ended for idling.
    let class = code.code().get(..2).unwrap_or_default();
    let passing = ["08", "28", "53", "55", "57", "58", "3D"].contains(&class)
        || [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT].contains(code);
    if passing { StoreError::Unavailable(text) } else { StoreError::Statement(text) }
}

fn describe(error: &DbError) -> String {
    format!("PostgreSQL {}: {}", error.code().code(), error.message())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::STEP_WITHIN;
    use super::super::pool::Pool;
    use super::*;

    /// A server that takes connections and says nothing, and its address.
    async fn silent() -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = Address::parse(&format!("postgres://nobody@127.0.0.1:{port}/x"), None).unwrap();
        (listener, address)
    }

    /// The clock of these tests is tokio's own, which stands still while anything is left to do.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_a_second_for_a_server_that_says_nothing() {
        let (_listener, address) = silent().await;
        let pool = Pool::new(address, 1);
        for _ in 0..3 {
            let begun = tokio::time::Instant::now();
            let taken = bounded(STEP_WITHIN, pool.take()).await.map(drop);
            assert!(matches!(taken, Err(StoreError::Unavailable(_))), "{taken:?}");
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
    }
}
