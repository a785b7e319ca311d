//! What header parameters and claims mean, in words for people.
//!
//! Takes: a name. Gives: what it is, and the section that says so.
//! Not here: names that a workspace declares itself; those mean what it says.

/// What a name means, and where that is written.
pub(super) type Meaning = (&'static str, &'static str);

/// A claim that is registered, or that OpenID Connect and OAuth define.
pub(super) fn claim(name: &str) -> Option<Meaning> {
    find(CLAIMS, name)
}

/// A header parameter of JWS or JWE.
pub(super) fn parameter(name: &str) -> Option<Meaning> {
    find(PARAMETERS, name)
}

/// Whether a claim is a point in time.
pub(super) fn is_time(name: &str) -> bool {
    ["exp", "iat", "nbf", "auth_time", "updated_at"].contains(&name)
}

/// The kinds of JWT that say by `typ` what they are.
pub(super) const TYPES: &[(&str, &str)] = &[
    ("at+jwt", "access token"),
    ("token-introspection+jwt", "introspection answer"),
    ("logout+jwt", "logout token"),
    ("secevent+jwt", "security event"),
    ("oauth-authz-req+jwt", "request object"),
    ("client-authentication+jwt", "client assertion"),
    ("dpop+jwt", "DPoP proof"),
];

fn find(table: &[(&str, &'static str, &'static str)], name: &str) -> Option<Meaning> {
    table.iter().find(|(known, ..)| *known == name).map(|(_, means, section)| (*means, *section))
}

const CLAIMS: &[(&str, &str, &str)] = &[
    ("iss", "who issued it", "RFC 7519 §4.1.1"),
    ("sub", "whom it is about: a person, or a client by itself", "RFC 7519 §4.1.2"),
    ("aud", "who may take it; everybody else must refuse it", "RFC 7519 §4.1.3"),
    ("exp", "from then on nobody may take it", "RFC 7519 §4.1.4"),
    ("nbf", "before that nobody may take it", "RFC 7519 §4.1.5"),
    ("iat", "when it was issued", "RFC 7519 §4.1.6"),
    ("jti", "its own name, never given twice", "RFC 7519 §4.1.7"),
    ("client_id", "the client it was issued to", "RFC 8693 §4.3"),
    ("scope", "what it may do", "RFC 8693 §4.2"),
    ("act", "who acts for the person it is about", "RFC 8693 §4.1"),
    ("may_act", "who may act for the person it is about", "RFC 8693 §4.4"),
    ("cnf", "the key that whoever presents it has to prove", "RFC 7800 §3.1"),
    ("authorization_details", "what it may do, in detail", "RFC 9396 §9.1"),
    ("roles", "roles of the person", "RFC 9068 §2.2.3.1"),
    ("groups", "groups of the person", "RFC 9068 §2.2.3.1"),
    ("entitlements", "entitlements of the person", "RFC 9068 §2.2.3.1"),
    ("role_claims", "which of its claims name roles that must be held still", ""),
    ("token_introspection", "what introspection said of a token", "RFC 9701 §5"),
    ("auth_time", "when the person signed in", "OpenID Core §2"),
    ("nonce", "what the client sent along, to know its own sign-in again", "OpenID Core §2"),
    ("acr", "how strong the sign-in was", "OpenID Core §2"),
    ("amr", "how the person signed in", "OpenID Core §2, RFC 8176"),
    ("azp", "the client it was issued to, where aud names others too", "OpenID Core §2"),
    ("at_hash", "half of the hash of the access token issued with it", "OpenID Core §3.1.3.6"),
    ("c_hash", "half of the hash of the code issued with it", "OpenID Core §3.3.2.11"),
    ("sid", "the session it came of", "OpenID Front-Channel Logout §3"),
    ("events", "what happened", "RFC 8417 §2.2"),
    ("name", "the person's full name", "OpenID Core §5.1"),
    ("given_name", "the person's given name", "OpenID Core §5.1"),
    ("family_name", "the person's family name", "OpenID Core §5.1"),
    ("middle_name", "the person's middle name", "OpenID Core §5.1"),
    ("nickname", "what the person is called", "OpenID Core §5.1"),
    ("preferred_username", "the name the person goes by; not unique, may change", "OpenID Core §5.1"),
    ("profile", "the person's profile page", "OpenID Core §5.1"),
    ("picture", "a picture of the person", "OpenID Core §5.1"),
    ("website", "the person's web site", "OpenID Core §5.1"),
    ("email", "the person's e-mail address; not unique, may change", "OpenID Core §5.1"),
    ("email_verified", "whether that address was seen to be theirs", "OpenID Core §5.1"),
    ("gender", "the person's gender", "OpenID Core §5.1"),
    ("birthdate", "the person's birthday", "OpenID Core §5.1"),
    ("zoneinfo", "the person's time zone", "OpenID Core §5.1"),
    ("locale", "the person's language", "OpenID Core §5.1"),
    ("phone_number", "the person's telephone number", "OpenID Core §5.1"),
    ("phone_number_verified", "whether that number was seen to be theirs", "OpenID Core §5.1"),
    ("address", "the person's postal address", "OpenID Core §5.1.1"),
    ("updated_at", "when these facts last changed", "OpenID Core §5.1"),
];

const PARAMETERS: &[(&str, &str, &str)] = &[
    ("alg", "how it is signed, or how its key is encrypted", "RFC 7515 §4.1.1, RFC 7516 §4.1.1"),
    ("enc", "how its content is encrypted", "RFC 7516 §4.1.2"),
    ("zip", "how its content was compressed", "RFC 7516 §4.1.3"),
    ("typ", "which kind of token it is", "RFC 7515 §4.1.9, RFC 8725 §3.11"),
    ("cty", "what is inside it", "RFC 7515 §4.1.10"),
    ("kid", "which key signed it, or which opens it", "RFC 7515 §4.1.4"),
    ("crit", "what a reader must understand to take it", "RFC 7515 §4.1.11"),
    ("jwk", "a key that came with it", "RFC 7515 §4.1.3"),
    ("jku", "where it says its keys are", "RFC 7515 §4.1.2"),
    ("x5u", "where it says its certificate is", "RFC 7515 §4.1.5"),
    ("x5c", "a certificate that came with it", "RFC 7515 §4.1.6"),
    ("x5t", "the SHA-1 of a certificate", "RFC 7515 §4.1.7"),
    ("x5t#S256", "the SHA-256 of a certificate", "RFC 7515 §4.1.8"),
    ("b64", "whether its content is base64url", "RFC 7797 §3"),
    ("epk", "the sender's key of this one message", "RFC 7518 §4.6.1.1"),
    ("apu", "what the sender said of itself", "RFC 7518 §4.6.1.2"),
    ("apv", "what the sender said of its reader", "RFC 7518 §4.6.1.3"),
];
