//! Fills a store with people's grants, and speaks for those people.
//!
//! Takes: the place of a new Opalid, and how many grants. Gives: tokens that a server started there accepts.
//! Does: one person signs in twice over HTTP as anyone would; the server is stopped; the rows it wrote for that are
//! copied with ids and secrets of their own, as often as asked for. Tokens are sealed under the workspace's own keys,
//! which lie in the store under the master key of the data folder: nothing in the server knows of any of this.
//! Holds: four grants to a person, in two sessions: in each an offline grant with `openid` and one bound to the
//! session without it; one consent; a refresh chain per grant.

mod copies;
mod keys;
mod postgres;
mod sqlite;
mod tables;

use crate::acquire::codes::CodeClient;
use crate::clock;
use crate::opalid::{Opalid, Place};
use crate::traffic::Tokens;
use anyhow::{Context, Result, ensure};
use copies::{Copies, Kind};
use keys::Keys;
use opalid_core::grant::{EntitlementNo, Epoch, Guard};
use opalid_core::ids::GrantId;
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::{Access, Jti, Refresh, RowSecret, Sealed};
pub use postgres::Database;
use tables::Tables;

/// What a person grants with `openid`: userinfo opens, a refresh brings an ID token.
pub const WITH_OPENID: &str = "openid profile email offline_access read";
/// What a person grants without: bound to the session.
pub const WITHOUT_OPENID: &str = "read write";
/// Longer than any run.
const TOKENS_LIVE: Seconds = Seconds(6 * 3600);

/// A filled store's people.
pub struct Seeded {
    /// How many grants there are.
    pub grants: usize,
    copies: Copies,
    keys: Keys,
}

/// Which grants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// All of them.
    All,
    /// Those with `openid`: every other one.
    WithOpenId,
    /// The others.
    WithoutOpenId,
}

impl Which {
    /// The number of the grant with this place among these.
    const fn number(self, place: usize) -> usize {
        match self {
            Self::All => place,
            Self::WithOpenId => place * 2,
            Self::WithoutOpenId => place * 2 + 1,
        }
    }

    /// How many of `grants` there are.
    const fn among(self, grants: usize) -> usize {
        match self {
            Self::All => grants,
            Self::WithOpenId => grants.div_ceil(2),
            Self::WithoutOpenId => grants / 2,
        }
    }
}

/// Makes a store at `place` and fills it.
pub fn fill(place: &Place, grants: usize) -> Result<Seeded> {
    ensure!(grants > 1, "a person's grants come in pairs");
    let opalid = Opalid::start(place)?;
    let person = CodeClient::sign_in(&opalid)?;
    for scope in [WITH_OPENID, WITHOUT_OPENID] {
        person.exchange_one(scope)?;
    }
    drop(opalid);
    let mut tables: Box<dyn Tables> = match &place.database {
        Some(url) => Box::new(Database::open(url)?),
        None => Box::new(sqlite::Database::open(&place.data.join("opalid.db"))?),
    };
    let keys = Keys::open(&mut *tables, &place.data)?;
    let copies = Copies::of_the_one_person(&mut *tables, clock::time_of_day())?;
    copies.write(&mut *tables, grants).context("filling the store")?;
    tables.finish()?;
    Ok(Seeded { grants, copies, keys })
}

impl Seeded {
    /// So many access tokens, evenly spread over these grants; several of a grant where there are fewer grants.
    pub fn access_tokens(&self, which: Which, count: usize) -> Result<Tokens> {
        let (mut tokens, issued_at) = (Tokens::default(), clock::time_of_day());
        for number in self.spread(which, count) {
            tokens.push(&self.access_token(number, issued_at)?)?;
        }
        Ok(tokens)
    }

    fn access_token(&self, number: usize, issued_at: UnixTime) -> Result<String> {
        let sealed = Sealed {
            grant: GrantId::from_bytes(self.copies.id(Kind::Grant, number)),
            guard: Guard::new(self.copies.guard(number)),
            entitlement: EntitlementNo(0),
            epoch: Epoch::FIRST,
            issued_at,
            expires_at: issued_at.plus(TOKENS_LIVE),
            confirmation: None,
        };
        Ok(self.keys.sealing.seal::<Access>(&sealed, Jti(keys::random()?)))
    }

    /// The first refresh token of each of `count` grants, evenly spread over these; of all if there are fewer.
    pub fn refresh_tokens(&self, which: Which, count: usize) -> Result<Vec<String>> {
        let token = |number| {
            let row = self.copies.id(Kind::Chain, number);
            let secret = RowSecret::<Refresh>::new(row, 0, self.copies.secret(number));
            Ok(self.keys.row.seal_row(&secret, keys::random()?))
        };
        self.spread(which, count.min(self.count(which))).map(token).collect()
    }

    /// How many of these grants there are.
    pub const fn count(&self, which: Which) -> usize {
        which.among(self.grants)
    }

    fn spread(&self, which: Which, count: usize) -> impl Iterator<Item = usize> + use<> {
        let all = which.among(self.grants);
        (0..count).map(move |place| which.number(place * all / count))
    }
}
