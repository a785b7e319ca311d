//! Every OAuth error code, with its HTTP status and the section that defines it.
//!
//! `ErrorCode` alone knows wire names and statuses; no endpoint picks a status. A store that fails is
//! `ServerBusy`: never "inactive", never "not found".

use std::borrow::Cow;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident => $wire:literal, $status:literal, $section:literal;)*) => {
        /// An error code as it stands on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The value of `error`.
            pub const fn wire_name(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The HTTP status, where the error is answered directly (a redirect carries none).
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The section that defines it.
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)* }
            }
        }
    };
}

error_codes! {
    /// A parameter is missing, malformed or repeated.
    InvalidRequest => "invalid_request", 400, "RFC 6749 §5.2";
    /// The client is unknown, or its authentication failed.
    InvalidClient => "invalid_client", 401, "RFC 6749 §5.2";
    /// The code, refresh token or what it hangs from is unknown, used or dead.
    InvalidGrant => "invalid_grant", 400, "RFC 6749 §5.2";
    /// This client may not use this grant type or endpoint.
    UnauthorizedClient => "unauthorized_client", 400, "RFC 6749 §5.2";
    /// No such grant type here.
    UnsupportedGrantType => "unsupported_grant_type", 400, "RFC 6749 §5.2";
    /// The scope is unknown, malformed or wider than allowed.
    InvalidScope => "invalid_scope", 400, "RFC 6749 §5.2";
    /// The resource is unknown, or none was asked for and there is no default.
    InvalidTarget => "invalid_target", 400, "RFC 8707 §2";
    /// Only `code` is offered.
    UnsupportedResponseType => "unsupported_response_type", 400, "RFC 6749 §4.1.2.1";
    /// The person, or a rule, said no.
    AccessDenied => "access_denied", 400, "RFC 6749 §4.1.2.1";
    /// Revocation of this kind of token is not offered.
    UnsupportedTokenType => "unsupported_token_type", 400, "RFC 7009 §2.2.1";
    /// The bearer token is missing, malformed or not alive.
    InvalidToken => "invalid_token", 401, "RFC 6750 §3.1";
    /// The bearer token is alive but lacks a scope.
    InsufficientScope => "insufficient_scope", 403, "RFC 6750 §3.1";
    /// `prompt=none`, and nobody is signed in.
    LoginRequired => "login_required", 400, "OpenID Core §3.1.2.6";
    /// `prompt=none`, and the person has to choose or do something.
    InteractionRequired => "interaction_required", 400, "OpenID Core §3.1.2.6";
    /// `prompt=none`, and the person has not agreed yet.
    ConsentRequired => "consent_required", 400, "OpenID Core §3.1.2.6";
    /// `prompt=none`, and the person has to choose an account.
    AccountSelectionRequired => "account_selection_required", 400, "OpenID Core §3.1.2.6";
    /// `request` is not supported.
    RequestNotSupported => "request_not_supported", 400, "OpenID Core §3.1.2.6";
    /// `request_uri` is not supported.
    RequestUriNotSupported => "request_uri_not_supported", 400, "OpenID Core §3.1.2.6";
    /// `registration` is not supported.
    RegistrationNotSupported => "registration_not_supported", 400, "OpenID Core §3.1.2.6";
    /// Too much from one address; the same request may work later. On pages alone.
    TooManyRequests => "too_many_requests", 429, "RFC 6585 §4";
    /// A fault of ours.
    ServerError => "server_error", 500, "RFC 6749 §4.1.2.1";
    /// The store cannot be reached or cannot write now; the same request may work later.
    ServerBusy => "temporarily_unavailable", 503, "RFC 6749 §4.1.2.1";
}

/// An error for the client's developer: a code, and a description in plain words. The cause is for our log
/// alone and is never sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {description}", code.wire_name())]
pub struct OAuthError {
    /// The code, which decides the status.
    pub code: ErrorCode,
    /// What is wrong and what to do, without secrets; plain ASCII without `"` and `\` (RFC 6749 §5.2).
    pub description: Cow<'static, str>,
    /// Why, for the log.
    pub cause: Option<String>,
}

impl OAuthError {
    /// An error with a description for the client's developer.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), cause: None }
    }

    /// The same with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// `description` with what RFC 6749 §5.2 does not allow (outside %x20-21, %x23-5B, %x5D-7E) replaced by `'` or `?`.
    pub fn wire_description(&self) -> String {
        let allowed = |c: char| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        };
        self.description.replace('…', "...").chars().map(allowed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_keep_to_the_characters_the_specification_allows() {
        let error = OAuthError::new(ErrorCode::InvalidScope, "unknown scope \"a\\b\"…\nü");
        assert_eq!(error.wire_description(), "unknown scope 'a'b'...??");
    }

    #[test]
    fn wire_names_are_distinct() {
        let names: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|code| code.wire_name()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
