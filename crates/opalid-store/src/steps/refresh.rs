//! Refresh chains: begun with a code's redemption, rotated, found.
//!
//! Holds: refresh, revocation and redemption on one grant are ordered by its row (lock order grant, chain, feed
//! head); reuse cuts the grant in the same transaction; a refusal that the client can repair changes nothing.
//! Not here: the rules, see `opalid_core::refresh`; whether what the grant hangs from stands.

use opalid_core::grant::{Entitlement, EntitlementNo, Epoch, Grant};
use opalid_core::ids::{ChainId, ClientId, GrantId, WorkspaceId};
use opalid_core::refresh::{Chain, Limits, NotGranted, Presentation, Presented, Wish};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::steps::Stamp;
use crate::steps::evidence::{BEHIND_GRANT, GrantFacts, held_grant_columns, read_held_grant};
use crate::steps::revoke::cut;
use crate::steps::role::Open;
use crate::steps::standing::{NewGrant, intern_in};

/// A chain to begin. Its first secret (generation 0) is random; the row keeps its digest.
#[derive(Debug, Clone, Copy)]
pub struct NewChain {
    /// Its row: the id sealed into all its tokens.
    pub id: ChainId,
    /// The digest of its first secret.
    pub first: SecretDigest,
    /// The number of the refresh key that is current; says nothing yet, for nothing was derived.
    pub key_number: u8,
    /// The end of the chain, however much it is used.
    pub expires_at: UnixTime,
}

/// Begins a chain in a transaction in which `grant` is locked or made: it carries the grant's epoch and dies with
/// it. `entitlement` is what its access tokens may do at most.
pub(crate) async fn insert_chain<T: Tx>(
    tx: &mut T,
    stamp: &Stamp,
    grant: &Grant,
    entitlement: EntitlementNo,
    new: &NewChain,
) -> Result<(), StoreError> {
    let chain = Chain::new(new.first, new.key_number, stamp.now, new.expires_at);
    let sql = "INSERT INTO chain (workspace, id, grant_id, grant_epoch, client, entitlement, generation, current,
                   key_number, rotated_at, used_at, created_at, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let values: [Value; 13] = [
        stamp.workspace.as_bytes().into(),
        new.id.as_bytes().into(),
        grant.id.as_bytes().into(),
        grant.epoch.into(),
        grant.client().as_bytes().into(),
        entitlement.0.into(),
        chain.generation.into(),
        (&chain.current.0).into(),
        u32::from(chain.key_number).into(),
        chain.rotated_at.into(),
        chain.used_at.into(),
        stamp.now.into(),
        chain.expires_at.into(),
    ];
    tx.write(sql, &values).await.map(drop)
}

/// A chain as its row has it.
#[derive(Debug, Clone, Copy)]
pub struct ChainRow {
    /// What it belongs to.
    pub grant: GrantId,
    /// That grant's epoch when the chain began; another one today means that the grant was cut.
    pub grant_epoch: Epoch,
    /// Whose it is.
    pub client: ClientId,
    /// What its access tokens may do at most.
    pub entitlement: EntitlementNo,
    /// Where it stands.
    pub chain: Chain,
}

/// The columns [`read`] wants, of `chain c`.
macro_rules! chain_columns {
    () => {
        "c.grant_id, c.grant_epoch, c.client, c.entitlement, c.generation, c.current, c.previous, c.key_number,
         c.rotated_at, c.used_at, c.expires_at"
    };
}

const FIND: &str = concat!("SELECT ", chain_columns!(), " FROM chain c WHERE c.workspace = $1 AND c.id = $2");

/// A chain with its grant. Locking, both rows are locked in the order in which they are named here.
const FIND_WITH_GRANT: &str = concat!(
    "SELECT ",
    held_grant_columns!(),
    ", ",
    chain_columns!(),
    " FROM grants g JOIN chain c ON c.workspace = g.workspace AND c.grant_id = g.id
      WHERE c.workspace = $1 AND c.id = $2"
);

/// Reads a chain whose columns begin there.
fn read(row: &Row, at: usize) -> Result<ChainRow, StoreError> {
    Ok(ChainRow {
        grant: row.id(at)?,
        grant_epoch: row.epoch(at + 1)?,
        client: row.id(at + 2)?,
        entitlement: EntitlementNo(row.u32(at + 3)?),
        chain: Chain {
            generation: row.u32(at + 4)?,
            current: SecretDigest(row.bytes(at + 5)?),
            previous: row.opt(at + 6, Row::bytes)?.map(SecretDigest),
            key_number: u8::try_from(row.int(at + 7)?).map_err(|_| StoreError::Corrupt("a key number".into()))?,
            rotated_at: row.time(at + 8)?,
            used_at: row.time(at + 9)?,
            expires_at: row.time(at + 10)?,
        },
    })
}

/// Reads a chain; for introspection and revocation.
pub struct FindChain {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: ChainId,
}

impl Step for FindChain {
    type Out = Option<ChainRow>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let key = [self.workspace.as_bytes().into(), self.id.as_bytes().into()];
        tx.find(FIND, &key).await?.map(|row| read(&row, 0)).transpose()
    }
}

/// What follows the presented secret, if it is derived under one refresh key.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// The number of that key.
    pub key_number: u8,
    /// The digest of the successor.
    pub digest: SecretDigest,
}

/// Uses a refresh token.
pub struct Refresh {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Who presents it.
    pub client: ClientId,
    /// What is presented.
    pub presented: Presentation,
    /// Its successor under each refresh key that is kept, the current key first: a retry gets the successor under
    /// the key that derived it the first time.
    pub candidates: Vec<Candidate>,
    /// Whether the client gets a new token each time.
    pub rotates: bool,
    /// How long chains live and forgive.
    pub limits: Limits,
    /// What the access token is to carry.
    pub wish: Wish,
    /// The resources that its client may ask for today.
    pub open: Open,
    /// For a child grant, if the grant has no room for a narrowed entitlement.
    pub fresh: NewGrant,
}

/// Which refresh token the client goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesOnWith {
    /// The one it presented.
    Same,
    /// The successor derived under the refresh key with this number.
    Successor {
        /// The key's number.
        key_number: u8,
    },
}

/// What a refresh token gives.
#[derive(Debug)]
pub struct Refreshed {
    /// What the access token hangs from, as it stood in the transaction: an access token minted with its epoch is
    /// dead if the grant was cut since. The chain's grant, or a child of it.
    pub grant: Grant,
    /// Which of its entitlements.
    pub number: EntitlementNo,
    /// What that allows.
    pub entitlement: Entitlement,
    /// How the person was authenticated.
    pub facts: GrantFacts,
    /// The refresh token from now on.
    pub goes_on_with: GoesOnWith,
}

/// What became of a refresh token.
#[derive(Debug)]
pub enum Redeemed {
    /// It gives this; a retry gives it again.
    Good(Box<Refreshed>),
    /// A copy was used: its grant was cut in this transaction, with all that came of it (RFC 9700 §4.14.2).
    Reused(GrantId),
    /// No such token.
    Unknown,
    /// Another client's; nothing happened to it.
    NotYours,
    /// It was not used for too long, or its chain is over.
    Expired,
    /// Its grant has been cut.
    Dead,
    /// It was asked for more than was granted; not used up.
    NotGranted(NotGranted),
    /// Nothing of what it is for may its client have today; not used up.
    Narrowed,
    /// The grant has no room for one more combination of scopes; not used up.
    Full,
}

impl Step for Refresh {
    type Out = Redeemed;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Redeemed, StoreError> {
        let workspace = self.stamp.workspace;
        let key: [Value; 2] = [workspace.as_bytes().into(), self.presented.chain.as_bytes().into()];
        let rows = tx.run_locking(FIND_WITH_GRANT, &key).await?;
        let Some(found) = rows.first() else { return Ok(Redeemed::Unknown) };
        let ((grant, facts), row) = (read_held_grant(found)?, read(found, BEHIND_GRANT)?);
        if row.client != self.client {
            return Ok(Redeemed::NotYours);
        }
        if grant.epoch != row.grant_epoch {
            return Ok(Redeemed::Dead);
        }
        let retry = match row.chain.judge(&self.presented, self.stamp.now, self.limits) {
            Presented::Current => None,
            Presented::Retry => match self.derived(&row.chain) {
                Some(candidate) => Some(candidate),
                // Derived under a key that is kept no more: nobody can say what it was.
                None => return Ok(Redeemed::Unknown),
            },
            Presented::Reused => {
                cut(tx, &self.stamp, row.grant, "a refresh token was used again").await?;
                return Ok(Redeemed::Reused(row.grant));
            }
            Presented::Unknown => return Ok(Redeemed::Unknown),
            Presented::Expired => return Ok(Redeemed::Expired),
        };
        self.give(tx, (grant, facts), &row, retry).await
    }
}

impl Refresh {
    /// The candidate that is the chain's current secret: derived under the key that the row names.
    fn derived(&self, chain: &Chain) -> Option<Candidate> {
        self.candidates.iter().find(|candidate| candidate.digest.matches(&chain.current)).copied()
    }

    /// What a good token gives: the entitlement first, so that a refusal uses nothing up.
    async fn give<T: Tx>(
        &self,
        tx: &mut T,
        (grant, facts): (Grant, GrantFacts),
        row: &ChainRow,
        retry: Option<Candidate>,
    ) -> Result<Redeemed, StoreError> {
        let granted = grant.entitlement(row.entitlement);
        let granted = granted.ok_or_else(|| StoreError::Corrupt("a chain without an entitlement".into()))?;
        let entitlement = match self.wish.of(granted) {
            Ok(entitlement) => entitlement,
            Err(not_granted) => return Ok(Redeemed::NotGranted(not_granted)),
        };
        if !self.open.leaves(tx, (self.stamp.workspace, grant.user()), &entitlement).await? {
            return Ok(Redeemed::Narrowed);
        }
        let (grant, number) = if entitlement == **granted {
            (grant, row.entitlement)
        } else {
            match intern_in(tx, &self.stamp, grant, &entitlement, self.fresh).await? {
                Some(interned) => interned,
                None => return Ok(Redeemed::Full),
            }
        };
        let goes_on_with = match retry {
            Some(again) => GoesOnWith::Successor { key_number: again.key_number },
            None => self.advance(tx, &row.chain).await?,
        };
        Ok(Redeemed::Good(Box::new(Refreshed { grant, number, entitlement, facts, goes_on_with })))
    }

    /// Moves the chain: to the successor under the current refresh key, or only its time of use.
    async fn advance<T: Tx>(&self, tx: &mut T, chain: &Chain) -> Result<GoesOnWith, StoreError> {
        if !self.rotates {
            self.write(tx, chain, &chain.used(self.stamp.now)).await?;
            return Ok(GoesOnWith::Same);
        }
        let next = self.candidates.first().zip(self.presented.generation.checked_add(1));
        let (next, generation) = next.ok_or_else(|| StoreError::Statement("a refresh without a successor".into()))?;
        let rotated = chain.rotated(generation, next.digest, next.key_number, self.stamp.now);
        self.write(tx, chain, &rotated).await?;
        Ok(GoesOnWith::Successor { key_number: next.key_number })
    }

    async fn write<T: Tx>(&self, tx: &mut T, from: &Chain, to: &Chain) -> Result<(), StoreError> {
        let sql = "UPDATE chain SET generation = $1, current = $2, previous = $3, key_number = $4, rotated_at = $5,
                       used_at = $6 WHERE workspace = $7 AND id = $8 AND generation = $9";
        let values: [Value; 9] = [
            to.generation.into(),
            (&to.current.0).into(),
            to.previous.map(|digest| digest.0.to_vec()).into(),
            u32::from(to.key_number).into(),
            to.rotated_at.into(),
            to.used_at.into(),
            self.stamp.workspace.as_bytes().into(),
            self.presented.chain.as_bytes().into(),
            from.generation.into(),
        ];
        match tx.write(sql, &values).await? {
            0 => Err(StoreError::Serialization("a chain moved under its lock".into())),
            _ => Ok(()),
        }
    }
}
