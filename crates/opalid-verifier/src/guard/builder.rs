//! How a guard is set up.
//!
//! Takes: a resource, scopes, what challenges say. Gives: a guard, or what is wrong with them.
//! Holds: a guard knows its resource unless it was told to take tokens of any; what no header can hold is refused here
//! and not while a request waits.

use std::sync::Arc;

use http::request::Parts;
use opalid_core::resource_uri::{BadResourceUri, ResourceUri};
use opalid_core::scope::{BadScope, Scopes};

use super::refusal::Challenge;
use super::{Guard, PerRequest, Terms};
use crate::metadata::ResourceMetadata;

/// Why a guard cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGuard {
    /// Neither a resource nor that any will do.
    #[error("a guard needs the resource that it guards, or to be told that a token for any resource will do")]
    NoResource,
    /// Two resources, or one and any.
    #[error("a guard guards one resource, and it was told of more than one")]
    SeveralResources,
    /// A resource that is no URI.
    #[error(transparent)]
    Resource(#[from] BadResourceUri),
    /// What is no scope, or none at all.
    #[error("what every request needs is no list of scopes: {0}")]
    Scope(#[from] BadScope),
    /// A realm that no header can hold, or none where there is no resource to take it from.
    #[error("the realm is one or more printable ASCII characters")]
    Realm,
}

/// Builds a [`Guard`].
#[must_use]
pub struct GuardBuilder<V> {
    verify: V,
    resources: Vec<String>,
    takes_any: bool,
    metadata: Option<String>,
    realm: Option<String>,
    always: Vec<String>,
    per_request: Option<Box<PerRequest>>,
}

impl<V> GuardBuilder<V> {
    pub(super) fn new(verify: V) -> Self {
        Self {
            verify,
            resources: Vec::new(),
            takes_any: false,
            metadata: None,
            realm: None,
            always: Vec::new(),
            per_request: None,
        }
    }

    /// The resource that is guarded: it has to be in a token's `aud`, byte for byte.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Takes tokens for whatever resource: for a gateway behind which each API looks at the audience itself. A token that
    /// was issued to the client that asks is active for it, too, whatever it is for.
    pub fn any_resource(mut self) -> Self {
        self.takes_any = true;
        self
    }

    /// The resource that is guarded, and where its metadata is, which challenges then say (RFC 9728 §5.1).
    pub fn metadata(mut self, metadata: &ResourceMetadata) -> Self {
        self.resources.push(metadata.resource().to_owned());
        self.metadata = Some(metadata.url().to_owned());
        self
    }

    /// The realm that challenges say; the resource unless told otherwise.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// What every request needs: one scope, or several with blanks between them. Said again, it is needed as well.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.always.push(scope.into());
        self
    }

    /// What a request needs besides, judged by its head; nothing if that is empty. It is asked before the token is
    /// looked at, of every request. Said again, the last one counts.
    pub fn scopes(mut self, per_request: impl Fn(&Parts) -> Scopes + Send + Sync + 'static) -> Self {
        self.per_request = Some(Box::new(per_request));
        self
    }

    /// The guard.
    pub fn build(self) -> Result<Guard<V>, BadGuard> {
        let mut resources = self.resources;
        resources.dedup();
        let resource = match (resources.as_slice(), self.takes_any) {
            ([one], false) => Some(one.parse::<ResourceUri>()?),
            ([], true) => None,
            ([], false) => return Err(BadGuard::NoResource),
            _ => return Err(BadGuard::SeveralResources),
        };
        let realm = self.realm.as_deref().or(resource.as_ref().map(ResourceUri::as_str)).ok_or(BadGuard::Realm)?;
        let challenge = Challenge::new(realm, self.metadata.as_deref()).ok_or(BadGuard::Realm)?;
        let always = self.always.iter().try_fold(Scopes::default(), |all, scope| {
            let scopes = Scopes::parse(scope)?;
            // A name left empty by mistake must not open what it was to guard.
            if scopes.is_empty() { Err(BadScope::Empty) } else { Ok(all.union(&scopes)) }
        })?;
        let terms = Terms { resource, challenge, always, per_request: self.per_request };
        Ok(Guard { verify: self.verify, terms: Arc::new(terms) })
    }
}
