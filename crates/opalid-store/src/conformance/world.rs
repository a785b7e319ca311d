//! A workspace with a client, a resource and a user, and what tests do with them.

use std::sync::Arc;

use opalid_core::alive::{Reason, Standing, Verdict};
use opalid_core::client::ClientSettings;
use opalid_core::grant::{Ancestor, Descent, Entitlement, EntitlementNo, Epoch, Grant, Guard};
use opalid_core::ids::{ClientId, EventId, GrantId, ResourceId, UserId, WorkspaceId};
use opalid_core::resource::ResourceSettings;
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::token::{Access, Jti, PresentedToken, Reference, Sealed, Sealer, SecretDigest};
use opalid_core::workspace::WorkspaceSettings;

use super::place::{Place, unique, unique_bytes};
use crate::keys::{KeyPurpose, KeyState, WorkspaceKey};
use crate::memory::RememberedGrant;
use crate::steps::client::{ClientEvent, CreateClient, TouchClient};
use crate::steps::evidence::GrantFacts;
use crate::steps::resource::CreateResource;
use crate::steps::revoke::{CutGrant, KillLimits, KillToken, Revoked};
use crate::steps::standing::{Interned, NewGrant, StandingEntitlement, insert_grant};
use crate::steps::user::{CreateUser, TouchUser, UserEvent};
use crate::steps::workspace::CreateWorkspace;
use crate::steps::{Stamp, to_json};
use crate::{Step, Store, StoreError, Tx};

/// When everything happens.
pub const NOW: UnixTime = UnixTime(1_800_000_000);
/// When tokens expire.
pub const END: UnixTime = UnixTime(1_800_003_600);

/// A store with something in it.
#[derive(Clone)]
pub struct World {
    pub store: Arc<Store>,
    pub workspace: WorkspaceId,
    pub client: ClientId,
    pub resource: ResourceId,
    pub user: UserId,
    pub sealer: Arc<Sealer>,
}

/// An opened token.
pub type Token = Reference<Access>;

impl World {
    /// Makes it.
    pub async fn new(place: &Place) -> Self {
        Self::within(place.open().await).await
    }

    /// Makes it in this store.
    pub async fn within(store: Arc<Store>) -> Self {
        let workspace = WorkspaceId::from_bytes(unique_bytes());
        let sealer = Arc::new(Sealer::new(workspace, (1, &[7; 32]), &[]).unwrap());
        let world = Self {
            store,
            workspace,
            client: ClientId::from_bytes(unique_bytes()),
            resource: ResourceId::from_bytes(unique_bytes()),
            user: UserId::from_bytes(unique_bytes()),
            sealer,
        };
        assert!(world.store.run(world.create_workspace("default")).await.unwrap());
        assert!(world.store.run(world.create_client("app")).await.unwrap());
        assert!(world.store.run(world.create_resource("https://api.example/")).await.unwrap());
        assert!(world.store.run(world.create_user("alice")).await.unwrap());
        world
    }

    pub fn stamp(&self) -> Stamp {
        let event = EventId::from_bytes(unique_bytes());
        Stamp { workspace: self.workspace, now: NOW, event, initiator: "operator".into() }
    }

    pub fn create_workspace(&self, name: &str) -> CreateWorkspace {
        let key = |purpose, number| WorkspaceKey {
            purpose,
            number,
            state: KeyState::Current,
            algorithm: String::new(),
            wrapped: vec![number; 40],
        };
        CreateWorkspace {
            stamp: self.stamp(),
            name: name.into(),
            settings: WorkspaceSettings { display_name: "Ünïcode".into(), ..Default::default() },
            keys: vec![key(KeyPurpose::Sealing, 1), key(KeyPurpose::Row, 2)],
        }
    }

    pub fn create_client(&self, client_id: &str) -> CreateClient {
        CreateClient {
            stamp: self.stamp(),
            id: self.client,
            client_id: client_id.into(),
            settings: ClientSettings { name: "App".into(), ..Default::default() },
            roles: Vec::new(),
            secret: Some(SecretDigest([3; 32])),
        }
    }

    pub fn create_resource(&self, uri: &str) -> CreateResource {
        let settings = ResourceSettings { name: "API".into(), scopes: scopes("read write"), ..Default::default() };
        CreateResource { stamp: self.stamp(), id: self.resource, uri: uri.into(), settings }
    }

    pub fn create_user(&self, name: &str) -> CreateUser {
        CreateUser {
            stamp: self.stamp(),
            id: self.user,
            username: name.into(),
            username_key: name.to_lowercase(),
            admin: true,
            password_hash: None,
            claims: Default::default(),
            roles: Vec::new(),
        }
    }

    /// The same world in a store that was opened anew.
    pub async fn reopened(self, place: &Place) -> Self {
        Self { store: place.reopen(self.store).await, ..self }
    }

    /// Asks for an entitlement in the client's standing grant.
    pub fn standing(&self, epochs: (u32, u32), entitlement: Entitlement) -> StandingEntitlement {
        StandingEntitlement {
            stamp: self.stamp(),
            client: self.client,
            epochs: (Epoch(epochs.0), Epoch(epochs.1)),
            entitlement,
            fresh: [new_grant(), new_grant()],
        }
    }

    /// Interns "read" under the first epochs.
    pub async fn interned(&self) -> (GrantId, EntitlementNo) {
        self.intern(self.standing((Epoch::FIRST.0, Epoch::FIRST.0), self.read())).await
    }

    pub async fn intern(&self, step: StandingEntitlement) -> (GrantId, EntitlementNo) {
        match self.store.run(step).await.unwrap() {
            Interned::At(grant, number) => (grant, number),
            Interned::Full => panic!("no room"),
        }
    }

    /// The scope "read" at the resource.
    pub fn read(&self) -> Entitlement {
        Entitlement::new(Scopes::default(), vec![(self.resource, scopes("read"))])
    }

    /// A token of a grant as it stands.
    pub async fn token(&self, grant: GrantId, number: EntitlementNo) -> Token {
        let evidence = self.store.load_evidence(self.workspace, grant).await.unwrap().unwrap();
        self.mint(&evidence.grant, number)
    }

    pub fn mint(&self, grant: &RememberedGrant, entitlement: EntitlementNo) -> Token {
        let sealed = Sealed {
            grant: grant.grant.id,
            guard: grant.grant.guard,
            entitlement,
            epoch: grant.grant.epoch,
            issued_at: NOW,
            expires_at: END,
            confirmation: None,
        };
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&unique().to_be_bytes());
        let text = self.sealer.seal::<Access>(&sealed, Jti(nonce));
        self.sealer.open(PresentedToken::new(&text)).unwrap()
    }

    /// Why a token is not alive; `None` if it is.
    pub async fn why_dead(&self, token: &Token) -> Option<Reason> {
        match self.store.judge(self.workspace, token, NOW).await.unwrap() {
            Verdict::Active(_) => None,
            Verdict::Inactive(reason) => Some(reason),
        }
    }

    pub fn kill(&self, token: &Token) -> KillToken {
        KillToken {
            stamp: self.stamp(),
            grant: token.sealed.grant,
            epoch: token.sealed.epoch,
            jti: token.jti,
            expires_at: END,
            limits: KillLimits::default(),
        }
    }

    pub async fn cut(&self, grant: GrantId) -> Revoked {
        self.store.run(CutGrant { stamp: self.stamp(), grant, of_epoch: None, reason: "a test" }).await.unwrap()
    }

    pub async fn touch_client(&self, event: ClientEvent) -> bool {
        self.store.run(TouchClient { stamp: self.stamp(), id: self.client, event }).await.unwrap()
    }

    pub async fn touch_user(&self, event: UserEvent) -> bool {
        self.store.run(TouchUser { stamp: self.stamp(), id: self.user, event }).await.unwrap()
    }

    /// How many audit rows there are, and where the feed ends.
    pub async fn written(&self) -> (i64, i64) {
        self.store.read(Written).await.unwrap()
    }

    /// How an ancestor stands, asked for by itself.
    pub async fn standing_of(&self, ancestor: Ancestor) -> Option<Standing> {
        self.store.read(FindStanding(self.workspace, ancestor)).await.unwrap()
    }

    /// A grant of the user's that hangs from these, and a token of it.
    pub async fn user_token(&self, ancestors: &[Ancestor]) -> Token {
        let mut births = Vec::new();
        for ancestor in ancestors {
            let standing = self.standing_of(*ancestor).await.expect("an ancestor");
            births.push(opalid_core::grant::Birth { ancestor: *ancestor, epoch: standing.epoch });
        }
        let new = new_grant();
        let grant = Grant {
            id: new.id,
            guard: new.guard,
            epoch: Epoch::FIRST,
            standing: false,
            descent: Descent::new(self.client, Some(self.user), births),
            entitlements: Arc::new([Arc::new(self.read())]),
        };
        let id = grant.id;
        self.store.run(MakeGrant { stamp: self.stamp(), grant }).await.unwrap();
        self.token(id, EntitlementNo(0)).await
    }
}

pub fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).unwrap()
}

pub fn new_grant() -> NewGrant {
    NewGrant { id: GrantId::from_bytes(unique_bytes()), guard: Guard::new(unique().to_be_bytes()) }
}

struct FindStanding(WorkspaceId, Ancestor);

impl Step for FindStanding {
    type Out = Option<Standing>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        crate::steps::evidence::find_standing(tx, self.0, self.1).await
    }
}

struct Written;

impl Step for Written {
    type Out = (i64, i64);

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let audits = tx.run("SELECT count(*) FROM audit", &[]).await?[0].int(0)?;
        Ok((audits, tx.run("SELECT n FROM feed_head", &[]).await?[0].int(0)?))
    }
}

struct MakeGrant {
    stamp: Stamp,
    grant: Grant,
}

impl Step for MakeGrant {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        assert!(insert_grant(tx, &self.stamp, &self.grant, None, &GrantFacts::default()).await?);
        assert!(to_json(&GrantFacts::default()).is_ok());
        Ok(())
    }
}
