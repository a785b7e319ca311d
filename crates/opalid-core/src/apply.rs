//! What operators declare: workspaces with their resources, roles, clients and users, as `apply` reads them and
//! `export` writes them.
//!
//! Holds: an unknown field is refused; a secret never stands in a document, only where it is to be found; an
//! entry says all of its entry, and a kind that a workspace does not list at all is left alone.
//! Not here: reading files and variables, and carrying out a plan.

mod advice;
mod check;
mod entry;
mod plan;
mod secret;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use advice::{advised, fields_of};
pub use check::Problem;
pub use plan::{Difference, Kind, NewSecret, Plan, PlanOptions, PlannedChange, Target, Verb, deletion, plan};
pub use secret::{BadClientSecret, CLIENT_SECRET_MIN, NOT_IN_THE_DOCUMENT, SecretSource, check_client_secret};

use crate::claims::{StandardClaims, wrong_claims};
use crate::client::ClientSettings;
use crate::resource::ResourceSettings;
use crate::role::RoleSettings;
use crate::workspace::WorkspaceSettings;

/// What is declared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Workspaces; when none is listed, nothing is said of any.
    #[serde(rename = "workspace", default, skip_serializing_if = "Option::is_none")]
    pub workspaces: Option<Vec<WorkspaceEntry>>,
}

/// A workspace with what is in it. A kind that is not listed is not managed by this document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "AsWritten")]
pub struct WorkspaceEntry {
    /// Its name.
    pub name: String,
    /// Its settings; what is absent has its default. None where nothing is said of any: then a workspace that is there
    /// keeps those it has, so that a document about one application changes nothing else.
    #[serde(flatten)]
    pub settings: Option<WorkspaceSettings>,
    /// Its resources.
    #[serde(rename = "resource", default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<ResourceEntry>>,
    /// Its roles.
    #[serde(rename = "role", default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<RoleEntry>>,
    /// Its clients.
    #[serde(rename = "client", default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<ClientEntry>>,
    /// Its users.
    #[serde(rename = "user", default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserEntry>>,
}

/// A workspace entry before it is known whether it says anything of its settings.
#[derive(Deserialize)]
struct AsWritten {
    name: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
    resource: Option<Vec<ResourceEntry>>,
    role: Option<Vec<RoleEntry>>,
    client: Option<Vec<ClientEntry>>,
    user: Option<Vec<UserEntry>>,
}

impl TryFrom<AsWritten> for WorkspaceEntry {
    type Error = serde_json::Error;

    fn try_from(written: AsWritten) -> Result<Self, serde_json::Error> {
        let AsWritten { name, settings, resource, role, client, user } = written;
        let says = !settings.is_empty();
        let settings: Option<WorkspaceSettings> =
            says.then(|| serde_json::from_value(Value::Object(settings))).transpose()?;
        // Here and not with the rest that is wrong, so that whoever reads the document can say on which line.
        if let Some(wrong) = settings.as_ref().and_then(|settings| wrong_claims(&settings.claims)) {
            return Err(serde::de::Error::custom(wrong));
        }
        Ok(Self { name, settings, resources: resource, roles: role, clients: client, users: user })
    }
}

/// A resource. What it says beyond its own fields its settings have to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceEntry {
    /// Its URI, byte for byte.
    pub uri: String,
    /// Its name and scopes.
    #[serde(flatten)]
    pub settings: ResourceSettings,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleEntry {
    /// Its name.
    pub name: String,
    /// What it permits.
    #[serde(flatten)]
    pub settings: RoleSettings,
}

/// A client. What it says beyond its own fields its settings have to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEntry {
    /// Its name on the wire.
    pub client_id: String,
    /// Where its secret is to be found. A new confidential client without one gets one that is drawn and
    /// shown once; one that exists keeps what it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
    /// What it may do.
    #[serde(flatten)]
    pub settings: ClientSettings,
    /// The roles it holds for itself, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// What the person types to sign in.
    pub username: String,
    /// Where the first password is to be found; used when the user is made and never after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretSource>,
    /// Whether the user administers the workspace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// What is known of the person.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub claims: StandardClaims,
    /// The roles they hold, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

fn is_empty(claims: &StandardClaims) -> bool {
    *claims == StandardClaims::default()
}

impl Document {
    /// The workspaces it lists.
    pub fn listed(&self) -> &[WorkspaceEntry] {
        self.workspaces.as_deref().unwrap_or_default()
    }

    /// Every place where a secret is to be found, once.
    pub fn secret_sources(&self) -> Vec<&SecretSource> {
        let mut sources: Vec<&SecretSource> = self.listed().iter().flat_map(WorkspaceEntry::secret_sources).collect();
        sources.sort();
        sources.dedup();
        sources
    }
}

impl WorkspaceEntry {
    /// Puts everything in it in the order of its names.
    pub fn sort(&mut self) {
        self.resources.iter_mut().for_each(|all| all.sort_by(|one, other| one.uri.cmp(&other.uri)));
        self.roles.iter_mut().for_each(|all| all.sort_by(|one, other| one.name.cmp(&other.name)));
        self.clients.iter_mut().for_each(|all| all.sort_by(|one, other| one.client_id.cmp(&other.client_id)));
        self.users.iter_mut().for_each(|all| all.sort_by(|one, other| one.username.cmp(&other.username)));
    }

    fn secret_sources(&self) -> impl Iterator<Item = &SecretSource> {
        let of_clients = self.clients.iter().flatten().filter_map(|client| client.secret.as_ref());
        of_clients.chain(self.users.iter().flatten().filter_map(|user| user.password.as_ref()))
    }
}

#[cfg(test)]
mod tests;
