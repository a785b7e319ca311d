//! The reading half of JWE, for the tests: they read what was written here, and what others wrote.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::PrivateKey;
use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use serde_json::{Value, json};

use super::super::{decode, vectors::rfc7520_pkcs8};
use super::agreement::{AgreementCurve, AgreementKey};
use super::content::cbc_hs256_tag;
use super::{ContentEncryption, EncryptionKey, KeyManagement, vectors};

/// Somebody who has a key to be encrypted for.
#[derive(Clone)]
pub(super) struct Owner {
    jwk: Value,
    private: Vec<u8>,
}

impl Owner {
    /// One for each kind of key.
    pub fn all() -> Vec<Self> {
        let rsa =
            json!({ "kty": "RSA", "kid": "RSA", "use": "enc", "n": super::super::vectors::RFC7520_N, "e": "AQAB" });
        let elliptic = |crv: &str, [x, y, d]: [&str; 3]| Self {
            jwk: json!({ "kty": "EC", "kid": crv, "crv": crv, "x": x, "y": y }),
            private: decode(d).unwrap(),
        };
        let okp = json!({ "kty": "OKP", "kid": "X25519", "crv": "X25519", "x": vectors::RFC8037_A6_BOB });
        vec![
            Self { jwk: rsa, private: rfc7520_pkcs8() },
            elliptic("P-256", vectors::RFC7518_C_BOB),
            elliptic("P-384", vectors::RFC7520_54_OWNER),
            elliptic("P-521", vectors::RFC7520_P521),
            Self { jwk: okp, private: decode(vectors::RFC7748_BOB).unwrap() },
        ]
    }

    /// The one of RFC 7520 §5.5.
    pub fn rfc7520_55() -> Self {
        let [x, y, d] = vectors::RFC7520_55_OWNER;
        let jwk = json!({ "kty": "EC", "kid": "meriadoc", "crv": "P-256", "x": x, "y": y });
        Self { jwk, private: decode(d).unwrap() }
    }

    pub fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    pub fn kid(&self) -> &str {
        self.jwk["kid"].as_str().unwrap()
    }

    pub fn public(&self) -> EncryptionKey {
        EncryptionKey::from_jwk(&self.jwk).unwrap()
    }
}

/// The header and the payload, if it was encrypted for this owner and not changed since.
pub(super) fn decrypt(owner: &Owner, jwe: &str) -> Result<(Value, Vec<u8>), Unspecified> {
    let [encoded_header, encrypted_key, iv, ciphertext, tag] = jwe.split('.').collect::<Vec<_>>()[..] else {
        return Err(Unspecified);
    };
    let part = |text: &str| decode(text).ok_or(Unspecified);
    let header: Value = serde_json::from_slice(&part(encoded_header)?).map_err(|_| Unspecified)?;
    let enc = header["enc"].as_str().and_then(ContentEncryption::from_wire).ok_or(Unspecified)?;
    let key = content_key(owner, &header, enc, &part(encrypted_key)?)?;
    let (iv, mut content, tag) = (part(iv)?, part(ciphertext)?, part(tag)?);
    let aad = encoded_header.as_bytes();
    let algorithm = match enc {
        ContentEncryption::A128Gcm => &AES_128_GCM,
        ContentEncryption::A256Gcm => &AES_256_GCM,
        ContentEncryption::A128CbcHs256 => {
            let (mac_key, cipher_key) = key.split_at(16);
            if cbc_hs256_tag(mac_key, aad, &iv, &content)? != tag {
                return Err(Unspecified);
            }
            let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, cipher_key)?)?;
            let plain = cipher.decrypt(&mut content, DecryptionContext::Iv128(FixedLength::try_from(&*iv)?))?;
            return Ok((header, plain.to_vec()));
        }
    };
    content.extend_from_slice(&tag);
    let key = LessSafeKey::new(UnboundKey::new(algorithm, &key)?);
    let plain = key.open_in_place(Nonce::try_assume_unique_for_key(&iv)?, Aad::from(aad), &mut content)?;
    Ok((header, plain.to_vec()))
}

fn content_key(
    owner: &Owner,
    header: &Value,
    enc: ContentEncryption,
    encrypted: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let alg = header["alg"].as_str().and_then(KeyManagement::from_wire).ok_or(Unspecified)?;
    if (owner.jwk["kty"] == "RSA") != (alg == KeyManagement::RsaOaep256) {
        return Err(Unspecified);
    }
    if alg == KeyManagement::RsaOaep256 {
        let key = PrivateDecryptingKey::from_pkcs8(&owner.private).map_err(|_| Unspecified)?;
        let key = OaepPrivateDecryptingKey::new(key)?;
        let mut out = vec![0; key.min_output_size()];
        return Ok(key.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut out, None)?.to_vec());
    }
    let epk = &header["epk"];
    let member = |name: &str| epk[name].as_str().and_then(decode).unwrap_or_default();
    let curve = epk["crv"].as_str().and_then(AgreementCurve::from_wire).ok_or(Unspecified)?;
    let epk = AgreementKey::new(curve, &[member("x"), member("y")].concat()).ok_or(Unspecified)?;
    let private = PrivateKey::from_private_key(epk.algorithm(), &owner.private).map_err(|_| Unspecified)?;
    if alg == KeyManagement::EcdhEs {
        assert!(encrypted.is_empty());
        return Ok(epk.agree(&private, enc.wire_name(), enc.key_length())?.to_vec());
    }
    let kek = AesKek::new(&AES_256, &epk.agree(&private, alg.wire_name(), 32)?)?;
    let mut out = vec![0; encrypted.len()];
    Ok(kek.unwrap(encrypted, &mut out)?.to_vec())
}

#[test]
fn the_jwe_of_rfc_7520_5_5_is_read() {
    let (_, plain) = decrypt(&Owner::rfc7520_55(), vectors::RFC7520_55_JWE).unwrap();
    assert_eq!(String::from_utf8(plain).unwrap(), vectors::RFC7520_5_P);
}

#[test]
fn what_another_library_wrote_is_read() {
    let owners = Owner::all();
    for (kid, jwe) in vectors::JOSERFC {
        let owner = owners.iter().find(|owner| owner.kid() == *kid).unwrap();
        let (_, plain) = decrypt(owner, jwe).unwrap();
        assert_eq!(plain, b"from joserfc", "{kid}");
    }
}
