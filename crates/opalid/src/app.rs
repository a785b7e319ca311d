//! What every request shares: the store, the clock, the master key, the issuers.

use std::sync::Arc;

use opalid_core::ids::{EventId, WorkspaceId, uuid_v7};
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::workspace::Workspace;
use opalid_store::Store;
use opalid_store::keys::WorkspaceRecord;
use opalid_store::steps::Stamp;
use papaya::HashMap;

use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::followers::Followers;
use crate::http::Transport;
use crate::http::body::BodyBudget;
use crate::http::client_address::Network;
use crate::http::limits::BodyLimits;
use crate::issuer::{BadIssuer, Issuer};
use crate::master_key::MasterKeys;
use crate::metrics::Metrics;
use crate::passwords::password_hash::PasswordHasher;
use crate::passwords::throttle::Throttle;
use crate::random;
use crate::readiness::Readiness;
use crate::telemetry::RequestIds;
use crate::test_jwt::Workbench;
use crate::walk::Walks;

/// The one shared context.
pub struct App {
    /// Durable state.
    pub store: Store,
    /// The data folder.
    pub data: std::path::PathBuf,
    /// Where the time of day comes from.
    pub clock: Clock,
    /// Wraps every key at rest.
    pub master: MasterKeys,
    /// Where that one lies, for people.
    pub master_key_place: String,
    /// Whether that is the file in the data folder.
    pub master_key_in_data: bool,
    /// The issuer URL of the root workspace, without a slash at its end.
    pub base_url: String,
    /// How browsers reach it.
    pub transport: Transport,
    /// The workspace whose issuer has no path.
    pub root: WorkspaceId,
    /// What a request's body may take.
    pub body_limits: BodyLimits,
    /// What all bodies that are being read hold.
    pub bodies: BodyBudget,
    /// Whether the store answers.
    pub readiness: Readiness,
    /// Who may say for whom it speaks.
    pub trusted_proxies: Vec<Network>,
    /// Hashes passwords, on threads of its own.
    pub hasher: PasswordHasher,
    /// Counts failed sign-ins.
    pub throttle: Throttle,
    /// Counts what is stored before anybody has signed in, and the codes of who has.
    pub arrivals: Arrivals,
    /// How long audit rows are kept.
    pub audit_kept: Seconds,
    /// Numbers requests, for logs and error pages.
    pub request_ids: RequestIds,
    /// Who follows the feed.
    pub followers: Followers,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whether this is `--demo`.
    pub demo: bool,
    /// Who is on a walk through the demo.
    pub walks: Walks,
    /// Where test JWTs are made.
    pub test_jwts: Workbench,
    /// Issuers with their keys opened, beside the record each was made from.
    pub(crate) issuers: HashMap<WorkspaceId, Arc<Issuer>>,
}

/// Why there is no issuer to answer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The store did not answer.
    #[error(transparent)]
    Outage(#[from] opalid_store::Outage),
    /// Its keys do not open.
    #[error(transparent)]
    Keys(#[from] BadIssuer),
}

impl App {
    /// The time of day.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// A new id: time-ordered, never a secret.
    pub fn new_id(&self) -> [u8; 16] {
        let (now, millis) = self.clock.now_with_millis();
        uuid_v7(now, millis, random::bytes())
    }

    /// The stamp of a step that happens now.
    pub fn stamp(&self, workspace: WorkspaceId, initiator: impl Into<String>) -> Stamp {
        Stamp { workspace, now: self.now(), event: EventId::from_bytes(self.new_id()), initiator: initiator.into() }
    }

    /// The issuer of the root (`None`) or of the workspace with this name. The root has no second URL.
    pub async fn find_issuer(&self, name: Option<&str>) -> Result<Option<Arc<Issuer>>, IssuerError> {
        let record = match name {
            None => self.store.find_workspace_by_id(self.root).await?,
            Some(name) => self.store.find_workspace(name).await?.filter(|record| record.workspace.id != self.root),
        };
        record.filter(|record| record.workspace.enabled).map(|record| self.issuer_of(&record)).transpose()
    }

    /// The URL of a workspace's issuer.
    pub fn issuer_url(&self, workspace: &Workspace) -> String {
        if workspace.id == self.root { self.base_url.clone() } else { format!("{}/{}", self.base_url, workspace.name) }
    }

    /// The issuer of a workspace as it was read; its keys are opened once per record.
    pub fn issuer_of(&self, record: &Arc<WorkspaceRecord>) -> Result<Arc<Issuer>, IssuerError> {
        let id = record.workspace.id;
        let known = self.issuers.pin().get(&id).filter(|issuer| Arc::ptr_eq(&issuer.record, record)).cloned();
        if let Some(issuer) = known {
            return Ok(issuer);
        }
        let url = self.issuer_url(&record.workspace);
        let issuer = Arc::new(Issuer::open((url, &self.base_url), Arc::clone(record), self.transport, &self.master)?);
        self.issuers.pin().insert(id, Arc::clone(&issuer));
        Ok(issuer)
    }
}
