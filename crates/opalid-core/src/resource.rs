//! A resource: what a token opens (RFC 8707).

use serde::{Deserialize, Serialize};

use crate::ids::{ResourceId, WorkspaceId};
use crate::scope::Scopes;
use crate::time::Seconds;
use crate::token_settings::{OFFLINE_WINDOW, OfflineChecks, ResourceTerms, TokenOverrides};

/// What an operator says of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// What people read on consent pages; the URI if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The scopes that belong to it.
    pub scopes: Scopes,
    /// Its server introspects every token, JWTs too: they may live as long as others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub introspects_jwts: bool,
    /// How long its server may go on accepting a JWT that was revoked, where it does not introspect: JWTs for it live no
    /// longer. Five minutes if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline_window: Option<Seconds>,
    /// What holds for its tokens instead of what the workspace says.
    #[serde(flatten)]
    pub tokens: TokenOverrides,
}

impl ResourceSettings {
    /// What it says of its tokens.
    pub fn terms(&self) -> ResourceTerms {
        let window = self.offline_window.unwrap_or(OFFLINE_WINDOW);
        ResourceTerms { says: self.tokens, checks: OfflineChecks { introspects: self.introspects_jwts, window } }
    }

    /// What is wrong with it, in words; `None` if nothing.
    pub fn wrong(&self) -> Option<&'static str> {
        if self.offline_window == Some(Seconds(0)) {
            return Some("offline_window is at least 1 second");
        }
        self.tokens.wrong()
    }
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
