//! Which answers are encrypted for their reader, and how: the settings of clients and resources.
//!
//! Takes: the two algorithms as they are declared, and the keys beside them.
//! Gives: what to encrypt with, or what is wrong with the declaration.

use crate::jwt::jwe::{ClientKeys, ContentEncryption, EncryptionKey, KeyManagement};

/// How something is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    /// How the content key reaches its reader.
    pub alg: KeyManagement,
    /// How the content is encrypted.
    pub enc: ContentEncryption,
}

impl Encryption {
    /// From what is declared; without `enc` it is A128CBC-HS256 (OpenID Registration §2, RFC 9701 §6). `None` without `alg`.
    pub fn declared(alg: Option<KeyManagement>, enc: Option<ContentEncryption>) -> Option<Self> {
        Some(Self { alg: alg?, enc: enc.unwrap_or(ContentEncryption::A128CbcHs256) })
    }

    /// The key to encrypt for.
    pub fn key(self, keys: Option<&ClientKeys>) -> Option<&EncryptionKey> {
        keys?.find(self.alg)
    }
}

/// What is wrong with a pair of declared algorithms beside the declared keys, in words; `None` if nothing. `name` is what
/// both have in common.
pub fn wrong(
    name: &str,
    (alg, enc): (Option<KeyManagement>, Option<ContentEncryption>),
    keys: Option<&ClientKeys>,
) -> Option<String> {
    match (alg, enc, keys) {
        (None, Some(_), _) => Some(format!("{name}_enc needs {name}_alg beside it")),
        (Some(_), _, None) => Some(format!("{name}_alg needs jwks: the keys to encrypt for")),
        (Some(alg), _, Some(keys)) => {
            keys.find(alg).is_none().then(|| format!("{name}_alg: {}", keys.why_none_fits(alg)))
        }
        (None, None, _) => None,
    }
}
