//! The master key, and the wrapping of the keys that the store keeps.
//!
//! Takes: a label that names workspace, purpose and number of the key; a nonce; the key.
//! Gives: nonce 12 ‖ ciphertext ‖ tag 16, AES-256-GCM-SIV (RFC 8452): a nonce drawn twice would only show that the
//! same key was wrapped twice.
//! Holds: what was wrapped under one label opens under no other, so wrapped keys cannot be swapped in the store.
//! Not here: where the master key lies, and where randomness comes from.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// The first part of the associated data. A change of the format changes it.
const FORMAT: &str = "opalid/wrap/v1";

/// The key that wraps all others. It is never in the store.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// The wrapped bytes do not open: another master key, another label, or altered bytes. Which one cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored key does not open: it was wrapped by another master key or for another use, or it was altered")]
pub struct WrongKey;

/// A text that is not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a master key: expected 43 characters of base64url without padding and nothing else")]
pub struct NotAMasterKey;

/// The library could not encrypt, which happens only when it has no memory left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library failed")]
pub struct CannotWrap;

impl MasterKey {
    /// A new key from these random bytes.
    pub fn generate_from(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// The key in a file or variable: base64url in its one canonical spelling. A file's line end is not part of it.
    pub fn from_text(text: &str) -> Result<Self, NotAMasterKey> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAMasterKey)?);
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| NotAMasterKey)?;
        Ok(Self(Zeroizing::new(*bytes)))
    }

    /// The text to write to the key file: 43 characters.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// `plaintext`, readable only with this key and under this label. The nonce is random and not used before.
    pub fn wrap(&self, label: &str, nonce: [u8; NONCE_LEN], plaintext: &[u8]) -> Result<Vec<u8>, CannotWrap> {
        let mut sealed = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .cipher()
            .and_then(|cipher| {
                let nonce = Nonce::assume_unique_for_key(nonce);
                cipher.seal_in_place_separate_tag(nonce, Aad::from(associated_data(label)), &mut sealed).ok()
            })
            .ok_or(CannotWrap)?;
        Ok([nonce.as_slice(), &sealed, tag.as_ref()].concat())
    }

    /// What was wrapped with this key under this label.
    pub fn unwrap(&self, label: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, WrongKey> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(WrongKey)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = self
            .cipher()
            .ok_or(WrongKey)?
            .open_in_place(nonce, Aad::from(associated_data(label)), &mut opened)
            .map_err(|_| WrongKey)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM_SIV, self.0.as_slice()).ok().map(LessSafeKey::new)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Format and label, each behind its length, so that no two pairs give the same bytes.
fn associated_data(label: &str) -> Vec<u8> {
    let mut data = Vec::with_capacity(16 + FORMAT.len() + label.len());
    for part in [FORMAT, label] {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part.as_bytes());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "0197d5a2-6c1e-7b1a-9c51-1f0e6f0a2b3c/signing/1";
    const PLAINTEXT: &[u8] = b"a private key";

    fn key() -> MasterKey {
        MasterKey::generate_from([7; 32])
    }

    fn wrapped() -> Vec<u8> {
        key().wrap(LABEL, [9; 12], PLAINTEXT).unwrap()
    }

    #[test]
    fn what_was_wrapped_opens_again_and_is_not_readable_before() {
        let wrapped = wrapped();
        assert_eq!(key().unwrap(LABEL, &wrapped).unwrap().as_slice(), PLAINTEXT);
        assert_eq!((&wrapped[..12], wrapped.len()), ([9; 12].as_slice(), 12 + PLAINTEXT.len() + 16));
        assert!(!wrapped.windows(PLAINTEXT.len()).any(|part| part == PLAINTEXT));
        let empty = key().wrap(LABEL, [9; 12], b"").unwrap();
        assert_eq!(key().unwrap(LABEL, &empty).unwrap().as_slice(), b"");
    }

    #[test]
    fn another_master_key_does_not_open_it() {
        let mut other = [7; 32];
        other[31] ^= 1;
        assert_eq!(MasterKey::generate_from(other).unwrap(LABEL, &wrapped()), Err(WrongKey));
    }

    #[test]
    fn another_label_does_not_open_it() {
        for other in ["", "0197d5a2-6c1e-7b1a-9c51-1f0e6f0a2b3c/signing/2", &LABEL[1..], &format!("{LABEL}0")] {
            assert_eq!(key().unwrap(other, &wrapped()), Err(WrongKey));
        }
    }

    #[test]
    fn no_byte_can_be_changed_added_or_left_out() {
        let wrapped = wrapped();
        for position in 0..wrapped.len() {
            for bit in 0..8 {
                let mut changed = wrapped.clone();
                changed[position] ^= 1 << bit;
                assert_eq!(key().unwrap(LABEL, &changed), Err(WrongKey));
            }
            assert_eq!(key().unwrap(LABEL, &wrapped[..position]), Err(WrongKey));
        }
        assert_eq!(key().unwrap(LABEL, &[wrapped.as_slice(), &[0]].concat()), Err(WrongKey));
    }

    #[test]
    fn the_format_does_not_change_unnoticed() {
        let expected = concat!("\0\0\0\0\0\0\0\x0eopalid/wrap/v1", "\0\0\0\0\0\0\0\x03a/1");
        assert_eq!(associated_data("a/1"), expected.as_bytes());
    }

    #[test]
    fn a_master_key_has_one_text() {
        let text = key().to_text();
        assert_eq!(text.as_str(), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        assert_eq!(MasterKey::from_text(&text).unwrap().to_text(), text);
        let standard = MasterKey::generate_from([0xff; 32]).to_text().replace('_', "/");
        let refused = [
            "",
            &text[..42],
            &format!("{}=", *text),
            &format!("{}A", *text),
            &format!("{}\n", *text),
            &format!(" {}", *text),
            // Bits left over.
            "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd",
            &standard,
            &"07".repeat(32),
        ];
        for text in refused {
            assert!(matches!(MasterKey::from_text(text), Err(NotAMasterKey)), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", key()), "MasterKey");
    }
}
