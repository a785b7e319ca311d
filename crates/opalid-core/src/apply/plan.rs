//! What has to change so that what is becomes what is declared.
//!
//! Takes: the current state as a document, the desired one. Gives: changes in an order in which each can be
//! carried out, or every problem of the desired document.
//! Holds: nothing is deleted without `prune`; what is as declared is not touched, so that a second run has
//! nothing to do; no secret is in a plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{Problem, check};
use super::entry::Entry;
use super::{ClientEntry, Document, SecretSource, UserEntry, WorkspaceEntry};
use crate::client::ClientKind;
use crate::resource::ResourceSettings;
use crate::role::RoleSettings;
use crate::workspace::WorkspaceSettings;

/// Kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A workspace.
    Workspace,
    /// A resource.
    Resource,
    /// A role.
    Role,
    /// A client.
    Client,
    /// A user.
    User,
}

impl Kind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Resource => "resource",
            Self::Role => "role",
            Self::Client => "client",
            Self::User => "user",
        }
    }
}

/// What happens to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It is made.
    Create,
    /// It changes.
    Update,
    /// It goes, with everything that hangs from it.
    Delete,
}

/// What happens to a client's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewSecret {
    /// Nothing.
    Keep,
    /// It gets the one that is found there.
    Given(SecretSource),
    /// It gets one that is drawn and shown once.
    Draw,
}

/// What carries a change out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A workspace's new settings.
    Workspace(Box<WorkspaceSettings>),
    /// A resource's new settings.
    Resource(ResourceSettings),
    /// A role's new settings.
    Role(RoleSettings),
    /// A client as declared, and what happens to its secrets.
    Client(Box<ClientEntry>, NewSecret),
    /// A user as declared.
    User(Box<UserEntry>),
    /// Nothing is left.
    Gone,
}

/// How one field changes; absent means its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// What it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// One change: a step of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// In which workspace, or which.
    pub workspace: String,
    /// To what kind of entry.
    pub kind: Kind,
    /// What happens to it.
    pub verb: Verb,
    /// Its name today; for a new one, that which it gets.
    pub name: String,
    /// What changes, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What happens to its secret or password, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What may not be as it was meant, though nothing is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What carries it out.
    #[serde(skip, default = "gone")]
    pub target: Target,
    /// The entry it was planned from: nothing is written over another one.
    #[serde(skip)]
    pub was: Option<Target>,
}

const fn gone() -> Target {
    Target::Gone
}

/// Changes in the order in which they are carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The changes.
    pub changes: Vec<PlannedChange>,
}

/// How to plan.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Delete what is not declared, of the kinds that are.
    pub prune: bool,
    /// The workspace that cannot be deleted: the root.
    pub root: String,
    /// Workspace and `client_id` of each client whose secret is the declared one already.
    pub same_secrets: BTreeSet<(String, String)>,
}

/// What a client is that may ask for resources, and gets none where it names none.
const NAMES_NO_RESOURCE: &str = "neither this client nor its workspace has default_resources: a request that names no \
                                 resource gets nothing of its access";

/// Plans the way from `current` to `desired`.
pub fn plan(current: &Document, desired: &Document, options: &PlanOptions) -> Result<Plan, Vec<Problem>> {
    check(current, desired, options.prune)?;
    let mut planner = Planner { options, changes: Vec::new(), removals: Vec::new() };
    let nothing = WorkspaceEntry::default();
    let existing: BTreeMap<&str, &WorkspaceEntry> = current.listed().iter().map(|w| (&*w.name, w)).collect();
    for wanted in desired.listed() {
        let found = existing.get(&*wanted.name).copied();
        let settings = wanted.settings.clone().or_else(|| found?.settings.clone());
        let own = WorkspaceEntry { name: wanted.name.clone(), settings, ..WorkspaceEntry::default() };
        planner.one(&wanted.name, &own, found, NewSecret::Keep);
        let begun = planner.changes.len();
        planner.inside(wanted, found.unwrap_or(&nothing));
        let defaults = own.settings.map(|settings| settings.default_resources).unwrap_or_default();
        for change in planner.changes.iter_mut().skip(begun) {
            if let Target::Client(client, _) = &change.target {
                change.hint = client.settings.gets_nothing_unasked(&defaults).then(|| NAMES_NO_RESOURCE.to_owned());
            }
        }
    }
    if options.prune && desired.workspaces.is_some() {
        let listed: BTreeSet<&str> = desired.listed().iter().map(|w| &*w.name).collect();
        let unlisted = current.listed().iter().filter(|w| !listed.contains(&*w.name) && w.name != options.root);
        planner.removals.extend(unlisted.map(|w| deletion(&w.name, Kind::Workspace, &w.name)));
    }
    planner.changes.append(&mut planner.removals);
    Ok(Plan { changes: planner.changes })
}

struct Planner<'o> {
    options: &'o PlanOptions,
    changes: Vec<PlannedChange>,
    removals: Vec<PlannedChange>,
}

impl Planner<'_> {
    fn inside(&mut self, wanted: &WorkspaceEntry, found: &WorkspaceEntry) {
        let workspace = &*wanted.name;
        let same = |client: &ClientEntry| {
            self.options.same_secrets.contains(&(workspace.to_owned(), client.client_id.clone()))
        };
        let secrets: Vec<NewSecret> =
            wanted.clients.iter().flatten().map(|client| new_secret(client, found, same(client))).collect();
        self.all(workspace, wanted.resources.as_deref(), found.resources.as_deref(), &[]);
        self.all(workspace, wanted.roles.as_deref(), found.roles.as_deref(), &[]);
        self.all(workspace, wanted.clients.as_deref(), found.clients.as_deref(), &secrets);
        self.all(workspace, wanted.users.as_deref(), found.users.as_deref(), &[]);
        // People first, then what they used, then what either held, then what that was for.
        self.prune(workspace, wanted.users.as_deref(), found.users.as_deref());
        self.prune(workspace, wanted.clients.as_deref(), found.clients.as_deref());
        self.prune(workspace, wanted.roles.as_deref(), found.roles.as_deref());
        self.prune(workspace, wanted.resources.as_deref(), found.resources.as_deref());
    }

    fn all<E: Entry>(&mut self, workspace: &str, wanted: Option<&[E]>, found: Option<&[E]>, secrets: &[NewSecret]) {
        let found: BTreeMap<String, &E> = found.unwrap_or_default().iter().map(|entry| (entry.key(), entry)).collect();
        let secrets = secrets.iter().cloned().chain(std::iter::repeat(NewSecret::Keep));
        for (entry, secret) in wanted.unwrap_or_default().iter().zip(secrets) {
            self.one(workspace, entry, found.get(&entry.key()).copied(), secret);
        }
    }

    fn one<E: Entry>(&mut self, workspace: &str, wanted: &E, found: Option<&E>, secret: NewSecret) {
        let differences = differences(found, wanted);
        if found.is_some() && differences.is_empty() && secret == NewSecret::Keep {
            return;
        }
        self.changes.push(PlannedChange {
            workspace: workspace.to_owned(),
            kind: E::KIND,
            verb: if found.is_some() { Verb::Update } else { Verb::Create },
            name: found.unwrap_or(wanted).name().to_owned(),
            differences,
            secret: in_words(&secret, found.is_some()).or_else(|| wanted.first_password().filter(|_| found.is_none())),
            hint: None,
            target: wanted.target(secret),
            was: found.map(|found| found.target(NewSecret::Keep)),
        });
    }

    fn prune<E: Entry>(&mut self, workspace: &str, wanted: Option<&[E]>, found: Option<&[E]>) {
        let (true, Some(wanted), Some(found)) = (self.options.prune, wanted, found) else { return };
        let wanted: BTreeSet<String> = wanted.iter().map(Entry::key).collect();
        let unlisted = found.iter().filter(|entry| !wanted.contains(&entry.key()));
        self.removals.extend(unlisted.map(|entry| deletion(workspace, E::KIND, entry.name())));
    }
}

/// The change that removes an entry.
pub fn deletion(workspace: &str, kind: Kind, name: &str) -> PlannedChange {
    PlannedChange {
        workspace: workspace.to_owned(),
        kind,
        verb: Verb::Delete,
        name: name.to_owned(),
        differences: Vec::new(),
        secret: None,
        hint: None,
        target: Target::Gone,
        was: None,
    }
}

fn new_secret(wanted: &ClientEntry, found: &WorkspaceEntry, same: bool) -> NewSecret {
    let known = found.clients.iter().flatten().find(|client| client.client_id == wanted.client_id);
    let has_secret = known.is_some_and(|client| client.settings.kind == ClientKind::Confidential);
    match (&wanted.secret, wanted.settings.kind) {
        (_, ClientKind::Public) => NewSecret::Keep,
        (Some(_), _) if has_secret && same => NewSecret::Keep,
        (Some(source), _) => NewSecret::Given(source.clone()),
        (None, _) if has_secret => NewSecret::Keep,
        (None, _) => NewSecret::Draw,
    }
}

fn in_words(secret: &NewSecret, exists: bool) -> Option<String> {
    match secret {
        NewSecret::Keep => None,
        NewSecret::Draw => Some("drawn, and shown once".to_owned()),
        NewSecret::Given(source) if exists => Some(format!("the one in {source}; the old ones still work for a while")),
        NewSecret::Given(source) => Some(format!("the one in {source}")),
    }
}

/// Field by field; of a new entry, all that it says.
fn differences<E: Entry>(found: Option<&E>, wanted: &E) -> Vec<Difference> {
    let mut before = found.map(Entry::fields).unwrap_or_default();
    let mut differences: Vec<Difference> = wanted
        .fields()
        .into_iter()
        .map(|(field, after)| Difference { before: before.remove(&field), after: Some(after), field })
        .filter(|difference| difference.before != difference.after)
        .collect();
    differences.extend(before.into_iter().map(|(field, value)| Difference { field, before: Some(value), after: None }));
    differences
}
