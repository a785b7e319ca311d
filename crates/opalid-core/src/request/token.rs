//! Requests at the token, introspection and revocation endpoints (RFC 6749, 7662, 7009).
//!
//! The client has been authenticated from the same form before; here its parameters are ignored. Nothing in here
//! can be printed: these requests hold codes and tokens.

use super::{GrantType, TokenTypeHint, resources};
use crate::error::{ErrorCode, OAuthError};
use crate::form::Form;
use crate::pkce::CodeVerifier;
use crate::resource_uri::ResourceUri;
use crate::scope::Scopes;

/// What the token endpoint is asked for, a struct per grant type.
pub enum TokenRequest<'f> {
    /// A code is redeemed.
    AuthorizationCode(AuthorizationCodeRequest<'f>),
    /// A refresh token is rotated.
    RefreshToken(RefreshTokenRequest<'f>),
    /// The client asks for itself.
    ClientCredentials(ClientCredentialsRequest),
}

/// RFC 6749 §4.1.3, RFC 7636 §4.5.
pub struct AuthorizationCodeRequest<'f> {
    /// The code.
    pub code: &'f str,
    /// The redirect URI of the authorization request, if it had one.
    pub redirect_uri: Option<&'f str>,
    /// The verifier, if the authorization request had a challenge.
    pub code_verifier: Option<CodeVerifier>,
    /// The resources this access token is for; none: all that were granted.
    pub resources: Vec<ResourceUri>,
}

/// RFC 6749 §6.
pub struct RefreshTokenRequest<'f> {
    /// The refresh token.
    pub refresh_token: &'f str,
    /// The scopes to narrow to; none: all that were granted.
    pub scope: Scopes,
    /// The resources this access token is for; none: all that were granted.
    pub resources: Vec<ResourceUri>,
}

/// RFC 6749 §4.4.2.
pub struct ClientCredentialsRequest {
    /// The scopes; none: the client's default.
    pub scope: Scopes,
    /// The resources; none: the client's default.
    pub resources: Vec<ResourceUri>,
}

impl<'f> TokenRequest<'f> {
    /// Reads the form of a token request.
    pub fn parse(form: &'f Form<'_>) -> Result<Self, OAuthError> {
        let grant_type = form.required("grant_type")?;
        let grant_type = GrantType::from_wire(grant_type).ok_or_else(|| {
            let known: Vec<_> = GrantType::ALL.iter().map(|known| known.wire_name()).collect();
            let description = format!("unknown grant_type; expected one of {}", known.join(", "));
            OAuthError::new(ErrorCode::UnsupportedGrantType, description)
        })?;
        Ok(match grant_type {
            GrantType::AuthorizationCode => Self::AuthorizationCode(AuthorizationCodeRequest {
                code: form.required("code")?,
                redirect_uri: form.one("redirect_uri"),
                code_verifier: form.one("code_verifier").map(CodeVerifier::parse).transpose()?,
                resources: resources(form)?,
            }),
            GrantType::RefreshToken => Self::RefreshToken(RefreshTokenRequest {
                refresh_token: form.required("refresh_token")?,
                scope: scope(form)?,
                resources: resources(form)?,
            }),
            GrantType::ClientCredentials => {
                Self::ClientCredentials(ClientCredentialsRequest { scope: scope(form)?, resources: resources(form)? })
            }
        })
    }

    /// What the request asks with.
    pub const fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode(_) => GrantType::AuthorizationCode,
            Self::RefreshToken(_) => GrantType::RefreshToken,
            Self::ClientCredentials(_) => GrantType::ClientCredentials,
        }
    }
}

pub(super) fn scope(form: &Form<'_>) -> Result<Scopes, OAuthError> {
    Ok(form.one("scope").map(Scopes::parse).transpose()?.unwrap_or_default())
}

/// The most tokens that one request may ask about.
pub const TOKENS_AT_ONCE: usize = 100;

/// Which tokens an introspection asks about.
#[derive(Debug, PartialEq, Eq)]
pub enum AskedAbout<'f> {
    /// One (`token`, RFC 7662 §2.1).
    One(&'f str),
    /// Several (`tokens`, ours): a blank between two.
    Several(Vec<&'f str>),
}

/// RFC 7662 §2.1, and what we have beside it.
pub struct IntrospectionRequest<'f> {
    /// The tokens, as they came.
    pub about: AskedAbout<'f>,
    /// What the caller takes them for.
    pub hint: Option<TokenTypeHint>,
    /// Only whether they are active (`minimal`, ours).
    pub minimal: bool,
}

impl<'f> IntrospectionRequest<'f> {
    /// Reads the form of an introspection request.
    pub fn parse(form: &'f Form<'_>) -> Result<Self, OAuthError> {
        let bad = |description: &'static str| OAuthError::new(ErrorCode::InvalidRequest, description);
        let about = match (form.one("token"), form.one("tokens")) {
            (Some(_), Some(_)) => return Err(bad("token and tokens at once: send one of them")),
            (None, Some(tokens)) => AskedAbout::Several(several(tokens)?),
            (None, None) if form.has("tokens") => return Err(bad("tokens has no value: send at least one token")),
            _ => AskedAbout::One(form.required("token")?),
        };
        let minimal = match form.one("minimal") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(bad("minimal is true or false")),
        };
        let hint = form.one("token_type_hint").and_then(TokenTypeHint::from_wire);
        Ok(Self { about, hint, minimal })
    }
}

/// Every answer has the place of its token, so none is dropped and none is empty.
fn several(tokens: &str) -> Result<Vec<&str>, OAuthError> {
    let bad = |description: String| OAuthError::new(ErrorCode::InvalidRequest, description);
    let tokens: Vec<&str> = tokens.split(' ').take(TOKENS_AT_ONCE + 1).collect();
    if tokens.len() > TOKENS_AT_ONCE {
        return Err(bad(format!("more than {TOKENS_AT_ONCE} tokens at once")));
    }
    if tokens.contains(&"") {
        return Err(bad("tokens has exactly one blank between two tokens, and none at its ends".into()));
    }
    // No token has another character (RFC 6750 §2.1): whoever separates them otherwise hears of it.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if tokens.iter().any(|token| !token.bytes().all(is_token)) {
        return Err(bad(
            "tokens has exactly one blank between two tokens, and they have no other characters than a bearer token has"
                .into(),
        ));
    }
    Ok(tokens)
}

/// RFC 7009 §2.1.
pub struct RevocationRequest<'f> {
    /// The token, as it came.
    pub token: &'f str,
    /// What the caller takes it for.
    pub hint: Option<TokenTypeHint>,
}

impl<'f> RevocationRequest<'f> {
    /// Reads the form of a revocation request.
    pub fn parse(form: &'f Form<'_>) -> Result<Self, OAuthError> {
        let (token, hint) = token_and_hint(form)?;
        Ok(Self { token, hint })
    }
}

fn token_and_hint<'f>(form: &'f Form<'_>) -> Result<(&'f str, Option<TokenTypeHint>), OAuthError> {
    Ok((form.required("token")?, form.one("token_type_hint").and_then(TokenTypeHint::from_wire)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(form: &str) -> (ErrorCode, String) {
        let form = Form::parse(form.as_bytes()).unwrap();
        let error = TokenRequest::parse(&form).err().unwrap();
        (error.code, error.wire_description())
    }

    #[test]
    fn each_grant_type_is_read_into_its_own_request() {
        let verifier = "v".repeat(43);
        let text =
            format!("grant_type=authorization_code&code=c&redirect_uri=r&code_verifier={verifier}&resource=urn:a");
        let form = Form::parse(text.as_bytes()).unwrap();
        let TokenRequest::AuthorizationCode(request) = TokenRequest::parse(&form).unwrap() else { panic!() };
        assert_eq!((request.code, request.redirect_uri, request.resources.len()), ("c", Some("r"), 1));
        assert!(request.code_verifier.is_some());

        let form = Form::parse(b"grant_type=refresh_token&refresh_token=t&scope=b+a").unwrap();
        let TokenRequest::RefreshToken(request) = TokenRequest::parse(&form).unwrap() else { panic!() };
        assert_eq!((request.refresh_token, request.scope.as_str()), ("t", "a b"));

        let form = Form::parse(b"grant_type=client_credentials&scope=").unwrap();
        let request = TokenRequest::parse(&form).unwrap();
        assert_eq!(request.grant_type(), GrantType::ClientCredentials);
        let TokenRequest::ClientCredentials(request) = request else { panic!() };
        assert!(request.scope.is_empty() && request.resources.is_empty());
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused_with_its_own_code() {
        use ErrorCode::*;
        for (form, code, words) in [
            ("", InvalidRequest, "grant_type is missing"),
            ("grant_type=", InvalidRequest, "grant_type is missing"),
            ("grant_type=password", UnsupportedGrantType, "expected one of authorization_code, refresh_token"),
            ("grant_type=authorization_code&code=", InvalidRequest, "code is missing"),
            ("grant_type=authorization_code&code=c&code_verifier=short", InvalidGrant, "43 to 128"),
            ("grant_type=refresh_token", InvalidRequest, "refresh_token is missing"),
            ("grant_type=refresh_token&refresh_token=t&scope=%22", InvalidScope, "not allowed"),
            ("grant_type=client_credentials&resource=%23", InvalidTarget, "fragment"),
        ] {
            let (found, description) = refused(form);
            assert_eq!(found, code, "{form}");
            assert!(description.contains(words), "{form}: {description}");
        }
    }

    #[test]
    fn an_unknown_hint_is_no_error() {
        let form = Form::parse(b"token=t&token_type_hint=id_token").unwrap();
        let request = IntrospectionRequest::parse(&form).ok().unwrap();
        assert_eq!((request.about, request.hint, request.minimal), (AskedAbout::One("t"), None, false));
        let form = Form::parse(b"token=t&token_type_hint=refresh_token").unwrap();
        assert_eq!(
            RevocationRequest::parse(&form).ok().and_then(|request| request.hint),
            Some(TokenTypeHint::RefreshToken)
        );
    }

    #[test]
    fn several_tokens_keep_their_places_and_are_bounded() {
        let parse = |text: &str| {
            let form = Form::parse(text.as_bytes()).map_err(|error| error.wire_description())?;
            IntrospectionRequest::parse(&form)
                .map(|request| match request.about {
                    AskedAbout::One(_) => 1,
                    AskedAbout::Several(tokens) => tokens.len(),
                })
                .map_err(|error| error.wire_description())
        };
        assert_eq!(parse("tokens=a+b+a"), Ok(3));
        assert_eq!(parse("tokens=a&minimal=true"), Ok(1));
        let many = |count| format!("tokens={}", vec!["a"; count].join("+"));
        assert_eq!(parse(&many(TOKENS_AT_ONCE)), Ok(TOKENS_AT_ONCE));
        assert_eq!(parse(&many(TOKENS_AT_ONCE + 1)), Err("more than 100 tokens at once".into()));
        for bad in ["tokens=a,b", "tokens=a%0Ab", "tokens=a++b", "tokens=+a", "tokens=a+", "tokens=+"] {
            assert!(parse(bad).is_err_and(|words| words.contains("exactly one blank")), "{bad}");
        }
        for none in ["tokens=", "tokens", "token=&tokens="] {
            assert_eq!(parse(none), Err("tokens has no value: send at least one token".into()), "{none}");
        }
        assert_eq!(parse("token=a&tokens="), Ok(1), "what has no value counts as omitted");
        assert!(parse("tokens=a&tokens=b").is_err_and(|words| words.starts_with("parameter tokens ")));
        assert!(parse("token=a&tokens=b").is_err_and(|words| words.contains("at once")));
        assert!(parse("token=a&minimal=yes").is_err_and(|words| words.contains("true or false")));
    }

    #[test]
    fn a_token_is_required() {
        let form = Form::parse(b"token=").unwrap();
        assert_eq!(IntrospectionRequest::parse(&form).err().unwrap().code, ErrorCode::InvalidRequest);
        assert_eq!(RevocationRequest::parse(&form).err().unwrap().code, ErrorCode::InvalidRequest);
    }
}
