//! Reading back a JWS that we signed ourselves (RFC 7515 §5.2).
//!
//! Takes: our public keys, a text that a client sent, the `typ` it must have.
//! Gives: the claims, or why not (for the log; a client learns no more than that it was refused).
//! Holds: the key decides the algorithm, the header may only agree, so `none` and HMAC with a public key find nothing
//! to do; `kid` must name one of our keys; a header parameter that we do not write (`crit`, `jwk`, `jku`, `b64` …) is
//! refused, present or null; base64url only in its canonical spelling; nothing beyond 8 KiB is looked at.
//! Not here: `exp`, and whether the subject or session still lives.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::{Curve, Jwk, JwtError, KeyParameters, SigningAlgorithm, TYP_JWT, decode};

/// The longest JWS that is read, in bytes.
pub const MAX_JWS_LENGTH: usize = 8 * 1024;

/// Why a JWS was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsRefused {
    /// Longer than `MAX_JWS_LENGTH`.
    #[error("longer than 8 KiB")]
    TooLong,
    /// Not three canonical base64url parts, or a header that we would not have written (`crit` among them).
    #[error("not a compact JWS of ours")]
    Malformed,
    /// `kid` is missing or names none of our keys.
    #[error("signed by no key of ours")]
    UnknownKey,
    /// `alg` is not the algorithm of the key that `kid` names.
    #[error("another algorithm than that of its key")]
    WrongAlgorithm,
    /// A token of another kind.
    #[error("another type of token")]
    WrongType,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    BadSignature,
    /// Ours, but the claims are not those of this kind of token.
    #[error("unexpected claims")]
    BadClaims,
    /// Ours, but of another issuer.
    #[error("another issuer")]
    WrongIssuer,
}

/// A public key of ours, parsed once.
#[derive(Debug)]
pub struct PublicKey {
    jwk: Jwk,
    parsed: ParsedPublicKey,
}

/// All keys that a workspace's tokens may be signed with: the one in use, the next, the retired. Serialized, it is the
/// JWK Set (RFC 7517 §5).
#[derive(Debug, Serialize)]
pub struct PublicKeys {
    keys: Vec<PublicKey>,
}

/// What we write; nothing else is read. Repeated members are refused too (RFC 7515 §4).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

impl PublicKey {
    /// The key of this JWK, which must fit its `alg` and be named by its thumbprint.
    pub fn from_jwk(jwk: Jwk) -> Result<Self, JwtError> {
        let named = jwk.kid == jwk.parameters.thumbprint();
        let parsed = parse(&jwk).filter(|_| named).ok_or(JwtError::KeyRejected(jwk.alg))?;
        Ok(Self { jwk, parsed })
    }

    /// Its name, the thumbprint.
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The one algorithm it verifies with.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.jwk.alg
    }

    pub(super) fn verify(&self, message: &str, signature: &[u8]) -> Result<(), JwsRefused> {
        self.parsed.verify_sig(message.as_bytes(), signature).map_err(|_| JwsRefused::BadSignature)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.jwk.serialize(serializer)
    }
}

fn parse(jwk: &Jwk) -> Option<ParsedPublicKey> {
    match (jwk.alg, &jwk.parameters) {
        (SigningAlgorithm::Rs256, KeyParameters::Rsa { n, e }) => rsa(&RSA_PKCS1_2048_8192_SHA256, n, e),
        (SigningAlgorithm::Ps256, KeyParameters::Rsa { n, e }) => rsa(&RSA_PSS_2048_8192_SHA256, n, e),
        (SigningAlgorithm::Es256, KeyParameters::Ec { crv: Curve::P256, x, y }) => {
            ecdsa(&ECDSA_P256_SHA256_FIXED, [coordinate(x, 32)?, coordinate(y, 32)?])
        }
        (SigningAlgorithm::Es384, KeyParameters::Ec { crv: Curve::P384, x, y }) => {
            ecdsa(&ECDSA_P384_SHA384_FIXED, [coordinate(x, 48)?, coordinate(y, 48)?])
        }
        (SigningAlgorithm::EdDsa, KeyParameters::Okp { crv: Curve::Ed25519, x }) => {
            ParsedPublicKey::new(&ED25519, coordinate(x, 32)?).ok()
        }
        _ => None,
    }
}

fn rsa(parameters: &'static RsaParameters, n: &str, e: &str) -> Option<ParsedPublicKey> {
    PublicKeyComponents { n: decode(n)?, e: decode(e)? }.to_parsed_public_key(parameters).ok()
}

/// The uncompressed point: 4, x, y (SEC 1 §2.3.3).
fn ecdsa(algorithm: &'static EcdsaVerificationAlgorithm, [x, y]: [Vec<u8>; 2]) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(algorithm, [vec![4], x, y].concat()).ok()
}

/// As long as its field, neither shorter nor longer (RFC 7518 §6.2.1.2), so that a key has one spelling.
fn coordinate(text: &str, length: usize) -> Option<Vec<u8>> {
    decode(text).filter(|bytes| bytes.len() == length)
}

impl PublicKeys {
    /// These keys, in the order in which clients see them.
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self { keys }
    }

    /// The key of this name.
    pub(super) fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// The claims of a JWS that one of these keys signed and that has this `typ`. One without `typ` counts as `JWT`.
    pub fn verify<C: DeserializeOwned>(&self, jws: &str, typ: &str) -> Result<C, JwsRefused> {
        if jws.len() > MAX_JWS_LENGTH {
            return Err(JwsRefused::TooLong);
        }
        let (message, signature) = jws.rsplit_once('.').ok_or(JwsRefused::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(JwsRefused::Malformed)?;
        let header: Header = decode(header).and_then(|json| object(&json)).ok_or(JwsRefused::Malformed)?;
        let payload = decode(payload).ok_or(JwsRefused::Malformed)?;
        let signature = decode(signature).ok_or(JwsRefused::Malformed)?;

        let key = header.kid.as_deref().and_then(|kid| self.find(kid)).ok_or(JwsRefused::UnknownKey)?;
        if header.alg != key.algorithm().wire_name() {
            return Err(JwsRefused::WrongAlgorithm);
        }
        if header.typ.as_deref().unwrap_or(TYP_JWT) != typ {
            return Err(JwsRefused::WrongType);
        }
        key.verify(message, &signature)?;
        object(&payload).ok_or(JwsRefused::BadClaims)
    }
}

/// What stands in a JSON object, as we write it. An array of the same values is none, though serde would read it.
pub(super) fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    if json.starts_with(b"{") { serde_json::from_slice(json).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use serde_json::{Value, json};

    use super::super::{SigningKey, encode, vectors};
    use super::*;

    fn signer(algorithm: SigningAlgorithm) -> SigningKey {
        SigningKey::from_pkcs8(algorithm, &vectors::pkcs8(algorithm)).unwrap()
    }

    fn all_keys() -> PublicKeys {
        PublicKeys::new(SigningAlgorithm::ALL.iter().map(|a| signer(*a).public_key().unwrap()).collect())
    }

    /// A JWS with exactly this header, truly signed by the key.
    fn signed(key: &SigningKey, header: &str) -> String {
        key.compact(header.as_bytes(), br#"{"sub":"alice"}"#).unwrap()
    }

    fn refusal(jws: &str) -> JwsRefused {
        all_keys().verify::<Value>(jws, TYP_JWT).unwrap_err()
    }

    #[test]
    fn the_examples_of_the_specifications_verify() {
        let examples = [
            (SigningAlgorithm::Rs256, vectors::RFC7515_A2_JWS),
            (SigningAlgorithm::Es256, vectors::RFC7515_A3_JWS),
            (SigningAlgorithm::EdDsa, vectors::RFC8037_JWS),
        ];
        for (algorithm, jws) in examples {
            let key = signer(algorithm).public_key().unwrap();
            let (message, signature) = jws.rsplit_once('.').unwrap();
            let mut signature = decode(signature).unwrap();
            assert_eq!(key.verify(message, &signature), Ok(()));
            assert_eq!(key.verify(&message[1..], &signature), Err(JwsRefused::BadSignature));
            signature[0] ^= 1;
            assert_eq!(key.verify(message, &signature), Err(JwsRefused::BadSignature));
        }
    }

    #[test]
    fn signatures_of_others_under_our_newer_algorithms_verify() {
        let key = signer(SigningAlgorithm::Ps256).public_key().unwrap();
        let check = |jws: &str| {
            let (message, signature) = jws.rsplit_once('.').unwrap();
            key.verify(message, &decode(signature).unwrap())
        };
        assert_eq!(check(vectors::PS256_JWS), Ok(()));
        for other_parameters in [vectors::PS256_SHORT_SALT_JWS, vectors::PS256_MGF1_SHA1_JWS, vectors::RFC7520_41_JWS] {
            assert_eq!(check(other_parameters), Err(JwsRefused::BadSignature));
        }
        let key = signer(SigningAlgorithm::Es384).public_key().unwrap();
        let mut signature = decode(vectors::RFC6979_P384_SIGNATURE).unwrap();
        assert_eq!(key.verify("sample", &signature), Ok(()));
        assert_eq!(key.verify("Sample", &signature), Err(JwsRefused::BadSignature));
        signature[95] ^= 1;
        assert_eq!(key.verify("sample", &signature), Err(JwsRefused::BadSignature));
    }

    #[test]
    fn an_rsa_key_verifies_with_the_one_of_its_two_algorithms_that_it_is_for() {
        for (own, other) in [("RS256", "PS256"), ("PS256", "RS256")] {
            let [own, other] = [own, other].map(|name| SigningAlgorithm::from_wire(name).unwrap());
            let twin = SigningKey::from_pkcs8(other, &vectors::pkcs8(own)).unwrap();
            assert_eq!(twin.kid(), signer(own).kid(), "the same numbers");
            let jws = twin.sign(TYP_JWT, &json!({ "sub": "alice" })).unwrap();
            assert_eq!(refusal(&jws), JwsRefused::WrongAlgorithm);
            let header = format!(r#"{{"alg":"{}","typ":"JWT","kid":"{}"}}"#, own.wire_name(), twin.kid());
            assert_eq!(refusal(&signed(&twin, &header)), JwsRefused::BadSignature);
        }
    }

    #[test]
    fn a_token_without_kid_is_refused_although_a_key_would_fit() {
        for jws in [vectors::RFC7515_A2_JWS, vectors::RFC7515_A3_JWS] {
            assert_eq!(refusal(jws), JwsRefused::UnknownKey);
        }
    }

    #[test]
    fn each_key_of_the_set_is_found_by_its_kid_alone() {
        for &algorithm in SigningAlgorithm::ALL {
            let jws = signer(algorithm).sign(TYP_JWT, &json!({ "sub": "alice" })).unwrap();
            assert_eq!(all_keys().verify::<Value>(&jws, TYP_JWT), Ok(json!({ "sub": "alice" })));
            let others = SigningAlgorithm::ALL.iter().filter(|a| **a != algorithm);
            let others = PublicKeys::new(others.map(|a| signer(*a).public_key().unwrap()).collect());
            assert_eq!(others.verify::<Value>(&jws, TYP_JWT), Err(JwsRefused::UnknownKey));
        }
    }

    #[test]
    fn a_key_named_wrongly_refuses_the_signature_of_another() {
        let first = signer(SigningAlgorithm::Es256);
        let pkcs8 = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let second = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &pkcs8).unwrap();
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{}"}}"#, first.kid());
        assert_eq!(refusal(&signed(&second, &header)), JwsRefused::BadSignature);
    }

    #[test]
    fn alg_none_is_refused_with_and_without_a_signature() {
        let key = signer(SigningAlgorithm::Rs256);
        for none in ["none", "None", "NONE", ""] {
            let header = format!(r#"{{"alg":"{none}","kid":"{}"}}"#, key.kid());
            let jws = signed(&key, &header);
            assert_eq!(refusal(&jws), JwsRefused::WrongAlgorithm);
            let (message, _) = jws.rsplit_once('.').unwrap();
            assert_eq!(refusal(&format!("{message}.")), JwsRefused::WrongAlgorithm);
        }
    }

    #[test]
    fn hmac_keyed_with_a_public_key_is_refused() {
        let key = signer(SigningAlgorithm::Rs256);
        let jwk = serde_json::to_vec(&key.public_jwk()).unwrap();
        let KeyParameters::Rsa { n, .. } = key.public_jwk().parameters else { panic!("not an RSA key") };
        for secret in [jwk, n.clone().into_bytes(), decode(&n).unwrap()] {
            let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{}"}}"#, key.kid());
            let message = format!("{}.{}", encode(header.as_bytes()), encode(br#"{"sub":"alice"}"#));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            assert_eq!(refusal(&format!("{message}.{}", encode(tag.as_ref()))), JwsRefused::WrongAlgorithm);
        }
    }

    #[test]
    fn the_header_cannot_choose_another_algorithm_than_that_of_its_key() {
        let (rsa, ec) = (signer(SigningAlgorithm::Rs256), signer(SigningAlgorithm::Es256));
        for alg in ["ES256", "PS256", "RS512", "rs256", "EdDSA"] {
            let header = format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, rsa.kid());
            assert_eq!(refusal(&signed(&rsa, &header)), JwsRefused::WrongAlgorithm);
            assert_eq!(refusal(&signed(&ec, &header)), JwsRefused::WrongAlgorithm);
        }
    }

    #[test]
    fn header_parameters_that_we_do_not_write_are_refused_even_when_signed() {
        let key = signer(SigningAlgorithm::EdDsa);
        let more = [
            r#""crit":["exp"],"exp":1"#,
            r#""crit":[]"#,
            r#""crit":null"#,
            r#""b64":true"#,
            r#""jku":"https://attacker.example/jwks""#,
            r#""jwk":{}"#,
            r#""zip":"DEF""#,
            r#""alg":"EdDSA""#,
        ];
        for more in more {
            let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}",{more}}}"#, key.kid());
            assert_eq!(refusal(&signed(&key, &header)), JwsRefused::Malformed, "{more}");
        }
    }

    #[test]
    fn typ_must_be_the_one_asked_for_and_absent_counts_as_jwt() {
        let key = signer(SigningAlgorithm::EdDsa);
        let absent = signed(&key, &format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, key.kid()));
        assert!(all_keys().verify::<Value>(&absent, TYP_JWT).is_ok());
        assert_eq!(all_keys().verify::<Value>(&absent, "at+jwt"), Err(JwsRefused::WrongType));
        let access = key.sign("at+jwt", &json!({})).unwrap();
        assert_eq!(refusal(&access), JwsRefused::WrongType);
        assert!(all_keys().verify::<Value>(&access, "at+jwt").is_ok());
    }

    #[test]
    fn no_character_can_be_changed_added_or_left_out() {
        let jws = signer(SigningAlgorithm::Es256).sign(TYP_JWT, &json!({ "sub": "alice" })).unwrap();
        let keys = all_keys();
        let refused = |text: &[u8]| keys.verify::<Value>(str::from_utf8(text).unwrap(), TYP_JWT).is_err();
        for position in 0..jws.len() {
            for other in [b'A', b'B', b'.', b'=', b'+', b' '] {
                let mut changed = jws.clone().into_bytes();
                if changed[position] != other {
                    changed[position] = other;
                    assert!(refused(&changed), "{other} at {position}");
                }
            }
            let mut shorter = jws.clone().into_bytes();
            shorter.remove(position);
            assert!(refused(&shorter), "without {position}");
        }
        for end in ["=", "==", "A", ".", "\n", ".A"] {
            assert!(refused(format!("{jws}{end}").as_bytes()));
        }
    }

    #[test]
    fn bits_left_over_at_the_end_of_a_part_are_refused() {
        // 64 bytes of signature leave four bits over, which a careless reader ignores.
        let jws = signer(SigningAlgorithm::Es256).sign(TYP_JWT, &json!({ "sub": "alice" })).unwrap();
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (start, last) = jws.split_at(jws.len() - 1);
        let index = alphabet.iter().position(|c| *c == last.as_bytes()[0]).unwrap();
        assert_eq!(index % 16, 0);
        for left_over in 1..16 {
            let jws = format!("{start}{}", char::from(alphabet[index + left_over]));
            assert_eq!(refusal(&jws), JwsRefused::Malformed);
        }
    }

    #[test]
    fn a_text_beyond_8_kib_is_refused_and_one_just_below_is_read() {
        let key = signer(SigningAlgorithm::EdDsa);
        let of = |length: usize| key.sign(TYP_JWT, &json!({ "nonce": "n".repeat(length) })).unwrap();
        let below = (0..).map(|less| of(6_000 - less)).find(|jws| jws.len() <= MAX_JWS_LENGTH).unwrap();
        assert!(below.len() > MAX_JWS_LENGTH - 3);
        assert!(all_keys().verify::<Value>(&below, TYP_JWT).is_ok());
        assert_eq!(refusal(&of(6_003)), JwsRefused::TooLong);
    }

    #[test]
    fn encrypted_tokens_and_other_shapes_are_malformed() {
        for text in ["", ".", "..", "a.b", "a.b.c.d.e", "e30.e30.", "bnVsbA.e30.AAAA", "{}.{}.{}"] {
            assert_eq!(refusal(text), JwsRefused::Malformed, "{text}");
        }
    }

    #[test]
    fn a_stored_public_key_that_does_not_fit_its_name_or_algorithm_is_refused() {
        let rsa = signer(SigningAlgorithm::Rs256).public_jwk();
        let ec = signer(SigningAlgorithm::Es256).public_jwk();
        assert!(PublicKey::from_jwk(rsa.clone()).is_ok());
        assert!(PublicKey::from_jwk(Jwk { kid: ec.kid.clone(), ..rsa.clone() }).is_err());
        assert!(PublicKey::from_jwk(Jwk::new(SigningAlgorithm::Es256, rsa.parameters)).is_err());
        let KeyParameters::Ec { crv, x, y } = ec.parameters else { panic!("not an elliptic key") };
        let off_curve = KeyParameters::Ec { crv, x: x.clone(), y: x.clone() };
        assert!(PublicKey::from_jwk(Jwk::new(SigningAlgorithm::Es256, off_curve)).is_err());
        // The same 64 bytes, cut in another place: the same key under another name.
        let (left, right) = (decode(&x).unwrap(), decode(&y).unwrap());
        let (x, y) = (encode(&left[..31]), encode(&[&left[31..], &right].concat()));
        let moved = KeyParameters::Ec { crv, x, y };
        assert!(PublicKey::from_jwk(Jwk::new(SigningAlgorithm::Es256, moved)).is_err());
    }

    #[test]
    fn the_set_is_written_as_a_jwk_set() {
        let key = signer(SigningAlgorithm::EdDsa);
        let set = PublicKeys::new(vec![key.public_key().unwrap()]);
        assert_eq!(serde_json::to_value(&set).unwrap(), json!({ "keys": [key.public_jwk()] }));
    }
}
