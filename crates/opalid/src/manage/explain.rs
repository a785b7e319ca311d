//! Which settings hold for a client's tokens, and why.
//!
//! Takes: a client, and the resources that the tokens are for; those it gets by default if none is named.
//! Gives: each setting with its value, whose it is, and why no other won.
//! Not here: who wins; see `opalid_core::token_settings`.

use std::sync::Arc;

use opalid_core::client::Client;
use opalid_core::request::GrantType;
use opalid_core::resource::Resource;
use opalid_core::token_settings::{AccessTokenFormat, Chosen, OpaqueBecause, Origin, ResourceTerms, Terms};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clients;
use super::{ManageError, Operation, Reply};

/// What holds for tokens of a client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// The client.
    pub client_id: String,
    /// What the tokens are for; nothing: the issuer alone, with `openid`.
    pub resources: Vec<String>,
    /// Every setting.
    pub settings: Vec<Explained>,
}

/// One setting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explained {
    /// Its name, as in a document.
    pub setting: String,
    /// What holds.
    pub value: Value,
    /// Whose it is: `client NAME`, `resource URI`, `workspace NAME`.
    pub from: String,
    /// Why.
    pub why: String,
}

pub(super) async fn explain(
    operation: &Operation<'_>,
    client_id: &str,
    asked: &[String],
) -> Result<Reply, ManageError> {
    let client = clients::load(operation, client_id).await?;
    let resources = resources(operation, &client, asked).await?;
    if resources.is_empty() && !client.may_use(GrantType::AuthorizationCode) {
        return Err(ManageError::Refused(without_resource(&client)));
    }
    let terms: Vec<ResourceTerms> = resources.iter().map(|resource| resource.settings.terms()).collect();
    let workspace = &operation.record.workspace;
    let terms = Terms { workspace: &workspace.settings.tokens, client: &client.settings.tokens, resources: &terms };
    let explaining = Explaining { workspace: &workspace.name, client: &client, resources: &resources, terms };
    let mut settings: Vec<Explained> =
        terms.each().into_iter().map(|(name, chosen)| explaining.setting(name, chosen)).collect();
    settings.push(explaining.id_token_alg(operation));
    settings.extend(explaining.encryption());
    let resources = resources.iter().map(|resource| resource.uri.clone()).collect();
    Ok(Reply::Explained(Box::new(Explanation { client_id: client.client_id.clone(), resources, settings })))
}

/// Only a person's tokens can be for the issuer alone.
fn without_resource(client: &Client) -> String {
    let (name, access) = (&client.client_id, &client.settings.access);
    if !client.may_use(GrantType::ClientCredentials) {
        return format!(
            "client {name} gets no tokens: its grant_types are neither authorization_code nor client_credentials"
        );
    }
    if access.is_empty() {
        return format!(
            "client {name} gets no tokens: it has no access to any resource, and there is no person (invalid_target)"
        );
    }
    let known: Vec<&str> = access.keys().map(String::as_str).collect();
    format!(
        "client {name} gets no token without naming a resource (invalid_target): it sends resource=URI (here: --resource URI), \
         or default_resources are set, its own or the workspace's; it may ask for: {}",
        known.join(", ")
    )
}

async fn resources(
    operation: &Operation<'_>,
    client: &Client,
    asked: &[String],
) -> Result<Vec<Arc<Resource>>, ManageError> {
    let defaults = client.defaults(&operation.record.workspace.settings.default_resources);
    let uris: Vec<&String> = if asked.is_empty() { defaults } else { asked.iter().collect() };
    let mut found = Vec::with_capacity(uris.len());
    for uri in uris {
        let resource = operation.app.store.find_resource(operation.workspace(), uri).await?;
        found.push(resource.ok_or_else(|| operation.unknown("resource", uri))?);
        if !client.settings.access.contains_key(uri) {
            let why = format!("client {} has no access to {uri}: it gets no tokens for it", client.client_id);
            return Err(ManageError::Refused(why));
        }
    }
    Ok(found)
}

struct Explaining<'a> {
    workspace: &'a str,
    client: &'a Client,
    resources: &'a [Arc<Resource>],
    terms: Terms<'a>,
}

impl Explaining<'_> {
    fn setting(&self, name: &'static str, chosen: Chosen<Value>) -> Explained {
        let plain = self.said(name, &chosen);
        match name {
            "access_token_format" => self.format(plain),
            "access_token_lifetime" => self.lifetime(plain),
            "access_token_signing_alg" if !self.terms.signing_algs_agree() => Explained {
                why: "without effect: the resources disagree, so tokens for all of them are opaque".into(),
                ..plain
            },
            "rotate_refresh_tokens" if self.client.is_public() => {
                let why = "refresh tokens of a public client are rotated, whatever is set (RFC 9700 §4.14.2)";
                Explained { value: true.into(), from: self.of(Origin::Client), why: why.into(), ..plain }
            }
            "session_idle" => self.session(plain, self.terms.workspace.session_idle.0),
            "session_absolute" => self.session(plain, self.terms.workspace.session_absolute.0),
            _ => plain,
        }
    }

    fn said(&self, name: &str, chosen: &Chosen<Value>) -> Explained {
        let several = self.resources.len() > 1;
        let why = match chosen.origin {
            Origin::Client => "the client sets it, and a client's own comes first",
            Origin::Resource(_) if several => "the client sets nothing; of several resources the strictest",
            Origin::Resource(_) => "the client sets nothing, the resource does",
            Origin::Workspace if several => "the client sets nothing, and no resource says anything stricter",
            Origin::Workspace if self.resources.is_empty() => "the client sets nothing",
            Origin::Workspace => "neither client nor resource sets it",
        };
        let (setting, from) = (name.to_owned(), self.of(chosen.origin));
        Explained { setting, value: chosen.value.clone(), from, why: why.into() }
    }

    fn of(&self, origin: Origin) -> String {
        match origin {
            Origin::Client => format!("client {}", self.client.client_id),
            Origin::Resource(at) => {
                self.resources.get(at).map_or_else(String::new, |resource| format!("resource {}", resource.uri))
            }
            Origin::Workspace => format!("workspace {}", self.workspace),
        }
    }

    fn format(&self, plain: Explained) -> Explained {
        let (format, because) = self.terms.format();
        let why = match because {
            Some(OpaqueBecause::Disagreement) => "the resources disagree: then it is opaque".into(),
            Some(OpaqueBecause::Signature) => {
                "the resources disagree about access_token_signing_alg: then it is opaque".into()
            }
            Some(OpaqueBecause::Encryption) => {
                "several resources, of which one wants it encrypted: there is no key that all of them have, so it is opaque".into()
            }
            None if format == AccessTokenFormat::Jwt && self.resources.len() > 1 => format!(
                "{}; opaque all the same where one list of scopes would say too much of one of the resources",
                self.agreed(&plain)
            ),
            None => plain.why,
        };
        let value = if format == AccessTokenFormat::Jwt { "jwt" } else { "opaque" };
        Explained { value: value.into(), why, ..plain }
    }

    /// Of several formats there is no strictest.
    fn agreed(&self, plain: &Explained) -> String {
        match self.terms.access_token_format().origin {
            Origin::Client => plain.why.clone(),
            _ => "the client sets nothing, and the resources agree".into(),
        }
    }

    fn lifetime(&self, plain: Explained) -> Explained {
        let (own, capped) = (self.terms.access_token_lifetime(), self.terms.valid_for(self.terms.format().0));
        if own == capped {
            return plain;
        }
        let mut why = format!(
            "{} of {} is too long for a JWT there: its server does not introspect JWTs (introspects_jwts), and accepts \
             a revoked one for so long (offline_window)",
            own.value.0, plain.from
        );
        if self.resources.len() > 1 {
            why = format!("{why}; one that is opaque all the same lives {}", own.value.0);
        }
        Explained { value: capped.value.0.into(), from: self.of(capped.origin), why, ..plain }
    }

    /// For whom JWTs of one resource are encrypted.
    fn encryption(&self) -> Option<Explained> {
        let [only] = self.resources else { return None };
        let how = only.settings.encryption()?;
        let opaque = self.terms.format().0 == AccessTokenFormat::Opaque;
        let why = if opaque {
            "without effect: its tokens are opaque"
        } else {
            "the resource's JWTs are encrypted for its key"
        };
        let value = format!("{} with {}", how.alg.wire_name(), how.enc.wire_name());
        let (setting, from) = ("access_token_encryption_alg".to_owned(), format!("resource {}", only.uri));
        Some(Explained { setting, value: value.into(), from, why: why.into() })
    }

    /// A session belongs to its workspace: others can only want a fresher one.
    fn session(&self, plain: Explained, workspace: u32) -> Explained {
        if plain.value.as_u64().is_none_or(|value| value <= u64::from(workspace)) {
            return plain;
        }
        let why = format!("{} of {} is more than the workspace's sessions last", plain.value, plain.from);
        Explained { value: workspace.into(), from: self.of(Origin::Workspace), why, ..plain }
    }

    fn id_token_alg(&self, operation: &Operation<'_>) -> Explained {
        let workspace = operation.record.workspace.settings.id_token_signing_alg;
        let own = self.client.settings.id_token_signed_response_alg;
        let (origin, why) = match own {
            Some(_) => (Origin::Client, "the client's id_token_signed_response_alg"),
            None => (Origin::Workspace, "the client sets no id_token_signed_response_alg"),
        };
        let value = own.unwrap_or(workspace).wire_name().into();
        Explained { setting: "id_token_signing_alg".into(), value, from: self.of(origin), why: why.into() }
    }
}

#[cfg(test)]
mod tests;
