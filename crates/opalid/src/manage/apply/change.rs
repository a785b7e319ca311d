//! Making, changing or deleting one entry: a plan of one change, with the same rules as for a document.

use opalid_core::apply::{
    ClientEntry, Difference, Document, Kind, Plan, PlanOptions, ResourceEntry, RoleEntry, SecretSource, Target,
    UserEntry, Verb, WorkspaceEntry, advised, check_client_secret, deletion, plan,
};
use opalid_core::user::username_key;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::{Handed, ManageError, Operation, no_workspace, workspaces};
use super::carry_out::root_stays;
use super::state::{Reading, Select, read};
use super::{Applying, refused};

/// Fields whose own fields change one by one.
pub const NESTED: [&str; 3] = ["access", "claims", "permissions"];

/// One entry to make, change or delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneChange {
    /// What kind of entry.
    pub kind: Kind,
    /// What happens to it.
    pub verb: Verb,
    /// Its name.
    pub name: String,
    /// Its fields, or those that change, as a JSON merge patch (RFC 7396): null means the default.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// The secret of a new client, and where it was found; drawn if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<(SecretSource, Handed)>,
    /// Delete a workspace: without it, it is said what goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub yes: bool,
}

/// Begins to make the change.
pub(in crate::manage) async fn one(operation: &Operation<'_>, asked: &OneChange) -> Result<Applying, ManageError> {
    let current = current(operation, asked).await?;
    let exists = exists(&current, asked);
    let (kind, name) = (asked.kind.name(), &asked.name);
    match (asked.verb, exists) {
        (Verb::Create, true) => {
            let why = format!("there is a {kind} {name} already; to change it: opalid {kind} update {name}");
            return Err(ManageError::Refused(why));
        }
        (Verb::Update | Verb::Delete, false) if asked.kind == Kind::Workspace => return Err(no_workspace(name)),
        (Verb::Update | Verb::Delete, false) => return Err(operation.unknown(kind, name)),
        _ => {}
    }
    if asked.kind == Kind::Workspace && asked.verb == Verb::Delete {
        let found = operation.app.store.find_workspace(name).await?;
        if found.as_ref().is_some_and(|record| record.workspace.id == operation.app.root) {
            return Err(root_stays());
        }
        if let Some(record) = found.filter(|_| !asked.yes) {
            let dies = workspaces::what_dies(operation.app, record.workspace.id).await?;
            return Err(ManageError::Refused(format!(
                "by this, at once and for good: workspace {name} goes with its keys and everything in it ({dies}). If that is \
                 meant: --yes"
            )));
        }
    }
    let workspace = if asked.kind == Kind::Workspace { name } else { &operation.record.workspace.name };
    let plan = match asked.verb {
        Verb::Delete => Plan { changes: vec![deletion(workspace, asked.kind, name)] },
        Verb::Create | Verb::Update => planned(&current, asked, workspace)?,
    };
    Applying::begin(operation.app, plan, asked.secret.iter().cloned().collect()).await
}

/// The workspace that the change is in, with the entry it is about.
async fn current(operation: &Operation<'_>, asked: &OneChange) -> Result<WorkspaceEntry, ManageError> {
    let app = operation.app;
    let named = |kind| {
        if asked.kind == kind { Select::Named(vec![asked.name.clone()]) } else { Select::Nothing }
    };
    let reading = Reading { app, so_far: None };
    if asked.kind != Kind::Workspace {
        return Ok(read(reading, &operation.record.workspace, named(Kind::Client), named(Kind::User)).await?);
    }
    match app.store.find_workspace(&asked.name).await? {
        Some(record) => Ok(read(reading, &record.workspace, Select::Nothing, Select::Nothing).await?),
        None => Ok(WorkspaceEntry::default()),
    }
}

fn exists(current: &WorkspaceEntry, asked: &OneChange) -> bool {
    match asked.kind {
        Kind::Workspace => current.name == asked.name,
        Kind::Resource => current.resources.iter().flatten().any(|resource| resource.uri == asked.name),
        Kind::Role => current.roles.iter().flatten().any(|role| role.name == asked.name),
        Kind::Client => current.clients.iter().flatten().any(|client| client.client_id == asked.name),
        Kind::User => current.users.iter().flatten().next().is_some(),
    }
}

fn planned(current: &WorkspaceEntry, asked: &OneChange, workspace: &str) -> Result<Plan, ManageError> {
    // It says nothing of the workspace's own settings, unless it is about them.
    let bare = WorkspaceEntry { name: workspace.to_owned(), ..WorkspaceEntry::default() };
    let mut renamed = None;
    let desired = match asked.kind {
        Kind::Workspace => {
            let found = WorkspaceEntry { settings: current.settings.clone(), ..bare };
            patched(Some(&found), asked, ("name", &["resource", "role", "client", "user"]))?
        }
        Kind::Resource => {
            let found = current.resources.iter().flatten().find(|resource| resource.uri == asked.name);
            let resource: ResourceEntry = patched(found, asked, ("uri", &[]))?;
            WorkspaceEntry { resources: Some(vec![resource]), ..bare }
        }
        Kind::Role => {
            let found = current.roles.iter().flatten().find(|role| role.name == asked.name);
            let role: RoleEntry = patched(found, asked, ("name", &[]))?;
            WorkspaceEntry { roles: Some(vec![role]), ..bare }
        }
        Kind::Client => {
            let found = current.clients.iter().flatten().next();
            let mut client: ClientEntry = patched(found, asked, ("client_id", &["secret"]))?;
            client.secret = asked.secret.as_ref().map(|(source, _)| source.clone());
            WorkspaceEntry { clients: Some(vec![client]), ..bare }
        }
        Kind::User => {
            let mut asked = asked.clone();
            if asked.verb == Verb::Update {
                renamed = asked.fields.remove("username");
            }
            let user: UserEntry = patched(current.users.iter().flatten().next(), &asked, ("username", &["password"]))?;
            WorkspaceEntry { users: Some(vec![user]), ..bare }
        }
    };
    if let Some((source, secret)) = &asked.secret {
        let checked = check_client_secret(secret.expose());
        checked.map_err(|bad| ManageError::Refused(format!("{source}: {bad}")))?;
    }
    let document = |entry: &WorkspaceEntry| Document { workspaces: Some(vec![entry.clone()]) };
    let known = if current.name.is_empty() { Document::default() } else { document(current) };
    let plan = plan(&known, &document(&desired), &PlanOptions::default());
    let plan = plan.map_err(|problems| refused(&problems))?;
    match (renamed, desired.users.into_iter().flatten().next()) {
        (Some(Value::String(new)), Some(user)) => rename(plan, workspace, user, new),
        (Some(_), _) => Err(ManageError::Refused("username: expected a text".into())),
        (None, _) => Ok(plan),
    }
}

/// The plan, with a new name for its user beside whatever else changes.
fn rename(mut plan: Plan, workspace: &str, mut user: UserEntry, new: String) -> Result<Plan, ManageError> {
    username_key(&new).map_err(|bad| ManageError::Refused(bad.to_string()))?;
    let was = Target::User(Box::new(user.clone()));
    let old = std::mem::replace(&mut user.username, new.clone());
    let mut change = plan.changes.pop().unwrap_or_else(|| deletion(workspace, Kind::User, &old));
    change.verb = Verb::Update;
    change.differences.push(Difference { field: "username".into(), before: Some(old.into()), after: Some(new.into()) });
    change.target = Target::User(Box::new(user));
    change.was.get_or_insert(was);
    Ok(Plan { changes: vec![change] })
}

/// An entry with the asked fields changed; its own name and some others are not for this.
fn patched<E: Serialize + DeserializeOwned>(
    before: Option<&E>,
    asked: &OneChange,
    (name, others): (&str, &[&str]),
) -> Result<E, ManageError> {
    let refused = |why: String| ManageError::Refused(format!("nothing was changed: {why}"));
    if let Some(field) = asked.fields.keys().find(|field| *field == name || others.contains(&field.as_str())) {
        return Err(refused(format!("{field} cannot be set this way")));
    }
    let mut fields = match before.map(serde_json::to_value).transpose().map_err(|error| refused(error.to_string()))? {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.insert(name.to_owned(), asked.name.as_str().into());
    if let Some(wrong) = unknown::<E>(&fields, asked).or_else(|| absent(&fields, asked)) {
        return Err(refused(wrong));
    }
    with(&fields, &asked.fields).map_err(|error| refused(named(&error, asked, |one| with::<E>(&fields, one).err())))
}

/// Fields that had another name before: a document may still have that, and so may a change.
const RENAMED: [(&str, &str); 1] = [("default_resource", "default_resources")];

/// An entry of these fields with this change.
fn with<E: DeserializeOwned>(fields: &Map<String, Value>, change: &Map<String, Value>) -> serde_json::Result<E> {
    let (mut changed, mut change) = (fields.clone(), change.clone());
    for (before, today) in RENAMED {
        change.remove(before).into_iter().for_each(|value| drop(change.insert(today.to_owned(), value)));
    }
    merge(&mut changed, &change);
    serde_json::from_value(Value::Object(changed))
}

/// What the parser says of a field that no entry of this kind has: where a field is only taken away it never sees it.
fn unknown<E: DeserializeOwned>(fields: &Map<String, Value>, asked: &OneChange) -> Option<String> {
    alone(&asked.fields).into_iter().find_map(|(field, one)| {
        let mut changed = fields.clone();
        put(&mut changed, &one);
        let error = serde_json::from_value::<E>(Value::Object(changed)).err()?.to_string();
        error.starts_with(UNKNOWN_FIELD).then(|| advised(asked.kind, &field, &error))
    })
}

/// How the parser begins to say that.
const UNKNOWN_FIELD: &str = "unknown field";

/// Where an entry of this kind has entries of its own, under names that operators give.
const fn named_by_operators(kind: Kind) -> Option<&'static [&'static str]> {
    match kind {
        Kind::Workspace => Some(&["claims"]),
        Kind::Resource => None,
        Kind::Role => Some(&["permissions"]),
        Kind::Client => Some(&["access"]),
        Kind::User => Some(&["claims", "attributes"]),
    }
}

/// What is wrong with taking away an entry of these that is not there: it may be spelt otherwise.
fn absent(fields: &Map<String, Value>, asked: &OneChange) -> Option<String> {
    let path = named_by_operators(asked.kind)?;
    let inner =
        |of: &Map<String, Value>| path.iter().try_fold(Value::Object(of.clone()), |at, name| at.get(name).cloned());
    let (there, change) = (inner(fields), inner(&asked.fields)?);
    let there = there.as_ref().and_then(Value::as_object);
    let has = |name: &String| there.is_some_and(|there| there.contains_key(name));
    let (name, _) = change.as_object()?.iter().find(|(name, value)| value.is_null() && !has(name))?;
    let names: Vec<&str> = there.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    let names = if names.is_empty() { "there is none".to_owned() } else { format!("there is: {}", names.join(", ")) };
    Some(format!("{}: there is no {name} to take away; {names}", path.join(".")))
}

/// Every field of a change by itself, with its name.
fn alone(change: &Map<String, Value>) -> Vec<(String, Map<String, Value>)> {
    let one = |field: &str, value: Value| Map::from_iter([(field.to_owned(), value)]);
    let mut all = Vec::new();
    for (field, value) in change {
        match value {
            Value::Object(inner) if NESTED.contains(&field.as_str()) => {
                all.extend(inner.iter().map(|(name, value)| {
                    let nested = one(field, Value::Object(one(name, value.clone())));
                    (format!("{field}.{name}"), nested)
                }))
            }
            value => all.push((field.clone(), one(field, value.clone()))),
        }
    }
    all
}

/// What is wrong, with the name of the field that is wrong by itself: the parser tells only of its value.
fn named(
    error: &serde_json::Error,
    asked: &OneChange,
    wrong: impl Fn(&Map<String, Value>) -> Option<serde_json::Error>,
) -> String {
    let found = alone(&asked.fields).into_iter().find_map(|(field, one)| {
        let why = wrong(&one)?.to_string();
        let why = advised(asked.kind, &field, &why);
        // Some name it already.
        Some(if why.starts_with(UNKNOWN_FIELD) { why } else { format!("{field}: {why}") })
    });
    found.unwrap_or_else(|| error.to_string())
}

/// Puts a change where it belongs as it is, null for null.
fn put(into: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (field, value) in change {
        match (value, into.get_mut(field)) {
            (Value::Object(inner), Some(Value::Object(found))) => put(found, inner),
            (value, _) => drop(into.insert(field.clone(), value.clone())),
        }
    }
}

/// RFC 7396: null removes, objects merge, everything else replaces.
fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (field, value) in patch {
        match (value, into.get_mut(field)) {
            (Value::Null, _) => drop(into.remove(field)),
            (Value::Object(inner), Some(Value::Object(found))) => merge(found, inner),
            (Value::Object(inner), _) => {
                let mut made = Map::new();
                merge(&mut made, inner);
                into.insert(field.clone(), Value::Object(made));
            }
            (value, _) => drop(into.insert(field.clone(), value.clone())),
        }
    }
}
