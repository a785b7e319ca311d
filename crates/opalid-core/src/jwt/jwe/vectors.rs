//! The examples of RFC 7516, RFC 7518, RFC 7520, RFC 7748 and RFC 8037, and JWEs that another library made, for the tests
//! of this module.

/// The five parts of a JWE.
pub(super) fn parts(jwe: &str) -> [&str; 5] {
    jwe.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// The IV of RFC 7518 B.1; its key is 0 to 31.
pub(super) const RFC7518_B1_IV: [u8; 16] =
    [0x1a, 0xf3, 0x8c, 0x2d, 0xc2, 0xb9, 0x6f, 0xfd, 0xd8, 0x66, 0x94, 0x09, 0x23, 0x41, 0xbc, 0x04];

/// The plain text of RFC 7518 B.1.
pub(super) const RFC7518_B1_P: &[u8] =
    b"A cipher system must not be required to be secret, and it must be able to fall \
    into the hands of the enemy without inconvenience";

/// The additional data of RFC 7518 B.1.
pub(super) const RFC7518_B1_A: &[u8] = b"The second principle of Auguste Kerckhoffs";

/// The ciphertext of RFC 7518 B.1.
pub(super) const RFC7518_B1_E: &str = concat!(
    "yA7foy3fOdXvAMC0aINCeaLkahuASfeS92v-VLkDqcmpSsm0etJlXF8Q-a73FCfi_G-bPzmaIhSJ8WNixwMjNgnUWsaYZOMyHP",
    "gpNaxAlshuEzMUxUAZ6Mp5gN-kuc8bOExIbzpUxRB4FY7l153ln7002Eiz1pVQpnZGNEQnreVLiFH_tZj3-AB0uUc8guLb",
);

/// The tag of RFC 7518 B.1.
pub(super) const RFC7518_B1_T: &str = "ZSw_o2sKfFsyGfqzowvBxA";

/// The content key of RFC 7516 A.1.
pub(super) const RFC7516_A1_CEK: &str = "saH0gFSP4XM_tAP_a5rU9ooHbltwLiJpL4LLLnrqQPw";

/// RFC 7516 A.1 without its encrypted key, whose RSA-OAEP with SHA-1 is not ours.
pub(super) const RFC7516_A1_JWE: [&str; 5] = [
    "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
    "",
    "48V1_ALb6US04U3b",
    "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
    "XFBoMYUZodetZdvTiFvSkQ",
];

/// The plain text of RFC 7516 A.1.
pub(super) const RFC7516_A1_P: &[u8] = b"The true sign of intelligence is not knowledge but imagination.";

/// x, y, d of Alice in RFC 7518 C.
pub(super) const RFC7518_C_ALICE: [&str; 3] = [
    "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
    "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
];

/// x, y, d of Bob in RFC 7518 C.
pub(super) const RFC7518_C_BOB: [&str; 3] = [
    "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
    "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
];

/// The secret of RFC 7518 C.
pub(super) const RFC7518_C_Z: &str = "nlbZHYFxNdNyg0KDv4QmnPsxbqPagGpI9tqneYz-kMQ";

/// The derived key of RFC 7518 C.
pub(super) const RFC7518_C_DERIVED: &str = "VqqN6vgjbSBcIijNcacQGg";

/// The public key of RFC 8037 A.6, which is Bob's in RFC 7748 §6.1.
pub(super) const RFC8037_A6_BOB: &str = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08";

/// Bob's private key in RFC 7748 §6.1.
pub(super) const RFC7748_BOB: &str = "XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os";

/// The ephemeral private key of RFC 8037 A.6.
pub(super) const RFC8037_A6_EPHEMERAL: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo";

/// The ephemeral public key of RFC 8037 A.6.
pub(super) const RFC8037_A6_EPK: &str = "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo";

/// The secret of RFC 8037 A.6.
pub(super) const RFC8037_A6_Z: &str = "Sl2dW6TOLeFyjjv0gDUPJeB-IclH0Z4zdvCbPB4WF0I";

/// The plain text of RFC 7520 §5.
pub(super) const RFC7520_5_P: &str = "You can trust us to stick with you through thick and thin–to the bitter end. And you \
    can trust us to keep any secret of yours–closer than you keep it yourself. But you cannot trust us to let you face \
    trouble alone, and go off without a word. We are your friends, Frodo.";

/// x, y, d of RFC 7520 §3.2.
pub(super) const RFC7520_P521: [&str; 3] = [
    "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
    "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
    "AAhRON2r9cqXX1hg-RoI6R1tX5p2rUAYdmpHZoC1XNM56KtscrX6zbKipQrCW9CGZH3T4ubpnoTKLDYJ_fF3_rJt",
];

/// x, y, d of the reader in RFC 7520 §5.4.
pub(super) const RFC7520_54_OWNER: [&str; 3] = [
    "YU4rRUzdmVqmRtWOs2OpDE_T5fsNIodcG8G5FWPrTPMyxpzsSOGaQLpe2FpxBmu2",
    "A8-yxCHxkfBz3hKZfI1jUYMjUhsEveZ9THuwFjH2sCNdtksRJU7D5-SkgaFL1ETP",
    "iTx2pk7wW-GqJkHcEkFQb2EFyYcO7RugmaW3mRrQVAOUiPommT0IdnYK2xDlZh-j",
];

/// x, y of the ephemeral key in RFC 7520 §5.4.
pub(super) const RFC7520_54_EPK: [&str; 2] = [
    "uBo4kHPw6kbjx5l0xowrd_oYzBmaz-GKFZu4xAFFkbYiWgutEK6iuEDsQ6wNdNg3",
    "sp3p5SGhZVC2faXumI-e9JU2Mo8KpoYrFDr5yPNVtW4PgEwZOyQTA-JdaY8tb7E0",
];

/// The content key of RFC 7520 §5.4.
pub(super) const RFC7520_54_CEK: &str = "Nou2ueKlP70ZXDbq9UrRwg";

/// The JWE of RFC 7520 §5.4. Its ECDH-ES+A128KW is not ours; its parts are.
pub(super) const RFC7520_54_JWE: &str = concat!(
    "eyJhbGciOiJFQ0RILUVTK0ExMjhLVyIsImtpZCI6InBlcmVncmluLnRvb2tAdHVja2Jvcm91Z2guZXhhbXBsZSIsImVwayI6ey",
    "JrdHkiOiJFQyIsImNydiI6IlAtMzg0IiwieCI6InVCbzRrSFB3Nmtiang1bDB4b3dyZF9vWXpCbWF6LUdLRlp1NHhBRkZrYllp",
    "V2d1dEVLNml1RURzUTZ3TmROZzMiLCJ5Ijoic3AzcDVTR2haVkMyZmFYdW1JLWU5SlUyTW84S3BvWXJGRHI1eVBOVnRXNFBnRX",
    "daT3lRVEEtSmRhWTh0YjdFMCJ9LCJlbmMiOiJBMTI4R0NNIn0",
    ".0DJjBXri_kBcC46IkU5_Jk9BqaQeHdv2",
    ".mH-G2zVqgztUtnW_",
    ".tkZuOO9h95OgHJmkkrfLBisku8rGf6nzVxhRM3sVOhXgz5NJ76oID7lpnAi_cPWJRCjSpAaUZ5dOR3Spy7QuEkmKx8-3RCMhS",
    "YMzsXaEwDdXta9Mn5B7cCBoJKB0IgEnj_qfo1hIi-uEkUpOZ8aLTZGHfpl05jMwbKkTe2yK3mjF6SBAsgicQDVCkcY9BLluzx1",
    "RmC3ORXaM0JaHPB93YcdSDGgpgBWMVrNU1ErkjcMqMoT_wtCex3w03XdLkjXIuEr2hWgeP-nkUZTPU9EoGSPj6fAS-bSz87RCP",
    "rxZdj_iVyC6QWcqAu07WNhjzJEPc4jVntRJ6K53NgPQ5p99l3Z408OUqj4ioYezbS6vTPlQ",
    ".WuGzxmcreYjpHGJoa17EBg",
);

/// x, y, d of the reader in RFC 7520 §5.5.
pub(super) const RFC7520_55_OWNER: [&str; 3] = [
    "Ze2loSV3wrroKUN_4zhwGhCqo3Xhu1td4QjeQ5wIVR0",
    "HlLtdXARY_f55A3fnzQbPcm6hgr34Mp8p-nuzQCE0Zw",
    "r_kHyZ-a06rmxM3yESK84r1otSg-aQcVStkRhA-iCM8",
];

/// The ephemeral private key of RFC 7520 §5.5.
pub(super) const RFC7520_55_EPHEMERAL: &str = "AtH35vJsQ9SGjYfOsjUxYXQKrPH3FjZHmEtSKoSN8cM";

/// The content key of RFC 7520 §5.5.
pub(super) const RFC7520_55_CEK: &str = "hzHdlfQIAEehb8Hrd_mFRhKsKLEzPfshfXs9l6areCc";

/// The JWE of RFC 7520 §5.5.
pub(super) const RFC7520_55_JWE: &str = concat!(
    "eyJhbGciOiJFQ0RILUVTIiwia2lkIjoibWVyaWFkb2MuYnJhbmR5YnVja0BidWNrbGFuZC5leGFtcGxlIiwiZXBrIjp7Imt0eS",
    "I6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4IjoibVBVS1RfYkFXR0hJaGcwVHBqanFWc1AxclhXUXVfdndWT0hIdE5rZFlvQSIsInki",
    "OiI4QlFBc0ltR2VBUzQ2ZnlXdzVNaFlmR1RUMElqQnBGdzJTUzM0RHY0SXJzIn0sImVuYyI6IkExMjhDQkMtSFMyNTYifQ",
    ".",
    ".yc9N8v5sYyv3iGQT926IUg",
    ".BoDlwPnTypYq-ivjmQvAYJLb5Q6l-F3LIgQomlz87yW4OPKbWE1zSTEFjDfhU9IPIOSA9Bml4m7iDFwA-1ZXvHteLDtw4R1XR",
    "GMEsDIqAYtskTTmzmzNa-_q4F_evAPUmwlO-ZG45Mnq4uhM1fm_D9rBtWolqZSF3xGNNkpOMQKF1Cl8i8wjzRli7-IXgyirlKQ",
    "sbhhqRzkv8IcY6aHl24j03C-AR2le1r7URUhArM79BY8soZU0lzwI-sD5PZ3l4NDCCei9XkoIAfsXJWmySPoeRb2Ni5UZL4mYp",
    "vKDiwmyzGd65KqVw7MsFfI_K767G9C9Azp73gKZD0DyUn1mn0WW5LmyX_yJ-3AROq8p1WZBfG-ZyJ6195_JGG2m9Csg",
    ".WCCkNa-x4BeB9hIDIfFuhg",
);

/// What joserfc 1.6 (PyPI) wrote for the owners of `decrypt`, by `kid`.
pub(super) const JOSERFC: &[(&str, &str)] = &[
    (
        "RSA",
        concat!(
            "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIn0",
            ".ZA4JGBRBn4rXjRGWoIqD6_ie3xpzybrmCq74Id7mSa80g12CKW28T8RMTCH8W7MC7fWG2dziLnZyT9N3tSHB5jC91fOLgULsb",
            "kJqYbwIsqx7TXcYaNc1Xmbvhbxb24qgRE1iMQU7plKY7kX3AGp8z5nUNvqiu6WxQV__Hw6rd5FN00p_PzP9rl06ffeampB4gEh",
            "ME7pEJlSP0hAIick92D-3xq5mIbWPgC-Y-60YYfpFgAIq0UQ8vaaLZyhXEPbEFa4n8jioZC9WDxGJ2hkE3ypaZbxOQlzeRKnT4",
            "DJG-9Tw5LfBLAtrc_HEuEtfETVVpaidcBrdOMcfLyP15riQ8Q",
            ".oCeIq3QOW_qh9KmU",
            ".czbj-wCezathtbIX",
            ".I_1DFsbQmmOtaPkBQw712g",
        ),
    ),
    (
        "P-256",
        concat!(
            "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkExMjhDQkMtSFMyNTYiLCJlcGsiOnsiY3J2IjoiUC0yNTYiLCJ4IjoiLX",
            "A5Rmx2R2E2eEEzdE1mRUF4Ym16RFFZTEhEeC1jT04zOTNhdlVkOHBtMCIsInkiOiJfb09rbGtRdURjQzI4RmdKVlYzckozMkdL",
            "c25iVHFzNjlMMjVmZUlmajdjIiwia3R5IjoiRUMifX0",
            ".27rsSHoEqDA_0leUC8tB8QLaT4IhorCmZ3tibcyEpKZZ-rQDLWvYkg",
            ".7Yo0T9MuExcSsJLuEcqEhg",
            ".RCFdX4_0QOhvLSI0KkBFqw",
            ".4CNHN4FEmbOqSdYR5m5jjg",
        ),
    ),
    (
        "P-521",
        concat!(
            "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJlcGsiOnsiY3J2IjoiUC01MjEiLCJ4IjoiQUhONXRORW",
            "J6d2xZR1MyWFIyUllHY0NIQ0g1cGQ4NUZuSXBlc19EMjI0SGxOXy1oQ1RxQUVCa0pObnpENU1jTFVzMUdJdXB5QmxMdVZZLVJT",
            "SUpkOVZRRSIsInkiOiJBRVNXcXRnT3lNY2JCX0Z1ZWhiNWxuNHJfUGJfQlljbUdfVUE0WkRUaWQwQjR4N2czZmZxUlhIazhrbU",
            "d4Y3NNZ0p0OE5fcHJvVDY4M2ZzOC1FLWNTWWFvIiwia3R5IjoiRUMifX0",
            ".R2sYYzjRTt9DNamw6IPtd31I3yLc6dBTzm0u17MU3IU3W8zHbVoG7Q",
            "._0yiTRGVJWfXQqns",
            ".bFczKTGTQfaQjo2Z",
            ".JlLP9mlnpq3cjGpPM5giNA",
        ),
    ),
    (
        "X25519",
        concat!(
            "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSIsImVwayI6eyJjcnYiOiJYMjU1MTkiLCJ4IjoiSC1tUlUwRFZUVnVIM1",
            "A2ZUszU1JwOS1UaHZ0VU5pLVFnT3BHRUpIRGZtQSIsImt0eSI6Ik9LUCJ9fQ",
            ".",
            ".Z4JwnEKQIxd-6wfA",
            ".iAcb5tX6H0Yde5tY",
            ".JWuWra9jT5hih-ifWrBTJw",
        ),
    ),
];
