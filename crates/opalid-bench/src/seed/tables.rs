//! Rows of any table, as they are read and written here.

use anyhow::{Context, Result, bail};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A row with the names of its columns.
#[derive(Clone, Debug)]
pub struct Row {
    /// The columns' names.
    pub columns: Vec<String>,
    /// Their values, in the same order.
    pub cells: Vec<Cell>,
}

impl Row {
    /// Where a column stands.
    pub fn at(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column == name).with_context(|| format!("no column {name}"))
    }

    /// The bytes in a column.
    pub fn blob(&self, name: &str) -> Result<&[u8]> {
        match self.cells.get(self.at(name)?) {
            Some(Cell::Blob(bytes)) => Ok(bytes),
            other => bail!("{name} holds {other:?}"),
        }
    }

    /// The 16 bytes in a column.
    pub fn id(&self, name: &str) -> Result<[u8; 16]> {
        self.blob(name)?.try_into().with_context(|| format!("{name} is no id"))
    }
}

/// Rows to write.
pub type Rows<'a> = &'a mut dyn Iterator<Item = Vec<Cell>>;

/// A database that no server has open.
pub trait Tables {
    /// What a query gives; `$1` is the one value.
    fn query(&mut self, sql: &str, value: Option<&[u8]>) -> Result<Vec<Row>>;
    /// Adds rows to a table.
    fn append(&mut self, table: &str, columns: &[String], rows: Rows<'_>) -> Result<()>;
    /// Brings everything to the disk, so that nothing is left to be written while others are measured.
    fn finish(&mut self) -> Result<()>;

    /// The one row of a query.
    fn one(&mut self, sql: &str, value: Option<&[u8]>) -> Result<Row> {
        let mut rows = self.query(sql, value)?;
        match (rows.pop(), rows.len()) {
            (Some(row), 0) => Ok(row),
            (row, more) => bail!("{} rows and not one: {sql}", more + usize::from(row.is_some())),
        }
    }
}
