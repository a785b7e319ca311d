//! What is asked of Opalid, one file per scenario.

mod client_credentials;
mod code_exchange;
pub mod introspection;
mod refresh;
mod revocation;
mod userinfo;

use crate::floor::Work;
use crate::load::Traffic;
use crate::opalid::Opalid;
use crate::plan::Plan;
use crate::seed::{Seeded, Which};
use crate::traffic::Tokens;
use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

/// What a scenario is measured beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The reference servers: the path writes nothing.
    References,
    /// The group-commit floors: the path is one durable step, which does this much.
    Floors(Work),
}

/// One kind of request to Opalid.
pub trait Scenario {
    /// What its requests are measured beside.
    fn beside(&self) -> Beside;
    /// Makes ready for a round, outside the measured time.
    fn traffic<'s>(&self, stage: &'s Stage) -> Result<Box<dyn Traffic + 's>>;
    /// Looks, after a round, whether what was answered is so.
    fn verify(&self, _stage: &Stage) -> Result<()> {
        Ok(())
    }
}

/// The scenarios by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// POST /introspect with people's tokens that are alive
    Introspection,
    /// POST /token, client_credentials
    ClientCredentials,
    /// GET /userinfo
    Userinfo,
    /// POST /token, refresh_token
    Refresh,
    /// The same with an ID token (RS256) in each answer
    RefreshOpenid,
    /// POST /token, authorization_code
    CodeExchange,
    /// The same with an ID token (RS256) in each answer
    CodeExchangeOpenid,
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
            Self::Refresh => Box::new(refresh::Refresh { with_id_token: false }),
            Self::RefreshOpenid => Box::new(refresh::Refresh { with_id_token: true }),
            Self::CodeExchange => Box::new(code_exchange::CodeExchange { with_id_token: false }),
            Self::CodeExchangeOpenid => Box::new(code_exchange::CodeExchange { with_id_token: true }),
            Self::Revocation => Box::<revocation::Revocation>::default(),
        }
    }
}

/// What the scenarios share: a server, its people, and tokens that are made once.
pub struct Stage {
    /// The server under test.
    pub opalid: Opalid,
    /// The people in its store.
    pub seeded: Seeded,
    /// Connections of the load.
    pub connections: usize,
    /// Tokens or codes prepared for a round that uses each once.
    pub single_use: usize,
    sample: usize,
    tokens: RefCell<BTreeMap<Which, Rc<Tokens>>>,
    chains: RefCell<BTreeMap<Which, Vec<String>>>,
}

impl Stage {
    /// Nothing is prepared until a scenario asks for it.
    pub fn new(opalid: Opalid, seeded: Seeded, plan: &Plan) -> Self {
        let (connections, single_use, sample) = (plan.shape.connections, plan.single_use, plan.sample);
        let (tokens, chains) = (RefCell::new(BTreeMap::new()), RefCell::new(BTreeMap::new()));
        Self { opalid, seeded, connections, single_use, sample, tokens, chains }
    }

    /// An access token of every one of these grants that belongs to the sample.
    pub fn tokens(&self, which: Which) -> Result<Rc<Tokens>> {
        if let Some(known) = self.tokens.borrow().get(&which) {
            return Ok(Rc::clone(known));
        }
        let made = Rc::new(self.seeded.access_tokens(which, self.seeded.count(which).min(self.sample))?);
        self.tokens.borrow_mut().insert(which, Rc::clone(&made));
        Ok(made)
    }

    /// The newest refresh tokens of so many of these grants, for who uses them to move on.
    fn chains(&self, which: Which, count: usize) -> Result<RefMut<'_, Vec<String>>> {
        let mut chains = self.chains.borrow_mut();
        if let Entry::Vacant(vacant) = chains.entry(which) {
            vacant.insert(self.seeded.refresh_tokens(which, count)?);
        }
        Ok(RefMut::map(chains, |chains| chains.entry(which).or_default()))
    }
}
