//! What is, as a document.

use opalid_core::apply::{ClientEntry, Document, ResourceEntry, RoleEntry, UserEntry, WorkspaceEntry};
use opalid_core::client::Client;
use opalid_core::ids::{RoleId, WorkspaceId};
use opalid_core::user::{User, username_key};
use opalid_core::workspace::Workspace;
use opalid_store::StoreError;
use opalid_store::steps::client::{ByClient, FindClient};
use opalid_store::steps::list::{ListClients, ListResources, ListRoles, ListUsers, Part};
use opalid_store::steps::user::FindCredentials;
use opalid_store::steps::workspace::ListWorkspaces;

use std::collections::BTreeMap;
use tokio::sync::watch;

use crate::app::App;

/// Rows of one read.
const BATCH: u32 = 500;

/// What is read from, and who hears how many entries are read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub app: &'a App,
    pub so_far: Option<&'a watch::Sender<u64>>,
}

impl Reading<'_> {
    /// Tells how much is read, and lets whoever listens say it: a read may be over without ever having waited.
    async fn has_read<T>(self, rows: &[T]) {
        if let Some(so_far) = self.so_far {
            so_far.send_modify(|count| *count += u64::try_from(rows.len()).unwrap_or(0));
            tokio::task::yield_now().await;
        }
    }
}

/// Which entries of a kind are read.
pub(super) enum Select {
    /// All of them.
    All,
    /// Those that have one of these names.
    Named(Vec<String>),
    /// None, and nothing is said of the kind.
    Nothing,
}

impl Select {
    /// Those that a declared list is compared with: all of them if what is not listed goes.
    fn facing<E>(declared: Option<&Vec<E>>, prune: bool, name: impl Fn(&E) -> &str) -> Self {
        match declared {
            None => Self::Nothing,
            Some(_) if prune => Self::All,
            Some(list) => Self::Named(list.iter().map(|entry| name(entry).to_owned()).collect()),
        }
    }
}

/// As much of what is as a document has to be compared with.
pub(super) async fn facing(app: &App, declared: &Document, prune: bool) -> Result<Document, StoreError> {
    let reading = Reading { app, so_far: None };
    let mut workspaces = Vec::new();
    for workspace in app.store.read(ListWorkspaces).await? {
        let entry = declared.listed().iter().find(|entry| entry.name == workspace.name);
        workspaces.push(match entry {
            Some(entry) => {
                let clients = Select::facing(entry.clients.as_ref(), prune, |client| &client.client_id);
                let users = Select::facing(entry.users.as_ref(), prune, |user| &user.username);
                read(reading, &workspace, clients, users).await?
            }
            None => bare(&workspace),
        });
    }
    Ok(Document { workspaces: Some(workspaces) })
}

fn bare(workspace: &Workspace) -> WorkspaceEntry {
    WorkspaceEntry {
        name: workspace.name.clone(),
        settings: Some(workspace.settings.clone()),
        ..WorkspaceEntry::default()
    }
}

/// The names of a workspace's roles.
type RoleNames = BTreeMap<RoleId, String>;

/// A workspace with all its resources and roles, and the clients and users that are selected.
pub(super) async fn read(
    from: Reading<'_>,
    workspace: &Workspace,
    clients: Select,
    users: Select,
) -> Result<WorkspaceEntry, StoreError> {
    let id = workspace.id;
    let mut entry = bare(workspace);
    entry.resources = Some(resources(from, id).await?);
    let (roles, names) = roles(from, id).await?;
    entry.roles = Some(roles);
    let within = Within { from, workspace: id, names: &names };
    entry.clients = match clients {
        Select::All => Some(all_clients(within).await?),
        Select::Named(names) => Some(named_clients(within, names).await?),
        Select::Nothing => None,
    };
    entry.users = match users {
        Select::All => Some(all_users(within).await?),
        Select::Named(names) => Some(named_users(within, names).await?),
        Select::Nothing => None,
    };
    Ok(entry)
}

async fn resources(from: Reading<'_>, workspace: WorkspaceId) -> Result<Vec<ResourceEntry>, StoreError> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let rows = from.app.store.read(ListResources(Part { workspace, before, limit: BATCH })).await?;
        let Some(last) = rows.last() else { break };
        from.has_read(&rows).await;
        before = Some(last.it.id);
        found.extend(rows.into_iter().map(|row| ResourceEntry { uri: row.it.uri, settings: row.it.settings }));
    }
    found.reverse();
    Ok(found)
}

async fn roles(from: Reading<'_>, workspace: WorkspaceId) -> Result<(Vec<RoleEntry>, RoleNames), StoreError> {
    let (mut found, mut names, mut before) = (Vec::new(), RoleNames::new(), None);
    loop {
        let rows = from.app.store.read(ListRoles(Part { workspace, before, limit: BATCH })).await?;
        let Some(last) = rows.last() else { break };
        from.has_read(&rows).await;
        before = Some(last.it.id);
        for role in rows.into_iter().map(|row| row.it) {
            names.insert(role.id, role.name.clone());
            found.push(RoleEntry { name: role.name, settings: role.settings });
        }
    }
    found.reverse();
    Ok((found, names))
}

/// Where clients and users are read, and what the roles there are called.
#[derive(Clone, Copy)]
struct Within<'a> {
    from: Reading<'a>,
    workspace: WorkspaceId,
    names: &'a RoleNames,
}

impl Within<'_> {
    /// The names of those of these roles that there are.
    fn named(&self, held: &[RoleId]) -> Vec<String> {
        let mut names: Vec<String> = held.iter().filter_map(|id| self.names.get(id).cloned()).collect();
        names.sort_unstable();
        names
    }

    fn client(&self, client: Client) -> ClientEntry {
        let roles = self.named(&client.roles);
        ClientEntry { client_id: client.client_id, secret: None, settings: client.settings, roles }
    }

    fn user(&self, user: User) -> UserEntry {
        let roles = self.named(&user.roles);
        UserEntry { username: user.username, password: None, admin: user.admin, claims: user.claims, roles }
    }
}

async fn all_clients(within: Within<'_>) -> Result<Vec<ClientEntry>, StoreError> {
    let Within { from, workspace, .. } = within;
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let rows = from.app.store.read(ListClients(Part { workspace, before, limit: BATCH })).await?;
        let Some(last) = rows.last() else { break };
        from.has_read(&rows).await;
        before = Some(last.it.id);
        found.extend(rows.into_iter().map(|row| within.client(row.it)));
    }
    found.reverse();
    Ok(found)
}

async fn named_clients(within: Within<'_>, names: Vec<String>) -> Result<Vec<ClientEntry>, StoreError> {
    let Within { from: Reading { app, .. }, workspace, .. } = within;
    let mut found = Vec::new();
    for name in names {
        let client = app.store.read(FindClient { workspace, by: ByClient::Name(name) }).await?;
        found.extend(client.map(|client| within.client(client)));
    }
    Ok(found)
}

async fn all_users(within: Within<'_>) -> Result<Vec<UserEntry>, StoreError> {
    let Within { from, workspace, .. } = within;
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let rows = from.app.store.read(ListUsers(Part { workspace, before, limit: BATCH })).await?;
        let Some(last) = rows.last() else { break };
        from.has_read(&rows).await;
        before = Some(last.it.id);
        found.extend(rows.into_iter().map(|row| within.user(row.it)));
    }
    found.reverse();
    Ok(found)
}

async fn named_users(within: Within<'_>, names: Vec<String>) -> Result<Vec<UserEntry>, StoreError> {
    let Within { from: Reading { app, .. }, workspace, .. } = within;
    let mut found = Vec::new();
    for username_key in names.iter().filter_map(|name| username_key(name).ok()) {
        let credentials = app.store.read(FindCredentials { workspace, username_key }).await?;
        found.extend(credentials.map(|credentials| within.user(credentials.user)));
    }
    Ok(found)
}
