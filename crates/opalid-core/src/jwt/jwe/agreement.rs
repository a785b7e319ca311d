//! Ephemeral-static key agreement (RFC 7518 §4.6, RFC 8037 §3.2).
//!
//! Takes: the static public key of the reader, an ephemeral private key that is used once.
//! Gives: a key of the length asked for, and the `epk` from which the reader has it too.
//! Holds: a point that is not on its curve, or of small order, never becomes an `AgreementKey`. `apu` and `apv` stay empty.

use aws_lc_rs::agreement::{
    Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, PrivateKey, UnparsedPublicKey, X25519, agree,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use zeroize::Zeroizing;

use super::super::{Curve, KeyParameters, encode};

/// A curve to agree on.
#[derive(Debug, Clone, Copy)]
pub(super) struct AgreementCurve {
    curve: Curve,
    algorithm: &'static Algorithm,
    /// The length of a coordinate in bytes (RFC 7518 §6.2.1.2).
    pub coordinate: usize,
}

impl AgreementCurve {
    /// The curve of this `crv`, if keys can be agreed on with it.
    pub fn from_wire(crv: &str) -> Option<Self> {
        let (curve, algorithm, coordinate) = match crv {
            "P-256" => (Curve::P256, &ECDH_P256, 32),
            "P-384" => (Curve::P384, &ECDH_P384, 48),
            "P-521" => (Curve::P521, &ECDH_P521, 66),
            "X25519" => (Curve::X25519, &X25519, 32),
            _ => return None,
        };
        Some(Self { curve, algorithm, coordinate })
    }

    /// Whether its keys are of type `OKP`, with one coordinate.
    pub fn is_octet_pair(self) -> bool {
        self.curve == Curve::X25519
    }
}

/// The static public key of a reader.
#[derive(Debug)]
pub(super) struct AgreementKey {
    curve: AgreementCurve,
    public: ParsedPublicKey,
}

impl AgreementKey {
    /// The key of these coordinates: two, or one where the curve has one.
    pub fn new(curve: AgreementCurve, coordinates: &[u8]) -> Option<Self> {
        let point = if curve.is_octet_pair() { coordinates.to_vec() } else { [&[4], coordinates].concat() };
        let public = ParsedPublicKey::try_from(UnparsedPublicKey::new(curve.algorithm, point)).ok()?;
        if curve.is_octet_pair() {
            // Any private key shows a point of small order: what is agreed on with it is zero (RFC 7748 §6.1).
            let any = PrivateKey::from_private_key(curve.algorithm, &[1; 32]).ok()?;
            agree(&any, public.clone(), (), |_| Ok(())).ok()?;
        }
        Some(Self { curve, public })
    }

    /// What an ephemeral key has to be made for.
    pub fn algorithm(&self) -> &'static Algorithm {
        self.curve.algorithm
    }

    /// The public half of an ephemeral key, for the header.
    pub fn epk(&self, ephemeral: &PrivateKey) -> Result<KeyParameters, Unspecified> {
        let public = ephemeral.compute_public_key()?;
        let crv = self.curve.curve;
        if self.curve.is_octet_pair() {
            return Ok(KeyParameters::Okp { crv, x: encode(public.as_ref()) });
        }
        // The uncompressed point: 4, x, y (SEC 1 §2.3.3).
        let point = public.as_ref().strip_prefix(&[4]).ok_or(Unspecified)?;
        let (x, y) = point.split_at_checked(self.curve.coordinate).ok_or(Unspecified)?;
        Ok(KeyParameters::Ec { crv, x: encode(x), y: encode(y) })
    }

    /// A key of `length` bytes for the algorithm of that name.
    pub fn agree(
        &self,
        private: &PrivateKey,
        algorithm_id: &str,
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        agree(private, self.public.clone(), Unspecified, |secret| derive(secret, algorithm_id, [b"", b""], length))
    }
}

/// The Concat KDF with SHA-256 (RFC 7518 §4.6.2): the one-step KDF of NIST SP 800-56A, §5.8.1, over the secret and who,
/// what for and how long. `parties` are `apu` and `apv`.
fn derive(
    secret: &[u8],
    algorithm_id: &str,
    parties: [&[u8]; 2],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let number = |length: usize| u32::try_from(length).map(u32::to_be_bytes).map_err(|_| Unspecified);
    let mut info = Vec::new();
    for part in [algorithm_id.as_bytes()].iter().chain(&parties) {
        info.extend_from_slice(&number(part.len())?);
        info.extend_from_slice(part);
    }
    info.extend_from_slice(&number(length * 8)?);
    let sha256 = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(Unspecified)?;
    let mut key = Zeroizing::new(vec![0; length]);
    sskdf_digest(sha256, secret, &info, &mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::super::decode;
    use super::super::vectors;
    use super::*;

    fn key(crv: &str, coordinates: [&str; 2]) -> AgreementKey {
        let coordinates = coordinates.map(|text| decode(text).unwrap()).concat();
        AgreementKey::new(AgreementCurve::from_wire(crv).unwrap(), &coordinates).unwrap()
    }

    fn secret_of(public: &AgreementKey, private: &str) -> Vec<u8> {
        let private = PrivateKey::from_private_key(public.algorithm(), &decode(private).unwrap()).unwrap();
        agree(&private, public.public.clone(), (), |secret| Ok(secret.to_vec())).unwrap()
    }

    #[test]
    fn the_derived_key_is_that_of_rfc_7518_c_from_either_side() {
        let [alice, bob] = [vectors::RFC7518_C_ALICE, vectors::RFC7518_C_BOB];
        for (public, private) in [(bob, alice), (alice, bob)] {
            let secret = secret_of(&key("P-256", [public[0], public[1]]), private[2]);
            assert_eq!(encode(&secret), vectors::RFC7518_C_Z);
            let derived = derive(&secret, "A128GCM", [b"Alice", b"Bob"], 16).unwrap();
            assert_eq!(encode(&derived), vectors::RFC7518_C_DERIVED);
        }
    }

    #[test]
    fn the_secret_on_x25519_is_that_of_rfc_8037_a_6() {
        let bob = key("X25519", [vectors::RFC8037_A6_BOB, ""]);
        let private = PrivateKey::from_private_key(&X25519, &decode(vectors::RFC8037_A6_EPHEMERAL).unwrap()).unwrap();
        let epk = KeyParameters::Okp { crv: Curve::X25519, x: vectors::RFC8037_A6_EPK.into() };
        assert_eq!(bob.epk(&private).unwrap(), epk);
        assert_eq!(encode(&secret_of(&bob, vectors::RFC8037_A6_EPHEMERAL)), vectors::RFC8037_A6_Z);
    }

    #[test]
    fn the_content_key_is_that_of_rfc_7520_5_5() {
        let [x, y, _] = vectors::RFC7520_55_OWNER;
        let reader = key("P-256", [x, y]);
        let private = decode(vectors::RFC7520_55_EPHEMERAL).unwrap();
        let private = PrivateKey::from_private_key(reader.algorithm(), &private).unwrap();
        let derived = reader.agree(&private, "A128CBC-HS256", 32).unwrap();
        assert_eq!(encode(&derived), vectors::RFC7520_55_CEK);
    }

    #[test]
    fn on_p_384_the_wrapped_key_of_rfc_7520_5_4_opens() {
        use aws_lc_rs::key_wrap::{AES_128, AesKek, KeyWrap};
        let [x, y, private] = vectors::RFC7520_54_OWNER;
        let [_, wrapped, ..] = vectors::parts(vectors::RFC7520_54_JWE);
        let [epk_x, epk_y] = vectors::RFC7520_54_EPK;
        let epk = key("P-384", [epk_x, epk_y]);
        let private = PrivateKey::from_private_key(epk.algorithm(), &decode(private).unwrap()).unwrap();
        let public = epk.epk(&private).unwrap();
        assert_eq!(public, KeyParameters::Ec { crv: Curve::P384, x: x.into(), y: y.into() });
        let wrapping_key = epk.agree(&private, "ECDH-ES+A128KW", 16).unwrap();
        let mut opened = [0; 16];
        AesKek::new(&AES_128, &wrapping_key).unwrap().unwrap(&decode(wrapped).unwrap(), &mut opened).unwrap();
        assert_eq!(encode(&opened), vectors::RFC7520_54_CEK);
    }

    #[test]
    fn points_off_their_curve_of_small_order_or_of_another_length_are_no_keys() {
        for crv in ["P-256", "P-384", "P-521"] {
            let curve = AgreementCurve::from_wire(crv).unwrap();
            assert!(AgreementKey::new(curve, &vec![0; 2 * curve.coordinate]).is_none(), "{crv}");
            assert!(AgreementKey::new(curve, &vec![1; 2 * curve.coordinate]).is_none(), "{crv}");
            assert!(AgreementKey::new(curve, &vec![1; curve.coordinate]).is_none(), "{crv}");
            assert!(AgreementKey::new(curve, &[]).is_none(), "{crv}");
        }
        let curve = AgreementCurve::from_wire("X25519").unwrap();
        let one = [&[1][..], &[0; 31]].concat();
        let minus_one = [&[0xec][..], &[0xff; 30], &[0x7f]].concat();
        for small in [vec![0; 32], one, minus_one, vec![9; 31], vec![9; 33], vec![]] {
            assert!(AgreementKey::new(curve, &small).is_none(), "{small:?}");
        }
        assert!(AgreementKey::new(curve, &[9; 32]).is_some());
        assert!(AgreementCurve::from_wire("Ed25519").is_none());
    }
}
