//! What a token is remembered under, and what an answer is said to hang from.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};
use zeroize::Zeroizing;

use super::{Tag, TokenDigest};

/// The key of one holder's digests: 16 random bytes, drawn at its start and told to nobody.
pub struct DigestKey(Zeroizing<[u8; 16]>);

impl DigestKey {
    /// From random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The digest of all of a token (SipHash-2-4 with 128 bits): without the key nobody finds another text that has it.
    #[must_use]
    pub fn of(&self, token: &str) -> TokenDigest {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(token.as_bytes());
        TokenDigest(hasher.finish128().as_u128())
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey")
    }
}

/// The key of the tags that one holder is told: the same at every node and every connection of it, another for every other holder.
pub struct TagKey(Zeroizing<[u8; 16]>);

impl TagKey {
    /// Of the store's key of tags and of whom the tags are told.
    #[must_use]
    pub fn new(of_store: &[u8; 16], holder: &[u8; 16]) -> Self {
        let mut hasher = SipHasher24::new_with_key(of_store);
        hasher.write(holder);
        Self(Zeroizing::new(hasher.finish128().as_bytes()))
    }

    /// What it is told that something is called.
    #[must_use]
    pub fn of(&self, name: &[u8]) -> Tag {
        let mut hasher = siphasher::sip::SipHasher24::new_with_key(&self.0);
        hasher.write(name);
        Tag(hasher.finish())
    }
}

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagKey")
    }
}
