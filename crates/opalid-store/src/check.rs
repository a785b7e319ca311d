//! Judging a token: from memory when warm, with one read when cold.
//!
//! Holds: memory is trusted before its entries are looked at; what was read serves this check whether or
//! not it may be remembered; `core::alive` decides, nobody else.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use opalid_core::alive::{self, Allowed, Reason, Standing, Stands, Verdict};
use opalid_core::client::Client;
use opalid_core::grant::{Ancestor, Entitlement, EntitlementNo, Epoch, Grant, Lineage};
use opalid_core::ids::{GrantId, ResourceId, UserId, WorkspaceId};
use opalid_core::resource::Resource;
use opalid_core::role::Role;
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::token::Reference;

use crate::Store;
use crate::error::Outage;
use crate::feed::Touched;
use crate::memory::{Begun, Miss, RememberedGrant, StandingKey};
use crate::steps::code::{RedeemCode, RedeemedCode};
use crate::steps::evidence::{Beside, Evidence, LoadEvidence, LoadStandings, LoadToken};
use crate::steps::standing::{Interned, StandingEntitlement};

/// An alive token's grant, and the entitlement it carries.
#[derive(Debug, Clone)]
pub struct Alive {
    /// Its grant.
    pub grant: Arc<RememberedGrant>,
    /// What it was given; narrow it to what is allowed today with [`Store::effective`].
    pub entitlement: Arc<Entitlement>,
    /// For how long what its grant hangs from stands, if nothing changes.
    pub stands: Stands,
}

/// A standing grant, and where in it an entitlement stands.
pub type StandingPlace = (Arc<RememberedGrant>, EntitlementNo);

/// What a token may do today.
#[derive(Debug, Clone)]
pub struct Effective<'e> {
    /// Narrowed to what is allowed.
    pub entitlement: Cow<'e, Entitlement>,
    /// Its resources, in the same order.
    pub resources: Vec<Arc<Resource>>,
}

impl Effective<'_> {
    /// The same, apart from what it was narrowed from.
    pub fn into_owned(self) -> Effective<'static> {
        Effective { entitlement: Cow::Owned(self.entitlement.into_owned()), resources: self.resources }
    }
}

impl Store {
    /// Says whether an opened token is alive.
    pub async fn judge<K>(
        &self,
        workspace: WorkspaceId,
        token: &Reference<K>,
        now: UnixTime,
    ) -> Result<Verdict<Alive>, Outage> {
        if let Ok(verdict) = self.judge_from_memory(token, now) {
            return Ok(verdict);
        }
        Box::pin(self.judge_by_reading(workspace, token, now)).await
    }

    async fn judge_by_reading<K>(
        &self,
        workspace: WorkspaceId,
        token: &Reference<K>,
        now: UnixTime,
    ) -> Result<Verdict<Alive>, Outage> {
        let Some(evidence) = self.load_evidence(workspace, token.sealed.grant).await? else {
            return Ok(Verdict::Inactive(Reason::GrantUnknown));
        };
        let births = evidence.grant.grant.descent.births();
        let standing = || alive::lineage(births, now, |of| Ok(standing_in(&evidence.standings, of)));
        match verdict(token, &evidence.grant, now, standing) {
            Ok(verdict) => Ok(verdict),
            Err(Miss) => Ok(Verdict::Inactive(Reason::EntitlementUnknown)),
        }
    }

    fn judge_from_memory<K>(&self, token: &Reference<K>, now: UnixTime) -> Result<Verdict<Alive>, Miss> {
        let memory = self.memory.trust().ok_or(Miss)?;
        let grant = memory.grant(token.sealed.grant).ok_or(Miss)?;
        match verdict(token, &grant, now, || memory.stands(&grant, now))? {
            // Memory may merely not know yet what this one hangs from.
            Verdict::Inactive(Reason::Ahead) => Err(Miss),
            verdict => Ok(verdict),
        }
    }

    /// Reads a grant with its ancestors, and what an answer about its tokens says beside them; remembers all of it.
    pub async fn load_evidence(&self, workspace: WorkspaceId, grant: GrantId) -> Result<Option<Evidence>, Outage> {
        let at = self.memory.begin();
        let (evidence, memory) = (LoadEvidence { workspace, grant }, Arc::clone(&self.memory));
        let Some((mut evidence, beside)) = self.read(LoadToken { evidence, memory }).await? else { return Ok(None) };
        if let Some(found) = Arc::get_mut(&mut evidence.grant) {
            self.memory.share(&mut found.grant.entitlements);
        }
        self.memory.fill(at, Touched::Grant(grant), |filling| filling.grant(&evidence.grant));
        self.remember(at, &evidence.standings);
        self.remember_beside(at, beside);
        Ok(Some(evidence))
    }

    fn remember_beside(&self, at: Begun, beside: Beside) {
        let Beside { client, user, resources, roles } = beside;
        for role in roles.into_iter().map(Arc::new) {
            self.memory.fill(at, Touched::Role(role.id), |filling| filling.role(&role));
        }
        if let Some(client) = client.map(Arc::new) {
            self.memory.fill(at, Touched::Client(client.id), |filling| filling.client(&client));
        }
        if let Some(user) = user.map(Arc::new) {
            self.memory.fill(at, Touched::User(user.id), |filling| filling.user(&user));
        }
        for resource in resources.into_iter().map(Arc::new) {
            self.memory.fill(at, Touched::Resource(resource.id), |filling| filling.resource(&resource));
        }
    }

    fn remember(&self, at: Begun, standings: &[(Ancestor, Option<Standing>)]) {
        for (ancestor, standing) in standings {
            if let Some(standing) = standing {
                self.memory.fill(at, (*ancestor).into(), |filling| filling.standing(*ancestor, *standing));
            }
        }
    }

    /// Says whether everything in a lineage still stands.
    pub async fn judge_lineage(
        &self,
        workspace: WorkspaceId,
        lineage: &Lineage,
        now: UnixTime,
    ) -> Result<Result<(), Reason>, Outage> {
        let from_memory = self.memory.trust().ok_or(Miss).and_then(|memory| {
            judged(alive::lineage(lineage.births(), now, |ancestor| memory.standing(ancestor).map(Some).ok_or(Miss)))
        });
        if let Ok(judged) = from_memory
            && judged != Err(Reason::Ahead)
        {
            return Ok(judged);
        }
        Box::pin(self.judge_lineage_by_reading(workspace, lineage, now)).await
    }

    async fn judge_lineage_by_reading(
        &self,
        workspace: WorkspaceId,
        lineage: &Lineage,
        now: UnixTime,
    ) -> Result<Result<(), Reason>, Outage> {
        let at = self.memory.begin();
        let standings = self.read(LoadStandings { workspace, lineage: lineage.clone() }).await?;
        self.remember(at, &standings);
        judged(alive::lineage(lineage.births(), now, |ancestor| Ok(standing_in(&standings, ancestor))))
    }

    /// Says whether what hangs from a grant that had this epoch (codes, chains) still stands.
    pub async fn judge_grant(
        &self,
        workspace: WorkspaceId,
        (grant, epoch): (&Grant, Epoch),
        now: UnixTime,
    ) -> Result<Result<(), Reason>, Outage> {
        match alive::uncut_since(epoch, grant) {
            Ok(()) => self.judge_lineage(workspace, &grant.descent.lineage(), now).await,
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// What an entitlement still allows a client today, for this person or for itself, beside the resources as they are;
    /// `None` if nothing. Roles are looked at where a resource asks for them, and nowhere else.
    pub async fn effective<'e>(
        &self,
        (client, user): (&Client, Option<UserId>),
        entitlement: &'e Entitlement,
    ) -> Result<Option<Effective<'e>>, Outage> {
        let mut today: Vec<Arc<Resource>> = Vec::with_capacity(entitlement.resources.len());
        for (id, _) in &entitlement.resources {
            if let Some(resource) = self.find_resource_by_id(client.workspace, *id).await? {
                today.push(resource);
            }
        }
        let permitted = if today.iter().any(|resource| resource.settings.requires_roles) {
            Box::pin(self.permitted((client, user), &today)).await?
        } else {
            Vec::new()
        };
        let allowed = |id| {
            let resource = today.iter().find(|resource| resource.id == id)?;
            let asked = client.settings.access.get(&resource.uri)?;
            let permitted = permitted.iter().find(|(of, _)| *of == id).map(|(_, scopes)| scopes);
            Some(Allowed { offered: &resource.settings.scopes, asked, permitted })
        };
        let effective = alive::effective(entitlement, |id| Ok::<_, Outage>(allowed(id)))?;
        Ok(effective.map(|entitlement| {
            // Beside each other: what the client lost is in neither.
            today.retain(|resource| entitlement.resources.iter().any(|(id, _)| *id == resource.id));
            Effective { entitlement, resources: today }
        }))
    }

    /// The roles that a person holds today, or a client for itself.
    pub async fn roles_of(&self, (client, user): (&Client, Option<UserId>)) -> Result<Vec<Arc<Role>>, Outage> {
        let person = match user {
            Some(id) => self.find_user(client.workspace, id).await?,
            None => None,
        };
        let held = match (user, &person) {
            (Some(_), person) => person.as_ref().map(|person| person.roles.as_slice()).unwrap_or_default(),
            (None, _) => &client.roles,
        };
        let mut roles = Vec::with_capacity(held.len());
        for id in held {
            roles.extend(self.find_role(client.workspace, *id).await?);
        }
        Ok(roles)
    }

    /// What the roles of a person, or of a client for itself, permit at those of these resources that ask for roles.
    async fn permitted(
        &self,
        (client, user): (&Client, Option<UserId>),
        resources: &[Arc<Resource>],
    ) -> Result<Vec<(ResourceId, Scopes)>, Outage> {
        let roles = self.roles_of((client, user)).await?;
        let asking = resources.iter().filter(|resource| resource.settings.requires_roles);
        let settings = || roles.iter().map(|role| &role.settings);
        Ok(asking.map(|resource| (resource.id, alive::permitted(settings(), resource))).collect())
    }

    /// Redeems a code. Its grant is remembered as the step saw it: the first token is minted without a look at the store.
    pub async fn redeem(&self, step: RedeemCode) -> Result<RedeemedCode, Outage> {
        let at = self.memory.begin();
        let redeemed = self.run(step).await?;
        // A grant that takes what others have no room for may have lost tokens before.
        if let RedeemedCode::Fresh(redemption) = &redeemed
            && !redemption.grant.standing
        {
            let mut grant = redemption.grant.clone();
            self.memory.share(&mut grant.entitlements);
            // A first use: no token came of it before, so none was killed.
            let remembered = Arc::new(RememberedGrant::new(grant, HashSet::new()));
            self.memory.fill(at, Touched::Grant(remembered.grant.id), |filling| filling.grant(&remembered));
        }
        Ok(redeemed)
    }

    /// The standing grant that holds an entitlement, if memory knows one that stands.
    pub async fn find_standing(
        &self,
        workspace: WorkspaceId,
        key: &StandingKey,
        now: UnixTime,
    ) -> Result<Option<StandingPlace>, Outage> {
        let known = self.memory.trust().and_then(|memory| {
            let (grant, number) = memory.standing_grant(key)?;
            let grant = memory.grant(grant).filter(|grant| grant.grant.standing)?;
            let judged = judged(memory.stands(&grant, now));
            Some((grant, number, judged))
        });
        let Some((grant, number, judged)) = known else { return Ok(None) };
        let judged = match judged {
            Ok(judged) => judged,
            Err(Miss) => self.judge_lineage(workspace, &grant.grant.descent.lineage(), now).await?,
        };
        Ok(judged.is_ok().then_some((grant, number)))
    }

    /// Finds or makes the standing grant that holds an entitlement. `None` if it and its children are full.
    pub async fn make_standing(&self, step: StandingEntitlement) -> Result<Option<StandingPlace>, Outage> {
        let workspace = step.stamp.workspace;
        let key = StandingKey { client: step.client, epochs: step.epochs, entitlement: step.entitlement.clone() };
        let Interned::At(id, number) = self.run(step).await? else { return Ok(None) };
        let at = self.memory.begin();
        let evidence = self.load_evidence(workspace, id).await?;
        let evidence = evidence.ok_or_else(|| Outage::Corrupt("a standing grant is gone".into()))?;
        self.memory.fill(at, Touched::Grant(id), |filling| filling.standing_grant(key, id, number));
        Ok(Some((evidence.grant, number)))
    }
}

fn verdict<K>(
    token: &Reference<K>,
    grant: &Arc<RememberedGrant>,
    now: UnixTime,
    standing: impl FnOnce() -> Result<Result<Stands, Reason>, Miss>,
) -> Result<Verdict<Alive>, Miss> {
    let killed = grant.has_killed(&token.jti);
    let mut stands = Stands { until: None };
    let standing = || Ok(standing()?.map(|found| stands = found));
    if let Err(reason) = alive::token(token, &grant.grant, killed, now, standing)? {
        return Ok(Verdict::Inactive(reason));
    }
    // A number this grant does not have yet is ahead of what is remembered: a miss, not a verdict.
    let entitlement = grant.grant.entitlement(token.sealed.entitlement).ok_or(Miss)?;
    Ok(Verdict::Active(Alive { grant: Arc::clone(grant), entitlement: Arc::clone(entitlement), stands }))
}

/// A judgement of which nothing is kept for later.
fn judged<M>(of: Result<Result<Stands, Reason>, M>) -> Result<Result<(), Reason>, M> {
    of.map(|judged| judged.map(|_| ()))
}

fn standing_in(standings: &[(Ancestor, Option<Standing>)], ancestor: Ancestor) -> Option<Standing> {
    standings.iter().find(|(of, _)| *of == ancestor).and_then(|(_, standing)| *standing)
}
