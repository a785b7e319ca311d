//! What the five kinds of entries have in common, for comparing them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::plan::{Kind, NewSecret, Target};
use super::{ClientEntry, ResourceEntry, RoleEntry, UserEntry, WorkspaceEntry};
use crate::user::username_key;

/// An entry of a document.
pub(super) trait Entry: Clone {
    const KIND: Kind;

    /// What people call it.
    fn name(&self) -> &str;

    /// What tells it from others of its kind.
    fn key(&self) -> String {
        self.name().to_owned()
    }

    /// Its fields as they are compared and shown; never a secret.
    fn fields(&self) -> Map<String, Value>;

    /// What a change to it carries out.
    fn target(&self, secret: NewSecret) -> Target;

    /// With which password it is made, in words, if it is an entry that has one.
    fn first_password(&self) -> Option<String> {
        None
    }
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

impl Entry for WorkspaceEntry {
    const KIND: Kind = Kind::Workspace;

    fn name(&self) -> &str {
        &self.name
    }

    fn fields(&self) -> Map<String, Value> {
        object(&self.settings.clone().unwrap_or_default())
    }

    fn target(&self, _: NewSecret) -> Target {
        Target::Workspace(Box::new(self.settings.clone().unwrap_or_default()))
    }
}

impl Entry for ResourceEntry {
    const KIND: Kind = Kind::Resource;

    fn name(&self) -> &str {
        &self.uri
    }

    fn fields(&self) -> Map<String, Value> {
        object(&self.settings)
    }

    fn target(&self, _: NewSecret) -> Target {
        Target::Resource(self.settings.clone())
    }
}

impl Entry for RoleEntry {
    const KIND: Kind = Kind::Role;

    fn name(&self) -> &str {
        &self.name
    }

    fn fields(&self) -> Map<String, Value> {
        object(&self.settings)
    }

    fn target(&self, _: NewSecret) -> Target {
        Target::Role(self.settings.clone())
    }
}

/// The roles that somebody holds, in no order, if there are any.
fn with_roles(mut fields: Map<String, Value>, roles: &[String]) -> Map<String, Value> {
    let mut roles = roles.to_vec();
    roles.sort_unstable();
    roles.dedup();
    if !roles.is_empty() {
        fields.insert("roles".into(), roles.into());
    }
    fields
}

impl Entry for ClientEntry {
    const KIND: Kind = Kind::Client;

    fn name(&self) -> &str {
        &self.client_id
    }

    fn fields(&self) -> Map<String, Value> {
        with_roles(object(&self.settings), &self.roles)
    }

    fn target(&self, secret: NewSecret) -> Target {
        Target::Client(Box::new(self.clone()), secret)
    }
}

impl Entry for UserEntry {
    const KIND: Kind = Kind::User;

    fn name(&self) -> &str {
        &self.username
    }

    fn key(&self) -> String {
        // A name that cannot be has a place of its own, where it is refused.
        username_key(&self.username).unwrap_or_else(|_| self.username.clone())
    }

    fn fields(&self) -> Map<String, Value> {
        let mut fields = object(&self.claims);
        fields = fields.into_iter().map(|(name, value)| (format!("claims.{name}"), value)).collect();
        fields.insert("username".into(), self.username.as_str().into());
        if self.admin {
            fields.insert("admin".into(), true.into());
        }
        with_roles(fields, &self.roles)
    }

    fn target(&self, _: NewSecret) -> Target {
        Target::User(Box::new(self.clone()))
    }

    fn first_password(&self) -> Option<String> {
        let found = self.password.as_ref().map(|source| format!("the one in {source}"));
        Some(found.unwrap_or_else(|| "none; the person cannot sign in until one is set".to_owned()))
    }
}
