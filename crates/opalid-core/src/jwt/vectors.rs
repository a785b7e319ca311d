//! The examples of RFC 6979, RFC 7515, RFC 7520, RFC 7638 and RFC 8037, for the tests of this module.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};

use super::{SigningAlgorithm, decode};

/// The payload of RFC 7515 A.1 to A.3, with its line breaks.
pub(super) const RFC7515_PAYLOAD: &[u8] =
    b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

/// The JWS of RFC 7515 A.2.
pub(super) const RFC7515_A2_JWS: &str = concat!(
    "eyJhbGciOiJSUzI1NiJ9",
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGb",
    "ds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0Ga",
    "rZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY",
    "9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
);

/// The modulus of RFC 7515 A.2.
pub(super) const RFC7515_A2_N: &str = concat!(
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-",
    "yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e",
    "-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco",
    "9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
);

/// The JWS of RFC 7515 A.3.
pub(super) const RFC7515_A3_JWS: &str = concat!(
    "eyJhbGciOiJFUzI1NiJ9",
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);

/// The point of RFC 7515 A.3.
pub(super) const RFC7515_A3_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
/// The point of RFC 7515 A.3.
pub(super) const RFC7515_A3_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

/// The JWS of RFC 8037 A.4.
pub(super) const RFC8037_JWS: &str = concat!(
    "eyJhbGciOiJFZERTQSJ9",
    ".RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
);

/// The public key of RFC 8037 A.2.
pub(super) const RFC8037_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// The modulus of RFC 7638 §3.1.
pub(super) const RFC7638_N: &str = concat!(
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX",
    "jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaS",
    "qzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksIN",
    "HaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
);

/// The JWS of RFC 7520 §4.1.
pub(super) const RFC7520_41_JWS: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
    ".SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0a",
    "GUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1",
    "pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
    ".MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PN",
    "Di84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4",
    "QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDn",
    "d6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
);

/// The modulus of RFC 7520 §3.3.
pub(super) const RFC7520_N: &str = concat!(
    "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJM",
    "RBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1",
    "FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSn",
    "bLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
);

/// The payload of RFC 7520 §4 under PS256 with the key of its §3.4, signed by PyCA cryptography 48. No RFC has an example.
pub(super) const PS256_JWS: &str = concat!(
    "eyJhbGciOiJQUzI1NiJ9",
    ".SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0a",
    "GUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1",
    "pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
    ".Tbh98R0ctXbZYQrppahj-qbqiRFMqiRD7xVLLUuXQ2lY1HkcSZX6d7OTp01zWr77M9flEQvhcd-HQxC_mF1WwXopuCYyarOvj",
    "xCz59NVIyXx1tBRGWvHzqIJ7yWOszcqG4xvS0QvDQuHV4iaSJKQx_PJA0BM-iFXVyIuyCVxvBxNRLGzFJo0iH16F6rRkUooLXI",
    "uamATAD7VJ-7iMfJ4vgxLHOw4gV8rF59diPalPIzDaatvsWH4y0ynQe0LzDNzNWP74ASaEqF90RPiAHCsqeqLlu7dg23_EoKNq",
    "oijPeP97GQw7I5PpXvZTm1qO4eFHbf6OvItyG0bXaqR2kvK9Q",
);

/// The same with a salt of 20 bytes, which RFC 7518 §3.5 does not allow.
pub(super) const PS256_SHORT_SALT_JWS: &str = concat!(
    "eyJhbGciOiJQUzI1NiJ9",
    ".SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0a",
    "GUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1",
    "pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
    ".mEpJHbJs1fVsy5Ey1OTwKnNjOQSUnmk1st27GAjUAaGSDDE23PvJQFlir8uXK4I5MtMkzl8388KcHsVDBkYSa5BRImyEaexoz",
    "V39dTTUcaW_t0R0XdmkB7H-73KMlYwdJdI-WMGTzAhEMtshoi4ybpKSR4E4vCqiZffZW5d-KueJn3yAM1XkuFinu3xx-heKyP-",
    "BrqK1h13yc0gBn_mc9Zw-sTPwGNF9gKHOT1Dp7moGP_A3Go-hRxcioO-yjpEZtgvwU7XnYOzOEyS4HUWvwmToGYHg9aYnkNOUA",
    "ODPblzosYQ1_R3ySIL6Pt2KcUdQz31R3uUvPFoE4AqOPRv4IA",
);

/// The same with a mask made by SHA-1, which RFC 7518 §3.5 does not allow.
pub(super) const PS256_MGF1_SHA1_JWS: &str = concat!(
    "eyJhbGciOiJQUzI1NiJ9",
    ".SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0a",
    "GUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1",
    "pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
    ".Dk_0RB9mgL4xyojjyAqJP6YiSq4WUgM2C1TEDZzwqWhWsEHAWpUtYgoy5mgk24uzpYjP8rpXa045Go6Tn8H8sca_Qgjbp7ZBs",
    "EO4N4OU3XC15ydZrtePLoKts4Pn6mABbVGH5Y7i3gwJ1v6wer0i7l-8Uubz8PkGcPVMN_ixoVVGIWALNkMUkW8RZ43a08wKC0d",
    "3bO7Pi-aXlpDWHynAL4Y2e2gspx-lY8wdWmw_GP3wae2AF-j6iXmBKtqh2HcbZo6Ft0k0ggjqCEmlpY_JDbXMOhZKpJj_9j0Rz",
    "o7wbALBjeuzMiZBwPf9XPGzdyhryJqMplQ510y7Zp26bg9a-Q",
);

/// The point of RFC 6979 A.2.6.
pub(super) const RFC6979_P384_X: &str = "7DpOQVtOGaRWhhgCn0J_pdqai8SukuAuBqrlKGswDGTe-PDqkFWGYGSiVFFUgLwT";

/// The point of RFC 6979 A.2.6.
pub(super) const RFC6979_P384_Y: &str = "gBXZty19VyROqO-awMYhiWcIpZNn-d-59UyoSz8cnbEoiyMcOuDU_nNE_SUzJkcg";

/// The signature of RFC 6979 A.2.6 on `sample` with SHA-384: r, s.
pub(super) const RFC6979_P384_SIGNATURE: &str = concat!(
    "lO27kqXsuKrUc25WxpGRaz-IFAZmzp-nPWTE6pWtEzyBpkgVLkSs-W423R6A-r5Gme9K6xXxeM6h_kDbJgMTjxMOdAoZYkUmID",
    "tjUdCjqU-jKcFFeG5nnnuCxxo4YorI",
);

/// A private key for each algorithm, no two the same.
pub(super) fn pkcs8(algorithm: SigningAlgorithm) -> Vec<u8> {
    match algorithm {
        SigningAlgorithm::Rs256 => rfc7515_a2_pkcs8(),
        SigningAlgorithm::Ps256 => rfc7520_pkcs8(),
        SigningAlgorithm::Es256 => rfc7515_a3_pkcs8(),
        SigningAlgorithm::Es384 => rfc6979_p384_pkcs8(),
        SigningAlgorithm::EdDsa => rfc8037_pkcs8(),
    }
}

fn bytes(text: &str) -> Vec<u8> {
    decode(text).unwrap()
}

/// The private key of RFC 7515 A.2.
pub(super) fn rfc7515_a2_pkcs8() -> Vec<u8> {
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: bytes(RFC7515_A2_N), e: bytes("AQAB") },
        d: bytes(concat!(
            "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46",
            "sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanr",
            "C4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOne",
            "ufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
        )),
        p: bytes(concat!(
            "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNP",
            "Y8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
        )),
        q: bytes(concat!(
            "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD6",
            "6t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
        )),
        dP: bytes(concat!(
            "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeD",
            "Cjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
        )),
        dQ: bytes(concat!(
            "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJ",
            "nwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
        )),
        qInv: bytes(concat!(
            "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w",
            "93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
        )),
    };
    let der: Pkcs8V1Der = RsaKeyPair::from_components(&components).unwrap().as_der().unwrap();
    der.as_ref().to_vec()
}

/// The private key of RFC 7520 §3.4.
pub(super) fn rfc7520_pkcs8() -> Vec<u8> {
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: bytes(RFC7520_N), e: bytes("AQAB") },
        d: bytes(concat!(
            "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTG",
            "gdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04no",
            "qeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJd",
            "rPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ",
        )),
        p: bytes(concat!(
            "3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2f",
            "vuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k",
        )),
        q: bytes(concat!(
            "uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHTeZ",
            "u2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc",
        )),
        dP: bytes(concat!(
            "B8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt26g",
            "ljYfKU_E9xn-RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik",
        )),
        dQ: bytes(concat!(
            "CLDmDGduhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6og5iT",
            "bwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8",
        )),
        qInv: bytes(concat!(
            "3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7ZMaQj8VfBdY",
            "kssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4",
        )),
    };
    let der: Pkcs8V1Der = RsaKeyPair::from_components(&components).unwrap().as_der().unwrap();
    der.as_ref().to_vec()
}

/// The private key of RFC 7515 A.3.
pub(super) fn rfc7515_a3_pkcs8() -> Vec<u8> {
    let private = bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    let public = [vec![4], bytes(RFC7515_A3_X), bytes(RFC7515_A3_Y)].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &private, &public);
    pair.unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
}

/// The private key of RFC 6979 A.2.6.
pub(super) fn rfc6979_p384_pkcs8() -> Vec<u8> {
    let private = bytes("a509rS4bjBwFsZh1tmWfTeI8O2Z78pe6mqR3QHhxN9iW1XJOTHCoJfhyyepg0u31");
    let public = [vec![4], bytes(RFC6979_P384_X), bytes(RFC6979_P384_Y)].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P384_SHA384_FIXED_SIGNING, &private, &public);
    pair.unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
}

/// The private key of RFC 8037 A.1.
pub(super) fn rfc8037_pkcs8() -> Vec<u8> {
    let seed = bytes("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &bytes(RFC8037_X));
    pair.unwrap().to_pkcs8().unwrap().as_ref().to_vec()
}
