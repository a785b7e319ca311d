//! What is known to have broken other verifiers, tried on ours (RFC 8725 §2, §3), and whatever chance comes up with.
//!
//! The attacker here can often sign with our key, or with one of his: what must fail then fails for the one reason tested.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::jwe::{ClientKeys, ContentEncryption, KeyManagement, encrypt};
use super::{
    Jwk, JwsRefused, KeyParameters, PublicKey, PublicKeys, SigningAlgorithm, SigningKey, TYP_JWT, decode, encode,
    vectors,
};

fn signer(algorithm: SigningAlgorithm) -> SigningKey {
    SigningKey::from_pkcs8(algorithm, &vectors::pkcs8(algorithm)).unwrap()
}

static KEYS: LazyLock<PublicKeys> =
    LazyLock::new(|| PublicKeys::new(SigningAlgorithm::ALL.iter().map(|a| signer(*a).public_key().unwrap()).collect()));

fn keys() -> &'static PublicKeys {
    &KEYS
}

fn refusal(jws: &str) -> JwsRefused {
    keys().verify::<Value>(jws, TYP_JWT).unwrap_err()
}

/// A JWS with exactly this header, truly signed.
fn signed(key: &SigningKey, header: &str) -> String {
    key.compact(header.as_bytes(), br#"{"sub":"alice"}"#).unwrap()
}

/// A good token of ours, as its signing input and the bytes of its signature.
fn good(algorithm: SigningAlgorithm) -> (String, Vec<u8>) {
    let jws = signer(algorithm).sign(TYP_JWT, &json!({ "sub": "alice" })).unwrap();
    let (message, signature) = jws.rsplit_once('.').unwrap();
    (message.to_owned(), decode(signature).unwrap())
}

fn refused_with(message: &str, signature: &[u8]) -> JwsRefused {
    refusal(&format!("{message}.{}", encode(signature)))
}

#[test]
fn no_spelling_of_none_is_an_algorithm() {
    let key = signer(SigningAlgorithm::EdDsa);
    let mut spellings: Vec<String> = (0..16_u8)
        .map(|upper| {
            let letter = |(n, c): (usize, char)| if upper >> n & 1 == 1 { c.to_ascii_uppercase() } else { c };
            "none".chars().enumerate().map(letter).collect()
        })
        .collect();
    spellings.extend([" none", "none ", "none\\u0000", "\\u006eone", "null", "EdDSA ", "eddsa"].map(String::from));
    for spelling in spellings {
        let jws = signed(&key, &format!(r#"{{"alg":"{spelling}","typ":"JWT","kid":"{}"}}"#, key.kid()));
        let (message, _) = jws.rsplit_once('.').unwrap();
        for text in [&jws, &format!("{message}.")] {
            assert_eq!(refusal(text), JwsRefused::WrongAlgorithm, "{spelling}");
        }
        assert_eq!(refusal(message), JwsRefused::Malformed);
    }
    for alg in ["null", "1", "[]", "{}", r#"["EdDSA"]"#, "true"] {
        let header = format!(r#"{{"alg":{alg},"typ":"JWT","kid":"{}"}}"#, key.kid());
        assert_eq!(refusal(&signed(&key, &header)), JwsRefused::Malformed, "{alg}");
    }
    assert_eq!(refusal(&signed(&key, &format!(r#"{{"typ":"JWT","kid":"{}"}}"#, key.kid()))), JwsRefused::Malformed);
}

#[test]
fn no_form_of_a_public_key_is_a_secret_for_hmac() {
    for &algorithm in SigningAlgorithm::ALL {
        let key = signer(algorithm);
        let jwk = key.public_jwk();
        let numbers = match jwk.parameters.clone() {
            KeyParameters::Rsa { n, .. } => vec![n],
            KeyParameters::Ec { x, y, .. } => vec![x, y],
            KeyParameters::Okp { x, .. } => vec![x],
        };
        let raw = numbers.iter().map(|text| decode(text).unwrap());
        let mut secrets = vec![serde_json::to_vec(&jwk).unwrap(), [vec![4], raw.clone().flatten().collect()].concat()];
        secrets.extend(raw.chain(numbers.iter().map(|text| text.clone().into_bytes())));
        secrets.push(Vec::new());
        for secret in secrets {
            let hashes = [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
            for (name, hash) in hashes {
                for (alg, expected) in
                    [(name, JwsRefused::WrongAlgorithm), (algorithm.wire_name(), JwsRefused::BadSignature)]
                {
                    let header = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"{}"}}"#, key.kid());
                    let message = format!("{}.{}", encode(header.as_bytes()), encode(br#"{"sub":"alice"}"#));
                    let tag = hmac::sign(&hmac::Key::new(hash, &secret), message.as_bytes());
                    assert_eq!(refused_with(&message, tag.as_ref()), expected);
                }
            }
        }
    }
}

#[test]
fn a_key_that_the_token_brings_or_points_to_is_never_taken() {
    let pkcs8 = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    let attacker = SigningKey::from_pkcs8(SigningAlgorithm::EdDsa, &pkcs8).unwrap();
    let jwk = serde_json::to_string(&attacker.public_jwk()).unwrap();
    let brought = [
        format!(r#""jwk":{jwk}"#),
        r#""jku":"https://attacker.example/jwks""#.into(),
        r#""x5u":"https://attacker.example/chain.pem""#.into(),
        r#""x5c":["MIIB"]"#.into(),
        r#""x5t":"AAAA""#.into(),
        r##""x5t#S256":"AAAA""##.into(),
    ];
    let ours = signer(SigningAlgorithm::EdDsa);
    for member in brought {
        for kid in [ours.kid(), attacker.kid()] {
            let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}",{member}}}"#);
            assert_eq!(refusal(&signed(&attacker, &header)), JwsRefused::Malformed, "{member}");
            assert_eq!(refusal(&signed(&ours, &header)), JwsRefused::Malformed, "{member}");
        }
    }
    let plain = |kid: &str| signed(&attacker, &format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#));
    assert_eq!(refusal(&plain(attacker.kid())), JwsRefused::UnknownKey);
    assert_eq!(refusal(&plain(ours.kid())), JwsRefused::BadSignature);
}

#[test]
fn nothing_that_changes_what_is_signed_or_read_is_understood() {
    let key = signer(SigningAlgorithm::EdDsa);
    let members = [
        r#""b64":false,"crit":["b64"]"#,
        r#""crit":["alg"]"#,
        r#""crit":["http://example.invalid/UNDEFINED"],"http://example.invalid/UNDEFINED":true"#,
        r#""zip":"DEF""#,
        r#""enc":"A128GCM""#,
        r#""epk":{}"#,
        r#""cty":"JWT""#,
        r#""typ":"JWT""#,
        r#""kid":"x""#,
        r#""\u0061lg":"EdDSA""#,
        r#""\u0061lg":"none""#,
        r#""Alg":"none""#,
        r#""KID":"x""#,
        r#""":"""#,
        r#""iss":"https://id.example""#,
    ];
    for member in members {
        let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}",{member}}}"#, key.kid());
        assert_eq!(refusal(&signed(&key, &header)), JwsRefused::Malformed, "{member}");
    }
}

#[test]
fn a_header_is_one_json_object_and_nothing_around_it() {
    let key = signer(SigningAlgorithm::EdDsa);
    let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}"}}"#, key.kid());
    assert!(keys().verify::<Value>(&signed(&key, &header), TYP_JWT).is_ok());
    let others = [
        format!("{header}{header}"),
        format!("{header}x"),
        format!("\u{feff}{header}"),
        format!("\0{header}"),
        format!(r#"["EdDSA","{}","JWT"]"#, key.kid()),
        format!("[{header}]"),
        format!("{}", json!(header)),
        header.replace('"', "'"),
        header.replace('}', ",}"),
        String::new(),
    ];
    for other in others {
        assert_eq!(refusal(&signed(&key, &other)), JwsRefused::Malformed, "{other}");
    }
    let no_object = key.compact(header.as_bytes(), br#"["alice"]"#).unwrap();
    assert_eq!(refusal(&no_object), JwsRefused::BadClaims);
}

#[test]
fn a_kid_names_one_of_our_keys_to_the_letter_or_nothing() {
    let key = signer(SigningAlgorithm::EdDsa);
    let kid = key.kid();
    let names = [
        String::new(),
        "../../../../../../dev/null".into(),
        "/dev/null".into(),
        "' OR '1'='1".into(),
        "x' UNION SELECT 'AAAA'--".into(),
        "$(sleep 9)".into(),
        "0".into(),
        "*".into(),
        kid.to_lowercase(),
        kid[1..].to_owned(),
        kid[..kid.len() - 1].to_owned(),
        format!("{kid} "),
        format!("{kid}="),
        format!("{kid}\\u0000"),
        "k".repeat(4_000),
    ];
    for name in names {
        let jws = signed(&key, &format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{name}"}}"#));
        assert_eq!(refusal(&jws), JwsRefused::UnknownKey, "{name}");
    }
    for kid in ["1", "[]", "{}", "true"] {
        let jws = signed(&key, &format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":{kid}}}"#));
        assert_eq!(refusal(&jws), JwsRefused::Malformed, "{kid}");
    }
    for without in [r#"{"alg":"EdDSA","typ":"JWT","kid":null}"#, r#"{"alg":"EdDSA","typ":"JWT"}"#] {
        assert_eq!(refusal(&signed(&key, without)), JwsRefused::UnknownKey);
    }
    for &other in SigningAlgorithm::ALL.iter().filter(|other| **other != SigningAlgorithm::EdDsa) {
        let jws = signed(&key, &format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}"}}"#, signer(other).kid()));
        assert_eq!(refusal(&jws), JwsRefused::WrongAlgorithm);
    }
}

#[test]
fn a_type_is_the_one_that_we_write() {
    let key = signer(SigningAlgorithm::EdDsa);
    let typed = |typ: &str| signed(&key, &format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, key.kid()));
    for typ in ["application/at+jwt", "AT+JWT", "at+jwt ", "jwt", "JWT", "logout+jwt", ""] {
        assert_eq!(keys().verify::<Value>(&typed(typ), "at+jwt"), Err(JwsRefused::WrongType), "{typ}");
    }
    for typ in ["at+jwt", "application/jwt", "jwt", "JOSE", "JWE"] {
        assert_eq!(refusal(&typed(typ)), JwsRefused::WrongType, "{typ}");
    }
    assert!(keys().verify::<Value>(&typed("at+jwt"), "at+jwt").is_ok());
}

#[test]
fn what_is_encrypted_is_no_signed_token_though_one_is_inside() {
    let jwk = |owner: &KeyParameters| json!({ "keys": [owner] }).to_string();
    let rsa = KeyParameters::Rsa { n: vectors::RFC7520_N.into(), e: "AQAB".into() };
    let ec = signer(SigningAlgorithm::Es256).public_jwk().parameters;
    let (message, signature) = good(SigningAlgorithm::EdDsa);
    let inside = format!("{message}.{}", encode(&signature));
    for (owner, alg) in [(rsa, KeyManagement::RsaOaep256), (ec, KeyManagement::EcdhEs)] {
        let declared = ClientKeys::parse(&jwk(&owner)).unwrap();
        let reader = declared.find(alg).unwrap();
        let jwe = encrypt(reader, alg, ContentEncryption::A256Gcm, Some("JWT"), inside.as_bytes()).unwrap();
        assert_eq!(refusal(&jwe), JwsRefused::Malformed);
    }
    let flattened =
        json!({ "protected": message.split('.').next(), "payload": "e30", "signature": encode(&signature) });
    assert_eq!(refusal(&flattened.to_string()), JwsRefused::Malformed);
}

#[test]
fn a_signature_has_one_length_for_each_key() {
    for &algorithm in SigningAlgorithm::ALL {
        let (message, signature) = good(algorithm);
        let length = signature.len();
        let others = [
            Vec::new(),
            vec![0],
            signature[..length - 1].to_vec(),
            signature[1..].to_vec(),
            signature[..length / 2].to_vec(),
            [signature.as_slice(), &[0]].concat(),
            [&[0], signature.as_slice()].concat(),
            [signature.as_slice(), &signature].concat(),
            vec![0; length],
            vec![0xff; length],
            vec![1; 128],
            vec![1; 512],
        ];
        for other in others {
            assert_eq!(refused_with(&message, &other), JwsRefused::BadSignature, "{algorithm:?}, {}", other.len());
        }
    }
}

/// The orders of the groups: P-256 and P-384 (FIPS 186-4 D.1.2.3, D.1.2.4).
const ORDERS: [(SigningAlgorithm, &str); 2] = [
    (SigningAlgorithm::Es256, "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE"),
    (SigningAlgorithm::Es384, "________________________________x2NNgfQ3Ld9YGg2ySLCneuzsGWrMxSlz"),
];

#[test]
fn an_ecdsa_signature_is_two_numbers_of_full_length_between_zero_and_the_order() {
    for (algorithm, order) in ORDERS {
        let (message, signature) = good(algorithm);
        let order = decode(order).unwrap();
        let (r, s) = signature.split_at(order.len());
        let zero = vec![0; order.len()];
        let one = [&zero[1..], &[1]].concat();
        for (r, s) in [
            (&*zero, &*zero),
            (r, &zero),
            (&zero, s),
            (&order, &order),
            (r, &order),
            (&order, s),
            (&one, &one),
            (&one, &order),
            (s, r),
        ] {
            assert_eq!(refused_with(&message, &[r, s].concat()), JwsRefused::BadSignature);
        }
    }
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &vectors::rfc7515_a3_pkcs8()).unwrap();
    let (message, _) = good(SigningAlgorithm::Es256);
    let der = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), message.as_bytes()).unwrap();
    assert_eq!(der.as_ref()[0], 0x30);
    assert_eq!(refused_with(&message, der.as_ref()), JwsRefused::BadSignature);
}

#[test]
fn an_eddsa_signature_has_one_spelling() {
    // The order of the group, L = 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032 §5.1).
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (message, signature) = good(SigningAlgorithm::EdDsa);
    let (r, s) = signature.split_at(32);
    let mut s = s.to_vec();
    for _ in 0..8 {
        let mut carry = 0_u16;
        for (digit, more) in s.iter_mut().zip(order) {
            carry += u16::from(*digit) + u16::from(more);
            *digit = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert_eq!(refused_with(&message, &[r, &s].concat()), JwsRefused::BadSignature);
    }
    // R and S of zero, with R the neutral point: good for every message under a key of small order, and under no other.
    let neutral = [&[1][..], &[0; 31]].concat();
    assert_eq!(refused_with(&message, &[neutral, vec![0; 32]].concat()), JwsRefused::BadSignature);
}

#[test]
fn numbers_that_are_their_own_roots_are_no_rsa_signatures() {
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256] {
        let (message, signature) = good(algorithm);
        let KeyParameters::Rsa { n, .. } = signer(algorithm).public_jwk().parameters else { panic!("not an RSA key") };
        let modulus = decode(&n).unwrap();
        let one = [vec![0; 255], vec![1]].concat();
        let minus_one = [&modulus[..255], &[modulus[255] - 1]].concat();
        for other in [one, minus_one, modulus] {
            assert_eq!(refused_with(&message, &other), JwsRefused::BadSignature);
        }
        assert_eq!(signature.len(), 256);
    }
}

proptest! {
    #[test]
    fn any_text_is_refused(text in "[A-Za-z0-9_.-]{0,200}|.{0,200}") {
        prop_assert!(keys().verify::<Value>(&text, TYP_JWT).is_err());
    }

    #[test]
    fn any_parts_are_refused(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let jws = [header, payload, signature].map(|part| encode(&part)).join(".");
        prop_assert!(keys().verify::<Value>(&jws, TYP_JWT).is_err());
    }

    #[test]
    fn no_change_of_a_good_token_is_a_good_token(
        which in any::<prop::sample::Index>(),
        (from, to) in any::<(prop::sample::Index, prop::sample::Index)>(),
        put in "[A-Za-z0-9_.=-]{0,4}|.{0,3}",
    ) {
        let algorithm = *which.get(SigningAlgorithm::ALL);
        let (message, signature) = good(algorithm);
        let jws = format!("{message}.{}", encode(&signature));
        let (from, to) = (from.index(jws.len() + 1), to.index(jws.len() + 1));
        let changed = format!("{}{put}{}", &jws[..from.min(to)], &jws[from.max(to)..]);
        if changed != jws {
            prop_assert!(keys().verify::<Value>(&changed, TYP_JWT).is_err(), "{}", changed);
        }
    }

    #[test]
    fn any_jwk_is_read_or_refused_and_one_that_is_read_is_named_by_its_thumbprint(
        which in any::<prop::sample::Index>(),
        member in "kty|use|alg|kid|crv|n|e|x|y",
        value in "[A-Za-z0-9_=-]{0,50}",
    ) {
        let mut jwk = serde_json::to_value(signer(*which.get(SigningAlgorithm::ALL)).public_jwk()).unwrap();
        jwk[&member] = json!(value);
        if let Ok(jwk) = serde_json::from_value::<Jwk>(jwk)
            && let Ok(key) = PublicKey::from_jwk(jwk.clone())
        {
            prop_assert_eq!(key.kid(), jwk.parameters.thumbprint());
        }
        let _ = serde_json::from_str::<Jwk>(&value);
    }
}
