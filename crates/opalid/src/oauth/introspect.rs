//! Introspection (RFC 7662).
//!
//! Takes: a token, or several, and an authenticated, confidential client.
//! Gives: what each is to this caller, or `{"active":false}` without a reason; as JSON, or signed (RFC 9701).
//! Holds: nothing is looked up before the caller is authenticated; an outage is an error, never "inactive".

mod signed;

use std::borrow::Cow;

use opalid_core::alive::{Reason, Verdict};
use opalid_core::claims::TooMuch;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::{Ancestor, Entitlement};
use opalid_core::refresh::{Presentation, Presented};
use opalid_core::request::{AskedAbout, GrantType, IntrospectionRequest, TokenTypeHint};
use opalid_core::token::{PresentedToken, Refresh};
use opalid_store::check::Effective;
use opalid_store::steps::refresh::FindChain;

use crate::http::call::Call;
use crate::http::client_auth::{self, AuthenticatedClient};
use crate::http::json::{JsonArray, JsonObject};
use crate::http::reply::{self, Reply};
use crate::introspected::{About, Audience, Part, access_token, client_of, facts};
use crate::metrics::Introspected;
use crate::shown_claims::NotShown;

/// POST /introspect.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    match answer(call).await {
        Ok(reply) => reply,
        Err(error) => reply::oauth_error(&error, &call.issuer.url),
    }
}

/// What is said of an inactive token, whatever the reason.
const INACTIVE: &str = r#"{"active":false}"#;

async fn answer(call: &Call<'_>) -> Result<Reply, OAuthError> {
    let form = call.form()?;
    let caller = client_auth::authenticate(call, &form).await?;
    if caller.is_public() {
        let description = "introspection is for confidential clients: a public one proves nothing";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, description));
    }
    let IntrospectionRequest { about, hint, minimal } = IntrospectionRequest::parse(&form)?;
    let wanted = Wanted { hint, minimal };
    let signed = signed::is_asked_for(&call.parts.headers);
    match about {
        AskedAbout::One(token) if signed => signed::reply(call, &caller, said(call, &caller, token, wanted).await?),
        AskedAbout::One(token) => Ok(match said(call, &caller, token, wanted).await? {
            Some(facts) => reply::object(facts),
            None => reply::with_no_store("application/json", INACTIVE),
        }),
        AskedAbout::Several(_) if signed => {
            let description = "a signed answer is about one token (RFC 9701): send token";
            Err(OAuthError::new(ErrorCode::InvalidRequest, description))
        }
        // Boxed, so that what is kept of a question about one token stays small.
        AskedAbout::Several(tokens) => {
            Ok(reply::array(TOKENS, Box::pin(several(call, &caller, (&tokens, wanted))).await?))
        }
    }
}

/// The only member of an answer about several tokens.
const TOKENS: &str = "tokens";
/// The longest answer about several tokens, in bytes.
const LONGEST: usize = 1024 * 1024;
/// After so many tokens somebody else on this thread has a turn.
const TURN: usize = 8;

/// What several tokens are, whole or not at all.
async fn several(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    (tokens, wanted): (&[&str], Wanted),
) -> Result<JsonArray, OAuthError> {
    let around = format!("{{\"{TOKENS}\":]}}").len();
    let mut answers = JsonArray::begin();
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && at.is_multiple_of(TURN) {
            tokio::task::yield_now().await;
        }
        match said(call, caller, token, wanted).await {
            Ok(Some(facts)) => answers.object(facts),
            Ok(None) => answers.raw(INACTIVE),
            // What is wrong with one token is no reason to say nothing of the others.
            Err(NotShown::TooMuch(why)) => answers.object(not_shown(&why)),
            Err(NotShown::Outage(outage)) => return Err(reply::outage(&outage)),
        }
        if answers.bytes() + around > LONGEST {
            let description =
                "the answer would be longer than 1 MiB: ask about fewer tokens at once, or with minimal=true";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
        }
    }
    Ok(answers)
}

/// In the place of what cannot be said of one of several tokens: neither active nor inactive.
fn not_shown(why: &TooMuch) -> JsonObject {
    let mut error = JsonObject::begin();
    error.text("error", ErrorCode::InvalidRequest.wire_name()).text("error_description", &why.to_string());
    error
}

/// How a token is looked at.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// What the caller takes it for.
    hint: Option<TokenTypeHint>,
    /// Only whether it is active.
    minimal: bool,
}

/// What a token is to this caller; `None` if inactive.
async fn said(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    token: &str,
    wanted: Wanted,
) -> Result<Option<JsonObject>, NotShown> {
    // A hint may be wrong (§2.1); the token itself says of which kind it is.
    let presented = PresentedToken::new(token);
    let verdict = if presented.looks_like::<Refresh>() {
        Box::pin(refresh_token(call, caller, presented, wanted)).await
    } else {
        access_token(call, caller, (token, wanted.minimal), None).await
    };
    let introspections = &call.app.metrics.introspections;
    Ok(match verdict? {
        Verdict::Active(facts) => {
            introspections.count(Introspected::Active);
            Some(facts)
        }
        Verdict::Inactive(reason) => {
            introspections.count(reason.into());
            tracing::debug!(reason = reason.name(), "inactive");
            None
        }
    })
}

/// A refresh token is of interest to its client alone. Only the current one of its chain is active.
async fn refresh_token(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    token: PresentedToken<'_>,
    wanted: Wanted,
) -> Result<Verdict<JsonObject>, NotShown> {
    let store = &call.app.store;
    let workspace = call.issuer.id();
    let Ok(secret) = call.issuer.row_sealer.open_row::<Refresh>(token) else {
        return Ok(Verdict::Inactive(Reason::NotOurs));
    };
    let presented = Presentation::of(&secret);
    let Some(row) = store.read(FindChain { workspace, id: presented.chain }).await? else {
        return Ok(Verdict::Inactive(Reason::NotOurs));
    };
    // A gateway that looks at `active` alone must not take one for an access token: it says what it looks for.
    let is_asked_for = caller.settings.introspect_tokens && wanted.hint == Some(TokenTypeHint::RefreshToken);
    // Without `token_type` and `aud` nobody could tell it from an access token.
    let is_minimal = wanted.minimal && wanted.hint != Some(TokenTypeHint::RefreshToken);
    if is_minimal || (row.client != caller.id && !is_asked_for) {
        return Ok(Verdict::Inactive(Reason::NotForCaller));
    }
    let limits = call.issuer.refresh_limits();
    match row.chain.judge(&presented, call.now, limits) {
        Presented::Current => {}
        Presented::Retry | Presented::Reused => return Ok(Verdict::Inactive(Reason::Killed)),
        Presented::Unknown => return Ok(Verdict::Inactive(Reason::NotOurs)),
        Presented::Expired => return Ok(Verdict::Inactive(Reason::Expired)),
    }
    let Some(evidence) = store.load_evidence(workspace, row.grant).await? else {
        return Ok(Verdict::Inactive(Reason::GrantUnknown));
    };
    let grant = &evidence.grant.grant;
    if let Err(reason) = store.judge_grant(workspace, (grant, row.grant_epoch), call.now).await? {
        return Ok(Verdict::Inactive(reason));
    }
    let Some(entitlement) = grant.entitlement(row.entitlement) else {
        return Ok(Verdict::Inactive(Reason::EntitlementUnknown));
    };
    let Some(client) = client_of(call, caller, grant).await? else {
        return Ok(Verdict::Inactive(Reason::AncestorGone(Ancestor::Client(grant.client()))));
    };
    if !client.may_use(GrantType::RefreshToken) {
        return Ok(Verdict::Inactive(Reason::Narrowed));
    }
    // What it may do can be given back, so it is active even while nothing is allowed.
    let nothing = || Effective { entitlement: Cow::Owned(Entitlement::default()), resources: Vec::new() };
    let effective = store.effective((&client, grant.user()), entitlement).await?.unwrap_or_else(nothing);
    // It opens nothing but the token endpoint, whatever comes of it there (RFC 6749 §1.5).
    let (scope, audience) = (Cow::Owned(effective.entitlement.scope()), Audience::One(&call.issuer.url));
    let part = Part { scope, audience, openid: &effective.entitlement.openid };
    let of = About {
        issued_at: row.chain.rotated_at,
        expires_at: row.chain.ends_at(limits.idle),
        jti: None,
        token_type: None,
        minimal: wanted.minimal,
    };
    facts(call, &client, grant, part, of).await
}
