//! A SQLite file that no server has open.

use super::tables::{Cell, Row, Rows, Tables};
use anyhow::{Context, Result, bail};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The file.
pub struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens it for fast writing: what is half written after a crash is thrown away.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        let fast = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;";
        connection.execute_batch(fast)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = MEMORY", [], |row| row.get(0))?;
        if mode != "memory" {
            bail!("{} is still in use: journal mode {mode}", path.display());
        }
        Ok(Self { connection, path: path.to_owned() })
    }
}

impl Tables for Database {
    fn query(&mut self, sql: &str, value: Option<&[u8]>) -> Result<Vec<Row>> {
        let mut statement = self.connection.prepare(sql)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(params_from_iter(value))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns.len()).map(|at| own(row.get_ref(at)?)).collect::<Result<_>>()?;
            found.push(Row { columns: columns.clone(), cells });
        }
        Ok(found)
    }

    fn append(&mut self, table: &str, columns: &[String], rows: Rows<'_>) -> Result<()> {
        let places: Vec<_> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", columns.join(", "), places.join(", "));
        let transaction = self.connection.transaction()?;
        let mut statement = transaction.prepare(&sql)?;
        for row in rows {
            statement.execute(params_from_iter(&row)).with_context(|| table.to_owned())?;
        }
        drop(statement);
        Ok(transaction.commit()?)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(File::open(&self.path)?.sync_all()?)
    }
}

fn own(value: ValueRef<'_>) -> Result<Cell> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Text(_) => Cell::Text(value.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
        ValueRef::Real(_) => bail!("a number that is no integer"),
    })
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
