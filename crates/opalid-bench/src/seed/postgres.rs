//! A PostgreSQL database that no server owns at the moment.

use super::tables::{Cell, Row, Rows, Tables};
use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use std::error::Error;
use std::pin::pin;
use tokio::runtime::Runtime;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

/// The database.
pub struct Database {
    runtime: Runtime,
    client: Client,
}

impl Database {
    /// Connects.
    pub fn open(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// Runs a statement that no transaction may hold.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.runtime.block_on(self.client.batch_execute(sql)).with_context(|| sql.to_owned())
    }
}

impl Tables for Database {
    fn query(&mut self, sql: &str, value: Option<&[u8]>) -> Result<Vec<Row>> {
        let values: Vec<&(dyn ToSql + Sync)> = value.iter().map(|value| value as _).collect();
        let rows = self.runtime.block_on(self.client.query(sql, &values))?;
        let own_row = |row: &tokio_postgres::Row| {
            let columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
            let cells = (0..row.len()).map(|at| own(row, at)).collect::<Result<_>>()?;
            Ok(Row { columns, cells })
        };
        rows.iter().map(own_row).collect()
    }

    fn append(&mut self, table: &str, columns: &[String], rows: Rows<'_>) -> Result<()> {
        let Self { runtime, client } = self;
        let columns = columns.join(", ");
        runtime.block_on(async {
            let shape = client.prepare(&format!("SELECT {columns} FROM {table}")).await?;
            let types: Vec<Type> = shape.columns().iter().map(|column| column.type_().clone()).collect();
            let copy = format!("COPY {table} ({columns}) FROM STDIN BINARY");
            let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(&copy).await?, &types));
            for row in rows {
                writer.as_mut().write_raw(&row).await?;
            }
            writer.finish().await?;
            Ok(())
        })
    }

    fn finish(&mut self) -> Result<()> {
        self.execute("VACUUM ANALYZE")?;
        self.execute("CHECKPOINT")
    }
}

fn own(row: &tokio_postgres::Row, at: usize) -> Result<Cell> {
    let kind = row.columns().get(at).context("no such column")?.type_();
    Ok(match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map_or(Cell::Null, Cell::Int),
        Type::TEXT => row.try_get::<_, Option<String>>(at)?.map_or(Cell::Null, Cell::Text),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.map_or(Cell::Null, Cell::Blob),
        _ => bail!("a column of type {kind}"),
    })
}

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Blob(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}
