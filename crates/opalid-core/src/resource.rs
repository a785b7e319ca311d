//! A resource: what a token opens (RFC 8707).

use serde::{Deserialize, Serialize};

use crate::encryption::{self, Encryption};
use crate::ids::{ResourceId, WorkspaceId};
use crate::jwt::jwe::{ClientKeys, ContentEncryption, KeyManagement};
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
    /// Whether a token may do here only what the roles of its person permit, or of its client if there is none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requires_roles: bool,
    /// Its server introspects every token, JWTs too: they may live as long as others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub introspects_jwts: bool,
    /// How long its server may go on accepting a JWT that was revoked, where it does not introspect: JWTs for it live no
    /// longer. Five minutes if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline_window: Option<Seconds>,
    /// The keys that its access tokens are encrypted for (RFC 7517); public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<ClientKeys>,
    /// How the content key of its access tokens is encrypted, where they are JWTs; they are not if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_encryption_alg: Option<KeyManagement>,
    /// How their content is; A128CBC-HS256 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_encryption_enc: Option<ContentEncryption>,
    /// What holds for its tokens instead of what the workspace says.
    #[serde(flatten)]
    pub tokens: TokenOverrides,
}

impl ResourceSettings {
    /// What it says of its tokens.
    pub fn terms(&self) -> ResourceTerms {
        let window = self.offline_window.unwrap_or(OFFLINE_WINDOW);
        let checks = OfflineChecks { introspects: self.introspects_jwts, window };
        ResourceTerms { says: self.tokens, checks, encrypts: self.encryption().is_some() }
    }

    /// How its access tokens are encrypted.
    pub fn encryption(&self) -> Option<Encryption> {
        Encryption::declared(self.access_token_encryption_alg, self.access_token_encryption_enc)
    }

    /// What is wrong with it, in words; `None` if nothing.
    pub fn wrong(&self) -> Option<String> {
        if self.offline_window == Some(Seconds(0)) {
            return Some("offline_window is at least 1 second".into());
        }
        let pair = (self.access_token_encryption_alg, self.access_token_encryption_enc);
        let tokens = self.tokens.wrong().map(str::to_owned);
        let keys = self.jwks.as_ref();
        let pair = || encryption::wrong("access_token_encryption", pair, keys);
        tokens.or_else(|| keys.and_then(ClientKeys::wrong)).or_else(pair)
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
