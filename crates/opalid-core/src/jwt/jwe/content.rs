//! The content of a JWE under its content key (RFC 7518 §5).
//!
//! Takes: a content key and an IV that were never used together, the encoded header, the plain bytes.
//! Gives: ciphertext and tag.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::ContentEncryption;

/// The length of every tag, and of each half of the key of A128CBC-HS256 (RFC 7518 §5.2.3, §5.3).
pub(super) const TAG_LENGTH: usize = 16;

/// What stands in a JWE for its content.
pub(super) struct Sealed {
    pub ciphertext: Vec<u8>,
    pub tag: Vec<u8>,
}

impl ContentEncryption {
    /// The length of its content key.
    pub(super) const fn key_length(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
        }
    }

    /// The length of its IV.
    pub(super) const fn iv_length(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm => 12,
            Self::A128CbcHs256 => 16,
        }
    }

    /// Encrypts `plain` and authenticates it together with `header`.
    pub(super) fn seal(self, key: (&[u8], &[u8]), header: &[u8], plain: &[u8]) -> Result<Sealed, Unspecified> {
        match self {
            Self::A128Gcm => gcm(&AES_128_GCM, key, header, plain),
            Self::A256Gcm => gcm(&AES_256_GCM, key, header, plain),
            Self::A128CbcHs256 => cbc_hs256(key, header, plain),
        }
    }
}

fn gcm(
    algorithm: &'static Algorithm,
    (key, iv): (&[u8], &[u8]),
    header: &[u8],
    plain: &[u8],
) -> Result<Sealed, Unspecified> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key)?);
    let mut ciphertext = plain.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(iv)?;
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(header), &mut ciphertext)?;
    Ok(Sealed { ciphertext, tag: tag.as_ref().to_vec() })
}

/// Encrypt, then authenticate: the first half of the key is for HMAC, the second for AES (RFC 7518 §5.2.2.1).
fn cbc_hs256((key, iv): (&[u8], &[u8]), header: &[u8], plain: &[u8]) -> Result<Sealed, Unspecified> {
    let (mac_key, cipher_key) = key.split_at_checked(TAG_LENGTH).ok_or(Unspecified)?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, cipher_key)?)?;
    let mut ciphertext = plain.to_vec();
    cipher.less_safe_encrypt(&mut ciphertext, EncryptionContext::Iv128(FixedLength::try_from(iv)?))?;
    let tag = cbc_hs256_tag(mac_key, header, iv, &ciphertext)?;
    Ok(Sealed { ciphertext, tag })
}

/// The first half of HMAC-SHA-256 over header, IV, ciphertext and the header's length in bits (RFC 7518 §5.2.2.1).
pub(super) fn cbc_hs256_tag(key: &[u8], header: &[u8], iv: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let bits = u64::try_from(header.len()).map_err(|_| Unspecified)?.checked_mul(8).ok_or(Unspecified)?;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [header, iv, ciphertext, &bits.to_be_bytes()] {
        context.update(part);
    }
    let tag = context.sign();
    tag.as_ref().get(..TAG_LENGTH).map(<[u8]>::to_vec).ok_or(Unspecified)
}

#[cfg(test)]
mod tests {
    use super::super::super::{decode, encode};
    use super::super::vectors;
    use super::*;

    #[test]
    fn a128cbc_hs256_is_that_of_rfc_7518_b_1() {
        let key: Vec<u8> = (0..32).collect();
        let key = (key.as_slice(), vectors::RFC7518_B1_IV.as_slice());
        let sealed = ContentEncryption::A128CbcHs256.seal(key, vectors::RFC7518_B1_A, vectors::RFC7518_B1_P).unwrap();
        assert_eq!(encode(&sealed.ciphertext), vectors::RFC7518_B1_E);
        assert_eq!(encode(&sealed.tag), vectors::RFC7518_B1_T);
    }

    #[test]
    fn a256gcm_is_that_of_rfc_7516_a_1() {
        let [header, _, iv, ciphertext, tag] = vectors::RFC7516_A1_JWE;
        let (key, iv) = (decode(vectors::RFC7516_A1_CEK).unwrap(), decode(iv).unwrap());
        let sealed = ContentEncryption::A256Gcm.seal((&key, &iv), header.as_bytes(), vectors::RFC7516_A1_P).unwrap();
        assert_eq!((encode(&sealed.ciphertext).as_str(), encode(&sealed.tag).as_str()), (ciphertext, tag));
    }

    #[test]
    fn a128gcm_is_that_of_rfc_7520_5_4() {
        let [header, _, iv, ciphertext, tag] = vectors::parts(vectors::RFC7520_54_JWE);
        let (key, iv) = (decode(vectors::RFC7520_54_CEK).unwrap(), decode(iv).unwrap());
        let plain = vectors::RFC7520_5_P.as_bytes();
        let sealed = ContentEncryption::A128Gcm.seal((&key, &iv), header.as_bytes(), plain).unwrap();
        assert_eq!((encode(&sealed.ciphertext).as_str(), encode(&sealed.tag).as_str()), (ciphertext, tag));
    }

    #[test]
    fn keys_and_ivs_of_another_length_are_refused() {
        for &enc in ContentEncryption::ALL {
            let (key, iv) = (vec![1; enc.key_length()], vec![2; enc.iv_length()]);
            assert!(enc.seal((&key, &iv), b"", b"").is_ok());
            assert!(enc.seal((&key[1..], &iv), b"", b"").is_err());
            assert!(enc.seal((&key, &iv[1..]), b"", b"").is_err());
        }
    }
}
