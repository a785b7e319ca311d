//! A resource: what a token opens (RFC 8707).

use serde::{Deserialize, Serialize};

use crate::ids::{ResourceId, WorkspaceId};
use crate::scope::Scopes;

/// What an operator says of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// What people read on consent pages; the URI if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The scopes that belong to it.
    pub scopes: Scopes,
    /// Whether a token may do here only what the roles of its person permit, or of its client if there is none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requires_roles: bool,
}

/// A registered resource.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its row.
    pub id: ResourceId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its URI, byte for byte as registered: the `aud` of its tokens.
    pub uri: String,
    /// Its scopes and name.
    pub settings: ResourceSettings,
}

impl Resource {
    /// What people read.
    pub fn display_name(&self) -> &str {
        if self.settings.name.is_empty() { &self.uri } else { &self.settings.name }
    }
}
