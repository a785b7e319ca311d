//! Form bodies and query strings (application/x-www-form-urlencoded), read strictly.
//!
//! Takes: bytes; the caller bounds how many.
//! Gives: parameters by name, borrowed wherever nothing was escaped: introspection reads one per request.
//! Holds: an error names a parameter only if it is one of ours, as pages show errors to people whom others sent here;
//! no parameter stands twice, with a value or without (RFC 6749 §3.1), except `resource` (RFC 8707 §2);
//! no value holds NUL, which PostgreSQL cannot store; a broken encoding is refused, never guessed at.

use std::borrow::Cow;
use std::fmt;

use crate::error::{ErrorCode, OAuthError};

/// The most parameters one form may have.
pub const MAX_PARAMETERS: usize = 100;
/// The longest name of a parameter, in bytes.
pub const MAX_NAME: usize = 100;

/// The one parameter that may stand more than once (RFC 8707 §2).
const REPEATABLE: &str = "resource";
/// The parameters that errors may name.
const NAMED: &[&str] = &[
    "access_token",
    "account",
    "acr_values",
    "alg",
    "claims",
    "claims_locales",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "confirm_password",
    "csrf",
    "decision",
    "display",
    "grant_type",
    "id_token_hint",
    "iss",
    "login",
    "login_hint",
    "logout_hint",
    "max_age",
    "minimal",
    "new_password",
    "nonce",
    "password",
    "post_logout_redirect_uri",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "registration",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "token",
    "token_type_hint",
    "tokens",
    "ui_locales",
];
/// Up to here comparing every pair of names is cheaper than sorting them.
const FEW: usize = 12;

/// The parameters of one request. Names that nobody asks for are ignored.
pub struct Form<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    /// Reads a body or query string; `invalid_request` says what is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, OAuthError> {
        let form = Self::decode(bytes)?;
        form.refuse_repeated()?;
        Ok(form)
    }

    /// As `parse`, but repeated parameters pass: the authorization endpoint first finds out where to send that error.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, OAuthError> {
        let text = std::str::from_utf8(bytes).map_err(|_| bad("the parameters are not UTF-8"))?;
        let mut parameters = Vec::with_capacity(8);
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == MAX_PARAMETERS {
                return Err(bad(format!("more than {MAX_PARAMETERS} parameters")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = unescape(name).map_err(|fault| bad(format!("the name of a parameter {fault}")))?;
            if name.len() > MAX_NAME {
                return Err(bad(format!("the name of a parameter is longer than {MAX_NAME} bytes")));
            }
            let value = unescape(value).map_err(|fault| bad(format!("{} {fault}", named(&name))))?;
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// The parameter's value; a parameter without a value counts as omitted. For `resource` use `all`.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a parameter that may stand more than once.
    pub fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        let named = self.parameters.iter().filter(move |(found, _)| found == name);
        named.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// Whether the parameter was sent, with a value or without.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(found, _)| found == name)
    }

    /// The parameter's value, or `invalid_request` naming it.
    pub fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.one(name).ok_or_else(|| bad(format!("parameter {name} is missing or has no value")))
    }

    /// The parameter's value if it has at most `longest` bytes; `invalid_request` if it has more.
    pub fn at_most(&self, name: &str, longest: usize) -> Result<Option<&str>, OAuthError> {
        match self.one(name) {
            Some(value) if value.len() > longest => {
                Err(bad(format!("parameter {name} is longer than {longest} bytes")))
            }
            value => Ok(value),
        }
    }

    /// Whether the name stands twice or more, with a value or without.
    pub(crate) fn repeats(&self, name: &str) -> bool {
        self.parameters.iter().filter(|(found, _)| found == name).nth(1).is_some()
    }

    /// Refuses a form in which a parameter other than `resource` stands twice.
    pub(crate) fn refuse_repeated(&self) -> Result<(), OAuthError> {
        match self.find_repeated() {
            Some(name) => Err(bad(format!("{} is given more than once", named(name)))),
            None => Ok(()),
        }
    }

    fn find_repeated(&self) -> Option<&str> {
        if self.parameters.len() <= FEW {
            let earlier = |at: usize, name: &str| self.parameters.iter().take(at).any(|(found, _)| found == name);
            let mut names = self.parameters.iter().map(|(name, _)| &**name).enumerate();
            return names.find(|(at, name)| *name != REPEATABLE && earlier(*at, name)).map(|(_, name)| name);
        }
        let names = self.parameters.iter().map(|(name, _)| &**name);
        let mut names: Vec<&str> = names.filter(|name| *name != REPEATABLE).collect();
        names.sort_unstable();
        names.iter().zip(names.iter().skip(1)).find(|(name, next)| name == next).map(|(name, _)| *name)
    }
}

/// Names only: values are passwords, codes and tokens.
impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.parameters.iter().map(|(name, _)| name)).finish()
    }
}

/// What errors call a parameter that somebody sent: never by a name that the sender made up.
fn named(name: &str) -> String {
    match NAMED.iter().find(|known| **known == name) {
        Some(known) => format!("parameter {known}"),
        None => "a parameter that is not known here".into(),
    }
}

fn bad(description: impl Into<Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

/// What is wrong with one name or value.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("has a broken percent-encoding: expected % and two hexadecimal digits")]
    PercentEncoding,
    #[error("holds a NUL character")]
    Nul,
    #[error("is not UTF-8 once its percent-encoding is undone")]
    NotUtf8,
}

fn unescape(raw: &str) -> Result<Cow<'_, str>, Fault> {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'+' | 0)) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Fault::PercentEncoding),
            },
            other => other,
        };
        if byte == 0 {
            return Err(Fault::Nul);
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Fault::NotUtf8)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let error = Form::parse(bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        error.description.into_owned()
    }

    #[test]
    fn escapes_are_undone_and_plain_values_are_borrowed() {
        let form = Form::parse(b"token=oat_abc-_&scope=read+write%21%c3%BC&&x").unwrap();
        assert_eq!(form.one("token"), Some("oat_abc-_"));
        assert_eq!(form.one("scope"), Some("read write!\u{fc}"));
        let borrowed = form.parameters.iter().map(|(_, value)| matches!(value, Cow::Borrowed(_)));
        assert_eq!(borrowed.collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_omitted() {
        let form = Form::parse(b"code=&state&redirect_uri=x").unwrap();
        assert_eq!((form.one("code"), form.one("state"), form.one("redirect_uri")), (None, None, Some("x")));
        let error = form.required("code").unwrap_err();
        assert_eq!(error.wire_description(), "parameter code is missing or has no value");
    }

    #[test]
    fn a_repeated_parameter_is_refused_even_without_values_or_escaped_or_unknown() {
        for form in ["a=1&a=1", "a&a", "a=&a=1", "state=1&x=2&st%61te=3"] {
            assert!(refused(form.as_bytes()).ends_with("is given more than once"), "{form}");
        }
        let many: String = (0..MAX_PARAMETERS - 2).map(|n| format!("p{n}=1&")).collect();
        Form::parse(many.as_bytes()).unwrap();
        for name in ["tokens", "minimal", "claims", "alg", "logout_hint"] {
            let twice = format!("{name}=1&{name}=2");
            assert_eq!(refused(twice.as_bytes()), format!("parameter {name} is given more than once"));
        }
        assert_eq!(refused(format!("{many}nonce=&nonce=").as_bytes()), "parameter nonce is given more than once");
    }

    #[test]
    fn resource_may_stand_more_than_once() {
        let form = Form::parse(b"resource=a&resource=&resource=b").unwrap();
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["a", "b"]);
        let many = "resource=a&".repeat(MAX_PARAMETERS);
        assert_eq!(Form::parse(many.as_bytes()).unwrap().all("resource").count(), MAX_PARAMETERS);
    }

    #[test]
    fn a_broken_encoding_is_refused() {
        for form in ["a=%zz", "a=%4", "a=%", "a=%%41", "%4=1", "a=%+1", "a=%4g"] {
            assert!(refused(form.as_bytes()).contains("broken percent-encoding"), "{form}");
        }
        assert!(refused(b"a=%ff").contains("not UTF-8"));
        assert!(refused(b"a=%ed%a0%80").contains("not UTF-8"));
        assert!(refused(b"a=\xff").contains("not UTF-8"));
        assert!(refused(b"a=x%00").contains("NUL"));
        assert!(refused(b"a\0=x").contains("NUL"));
    }

    #[test]
    fn an_error_never_says_a_name_that_the_sender_made_up() {
        for form in ["call+0800-EVIL&call+0800-EVIL", "call+0800-EVIL=%zz", "call+0800-EVIL=%00"] {
            assert!(refused(form.as_bytes()).starts_with("a parameter that is not known here "), "{form}");
        }
        assert!(refused(b"code=%zz").starts_with("parameter code has"));
        assert_eq!(refused(b"state&state"), "parameter state is given more than once");
    }

    #[test]
    fn forms_are_bounded() {
        let many: String = (0..=MAX_PARAMETERS).map(|n| format!("p{n}&")).collect();
        assert_eq!(refused(many.as_bytes()), "more than 100 parameters");
        assert!(Form::parse("n".repeat(MAX_NAME).as_bytes()).is_ok());
        assert!(refused("n".repeat(MAX_NAME + 1).as_bytes()).contains("longer than 100 bytes"));
        let form = Form::parse(b"state=1234").unwrap();
        assert_eq!(form.at_most("state", 4).unwrap(), Some("1234"));
        assert_eq!(form.at_most("state", 3).unwrap_err().description, "parameter state is longer than 3 bytes");
    }

    #[test]
    fn what_is_printed_for_debugging_holds_no_value() {
        assert_eq!(format!("{:?}", Form::parse(b"client_secret=hush").unwrap()), r#"{"client_secret"}"#);
    }

    proptest! {
        #[test]
        fn any_form_survives_a_round_trip(pairs in btree_map("[^\0]{1,8}", "[^\0]{0,12}", 0..30)) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let form = Form::parse(text.as_bytes()).unwrap();
            for (name, value) in &pairs {
                prop_assert_eq!(form.one(name).unwrap_or(""), value);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Form::parse(&bytes);
        }

        #[test]
        fn what_is_accepted_means_what_other_readers_take_it_for(text in "[ab=&%+0-9c-f]{0,40}") {
            if let Ok(form) = Form::parse(text.as_bytes()) {
                let theirs: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
                prop_assert_eq!(form.parameters, theirs);
            }
        }

        #[test]
        fn a_form_changed_anywhere_is_refused_or_means_what_other_readers_take_it_for(
            at in any::<prop::sample::Index>(),
            put in proptest::collection::vec(any::<u8>(), 0..4),
            cut in 0..4_usize,
        ) {
            let form = b"grant_type=authorization_code&code=oac_AAAA&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&resource=a&resource=b";
            let at = at.index(form.len());
            let changed = [&form[..at], &put, &form[(at + cut).min(form.len())..]].concat();
            if let Ok(form) = Form::parse(&changed) {
                let theirs: Vec<_> = form_urlencoded::parse(&changed).collect();
                prop_assert_eq!(form.parameters, theirs);
            }
        }

        #[test]
        fn few_and_many_parameters_agree_on_what_is_repeated(names in proptest::collection::vec(0..40_u8, 0..40)) {
            let text: String = names.iter().map(|n| format!("n{n}&")).collect();
            let distinct: std::collections::HashSet<_> = names.iter().collect();
            prop_assert_eq!(Form::parse(text.as_bytes()).is_ok(), distinct.len() == names.len());
        }
    }
}
