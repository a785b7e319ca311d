//! The ground that everyone stands on: a folder on the disk that is meant, databases in the PostgreSQL that is meant.
//!
//! Holds: what is made here is removed with it.

use crate::floor::sqlite::Folder;
use crate::floor::{self, Work};
use crate::load::Shape;
use crate::opalid::Place;
use crate::plan::{Options, Plan};
use crate::seed::Database;
use crate::stats::Sample;
use anyhow::{Context, Result};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;

/// The ground.
pub struct Ground {
    program: Option<PathBuf>,
    pin: Option<usize>,
    pool: usize,
    folder: Folder,
    postgres: Option<String>,
    databases: RefCell<Vec<String>>,
    made: Cell<usize>,
}

impl Ground {
    /// Makes the folder.
    pub fn new(options: &Options, plan: &Plan) -> Result<Self> {
        let (program, postgres) = (options.opalid.clone(), options.postgres.clone());
        let folder = Folder::under(&std::path::absolute(&options.data)?)?;
        let (databases, made) = (RefCell::default(), Cell::new(0));
        Ok(Self { program, pin: plan.pin, pool: options.floor_pool, folder, postgres, databases, made })
    }

    /// Whether there is an Opalid to measure.
    pub const fn has_opalid(&self) -> bool {
        self.program.is_some()
    }

    /// Room for one more Opalid.
    pub fn place(&self, demo: bool) -> Result<Place> {
        let program = self.program.clone().context("no program: --opalid")?;
        let name = self.fresh_name();
        let database = self.fresh_database(&name)?;
        Ok(Place { program, data: self.folder.0.join(name), database, demo, cpu: self.pin })
    }

    /// Room for a floor with HTTP.
    pub fn floor_with_http(&self, work: Work) -> Result<floor::http::Place> {
        let name = self.fresh_name();
        let data = self.folder.0.join(&name);
        std::fs::create_dir(&data)?;
        Ok(floor::http::Place { data, database: self.fresh_database(&name)?, pool: self.pool, work })
    }

    /// Measures the floor of this engine.
    pub fn measure_floor(&self, shape: Shape) -> Result<Sample> {
        match &self.postgres {
            Some(url) => floor::postgres::run(url, shape, self.pool),
            None => floor::sqlite::run(&self.folder.0, shape, self.pin),
        }
    }

    /// What that floor is called.
    pub const fn floor_name(&self) -> &'static str {
        if self.postgres.is_some() { "floor-postgres" } else { "floor-sqlite" }
    }

    /// What the floor with HTTP is called.
    pub const fn floor_with_http_name(&self) -> &'static str {
        if self.postgres.is_some() { "floor-postgres with HTTP" } else { "floor-sqlite with HTTP" }
    }

    fn fresh_name(&self) -> String {
        self.made.set(self.made.get() + 1);
        format!("opalid_bench_{}_{}", std::process::id(), self.made.get())
    }

    fn fresh_database(&self, name: &str) -> Result<Option<String>> {
        let Some(server) = &self.postgres else { return Ok(None) };
        Database::open(server)?.execute(&format!("CREATE DATABASE {name}"))?;
        self.databases.borrow_mut().push(name.to_owned());
        Ok(Some(in_server(server, name)))
    }

    fn drop_databases(&self, server: &str) -> Result<()> {
        let database = Database::open(server)?;
        let names = self.databases.take();
        names.iter().try_for_each(|name| database.execute(&format!("DROP DATABASE {name} WITH (FORCE)")))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(server) = &self.postgres
            && let Err(error) = self.drop_databases(server)
        {
            eprintln!("databases called opalid_bench_{}_… are left: {error:#}", std::process::id());
        }
    }
}

/// The URL of another database of a server.
fn in_server(server: &str, name: &str) -> String {
    let (before, query) = server.split_once('?').map_or((server, String::new()), |(url, q)| (url, format!("?{q}")));
    let host_at = before.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = before.split_at_checked(host_at).unwrap_or(("", before));
    let host = rest.split('/').next().unwrap_or(rest);
    format!("{scheme}{host}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_a_server_has_the_same_host_and_settings() {
        assert_eq!(in_server("postgres://a@h:1/postgres", "x"), "postgres://a@h:1/x");
        assert_eq!(in_server("postgres://a@h:1", "x"), "postgres://a@h:1/x");
        assert_eq!(in_server("postgres://h/p?application_name=a/b", "x"), "postgres://h/x?application_name=a/b");
    }
}
