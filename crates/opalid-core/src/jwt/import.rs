//! A signing key from outside: checked before anything is signed with it.
//!
//! Takes: PKCS#8 as PEM (RFC 7468 §10), unencrypted; the algorithm, where the key does not tell it.
//! Gives: the algorithm, and the PKCS#8 document.
//! Holds: it is a key of that algorithm, an RSA key has 2048 bits at least and is as FIPS 186-5 wants it (`rsa`), and
//! what it signs verifies.

mod rsa;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{KeyParameters, PublicKeys, SigningAlgorithm, SigningKey, TYP_JWT, decode};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// The shortest modulus that signs, in bytes (RFC 7518 §3.3).
const RSA_BYTES_MIN: usize = 256;

/// Why a key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefused {
    /// Not PEM with one unencrypted PKCS#8 key.
    #[error(
        "expected one unencrypted private key in PKCS#8 as PEM ({BEGIN}); openssl pkcs8 -topk8 -nocrypt -in FILE makes \
         one of other forms"
    )]
    NotPkcs8,
    /// Of no kind that signs here, or too weak.
    #[error("not a key that can sign here: expected RSA with 2048 to 8192 bits, P-256 or P-384, or Ed25519")]
    NoKey,
    /// An RSA key with another exponent than the one that all have.
    #[error("the public exponent of this key is not 65537; make another key")]
    Exponent,
    /// An RSA key with a prime that may be small enough to be found.
    #[error(
        "the primes of this key are not both half as long as its modulus (FIPS 186-5 A.1.3), and a short one can be found; \
         make another key"
    )]
    UnevenPrimes,
    /// An RSA key of which a prime is none.
    #[error("what should be the primes of this key are not both prime, so that others can be found; make another key")]
    NotPrime,
    /// An RSA key whose primes can be found.
    #[error(
        "the primes of this key are so close that whoever has its public half can find them (FIPS 186-5 A.1.3); make \
         another key"
    )]
    ClosePrimes,
    /// Of several algorithms; which one is meant?
    #[error("this key can sign with {0}; say which one: --alg")]
    Which(String),
    /// Of other algorithms than the one that is meant.
    #[error("this key is for {0}, not for {1}")]
    NotFor(String, &'static str),
    /// It does not do what a key should.
    #[error("what this key signs does not verify; it is damaged")]
    Damaged,
}

/// Reads and checks a key.
pub fn import(
    pem: &str,
    asked: Option<SigningAlgorithm>,
) -> Result<(SigningAlgorithm, Zeroizing<Vec<u8>>), ImportRefused> {
    let pkcs8 = decode_pem(pem).filter(|pkcs8| rsa::whole(pkcs8).is_some()).ok_or(ImportRefused::NotPkcs8)?;
    let fits = |algorithm: &SigningAlgorithm| SigningKey::from_pkcs8(*algorithm, &pkcs8).is_ok();
    let able: Vec<_> = SigningAlgorithm::ALL.iter().copied().filter(fits).collect();
    let names =
        |algorithms: &[SigningAlgorithm]| algorithms.iter().map(|a| a.wire_name()).collect::<Vec<_>>().join(" or ");
    let algorithm = match (asked, able.as_slice()) {
        (_, []) => return Err(ImportRefused::NoKey),
        (Some(asked), able) if able.contains(&asked) => asked,
        (Some(asked), able) => return Err(ImportRefused::NotFor(names(able), asked.wire_name())),
        (None, [only]) => *only,
        (None, several) => return Err(ImportRefused::Which(names(several))),
    };
    let key = SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(|_| ImportRefused::Damaged)?;
    if let KeyParameters::Rsa { n, .. } = key.public_jwk().parameters {
        if decode(&n).is_none_or(|modulus| modulus.len() < RSA_BYTES_MIN) {
            return Err(ImportRefused::NoKey);
        }
        rsa::check(&pkcs8)?;
    }
    verifies(&key).then_some((algorithm, pkcs8)).ok_or(ImportRefused::Damaged)
}

fn verifies(key: &SigningKey) -> bool {
    let claims = serde_json::json!({ "sub": "a first signature" });
    let (Ok(jws), Ok(public)) = (key.sign(TYP_JWT, &claims), key.public_key()) else { return false };
    PublicKeys::new(vec![public]).verify::<serde_json::Value>(&jws, TYP_JWT).is_ok_and(|read| read == claims)
}

/// The document between the two lines. Text around them is for people, and another block is a mistake.
fn decode_pem(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, rest) = rest.split_once(END)?;
    if rest.contains("-----BEGIN") {
        return None;
    }
    let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair};

    use super::super::vectors;
    use super::*;

    fn pem(pkcs8: &[u8]) -> String {
        let body = STANDARD.encode(pkcs8);
        let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
    }

    #[test]
    fn a_key_of_every_algorithm_is_taken_and_is_the_same() {
        for &algorithm in SigningAlgorithm::ALL {
            let pkcs8 = SigningKey::generate(algorithm).unwrap();
            let (found, read) =
                import(&format!("words\r\n{}", pem(&pkcs8).replace('\n', "\r\n")), Some(algorithm)).unwrap();
            assert_eq!((found, &*read), (algorithm, &*pkcs8));
        }
        assert_eq!(import(&pem(&vectors::rfc8037_pkcs8()), None).unwrap().0, SigningAlgorithm::EdDsa);
        assert_eq!(import(&pem(&vectors::rfc7515_a3_pkcs8()), None).unwrap().0, SigningAlgorithm::Es256);
    }

    #[test]
    fn a_key_is_refused_for_an_algorithm_that_is_not_its_own() {
        let refused = import(&pem(&vectors::rfc8037_pkcs8()), Some(SigningAlgorithm::Es256)).unwrap_err();
        assert_eq!(refused, ImportRefused::NotFor("EdDSA".into(), "ES256"));
        let refused = import(&pem(&vectors::rfc7515_a3_pkcs8()), Some(SigningAlgorithm::Es384)).unwrap_err();
        assert_eq!(refused.to_string(), "this key is for ES256, not for ES384");
        let rsa = pem(&SigningKey::generate(SigningAlgorithm::Rs256).unwrap());
        let refused = import(&rsa, Some(SigningAlgorithm::Es256)).unwrap_err();
        assert_eq!(refused.to_string(), "this key is for RS256 or PS256, not for ES256");
        assert_eq!(
            import(&rsa, None).unwrap_err().to_string(),
            "this key can sign with RS256 or PS256; say which one: --alg"
        );
    }

    #[test]
    fn rsa_keys_with_another_exponent_or_with_primes_that_are_short_or_close_are_refused() {
        let read = |pem: &str| import(pem, Some(SigningAlgorithm::Rs256)).map(|(algorithm, _)| algorithm);
        let (small, close) = (include_str!("import/exponent-3.pem"), include_str!("import/primes-close.pem"));
        for exponent in [small, include_str!("import/exponent-65539.pem")] {
            assert_eq!(read(exponent), Err(ImportRefused::Exponent));
        }
        // Of 2048 bits: 24 and 2024, in either order, and 1040 and 1008.
        for primes in [
            include_str!("import/prime-small.pem"),
            include_str!("import/prime-small-first.pem"),
            include_str!("import/primes-uneven.pem"),
        ] {
            assert_eq!(read(primes), Err(ImportRefused::UnevenPrimes));
        }
        // Of small primes, so chosen that the key signs and verifies.
        assert_eq!(read(include_str!("import/prime-composite.pem")), Err(ImportRefused::NotPrime));
        // Of 2048 bits primes are 2^924 apart: these are 2^922, and these 2^925.
        assert_eq!(read(close), Err(ImportRefused::ClosePrimes));
        assert_eq!(read(include_str!("import/primes-apart.pem")), Ok(SigningAlgorithm::Rs256));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = pem(&vectors::rfc8037_pkcs8());
        for text in ["", "key", &good.replace("PRIVATE", "EC PRIVATE"), &good[..60], &format!("{good}{good}")] {
            assert_eq!(import(text, None), Err(ImportRefused::NotPkcs8), "{text}");
        }
        let other = EcdsaKeyPair::generate_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let refused = import(&pem(other.as_ref()), None).unwrap_err();
        assert!(refused.to_string().contains("RSA with 2048 to 8192 bits, P-256 or P-384, or Ed25519"), "{refused}");
        let cut = &vectors::rfc8037_pkcs8()[1..];
        assert!(matches!(import(&pem(cut), None), Err(ImportRefused::NotPkcs8)));
    }

    #[test]
    fn a_key_that_something_follows_is_refused() {
        for &algorithm in SigningAlgorithm::ALL {
            let mut pkcs8 = SigningKey::generate(algorithm).unwrap();
            pkcs8.push(0);
            assert_eq!(import(&pem(&pkcs8), Some(algorithm)), Err(ImportRefused::NotPkcs8));
        }
    }
}
