//! Entitlements, interned into grants; and the standing grant of a client, which all its client_credentials
//! tokens hang from: no write per token.

use opalid_core::grant::{
    Ancestor, Birth, Descent, ENTITLEMENTS_MAX, Entitlement, EntitlementNo, Epoch, Grant, Guard, Lineage,
};
use opalid_core::ids::{ClientId, GrantId, WorkspaceId};
use opalid_core::token::SecretDigest;

use std::sync::Arc;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::steps::evidence::{GrantFacts, find_grant, grant_columns, read_grant};
use crate::steps::{Stamp, to_json};

/// The most children that take the entitlements that their parent has no room for.
pub const CHILDREN_MAX: u32 = 64;

/// A new grant's own randomness: used if a grant has to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewGrant {
    /// Its row.
    pub id: GrantId,
    /// Its guard.
    pub guard: Guard,
}

/// Finds or makes the standing grant of a client under its epochs, and the entitlement in it.
pub struct StandingEntitlement {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Whose.
    pub client: ClientId,
    /// The epochs the client was authenticated under: workspace, client.
    pub epochs: (Epoch, Epoch),
    /// What the token may do.
    pub entitlement: Entitlement,
    /// For a grant that has to be made: the standing one, and a child of it.
    pub fresh: [NewGrant; 2],
}

/// An entitlement in its grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interned {
    /// It has this number in this grant.
    At(GrantId, EntitlementNo),
    /// The grant is full, and so is its child for this one; what either holds already is found as before.
    Full,
}

impl Step for StandingEntitlement {
    type Out = Interned;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Interned, StoreError> {
        let workspace = self.stamp.workspace;
        let births = [
            Birth { ancestor: Ancestor::Workspace(workspace), epoch: self.epochs.0 },
            Birth { ancestor: Ancestor::Client(self.client), epoch: self.epochs.1 },
        ];
        let [fresh, child] = self.fresh;
        let key = standing_key(b"client", self.client.as_bytes(), &Lineage::new(births).to_bytes());
        let grant = Grant {
            id: fresh.id,
            guard: fresh.guard,
            epoch: Epoch::FIRST,
            standing: true,
            descent: Descent::new(self.client, None, births),
            entitlements: Arc::default(),
        };
        let row = find_or_make(tx, &self.stamp, &key, &grant).await?;
        intern(tx, &self.stamp, row, &self.entitlement, child).await
    }
}

/// Interns an entitlement in a grant whose row is locked, or in one of its children.
pub(crate) async fn intern<T: Tx>(
    tx: &mut T,
    stamp: &Stamp,
    parent: Grant,
    entitlement: &Entitlement,
    fresh: NewGrant,
) -> Result<Interned, StoreError> {
    if let Some(number) = find_or_add(tx, stamp.workspace, &parent, entitlement).await? {
        return Ok(Interned::At(parent.id, number));
    }
    let birth = Birth { ancestor: Ancestor::Grant(parent.id), epoch: parent.epoch };
    let parents = &parent.descent;
    let child = child_of(entitlement)?;
    let under = [parent.epoch.0.to_be_bytes(), child.to_be_bytes()].concat();
    let key = standing_key(b"child", parent.id.as_bytes(), &under);
    let grant = Grant {
        id: fresh.id,
        guard: fresh.guard,
        epoch: Epoch::FIRST,
        standing: true,
        descent: Descent::new(parents.client(), parents.user(), parents.births().chain([birth])),
        entitlements: Arc::default(),
    };
    let row = find_or_make(tx, stamp, &key, &grant).await?;
    let number = find_or_add(tx, stamp.workspace, &row, entitlement).await?;
    Ok(number.map_or(Interned::Full, |number| Interned::At(row.id, number)))
}

/// The same; gives the grant that holds it, as it stands then.
pub(crate) async fn intern_in<T: Tx>(
    tx: &mut T,
    stamp: &Stamp,
    mut grant: Grant,
    entitlement: &Entitlement,
    fresh: NewGrant,
) -> Result<Option<(Grant, EntitlementNo)>, StoreError> {
    let Interned::At(holder, number) = intern(tx, stamp, grant.clone(), entitlement, fresh).await? else {
        return Ok(None);
    };
    if holder == grant.id {
        if grant.entitlement(number).is_none() {
            let known = grant.entitlements.iter().cloned();
            grant.entitlements = known.chain([Arc::new(entitlement.clone())]).collect();
        }
        return Ok(Some((grant, number)));
    }
    let child = find_grant(tx, stamp.workspace, holder).await?;
    let child = child.ok_or_else(|| StoreError::Corrupt("a child grant is gone".into()))?;
    Ok(Some((child, number)))
}

/// Which child takes an entitlement that its parent has no room for. By its digest, so that however many there are, one
/// is looked at: whoever fills a grant pays no more of the writer's time than others.
pub fn child_of(entitlement: &Entitlement) -> Result<u32, StoreError> {
    let SecretDigest([first, ..]) = SecretDigest::of(to_json(entitlement)?.as_bytes());
    Ok(u32::from(first) % CHILDREN_MAX)
}

/// What tells a standing grant from all others: a digest of whose it is and under which epochs.
fn standing_key(kind: &[u8], of: &[u8; 16], under: &[u8]) -> Vec<u8> {
    SecretDigest::of(&[kind, of, under].concat()).0.to_vec()
}

async fn find_or_make<T: Tx>(tx: &mut T, stamp: &Stamp, standing: &[u8], new: &Grant) -> Result<Grant, StoreError> {
    let sql = concat!("SELECT ", grant_columns!(), " FROM grants WHERE workspace = $1 AND standing = $2");
    let key: [Value; 2] = [stamp.workspace.as_bytes().into(), standing.into()];
    if let Some(row) = tx.run_locking(sql, &key).await?.first() {
        return read_grant(row);
    }
    if insert_grant(tx, stamp, new, Some(standing), &GrantFacts::default()).await? {
        stamp.audit(tx, "grant.made", format!("grant {}", new.id), format!("client {}", new.client()));
        return Ok(new.clone());
    }
    let rows = tx.run_locking(sql, &key).await?;
    rows.first()
        .map(read_grant)
        .transpose()?
        .ok_or_else(|| StoreError::Serialization("a standing grant came and went".into()))
}

/// Inserts a grant. `false` if a standing grant of this key stands already.
pub(crate) async fn insert_grant<T: Tx>(
    tx: &mut T,
    stamp: &Stamp,
    grant: &Grant,
    standing: Option<&[u8]>,
    facts: &GrantFacts,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO grants (workspace, id, guard, epoch, client, user_id, standing, lineage, entitlements, facts, kills, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11) ON CONFLICT DO NOTHING";
    let values = [
        stamp.workspace.as_bytes().into(),
        grant.id.as_bytes().into(),
        grant.guard.expose().into(),
        grant.epoch.into(),
        grant.client().as_bytes().into(),
        grant.user().map(|user| user.as_bytes().to_vec()).into(),
        standing.map(<[u8]>::to_vec).into(),
        grant.descent.lineage().to_bytes().into(),
        to_json(&grant.entitlements.iter().map(AsRef::as_ref).collect::<Vec<&Entitlement>>())?.into(),
        to_json(facts)?.into(),
        stamp.now.into(),
    ];
    Ok(tx.write(sql, &values).await? > 0)
}

/// The number of an entitlement in a grant whose row is locked; `None` if it is not there and there is no
/// room. Adding one makes no remembered answer wrong: a number that memory does not know is read again.
async fn find_or_add<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    grant: &Grant,
    entitlement: &Entitlement,
) -> Result<Option<EntitlementNo>, StoreError> {
    if let Some(number) = grant.number_of(entitlement) {
        return Ok(Some(number));
    }
    if grant.entitlements.len() >= ENTITLEMENTS_MAX {
        return Ok(None);
    }
    let number = u32::try_from(grant.entitlements.len()).map_err(|_| StoreError::Corrupt("entitlements".into()))?;
    let all: Vec<&Entitlement> = grant.entitlements.iter().map(AsRef::as_ref).chain([entitlement]).collect();
    let sql = "UPDATE grants SET entitlements = $1 WHERE workspace = $2 AND id = $3";
    tx.run(sql, &[to_json(&all)?.into(), workspace.as_bytes().into(), grant.id.as_bytes().into()]).await?;
    Ok(Some(EntitlementNo(number)))
}
