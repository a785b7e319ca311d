//! A client: who asks for tokens (RFC 6749 §1.1), and what it may ask for.
//!
//! A resource server is a client that serves some resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encryption::{self, Encryption};
use crate::grant::Epoch;
use crate::ids::{ClientId, RoleId, WorkspaceId};
use crate::jwt::SigningAlgorithm;
use crate::jwt::jwe::{ClientKeys, ContentEncryption, KeyManagement};
use crate::redirect_uri::{PostLogoutRedirectUris, RedirectUris, ReturnAddress};
use crate::request::GrantType;
use crate::resource_uri::one_or_more;
use crate::scope::Scopes;
use crate::time::UnixTime;
use crate::token::SecretDigest;
use crate::token_settings::TokenOverrides;

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// Authenticates with a secret.
    #[default]
    Confidential,
    /// Cannot: browser, mobile and command-line clients. PKCE and rotation are always demanded.
    Public,
}

/// What an operator says of a client; as it is applied, exported and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// What people read on sign-in and consent pages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether it can keep a secret.
    pub kind: ClientKind,
    /// The grant types it may use.
    pub grant_types: Vec<GrantType>,
    /// Where authorization answers may go.
    #[serde(skip_serializing_if = "RedirectUris::is_empty")]
    pub redirect_uris: RedirectUris,
    /// Where a sign-out may end.
    #[serde(skip_serializing_if = "PostLogoutRedirectUris::is_empty")]
    pub post_logout_redirect_uris: PostLogoutRedirectUris,
    /// Resources it may ask for, each with the scopes it may ask for there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub access: BTreeMap<String, Scopes>,
    /// The resources it gets when it names none. Read from a single one too, under the name that this had before.
    #[serde(alias = "default_resource", deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub default_resources: Vec<String>,
    /// Resources it serves: it may introspect their tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serves: Vec<String>,
    /// Belongs to the operator: people are not asked for consent.
    #[serde(skip_serializing_if = "is_false")]
    pub first_party: bool,
    /// Demand PKCE of a confidential client too.
    #[serde(skip_serializing_if = "is_false")]
    pub require_pkce: bool,
    /// May introspect every token of the workspace.
    #[serde(skip_serializing_if = "is_false")]
    pub introspect_tokens: bool,
    /// The signing algorithm of its ID tokens; the workspace's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<SigningAlgorithm>,
    /// The signing algorithm of introspection answers that it asks to have signed (RFC 9701); RS256 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_signed_response_alg: Option<SigningAlgorithm>,
    /// The keys that answers to it are encrypted for (RFC 7517); public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<ClientKeys>,
    /// How the content key of its ID tokens is encrypted; they are not if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_alg: Option<KeyManagement>,
    /// How their content is; A128CBC-HS256 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_enc: Option<ContentEncryption>,
    /// The signing algorithm of its userinfo answers; plain JSON if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<SigningAlgorithm>,
    /// How the content key of its userinfo answers is encrypted; they are not if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_alg: Option<KeyManagement>,
    /// How their content is; A128CBC-HS256 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_enc: Option<ContentEncryption>,
    /// How the content key of the signed introspection answers that it asks for is encrypted; they are not if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_alg: Option<KeyManagement>,
    /// How their content is; A128CBC-HS256 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_enc: Option<ContentEncryption>,
    /// Its home page, for consent pages and for the way back to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// What holds for its tokens instead of what resource and workspace say.
    #[serde(flatten)]
    pub tokens: TokenOverrides,
}

impl ClientSettings {
    /// Whether it may ask for resources and gets none of them where it names none: neither it nor its workspace says
    /// which.
    pub fn gets_nothing_unasked(&self, of_workspace: &[String]) -> bool {
        let asks = !self.access.is_empty() && !self.grant_types.is_empty();
        asks && self.default_resources.is_empty() && !of_workspace.iter().any(|uri| self.access.contains_key(uri))
    }

    /// How its ID tokens are encrypted.
    pub fn id_token_encryption(&self) -> Option<Encryption> {
        Encryption::declared(self.id_token_encrypted_response_alg, self.id_token_encrypted_response_enc)
    }

    /// How its userinfo answers are encrypted.
    pub fn userinfo_encryption(&self) -> Option<Encryption> {
        Encryption::declared(self.userinfo_encrypted_response_alg, self.userinfo_encrypted_response_enc)
    }

    /// How its signed introspection answers are encrypted.
    pub fn introspection_encryption(&self) -> Option<Encryption> {
        Encryption::declared(self.introspection_encrypted_response_alg, self.introspection_encrypted_response_enc)
    }

    /// What is wrong with how they are declared, in words; `None` if nothing.
    pub fn wrong_encryption(&self) -> Option<String> {
        let pairs = [
            ("id_token_encrypted_response", self.id_token_encrypted_response_alg, self.id_token_encrypted_response_enc),
            ("userinfo_encrypted_response", self.userinfo_encrypted_response_alg, self.userinfo_encrypted_response_enc),
            (
                "introspection_encrypted_response",
                self.introspection_encrypted_response_alg,
                self.introspection_encrypted_response_enc,
            ),
        ];
        let keys = self.jwks.as_ref();
        let pair = |(name, alg, enc)| encryption::wrong(name, (alg, enc), keys);
        keys.and_then(ClientKeys::wrong).or_else(|| pairs.into_iter().find_map(pair))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A secret a client may authenticate with: its digest, and until when.
#[derive(Debug, Clone, Copy)]
pub struct ClientSecretDigest {
    /// SHA-256 of the secret.
    pub digest: SecretDigest,
    /// When it stops being good; never, if absent.
    pub expires_at: Option<UnixTime>,
}

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its row.
    pub id: ClientId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name on the wire.
    pub client_id: String,
    /// Bumped to kill all it was given.
    pub epoch: Epoch,
    /// Whether it is in service.
    pub enabled: bool,
    /// What it may do.
    pub settings: ClientSettings,
    /// Its secrets; several while one is being replaced.
    pub secrets: Vec<ClientSecretDigest>,
    /// The roles it holds for itself; one of them may be gone.
    pub roles: Vec<RoleId>,
}

impl Client {
    /// What people read.
    pub fn display_name(&self) -> &str {
        if self.settings.name.is_empty() { &self.client_id } else { &self.settings.name }
    }

    /// Where a person finds it again, for a link: its home page, else the site that its answers go to. Both are what its
    /// operator registered; nothing of a request is in it.
    pub fn home(&self) -> Option<String> {
        self.settings.client_uri.clone().or_else(|| self.settings.redirect_uris.site())
    }

    /// Whether an answer sent there reaches it and nobody else: it has to authenticate with what came, or the address is its
    /// own. Else who asks may be another program, and what a person agreed to before is not taken for agreed (RFC 8252 §8.6).
    pub fn is_proved_by(&self, address: &ReturnAddress) -> bool {
        !self.is_public() || address.proves_the_client()
    }

    /// The resources that it gets where it names none: its own defaults, else those of its workspace that it may ask for.
    pub fn defaults<'a>(&'a self, of_workspace: &'a [String]) -> Vec<&'a String> {
        let own = &self.settings.default_resources;
        if own.is_empty() {
            return of_workspace.iter().filter(|uri| self.settings.access.contains_key(*uri)).collect();
        }
        own.iter().collect()
    }

    /// Whether it may use this grant type.
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.settings.grant_types.contains(&grant_type)
    }

    /// Whether it is public.
    pub fn is_public(&self) -> bool {
        self.settings.kind == ClientKind::Public
    }

    /// Whether its authorization requests need PKCE.
    pub fn needs_pkce(&self) -> bool {
        self.is_public() || self.settings.require_pkce
    }

    /// Whether `presented` is the digest of one of its secrets that is still good. All are compared, each
    /// in constant time, so that how long it takes says nothing.
    pub fn admits_secret(&self, presented: &SecretDigest, now: UnixTime) -> bool {
        admits_secret(Some(self), presented, now)
    }
}

/// The digest of no secret that anybody could find.
const NOBODYS: SecretDigest = SecretDigest([0; 32]);

/// As [`Client::admits_secret`], for a client that there may be: without one there is as much to compare.
pub fn admits_secret(client: Option<&Client>, presented: &SecretDigest, now: UnixTime) -> bool {
    let compared = digests_to_compare(client, now);
    compared.fold(false, |found, digest| digest.matches(presented) | found) && client.is_some()
}

/// The digests of the secrets that are good; nobody's where there are none.
fn digests_to_compare(client: Option<&Client>, now: UnixTime) -> impl Iterator<Item = &SecretDigest> {
    let secrets = client.map(|client| client.secrets.as_slice()).unwrap_or_default();
    let good = move |secret: &&ClientSecretDigest| secret.expires_at.is_none_or(|end| now < end);
    let nobodys = (!secrets.iter().any(|secret| good(&secret))).then_some(&NOBODYS);
    secrets.iter().filter(good).map(|secret| &secret.digest).chain(nobodys)
}

/// A `client_id` that cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClientId {
    /// Empty, too long, or with characters that need escaping in URLs and forms.
    #[error("a client_id has 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -")]
    NotUrlSafe,
    /// A user's subject could be the same text.
    #[error("a client_id must not have the form of a user's subject (a version 7 UUID)")]
    LikeASubject,
}

/// Whether `text` may be a `client_id`: URL-safe, so that Basic authentication needs no escaping, and never
/// the form of a user's subject, so that no `sub` is ever ambiguous.
pub fn check_client_id(text: &str) -> Result<(), BadClientId> {
    let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if text.is_empty() || text.len() > 128 || !text.bytes().all(url_safe) {
        return Err(BadClientId::NotUrlSafe);
    }
    match uuid::Uuid::try_parse(text) {
        Ok(id) if id.get_version_num() == 7 => Err(BadClientId::LikeASubject),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(secrets: Vec<ClientSecretDigest>) -> Client {
        Client {
            id: ClientId::from_bytes([1; 16]),
            workspace: WorkspaceId::from_bytes([1; 16]),
            client_id: "c".into(),
            epoch: Epoch::FIRST,
            enabled: true,
            settings: ClientSettings::default(),
            secrets,
            roles: Vec::new(),
        }
    }

    #[test]
    fn a_secret_is_good_until_it_expires() {
        let old = ClientSecretDigest { digest: SecretDigest::of(b"old"), expires_at: Some(UnixTime(10)) };
        let new = ClientSecretDigest { digest: SecretDigest::of(b"new"), expires_at: None };
        let client = client(vec![old, new]);
        let admits = |secret: &[u8], now| client.admits_secret(&SecretDigest::of(secret), UnixTime(now));
        assert!(admits(b"old", 9) && admits(b"new", 9) && admits(b"new", 10));
        assert!(!admits(b"old", 10) && !admits(b"other", 9));
    }

    #[test]
    fn where_there_is_no_client_or_no_good_secret_there_is_as_much_to_compare() {
        let secret = |expires_at| ClientSecretDigest { digest: SecretDigest::of(b"s"), expires_at };
        let compared = |client: Option<&Client>| digests_to_compare(client, UnixTime(10)).count();
        let (good, expired) = (client(vec![secret(None)]), client(vec![secret(Some(UnixTime(10)))]));
        assert_eq!([Some(&good), Some(&expired), Some(&client(vec![])), None].map(compared), [1; 4]);
        for (client, admitted) in [(Some(&good), true), (Some(&expired), false), (None, false)] {
            assert_eq!(admits_secret(client, &SecretDigest::of(b"s"), UnixTime(10)), admitted);
        }
        assert!(!admits_secret(None, &NOBODYS, UnixTime(10)));
    }

    #[test]
    fn a_client_id_is_url_safe_and_never_a_subject() {
        assert_eq!(check_client_id("spa.example_1~-"), Ok(()));
        assert_eq!(check_client_id("f47ac10b-58cc-4372-a567-0e02b2c3d479"), Ok(()));
        for bad in ["", "a b", "a:b", "a+b", "a%20", "ü"] {
            assert_eq!(check_client_id(bad), Err(BadClientId::NotUrlSafe), "{bad}");
        }
        for form in ["0197d5a2-6c1e-7b1a-9c51-1f0e6f0a2b3c", "0197D5A26C1E7B1A9C511F0E6F0A2B3C"] {
            assert_eq!(check_client_id(form), Err(BadClientId::LikeASubject), "{form}");
        }
    }

    #[test]
    fn default_resources_are_a_list_and_one_under_the_name_from_before_is_still_read() {
        let read = |json: &str| serde_json::from_str::<ClientSettings>(json).map(|settings| settings.default_resources);
        for one in
            [r#"{"default_resource":"urn:a"}"#, r#"{"default_resources":"urn:a"}"#, r#"{"default_resource":["urn:a"]}"#]
        {
            assert_eq!(read(one).unwrap(), ["urn:a"], "{one}");
        }
        assert_eq!(read(r#"{"default_resources":["urn:b","urn:a"]}"#).unwrap(), ["urn:b", "urn:a"]);
        assert!(read("{}").unwrap().is_empty() && read(r#"{"default_resources":[]}"#).unwrap().is_empty());
        assert!(read(r#"{"default_resource":"urn:a","default_resources":["urn:a"]}"#).is_err(), "one name");
        let wrong = read(r#"{"default_resources":7}"#).unwrap_err().to_string();
        assert!(wrong.contains("expected a resource or a list of resources"), "{wrong}");
        let settings = ClientSettings { default_resources: vec!["urn:a".into()], ..ClientSettings::default() };
        let json = serde_json::to_string(&settings).unwrap();
        assert!(json.contains(r#""default_resources":["urn:a"]"#), "{json}");
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_str::<ClientSettings>(r#"{"redirect_uri":"x"}"#).is_err());
    }
}
