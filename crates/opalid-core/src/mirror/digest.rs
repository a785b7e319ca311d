//! What a token is remembered under.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};
use zeroize::Zeroizing;

use super::TokenDigest;

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
