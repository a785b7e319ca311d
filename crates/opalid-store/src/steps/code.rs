//! Authorization codes: issued with their grant, redeemed once.
//!
//! Holds: single use is a conditional UPDATE; refresh, revocation and redemption on one grant are ordered by
//! its row (lock order grant, chain, feed head); a replay cuts the grant in the same transaction; who does not know
//! what a code is bound to can do nothing with it.

use opalid_core::code::{CodeBinding, Unbound};
use opalid_core::grant::{Entitlement, EntitlementNo, Grant};
use opalid_core::ids::{ClientId, CodeId, RequestId, SessionId};
use opalid_core::pkce::CodeVerifier;
use opalid_core::refresh::{NotGranted, Wish};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::steps::evidence::{BEHIND_GRANT, GrantFacts, held_grant_columns, read_held_grant};
use crate::steps::refresh::{NewChain, insert_chain};
use crate::steps::request::{Ended, end};
use crate::steps::revoke::cut;
use crate::steps::role::Open;
use crate::steps::standing::{NewGrant, insert_grant, intern_in};
use crate::steps::{Stamp, to_json};

/// Makes a grant and its code.
pub struct IssueCode {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// The grant, with the entitlement that the code gives as its first.
    pub grant: Grant,
    /// How the person was authenticated.
    pub facts: GrantFacts,
    /// The code's row.
    pub id: CodeId,
    /// The digest of its secret.
    pub digest: SecretDigest,
    /// What it is bound to.
    pub binding: CodeBinding,
    /// Until when it can be redeemed.
    pub expires_at: UnixTime,
    /// The session that was used for it.
    pub session: SessionId,
    /// The stored request that it answers, if it was stored: that is over then.
    pub answers: Option<RequestId>,
}

impl Step for IssueCode {
    /// Whether there is a code: none for a request that was answered before.
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let answered = match self.answers {
            Some(id) => match end(tx, self.stamp.workspace, id).await? {
                Some(ended) => ended,
                None => return Ok(false),
            },
            None => Ended::default(),
        };
        let workspace: Value = self.stamp.workspace.as_bytes().into();
        insert_grant(tx, &self.stamp, &self.grant, None, &self.facts).await?;
        let used = "UPDATE session SET used_at = $1 WHERE workspace = $2 AND id = $3";
        tx.send(used, &[self.stamp.now.into(), workspace.clone(), self.session.as_bytes().into()]).await?;
        let sql = "INSERT INTO code (workspace, id, grant_id, grant_epoch, digest, client, binding, expires_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let values: [Value; 8] = [
            workspace,
            self.id.as_bytes().into(),
            self.grant.id.as_bytes().into(),
            self.grant.epoch.into(),
            (&self.digest.0).into(),
            self.grant.client().as_bytes().into(),
            to_json(&self.binding)?.into(),
            self.expires_at.into(),
        ];
        tx.send(sql, &values).await?;
        answered.count(tx).await?;
        let user = self.grant.user().map_or_else(String::new, |user| format!("user {user}"));
        self.stamp.audit(tx, "grant.made", format!("grant {}", self.grant.id), user);
        Ok(true)
    }
}

/// Redeems a code.
pub struct RedeemCode {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// The code's row.
    pub id: CodeId,
    /// The digest of the secret that was presented.
    pub digest: SecretDigest,
    /// Who presents it.
    pub client: ClientId,
    /// The redirect URI that came with it.
    pub redirect_uri: Option<String>,
    /// The verifier that came with it.
    pub verifier: Option<CodeVerifier>,
    /// What the access token is to carry; refresh tokens are for all that was granted (RFC 8707 §2.2).
    pub wish: Wish,
    /// The resources that its client may ask for today.
    pub open: Open,
    /// The refresh chain to begin with it, if the client is to get a refresh token.
    pub chain: Option<NewChain>,
    /// For a child grant, if the grant has no room for a narrowed entitlement.
    pub fresh: NewGrant,
}

/// What a redeemed code gives.
#[derive(Debug)]
pub struct Redemption {
    /// What the access token hangs from: the grant it came with.
    pub grant: Grant,
    /// Which of its entitlements the access token has.
    pub number: EntitlementNo,
    /// How the person was authenticated.
    pub facts: GrantFacts,
    /// What it was bound to.
    pub binding: CodeBinding,
    /// What that allows.
    pub entitlement: Entitlement,
}

/// What became of a code.
#[derive(Debug)]
pub enum RedeemedCode {
    /// First use; marked as used in the same transaction.
    Fresh(Box<Redemption>),
    /// Second use: the grant and its tokens are revoked with it (RFC 6749 §4.1.2).
    Replayed,
    /// No such code, or another client's.
    Unknown,
    /// Its time was over.
    Expired,
    /// Its grant has been cut.
    Dead,
    /// It came with something else than it was asked for with; not used up, and if it was used before, nothing is cut.
    Unbound(Unbound),
    /// It was asked for more than it was given for; not used up.
    NotGranted(NotGranted),
    /// Nothing of what it was given for may its client have today; not used up.
    Narrowed,
}

struct CodeRow {
    grant: Grant,
    facts: GrantFacts,
    grant_epoch: opalid_core::grant::Epoch,
    binding: CodeBinding,
    redeemed: bool,
    expires_at: UnixTime,
}

impl RedeemCode {
    /// Finds the code with its grant and locks both, in the order in which they are named.
    async fn find<T: Tx>(&self, tx: &mut T) -> Result<Option<CodeRow>, StoreError> {
        let sql = concat!(
            "SELECT ",
            held_grant_columns!(),
            ", c.grant_epoch, c.digest, c.client, c.binding, c.redeemed_at, c.expires_at
             FROM grants g JOIN code c ON c.workspace = g.workspace AND c.grant_id = g.id
             WHERE c.workspace = $1 AND c.id = $2"
        );
        let key = [self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let rows = tx.run_locking(sql, &key).await?;
        let (Some(row), at) = (rows.first(), BEHIND_GRANT) else { return Ok(None) };
        let digest = SecretDigest(row.bytes(at + 1)?);
        if !digest.matches(&self.digest) || row.id::<ClientId>(at + 2)? != self.client {
            return Ok(None);
        }
        let (grant, facts) = read_held_grant(row)?;
        Ok(Some(CodeRow {
            grant,
            facts,
            grant_epoch: row.epoch(at)?,
            binding: row.json(at + 3)?,
            redeemed: !row.is_null(at + 4),
            expires_at: row.time(at + 5)?,
        }))
    }

    async fn mark<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "UPDATE code SET redeemed_at = $1 WHERE workspace = $2 AND id = $3 AND redeemed_at IS NULL";
        let values = [self.stamp.now.into(), self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        Ok(tx.write(sql, &values).await? > 0)
    }

    async fn replayed<T: Tx>(&self, tx: &mut T, code: &CodeRow) -> Result<RedeemedCode, StoreError> {
        if code.grant.epoch == code.grant_epoch {
            cut(tx, &self.stamp, code.grant.id, "an authorization code was used twice").await?;
        }
        Ok(RedeemedCode::Replayed)
    }
}

impl Step for RedeemCode {
    type Out = RedeemedCode;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<RedeemedCode, StoreError> {
        let Some(code) = self.find(tx).await? else { return Ok(RedeemedCode::Unknown) };
        // Before all else: who cannot say what a code is bound to has found it, and neither uses it up nor cuts what
        // came of it.
        if let Err(unbound) = code.binding.admits(self.redirect_uri.as_deref(), self.verifier.as_ref()) {
            return Ok(RedeemedCode::Unbound(unbound));
        }
        if code.redeemed {
            return self.replayed(tx, &code).await;
        }
        if self.stamp.now >= code.expires_at {
            return Ok(RedeemedCode::Expired);
        }
        let given = code.grant.entitlement(code.binding.entitlement);
        let given = given.ok_or_else(|| StoreError::Corrupt("a code without an entitlement".into()))?;
        let entitlement = match self.wish.of(given) {
            Ok(wanted) => wanted,
            Err(not_granted) => return Ok(RedeemedCode::NotGranted(not_granted)),
        };
        if !self.open.leaves(tx, (self.stamp.workspace, code.grant.user()), &entitlement).await? {
            return Ok(RedeemedCode::Narrowed);
        }
        if !self.mark(tx).await? {
            return self.replayed(tx, &code).await;
        }
        let CodeRow { grant, facts, grant_epoch, binding, .. } = code;
        if grant.epoch != grant_epoch {
            return Ok(RedeemedCode::Dead);
        }
        if let Some(chain) = &self.chain {
            insert_chain(tx, &self.stamp, &grant, binding.entitlement, chain).await?;
        }
        let interned = intern_in(tx, &self.stamp, grant, &entitlement, self.fresh).await?;
        // Nothing was ever asked for of this grant but what its code gives.
        let (grant, number) = interned.ok_or_else(|| StoreError::Corrupt("a full grant of a new code".into()))?;
        Ok(RedeemedCode::Fresh(Box::new(Redemption { grant, number, facts, binding, entitlement })))
    }
}
