//! What is asked of Opalid, one file per scenario.

mod client_credentials;
mod code_exchange;
mod introspection;
mod refresh;
mod revocation;
mod userinfo;

use crate::acquire;
use crate::load::Traffic;
use crate::opalid::Opalid;
use crate::traffic::Tokens;
use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use std::cell::OnceCell;
use std::rc::Rc;

/// What a scenario is measured beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The reference servers: the path writes nothing.
    References,
    /// The group-commit floors: the path is one durable step.
    Floors,
}

/// One kind of request to Opalid.
pub trait Scenario {
    /// What its requests are measured beside.
    fn beside(&self) -> Beside;
    /// Makes ready for a round, outside the measured time.
    fn traffic(&self, stage: &Stage) -> Result<Box<dyn Traffic>>;
    /// Looks, after a round, whether what was answered is so.
    fn verify(&self, _stage: &Stage) -> Result<()> {
        Ok(())
    }
}

/// The scenarios by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// POST /introspect with tokens that are alive
    Introspection,
    /// POST /token, client_credentials
    ClientCredentials,
    /// GET /userinfo
    Userinfo,
    /// POST /token, refresh_token: each connection has a chain of its own
    Refresh,
    /// POST /token, authorization_code
    CodeExchange,
    /// POST /revoke, an access token each
    Revocation,
}

impl Name {
    /// The name as it is typed and reported.
    pub fn text(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The scenario of this name.
    pub fn scenario(self) -> Box<dyn Scenario> {
        match self {
            Self::Introspection => Box::new(introspection::Introspection),
            Self::ClientCredentials => Box::new(client_credentials::ClientCredentials),
            Self::Userinfo => Box::new(userinfo::Userinfo),
            Self::Refresh => Box::new(refresh::Refresh),
            Self::CodeExchange => Box::new(code_exchange::CodeExchange),
            Self::Revocation => Box::<revocation::Revocation>::default(),
        }
    }
}

/// Where the tokens of the read paths come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantsBy {
    /// Many tokens of one standing grant; quick to prepare
    ClientCredentials,
    /// A grant per token, by the code flow
    Code,
}

/// What the scenarios share: the server, the sizes, and tokens that are got once.
pub struct Stage {
    /// The server under test.
    pub opalid: Opalid,
    /// Tokens (with `GrantsBy::Code`: grants) of the read paths.
    pub grants: usize,
    /// How they are got.
    pub grants_by: GrantsBy,
    /// Connections of the load.
    pub connections: usize,
    /// Tokens or codes prepared for a round that uses each once.
    pub single_use: usize,
    machine: OnceCell<Rc<Tokens>>,
    people: OnceCell<Rc<Tokens>>,
}

/// Sizes of a run.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// See `Stage::grants`.
    pub grants: usize,
    /// See `Stage::grants_by`.
    pub grants_by: GrantsBy,
    /// See `Stage::connections`.
    pub connections: usize,
    /// See `Stage::single_use`.
    pub single_use: usize,
}

impl Stage {
    /// Nothing is prepared until a scenario asks for it.
    pub fn new(opalid: Opalid, sizes: Sizes) -> Self {
        let Sizes { grants, grants_by, connections, single_use } = sizes;
        let (machine, people) = (OnceCell::new(), OnceCell::new());
        Self { opalid, grants, grants_by, connections, single_use, machine, people }
    }

    /// Tokens to introspect.
    fn tokens(&self) -> Result<Rc<Tokens>> {
        match self.grants_by {
            GrantsBy::Code => self.people(),
            GrantsBy::ClientCredentials => once(&self.machine, || acquire::machine_tokens(&self.opalid, self.grants)),
        }
    }

    /// Tokens that a person granted.
    fn people(&self) -> Result<Rc<Tokens>> {
        once(&self.people, || acquire::people_tokens(&self.opalid, self.grants))
    }
}

fn once(cell: &OnceCell<Rc<Tokens>>, make: impl FnOnce() -> Result<Tokens>) -> Result<Rc<Tokens>> {
    if let Some(made) = cell.get() {
        return Ok(Rc::clone(made));
    }
    let made = Rc::new(make()?);
    Ok(Rc::clone(cell.get_or_init(|| made)))
}
