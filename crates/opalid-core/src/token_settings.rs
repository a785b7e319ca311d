//! Which settings hold for a token: what the workspace says, what its resources and its client say otherwise, and why.
//!
//! Takes: settings of a workspace; overrides of a client and of the resources that a token is for.
//! Gives: one value per setting, and whose it is.
//! Holds: first match wins: client, resource, workspace. Several resources that disagree give an opaque token and the
//! strictest of their values. What a resource server cannot check online lives no longer than it accepts.
//! Not here: the algorithm of ID tokens, which is the client's own (`id_token_signed_response_alg`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::grant::Entitlement;
use crate::ids::ResourceId;
use crate::jwt::SigningAlgorithm;
use crate::refresh::Limits;
use crate::time::Seconds;

/// The longest a sealed token may ever live.
pub const SEALED_LIFETIME_MAX: Seconds = Seconds(30 * 24 * 3600);

/// The longest an ID token may be good.
pub const ID_TOKEN_LIFETIME_MAX: Seconds = Seconds(30 * 24 * 3600);

/// The longest that a token before a rotation may be forgiven.
pub const REFRESH_GRACE_MAX: Seconds = Seconds(24 * 3600);

/// The longest a code may ever live (RFC 6749 §4.1.2 allows ten minutes; a minute is enough for every client).
pub const CODE_LIFETIME_MAX: Seconds = Seconds(60);

/// How long a revoked JWT may go on working where nobody asks about it, unless its resource says otherwise.
pub const OFFLINE_WINDOW: Seconds = Seconds(300);

/// What an access token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessTokenFormat {
    /// A sealed reference: a random string to everyone but us.
    #[default]
    Opaque,
    /// A signed JWT (RFC 9068).
    Jwt,
}

/// Whose value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The client's own.
    Client,
    /// That of the resource with this number.
    Resource(usize),
    /// The workspace's.
    Workspace,
}

/// A value, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen<T> {
    /// The value.
    pub value: T,
    /// Whose.
    pub origin: Origin,
}

/// What several resources make of two values, given the workspace's.
type Together<T> = fn(T, T, T) -> T;

fn shorter(one: Seconds, other: Seconds, _: Seconds) -> Seconds {
    one.min(other)
}

fn either(one: bool, other: bool, _: bool) -> bool {
    one || other
}

fn opaque_unless_equal(one: AccessTokenFormat, other: AccessTokenFormat, _: AccessTokenFormat) -> AccessTokenFormat {
    if one == other { one } else { AccessTokenFormat::Opaque }
}

/// Where they are not equal there is no JWT to sign; see `Terms::format`.
fn the_workspaces_unless_equal(
    one: SigningAlgorithm,
    other: SigningAlgorithm,
    workspace: SigningAlgorithm,
) -> SigningAlgorithm {
    if one == other { one } else { workspace }
}

macro_rules! token_settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $together:ident;)*) => {
        /// What a workspace says of its tokens; every length of time in seconds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct TokenSettings {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for TokenSettings {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// What a client or a resource says otherwise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct TokenOverrides {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)*
        }

        impl Terms<'_> {
            $($(#[$doc])* pub fn $name(&self) -> Chosen<$type> {
                self.choose(|says| says.$name, self.workspace.$name, $together)
            })*

            /// Every setting by name, with its value and whose it is.
            pub fn each(&self) -> Vec<(&'static str, Chosen<Value>)> {
                vec![$((stringify!($name), self.$name().into_json()),)*]
            }
        }

        impl TokenOverrides {
            /// The same settings as if they were a workspace's, for checking those that are there.
            fn over(&self, workspace: TokenSettings) -> TokenSettings {
                TokenSettings { $($name: self.$name.unwrap_or(workspace.$name),)* }
            }
        }
    };
}

token_settings! {
    /// The format of access tokens.
    access_token_format: AccessTokenFormat = AccessTokenFormat::Opaque, opaque_unless_equal;
    /// How long an access token lives.
    access_token_lifetime: Seconds = Seconds(3600), shorter;
    /// The signing algorithm of access tokens that are JWTs.
    access_token_signing_alg: SigningAlgorithm = SigningAlgorithm::Rs256, the_workspaces_unless_equal;
    /// How long an ID token is good.
    id_token_lifetime: Seconds = Seconds(3600), shorter;
    /// How long an authorization code can be redeemed; at most 60.
    code_lifetime: Seconds = Seconds(60), shorter;
    /// How long a refresh chain lives unused.
    refresh_idle: Seconds = Seconds(30 * 24 * 3600), shorter;
    /// How long a refresh chain lives at most.
    refresh_absolute: Seconds = Seconds(365 * 24 * 3600), shorter;
    /// How long after a rotation the token before it still gets the same successor.
    refresh_grace: Seconds = Seconds(30), shorter;
    /// Whether each use of a confidential client's refresh token gives a new one; a public client's always does.
    rotate_refresh_tokens: bool = false, either;
    /// How long a session may rest before the person is asked to sign in again.
    session_idle: Seconds = Seconds(24 * 3600), shorter;
    /// How long after it began a session ends.
    session_absolute: Seconds = Seconds(30 * 24 * 3600), shorter;
}

impl TokenSettings {
    /// What is wrong with them, in words; `None` if nothing.
    pub fn wrong(&self) -> Option<&'static str> {
        if self.access_token_lifetime > SEALED_LIFETIME_MAX {
            return Some("access_token_lifetime is at most 2592000 (30 days)");
        }
        if self.id_token_lifetime > ID_TOKEN_LIFETIME_MAX {
            return Some("id_token_lifetime is at most 2592000 (30 days)");
        }
        if self.refresh_grace > REFRESH_GRACE_MAX {
            return Some("refresh_grace is at most 86400 (a day)");
        }
        if self.code_lifetime > CODE_LIFETIME_MAX {
            return Some("code_lifetime is at most 60");
        }
        let lifetimes = [
            (self.access_token_lifetime, "access_token_lifetime is at least 1 second"),
            (self.id_token_lifetime, "id_token_lifetime is at least 1 second"),
            (self.code_lifetime, "code_lifetime is at least 1 second"),
            (self.session_idle, "session_idle is at least 1 second"),
            (self.session_absolute, "session_absolute is at least 1 second"),
            (self.refresh_idle, "refresh_idle is at least 1 second"),
            (self.refresh_absolute, "refresh_absolute is at least 1 second"),
        ];
        lifetimes.into_iter().find_map(|(length, wrong)| (length == Seconds(0)).then_some(wrong))
    }
}

impl TokenOverrides {
    /// What is wrong with them, in words; `None` if nothing.
    pub fn wrong(&self) -> Option<&'static str> {
        self.over(TokenSettings::default()).wrong()
    }
}

/// How a resource server checks JWTs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineChecks {
    /// It introspects every token, JWTs too.
    pub introspects: bool,
    /// How long it accepts a revoked JWT, otherwise.
    pub window: Seconds,
}

/// What one resource says of its tokens.
#[derive(Debug, Clone, Copy)]
pub struct ResourceTerms {
    /// Its overrides.
    pub says: TokenOverrides,
    /// How its server checks JWTs.
    pub checks: OfflineChecks,
    /// Whether its JWTs are encrypted for it.
    pub encrypts: bool,
}

/// Why an access token is opaque although it could be a JWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpaqueBecause {
    /// The resources that it is for say different things of the format.
    Disagreement,
    /// They want it signed by different algorithms: none of them would take another's.
    Signature,
    /// It is for several resources, and one of them wants it encrypted: there is no key that all of them have.
    Encryption,
}

/// Everybody who has a say in a token.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The workspace.
    pub workspace: &'a TokenSettings,
    /// The client.
    pub client: &'a TokenOverrides,
    /// The resources that the token is for.
    pub resources: &'a [ResourceTerms],
}

impl Terms<'_> {
    fn choose<T: Copy + PartialEq>(
        &self,
        of: impl Fn(&TokenOverrides) -> Option<T>,
        workspace: T,
        together: Together<T>,
    ) -> Chosen<T> {
        if let Some(value) = of(self.client) {
            return Chosen { value, origin: Origin::Client };
        }
        let values = self.resources.iter().map(|resource| of(&resource.says).unwrap_or(workspace));
        let value = values.reduce(|one, other| together(one, other, workspace)).unwrap_or(workspace);
        let own = self.resources.iter().position(|resource| of(&resource.says) == Some(value));
        Chosen { value, origin: own.map_or(Origin::Workspace, Origin::Resource) }
    }

    /// The format of an access token after all, and why it is opaque where that is nobody's wish.
    pub fn format(&self) -> (AccessTokenFormat, Option<OpaqueBecause>) {
        let chosen = self.access_token_format();
        let says =
            |resource: &ResourceTerms| resource.says.access_token_format.unwrap_or(self.workspace.access_token_format);
        if chosen.value == AccessTokenFormat::Jwt {
            let encrypted = self.resources.len() > 1 && self.resources.iter().any(|resource| resource.encrypts);
            let because = match self.signing_algs_agree() {
                _ if encrypted => Some(OpaqueBecause::Encryption),
                false => Some(OpaqueBecause::Signature),
                true => None,
            };
            return (because.map_or(chosen.value, |_| AccessTokenFormat::Opaque), because);
        }
        let disagree =
            chosen.origin != Origin::Client && self.resources.iter().any(|one| says(one) == AccessTokenFormat::Jwt);
        (chosen.value, disagree.then_some(OpaqueBecause::Disagreement))
    }

    /// Whether one algorithm is right for everybody who reads a JWT.
    pub fn signing_algs_agree(&self) -> bool {
        let wanted =
            |one: &ResourceTerms| one.says.access_token_signing_alg.unwrap_or(self.workspace.access_token_signing_alg);
        let mut each = self.resources.iter().map(wanted);
        let first = each.next();
        self.client.access_token_signing_alg.is_some() || each.all(|alg| Some(alg) == first)
    }

    /// How long an access token of this format lives: a JWT whose resource server does not ask about it no longer than
    /// that accepts.
    pub fn valid_for(&self, format: AccessTokenFormat) -> Chosen<Seconds> {
        let chosen = self.access_token_lifetime();
        let offline = self.resources.iter().enumerate().filter(|(_, resource)| !resource.checks.introspects);
        let shortest = offline.min_by_key(|(_, resource)| resource.checks.window);
        match shortest {
            Some((at, resource)) if format == AccessTokenFormat::Jwt && resource.checks.window < chosen.value => {
                Chosen { value: resource.checks.window, origin: Origin::Resource(at) }
            }
            _ => chosen,
        }
    }
}

/// What a client and the resources it may ask for have to say, before it is known which of them a token is for.
#[derive(Debug, Clone, Default)]
pub struct ClientTerms {
    /// The workspace.
    pub workspace: TokenSettings,
    /// The client.
    pub client: TokenOverrides,
    /// Its resources.
    pub resources: Vec<(ResourceId, ResourceTerms)>,
}

impl ClientTerms {
    /// Those that have a say where a token is for the resources of an entitlement.
    pub fn of<T>(&self, entitlement: &Entitlement, choose: impl FnOnce(&Terms<'_>) -> T) -> T {
        let is_of = |id: ResourceId| entitlement.resources.iter().any(|(of, _)| *of == id);
        let resources: Vec<ResourceTerms> =
            self.resources.iter().filter(|(id, _)| is_of(*id)).map(|(_, terms)| *terms).collect();
        choose(&Terms { workspace: &self.workspace, client: &self.client, resources: &resources })
    }

    /// How long refresh chains for an entitlement live and forgive.
    pub fn refresh_limits(&self, entitlement: &Entitlement) -> Limits {
        self.of(entitlement, |terms| Limits { idle: terms.refresh_idle().value, grace: terms.refresh_grace().value })
    }
}

impl<T: Serialize> Chosen<T> {
    fn into_json(self) -> Chosen<Value> {
        // Numbers, truth values and names: all of them have a JSON form.
        Chosen { value: serde_json::to_value(self.value).unwrap_or_default(), origin: self.origin }
    }
}

#[cfg(test)]
mod tests;
